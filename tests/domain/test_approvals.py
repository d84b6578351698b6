"""Approval: the policy of a project, what waits for it, and what the clock approves."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from api_helpers import SPRING, invalid, refused, unchanged
from conftest import DEMO

from layers_standin.domain.keys import DEMO_KEY, public_id_of

pytestmark = pytest.mark.postgres

CONTENT = f"/v1/projects/{SPRING}/content"
POLICY = f"/v1/projects/{SPRING}/approval-policy"
SLIDES = {"format": "slideshow_remix"}


def generate(client, **body):
    return client.post(CONTENT, json=body).json["containerId"]


def status(client, container):
    found = client.get(f"/v1/content/{container}").json["approvalStatus"]
    (item,) = [each for each in client.get(CONTENT).json["items"] if each["id"] == container]
    assert item["approvalStatus"] == found
    return found


def decide(client, container, how="approve", **body):
    return client.post(f"/v1/content/{container}/{how}", json=body)


def blocked(client):
    project = client.get(f"/v1/projects/{SPRING}").json
    return project["requiresApproval"], project["firstNPostsBlocked"], project["currentBlockedCount"]


@pytest.fixture
def by(store):
    return f"api_key_{store.keys.find(public_id_of(DEMO_KEY))['apiKeyId']}"


def already(what):
    message = "Container needs no approval." if what == "not_required" else f"Container is already {what}."
    return {"status": 409, "code": "CONFLICT", "message": message, "details": {"approvalStatus": what}}


# The policy


def test_without_a_policy_nothing_has_to_be_approved(demo):
    project = demo.get(f"/v1/projects/{SPRING}").json
    nothing = {"requiresApproval": False, "firstNPostsBlocked": None, "autoApproveAfter": None}
    expected = {"projectId": SPRING} | nothing | {"updatedAt": project["createdAt"]}
    assert list(demo.get(POLICY).json.items()) == list(expected.items())
    assert blocked(demo) == (False, 0, 0)
    container = generate(demo)

    assert status(demo, container) == "not_required"
    assert refused(decide(demo, container)) == already("not_required")
    assert refused(decide(demo, container, "reject", reason="x")) == already("not_required")


def test_a_patch_changes_only_the_given_fields_and_null_clears(demo):
    demo.patch(POLICY, json={"requiresApproval": True, "firstNPostsBlocked": 3, "autoApproveAfter": "PT90M"})

    changed = demo.patch(POLICY, json={"firstNPostsBlocked": None}).json

    at = {"updatedAt": "2026-04-18T09:18:44Z"}
    expected = {"requiresApproval": True, "firstNPostsBlocked": None, "autoApproveAfter": "PT90M"}
    assert changed == demo.get(POLICY).json == {"projectId": SPRING} | expected | at
    assert blocked(demo) == (True, 0, 0)


@pytest.mark.parametrize(
    ("body", "fields", "form"),
    [
        ({}, {}, ["At least one field is required"]),
        ({"requiresApproval": None}, {"requiresApproval": ["Expected boolean, received null"]}, []),
        ({"firstNPostsBlocked": 51}, {"firstNPostsBlocked": ["Number must be less than or equal to 50"]}, []),
        ({"firstNPostsBlocked": -1}, {"firstNPostsBlocked": ["Number must be greater than or equal to 0"]}, []),
        ({"autoApproveAfter": "1 day"}, {"autoApproveAfter": ["Invalid duration"]}, []),
        ({"autoApproveAfter": "P1M"}, {"autoApproveAfter": ["Invalid duration"]}, []),
        ({"autoApproveAfter": "-PT1H"}, {"autoApproveAfter": ["Invalid duration"]}, []),
        ({"autoApproveAfter": f"P{'9' * 100}D"}, {"autoApproveAfter": ["Invalid duration"]}, []),
        *[
            ({"autoApproveAfter": text}, {"autoApproveAfter": ["Invalid duration"]}, [])
            for text in ("PT", "P1DT", "P1D\n", "-PT0S", "+P1D", "P1.5D", "PT1,5H")
        ],
        ({"autoApproveAfter": 60}, {"autoApproveAfter": ["Expected string, received number"]}, []),
        ({"updatedAt": "x"}, {"updatedAt": ["Unrecognized key"]}, []),
    ],
)
def test_a_policy_that_is_wrong_is_refused(demo, on_disk, body, fields, form):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.patch(POLICY, json=body)) == invalid(*form, **fields)
    assert is_unchanged()


def test_the_longest_period_ends_with_time_itself(demo, clock):
    demo.patch(POLICY, json={"requiresApproval": True, "autoApproveAfter": "P999999W"})
    container = generate(demo)
    clock.move(days=1000)

    assert status(demo, container) == "pending"


# Decisions


def test_an_approval_and_a_rejection_say_who_and_when(demo, clock, by):
    demo.patch(POLICY, json={"requiresApproval": True})
    one, other = generate(demo), generate(demo)
    assert (status(demo, one), status(demo, other)) == ("pending", "pending")
    clock.move(seconds=1)

    at = "2026-04-18T09:18:45.120Z"
    approved = {"id": one, "approvalStatus": "approved", "approvedAt": at, "approvedBy": by}
    rejected = {"id": other, "approvalStatus": "rejected", "rejectedAt": at, "rejectedBy": by, "reason": "Off brand."}
    assert list(decide(demo, one, note="Lovely.").json.items()) == list(approved.items())
    assert list(decide(demo, other, "reject", reason="Off brand.").json.items()) == list(rejected.items())
    for container, what in ((one, "approved"), (other, "rejected")):
        assert status(demo, container) == what
        assert refused(decide(demo, container)) == already(what)
        assert refused(decide(demo, container, "reject", reason="x")) == already(what)


@pytest.mark.parametrize(
    ("how", "body", "errors"),
    [
        ("approve", {"note": "x" * 1025}, {"note": ["String must contain at most 1024 character(s)"]}),
        ("approve", {"reason": "x"}, {"reason": ["Unrecognized key"]}),
        ("reject", {}, {"reason": ["Required"]}),
        ("reject", {"reason": ""}, {"reason": ["String must contain at least 1 character(s)"]}),
        ("reject", {"reason": "x" * 1025}, {"reason": ["String must contain at most 1024 character(s)"]}),
    ],
)
def test_a_decision_that_is_wrong_is_refused(demo, on_disk, how, body, errors):
    demo.patch(POLICY, json={"requiresApproval": True})
    container = generate(demo)
    is_unchanged = unchanged(on_disk)

    assert refused(decide(demo, container, how, **body)) == invalid(**errors)
    assert is_unchanged()


def test_of_twelve_that_approve_and_reject_at_once_one_wins(app, demo):
    demo.patch(POLICY, json={"firstNPostsBlocked": 5})
    container = generate(demo)

    def send(number):
        client = app.test_client()
        how, body = ("approve", {}) if number % 2 else ("reject", {"reason": "x"})
        return how, client.post(f"/v1/content/{container}/{how}", json=body, headers=DEMO)

    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(send, range(12)))

    ((how, won),) = [each for each in replies if each[1].status_code == 200]
    what = won.json["approvalStatus"]
    assert {"approve": "approved", "reject": "rejected"}[how] == what == status(demo, container)
    assert all(refused(reply) == already(what) for _, reply in replies if reply is not won)
    assert blocked(demo) == (False, 5, 4 if how == "approve" else 5)


def test_approval_is_another_matter_than_the_status(demo, clock):
    demo.patch(POLICY, json={"requiresApproval": True})
    job = demo.post(CONTENT, json={}).json
    demo.post(f"{job['locationUrl']}/cancel")

    assert decide(demo, job["containerId"]).status_code == 200
    assert demo.get(f"/v1/content/{job['containerId']}").json["status"] == "canceled"


def test_regenerating_asks_again_where_the_policy_does(demo, clock):
    demo.patch(POLICY, json={"requiresApproval": True})
    container = generate(demo)
    decide(demo, container)
    clock.move(seconds=2)
    again = f"/v1/content/{container}/regenerate"
    assert demo.post(again, json={"preserveAssets": True}).status_code == 202
    assert status(demo, container) == "pending"
    decide(demo, container, "reject", reason="x")
    demo.patch(POLICY, json={"requiresApproval": False})
    clock.move(seconds=2)

    demo.post(again, json={"preserveAssets": True})

    assert status(demo, container) == "not_required"


# The first N


def test_the_first_containers_wait_until_as_many_were_approved(demo):
    demo.patch(POLICY, json={"firstNPostsBlocked": 2})
    first, second, third = (generate(demo) for _ in range(3))
    assert blocked(demo) == (False, 2, 2)
    decide(demo, first, "reject", reason="x")
    assert blocked(demo) == (False, 2, 2)
    decide(demo, second)
    assert blocked(demo) == (False, 2, 1)
    assert status(demo, generate(demo)) == "pending"
    decide(demo, third)

    assert blocked(demo) == (False, 2, 0)
    assert status(demo, generate(demo)) == "not_required"
    demo.patch(POLICY, json={"firstNPostsBlocked": 1})
    assert blocked(demo) == (False, 1, 1)
    assert status(demo, generate(demo)) == "pending"


# By the clock


def test_the_clock_approves_and_takes_it_back_when_it_is_set_back(demo, clock):
    demo.patch(POLICY, json={"requiresApproval": True, "autoApproveAfter": "PT1H"})
    container = generate(demo)
    clock.move(seconds=2, minutes=59, milliseconds=59_999)
    assert status(demo, container) == "pending"
    clock.move(milliseconds=1)
    assert status(demo, container) == "approved"
    assert refused(decide(demo, container)) == already("approved")
    clock.move(seconds=-1)
    assert status(demo, container) == "pending"
    assert decide(demo, container, "reject", reason="x").status_code == 200
    clock.move(days=1)
    assert status(demo, container) == "rejected"


def test_the_clock_lowers_the_counter_without_a_write(demo, on_disk, clock):
    demo.patch(POLICY, json={"firstNPostsBlocked": 3, "autoApproveAfter": "PT0S"})
    made = []
    for _ in range(4):
        made.append(generate(demo))
        clock.move(milliseconds=500)
    is_unchanged = unchanged(on_disk)
    seen = []
    for _ in range(5):
        seen.append((blocked(demo)[2], [status(demo, each) for each in made].count("approved")))
        clock.move(milliseconds=500)

    assert seen == [(2, 1), (1, 2), (0, 3), (0, 4), (0, 4)]
    assert is_unchanged()
    assert status(demo, generate(demo)) == "not_required"
    clock.move(seconds=-2)
    assert blocked(demo)[2] == 1


def test_making_again_what_was_approved_by_the_clock_does_not_raise_the_counter(demo, clock):
    demo.patch(POLICY, json={"firstNPostsBlocked": 2, "autoApproveAfter": "PT0S"})
    container = generate(demo)
    clock.move(seconds=3)
    assert blocked(demo)[2] == 1

    assert demo.post(f"/v1/content/{container}/regenerate", json={}).status_code == 202

    assert (status(demo, container), blocked(demo)[2]) == ("pending", 1)
    clock.move(seconds=3)
    assert (status(demo, container), blocked(demo)[2]) == ("approved", 0)


def test_a_new_number_counts_only_what_is_approved_from_then_on(demo, clock):
    demo.patch(POLICY, json={"firstNPostsBlocked": 2, "autoApproveAfter": "PT0S"})
    generate(demo)
    clock.move(seconds=3)
    assert blocked(demo)[2] == 1

    demo.patch(POLICY, json={"firstNPostsBlocked": 2})

    assert blocked(demo)[2] == 2
    generate(demo)
    clock.move(seconds=3)
    assert blocked(demo)[2] == 1


def test_content_that_does_not_end_well_is_not_approved_by_the_clock(demo, control, clock):
    demo.patch(POLICY, json={"firstNPostsBlocked": 2, "autoApproveAfter": "PT0S"})
    failure = {"code": "X", "message": "x"}
    control.post("/faults", match={"operation": "generateContent"}, times=1, answer={"failJob": failure})
    failed, job = generate(demo), demo.post(CONTENT, json={}).json
    demo.post(f"{job['locationUrl']}/cancel")
    clock.move(days=1)

    assert [status(demo, each) for each in (failed, job["containerId"])] == ["pending", "pending"]
    assert blocked(demo)[2] == 2


def test_a_policy_holds_for_what_is_generated_after_it(demo, clock):
    before = generate(demo)
    demo.patch(POLICY, json={"requiresApproval": True})
    between = generate(demo)
    demo.patch(POLICY, json={"autoApproveAfter": "PT0S"})
    after = generate(demo)
    clock.move(seconds=2)

    assert [status(demo, each) for each in (before, between, after)] == ["not_required", "pending", "approved"]
