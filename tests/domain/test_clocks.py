"""The clock of the control plane: frozen, shifted and moved, for all or one organization, and obeyed by everything."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import cycle

import pytest
from api_helpers import SPRING, Clock, invalid, key_of, new_organization, refused
from conftest import AVA_PATH, DEMO
from hypothesis import given
from hypothesis import strategies as st
from servers import STAYS_OPEN, opened, serving, together

from app import create_app
from layers_standin.domain.clocks import LATEST_MS, REAL, advance, frozen, shifted, time_by
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, milliseconds
from layers_standin.housekeeping import housekeeping
from layers_standin.services import Services
from layers_standin.web.limits import PER_MINUTE

NOW = "2026-04-18T09:18:44.120Z"  # by the clock of the tests, which stands for the real one
CREATE, MEDIA = f"/v1/projects/{SPRING}/influencers", f"/v1/projects/{SPRING}/media"
VIDEO = {"kind": "video", "mimeType": "video/mp4"}


def shown(mode, now, offset_ms=None, organization=None, inherited=False):
    """Return a clock as the control plane shows it."""
    return {
        "organizationId": organization,
        "mode": mode,
        "now": now,
        "offsetMs": offset_ms,
        "inherited": inherited,
    }


# The rules


moments = st.integers(0, LATEST_MS)
durations = st.integers(-2 * LATEST_MS, 2 * LATEST_MS)
clocks = st.one_of(st.just(REAL), moments.map(frozen), durations.map(shifted))
instants = moments.map(from_epoch_milliseconds)


@given(clocks, durations, instants)
def test_whatever_a_clock_shows_can_be_written_and_so_can_what_follows_from_it(clock, by_ms, real):
    moved = advance(clock, by_ms)

    for each in (clock, moved):
        assert 0 <= epoch_milliseconds(time_by(each, real)) <= LATEST_MS
    assert milliseconds(time_by(moved, real) + timedelta(days=1)).endswith("Z")


@given(st.one_of(moments.map(frozen), durations.map(shifted)), instants)
def test_to_advance_by_nothing_changes_nothing(clock, real):
    assert advance(clock, 0) == clock
    assert time_by(advance(REAL, 0), real) == real


within = st.integers(-(10**12), 10**12)
middle = st.integers(LATEST_MS // 2 - 10**12, LATEST_MS // 2 + 10**12)


@given(st.one_of(st.just(REAL), middle.map(frozen), within.map(shifted)), within, within, middle)
def test_to_advance_twice_is_to_advance_once_by_both(clock, first_ms, second_ms, real_ms):
    real = from_epoch_milliseconds(real_ms)
    twice, once = advance(advance(clock, first_ms), second_ms), advance(clock, first_ms + second_ms)

    assert twice == once
    assert time_by(twice, real) - time_by(clock, real) == timedelta(milliseconds=first_ms + second_ms)


@given(st.one_of(st.just(REAL), within.map(shifted)), middle, within)
def test_a_clock_that_is_not_frozen_goes_as_the_real_one_does(clock, real_ms, later_ms):
    then, now = from_epoch_milliseconds(real_ms), from_epoch_milliseconds(real_ms + later_ms)

    assert time_by(clock, now) - time_by(clock, then) == now - then


@given(moments, instants)
def test_a_frozen_clock_shows_its_moment_whatever_the_real_one_says(at_ms, real):
    assert epoch_milliseconds(time_by(frozen(at_ms), real)) == at_ms


# What is said to it, and what it says


def test_a_clock_nobody_has_touched_is_the_real_one(control, organization):
    assert control.get("/clock") == shown("real", NOW)
    assert control.get("/clock", organizationId=organization) == shown(
        "real", NOW, organization=organization, inherited=True
    )


@pytest.mark.parametrize("at", ["2030-01-01T00:00:00Z", "2030-01-01T02:00:00.000+02:00", "20300101T000000Z"])
def test_a_clock_frozen_at_an_instant_stands_there(control, clock, at):
    frozen_there = shown("frozen", "2030-01-01T00:00:00.000Z")

    assert control.put("/clock", mode="frozen", at=at) == frozen_there
    clock.move(hours=1)
    assert control.get("/clock") == frozen_there


def test_a_clock_frozen_at_no_instant_in_particular_stops_where_it_is(control, clock):
    control.put("/clock", mode="offset", offset="P1D")
    clock.move(seconds=1)

    assert control.put("/clock", mode="frozen") == shown("frozen", "2026-04-19T09:18:45.120Z")
    clock.move(seconds=1)
    assert control.put("/clock", mode="frozen") == shown("frozen", "2026-04-19T09:18:45.120Z")


def test_a_shifted_clock_goes_on(control, clock):
    assert control.put("/clock", mode="offset", offset="-PT18M44.120S") == shown(
        "offset", "2026-04-18T09:00:00.000Z", -1_124_120
    )
    clock.move(seconds=5)
    assert control.get("/clock") == shown("offset", "2026-04-18T09:00:05.000Z", -1_124_120)
    # An offset is from the real clock, not from where the last one led.
    assert control.put("/clock", mode="offset", offset="PT1S") == shown("offset", "2026-04-18T09:18:50.120Z", 1000)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"mode": "real"}, shown("offset", "2026-04-19T10:18:44.120Z", 90_000_000)),
        ({"mode": "offset", "offset": "-PT1H"}, shown("offset", "2026-04-19T09:18:44.120Z", 86_400_000)),
        ({"mode": "frozen", "at": "2030-01-01T00:00:00Z"}, shown("frozen", "2030-01-02T01:00:00.000Z")),
    ],
    ids=["real", "shifted", "frozen"],
)
def test_a_clock_is_advanced_from_where_it_is(control, before, after):
    control.put("/clock", **before)

    assert control.put("/clock", advance="P1DT1H") == after


def test_a_clock_can_be_let_go(control):
    control.put("/clock", mode="frozen")
    assert control.put("/clock", mode="real") == shown("real", NOW)
    control.put("/clock", mode="frozen", at="2030-01-01T00:00:00Z")
    assert control.delete("/clock") == shown("real", NOW)


def test_an_organization_has_a_clock_of_its_own_or_that_of_all(control, organization):
    other, _ = control.organization()
    control.put("/clock", mode="frozen", at="2030-01-01T00:00:00Z")

    own = control.put("/clock", mode="frozen", at="2040-01-01T00:00:00Z", organizationId=organization)
    assert own == shown("frozen", "2040-01-01T00:00:00.000Z", organization=organization)
    assert control.get("/clock") == shown("frozen", "2030-01-01T00:00:00.000Z")
    assert control.get("/clock", organizationId=other) == shown(
        "frozen", "2030-01-01T00:00:00.000Z", organization=other, inherited=True
    )

    # The real one is a choice too, and what an organization advances is what it goes by.
    assert control.put("/clock", mode="real", organizationId=organization)["now"] == NOW
    assert control.put("/clock", advance="PT1S", organizationId=other)["now"] == "2030-01-01T00:00:01.000Z"
    assert control.delete("/clock", organizationId=organization) == shown(
        "frozen", "2030-01-01T00:00:00.000Z", organization=organization, inherited=True
    )
    assert control.get("/clock") == shown("frozen", "2030-01-01T00:00:00.000Z")


NO_INSTANT = "Invalid instant: say 2026-04-18T09:18:44Z"
OUT_OF_RANGE = "Invalid instant: must be from 1970-01-01T00:00:00Z to 9999-12-01T00:00:00Z"
NO_DURATION = "Invalid duration: say PT15M, P1D or -PT1H"
WRONG = [
    ({}, invalid("Exactly one of mode and advance is required")),
    ({"mode": "real", "advance": "P1D"}, invalid("Exactly one of mode and advance is required")),
    ({"mode": "stopped"}, invalid(mode=["Invalid enum value: must be one of real, frozen, offset"])),
    ({"mode": None}, invalid(mode=["Expected string, received null"])),
    ({"mode": "real", "at": "2030-01-01T00:00:00Z"}, invalid(at=["Only with mode frozen"])),
    ({"mode": "real", "offset": "P1D"}, invalid(offset=["Required with mode offset, and only with it"])),
    ({"mode": "offset"}, invalid(offset=["Required with mode offset, and only with it"])),
    ({"mode": "frozen", "to": "x"}, invalid(to=["Unrecognized key"])),
    ({"mode": "frozen", "organizationId": None}, invalid(organizationId=["Expected string, received null"])),
    *[
        ({"mode": "frozen", "at": at}, invalid(at=[NO_INSTANT]))
        for at in ("", "now", "2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z", "0001-01-01T00:00:00+10:00")
    ],
    *[
        ({"mode": "frozen", "at": at}, invalid(at=[OUT_OF_RANGE]))
        for at in ("1969-12-31T23:59:59.999Z", "9999-12-01T00:00:00.001Z")
    ],
    ({"mode": "frozen", "at": 1893456000}, invalid(at=["Expected string, received number"])),
    *[
        ({"advance": duration}, invalid(advance=[NO_DURATION]))
        for duration in ("", "1h", "P1M", "P1Y", "P", "60", "P9999999999D")
    ],
]


@pytest.mark.parametrize(("body", "refusal"), WRONG, ids=[str(body) for body, _ in WRONG])
def test_what_is_no_clock_is_refused_and_changes_nothing(control, body, refusal):
    assert refused(control.send("PUT", "/clock", body)) == refusal
    assert control.get("/clock") == shown("real", NOW)


def test_there_is_no_clock_of_an_organization_that_is_not_there(control):
    not_found = {"status": 404, "code": "NOT_FOUND", "message": "Organization not found."}

    assert refused(control.send("GET", "/clock", query={"organizationId": "x"})) == not_found
    assert refused(control.send("DELETE", "/clock", query={"organizationId": "*"})) == not_found
    for nobody in ("x", "*", ""):
        assert refused(control.send("PUT", "/clock", {"mode": "frozen", "organizationId": nobody})) == not_found


# Who obeys


@pytest.fixture
def ours(control, organization):
    """Return the function that sets the clock of the seed's organization."""
    return partial(control.put, "/clock", organizationId=organization)


