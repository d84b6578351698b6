"""What the tests of the API share: a clock, documents of another organization, and the errors of the contract."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

from databases import Pages, Rows
from werkzeug.test import TestResponse

from layers_standin.domain.assets import media_paths
from layers_standin.domain.ids import canonical
from layers_standin.engines.table import Record
from layers_standin.services import Services
from store import Store

SPRING, SUMMER = "proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG", "proj_01HX4TB8ZC1D2E3F4G5H6J7K8M"
MEDIA = f"/v1/projects/{SPRING}/media"
AVA_PICTURES = [
    "asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9",
    "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0",
    "asset_01HXZ9N3P5Q7R9S1T3V5W7X9Y1",
]
SUMMER_PICTURE = "asset_01HXZD4E6F8G0H2J4K6M8N0P2Q"
SOL = "8d0f2c7a-91b4-4e55-b1d6-0a7c3e5f9b21"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 4, 18, 9, 18, 44, 120_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


def refused(response: TestResponse) -> Record:
    """Return an error reply as {status, code, message, details?}, once the envelope is what all errors have."""
    assert response.mimetype == "application/json"
    assert list(response.json) == ["error"]
    error = dict(response.json["error"])
    assert error.pop("requestId") == response.headers["X-Request-Id"]
    return {"status": response.status_code} | error


def invalid(*form_errors: str, **field_errors: list[str]) -> Record:
    """Return the refusal of a body with these faults."""
    details = {"fieldErrors": field_errors} | ({"formErrors": list(form_errors)} if form_errors else {})
    return {"status": 422, "code": "VALIDATION", "message": "Invalid body.", "details": details}


class Interrupted(BytesIO):
    """A body that something happens to while it is read."""

    def __init__(self, data: bytes, act: Callable[[], Any]) -> None:
        super().__init__(data)
        self._act = act

    def readinto(self, buffer: Any) -> int:
        self._act()
        return super().readinto(buffer)


UNAUTHENTICATED = {"status": 401, "code": "UNAUTHENTICATED", "message": "Missing or invalid API key."}
KILLED = {
    "status": 503,
    "code": "KILL_SWITCH",
    "message": "This API key has been disabled.",
    "details": {"scope": "key"},
}
NO_SCOPE = {
    "status": 403,
    "code": "FORBIDDEN_SCOPE",
    "message": "This API key lacks the required scope.",
    "details": {"required": "influencers:write"},
}
NO_INFLUENCER = {"status": 404, "code": "NOT_FOUND", "message": "Influencer not found."}
NO_ROUTE = {"status": 404, "code": "NOT_FOUND", "message": "Not found."}
TOO_LARGE = {
    "status": 413,
    "code": "PAYLOAD_TOO_LARGE",
    "message": "Request body is too large.",
    "details": {"maxBytes": 1_048_576},
}
OTHER_BODY = {
    "status": 409,
    "code": "IDEMPOTENCY_CONFLICT",
    "message": "Idempotency-Key was used with a different body.",
}
UNAVAILABLE = {
    "status": 503,
    "code": "UNAVAILABLE",
    "message": "The store is unavailable; nothing was changed.",
}
UNCONFIRMED = UNAVAILABLE | {"message": "The store is unavailable; this may or may not have been done."}
CRASHED = {"status": 500, "code": "INTERNAL", "message": "Internal error."}


def living(organization: str, influencer_id: str, project: str = SPRING, **fields: Any) -> Record:
    """Return the document of an influencer about whom only the name is known."""
    unknown = ("gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle", "style", "vibe")
    return {
        "influencerId": influencer_id,
        "organizationId": organization,
        "projectId": project,
        "name": "Kim",
        **dict.fromkeys(unknown),
        "voiceDescription": None,
        "personality": {},
        "referenceImages": [],
        "status": "ready",
        "createdAt": "2026-04-01T00:00:00Z",
        "updatedAt": "2026-04-01T00:00:00Z",
        "is_archived": False,
        "attributes": {},
        "token": "t0ken-t0ken-t0ken-t0k",
        "sortKey": f"inf_01HTC1T5000000000000000000={canonical(influencer_id)}",
    } | fields


def picture(organization: str, asset_id: str, project: str = SPRING, **fields: Any) -> Record:
    """Return the document of an asset; its bytes are another matter."""
    document = {
        "assetId": asset_id,
        "organizationId": organization,
        "projectId": project,
        "kind": "reference_image",
        "contentType": "image/png",
        "filename": "picture.png",
        "token": "t0ken-t0ken-t0ken-t0k",
        "createdAt": "2026-04-01T00:00:00Z",
    } | fields
    return document | media_paths(document)


def known_in(services: Services) -> Callable[[str, str], bool]:
    """Return `is_known(organization, file)` for a sweep of the media: whether an asset has that file."""
    return lambda organization, file: services.store.for_organization(organization).assets.has_file(file)


def new_organization(store: Store) -> str:
    """Return the id of a new organization."""
    return str(store.organizations.create(f"Organization {uuid4()}")["id"])


def key_of(store: Store, organization: str, *scopes: str) -> dict[str, str]:
    """Return the headers of a new key."""
    return {"X-Api-Key": store.for_organization(organization).keys.create(list(scopes), "A key")}


def unchanged(on_disk: Pages | Rows) -> Callable[[], bool]:
    """Return the question whether what is in the store is what it is now, to the byte, and nothing was written."""
    before = on_disk.read_bytes()
    return lambda: on_disk.read_bytes() == before
