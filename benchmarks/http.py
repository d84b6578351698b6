"""Load the stand-in and simpler servers in turn, and print the tables of docs/performance.md.

    python benchmarks/http.py --json-server PATH --picture docs/performance.svg
    python benchmarks/http.py --postgres
    python benchmarks/http.py --sizes 1000 --only get,patch --rounds 9

All run under gunicorn with the settings of gunicorn.conf.py. The stand-in has its default settings; with --postgres
its store is on a PostgreSQL server with default settings, which is started on the same machine. The bare view is a
plain Flask view that answers the same bytes as the stand-in; with --postgres, reads and changes are compared with a
view that runs one SELECT or one UPDATE instead. json-server is no Python program: install it where you like (`npm
install json-server@1.0.0-beta.3`) and name its program. Each round loads all servers of a comparison, and a ratio
compares values of the same round, so that other work of the machine affects both alike.

CPU is the processor time, user and system, of all processes of the server for one answer: least and greatest of the
rounds. A ratio of it is that of the least of both sides. Everything else is a median, with the least and the greatest.

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

from benchmarks import peers
from benchmarks.chart import chart
from benchmarks.children import in_child
from benchmarks.control import compare_logging, measure_commands
from benchmarks.databases import Location, add_plain_table, new_database, open_engine, server
from benchmarks.documents import Sample, populate
from benchmarks.hosts import compare_hosts
from benchmarks.influencers import (
    CREATING,
    OPERATIONS,
    SAME,
    ServedStore,
    compare_pages,
    compare_with_bare,
    compare_with_sql,
)
from benchmarks.load import CONNECTIONS, LoadFailed, check_wrk
from benchmarks.machine import describe
from benchmarks.pictures import compare_pictures, measure_uploads
from benchmarks.rounds import HEAD, Bench, Side
from benchmarks.servers import Server, ServerFailed, plain_settings, stand_in
from benchmarks.tables import at_most, markdown, megabytes, number, row, spread

PARTS_OF_A_STORE = (*OPERATIONS, "page", "sizes", "hosts")
PARTS = (*PARTS_OF_A_STORE, "pictures", "log", "start", "memory", "upload", "control", "peers")
DEFAULT_PARTS = ",".join(part for part in PARTS if part not in ("hosts", "log"))
POSTGRES_PARTS = ",".join((*OPERATIONS, "page", "sizes"))
ONCE_HEAD = ("", "measured", "target")
STARTS = 5
OPENINGS = 3
SETTLE_SECONDS = 1  # the first answer comes from the first worker; the others are still starting

_WHOAMI = "/v1/whoami"


class Options(NamedTuple):
    sizes: list[int]
    peer_sizes: list[int]
    parts: list[str]
    has_database: bool
    json_server: str | None
    picture: Path | None


def main() -> None:
    given = _parser().parse_args()
    parts = (given.only or (POSTGRES_PARTS if given.postgres else DEFAULT_PARTS)).split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        sys.exit(f"--only knows {', '.join(PARTS)}, not {', '.join(unknown)}.")
    sizes, peer_sizes = (sorted(map(int, text.split(","))) for text in (given.sizes, given.peer_sizes))
    options = Options(sizes, peer_sizes, parts, given.postgres, given.json_server, given.picture)
    check_wrk()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: sys.exit("Stopped."))  # so that every server is stopped too
    try:
        with tempfile.TemporaryDirectory(prefix="standin-") as name:
            _measure(Bench(Path(name), max(1, given.rounds), max(1, given.seconds)), options)
    except (LoadFailed, ServerFailed) as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Load the stand-in and simpler servers in turn.")
    parser.add_argument("--sizes", default="1000,1000000", help="numbers of influencers (%(default)s)")
    parser.add_argument("--peer-sizes", default="1000,10000,100000,1000000", help="the same for peers (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of load in each round, on each server (%(default)s)")
    parser.add_argument("--only", help=f"the parts to measure ({DEFAULT_PARTS}; with --postgres {POSTGRES_PARTS})")
    parser.add_argument("--postgres", action="store_true", help="measure on PostgreSQL instead of the file")
    parser.add_argument("--json-server", metavar="PATH", help="json-server's program; without, it is left out")
    parser.add_argument("--picture", type=Path, metavar="PATH", help="write the picture of the peers to this SVG")
    return parser


def _measure(bench: Bench, options: Options) -> None:
    """Measure the parts of the options, and print each result as soon as it is there."""
    settings = ", ".join(f"{name} {value}" for name, value in plain_settings().items())
    print(f"Machine: {describe(bench.folder)}.\ngunicorn: {settings}.")
    print(f"Load: wrk, {CONNECTIONS} connections kept alive, random influencers,", end=" ")
    print(f"{bench.rounds} rounds of {bench.seconds} s.", end=" ")
    print("CPU is that of the app's processes, without PostgreSQL's.\n" if options.has_database else "\n")
    if is_comparing := bool(set(options.parts) & {*PARTS_OF_A_STORE, "pictures", "log"}):
        print(markdown(HEAD, ()), flush=True)
    once = _measure_stores(bench, options) if set(options.parts) & {*PARTS_OF_A_STORE, "memory"} else []
    if "log" in options.parts:
        compare_logging(bench)
    once += _measure_demo_seed(bench, options.parts)
    if "control" in options.parts:
        once += measure_commands(bench)
    if is_comparing:
        print(f"\n{bench.repeats()}\n")
    if once:
        print(f"{markdown(ONCE_HEAD, once)}\n", flush=True)
    if "peers" in options.parts:
        _measure_peers(bench, options)


# A store of many influencers


class PreparedStore(NamedTuple):
    """A populated store with `size` influencers, and the stand-in's settings to serve it."""

    size: int
    folder: Path
    sample: Sample
    settings: dict[str, str]

    @property
    def location(self) -> Location:
        return self.settings.get("store", self.folder / "data")

    def serve(self) -> AbstractContextManager[Server]:
        return stand_in(self.folder, _WHOAMI, **self.settings)


