"""The ingest state and brand context of a project: a function of its ingests and the clock."""

from layers_standin.domain.ingest import ingested
from layers_standin.domain.schedules import INGEST_GITHUB, INGEST_WEBSITE, OPENING_PR, cancel, new_schedule, state_at

NOTHING = {"brandContext": None, "ingestState": {"github": None, "website": None, "appstore": None}}


def ingest(number, source="website", started=0, **over):
    schedule = new_schedule(started, 1000) | over
    brand = {"appName": f"Brand {number}"}
    return {"jobId": f"job_{number}", "schedule": schedule, "ingest": {"source": source, "brand": brand}}


def shown(now, *jobs):
    """Return (name of the brand, state of GitHub, state of the website); the newest job is the last."""
    found = ingested(jobs[::-1], now)
    assert found["ingestState"].pop("appstore") is None
    return (found["brandContext"] or {}).get("appName"), *found["ingestState"].values()


def running(number):
    return {"status": "running", "jobId": f"job_{number}"}


def completed(number, second):
    return {"status": "completed", "jobId": f"job_{number}", "completedAt": f"1970-01-01T00:00:0{second}Z"}


def test_a_project_without_ingests_has_nothing():
    assert ingested([], 0) == NOTHING


def test_an_ingest_counts_from_its_end_on():
    assert shown(999, ingest(1)) == (None, None, running(1))
    assert shown(1000, ingest(1)) == ("Brand 1", None, completed(1, 1))


def test_a_clock_that_is_set_back_lets_it_run_again():
    assert [shown(now, ingest(1))[0] for now in (1000, 999, -5, 1000)] == ["Brand 1", None, None, "Brand 1"]


def test_the_state_is_of_the_newest_ingest_and_the_brand_of_the_one_that_ended_last():
    long, short = ingest(1, lengthMs=9000), ingest(2, started=1)

    assert shown(2000, long, short) == ("Brand 2", None, completed(2, 1))
    assert shown(9000, long, short) == ("Brand 1", None, completed(2, 1))


def test_two_sources_at_once_have_a_state_each():
    jobs = ingest(1, "github", 0), ingest(2, "website", 500)

    assert shown(1200, *jobs) == ("Brand 1", completed(1, 1), running(2))
    assert shown(1500, *jobs) == ("Brand 2", completed(1, 1), completed(2, 1))


def test_one_that_fails_or_is_canceled_leaves_the_brand_of_the_one_before():
    before, failed = ingest(1), ingest(2, started=2000, failure={"code": "X", "message": "x"})
    canceled = ingest(2) | {"schedule": cancel(new_schedule(2000, 1000), 2100)}

    assert shown(5000, before, failed) == ("Brand 1", None, {"status": "failed", "jobId": "job_2"})
    assert shown(5000, before, canceled) == ("Brand 1", None, {"status": "canceled", "jobId": "job_2"})


def test_of_two_that_end_at_once_the_newer_one_counts():
    assert shown(1000, ingest(1), ingest(2))[0] == "Brand 2"


def stages(kind, **over):
    schedule = new_schedule(0, 1000) | {"kind": kind} | over
    found = [(state.stage, state.progress) for state in (state_at(schedule, now) for now in range(1001))]
    assert [progress for _, progress in found] == sorted(progress for _, progress in found)
    return list(dict.fromkeys(stage for stage, _ in found))


def test_the_stages_come_in_their_order():
    github = ["cloning", "analyzing", "generating_sdk_patch", "opening_pr", "finalizing"]

    assert stages(INGEST_GITHUB) == github
    assert stages(INGEST_GITHUB, without=OPENING_PR) == [stage for stage in github if stage != "opening_pr"]
    assert stages(INGEST_WEBSITE) == ["fetching", "analyzing", "finalizing"]
