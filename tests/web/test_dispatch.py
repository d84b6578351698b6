"""The way of a request to its operation, check by check, and one transaction for the effect and the stored response."""

from functools import partial

import pytest
from api_helpers import (
    KILLED,
    NO_INFLUENCER,
    NO_SCOPE,
    OTHER_BODY,
    UNAUTHENTICATED,
    Interrupted,
    invalid,
    key_of,
    living,
    refused,
    unchanged,
)
from conftest import AVA, AVA_PATH, DEMO
from request_helpers import WRONG_SECRET

from app import create_app
from layers_standin.domain.errors import NotFound
from layers_standin.housekeeping import Housekeeping
from layers_standin.web.application import Application
from layers_standin.web.dispatch import dispatch
from layers_standin.web.operations import Operations
from schemas import EmptyBody

ONCE = DEMO | {"Idempotency-Key": "once"}


@pytest.fixture
def client_of(rooms):
    """Return a function that serves one handler and returns a client."""

    def client_of(handler):
        operations = Operations()
        operations.add("POST", "/v1/act", scope=None, body=EmptyBody(), body_optional=True)(handler)
        ignore = lambda *_: None  # noqa: E731 - the logs are not what this is about
        app = Application(ignore, ignore, Housekeeping(rooms))
        for operation in operations:
            app.add_direct(operation.method, operation.path, operation.name, partial(dispatch, operation, rooms))
        return app.test_client()

    return client_of


@pytest.mark.postgres
def test_a_refusal_undoes_what_was_written_before_it_and_is_stored(client_of, store, organization):
    def act(call):
        store.tables.put("influencers", living(organization, "inf_half"))
        raise NotFound("Gone.")

    client = client_of(act)
    first, second = client.post("/v1/act", headers=ONCE), client.post("/v1/act", headers=ONCE)

    assert (first.status_code, first.json["error"]["message"]) == (404, "Gone.")
    assert (second.status_code, second.data) == (404, first.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(NotFound):
        store.for_organization(organization).influencer("inf_half")


@pytest.mark.postgres
def test_a_crash_undoes_what_was_written_before_it_and_is_not_stored(client_of, store, organization, on_disk):
    def act(call):
        store.tables.put("influencers", living(organization, "inf_half"))
        raise ZeroDivisionError

    client, is_unchanged = client_of(act), unchanged(on_disk)

    for _ in range(2):
        response = client.post("/v1/act", headers=ONCE)
        assert (response.status_code, response.headers.get("Idempotent-Replayed")) == (500, None)
    assert is_unchanged()


@pytest.mark.postgres
def test_effect_and_stored_response_are_one_commit(client_of, on_disk):
    client = client_of(lambda call: call.store.patch_influencer(AVA, {"vibe": "x"}))
    before = on_disk.commits()

    assert client.post("/v1/act", headers=ONCE).status_code == 200
    assert on_disk.commits() == before + 1


# The order of checks: whoever violates two gets the earlier.

BAD_BODY = b'{"mood": 1}'
USED = {"Idempotency-Key": "used"}


def use_up_a_key(client, headers):
    """Delete Ava under the Idempotency-Key `used`."""
    assert client.delete(AVA_PATH, headers=headers | USED).status_code == 200


def test_a_wrong_secret_comes_before_a_killed_key(client, store):
    store.keys.delete_public("DEM0DEM0DEM0DEM0")

    assert refused(client.get(AVA_PATH, headers={"X-Api-Key": WRONG_SECRET})) == UNAUTHENTICATED


def test_a_missing_key_comes_before_everything_else(client):
    headers = {"Idempotency-Key": ""}

    assert refused(client.patch("/v1/influencers/x", data=BAD_BODY, headers=headers)) == UNAUTHENTICATED


def test_a_killed_key_comes_before_a_missing_scope(client, store, organization):
    headers = key_of(store, organization)
    store.keys.delete_public(headers["X-Api-Key"].split("_")[2])

    assert refused(client.get(AVA_PATH, headers=headers)) == KILLED


@pytest.mark.parametrize("body", [BAD_BODY, b"{", b"x" * (2 << 20)], ids=["fields", "json", "too large"])
def test_a_missing_scope_comes_before_the_body(client, store, organization, body):
    assert refused(client.patch(AVA_PATH, data=body, headers=key_of(store, organization))) == NO_SCOPE


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_missing_scope_comes_before_not_found(client, store, organization, method):
    headers = key_of(store, organization)

    assert refused(client.open("/v1/influencers/x", method=method, json={"vibe": "x"}, headers=headers)) == NO_SCOPE


def test_the_body_comes_before_replay_and_conflict(client):
    use_up_a_key(client, DEMO)

    response = client.delete(AVA_PATH, data=BAD_BODY, headers=DEMO | USED)

    assert refused(response) == invalid(mood=["Unrecognized key"])


@pytest.mark.parametrize(("method", "below"), [("PATCH", ""), ("DELETE", ""), ("POST", "/reference-images")])
def test_the_body_comes_before_not_found(demo, method, below):
    response = demo.open(f"/v1/influencers/x{below}", method=method, data=b"[]")

    assert refused(response) == invalid("Expected object, received array")


def test_replay_and_conflict_come_before_not_found(client):
    use_up_a_key(client, DEMO)

    assert refused(client.delete(AVA_PATH, headers=DEMO)) == NO_INFLUENCER
    assert client.delete(AVA_PATH, headers=DEMO | USED).status_code == 200
    assert refused(client.delete(AVA_PATH, json={"reason": "x"}, headers=DEMO | USED)) == OTHER_BODY


def test_a_missing_scope_comes_before_a_replay(client, store, organization):
    headers = key_of(store, organization, "influencers:write")
    use_up_a_key(client, headers)
    key = store.keys.find(headers["X-Api-Key"].split("_")[2])
    store.tables.put("api_keys", key | {"scopes": []})

    assert refused(client.delete(AVA_PATH, headers=headers | USED)) == NO_SCOPE


@pytest.mark.postgres
@pytest.mark.parametrize("once", [{}, {"Idempotency-Key": "one"}], ids=["plain", "idempotent"])
@pytest.mark.parametrize("what", ["drop", "reset"])
def test_nothing_is_written_for_an_organization_that_goes_while_its_request_is_read(rooms, control, store, what, once):
    organization, key = control.organization()
    act = {
        "drop": partial(control.delete, f"/organizations/{organization}"),
        "reset": partial(control.post, "/reset"),
    }[what]

    body = b'{"name": "Late", "timezone": "UTC"}'
    late = Interrupted(body, act)
    client = create_app(rooms).test_client()
    response = client.post("/v1/projects", input_stream=late, content_length=len(body), headers=key | once)

    assert refused(response) == UNAUTHENTICATED
    assert [space for space in store.db.tables() if organization in space] == []
