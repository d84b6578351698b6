"""The queries of the pages: each function reads the documents and has `pages.py` make a view of them.

A page is asked for as an operation of the control plane is: its call has the validated query.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from operator import itemgetter
from time import time_ns
from typing import Any

from layers_standin.console import pages
from layers_standin.console.pages import View
from layers_standin.console.requests import (
    CLASSES,
    PERIODS,
    SEARCH,
    call_after,
    call_before,
    class_of,
    compared,
    fits_status,
    may_repeat,
    placed,
    search,
)
from layers_standin.control.calls import ControlCall
from layers_standin.control.faults import operation_names
from layers_standin.control.operations import get_clock, list_fault_presets, list_faults, list_snapshots
from layers_standin.control.unread import unread_of
from layers_standin.domain.clocks import REAL
from layers_standin.domain.credits import balance_at
from layers_standin.domain.cursors import is_cursor
from layers_standin.domain.deliveries import delivery_view
from layers_standin.domain.endpoints import endpoint_view
from layers_standin.domain.faults import is_spent
from layers_standin.domain.organizations import organization_view
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Record
from layers_standin.fields import Choice, Pattern, Text
from layers_standin.web.errors import STATUS_OF_CODE
from layers_standin.web.logs.requests import MOST_ENTRIES, curl_of
from schemas import Query
from store import Store

EVERY = "all"  # in the place of an organization
MOST_CARDS = 24
MOST_ARCHIVED = 12  # below the living; the rest has a page of its own
MOST_CONTENT = 12
MOST_POSTS = 12
MOST_ACCOUNTS = 50
MOST_PROJECTS = 200
MOST_ORGANIZATIONS = 50  # a page is fetched every second, and a test suite may make an organization for each test
MOST_SNAPSHOTS = 50
MOST_ENDPOINTS = 25
MOST_DELIVERIES = 50
MOST_UPCOMING = 12


class OverviewQuery(Query):
    """The organization and project, the status, and the cursor."""

    organization = Text()
    project = Text()
    status = Choice(*pages.STATUSES, pages.ARCHIVED)
    cursor = Pattern(is_cursor, "Invalid cursor")


class ControlsQuery(Query):
    """The organization; all when it is left out."""

    organization = Text()


# Influencers


def overview(call: ControlCall) -> View:
    """Return the influencers of a project as cards. Raises NotFound, Invalid, BadCursor."""
    query = call.body
    listed = listed_for(call.store, query.get("organization"))
    organization = query.get("organization") or liveliest(call.store, listed["organizations"])
    if organization is None:
        return {"title": "Influencers", "organization": None}
    named = call.store.organizations.get(organization)
    own = call.store.for_organization(organization)
    projects = own.projects.page({"limit": MOST_PROJECTS})[0]
    project = own.projects.get(query["project"]) if "project" in query else next(iter(projects), None)
    return {
        "title": project["name"] if project else named["name"],
        "organization": named,
        "credits": balance_at(named, own.now_ms()),
        "project": project,
        **listed,
        "projects": projects,
        "notices": _notices(own, organization),
        **(_cards(own, project, query) if project else {}),
    }


def listed_for(store: Store, named: str | None) -> View:
    """Return the first organization, which is the seed's, the newest, and the named one; and the number of others."""
    organizations = store.organizations.all()
    newest = len(organizations) - MOST_ORGANIZATIONS
    shown = [each for place, each in enumerate(organizations) if place == 0 or place > newest or each["id"] == named]
    return {"organizations": shown, "unlisted": len(organizations) - len(shown)}


def liveliest(store: Store, organizations: list[Record]) -> str | None:
    """Return the organization with the newest project, or the first when there is no project."""

    def newest(organization: str) -> str:
        return next(iter(store.db.scan("projects", organization, "all")), "")

    return max((str(each["id"]) for each in organizations), key=newest, default=None)


def _cards(own: Store, project: Record, query: Mapping[str, Any]) -> View:
    status, cursor = query.get("status"), query.get("cursor")
    organization, project_id = project["organizationId"], project["id"]
    show = partial(pages.card_of, now_ms=own.now_ms(), key_name=key_names(own, organization))

    def page(status: str | None, limit: int) -> tuple[list[View], str | None]:
        page_query = {"status": status, "cursor": cursor, "limit": limit}
        documents, after = own.page_of_influencers(project_id, page_query)
        return [show(document) for document in documents], after

    cards, after = page(status, MOST_CARDS)
    has_tail = status is None and cursor is None
    archived, more_archived = page(pages.ARCHIVED, MOST_ARCHIVED) if has_tail else ([], None)
    content = own.containers.page(project_id, {"limit": MOST_CONTENT})[0] if has_tail else []
    link = partial(pages.href, "/console", organization=organization, project=project_id)
    return {
        "status": status,
        "statuses": (None, *pages.STATUSES, pages.ARCHIVED),
        "cards": cards,
        "older": link(status=status, cursor=after) if after else None,
        "newest": link(status=status) if cursor else None,
        "content": _content(own, content),
        **(_published(own, project_id) if has_tail else {"posts": [], "accounts": []}),
        "archived": archived,
        "all_archived": link(status=pages.ARCHIVED) if more_archived else None,
    }


