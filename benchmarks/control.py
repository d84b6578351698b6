"""What it takes to command the stand-in: seconds of a reset, and what the request log takes from every request."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.children import in_child
from benchmarks.documents import populate
from benchmarks.influencers import OPERATIONS, Filled
from benchmarks.rounds import Bench, Side
from benchmarks.servers import Server, ask, stand_in
from benchmarks.tables import markdown, spread

SIZE = 1000

_HEAD = ("command", "influencers", "took")
_COMMANDS = {
    "keep a snapshot": ("/_standin/snapshots", {"name": "full"}),
    "reset to the seed": ("/_standin/reset", {"to": "seed"}),
    "restore the snapshot": ("/_standin/snapshots/full/restore", {}),
}


def measure_commands(bench: Bench, rounds: int) -> str:
    """Return a table of how long it takes to keep a store, to reset it and to get it back."""
    with _filled(bench, "commanded") as store:
        took = [_time_each(store.server) for _ in range(-1, rounds)][1:]
    rows = [(title, f"{SIZE:,}", spread([round[title] for round in took], " ms")) for title in _COMMANDS]
    return markdown(_HEAD, rows)


def _time_each(server: Server) -> dict[str, float]:
    return {title: _milliseconds(partial(_post, server, *asked)) for title, asked in _COMMANDS.items()}


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def compare_logging(bench: Bench) -> None:
    """Measure what is asked most with the request log on, beside a stand-in that keeps none."""
    with _filled(bench, "logged") as logged, _filled(bench, "unlogged") as unlogged:
        ask(unlogged.server.port, "PUT", "/_standin/requests", b'{"enabled":false}')
        for name in ("get", "patch"):
            operation = OPERATIONS[name]
            ours, other = (Side(each.server, bench.load(operation.asked(each.sample))) for each in (logged, unlogged))
            bench.compare(operation.title, f"{SIZE:,}", ours, "without the log", other)


@contextmanager
def _filled(bench: Bench, name: str) -> Iterator[Filled]:
    folder = bench.folder / name
    sample = in_child(populate, folder / "data", SIZE)
    with stand_in(folder, "/v1/whoami") as server:
        yield Filled(server, sample, SIZE)


def _post(server: Server, path: str, body: object) -> None:
    ask(server.port, "POST", path, json.dumps(body).encode())