def _measure_stores(bench: Bench, options: Options) -> list[list[str]]:
    """Print the rows of stores of each size, and return what is measured once on each."""
    with ExitStack() as running:
        url = running.enter_context(server(bench.folder)) if options.has_database else None
        stores = [_prepare(bench.folder / str(size), size, url) for size in options.sizes]
        once = [line for each in stores for line in _measure_size(bench, each, options.parts)]
        if "sizes" in options.parts and len(stores) > 1:
            _compare_sizes(bench, stores[0], stores[-1])
        for part in (part for part in CREATING if part in options.parts):  # after all else
            for each in stores:
                with each.serve() as host:
                    compare_with_bare(bench, OPERATIONS[part], ServedStore(host, each.sample, each.size))
        return once


def _prepare(folder: Path, size: int, url: str | None) -> PreparedStore:
    location = folder / "data" if url is None else new_database(url, f"standin_{size}")
    sample = in_child(populate, location, size)
    if url is not None:
        add_plain_table(str(location))
    return PreparedStore(size, folder, sample, {"seed": "none"} | ({} if url is None else {"store": str(location)}))


def _measure_size(bench: Bench, prepared: PreparedStore, parts: list[str]) -> list[list[str]]:
    """Print a row for each part that creates nothing, and return the rows of opening and of memory."""
    with prepared.serve() as host:
        store = ServedStore(host, prepared.sample, prepared.size)
        for part in (part for part in parts if part in OPERATIONS and part not in CREATING):
            if "store" in prepared.settings and part in ("get", "patch"):
                compare_with_sql(bench, OPERATIONS[part], store, str(prepared.location))
            else:
                compare_with_bare(bench, OPERATIONS[part], store)
        if "page" in parts:
            compare_pages(bench, store)
        if "hosts" in parts and "store" in prepared.settings:
            with stand_in(prepared.folder / "second", _WHOAMI, **prepared.settings) as second:
                compare_hosts(bench, store, second)
        if "memory" not in parts:
            return []
        seconds = [in_child(time_opening, prepared.location) for _ in range(OPENINGS)]
        return [
            _memory_row(host, f"{prepared.size:,} influencers, after load", None),
            [f"opening {prepared.size:,} influencers", spread(seconds, " s"), at_most("s", median(seconds), 0.2)],
        ]


def time_opening(location: Location) -> float:
    """Return the seconds to open a store in this process."""
    started = time.perf_counter()
    db = open_engine(location)
    seconds = time.perf_counter() - started
    db.close()
    return seconds


def _compare_sizes(bench: Bench, small: PreparedStore, large: PreparedStore) -> None:
    """Measure a read and a change on a large store, beside the same on a small one."""
    with small.serve() as few, large.serve() as many:
        for name in ("get", "patch"):
            operation = OPERATIONS[name]
            ours, other = (
                Side(host, bench.generator(operation.workload(each.sample)))
                for host, each in ((many, large), (few, small))
            )
            bench.compare(operation.title, f"{large.size:,}", ours, f"at {small.size:,}", other, SAME)


# The demo seed


def _measure_demo_seed(bench: Bench, parts: list[str]) -> list[list[str]]:
    """Print the rows of pictures, and return what is measured once on the demo seed."""
    once = []
    if "start" in parts:
        seconds = [_time_start(bench.folder / f"start-{number_of_start}") for number_of_start in range(STARTS)]
        once.append(["first answer after start, demo seed", spread(seconds, " s"), at_most("s", median(seconds), 0.4)])
    if set(parts) & {"pictures", "memory", "upload"}:
        with stand_in(bench.folder / "seed", _WHOAMI) as host:
            time.sleep(SETTLE_SECONDS)
            if "memory" in parts:
                once.append(_memory_row(host, "demo seed", 40))
            if "pictures" in parts:
                compare_pictures(bench, host)
            if "upload" in parts:
                once += measure_uploads(host, bench.folder, bench.rounds)
    return once


def _time_start(folder: Path) -> float:
    """Return the seconds from the start of gunicorn on an empty folder to its first answer."""
    with stand_in(folder, _WHOAMI) as host:
        return host.seconds_to_answer


def _memory_row(host: Server, title: str, max_megabytes: int | None) -> list[str]:
    workers = host.worker_bytes()
    target = "" if max_megabytes is None else at_most("MB", max(workers) / 1e6, max_megabytes)
    return [f"memory of each worker, {title}", ", ".join(map(megabytes, workers)), target]


# Peers


def _measure_peers(bench: Bench, options: Options) -> None:
    """Print the table of peers, and draw its picture."""
    print(markdown(peers.HEAD, ()), flush=True)
    rates: peers.Rates = {}
    for size in options.peer_sizes:
        prepared = _prepare(bench.folder / f"beside-{size}", size, None)
        with prepared.serve() as host:
            store = ServedStore(host, prepared.sample, size)
            for cells in peers.compare_peers(bench, store, prepared.folder / "data", options.json_server, rates):
                print(row(cells), flush=True)
    if options.picture is not None:
        options.picture.write_text(chart(rates, _describe_rates(rates)), "utf-8")


def _describe_rates(rates: peers.Rates) -> str:
    """Say the same as the picture."""
    return " ".join(
        f"{title}, {name}: {', '.join(f'{number(rate)} at {size:,}' for size, rate in line)}."
        for title, lines in rates.items()
        for name, line in lines.items()
    )


if __name__ == "__main__":
    main()
