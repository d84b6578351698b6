"""What every request and every reply has in common: keys, scopes, the order of checks, bodies, headers, the log."""

import json
import logging
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from uuid import uuid4

import apsw
import pytest
from api_helpers import (
    AVA_PICTURES,
    CRASHED,
    KILLED,
    NO_INFLUENCER,
    NO_ROUTE,
    NO_SCOPE,
    OTHER_BODY,
    SPRING,
    TOO_LARGE,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNCONFIRMED,
    Interrupted,
    invalid,
    key_of,
    living,
    new_organization,
    refused,
    unchanged,
)
from conftest import AVA, AVA_PATH, DEMO, only_sqlite
from servers import opened
from ulid import ULID

from app import create_app
from layers_standin.domain.errors import StoreError
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.domain.tables import INDEXES
from layers_standin.engines.errors import EngineError, Unconfirmed
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, load_checksums
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.auth import authenticate
from layers_standin.web.errors import STATUS, STATUS_OF_CODE, Refusal, Unauthenticated, refusal
from layers_standin.web.logs.access import Line, as_json, plain
from store import Store

REQUEST_ID = re.compile(r"req_[0-9A-HJKMNP-TV-Z]{26}")
IMAGES_PATH = f"{AVA_PATH}/reference-images"
DEMO_SECRET = DEMO_KEY.split("_", 3)[3]
ROUTES = [
    ("GET", "/v1/whoami", None),
    ("GET", AVA_PATH, None),
    ("PATCH", AVA_PATH, {"vibe": "x"}),
    ("DELETE", AVA_PATH, {"reason": "x"}),
    ("POST", IMAGES_PATH, {"assetIds": AVA_PICTURES[:1]}),
]
SCOPED = ROUTES[1:]
CHANGES = ROUTES[2:]


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
    "wrong secret": DEMO_KEY[:-1] + "1",
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
    for headers in ({"X-Api-Key": key}, {"Authorization": f"Bearer {key}"}):
        with pytest.raises(Unauthenticated):
            authenticate(headers, Unsearchable())


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


@pytest.mark.parametrize("wrong", ["", "x", WRONG_KEYS["wrong secret"]])
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


# The order of checks: whoever violates two gets the earlier.

BAD_BODY = b'{"mood": 1}'
USED = {"Idempotency-Key": "used"}


def use_up_a_key(client, headers):
    """Delete Ava under the Idempotency-Key `used`."""
    assert client.delete(AVA_PATH, headers=headers | USED).status_code == 200


def test_a_wrong_secret_comes_before_a_killed_key(client, store):
    store.keys.delete_public("DEM0DEM0DEM0DEM0")

    assert refused(client.get(AVA_PATH, headers={"X-Api-Key": WRONG_KEYS["wrong secret"]})) == UNAUTHENTICATED


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


# Bodies

MALFORMED = {
    "cut off": b'{"vibe": "x"',
    "single quotes": b"{'vibe': 'x'}",
    "trailing comma": b'{"vibe": "x",}',
    "two documents": b'{"vibe": "x"} {}',
    "a comment": b'{"vibe": "x"} // x',
    "spaces only": b"  \n",
    "NaN": b'{"vibe": NaN}',
    "Infinity": b'{"vibe": Infinity}',
    "minus Infinity": b'{"vibe": -Infinity}',
    "a leading zero": b'{"vibe": 01}',
    "a lone high surrogate": b'{"vibe": "\\ud83d"}',
    "a lone low surrogate": b'{"vibe": "\\ude00"}',
    "surrogates the wrong way round": b'{"vibe": "\\ude00\\ud83d"}',
    "a raw control character": b'{"vibe": "\n"}',
    "deep arrays": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"personality":' * 10_000 + b"1" + b"}" * 10_000,
    "a form": b"vibe=x",
}
NOT_UTF_8 = {
    "latin-1": b'{"vibe": "caf\xe9"}',
    "a surrogate in bytes": b'{"vibe": "\xed\xa0\x80"}',
    "overlong": b'{"vibe": "\xc0\x80"}',
    "UTF-16": '{"vibe": "x"}'.encode("utf-16"),
    "cut off inside a character": b'{"vibe": "\xf0\x9f\x98',
}


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CHANGES])
@pytest.mark.parametrize(
    ("body", "beginning"),
    [(body, "Malformed JSON: ") for body in MALFORMED.values()]
    + [(body, "Body is not valid UTF-8 at byte ") for body in NOT_UTF_8.values()],
    ids=[*MALFORMED, *NOT_UTF_8],
)
def test_a_body_that_is_no_json_is_refused_and_changes_nothing(demo, on_disk, method, path, body, beginning):
    is_unchanged = unchanged(on_disk)

    found = refused(demo.open(path, method=method, data=body))

    (message,) = found["details"]["formErrors"]
    assert message.startswith(beginning)
    assert found == invalid(message)
    assert is_unchanged()


