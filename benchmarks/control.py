"""The cost of the control plane: the time of a snapshot, a reset and a restore, and of the request log."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

from benchmarks.children import in_child
from benchmarks.documents import populate
from benchmarks.influencers import OPERATIONS, ServedStore
from benchmarks.rounds import Bench, Side
from benchmarks.servers import Server, fetch, stand_in
from benchmarks.tables import at_most, spread

SIZE = 1000

_MAX_MS = 20
_COMMANDS = {
    "save a snapshot": ("/_standin/snapshots", {"name": "full"}),
    "reset to the seed": ("/_standin/reset", {"to": "seed"}),
    "restore the snapshot": ("/_standin/snapshots/full/restore", {}),
}


def measure_commands(bench: Bench) -> list[list[str]]:
    """Return rows on the time to save a store of SIZE influencers as a snapshot, to reset and to restore it."""
    with _populated(bench, "commanded") as store:
        times = [_time_each(store.server) for _ in range(-1, bench.rounds)][1:]
    rows = []
    for title in _COMMANDS:
        taken = [each[title] for each in times]
        target = "" if title.startswith("save") else at_most("ms", median(taken), _MAX_MS)
        rows.append([f"{title}, {SIZE:,} influencers", spread(taken, " ms"), target])
    return rows


def _time_each(server: Server) -> dict[str, float]:
    return {title: _milliseconds(partial(_post, server, *command)) for title, command in _COMMANDS.items()}


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def compare_logging(bench: Bench) -> None:
    """Measure a read and a change with the request log on, beside a stand-in without a request log."""
    with _populated(bench, "logged") as logged, _populated(bench, "unlogged") as unlogged:
        fetch(unlogged.server.port, "PUT", "/_standin/requests", b'{"enabled":false}')
        for name in ("get", "patch"):
            operation = OPERATIONS[name]
            ours, other = (
                Side(each.server, bench.generator(operation.workload(each.sample))) for each in (logged, unlogged)
            )
            bench.compare(operation.title, f"{SIZE:,}", ours, "without the log", other)


@contextmanager
def _populated(bench: Bench, name: str) -> Iterator[ServedStore]:
    folder = bench.folder / name
    sample = in_child(populate, folder / "data", SIZE)
    with stand_in(folder, "/v1/whoami") as server:
        yield ServedStore(server, sample, SIZE)


def _post(server: Server, path: str, body: object) -> None:
    fetch(server.port, "POST", path, json.dumps(body).encode())
