"""States of a journal that are kept under names: `snapshots/<name>.jsonl`, each a journal without history."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engines.changes import Lists
from engines.disk import Disk
from engines.errors import Damaged, DamagedSnapshot, NoSnapshot, UnknownFormat
from engines.lock import ProcessLock
from engines.replica import Replica, read_lines
from engines.rewrite import (
    Writer,
    confirm,
    living,
    new_file,
    only_rewriter,
    put_in_place,
    taking_place,
)
from engines.saved import SNAPSHOT_NAME, Saved, check_name
from engines.upgrades import Upgrade, upgrading

_FOLDER = "snapshots"
_ENDING = ".jsonl"


class Snapshot(Replica):
    """A saved state. Its header tells what it was saved with, and how much of it there must be."""

    @property
    def told(self) -> Saved:
        """Raises Damaged when this is a journal, but none that was saved here."""
        kept = self.header.get("snapshot")
        if not isinstance(kept, dict):
            raise self.damage("its header is not that of a snapshot")
        return Saved(self.path.stem, kept["facts"], kept["documents"], self.size())

    def read(self) -> None:
        """Take in all of it. Raises Damaged, also when whole lines are missing at its end."""
        self.catch_up()
        self._check_end(_documents(self))

    def whole_lines(self) -> Iterator[bytes]:
        """Yield its lines instead, each when it has proved whole. Raises Damaged as late as at the end."""
        found = 0
        for line in read_lines(self.file.fileno(), self.position, self.size()):
            self.seq, changes, _ = self.decode_next(line)
            self.position += len(line) + 1
            self.line += 1
            found += len(changes)
            yield line
        self._check_end(found)

    def damage(self, what: str) -> Damaged:
        return DamagedSnapshot(self.path, self.line, self.position, what)

    def _check_end(self, found: int) -> None:
        expected = self.told.documents
        if (self.position, found) != (self.size(), expected):
            raise self.damage(f"it ends after {found} of {expected} documents")


def place_of(folder: Path, name: str, ending: str = _ENDING) -> Path:
    """Return where in a store's folder something is kept under that name. Raises ValueError."""
    check_name(name)
    return folder / _FOLDER / (name + ending)


def save(path: Path, snapshot: Path, disk: Disk, lists: Mapping[str, Lists], facts: dict[str, Any]) -> None:
    """Keep what lives in a journal now, in the place of what was kept there. Raises OSError, Damaged, Unconfirmed."""
    with only_rewriter(path, wait=True):
        snapshot.parent.mkdir(exist_ok=True)
        disk.sync_folder(path.parent)
        # A reader of its own, that follows nobody once it has read the file: the state of one moment.
        now = Replica.load(path)
        # One name for all that are not finished: what a crash leaves is overwritten by the next.
        with new_file(snapshot.with_name("unfinished.new")) as (new, descriptor):
            header = {"facts": facts, "documents": _documents(now)}
            writer = Writer(descriptor, disk, now.format, snapshot=header)
            writer.lines(living(now, lists))
            writer.sync()
            put_in_place(new, snapshot, disk)


def restore(
    path: Path,
    writers: ProcessLock,
    snapshot: Path,
    disk: Disk,
    lists: Mapping[str, Lists],
    version: int,
    upgrades: Mapping[int, Upgrade],
) -> None:
    """Put a saved state in the place of all there is. Raises OSError, NoSnapshot, Damaged, UnknownFormat, Unconfirmed.

    What is of today's format is copied line by line: none of its documents is decoded.
    """
    with taking_place(path, writers, disk) as descriptor, _opened(snapshot) as saved:
        if saved.format > version:
            raise UnknownFormat(f"The snapshot {snapshot} has format {saved.format}: only a newer program restores it.")
        writer = Writer(descriptor, disk, version)
        if saved.format == version:
            writer.copies(saved.whole_lines())
        else:
            saved.read()
            writer.lines(living(saved, lists, upgrading(upgrades, saved.format, version)))


def saved_in(folder: Path) -> list[Saved]:
    """Return what is kept, by name. Raises OSError."""
    stems = sorted(path.stem for path in (folder / _FOLDER).glob("*" + _ENDING))
    found = (_told(place_of(folder, name)) for name in stems if SNAPSHOT_NAME.fullmatch(name))
    return [told for told in found if told is not None]


def forget(snapshot: Path, disk: Disk) -> None:
    """Remove a saved state. Raises OSError, NoSnapshot, Unconfirmed."""
    try:
        snapshot.unlink()
    except FileNotFoundError as error:
        raise NoSnapshot(snapshot.stem) from error
    confirm(snapshot, "gone", disk)


def _told(snapshot: Path) -> Saved | None:
    with suppress(FileNotFoundError):  # forgotten since the folder was listed
        try:
            return Snapshot(snapshot).told
        except Damaged:  # listed all the same, or nobody would know what to forget
            return Saved(snapshot.stem, {}, None, snapshot.stat().st_size)
    return None


@contextmanager
def _opened(snapshot: Path) -> Iterator[Snapshot]:
    try:
        saved = Snapshot(snapshot)
    except FileNotFoundError as error:
        raise NoSnapshot(snapshot.stem) from error
    with saved.file:
        yield saved


def _documents(replica: Replica) -> int:
    return sum(replica.directory.count(*space) for space in replica.directory.spaces())
