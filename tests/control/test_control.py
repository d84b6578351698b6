"""The control plane: health, resets, snapshots and organizations; strict, durable, and seen by every worker at once."""

from base64 import b64encode
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import permutations
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from api_helpers import (
    AVA_PICTURES,
    NO_SCOPE,
    SPRING,
    UNAUTHENTICATED,
    invalid,
    refused,
    unchanged,
)
from conftest import AVA, AVA_PATH, DEMO
from control_helpers import ROOT
from servers import STAYS_OPEN, serving, together

from app import create_app
from layers_standin.control.operations import operations
from layers_standin.domain.keys import SCOPES
from layers_standin.housekeeping import housekeeping
from layers_standin.openapi import examples
from layers_standin.services import Services
from layers_standin.web.limits import PER_MINUTE

pytestmark = pytest.mark.postgres

NOW = "2026-04-18T09:18:44.120Z"
INFLUENCERS, MEDIA = f"/v1/projects/{SPRING}/influencers", f"/v1/projects/{SPRING}/media"
SEEDED = {"organizations": 1, "projects": 2, "influencers": 4, "assets": 8, "jobs": 0, "api_keys": 1}
NOTHING = dict.fromkeys(SEEDED, 0)
NO_SNAPSHOT = {"status": 404, "code": "NOT_FOUND", "message": "Snapshot not found."}
NO_ORGANIZATION = {"status": 404, "code": "NOT_FOUND", "message": "Organization not found."}
WITHOUT_A_CLOCK = {"organizationId": None, "mode": "real", "now": NOW, "offsetMs": None, "inherited": False}
BYTES = b"not really a video"
VIDEO = {"kind": "video", "mimeType": "video/mp4", "dataBase64": b64encode(BYTES).decode()}


def counts(control):
    return control.get("/health")["counts"]


def state_of(store):
    """Return every document there is, by its place."""
    return {
        (table, partition, str(row)): dict(row)
        for table, partition in store.db.tables()
        for row in store.db.table(table, partition)
    }


def media_of(rooms):
    return {path.relative_to(rooms.settings.data): path.read_bytes() for path in rooms.settings.data.glob("media/*/*")}


# The index


def test_the_index_names_every_command_and_the_pages(client, control):
    index = control.get("")
    assert index | {"commands": []} == {
        "console": "http://localhost/console",
        "docs": "http://localhost/docs",
        "openapi": "http://localhost/openapi.json",
        "commands": [],
    }
    for page in ("console", "docs", "openapi"):
        with client.get(index[page]) as response:
            assert response.status_code == 200
    described = client.get("/openapi.json").json["paths"]
    assert len(index["commands"]) == len(operations)
    for command in index["commands"]:
        operation = described[command["path"]][command["method"].lower()]
        assert command["summary"].rstrip(".") == operation["summary"]


def test_the_index_names_no_console_where_there_is_none_and_begins_with_the_public_url(rooms):
    settings = replace(rooms.settings, console="off", public_url="http://localhost:9/sub")
    index = create_app(rooms._replace(settings=settings)).test_client().get(ROOT).json
    assert (index["console"], index["docs"]) == (None, "http://localhost:9/sub/docs")


# Health


def test_health_tells_what_serves_and_how_much_is_in_it(control, kind):
    assert control.get("/health") == {
        "status": "ready",
        "version": version("layers-stand-in"),
        "engine": kind,
        "counts": SEEDED,
    }


def test_health_counts_what_is_added_in_every_organization(control, client, demo):
    _, key = control.organization()
    client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key)
    demo.post(INFLUENCERS, json={"name": "Kim"})
    demo.delete(AVA_PATH)

    added = {"organizations": 1, "projects": 1, "influencers": 1, "assets": 0, "jobs": 1, "api_keys": 1}
    assert counts(control) == {name: SEEDED[name] + added[name] for name in SEEDED}


# Reset


