"""Who may command: whoever sits at this machine, or knows the token; no page of another origin, no guest of a proxy."""

import re
from dataclasses import replace
from socket import AF_INET, AF_UNIX, create_connection, socket
from urllib.parse import urlsplit

import httpx
import pytest
from api_helpers import NO_ROUTE, refused, unchanged
from conftest import AVA, DEMO
from control_helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st
from servers import serving

from app import create_app
from layers_standin.control.operations import operations
from layers_standin.domain.errors import NotFound
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.access import ELSEWHERE, OTHER_HOST, OTHER_ORIGIN, PROXIED, authorize, is_open, why_closed
from layers_standin.web.context import EXPOSED_HEADERS
from layers_standin.web.errors import Forbidden, Unauthenticated

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-the-control-plane"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
NO_TOKEN = {"status": 401, "code": "UNAUTHENTICATED", "message": "Missing or invalid control token."}
HERE = {
    "REQUEST_METHOD": "POST",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
}
LISTED = {"control_hosts": ("standin.local", "localhost"), "control_origins": ("http://localhost:3000",)}
CROSS_SITE = {"HTTP_SEC_FETCH_SITE": "cross-site"}
VISIT = {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "document"}


# On this machine


@pytest.fixture(scope="module")
def over_a_unix_socket():
    """Return what a request over a unix socket has beside its headers; gunicorn names the server as the client does."""
    with socket(AF_UNIX) as connection:
        yield {"gunicorn.socket": connection, "REMOTE_ADDR": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"REMOTE_ADDR": "127.1.2.3"},
        {"REMOTE_ADDR": "::1"},
        {"REMOTE_ADDR": "::ffff:127.0.0.1"},
        {"HTTP_HOST": "localhost:8000"},
        {"HTTP_HOST": "LOCALHOST:8000"},
        {"HTTP_HOST": "127.0.0.1:08000"},
        {"HTTP_HOST": "127.0.0.1", "SERVER_PORT": "80"},
        {"HTTP_HOST": "localhost", "SERVER_PORT": "443", "wsgi.url_scheme": "https"},
        {"HTTP_HOST": "[::1]:8000"},
        {"HTTP_ORIGIN": "http://127.0.0.1:8000"},
        {"HTTP_ORIGIN": "http://127.0.0.1:8000", "HTTP_SEC_FETCH_SITE": "same-origin"},
        {"HTTP_SEC_FETCH_SITE": "none"},
        {"REQUEST_METHOD": "GET", **CROSS_SITE, **VISIT},
        {"HTTP_CONNECTION": "close"},
        {"HTTP_X_REQUEST_ID": "1", "HTTP_TRACEPARENT": "00-1-1-01"},
    ],
    ids=str,
)
def test_who_sits_at_this_machine_may_command(environ):
    assert why_closed(HERE | environ, Settings()) is None
    assert is_open(HERE | environ, Settings())


