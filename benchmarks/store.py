"""Measure the journal beside TinyDB's own JSONStorage, as Markdown: the same operations through the same Table methods.

    python benchmarks/store.py --sizes 1000,100000,1000000 --tinydb-sizes 100,1000,10000 --seconds 3

A commit is `update(fn, doc_ids=[...])` of one random document, counting one up in it; both storages sync it. With
several writers the counts are added up at the end: what was answered and is not in them is lost.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from os import getpid
from pathlib import Path
from random import choice
from typing import Any, NamedTuple

# Not this folder: http.py and store.py in it have the names of modules that are imported from elsewhere.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tinydb import TinyDB
from tinydb.table import Table

from benchmarks.children import in_child
from benchmarks.documents import ORGANIZATION, influencer, populate
from benchmarks.machine import describe, resident_bytes
from benchmarks.tables import markdown, megabytes, number, percentile, row
from records.ids import mint
from start import journal_in

PROCESSES, THREADS = 2, 4

_HEAD = (
    "documents",
    "opened in",
    "memory",
    "get p50",
    "p99",
    "commit p50",
    "p99",
    f"{PROCESSES * THREADS} writers",
    "p50",
    "p99",
    "failed",
    "lost",
    "compacted in",
)


class Kind(NamedTuple):
    """A storage: how to fill a folder (returns some ids), open a table in it, and compact it, if that is a thing."""

    name: str
    fill: Callable[[Path, int], list[Any]]
    opened: Callable[[Path], Any]
    compact: Callable[[Path], float] | None


class Alone(NamedTuple):
    """One thread's experience; all in seconds but the memory."""

    opening: float
    memory_bytes: int
    gets: list[float]
    commits: list[float]


class Together(NamedTuple):
    """What the threads of one process, or of all of them, went through."""

    commits: list[float]
    failed: int


def fill_journal(folder: Path, count: int) -> list[str]:
    return populate(folder, count).influencers


@contextmanager
def journal_table(folder: Path) -> Iterator[Table]:
    journal = journal_in(folder)
    try:
        yield journal.table("influencers", ORGANIZATION)
    finally:
        journal.close()


def compact_journal(folder: Path) -> float:
    """Return the seconds it takes, without opening the journal first."""
    journal = journal_in(folder)
    started = time.perf_counter()
    journal.compact()
    return time.perf_counter() - started


def fill_tinydb(folder: Path, count: int) -> list[int]:
    folder.mkdir()
    with tinydb_table(folder) as table:
        table.insert_multiple(influencer(mint("inf"), mint("proj")) for _ in range(count))
    return list(range(1, count + 1))


@contextmanager
def tinydb_table(folder: Path) -> Iterator[Table]:
    with TinyDB(folder / "tinydb.json") as db:
        yield db.table("influencers")


