"""The responses of the control plane: each an example, whose schema allows exactly its fields."""

from typing import Any

from layers_standin.control.presets import PRESETS
from layers_standin.domain.events import TYPES
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.examples import API_KEY, AVA, EVENT, FAULT, KEY, ORGANIZATION, SNAPSHOT
from layers_standin.openapi.json_schema import FIELDS, JsonSchema, record, record_like, ref
from layers_standin.openapi.publishing import ACCOUNT, ACCOUNT_FIELDS
from layers_standin.openapi.responses import INFLUENCER, Response, list_of, response
from layers_standin.openapi.webhooks import DELIVERY, DELIVERY_FIELDS, ENDPOINT, ENDPOINT_FIELDS

_REQUEST = "req_01HXZFK2M4P6R8T0V2X4Z6B8D0"
_PATCH_PATH = f"/v1/influencers/{AVA}"

_SNAPSHOT = {"name": SNAPSHOT, "at": "2026-04-18T09:18:44.120Z", "documents": 19, "bytes": 15277}
_ORGANIZATION = {
    "organizationId": ORGANIZATION,
    "name": "Northwind Studio",
    "createdAt": "2026-03-02T08:00:00.000Z",
}
_KEY = {
    "apiKeyId": KEY,
    "apiKey": API_KEY,
    "scopes": ["*"],
    "rateLimitTier": "standard",
}
_NEW_ORGANIZATION = {
    "organizationId": "5a0e7c1d-8b2f-4d63-9e47-1c6b3f9a2d58",
    "name": "Organization",
    "createdAt": "2026-04-18T09:55:00.000Z",
}
_FAULT: dict[str, Any] = {
    "id": FAULT,
    "organizationId": None,
    "preset": None,
    "match": {"operation": "patchInfluencer"},
    "after": 0,
    "every": 1,
    "times": 1,
    "answer": {"code": "RATE_LIMITED", "retryAfter": 3},
    "seen": 0,
    "used": 0,
    "requestIds": [],
    "createdAt": "2026-04-18T10:00:00.000Z",
}
_LOGGED_REQUEST = {
    "requestId": _REQUEST,
    "at": "2026-04-18T10:01:00.250000Z",
    "operation": "patchInfluencer",
    "method": "PATCH",
    "path": _PATCH_PATH,
    "query": "",
    "headers": {"X-Api-Key": "***", "Content-Type": "application/json", "User-Agent": "curl/8.14.1"},
    "responseHeaders": {"Content-Type": "application/json", "Retry-After": "3"},
    "status": 429,
    "milliseconds": 1.2,
    "organizationId": ORGANIZATION,
    "keyId": "DEM0DEM0DEM0DEM0",
    "apiKeyId": KEY,
    "idempotencyKey": None,
    "replayed": False,
    "faultId": FAULT,
    "cut": False,
    "request": '{"vibe":"festive"}',
    "response": '{"error":{"code":"RATE_LIMITED","message":"Too many requests.",'
    f'"requestId":"{_REQUEST}","details":{{"endpointClass":"write-light"}}}}}}',
    "hint": None,
    "curl": f'curl -X PATCH http://127.0.0.1:8000{_PATCH_PATH} -H "X-Api-Key: $LAYERS_API_KEY" '
    "-H 'Content-Type: application/json' --data-raw '{\"vibe\":\"festive\"}'",
    "unread": [],
}
_PRESET = {"name": "rate-limited", **PRESETS["rate-limited"]._asdict()}
_COMMAND = {"method": "GET", "path": "/_standin/clock", "summary": "Return the time."}
_CHANGE = {
    "revision": 1,
    "at": "2026-04-18T09:18:44.120Z",
    "operation": "patchInfluencer",
    "apiKeyId": KEY,
    "requestId": "req_01HXZE8R5T7W9Y1A3C5E7G9J1K",
    "before": {"vibe": "calm and curious"},
    "after": {"vibe": "precise and energetic"},
}
_COUNTS = {"organizations": 1, "projects": 2, "influencers": 4, "assets": 8, "jobs": 0, "api_keys": 1}

