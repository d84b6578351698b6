"""Writes that the clock causes: noted in their project beforehand, and made once, by the first look at it after.

Most of what happens by itself is no write: it follows from the documents and the clock, as a job's state does. What has
to be written then, such as the first influencer of an ingest, is noted in the commit of its cause: the `due` of a
project is a list of {"id", "atMs", "effect", ...}, ordered by `atMs`, and absent when empty. `Store.settle` makes it.
"""

from collections.abc import Mapping
from typing import Any

from layers_standin.domain.ids import mint
from layers_standin.engines.table import Record

FIRST_INFLUENCER = "first_influencer"


def with_due(document: Mapping[str, Any], entry: Record) -> Record:
    """Return the document with an entry more; it replaces that of the same id."""
    return _with(document, [*_others(document, entry["id"]), entry])


def first_influencer(project: Mapping[str, Any], cause_id: str, at_ms: int, body: Record) -> Record:
    """Return the entry that creates a project's first influencer of a create body, unless it has one by then.

    `cause_id` is the id of the job that makes it. Of several entries all have the same `influencerId`.
    """
    ids = [entry["influencerId"] for entry in project.get("due", ()) if entry["effect"] == FIRST_INFLUENCER]
    about = {"influencerId": ids[0] if ids else mint("inf"), "body": body}
    return {"id": cause_id, "atMs": at_ms, "effect": FIRST_INFLUENCER, **about}


def without_due(document: Mapping[str, Any], entry_id: str) -> Record:
    """Return the document without the entry of that id: it was made, or its cause was taken back."""
    return _with(document, _others(document, entry_id))


def due_until(document: Mapping[str, Any], now_ms: int) -> list[Record]:
    """Return the entries that are due, in order."""
    return [entry for entry in document.get("due", ()) if entry["atMs"] <= now_ms]


def _others(document: Mapping[str, Any], entry_id: str) -> list[Record]:
    return [entry for entry in document.get("due", ()) if entry["id"] != entry_id]


def _with(document: Mapping[str, Any], entries: list[Record]) -> Record:
    kept = {field: value for field, value in document.items() if field != "due"}
    return kept | ({"due": sorted(entries, key=lambda entry: int(entry["atMs"]))} if entries else {})
