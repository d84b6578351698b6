"""A lease: of all threads that ask for it, in any process on any host, one has it at a time.

Its holder changes the lease's document at least every BEAT_SECONDS. Another takes it once it has seen no change for
PATIENCE_SECONDS by its own clock, so that no two hosts' clocks are compared: the holder was killed, hangs, or cannot
reach the store. A holder that comes back learns by `check`, in the transaction of each of its writes, that it lost it.
"""

import time
from secrets import token_hex

from layers_standin.engines.table import Record
from store import Store

BEAT_SECONDS = 1.0
PATIENCE_SECONDS = 3.0


DELIVERER = "deliverer"  # the name of the deliverer's lease


class LeaseLost(Exception):
    """Somebody else has the lease by now; the transaction must not be committed."""


def free(store: Store, name: str) -> None:
    """Leave a lease to the first who asks: a snapshot brings back that of a process which is gone, perhaps."""
    with store.db.transaction():
        store.tables.table("leases", name).remove(doc_ids=[name])


class Lease:
    """One thread's share in the lease `name` of a store."""

    def __init__(self, store: Store, name: str) -> None:
        self._db, self._name = store.db, name
        self._leases = store.tables.table("leases", name)
        self._owner = token_hex(8)
        self._seen: tuple[Record | None, float] = (None, 0.0)  # another's document, and since when it is the same
        self._beat_at = 0.0

    def hold(self) -> bool:
        """Take the lease, or keep it, and return whether it is ours. Raises EngineError."""
        if time.monotonic() < self._beat_at + BEAT_SECONDS:
            return True
        return self._db.run_transaction(self._hold)

    def check(self) -> None:
        """Raises LeaseLost unless the lease is ours until the transaction ends; one that a reset took is ours still."""
        found = self._leases.get(doc_id=self._name)
        if found is None:
            self._leases.upsert({"id": self._name, "owner": self._owner, "beat": 0})
        elif found["owner"] != self._owner:
            self._beat_at = 0.0
            raise LeaseLost

    def release(self) -> None:
        """Leave the lease to the next who asks."""
        self._beat_at = 0.0
        self._db.run_transaction(self._release)

    def _hold(self) -> bool:
        with self._db.transaction():
            found = self._leases.get(doc_id=self._name)
            if found is not None and found["owner"] != self._owner and not self._is_stale(found):
                self._beat_at = 0.0
                return False
            beat = 0 if found is None else found["beat"] + 1
            self._leases.upsert({"id": self._name, "owner": self._owner, "beat": beat})
        self._beat_at = time.monotonic()
        return True

    def _is_stale(self, found: Record) -> bool:
        before, since = self._seen
        if found != before:
            self._seen = (found, time.monotonic())
            return False
        return time.monotonic() >= since + PATIENCE_SECONDS

    def _release(self) -> None:
        with self._db.transaction():
            found = self._leases.get(doc_id=self._name)
            if found is not None and found["owner"] == self._owner:
                self._leases.remove(doc_ids=[self._name])
