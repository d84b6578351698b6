"""The command line, on a folder that nobody has open and on one that a service is working in."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from conftest import AVA, AVA_PATH, DEMO
from databases import Pages
from post_helpers import plant_posts
from quickstart_helpers import plant_installation
from servers import ROOT, STAYS_OPEN, Server, documents, environment, opened, run, seeded, serving
from tinydb import TinyDB, where

from app import create_app
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Record
from layers_standin.openapi import examples
from layers_standin.services import DEMO_KEY_ID, Services, open_services
from layers_standin.settings import SEED, Settings

pytestmark = pytest.mark.slow

Flask = Callable[..., subprocess.CompletedProcess[str]]

INFLUENCERS = [
    AVA, "inf_01HXZB1M4N6P8Q0R2S3T5V7W9X", "inf_01HXZC3D5E7F9G1H3J5K7M9N1P", "8d0f2c7a-91b4-4e55-b1d6-0a7c3e5f9b21",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the seed in it."""
    with seeded(tmp_path / "store"):
        return tmp_path / "store"


@pytest.fixture(params=["while the service runs", "before it starts"])
def service(request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[[], Server]]:
    """A function that returns the service: it runs already, or is started now."""
    with ExitStack() as stack:
        start = partial(serving, folder, *STAYS_OPEN, WEB_CONCURRENCY="2")
        running = stack.enter_context(start()) if request.param == "while the service runs" else None
        yield lambda: running or stack.enter_context(start())


@pytest.fixture
def flask(folder: Path) -> Flask:
    return partial(run, folder, "layers_standin")


def printed(ended: subprocess.CompletedProcess[str]) -> str:
    """Return what a command that went well printed on standard output."""
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    return ended.stdout


def assert_refused(ended: subprocess.CompletedProcess[str], *hints: str) -> None:
    """Check that a command ended with an error code and said why in a sentence that has the hints in it."""
    assert (ended.returncode, ended.stdout) == (1, "")
    said = ended.stderr
    assert re.match(r"[A-Z/].*\.\n\Z", said, re.DOTALL), said
    assert "Traceback" not in said
    for hint in hints:
        assert hint in said


def on_disk(folder: Path) -> bytes:
    return Pages(folder / DATABASE).read_bytes()


def with_every_worker(server: Server) -> list[httpx.Client]:
    return [server.client_of(worker) for worker in server.workers()]


# layers-stand-in keys


def test_a_new_key_works_at_once_and_only_for_its_scopes(flask, folder, service):
    key = printed(
        flask("keys", "create", "--org", "Northwind Studio", "--scopes", "influencers:write, jobs:read")
    ).strip()
    assert re.fullmatch(r"lp_test_[0-9A-Z]{16}_[0-9A-Za-z_-]{43}", key)
    for client in with_every_worker(service()):
        client.headers["X-Api-Key"] = key
        assert client.get("/v1/whoami").json()["scopes"] == ["influencers:write", "jobs:read"]
        assert client.patch(AVA_PATH, json={"vibe": "new"}).status_code == 200


def test_a_key_without_the_scope_is_refused(flask, service):
    key = printed(flask("keys", "create", "--org", "Northwind Studio", "--scopes", "jobs:read")).strip()
    reply = service().client(**{"X-Api-Key": key}).get(AVA_PATH)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "FORBIDDEN_SCOPE")


def test_a_scope_that_does_not_exist_is_refused(flask, folder):
    before = on_disk(folder)
    hints = ["'influencers:read'", "influencers:write"]
    assert_refused(flask("keys", "create", "--org", "Fresh", "--scopes", "jobs:read,influencers:read"), *hints)
    assert on_disk(folder) == before


def test_the_secret_of_a_key_is_in_no_file(flask, folder, service):
    key = printed(flask("keys", "create", "--org", "Northwind Studio", "--scopes", "*")).strip()
    service().client(**{"X-Api-Key": key}).patch(AVA_PATH, json={"vibe": "new"}).raise_for_status()
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    public_id, secret = key.split("_", 3)[2:]
    assert any(public_id.encode() in content for content in contents)
    assert not any(secret.encode() in content for content in contents)


