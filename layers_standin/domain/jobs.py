"""Jobs: documents with a schedule, of which their state follows; see `domain/schedules.py`.

A job is {"jobId", "organizationId", "projectId", "schedule"} and the fields of its kind: {"influencerId"};
{"containerIds", "containerId"?, "credits", "assets"} with all that it will have made at its end; or {"ingest"}, see
`domain/ingest.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import id_of, mint
from layers_standin.domain.schedules import STAGES, UNCANCELABLE, cancel, kind_of, new_schedule, state_at
from layers_standin.domain.tables import Tables, oldest_first, running
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, milliseconds
from layers_standin.engines.table import Record

_SUBJECTS = ("influencerId", "containerIds", "containerId")  # the fields of a kind that its views show
_CANCELED = {"code": "CANCELED", "message": "The job was canceled."}


def job_view(job: Mapping[str, Any], now_ms: int, result: Callable[[Mapping[str, Any]], Record]) -> Record:
    """Return a job as GET shows it; `result(job)` is called only when it is completed."""
    state = state_at(job["schedule"], now_ms)
    view = envelope_view(job) | {"status": state.status, "stage": state.stage, "progress": state.progress}
    if state.finished_ms is None:
        return view
    view["finishedAt"] = milliseconds(from_epoch_milliseconds(state.finished_ms))
    if state.status == "completed":
        view["result"] = result(job)
    else:
        view["error"] = job["schedule"]["failure"] if state.status == "failed" else _CANCELED
    return view


def envelope_view(job: Mapping[str, Any]) -> Record:
    """Return the 202 reply of the request that began a job."""
    kind = kind_of(job["schedule"])
    return {
        "jobId": job["jobId"],
        "kind": kind,
        "status": "running",
        "stage": STAGES[kind][0][0],
        "projectId": job["projectId"],
        **{field: job[field] for field in _SUBJECTS if field in job},
        "locationUrl": f"/v1/jobs/{job['jobId']}",
        "startedAt": milliseconds(from_epoch_milliseconds(job["schedule"]["startedMs"])),
    }


class Jobs:
    """The jobs of an organization. `length_ms` is the length of those begun now, `failure` the error they fail with."""

    def __init__(self, tables: Tables, length_ms: int, failure: Record | None) -> None:
        self._tables = tables
        self._jobs = tables.table("jobs")
        self._length_ms, self._failure = length_ms, failure

    def get(self, job_id: str) -> Record:
        """Return a job's document. Raises NotFound."""
        document = self._jobs.get(doc_id=job_id)
        if document is None:
            raise NotFound("Job not found.")
        return document

    def schedule(self, **own: Any) -> Record:
        """Return the schedule of a job that begins now; `own` are the fields in which it is not the usual one."""
        return new_schedule(self._now_ms(), self._length_ms) | {"failure": self._failure} | own

    def begin(self, project_id: str, schedule: Record, **about: Any) -> Record:
        """Write a job and return it; `about` are the fields that are its kind's own."""
        job: Record = {"jobId": mint("job"), "organizationId": self._tables.organization, "projectId": project_id}
        job |= about | {"schedule": schedule}
        self._jobs.insert(job)
        return job

    def put(self, job: Record) -> None:
        self._jobs.upsert(job)

    def canceled(self, job: Mapping[str, Any]) -> Record | None:
        """Return a running job's schedule, canceled now; None when it has ended. Raises Conflict; writes nothing."""
        state = state_at(job["schedule"], self._now_ms())
        if state.status != "running":
            return None
        if state.stage in UNCANCELABLE:
            raise Conflict(
                "The job can no longer be canceled.",
                subcode="JOB_CANCEL_UNAVAILABLE",
                jobId=job["jobId"],
                stage=state.stage,
            )
        return cancel(job["schedule"], self._now_ms())

    def running(self, project: str) -> Iterator[Record]:
        """Yield the running jobs of a project's influencers, in descending order of the time of their end."""
        before = oldest_first(self._now_ms(), "")
        while sort_keys := self._tables.db.scan("jobs", self._tables.organization, running(project), before, 100):
            yield from filter(None, (self._jobs.get(doc_id=id_of(sort_key)) for sort_key in sort_keys))
            before = sort_keys[-1]

    def drop_finished(self, project: str) -> None:
        """Remove up to two finished jobs from the index; called for each new job, this keeps the index short."""
        for job_id in self._tables.oldest("jobs", self._now_ms(), running(project)):
            job = self._jobs.get(doc_id=job_id)
            if job is not None:
                self._jobs.upsert(job | {"isFinished": True})

    def _now_ms(self) -> int:
        return epoch_milliseconds(self._tables.now())
