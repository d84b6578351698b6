"""The state of a thread's work on a connection: documents read and locked, in as few round trips as possible."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus

from layers_standin.engines.indexes import Key
from layers_standin.engines.postgres import sql
from layers_standin.engines.postgres.connections import Lease
from layers_standin.engines.postgres.sql import SQL, escape_nul, unescape_nul


class Session:
    """A connection of one thread, the documents that it read with and without locks, and whether BEGIN was sent."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.locked: dict[Key, bytes | None] = {}
        self.unlocked: dict[Key, bytes | None] = {}
        self.has_begun = False
        self.first: Key | None = None  # the first document read outside of a transaction

    @property
    def connection(self) -> Connection[Any]:
        return self.lease.connection

    def find_and_lock(self, keys: Sequence[Key], unlocked: Sequence[Key]) -> None:
        """Begin if needed, and read the documents of both, in one round trip. Raises psycopg.Error.

        Locks the rows of `keys`, not those of `unlocked`.
        """
        with self.connection.pipeline():
            if not self.has_begun:
                self.has_begun = True
                self.connection.execute(sql.ADMIN["begin"])
            if unlocked and not (keys or self.locked or self.unlocked):  # no row lock keeps a reset out
                self.connection.execute(sql.PIN, SQL.of_table("", unlocked[0][1]))
            locked = _ask_for(self.connection, keys, locking=True)
            others = _ask_for(self.connection, unlocked, locking=False)
        # Not before the pipeline has ended: an error in it would come twice.
        self.locked.update(_found(locked))
        self.unlocked.update(_found(others))

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


def find(connection: Connection[Any], keys: Sequence[Key]) -> dict[Key, bytes | None]:
    """Return {key: JSON or None} in one round trip, without locks. Raises psycopg.Error."""
    with connection.pipeline():
        asked = _ask_for(connection, keys, locking=False)
    return _found(asked)


def _ask_for(connection: Connection[Any], keys: Sequence[Key], locking: bool) -> list[tuple[list[Key], Cursor[Any]]]:
    """Send one statement a partition; return (keys, cursor) of each."""
    asked = []
    for partition in sorted({partition for _, partition, _ in keys}):
        some = [key for key in keys if key[1] == partition]
        if len(some) > 1:
            statement, parameters = sql.FIND_SOME_AND_LOCK if locking else sql.FIND_SOME, _of_some(partition, some)
        else:
            statement, parameters = sql.FIND_AND_LOCK if locking else SQL.find, SQL.of(some[0])
        asked.append((some, connection.execute(statement, parameters)))
    return asked


def _of_some(partition: str, keys: Sequence[Key]) -> dict[str, Any]:
    """Return the parameters for several documents of one partition, always in the same order."""
    pairs = sorted((escape_nul(table), escape_nul(doc_id)) for table, _, doc_id in keys)
    return SQL.of_table("", partition) | {"kinds": [kind for kind, _ in pairs], "ids": [doc_id for _, doc_id in pairs]}


def _found(asked: Sequence[tuple[list[Key], Cursor[Any]]]) -> dict[Key, bytes | None]:
    """Return {key: JSON or None} of statements sent by `_ask_for`."""
    found: dict[Key, bytes | None] = {}
    for keys, cursor in asked:
        rows = cursor.fetchall()
        found |= dict.fromkeys(keys)
        partition = keys[0][1]
        if len(keys) == 1 and rows:
            found[keys[0]] = rows[0][0]
        elif len(keys) > 1:
            found |= {
                (unescape_nul(kind), partition, unescape_nul(doc_id)): document for kind, doc_id, document in rows
            }
    return found
