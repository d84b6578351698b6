"""All that is printed: a line for each request, and what others print, without secrets, and waiting for nobody."""

import json
import logging
import os
import re
import resource
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from conftest import AVA_PATH, DEMO
from request_helpers import DEMO_SECRET, WRONG_SECRET

from app import create_app
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.logs.output import (
    Line,
    Output,
    as_json,
    plain,
    redacted,
    replace_standard_streams,
    secrets_of,
)

A_LINE = Line(datetime(2026, 4, 18, 9, 18, 44, 120_000, UTC), "req_01", "DEM0DEM0DEM0DEM0", "PATCH", "/v1/x", 200, 1.26)


def test_a_plain_line_says_who_did_what_and_how_it_went():
    assert plain(A_LINE).rstrip("\n") == "2026-04-18T09:18:44.120+00:00 req_01 DEM0DEM0DEM0DEM0 PATCH /v1/x 200 1.3ms"
    assert plain(A_LINE._replace(key_id=None)).split()[2] == "-"
    assert plain(A_LINE._replace(fault="prefer")).endswith(" 200 1.3ms prefer\n")


def test_a_json_line_says_the_same():
    assert json.loads(as_json(A_LINE)) == {
        "time": "2026-04-18T09:18:44.120000+00:00",
        "request_id": "req_01",
        "key_id": "DEM0DEM0DEM0DEM0",
        "method": "PATCH",
        "path": "/v1/x",
        "status": 200,
        "milliseconds": 1.3,
        "fault": None,
    }


@pytest.mark.parametrize("render", [plain, as_json])
@pytest.mark.parametrize("path", ["/a\nb", "/a\r\nb", "/a\x0bb", "/a\x1bb", "/a\x85b", "/a\u2028b", "/a b", "/\x00"])
def test_a_line_break_in_a_path_does_not_make_a_second_line(render, path):
    text = render(A_LINE._replace(path=path)).rstrip("\n")

    assert "\n" not in text
    if render is plain:
        assert text.splitlines() == [text]
        assert text.isprintable()
        assert len(text.split(" ")) == 7
    else:
        assert json.loads(text)["path"] == path


PLAIN_LINE = re.compile(
    r"(?P<time>\S+) (?P<id>req_\S+) (?P<key>\S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+) [\d.]+ms"
)


@pytest.mark.parametrize("style", ["plain", "json"])
def test_each_request_is_one_line_without_secret_body_or_query(capsys, rooms, tmp_path, style):
    app = create_app(Services(rooms.store, rooms.media, Settings(data=tmp_path, log=style)))
    app.add_url_rule("/v1/crash", "crash", lambda: 1 / 0)
    client = app.test_client()
    capsys.readouterr()
    replies = [
        client.patch(f"{AVA_PATH}?page=hidden-query", json={"vibe": "hidden-body"}, headers=DEMO),
        client.get(AVA_PATH, headers={"Authorization": f"Bearer {DEMO_KEY}"}),
        client.get(AVA_PATH, headers={"X-Api-Key": WRONG_SECRET}),
        client.delete("/v1/influencers/a%0Ab%20c", json={"reason": "hidden-body"}, headers=DEMO),
        client.get("/v1/crash", headers=DEMO),
        client.options(AVA_PATH),
    ]

    written = capsys.readouterr().out
    lines = written.splitlines()
    if style == "plain":
        found = [PLAIN_LINE.fullmatch(line).groups()[1:] for line in lines]
        path = "/v1/influencers/a%0Ab%20c"
    else:
        names = ("request_id", "key_id", "method", "path", "status")
        found = [tuple(str(json.loads(line)[name] or "-") for name in names) for line in lines]
        path = "/v1/influencers/a\nb c"
    ids = [reply.headers["X-Request-Id"] for reply in replies]
    assert found == [
        (ids[0], "DEM0DEM0DEM0DEM0", "PATCH", AVA_PATH, "200"),
        (ids[1], "DEM0DEM0DEM0DEM0", "GET", AVA_PATH, "200"),
        (ids[2], "-", "GET", AVA_PATH, "401"),
        (ids[3], "DEM0DEM0DEM0DEM0", "DELETE", path, "404"),
        (ids[4], "-", "GET", "/v1/crash", "500"),
        (ids[5], "-", "OPTIONS", AVA_PATH, "204"),
    ]
    assert not [hidden for hidden in (DEMO_SECRET[:-1], "hidden-body", "hidden-query") if hidden in written]


