"""Stores of older formats: `stores/` has one of each, written by the program of its time."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import AVA, AVA_PATH, DEMO
from flask.testing import FlaskClient
from servers import run

from app import create_app
from engines.line import decode_header
from records.formats import FORMAT, UPGRADES
from settings import Settings
from start import Rooms, open_rooms
from store import Store

STORES = Path(__file__).parent / "stores"
SPRING = "/v1/projects/proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG"
SOON_AFTER = datetime(2026, 11, 21, 15, tzinfo=UTC)  # the stores were written
ARCHIVED = "8d0f2c7a-91b4-4e55-b1d6-0a7c3e5f9b21"


def format_of(path: Path) -> int:
    with path.open("rb") as file:
        return int(decode_header(file.readline().rstrip(b"\n"))["format"])


@pytest.fixture
def kind() -> str:
    """Return the engine whose files are old: databases there were none of."""
    return "journal"


@pytest.fixture(params=sorted(UPGRADES))
def old(request: pytest.FixtureRequest, settings: Settings) -> Path:
    """Return the file of a store that an older program has left."""
    path = settings.data / "journal.jsonl"
    path.parent.mkdir()
    shutil.copy(STORES / f"format-{request.param}.jsonl", path)
    return path


@pytest.fixture
def upgraded(old: Path, settings: Settings) -> Iterator[Rooms]:
    rooms = open_rooms(settings)
    yield rooms._replace(store=Store(rooms.store.db, lambda: SOON_AFTER))
    rooms.store.db.close()


@pytest.fixture
def client(upgraded: Rooms) -> FlaskClient:
    client = create_app(upgraded).test_client()
    client.environ_base.update({"HTTP_X_API_KEY": DEMO["X-Api-Key"]})
    return client


def test_there_is_an_old_store_for_every_upgrade():
    assert sorted(STORES.iterdir()) == [STORES / f"format-{number}.jsonl" for number in sorted(UPGRADES)]
    assert sorted(UPGRADES) == list(range(1, FORMAT))


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


def test_the_old_file_stays_beside_the_new_one(old, upgraded):
    kept = old.with_suffix(f".format-{FORMAT - 1}.jsonl")
    assert kept.read_bytes() == (STORES / kept.name.removeprefix("journal.")).read_bytes()
    assert format_of(old) == FORMAT


@pytest.mark.parametrize("lost", ["its header", "a line"])
def test_an_old_store_is_repaired_and_then_upgraded(old, settings, lost):
    lines = old.read_bytes().splitlines(keepends=True)
    lines[0 if lost == "its header" else 2] = b"rubbish\n"
    old.write_bytes(b"".join(lines))
    assert run(settings.data, "flask", "store", "repair").returncode == 0
    rooms = open_rooms(settings)
    try:
        assert rooms.store.influencer(rooms.store.organizations.all()[0]["id"], AVA)["place"]
    finally:
        rooms.store.db.close()
    assert format_of(old) == FORMAT