@pytest.mark.parametrize(("method", "path"), [("PATCH", AVA_PATH), ("POST", IMAGES_PATH)])
def test_an_empty_body_is_refused_where_one_is_needed(demo, on_disk, method, path):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.open(path, method=method)) == invalid("Malformed JSON: the body is empty")
    assert is_unchanged()


@pytest.mark.parametrize(
    ("body", "received"),
    [(b"null", "null"), (b"[]", "array"), (b'"x"', "string"), (b"1", "number"), (b"true", "boolean")],
)
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CHANGES])
def test_a_body_that_is_no_object_is_refused_and_changes_nothing(demo, on_disk, method, path, body, received):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.open(path, method=method, data=body)) == invalid(f"Expected object, received {received}")
    assert is_unchanged()


@pytest.mark.parametrize("size", [(1 << 20) + 1, 2 << 20])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in CHANGES])
def test_a_body_over_one_mebibyte_is_too_large(demo, on_disk, method, path, chunked, size):
    is_unchanged = unchanged(on_disk)
    body = b'{"vibe": "x"}'.ljust(size)
    sent = {"input_stream": BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}

    response = demo.open(path, method=method, **(sent if chunked else {"data": body}))

    assert refused(response) == TOO_LARGE
    assert is_unchanged()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_one_mebibyte_is_not_too_large(demo, chunked):
    body = b'{"vibe": "x"}'.ljust(1 << 20)
    sent = {"input_stream": BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}

    assert demo.patch(AVA_PATH, **(sent if chunked else {"data": body})).json["vibe"] == "x"


def test_of_duplicate_keys_the_last_wins(demo):
    body = b'{"vibe": 1, "vibe": "first", "personality": {"tone": "a", "tone": "b"}, "vibe": "last"}'

    record = demo.patch(AVA_PATH, data=body).json

    assert (record["vibe"], record["personality"]["tone"]) == ("last", "b")


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "é", ""],
)
def test_a_body_is_json_whatever_its_content_type_says(demo, content_type):
    response = demo.patch(AVA_PATH, data=b'{"vibe": "x"}', content_type=content_type)

    assert (response.status_code, response.json["vibe"]) == (200, "x")


def test_a_body_is_utf_8_whatever_charset_its_content_type_names(demo):
    body = '{"vibe": "é"}'.encode()

    assert demo.patch(AVA_PATH, data=body, content_type="application/json; charset=latin-1").json["vibe"] == "é"


@pytest.mark.parametrize("path", ["/v1/whoami", AVA_PATH])
def test_what_a_get_sends_along_is_not_looked_at(demo, path):
    headers = {"Idempotency-Key": "x" * 300}

    assert demo.get(f"{path}?x=1", data=b"{", headers=headers).status_code == 200


# Idempotency

OTHERS = {"PATCH": {"vibe": "y"}, "DELETE": {"reason": "y"}, "POST": {"assetIds": AVA_PICTURES}}


def sender(client, method, path, **options):
    """Return a function that sends a body under the Idempotency-Key `once`, or the one it is given."""

    def send(body, key="once"):
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return client.open(path, method=method, headers=options.get("headers", {}) | {"Idempotency-Key": key}, **sent)

    return send


def is_replay(response):
    return response.headers.get("Idempotent-Replayed") == "true"


@pytest.mark.postgres
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_repeated_request_gets_the_first_reply_byte_for_byte(demo, on_disk, clock, method, path, body):
    send = sender(demo, method, path)
    first = send(body)
    is_unchanged = unchanged(on_disk)
    clock.move(seconds=10)

    second = send(body)

    assert (first.status_code, is_replay(first)) == (200, False)
    assert (second.status_code, second.data, is_replay(second)) == (200, first.data, True)
    assert second.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert is_unchanged()


@pytest.mark.postgres
def test_a_replay_is_the_first_reply_even_when_things_have_changed_since(demo):
    send = sender(demo, "PATCH", AVA_PATH)
    first = send({"vibe": "x"})
    demo.patch(AVA_PATH, json={"vibe": "y"})

    assert send({"vibe": "x"}).data == first.data
    assert demo.get(AVA_PATH).json["vibe"] == "y"


@pytest.mark.postgres
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_the_same_key_with_another_body_is_a_conflict(demo, on_disk, method, path, body):
    send = sender(demo, method, path)
    first = send(body)
    is_unchanged = unchanged(on_disk)

    for _ in range(2):  # a conflict is not filed: it is found again
        assert refused(send(OTHERS[method])) == OTHER_BODY
    assert is_unchanged()
    assert send(body).data == first.data


