"""The document store on a PostgreSQL server, shared by any number of processes on any number of hosts."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast

import orjson
import psycopg
from psycopg import Connection, Cursor

from layers_standin.engines.errors import EngineError, Unavailable, Unconfirmed, UnknownFormat
from layers_standin.engines.indexes import IndexRule, Key, index_entries, places_in
from layers_standin.engines.postgres import sql
from layers_standin.engines.postgres.batch import PendingWrite, WriteBatch
from layers_standin.engines.postgres.connections import ConnectionPool, NoneFree, name_of, reason
from layers_standin.engines.postgres.session import Session, find
from layers_standin.engines.postgres.sql import CREATE, SCHEMA, SQL, escape_nul, unescape_nul
from layers_standin.engines.snapshots import BaseEngine, Purpose
from layers_standin.engines.sql import Sent
from layers_standin.engines.table import Record, Table

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
ATTEMPTS = 8
FORMAT = 1
_PAUSE_SECONDS = 0.01
_FOLLOWED, _FIRST_KEYS = 6, 1000

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
}


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

    def __init__(
        self,
        url: str,
        *,
        indexes: Mapping[str, IndexRule] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._url = url
        self._indexes, self._format = indexes or {}, FORMAT
        self._connections = ConnectionPool(url, patience_seconds)
        self._thread = threading.local()
        self._followers: dict[Key | None, dict[Key, None]] = {}
        self._open()

    @property
    def name(self) -> str:
        return name_of(self._url)

    def table(self, name: str, partition: str = "") -> Table:
        return Table(self, name, partition)

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str, lock: bool = True) -> bytes | None:
        key = (table, partition, doc_id)
        changes, session = self._changes, self._block
        if changes is not None and key in changes:
            return changes[key]
        if changes is None or session is None:
            return self.read_texts([key])[0]
        if key in session.locked:
            return session.locked[key]
        if lock:
            self._lock(session, [key])
            return session.locked[key]
        if key not in session.unlocked:
            self._lock(session, [], [key])
        return session.unlocked[key]

    def read_record(self, table: str, partition: str, doc_id: str, lock: bool = True) -> Record | None:
        found = self.read(table, partition, doc_id, lock)
        return None if found is None else cast(Record, orjson.loads(found))

    def read_texts(self, keys: Sequence[Key]) -> list[bytes | None]:
        changes, session = self._changes, self._block
        seen = {} if session is None else session.locked
        wanted = [key for key in keys if key not in seen and (changes is None or key not in changes)]
        if changes is None or session is None:
            if wanted:
                ahead = wanted if session is None else self._ahead_of(session, wanted)
                seen.update(self._look(partial(find, keys=ahead)))
            if session is not None:
                self._remember(session, keys)
            return [seen[key] for key in keys]
        if wanted:
            self._lock(session, wanted)
        return [changes[key] if key in changes else session.locked[key] for key in keys]

    def _ahead_of(self, session: Session, keys: list[Key]) -> list[Key]:
        """Return the keys of a block's first read, and those that such a block has read after it lately.

        A guess that saves trips and is never an answer: all of them are read now.
        """
        if session.locked or len(keys) > _FOLLOWED:
            return keys
        session.first = keys[0]
        return [*keys, *(key for key in list(self._followers.get(session.first, ())) if key not in keys)]

    def _remember(self, session: Session, keys: Sequence[Key]) -> None:
        if session.first is None or len(keys) > _FOLLOWED or session.first in keys:
            return
        if len(self._followers) > _FIRST_KEYS:
            self._followers.clear()
        followers = self._followers.setdefault(session.first, {})
        for key in keys:  # the latest last
            followers.pop(key, None)
            followers[key] = None
        for key in list(followers)[:-_FOLLOWED]:
            followers.pop(key, None)

    def read_many(self, keys: Sequence[Key]) -> list[Record | None]:
        return [None if found is None else orjson.loads(found) for found in self.read_texts(keys)]

    def ids(self, table: str, partition: str) -> list[str]:
        rows = self._ask(SQL.ids, SQL.of_table(table, partition))
        ids = [unescape_nul(doc_id) for (doc_id,) in rows]
        return ids if self._changes is None else self._changes.ids(table, partition, ids)

    def count(self, table: str, partition: str) -> int:
        if self._changes is not None:
            return len(self.ids(table, partition))
        return int(self._ask(SQL.count, SQL.of_table(table, partition))[0][0])

    def write(
        self, table: str, partition: str, doc_id: str, document: bytes | None, record: Record | None = None
    ) -> None:
        if self._changes is None:
            raise RuntimeError("a document is written inside a transaction")
        entries = (
            places_in(table, document, self._indexes) if record is None else index_entries(table, record, self._indexes)
        )
        self._changes.put((table, partition, doc_id), PendingWrite(document, entries))

    def scan(self, table: str, partition: str, index: str, before: str | None = None, limit: int = 1) -> list[str]:
        """Sees only committed entries."""
        of = SQL.of_table(table, partition) | {"index": escape_nul(index), "limit": limit}
        if before is not None:
            of["before"] = escape_nul(before)
        rows = self._ask(SQL.scan if before is None else SQL.scan_below, of)
        return [unescape_nul(sort_key) for (sort_key,) in rows]

    @contextmanager
    def snapshot_read(self) -> Iterator[None]:
        """The block's reads share a connection, and nothing else."""
        if self._block is not None:
            yield
            return
        with self._lent() as session:
            self._thread.session = session
            try:
                yield
            finally:
                self._thread.session = None

    def probe(self) -> None:
        with self._over_all("begin") as connection:
            for statement in SQL.probe:
                connection.execute(statement)

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        """Inside another transaction the block is a savepoint, and `alone` raises RuntimeError."""
        outer = self._changes
        if outer is None:
            return self._outermost(alone)
        if alone:
            raise RuntimeError("a transaction inside another is not alone: it would wait for itself")
        return self._inner(outer)

    def savepoint(self) -> AbstractContextManager[None]:
        return self.transaction()

    def run_transaction(self, act: Callable[[], T]) -> T:
        if self._changes is not None:
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
        self._connections.drop_idle()

    # One connection.

    @property
    def _block(self) -> Session | None:
        return getattr(self._thread, "session", None)

    @property
    def _changes(self) -> WriteBatch | None:
        return getattr(self._thread, "changes", None)

    @contextmanager
    def _lent(self) -> Iterator[Session]:
        """Yield a session on this thread's connection, or on one from the pool. Raises Unavailable."""
        if self._block is not None:
            yield self._block
            return
        if (pinned := getattr(self._thread, "lease", None)) is not None:
            yield Session(pinned)
            return
        try:
            lease = self._connections.checkout()
        except (NoneFree, psycopg.Error) as error:
            raise self._unavailable(error) from error
        try:
            yield Session(lease)
        finally:
            lease.end()

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self._look(lambda connection: connection.execute(statement, parameters).fetchall())

    def _look(self, look: Callable[[Connection[Any]], T]) -> T:
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
        before = self._block
        with self._lent() as lent:
            session = self._thread.session = Session(lent.lease)
            changes = self._thread.changes = WriteBatch()
            try:
                if alone:
                    self._exclude(session)
                yield
                self._commit(session, changes)
            except BaseException:
                session.roll_back()
                raise
            finally:
                self._thread.session, self._thread.changes = before, None
                lent.locked.clear()  # it may have been changed

    def _exclude(self, session: Session) -> None:
        try:
            self._begin_whole(session, ("begin", "no more writes"))
        except psycopg.Error as error:
            raise self._refused(session, error) from error

    @contextmanager
    def _inner(self, outer: WriteBatch) -> Iterator[None]:
        inner = self._thread.changes = WriteBatch(outer)
        try:
            yield
            outer.take(inner)
        finally:
            self._thread.changes = outer

    def _lock(self, session: Session, keys: Sequence[Key], unlocked: Sequence[Key] = ()) -> None:
        """Begin if needed, read the rows of both, and lock those of `keys`, in one round trip."""
        self._first(session, lambda: session.find_and_lock(keys, unlocked))

    def _commit(self, session: Session, changes: WriteBatch) -> None:
        """Write and commit in one round trip."""
        written = dict(changes.own())
        unread = [key for key in written if key[0] in self._indexes and key not in session.locked]
        if unread or (written and not session.has_begun):
            self._lock(session, unread)
        if not session.has_begun:
            return
        changed = {
            key: after
            for key, after in written.items()
            if key not in session.locked or session.locked[key] != after.document
        }
        statements = [*self._writing(session, changed), (sql.ADMIN["commit"], {})]
        try:
            with session.connection.pipeline():
                for statement, parameters in statements:
                    session.connection.execute(statement, parameters)
        except _IN_THE_WAY as error:
            raise self._refused(session, error) from error
        except psycopg.Error as error:
            if session.lease.is_lost or isinstance(error, psycopg.errors.StatementCompletionUnknown):
                raise self._unconfirmed() from error
            raise self._unavailable(error) from error
        session.has_begun = False

    def _unconfirmed(self) -> Unconfirmed:
        return Unconfirmed(f"The database {self.name} was lost before it said whether it has done what it was told.")

    def _writing(self, session: Session, changed: Mapping[Key, PendingWrite]) -> Iterator[Sent]:
        for key, after in changed.items():
            yield from self._statements(session, key, after)

    def _statements(self, session: Session, key: Key, after: PendingWrite) -> Iterator[Sent]:
        before = session.locked.get(key)
        if after.document is None:
            yield SQL.delete, SQL.of(key)
        elif before is not None:
            yield SQL.update, SQL.of(key) | {"document": after.document.decode()}
        else:
            yield SQL.insert if key in session.locked else SQL.upsert, SQL.of_new(key, after.document)
        yield from SQL.moves(key, places_in(key[0], before, self._indexes), after.entries)

    # All of it.

    @contextmanager
    def _whole(self, purpose: Purpose) -> Iterator["_Database"]:
        with self._over_all(*_BEGINNINGS[purpose]) as connection:
            yield _Database(connection)

    def _read_whole(self, read: Callable[["_Database"], T]) -> T:
        return self._look(lambda connection: read(_Database(connection)))

    @contextmanager
    def _over_all(self, *beginning: str) -> Iterator[Connection[Any]]:
        """Yield a connection in a transaction over all organizations, begun by these statements of `ADMIN`."""
        if self._changes is not None:
            raise RuntimeError("nothing is replaced or kept as a whole inside a transaction: it would wait for itself")
        with self._lent() as lent:
            session = Session(lent.lease)
            try:
                self._begin_whole(session, beginning)
                yield session.connection
                self._end_whole(session)
            except psycopg.Error as error:
                raise self._refused(session, error) from error
            finally:
                session.roll_back()
                lent.locked.clear()

    def _begin_whole(self, session: Session, beginning: Sequence[str]) -> None:
        self._first(session, lambda: session.connection.execute(sql.ADMIN[beginning[0]]))
        session.has_begun = True
        for each in beginning[1:]:
            session.connection.execute(sql.ADMIN[each])

    def _end_whole(self, session: Session) -> None:
        try:
            session.connection.execute(sql.ADMIN["commit"])
        except psycopg.Error as error:
            if session.lease.is_lost:
                raise self._unconfirmed() from error
            raise
        session.has_begun = False

    def _open(self) -> None:
        """Create the tables of a new database; of many hosts one does it."""
        try:
            if not self._look(self._facts):
                with self._over_all("begin", "take time", "wait", "one at a time") as connection:
                    self._create(connection)
        except BaseException:
            self.close()
            raise

    def _create(self, connection: Connection[Any]) -> None:
        if not self._facts(connection):
            for statement in CREATE:
                connection.execute(statement)
            for name, number in (("schema", SCHEMA), ("format", FORMAT)):
                connection.execute(SQL.note_fact, {"name": name, "fact": str(number)})

    def _facts(self, connection: Connection[Any]) -> dict[str, int]:
        """Return {"schema", "format"} of the database, {} when it is new. Raises UnknownFormat, EngineError."""
        (is_new,) = connection.execute(sql.ADMIN["is new"]).fetchone() or (True,)
        facts = {} if is_new else {name: int(fact) for name, fact in connection.execute(SQL.facts)}
        if facts and facts.get("schema", 0) < SCHEMA:
            raise UnknownFormat(
                f"The database {self.name} was written by version 0.1.0: with that version copy it into a folder "
                "(`flask store copy`) and run `flask store export > backup.json`, then import that here into a new one."
            )
        for fact, known in (("schema", SCHEMA), ("format", FORMAT)):
            if facts.get(fact, 0) > known:
                raise UnknownFormat(
                    f"The database {self.name} has {fact} {facts[fact]}, and this program knows up to {known}. "
                    "Run the newer program, or set STANDIN_STORE to another database."
                )
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise EngineError(f"The database {self.name} is encoded in {encoding}: create one whose encoding is UTF8.")
        return facts


class _Database:
    """Sends the statements over all organizations to PostgreSQL, many in one round trip."""

    statements = SQL

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def rows(self, statement: str) -> list[Any]:
        return self._connection.execute(statement).fetchall()

    def columns(self, sent: Iterable[Sent]) -> list[list[Any]]:
        return [[_unescaped(first) for first, *_ in cursor] for cursor in self._send(sent)]

    def changed(self, sent: Iterable[Sent]) -> int:
        return sum(cursor.rowcount for cursor in self._send(sent))

    def _send(self, sent: Iterable[Sent]) -> list[Cursor[Any]]:
        with self._connection.pipeline():
            return [self._connection.execute(statement, parameters) for statement, parameters in sent]


def _unescaped(value: Any) -> Any:
    return unescape_nul(value) if isinstance(value, str) else value
