"""The size of a refusal: bounded, whatever was sent, and so is what is looked at to find its errors."""

import json

import pytest
from api_helpers import SPRING, refused
from conftest import AVA_PATH
from marshmallow import Schema, ValidationError
from request_helpers import IMAGES_PATH

from layers_standin.fields import MAX_ERRORS, Array, Text
from schemas import MAX_NAME, MORE_ERRORS, InfluencerClone, InfluencerPatch, details

CLONE, INFLUENCERS, PROJECT = f"{AVA_PATH}/clone", f"/v1/projects/{SPRING}/influencers", f"/v1/projects/{SPRING}"
FAULTS, ORGANIZATIONS = "/_standin/faults", "/_standin/organizations"


def array(item, size=1_000_000):
    """Return a JSON array of about that size."""
    return "[" + ",".join([item] * (size // (len(item) + 1))) + "]"


def unknown(count=80_000):
    """Return a JSON object with so many unknown keys."""
    return json.dumps({f"{number:x}": 0 for number in range(count)})


LONG_NAME = json.dumps({"k" * 1_000_000: 1})
HOSTILE = {
    "wrong traits": ("PATCH", AVA_PATH, f'{{"personality": {{"traits": {array("1")}}}}}'),
    "wrong asset ids": ("POST", IMAGES_PATH, f'{{"assetIds": {array("1")}}}'),
    "malformed asset ids": ("POST", IMAGES_PATH, f'{{"assetIds": {array(chr(34) * 2)}}}'),
    "wrong nested asset ids": ("POST", INFLUENCERS, f'{{"referenceImages": {{"assetIds": {array("1")}}}}}'),
    "wrong scopes": ("POST", ORGANIZATIONS, f'{{"scopes": {array("1")}}}'),
    "unknown keys of a change": ("PATCH", AVA_PATH, unknown()),
    "unknown keys of a deletion": ("DELETE", AVA_PATH, unknown()),
    "unknown keys of an empty body": ("DELETE", PROJECT, unknown()),
    "unknown keys of a command": ("POST", FAULTS, unknown()),
    "unknown keys of a match": ("POST", FAULTS, f'{{"answer": {{"delayMs": 0}}, "match": {unknown()}}}'),
    "unknown nested keys": ("PATCH", AVA_PATH, f'{{"personality": {unknown()}}}'),
    "unknown keys twice nested": ("POST", CLONE, f'{{"name": "x", "overrides": {{"personality": {unknown()}}}}}'),
    "a long key": ("PATCH", AVA_PATH, LONG_NAME),
    "a long nested key": ("PATCH", AVA_PATH, f'{{"personality": {LONG_NAME}}}'),
    "long keys": ("PATCH", AVA_PATH, json.dumps({f"{number:0500}": 1 for number in range(2_000)})),
    "escaped keys": ("PATCH", AVA_PATH, json.dumps({f"{number:0100}" + "\0" * 100: 1 for number in range(1_000)})),
    "a long string": ("PATCH", AVA_PATH, json.dumps({"vibe": "x" * 1_000_000, "gender": "x" * 1_000})),
    "large metadata": ("PATCH", PROJECT, f'{{"metadata": {unknown()}}}'),
    "unknown parameters": ("GET", "/_standin/requests?" + "&".join(f"{number:x}" for number in range(2_000)), ""),
    "a long path": ("GET", "/v1/" + "x" * 8_000, ""),
}


@pytest.mark.parametrize(("method", "path", "body"), HOSTILE.values(), ids=HOSTILE)
def test_a_refusal_is_small_whatever_was_sent(demo, method, path, body):
    response = demo.open(path, method=method, data=body)

    assert refused(response)["code"] in ("VALIDATION", "NOT_FOUND")
    assert len(response.data) < 32_768


@pytest.mark.parametrize("value", ["\xe9" * 8_000, "code=" + "\xe9" * 8_000, "delay=" + "x" * 8_000])
def test_a_header_that_is_refused_is_not_repeated_whole(demo, value):
    assert len(demo.patch(AVA_PATH, json={}, headers={"Prefer": value}).data) < 2_000


def messages_of(schema: Schema, body: object) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the errors by their field, and those of the body as a whole."""
    with pytest.raises(ValidationError) as caught:
        schema.load_given(body)
    found = details(caught.value)
    by_field = [(name, message) for name, messages in found["fieldErrors"].items() for message in messages]
    return by_field, found.get("formErrors", [])


@pytest.mark.parametrize("count", [1, MAX_ERRORS - 1, MAX_ERRORS, MAX_ERRORS + 1, 5 * MAX_ERRORS])
@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (InfluencerPatch(), lambda count: {"personality": {"traits": [1] * count}}),
        (InfluencerPatch(), lambda count: {f"{number}": 1 for number in range(count)}),
        (InfluencerPatch(), lambda count: {"personality": {f"{number}": 1 for number in range(count)}}),
        (InfluencerClone(), lambda count: {"name": "x", "overrides": {f"{number}": 1 for number in range(count)}}),
    ],
)
def test_a_hundred_errors_are_listed_and_of_more_that_there_are_more(schema, body, count):
    by_field, form = messages_of(schema, body(count))

    assert len(by_field) == min(count, MAX_ERRORS)
    assert form == ([] if count <= MAX_ERRORS else [MORE_ERRORS])


@pytest.mark.parametrize("wrap", [lambda keys: keys, lambda keys: {"personality": keys}], ids=["top", "nested"])
def test_of_many_unknown_keys_a_few_are_looked_at(wrap):
    with pytest.raises(ValidationError) as caught:
        InfluencerPatch().load_given(wrap({f"{number}": 1 for number in range(10_000)}))

    messages = caught.value.messages
    assert len(messages.get("personality", messages)) == MAX_ERRORS + 1


def test_the_errors_of_known_fields_are_listed_before_those_of_unknown_ones():
    unknown_keys = {f"{number}": 1 for number in range(MAX_ERRORS * 2)}

    by_field, form = messages_of(InfluencerPatch(), unknown_keys | {"gender": "x", "personality": {"tone": 1}})

    assert by_field[:2] == [
        ("gender", "Invalid enum value"),
        ("personality", "tone: Expected string, received number"),
    ]
    assert (len(by_field), form) == (MAX_ERRORS, [MORE_ERRORS])


@pytest.mark.parametrize(("length", "shown"), [(MAX_NAME, "k" * MAX_NAME), (MAX_NAME + 1, "k" * MAX_NAME + "…")])
def test_only_a_name_longer_than_any_known_one_is_cut(length, shown):
    assert messages_of(InfluencerPatch(), {"k" * length: 1}) == ([(shown, "Unrecognized key")], [])
    nested = {"personality": {"k" * length: 1}}
    assert messages_of(InfluencerPatch(), nested) == ([("personality", f"{shown}: Unrecognized key")], [])


class Counting(Text):
    """A field that counts how many values it has looked at."""

    seen = 0

    def _deserialize(self, value, attr, data, **kwargs):
        self.seen += 1
        return super()._deserialize(value, attr, data, **kwargs)


@pytest.mark.parametrize("item", ["right", 1])
def test_a_list_is_looked_at_little_further_than_it_may_be_long(item):
    inner = Counting()

    with pytest.raises(ValidationError):
        Array(inner, max=20).deserialize([item] * 100_000)

    assert inner.seen <= 20 + MAX_ERRORS


def test_a_list_without_a_limit_is_looked_at_until_there_are_enough_errors():
    inner = Counting()

    with pytest.raises(ValidationError):
        Array(inner).deserialize([1] * 100_000)

    assert inner.seen == MAX_ERRORS + 1