@pytest.mark.parametrize(
    "same",
    [
        b'{"personality":{"humor":"dry","traits":["a","b"]},"vibe":"x"}',
        b' {\n"vibe" : "x" , "personality": {"traits":\t["a", "b"], "humor": "dry"}}\n',
        b'{"vibe": "\\u0078", "personality": {"traits": ["\\u0061", "b"], "humor": "dry"}}',
        b'{"vibe": "y", "vibe": "x", "personality": {"traits": ["a", "b"], "humor": "dry"}}',
    ],
)
def test_bodies_are_compared_as_parsed_json(demo, same):
    send = sender(demo, "PATCH", AVA_PATH)
    first = send(b'{"vibe": "x", "personality": {"traits": ["a", "b"], "humor": "dry"}}')

    second = send(same)

    assert (second.data, is_replay(second)) == (first.data, True)


@pytest.mark.parametrize(
    "other",
    [
        b'{"vibe": "x", "personality": {"traits": ["b", "a"], "humor": "dry"}}',
        b'{"vibe": "x", "personality": {"traits": ["a", "b"]}}',
        b'{"vibe": "X", "personality": {"traits": ["a", "b"], "humor": "dry"}}',
        b'{"vibe": null, "personality": {"traits": ["a", "b"], "humor": "dry"}}',
    ],
)
def test_bodies_that_differ_in_a_value_or_the_order_of_a_list_are_different(demo, other):
    send = sender(demo, "PATCH", AVA_PATH)
    send(b'{"vibe": "x", "personality": {"traits": ["a", "b"], "humor": "dry"}}')

    assert refused(send(other)) == OTHER_BODY


def test_an_empty_body_and_an_empty_object_are_different_bodies(demo):
    send = sender(demo, "DELETE", AVA_PATH)
    send(b"")

    assert refused(send(b"{}")) == OTHER_BODY
    assert is_replay(send(b""))


@pytest.mark.postgres
def test_a_key_counts_for_its_api_key_its_method_and_its_path_only(client, store, organization):
    ours, theirs = DEMO, key_of(store, organization, "*")
    requests = [
        partial(client.patch, AVA_PATH, json={"vibe": "x"}, headers=ours | {"Idempotency-Key": "k"}),
        partial(client.patch, AVA_PATH, json={"vibe": "y"}, headers=ours | {"Idempotency-Key": "K"}),
        partial(client.patch, AVA_PATH, json={"vibe": "y"}, headers=theirs | {"Idempotency-Key": "k"}),
        partial(client.patch, "/v1/influencers/x", json={"vibe": "y"}, headers=ours | {"Idempotency-Key": "k"}),
        partial(client.post, IMAGES_PATH, json={"assetIds": ["asset_x"]}, headers=ours | {"Idempotency-Key": "k"}),
        partial(client.delete, AVA_PATH, headers=ours | {"Idempotency-Key": "k"}),
    ]

    first = [send() for send in requests]
    second = [send() for send in requests]

    assert [reply.status_code for reply in first] == [200, 200, 200, 404, 200, 200]
    assert not any(map(is_replay, first))
    assert all(map(is_replay, second))
    assert [reply.data for reply in second] == [reply.data for reply in first]


@pytest.mark.postgres
def test_a_key_is_forgotten_after_twenty_four_hours(demo, clock):
    send = sender(demo, "PATCH", AVA_PATH)
    first = send({"vibe": "x"})

    clock.move(hours=24, milliseconds=-1)
    assert send({"vibe": "x"}).data == first.data
    assert refused(send({"vibe": "y"})) == OTHER_BODY

    clock.move(milliseconds=1)
    anew = send({"vibe": "y"})
    assert (anew.json["vibe"], is_replay(anew)) == ("y", False)
    assert is_replay(send({"vibe": "y"}))


def test_a_replay_does_not_make_the_window_longer(demo, clock):
    send = sender(demo, "PATCH", AVA_PATH)
    for _ in range(3):
        send({"vibe": "x"})
        clock.move(hours=8)

    assert not is_replay(send({"vibe": "x"}))


@pytest.mark.postgres
def test_forgotten_keys_leave_the_store(demo, store, organization, clock):
    send = sender(demo, "PATCH", AVA_PATH)
    for number in range(10):
        send({"vibe": "x"}, key=f"old {number}")
    clock.move(hours=25)

    for number in range(9):
        send({"vibe": "x"}, key=f"new {number}")

    assert len(store.db.ids("idempotency", organization)) == 9


