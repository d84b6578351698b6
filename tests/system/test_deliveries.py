"""Webhooks over the real service: processes are killed, and every event that was due has come, in order.

`WEBHOOK_ROUNDS` in the environment makes the torture longer.
"""

import json
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from api_helpers import SPRING
from conftest import DEMO
from servers import Server, eventually, hosts_on, serving

from layers_standin.webhooks.signing import verify

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("WEBHOOK_ROUNDS", "3"))
VICTIMS = ("deliverer", "another worker", "group")
NOON = "2026-12-01T12:00:00Z"
NO_RECEIVER_LIMITS = {"STANDIN_RATE_LIMITS": "off"}


class Arrival(NamedTuple):
    """One post as the receiver saw it; `pid` is the worker that sent it, None if it is gone."""

    at: float
    pid: int | None
    signature: str
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Receiver:
    """An honest receiver that answers 200 and keeps each arrival in order."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.servers: list[Server] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pid = sender_of(self.client_address[1], receiver.servers)
                arrival = Arrival(time.monotonic(), pid, self.headers["X-Layers-Signature"], body)
                assert arrival.event["id"] == self.headers["X-Layers-Event-Id"]
                receiver.arrivals.append(arrival)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"

    def firsts(self) -> list[dict[str, Any]]:
        """Return each event once, in the order in which they first came."""
        return list({arrival.event["id"]: arrival.event for arrival in self.arrivals}.values())


@contextmanager
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        made.http.shutdown()
        thread.join()
        made.http.server_close()


def sender_of(port: int, servers: list[Server]) -> int | None:
    """Return the worker that has a connection from a local port."""
    inode = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            inode = f"socket:[{fields[9]}]"
    for server in servers:
        with suppress(OSError):
            arbiter = server.process.pid
            for pid in Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split():
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(OSError):
                        if os.readlink(descriptor) == inode:
                            return int(pid)
    return None


def listen(client: httpx.Client, url: str) -> dict[str, Any]:
    """Return a new endpoint for ends of jobs, with its `secret`."""
    reply = client.post("/v1/webhook-endpoints", json={"url": url, "events": ["job.completed"]}).raise_for_status()
    return reply.json()["endpoint"] | {"secret": reply.json()["signingSecret"]}


def ping(client: httpx.Client, endpoint: dict[str, Any], **payload: Any) -> str:
    reply = client.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", json={"payload": payload})
    return str(reply.raise_for_status().json()["eventId"])


def deliveries(client: httpx.Client, endpoint: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all deliveries to an endpoint, newest first."""
    found, cursor = [], ""
    while cursor is not None:
        query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries", params=query).raise_for_status().json()
        found, cursor = found + page["items"], page["nextCursor"]
    return found


class Writer:
    """Pings each endpoint and creates influencers, whatever happens to it; keeps what was acknowledged."""

    def __init__(self, name: str, endpoints: list[dict[str, Any]]) -> None:
        self.name, self.endpoints = name, endpoints
        self.pings: dict[str, list[str]] = {endpoint["id"]: [] for endpoint in endpoints}
        self.jobs: list[str] = []
        self.url = ""
        self.enough = threading.Event()

    def write(self) -> None:
        number = 0
        while not self.enough.is_set():
            with suppress(httpx.TransportError), httpx.Client(base_url=self.url, headers=DEMO, timeout=30) as client:
                while not self.enough.is_set():
                    number += 1
                    for endpoint in self.endpoints:
                        self.pings[endpoint["id"]].append(ping(client, endpoint, writer=self.name, number=number))
                    made = client.post(f"/v1/projects/{SPRING}/influencers", json={"name": f"{self.name} {number}"})
                    self.jobs.append(made.raise_for_status().json()["jobId"])
                    time.sleep(0.02)  # a partner's pace: the receivers are to be kept busy, not the processor
            time.sleep(0.02)


