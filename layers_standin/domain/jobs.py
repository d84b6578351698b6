"""Jobs: pure functions of their start, their length and the clock, so that no worker has to run one.

An influencer and its job have the same schedule: {"startedMs", "lengthMs", "endedMs", "failure"}. `endedMs` is the time
of its cancellation, else None; `failure` is None, or the error at its end, {"code", "message"}.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from layers_standin.domain.times import from_epoch_milliseconds, milliseconds
from layers_standin.engines.table import Record

Schedule = Mapping[str, Any]

KIND = "influencer_create"

# Where in its length a stage ends.
_QUEUED_UNTIL = 0.2
_TRAINING_UNTIL = 0.9


class State(NamedTuple):
    """The state of a job at a moment; `progress` runs from 0 to 1, `finished_ms` is None while it runs."""

    status: str
    stage: str
    progress: float
    finished_ms: int | None


def new_schedule(now_ms: int, length_ms: int) -> Record:
    return {"startedMs": now_ms, "lengthMs": length_ms, "endedMs": None, "failure": None}


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


def influencer_status(influencer: Mapping[str, Any], now_ms: int) -> str:
    """Return the status that follows from the influencer's schedule; without a schedule, the document's own."""
    schedule = influencer.get("schedule")
    if schedule is None:
        return str(influencer["status"])
    state = state_at(schedule, now_ms)
    if state.status == "running":
        return "pending" if state.stage == "queued" else "training"
    return "ready" if state.status == "completed" else "failed"


def cancel(schedule: Schedule, now_ms: int) -> Record:
    """Return the schedule canceled now; never before its start, even by a clock that was set back."""
    return dict(schedule) | {"endedMs": max(now_ms, schedule["startedMs"])}


def job_view(job: Mapping[str, Any], now_ms: int) -> Record:
    """Return a job as GET shows it."""
    state = state_at(job["schedule"], now_ms)
    view = envelope_view(job) | {"status": state.status, "stage": state.stage, "progress": state.progress}
    if state.finished_ms is None:
        return view
    view["finishedAt"] = milliseconds(from_epoch_milliseconds(state.finished_ms))
    if state.status == "completed":
        view["result"] = {"influencerId": job["influencerId"]}
    else:
        view["error"] = job["schedule"]["failure"] if state.status == "failed" else _CANCELED
    return view


def envelope_view(job: Mapping[str, Any]) -> Record:
    """Return the 202 reply of the request that began a job."""
    return {
        "jobId": job["jobId"],
        "kind": KIND,
        "status": "running",
        "stage": "queued",
        "projectId": job["projectId"],
        "influencerId": job["influencerId"],
        "locationUrl": f"/v1/jobs/{job['jobId']}",
        "startedAt": milliseconds(from_epoch_milliseconds(job["schedule"]["startedMs"])),
    }


_CANCELED = {"code": "CANCELED", "message": "The job was canceled."}


def _stage(schedule: Schedule, now_ms: int) -> tuple[str, float]:
    length = schedule["lengthMs"]
    elapsed = max(0, now_ms - schedule["startedMs"])
    # Cut off after four places, not rounded: a running job must never say 1.
    progress = 1.0 if elapsed >= length else elapsed * 10_000 // length / 10_000
    if progress < _QUEUED_UNTIL:
        return "queued", progress
    return ("training" if progress < _TRAINING_UNTIL else "finalizing"), progress