def test_an_organization_with_a_new_name_is_made_once_and_sees_nothing_of_others(flask, folder, service):
    created = [flask("keys", "create", "--org", "Fresh & Co", "--scopes", "*") for _ in range(2)]
    clients = [service().client(**{"X-Api-Key": printed(ended).strip()}) for ended in created]
    assert [client.get("/v1/whoami").json()["organizationName"] for client in clients] == ["Fresh & Co"] * 2
    assert len({client.get("/v1/whoami").json()["organizationId"] for client in clients}) == 1
    assert clients[0].get(AVA_PATH).status_code == 404
    assert len(documents(folder)["organizations"]) == 2


def test_an_organization_is_found_by_its_id(flask, folder):
    (organization,) = documents(folder)["organizations"]
    printed(flask("keys", "create", "--org", organization["id"], "--scopes", "*"))
    assert [key["organizationId"] for key in documents(folder)["api_keys"]] == [organization["id"]] * 2


@pytest.mark.parametrize(
    ("org", "hint"), [("9e8d6b6f-3f0c-4c55-9d0b-0d8f2f3c1a77", "Organization not found."), (" ", "--org")]
)
def test_a_key_for_no_organization_is_refused(flask, folder, org, hint):
    before = on_disk(folder)
    assert_refused(flask("keys", "create", "--org", org, "--scopes", "*"), hint)
    assert on_disk(folder) == before


def test_a_deleted_key_is_refused_at_once_by_every_worker(flask, folder):
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2") as server:
        clients = with_every_worker(server)
        printed(flask("keys", "delete", DEMO_KEY_ID))
        replies = [client.get("/v1/whoami") for client in clients]
    assert [(reply.status_code, reply.json()["error"]["code"]) for reply in replies] == [(503, "KILL_SWITCH")] * 2


def test_an_unknown_key_cannot_be_deleted(flask):
    assert_refused(flask("keys", "delete", "N0SUCHKEYN0SUCHK"), "There is no key N0SUCHKEYN0SUCHK.")


def test_a_key_can_be_deleted_by_the_whole_of_it(flask):
    assert flask("keys", "delete", DEMO_KEY).stderr == f"Deleted the key {DEMO_KEY_ID}.\n"
    assert DEMO_KEY_ID not in printed(flask("keys", "list"))


def test_a_key_made_before_the_first_start_does_not_keep_the_seed_out(tmp_path):
    folder = tmp_path / "new"
    printed(run(folder, "layers_standin", "keys", "create", "--org", "Fresh & Co", "--scopes", "*"))
    with serving(folder) as server:
        assert server.client().get(AVA_PATH).json()["name"] == "Ava Chen"


@pytest.mark.parametrize("command", ["verify", "export"])
def test_where_there_is_no_store_none_is_made(tmp_path, command):
    ended = run(tmp_path / "nowhere", "layers_standin", "store", command)
    assert_refused(ended, f"There is no store in {tmp_path / 'nowhere'}")
    assert not (tmp_path / "nowhere").exists()


# layers-stand-in store export, import


def test_what_export_prints_is_a_database_of_tinydb(flask, folder, service, tmp_path):
    service().client().patch(AVA_PATH, json={"vibe": "exported"}).raise_for_status()
    path = tmp_path / "export.json"
    path.write_text(printed(flask("store", "export")), "utf-8")
    with TinyDB(path) as db:
        influencers = db.table("influencers")
        assert {row["influencerId"] for row in influencers.all()} == set(INFLUENCERS)
        (ava,) = influencers.search(where("name") == "Ava Chen")
        assert (ava["influencerId"], ava["vibe"]) == (AVA, "exported")
        assert db.tables() == {
            "organizations", "projects", "influencers", "assets", "jobs", "uploads", "containers", "posts",
            "social_accounts", "oauth_states", "github_installations", "github_states",
            "api_keys", "api_key_ids", "idempotency", "history",
        }  # fmt: skip


