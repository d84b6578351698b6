"""create and clone, the jobs they begin, and the portraits at their end."""

from itertools import pairwise
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from api_helpers import (
    AVA_PICTURES,
    NO_INFLUENCER,
    SOL,
    SPRING,
    SUMMER_PICTURE,
    invalid,
    key_of,
    new_organization,
    refused,
    unchanged,
)
from conftest import AVA, AVA_PATH, DEMO
from hypothesis import given
from hypothesis import strategies as st
from servers import STAYS_OPEN, opened, serving

from app import create_app
from layers_standin.domain.influencers import DESCRIPTION_FIELDS
from layers_standin.domain.pictures import portrait_path
from layers_standin.domain.schedules import cancel, new_schedule, state_at
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds
from layers_standin.services import Services, open_services
from layers_standin.settings import Settings
from store import INFLUENCER_FIELDS, Store

pytestmark = pytest.mark.postgres

CREATE = f"/v1/projects/{SPRING}/influencers"
CLONE = f"{AVA_PATH}/clone"
UUID = "3f0b4c39-9c55-4f3a-8f0f-7d116f1c2f5e"
MARCUS = "inf_01HXZB1M4N6P8Q0R2S3T5V7W9X"
MINTED = "inf_01HXZZZZZZZZZZZZZZZZZZZZZZ"
NOW, NOW_MS = "2026-04-18T09:18:44Z", "2026-04-18T09:18:44.120Z"
FAILURE = {"code": "TRAINING_FAILED", "message": "The training failed."}
NO_JOB = {"status": 404, "code": "NOT_FOUND", "message": "Job not found."}
NO_PROJECT = {"status": 404, "code": "NOT_FOUND", "message": "Project not found."}
PROJECT_ARCHIVED = {
    "status": 409,
    "code": "CONFLICT",
    "message": "Project is archived.",
    "details": {"subcode": "PROJECT_ARCHIVED", "projectId": SPRING},
}
LONGEST = {
    "name": 128,
    "ageRange": 16,
    "ethnicity": 128,
    "bodyType": 128,
    "hairColor": 64,
    "hairStyle": 128,
    "style": 256,
    "vibe": 256,
    "voiceDescription": 1024,
}
INDEXES, TEXTS = ("traits", "values", "interests", "catchphrases"), ("tone", "humor", "formality", "speakingStyle")
WHOLE = {
    "name": "Kim",
    "influencerId": UUID.upper(),
    "gender": "nonbinary",
    "ageRange": "25-34",
    "ethnicity": "Korean",
    "bodyType": "slim",
    "hairColor": "red",
    "hairStyle": "bob",
    "style": "punk",
    "vibe": "loud",
    "voiceDescription": "Hoarse.",
    "personality": {**{name: [name, name] for name in INDEXES}, **dict.fromkeys(TEXTS, "so")},
}


def taken(influencer_id):
    details = {"subcode": "ID_TAKEN", "influencerId": influencer_id}
    return {"status": 409, "code": "CONFLICT", "message": "Influencer id is already taken.", "details": details}


def begun(response):
    """Return the envelope of a job that has just begun."""
    assert response.status_code == 202, response.text
    assert response.headers["X-RateLimit-Endpoint-Class"] == "long-running"
    return response.json


def create(client, **body):
    return begun(client.post(CREATE, json={"name": "Kim"} | body))


def clone(client, path=CLONE, **body):
    return begun(client.post(path, json={"name": "Kim"} | body))


def influencer(client, envelope):
    response = client.get(f"/v1/influencers/{envelope['influencerId']}")
    assert response.status_code == 200, response.text
    return response.json


def job(client, envelope):
    response = client.get(envelope["locationUrl"])
    assert response.status_code == 200, response.text
    return response.json


def cancel_of(envelope):
    return f"{envelope['locationUrl']}/cancel"


def statuses(client, envelope):
    """Return an influencer's status as GET, PATCH, the list and its filter show it, of which there must be one."""
    path = f"/v1/influencers/{envelope['influencerId']}"
    shown = client.get(path).json["status"]
    items = client.get(CREATE, query_string={"limit": 100}).json["items"]
    filtered = client.get(CREATE, query_string={"limit": 100, "status": shown}).json["items"]
    found = {item["influencerId"]: item["status"] for item in items}
    assert found[envelope["influencerId"]] == shown
    assert envelope["influencerId"] in [item["influencerId"] for item in filtered]
    assert client.patch(path, json={"voiceDescription": "Any."}).json["status"] == shown
    return shown


