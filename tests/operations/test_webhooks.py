"""Webhook endpoints and deliveries as clients see them; what a receiver sees is tested in tests/webhooks/."""

import re

import pytest
from api_helpers import SPRING, SUMMER, invalid, key_of, new_organization, refused, unchanged
from conftest import DEMO
from webhook_queue import ENDPOINTS, OK, REFUSED, URL, Deliverer, created, deliveries, listen

on_both = pytest.mark.postgres

NOW = "2026-04-18T09:18:44.120Z"
NO_ENDPOINT = {"status": 404, "code": "NOT_FOUND", "message": "Webhook endpoint not found."}
NO_DELIVERY = {"status": 404, "code": "NOT_FOUND", "message": "Webhook delivery not found."}
NO_PROJECT = {"status": 404, "code": "NOT_FOUND", "message": "Project not found."}
SECRET = re.compile("whsec_[0-9A-Za-z_-]{43}")
AN_ENDPOINT = {"url": URL, "events": ["job.completed"]}


@pytest.fixture
def deliver(store, organization):
    return Deliverer(store, organization)


@pytest.fixture
def other(store):
    """Return the headers of a key of another organization."""
    return key_of(store, new_organization(store), "*")


def read(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return response.json


def patch(client, path, **fields):
    response = client.patch(path, json=fields)
    assert response.status_code == 200, response.text
    return response.json


def ping(client, path, **body):
    response = client.post(f"{path}/test", json=body)
    assert response.status_code == 200, response.text
    return response.json


def listed(client, **query):
    response = client.get(ENDPOINTS, query_string=query)
    assert response.status_code == 200
    return [item["id"] for item in response.json["items"]]


def states(client, path, **query):
    """Return (status, attempts, next attempt) of an endpoint's deliveries, newest first."""
    return [(each["status"], each["attempts"], each["nextRetryAt"]) for each in deliveries(client, path, **query)]


# Endpoints


@on_both
def test_an_endpoint_is_created_and_shown_with_its_secret_once(demo, organization):
    events = ["job.completed", "post.failed", "job.completed"]
    reply = created(demo, events=events, description="Editorial", projectId=SPRING)

    endpoint = reply["endpoint"]
    assert list(reply) == ["endpoint", "signingSecret"]
    assert SECRET.fullmatch(reply["signingSecret"])
    assert endpoint == {
        "id": endpoint["id"],
        "organizationId": organization,
        "projectId": SPRING,
        "url": URL,
        "description": "Editorial",
        "status": "active",
        "events": ["job.completed", "post.failed"],
        "apiVersion": "v1",
        "createdAt": NOW,
        "updatedAt": NOW,
        "lastSuccessAt": None,
        "lastFailureAt": None,
        "consecutiveFailureCount": 0,
    }
    assert endpoint["id"].startswith("whe_")
    assert read(demo, f"{ENDPOINTS}/{endpoint['id']}") == endpoint
    assert demo.get(ENDPOINTS).json == {"items": [endpoint], "nextCursor": None}


def test_the_least_that_an_endpoint_needs(demo):
    endpoint = created(demo, **AN_ENDPOINT)["endpoint"]
    assert (endpoint["projectId"], endpoint["description"]) == (None, None)


def test_no_key_needs_a_scope(demo, store, organization):
    headers = key_of(store, organization)
    response = demo.post(ENDPOINTS, json=AN_ENDPOINT, headers=headers)
    assert response.status_code == 201
    path = f"{ENDPOINTS}/{response.json['endpoint']['id']}"
    sent = demo.post(f"{path}/test", headers=headers).json["deliveryId"]
    replies = [
        demo.get(ENDPOINTS, headers=headers),
        demo.get(path, headers=headers),
        demo.get(f"{path}/deliveries", headers=headers),
        demo.post(f"/v1/webhook-deliveries/{sent}/replay", headers=headers),
        demo.patch(path, json={"status": "active"}, headers=headers),
        demo.post(f"{path}/rotate-secret", headers=headers),
        demo.delete(path, headers=headers),
    ]
    assert {reply.status_code for reply in replies} == {200}


_REQUIRED, _UNKNOWN = ["Required"], "Unrecognized key"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"events": []}, ["events"]),
        ({"events": ["job.completed"] * 51}, ["events"]),
        ({"events": ["influencer.created"]}, ["events.0"]),
        ({"events": ["job.completed", "*"]}, ["events.1"]),
        ({"events": "job.completed"}, ["events"]),
        ({"events": None}, ["events"]),
        ({"url": ""}, ["url"]),
        ({"url": "http://127.0.0.1/" + "x" * 2048}, ["url"]),
        ({"url": None}, ["url"]),
        ({"url": "http://stand-in.example/hook"}, ["url"]),
        ({"url": "ftp://127.0.0.1/hook"}, ["url"]),
        ({"url": "http://169.254.169.254/latest/meta-data"}, ["url"]),
        ({"url": "http://127.0.0.1:8000/_standin/reset"}, ["url"]),
        ({"description": 7}, ["description"]),
        ({"description": "x" * 1025}, ["description"]),
    ],
    ids=str,
)
def test_a_wrong_field_is_refused_on_creation_and_on_change_and_changes_nothing(demo, on_disk, fields, wrong):
    path = listen(demo, **AN_ENDPOINT)
    is_unchanged = unchanged(on_disk)
    for response in (demo.post(ENDPOINTS, json=AN_ENDPOINT | fields), demo.patch(path, json=fields)):
        error = refused(response)
        assert (error["status"], error["code"]) == (422, "VALIDATION")
        assert list(error["details"]["fieldErrors"]) == [wrong[0].split(".")[0]]
    assert is_unchanged()


