"""Load the stand-in and a simpler server in turn, and print a comparison as Markdown.

    python benchmarks/http.py --sizes 1000,100000,1000000 --rounds 5 --seconds 3
    python benchmarks/http.py --sizes 1000000 --only list,page
    python benchmarks/http.py --sizes 1000,1000000 --only sizes
    python benchmarks/http.py --postgres --only get,patch,page,hosts

Both run under gunicorn with the settings of gunicorn.conf.py. The stand-in has its default settings; with --postgres
its store is on a PostgreSQL server with default settings, which is started on the same machine. The bare view is a
plain Flask view that answers the same bytes as the stand-in. Each round loads one server and then the other, in
alternating order, and a ratio compares values of the same round, so that other work of the machine affects both alike.

A kept-alive connection stays with the worker that accepted it, and sometimes one worker accepts all of them: then half
of the server is idle, and the result says nothing about the code. Such a run is discarded and repeated, for both
servers alike, and counted below the table. (Detected on Linux only; elsewhere the medians must suffice.)
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
from benchmarks.databases import Location, new_database, open_engine, server
from benchmarks.documents import Sample, populate
from benchmarks.hosts import compare_hosts
from benchmarks.influencers import OPERATIONS, ServedStore, compare_pages, compare_with_bare
from benchmarks.load import CONNECTIONS, LoadFailed, check_wrk
from benchmarks.machine import describe, resident_bytes
from benchmarks.pictures import compare_thumbnail, measure_uploads
from benchmarks.rounds import HEAD, Bench, Side
from benchmarks.servers import Server, ServerFailed, plain_settings, stand_in
from benchmarks.tables import markdown, megabytes, number, spread

PARTS_BY_SIZE = (*OPERATIONS, "page")  # measured at each size
PARTS = ("start", *PARTS_BY_SIZE, "sizes", "hosts", "log", "thumbnail", "upload", "control")
STARTS = 5
OPENINGS = 3
SETTLE_SECONDS = 1  # the first answer comes from the first worker; the others are still starting

_WHOAMI = "/v1/whoami"
_FOOTPRINT_HEAD = ("influencers", "opened in", "memory of each worker", "of gunicorn itself")


class Options(NamedTuple):
    sizes: list[int]
    rounds: int
    seconds: int
    parts: list[str]
    has_database: bool


class Footprint(NamedTuple):
    """The cost of an open store: the time to open it, None if unmeasured, and the memory of each process.

    `size` is the number of influencers, as text for the table.
    """

    size: str
    open_seconds: float | None
    worker_bytes: list[int]
    arbiter_bytes: int


def main() -> None:
    options = _options()
    check_wrk()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: sys.exit("Stopped."))  # so that every server is stopped too
    try:
        with tempfile.TemporaryDirectory(prefix="standin-") as name:
            _measure(Bench(Path(name), options.rounds, options.seconds), options)
    except (LoadFailed, ServerFailed) as error:
        sys.exit(str(error))


def _options() -> Options:
    parser = argparse.ArgumentParser(description="Load the stand-in and a simpler server in turn.")
    parser.add_argument("--sizes", default="1000,100000,1000000", help="numbers of influencers (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each number (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of load in each round, on each server (%(default)s)")
    parser.add_argument("--only", default=",".join(PARTS), help="the parts to measure (%(default)s)")
    parser.add_argument("--postgres", action="store_true", help="measure on PostgreSQL instead of the file")
    given = parser.parse_args()
    parts = given.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"--only knows {', '.join(PARTS)}, not {', '.join(unknown)}")
    sizes = [int(size) for size in given.sizes.split(",")]
    return Options(sizes, max(1, given.rounds), max(1, given.seconds), parts, given.postgres)


def _measure(bench: Bench, options: Options) -> None:
    """Measure the parts of the options, and print each result as soon as it is there."""
    _print_head(bench.folder, options)
    footprints = [_measure_demo_seed(bench.folder)] if "start" in options.parts else []
    print(markdown(HEAD, ()), flush=True)
    if parts := [part for part in (*PARTS_BY_SIZE, "sizes", "hosts") if part in options.parts]:
        footprints += _measure_sizes(bench, options, parts)
    if "log" in options.parts:
        compare_logging(bench)
    tables = _measure_pictures(bench, options)
    if "control" in options.parts:
        tables += [measure_commands(bench, options.rounds), ""]
    print("", bench.repeats(), "", *tables, markdown(_FOOTPRINT_HEAD, map(_footprint_row, footprints)), sep="\n")


def _print_head(folder: Path, options: Options) -> None:
    settings = ", ".join(f"{name} {value}" for name, value in plain_settings().items())
    print(f"Machine: {describe(folder)}.")
    print(f"gunicorn: {settings}. Load: wrk, {CONNECTIONS} connections kept alive, random influencers,", end=" ")
    print(f"median of {options.rounds} rounds of {options.seconds} s.\n")


# Starting


def _measure_demo_seed(folder: Path) -> Footprint:
    """Start STARTS times on an empty folder, print the time to the first answer, and return the last footprint."""
    seconds = []
    for number_of_start in range(STARTS):
        with stand_in(folder / f"start-{number_of_start}", _WHOAMI) as server:
            seconds.append(server.seconds_to_answer)
            time.sleep(SETTLE_SECONDS)
            footprint = _footprint(server, "demo seed", None)
    print(f"First answer after `gunicorn app:app` on an empty folder: {spread(seconds, ' s')} of {STARTS} starts.\n")
    return footprint


def _footprint(server: Server, size: str, open_seconds: float | None) -> Footprint:
    return Footprint(size, open_seconds, server.worker_bytes(), resident_bytes(server.pid))


def time_opening(location: Location) -> float:
    """Return the seconds to open a store in this process."""
    started = time.perf_counter()
    db = open_engine(location)
    seconds = time.perf_counter() - started
    db.close()
    return seconds


# Loading


class PreparedStore(NamedTuple):
    """A populated store with `size` influencers, and the stand-in's settings to serve it."""

    size: int
    folder: Path
    sample: Sample
    settings: dict[str, str]
    open_seconds: float

    def serve(self) -> AbstractContextManager[Server]:
        return stand_in(self.folder, _WHOAMI, **self.settings)


