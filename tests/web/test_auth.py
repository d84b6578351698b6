"""Who is asking, and what the key may do: keys that are not ours, killed ones, the demo key, and scopes."""

import re
from dataclasses import replace

import pytest
from api_helpers import KILLED, NO_SCOPE, UNAUTHENTICATED, key_of, living, new_organization, refused, unchanged
from conftest import AVA, AVA_PATH, DEMO
from request_helpers import DEMO_SECRET, ROUTES, WRONG_SECRET

from app import create_app
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.services import Services
from layers_standin.web.auth import authenticate
from layers_standin.web.errors import Unauthenticated

pytestmark = pytest.mark.slow

SCOPED = ROUTES[1:]


def fake_key(**parts):
    known = {"environment": "test", "public_id": "DEM0DEM0DEM0DEM0", "secret": DEMO_SECRET} | parts
    return "lp_{environment}_{public_id}_{secret}".format(**known)


# Keys

WRONG_KEYS = {
    "empty": "",
    "a word": "secret",
    "prefix only": "lp_test_",
    "no secret": "lp_test_DEM0DEM0DEM0DEM0",
    "empty secret": fake_key(secret=""),
    "secret too short": DEMO_KEY[:-1],
    "secret too long": DEMO_KEY + "0",
    "wrong secret": WRONG_SECRET,
    "secret in another case": fake_key(secret=DEMO_SECRET.upper()),
    "other prefix": "xx" + DEMO_KEY[2:],
    "upper-case prefix": "LP" + DEMO_KEY[2:],
    "unknown environment": fake_key(environment="prod"),
    "other environment": fake_key(environment="live"),
    "public id too short": fake_key(public_id="DEM0DEM0DEM0DEM"),
    "public id in lower case": fake_key(public_id="dem0dem0dem0dem0"),
    "unknown key": fake_key(public_id="AAAABBBBCCCCDDDD"),
    "underscores missing": DEMO_KEY.replace("_", ""),
    "surrounded by quotes": f'"{DEMO_KEY}"',
    "with a null": DEMO_KEY[:-1] + "\0",
    "not ASCII": DEMO_KEY[:-1] + "\xe9",
    "digits of another script": fake_key(public_id="DEM\u0660" * 4).encode().decode("latin-1"),
    "two keys": f"{DEMO_KEY}, {DEMO_KEY}",
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS)
@pytest.mark.parametrize("scheme", ["X-Api-Key", "Bearer"])
def test_a_key_that_is_not_ours_is_refused(client, scheme, key):
    headers = {"X-Api-Key": key} if scheme == "X-Api-Key" else {"Authorization": f"Bearer {key}"}

    assert refused(client.get(AVA_PATH, headers=headers)) == UNAUTHENTICATED


WELL_FORMED = ["wrong secret", "secret in another case", "other environment", "unknown key"]


@pytest.mark.parametrize("key", [key for name, key in WRONG_KEYS.items() if name not in WELL_FORMED])
def test_a_key_that_is_malformed_is_not_even_looked_up(key):
    for environ in ({"HTTP_X_API_KEY": key}, {"HTTP_AUTHORIZATION": f"Bearer {key}"}):
        with pytest.raises(Unauthenticated):
            authenticate(environ, Unsearchable())


class Unsearchable:
    """Keys among which nobody looks."""

    def find(self, public_id):
        raise AssertionError(public_id)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": DEMO_KEY},
        {"Authorization": f"Basic {DEMO_KEY}"},
        {"Authorization": "Basic OnB3"},
        {"Api-Key": DEMO_KEY},
        {"Cookie": f"X-Api-Key={DEMO_KEY}"},
    ],
)
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_request_without_a_key_is_refused_on_every_route(client, method, path, body, headers):
    assert refused(client.open(path, method=method, json=body, headers=headers)) == UNAUTHENTICATED


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_the_fallback(client, scheme):
    assert client.get("/v1/whoami", headers={"Authorization": f"{scheme} {DEMO_KEY}"}).status_code == 200


@pytest.mark.parametrize("wrong", ["", "x", WRONG_SECRET])
def test_x_api_key_wins_over_a_bearer_token_even_when_it_is_wrong(client, wrong):
    right, other = {"Authorization": f"Bearer {DEMO_KEY}"}, {"X-Api-Key": wrong}

    assert refused(client.get("/v1/whoami", headers=right | other)) == UNAUTHENTICATED
    wrong_bearer = {"Authorization": f"Bearer {wrong}"}
    assert client.get("/v1/whoami", headers=DEMO | wrong_bearer).status_code == 200