def test_fifty_events_are_enough(demo):
    assert created(demo, events=["job.failed"] * 50)["endpoint"]["events"] == ["job.failed"]


@pytest.mark.parametrize("missing", ["url", "events"])
def test_url_and_events_are_required(demo, on_disk, missing):
    is_unchanged = unchanged(on_disk)
    body = {name: value for name, value in AN_ENDPOINT.items() if name != missing}
    assert refused(demo.post(ENDPOINTS, json=body)) == invalid(**{missing: _REQUIRED})
    assert is_unchanged()


@pytest.mark.parametrize("fields", [{"status": "active"}, {"id": "whe_1"}, {"signingSecret": "whsec_mine"}], ids=str)
def test_unknown_fields_are_refused(demo, on_disk, fields):
    is_unchanged = unchanged(on_disk)
    error = refused(demo.post(ENDPOINTS, json=AN_ENDPOINT | fields))
    assert (error["status"], error["code"]) == (422, "VALIDATION")
    assert _UNKNOWN in str(error["details"])
    assert is_unchanged()


@pytest.mark.parametrize("status", ["auto_paused", "deleted", None, 1])
def test_a_status_of_another_kind_is_refused(demo, on_disk, status):
    path = listen(demo)
    is_unchanged = unchanged(on_disk)
    assert refused(demo.patch(path, json={"status": status}))["code"] == "VALIDATION"
    assert refused(demo.patch(path, json={"projectId": SPRING}))["code"] == "VALIDATION"
    assert is_unchanged()


def test_a_project_that_is_not_there_is_a_404(demo, other, on_disk):
    is_unchanged = unchanged(on_disk)
    assert refused(demo.post(ENDPOINTS, json=AN_ENDPOINT | {"projectId": "proj_none"})) == NO_PROJECT
    assert refused(demo.post(ENDPOINTS, json=AN_ENDPOINT | {"projectId": SPRING}, headers=other)) == NO_PROJECT
    assert is_unchanged()


@on_both
def test_a_list_has_the_newest_first_and_goes_on_from_its_cursor(demo, clock):
    made = []
    for _ in range(5):
        made.append(created(demo)["endpoint"]["id"])
        clock.move(seconds=1)
    first = demo.get(ENDPOINTS, query_string={"limit": 2}).json
    second = demo.get(ENDPOINTS, query_string={"limit": 2, "cursor": first["nextCursor"]}).json
    third = demo.get(ENDPOINTS, query_string={"limit": 2, "cursor": second["nextCursor"]}).json

    found = [[each["id"] for each in page["items"]] for page in (first, second, third)]
    assert found == [made[:-3:-1], made[-3:-5:-1], made[:1]]
    assert third["nextCursor"] is None