# What is said of a request, and why it is refused.
REASONS = [
    ({"REMOTE_ADDR": "192.0.2.1"}, ELSEWHERE),
    ({"REMOTE_ADDR": "::ffff:192.0.2.1"}, ELSEWHERE),
    ({"REMOTE_ADDR": "2001:db8::1"}, ELSEWHERE),
    ({"REMOTE_ADDR": "0.0.0.0"}, ELSEWHERE),
    ({"REMOTE_ADDR": ""}, ELSEWHERE),
    ({"REMOTE_ADDR": "<local>"}, ELSEWHERE),
    ({"REMOTE_ADDR": None, "PROXY_PROTOCOL": "LOCAL"}, ELSEWHERE),
    ({"PROXY_PROTOCOL": "TCP4"}, PROXIED),
    ({"REMOTE_ADDR": "127.0.0.1, 192.0.2.1"}, ELSEWHERE),
    *[
        ({f"HTTP_{name}": "127.0.0.1"}, PROXIED)
        for name in (
            "CDN_LOOP",
            "CF_CONNECTING_IP",
            "CF_RAY",
            "CLIENT_IP",
            "FASTLY_CLIENT_IP",
            "FLY_CLIENT_IP",
            "FORWARDED",
            "PROXY_CONNECTION",
            "TRUE_CLIENT_IP",
            "VIA",
            "X_CLIENT_IP",
            "X_CLUSTER_CLIENT_IP",
            "X_ENVOY_EXTERNAL_ADDRESS",
            "X_FORWARDED_ANYTHING",
            "X_FORWARDED_FOR",
            "X_FORWARDED_HOST",
            "X_FORWARDED_PROTO",
            "X_FORWARD_FOR",
            "X_HOST",
            "X_ORIGINAL_HOST",
            "X_PROXYUSER_IP",
            "X_REAL_IP",
            "X_REMOTE_ADDR",
            "X_SCHEME",
        )
    ],
    ({"SERVER_PROTOCOL": "HTTP/1.0"}, PROXIED),
    ({"HTTP_HOST": ""}, OTHER_HOST),
    ({"HTTP_HOST": "rebound.example"}, OTHER_HOST),
    ({"HTTP_HOST": "rebound.example:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "standin.local:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "localhost.rebound.example:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1.rebound.example:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "app.localhost:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "localhost.:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1.:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "2130706433:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "0x7f.0.0.1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1@rebound.example:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "rebound.example@127.0.0.1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1:8000,rebound.example"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1:8000, 127.0.0.1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1:8000/"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1:8000#"}, OTHER_HOST),
    ({"HTTP_HOST": " 127.0.0.1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1:"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1:٨٠٠٠"}, OTHER_HOST),
    ({"HTTP_HOST": "127.0.0.1"}, OTHER_HOST),
    ({"HTTP_HOST": "localhost"}, OTHER_HOST),
    ({"HTTP_HOST": "localhost:8001"}, OTHER_HOST),
    ({"HTTP_HOST": "localhost:80000"}, OTHER_HOST),
    ({"HTTP_HOST": "192.0.2.1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "0.0.0.0:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "[::1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "::1:8000"}, OTHER_HOST),
    ({"HTTP_HOST": "[::2]:8000"}, OTHER_HOST),
    ({"HTTP_ORIGIN": "null"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": ""}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "http://elsewhere.example"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "http://localhost:3000"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "http://127.0.0.1:3000"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "http://localhost:8000"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "https://127.0.0.1:8000"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "http://127.0.0.1:8000,http://elsewhere.example"}, OTHER_ORIGIN),
    (CROSS_SITE, OTHER_ORIGIN),
    ({"HTTP_SEC_FETCH_SITE": "same-site"}, OTHER_ORIGIN),
    ({"HTTP_SEC_FETCH_SITE": "anything"}, OTHER_ORIGIN),
    ({"HTTP_ORIGIN": "http://127.0.0.1:8000", **CROSS_SITE}, OTHER_ORIGIN),
    ({"REQUEST_METHOD": "POST", **CROSS_SITE, **VISIT}, OTHER_ORIGIN),
    (
        {"REQUEST_METHOD": "GET", **CROSS_SITE, "HTTP_SEC_FETCH_MODE": "cors", "HTTP_SEC_FETCH_DEST": "empty"},
        OTHER_ORIGIN,
    ),
    (
        {"REQUEST_METHOD": "GET", **CROSS_SITE, "HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "iframe"},
        OTHER_ORIGIN,
    ),
]
REFUSALS = [environ for environ, _ in REASONS]


@pytest.mark.parametrize(("environ", "reason"), REASONS, ids=str)
def test_nobody_else_may_command(environ, reason):
    assert not is_open(HERE | environ, Settings())
    with pytest.raises(Forbidden, match=re.escape(reason)):
        authorize(HERE | environ, Settings())


@pytest.mark.parametrize("public_url", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000/prefix"])
def test_a_public_url_on_this_machine_closes_nothing(public_url):
    assert why_closed(HERE, Settings(public_url=public_url)) is None


@pytest.mark.parametrize("public_url", ["https://stand-in.example", "http://192.0.2.1:8000", "http://0.0.0.0:8000"])
def test_behind_a_proxy_that_is_reached_by_another_name_nobody_is_known_to_sit_here(public_url):
    assert why_closed(HERE, Settings(public_url=public_url)) == PROXIED


# By other names, from listed origins, and over a unix socket


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, None),
        ({"HTTP_HOST": "standin.local"}, None),
        ({"HTTP_HOST": "StandIn.Local:9000"}, None),
        ({"HTTP_HOST": "localhost:9000"}, None),
        ({"HTTP_HOST": "127.0.0.1:9000"}, OTHER_HOST),
        ({"HTTP_HOST": "standin.local.rebound.example:8000"}, OTHER_HOST),
        ({"HTTP_HOST": "rebound.example@standin.local:8000"}, OTHER_HOST),
        ({"HTTP_HOST": "standin.local.:8000"}, OTHER_HOST),
        ({"HTTP_HOST": "standin.local", "REMOTE_ADDR": "192.0.2.1"}, ELSEWHERE),
        ({"HTTP_HOST": "standin.local", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, PROXIED),
        ({"HTTP_HOST": "standin.local", "HTTP_ORIGIN": "http://elsewhere.example"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "http://localhost:3000"}, None),
        ({"HTTP_ORIGIN": "http://localhost:3000", **CROSS_SITE}, None),
        ({"HTTP_ORIGIN": "http://localhost:3000", "HTTP_SEC_FETCH_SITE": "same-site"}, None),
        ({"HTTP_ORIGIN": "http://localhost:3001"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "https://localhost:3000"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "http://127.0.0.1:3000"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "http://localhost:3000.rebound.example"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "null"}, OTHER_ORIGIN),
        (CROSS_SITE, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "http://localhost:3000", "HTTP_HOST": "rebound.example:8000"}, OTHER_HOST),
        ({"HTTP_ORIGIN": "http://localhost:3000", "REMOTE_ADDR": "192.0.2.1"}, ELSEWHERE),
        ({"HTTP_ORIGIN": "http://localhost:3000", "SERVER_PROTOCOL": "HTTP/1.0"}, PROXIED),
    ],
    ids=str,
)
def test_what_is_listed_is_let_in_and_nothing_beside_it(environ, reason):
    assert why_closed(HERE | environ, Settings(**LISTED)) == reason


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"HTTP_HOST": "localhost"}, None),
        ({"HTTP_HOST": "127.0.0.1:1234"}, None),
        ({"HTTP_HOST": "stand-in.example"}, OTHER_HOST),
        ({"HTTP_HOST": ""}, OTHER_HOST),
        ({"HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.0"}, PROXIED),
        ({"HTTP_HOST": "localhost", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, PROXIED),
        ({"HTTP_HOST": "localhost", "PROXY_PROTOCOL": "TCP4", "REMOTE_ADDR": "192.0.2.1"}, PROXIED),
        ({"HTTP_HOST": "localhost", "HTTP_ORIGIN": "http://elsewhere.example"}, OTHER_ORIGIN),
    ],
    ids=str,
)
def test_a_unix_socket_is_this_machine_unless_a_proxy_shows(over_a_unix_socket, environ, reason):
    assert why_closed(HERE | over_a_unix_socket | environ, Settings()) == reason


def test_no_header_makes_a_connection_a_unix_socket():
    said = {"HTTP_GUNICORN_SOCKET": "x", "HTTP_WERKZEUG_SOCKET": "x", "REMOTE_ADDR": ""}
    assert why_closed(HERE | said, Settings()) == ELSEWHERE
    with socket(AF_INET) as connection:
        assert why_closed(HERE | {"gunicorn.socket": connection, "REMOTE_ADDR": ""}, Settings()) == ELSEWHERE


@given(st.text(), st.text(), st.text())
def test_whatever_is_said_there_is_an_answer(host, origin, authorization):
    said = HERE | {"HTTP_HOST": host, "HTTP_ORIGIN": origin, "HTTP_AUTHORIZATION": authorization}

    for control in ("loopback", "off", TOKEN):
        assert is_open(said, Settings(control=control)) in (True, False)


# With a token


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_who_knows_the_token_may_command_from_anywhere(authorization):
    for environ in ({}, *REFUSALS):
        authorize(HERE | environ | {"HTTP_AUTHORIZATION": authorization}, Settings(control=TOKEN))


WRONG_TOKENS = [
    "",
    TOKEN,
    "Bearer",
    "Bearer ",
    "Bearer loopback",
    "Bearer off",
    "Bearer wrong",
    f"Basic {TOKEN}",
    f"Bearer{TOKEN}",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN.upper()}",
    f"Bearer {TOKEN}, Bearer {TOKEN}",
    f"Bearer {DEMO['X-Api-Key']}",
    "Bearer \u00e9\x00",
]


@pytest.mark.parametrize("authorization", WRONG_TOKENS)
def test_nobody_else_may_command_even_at_this_machine(authorization):
    for said in ({}, {"HTTP_AUTHORIZATION": authorization}):
        with pytest.raises(Unauthenticated):
            authorize(HERE | said, Settings(control=TOKEN))
        assert not is_open(HERE | said, Settings(control=TOKEN))


@pytest.mark.parametrize("mode", ["loopback", "off"])
def test_the_words_for_the_other_modes_are_no_tokens(mode):
    said = HERE | {"HTTP_AUTHORIZATION": f"Bearer {mode}", "REMOTE_ADDR": "192.0.2.1"}

    assert not is_open(said, Settings(control=mode))


def test_where_it_is_off_there_is_nothing_to_command():
    with pytest.raises(NotFound):
        authorize(HERE, Settings(control="off"))


# Every operation there is


@pytest.fixture
def at(rooms):
    """Return the function that makes a client of a service with other settings."""

    def client(**changed):
        return create_app(Services(rooms.store, rooms.media, replace(rooms.settings, **changed))).test_client()

    return client


def path_of(operation):
    names = dict.fromkeys(["<name>", "<organization_id>", "<fault_id>", "<social_account_id>"], "x")
    names["<influencer_id>"] = AVA
    path = operation.path
    for placeholder, value in names.items():
        path = path.replace(placeholder, value)
    assert "<" not in path
    return path


every_operation = pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.name)


def test_there_is_no_route_of_the_control_plane_that_is_no_operation(app):
    routes = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD"}
        if rule.rule.startswith(ROOT)
    }

    assert routes == {(operation.method, operation.path) for operation in operations}


@every_operation
def test_every_operation_is_open_at_this_machine(at, operation):
    response = at().open(path_of(operation), method=operation.method)

    assert response.status_code not in (401, 403, 405)


def not_from_here(reason):
    return {"status": 403, "code": "FORBIDDEN", "message": reason}


@every_operation
def test_every_operation_is_closed_to_everybody_else_who_learns_and_changes_nothing(at, on_disk, operation):
    is_unchanged, client = unchanged(on_disk), at()
    for environ, reason in (
        ({"REMOTE_ADDR": "192.0.2.1"}, ELSEWHERE),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, PROXIED),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, PROXIED),
        ({"HTTP_HOST": "rebound.example"}, OTHER_HOST),
        ({"HTTP_HOST": "localhost:3000"}, OTHER_HOST),
        ({"HTTP_ORIGIN": "null"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "http://elsewhere.example"}, OTHER_ORIGIN),
        ({"HTTP_ORIGIN": "http://localhost:3000"}, OTHER_ORIGIN),
        (CROSS_SITE, OTHER_ORIGIN),
    ):
        how = {"method": operation.method, "data": b"no JSON", "environ_overrides": environ}
        response = client.open(path_of(operation), **how)
        assert refused(response) == not_from_here(reason), environ
        assert "Access-Control-Allow-Origin" not in response.headers
    assert is_unchanged()


