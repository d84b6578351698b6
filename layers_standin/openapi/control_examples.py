"""Examples of the control plane in the document: the requests work on a new store, as in `examples.py`."""

from typing import Any

from layers_standin.openapi.examples import AVA, INFLUENCER, KEY, ORGANIZATION

SNAPSHOT = "two-projects"
FAULT = "fault_01HXZG1C3E5G7J9K1M3P5R7T9V"

_REQUEST = "req_01HXZFK2M4P6R8T0V2X4Z6B8D0"
_PATCH_PATH = f"/v1/influencers/{AVA}"

Example = Any

# Requests by title


RESET: Example = {"to the seed": {"to": "seed"}, "to nothing": {"to": "empty"}, "as the service began": {}}
CREATE_SNAPSHOT: Example = {"named": {"name": SNAPSHOT}}
CREATE_ORGANIZATION: Example = {
    "for one test": {},
    "with a key for little": {"name": "Southwind", "scopes": ["projects:read"], "rateLimitTier": "pilot"},
}
CREATE_KEY: Example = {"for jobs": {"name": "Job watcher", "scopes": ["jobs:read", "jobs:cancel"]}, "for all": {}}
SET_CLOCK: Example = {
    "frozen": {"mode": "frozen", "at": "2026-12-24T18:00:00Z"},
    "shifted": {"mode": "offset", "offset": "P1D"},
    "a quarter of an hour on": {"advance": "PT15M"},
    "for one organization": {"mode": "real", "organizationId": ORGANIZATION},
}
CREATE_FAULT: Example = {
    "one too many": {
        "match": {"operation": "patchInfluencer"},
        "times": 1,
        "answer": {"code": "RATE_LIMITED", "retryAfter": 3},
    },
    "done, but nobody hears of it": {
        "match": {"method": "POST", "path": "/v1/projects/{id}/influencers"},
        "answer": {"loseReplyAfterEffect": True},
        "organizationId": ORGANIZATION,
    },
    "slow": {"answer": {"delayMs": 250}},
    "cut off": {"answer": {"truncateBody": 20, "delayMs": 250}},
    "a job that fails": {"answer": {"failJob": {"code": "MODEL_ERROR", "message": "The model did not converge."}}},
}
SET_LOG: Example = {"off": {"enabled": False}}

# Replies


HEALTH: Example = {
    "status": "ready",
    "version": "0.1.0",
    "engine": "sqlite",
    "counts": {"organizations": 1, "projects": 2, "influencers": 4, "assets": 8, "jobs": 0, "api_keys": 1},
}
RESET_DONE: Example = {"reset": True, "to": "seed"}
SNAPSHOT_VIEW: Example = {"name": SNAPSHOT, "at": "2026-04-18T09:18:44.120Z", "documents": 19, "bytes": 15277}
SNAPSHOT_LIST: Example = {"items": [SNAPSHOT_VIEW]}
SNAPSHOT_RESTORED: Example = {"name": SNAPSHOT, "restored": True}
SNAPSHOT_DELETED: Example = {"name": SNAPSHOT, "deleted": True}
ORGANIZATION_VIEW: Example = {
    "organizationId": ORGANIZATION,
    "name": "Northwind Studio",
    "createdAt": "2026-03-02T08:00:00.000Z",
}
ORGANIZATION_LIST: Example = {"items": [ORGANIZATION_VIEW]}
KEY_CREATED: Example = {
    "apiKeyId": KEY,
    "apiKey": "lp_test_OQRH3ZRFWSQP5XMJ_I1BMYQ0O_Qe4s3Mp6VKYMt6j0yf1YDYnDNGq9GxUHOg",
    "scopes": ["*"],
    "rateLimitTier": "standard",
}
ORGANIZATION_CREATED: Example = {
    "organizationId": "5a0e7c1d-8b2f-4d63-9e47-1c6b3f9a2d58",
    "name": "Organization",
    "createdAt": "2026-04-18T09:55:00.000Z",
} | KEY_CREATED
ORGANIZATION_DELETED: Example = {"organizationId": ORGANIZATION, "deleted": True}
CLOCK: Example = {
    "organizationId": None,
    "mode": "frozen",
    "now": "2026-12-24T18:00:00.000Z",
    "offsetMs": None,
    "inherited": False,
}
FAULT_VIEW: Example = {
    "id": FAULT,
    "organizationId": None,
    "match": {"operation": "patchInfluencer"},
    "times": 1,
    "answer": {"code": "RATE_LIMITED", "retryAfter": 3},
    "used": 0,
    "createdAt": "2026-04-18T10:00:00.000Z",
}
FAULT_LIST: Example = {"items": [FAULT_VIEW]}
FAULT_DELETED: Example = {"id": FAULT, "deleted": True}
DELETED: Example = {"deleted": True}
REQUEST_LIST: Example = {
    "items": [
        {
            "requestId": _REQUEST,
            "at": "2026-04-18T10:01:00.250000Z",
            "operation": "patchInfluencer",
            "method": "PATCH",
            "path": _PATCH_PATH,
            "query": "",
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
            "curl": f'curl -X PATCH http://127.0.0.1:8000{_PATCH_PATH} -H "X-Api-Key: $LAYERS_API_KEY" '
            "-H 'Content-Type: application/json' --data-raw '{\"vibe\":\"festive\"}'",
        }
    ]
}
LOG_SWITCHED: Example = {"organizationId": None, "enabled": False}
HISTORY: Example = {
    "influencerId": AVA,
    "organizationId": ORGANIZATION,
    "isArchived": False,
    "deletion": None,
    "influencer": INFLUENCER,
    "changes": [
        {
            "revision": 1,
            "at": "2026-04-18T09:18:44.120Z",
            "operation": "patchInfluencer",
            "apiKeyId": KEY,
            "requestId": "req_01HXZE8R5T7W9Y1A3C5E7G9J1K",
            "before": {"vibe": "calm and curious"},
            "after": {"vibe": "precise and energetic"},
        }
    ],
}