# create


def test_create_answers_with_the_envelope_of_its_job_whole_and_in_order(demo):
    envelope = create(demo)

    assert list(envelope.items()) == [
        ("jobId", envelope["jobId"]),
        ("kind", "influencer_create"),
        ("status", "running"),
        ("stage", "queued"),
        ("projectId", SPRING),
        ("influencerId", envelope["influencerId"]),
        ("locationUrl", f"/v1/jobs/{envelope['jobId']}"),
        ("startedAt", NOW_MS),
    ]
    assert envelope["jobId"].startswith("job_")
    assert len(envelope["jobId"]) == 4 + 26
    assert envelope["influencerId"].startswith("inf_")
    assert len(envelope["influencerId"]) == 4 + 26


def test_an_influencer_of_whom_only_the_name_is_known_is_there_at_once(demo):
    envelope = create(demo)

    assert list(influencer(demo, envelope)) == list(INFLUENCER_FIELDS)
    assert influencer(demo, envelope) == {
        "influencerId": envelope["influencerId"],
        "projectId": SPRING,
        "name": "Kim",
        **dict.fromkeys(DESCRIPTION_FIELDS),
        "personality": {},
        "referenceImages": [],
        "status": "pending",
        "createdAt": NOW,
        "updatedAt": NOW,
    }


def test_all_that_create_is_told_is_kept(demo):
    images = {"assetIds": AVA_PICTURES[:1]}

    record = influencer(demo, begun(demo.post(CREATE, json=WHOLE | {"referenceImages": images})))

    assert record == WHOLE | {
        "projectId": SPRING,
        "status": "pending",
        "createdAt": NOW,
        "updatedAt": NOW,
        "referenceImages": record["referenceImages"],
    }
    assert [(image["assetId"], image["addedAt"]) for image in record["referenceImages"]] == [(AVA_PICTURES[0], NOW)]


@pytest.mark.parametrize("field", LONGEST)
@pytest.mark.parametrize("letter", ["a", "é", "😀", "\0"])
def test_a_text_may_be_as_long_as_its_rule_says_in_code_points(demo, field, letter):
    text = letter * LONGEST[field]

    assert influencer(demo, create(demo, **{field: text}))[field] == text


@pytest.mark.parametrize("field", LONGEST)
def test_a_text_of_one_more_is_refused(demo, on_disk, field):
    same = unchanged(on_disk)
    most = LONGEST[field]

    response = demo.post(CREATE, json={"name": "Kim"} | {field: "a" * (most + 1)})

    assert refused(response) == invalid(**{field: [f"String must contain at most {most} character(s)"]})
    assert same()


def test_only_the_name_must_not_be_empty(demo):
    assert refused(demo.post(CREATE, json={"name": ""})) == invalid(
        name=["String must contain at least 1 character(s)"]
    )
    empty = dict.fromkeys(list(LONGEST)[1:], "")
    assert influencer(demo, create(demo, **empty)).items() >= empty.items()


@pytest.mark.parametrize("gender", ["male", "female", "nonbinary", "unspecified"])
def test_a_gender_is_one_of_four(demo, gender):
    assert influencer(demo, create(demo, gender=gender))["gender"] == gender


@pytest.mark.parametrize("field", ["name", "influencerId", "gender", *list(LONGEST)[1:]])
@pytest.mark.parametrize("value, received", [(None, "null"), (1, "number"), (True, "boolean"), ([], "array")])
def test_a_field_that_is_no_text_is_refused_null_too(demo, field, value, received):
    response = demo.post(CREATE, json={"name": "Kim"} | {field: value})

    assert refused(response) == invalid(**{field: [f"Expected string, received {received}"]})


