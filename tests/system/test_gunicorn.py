"""What strange clients send over a socket: every answer comes in the envelope, and nobody is worse off for it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from conftest import AVA_PATH
from servers import STAYS_OPEN, Server, eventually, serving
from wires import CHUNKED, KEY, Reply, Wire, chunked, request, wire

pytestmark = pytest.mark.slow

OTHER_PATH = "/v1/influencers/inf_01HXZB1M4N6P8Q0R2S3T5V7W9X"


class Shared(NamedTuple):
    """A service for all tests here, its workers, and a client of each."""

    server: Server
    workers: list[int]
    clients: list[httpx.Client]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("service") / "store"
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2", STANDIN_PUBLIC_URL="http://stand-in.example") as server:
        workers = server.workers()
        yield Shared(server, workers, [server.client_of(worker) for worker in workers])


@pytest.fixture
def server(shared: Shared) -> Iterator[Server]:
    """The service, which must be the same after the test as it was before."""
    before = [client.get(AVA_PATH).content for client in shared.clients]
    yield shared.server
    assert [client.get(AVA_PATH).content for client in shared.clients] == before
    assert shared.server.workers() == shared.workers
    assert "Traceback" not in shared.server.output


TOO_LARGE = b"a" * 2**21
HALF = b'{"name":"half"}'

ODD_REQUESTS = {
    "garbage": (b"\x00\x01\xff garbage\r\n\r\n", 422),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200 + b"\r\n\r\n", 422),
    "one word": (b"GET\r\n\r\n", 422),
    "HTTP/0.9": (b"GET /v1/whoami\r\n\r\n", 422),
    "HTTP/3.7": (request("GET", AVA_PATH).replace(b"HTTP/1.1", b"HTTP/3.7"), 422),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 422),
    "unknown method": (request("BREW", AVA_PATH), 405),
    "method in lower case": (request("get", AVA_PATH), 422),
    "request line too long": (request("GET", "/v1/" + "a" * 9000), 413),
    "header of 64 KiB": (request("GET", AVA_PATH, f"X-Long: {'a' * 2**16}\r\n"), 413),
    "200 headers": (request("GET", AVA_PATH, "X-One-More: a\r\n" * 200), 413),
    "header without colon": (request("GET", AVA_PATH, "nothing\r\n"), 422),
    "header with NUL": (request("GET", AVA_PATH, "X-Nul: \0\r\n"), 422),
    "folded header": (request("GET", AVA_PATH, "X-Folded: a\r\n b\r\n"), 422),
    "two lengths": (request("PATCH", AVA_PATH, "Content-Length: 2\r\n", HALF), 422),
    "length and chunks": (request("PATCH", AVA_PATH, f"{CHUNKED}Content-Length: 2\r\n") + chunked(HALF), 422),
    "length below 0": (request("PATCH", AVA_PATH, "Content-Length: -1\r\n"), 422),
    "length that is a word": (request("PATCH", AVA_PATH, "Content-Length: two\r\n"), 422),
    "length beyond everything": (request("PATCH", AVA_PATH, f"Content-Length: {'9' * 30}\r\n"), 413),
    "unknown coding": (request("PATCH", AVA_PATH, "Transfer-Encoding: gzip\r\n", b""), 422),
    "unknown expectation": (request("PATCH", AVA_PATH, "Expect: a-miracle\r\n", HALF), 422),
    "chunk of no size": (request("PATCH", AVA_PATH, CHUNKED) + b"zz\r\n" + HALF + b"\r\n0\r\n\r\n", 422),
    "chunk longer than said": (request("PATCH", AVA_PATH, CHUNKED) + b"2\r\n" + HALF + b"\r\n0\r\n\r\n", 422),
    "body of 2 MiB": (request("PATCH", AVA_PATH, body=TOO_LARGE), 413),
    "one byte too many": (request("PATCH", AVA_PATH, body=HALF.ljust(2**20 + 1)), 413),
    "chunks of 2 MiB": (request("PATCH", AVA_PATH, CHUNKED) + chunked(*[HALF.ljust(2**16)] + [b" " * 2**16] * 31), 413),
    "chunks one byte too many": (request("PATCH", AVA_PATH, CHUNKED) + chunked(HALF.ljust(2**20), b" "), 413),
    "JSON 10,000 deep": (request("PATCH", AVA_PATH, body=b'{"name":%b%b}' % (b"[" * 10000, b"]" * 10000)), 422),
    "id with ../": (request("GET", "/v1/influencers/..%2F..%2F..%2Fetc%2Fpasswd"), 404),
    "path with ../": (request("GET", "/v1/influencers/../../../etc/passwd"), 404),
    "../ before an id": (request("PATCH", AVA_PATH.replace("inf_", "..%2finfluencers%2finf_"), body=HALF), 404),
    "file with ../": (request("GET", "/media/..%2f..%2f/a/b/original/c"), 404),
    "id with NUL": (request("GET", "/v1/influencers/%00"), 404),
    "id that is no UTF-8": (request("GET", "/v1/influencers/%ff%fe"), 404),
    "id with a line break": (request("GET", "/v1/influencers/a%0d%0aSet-Cookie:%20a=b"), 404),
    "key that is no ASCII": (request("GET", AVA_PATH).replace(KEY.encode(), b"X-Api-Key: \xff\xfe\r\n"), 401),
}  # fmt: skip
CODES = {
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    422: "VALIDATION",
}


def assert_envelope(reply: Reply | None, status: int) -> None:
    assert reply is not None
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    error = reply.json()["error"]
    assert (error["code"], error["requestId"]) == (CODES[status], reply.headers["x-request-id"])
    assert error.keys() <= {"code", "message", "requestId", "details"}
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(("sent", "status"), ODD_REQUESTS.values(), ids=ODD_REQUESTS)
def test_an_odd_request_is_answered_in_the_envelope(server, sent, status):
    with wire(server) as connection:
        connection.send(sent)
        assert_envelope(connection.reply(), status)


@pytest.mark.parametrize("name", ["request line too long", "header of 64 KiB", "200 headers"])
def test_a_request_line_or_headers_too_large_are_not_called_a_body(server, name):
    sent, status = ODD_REQUESTS[name]
    with wire(server) as connection:
        connection.send(sent)
        reply = connection.reply()
    error = {"code": "PAYLOAD_TOO_LARGE", "message": "Request line or headers are too large."}
    assert (reply.status, reply.json()) == (status, {"error": error | {"requestId": reply.headers["x-request-id"]}})


SECRET = "s3cret-" * 6 + "0"
A_KEY = f"lp_test_AAAABBBBCCCCDDDD_{SECRET}"

MISPLACED_KEYS = {
    "header without colon": (request("GET", AVA_PATH, f"X-Api-Key {A_KEY}\r\n"), "InvalidHeader"),
    "header with NUL": (request("GET", AVA_PATH, f"X-Api-Key: {A_KEY}\0\r\n"), "InvalidHeader"),
    "name of a header": (request("GET", AVA_PATH, f"X-Api-Key {A_KEY}: \r\n"), "InvalidHeaderName"),
    "header too long": (request("GET", AVA_PATH, f"X-Api-Key: {A_KEY * 200}\r\n"), "LimitRequestHeaders"),
    "request line too long": (request("GET", f"{AVA_PATH}?key={A_KEY * 200}"), "LimitRequestLine"),
    "request line of one word": (f"{A_KEY}\r\n\r\n".encode(), "InvalidRequestLine"),
    "method": (request(A_KEY, AVA_PATH), "InvalidRequestMethod"),
    "version of HTTP": (request("GET", f"{AVA_PATH} {A_KEY}"), "InvalidHTTPVersion"),
    "transfer coding": (request("PATCH", AVA_PATH, f"Transfer-Encoding: {A_KEY}\r\n"), "UnsupportedTransferCoding"),
}


@pytest.mark.parametrize(("sent", "fault"), MISPLACED_KEYS.values(), ids=MISPLACED_KEYS)
def test_of_what_is_refused_before_the_app_the_log_has_the_kind_but_no_key(server, sent, fault):
    with wire(server) as connection:
        connection.send(sent)
        request_id = connection.reply().headers["x-request-id"]
    line = eventually(lambda: next((line for line in server.lines if request_id in line), None), "its line in the log")
    assert line.endswith(f" {request_id} invalid request: {fault}\n")
    assert SECRET not in server.output


@pytest.mark.parametrize("announced", ["Content-Length: 100\r\n", CHUNKED])
@pytest.mark.parametrize("sent", [b"", HALF])
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_half_a_request_has_no_effect(server, method, announced, sent):
    body = b"%x\r\n%b" % (len(sent) + 1, sent) if announced == CHUNKED else sent
    with wire(server) as connection:
        connection.send(request(method, AVA_PATH, announced) + body)
        connection.end()
        assert_envelope(connection.reply(), 422)
        assert connection.reply() is None


@pytest.mark.parametrize("sent", [b"PAT", request("PATCH", AVA_PATH, "Content-Length: 100\r\n") + HALF])
def test_who_goes_away_in_the_middle_disturbs_nobody(server, sent):
    for _ in range(20):
        connection = Wire(server)
        connection.send(sent)
        connection.reset()


@pytest.mark.parametrize(
    "sent",
    [request("PATCH", AVA_PATH, body=TOO_LARGE), request("PATCH", AVA_PATH, CHUNKED) + chunked(TOO_LARGE)],
    ids=["length", "chunks"],
)
def test_after_a_body_that_is_too_large_the_connection_goes_on(server, sent):
    with wire(server) as connection:
        for _ in range(3):
            connection.send(sent)
            assert_envelope(connection.reply(), 413)
        connection.send(request("GET", AVA_PATH))
        assert connection.reply().status == 200


@pytest.mark.parametrize("content", [bytes(2**22), [bytes(2**20)] * 4], ids=["length", "chunks"])
def test_a_body_far_too_large_is_answered_to_a_client_that_sends_it_all(server, content):
    client = server.client()
    for _ in range(2):
        refused = client.patch(AVA_PATH, content=content)
        assert (refused.status_code, refused.json()["error"]["details"]) == (413, {"maxBytes": 2**20})
        assert client.get(AVA_PATH).status_code == 200


def test_what_follows_broken_chunks_is_not_taken_for_a_request(server):
    with wire(server) as connection:
        connection.send(request("PATCH", AVA_PATH, CHUNKED) + b"zz\r\n" + request("DELETE", AVA_PATH))
        assert_envelope(connection.reply(), 422)
        assert connection.reply() is None


def test_a_body_may_come_in_chunks_and_be_as_large_as_is_allowed(server):
    with wire(server) as connection:
        for body in ([b'{"vibe":', b'"chunked"}'], [b'{"vibe":"chunked"}'.ljust(2**20)]):
            connection.send(request("PATCH", OTHER_PATH, CHUNKED) + chunked(*body))
            reply = connection.reply()
            assert (reply.status, reply.json()["vibe"]) == (200, "chunked")


def test_who_asks_before_sending_is_told_to_go_on(server):
    body = b'{"vibe":"expected"}'
    with wire(server) as connection:
        connection.send(request("PATCH", OTHER_PATH, f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n"))
        assert connection.reply().status == 100
        connection.send(body)
        assert connection.reply().json()["vibe"] == "expected"


def test_requests_sent_in_one_go_are_answered_in_their_order(server):
    bodies = [b'{"vibe":"%d"}' % number for number in range(20)]
    with wire(server) as connection:
        connection.send(b"".join(request("PATCH", OTHER_PATH, body=body) for body in bodies))
        assert [connection.reply().json()["vibe"] for _ in bodies] == [str(number) for number in range(20)]


def test_a_request_in_single_bytes_is_a_request(server):
    with wire(server) as connection:
        for byte in request("PATCH", OTHER_PATH, body=b'{"vibe":"slow"}'):
            connection.send(bytes([byte]))
        assert connection.reply().json()["vibe"] == "slow"


def test_head_is_get_without_the_body(server):
    with wire(server) as connection:
        connection.send(request("GET", AVA_PATH))
        whole = connection.reply()
        connection.send(request("HEAD", AVA_PATH))
        head = connection.reply(has_body=False)
        assert (head.status, head.headers.keys()) == (200, whole.headers.keys())
        assert head.headers["content-length"] == str(len(whole.body))
        connection.send(request("GET", AVA_PATH))
        assert connection.reply().body == whole.body


IMPATIENT = """
from runpy import run_path

