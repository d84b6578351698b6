"""What is posted to webhook endpoints, as the document's `webhooks`: an operation and a schema for each type."""

from typing import Any

from layers_standin.domain.events import TYPES
from layers_standin.domain.schedules import STAGES
from layers_standin.openapi import content, examples, publishing, quickstart, responses
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.descriptions import TEXTS
from layers_standin.openapi.json_schema import MILLISECONDS, SECONDS, JsonSchema, record, ref
from layers_standin.openapi.responses import Response
from layers_standin.openapi.webhooks import WEBHOOKS

Json = dict[str, Any]

_ID = schema.minted("evt")
_FAILURE = record(code=schema.TEXT, message=schema.TEXT)
_SIGNATURE = "t=1776504602,v1=6a1f0c5b9d3e7a2486c0de1f52b79a3348e5d6107bc29f4a85d0316eb7c4f928"
_RESULT: JsonSchema = {
    "anyOf": [
        noun.SCHEMAS[name]["properties"]["result"]
        for noun, name in (
            (responses, "JobCompleted"),
            (content, "ContentJobCompleted"),
            (quickstart, "IngestCompleted"),
        )
    ]
}
_JOB = {"jobId": examples.JOB, "kind": "influencer_create"}
_CONTENT = {"id": examples.CONTAINER, "projectId": examples.SPRING}
_POST = {"scheduledPostId": examples.POST, "containerId": examples.CONTAINER}
_ACCOUNT = {
    "socialAccountId": examples.ACCOUNT,
    "projectId": examples.SPRING,
    "platform": "tiktok",
    "handle": "northwind.spring",
}
_JOB_FIELDS: dict[str, JsonSchema] = {"kind": {"enum": list(STAGES)}}
_POST_FIELDS: dict[str, JsonSchema] = {
    "externalId": publishing.POST_FIELDS["externalId"],
    "externalUrl": publishing.POST_FIELDS["externalUrl"],
    "scheduledFor": publishing.POST_FIELDS["scheduledFor"],
    "canceledAt": SECONDS,
    "error": _FAILURE,
}
_ACCOUNT_FIELDS = {"platform": publishing.ACCOUNT_FIELDS["platform"], "handle": publishing.ACCOUNT_FIELDS["handle"]}


def _data(example: Json, **own: JsonSchema) -> Response:
    """Return the data of an event: an example, and the schema with exactly its fields."""
    return Response(example, schema.record_like(example, **{name: own[name] for name in example if name in own}))


DATA: dict[str, Response] = {
    "job.completed": _data(_JOB | {"result": {"influencerId": examples.NEW_INFLUENCER}}, **_JOB_FIELDS, result=_RESULT),
    "job.failed": _data(
        _JOB | {"error": {"code": "GENERATION_FAILED", "message": "The generation failed."}},
        **_JOB_FIELDS,
        error=_FAILURE,
    ),
    "job.canceled": _data(_JOB, **_JOB_FIELDS),
    "content.generated": _data(_CONTENT | {"assets": [content.ASSET]}, assets=schema.listed(ref("ContentAsset"))),
    "content.approved": _data(
        _CONTENT | {"approvedAt": "2026-04-18T09:31:00.000Z", "approvedBy": examples.KEY}, approvedAt=MILLISECONDS
    ),
    "content.rejected": _data(
        _CONTENT
        | {"rejectedAt": "2026-04-18T09:31:00.000Z", "rejectedBy": examples.KEY, "reason": "The logo is cut off."},
        rejectedAt=MILLISECONDS,
    ),
    "post.scheduled": _data(_POST | {"scheduledFor": "2026-04-18T10:00:00Z"}, **_POST_FIELDS),
    "post.published": _data(
        _POST | {name: publishing.POST[name] for name in ("externalId", "externalUrl")}, **_POST_FIELDS
    ),
    "post.failed": _data(
        _POST | {"error": {"code": "PLATFORM_REJECTED", "message": "The platform rejected the post."}}, **_POST_FIELDS
    ),
    "post.canceled": _data(_POST | {"canceledAt": "2026-04-18T09:45:00Z"}, **_POST_FIELDS),
    "social_account.connected": _data(
        _ACCOUNT | {"connectedAt": "2026-04-01T09:30:00Z"}, **_ACCOUNT_FIELDS, connectedAt=SECONDS
    ),
    "social_account.revoked": _data(
        _ACCOUNT | {"disconnectedReason": "revoked_by_partner", "disconnectedAt": "2026-04-18T09:45:00Z"},
        **_ACCOUNT_FIELDS,
        disconnectedReason=schema.constant("revoked_by_partner"),
        disconnectedAt=SECONDS,
    ),
    "test.ping": Response(
        {
            "message": "A test of this endpoint.",
            "endpointId": examples.ENDPOINT,
            "organizationId": examples.ORGANIZATION,
        },
        {"type": "object"},
    ),
}


def name_of(kind: str) -> str:
    """Return SocialAccountConnected for social_account.connected."""
    return "".join(word.title() for word in kind.replace("_", ".").split("."))


def event_schemas() -> dict[str, JsonSchema]:
    """Return the schema of the body of each type, by its name in the document."""
    return {
        f"{name_of(kind)}Event": record(
            {"replayOf": _ID},
            id=_ID,
            type=schema.constant(kind),
            createdAt=MILLISECONDS,
            data=DATA[kind].schema,
        )
        for kind in TYPES
    }


def event_webhooks() -> Json:
    """Return {type: path item}: the POST that an endpoint receives."""
    return {kind: {"post": _operation(kind)} for kind in TYPES}


def _operation(kind: str) -> Json:
    name = f"{name_of(kind)}Event"
    event = {
        "id": examples.EVENT,
        "type": kind,
        "createdAt": "2026-04-18T09:30:02.050Z",
        "data": DATA[kind].example,
    }
    content = {"application/json": {"schema": ref(name), "examples": {kind: {"value": event}}}}
    return {
        "operationId": f"on{name_of(kind)}",
        "summary": TEXTS["events"][kind],
        "tags": [WEBHOOKS],
        "security": [],
        "parameters": [
            _header("X-Layers-Event-Id", _ID, examples.EVENT),
            _header("X-Layers-Signature", schema.text(pattern="^t=[0-9]+(,v1=[0-9a-f]{64}){1,2}$"), _SIGNATURE),
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {"2XX": {"description": TEXTS["events"]["received"]}},
    }


def _header(name: str, rules: JsonSchema, example: str) -> Json:
    return {"in": "header", "name": name, "required": True, "schema": rules, "example": example}
