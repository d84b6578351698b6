"""The parts that the JSON Schemas of responses are made of, and the schema of each field by its name."""

from collections.abc import Mapping
from typing import Any

from layers_standin.domain.influencers import DESCRIPTION_FIELDS
from layers_standin.domain.keys import SCOPES
from schemas import GENDERS, KINDS, InfluencerPatch

JsonSchema = dict[str, Any]

ENDPOINT_CLASSES = ["read-light", "write-light", "long-running"]

NULL: JsonSchema = {"type": "null"}
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"


def ref(name: str) -> JsonSchema:
    """Return a reference to the schema of that name in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(_optional: JsonSchema | None = None, **fields: JsonSchema) -> JsonSchema:
    """Return the schema of an object with these fields, the `optional` ones if present, and no other."""
    properties = fields | (_optional or {})
    return {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}


def record_like(example: Mapping[str, Any], *constants: str, **own: JsonSchema) -> JsonSchema:
    """Return the schema of an object with just the fields of an example.

    The `constants` always have the value of the example, the schemas of others are in `own`, or else in FIELDS.
    """
    own |= {name: constant(example[name]) for name in constants}
    return record(**{name: own[name] if name in own else FIELDS[name] for name in example})


def listed(items: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": items}


def or_null(schema: JsonSchema) -> JsonSchema:
    """Return the schema that also allows null."""
    if "$ref" in schema:
        return {"anyOf": [schema, NULL]}
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    return schema | {"type": [schema["type"], "null"]}


def constant(value: str | bool | int) -> JsonSchema:
    return {"const": value}


def minted(prefix: str) -> JsonSchema:
    """Return the schema of the ids that are made here: a prefix and a ULID."""
    return {"type": "string", "pattern": f"^{prefix}_{_ULID}$"}


def text(min: int | None = None, max: int | None = None, **more: Any) -> JsonSchema:
    lengths = {"minLength": min, "maxLength": max}
    return {"type": "string"} | {name: length for name, length in lengths.items() if length is not None} | more


def _time(fraction: str) -> JsonSchema:
    return text(format="date-time", pattern=rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{fraction}Z$")


ID = text(min=1)
TEXT = text()
UUID = text(format="uuid")
SECONDS, MILLISECONDS, MICROSECONDS = map(_time, ("", r"\.\d{3}", r"(\.\d{6})?"))
SHA256 = text(pattern="^[0-9a-f]{64}$")
COUNT: JsonSchema = {"type": "integer", "minimum": 0}
FROM_ONE: JsonSchema = {"type": "integer", "minimum": 1}
_FLAG: JsonSchema = {"type": "boolean"}
_KEY_PREFIX = "^lp_(live|test)_[0-9A-Z]{16}"

# (schema, the names of the fields that have it); a response says itself where it differs.
_BY_SCHEMA: list[tuple[JsonSchema, str]] = [
    (ID, "assetId containerId id influencerId mediaId projectId"),
    (UUID, "apiKeyId organizationId workspaceId"),
    (minted("req"), "requestId"),
    (minted("job"), "jobId"),
    (minted("upl"), "uploadId"),
    (ID, "socialAccountId scheduledPostId webhookEndpointId"),
    (TEXT, "contentType engine method mimeType organizationName path primaryLanguage query request response"),
    (TEXT, "timezone version"),
    (text(min=1, max=128), "name"),
    (
        or_null(TEXT),
        "caption curl customerExternalId faultId firstComment idempotencyKey keyId operation ownerEmail reason",
    ),
    (or_null(text(min=1, max=256)), "filename"),
    (text(format="uri"), "thumbnailUrl uploadUrl url"),
    (text(pattern=f"^/v1/jobs/job_{_ULID}$"), "locationUrl"),
    (text(pattern=f"{_KEY_PREFIX}$"), "prefix"),
    (text(pattern=f"{_KEY_PREFIX}_[0-9A-Za-z_-]{{43}}$"), "apiKey secret"),
    (SHA256, "checksumSha256"),
    (SECONDS, "addedAt archivedAt createdAt deletedAt updatedAt"),
    (MILLISECONDS, "at clock dueAt receivedAt expiresAt finishedAt now rotatedAt startedAt"),
    (or_null(MILLISECONDS), "revokedAt"),
    (or_null(ID), "nextCursor"),
    (COUNT, "bytes documents seen sizeBytes used"),
    (FROM_ONE, "height maxBytes revision width"),
    ({"type": "number"}, "creditBalance"),
    ({"type": "number", "minimum": 0}, "milliseconds"),
    ({"type": "number", "minimum": 0, "maximum": 1}, "progress"),
    (_FLAG, "cut enabled inherited isActive isArchived isDue isVerified killSwitch replayed"),
    (constant(True), "deleted flushed killed reset restored"),
    (NULL, "brand"),
    (COUNT, "canceledScheduledPosts"),
    (COUNT, "currentBlockedCount firstNPostsBlocked"),
    (constant(False), "apiAccessRevoked"),
    (_FLAG, "requiresApproval"),
    ({"enum": ["not_required", "pending", "approved", "rejected"]}, "approvalStatus"),
    ({"enum": ["video_remix", "slideshow_remix", "ugc_remix", "auto"]}, "format"),
    (TEXT, "approvedBy rejectedBy"),
    ({"type": "object"}, "metadata"),
    ({"enum": [*GENDERS, None]}, "gender"),
    ({"enum": list(KINDS)}, "kind"),
    ({"enum": ["queued", "training", "finalizing"]}, "stage"),
    ({"enum": list(SCOPES)}, "required"),
    ({"enum": ENDPOINT_CLASSES}, "endpointClass"),
    ({"enum": ["standard", "pilot", "partner"]}, "rateLimitTier"),
    (listed({"enum": [*SCOPES, "*"]}), "scopes"),
    (ref("InfluencerStatus"), "status"),
    (ref("Personality"), "personality"),
    (listed(ref("ReferenceImage")), "referenceImages"),
]
_DESCRIPTION: JsonSchema = {
    name: {"type": ["string", "null"], "maxLength": InfluencerPatch().fields[name].max}  # type: ignore[attr-defined]
    for name in DESCRIPTION_FIELDS
    if name != "gender"
}
FIELDS = {name: schema for schema, names in _BY_SCHEMA for name in names.split()} | _DESCRIPTION
