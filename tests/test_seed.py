"""The seed: what a new store holds, that it is planted once, and what is said of a seed that cannot be used."""

import json
import re
import shutil
from multiprocessing import Event

import pytest
from api_helpers import Clock
from conftest import AVA, DEMO
from engine_helpers import Child
from PIL import Image

from app import create_app
from layers_standin.media.folder import FolderStorage
from layers_standin.seed import NotTables, documents_of, load_seed, read_tables
from layers_standin.services import Services, open_media, open_services, open_store
from layers_standin.settings import SEED, Settings, StartError
from store import INFLUENCER_FIELDS, Store

pytestmark = pytest.mark.postgres

EMPTY = (None, {}, [])


@pytest.fixture
def empty(tmp_path):
    """Return a store and a media folder with nothing in them."""
    settings = Settings(data=tmp_path / "empty", sync=False, seed=None)
    rooms = open_services(settings)
    yield rooms
    rooms.store.db.close()


@pytest.fixture
def planted(empty, tmp_path):
    """Return a function that plants a seed of these tables and gives the store."""

    def plant_tables(tables) -> Store:
        path = tmp_path / "seed.json"
        path.write_text(tables if isinstance(tables, str) else json.dumps(tables), "utf-8")
        load_seed(path, empty.store, empty.media)
        return empty.store

    return plant_tables


def filled(store, organization):
    """Return how many fields of each influencer are filled, by name, in the order of the store."""
    found = (
        store.for_organization(organization).influencer(each) for each in store.db.ids("influencers", organization)
    )
    return {one["name"]: sum(one[field] not in EMPTY for field in INFLUENCER_FIELDS) for one in found}


# Ours


def test_ava_chen_comes_first_and_the_influencers_are_of_different_completeness(store, organization):
    completeness = filled(store, organization)

    assert store.db.ids("influencers", organization)[0] == AVA
    assert next(iter(completeness)) == "Ava Chen"
    assert len(completeness) >= 4
    assert len(set(completeness.values())) >= 3


def test_the_pictures_open_and_are_of_their_type(rooms, organization):
    ids = rooms.store.db.ids("assets", organization)

    assert len(ids) >= 6
    for asset_id in ids:
        with Image.open(rooms.media.original(organization, asset_id)) as picture:
            assert (
                Image.MIME[picture.format]
                == rooms.store.for_organization(organization).assets.get(asset_id)["contentType"]
            )


def test_tokens_differ_and_cannot_be_guessed(store, organization):
    tokens = [
        store.for_organization(organization).assets.get(asset_id)["token"]
        for asset_id in store.db.ids("assets", organization)
    ]

    assert len(set(tokens)) == len(tokens)
    assert all(len(token) >= 20 for token in tokens)


def test_the_demo_key_opens_the_first_organization(client, organization):
    whoami = client.get("/v1/whoami", headers=DEMO).json

    assert (whoami["organizationId"], whoami["organizationName"]) == (organization, "Northwind Studio")


def test_references_of_the_seed_are_assets_of_the_same_project(store, organization):
    for influencer_id in store.db.ids("influencers", organization):
        influencer = store.for_organization(organization).influencer(influencer_id)
        for entry in influencer["referenceImages"]:
            asset = store.for_organization(organization).assets.get(entry["assetId"])
            assert asset["projectId"] == influencer["projectId"]
            assert (entry["path"], entry["thumbnailPath"]) == (asset["path"], asset["thumbnailPath"])


# Once


def test_a_store_that_is_opened_again_is_not_seeded_again(settings, on_disk):
    open_services(settings).store.db.close()
    before = on_disk.read_bytes()

    open_services(settings).store.db.close()

    assert on_disk.read_bytes() == before


def test_a_deleted_influencer_does_not_come_back(settings, organization, rooms):
    rooms.store.for_organization(organization).delete_influencer(AVA, None, "key")
    rooms.store.db.close()

    again = open_services(settings)

    assert again.store.is_empty() is False
    assert json.loads(again.store.db.read("influencers", organization, AVA))["is_archived"] is True
    again.store.db.close()


def test_of_two_that_both_found_the_store_empty_only_the_first_plants(settings, on_disk):
    first, second = (open_store(settings) for _ in range(2))
    assert first.is_empty() and second.is_empty()

    load_seed(SEED, first, open_media(settings))
    before = on_disk.read_bytes()
    load_seed(SEED, second, open_media(settings))

    assert on_disk.read_bytes() == before
    first.db.close()
    second.db.close()


