"""One thread's reads and updates: in three kinds of store, and in stores of several sizes."""

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
from benchmarks.kinds import BARE, OURS, TINYDB, Kind, Opened, of_table
from benchmarks.machine import resident_bytes
from benchmarks.tables import markdown, megabytes, spread
from layers_standin.domain.cursors import write_cursor
from layers_standin.domain.tables import OK
from layers_standin.engines.table import Engine
from store import Store

PAGE_SIZE, FAR_PAGE = 25, 10_000
_OPENINGS = 5

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


class Took(NamedTuple):
    """What one operation took, in milliseconds: by the clock, and of the processor."""

    wall: float
    cpu: float


def measure_beside(folder: Path, size: int, tinydb_sizes: Sequence[int], rounds: int, seconds: float) -> str:
    """Return a table of reads and updates in each kind of store."""
    told = [(BARE, size), (OURS, size), *((TINYDB, each) for each in tinydb_sizes)]
    filled: list[tuple[Kind, Path, list[Any]]] = []
    for kind, count in told:
        place = folder / f"beside-{len(filled)}"
        filled.append((kind, place, in_child(kind.fill, place, count)))
    taken = in_child(_rounds_of, filled, rounds, seconds)
    rows = []
    for (kind, count), ours in zip(told, taken, strict=True):
        ratios = [_ratios(ours, taken[0], which, by) for which in (0, 1) for by in (0, 1)] if kind is not BARE else []
        cells = [spread([each[which][by] for each in ours], " ms") for which in (0, 1) for by in (0, 1)]
        rows.append((kind.name, f"{count:,}", *cells, *(spread(each) for each in ratios), *[""] * (4 - len(ratios))))
    return markdown(_BESIDE_HEAD, rows)


def _rounds_of(
    filled: Sequence[tuple[Kind, Path, list[Any]]], rounds: int, seconds: float
) -> list[list[tuple[Took, Took]]]:
    """Return (read, update) of each store by round, after a round to warm up."""
    with ExitStack() as stack:
        opened = [(stack.enter_context(kind.opened(place)), ids) for kind, place, ids in filled]
        taken: list[list[tuple[Took, Took]]] = [[] for _ in opened]
        for number_of_round in range(-1, rounds):
            turns = list(enumerate(opened))
            for at, (store, ids) in turns if number_of_round % 2 else turns[::-1]:
                taken[at].append(_of_store(store, ids, seconds))
        return [each[1:] for each in taken]


def _of_store(store: Opened, ids: list[Any], seconds: float) -> tuple[Took, Took]:
    return took(lambda: store.get(choice(ids)), seconds), took(lambda: store.count_up(choice(ids)), seconds)


def took(operation: Callable[[], object], seconds: float) -> Took:
    """Repeat an operation, and return what one took on average; it is done once at least."""
    done, cpu, started = 0, time.process_time(), time.perf_counter()
    while not done or time.perf_counter() < started + seconds:
        operation()
        done += 1
    wall = time.perf_counter() - started
    return Took(wall / done * 1000, (time.process_time() - cpu) / done * 1000)


def _ratios(ours: list[tuple[Took, Took]], other: list[tuple[Took, Took]], which: int, by: int) -> list[float]:
    return [mine[which][by] / its[which][by] for mine, its in zip(ours, other, strict=True)]


# Sizes


class Sized(NamedTuple):
    """A store of one size: its folder, some of its ids, its project, and what opening it took."""

    size: int
    place: Path
    ids: list[str]
    project: str
    openings: list[tuple[float, int]]


class Round(NamedTuple):
    """What was measured of one store in one round."""

    read: Took
    update: Took
    first: Took
    far: Took


def measure_sizes(folder: Path, sizes: Sequence[int], rounds: int, seconds: float) -> str:
    """Return a table of stores that differ in nothing but the number of influencers."""
    stores = []
    for size in sizes:
        place = folder / f"sized-{size}"
        sample = in_child(populate, place, size)
        openings = [in_child(_time_opening, place) for _ in range(_OPENINGS)]
        stores.append(Sized(size, place, sample.influencers, sample.project, openings))
    taken = in_child(_rounds_by_size, stores, rounds, seconds)
    return markdown(_SIZES_HEAD, [_row(sized, ours, taken[0]) for sized, ours in zip(stores, taken, strict=True)])


def _time_opening(place: Path) -> tuple[float, int]:
    """Return the seconds until a store is open and the bytes by which this process has grown by then."""
    before, started = resident_bytes(getpid()), time.perf_counter()
    db = open_engine(place)
    seconds = time.perf_counter() - started
    grew = resident_bytes(getpid()) - before
    db.close()
    return seconds, grew


def _rounds_by_size(stores: Sequence[Sized], rounds: int, seconds: float) -> list[list[Round]]:
    """Return the rounds of each store, after a round to warm up."""
    opened = [(open_engine(sized.place), sized) for sized in stores]
    asked = [_operations(db, sized) for db, sized in opened]
    taken: list[list[Round]] = [[] for _ in stores]
    for number_of_round in range(-1, rounds):
        turns = list(enumerate(asked))
        for at, operations in turns if number_of_round % 2 else turns[::-1]:
            taken[at].append(Round(*(took(operation, seconds) for operation in operations)))
    for db, _ in opened:
        db.close()
    return [each[1:] for each in taken]


def _operations(db: Engine, sized: Sized) -> list[Callable[[], object]]:
    """Return what a Round measures, in its order."""
    store, opened = Store(db), of_table(db.table("influencers", ORGANIZATION))
    page = min(FAR_PAGE, sized.size // PAGE_SIZE)
    before = db.scan("influencers", ORGANIZATION, sized.project + OK, limit=(page - 1) * PAGE_SIZE)[-1]
    cursor = write_cursor(before, ORGANIZATION, "influencers", sized.project, None)
    first, far = {"limit": PAGE_SIZE}, {"limit": PAGE_SIZE, "cursor": cursor}
    return [
        lambda: opened.get(choice(sized.ids)),
        lambda: opened.count_up(choice(sized.ids)),
        lambda: store.for_organization(ORGANIZATION).page_of_influencers(sized.project, first),
        lambda: store.for_organization(ORGANIZATION).page_of_influencers(sized.project, far),
    ]


def _row(sized: Sized, ours: list[Round], smallest: list[Round]) -> list[str]:
    times = [spread([getattr(each, name).wall for each in ours], " ms") for name in Round._fields]
    far = [each.far.wall / each.first.wall for each in ours]
    pairs = list(zip(ours, smallest, strict=True))
    ratios = [[getattr(our, name).cpu / getattr(its, name).cpu for our, its in pairs] for name in ("read", "update")]
    opened, grew = zip(*sized.openings, strict=True)
    return [f"{sized.size:,}", spread(opened, " s"), megabytes(max(grew)), *times, spread(far), *map(spread, ratios)]
