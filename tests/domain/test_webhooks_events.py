"""Events: which cause tells what, at which moment, to whom; and how it moves and goes with its document."""

from datetime import UTC, datetime
from typing import Any

import pytest
from api_helpers import SPRING, SUMMER, key_of, new_organization
from content_helpers import made_content
from webhook_queue import ENDPOINTS, Deliverer, created, deliveries, listen

from layers_standin.domain.events import TYPES
from layers_standin.domain.keys import DEMO_KEY, public_id_of
from layers_standin.domain.tables import NOT_EXPORTED
from layers_standin.engines.table import Record
from layers_standin.webhooks.queue import Queue

on_both = pytest.mark.postgres

NOW, ENDED = "2026-04-18T09:18:44.120Z", "2026-04-18T09:18:46.120Z"
TIKTOK = "sa_01HXZ9P2M4N5KCN6T7V8WXYZ9A"
INFLUENCERS, CONTENT = f"/v1/projects/{SPRING}/influencers", f"/v1/projects/{SPRING}/content"
TOMORROW = "2026-04-19T09:00:00Z"
FAILURE = {"code": "MODEL_ERROR", "message": "The model did not converge."}


@pytest.fixture
def deliver(store, organization):
    return Deliverer(store, organization)


@pytest.fixture
def listener(demo):
    """Return the path of an endpoint that listens to all."""
    return listen(demo)


@pytest.fixture
def by(store):
    return f"api_key_{store.keys.find(public_id_of(DEMO_KEY))['apiKeyId']}"


@pytest.fixture
def waiting(rooms, organization, store):
    """Return a function that puts completed content, with its approval and its pending events as told."""

    def put(approval: str = "not_required", **about: Any) -> Record:
        container, _ = made_content(rooms, organization, SPRING)
        container |= {"approval": {"status": approval} | about}
        silent = {name: value for name, value in container.items() if name != "pendingEvents"}
        store.tables.put("containers", silent)
        job = store.for_organization(organization).jobs.get(container["jobId"])
        store.tables.put("jobs", {name: value for name, value in job.items() if name != "pendingEvents"})
        return silent

    return put


def post(client, path, *, status=202, **body):
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json


def begin(client, **body):
    return post(client, INFLUENCERS, **{"name": "Noa"} | body)


def schedule(client, container, at=TOMORROW, mode="direct_publish"):
    targets = [{"socialAccountId": TIKTOK, "mode": mode}]
    reply = post(client, f"/v1/content/{container['id']}/schedule", scheduledFor=at, targets=targets)
    return reply["scheduledPosts"]


def told(events):
    """Return (type, moment, data) of events."""
    return [(event["type"], event["createdAt"], event["data"]) for event in events]


def types(events):
    return [event["type"] for event in events]


def to(clock, moment):
    clock.moment = datetime.fromisoformat(moment).astimezone(UTC)


# Jobs


@on_both
def test_the_end_of_a_job_is_told_at_its_moment_and_not_before(demo, clock, listener, deliver):
    job = begin(demo)
    assert deliver() == []
    clock.move(seconds=1.999)
    assert deliver() == []
    clock.move(seconds=0.001)
    (event,) = deliver.events()

    assert list(event) == ["id", "type", "createdAt", "data"]
    assert event["id"].startswith("evt_")
    data = {"jobId": job["jobId"], "kind": "influencer_create", "result": {"influencerId": job["influencerId"]}}
    assert told([event]) == [("job.completed", ENDED, data)]
    assert demo.get(f"/v1/jobs/{job['jobId']}").json["result"] == data["result"]
    clock.move(days=300)
    assert deliver() == []


def test_a_clone_is_told_as_a_job(demo, clock, listener, deliver):
    job = post(demo, "/v1/influencers/inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG/clone", name="Noa")
    clock.move(seconds=2)
    data = {"jobId": job["jobId"], "kind": job["kind"], "result": {"influencerId": job["influencerId"]}}
    assert told(deliver.events()) == [("job.completed", ENDED, data)]