@pytest.mark.parametrize(
    "body, faults",
    [
        ({"name": None}, {"name": ["Expected string, received null"]}),
        ({}, {"name": ["Required"]}),
        ({"gender": "robot"}, {"name": ["Required"], "gender": ["Invalid enum value"]}),
        ({"name": "Kim", "status": "ready"}, {"status": ["Unrecognized key"]}),
        ({"name": "Kim", "projectId": SPRING}, {"projectId": ["Unrecognized key"]}),
        ({"name": "Kim", "personality": None}, {"personality": ["Expected object, received null"]}),
        ({"name": "Kim", "personality": {"mood": "x"}}, {"personality": ["mood: Unrecognized key"]}),
        ({"name": "Kim", "referenceImages": None}, {"referenceImages": ["Expected object, received null"]}),
        ({"name": "Kim", "referenceImages": []}, {"referenceImages": ["Expected object, received array"]}),
        ({"name": "Kim", "referenceImages": {}}, {"referenceImages": ["assetIds: Required"]}),
        (
            {"name": "Kim", "referenceImages": {"assetIds": []}},
            {"referenceImages": ["assetIds: Array must contain at least 1 element(s)"]},
        ),
        (
            {"name": "Kim", "referenceImages": {"assetIds": ["asset_x"] * 21}},
            {"referenceImages": ["assetIds: Array must contain at most 20 element(s)"]},
        ),
        (
            {"name": "Kim", "referenceImages": {"assetIds": ["asset_x", "x", None]}},
            {"referenceImages": ["assetIds.1: Invalid uuid", "assetIds.2: Expected string, received null"]},
        ),
        (
            {"name": "Kim", "referenceImages": {"assetIds": ["asset_x"], "more": 1}},
            {"referenceImages": ["more: Unrecognized key"]},
        ),
    ],
)
def test_a_body_that_create_does_not_take_is_refused_and_changes_nothing(demo, on_disk, body, faults):
    same = unchanged(on_disk)

    assert refused(demo.post(CREATE, json=body)) == invalid(**faults)
    assert same()


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize(
    "value, fault",
    [
        (None, "Expected array, received null"),
        ("x", "Expected array, received string"),
        ([None], "0: Expected string, received null"),
        (["x", 1], "1: Expected string, received number"),
    ],
)
def test_a_list_of_the_personality_has_only_texts(demo, name, value, fault):
    path = f"{name}.{fault}" if fault[0].isdigit() else f"{name}: {fault}"

    assert refused(demo.post(CREATE, json={"name": "Kim", "personality": {name: value}})) == invalid(personality=[path])


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_the_personality_is_a_text(demo, name):
    response = demo.post(CREATE, json={"name": "Kim", "personality": {name: None}})

    assert refused(response) == invalid(personality=[f"{name}: Expected string, received null"])


@pytest.mark.parametrize("influencer_id", [UUID, UUID.upper(), UUID.title(), MINTED])
def test_an_id_the_caller_chose_is_echoed_and_addressed_as_given(demo, influencer_id):
    envelope = create(demo, influencerId=influencer_id)

    assert envelope["influencerId"] == influencer_id
    assert influencer(demo, envelope)["influencerId"] == influencer_id
    assert job(demo, envelope)["influencerId"] == influencer_id
    assert demo.get(CREATE).json["items"][0]["influencerId"] == influencer_id


def test_a_uuid_is_found_in_any_case(demo):
    create(demo, influencerId=UUID.upper())

    assert demo.get(f"/v1/influencers/{UUID}").json["influencerId"] == UUID.upper()


@pytest.mark.parametrize(
    "influencer_id",
    ["", "kim", UUID[:-1], f"{{{UUID}}}", UUID.replace("-", ""), MINTED[:-1], MINTED.lower(), "inf_8" + MINTED[5:],
     MINTED.replace("Z", "I"), f"{MINTED}\n", f"{UUID}\n", MINTED.replace("inf", "job")],
)  # fmt: skip
def test_any_other_id_is_refused(demo, influencer_id):
    response = demo.post(CREATE, json={"name": "Kim", "influencerId": influencer_id})

    assert refused(response) == invalid(influencerId=["Invalid uuid"])


@pytest.mark.parametrize("influencer_id", [AVA, SOL, SOL.upper()])
@pytest.mark.parametrize("archived", [False, True])
def test_an_id_that_is_taken_is_a_conflict_whoever_has_it(demo, on_disk, influencer_id, archived):
    if archived:
        assert demo.delete(f"/v1/influencers/{influencer_id}").status_code == 200
    same = unchanged(on_disk)

    assert refused(demo.post(CREATE, json={"name": "Kim", "influencerId": influencer_id})) == taken(influencer_id)
    other = f"/v1/influencers/{MARCUS}/clone"
    assert refused(demo.post(other, json={"name": "Kim", "newInfluencerId": influencer_id})) == taken(influencer_id)
    assert same()


