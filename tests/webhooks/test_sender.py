"""One attempt at a delivery, by real receivers on loopback: what they do, and what is made of it."""

import asyncio
import datetime
import socket
import ssl
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from webhook_helpers import OK, Receiver, dripping, receiving, saying, silence

from layers_standin.domain.deliveries import Answer
from layers_standin.settings import ANY, LOCAL
from layers_standin.webhooks import sender
from layers_standin.webhooks.sender import MAX_ANSWER_BYTES, send
from layers_standin.webhooks.targets import NEVER, Refused, parse

HEADERS = {"Content-Type": "application/json", "X-Layers-Event-Id": "evt_1"}
BODY = '{"id":"evt_1","name":"Zoë"}'.encode()
SUCCESS = Answer(200, None)
BROKEN = Answer(None, "The connection was closed before there was a complete answer, or it is none of HTTP.")
LATE = Answer(None, "There was no complete answer within 0.4 s.")
SOON, NEVER_REACHED = 0.4, 20.0


def post(answering, path="/hook", seconds=NEVER_REACHED, host="127.0.0.1", **options):
    """Return the answer of a receiver, and the receiver."""

    async def attempt() -> tuple[Answer, Receiver]:
        async with receiving(answering, **options) as receiver:
            scheme = "https" if "tls" in options else "http"
            url = f"{scheme}://{host}:{receiver.port}{path}"
            return await asyncio.wait_for(send(url, HEADERS, BODY, LOCAL, seconds), 30), receiver

    return asyncio.run(attempt())


def test_a_receiver_gets_the_body_as_it_is_with_its_headers():
    answer, receiver = post(saying(OK), "/a%20hook?x=1&y=%26", host="localhost")

    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert answer == SUCCESS
    assert body == BODY
    assert head.decode().split("\r\n") == [
        "POST /a%20hook?x=1&y=%26 HTTP/1.1",
        f"Host: localhost:{receiver.port}",
        "User-Agent: layers-stand-in",
        "Content-Type: application/json",
        "X-Layers-Event-Id: evt_1",
        f"Content-Length: {len(BODY)}",
    ]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(status):
    assert post(saying(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status))[0] == Answer(status, None)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599])
def test_another_status_is_a_failure(status):
    answer, receiver = post(saying(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status))
    assert answer == Answer(status, f"The receiver answered {status}.")
    assert receiver.taken == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    async def attempt():
        async with receiving(saying(OK)) as other:
            redirect = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:%d/\r\n\r\n"
            async with receiving(saying(redirect % (status, other.port))) as receiver:
                answer = await send(f"http://127.0.0.1:{receiver.port}/", HEADERS, BODY, LOCAL)
            return answer, other.taken

    error = f"The receiver answered {status}, and redirects are not followed."
    assert asyncio.run(attempt()) == (Answer(status, error), 0)


@pytest.mark.parametrize(
    "answering",
    [
        silence,
        dripping(b"HTTP/1.1 200 ", b"O"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "status", "headers", "body", "chunks", "no length", "continue"],
)
def test_bytes_one_by_one_help_nobody_over_the_deadline(answering):
    answer, receiver = post(answering, seconds=SOON)
    assert answer == LATE
    assert receiver.taken == 1


def test_a_backlog_that_is_full_is_waited_for_until_the_deadline():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        answer = asyncio.run(send(f"http://127.0.0.1:{address[1]}/", HEADERS, BODY, LOCAL, SOON))
        for each in waiting:
            each.close()
    assert answer == LATE


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\xff\xfe\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
    ],
    ids=["nothing", "head", "body", "chunk", "ssh", "noise", "long header", "many headers"],
)
def test_an_answer_that_is_none_is_a_failure(said):
    assert post(saying(said))[0] == BROKEN


@pytest.mark.parametrize("status", [200, 500])
def test_of_a_long_answer_the_beginning_is_enough(status):
    sent = 0

    async def flood(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 100000000\r\n\r\n" % status)
        while sent < 100_000_000:
            writer.write(bytes(1 << 16))
            sent += 1 << 16
            await writer.drain()

    answer, _ = post(flood)
    assert answer.status == status
    assert (answer.error is None) == (status == 200)
    assert sent < 100 * MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    ("head", "part", "wanted"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", BROKEN),
        (b"", b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", BROKEN),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", SUCCESS),
    ],
    ids=["continue", "hints", "chunks"],
)
def test_many_small_parts_cost_no_more_than_a_few_large_ones(head, part, wanted):
    """Each is looked at by the thread that delivers to all."""
    sent = 0

    async def flood(writer):
        nonlocal sent
        writer.write(head)
        while sent < 10_000_000:
            writer.write(part * 1000)
            sent += len(part) * 1000
            await writer.drain()

    assert post(flood)[0] == wanted
    assert sent < 10_000_000


def test_a_packed_answer_is_not_unpacked():
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    assert post(saying(head, b"none"))[0] == SUCCESS


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as freed:
        port = freed.getsockname()[1]
    answer = asyncio.run(send(f"http://127.0.0.1:{port}/", HEADERS, BODY, LOCAL))
    assert answer == Answer(None, "The receiver takes no connection: Connection refused.")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_localhost_is_found_on_either_address(address):
    try:
        socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no {address}")
    assert post(saying(OK), host="localhost", address=address)[0] == SUCCESS


