"""The seed: what a new store holds, that it is planted once, and what is said of a seed that cannot be used."""

import json
import re
import shutil
import threading
from dataclasses import replace
from multiprocessing import Event

import pytest
from api_helpers import SOL, SPRING, Clock
from conftest import AVA, DEMO
from engine_helpers import Child
from PIL import Image
from route_helpers import body_of, made, send

from app import create_app, operations
from layers_standin.cli import _write_tables
from layers_standin.control.reset import reset_store
from layers_standin.media.folder import FolderStorage
from layers_standin.seed import NotTables, documents_of, fill_defaults, load_seed, read_seed, read_tables
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
PROJECT = {"id": "proj", "organizationId": "org", "name": "Ours", "timezone": "UTC"}
OURS = {"organizations": {"1": ORGANIZATION}, "projects": {"1": PROJECT}}
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

    store = planted(OURS | {"influencers": {"x": KIM}})

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

    planted(OURS | {"influencers": {"1": kim}, "assets": {"1": PICTURE}})

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
            "projects": {each: PROJECT | {"organizationId": each} for each in both},
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
    assert planted({"organizations": {}}).keys.find("DEM0DEM0DEM0DEM0") is None


@pytest.mark.parametrize("is_reset", [False, True], ids=["start", "reset"])
def test_an_export_is_a_seed_and_its_demo_key_stays_where_it_is(store, organization, empty, tmp_path, is_reset):
    store.organizations.create("Another")
    with (tmp_path / "export.json").open("wb") as out:
        _write_tables(store.db, out)
    tables = json.loads((tmp_path / "export.json").read_bytes())
    rows = sorted(tables["organizations"].values(), key=lambda each: each["id"] == organization)
    tables["organizations"] = {str(number): row for number, row in enumerate(rows)}  # it is not the first
    tables["secrets"] = {"1": {"id": "signing", "key": "of-its-own"}}
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps(tables), "utf-8")

    if is_reset:
        assert reset_store(empty._replace(settings=replace(empty.settings, seed=seed)), None) == "seed"
    else:
        load_seed(seed, empty.store, empty.media)

    assert empty.store.keys.find("DEM0DEM0DEM0DEM0")["organizationId"] == organization
    assert {each["id"] for each in empty.store.organizations.all()} == {each["id"] for each in rows}
    assert empty.store.signing_key() == "of-its-own"


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
    "a picture that is a number": ({"assets": {"1": PICTURE | {"picture": 5}}}, "picture: Expected string, "),
    "an asset without a project": (
        {"assets": {"1": {"assetId": "a", "organizationId": "o", "filename": "x"}}},
        "document '1' of table 'assets' is not as it must be (assetId: Invalid uuid; projectId: Required)",
    ),
    "an asset of no type": (
        {"assets": {"1": {"assetId": "asset_a", "organizationId": "o", "projectId": "p"}}},
        "the asset 'asset_a' does not tell its contentType",
    ),
    "a gender that is none": (
        {"influencers": {"7": {**KIM, "gender": "robot"}}},
        "document '7' of table 'influencers' is not as it must be (gender: Invalid enum value: one of male, female, ",
    ),
    "a misspelled field": ({"influencers": {"7": {**KIM, "vibes": "x"}}}, "Unrecognized key; did you mean vibe?"),
    "a misspelled field of a project": ({"projects": {"7": {**PROJECT, "timezon": "UTC"}}}, "did you mean timezone?"),
    "a misspelled field of an asset": ({"assets": {"1": {**PICTURE, "pictures": "x"}}}, "did you mean picture?"),
    "a misspelled field of another": ({"organizations": {"1": {**ORGANIZATION, "nme": ""}}}, "did you mean name?"),
    "a misspelled field of a personality": (
        {"influencers": {"7": {**KIM, "personality": {"trait": []}}}},
        "personality: trait: Unrecognized key",
    ),
    "an id twice": ({"influencers": {"7": KIM, "8": {**KIM, "name": "K"}}}, "document '8' of table "),
    "an id twice in other letters": (
        {"projects": {each: {**PROJECT, "id": SOL if each == "7" else SOL.upper()} for each in "78"}},
        "document '8' of table 'projects' has the id of document '7'",
    ),
    "a name twice": ('{"influencers": {"7": {"name": "a", "name": "b"}}}', "an object has the name 'name' twice"),
    "a document twice": ('{"influencers": {"7": {}, "7": {}}}', "an object has the name '7' twice"),
    "a number for a boolean": (
        {"influencers": {"7": {**KIM, "is_archived": 1}}},
        "is_archived: Expected boolean, received number",
    ),
    "training without a job": ({"influencers": {"7": {**KIM, "status": "training"}}}, "status: Only a job makes it so"),
    "pending without a job": ({"influencers": {"7": {**KIM, "status": "pending"}}}, "status: Only a job makes it so"),
    "a time that is none": ({"influencers": {"7": {**KIM, "createdAt": "2026-02-30T00:00:00Z"}}}, "createdAt: "),
    "a timezone that is none": ({"projects": {"7": {**PROJECT, "timezone": "Mars"}}}, "timezone: Invalid timezone"),
    "a schedule that is none": ({"influencers": {"7": {**KIM, "schedule": {"x": 1}}}}, "schedule: "),
    "an influencer without a name": ({"influencers": {"1": {**KIM, "name": ...}}}, "name: Required"),
    "an influencer without a project": ({"influencers": {"1": {**KIM, "projectId": ...}}}, "projectId: Required"),
    "a reference to nothing": (
        {"influencers": {"1": KIM | {"referenceImages": [{"assetId": "asset_a"}]}}},
        "the influencer 'inf_kim' has the reference image 'asset_a', but its organization has no such asset",
    ),
    "a project of no organization": (
        {"projects": {"1": PROJECT}},
        "document '1' of table 'projects' has an unknown organizationId, 'org'",
    ),
    "an influencer of no project": (
        {"organizations": {"1": ORGANIZATION}, "influencers": {"1": KIM}},
        "document '1' of table 'influencers' has an unknown projectId, 'proj'",
    ),
    "an influencer of another's project": (
        {
            "organizations": {"1": ORGANIZATION, "2": {"id": "o", "name": "Theirs"}},
            "projects": {"1": PROJECT},
            "influencers": {"1": KIM | {"organizationId": "o"}},
        },
        "document '1' of table 'influencers' has an unknown projectId, 'proj'",
    ),
    "an asset of no project": (
        {"organizations": {"1": ORGANIZATION}, "assets": {"1": {**PICTURE, "picture": ...}}},
        "document '1' of table 'assets' has an unknown projectId, 'proj'",
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
    tables, _ = read_seed(SEED, Clock()())

    assert [name for name, _ in documents_of(tables)] == [name for name, rows in tables.items() for _ in rows]
    assert list(tables) == ["organizations", "projects", "influencers", "assets", "social_accounts"]


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


def test_no_picture_of_a_seed_but_the_first_waits_until_another_is_on_disk(settings, tmp_path):
    all_others_are_here = threading.Barrier(7, timeout=60)

    class Meeting(FolderStorage):
        def put(self, organization, asset_id, data):
            if (tmp_path / "media").exists():  # the first has made the folder
                all_others_are_here.wait()
            super().put(organization, asset_id, data)

    store = open_store(settings)
    load_seed(SEED, store, Meeting(tmp_path / "media"))
    assert len(list((tmp_path / "media").glob("*/*"))) == 8
    store.db.close()


def test_the_seed_of_the_docs_works_and_so_does_its_picture(tmp_path):
    text = (SEED.parent.parent / "docs" / "settings.md").read_text("utf-8")
    (tmp_path / "seed.json").write_text(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1], "utf-8")
    shutil.copy(SEED.parent / "pictures" / "ava-03.png", tmp_path / "kim.png")
    services = open_services(Settings(data=tmp_path / "store", sync=False, seed=tmp_path / "seed.json"))
    client = create_app(services).test_client()

    kim = client.get("/v1/influencers/inf_kim", headers=DEMO).json
    assert (kim["gender"], kim["status"], len(kim["referenceImages"])) == ("female", "ready", 1)
    with client.get(kim["referenceImages"][0]["url"]) as picture:
        assert (picture.mimetype, picture.data) == ("image/png", (tmp_path / "kim.png").read_bytes())
    assert [item["id"] for item in client.get("/v1/projects", headers=DEMO).json["items"]] == ["proj_1"]
    services.store.db.close()


