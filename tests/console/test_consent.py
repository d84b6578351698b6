"""The page on which a person says yes or no, and where the answer leads: to those who asked, and to no stranger."""

from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from api_helpers import SPRING
from hypothesis import given
from hypothesis import strategies as st

from app import create_app
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.consent_urls import consent_url
from layers_standin.web.errors import ReturnUrlNotAllowed
from layers_standin.web.logs.output import redacted
from layers_standin.web.return_urls import _RETURN_URL, check_return_url, is_return_url, with_query

BACK = "http://localhost:3000/connected?tab=social"
OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
HOSTILE = "</q><script>alert(1)</script>{{ 7 * 7 }}\u0000"


@pytest.fixture
def own(store, organization):
    return store.for_organization(organization)


@pytest.fixture
def asked(own):
    """Return a function that begins a consent, and returns (state, path of its page)."""

    def asked(**fields):
        body = {"platform": "tiktok", "returnUrl": BACK} | fields
        state = own.social.begin(SPRING, "a key's id", body)["state"]
        return state, consent_url(own, "social", state, "")

    return asked


def accounts_of(own):
    return [
        (account["platform"], account["handle"], account["status"])
        for account in own.social.page(SPRING, {"limit": 200})[0]
    ]


def test_the_page_shows_who_asks_for_what_and_what_is_sent_back(client, asked):
    state, path = asked(usageNote="Posts of the spring", scopes=["video.publish"])
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (200, "text/html")
    for text in ("Spring launch", "Connect a TikTok account", "Posts of the spring", "video.publish", BACK, state):
        assert text in unescape(response.text)
    assert 'value="springlaunch"' in response.text


def test_a_yes_connects_the_account_and_leads_back(client, own, asked, clock):
    state, path = asked()
    response = client.post(path, data={"decision": "yes", "handle": "acme.coffee"}, headers=OWN)
    assert (response.status_code, response.location) == (
        303, f"{BACK}&layers_state={state}&status=success",
    )  # fmt: skip
    assert ("tiktok", "acme.coffee", "connected") in accounts_of(own)


def test_a_script_can_answer_with_a_single_request(client, own, asked):
    _, path = asked(platform="instagram")
    assert client.post(path, data={"decision": "yes"}).status_code == 303
    assert ("instagram", "springlaunch", "connected") in accounts_of(own)


def test_a_no_connects_nothing_and_leads_back(client, own, asked):
    before = accounts_of(own)
    state, path = asked()
    response = client.post(path, data={"decision": "no", "handle": "not a handle"}, headers=OWN)
    assert parse_qs(urlsplit(response.location).query) == {
        "tab": ["social"],
        "layers_state": [state],
        "status": ["failed"],
    }
    assert accounts_of(own) == before


@pytest.mark.parametrize(
    ("first", "end"), [({"decision": "yes", "handle": "one"}, "success"), ({"decision": "no"}, "failed")], ids=str
)
def test_the_first_answer_stays(client, own, asked, first, end):
    state, path = asked()
    client.post(path, data=first)
    after = accounts_of(own)
    for decision in ("yes", "no"):
        again = client.post(path, data={"decision": decision, "handle": "two"})
        assert again.location == f"{BACK}&layers_state={state}&status={end}"
    assert accounts_of(own) == after
    page = client.get(path).text
    assert "<form" not in page
    assert f'href="{BACK}&amp;layers_state={state}&amp;status={end}"' in page


def test_after_ten_minutes_nobody_can_say_yes(client, own, asked, clock):
    before = accounts_of(own)
    state, path = asked()
    clock.move(minutes=10)
    assert "<form" not in client.get(path).text
    response = client.post(path, data={"decision": "yes"})
    assert response.location == f"{BACK}&layers_state={state}&status=failed"
    assert accounts_of(own) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ],
    ids=str,
)
def test_no_page_of_another_origin_can_say_yes(client, own, asked, headers):
    before = accounts_of(own)
    _, path = asked()
    response = client.post(path, data={"decision": "yes"}, headers=headers)
    assert (response.status_code, response.mimetype) == (403, "text/html")
    assert accounts_of(own) == before
    assert "<form" in client.get(path).text


def test_no_page_can_frame_it_and_its_form_leads_nowhere_else(client, asked):
    _, path = asked()
    policy = client.get(path).headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://localhost:3000;" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_what_a_client_sent_is_shown_and_never_run(client, own, asked):
    own.projects.patch(SPRING, {"name": HOSTILE})
    _, path = asked(usageNote=HOSTILE, scopes=[HOSTILE])
    html = client.get(path).text
    assert "<script" not in html
    assert "49" not in html
    assert unescape(html).count("<script>alert(1)</script>{{ 7 * 7 }}\u2400") == 3