@pytest.mark.parametrize(
    ("url", "allowed", "error"),
    [
        ("http://10.11.12.13/", LOCAL, "10.11.12.13 is not this machine; STANDIN_WEBHOOK_TARGETS=any allows others."),
        ("http://169.254.169.254/", ANY, f"169.254.169.254 {NEVER}"),
        ("http://localhost/_standin/clock", ANY, "Must not be the control plane; of what is below /_standin only "
         "/_standin/inbox/<name> takes events."),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_not_posted_to(url, allowed, error):
    answer = asyncio.run(send(url, HEADERS, BODY, allowed))
    assert answer == Answer(None, f"Not sent, for the URL is not allowed: {error}")


def test_a_name_that_does_not_resolve_is_a_failure():
    answer = asyncio.run(send("http://no-such-host.invalid/", HEADERS, BODY, ANY))
    assert answer == Answer(None, "The name no-such-host.invalid does not resolve.")


@given(st.text(max_size=60).map("http://localhost/".__add__) | st.text(max_size=60).map("https://".__add__))
def test_a_request_can_be_made_for_every_url_that_is_taken(url):
    try:
        target = parse(url)
    except Refused:
        return
    request = sender._request(target, "127.0.0.1", HEADERS, BODY, 1)
    assert (request.url.host, request.headers["Host"]) == ("127.0.0.1", target.netloc)
    assert request.url.port in (target.port, None)


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert post(saying(OK))[0] == SUCCESS


def test_many_wait_at_once_and_hold_nobody_up():
    async def attempt():
        async with receiving(silence) as slow, receiving(saying(OK)) as quick:
            waiting = [send(f"http://127.0.0.1:{slow.port}/", HEADERS, BODY, LOCAL, SOON) for _ in range(20)]
            answers = asyncio.gather(*waiting)
            while slow.taken < 20:
                await asyncio.sleep(0.005)
            first = await send(f"http://127.0.0.1:{quick.port}/", HEADERS, BODY, LOCAL)
            return first, answers.done(), await answers

    first, were_done, answers = asyncio.run(asyncio.wait_for(attempt(), 30))
    assert (first, were_done) == (SUCCESS, False)
    assert set(answers) == {LATE}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Return a function that makes the TLS context of a server, and the path of its own certificate."""

    def make(name: x509.GeneralName, days: int = 1):
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=3))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([name]), False)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(key, hashes.SHA256())
        )
        path = tmp_path_factory.mktemp("certificate") / "receiver.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context, path

    return make


@pytest.fixture
def trusting(monkeypatch):
    """Return a function that makes the service trust the certificates of a file, as its start would."""

    def trust(path):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        sender._tls.cache_clear()

    yield trust
    sender._tls.cache_clear()


LOCALHOST = x509.DNSName("localhost")


def test_a_receiver_is_verified_by_the_name_in_the_url(certificates, trusting):
    tls, path = certificates(LOCALHOST)
    names = []
    tls.sni_callback = lambda _, name, __: names.append(name)
    trusting(path)

    answer, receiver = post(saying(OK), tls=tls, host="localhost.")

    assert (answer, names) == (SUCCESS, ["localhost"])
    assert f"Host: localhost.:{receiver.port}".encode() in receiver.requests[0]


def test_a_certificate_of_another_name_is_refused(certificates, trusting):
    tls, path = certificates(x509.DNSName("receiver.example"))
    trusting(path)

    answer, receiver = post(saying(OK), tls=tls, host="localhost")

    assert answer.status is None
    assert answer.error.startswith("The receiver's certificate is not valid: Hostname mismatch")
    assert receiver.requests == []


def test_a_certificate_that_nobody_vouches_for_is_refused(certificates, trusting):
    tls, _ = certificates(LOCALHOST)
    trusting(certificates(LOCALHOST)[1])

    answer, receiver = post(saying(OK), tls=tls, host="localhost")

    assert answer == Answer(None, "The receiver's certificate is not valid: self-signed certificate.")
    assert receiver.requests == []


def test_a_certificate_of_yesterday_is_refused(certificates, trusting):
    tls, path = certificates(LOCALHOST, days=-1)
    trusting(path)

    answer, _ = post(saying(OK), tls=tls, host="localhost")

    assert answer == Answer(None, "The receiver's certificate is not valid: certificate has expired.")


def test_a_receiver_that_wants_a_certificate_of_ours_gets_none(certificates, trusting):
    tls, path = certificates(LOCALHOST)
    tls.verify_mode = ssl.CERT_REQUIRED
    trusting(path)

    answer, receiver = post(saying(OK), tls=tls, host="localhost")

    assert (answer, receiver.requests) == (BROKEN, [])


def test_a_file_of_certificates_that_is_missing_is_told(trusting, tmp_path):
    trusting(tmp_path / "none.pem")
    answer = asyncio.run(send("https://127.0.0.1:9/", HEADERS, BODY, LOCAL))
    error = "The certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: No such file or directory."
    assert answer == Answer(None, error)


def test_who_never_greets_back_is_hung_up_on():
    async def attempt():
        hung_up = asyncio.Event()

        async def listen(reader, writer):
            while await reader.read(1 << 16):
                pass
            hung_up.set()
            writer.close()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            answer = await send(f"https://127.0.0.1:{port}/", HEADERS, BODY, LOCAL, SOON)
            await asyncio.wait_for(hung_up.wait(), 10)
        return answer

    assert asyncio.run(attempt()) == LATE


def test_a_receiver_without_TLS_is_told():  # noqa: N802
    async def attempt():
        async def listen(reader, writer):
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await send(f"https://127.0.0.1:{port}/", HEADERS, BODY, LOCAL)

    assert asyncio.run(attempt()) == Answer(None, "The receiver does not speak TLS as it should.")


def test_the_client_is_not_loaded_while_there_is_no_endpoint():
    program = "import sys, app, layers_standin.webhooks.sender; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
