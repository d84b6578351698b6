"""The growth of the database file under changes, and the time of a snapshot, a reset and a restore."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import choice

from benchmarks.children import in_child
from benchmarks.databases import open_engine
from benchmarks.documents import ORGANIZATION, populate
from benchmarks.tables import markdown, number, spread
from layers_standin.domain.tables import INDEXES
from layers_standin.engines.indexes import Document
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Engine
from store import Store

_GROWTH_HEAD = ("", "before", "after", "of that, history", "the rest, of before", "log beside")
_COMMANDS_HEAD = ("command", "influencers", "took")


def measure_growth(folder: Path, size: int, patches: int) -> str:
    """Return a table of the file's size before and after `patches` random changes of `size` influencers."""
    store_folder = folder / "growth"
    sample = in_child(populate, store_folder, size)
    return in_child(_grow, store_folder, sample.influencers, patches)


def _grow(folder: Path, ids: list[str], patches: int) -> str:
    db = SQLite(folder, indexes=INDEXES, sync=False)  # syncs change no size
    store = Store(db)
    before = _database_bytes(folder)
    for number_of_patch in range(patches):
        patch = {"vibe": f"calm and curious, take {number_of_patch:09}", "personality": {"tone": "friendly"}}
        store.for_organization(ORGANIZATION).patch_influencer(choice(ids), patch)
    after, log = _database_bytes(folder), folder.joinpath(f"{DATABASE}-wal").stat().st_size
    documents = _documents(db)
    db.close()
    others = [document for document in documents if document[0] != "history"]
    history = _new_store_bytes(folder / "all", documents) - _new_store_bytes(folder / "others", others)
    title = f"{patches:,} changes of {len(ids):,} influencers"
    sizes = [_megabytes(size) for size in (before, after, history)]
    return markdown(_GROWTH_HEAD, [(title, *sizes, number((after - history) / before), _megabytes(log))])


def _database_bytes(folder: Path) -> int:
    return folder.joinpath(DATABASE).stat().st_size


def _new_store_bytes(folder: Path, documents: list[Document]) -> int:
    """Create a store of these documents in `folder` and return the size of its file."""
    db = SQLite(folder, indexes=INDEXES, sync=False)
    db.replace_all(documents)
    db.close()
    return _database_bytes(folder)


def _megabytes(size_bytes: int) -> str:
    return f"{number(size_bytes / 1e6)} MB"


def measure_commands(folder: Path, size: int, rounds: int) -> str:
    """Return a table of the time to save, replace and restore all documents of a store of `size` influencers."""
    store_folder = folder / "commands"
    in_child(populate, store_folder, size)
    times_ms = in_child(_time_commands, store_folder, rounds)
    return markdown(_COMMANDS_HEAD, [(title, f"{size:,}", spread(times, " ms")) for title, times in times_ms.items()])


def _create_snapshot(db: Engine) -> None:
    with db.create_snapshot("full", {}):
        pass


def _time_commands(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return {title: milliseconds of each round}; an additional first round warms up and is left out."""
    db = open_engine(folder)
    documents = _documents(db)
    commands: dict[str, Callable[[], object]] = {
        "save a snapshot": partial(_create_snapshot, db),
        "replace all by as many": lambda: db.replace_all(documents),
        "restore the snapshot": lambda: db.restore_snapshot("full"),
    }
    times_ms: dict[str, list[float]] = {title: [] for title in commands}
    for _ in range(rounds + 1):
        for title, command in commands.items():
            started = time.perf_counter()
            command()
            times_ms[title].append((time.perf_counter() - started) * 1000)
    db.close()
    return {title: times[1:] for title, times in times_ms.items()}


def _documents(db: Engine) -> list[Document]:
    keys = [(table, partition, doc_id) for table, partition in db.tables() for doc_id in db.ids(table, partition)]
    return [(*key, db.read(*key) or b"") for key in keys]