@pytest.mark.slow
def test_two_processes_at_once_seed_once(settings, on_disk):
    open_store(settings).db.close()
    begin = Event()

    def work(say):
        begin.wait()
        rooms = open_services(settings)
        (organization,) = rooms.store.organizations.all()
        say(rooms.store.for_organization(organization["id"]).influencer(AVA)["name"])

    children = [Child(work) for _ in range(2)]
    observer = open_store(settings)  # after the forks, before they begin: the last to close a store empties its log
    begin.set()

    assert [child.finish() for child in children] == [["Ava Chen"], ["Ava Chen"]]
    assert [child.status for child in children] == [0, 0]
    assert on_disk.commits() == 1
    observer.db.close()


def test_a_seed_is_one_commit(settings, on_disk):
    open_store(settings).db.close()
    rooms = open_services(settings)

    assert on_disk.commits() == 1
    rooms.store.db.close()


# Others

ORGANIZATION = {"id": "org", "name": "Ours"}
KIM = {"influencerId": "inf_kim", "organizationId": "org", "projectId": "proj", "name": "Kim"}
PICTURE = {
    "assetId": "asset_a",
    "organizationId": "org",
    "projectId": "proj",
    "contentType": "image/png",
    "token": "t0ken",
    "picture": "a.png",
}


def test_a_seed_may_leave_out_what_has_a_default(empty, planted):
    empty.store.now = Clock()

    store = planted({"organizations": {"1": ORGANIZATION}, "influencers": {"x": KIM}})

    nothing = dict.fromkeys(INFLUENCER_FIELDS)
    kim = store.for_organization("org").influencer("inf_kim")
    assert len(kim["token"]) == 22
    assert re.fullmatch(r"inf_01KPFY5990[0-9A-Z]{16}=inf_kim", kim["sortKey"])  # a ULID of that second
    assert kim == nothing | KIM | {
        "personality": {},
        "referenceImages": [],
        "status": "ready",
        "createdAt": "2026-04-18T09:18:44Z",
        "updatedAt": "2026-04-18T09:18:44Z",
        "is_archived": False,
        "attributes": {},
        "token": kim["token"],
        "sortKey": kim["sortKey"],
    }
    assert store.organizations.get("org") == ORGANIZATION | {
        "creditBalance": 0,
        "createdAt": "2026-04-18T09:18:44.120Z",
    }


def test_a_picture_beside_the_seed_becomes_an_asset_that_is_served(empty, planted, tmp_path):
    shutil.copy(SEED.parent / "pictures" / "ava-03.png", tmp_path / "a.png")
    kim = KIM | {"referenceImages": [{"assetId": "asset_a", "addedAt": "2026-04-01T00:00:00Z"}]}

    planted({"organizations": {"1": ORGANIZATION}, "influencers": {"1": kim}, "assets": {"1": PICTURE}})

    client = create_app(Services(empty.store, empty.media, Settings())).test_client()
    (image,) = client.get("/v1/influencers/inf_kim", headers=DEMO).json["referenceImages"]
    with client.get(image["url"]) as original, client.get(image["thumbnailUrl"]) as thumbnail:
        assert original.data == (tmp_path / "a.png").read_bytes()
        assert thumbnail.status_code == 200


def test_an_asset_id_that_two_organizations_have_stands_for_the_picture_of_each(planted):
    entry = {"assetId": "asset_a", "addedAt": "2026-04-01T00:00:00Z"}
    asset = {name: value for name, value in PICTURE.items() if name != "picture"} | {"filename": "a.png"}
    both = ("first", "second")

    store = planted(
        {
            "organizations": {each: {"id": each, "name": each} for each in both},
            "influencers": {each: KIM | {"organizationId": each, "referenceImages": [entry]} for each in both},
            "assets": {each: asset | {"organizationId": each, "token": f"t0ken-{each}"} for each in both},
        }
    )

    assert {each: store.for_organization(each).influencer("inf_kim")["referenceImages"] for each in both} == {
        each: [
            entry
            | {
                "path": f"/media/{each}/asset_a/t0ken-{each}/original/a.png",
                "thumbnailPath": f"/media/{each}/asset_a/t0ken-{each}/thumbnail/a-thumb.webp",
            }
        ]
        for each in both
    }


