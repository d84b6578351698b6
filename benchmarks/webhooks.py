"""Measure webhooks: what they cost a request, how fast events go out, and what a slow receiver does to the others.

    python benchmarks/webhooks.py
    python benchmarks/webhooks.py --postgres --only rate,idle

Each stand-in has a gunicorn with the settings of gunicorn.conf.py. The receiver is a thread of this process that
answers 200 at once. Each round measures all sides of a comparison, and a ratio compares values of the same round, so
that other work of the machine affects all alike. Everything is a median, with the least and the greatest in brackets.

- `cost`: a PATCH and a creation while nobody listens, while another organization's endpoint does, and while one of this
  organization does. The clock is frozen, so that nothing is delivered meanwhile. Needs wrk.
- `rate`: events have come about at once, for the clock was moved on; the time until the last one has arrived.
- `slow`: one event to many endpoints, of which one takes connections and never answers, or none; the times until the
  half and the last of the others have it.
- `idle`: the processor time of all processes of a service that is asked nothing.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

if __name__ == "__main__":  # not this folder: http.py in it has the name of a module that is imported from elsewhere
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.children import in_child
from benchmarks.databases import Location, new_database, open_engine, server
from benchmarks.documents import ORGANIZATION, Sample, populate
from benchmarks.influencers import create, patch
from benchmarks.load import MARK, LoadFailed, Workload, check_wrk
from benchmarks.machine import describe
from benchmarks.rounds import Bench, Side, cells
from benchmarks.servers import Server, ServerFailed, fetch, stand_in
from benchmarks.tables import markdown, number, row, spread
from layers_standin.domain.tables import PRIMARY_KEYS
from store import Store

PARTS = ("cost", "rate", "slow", "idle")
COST_HEAD = ("operation", "listens", "documents made", "CPU each", "requests/s", "p50", "p99", "CPU ÷ nobody's",
             "requests/s ÷ nobody's")  # fmt: skip
RATE_HEAD = ("endpoints", "events", "deliveries", "deliveries/s", "CPU each")
SLOW_HEAD = ("endpoints", "of them slow", "half of the others", "all of the others")
IDLE_HEAD = ("endpoints", "CPU in a minute")

_OTHER = "0b0d6c1e-7f55-4a42-8f3c-000000000002"
_INFLUENCERS = 30
_PATIENCE_SECONDS = 300
_WHOAMI = "/v1/whoami"
_FROZEN = {"mode": "frozen", "at": "2026-12-01T12:00:00Z"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure webhooks.")
    parser.add_argument("--only", default=",".join(PARTS), help="the parts to measure (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (%(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="of load in each round, on each side (%(default)s)")
    parser.add_argument("--rates", default="1x300,50x20", help="endpoints x events to measure (%(default)s)")
    parser.add_argument("--endpoints", type=int, default=10_000, help="of which one is slow (%(default)s)")
    parser.add_argument("--idle-seconds", type=int, default=60, help="of being asked nothing (%(default)s)")
    parser.add_argument("--postgres", action="store_true", help="measure on PostgreSQL instead of the file")
    given = parser.parse_args()
    parts = given.only.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        sys.exit(f"--only knows {', '.join(PARTS)}, not {', '.join(unknown)}.")
    if "cost" in parts:
        check_wrk()
    try:
        with tempfile.TemporaryDirectory(prefix="standin-") as name, ExitStack() as running:
            bench = Bench(Path(name), max(1, given.rounds), max(1, given.seconds))
            url = running.enter_context(server(bench.folder)) if given.postgres else None
            stores = Stores(bench.folder, url)
            print(f"Machine: {describe(bench.folder)}; {'PostgreSQL' if url else 'SQLite'}. {bench.rounds} rounds.")
            with receiver() as to:
                if "cost" in parts:
                    measure_cost(bench, stores, to)
                if "rate" in parts:
                    measure_rates(stores, to, bench.rounds, given.rates)
                if "slow" in parts:
                    measure_slow(stores, to, bench.rounds, given.endpoints)
                if "idle" in parts:
                    measure_idle(stores, to, given.idle_seconds)
    except (LoadFailed, ServerFailed, TimeoutError) as error:
        sys.exit(str(error))


# The receiver, and the stores


class Receiver(asyncio.Protocol):
    """One connection: it is answered 200 once its request is complete, but for the path /slow, which never is."""

    def __init__(self, arrivals: list[float]) -> None:
        self._arrivals, self._received = arrivals, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, is_whole, body = self._received.partition(b"\r\n\r\n")
        if not is_whole or b"POST /slow " in head:
            return
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= size:
            self._received = b""
            self._arrivals.append(time.monotonic())
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Listening(NamedTuple):
    """A running receiver: its URL without the last slash, and the moments at which events arrived."""

    url: str
    arrivals: list[float]

    def wait(self, count: int) -> list[float]:
        """Wait until so many events have arrived, and return and forget them. Raises TimeoutError."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(self.arrivals) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Of {count} events {len(self.arrivals)} arrived in {_PATIENCE_SECONDS} s.")
            time.sleep(0.005)
        found = self.arrivals[:]
        self.arrivals.clear()
        return found


