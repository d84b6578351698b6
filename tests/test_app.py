"""The influencer operations, as a client sees them: the three reference pages, then every rule behind them."""

import json
import re
from io import BytesIO
from urllib.parse import urlsplit

import orjson
import pytest
from api_helpers import (
    AVA_PICTURES,
    NO_INFLUENCER,
    SOL,
    SPRING,
    SUMMER,
    SUMMER_PICTURE,
    invalid,
    key_of,
    living,
    new_organization,
    picture,
    refused,
    unchanged,
)
from conftest import AVA, AVA_PATH, DEMO
from flask import Flask
from PIL import Image

from app import create_app, operations
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.operations import Operation
from store import INFLUENCER_FIELDS

pytestmark = pytest.mark.postgres

SOL_PATH = f"/v1/influencers/{SOL}"
UUID = "3f0b4c39-9c55-4f3a-8f0f-7d116f1c2f5e"
ON_ONE = [
    ("GET", "", None),
    ("PATCH", "", {"vibe": "x"}),
    ("DELETE", "", None),
    ("POST", "/reference-images", {"assetIds": ["asset_x"]}),
]

AVA_RECORD = {
    "influencerId": AVA,
    "projectId": SPRING,
    "name": "Ava Chen",
    "gender": "female",
    "ageRange": "25-34",
    "ethnicity": "East Asian",
    "bodyType": "athletic",
    "hairColor": "black",
    "hairStyle": "long, straight, curtain bangs",
    "style": "minimal streetwear",
    "vibe": "calm and curious",
    "voiceDescription": "Warm alto, unhurried, a smile in it.",
    "personality": {
        "traits": ["curious", "warm", "direct"],
        "values": ["craft", "honesty"],
        "interests": ["ceramics", "night runs"],
        "tone": "friendly",
        "speakingStyle": "short sentences",
    },
    "referenceImages": [],
    "status": "ready",
    "createdAt": "2026-04-01T14:22:10Z",
    "updatedAt": "2026-04-01T14:22:10Z",
}
NOW = "2026-04-18T09:18:44Z"


def attach(client, *asset_ids, path=AVA_PATH, **options):
    return client.post(f"{path}/reference-images", json={"assetIds": list(asset_ids)}, **options)


def attached(response):
    """Return [(asset id, addedAt)] of a reply."""
    assert response.status_code == 200, response.text
    return [(image["assetId"], image["addedAt"]) for image in response.json["referenceImages"]]


@pytest.fixture
def page(store, organization, clock):
    """Return the path of the influencer on the reference pages, who has their ids."""
    known = {"name": "Ava Chen", "gender": "female", "ageRange": "25-34", "vibe": "calm"}
    personality = {"traits": ["curious", "warm", "direct"]}
    times = {"createdAt": "2026-04-01T14:22:10Z", "updatedAt": "2026-04-01T14:22:10Z"}
    document = living(organization, "inf_01HXZ9...", "proj_01HX...", personality=personality, **known, **times)
    store.tables.put("influencers", document)
    return "/v1/influencers/inf_01HXZ9..."


# The reference pages, to the letter.


def test_patch_answers_as_its_page_shows(demo, page):
    response = demo.patch(page, json={"vibe": "precise and energetic", "personality": {"humor": "observational"}})

    assert response.status_code == 200
    assert response.json == {
        "influencerId": "inf_01HXZ9...",
        "projectId": "proj_01HX...",
        "name": "Ava Chen",
        "gender": "female",
        "ageRange": "25-34",
        "ethnicity": None,
        "bodyType": None,
        "hairColor": None,
        "hairStyle": None,
        "style": None,
        "vibe": "precise and energetic",
        "voiceDescription": None,
        "personality": {"traits": ["curious", "warm", "direct"], "humor": "observational"},
        "referenceImages": [],
        "status": "ready",
        "createdAt": "2026-04-01T14:22:10Z",
        "updatedAt": "2026-04-18T09:18:44Z",
    }
    assert demo.get(page).json == response.json