def at_noon(ours):
    ours(mode="frozen", at="2030-01-01T12:00:00.5Z")
    return "2030-01-01T12:00:00Z"


def test_the_timestamps_of_all_that_is_made_or_changed(demo, store, organization, ours):
    noon = at_noon(ours)

    influencer = demo.patch(AVA_PATH, json={"vibe": "x"}).json
    assert influencer["updatedAt"] == noon
    assets = {"assetIds": ["asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9"]}
    references = demo.post(f"{AVA_PATH}/reference-images", json=assets).json["referenceImages"]
    assert [reference["addedAt"] for reference in references] == [noon]
    job = demo.post(CREATE, json={"name": "Kim"}).json
    assert job["startedAt"] == "2030-01-01T12:00:00.500Z"
    made = demo.get(f"/v1/influencers/{job['influencerId']}").json
    assert (made["createdAt"], made["updatedAt"]) == (noon, noon)
    project = demo.post("/v1/projects", json={"name": "P", "timezone": "UTC"}).json
    assert (project["createdAt"], project["updatedAt"]) == (noon, noon)
    assert demo.delete(f"/v1/projects/{project['id']}").json["archivedAt"].startswith("2030-01-01T12:00:00")
    asset = demo.post(MEDIA, json=VIDEO | {"dataBase64": "AAAA"}).json
    assert asset["createdAt"] == noon
    assert demo.post(f"{MEDIA}/presign", json=VIDEO).json["expiresAt"] == "2030-01-01T12:15:00.500Z"
    key_of(store, organization)
    other_key = store.keys.find(key_of(store, organization)["X-Api-Key"].split("_")[2])["apiKeyId"]
    assert demo.post(f"/v1/api-keys/{other_key}/kill").json["apiKey"]["revokedAt"] == "2030-01-01T12:00:00.500Z"
    assert demo.delete(AVA_PATH, json={}).json["deletedAt"] == noon


