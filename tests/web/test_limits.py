"""Rate limits: by key, tier and class, shared by all workers, and honest about when to come back."""

import os
import signal
import time
from dataclasses import replace

import pytest
from api_helpers import KILLED, SPRING, UNAUTHENTICATED, invalid, key_of, new_organization, refused
from conftest import AVA_PATH, DEMO
from servers import STAYS_OPEN, documents, eventually, opened, seeded, serving, together

from app import create_app
from layers_standin.services import Services
from layers_standin.web.limits import PER_MINUTE, WRITES_PER_DAY, windows_of
from store import Store

pytestmark = pytest.mark.postgres

WHOAMI, CREATE = "/v1/whoami", f"/v1/projects/{SPRING}/influencers"
LIMIT, REMAINING, RESET = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
DAY = 24 * 60 * 60
# What is refused counts as well, so the long-running ones can do without an effect.
CALLS = {
    "read-light": ("GET", WHOAMI, None, 200),
    "write-light": ("PATCH", AVA_PATH, {"vibe": "x"}, 200),
    "long-running": ("POST", CREATE, {}, 422),
}
NEXT_MINUTE = "1776503940"  # 2026-04-18T09:19:00Z; the clock of the tests says 09:18:44.120
NEXT_DAY = "1776556800"


def too_many(endpoint_class):
    return {
        "status": 429,
        "code": "RATE_LIMITED",
        "message": "Too many requests.",
        "details": {"endpointClass": endpoint_class},
    }


@pytest.fixture
def limited(rooms, settings):
    """Return a client of a service that limits, without a key."""
    return create_app(Services(rooms.store, rooms.media, replace(settings, rate_limits=True))).test_client()


@pytest.fixture
def standard(store, organization):
    return key_of(store, organization, "*")


def tiered(store, organization, tier):
    return {"X-Api-Key": store.for_organization(organization).keys.create(["*"], "A key", tier=tier)}


def ask(client, endpoint_class, key):
    method, path, body, _ = CALLS[endpoint_class]
    return client.open(path, method=method, json=body, headers=key)


def limits_of(response):
    """Return (limit, remaining, reset) as the headers tell, None for what they do not."""
    return tuple(response.headers.get(name) for name in (LIMIT, REMAINING, RESET))


