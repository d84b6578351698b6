"""Replies under an `Idempotency-Key`: filed with their effect, replayed to the letter, forgotten after a day."""

import threading
from functools import partial

import pytest
from api_helpers import (
    AVA_PICTURES,
    KILLED,
    MEDIA,
    NO_INFLUENCER,
    NO_SCOPE,
    OTHER_BODY,
    SPRING,
    TOO_LARGE,
    UNAUTHENTICATED,
    invalid,
    key_of,
    living,
    refused,
    unchanged,
)
from conftest import AVA_PATH, DEMO
from request_helpers import CHANGES, IMAGES_PATH, is_replay, sender
from servers import opened

from app import create_app
from layers_standin.services import Services
from store import Store

OTHERS = {"PATCH": {"vibe": "y"}, "DELETE": {"reason": "y"}, "POST": {"assetIds": AVA_PICTURES}}


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


NUMBERS = {
    "1": ["1.0", "1e0", "10e-1", "0.1e1", "1.000"],
    "100": ["1e2", "1E+2", "100.0"],
    "0": ["-0", "0.0", "-0.0", "0e9"],
    "-7": ["-7.0", "-70e-1"],
    "1.5": ["15e-1", "1.50"],
    "9007199254740992": ["9007199254740992.0", "9007199254740992e0"],
    "18446744073709549568": ["18446744073709549568.0"],
    "1e300": ["1.0e300"],
    '[{"a": [1, 2.5]}]': ['[{"a": [1.0, 2.50]}]'],
    '{"a": 1, "b": 2.0}': ['{"b": 2, "a": 1e0}'],
}
OTHER_NUMBERS = [
    ("1", "true"),
    ("0", "false"),
    ("0", "null"),
    ("1", '"1"'),
    ("1", "1.0000000000000002"),
    ("1", "[1]"),
    ("9007199254740992", "9007199254740993"),  # as floats they were the same
    ("9007199254740992.0", "9007199254740993"),
    ("18446744073709551615", "18446744073709549568.0"),
    ("9223372036854775807", "9223372036854775808.0"),
]


@pytest.fixture
def send_number(demo):
    """Return the function that sends a JSON value under the key `once`; metadata takes any."""
    send = sender(demo, "PATCH", f"/v1/projects/{SPRING}")
    return lambda value: send(f'{{"metadata": {{"x": {value}}}}}'.encode())


@pytest.mark.parametrize(("first", "same"), [(first, same) for first, all_same in NUMBERS.items() for same in all_same])
def test_numbers_are_compared_by_value(send_number, first, same):
    stored = send_number(first)

    assert stored.status_code == 200
    for again in (same, first):
        response = send_number(again)
        assert (response.status_code, response.data, is_replay(response)) == (200, stored.data, True)


@pytest.mark.parametrize(("first", "other"), [*OTHER_NUMBERS, *((other, first) for first, other in OTHER_NUMBERS)])
def test_values_that_only_look_alike_are_different(send_number, first, other):
    assert send_number(first).status_code == 200

    assert refused(send_number(other)) == OTHER_BODY


def test_a_declared_size_may_be_written_as_any_number(demo):
    send = sender(demo, "POST", f"{MEDIA}/presign")
    first = send(b'{"kind": "image", "mimeType": "image/png", "sizeBytes": 100}')

    assert send(b'{"kind": "image", "mimeType": "image/png", "sizeBytes": 1e2}').data == first.data


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
