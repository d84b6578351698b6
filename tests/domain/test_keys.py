"""Killing, rotating and deleting keys, as their organization does it, and how soon everybody knows."""

from hashlib import sha256
from uuid import uuid4

import pytest
from api_helpers import KILLED, NO_SCOPE, UNAUTHENTICATED, invalid, key_of, new_organization, refused, unchanged
from conftest import AVA_PATH, DEMO
from servers import STAYS_OPEN, serving

from layers_standin.domain.keys import DEMO_KEY, mint_key, public_id_of

pytestmark = pytest.mark.postgres

NOW, LATER = "2026-04-18T09:18:44.120Z", "2026-04-18T10:18:44.120Z"
WHOAMI = "/v1/whoami"
NO_KEY = {"status": 404, "code": "NOT_FOUND", "message": "API key not found."}
NOT_KEPT = {
    "status": 409,
    "code": "CONFLICT",
    "message": "This was done; its reply held a secret and was not kept.",
    "details": {"subcode": "NOT_KEPT"},
}
OPERATIONS = [("POST", "/kill"), ("POST", "/rotate"), ("DELETE", "")]


@pytest.fixture
def other(store, organization):
    """Return the headers of a second key of the demo organization, of few scopes and a tier of its own."""
    return {"X-Api-Key": store.for_organization(organization).keys.create(["jobs:read"], "Other", tier="pilot")}


def key_id(client, key):
    return client.get(WHOAMI, headers=key).json["apiKeyId"]


def path_of(client, key):
    return f"/v1/api-keys/{key_id(client, key)}"


def prefix_of(key):
    return key["X-Api-Key"][: len("lp_test_") + 16]


def seen(client, key):
    """Return what a key is answered: 200, or the refusal."""
    response = client.get(WHOAMI, headers=key)
    return 200 if response.status_code == 200 else refused(response)


def rotated(client, path, **options):
    response = client.post(f"{path}/rotate", **options)
    assert response.status_code == 200, response.text
    return {"X-Api-Key": response.json["secret"]}


# Integer replies


def test_a_key_that_another_organization_has_by_now_is_let_in_there_alone(demo, store, control):
    """Of a key it is remembered whose it was: only a guess, for the same text can be given to another one."""
    text, (first, _), (second, _) = mint_key(), control.organization(), control.organization()
    control.put("/clock", mode="frozen", at=NOW, organizationId=second)
    for organization in (first, second, first):
        store.for_organization(organization).keys.create(["*"], "Moved", text)
        assert demo.get(WHOAMI, headers={"X-Api-Key": text}).json["organizationId"] == organization
        assert (store.callers.find(public_id_of(text)).overrides.clock["mode"] == "frozen") == (organization == second)


def test_kill_says_how_the_key_is_now_and_the_same_each_time(demo, organization, other, clock):
    path = path_of(demo, other)
    expected = {
        "apiKey": {
            "id": path.rpartition("/")[2],
            "organizationId": organization,
            "name": "Other",
            "prefix": prefix_of(other),
            "killSwitch": True,
            "isActive": False,
            "revokedAt": NOW,
        },
        "killed": True,
    }

    for _ in range(2):
        response = demo.post(f"{path}/kill")
        assert response.status_code == 200
        assert list(response.json["apiKey"].items()) == list(expected["apiKey"].items())
        assert response.json == expected
        assert seen(demo, other) == KILLED
        clock.move(hours=1)


def test_rotate_says_the_new_key_once(demo, organization, other):
    path = path_of(demo, other)

    response = demo.post(f"{path}/rotate", json={})

    new = {"X-Api-Key": response.json["secret"]}
    assert response.status_code == 200
    assert response.json == {
        "apiKey": {
            "id": path.rpartition("/")[2],
            "organizationId": organization,
            "name": "Other",
            "prefix": prefix_of(new),
            "killSwitch": False,
            "isActive": True,
            "revokedAt": None,
            "rotatedAt": NOW,
        },
        "secret": new["X-Api-Key"],
    }
    assert prefix_of(new) != prefix_of(other)
    assert len(new["X-Api-Key"]) == len(DEMO_KEY)
    assert seen(demo, other) == UNAUTHENTICATED
    assert seen(demo, new) == 200


