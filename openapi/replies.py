"""What the replies look like, as JSON Schema: every field there is, and no other.

Plain values by the name they have in the document.
"""

from typing import Any

from records.keys import SCOPES
from schemas import GENDERS, KINDS

JsonSchema = dict[str, Any]

_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_SECONDS = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
_MILLISECONDS = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_URL = {"type": "string", "format": "uri"}
_TEXT = {"type": "string"}
_ID = {"type": "string", "minLength": 1}
_UUID = {"type": "string", "format": "uuid"}
_FLAG = {"type": "boolean"}
_NULL = {"type": "null"}
_PROJECT_STATUS = {"enum": ["active", "archived"]}

REQUEST_ID: JsonSchema = {"type": "string", "pattern": f"^req_{_ULID}$"}


def ref(name: str) -> JsonSchema:
    """Return a schema that stands for the one of that name in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(_optional: JsonSchema | None = None, **fields: JsonSchema) -> JsonSchema:
    """Return the schema of an object that has these fields, perhaps the optional ones, and no other."""
    properties = fields | (_optional or {})
    return {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}


def listed(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def or_null(schema: JsonSchema) -> JsonSchema:
    """Return a schema that null fits too."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}


def constant(value: str | bool | int) -> JsonSchema:
    return {"const": value}


def minted(prefix: str) -> JsonSchema:
    return {"type": "string", "pattern": f"^{prefix}_{_ULID}$"}


def page(item: str) -> JsonSchema:
    return record(items=listed(ref(item)), nextCursor=or_null(_ID))


def _text(most: int) -> JsonSchema:
    return {"type": ["string", "null"], "maxLength": most}


def _job(status: JsonSchema, **more: JsonSchema) -> JsonSchema:
    """Return the schema of a job with one of these statuses, and what only such a job has."""
    stage = {"enum": ["queued", "training", "finalizing"]}
    progress = {"type": "number", "minimum": 0, "maximum": 1}
    return record(**_JOB | {"status": status, "stage": stage, "progress": progress} | more)


_JOB: JsonSchema = {
    "jobId": minted("job"),
    "kind": constant("influencer_create"),
    "status": constant("running"),
    "stage": constant("queued"),
    "projectId": _ID,
    "influencerId": _ID,
    "locationUrl": {"type": "string", "pattern": f"^/v1/jobs/job_{_ULID}$"},
    "startedAt": _MILLISECONDS,
}

_KEY: JsonSchema = {
    "id": _UUID,
    "organizationId": _UUID,
    "name": _TEXT,
    "prefix": {"type": "string", "pattern": "^lp_(live|test)_[0-9A-Z]{16}$"},
    "killSwitch": _FLAG,
    "isActive": _FLAG,
    "revokedAt": or_null(_MILLISECONDS),
}
_KILLED = record(**_KEY | {"killSwitch": constant(True), "isActive": constant(False), "revokedAt": _MILLISECONDS})
_ROTATED = record(
    **_KEY | {"killSwitch": constant(False), "isActive": constant(True), "revokedAt": _NULL, "rotatedAt": _MILLISECONDS}
)