@pytest.mark.parametrize("before", ["no folder", "an empty folder"])
def test_a_seed_that_is_refused_leaves_nothing_behind(tmp_path, before):
    (tmp_path / "seed.json").write_text(json.dumps({"influencers": {"1": {**KIM, "gender": "robot"}}}), "utf-8")
    if before == "an empty folder":
        (tmp_path / "store").mkdir()

    with pytest.raises(StartError, match="gender: Invalid enum value"):
        open_services(Settings(data=tmp_path / "store", sync=False, seed=tmp_path / "seed.json"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["seed.json", "store"][: 1 + (before != "no folder")]


def test_no_picture_of_a_seed_is_stored_before_all_of_it_is_judged(empty, tmp_path):
    shutil.copy(SEED.parent / "pictures" / "ava-03.png", tmp_path / "a.png")
    both = {"1": PICTURE, "2": PICTURE | {"assetId": "asset_b", "kind": "robot"}}
    (tmp_path / "seed.json").write_text(json.dumps({"assets": both}), "utf-8")

    with pytest.raises(StartError, match="document '2' of table 'assets'"):
        load_seed(tmp_path / "seed.json", empty.store, empty.media)
    assert not list((tmp_path / "empty").glob("media/*"))


def test_all_that_the_service_makes_can_be_exported_and_imported(client, store, rooms, organization, control, tmp_path):
    keys = store.for_organization(organization).keys
    things = made(store, rooms, organization, SPRING, AVA, keys.create(["*"], "A key"))
    for number, operation in enumerate(operations):
        client.environ_base["HTTP_IDEMPOTENCY_KEY"] = f"{number}"
        assert send(client, operation, things, body_of(operation, things)).status_code < 500
    del client.environ_base["HTTP_IDEMPOTENCY_KEY"]
    key = {"X-Api-Key": keys.create(["*"], "Another")}
    created = {"name": "K", "personality": {"traits": ["x"]}, "influencerId": SOL.upper().replace("8D0F", "9D0F")}
    control.post("/faults", times=1, answer={"failJob": {"code": "X", "message": "x"}})
    project = client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key).json["id"]
    assert client.post(f"/v1/projects/{project}/influencers", json=created, headers=key).status_code == 202
    assert client.delete(f"/v1/influencers/{created['influencerId']}", headers=key).status_code == 200
    store.for_organization(store.organizations.create("x" * 500)["id"]).keys.create([], "y" * 500)
    listened = {"url": "http://127.0.0.1:9/", "events": ["social_account.revoked"]}
    assert client.post("/v1/webhook-endpoints", json=listened, headers=key).status_code == 201
    store.for_organization(organization).tables.file_event("social_account.revoked", {}, project)
    path = tmp_path / "export.json"
    with path.open("wb") as out:
        _write_tables(store.db, out)

    tables = read_tables(path)
    before = json.loads(path.read_bytes())
    fill_defaults(tables, store.now())

    assert tables == before
    assert [name for name, rows in tables.items() if not rows and name != "uploads"] == []
