"""The commands about webhooks: what is pending, deliver it now, and inboxes for those who have no receiver."""

import time
from collections.abc import Iterator
from functools import partial

from layers_standin.control import schemas
from layers_standin.control.calls import ControlCall, scope_of, whose
from layers_standin.domain.announcements import Upcoming
from layers_standin.domain.deliveries import PENDING, delivery_view
from layers_standin.domain.endpoints import at, endpoint_view
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import canonical
from layers_standin.domain.inbox import Inbox, message_view
from layers_standin.domain.tables import ALL, INBOX_NAME
from layers_standin.engines.table import Record
from layers_standin.web.operations import Operations
from layers_standin.webhooks.queue import Queue
from layers_standin.webhooks.watcher import start_watching, wake_watcher
from schemas import EmptyBody
from store import Store

operations = Operations()

MOST_SHOWN = 100  # of an organization
_LOOK_SECONDS = 0.01

_get = partial(operations.add, "GET", scope=None)
_post = partial(operations.add, "POST", scope=None)
_put = partial(operations.add, "PUT", scope=None)
_delete = partial(operations.add, "DELETE", scope=None, body=EmptyBody(), body_optional=True)


@_get("/_standin/webhooks", query=schemas.ScopeQuery())
def list_webhooks(call: ControlCall) -> Record:
    """Return the events and attempts to come, of each organization the first to be due first, each with its moment."""
    return {"items": [item for store in _stores(call, scope_of(call)) for item in _pending(store)]}


def _pending(store: Store) -> Iterator[Record]:
    about = {"organizationId": store.organization, "clock": at(store.now_ms())}
    for event in store.announcements.upcoming(MOST_SHOWN):
        yield about | _upcoming_view(event, store.now_ms())
    for delivery in store.deliveries.first_due(MOST_SHOWN):
        yield about | {
            "status": delivery["status"],
            "eventType": delivery["event"]["type"],
            "eventId": delivery["event"]["id"],
            "dueAt": at(delivery["dueMs"]),
            "isDue": delivery["dueMs"] <= store.now_ms(),
            "deliveryId": delivery["id"],
            "endpointId": delivery["endpointId"],
            "attempts": delivery["attempts"],
        }


def _upcoming_view(event: Upcoming, now_ms: int) -> Record:
    return {
        "status": PENDING,
        "eventType": event.type,
        "eventId": event.event_id,
        "dueAt": at(event.at_ms),
        "isDue": event.at_ms <= now_ms,
        "deliveryId": None,
        "endpointId": None,
        "attempts": 0,
    }


@_post("/_standin/webhooks/flush", body=schemas.Flush(), body_optional=True)
def flush_webhooks(call: ControlCall) -> Record:
    """Return when everything that is due by the clock was attempted; a 409 if that takes longer than `timeoutMs`."""
    scope, deadline = scope_of(call), time.monotonic() + call.body.get("timeoutMs", schemas.FLUSH_MS) / 1000
    start_watching(call.services).wake()
    while any(Queue(store).has_due() for store in _stores(call, scope)):
        if time.monotonic() >= deadline:
            raise Conflict("Deliveries are still under way.", subcode="FLUSH_TIMED_OUT")
        time.sleep(_LOOK_SECONDS)
    return {"organizationId": whose(scope), "flushed": True}


@_post("/_standin/webhook-endpoints/<webhook_endpoint_id>/test", body=EmptyBody(), body_optional=True)
def send_webhook_test(call: ControlCall, webhook_endpoint_id: str) -> Record:
    """Send a `test.ping` to an endpoint of any organization."""
    store = _owner(call, "webhook_endpoints", webhook_endpoint_id)
    with store.db.transaction():
        tested = store.deliveries.test(webhook_endpoint_id)
    wake_watcher(call.services)
    return delivery_view(tested)


@_put("/_standin/webhook-endpoints/<webhook_endpoint_id>", body=schemas.EndpointSetting())
def set_webhook_endpoint(call: ControlCall, webhook_endpoint_id: str) -> Record:
    """Pause an endpoint, or make it active again, which goes on with what was pending."""
    store = _owner(call, "webhook_endpoints", webhook_endpoint_id)
    with store.db.transaction():
        store.announcements.announce_all_due()  # to those who listened until now
        endpoint = store.deliveries.change_endpoint(webhook_endpoint_id, call.body)
    wake_watcher(call.services)
    return endpoint_view(endpoint)


@_post("/_standin/webhook-deliveries/<webhook_delivery_id>/replay", body=EmptyBody(), body_optional=True)
def resend_webhook_delivery(call: ControlCall, webhook_delivery_id: str) -> Record:
    """Send the event of a delivery once more, as an event of its own."""
    store = _owner(call, "deliveries", webhook_delivery_id)
    with store.db.transaction():
        _, replay = store.deliveries.replay(webhook_delivery_id)
    wake_watcher(call.services)
    return delivery_view(replay)


def _owner(call: ControlCall, table: str, doc_id: str) -> Store:
    """Return the store of the organization that has a document. Raises NotFound."""
    found = call.store.db.read_each(table, canonical(doc_id))
    if not found:
        raise NotFound("Webhook endpoint not found." if table == "webhook_endpoints" else "Webhook delivery not found.")
    return call.store.for_organization(found[0]["organizationId"])


def _stores(call: ControlCall, scope: str) -> list[Store]:
    """Return the store of the organization, or of each, if it has endpoints: nothing is to come where there is none."""
    found = [each["organizationId"] for each in call.store.db.read_each("webhook_endpoints")]
    return [call.store.for_organization(each) for each in found if scope in (ALL, each)]


@_get("/_standin/inbox/<inbox>")
def get_inbox(call: ControlCall, inbox: str) -> Record:
    """Return what was posted to an inbox, newest first, and whether its signature is that of an endpoint."""
    return {"name": inbox, "items": [message_view(message) for message in _inbox(call, inbox).all()]}


@_delete("/_standin/inbox/<inbox>")
def delete_inbox(call: ControlCall, inbox: str) -> Record:
    """Empty an inbox."""
    _inbox(call, inbox).clear()
    return {"name": inbox, "deleted": True}


def _inbox(call: ControlCall, name: str) -> Inbox:
    """Return the inbox of a name. Raises NotFound for a name that none can have."""
    if not INBOX_NAME.fullmatch(name):
        raise NotFound("Inbox not found.")
    return Inbox(call.store.tables, name)