def test_delete_says_how_the_key_is_now_and_then_it_is_not_found(demo, organization, other, on_disk):
    path = path_of(demo, other)

    response = demo.delete(path)

    assert response.status_code == 200
    assert response.json == {
        "apiKey": {
            "id": path.rpartition("/")[2],
            "organizationId": organization,
            "name": "Other",
            "prefix": prefix_of(other),
            "killSwitch": True,
            "isActive": False,
            "revokedAt": NOW,
        },
        "deleted": True,
    }
    same = unchanged(on_disk)
    for method, below in OPERATIONS:
        assert refused(demo.open(path + below, method=method)) == NO_KEY
    assert seen(demo, other) == KILLED
    assert same()


@pytest.mark.parametrize("method, below", OPERATIONS)
def test_a_key_that_is_foreign_or_unknown_is_not_found(demo, store, on_disk, method, below):
    foreign = path_of(demo, key_of(store, new_organization(store), "*"))
    same = unchanged(on_disk)

    for path in (foreign, f"/v1/api-keys/{uuid4()}", "/v1/api-keys/x", "/v1/api-keys/DEM0DEM0DEM0DEM0"):
        assert refused(demo.open(path + below, method=method)) == NO_KEY
    assert same()


@pytest.mark.parametrize("method, below", OPERATIONS)
def test_the_operations_take_no_fields(demo, other, method, below):
    response = demo.open(path_of(demo, other) + below, method=method, json={"why": "x"})

    assert refused(response) == invalid(why=["Unrecognized key"])
    assert seen(demo, other) == 200


@pytest.mark.parametrize("method, below", OPERATIONS)
def test_any_key_may_do_it_to_any_key_of_its_organization(client, store, organization, method, below):
    weak = key_of(store, organization)
    path = path_of(client, DEMO)

    assert client.open(path + below, method=method, headers=weak).status_code == 200
    assert seen(client, DEMO) == (UNAUTHENTICATED if below == "/rotate" else KILLED)


@pytest.mark.parametrize("method, below", OPERATIONS)
def test_a_key_may_do_it_to_itself(client, other, method, below):
    path = path_of(client, other)

    assert client.open(path + below, method=method, headers=other).status_code == 200
    assert seen(client, other) == (UNAUTHENTICATED if below == "/rotate" else KILLED)


# What stays


def test_a_rotated_key_is_the_same_to_everybody_but_its_holder(demo, other):
    before = demo.get(WHOAMI, headers=other).json

    new = rotated(demo, path_of(demo, other))

    assert demo.get(WHOAMI, headers=new).json == before
    assert before["rateLimitTier"] == "pilot"
    assert refused(demo.get(AVA_PATH, headers=new)) == NO_SCOPE


def test_what_was_filed_under_a_key_is_replayed_to_it_when_rotated(demo):
    once = {"Idempotency-Key": "one"}
    first = demo.patch(AVA_PATH, json={"vibe": "x"}, headers=once)

    new = rotated(demo, path_of(demo, DEMO))

    again = demo.patch(AVA_PATH, json={"vibe": "x"}, headers=once | new)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"


def test_rotating_a_killed_key_switches_it_on_again(demo, other, clock):
    path = path_of(demo, other)
    demo.post(f"{path}/kill")

    new = rotated(demo, path)

    assert seen(demo, new) == 200
    assert seen(demo, other) == UNAUTHENTICATED
    clock.move(hours=1)
    assert demo.post(f"{path}/kill").json["apiKey"]["revokedAt"] == LATER


def test_each_rotation_makes_the_last_key_useless(demo, other):
    path = path_of(demo, other)
    keys = [other] + [rotated(demo, path) for _ in range(3)]

    assert [seen(demo, key) for key in keys] == [UNAUTHENTICATED] * 3 + [200]