def test_what_the_control_plane_makes_is_of_the_time_of_those_it_is_for(control, store):
    control.put("/clock", mode="frozen", at="2030-01-01T12:00:00Z")
    other, _ = control.organization()
    assert store.organizations.get(other)["createdAt"] == "2030-01-01T12:00:00.000Z"

    control.put("/clock", mode="frozen", at="2031-01-01T12:00:00Z", organizationId=other)
    key = control.post(f"/organizations/{other}/keys")
    fault = control.post("/faults", answer={"code": "INTERNAL"}, organizationId=other)

    assert store.keys.find(key["apiKey"].split("_")[2])["createdAt"] == "2031-01-01T12:00:00.000Z"
    assert fault["createdAt"] == "2031-01-01T12:00:00.000Z"


def test_another_organization_does_not_notice(client, store, ours):
    other = new_organization(store)
    key = key_of(store, other, "*")
    at_noon(ours)

    made = client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}, headers=key).json

    assert made["createdAt"] == "2026-04-18T09:18:44Z"


def test_jobs_and_the_lists_that_tell_of_them(demo, ours):
    def listed(status):
        return [item["influencerId"] for item in demo.get(CREATE, query_string={"status": status}).json["items"]]

    at_noon(ours)
    begun = demo.post(CREATE, json={"name": "Kim"}).json
    job, its = f"/v1/jobs/{begun['jobId']}", begun["influencerId"]

    def stands():
        told = demo.get(job).json
        return told["status"], told["stage"], told["progress"], demo.get(f"/v1/influencers/{its}").json["status"]

    assert (stands(), listed("pending")) == (("running", "queued", 0, "pending"), [its])
    ours(advance="PT1S")
    assert (stands(), listed("training"), listed("pending")) == (("running", "training", 0.5, "training"), [its], [])
    ours(advance="PT1S")
    assert (stands(), listed("training")) == (("completed", "finalizing", 1, "ready"), [])
    assert its in listed("ready")
    # Set back, it has only just begun.
    ours(advance="-P1D")
    assert (stands(), listed("pending")) == (("running", "queued", 0, "pending"), [its])
    assert its not in listed("ready")