def test_a_job_that_fails_is_told_with_its_error(demo, control, clock, listener, deliver):
    control.post("/faults", answer={"failJob": FAILURE})
    job = begin(demo)
    clock.move(seconds=2)
    (event,) = deliver.events()
    shown = demo.get(f"/v1/jobs/{job['jobId']}").json
    data = {"jobId": job["jobId"], "kind": "influencer_create", "error": shown["error"]}
    assert told([event]) == [("job.failed", event["createdAt"], data)]
    assert NOW < event["createdAt"] <= ENDED
    assert FAILURE.items() <= data["error"].items()


@on_both
def test_a_canceled_job_is_told_when_it_is_canceled(demo, clock, listener, deliver):
    job = begin(demo)
    clock.move(seconds=1)
    post(demo, f"/v1/jobs/{job['jobId']}/cancel")
    expected = [("job.canceled", "2026-04-18T09:18:45.120Z", {"jobId": job["jobId"], "kind": "influencer_create"})]
    assert told(deliver.events()) == expected
    clock.move(days=1)
    assert deliver() == []


def test_an_ingest_is_told_as_a_job(demo, clock, listener, deliver):
    job = post(demo, f"/v1/projects/{SPRING}/ingest/website", url="https://tide.example")
    clock.move(days=1)
    (event,) = deliver.events()
    shown = demo.get(f"/v1/jobs/{job['jobId']}").json
    data = {"jobId": job["jobId"], "kind": shown["kind"], "result": shown["result"]}
    assert told([event]) == [("job.completed", ENDED, data)]


# Content


@on_both
def test_content_is_told_with_its_assets(demo, clock, listener, deliver):
    job = post(demo, CONTENT, format="slideshow_remix")
    assert deliver() == []
    clock.move(seconds=2)
    events = deliver.events()
    container = demo.get(f"/v1/content/{job['containerId']}").json
    shown = demo.get(f"/v1/jobs/{job['jobId']}").json
    assert len(container["assets"]) == 3
    assert told(events) == [
        ("job.completed", ENDED, {"jobId": job["jobId"], "kind": "content_generate", "result": shown["result"]}),
        (
            "content.generated",
            ENDED,
            {"id": container["id"], "projectId": SPRING, "assets": container["assets"]},
        ),
    ]


def test_urls_in_events_begin_as_the_request_did_that_made_the_endpoint(demo, clock, deliver):
    body = {"url": "http://127.0.0.1:9/hook", "events": ["content.generated"]}
    demo.post(ENDPOINTS, json=body, headers={"Host": "stand-in.example:81"})
    post(demo, CONTENT, format="slideshow_remix")
    clock.move(seconds=2)
    (event,) = deliver.events()
    urls = [asset[field] for asset in event["data"]["assets"] for field in ("url", "thumbnailUrl")]
    assert all(url.startswith("http://stand-in.example:81/media/") for url in urls)


def test_each_variant_is_told_and_what_fails_is_not_generated(demo, control, clock, listener, deliver):
    job = post(demo, CONTENT, format="slideshow_remix", variantCount=2)
    control.post("/faults", answer={"failJob": FAILURE}, times=1)
    failing = post(demo, CONTENT, format="slideshow_remix")
    canceled = post(demo, CONTENT, format="slideshow_remix")
    post(demo, f"/v1/jobs/{canceled['jobId']}/cancel")
    clock.move(days=1)
    events = deliver.events()
    generated = [event["data"]["id"] for event in events if event["type"] == "content.generated"]
    assert sorted(generated) == sorted(job["containerIds"])
    ends = {event["data"]["jobId"]: event["type"] for event in events if event["type"].startswith("job.")}
    assert ends == {
        job["jobId"]: "job.completed",
        failing["jobId"]: "job.failed",
        canceled["jobId"]: "job.canceled",
    }


@on_both
def test_decisions_are_told_with_who_and_when(demo, waiting, listener, deliver, by):
    approved, rejected = waiting("pending"), waiting("pending")
    assert deliver() == []
    post(demo, f"/v1/content/{approved['id']}/approve", status=200)
    post(demo, f"/v1/content/{rejected['id']}/reject", status=200, reason="Too loud.")
    of = {"projectId": SPRING}
    assert told(deliver.events()) == [
        ("content.approved", NOW, {"id": approved["id"]} | of | {"approvedAt": NOW, "approvedBy": by}),
        (
            "content.rejected",
            NOW,
            {"id": rejected["id"]} | of | {"rejectedAt": NOW, "rejectedBy": by, "reason": "Too loud."},
        ),
    ]


