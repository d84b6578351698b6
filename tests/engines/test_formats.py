"""What a store of 0.1.0 has left: its journal is refused, and what that version exports is imported and served.

`tests/stores/` has both, written by the program of its time.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import AVA_PATH, DEMO
from servers import ROOT, run

from app import create_app
from layers_standin.services import open_services
from layers_standin.settings import Settings
from store import Store

pytestmark = pytest.mark.slow

STORES = ROOT / "tests" / "stores"
JOURNAL, EXPORT = STORES / "journal-0.1.0.jsonl", STORES / "export-0.1.0.json"
SOON_AFTER = datetime(2026, 11, 21, 15, tzinfo=UTC)  # the store was written
ARCHIVED = "8d0f2c7a-91b4-4e55-b1d6-0a7c3e5f9b21"

GUNICORN = ("gunicorn", "app:app")
COMMANDS = [
    GUNICORN,
    ("layers_standin", "keys", "create", "--org", "x", "--scopes", "*"),
    ("layers_standin", "keys", "delete", "DEM0DEM0DEM0DEM0"),
    ("layers_standin", "store", "verify"),
    ("layers_standin", "store", "export"),
    ("layers_standin", "store", "import", str(EXPORT)),
]


@pytest.fixture
def client(tmp_path: Path):
    """A client of a store that was imported from what 0.1.0 has exported."""
    ended = run(tmp_path / "store", "layers_standin", "store", "import", str(EXPORT))
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    rooms = open_services(Settings(data=tmp_path / "store", sync=False))
    client = create_app(rooms._replace(store=Store(rooms.store.db, lambda: SOON_AFTER))).test_client()
    client.environ_base.update({"HTTP_X_API_KEY": DEMO["X-Api-Key"]})
    yield client
    rooms.store.db.close()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_folder_with_a_journal_is_refused_with_the_way_to_bring_the_data_over(tmp_path, command):
    folder = tmp_path / "store"
    folder.mkdir()
    shutil.copy(JOURNAL, folder / "journal.jsonl")
    assert_refused_as_old(folder, folder, *command)


@pytest.mark.parametrize("order", ["from", "to"])
def test_nothing_is_copied_from_or_to_a_folder_with_a_journal(tmp_path, order):
    folder, other = tmp_path / "store", tmp_path / "other"
    folder.mkdir()
    shutil.copy(JOURNAL, folder / "journal.jsonl")
    assert run(other, "layers_standin", "keys", "create", "--org", "x", "--scopes", "*").returncode == 0
    pair = [str(folder), str(other)] if order == "from" else [str(other), str(folder)]
    assert_refused_as_old(other, folder, "layers_standin", "store", "copy", *pair)


def assert_refused_as_old(data: Path, folder: Path, *command: str) -> None:
    ended = run(data, *command)
    assert ended.returncode == 1
    assert ended.stdout + ended.stderr == (
        f"The folder {folder} holds a store of version 0.1.0, which kept a journal: with that version run `flask store "
        "export > backup.json`, then set STANDIN_DATA to a new folder and run "
        "`layers-stand-in store import backup.json`.\n"
    )
    assert [path.name for path in folder.iterdir()] == ["journal.jsonl"]
    assert (folder / "journal.jsonl").read_bytes() == JOURNAL.read_bytes()


def test_what_was_written_before_is_still_answered(client):
    ava = client.get(AVA_PATH).json
    assert (ava["vibe"], len(ava["referenceImages"]), ava["status"]) == ("before the upgrade", 1, "ready")
    assert client.get(f"/v1/influencers/{ARCHIVED}").status_code == 404


def test_what_was_written_before_is_in_the_lists(client):
    project = client.get(AVA_PATH).json["projectId"]
    names = [item["name"] for item in client.get(f"/v1/projects/{project}/influencers").json["items"]]
    assert "Ava Chen" in names
    assert {item["id"] for item in client.get("/v1/projects").json["items"]} >= {project}
    assert all(item["thumbnailUrl"] for item in client.get(f"/v1/projects/{project}/influencers").json["items"])


def test_what_was_written_before_can_be_changed(client):
    assert client.patch(AVA_PATH, json={"vibe": "after"}).json["vibe"] == "after"
    assert client.post(f"{AVA_PATH}/clone", json={"name": "Another"}).status_code == 202
    key = client.get("/v1/whoami").json["apiKeyId"]
    assert client.post(f"/v1/api-keys/{key}/kill").json["apiKey"]["revokedAt"] is not None


def test_an_outcome_filed_before_is_replayed(client):
    again = client.patch(AVA_PATH, json={"vibe": "before the upgrade"}, headers={"Idempotency-Key": "once"})
    assert again.headers["Idempotent-Replayed"] == "true"