@pytest.mark.parametrize("moved", [[{"advance": "PT1H"}], []], ids=["by a clock that was moved on", "by the real one"])
def test_a_job_that_others_came_after_runs_again_in_the_lists_too(demo, ours, clock, moved):
    first = demo.post(CREATE, json={"name": "First"}).json
    clock.move(hours=1)
    for setting in moved:
        ours(**setting)
    second = demo.post(CREATE, json={"name": "Second"}).json
    ours(mode="frozen", at=first["startedAt"])

    def listed(**query):
        return [item["influencerId"] for item in demo.get(CREATE, query_string=query).json["items"]]

    both = [second["influencerId"], first["influencerId"]]
    assert listed()[:2] == both
    assert listed(status="pending") == both
    assert listed(status="pending", limit=1) == both[:1]
    assert listed(status="training") == listed(status="draft") == []


def test_a_job_that_others_came_after_by_a_clock_that_was_let_go_runs_again_in_the_lists_too(demo, ours):
    first = demo.post(CREATE, json={"name": "First"}).json["influencerId"]
    ours(advance="PT1H")
    second = demo.post(CREATE, json={"name": "Second"}).json["influencerId"]
    ours(mode="real")

    listed = demo.get(CREATE, query_string={"status": "pending"}).json["items"]
    assert [item["influencerId"] for item in listed] == [second, first]


def test_a_job_waits_as_long_as_the_clock_stands(demo, ours, clock):
    at_noon(ours)
    job = demo.post(CREATE, json={"name": "Kim"}).json["jobId"]

    clock.move(days=365)

    assert demo.get(f"/v1/jobs/{job}").json["progress"] == 0


@pytest.fixture
def upload(demo):
    return demo.post(f"{MEDIA}/presign", json=VIDEO).json


def sent(client, upload):
    return client.put(upload["uploadUrl"], data=b"bytes", headers=upload["headers"])


EXPIRED = {"status": 403, "code": "FORBIDDEN", "message": "The upload URL has expired."}


def test_presigned_urls_expire_by_the_clock_of_their_organization(demo, ours, upload):
    ours(advance="PT14M59.999S")
    assert sent(demo, upload).status_code == 200
    ours(advance="PT0.001S")
    assert refused(sent(demo, upload)) == EXPIRED
    ours(advance="-PT0.001S")
    assert sent(demo, upload).status_code == 200


def test_presigned_urls_do_not_expire_by_another_clock(demo, ours, upload, clock):
    ours(mode="frozen")

    clock.move(hours=1)

    assert sent(demo, upload).status_code == 200


def finalized(demo, upload):
    return demo.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).status_code


def bytes_of(rooms, organization):
    return sum(1 for path in (rooms.settings.data / "media" / organization).iterdir() if path.read_bytes() == b"bytes")


