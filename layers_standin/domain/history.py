"""The history of an influencer: its newest KEPT changes, each with time, API key and request.

The nth change of an influencer is the document `<influencer id>#<n>`, and the influencer's own `revision` counts
them: so no change has to be searched, and writing one costs the same however many there are.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from layers_standin.domain.ids import canonical
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Record

KEPT = 100


class Actor(NamedTuple):
    """The API key and the request that cause a change; all None for a change without a request."""

    api_key_id: str | None = None
    request_id: str | None = None
    operation: str | None = None


SYSTEM = Actor()


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Record, Record]:
    """Return ({field: old value}, {field: new value}) of the fields that differ."""
    was: Record = {}
    became: Record = {}
    for field in dict(before) | dict(after):
        if before.get(field, ...) != after.get(field, ...):
            if field in before:
                was[field] = before[field]
            if field in after:
                became[field] = after[field]
    return was, became


def change_view(change: Mapping[str, Any]) -> Record:
    """Return a change as the control plane shows it; `before` is null at the beginning."""
    fields = ("revision", "at", "operation", "apiKeyId", "requestId", "before", "after")
    return {field: change[field] for field in fields}


class History:
    """The changes of an organization's influencers."""

    def __init__(self, tables: Tables, actor: Actor) -> None:
        self._tables = tables
        self._changes = tables.table("history")
        self._actor = actor

    def note(self, influencer: Record, before: Record | None, after: Record, now: datetime) -> None:
        """Write change number `influencer["revision"]`: the fields that differ between `before` and `after`.

        Both are views by `audit_view`; `before` is None for a new influencer.
        """
        revision = influencer["revision"]
        was, became = (None, after) if before is None else difference(before, after)
        self._changes.upsert(
            {
                "id": _name(influencer["influencerId"], revision),
                "organizationId": influencer["organizationId"],
                "revision": revision,
                "at": milliseconds(now),
                "operation": self._actor.operation,
                "apiKeyId": self._actor.api_key_id,
                "requestId": self._actor.request_id,
                "before": was,
                "after": became,
            },
        )
        if revision > KEPT:
            oldest = _name(influencer["influencerId"], revision - KEPT)
            self._tables.db.write("history", self._tables.organization, oldest, None)  # without reading it first

    def of(self, influencer: Record) -> list[Record]:
        """Return the stored changes of an influencer, newest first."""
        last = influencer.get("revision", 0)
        names = (_name(influencer["influencerId"], revision) for revision in range(last, max(0, last - KEPT), -1))
        found = (self._changes.get(doc_id=name) for name in names)
        return [change for change in found if change is not None]


def _name(influencer_id: str, revision: int) -> str:
    return f"{canonical(influencer_id)}#{revision}"
