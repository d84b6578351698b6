"""What every reply has in common: its headers, its request id, what other origins may read, and the methods."""

import json
import re
from datetime import UTC, datetime
from http.client import HTTPResponse
from io import BytesIO

import pytest
from api_helpers import AVA_PICTURES, NO_ROUTE, SPRING, refused
from conftest import AVA_PATH, DEMO
from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders, LimitRequestLine
from request_helpers import IMAGES_PATH, picture_url
from ulid import ULID

from app import create_app
from layers_standin.web.errors import STATUS_OF_CODE
from layers_standin.web.worker import raw_refusal

REQUEST_ID = re.compile(r"req_[0-9A-HJKMNP-TV-Z]{26}")


def test_every_response_has_a_request_id_and_its_endpoint_class(demo, app, rooms):
    app.add_url_rule("/crash", "crash", lambda: 1 / 0)
    with demo.get(picture_url(rooms)) as shown:
        replies = [
            (shown, 200, "read-light"),
            (demo.get("/v1/whoami"), 200, "read-light"),
            (demo.get(AVA_PATH), 200, "read-light"),
            (demo.head(AVA_PATH), 200, "read-light"),
            (demo.patch(AVA_PATH, json={"vibe": "x"}), 200, "write-light"),
            (demo.post(IMAGES_PATH, json={"assetIds": AVA_PICTURES}), 200, "write-light"),
            (demo.options(AVA_PATH), 204, "write-light"),
            (demo.delete(AVA_PATH), 200, "write-light"),
            (demo.get(AVA_PATH), 404, "read-light"),
            (demo.delete(AVA_PATH), 404, "write-light"),
            (demo.get("/nowhere"), 404, "read-light"),
            (demo.put(AVA_PATH), 405, "write-light"),
            (demo.patch(AVA_PATH, data=b"x" * (2 << 20)), 413, "write-light"),
            (demo.patch(AVA_PATH), 422, "write-light"),
            (demo.get(AVA_PATH, headers={"X-Api-Key": "x"}), 401, "read-light"),
            (demo.get("/crash"), 500, "read-light"),
            (demo.get("/media/x"), 404, "read-light"),
        ]

    assert [reply.status_code for reply, _, _ in replies] == [status for _, status, _ in replies]
    assert [reply.headers["X-RateLimit-Endpoint-Class"] for reply, _, _ in replies] == [kind for *_, kind in replies]
    ids = [reply.headers["X-Request-Id"] for reply, _, _ in replies]
    assert all(map(REQUEST_ID.fullmatch, ids))
    assert len(set(ids)) == len(ids)


def test_a_request_id_is_a_ulid_of_now(demo):
    request_id = demo.get("/v1/whoami").headers["X-Request-Id"]

    made = ULID.from_str(request_id.removeprefix("req_")).datetime
    assert abs((datetime.now(UTC) - made).total_seconds()) < 3600


def test_a_request_id_the_client_sends_is_not_taken_over(demo):
    response = demo.get("/nowhere", headers={"X-Request-Id": "mine"})

    assert REQUEST_ID.fullmatch(response.headers["X-Request-Id"])
    assert refused(response) == NO_ROUTE


@pytest.mark.parametrize("host", ["a b", "exa mple/..", "a/b", "[", "<x>", "a:b", "a,b", "caf\xe9", ""])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", f"/v1/projects/{SPRING}/influencers", None), ("POST", IMAGES_PATH, {"assetIds": AVA_PICTURES})],
)
def test_who_calls_us_by_what_is_no_host_is_told_urls_on_our_own_address(demo, method, path, body, host):
    def called(name):
        at = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8123", "HTTP_HOST": name}
        return demo.open(path, method=method, json=body, environ_overrides=at)

    proper, odd = called("127.0.0.1:8123"), called(host)

    assert (odd.status_code, odd.json) == (200, proper.json)
    assert '"http://127.0.0.1:8123/media/' in odd.text