def disturb(control, demo, organization):
    """Change something of every kind; return the path of a picture that is there from now on."""
    control.put("/clock", mode="frozen", at="2030-01-01T00:00:00Z")
    control.put("/clock", mode="frozen", at="2030-01-01T00:00:00Z", organizationId=organization)
    control.post("/faults", answer={"delayMs": 0})
    control.put("/requests", enabled=True, organizationId=organization)
    demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "once"})
    demo.post(INFLUENCERS, json={"name": "Kim"})
    asset = demo.post(MEDIA, json=VIDEO).json
    control.organization()
    return urlsplit(asset["url"]).path


@pytest.mark.parametrize("body", [None, {}, {"to": "seed"}], ids=str)
def test_a_reset_puts_everything_back_to_the_seed(control, demo, organization, body):
    ava = demo.get(AVA_PATH).json
    file = disturb(control, demo, organization)

    response = control.send("POST", "/reset", body)

    assert (response.status_code, response.json) == (200, {"reset": True, "to": "seed"})
    assert counts(control) == SEEDED
    assert control.get("/clock") == WITHOUT_A_CLOCK
    assert control.get("/clock", organizationId=organization)["inherited"]
    assert (control.get("/faults"), control.get("/requests")) == ({"items": []}, {"items": []})
    assert demo.get(AVA_PATH).json == ava
    assert control.get(f"/influencers/{AVA}/history")["changes"] == []
    assert "Idempotent-Replayed" not in demo.patch(AVA_PATH, json={}, headers={"Idempotency-Key": "once"}).headers
    assert demo.get(file, buffered=True).status_code == 404


def test_a_reset_brings_the_pictures_of_the_seed_back_too(control, demo, organization, rooms):
    before = media_of(rooms)
    attached = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES}).json["referenceImages"]
    control.delete(f"/organizations/{organization}")
    assert media_of(rooms) == {}

    control.post("/reset")

    assert media_of(rooms) == before
    assert counts(control) == SEEDED
    again = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES}).json["referenceImages"]
    assert [entry["assetId"] for entry in again] == [entry["assetId"] for entry in attached]
    for entry in again:
        assert demo.get(urlsplit(entry["url"]).path, buffered=True).status_code == 200


def test_a_reset_to_empty_leaves_nothing_but_a_way_to_go_on(control, client, organization, demo):
    disturb(control, demo, organization)

    assert control.post("/reset", to="empty") == {"reset": True, "to": "empty"}

    assert counts(control) == NOTHING
    assert control.get("/organizations") == {"items": []}
    assert (control.get("/faults"), control.get("/requests")) == ({"items": []}, {"items": []})
    assert control.get("/clock") == WITHOUT_A_CLOCK
    assert refused(client.get("/v1/whoami", headers=DEMO)) == UNAUTHENTICATED
    _, key = control.organization()
    assert client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key).status_code == 201


def test_without_a_seed_a_reset_is_to_empty(rooms, settings):
    unseeded = Services(rooms.store, rooms.media, type(settings)(data=settings.data, seed=None, sync=False))
    client = create_app(unseeded).test_client()

    assert refused(client.post(f"{ROOT}/reset", json={"to": "seed"})) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "There is no seed: STANDIN_SEED is none.",
        "details": {"subcode": "NO_SEED"},
    }
    assert client.get(f"{ROOT}/health").json["counts"] == SEEDED
    assert client.post(f"{ROOT}/reset").json == {"reset": True, "to": "empty"}
    assert client.get(f"{ROOT}/health").json["counts"] == NOTHING


@pytest.mark.parametrize("missing", ["the file", "a picture"])
def test_a_seed_that_cannot_be_read_any_more_resets_nothing(rooms, settings, tmp_path, store, missing):
    seed = tmp_path / "seed.json"
    if missing == "a picture":
        asset = '{"assetId": "asset_a", "organizationId": "o", "projectId": "p", "file": "missing.png"}'
        seed.write_text(f'{{"assets": {{"1": {asset}}}}}', "utf-8")
    before = state_of(store)
    broken = Services(store, rooms.media, type(settings)(data=settings.data, seed=seed, sync=False))

    response = create_app(broken).test_client().post(f"{ROOT}/reset")

    assert refused(response) == {
        "status": 503,
        "code": "UNAVAILABLE",
        "message": "The store is unavailable; nothing was changed.",
    }
    assert state_of(store) == before