def test_patch_refuses_a_gender_as_its_page_shows(demo, page):
    assert refused(demo.patch(page, json={"gender": "robot"})) == {
        "status": 422,
        "code": "VALIDATION",
        "message": "Invalid body.",
        "details": {"fieldErrors": {"gender": ["Invalid enum value"]}},
    }


@pytest.mark.parametrize("reason", ["Partner requested deletion.", "Customer requested removal.", "No longer needed."])
def test_delete_answers_as_its_page_shows(demo, page, clock, reason):
    clock.move(minutes=2, seconds=16)

    response = demo.delete(page, json={"reason": reason})

    assert response.status_code == 200
    assert response.json == {
        "influencerId": "inf_01HXZ9...",
        "status": "deleted",
        "deletedAt": "2026-04-18T09:21:00Z",
    }


def test_reference_images_answers_as_its_page_shows(rooms, page, organization, clock, tmp_path):
    rooms.store.tables.put("assets", picture(organization, "asset_01HXZ9", "proj_01HX...", filename="ava-01.jpg"))
    rooms.store.tables.put("assets", picture(organization, "asset_01HY0AB", SPRING, filename="ava-02.jpg"))
    settings = Settings(data=tmp_path / "store", public_url="https://media.layers.com")
    clock.move(minutes=6, seconds=26)

    client = create_app(Services(rooms.store, rooms.media, settings)).test_client()
    response = attach(client, "asset_01HXZ9", "asset_01HY0AB", path=page, headers=DEMO)

    (image,) = response.json["referenceImages"]
    assert re.fullmatch(r"https://media\.layers\.com/.+/ava-01\.jpg", image.pop("url"))
    assert re.fullmatch(r"https://media\.layers\.com/.+/ava-01-thumb\.\w+", image.pop("thumbnailUrl"))
    assert image == {"assetId": "asset_01HXZ9", "addedAt": "2026-04-18T09:25:10Z"}
    assert (response.status_code, response.json["influencerId"]) == (200, "inf_01HXZ9...")


def test_reference_images_refuses_an_empty_list_as_its_page_shows(demo, page):
    assert refused(attach(demo, path=page)) == {
        "status": 422,
        "code": "VALIDATION",
        "message": "Invalid body.",
        "details": {"fieldErrors": {"assetIds": ["Array must contain at least 1 element(s)"]}},
    }


@pytest.mark.parametrize(("method", "below", "body"), ON_ONE)
@pytest.mark.parametrize(
    "unknown", ["inf_01HXZ9", UUID, "x" * 5000, "a%2Fb", "%F0%9F%98%80", "%00", "%FF", "..", "a b"]
)
def test_an_influencer_nobody_has_is_not_found_whatever_its_id_looks_like(demo, method, below, body, unknown):
    response = demo.open(f"/v1/influencers/{unknown}{below}", method=method, json=body)

    expected = NO_INFLUENCER if "%2F" not in unknown else NO_INFLUENCER | {"message": "Not found."}
    assert refused(response) == expected


# The full record.


def test_get_returns_the_full_record(demo):
    response = demo.get(AVA_PATH)

    assert response.status_code == 200
    assert response.json == AVA_RECORD


def test_the_record_always_has_all_its_fields_in_the_order_of_the_contract(demo):
    contract = [
        "influencerId", "projectId", "name", "gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle",
        "style", "vibe", "voiceDescription", "personality", "referenceImages", "status", "createdAt", "updatedAt",
    ]  # fmt: skip

    for path in (AVA_PATH, SOL_PATH):
        for response in (demo.get(path), demo.patch(path, json={"vibe": None})):
            assert list(response.json) == contract
    assert list(INFLUENCER_FIELDS) == contract


