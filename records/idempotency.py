"""Idempotency-Key: the outcome of a request, filed in the same commit as its effect, and replayed to its twins."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import orjson

from records.errors import IdempotencyConflict, StoreError
from records.tables import Tables
from records.times import epoch_milliseconds

WINDOW = timedelta(hours=24)

_SOME = 500


class Claim(NamedTuple):
    """An Idempotency-Key as it came: its scope, and what the body was."""

    record_id: str
    fingerprint: str

    @classmethod
    def of(cls, api_key_id: str, method: str, path: str, key: str, body: object) -> "Claim":
        scope = sha256("\0".join((api_key_id, method, path, key)).encode()).hexdigest()
        return cls(scope[:32], sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest())


class Outcome(NamedTuple):
    """What an operation answers: an HTTP status and JSON; `replayed` when it was filed by an earlier request."""

    status: int
    body: bytes
    replayed: bool = False


class Idempotency:
    """The outcomes on file."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def once(
        self,
        organization: str,
        claim: Claim | None,
        act: Callable[[], Outcome],
        refuse: Callable[[StoreError], Outcome],
        to_file: Callable[[Outcome], Outcome] = lambda outcome: outcome,
    ) -> Outcome:
        """Run `act` in one transaction and file its outcome under the claim, or replay what is filed there.

        `to_file` returns what to file in place of an outcome that must not be kept.
        A refusal by `act` is an outcome too, and undoes what `act` wrote. Raises IdempotencyConflict; and the
        refusal itself when it is not to be filed, a body found wrong only now.
        """
        with self._tables.transaction():
            if claim is None:
                return act()
            filed = self._filed(organization, claim)
            if filed is not None:
                return filed
            outcome = self._try(act, refuse)
            self._file(organization, claim, to_file(outcome))
            return outcome

    def forget_past(self, organization: str) -> None:
        """Drop all outcomes past their window: nothing is filed any more where nobody asks."""
        while self._tables.db.attempt(partial(self._forget_past, organization)):
            pass

    def _forget_past(self, organization: str) -> int:
        with self._tables.transaction():
            ids = self._tables.oldest("idempotency", organization, self._window_start(), most=_SOME)
            for record_id in ids:
                self._tables.drop("idempotency", organization, record_id)
            return len(ids)

    def _filed(self, organization: str, claim: Claim) -> Outcome | None:
        record = self._tables.get("idempotency", organization, claim.record_id)
        if record is None or record["filedAtMs"] <= self._window_start():
            return None
        if record["fingerprint"] != claim.fingerprint:
            raise IdempotencyConflict("Idempotency-Key was used with a different body.")
        return Outcome(record["status"], record["body"].encode(), replayed=True)

    def _try(self, act: Callable[[], Outcome], refuse: Callable[[StoreError], Outcome]) -> Outcome:
        try:
            with self._tables.transaction():
                return act()
        except StoreError as error:
            if error.code not in ("NOT_FOUND", "CONFLICT"):
                raise
            return refuse(error)

    def _file(self, organization: str, claim: Claim, outcome: Outcome) -> None:
        # Two records past their window go for each one filed, so that they never pile up.
        for record_id in self._tables.oldest("idempotency", organization, self._window_start()):
            self._tables.drop("idempotency", organization, record_id)
        record = {
            "id": claim.record_id,
            "organizationId": organization,
            "fingerprint": claim.fingerprint,
            "status": outcome.status,
            "body": outcome.body.decode(),
            "filedAtMs": epoch_milliseconds(self._tables.now()),
        }
        self._tables.put("idempotency", record)

    def _window_start(self) -> int:
        return epoch_milliseconds(self._tables.now() - WINDOW)