def test_what_was_promised_before_a_reset_is_not_taken_after_it(control, demo):
    upload = demo.post(f"{MEDIA}/presign", json={"kind": "video", "mimeType": "video/mp4"}).json
    control.post("/reset")

    assert demo.put(upload["uploadUrl"], data=b"bytes", headers=upload["headers"]).status_code == 404


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"to": "nothing"}, invalid(to=["Invalid enum value: must be one of seed, empty"])),
        ({"to": None}, invalid(to=["Expected string, received null"])),
        ({"too": "seed"}, invalid(too=["Unrecognized key"])),
        ([], invalid("Expected object, received array")),
    ],
    ids=str,
)
def test_what_is_no_reset_is_refused_and_changes_nothing(control, on_disk, body, refusal):
    is_unchanged = unchanged(on_disk)

    assert refused(control.send("POST", "/reset", body)) == refusal
    assert is_unchanged()


# Snapshots


def test_a_snapshot_is_told_and_listed_by_name(control, store):
    control.post("/snapshots", name="b")
    response = control.send("POST", "/snapshots", {"name": "a"})

    (first, second) = control.get("/snapshots")["items"]
    assert (response.status_code, response.json) == (201, first)
    assert first == {"name": "a", "at": NOW, "documents": len(state_of(store)), "bytes": first["bytes"]}
    assert second == first | {"name": "b"}
    db = store.db
    assert first["bytes"] == sum(len(db.read(*space, each)) for space in db.tables() for each in db.ids(*space))


def test_a_restored_snapshot_is_all_as_it_was_and_can_be_restored_again(control, demo, organization, store, rooms):
    file = disturb(control, demo, organization)
    documents, media = state_of(store), media_of(rooms)
    kept = control.post("/snapshots", name="disturbed")
    for _ in range(2):
        control.post("/reset", to="empty")
        for path in media:
            assert not (rooms.settings.data / path).exists()

        assert control.post("/snapshots/disturbed/restore") == {"name": "disturbed", "restored": True}

        assert state_of(store) == documents
        assert media_of(rooms) == media
        assert demo.get(file, buffered=True).data == BYTES
        assert control.get("/clock")["now"] == "2030-01-01T00:00:00.000Z"
        assert demo.get(AVA_PATH).json["vibe"] == "x"
    assert control.get("/snapshots") == {"items": [kept]}


def test_a_snapshot_of_a_name_that_is_there_takes_its_place(control, demo):
    control.post("/snapshots", name="one")
    demo.patch(AVA_PATH, json={"vibe": "second"})
    second = control.post("/snapshots", name="one")
    demo.patch(AVA_PATH, json={"vibe": "third"})

    assert control.get("/snapshots") == {"items": [second]}
    control.post("/snapshots/one/restore")
    assert demo.get(AVA_PATH).json["vibe"] == "second"


def test_a_forgotten_snapshot_is_gone_with_its_bytes_and_nothing_else_is(control, store, rooms):
    control.post("/snapshots", name="one")
    other = control.post("/snapshots", name="other")
    before = state_of(store), media_of(rooms)

    assert control.delete("/snapshots/one") == {"name": "one", "deleted": True}

    assert control.get("/snapshots") == {"items": [other]}
    (kept,) = store.db.list_snapshots()
    assert [path.name for path in (rooms.settings.data / "snapshots").iterdir()] == [f"{kept.snapshot_id}.media"]
    assert refused(control.send("POST", "/snapshots/one/restore")) == NO_SNAPSHOT
    assert refused(control.send("DELETE", "/snapshots/one")) == NO_SNAPSHOT
    assert (state_of(store), media_of(rooms)) == before