def test_an_id_of_another_organization_is_free(client, store):
    key = key_of(store, new_organization(store), "*")
    client.post("/v1/projects", json={"id": "p", "name": "P", "timezone": "UTC"}, headers=key)

    response = client.post("/v1/projects/p/influencers", json={"name": "Other", "influencerId": AVA}, headers=key)

    assert begun(response)["influencerId"] == AVA
    assert client.get(AVA_PATH, headers=key).json["name"] == "Other"
    assert client.get(AVA_PATH, headers=DEMO).json["name"] == "Ava Chen"


def test_assets_that_are_unknown_or_of_another_project_drop_out(demo):
    asset_ids = [SUMMER_PICTURE, AVA_PICTURES[1], "asset_x", str(uuid4()), AVA_PICTURES[0], AVA_PICTURES[1]]

    images = influencer(demo, create(demo, referenceImages={"assetIds": asset_ids}))["referenceImages"]

    assert [image["assetId"] for image in images] == [AVA_PICTURES[1], AVA_PICTURES[0]]
    assert influencer(demo, create(demo, referenceImages={"assetIds": ["asset_x"]}))["referenceImages"] == []


def test_create_in_an_unknown_project_is_not_found(client, demo, store):
    assert refused(demo.post("/v1/projects/proj_x/influencers", json={"name": "Kim"})) == NO_PROJECT
    foreign = key_of(store, new_organization(store), "*")
    assert refused(client.post(CREATE, json={"name": "Kim"}, headers=foreign)) == NO_PROJECT


@pytest.mark.parametrize("path", [CREATE, CLONE])
def test_nothing_begins_in_an_archived_project(demo, on_disk, path):
    demo.delete(f"/v1/projects/{SPRING}")
    same = unchanged(on_disk)

    assert refused(demo.post(path, json={"name": "Kim"})) == PROJECT_ARCHIVED
    assert same()
    demo.patch(f"/v1/projects/{SPRING}", json={"status": "active"})
    begun(demo.post(path, json={"name": "Kim"}))


# clone


def test_a_clone_is_like_its_source_but_for_name_and_time(demo, clock):
    demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES})
    source = demo.get(AVA_PATH).json
    clock.move(hours=1)

    envelope = clone(demo)

    later = "2026-04-18T10:18:44Z"
    images = [image | {"addedAt": later} for image in source["referenceImages"]]
    assert len(images) == 3
    assert influencer(demo, envelope) == source | {
        "influencerId": envelope["influencerId"],
        "name": "Kim",
        "referenceImages": images,
        "status": "pending",
        "createdAt": later,
        "updatedAt": later,
    }
    assert demo.get(AVA_PATH).json == source


def test_overrides_take_the_place_of_what_the_source_says_and_personality_is_merged(demo):
    source = demo.get(AVA_PATH).json
    overrides = {"vibe": "loud", "gender": "male", "personality": {"traits": ["new"], "humor": "dry"}}

    record = influencer(demo, clone(demo, overrides=overrides))

    assert record["personality"] == source["personality"] | {"traits": ["new"], "humor": "dry"}
    own = ("influencerId", "name", "status", "createdAt", "updatedAt", "personality")
    expected = source | {"vibe": "loud", "gender": "male"}
    assert {field: record[field] for field in record if field not in own} == {
        field: expected[field] for field in expected if field not in own
    }


@pytest.mark.parametrize("new_id", [UUID, UUID.upper(), MINTED])
def test_a_clone_may_have_an_id_of_the_callers_choice(demo, new_id):
    assert influencer(demo, clone(demo, newInfluencerId=new_id))["influencerId"] == new_id
    assert refused(demo.post(CLONE, json={"name": "Kim", "newInfluencerId": new_id})) == taken(new_id)


def test_a_clone_can_be_cloned_even_before_it_is_ready(demo):
    first = clone(demo, overrides={"vibe": "loud"})

    second = clone(demo, f"/v1/influencers/{first['influencerId']}/clone", overrides={"style": "punk"})

    record = influencer(demo, second)
    assert (record["vibe"], record["style"], record["ethnicity"]) == ("loud", "punk", "East Asian")
    assert record["status"] == "pending"


def test_a_clone_knows_nothing_of_its_source(demo):
    envelope = clone(demo)
    demo.patch(AVA_PATH, json={"vibe": "changed"})
    demo.delete(AVA_PATH)

    assert influencer(demo, envelope)["vibe"] == "calm and curious"


