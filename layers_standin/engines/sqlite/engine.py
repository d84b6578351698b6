"""The document store in one SQLite file."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import apsw
import orjson

from layers_standin.engines.disk import Disk
from layers_standin.engines.errors import Damaged, EngineError, Unavailable, Unconfirmed
from layers_standin.engines.indexes import IndexEntry, IndexRule, Key
from layers_standin.engines.lock import locked
from layers_standin.engines.snapshots import BaseEngine, Purpose
from layers_standin.engines.sql import Sent, Statements
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, Connections, Session
from layers_standin.engines.sqlite.files import DATABASE, FORMAT, open_folder
from layers_standin.engines.table import Record, Table

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
_STUCK_SECONDS = 0.1
_EXCLUSIVE = "control.lock"
_GONE = (
    "The store's file {} was moved, removed or replaced while it was served: put it back, or stop the service and "
    "start it on the file that is there now."
)
_NOT_SYNCED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)

SQL = Statements()

# Positional parameters take half as long as named ones; for the statements of every request.
_PLACED = Statements(parameter="?")
_FIND, _UPSERT, _DELETE = _PLACED.find, _PLACED.upsert, _PLACED.delete
_ADD_ENTRY, _REMOVE_ENTRY = _PLACED.add_entry, _PLACED.remove_entry
_FIND_MANY = "SELECT kind, organization, id, document FROM documents WHERE (kind, organization, id) IN"

_JOINED: AbstractContextManager[None] = nullcontext()


class SQLite(BaseEngine):
    """TinyDB tables on `folder/store.sqlite3`.

    A transaction holds the database's one write lock from its beginning, so `lock` and `alone` add nothing, and
    `run_transaction` calls once. Readers take no lock and see the last commit before they began. A writer waits
    `patience_seconds` for the write lock, then raises Unavailable; while the same holder keeps it, later writers wait a
    tenth of a second. `indexes` has the index rule of each table that has indexes.
    Raises OSError, EngineError at opening; Damaged from every method.
    """

    def __init__(
        self,
        folder: Path,
        *,
        indexes: Mapping[str, IndexRule] | None = None,
        sync: bool = True,
        patience_seconds: float = PATIENCE_SECONDS,
        vfs: str = CHECKSUM_VFS,
    ) -> None:
        folder = folder.absolute()
        self.path = folder / DATABASE
        self._file = str(self.path)  # the same, for a look at it before each read
        self._indexes, self._format = indexes or {}, FORMAT
        self._patience_seconds = patience_seconds
        self._connections = Connections(self.path, sync, patience_seconds, vfs)
        self._writing = threading.Lock()
        self._is_stuck = False
        with self._translated():
            open_folder(folder, self._connections, SQL, Disk(sync))

    @property
    def name(self) -> str:
        return str(self.path.resolve())

    def table(self, name: str, partition: str = "") -> Table:
        return Table(self, name, partition)

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str, lock: bool = True) -> bytes | None:
        rows = self._execute(self._session(), _FIND, (partition, table, doc_id))
        return rows[0][0].encode() if rows else None

    def read_record(self, table: str, partition: str, doc_id: str, lock: bool = True) -> Record | None:
        session: Session | None = getattr(self._connections.thread, "session", None)
        if session is None or not (session.is_reading or session.depth):
            session = self._session()
        try:
            row = session.connection.execute(_FIND, (partition, table, doc_id)).fetchone()
        except apsw.Error as error:
            raise self._error_of(error) from error
        if row is None:
            return None
        record: Record = orjson.loads(row[0])
        if session.depth:
            session.loaded[table, partition, doc_id] = record
        return record

    def read_texts(self, keys: Sequence[Key]) -> list[bytes | None]:
        found = {(table, partition, doc_id): text.encode() for table, partition, doc_id, text in self._find(keys)}
        return [found.get(key) for key in keys]

    def read_many(self, keys: Sequence[Key]) -> list[Record | None]:
        found: dict[Key, Record] = {}
        for *key, text in self._find(keys):
            found[tuple(key)] = orjson.loads(text)  # type: ignore[index]
        return list(map(found.get, keys))

    def _find(self, keys: Sequence[Key]) -> list[tuple[str, str, str, str]]:
        if not keys:
            return []
        statement = f"{_FIND_MANY} (VALUES {', '.join(['(?, ?, ?)'] * len(keys))})"
        return self._execute(self._session(), statement, tuple(chain.from_iterable(keys)))

    def ids(self, table: str, partition: str) -> list[str]:
        return [doc_id for (doc_id,) in self._ask(SQL.ids, SQL.of_table(table, partition))]

    def count(self, table: str, partition: str) -> int:
        return int(self._ask(SQL.count, SQL.of_table(table, partition))[0][0])

    def scan(self, table: str, partition: str, index: str, before: str | None = None, limit: int = 1) -> list[str]:
        of = SQL.of_table(table, partition) | {"index": index, "limit": min(limit, _MOST_ROWS)}
        rows = self._ask(SQL.scan, of) if before is None else self._ask(SQL.scan_below, of | {"before": before})
        return [sort_key for (sort_key,) in rows]

    def write(
        self, table: str, partition: str, doc_id: str, document: bytes | None, record: Record | None = None
    ) -> None:
        session: Session | None = getattr(self._connections.thread, "session", None)
        if session is None or not session.depth:
            raise RuntimeError("a document is written inside a transaction")
        try:
            if not session.connection.in_transaction:
                self._session()  # raises Unavailable
            if table in self._indexes:
                key = (table, partition, doc_id)
                before = session.loaded[key] if key in session.loaded else self.read_record(*key)
                after = orjson.loads(document) if record is None and document is not None else record
                session.loaded[key] = after
                left = [] if before is None else self._indexes[table](before)
                joined = [] if after is None else self._indexes[table](after)
                if left != joined:
                    self._move(session, key, left, joined)
            if document is None:
                session.connection.execute(_DELETE, (partition, table, doc_id))
            else:
                session.connection.execute(_UPSERT, (partition, table, doc_id, time.time_ns(), document.decode()))
        except apsw.Error as error:
            raise self._error_of(error) from error

    def _move(self, session: Session, key: Key, left: list[IndexEntry], joined: list[IndexEntry]) -> None:
        """Remove the index entries that a document has no longer, add its new ones."""
        table, partition, doc_id = key
        for statement, entries, others in ((_REMOVE_ENTRY, left, joined), (_ADD_ENTRY, joined, left)):
            for entry in entries:
                if entry not in others:
                    session.connection.execute(statement, (partition, table, entry.index_name, entry.sort_key, doc_id))

    def snapshot_read(self) -> AbstractContextManager[None]:
        """The block sees the state of its first read."""
        return _Reading(self)

    def run_transaction(self, act: Callable[[], T]) -> T:
        return act()

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        session: Session | None = getattr(self._connections.thread, "session", None)
        return _JOINED if session is not None and session.depth else _Transaction(self)

    def savepoint(self) -> AbstractContextManager[None]:
        return _Savepoint(self)

    def probe(self) -> None:
        with self.transaction(), self._translated():
            for statement in SQL.probe:
                self._session().connection.execute(statement)

    def exclusive(self, patience_seconds: float = 30.0) -> AbstractContextManager[None]:
        return locked(self.path.with_name(_EXCLUSIVE), patience_seconds)

    def close(self) -> None:
        """Close the connections of this process; the last process to do so writes the log back into the one file."""
        with self._translated():
            self._connections.close()

    # All documents at once, for `BaseEngine`.

    @contextmanager
    def _whole(self, purpose: Purpose) -> Iterator["_Database"]:
        if self._session().depth:
            raise RuntimeError("nothing is replaced or kept as a whole inside a transaction")
        with self.transaction(), self._translated():
            yield _Database(self._session().connection)

    def _read_whole(self, read: Callable[["_Database"], T]) -> T:
        with self.snapshot_read(), self._translated():
            return read(_Database(self._session().connection))

    # One statement.

    def _session(self) -> Session:
        """Return this thread's session. Raises Unavailable when another file has the database's name."""
        session: Session | None = getattr(self._connections.thread, "session", None)
        try:
            if session is not None and (session.is_reading or (session.depth and session.connection.in_transaction)):
                return session
        except apsw.Error as error:
            raise self._error_of(error) from error
        return self._looked_at()

    def _looked_at(self) -> Session:
        try:
            session: Session | None = getattr(self._connections.thread, "session", None)
            if session is None or session.file is None:
                session = self._connections.session()
            if session.depth:
                raise Unavailable(f"The transaction in {self.path} was ended by a failure: nothing of it was kept.")
            found = os.stat(self._file)
            if (found.st_dev, found.st_ino) == session.file:
                return session
        except FileNotFoundError:
            pass
        except apsw.Error as error:
            raise self._error_of(error) from error
        except OSError as error:
            raise Unavailable(f"The store's file {self.path} cannot be looked at: {error.strerror}.") from error
        raise Unavailable(_GONE.format(self.path))

    def _ask(self, statement: str, parameters: Any = None) -> list[Any]:
        return self._execute(self._session(), statement, parameters)

    def _execute(self, session: Session, statement: str, parameters: Any = None) -> list[Any]:
        try:
            return session.connection.execute(statement, parameters).fetchall()
        except apsw.Error as error:
            raise self._error_of(error) from error

    def _is_in_transaction(self, session: Session) -> bool:
        try:
            return session.connection.in_transaction
        except apsw.Error as error:
            raise self._error_of(error) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise self._error_of(error) from error

    def _error_of(self, error: apsw.Error) -> EngineError:
        """Map an error of SQLite to one of ours."""
        code = getattr(error, "extendedresult", 0)
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError)) or code == apsw.SQLITE_IOERR_DATA:
            return Damaged(self.path, str(error) or type(error).__name__)
        if isinstance(error, apsw.CantOpenError):
            return Unavailable(
                f"The store's file {self.path} cannot be opened: make it writable, or set STANDIN_DATA to a "
                "folder that is."
            )
        if isinstance(error, apsw.BusyError):
            return Unavailable(f"Another process has kept the write lock of {self.path} for too long.")
        return Unavailable(f"The store's file {self.path} takes no writes: {str(error) or type(error).__name__}.")

    # One transaction.

    def _begin(self, session: Session) -> None:
        """Take the write lock. Raises Unavailable after the time that a transaction may wait."""
        deadline = time.monotonic() + (_STUCK_SECONDS if self._is_stuck else self._patience_seconds)
        if not self._writing.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise Unavailable(f"Other changes of {self.path} have taken too long.")
        try:
            self._connections.waiting.until = deadline
            if not self._begins(session):
                # So SQLite opens a database or log that could not be opened for writing just then; by now it may be.
                if os.access(self.path, os.W_OK):
                    self._connections.renew(session)
                self._execute(session, "BEGIN IMMEDIATE")
            self._is_stuck = False
            for name, identity in self._connections.log.items():
                # No process reads a log that has lost its name, and another index has other writers' locks.
                if not _is_at(name, identity):
                    self._execute(session, "ROLLBACK")
                    raise Unavailable(_GONE.format(name))
        except BaseException as error:
            self._is_stuck = isinstance(error.__cause__, apsw.BusyError)
            self._writing.release()
            if isinstance(error, apsw.Error):
                raise self._error_of(error) from error
            if isinstance(error, FileNotFoundError):
                raise Unavailable(_GONE.format(self.path)) from error
            raise

    def _begins(self, session: Session) -> bool:
        """Begin a transaction; return False, with none begun, when the session's files are open for reading only."""
        if session.connection.readonly("main"):
            return False
        try:
            self._execute(session, "BEGIN IMMEDIATE")
        except Unavailable as error:
            if isinstance(error.__cause__, apsw.ReadOnlyError):
                return False
            raise
        return True


