"""The time of one thread's reads and updates: in three kinds of store, and in stores of several sizes."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from os import getpid
from pathlib import Path
from random import choice
from typing import Any, NamedTuple

from benchmarks.children import in_child
from benchmarks.databases import open_engine
from benchmarks.documents import ORGANIZATION, populate
from benchmarks.kinds import BARE, OURS, TINYDB, OpenStore, StoreKind, store_on
from benchmarks.machine import resident_bytes
from benchmarks.tables import markdown, megabytes, spread
from layers_standin.domain.cursors import write_cursor
from layers_standin.domain.tables import OK
from layers_standin.engines.table import Engine
from store import Store

PAGE_SIZE, FAR_PAGE = 25, 10_000
_OPENINGS = 5
_COLUMNS = [(operation, clock) for operation in (0, 1) for clock in (0, 1)]  # indexes into ReadUpdate and Timing

_BESIDE_HEAD = ("", "influencers", "read", "CPU", "update", "CPU", "of bare: read", "CPU", "update", "CPU")
_SIZES_HEAD = (
    "influencers",
    "opened in",
    "memory grew by",
    "read",
    "update",
    "page 1",
    "page far down",
    "far, of page 1",
    "CPU, of the smallest: read",
    "update",
)


class Timing(NamedTuple):
    """The average milliseconds of an operation: by the clock (`wall_ms`), and of the processor (`cpu_ms`)."""

    wall_ms: float
    cpu_ms: float


class ReadUpdate(NamedTuple):
    """The timings of both operations in one round."""

    read: Timing
    update: Timing


def measure_beside(folder: Path, size: int, tinydb_sizes: Sequence[int], rounds: int, seconds: float) -> str:
    """Return a table of reads and updates in each kind of store.

    `size` is the number of influencers in the stand-in's store and the bare one, `tinydb_sizes` are those of TinyDB's
    files; each operation is repeated for `seconds` in each of the rounds.
    """
    kinds = [(BARE, size), (OURS, size), *((TINYDB, each) for each in tinydb_sizes)]
    filled: list[tuple[StoreKind, Path, list[Any]]] = []
    for kind, count in kinds:
        store_folder = folder / f"beside-{len(filled)}"
        filled.append((kind, store_folder, in_child(kind.fill, store_folder, count)))
    timings = in_child(_time_stores, filled, rounds, seconds)
    rows = []
    for (kind, count), ours in zip(kinds, timings, strict=True):
        ratios = [] if kind is BARE else [_ratios(ours, timings[0], *column) for column in _COLUMNS]
        cells = [spread([each[operation][clock] for each in ours], " ms") for operation, clock in _COLUMNS]
        rows.append((kind.name, f"{count:,}", *cells, *(spread(each) for each in ratios), *[""] * (4 - len(ratios))))
    return markdown(_BESIDE_HEAD, rows)


def _time_stores(
    filled: Sequence[tuple[StoreKind, Path, list[Any]]], rounds: int, seconds: float
) -> list[list[ReadUpdate]]:
    """Return the timings of each store by round, without a first round that warms up.

    `filled` has (kind, folder, ids) of each store.
    """
    with ExitStack() as stack:
        opened = [(stack.enter_context(kind.open(folder)), ids) for kind, folder, ids in filled]
        timings: list[list[ReadUpdate]] = [[] for _ in opened]
        for number_of_round in range(-1, rounds):
            turns = list(enumerate(opened))
            for index, (store, ids) in turns if number_of_round % 2 else turns[::-1]:
                timings[index].append(_time_store(store, ids, seconds))
        return [each[1:] for each in timings]


def _time_store(store: OpenStore, ids: list[Any], seconds: float) -> ReadUpdate:
    read = time_operation(lambda: store.get(choice(ids)), seconds)
    return ReadUpdate(read, time_operation(lambda: store.increment(choice(ids)), seconds))


def time_operation(operation: Callable[[], object], seconds: float) -> Timing:
    """Repeat an operation for `seconds`, at least once, and return its average timing."""
    done, cpu, started = 0, time.process_time(), time.perf_counter()
    while not done or time.perf_counter() < started + seconds:
        operation()
        done += 1
    wall = time.perf_counter() - started
    return Timing(wall / done * 1000, (time.process_time() - cpu) / done * 1000)


def _ratios(ours: list[ReadUpdate], other: list[ReadUpdate], operation: int, clock: int) -> list[float]:
    return [mine[operation][clock] / its[operation][clock] for mine, its in zip(ours, other, strict=True)]


# Sizes


class SizedStore(NamedTuple):
    """A store with `size` influencers: a sample of their ids, and (seconds, memory in bytes) of each opening."""

    size: int
    folder: Path
    ids: list[str]
    project: str
    openings: list[tuple[float, int]]


class SizedRound(NamedTuple):
    """The timings of one store in one round; `first` and `far` are pages of its list."""

    read: Timing
    update: Timing
    first: Timing
    far: Timing


def measure_sizes(folder: Path, sizes: Sequence[int], rounds: int, seconds: float) -> str:
    """Return a table of stores that differ only in the number of influencers."""
    stores = []
    for size in sizes:
        store_folder = folder / f"sized-{size}"
        sample = in_child(populate, store_folder, size)
        openings = [in_child(_time_opening, store_folder) for _ in range(_OPENINGS)]
        stores.append(SizedStore(size, store_folder, sample.influencers, sample.project, openings))
    timings = in_child(_time_sizes, stores, rounds, seconds)
    return markdown(_SIZES_HEAD, [_row(sized, ours, timings[0]) for sized, ours in zip(stores, timings, strict=True)])


def _time_opening(folder: Path) -> tuple[float, int]:
    """Open a store; return the seconds this takes, and the bytes by which it grows the memory of this process."""
    before, started = resident_bytes(getpid()), time.perf_counter()
    db = open_engine(folder)
    seconds = time.perf_counter() - started
    growth = resident_bytes(getpid()) - before
    db.close()
    return seconds, growth


def _time_sizes(stores: Sequence[SizedStore], rounds: int, seconds: float) -> list[list[SizedRound]]:
    """Return the timings of each store by round, without a first round that warms up."""
    opened = [(open_engine(sized.folder), sized) for sized in stores]
    operations_of_each = [_operations(db, sized) for db, sized in opened]
    timings: list[list[SizedRound]] = [[] for _ in stores]
    for number_of_round in range(-1, rounds):
        turns = list(enumerate(operations_of_each))
        for index, operations in turns if number_of_round % 2 else turns[::-1]:
            timings[index].append(SizedRound(*(time_operation(operation, seconds) for operation in operations)))
    for db, _ in opened:
        db.close()
    return [each[1:] for each in timings]


def _operations(db: Engine, sized: SizedStore) -> list[Callable[[], object]]:
    """Return the operations that a SizedRound has timings of, in the order of its fields."""
    store, opened = Store(db), store_on(db.table("influencers", ORGANIZATION))
    page = min(FAR_PAGE, sized.size // PAGE_SIZE)
    before = db.scan("influencers", ORGANIZATION, sized.project + OK, limit=(page - 1) * PAGE_SIZE)[-1]
    cursor = write_cursor(before, ORGANIZATION, "influencers", sized.project, None)
    first, far = {"limit": PAGE_SIZE}, {"limit": PAGE_SIZE, "cursor": cursor}
    return [
        lambda: opened.get(choice(sized.ids)),
        lambda: opened.increment(choice(sized.ids)),
        lambda: store.for_organization(ORGANIZATION).page_of_influencers(sized.project, first),
        lambda: store.for_organization(ORGANIZATION).page_of_influencers(sized.project, far),
    ]


def _row(sized: SizedStore, ours: list[SizedRound], smallest: list[SizedRound]) -> list[str]:
    times = [spread([getattr(each, name).wall_ms for each in ours], " ms") for name in SizedRound._fields]
    far = [each.far.wall_ms / each.first.wall_ms for each in ours]
    pairs = list(zip(ours, smallest, strict=True))
    ratios = [
        [getattr(our, name).cpu_ms / getattr(its, name).cpu_ms for our, its in pairs] for name in ("read", "update")
    ]
    opened, growth = zip(*sized.openings, strict=True)
    return [f"{sized.size:,}", spread(opened, " s"), megabytes(max(growth)), *times, spread(far), *map(spread, ratios)]