JOURNAL = Kind("The journal", fill_journal, journal_table, compact_journal)
TINYDB = Kind("TinyDB's JSONStorage", fill_tinydb, tinydb_table, None)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the journal beside TinyDB's own JSONStorage.")
    parser.add_argument("--sizes", default="1000,100000,1000000", help="documents in the journal (%(default)s)")
    parser.add_argument("--tinydb-sizes", default="100,1000,10000", help="documents in TinyDB's file (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="spent on each kind of operation (%(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="standin-") as name:
        print(f"Machine: {describe(Path(name))}.")
        for kind, sizes in ((JOURNAL, given.sizes), (TINYDB, given.tinydb_sizes)):
            print(f"\n{kind.name}:\n\n{markdown(_HEAD, ())}", flush=True)
            for size in sizes.split(","):
                folder = Path(name, f"{kind.opened.__name__}-{size}")
                print(markdown_line(kind, folder, int(size), given.seconds), flush=True)


def markdown_line(kind: Kind, folder: Path, count: int, seconds: float) -> str:
    """Fill a folder, measure everything in processes of their own, and return a line of the table."""
    ids = in_child(kind.fill, folder, count)
    alone = in_child(measure_alone, kind, folder, ids, seconds)
    before = in_child(total, kind, folder, ids)
    together = _measure_together(kind, folder, ids, seconds)
    lost = _lost(kind, folder, ids, before + len(together.commits))
    compaction = "" if kind.compact is None else f"{number(in_child(kind.compact, folder))} s"
    return row((f"{count:,}", *_alone_cells(alone), *_together_cells(together, seconds), lost, compaction))


# Alone


def measure_alone(kind: Kind, folder: Path, ids: list[Any], seconds: float) -> Alone:
    """Open, read and commit in one thread; opened when one document has been read, for TinyDB reads nothing before."""
    before = resident_bytes(getpid())
    started = time.perf_counter()
    with kind.opened(folder) as table:
        table.get(doc_id=ids[0])
        opening = time.perf_counter() - started
        memory = resident_bytes(getpid()) - before
        gets = _durations(lambda: table.get(doc_id=choice(ids)), seconds)
        commits = _durations(lambda: count_up(table, choice(ids)), seconds)
    return Alone(opening, memory, gets, commits)


def count_up(table: Table, doc_id: Any) -> None:
    table.update(_add_one, doc_ids=[doc_id])


def _add_one(document: Any) -> None:
    document["attributes"]["count"] = document["attributes"].get("count", 0) + 1


def _durations(operation: Callable[[], object], seconds: float) -> list[float]:
    """Repeat an operation, and return how long each took; one at least."""
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while not durations or time.perf_counter() < end:
        started = time.perf_counter()
        operation()
        durations.append(time.perf_counter() - started)
    return durations


# Together


def _measure_together(kind: Kind, folder: Path, ids: list[Any], seconds: float) -> Together:
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        return _sum(pool.map(partial(write_in_threads, kind, folder, ids), [seconds] * PROCESSES))


def write_in_threads(kind: Kind, folder: Path, ids: list[Any], seconds: float) -> Together:
    """Commit in several threads through one open table."""
    with kind.opened(folder) as table, ThreadPoolExecutor(THREADS) as pool:
        return _sum(pool.map(partial(_write, table, ids), [seconds] * THREADS))


def _write(table: Table, ids: list[Any], seconds: float) -> Together:
    done, failed = Together([], 0), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        try:
            done.commits.extend(_durations(lambda: count_up(table, choice(ids)), 0))
        except Exception:  # noqa: BLE001  # whatever comes of a file that two write at once
            failed += 1
    return done._replace(failed=failed)


def _sum(parts: Iterable[Together]) -> Together:
    all_parts = list(parts)
    return Together([took for part in all_parts for took in part.commits], sum(part.failed for part in all_parts))


def total(kind: Kind, folder: Path, ids: list[Any]) -> int:
    """Return what all documents have been counted up to."""
    with kind.opened(folder) as table:
        if len(ids) == len(table):  # TinyDB reads its whole file for each get
            return sum(document["attributes"].get("count", 0) for document in table)
        return sum(table.get(doc_id=doc_id)["attributes"].get("count", 0) for doc_id in ids)


def _lost(kind: Kind, folder: Path, ids: list[Any], expected: int) -> str:
    try:
        return f"{expected - in_child(total, kind, folder, ids):,}"
    except Exception:  # noqa: BLE001  # as above
        return "all: the file cannot be read"


# Printing


def _alone_cells(alone: Alone) -> list[str]:
    times = (*_percentiles(alone.gets), *_percentiles(alone.commits))
    return [f"{number(alone.opening)} s", megabytes(alone.memory_bytes), *times]


def _together_cells(together: Together, seconds: float) -> list[str]:
    per_second = f"{number(len(together.commits) / seconds)} /s"
    return [per_second, *_percentiles(together.commits), f"{together.failed:,}"]


def _percentiles(durations: list[float]) -> list[str]:
    """Return p50 and p99; blanks when nothing went well."""
    return [f"{number(percentile(durations, each) * 1000)} ms" if durations else "" for each in (50, 99)]


if __name__ == "__main__":
    main()
