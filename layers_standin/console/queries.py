"""The queries of the pages: each function reads the documents and has `pages.py` make a view of them."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from flask import Request
from marshmallow import Schema

from layers_standin.console import pages
from layers_standin.console.schemas import ControlsQuery, LogQuery, OverviewQuery
from layers_standin.control.operations import ControlCall, get_clock, list_faults, list_organizations, list_snapshots
from layers_standin.domain.clocks import REAL
from layers_standin.domain.faults import is_spent
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Record
from layers_standin.services import Services
from layers_standin.web.bodies import load_query
from layers_standin.web.errors import STATUS_OF_CODE
from layers_standin.web.logs.requests import FILTERS, MOST_ENTRIES, RequestLog, curl_of
from layers_standin.web.operations import Call, Handler, Operations, Reply
from store import Store

MOST_CARDS = 24
MOST_ARCHIVED = 12  # below the living; the rest has a page of its own
MOST_PROJECTS = 200

View = Mapping[str, Any]


class PageRequest(NamedTuple):
    """A request for a page; `may_command` says whether its reader may use the control plane."""

    services: Services
    log: RequestLog
    api: Operations
    request: Request
    may_command: bool

    @property
    def store(self) -> Store:
        return self.services.store

    def judged(self, schema: Schema) -> Any:
        """Return the validated query; an empty field of a form counts as left out. Raises Invalid."""
        return load_query(schema, {name: text for name, text in self.request.args.items() if text})

    def ask(self, operation: Handler, organization: str | None = None) -> Record:
        """Return the reply of a reading operation of the control plane, for an organization or for all."""
        body = {} if organization is None else {"organizationId": organization}
        told = operation(ControlCall(self.services, self.store, self.request, {}, body, log=self.log, api=self.api))
        return told.body if isinstance(told, Reply) else told


Page = Callable[..., View]


# Influencers


def overview(page_request: PageRequest) -> View:
    """Return the influencers of a project as cards. Raises NotFound, Invalid, BadCursor."""
    query = page_request.judged(OverviewQuery())
    organizations = page_request.store.organizations.all()
    organization = query.get("organization") or _liveliest(page_request.store, organizations)
    if organization is None:
        return {"title": "Influencers", "organization": None}
    named = page_request.store.organizations.get(organization)
    own = page_request.store.for_organization(organization)
    projects = own.projects.page({"limit": MOST_PROJECTS})[0]
    project = own.projects.get(query["project"]) if "project" in query else next(iter(projects), None)
    return {
        "title": project["name"] if project else named["name"],
        "organization": named,
        "project": project,
        "organizations": pages.organization_links(organizations, organization),
        "projects": pages.project_links(projects, project["id"] if project else None),
        "notices": _notices(own, organization),
        **(_cards(own, project, query) if project else {}),
    }


def _liveliest(store: Store, organizations: list[Record]) -> str | None:
    """Return the organization with the newest project, or any when there is no project."""
    newest = ((each["id"], store.db.scan("projects", each["id"], "all")) for each in organizations)
    organization = pages.newest_place((each, places[0]) for each, places in newest if places)
    return organization or next((str(each["id"]) for each in organizations), None)


def _cards(own: Store, project: Record, query: Mapping[str, Any]) -> View:
    status, cursor = query.get("status"), query.get("cursor")
    organization, project_id = project["organizationId"], project["id"]
    show = partial(pages.card_of, now_ms=own.now_ms(), key_name=key_names(own, organization))

    def page(status: str | None, limit: int) -> tuple[list[pages.Card], str | None]:
        asked = {"status": status, "cursor": cursor, "limit": limit}
        documents, after = own.page_of_influencers(project_id, asked)
        return [show(document) for document in documents], after

    cards, after = page(status, MOST_CARDS)
    has_tail = status is None and cursor is None
    archived, more_archived = page(pages.ARCHIVED, MOST_ARCHIVED) if has_tail else ([], None)
    link = partial(pages.overview_href, organization, project_id)
    return {
        "status": status,
        "statuses": pages.status_links(organization, project_id, status),
        "cards": cards,
        "older": link(status=status, cursor=after) if after else None,
        "newest": link(status=status) if cursor else None,
        "archived": archived,
        "all_archived": link(status=pages.ARCHIVED) if more_archived else None,
    }


def influencer(page_request: PageRequest, organization: str, influencer_id: str) -> View:
    """Return everything about one influencer, archived or not. Raises NotFound."""
    own = page_request.store.for_organization(organization)
    document = own.any_influencer(influencer_id)
    project = own.tables.table("projects").get(doc_id=document["projectId"])
    changes = own.history.of(document)
    sheet = pages.sheet_of(document, project, changes, own.now_ms(), key_names(own, organization))
    return {"title": document["name"], "sheet": sheet, "notices": _notices(own, organization)}


def key_names(store: Store, organization: str) -> pages.KeyName:
    """Return `name(api_key_id)` for the keys of an organization, deleted ones included."""

    @cache
    def name(api_key_id: str | None) -> str | None:
        known = store.tables.table("api_key_ids", organization).get(doc_id=api_key_id) if api_key_id else None
        key = store.keys.find(known["publicId"]) if known else None
        return key["name"] if key else None

    return name


# Requests


def requests(page_request: PageRequest) -> View:
    """Return the newest requests. Raises Invalid."""
    query = page_request.judged(LogQuery())
    wanted = {name: query[name] for name in FILTERS if name in query}
    base = Call(page_request.services, page_request.store, page_request.request, {}).base_url()
    entries = page_request.log.newest(wanted, query["limit"])
    return {
        "title": "Requests",
        "entries": [pages.entry_of(entry, curl_of(entry, base)) for entry in entries],
        "more": _more(query["limit"], wanted) if len(entries) == query["limit"] else None,
        "wanted": {name: wanted.get(name) for name in FILTERS},
        "is_filtered": bool(wanted),
        "is_kept": page_request.log.is_kept,
        "operations": sorted(operation.name for operation in page_request.api),
        "organizations": page_request.store.organizations.all(),
    }


def _more(limit: int, wanted: Mapping[str, Any]) -> str | None:
    """Return the link to more of the log, None at MOST_ENTRIES."""
    if limit >= MOST_ENTRIES:
        return None
    return pages.href("/console/requests", limit=str(min(4 * limit, MOST_ENTRIES)), **wanted)


# Controls


def controls(page_request: PageRequest) -> View:
    """Return clock, faults, snapshots and organizations, with their forms. Raises NotFound."""
    organization = page_request.judged(ControlsQuery()).get("organization")
    named = None if organization is None else page_request.store.organizations.get(organization)
    return {
        "title": "Controls",
        "scope": named,
        "clock": page_request.ask(get_clock, organization),
        "faults": _faults(page_request, named),
        "snapshots": page_request.ask(list_snapshots)["items"],
        "organizations": page_request.ask(list_organizations)["items"],
        "has_seed": page_request.services.settings.seed is not None,
        "operations": sorted(operation.name for operation in page_request.api),
        "codes": STATUS_OF_CODE,
    }


def _faults(page_request: PageRequest, named: Record | None) -> list[pages.Fault]:
    """Return the faults that apply to an organization, its own first; without one those for all."""
    own = page_request.ask(list_faults, named["id"])["items"] if named else []
    name = named["name"] if named else None
    of_all = page_request.ask(list_faults)["items"]
    return [pages.fault_of(fault, name) for fault in own] + [pages.fault_of(fault, None) for fault in of_all]


def _notices(own: Store, organization: str) -> View:
    """Return the notices of an organization: an altered clock, and the number of faults that can still apply."""
    clock = own.overrides.clock
    rules = [rule for scope in (organization, ALL) for rule in own.faults.of(scope)]
    return {
        "clock": None if clock["mode"] == REAL["mode"] else clock["mode"],
        "now": milliseconds(own.now()),
        "faults": sum(1 for rule in rules if not is_spent(rule)),
    }
