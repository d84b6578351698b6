"""The document store in one SQLite file."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
import orjson

from layers_standin.engines.base import BaseEngine, Purpose, Send
from layers_standin.engines.disk import Disk
from layers_standin.engines.errors import Damaged, EngineError, Unavailable, Unconfirmed
from layers_standin.engines.indexes import IndexRule, Key, Record
from layers_standin.engines.lock import locked
from layers_standin.engines.sql import Sent, Statements
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, Connections, Session
from layers_standin.engines.sqlite.files import DATABASE, FORMAT, SQL, open_folder

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
_SHORT_PATIENCE_SECONDS = 0.1
_EXCLUSIVE = "control.lock"
_GONE = (
    "The store's file {} was moved, removed or replaced while it was served: put it back, or stop the service and "
    "start it on the file that is there now."
)
_NOT_SYNCED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)

# Positional parameters take half as long as named ones; for the statements of every request.
_PLACED = Statements(parameter="?")
_FIND, _UPSERT, _DELETE = _PLACED.find, _PLACED.upsert, _PLACED.delete
_FEW = 4
_FIND_ONE = "(SELECT CAST(document AS BLOB) FROM documents WHERE kind = ? AND organization = ? AND id = ?)"
_FIND_FEW = [f"SELECT {', '.join([_FIND_ONE] * number)}" for number in range(_FEW + 1)]  # in one row
_FIND_MANY = "SELECT kind, organization, id, CAST(document AS BLOB) FROM documents WHERE (kind, organization, id) IN"


class SQLite(BaseEngine):
    """TinyDB tables on `folder/store.sqlite3`.

    A transaction holds the database's one write lock from its beginning, so `lock` and `alone` add nothing, and
    `run_transaction` calls once. Readers take no lock and see the last commit before they began. A writer waits
    `patience_seconds` for the write lock, then raises Unavailable; while the same holder keeps it, later writers wait a
    tenth of a second. `indexes` has the index rule of each table that has indexes.
    Raises OSError, EngineError at opening; Damaged from every method.
    """

    _sql, _format = SQL, FORMAT

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
        self._indexes = indexes or {}
        self._patience_seconds = patience_seconds
        self._connections = Connections(self.path, sync, patience_seconds, vfs)
        self._writing = threading.Lock()
        self._lock_timed_out = False
        with self._translated():
            open_folder(folder, self._connections, Disk(sync))

    @property
    def name(self) -> str:
        return str(self.path.resolve())

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str, lock: bool = True) -> bytes | None:
        rows = self._execute(self._session(), _FIND, (partition, table, doc_id))
        return rows[0][0].encode() if rows else None

    def read_record(self, table: str, partition: str, doc_id: str, lock: bool = True) -> Record | None:
        session = self._connections.thread.session
        if session is None or not (session.is_reading or session.depth):
            session = self._session()
        if (table, partition, doc_id) in session.texts:
            text = session.texts[table, partition, doc_id]
            return None if text is None else cast(Record, orjson.loads(text))
        try:
            row = session.connection.execute(_FIND, (partition, table, doc_id)).fetchone()
        except apsw.Error as error:
            raise self._error_of(error) from error
        record: Record | None = None if row is None else orjson.loads(row[0])
        if session.depth:
            session.loaded[table, partition, doc_id] = record
        return record

    def read_texts(self, keys: Sequence[Key]) -> list[bytes | None]:
        if 0 < len(keys) <= _FEW:
            session = self._session()
            found = self._execute(session, _FIND_FEW[len(keys)], tuple(chain.from_iterable(keys)))[0]
            if session.is_reading and not session.depth:
                session.texts.update(zip(keys, found, strict=True))
            return list(found)
        return self._find(keys)

    def read_many(self, keys: Sequence[Key]) -> list[Record | None]:
        return [None if text is None else orjson.loads(text) for text in self._find(keys)]

    def _find(self, keys: Sequence[Key]) -> list[bytes | None]:
        found: dict[Key, bytes] = {}
        if keys:
            statement = f"{_FIND_MANY} (VALUES {', '.join(['(?, ?, ?)'] * len(keys))})"
            for *key, text in self._execute(self._session(), statement, tuple(chain.from_iterable(keys))):
                found[tuple(key)] = text
        return list(map(found.get, keys))

    def write(
        self, table: str, partition: str, doc_id: str, document: bytes | None, record: Record | None = None
    ) -> None:
        session = self._connections.thread.session
        if session is None or not session.depth:
            raise RuntimeError("a document is written inside a transaction")
        try:
            if not session.connection.in_transaction:
                self._session()  # raises Unavailable
            if table in self._indexes:
                key, rule = (table, partition, doc_id), self._indexes[table]
                before = session.loaded[key] if key in session.loaded else self.read_record(*key)
                after = orjson.loads(document) if record is None and document is not None else record
                session.loaded[key] = after
                old = [] if before is None else rule(before)
                new = [] if after is None else rule(after)
                if old != new:
                    for statement in self._sql.replace_entries(key, old, new):
                        session.connection.execute(*statement)
            if document is None:
                session.connection.execute(_DELETE, (partition, table, doc_id))
            else:
                session.connection.execute(_UPSERT, (partition, table, doc_id, time.time_ns(), document.decode()))
        except apsw.Error as error:
            raise self._error_of(error) from error

    def snapshot_read(self) -> AbstractContextManager[None]:
        """The block sees the state of its first read."""
        session = self._session()
        return nullcontext() if session.is_reading or session.depth else _SnapshotRead(self, session)

    def run_transaction(self, act: Callable[[], T]) -> T:
        return act()

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        session = self._connections.thread.session
        return nullcontext() if session is not None and session.depth else _Transaction(self)

    def _begin(self) -> Session:
        """Begin a transaction, and return its session; `_end` must be called in any case then."""
        session = self._session()
        self._roll_back(session)  # reads at one state end here
        session.texts.clear()
        self._begin_transaction(session)
        session.depth, session.loaded = 1, {}
        return session

    def _end(self, session: Session, succeeded: bool) -> None:
        """Commit a transaction, or roll it back."""
        session.depth = 0
        try:
            if succeeded:
                self._commit(session)
            else:
                self._roll_back(session)
        finally:
            self._writing.release()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        session = self._session()
        self._execute(session, "SAVEPOINT part")
        session.depth += 1
        try:
            yield
        except BaseException:
            session.loaded.clear()
            with self._translated():
                if session.connection.in_transaction:
                    session.connection.execute("ROLLBACK TO part; RELEASE part")
            raise
        else:
            self._execute(session, "RELEASE part")
        finally:
            session.depth -= 1

    def exclusive(self, patience_seconds: float = 30.0) -> AbstractContextManager[None]:
        return locked(self.path.with_name(_EXCLUSIVE), patience_seconds)

    def close(self) -> None:
        """Close the connections of this process; the last process to do so writes the log back into the one file."""
        self.is_closed = True
        with self._translated():
            self._connections.close()

    # Statements.

    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        return self._execute(self._session(), statement, parameters)

    @contextmanager
    def _whole(self, purpose: Purpose) -> Iterator[Send]:
        if self._session().depth:
            raise RuntimeError("nothing is replaced or kept as a whole inside a transaction")
        with self.transaction():
            yield self._send

    def _read_whole(self, read: Callable[[Send], T]) -> T:
        with self.snapshot_read():
            return read(self._send)

    def _send(self, statements: Iterable[Sent]) -> list[list[Any]]:
        session = self._session()
        return [self._execute(session, *each) for each in statements]

    def _execute(self, session: Session, statement: str, parameters: Any = None) -> list[Any]:
        try:
            return session.connection.execute(statement, parameters).fetchall()
        except apsw.Error as error:
            raise self._error_of(error) from error

    def _session(self) -> Session:
        """Return this thread's session. Raises Unavailable when another file has the database's name."""
        try:
            session = self._connections.thread.session or self._connections.session()
            if session.is_reading or (session.depth and session.connection.in_transaction):
                return session
            if session.depth:
                raise Unavailable(f"The transaction in {self.path} was ended by a failure: nothing of it was written.")
            if session.file is None:
                session = self._connections.session()
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
                f"The store's file {self.path} cannot be opened: make it writable, or name a folder that can be "
                "written to, by --data or STANDIN_DATA."
            )
        if isinstance(error, apsw.BusyError):
            return Unavailable(f"Another process has kept the write lock of {self.path} for too long.")
        return Unavailable(f"The store's file {self.path} takes no writes: {str(error) or type(error).__name__}.")

    # One transaction.

    def _begin_transaction(self, session: Session) -> None:
        """Take the write lock. Raises Unavailable after the time that a transaction may wait."""
        patience_seconds = _SHORT_PATIENCE_SECONDS if self._lock_timed_out else self._patience_seconds
        deadline = time.monotonic() + patience_seconds
        if not self._writing.acquire(timeout=patience_seconds):
            raise Unavailable(f"Other changes of {self.path} have taken too long.")
        try:
            self._connections.thread.until = deadline
            if not self._try_begin(session):
                # So SQLite opens a database or log that could not be opened for writing just then; by now it may be.
                if os.access(self.path, os.W_OK):
                    self._connections.renew(session)
                self._execute(session, "BEGIN IMMEDIATE")
            self._lock_timed_out = False
            for name, identity in self._connections.log.items():
                # No process reads a log that has lost its name, and another index has other writers' locks.
                if not _is_at(name, identity):
                    raise Unavailable(_GONE.format(name))
        except BaseException as error:
            self._lock_timed_out = isinstance(error.__cause__, apsw.BusyError)
            with suppress(EngineError):
                self._roll_back(session)
            self._writing.release()
            if isinstance(error, apsw.Error):
                raise self._error_of(error) from error
            if isinstance(error, FileNotFoundError):
                raise Unavailable(_GONE.format(self.path)) from error
            raise

    def _try_begin(self, session: Session) -> bool:
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

    def _commit(self, session: Session) -> None:
        try:
            self._execute(session, "COMMIT")
        except EngineError as error:
            self._roll_back(session)
            if getattr(error.__cause__, "extendedresult", 0) in _NOT_SYNCED:
                # It was written, and is undone; but found in the log after a crash, it would be taken as done.
                raise Unconfirmed(f"The disk has not confirmed a change of {self.path}.") from error
            raise

    def _roll_back(self, session: Session) -> None:
        """End the session's transaction, if there is one: SQLite rolls some back itself, as on a full disk."""
        try:
            if session.connection.in_transaction:
                session.connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise self._error_of(error) from error


class _Transaction(AbstractContextManager[None]):
    """A transaction; a class, for a generator as context manager costs as much as a statement."""

    def __init__(self, engine: SQLite) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._session = self._engine._begin()

    def __exit__(self, kind: object, *_: object) -> None:
        self._engine._end(self._session, kind is None)


class _SnapshotRead(AbstractContextManager[None]):
    """A block of reads, a class for the same reason."""

    def __init__(self, engine: SQLite, session: Session) -> None:
        self._engine, self._session = engine, session

    def __enter__(self) -> None:
        self._engine._execute(self._session, "BEGIN")
        self._session.is_reading = True

    def __exit__(self, *_: object) -> None:
        self._session.is_reading = False
        self._session.texts.clear()
        # Not COMMIT: after a damaged page it fails, and the next reads would see this old state.
        self._engine._roll_back(self._session)


def _is_at(name: str, identity: tuple[int, int] | None) -> bool:
    """Whether the file of that name is still this (device, inode); None stands for no file."""
    try:
        found = os.stat(name)
    except OSError:
        return identity is None
    return (found.st_dev, found.st_ino) == identity
