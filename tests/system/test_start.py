"""Starting the service as the README says, and being told in one sentence why it cannot start."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import apsw
import httpx
import pytest
from conftest import AVA_PATH
from servers import ROOT, Server, documents, environment, eventually, opened, run, seeded, serving, start, together

from layers_standin.domain.keys import DEMO_KEY
from layers_standin.engines.sqlite.connections import Connections
from layers_standin.engines.sqlite.files import DATABASE, MARK
from layers_standin.services import DEMO_KEY_ID
from layers_standin.settings import SEED, Bucket, Settings
from layers_standin.startup import greeting

pytestmark = pytest.mark.slow

BUCKET = Bucket("pictures", "prefix", "http://127.0.0.1:1", "region")

GUNICORN = ("gunicorn", "app:app")
FLASK = ("flask", "run", "--port", "0")
KEYS = ("layers_standin", "keys")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=[GUNICORN, FLASK], ids=["gunicorn", "flask run"])
def command(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# It starts.


def test_gunicorn_listens_where_PORT_says_with_as_many_workers_as_WEB_CONCURRENCY_says(folder):  # noqa: N802
    port = free_port()
    with serving(folder, PORT=str(port), WEB_CONCURRENCY="3") as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert len(server.workers()) == 3


def test_without_them_it_is_port_8000_of_this_machine_only_and_two_workers(folder):
    command = [sys.executable, "-m", "gunicorn", "--print-config", "app:app"]
    settings = {name: text for name, text in environment(folder).items() if name != "PORT"}
    printed = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, encoding="utf-8", check=True).stdout
    assert re.search(r"^bind += \['127\.0\.0\.1:8000'\]$", printed, re.MULTILINE)
    assert re.search(r"^workers += 2$", printed, re.MULTILINE)


@pytest.mark.parametrize(
    ("elsewhere", "places"),
    [
        ({}, "here"),
        ({"store": "postgresql://me:secret@host/db"}, "the database of STANDIN_STORE and here"),
        ({"media": BUCKET}, "here and the bucket of STANDIN_MEDIA"),
        (
            {"store": "postgresql://me:secret@host/db", "media": BUCKET},
            "the database of STANDIN_STORE and the bucket of STANDIN_MEDIA",
        ),
    ],
)
def test_it_says_where_its_data_are_and_no_password(elsewhere, places):
    said = greeting(Settings(data=Path("here"), **elsewhere), ["http://127.0.0.1:1"], demo_key=False)
    assert said == (
        f"The Layers stand-in listens on http://127.0.0.1:1 and keeps its data in {places}.\n"
        "Console: http://127.0.0.1:1/console\n"
        "API reference: http://127.0.0.1:1/docs\n"
    )


@pytest.mark.parametrize(
    ("settings", "addresses", "pages", "call"),
    [
        ({}, ["http://127.0.0.1:8000"], "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/whoami"),
        ({}, ["http://0.0.0.0:80"], "http://127.0.0.1:80", "http://127.0.0.1:80/v1/whoami"),
        ({}, ["http://[::]:80"], "http://[::1]:80", "http://[::1]:80/v1/whoami"),
        ({}, ["unix:/run/s.sock", "http://127.0.0.1:1"], "http://127.0.0.1:1", "http://127.0.0.1:1/v1/whoami"),
        ({}, ["unix:/a b"], None, "--unix-socket '/a b' http://localhost/v1/whoami"),
        ({"public_url": "https://a.example/sub"}, ["http://127.0.0.1:1"], "https://a.example/sub", "http://127.0.0.1:1/v1/whoami"),
        ({"public_url": "https://a.example"}, ["unix:/s"], "https://a.example", "--unix-socket /s http://localhost/v1/whoami"),
    ],
)  # fmt: skip
def test_it_says_where_its_pages_are_and_a_call(settings, addresses, pages, call):
    shown = [] if pages is None else [f"Console: {pages}/console", f"API reference: {pages}/docs"]
    said = greeting(Settings(**settings), addresses, demo_key=True).splitlines()
    assert said[1:-2] == shown
    assert said[-1] == f"Try: curl {call} -H 'X-Api-Key: {DEMO_KEY}'"


@pytest.mark.parametrize(
    ("closed", "has_console"),
    [
        ({"console": "off"}, False),
        ({"control": "off"}, False),
        ({"control": "off", "console": "read-only"}, True),
        ({"console": "read-only"}, True),
    ],
)
def test_it_names_the_console_only_where_there_is_one(closed, has_console):
    said = greeting(Settings(**closed), ["http://127.0.0.1:1"], demo_key=True)
    assert ("Console: http://127.0.0.1:1/console" in said) is has_console


def test_it_says_where_it_listens_what_the_demo_key_is_and_a_call_that_works(folder):
    with serving(folder) as server:
        assert f"listens on {server.url}" in server.output
        assert str(folder) in server.output
        assert f"Demo key: {DEMO_KEY}\n" in server.output
        (call,) = re.findall(r"^Try: (curl .+)$", server.output, re.MULTILINE)
        answer = json.loads(what_a_shell_prints(call))
        assert answer == server.client().get("/v1/whoami").json()
        assert answer["scopes"] == ["*"]
        pages = re.findall(r"^(?:Console|API reference): (http\S+)$", server.output, re.MULTILINE)
        assert [httpx.get(page).headers["Content-Type"] for page in pages] == ["text/html; charset=utf-8"] * 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="the printed call is one of curl, which is not here")
def test_on_a_unix_socket_the_greeting_works_when_pasted_and_this_machine_commands(folder):
    with TemporaryDirectory() as short:  # a socket's path has 107 bytes at most
        path = f"{short}/stand in.sock"
        process, printed = start(("gunicorn", "--bind", f"unix:{path}", "app:app"), environment(folder))
        try:
            call = next(line for line in printed if line.startswith("Try: ")).removeprefix("Try: ")
            assert json.loads(what_a_shell_prints(call))["scopes"] == ["*"]
            with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://localhost") as client:

                def status(page: str, **headers: str) -> int:
                    return client.get(page, headers=headers).status_code

                key = {"X-Api-Key": DEMO_KEY}
                assert status("/v1/whoami", Host="stand-in.example", **key) == 200
                assert (status("/_standin"), status("/console")) == (200, 200)
                assert status("/_standin", Host="stand-in.example") == 403
                assert status("/_standin", **{"X-Forwarded-For": "127.0.0.1"}) == 403
            assert b'"servers":[{"url":"http://localhost"}]' in answer_without_a_host(path)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            printed.close()


def test_flask_run_takes_a_unix_socket_for_this_machine_too(folder):
    with TemporaryDirectory() as short:
        path = f"{short}/s.sock"
        process, printed = start(("flask", "run", "--host", f"unix://{path}"), environment(folder))
        try:
            assert any("Running on unix:" in line for line in printed)
            with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://localhost") as client:
                assert client.get("/v1/whoami", headers={"X-Api-Key": DEMO_KEY}).status_code == 200
                assert client.get("/_standin").status_code == 200
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            printed.close()


def answer_without_a_host(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(b"GET /openapi.json HTTP/1.0\r\n\r\n")
        return b"".join(iter(partial(connection.recv, 1 << 16), b""))


def what_a_shell_prints(call: str) -> bytes:
    """Run a printed `curl <url> -H '<name>: <value>'`, without curl if there is none."""
    if shutil.which("curl"):
        return subprocess.run(call, shell=True, capture_output=True, check=True, timeout=60).stdout
    _, url, _, header = shlex.split(call)
    name, value = header.split(": ")
    return httpx.get(url, headers={name: value}).content


def test_a_new_store_is_seeded_and_a_restart_keeps_what_was_changed(folder):
    settings = {"STANDIN_PUBLIC_URL": "http://stand-in.example"}
    with serving(folder, **settings) as server:
        assert server.client().get(AVA_PATH).json()["name"] == "Ava Chen"
        changed = server.client().patch(AVA_PATH, json={"name": "Ava again"}).content
        server.client().delete("/v1/influencers/inf_01HXZB1M4N6P8Q0R2S3T5V7W9X").raise_for_status()
        assert server.stop() == 0
    before = documents(folder)
    with serving(folder, **settings) as server:
        assert server.client().get(AVA_PATH).content == changed
        assert server.client().get("/v1/influencers/inf_01HXZB1M4N6P8Q0R2S3T5V7W9X").status_code == 404
    assert documents(folder) == before


def test_two_servers_that_start_at_once_on_a_new_folder_seed_it_once(folder):
    with ExitStack() as stack:
        start = partial(serving, folder, STANDIN_PUBLIC_URL="http://stand-in.example")
        servers = together([lambda: stack.enter_context(start())] * 2)
        found = [server.client().get(AVA_PATH).content for server in servers]  # with a secret that is drawn by lot
        assert found[0] == found[1] == servers[0].client().get(AVA_PATH).content
        assert [key["publicId"] for key in documents(folder)["api_keys"]] == [DEMO_KEY_ID]
        assert len(documents(folder)["organizations"]) == 1


def test_STANDIN_SEED_none_starts_an_empty_store(folder):  # noqa: N802
    with serving(folder, STANDIN_SEED="none") as server:
        assert server.client().get(AVA_PATH).status_code == 401
    with opened(folder) as store:
        assert store.is_empty()


def test_a_store_without_the_demo_key_is_not_said_to_have_one(folder):
    with serving(folder, STANDIN_SEED="none") as server:
        assert "listens on" in server.output
        assert DEMO_KEY not in server.output


@pytest.mark.parametrize("is_option", [True, False], ids=["--port", "PORT"])
def test_flask_run_serves_and_greets_the_same(folder, is_option):
    port = str(free_port())
    server = Server(folder, "flask", "run", *(["--port", port] if is_option else []), PORT="0" if is_option else port)
    try:
        assert server.url == f"http://127.0.0.1:{port}"
        assert f"The Layers stand-in listens on {server.url} and keeps its data in {folder}.\n" in server.output
        assert f"\nConsole: {server.url}/console\n" in server.output
        assert f"\nDemo key: {DEMO_KEY}\n" in server.output
        changed = server.client().patch(AVA_PATH, json={"vibe": "new"}).json()
    finally:
        server.kill()
    with serving(folder, STANDIN_PUBLIC_URL=server.url) as other:
        assert other.client().get(AVA_PATH).json() == changed


def test_without_syncs_it_serves_and_stores_the_same(folder):
    with serving(folder, STANDIN_SYNC="never") as server:
        server.client().patch(AVA_PATH, json={"vibe": "new"}).raise_for_status()
        server.kill()
    with opened(folder) as store:
        assert (
            store.for_organization(store.organizations.all()[0]["id"]).influencer(AVA_PATH.rpartition("/")[2])["vibe"]
            == "new"
        )


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_polite_end_is_an_exit_with_0_and_no_noise(folder, end):
    with serving(folder) as server:
        server.process.send_signal(end)
        assert server.process.wait(60) == 0
        server.kill()
        assert "Traceback" not in server.output


# What it says of a request.


def test_every_request_is_a_line_on_standard_output_without_the_secret(folder):
    with serving(folder) as server:
        reply = server.client().patch(AVA_PATH, json={"name": "Private"}, params={"secret": "query"})
        line = eventually(lambda: line_about(server, reply), "its line in the access log")
        assert line.split()[1:6] == [reply.headers["X-Request-Id"], DEMO_KEY_ID, "PATCH", AVA_PATH, "200"]
        wrong = DEMO_KEY[:-1] + "1"
        refused = httpx.get(server.url + AVA_PATH, headers={"Authorization": f"Bearer {wrong}"})
        line = eventually(lambda: line_about(server, refused), "its line in the access log")
        assert line.split()[1:6] == [refused.headers["X-Request-Id"], "-", "GET", AVA_PATH, "401"]
        said_of_requests = server.output.partition("Try:")[2].partition("\n")[2]
    for secret in (DEMO_KEY.split("_", 3)[3], wrong.split("_", 3)[3], "Private", "query"):
        assert secret not in said_of_requests


def test_the_lines_can_be_json(folder):
    with serving(folder, STANDIN_LOG="json") as server:
        reply = server.client().get(AVA_PATH)
        line = json.loads(eventually(lambda: line_about(server, reply), "its line in the access log"))
    expected = {"key_id": DEMO_KEY_ID, "method": "GET", "path": AVA_PATH, "status": 200}
    assert line.items() >= expected.items()


def line_about(server: Server, reply: httpx.Response) -> str | None:
    return next((line for line in server.lines if reply.headers["X-Request-Id"] in line), None)


# It does not start, and says why.


def assert_refuses(folder: Path, command: tuple[str, ...], *hints: str, **settings: str) -> None:
    """Check that a start ends with an error code and one line that is a sentence and has the hints in it."""
    ended = run(folder, *command, **settings)
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0, said
    assert re.fullmatch(r"[A-Z].*[.?]\n", said), said
    assert "Traceback" not in said
    for hint in hints:
        assert hint in said


BAD_SETTINGS = {
    "STANDIN_DATA": "",
    "STANDIN_STORE": "mysql://user:secret@host/database",
    "STANDIN_MEDIA": "s3://bucket",
    "STANDIN_SEED": "no/such/file.json",
    "STANDIN_PUBLIC_URL": "stand-in.example",
    "STANDIN_JOB_SECONDS": "soon",
    "STANDIN_RATE_LIMITS": "yes",
    "STANDIN_MAX_UPLOAD_BYTES": "50 MB",
    "STANDIN_MAX_PICTURE_PIXELS": "64 MP",
    "STANDIN_SYNC": "sometimes",
    "STANDIN_LOG": "xml",
    "STANDIN_CONTROL": "short",
    "STANDIN_CONTROL_HOSTS": "http://stand-in.example",
    "STANDIN_CONTROL_ORIGINS": "*",
    "STANDIN_RETURN_ORIGINS": "app.example.com",
    "STANDIN_CONSOLE": "yes",
    "STANDIN_ALLOW_DEMO_KEY": "yes",
}


def test_every_setting_has_a_bad_value_here():
    assert BAD_SETTINGS.keys() == {f"STANDIN_{field.name.upper()}" for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize(("name", "text"), [*BAD_SETTINGS.items(), ("STANDIN_PUBLIC_URL", "http://[")])
def test_a_bad_setting_stops_the_start_by_name(folder, command, name, text):
    # What may be a token, or have a password in it, is not said again.
    said = "" if name in ("STANDIN_CONTROL", "STANDIN_STORE", "STANDIN_MEDIA") else repr(text)
    assert_refuses(folder, command, f"{name} must be ", said, **{name: text})
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "hint"), [("STANDIN_DTAA", "did you mean STANDIN_DATA?"), ("STANDIN_COLOUR_OF_HOUSE", "There is no")]
)
def test_an_unknown_setting_stops_the_start(folder, command, name, hint):
    assert_refuses(folder, command, name, hint, **{name: "x"})


@pytest.mark.parametrize("command", [GUNICORN, ("flask", "run")], ids=["gunicorn", "flask run"])
@pytest.mark.parametrize("text", ["", "http", "-1", "65536", "²"])
def test_a_bad_PORT_stops_the_start(folder, command, text):  # noqa: N802
    assert_refuses(folder, command, "PORT must be a number from 0 to 65535", repr(text), PORT=text)


def test_no_workers_at_all_stop_the_start(folder):
    assert_refuses(folder, GUNICORN, "WEB_CONCURRENCY must be a number from 1", WEB_CONCURRENCY="0")


def below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "store"


def with_a_folder_for_a_database(tmp_path: Path) -> Path:
    (tmp_path / "store" / DATABASE).mkdir(parents=True)
    return tmp_path / "store"


@pytest.mark.parametrize("place", [below_a_file, with_a_folder_for_a_database, lambda _: Path("/proc")])
def test_a_data_folder_that_refuses_is_named(tmp_path, command, place):
    folder = place(tmp_path)
    assert_refuses(folder, command, str(folder), "name a folder that can be written to")


def with_newer_format(folder: Path) -> None:
    with closing(Connections(folder / DATABASE, sync=False, patience_seconds=1).connect()) as connection:
        connection.execute("UPDATE facts SET fact = '99' WHERE name = 'format'")
        assert connection.changes() == 1


def with_a_flipped_byte(folder: Path) -> None:
    database = folder / DATABASE
    data = database.read_bytes()
    assert b"DEM0DEM0DEM0DEM0" in data
    database.write_bytes(data.replace(b"DEM0DEM0DEM0DEM0", b"DEM0DEM0DEM0DEM1"))


def cut_in_half(folder: Path) -> None:
    os.truncate(folder / DATABASE, (folder / DATABASE).stat().st_size // 8192 * 4096)


def emptied(folder: Path) -> None:
    os.truncate(folder / DATABASE, 0)


def emptied_without_its_mark(folder: Path) -> None:
    (folder / MARK).unlink()
    os.truncate(folder / DATABASE, 0)


def with_nothing_but_a_header(folder: Path) -> None:
    """A database without a table, and without the mark: only pictures tell that there was a store."""
    (folder / MARK).unlink()
    (folder / DATABASE).unlink()
    with closing(apsw.Connection(str(folder / DATABASE))) as connection:
        connection.execute("PRAGMA user_version = 7")


def without_checksums(folder: Path) -> None:
    """All that the store holds, copied row by row by another program of SQLite's."""
    new = folder.with_name("copied.sqlite3")
    with closing(sqlite3.connect(folder / DATABASE)) as source, closing(sqlite3.connect(new)) as target:
        target.execute("PRAGMA journal_mode = WAL")
        target.executescript("\n".join(source.iterdump()))
    new.replace(folder / DATABASE)


