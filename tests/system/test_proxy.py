"""Behind a real nginx: with the block of the page on public demos, and with what people write who have not read it."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urljoin

import httpx
import pytest
from api_helpers import SPRING
from conftest import AVA, AVA_PATH, DEMO
from servers import PATIENCE_SECONDS, ROOT, Server, serving

pytestmark = pytest.mark.slow

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
if NGINX is None:
    pytest.skip("proxies are tested with nginx, which is not here", allow_module_level=True)

PAGE = (ROOT / "docs" / "public-demo.md").read_text("utf-8")
ORGANIZATION = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11"
HOST, BELOW = "demo.example", "http://demo.example/layers"
KNOWN = {"Host": HOST}


@contextmanager
def nginx(folder: Path, *blocks: str) -> Iterator[list[int]]:
    """Run nginx with these server blocks, each with a port of its own in the place of `PORT`; return the ports."""
    with ExitStack() as opened:
        listeners = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in blocks]
        ports = [listener.getsockname()[1] for listener in listeners]
        servers = "".join(block.replace("PORT", str(port)) for block, port in zip(blocks, ports, strict=True))
        temporary = "".join(
            f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""  # or its workers may not write into our folder
        (folder / "nginx.conf").write_text(
            f"daemon off; {user} pid pid; events {{}} http {{ access_log off; {temporary} {servers} }}"
        )
        process = subprocess.Popen(
            [str(NGINX), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "errors"],
            env={"NGINX": "".join(f"{listener.fileno()};" for listener in listeners)},  # it takes them over
            pass_fds=[listener.fileno() for listener in listeners],
        )
        opened.close()
        try:
            yield ports
        finally:
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 0, (folder / "errors").read_text()


class Demo(NamedTuple):
    """The demo of the page: the service, the port of nginx, the token, and a stranger who only knows the proxy."""

    server: Server
    port: int
    token: str
    stranger: httpx.Client


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Do what the page says, but for TLS."""
    folder = tmp_path_factory.mktemp("demo")
    settings = dict(re.findall(r"\b(STANDIN_\w+)=(\S+)", PAGE.partition("```nginx")[0]))
    assert settings["STANDIN_PUBLIC_URL"] == BELOW.replace("http:", "https:")
    settings["STANDIN_PUBLIC_URL"] = BELOW
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    with serving(folder / "store", STANDIN_SYNC="never", WEB_CONCURRENCY="1", **settings) as server:
        assert "http://127.0.0.1:8000/;" in block
        ours = block.replace("listen 80;", "listen 127.0.0.1:PORT;").replace("http://127.0.0.1:8000/", f"{server.url}/")
        with (
            nginx(folder, ours) as (port,),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KNOWN, timeout=PATIENCE_SECONDS) as stranger,
        ):
            yield Demo(server, port, settings["STANDIN_CONTROL"], stranger)


def path_of(url: str) -> str:
    """Return the path of a URL of the demo, with its query; the URL must be below the public one."""
    assert url.startswith(f"{BELOW}/"), url
    return url.removeprefix(f"http://{HOST}")


def links_of(url: str, html: str) -> set[str]:
    return {path_of(urljoin(url, link)).partition("#")[0] for link in re.findall(r'(?:href|src)="([^#"][^"]*)"', html)}


def test_every_page_and_all_that_it_names_stays_under_the_path_of_the_public_url(demo):
    first = demo.stranger.get("/layers/")
    assert (first.status_code, path_of(urljoin(f"{BELOW}/", first.headers["Location"]))) == (303, "/layers/console")
    waiting, seen = {"/layers/console", "/layers/docs"}, set[str]()
    while waiting:
        path = waiting.pop()
        reply = demo.stranger.get(path)
        assert reply.status_code == 200, path
        seen.add(path)
        if reply.headers["Content-Type"].startswith("text/html"):
            waiting |= links_of(f"http://{HOST}{path}", reply.text) - seen
    assert {
        f"/layers/console/influencers/{ORGANIZATION}/{AVA}",
        "/layers/console/requests",
        "/layers/console/controls",
        "/layers/console/login",
        "/layers/console/static/console.css",
        "/layers/console/static/live.js",
        "/layers/docs/swagger-ui.css",
        "/layers/openapi.json",
    } <= seen
    assert any(path.startswith("/layers/media/") for path in seen)


