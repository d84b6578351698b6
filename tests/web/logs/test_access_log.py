"""The access log: a line for each request, in plain text or JSON, with no secret, body or query in it."""

import json
import re
from datetime import UTC, datetime

import pytest
from conftest import AVA_PATH, DEMO
from request_helpers import DEMO_SECRET, WRONG_SECRET

from app import create_app
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.logs.access import Line, as_json, plain

A_LINE = Line(datetime(2026, 4, 18, 9, 18, 44, 120_000, UTC), "req_01", "DEM0DEM0DEM0DEM0", "PATCH", "/v1/x", 200, 1.26)


def test_a_plain_line_says_who_did_what_and_how_it_went():
    assert plain(A_LINE).rstrip("\n") == "2026-04-18T09:18:44.120+00:00 req_01 DEM0DEM0DEM0DEM0 PATCH /v1/x 200 1.3ms"
    assert plain(A_LINE._replace(key_id=None)).split()[2] == "-"


def test_a_json_line_says_the_same():
    assert json.loads(as_json(A_LINE)) == {
        "time": "2026-04-18T09:18:44.120000+00:00",
        "request_id": "req_01",
        "key_id": "DEM0DEM0DEM0DEM0",
        "method": "PATCH",
        "path": "/v1/x",
        "status": 200,
        "milliseconds": 1.3,
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
