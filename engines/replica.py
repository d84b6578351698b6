"""What one process knows of a journal file: all its lines up to a position, as a directory."""

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

from engines.directory import Directory
from engines.errors import Damaged
from engines.line import NotALine, decode_header, decode_line, places

_CHUNK_BYTES = 1 << 20
_CACHED_DOCUMENTS = 1024
_LARGEST_CACHED_BYTES = 1 << 14


@contextmanager
def undisturbed() -> Iterator[None]:
    """Load without the collector, which would look through millions of things that all stay, time and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Replica:
    """Follows one file by reading it, its own process's lines included: memory never knows more than the file.

    A line counts once its newline is there, and a writer puts the newline only after it has synced the line.
    So what is read here is on disk. Raises Damaged on anything else than a half-written end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[bytes] = open(path, "rb", buffering=0, opener=_open_for_append)
        # Readers may still be using a replaced file: it is closed when the last of them lets go of it.
        weakref.finalize(self, self.file.close)
        self._name = os.fspath(path)
        self._opened = os.fstat(self.file.fileno())
        self.directory = Directory()
        self.position = 0
        self.line = 1  # the number of the next line; the header is line 1
        self.seq = 0
        self._reading = threading.Lock()
        # What lies at a place never changes, so what is read often need not be asked of the system each time.
        self._read = lru_cache(_CACHED_DOCUMENTS)(partial(_read_at, self.file.fileno()))
        self.header = self._read_header()

    @classmethod
    def load(cls, path: Path) -> "Replica":
        """Read a whole file. Raises OSError, Damaged."""
        replica = cls(path)
        with undisturbed():
            replica.catch_up()
            replica.directory.loaded()
        return replica

    def refresh(self) -> int | None:
        """Catch up if the file has grown; return its size, or None when it is no longer the one in its place."""
        status = os.stat(self._name)
        if not os.path.samestat(status, self._opened):
            return None
        # Not the size last seen: a failed line that was cut off may be followed by one that ends at the same byte.
        if status.st_size != self.position:
            self.catch_up()
        return status.st_size

    def catch_up(self) -> None:
        """Take in every whole line that is new."""
        with self._reading:
            size = self.size()
            if size < self.position:
                raise self.damage("the file is shorter than it was")
            for line in read_lines(self.file.fileno(), self.position, size):
                self._take(line)

    def take_own(self, line: bytes, start: int) -> None:
        """Take in a line that this process has written at an offset, unless a reading thread has done so already."""
        with self._reading:
            if self.position == start:
                self._take(line)

    def document(self, table: str, partition: str, doc_id: str) -> bytes | None:
        """Return a document's JSON, or None."""
        place = self.directory.find(table, partition, doc_id)
        if place is None:
            return None
        read = self._read if place[1] <= _LARGEST_CACHED_BYTES else self._read.__wrapped__
        return read(*place)

    def walk(self, table: str, partition: str, group: str, before: str | None, most: int) -> list[str]:
        with self._reading:
            return self.directory.walk(table, partition, group, before, most)

    @property
    def format(self) -> int:
        return int(str(self.header["format"]))

    def size(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def rest(self) -> bytes:
        """Return the bytes after the last whole line."""
        return os.pread(self.file.fileno(), self.size() - self.position, self.position)

    def damage(self, what: str) -> Damaged:
        return Damaged(self.path, self.line, self.position, what)

    def _read_header(self) -> dict[str, object]:
        for line in read_lines(self.file.fileno(), 0, self.size()):
            try:
                header = decode_header(line)
            except NotALine as error:
                raise self.damage(str(error)) from error
            self.position, self.line = len(line) + 1, 2
            return header
        raise self.damage("it has no header")

    def decode_next(self, line: bytes) -> tuple[int, list[list[Any]], int]:
        """Decode the line that comes next; see `decode_line`. Raises Damaged when it is not that one."""
        try:
            seq, changes, start = decode_line(line)
        except NotALine as error:
            raise self.damage(str(error)) from error
        if seq != self.seq + 1:
            raise self.damage(f"transaction {seq} follows transaction {self.seq}")
        return seq, changes, start

    def _take(self, line: bytes) -> None:
        seq, changes, start = self.decode_next(line)
        for change, offset in places(changes, self.position + start):
            self.directory.apply(change, offset)
        self.position += len(line) + 1
        self.line += 1
        self.seq = seq


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    return os.pread(descriptor, size, offset)


def _open_for_append(path: str, flags: int) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def read_lines(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines between two offsets without their newlines; an unfinished last one is left out."""
    pieces: list[bytes] = []
    while start < end:
        chunk = os.pread(descriptor, min(_CHUNK_BYTES, end - start), start)
        if not chunk:
            return
        start += len(chunk)
        first, *more = chunk.split(b"\n")
        pieces.append(first)
        if more:
            yield b"".join(pieces)
            yield from more[:-1]
            pieces = [more[-1]]