@on_both
def test_an_approval_by_the_clock_is_told_at_its_moment(demo, clock, listener, deliver):
    policy = {"requiresApproval": True, "autoApproveAfter": "PT1H"}
    assert demo.patch(f"/v1/projects/{SPRING}/approval-policy", json=policy).status_code == 200
    job = post(demo, CONTENT, format="slideshow_remix")
    clock.move(hours=1, seconds=1)
    assert types(deliver.events()) == ["job.completed", "content.generated"]
    clock.move(seconds=1)
    at = "2026-04-18T10:18:46.120Z"
    data = {"id": job["containerId"], "projectId": SPRING, "approvedAt": at, "approvedBy": "auto_approve"}
    assert told(deliver.events()) == [("content.approved", at, data)]


def test_a_decision_by_hand_takes_that_of_the_clock_away(demo, clock, listener, deliver):
    policy = {"requiresApproval": True, "autoApproveAfter": "PT1H"}
    assert demo.patch(f"/v1/projects/{SPRING}/approval-policy", json=policy).status_code == 200
    job = post(demo, CONTENT, format="slideshow_remix")
    clock.move(seconds=2)
    post(demo, f"/v1/content/{job['containerId']}/reject", status=200, reason="No.")
    clock.move(days=1)
    assert types(deliver.events()) == ["job.completed", "content.generated", "content.rejected"]


def test_content_made_again_is_told_again_with_another_id(demo, clock, listener, deliver):
    job = post(demo, CONTENT, format="slideshow_remix")
    clock.move(seconds=2)
    again = post(demo, f"/v1/content/{job['containerId']}/regenerate")
    first = deliver.events()
    clock.move(seconds=2)
    second = deliver.events()
    assert types(first) == types(second) == ["job.completed", "content.generated"]
    assert second[0]["data"]["jobId"] == again["jobId"]
    assert second[1]["data"]["assets"] != first[1]["data"]["assets"]
    assert len({event["id"] for event in first + second}) == 4


# Posts


@on_both
def test_a_post_is_told_when_it_is_scheduled_and_when_it_is_out(demo, clock, waiting, listener, deliver):
    container = waiting()
    (scheduled,) = schedule(demo, container)
    of = {"scheduledPostId": scheduled["id"], "containerId": container["id"]}
    assert told(deliver.events()) == [("post.scheduled", NOW, of | {"scheduledFor": TOMORROW})]
    to(clock, "2026-04-19T09:00:01.999Z")
    assert deliver() == []
    to(clock, "2026-04-19T09:00:02Z")
    (event,) = deliver.events()
    published = demo.get(f"/v1/scheduled-posts/{scheduled['id']}").json
    data = of | {"externalId": published["externalId"], "externalUrl": published["externalUrl"]}
    assert None not in data.values()
    assert told([event]) == [("post.published", "2026-04-19T09:00:02.000Z", data)]


def test_a_post_that_fails_is_told_with_its_error(demo, control, clock, waiting, listener, deliver):
    container = waiting()
    control.post("/faults", answer={"failPost": FAILURE})
    (scheduled,) = schedule(demo, container)
    clock.move(days=2)
    _, failed = deliver.events()
    of = {"scheduledPostId": scheduled["id"], "containerId": container["id"]}
    assert told([failed]) == [("post.failed", "2026-04-19T09:00:02.000Z", of | {"error": FAILURE})]


def test_a_draft_is_told_as_published_without_an_address(demo, clock, waiting, listener, deliver):
    container = waiting()
    (scheduled,) = schedule(demo, container, mode="draft_to_device")
    clock.move(days=2)
    of = {"scheduledPostId": scheduled["id"], "containerId": container["id"]}
    _, draft = told(deliver.events())
    assert draft == ("post.published", "2026-04-19T09:00:02.000Z", of | {"externalId": None, "externalUrl": None})


