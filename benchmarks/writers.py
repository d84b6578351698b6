"""Several threads of several processes write to one store: their speed, and the number of lost updates."""

import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import choice
from typing import Any, NamedTuple

from benchmarks.children import in_child
from benchmarks.kinds import OURS, TINYDB, OpenStore, StoreKind
from benchmarks.tables import markdown, number, percentile

PROCESSES, THREADS = 2, 4

_HEAD = ("", "influencers", f"{PROCESSES * THREADS} writers", "p50", "p99", "failed", "lost")


class WriteResult(NamedTuple):
    """The updates of one thread or of several: the seconds of each that succeeded, and the number that failed."""

    updates: list[float]
    failed: int


def measure_writers(folder: Path, size: int, tinydb_size: int, seconds: float) -> str:
    """Return a table of the update rate, latencies, failures and lost updates of the stand-in and of TinyDB.

    `size` and `tinydb_size` are the numbers of influencers. An update that succeeded and is missing from the sum of all
    counters at the end is lost.
    """
    stores = {"ours": (OURS, size), "tinydb": (TINYDB, tinydb_size)}
    return markdown(_HEAD, [_row(*each, folder / f"writers-{name}", seconds) for name, each in stores.items()])


def _row(kind: StoreKind, size: int, folder: Path, seconds: float) -> list[str]:
    ids = in_child(kind.fill, folder, size)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        written = _sum(pool.map(partial(write_in_threads, kind, folder, ids), [seconds] * PROCESSES))
    rate = f"{number(len(written.updates) / seconds)} /s"
    times = [f"{number(percentile(written.updates, each) * 1000)} ms" if written.updates else "" for each in (50, 99)]
    return [kind.name, f"{size:,}", rate, *times, f"{written.failed:,}", _lost(kind, folder, ids, len(written.updates))]


def write_in_threads(kind: StoreKind, folder: Path, ids: list[Any], seconds: float) -> WriteResult:
    """Update random documents from THREADS threads through one open store, for `seconds`."""
    with kind.open(folder) as store, ThreadPoolExecutor(THREADS) as pool:
        return _sum(pool.map(partial(_write, store, ids), [seconds] * THREADS))


def _write(store: OpenStore, ids: list[Any], seconds: float) -> WriteResult:
    updates, failed = list[float](), 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        try:
            store.increment(choice(ids))
            updates.append(time.perf_counter() - started)
        except Exception:  # noqa: BLE001  # any error can come of a file that two write at once
            failed += 1
    return WriteResult(updates, failed)


def _sum(parts: Iterable[WriteResult]) -> WriteResult:
    all_parts = list(parts)
    return WriteResult(
        [seconds for part in all_parts for seconds in part.updates], sum(part.failed for part in all_parts)
    )


def sum_of_counters(kind: StoreKind, folder: Path, ids: list[Any]) -> int:
    """Return the sum of the counters of these documents."""
    with kind.open(folder) as store:
        return sum(store.get(doc_id)["attributes"].get("count", 0) for doc_id in ids)


def _lost(kind: StoreKind, folder: Path, ids: list[Any], expected: int) -> str:
    try:
        return f"{expected - in_child(sum_of_counters, kind, folder, ids):,}"
    except Exception:  # noqa: BLE001  # as above
        return "all: the file cannot be read"