def influencer(call: ControlCall, organization: str, influencer_id: str) -> View:
    """Return everything about one influencer, archived or not. Raises NotFound."""
    own = call.store.for_organization(organization)
    document = own.any_influencer(influencer_id)
    project = own.tables.table("projects").get(doc_id=document["projectId"])
    changes = own.history.of(document)
    profile = pages.profile_of(document, project, changes, own.now_ms(), key_names(own, organization))
    content = _content(own, own.containers.with_influencer(influencer_id, MOST_CONTENT))
    notices = _notices(own, organization)
    return {"title": document["name"], "profile": profile, "content": content, "notices": notices}


def _published(own: Store, project_id: str) -> View:
    """Return the posts of a project with the last times, and its accounts."""
    posts = own.posts.page(project_id, {"limit": MOST_POSTS})[0]
    accounts = own.social.page(project_id, {"limit": MOST_ACCOUNTS})[0]
    return {
        "posts": [pages.post_of(post, own.now_ms()) for post in posts],
        "accounts": [pages.account_of(account) for account in accounts],
    }


def _content(own: Store, containers: list[Record]) -> list[View]:
    return [pages.content_of(container, own.now_ms()) for container in containers]


def key_names(store: Store, organization: str) -> pages.KeyName:
    """Return `name(api_key_id)` for the keys of an organization, deleted ones included."""

    @cache
    def name(api_key_id: str | None) -> str | None:
        known = store.tables.table("api_key_ids", organization).get(doc_id=api_key_id) if api_key_id else None
        key = store.keys.find(known["publicId"]) if known else None
        return key["name"] if key else None

    return name


# Requests