def spend(store, key, endpoint_class, left, window=0, until=None):
    """Leave a key so many requests in its minute (window 0) or in its day (window 1)."""
    document = store.keys.find(key["X-Api-Key"].split("_")[2])
    counter, length, most = windows_of(document, endpoint_class)[window]
    now = store.now().timestamp()
    ends = until or (now // length + 1) * length
    seconds = length if until is None else until  # since 1970
    counted = {"id": counter, "organizationId": document["organizationId"]}
    store.tables.put("rate_limits", counted | {"count": most - left, "until": ends, "seconds": seconds})


def counters(store):
    spaces = [partition for table, partition in store.db.tables() if table == "rate_limits"]
    return {counter["id"]: counter["count"] for space in spaces for counter in store.tables.table("rate_limits", space)}


def test_the_tiers_are_those_of_the_contract():
    assert PER_MINUTE == {
        "standard": {"read-light": 120, "write-light": 60, "long-running": 20},
        "pilot": {"read-light": 1200, "write-light": 600, "long-running": 60},
        "partner": {"read-light": 6000, "write-light": 3000, "long-running": 300},
    }
    assert WRITES_PER_DAY == {"standard": 10_000, "pilot": 100_000, "partner": 500_000}


@pytest.mark.parametrize("endpoint_class", CALLS)
def test_nothing_is_limited_unless_it_is_switched_on(client, store, standard, endpoint_class):
    for _ in range(PER_MINUTE["standard"][endpoint_class] + 1):
        response = ask(client, endpoint_class, standard)
        assert response.status_code == CALLS[endpoint_class][3]
        assert limits_of(response) == (None, None, None)
    assert response.headers["X-RateLimit-Endpoint-Class"] == endpoint_class
    assert counters(store) == {}


@pytest.mark.parametrize("endpoint_class", CALLS)
def test_a_minute_has_as_many_requests_as_the_tier_says_and_no_more(limited, standard, clock, endpoint_class):
    most = PER_MINUTE["standard"][endpoint_class]
    for left in reversed(range(most)):
        response = ask(limited, endpoint_class, standard)
        assert response.status_code == CALLS[endpoint_class][3]
        assert limits_of(response) == (str(most), str(left), NEXT_MINUTE)

    for _ in range(2):
        over = ask(limited, endpoint_class, standard)
        assert refused(over) == too_many(endpoint_class)
        assert limits_of(over) == (str(most), "0", NEXT_MINUTE)
        assert over.headers["Retry-After"] == "16"
        assert over.headers["X-RateLimit-Endpoint-Class"] == endpoint_class


@pytest.mark.parametrize("tier", PER_MINUTE)
@pytest.mark.parametrize("endpoint_class", CALLS)
def test_each_tier_has_its_own_limit_for_each_class(limited, store, organization, tier, endpoint_class):
    key = tiered(store, organization, tier)
    spend(store, key, endpoint_class, left=1)

    last, over = ask(limited, endpoint_class, key), ask(limited, endpoint_class, key)

    most = str(PER_MINUTE[tier][endpoint_class])
    assert (last.status_code, *limits_of(last)) == (CALLS[endpoint_class][3], most, "0", NEXT_MINUTE)
    assert (over.status_code, *limits_of(over)) == (429, most, "0", NEXT_MINUTE)


@pytest.mark.parametrize("tier", PER_MINUTE)
def test_a_day_of_writes_ends_at_midnight_utc(limited, store, organization, clock, tier):
    key = tiered(store, organization, tier)
    spend(store, key, "write-light", left=1, window=1)

    last, over = ask(limited, "write-light", key), ask(limited, "write-light", key)

    most = str(WRITES_PER_DAY[tier])
    assert (last.status_code, *limits_of(last)) == (200, most, "0", NEXT_DAY)
    assert refused(over) == too_many("write-light")
    assert limits_of(over) == (most, "0", NEXT_DAY)
    assert over.headers["Retry-After"] == str(int(NEXT_DAY) - 1776503924)
    assert ask(limited, "read-light", key).status_code == 200
    assert ask(limited, "long-running", key).status_code == 422
    clock.move(seconds=int(over.headers["Retry-After"]) - 1)
    assert ask(limited, "write-light", key).status_code == 429
    clock.move(seconds=1)
    assert limits_of(ask(limited, "write-light", key))[:2] == (
        str(PER_MINUTE[tier]["write-light"]),
        str(PER_MINUTE[tier]["write-light"] - 1),
    )


@pytest.mark.parametrize("after_ms", [0, 1, 880, 14_880, 15_879, 15_880, 59_999])
@pytest.mark.parametrize("endpoint_class", CALLS)
def test_who_waits_as_long_as_told_gets_through_and_a_second_less_does_not(
    limited, store, standard, clock, endpoint_class, after_ms
):
    clock.move(milliseconds=after_ms)
    spend(store, standard, endpoint_class, left=0)
    wait = int(ask(limited, endpoint_class, standard).headers["Retry-After"])
    assert 1 <= wait <= 60

    clock.move(seconds=wait - 1)
    assert ask(limited, endpoint_class, standard).status_code == 429
    clock.move(seconds=1)
    assert ask(limited, endpoint_class, standard).status_code == CALLS[endpoint_class][3]


def test_classes_keys_and_organizations_are_counted_apart(limited, store, organization, standard):
    other = key_of(store, organization, "*")
    foreign = key_of(store, new_organization(store), "*")
    spend(store, standard, "read-light", left=0)

    assert ask(limited, "read-light", standard).status_code == 429
    assert limits_of(ask(limited, "write-light", standard))[:2] == ("60", "59")
    assert limits_of(ask(limited, "long-running", standard))[:2] == ("20", "19")
    assert limits_of(ask(limited, "read-light", other))[:2] == ("120", "119")
    assert limits_of(ask(limited, "read-light", foreign))[:2] == ("120", "119")
    assert limits_of(ask(limited, "read-light", other))[:2] == ("120", "118")


def test_a_rotated_key_does_not_begin_anew(limited, store, standard):
    key_id = limited.get(WHOAMI, headers=standard).json["apiKeyId"]
    spend(store, standard, "read-light", left=0)

    new = {"X-Api-Key": limited.post(f"/v1/api-keys/{key_id}/rotate", headers=standard).json["secret"]}

    assert ask(limited, "read-light", new).status_code == 429


# Which responses tell, and what is counted


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", WHOAMI, None, 200),
        ("HEAD", WHOAMI, None, 200),
        ("POST", "/v1/projects", {"name": "P", "timezone": "UTC"}, 201),
        ("POST", CREATE, {"name": "Kim"}, 202),
        ("GET", "/v1/influencers/inf_x", None, 404),
        ("DELETE", "/v1/influencers/inf_x", None, 404),
        ("POST", "/v1/projects", {"id": SPRING, "name": "P", "timezone": "UTC"}, 409),
        ("PATCH", AVA_PATH, {}, 422),
        ("GET", f"{CREATE}?limit=0", None, 422),
        ("PATCH", AVA_PATH, {"name": "a" * 2**20}, 413),
    ],
)
def test_every_answer_to_a_key_tells_what_is_left(limited, standard, method, path, body, status):
    response = limited.open(path, method=method, json=body, headers=standard)

    endpoint_class = response.headers["X-RateLimit-Endpoint-Class"]
    most = PER_MINUTE["standard"][endpoint_class]
    assert (response.status_code, *limits_of(response)) == (status, str(most), str(most - 1), NEXT_MINUTE)
    again = limited.open(path, method=method, json=body, headers=standard)
    assert limits_of(again)[1] == str(most - 2)