@every_operation
def test_every_operation_asks_for_the_token_where_there_is_one(at, on_disk, operation):
    is_unchanged, client, path = unchanged(on_disk), at(control=TOKEN), path_of(operation)
    for authorization in WRONG_TOKENS:
        response = client.open(path, method=operation.method, headers={"Authorization": authorization}, data=b"no JSON")
        assert refused(response) == NO_TOKEN
    for how in ({}, {"query_string": {"token": TOKEN}}, {"headers": {"X-Api-Key": TOKEN}}):
        assert refused(client.open(path, method=operation.method, **how)) == NO_TOKEN
    assert is_unchanged()
    assert client.open(path, method=operation.method, headers=AUTHORIZED).status_code not in (401, 403, 405)


@every_operation
def test_where_it_is_off_every_path_is_as_if_it_had_never_been(at, on_disk, operation):
    is_unchanged, client = unchanged(on_disk), at(control="off")
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = client.open(path_of(operation), method=method, headers=AUTHORIZED)
        nowhere = client.open(f"{ROOT}/nowhere", method=method, headers=AUTHORIZED)
        assert (response.status_code, nowhere.status_code) == (404, 404)
        assert [name for name, _ in response.headers] == [name for name, _ in nowhere.headers]
        if method != "HEAD":
            assert refused(response) == refused(nowhere) == NO_ROUTE
    assert is_unchanged()


