"""The console in a real browser, on a real service: that it lives, that it can be used by hand, and by everybody."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple

import httpx
import pytest
from api_helpers import SPRING
from conftest import AVA, AVA_PATH
from servers import PATIENCE_SECONDS, Server, serving

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("the console is tested in Chromium, which is not here", allow_module_level=True)

playwright_api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser, and is not here")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core looks for barriers")

Browser, Page, expect = playwright_api.Browser, playwright_api.Page, playwright_api.expect
expect.set_options(timeout=20_000)

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 740}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "x" * 128,
    "\u0645\u0631\u062d\u0628\u0627 \u202e\u0628\u0627",
    "\U0001f469\U0001f3fd\u200d\U0001f3a4 Kim",
    "nothing\u0000here",
]


class Shop(NamedTuple):
    """An organization of its own with one project: what one test does there, no other sees."""

    organization: str
    project: str
    api: httpx.Client

    @property
    def overview(self) -> str:
        return f"/console?organization={self.organization}"

    def create(self, **fields: Any) -> str:
        reply = self.api.post(f"/v1/projects/{self.project}/influencers", json={"name": "Kim"} | fields)
        return str(reply.raise_for_status().json()["influencerId"])

    def delete(self, influencer_id: str, reason: str) -> None:
        self.api.request("DELETE", f"/v1/influencers/{influencer_id}", json={"reason": reason}).raise_for_status()

    def generate(self, **fields: Any) -> str:
        reply = self.api.post(f"/v1/projects/{self.project}/content", json=fields)
        return str(reply.raise_for_status().json()["containerId"])

    def ask_to_connect(self, return_url: str = "http://localhost/", **fields: Any) -> dict[str, str]:
        """Return the state of a new consent, and the URL of its page."""
        body = {"platform": "tiktok", "returnUrl": return_url} | fields
        return self.api.post(f"/v1/projects/{self.project}/social/oauth-url", json=body).raise_for_status().json()

    def publish(self, caption: str) -> str:
        """Connect an account and publish a slideshow there, on a clock that stands still; return the post's URL."""
        consent = self.ask_to_connect()
        assert self.api.post(consent["authorizeUrl"], data={"decision": "yes", "handle": "acme"}).status_code == 303
        account = self.api.get(f"/v1/social/oauth-status/{consent['state']}").json()["socialAccountId"]
        container = self.generate(format="slideshow_remix", brief={"topic": "night runs"})
        self.clock(advance="PT5S")
        target = {"socialAccountId": account, "mode": "direct_publish", "captionOverride": caption}
        body = {"scheduledFor": "2026-01-01T00:00:00Z", "targets": [target]}
        reply = self.api.post(f"/v1/content/{container}/schedule", json=body).raise_for_status().json()
        self.clock(advance="PT5S")
        return str(self.api.get(f"/v1/scheduled-posts/{reply['scheduledPosts'][0]['id']}").json()["externalUrl"])

    def listen(self, url: str, description: str = "") -> str:
        """Make an endpoint for all that can end well or badly; return its id."""
        body = {"url": url, "events": ["job.completed", "job.failed"], "description": description}
        reply = self.api.post("/v1/webhook-endpoints", json=body).raise_for_status()
        return str(reply.json()["endpoint"]["id"])

    def ping(self, endpoint: str) -> None:
        """Send a test to an endpoint, and return when it has been attempted."""
        self.api.post(f"/v1/webhook-endpoints/{endpoint}/test").raise_for_status()
        body = {"organizationId": self.organization, "timeoutMs": 60_000}
        self.api.post("/_standin/webhooks/flush", json=body, timeout=90).raise_for_status()

    def clock(self, **setting: str) -> None:
        body = setting | {"organizationId": self.organization}
        self.api.put("/_standin/clock", json=body).raise_for_status()


