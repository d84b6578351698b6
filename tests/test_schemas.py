"""What a client may send: every rule of the contract's tables, in the validator's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from schemas import IdempotencyHeader, InfluencerDeletion, InfluencerPatch, PersonalityPatch, ReferenceImages, details

UUID = "8d0f2c7a-91b4-4e55-b1d6-0a7c3e5f9b21"
EMOJI = "\N{GRINNING FACE}"  # one code point, two UTF-16 units, four bytes

# The contract's table: (least, most) code points, and which fields a null clears.
LIMITS = {
    "name": (1, 128),
    "ageRange": (0, 16),
    "ethnicity": (0, 128),
    "bodyType": (0, 128),
    "hairColor": (0, 64),
    "hairStyle": (0, 128),
    "style": (0, 256),
    "vibe": (0, 256),
    "voiceDescription": (0, 1024),
}
NULLABLE = set(LIMITS) - {"name"} | {"gender"}
LISTS = ("traits", "values", "interests", "catchphrases")
WORDS = ("tone", "humor", "formality", "speakingStyle")
TYPES = dict.fromkeys([*LIMITS, "gender"], "string") | {"personality": "object"}
PERSONALITY_TYPES = dict.fromkeys(LISTS, "array") | dict.fromkeys(WORDS, "string")

OF_TYPE = [
    ("string", "x"),
    ("number", 1),
    ("number", 1.5),
    ("boolean", True),
    ("boolean", False),
    ("array", ["x"]),
    ("object", {"x": 1}),
    ("null", None),
]


def faults(schema: Schema, body: object) -> dict[str, object]:
    """Return the contract's details of a body that is refused."""
    with pytest.raises(ValidationError) as caught:
        schema.load(body)
    return details(caught.value)


def of_field(**field_errors: list[str]) -> dict[str, object]:
    return {"fieldErrors": field_errors}


def of_body(*form_errors: str) -> dict[str, object]:
    return {"fieldErrors": {}, "formErrors": list(form_errors)}


def wrong_types(types: dict[str, str], nullable: set[str]) -> list[tuple[str, object, str]]:
    """Return (field, value of another type, message) for every field and every type that is not its own."""
    return [
        (field, value, f"Expected {own}, received {received}")
        for field, own in types.items()
        for received, value in OF_TYPE
        if received != own and not (received == "null" and field in nullable)
    ]


def test_the_tables_here_name_every_field_a_patch_has():
    assert set(InfluencerPatch().fields) == set(TYPES)
    assert set(PersonalityPatch().fields) == set(PERSONALITY_TYPES)
    assert set(InfluencerDeletion().fields) == {"reason"}
    assert set(ReferenceImages().fields) == {"assetIds"}


@pytest.mark.parametrize(("field", "most"), [(field, most) for field, (_, most) in LIMITS.items()])
def test_a_string_is_accepted_up_to_its_limit_in_code_points(field, most):
    at_limit = {field: EMOJI * most}

    assert InfluencerPatch().load(at_limit) == at_limit
    assert faults(InfluencerPatch(), {field: EMOJI * (most + 1)}) == of_field(
        **{field: [f"String must contain at most {most} character(s)"]}
    )


@pytest.mark.parametrize(("field", "least"), [(field, least) for field, (least, _) in LIMITS.items()])
def test_only_the_name_may_not_be_empty(field, least):
    if least == 0:
        assert InfluencerPatch().load({field: ""}) == {field: ""}
    else:
        assert faults(InfluencerPatch(), {field: ""}) == of_field(
            **{field: ["String must contain at least 1 character(s)"]}
        )


def test_a_name_of_one_code_point_is_enough():
    assert InfluencerPatch().load({"name": EMOJI}) == {"name": EMOJI}


@pytest.mark.parametrize("field", sorted(NULLABLE))
def test_null_clears_a_field(field):
    assert InfluencerPatch().load({field: None}) == {field: None}


@pytest.mark.parametrize("key", sorted(PERSONALITY_TYPES))
def test_null_removes_a_personality_key(key):
    assert InfluencerPatch().load({"personality": {key: None}}) == {"personality": {key: None}}


@pytest.mark.parametrize("gender", ["male", "female", "nonbinary", "unspecified"])
def test_each_gender_is_accepted(gender):
    assert InfluencerPatch().load({"gender": gender}) == {"gender": gender}


@pytest.mark.parametrize("gender", ["", "Female", "female ", "other", "males"])
def test_any_other_gender_is_no_enum_value(gender):
    assert faults(InfluencerPatch(), {"gender": gender}) == of_field(gender=["Invalid enum value"])


@pytest.mark.parametrize(("field", "value", "message"), wrong_types(TYPES, NULLABLE))
def test_a_field_of_the_wrong_type_is_refused(field, value, message):
    assert faults(InfluencerPatch(), {field: value}) == of_field(**{field: [message]})