def test_a_path_that_is_not_ascii_is_logged_as_it_was_sent(capsys, client):
    client.get("/v1/caf%C3%A9")

    assert " GET /v1/caf%C3%A9 404 " in capsys.readouterr().out


def test_no_line_is_longer_than_a_pipe_takes_as_one_piece():
    for path in ("/" + "a" * 70_000, "/" + "\u2028" * 20_000, "/" + "\x01" * 20_000):
        line = A_LINE._replace(path=path, method="M" * 70_000)
        for text in (plain(line), as_json(line)):
            assert len(text.encode()) <= 4096
            assert text.endswith("ms\n" if text[0] == "2" else "}\n")


def test_a_method_cannot_forge_a_line_either():
    text = plain(A_LINE._replace(method="GET\n\x1b[2J"))

    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()


def test_the_lines_can_be_switched_off(capsys, rooms, tmp_path):
    client = create_app(Services(rooms.store, rooms.media, Settings(data=tmp_path, log="off"))).test_client()

    assert client.get(AVA_PATH, headers=DEMO).status_code == 200
    assert client.get("/_standin/requests").json["items"][0]["status"] == 200  # the request log is another
    assert capsys.readouterr().out == ""


# Nobody reads.


class Ends(NamedTuple):
    """The two ends of something to write to: descriptors."""

    reader: int | None
    writer: int


def pipe() -> Ends:
    return Ends(*os.pipe())


def local_socket() -> Ends:
    ours, theirs = socket.socketpair()
    return Ends(ours.detach(), theirs.detach())


def terminal() -> Ends:
    return Ends(*os.openpty())


def broken_pipe() -> Ends:
    reader, writer = os.pipe()
    os.close(reader)
    return Ends(None, writer)


def full_device() -> Ends:
    return Ends(None, os.open("/dev/full", os.O_WRONLY))


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let the system open no file more, so that none is opened once more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def shared(ends: Ends, is_restricted: bool = False) -> Iterator[tuple[Output, int]]:
    """Yield an Output on an end, and another descriptor of the same open file, as a shell has one."""
    with ExitStack() as stack:
        other = os.dup(ends.writer)
        if ends.reader is not None:
            os.set_blocking(ends.reader, False)  # a test that finds nothing must not wait for it
        for descriptor in (*ends, other):
            if descriptor is not None:
                stack.callback(os.close, descriptor)
        if is_restricted:
            with no_descriptor_left():
                output = Output(ends.writer)
        else:
            output = Output(ends.writer)
        yield output, other


def written(output: Output, lines: int) -> bool:
    """Whether so many lines are written in the end: a thread that waits for a reader waits for ever."""
    thread = threading.Thread(target=lambda: [output.send(f"{number:099}\n") for number in range(lines)], daemon=True)
    thread.start()
    thread.join(60)
    return not thread.is_alive()


@pytest.mark.parametrize("kind", [pipe, local_socket, terminal, broken_pipe, full_device])
def test_nothing_waits_for_a_reader(kind):
    with shared(kind()) as (output, _):
        assert written(output, 10_000)


@pytest.mark.parametrize("kind", [pipe, local_socket, broken_pipe])
def test_nothing_waits_for_a_reader_where_no_file_may_be_opened_once_more(kind):
    with shared(kind(), is_restricted=True) as (output, _):
        assert written(output, 10_000)


@pytest.mark.parametrize("kind", [pipe, local_socket, terminal, full_device])
def test_the_open_file_that_a_shell_shares_stays_as_it_is(kind):
    with shared(kind()) as (output, other):
        assert written(output, 10)
        assert os.get_blocking(other)