def of_something_else(folder: Path) -> None:
    (folder / DATABASE).write_text('{"_default": {"1": {"name": "a store of TinyDB itself"}}}' * 100)


def of_another_program(folder: Path) -> None:
    (folder / DATABASE).unlink()
    with closing(apsw.Connection(str(folder / DATABASE))) as connection:
        connection.execute("CREATE TABLE accounts (name)")


def of_another_store(folder: Path) -> None:
    with seeded(folder.with_name("another")):
        pass
    for name in (DATABASE, f"{DATABASE}-wal"):
        (folder.with_name("another") / name).replace(folder / name)


def gone(folder: Path) -> None:
    (folder / DATABASE).unlink()


def gone_with_its_mark(folder: Path) -> None:
    """What stays are pictures."""
    gone(folder)
    (folder / MARK).unlink()


def gone_but_for_its_snapshots(folder: Path) -> None:
    gone_with_its_mark(folder)
    shutil.rmtree(folder / "media")
    (folder / "snapshots" / "before.media").mkdir(parents=True)


def gone_but_for_its_mark(folder: Path) -> None:
    gone(folder)
    shutil.rmtree(folder / "media")


SPOILED = {
    with_newer_format: ["format 99", "Run the newer program, or set STANDIN_DATA"],
    with_a_flipped_byte: [DATABASE, "is damaged", "Put a copy of the whole data folder"],
    cut_in_half: [DATABASE, "is damaged", "Put a copy of the whole data folder"],
    emptied: [DATABASE, "it is empty", "media, store.id", "Put a copy of the whole data folder"],
    emptied_without_its_mark: [DATABASE, "it is empty", "media", "Put a copy of the whole data folder"],
    with_nothing_but_a_header: [DATABASE, "is damaged", "Put a copy of the whole data folder"],
    without_checksums: [DATABASE, "its pages carry no checksums", "Put a copy of the whole data folder"],
    of_something_else: [DATABASE, "is damaged", "Put a copy of the whole data folder"],
    of_another_program: [DATABASE, "not one of the stand-in", "Put a copy of the whole data folder"],
    of_another_store: [DATABASE, "another store", "put its own back, or remove", MARK],
    gone: ["media, store.id", DATABASE, "is missing", "put it back, or set STANDIN_DATA"],
    gone_with_its_mark: ["holds media of a store", DATABASE, "is missing", "put it back, or set STANDIN_DATA"],
    gone_but_for_its_snapshots: ["holds snapshots of a store", "is missing", "put it back, or set STANDIN_DATA"],
    gone_but_for_its_mark: ["holds store.id of a store", DATABASE, "is missing", "put it back, or set STANDIN_DATA"],
}
ALL_COMMANDS = [
    GUNICORN,
    FLASK,
    ("layers_standin", "keys", "create", "--org", "x", "--scopes", "*"),
    ("layers_standin", "keys", "delete", DEMO_KEY_ID),
    ("layers_standin", "store", "verify"),
    ("layers_standin", "store", "export"),
    ("layers_standin", "store", "import", "--merge", str(ROOT / "tests" / "stores" / "export-0.1.0.json")),
]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the one that processes share, which holds nothing that lasts."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("command", ALL_COMMANDS, ids=lambda command: " ".join(command[:3]))
@pytest.mark.parametrize("spoil", SPOILED)
def test_a_store_that_cannot_be_understood_is_left_as_it_is(folder, command, spoil):
    with seeded(folder) as store:
        store.organizations.create("Second")
    spoil(folder)
    log = folder / f"{DATABASE}-wal"
    log.touch()  # SQLite makes it when it looks at a database
    spoiled = contents(folder)
    ended = run(folder, *command)
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0, said
    assert "Traceback" not in said
    for hint in SPOILED[spoil]:
        assert hint in said
    if command[1:] != ("store", "export"):  # which may have printed the beginning
        assert re.match(r"[A-Z/].*[.?]\n\Z", said, re.DOTALL), said
    assert contents(folder) == spoiled


