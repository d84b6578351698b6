"""Webhooks: the operations of endpoints, their secrets, and what was delivered to them."""

from functools import partial
from typing import cast

from layers_standin.domain.deliveries import delivery_view
from layers_standin.domain.endpoints import at, endpoint_view, rotate, secrets_of
from layers_standin.domain.idempotency import StoredResponse
from layers_standin.engines.table import Record
from layers_standin.operations import webhooks_schemas as schemas
from layers_standin.web.errors import Invalid
from layers_standin.web.operations import Call, Operations
from layers_standin.webhooks.targets import Refused, check_url
from schemas import EmptyBody

operations = Operations()

_ENDPOINTS = "/v1/webhook-endpoints"
_ENDPOINT = f"{_ENDPOINTS}/<webhook_endpoint_id>"
_WARNING = "Both secrets sign until previousSecretExpiresAt."


@operations.add(
    "POST", _ENDPOINTS, scope=None, body=schemas.EndpointCreate(), success=201, secret=True, begins_transaction=True
)
def create_webhook_endpoint(call: Call) -> StoredResponse:
    """Create an endpoint; only this response shows its signing secret."""
    _check_url(call)
    return cast(StoredResponse, call.run_transaction(partial(_create, call)))


def _create(call: Call) -> Record:
    project = call.store.projects.get(call.body["projectId"])["id"] if "projectId" in call.body else None
    call.store.announcements.announce_all_due()  # what came about when nobody listened is nobody's
    endpoint = call.store.endpoints.create(project, call.body, call.base_url())
    return {"endpoint": endpoint_view(endpoint), "signingSecret": _secrets(call, endpoint)[0]}


def _check_url(call: Call) -> None:
    """Look at the URL of a body, outside of a transaction, for its name may have to be resolved. Raises Invalid."""
    if "url" not in call.body:
        return
    try:
        check_url(call.body["url"], call.services.settings.webhook_targets)
    except Refused as error:
        raise Invalid(fieldErrors={"url": [str(error)]}) from error


def _secrets(call: Call, endpoint: Record) -> list[str]:
    return secrets_of(endpoint, call.store.signing_key(), call.store.now_ms())


@operations.add("GET", _ENDPOINTS, scope=None, query=schemas.EndpointQuery())
def list_webhook_endpoints(call: Call) -> Record:
    """Return a page of the endpoints, newest first; with a project, those of that project alone."""
    endpoints, cursor = call.store.endpoints.page(call.body)
    return {"items": [endpoint_view(endpoint) for endpoint in endpoints], "nextCursor": cursor}


@operations.add("GET", _ENDPOINT, scope=None)
def get_webhook_endpoint(call: Call, webhook_endpoint_id: str) -> Record:
    """Return an endpoint."""
    return endpoint_view(call.store.endpoints.get(webhook_endpoint_id))


@operations.add("PATCH", _ENDPOINT, scope=None, body=schemas.EndpointPatch(), begins_transaction=True)
def patch_webhook_endpoint(call: Call, webhook_endpoint_id: str) -> StoredResponse:
    """Change the given fields of an endpoint; made active, it goes on with what was pending."""
    _check_url(call)
    return cast(StoredResponse, call.run_transaction(partial(_patch, call, webhook_endpoint_id)))


def _patch(call: Call, endpoint_id: str) -> Record:
    call.store.announcements.announce_all_due()  # to those who listened until now
    return endpoint_view(call.store.deliveries.change_endpoint(endpoint_id, call.body))


@operations.add("DELETE", _ENDPOINT, scope=None, body=EmptyBody(), body_optional=True)
def delete_webhook_endpoint(call: Call, webhook_endpoint_id: str) -> Record:
    """Delete an endpoint, and abandon what is pending to it."""
    endpoint = call.store.endpoints.get(webhook_endpoint_id)
    call.store.deliveries.abandon(endpoint["id"])
    call.store.endpoints.delete(endpoint["id"])
    return {"id": endpoint["id"], "deleted": True}


@operations.add("POST", f"{_ENDPOINT}/rotate-secret", scope=None, body=EmptyBody(), body_optional=True, secret=True)
def rotate_webhook_secret(call: Call, webhook_endpoint_id: str) -> Record:
    """Give an endpoint a new signing secret; for a day the former one signs too."""
    endpoint = rotate(call.store.endpoints.get(webhook_endpoint_id), call.store.now_ms())
    call.store.endpoints.put(endpoint)
    return {
        "endpointId": endpoint["id"],
        "signingSecret": _secrets(call, endpoint)[0],
        "previousSecretExpiresAt": at(endpoint["previous"]["untilMs"]),
        "warning": _WARNING,
    }


@operations.add("POST", f"{_ENDPOINT}/test", scope=None, body=schemas.TestEvent(), body_optional=True)
def test_webhook_endpoint(call: Call, webhook_endpoint_id: str) -> Record:
    """Send a `test.ping` to an endpoint, whatever it is subscribed to."""
    delivery = call.store.deliveries.test(webhook_endpoint_id, call.body.get("payload"))
    return {
        "eventId": delivery["event"]["id"],
        "deliveryId": delivery["id"],
        "scheduledAt": at(delivery["dueMs"]),
    }


test_webhook_endpoint.__test__ = False  # type: ignore[attr-defined]  # for pytest


@operations.add("GET", f"{_ENDPOINT}/deliveries", scope=None, query=schemas.DeliveryQuery())
def list_webhook_deliveries(call: Call, webhook_endpoint_id: str) -> Record:
    """Return a page of an endpoint's deliveries, newest first."""
    endpoint = call.store.endpoints.get(webhook_endpoint_id)
    deliveries, cursor = call.store.deliveries.page(endpoint["id"], call.body)
    return {"items": [delivery_view(delivery) for delivery in deliveries], "nextCursor": cursor}


@operations.add(
    "POST",
    "/v1/webhook-deliveries/<webhook_delivery_id>/replay",
    scope=None,
    body=EmptyBody(),
    body_optional=True,
)
def replay_webhook_delivery(call: Call, webhook_delivery_id: str) -> Record:
    """Send the event of a delivery once more, as an event of its own."""
    original, replay = call.store.deliveries.replay(webhook_delivery_id)
    return {
        "originalDeliveryId": original["id"],
        "replayDeliveryId": replay["id"],
        "scheduledAt": at(replay["dueMs"]),
    }
