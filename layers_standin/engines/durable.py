"""Durable files: a name appears only when the whole file is on disk; for their owner only."""

import os
from collections.abc import Iterable, Iterator
from filecmp import cmp
from pathlib import Path
from uuid import uuid4

from layers_standin.engines.disk import Disk, make_private_folder, open_private

UNFINISHED = ".part"

_CHUNK_BYTES = 1 << 20


class DurableFiles:
    """Writes temporary file → sync → rename. Each method raises OSError."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def write(self, path: Path, chunks: Iterable[bytes | memoryview]) -> None:
        """Write or replace a file. An error of `chunks` goes through, and leaves no file behind."""
        self._make_folder(path.parent)
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}{UNFINISHED}")
        try:
            with open(open_private(unfinished, os.O_EXCL), "wb", buffering=0) as file:
                for chunk in chunks:
                    self._disk.append(file.fileno(), chunk)
                self._disk.sync(file.fileno())
            self._disk.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        self.confirm([path])

    def link(self, source: Path, target: Path) -> None:
        """Hard-link a file, durable after `confirm`; copy it if the disk has no links, or `target` has other bytes."""
        self._make_folder(target.parent)
        try:
            self._disk.link(source, target)
        except OSError:
            if not _are_alike(source, target):
                self.write(target, _chunks(source))

    def confirm(self, paths: Iterable[Path]) -> None:
        """Make the names of files durable."""
        for folder in {path.parent for path in paths}:
            self._disk.sync_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folder(folder.parent)
            make_private_folder(folder)
            self.confirm([folder])


def _are_alike(one: Path, other: Path) -> bool:
    return other.is_file() and (one.samefile(other) or cmp(one, other, shallow=False))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
