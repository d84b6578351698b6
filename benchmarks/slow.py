"""Hold connections as slow clients do, and print how long all others wait meanwhile, as Markdown.

    python benchmarks/slow.py --clients 100,300,3000 --seconds 5

Each row has a server of its own, with the settings of gunicorn.conf.py. The slow clients go on for all of its time:
each sends or reads a byte every TRICKLE_SECONDS. The others are GETs one after the other, each on a new connection; one
that is not answered after PATIENCE_SECONDS has waited that long.
"""

import argparse
import json
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

# Not this folder: http.py in it has the name of a module that is imported from elsewhere.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from http.client import HTTPConnection, HTTPException

from benchmarks.machine import describe
from benchmarks.servers import Server, fetch, plain_settings, stand_in
from benchmarks.tables import markdown, number, percentile
from layers_standin.domain.keys import DEMO_KEY

TRICKLE_SECONDS = 10
PATIENCE_SECONDS = 10
_FILE_BYTES = 16 << 20  # more than the buffers of a connection hold
_WHOAMI = "/v1/whoami"
_HEAD = ("each of the slow clients", "clients", "others", "p50", "p99", "longest", "unanswered")


class SlowClients(NamedTuple):
    """A kind of slow clients: `begin(server)` returns the bytes that each sends first.

    With `is_reader`, each then reads a byte at a time, else it sends one.
    """

    title: str
    begin: Callable[[Server], bytes]
    is_reader: bool = False


def _request(method: str, path: str, headers: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: {DEMO_KEY}\r\n{headers}\r\n".encode()


def _upload(server: Server) -> tuple[str, str, str]:
    """Presign an upload; return the path for its bytes, the path that finalizes it, and its id."""
    project = json.loads(fetch(server.port, "GET", "/v1/projects"))["items"][0]["id"]
    body = b'{"kind": "video", "mimeType": "video/mp4"}'
    upload = json.loads(fetch(server.port, "POST", f"/v1/projects/{project}/media/presign", body))
    return (
        "/v1/" + upload["uploadUrl"].partition("/v1/")[2],
        f"/v1/projects/{project}/media/finalize",
        upload["uploadId"],
    )


def _ask_for_file(server: Server) -> bytes:
    path, finalize, upload_id = _upload(server)
    fetch(server.port, "PUT", path, bytes(_FILE_BYTES), "video/mp4")
    asset = json.loads(fetch(server.port, "POST", finalize, json.dumps({"uploadId": upload_id}).encode()))
    return _request("GET", "/media/" + asset["url"].partition("/media/")[2])


def _half_an_upload(server: Server) -> bytes:
    return _request("PUT", _upload(server)[0], "Content-Type: video/mp4\r\nContent-Length: 1000\r\n")


KINDS = (
    SlowClients("connects, and sends nothing", lambda _: b""),
    SlowClients("sends its head byte by byte", lambda _: b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "),
    SlowClients("sends its body byte by byte", _half_an_upload),
    SlowClients("reads its file byte by byte", _ask_for_file, is_reader=True),
    SlowClients("waits for a reply that a fault delays", lambda _: _request("GET", _WHOAMI, "Prefer: delay=60000\r\n")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how long others wait while slow clients are served.")
    parser.add_argument("--clients", default="0,100,300,3000", help="numbers of slow clients (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="of measuring for each row (%(default)s)")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="standin-") as name:
        print(f"Machine: {describe(Path(name))}.")
        print(f"gunicorn: {', '.join(f'{key} {value}' for key, value in plain_settings().items())}.\n")
        print(markdown(_HEAD, ()), flush=True)
        for kind in KINDS:
            for count in map(int, given.clients.split(",")):
                with stand_in(Path(name) / f"{KINDS.index(kind)}-{count}", _WHOAMI) as server:
                    print(
                        " | ".join(("", *_cells(kind, count, _measure(server, kind, count, given.seconds)), "")).strip()
                    )


def _measure(server: Server, kind: SlowClients, count: int, seconds: float) -> list[float]:
    """Return how many seconds each of the others waited."""
    begin, stop = kind.begin(server), threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(_connected(server, begin)) for _ in range(count)]
        trickle = threading.Thread(target=_trickle, args=(clients, kind.is_reader, stop))
        trickle.start()
        time.sleep(1)  # until all of them are being served
        try:
            deadline, waits = time.monotonic() + seconds, []
            while time.monotonic() < deadline:
                waits.append(_time_get(server))
            return waits
        finally:
            stop.set()
            trickle.join()


def _connected(server: Server, begin: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    client.sendall(begin)
    return client


def _trickle(clients: list[socket.socket], is_reader: bool, stop: threading.Event) -> None:
    while not stop.wait(TRICKLE_SECONDS / max(1, len(clients))) and clients:
        clients.append(client := clients.pop(0))
        with suppress(OSError):  # it was closed
            client.recv(1, socket.MSG_DONTWAIT) if is_reader else client.send(b"a")


def _time_get(server: Server) -> float:
    """Return the seconds until an answer; PATIENCE_SECONDS at most, and where there is none."""
    started = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", _WHOAMI, headers={"X-Api-Key": DEMO_KEY})
        connection.getresponse().read()
        return time.perf_counter() - started
    except (OSError, HTTPException):
        return PATIENCE_SECONDS
    finally:
        connection.close()


def _cells(kind: SlowClients, count: int, waits: list[float]) -> list[str]:
    times = (percentile(waits, 50), percentile(waits, 99), max(waits))
    unanswered = sum(wait >= PATIENCE_SECONDS for wait in waits)
    return [
        kind.title,
        f"{count:,}",
        f"{len(waits):,}",
        *(f"{number(each * 1000)} ms" for each in times),
        str(unanswered),
    ]


if __name__ == "__main__":
    main()
