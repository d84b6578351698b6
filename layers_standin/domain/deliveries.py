"""Deliveries: each the posting of one event to one endpoint, with its attempts. Source: contract, section 8.

A delivery is {"id", "organizationId", "endpointId", "event", "status", "attempts", "dueMs", "createdMs", "deliveredMs",
"abandonedMs", "isHeld", "wasDueMs"?, "isLate"?, "responses", "sortKey"}. `event` is the JSON that is posted: {"id",
"type", "createdAt", "data", "replayOf"?}. `responses` are those to its attempts: {"atMs", "status" or None, "error" or
None}. One that is held belongs to a paused endpoint. An attempt is due so long after the one before was due, by the
organization's clock.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple

from layers_standin.domain.clocks import LATEST_MS
from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.endpoints import ACTIVE, Endpoints, at, merge_endpoint
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import canonical, id_of, mint
from layers_standin.domain.tables import Tables, endpoint_of, moment_of, oldest_first, postponed
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Record

PENDING, DELIVERING, DELIVERED, FAILED, ABANDONED = "pending", "delivering", "delivered", "failed", "abandoned"
STATUSES = (PENDING, DELIVERING, DELIVERED, FAILED, ABANDONED)
UNFINISHED = (PENDING, DELIVERING)

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
# The time from the moment at which an attempt was due to that of the next; the first is due at once.
RETRY_MS = (30_000, _MINUTE_MS, 5 * _MINUTE_MS, 15 * _MINUTE_MS, _HOUR_MS, 6 * _HOUR_MS, 24 * _HOUR_MS)

KEPT_MS = 30 * 24 * _HOUR_MS
_AT_ONCE = 100
_MANY_AT_ONCE = 2000


class Answer(NamedTuple):
    """A receiver's answer to an attempt: its HTTP status, or None and the reason why there is none."""

    status: int | None
    error: str | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def new_delivery(endpoint: Mapping[str, Any], event: Record, due_ms: int, now_ms: int) -> Record:
    """Return the document of a delivery that is due at `due_ms`."""
    delivery_id = mint("whd")
    return {
        "id": delivery_id,
        "organizationId": endpoint["organizationId"],
        "endpointId": endpoint["id"],
        "event": event,
        "status": PENDING,
        "attempts": 0,
        "dueMs": due_ms,
        "createdMs": now_ms,
        "deliveredMs": None,
        "abandonedMs": None,
        "isHeld": False,
        "responses": [],
        "sortKey": delivery_id,
    }


def after_attempt(delivery: Mapping[str, Any], answer: Answer, now_ms: int) -> Record:
    """Return the delivery after an attempt: delivered, due again, or failed for good."""
    attempts = delivery["attempts"] + 1
    response = {"atMs": now_ms, "status": answer.status, "error": answer.error}
    after = dict(delivery) | {"attempts": attempts, "responses": [*delivery["responses"], response]}
    if answer.is_success:
        return after | {"status": DELIVERED, "deliveredMs": now_ms}
    if attempts > len(RETRY_MS):
        return after | {"status": FAILED}
    return after | {"status": PENDING, "dueMs": delivery["dueMs"] + RETRY_MS[attempts - 1]}


def abandoned(delivery: Mapping[str, Any], now_ms: int) -> Record:
    """Return the delivery ended, for its endpoint is gone."""
    return dict(delivery) | {"status": ABANDONED, "abandonedMs": now_ms}


def delivery_view(delivery: Mapping[str, Any]) -> Record:
    """Return a delivery as the API shows it."""
    last = delivery["responses"][-1] if delivery["responses"] else {}
    is_waiting = delivery["status"] == PENDING and not delivery["isHeld"]
    return {
        "id": delivery["id"],
        "endpointId": delivery["endpointId"],
        "eventId": delivery["event"]["id"],
        "eventType": delivery["event"]["type"],
        "status": delivery["status"],
        "attempts": delivery["attempts"],
        "nextRetryAt": at(delivery["dueMs"]) if is_waiting else None,
        "deliveredAt": at(delivery["deliveredMs"]),
        "abandonedAt": at(delivery["abandonedMs"]),
        "lastResponseStatus": last.get("status"),
        "lastResponseAt": at(last.get("atMs")),
        "lastErrorMessage": last.get("error"),
        "createdAt": at(delivery["createdMs"]),
    }