SCHEMAS: dict[str, JsonSchema] = {
    "WhoAmI": record(
        organizationId=_UUID,
        workspaceId=_UUID,
        organizationName=_TEXT,
        scopes=listed({"enum": [*SCOPES, "*"]}),
        rateLimitTier={"enum": ["standard", "pilot", "partner"]},
        killSwitch=constant(False),
        apiAccessRevoked=constant(False),
        apiKeyId=_UUID,
        creditBalance={"type": "number"},
    ),
    "InfluencerStatus": {"enum": ["draft", "pending", "training", "ready", "failed"]},
    "Influencer": record(
        influencerId=_ID,
        projectId=_ID,
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
        influencerId=_ID,
        name={"type": "string", "minLength": 1, "maxLength": 128},
        gender={"enum": [*GENDERS, None]},
        ageRange=_text(16),
        status=ref("InfluencerStatus"),
        thumbnailUrl=or_null(_URL),
        createdAt=_SECONDS,
    ),
    "InfluencerPage": page("InfluencerItem"),
    "InfluencerDeleted": record(influencerId=_ID, status=constant("deleted"), deletedAt=_SECONDS),
    "ReferenceImage": record(assetId=_ID, url=_URL, thumbnailUrl=_URL, addedAt=_SECONDS),
    "ReferenceImageList": record(influencerId=_ID, referenceImages=listed(ref("ReferenceImage"))),
    "JobStarted": record(**_JOB),
    "JobRunning": _job(constant("running")),
    "JobCompleted": _job(
        constant("completed"),
        progress=constant(1),
        stage=constant("finalizing"),
        finishedAt=_MILLISECONDS,
        result=record(influencerId=_ID),
    ),
    "JobEndedEarly": _job(
        {"enum": ["failed", "canceled"]}, finishedAt=_MILLISECONDS, error=record(code=_TEXT, message=_TEXT)
    ),
    "Job": {"oneOf": [ref("JobRunning"), ref("JobCompleted"), ref("JobEndedEarly")]},
    "CancelAccepted": record(jobId=minted("job"), accepted=constant(True)),
    "CancelTooLate": record(
        jobId=minted("job"),
        accepted=constant(False),
        reason={"enum": ["ALREADY_COMPLETED", "ALREADY_FAILED", "ALREADY_CANCELED"]},
    ),
    "Project": record(
        id=_ID,
        organizationId=_UUID,
        name={"type": "string", "minLength": 1, "maxLength": 128},
        status=_PROJECT_STATUS,
        customerExternalId=or_null(_TEXT),
        timezone=_TEXT,
        primaryLanguage=_TEXT,
        ownerEmail=or_null(_TEXT),
        brand=_NULL,
        brandContext=_NULL,
        ingestState=record(github=_NULL, website=_NULL, appstore=_NULL),
        requiresApproval=constant(False),
        firstNPostsBlocked=constant(0),
        currentBlockedCount=constant(0),
        metadata={"type": "object"},
        createdAt=_SECONDS,
        updatedAt=_SECONDS,
    ),
    "ProjectItem": record(
        id=_ID,
        name={"type": "string", "minLength": 1, "maxLength": 128},
        status=_PROJECT_STATUS,
        customerExternalId=or_null(_TEXT),
        timezone=_TEXT,
        primaryLanguage=_TEXT,
        ownerEmail=or_null(_TEXT),
        createdAt=_SECONDS,
        updatedAt=_SECONDS,
    ),
    "ProjectPage": page("ProjectItem"),
    "ProjectArchived": record(
        id=_ID, status=constant("archived"), archivedAt=_SECONDS, canceledScheduledPosts=constant(0)
    ),
    "UploadPromise": record(
        uploadId=minted("upl"),
        uploadUrl=_URL,
        method=constant("PUT"),
        headers=record(**{"Content-Type": _TEXT}),
        expiresAt=_MILLISECONDS,
    ),
    "Asset": record(
        mediaId=_ID,
        assetId=_ID,
        projectId=_ID,
        url=_URL,
        thumbnailUrl=_URL,
        kind={"enum": list(KINDS)},
        contentType=_TEXT,
        mimeType=_TEXT,
        filename=or_null({"type": "string", "minLength": 1, "maxLength": 256}),
        sizeBytes={"type": "integer", "minimum": 0},
        checksumSha256={"type": "string", "pattern": "^[0-9a-f]{64}$"},
        createdAt=_SECONDS,
    ),
    "KeyKilled": record(apiKey=_KILLED, killed=constant(True)),
    "KeyRotated": record(
        apiKey=_ROTATED, secret={"type": "string", "pattern": "^lp_(live|test)_[0-9A-Z]{16}_[0-9A-Za-z_-]{43}$"}
    ),
    "KeyDeleted": record(apiKey=_KILLED, deleted=constant(True)),
}
