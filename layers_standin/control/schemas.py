"""Schemas of the control plane's requests; as strict as the API's own, and made of the same fields."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from marshmallow import ValidationError, post_load, validates_schema
from marshmallow.fields import Field

from layers_standin.control.presets import PRESETS
from layers_standin.domain.events import TYPES
from layers_standin.domain.faults import EFFECTS, LATE, OUT_OF_ORDER
from layers_standin.domain.keys import SCOPES
from layers_standin.domain.social import CONNECTED, REAUTH_REQUIRED
from layers_standin.engines.snapshots import SNAPSHOT_NAME
from layers_standin.fields import (
    Array,
    Boolean,
    Choice,
    Duration,
    InfluencerId,
    Instant,
    Integer,
    Metadata,
    Object,
    Pattern,
    QueryNumber,
    Text,
    wrong_type,
)
from layers_standin.web.errors import STATUS_OF_CODE
from layers_standin.web.faults import BODILESS, MAX_DELAY_MS
from layers_standin.web.limits import PER_MINUTE
from layers_standin.web.logs.output import redacted
from layers_standin.web.logs.refused_keys import is_secret
from layers_standin.web.logs.requests import MOST_ENTRIES
from schemas import MAX_SAFE_INTEGER, Strict

_DETAILS = {"description": "Anything, as long as it is at most 8192 bytes of JSON."}
FLUSH_MS = 30_000
MAX_LATE_MS = 31 * 86_400_000
_NEVER: dict[str, Any] = {"not": {}}
_HEADER_NAME = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


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


class Headers(Metadata):
    """{name: value} of HTTP headers."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "propertyNames": {"pattern": f"^{_HEADER_NAME.pattern}$"},
        "additionalProperties": {"type": "string", "pattern": f"^{_HEADER_VALUE.pattern}$"},
    }

    def __init__(self, refused: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(max=8192, **kwargs)
        self.refused = refused  # by the name in small letters, the reason

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        headers = super()._deserialize(value, attr, data, **kwargs)
        faults = {name: [fault] for name in headers if (fault := self._fault(name, headers[name]))}
        if faults:
            raise ValidationError(faults)
        return headers

    def _fault(self, name: str, value: Any) -> str | None:
        if not _HEADER_NAME.fullmatch(name):
            return "Invalid name of a header"
        if not isinstance(value, str):
            return wrong_type("string", value)
        if not _HEADER_VALUE.fullmatch(value):
            return "Must be printable ASCII"
        return self.refused.get(name.lower())


class MatchHeaders(Headers):
    """The headers that a fault compares: none of secrets, which are kept nowhere."""

    def _fault(self, name: str, value: Any) -> str | None:
        if is_secret(name) or (isinstance(value, str) and redacted(value) != value):
            return "A secret is kept nowhere: for a key, match its keyId"
        return super()._fault(name, value)


class MatchBody(Metadata):
    """The parts of a body that a fault compares."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        text = orjson.dumps(parts := super()._deserialize(value, attr, data, **kwargs)).decode()
        if redacted(text) != text:
            raise ValidationError("A secret is kept nowhere")
        return parts


class AnyJson(Field[Any]):
    """Any value of JSON of at most `max` bytes but null."""

    json_schema: ClassVar[Mapping[str, Any]] = {"type": ["string", "number", "boolean", "array", "object"], "items": {}}

    def __init__(self, *, max: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max = max

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if len(orjson.dumps(value)) > self.max:
            raise ValidationError(f"Must be at most {self.max} bytes of JSON")
        return value


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


class EndpointSetting(Strict):
    """webhook-endpoints: whether events are posted to it."""

    status = ListedChoice("active", "paused", required=True)


class LogSetting(Strict):
    """requests: whether they are logged, for one organization or for all."""

    enabled = Boolean(required=True)
    organizationId = Text()


class Match(Strict):
    """The requests that a fault matches: those for which all that is said is true."""

    json_schema = {"anyOf": [_without("operation"), _without("method", "path")]}

    event = ListedChoice(*TYPES)
    operation = Text()
    method = ListedChoice("GET", "POST", "PUT", "PATCH", "DELETE")
    path = Text(min=1, max=512)
    keyId = Pattern(_is_no_key, "Must be the id of a key, not the key", max=128)  # so that the error says so for a key
    influencerId = InfluencerId()
    headers = MatchHeaders({})
    body = MatchBody(max=8192)

    @validates_schema
    def _one_or_the_other(self, data: Mapping[str, Any], **_: Any) -> None:
        if "operation" in data and ("method" in data or "path" in data):
            raise ValidationError("Either operation, or method and path")
        if "event" in data and len(data) > 1:
            raise ValidationError(
                "An event has neither operation, method, path, key, influencer, headers nor body", "event"
            )


class JobFailure(Strict):
    """The error that a job fails with."""

    code = Text(min=1, max=128, required=True)
    message = Text(min=1, max=1024, required=True)


class PostFailure(Strict):
    """The error that posts fail with."""

    code = Text(min=1, max=128, load_default="PUBLISH_FAILED")
    message = Text(min=1, max=1024, required=True)


_KINDS = (
    "code",
    "status",
    "dropConnection",
    "resetConnection",
    "truncateBody",
    "loseReplyAfterEffect",
    "failJob",
    "failPost",
    "webhook",
)
# The fields that belong to some kinds only, by those kinds; an answer without a kind is a delay.
_ONLY_WITH = {
    "message": ("code",),
    "details": ("code",),
    "retryAfter": ("code", "status"),
    "headers": ("code", "status"),
    "body": ("status",),
    "lateByMs": ("webhook",),
}
_UNBROKEN = ("code", "status", "failJob", "failPost", "delayMs", "slowBodyMs")  # the kinds that a slow body goes with


def _only_kind(*kinds: str, **rules: Any) -> dict[str, Any]:
    """Return the JSON Schema of an answer with these kinds, without the fields of the others."""
    foreign = [name for name, owners in _ONLY_WITH.items() if not set(kinds) & set(owners)]
    slow = () if set(kinds) & set(_UNBROKEN) else ("slowBodyMs",)
    others = [kind for kind in _KINDS if kind not in kinds]
    found = _without(*others, *foreign, *slow, *(("body",) if "code" in kinds else ()))
    return {"properties": found["properties"] | rules, "required": list(kinds)}


_SET_BY_SERVER = "Set by the service itself"
_NOT_TO_SET = dict.fromkeys(
    (
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
        "x-ratelimit-endpoint-class",
        "access-control-allow-origin",
        "access-control-expose-headers",
    ),
    _SET_BY_SERVER,
)


class Answer(Strict):
    """The effect of a fault: one of these, delayed or not; or only a delay, or a slow body."""

    json_schema = {
        "anyOf": [
            _only_kind("code", code={"enum": [*STATUS_OF_CODE]}),
            _only_kind("code", "status"),
            *(_only_kind(kind) for kind in (*_KINDS[1:], "delayMs", "slowBodyMs")),
        ]
    }

    code = Text(min=1, max=128)
    status = Integer(min=200, max=599)
    message = Text(min=1, max=1024)
    details = Metadata(max=8192, metadata=_DETAILS)
    retryAfter = Integer(max=86_400)
    headers = Headers(_NOT_TO_SET)
    body = AnyJson(max=65_536)
    delayMs = Integer(max=MAX_DELAY_MS)
    slowBodyMs = Integer(max=MAX_DELAY_MS)
    dropConnection = Flag()
    resetConnection = Flag()
    truncateBody = Integer(max=1 << 30)
    loseReplyAfterEffect = Flag()
    failJob = Object(JobFailure)
    failPost = Object(PostFailure)
    webhook = ListedChoice(*EFFECTS)
    lateByMs = Integer(max=MAX_LATE_MS)

    @validates_schema
    def _one_kind(self, data: Mapping[str, Any], **_: Any) -> None:
        kinds = [kind for kind in _KINDS if kind in data]
        is_delay = not kinds and ("delayMs" in data or "slowBodyMs" in data)
        if not (len(kinds) == 1 or kinds == ["code", "status"] or is_delay):
            raise ValidationError(
                f"Exactly one of {', '.join(_KINDS)} (code and status together are one); or delayMs or slowBodyMs alone"
            )
        for name, owners in _ONLY_WITH.items():
            if name in data and not set(kinds) & set(owners):
                raise ValidationError(f"Only with {' or '.join(owners)}", name)
        if "slowBodyMs" in data and kinds and not set(kinds) & set(_UNBROKEN):
            raise ValidationError(f"Not with {kinds[0]}", "slowBodyMs")

    @validates_schema
    def _is_whole(self, data: Mapping[str, Any], **_: Any) -> None:
        if "code" in data and data["code"] not in STATUS_OF_CODE and "status" not in data:
            known = ", ".join(STATUS_OF_CODE)
            raise ValidationError(f"Say the status of a code that is none of the API's: {known}", "code")
        if "body" in data and "code" in data:
            raise ValidationError("Not with code, which has a body of its own: say message and details", "body")
        if "body" in data and data.get("status") in BODILESS:
            raise ValidationError(f"Not with status {data['status']}", "body")
        if "retryAfter" in data and "retry-after" in map(str.lower, data.get("headers", ())):
            raise ValidationError("Not with a header Retry-After", "retryAfter")
        if "delayMs" in data and "webhook" in data:
            raise ValidationError("Not with webhook: say lateByMs", "delayMs")
        if "lateByMs" in data and data.get("webhook") not in (LATE, OUT_OF_ORDER):
            raise ValidationError("Only with webhook late or outOfOrder", "lateByMs")


class FaultCreate(Strict):
    """faults: an effect, the requests it is for, and at which of them; or a preset. In one organization or in all."""

    json_schema = {
        "anyOf": [
            _without("preset") | {"required": ["answer"]},
            _without("match", "after", "every", "times", "answer") | {"required": ["preset"]},
        ]
    }

    preset = ListedChoice(*PRESETS)
    match = Object(Match)
    after = Integer(max=1_000_000)
    every = Integer(min=1, max=1_000_000)
    times = Integer(min=1, max=1_000_000)
    answer = Object(Answer)
    organizationId = Text()

    @validates_schema
    def _preset_or_answer(self, data: Mapping[str, Any], **_: Any) -> None:
        if "preset" not in data and "answer" not in data:
            raise ValidationError("Required", "answer")
        if "preset" in data and (more := data.keys() - {"preset", "organizationId"}):
            raise ValidationError(f"Not with {', '.join(sorted(more))}: a preset has its own", "preset")

    @post_load
    def _any(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data if "preset" in data else {"match": {}} | data


class ScopeQuery(Strict):
    """The organization; all when it is left out. Strict: a mistyped name must not mean all."""

    organizationId = Text()


class Flush(Strict):
    """flush: the organization, or all, and the longest wait."""

    organizationId = Text()
    timeoutMs = Integer(min=0, max=120_000, load_default=FLUSH_MS)


class StatusFilter(QueryNumber):
    """An HTTP status, or a class of them, as 4xx."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "type": ["integer", "string"],
        "pattern": "^[1-5]([0-9][0-9]|xx)$",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return value if value in _STATUS_CLASSES else super()._deserialize(value, attr, data, **kwargs)


_STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


class QueryFlag(Text):
    """A parameter that is true without a value; or true or false."""

    json_schema: ClassVar[Mapping[str, Any]] = {"enum": ["", "true", "false"]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value not in ("", "true", "false"):
            raise ValidationError("Must be true or false, or without a value")
        return value != "false"


class RequestQuery(ScopeQuery):
    """Filters of the request log, the number of entries, and whether only their number is wanted."""

    operation = Text()
    method = Text()
    path = Text()
    status = StatusFilter(min=100, max=599)
    keyId = Text()
    idempotencyKey = Text()
    faultId = Text()
    text = Text()
    since = Instant()
    until = Instant()
    unmatched = QueryFlag()
    unread = QueryFlag()
    count = QueryFlag()
    limit = QueryNumber(min=1, max=MOST_ENTRIES, load_default=100)