def test_an_upload_nobody_finished_within_a_day_is_dropped_with_its_bytes(demo, rooms, organization, ours, upload):
    sent(demo, upload)
    ours(advance="PT23H59M59.999S")
    demo.post(f"{MEDIA}/presign", json=VIDEO)
    assert bytes_of(rooms, organization) == 1

    ours(advance="PT0.001S")
    assert finalized(demo, upload) == 404
    demo.post(f"{MEDIA}/presign", json=VIDEO)

    assert bytes_of(rooms, organization) == 0
    assert upload["uploadId"] not in rooms.store.db.ids("uploads", organization)


def age(rooms, organization, **duration):
    """Make the files of an organization's media that much older."""
    then = time.time() - timedelta(**duration).total_seconds()
    for path in (rooms.settings.data / "media" / organization).iterdir():
        os.utime(path, (then, then))


def test_the_sweep_leaves_what_may_still_be_finished_by_the_clock(demo, rooms, organization, ours, upload):
    sent(demo, upload)
    ours(mode="frozen")
    age(rooms, organization, days=2)

    housekeeping(rooms)

    assert finalized(demo, upload) == 200


def test_the_sweep_drops_what_nobody_finished_by_the_clock(demo, rooms, organization, ours, upload):
    sent(demo, upload)
    ours(advance="P1D")

    housekeeping(rooms)

    assert bytes_of(rooms, organization) == 0
    assert rooms.store.db.ids("uploads", organization) == []


def test_the_sweep_leaves_assets_alone_whatever_the_clock_says(demo, rooms, organization, ours, upload):
    sent(demo, upload)
    finalized(demo, upload)
    ours(mode="frozen", at="2999-01-01T00:00:00Z")
    age(rooms, organization, days=2)

    housekeeping(rooms)

    assert bytes_of(rooms, organization) == 1


def test_the_window_of_idempotency_keys(demo, ours):
    def patched(vibe):
        response = demo.patch(AVA_PATH, json={"vibe": vibe}, headers={"Idempotency-Key": "once"})
        return response.status_code, "Idempotent-Replayed" in response.headers

    ours(mode="frozen")
    assert patched("x") == (200, False)
    ours(advance="PT23H59M59.999S")
    assert (patched("x"), patched("y")) == ((200, True), (409, False))
    ours(advance="PT0.001S")
    assert patched("y") == (200, False)
    # A clock set back does not forget what was done by it.
    ours(advance="-P30D")
    assert patched("y") == (200, True)


@pytest.fixture
def limited(rooms, settings):
    """Return a client of a service that limits, with the demo key."""
    client = create_app(Services(rooms.store, rooms.media, replace(settings, rate_limits=True))).test_client()
    client.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]
    return client


def test_the_windows_of_rate_limits(limited, ours):
    most = PER_MINUTE["standard"]["read-light"]
    ours(mode="frozen", at="2030-01-01T12:00:30Z")
    for _ in range(most):
        assert limited.get("/v1/whoami").status_code == 200

    over = limited.get("/v1/whoami")
    assert (over.status_code, over.headers["Retry-After"]) == (429, "30")
    assert over.headers["X-RateLimit-Reset"] == str(
        epoch_milliseconds(Clock().moment.replace(2030, 1, 1, 12, 1, 0, 0)) // 1000
    )
    ours(advance="PT29.999S")
    assert limited.get("/v1/whoami").status_code == 429
    ours(advance="PT0.001S")
    assert limited.get("/v1/whoami").headers["X-RateLimit-Remaining"] == str(most - 1)


@pytest.mark.parametrize("back", ["-PT1M", "-PT2H", "-P400D"])
def test_a_clock_set_back_locks_nobody_out(limited, ours, back):
    ours(mode="frozen", at="2030-01-01T12:00:30Z")
    while limited.get("/v1/whoami").status_code == 200:
        pass

    ours(advance=back)

    response = limited.get("/v1/whoami")
    assert (response.status_code, response.headers["X-RateLimit-Remaining"]) == (200, "119")
    while limited.get("/v1/whoami").status_code == 200:
        pass
    assert limited.get("/v1/whoami").headers["Retry-After"] == "30"


