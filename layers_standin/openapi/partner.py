"""The partner API, `/v1`, as a part of the document."""

from collections.abc import Sequence
from typing import Any

from layers_standin.openapi import examples
from layers_standin.openapi.document import OperationDocs, OperationLike, PathParameter, Reply, Section
from layers_standin.openapi.files import FILE_ROUTES
from layers_standin.openapi.responses import SCHEMAS

INFLUENCERS, JOBS, PROJECTS, MEDIA, KEYS = "Influencers", "Jobs", "Projects", "Media", "Keys"

TAGS = {
    INFLUENCERS: "Synthetic people of a project.",
    JOBS: "What makes an influencer ready; it takes a while.",
    PROJECTS: "What influencers and pictures belong to.",
    MEDIA: "Pictures, videos and sounds.",
    KEYS: "Who is asking, and switching keys off.",
}

_SECURITY_SCHEMES: dict[str, Any] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "Wins if both are sent."},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
}

_THINGS = {
    "influencerId": PathParameter("Influencer", examples.AVA),
    "projectId": PathParameter("Project", examples.SPRING),
    "jobId": PathParameter("Job", examples.JOB),
    "keyId": PathParameter("API key", examples.KEY),
}

_NEXT = "$response.body#/nextCursor"
_STARTED = {"jobId": "/jobId", "influencerId": "/influencerId"}
_OF_INFLUENCER = {"influencerId": "/influencerId"}

NOTES: dict[str, OperationDocs] = {
    "whoami": OperationDocs(KEYS, Reply("WhoAmI", examples.WHO_AM_I)),
    "get_influencer": OperationDocs(INFLUENCERS, Reply("Influencer", examples.INFLUENCER)),
    "patch_influencer": OperationDocs(
        INFLUENCERS, Reply("Influencer", examples.INFLUENCER), examples.PATCH_INFLUENCER, shows=_OF_INFLUENCER
    ),
    "delete_influencer": OperationDocs(
        INFLUENCERS,
        Reply("InfluencerDeleted", examples.INFLUENCER_DELETED),
        examples.DELETE_INFLUENCER,
        shows=_OF_INFLUENCER,
    ),
    "attach_reference_images": OperationDocs(
        INFLUENCERS,
        Reply("ReferenceImageList", examples.REFERENCE_IMAGES),
        examples.ATTACH,
        shows=_OF_INFLUENCER,
    ),
    "list_influencers": OperationDocs(
        INFLUENCERS,
        Reply("InfluencerPage", examples.INFLUENCER_PAGE),
        gives={"influencerId": "/items/0/influencerId"},
        links={
            "nextPage": {
                "operationId": "listInfluencers",
                "parameters": {"projectId": "$request.path.projectId", "cursor": _NEXT},
            }
        },
    ),
    "create_influencer": OperationDocs(
        INFLUENCERS,
        Reply("JobStarted", examples.JOB_STARTED),
        examples.CREATE_INFLUENCER,
        refusals=["InfluencerIdTaken", "ProjectIsArchived"],
        gives=_STARTED,
    ),
    "clone_influencer": OperationDocs(
        INFLUENCERS,
        Reply("JobStarted", examples.JOB_STARTED),
        examples.CLONE_INFLUENCER,
        refusals=["InfluencerIdTaken", "ProjectIsArchived"],
        gives=_STARTED,
    ),
    "get_job": OperationDocs(JOBS, Reply("Job", examples.JOB_COMPLETED), gives=_OF_INFLUENCER),
    "cancel_job": OperationDocs(
        JOBS,
        Reply("CancelAccepted", examples.CANCEL_ACCEPTED),
        examples.NOTHING,
        refusals=["JobNotCancelable"],
        also={200: Reply("CancelTooLate", examples.CANCEL_TOO_LATE)},
        shows={"jobId": "/jobId"},
    ),
    "create_project": OperationDocs(
        PROJECTS,
        Reply("Project", examples.PROJECT),
        examples.CREATE_PROJECT,
        refusals=["ProjectIdTaken"],
        gives={"projectId": "/id"},
    ),
    "list_projects": OperationDocs(
        PROJECTS,
        Reply("ProjectPage", examples.PROJECT_PAGE),
        gives={"projectId": "/items/0/id"},
        links={"nextPage": {"operationId": "listProjects", "parameters": {"cursor": _NEXT}}},
    ),
    "get_project": OperationDocs(PROJECTS, Reply("Project", examples.PROJECT)),
    "patch_project": OperationDocs(
        PROJECTS, Reply("Project", examples.PROJECT), examples.PATCH_PROJECT, shows={"projectId": "/id"}
    ),
    "delete_project": OperationDocs(
        PROJECTS,
        Reply("ProjectArchived", examples.PROJECT_ARCHIVED),
        examples.NOTHING,
        shows={"projectId": "/id"},
    ),
    "presign_upload": OperationDocs(
        MEDIA,
        Reply("UploadPromise", examples.UPLOAD_PROMISE),
        examples.PRESIGN,
        links={
            "finalizeUpload": {
                "operationId": "finalizeUpload",
                "parameters": {"projectId": "$request.path.projectId"},
                "requestBody": {"uploadId": "$response.body#/uploadId"},
                "description": "Once the bytes are where `uploadUrl` wants them.",
            }
        },
    ),
    "finalize_upload": OperationDocs(
        MEDIA,
        Reply("Asset", examples.ASSET),
        examples.FINALIZE,
        refusals=["UploadMissing", "UploadMismatch"],
        by_own_links_only=True,
    ),
    "upload_inline": OperationDocs(MEDIA, Reply("Asset", examples.ASSET), examples.INLINE),
    "kill_key": OperationDocs(
        KEYS, Reply("KeyKilled", examples.KEY_KILLED), examples.NOTHING, gives={"keyId": "/apiKey/id"}
    ),
    "rotate_key": OperationDocs(
        KEYS, Reply("KeyRotated", examples.KEY_ROTATED), examples.NOTHING, gives={"keyId": "/apiKey/id"}
    ),
    "delete_key": OperationDocs(
        KEYS, Reply("KeyDeleted", examples.KEY_DELETED), examples.NOTHING, gives={"keyId": "/apiKey/id"}
    ),
}


def partner_api(operations: Sequence[OperationLike]) -> Section:
    """Return the operations under `/v1`, which need an API key."""
    return Section(
        operations=operations,
        notes=NOTES,
        tags=TAGS,
        schemas=SCHEMAS,
        security=_security,
        security_schemes=_SECURITY_SCHEMES,
        refusals=["Unauthenticated", "RateLimited", "Internal", "KillSwitch", "Unavailable"],
        things=_THINGS,
        routes=FILE_ROUTES,
    )


def _security(scope: str | None) -> list[dict[str, list[str]]]:
    """Return the requirements of both ways to send a key, with the scope."""
    scopes = [] if scope is None else [scope]
    return [{"ApiKey": scopes}, {"Bearer": scopes}]
