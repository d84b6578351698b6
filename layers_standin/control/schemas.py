"""Schemas of the control plane's requests; as strict as the API's own, and made of the same fields."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, post_load, validates_schema

from layers_standin.domain.keys import SCOPES
from layers_standin.domain.social import CONNECTED, REAUTH_REQUIRED
from layers_standin.engines.snapshots import SNAPSHOT_NAME
from layers_standin.fields import (
    Array,
    Boolean,
    Choice,
    Duration,
    Instant,
    Integer,
    Metadata,
    Object,
    Pattern,
    QueryNumber,
    Text,
)
from layers_standin.web.errors import STATUS_OF_CODE
from layers_standin.web.faults import MAX_DELAY_MS
from layers_standin.web.limits import PER_MINUTE
from layers_standin.web.logs.requests import MOST_ENTRIES
from schemas import MAX_SAFE_INTEGER, Strict

_DETAILS = {"description": "Anything, as long as it is at most 8192 bytes of JSON."}
_NEVER: dict[str, Any] = {"not": {}}


def _without(*names: str) -> dict[str, Any]:
    """Return the JSON Schema of an object that has none of these fields."""
    return {"properties": dict.fromkeys(names, _NEVER)}


def _is_no_key(text: str) -> bool:
    return not text.startswith("lp_")


class ListedChoice(Choice):
    """One of a few strings, which the error lists; the contract's wording without them is for the API."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(*choices, **kwargs)
        self.message = f"Invalid enum value: must be one of {', '.join(choices)}"


class Flag(Boolean):
    """True, or absent."""

    json_schema: ClassVar[Mapping[str, Any]] = {"type": "boolean", "enum": [True]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not super()._deserialize(value, attr, data, **kwargs):
            raise ValidationError("Must be true, or absent")
        return True


class Reset(Strict):
    """reset: to the seed (the default, if there is one) or to nothing."""

    to = ListedChoice("seed", "empty")


class SnapshotCreate(Strict):
    """snapshots: the name."""

    name = Pattern(SNAPSHOT_NAME, "Invalid name: must be 1 to 64 of 0-9, A-Z, a-z, _ and -", required=True)


class OrganizationCreate(Strict):
    """organizations: all optional."""

    name = Text(min=1, max=128)
    scopes = Array(ListedChoice(*SCOPES, "*"), max=20)
    rateLimitTier = ListedChoice(*PER_MINUTE)


class KeyCreate(OrganizationCreate):
    """keys of an organization: all optional."""


def _only_mode(mode: str, *others: str) -> dict[str, Any]:
    """Return the JSON Schema of a setting of that mode, without the fields of the others."""
    properties = {"mode": {"const": mode}} | dict.fromkeys(("advance", *others), _NEVER)
    return {"properties": properties, "required": ["mode"]}


class ClockSetting(Strict):
    """clock: a mode and its time, or a duration to advance by; for one organization or for all."""

    json_schema = {
        "oneOf": [
            _without("mode", "at", "offset") | {"required": ["advance"]},
            _only_mode("real", "at", "offset"),
            _only_mode("frozen", "offset"),
            _only_mode("offset", "at") | {"required": ["mode", "offset"]},
        ]
    }

    mode = ListedChoice("real", "frozen", "offset")
    at = Instant()
    offset = Duration()
    advance = Duration()
    organizationId = Text()

    @validates_schema
    def _one_of_two(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("mode" in data) == ("advance" in data):
            raise ValidationError("Exactly one of mode and advance is required")

    @validates_schema
    def _belongs(self, data: Mapping[str, Any], **_: Any) -> None:
        mode = data.get("mode")
        if "at" in data and mode != "frozen":
            raise ValidationError("Only with mode frozen", "at")
        if ("offset" in data) != (mode == "offset"):
            raise ValidationError("Required with mode offset, and only with it", "offset")


class CreditsSetting(Strict):
    """credits: the balance, for one organization or for each."""

    balance = Integer(min=-MAX_SAFE_INTEGER, max=MAX_SAFE_INTEGER, required=True)
    organizationId = Text()


class SocialAccountSetting(Strict):
    """social-accounts: whether its owner must consent again."""

    status = ListedChoice(CONNECTED, REAUTH_REQUIRED, required=True)


class LogSetting(Strict):
    """requests: whether they are logged, for one organization or for all."""

    enabled = Boolean(required=True)
    organizationId = Text()


class Match(Strict):
    """The requests that a fault matches; a field left out matches anything."""

    json_schema = {"anyOf": [_without("operation"), _without("method", "path")]}

    operation = Text()
    method = ListedChoice("GET", "POST", "PUT", "PATCH", "DELETE")
    path = Text(min=1, max=512)
    keyId = Pattern(_is_no_key, "Must be the id of a key, not the key", max=128)  # so that the error says so for a key

    @validates_schema
    def _one_or_the_other(self, data: Mapping[str, Any], **_: Any) -> None:
        if "operation" in data and ("method" in data or "path" in data):
            raise ValidationError("Either operation, or method and path")


class JobFailure(Strict):
    """The error that a job fails with."""

    code = Text(min=1, max=128, required=True)
    message = Text(min=1, max=1024, required=True)


class PostFailure(Strict):
    """The error that posts fail with."""

    code = Text(min=1, max=128, load_default="PUBLISH_FAILED")
    message = Text(min=1, max=1024, required=True)


_KINDS = ("code", "dropConnection", "truncateBody", "loseReplyAfterEffect", "failJob", "failPost")
_OF_CODE = ("message", "details", "retryAfter")


def _only_kind(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of an answer of that kind, without the fields of the others."""
    others = [other for other in _KINDS if other != kind]
    return _without(*others, *(() if kind == "code" else _OF_CODE)) | {"required": [kind]}


class Answer(Strict):
    """The effect of a fault: one of these, delayed or not; or only a delay."""

    json_schema = {"oneOf": [*map(_only_kind, (*_KINDS, "delayMs"))]}

    code = ListedChoice(*STATUS_OF_CODE)
    message = Text(min=1, max=1024)
    details = Metadata(max=8192, metadata=_DETAILS)
    retryAfter = Integer(max=86_400)
    delayMs = Integer(max=MAX_DELAY_MS)
    dropConnection = Flag()
    truncateBody = Integer(max=1 << 30)
    loseReplyAfterEffect = Flag()
    failJob = Object(JobFailure)
    failPost = Object(PostFailure)

    @validates_schema
    def _one_kind(self, data: Mapping[str, Any], **_: Any) -> None:
        kinds = [kind for kind in _KINDS if kind in data]
        if len(kinds) > 1 or not (kinds or "delayMs" in data):
            raise ValidationError(f"Exactly one of {', '.join(_KINDS)}; or delayMs alone")
        for name in _OF_CODE:
            if name in data and "code" not in data:
                raise ValidationError("Only with code", name)


class FaultCreate(Strict):
    """faults: an effect, the requests it is for, and how often; in one organization or in all."""

    match = Object(Match)
    times = Integer(min=1, max=1_000_000)
    answer = Object(Answer, required=True)
    organizationId = Text()

    @post_load
    def _any(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"match": {}} | data


class ScopeQuery(Strict):
    """The organization; all when it is left out. Strict: a mistyped name must not mean all."""

    organizationId = Text()


class RequestQuery(ScopeQuery):
    """Filters of the request log, and the number of entries."""

    operation = Text()
    status = QueryNumber(min=100, max=599)
    keyId = Text()
    idempotencyKey = Text()
    limit = QueryNumber(min=1, max=MOST_ENTRIES, load_default=100)