def test_an_influencer_of_whom_little_is_known_has_nulls_and_empty_collections(demo):
    known = {"influencerId": SOL, "projectId": SUMMER, "name": "Sol Rivera", "gender": "nonbinary", "status": "ready"}
    times = {"createdAt": "2026-04-10T07:00:00Z", "updatedAt": "2026-04-10T07:00:00Z"}

    record = dict.fromkeys(INFLUENCER_FIELDS) | known | times | {"personality": {}, "referenceImages": []}

    assert demo.get(SOL_PATH).json == record


@pytest.mark.parametrize("spelling", [SOL.upper(), SOL.title()])
def test_a_uuid_finds_its_influencer_in_any_case_and_is_echoed_as_chosen(demo, spelling):
    path = f"/v1/influencers/{spelling}"

    assert demo.get(path).json["influencerId"] == SOL
    assert demo.patch(path, json={"vibe": "x"}).json["influencerId"] == SOL
    assert attach(demo, SUMMER_PICTURE, path=path).json["influencerId"] == SOL
    assert demo.delete(path).json["influencerId"] == SOL
    assert refused(demo.get(SOL_PATH)) == NO_INFLUENCER


def test_a_uuid_chosen_in_upper_case_is_stored_and_echoed_so(demo, store, organization):
    store.tables.put("influencers", living(organization, UUID.upper()))

    assert demo.get(f"/v1/influencers/{UUID}").json["influencerId"] == UUID.upper()


def test_a_minted_id_is_found_only_as_it_is_spelled(demo):
    assert refused(demo.get(AVA_PATH.replace("inf_01HX", "inf_01hx"))) == NO_INFLUENCER


# PATCH


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Ava"),
        ("gender", "unspecified"),
        ("ageRange", "30-39"),
        ("ethnicity", "Han"),
        ("bodyType", "slim"),
        ("hairColor", "red"),
        ("hairStyle", "bob"),
        ("style", "formal"),
        ("vibe", "bold"),
        ("voiceDescription", "Low."),
        *[
            (field, None)
            for field in ("gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle", "style")
        ],
        *[("vibe", None), ("voiceDescription", None)],
        *[("name", "x"), ("name", "\N{GRINNING FACE}" * 128), ("ethnicity", ""), ("voiceDescription", "x" * 1024)],
    ],
)
def test_a_patch_changes_the_field_it_gives_and_nothing_else(demo, field, value):
    response = demo.patch(AVA_PATH, json={field: value})

    assert response.status_code == 200
    assert response.json == AVA_RECORD | {field: value, "updatedAt": NOW}
    assert demo.get(AVA_PATH).data == response.data


def test_a_patch_of_all_fields_changes_all_of_them(demo):
    fields = ("name", "gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle", "style", "vibe")
    patch = dict.fromkeys(fields, "female") | {"voiceDescription": "x", "personality": {"tone": None, "humor": "dry"}}
    personality = {key: value for key, value in AVA_RECORD["personality"].items() if key != "tone"} | {"humor": "dry"}

    response = demo.patch(AVA_PATH, json=patch)

    assert response.json == AVA_RECORD | patch | {"personality": personality, "updatedAt": NOW}


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({}, {}),
        ({"humor": "dry"}, {"humor": "dry"}),
        ({"traits": ["new"]}, {"traits": ["new"]}),
        ({"traits": []}, {"traits": []}),
        ({"tone": ""}, {"tone": ""}),
        ({"tone": None}, {"tone": ...}),
        ({"humor": None}, {}),
        ({"values": None, "tone": "x", "catchphrases": []}, {"values": ..., "tone": "x", "catchphrases": []}),
        (dict.fromkeys(AVA_RECORD["personality"]), dict.fromkeys(AVA_RECORD["personality"], ...)),
    ],
)
def test_a_personality_is_merged_key_by_key_and_null_removes_one(demo, patch, changed):
    merged = AVA_RECORD["personality"] | changed
    expected = {key: value for key, value in merged.items() if value is not ...}

    assert demo.patch(AVA_PATH, json={"personality": patch}).json == AVA_RECORD | {
        "personality": expected,
        "updatedAt": NOW,
    }


