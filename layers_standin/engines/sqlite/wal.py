"""Whether a write-ahead log holds commits that SQLite does not see, because bytes before them were damaged.

SQLite takes the first frame whose checksum does not match for the end of the log. That is right after a loss of power
and wrong when a bit has flipped in the middle. The frames behind it tell one from the other: a torn commit is the last
one in the log, and behind a damaged one the next was begun. Layout: https://sqlite.org/fileformat2.html#walformat
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import apsw

_HEADER = struct.Struct(">8I")  # magic, format, page size, checkpoint number, two salts, two checksums
_FRAME = struct.Struct(">6I")  # page number, pages of the database after a commit or else 0, two salts, two checksums
_BIG_ENDIAN, _LITTLE_ENDIAN = 0x377F0683, 0x377F0682
_MASK = 0xFFFFFFFF


def has_lost_commits(connection: apsw.Connection, other: apsw.Connection) -> bool:
    """Whether whole commits follow the end that SQLite has found, given two connections to a database.

    Raises OSError, apsw.Error.
    """
    if connection.readonly("main"):
        return has_lost_commits_in(Path(connection.filename_wal), int(connection.pragma("page_size")))
    try:
        connection.execute("BEGIN IMMEDIATE")  # no other process appends meanwhile
    except apsw.BusyError:
        return False  # another process writes, and it has checked the log when it opened the store
    try:
        other.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        seen, _ = other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        wal, page_bytes = Path(connection.filename_wal), int(connection.pragma("page_size"))
        return _lost_after(wal, page_bytes, max(seen, 0)) is not None
    finally:
        connection.execute("ROLLBACK")


def has_lost_commits_in(wal: Path, page_bytes: int) -> bool:
    """Whether a log file has such commits, without a lock: others may write to it. Raises OSError."""
    before = None
    while True:
        # What is being written while we look is whole at the second look, and a new log has another header.
        end = _lost_after(wal, page_bytes)
        if end == before or end is None:
            return end is not None
        before = end


def pages_in(wal: Path, page_bytes: int) -> set[int]:
    """Return the numbers of the pages in a log's commits. Raises OSError."""
    if not wal.exists():
        return set()
    with wal.open("rb") as file:
        log = _Log(file, page_bytes)
        return {log.page(number) for number in range(log.seen())}


def _lost_after(wal: Path, page_bytes: int, seen: int | None = None) -> tuple[object, int] | None:
    """Return (header, number of frames before the end that SQLite finds) if lost commits follow it, else None."""
    if not wal.exists():
        return None
    with wal.open("rb") as file:
        log = _Log(file, page_bytes)
        seen = log.seen() if seen is None else seen
        return (log.header, seen) if _goes_on(log, seen) else None


def _goes_on(log: "_Log", seen: int) -> bool:
    if log.frames and not log.is_header_whole:  # a header is synced before its first frame is written
        return log.follows(-1) or any(log.follows(number) for number in range(log.frames - 1))
    return any(log.is_commit(number) and log.follows(number) for number in range(seen, log.frames - 1))


class _Log:
    """A log file; frames count from 0, and the header has the number -1."""

    def __init__(self, file: BinaryIO, page_bytes: int) -> None:
        self._file = file
        self._frame_bytes = _FRAME.size + page_bytes
        header = file.read(_HEADER.size).ljust(_HEADER.size, b"\0")
        self.frames = max(os.stat(file.fileno()).st_size - _HEADER.size, 0) // self._frame_bytes
        self.header = _HEADER.unpack(header)
        self._order = ">" if self.header[0] == _BIG_ENDIAN else "<"
        self.is_header_whole = self.header[0] in (_BIG_ENDIAN, _LITTLE_ENDIAN) and (
            self._sum(header[:24], (0, 0)) == self.header[6:]
        )

    def seen(self) -> int:
        """Return the number of frames, by their checksums, that SQLite takes for commits."""
        number = seen = 0
        while self.is_header_whole and number < self.frames and self.follows(number - 1):
            number += 1
            if self.is_commit(number - 1):
                seen = number
        return seen

    def page(self, number: int) -> int:
        """Return the number of the page in a frame."""
        return self._frame(number)[0]

    def is_commit(self, number: int) -> bool:
        """Whether a frame ends a commit, damaged or not."""
        _, pages, *_ = self._frame(number)
        return pages > 0

    def follows(self, number: int) -> bool:
        """Whether the next frame is whole, and was written behind this one."""
        page, _, *after = self._frame(number + 1)
        salts = self.header[4:6] if number < 0 or self.is_header_whole else self._frame(number)[2:4]
        if not page or tuple(after[:2]) != salts:
            return False
        # It includes the checksum before it. If that one was damaged, it is computed anew from its frame.
        return any(self._sum_of(number + 1, before) == tuple(after[2:]) for before in self._sums_at(number))

    def _sums_at(self, number: int) -> Iterator[tuple[int, int]]:
        yield self._stored_sum(number)
        if number >= 0:
            yield self._sum_of(number, self._stored_sum(number - 1))

    def _stored_sum(self, number: int) -> tuple[int, int]:
        return self.header[6:8] if number < 0 else self._frame(number)[4:6]  # type: ignore[return-value]

    def _sum_of(self, number: int, before: tuple[int, int]) -> tuple[int, int]:
        self._file.seek(self._offset(number))
        frame = self._file.read(self._frame_bytes)
        return self._sum(frame[_FRAME.size :], self._sum(frame[:8], before))

    def _frame(self, number: int) -> tuple[int, ...]:
        self._file.seek(self._offset(number))
        return _FRAME.unpack(self._file.read(_FRAME.size).ljust(_FRAME.size, b"\0"))  # it may just have become shorter

    def _offset(self, number: int) -> int:
        return _HEADER.size + number * self._frame_bytes

    def _sum(self, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
        one, other = start
        words = struct.unpack(f"{self._order}{len(data) // 4}I", data)
        for first, second in zip(words[::2], words[1::2], strict=True):
            one = (one + first + other) & _MASK
            other = (other + second + one) & _MASK
        return one, other
