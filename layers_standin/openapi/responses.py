"""The responses of the partner API: each an example, whose schema allows exactly its fields.

They are those of a new store. Influencer, project and pictures are in the seed; a job, a key and an upload are made up.
"""

from typing import Any, NamedTuple

from layers_standin.openapi import examples
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.json_schema import FIELDS, JsonSchema, record_like, ref


class Response(NamedTuple):
    """The body of a response: an example, and the schema."""

    example: Any
    schema: JsonSchema


def response(example: dict[str, Any], *constants: str, **own: JsonSchema) -> Response:
    """Return a response like the example; for `constants` and `own` see `record_like`."""
    return Response(example, record_like(example, *constants, **own))


def list_of(name: str, item: dict[str, Any], **more: Any) -> Response:
    """Return a response with a list of items, whose schema has that name."""
    return response({"items": [item], **more}, items=schema.listed(ref(name)))


_REFERENCE_IMAGE = {
    "assetId": examples.PICTURES[0],
    "url": f"{examples.MEDIA_URL}/{examples.PICTURES[0]}/{examples.PICTURE_MARK}/original/ava-01.jpg",
    "thumbnailUrl": f"{examples.MEDIA_URL}/{examples.PICTURES[0]}/{examples.PICTURE_MARK}/thumbnail/ava-01-thumb.webp",
    "addedAt": "2026-04-18T09:25:10Z",
}
INFLUENCER = {
    "influencerId": examples.AVA,
    "projectId": examples.SPRING,
    "name": "Ava Chen",
    "gender": "female",
    "ageRange": "25-34",
    "ethnicity": "East Asian",
    "bodyType": "athletic",
    "hairColor": "black",
    "hairStyle": "long, straight, curtain bangs",
    "style": "minimal streetwear",
    "vibe": "precise and energetic",
    "voiceDescription": "Warm alto, unhurried, a smile in it.",
    "personality": {
        "traits": ["curious", "warm", "direct"],
        "values": ["craft", "honesty"],
        "interests": ["ceramics", "night runs"],
        "tone": "friendly",
        "speakingStyle": "short sentences",
        "humor": "observational",
    },
    "referenceImages": [_REFERENCE_IMAGE],
    "status": "ready",
    "createdAt": "2026-04-01T14:22:10Z",
    "updatedAt": "2026-04-18T09:25:10Z",
}
_INFLUENCER_ITEM = {
    "influencerId": examples.AVA,
    "name": "Ava Chen",
    "gender": "female",
    "ageRange": "25-34",
    "status": "ready",
    "thumbnailUrl": _REFERENCE_IMAGE["thumbnailUrl"],
    "createdAt": "2026-04-01T14:22:10Z",
}
_JOB_STARTED = {
    "jobId": examples.JOB,
    "kind": "influencer_create",
    "status": "running",
    "stage": "queued",
    "projectId": examples.SPRING,
    "influencerId": examples.NEW_INFLUENCER,
    "locationUrl": f"/v1/jobs/{examples.JOB}",
    "startedAt": "2026-04-18T09:30:00.000Z",
}
_JOB_RUNNING = _JOB_STARTED | {"progress": 0}
_JOB_COMPLETED = _JOB_STARTED | {
    "status": "completed",
    "stage": "finalizing",
    "progress": 1,
    "finishedAt": "2026-04-18T09:30:02.000Z",
    "result": {"influencerId": examples.NEW_INFLUENCER},
}
_ASSET_URL = f"{examples.MEDIA_URL}/{examples.ASSET_ID}/b5N2mK7cYdAXq3v9Lr0TzW"
_PROJECT_ITEM = {
    "id": examples.SPRING,
    "name": "Spring launch",
    "status": "active",
    "customerExternalId": "customer-001",
    "timezone": "America/Los_Angeles",
    "primaryLanguage": "en",
    "ownerEmail": "maya@northwind.example",
    "createdAt": "2026-03-02T08:05:00Z",
    "updatedAt": "2026-03-02T08:05:00Z",
}
_KEY = {
    "id": examples.KEY,
    "organizationId": examples.ORGANIZATION,
    "name": "Staging",
    "prefix": "lp_test_OQRH3ZRFWSQP5XMJ",
    "killSwitch": True,
    "isActive": False,
    "revokedAt": "2026-04-18T09:50:00.000Z",
}
_KEY_ROTATED = _KEY | {
    "killSwitch": False,
    "isActive": True,
    "revokedAt": None,
    "rotatedAt": "2026-04-18T09:50:00.000Z",
}

_PROJECT_STATUS: JsonSchema = {"enum": ["active", "archived"]}
_KEY_FIELDS = {"id": schema.UUID, "name": schema.TEXT}
_KILLED = record_like(_KEY, "killSwitch", "isActive", **_KEY_FIELDS, revokedAt=schema.MILLISECONDS)

JOBS = ("JobRunning", "JobCompleted", "JobEndedEarly")

