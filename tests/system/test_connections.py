"""Clients that are silent, slow or gone take nothing from the others, and the end of the service waits for none."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from random import Random

import httpx
import pytest
from conftest import AVA_PATH, DEMO
from servers import PATIENCE_SECONDS, Server, eventually, serving
from wires import CHUNKED, HOST, HOST_NAME, KEY, Wire, chunked, request, wire

pytestmark = pytest.mark.slow

MANY = 100
PROJECT_PATH = "/v1/projects/proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG"
ONE_WORKER = {"WEB_CONCURRENCY": "1", "STANDIN_CONTROL_HOSTS": HOST_NAME}  # only to that may one say `Prefer`
LATE = "Prefer: delay=60000\r\n"  # far more than a test may take
STOP_SECONDS = 15  # far less than gunicorn's own patience, far more than it takes
IMPATIENT = """
from runpy import run_path

from layers_standin.web import connections

globals().update(run_path("gunicorn.conf.py"))
connections.PATIENCE_SECONDS = connections.DISCARD_SECONDS = 0.5
keepalive = 1
"""


def starting(tmp_path_factory: pytest.TempPathFactory, name: str, *options: str) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(name) / "store"
    with serving(folder, *options, **ONE_WORKER) as server:
        yield server
        assert "Traceback" not in server.output


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of one worker."""
    yield from starting(tmp_path_factory, "service")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same, but it waits a second where it waits many, and takes 20 connections."""
    path = tmp_path_factory.mktemp("configuration") / "impatient.py"
    path.write_text(IMPATIENT, "utf-8")
    yield from starting(tmp_path_factory, "impatient", "-c", str(path), "--threads", "8", "--worker-connections", "20")


# A body that nobody reads.

REFUSALS = {
    "wrong key": ("PATCH", AVA_PATH, "Authorization: Bearer x\r\n", 401),
    "upload with a wrong signature": ("PUT", "/v1/uploads/x", KEY, 403),
    "unknown route": ("POST", "/v1/unicorns", KEY, 404),
    "unknown page": ("POST", "/unicorns", "", 404),
    "method not allowed": ("PUT", AVA_PATH, KEY, 405),
    "too many": ("PATCH", AVA_PATH, f"{KEY}Prefer: code=429\r\n", 429),
    "bad preference": ("PATCH", AVA_PATH, f"{KEY}Prefer: code=1\r\n", 422),
    "read with a body": ("GET", AVA_PATH, KEY, 200),
    "preflight": ("OPTIONS", AVA_PATH, "", 204),
    "control plane": ("POST", "/_standin/unicorns", "", 404),
    "console": ("POST", "/console", "", 405),
}
EXPECTS = "Expect: 100-continue\r\n"
BODIES = {
    "70 kB": (lambda body: (f"Content-Length: {len(body)}\r\n", body), 70_000),
    "3 MB": (lambda body: (f"Content-Length: {len(body)}\r\n", body), 3_000_000),
    "3 MB in chunks": (lambda body: (CHUNKED, chunked(*[body[:60_000]] * 50)), 3_000_000),
    "3 MB after a question": (lambda body: (f"{EXPECTS}Content-Length: {len(body)}\r\n", body), 3_000_000),
}


@pytest.mark.parametrize(("frame", "size"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("method", "path", "headers", "status"), REFUSALS.values(), ids=REFUSALS)
def test_after_a_refusal_without_reading_the_body_the_connection_goes_on(
    server, method, path, headers, status, frame, size
):
    framing, body = frame(b" " * size)
    head = f"{method} {path} HTTP/1.1\r\n{HOST}{headers}{framing}\r\n".encode()
    with wire(server) as connection:
        for _ in range(2):
            connection.send(head)
            if EXPECTS in framing:
                assert connection.reply().status == 100
            connection.send(body)
            reply = connection.reply()
            assert (reply.status, reply.headers["connection"]) == (status, "keep-alive")
        connection.send(request("GET", AVA_PATH))
        assert connection.reply().json()["name"] == "Ava Chen"


@pytest.mark.parametrize("size", [3_000_000, 70_000])
def test_what_is_no_http_is_answered_to_a_client_that_sends_on(server, size):
    with wire(server) as connection:
        connection.send(b"GET\r\n\r\n" + b" " * size)
        reply = connection.reply()
        assert (reply.status, reply.headers["connection"]) == (422, "close")
        assert connection.reply() is None  # an end, no reset


def test_before_a_body_too_large_to_be_read_to_its_end_the_reply_says_that_it_closes(server):
    with wire(server) as connection:
        connection.send(f"PATCH {AVA_PATH} HTTP/1.1\r\n{HOST}Content-Length: {(64 << 20) + 1}\r\n\r\n")
        reply = connection.reply()
        assert (reply.status, reply.headers["connection"]) == (401, "close")
        assert connection.reply() is None


@pytest.mark.parametrize("framing", ["Content-Length: 70000\r\n\r\n{", f"{CHUNKED}\r\nffff\r\n{{"])
def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(impatient, framing):
    with wire(impatient) as connection:
        connection.send(f"PATCH {AVA_PATH} HTTP/1.1\r\n{HOST}{framing}")
        assert connection.reply().status == 401
        assert connection.reply() is None


def test_a_refused_body_of_broken_chunks_is_answered_once(server):
    with wire(server) as connection:
        connection.send(f"PATCH {AVA_PATH} HTTP/1.1\r\n{HOST}{CHUNKED}\r\nzz\r\n")
        assert connection.reply().status == 401
        assert connection.reply() is None


@pytest.mark.parametrize("broken", ["zz\r\n", "2\r\n{}ab", "0\r\nContent-Length: 5\r\n\r\n"])
def test_a_reply_to_a_body_of_broken_chunks_says_that_it_closes(server, broken):
    with wire(server) as connection:
        connection.send(f"PATCH {AVA_PATH} HTTP/1.1\r\n{HOST}{KEY}{CHUNKED}\r\n{broken}")
        reply = connection.reply()
        assert (reply.status, reply.headers["connection"]) == (422, "close")
        assert connection.reply() is None


# When a connection ends.


@pytest.mark.parametrize(
    "line", ["close", "Close", " close ", "TE, close", "close,TE", "keep-alive, CLOSE", "TE,\tclose"]
)
@pytest.mark.parametrize("before", ["", "Connection: TE\r\n"])
def test_a_request_that_says_close_among_others_closes(server, line, before):
    with wire(server) as connection:
        connection.send(request("GET", AVA_PATH, f"{before}Connection:{line}\r\n"))
        reply = connection.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert connection.reply() is None


@pytest.mark.parametrize("line", ["keep-alive", "TE", "closed", "x-close, TE", "TE, Keep-Alive"])
def test_a_request_that_says_anything_else_does_not(server, line):
    with wire(server) as connection:
        for _ in range(2):
            connection.send(request("GET", AVA_PATH, f"Connection: {line}\r\n"))
            reply = connection.reply()
            assert (reply.status, reply.headers["connection"]) == (200, "keep-alive")


def test_a_client_that_does_not_close_after_the_last_reply_holds_nobody_up(server):
    with ExitStack() as stack:
        for _ in range(MANY):
            connection = stack.enter_context(wire(server))
            connection.send(request("GET", AVA_PATH, "Connection: close\r\n"))
            assert connection.reply().status == 200


# Clients that take their time.


def promised_upload(server: Server) -> str:
    """Return where the bytes of a new upload go."""
    promise = {"kind": "reference_image", "mimeType": "image/png"}
    reply = server.client().post(f"{PROJECT_PATH}/media/presign", json=promise)
    return reply.raise_for_status().json()["uploadUrl"].removeprefix(server.url)


@pytest.mark.parametrize("size", [0, 1, 3 << 19, (3 << 19) + 7])
@pytest.mark.parametrize("cut", [0, 1, 9_000, -1])
def test_an_upload_is_all_of_its_body_and_the_request_behind_it_is_the_next(server, size, cut):
    body, next_request = Random(size).randbytes(size), request("GET", AVA_PATH)
    head = request("PUT", promised_upload(server), f"Content-Type: image/png\r\nContent-Length: {size}\r\n")
    with wire(server) as connection:
        connection.send(head + body[:cut])
        connection.send(body[cut:] + next_request)
        assert connection.reply().headers["etag"] == f'"{sha256(body).hexdigest()}"'
        assert connection.reply().json()["name"] == "Ava Chen"


def half_upload(server: Server) -> bytes:
    return request("PUT", promised_upload(server), f"{EXPECTS}Content-Type: image/png\r\nContent-Length: 100\r\n")


SLOW: dict[str, Callable[[Server], bytes]] = {
    "silent": lambda _: b"",
    "half a head": lambda _: b"GET /v1/whoami HTTP/1.1\r\nHost: ",
    "half a body": lambda _: request("PATCH", AVA_PATH, f"{EXPECTS}Content-Length: 100\r\n"),
    "half an upload": half_upload,
    "the rest of a refused body": lambda _: request("PUT", AVA_PATH, f"{EXPECTS}Content-Length: 100\r\n"),
    "late by a fault": lambda _: request("GET", AVA_PATH, LATE),
}


def begin(server: Server, sent: bytes) -> Wire:
    """Send the beginning of a request; return once a thread has it, if it takes one."""
    connection = Wire(server)
    connection.send(sent)
    if EXPECTS.encode() in sent:
        assert connection.reply().status == 100
        connection.send(b"{")
    return connection


@pytest.mark.parametrize("kind", SLOW)
def test_many_slow_clients_of_one_worker_leave_it_to_the_others(server, kind):
    sent = SLOW[kind](server)
    with ExitStack() as stack:
        slow = [begin(server, sent) for _ in range(MANY)]
        stack.callback(lambda: [connection.reset() for connection in slow])
        assert httpx.get(server.url + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).status_code == 200
        if kind != "the rest of a refused body":
            assert all(connection.is_quiet() for connection in slow)


def test_many_clients_that_do_not_read_leave_it_to_the_others(server):
    client = server.client()
    upload = {"kind": "video", "mimeType": "video/mp4"}
    promise = client.post(f"{PROJECT_PATH}/media/presign", json=upload).json()
    client.put(promise["uploadUrl"], content=bytes(30 << 20), headers={"Content-Type": "video/mp4"}).raise_for_status()
    asset = client.post(f"{PROJECT_PATH}/media/finalize", json={"uploadId": promise["uploadId"]}).json()
    path = asset["url"].removeprefix(server.url)
    with ExitStack() as stack:
        slow = [Wire(server, receive_buffer=4096) for _ in range(MANY)]
        stack.callback(lambda: [connection.reset() for connection in slow])
        for connection in slow:
            connection.send(request("GET", path))
        for connection in slow:
            eventually(lambda connection=connection: not connection.is_quiet(), "the beginning of its file")
        assert httpx.get(server.url + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).status_code == 200


def test_a_client_that_has_stopped_reading_a_file_is_given_up(impatient):
    client = impatient.client()
    upload = {"kind": "video", "mimeType": "video/mp4"}
    promise = client.post(f"{PROJECT_PATH}/media/presign", json=upload).json()
    client.put(promise["uploadUrl"], content=bytes(30 << 20), headers={"Content-Type": "video/mp4"}).raise_for_status()
    path = client.post(f"{PROJECT_PATH}/media/finalize", json={"uploadId": promise["uploadId"]}).json()["url"]
    with ExitStack() as stack:
        slow = [Wire(impatient, receive_buffer=4096) for _ in range(8)]  # as many as there are threads
        stack.callback(lambda: [connection.reset() for connection in slow])
        for connection in slow:
            connection.send(request("GET", path.removeprefix(impatient.url)))
        for connection in slow:
            eventually(lambda connection=connection: not connection.is_quiet(), "the beginning of its file")
        assert httpx.get(impatient.url + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).status_code == 200


def test_more_silent_clients_than_there_may_be_connections_make_room(impatient):
    with ExitStack() as stack:
        silent = [stack.enter_context(wire(impatient)) for _ in range(50)]
        assert httpx.get(impatient.url + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).status_code == 200
        assert silent[0].reply() is None


NARROW = """
import resource
from runpy import run_path