SEEDS = {
    "not JSON": ("{", "not JSON"),
    "not an object": ("[]", "not an object of tables"),
    "NaN": ('{"influencers": {"1": {"organizationId": "o", "influencerId": "i", "vibe": NaN}}}', "not JSON"),
    "unknown table": ('{"unicorns": {}}', "there is no table 'unicorns'"),
    "no identity": ('{"influencers": {"1": {"organizationId": "o"}}}', "influencerId: Required"),
    "no such picture": (
        '{"assets": {"1": {"organizationId": "o", "projectId": "p", "assetId": "asset_a", "picture": "b.png"}}}',
        "b.png",
    ),
    "incomplete asset": ('{"assets": {"1": {"organizationId": "o", "assetId": "a"}}}', "projectId: Required"),
    "incomplete reference": (
        '{"influencers": {"1": {"organizationId": "o", "influencerId": "i", "referenceImages": [{}]}}}',
        "referenceImages: 0.assetId: Required",
    ),
}


@pytest.mark.parametrize(("seed", "hint"), SEEDS.values(), ids=SEEDS)
def test_a_seed_that_cannot_be_used_is_named_and_leaves_the_store_empty(folder, tmp_path, seed, hint):
    path = tmp_path / "seed.json"
    path.write_text(seed, "utf-8")
    assert_refuses(folder, GUNICORN, f"The seed {path} cannot be used", hint, STANDIN_SEED=str(path))
    assert not folder.exists()