def test_the_api_its_pictures_and_its_uploads_are_there(demo):
    api = demo.stranger
    assert api.get("/layers/openapi.json").json()["servers"][0]["url"] == BELOW
    presign = {"filename": "clip.mp4", "contentType": "video/mp4", "kind": "video"}
    upload = (
        api.post(f"/layers/v1/projects/{SPRING}/media/presign", json=presign, headers=DEMO).raise_for_status().json()
    )
    content = os.urandom(3 << 20)  # three times of what nginx takes by itself
    put = api.put(path_of(upload["uploadUrl"]), content=content, headers=upload["headers"])
    put.raise_for_status()
    finalize = {"uploadId": upload["uploadId"]}
    asset = (
        api.post(f"/layers/v1/projects/{SPRING}/media/finalize", json=finalize, headers=DEMO).raise_for_status().json()
    )
    assert api.get(path_of(asset["url"])).content == content
    assert api.get(f"/layers{AVA_PATH}").status_code == 401


def test_the_control_plane_is_for_those_who_know_the_token(demo):
    authorized = {"Authorization": f"Bearer {demo.token}"}
    for path in ("/layers/_standin", "/layers/_standin/requests"):
        assert demo.stranger.get(path).status_code == 401
        assert demo.stranger.get(path, headers=authorized).status_code == 200
    index = demo.stranger.get("/layers/_standin", headers=authorized).json()
    for page in ("console", "docs", "openapi"):
        assert demo.stranger.get(path_of(index[page])).status_code == 200
    assert demo.server.client().get("/_standin").status_code == 401