def test_snapshots_outlive_a_reset_and_the_sweep(control, demo, organization, rooms):
    file = disturb(control, demo, organization)
    kept = control.post("/snapshots", name="one")
    control.post("/reset")
    housekeeping(rooms)

    assert control.get("/snapshots") == {"items": [kept]}
    control.post("/snapshots/one/restore")
    assert demo.get(file, buffered=True).data == BYTES


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 64, "-", "_"])
def test_a_snapshot_may_have_a_name_of_letters_digits_and_both_dashes(control, name):
    assert control.post("/snapshots", name=name)["name"] == name
    assert control.post(f"/snapshots/{name}/restore")["restored"]
    assert control.delete(f"/snapshots/{name}")["deleted"]


@pytest.mark.parametrize(
    "name", ["", "x" * 65, ".", "..", "a/b", "../a", "a.jsonl", "a b", "é", "a\n", "\0", "%2e", "*"]
)
def test_a_snapshot_has_no_other_name(control, settings, name):
    assert refused(control.send("POST", "/snapshots", {"name": name})) == invalid(
        name=["Invalid name: must be 1 to 64 of 0-9, A-Z, a-z, _ and -"]
    )
    assert control.get("/snapshots") == {"items": []}
    assert not (settings.data / "snapshots").exists()


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (None, invalid("Malformed JSON: the body is empty")),
        ({}, invalid(name=["Required"])),
        ({"name": None}, invalid(name=["Expected string, received null"])),
        ({"name": 1}, invalid(name=["Expected string, received number"])),
        ({"name": "a", "at": NOW}, invalid(at=["Unrecognized key"])),
    ],
    ids=str,
)
def test_what_is_no_snapshot_is_refused(control, body, refusal):
    assert refused(control.send("POST", "/snapshots", body)) == refusal


@pytest.mark.parametrize("name", ["a", "%2e%2e", "one.media", "one.jsonl", "x" * 65, "%00"])
@pytest.mark.parametrize(("method", "what"), [("POST", "/restore"), ("DELETE", "")])
def test_there_is_no_snapshot_of_a_name_nothing_was_kept_under(control, on_disk, method, what, name):
    control.post("/snapshots", name="one")
    is_unchanged = unchanged(on_disk)

    assert refused(control.send(method, f"/snapshots/{name}{what}")) == NO_SNAPSHOT
    assert is_unchanged()


# Organizations and keys


def test_an_organization_comes_with_a_key_that_may_do_all(control, client, store):
    response = control.send("POST", "/organizations")

    made = response.json
    key = store.keys.find(made["apiKey"].split("_")[2])
    assert (response.status_code, made) == (
        201,
        {
            "organizationId": str(UUID(made["organizationId"])),
            "name": "Organization",
            "createdAt": NOW,
            "apiKeyId": key["apiKeyId"],
            "apiKey": made["apiKey"],
            "scopes": ["*"],
            "rateLimitTier": "standard",
        },
    )
    assert client.get("/v1/whoami", headers={"X-Api-Key": made["apiKey"]}).json == {
        "organizationId": made["organizationId"],
        "workspaceId": made["organizationId"],
        "organizationName": "Organization",
        "scopes": ["*"],
        "rateLimitTier": "standard",
        "killSwitch": False,
        "apiAccessRevoked": False,
        "apiKeyId": key["apiKeyId"],
        "creditBalance": 0,
    }
    told = {name: made[name] for name in ("organizationId", "name", "createdAt")}
    assert told in control.get("/organizations")["items"]
    assert len(control.get("/organizations")["items"]) == 2