def test_what_is_deleted_or_foreign_or_unknown_cannot_be_cloned(client, demo, store):
    foreign = key_of(store, new_organization(store), "*")
    assert refused(client.post(CLONE, json={"name": "Kim"}, headers=foreign)) == NO_INFLUENCER
    assert refused(demo.post("/v1/influencers/inf_x/clone", json={"name": "Kim"})) == NO_INFLUENCER
    demo.delete(AVA_PATH)
    assert refused(demo.post(CLONE, json={"name": "Kim"})) == NO_INFLUENCER


@pytest.mark.parametrize(
    "body, faults",
    [
        ({}, {"name": ["Required"]}),
        ({"name": "a" * 129}, {"name": ["String must contain at most 128 character(s)"]}),
        ({"name": "Kim", "vibe": "x"}, {"vibe": ["Unrecognized key"]}),
        ({"name": "Kim", "influencerId": UUID}, {"influencerId": ["Unrecognized key"]}),
        ({"name": "Kim", "newInfluencerId": "x"}, {"newInfluencerId": ["Invalid uuid"]}),
        ({"name": "Kim", "newInfluencerId": None}, {"newInfluencerId": ["Expected string, received null"]}),
        ({"name": "Kim", "overrides": None}, {"overrides": ["Expected object, received null"]}),
        ({"name": "Kim", "overrides": {"name": "x"}}, {"overrides": ["name: Unrecognized key"]}),
        ({"name": "Kim", "overrides": {"influencerId": UUID}}, {"overrides": ["influencerId: Unrecognized key"]}),
        (
            {"name": "Kim", "overrides": {"referenceImages": {"assetIds": ["asset_x"]}}},
            {"overrides": ["referenceImages: Unrecognized key"]},
        ),
        (
            {"name": "Kim", "overrides": {"personality": {"tone": None}}},
            {"overrides": ["personality.tone: Expected string, received null"]},
        ),
        ({"name": "Kim", "overrides": {"gender": "robot"}}, {"overrides": ["gender: Invalid enum value"]}),
        *[
            ({"name": "Kim", "overrides": {field: None}}, {"overrides": [f"{field}: Expected string, received null"]})
            for field in ("gender", *list(LONGEST)[1:])
        ],
        *[
            (
                {"name": "Kim", "overrides": {field: "a" * (most + 1)}},
                {"overrides": [f"{field}: String must contain at most {most} character(s)"]},
            )
            for field, most in list(LONGEST.items())[1:]
        ],
    ],
)
def test_a_body_that_clone_does_not_take_is_refused_and_changes_nothing(demo, on_disk, body, faults):
    same = unchanged(on_disk)

    assert refused(demo.post(CLONE, json=body)) == invalid(**faults)
    assert same()


# A job as time goes by


@pytest.mark.parametrize(
    "after_ms, status, stage, progress, influencer_is",
    [
        (0, "running", "queued", 0.0, "pending"),
        (399, "running", "queued", 0.1995, "pending"),
        (400, "running", "training", 0.2, "training"),
        (1000, "running", "training", 0.5, "training"),
        (1799, "running", "training", 0.8995, "training"),
        (1800, "running", "finalizing", 0.9, "training"),
        (1999, "running", "finalizing", 0.9995, "training"),
        (2000, "completed", "finalizing", 1.0, "ready"),
        (10**9, "completed", "finalizing", 1.0, "ready"),
    ],
)
def test_a_job_is_what_the_clock_says_and_its_influencer_follows(
    demo, clock, after_ms, status, stage, progress, influencer_is
):
    envelope = create(demo)
    clock.move(milliseconds=after_ms)

    shown = job(demo, envelope)

    ended = {"finishedAt": "2026-04-18T09:18:46.120Z", "result": {"influencerId": envelope["influencerId"]}}
    expected = envelope | {"status": status, "stage": stage, "progress": progress}
    expected |= ended if status == "completed" else {}
    assert list(shown.items()) == list(expected.items())
    assert statuses(demo, envelope) == influencer_is


