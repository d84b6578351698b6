"""Projects, which hold influencers and assets. Source: contract, section 5."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from layers_standin.domain.approvals import policy_of
from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.ids import mint, new_sort_key
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import seconds
from layers_standin.engines.table import Record

ACTIVE, ARCHIVED = "active", "archived"
NOTHING_INGESTED = {"brandContext": None, "ingestState": {"github": None, "website": None, "appstore": None}}

_ITEM_FIELDS = (
    "id", "name", "status", "customerExternalId", "timezone", "primaryLanguage", "ownerEmail", "createdAt", "updatedAt",
)  # fmt: skip


def new_project(organization: str, project_id: str, body: Mapping[str, Any], now: datetime) -> Record:
    """Return the document of a new project; `body` is a validated create body."""
    given = {
        "customerExternalId": None,
        "ownerEmail": None,
        "primaryLanguage": "en",
        "metadata": {},
    } | {field: value for field, value in body.items() if field != "id"}
    times = {"createdAt": seconds(now), "updatedAt": seconds(now)}
    sort_key = new_sort_key("proj", project_id, minted="id" not in body)
    return {"id": project_id, "organizationId": organization, "status": ACTIVE, "sortKey": sort_key} | given | times


def merge_project(current: Mapping[str, Any], patch: Mapping[str, Any], now: datetime) -> Record:
    """Return the project after a PATCH: given fields replaced, metadata as a whole."""
    merged = dict(current) | dict(patch) | {"updatedAt": seconds(now)}
    since = current.get("archivedAt") or seconds(now)
    return merged | {"archivedAt": since if merged["status"] == ARCHIVED else None}


def archive_project(current: Mapping[str, Any], now: datetime) -> Record:
    """Return the project after a DELETE; an archived project stays unchanged."""
    if current["status"] == ARCHIVED and current.get("archivedAt"):
        return dict(current)
    return merge_project(current, {"status": ARCHIVED}, now)


def project_view(
    document: Mapping[str, Any], blocked: int = 0, ingested: Mapping[str, Any] = NOTHING_INGESTED
) -> Record:
    """Return the full record of the contract; `blocked` is how many of its first posts are still to be approved.

    `ingested` is {"brandContext", "ingestState"}.
    """
    policy = policy_of(document)
    return {
        "id": document["id"],
        "organizationId": document["organizationId"],
        "name": document["name"],
        "status": document["status"],
        "customerExternalId": document["customerExternalId"],
        "timezone": document["timezone"],
        "primaryLanguage": document["primaryLanguage"],
        "ownerEmail": document["ownerEmail"],
        "brand": None,
        **ingested,
        "requiresApproval": policy["requiresApproval"],
        "firstNPostsBlocked": policy["firstNPostsBlocked"] or 0,
        "currentBlockedCount": blocked,
        "metadata": document["metadata"],
        "createdAt": document["createdAt"],
        "updatedAt": document["updatedAt"],
    }


def project_item(document: Mapping[str, Any]) -> Record:
    """Return a project as an item of a list."""
    return {field: document[field] for field in _ITEM_FIELDS}


def deletion_view(document: Mapping[str, Any], canceled_posts: int) -> Record:
    archived_at = document["archivedAt"]
    return {
        "id": document["id"],
        "status": ARCHIVED,
        "archivedAt": archived_at,
        "canceledScheduledPosts": canceled_posts,
    }


def _is_found(search: str | None, status: str | None, customer: str | None, document: Mapping[str, Any]) -> bool:
    return (
        (search is None or search.casefold() in document["name"].casefold())
        and (status is None or document["status"] == status)
        and (customer is None or document["customerExternalId"] == customer)
    )


def _there(document: Record | None) -> Record:
    if document is None:
        raise NotFound("Project not found.")
    return document


class Projects:
    """The projects of an organization."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._projects = tables.table("projects")

    def get(self, project_id: str) -> Record:
        """Return a project's document. Raises NotFound."""
        return _there(self._projects.get(doc_id=project_id))

    def active(self, project_id: str) -> Record:
        """Return the document of a project that takes new influencers. Raises NotFound, Conflict."""
        document = _there(self._projects.get(doc_id=project_id, lock=False))
        if document["status"] != ACTIVE:
            raise Conflict("Project is archived.", subcode="PROJECT_ARCHIVED", projectId=document["id"])
        return document

    def put(self, document: Record) -> None:
        self._projects.upsert(document)

    def create(self, body: Mapping[str, Any]) -> Record:
        """Create a project and return its document. Raises Conflict when its id is taken."""
        project_id = body.get("id") or mint("proj")
        with self._tables.db.transaction():
            if self._projects.contains(doc_id=project_id):
                raise Conflict("Project id is already taken.", subcode="ID_TAKEN", id=project_id)
            document = new_project(self._tables.organization, project_id, body, self._tables.now())
            self._projects.insert(document)
            return document

    def patch(self, project_id: str, patch: Mapping[str, Any]) -> Record:
        return self._change(project_id, partial(merge_project, patch=patch, now=self._tables.now()))

    def archive(self, project_id: str) -> Record:
        return self._change(project_id, partial(archive_project, now=self._tables.now()))

    def page(self, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (documents, cursor). Raises BadCursor."""
        status, search, customer = query.get("status"), query.get("search"), query.get("customerExternalId")
        of = (self._tables.organization, "projects", status, search, customer)
        index = f"customer:{customer}" if customer is not None else f"status:{status}" if status else "all"
        keep = partial(_is_found, search, status, customer)
        before = read_cursor(query.get("cursor"), *of)
        page = self._tables.page("projects", [index], before, query["limit"], keep)
        return page.documents, write_cursor(page.next_sort_key, *of)

    def _change(self, project_id: str, change: Callable[[Record], Record]) -> Record:
        with self._tables.db.transaction():
            changed = change(self.get(project_id))
            self._projects.upsert(changed)
            return changed