@pytest.mark.parametrize("tier", PER_MINUTE)
@pytest.mark.parametrize("scopes", [[], [SCOPES[0]], list(SCOPES), ["*"]], ids=str)
def test_a_key_may_what_was_said(control, client, tier, scopes):
    made = control.post("/organizations", name="O", scopes=scopes, rateLimitTier=tier)
    more = control.post(f"/organizations/{made['organizationId']}/keys", name="K", scopes=scopes, rateLimitTier=tier)

    assert more.keys() == {"apiKeyId", "apiKey", "scopes", "rateLimitTier"}
    assert (made["name"], more["apiKey"] == made["apiKey"]) == ("O", False)
    for key in (made, more):
        whoami = client.get("/v1/whoami", headers={"X-Api-Key": key["apiKey"]}).json
        assert (whoami["organizationId"], whoami["apiKeyId"]) == (made["organizationId"], key["apiKeyId"])
        assert (whoami["scopes"], whoami["rateLimitTier"]) == (key["scopes"], key["rateLimitTier"]) == (scopes, tier)
        if not scopes:
            assert refused(client.get(AVA_PATH, headers={"X-Api-Key": key["apiKey"]})) == NO_SCOPE


def test_a_key_is_kept_nowhere(control, settings, capsys):
    made = control.post("/organizations")
    more = control.post(f"/organizations/{made['organizationId']}/keys")

    printed = capsys.readouterr().out
    for secret in (key["apiKey"].split("_", 3)[3] for key in (made, more)):
        assert secret not in printed
        assert [
            path for path in settings.data.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ] == []


KEY_FAULTS = [
    ({"name": ""}, invalid(name=["String must contain at least 1 character(s)"])),
    ({"name": "x" * 129}, invalid(name=["String must contain at most 128 character(s)"])),
    ({"name": None}, invalid(name=["Expected string, received null"])),
    ({"scopes": "*"}, invalid(scopes=["Expected array, received string"])),
    (
        {"scopes": ["*", "all"]},
        invalid(scopes=[f"1: Invalid enum value: must be one of {', '.join((*SCOPES, '*'))}"]),
    ),
    (
        {"rateLimitTier": "golden"},
        invalid(rateLimitTier=["Invalid enum value: must be one of standard, pilot, partner"]),
    ),
    ({"organizationId": "x"}, invalid(organizationId=["Unrecognized key"])),
]


@pytest.mark.parametrize(("body", "refusal"), KEY_FAULTS, ids=[str(body) for body, _ in KEY_FAULTS])
def test_what_is_no_organization_and_no_key_is_refused_and_nothing_is_made(
    control, organization, on_disk, body, refusal
):
    is_unchanged = unchanged(on_disk)

    assert refused(control.send("POST", "/organizations", body)) == refusal
    assert refused(control.send("POST", f"/organizations/{organization}/keys", body)) == refusal
    assert is_unchanged()


@pytest.mark.parametrize("nobody", ["x", "*", "%2e%2e", "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d12"])
def test_there_is_nothing_of_an_organization_that_is_not_there(control, on_disk, nobody):
    is_unchanged = unchanged(on_disk)

    assert refused(control.send("DELETE", f"/organizations/{nobody}")) == NO_ORGANIZATION
    assert refused(control.send("POST", f"/organizations/{nobody}/keys")) == NO_ORGANIZATION
    assert is_unchanged()