@on_both
def test_a_post_moves_with_its_schedule(demo, clock, waiting, listener, deliver):
    (scheduled,) = schedule(demo, waiting())
    deliver()
    later = "2026-04-20T09:00:00Z"
    post(demo, f"/v1/scheduled-posts/{scheduled['id']}/reschedule", status=200, scheduledFor=later)
    to(clock, "2026-04-20T09:00:01Z")
    assert deliver() == []
    clock.move(seconds=1)
    assert [(kind, at) for kind, at, _ in told(deliver.events())] == [("post.published", "2026-04-20T09:00:02.000Z")]


@on_both
@pytest.mark.parametrize("how", ["post", "account", "project", "archived"])
def test_a_canceled_post_is_told_and_never_goes_out(demo, clock, waiting, listener, deliver, how):
    container = waiting()
    (scheduled,) = schedule(demo, container)
    deliver()
    clock.move(minutes=1)
    gone = {
        "post": lambda: demo.delete(f"/v1/scheduled-posts/{scheduled['id']}"),
        "account": lambda: demo.delete(f"/v1/social-accounts/{TIKTOK}"),
        "project": lambda: demo.delete(f"/v1/projects/{SPRING}"),
        "archived": lambda: demo.patch(f"/v1/projects/{SPRING}", json={"status": "archived"}),
    }[how]()
    assert gone.status_code == 200
    events = [event for event in deliver.events() if event["type"] != "social_account.revoked"]
    shown = demo.get(f"/v1/scheduled-posts/{scheduled['id']}").json
    data = {
        "scheduledPostId": scheduled["id"],
        "containerId": container["id"],
        "canceledAt": "2026-04-18T09:19:44Z",
    }
    assert shown["canceledAt"] == data["canceledAt"]
    assert told(events) == [("post.canceled", "2026-04-18T09:19:44.120Z", data)]
    clock.move(days=30)
    assert deliver() == []


@on_both
def test_what_waits_for_approval_is_told_as_scheduled_by_it(demo, clock, waiting, listener, deliver):
    container = waiting("pending")
    assert schedule(demo, container) == []
    assert deliver() == []
    clock.move(hours=1)
    post(demo, f"/v1/content/{container['id']}/approve", status=200)
    assert types(deliver.events()) == ["content.approved", "post.scheduled"]
    clock.move(days=2)
    assert types(deliver.events()) == ["post.published"]


def test_what_a_rejection_forgets_is_told_to_nobody(demo, clock, waiting, listener, deliver):
    container = waiting("pending")
    schedule(demo, container)
    post(demo, f"/v1/content/{container['id']}/reject", status=200, reason="No.")
    clock.move(days=2)
    assert types(deliver.events()) == ["content.rejected"]


def test_a_waiting_schedule_that_the_clock_approves_is_told_by_the_clock(demo, clock, listener, deliver):
    policy = {"requiresApproval": True, "autoApproveAfter": "PT1H"}
    assert demo.patch(f"/v1/projects/{SPRING}/approval-policy", json=policy).status_code == 200
    job = post(demo, CONTENT, format="slideshow_remix")
    clock.move(seconds=2)
    deliver()
    assert schedule(demo, {"id": job["containerId"]}, at="2026-04-18T12:00:00Z") == []
    clock.move(minutes=59)
    assert deliver() == []
    clock.move(minutes=1)
    assert [(kind, at) for kind, at, _ in told(deliver.events())] == [
        ("content.approved", "2026-04-18T10:18:46.120Z"),
        ("post.scheduled", "2026-04-18T10:18:46.120Z"),
    ]
    clock.move(days=1)
    assert [(kind, at) for kind, at, _ in told(deliver.events())] == [("post.published", "2026-04-18T12:00:02.000Z")]


# Social accounts


@on_both
def test_accounts_are_told_when_they_come_and_go(demo, control, listener, deliver):
    state = post(
        demo,
        f"/v1/projects/{SPRING}/social/oauth-url",
        status=200,
        platform="tiktok",
        returnUrl="http://localhost/",
    )
    page = state["authorizeUrl"].partition("://")[2].partition("/")[2]
    assert demo.post(f"/{page}", data={"decision": "yes", "handle": "tide.clock"}).status_code == 303
    account = demo.get(f"/v1/social/oauth-status/{state['state']}").json["socialAccountId"]
    demo.delete(f"/v1/social-accounts/{account}")
    of = {"socialAccountId": account, "projectId": SPRING, "platform": "tiktok", "handle": "tide.clock"}
    seconds = "2026-04-18T09:18:44Z"
    assert told(deliver.events()) == [
        ("social_account.connected", NOW, of | {"connectedAt": seconds}),
        (
            "social_account.revoked",
            NOW,
            of | {"disconnectedReason": "revoked_by_partner", "disconnectedAt": seconds},
        ),
    ]