def test_a_link_on_another_page_shows_but_commands_nothing(at, on_disk):
    client, is_unchanged = at(), unchanged(on_disk)
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert client.get(f"{ROOT}/clock", headers=visit).status_code == 200
    assert refused(client.post(f"{ROOT}/reset", headers=visit)) == not_from_here(OTHER_ORIGIN)
    assert refused(client.delete(f"{ROOT}/faults", headers=visit)) == not_from_here(OTHER_ORIGIN)
    assert is_unchanged()


# Pages of listed origins

LOCALHOST_3000 = {"Origin": "http://localhost:3000"}


def cors_of(response):
    return {name: text for name, text in response.headers if name.startswith("Access-Control-") or name == "Vary"}


@every_operation
def test_a_page_of_a_listed_origin_asks_commands_and_reads_the_answer(at, operation):
    client, path = at(control_origins=("http://localhost:3000",)), path_of(operation)
    readable = {
        "Access-Control-Allow-Origin": "http://localhost:3000",
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        "Vary": "Origin",
    }

    asked = client.options(path, headers=LOCALHOST_3000 | {"Access-Control-Request-Method": operation.method})
    answers = [
        client.open(path, method=operation.method, headers=LOCALHOST_3000),
        client.open(f"{path}?x=1", method=operation.method, headers=LOCALHOST_3000, data=b"no JSON"),
        client.open(path, method=operation.method, headers=LOCALHOST_3000 | {"Host": "rebound.example"}),
    ]

    assert (asked.status_code, asked.data) == (204, b"")
    assert cors_of(asked) == readable | {
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }
    assert [cors_of(answer) for answer in answers] == [readable] * 3
    assert answers[0].status_code not in (401, 403, 405)
    assert refused(answers[2]) == not_from_here(OTHER_HOST)


