"""The responses as JSON Schema: exactly their fields, and no other.

The schemas are dicts, by their names in the document.
"""

from typing import Any

from layers_standin.domain.keys import SCOPES
from schemas import GENDERS, KINDS

JsonSchema = dict[str, Any]

_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_SECONDS = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
MILLISECONDS = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_URL = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}
ID = {"type": "string", "minLength": 1}
UUID = {"type": "string", "format": "uuid"}
FLAG = {"type": "boolean"}
_NULL = {"type": "null"}
SCOPE = {"enum": [*SCOPES, "*"]}
TIER = {"enum": ["standard", "pilot", "partner"]}
_PROJECT_STATUS = {"enum": ["active", "archived"]}

REQUEST_ID: JsonSchema = {"type": "string", "pattern": f"^req_{_ULID}$"}


def ref(name: str) -> JsonSchema:
    """Return a reference to the schema of that name in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(_optional: JsonSchema | None = None, **fields: JsonSchema) -> JsonSchema:
    """Return the schema of an object with these fields, the `optional` ones if present, and no other."""
    properties = fields | (_optional or {})
    return {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}


def listed(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def or_null(schema: JsonSchema) -> JsonSchema:
    """Return the schema that also allows null."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}


def constant(value: str | bool | int) -> JsonSchema:
    return {"const": value}


def minted(prefix: str) -> JsonSchema:
    return {"type": "string", "pattern": f"^{prefix}_{_ULID}$"}


def page(item: str) -> JsonSchema:
    return record(items=listed(ref(item)), nextCursor=or_null(ID))


def _text(most: int) -> JsonSchema:
    return {"type": ["string", "null"], "maxLength": most}


def _job(status: JsonSchema, **more: JsonSchema) -> JsonSchema:
    """Return the schema of a job with one of these statuses, and the fields of only such jobs."""
    stage = {"enum": ["queued", "training", "finalizing"]}
    progress = {"type": "number", "minimum": 0, "maximum": 1}
    return record(**_JOB | {"status": status, "stage": stage, "progress": progress} | more)


_JOB: JsonSchema = {
    "jobId": minted("job"),
    "kind": constant("influencer_create"),
    "status": constant("running"),
    "stage": constant("queued"),
    "projectId": ID,
    "influencerId": ID,
    "locationUrl": {"type": "string", "pattern": f"^/v1/jobs/job_{_ULID}$"},
    "startedAt": MILLISECONDS,
}

API_KEY: JsonSchema = {"type": "string", "pattern": "^lp_(live|test)_[0-9A-Z]{16}_[0-9A-Za-z_-]{43}$"}
_KEY: JsonSchema = {
    "id": UUID,
    "organizationId": UUID,
    "name": TEXT,
    "prefix": {"type": "string", "pattern": "^lp_(live|test)_[0-9A-Z]{16}$"},
    "killSwitch": FLAG,
    "isActive": FLAG,
    "revokedAt": or_null(MILLISECONDS),
}
_KILLED = record(**_KEY | {"killSwitch": constant(True), "isActive": constant(False), "revokedAt": MILLISECONDS})
_ROTATED = record(
    **_KEY | {"killSwitch": constant(False), "isActive": constant(True), "revokedAt": _NULL, "rotatedAt": MILLISECONDS}
)

_PROJECT: JsonSchema = {  # as in a page of projects; a single one has more fields
    "id": ID,
    "name": {"type": "string", "minLength": 1, "maxLength": 128},
    "status": _PROJECT_STATUS,
    "customerExternalId": or_null(TEXT),
    "timezone": TEXT,
    "primaryLanguage": TEXT,
    "ownerEmail": or_null(TEXT),
    "createdAt": _SECONDS,
    "updatedAt": _SECONDS,
}