def test_a_seed_that_is_not_used_is_told_in_a_line(folder, tmp_path):
    seed = tmp_path / "seed.json"
    shutil.copytree(SEED.parent / "pictures", tmp_path / "pictures")
    shutil.copy(SEED, seed)
    with serving(folder, STANDIN_SEED=str(seed)) as server:
        assert "was not used" not in server.output
    with serving(folder, STANDIN_SEED=str(seed)) as server:
        assert server.output.count(f"The seed {seed} was not used, for there is a store already") == 1
    with serving(folder) as server:
        assert "was not used" not in server.output


# The key that everybody knows.

PUBLIC_GUNICORN = ("gunicorn", "--bind", "0.0.0.0:0", "app:app")
PUBLIC_FLASK = (*FLASK, "--host", "0.0.0.0")


@pytest.mark.parametrize("public", [PUBLIC_GUNICORN, PUBLIC_FLASK], ids=["gunicorn", "flask run"])
class TestListeningToStrangers:
    def test_is_refused_while_the_demo_key_is_active(self, folder, public):
        assert_refuses(
            folder, public, "0.0.0.0", f"`layers-stand-in keys delete {DEMO_KEY_ID}`", "STANDIN_ALLOW_DEMO_KEY=1"
        )

    def test_works_when_told_that_it_is_wanted(self, folder, public):
        assert status_of_demo_key(folder, public, STANDIN_ALLOW_DEMO_KEY="1") == 200

    def test_works_once_the_demo_key_is_deleted(self, folder, public):
        with seeded(folder):
            pass
        assert run(folder, "layers_standin", "keys", "delete", DEMO_KEY_ID).returncode == 0
        assert status_of_demo_key(folder, public) == 503


