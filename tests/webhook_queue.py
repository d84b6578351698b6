"""Webhooks without their thread: deliveries are announced, taken and recorded in a test."""

from collections.abc import Callable, Sequence
from typing import Any

from contract.conformance import ToldClient
from flask.testing import FlaskClient

from app import document
from layers_standin.domain.deliveries import Answer
from layers_standin.domain.events import TYPES
from layers_standin.engines.table import Record
from layers_standin.webhooks.queue import Attempt, Queue
from store import Store

ENDPOINTS = "/v1/webhook-endpoints"
POSTED = {
    kind: path["post"]["requestBody"]["content"]["application/json"]["schema"]
    for kind, path in document("http://localhost")["webhooks"].items()
}
URL = "http://127.0.0.1:9/hook"
OK, REFUSED = Answer(200), Answer(500)


def created(client: FlaskClient, **fields: Any) -> Record:
    """Create an endpoint, by default of all events; return the reply."""
    response = client.post(ENDPOINTS, json={"url": URL, "events": list(TYPES)} | fields)
    assert response.status_code == 201, response.text
    return dict(response.json)


def listen(client: FlaskClient, **fields: Any) -> str:
    """Create an endpoint; return its path."""
    return f"{ENDPOINTS}/{created(client, **fields)['endpoint']['id']}"


def deliveries(client: FlaskClient, path: str, **query: Any) -> list[Record]:
    """Return the first page of an endpoint's deliveries, newest first."""
    response = client.get(f"{path}/deliveries", query_string=query)
    assert response.status_code == 200, response.text
    return list(response.json["items"])


class Deliverer:
    """Works off what is due of one organization; each time it looks at the clock anew."""

    def __init__(self, store: Store, organization: str) -> None:
        self._store, self._organization = store, organization

    def __call__(self, answer: Answer = OK) -> list[Attempt]:
        """Attempt everything that is due, each with this answer, until nothing is; return the attempts in order."""
        made: list[Attempt] = []
        while attempts := self.once(lambda _: answer):
            made += attempts
        return made

    def once(self, answer: Callable[[Attempt], Answer]) -> list[Attempt]:
        """Attempt the first delivery that is due of each endpoint."""
        attempts = self.take()
        for attempt in attempts:
            self.record([attempt], answer(attempt))
        return attempts

    def take(self) -> list[Attempt]:
        """Begin the first attempt that is due of each endpoint."""
        queue = self._queue()
        queue.announce()
        with self._store.db.transaction():
            attempts = queue.take(queue.due((), 1000))
        for attempt in attempts:
            event = attempt.delivery["event"]
            told = ToldClient.told.schema_faults(event, POSTED[event["type"]])
            assert told == [], event
        return attempts

    def record(self, attempts: Sequence[Attempt], answer: Answer) -> None:
        """End these attempts with the same answer."""
        queue = self._queue()
        with self._store.db.transaction():
            for attempt in attempts:
                queue.record(attempt, answer)

    def events(self) -> list[Record]:
        """Deliver everything that is due, and return the JSON that was posted."""
        return [attempt.delivery["event"] for attempt in self()]

    def _queue(self) -> Queue:
        return Queue(self._store.for_organization(self._organization))
