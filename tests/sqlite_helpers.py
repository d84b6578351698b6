"""What the tests of the store's file share: small stores, all that they answer, and processes that die."""

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import orjson
from engine_helpers import by_rank

from layers_standin.engines.sqlite.connections import CHECKSUM_BYTES, CHECKSUM_VFS, load_checksums
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import DATABASE

WAL = f"{DATABASE}-wal"
SHM = f"{DATABASE}-shm"
GROUPS = ("old", "new")

Files = dict[str, bytes]  # what a folder holds, by name


INDEXES = {"t": by_rank}


def opened(folder: Path) -> Any:
    """Open the store of a folder without syncs; `with` closes it."""
    return closing(SQLite(folder, indexes=INDEXES, sync=False, patience_seconds=0.5))


def answers(folder: Path) -> Any:
    """Return all that a process that opens the folder now is answered: documents, their order, lists, snapshots."""
    with opened(folder) as engine:
        return answers_of(engine)


def answers_of(engine: SQLite) -> Any:
    with engine.snapshot_read():
        documents = {
            (table, partition, doc_id): orjson.loads(engine.read(table, partition, doc_id) or b"null")
            for table, partition in engine.tables()
            for doc_id in engine.ids(table, partition)
        }
        lists = {group: engine.scan("t", "org", group, limit=99) for group in GROUPS}
        counts = {space: engine.count(*space) for space in engine.tables()}
        return documents, lists, counts, engine.list_snapshots()


def commit(engine: SQLite, number: int) -> None:
    """Make one commit that changes a document, adds one, and moves both in lists."""
    with engine.transaction():
        for doc_id in ("a", f"b{number}"):
            record = {"groups": GROUPS[: 1 + number % 2], "rank": f"{number:03}{doc_id}", "text": "x" * 20}
            engine.write("t", "org", doc_id, orjson.dumps(record))


def small_pages(folder: Path) -> None:
    """Lay an empty database with the smallest pages into a folder: a store made of it has few bytes to go through."""
    load_checksums()
    folder.mkdir(parents=True, exist_ok=True)
    with closing(apsw.Connection(str(folder / DATABASE), vfs=CHECKSUM_VFS)) as connection:
        connection.pragma("page_size", 512)
        connection.reserve_bytes(reserve=CHECKSUM_BYTES)
        connection.pragma("journal_mode", "wal")


def files_in(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def lay(folder: Path, files: Files) -> None:
    """Let a folder hold these files and no others, but for folders."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() and path.name not in files:
            path.unlink()
    for name, data in files.items():
        # Over what is there, and cut behind it: a file emptied and filled anew is synced by some file systems.
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
        os.close(descriptor)


def killed_after(folder: Path, work: Callable[[], None]) -> None:
    """Do some work in a child that is killed right after it, so that no file is closed well."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