@pytest.mark.parametrize("secret", ["_" * 43, "-" * 43, "a_b-" * 10 + "_lp", "live_test_" * 4 + "abc"])
def test_a_secret_may_contain_underscores_and_hyphens(client, store, organization, secret):
    key = fake_key(environment="live", public_id="AAAABBBBCCCCDDDD", secret=secret)
    store.for_organization(organization).keys.create(["*"], "A key", key)

    assert client.get("/v1/whoami", headers={"X-Api-Key": key}).status_code == 200
    assert refused(client.get("/v1/whoami", headers={"X-Api-Key": key[:-1] + "0"})) == UNAUTHENTICATED


@pytest.mark.postgres
def test_a_minted_key_works_and_is_nowhere_in_the_store(client, store, organization, on_disk):
    headers = key_of(store, organization, "*")
    key = headers["X-Api-Key"]

    assert re.fullmatch(r"lp_test_[0-9A-Z]{16}_[0-9A-Za-z_-]{43}", key)
    assert client.get(AVA_PATH, headers=headers).status_code == 200
    assert key.split("_", 3)[3].encode() not in on_disk.read_bytes()


@pytest.mark.postgres
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_killed_key_is_refused_on_every_route(client, store, on_disk, method, path, body):
    store.keys.delete_public("DEM0DEM0DEM0DEM0")
    is_unchanged = unchanged(on_disk)

    assert refused(client.open(path, method=method, json=body, headers=DEMO)) == KILLED
    assert is_unchanged()


PUBLIC_SERVERS = ["0.0.0.0", "::", "192.168.0.7", "fd00::7", "stand-in.example", ""]


@pytest.mark.parametrize("server", PUBLIC_SERVERS)
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_the_demo_key_opens_nothing_where_strangers_can_come_in(demo, on_disk, method, path, body, server):
    is_unchanged = unchanged(on_disk)
    at = {"SERVER_NAME": server, "HTTP_HOST": "localhost"}  # whatever the client calls it

    assert refused(demo.open(path, method=method, json=body, environ_overrides=at)) == UNAUTHENTICATED
    assert is_unchanged()


@pytest.mark.parametrize("server", PUBLIC_SERVERS)
def test_any_other_key_works_where_strangers_can_come_in(client, store, organization, server):
    headers = key_of(store, organization, "*")

    assert client.get(AVA_PATH, headers=headers, environ_overrides={"SERVER_NAME": server}).status_code == 200


@pytest.mark.parametrize("server", PUBLIC_SERVERS)
def test_the_demo_key_works_for_strangers_when_that_is_wanted(rooms, settings, server):
    wanted = create_app(Services(rooms.store, rooms.media, replace(settings, allow_demo_key=True))).test_client()

    assert wanted.get(AVA_PATH, headers=DEMO, environ_overrides={"SERVER_NAME": server}).status_code == 200


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_the_demo_key_works_where_only_this_machine_comes_in(demo, server):
    at = {"SERVER_NAME": server, "HTTP_HOST": "stand-in.example"}

    assert demo.get(AVA_PATH, environ_overrides=at).status_code == 200


# Scopes


@pytest.mark.parametrize(("method", "path", "body"), SCOPED)
@pytest.mark.parametrize(
    "scopes",
    [[], ["projects:read"], ["influencers:read"], ["influencers"], ["influencers:write:x"], ["influencers:*"], ["**"]],
)
def test_a_key_without_the_scope_is_refused(client, store, organization, on_disk, method, path, body, scopes):
    headers = key_of(store, organization, *scopes)
    is_unchanged = unchanged(on_disk)

    assert refused(client.open(path, method=method, json=body, headers=headers)) == NO_SCOPE
    assert is_unchanged()


@pytest.mark.parametrize(("method", "path", "body"), SCOPED)
@pytest.mark.parametrize("scopes", [["influencers:write"], ["*"], ["jobs:read", "influencers:write"], ["x", "*"]])
def test_a_key_with_the_scope_is_let_in(client, store, organization, method, path, body, scopes):
    headers = key_of(store, organization, *scopes)

    assert client.open(path, method=method, json=body, headers=headers).status_code == 200


# Organizations


@pytest.mark.postgres
def test_a_key_of_another_organization_sees_its_own(client, store):
    other = new_organization(store)
    store.tables.put("influencers", living(other, AVA, name="Another Ava"))

    assert client.get(AVA_PATH, headers=key_of(store, other, "influencers:write")).json["name"] == "Another Ava"
    assert client.get(AVA_PATH, headers=DEMO).json["name"] == "Ava Chen"
