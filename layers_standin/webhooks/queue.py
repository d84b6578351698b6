"""The queue of one organization's deliveries, as the deliverer works it off: record, announce, take."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from layers_standin.domain.deliveries import (
    DELIVERING,
    PENDING,
    UNFINISHED,
    Answer,
    abandoned,
    after_attempt,
    by_itself,
)
from layers_standin.domain.endpoints import ACTIVE, secrets_of
from layers_standin.domain.endpoints import after_attempt as endpoint_after_attempt
from layers_standin.domain.faults import LATE, OUT_OF_ORDER, RequestInfo
from layers_standin.engines.table import Record
from store import Store

_DOCUMENTS_AT_ONCE = 100
_LATE_MS = 60_000


class Attempt(NamedTuple):
    """One attempt to deliver; `secrets` sign it, and `effect` is that of an injected fault."""

    organization: str
    delivery: Record
    url: str
    secrets: list[str]
    effect: str | None = None

    @property
    def endpoint_id(self) -> str:
        return str(self.delivery["endpointId"])


class Queue:
    """The deliveries of an organization. `store` is bound to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._announced_ms: int | None = None  # all that is due until then has its deliveries

    def has_due(self) -> bool:
        """Whether an event or attempt is due and not recorded yet."""
        moments = (self._store.announcements.next_ms(), self._store.deliveries.next_due_ms())
        return any(map(self._is_due, moments))

    def announce(self) -> int | None:
        """Make deliveries of all events that are due, some documents in a transaction.

        Return the moment of the first event or attempt to come, by the organization's clock; None without one.
        """
        now_ms = self._store.now_ms()
        while self._is_due(event_ms := self._store.announcements.next_ms()):
            self._store.db.run_transaction(self._announce)
        self._announced_ms = now_ms
        moments = (event_ms, self._store.deliveries.next_due_ms())
        return min((moment for moment in moments if moment is not None), default=None)

    def due(self, busy: Collection[str], limit: int, answered: Collection[str] = ()) -> list[str]:
        """Return the ids of deliveries to attempt now, the first of each endpoint that is not `busy`.

        Those `answered` are left out: their answers are still to be recorded. What has become due since `announce` is
        left too, for an event of the clock may come before it.
        """
        until_ms = self._store.now_ms() if self._announced_ms is None else self._announced_ms
        found = self._store.deliveries.due(until_ms, busy, limit, answered)
        return [delivery_id for _, delivery_id in found]

    def take(self, delivery_ids: Sequence[str]) -> list[Attempt]:
        """Note that these are being delivered, and return the attempts. A part of the caller's transaction."""
        attempts = []
        for delivery in filter(None, map(self._store.deliveries.find, delivery_ids)):
            endpoint = self._store.endpoints.find(delivery["endpointId"])
            if delivery["status"] not in UNFINISHED:
                continue
            if endpoint is None:  # deleted when the delivery was just being made
                self._store.deliveries.put(abandoned(delivery, self._store.now_ms()))
            elif endpoint["status"] != ACTIVE:
                self._store.deliveries.put(delivery | {"status": PENDING, "isHeld": True})
            elif delivery["dueMs"] <= self._store.now_ms():
                attempts += self._begun(delivery, endpoint)
        return attempts

    def _begun(self, delivery: Record, endpoint: Record) -> list[Attempt]:
        """Note that a delivery is under way, and return its attempt; none if an injected fault makes it late."""
        fault = self._fault(delivery)
        if fault.get("webhook") in (LATE, OUT_OF_ORDER):
            late_ms = fault.get("lateByMs", _LATE_MS)
            self._store.deliveries.postpone(delivery, late_ms, until_next=fault["webhook"] == OUT_OF_ORDER)
            return []
        self._store.deliveries.put(by_itself(delivery) | {"status": DELIVERING})
        secrets = secrets_of(endpoint, self._store.signing_key(), self._store.now_ms())
        effect = fault.get("webhook")
        return [Attempt(self._store.organization, delivery, endpoint["url"], secrets, effect)]

    def _fault(self, delivery: Record) -> Record:
        if not self._store.overrides.has_faults or "isLate" in delivery:
            return {}
        info = RequestInfo("", "", "", event=delivery["event"]["type"], request_id=delivery["id"])
        rule = self._store.faults.take(self._store.organization, info)
        return {} if rule is None else dict(rule["answer"])

    def record(self, attempt: Attempt, answer: Answer) -> None:
        """Note the answer to an attempt, unless the delivery went another way meanwhile. A part of a transaction."""
        deliveries, endpoints, now_ms = self._store.deliveries, self._store.endpoints, self._store.now_ms()
        delivery = deliveries.find(attempt.delivery["id"])
        if delivery is None or delivery["attempts"] != attempt.delivery["attempts"]:
            return  # a snapshot was restored, or another deliverer has made this attempt
        endpoint = endpoints.find(attempt.endpoint_id)
        if delivery["status"] in UNFINISHED or answer.is_success:
            deliveries.put(after_attempt(delivery, answer, now_ms))
            deliveries.let_follow(attempt.endpoint_id, delivery)
        if endpoint is not None:
            after = endpoint_after_attempt(endpoint, answer.is_success, now_ms)
            endpoints.put(after)
            if after["status"] != endpoint["status"]:
                deliveries.hold(endpoint["id"], is_held=True)

    def _announce(self) -> None:
        with self._store.db.transaction():
            self._store.announcements.announce_due(_DOCUMENTS_AT_ONCE)

    def _is_due(self, moment_ms: int | None) -> bool:
        return moment_ms is not None and moment_ms <= self._store.now_ms()
