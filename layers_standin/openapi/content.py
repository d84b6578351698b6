"""Content, its approval and credits, in the document."""

from collections.abc import Mapping

from layers_standin.domain.content import FORMATS, STATUSES
from layers_standin.openapi import examples
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.document import OperationDocs, next_page
from layers_standin.openapi.json_schema import FIELDS, JsonSchema, or_null, record_like, ref
from layers_standin.openapi.responses import Response, list_of, response

CONTENT, CREDITS = "Content", "Credits"

_ASSET_URL = f"{examples.MEDIA_URL}/{examples.CONTENT_ASSET}/{examples.PICTURE_MARK}"
ASSET = {
    "assetId": examples.CONTENT_ASSET,
    "kind": "image",
    "url": f"{_ASSET_URL}/original/slide-1.jpg",
    "thumbnailUrl": f"{_ASSET_URL}/thumbnail/slide-1-thumb.webp",
    "durationMs": None,
    "width": 720,
    "height": 1280,
    "mimeType": "image/jpeg",
    "sizeBytes": 97875,
    "checksumSha256": examples.PIXEL_HASH,
}
_CONTAINER = {
    "id": examples.CONTAINER,
    "projectId": examples.SPRING,
    "influencerId": examples.AVA,
    "status": "completed",
    "format": "slideshow_remix",
    "brief": {"topic": "night runs", "influencerId": examples.AVA},
    "caption": "Night runs.",
    "firstComment": None,
    "assets": [ASSET],
    "approvalStatus": "pending",
    "createdAt": "2026-04-18T09:30:00.000Z",
    "completedAt": "2026-04-18T09:30:02.000Z",
    "failedAt": None,
    "lastError": None,
}
_ITEM_FIELDS = ("id", "influencerId", "status", "format", "caption", "approvalStatus", "createdAt", "completedAt")
_ITEM = {field: _CONTAINER[field] for field in _ITEM_FIELDS} | {"primaryAsset": ASSET}
_STARTED = {
    "jobId": examples.JOB,
    "kind": "content_generate",
    "status": "running",
    "stage": "queued",
    "projectId": examples.SPRING,
    "containerIds": [examples.CONTAINER],
    "containerId": examples.CONTAINER,
    "locationUrl": f"/v1/jobs/{examples.JOB}",
    "startedAt": "2026-04-18T09:30:00.000Z",
}
_DECISION = {"id": examples.CONTAINER, "approvalStatus": "approved", "approvedAt": "2026-04-18T09:31:00.000Z"}
_POLICY = {
    "projectId": examples.SPRING,
    "requiresApproval": True,
    "firstNPostsBlocked": 3,
    "autoApproveAfter": "P1D",
    "updatedAt": "2026-04-18T09:30:00Z",
}
_CREDITS = {
    "organizationId": examples.ORGANIZATION,
    "balance": 24950,
    "includedRemaining": 0,
    "prepaidBalance": 24950,
    "includedThisPeriod": 0,
    "usedThisPeriod": 50,
    "currentPeriod": {"start": "2026-04-01T00:00:00Z", "end": "2026-05-01T00:00:00Z", "usedCredits": 50},
    "subscriptionTier": "stand-in",
    "billingStatus": "active",
    "estimatedCreditsPerFormat": {"video_remix": 120, "slideshow_remix": 50, "ugc_remix": 120, "auto": 120},
    "ingestCostsBilled": {"github": False, "website": False, "appstore": False},
}

_STATUS: JsonSchema = {"enum": list(STATUSES)}
_STAGE: JsonSchema = {"enum": ["queued", "generating_visuals", "finalizing"]}
_PROMOTION = schema.record(status={"enum": ["ok", "failed"]}, scheduledPostIds=schema.listed(schema.ID))
_TIME, _MAYBE = schema.MILLISECONDS, or_null(schema.MILLISECONDS)
_INFLUENCER = or_null(schema.ID)
_NUMBER: JsonSchema = {"type": "integer"}
_FAILURE = schema.record(code=schema.TEXT, message=schema.TEXT)


def _job(example: Mapping[str, object], *constants: str, **own: JsonSchema) -> JsonSchema:
    """Return the schema of a job: with one container it has `containerId` too."""
    found = record_like(example, "kind", *constants, stage=_STAGE, containerIds=schema.listed(schema.ID), **own)
    return found | {"required": [name for name in found["required"] if name != "containerId"]}


