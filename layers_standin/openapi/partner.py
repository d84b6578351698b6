"""The partner API, `/v1`, as a part of the document."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from layers_standin.openapi import content, publishing, quickstart
from layers_standin.openapi.document import OperationDocs, Section, next_page
from layers_standin.openapi.files import FILE_ROUTES
from layers_standin.openapi.json_schema import ref
from layers_standin.openapi.responses import JOBS as INFLUENCER_JOBS
from layers_standin.openapi.responses import RESPONSES, SCHEMAS, Response
from layers_standin.web.operations import Operation

T = TypeVar("T")

INFLUENCERS, JOBS, PROJECTS, MEDIA, KEYS = "Influencers", "Jobs", "Projects", "Media", "Keys"

_SECURITY_SCHEMES: dict[str, Any] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}

_JOB = {"jobId": "/jobId"}
_INFLUENCER = {"influencerId": "/influencerId"}
_PROJECT = {"projectId": "/id"}
_KEY = {"keyId": "/apiKey/id"}

_NEW_INFLUENCER = OperationDocs(
    INFLUENCERS, "JobStarted", errors=["InfluencerIdTaken", "ProjectIsArchived"], gives=_JOB | _INFLUENCER
)


_FINALIZE = {
    "operationId": "finalizeUpload",
    "parameters": {"projectId": "$request.path.projectId"},
    "requestBody": {"uploadId": "$response.body#/uploadId"},
    "description": "Once the bytes are where `uploadUrl` wants them.",
}

DOCS: dict[str, OperationDocs] = {
    "whoami": OperationDocs(KEYS, "WhoAmI"),
    "get_influencer": OperationDocs(INFLUENCERS, "Influencer"),
    "patch_influencer": OperationDocs(INFLUENCERS, "Influencer", shows=_INFLUENCER),
    "delete_influencer": OperationDocs(INFLUENCERS, "InfluencerDeleted", shows=_INFLUENCER),
    "attach_reference_images": OperationDocs(INFLUENCERS, "ReferenceImageList", shows=_INFLUENCER),
    "list_influencers": OperationDocs(
        INFLUENCERS,
        "InfluencerPage",
        gives={"influencerId": "/items/0/influencerId"},
        links=next_page("listInfluencers", projectId="$request.path.projectId"),
    ),
    "create_influencer": _NEW_INFLUENCER,
    "clone_influencer": _NEW_INFLUENCER,
    "get_job": OperationDocs(JOBS, "Job", gives=_INFLUENCER),
    "cancel_job": OperationDocs(
        JOBS, "CancelAccepted", errors=["JobNotCancelable"], also={200: "CancelTooLate"}, shows=_JOB
    ),
    "create_project": OperationDocs(PROJECTS, "Project", errors=["ProjectIdTaken"], gives=_PROJECT),
    "list_projects": OperationDocs(
        PROJECTS, "ProjectPage", gives={"projectId": "/items/0/id"}, links=next_page("listProjects")
    ),
    "get_project": OperationDocs(PROJECTS, "Project"),
    "patch_project": OperationDocs(PROJECTS, "Project", shows=_PROJECT),
    "delete_project": OperationDocs(PROJECTS, "ProjectArchived", shows=_PROJECT),
    "presign_upload": OperationDocs(MEDIA, "UploadPromise", links={"finalizeUpload": _FINALIZE}),
    "finalize_upload": OperationDocs(
        MEDIA, "Asset", errors=["UploadMissing", "UploadMismatch"], by_own_links_only=True
    ),
    "upload_inline": OperationDocs(MEDIA, "Asset"),
    "kill_key": OperationDocs(KEYS, "KeyKilled", gives=_KEY),
    "rotate_key": OperationDocs(KEYS, "KeyRotated", gives=_KEY),
    "delete_key": OperationDocs(KEYS, "KeyDeleted", gives=_KEY),
}

# The nouns with a module of their own.
_NOUNS = (content, publishing, quickstart)


def partner_api(operations: Sequence[Operation]) -> Section:
    """Return the operations under `/v1`, which need an API key."""
    return Section(
        operations=operations,
        docs=_merged(DOCS, *(noun.DOCS for noun in _NOUNS)),
        responses=_merged(RESPONSES, {"Job": _job()}, *(noun.RESPONSES for noun in _NOUNS)),
        schemas=_merged(SCHEMAS, *(noun.SCHEMAS for noun in _NOUNS)),
        security=_security,
        security_schemes=_SECURITY_SCHEMES,
        errors=["Unauthenticated", "RateLimited", "Internal", "KillSwitch", "Unavailable"],
        routes=FILE_ROUTES,
    )


def _job() -> Response:
    """Return the response with a job of any kind."""
    names = [*INFLUENCER_JOBS, *(name for noun in _NOUNS for name in noun.JOBS)]
    return RESPONSES["Job"]._replace(schema={"oneOf": [ref(name) for name in names]})


def _merged(*tables: Mapping[str, T]) -> dict[str, T]:
    return {name: row for table in tables for name, row in table.items()}


def _security(scope: str | None) -> list[dict[str, list[str]]]:
    """Return the requirements of both ways to send a key, with the scope."""
    scopes = [] if scope is None else [scope]
    return [{"ApiKey": scopes}, {"Bearer": scopes}]