def test_a_page_has_25_unless_told_and_at_most_100(demo):
    for _ in range(26):
        created(demo)
    assert (len(listed(demo)), len(listed(demo, limit=100))) == (25, 26)
    for limit in (0, 101, "x"):
        assert refused(demo.get(ENDPOINTS, query_string={"limit": limit}))["code"] == "VALIDATION"


@on_both
def test_a_list_is_filtered_by_project_and_status(demo, store, organization):
    everywhere, of_spring, paused, of_summer = (
        created(demo, **fields)["endpoint"]["id"]
        for fields in ({}, {"projectId": SPRING}, {"projectId": SPRING}, {"projectId": SUMMER})
    )
    patch(demo, f"{ENDPOINTS}/{paused}", status="paused")
    own = store.for_organization(organization)
    own.endpoints.put(own.endpoints.get(of_summer) | {"status": "auto_paused"})

    assert listed(demo) == [of_summer, paused, of_spring, everywhere]
    assert listed(demo, projectId=SPRING) == [paused, of_spring]
    assert listed(demo, projectId=SPRING, status="active") == [of_spring]
    assert listed(demo, status="active") == [of_spring, everywhere]
    assert (listed(demo, status="paused"), listed(demo, status="auto_paused")) == ([paused], [of_summer])
    assert listed(demo, projectId="proj_none") == []
    assert refused(demo.get(ENDPOINTS, query_string={"status": "deleted"}))["code"] == "VALIDATION"


def test_a_cursor_holds_for_its_own_filters_alone(demo):
    for _ in range(2):
        path = listen(demo)
        ping(demo, path), ping(demo, path)
    cursor = demo.get(ENDPOINTS, query_string={"limit": 1}).json["nextCursor"]
    of_deliveries = demo.get(f"{path}/deliveries", query_string={"limit": 1}).json["nextCursor"]
    expected = invalid(cursor=["Invalid cursor"]) | {"message": "Invalid query."}
    for query in ({"cursor": cursor, "status": "active"}, {"cursor": cursor, "projectId": SPRING}):
        assert refused(demo.get(ENDPOINTS, query_string=query)) == expected
    assert refused(demo.get(ENDPOINTS, query_string={"cursor": of_deliveries})) == expected
    for query in ({"cursor": of_deliveries, "status": "pending"}, {"cursor": cursor}):
        assert refused(demo.get(f"{path}/deliveries", query_string=query)) == expected


@on_both
def test_a_change_replaces_what_it_names_and_leaves_the_rest(demo, clock):
    path = listen(demo, description="Editorial")
    before = read(demo, path)
    clock.move(seconds=1)
    later = "2026-04-18T09:18:45.120Z"

    assert patch(demo, path, events=["job.failed"]) == before | {"events": ["job.failed"], "updatedAt": later}
    changed = patch(demo, path, description=None, url="http://localhost:9/other")
    assert changed == before | {
        "events": ["job.failed"],
        "updatedAt": later,
        "description": None,
        "url": "http://localhost:9/other",
    }
    assert read(demo, path) == changed


@on_both
def test_a_deleted_endpoint_is_gone_and_what_is_pending_abandoned(demo, store, organization, clock, deliver):
    path, kept = listen(demo), listen(demo)
    ping(demo, path)
    deliver()
    pending = [ping(demo, path)["deliveryId"] for _ in range(2)]
    ping(demo, kept)

    response = demo.delete(path)

    assert (response.status_code, response.json) == (200, {"id": path.rpartition("/")[2], "deleted": True})
    assert listed(demo) == [kept.rpartition("/")[2]]
    own = store.for_organization(organization)
    ended = [own.deliveries.get(each) for each in pending]
    assert [(each["status"], each["abandonedMs"]) for each in ended] == [("abandoned", own.now_ms())] * 2
    assert [attempt.endpoint_id for attempt in deliver()] == [kept.rpartition("/")[2]]
    for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        assert refused(demo.open(path + suffix, method=method)) == NO_ENDPOINT
    assert refused(demo.post(f"/v1/webhook-deliveries/{pending[0]}/replay")) == NO_ENDPOINT