SCHEMAS: dict[str, JsonSchema] = {
    "WhoAmI": record(
        organizationId=UUID,
        workspaceId=UUID,
        organizationName=TEXT,
        scopes=listed(SCOPE),
        rateLimitTier=TIER,
        killSwitch=constant(False),
        apiAccessRevoked=constant(False),
        apiKeyId=UUID,
        creditBalance={"type": "number"},
    ),
    "InfluencerStatus": {"enum": ["draft", "pending", "training", "ready", "failed"]},
    "Influencer": record(
        influencerId=ID,
        projectId=ID,
        name={"type": "string", "minLength": 1, "maxLength": 128},
        gender={"enum": [*GENDERS, None]},
        ageRange=_text(16),
        ethnicity=_text(128),
        bodyType=_text(128),
        hairColor=_text(64),
        hairStyle=_text(128),
        style=_text(256),
        vibe=_text(256),
        voiceDescription=_text(1024),
        personality=ref("Personality"),
        referenceImages=listed(ref("ReferenceImage")),
        status=ref("InfluencerStatus"),
        createdAt=_SECONDS,
        updatedAt=_SECONDS,
    ),
    "InfluencerItem": record(
        influencerId=ID,
        name={"type": "string", "minLength": 1, "maxLength": 128},
        gender={"enum": [*GENDERS, None]},
        ageRange=_text(16),
        status=ref("InfluencerStatus"),
        thumbnailUrl=or_null(_URL),
        createdAt=_SECONDS,
    ),
    "InfluencerPage": page("InfluencerItem"),
    "InfluencerDeleted": record(influencerId=ID, status=constant("deleted"), deletedAt=_SECONDS),
    "ReferenceImage": record(assetId=ID, url=_URL, thumbnailUrl=_URL, addedAt=_SECONDS),
    "ReferenceImageList": record(influencerId=ID, referenceImages=listed(ref("ReferenceImage"))),
    "JobStarted": record(**_JOB),
    "JobRunning": _job(constant("running")),
    "JobCompleted": _job(
        constant("completed"),
        progress=constant(1),
        stage=constant("finalizing"),
        finishedAt=MILLISECONDS,
        result=record(influencerId=ID),
    ),
    "JobEndedEarly": _job(
        {"enum": ["failed", "canceled"]}, finishedAt=MILLISECONDS, error=record(code=TEXT, message=TEXT)
    ),
    "Job": {"oneOf": [ref("JobRunning"), ref("JobCompleted"), ref("JobEndedEarly")]},
    "CancelAccepted": record(jobId=minted("job"), accepted=constant(True)),
    "CancelTooLate": record(
        jobId=minted("job"),
        accepted=constant(False),
        reason={"enum": ["ALREADY_COMPLETED", "ALREADY_FAILED", "ALREADY_CANCELED"]},
    ),
    "Project": record(
        **_PROJECT,
        organizationId=UUID,
        brand=_NULL,
        brandContext=_NULL,
        ingestState=record(github=_NULL, website=_NULL, appstore=_NULL),
        requiresApproval=constant(False),
        firstNPostsBlocked=constant(0),
        currentBlockedCount=constant(0),
        metadata={"type": "object"},
    ),
    "ProjectItem": record(**_PROJECT),
    "ProjectPage": page("ProjectItem"),
    "ProjectArchived": record(
        id=ID, status=constant("archived"), archivedAt=_SECONDS, canceledScheduledPosts=constant(0)
    ),
    "UploadPromise": record(
        uploadId=minted("upl"),
        uploadUrl=_URL,
        method=constant("PUT"),
        headers=record(**{"Content-Type": TEXT}),
        expiresAt=MILLISECONDS,
    ),
    "Asset": record(
        mediaId=ID,
        assetId=ID,
        projectId=ID,
        url=_URL,
        thumbnailUrl=_URL,
        kind={"enum": list(KINDS)},
        contentType=TEXT,
        mimeType=TEXT,
        filename=or_null({"type": "string", "minLength": 1, "maxLength": 256}),
        sizeBytes={"type": "integer", "minimum": 0},
        checksumSha256={"type": "string", "pattern": "^[0-9a-f]{64}$"},
        createdAt=_SECONDS,
    ),
    "KeyKilled": record(apiKey=_KILLED, killed=constant(True)),
    "KeyRotated": record(apiKey=_ROTATED, secret=API_KEY),
    "KeyDeleted": record(apiKey=_KILLED, deleted=constant(True)),
}
