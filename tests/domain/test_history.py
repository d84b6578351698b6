"""The history of an influencer: each change with when, by whom and how, before and after; for archived ones too."""

from functools import partial
from itertools import pairwise

import pytest
from api_helpers import AVA_PICTURES, SOL, SPRING, SUMMER, key_of, living, new_organization, refused
from conftest import AVA, AVA_PATH, DEMO
from control_helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st
from servers import STAYS_OPEN, serving, together

from layers_standin.domain.history import KEPT, difference
from store import INFLUENCER_FIELDS

pytestmark = pytest.mark.postgres

NOW = "2026-04-18T09:18:44.120Z"
TWIN = "0d5f7d2e-8d5a-4a77-9b2e-3a3d1c0b9f10"
INFLUENCERS = f"/v1/projects/{SPRING}/influencers"
NOT_FOUND = {"status": 404, "code": "NOT_FOUND", "message": "Influencer not found."}


def history_of(control, influencer_id=AVA, **query):
    return control.get(f"/influencers/{influencer_id}/history", **query)


def changes_of(control, influencer_id=AVA, **query):
    return history_of(control, influencer_id, **query)["changes"]


def key_id(store, headers=DEMO):
    return store.keys.find(headers["X-Api-Key"].split("_")[2])["apiKeyId"]


def worked(response):
    """Return what a change says of itself once it has worked: with which request, and the reply."""
    assert response.status_code in (200, 202), response.text
    return response.headers["X-Request-Id"], response.json


# What a difference is


documents = st.dictionaries(
    st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 2), st.lists(st.integers(0, 1)))
)


@given(documents, documents)
def test_a_difference_is_what_has_to_be_said_to_make_one_of_the_other(before, after):
    was, became = difference(before, after)

    assert {name: value for name, value in before.items() if name not in was} | became == after
    assert {name: value for name, value in after.items() if name not in became} | was == before
    assert all(was.get(name, ...) != became.get(name, ...) for name in was | became)
    assert difference(before, before) == ({}, {})


# What is told


def test_a_change_is_told_with_when_by_whom_and_how(control, demo, store, organization):
    request_id, shown = worked(demo.patch(AVA_PATH, json={"vibe": "festive", "personality": {"tone": "dry"}}))

    personality = {key: value for key, value in shown["personality"].items() if key != "tone"}
    assert history_of(control) == {
        "influencerId": AVA,
        "organizationId": organization,
        "isArchived": False,
        "deletion": None,
        "influencer": shown,
        "changes": [
            {
                "revision": 1,
                "at": NOW,
                "operation": "patchInfluencer",
                "apiKeyId": key_id(store),
                "requestId": request_id,
                "before": {"vibe": "calm and curious", "personality": personality | {"tone": "friendly"}},
                "after": {"vibe": "festive", "personality": personality | {"tone": "dry"}},
            }
        ],
    }


def test_one_nobody_has_changed_has_no_history(control, demo, organization):
    assert history_of(control, SOL) == {
        "influencerId": SOL,
        "organizationId": organization,
        "isArchived": False,
        "deletion": None,
        "influencer": demo.get(f"/v1/influencers/{SOL}").json,
        "changes": [],
    }


def test_a_whole_life_is_told_newest_first(control, demo, store, clock):
    created, job = worked(demo.post(INFLUENCERS, json={"name": "Kim", "vibe": "shy"}))
    its = job["influencerId"]
    path = f"/v1/influencers/{its}"
    first = demo.get(path).json
    clock.move(seconds=10)
    patched, _ = worked(demo.patch(path, json={"vibe": None, "name": "Kim"}))
    attached, _ = worked(demo.post(f"{path}/reference-images", json={"assetIds": AVA_PICTURES[:1]}))
    clock.move(seconds=10)
    deleted, _ = worked(demo.delete(path, json={"reason": "Partner requested deletion."}))

    told = history_of(control, its)

    deletion = {
        "reason": "Partner requested deletion.",
        "apiKeyId": key_id(store),
        "deletedAt": "2026-04-18T09:19:04Z",
    }
    assert (told["isArchived"], told["deletion"]) == (True, deletion)
    assert [
        (change["revision"], change["requestId"], change["operation"], change["at"]) for change in told["changes"]
    ] == [
        (4, deleted, "deleteInfluencer", "2026-04-18T09:19:04.120Z"),
        (3, attached, "attachReferenceImages", "2026-04-18T09:18:54.120Z"),
        (2, patched, "patchInfluencer", "2026-04-18T09:18:54.120Z"),
        (1, created, "createInfluencer", NOW),
    ]
    assert {change["apiKeyId"] for change in told["changes"]} == {key_id(store)}
    whole = {name: first[name] for name in INFLUENCER_FIELDS if name != "updatedAt"}
    reference = {"assetId": AVA_PICTURES[0], "addedAt": "2026-04-18T09:18:54Z"}
    assert [(change["before"], change["after"]) for change in told["changes"]] == [
        ({}, {"deletion": deletion}),
        ({"referenceImages": []}, {"referenceImages": [reference]}),
        ({"vibe": "shy"}, {"vibe": None}),
        (None, whole),
    ]


