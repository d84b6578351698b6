"""What a real service prints: it waits for no reader and has no secret; an interrupted start ends in silence."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from api_helpers import MEDIA
from buckets import CREDENTIALS, KEY_ID, REGION, SECRET, BucketServer
from conftest import AVA_PATH, DEMO
from launcher import Program
from request_helpers import DEMO_SECRET
from servers import PATIENCE_SECONDS, ROOT, environment, eventually, run, serving

from layers_standin.settings import Settings
from layers_standin.startup import greeting

pytestmark = pytest.mark.slow

LINE = re.compile(r"\S+ req_\w{26} \S+ GET /v1/whoami 200 [\d.]+ms")
GREETING_LINES = 5
DROPPED = re.compile(r"(\d+) lines were dropped here, because nobody read them\.")


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def status_of(port: str) -> int | None:
    with suppress(httpx.TransportError):
        url = f"http://127.0.0.1:{port}/v1/whoami"
        return httpx.get(url, headers=DEMO, timeout=PATIENCE_SECONDS, verify=False).status_code  # reads no certificates
    return None


def answered(port: str, number: int) -> list[int]:
    """Return the statuses other than 200 of so many requests, each over a connection of its own."""
    return [status for status in (status_of(port) for _ in range(number)) if status != 200]


def full_pipe() -> tuple[int, int]:
    """Return (reader, writer) of a pipe that takes nothing more."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    return reader, writer


@contextmanager
def started(folder: Path, port: str, stdout: int, stderr: int) -> Iterator[Program]:
    env = environment(folder, PORT=port, WEB_CONCURRENCY="1")
    program = Program(("gunicorn", "app:app"), ROOT, env, stdout, stderr)
    try:
        eventually(lambda: status_of(port), "an answer")
        yield program
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)


def everything(reader: int) -> str:
    data = b""
    with suppress(BlockingIOError):
        while more := os.read(reader, 1 << 20):
            data += more
    return data.decode()


def test_a_log_that_nobody_reads_holds_nobody_up_and_goes_on_when_somebody_does(tmp_path):
    reader, writer = full_pipe()
    port = free_port()
    with started(tmp_path / "store", port, writer, writer) as program:
        assert answered(port, 24) == []
        assert os.get_blocking(writer)  # the shell has this open file too
        assert everything(reader).strip() == ""
        assert answered(port, 24) == []
        lines = everything(reader).splitlines()
        program.terminate()
        assert program.wait(PATIENCE_SECONDS) == 0
    os.close(reader)
    os.close(writer)
    # The greeting, the request that found it serving, and the first 24.
    assert DROPPED.fullmatch(lines[0])[1] == str(GREETING_LINES + 1 + 24)
    assert [bool(LINE.fullmatch(line)) for line in lines[1:]] == [True] * 24