# A server of which the app cannot know where it listens.
ANOTHER_SERVER = """
import sys
from wsgiref.simple_server import make_server

from app import app

with make_server(sys.argv[1], 0, app) as server:
    server.base_environ["SERVER_NAME"] = sys.argv[1]  # as gunicorn tells it; this one has looked for a name
    print(f"It listens on http://{sys.argv[1]}:{server.server_port}", flush=True)
    server.serve_forever()
"""


@pytest.mark.parametrize(
    ("host", "settings", "status"),
    [("0.0.0.0", {}, 401), ("0.0.0.0", {"STANDIN_ALLOW_DEMO_KEY": "1"}, 200), ("127.0.0.1", {}, 200)],
)
def test_on_another_server_strangers_do_not_come_in_with_the_demo_key_either(
    folder, tmp_path, monkeypatch, host, settings, status
):
    (tmp_path / "another_server.py").write_text(ANOTHER_SERVER, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = Server(folder, "another_server", host, **settings)
    try:
        assert "The stand-in was started without its own configuration" in server.output
        own = run(folder, *KEYS, "create", "--org", "Northwind Studio", "--scopes", "*").stdout.strip()
        assert server.client().get(AVA_PATH).status_code == status
        assert server.client(**{"X-Api-Key": own}).get(AVA_PATH).json()["name"] == "Ava Chen"
    finally:
        server.kill()


def status_of_demo_key(folder: Path, command: tuple[str, ...], **settings: str) -> int:
    server = Server(folder, *command, **settings)
    try:
        return server.client().get("/v1/whoami").status_code
    finally:
        server.kill()