def test_not_modified_tells_what_is_left(limited, standard):
    location = limited.post(CREATE, json={"name": "Kim"}, headers=standard).json["locationUrl"]
    tag = limited.get(location, headers=standard).headers["ETag"]

    response = limited.get(location, headers=standard | {"If-None-Match": tag})

    assert (response.status_code, *limits_of(response)) == (304, "120", "118", NEXT_MINUTE)


def test_a_missing_scope_tells_what_is_left_and_counts(limited, store, organization):
    weak = key_of(store, organization)
    spend(store, weak, "write-light", left=1)

    assert ask(limited, "write-light", weak).status_code == 403
    assert refused(ask(limited, "write-light", weak)) == too_many("write-light")


def test_a_replay_counts_as_any_request(limited, standard):
    once = standard | {"Idempotency-Key": "one"}

    replies = [limited.patch(AVA_PATH, json={"vibe": "x"}, headers=once) for _ in range(2)]

    assert [limits_of(reply)[1] for reply in replies] == ["59", "58"]
    assert replies[1].headers["Idempotent-Replayed"] == "true"


def test_too_many_requests_are_not_filed_and_change_nothing(limited, store, standard, clock):
    spend(store, standard, "write-light", left=0)
    once = standard | {"Idempotency-Key": "one"}
    assert limited.patch(AVA_PATH, json={"vibe": "new"}, headers=once).status_code == 429
    assert limited.get(AVA_PATH, headers=standard).json["vibe"] != "new"

    clock.move(minutes=1)

    assert limited.patch(AVA_PATH, json={"vibe": "new"}, headers=once).json["vibe"] == "new"


@pytest.mark.parametrize(
    "method, path, key, status",
    [
        ("GET", WHOAMI, {}, 401),
        ("GET", WHOAMI, {"X-Api-Key": "wrong"}, 401),
        ("GET", WHOAMI, {"X-Api-Key": DEMO["X-Api-Key"][:-1] + "1"}, 401),
        ("GET", "/v1/unknown", DEMO, 404),
        ("DELETE", WHOAMI, DEMO, 405),
        ("OPTIONS", WHOAMI, DEMO, 204),
    ],
)
def test_without_a_key_or_a_route_nothing_is_counted_and_nothing_told(limited, store, method, path, key, status):
    response = limited.open(path, method=method, headers=key)

    assert (response.status_code, *limits_of(response)) == (status, None, None, None)
    assert "X-RateLimit-Endpoint-Class" in response.headers
    assert counters(store) == {}