def test_a_pipe_that_is_read_again_has_whole_lines_and_the_number_of_the_missing(tmp_path):
    ends = pipe()
    with shared(ends) as (output, _):
        assert written(output, 10_000)
        before = os.read(ends.reader, 1 << 20).decode().splitlines()
        output.send("after\n")
        after = os.read(ends.reader, 1 << 20).decode().splitlines()
    assert before == [f"{number:099}" for number in range(len(before))]
    assert 0 < len(before) < 10_000
    assert after == [f"{10_000 - len(before)} lines were dropped here, because nobody read them.", "after"]


def test_among_lines_of_json_the_number_of_the_missing_is_json():
    ends = pipe()
    with shared(ends) as (output, _):
        assert written(output, 10_000)
        before = os.read(ends.reader, 1 << 20).count(b"\n")
        output.send('{"status":200}\n')
        after = os.read(ends.reader, 1 << 20).decode().splitlines()
    assert [json.loads(line) for line in after] == [{"dropped": 10_000 - before}, {"status": 200}]


def test_after_a_line_that_was_cut_the_next_begins_a_line():
    ends = pipe()
    with shared(ends) as (output, _):
        output.send("x" * 100_000 + "\n")
        assert set(os.read(ends.reader, 1 << 20)) == {ord("x")}
        output.send("after\n")
        assert os.read(ends.reader, 1 << 20) == b"\nafter\n"


def test_a_file_is_written_where_its_other_writers_are(tmp_path):
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    with shared(Ends(None, descriptor)) as (output, other):
        os.write(other, b"before\n")
        output.send("ours\n")
        os.write(other, b"after\n")
    assert (tmp_path / "log").read_text() == "before\nours\nafter\n"


def test_a_disk_that_is_full_for_a_while_costs_lines_and_nothing_else(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    with shared(Ends(None, descriptor)) as (output, _):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1050, before[1]))
        try:
            assert written(output, 20)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        output.send("after\n")
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[-1] == "after"
    assert lines[-2] == "9 lines were dropped here, because nobody read them."


# Others print.


def test_a_text_of_many_lines_that_is_no_record_stays_as_it_is():
    ends = pipe()
    with shared(ends):
        Output(ends.writer, has_records=False).write("a\nb\n")
        assert os.read(ends.reader, 1 << 20) == b"a\nb\n"


def printed(text: str) -> str:
    """Return a text as it is printed for a program that is not ours."""
    ends = pipe()
    with shared(ends) as (output, _):
        assert output.write(text) == len(text)
        return os.read(ends.reader, 1 << 20).decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a line\n", "a line\n"),
        ("\x1b[2J\x07\r\x9b\u2028\n", r"\x1b[2J\x07\r\x9b\u2028" + "\n"),
        ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
        ("an error\n2026-04-18 req_forged\n", "an error\n  2026-04-18 req_forged\n"),
        ("no end", "no end"),
        ("\ud800 é\n", "\\ud800 é\n"),
    ],
)
def test_a_text_of_others_moves_no_cursor_and_forges_no_line(text, shown):
    assert printed(text) == shown


def test_a_traceback_has_no_secret(monkeypatch, app, client):
    def crash() -> None:
        raise RuntimeError(f"could not connect to postgresql://me:s3cret-pass@host/db with {DEMO_KEY}")

    ends = pipe()
    with shared(ends) as (output, _):
        monkeypatch.setattr(sys, "stderr", output)
        monkeypatch.setattr(logging.getLogger("standin"), "propagate", False)
        app.add_url_rule("/v1/crash", "crash", crash)
        assert client.get("/v1/crash").status_code == 500
        said = os.read(ends.reader, 1 << 20).decode()
    assert "RuntimeError: could not connect to postgresql://me:***@host/db with lp_test_DEM0DEM0DEM0DEM0_***\n" in said
    assert {line[:2] for line in said.splitlines()[1:]} == {"  "}


