"""The newest lines that several processes write: two files, of which the older goes when the newer is full."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from engines.lock import ProcessLock

NEWER, OLDER, LOCK = "newer.jsonl", "older.jsonl", "ring.lock"


class Ring:
    """Lines in `folder`: about as many as fit `most_bytes`, and up to as many older ones.

    Not synced: for what may go when the power does. Everything raises OSError.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder.absolute()
        self._most_bytes = most_bytes
        self._file: int | None = None
        self._unwatched_bytes = 0  # written since the size of the file was looked at
        self._turning = threading.Lock()

    def append(self, line: bytes) -> None:
        """Write a line, whole: those of several processes do not mix."""
        file = self._opened()
        self._unwatched_bytes += os.write(file, line + b"\n")
        if self._unwatched_bytes > self._most_bytes >> 4:
            self._unwatched_bytes = 0
            if os.fstat(file).st_size > self._most_bytes:
                self._turn(file)

    def newest(self) -> Iterator[bytes]:
        """Yield the lines, the last one first."""
        for name in (NEWER, OLDER):
            try:
                lines = (self._folder / name).read_bytes().split(b"\n")
            except FileNotFoundError:
                continue
            yield from (line for line in reversed(lines[:-1]) if line)

    def clear(self) -> None:
        """Forget all lines."""
        (self._folder / OLDER).unlink(missing_ok=True)
        os.truncate(self._opened(), 0)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is None:
            with self._turning:
                if self._file is None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._file = self._open()
        return self._file

    def _open(self) -> int:
        return os.open(self._folder / NEWER, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _turn(self, file: int) -> None:
        """Make the newer file the older one, or follow another process that has."""
        with self._turning, closing(ProcessLock(self._folder / LOCK)) as processes, processes.held():
            if os.fstat(file).st_size <= self._most_bytes:
                return  # another thread was quicker
            if (self._folder / NEWER).stat().st_size > self._most_bytes:
                os.replace(self._folder / NEWER, self._folder / OLDER)
            fresh = self._open()
            # The number stays, for another thread may be writing to it right now.
            os.dup2(fresh, file, inheritable=False)
            os.close(fresh)