@pytest.mark.postgres
def test_not_found_is_filed_and_replayed(demo, store, organization):
    send = sender(demo, "PATCH", "/v1/influencers/inf_later")
    first = send({"vibe": "x"})
    store.tables.put("influencers", living(organization, "inf_later"))

    second = send({"vibe": "x"})

    assert refused(first) == NO_INFLUENCER
    assert (second.status_code, second.data, is_replay(second)) == (404, first.data, True)
    assert send({"vibe": "x"}, key="another").status_code == 200


@pytest.mark.postgres
def test_a_refused_request_leaves_its_key_unused(client, store, organization, on_disk):
    unscoped = key_of(store, organization)
    headers = key_of(store, organization, "*")
    public_id = headers["X-Api-Key"].split("_")[2]
    key = store.keys.find(public_id)
    send = sender(client, "PATCH", AVA_PATH, headers=headers)
    is_unchanged = unchanged(on_disk)

    assert refused(sender(client, "PATCH", AVA_PATH)({"vibe": "a"})) == UNAUTHENTICATED
    assert refused(sender(client, "PATCH", AVA_PATH, headers=unscoped)({"vibe": "b"})) == NO_SCOPE
    assert refused(send(b"x" * (2 << 20))) == TOO_LARGE
    assert refused(send({"mood": "x"})) == invalid(mood=["Unrecognized key"])
    assert is_unchanged()
    store.tables.put("api_keys", key | {"killSwitch": True})
    assert refused(send({"vibe": "c"})) == KILLED
    store.tables.put("api_keys", key)

    accepted = send({"vibe": "x"})

    assert (accepted.status_code, is_replay(accepted)) == (200, False)
    assert is_replay(send({"vibe": "x"}))


@pytest.mark.parametrize("key", ["x", "x" * 255, "with spaces: ~!\"#$%&'()*", "0"])
def test_an_idempotency_key_of_up_to_255_printable_characters_works(demo, key):
    send = sender(demo, "PATCH", AVA_PATH)
    send({"vibe": "x"}, key)

    assert is_replay(send({"vibe": "x"}, key))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "String must contain at least 1 character(s)"),
        ("x" * 256, "String must contain at most 255 character(s)"),
        *[(key, "Invalid") for key in ("a\tb", "\x01", "\x7f", "\xa0", "caf\xe9")],
    ],
)
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_any_other_idempotency_key_is_refused_together_with_the_faults_of_the_body(
    demo, on_disk, method, path, body, key, message
):
    send = sender(demo, method, path)
    is_unchanged = unchanged(on_disk)
    in_header = {"Idempotency-Key": [message]}

    assert refused(send(body, key)) == invalid(**in_header)
    assert refused(send(body | {"mood": 1}, key)) == invalid(mood=["Unrecognized key"], **in_header)
    assert refused(send(b"[]", key)) == invalid("Expected object, received array", **in_header)
    assert is_unchanged()


@pytest.mark.postgres
def test_what_was_filed_survives_reopening_the_store(demo, rooms, settings, clock):
    first = sender(demo, "DELETE", AVA_PATH)({"reason": "x"})
    rooms.store.db.close()

    with opened(settings.store or settings.data) as store:
        client = create_app(Services(Store(store.db, clock), rooms.media, settings)).test_client()
        second = sender(client, "DELETE", AVA_PATH, headers=DEMO)({"reason": "x"})

    assert (second.status_code, second.data, is_replay(second)) == (200, first.data, True)