_PENDING = {
    "organizationId": ORGANIZATION,
    "clock": "2026-04-18T10:00:00.000Z",
    "status": "pending",
    "eventType": "job.completed",
    "eventId": EVENT,
    "dueAt": "2026-04-18T10:00:02.000Z",
    "isDue": False,
    "deliveryId": None,
    "endpointId": None,
    "attempts": 0,
}
_MESSAGE = {
    "receivedAt": "2026-04-18T10:00:02.120Z",
    "headers": {"Content-Type": "application/json", "X-Layers-Event-Id": EVENT},
    "body": '{"id":EVENT,"type":"test.ping"}',
    "bytes": 20,
    "isVerified": False,
    "reason": "There is no X-Layers-Signature.",
}

_SNAPSHOT_NAME = schema.text(pattern="^[0-9A-Za-z_-]{1,64}$")
_INBOX_NAME = schema.text(pattern="^[0-9A-Za-z_-]{1,64}$")
_FAULT_ID = schema.minted("fault")
_WHOSE = schema.or_null(schema.UUID)
_OF_ORGANIZATION: JsonSchema = {"name": schema.TEXT, "createdAt": schema.MILLISECONDS}
_REFERENCE = record(assetId=FIELDS["assetId"], addedAt=FIELDS["addedAt"])

RESPONSES: dict[str, Response] = {
    "SocialAccountSet": response(
        {"organizationId": ORGANIZATION} | ACCOUNT | {"status": "reauth_required"}, **ACCOUNT_FIELDS
    ),
    "EndpointSet": response(ENDPOINT, **ENDPOINT_FIELDS),
    "DeliverySent": response(DELIVERY, **DELIVERY_FIELDS),
    "Index": response(
        {
            "console": "http://127.0.0.1:8000/console",
            "docs": "http://127.0.0.1:8000/docs",
            "openapi": "http://127.0.0.1:8000/openapi.json",
            "commands": [_COMMAND],
        },
        console=schema.or_null(schema.TEXT),
        docs=schema.TEXT,
        openapi=schema.TEXT,
        commands=schema.listed(record_like(_COMMAND, summary=schema.TEXT)),
    ),
    "Health": response(
        {"status": "ready", "version": "0.1.0", "engine": "sqlite", "counts": _COUNTS},
        "status",
        counts=record(**dict.fromkeys(_COUNTS, schema.COUNT)),
    ),
    "ResetDone": response({"reset": True, "to": "seed"}, to={"enum": ["seed", "empty"]}),
    "Snapshot": response(_SNAPSHOT, name=_SNAPSHOT_NAME),
    "SnapshotList": list_of("Snapshot", _SNAPSHOT),
    "SnapshotRestored": response({"name": SNAPSHOT, "restored": True}, name=_SNAPSHOT_NAME),
    "SnapshotDeleted": response({"name": SNAPSHOT, "deleted": True}, name=_SNAPSHOT_NAME),
    "OrganizationList": list_of("Organization", _ORGANIZATION),
    "OrganizationCreated": response(_NEW_ORGANIZATION | _KEY, **_OF_ORGANIZATION),
    "OrganizationDeleted": response({"organizationId": ORGANIZATION, "deleted": True}),
    "KeyCreated": response(_KEY),
    "CreditsSet": response(
        {"organizationId": None, "balance": 25000}, organizationId=_WHOSE, balance={"type": "integer"}
    ),
    "Clock": response(
        {
            "organizationId": None,
            "mode": "frozen",
            "now": "2026-12-24T18:00:00.000Z",
            "offsetMs": None,
            "inherited": False,
        },
        organizationId=_WHOSE,
        mode={"enum": ["real", "frozen", "offset"]},
        offsetMs=schema.or_null({"type": "integer"}),
    ),
    "Fault": response(
        _FAULT,
        id=_FAULT_ID,
        organizationId=_WHOSE,
        preset=schema.or_null({"enum": list(PRESETS)}),
        match=ref("Match"),
        after=schema.COUNT,
        every=schema.FROM_ONE,
        requestIds=schema.listed(schema.TEXT),
        times=schema.or_null(schema.FROM_ONE),
        answer=ref("Answer"),
        createdAt=schema.MILLISECONDS,
    ),
    "FaultCreated": Response(_FAULT, {"anyOf": [ref("Fault"), ref("FaultList")]}),
    "FaultList": list_of("Fault", _FAULT),
    "FaultPresetList": list_of("FaultPreset", _PRESET),
    "FaultDeleted": response({"id": FAULT, "deleted": True}, id=_FAULT_ID),
    "Deleted": response({"deleted": True}),
    "LoggedRequestsFound": Response(
        {"items": [_LOGGED_REQUEST]}, {"anyOf": [ref("LoggedRequestList"), record(count=schema.COUNT)]}
    ),
    "LoggedRequestList": list_of("LoggedRequest", _LOGGED_REQUEST),
    "LogSwitched": response({"organizationId": None, "enabled": False}, organizationId=_WHOSE),
    "PendingWebhookList": list_of("PendingWebhook", _PENDING),
    "WebhooksFlushed": response({"organizationId": None, "flushed": True}, organizationId=_WHOSE),
    "Inbox": response(
        {"name": "mine", "items": [_MESSAGE]}, name=_INBOX_NAME, items=schema.listed(ref("InboxMessage"))
    ),
    "InboxEmptied": response({"name": "mine", "deleted": True}, name=_INBOX_NAME),
    "History": response(
        {
            "influencerId": AVA,
            "organizationId": ORGANIZATION,
            "isArchived": False,
            "deletion": None,
            "influencer": INFLUENCER,
            "changes": [_CHANGE],
        },
        deletion=schema.or_null(ref("Deletion")),
        influencer=ref("Influencer"),
        changes=schema.listed(ref("Change")),
    ),
}

