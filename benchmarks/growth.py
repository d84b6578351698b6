"""How the file grows under changes, and how long a snapshot, a reset and a restore take."""

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
    """Return a table of the file's size under changes by the rules of the API, in a process that is not restarted."""
    place = folder / "growth"
    sample = in_child(populate, place, size)
    return in_child(_grow, place, sample.influencers, patches)


def _grow(place: Path, ids: list[str], patches: int) -> str:
    db = SQLite(place, indexes=INDEXES, sync=False)  # syncs change no size
    store = Store(db)
    before = _bytes_of(place)
    for number_of_patch in range(patches):
        patch = {"vibe": f"calm and curious, take {number_of_patch:09}", "personality": {"tone": "friendly"}}
        store.for_organization(ORGANIZATION).patch_influencer(choice(ids), patch)
    after, log = _bytes_of(place), place.joinpath(f"{DATABASE}-wal").stat().st_size
    documents = _documents(db)
    db.close()
    others = [document for document in documents if document[0] != "history"]
    history = _bytes_anew(place / "all", documents) - _bytes_anew(place / "others", others)
    told = f"{patches:,} changes of {len(ids):,} influencers"
    sizes = [_megabytes(size) for size in (before, after, history)]
    return markdown(_GROWTH_HEAD, [(told, *sizes, number((after - history) / before), _megabytes(log))])


def _bytes_of(place: Path) -> int:
    return place.joinpath(DATABASE).stat().st_size


def _bytes_anew(place: Path, documents: list[Document]) -> int:
    """Return the size of a new store of these documents."""
    db = SQLite(place, indexes=INDEXES, sync=False)
    db.replace_all(documents)
    db.close()
    return _bytes_of(place)


def _megabytes(size_bytes: int) -> str:
    return f"{number(size_bytes / 1e6)} MB"


def measure_commands(folder: Path, size: int, rounds: int) -> str:
    """Return a table of what is done to all documents at once."""
    place = folder / "commands"
    in_child(populate, place, size)
    taken = in_child(_command, place, rounds)
    return markdown(_COMMANDS_HEAD, [(title, f"{size:,}", spread(times, " ms")) for title, times in taken.items()])


def _save(db: Engine) -> None:
    with db.create_snapshot("full", {}):
        pass


def _command(place: Path, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each command by round; the first of all is to warm up."""
    db = open_engine(place)
    documents = _documents(db)
    commands: dict[str, Callable[[], object]] = {
        "save a snapshot": partial(_save, db),
        "replace all by as many": lambda: db.replace_all(documents),
        "restore the snapshot": lambda: db.restore_snapshot("full"),
    }
    taken: dict[str, list[float]] = {title: [] for title in commands}
    for _ in range(rounds + 1):
        for title, command in commands.items():
            started = time.perf_counter()
            command()
            taken[title].append((time.perf_counter() - started) * 1000)
    db.close()
    return {title: times[1:] for title, times in taken.items()}


def _documents(db: Engine) -> list[Document]:
    keys = [(table, partition, doc_id) for table, partition in db.tables() for doc_id in db.ids(table, partition)]
    return [(*key, db.read(*key) or b"") for key in keys]