def test_what_was_exported_can_be_imported_and_is_the_same_again(flask, folder, service, tmp_path):
    changes = {"name": "Zoë \u0000 “A”", "personality": {"traits": []}}
    headers = {"Idempotency-Key": "kept too"}
    reply = service().client().patch(AVA_PATH, json=changes, headers=headers)
    service().client().delete(f"/v1/influencers/{INFLUENCERS[1]}").raise_for_status()
    path, copy = tmp_path / "export.json", tmp_path / "copy"
    path.write_text(printed(flask("store", "export")), "utf-8")
    printed(run(copy, "layers_standin", "store", "import", str(path)))
    assert printed(run(copy, "layers_standin", "store", "export")) == path.read_text("utf-8")
    assert documents(copy) == documents(folder)
    with serving(copy, STANDIN_PUBLIC_URL=service().url) as server:
        again = server.client().patch(AVA_PATH, json=changes, headers=headers)
        assert (again.content, again.headers["Idempotent-Replayed"]) == (reply.content, "true")
        assert server.client().get(f"/v1/influencers/{INFLUENCERS[1]}").status_code == 404


@contextmanager
def services_of(folder: Path) -> Iterator[Services]:
    """Open the services of a folder in this process."""
    rooms = open_services(Settings(data=folder, sync=False))
    try:
        yield rooms
    finally:
        rooms.store.db.close()


READS = [
    f"/v1/content/{examples.APPROVED_CONTAINER}", f"/v1/projects/{examples.SPRING}/content",
    f"/v1/scheduled-posts/{examples.POST}", f"/v1/projects/{examples.SPRING}/scheduled-posts",
    f"/v1/projects/{examples.SPRING}/social-accounts", f"/v1/social/oauth-status/{examples.STATE}",
    "/v1/github/installation", "/v1/github/repos", "/v1/credits",
]  # fmt: skip


def test_content_posts_accounts_and_consents_under_way_come_back_without_a_secret(flask, folder, tmp_path):
    with services_of(folder) as rooms:
        plant_posts(rooms)
        plant_installation(rooms)
        secrets = [DEMO_KEY.split("_", 3)[3], rooms.store.signing_key()]
    path, copy = tmp_path / "export.json", tmp_path / "copy"
    path.write_text(printed(flask("store", "export")), "utf-8")
    assert not any(secret in path.read_text("utf-8") for secret in secrets)
    printed(run(copy, "layers_standin", "store", "import", str(path)))

    assert documents(copy) == {name: rows for name, rows in documents(folder).items() if name != "secrets"}
    with services_of(folder) as there, services_of(copy) as here:
        clients = [create_app(rooms).test_client() for rooms in (there, here)]
        for read in READS:
            told, again = (client.get(read, headers=DEMO) for client in clients)
            assert (told.status_code, again.json) == (200, told.json)
        body = {"installationId": examples.INSTALLATION, "state": examples.STATE}
        registered = [client.post("/v1/github/installation", json=body, headers=DEMO) for client in clients]
        assert [response.status_code for response in registered] == [201, 201]


def many_avas(folder: Path) -> dict[str, Record]:
    """Return 2500 influencers by their numbers, all like AVA."""
    (ava,) = (row for row in documents(folder)["influencers"] if row["influencerId"] == AVA)
    return {str(number): ava | {"influencerId": f"many-{number}"} for number in range(2500)}


def test_a_large_import_is_whole(folder, tmp_path):
    path, copy, many = tmp_path / "many.json", tmp_path / "copy", many_avas(folder)
    path.write_bytes(orjson.dumps({"influencers": many}))
    printed(run(copy, "layers_standin", "store", "import", str(path)))
    assert documents(copy) == {"influencers": list(many.values())}


def test_an_import_that_fails_in_the_middle_leaves_nothing_behind(folder, tmp_path):
    path, copy, whole = tmp_path / "many.json", tmp_path / "copy", tmp_path / "whole"
    path.write_bytes(orjson.dumps({"influencers": many_avas(folder)}))
    printed(run(whole, "layers_standin", "store", "import", str(path)))
    half = (whole / DATABASE).stat().st_size // 2
    assert_refused(run(copy, "layers_standin", "store", "import", str(path), largest_file=half), "takes no writes")
    assert documents(copy) == {}
    printed(run(copy, "layers_standin", "store", "import", str(path)))
    assert documents(copy) == documents(whole)