# Who is told


@on_both
def test_an_event_goes_to_those_that_are_subscribed_to_it_and_to_its_project(demo, store, clock, deliver):
    everything = listen(demo)
    subscribed = listen(demo, events=["job.completed", "post.failed"])
    of_spring = listen(demo, projectId=SPRING)
    deaf, of_summer = listen(demo, events=["job.failed"]), listen(demo, projectId=SUMMER)
    other = key_of(store, new_organization(store), "*")
    created(demo_as(demo, other))
    begin(demo)
    clock.move(seconds=2)

    attempts = deliver()

    assert {f"{ENDPOINTS}/{each.endpoint_id}" for each in attempts} == {everything, subscribed, of_spring}
    assert len({each.delivery["event"]["id"] for each in attempts}) == 1
    assert len(attempts) == 3
    assert deliveries(demo, deaf) == deliveries(demo, of_summer) == []


def demo_as(client, headers):
    """Return a client with the headers of another key."""
    other = client.application.test_client()
    other.environ_base["HTTP_X_API_KEY"] = headers["X-Api-Key"]
    return other


COSTS = {
    "a PATCH": (lambda client, _: client.patch(f"/v1/influencers/{first(client)}", json={"vibe": "festive"}), 0),
    "a job": (lambda client, _: client.post(INFLUENCERS, json={"name": "Noa"}), 0),
    "an approval": (lambda client, waits: client.post(f"/v1/content/{waits['id']}/approve"), 1),
    "a disconnection": (lambda client, _: client.delete(f"/v1/social-accounts/{TIKTOK}"), 1),
}


@on_both
@pytest.mark.parametrize(("send", "more"), COSTS.values(), ids=COSTS)
def test_a_request_writes_at_most_one_document_more_where_somebody_listens(demo, control, waiting, store, send, more):
    """What the clock alone causes is in a document that is written anyway."""
    container = waiting("pending")
    control.post("/snapshots", name="before")
    written = []
    for listens in (False, True):
        control.post("/snapshots/before/restore")
        if listens:
            listen(demo)
        before = documents(store)
        assert send(demo, container).status_code < 300
        written.append(len(documents(store).items() - before.items()))
    assert written[1] - written[0] == more


def first(client):
    return client.get(INFLUENCERS).json["items"][0]["influencerId"]


def documents(store):
    """Return {(table, partition, id): text} of all documents but those of the service itself."""
    found = {}
    for table, partition in store.db.tables():
        if table not in NOT_EXPORTED:
            ids = store.db.ids(table, partition)
            found |= {(table, partition, doc_id): store.db.read(table, partition, doc_id) for doc_id in ids}
    return found


@on_both
def test_where_nobody_listens_nothing_is_filed(demo, clock, waiting, deliver, store, organization, on_disk):
    job = begin(demo)
    container = waiting("pending")
    post(demo, f"/v1/content/{container['id']}/approve", status=200)
    schedule(demo, container)
    assert store.db.count("events", organization) == 0
    assert "pendingEvents" not in str(store.tables.table("jobs", organization).get(doc_id=job["jobId"]))
    listen(demo)
    clock.move(days=2)
    assert deliver() == []


def test_where_all_are_paused_nothing_is_filed(demo, clock, listener, deliver, store, organization):
    demo.patch(listener, json={"status": "paused"})
    begin(demo)
    demo.delete(f"/v1/social-accounts/{TIKTOK}")
    assert store.db.count("events", organization) == 0
    demo.patch(listener, json={"status": "active"})
    clock.move(days=1)
    assert deliver() == []


@on_both
def test_what_came_about_before_an_endpoint_was_made_is_not_told_to_it(demo, clock, listener, deliver):
    begin(demo)
    clock.move(seconds=2)
    late = listen(demo)
    begin(demo)
    clock.move(seconds=2)
    deliver()
    assert (len(deliveries(demo, listener)), len(deliveries(demo, late))) == (2, 1)


