"""The receivers in `examples/`, run as a reader runs them: they believe what is signed, young and new."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from servers import PATIENCE_SECONDS, ROOT

from layers_standin.webhooks.signing import signature

pytestmark = pytest.mark.slow

NODE = shutil.which("node")
SECRET, OTHER = "whsec_bmV3-_", "whsec_b2xk"
with_node = pytest.param(
    "mjs", marks=pytest.mark.skipif(NODE is None, reason="the .mjs examples are run by node, which is not here")
)


class Receiver:
    """An example that runs; `post` and `said` are for its requests and its lines."""

    def __init__(self, process: subprocess.Popen[str], url: str, client: httpx.Client) -> None:
        self._process, self._url, self._client = process, url, client

    def post(self, body: bytes, header: str | bytes | None) -> int:
        headers = {} if header is None else {"X-Layers-Signature": header}
        return self._client.post(f"{self._url}/hook", content=body, headers=headers).status_code

    def said(self) -> str:
        return self._process.stdout.readline().rstrip("\n")


def command(language: str, *arguments: str) -> list[str]:
    program = {"py": sys.executable, "mjs": str(NODE)}[language]
    return [program, str(ROOT / "examples" / f"receive_webhooks.{language}"), *arguments]


@contextmanager
def running(language: str) -> Iterator[Receiver]:
    process = subprocess.Popen(
        command(language, "0"),
        env=os.environ | {"LAYERS_WEBHOOK_SECRET": SECRET},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process, httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as client:
        try:
            line = process.stdout.readline()
            assert line.startswith("listens on http://127.0.0.1:")
            yield Receiver(process, line.split()[-1], client)
        finally:
            process.kill()


@pytest.fixture(scope="module", params=["py", with_node])
def receiver(request) -> Iterator[Receiver]:
    with running(request.param) as receiver:
        yield receiver


def an_event(event_id: str) -> bytes:
    event = {"id": event_id, "type": "test.ping", "createdAt": "2026-01-01T00:00:00.000Z", "data": {"message": "Zoë"}}
    return json.dumps(event, ensure_ascii=False).encode()


def now() -> int:
    return int(time.time())


def assert_handled(receiver: Receiver, event_id: str) -> None:
    kind, said_id, data = receiver.said().split(" ", 2)
    assert (kind, said_id, json.loads(data)) == ("test.ping", event_id, {"message": "Zoë"})


@pytest.mark.parametrize(
    ("secrets", "age", "event_id"),
    [
        ([SECRET], 0, "evt_right"),
        ([SECRET], 290, "evt_young"),
        ([SECRET], -290, "evt_of_a_clock_ahead"),
        ([OTHER, SECRET], 0, "evt_second_of_two"),
        ([SECRET, OTHER], 0, "evt_first_of_two"),
    ],
)
def test_what_the_secret_signed_is_handled(receiver, secrets, age, event_id):
    body = an_event(event_id)
    assert receiver.post(body, signature(secrets, body, now() - age)) == 200
    assert_handled(receiver, event_id)


def test_an_event_that_comes_again_is_acknowledged_and_not_handled(receiver):
    body = an_event("evt_twice")
    statuses = [receiver.post(body, signature([SECRET], body, now() - age)) for age in (30, 0)]
    assert statuses == [200, 200]
    assert_handled(receiver, "evt_twice")
    assert receiver.said() == "again: evt_twice"


@pytest.mark.parametrize(
    ("secrets", "age", "reason"),
    [
        ([OTHER], 0, "wrong signature"),
        ([OTHER, "whsec_x"], 0, "wrong signature"),
        ([], 0, "no signature"),
        ([SECRET], 310, "too old"),
        ([SECRET], -310, "too old"),
    ],
)
def test_what_proves_nothing_is_refused(receiver, secrets, age, reason):
    body = an_event("evt_refused")
    assert receiver.post(body, signature(secrets, body, now() - age)) == 400
    assert receiver.said() == f"refused: {reason}"


@pytest.mark.parametrize("header", [None, "", "nonsense", "t=1,v1=", f"t={10**9},v1={'é' * 64}".encode("latin-1")])
def test_a_header_of_another_form_is_refused(receiver, header):
    assert receiver.post(an_event("evt_refused"), header) == 400
    assert receiver.said() == "refused: no signature"


def test_a_tampered_body_is_refused_and_the_true_one_still_handled(receiver):
    body = an_event("evt_tampered")
    header = signature([SECRET], body, now())
    assert receiver.post(body.replace(b"ping", b"pong"), header) == 400
    assert receiver.said() == "refused: wrong signature"
    assert receiver.post(body, header) == 200
    assert_handled(receiver, "evt_tampered")


@pytest.mark.parametrize("language", ["py", with_node])
def test_who_gives_no_secret_is_told(language):
    environ = {name: text for name, text in os.environ.items() if name != "LAYERS_WEBHOOK_SECRET"}
    ran = subprocess.run(
        command(language, "0"), env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "Set LAYERS_WEBHOOK_SECRET to the signingSecret first.\n"