def shop_on(server: Server) -> Shop:
    api = server.client()
    made = api.post("/_standin/organizations", json={"name": "A shop"}).raise_for_status().json()
    api.headers["X-Api-Key"] = made["apiKey"]
    project = api.post("/v1/projects", json={"name": "The shelf", "timezone": "UTC"}).raise_for_status().json()["id"]
    return Shop(made["organizationId"], project, api)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("console") / "store", STANDIN_SYNC="never") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shop(server: Server) -> Shop:
    return shop_on(server)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return what starts a service for one test alone, with these settings; it ends after the pages that look at it."""
    with ExitStack() as running:
        yield lambda **settings: running.enter_context(serving(tmp_path / "store", STANDIN_SYNC="never", **settings))


@pytest.fixture
def open_page(browser: Any, server: Server, own_server: Callable[..., Server]) -> Iterator[Callable[..., Any]]:
    """Return what opens a page of the service; in the end nothing may have been wrong on any of them."""
    contexts, wrong = [], []
    forgiven: list[str] = []

    def open_page(path: str = "/console", url: str = server.url, forgive: str = "\0", **how: Any) -> Any:
        forgiven.append(forgive)
        context = browser.new_context(base_url=url, **{"viewport": WIDE} | how)
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"a dialog said {dialog.message}"))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in wrong if not any(each in text for each in forgiven)] == []


def card(page: Any, influencer_id: str) -> Any:
    return page.locator(f".card[data-key='{influencer_id}']")


def mark(page: Any) -> Callable[[], bool]:
    """Return the question whether the page is still the one that was loaded."""
    page.evaluate("window.isSame = true")
    return lambda: page.evaluate("window.isSame === true")


# It lives


def test_it_shows_the_influencers_of_the_seed_with_their_pictures(open_page):
    page = open_page(f"/console?project={SPRING}&organization=6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11")
    expect(page).to_have_title("Spring launch · Layers stand-in")
    expect(page.locator(".card h3")).to_have_text(["Noor Haddad", "Marcus Reed", "Ava Chen"])
    for picture in page.locator(".card img").all():
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def test_what_is_created_appears_and_its_chip_moves(open_page, shop):
    shop.clock(mode="frozen")
    page = open_page(shop.overview)
    expect(page.get_by_text("This project has no influencers yet")).to_be_visible()
    is_same = mark(page)

    kim = shop.create(name="Kim Lee", vibe="quick")

    chip = card(page, kim).locator(".chip")
    expect(chip).to_have_text("pending")
    expect(card(page, kim).get_by_role("heading")).to_have_text("Kim Lee")
    expect(card(page, kim).get_by_role("progressbar")).to_have_attribute("value", "0")
    shop.clock(advance="PT1S")
    expect(chip).to_have_text("training")
    expect(card(page, kim).get_by_role("progressbar")).to_have_attribute("value", "50")
    shop.clock(advance="PT2S")
    expect(chip).to_have_text("ready")
    expect(card(page, kim).locator("img")).not_to_have_js_property("naturalWidth", 0)
    assert is_same()


def test_content_appears_with_its_pictures_and_its_video_plays(open_page, shop):
    shop.clock(mode="frozen")
    kim = shop.create(name="Kim Lee")
    shop.clock(advance="PT1H")
    page = open_page(f"/console/influencers/{shop.organization}/{kim}")
    is_same = mark(page)
    for format_ in ("slideshow_remix", "video_remix"):
        shop.generate(format=format_, brief={"topic": "night runs", "influencerId": kim})
    content = page.get_by_role("region", name="Content")
    expect(content.locator(".chip")).to_have_text(["queued", "queued"])

    shop.clock(advance="PT1H")

    expect(content.locator(".chip")).to_have_text(["completed", "completed"])
    assert is_same()
    expect(content.get_by_role("img")).to_have_count(4)
    for picture in content.get_by_role("img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    content.get_by_role("link", name="Video").click()
    video = page.locator("video")
    expect(video).to_have_js_property("videoWidth", 720)


def test_what_is_deleted_goes_to_the_archived_with_its_reason(open_page, shop):
    kim, lee = shop.create(name="Kim"), shop.create(name="Lee")
    page = open_page(shop.overview)
    expect(page.locator("[data-key=living] .card")).to_have_count(2)

    shop.delete(kim, "Partner requested deletion.")

    archived = page.locator("[data-key=archived] .card")
    expect(archived).to_have_attribute("data-key", kim)
    expect(archived).to_contain_text("Partner requested deletion.")
    expect(archived).to_contain_text("ByA shop")
    expect(page.locator("[data-key=living] .card")).to_have_attribute("data-key", lee)


def test_an_open_influencer_shows_a_change_when_it_happens(open_page, shop):
    kim = shop.create(vibe="calm")
    page = open_page(f"/console/influencers/{shop.organization}/{kim}")
    expect(page.locator(".timeline > li")).to_have_count(1)

    shop.api.patch(f"/v1/influencers/{kim}", json={"vibe": "quick"}).raise_for_status()

    change = page.locator(".timeline > li").first
    expect(change.get_by_role("heading")).to_have_text("Edited")
    expect(change.locator("del")).to_have_text("calm")
    expect(change.locator("ins")).to_have_text("quick")
    shop.delete(kim, "Enough.")
    expect(page.locator("[data-key=deletion]")).to_contain_text("Enough.")


def test_what_is_open_and_what_has_the_focus_stays_so(open_page, shop):
    kim = shop.create()
    page = open_page(f"/console/requests?organizationId={shop.organization}")
    entry = page.locator(".log > li", has_text="influencers").first
    entry.locator("summary").first.press("Enter")
    copy = entry.get_by_role("button", name="Copy")
    copy.focus()

    for number in range(3):
        shop.api.get(f"/v1/influencers/{kim}").raise_for_status()
        expect(page.locator(".log > li")).to_have_count(3 + number)

    opened = page.locator("details[open] pre", has_text='"name": "Kim"')
    expect(opened.first).to_be_visible()
    expect(page.locator(":focus")).to_have_text("Copy the command")


def test_what_is_being_typed_stays(open_page, shop):
    page = open_page(f"/console/requests?organizationId={shop.organization}")
    text = page.get_by_label("Text")
    text.fill("half of a")
    shop.create()
    expect(page.locator(".log > li")).to_have_count(2)
    expect(text).to_have_value("half of a")
    expect(text).to_be_focused()


def test_a_lost_connection_is_said_and_found_again(open_page, shop):
    page = open_page(shop.overview, forgive="ERR_INTERNET_DISCONNECTED")
    expect(page.locator("#live")).to_have_text("Live")

    page.context.set_offline(True)
    expect(page.locator("#live")).to_have_text("Disconnected")
    expect(page.get_by_role("status").filter(has_text="Disconnected")).to_be_visible()
    kim = shop.create()
    page.context.set_offline(False)

    expect(card(page, kim)).to_be_visible()
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#connection")).to_be_hidden()


def test_it_looks_no_more_while_it_is_paused_or_hidden(open_page, shop):
    page = open_page(shop.overview)
    page.clock.install()
    page.reload()
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url) if "fragment=1" in request.url else None)
    with page.expect_response(re.compile("fragment=1")):
        page.clock.run_for(1500)

    live = page.locator("#live")
    live.click()
    expect(live).to_have_text("Paused")
    expect(live).to_have_attribute("aria-pressed", "false")
    seen = len(looks)
    page.clock.run_for(20_000)
    assert len(looks) == seen
    with page.expect_response(re.compile("fragment=1")):
        live.click()
    expect(live).to_have_text("Live")

    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.isAway, configurable: true })")
    page.evaluate("window.isAway = true; document.dispatchEvent(new Event('visibilitychange'))")
    seen = len(looks)
    page.clock.run_for(20_000)
    assert len(looks) == seen
    with page.expect_response(re.compile("fragment=1")):
        page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")


# Controls


def test_a_fault_is_injected_strikes_and_is_removed(open_page, shop):
    kim = shop.create()
    page = open_page(f"/console/faults?organization={shop.organization}")
    form = page.get_by_role("form", name="New fault")
    form.get_by_label("Request").select_option("getInfluencer")
    form.locator("[data-when=code]").get_by_label("Code").select_option("RATE_LIMITED")
    form.locator("[data-when=code]").get_by_label("Retry-After").fill("7")
    form.get_by_label("How often").fill("1")
    form.get_by_role("button", name="Inject").click()

    row = page.get_by_role("row", name="getInfluencer")
    expect(row).to_contain_text("answers RATE_LIMITED, Retry-After 7")
    expect(row).to_contain_text("0 of 1")
    expect(page.locator("#said")).to_have_text("The fault is in force.")

    log = open_page(f"/console/requests?organizationId={shop.organization}")
    reply = shop.api.get(f"/v1/influencers/{kim}")
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")
    expect(log.locator(".log > li").first).to_contain_text("429")
    expect(log.locator(".log > li").first.locator(".chip")).to_have_text("fault")
    expect(row).to_contain_text("1 of 1")

    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("None: every request is answered as it should be.")).to_be_visible()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("dropConnection", "hangs up before the effect"),
        ("loseReplyAfterEffect", "acts, and hangs up without a reply"),
        ("truncateBody", "hangs up after 20 bytes"),
        ("failJob", "lets the job fail with TRAINING_FAILED"),
        ("delay", "waits 250 ms"),
    ],
)
def test_every_kind_of_fault_can_be_injected(open_page, shop, fault, told):
    page = open_page(f"/console/faults?organization={shop.organization}")
    page.get_by_label("What goes wrong").select_option(fault)
    if fault == "delay":
        page.get_by_label("Late by").fill("250")
    page.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("row", name="Any request")).to_contain_text(told)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("status", "answers 502"),
        ("resetConnection", "resets the connection before the effect"),
        ("slowBody", "sends the body over 3000 ms"),
    ],
)
def test_a_fault_of_every_kind_strikes_some_of_the_requests(open_page, shop, fault, told):
    page = open_page(f"/console/faults?organization={shop.organization}")
    page.get_by_label("What goes wrong").select_option(fault)
    page.get_by_text("Only some of these requests").press("Enter")
    page.get_by_label("After the first").fill("1")
    page.get_by_label("Each … time").fill("2")
    page.get_by_label("Headers").fill('{"X-Client": "app/*"}')
    page.get_by_role("button", name="Inject").press("Enter")
    row = page.get_by_role("row", name="Any request with X-Client: app/*")
    expect(row).to_contain_text(told)
    expect(row).to_contain_text("each 2nd time after the first 1")
    if fault == "status":
        replies = [shop.api.get("/v1/whoami", headers={"X-Client": "app/1"}) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [200, 200, 502]
        assert replies[2].text == "<html><h1>502 Bad Gateway</h1></html>"
        expect(row.get_by_role("link", name="GET /v1/whoami")).to_have_count(1)


def test_a_preset_is_used_and_removed(open_page, shop):
    page = open_page(f"/console/faults?organization={shop.organization}")
    page.get_by_role("button", name="Use rate-limited").press("Enter")
    row = page.get_by_role("row", name="Any request")
    expect(row).to_contain_text("rate-limited")
    assert [shop.api.get("/v1/whoami").status_code for _ in range(4)] == [200, 429, 200, 429]
    expect(row.get_by_role("link", name="GET /v1/whoami")).to_have_count(2)
    row.get_by_role("button", name="Remove").press("Enter")
    expect(page.get_by_text("None: every request is answered as it should be.")).to_be_visible()


def test_what_the_control_plane_refuses_is_said_in_a_sentence(open_page, shop):
    page = open_page(f"/console/controls?organization={shop.organization}", forgive="422")
    page.get_by_label("Shift from real time by").fill("a while")
    page.get_by_role("button", name="Shift").click()
    expect(page.get_by_role("alert")).to_contain_text("Invalid body. offset: Invalid duration")


def test_the_clock_is_frozen_moved_and_let_go(open_page, shop):
    page = open_page(f"/console/controls?organization={shop.organization}")
    panel = page.get_by_role("region", name="Clock")
    panel.get_by_label("Freeze at").fill("2030-01-02T03:04:05")
    panel.get_by_role("button", name="Freeze there").click()
    expect(panel.locator(".now")).to_have_text("2 Jan 2030, 03:04:05")
    panel.get_by_role("button", name="15 minutes").click()
    expect(panel.locator(".now")).to_have_text("2 Jan 2030, 03:19:05")
    expect(panel.locator(".chip")).to_have_text("frozen")
    panel.get_by_role("button", name="As for all").click()
    expect(panel).to_contain_text("as for all organizations")


def test_an_organization_is_made_with_a_key_that_works_and_deleted_after_a_question(open_page, server):
    page = open_page("/console/controls")
    panel = page.get_by_role("region", name="Organizations")
    panel.get_by_label("Name").fill("Made <by> hand")
    panel.get_by_role("button", name="Create with a key").click()
    dialog = page.get_by_role("dialog", name="A new API key")
    key = dialog.locator("pre").inner_text()
    me = httpx.get(f"{server.url}/v1/whoami", headers={"X-Api-Key": key}).raise_for_status().json()
    assert me["organizationName"] == "Made <by> hand"
    dialog.get_by_role("button", name="Done").click()
    row = panel.get_by_role("listitem").filter(has_text="Made <by> hand")
    expect(row).to_be_visible()


def test_nothing_is_reset_until_it_is_confirmed(open_page, own_server):
    server = own_server()
    api = server.client()
    api.patch(AVA_PATH, json={"name": "Eva"}).raise_for_status()
    page = open_page("/console/controls", url=server.url)
    button = page.get_by_role("button", name="Reset to the seed")
    dialog = page.get_by_role("dialog", name="Reset to the seed?")

    button.press("Enter")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    assert api.get(AVA_PATH).json()["name"] == "Eva"

    button.press("Enter")
    dialog.get_by_role("button", name="Reset", exact=True).click()
    expect(page.locator("#said")).to_have_text("Everything is as in the seed.")
    assert api.get(AVA_PATH).json()["name"] == "Ava Chen"


# Who may


def test_with_a_token_one_signs_in_commands_and_signs_out(open_page, own_server):
    token = "a-token-of-the-control-plane"
    server = own_server(STANDIN_CONTROL=token)
    page = open_page("/console", url=server.url, forgive="401")
    page.get_by_label("Token").fill("a-wrong-one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="That is not the token.")).to_be_visible()
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")
    expect(page.locator(".card").first).to_be_visible()
    assert [cookie["httpOnly"] for cookie in page.context.cookies()] == [True]
    assert page.evaluate("document.cookie") == ""

    page.goto("/console/controls")
    page.get_by_role("button", name="Freeze", exact=True).click()
    expect(page.locator(".panel .chip").first).to_have_text("frozen")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_public_demo_can_be_looked_at_but_not_commanded(open_page, own_server):
    server = own_server(STANDIN_CONSOLE="read-only", STANDIN_CONTROL="off")
    page = open_page(f"/console?project={SPRING}", url=server.url)
    expect(page.locator(".card")).to_have_count(3)
    server.client().patch(AVA_PATH, json={"name": "Eva"}).raise_for_status()
    expect(card(page, AVA).get_by_role("heading")).to_have_text("Eva")
    page.goto("/console/controls")
    expect(page.get_by_role("region", name="Clock")).to_be_visible()
    expect(page.locator("main button")).to_have_count(0)


_COMMAND = """
async (url) => {
    try {
        const body = JSON.stringify({ name: "by-a-page" });
        const headers = { "Content-Type": "application/json", Authorization: "Bearer whatever" };
        const reply = await fetch(`${url}/_standin/snapshots`, { method: "POST", headers, body });
        const refused = await fetch(`${url}/_standin/snapshots/none`, { method: "DELETE" });
        return [reply.status, (await reply.json()).name, refused.status, (await refused.json()).error.code];
    } catch (error) {
        return error.name;
    }
}
"""


def test_a_page_of_a_listed_origin_commands_and_no_other_page_does(browser, own_server):
    with ThreadingTCPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as pages:  # all a 501, of that origin
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        port = pages.server_address[1]
        server = own_server(STANDIN_CONTROL_ORIGINS=f"http://localhost:{port}")
        page = browser.new_page()
        done = {}
        for host in ("127.0.0.1", "localhost"):
            page.goto(f"http://{host}:{port}/")
            done[host] = page.evaluate(_COMMAND, server.url)
            done[f"{host} by name"] = page.evaluate(_COMMAND, server.url.replace("127.0.0.1", "localhost"))
        page.close()
        pages.shutdown()
    commanded = [201, "by-a-page", 404, "NOT_FOUND"]
    assert done == {
        "127.0.0.1": "TypeError",
        "127.0.0.1 by name": "TypeError",
        "localhost": commanded,
        "localhost by name": commanded,
    }
    assert [each["name"] for each in server.client().get("/_standin/snapshots").json()["items"]] == ["by-a-page"]


# Webhooks


class Moody(BaseHTTPRequestHandler):
    """A receiver that is down the first time, and well after that."""

    answers: list[int]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.answers.pop(0) if self.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def moody() -> Iterator[str]:
    """Return the URL of a receiver that answers 503 to the first post."""
    handler = type("MoodyOnce", (Moody,), {"answers": [503]})
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiver.server_address[1]}/hook"
        receiver.shutdown()


def deliveries_on(page: Any) -> Any:
    return page.locator("[data-key=deliveries] .rows > li")


def test_a_delivery_appears_is_tried_again_and_replayed_by_hand(open_page, shop, moody):
    shop.clock(mode="frozen")
    endpoint = shop.listen(moody)
    page = open_page(f"/console/webhooks?organization={shop.organization}")
    expect(page.get_by_text("Nothing was sent yet.")).to_be_visible()
    is_same = mark(page)

    page.get_by_role("button", name="Test").press("Enter")

    expect(page.locator("#said")).to_have_text("A test is on its way.")
    row = deliveries_on(page).first
    expect(row.locator(".answers > li")).to_have_text([re.compile("503")])
    expect(row).to_contain_text("1 attempt, the next")
    expect(page.get_by_role("region", name="To come")).to_contain_text("attempt 2")
    shop.clock(advance="PT1H")
    expect(row.locator(".answers > li")).to_have_text([re.compile("503"), re.compile("200")])
    expect(row.locator(".chip")).to_have_text("delivered")
    row.get_by_role("button", name="Replay").press("Enter")
    expect(deliveries_on(page)).to_have_count(2)
    expect(deliveries_on(page).first.locator(".chip")).to_have_text("delivered")
    page.get_by_role("link", name=moody).click()
    expect(page).to_have_url(re.compile(f"endpoint={endpoint}"))
    expect(page.get_by_text("Those of all endpoints")).to_be_visible()
    assert not is_same()


def test_an_endpoint_is_paused_and_activated_by_the_keyboard(open_page, shop):
    shop.listen("http://127.0.0.1:9/")
    page = open_page(f"/console/webhooks?organization={shop.organization}")
    page.get_by_role("button", name="Pause").press("Space")
    expect(page.locator("[data-key=endpoints] .chip")).to_have_text("paused")
    expect(page.get_by_role("button", name="Test")).to_have_count(0)
    page.get_by_role("button", name="Activate").press("Enter")
    expect(page.locator("[data-key=endpoints] .chip")).to_have_text("active")
    expect(page.locator(":focus")).to_have_text(re.compile("Pause"))


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_each_answer_to_a_delivery_has_a_line_of_its_own_below_it(open_page, full, viewport):
    page = open_page(full[9], viewport=viewport)
    row = deliveries_on(page).filter(has=page.locator(".answers > li + li"))
    boxes = [each.bounding_box() for each in [row.locator("p").first, *row.locator(".answers > li").all()]]
    assert len(boxes) == 3
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"]
    assert boxes[1]["width"] > viewport["width"] / 2


# Requests


def found(page: Any) -> Any:
    return page.locator(".log > li")


@pytest.mark.parametrize("has_script", [True, False], ids=["live", "without script"])
def test_requests_are_searched_and_the_search_is_in_the_address(open_page, shop, has_script):
    kim, lee = shop.create(name="Kim"), shop.create(name="Lee")
    shop.api.patch(f"/v1/influencers/{kim}", json={"vibe": "Night owl"}).raise_for_status()
    shop.api.patch(f"/v1/influencers/{lee}", json={"vibe": 7})
    page = open_page(f"/console/requests?organizationId={shop.organization}", java_script_enabled=has_script)
    expect(page.locator("[data-key=found]")).to_contain_text(re.compile(r"^\s*5 of"))

    page.get_by_label("Text").fill("owl night")
    page.get_by_label("Operation").select_option("patchInfluencer")
    page.get_by_label("Text").press("Enter")

    expect(found(page)).to_have_count(1)
    expect(found(page)).to_contain_text(kim)
    page.get_by_label("Text").fill("")
    page.get_by_role("button", name="Filter").click()
    expect(found(page)).to_have_count(2)
    classes = page.get_by_role("navigation", name="Class of the status").get_by_role("link")
    expect(classes).to_have_text(["Any 2", "2xx 1", "3xx 0", "4xx 1", "5xx 0"])
    classes.nth(3).click()
    expect(found(page)).to_contain_text(lee)
    expect(page).to_have_url(re.compile("operation=patchInfluencer.*status=4xx|status=4xx.*operation=patchInfluencer"))
    expect(page.get_by_label("Status", exact=True)).to_have_value("4xx")
    page.reload()
    expect(found(page)).to_have_count(1)
    page.get_by_label("Time").select_option("last minute")
    page.get_by_role("button", name="Filter").click()
    expect(found(page)).to_have_count(1)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Until (UTC)").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No request fits.")).to_be_visible()
    expect(page.get_by_label("Until (UTC)")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(found(page).first).to_be_visible()


def test_a_search_goes_on_while_requests_come(open_page, shop):
    page = open_page(f"/console/requests?organizationId={shop.organization}&text=kim")
    is_same = mark(page)
    expect(page.get_by_text("No request fits.")).to_be_visible()
    kim = shop.create(name="Kim")
    shop.api.get("/v1/whoami").raise_for_status()
    shop.api.get(f"/v1/influencers/{kim}").raise_for_status()
    expect(found(page)).to_have_count(2)
    expect(page.locator("[data-key=found] b").first).to_have_text("2")
    assert is_same()


def test_a_request_is_looked_at_compared_and_asked_again_by_the_keyboard(open_page, shop):
    kim = shop.create(name="Kim")
    shop.api.patch(f"/v1/influencers/{kim}", json={"vibe": "calm"}).raise_for_status()
    shop.api.patch(f"/v1/influencers/{kim}", json={"vibe": "quick"}, headers={"X-Trace": "t-1"}).raise_for_status()
    page = open_page(f"/console/requests?organizationId={shop.organization}&operation=patchInfluencer")
    found(page).first.locator("summary").first.press("Enter")
    found(page).first.get_by_role("link", name="What is different").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("200 PATCH")
    rows = page.get_by_role("region", name="Differences from the call before").get_by_role("row")
    expect(rows.filter(has_text="sent.vibe")).to_contain_text(["calm quick"])
    expect(rows.filter(has_text="headers.X-Trace")).to_contain_text(["not set t-1"])
    page.get_by_text(re.compile("headers of the request")).press("Enter")
    expect(page.get_by_label("Headers of the request")).to_contain_text("X-Api-Key: ***")
    first = page.url

    page.get_by_role("button", name="Ask again").press("Enter")

    expect(page).not_to_have_url(first)
    expect(page.get_by_role("heading", level=1)).to_contain_text("200 PATCH")
    expect(rows.filter(has_text="sent.vibe")).to_have_count(0)
    expect(page.get_by_label("Body of the response")).to_contain_text('"vibe": "quick"')
    page.get_by_role("link", name="The call before").press("Enter")
    expect(page).to_have_url(first)
    page.get_by_role("link", name="The call after").press("Enter")
    expect(page).not_to_have_url(first)
    assert len(shop.api.get(f"/_standin/influencers/{kim}/history").json()["changes"]) == 4


def test_a_fault_is_for_one_organization_unless_all_are_meant_and_confirmed(open_page, own_server):
    server = own_server()
    shop = shop_on(server)
    page = open_page("/console/faults", url=server.url)
    expect(page.get_by_text("What goes wrong on purpose for A shop")).to_be_visible()
    page.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("row", name="Any request").get_by_role("cell", name="A shop")).to_be_visible()
    assert server.client().get(AVA_PATH).status_code == 200
    assert shop.api.get("/v1/whoami").status_code == 429
    expect(page.get_by_role("row", name="Any request").get_by_role("link", name="GET /v1/whoami")).to_be_visible()
    page.get_by_role("button", name="Remove it").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove them").click()
    expect(page.get_by_text("None: every request")).to_be_visible()

    page.locator(".chooser summary").click()
    page.get_by_role("link", name="All organizations").click()
    inject = page.get_by_role("button", name="Inject for all organizations")
    dialog = page.get_by_role("dialog", name="Let requests of every organization fail?")
    inject.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(inject).to_be_focused()
    expect(page.get_by_text("None: every request")).to_be_visible()
    assert server.client().get(AVA_PATH).status_code == 200
    inject.press("Enter")
    dialog.get_by_role("button", name="Strike all").click()
    expect(page.get_by_role("row", name="Any request")).to_contain_text("All organizations")
    assert [server.client().get(AVA_PATH).status_code, shop.api.get("/v1/whoami").status_code] == [429, 429]
    page.get_by_role("row", name="Any request").get_by_role("link", name="GET /v1/whoami").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("429 GET /v1/whoami")


def test_what_is_no_json_in_a_fault_is_said(open_page, shop):
    page = open_page(f"/console/faults?organization={shop.organization}")
    page.get_by_text("Only some of these requests").click()
    page.get_by_label("Headers").fill("X-Client: app")
    page.get_by_role("button", name="Inject").click()
    expect(page.get_by_role("alert")).to_contain_text('Headers and fields of the body are JSON: {"name": "value"}.')


def test_the_console_leads_to_the_reference_and_that_back(open_page, shop):
    page = open_page(shop.overview)
    page.get_by_role("link", name="API").click()
    expect(page.locator(".opblock").first).to_be_visible()
    page.get_by_role("link", name="Console").click()
    expect(page).to_have_title("The shelf · Layers stand-in")


# Pages of one's own


class Back(BaseHTTPRequestHandler):
    """The page of a client, to which people are sent back."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Back</title><link rel=icon href='data:,'>")

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def back() -> Iterator[str]:
    """Return the origin of a client that runs on this machine."""
    with ThreadingTCPServer(("127.0.0.1", 0), Back) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://localhost:{pages.server_address[1]}"
        pages.shutdown()


