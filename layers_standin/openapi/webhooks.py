"""Webhook endpoints and deliveries in the document: their responses, like those of a new store."""

from layers_standin.domain.deliveries import STATUSES as DELIVERY_STATUSES
from layers_standin.domain.endpoints import STATUSES
from layers_standin.domain.events import TYPES
from layers_standin.openapi import examples
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.document import OperationDocs, next_page
from layers_standin.openapi.json_schema import MILLISECONDS, JsonSchema, or_null, record_like, ref
from layers_standin.openapi.responses import Response, list_of, response

WEBHOOKS = "Webhooks"

_ENDPOINT_ID = {"webhookEndpointId": "/id"}
_SIGNED_BY = "whsec_beJb40UXOj4AhIP_4UkUZKoW1IpT0UPp7ECCVja055g"

DOCS: dict[str, OperationDocs] = {
    "create_webhook_endpoint": OperationDocs(
        WEBHOOKS, "EndpointCreated", errors=["NotFound"], gives={"webhookEndpointId": "/endpoint/id"}
    ),
    "list_webhook_endpoints": OperationDocs(
        WEBHOOKS,
        "WebhookEndpointPage",
        gives={"webhookEndpointId": "/items/0/id"},
        links=next_page("listWebhookEndpoints"),
    ),
    "get_webhook_endpoint": OperationDocs(WEBHOOKS, "WebhookEndpoint"),
    "patch_webhook_endpoint": OperationDocs(WEBHOOKS, "WebhookEndpoint", shows=_ENDPOINT_ID),
    "delete_webhook_endpoint": OperationDocs(WEBHOOKS, "EndpointDeleted"),
    "rotate_webhook_secret": OperationDocs(WEBHOOKS, "SecretRotated", shows={"webhookEndpointId": "/endpointId"}),
    "test_webhook_endpoint": OperationDocs(
        WEBHOOKS, "TestSent", errors=["EndpointIsPaused"], gives={"webhookDeliveryId": "/deliveryId"}
    ),
    "list_webhook_deliveries": OperationDocs(
        WEBHOOKS,
        "WebhookDeliveryPage",
        gives={"webhookDeliveryId": "/items/0/id"},
        links=next_page("listWebhookDeliveries", webhookEndpointId="$request.path.webhookEndpointId"),
    ),
    "replay_webhook_delivery": OperationDocs(WEBHOOKS, "DeliveryReplayed", errors=["EndpointIsPaused"]),
}

ENDPOINT = {
    "id": examples.ENDPOINT,
    "organizationId": examples.ORGANIZATION,
    "projectId": None,
    "url": "http://127.0.0.1:8000/_standin/inbox/mine",
    "description": None,
    "status": "active",
    "events": ["job.completed", "post.published"],
    "apiVersion": "v1",
    "createdAt": "2026-04-18T09:30:00.000Z",
    "updatedAt": "2026-04-18T09:30:00.000Z",
    "lastSuccessAt": None,
    "lastFailureAt": None,
    "consecutiveFailureCount": 0,
}
DELIVERY = {
    "id": examples.DELIVERY,
    "endpointId": examples.ENDPOINT,
    "eventId": examples.EVENT,
    "eventType": "job.completed",
    "status": "delivered",
    "attempts": 1,
    "nextRetryAt": None,
    "deliveredAt": "2026-04-18T09:30:02.120Z",
    "abandonedAt": None,
    "lastResponseStatus": 200,
    "lastResponseAt": "2026-04-18T09:30:02.120Z",
    "lastErrorMessage": None,
    "createdAt": "2026-04-18T09:30:02.050Z",
}
_SIGNING_SECRET = schema.text(pattern="^whsec_[0-9A-Za-z_-]{43}$")
_TYPE: JsonSchema = {"enum": list(TYPES)}
_ENDPOINT_IDS, _DELIVERY_IDS, _EVENT_IDS = schema.minted("whe"), schema.minted("whd"), schema.minted("evt")

ENDPOINT_FIELDS: dict[str, JsonSchema] = {
    "id": _ENDPOINT_IDS,
    "projectId": or_null(schema.ID),
    "description": or_null(schema.TEXT),
    "status": {"enum": list(STATUSES)},
    "events": schema.listed(_TYPE),
    "apiVersion": schema.constant("v1"),
    "createdAt": MILLISECONDS,
    "updatedAt": MILLISECONDS,
    "lastSuccessAt": or_null(MILLISECONDS),
    "lastFailureAt": or_null(MILLISECONDS),
    "consecutiveFailureCount": schema.COUNT,
}
DELIVERY_FIELDS: dict[str, JsonSchema] = {
    "id": _DELIVERY_IDS,
    "endpointId": _ENDPOINT_IDS,
    "eventId": _EVENT_IDS,
    "eventType": _TYPE,
    "status": {"enum": list(DELIVERY_STATUSES)},
    "attempts": schema.COUNT,
    "nextRetryAt": or_null(MILLISECONDS),
    "deliveredAt": or_null(MILLISECONDS),
    "abandonedAt": or_null(MILLISECONDS),
    "lastResponseStatus": or_null({"type": "integer"}),
    "lastResponseAt": or_null(MILLISECONDS),
    "lastErrorMessage": or_null(schema.TEXT),
    "createdAt": MILLISECONDS,
}

RESPONSES: dict[str, Response] = {
    "EndpointCreated": response(
        {"endpoint": ENDPOINT, "signingSecret": _SIGNED_BY},
        endpoint=ref("WebhookEndpointItem"),
        signingSecret=_SIGNING_SECRET,
    ),
    "WebhookEndpointPage": list_of("WebhookEndpointItem", ENDPOINT, nextCursor=None),
    "WebhookEndpoint": response(ENDPOINT, **ENDPOINT_FIELDS),
    "EndpointDeleted": response({"id": examples.ENDPOINT, "deleted": True}, id=_ENDPOINT_IDS),
    "SecretRotated": response(
        {
            "endpointId": examples.ENDPOINT,
            "signingSecret": _SIGNED_BY,
            "previousSecretExpiresAt": "2026-04-19T09:30:00.000Z",
            "warning": "Both secrets sign until previousSecretExpiresAt.",
        },
        endpointId=_ENDPOINT_IDS,
        signingSecret=_SIGNING_SECRET,
        previousSecretExpiresAt=MILLISECONDS,
        warning=schema.TEXT,
    ),
    "TestSent": response(
        {"eventId": examples.EVENT, "deliveryId": examples.DELIVERY, "scheduledAt": "2026-04-18T09:30:00.000Z"},
        eventId=_EVENT_IDS,
        deliveryId=_DELIVERY_IDS,
        scheduledAt=MILLISECONDS,
    ),
    "WebhookDeliveryPage": list_of("WebhookDeliveryItem", DELIVERY, nextCursor=None),
    "DeliveryReplayed": response(
        {
            "originalDeliveryId": examples.DELIVERY,
            "replayDeliveryId": examples.DELIVERY[:-1] + "9",
            "scheduledAt": "2026-04-18T09:45:00.000Z",
        },
        originalDeliveryId=_DELIVERY_IDS,
        replayDeliveryId=_DELIVERY_IDS,
        scheduledAt=MILLISECONDS,
    ),
}

JOBS: tuple[str, ...] = ()

SCHEMAS: dict[str, JsonSchema] = {
    "WebhookEndpointItem": record_like(ENDPOINT, **ENDPOINT_FIELDS),
    "WebhookDeliveryItem": record_like(DELIVERY, **DELIVERY_FIELDS),
}
