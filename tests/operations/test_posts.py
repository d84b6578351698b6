"""Scheduled posts as clients see them: scheduled, waiting, moved, canceled, published, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from api_helpers import SPRING, SUMMER, invalid, key_of, new_organization, refused, unchanged
from conftest import AVA_PATH, DEMO
from content_helpers import made_content
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.domain.times import from_epoch_milliseconds
from layers_standin.operations.posts_schemas import ScheduleContent

on_both = pytest.mark.postgres

TIKTOK, INSTAGRAM = "sa_01HXZ9P2M4N5KCN6T7V8WXYZ9A", "sa_01HXZ9QAM6P8R0S2T4V6W8X0Y2"
SUMMERS = "sa_01HXZ9RBN7Q9S1T3V5W7X9Y1Z3"
POSTS = f"/v1/projects/{SPRING}/scheduled-posts"
TOMORROW = "2026-04-19T09:00:00Z"
NO_CONTAINER = {"status": 404, "code": "NOT_FOUND", "message": "Container not found."}
NO_POST = {"status": 404, "code": "NOT_FOUND", "message": "Scheduled post not found."}
NO_ACCOUNT = {"status": 404, "code": "NOT_FOUND", "message": "Social account not found."}
HOSTILE = '</p><script>alert(1)</script>{{ 7 * 7 }}<img src=x onerror="x">'


def on(account: str = TIKTOK, mode: str = "direct_publish", **fields: Any) -> dict[str, Any]:
    return {"socialAccountId": account, "mode": mode} | fields


def schedule(client, container, *targets, at=TOMORROW, **options):
    body = {"scheduledFor": at, "targets": list(targets or [on()])}
    return client.post(f"/v1/content/{container['id']}/schedule", json=body, **options)


def scheduled(client, container, *targets, at=TOMORROW):
    response = schedule(client, container, *targets, at=at)
    assert (response.status_code, response.json["gateStatus"]) == (202, "scheduled")
    return response.json["scheduledPosts"]


def read(client, post):
    response = client.get(f"/v1/scheduled-posts/{post['id']}")
    assert response.status_code == 200
    return response.json


def listed(client, path=POSTS, **query):
    response = client.get(path, query_string=query)
    assert response.status_code == 200
    return [post["id"] for post in response.json["items"]]


@pytest.fixture
def make(rooms, organization):
    """Return a function that puts completed content, whose approval is as told."""

    def make(approval="not_required", **fields):
        container, _ = made_content(rooms, organization, SPRING)
        container |= {"approval": {"status": approval} | fields.pop("approves", {})} | fields
        rooms.store.tables.put("containers", container)
        return container

    return make


def to(clock, moment: str) -> None:
    """Move the clock to a time of day, 18 April, or of the day after."""
    clock.moment = from_epoch_milliseconds(ScheduleContent().fields["scheduledFor"].deserialize(moment))


# From the schedule to the post


@on_both
def test_content_is_scheduled_on_each_account_in_its_own_words(demo, make):
    container = make(caption="Spring is here", firstComment="#spring")
    other = on(
        INSTAGRAM,
        "reels",
        scheduledPostId="3F0B4C39-9c55-4f3a-8f0f-7d116f1c2f5e",
        captionOverride="Hello",
        firstCommentOverride="",
    )

    response = schedule(demo, container, on(), other)

    assert response.status_code == 202
    first, second = response.json["scheduledPosts"]
    assert response.json == {
        "containerId": container["id"],
        "gateStatus": "scheduled",
        "scheduledPosts": [first, second],
    }
    assert first == {
        "id": first["id"],
        "containerId": container["id"],
        "socialAccountId": TIKTOK,
        "platform": "tiktok",
        "mode": "direct_publish",
        "status": "queued",
        "caption": "Spring is here",
        "firstComment": "#spring",
        "externalId": None,
        "externalUrl": None,
        "scheduledFor": TOMORROW,
        "attemptedAt": None,
        "publishedAt": None,
        "canceledAt": None,
        "lastError": None,
        "createdAt": "2026-04-18T09:18:44Z",
        "updatedAt": "2026-04-18T09:18:44Z",
    }
    assert first["id"].startswith("sp_")
    assert second == first | {
        "id": "3F0B4C39-9c55-4f3a-8f0f-7d116f1c2f5e",
        "socialAccountId": INSTAGRAM,
        "platform": "instagram",
        "mode": "reels",
        "caption": "Hello",
        "firstComment": "",
    }
    assert read(demo, first) == first
    assert read(demo, {"id": second["id"].lower()}) == second


@on_both
def test_a_post_goes_out_by_the_clock_and_back_with_it(demo, make, clock):
    (post,) = scheduled(demo, make())
    to(clock, TOMORROW)
    publishing = read(demo, post)
    assert publishing == post | {"status": "publishing", "attemptedAt": TOMORROW, "updatedAt": TOMORROW}
    clock.move(seconds=2)
    published = read(demo, post)
    assert published == publishing | {
        "status": "published",
        "publishedAt": "2026-04-19T09:00:02Z",
        "updatedAt": "2026-04-19T09:00:02Z",
        "externalId": published["externalId"],
        "externalUrl": published["externalUrl"],
    }
    clock.move(days=365)
    assert read(demo, post) == published
    to(clock, "2026-04-19T08:59:59Z")
    assert read(demo, post) == post


def test_a_draft_ends_in_the_inbox_and_is_nowhere_to_be_seen(demo, make, clock):
    (post,) = scheduled(demo, make(), on(mode="draft_to_device"))
    clock.move(days=2)
    assert read(demo, post) == post | {
        "status": "draft_in_inbox",
        "attemptedAt": TOMORROW,
        "updatedAt": "2026-04-19T09:00:02Z",
    }


@pytest.mark.parametrize("at", ["2026-04-18T09:18:44.120Z", "2020-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"])
def test_a_time_in_the_past_is_now(demo, make, clock, at):
    (post,) = scheduled(demo, make(), at=at)
    assert post["status"] == "publishing"
    assert post["attemptedAt"] == "2026-04-18T09:18:44Z"
    clock.move(seconds=2)
    assert read(demo, post)["publishedAt"] == "2026-04-18T09:18:46Z"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00Z"),
        ("2026-05-01T12:00:00.120Z", "2026-05-01T12:00:00.120Z"),
        ("9999-12-01T00:00:00Z", "9999-12-01T00:00:00Z"),
    ],
)
def test_a_time_is_shown_as_it_was_given_in_utc(demo, make, given, shown):
    assert scheduled(demo, make(), at=given)[0]["scheduledFor"] == shown


def test_publish_is_in_half_a_minute(demo, make, clock):
    container = make()
    response = demo.post(f"/v1/content/{container['id']}/publish", json={"targets": [on()]})
    (post,) = response.json["scheduledPosts"]
    assert response.status_code == 202
    assert response.json == {"containerId": container["id"], "gateStatus": "scheduled", "scheduledPosts": [post]}
    assert post["scheduledFor"] == "2026-04-18T09:19:14.120Z"
    clock.move(seconds=32)
    assert read(demo, post)["status"] == "published"


def test_a_repeated_request_schedules_once(demo, make):
    headers = {"Idempotency-Key": "once"}
    container = make()
    first, second = (schedule(demo, container, headers=headers) for _ in range(2))
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.data == first.data
    assert len(listed(demo)) == 1


def test_caption_and_pictures_stay_those_of_the_schedule(demo, make, store, clock):
    container = make(caption="Before")
    (post,) = scheduled(demo, container)
    store.tables.put("containers", container | {"caption": "After", "assets": []})
    clock.move(days=2)
    published = read(demo, post)
    assert published["caption"] == "Before"
    html = demo.get(urlsplit(published["externalUrl"]).path).text
    assert "Before" in html
    assert container["assets"][0]["path"] in html


def test_posts_do_not_look_whether_the_influencer_lives(demo, make, clock):
    container = make(influencerId=AVA_PATH.rpartition("/")[2])
    before = scheduled(demo, container)
    assert demo.delete(AVA_PATH, json={"reason": "Gone."}).status_code == 200
    after = scheduled(demo, container)
    clock.move(days=2)
    assert [read(demo, post)["status"] for post in (*before, *after)] == ["published", "published"]


# Approval


@on_both
def test_a_schedule_waits_for_approval_and_is_promoted_by_it(demo, make, clock):
    container = make("pending", caption="Before")
    response = schedule(demo, container, on(), on(INSTAGRAM, "feed"))
    assert response.status_code == 202
    assert response.json == {"containerId": container["id"], "gateStatus": "blocked_on_approval", "scheduledPosts": []}
    assert listed(demo) == []
    clock.move(hours=1)

    approved = demo.post(f"/v1/content/{container['id']}/approve").json

    ids = approved["pendingSchedulePromotion"]["scheduledPostIds"]
    assert approved["pendingSchedulePromotion"] == {"status": "ok", "scheduledPostIds": ids}
    posts = [read(demo, {"id": each}) for each in ids]
    assert {post["socialAccountId"] for post in posts} == {TIKTOK, INSTAGRAM}
    assert {(post["status"], post["scheduledFor"], post["createdAt"]) for post in posts} == {
        ("queued", TOMORROW, "2026-04-18T10:18:44Z")
    }
    clock.move(days=2)
    assert [read(demo, {"id": each})["status"] for each in ids] == ["published", "published"]


def test_an_approval_after_the_time_publishes_at_once(demo, make, clock):
    container = make("pending")
    schedule(demo, container)
    clock.move(days=2)
    assert listed(demo) == []
    (post_id,) = demo.post(f"/v1/content/{container['id']}/approve").json["pendingSchedulePromotion"][
        "scheduledPostIds"
    ]
    post = read(demo, {"id": post_id})
    assert (post["status"], post["attemptedAt"]) == ("publishing", "2026-04-20T09:18:44Z")


def test_without_a_schedule_an_approval_promotes_nothing(demo, make):
    assert "pendingSchedulePromotion" not in demo.post(f"/v1/content/{make('pending')['id']}/approve").json


def test_a_rejection_forgets_the_schedule(demo, make, clock, store, organization):
    container = make("pending")
    schedule(demo, container)
    demo.post(f"/v1/content/{container['id']}/reject", json={"reason": "No."})
    clock.move(days=2)
    assert listed(demo) == []
    assert store.db.count("posts", organization) == 0
    assert refused(schedule(demo, container)) == {
        "status": 409,
        "code": "CONTENT_REJECTED",
        "message": "The container was rejected.",
        "details": {"containerId": container["id"]},
    }


@on_both
def test_an_approval_by_the_clock_promotes_by_the_clock(demo, make, clock):
    noon = 1_776_513_600_000
    container = make("pending", approves={"autoMs": noon})
    assert schedule(demo, container, at="2026-04-18T11:00:00Z").json["gateStatus"] == "blocked_on_approval"
    to(clock, "2026-04-18T11:59:59Z")
    assert listed(demo) == []
    to(clock, "2026-04-18T12:00:00Z")
    (post_id,) = listed(demo)
    post = read(demo, {"id": post_id})
    assert (post["status"], post["createdAt"], post["attemptedAt"]) == ("publishing", *["2026-04-18T12:00:00Z"] * 2)
    to(clock, "2026-04-18T12:00:02Z")
    assert listed(demo, status="published") == [post_id]
    to(clock, "2026-04-18T11:59:59Z")
    assert refused(demo.get(f"/v1/scheduled-posts/{post_id}")) == NO_POST


def test_publishing_what_is_not_approved_is_refused_and_nothing_waits(demo, make, on_disk):
    container = make("pending")
    is_unchanged = unchanged(on_disk)
    response = demo.post(f"/v1/content/{container['id']}/publish", json={"targets": [on()]})
    assert refused(response) == {
        "status": 403,
        "code": "APPROVAL_REQUIRED",
        "message": "The container is not approved.",
        "details": {"containerId": container["id"], "approvalStatus": "pending"},
    }
    assert is_unchanged()


@pytest.mark.parametrize("field", ["project", "account"])
def test_a_waiting_schedule_fails_when_its_project_or_account_goes(demo, make, field):
    container = make("pending")
    schedule(demo, container)
    gone = demo.delete(f"/v1/projects/{SPRING}" if field == "project" else f"/v1/social-accounts/{TIKTOK}")
    assert gone.json["canceledScheduledPosts"] == 0
    if field == "project":
        assert demo.patch(f"/v1/projects/{SPRING}", json={"status": "active"}).status_code == 200
    approved = demo.post(f"/v1/content/{container['id']}/approve").json
    assert approved["pendingSchedulePromotion"] == {"status": "failed", "scheduledPostIds": []}
    assert listed(demo) == []


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        ({"requiresApproval": True}, []),
        ({"requiresApproval": True, "autoApproveAfter": "PT1H"}, ["published"]),
        ({"requiresApproval": False}, ["published"]),
    ],
    ids=str,
)
def test_content_made_again_has_its_waiting_schedule_wait_for_the_new_approval(demo, make, clock, policy, shown):
    container = make("pending", approves={"autoMs": 1_776_513_600_000})
    schedule(demo, container)
    assert demo.patch(f"/v1/projects/{SPRING}/approval-policy", json=policy).status_code == 200
    assert demo.post(f"/v1/content/{container['id']}/regenerate", json={"preserveAssets": True}).status_code == 202
    clock.move(days=2)
    assert [post["status"] for post in demo.get(POSTS).json["items"]] == shown


# What is refused


@pytest.mark.parametrize("status", ["queued", "failed", "canceled"])
@pytest.mark.parametrize("name", ["schedule", "publish"])
def test_only_completed_content_is_scheduled(demo, make, clock, status, name):
    made = make()["schedule"]
    ways = {
        "queued": made | {"startedMs": made["startedMs"] + 1, "lengthMs": 9000},
        "failed": made | {"failure": {"code": "X", "message": "x"}},
        "canceled": made | {"endedMs": made["startedMs"]},
    }
    container = make(schedule=ways[status])
    body = {"targets": [on()]} | ({"scheduledFor": TOMORROW} if name == "schedule" else {})
    assert refused(demo.post(f"/v1/content/{container['id']}/{name}", json=body)) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "The container is not completed.",
        "details": {"subcode": "CONTAINER_NOT_COMPLETED", "containerId": container["id"], "status": status},
    }


INVALID_TIMES = [
    (None, "Expected string, received null"),
    (int("9" * 100), "Expected string, received number"),
    (1_776_513_600, "Expected string, received number"),
    *[
        (text, "Invalid instant: say 2026-04-18T09:18:44Z")
        for text in ("", "tomorrow", "2026-05-01", "2026-05-01T12:00:00", "2026-13-01T00:00:00Z", "9" * 100)
    ],
    *[
        (text, "Invalid instant: must be from 1970-01-01T00:00:00Z to 9999-12-01T00:00:00Z")
        for text in ("1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z")
    ],
    ("0001-01-01T00:00:00+14:00", "Invalid instant: say 2026-04-18T09:18:44Z"),
]


def test_what_is_no_time_schedules_and_moves_nothing(demo, make, on_disk):
    container = make()
    (post,) = scheduled(demo, container)
    is_unchanged = unchanged(on_disk)
    for at, fault in INVALID_TIMES:
        moved = demo.post(f"/v1/scheduled-posts/{post['id']}/reschedule", json={"scheduledFor": at})
        for response in (schedule(demo, container, at=at), moved):
            assert refused(response) == invalid(scheduledFor=[fault]), at
    assert is_unchanged()


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, invalid(scheduledFor=["Required"], targets=["Required"])),
        ({"targets": []}, invalid(scheduledFor=["Required"], targets=["Array must contain at least 1 element(s)"])),
        (
            {"scheduledFor": TOMORROW, "targets": [on()] * 51},
            invalid(targets=["Array must contain at most 50 element(s)"]),
        ),
        (
            {"scheduledFor": TOMORROW, "targets": [{}, on(mode="story", mood=1), on(scheduledPostId="sp_1")], "x": 1},
            invalid(
                targets=[
                    "0.socialAccountId: Required",
                    "0.mode: Required",
                    "1.mode: Invalid enum value",
                    "1.mood: Unrecognized key",
                    "2.scheduledPostId: Invalid uuid",
                ],
                x=["Unrecognized key"],
            ),
        ),
        (
            {"scheduledFor": TOMORROW, "targets": [on(), on(mode="reels"), on(INSTAGRAM)]},
            invalid(targets=["1.mode: Invalid enum value", "2.mode: Invalid enum value"]),
        ),
        (
            {"scheduledFor": TOMORROW, "targets": [on(captionOverride="x" * 2201)]},
            invalid(targets=["0.captionOverride: String must contain at most 2200 character(s)"]),
        ),
    ],
    ids=str,
)
def test_a_body_that_is_wrong_schedules_nothing(demo, make, on_disk, body, refusal):
    container = make()
    is_unchanged = unchanged(on_disk)
    response = demo.post(f"/v1/content/{container['id']}/schedule", json=body)
    assert refused(response) == refusal
    assert is_unchanged()


@pytest.mark.parametrize("wrong", ["unknown", SUMMERS, "disconnected", "foreign", SPRING])
def test_of_fifty_targets_the_last_of_which_is_wrong_none_is_scheduled(demo, make, store, on_disk, wrong):
    container = make()
    if wrong == "disconnected":
        demo.delete(f"/v1/social-accounts/{INSTAGRAM}")
        wrong = INSTAGRAM
    if wrong == "foreign":
        other = new_organization(store)
        own = store.for_organization(other)
        project = own.projects.create({"name": "Theirs", "timezone": "UTC"})["id"]
        state = own.social.begin(project, "key", {"platform": "tiktok", "returnUrl": "http://localhost"})
        wrong = own.social.answer(state["state"], "theirs")["socialAccountId"]
    is_unchanged = unchanged(on_disk)
    assert refused(schedule(demo, container, *[on()] * 49, on(wrong))) == NO_ACCOUNT
    assert is_unchanged()
    assert len(scheduled(demo, container, *[on()] * 50)) == 50


@on_both
def test_an_id_is_taken_once(demo, make, on_disk):
    container, chosen = make(), "sp_01HXZN4K5M6P7QRS8TVV9WXYZA"
    scheduled(demo, container, on(scheduledPostId=chosen))
    is_unchanged = unchanged(on_disk)
    taken = {
        "status": 409,
        "code": "CONFLICT",
        "message": "Scheduled post id is already taken.",
        "details": {"subcode": "ID_TAKEN", "scheduledPostId": chosen},
    }
    assert refused(schedule(demo, container, on(), on(scheduledPostId=chosen))) == taken
    twice = "3f0b4c39-9c55-4f3a-8f0f-7d116f1c2f5e"
    twins = [on(scheduledPostId=twice), on(scheduledPostId=twice.upper())]
    assert refused(schedule(demo, container, *twins))["details"] == {
        "subcode": "ID_TAKEN",
        "scheduledPostId": twice.upper(),
    }
    assert is_unchanged()


def test_nothing_is_scheduled_in_an_archived_project(demo, make):
    container = make()
    demo.delete(f"/v1/projects/{SPRING}")
    assert refused(schedule(demo, container)) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "Project is archived.",
        "details": {"subcode": "PROJECT_ARCHIVED", "projectId": SPRING},
    }


def test_what_another_organization_has_is_not_there(client, demo, make, store):
    container = make()
    (post,) = scheduled(demo, container)
    theirs = key_of(store, new_organization(store), "*")
    assert refused(schedule(client, container, headers=theirs)) == NO_CONTAINER
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/reschedule")]:
        body = {"scheduledFor": TOMORROW} if path else None
        response = client.open(f"/v1/scheduled-posts/{post['id']}{path}", method=method, json=body, headers=theirs)
        assert refused(response) == NO_POST
    for wrong in (container["id"], TIKTOK, SPRING, "sp_unknown"):
        assert refused(demo.get(f"/v1/scheduled-posts/{wrong}")) == NO_POST


# Moving and canceling


def test_a_queued_post_is_moved(demo, make, clock):
    (post,) = scheduled(demo, make())
    clock.move(hours=1)
    response = demo.post(f"/v1/scheduled-posts/{post['id']}/reschedule", json={"scheduledFor": "2026-04-18T18:00:00Z"})
    assert (response.status_code, response.json) == (
        200,
        {
            "id": post["id"],
            "status": "queued",
            "scheduledFor": "2026-04-18T18:00:00Z",
            "updatedAt": "2026-04-18T10:18:44Z",
        },
    )
    to(clock, "2026-04-18T18:00:02Z")
    assert read(demo, post)["status"] == "published"


@pytest.mark.parametrize(("ahead", "status"), [(29_999, 422), (30_000, 200), (-86_400_000, 422)])
def test_a_post_is_moved_at_least_half_a_minute_ahead(demo, make, clock, ahead, status):
    (post,) = scheduled(demo, make())
    at = (clock.moment + timedelta(milliseconds=ahead)).isoformat()
    response = demo.post(f"/v1/scheduled-posts/{post['id']}/reschedule", json={"scheduledFor": at})
    assert response.status_code == status
    if status == 422:
        assert refused(response) == invalid(scheduledFor=["Must be at least 30 seconds from now"])
        assert read(demo, post) == post


@pytest.mark.parametrize("body", [None, {}, {"reason": "Closed that day."}])
def test_a_queued_post_is_canceled_for_good(demo, make, clock, body):
    (post,) = scheduled(demo, make())
    clock.move(hours=1)
    response = demo.delete(f"/v1/scheduled-posts/{post['id']}", json=body)
    at = "2026-04-18T10:18:44Z"
    assert (response.status_code, response.json) == (200, {"id": post["id"], "status": "canceled", "canceledAt": at})
    clock.move(days=2)
    assert read(demo, post) == post | {"status": "canceled", "canceledAt": at, "updatedAt": at}


def test_a_reason_is_at_most_1024_characters(demo, make):
    (post,) = scheduled(demo, make())
    refusal = invalid(reason=["String must contain at most 1024 character(s)"])
    assert refused(demo.delete(f"/v1/scheduled-posts/{post['id']}", json={"reason": "x" * 1025})) == refusal


@pytest.mark.parametrize(
    ("at", "status"),
    [("2026-04-19T09:00:00Z", "publishing"), ("2026-04-19T09:00:02Z", "published"), (None, "canceled")],
)
def test_what_is_on_its_way_or_over_stays_as_it_is(demo, make, clock, at, status):
    (post,) = scheduled(demo, make())
    if at is None:
        demo.delete(f"/v1/scheduled-posts/{post['id']}")
    else:
        to(clock, at)
    before = read(demo, post)
    path = f"/v1/scheduled-posts/{post['id']}"
    answers = [(demo.delete(path), "canceled")]
    answers.append((demo.post(f"{path}/reschedule", json={"scheduledFor": "2026-05-01T00:00:00Z"}), "rescheduled"))
    for response, done in answers:
        assert refused(response) == {
            "status": 409,
            "code": "CONFLICT",
            "message": f"A post that is {status} cannot be {done}.",
            "details": {"subcode": "POST_NOT_QUEUED", "status": status},
        }
    assert read(demo, post) == before


def test_at_the_last_moment_a_post_is_canceled_or_published_and_never_both(demo, make, clock):
    posts = scheduled(demo, make(), on(), on())
    to(clock, "2026-04-19T08:59:59.999Z")
    assert demo.delete(f"/v1/scheduled-posts/{posts[0]['id']}").status_code == 200
    to(clock, TOMORROW)
    assert demo.delete(f"/v1/scheduled-posts/{posts[1]['id']}").status_code == 409
    clock.move(days=1)
    assert [read(demo, post)["status"] for post in posts] == ["canceled", "published"]


@on_both
def test_of_twelve_who_cancel_one_does(app, demo, make):
    (post,) = scheduled(demo, make())

    def cancel(_: int) -> int:
        return int(app.test_client().delete(f"/v1/scheduled-posts/{post['id']}", headers=DEMO).status_code)

    with ThreadPoolExecutor(12) as clients:
        assert sorted(clients.map(cancel, range(12))) == [200] + [409] * 11


@on_both
def test_archiving_a_project_cancels_its_queued_posts_and_counts_them(demo, make, clock):
    container = make()
    (over,) = scheduled(demo, container, at="2026-04-18T10:00:00Z")
    queued = scheduled(demo, container, on(), on(INSTAGRAM, "feed"), on(mode="draft_to_device"))
    to(clock, "2026-04-18T12:00:00Z")
    assert demo.delete(f"/v1/projects/{SPRING}").json["canceledScheduledPosts"] == 3
    assert demo.delete(f"/v1/projects/{SPRING}").json["canceledScheduledPosts"] == 0
    clock.move(days=2)
    assert {read(demo, post)["status"] for post in queued} == {"canceled"}
    assert read(demo, over)["status"] == "published"


def test_archiving_by_patch_cancels_too(demo, make):
    (post,) = scheduled(demo, make())
    demo.patch(f"/v1/projects/{SPRING}", json={"status": "archived"})
    assert read(demo, post)["status"] == "canceled"


# Lists


@on_both
def test_the_last_scheduled_time_comes_first(demo, make, clock):
    container = make()
    ids = [scheduled(demo, container, at=f"2026-04-{day}T09:00:00Z")[0]["id"] for day in (20, 22, 19, 21)]
    order = [ids[1], ids[3], ids[0], ids[2]]
    assert listed(demo) == order
    first = demo.get(POSTS, query_string={"limit": 3}).json
    assert [post["id"] for post in first["items"]] == order[:3]
    assert listed(demo, limit=3, cursor=first["nextCursor"]) == order[3:]
    assert listed(demo, since="2026-04-20T09:00:00Z", until="2026-04-21T11:00:00+02:00") == order[1:3]
    to(clock, "2026-04-20T09:00:01Z")
    assert listed(demo, status="published") == [ids[2]]
    assert demo.get(f"{POSTS}?status=publishing&status=published").json["items"] == [
        read(demo, {"id": each}) for each in (ids[0], ids[2])
    ]
    assert listed(demo, path=f"/v1/projects/{SUMMER}/scheduled-posts") == []
    assert listed(demo, socialAccountId=INSTAGRAM) == []
    assert listed(demo, socialAccountId=TIKTOK) == order


@pytest.mark.parametrize(
    ("query", "field", "fault"),
    [
        ("status=sent", "status", "Invalid enum value"),
        ("status=queued&status=sent", "status", "Invalid enum value"),
        ("limit=101", "limit", "Number must be less than or equal to 100"),
        ("limit=0", "limit", "Number must be greater than or equal to 1"),
        ("cursor=x", "cursor", "Invalid cursor"),
        ("since=yesterday", "since", "Invalid instant: say 2026-04-18T09:18:44Z"),
    ],
)
def test_a_query_that_is_wrong(demo, query, field, fault):
    assert refused(demo.get(f"{POSTS}?{query}")) == invalid(**{field: [fault]}) | {"message": "Invalid query."}


def test_a_cursor_of_another_filter_is_refused(demo, make):
    scheduled(demo, make(), on(), on())
    cursor = demo.get(POSTS, query_string={"limit": 1}).json["nextCursor"]
    response = demo.get(POSTS, query_string={"limit": 1, "cursor": cursor, "status": "queued"})
    assert refused(response)["details"] == {"fieldErrors": {"cursor": ["Invalid cursor"]}}


# What is commanded


def test_posts_fail_when_a_fault_says_so(demo, make, control, clock):
    fault = {"match": {"operation": "scheduleContent"}, "times": 1, "answer": {"failPost": {"message": "Too long."}}}
    control.post("/faults", **fault)
    container = make()
    failing, fine = scheduled(demo, container)[0], scheduled(demo, container)[0]
    assert failing["status"] == "queued"
    clock.move(days=2)
    failed = read(demo, failing)
    assert failed == failing | {
        "status": "failed",
        "attemptedAt": TOMORROW,
        "updatedAt": "2026-04-19T09:00:02Z",
        "lastError": {"code": "PUBLISH_FAILED", "message": "Too long."},
    }
    assert read(demo, fine)["status"] == "published"
    assert listed(demo, status="failed") == [failing["id"]]


def test_posts_of_an_account_in_need_of_a_consent_fail_until_it_is_given(demo, make, control, clock):
    container = make()
    before = scheduled(demo, container, at="2026-04-18T10:00:00Z")[0]
    control.put(f"/social-accounts/{TIKTOK}", status="reauth_required")
    after, later = scheduled(demo, container, at="2026-04-18T11:00:00Z")[0], scheduled(demo, container)[0]
    other = scheduled(demo, container, on(INSTAGRAM, "feed"))[0]
    to(clock, "2026-04-18T12:00:00Z")
    for post in (before, after):
        failed = read(demo, post)
        assert failed["status"] == "failed"
        assert failed["lastError"] == {"code": "REAUTH_REQUIRED", "message": "The account must be connected again."}
    control.put(f"/social-accounts/{TIKTOK}", status="connected")
    clock.move(days=2)
    assert [read(demo, post)["status"] for post in (before, after, later, other)] == [
        "failed", "failed", "published", "published",
    ]  # fmt: skip


# The page of a post


@pytest.fixture
def published(demo, make, clock):
    """Return a function that publishes content, and returns the path of its page."""

    def published(**fields):
        (post,) = scheduled(demo, make(**fields))
        clock.move(days=2)
        return urlsplit(read(demo, post)["externalUrl"]).path

    return published


def test_a_published_post_has_a_page_with_its_pictures_words_and_handle(client, demo, published):
    path = published(caption="Spring is here\nat last", firstComment="#spring")
    response = client.get(path, headers={})
    assert (response.status_code, response.mimetype) == (200, "text/html")
    for text in ("@northwind.spring", "TikTok", "Spring is here\nat last", "#spring", "19 Apr 2026, 09:00:02"):
        assert text in response.text
    sources = [each.partition('"')[0] for each in response.text.split('src="')[1:]]
    assert len(sources) == 3  # the logo, the avatar, the picture
    for source in sources:
        with client.get(urljoin(path, source)) as file:
            assert file.status_code == 200
            assert file.mimetype.startswith("image/")


def test_what_a_client_sent_is_shown_on_the_page_and_never_run(client, published):
    html = client.get(published(caption=HOSTILE, firstComment=HOSTILE)).text
    assert "<script" not in html
    assert "onerror=&#34;x" in html
    assert unescape(html).count(HOSTILE) == 2


def test_no_script_runs_on_the_page_whatever_it_says(client, published):
    headers = client.get(published()).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_only_a_published_post_has_a_page_and_only_for_those_who_know_it(client, demo, make, clock, published, store):
    path = published()
    container = make()
    (queued,) = scheduled(demo, container, at="2026-05-01T00:00:00Z")
    organization, post_id, token = path.split("/")[2:]
    own_token = store.for_organization(organization).posts.get(queued["id"])["token"]
    for wrong in (
        f"/posts/{organization}/{post_id}/{token[:-1]}",
        f"/posts/{organization}/{post_id}/é",
        f"/posts/{organization}/sp_unknown/{token}",
        f"/posts/{new_organization(store)}/{post_id}/{token}",
        f"/posts/{organization}/{queued['id']}/{own_token}",
    ):
        response = client.get(wrong)
        assert (response.status_code, response.mimetype) == (404, "text/html")
        assert "Scheduled post not found." in response.text


@given(text=st.text(max_size=60))
def test_every_text_is_a_time_or_a_fault_of_that_field(text):
    assert set(ScheduleContent().validate({"scheduledFor": text, "targets": [on()]})) <= {"scheduledFor"}
