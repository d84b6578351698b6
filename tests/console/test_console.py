"""The console without a browser: who sees what, that nothing of a client's becomes markup, and how little is sent."""

import json
import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from api_helpers import SOL, SPRING, SUMMER, Clock, key_of, living, new_organization, unchanged
from conftest import AVA, AVA_PATH, DEMO, only_sqlite
from content_helpers import made_content, picture
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer
from post_helpers import made_post

from app import create_app
from layers_standin.console.pages import STATUSES, content_of, fault_of, how_of, what_of, when_of
from layers_standin.console.text import Difference, Piece, differences, initials, moment, pretty, texts_of, visible
from layers_standin.control.schemas import Answer
from layers_standin.domain import deliveries as domain_deliveries
from layers_standin.domain.deliveries import after_attempt
from layers_standin.domain.faults import new_rule
from layers_standin.domain.tables import ALL
from layers_standin.services import Services, open_services
from layers_standin.settings import Settings
from layers_standin.web.auth import CALLER
from layers_standin.web.session import COOKIE, _serializer, new_session
from store import Store

pytestmark = pytest.mark.slow

DEMO_ORGANIZATION = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11"
TOKEN = "a-token-of-the-control-plane"
OWN = {"Origin": "http://localhost"}  # what a browser says of a form on our own page
HOSTILE = [
    "<script>alert(1)</script>",
    "\" onload='alert(1)' x=\"",
    "</title></textarea><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}",
    "x" * 128,
    "\u0645\u0631\u062d\u0628\u0627 \u202e\u0628\u0627",  # right to left, and an override
    "👩🏽‍🎤",
    "with\u0000nothing\u0007in it",
]