def test_a_dropped_organization_is_dropped_whole_and_no_other_notices(control, client, store, rooms):
    limited = Services(store, rooms.media, type(rooms.settings)(data=rooms.settings.data, sync=False, rate_limits=True))
    counted = create_app(limited).test_client()
    before, media = state_of(store), media_of(rooms)
    theirs, key = control.organization()
    more = {"X-Api-Key": control.post(f"/organizations/{theirs}/keys")["apiKey"]}
    project = client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key).json["id"]
    begun = client.post(
        f"/v1/projects/{project}/influencers", json={"name": "Kim"}, headers=key | {"Idempotency-Key": "x"}
    )
    client.patch(f"/v1/influencers/{begun.json['influencerId']}", json={"vibe": "x"}, headers=key)
    client.post(f"/v1/projects/{project}/media", json=VIDEO, headers=key)
    client.post(f"/v1/projects/{project}/media/presign", json={"kind": "video", "mimeType": "video/mp4"}, headers=key)
    rotated = client.post(
        f"/v1/api-keys/{store.keys.find(more['X-Api-Key'].split('_')[2])['apiKeyId']}/rotate", headers=key
    )
    assert rotated.status_code == 200
    control.put("/clock", mode="frozen", organizationId=theirs)
    control.post("/faults", answer={"delayMs": 0}, organizationId=theirs)
    control.put("/requests", enabled=True, organizationId=theirs)
    for headers in (key, {"X-Api-Key": rotated.json["secret"]}):
        assert counted.post("/v1/projects", json={}, headers=headers).status_code == 422
    assert any(table == "rate_limits" for table, _ in store.db.tables())

    assert control.delete(f"/organizations/{theirs}") == {"organizationId": theirs, "deleted": True}

    after = state_of(store)
    assert {place: after[place] for place in after if place[0] != "secrets"} == before
    assert media_of(rooms) == media
    assert control.get("/requests") == {"items": []}
    for headers in (key, more, {"X-Api-Key": rotated.json["secret"]}):
        assert refused(client.get("/v1/whoami", headers=headers)) == UNAUTHENTICATED
    for response in (
        control.send("GET", "/clock", query={"organizationId": theirs}),
        control.send("GET", "/faults", query={"organizationId": theirs}),
        control.send("DELETE", f"/organizations/{theirs}"),
    ):
        assert refused(response) == NO_ORGANIZATION


def test_a_snapshot_brings_a_dropped_organization_back(control, client):
    theirs, key = control.organization()
    project = client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key).json["id"]
    asset = client.post(f"/v1/projects/{project}/media", json=VIDEO, headers=key).json
    control.post("/snapshots", name="one")
    control.delete(f"/organizations/{theirs}")
    assert client.get(urlsplit(asset["url"]).path, buffered=True).status_code == 404

    control.post("/snapshots/one/restore")

    assert client.get("/v1/whoami", headers=key).json["organizationId"] == theirs
    assert client.get(urlsplit(asset["url"]).path, buffered=True).data == BYTES


def test_organizations_do_not_see_each_other(control, client):
    keys = [control.organization()[1] for _ in range(3)]
    for key in keys:
        client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key)

    ids = [[project["id"] for project in client.get("/v1/projects", headers=key).json["items"]] for key in keys]
    assert [len(found) for found in ids] == [1, 1, 1]
    for (mine, _), (_, (theirs,)) in permutations(zip(keys, ids, strict=True), 2):
        assert client.get(f"/v1/projects/{theirs}", headers=mine).status_code == 404


# Strict, whatever the operation


BODIES = {
    "createSnapshot": {"name": "x"},
    "setClock": {"mode": "real"},
    "createFault": {"answer": {"delayMs": 0}},
    "setRequestLog": {"enabled": False},
    "setCredits": {"balance": 0},
    "setSocialAccount": {"status": "reauth_required"},
}
CHANGES = [operation for operation in operations if operation.changes]


def path_of(operation, organization):
    ids = {
        "<name>": "one", "<organization_id>": organization, "<fault_id>": "x", "<influencer_id>": AVA,
        "<social_account_id>": examples.ACCOUNT,
    }  # fmt: skip
    path = operation.path.removeprefix(ROOT)
    for placeholder, value in ids.items():
        path = path.replace(placeholder, value)
    assert "<" not in path
    return path


@pytest.fixture
def sent(control, organization):
    """Return the function that sends an operation with something added to its body or query."""
    control.post("/snapshots", name="one")

    def send(operation, body=None, query=None):
        return control.send(operation.method, path_of(operation, organization), body, query)

    return send


def name_of(operation):
    return operation.name


@pytest.mark.parametrize("operation", operations, ids=name_of)
def test_an_unknown_name_in_the_query_is_refused_and_nothing_is_done(sent, on_disk, operation):
    is_unchanged = unchanged(on_disk)

    for name in ("organizationid", "organisationId", "nope"):
        response = sent(operation, BODIES.get(operation.name), {name: "x"})
        assert refused(response) == invalid(**{name: ["Unrecognized key"]}) | {"message": "Invalid query."}
    assert is_unchanged()


