"""Announcements: an event that has come about becomes a delivery for each endpoint that listens."""

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from layers_standin.domain import events, posts
from layers_standin.domain.approvals import APPROVED, decision_view
from layers_standin.domain.content import container_view
from layers_standin.domain.deliveries import new_delivery
from layers_standin.domain.endpoints import Endpoints, at
from layers_standin.domain.ids import id_of
from layers_standin.domain.jobs import job_view
from layers_standin.domain.results import result_of
from layers_standin.domain.tables import Tables, moment_of
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Record

_ENDPOINTS_AT_ONCE = 500  # that one transaction writes a delivery for
_BY_POLICY = "auto_approve"


def job_event(job: Mapping[str, Any], at_ms: int, base_url: str) -> tuple[str, Record]:
    """Return (type, data) of a job's end."""
    view = job_view(job, at_ms, lambda ended: result_of(ended, lambda: base_url))
    own = {"completed": ("result",), "failed": ("error",), "canceled": ()}[view["status"]]
    return f"job.{view['status']}", {field: view[field] for field in ("jobId", "kind", *own)}


def generated_event(container: Mapping[str, Any], at_ms: int, base_url: str) -> tuple[str, Record]:
    view = container_view(container, at_ms, lambda: base_url)
    return "content.generated", {field: view[field] for field in ("id", "projectId", "assets")}


def decision_event(container: Mapping[str, Any]) -> tuple[str, Record]:
    """Return (type, data) of an approval or a rejection."""
    view = decision_view(container)
    status = view.pop("approvalStatus")
    return f"content.{status}", {"id": view.pop("id"), "projectId": container["projectId"]} | view


def approved_event(container: Mapping[str, Any], at_ms: int, _: str) -> tuple[str, Record]:
    """Return (type, data) of an approval by the clock."""
    return decision_event(dict(container) | {"approval": {"status": APPROVED, "atMs": at_ms, "by": _BY_POLICY}})


def scheduled_event(post: Mapping[str, Any], at_ms: int, base_url: str) -> tuple[str, Record]:
    return "post.scheduled", _post_data(post, at_ms, base_url, "scheduledFor")


def post_end_event(post: Mapping[str, Any], at_ms: int, base_url: str) -> tuple[str, Record]:
    """Return (type, data) of a post's end; a draft is told as published, without an external id."""
    status = posts.end_of(post)
    if status == posts.CANCELED:
        return "post.canceled", _post_data(post, at_ms, base_url, "canceledAt")
    if status == posts.FAILED:
        return "post.failed", _post_data(post, at_ms, base_url, "lastError")
    return "post.published", _post_data(post, at_ms, base_url, "externalId", "externalUrl")


def _post_data(post: Mapping[str, Any], at_ms: int, base_url: str, *fields: str) -> Record:
    view = posts.post_view(post, at_ms, base_url)
    own = {"error" if field == "lastError" else field: view[field] for field in fields}
    return {"scheduledPostId": view["id"], "containerId": view["containerId"]} | own


def _filed_event(event: Mapping[str, Any], _: int, __: str) -> tuple[str, Record]:
    return event["type"], event["data"]


_TOLD: dict[tuple[str, str], Callable[[Mapping[str, Any], int, str], tuple[str, Record]]] = {
    ("jobs", events.END): job_event,
    ("containers", events.GENERATED): generated_event,
    ("containers", events.APPROVED): approved_event,
    ("posts", events.SCHEDULED): scheduled_event,
    ("posts", events.END): post_end_event,
    ("events", events.FILED): _filed_event,
}


class Upcoming(NamedTuple):
    """An event to come, as things are."""

    at_ms: int
    type: str
    event_id: str


class Announcements:
    """The events of an organization that have come about, or will."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._endpoints = Endpoints(tables)

    def next_ms(self) -> int | None:
        """Return the moment of the first event to come, None without one."""
        firsts = (self._tables.db.scan(table, self._tables.organization, "events") for table in events.SOURCES)
        return min((moment_of(key) for keys in firsts for key in keys), default=None)

    def upcoming(self, limit: int) -> list[Upcoming]:
        """Return up to `limit` events to come, the first to be due first."""
        found: list[Upcoming] = []
        for source in events.SOURCES:
            for sort_key in self._tables.db.scan(source, self._tables.organization, "events", limit=limit):
                document = self._tables.table(source).get(doc_id=id_of(sort_key))
                for name, at_ms in events.moments_of(source, document or {}).items():
                    if document is not None and at_ms is not None:
                        kind, _ = _TOLD[source, name](document, at_ms, "")
                        found.append(Upcoming(at_ms, kind, document["pendingEvents"][name]))
        return sorted(found)[:limit]

    def announce_all_due(self) -> None:
        """Announce all events that are due. A part of the caller's transaction, for where there are few."""
        for source, document in self._due(sys.maxsize):
            while events.due_events(source, document, self._now_ms()):
                document = self.announce(source, document)

    def announce_due(self, limit: int) -> None:
        """Announce the events of up to `limit` documents of each table that are due."""
        for source, document in self._due(limit):
            self.announce(source, document)

    def _due(self, limit: int) -> Iterator[tuple[str, Record]]:
        """Yield (table, document) of up to `limit` documents of each table with events that are due.

        A scan sees what has been committed, not what its own transaction has announced meanwhile.
        """
        for source in events.SOURCES:
            for sort_key in self._tables.db.scan(source, self._tables.organization, "events", limit=limit):
                if moment_of(sort_key) > self._now_ms():
                    break
                document = self._tables.table(source).get(doc_id=id_of(sort_key))
                if document is not None:
                    yield source, document

    def announce(self, source: str, document: Record) -> Record:
        """Announce what is due of a document of the table `source`, and return the document without it."""
        if "pendingEvents" not in document:
            return document
        for at_ms, name in events.due_events(source, document, self._now_ms()):
            if not self._tell(source, document, name, at_ms):
                break  # the rest comes with the next transaction
            left = {other: id_ for other, id_ in document["pendingEvents"].items() if other != name}
            document = {key: value for key, value in document.items() if key not in ("pendingEvents", "told")}
            document |= {"pendingEvents": left} if left else {}
        if source == "events" and "pendingEvents" not in document:
            self._tables.table(source).remove(doc_ids=[document["id"]])
        else:
            self._tables.table(source).upsert(document)
        return document

    def _tell(self, source: str, document: Record, name: str, at_ms: int) -> bool:
        """Write a delivery for each endpoint that listens, up to _ENDPOINTS_AT_ONCE; return whether that was all.

        `document["told"]` is the place among the endpoints to go on from.
        """
        told, project = _TOLD[source, name], document["projectId"]
        event_id: str = document["pendingEvents"][name]
        kind, _ = told(document, at_ms, "")
        page = self._endpoints.listening(kind, project, document.get("told"), _ENDPOINTS_AT_ONCE)
        for endpoint in page.documents:
            _, data = told(document, at_ms, endpoint["baseUrl"])
            event = {"id": event_id, "type": kind, "createdAt": at(at_ms), "data": data}
            self._tables.table("deliveries").insert(new_delivery(endpoint, event, at_ms, self._now_ms()))
        if page.next_sort_key is not None:
            document["told"] = page.next_sort_key
        return page.next_sort_key is None

    def _now_ms(self) -> int:
        return epoch_milliseconds(self._tables.now())