def test_a_day_of_writes_that_a_clock_set_back_has_left_locks_nobody_out(limited, store, organization, ours, clock):
    ours(mode="frozen", at="2030-01-03T00:00:00Z")
    assert limited.patch(AVA_PATH, json={"vibe": "x"}).status_code == 200
    store.db.table("rate_limits", organization).update({"count": 10**6})
    assert limited.patch(AVA_PATH, json={"vibe": "x"}).status_code == 429

    ours(advance="-P1D")

    assert limited.patch(AVA_PATH, json={"vibe": "x"}).status_code == 200


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "9999-12-01T00:00:00Z"])
@pytest.mark.parametrize("before", ["1970-01-01T00:00:00Z", "9999-12-01T00:00:00Z"])
def test_at_both_ends_of_time_everything_still_works(limited, ours, before, at):
    ours(mode="frozen", at=before)
    earlier = limited.post(f"{MEDIA}/presign", json=VIDEO).json
    job = limited.post(CREATE, json={"name": "Kim"}, headers={"Idempotency-Key": "once"}).json
    ours(mode="frozen", at=at)

    upload = limited.post(f"{MEDIA}/presign", json=VIDEO).json
    assert sent(limited, earlier).status_code == (403 if before < at else 200)
    assert sent(limited, upload).status_code == 200
    assert finalized(limited, upload) == 200
    assert limited.post(CREATE, json={"name": "Kim"}, headers={"Idempotency-Key": "once"}).status_code == 202
    assert limited.get(f"/v1/jobs/{job['jobId']}").status_code == 200
    assert limited.get(CREATE, query_string={"status": "pending"}).status_code == 200
    assert limited.post(f"/v1/jobs/{job['jobId']}/cancel").status_code in (200, 202)
    assert limited.patch(AVA_PATH, json={"vibe": "x"}).json["updatedAt"] == at
    ours(advance="P9999D"), ours(advance="-P9999D")


def test_an_offset_that_is_piled_up_for_ever_stays_a_clock(control, demo):
    for _ in range(3):
        control.put("/clock", advance="P999999999D")
    assert control.get("/clock") == shown("offset", "9999-12-01T00:00:00.000Z", LATEST_MS)
    assert demo.patch(AVA_PATH, json={"vibe": "x"}).json["updatedAt"] == "9999-12-01T00:00:00Z"


# Several workers


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path / "store", *STAYS_OPEN, WEB_CONCURRENCY="2", STANDIN_SYNC="never") as server:
        yield server


@pytest.fixture
def workers(server):
    """Return a client of each worker."""
    clients = [server.client_of(worker) for worker in server.workers()]
    assert len(clients) == 2
    return clients


@pytest.mark.slow
def test_every_worker_obeys_at_its_very_next_request(server, workers):
    for second, commander in zip(range(20), cycle(workers)):
        now = f"2030-01-01T00:00:{second:02d}Z"
        commander.put("/_standin/clock", json={"mode": "frozen", "at": now}).raise_for_status()
        replies = [client.patch(AVA_PATH, json={"vibe": "x"}).json() for client in reversed(workers)]
        assert [reply["updatedAt"] for reply in replies] == [now, now]


@pytest.mark.slow
def test_who_advances_at_the_same_time_as_others_advances_too(server, workers):
    workers[0].put("/_standin/clock", json={"mode": "frozen", "at": "2030-01-01T00:00:00Z"}).raise_for_status()
    crowd = [server.client_of(worker) for worker in server.workers() for _ in range(4)]

    def advance_five_times(client):
        for _ in range(5):
            client.put("/_standin/clock", json={"advance": "PT1S"}).raise_for_status()

    together(partial(advance_five_times, client) for client in crowd)

    assert [client.get("/_standin/clock").json()["now"] for client in workers] == ["2030-01-01T00:00:40.000Z"] * 2


@pytest.mark.slow
def test_a_clock_outlives_the_processes(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, WEB_CONCURRENCY="1") as server:
        set_to = server.client().put("/_standin/clock", json={"mode": "frozen", "at": "2030-01-01T00:00:00Z"}).json()
    with serving(folder, WEB_CONCURRENCY="1") as server:
        assert server.client().get("/_standin/clock").json() == set_to


@pytest.mark.slow
def test_the_sweep_at_start_goes_by_the_clock(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        upload = client.post(f"{MEDIA}/presign", json=VIDEO).json()
        assert client.put(upload["uploadUrl"], content=b"bytes", headers=upload["headers"]).status_code == 200
        client.put("/_standin/clock", json={"advance": "P1D"}).raise_for_status()
    with serving(folder, WEB_CONCURRENCY="1"), opened(folder) as store:
        assert [space for space in store.db.tables() if space[0] == "uploads"] == []
    assert [path for path in (folder / "media").glob("*/*") if path.read_bytes() == b"bytes"] == []