@pytest.mark.parametrize("origin", ["null", "http://localhost:3001", "http://elsewhere.example", None])
def test_a_page_of_any_other_origin_gets_no_leave_to_ask(at, origin):
    client = at(control_origins=("http://localhost:3000",))
    headers = {} if origin is None else {"Origin": origin}
    asked = client.options(f"{ROOT}/reset", headers=headers | {"Access-Control-Request-Method": "POST"})

    assert refused(asked) == not_from_here(OTHER_ORIGIN)
    assert cors_of(asked) == {}
    assert cors_of(client.get(f"{ROOT}/health", headers=headers)) == {}


def test_a_page_of_a_listed_origin_needs_the_token_where_there_is_one(at):
    client = at(control=TOKEN, control_origins=("http://localhost:3000",))

    assert client.options(f"{ROOT}/reset", headers=LOCALHOST_3000).status_code == 204
    assert refused(client.post(f"{ROOT}/reset", headers=LOCALHOST_3000)) == NO_TOKEN
    assert client.post(f"{ROOT}/reset", headers=LOCALHOST_3000 | AUTHORIZED).status_code == 200


def test_where_no_origin_is_listed_nobody_is_answered_a_preflight(at):
    assert at().options(f"{ROOT}/reset", headers=LOCALHOST_3000).status_code == 405


# The token is a secret


@pytest.mark.parametrize("log", ["plain", "json"])
def test_the_token_is_told_to_nobody(at, rooms, capsys, caplog, log):
    client = at(control=TOKEN, log=log)
    said = [{}, AUTHORIZED, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}]
    replies = [
        client.open(path, method=method, headers=DEMO | headers | {"Prefer": "code=429"})
        for headers in said
        for method, path in (("GET", f"{ROOT}/health"), ("GET", "/v1/whoami"), ("PATCH", "/v1/nowhere"), ("GET", "/"))
    ]
    replies.append(client.get(f"{ROOT}/requests", headers=AUTHORIZED))

    for reply in replies:
        assert TOKEN not in reply.get_data(as_text=True)
        assert TOKEN not in str(reply.headers)
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err + caplog.text
    assert [
        path for path in rooms.settings.data.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ] == []


