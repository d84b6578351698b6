"""Webhook endpoints: the URLs that events are posted to. Source: contract, section 8.

A secret is not stored: it follows from the store's signing key, the endpoint's id and its `secretNumber`. `previous` is
{"number", "untilMs"} after a rotation, else None. `baseUrl` is the URL of the service as the request saw it that made
the endpoint: the URLs in its events begin with it.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.errors import NotFound
from layers_standin.domain.ids import canonical, mint
from layers_standin.domain.tables import Page, Tables, listening
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, milliseconds
from layers_standin.engines.table import Record

ACTIVE, PAUSED, AUTO_PAUSED = "active", "paused", "auto_paused"
STATUSES = (ACTIVE, PAUSED, AUTO_PAUSED)
FAILURES_TO_PAUSE = 20
MOST_OF_INBOX = 100

_BOTH_SIGN_MS = timedelta(hours=24) // timedelta(milliseconds=1)


def new_endpoint(
    organization: str, project_id: str | None, body: Mapping[str, Any], base_url: str, now_ms: int
) -> Record:
    """Return the document of a new endpoint; `body` is validated."""
    endpoint_id = mint("whe")
    return {
        "id": endpoint_id,
        "organizationId": organization,
        "projectId": project_id,
        "url": body["url"],
        "description": body.get("description"),
        "status": ACTIVE,
        "events": list(dict.fromkeys(body["events"])),
        "baseUrl": base_url,
        "secretNumber": 1,
        "previous": None,
        "createdMs": now_ms,
        "updatedMs": now_ms,
        "lastSuccessMs": None,
        "lastFailureMs": None,
        "consecutiveFailureCount": 0,
        "sortKey": endpoint_id,
    }


def merge_endpoint(endpoint: Mapping[str, Any], patch: Mapping[str, Any], now_ms: int) -> Record:
    """Return the endpoint after a PATCH; one that is made active begins to count its failures anew."""
    merged = dict(endpoint) | dict(patch) | {"updatedMs": now_ms}
    merged["events"] = list(dict.fromkeys(merged["events"]))
    return merged | ({"consecutiveFailureCount": 0} if patch.get("status") == ACTIVE else {})


def rotate(endpoint: Mapping[str, Any], now_ms: int) -> Record:
    """Return the endpoint with a new secret; the present one signs for another day."""
    number: int = endpoint["secretNumber"]
    previous = {"number": number, "untilMs": now_ms + _BOTH_SIGN_MS}
    return dict(endpoint) | {"secretNumber": number + 1, "previous": previous, "updatedMs": now_ms}


def after_attempt(endpoint: Mapping[str, Any], is_success: bool, now_ms: int) -> Record:
    """Return the endpoint after an attempt to deliver to it; after FAILURES_TO_PAUSE failures in a row it is paused."""
    if is_success:
        return dict(endpoint) | {"lastSuccessMs": now_ms, "consecutiveFailureCount": 0}
    count = endpoint["consecutiveFailureCount"] + 1
    failed = dict(endpoint) | {"lastFailureMs": now_ms, "consecutiveFailureCount": count}
    is_paused = count >= FAILURES_TO_PAUSE and endpoint["status"] == ACTIVE
    return failed | ({"status": AUTO_PAUSED, "updatedMs": now_ms} if is_paused else {})


def secrets_of(endpoint: Mapping[str, Any], signing_key: str, now_ms: int) -> list[str]:
    """Return the secrets that sign at a moment, the present one first."""
    previous = endpoint["previous"]
    numbers = [endpoint["secretNumber"]]
    if previous is not None and now_ms < previous["untilMs"]:
        numbers.append(previous["number"])
    return [_secret(endpoint["id"], number, signing_key) for number in numbers]


def _secret(endpoint_id: str, number: int, signing_key: str) -> str:
    made = hmac.digest(signing_key.encode(), f"webhook {endpoint_id} {number}".encode(), "sha256")
    return f"whsec_{urlsafe_b64encode(made).decode().rstrip('=')}"


def endpoint_view(endpoint: Mapping[str, Any]) -> Record:
    """Return an endpoint as the API shows it."""
    return {
        "id": endpoint["id"],
        "organizationId": endpoint["organizationId"],
        "projectId": endpoint["projectId"],
        "url": endpoint["url"],
        "description": endpoint["description"],
        "status": endpoint["status"],
        "events": endpoint["events"],
        "apiVersion": "v1",
        "createdAt": at(endpoint["createdMs"]),
        "updatedAt": at(endpoint["updatedMs"]),
        "lastSuccessAt": at(endpoint["lastSuccessMs"]),
        "lastFailureAt": at(endpoint["lastFailureMs"]),
        "consecutiveFailureCount": endpoint["consecutiveFailureCount"],
    }


def at(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else milliseconds(from_epoch_milliseconds(moment_ms))


class Endpoints:
    """The webhook endpoints of an organization."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._endpoints = tables.table("webhook_endpoints")

    def get(self, endpoint_id: str) -> Record:
        """Return an endpoint's document. Raises NotFound."""
        document = self.find(endpoint_id)
        if document is None:
            raise NotFound("Webhook endpoint not found.")
        return document

    def find(self, endpoint_id: str) -> Record | None:
        return self._endpoints.get(doc_id=endpoint_id)

    def page(self, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (endpoints, cursor), newest first. Raises BadCursor.

        With a `projectId` those of that project, without those that hear of every project.
        """
        project, status = query.get("projectId"), query.get("status")
        of = (self._tables.organization, "webhook_endpoints", project and canonical(project), status)
        before = read_cursor(query.get("cursor"), *of)
        group = "all" if project is None else f"project:{canonical(project)}"
        indexes = [f"{group}:{each}" for each in ([status] if status else STATUSES)]
        page = self._tables.page("webhook_endpoints", indexes, before, query["limit"], lambda _: True)
        return page.documents, write_cursor(page.next_sort_key, *of)

    def listening(self, event_type: str, project_id: str | None, before: str | None, limit: int) -> Page:
        """Return active endpoints that are subscribed to a type of events of a project."""

        def keep(endpoint: Record) -> bool:
            return endpoint["projectId"] in (None, project_id)

        return self._tables.page("webhook_endpoints", [listening(event_type)], before, limit, keep)

    def first_active(self, limit: int) -> set[str]:
        """Return the ids of up to `limit` active endpoints."""
        return set(self._tables.db.scan("webhook_endpoints", self._tables.organization, "all:active", limit=limit))

    def of_inbox(self, name: str) -> list[Record]:
        """Return the endpoints that post to an inbox of the stand-in."""
        return self._tables.page("webhook_endpoints", [f"inbox:{name}"], None, MOST_OF_INBOX, bool).documents

    def create(self, project_id: str | None, body: Mapping[str, Any], base_url: str) -> Record:
        """Create an endpoint and return its document."""
        document = new_endpoint(self._tables.organization, project_id, body, base_url, self.now_ms())
        self.put(document)
        return document

    def put(self, endpoint: Record) -> None:
        self._endpoints.upsert(endpoint)

    def delete(self, endpoint_id: str) -> None:
        self._endpoints.remove(doc_ids=[endpoint_id])

    def now_ms(self) -> int:
        return epoch_milliseconds(self._tables.now())
