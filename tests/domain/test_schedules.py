"""The state of a job with a wait: of something else first, and then of its own stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.domain.schedules import CONTENT_GENERATE, cancel, stage_progress, state_at

WAITS = {"kind": CONTENT_GENERATE, "startedMs": 1000, "waitMs": 500, "lengthMs": 1500, "endedMs": None, "failure": None}


@pytest.mark.parametrize(
    ("now_ms", "stage", "progress", "of_stage"),
    [
        (0, "queued", 0.0, 0.0),
        (1000, "queued", 0.0, 0.0),
        (1499, "queued", 0.3326, 0.0),
        (1500, "queued", 0.3333, 0.0),
        (1600, "queued", 0.4, 0.5),
        (1700, "generating_visuals", 0.4666, 0.0),
        (2050, "generating_visuals", 0.7, 0.5),
        (2400, "finalizing", 0.9333, 0.0),
        (2450, "finalizing", 0.9666, 0.5),
    ],
)
def test_a_job_that_waits_is_queued_until_its_stages_begin(now_ms, stage, progress, of_stage):
    assert state_at(WAITS, now_ms) == ("running", stage, progress, None)
    assert stage_progress(WAITS, now_ms) == of_stage


@pytest.mark.parametrize(("failure", "status"), [(None, "completed"), ({"code": "X", "message": "x"}, "failed")])
def test_a_job_is_over_when_wait_and_stages_are(failure, status):
    for now_ms in (2500, 9999):
        assert state_at(WAITS | {"failure": failure}, now_ms) == (status, "finalizing", 1.0, 2500)
        assert stage_progress(WAITS, now_ms) == 1.0


def test_a_job_whose_wait_is_all_of_it_is_queued_to_its_end():
    waits = WAITS | {"waitMs": 1500, "failure": {"code": "X", "message": "x"}}

    assert state_at(waits, 2499) == ("running", "queued", 0.9993, None)
    assert state_at(waits, 2500) == ("failed", "finalizing", 1.0, 2500)


def test_a_canceled_job_stays_in_its_stage():
    assert state_at(cancel(WAITS, 1700), 9999) == ("canceled", "generating_visuals", 0.4666, 1700)


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(0, 12_000), st.integers(0, 500))
def test_progress_never_falls_and_a_running_job_never_says_one(wait, rest, elapsed, more):
    schedule = WAITS | {"waitMs": wait, "lengthMs": wait + rest}
    before, after = (state_at(schedule, 1000 + each) for each in (elapsed, elapsed + more))

    assert before.progress <= after.progress <= 1
    assert all(each.progress < 1 for each in (before, after) if each.status == "running")
    assert 0 <= stage_progress(schedule, 1000 + elapsed) <= 1
