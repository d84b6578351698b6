"""Load the stand-in and a bare Flask view in turn, and print how they compare, as Markdown.

    python benchmarks/http.py --sizes 1000,100000,1000000 --rounds 5 --seconds 3

Both run under gunicorn with the settings of gunicorn.conf.py; the stand-in with all that is on by default. The bare
view answers the very bytes the stand-in answered. Each round loads one and then the other, in changing order, and the
ratio is taken within the round, so that what else the machine does hits both.

A kept-alive connection stays with the worker that accepted it, and now and then one worker accepts them all: then half
of the server is idle, and the result says nothing about the code. Such a run is thrown away and repeated, for both
servers alike, and counted below the table. (Seen on Linux only; elsewhere the medians must do.)
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

# Not this folder: http.py and store.py in it have the names of modules that are imported from elsewhere.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.children import in_child
from benchmarks.documents import Sample, populate
from benchmarks.load import CONNECTIONS, Failed, Round, check_wrk, run, write_script
from benchmarks.machine import describe, resident_bytes
from benchmarks.servers import NoAnswer, Server, ask, bare, plain_settings, stand_in
from benchmarks.tables import markdown, megabytes, number, row, spread
from engines.journal import Journal
from records.tables import LISTS

OPERATIONS = {"GET": "GET influencer", "PATCH": "PATCH influencer", "POST": "POST reference-images"}
STARTS = 5
OPENINGS = 3
MOST_REPEATS = 10
SETTLE_SECONDS = 1  # the first answer comes from the first worker; the others are still starting

Load = Callable[[str], Round]  # the URL of a server → what became of the load on it

_WHOAMI = "/v1/whoami"
_PATCH = b'{"vibe":"calm and curious, take 000000000","personality":{"tone":"friendly 000000000"}}'


_HEAD = (
    "operation",
    "influencers",
    "stand-in",
    "p50",
    "p99",
    "bare view",
    "p50",
    "p99",
    "of the bare view",
)

_HELD_HEAD = ("influencers", "opened in", "memory of each worker", "of gunicorn itself")


class Options(NamedTuple):
    sizes: list[int]
    rounds: int
    seconds: int


class Pair(NamedTuple):
    """One round: the same load on both."""

    ours: Round
    floor: Round

    @property
    def ratio(self) -> float:
        return self.ours.per_second / self.floor.per_second


class Held(NamedTuple):
    """What a store of one size costs to have open."""

    size: str
    open_seconds: float | None
    worker_bytes: list[int]
    arbiter_bytes: int


def main() -> None:
    options = _options()
    check_wrk()
    for number_of_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_of_signal, lambda *_: sys.exit("Stopped."))  # so that every server is stopped too
    try:
        _measure(options)
    except (Failed, NoAnswer) as error:
        sys.exit(str(error))


def _measure(options: Options) -> None:
    """Measure everything, and print it as it comes."""
    with tempfile.TemporaryDirectory(prefix="standin-") as name:
        folder = Path(name)
        _print_head(folder, options)
        held = [_measure_demo_seed(folder)]
        print(markdown(_HEAD, ()), flush=True)
        pairs: list[Pair] = []
        for size in options.sizes:
            held.append(_measure_size(folder / str(size), size, options, pairs))
        print(f"\n{_repeats(pairs)}\n\n{markdown(_HELD_HEAD, map(_held_row, held))}")


def _options() -> Options:
    parser = argparse.ArgumentParser(description="Load the stand-in and a bare Flask view in turn.")
    parser.add_argument("--sizes", default="1000,100000,1000000", help="numbers of influencers (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each number (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of load in each round, on each server (%(default)s)")
    given = parser.parse_args()
    return Options([int(size) for size in given.sizes.split(",")], max(1, given.rounds), max(1, given.seconds))


def _print_head(folder: Path, options: Options) -> None:
    settings = ", ".join(f"{name} {value}" for name, value in plain_settings().items())
    print(f"Machine: {describe(folder)}.")
    print(f"gunicorn: {settings}. Load: wrk, {CONNECTIONS} connections kept alive, random influencers,", end=" ")
    print(f"median of {options.rounds} rounds of {options.seconds} s.\n")


# Starting


def _measure_demo_seed(folder: Path) -> Held:
    """Start on an empty folder a few times, print how long it took, and return what the last one held."""
    seconds = []
    for number_of_start in range(STARTS):
        with stand_in(folder / f"start-{number_of_start}", _WHOAMI) as server:
            seconds.append(server.seconds_to_answer)
            time.sleep(SETTLE_SECONDS)
            held = _held(server, "demo seed", None)
    print(f"First answer after `gunicorn app:app` on an empty folder: {spread(seconds, ' s')} of {STARTS} starts.\n")
    return held


def _held(server: Server, size: str, open_seconds: float | None) -> Held:
    return Held(size, open_seconds, server.worker_bytes(), resident_bytes(server.pid))


def time_opening(data: Path) -> float:
    """Return the seconds it takes to open a store, in this process."""
    started = time.perf_counter()
    journal = Journal(data, lists=LISTS)
    seconds = time.perf_counter() - started
    journal.close()
    return seconds


# Loading


def _measure_size(folder: Path, size: int, options: Options, done: list[Pair]) -> Held:
    """Print a line for each operation, add its rounds to `done`, and return what the store of that size held."""
    sample = in_child(populate, folder / "data", size)
    open_seconds = median(in_child(time_opening, folder / "data") for _ in range(OPENINGS))
    script = write_script(folder, sample)
    with ExitStack() as running:
        ours = running.enter_context(stand_in(folder, _WHOAMI, seed="none"))
        floor = running.enter_context(bare(_take_bodies(folder / "bare", ours, sample), _path(sample)))
        for method, name in OPERATIONS.items():
            load = partial(run, script, method, options.seconds)
            pairs = list(_rounds(load, ours, floor, options.rounds))
            _print_line(name, size, pairs)
            done += pairs
        return _held(ours, f"{size:,}", open_seconds)


def _rounds(load: Load, ours: Server, floor: Server, rounds: int) -> Iterator[Pair]:
    """Load both in turn, the one that goes first changing, after one round to warm up."""
    _even(load, ours), _even(load, floor)
    for number_of_round in range(rounds):
        both = (ours, floor) if number_of_round % 2 else (floor, ours)
        seen = {server: _even(load, server) for server in both}
        yield Pair(seen[ours], seen[floor])


def _even(load: Load, server: Server) -> Round:
    """Load a server until a run has kept all of its workers busy."""
    for repeats in range(MOST_REPEATS):
        before = server.worker_ticks()
        seen = load(server.url)
        ticks = [after - start for after, start in zip(server.worker_ticks(), before, strict=True)]
        if not ticks or min(ticks) > sum(ticks) * 0.05:
            return seen._replace(repeats=repeats)
    return seen._replace(repeats=MOST_REPEATS)


def _path(sample: Sample) -> str:
    return f"/v1/influencers/{sample.influencers[0][0]}"


def _take_bodies(folder: Path, server: Server, sample: Sample) -> Path:
    """Ask the stand-in once for everything, and leave its answers in `folder` for the bare view to give."""
    folder.mkdir()
    path, project = _path(sample), sample.influencers[0][1]
    (folder / "GET.json").write_bytes(ask(server.port, "GET", path))
    (folder / "PATCH.json").write_bytes(ask(server.port, "PATCH", path, _PATCH))
    for asset in sample.assets[project][:3]:
        body = b'{"assetIds":["%b"]}' % asset.encode()
        (folder / "POST.json").write_bytes(ask(server.port, "POST", f"{path}/reference-images", body))
    return folder


# Printing


def _print_line(name: str, size: int, pairs: list[Pair]) -> None:
    ours, floor = _cells([pair.ours for pair in pairs]), _cells([pair.floor for pair in pairs])
    print(row((name, f"{size:,}", *ours, *floor, spread([pair.ratio * 100 for pair in pairs], " %"))), flush=True)


def _cells(rounds: list[Round]) -> list[str]:
    p50, p99 = median(each.p50 for each in rounds), median(each.p99 for each in rounds)
    return [f"{spread([each.per_second for each in rounds])} /s", f"{number(p50)} ms", f"{number(p99)} ms"]


def _repeats(pairs: list[Pair]) -> str:
    ours, floor = sum(pair.ours.repeats for pair in pairs), sum(pair.floor.repeats for pair in pairs)
    return f"Repeated because one worker had accepted every connection: stand-in {ours} runs, bare view {floor} runs."


def _held_row(held: Held) -> list[str]:
    opened = "" if held.open_seconds is None else f"{number(held.open_seconds)} s"
    workers = ", ".join(megabytes(size) for size in held.worker_bytes)
    return [held.size, opened, workers, megabytes(held.arbiter_bytes)]


if __name__ == "__main__":
    main()
