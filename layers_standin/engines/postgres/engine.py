"""The document store on a PostgreSQL server, shared by any number of processes on any number of hosts."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

import orjson
import psycopg

from layers_standin.engines.base import BaseEngine, Purpose, Send
from layers_standin.engines.errors import Unavailable, Unconfirmed
from layers_standin.engines.indexes import IndexRule, Key, Record, index_entries
from layers_standin.engines.postgres import sql
from layers_standin.engines.postgres.connections import ConnectionPool, Lease, NoneFree, name_of, reason
from layers_standin.engines.postgres.pipeline import PipelineConnection
from layers_standin.engines.postgres.schema import FORMAT, create_tables, facts_of
from layers_standin.engines.postgres.session import Session
from layers_standin.engines.postgres.sql import SQL
from layers_standin.engines.sql import Sent

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
ATTEMPTS = 8
_PAUSE_SECONDS = 0.01
_AT_ONCE = 1000

# Conflicts with a concurrent transaction: the same one may succeed when it is repeated.
_IN_THE_WAY = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
)


# Of a transaction over all organizations.
_BEGINNINGS: dict[Purpose, tuple[str, ...]] = {
    "replace": ("begin", "take time", "no more writes"),
    "restore": ("begin", "take time", "no more snapshots", "no more writes"),
    # The snapshot's moment is that of the first query, which comes after the wait for other saves.
    "save": ("begin one moment", "no more snapshots", "take time"),
    "probe": ("begin",),
}


class _Thread(threading.local):
    """The session of a thread's transaction or block of reads, and the connection of its `exclusive` block."""

    session: Session | None = None
    lease: Lease | None = None


class TryAgain(Unavailable):
    """Nothing was written; the same transaction may well succeed now."""