@pytest.mark.parametrize("decision", [None, "", "YES", "maybe"])
def test_an_answer_that_is_none_changes_nothing(client, own, asked, decision):
    before = accounts_of(own)
    _, path = asked()
    response = client.post(path, data={} if decision is None else {"decision": decision})
    assert (response.status_code, response.mimetype) == (422, "text/html")
    assert "Must be yes or no" in response.text
    assert accounts_of(own) == before


@pytest.mark.parametrize("handle", ["has space", "Große", "x" * 31, "<b>", "\u0000"])
def test_a_handle_that_is_none_connects_nothing(client, own, asked, handle):
    before = accounts_of(own)
    _, path = asked()
    response = client.post(path, data={"decision": "yes", "handle": handle})
    assert (response.status_code, response.mimetype) == (422, "text/html")
    assert accounts_of(own) == before
    assert client.post(path, data={"decision": "yes", "handle": "fine"}).status_code == 303


def test_only_a_signed_path_has_a_page(client, own, asked):
    _, path = asked()
    for wrong in (path[:-1], path + "x", "/consent/x", "/consent/" + path.rpartition("/")[2].swapcase()):
        for response in (client.get(wrong), client.post(wrong, data={"decision": "yes"})):
            assert (response.status_code, response.mimetype) == (404, "text/html")


def test_a_state_that_is_gone_has_no_page(client, own):
    response = client.get(consent_url(own, "social", "st_unknown", ""))
    assert (response.status_code, response.mimetype) == (404, "text/html")


def test_its_style_is_there_without_a_console(rooms):
    settings = Settings(**vars(rooms.settings) | {"console": "off", "control": "off"})
    client = create_app(Services(rooms.store, rooms.media, settings)).test_client()
    for name, mimetype, status in [
        ("console.css", "text/css", 200),
        ("layers.svg", "image/svg+xml", 200),
        ("live.js", "application/json", 404),
    ]:
        with client.get(f"/pages/{name}") as response:
            assert (response.mimetype, response.status_code) == (mimetype, status)


def test_the_signature_is_in_no_log(asked):
    _, path = asked()
    assert redacted(f'"authorizeUrl":"http://localhost{path}"') == '"authorizeUrl":"http://localhost/consent/***"'
    assert redacted("http://localhost:3000/consent/done") == "http://localhost:3000/consent/done"


# The allow-list

HERE = [
    "http://localhost",
    "http://localhost:3000/a/b?c=d#e",
    "https://127.0.0.1/",
    "http://127.1.2.3:8080",
    "http://[::1]:5173/x",
    "HTTP://LOCALHOST/",
    "http://shop.localhost:3000/",
]
STRANGE = [
    "http://evil.example/",
    "https://app.example.com.evil.example/",
    "http://app.example.com/",
    "https://app.example.com:8443/",
    "http://localhost.evil.example/",
    "http://127.0.0.1.evil.example/",
    "http://2130706433/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://192.0.2.1/?http://localhost",
]
NONE = [
    "",
    "localhost:3000",
    "//localhost/",
    "javascript:alert(1)",
    "data:text/html,x",
    "http://localhost@evil.example/",
    "http://evil.example\\@localhost/",
    "http://evil.example/\\@localhost",
    "http://localhost\t.evil.example/",
    "http://localhost/\r\nSet-Cookie: a=b",
    "http://localhost/\u2028",
    "http://lo\u0441alhost/",
    "http://localhost/ x",
    'http://localhost/"><script>',
    "http:///localhost",
    "http://",
    "http://localhost:123456/",
    "http://localhost:65536/",
    "http://[0]/",
    "http://loc\u212alhost/",
]


@pytest.mark.parametrize("url", [*HERE, "https://app.example.com/back?x=1", "https://APP.example.com"])
def test_an_allowed_address(url):
    assert is_return_url(url)
    check_return_url(url, Settings(return_origins=("https://app.example.com",)))


@pytest.mark.parametrize("url", STRANGE)
def test_an_address_that_is_not_on_the_list(url):
    assert is_return_url(url)
    with pytest.raises(ReturnUrlNotAllowed):
        check_return_url(url, Settings(return_origins=("https://app.example.com",)))


@pytest.mark.parametrize("url", NONE)
def test_what_is_no_address(url):
    assert not is_return_url(url)


@given(st.from_regex(_RETURN_URL, fullmatch=True).filter(is_return_url))
def test_a_query_is_added_and_all_else_stays(url):
    before, after = urlsplit(url), urlsplit(with_query(url, layers_state="st_1", status="success"))
    assert (before.scheme, before.netloc, before.path, before.fragment) == (
        after.scheme, after.netloc, after.path, after.fragment,
    )  # fmt: skip
    assert after.query == "&".join(filter(None, (before.query, "layers_state=st_1&status=success")))
