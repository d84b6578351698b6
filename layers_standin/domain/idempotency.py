"""Idempotency-Key: a response is stored in the same commit as its effect, and replayed to repeated requests."""

from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from layers_standin.domain.errors import IdempotencyConflict
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import epoch_milliseconds

WINDOW = timedelta(hours=24)

_SOME = 500


class IdempotencyKey(NamedTuple):
    """An Idempotency-Key: a hash of its scope, and one of the request's body."""

    record_id: str
    fingerprint: str

    @classmethod
    def of(cls, api_key_id: str, method: str, path: str, key: str, body: object) -> "IdempotencyKey":
        """Return the key of a request; `body` is the decoded JSON, so that spacing and order do not matter.

        Nor does the form of a number: 1, 1.0 and 1e0 are one value.
        """
        scope = sha256("\0".join((api_key_id, method, path, key)).encode()).hexdigest()
        return cls(scope[:32], sha256(orjson.dumps(_with_plain_numbers(body), option=orjson.OPT_SORT_KEYS)).hexdigest())

    @property
    def base_url(self) -> str:
        """Return the text that a stored response has for the URL of the service: each caller may have another one."""
        return f"base-url-of-{self.record_id}"


def _with_plain_numbers(value: Any) -> Any:
    """Return decoded JSON with an integer for each float that equals one.

    Not the other way: a large integer has no float that equals it. Beyond 64 bits all numbers of orjson are floats.
    """
    if isinstance(value, float):
        return int(value) if -(2**63) <= value < 2**64 and value.is_integer() else value
    if isinstance(value, dict):
        return {name: _with_plain_numbers(inner) for name, inner in value.items()}
    return [_with_plain_numbers(inner) for inner in value] if isinstance(value, list) else value


class StoredResponse(NamedTuple):
    """The response of an operation: an HTTP status and JSON; `replayed` when an earlier request has stored it."""

    status: int
    body: bytes
    replayed: bool = False

    def replace_url(self, before: str, after: str) -> "StoredResponse":
        """Return the response with another URL of the service."""
        old, new = (orjson.dumps(url)[1:-1] for url in (before, after))  # as they are written inside a string
        return self._replace(body=self.body.replace(old, new))


class Idempotency:
    """The stored responses of an organization."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._responses = tables.table("idempotency")

    def find(self, key: IdempotencyKey) -> StoredResponse | None:
        """Return the response stored under a key, or None. Raises IdempotencyConflict for another request body."""
        record = self._responses.get(doc_id=key.record_id)
        if record is None or record["filedAtMs"] <= self._window_start():
            return None
        if record["fingerprint"] != key.fingerprint:
            raise IdempotencyConflict("Idempotency-Key was used with a different body.")
        return StoredResponse(record["status"], record["body"].encode(), replayed=True)

    def store(self, key: IdempotencyKey, response: StoredResponse) -> None:
        """Store a response under a key, in the transaction of its effect."""
        # Two records past their window go for each one stored, so that they never pile up.
        self._responses.remove(doc_ids=self._tables.oldest("idempotency", self._window_start()))
        self._responses.upsert(
            {
                "id": key.record_id,
                "organizationId": self._tables.organization,
                "fingerprint": key.fingerprint,
                "status": response.status,
                "body": response.body.decode(),
                "filedAtMs": epoch_milliseconds(self._tables.now()),
            }
        )

    def forget_past(self) -> None:
        """Delete all expired responses."""
        while self._tables.db.run_transaction(self._forget_some):
            pass

    def _forget_some(self) -> int:
        with self._tables.db.transaction():
            ids = self._tables.oldest("idempotency", self._window_start(), limit=_SOME)
            self._responses.remove(doc_ids=ids)
            return len(ids)

    def _window_start(self) -> int:
        return epoch_milliseconds(self._tables.now() - WINDOW)
