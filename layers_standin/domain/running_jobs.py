"""The jobs of a project that may still run, in an index by the time of their end."""

from collections.abc import Iterator

from layers_standin.domain.ids import id_of
from layers_standin.domain.tables import Tables, oldest_first, running
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Record


class RunningJobs:
    """The running jobs of an organization."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._jobs = tables.table("jobs")

    def all(self, project: str) -> Iterator[Record]:
        """Yield a project's running jobs, in descending order of the time of their end."""
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
