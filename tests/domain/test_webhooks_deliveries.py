"""Deliveries by themselves: those of pauses and deletions under way, and how long they are kept."""

import pytest
from delivery_helpers import made_delivery, made_endpoint
from webhook_queue import OK, REFUSED, Deliverer

from layers_standin.control.schemas import MAX_LATE_MS
from layers_standin.domain.clocks import LATEST_MS
from layers_standin.domain.deliveries import KEPT_MS, after_attempt, delivery_view
from layers_standin.domain.endpoints import ACTIVE, PAUSED
from layers_standin.housekeeping import sweep
from layers_standin.webhooks.queue import Queue

pytestmark = pytest.mark.postgres

DAY_MS = 24 * 60 * 60 * 1000
STATUSES = ("pending", "delivering", "delivered", "failed", "abandoned")


@pytest.fixture
def own(store, organization):
    """Return the store bound to the seed's organization."""
    return store.for_organization(organization)


@pytest.fixture
def deliver(store, organization):
    return Deliverer(store, organization)


def status_of(own, delivery):
    return own.deliveries.get(delivery["id"])["status"]


def test_what_is_made_for_an_endpoint_that_was_just_deleted_is_abandoned(own, deliver):
    endpoint, delivery = made_delivery(own)
    own.endpoints.delete(endpoint["id"])

    assert deliver() == []
    found = own.deliveries.get(delivery["id"])
    assert (found["status"], found["abandonedMs"]) == ("abandoned", own.now_ms())
    assert own.deliveries.next_due_ms() is None


def test_what_is_made_for_an_endpoint_that_was_just_paused_waits(own, deliver):
    endpoint, delivery = made_delivery(own)
    own.endpoints.put(endpoint | {"status": PAUSED})
    assert deliver() == []
    assert (status_of(own, delivery), own.deliveries.next_due_ms()) == ("pending", None)

    own.deliveries.change_endpoint(endpoint["id"], {"status": ACTIVE})

    assert [attempt.delivery["id"] for attempt in deliver()] == [delivery["id"]]


def test_of_a_pause_and_the_last_failure_in_one_commit_none_is_lost(own, deliver):
    """What is pending is held in the transaction that records the twentieth failure, which may be an eighth attempt."""
    endpoint = made_endpoint(own, consecutiveFailureCount=19)
    first, second = (own.deliveries.send(endpoint, "test.ping", {"n": number}) for number in range(2))
    own.deliveries.put(first | {"attempts": 7})

    (attempt,) = deliver.take()
    deliver.record([attempt], REFUSED)

    found = own.deliveries.get(attempt.delivery["id"])
    assert attempt.delivery["id"] == first["id"]
    assert (found["status"], found["attempts"], len(found["responses"])) == ("failed", 8, 1)
    assert own.deliveries.get(second["id"]) == second | {"isHeld": True}
    assert own.endpoints.get(endpoint["id"])["status"] == "auto_paused"


def test_a_success_that_comes_after_the_deletion_is_no_pending_one(own, deliver):
    endpoint, delivery = made_delivery(own)
    attempts = deliver.take()
    own.deliveries.abandon(endpoint["id"])
    own.endpoints.delete(endpoint["id"])
    deliver.record(attempts, OK)
    assert status_of(own, delivery) == "delivered"
    assert deliver() == []


def test_an_answer_that_is_recorded_twice_counts_once(own, deliver):
    endpoint, delivery = made_delivery(own)
    attempts = deliver.take()
    deliver.record(attempts, REFUSED)
    deliver.record(attempts, REFUSED)
    assert own.deliveries.get(delivery["id"])["attempts"] == 1
    assert own.endpoints.get(endpoint["id"])["consecutiveFailureCount"] == 1


@pytest.mark.parametrize("change", ["pause", "deletion"])
def test_what_ended_between_the_look_and_the_taking_stays_ended(own, store, change):
    endpoint, delivery = made_delivery(own)
    own.deliveries.put(after_attempt(delivery, OK, own.now_ms()))
    if change == "pause":
        own.endpoints.put(endpoint | {"status": PAUSED})
    else:
        own.endpoints.delete(endpoint["id"])
    assert Queue(own).take([delivery["id"]]) == []
    assert status_of(own, delivery) == "delivered"


def test_what_a_killed_deliverer_had_under_way_is_attempted_again_with_the_same_id(own, deliver):
    _, delivery = made_delivery(own)
    (lost,) = deliver.take()
    assert status_of(own, delivery) == "delivering"
    (again,) = deliver()
    assert again.delivery["event"] == lost.delivery["event"]
    assert (status_of(own, delivery), own.deliveries.get(delivery["id"])["attempts"]) == ("delivered", 1)