def requests(call: ControlCall) -> View:
    """Return the newest requests that fit a search, and how many fit, by the class of their status. Raises Invalid."""
    query, limit = call.body, call.body["limit"]
    wanted = {name: call.request.args.get(name) or None for name in SEARCH}
    logged = call.log.newest({}, MOST_ENTRIES)
    fitting = list(search(logged, query, time_ns() // 10**6))
    found = [entry for entry in fitting if fits_status(entry, query.get("status"))]
    link = partial(pages.href, "/console/requests")
    return {
        "title": "Requests",
        "entries": [_logged(call, entry) for entry in found[:limit]],
        "number": len(found),
        "logged": len(logged),
        "is_full": len(logged) == MOST_ENTRIES,
        "more": link(limit=min(4 * limit, MOST_ENTRIES), **wanted) if len(found) > limit else None,
        "wanted": wanted,
        "is_filtered": any(wanted.values()),
        "classes": _classes(fitting, wanted),
        "periods": PERIODS,
        "is_kept": call.log.is_kept,
        "operations": operation_names(call.api),
        **listed_for(call.store, query.get("organizationId")),
    }


def _classes(fitting: list[Record], wanted: Mapping[str, str | None]) -> list[View]:
    """Return the choices of a class of statuses, each with the number of requests that it would show."""
    numbers = Counter(map(class_of, fitting))
    choices = [(None, len(fitting)), *((each, numbers[each]) for each in CLASSES)]
    href = partial(pages.href, "/console/requests")
    return [
        {"name": name, "number": number, "href": href(**{**wanted, "status": name}), "is_on": name == wanted["status"]}
        for name, number in choices
    ]


def request(call: ControlCall, request_id: str) -> View:
    """Return one request with its reply, and what is different from the call before. Raises NotFound."""
    logged = call.log.newest({}, MOST_ENTRIES)
    place = placed(logged, request_id)
    organizations = call.store.organizations.all()
    entry, before, after = logged[place], call_before(logged, place), call_after(logged, place)
    return {
        "title": f"{entry['method']} {entry['path']}",
        "entry": _logged(call, entry),
        "organization": next((each for each in organizations if each["id"] == entry["organizationId"]), None),
        "before": before,
        "after": after,
        "differences": compared(before, entry) if before else [],
        "may_repeat": may_repeat(entry),
    }


def _logged(call: ControlCall, entry: Record) -> View:
    operation = next((each for each in call.api if each.name == entry["operation"]), None)
    shown = entry | {"unread": unread_of(entry, operation)}
    return pages.entry_of(shown, curl_of(entry, call.base_url()))


# Webhooks


class WebhooksQuery(Query):
    """The organization, and the endpoint whose deliveries are shown; those of all when it is left out."""

    organization = Text()
    endpoint = Text()


def webhooks(call: ControlCall) -> View:
    """Return the endpoints of an organization, its newest deliveries, and what is to come. Raises NotFound."""
    listed = listed_for(call.store, call.body.get("organization"))
    organization = call.body.get("organization") or liveliest(call.store, listed["organizations"])
    if organization is None:
        return {"title": "Webhooks", "organization": None}
    named, own = call.store.organizations.get(organization), call.store.for_organization(organization)
    endpoint = own.endpoints.get(call.body["endpoint"]) if "endpoint" in call.body else None
    endpoints = own.endpoints.page({"limit": MOST_ENDPOINTS})[0]
    shown = [endpoint] if endpoint else endpoints
    deliveries = own.deliveries.newest([each["id"] for each in shown], MOST_DELIVERIES)
    return {
        "title": "Webhooks",
        "organization": named,
        "endpoint": endpoint,
        "endpoints": [endpoint_view(each) for each in endpoints],
        "deliveries": [pages.delivery_of(each, own.endpoints.find(each["endpointId"])) for each in deliveries],
        "upcoming": [pages.upcoming_of(event) for event in own.announcements.upcoming(MOST_UPCOMING)],
        "attempts": [delivery_view(each) for each in own.deliveries.first_due(MOST_UPCOMING)],
        "notices": _notices(own, organization),
        **listed,
    }


# Faults


class FaultsQuery(Query):
    """The organization, or `all`; that with the newest project when it is left out."""

    organization = Text()


def faults(call: ControlCall) -> View:
    """Return the faults that apply to an organization, or those for all, and the presets. Raises NotFound."""
    wanted = call.body.get("organization")
    listed = listed_for(call.store, wanted)
    organization = wanted or liveliest(call.store, listed["organizations"])
    named = None if organization in (None, EVERY) else call.store.organizations.get(organization)
    struck: dict[str, list[Record]] = {}
    for entry in call.log.newest({}, MOST_ENTRIES):
        struck.setdefault(entry["faultId"], []).append(entry)
    own = _ask(call, list_faults, named["id"])["items"] if named else []
    rules = [(rule, named) for rule in own] + [(rule, None) for rule in _ask(call, list_faults)["items"]]
    return {
        "title": "Faults",
        "scope": named,
        "faults": [pages.fault_of(rule, of["name"] if of else None, struck.get(rule["id"], ())) for rule, of in rules],
        "own": len(own) if named else len(rules),
        "presets": _presets(call),
        "operations": operation_names(call.api),
        "codes": STATUS_OF_CODE,
        **listed,
    }


def _presets(call: ControlCall) -> list[View]:
    """Return the presets of the control plane, with their rules in words."""
    return [pages.preset_of(preset) for preset in list_fault_presets(call)["items"]]


# Controls


def controls(call: ControlCall) -> View:
    """Return clock, snapshots and organizations, with their forms. Raises NotFound."""
    organization = call.body.get("organization")
    named = None if organization is None else call.store.organizations.get(organization)
    listed = listed_for(call.store, organization)
    snapshots = _ask(call, list_snapshots)["items"]
    newest = sorted(snapshots, key=itemgetter("at"))[-MOST_SNAPSHOTS:]
    return {
        "title": "Controls",
        "scope": named,
        "clock": _ask(call, get_clock, organization),
        "snapshots": [each for each in snapshots if each in newest],
        "unlisted_snapshots": len(snapshots) - len(newest),
        "organizations": [organization_view(each) for each in listed["organizations"]],
        "unlisted": listed["unlisted"],
        "has_seed": call.services.settings.seed is not None,
    }


def _ask(call: ControlCall, operation: Callable[[ControlCall], Record], organization: str | None = None) -> Record:
    """Return the reply of a reading operation of the control plane, for an organization or for all."""
    return operation(replace(call, body={} if organization is None else {"organizationId": organization}))


def _notices(own: Store, organization: str) -> View:
    """Return the notices of an organization: an altered clock, and the number of faults that can still apply."""
    clock = own.overrides.clock
    rules = [rule for scope in (organization, ALL) for rule in own.faults.of(scope)]
    return {
        "organization": organization,
        "clock": None if clock["mode"] == REAL["mode"] else clock["mode"],
        "now": milliseconds(own.now()),
        "faults": sum(1 for rule in rules if not is_spent(rule)),
    }