def _is_at(name: str, identity: tuple[int, int] | None) -> bool:
    """Whether the file of that name is still this (device, inode); None stands for no file."""
    try:
        found = os.stat(name)
    except OSError:
        return identity is None
    return (found.st_dev, found.st_ino) == identity


class _Transaction:
    """A transaction: committed when its block ends well, else rolled back.

    A class because every write goes through it: a generator would cost several times as much.
    """

    __slots__ = ("_engine", "_session")

    def __init__(self, engine: SQLite) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._session = session = self._engine._session()
        if self._engine._is_in_transaction(session):  # reads at one state, which end here
            self._engine._execute(session, "ROLLBACK")
        self._engine._begin(session)
        session.depth, session.loaded = 1, {}

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        session = self._session
        session.depth = 0
        try:
            self._end(session, kind is None)
        finally:
            self._engine._writing.release()

    def _end(self, session: Session, is_well: bool) -> None:
        try:
            if is_well:
                self._engine._execute(session, "COMMIT")
        except EngineError as error:
            if getattr(error.__cause__, "extendedresult", 0) in _NOT_SYNCED:
                # It was written, and is undone; but found in the log after a crash, it would be taken as done.
                raise Unconfirmed(f"The disk has not confirmed a change of {self._engine.path}.") from error
            raise
        finally:
            if self._engine._is_in_transaction(session):  # SQLite may have rolled back itself: a full disk does that
                self._engine._execute(session, "ROLLBACK")