SIGNED = (
    "http://127.0.0.1:9000/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIASTANDINTESTS%2F2026%2Feu&"
    "X-Amz-Signature=0123456789abcdef"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f'{{"uploadUrl":"{SIGNED}"}}',
            '{"uploadUrl":"http://127.0.0.1:9000/bucket/key?X-Amz-Algorithm=***&X-Amz-Credential=***&X-Amz-Signature=***"}',
        ),
        ("x-amz-signature%3D0123abcd%26a", "x-amz-signature%3D***"),
        ("X-Amz-Security-Token: IQoJb3JpZ2luX2V", "X-Amz-Security-Token: ***"),
        ("key AKIAIOSFODNN7EXAMPLE and ASIAIOSFODNN7EXAMPLE", "key AKIA*** and ASIA***"),
        ("<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId>", "<AWSAccessKeyId>AKIA***</AWSAccessKeyId>"),
        ("Credential=AKIAIOSFODNN7EXAMPLE/x, Signature=" + "ab" * 32, "Credential=AKIA***/x, Signature=***"),
        ("aws_secret_access_key = wJalrXUtnFEMI", "aws_secret_access_key = ***"),
        ('{"secretAccessKey": "wJalrXUtnFEMI"}', '{"secretAccessKey": "***"}'),
        ("AWS_SESSION_TOKEN=abc", "AWS_SESSION_TOKEN=***"),
        ("postgresql://me:pass-word@host/db", "postgresql://me:***@host/db"),
        ("host=here password='a b' user=me", "host=here password=*** user=me"),
        ("PGPASSWORD=abc", "PGPASSWORD=***"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        ("standin_console=InNpZ25lZC.abc.def; a=b", "standin_console=***; a=b"),
        ("X-AMZ-SIGNATURE=0123456789abcdef", "X-AMZ-SIGNATURE=***"),
        (
            "PASSWORD=abc SECRET_ACCESS_KEY=def SESSION_TOKEN: ghi",
            "PASSWORD=*** SECRET_ACCESS_KEY=*** SESSION_TOKEN: ***",
        ),
        ("AUTHORIZATION: BEARER abcdefghijklmnop", "AUTHORIZATION: BEARER ***"),
        ("Signature=" + "ab" * 32, "Signature=***"),
        ("postgresql://me:p@ss@host/db", "postgresql://me:***@host/db"),
        (f"Bearer {DEMO_KEY}", "Bearer lp_test_DEM0DEM0DEM0DEM0_***"),
        ("http://host:8000/a@b and mailto:me@host", "http://host:8000/a@b and mailto:me@host"),
        ("a bearer of news, AKIA and ASIA, a token", "a bearer of news, AKIA and ASIA, a token"),
    ],
)
def test_secrets_of_buckets_databases_and_sessions_are_left_out(text, shown):
    assert redacted(text) == shown


@pytest.mark.parametrize("part", ["://a:", "lp_test_", "x-amz-", "password", "v1/uploads/", "bearer ", "password='"])
def test_a_text_that_looks_like_many_secrets_is_judged_at_once(part):
    thread = threading.Thread(target=redacted, args=(f"{part * 5000}@ token",), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_secrets_of_the_environment_are_known_whatever_they_look_like():
    environ = {
        "AWS_SECRET_ACCESS_KEY": "plain/words",
        "STANDIN_STORE": "postgresql://me:pa%40ss/word@host/db?password=another-one",
        "STANDIN_CONTROL": "loopback",
        "PGPASSWORD": "short",
        "PATH": "/usr/local/bin",
    }

    assert set(secrets_of(environ)) == {
        "plain/words", "plain%2Fwords", "pa%40ss/word", "pa%2540ss%2Fword", "pa@ss/word", "another-one",
    }  # fmt: skip


def test_a_stream_that_a_program_has_put_there_is_left_alone(capsys):
    before = sys.stdout, sys.stderr

    replace_standard_streams({})

    assert (sys.stdout, sys.stderr) == before