def by_itself(delivery: Mapping[str, Any]) -> Record:
    """Return the delivery without its wait for the next one."""
    return {name: delivery[name] for name in delivery if name != "wasDueMs"}


class Deliveries:
    """The deliveries of an organization."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._deliveries = tables.table("deliveries")
        self._endpoints = Endpoints(tables)

    def get(self, delivery_id: str) -> Record:
        """Return a delivery's document. Raises NotFound."""
        document = self.find(delivery_id)
        if document is None:
            raise NotFound("Webhook delivery not found.")
        return document

    def find(self, delivery_id: str) -> Record | None:
        return self._deliveries.get(doc_id=delivery_id)

    def put(self, delivery: Record) -> None:
        self._deliveries.upsert(delivery)

    def send(self, endpoint: Mapping[str, Any], kind: str, data: Record, replay_of: str | None = None) -> Record:
        """Create a delivery, due now, of an event that was not before, and return it."""
        now_ms = self.now_ms()
        event = {"id": mint("evt"), "type": kind, "createdAt": at(now_ms), "data": data}
        delivery = new_delivery(endpoint, event | ({"replayOf": replay_of} if replay_of else {}), now_ms, now_ms)
        self.put(delivery)
        return delivery

    def test(self, endpoint_id: str, payload: Record | None = None) -> Record:
        """Create the delivery of a `test.ping` with these data, or a greeting. Raises NotFound, Conflict if paused."""
        endpoint = self._active(endpoint_id)
        greeting = {
            "message": "A test of this endpoint.",
            "endpointId": endpoint["id"],
            "organizationId": endpoint["organizationId"],
        }
        return self.send(endpoint, "test.ping", greeting if payload is None else payload)

    def replay(self, delivery_id: str) -> tuple[Record, Record]:
        """Send the event of a delivery as one of its own; return (original, replay). Raises NotFound, Conflict."""
        original = self.get(delivery_id)
        endpoint, event = self._active(original["endpointId"]), original["event"]
        return original, self.send(endpoint, event["type"], event["data"], replay_of=event["id"])

    def _active(self, endpoint_id: str) -> Record:
        """Return an endpoint that takes deliveries. Raises NotFound, Conflict."""
        endpoint = self._endpoints.get(endpoint_id)
        if endpoint["status"] != ACTIVE:
            paused = endpoint["id"]
            raise Conflict("The webhook endpoint is paused.", subcode="ENDPOINT_PAUSED", webhookEndpointId=paused)
        return endpoint

    def change_endpoint(self, endpoint_id: str, patch: Mapping[str, Any]) -> Record:
        """Change fields of an endpoint, hold or let go what is pending to it, and return it. Raises NotFound."""
        before = self._endpoints.get(endpoint_id)
        endpoint = merge_endpoint(before, patch, self.now_ms())
        self._endpoints.put(endpoint)
        if endpoint["status"] != before["status"]:
            self.hold(endpoint["id"], is_held=endpoint["status"] != ACTIVE)
        return endpoint

    def page(self, endpoint_id: str, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (deliveries to an endpoint, cursor), newest first. Raises BadCursor."""
        kind, status = query.get("eventType"), query.get("status")
        of = (self._tables.organization, "deliveries", canonical(endpoint_id), kind, status)
        before = read_cursor(query.get("cursor"), *of)
        indexes = [f"{endpoint_id}:{each}" for each in ([status] if status else STATUSES)]
        if kind is not None:
            indexes = [f"{index}:{kind}" for index in indexes]
        page = self._tables.page("deliveries", indexes, before, query["limit"], lambda _: True)
        return page.documents, write_cursor(page.next_sort_key, *of)

    def newest(self, endpoint_ids: Iterable[str], limit: int) -> list[Record]:
        """Return the newest deliveries to these endpoints, newest first."""
        indexes = [f"{endpoint_id}:{status}" for endpoint_id in endpoint_ids for status in STATUSES]
        return self._tables.page("deliveries", indexes, None, limit, lambda _: True).documents if indexes else []

    def due(
        self, now_ms: int, busy: Collection[str], limit: int, without: Collection[str] = ()
    ) -> list[tuple[str, str]]:
        """Return up to `limit` (endpoint id, delivery id) that are due: the first of each endpoint not in `busy`.

        Deliveries whose ids are in `without` are left out.
        """
        found: dict[str, str] = {}
        floor, before, page = oldest_first(now_ms, ""), None, _AT_ONCE
        others: set[str] | None = None
        while sort_keys := self._tables.db.scan("deliveries", self._tables.organization, "due", before, page):
            for sort_key in sort_keys:
                if sort_key < floor or len(found) >= limit:
                    return list(found.items())
                endpoint_id = endpoint_of(sort_key)
                if endpoint_id not in busy and endpoint_id not in found and id_of(sort_key) not in without:
                    found[endpoint_id] = id_of(sort_key)
            if others is None:  # much is due, and perhaps all of it to these
                others = self._endpoints.first_active(len(busy) + limit + 1).difference(busy)
            if others <= found.keys():
                break
            before, page = sort_keys[-1], _MANY_AT_ONCE
        return list(found.items())

    def first_due(self, limit: int) -> list[Record]:
        """Return up to `limit` deliveries with an attempt to come, the first to be due first."""
        found = self._tables.db.scan_documents("deliveries", self._tables.organization, ["due"], limit=limit)
        return [delivery for _, delivery in found if delivery is not None]

    def next_due_ms(self) -> int | None:
        """Return the moment of the first attempt to come, None without one."""
        return next(map(moment_of, self._tables.db.scan("deliveries", self._tables.organization, "due")), None)

    def unfinished(self, endpoint_id: str) -> Iterable[Record]:
        """Yield the deliveries to an endpoint that have not ended, newest first, as this transaction has left them."""
        indexes, before = [f"{endpoint_id}:{status}" for status in UNFINISHED], None
        for _ in count():
            page = self._tables.page("deliveries", indexes, before, _AT_ONCE, lambda _: True)
            for delivery in map(self.find, (each["id"] for each in page.documents)):
                if delivery is not None and delivery["status"] in UNFINISHED:
                    yield delivery
            before = page.next_sort_key
            if before is None:
                return

    def abandon(self, endpoint_id: str) -> None:
        """End what is pending to an endpoint that is gone."""
        for delivery in list(self.unfinished(endpoint_id)):
            self.put(abandoned(delivery, self.now_ms()))

    def postpone(self, delivery: Record, by_ms: int, until_next: bool) -> None:
        """Let a delivery be due later; with `until_next`, at once when the next to its endpoint was attempted."""
        later = delivery | {"status": PENDING, "dueMs": min(delivery["dueMs"] + by_ms, LATEST_MS), "isLate": True}
        self.put(later | ({"wasDueMs": delivery["dueMs"]} if until_next else {}))

    def let_follow(self, endpoint_id: str, attempted: Record) -> None:
        """Make due what was postponed until another delivery to its endpoint was attempted."""
        found = self._tables.page("deliveries", [postponed(endpoint_id)], None, _AT_ONCE, bool).documents
        for delivery in filter(None, map(self.find, (each["id"] for each in found))):
            if delivery["id"] != attempted["id"] and "wasDueMs" in delivery:
                self.put(by_itself(delivery) | {"dueMs": delivery["wasDueMs"]})

    def hold(self, endpoint_id: str, is_held: bool) -> None:
        """Let what is pending to an endpoint wait while it is paused, or no longer."""
        for delivery in list(self.unfinished(endpoint_id)):
            if delivery["isHeld"] != is_held:
                self.put(delivery | {"status": PENDING, "isHeld": is_held})

    def forget_past(self) -> None:
        """Delete the deliveries that have ended and were created longer ago than KEPT_MS."""
        while ids := self._tables.oldest("deliveries", self.now_ms() - KEPT_MS, "ended", _AT_ONCE):
            with self._tables.db.transaction():
                self._deliveries.remove(doc_ids=ids)

    def now_ms(self) -> int:
        return epoch_milliseconds(self._tables.now())