@pytest.mark.parametrize("fault", [{"name": None}, {"createdAt": "yesterday", "sortKey": None}, {"organizationId": 7}])
def test_an_import_whose_last_document_is_bad_leaves_nothing_behind(folder, tmp_path, fault):
    path, copy = tmp_path / "many.json", tmp_path / "copy"
    many = many_avas(folder)
    many["last"] = {name: value for name, value in (many["0"] | fault).items() if value is not None}
    path.write_bytes(orjson.dumps({"influencers": many}))
    assert_refused(run(copy, "layers_standin", "store", "import", str(path)), f"{path} cannot be imported")
    assert documents(copy) == {}


def test_what_leaves_out_as_much_as_the_seed_does_is_imported_and_served_like_the_seed(folder, tmp_path):
    tables = orjson.loads(SEED.read_bytes())
    for asset in tables["assets"].values():
        asset["filename"] = Path(asset.pop("picture")).name  # only a seed brings pictures along
    path, copy = tmp_path / "rows.json", tmp_path / "copy"
    path.write_bytes(orjson.dumps(tables))
    printed(run(copy, "layers_standin", "store", "import", str(path)))
    key = printed(run(copy, "layers_standin", "keys", "create", "--org", "Northwind Studio", "--scopes", "*")).strip()
    same_url = {"STANDIN_PUBLIC_URL": "http://stand-in.example"}
    with serving(folder, **same_url) as planted, serving(copy, **same_url) as imported:
        assert shown(imported.client(**{"X-Api-Key": key})) == shown(planted.client())


def shown(client: httpx.Client) -> list[Any]:
    """Return the projects, the influencers in the lists of each, and each influencer."""
    projects = client.get("/v1/projects").raise_for_status().json()
    lists = [client.get(f"/v1/projects/{row['id']}/influencers").raise_for_status().json() for row in projects["items"]]
    rows = [row for rows in lists for row in rows["items"]]
    assert sorted(row["influencerId"] for row in rows) == sorted(INFLUENCERS)
    for row in rows:
        row["thumbnailUrl"] = re.sub(r"/\w{32}/portrait/", "/secret/portrait/", row["thumbnailUrl"])
    return [projects, lists, [client.get(f"/v1/influencers/{each}").raise_for_status().json() for each in INFLUENCERS]]


def test_import_fills_only_an_empty_store_unless_told_to_merge(flask, folder, service, tmp_path):
    running = service()
    (organization,) = documents(folder)["organizations"]
    path = tmp_path / "rows.json"
    path.write_bytes(orjson.dumps({"organizations": {"any": organization | {"name": "Renamed"}}}))
    before = documents(folder)
    assert_refused(flask("store", "import", str(path)), "not empty", "STANDIN_DATA", "--merge")
    assert documents(folder) == before
    printed(flask("store", "import", "--merge", str(path)))
    assert documents(folder) == before | {"organizations": [organization | {"name": "Renamed"}]}
    assert running.client().get("/v1/whoami").json()["organizationName"] == "Renamed"


