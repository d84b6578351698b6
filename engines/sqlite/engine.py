"""The document store in one SQLite file."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import apsw

from engines.disk import Disk
from engines.errors import Damaged, EngineError, Unavailable, Unconfirmed
from engines.indexes import Key, Lists, places_of
from engines.lock import locked
from engines.sql import Sent, Statements
from engines.sqlite.connections import CHECKSUM_VFS, Connections, Session, file_identity
from engines.sqlite.files import DATABASE, FORMAT, open_folder
from engines.states import Purpose, States
from engines.table import Table

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
_FIND = Statements(parameter="?").find  # most of all that is sent: to bind by place takes half as long as by name


class SQLite(States):
    """TinyDB tables on `folder/store.sqlite3`.

    A transaction holds the database's one write lock from its beginning, so nothing it reads changes until its end.
    Readers take no lock and see the commits from before they began. A transaction that waits for the write lock longer
    than `patience_seconds` raises Unavailable; as long as the lock's holder does not move, all later ones wait a tenth
    of a second. `lists` has, for each table that is listed in order, the function that places a document.
    Raises OSError, EngineError at opening; Unavailable or Damaged from everything else.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lists: Mapping[str, Lists] | None = None,
        sync: bool = True,
        patience_seconds: float = PATIENCE_SECONDS,
        vfs: str = CHECKSUM_VFS,
    ) -> None:
        folder = folder.absolute()
        self.path = folder / DATABASE
        self._file = str(self.path)  # the same, for a look at it before each read
        self._lists, self._format = lists or {}, FORMAT
        self._patience_seconds = patience_seconds
        self._connections = Connections(self.path, sync, patience_seconds, vfs)
        self._writing = threading.Lock()
        self._is_stuck = False
        with self._telling():
            open_folder(folder, self._connections, SQL, Disk(sync))

    @property
    def name(self) -> str:
        """Return the path of the database, symbolic links resolved."""
        return str(self.path.resolve())

    def table(self, name: str, partition: str = "") -> Table:
        """Return the TinyDB table of that name; each partition has one of its own."""
        return Table(self, name, partition)

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None."""
        try:
            rows = self._session().connection.execute(_FIND, (partition, table, doc_id)).fetchall()
        except apsw.Error as error:
            raise self._told(error) from error
        return str(rows[0][0]).encode() if rows else None

    def glance(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None: of use where others can change it while a transaction goes on."""
        return self.read(table, partition, doc_id)

    def ids(self, table: str, partition: str) -> list[str]:
        """Return the ids of a table in the order they came in."""
        return [doc_id for (doc_id,) in self._ask(SQL.ids, SQL.of_table(table, partition))]

    def count(self, table: str, partition: str) -> int:
        """Return how many documents a table has."""
        return int(self._ask(SQL.count, SQL.of_table(table, partition))[0][0])

    def walk(self, table: str, partition: str, group: str, before: str | None = None, most: int = 1) -> list[str]:
        """Return up to `most` places of an ordered list from the greatest down, below `before`."""
        of = SQL.of_table(table, partition) | {"index": group, "limit": min(most, _MOST_ROWS)}
        rows = self._ask(SQL.scan, of) if before is None else self._ask(SQL.scan_below, of | {"before": before})
        return [place for (place,) in rows]

    def write(self, table: str, partition: str, doc_id: str, document: bytes | None) -> None:
        """Put or, with None, remove a document; only inside a transaction."""
        if not self._session().depth:
            raise RuntimeError("a document is written inside a transaction")
        key = (table, partition, doc_id)
        after = places_of(table, document, self._lists)
        before = places_of(table, self.read(*key), self._lists) if table in self._lists else []
        with self._telling():
            execute = self._session().connection.execute
            for statement, parameters in SQL.moves(key, before, after):
                execute(statement, parameters)
            if document is None:
                execute(SQL.delete, SQL.of(key))
            else:
                execute(SQL.upsert, SQL.of_new(key, document))

    def reading(self) -> AbstractContextManager[None]:
        """Let the reads of a block see one state of the store: that of the block's first read."""
        return _Reading(self)

    def expect(self, keys: Sequence[Key], glanced: Sequence[Key] = ()) -> None:
        """Hear which (table, partition, id)s are about to be read: of use only where a look costs a trip."""

    def attempt(self, act: Callable[[], T]) -> T:
        """Call `act` once, and return its result: transactions never conflict here, for each has the write lock."""
        return act()

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        """Commit all writes of the block at its end, on disk, or none.

        Inside another transaction the block is a part of it that can fail alone. Here each is `alone` at any rate.
        """
        return _Transaction(self)

    def probe(self) -> None:
        """Commit a change that changes nothing: raises Unavailable as long as the store takes no writes."""
        with self.transaction(), self._telling():
            for statement in SQL.probe:
                self._session().connection.execute(statement)

    def exclusive(self, patience_seconds: float = 30.0) -> AbstractContextManager[None]:
        """Let no other process alter documents and files together; the lock goes with its holder."""
        return locked(self.path.with_name(_EXCLUSIVE), patience_seconds)

    def close(self) -> None:
        """Close the connections of this process; the last process to do so writes everything into the one file."""
        with self._telling():
            self._connections.close()

    # All documents at once, for `States`.

    @contextmanager
    def _whole(self, purpose: Purpose) -> Iterator["_Database"]:
        if self._session().depth:
            raise RuntimeError("nothing is replaced or kept as a whole inside a transaction")
        with self.transaction(), self._telling():
            yield _Database(self._session().connection)

    def _read_whole(self, read: Callable[["_Database"], T]) -> T:
        with self.reading(), self._telling():
            return read(_Database(self._session().connection))

    # One statement.

    def _session(self) -> Session:
        """Return this thread's session. Raises Unavailable when the file is no longer the one that has the name."""
        try:
            session = self._connections.session()
            if session.depth:
                if self._is_in_transaction(session):
                    return session
                raise Unavailable(f"The transaction in {self.path} was ended by a failure: nothing of it was kept.")
            if session.is_reading or file_identity(self._file) == session.file:
                return session
        except FileNotFoundError:
            pass
        except apsw.Error as error:
            raise self._told(error) from error
        except OSError as error:
            raise Unavailable(f"The store's file {self.path} cannot be looked at: {error.strerror}.") from error
        raise Unavailable(_GONE.format(self.path))

    def _ask(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        return self._execute(self._session(), statement, parameters)

    def _execute(self, session: Session, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        try:
            return session.connection.execute(statement, parameters).fetchall()
        except apsw.Error as error:
            raise self._told(error) from error

    def _is_in_transaction(self, session: Session) -> bool:
        try:
            return session.connection.in_transaction
        except apsw.Error as error:
            raise self._told(error) from error

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise self._told(error) from error

    def _told(self, error: apsw.Error) -> EngineError:
        """Return the EngineError for an error of SQLite."""
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
            self._connections.wait_until(deadline)
            if not self._begins(session):
                # So SQLite opens a database or log that could not be opened for writing just then; by now it may be.
                if os.access(self.path, os.W_OK):
                    self._connections.renew(session)
                self._execute(session, "BEGIN IMMEDIATE")
            self._is_stuck = False
            if not self._connections.is_log_in_place():
                # Without its name the log is read by nobody, and another index keeps other writers' locks.
                self._execute(session, "ROLLBACK")
                raise Unavailable(_GONE.format(f"{self.path}-wal or {self.path}-shm"))
        except BaseException as error:
            self._is_stuck = isinstance(error.__cause__, apsw.BusyError)
            self._writing.release()
            if isinstance(error, apsw.Error):
                raise self._told(error) from error
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


class _Transaction:
    """A transaction, or a part of one: kept when its block ends well, undone when it does not.

    A class, for it stands on the way of every write: a generator would cost several times as much.
    """

    __slots__ = ("_engine", "_session")

    def __init__(self, engine: SQLite) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        self._session = session = self._engine._session()
        if session.depth:
            self._engine._execute(session, f"SAVEPOINT part{session.depth}")
        else:
            if self._engine._is_in_transaction(session):  # reads at one state, which end here
                self._engine._execute(session, "COMMIT")
            self._engine._begin(session)
        session.depth += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        session = self._session
        session.depth -= 1
        try:
            if kind is None:
                self._engine._execute(session, f"RELEASE part{session.depth}" if session.depth else "COMMIT")
        except BaseException as error:
            self._undo()
            if getattr(error.__cause__, "extendedresult", 0) in _NOT_SYNCED:
                # It was written, and is undone; but found in the log after a crash, it would be taken as done.
                raise Unconfirmed(f"The disk has not confirmed a change of {self._engine.path}.") from error
            raise
        else:
            if kind is not None:
                self._undo()
        finally:
            if not session.depth:
                self._engine._writing.release()

    def _undo(self) -> None:
        """Roll back, unless SQLite has done so itself: a full disk ends the whole transaction."""
        if self._engine._is_in_transaction(self._session):
            part = self._session.depth
            undone = f"ROLLBACK TO part{part}; RELEASE part{part}" if part else "ROLLBACK"
            self._engine._execute(self._session, undone)


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
            if self._engine._is_in_transaction(self._session):
                # Not COMMIT: after a read of a damaged page it fails, and the next reads would see this old state.
                self._engine._execute(self._session, "ROLLBACK")


class _Database:
    """How the statements over all organizations are sent to SQLite."""

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