def compare(client: httpx.Client, receivers: list[Receiver], writers: list[Writer]) -> tuple[int, int]:
    """Check that all has come, in order, and return (events, duplicates)."""
    client.put("/_standin/clock", json={"advance": "PT1M"}).raise_for_status()
    flush(client, receivers)
    events = duplicates = 0
    for to, endpoint in zip(receivers, writers[0].endpoints, strict=True):
        firsts = to.firsts()
        told = deliveries(client, endpoint)
        assert {each["status"] for each in told} == {"delivered"}
        assert {each["eventId"] for each in told} == {each["id"] for each in firsts}
        assert {id_ for writer in writers for id_ in writer.pings[endpoint["id"]]} <= {each["id"] for each in firsts}
        ends = [each for each in firsts if each["type"] == "job.completed"]
        jobs = [each["data"]["jobId"] for each in ends]
        assert len(set(jobs)) == len(jobs)
        assert {job for writer in writers for job in writer.jobs} <= set(jobs)
        assert [each["createdAt"] for each in ends] == sorted(each["createdAt"] for each in ends)
        for writer in writers:
            mine = [each["data"] for each in firsts if each["type"] == "test.ping"]
            numbers = [data["number"] for data in mine if data["writer"] == writer.name]
            assert numbers == sorted(numbers)
        bodies: dict[str, set[bytes]] = {}
        for arrival in to.arrivals:
            bodies.setdefault(arrival.event["id"], set()).add(arrival.body)
        assert {len(each) for each in bodies.values()} == {1}
        events, duplicates = events + len(firsts), duplicates + len(to.arrivals) - len(firsts)
    return events, duplicates


def flush(client: httpx.Client, receivers: list[Receiver]) -> None:
    """Wait until everything due was attempted, as long as something arrives in each minute."""
    arrived = -1
    while arrived < (arrived := sum(len(each.arrivals) for each in receivers)):
        reply = client.post("/_standin/webhooks/flush", json={"timeoutMs": 60_000}, timeout=90)
        if reply.status_code == 200:
            return
    reply.raise_for_status()


def deliverer(receivers: list[Receiver]) -> int:
    """Return the worker that sends now."""
    before = len(receivers[0].arrivals)
    fresh = eventually(
        lambda: [each.pid for each in receivers[0].arrivals[before:] if each.pid is not None], "an arrival"
    )
    return int(fresh[-1])


def taken_over(receivers: list[Receiver], killed: list[int], since: float) -> float:
    """Return the seconds from the kill to the first arrival from another worker."""

    def look() -> list[float]:
        return [
            each.at
            for each in receivers[0].arrivals
            if each.at > since and each.pid is not None and each.pid not in killed
        ]

    return min(eventually(look, "another to deliver")) - since


@contextmanager
def writing(server: Server, endpoints: list[dict[str, Any]]) -> Iterator[list[Writer]]:
    """Let two writers write while the block lasts."""
    writers = [Writer(name, endpoints) for name in ("w0", "w1")]
    threads = [threading.Thread(target=writer.write) for writer in writers]
    for writer, thread in zip(writers, threads, strict=True):
        writer.url = server.url
        thread.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.enough.set()
        for thread in threads:
            thread.join()


def started(folder: Path, receivers: list[Receiver]) -> Server:
    server = Server(folder, "gunicorn", "app:app", WEB_CONCURRENCY="2", **NO_RECEIVER_LIMITS)
    for each in receivers:
        each.servers[:] = [server]
    return server


def kill_worker(server: Server, victim: int) -> None:
    """Kill a worker, and wait for the one in its place."""
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in server.workers() and len(server.workers()) == 2, "a new worker")


def test_whatever_is_killed_every_event_comes_in_order_and_twice_only_with_the_same_id(tmp_path):
    taken = []
    with receiver() as first, receiver() as second:
        receivers = [first, second]
        server = started(tmp_path / "store", receivers)
        try:
            endpoints = [listen(server.client(), each.url) for each in receivers]
            with writing(server, endpoints) as writers:
                for number in range(ROUNDS):
                    sends, killed, since = deliverer(receivers), server.workers(), time.monotonic()
                    match VICTIMS[number % len(VICTIMS)]:
                        case "group":
                            server.kill()
                            server = started(tmp_path / "store", receivers)
                            for writer in writers:
                                writer.url = server.url
                            taken.append(taken_over(receivers, killed, since))
                        case "deliverer":
                            kill_worker(server, sends)
                            taken.append(taken_over(receivers, [sends], since))
                        case "another worker":
                            kill_worker(server, next(each for each in killed if each != sends))
            with httpx.Client(base_url=server.url, headers=DEMO, timeout=60) as client:
                events, duplicates = compare(client, receivers, writers)
        finally:
            server.kill()
    spread = f"{min(taken):.1f} to {max(taken):.1f}, median {statistics.median(taken):.1f}"
    print(f"{ROUNDS} rounds: {events} events, {duplicates} duplicates, taken over in {spread} s")  # noqa: T201