def _measure_sizes(bench: Bench, options: Options, parts: list[str]) -> list[Footprint]:
    with ExitStack() as running:
        url = running.enter_context(server(bench.folder)) if options.has_database else None
        stores = [_prepare(bench.folder / str(size), size, url) for size in options.sizes]
        footprints = [_measure_size(bench, each, parts) for each in stores]
        if "sizes" in parts:
            _compare_sizes(bench, stores[0], stores[-1])
        for each in stores:
            _compare_creates(bench, each, parts)
        return footprints


def _prepare(folder: Path, size: int, url: str | None) -> PreparedStore:
    location = folder / "data" if url is None else new_database(url, f"standin_{size}")
    sample = in_child(populate, location, size)
    open_seconds = median(in_child(time_opening, location) for _ in range(OPENINGS))
    settings = {"seed": "none"} | ({} if url is None else {"store": str(location)})
    return PreparedStore(size, folder, sample, settings, open_seconds)


def _measure_size(bench: Bench, prepared: PreparedStore, parts: list[str]) -> Footprint:
    """Print a row for each part but creates, and return the footprint of the store."""
    with prepared.serve() as host:
        store = ServedStore(host, prepared.sample, prepared.size)
        _compare(bench, store, [part for part in parts if part in PARTS_BY_SIZE and part != "create"])
        footprint = _footprint(host, f"{prepared.size:,}", prepared.open_seconds)
        if "hosts" in parts and "store" in prepared.settings:
            with stand_in(prepared.folder / "second", _WHOAMI, **prepared.settings) as second:
                compare_hosts(bench, store, second)
        return footprint


def _compare_creates(bench: Bench, prepared: PreparedStore, parts: list[str]) -> None:
    """Measure creates, after all other parts: they make the store larger."""
    if "create" in parts:
        with prepared.serve() as host:
            _compare(bench, ServedStore(host, prepared.sample, prepared.size), ["create"])


def _compare_sizes(bench: Bench, small: PreparedStore, large: PreparedStore) -> None:
    """Measure a read and a change on a large store, beside the same on a small one."""
    with small.serve() as few, large.serve() as many:
        for name in ("get", "patch"):
            operation = OPERATIONS[name]
            ours, other = (
                Side(host, bench.generator(operation.workload(each.sample)))
                for host, each in ((many, large), (few, small))
            )
            bench.compare(operation.title, f"{large.size:,}", ours, f"at {small.size:,}", other)


def _compare(bench: Bench, store: ServedStore, parts: list[str]) -> None:
    for part in parts:
        if part == "page":
            compare_pages(bench, store)
        else:
            compare_with_bare(bench, OPERATIONS[part], store)


def _measure_pictures(bench: Bench, options: Options) -> list[str]:
    """Print a row for the thumbnail, and return the lines of the table of uploads."""
    uploads: list[str] = []
    with stand_in(bench.folder / "pictures", _WHOAMI) as server:
        time.sleep(SETTLE_SECONDS)
        if "thumbnail" in options.parts:
            compare_thumbnail(bench, server)
        if "upload" in options.parts:
            uploads += [measure_uploads(server, bench.folder, options.rounds), ""]
    return uploads


# Printing


def _footprint_row(footprint: Footprint) -> list[str]:
    opened = "" if footprint.open_seconds is None else f"{number(footprint.open_seconds)} s"
    workers = ", ".join(megabytes(size) for size in footprint.worker_bytes)
    return [footprint.size, opened, workers, megabytes(footprint.arbiter_bytes)]


if __name__ == "__main__":
    main()