@pytest.mark.parametrize("operation", CHANGES, ids=name_of)
def test_an_unknown_name_in_the_body_is_refused_and_nothing_is_done(sent, on_disk, operation):
    is_unchanged = unchanged(on_disk)

    for name in ("organizationid", "organisationId", "nope"):
        response = sent(operation, BODIES.get(operation.name, {}) | {name: "x"})
        assert refused(response) == invalid(**{name: ["Unrecognized key"]})
    assert is_unchanged()


@pytest.mark.parametrize("operation", operations, ids=name_of)
def test_an_organization_is_said_where_it_is_looked_for_or_refused(sent, on_disk, operation):
    """Said in the body of what is told in the query, or the other way round, it would be overlooked: for everybody."""
    is_unchanged, nobody = unchanged(on_disk), {"organizationId": "nobody"}
    replies = [sent(operation, BODIES.get(operation.name), nobody)]
    if operation.changes:
        replies.append(sent(operation, BODIES.get(operation.name, {}) | nobody))

    for response in replies:
        told = refused(response)
        assert (told["status"], told["code"]) in {(404, "NOT_FOUND"), (422, "VALIDATION")}
    assert is_unchanged()


@pytest.mark.parametrize("operation", CHANGES, ids=name_of)
def test_a_body_that_is_no_object_is_refused_and_nothing_is_done(client, organization, sent, on_disk, operation):
    is_unchanged, path = unchanged(on_disk), ROOT + path_of(operation, organization)

    for body, type_name in ((b"[]", "array"), (b"null", "null"), (b'"x"', "string"), (b"1", "number")):
        response = client.open(path, method=operation.method, data=body)
        assert refused(response) == invalid(f"Expected object, received {type_name}")
    told = refused(client.open(path, method=operation.method, data=b"{"))
    assert told["details"]["formErrors"][0].startswith("Malformed JSON")
    response = client.open(path, method=operation.method)
    if operation.name in BODIES:
        assert refused(response) == invalid("Malformed JSON: the body is empty")
        assert is_unchanged()


# On a real service with several workers


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control") / "store"
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2", STANDIN_SYNC="never") as server:
        yield server


@pytest.fixture(scope="module")
def workers(server):
    """Return a client of each worker."""
    clients = [server.client_of(worker) for worker in server.workers()]
    assert len(clients) == 2
    return clients


def commanded(client, method, path, body=None, **query):
    return client.request(method, ROOT + path, json=body, params=query).raise_for_status().json()


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(2))
def test_what_one_worker_is_told_every_worker_goes_by_at_its_next_request(workers, turn):
    teller, other = workers if turn else reversed(workers)
    made = commanded(teller, "POST", "/organizations")
    theirs, key = made["organizationId"], {"X-Api-Key": made["apiKey"]}

    def status(headers=key):
        return other.get("/v1/whoami", headers=headers).status_code

    assert status() == 200
    more = {"X-Api-Key": commanded(teller, "POST", f"/organizations/{theirs}/keys")["apiKey"]}
    assert status(more) == 200
    commanded(teller, "PUT", "/clock", {"mode": "frozen", "at": "2030-01-01T00:00:00Z", "organizationId": theirs})
    assert commanded(other, "GET", "/clock", organizationId=theirs)["now"] == "2030-01-01T00:00:00.000Z"
    fault = commanded(teller, "POST", "/faults", {"answer": {"code": "RATE_LIMITED"}, "organizationId": theirs})
    assert status() == 429
    commanded(teller, "DELETE", f"/faults/{fault['id']}")
    assert status() == 200
    snapshot = commanded(teller, "POST", "/snapshots", {"name": "one"})
    assert commanded(other, "GET", "/snapshots")["items"] == [snapshot]
    commanded(teller, "PUT", "/requests", {"enabled": False, "organizationId": theirs})
    commanded(teller, "DELETE", "/requests")
    assert status() == 200
    assert commanded(other, "GET", "/requests")["items"] == []
    commanded(teller, "DELETE", f"/organizations/{theirs}")
    assert status() == 401
    commanded(teller, "POST", "/snapshots/one/restore")
    assert status(more) == 200
    commanded(teller, "POST", "/reset", {"to": "empty"})
    assert (status(), status(DEMO), commanded(other, "GET", "/health")["counts"]) == (401, 401, NOTHING)
    commanded(teller, "DELETE", "/snapshots/one")
    assert commanded(other, "GET", "/snapshots")["items"] == []
    commanded(teller, "POST", "/reset")
    assert (status(DEMO), commanded(other, "GET", "/health")["counts"]) == (200, SEEDED)