@pytest.mark.parametrize(("key", "value", "message"), wrong_types(PERSONALITY_TYPES, set(PERSONALITY_TYPES)))
def test_a_personality_key_of_the_wrong_type_is_refused_with_its_path(key, value, message):
    assert faults(InfluencerPatch(), {"personality": {key: value}}) == of_field(personality=[f"{key}: {message}"])


@pytest.mark.parametrize("key", sorted(LISTS))
@pytest.mark.parametrize(("received", "value"), OF_TYPE[1:])
def test_an_item_of_the_wrong_type_is_refused_with_its_index(key, received, value):
    assert faults(InfluencerPatch(), {"personality": {key: ["fine", value]}}) == of_field(
        personality=[f"{key}.1: Expected string, received {received}"]
    )


@pytest.mark.parametrize("key", sorted(LISTS))
def test_a_personality_list_may_be_empty_long_and_of_long_strings(key):
    for items in ([], ["x"] * 500, ["", "x" * 10_000, EMOJI]):
        assert InfluencerPatch().load({"personality": {key: items}}) == {"personality": {key: items}}


@pytest.mark.parametrize("key", sorted(WORDS))
def test_a_personality_string_has_no_limit(key):
    assert InfluencerPatch().load({"personality": {key: "x" * 10_000}}) == {"personality": {key: "x" * 10_000}}


def test_an_empty_personality_counts_as_a_field():
    assert InfluencerPatch().load({"personality": {}}) == {"personality": {}}


# What looks like a field but is not one of PATCH, and names that could confuse whoever reports them.
UNKNOWN = [
    "nmae", "Name", "NAME", "influencerId", "projectId", "organizationId", "referenceImages", "status", "createdAt",
    "updatedAt", "is_archived", "attributes", "", " ", "0", "a.b", ".a", "__proto__", EMOJI, "\0",
]  # fmt: skip


@pytest.mark.parametrize("field", UNKNOWN)
@pytest.mark.parametrize("schema", [InfluencerPatch(), InfluencerDeletion()])
def test_an_unknown_field_is_refused_under_its_own_name(schema, field):
    assert faults(schema, {field: "x"}) == of_field(**{field: ["Unrecognized key"]})


@pytest.mark.parametrize("key", UNKNOWN)
def test_an_unknown_personality_key_is_refused_with_its_path(key):
    assert faults(InfluencerPatch(), {"personality": {key: "x"}}) == of_field(personality=[f"{key}: Unrecognized key"])


def test_all_faults_are_reported_at_once():
    body = {
        "name": "",
        "gender": "x",
        "ageRange": 3,
        "hairColor": "x" * 65,
        "personality": {"traits": [1, "fine", None], "tone": [], "mood": "x"},
        "status": "ready",
    }

    found = faults(InfluencerPatch(), body)

    assert sorted(found["fieldErrors"].pop("personality")) == [
        "mood: Unrecognized key",
        "tone: Expected string, received array",
        "traits.0: Expected string, received number",
        "traits.2: Expected string, received null",
    ]
    assert found == of_field(
        name=["String must contain at least 1 character(s)"],
        gender=["Invalid enum value"],
        ageRange=["Expected string, received number"],
        hairColor=["String must contain at most 64 character(s)"],
        status=["Unrecognized key"],
    )


@pytest.mark.parametrize("schema", [InfluencerPatch(), InfluencerDeletion(), ReferenceImages()])
@pytest.mark.parametrize(("received", "body"), [case for case in OF_TYPE if case[0] != "object"])
def test_a_body_that_is_no_object_is_refused(schema, received, body):
    assert faults(schema, body) == of_body(f"Expected object, received {received}")


def test_an_empty_patch_is_refused():
    assert faults(InfluencerPatch(), {}) == of_body("At least one field is required")


def test_a_patch_of_nothing_but_faults_is_not_called_empty():
    assert faults(InfluencerPatch(), {"nmae": 1}) == of_field(nmae=["Unrecognized key"])


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x"}, {"reason": EMOJI * 1024}])
def test_a_deletion_may_say_why(body):
    assert InfluencerDeletion().load(body) == body


@pytest.mark.parametrize(
    ("reason", "message"),
    [("x" * 1025, "String must contain at most 1024 character(s)")]
    + [(value, f"Expected string, received {received}") for received, value in OF_TYPE[1:]],
)
def test_a_reason_that_is_too_long_or_no_string_is_refused(reason, message):
    assert faults(InfluencerDeletion(), {"reason": reason}) == of_field(reason=[message])