@pytest.mark.postgres
def test_of_many_simultaneous_twins_one_acts_and_the_others_replay(app):
    replies = []
    together = threading.Barrier(8)

    def send_one():
        together.wait()
        replies.append(sender(app.test_client(), "DELETE", AVA_PATH, headers=DEMO)({"reason": "x"}))

    twins = [threading.Thread(target=send_one) for _ in range(8)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()

    assert sorted(map(is_replay, replies)) == [False] + [True] * 7
    assert {(reply.status_code, reply.data) for reply in replies} == {(200, replies[0].data)}


# Headers


def test_every_response_has_a_request_id_and_its_endpoint_class(demo, app, rooms):
    app.add_url_rule("/crash", "crash", lambda: 1 / 0)
    with demo.get(picture_url(rooms)) as shown:
        replies = [
            (shown, 200, "read-light"),
            (demo.get("/v1/whoami"), 200, "read-light"),
            (demo.get(AVA_PATH), 200, "read-light"),
            (demo.head(AVA_PATH), 200, "read-light"),
            (demo.patch(AVA_PATH, json={"vibe": "x"}), 200, "write-light"),
            (demo.post(IMAGES_PATH, json={"assetIds": AVA_PICTURES}), 200, "write-light"),
            (demo.options(AVA_PATH), 204, "write-light"),
            (demo.delete(AVA_PATH), 200, "write-light"),
            (demo.get(AVA_PATH), 404, "read-light"),
            (demo.delete(AVA_PATH), 404, "write-light"),
            (demo.get("/nowhere"), 404, "read-light"),
            (demo.put(AVA_PATH), 405, "write-light"),
            (demo.patch(AVA_PATH, data=b"x" * (2 << 20)), 413, "write-light"),
            (demo.patch(AVA_PATH), 422, "write-light"),
            (demo.get(AVA_PATH, headers={"X-Api-Key": "x"}), 401, "read-light"),
            (demo.get("/crash"), 500, "read-light"),
            (demo.get("/media/x"), 404, "read-light"),
        ]

    assert [reply.status_code for reply, _, _ in replies] == [status for _, status, _ in replies]
    assert [reply.headers["X-RateLimit-Endpoint-Class"] for reply, _, _ in replies] == [kind for *_, kind in replies]
    ids = [reply.headers["X-Request-Id"] for reply, _, _ in replies]
    assert all(map(REQUEST_ID.fullmatch, ids))
    assert len(set(ids)) == len(ids)


def picture_url(rooms):
    (organization,) = rooms.store.organizations.all()
    return rooms.store.for_organization(organization["id"]).assets.get(AVA_PICTURES[0])["path"]


def test_a_request_id_is_a_ulid_of_now(demo):
    request_id = demo.get("/v1/whoami").headers["X-Request-Id"]

    made = ULID.from_str(request_id.removeprefix("req_")).datetime
    assert abs((datetime.now(UTC) - made).total_seconds()) < 3600


def test_a_request_id_the_client_sends_is_not_taken_over(demo):
    response = demo.get("/nowhere", headers={"X-Request-Id": "mine"})

    assert REQUEST_ID.fullmatch(response.headers["X-Request-Id"])
    assert refused(response) == NO_ROUTE


@pytest.mark.parametrize("host", ["a b", "exa mple/..", "a/b", "[", "<x>", "a:b", "a,b", "caf\xe9", ""])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", f"/v1/projects/{SPRING}/influencers", None), ("POST", IMAGES_PATH, {"assetIds": AVA_PICTURES})],
)
def test_who_calls_us_by_what_is_no_host_is_told_urls_on_our_own_address(demo, method, path, body, host):
    def called(name):
        at = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8123", "HTTP_HOST": name}
        return demo.open(path, method=method, json=body, environ_overrides=at)

    proper, odd = called("127.0.0.1:8123"), called(host)

    assert (odd.status_code, odd.json) == (200, proper.json)
    assert '"http://127.0.0.1:8123/media/' in odd.text


PREFLIGHTS = [
    ("/v1/whoami", "GET, HEAD"),
    (AVA_PATH, "DELETE, GET, HEAD, PATCH"),
    (IMAGES_PATH, "POST"),
    ("/v1/influencers/inf_nobody", "DELETE, GET, HEAD, PATCH"),
]


@pytest.mark.parametrize(("path", "methods"), PREFLIGHTS)
@pytest.mark.parametrize("origin", ["https://app.example", "null", "http://localhost:3000"])
def test_a_preflight_is_answered_without_a_key(client, path, methods, origin):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "x-api-key,content-type,x-anything",
    }

    response = client.options(path, headers=headers)

    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == methods
    assert response.headers["Access-Control-Allow-Headers"] == "x-api-key,content-type,x-anything"
    assert response.headers["Vary"] == "Access-Control-Request-Headers"


def test_a_preflight_that_asks_for_no_headers_is_told_those_of_the_api(client):
    allowed = client.options(AVA_PATH).headers["Access-Control-Allow-Headers"]

    assert allowed.split(", ") == ["X-Api-Key", "Authorization", "Content-Type", "Idempotency-Key"]


def test_any_origin_may_read_every_reply_of_the_api(demo, app):
    app.add_url_rule("/v1/crash", "crash", lambda: 1 / 0)
    replies = [
        demo.get("/v1/whoami"),
        demo.get("/v1/nowhere"),
        demo.get("/v1"),
        demo.get("/v1/crash"),
        demo.put(AVA_PATH),
        demo.patch(AVA_PATH),
        demo.patch(AVA_PATH, data=b"x" * (2 << 20)),
        demo.get(AVA_PATH, headers={"X-Api-Key": "x"}),
    ]

    assert [reply.status_code for reply in replies] == [200, 404, 404, 500, 405, 422, 413, 401]
    for reply in replies:
        assert reply.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"X-Request-Id", "X-RateLimit-Endpoint-Class", "Idempotent-Replayed", "Retry-After"} <= set(exposed)
        assert "Access-Control-Allow-Credentials" not in reply.headers


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