def test_when_the_host_that_delivers_is_killed_another_takes_over_and_nothing_is_lost(tmp_path, server_of_databases):
    pytest.importorskip("psycopg")
    with receiver() as to, hosts_on(server_of_databases.new(), tmp_path, 2, **NO_RECEIVER_LIMITS) as hosts:
        to.servers[:] = hosts
        endpoint = listen(hosts[0].client(), to.url)
        with writing(hosts[0], [endpoint]) as writers:
            sends = deliverer([to])
            killed, left = sorted(hosts, key=lambda host: sends not in host.workers())
            for writer in writers:
                writer.url = left.url
            since = time.monotonic()
            killed.kill()
            seconds = taken_over([to], [sends], since)
        events, duplicates = compare(left.client(), [to], writers)
        assert duplicates <= 1  # what was under way to the one endpoint when its deliverer was killed
    print(f"{events} events, {duplicates} duplicates, taken over in {seconds:.1f} s")  # noqa: T201


def test_signatures_hold_as_a_receiver_checks_them(tmp_path):
    with receiver() as to, serving(tmp_path / "store", **NO_RECEIVER_LIMITS) as server:
        client = server.client()
        client.put("/_standin/clock", json={"mode": "frozen", "at": NOON}).raise_for_status()
        endpoint = listen(client, to.url)

        def delivered() -> Arrival:
            ping(client, endpoint, n=len(to.arrivals))
            client.post("/_standin/webhooks/flush").raise_for_status()
            return to.arrivals[-1]

        def reason(arrival: Arrival, secret: str, body: bytes | None = None, later: float = 0) -> str | None:
            return verify(arrival.signature, body or arrival.body, [secret], time.time() + later)

        arrival = delivered()
        assert reason(arrival, endpoint["secret"]) is None
        assert arrival.signature.count("v1=") == 1
        assert reason(arrival, "whsec_other") == "The signature is not one of this body by this secret."
        tampered = arrival.body.replace(b"test.ping", b"test.pong")
        assert reason(arrival, endpoint["secret"], tampered) == "The signature is not one of this body by this secret."
        assert "300 s are allowed" in (reason(arrival, endpoint["secret"], later=400) or "")
        rotated = client.post(f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret").raise_for_status().json()
        for advance in ("PT0S", "PT23H59M59S"):
            client.put("/_standin/clock", json={"advance": advance}).raise_for_status()
            arrival = delivered()
            assert arrival.signature.count("v1=") == 2
            assert [reason(arrival, each) for each in (endpoint["secret"], rotated["signingSecret"])] == [None, None]
        client.put("/_standin/clock", json={"advance": "PT1S"}).raise_for_status()
        arrival = delivered()
        assert arrival.signature.count("v1=") == 1
        assert reason(arrival, rotated["signingSecret"]) is None
        assert reason(arrival, endpoint["secret"]) == "The signature is not one of this body by this secret."


def test_eight_attempts_in_32_hours_and_twenty_failures_pause_until_active(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, serving(tmp_path / "store", **NO_RECEIVER_LIMITS) as server:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        taken.close()
        client = server.client()
        client.put("/_standin/clock", json={"mode": "frozen", "at": NOON}).raise_for_status()
        endpoint = listen(client, url)
        path = f"/v1/webhook-endpoints/{endpoint['id']}"
        ids = [ping(client, endpoint, n=number) for number in range(3)]
        client.put("/_standin/clock", json={"advance": "PT32H"}).raise_for_status()
        client.post("/_standin/webhooks/flush").raise_for_status()
        found = deliveries(client, endpoint)[::-1]
        assert [each["eventId"] for each in found] == ids
        assert sum(each["attempts"] for each in found) == 20
        assert {each["lastErrorMessage"] for each in found} == {"The receiver takes no connection: Connection refused."}
        assert client.get(path).json()["status"] == "auto_paused"
        active = client.patch(path, json={"status": "active"}).raise_for_status().json()
        assert (active["status"], active["consecutiveFailureCount"]) == ("active", 0)
        client.post("/_standin/webhooks/flush").raise_for_status()
        found = deliveries(client, endpoint)
        assert {(each["status"], each["attempts"]) for each in found} == {("failed", 8)}
        with receiver() as to:
            client.patch(path, json={"url": to.url}).raise_for_status()
            last = ping(client, endpoint, n=3)
            client.post("/_standin/webhooks/flush").raise_for_status()
            assert [each["id"] for each in to.firsts()] == [last]


def test_a_retry_that_has_become_due_comes_before_what_is_due_after_it(tmp_path):
    with receiver() as to, serving(tmp_path / "store", **NO_RECEIVER_LIMITS) as server:
        client = server.client()
        jobs = []
        listen(client, to.url)
        for at in ("2026-12-01T12:00:40Z", NOON):  # the one that ends last is begun first
            client.put("/_standin/clock", json={"mode": "frozen", "at": at}).raise_for_status()
            made = client.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Noa"}).raise_for_status()
            jobs.append(made.json()["jobId"])
        rule = {"answer": {"webhook": "lost"}, "match": {"event": "job.completed"}, "times": 1}
        client.post("/_standin/faults", json=rule).raise_for_status()
        client.put("/_standin/clock", json={"advance": "PT1M"}).raise_for_status()
        client.post("/_standin/webhooks/flush").raise_for_status()
        assert [each["data"]["jobId"] for each in to.firsts()] == jobs[::-1]


@contextmanager
def answering(status: int, location: str = "", size: int = 0) -> Iterator[str]:
    """Serve a receiver that gives one answer to everything; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            with suppress(OSError):  # it is hung up on
                for _ in range(size >> 20):
                    self.wfile.write(b"x" * (1 << 20))

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def test_receivers_that_behave_badly_hold_an_honest_one_up_by_nothing(tmp_path):
    with (
        serving(tmp_path / "store", STANDIN_SYNC="never") as server,
        socket.create_server(("127.0.0.1", 0)) as silent,  # takes connections, and says nothing
        receiver() as honest,
        answering(500) as failing,
        answering(410) as gone,
        answering(302, honest.url) as redirecting,
        answering(200, size=100 << 20) as verbose,
    ):
        client = server.client()
        never = listen(client, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        told = {url: listen(client, url) for url in (failing, gone, redirecting, verbose, honest.url)}
        for number in range(3):
            for endpoint in (never, *told.values()):
                ping(client, endpoint, number=number)
        eventually(lambda: len(honest.arrivals) == 3, "three events at the honest receiver")
        ended = {url: eventually(partial(attempted, client, told[url]), "an answer") for url in told}

        assert [each["status"] for each in reversed(deliveries(client, never))] == ["delivering", "pending", "pending"]
        found = {
            url: (each["status"], each["lastResponseStatus"], each["lastErrorMessage"]) for url, each in ended.items()
        }
        assert found == {
            failing: ("pending", 500, "The receiver answered 500."),
            gone: ("pending", 410, "The receiver answered 410."),
            redirecting: ("pending", 302, "The receiver answered 302, and redirects are not followed."),
            verbose: ("delivered", 200, None),
            honest.url: ("delivered", 200, None),
        }
        assert len(honest.arrivals) == 3  # the redirect was not followed


def attempted(client: httpx.Client, endpoint: dict[str, Any]) -> dict[str, Any] | None:
    """Return the first delivery to an endpoint once it was attempted."""
    first = deliveries(client, endpoint)[-1]
    return first if first["attempts"] else None