def test_the_cookie_of_those_who_sign_in_is_for_that_path(demo):
    def sign(way: str, **data: str) -> httpx.Response:
        origin = {"Origin": f"http://{HOST}"}
        reply = demo.stranger.post(f"/layers/console/{way}", data=data, headers=origin)
        assert path_of(urljoin(f"{BELOW}/console/{way}", reply.headers["Location"])) == "/layers/console"
        return reply

    cookie = sign("login", token=demo.token).headers["Set-Cookie"]
    assert "Path=/layers/" in cookie.split("; ")
    session = {"Cookie": cookie.partition(";")[0], "Origin": f"http://{HOST}"}
    demo.stranger.cookies.clear()
    assert demo.stranger.put("/layers/_standin/clock", json={"mode": "real"}).status_code == 401
    assert demo.stranger.put("/layers/_standin/clock", json={"mode": "real"}, headers=session).status_code == 200
    assert "Path=/layers/" in sign("logout").headers["Set-Cookie"].split("; ")


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="the console is tested in Chromium, which is not here")
def test_a_browser_signs_in_and_commands_there(demo):
    playwright_api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser, and is not here")
    expect = playwright_api.expect
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1:{demo.port}"
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", rules])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        expect.set_options(timeout=20_000)
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda reply: wrong.append(reply.url) if reply.status >= 400 else None)
        page.goto(f"{BELOW}/")  # without the slash, nginx would name its port
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("Token").fill(demo.token)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Controls").click()
        page.get_by_role("button", name="Freeze", exact=True).click()
        expect(page.locator(".panel .chip").first).to_have_text("frozen")
        page.get_by_role("button", name="Real time").click()
        expect(page.locator(".panel .chip").first).to_have_text("real time")
        page.get_by_role("link", name="Influencers").click()
        expect(page.locator(".card img").first).not_to_have_js_property("naturalWidth", 0)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        assert page.url == f"{BELOW}/console"
        page.goto(f"{BELOW}/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        assert [text for text in wrong if "Cross-Origin-Opener-Policy" not in text] == []  # that one is for TLS
        browser.close()


# What people write


# Each passes everything on; UP is the service, and UNIX its unix socket.
PLAIN = {
    "nothing": "proxy_pass UP;",
    "a path": "proxy_pass UP/;",
    "a unix socket": "proxy_pass UNIX;",
    "the host": "proxy_pass UP; proxy_set_header Host $host;",
    "the host and port": "proxy_pass UP; proxy_set_header Host $http_host;",
    "the host, to a unix socket": "proxy_pass UNIX; proxy_set_header Host $host;",
    "the host, in HTTP/1.1": "proxy_pass UP; proxy_http_version 1.1; proxy_set_header Host $host;",
    "the address": "proxy_pass UP; proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
    "the addresses": "proxy_pass UP; proxy_http_version 1.1; proxy_set_header X-Forwarded-For $remote_addr;",
    "the standard's": 'proxy_pass UP; proxy_http_version 1.1; proxy_set_header Forwarded "for=$remote_addr";',
    "its name": 'proxy_pass UP; proxy_http_version 1.1; proxy_set_header Via "1.1 nginx";',
}


class Proxied(NamedTuple):
    """A service without settings behind the plain blocks: its own client, and the port of each."""

    server: Server
    ports: dict[str, int]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    with (
        TemporaryDirectory() as short,  # a socket's path has 107 bytes at most
        serving(
            folder / "store",
            *("--bind", "127.0.0.1:0", "--bind", f"unix:{short}/s"),
            STANDIN_SYNC="never",
            WEB_CONCURRENCY="1",
        ) as server,
    ):
        ways = [way.replace("UP", server.url).replace("UNIX", f"http://unix:{short}/s") for way in PLAIN.values()]
        blocks = [f"server {{ listen 127.0.0.1:PORT; location / {{ {way} }} }}" for way in ways]
        with nginx(folder, *blocks) as ports:
            yield Proxied(server, dict(zip(PLAIN, ports, strict=True)))


COMMANDS: list[Callable[[httpx.Client], httpx.Response]] = [
    lambda client: client.get("/_standin"),
    lambda client: client.post("/_standin/reset"),
    lambda client: client.get("/console"),
    lambda client: client.put("/_standin/clock", json={"mode": "frozen"}),
]


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("host", ["demo.example", "localhost", "127.0.0.1"])
def test_through_a_proxy_nobody_commands_without_a_token_whatever_it_adds(proxied, way, host):
    url = f"http://127.0.0.1:{proxied.ports[way]}"
    with httpx.Client(base_url=url, headers={"Host": host}, timeout=PATIENCE_SECONDS) as stranger:
        assert stranger.get(AVA_PATH, headers=DEMO).status_code == 200
        assert [command(stranger).status_code for command in COMMANDS] == [403] * len(COMMANDS)
        said = stranger.get("/_standin", headers={"Connection": "X-Forwarded-For, Forwarded, Via"}).json()["error"]
        assert "STANDIN_CONTROL" in said["message"]


def test_beside_the_proxy_this_machine_still_commands(proxied):
    with proxied.server.client() as client:
        assert [command(client).status_code for command in COMMANDS] == [200] * len(COMMANDS)


def test_a_proxy_that_leaves_the_path_on_gets_nothing_else(proxied, tmp_path):
    block = f"server {{ listen 127.0.0.1:PORT; location /layers/ {{ proxy_pass {proxied.server.url}; }} }}"
    with nginx(tmp_path, block) as (port,):
        for path in ("/layers/", "/layers/console", "/layers/v1/whoami", "/layers/docs"):
            reply: Any = httpx.get(f"http://127.0.0.1:{port}{path}")
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "NOT_FOUND")