@pytest.mark.slow
def test_organizations_that_are_made_at_the_same_time_are_all_there(server, workers):
    before = commanded(workers[0], "GET", "/health")["counts"]
    crowd = [server.client() for _ in range(8)]

    made = together(partial(commanded, client, "POST", "/organizations") for client in crowd)

    assert len({each["organizationId"] for each in made}) == len(crowd)
    for client, each in zip(crowd, reversed(made), strict=True):
        whoami = client.get("/v1/whoami", headers={"X-Api-Key": each["apiKey"]}).json()
        assert whoami["organizationId"] == each["organizationId"]
    for each in made:
        commanded(workers[0], "DELETE", f"/organizations/{each['organizationId']}")
    assert commanded(workers[1], "GET", "/health")["counts"] == before


@pytest.mark.slow
def test_resets_while_others_ask_leave_nobody_with_half_of_it(server, workers):
    crowd = [server.client() for _ in range(4)]

    def ask(client):
        return [client.get(AVA_PATH) for _ in range(20)]

    def reset(client):
        for _ in range(10):
            commanded(client, "POST", "/reset")
        return []

    replies = together([partial(reset, workers[0]), *(partial(ask, client) for client in crowd)])

    assert {(reply.status_code, reply.json()["name"]) for each in replies for reply in each} == {(200, "Ava Chen")}


@pytest.mark.slow
def test_all_that_was_set_outlives_the_processes(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        made = commanded(client, "POST", "/organizations", {"name": "Kept"})
        theirs = made["organizationId"]
        commanded(client, "PUT", "/clock", {"mode": "frozen", "at": "2030-01-01T00:00:00Z", "organizationId": theirs})
        commanded(client, "POST", "/faults", {"answer": {"code": "RATE_LIMITED"}, "organizationId": theirs})
        commanded(client, "POST", "/snapshots", {"name": "one"})

        def seen(client):
            whole = ("/organizations", "/snapshots", "/health")
            its = (commanded(client, "GET", path, organizationId=theirs) for path in ("/clock", "/faults"))
            return [commanded(client, "GET", path) for path in whole] + list(its)

        before = seen(client)
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        assert seen(client) == before
        assert client.get("/v1/whoami", headers={"X-Api-Key": made["apiKey"]}).status_code == 429
        commanded(client, "POST", "/snapshots/one/restore")
        assert commanded(client, "GET", "/clock", organizationId=theirs)["mode"] == "frozen"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["reset to empty", "the last organization dropped"])
def test_what_was_emptied_is_not_filled_from_the_seed_at_the_next_start(tmp_path, how):
    folder = tmp_path / "store"
    with serving(folder, WEB_CONCURRENCY="1", STANDIN_SYNC="never") as server:
        client = server.client()
        if how == "reset to empty":
            commanded(client, "POST", "/reset", {"to": "empty"})
        else:
            (organization,) = commanded(client, "GET", "/organizations")["items"]
            commanded(client, "DELETE", f"/organizations/{organization['organizationId']}")
    with serving(folder, WEB_CONCURRENCY="1", STANDIN_SYNC="never") as server:
        assert commanded(server.client(), "GET", "/health")["counts"] == NOTHING
