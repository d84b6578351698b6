"""Search in the request log, compare two requests, and ask one again. Knows no HTML."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from marshmallow import EXCLUDE
from werkzeug.wsgi import ClosingIterator

from layers_standin.console.calls import environ_of
from layers_standin.console.text import Difference, differences
from layers_standin.control.schemas import RequestQuery
from layers_standin.domain.errors import Conflict, NotFound
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Record
from layers_standin.fields import Choice, Instant, Pattern, QueryNumber, Text
from layers_standin.web.context import CONTEXT
from layers_standin.web.logs.requests import MOST_ENTRIES, RequestLog, curl_of, headers_to_repeat

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

CLASSES = ("2xx", "3xx", "4xx", "5xx")
PERIODS = {"60": "last minute", "300": "last 5 minutes", "3600": "last hour", "86400": "last day"}  # seconds
_STATUS = re.compile(r"[1-5](?:[0-9]{2}|xx)")
_WITHOUT_ZONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}")
_SEARCHED = ("requestId", "operation", "method", "path", "query", "keyId", "idempotencyKey", "request", "response")


class Moment(Instant):
    """As Instant; without an offset it is in UTC, as a field for a moment has it: 2026-04-18T09:18."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = f"{value}Z" if _WITHOUT_ZONE.fullmatch(value) else value
        return super()._deserialize(text, attr, data, **kwargs)


class LogQuery(RequestQuery):
    """As the control plane's, and the rest that people look for: any words, a class of statuses, a time."""

    class Meta(RequestQuery.Meta):
        unknown = EXCLUDE

    text = Text(max=200)
    status = Pattern(_STATUS, "Say a status, such as 404, or a class of them, such as 4xx")  # type: ignore[assignment]
    faultId = Text(max=128)
    within = Choice(*PERIODS)
    since = Moment()
    until = Moment()
    limit = QueryNumber(min=1, max=MOST_ENTRIES, load_default=50)


_EXACT = ("operation", "keyId", "idempotencyKey", "organizationId", "faultId")
SEARCH = (*_EXACT, "text", "status", "within", "since", "until")


def search(entries: Iterable[Record], query: Mapping[str, Any], now_ms: int) -> Iterator[Record]:
    """Yield the entries that fit a validated query in all but their status."""
    since_ms = max(query.get("since", 0), now_ms - int(query["within"]) * 1000 if "within" in query else 0)
    until_ms = query.get("until", sys.maxsize)
    words = query.get("text", "").casefold().split()
    names = [name for name in _EXACT if name in query]
    for entry in entries:
        if any(query[name] not in (entry[name], name == "keyId" and entry["apiKeyId"]) for name in names):
            continue
        if words and not _has_words(entry, words):
            continue
        if since_ms or "until" in query:
            at_ms = epoch_milliseconds(datetime.fromisoformat(entry["at"]))
            if not since_ms <= at_ms <= until_ms:
                continue
        yield entry


def fits_status(entry: Mapping[str, Any], wanted: str | None) -> bool:
    """Whether an entry has a status, 404, or one of its class, 4xx."""
    return wanted is None or wanted in (str(entry["status"]), class_of(entry))


def class_of(entry: Mapping[str, Any]) -> str:
    return f"{entry['status'] // 100}xx"


def _has_words(entry: Mapping[str, Any], words: list[str]) -> bool:
    """Whether each of the words is in the path, an id, a body or a header of an entry, in small or capital letters."""
    headers = [*entry["headers"].items(), *entry.get("responseHeaders", {}).items()]
    texts = [*(entry[name] or "" for name in _SEARCHED), *(f"{name}: {value}" for name, value in headers)]
    whole = "\n".join(texts).casefold()
    return all(word in whole for word in words)


def find(log: RequestLog, request_id: str) -> Record:
    """Return an entry of the log. Raises NotFound."""
    logged = log.newest({}, MOST_ENTRIES)
    return logged[placed(logged, request_id)]


def placed(logged: list[Record], request_id: str) -> int:
    """Return the place of an entry. Raises NotFound."""
    for place, entry in enumerate(logged):
        if entry["requestId"] == request_id:
            return place
    raise NotFound(f"This request is not among the newest {MOST_ENTRIES} of the log.")


def call_before(entries: list[Record], place: int) -> Record | None:
    """Return the previous call of the same operation, by the same organization; entries are newest first."""
    return next((each for each in entries[place + 1 :] if _is_same_call(each, entries[place])), None)


def call_after(entries: list[Record], place: int) -> Record | None:
    return next((each for each in reversed(entries[:place]) if _is_same_call(each, entries[place])), None)


def _is_same_call(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one["organizationId"] != other["organizationId"] or one["operation"] != other["operation"]:
        return False
    return one["operation"] is not None or (one["method"], one["path"]) == (other["method"], other["path"])


def compared(before: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Difference]:
    """Return the differences between two requests and their replies, field by field."""
    return differences(_comparable(before), _comparable(entry))


def _comparable(entry: Mapping[str, Any]) -> Record:
    """Return the parts of an entry that are worth a comparison: ids that differ each time are left out."""
    answered = _parsed(entry["response"])
    if isinstance(answered, dict) and isinstance(answered.get("error"), dict):
        answered["error"].pop("requestId", None)
    return {
        "path": entry["path"],
        "query": entry["query"] or None,
        "key": entry["keyId"],
        "headers": {name: value for name, value in entry["headers"].items() if name != "Idempotency-Key"},
        "Idempotency-Key": entry["idempotencyKey"],
        "sent": _parsed(entry["request"]),
        "status": str(entry["status"]),
        "answered": answered,
        "fault": entry["faultId"],
    }


def _parsed(body: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body or None


def may_repeat(entry: Mapping[str, Any]) -> bool:
    """Whether a request can be asked again from here: the whole of it is kept, and the store knows its key."""
    has_key = entry["keyId"] is not None
    return curl_of(entry, "") is not None and (has_key or not {"X-Api-Key", "Authorization"} & entry["headers"].keys())


def ask_again(app: "WSGIApplication", entry: Mapping[str, Any], environ: "WSGIEnvironment") -> str:
    """Ask the API a logged request again, in the name of its key; return the id of the new request.

    `environ` is that of the request that wants it. Raises Conflict when too little is kept of the request.
    """
    if not may_repeat(entry):
        raise Conflict("Too little is kept of this request to ask it again.", subcode="NOT_REPEATABLE")
    asked = (entry["method"], entry["path"], entry["request"].encode(), headers_to_repeat(entry), entry["query"])
    again = environ_of(environ, entry["keyId"], *asked)
    with suppress(ConnectionResetError):  # a fault has cut off the reply
        for _ in (reply := ClosingIterator(app(again, _start))):
            pass
        reply.close()
    return str(again[CONTEXT].request_id)


def _start(*_: object) -> Callable[[bytes], object]:
    """Begin a response of which only the log is wanted."""
    return lambda _: None