def test_the_next_of_an_endpoint_is_not_taken_while_one_is_under_way(own, store, deliver):
    endpoint, first = made_delivery(own)
    second = own.deliveries.send(endpoint, "test.ping", {"n": 1})
    other, third = made_delivery(own)
    now_ms = own.now_ms()
    assert [found for _, found in own.deliveries.due(now_ms, (), 9)] == [first["id"], third["id"]]
    assert [found for _, found in own.deliveries.due(now_ms, {endpoint["id"]}, 9)] == [third["id"]]
    assert own.deliveries.due(now_ms, {endpoint["id"], other["id"]}, 9) == []
    assert [attempt.delivery["id"] for attempt in deliver()] == [first["id"], third["id"], second["id"]]


def test_much_that_is_due_to_one_endpoint_hides_no_other(own):
    endpoint, first = made_delivery(own)
    with own.db.transaction():
        for number in range(150):  # more than a look reads at first
            own.deliveries.send(endpoint, "test.ping", {"n": number})
    idle = made_endpoint(own)
    other, last = made_delivery(own)
    now_ms = own.now_ms()
    assert [found for _, found in own.deliveries.due(now_ms, (), 9)] == [first["id"], last["id"]]
    assert [found for _, found in own.deliveries.due(now_ms, {endpoint["id"], idle["id"]}, 9)] == [last["id"]]
    assert own.deliveries.due(now_ms, {endpoint["id"], other["id"]}, 9) == []
    assert own.deliveries.due(now_ms, {endpoint["id"], other["id"], idle["id"]}, 9) == []


def test_one_that_failed_lets_the_next_pass(own, deliver):
    endpoint, first = made_delivery(own)
    second = own.deliveries.send(endpoint, "test.ping", {"n": 1})
    deliver.once(lambda _: REFUSED)
    assert [attempt.delivery["id"] for attempt in deliver()] == [second["id"]]
    assert status_of(own, first) == "pending"


def test_one_that_was_out_of_order_is_tried_again_by_the_clock_like_any_other(own, deliver):
    """It comes after another, or when its time is up; from then on others are nothing to it."""
    endpoint, delivery = made_delivery(own)
    own.deliveries.postpone(delivery, 0, until_next=True)
    (attempt,) = deliver.take()
    deliver.record([attempt], REFUSED)
    own.deliveries.send(endpoint, "test.ping", {"n": 1})

    assert [each.delivery["event"]["data"]["n"] for each in deliver()] == [1]
    found = own.deliveries.get(delivery["id"])
    assert (found["attempts"], found["dueMs"]) == (1, delivery["dueMs"] + 30_000)


def test_a_delivery_that_is_late_at_the_end_of_all_time_has_a_moment(own, deliver):
    _, delivery = made_delivery(own)
    own.deliveries.put(delivery | {"dueMs": LATEST_MS})
    own.deliveries.postpone(own.deliveries.get(delivery["id"]), MAX_LATE_MS, until_next=False)
    assert delivery_view(own.deliveries.get(delivery["id"]))["nextRetryAt"] == "9999-12-01T00:00:00.000Z"


def test_what_ended_is_forgotten_a_month_after_it_was_made_and_nothing_else(own, rooms, clock):
    endpoint, made = made_delivery(own)
    ids = dict(zip(STATUSES, (f"whd_{number:026}" for number in range(5)), strict=True))
    for status, delivery_id in ids.items():
        own.deliveries.put(made | {"id": delivery_id, "sortKey": delivery_id, "status": status})
    kept = own.deliveries.send(endpoint, "test.ping", {})
    own.deliveries.put(after_attempt(kept, OK, own.now_ms()) | {"createdMs": own.now_ms() + 1})
    clock.move(seconds=KEPT_MS / 1000)

    def left():
        return {document["id"] for document in own.tables.all("deliveries", own.db.ids("deliveries", own.organization))}

    clock.move(milliseconds=-1)
    sweep(rooms, 0)
    assert len(left()) == 7
    clock.move(milliseconds=1)
    sweep(rooms, 0)

    unfinished = {ids["pending"], ids["delivering"], made["id"]}
    assert left() == unfinished | {kept["id"]}
    clock.move(milliseconds=1)
    sweep(rooms, 0)
    assert left() == unfinished
    assert KEPT_MS == 30 * DAY_MS


def test_many_that_ended_are_forgotten_by_the_clock_of_their_organization(own, rooms, control, store, monkeypatch):
    monkeypatch.setattr("layers_standin.domain.deliveries._AT_ONCE", 3)
    endpoint, _ = made_delivery(own)
    for number in range(10):
        delivery = own.deliveries.send(endpoint, "test.ping", {"n": number})
        own.deliveries.put(after_attempt(delivery, OK, own.now_ms()))
    sweep(rooms, 0)
    assert own.db.count("deliveries", own.organization) == 11
    control.put("/clock", organizationId=own.organization, advance="P31D")
    sweep(rooms, 0)
    assert own.db.count("deliveries", own.organization) == 1
