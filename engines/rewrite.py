"""Writing documents to a new file that takes a journal's place: those that live in it, or others altogether."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from engines.changes import Document, Key, Lists, Written, change_of, once_each, places_of
from engines.disk import Disk
from engines.errors import Unconfirmed
from engines.line import Change, Entry, decode_line, encode_header, encode_line, places
from engines.lock import ProcessLock
from engines.recovery import recover
from engines.replica import Replica, read_lines
from engines.upgrades import Transform, Upgrade, upgrading

_DOCUMENTS_PER_LINE = 256
_CHUNK_BYTES = 1 << 20


class Report(NamedTuple):
    documents: int
    bytes_before: int
    bytes_after: int


class Writer:
    """Writes the lines of a new journal, numbered from 1; `facts` go into its header."""

    def __init__(self, descriptor: int, disk: Disk, version: int, **facts: Any) -> None:
        self._descriptor, self._disk, self._seq = descriptor, disk, 0
        disk.append(descriptor, encode_header(format=version, **facts))

    def line(self, changes: list[Change]) -> None:
        self._seq += 1
        self._disk.append(self._descriptor, encode_line(self._seq, changes) + b"\n")

    def lines(self, changes: Iterator[Change]) -> int:
        """Write some hundreds of changes a line; return how many they were."""
        count = 0
        while batch := list(islice(changes, _DOCUMENTS_PER_LINE)):
            self.line(batch)
            count += len(batch)
        return count

    def copies(self, lines: Iterable[bytes]) -> None:
        """Write lines as they are; they must be numbered from 1."""
        for line in lines:
            self._disk.append(self._descriptor, line + b"\n")

    def sync(self) -> None:
        self._disk.sync(self._descriptor)


# What lives in a journal, written anew.


def rewrite(path: Path, writers: ProcessLock, disk: Disk, lists: Mapping[str, Lists]) -> Report:
    """Compact a journal. Writers wait only while the last few lines are copied; readers never.

    A crash leaves the old file or the new one in place, each whole. Raises OSError, Damaged,
    Busy while another process rewrites.
    """
    with only_rewriter(path):
        old = Replica.load(path)
        with _new_journal(path) as (new, descriptor):
            writer = Writer(descriptor, disk, old.format)
            copied = old.position
            count = writer.lines(living(old, lists))
            old.catch_up()
            copied = _copy_lines(old, copied, writer)
            writer.sync()
            with writers.held():
                recover(old, disk)
                _copy_lines(old, copied, writer)
                return _take_place(new, old, writer, disk, count)


def upgrade(
    path: Path,
    writers: ProcessLock,
    disk: Disk,
    lists: Mapping[str, Lists],
    version: int,
    upgrades: Mapping[int, Upgrade],
) -> None:
    """Bring an older journal to `version` on a copy; the old file stays as `journal.format-<n>.jsonl`."""
    with only_rewriter(path, wait=True), writers.held():
        old = Replica.load(path)
        found = old.format
        if found >= version:
            return  # another process was quicker
        _keep_copy(old, path.with_suffix(f".format-{found}.jsonl"), disk)
        with _new_journal(path) as (new, descriptor):
            writer = Writer(descriptor, disk, version)
            count = writer.lines(living(old, lists, upgrading(upgrades, found, version)))
            _take_place(new, old, writer, disk, count)


def replace_with_documents_of(old: Replica, disk: Disk, lists: Mapping[str, Lists]) -> Report:
    """Write what `old` knows to a new journal in its file's place; the writers' lock must be held."""
    with only_rewriter(old.path), _new_journal(old.path) as (new, descriptor):
        writer = Writer(descriptor, disk, old.format)
        count = writer.lines(living(old, lists))
        return _take_place(new, old, writer, disk, count)


def living(old: Replica, lists: Mapping[str, Lists], transform: Transform | None = None) -> Iterator[Change]:
    """Yield every live document as if it were put for the first time."""
    for table, partition in old.directory.spaces():
        for doc_id in old.directory.ids(table, partition):
            document = old.document(table, partition, doc_id)
            if document is not None:
                after = document if transform is None else transform(table, document)
                yield _newcomer((table, partition, doc_id), after, lists)


def _keep_copy(old: Replica, copy: Path, disk: Disk) -> None:
    with copy.open("wb", buffering=0) as file:
        for start in range(0, old.position, _CHUNK_BYTES):
            size = min(_CHUNK_BYTES, old.position - start)
            disk.append(file.fileno(), os.pread(old.file.fileno(), size, start))
        disk.sync(file.fileno())


def _newcomer(key: Key, document: bytes, lists: Mapping[str, Lists]) -> Change:
    return change_of(key, [], Written(document, places_of(key[0], document, lists)))


def _copy_lines(old: Replica, start: int, writer: Writer) -> int:
    """Write the lines of `old` from an offset to where it has read, numbered anew; return that place."""
    for line in read_lines(old.file.fileno(), start, old.position):
        writer.line(list(_changes_in(line)))
    return old.position


def _changes_in(line: bytes) -> Iterator[Change]:
    _, changes, start = decode_line(line)
    for (table, partition, doc_id, size, *moves), offset in places(changes, start):
        joined, left = moves or ([], [])
        document = None if size is None else line[offset : offset + size]
        yield Change(table, partition, doc_id, document, [Entry(*e) for e in joined], [Entry(*e) for e in left])


def _take_place(new: Path, old: Replica, writer: Writer, disk: Disk, count: int) -> Report:
    writer.sync()
    disk.replace(new, old.path)
    disk.sync_folder(old.path.parent)
    return Report(count, old.size(), old.path.stat().st_size)


# Other documents altogether.


def replace_all(
    path: Path,
    writers: ProcessLock,
    disk: Disk,
    lists: Mapping[str, Lists],
    version: int,
    documents: Iterable[Document],
) -> None:
    """Put these documents in the place of all there are. Raises OSError, Unconfirmed, ValueError; see below."""
    with taking_place(path, writers, disk) as descriptor:
        Writer(descriptor, disk, version).lines(_placed(documents, lists))


@contextmanager
def taking_place(path: Path, writers: ProcessLock, disk: Disk) -> Iterator[int]:
    """Yield the descriptor of a new file; it takes the journal's place when the block ends well.

    Waits for whoever rewrites the journal now; writers wait only for the switch, and look what file is there once
    they have the lock, so that none writes to the old one after it. A crash leaves the old file or the new one
    in place, each whole. Raises OSError when nothing was changed, Unconfirmed.
    """
    with only_rewriter(path, wait=True), _new_journal(path) as (new, descriptor):
        yield descriptor
        disk.sync(descriptor)
        with writers.held():
            put_in_place(new, path, disk)


def put_in_place(new: Path, path: Path, disk: Disk) -> None:
    """Give a synced file its name. Raises OSError when it has not got it, Unconfirmed when it has."""
    disk.replace(new, path)
    confirm(path, "in place", disk)


def confirm(path: Path, done: str, disk: Disk) -> None:
    """Make durable what was done to a name. Raises Unconfirmed."""
    try:
        disk.sync_folder(path.parent)
    except OSError as error:
        raise Unconfirmed(f"{path} is {done}, but the disk did not confirm it: {error.strerror}.") from error


def _placed(documents: Iterable[Document], lists: Mapping[str, Lists]) -> Iterator[Change]:
    """Yield the change of each document. Raises ValueError for one that comes twice."""
    for table, partition, doc_id, document in once_each(documents):
        yield _newcomer((table, partition, doc_id), document, lists)


# New files.


@contextmanager
def only_rewriter(path: Path, wait: bool = False) -> Iterator[None]:
    """Keep everybody else from rewriting a journal. Raises OSError, or Busy when it may not wait."""
    lock = ProcessLock(path.with_suffix(".rewrite.lock"))
    try:
        with lock.held(wait):
            yield
    finally:
        lock.close()


@contextmanager
def new_file(new: Path) -> Iterator[tuple[Path, int]]:
    """Yield path and descriptor of a file that somebody is going to rename; it is removed when that fails."""
    with new.open("wb", buffering=0) as file:
        try:
            yield new, file.fileno()
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def _new_journal(path: Path) -> AbstractContextManager[tuple[Path, int]]:
    return new_file(path.with_suffix(".new"))