def test_updated_at_moves_with_every_patch_and_created_at_never(demo, clock):
    times = []
    for _ in range(3):
        clock.move(seconds=61)
        record = demo.patch(AVA_PATH, json={"vibe": "the same"}).json
        times.append((record["createdAt"], record["updatedAt"]))

    assert times == [
        ("2026-04-01T14:22:10Z", moved)
        for moved in ("2026-04-18T09:19:45Z", "2026-04-18T09:20:46Z", "2026-04-18T09:21:47Z")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "nul \0 inside",
        "\u05d0\u05d1 \u202eright to left\u202c",
        "\N{GRINNING FACE}\u200d\N{VARIATION SELECTOR-16}",
        "e\u0301 is not \u00e9",
        "\ufeff\u2028\u2029\x7f\x1b",
        " spaces kept \r\n",
        '"quoted" \\ </script>',
        "\U0010ffff\ufffe",
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_a_string_is_kept_exactly_as_sent(demo, text, escaped):
    body = json.dumps({"name": text, "personality": {"traits": [text]}}, ensure_ascii=escaped)

    record = demo.patch(AVA_PATH, data=body.encode()).json

    assert record["name"] == text
    assert record["personality"]["traits"] == [text]
    assert demo.get(AVA_PATH).json == record


def test_a_reply_is_utf_8_and_not_escaped(demo):
    response = demo.patch(AVA_PATH, json={"name": "Åva \N{GRINNING FACE}"})

    assert response.content_type == "application/json"
    assert '"name":"Åva \N{GRINNING FACE}"'.encode() in response.data


BAD_PATCHES = [
    ({}, invalid("At least one field is required")),
    ({"name": None}, invalid(name=["Expected string, received null"])),
    ({"name": ""}, invalid(name=["String must contain at least 1 character(s)"])),
    ({"name": "x" * 129}, invalid(name=["String must contain at most 128 character(s)"])),
    ({"personality": None}, invalid(personality=["Expected object, received null"])),
    ({"personality": []}, invalid(personality=["Expected object, received array"])),
    ({"personality": {"traits": [4]}}, invalid(personality=["traits.0: Expected string, received number"])),
    ({"personality": {"mood": "x"}}, invalid(personality=["mood: Unrecognized key"])),
    ({"gender": "F"}, invalid(gender=["Invalid enum value"])),
    ({"ageRange": 30}, invalid(ageRange=["Expected string, received number"])),
    ({"vibe": "x", "mood": "y"}, invalid(mood=["Unrecognized key"])),
    ({"referenceImages": []}, invalid(referenceImages=["Unrecognized key"])),
    ({"status": "ready"}, invalid(status=["Unrecognized key"])),
    ({"updatedAt": "x", "projectId": "y"}, invalid(updatedAt=["Unrecognized key"], projectId=["Unrecognized key"])),
    (
        {"name": 1, "gender": "F", "style": "x" * 257, "mood": 1},
        invalid(
            name=["Expected string, received number"],
            gender=["Invalid enum value"],
            style=["String must contain at most 256 character(s)"],
            mood=["Unrecognized key"],
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "refusal"), BAD_PATCHES)
def test_a_patch_that_is_refused_changes_nothing(demo, on_disk, body, refusal):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.patch(AVA_PATH, json=body)) == refusal
    assert is_unchanged()
    assert demo.get(AVA_PATH).json == AVA_RECORD


# DELETE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", None),
        (b"{}", None),
        (b'{"reason": "Done."}', "Done."),
        (b'{"reason": ""}', ""),
        (orjson.dumps({"reason": "\N{GRINNING FACE}" * 1024}), "\N{GRINNING FACE}" * 1024),
    ],
)
def test_a_deleted_influencer_stays_in_the_store_with_who_when_and_why(demo, store, organization, body, reason):
    before = store.for_organization(organization).influencer(AVA)
    key_id = demo.get("/v1/whoami").json["apiKeyId"]

    response = demo.delete(AVA_PATH, data=body)

    assert response.status_code == 200
    assert response.json == {"influencerId": AVA, "status": "deleted", "deletedAt": NOW}
    kept = orjson.loads(store.db.read("influencers", organization, AVA))
    assert kept == before | {
        "is_archived": True,
        "attributes": {"deletion": {"reason": reason, "apiKeyId": key_id, "deletedAt": NOW}},
        "updatedAt": kept["updatedAt"],
        "revision": 1,
    }


