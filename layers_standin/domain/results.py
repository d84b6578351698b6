"""The result of a completed job, by its kind."""

from collections.abc import Callable, Mapping
from typing import Any

from layers_standin.domain.content import content_result
from layers_standin.domain.ingest import ingest_result
from layers_standin.engines.table import Record


def result_of(job: Mapping[str, Any], base_url: Callable[[], str]) -> Record:
    """Return the result of a job; `base_url()` is called only when there are files in it."""
    if "ingest" in job:
        return ingest_result(job)
    return content_result(job, base_url) if "containerIds" in job else {"influencerId": job["influencerId"]}