@contextmanager
def receiver() -> Iterator[Listening]:
    """Run a receiver in a thread."""
    loop, arrivals = asyncio.new_event_loop(), list[float]()
    listening = loop.run_until_complete(loop.create_server(lambda: Receiver(arrivals), "127.0.0.1", 0, backlog=1024))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Listening(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", arrivals)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Stores(NamedTuple):
    """Makes stores, in folders or on a PostgreSQL server."""

    folder: Path
    url: str | None

    @contextmanager
    def serve(
        self, name: str, urls: Sequence[str] = (), organization: str = ORGANIZATION
    ) -> Iterator[tuple[Server, Sample, Location]]:
        """Serve a new store with some influencers, and with endpoints at these URLs; its clock is frozen."""
        folder = self.folder / name
        location = folder / "data" if self.url is None else new_database(self.url, f"standin_{name}".replace("-", "_"))
        sample = in_child(populate, location, _INFLUENCERS)
        in_child(add_endpoints, location, organization, urls)
        settings = {"seed": "none", "rate_limits": "off"} | ({"store": str(location)} if self.url else {})
        with stand_in(folder, _WHOAMI, **settings) as running:
            set_clock(running, _FROZEN)
            yield running, sample, location


def add_endpoints(location: Location, organization: str, urls: Sequence[str]) -> None:
    """Add an endpoint for ends of jobs at each URL."""
    db = open_engine(location)
    endpoints = Store(db).for_organization(organization).endpoints
    with db.transaction():
        for url in urls:
            endpoints.create(None, {"url": url, "events": ["job.completed"]}, "http://127.0.0.1")
    db.close()


def count_documents(location: Location) -> int:
    db = open_engine(location)
    counts = db.count_all(list(PRIMARY_KEYS))
    db.close()
    return sum(counts)


def set_clock(running: Server, body: object) -> None:
    fetch(running.port, "PUT", "/_standin/clock", json.dumps(body).encode())


def create_influencers(running: Server, sample: Sample, count: int) -> None:
    """Begin a job for each of `count` new influencers; frozen, none of them ends."""
    for index in range(count):
        body = json.dumps({"name": f"Noa {index}"}).encode()
        fetch(running.port, "POST", f"/v1/projects/{sample.project}/influencers", body)


# What is measured


def measure_cost(bench: Bench, stores: Stores, to: Listening) -> None:
    """Print a row for each operation and each of those who may listen."""
    print(markdown(COST_HEAD, ()), flush=True)
    kinds = {
        "nobody": ((), ORGANIZATION),
        "another organization": ([to.url], _OTHER),
        "this one": ([to.url], ORGANIZATION),
    }
    with ExitStack() as running:
        served = [
            running.enter_context(stores.serve(f"cost-{index}", *kind)) for index, kind in enumerate(kinds.values())
        ]
        for title, workload_of in {"PATCH influencer": patch, "POST influencers": create}.items():
            sides, made = list[Side](), list[int]()
            for host, sample, location in served:
                workload = workload_of(sample)
                made.append(_documents_made(host, location, workload))
                sides.append(Side(host, bench.generator(workload)))
            nobody, *_ = results = bench.measure(sides)
            for name, count, rounds in zip(kinds, made, results, strict=True):
                pairs = list(zip(rounds, nobody, strict=True))
                cpu = [our.cpu / its.cpu for our, its in pairs if our.cpu and its.cpu]
                rate = [our.per_second / its.per_second for our, its in pairs]
                ratios = (spread(cpu) if cpu else "", spread(rate))
                print(row((title, name, str(count), *cells(rounds), *ratios)), flush=True)
    print()


def _documents_made(host: Server, location: Location, workload: Workload) -> int:
    """Return how many documents more there are after a request, by the second: the first may make the store's own."""
    path, body = workload.requests[0]
    for mark in ("900000001", "900000002"):
        before = count_documents(location)
        fetch(host.port, workload.method, path, body.replace(MARK, mark).encode())
    return count_documents(location) - before


def measure_rates(stores: Stores, to: Listening, rounds: int, rates: str) -> None:
    """Print a row for each pair of numbers, of endpoints and of events."""
    print(markdown(RATE_HEAD, ()), flush=True)
    for rate in rates.split(","):
        endpoints, events = map(int, rate.split("x"))
        per_second, milliseconds = list[float](), list[float]()
        with stores.serve(f"rate-{rate}", [f"{to.url}/{index}" for index in range(endpoints)]) as (host, sample, _):
            for _ in range(rounds):
                create_influencers(host, sample, events)
                before, started = sum(host.busy_seconds().values()), time.monotonic()
                set_clock(host, {"advance": "PT1M"})
                seconds = to.wait(endpoints * events)[-1] - started
                per_second.append(endpoints * events / seconds)
                busy = sum(host.busy_seconds().values()) - before
                milliseconds.append(busy / (endpoints * events) * 1000)
        counts = (f"{each:,}" for each in (endpoints, events, endpoints * events))
        print(row((*counts, spread(per_second), spread(milliseconds, " ms"))), flush=True)
    print()


def measure_slow(stores: Stores, to: Listening, rounds: int, endpoints: int) -> None:
    """Print a row without a slow endpoint, and one with."""
    print(markdown(SLOW_HEAD, ()), flush=True)
    half, last = ([list[float](), list[float]()] for _ in range(2))
    with ExitStack() as running:
        urls = [f"{to.url}/{index}" for index in range(endpoints - 1)]
        served = [
            running.enter_context(stores.serve(f"slow-{slow}", [f"{to.url}/{'slow' if slow else 'fast'}", *urls]))
            for slow in range(2)
        ]
        for _ in range(rounds):
            for slow, (host, sample, _) in enumerate(served):
                create_influencers(host, sample, 1)
                started = time.monotonic()
                set_clock(host, {"advance": "PT3S"})  # the slow one's next attempt is due after 30 s
                arrivals = to.wait(endpoints - slow)
                half[slow].append(median(arrivals) - started)
                last[slow].append(arrivals[-1] - started)
    for slow in range(2):
        print(row((f"{endpoints:,}", str(slow), spread(half[slow], " s"), spread(last[slow], " s"))), flush=True)
    print()


def measure_idle(stores: Stores, to: Listening, seconds: int) -> None:
    """Print the processor time of a service that is asked nothing, all side by side; the clock runs, as by default."""
    print(markdown(IDLE_HEAD, ()), flush=True)
    with ExitStack() as running:
        served = {
            count: running.enter_context(stores.serve(f"idle-{count}", [f"{to.url}/{index}" for index in range(count)]))
            for count in (0, 1)
        }
        for host, *_ in served.values():
            set_clock(host, {"mode": "real"})
        time.sleep(3)  # until it is decided which process delivers
        before = {count: sum(host.busy_seconds().values()) for count, (host, *_) in served.items()}
        time.sleep(seconds)
        for count, (host, *_) in served.items():
            busy = (sum(host.busy_seconds().values()) - before[count]) / seconds
            print(row((str(count), f"{number(busy * 60)} s, {number(busy * 100)} % of a core")), flush=True)


if __name__ == "__main__":
    main()