def test_a_person_says_yes_and_is_sent_back(open_page, shop, back):
    consent = shop.ask_to_connect(f"{back}/connected?tab=social")
    page = open_page(consent["authorizeUrl"])
    expect(page.get_by_role("heading")).to_have_text("Connect a TikTok account")
    expect(page.get_by_text(f"{back}/connected?tab=social")).to_be_visible()
    page.get_by_label("Handle of the account").fill("acme.coffee")

    page.get_by_role("button", name="Yes, allow it").click()

    expect(page).to_have_title("Back")
    expect(page).to_have_url(f"{back}/connected?tab=social&layers_state={consent['state']}&status=success")
    (account,) = shop.api.get(f"/v1/projects/{shop.project}/social-accounts").json()["items"]
    assert (account["handle"], account["status"]) == ("acme.coffee", "connected")
    page.goto(consent["authorizeUrl"])
    page.get_by_role("link", name="Go back").click()
    expect(page).to_have_title("Back")


def test_a_page_of_another_origin_cannot_say_yes(open_page, shop, back):
    consent = shop.ask_to_connect(f"{back}/connected")
    page = open_page(f"{back}/evil", forgive="403")
    page.evaluate(
        """(action) => {
            document.body.innerHTML = '<form method="post"><input name="decision" value="yes"></form>';
            document.forms[0].action = action;
            document.forms[0].submit();
        }""",
        consent["authorizeUrl"],
    )
    expect(page.get_by_role("heading")).to_have_text("Only the page itself takes an answer.")
    assert shop.api.get(f"/v1/projects/{shop.project}/social-accounts").json()["items"] == []


