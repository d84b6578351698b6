"""A thread's work on a connection: documents read, locked and written, in as few round trips as possible."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from layers_standin.engines.indexes import IndexEntry, Key
from layers_standin.engines.postgres import sql
from layers_standin.engines.postgres.connections import Lease
from layers_standin.engines.postgres.pipeline import PipelineConnection
from layers_standin.engines.postgres.sql import SQL, escape_nul, unescape_nul
from layers_standin.engines.sql import Sent

_FEW = 6  # documents of a partition, for which a statement each is faster than one for all


class Session:
    """A connection of one thread, and the documents that it knows.

    `is_transaction` tells a transaction from reads; `has_begun`, whether BEGIN was sent. Writes wait in `written`, with
    the index entries of each document, until the transaction is committed.
    """

    def __init__(self, lease: Lease, is_transaction: bool = False) -> None:
        self.lease = lease
        self.is_transaction = is_transaction
        self.has_begun = False
        self.written: dict[Key, bytes | None] = {}
        self.entries: dict[Key, list[IndexEntry]] = {}
        self.locked: dict[Key, bytes | None] = {}
        self.unlocked: dict[Key, bytes | None] = {}

    @property
    def connection(self) -> PipelineConnection:
        return self.lease.connection

    def missing(self, keys: Sequence[Key], lock: bool) -> list[Key]:
        """Return the keys whose documents are to be read, or locked, first."""
        is_enough = self.unlocked if not (lock and self.is_transaction) else {}
        return [key for key in keys if not (key in is_enough or key in self.locked or key in self.written)]

    def documents(self, keys: Sequence[Key]) -> list[bytes | None]:
        """Return the documents of keys that are not missing."""
        sources = (self.written, self.locked, self.unlocked)
        return [next(source[key] for source in sources if key in source) for key in keys]

    def fetch(self, keys: Sequence[Key], lock: bool) -> None:
        """Read documents in one round trip; in a transaction, begin if needed, and lock them. Raises psycopg.Error."""
        lock = lock and self.is_transaction
        sent: list[Sent] = []
        if self.is_transaction and not self.has_begun:
            self.has_begun = True
            sent.append((sql.ADMIN["begin"], {}))
        if self.is_transaction and not (lock or self.locked or self.unlocked):  # no row lock keeps a reset out
            sent.append((sql.PIN, SQL.of_table("", keys[0][1])))
        parts = _parts(keys)
        rows = self.connection.send([*sent, *(_search_for(part, lock) for part in parts)])
        for part, found in zip(parts, rows[len(sent) :], strict=True):
            (self.locked if lock else self.unlocked).update(_found(part, found))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the writes of the block when it fails."""
        before = [(each, dict(each)) for each in (self.written, self.entries)]
        try:
            yield
        except BaseException:
            for now, then in before:
                now.clear()
                now.update(then)  # type: ignore[arg-type]
            raise

    def renew(self) -> None:
        """Replace a lost connection; its transaction is lost with it. Raises psycopg.Error."""
        self.lease.renew()
        self.has_begun = False

    def roll_back(self) -> None:
        """Roll the transaction back; close the connection if that fails."""
        with suppress(psycopg.Error):
            if self.has_begun and not self.lease.is_lost:
                self.connection.execute(sql.ADMIN["rollback"])
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            self.connection.close()
        self.has_begun = False


def _parts(keys: Sequence[Key]) -> list[list[Key]]:
    """Return the keys of each statement: those of one partition, or only one of a few.

    The server plans the statement for several keys anew each time, which takes longer than looking for a few.
    """
    parts = []
    for partition in sorted({key[1] for key in keys}):
        found = sorted(key for key in keys if key[1] == partition)
        parts += [found] if len(found) > _FEW else [[key] for key in found]
    return parts


def _search_for(keys: Sequence[Key], lock: bool) -> Sent:
    """Return the statement that finds documents of one partition."""
    if len(keys) == 1:
        return sql.FIND_AND_LOCK if lock else SQL.find, SQL.of(keys[0])
    # Always in the same order, so that no two transactions wait for each other in a circle.
    pairs = sorted((escape_nul(table), escape_nul(doc_id)) for table, _, doc_id in keys)
    of = SQL.of_table("", keys[0][1]) | {"kinds": [kind for kind, _ in pairs], "ids": [doc_id for _, doc_id in pairs]}
    return sql.FIND_SOME_AND_LOCK if lock else sql.FIND_SOME, of


def _found(keys: Sequence[Key], rows: list[Any]) -> dict[Key, bytes | None]:
    """Return {key: JSON or None} from the rows of the statement for these keys."""
    partition = keys[0][1]
    if len(keys) == 1:
        return {keys[0]: rows[0][0] if rows else None}
    return dict.fromkeys(keys) | {
        (unescape_nul(kind), partition, unescape_nul(doc_id)): document for kind, doc_id, document in rows
    }