class Postgres(BaseEngine):
    """TinyDB tables on a PostgreSQL database.

    A transaction locks the rows it reads, and sends its writes at its end, in one round trip. A document that it read
    as absent it inserts, so that of two such transactions one fails, and `run_transaction` calls it again. It
    locks documents before index entries.
    `indexes` has the index rule of each table that has indexes.
    Raises EngineError at opening; Unavailable after waiting `patience_seconds` for a connection or a lock; Unconfirmed
    when the connection is lost during a commit.
    """

    _sql, _format = SQL, FORMAT

    def __init__(
        self,
        url: str,
        *,
        indexes: Mapping[str, IndexRule] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._url = url
        self._indexes = indexes or {}
        self._connections = ConnectionPool(url, patience_seconds)
        self._thread = _Thread()
        self._open()

    @property
    def name(self) -> str:
        return name_of(self._url)

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str, lock: bool = True) -> bytes | None:
        return self.read_texts([(table, partition, doc_id)], lock)[0]

    def read_record(self, table: str, partition: str, doc_id: str, lock: bool = True) -> Record | None:
        found = self.read(table, partition, doc_id, lock)
        return None if found is None else cast(Record, orjson.loads(found))

    def read_texts(self, keys: Sequence[Key], lock: bool = True) -> list[bytes | None]:
        if self._thread.session is not None:
            return self._read(self._thread.session, keys, lock)
        with self._lent() as session:
            return self._read(session, keys, lock)

    def _read(self, session: Session, keys: Sequence[Key], lock: bool) -> list[bytes | None]:
        if missing := session.missing(keys, lock):
            self._first(session, lambda: session.fetch(missing, lock))
        return session.documents(keys)

    def ids(self, table: str, partition: str) -> list[str]:
        ids = dict.fromkeys(super().ids(table, partition))
        for (*space, doc_id), document in self._written.items():
            if space == [table, partition]:
                ids.pop(doc_id, None) if document is None else ids.setdefault(doc_id)
        return list(ids)

    def count(self, table: str, partition: str) -> int:
        return len(self.ids(table, partition)) if self._written else super().count(table, partition)

    @property
    def _written(self) -> Mapping[Key, bytes | None]:
        """The writes of this thread's transaction that are not sent yet."""
        return {} if self._thread.session is None else self._thread.session.written

    def write(
        self, table: str, partition: str, doc_id: str, document: bytes | None, record: Record | None = None
    ) -> None:
        key, session = (table, partition, doc_id), self._transaction
        if session is None:
            raise RuntimeError("a document is written inside a transaction")
        session.written[key] = document
        session.entries[key] = index_entries(table, document if record is None else record, self._indexes)

    @contextmanager
    def snapshot_read(self) -> Iterator[None]:
        """The block's reads share a connection, and nothing else."""
        if self._thread.session is not None:
            yield
            return
        with self._lent() as session:
            self._thread.session = session
            try:
                yield
            finally:
                self._thread.session = None

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        """Inside another transaction `alone` raises RuntimeError."""
        if self._transaction is None:
            return self._outermost(alone)
        if alone:
            raise RuntimeError("a transaction inside another is not alone: it would wait for itself")
        return nullcontext()

    def savepoint(self) -> AbstractContextManager[None]:
        if self._transaction is None:
            raise RuntimeError("a savepoint is a part of a transaction")
        return self._transaction.savepoint()

    def run_transaction(self, act: Callable[[], T]) -> T:
        if self._transaction is not None:
            return act()
        for number in range(1, ATTEMPTS):
            try:
                return act()
            except TryAgain:
                time.sleep(_PAUSE_SECONDS * number * random.random())  # noqa: S311 - so that twins do not meet again
        return act()

    @contextmanager
    def exclusive(self, patience_seconds: float = 30.0) -> Iterator[None]:
        """The block works on the connection that has the lock: if it is lost, so is every uncommitted write."""
        deadline = time.monotonic() + patience_seconds
        while True:
            with self._lent() as lent, self._pinned(lent) as is_alone:
                if is_alone:
                    yield
                    return
            if time.monotonic() >= deadline:
                raise Unavailable(f"Others have altered the database {self.name} as a whole for too long.")
            time.sleep(_PAUSE_SECONDS)

    @contextmanager
    def _pinned(self, lent: Session) -> Iterator[bool]:
        """Try to take the lock of `exclusive`; use its connection for this thread. Yield whether it was free."""
        lease = self._thread.lease = lent.lease
        try:
            ((is_alone,),) = self._ask(sql.ADMIN["try alone"], {})
            lease.is_pinned = is_alone
            yield is_alone
        finally:
            lease.is_pinned, self._thread.lease = False, None
            with suppress(psycopg.Error):
                lease.connection.execute(sql.ADMIN["not alone"])

    def close(self) -> None:
        self.is_closed = True
        self._connections.drop_idle()

    # One connection.

    @property
    def _transaction(self) -> Session | None:
        session = self._thread.session
        return session if session is not None and session.is_transaction else None

    @contextmanager
    def _lent(self) -> Iterator[Session]:
        """Yield a session on this thread's connection, or on one from the pool. Raises Unavailable."""
        if self._thread.session is not None:
            yield self._thread.session
            return
        if self._thread.lease is not None:
            yield Session(self._thread.lease)
            return
        try:
            lease = self._connections.checkout()
        except (NoneFree, psycopg.Error) as error:
            raise self._unavailable(error) from error
        try:
            yield Session(lease)
        finally:
            lease.end()

    def _look(self, look: Callable[[PipelineConnection], T]) -> T:
        """Return `look(connection)`; call it again on a new connection if the first is lost. Raises Unavailable."""
        with self._lent() as session:
            return self._first(session, lambda: look(session.connection))

    def _first(self, session: Session, act: Callable[[], T]) -> T:
        """Return `act()`; call it again if the connection is lost and no transaction had begun. Raises Unavailable."""
        had_begun = session.has_begun
        try:
            return act()
        except psycopg.Error as error:
            if had_begun or not session.lease.is_lost:
                raise self._refused(session, error) from error
        try:
            session.renew()
        except psycopg.Error as error:
            raise self._unavailable(error) from error
        try:
            return act()
        except psycopg.Error as error:
            raise self._refused(session, error) from error

    def _unavailable(self, error: BaseException) -> Unavailable:
        return Unavailable(f"The database {self.name} does not serve: {reason(error)}.")

    def _refused(self, session: Session, error: psycopg.Error) -> Unavailable:
        """Map an error before the commit: TryAgain for conflicts and lost connections, else Unavailable."""
        if isinstance(error, _IN_THE_WAY) or session.lease.is_lost:
            return TryAgain(f"The database {self.name} could not finish: {reason(error)}.")
        return self._unavailable(error)

    # One transaction.

    @contextmanager
    def _outermost(self, alone: bool) -> Iterator[None]:
        outer = self._thread.session
        with self._lent() as lent:
            session = self._thread.session = Session(lent.lease, is_transaction=True)
            try:
                if alone:
                    self._begin(session, ("begin", "no more writes"))
                yield
                self._commit(session)
            except BaseException:
                session.roll_back()
                raise
            finally:
                self._thread.session = outer
                lent.unlocked.clear()  # they may have been changed

    def _begin(self, session: Session, beginning: Sequence[str]) -> None:
        """Begin a transaction by these statements of `ADMIN`."""

        def send() -> None:
            session.has_begun = True
            for each in beginning:
                session.connection.execute(sql.ADMIN[each])

        self._first(session, send)

    def _commit(self, session: Session) -> None:
        """Write and commit in one round trip."""
        unread = [key for key in session.written if key[0] in self._indexes and key not in session.locked]
        if unread or (session.written and not session.has_begun):
            self._first(session, lambda: session.fetch(unread, lock=True))
        if session.has_begun:
            self._finish(session, [sent for key in session.written for sent in self._statements(session, key)])

    def _statements(self, session: Session, key: Key) -> Iterator[Sent]:
        before, after = session.locked.get(key), session.written[key]
        if key in session.locked and before == after:
            return
        if after is None:
            yield SQL.delete, SQL.of(key)
        elif before is not None:
            yield SQL.update, SQL.of(key) | {"document": after.decode()}
        else:
            yield SQL.insert if key in session.locked else SQL.upsert, SQL.of_new(key, after)
        yield from SQL.replace_entries(key, index_entries(key[0], before, self._indexes), session.entries[key])

    def _finish(self, session: Session, statements: Iterable[Sent] = ()) -> None:
        """Send these statements and commit, in one round trip."""
        try:
            session.connection.send([*statements, (sql.ADMIN["commit"], {})])
        except psycopg.Error as error:
            is_lost = session.lease.is_lost or isinstance(error, psycopg.errors.StatementCompletionUnknown)
            if is_lost and not isinstance(error, _IN_THE_WAY):
                raise Unconfirmed(f"The database {self.name} was lost before it confirmed the commit.") from error
            raise self._refused(session, error) from error
        session.has_begun = False

    # All of it.

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self._look(lambda connection: connection.send([(statement, parameters)])[0])

    @contextmanager
    def _whole(self, purpose: Purpose) -> Iterator[Send]:
        with self._over_all(*_BEGINNINGS[purpose]) as connection:
            yield partial(_send, connection)

    def _read_whole(self, read: Callable[[Send], T]) -> T:
        return self._look(lambda connection: read(partial(_send, connection)))

    @contextmanager
    def _over_all(self, *beginning: str) -> Iterator[PipelineConnection]:
        """Yield a connection in a transaction over all organizations, begun by these statements of `ADMIN`."""
        if self._transaction is not None:
            raise RuntimeError("nothing is replaced or kept as a whole inside a transaction: it would wait for itself")
        with self._lent() as lent:
            session = Session(lent.lease)
            try:
                self._begin(session, beginning)
                yield session.connection
                self._finish(session)
            except psycopg.Error as error:
                raise self._refused(session, error) from error
            finally:
                session.roll_back()
                lent.unlocked.clear()

    def _open(self) -> None:
        """Create the tables of a new database; of many hosts one does it."""
        try:
            if not self._look(partial(facts_of, name=self.name)):
                with self._over_all("begin", "take time", "wait", "one at a time") as connection:
                    if not facts_of(connection, self.name):
                        create_tables(connection)
        except BaseException:
            self.close()
            raise


def _send(connection: PipelineConnection, statements: Iterable[Sent]) -> list[list[Any]]:
    """Send statements in as few round trips as their number allows; return the rows of each."""
    rest, rows = iter(statements), []
    while some := list(islice(rest, _AT_ONCE)):
        rows += connection.send(some)
    return rows