def test_a_job_that_fails_says_why(demo, store, organization, clock):
    envelope = create(demo)
    document = store.for_organization(organization).jobs.get(envelope["jobId"])
    course = document["schedule"] | {"failure": FAILURE}
    store.tables.put("jobs", document | {"schedule": course})
    store.tables.put(
        "influencers",
        store.for_organization(organization).any_influencer(envelope["influencerId"]) | {"schedule": course},
    )
    assert job(demo, envelope)["status"] == "running"
    clock.move(seconds=3)

    assert job(demo, envelope) == envelope | {
        "status": "failed",
        "stage": "finalizing",
        "progress": 1.0,
        "finishedAt": "2026-04-18T09:18:46.120Z",
        "error": FAILURE,
    }
    assert statuses(demo, envelope) == "failed"
    assert demo.post(cancel_of(envelope)).json == {
        "jobId": envelope["jobId"],
        "accepted": False,
        "reason": "ALREADY_FAILED",
    }


def test_a_running_job_can_be_canceled_and_stays_so(demo, clock):
    envelope = create(demo)
    clock.move(seconds=1)

    response = demo.post(cancel_of(envelope))

    assert (response.status_code, response.json) == (202, {"jobId": envelope["jobId"], "accepted": True})
    canceled = envelope | {
        "status": "canceled",
        "stage": "training",
        "progress": 0.5,
        "finishedAt": "2026-04-18T09:18:45.120Z",
        "error": {"code": "CANCELED", "message": "The job was canceled."},
    }
    for _ in range(2):
        assert job(demo, envelope) == canceled
        assert statuses(demo, envelope) == "failed"
        clock.move(hours=1)


@pytest.mark.parametrize("seconds, reason", [(0, "ALREADY_CANCELED"), (2, "ALREADY_COMPLETED")])
def test_a_job_that_is_over_cannot_be_canceled(demo, clock, on_disk, seconds, reason):
    envelope = create(demo)
    clock.move(seconds=seconds)
    if reason == "ALREADY_CANCELED":
        demo.post(cancel_of(envelope))
    before, same = job(demo, envelope), unchanged(on_disk)

    response = demo.post(cancel_of(envelope), json={})

    expected = {"jobId": envelope["jobId"], "accepted": False, "reason": reason}
    assert (response.status_code, response.json) == (200, expected)
    assert job(demo, envelope) == before
    assert same()


@pytest.mark.parametrize("after_ms", [1800, 1999])
def test_a_job_that_is_almost_over_cannot_be_canceled(demo, clock, on_disk, after_ms):
    envelope = create(demo)
    clock.move(milliseconds=after_ms)
    same = unchanged(on_disk)

    assert refused(demo.post(cancel_of(envelope))) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "The job can no longer be canceled.",
        "details": {"subcode": "JOB_CANCEL_UNAVAILABLE", "jobId": envelope["jobId"], "stage": "finalizing"},
    }
    assert same()


def test_cancel_takes_no_fields(demo):
    envelope = create(demo)

    assert refused(demo.post(cancel_of(envelope), json={"why": "x"})) == invalid(why=["Unrecognized key"])
    assert job(demo, envelope)["status"] == "running"


def test_a_job_of_somebody_else_is_not_found(client, demo, store):
    envelope = create(demo)
    foreign = key_of(store, new_organization(store), "*")

    for response in (
        demo.get("/v1/jobs/job_x"),
        demo.post("/v1/jobs/job_x/cancel"),
        client.get(envelope["locationUrl"], headers=foreign),
        client.post(cancel_of(envelope), headers=foreign),
    ):
        assert refused(response) == NO_JOB


def test_jobs_have_scopes_of_their_own(client, demo, store, organization):
    envelope = create(demo)
    for method, path, scope in [
        ("GET", envelope["locationUrl"], "jobs:read"),
        ("POST", cancel_of(envelope), "jobs:cancel"),
    ]:
        others = {"influencers:write", "projects:read", "projects:write", "jobs:read", "jobs:cancel"} - {scope}
        response = client.open(path, method=method, headers=key_of(store, organization, *others))
        assert refused(response)["details"] == {"required": scope}
        assert client.open(path, method=method, headers=key_of(store, organization, scope)).status_code < 300


def test_the_job_of_a_deleted_influencer_goes_on(demo, clock):
    envelope = create(demo)
    demo.delete(f"/v1/influencers/{envelope['influencerId']}")
    assert job(demo, envelope)["status"] == "running"
    clock.move(seconds=2)

    assert job(demo, envelope)["result"] == {"influencerId": envelope["influencerId"]}


def test_canceling_does_not_bring_a_deleted_influencer_back(demo):
    envelope = create(demo)
    path = f"/v1/influencers/{envelope['influencerId']}"
    demo.delete(path)

    assert demo.post(cancel_of(envelope)).json["accepted"] is True
    assert refused(demo.get(path)) == NO_INFLUENCER