@pytest.mark.parametrize(("method", "below", "body"), ON_ONE)
def test_a_deleted_influencer_is_found_by_nobody(demo, on_disk, method, below, body):
    demo.delete(AVA_PATH)
    is_unchanged = unchanged(on_disk)

    assert refused(demo.open(AVA_PATH + below, method=method, json=body)) == NO_INFLUENCER
    assert is_unchanged()


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"null", invalid("Expected object, received null")),
        (b"[]", invalid("Expected object, received array")),
        (b'{"reason": null}', invalid(reason=["Expected string, received null"])),
        (b'{"reason": ["x"]}', invalid(reason=["Expected string, received array"])),
        (b'{"reason": "x", "by": "me"}', invalid(by=["Unrecognized key"])),
        (orjson.dumps({"reason": "x" * 1025}), invalid(reason=["String must contain at most 1024 character(s)"])),
    ],
)
def test_a_deletion_that_is_refused_deletes_nothing(demo, on_disk, body, refusal):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.delete(AVA_PATH, data=body)) == refusal
    assert is_unchanged()
    assert demo.get(AVA_PATH).json == AVA_RECORD


def test_no_reply_shows_attributes(demo, store, organization):
    store.tables.put("influencers", living(organization, UUID, attributes={"secret": "kept inside"}))
    path = f"/v1/influencers/{UUID}"

    replies = [
        demo.get(path),
        demo.patch(path, json={"vibe": "x"}),
        attach(demo, AVA_PICTURES[0], path=path),
        demo.delete(path, json={"reason": "kept inside"}),
        demo.get(path),
    ]

    assert not [reply for reply in replies if "attributes" in reply.text or "kept inside" in reply.text]
    attributes = orjson.loads(store.db.read("influencers", organization, UUID))["attributes"]
    assert attributes["secret"] == "kept inside"
    assert attributes["deletion"]["reason"] == "kept inside"


def test_pictures_of_a_deleted_influencer_are_still_served(demo):
    (image,) = attach(demo, AVA_PICTURES[0]).json["referenceImages"]
    demo.delete(AVA_PATH)

    with demo.get(image["url"]) as original, demo.get(image["thumbnailUrl"]) as thumbnail:
        assert (original.status_code, thumbnail.status_code) == (200, 200)


# reference-images


def test_attached_pictures_come_in_request_order_and_in_the_record(demo):
    wanted = [AVA_PICTURES[2], AVA_PICTURES[0], AVA_PICTURES[1]]

    response = attach(demo, *wanted)

    assert list(response.json) == ["influencerId", "referenceImages"]
    assert response.json["influencerId"] == AVA
    assert attached(response) == [(asset_id, NOW) for asset_id in wanted]
    assert [list(image) for image in response.json["referenceImages"]] == [
        ["assetId", "url", "thumbnailUrl", "addedAt"]
    ] * 3
    record = demo.get(AVA_PATH).json
    assert record == AVA_RECORD | {
        "referenceImages": response.json["referenceImages"],
        "updatedAt": record["updatedAt"],
    }


def test_both_urls_of_an_attached_picture_are_absolute_and_served(demo):
    for image in attach(demo, *AVA_PICTURES).json["referenceImages"]:
        for url, most in ((image["url"], 10_000), (image["thumbnailUrl"], 256)):
            assert urlsplit(url)[:2] == ("http", "localhost")
            with demo.get(url) as response, Image.open(BytesIO(response.data)) as shown:
                assert response.status_code == 200
                assert response.mimetype == Image.MIME[shown.format]
                assert max(shown.size) <= most