def test_a_seed_without_an_organization_has_no_demo_key(planted):
    assert planted({"influencers": {"1": KIM}}).keys.find("DEM0DEM0DEM0DEM0") is None


BAD_SEEDS = {
    "empty": ("", "not JSON"),
    "not JSON": ("{", "not JSON"),
    "not UTF-8": ('"\udcff"', "not JSON"),
    "NaN": ('{"organizations": NaN}', "not JSON"),
    "a list": ([], "not an object of tables"),
    "null": (None, "not an object of tables"),
    "an unknown table": ({"influencer": {}}, "there is no table 'influencer', only organizations, projects, "),
    "a table that is a list": ({"influencers": [KIM]}, "table 'influencers' is not an object of documents"),
    "a document that is a list": ({"influencers": {"7": []}}, "document '7' of table 'influencers' "),
    "a document that is a string": ({"organizations": {"7": "id"}}, "document '7' of table 'organizations' "),
    "no organization": ({"influencers": {"7": {"influencerId": "x"}}}, "document '7' of table 'influencers' "),
    "no id": ({"assets": {"7": {"organizationId": "org"}}}, "document '7' of table 'assets' "),
    "an id that is a number": ({"projects": {"7": {"organizationId": "o", "id": 5}}}, "document '7' of table "),
    "no public id": ({"api_keys": {"7": {"organizationId": "org"}}}, "document '7' of table 'api_keys' "),
    "a picture that is not there": ({"assets": {"1": PICTURE}}, "a.png"),
    "a picture that is a folder": ({"assets": {"1": PICTURE | {"picture": "."}}}, "directory"),
    "a picture that is a number": ({"assets": {"1": PICTURE | {"picture": 5}}}, "lacks what it must have"),
    "an asset without a token": (
        {"assets": {"1": {"assetId": "a", "organizationId": "o", "filename": "x"}}},
        "'token'",
    ),
    "an influencer without a name": ({"influencers": {"1": {**KIM, "name": ...}}}, "'name'"),
    "an influencer without a project": ({"influencers": {"1": {**KIM, "projectId": ...}}}, "'projectId'"),
    "a reference to nothing": (
        {"influencers": {"1": KIM | {"referenceImages": [{"assetId": "asset_a", "addedAt": "x"}]}}},
        "lacks what it must have",
    ),
}  # fmt: skip


def without_dots(value):
    """Return a seed without the keys that are to be missing."""
    if isinstance(value, dict):
        return {key: without_dots(inner) for key, inner in value.items() if inner is not ...}
    return value


@pytest.mark.parametrize(("seed", "hint"), BAD_SEEDS.values(), ids=BAD_SEEDS)
def test_a_seed_that_cannot_be_used_is_refused_in_a_sentence_and_plants_nothing(empty, tmp_path, seed, hint):
    path = tmp_path / "seed.json"
    text = seed if isinstance(seed, str) else json.dumps(without_dots(seed))
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(StartError) as refused:
        load_seed(path, empty.store, empty.media)

    sentence = str(refused.value)
    assert sentence.startswith(f"The seed {path} cannot be used: ")
    assert hint in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert empty.store.is_empty()


def test_a_seed_that_is_not_there_is_refused(empty, tmp_path):
    with pytest.raises(StartError, match=r"No such file or directory"):
        load_seed(tmp_path / "none.json", empty.store, empty.media)


def test_what_is_read_comes_in_the_order_of_the_file():
    tables = read_tables(SEED)

    assert [name for name, _ in documents_of(tables)] == [name for name, rows in tables.items() for _ in rows]
    assert list(tables) == ["organizations", "projects", "influencers", "assets"]


def test_an_import_is_read_by_the_same_rules(tmp_path):
    path = tmp_path / "import.json"
    path.write_text('{"influencers": {"1": {}}}', "utf-8")

    with pytest.raises(NotTables, match="document '1' of table 'influencers'"):
        read_tables(path)


def test_pictures_of_a_seed_are_on_disk_before_its_documents(settings, tmp_path):
    class Refusing(FolderStorage):
        def put(self, organization, asset_id, data):
            raise OSError(28, "No space left on device")

    store = open_store(settings)
    with pytest.raises(StartError, match="No space left on device"):
        load_seed(SEED, store, Refusing(tmp_path / "media"))
    assert store.is_empty()
    store.db.close()