BAD_IMPORTS = {
    "garbage": (b"\x00\xff garbage", "not JSON"),
    "not an object": (b"[]", "not an object of tables"),
    "NaN": (b'{"projects": {"1": {"id": "p", "organizationId": "o", "metadata": {"x": NaN}}}}', "not JSON"),
    "unknown table": (b'{"projects": {}, "unicorns": {}}', "there is no table 'unicorns'"),
    "table of a list": (b'{"projects": []}', "table 'projects' is not an object of documents"),
    "document without id": (b'{"projects": {"7": {"organizationId": "o"}}}', "document '7' of table 'projects'"),
    "document that is none": (b'{"projects": {"7": "p"}}', "document '7' of table 'projects'"),
    "id that is a number": (b'{"projects": {"7": {"id": 7, "organizationId": "o"}}}', "id: Expected string"),
    "id that is null": (b'{"organizations": {"7": {"id": null}}}', "id: Expected string, received null"),
    "outcome without its time": (b'{"idempotency": {"7": {"id": "i", "organizationId": "o"}}}', "'filedAtMs'"),
    "half a character": (b'{"projects": {"7": {"id": "\\ud800", "organizationId": "o"}}}', "not JSON"),
    "too deep to write": (
        b'{"projects": {"7": {"id": "p", "organizationId": "o", "metadata": %b%b}}}' % (b"[" * 600, b"]" * 600),
        "document '7' of table 'projects'",
    ),
    "too deep to read": (b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize(("content", "hint"), BAD_IMPORTS.values(), ids=BAD_IMPORTS)
def test_an_import_that_is_not_what_export_writes_changes_nothing(flask, folder, tmp_path, content, hint):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    before = on_disk(folder)
    assert_refused(flask("store", "import", "--merge", str(path)), f"{path} cannot be imported", hint)
    assert on_disk(folder) == before


# What they have in common.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
@pytest.mark.parametrize("is_new", [True, False], ids=["a new folder", "a folder of the service"])
def test_what_root_writes_belongs_to_the_one_whose_folder_it_is(folder, tmp_path, is_new):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    if not is_new:
        shutil.copytree(folder, theirs / "store")
        for path in (theirs / "store").glob(f"{DATABASE}-*"):
            path.unlink()
    for path in (theirs, *theirs.rglob("*")):
        os.chown(path, 65534, 65534)
    (tmp_path / "rows.json").write_bytes(b'{"organizations": {"1": {"id": "fresh", "name": "Fresh"}}}')
    for command in (
        ["keys", "create", "--org", "Fresh", "--scopes", "*"],
        ["keys", "delete", DEMO_KEY_ID],
        ["store", "verify"],
        ["store", "export"],
        ["store", "import", "--merge", str(tmp_path / "rows.json")],
        ["store", "copy", str(theirs / "store"), str(theirs / "copy")],
        ["openapi"],
    ):
        printed(run(theirs / "store", "layers_standin", *command))
    made = [theirs / "store" / DATABASE, theirs / "copy" / DATABASE, *(theirs / "store" / "media").glob("*/*")]
    assert len(made) == 10 and all(path.is_file() for path in made)
    for path in theirs.rglob("*"):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (65534, 65534), path
        if is_new:
            assert found.st_mode & 0o077 == 0, path


def test_what_another_may_not_read_is_a_sentence(folder):
    """Of a user who is not root, or of root where even that one may not."""
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.name)  # a circle: it can be opened by nobody
    for command in ("store verify", "store export", "keys create --org x --scopes *"):
        assert_refused(run(folder, "layers_standin", *command.split()), str(folder), "cannot be used")


@pytest.mark.parametrize(
    "command",
    [
        "keys create --org x --scopes *",
        "keys delete x",
        "store verify",
        "store export",
    ],
)
def test_a_bad_setting_is_a_sentence(flask, command):
    assert_refused(flask(*command.split(), STANDIN_SYNC="sometimes"), "STANDIN_SYNC must be")


@pytest.mark.parametrize("command", ["keys create --org x --scopes *", "keys delete DEM0DEM0DEM0DEM0"])
def test_a_folder_that_refuses_is_a_sentence(command):
    ended = run(Path("/proc"), "layers_standin", *command.split())
    assert_refused(ended, "/proc", "name a folder that can be written to")


@pytest.mark.parametrize("command", ["keys create --org Fresh --scopes *", "keys delete DEM0DEM0DEM0DEM0", "import"])
def test_a_full_disk_is_a_sentence_and_changes_nothing(flask, folder, tmp_path, command):
    if command == "import":
        path = tmp_path / "rows.json"
        path.write_bytes(b'{"organizations": {"1": {"id": "fresh", "name": "Fresh"}}}')
        command = f"store import --merge {path}"
    before = on_disk(folder)
    with opened(folder):  # or what the last process has left beside the database would be made anew
        assert_refused(flask(*command.split(), largest_file=4096), "takes no writes")
    assert on_disk(folder) == before


@pytest.mark.parametrize("command", ["verify", "export", "import"])
def test_what_is_for_a_folder_is_refused_where_the_store_is_a_database(folder, tmp_path, command):
    (tmp_path / "rows.json").write_bytes(b"{}")
    file = [str(tmp_path / "rows.json")] if command == "import" else []
    ended = run(
        folder, "layers_standin", "store", command, *file, STANDIN_STORE="postgresql://standin:s3cret@127.0.0.1:1/db"
    )
    assert_refused(ended, "STANDIN_STORE is a database", "`layers-stand-in store copy`")
    assert "s3cret" not in ended.stderr


# What people mistype


@pytest.mark.parametrize("command", [("keys", "list"), ("organizations", "list")])
def test_to_list_what_is_in_a_folder_without_a_store_makes_none(tmp_path, command):
    assert_refused(
        run(tmp_path / "mistyped", "layers_standin", *command), f"There is no store in {tmp_path / 'mistyped'}."
    )
    assert not (tmp_path / "mistyped").exists()


@pytest.mark.parametrize("command", [("reset",), ("keys", "list"), ()])
def test_an_empty_folder_name_is_refused_and_does_not_mean_the_current_folder(tmp_path, command):
    assert_refused(run(tmp_path / "store", "layers_standin", *command, "--data", ""), "STANDIN_DATA")
    assert not (ROOT / DATABASE).exists()


def test_an_unknown_command_is_named(tmp_path):
    ended = run(tmp_path / "store", "layers_standin", "kyes")
    assert ended.returncode == 2
    assert "No such command 'kyes'." in ended.stderr


@pytest.mark.parametrize("number", ["x", "", "0", "٣"])
def test_a_bad_number_of_workers_is_a_sentence(tmp_path, number):
    ended = run(tmp_path / "store", "layers_standin", WEB_CONCURRENCY=number)
    assert_refused(ended, f"WEB_CONCURRENCY must be a number from 1 to 999, not {number!r}.")


def test_a_reset_takes_the_seed_that_is_named(flask, folder, tmp_path):
    seed = orjson.loads(SEED.read_bytes())
    seed["assets"] = {}
    for influencer in seed["influencers"].values():
        influencer |= {"name": "Another", "referenceImages": []}
    (tmp_path / "seed.json").write_bytes(orjson.dumps(seed))
    assert flask("reset", "--seed", str(tmp_path / "seed.json")).returncode == 0
    assert {row["name"] for row in documents(folder)["influencers"]} == {"Another"}


# Where it prints to


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", [("openapi",), ("store", "export"), ("keys", "list"), ("--help",)])
def test_an_output_that_takes_nothing_is_told_in_a_sentence_and_blames_nothing_else(folder, command):
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "layers_standin", *command],
            cwd=ROOT, env=environment(folder), stdout=full, stderr=subprocess.PIPE, check=False, encoding="utf-8",
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "Standard output cannot be used: No space left on device.\n")


