"""Load the stand-in and something that does less in turn, and print how they compare, as Markdown.

    python benchmarks/http.py --sizes 1000,100000,1000000 --rounds 5 --seconds 3
    python benchmarks/http.py --sizes 1000000 --only list,page
    python benchmarks/http.py --sizes 1000,1000000 --only sizes
    python benchmarks/http.py --postgres --only get,patch,page,hosts

Both run under gunicorn with the settings of gunicorn.conf.py; the stand-in with all that is on by default, or with
--postgres on a PostgreSQL server that is started for it on the same machine, and keeps its own defaults. The bare view
is Flask's own and answers the very bytes the stand-in answered. Each round loads one and then the other, in changing
order, and the ratio is taken within the round, so that what else the machine does hits both.

A kept-alive connection stays with the worker that accepted it, and now and then one worker accepts them all: then half
of the server is idle, and the result says nothing about the code. Such a run is thrown away and repeated, for both
servers alike, and counted below the table. (Seen on Linux only; elsewhere the medians must do.)
"""

import argparse
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

# Not this folder: http.py and store.py in it have the names of modules that are imported from elsewhere.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.children import in_child
from benchmarks.control import compare_logging, measure_commands
from benchmarks.databases import Place, new_database, open_engine, server
from benchmarks.documents import Sample, populate
from benchmarks.hosts import compare_hosts
from benchmarks.influencers import OPERATIONS, Filled, compare_pages, compare_with_bare
from benchmarks.load import CONNECTIONS, Failed, check_wrk
from benchmarks.machine import describe, resident_bytes
from benchmarks.pictures import compare_thumbnail, measure_uploads
from benchmarks.rounds import HEAD, Bench, Side
from benchmarks.servers import NoAnswer, Server, plain_settings, stand_in
from benchmarks.tables import markdown, megabytes, number, spread

SIZED = (*OPERATIONS, "page")  # what is measured at each size
PARTS = ("start", *SIZED, "sizes", "hosts", "log", "thumbnail", "upload", "control")
STARTS = 5
OPENINGS = 3
SETTLE_SECONDS = 1  # the first answer comes from the first worker; the others are still starting

_WHOAMI = "/v1/whoami"
_HELD_HEAD = ("influencers", "opened in", "memory of each worker", "of gunicorn itself")


class Options(NamedTuple):
    sizes: list[int]
    rounds: int
    seconds: int
    parts: list[str]
    has_database: bool


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
        with tempfile.TemporaryDirectory(prefix="standin-") as name:
            _measure(Bench(Path(name), options.rounds, options.seconds), options)
    except (Failed, NoAnswer) as error:
        sys.exit(str(error))


def _options() -> Options:
    parser = argparse.ArgumentParser(description="Load the stand-in and something that does less in turn.")
    parser.add_argument("--sizes", default="1000,100000,1000000", help="numbers of influencers (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each number (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of load in each round, on each server (%(default)s)")
    parser.add_argument("--only", default=",".join(PARTS), help="what to measure (%(default)s)")
    parser.add_argument("--postgres", action="store_true", help="measure on PostgreSQL instead of the file")
    given = parser.parse_args()
    parts = given.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(unknown)}")
    sizes = [int(size) for size in given.sizes.split(",")]
    return Options(sizes, max(1, given.rounds), max(1, given.seconds), parts, given.postgres)


def _measure(bench: Bench, options: Options) -> None:
    """Measure what was asked for, and print it as it comes."""
    _print_head(bench.folder, options)
    held = [_measure_demo_seed(bench.folder)] if "start" in options.parts else []
    print(markdown(HEAD, ()), flush=True)
    if sized := [part for part in (*SIZED, "sizes", "hosts") if part in options.parts]:
        held += _measure_sizes(bench, options, sized)
    if "log" in options.parts:
        compare_logging(bench)
    tables = _measure_pictures(bench, options)
    if "control" in options.parts:
        tables += [measure_commands(bench, options.rounds), ""]
    print("", bench.repeats(), "", *tables, markdown(_HELD_HEAD, map(_held_row, held)), sep="\n")


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


