"""Writing the live documents of a journal to a new file that takes the old one's place."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from engines.changes import Lists, Written, change_of, places_of
from engines.disk import Disk
from engines.line import Change, Entry, decode_line, encode_header, encode_line, places
from engines.lock import ProcessLock
from engines.recovery import recover
from engines.replica import Replica, read_lines

Upgrade = Callable[[str, dict[str, Any]], dict[str, Any]]  # table, document of format n → document of format n + 1
Transform = Callable[[str, bytes], bytes]  # table, a document's JSON → its JSON

_DOCUMENTS_PER_LINE = 256
_CHUNK_BYTES = 1 << 20


class Report(NamedTuple):
    documents: int
    bytes_before: int
    bytes_after: int


class _Writer:
    """Writes the lines of a new journal, numbered from 1."""

    def __init__(self, descriptor: int, disk: Disk, version: int) -> None:
        self._descriptor, self._disk, self._seq = descriptor, disk, 0
        disk.append(descriptor, encode_header(format=version))

    def line(self, changes: list[Change]) -> None:
        self._seq += 1
        self._disk.append(self._descriptor, encode_line(self._seq, changes) + b"\n")

    def sync(self) -> None:
        self._disk.sync(self._descriptor)


def rewrite(path: Path, writers: ProcessLock, disk: Disk, lists: Mapping[str, Lists]) -> Report:
    """Compact a journal. Writers wait only while the last few lines are copied; readers never.

    A crash leaves the old file or the new one in place, each whole. Raises OSError, Damaged,
    Busy while another process rewrites.
    """
    with _only_rewriter(path):
        old = Replica.load(path)
        with _new_file(path) as (new, descriptor):
            writer = _Writer(descriptor, disk, old.format)
            copied = old.position
            count = _copy_documents(old, writer, lists, _unchanged)
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
    with _only_rewriter(path, wait=True), writers.held():
        old = Replica.load(path)
        found = old.format
        if found >= version:
            return  # another process was quicker
        _keep_copy(old, path.with_suffix(f".format-{found}.jsonl"), disk)
        with _new_file(path) as (new, descriptor):
            writer = _Writer(descriptor, disk, version)
            count = _copy_documents(old, writer, lists, _upgrading([upgrades[n] for n in range(found, version)]))
            _take_place(new, old, writer, disk, count)


def replace_with_documents_of(old: Replica, disk: Disk, lists: Mapping[str, Lists]) -> Report:
    """Write what `old` knows to a new journal in its file's place; the writers' lock must be held."""
    with _only_rewriter(old.path), _new_file(old.path) as (new, descriptor):
        writer = _Writer(descriptor, disk, old.format)
        count = _copy_documents(old, writer, lists, _unchanged)
        return _take_place(new, old, writer, disk, count)


@contextmanager
def _only_rewriter(path: Path, wait: bool = False) -> Iterator[None]:
    lock = ProcessLock(path.with_suffix(".rewrite.lock"))
    try:
        with lock.held(wait):
            yield
    finally:
        lock.close()


@contextmanager
def _new_file(path: Path) -> Iterator[tuple[Path, int]]:
    new = path.with_suffix(".new")
    with new.open("wb", buffering=0) as file:
        try:
            yield new, file.fileno()
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def _keep_copy(old: Replica, copy: Path, disk: Disk) -> None:
    with copy.open("wb", buffering=0) as file:
        for start in range(0, old.position, _CHUNK_BYTES):
            size = min(_CHUNK_BYTES, old.position - start)
            disk.append(file.fileno(), os.pread(old.file.fileno(), size, start))
        disk.sync(file.fileno())


def _copy_documents(old: Replica, writer: _Writer, lists: Mapping[str, Lists], transform: Transform) -> int:
    changes = _documents(old, lists, transform)
    count = 0
    while batch := list(islice(changes, _DOCUMENTS_PER_LINE)):
        writer.line(batch)
        count += len(batch)
    return count


def _documents(old: Replica, lists: Mapping[str, Lists], transform: Transform) -> Iterator[Change]:
    """Yield every live document as if it were put for the first time."""
    for table, partition in old.directory.spaces():
        for doc_id in old.directory.ids(table, partition):
            document = old.document(table, partition, doc_id)
            if document is not None:
                after = transform(table, document)
                yield change_of((table, partition, doc_id), [], Written(after, places_of(table, after, lists)))


def _copy_lines(old: Replica, start: int, writer: _Writer) -> int:
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


def _take_place(new: Path, old: Replica, writer: _Writer, disk: Disk, count: int) -> Report:
    writer.sync()
    disk.replace(new, old.path)
    disk.sync_folder(old.path.parent)
    return Report(count, old.size(), old.path.stat().st_size)


def _unchanged(table: str, document: bytes) -> bytes:
    return document


def _upgrading(steps: list[Upgrade]) -> Transform:
    def transform(table: str, document: bytes) -> bytes:
        record = orjson.loads(document)
        for step in steps:
            record = step(table, record)
        return orjson.dumps(record)

    return transform