# Over a real connection


@pytest.mark.slow
def test_a_real_service_looks_at_who_is_there_and_what_is_said(tmp_path):
    with serving(tmp_path / "store", WEB_CONCURRENCY="1", STANDIN_SYNC="never") as server:
        client = server.client()

        def status(**headers):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.get(f"{ROOT}/health", headers=named).status_code

        assert status() == 200
        assert status(Origin=server.url) == 200
        assert status(Host=f"localhost:{httpx.URL(server.url).port}") == 200
        for said in (
            {"Host": "rebound.example"},
            {"Origin": "http://elsewhere.example"},
            {"Sec_Fetch_Site": "cross-site"},
            {"X_Forwarded_For": "127.0.0.1"},
            {"X_Forwarded_Proto": "https"},
            {"Forwarded": "for=127.0.0.1"},
            {"Via": "1.1 proxy"},
        ):
            assert status(**said) == 403, said


# The lines after the request line, and the statuses that are no way in.
SMUGGLED = [
    ("Host: rebound.example\r\nHost: {here}", (422,)),
    ("Host: {here}\r\nHost: rebound.example", (422,)),
    ("Host: {here}\r\n Host: rebound.example", (422,)),
    ("Host : {here}", (422,)),
    ("Host: {here}, rebound.example", (403,)),
    ("Host: rebound.example\r\nX-Host: {here}", (403,)),
    ("Host: rebound.example\r\nX_Forwarded_Host: {here}", (403,)),
    ("Host: {here}\r\nX-Forwarded-For: 127.0.0.1\r\nConnection: X-Forwarded-For", (403,)),
    ("Host: {here}\r\nx-forwarded-proto: https", (403,)),
    ("Host: {here}\r\nOrigin: http://{here}\r\nOrigin: http://rebound.example", (403,)),
    ("Host: {here}\r\nOrigin: http://{here}, null", (403,)),
    ("Host: {here}\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site", (403,)),
    ("Host: me@{here}", (403,)),
    ("Host:", (403,)),
    ("User-Agent: none", (403,)),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("raw") / "store", WEB_CONCURRENCY="1", STANDIN_SYNC="never") as server:
        yield urlsplit(server.url).netloc


def status_of(address, target, lines, version="1.1"):
    host, _, port = address.partition(":")
    with create_connection((host, int(port)), timeout=60) as connection:
        head = lines.replace("{here}", address)
        connection.sendall(f"GET {target} HTTP/{version}\r\n{head}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "statuses"), SMUGGLED, ids=[lines for lines, _ in SMUGGLED])
def test_no_header_said_twice_or_in_disguise_is_a_way_in(address, lines, statuses):
    assert status_of(address, f"{ROOT}/health", lines) in statuses


@pytest.mark.slow
def test_no_form_of_a_request_line_is_a_way_in(address):
    assert status_of(address, f"{ROOT}/health", "Host: {here}") == 200
    assert status_of(address, f"{ROOT}/health", "Host: {here}", version="1.0") == 403
    for target in (f"{ROOT}/health", f"http://{address}{ROOT}/health", f"http://rebound.example{ROOT}/health"):
        assert status_of(address, target, "Host: rebound.example") in (403, 404, 422)


@pytest.mark.slow
def test_a_real_service_with_a_token_asks_for_it_and_prints_it_nowhere(tmp_path):
    with serving(tmp_path / "store", WEB_CONCURRENCY="1", STANDIN_SYNC="never", STANDIN_CONTROL=TOKEN) as server:
        client = server.client()
        assert client.get(f"{ROOT}/health").status_code == 401
        assert client.get(f"{ROOT}/health", headers=AUTHORIZED | {"Host": "stand-in.example"}).status_code == 200
        assert client.get(f"{ROOT}/health", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert TOKEN not in server.output
