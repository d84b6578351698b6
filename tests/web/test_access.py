"""Who may command: whoever sits at this machine, or knows the token; no page of another origin, no guest of a proxy."""

from dataclasses import replace

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
from layers_standin.web.access import authorize, is_from_here, is_open
from layers_standin.web.errors import Forbidden, Unauthenticated

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-the-control-plane"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
NOT_FROM_HERE = {
    "status": 403,
    "code": "FORBIDDEN",
    "message": "The control plane answers only on this machine; set STANDIN_CONTROL to a token to open it.",
}
NO_TOKEN = {"status": 401, "code": "UNAUTHENTICATED", "message": "Missing or invalid control token."}
HERE = {
    "REQUEST_METHOD": "POST",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "wsgi.url_scheme": "http",
}
CROSS_SITE = {"HTTP_SEC_FETCH_SITE": "cross-site"}
VISIT = {"HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "document"}


# On this machine


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"REMOTE_ADDR": "127.1.2.3"},
        {"REMOTE_ADDR": "::1"},
        {"REMOTE_ADDR": "::ffff:127.0.0.1"},
        {"HTTP_HOST": "localhost"},
        {"HTTP_HOST": "localhost:8000"},
        {"HTTP_HOST": "LOCALHOST:8000"},
        {"HTTP_HOST": "127.0.0.1"},
        {"HTTP_HOST": "[::1]:8000"},
        {"HTTP_ORIGIN": "http://127.0.0.1:8000"},
        {"HTTP_ORIGIN": "http://127.0.0.1:8000", "HTTP_SEC_FETCH_SITE": "same-origin"},
        {"HTTP_SEC_FETCH_SITE": "none"},
        {"REQUEST_METHOD": "GET", **CROSS_SITE, **VISIT},
    ],
    ids=str,
)
def test_who_sits_at_this_machine_may_command(environ):
    assert is_from_here(HERE | environ, Settings())
    assert is_open(HERE | environ, Settings())


REFUSALS = [
    {"REMOTE_ADDR": "192.0.2.1"},
    {"REMOTE_ADDR": "::ffff:192.0.2.1"},
    {"REMOTE_ADDR": "2001:db8::1"},
    {"REMOTE_ADDR": "0.0.0.0"},
    {"REMOTE_ADDR": ""},
    {"HTTP_HOST": ""},
    {"HTTP_HOST": "rebound.example"},
    {"HTTP_HOST": "localhost.rebound.example:8000"},
    {"HTTP_HOST": "127.0.0.1.rebound.example"},
    {"HTTP_HOST": "127.0.0.1@rebound.example"},
    {"HTTP_HOST": "192.0.2.1:8000"},
    {"HTTP_HOST": "0.0.0.0:8000"},
    {"HTTP_HOST": "[::1"},
    {"HTTP_ORIGIN": "null"},
    {"HTTP_ORIGIN": ""},
    {"HTTP_ORIGIN": "http://elsewhere.example"},
    {"HTTP_ORIGIN": "http://127.0.0.1:3000"},
    {"HTTP_ORIGIN": "http://localhost:8000"},
    {"HTTP_ORIGIN": "https://127.0.0.1:8000"},
    CROSS_SITE,
    {"HTTP_SEC_FETCH_SITE": "same-site"},
    {"HTTP_SEC_FETCH_SITE": "anything"},
    {"HTTP_ORIGIN": "http://127.0.0.1:8000", **CROSS_SITE},
    {"REQUEST_METHOD": "POST", **CROSS_SITE, **VISIT},
    {"REQUEST_METHOD": "GET", **CROSS_SITE, "HTTP_SEC_FETCH_MODE": "cors", "HTTP_SEC_FETCH_DEST": "empty"},
    {"REQUEST_METHOD": "GET", **CROSS_SITE, "HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_DEST": "iframe"},
    *[
        {f"HTTP_{name}": "127.0.0.1"}
        for name in (
            "X_FORWARDED_FOR",
            "X_FORWARDED_HOST",
            "X_FORWARDED_PROTO",
            "X_FORWARDED_ANYTHING",
            "FORWARDED",
            "X_REAL_IP",
            "X_CLIENT_IP",
            "TRUE_CLIENT_IP",
            "CF_CONNECTING_IP",
            "VIA",
        )
    ],
]


@pytest.mark.parametrize("environ", REFUSALS, ids=str)
def test_nobody_else_may_command(environ):
    assert not is_from_here(HERE | environ, Settings())
    assert not is_open(HERE | environ, Settings())
    with pytest.raises(Forbidden):
        authorize(HERE | environ, Settings())


@pytest.mark.parametrize("public_url", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:8000/prefix"])
def test_a_public_url_on_this_machine_closes_nothing(public_url):
    assert is_from_here(HERE, Settings(public_url=public_url))


@pytest.mark.parametrize("public_url", ["https://stand-in.example", "http://192.0.2.1:8000", "http://0.0.0.0:8000"])
def test_behind_a_proxy_that_is_reached_by_another_name_nobody_is_known_to_sit_here(public_url):
    assert not is_from_here(HERE, Settings(public_url=public_url))


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
    names = {"<name>": "x", "<organization_id>": "x", "<fault_id>": "x", "<influencer_id>": AVA}
    path = operation.path
    for placeholder, value in names.items():
        path = path.replace(placeholder, value)
    assert "<" not in path
    return path


def headers_of(environ):
    """Return what has to be sent to be met as that, and as what address."""
    headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    return {"headers": headers, "environ_overrides": {"REMOTE_ADDR": environ.get("REMOTE_ADDR", "127.0.0.1")}}


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


@every_operation
def test_every_operation_is_closed_to_everybody_else_who_learns_and_changes_nothing(at, on_disk, rooms, operation):
    is_unchanged, client = unchanged(on_disk), at()
    for environ in REFUSALS:
        if {"REQUEST_METHOD", "HTTP_ORIGIN"} & environ.keys() or environ.get("HTTP_HOST") == "":
            continue  # said of a certain method or host above; these are the client's
        response = client.open(path_of(operation), method=operation.method, data=b"no JSON", **headers_of(environ))
        assert refused(response) == NOT_FROM_HERE, environ
    for origin in ("null", "http://elsewhere.example", "http://localhost:3000"):
        response = client.open(path_of(operation), method=operation.method, headers={"Origin": origin})
        assert refused(response) == NOT_FROM_HERE, origin
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
    assert refused(client.post(f"{ROOT}/reset", headers=visit)) == NOT_FROM_HERE
    assert refused(client.delete(f"{ROOT}/faults", headers=visit)) == NOT_FROM_HERE
    assert is_unchanged()


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


@pytest.mark.slow
def test_a_real_service_with_a_token_asks_for_it_and_prints_it_nowhere(tmp_path):
    with serving(tmp_path / "store", WEB_CONCURRENCY="1", STANDIN_SYNC="never", STANDIN_CONTROL=TOKEN) as server:
        client = server.client()
        assert client.get(f"{ROOT}/health").status_code == 401
        assert client.get(f"{ROOT}/health", headers=AUTHORIZED | {"Host": "stand-in.example"}).status_code == 200
        assert client.get(f"{ROOT}/health", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
    assert TOKEN not in server.output
