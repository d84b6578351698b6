"""The schemas of the documents that people write into a seed, or into a file to import. Fields with a default may lack.

They accept every document that the service makes, and those of an export of version 0.1.0, where `place` was a sort
key.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, validates_schema

from layers_standin.domain.social import HANDLE, PLATFORMS
from layers_standin.domain.social import STATUSES as ACCOUNT_STATUSES
from layers_standin.fields import Array, AssetId, Boolean, Choice, Integer, Metadata, Object, Pattern, Text
from layers_standin.media.storage import NAME
from schemas import KINDS, MAX_SAFE_INTEGER, InfluencerPatch, Personality, ProjectPatch, Strict, details

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_RUNNING = ("pending", "training")  # they follow from a job


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text) and datetime.fromisoformat(text))
    except ValueError:
        return False


def _time(**options: Any) -> Pattern:
    return Pattern(_is_time, "Expected a time like 2026-04-18T09:18:44Z", **options)


def _name_in_paths(**options: Any) -> Pattern:
    return Pattern(NAME, "Expected letters, digits, _ and -", **options)


class _Anything(Metadata):
    """An object that only the service writes."""

    def __init__(self) -> None:
        super().__init__(max=MAX_SAFE_INTEGER)


class _OfOrganization(Strict):
    organizationId = _name_in_paths(required=True)
    createdAt = _time()


class Organization(Strict):
    id = _name_in_paths(required=True)
    name = Text(min=1, required=True)
    creditBalance = Integer(min=-MAX_SAFE_INTEGER, max=MAX_SAFE_INTEGER)
    creditsUsed = _Anything()
    refunds = _Anything()
    createdAt = _time()


class Project(_OfOrganization, ProjectPatch):
    id = Text(min=1, required=True)
    name = Text(min=1, max=128, required=True)
    updatedAt = _time()
    archivedAt = _time(allow_none=True)
    due = Array(_Anything())
    approval = _Anything()
    isIngested = Boolean()
    sortKey = Text()
    place = Text()


class _Failure(Strict):
    code = Text(required=True)
    message = Text(required=True)


class _Schedule(Strict):
    startedMs = Integer(required=True, max=MAX_SAFE_INTEGER)
    lengthMs = Integer(required=True, max=MAX_SAFE_INTEGER)
    endedMs = Integer(required=True, max=MAX_SAFE_INTEGER, allow_none=True)
    failure = Object(_Failure, required=True, allow_none=True)


class _Reference(Strict):
    assetId = AssetId(required=True)
    addedAt = _time()
    path = Text()
    thumbnailPath = Text()


class _Deletion(Strict):
    reason = Text(allow_none=True)
    apiKeyId = Text(allow_none=True)
    deletedAt = _time()


class _Attributes(Strict):
    deletion = Object(_Deletion)


class Influencer(_OfOrganization, InfluencerPatch):
    influencerId = Text(min=1, required=True)
    projectId = Text(min=1, required=True)
    name = Text(min=1, max=128, required=True)
    personality = Object(Personality)
    referenceImages = Array(Object(_Reference))
    status = Choice("ready", "failed", *_RUNNING)
    schedule = Object(_Schedule)
    updatedAt = _time()
    is_archived = Boolean()
    attributes = Object(_Attributes)
    revision = Integer(max=MAX_SAFE_INTEGER)
    token = Text(min=1)
    sortKey = Text()
    place = Text()

    @validates_schema
    def _runs(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("status") in _RUNNING and "schedule" not in data:
            raise ValidationError("Only a job makes it so, and there is none: say ready or failed", "status")


class Asset(_OfOrganization):
    assetId = AssetId(required=True)
    projectId = Text(min=1, required=True)
    kind = Choice(*KINDS)
    contentType = Text(min=1)
    filename = Text(allow_none=True)
    token = Text(min=1)
    file = _name_in_paths()
    sizeBytes = Integer(max=MAX_SAFE_INTEGER)
    checksumSha256 = Text()
    path = Text()
    thumbnailPath = Text()
    mimeType = Text()
    durationMs = Integer(max=MAX_SAFE_INTEGER, allow_none=True)
    width = Integer(max=MAX_SAFE_INTEGER)
    height = Integer(max=MAX_SAFE_INTEGER)
    containerId = Text()
    jobId = Text()


class SeedAsset(Asset):
    """An asset with its picture, a path beside the seed."""

    picture = Text(min=1)


class SocialAccount(_OfOrganization):
    socialAccountId = Text(min=1, required=True)
    projectId = Text(min=1, required=True)
    platform = Choice(*PLATFORMS, required=True)
    handle = Pattern(HANDLE, "Expected 1 to 30 of 0-9, a-z, . and _", required=True)
    status = Choice(*ACCOUNT_STATUSES)
    connectedAt = _time()
    reauthAt = _time(allow_none=True)
    disconnectedAt = _time(allow_none=True)
    token = _name_in_paths()
    sortKey = Text()


SCHEMAS: dict[str, Strict] = {
    "organizations": Organization(),
    "projects": Project(),
    "influencers": Influencer(),
    "assets": Asset(),
    "social_accounts": SocialAccount(),
}


def faults_of(schema: Strict, document: object) -> Iterator[str]:
    """Yield `field: message` for each fault of a document."""
    try:
        schema.load(document)  # type: ignore[arg-type]
    except ValidationError as error:
        found = details(error)
        for field, messages in found["fieldErrors"].items():
            for message in messages:
                yield f"{field}: {message}{_hint(schema, field, message)}"
        yield from found.get("formErrors", ())


def _hint(schema: Strict, field: str, message: str) -> str:
    if message == "Unrecognized key":
        close = difflib.get_close_matches(field, schema.fields, n=1)
        return f"; did you mean {close[0]}?" if close else ""
    choices = getattr(schema.fields.get(field), "choices", ())
    return f": one of {', '.join(choices)}" if message == "Invalid enum value" and choices else ""