def test_a_job_has_an_etag_that_changes_when_it_does(demo, clock):
    envelope = create(demo)
    first = demo.get(envelope["locationUrl"])
    tag = first.headers["ETag"]

    again = demo.get(envelope["locationUrl"], headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["X-Request-Id"].startswith("req_")
    assert demo.get(envelope["locationUrl"], headers={"If-None-Match": '"x"'}).data == first.data

    clock.move(seconds=1)
    moved = demo.get(envelope["locationUrl"], headers={"If-None-Match": tag})
    assert moved.status_code == 200
    assert moved.headers["ETag"] != tag
    clock.move(seconds=1)
    over = demo.get(envelope["locationUrl"]).headers["ETag"]
    clock.move(days=1)
    assert demo.get(envelope["locationUrl"], headers={"If-None-Match": f'"x", {over}'}).status_code == 304


def test_a_clock_set_back_shows_a_job_as_just_begun(demo, clock):
    envelope = create(demo)
    clock.move(days=-1)

    assert job(demo, envelope) == envelope | {"progress": 0.0}
    assert statuses(demo, envelope) == "pending"
    demo.post(cancel_of(envelope))
    assert job(demo, envelope)["finishedAt"] == envelope["startedAt"]


def test_a_job_of_no_length_is_over_at_once(settings, clock, tmp_path):
    opened_rooms = open_services(Settings(data=tmp_path / "other", sync=False, job_seconds=0))
    assert opened_rooms.store.job_ms == 0
    rooms = opened_rooms._replace(store=Store(opened_rooms.store.db, clock, opened_rooms.store.job_ms))
    client = create_app(rooms).test_client()
    client.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]

    envelope = create(client)

    assert (envelope["status"], envelope["stage"]) == ("running", "queued")
    assert job(client, envelope) == envelope | {
        "status": "completed",
        "stage": "finalizing",
        "progress": 1.0,
        "finishedAt": NOW_MS,
        "result": {"influencerId": envelope["influencerId"]},
    }
    assert statuses(client, envelope) == "ready"
    assert client.post(cancel_of(envelope)).json["reason"] == "ALREADY_COMPLETED"
    clock.move(days=-1)
    assert job(client, envelope)["status"] == "completed"
    rooms.store.db.close()


def test_a_store_opened_anew_knows_how_its_jobs_stand(demo, rooms, settings, clock):
    running, over = create(demo), create(demo)
    demo.post(cancel_of(over))
    clock.move(seconds=1)
    seen = [job(demo, running), job(demo, over)]

    with opened(settings.store or settings.data) as store:
        again = create_app(Services(Store(store.db, clock, job_ms=5), rooms.media, settings)).test_client()
        again.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]
        assert [job(again, running), job(again, over)] == seen


@pytest.mark.slow
def test_every_worker_sees_a_job_the_same_and_a_restart_changes_nothing(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, *STAYS_OPEN, STANDIN_JOB_SECONDS="600", STANDIN_SYNC="never") as server:
        one, other = (server.client_of(worker) for worker in server.workers())
        created = one.post(CREATE, json={"name": "Kim"}).json()
        assert other.get(created["locationUrl"]).json()["status"] == "running"
        assert other.post(cancel_of(created)).json() == {"jobId": created["jobId"], "accepted": True}
        canceled = one.get(created["locationUrl"]).json()
        assert canceled["status"] == "canceled"
        running = one.post(CLONE, json={"name": "Kim"}).json()
    with serving(folder, STANDIN_JOB_SECONDS="0", STANDIN_SYNC="never") as server:
        client = server.client()
        assert client.get(created["locationUrl"]).json() == canceled
        assert client.get(running["locationUrl"]).json()["status"] == "running"


moments = st.integers(-(10**7), 10**10)
lengths = st.integers(0, 10**9)


@given(lengths, st.lists(moments, min_size=2))
def test_progress_never_falls_and_stages_never_turn_back(length, times):
    course = new_schedule(0, length)

    states = [state_at(course, moment) for moment in sorted(times)]

    stages, ends = ["queued", "training", "finalizing"], ["running", "completed"]
    for earlier, later in pairwise(states):
        assert earlier.progress <= later.progress
        assert stages.index(earlier.stage) <= stages.index(later.stage)
        assert ends.index(earlier.status) <= ends.index(later.status)
    for state in states:
        assert 0 <= state.progress <= 1
        assert (state.progress == 1) == (state.status == "completed")