RESPONSES: dict[str, Response] = {
    "WhoAmI": response(
        {
            "organizationId": examples.ORGANIZATION,
            "workspaceId": examples.ORGANIZATION,
            "organizationName": "Northwind Studio",
            "scopes": ["*"],
            "rateLimitTier": "standard",
            "killSwitch": False,
            "apiAccessRevoked": False,
            "apiKeyId": examples.KEY,
            "creditBalance": 25000,
        },
        "killSwitch",
    ),
    "Influencer": response(INFLUENCER),
    "InfluencerPage": list_of("InfluencerItem", _INFLUENCER_ITEM, nextCursor=None),
    "InfluencerDeleted": response(
        {"influencerId": examples.AVA, "status": "deleted", "deletedAt": "2026-04-18T09:21:00Z"}, "status"
    ),
    "ReferenceImageList": response({"influencerId": examples.AVA, "referenceImages": [_REFERENCE_IMAGE]}),
    "JobStarted": response(_JOB_STARTED, "kind", "status", "stage"),
    "Job": Response(_JOB_COMPLETED, {"oneOf": [ref(name) for name in JOBS]}),
    "CancelAccepted": response({"jobId": examples.JOB, "accepted": True}, "accepted"),
    "CancelTooLate": response(
        {"jobId": examples.JOB, "accepted": False, "reason": "ALREADY_COMPLETED"},
        "accepted",
        reason={"enum": ["ALREADY_COMPLETED", "ALREADY_FAILED", "ALREADY_CANCELED"]},
    ),
    "Project": response(
        _PROJECT_ITEM
        | {
            "organizationId": examples.ORGANIZATION,
            "brand": None,
            "brandContext": None,
            "ingestState": {"github": None, "website": None, "appstore": None},
            "requiresApproval": False,
            "firstNPostsBlocked": 0,
            "currentBlockedCount": 0,
            "metadata": {"tier": "gold"},
        },
        status=_PROJECT_STATUS,
        brandContext=schema.or_null(ref("BrandContext")),
        ingestState=schema.record(github=ref("IngestState"), website=ref("IngestState"), appstore=schema.NULL),
    ),
    "ProjectPage": list_of("ProjectItem", _PROJECT_ITEM, nextCursor=None),
    "ProjectArchived": response(
        {
            "id": examples.SPRING,
            "status": "archived",
            "archivedAt": "2026-04-18T09:40:00Z",
            "canceledScheduledPosts": 0,
        },
        "status",
    ),
    "UploadPromise": response(
        {
            "uploadId": examples.UPLOAD,
            "uploadUrl": "http://127.0.0.1:8000/v1/uploads/WyI2ZjFjMmY1ZSIsInVwbF8wMUhYWkZCM0Q1RjdIOUsiXQ.x3Tq0mYw",
            "method": "PUT",
            "headers": {"Content-Type": "image/png"},
            "expiresAt": "2026-04-18T10:00:00.000Z",
        },
        "method",
        headers=schema.record(**{"Content-Type": schema.TEXT}),
    ),
    "Asset": response(
        {
            "mediaId": examples.ASSET_ID,
            "assetId": examples.ASSET_ID,
            "projectId": examples.SPRING,
            "url": f"{_ASSET_URL}/original/pixel.gif",
            "thumbnailUrl": f"{_ASSET_URL}/thumbnail/pixel-thumb.webp",
            "kind": "image",
            "contentType": "image/gif",
            "mimeType": "image/gif",
            "filename": "pixel.gif",
            "sizeBytes": 43,
            "checksumSha256": examples.PIXEL_HASH,
            "createdAt": "2026-04-18T09:45:00Z",
        }
    ),
    "KeyKilled": response({"apiKey": _KEY, "killed": True}, apiKey=_KILLED),
    "KeyRotated": response(
        {"apiKey": _KEY_ROTATED, "secret": examples.API_KEY},
        apiKey=record_like(_KEY_ROTATED, "killSwitch", "isActive", **_KEY_FIELDS, revokedAt=schema.NULL),
    ),
    "KeyDeleted": response({"apiKey": _KEY, "deleted": True}, apiKey=_KILLED),
}

# The schemas that responses refer to.
SCHEMAS: dict[str, JsonSchema] = {
    "InfluencerStatus": {"enum": ["draft", "pending", "training", "ready", "failed"]},
    "InfluencerItem": record_like(_INFLUENCER_ITEM, thumbnailUrl=schema.or_null(FIELDS["thumbnailUrl"])),
    "ReferenceImage": record_like(_REFERENCE_IMAGE),
    "ProjectItem": record_like(_PROJECT_ITEM, status=_PROJECT_STATUS),
    "JobRunning": record_like(_JOB_RUNNING, "kind", "status"),
    "JobCompleted": record_like(
        _JOB_COMPLETED,
        "kind",
        "status",
        "stage",
        "progress",
        result=schema.record(influencerId=FIELDS["influencerId"]),
    ),
    "JobEndedEarly": record_like(
        _JOB_RUNNING | {"finishedAt": None, "error": None},
        "kind",
        status={"enum": ["failed", "canceled"]},
        error=schema.record(code=schema.TEXT, message=schema.TEXT),
    ),
}