@pytest.mark.parametrize("path", ["//v1/whoami", "///v1/whoami"])
def test_what_is_answered_behind_a_slash_too_many_is_logged_and_readable_as_ever(demo, control, path):
    reply = demo.get("/v1/whoami", environ_overrides={"PATH_INFO": path})

    assert reply.json == demo.get("/v1/whoami").json
    assert reply.headers.getlist("Access-Control-Allow-Origin") == ["*"]
    assert [entry["path"] for entry in control.get("/requests")["items"]] == ["/v1/whoami", path]


@pytest.mark.parametrize("path", ["/nowhere", "/media/x", "/v10/whoami", "/"])
def test_no_origin_may_read_what_is_not_the_api(client, path):
    for reply in (client.get(path), client.options(path)):
        assert not [name for name, _ in reply.headers if name.startswith("Access-Control-")]


def test_no_origin_may_read_a_served_file(client, rooms):
    for send in (client.get, client.options):
        with send(picture_url(rooms)) as reply:
            assert not [name for name, _ in reply.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", AVA_PATH, {"GET", "HEAD", "PATCH", "DELETE"}),
        ("POST", AVA_PATH, {"GET", "HEAD", "PATCH", "DELETE"}),
        ("GET", IMAGES_PATH, {"POST"}),
        ("DELETE", "/v1/whoami", {"GET", "HEAD"}),
        ("TRACE", "/v1/whoami", {"GET", "HEAD"}),
        ("POST", f"/media/a/b/{'c' * 21}/original/d", {"GET", "HEAD"}),
    ],
)
def test_a_method_a_route_does_not_have_is_not_allowed(client, method, path, allowed):
    response = client.open(path, method=method)

    assert refused(response) == {"status": 405, "code": "METHOD_NOT_ALLOWED", "message": "Method not allowed."}
    assert set(response.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/v1",
        "/v1/",
        "/v1/nowhere",
        "/v2/whoami",
        "/v1/whoami/",
        "/v1//whoami",
        "/V1/whoami",
        f"{AVA_PATH}/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_is_not_found(demo, method, path):
    assert refused(demo.open(path, method=method)) == NO_ROUTE


@pytest.mark.parametrize("path", ["/v1/whoami", AVA_PATH])
def test_head_is_get_without_the_body(demo, path):
    full, head = demo.get(path), demo.head(path)

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(full.data))


# Crashes, and a store that takes no writes


class CrashingStore(Store):
    def patch_influencer(self, influencer_id, patch):
        super().patch_influencer(influencer_id, patch)
        raise RuntimeError("what only the log may say")


@pytest.mark.postgres
def test_a_crash_is_answered_without_its_trace_logged_and_undone(rooms, settings, clock, on_disk, caplog):
    client = create_app(Services(CrashingStore(rooms.store.db, clock), rooms.media, settings)).test_client()
    before, is_unchanged = client.get(AVA_PATH, headers=DEMO).json, unchanged(on_disk)

    for headers in (DEMO, DEMO | {"Idempotency-Key": "once"}, DEMO | {"Idempotency-Key": "once"}):
        caplog.clear()
        response = client.patch(AVA_PATH, json={"vibe": "x"}, headers=headers)

        assert refused(response) == CRASHED
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert response.headers["X-Request-Id"] in record.getMessage()
        assert "what only the log may say" in caplog.text
    assert is_unchanged()
    assert client.get(AVA_PATH, headers=DEMO).json == before


@pytest.mark.postgres
def test_a_key_whose_request_crashed_can_be_used_again(rooms, settings, clock):
    crashing = create_app(Services(CrashingStore(rooms.store.db, clock), rooms.media, settings)).test_client()
    sound = create_app(Services(Store(rooms.store.db, clock), rooms.media, settings)).test_client()

    assert refused(sender(crashing, "PATCH", AVA_PATH, headers=DEMO)({"vibe": "x"})) == CRASHED
    accepted = sender(sound, "PATCH", AVA_PATH, headers=DEMO)({"vibe": "y"})

    assert (accepted.status_code, is_replay(accepted)) == (200, False)


class Valve(apsw.VFS):
    """The file system of a store, which lets writes and syncs through until it is shut."""

    def __init__(self, name, error):
        load_checksums()
        super().__init__(name, CHECKSUM_VFS)
        self.name, self.is_shut, self._error = name, False, error

    def xOpen(self, name, flags):  # noqa: N802
        return ValveFile(self, name, flags)

    def pass_through(self):
        if self.is_shut:
            raise self._error


class ValveFile(apsw.VFSFile):
    def __init__(self, valve, name, flags):
        super().__init__(CHECKSUM_VFS, name, flags)
        self._valve = valve

    def xWrite(self, data, offset):  # noqa: N802
        self._valve.pass_through()
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        self._valve.pass_through()
        super().xSync(flags)


