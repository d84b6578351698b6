"""Connections to a database file: one for each thread, opened after the fork, on pages with checksums."""

import ctypes
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import apsw
import apsw.sqlite_extra

from layers_standin.engines.indexes import Key, Record

CHECKSUM_VFS = "cksmvfs"
CHECKSUM_BYTES = 8

# A WAL that grew beyond this, in a restore or behind a long read, is cut back to it at the next checkpoint.
_WAL_BYTES = 4 << 20

# For the pages that all connections of a process keep, each up to 2 MB: there is one for each of many threads.
_CACHE_BYTES = 32 << 20

_YES = ctypes.c_int(1)
_loading = threading.Lock()
_all: "weakref.WeakSet[Connections]" = weakref.WeakSet()
_inherited: list[apsw.Connection] = []  # those of a parent process: closing them here would take away its locks


class Session:
    """A thread's connection, and its state: the depth of its transactions, or a block of reads."""

    __slots__ = ("__weakref__", "connection", "depth", "file", "is_reading", "loaded", "texts")

    def __init__(self, connection: apsw.Connection, file: tuple[int, int]) -> None:
        self.connection = connection
        self.file: tuple[int, int] | None = file  # (device, inode) of the file that was opened; None when closed
        self.depth = 0  # of transactions: 0 is none, 1 the outermost
        self.is_reading = False
        self.texts: dict[Key, bytes | None] = {}  # documents that the block of reads has read, as JSON
        self.loaded: dict[Key, Record | None] = {}  # the documents that the transaction has read and written so far


class _Thread(threading.local):
    """A thread's session, and the moment, by time.monotonic(), until which it waits for a lock."""

    session: Session | None = None
    until = 0.0


class Connections:
    """The sessions of this process. Each method raises apsw.Error or OSError.

    A connection must not cross a fork: SQLite takes its parent's locks for the child's. So all idle ones are closed
    before a fork, and opened again on demand; if any other is open, the child has none.
    `sync=False` leaves out every sync, for throw-away stores. `vfs` is the one whose pages carry checksums.
    """

    def __init__(self, path: Path, sync: bool, patience_seconds: float, vfs: str = CHECKSUM_VFS) -> None:
        self._path = path
        self._sync = sync
        self._patience_seconds = patience_seconds
        self._vfs = vfs
        self.thread = _Thread()
        self._sessions: weakref.WeakSet[Session] = weakref.WeakSet()
        self._is_inherited = False
        self._opening = threading.Lock()
        self._file: tuple[int, int] | None = None  # of the database, from the first connection on
        # The log and its index by name, with (device, inode) at that time; None for the files of a read-only store.
        self.log: dict[str, tuple[int, int] | None] = {f"{path}-wal": None, f"{path}-shm": None}
        _all.add(self)

    def session(self) -> Session:
        """Return this thread's session, with a connection to the files that this process opened first.

        Raises FileNotFoundError when other files have their names by now.
        """
        session = self.thread.session
        if session is None or (session.file is None and not session.depth):
            with self._opening:
                session = self.thread.session = Session(*self._opened())
                self._sessions.add(session)
        return session

    def _opened(self) -> tuple[apsw.Connection, tuple[int, int]]:
        """Open a connection to the same database, log and index of the log as all others of this process."""
        # Before the file is opened: if it was replaced in between, that shows.
        if (file := file_identity(self._path)) is None:
            raise FileNotFoundError(self._path)
        is_first = all(each.file is None for each in list(self._sessions))
        if self._file not in (None, file) or not (is_first or self.is_log_in_place()):
            raise FileNotFoundError(self._path)
        connection = self.connect()
        try:
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # which opens the log
            if is_first:
                self._file, self.log = file, {name: file_identity(name) for name in self.log}
            elif not self.is_log_in_place():
                raise FileNotFoundError(self._path)
        except BaseException:
            connection.close()
            raise
        return connection, file

    def renew(self, session: Session) -> None:
        """Give a session that is in no transaction a new connection.

        Those of other threads are closed too: as long as one is open, SQLite keeps the index of the log as it was.
        """
        self.close_idle()
        self._close(session)
        with self._opening:
            session.connection, session.file = self._opened()

    def is_log_in_place(self) -> bool:
        """Whether the log and its index are still the files that this process opened first."""
        return all(file_identity(name) == identity for name, identity in self.log.items())

    def connect(self) -> apsw.Connection:
        """Open one more connection; the caller closes it."""
        if self._is_inherited:
            raise apsw.MisuseError("its process was forked in the middle of its use")
        load_checksums()
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs)
        try:
            self._set_up(connection)
        except BaseException:
            connection.close(True)  # or it would go on holding the files as they are for as long as the error is held
            raise
        return connection

    def _set_up(self, connection: apsw.Connection) -> None:
        # The files beside the database stay: a start on a full disk needs no room, one on a read-only disk no writing.
        connection.file_control("main", apsw.SQLITE_FCNTL_PERSIST_WAL, ctypes.addressof(_YES))
        connection.set_busy_handler(self._is_worth_waiting)
        for name, value in {
            "synchronous": "FULL" if self._sync else "OFF",
            "fullfsync": int(sys.platform == "darwin" and self._sync),  # there a plain fsync stops at the drive's cache
            "checkpoint_fullfsync": int(sys.platform == "darwin" and self._sync),
            "journal_size_limit": _WAL_BYTES,
            "temp_store": "MEMORY",
        }.items():
            connection.execute(f"PRAGMA {name} = {value}").fetchall()

    def close(self) -> None:
        """Close all connections of this process; the last one to a file writes its WAL back."""
        for session in list(self._sessions):
            self._close(session)

    def close_idle(self) -> None:
        """Close the connections that are in no transaction and no block of reads, before a fork."""
        for session in list(self._sessions):
            if not (session.depth or session.is_reading):
                self._close(session)

    def forget(self) -> None:
        """In a child, leave the connections that the parent was using alone, and use no others."""
        self._opening = threading.Lock()  # another thread of the parent may have held it
        for session in [each for each in self._sessions if each.file is not None]:
            _inherited.append(session.connection)
            session.connection = apsw.Connection(":memory:")
            session.connection.close()
            session.file = None
            self._is_inherited = True

    def _close(self, session: Session) -> None:
        try:
            session.connection.close()
        except apsw.ThreadingViolationError:
            return  # its thread is executing a statement: it goes with the thread
        except apsw.Error:
            pass  # closed all the same: pages not written back are in the log
        session.file = None

    def _is_worth_waiting(self, times: int) -> bool:
        """Wait a little for a lock of another process; return False when the wait was long enough."""
        now = time.monotonic()
        if times == 0 and self.thread.until < now:
            self.thread.until = now + self._patience_seconds
        if now >= self.thread.until:
            return False
        time.sleep(0.0002 if times < 5 else 0.002)  # a commit takes a fraction of a millisecond, a sync a few
        return True


def file_identity(path: Path | str) -> tuple[int, int] | None:
    """Return (device, inode) of a file, None when there is none. Raises OSError."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def load_checksums() -> None:
    """Make the checksum VFS known to SQLite, once in a process."""
    with _loading:
        if CHECKSUM_VFS not in apsw.vfs_names():
            with apsw.Connection(":memory:") as connection:
                apsw.sqlite_extra.load(connection, "cksumvfs")
            apsw.soft_heap_limit(_CACHE_BYTES)


def _each(do: Callable[["Connections"], None]) -> None:
    for connections in list(_all):
        do(connections)


os.register_at_fork(before=lambda: _each(Connections.close_idle), after_in_child=lambda: _each(Connections.forget))
