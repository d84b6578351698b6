"""Schedules: the state of a job as a pure function of its start, its length and the clock; no worker has to run one.

A job, and each document that it makes ready, have the same schedule: {"kind"?, "without"?, "startedMs", "waitMs"?,
"lengthMs", "endedMs", "failure"}. `without` is a stage of its kind that it does not have; `waitMs` is the part of
`lengthMs` in which it waits for something else, before its stages begin; `endedMs` is the time of its cancellation,
else None; `failure` is None, or the error at its end, {"code", "message"}.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from layers_standin.engines.table import Record

Schedule = Mapping[str, Any]

INFLUENCER_CREATE = "influencer_create"
CONTENT_GENERATE = "content_generate"
INGEST_GITHUB = "project_ingest_github"
INGEST_WEBSITE = "project_ingest_website"
OPENING_PR = "opening_pr"

# By kind of job: its stages in order, each with the part of the job's length at which it ends.
STAGES: dict[str, tuple[tuple[str, float], ...]] = {
    INFLUENCER_CREATE: (("queued", 0.2), ("training", 0.9), ("finalizing", 1)),
    CONTENT_GENERATE: (("queued", 0.2), ("generating_visuals", 0.9), ("finalizing", 1)),
    INGEST_GITHUB: (
        ("cloning", 0.2), ("analyzing", 0.5), ("generating_sdk_patch", 0.8), (OPENING_PR, 0.9), ("finalizing", 1),
    ),
    INGEST_WEBSITE: (("fetching", 0.4), ("analyzing", 0.9), ("finalizing", 1)),
}  # fmt: skip
UNCANCELABLE = (OPENING_PR, "finalizing")


class State(NamedTuple):
    """The state of a job at a moment; `progress` runs from 0 to 1, `finished_ms` is None while it runs."""

    status: str
    stage: str
    progress: float
    finished_ms: int | None


def new_schedule(now_ms: int, length_ms: int) -> Record:
    """Return the schedule of a job that begins now and goes well; both are milliseconds."""
    return {"startedMs": now_ms, "lengthMs": length_ms, "endedMs": None, "failure": None}


def kind_of(schedule: Schedule) -> str:
    return str(schedule.get("kind", INFLUENCER_CREATE))


def state_at(schedule: Schedule, now_ms: int) -> State:
    """Return the state of the job. A clock set back before its start shows it as just begun."""
    if schedule["endedMs"] is not None:
        return State("canceled", *_stage(schedule, schedule["endedMs"]), schedule["endedMs"])
    stage, progress = _stage(schedule, now_ms)
    if progress < 1:
        return State("running", stage, progress, None)
    status = "failed" if schedule["failure"] else "completed"
    return State(status, stage, progress, end_ms(schedule))


def end_ms(schedule: Schedule) -> int:
    """Return the time of the job's end: of its cancellation, else of its regular end."""
    ended: int | None = schedule["endedMs"]
    return int(schedule["startedMs"] + schedule["lengthMs"]) if ended is None else ended


def cancel(schedule: Schedule, now_ms: int) -> Record:
    """Return the schedule canceled now; never before its start, even by a clock that was set back."""
    return dict(schedule) | {"endedMs": max(now_ms, schedule["startedMs"])}


def stage_progress(schedule: Schedule, now_ms: int) -> float:
    """Return how much of its present stage is over, from 0 to 1."""
    part, begin = _part(schedule, now_ms, schedule.get("waitMs", 0)), 0.0
    for _, end in STAGES[kind_of(schedule)]:
        if part < end:
            return round((part - begin) / (end - begin), 4)
        begin = end
    return 1.0


def _stage(schedule: Schedule, now_ms: int) -> tuple[str, float]:
    progress = _part(schedule, now_ms)
    part = _part(schedule, now_ms, schedule["waitMs"]) if "waitMs" in schedule else progress
    stages = STAGES[kind_of(schedule)]
    if "without" in schedule:
        stages = tuple(each for each in stages if each[0] != schedule["without"])
    return next((name for name, end in stages if part < end), stages[-1][0]), progress


def _part(schedule: Schedule, now_ms: int, wait_ms: int = 0) -> float:
    """Return how much of the job is over after its wait, from 0 to 1."""
    elapsed, length = max(0, now_ms - schedule["startedMs"]), schedule["lengthMs"]
    # Cut off after four places, not rounded: a running job must never say 1.
    return 1.0 if elapsed >= length else max(0, elapsed - wait_ms) * 10_000 // (length - wait_ms or 1) / 10_000
