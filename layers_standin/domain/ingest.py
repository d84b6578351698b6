"""Ingests: jobs that find out about a project's brand, from a repository or a website. Source: contract, section 9.

An ingest is a job with `ingest`: {"source", "brand", "repoFullName"?}. Its brand context is made when it begins, and
counts from its end on, so that what a project shows is a function of its ingests and the clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from layers_standin.domain.github import pull_request_url
from layers_standin.domain.schedules import INGEST_GITHUB, INGEST_WEBSITE, OPENING_PR, end_ms, state_at
from layers_standin.domain.tables import Tables, ingests
from layers_standin.domain.times import from_epoch_milliseconds, seconds
from layers_standin.engines.table import Record

GITHUB, WEBSITE = "github", "website"
KINDS = {GITHUB: INGEST_GITHUB, WEBSITE: INGEST_WEBSITE}

_SOURCES = (GITHUB, WEBSITE, "appstore")  # nothing begins an ingest from a store of apps
_MOST_LOOKED_AT = 100


def ingested(jobs: Sequence[Mapping[str, Any]], now_ms: int) -> Record:
    """Return {"brandContext", "ingestState"} of a project: the brand of the ingest that was completed last.

    `jobs` are its ingests, newest first. The state of a source is that of its newest ingest, None without one.
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
        """Return the newest ingests of a project, newest first."""
        if not project.get("isIngested"):
            return []
        return self._tables.page("jobs", [ingests(project["id"])], None, _MOST_LOOKED_AT, bool).documents
