"""Who may write: one process at a time, and in it one thread at a time."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import portalocker

from engines.errors import Busy


class ProcessLock:
    """An exclusive lock between processes on a file of its own; the kernel releases it when its holder dies.

    The file is opened anew after a fork: processes that share one open file would share the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None
        self._owner = 0

    def acquire(self, wait: bool = True) -> None:
        """Raises OSError, or Busy when it may not wait."""
        flags = portalocker.LockFlags.EXCLUSIVE
        try:
            portalocker.lock(self._opened(), flags if wait else flags | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.AlreadyLocked as error:
            raise Busy(f"Another process holds {self.path}.") from error

    def release(self) -> None:
        portalocker.unlock(self._opened())

    @contextmanager
    def held(self, wait: bool = True) -> Iterator[None]:
        self.acquire(wait)
        try:
            yield
        finally:
            self.release()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> IO[bytes]:
        if self._file is None or self._owner != os.getpid():
            self.close()  # of a parent: its lock stays its own
            self._file = self.path.open("ab")
            self._owner = os.getpid()
        return self._file


class Turn:
    """A lock between threads that knows how many are queueing for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[None] = deque()  # its ends are atomic: no second lock to count with

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def acquire(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        self._queue.append(None)
        try:
            self._lock.acquire()
        finally:
            self._queue.pop()

    def release(self) -> None:
        self._lock.release()
