"""Events: what webhooks tell of, and the moments at which they come about. Source: contract, section 8.

An event of the clock alone (a job's end, a post going out) is no document: while it is pending, the document that it is
about has its id in `pendingEvents`, {name: event id}, and its moment follows from that document. So it moves and goes
with its document, in the same commit. An event that a request causes is a document of its own, of the table `events`:
{"id", "organizationId", "projectId", "type", "atMs", "data", "pendingEvents"}.
"""

from collections.abc import Callable, Mapping
from typing import Any

from layers_standin.domain import posts
from layers_standin.domain.approvals import auto_ms
from layers_standin.domain.ids import mint
from layers_standin.domain.schedules import end_ms
from layers_standin.engines.table import Record

TYPES = (
    "job.completed",
    "job.failed",
    "job.canceled",
    "content.generated",
    "content.approved",
    "content.rejected",
    "post.scheduled",
    "post.published",
    "post.failed",
    "post.canceled",
    "social_account.connected",
    "social_account.revoked",
    "test.ping",
)

# Names of events, each in the documents of one table.
END, GENERATED, APPROVED, SCHEDULED, FILED = "end", "generated", "approved", "scheduled", "filed"

Moments = dict[str, int | None]


def pending(*names: str) -> Record:
    """Return the field of a document that has these events before it."""
    return {"pendingEvents": {name: mint("evt") for name in names}}


def new_event(organization: str, project_id: str | None, kind: str, data: Record, at_ms: int) -> Record:
    """Return the document of an event that a request causes at `at_ms`."""
    own = pending(FILED)
    return {
        "id": own["pendingEvents"][FILED],
        "organizationId": organization,
        "projectId": project_id,
        "type": kind,
        "atMs": at_ms,
        "data": data,
        **own,
    }


def with_pending(document: Mapping[str, Any], *names: str) -> Record:
    """Return the document with these events before it, each with the id that it had already."""
    return dict(document) | {"pendingEvents": pending(*names)["pendingEvents"] | document.get("pendingEvents", {})}


def moments_of(table: str, document: Mapping[str, Any]) -> Moments:
    """Return the moment of each pending event of a document, None of one that does not come about as things are."""
    names = document.get("pendingEvents")
    if not names:
        return {}
    moments = _MOMENTS[table](document)
    return {name: moments[name] for name in names}


def due_events(table: str, document: Mapping[str, Any], now_ms: int) -> list[tuple[int, str]]:
    """Return (moment, name) of the pending events of a document that are due, in order."""
    return sorted((at, name) for name, at in moments_of(table, document).items() if at is not None and at <= now_ms)


def _of_job(job: Mapping[str, Any]) -> Moments:
    return {END: end_ms(job["schedule"])}


def _of_container(container: Mapping[str, Any]) -> Moments:
    schedule = container["schedule"]
    fails = schedule["failure"] is not None or schedule["endedMs"] is not None
    return {GENERATED: None if fails else end_ms(schedule), APPROVED: auto_ms(container)}


def _of_post(post: Mapping[str, Any]) -> Moments:
    if not posts.is_visible(post, posts.NEVER_MS):
        return {SCHEDULED: None, END: None}
    canceled: int | None = post["canceledMs"]
    scheduled = max(post["createdMs"], post["opensMs"])
    return {SCHEDULED: scheduled, END: posts.end_ms(post) if canceled is None else canceled}


def _filed(event: Mapping[str, Any]) -> Moments:
    return {FILED: event["atMs"]}


_MOMENTS: dict[str, Callable[[Mapping[str, Any]], Moments]] = {
    "jobs": _of_job,
    "containers": _of_container,
    "posts": _of_post,
    "events": _filed,
}
SOURCES = tuple(_MOMENTS)  # the tables whose documents have events
