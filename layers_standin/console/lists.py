"""The lists of an organization's documents: projects, keys, jobs and assets, with links to each other."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from layers_standin.console.pages import View, href, influencer_href, job_of
from layers_standin.console.queries import listed_for, liveliest
from layers_standin.control.calls import ControlCall
from layers_standin.domain.errors import NotFound
from layers_standin.domain.keys import key_view
from layers_standin.domain.times import from_epoch_milliseconds, milliseconds
from layers_standin.engines.table import Record
from layers_standin.fields import Text
from layers_standin.web.access import authorize
from schemas import Query
from store import Store

MOST_ROWS = 50


class ListQuery(Query):
    """The organization, the project of jobs and assets, and the id that a page begins below."""

    organization = Text()
    project = Text()
    before = Text()


class Cell(NamedTuple):
    """A cell of a list: a text, or several; `href` is a path of ours, `form` one of text, chip, code, when, picture."""

    text: Any
    href: str | None = None
    form: str = "text"


class Listing(NamedTuple):
    """A list: its title, its table, the names of its columns, and its row for a document."""

    title: str
    table: str
    columns: tuple[str, ...]
    row: Callable[[Store, Record], list[Cell]]
    has_project: bool = False


def listing(call: ControlCall, kind: str) -> View:
    """Return a page of a list, by descending ids: of those that are minted here, newest first.

    Only for those who may use the control plane. Raises NotFound, Refusal.
    """
    authorize(call.request.environ, call.services.settings, call.store.signing_key)  # a public demo lists no keys
    if kind not in LISTINGS:
        raise NotFound("There is no such page.")
    shown, query = LISTINGS[kind], call.body
    listed = listed_for(call.store, query.get("organization"))
    organization = query.get("organization") or liveliest(call.store, listed["organizations"])
    base = {"title": shown.title, "kind": kind, "kinds": {name: each.title for name, each in LISTINGS.items()}}
    if organization is None:
        return base | {"organization": None}
    named, own = call.store.organizations.get(organization), call.store.for_organization(organization)
    project = own.projects.get(query["project"]) if "project" in query and shown.has_project else None
    found = list(islice(_documents(own, shown, project, query.get("before")), MOST_ROWS + 1))
    rows = found[:MOST_ROWS]
    of = {"organization": organization, "project": project["id"] if project else None}
    path = f"/console/lists/{kind}"
    return base | {
        "organization": named,
        "project": project,
        "columns": shown.columns,
        "rows": [{"id": doc_id, "cells": shown.row(own, document)} for doc_id, document in rows],
        "older": href(path, before=rows[-1][0], **of) if len(found) > MOST_ROWS else None,
        "newest": href(path, **of) if "before" in query else None,
        **listed,
    }


def _documents(own: Store, shown: Listing, project: Record | None, before: str | None) -> Iterator[tuple[str, Record]]:
    """Yield (id, document) below an id, in descending order."""
    ids = own.db.ids(shown.table, own.organization)
    wanted = sorted((each for each in ids if before is None or each < before), reverse=True)
    for start in range(0, len(wanted), MOST_ROWS + 1):
        some = wanted[start : start + MOST_ROWS + 1]
        keys = [(shown.table, own.organization, each) for each in some]
        for doc_id, document in zip(some, own.db.read_many(keys), strict=True):
            if document and (project is None or document.get("projectId") == project["id"]):
                yield doc_id, document


def _project_cell(own: Store, project_id: str) -> Cell:
    project = own.tables.table("projects").get(doc_id=project_id)
    path = href("/console", organization=own.organization, project=project_id)
    return Cell(project["name"], path) if project else Cell(project_id)


def _project_row(own: Store, project: Record) -> list[Cell]:
    of = {"organization": own.organization, "project": project["id"]}
    return [
        Cell(project["name"], href("/console", **of)),
        Cell(project["status"], form="chip"),
        Cell("Jobs", href("/console/lists/jobs", **of)),
        Cell("Assets", href("/console/lists/assets", **of)),
        Cell(project["createdAt"], form="when"),
        Cell(project["id"], form="code"),
    ]


def _key_row(own: Store, known: Record) -> list[Cell]:
    key = own.keys.find(known["publicId"])
    if key is None:
        return [
            Cell(""),
            Cell("deleted", form="chip"),
            Cell(""),
            Cell(""),
            Cell(""),
            Cell(known["apiKeyId"], form="code"),
        ]
    state = "deleted" if key.get("deleted") else "off" if key["killSwitch"] else "active"
    return [
        Cell(key["name"], href("/console/requests", keyId=key["publicId"])),
        Cell(state, form="chip"),
        Cell(key_view(key)["prefix"], form="code"),
        Cell(", ".join(key["scopes"])),
        Cell(key["createdAt"], form="when"),
        Cell(key["apiKeyId"], form="code"),
    ]


def _job_row(own: Store, job: Record) -> list[Cell]:
    state = job_of(job, own.now_ms()) or {"status": "", "percent": "", "error": None}
    progress = f"{state['percent']} %" if state["status"] == "running" else state["error"] or ""
    return [
        _subject_cell(own, job),
        Cell(state["status"], form="chip"),
        Cell(progress),
        _project_cell(own, job["projectId"]),
        Cell(milliseconds(from_epoch_milliseconds(job["schedule"]["startedMs"])), form="when"),
        Cell(job["jobId"], form="code"),
    ]


def _subject_cell(own: Store, job: Mapping[str, Any]) -> Cell:
    """Return what a job makes, with a link to where that is seen."""
    influencer_id, kind = job.get("influencerId"), "Influencer"
    if influencer_id is None:
        kind = "Ingest" if "ingest" in job else "Content"
        first = next(iter(job.get("containerIds", ())), None)
        container = own.tables.table("containers").get(doc_id=first) if first else None
        influencer_id = container["influencerId"] if container else None
    if influencer_id is None or not own.influencers.contains(doc_id=influencer_id):
        return Cell(kind, href("/console", organization=own.organization, project=job["projectId"]))
    return Cell(kind, influencer_href({"organizationId": own.organization, "influencerId": influencer_id}))


def _asset_row(own: Store, asset: Record) -> list[Cell]:
    return [
        Cell(asset["thumbnailPath"], asset["path"], "picture"),
        Cell(asset["filename"] or "no name", asset["path"]),
        Cell(f"{asset['contentType']}, {asset['sizeBytes']} bytes" if "sizeBytes" in asset else asset["contentType"]),
        _project_cell(own, asset["projectId"]),
        Cell(asset["createdAt"], form="when"),
        Cell(asset["assetId"], form="code"),
    ]


LISTINGS = {
    "projects": Listing(
        "Projects", "projects", ("Name", "Status", "Its jobs", "Its assets", "Created", "Id"), _project_row
    ),
    "keys": Listing("Keys", "api_key_ids", ("Name", "Status", "Prefix", "Scopes", "Created", "Id"), _key_row),
    "jobs": Listing("Jobs", "jobs", ("Makes", "Status", "Progress", "Project", "Begun", "Id"), _job_row, True),
    "assets": Listing("Assets", "assets", ("Picture", "File", "Type", "Project", "Created", "Id"), _asset_row, True),
}
