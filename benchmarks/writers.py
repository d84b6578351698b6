"""Several threads of several processes that write to one store: how fast, and what gets lost."""

import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import choice
from typing import Any, NamedTuple

from benchmarks.children import in_child
from benchmarks.kinds import OURS, TINYDB, Kind, Opened
from benchmarks.tables import markdown, number, percentile

PROCESSES, THREADS = 2, 4

_HEAD = ("", "influencers", f"{PROCESSES * THREADS} writers", "p50", "p99", "failed", "lost")


class Written(NamedTuple):
    """What the threads of one process, or of all of them, went through; in seconds."""

    updates: list[float]
    failed: int


def measure_writers(folder: Path, size: int, tinydb_size: int, seconds: float) -> str:
    """Return a table; the counts are added up at the end: what was answered and is not in them is lost."""
    sized = {"ours": (OURS, size), "tinydb": (TINYDB, tinydb_size)}
    return markdown(_HEAD, [_row(*each, folder / f"writers-{name}", seconds) for name, each in sized.items()])


def _row(kind: Kind, size: int, folder: Path, seconds: float) -> list[str]:
    ids = in_child(kind.fill, folder, size)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        written = _sum(pool.map(partial(write_in_threads, kind, folder, ids), [seconds] * PROCESSES))
    rate = f"{number(len(written.updates) / seconds)} /s"
    times = [f"{number(percentile(written.updates, each) * 1000)} ms" if written.updates else "" for each in (50, 99)]
    return [kind.name, f"{size:,}", rate, *times, f"{written.failed:,}", _lost(kind, folder, ids, len(written.updates))]


def write_in_threads(kind: Kind, folder: Path, ids: list[Any], seconds: float) -> Written:
    """Update in several threads through one open store."""
    with kind.opened(folder) as store, ThreadPoolExecutor(THREADS) as pool:
        return _sum(pool.map(partial(_write, store, ids), [seconds] * THREADS))


def _write(store: Opened, ids: list[Any], seconds: float) -> Written:
    updates, failed = list[float](), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        try:
            store.count_up(choice(ids))
            updates.append(time.perf_counter() - started)
        except Exception:  # noqa: BLE001  # whatever comes of a file that two write at once
            failed += 1
    return Written(updates, failed)


def _sum(parts: Iterable[Written]) -> Written:
    all_parts = list(parts)
    return Written([took for part in all_parts for took in part.updates], sum(part.failed for part in all_parts))


def total(kind: Kind, folder: Path, ids: list[Any]) -> int:
    """Return what all documents have been counted up to."""
    with kind.opened(folder) as store:
        return sum(store.get(doc_id)["attributes"].get("count", 0) for doc_id in ids)


def _lost(kind: Kind, folder: Path, ids: list[Any], expected: int) -> str:
    try:
        return f"{expected - in_child(total, kind, folder, ids):,}"
    except Exception:  # noqa: BLE001  # as above
        return "all: the file cannot be read"