@pytest.mark.parametrize(
    "asset_id",
    [UUID, UUID.upper(), "00000000-0000-0000-0000-000000000000", "asset_x", "med_-", "asset_" + "Zz9-" * 16],
)
def test_a_well_formed_asset_id_is_accepted_as_sent(asset_id):
    assert ReferenceImages().load({"assetIds": [asset_id]}) == {"assetIds": [asset_id]}


@pytest.mark.parametrize(
    "asset_id",
    [
        "", "x", "asset_", "med_", "asset_" + "x" * 65, "med_" + "x" * 65, "asset_a_b", "asset_a b", "ASSET_x",
        "asset-x", "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG", "asset_x\n", "asset_\u0663", UUID + "\n", " " + UUID,
        f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID.replace("-", ""), UUID[:-1], UUID + "0", UUID.replace("8", "g"),
        UUID.replace("8", "\u0668"), "../asset_x",
    ],
)  # fmt: skip
def test_any_other_asset_id_is_no_uuid(asset_id):
    assert faults(ReferenceImages(), {"assetIds": [UUID, asset_id]}) == of_field(assetIds=["1: Invalid uuid"])


@pytest.mark.parametrize("size", [1, 20])
def test_one_to_twenty_asset_ids_are_accepted(size):
    body = {"assetIds": [f"asset_{number}" for number in range(size)]}

    assert ReferenceImages().load(body) == body


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({}, ["Required"]),
        ({"assetIds": []}, ["Array must contain at least 1 element(s)"]),
        ({"assetIds": ["asset_x"] * 21}, ["Array must contain at most 20 element(s)"]),
        ({"assetIds": None}, ["Expected array, received null"]),
        ({"assetIds": "asset_x"}, ["Expected array, received string"]),
        ({"assetIds": {"0": "asset_x"}}, ["Expected array, received object"]),
        ({"assetIds": [1, None, [], {}, True, "x"]}, [
            "0: Expected string, received number",
            "1: Expected string, received null",
            "2: Expected string, received array",
            "3: Expected string, received object",
            "4: Expected string, received boolean",
            "5: Invalid uuid",
        ]),
        ({"assetIds": ["asset_x"] * 20 + ["x"]}, ["Array must contain at most 20 element(s)", "20: Invalid uuid"]),
    ],
)  # fmt: skip
def test_a_faulty_list_of_asset_ids_is_refused(body, messages):
    assert faults(ReferenceImages(), body) == of_field(assetIds=messages)


def test_asset_ids_are_the_only_field_of_reference_images():
    assert faults(ReferenceImages(), {"urls": [], "x": 1}) == of_field(
        assetIds=["Required"], urls=["Unrecognized key"], x=["Unrecognized key"]
    )


@pytest.mark.parametrize("key", ["x", "x" * 255, " ", "~", "a key with spaces: !\"#$%&'()*"])
def test_an_idempotency_key_is_up_to_255_printable_characters(key):
    assert IdempotencyHeader().load({"Idempotency-Key": key}) == {"key": key}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "String must contain at least 1 character(s)"),
        ("x" * 256, "String must contain at most 255 character(s)"),
        *[(key, "Invalid") for key in ("a\tb", "a\nb", "a\n", "\0", "\x1f", "\x7f", "\x80", "\xe9", EMOJI)],
    ],
)
def test_any_other_idempotency_key_is_refused(key, message):
    assert faults(IdempotencyHeader(), {"Idempotency-Key": key}) == of_field(**{"Idempotency-Key": [message]})


def test_the_faults_of_several_errors_are_put_together():
    errors = []
    for body in ({"name": ""}, {"gender": "x"}, [], {}):
        with pytest.raises(ValidationError) as caught:
            InfluencerPatch().load(body)
        errors.append(caught.value)

    assert details(*errors) == {
        "fieldErrors": {
            "name": ["String must contain at least 1 character(s)"],
            "gender": ["Invalid enum value"],
        },
        "formErrors": ["Expected object, received array", "At least one field is required"],
    }


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
json_values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
bodies = st.dictionaries(
    st.sampled_from([*TYPES, "reason", "assetIds"]) | st.text(),
    json_values | st.sampled_from(["male", UUID]),
    max_size=6,
)
personalities = st.dictionaries(st.sampled_from(list(PERSONALITY_TYPES)) | st.text(), json_values, max_size=4)


@given(
    st.sampled_from([InfluencerPatch(), InfluencerDeletion(), ReferenceImages()]),
    json_values | bodies | personalities.map(lambda value: {"personality": value}),
)
def test_whatever_is_sent_is_either_kept_as_it_is_or_refused_with_messages(schema, body):
    try:
        assert schema.load(body) == body
    except ValidationError as error:
        found = details(error)
        messages = [message for field in found["fieldErrors"].values() for message in field]
        messages += found.get("formErrors", [])
        assert messages
        assert all(isinstance(message, str) for message in messages)
        assert found.get("formErrors") != []
