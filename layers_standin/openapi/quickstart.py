"""A partner's first script in the document: the GitHub installation, its repositories, and ingests."""

from typing import Any

from layers_standin.domain.brands import brand_of_repository
from layers_standin.domain.schedules import INGEST_GITHUB, INGEST_WEBSITE, STAGES
from layers_standin.openapi import examples
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.document import OperationDocs, next_page
from layers_standin.openapi.json_schema import JsonSchema, or_null, record_like
from layers_standin.openapi.responses import Response, list_of, response

GITHUB, INGESTS = "GitHub", "Ingests"

_INGEST = OperationDocs(INGESTS, "IngestStarted", errors=["ProjectIsArchived"], gives={"jobId": "/jobId"})

DOCS: dict[str, OperationDocs] = {
    "get_install_url": OperationDocs(GITHUB, "InstallUrl", errors=["ReturnUrlNotAllowed"]),
    "register_installation": OperationDocs(GITHUB, "InstallationRegistered"),
    "get_installation": OperationDocs(GITHUB, "Installation", errors=["NotFound"]),
    "list_repositories": OperationDocs(
        GITHUB, "RepositoryPage", errors=["NotFound"], links=next_page("listRepositories")
    ),
    "ingest_github": _INGEST,
    "ingest_website": _INGEST,
}

_CONSENT_URL = "http://127.0.0.1:8000/consent/WyJnaXRodWIiLCI2ZjFjMmY1ZSIsInN0XzAxSFhaR04yUSJd.x3Tq0mYw"
_INSTALLATION = {
    "installationId": examples.INSTALLATION,
    "githubAccount": {"login": "northwind-studio", "type": "Organization"},
    "orgLogin": "northwind-studio",
    "status": "active",
    "registeredAt": "2026-04-18T09:30:00Z",
}
_REPOSITORY = {
    "repoId": 519273607,
    "fullName": examples.REPOSITORY,
    "owner": "northwind-studio",
    "private": True,
    "defaultBranch": "main",
    "language": "TypeScript",
    "primaryLanguage": "TypeScript",
    "htmlUrl": f"https://github.example/{examples.REPOSITORY}",
}
_STARTED = {
    "jobId": examples.JOB,
    "kind": INGEST_GITHUB,
    "status": "running",
    "stage": "cloning",
    "projectId": examples.SPRING,
    "locationUrl": f"/v1/jobs/{examples.JOB}",
    "startedAt": "2026-04-18T09:30:00.000Z",
}
_ENDED = _STARTED | {"stage": "finalizing", "finishedAt": "2026-04-18T09:30:02.000Z"}

_KINDS: JsonSchema = {"enum": [INGEST_GITHUB, INGEST_WEBSITE]}
_STAGES: JsonSchema = {"enum": list(dict.fromkeys(name for kind in _KINDS["enum"] for name, _ in STAGES[kind]))}
_URL = schema.text(format="uri")
_POSITIVE: JsonSchema = {"type": "integer", "minimum": 1}
_INSTALLATION_FIELDS: dict[str, JsonSchema] = {
    "installationId": _POSITIVE,
    "githubAccount": schema.record(login=schema.TEXT, type=schema.constant("Organization")),
    "orgLogin": schema.TEXT,
    "registeredAt": schema.SECONDS,
}
_REPOSITORY_FIELDS: dict[str, JsonSchema] = {
    "repoId": _POSITIVE,
    **dict.fromkeys(("fullName", "owner", "language"), schema.TEXT),
    "private": {"type": "boolean"},
    "htmlUrl": _URL,
}


def _job(example: dict[str, Any], *constants: str, **own: JsonSchema) -> JsonSchema:
    return record_like(example, *constants, kind=_KINDS, stage=_STAGES, **own)


RESPONSES: dict[str, Response] = {
    "InstallUrl": response(
        {
            "authUrl": _CONSENT_URL,
            "installUrl": _CONSENT_URL,
            "state": examples.STATE,
            "expiresAt": "2026-04-18T09:45:00Z",
        },
        authUrl=_URL,
        installUrl=_URL,
        state=schema.ID,
        expiresAt=schema.SECONDS,
    ),
    "InstallationRegistered": response(_INSTALLATION, "status", **_INSTALLATION_FIELDS),
    "Installation": response(
        _INSTALLATION | {"lastVerifiedAt": "2026-04-18T09:30:00Z"},
        "status",
        **_INSTALLATION_FIELDS,
        lastVerifiedAt=schema.SECONDS,
    ),
    "RepositoryPage": list_of("Repository", _REPOSITORY, nextCursor=None),
    "IngestStarted": Response(_STARTED, _job(_STARTED, "status")),
}

JOBS = ("IngestRunning", "IngestCompleted", "IngestEndedEarly")

SCHEMAS: dict[str, JsonSchema] = {
    "Repository": record_like(_REPOSITORY, "defaultBranch", **_REPOSITORY_FIELDS),
    "IngestRunning": _job(_STARTED | {"progress": 0}, "status"),
    "IngestCompleted": _job(
        _ENDED | {"status": "completed", "progress": 1, "result": None},
        "status",
        "progress",
        result=schema.record({"prUrl": or_null(_URL)}, projectId=schema.ID),
    ),
    "IngestEndedEarly": _job(
        _ENDED | {"progress": 0, "error": None},
        status={"enum": ["failed", "canceled"]},
        error=schema.record(code=schema.TEXT, message=schema.TEXT),
    ),
    "BrandContext": record_like(
        brand_of_repository(examples.REPOSITORY, "en"),
        **dict.fromkeys(
            ("appName", "appDescription", "tagline", "audience", "icp", "brandVoice", "primaryLanguage"), schema.TEXT
        ),
        keywords=schema.listed(schema.TEXT),
        logoUrl=schema.NULL,
    ),
    "IngestState": {
        "oneOf": [
            schema.NULL,
            schema.record(status={"enum": ["running", "failed", "canceled"]}, jobId=schema.minted("job")),
            schema.record(status=schema.constant("completed"), jobId=schema.minted("job"), completedAt=schema.SECONDS),
        ]
    },
}