@pytest.mark.parametrize("way", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | true"])
def test_it_serves_without_a_place_for_its_log(tmp_path, way):
    folder, port = tmp_path / "store", free_port()
    process = subprocess.Popen(
        f"'{sys.executable}' -m gunicorn app:app {way}",
        shell=True,
        cwd=ROOT,
        env=environment(folder, PORT=port),
        start_new_session=True,
    )
    try:
        eventually(lambda: status_of(port), "an answer")
        assert answered(port, 20) == []
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        eventually(lambda: status_of(port) is None, "an end")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    # Nothing that was printed went into a file of the store.
    verified = run(folder, "layers_standin", "store", "verify")
    assert verified.stdout.endswith("no fault.\n")
    log = b"".join(path.read_bytes() for path in (folder / "requests").iterdir())
    assert {line[:1] for line in log.splitlines()} <= {b"", b"{"}


TOKEN = "t0ken-of-the-control-plane"


@pytest.fixture
def bucket_server() -> Iterator[BucketServer]:
    server = BucketServer()
    yield server
    with suppress(OSError):
        server.stop()


def test_no_secret_is_in_anything_that_is_printed_logged_or_shown(tmp_path, bucket_server):
    folder = tmp_path / "store"
    settings = CREDENTIALS | {
        "STANDIN_CONTROL": TOKEN,
        "STANDIN_MEDIA": f"s3://{bucket_server.new_bucket()}/pictures?endpoint={bucket_server.url}&region={REGION}",
        "PGPASSWORD": "pass-of-postgres",
        "WEB_CONCURRENCY": "1",
    }
    told = {"Authorization": f"Bearer {TOKEN}"}
    with serving(folder, "--access-logfile", "-", "--log-level", "debug", **settings) as server:
        client = server.client()
        upload = client.post(f"{MEDIA}/presign", json={"kind": "image", "mimeType": "image/png"}).json()
        signature = re.search(r"X-Amz-Signature=(\w{64})", upload["uploadUrl"])[1]
        form = {"token": TOKEN}
        signed_in = httpx.post(f"{server.url}/console/login", data=form, headers={"Origin": server.url})
        session = signed_in.cookies["standin_console"]
        secrets = [TOKEN, SECRET, KEY_ID, signature, session, DEMO_SECRET, "pass-of-postgres"]
        for secret in [TOKEN, SECRET, KEY_ID, upload["uploadUrl"], f"standin_console={session}", DEMO["X-Api-Key"]]:
            client.get("/v1/projects", params={"cursor": secret})
            client.get(f"/v1/influencers/{httpx.QueryParams({'': secret})}")
            client.patch(AVA_PATH, json={"vibe": secret})
            client.patch(AVA_PATH, content=secret, headers={"Idempotency-Key": secret[:200]})
            for header in ("X-Api-Key", "Authorization", "Api-Key", "Cookie", "X-Custom"):
                for text in (secret, f"Bearer {secret}"):
                    httpx.get(server.url + AVA_PATH, headers={header: text}, verify=False)
        bucket_server.stop()
        client.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]})
        paths = ("/_standin/requests?limit=1000", "/_standin/health", "/console", "/console/requests?limit=1000",
                 "/console/controls", "/docs", "/openapi.json")  # fmt: skip
        shown = {path: httpx.get(server.url + path, headers=told, timeout=PATIENCE_SECONDS) for path in paths}
        assert {reply.status_code for reply in shown.values() if reply.status_code != 308} == {200}
        assert server.stop() == 0
    logged = b"".join(path.read_bytes() for path in (folder / "requests").iterdir()).decode()
    assert logged.count('"cursor=') >= 5
    media = Settings(data=folder, media=None)
    greeted = greeting(media, [server.url], demo_key=True).splitlines()[-2:]
    printed = [line for line in server.lines if line.strip("\n") not in greeted]
    assert len(printed) == len(server.lines) - 2
    texts = {"printed": "".join(printed), "logged": logged} | {path: reply.text for path, reply in shown.items()}
    texts["/openapi.json"] = texts["/openapi.json"].replace(DEMO["X-Api-Key"], "")  # told there on purpose, to all
    assert {(name, secret) for name, text in texts.items() for secret in secrets if secret in text} == set()


# Ctrl-C.

COMMANDS = {"gunicorn": ("gunicorn", "app:app"), "layers-stand-in": ("layers_standin",)}
WAITING = {
    "a database": {"STANDIN_STORE": "postgresql://me@127.0.0.1:{port}/x"},
    "a bucket": CREDENTIALS | {"STANDIN_MEDIA": f"s3://bucket/p?endpoint=http://127.0.0.1:{{port}}&region={REGION}"},
}


@pytest.mark.parametrize("command", ["gunicorn", "layers-stand-in"])
@pytest.mark.parametrize("waiting", WAITING)
def test_ctrl_c_during_the_start_ends_it_without_a_traceback(tmp_path, command, waiting):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        settings = {name: text.format(port=port) for name, text in WAITING[waiting].items()}
        reader, writer = os.pipe()
        program = Program(COMMANDS[command], ROOT, environment(tmp_path, **settings), writer, writer)
        os.close(writer)
        try:
            silent.settimeout(PATIENCE_SECONDS)
            with silent.accept()[0]:  # it waits for an answer
                os.killpg(program.pid, signal.SIGINT)  # as a terminal does
                assert program.wait(PATIENCE_SECONDS) == 130
                with open(reader, encoding="utf-8") as said:
                    assert said.read() == ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