def test_reposting_refreshes_when_it_was_added_and_keeps_the_place(demo, clock):
    attach(demo, *AVA_PICTURES[:2])
    clock.move(seconds=60)

    response = attach(demo, AVA_PICTURES[2], AVA_PICTURES[0])

    assert attached(response) == [
        (AVA_PICTURES[0], "2026-04-18T09:19:44Z"),
        (AVA_PICTURES[1], NOW),
        (AVA_PICTURES[2], "2026-04-18T09:19:44Z"),
    ]


def test_a_picture_named_twice_in_one_call_is_attached_once(demo):
    response = attach(demo, AVA_PICTURES[1], AVA_PICTURES[0], AVA_PICTURES[1])

    assert attached(response) == [(AVA_PICTURES[1], NOW), (AVA_PICTURES[0], NOW)]


def test_a_picture_named_by_a_uuid_is_the_same_in_any_case(demo, store, organization):
    store.tables.put("assets", picture(organization, UUID))

    assert attached(attach(demo, UUID.upper(), UUID, UUID.title())) == [(UUID, NOW)]
    assert attached(attach(demo, UUID.upper())) == [(UUID, NOW)]


def test_pictures_that_are_unknown_or_belong_elsewhere_drop_out_silently(demo, store):
    elsewhere = new_organization(store)
    store.tables.put("assets", picture(elsewhere, UUID))
    dropped = ["asset_nobody", SUMMER_PICTURE, UUID, "00000000-0000-0000-0000-000000000000", "med_x"]

    assert attached(attach(demo, dropped[0], AVA_PICTURES[0], *dropped[1:])) == [(AVA_PICTURES[0], NOW)]


def test_a_call_all_of_whose_pictures_drop_out_answers_the_list_as_it_is(demo, store, organization, on_disk):
    attach(demo, AVA_PICTURES[0])
    before, is_unchanged = demo.get(AVA_PATH).json, unchanged(on_disk)

    response = attach(demo, "asset_nobody", SUMMER_PICTURE)

    assert response.status_code == 200
    assert response.json == {"influencerId": AVA, "referenceImages": before["referenceImages"]}
    assert is_unchanged()


def test_one_call_attaches_up_to_twenty_and_several_calls_any_number(demo, store, organization):
    ids = [f"asset_{number:02d}" for number in range(45)]
    for asset_id in ids:
        store.tables.put("assets", picture(organization, asset_id))

    attach(demo, *ids[:20])
    attach(demo, *ids[20:40])

    assert attached(attach(demo, *ids[40:])) == [(asset_id, NOW) for asset_id in ids]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, invalid(assetIds=["Required"])),
        ({"assetIds": []}, invalid(assetIds=["Array must contain at least 1 element(s)"])),
        ({"assetIds": ["asset_x"] * 21}, invalid(assetIds=["Array must contain at most 20 element(s)"])),
        ({"assetIds": [AVA_PICTURES[0], "x", 3]}, invalid(
            assetIds=["1: Invalid uuid", "2: Expected string, received number"]
        )),
        ({"assetIds": [AVA]}, invalid(assetIds=["0: Invalid uuid"])),
        ({"assetIds": AVA_PICTURES[0]}, invalid(assetIds=["Expected array, received string"])),
        ({"assetIds": AVA_PICTURES, "urls": []}, invalid(urls=["Unrecognized key"])),
        ([AVA_PICTURES[0]], invalid("Expected object, received array")),
    ],
)  # fmt: skip
def test_a_list_of_pictures_that_is_refused_attaches_nothing(demo, on_disk, body, refusal):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.post(f"{AVA_PATH}/reference-images", json=body)) == refusal
    assert is_unchanged()