from layers_standin.web import connections

globals().update(run_path("gunicorn.conf.py"))
connections.PATIENCE_SECONDS = 0.5
"""


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Server]:
    """The service as it is, but it does not wait as long for a body."""
    path = tmp_path / "impatient.py"
    path.write_text(IMPATIENT, "utf-8")
    with serving(tmp_path / "store", "-c", str(path), WEB_CONCURRENCY="2") as server:
        yield server


def upload_path(server: Server) -> str:
    """Return where the bytes of a new upload go."""
    promise = {"kind": "reference_image", "mimeType": "image/png"}
    reply = server.client().post("/v1/projects/proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG/media/presign", json=promise)
    return reply.raise_for_status().json()["uploadUrl"].removeprefix(server.url)


def test_bodies_that_never_come_do_not_keep_the_threads_for_ever(impatient):
    stalls = [
        ("PATCH", AVA_PATH, "Content-Length: 100\r\n", b""),
        ("PATCH", AVA_PATH, "Content-Length: 100\r\n", HALF),
        ("DELETE", AVA_PATH, CHUNKED, b"64\r\n" + HALF),
        ("PUT", upload_path(impatient), "Content-Type: image/png\r\nContent-Length: 100\r\n", HALF),
    ]  # as many as a worker has threads
    with ExitStack() as stack:
        stalled = []
        for worker in impatient.workers():
            with impatient.only(worker):
                for method, path, headers, sent in stalls:
                    connection = stack.enter_context(wire(impatient))
                    connection.send(request(method, path, f"Expect: 100-continue\r\n{headers}"))
                    assert connection.reply().status == 100  # a thread has it, and will wait
                    connection.send(sent)
                    stalled.append(connection)
        assert impatient.client().get(AVA_PATH).json()["name"] == "Ava Chen"
        for connection in stalled:
            assert_envelope(connection.reply(), 422)
