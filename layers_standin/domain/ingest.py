"""Ingests: jobs that find out about a project's brand, from a repository or a website. Source: contract, section 9.

An ingest is a job with `ingest`: {"source", "brand", "repoFullName"?}. Its brand context is made when it begins, and
counts from its end on, so that what a project shows is a function of its ingests and the clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from layers_standin.domain.github import pull_request_url
from layers_standin.domain.schedules import INGEST_GITHUB, INGEST_WEBSITE, OPENING_PR, end_ms, state_at
from layers_standin.domain.tables import Tables, ingests_by_end, ingests_of_source, latest_first
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, seconds
from layers_standin.engines.table import Record

GITHUB, WEBSITE = "github", "website"
KINDS = {GITHUB: INGEST_GITHUB, WEBSITE: INGEST_WEBSITE}

_SOURCES = (GITHUB, WEBSITE, "appstore")  # nothing begins an ingest from a store of apps


def ingested(jobs: Sequence[Mapping[str, Any]], now_ms: int) -> Record:
    """Return {"brandContext", "ingestState"} of a project: the brand of the ingest that was completed last.

    `jobs` are its ingests as `Ingests.of` returns them: the first of a source is its newest, whose state it has.
    """
    newest = {job["ingest"]["source"]: job for job in reversed(jobs)}
    completed = [job for job in jobs if state_at(job["schedule"], now_ms).status == "completed"]
    last = max(completed, key=lambda job: (end_ms(job["schedule"]), job["jobId"]), default=None)
    return {
        "brandContext": None if last is None else last["ingest"]["brand"],
        "ingestState": {source: _state(newest[source], now_ms) if source in newest else None for source in _SOURCES},
    }


def ingest_result(job: Mapping[str, Any]) -> Record:
    """Return the result of a completed ingest."""
    if job["ingest"]["source"] == WEBSITE:
        return {"projectId": job["projectId"]}
    has_pull_request = job["schedule"].get("without") != OPENING_PR
    url = pull_request_url(job["ingest"]["repoFullName"], job["jobId"]) if has_pull_request else None
    return {"projectId": job["projectId"], "prUrl": url}


def _state(job: Mapping[str, Any], now_ms: int) -> Record:
    state = state_at(job["schedule"], now_ms)
    view = {"status": state.status, "jobId": job["jobId"]}
    if state.status != "completed":
        return view
    return view | {"completedAt": seconds(from_epoch_milliseconds(end_ms(job["schedule"])))}


class Ingests:
    """The ingests of an organization's projects."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def of(self, project: Mapping[str, Any]) -> list[Record]:
        """Return the ingests that a project's state follows from: the newest of each source, and the last to complete.

        However many there were, each is the first of an index.
        """
        if not project.get("isIngested"):
            return []
        ended_by_now = latest_first(epoch_milliseconds(self._tables.now()) + 1, "")
        newest = [(ingests_of_source(project["id"], source), None) for source in KINDS]
        return [
            job
            for index, before in [*newest, (ingests_by_end(project["id"]), ended_by_now)]
            for job in self._tables.page("jobs", [index], before, 1, bool).documents
        ]