def test_an_output_that_is_closed_is_told_by_an_export(folder):
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m layers_standin store export >&-', sys.executable],
        cwd=ROOT, env=environment(folder), stderr=subprocess.PIPE, check=False, encoding="utf-8",
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "Standard output is closed: there is nothing to write to.\n")


def test_what_the_terminal_has_no_characters_for_is_printed_all_the_same(folder):
    with opened(folder) as store:
        store.organizations.create("Zoë ✓")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "layers_standin", "organizations", "list"],
        cwd=ROOT, env=environment(folder, **ascii_only), capture_output=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert re.search(rb"^[0-9a-f-]{36}  Zo\S+ \S+$", ended.stdout, re.MULTILINE)


def test_a_folder_whose_name_is_not_utf_8_is_refused_in_a_sentence(tmp_path):
    def refused(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
        here = [sys.executable, "-m", "layers_standin", *command]
        return subprocess.run(here, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=False)

    ours, strange = environment(tmp_path / "store"), str(tmp_path / "\udcff")
    ended = refused(ours | {"STANDIN_DATA": strange}, "reset")
    assert_refused(ended, "STANDIN_DATA must be a folder whose name is UTF-8")
    with seeded(tmp_path / "full"):
        pass
    ended = refused(ours, "store", "copy", str(tmp_path / "full"), strange)
    assert_refused(ended, "The data folder ", " cannot be used: its name is not UTF-8.")


def test_a_reset_to_a_bad_seed_is_a_sentence_and_changes_nothing(flask, folder, tmp_path):
    (tmp_path / "bad.json").write_text('{"influencers": {"1": {}}}', "utf-8")
    before = on_disk(folder)
    assert_refused(flask("reset", "--seed", str(tmp_path / "bad.json")), "bad.json cannot be used", "name: Required")
    assert on_disk(folder) == before