@pytest.fixture(params=[apsw.FullError("no space left"), apsw.IOError("input/output error")], ids=["full", "broken"])
def valve(request):
    """A valve with a name of its own: SQLite knows it as long as it is there."""
    valve = Valve(f"valve-{uuid4()}", request.param)
    yield valve
    valve.unregister()


@pytest.fixture
def behind_valve(rooms, settings, valve, clock):
    """A client of the store of `rooms`, whose file lies behind the valve."""
    rooms.store.db.close()
    db = SQLite(settings.data, indexes=INDEXES, vfs=valve.name)
    yield create_app(Services(Store(db, clock), rooms.media, settings)).test_client()
    db.close()


@only_sqlite
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_store_that_takes_no_writes_says_so_shows_the_old_state_and_takes_them_again(
    behind_valve, valve, caplog, method, path, body
):
    client = behind_valve
    before = client.get(AVA_PATH, headers=DEMO).data
    valve.is_shut = True

    for key in ("once", "once", "twice"):
        response = sender(client, method, path, headers=DEMO)(body, key)
        assert refused(response) == UNAVAILABLE
        assert response.headers["X-Request-Id"] in caplog.text
    assert client.get(AVA_PATH, headers=DEMO).data == before

    valve.is_shut = False
    assert client.get(AVA_PATH, headers=DEMO).data == before
    accepted = sender(client, method, path, headers=DEMO)(body)
    assert (accepted.status_code, is_replay(accepted)) == (200, False)
    assert is_replay(sender(client, method, path, headers=DEMO)(body))


@only_sqlite
def test_health_is_unavailable_exactly_as_long_as_the_store_takes_no_writes(behind_valve, valve):
    before = behind_valve.get("/_standin/health").json
    valve.is_shut = True
    for _ in range(2):
        assert refused(behind_valve.get("/_standin/health")) == UNAVAILABLE
        assert behind_valve.get("/v1/whoami", headers=DEMO).status_code == 200
    valve.is_shut = False
    assert before["status"] == "ready"
    assert behind_valve.get("/_standin/health").json == before


@only_sqlite
@pytest.mark.parametrize("lost", ["file", "folder"])
def test_while_the_file_of_the_store_is_gone_nothing_is_served_and_nothing_crashes(demo, rooms, on_disk, caplog, lost):
    picture, before, is_unchanged = picture_url(rooms), demo.get(AVA_PATH).data, unchanged(on_disk)
    place = rooms.store.db.path if lost == "file" else rooms.settings.data
    elsewhere = place.rename(place.with_name("elsewhere"))

    for method, path, body in [*ROUTES, ("GET", picture, None), ("PUT", "/v1/uploads/x", None)]:
        for headers in ({}, {"Idempotency-Key": "once"}):
            response = demo.open(path, method=method, json=body, headers=headers)
            assert refused(response) == UNAVAILABLE
            assert response.headers["X-Request-Id"] in caplog.text

    elsewhere.rename(place)
    assert is_unchanged()
    assert demo.get(AVA_PATH).data == before
    assert demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "once"}).json["vibe"] == "x"


# The access log

A_LINE = Line(datetime(2026, 4, 18, 9, 18, 44, 120_000, UTC), "req_01", "DEM0DEM0DEM0DEM0", "PATCH", "/v1/x", 200, 1.26)


def test_a_plain_line_says_who_did_what_and_how_it_went():
    assert plain(A_LINE).rstrip("\n") == "2026-04-18T09:18:44.120+00:00 req_01 DEM0DEM0DEM0DEM0 PATCH /v1/x 200 1.3ms"
    assert plain(A_LINE._replace(key_id=None)).split()[2] == "-"


def test_a_json_line_says_the_same():
    assert json.loads(as_json(A_LINE)) == {
        "time": "2026-04-18T09:18:44.120000+00:00",
        "request_id": "req_01",
        "key_id": "DEM0DEM0DEM0DEM0",
        "method": "PATCH",
        "path": "/v1/x",
        "status": 200,
        "milliseconds": 1.3,
    }


@pytest.mark.parametrize("render", [plain, as_json])
@pytest.mark.parametrize("path", ["/a\nb", "/a\r\nb", "/a\x0bb", "/a\x1bb", "/a\x85b", "/a\u2028b", "/a b", "/\x00"])
def test_a_line_break_in_a_path_does_not_make_a_second_line(render, path):
    text = render(A_LINE._replace(path=path)).rstrip("\n")

    assert "\n" not in text
    if render is plain:
        assert text.splitlines() == [text]
        assert text.isprintable()
        assert len(text.split(" ")) == 7
    else:
        assert json.loads(text)["path"] == path