def test_a_published_post_is_there_for_everybody_with_its_pictures(open_page, shop):
    shop.clock(mode="frozen")
    page = open_page(shop.publish(f"Spring is here {HOSTILE[0]}"))
    expect(page.get_by_role("heading")).to_have_text("@acme")
    expect(page.get_by_text(f"Spring is here {HOSTILE[0]}")).to_be_visible()
    expect(page.locator(".slides img")).to_have_count(3)
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)


# Everybody


def test_the_keyboard_is_enough(open_page, shop):
    shop.create(name="Kim")
    page = open_page(shop.overview)
    focused = page.locator(":focus")
    page.keyboard.press("Tab")
    expect(focused).to_have_text("Skip to the content")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(focused).to_have_text("Set the credits")
    page.keyboard.press("Tab")
    expect(focused).to_have_text("Choose another")
    page.keyboard.press("Enter")
    expect(page.locator(".choices")).to_be_visible()
    page.keyboard.press("Enter")
    actions = ("Projects", "Keys", "Jobs", "Assets", "New influencer", "Generate content")
    for text in (*actions, "All", "Pending", "Training", "Ready", "Failed", "Archived", "Kim"):
        page.keyboard.press("Tab")
        expect(focused).to_have_text(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kim")
    page.locator("summary", has_text="What it began with").focus()
    page.keyboard.press("Space")
    expect(page.locator(".begun")).to_be_visible()


def test_it_can_be_read_without_javascript(open_page, shop):
    kim = shop.create(name="Kim", vibe="calm")
    shop.delete(kim, "Enough.")
    page = open_page(shop.overview, java_script_enabled=False)
    expect(page.get_by_text("Enough.")).to_be_visible()
    page.get_by_role("link", name="Kim").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kim")
    page.goto("/console/requests")
    expect(page.locator(".log > li").first).to_be_visible()
    page.goto("/console/controls")
    expect(page.get_by_text("The controls need JavaScript.")).to_be_visible()
    expect(page.locator("main button:visible")).to_have_count(0)


@pytest.fixture(scope="module")
def full(server: Server) -> list[str]:
    """Return the paths of pages on which there is something of everything, under names that are hard to show."""
    shop = shop_on(server)
    shop.clock(mode="frozen")
    kim = shop.create(name=HOSTILE[2], vibe=HOSTILE[2], personality={"traits": [HOSTILE[2]], "tone": HOSTILE[2]})
    shop.api.patch(f"/v1/influencers/{kim}", json={"vibe": "calm", "personality": {"traits": ["a", "b"]}})
    for name in HOSTILE:
        shop.generate(format="slideshow_remix", brief={"hook": name, "influencerId": kim})
    shop.generate(format="video_remix", brief={"hook": HOSTILE[2], "influencerId": kim})
    shop.clock(advance="PT1H")
    shop.generate(format="auto", brief={"influencerId": kim})
    endpoints = [shop.listen(f"http://127.0.0.1:9/{'x' * 200}", HOSTILE[2]), shop.listen("http://127.0.0.1:9/")]
    shop.ping(endpoints[0])
    shop.clock(advance="PT1M")
    shop.ping(endpoints[0])
    shop.api.patch(f"/v1/webhook-endpoints/{endpoints[1]}", json={"status": "paused"}).raise_for_status()
    for name in HOSTILE:
        shop.delete(shop.create(name=name), reason=name)
        shop.create(name=name, vibe=name, gender="female", ageRange="25-34")
    shop.clock(advance="PT1S")
    answer = {"code": "RATE_LIMITED", "message": HOSTILE[2]}
    body = {"match": {"path": "/v1/jobs/{id}", "method": "GET"}, "answer": answer, "organizationId": shop.organization}
    shop.api.post("/_standin/faults", json=body).raise_for_status()
    shop.api.get(f"/v1/jobs/{HOSTILE[2]}")
    struck = shop.api.get("/v1/jobs/y", headers={"X-Long": "y" * 300}).headers["X-Request-Id"]
    return [
        shop.overview,
        f"{shop.overview}&status=archived",
        f"/console/influencers/{shop.organization}/{kim}",
        f"/console/requests?organizationId={shop.organization}",
        f"/console/controls?organization={shop.organization}",
        "/console/controls",
        f"/console/faults?organization={shop.organization}",
        "/console/faults?organization=all",
        f"/console/requests/{struck}",
        f"/console/webhooks?organization={shop.organization}",
        f"/console/webhooks?organization={shop.organization}&endpoint={endpoints[0]}",
        shop.ask_to_connect(usageNote=HOSTILE[2] + HOSTILE[0])["authorizeUrl"],
        shop.publish(HOSTILE[2] + HOSTILE[0]),
    ]


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [  # colors do not depend on the width, nor the layout on colors
        pytest.param(WIDE, "light", id="wide-light"),
        pytest.param(PHONE, "dark", id="phone-dark"),
        pytest.param(WIDE, "dark", id="wide-dark", marks=pytest.mark.exhaustive),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.exhaustive),
    ],
)
def test_no_page_keeps_anybody_out(open_page, full, scheme, viewport):
    page = open_page(full[0], color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    for path in full:
        page.goto(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert _barriers(page) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_dialog_and_no_form_to_sign_in_keeps_anybody_out(open_page, own_server, scheme):
    server = own_server(STANDIN_CONTROL="a-token-of-the-control-plane")
    page = open_page("/console", url=server.url, forgive="401", color_scheme=scheme)
    assert _barriers(page) == []
    page.get_by_label("Token").fill("a-token-of-the-control-plane")
    page.keyboard.press("Enter")
    expect(page.locator(".card").first).to_be_visible()
    page.goto("/console/controls")
    page.get_by_role("button", name="Reset to the seed").click()
    assert _barriers(page) == []


def _barriers(page: Any) -> list[tuple[str, str]]:
    found = axe_api.Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]


_TOO_WIDE = """
document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth).map((each) => each.outerHTML.slice(0, 99))
"""


def test_on_a_phone_nothing_is_wider_than_the_screen(open_page, full):
    page = open_page(full[0], viewport=PHONE)
    for path in full:
        page.goto(path)
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate(_TOO_WIDE) == [], path


def test_on_a_phone_no_word_of_the_navigation_is_broken(open_page, shop):
    page = open_page(shop.overview, viewport=PHONE)
    boxes = [each.bounding_box() for each in page.get_by_role("navigation", name="Console").get_by_role("link").all()]
    assert len(boxes) > 5
    assert max(box["height"] for box in boxes) < 40
    assert max(box["x"] + box["width"] for box in boxes) <= PHONE["width"]


_BEYOND_THE_EDGE = """
[...document.querySelectorAll(".scroll")].filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => each.innerText)
"""


def test_on_a_phone_every_column_of_a_table_is_seen(open_page, full):
    page = open_page(full[2], viewport=PHONE)
    assert page.locator(".diff").count() > 0
    assert page.evaluate(_BEYOND_THE_EDGE) == []
    change = page.locator(".diff").first
    assert change.get_by_role("columnheader").all_inner_texts() == ["Field", "Before", "After"]
    for cell in change.locator("td").all():
        box = cell.bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE["width"]
    page.goto(full[6])
    expect(page.get_by_role("button", name="Remove the fault")).to_be_visible()
    assert page.evaluate(_BEYOND_THE_EDGE) == []


def test_names_are_shown_and_never_run(open_page, full):
    page = open_page(full[0])
    shown = page.locator("[data-key=living] .card h3").all_inner_texts()
    hostile = [name.replace("\u0000", "\u2400") for name in reversed(HOSTILE)]
    assert list(dict.fromkeys(name for name in shown if name in hostile)) == hostile


def test_posts_are_let_fail_and_an_account_is_set_by_hand(open_page, shop):
    page = open_page(f"/console/faults?organization={shop.organization}")
    page.locator("#kind").select_option("failPost")
    page.locator("[name='answer.failPost.message']").fill("Too long.")
    page.get_by_role("button", name="Inject").click()
    expect(page.get_by_text("lets the posts fail with PUBLISH_FAILED: Too long.")).to_be_visible()
    consent = shop.ask_to_connect()
    shop.api.post(consent["authorizeUrl"], data={"decision": "yes", "handle": "acme"})
    page.goto(shop.overview)
    page.get_by_role("button", name="Let it need a new consent").click()
    expect(page.locator("[data-key=accounts] .chip")).to_have_text("reauth required")
    page.get_by_role("button", name="Connect again").click()
    expect(page.locator("[data-key=accounts] .chip")).to_have_text("connected")


def test_the_credits_are_set_by_hand(open_page, shop):
    page = open_page(shop.overview)
    page.get_by_text("Set the credits", exact=True).click()
    page.get_by_label("Credits", exact=True).fill("1500")
    page.keyboard.press("Enter")
    expect(page.locator(".over")).to_contain_text("1,500 credits")
    assert shop.api.get("/v1/credits").json()["balance"] == 1500


def test_a_job_of_content_and_one_of_an_ingest_are_let_fail_by_hand(open_page, shop):
    page = open_page(f"/console/faults?organization={shop.organization}")
    for operation in ("generateContent", "ingestWebsite"):
        page.locator("#new-fault").get_by_label("Request").select_option(operation)
        page.locator("#kind").select_option("failJob")
        page.locator("[name='answer.failJob.message']").fill(f"No {operation}.")
        page.get_by_role("button", name="Inject").click()
        expect(page.get_by_text(f"lets the job fail with TRAINING_FAILED: No {operation}.")).to_be_visible()
    begun = shop.api.post(f"/v1/projects/{shop.project}/ingest/website", json={"url": "https://acme.example"}).json()
    shop.generate()
    shop.clock(advance="PT1H")
    assert shop.api.get(begun["locationUrl"]).json()["error"]["message"] == "No ingestWebsite."
    page.goto(shop.overview)
    expect(page.locator("[data-key=content] .error")).to_have_text("TRAINING_FAILED: No generateContent.")