def test_another_organization_finds_nothing(demo, other, on_disk):
    path = listen(demo)
    delivery = ping(demo, path)["deliveryId"]
    is_unchanged = unchanged(on_disk)
    requests = [
        ("GET", path, None),
        ("PATCH", path, {"status": "paused"}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate-secret", None),
        ("POST", f"{path}/test", None),
        ("GET", f"{path}/deliveries", None),
    ]
    for method, url, body in requests:
        assert refused(demo.open(url, method=method, json=body, headers=other)) == NO_ENDPOINT
    assert refused(demo.post(f"/v1/webhook-deliveries/{delivery}/replay", headers=other)) == NO_DELIVERY
    assert refused(demo.post("/v1/webhook-deliveries/whd_none/replay")) == NO_DELIVERY
    assert demo.get(ENDPOINTS, headers=other).json == {"items": [], "nextCursor": None}
    assert is_unchanged()


# Secrets


@on_both
def test_a_rotated_secret_signs_with_the_former_one_for_a_day_by_the_clock(demo, clock, deliver):
    reply = created(demo)
    path = f"{ENDPOINTS}/{reply['endpoint']['id']}"
    first = reply["signingSecret"]

    rotated = demo.post(f"{path}/rotate-secret")

    second = rotated.json["signingSecret"]
    assert rotated.status_code == 200
    assert rotated.json == {
        "endpointId": reply["endpoint"]["id"],
        "signingSecret": second,
        "previousSecretExpiresAt": "2026-04-19T09:18:44.120Z",
        "warning": "Both secrets sign until previousSecretExpiresAt.",
    }
    assert SECRET.fullmatch(second)
    assert second != first
    signing = []
    for step in (0, 24 * 3600 - 0.001, 0.001):
        clock.move(seconds=step)
        ping(demo, path)
        signing += [attempt.secrets for attempt in deliver()]
    assert signing == [[second, first], [second, first], [second]]


def test_of_two_rotations_in_a_day_only_the_last_two_secrets_sign(demo, deliver):
    path = listen(demo)
    second, third = (demo.post(f"{path}/rotate-secret").json["signingSecret"] for _ in range(2))
    ping(demo, path)
    assert [attempt.secrets for attempt in deliver()] == [[third, second]]


def test_endpoints_have_secrets_of_their_own(demo):
    assert len({created(demo)["signingSecret"] for _ in range(3)}) == 3


@on_both
def test_a_secret_is_in_its_reply_and_nowhere_else(demo, control, on_disk, capfd, deliver):
    first = created(demo)
    path = f"{ENDPOINTS}/{first['endpoint']['id']}"
    secrets = [first["signingSecret"], demo.post(f"{path}/rotate-secret").json["signingSecret"]]
    ping(demo, path)
    deliver()
    control.post("/snapshots", name="with-webhooks")
    shown = [
        demo.get(path).text,
        demo.get(ENDPOINTS).text,
        demo.get(f"{path}/deliveries").text,
        str(control.get("/snapshots")),
        str(control.get("/requests")),
        str(control.get("/webhooks")),
        str(on_disk.read_bytes()),
        *capfd.readouterr(),
    ]
    assert [secret in text for text in shown for secret in secrets] == [False] * 2 * len(shown)


def test_a_repeated_creation_or_rotation_does_nothing_and_shows_no_secret(demo):
    headers = {"Idempotency-Key": "once"}
    path = f"{ENDPOINTS}/{demo.post(ENDPOINTS, json=AN_ENDPOINT, headers=headers).json['endpoint']['id']}"
    rotated = demo.post(f"{path}/rotate-secret", headers=headers)
    assert rotated.status_code == 200
    for url, body in ((ENDPOINTS, AN_ENDPOINT), (f"{path}/rotate-secret", None)):
        response = demo.post(url, json=body, headers=headers)
        assert (response.status_code, response.json["error"]["details"]["subcode"]) == (409, "NOT_KEPT")
    assert len(listed(demo)) == 1


# Tests and replays


@on_both
def test_a_test_is_sent_whatever_the_endpoint_is_subscribed_to(demo, organization, deliver):
    path = listen(demo, events=["job.failed"])
    sent = demo.post(f"{path}/test")
    event = {"id": sent.json["eventId"], "type": "test.ping", "createdAt": NOW}

    assert sent.status_code == 200
    assert sent.json == {**sent.json, "scheduledAt": NOW}
    assert list(sent.json) == ["eventId", "deliveryId", "scheduledAt"]
    (posted,) = deliver.events()
    data = {"endpointId": path.rpartition("/")[2], "organizationId": organization}
    assert posted == event | {"data": {"message": posted["data"]["message"]} | data}
    payload = {"message": "hello", "n": [1, None, {"deep": True}]}
    other = ping(demo, path, payload=payload)
    assert deliver.events() == [event | {"id": other["eventId"], "data": payload}]


@pytest.mark.parametrize("body", [{"payload": []}, {"payload": None}, {"payload": "x"}, {"data": {}}, []], ids=str)
def test_a_test_with_another_body_is_refused(demo, on_disk, body):
    path = listen(demo)
    is_unchanged = unchanged(on_disk)
    assert refused(demo.post(f"{path}/test", json=body))["code"] == "VALIDATION"
    assert is_unchanged()


def test_a_payload_has_at_most_64_kib(demo):
    path = listen(demo)
    largest = {"x": "x" * (65_536 - len('{"x":""}'))}
    ping(demo, path, payload=largest)
    larger = demo.post(f"{path}/test", json={"payload": {"x": largest["x"] + "x"}})
    assert refused(larger)["code"] == "VALIDATION"


@on_both
def test_a_delivery_is_shown_from_pending_to_delivered(demo, clock, deliver):
    path = listen(demo)
    sent = ping(demo, path)
    (pending,) = deliveries(demo, path)
    clock.move(seconds=3)
    deliver()

    assert pending == {
        "id": sent["deliveryId"],
        "endpointId": path.rpartition("/")[2],
        "eventId": sent["eventId"],
        "eventType": "test.ping",
        "status": "pending",
        "attempts": 0,
        "nextRetryAt": NOW,
        "deliveredAt": None,
        "abandonedAt": None,
        "lastResponseStatus": None,
        "lastResponseAt": None,
        "lastErrorMessage": None,
        "createdAt": NOW,
    }
    later = "2026-04-18T09:18:47.120Z"
    assert deliveries(demo, path) == [
        pending
        | {
            "status": "delivered",
            "attempts": 1,
            "nextRetryAt": None,
            "deliveredAt": later,
            "lastResponseStatus": 200,
            "lastResponseAt": later,
        }
    ]
    assert read(demo, path)["lastSuccessAt"] == later


@on_both
def test_deliveries_are_filtered_by_type_and_status_and_paged(demo, clock, deliver):
    path, foreign = listen(demo), listen(demo)
    ping(demo, foreign)
    done = [ping(demo, path)["deliveryId"] for _ in range(3)]
    deliver()
    job = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Noa"})
    assert job.status_code == 202
    clock.move(seconds=2)
    deliver(REFUSED)
    waiting = ping(demo, path)["deliveryId"]
    (of_job,) = (each["id"] for each in deliveries(demo, path, eventType="job.completed"))

    def ids(**query):
        return [each["id"] for each in deliveries(demo, path, **query)]

    assert ids() == [waiting, of_job, *reversed(done)]
    assert ids(status="delivered") == [*reversed(done)]
    assert ids(status="pending") == [waiting, of_job]
    assert ids(status="pending", eventType="job.completed") == [of_job]
    assert ids(eventType="test.ping") == [waiting, *reversed(done)]
    assert [ids(status=each) for each in ("delivering", "failed", "abandoned")] == [[], [], []]
    page = demo.get(f"{path}/deliveries", query_string={"limit": 4}).json
    rest = demo.get(f"{path}/deliveries", query_string={"limit": 4, "cursor": page["nextCursor"]}).json
    assert [each["id"] for each in page["items"] + rest["items"]] == ids()
    assert rest["nextCursor"] is None
    for query in ({"status": "paused"}, {"eventType": "influencer.created"}, {"limit": 101}, {"limit": 0}):
        assert refused(demo.get(f"{path}/deliveries", query_string=query))["code"] == "VALIDATION"


@on_both
def test_a_replay_is_an_event_of_its_own_that_names_the_first(demo, clock, deliver):
    path = listen(demo)
    ping(demo, path, payload={"n": 1})
    (first,) = deliver.events()
    (original,) = deliveries(demo, path)
    clock.move(minutes=1)

    reply = demo.post(f"/v1/webhook-deliveries/{original['id']}/replay")

    assert reply.status_code == 200
    assert reply.json == {
        "originalDeliveryId": original["id"],
        "replayDeliveryId": reply.json["replayDeliveryId"],
        "scheduledAt": "2026-04-18T09:19:44.120Z",
    }
    (again,) = deliver.events()
    assert again == first | {
        "id": again["id"],
        "createdAt": "2026-04-18T09:19:44.120Z",
        "replayOf": first["id"],
    }
    assert again["id"] != first["id"]
    newest, oldest = deliveries(demo, path)
    assert (newest["id"], newest["eventId"]) == (reply.json["replayDeliveryId"], again["id"])
    assert oldest == original


@on_both
def test_a_paused_endpoint_queues_nothing_and_takes_no_test_or_replay(demo, clock, deliver, on_disk):
    path, awake = listen(demo), listen(demo)
    sent = ping(demo, path)["deliveryId"]
    deliver()
    patch(demo, path, status="paused")
    error = {
        "status": 409,
        "code": "CONFLICT",
        "message": "The webhook endpoint is paused.",
        "details": {"subcode": "ENDPOINT_PAUSED", "webhookEndpointId": path.rpartition("/")[2]},
    }
    is_unchanged = unchanged(on_disk)
    assert refused(demo.post(f"{path}/test")) == error
    assert refused(demo.post(f"/v1/webhook-deliveries/{sent}/replay")) == error
    assert is_unchanged()
    demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Noa"})
    clock.move(seconds=2)

    assert [attempt.endpoint_id for attempt in deliver()] == [awake.rpartition("/")[2]]
    patch(demo, path, status="active")
    assert deliver() == []
    assert [each["id"] for each in deliveries(demo, path)] == [sent]


# Attempts


@on_both
def test_an_attempt_is_due_so_long_after_the_one_before_was_due(demo, clock, deliver):
    """It goes by when it was due, not by when it was made."""
    path = listen(demo)
    ping(demo, path)
    dues = [
        "2026-04-18T09:19:14.120Z",  # 30 s
        "2026-04-18T09:20:14.120Z",  # 1 m
        "2026-04-18T09:25:14.120Z",  # 5 m
        "2026-04-18T09:40:14.120Z",  # 15 m
        "2026-04-18T10:40:14.120Z",  # 1 h
        "2026-04-18T16:40:14.120Z",  # 6 h
        "2026-04-19T16:40:14.120Z",  # 24 h
    ]
    begun = clock.moment
    seen = []
    for seconds in (0, 30.5, 90, 390, 1290, 4890, 26490):
        clock.moment = begun
        clock.move(seconds=seconds)
        assert len(deliver(REFUSED)) == 1
        seen += states(demo, path)
    assert seen == [("pending", number, due) for number, due in enumerate(dues, 1)]
    clock.move(hours=23, minutes=59, seconds=59)
    assert deliver(REFUSED) == []
    clock.move(seconds=1)
    assert len(deliver(REFUSED)) == 1
    (failed,) = deliveries(demo, path)
    assert (failed["status"], failed["attempts"], failed["nextRetryAt"]) == ("failed", 8, None)
    assert (failed["lastResponseStatus"], failed["lastResponseAt"]) == (500, "2026-04-19T16:40:14.120Z")
    clock.move(days=30)
    assert deliver() == []


def test_all_eight_attempts_are_made_at_once_when_the_clock_is_moved_on(demo, clock, deliver):
    path = listen(demo)
    ping(demo, path)
    clock.move(hours=32)
    assert len(deliver(REFUSED)) == 8
    assert states(demo, path) == [("failed", 8, None)]


def test_a_success_after_failures_ends_the_attempts(demo, clock, deliver):
    path = listen(demo)
    ping(demo, path)
    deliver(REFUSED)
    assert read(demo, path)["consecutiveFailureCount"] == 1
    clock.move(seconds=30)
    deliver(OK)
    assert states(demo, path) == [("delivered", 2, None)]
    assert read(demo, path) == read(demo, path) | {
        "consecutiveFailureCount": 0,
        "lastFailureAt": NOW,
        "lastSuccessAt": "2026-04-18T09:19:14.120Z",
        "status": "active",
    }
    clock.move(days=2)
    assert deliver() == []


@on_both
def test_twenty_failures_in_a_row_pause_until_it_is_made_active(demo, clock, deliver):
    path = listen(demo)
    for _ in range(21):
        ping(demo, path)
    for count in range(1, 20):
        assert len(deliver.once(lambda _: REFUSED)) == 1
        assert (read(demo, path)["status"], read(demo, path)["consecutiveFailureCount"]) == ("active", count)
    clock.move(seconds=1)
    deliver(REFUSED)

    paused = read(demo, path)
    assert (paused["status"], paused["consecutiveFailureCount"]) == ("auto_paused", 20)
    assert (paused["lastFailureAt"], paused["updatedAt"]) == ("2026-04-18T09:18:45.120Z",) * 2
    assert [each["nextRetryAt"] for each in deliveries(demo, path)] == [None] * 21
    assert sorted(each["attempts"] for each in deliveries(demo, path)) == [0] + [1] * 20
    clock.move(days=2)
    assert deliver() == []
    assert refused(demo.post(f"{path}/test"))["details"]["subcode"] == "ENDPOINT_PAUSED"

    active = patch(demo, path, status="active")
    assert (active["status"], active["consecutiveFailureCount"]) == ("active", 0)
    assert len(deliver(OK)) == 21
    assert {each["status"] for each in deliveries(demo, path)} == {"delivered"}


def test_a_success_breaks_the_row(demo, deliver):
    path = listen(demo)
    for _ in range(39):
        ping(demo, path)
    for number in range(1, 40):
        deliver.once(lambda _, number=number: OK if number == 20 else REFUSED)
    assert (read(demo, path)["status"], read(demo, path)["consecutiveFailureCount"]) == ("active", 19)


def test_paused_by_hand_it_keeps_its_count_and_what_is_pending(demo, clock, deliver):
    path = listen(demo)
    ping(demo, path)
    deliver(REFUSED)
    paused = patch(demo, path, status="paused")
    assert paused["consecutiveFailureCount"] == 1
    clock.move(hours=1)
    assert deliver() == []
    assert states(demo, path) == [("pending", 1, None)]
    assert patch(demo, path, status="active")["consecutiveFailureCount"] == 0
    assert states(demo, path) == [("pending", 1, "2026-04-18T09:19:14.120Z")]
    assert len(deliver()) == 1


def test_a_change_of_the_url_holds_for_what_is_pending(demo, clock, deliver):
    path = listen(demo)
    ping(demo, path)
    patch(demo, path, url="http://localhost:9/other")
    assert [attempt.url for attempt in deliver()] == ["http://localhost:9/other"]


@pytest.mark.parametrize("gone", ["deleted", "paused", "restored"])
def test_an_answer_that_comes_late_changes_nothing_that_has_ended(demo, control, store, organization, deliver, gone):
    path = listen(demo)
    control.post("/snapshots", name="before")
    sent = ping(demo, path)["deliveryId"]

    attempts = deliver.take()
    if gone == "restored":
        control.post("/snapshots/before/restore")
    elif gone == "deleted":
        demo.delete(path)
    else:
        patch(demo, path, status="paused")
    deliver.record(attempts, REFUSED)

    found = store.for_organization(organization).deliveries.find(sent)
    assert (found and found["status"]) == {"deleted": "abandoned", "paused": "pending", "restored": None}[gone]
    assert deliver() == []


# Snapshots and resets


@on_both
def test_a_snapshot_brings_endpoints_secrets_and_deliveries_back(demo, control, clock, deliver):
    path = listen(demo)
    second = demo.post(f"{path}/rotate-secret").json["signingSecret"]
    sent = ping(demo, path)
    control.post("/snapshots", name="pending")
    endpoint = read(demo, path)
    deliver()
    demo.delete(path)

    control.post("/snapshots/pending/restore")

    assert read(demo, path) == endpoint
    assert states(demo, path) == [("pending", 0, NOW)]
    (attempt,) = deliver()
    assert (attempt.delivery["event"]["id"], attempt.secrets[0]) == (sent["eventId"], second)


@pytest.mark.parametrize("to", ["seed", "empty"])
def test_a_reset_leaves_no_endpoint(demo, control, store, organization, deliver, to):
    ping(demo, listen(demo))
    control.post("/reset", to=to)
    assert store.db.count("webhook_endpoints", organization) == store.db.count("deliveries", organization) == 0
    if to == "seed":
        assert demo.get(ENDPOINTS, headers=DEMO).json["items"] == []
