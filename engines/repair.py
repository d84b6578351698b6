"""Looking at a damaged journal, and cutting the damage out when told to."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from engines.changes import Lists
from engines.disk import Disk
from engines.errors import Damaged, UnknownFormat
from engines.line import FORMAT, OLDEST, decode_line, find_whole_line
from engines.lock import ProcessLock
from engines.replica import Replica
from engines.rewrite import replace_with_documents_of


class Fault(NamedTuple):
    """Bytes [start, end) of the file that are no line; start == end where lines are missing."""

    line: int
    start: int
    end: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}, bytes {self.start} to {self.end}: {self.what}"


class Salvage(Replica):
    """A replica that steps over what is no line, and remembers it."""

    def __init__(self, path: Path) -> None:
        self.faults: list[Fault] = []
        super().__init__(path)

    @classmethod
    def load(cls, path: Path) -> "Salvage":
        """Read what can be read. Raises OSError; Damaged when that is nothing at all."""
        salvage = cls(path)
        salvage.catch_up()
        salvage._take_rest(salvage.rest())
        salvage.directory.loaded()
        return salvage

    def _read_header(self) -> dict[str, object]:
        try:
            return super()._read_header()
        except Damaged as damage:
            start = find_whole_line(self.path.read_bytes())
            if start < 0:
                raise  # nothing of ours in it
            self._fault(start, damage.what)
            self.position, self.line = start, 2
            return {"format": OLDEST}  # so that every upgrade is done, even if for the second time

    def _take(self, line: bytes) -> None:
        inner = find_whole_line(line)
        if inner < 0:
            self._fault(len(line) + 1, "its checksum does not match")
            self.position += len(line) + 1
            self.line += 1
            return
        if inner > 0:
            self._fault(inner, "its checksum does not match")
            self.position += inner
        self._take_whole(line[inner:])

    def _take_rest(self, rest: bytes) -> None:
        line = rest.rstrip(b"\0")
        if find_whole_line(line) >= 0:  # only its newline is missing: it counts, as when a store is opened
            self._take(line)
        elif rest:
            self._fault(len(rest), "an unfinished line at the end")

    def _take_whole(self, line: bytes) -> None:
        try:
            super()._take(line)
        except Damaged as gap:
            self._fault(0, gap.what)
            self.seq = decode_line(line)[0] - 1
            super()._take(line)

    def _fault(self, size: int, what: str) -> None:
        self.faults.append(Fault(self.line, self.position, self.position + size, what))


def faults(path: Path) -> list[Fault]:
    """Return what is wrong with a journal, in the order of the file. Raises OSError, Damaged."""
    return Salvage.load(path).faults


def repair(
    path: Path,
    side: Path,
    writers: ProcessLock,
    disk: Disk,
    lists: Mapping[str, Lists],
    version: int = FORMAT,
) -> list[Fault]:
    """Put every whole transaction into a new journal, and the bytes cut out into `side`; return what was cut.

    Nothing is touched when nothing is wrong. Raises OSError, Damaged.
    """
    with writers.held():
        salvage = Salvage.load(path)
        if salvage.format > version:
            raise UnknownFormat(f"The store {path} has format {salvage.format}: only a newer program can repair it.")
        if salvage.faults:
            _keep_cut_bytes(path, side, salvage.faults, disk)
            # Older documents find their places when they are upgraded.
            replace_with_documents_of(salvage, disk, lists if salvage.format == version else {})
        return salvage.faults


def _keep_cut_bytes(path: Path, side: Path, cut: list[Fault], disk: Disk) -> None:
    damaged = path.read_bytes()
    with side.open("wb", buffering=0) as file:
        for fault in cut:
            disk.append(file.fileno(), f"# {fault}\n".encode() + damaged[fault.start : fault.end] + b"\n")
        disk.sync(file.fileno())