def test_the_pictures_of_the_seed_are_served(demo):
    marcus = demo.get("/v1/influencers/inf_01HXZB1M4N6P8Q0R2S3T5V7W9X").json
    noor = demo.get("/v1/influencers/inf_01HXZC3D5E7F9G1H3J5K7M9N1P").json

    assert len(marcus["referenceImages"] + noor["referenceImages"]) == 3
    for image in marcus["referenceImages"] + noor["referenceImages"]:
        with demo.get(image["url"]) as original, demo.get(image["thumbnailUrl"]) as thumbnail:
            assert (original.status_code, thumbnail.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("public_url", "host", "base"),
    [
        (None, "localhost", "http://localhost"),
        (None, "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("https://stand-in.example", "localhost", "https://stand-in.example"),
        ("https://stand-in.example/layers", "localhost", "https://stand-in.example/layers"),
    ],
)
def test_urls_begin_with_the_public_url_or_else_with_the_host_that_was_asked(rooms, tmp_path, public_url, host, base):
    client = create_app(
        Services(rooms.store, rooms.media, Settings(data=tmp_path, public_url=public_url))
    ).test_client()

    (image,) = attach(client, AVA_PICTURES[0], headers=DEMO | {"Host": host}).json["referenceImages"]

    assert image["url"].startswith(f"{base}/media/")
    assert image["thumbnailUrl"].startswith(f"{base}/media/")


# Two organizations


@pytest.mark.parametrize(("method", "below", "body"), ON_ONE)
def test_an_influencer_of_another_organization_is_not_found(client, store, on_disk, method, below, body):
    stranger = key_of(store, new_organization(store), "*")
    is_unchanged = unchanged(on_disk)

    assert refused(client.open(AVA_PATH + below, method=method, json=body, headers=stranger)) == NO_INFLUENCER
    assert is_unchanged()


def test_two_organizations_with_the_same_id_do_not_see_each_other(client, store, organization):
    other = new_organization(store)
    theirs = key_of(store, other, "*")
    store.tables.put("influencers", living(organization, UUID, name="Ours"))
    store.tables.put("influencers", living(other, UUID, name="Theirs"))
    store.tables.put("assets", picture(organization, UUID))
    path = f"/v1/influencers/{UUID}"

    assert client.patch(path, json={"vibe": "x"}, headers=DEMO).json["name"] == "Ours"
    assert attached(attach(client, UUID, path=path, headers=theirs)) == []
    assert attached(attach(client, UUID, path=path, headers=DEMO)) == [(UUID, NOW)]
    assert client.delete(path, headers=DEMO).status_code == 200
    left = client.get(path, headers=theirs).json
    assert (left["name"], left["vibe"], left["referenceImages"]) == ("Theirs", None, [])


# whoami


def test_whoami_says_who_the_key_is(demo, store, organization):
    assert demo.get("/v1/whoami").json == {
        "organizationId": organization,
        "workspaceId": organization,
        "organizationName": "Northwind Studio",
        "scopes": ["*"],
        "rateLimitTier": "standard",
        "killSwitch": False,
        "apiAccessRevoked": False,
        "apiKeyId": store.keys.find("DEM0DEM0DEM0DEM0")["apiKeyId"],
        "creditBalance": 25000,
    }


def test_whoami_needs_no_scope(client, store, organization):
    response = client.get("/v1/whoami", headers=key_of(store, organization))

    assert response.status_code == 200
    assert response.json["scopes"] == []


# House rules


@pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.name)
def test_every_operation_is_in_the_url_map(app: Flask, operation: Operation):
    routed = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods}

    assert (operation.path, operation.method) in routed


def test_the_operations_are_those_of_the_contract_with_its_scopes():
    one = "/v1/influencers/<influencer_id>"

    assert {(operation.method, operation.path, operation.scope) for operation in operations} >= {
        ("GET", "/v1/whoami", None),
        ("GET", one, "influencers:write"),
        ("PATCH", one, "influencers:write"),
        ("DELETE", one, "influencers:write"),
        ("POST", f"{one}/reference-images", "influencers:write"),
    }
