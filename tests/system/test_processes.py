"""Several workers on one folder, or hosts on one database: what one acknowledged all know, nothing is done twice."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from conftest import AVA, AVA_PATH
from servers import STAYS_OPEN, hosts_on, opened, seeded, serving, together

from layers_standin.engines.table import Record
from store import Store

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

REFERENCES = f"{AVA_PATH}/reference-images"
ASSETS = [f"asset_{number:026d}" for number in range(200)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def makers(folder: Path, database: str | None) -> Iterator[list[Callable[[], httpx.Client]]]:
    """Functions that make a client: one for each of two workers on a folder, or of three hosts on a database."""
    with seeded(folder, database) as store:
        add_assets(store)
    if database is None:
        with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2") as server:
            workers = server.workers()
            assert len(workers) == 2
            yield [partial(server.client_of, worker) for worker in workers]
    else:
        with hosts_on(database, folder) as servers:
            yield [server.client for server in servers]


@pytest.fixture
def clients(makers: list[Callable[[], httpx.Client]]) -> Callable[[int], list[httpx.Client]]:
    """A function that returns so many clients, of each worker or host in turn."""
    return lambda number: [makers[index % len(makers)]() for index in range(number)]


@pytest.fixture
def store_at(folder: Path, database: str | None) -> Path | str:
    """Return where the store is."""
    return database or folder


def add_assets(store: Store) -> None:
    """Put ASSETS beside the seed's, in the project of AVA."""
    organization = store.organizations.all()[0]["id"]
    project = store.for_organization(organization).influencer(AVA)["projectId"]
    with store.db.transaction():
        for asset_id in ASSETS:
            path = f"/media/{organization}/{asset_id}/token"
            store.tables.put(
                "assets",
                {
                    "assetId": asset_id,
                    "organizationId": organization,
                    "projectId": project,
                    "kind": "reference_image",
                    "contentType": "image/png",
                    "token": "token",
                    "filename": "made-up.png",
                    "path": f"{path}/original/made-up.png",
                    "thumbnailPath": f"{path}/thumbnail/made-up-thumb.webp",
                },
            )


def attached(record: Record) -> list[str]:
    return [entry["assetId"] for entry in record["referenceImages"]]


def test_clients_that_attach_to_one_influencer_at_once_lose_nothing(clients):
    crowd = clients(16)
    before = attached(crowd[0].get(AVA_PATH).json())
    shares = [ASSETS[number::16] for number in range(16)]

    def attach_all(client, share):
        for count, asset_id in enumerate(share, 1):
            reply = client.post(REFERENCES, json={"assetIds": [asset_id]})
            assert reply.status_code == 200
            # What this client was told before is still there, and in the order it asked for.
            assert [found for found in attached(reply.json()) if found in share] == share[:count]

    together(partial(attach_all, client, share) for client, share in zip(crowd, shares, strict=True))
    for client in crowd[:2]:
        found = attached(client.get(AVA_PATH).json())
        assert found[: len(before)] == before
        assert sorted(found[len(before) :]) == ASSETS


def test_patches_of_different_fields_at_once_all_stay(clients):
    keys = ["traits", "values", "interests", "catchphrases"]

    def patch_often(client, key):
        for number in range(20):
            client.patch(AVA_PATH, json={"personality": {key: [str(number)]}}).raise_for_status()

    crowd = clients(8)
    together(partial(patch_often, client, key) for client, key in zip(crowd, keys * 2, strict=True))
    for client in crowd[:2]:
        personality = client.get(AVA_PATH).json()["personality"]
        assert {key: personality[key] for key in keys} == {key: ["19"] for key in keys}


def test_what_one_acknowledged_every_process_reads_at_once(clients, store_at):
    with opened(store_at) as store:
        organization = store.organizations.all()[0]["id"]
        crowd = clients(2)
        for number in range(100):
            told = crowd[number % 2].patch(AVA_PATH, json={"name": f"Ava {number}"}).content
            assert [client.get(AVA_PATH).content for client in crowd] == [told, told]
            assert store.for_organization(organization).influencer(AVA)["name"] == f"Ava {number}"


def test_a_deletion_is_seen_by_all_at_once(clients):
    first, second = clients(2)
    first.delete(AVA_PATH).raise_for_status()
    assert [client.get(AVA_PATH).status_code for client in (second, first)] == [404, 404]


def test_of_simultaneous_deletions_exactly_one_acts(clients, store_at):
    replies = together(partial(client.delete, AVA_PATH) for client in clients(12))
    assert sorted(reply.status_code for reply in replies) == [200] + [404] * 11
    assert changes_of_ava(store_at) == 1


def test_of_simultaneous_rotations_of_a_key_by_itself_exactly_one_acts(clients):
    crowd = clients(12)
    path = f"/v1/api-keys/{crowd[0].get('/v1/whoami').json()['apiKeyId']}/rotate"
    replies = together(partial(client.post, path) for client in crowd)
    assert sorted(reply.status_code for reply in replies) == [200] + [401] * 11


@pytest.mark.parametrize(
    ("asked", "status", "effects"),
    [
        (("PATCH", AVA_PATH, {"name": "Ava the only"}), 200, 1),
        (("POST", REFERENCES, {"assetIds": ASSETS[:3]}), 200, 1),
        (("DELETE", AVA_PATH, {"reason": "once"}), 200, 1),
        (("DELETE", "/v1/influencers/nobody", None), 404, 0),  # its body names the one request that was judged
    ],
)
def test_of_simultaneous_twins_one_acts_and_the_others_replay(clients, store_at, asked, status, effects):
    crowd = clients(12)
    method, path, body = asked
    headers = {"Idempotency-Key": str(uuid4())}
    replies = together(partial(client.request, method, path, json=body, headers=headers) for client in crowd)
    assert {reply.status_code for reply in replies} == {status}
    # A replayed reply has the URLs of its caller, and each host its own port.
    assert len({reply.text.replace(f":{reply.url.port}/", ":8000/") for reply in replies}) == 1
    assert sorted(reply.headers.get("Idempotent-Replayed", "") for reply in replies) == [""] + ["true"] * 11
    assert changes_of_ava(store_at) == effects
    with opened(store_at) as store:
        assert store.db.count("idempotency", store.organizations.all()[0]["id"]) == 1


def changes_of_ava(place: Path | str) -> int:
    """Return how many times the influencer of the seed was changed: as it says itself, and as its history does."""
    with opened(place) as store:
        ours = store.for_organization(store.organizations.all()[0]["id"])
        ava = ours.any_influencer(AVA)
        changes = [change["revision"] for change in ours.history.of(ava)]
    assert changes == list(range(ava.get("revision", 0), 0, -1))
    return len(changes)