# The secret


def test_the_twin_of_a_rotation_is_told_that_it_was_done_and_rotates_nothing(demo, other, on_disk):
    path, once = path_of(demo, other), {"Idempotency-Key": "one"}
    first = demo.post(f"{path}/rotate", headers=once)
    assert first.status_code == 200
    same = unchanged(on_disk)

    for _ in range(2):
        twin = demo.post(f"{path}/rotate", headers=once)
        assert twin.headers["Idempotent-Replayed"] == "true"
        assert twin.headers["X-Request-Id"] != first.headers["X-Request-Id"]
        error = dict(twin.json["error"])
        assert error.pop("requestId") == first.headers["X-Request-Id"]
        assert {"status": twin.status_code} | error == NOT_KEPT
    assert same()
    assert seen(demo, {"X-Api-Key": first.json["secret"]}) == 200
    other_body = demo.post(f"{path}/rotate", headers=once, json={})
    assert refused(other_body)["code"] == "IDEMPOTENCY_CONFLICT"
    assert seen(demo, rotated(demo, path, headers={"Idempotency-Key": "two"})) == 200


def test_a_rotation_that_was_refused_is_replayed_as_it_was(demo):
    path, once = f"/v1/api-keys/{uuid4()}/rotate", {"Idempotency-Key": "one"}
    first = demo.post(path, headers=once)

    again = demo.post(path, headers=once)

    assert (again.status_code, again.data) == (404, first.data)


@pytest.mark.parametrize("method, below, done", [("POST", "/kill", "killed"), ("DELETE", "", "deleted")])
def test_what_holds_no_secret_is_replayed_whole(demo, other, method, below, done):
    path, once = path_of(demo, other) + below, {"Idempotency-Key": "one"}
    first = demo.open(path, method=method, headers=once)

    again = demo.open(path, method=method, headers=once)

    assert again.json[done] is True
    assert (again.status_code, again.data) == (200, first.data)


def test_a_new_secret_is_neither_in_the_store_nor_in_the_log(demo, other, settings, on_disk, capfd, caplog):
    new = rotated(demo, path_of(demo, other), headers={"Idempotency-Key": "one"})["X-Api-Key"]
    assert seen(demo, {"X-Api-Key": new}) == 200

    secret = new.split("_", 3)[3]
    beside = b"".join(path.read_bytes() for path in settings.data.rglob("*") if path.is_file())
    stored = on_disk.read_bytes() + beside
    printed = "".join(capfd.readouterr()) + caplog.text
    assert sha256(secret.encode()).hexdigest().encode() in stored
    assert secret.encode() not in stored
    assert "/rotate 200" in printed
    assert secret not in printed


# Several workers


@pytest.mark.slow
def test_every_worker_knows_from_the_next_request_on(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, *STAYS_OPEN, STANDIN_SYNC="never") as server:
        one, other = (server.client_of(worker) for worker in server.workers())
        path = f"/v1/api-keys/{one.get(WHOAMI).json()['apiKeyId']}"

        first = {"X-Api-Key": one.post(f"{path}/rotate").json()["secret"]}
        assert [client.get(WHOAMI).status_code for client in (other, one)] == [401, 401]
        assert [client.get(WHOAMI, headers=first).status_code for client in (other, one)] == [200, 200]

        second = {"X-Api-Key": other.post(f"{path}/rotate", headers=first).json()["secret"]}
        assert one.get(WHOAMI, headers=first).status_code == 401
        assert one.get(WHOAMI, headers=second).status_code == 200

        assert one.post(f"{path}/kill", headers=second).status_code == 200
        assert [client.get(WHOAMI, headers=second).status_code for client in (other, one)] == [503, 503]
    stored = b"".join(found.read_bytes() for found in folder.rglob("*") if found.is_file())
    for key in (first, second):
        secret = key["X-Api-Key"].split("_", 3)[3]
        assert secret not in server.output
        assert secret.encode() not in stored