def test_a_clone_and_a_canceled_job_are_told(control, demo):
    _, job = worked(demo.post(f"{AVA_PATH}/clone", json={"name": "Eve"}))
    worked(demo.post(f"/v1/jobs/{job['jobId']}/cancel"))

    told = changes_of(control, job["influencerId"])

    assert [(change["operation"], change["before"]) for change in told] == [
        ("cancelJob", {"status": "pending"}),
        ("cloneInfluencer", None),
    ]
    assert (told[0]["after"], told[1]["after"]["name"]) == ({"status": "failed"}, "Eve")
    assert changes_of(control) == []


def test_who_deletes_without_a_reason_is_told_all_the_same(control, demo, store):
    worked(demo.delete(AVA_PATH))

    deletion = {"reason": None, "apiKeyId": key_id(store), "deletedAt": "2026-04-18T09:18:44Z"}
    assert history_of(control)["deletion"] == deletion
    assert demo.get(AVA_PATH).status_code == 404


def test_each_change_is_told_of_the_key_it_was_made_with(control, client, store, organization):
    keys = [key_of(store, organization, "*") for _ in range(3)]
    for number, key in enumerate(keys):
        worked(client.patch(AVA_PATH, json={"vibe": str(number)}, headers=key))
    store.for_organization(organization).keys.delete(key_id(store, keys[0]))

    assert [change["apiKeyId"] for change in changes_of(control)] == [key_id(store, key) for key in reversed(keys)]


def test_changes_are_told_by_the_clock_they_were_made_by(control, demo, organization):
    control.put("/clock", mode="frozen", at="2030-01-01T00:00:00.5Z", organizationId=organization)
    worked(demo.patch(AVA_PATH, json={"vibe": "x"}))

    assert [change["at"] for change in changes_of(control)] == ["2030-01-01T00:00:00.500Z"]


def test_an_influencer_made_by_no_request_has_been_so_from_the_beginning(control, store, organization):
    store.tables.put("influencers", living(organization, TWIN))

    assert changes_of(control, TWIN) == []


# What changes nothing is not told


def test_what_is_refused_is_no_change(control, demo):
    for response in (
        demo.patch(AVA_PATH, json={"vibe": 1}),
        demo.patch(AVA_PATH, json={}),
        demo.delete(AVA_PATH, json={"why": "x"}),
        demo.post(f"{AVA_PATH}/clone", json={"name": "x", "newInfluencerId": SOL}),
        demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Prefer": "code=INTERNAL"}),
    ):
        assert response.status_code >= 400

    assert (changes_of(control), changes_of(control, SOL)) == ([], [])


def test_to_attach_nothing_is_no_change(control, demo):
    worked(demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": ["asset_unknown"]}))

    assert changes_of(control) == []


def test_a_repetition_is_no_change(control, demo, clock):
    once = {"Idempotency-Key": "once"}
    first, _ = worked(demo.patch(AVA_PATH, json={"vibe": "x"}, headers=once))
    clock.move(hours=1)
    again = demo.patch(AVA_PATH, json={"vibe": "x"}, headers=once)
    assert again.headers["Idempotent-Replayed"] == "true"

    assert [change["requestId"] for change in changes_of(control)] == [first]


def test_to_look_is_no_change(control, demo, on_disk):
    worked(demo.patch(AVA_PATH, json={"vibe": "x"}))
    before = on_disk.read_bytes()
    history_of(control)
    demo.get(AVA_PATH)

    assert on_disk.read_bytes() == before


# How much is kept


def test_the_last_hundred_changes_are_kept(control, demo, store, organization):
    for number in range(1, KEPT + 6):
        worked(demo.patch(AVA_PATH, json={"vibe": str(number)}))

    told = changes_of(control)

    assert [change["revision"] for change in told] == list(range(KEPT + 5, 5, -1))
    assert [change["after"]["vibe"] for change in told] == [str(number) for number in range(KEPT + 5, 5, -1)]
    assert store.db.count("history", organization) == KEPT


def test_no_reply_of_the_api_tells_the_revision(demo):
    replies = [
        demo.patch(AVA_PATH, json={"vibe": "x"}),
        demo.get(AVA_PATH),
        demo.get(INFLUENCERS),
        demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES}),
        demo.post(f"{AVA_PATH}/clone", json={"name": "Eve"}),
        demo.delete(AVA_PATH),
    ]

    assert [reply.status_code for reply in replies] == [200, 200, 200, 200, 202, 200]
    assert [reply for reply in replies if "revision" in reply.text] == []