def test_the_bytes_of_an_upload_need_no_key_and_are_not_counted(limited, store, standard):
    body = {"kind": "audio", "mimeType": "audio/wav"}
    presigned = limited.post(f"/v1/projects/{SPRING}/media/presign", json=body, headers=standard).json
    before = counters(store)

    path = "/v1/uploads/" + presigned["uploadUrl"].rpartition("/")[2]
    response = limited.put(path, data=b"RIFF", headers=presigned["headers"])

    assert (response.status_code, *limits_of(response)) == (200, None, None, None)
    assert counters(store) == before


# The order of the checks


def test_a_killed_key_comes_before_too_many_requests_and_is_not_counted(limited, store, standard):
    key_id = limited.get(WHOAMI, headers=standard).json["apiKeyId"]
    spend(store, standard, "read-light", left=0)
    limited.post(f"/v1/api-keys/{key_id}/kill", headers=standard)
    before = counters(store)

    response = ask(limited, "read-light", standard)

    assert refused(response) == KILLED
    assert limits_of(response) == (None, None, None)
    assert counters(store) == before


def test_a_wrong_key_comes_before_too_many_requests(limited, store, standard):
    spend(store, standard, "read-light", left=0)

    assert refused(limited.get(WHOAMI, headers={"X-Api-Key": standard["X-Api-Key"][:-1]})) == UNAUTHENTICATED


def test_too_many_requests_come_before_a_missing_scope_and_a_wrong_body(limited, store, organization, standard):
    weak = key_of(store, organization)
    for key in (weak, standard):
        spend(store, key, "write-light", left=0)
        assert refused(limited.patch(AVA_PATH, data=b"{", headers=key)) == too_many("write-light")
    assert refused(limited.patch(AVA_PATH, json={}, headers=DEMO)) == invalid("At least one field is required")


# One count for everybody


def test_many_requests_at_once_are_counted_one_by_one(rooms, settings, standard):
    app = create_app(Services(rooms.store, rooms.media, replace(settings, rate_limits=True)))

    def call():
        return ask(app.test_client(), "long-running", standard).status_code

    assert sorted(together([call] * 30)) == [422] * 20 + [429] * 10


def test_a_store_opened_anew_goes_on_counting(limited, rooms, settings, standard, clock):
    ask(limited, "read-light", standard)

    with opened(settings.store or settings.data) as store:
        again = Services(Store(store.db, clock), rooms.media, replace(settings, rate_limits=True))
        assert limits_of(ask(create_app(again).test_client(), "read-light", standard))[1] == "118"


@pytest.mark.slow
def test_all_workers_count_together_and_none_of_their_ends_loses_a_count(tmp_path):
    folder, most = tmp_path / "store", str(WRITES_PER_DAY["standard"])
    with seeded(folder) as store:  # a window that does not end while the test runs, whatever the time
        spend(store, DEMO, "write-light", left=10, window=1, until=time.time() + 2 * DAY)
    settings = {"STANDIN_RATE_LIMITS": "on", "STANDIN_SYNC": "never"}

    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2", **settings) as server:
        workers = server.workers()
        clients = [server.client_of(worker) for worker in workers]
        told = [limits_of(clients[turn % 2].patch(AVA_PATH, json={"vibe": "x"})) for turn in range(6)]
        assert [(limit, left) for limit, left, _ in told] == [(most, str(left)) for left in (9, 8, 7, 6, 5, 4)]

        os.kill(workers[0], signal.SIGKILL)
        fresh = eventually(lambda: set(server.workers()) - set(workers), "another worker").pop()
        replies = [server.client_of(fresh).patch(AVA_PATH, json={"vibe": "x"}) for _ in range(4)]
        assert [limits_of(reply)[1] for reply in replies] == ["3", "2", "1", "0"]
        assert clients[1].patch(AVA_PATH, json={"vibe": "x"}).status_code == 429

    assert len(documents(folder)["rate_limits"]) >= 2
    with serving(folder, WEB_CONCURRENCY="1", **settings) as server:
        over = server.client().patch(AVA_PATH, json={"vibe": "x"})
        assert over.status_code == 429
        assert over.json()["error"]["details"] == {"endpointClass": "write-light"}
        assert int(over.headers["Retry-After"]) > DAY