# The schemas that responses refer to.
SCHEMAS: dict[str, JsonSchema] = {
    "Organization": record_like(_ORGANIZATION, **_OF_ORGANIZATION),
    "LoggedRequest": record_like(
        _LOGGED_REQUEST,
        at=schema.MICROSECONDS,
        headers={"type": "object", "additionalProperties": schema.TEXT},
        responseHeaders={"type": "object", "additionalProperties": schema.TEXT},
        hint=schema.or_null(schema.TEXT),
        unread=schema.listed(ref("UnreadPart")),
        status={"type": "integer", "minimum": 100, "maximum": 599},
        organizationId=schema.or_null(schema.UUID),
        apiKeyId=schema.or_null(schema.UUID),
    ),
    "UnreadPart": record(**{"in": {"enum": ["query", "header", "body"]}, "name": schema.TEXT, "reason": schema.TEXT}),
    "FaultPreset": record_like(
        _PRESET, name={"enum": list(PRESETS)}, description=schema.TEXT, rules=schema.listed(ref("FaultCreate"))
    ),
    "PendingWebhook": record_like(
        _PENDING,
        organizationId=schema.UUID,
        status={"enum": ["pending", "delivering"]},
        eventType={"enum": list(TYPES)},
        eventId=schema.minted("evt"),
        deliveryId=schema.or_null(schema.minted("whd")),
        endpointId=schema.or_null(schema.minted("whe")),
        attempts=schema.COUNT,
    ),
    "MessageReceived": record(received=schema.constant(True)),
    "InboxMessage": record_like(
        _MESSAGE,
        headers={"type": "object", "additionalProperties": schema.TEXT},
        body=schema.TEXT,
        reason=schema.or_null(schema.TEXT),
    ),
    "Change": record_like(
        _CHANGE,
        apiKeyId=schema.or_null(schema.UUID),
        requestId=schema.or_null(schema.TEXT),
        before=schema.or_null(ref("ChangedFields")),
        after=ref("ChangedFields"),
    ),
    # Only the changed fields; all of them at the beginning.
    "ChangedFields": record(
        {name: FIELDS[name] for name in INFLUENCER if name != "updatedAt"}
        | {"referenceImages": schema.listed(_REFERENCE), "deletion": ref("Deletion")}
    ),
    "Deletion": record(reason=FIELDS["reason"], apiKeyId=schema.UUID, deletedAt=FIELDS["deletedAt"]),
}