class Elements(HTMLParser):
    """The elements of a page as (tag, attributes), and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def console_of(rooms: Services, **settings: Any) -> FlaskClient:
    """Return a client of a service with these settings."""
    changed = Settings(**vars(rooms.settings) | settings)
    return create_app(Services(rooms.store, rooms.media, changed)).test_client()


def shown(client: FlaskClient, path: str, status: int = 200, **options: Any) -> str:
    response = client.get(path, **options)
    assert (response.status_code, response.mimetype) == (status, "text/html"), response.text
    return response.text


def pages_of(organization: str) -> list[str]:
    return [
        "/console",
        f"/console?project={SUMMER}",
        "/console?status=archived",
        f"/console/influencers/{organization}/{AVA}",
        "/console/requests",
        "/console/webhooks",
        "/console/faults",
        "/console/faults?organization=all",
        "/console/controls",
        f"/console/controls?organization={organization}",
    ]


def created(demo: FlaskClient, **fields: Any) -> str:
    response = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"} | fields)
    assert response.status_code == 202
    return str(response.json["influencerId"])


def signed_in(rooms: Services, **settings: Any) -> FlaskClient:
    client = console_of(rooms, control=TOKEN, **settings)
    assert client.post("/console/login", data={"token": TOKEN}, headers=OWN).status_code == 303
    return client


# Who sees what


def test_who_sits_at_this_machine_sees_every_page(client, organization):
    for path in pages_of(organization):
        assert "Layers" in shown(client, path)


def test_the_root_leads_to_the_console(client):
    response = client.get("/")
    assert (response.status_code, response.location) == (303, "console")


@pytest.mark.parametrize("off", [{"console": "off"}, {"control": "off"}, {"console": "off", "control": TOKEN}], ids=str)
@pytest.mark.parametrize("path", ["/", "/console", "/console/requests", "/console/login", "/console/static/live.js"])
def test_where_there_is_no_console_there_is_nothing_at_all(rooms, off, path):
    response = console_of(rooms, **off).get(path)
    assert (response.status_code, response.mimetype) == (404, "application/json")


STRANGERS = [
    {"environ_overrides": {"REMOTE_ADDR": "192.0.2.1"}},
    {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    {"headers": {"Host": "rebound.example"}},
    {"headers": {"Origin": "http://elsewhere.example"}},
    {"headers": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}},
    {"headers": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}},
]


@pytest.mark.parametrize("how", STRANGERS, ids=str)
def test_nobody_else_sees_any_page(client, organization, how):
    for path in pages_of(organization):
        assert "Ava" not in shown(client, path, 403, **how)


def test_a_link_on_another_page_leads_here(client):
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert "Spring launch" in shown(client, f"/console?project={SPRING}", headers=visit)
    assert client.put("/_standin/clock", json={"mode": "frozen"}, headers=visit).status_code == 403


@pytest.mark.parametrize("how", STRANGERS, ids=str)
def test_where_it_is_read_only_everybody_sees_all_but_the_controls(rooms, organization, how):
    client = console_of(rooms, console="read-only")
    for path in pages_of(organization):
        elements = Elements(shown(client, path, **how)).found
        assert not [attributes for _, attributes in elements if "data-api" in attributes]
        assert {attributes.get("method") for tag, attributes in elements if tag == "form"} <= {"get", "dialog"}
        assert client.get(path.replace("/console", "/_standin", 1), **how).status_code in (403, 404)
    assert client.put("/_standin/clock", json={"mode": "frozen"}, **how).status_code == 403
    assert client.post("/_standin/reset", **how).status_code == 403


def test_where_it_is_read_only_this_machine_still_commands(rooms):
    assert 'data-api="PUT ../_standin/clock"' in shown(console_of(rooms, console="read-only"), "/console/controls")


def test_a_read_only_console_needs_no_control_plane(rooms, organization):
    client = console_of(rooms, console="read-only", control="off")
    client.get(AVA_PATH, headers=DEMO)
    for path in pages_of(organization):
        assert "data-api" not in shown(client, path)
    assert AVA_PATH in shown(client, "/console/requests")
    assert client.get("/_standin/health").status_code == 404


def test_what_only_reads_changes_nothing(client, organization, on_disk):
    client.get("/console")  # the key that cookies are signed with is made once
    is_unchanged = unchanged(on_disk)
    for path in pages_of(organization):
        shown(client, path)
        assert client.post(path).status_code == 405
    assert is_unchanged()


# Signing in


def test_without_the_token_there_is_a_form_for_it(rooms, organization):
    client = console_of(rooms, control=TOKEN)
    for path in pages_of(organization):
        html = shown(client, path, 401)
        (form,) = (attributes for tag, attributes in Elements(html).found if attributes.get("method") == "post")
        assert urljoin(path, form["action"]) == "/console/login"
        assert "Ava" not in html
        assert "<nav" not in html


def test_a_wrong_token_is_refused_in_a_sentence(rooms):
    client = console_of(rooms, control=TOKEN)
    for token in ("", "wrong", TOKEN[:-1], f"{TOKEN} ", "\u0000", "ключ"):
        response = client.post("/console/login", data={"token": token}, headers=OWN)
        assert (response.status_code, response.headers.get("Set-Cookie")) == (401, None)
        assert "That is not the token." in response.text


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_a_form_may_be_as_large_as_a_body(rooms, kind):
    client = console_of(rooms, control=TOKEN)
    start = b"--b\r\nContent-Disposition: form-data; name=token\r\n\r\n" if "multipart" in kind else b"token="
    reply = client.post("/console/login", data=start + bytes(3 << 20), headers=OWN | {"Content-Type": kind})
    assert reply.status_code == 413


def test_the_token_gives_a_cookie_that_no_script_and_no_other_page_gets_at(rooms):
    client = console_of(rooms, control=TOKEN)
    response = client.post("/console/login", data={"token": TOKEN}, headers=OWN)
    assert (response.status_code, response.location) == (303, "../console")
    cookie = response.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize(
    ("public_url", "path"),
    [("http://localhost", "Path=/"), ("http://localhost/sub", "Path=/sub/"), ("http://localhost/a/b", "Path=/a/b/")],
)
def test_the_cookie_is_for_the_path_that_browsers_see(rooms, public_url, path):
    client = console_of(rooms, control=TOKEN, public_url=public_url)
    given = client.post("/console/login", data={"token": TOKEN}, headers=OWN)
    taken = client.post("/console/logout", headers=OWN)
    for response in (given, taken):
        assert path in response.headers["Set-Cookie"].split("; ")


def test_over_tls_the_cookie_stays_there(rooms):
    client = console_of(rooms, control=TOKEN, public_url="https://stand-in.example")
    headers = {"Origin": "https://stand-in.example", "Sec-Fetch-Site": "same-origin"}
    assert "Secure" in client.post("/console/login", data={"token": TOKEN}, headers=headers).headers["Set-Cookie"]


def test_who_has_signed_in_sees_every_page_and_commands(rooms, organization):
    client = signed_in(rooms)
    for path in pages_of(organization):
        assert "Sign out" in shown(client, path)
    assert client.get("/_standin/health").status_code == 200
    for says_so in (OWN, {"Sec-Fetch-Site": "same-origin"}):
        assert client.put("/_standin/clock", json={"mode": "frozen"}, headers=says_so).status_code == 200


def test_who_has_signed_in_commands_behind_a_proxy_that_ends_tls(rooms):
    client = signed_in(rooms, public_url="https://stand-in.example")
    headers = {"Origin": "https://stand-in.example", "Sec-Fetch-Site": "same-origin"}
    assert client.put("/_standin/clock", json={"mode": "frozen"}, headers=headers).status_code == 200


FOREIGN = [
    {},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://localhost"},
    {"Origin": "http://elsewhere.example"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_other_page_commands_with_the_cookie_or_signs_in_or_out(rooms, headers):
    client = signed_in(rooms)
    assert client.put("/_standin/clock", json={"mode": "frozen"}, headers=headers).status_code == 401
    assert client.post("/_standin/reset", headers=headers).status_code == 401
    assert client.post("/console/login", data={"token": TOKEN}, headers=headers).status_code == 403
    assert client.post("/console/logout", headers=headers).status_code == 403
    assert client.get_cookie(COOKIE) is not None


@pytest.mark.parametrize("headers", [{"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "same-site"}], ids=str)
def test_no_other_page_reads_with_the_cookie(rooms, headers):
    client = signed_in(rooms)
    assert client.get("/_standin/requests", headers=headers).status_code == 401
    assert client.get("/console", headers=headers).status_code == 401


def test_a_bearer_token_is_judged_by_itself(rooms):
    client = signed_in(rooms)
    assert client.get("/_standin/health", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/_standin/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_cookie_is_no_key_of_the_api_and_injects_nothing_there(rooms):
    client = signed_in(rooms)
    assert client.get(AVA_PATH).status_code == 401
    assert client.get(AVA_PATH, headers=DEMO | {"Prefer": "code=429"}).status_code == 200


def test_signing_out_forgets_the_cookie(rooms):
    client = signed_in(rooms)
    assert client.post("/console/logout", headers=OWN).status_code == 303
    shown(client, "/console", 401)


@pytest.mark.parametrize(
    "spoil", [lambda cookie: cookie[:-1], lambda cookie: f"x{cookie}", lambda _: "", lambda _: "é"]
)
def test_a_cookie_that_we_have_not_given_out_opens_nothing(rooms, spoil):
    client = console_of(rooms, control=TOKEN)
    client.set_cookie(COOKIE, spoil(new_session(rooms.store.signing_key(), TOKEN)))
    shown(client, "/console", 401)


def test_another_token_signs_everybody_out(rooms):
    client = console_of(rooms, control=f"{TOKEN}-2")
    client.set_cookie(COOKIE, new_session(rooms.store.signing_key(), TOKEN))
    shown(client, "/console", 401)


def test_after_twelve_hours_one_signs_in_again(rooms):
    client = console_of(rooms, control=TOKEN)
    serializer = _serializer(rooms.store.signing_key(), TOKEN)
    for age_seconds, status in ((12 * 60 * 60 - 60, 200), (12 * 60 * 60 + 60, 401)):
        client.set_cookie(COOKIE, _dumped(serializer, int(time.time()) - age_seconds))
        shown(client, "/console", status)


def _dumped(serializer: URLSafeTimedSerializer, at: int) -> str:
    """Return a cookie as it was given out at a moment."""

    class Then(serializer.default_signer):  # type: ignore[name-defined]
        def get_timestamp(self) -> int:
            return at

    serializer.signer, usual = Then, serializer.signer
    try:
        return str(serializer.dumps("signed in"))
    finally:
        serializer.signer = usual


def test_without_a_token_there_is_nothing_to_sign_in_with(client):
    assert client.post("/console/login", data={"token": "loopback"}, headers=OWN).status_code == 405
    shown(client, "/console/login", 404)


# What is sent


def every_page(demo: FlaskClient, organization: str) -> list[str]:
    paths = [*pages_of(organization), "/console/nowhere", f"/console/influencers/{organization}/nobody"]
    return [demo.get(path).text for path in paths]


@pytest.mark.parametrize(
    "path", ["/console", "/console/nowhere", "/console/static/console.css", "/", "/console?status=x"]
)
def test_every_answer_has_a_strict_policy(client, path):
    with client.get(path) as response:
        policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"


def links_of(html: str) -> list[str]:
    """Return every address that a page names: of links, pictures, scripts, forms and commands."""
    return [
        (text or "").split(" ")[-1]
        for _, attributes in Elements(html).found
        for name, text in attributes.items()
        if name in ("src", "href", "action", "srcset", "data-api")
    ]


def test_no_page_needs_anything_from_elsewhere_and_none_leaves_the_path_of_a_proxy(demo, organization):
    demo.patch(AVA_PATH, json={"vibe": "festive"})
    demo.post("/_standin/snapshots", json={"name": "now"})
    demo.post("/_standin/faults", json={"match": {}, "times": 1, "answer": {"delayMs": 1}})
    paths = [*pages_of(organization), "/console/nowhere", "/console/a%2Fb/c", f"/console/influencers/{organization}/x"]
    found = set()
    for path in [*paths, *[f"{path}{'&' if '?' in path else '?'}fragment=1" for path in paths]]:
        for link in links_of(demo.get(path).text):
            at = urlsplit(urljoin(f"http://proxy.example/sub/path{path}", link))
            assert (at.netloc, at.path[:10]) == ("proxy.example", "/sub/path/"), (path, link)
            found.add(at._replace(scheme="", netloc="", path=at.path.removeprefix("/sub/path"), fragment="").geturl())
    assert len(found) > 30
    for path in found:
        if not path.startswith("/_standin/"):  # commands; see below
            with demo.get(path) as response:
                assert response.status_code == 200 or path.partition("?")[0] in paths, path


def test_a_redirect_stays_under_the_path_of_a_proxy(rooms):
    client = console_of(rooms, control=TOKEN)
    for response in (
        client.get("/"),
        client.post("/console/login", data={"token": TOKEN}, headers=OWN),
        client.post("/console/logout", headers=OWN),
    ):
        below = urljoin(f"http://proxy.example/sub{response.request.path}", response.location)
        assert below == "http://proxy.example/sub/console"


def test_no_page_has_scripts_or_styles_within(demo, organization):
    for html in every_page(demo, organization):
        for tag, attributes in Elements(html).found:
            assert tag != "style"
            assert tag != "script" or "src" in attributes
            assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_pictures_are_asked_of_the_console_s_own_host(rooms):
    html = shown(console_of(rooms, public_url="http://localhost:9"), f"/console?project={SPRING}")
    pictures = [attributes["src"] for tag, attributes in Elements(html).found if tag == "img"]
    assert len([path for path in pictures if path.startswith("media/")]) == 5


def pages_full_of(folder: Path, text: str) -> list[str]:
    """Return the pages of a service in which everything that can be named has this name."""
    settings = Settings(data=folder, sync=False)
    rooms = open_services(settings)
    store = Store(rooms.store.db, Clock())  # or a picture shows when its job ends meanwhile
    demo = create_app(rooms._replace(store=store)).test_client()
    organization = store.organizations.all()[0]
    store.tables.put("organizations", organization | {"name": text})
    demo.environ_base |= {"HTTP_X_API_KEY": store.for_organization(organization["id"]).keys.create(["*"], text)}
    demo.patch(f"/v1/projects/{SPRING}", json={"name": text})
    kim = created(demo, name=text, vibe=text, personality={"traits": [text], "tone": text})
    demo.patch(f"/v1/influencers/{kim}", json={"name": "Kim", "vibe": None})
    demo.patch(f"/v1/influencers/{kim}", json={"name": text, "personality": {"traits": ["Kim", text, "Lee"]}})
    demo.delete(f"/v1/influencers/{kim}", json={"reason": text})
    container, _ = made_content(rooms._replace(store=store), organization["id"], SPRING)
    influencer = {"influencerId": kim, "influencer": {"name": text}}
    rejection = {"status": "rejected", "reason": text}
    store.tables.put("containers", container | influencer | {"caption": text, "approval": rejection})
    demo.post(f"/v1/influencers/{kim}x/clone", query_string={"q": text}, json={text: text})
    fault = {"code": "CONFLICT", "message": text}
    store.faults.add(ALL, new_rule({"match": {"keyId": text}, "answer": fault}, store.now()))  # over HTTP no such key
    paths = [f"/console?project={SPRING}", f"/console/influencers/{organization['id']}/{kim}", "/console/faults"]
    pages = [shown(demo, path) for path in [*paths, "/console/requests"]]
    store.db.close()
    return pages


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_what_clients_send_is_text_and_nothing_else(tmp_path, text):
    plain = [Elements(html) for html in pages_full_of(tmp_path / "plain", "Kim Lee")]
    hostile = [Elements(html) for html in pages_full_of(tmp_path / "hostile", text)]
    for expected, page in zip(plain, hostile, strict=True):
        assert [(tag, list(names)) for tag, names in page.found] == [
            (tag, list(names)) for tag, names in expected.found
        ]
        assert "\x00" not in page.text
    assert all(visible(text) in page.text for page in hostile[:3])


def test_a_key_that_a_client_has_put_into_a_field_is_left_out(demo, organization):
    key = DEMO["X-Api-Key"]
    assert demo.patch(AVA_PATH, json={"vibe": key, "voiceDescription": key}).status_code == 200

    for path in ("/console", f"/console/influencers/{organization}/{AVA}", "/console/requests"):
        page = shown(demo, path)
        assert "lp_test_DEM0DEM0DEM0DEM0_***" in page
        assert key[-12:] not in page


def test_what_a_visitor_asks_for_is_text_and_nothing_else(client):
    for path in ("/console", "/console/requests", "/console/controls"):
        for name in ("status", "project", "organization", "organizationId", "cursor", "operation", "keyId", "limit"):
            response = client.get(path, query_string={name: HOSTILE[0]})
            assert response.status_code in (200, 404, 422)
            assert "<script>alert" not in response.text
    assert "<script>alert" not in client.get(f"/console/{HOSTILE[0]}").text


# Keeping up to date


@pytest.mark.parametrize("path", ["/console/requests?limit=9", f"/console?project={SPRING}"])
def test_a_fragment_is_what_changes_of_a_page_and_not_sent_twice(demo, path):
    first = demo.get(f"{path}&fragment=1")
    assert first.status_code == 200
    assert "<html" not in first.text
    assert first.text.strip() in demo.get(path).text

    known = {"If-None-Match": first.headers["ETag"]}
    assert demo.get(f"{path}&fragment=1", headers=known).status_code == 304

    demo.patch(AVA_PATH, json={"name": "Eva"})
    assert demo.get(f"{path}&fragment=1", headers=known).status_code == 200


def test_a_fragment_shows_what_has_become_of_a_job(demo, clock):
    influencer_id = created(demo, name="Kim")
    seen = []
    for _ in range(4):
        html = shown(demo, f"/console?project={SPRING}&fragment=1")
        card = html.split(f'data-key="{influencer_id}"')[1].split("</li>")[0]
        seen.append((re.search(r'class="chip (\w+)"', card)[1], re.findall(r'value="(\d+)"', card)))
        clock.move(seconds=0.7)
    assert seen == [("pending", ["0"]), ("training", ["35"]), ("training", ["70"]), ("ready", [])]


def test_a_fragment_of_what_is_gone_says_so(demo, organization):
    html = shown(demo, f"/console/influencers/{organization}/nobody?fragment=1", 404)
    assert "Influencer not found." in html
    assert "<html" not in html


def test_looking_every_second_leaves_no_line_in_the_log(client, capsys):
    client.get("/console?fragment=1")
    assert capsys.readouterr().out == ""
    client.get("/console")
    assert " GET /console 200 " in capsys.readouterr().out


@only_sqlite
def test_a_store_that_cannot_be_read_is_a_page_too(client, rooms):
    client.get("/console")
    rooms.store.db.path.rename(rooms.settings.data / "gone")
    assert "unavailable" in shown(client, "/console", 503)


# The pages


def test_the_page_that_opens_first_is_that_of_ava(client):
    html = client.get("/", follow_redirects=True).text
    assert re.findall(r'<h3><a href="[^"]+"><bdi>([^<]+)</bdi>', html) == ["Noor Haddad", "Marcus Reed", "Ava Chen"]


def test_the_overview_shows_the_newest_project_of_all(demo, store, organization):
    assert "<h1><bdi>Spring launch</bdi></h1>" in shown(demo, "/console")
    other = new_organization(store)
    shop = key_of(store, other, "*")
    demo.post("/v1/projects", json={"name": "Newest", "timezone": "UTC"}, headers=shop)

    html = shown(demo, "/console")

    assert "<h1><bdi>Newest</bdi></h1>" in html
    assert f'href="console?organization={organization}"' in html
    assert "Spring launch" in shown(demo, f"/console?organization={organization}")


def test_an_empty_store_says_what_to_do(rooms, tmp_path, settings):
    rooms.store.db.table("organizations", rooms.store.organizations.all()[0]["id"]).truncate()
    assert "Nothing is here yet" in shown(console_of(rooms), "/console")


def test_an_organization_without_a_project_and_a_project_without_influencers_say_so(demo, store):
    other = new_organization(store)
    assert "No project yet" in shown(demo, f"/console?organization={other}")
    demo.post("/v1/projects", json={"name": "Bare", "timezone": "UTC"}, headers=key_of(store, other, "*"))
    assert "This project has no influencers yet" in shown(demo, f"/console?organization={other}")


def cards(html: str) -> list[str]:
    return [unescape(name) for name in re.findall(r"<h3><a [^>]+><bdi>(.*?)</bdi>", html)]


def test_the_overview_is_filtered_by_status(demo, clock):
    created(demo, name="Kim")
    demo.delete(AVA_PATH)
    found = {status: cards(shown(demo, f"/console?project={SPRING}&status={status}")) for status in STATUSES}
    assert found == {"pending": ["Kim"], "training": [], "ready": ["Noor Haddad", "Marcus Reed"], "failed": []}
    assert cards(shown(demo, f"/console?project={SPRING}&status=archived")) == ["Ava Chen"]
    assert cards(shown(demo, f"/console?project={SPRING}")) == ["Kim", "Noor Haddad", "Marcus Reed", "Ava Chen"]


def test_more_influencers_than_fit_are_on_the_next_page(demo, store, organization):
    for number in range(30):
        store.tables.put(
            "influencers",
            living(organization, f"inf_{number:02}", sortKey=f"inf_7{number:025}=inf_{number:02}", name=f"N{number}"),
        )
    first = shown(demo, f"/console?project={SPRING}")
    older = unescape(re.search(r'href="([^"]+)" rel="next"', first)[1])
    second = shown(demo, older)
    assert cards(first) == [f"N{number}" for number in range(29, 5, -1)]
    assert cards(second)[:6] == [f"N{number}" for number in range(5, -1, -1)]
    assert "Newest" in second


def test_an_archived_influencer_shows_why_by_whom_and_when(demo, organization, clock):
    clock.move(days=1)
    demo.delete(AVA_PATH, json={"reason": "Partner requested deletion."})
    for path in (f"/console?project={SPRING}", f"/console/influencers/{organization}/{AVA}"):
        html = shown(demo, path)
        assert "Partner requested deletion." in html
        assert "19 Apr 2026, 09:18:44" in html
        assert "Demo key" in html


def test_a_deleted_key_still_has_its_name(demo, store, organization):
    headers = key_of(store, organization, "*")
    key_id = demo.get("/v1/whoami", headers=headers).json["apiKeyId"]
    demo.delete(AVA_PATH, headers=headers)
    demo.delete(f"/v1/api-keys/{key_id}")
    html = shown(demo, f"/console/influencers/{organization}/{AVA}")
    assert "A key" in html
    assert key_id in html
    assert "No reason was given." in html


def test_the_history_shows_what_changed_and_leads_to_the_request(demo, organization):
    response = demo.patch(AVA_PATH, json={"vibe": "precise", "personality": {"traits": ["curious", "bold"]}})
    html = shown(demo, f"/console/influencers/{organization}/{AVA}")
    request_id = response.headers["X-Request-Id"]
    for told in (
        '<del dir="auto">calm and curious</del>',
        '<ins dir="auto">precise</ins>',
        '<th scope="row">personality.traits</th>',
        '<span dir="auto">curious</span>',
        '<del dir="auto">warm</del>',
        '<ins dir="auto">bold</ins>',
        f'href="../../../console/requests/{request_id}"',
    ):
        assert told in html
    assert f'id="{request_id}"' in shown(demo, "/console/requests")


def test_a_failed_job_says_with_what(demo, store, organization, clock):
    ours = store.for_organization(organization)
    ours.job_failure = {"code": "TRAINING_FAILED", "message": "It did not converge."}
    job = ours.create_influencer(SPRING, {"name": "Kim"})
    clock.move(seconds=10)
    html = shown(demo, f"/console/influencers/{organization}/{job['influencerId']}")
    assert "TRAINING_FAILED: It did not converge." in html
    assert '<span class="chip failed">failed</span>' in html


def generated(demo: FlaskClient, influencer_id: str | None) -> str:
    brief = {"topic": "night runs"} | ({"influencerId": influencer_id} if influencer_id else {})
    reply = demo.post(f"/v1/projects/{SPRING}/content", json={"format": "slideshow_remix", "brief": brief})
    return str(reply.json["containerId"])


def content_on(client: FlaskClient, path: str) -> list[tuple[str, list[str], list[tuple[str, str]]]]:
    """Return (id, texts of its chips, [(link, picture)]) of each container on a page."""
    _, _, section = shown(client, path).partition('data-key="contents">')
    items = re.split(r'<li data-key="', section.partition("</ul>")[0])[1:]
    pairs = r'<a class="image" href="([^"]+)"><img src="([^"]+)"'
    return [
        (item.partition('"')[0], re.findall(r'class="chip \w+">(\w+)', item), re.findall(pairs, item)) for item in items
    ]


def test_content_is_beside_its_influencer_and_stays_when_that_is_deleted(demo, clock, organization):
    own = f"/console/influencers/{organization}/{AVA}"
    assert "Content" not in Elements(shown(demo, own)).text
    demo.patch(f"/v1/projects/{SPRING}/approval-policy", json={"requiresApproval": True})
    first, nobodys, second = generated(demo, AVA), generated(demo, None), generated(demo, AVA)
    assert content_on(demo, own) == [(second, ["queued", "pending"], []), (first, ["queued", "pending"], [])]

    clock.move(minutes=1)
    demo.post(f"/v1/content/{first}/approve")
    demo.post(f"/v1/content/{second}/reject", json={"reason": "Too blue."})
    demo.delete(AVA_PATH)

    for path, ids in ((own, [second, first]), (f"/console?project={SPRING}", [second, nobodys, first])):
        content = content_on(demo, path)
        chips = {second: "rejected", nobodys: "pending", first: "approved"}
        assert [(each[0], each[1]) for each in content] == [(each, ["completed", chips[each]]) for each in ids]
        for link, thumbnail in [pair for each in content for pair in each[2]]:
            for address, kind in ((link, "image/jpeg"), (thumbnail, "image/webp")):
                with demo.get(urljoin(path, address)) as response:
                    assert (response.status_code, response.mimetype) == (200, kind)
        assert [len(each[2]) for each in content] == [3] * len(ids)
        assert "Too blue." in shown(demo, path)
    assert content_on(demo, f"/console?project={SPRING}&status=ready") == []


def test_a_video_is_shown_by_its_poster_alone(rooms, organization):
    container, poster = made_content(rooms, organization, SPRING)
    video = picture(rooms, organization, SPRING) | {"kind": "video"}
    view = content_of(container | {"assets": [video, poster]}, rooms.store.for_organization(organization).now_ms())
    assert view["shown"] == [video]


def test_failed_content_says_with_what(demo, organization):
    answer = {"failJob": {"code": "NO_LUCK", "message": "It did not work."}}
    demo.post("/_standin/faults", json={"match": {"operation": "generateContent"}, "answer": answer})
    demo.put("/_standin/clock", json={"mode": "frozen"})
    generated(demo, AVA)
    demo.put("/_standin/clock", json={"advance": "PT1H"})
    page = shown(demo, f"/console/influencers/{organization}/{AVA}")
    assert "NO_LUCK: It did not work." in page


def test_the_overview_tells_the_credits(demo):
    before = re.search(r"([\d,]+) credits", shown(demo, "/console"))[1].replace(",", "")
    assert int(before) == demo.get("/v1/credits").json["balance"]
    generated(demo, None)
    assert f"{int(before) - 50:,} credits" in shown(demo, "/console")


def test_the_credits_of_the_organization_are_set_beside_them(demo, organization):
    found = re.search(r"data-api=\"PUT ([^\"]*credits)\" data-body='([^']+)'", shown(demo, "/console"))
    assert urljoin("/console", found[1]) == "/_standin/credits"
    body = json.loads(unescape(found[2]))
    assert body == {"organizationId": organization}
    assert demo.put("/_standin/credits", json=body | {"balance": -1200}).status_code == 200
    assert "-1,200 credits" in shown(demo, "/console")


def test_an_influencer_is_found_by_its_uuid_in_any_case(demo, organization):
    assert "Sol Rivera" in shown(demo, f"/console/influencers/{organization}/{SOL.upper()}")


def test_the_request_log_is_filtered_and_leaves_secrets_out(demo, organization):
    demo.get(AVA_PATH)
    demo.patch(AVA_PATH, json={"vibe": "so"}, headers={"Idempotency-Key": "one"})
    demo.get("/v1/nowhere")
    html = shown(demo, "/console/requests")
    assert "-X PATCH" in html
    assert "$LAYERS_API_KEY" in html
    assert "local-stand-in-demo-key" not in html

    def rows(**query: str) -> list[str]:
        html = shown(demo, "/console/requests", query_string=query | {"fragment": "1"})
        return re.findall(r'<b class="method">(\w+)</b>', html)

    assert (
        rows(),
        rows(status="404"),
        rows(operation="getInfluencer"),
        rows(idempotencyKey="one", status="", keyId=""),
        rows(keyId="nobody"),
    ) == (["GET", "PATCH", "GET"], ["GET"], ["GET"], ["PATCH"], [])
    shown(demo, "/console/requests?status=many", 422)


def searched(client: FlaskClient, **query: str) -> list[str]:
    """Return `METHOD status` of the requests on the page of a search, newest first."""
    html = shown(client, "/console/requests", query_string=query | {"fragment": "1"})
    return [
        f"{method} {status}"
        for status, method in re.findall(
            r'<span class="code-chip \w+">(\d+)</span>.*?<b class="method">(\w+)</b>', html, re.S
        )
    ]


@pytest.fixture
def four(demo: FlaskClient, control: Any) -> None:
    """Make four requests, three of one organization and one of another."""
    _, key = control.organization()
    demo.patch(AVA_PATH, json={"vibe": "Night Owl"}, headers={"X-Trace": "t-1"})
    demo.patch(AVA_PATH, json={"vibe": 7})
    demo.get("/v1/projects?limit=3")
    demo.get(AVA_PATH, headers=key)


ALL_FOUR = ["GET 404", "GET 200", "PATCH 422", "PATCH 200"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ALL_FOUR),
        ({"text": "owl NIGHT"}, ["PATCH 200"]),
        ({"text": "x-trace: t-1"}, ["PATCH 200"]),
        ({"text": "limit=3"}, ["GET 200"]),
        ({"text": "retry later"}, []),
        ({"text": "patch influencers"}, ["PATCH 422", "PATCH 200"]),
        ({"status": "4xx"}, ["GET 404", "PATCH 422"]),
        ({"status": "422"}, ["PATCH 422"]),
        ({"status": "4xx", "operation": "patchInfluencer"}, ["PATCH 422"]),
        ({"status": "5xx"}, []),
        ({"organizationId": DEMO_ORGANIZATION}, ALL_FOUR[1:]),
        ({"organizationId": "nobody"}, []),
        ({"within": "60"}, ALL_FOUR),
        ({"since": "2020-01-01T00:00"}, ALL_FOUR),
        ({"since": "2020-01-01T00:00:00Z", "until": "2020-01-01T01:00:00+01:00"}, []),
        ({"until": "2999-01-01T00:00:00.5", "text": "", "operation": ""}, ALL_FOUR),
        ({"limit": "1"}, ALL_FOUR[:1]),
        ({"faultId": "fault_none"}, []),
    ],
    ids=str,
)
def test_requests_are_found_by_all_that_is_asked_of_them(client, four, query, found):
    assert searched(client, **query) == found


@pytest.mark.parametrize(
    "query",
    [{"status": "6xx"}, {"status": "44"}, {"since": "yesterday"}, {"until": "2020-01-01"}, {"within": "7"}],
    ids=str,
)
def test_what_cannot_be_searched_for_is_said(client, query):
    (name,) = query
    assert f'<p dir="auto">{name}: ' in shown(client, "/console/requests", 422, query_string=query)


def test_a_search_counts_what_fits_and_keeps_itself_in_every_link(client, four):
    html = shown(client, f"/console/requests?organizationId={DEMO_ORGANIZATION}&text=v1&limit=1&status=4xx")
    text = re.sub(r"\s+", " ", Elements(html).text)
    assert "1 of 4 requests" in text
    assert "Any 3 2xx 2 3xx 0 4xx 1 5xx 0" in text
    (path,) = re.findall(r'href="([^"]+)"[^>]*>2xx', html)
    assert dict(parse_qsl(urlsplit(unescape(path)).query)) == {
        "organizationId": DEMO_ORGANIZATION,
        "text": "v1",
        "status": "2xx",
    }
    assert "Show more" not in html
    more = shown(client, "/console/requests?text=v1&limit=1")
    (path,) = re.findall(r'href="([^"]+)"[^>]*>Show more', more)
    assert dict(parse_qsl(urlsplit(unescape(path)).query)) == {"text": "v1", "limit": "4"}


def test_one_request_is_compared_with_the_one_before_of_its_operation_and_organization(client, demo, four):
    reply = demo.patch(f"{AVA_PATH}?x=1", json={"vibe": 7, "personality": {"humor": "dry"}}, headers={"X-Trace": "t-2"})
    page = shown(client, f"/console/requests/{reply.headers['X-Request-Id']}")
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>\s*<td>(.*?)</td>\s*<td>(.*?)</td>', page, re.S)
    assert [tuple(" ".join(Elements(part).text.split()) for part in row) for row in rows] == [
        ("query", "not set", "x=1"),
        ("headers.X-Trace", "not set", "t-2"),
        ("sent.personality.humor", "not set", "dry"),
    ]
    assert "not in it" not in page
    assert shown(client, "/console/requests/req_none", 404).count("is not among the newest 1000 of the log") == 2


def asked_again(client: FlaskClient, request_id: str, status: int = 303, **how: Any) -> str:
    """Press the button; return the path that it leads to."""
    response = client.post(f"/console/requests/{request_id}/again", **{"headers": OWN} | how)
    assert response.status_code == status, response.text
    return urljoin(f"/console/requests/{request_id}/again", response.location or "")


def test_a_request_is_asked_again_as_it_was_in_the_name_of_its_key(client, control, store):
    organization, key = control.organization()
    body = '{"name": "É", "timezone": "UTC"}'
    headers = key | {"Idempotency-Key": "once", "Content-Type": "application/json"}
    first = client.post("/v1/projects", data=body.encode(), headers=headers)
    path = asked_again(client, first.headers["X-Request-Id"])

    again, *_ = control.get("/requests", limit=1)["items"]
    assert path == f"/console/requests/{again['requestId']}"
    assert (again["status"], again["replayed"], again["request"], again["organizationId"]) == (
        201,
        True,
        body,
        organization,
    )
    assert json.loads(again["response"]) == first.json
    assert again["headers"]["User-Agent"] == "Layers stand-in console"
    assert "replayed" in shown(client, path)
    assert shown(client, asked_again(client, again["requestId"]))  # and once more
    assert len(store.for_organization(organization).projects.page({"limit": 9})[0]) == 1


def test_a_request_without_a_key_is_asked_again_without_one_and_one_with_a_wrong_key_is_not(client):
    for headers, status in (({}, 303), ({"X-Api-Key": "wrong"}, 409), ({"Authorization": "Bearer x"}, 409)):
        refused = client.get(AVA_PATH, headers=headers)
        assert refused.status_code == 401
        asked_again(client, refused.headers["X-Request-Id"], status)


def test_the_key_of_a_request_must_still_be_one(client, control, store):
    organization, key = control.organization()
    first = client.get("/v1/whoami", headers=key).headers["X-Request-Id"]
    keys = store.for_organization(organization).keys
    (only,) = keys.all()
    keys.kill(only["apiKeyId"])
    assert "503 GET" in re.sub(r"\s+", " ", Elements(shown(client, asked_again(client, first))).text)
    keys.rotate(only["apiKeyId"])
    assert "401 GET" in re.sub(r"\s+", " ", Elements(shown(client, asked_again(client, first))).text)


def test_a_fault_strikes_what_is_asked_again_even_one_that_hangs_up(client, demo, control):
    first = demo.get(AVA_PATH).headers["X-Request-Id"]
    for answer in ({"dropConnection": True}, {"code": "CONFLICT"}):
        control.post("/faults", answer=answer, times=1)
    assert "444 GET" in re.sub(r"\s+", " ", Elements(shown(client, asked_again(client, first))).text)
    assert "409 GET" in re.sub(r"\s+", " ", Elements(shown(client, asked_again(client, first))).text)


@pytest.mark.parametrize("how", [*STRANGERS, {"headers": {}}], ids=str)
def test_nobody_else_asks_again(client, demo, control, how):
    first = demo.get(AVA_PATH).headers["X-Request-Id"]
    asked_again(client, first, 403, **how)
    assert len(control.get("/requests")["items"]) == 1


def test_who_only_looks_asks_nothing_again(rooms, demo):
    first = demo.get(AVA_PATH).headers["X-Request-Id"]
    visitor = console_of(rooms, console="read-only", control="off")
    assert "Ask again" not in shown(visitor, f"/console/requests/{first}")
    asked_again(visitor, first, 404)
    asked_again(console_of(rooms, control=TOKEN), first, 401)
    asked_again(signed_in(rooms), first, 303)


def test_no_header_makes_a_client_the_caller_of_another_key(client):
    for name in (CALLER, "standin_caller", "Standin-Caller", "STANDIN.CALLER"):
        assert client.get("/v1/whoami", headers={name: "DEM0DEM0DEM0DEM0"}).status_code == 401


def test_presets_are_told_with_their_rules(client, control, organization):
    html = shown(client, f"/console/faults?organization={organization}")
    text = re.sub(r"\s+", " ", Elements(html).text)
    for preset in control.get("/fault-presets")["items"]:
        assert f"<b>{preset['name']}</b>" in html
        assert preset["description"] in text
        body = {"preset": preset["name"], "organizationId": organization}
        assert json.dumps(body, sort_keys=True) in unescape(html)
    assert "Any request: answers RATE_LIMITED, Retry-After 1, each 2nd time" in text
    control.post("/faults", preset="flaky-gateway", organizationId=organization)
    text = re.sub(r"\s+", " ", Elements(shown(client, f"/console/faults?organization={organization}")).text)
    assert "flaky-gateway answers 502 each 3rd time 0, no end" in text


def test_a_fault_tells_on_which_requests_it_struck(client, demo, control, organization):
    made = control.post("/faults", match={"operation": "whoami"}, answer={"delayMs": 0}, organizationId=organization)
    struck = [demo.get("/v1/whoami").headers["X-Request-Id"] for _ in range(7)]
    html = shown(client, f"/console/faults?organization={organization}")
    assert re.findall(r'href="\.\./console/requests/(req_\w+)"', html) == struck[:1:-1]
    assert f'href="../console/requests?faultId={made["id"]}"' in html
    assert searched(client, faultId=made["id"]) == ["GET 200"] * 7


def test_a_fault_is_told_where_it_is_in_force_and_where_it_struck(demo, organization):
    match, answer = {"operation": "getInfluencer"}, {"code": "RATE_LIMITED", "retryAfter": 7}
    made = demo.post("/_standin/faults", json={"match": match, "times": 2, "answer": answer})
    assert made.status_code == 201
    assert demo.get(AVA_PATH).status_code == 429
    assert "1 fault in force" in unescape(re.sub(r"<[^>]+>", "", shown(demo, f"/console?project={SPRING}")))
    assert ">fault</span>" in shown(demo, "/console/requests")
    for path in ("/console/faults", "/console/faults?organization=all"):
        html = shown(demo, path)
        assert "answers RATE_LIMITED, Retry-After 7" in html
        assert "1 of 2" in html


def test_the_clock_is_told_where_it_is_not_the_real_one(demo, organization):
    assert "The clock is" not in shown(demo, "/console")
    demo.put("/_standin/clock", json={"mode": "frozen", "at": "2030-01-02T03:04:05Z", "organizationId": organization})
    assert "The clock is frozen" in shown(demo, "/console")
    assert "2 Jan 2030, 03:04:05" in shown(demo, f"/console/controls?organization={organization}")
    assert "real time" in shown(demo, "/console/controls")


@only_sqlite
def test_a_snapshot_that_lacks_a_file_stands_in_nobodys_way_and_can_be_deleted(demo, control, rooms):
    damaged = control.post("/snapshots", name="damaged")
    (folder,) = (rooms.settings.data / "snapshots").iterdir()
    min(folder.glob("*/*")).unlink()
    whole = control.post("/snapshots", name="whole")

    assert control.get("/snapshots") == {"items": [damaged, whole]}
    assert "damaged" in shown(demo, "/console/controls")
    assert control.send("POST", "/snapshots/damaged/restore").status_code == 503
    assert control.post("/snapshots/whole/restore") == {"name": "whole", "restored": True}
    assert control.delete("/snapshots/damaged") == {"name": "damaged", "deleted": True}
    assert control.get("/snapshots") == {"items": [whole]}
    assert not folder.exists()


def test_the_controls_ask_what_the_control_plane_has(demo, app, organization):
    served = {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods}
    templates = [(method, re.compile(re.sub(r"<[^>]+>", "[^/]+", path))) for method, path in served]
    pages = (f"/console/controls?organization={organization}", "/console/requests", "/console/faults")
    html = "".join(shown(demo, path) for path in pages)
    html = html.replace(" ../_standin", " /_standin")  # as these pages mean it
    asked = {unescape(api) for api in re.findall(r'data-api="([^"]+)"', html)}
    assert len(asked) > 7
    for api in asked:
        method, path = api.split(" ", 1)
        assert [1 for served, fits in templates if served == method and fits.fullmatch(urlsplit(path).path)], api


# Words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-04-18T09:18:44Z", "18 Apr 2026, 09:18:44"),
        ("2026-12-01T00:00:00.120Z", "1 Dec 2026, 00:00:00"),
        ("yesterday", "yesterday"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_moment_is_said_as_people_do(text, said):
    assert moment(text) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [("Ava Chen", "AC"), ("ava", "A"), ("Maya de la Cruz", "MC"), ("<b> x", "BX"), ("🦊", "?"), ("", "?"), ("é", "É")],
)
def test_initials_are_letters(name, said):
    assert initials(name) == said


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, []),
        ("so", ["so"]),
        ("", ["“”"]),
        (True, ["true"]),
        (["a", "b"], ["a", "b"]),
        ([], []),
        ({"a": 1}, ['{"a":1}']),
        ([{"assetId": "asset_1", "addedAt": "2026-04-18T09:18:44Z"}], ["asset_1, added 18 Apr 2026, 09:18:44"]),
    ],
)
def test_a_value_is_shown_as_texts(value, texts):
    assert texts_of(value) == texts


def test_a_difference_is_told_field_by_field():
    before = {"vibe": "calm", "personality": {"traits": ["curious", "warm"], "tone": "dry"}, "name": "Ava"}
    after = {"vibe": None, "personality": {"traits": ["curious", "bold"]}, "name": "Ava"}
    assert differences(before, after) == [
        Difference("vibe", [Piece("calm", False)], []),
        Difference(
            "personality.traits",
            [Piece("curious", True), Piece("warm", False)],
            [Piece("curious", True), Piece("bold", False)],
        ),
        Difference("personality.tone", [Piece("dry", False)], []),
    ]


records = st.dictionaries(
    st.sampled_from(["vibe", "style", "personality", "referenceImages"]),
    st.none() | st.text(max_size=3) | st.lists(st.text(max_size=3)) | st.dictionaries(st.text(max_size=3), st.text()),
)


@given(records, records)
def test_differences_are_the_same_read_backwards_and_none_with_itself(before, after):
    forth, back = differences(before, after), differences(after, before)
    assert {(each.field, tuple(each.before), tuple(each.after)) for each in forth} == {
        (each.field, tuple(each.after), tuple(each.before)) for each in back
    }
    assert differences(before, before) == []


@given(st.text())
def test_what_is_shown_can_be_in_html(text):
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]", visible(text))
    assert len(visible(text)) == len(text)


def test_a_body_is_shown_with_its_lines_indented_unless_it_is_no_json():
    assert pretty('{"a":1}') == '{\n  "a": 1\n}'
    assert pretty('{"a":') == '{"a":'
    assert pretty("") == ""


SAID_OF = [
    ({"code": "KILL_SWITCH", "message": "Gone."}, "answers KILL_SWITCH: Gone."),
    ({"code": "RATE_LIMITED", "retryAfter": 3}, "answers RATE_LIMITED, Retry-After 3"),
    ({"delayMs": 50}, "waits 50 ms"),
    ({"delayMs": 50, "dropConnection": True}, "waits 50 ms, hangs up before the effect"),
    ({"truncateBody": 0}, "hangs up after 0 bytes"),
    ({"loseReplyAfterEffect": True}, "acts, and hangs up without a reply"),
    ({"failJob": {"code": "X", "message": "y"}}, "lets the job fail with X: y"),
    ({"failPost": {"code": "X", "message": "y"}}, "lets the posts fail with X: y"),
    ({"webhook": "twice"}, "delivers twice"),
    ({"webhook": "late", "lateByMs": 500}, "delivers late, by 500 ms"),
    ({"status": 502, "body": "<h1>", "headers": {"X-A": "b"}}, "answers 502, with X-A"),
    ({"code": "TEAPOT", "status": 418}, "answers TEAPOT, as a 418"),
    ({"resetConnection": True}, "resets the connection before the effect"),
    ({"slowBodyMs": 900}, "sends the body over 900 ms"),
]


@pytest.mark.parametrize(("answer", "words"), SAID_OF)
def test_what_goes_wrong_is_said_in_words(answer, words):
    assert how_of(answer) == words


def test_there_are_words_for_all_that_can_go_wrong():
    assert {name for answer, _ in SAID_OF for name in answer} >= Answer().fields.keys() - {"details", "body"}


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ({}, "Any request"),
        ({"operation": "createJob"}, "createJob"),
        ({"method": "GET", "path": "/v1/jobs/{id}"}, "GET /v1/jobs/{id}"),
        ({"keyId": "K"}, "Any request with key K"),
        ({"event": "post.failed"}, "Deliveries of post.failed"),
        (
            {"influencerId": "inf_1", "headers": {"X-A": "b*"}, "body": {"/vibe": ["x"]}},
            'Any request for inf_1 with X-A: b* with /vibe ["x"]',
        ),
    ],
)
def test_which_requests_go_wrong_is_said_in_words(match, words):
    assert what_of(match) == words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "each time"),
        ({"after": 2}, "each time after the first 2"),
        ({"after": 0, "every": 3}, "each 3rd time"),
        ({"after": 1, "every": 5}, "each 5th time after the first 1"),
    ],
)
def test_when_a_fault_strikes_is_said_in_words(rule, words):
    assert when_of(rule) == words


def test_a_fault_without_an_end_is_never_spent():
    fault = {"id": "f", "organizationId": None, "match": {}, "answer": {}, "times": None, "used": 9}
    assert (fault_of(fault, None)["used"], fault_of(fault, None)["is_spent"]) == ("9, no end", False)
    assert fault_of(fault | {"times": 9}, None)["is_spent"]


def test_the_posts_and_accounts_of_a_project_are_shown(client, demo, rooms, organization, control):
    own = rooms.store.for_organization(organization)
    container, _ = made_content(rooms, organization, SPRING)
    _, post = made_post(own, container, caption=HOSTILE[0], failure={"code": "X", "message": HOSTILE[2]})
    account_id = listed_accounts(demo)[0]
    control.put(f"/social-accounts/{account_id}", status="reauth_required")

    page = Elements(shown(client, f"/console?project={SPRING}"))

    assert f"@acme tiktok, direct publish{HOSTILE[0]}" in re.sub(r"\s*\n\s*", "", page.text)
    assert "queued" in page.text
    assert "reauth required" in page.text
    assert [each for tag, each in page.found if tag == "form" and account_id in (each.get("data-api") or "")]
    assert f"@{post['handle']}" in page.text


def listed_accounts(demo: FlaskClient) -> list[str]:
    return [each["socialAccountId"] for each in demo.get(f"/v1/projects/{SPRING}/social-accounts").json["items"]]


def test_endpoints_and_deliveries_are_shown_tested_paused_and_replayed(client, demo, rooms, organization, control):
    made = demo.post(
        "/v1/webhook-endpoints",
        json={"url": "http://127.0.0.1:9/hook", "events": ["job.completed"], "description": HOSTILE[0]},
    ).json
    endpoint_id = made["endpoint"]["id"]
    control.put("/clock", mode="frozen")
    deliveries = rooms.store.for_organization(organization).deliveries
    tested = control.post(f"/webhook-endpoints/{endpoint_id}/test")
    answer = domain_deliveries.Answer(503, HOSTILE[2])
    answered = after_attempt(deliveries.get(tested["id"]), answer, deliveries.now_ms())
    deliveries.put(answered)
    path = f"/console/webhooks?organization={organization}"

    page = Elements(shown(client, path))

    assert HOSTILE[0] in page.text
    assert HOSTILE[2] in page.text
    assert "503" in page.text
    assert "1 attempt, the next" in re.sub(r"\s+", " ", page.text)
    assert made["signingSecret"] not in page.text
    commands = [each.get("data-api") or "" for tag, each in page.found if tag == "form"]
    assert [each.rpartition("_standin")[2] for each in commands if "webhook" in each] == [
        f"/webhook-endpoints/{endpoint_id}/test",
        f"/webhook-endpoints/{endpoint_id}",
        f"/webhook-deliveries/{tested['id']}/replay",
    ]
    replay = control.post(f"/webhook-deliveries/{tested['id']}/replay")
    assert (replay["id"] != tested["id"], replay["eventType"]) == (True, "test.ping")
    assert replay["id"] in shown(client, f"{path}&endpoint={endpoint_id}")
    assert control.put(f"/webhook-endpoints/{endpoint_id}", status="paused")["status"] == "paused"
    assert control.send("POST", f"/webhook-endpoints/{endpoint_id}/test", {}).status_code == 409
    assert "Activate" in shown(client, path)
    assert control.send("PUT", "/webhook-endpoints/whe_none", {"status": "active"}).status_code == 404
    assert control.send("POST", "/webhook-deliveries/whd_none/replay", {}).status_code == 404


def test_a_request_says_what_nothing_read(client):
    client.get("/v1/projects?pageSize=3", headers=DEMO)
    asked = client.get("/_standin/requests").json["items"][0]["requestId"]
    assert "<li>query <code>pageSize</code>" in shown(client, f"/console/requests/{asked}")