class _Savepoint:
    """A part of a transaction that is rolled back alone."""

    __slots__ = ("_engine", "_name", "_session")

    def __init__(self, engine: SQLite) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._session = session = self._engine._session()
        self._name = f"part{session.depth}"
        self._engine._execute(session, f"SAVEPOINT {self._name}")
        session.depth += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        session = self._session
        session.depth -= 1
        if kind is None:
            self._engine._execute(session, f"RELEASE {self._name}")
        elif self._engine._is_in_transaction(session):
            session.loaded.clear()
            self._engine._execute(session, f"ROLLBACK TO {self._name}; RELEASE {self._name}")


class _Reading:
    """A block of reads that see one state."""

    __slots__ = ("_engine", "_is_outer", "_session")

    def __init__(self, engine: SQLite) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._session = session = self._engine._session()
        self._is_outer = not (session.is_reading or session.depth)
        if self._is_outer:
            self._engine._execute(session, "BEGIN")
            session.is_reading = True

    def __exit__(self, *_: object) -> None:
        if self._is_outer:
            self._session.is_reading = False
            try:
                if self._session.connection.in_transaction:
                    # Not COMMIT: after a damaged page it fails, and the next reads would see this old state.
                    self._session.connection.execute("ROLLBACK")
            except apsw.Error as error:
                raise self._engine._error_of(error) from error


class _Database:
    """Sends the statements over all organizations to SQLite."""

    statements = SQL

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def rows(self, statement: str) -> list[Any]:
        return self._connection.execute(statement).fetchall()

    def columns(self, sent: Iterable[Sent]) -> list[list[Any]]:
        return [[first for first, *_ in self._connection.execute(*each)] for each in sent]

    def changed(self, sent: Iterable[Sent]) -> int:
        before = self._connection.total_changes()
        for each in sent:
            self._connection.execute(*each)
        return self._connection.total_changes() - before


_MOST_ROWS = (1 << 63) - 1