class Sent:
    """The bytes of a response, as http.client wants a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> BytesIO:
        return BytesIO(self._data)


PREFLIGHTS = [
    ("/v1/whoami", "GET, HEAD"),
    (AVA_PATH, "DELETE, GET, HEAD, PATCH"),
    (IMAGES_PATH, "POST"),
    ("/v1/influencers/inf_nobody", "DELETE, GET, HEAD, PATCH"),
    ("/v1/uploads/x", "PUT"),
    ("/v1/nowhere", None),
    ("/v1", None),
    (f"/media/a/b/{'c' * 21}/original/d", "GET, HEAD"),
    ("/media/nowhere", None),
]
EVERY_METHOD = "DELETE, GET, HEAD, PATCH, POST, PUT"


@pytest.mark.parametrize(("path", "methods"), PREFLIGHTS)
@pytest.mark.parametrize("origin", ["https://app.example", "null", "http://localhost:3000"])
def test_a_preflight_is_answered_without_a_key(client, path, methods, origin):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "x-api-key,content-type,x-anything",
    }

    response = client.options(path, headers=headers)

    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == EVERY_METHOD  # or a page could read no 404 and no 405
    assert response.headers.get("Allow") == methods
    assert response.headers["Access-Control-Allow-Headers"] == "x-api-key,content-type,x-anything"
    assert response.headers["Vary"] == "Access-Control-Request-Headers"


def test_a_preflight_that_asks_for_no_headers_is_told_those_of_the_api(client):
    allowed = client.options(AVA_PATH).headers["Access-Control-Allow-Headers"]

    assert allowed.split(", ") == ["X-Api-Key", "Authorization", "Content-Type", "Idempotency-Key"]


def test_any_origin_may_read_every_reply_of_the_api(demo, app):
    app.add_url_rule("/v1/crash", "crash", lambda: 1 / 0)
    replies = [
        demo.get("/v1/whoami"),
        demo.get("/v1/nowhere"),
        demo.get("/v1"),
        demo.get("/v1/crash"),
        demo.put(AVA_PATH),
        demo.patch(AVA_PATH),
        demo.patch(AVA_PATH, data=b"x" * (2 << 20)),
        demo.get(AVA_PATH, headers={"X-Api-Key": "x"}),
    ]

    assert [reply.status_code for reply in replies] == [200, 404, 404, 500, 405, 422, 413, 401]
    for reply in replies:
        assert reply.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"X-Request-Id", "X-RateLimit-Endpoint-Class", "Idempotent-Replayed", "Retry-After"} <= set(exposed)
        assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize("path", ["//v1/whoami", "///v1/whoami"])
def test_what_is_answered_behind_a_slash_too_many_is_logged_and_readable_as_ever(demo, control, path):
    reply = demo.get("/v1/whoami", environ_overrides={"PATH_INFO": path})

    assert reply.json == demo.get("/v1/whoami").json
    assert reply.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert [entry["path"] for entry in control.get("/requests")["items"]] == ["/v1/whoami", path]


def test_who_only_asks_what_an_unknown_route_allows_is_told_that_there_is_none(client):
    assert refused(client.options("/v1/nowhere")) == NO_ROUTE


@pytest.mark.parametrize(
    ("error", "status"),
    [(LimitRequestLine(9000, 8190), 413), (LimitRequestHeaders("too many"), 413), (InvalidHeader("x"), 422)],
)
def test_any_origin_may_read_what_is_refused_before_the_app(error, status):
    response = HTTPResponse(Sent(raw_refusal(error, "req_x")))
    response.begin()

    assert response.status == status
    assert response.getheader("Access-Control-Allow-Origin") == "*"
    assert "X-Request-Id" in str(response.getheader("Access-Control-Expose-Headers"))
    assert json.loads(response.read())["error"]["requestId"] == "req_x"


@pytest.mark.parametrize("path", ["/nowhere", "/mediation/x", "/v10/whoami", "/", "/_standin/health"])
def test_no_origin_may_read_what_is_not_the_api(client, path):
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    for reply in (client.get(path), client.options(path), client.options(path, headers=asked)):
        assert not [name for name, _ in reply.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 200),
        ({"Range": "bytes=0-9"}, 206),
        ({"Range": "bytes=999999999-"}, 416),
        ({"If-None-Match": "*"}, 304),
        ({"If-Match": '"x"'}, 412),
    ],
)
def test_any_origin_may_read_a_served_file(client, rooms, sent, status):
    with client.get(picture_url(rooms), headers=sent) as reply:
        assert reply.status_code == status
        assert reply.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert {"ETag", "Content-Range"} <= set(reply.headers["Access-Control-Expose-Headers"].split(", "))


@pytest.mark.parametrize("answer", [*({"code": code} for code in STATUS_OF_CODE), {"delayMs": 0}], ids=str)
def test_any_origin_may_read_the_reply_of_a_fault(control, rooms, answer):
    control.post("/faults", answer=answer)
    client = create_app(rooms).test_client()  # its replies are not all told in the document

    for send in (client.get, client.head):
        assert send(AVA_PATH, headers=DEMO).headers.getlist("Access-Control-Allow-Origin") == ["*"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", AVA_PATH, {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", AVA_PATH, {"GET", "HEAD", "PATCH", "DELETE"}),
        ("GET", IMAGES_PATH, {"POST"}),
        ("DELETE", "/v1/whoami", {"GET", "HEAD"}),
        ("TRACE", "/v1/whoami", {"GET", "HEAD"}),
        ("POST", f"/media/a/b/{'c' * 21}/original/d", {"GET", "HEAD"}),
    ],
)
def test_a_method_a_route_does_not_have_is_not_allowed(client, method, path, allowed):
    response = client.open(path, method=method)

    assert refused(response) == {"status": 405, "code": "METHOD_NOT_ALLOWED", "message": "Method not allowed."}
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/v1",
        "/v1/",
        "/v1/nowhere",
        "/v2/whoami",
        "/v1/whoami/",
        "/v1//whoami",
        "/V1/whoami",
        f"{AVA_PATH}/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_is_not_found(demo, method, path):
    assert refused(demo.open(path, method=method)) == NO_ROUTE


@pytest.mark.parametrize("path", ["/v1/whoami", AVA_PATH])
def test_head_is_get_without_the_body(demo, path):
    full, head = demo.get(path), demo.head(path)

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(full.data))