@given(lengths, moments, moments)
def test_a_canceled_job_stands_still_where_it_was(length, ended, seen):
    course = cancel(new_schedule(0, length), ended)

    state = state_at(course, seen)

    assert state == ("canceled", *state_at(new_schedule(0, length), ended)[1:3], max(ended, 0))


@given(st.integers(0, 4 * 10**12))
def test_a_moment_is_the_same_in_milliseconds_and_back(number):
    assert epoch_milliseconds(from_epoch_milliseconds(number)) == number


# Portraits


def portrait_of(client, envelope):
    """Return the path of the picture that the list shows of an influencer, or None."""
    items = client.get(CREATE, query_string={"limit": 100}).json["items"]
    url = next(item["thumbnailUrl"] for item in items if item["influencerId"] == envelope["influencerId"])
    return url and urlsplit(url).path


def picture_at(client, path):
    """Return (status, headers, bytes) of a served file, which is closed."""
    with client.get(path, headers={"X-Api-Key": ""}) as response:
        return response.status_code, response.headers, response.data


@pytest.fixture
def ready(demo, clock):
    """Return the envelope of an influencer that is ready, and has no pictures."""
    envelope = create(demo, **{field: WHOLE[field] for field in WHOLE if field != "name"})
    clock.move(seconds=2)
    return envelope


def test_an_influencer_has_a_portrait_once_it_is_ready(demo, clock):
    envelope = create(demo)
    assert portrait_of(demo, envelope) is None
    clock.move(seconds=2)

    status, headers, data = picture_at(demo, portrait_of(demo, envelope))

    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert data.startswith(b"\x89PNG")
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_portrait_is_the_same_bytes_each_time_even_when_its_file_is_gone(demo, ready, settings):
    path = portrait_of(demo, ready)
    _, _, first = picture_at(demo, path)

    assert picture_at(demo, path)[2] == first
    files = list((settings.data / "media").rglob("portrait-*"))
    assert len(files) == 1
    files[0].unlink()
    assert picture_at(demo, path)[2] == first


@pytest.mark.parametrize(
    "field", ["gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle", "style", "vibe"]
)
def test_a_trait_that_changes_gives_a_portrait_another_path(demo, ready, field):
    before = portrait_of(demo, ready)

    demo.patch(f"/v1/influencers/{ready['influencerId']}", json={field: None})

    after = portrait_of(demo, ready)
    assert after != before
    assert picture_at(demo, after)[0] == 200
    assert picture_at(demo, before)[0] == 404


@pytest.mark.parametrize("patch", [{"name": "Lee"}, {"voiceDescription": "x"}, {"personality": {"tone": "x"}}])
def test_what_does_not_show_leaves_a_portrait_where_it_is(demo, ready, patch):
    before = portrait_of(demo, ready)

    demo.patch(f"/v1/influencers/{ready['influencerId']}", json=patch)

    assert portrait_of(demo, ready) == before


def test_nobody_can_guess_where_a_portrait_is(demo, ready, store, organization):
    right = portrait_of(demo, ready)
    mark = right.split("/")[4]
    assert len(mark) == 32
    twin = store.for_organization(organization).any_influencer(ready["influencerId"]) | {"token": "another"}
    not_there = {"status": 404, "code": "NOT_FOUND", "message": "Not found."}

    for path in (
        right.replace(mark, mark[::-1]),
        right.replace(mark, mark[:-1]),
        right.replace(mark, "é"),
        right.replace(organization, str(uuid4())),
        right.replace(right.split("/")[3], "inf_x"),
        portrait_path(twin),
    ):
        assert refused(demo.get(path)) == not_there


def test_the_portrait_of_a_deleted_influencer_is_still_served(demo, ready):
    path = portrait_of(demo, ready)
    before = picture_at(demo, path)[2]

    demo.delete(f"/v1/influencers/{ready['influencerId']}")

    assert picture_at(demo, path)[2] == before


def test_a_reference_image_goes_before_the_portrait(demo, ready):
    path = f"/v1/influencers/{ready['influencerId']}/reference-images"
    demo.post(path, json={"assetIds": AVA_PICTURES[:1]})

    assert AVA_PICTURES[0] in portrait_of(demo, ready)
