"""The commands about webhooks: what is pending, a flush instead of a sleep, faults of deliveries, and inboxes."""

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from api_helpers import refused
from conftest import AVA_PATH
from control_helpers import Control
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from layers_standin.domain.events import TYPES
from layers_standin.webhooks import deliverer, watcher

pytestmark = pytest.mark.slow

NOON = "2026-12-01T12:00:00Z"


@pytest.fixture
def control(client: FlaskClient) -> Control:
    return Control(client)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """Serve the app, so that its own inboxes can be posted to; return its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def endpoint(demo: FlaskClient, control: Control, url: str) -> dict[str, Any]:
    """Return an endpoint that posts every event to the inbox `mine`, at a clock that stands still at noon."""
    control.put("/clock", mode="frozen", at=NOON)
    body = {"url": f"{url}/_standin/inbox/mine", "events": list(TYPES)}
    return dict(demo.post("/v1/webhook-endpoints", json=body).json["endpoint"])


@pytest.fixture
def ping(demo: FlaskClient, endpoint: dict[str, Any]) -> Any:
    """Return the function that sends a test event with a number."""

    def send(number: int) -> None:
        assert (
            demo.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", json={"payload": {"n": number}}).status_code
            == 200
        )

    return send


def numbers(control: Control) -> list[int]:
    """Return the numbers of the test events that have come to the inbox, in order; all of them are signed."""
    items = control.get("/inbox/mine")["items"]
    assert {(item["isVerified"], item["reason"]) for item in items} <= {(True, None)}
    return [json.loads(item["body"])["data"]["n"] for item in reversed(items)]


def test_a_flush_returns_when_everything_due_was_attempted(control, ping):
    for number in range(5):
        ping(number)

    assert control.post("/webhooks/flush") == {"organizationId": None, "flushed": True}
    assert numbers(control) == [0, 1, 2, 3, 4]


def test_a_flush_of_an_organization_waits_for_no_other(control, client, ping):
    other, _ = control.organization()

    assert control.post("/webhooks/flush", organizationId=other) == {"organizationId": other, "flushed": True}
    assert refused(control.send("POST", "/webhooks/flush", {"organizationId": "nobody"}))["code"] == "NOT_FOUND"


def test_where_nobody_listens_any_more_nothing_is_to_come(control, demo, endpoint):
    organization, project = endpoint["organizationId"], demo.get(AVA_PATH).json["projectId"]
    demo.post(f"/v1/projects/{project}/influencers", json={"name": "Noa"})
    demo.delete(f"/v1/webhook-endpoints/{endpoint['id']}")
    control.put("/clock", advance="PT2S")

    assert control.get("/webhooks", organizationId=organization) == {"items": []}
    assert control.post("/webhooks/flush", organizationId=organization, timeoutMs=0)["flushed"] is True


def test_a_flush_waits_for_no_look_of_the_watcher(control, demo, url, monkeypatch):
    monkeypatch.setattr(watcher, "WATCH_SECONDS", 3600)
    control.post("/webhooks/flush")
    for _ in range(3):
        control.post("/reset")
        body = {"url": f"{url}/_standin/inbox/mine", "events": ["test.ping"]}
        made = demo.post("/v1/webhook-endpoints", json=body).json["endpoint"]
        demo.post(f"/v1/webhook-endpoints/{made['id']}/test", json={"payload": {"n": 1}})
        control.post("/webhooks/flush")
        assert numbers(control) == [1]


def test_no_organization_takes_all_the_room_for_itself(control, client, url, monkeypatch):
    monkeypatch.setattr(deliverer, "AT_ONCE", 1)
    body = {"url": f"{url}/_standin/inbox/mine", "events": ["test.ping"]}
    for _ in range(3):
        _, headers = control.organization()
        for _ in range(6):
            made = client.post("/v1/webhook-endpoints", json=body, headers=headers).json["endpoint"]
            client.post(f"/v1/webhook-endpoints/{made['id']}/test", headers=headers)
    control.post("/webhooks/flush")

    items = [json.loads(item["body"])["data"] for item in reversed(control.get("/inbox/mine")["items"])]
    assert len(items) == 18
    assert len({item["organizationId"] for item in items[:5]}) == 3


def test_a_flush_that_takes_too_long_is_a_409(control, demo, endpoint, ping):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        demo.patch(f"/v1/webhook-endpoints/{endpoint['id']}", json={"url": url})
        ping(0)
        ended = control.send("POST", "/webhooks/flush", {"timeoutMs": 0})

    assert refused(ended) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "Deliveries are still under way.",
        "details": {"subcode": "FLUSH_TIMED_OUT"},
    }


def test_what_is_to_come_is_shown_with_its_moment(control, demo, endpoint):
    project = demo.get(AVA_PATH).json["projectId"]
    job = demo.post(f"/v1/projects/{project}/influencers", json={"name": "Noa"}).json
    (item,) = control.get("/webhooks")["items"]

    assert item == {
        "organizationId": endpoint["organizationId"],
        "clock": "2026-12-01T12:00:00.000Z",
        "status": "pending",
        "eventType": "job.completed",
        "eventId": item["eventId"],
        "dueAt": "2026-12-01T12:00:02.000Z",
        "isDue": False,
        "deliveryId": None,
        "endpointId": None,
        "attempts": 0,
    }
    control.put("/clock", advance="PT2S")
    control.post("/webhooks/flush")
    (message,) = control.get("/inbox/mine")["items"]
    assert json.loads(message["body"]) == {
        "id": item["eventId"],
        "type": "job.completed",
        "createdAt": "2026-12-01T12:00:02.000Z",
        "data": {"jobId": job["jobId"], "kind": "influencer_create", "result": {"influencerId": job["influencerId"]}},
    }
    assert control.get("/webhooks") == {"items": []}


def test_a_delivery_that_failed_waits_for_the_clock_and_says_so(control, demo, endpoint, ping):
    demo.patch(f"/v1/webhook-endpoints/{endpoint['id']}", json={"url": "http://127.0.0.1:9/"})
    ping(0)
    control.post("/webhooks/flush")
    (item,) = control.get("/webhooks")["items"]

    assert (item["status"], item["attempts"], item["isDue"]) == ("pending", 1, False)
    assert (item["endpointId"], item["dueAt"]) == (endpoint["id"], "2026-12-01T12:00:30.000Z")


def test_all_eight_attempts_are_made_when_the_clock_is_moved_on(control, demo, endpoint, ping):
    control.post("/faults", answer={"webhook": "lost"})
    ping(0)
    control.put("/clock", advance="PT32H")
    control.post("/webhooks/flush")
    (delivery,) = demo.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries").json["items"]

    assert (delivery["status"], delivery["attempts"], delivery["nextRetryAt"]) == ("failed", 8, None)
    assert delivery["lastResponseAt"] == "2026-12-02T20:00:00.000Z"
    assert control.get("/faults")["items"][0]["used"] == 8


# Faults of deliveries


def test_a_lost_delivery_comes_with_the_next_attempt(control, ping):
    control.post("/faults", answer={"webhook": "lost"}, match={"event": "test.ping"}, times=1)
    ping(0)
    control.post("/webhooks/flush")
    assert numbers(control) == []

    control.put("/clock", advance="PT30S")
    control.post("/webhooks/flush")
    assert numbers(control) == [0]


def test_every_second_delivery_is_lost_and_named_by_its_id(control, demo, endpoint, ping):
    control.post("/faults", answer={"webhook": "lost"}, match={"event": "test.ping"}, every=2)
    for number in range(4):
        ping(number)
        control.post("/webhooks/flush")
    items = demo.get(f"/v1/webhook-endpoints/{endpoint['id']}/deliveries").json["items"]

    assert sorted(numbers(control)) == [0, 2]
    (fault,) = control.get("/faults")["items"]
    assert (fault["seen"], fault["used"]) == (4, 2)
    assert sorted(fault["requestIds"]) == sorted(each["id"] for each in items if each["status"] == "pending")


def test_a_fault_of_another_event_strikes_no_delivery(control, ping):
    control.post("/faults", answer={"webhook": "lost"}, match={"event": "post.failed"})
    ping(0)
    control.post("/webhooks/flush")

    assert numbers(control) == [0]
    assert control.get("/faults")["items"][0]["used"] == 0


def test_a_delivery_comes_twice_with_one_event_id(control, ping):
    control.post("/faults", answer={"webhook": "twice"}, times=1)
    ping(0)
    ping(1)
    control.post("/webhooks/flush")

    assert numbers(control) == [0, 0, 1]
    ids = [item["headers"]["X-Layers-Event-Id"] for item in control.get("/inbox/mine")["items"]]
    assert len(set(ids)) == 2


def test_a_delivery_comes_after_the_next_one(control, ping):
    control.post("/faults", answer={"webhook": "outOfOrder"}, times=1)
    for number in range(3):
        ping(number)
    control.post("/webhooks/flush")

    assert numbers(control) in ([1, 0, 2], [1, 2, 0])


def test_a_delivery_that_no_other_follows_comes_late(control, ping):
    control.post("/faults", answer={"webhook": "outOfOrder", "lateByMs": 300_000})
    ping(0)
    control.post("/webhooks/flush")
    assert numbers(control) == []

    control.put("/clock", advance="PT5M")
    control.post("/webhooks/flush")
    assert numbers(control) == [0]


def test_a_late_delivery_comes_late_by_the_clock_and_others_before_it(control, ping):
    control.post("/faults", answer={"webhook": "late", "lateByMs": 3_600_000}, times=1)
    ping(0)
    ping(1)
    control.post("/webhooks/flush")
    assert numbers(control) == [1]

    control.put("/clock", advance="PT59M")
    control.post("/webhooks/flush")
    assert numbers(control) == [1]
    control.put("/clock", advance="PT1M")
    control.post("/webhooks/flush")
    assert numbers(control) == [1, 0]


WRONG_FAULTS = {
    "match": [
        (
            {"answer": {"webhook": "lost"}, "match": {"operation": "getJob"}},
            "With webhook, a delivery is matched by its event alone",
        ),
        ({"answer": {"delayMs": 1}, "match": {"event": "test.ping"}}, "event: Only for an answer with webhook"),
    ],
    "answer": [
        ({"answer": {"webhook": "lost", "lateByMs": 1000}}, "lateByMs: Only with webhook late or outOfOrder"),
        ({"answer": {"webhook": "late", "delayMs": 1}}, "delayMs: Not with webhook: say lateByMs"),
    ],
}


@pytest.mark.parametrize(
    ("field", "body", "fault"), [(field, *case) for field, cases in WRONG_FAULTS.items() for case in cases]
)
def test_a_fault_that_can_strike_no_delivery_is_refused(control, field, body, fault):
    error = refused(control.send("POST", "/faults", body))

    assert (error["code"], error["details"]) == ("VALIDATION", {"fieldErrors": {field: [fault]}})


# Inboxes


def test_an_inbox_says_why_a_signature_is_not_verified(control, client, endpoint, ping):
    ping(0)
    control.post("/webhooks/flush")
    (real,) = control.get("/inbox/mine")["items"]
    signature = {"X-Layers-Signature": real["headers"]["X-Layers-Signature"]}
    for path, body, headers in [
        ("mine", b"nothing", {}),
        ("mine", b"tampered", signature),
        ("yours", real["body"].encode(), signature),
    ]:
        assert client.post(f"/_standin/inbox/{path}", data=body, headers=headers).json == {"received": True}
    tampered, nothing, _ = control.get("/inbox/mine")["items"]
    (foreign,) = control.get("/inbox/yours")["items"]

    assert nothing["reason"] == "There is no X-Layers-Signature."
    assert foreign["reason"] == "No endpoint has this inbox as its URL."
    assert not tampered["isVerified"]
    assert tampered["reason"]


def test_an_inbox_keeps_the_newest_hundred_and_no_secret(control, client):
    for number in range(103):
        secrets = dict.fromkeys(["Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "X-Hub-Signature"], "s3cret")
        client.post("/_standin/inbox/mine", data=str(number), headers=secrets)
    items = control.get("/inbox/mine")["items"]

    assert [item["body"] for item in items] == [str(number) for number in reversed(range(3, 103))]
    assert "s3cret" not in json.dumps(items)


def test_an_inbox_is_emptied_alone(control, client):
    for name in ("mine", "yours"):
        client.post(f"/_standin/inbox/{name}", data=b"x")

    assert control.delete("/inbox/mine") == {"name": "mine", "deleted": True}
    assert (control.get("/inbox/mine")["items"], len(control.get("/inbox/yours")["items"])) == ([], 1)


def test_a_large_message_is_cut_off_and_binary_ones_are_shown(control, client):
    client.post("/_standin/inbox/mine", data=b"\xff" + b"x" * 100_000)
    (item,) = control.get("/inbox/mine")["items"]

    assert (item["bytes"], len(item["body"]), item["body"][:2]) == (100_001, 65_536, "\ufffdx")


def test_a_name_that_no_inbox_can_have_is_a_404(client):
    assert refused(client.post("/_standin/inbox/a.b", data=b"x"))["code"] == "NOT_FOUND"
