"""The newest lines that several processes write: two files, of which the older goes when the newer is full."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from layers_standin.engines.disk import make_private_folder, open_private
from layers_standin.engines.lock import locked

NEWER, OLDER, LOCK = "newer.jsonl", "older.jsonl", "ring.lock"

# Nobody writes two files full in so short a time, and a look for each line would cost as much as the line.
LOOK_SECONDS = 0.05
_LOOKS_PER_FILE = 64
_PATIENCE_SECONDS = 1.0  # others hold the lock for a millisecond

# Before any moment the monotonic clock tells: it may begin at 0 with the machine, so 0 can be just now.
_NEVER = -math.inf


class RotatingLog:
    """Lines in `folder`: about as many as fit `max_bytes`, and up to as many older ones.

    Not synced: a power loss may take the newest lines. That, or a full disk, can leave half a line. Raises OSError.
    """

    def __init__(self, folder: Path, max_bytes: int, look_seconds: float = LOOK_SECONDS) -> None:
        self._folder = folder.absolute()
        self._newer = str(self._folder / NEWER)
        self._max_bytes = max_bytes
        self._look_seconds = look_seconds
        self._file: int | None = None
        self._inode = 0
        self._patience_seconds = _PATIENCE_SECONDS
        self._looked, self._written = _NEVER, 0  # time of the last look at the files, and bytes written since

    def append(self, line: bytes) -> None:
        """Write a line, whole: lines of several processes do not mix, and are in the order of writing."""
        try:
            written = os.write(self._current(), b"\n" + line + b"\n")  # the first break ends half a line before it
        except OSError:
            self._looked = _NEVER
            raise
        self._written += written

    def newest(self) -> Iterator[bytes]:
        """Return the lines, newest first."""
        with self._alone():
            files = [self._read(name) for name in (NEWER, OLDER)]
        # Behind the last break there may be a line that is just being written.
        return (line for file in files for line in reversed(file.split(b"\n")[:-1]) if line)

    def clear(self) -> None:
        """Delete all lines."""
        with self._alone(), suppress(FileNotFoundError):
            (self._folder / OLDER).unlink(missing_ok=True)
            os.truncate(self._folder / NEWER, 0)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    __del__ = close  # an app has no end of its own, and a test makes many of them

    def _current(self) -> int:
        """Return the newer file, which another process may have rotated since the last look."""
        now = time.monotonic()
        has_just_looked = now - self._looked < self._look_seconds
        if self._file is not None and has_just_looked and self._written < self._max_bytes // _LOOKS_PER_FILE:
            return self._file
        self._looked, self._written = now, 0
        if self._file is not None and self._is_current():
            return self._file
        try:
            file, self._patience_seconds = self._turned(self._patience_seconds), _PATIENCE_SECONDS
        except TimeoutError:  # a process was halted while it had the lock: nobody waits for it a second time
            self._patience_seconds = 0.0
            if self._file is None:
                raise
            return self._file
        return file

    def _is_current(self) -> bool:
        try:
            there = os.stat(self._newer)
        except FileNotFoundError:
            return False
        return there.st_ino == self._inode and there.st_size <= self._max_bytes

    def _turned(self, patience_seconds: float) -> int:
        """Rotate the files if the newer one is full; return the newer one. Raises OSError, TimeoutError."""
        with self._alone(patience_seconds):
            path = self._folder / NEWER
            if path.exists() and path.stat().st_size > self._max_bytes:
                os.replace(path, self._folder / OLDER)
            fresh = open_private(path, os.O_APPEND)
            self._inode = os.fstat(fresh).st_ino
            if self._file is None:
                self._file = fresh
            else:  # the number stays, for another thread may be writing to it right now
                os.dup2(fresh, self._file, inheritable=False)
                os.close(fresh)
            self._looked, self._written = time.monotonic(), 0
            return self._file

    @contextmanager
    def _alone(self, patience_seconds: float | None = None) -> Iterator[None]:
        """Let nobody turn the files meanwhile; a lock that is opened anew excludes threads as well."""
        make_private_folder(self._folder)
        with locked(self._folder / LOCK, patience_seconds):
            yield

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return b""