@on_both
@pytest.mark.parametrize("change", ["paused", "paused by command", "deaf"])
def test_what_came_about_before_a_change_is_told_as_before_it(demo, control, clock, listener, deliver, change):
    """Whether the deliverer has had its turn between the two is chance."""
    other = listen(demo)
    there, back = {"events": ["post.failed"]}, {"events": list(TYPES)}
    if change != "deaf":
        there, back = {"status": "paused"}, {"status": "active"}

    def alter(fields):
        if change == "paused by command":
            control.put(other.removeprefix("/v1"), **fields)
        else:
            demo.patch(other, json=fields)

    begin(demo)
    clock.move(seconds=2)
    alter(there)
    deliver()
    begin(demo)
    clock.move(seconds=2)
    alter(back)
    deliver()

    assert len(deliveries(demo, listener)) == 2
    (only,) = deliveries(demo, other)
    assert (only["eventType"], only["status"], only["createdAt"]) == ("job.completed", "delivered", ENDED)


# Order, and once


@on_both
def test_events_come_in_order_of_their_moment_and_then_of_their_cause(demo, clock, waiting, listener, deliver):
    first, second = waiting(), waiting()
    (early,) = schedule(demo, first, at="2026-04-18T09:20:00Z")
    (late,) = schedule(demo, second, at="2026-04-18T09:19:00Z")
    jobs = [begin(demo)["jobId"] for _ in range(3)]
    clock.move(minutes=5)
    events = deliver.events()

    assert [event["createdAt"] for event in events] == sorted(event["createdAt"] for event in events)
    assert [each["data"].get("jobId") or each["data"]["scheduledPostId"] for each in events] == [
        early["id"],
        late["id"],
        *jobs,
        late["id"],
        early["id"],
    ]


@on_both
def test_what_becomes_due_between_two_looks_waits_for_what_comes_before_it(
    demo, store, organization, clock, listener, deliver
):
    begin(demo)
    clock.move(seconds=1.999)
    queue = Queue(store.for_organization(organization))
    queue.announce()
    clock.move(seconds=0.002)
    post(demo, f"{listener}/test", status=200)

    assert queue.due((), 1) == []
    assert types(deliver.events()) == ["job.completed", "test.ping"]


@on_both
def test_a_clock_set_back_takes_events_away_that_were_not_told_yet_and_repeats_none(demo, clock, listener, deliver):
    begin(demo)
    clock.move(seconds=1)
    begin(demo)
    clock.move(seconds=1)
    (first,) = deliver.events()
    clock.move(seconds=-1.5)
    assert deliver() == []
    clock.move(seconds=1.5)
    assert deliver() == []
    clock.move(seconds=1)
    (second,) = deliver.events()
    assert first["id"] != second["id"]


def test_a_delivery_waits_for_a_clock_set_back(demo, clock, listener, deliver):
    begin(demo)
    clock.move(seconds=2)
    post(demo, f"{listener}/test", status=200)
    clock.move(hours=-1)
    assert types(deliver.events()) == []
    clock.move(hours=1)
    assert types(deliver.events()) == ["job.completed", "test.ping"]


@on_both
def test_a_snapshot_brings_what_is_to_come_back(demo, control, clock, listener, deliver):
    begin(demo)
    control.post("/snapshots", name="running")
    clock.move(seconds=2)
    (first,) = deliver.events()
    control.post("/snapshots/running/restore")
    assert deliver.events() == [first]


def test_more_endpoints_than_one_transaction_tells_are_all_told_once(demo, clock, deliver, monkeypatch):
    monkeypatch.setattr("layers_standin.domain.announcements._ENDPOINTS_AT_ONCE", 2)
    paths = [listen(demo) for _ in range(5)]
    post(demo, CONTENT, format="slideshow_remix")
    clock.move(seconds=2)
    attempts = deliver()
    assert sorted({f"{ENDPOINTS}/{each.endpoint_id}" for each in attempts}) == sorted(paths)
    assert len(attempts) == 10
    assert len({each.delivery["event"]["id"] for each in attempts}) == 2