PLAIN_LINE = re.compile(
    r"(?P<time>\S+) (?P<id>req_\S+) (?P<key>\S+) (?P<method>\S+) (?P<path>\S+) (?P<status>\d+) [\d.]+ms"
)


@pytest.mark.parametrize("style", ["plain", "json"])
def test_each_request_is_one_line_without_secret_body_or_query(capsys, rooms, tmp_path, style):
    app = create_app(Services(rooms.store, rooms.media, Settings(data=tmp_path, log=style)))
    app.add_url_rule("/v1/crash", "crash", lambda: 1 / 0)
    client = app.test_client()
    capsys.readouterr()
    replies = [
        client.patch(f"{AVA_PATH}?page=hidden-query", json={"vibe": "hidden-body"}, headers=DEMO),
        client.get(AVA_PATH, headers={"Authorization": f"Bearer {DEMO_KEY}"}),
        client.get(AVA_PATH, headers={"X-Api-Key": WRONG_KEYS["wrong secret"]}),
        client.delete("/v1/influencers/a%0Ab%20c", json={"reason": "hidden-body"}, headers=DEMO),
        client.get("/v1/crash", headers=DEMO),
        client.options(AVA_PATH),
    ]

    written = capsys.readouterr().out
    lines = written.splitlines()
    if style == "plain":
        found = [PLAIN_LINE.fullmatch(line).groups()[1:] for line in lines]
        path = "/v1/influencers/a%0Ab%20c"
    else:
        names = ("request_id", "key_id", "method", "path", "status")
        found = [tuple(str(json.loads(line)[name] or "-") for name in names) for line in lines]
        path = "/v1/influencers/a\nb c"
    ids = [reply.headers["X-Request-Id"] for reply in replies]
    assert found == [
        (ids[0], "DEM0DEM0DEM0DEM0", "PATCH", AVA_PATH, "200"),
        (ids[1], "DEM0DEM0DEM0DEM0", "GET", AVA_PATH, "200"),
        (ids[2], "-", "GET", AVA_PATH, "401"),
        (ids[3], "DEM0DEM0DEM0DEM0", "DELETE", path, "404"),
        (ids[4], "-", "GET", "/v1/crash", "500"),
        (ids[5], "-", "OPTIONS", AVA_PATH, "204"),
    ]
    assert not [hidden for hidden in (DEMO_SECRET[:-1], "hidden-body", "hidden-query") if hidden in written]


def test_a_path_that_is_not_ascii_is_logged_as_it_was_sent(capsys, client):
    client.get("/v1/caf%C3%A9")

    assert " GET /v1/caf%C3%A9 404 " in capsys.readouterr().out


# House rules


def all_subclasses(kind):
    return [sub for direct in kind.__subclasses__() for sub in (direct, *all_subclasses(direct))]


@pytest.mark.parametrize("error", all_subclasses(StoreError) + all_subclasses(Refusal))
def test_every_error_has_a_status_and_it_is_that_of_its_code(error):
    assert STATUS[error] == STATUS_OF_CODE[error.code]


@pytest.mark.parametrize("error", [EngineError, *all_subclasses(EngineError)])
def test_every_error_of_the_engine_is_a_503(error, tmp_path):
    made = error.__new__(error)

    status, body = refusal(made, "req_01")

    message = UNCONFIRMED["message"] if issubclass(error, Unconfirmed) else UNAVAILABLE["message"]
    assert status == 503
    assert json.loads(body) == {"error": {"code": "UNAVAILABLE", "message": message, "requestId": "req_01"}}


def test_the_codes_and_statuses_are_those_of_the_contract():
    assert STATUS_OF_CODE == {
        "UNAUTHENTICATED": 401,
        "FORBIDDEN_SCOPE": 403,
        "FORBIDDEN": 403,
        "NOT_FOUND": 404,
        "METHOD_NOT_ALLOWED": 405,
        "CONFLICT": 409,
        "IDEMPOTENCY_CONFLICT": 409,
        "PAYLOAD_TOO_LARGE": 413,
        "RANGE_NOT_SATISFIABLE": 416,
        "VALIDATION": 422,
        "RATE_LIMITED": 429,
        "INTERNAL": 500,
        "KILL_SWITCH": 503,
        "UNAVAILABLE": 503,
    }


@pytest.mark.postgres
def test_a_key_of_another_organization_sees_its_own(client, store):
    other = new_organization(store)
    store.tables.put("influencers", living(other, AVA, name="Another Ava"))

    assert client.get(AVA_PATH, headers=key_of(store, other, "influencers:write")).json["name"] == "Another Ava"
    assert client.get(AVA_PATH, headers=DEMO).json["name"] == "Ava Chen"