# Whose it is


@pytest.fixture
def twins(client, control):
    """Return the ids of two organizations, each of which has an influencer of one and the same id, and their keys."""
    found = []
    for name in ("one", "other"):
        organization, key = control.organization()
        project = client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key).json["id"]
        body = {"name": name, "influencerId": TWIN}
        worked(client.post(f"/v1/projects/{project}/influencers", json=body, headers=key))
        found.append((organization, key))
    return found


def test_an_id_that_several_have_is_asked_for_with_its_organization(control, client, twins):
    (one, key), (other, _) = twins
    worked(client.patch(f"/v1/influencers/{TWIN}", json={"vibe": "x"}, headers=key))

    assert refused(control.send("GET", f"/influencers/{TWIN}/history")) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "Several organizations have an influencer of this id: say organizationId.",
        "details": {"subcode": "AMBIGUOUS"},
    }
    told = [history_of(control, TWIN, organizationId=organization) for organization in (one, other)]
    assert [each["organizationId"] for each in told] == [one, other]
    assert [len(each["changes"]) for each in told] == [2, 1]
    control.delete(f"/organizations/{other}")
    assert history_of(control, TWIN) == told[0]


def test_an_organization_s_influencer_is_not_found_in_another(control, store, organization):
    other = new_organization(store)

    assert history_of(control, organizationId=organization)["influencerId"] == AVA
    assert refused(control.send("GET", f"/influencers/{AVA}/history", query={"organizationId": other})) == NOT_FOUND


@pytest.mark.parametrize("unknown", ["x", "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FH", SUMMER, f"{AVA}%231", f"{AVA}#1", "%00"])
def test_there_is_no_history_of_who_is_not_there(control, demo, unknown):
    worked(demo.patch(AVA_PATH, json={"vibe": "x"}))

    assert refused(control.send("GET", f"/influencers/{unknown.replace('#', '%23')}/history")) == NOT_FOUND


def test_there_is_no_history_in_an_organization_that_is_not_there(control):
    for nobody in ("x", "*", ""):
        response = control.send("GET", f"/influencers/{AVA}/history", query={"organizationId": nobody})
        assert refused(response) == NOT_FOUND | {"message": "Organization not found."}


def test_a_uuid_may_be_in_any_case(control, demo):
    worked(demo.patch(f"/v1/influencers/{SOL.upper()}", json={"vibe": "x"}))

    assert history_of(control, SOL.upper()) == history_of(control, SOL)
    assert [change["after"] for change in changes_of(control, SOL)] == [{"vibe": "x"}]


# On a real service with several workers


@pytest.mark.slow
def test_of_many_changes_at_once_each_is_told_once_and_all_by_every_worker_and_after_a_crash(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2") as server:
        workers = [server.client_of(worker) for worker in server.workers()]
        crowd = workers + [server.client() for _ in range(6)]

        def change(name, client):
            replies = [client.patch(AVA_PATH, json={"vibe": f"{name}-{number}"}) for number in range(5)]
            return [reply.raise_for_status().headers["X-Request-Id"] for reply in replies]

        made = together(partial(change, name, client) for name, client in enumerate(crowd))
        told = [client.get(f"{ROOT}/influencers/{AVA}/history").json() for client in workers]
    with serving(folder, WEB_CONCURRENCY="1") as server:
        assert server.client().get(f"{ROOT}/influencers/{AVA}/history").json()["changes"] == told[0]["changes"]

    assert told[0] == told[1]
    changes = told[0]["changes"]
    assert [change["revision"] for change in changes] == list(range(40, 0, -1))
    assert sorted(change["requestId"] for change in changes) == sorted(each for ids in made for each in ids)
    # What one change left is what the next one found.
    for later, earlier in pairwise(changes):
        assert later["before"]["vibe"] == earlier["after"]["vibe"]