def time_opening(place: Place) -> float:
    """Return the seconds it takes to open a store, in this process."""
    started = time.perf_counter()
    db = open_engine(place)
    seconds = time.perf_counter() - started
    db.close()
    return seconds


# Loading


class Sized(NamedTuple):
    """A filled store of one size, and how to serve it."""

    size: int
    folder: Path
    sample: Sample
    settings: dict[str, str]
    open_seconds: float

    def serve(self) -> AbstractContextManager[Server]:
        return stand_in(self.folder, _WHOAMI, **self.settings)


def _measure_sizes(bench: Bench, options: Options, parts: list[str]) -> list[Held]:
    with ExitStack() as running:
        url = running.enter_context(server(bench.folder)) if options.has_database else None
        sized = [_fill(bench.folder / str(size), size, url) for size in options.sizes]
        held = [_measure_size(bench, each, parts) for each in sized]
        if "sizes" in parts:
            _compare_sizes(bench, sized[0], sized[-1])
        for each in sized:
            _compare_creates(bench, each, parts)
        return held


def _fill(folder: Path, size: int, url: str | None) -> Sized:
    place = folder / "data" if url is None else new_database(url, f"standin_{size}")
    sample = in_child(populate, place, size)
    open_seconds = median(in_child(time_opening, place) for _ in range(OPENINGS))
    settings = {"seed": "none"} | ({} if url is None else {"store": str(place)})
    return Sized(size, folder, sample, settings, open_seconds)


def _measure_size(bench: Bench, sized: Sized, parts: list[str]) -> Held:
    """Print a line for each part, and return what the store of that size held before any creates."""
    with sized.serve() as host:
        store = Filled(host, sized.sample, sized.size)
        _compare(bench, store, [part for part in parts if part in SIZED and part != "create"])
        held = _held(host, f"{sized.size:,}", sized.open_seconds)
        if "hosts" in parts and "store" in sized.settings:
            with stand_in(sized.folder / "second", _WHOAMI, **sized.settings) as second:
                compare_hosts(bench, store, second)
        return held


def _compare_creates(bench: Bench, sized: Sized, parts: list[str]) -> None:
    """Measure what makes a store larger, when all else has been measured."""
    if "create" in parts:
        with sized.serve() as host:
            _compare(bench, Filled(host, sized.sample, sized.size), ["create"])


def _compare_sizes(bench: Bench, small: Sized, large: Sized) -> None:
    """Measure reads and writes of a large store beside those of a small one."""
    with small.serve() as few, large.serve() as many:
        for name in ("get", "patch"):
            operation = OPERATIONS[name]
            ours, other = (
                Side(host, bench.load(operation.asked(each.sample))) for host, each in ((many, large), (few, small))
            )
            bench.compare(operation.title, f"{large.size:,}", ours, f"at {small.size:,}", other)


def _compare(bench: Bench, store: Filled, parts: list[str]) -> None:
    for part in parts:
        if part == "page":
            compare_pages(bench, store)
        else:
            compare_with_bare(bench, OPERATIONS[part], store)


def _measure_pictures(bench: Bench, options: Options) -> list[str]:
    """Print a line for the thumbnail, and return the table of the uploads."""
    uploads: list[str] = []
    with stand_in(bench.folder / "pictures", _WHOAMI) as server:
        time.sleep(SETTLE_SECONDS)
        if "thumbnail" in options.parts:
            compare_thumbnail(bench, server)
        if "upload" in options.parts:
            uploads += [measure_uploads(server, bench.folder, options.rounds), ""]
    return uploads


# Printing


def _held_row(held: Held) -> list[str]:
    opened = "" if held.open_seconds is None else f"{number(held.open_seconds)} s"
    workers = ", ".join(megabytes(size) for size in held.worker_bytes)
    return [held.size, opened, workers, megabytes(held.arbiter_bytes)]


if __name__ == "__main__":
    main()