RESPONSES: dict[str, Response] = {
    "ContentStarted": Response(_STARTED, _job(_STARTED, "status")),
    "ContentPage": list_of("ContentItem", _ITEM, nextCursor=None),
    "Container": response(
        _CONTAINER,
        status=_STATUS,
        influencerId=_INFLUENCER,
        brief=or_null(ref("Brief")),
        assets=schema.listed(ref("ContentAsset")),
        createdAt=_TIME,
        completedAt=_MAYBE,
        failedAt=_MAYBE,
        lastError=or_null(_FAILURE),
    ),
    "ContentProgress": response(
        {
            "containerId": examples.CONTAINER,
            "status": "generating",
            "stage": "generating_visuals",
            "stageProgress": 0.25,
            "etaSeconds": 2,
            "updatedAt": "2026-04-18T09:30:01.000Z",
        },
        status=_STATUS,
        stage=_STAGE,
        stageProgress=FIELDS["progress"],
        etaSeconds=or_null(schema.COUNT),
        updatedAt=_TIME,
    ),
    "ContentAssetFound": Response(
        {"containerId": examples.CONTAINER} | ASSET,
        record_like(
            {"containerId": examples.CONTAINER} | ASSET,
            kind={"enum": ["image", "video"]},
            durationMs=or_null(schema.COUNT),
        ),
    ),
    "ContentApproved": Response(
        _DECISION | {"approvedBy": f"api_key_{examples.KEY}"},
        schema.record(
            {"pendingSchedulePromotion": _PROMOTION},
            id=schema.ID,
            approvalStatus=schema.constant("approved"),
            approvedAt=_TIME,
            approvedBy=FIELDS["approvedBy"],
        ),
    ),
    "ContentRejected": response(
        {
            "id": examples.CONTAINER,
            "approvalStatus": "rejected",
            "rejectedAt": "2026-04-18T09:31:00.000Z",
            "rejectedBy": f"api_key_{examples.KEY}",
            "reason": "Off brand.",
        },
        "approvalStatus",
        rejectedAt=_TIME,
        reason=schema.TEXT,
    ),
    "ApprovalPolicy": response(
        _POLICY,
        firstNPostsBlocked=or_null({"type": "integer", "minimum": 0, "maximum": 50}),
        autoApproveAfter=or_null(schema.TEXT),
    ),
    "Credits": response(
        _CREDITS,
        currentPeriod=schema.record(start=schema.SECONDS, end=schema.SECONDS, usedCredits=_NUMBER),
        estimatedCreditsPerFormat=schema.record(**dict.fromkeys(FORMATS, schema.COUNT)),
        ingestCostsBilled=schema.record(**dict.fromkeys(("github", "website", "appstore"), schema.constant(False))),
        **dict.fromkeys(("balance", "prepaidBalance", "usedThisPeriod"), _NUMBER),
        **dict.fromkeys(("includedRemaining", "includedThisPeriod"), schema.COUNT),
        **dict.fromkeys(("subscriptionTier", "billingStatus"), schema.TEXT),
    ),
}

# One of them is a job, beside those of influencers.
JOBS = ("ContentJobRunning", "ContentJobCompleted", "ContentJobEndedEarly")

SCHEMAS: dict[str, JsonSchema] = {
    "ContentAsset": record_like(ASSET, kind={"enum": ["image", "video"]}, durationMs=or_null(schema.COUNT)),
    "ContentItem": record_like(
        _ITEM,
        status=_STATUS,
        influencerId=_INFLUENCER,
        createdAt=_TIME,
        completedAt=_MAYBE,
        primaryAsset=or_null(ref("ContentAsset")),
    ),
    "ContentJobRunning": _job(_STARTED | {"progress": 0}, "status"),
    "ContentJobCompleted": _job(
        _STARTED | {"status": "completed", "progress": 1, "finishedAt": None, "result": None},
        "status",
        "progress",
        result=schema.record(
            {"containerId": schema.ID, "containerIds": schema.listed(schema.ID)},
            assets=schema.listed(ref("ContentAsset")),
        ),
    ),
    "ContentJobEndedEarly": _job(
        _STARTED | {"progress": 0, "finishedAt": None, "error": None},
        status={"enum": ["failed", "canceled"]},
        error=_FAILURE,
    ),
}

_JOB = {"jobId": "/jobId"}
_DECIDED = {"containerId": "/id"}

DOCS: dict[str, OperationDocs] = {
    "generate_content": OperationDocs(
        CONTENT,
        "ContentStarted",
        errors=["ContainerIdTaken", "ProjectIsArchived"],
        gives=_JOB,
        shows={"containerId": "/containerId"},
    ),
    "list_content": OperationDocs(
        CONTENT,
        "ContentPage",
        gives={"containerId": "/items/0/id"},
        links=next_page("listContent", projectId="$request.path.projectId"),
    ),
    "get_content": OperationDocs(CONTENT, "Container"),
    "get_content_progress": OperationDocs(CONTENT, "ContentProgress"),
    "get_content_asset": OperationDocs(CONTENT, "ContentAssetFound"),
    "regenerate_content": OperationDocs(
        CONTENT, "ContentStarted", errors=["ContainerNotFinished", "ProjectIsArchived"], gives=_JOB
    ),
    "approve_content": OperationDocs(CONTENT, "ContentApproved", errors=["NotPending"], shows=_DECIDED),
    "reject_content": OperationDocs(CONTENT, "ContentRejected", errors=["NotPending"], shows=_DECIDED),
    "get_approval_policy": OperationDocs(CONTENT, "ApprovalPolicy"),
    "patch_approval_policy": OperationDocs(CONTENT, "ApprovalPolicy"),
    "get_credits": OperationDocs(CREDITS, "Credits"),
}