globals().update(run_path("gunicorn.conf.py"))

def post_worker_init(worker):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
"""


def test_more_silent_clients_than_there_are_file_descriptors_make_room(tmp_path):
    (tmp_path / "narrow.py").write_text(NARROW, "utf-8")
    options = ("-c", str(tmp_path / "narrow.py"))
    with serving(tmp_path / "store", *options, **ONE_WORKER) as server, ExitStack() as stack:
        before = server.workers()
        silent = [stack.enter_context(wire(server)) for _ in range(100)]
        assert httpx.get(server.url + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).status_code == 200
        assert silent[0].reply() is None
        assert server.workers() == before
        assert "Traceback" not in server.output


def test_a_head_that_never_ends_is_given_up(impatient):
    with wire(impatient) as connection:
        connection.send("GET /v1/whoami HTTP/1.1\r\n")
        assert connection.reply() is None


HOPELESS = {
    "bare line feeds": (b"GET / HTTP/1.1\n\n", 422),
    "bad line": (b"nonsense\r\n", 422),
    "endless line": (b"GET /" + b"a" * 9000, 413),
    "endless headers": (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %b\r\n" % (i, b"a" * 1000) for i in range(70)), 413),
}


@pytest.mark.parametrize(("sent", "status"), HOPELESS.values(), ids=HOPELESS)
def test_a_head_that_can_only_be_refused_is_refused_before_its_end(server, sent, status):
    with wire(server) as connection:
        connection.send(sent)
        assert connection.reply().status == status
        assert connection.reply() is None


def test_a_head_in_pieces_is_a_head(server):
    sent = request("GET", AVA_PATH, f"X-Long: {'a' * 8000}\r\n" * 3)
    with wire(server) as connection:
        for _ in range(2):
            for start in range(0, len(sent), 5000):
                connection.send(sent[start : start + 5000])
            assert connection.reply().json()["name"] == "Ava Chen"


def test_a_delay_ends_with_its_client_for_whom_nothing_is_done(server):
    connection = begin(server, request("PATCH", AVA_PATH, f"{EXPECTS}{LATE}Content-Length: 17\r\n"))
    connection.send(b'"vibe":"unseen"}')
    before = httpx.get(server.url + AVA_PATH, headers=DEMO).json()
    connection.close()
    eventually(lambda: any(f" PATCH {AVA_PATH} 444 " in line for line in server.lines), "the end of the delay")
    assert httpx.get(server.url + AVA_PATH, headers=DEMO).json() == before


# The end.


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_clients_that_ask_for_nothing(tmp_path, end):
    with serving(tmp_path / "store", **ONE_WORKER) as server, ExitStack() as stack:
        for sent in [start(server) for kind, start in SLOW.items() if kind != "late by a fault"]:
            stack.callback(begin(server, sent).close)
        begin(server, request("GET", AVA_PATH, LATE)).close()
        idle, last = stack.enter_context(wire(server)), stack.enter_context(wire(server))
        for connection, headers in ((idle, ""), (last, "Connection: close\r\n")):
            connection.send(request("GET", AVA_PATH, headers))
            assert connection.reply().status == 200
        server.process.send_signal(end)
        assert server.process.wait(STOP_SECONDS) == 0
        server.kill()
        assert "Traceback" not in server.output


def test_an_end_at_once_does_not_wait_for_clients_that_have_stopped_reading(tmp_path):
    with serving(tmp_path / "store", **ONE_WORKER) as server, ExitStack() as stack:
        connection = Wire(server, receive_buffer=4096)
        stack.callback(connection.reset)
        connection.send(request("GET", "/openapi.json") * 100)  # more than all buffers take
        seen = [-1]
        while seen[-1] != len(server.lines):  # until no answer goes out any more
            seen.append(len(server.lines))
            time.sleep(0.5)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(STOP_SECONDS) == 0
        assert "Traceback" not in server.output


def test_the_end_waits_for_answers(tmp_path: Path):
    with serving(tmp_path / "store", **ONE_WORKER) as server, ExitStack() as stack:
        late = begin(server, request("GET", AVA_PATH, "Prefer: delay=3000\r\n"))
        upload = begin(server, half_upload(server))
        stack.callback(late.close), stack.callback(upload.close)
        server.process.terminate()
        upload.send(b" " * 99)
        assert upload.reply().status == 200
        reply = late.reply()
        assert (reply.status, reply.json()["name"]) == (200, "Ava Chen")
        assert server.process.wait(STOP_SECONDS) == 0


EARLY = """
import os
import signal
from pathlib import Path
from runpy import run_path

globals().update(run_path("gunicorn.conf.py"))
first, find_early_signals = Path({first!r}), post_fork

def post_fork(server, worker):
    find_early_signals(server, worker)
    if not first.exists():
        first.write_text(str(os.getpid()))
        signal.raise_signal(signal.SIGTERM)
"""


def test_a_signal_between_the_fork_and_the_handlers_is_not_lost(tmp_path):
    path, first = tmp_path / "early.py", tmp_path / "first"
    path.write_text(EARLY.format(first=str(first)), "utf-8")
    with serving(tmp_path / "store", "-c", str(path), **ONE_WORKER) as server:
        worker = int(first.read_text())
        eventually(lambda: worker not in server.workers(), "the end of the first worker")
        assert httpx.get(server.url + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).status_code == 200
        assert "Traceback" not in server.output
