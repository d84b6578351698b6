"""The request log: the newest requests and responses, so that people can see the requests of their client."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from layers_standin.domain.tables import ALL
from layers_standin.engines.errors import EngineError
from layers_standin.engines.table import Record
from layers_standin.services import Services
from layers_standin.settings import OFF, READ_ONLY
from layers_standin.web.logs.output import Line, is_redacted, redacted
from layers_standin.web.logs.rotating import RotatingLog
from layers_standin.web.middleware import RequestContext
from layers_standin.web.uploads import PUT_UPLOAD
from store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MOST_BYTES = 4 << 20
MOST_ENTRIES = 1000
_MAX_BODY_CHARACTERS = 16_384
_WITHOUT_BODY = (204, 304)
_PLAIN = "/:@!$&'()*+,;=~"  # the characters that a path may contain unquoted

# A filter's name, and the names of the fields it compares. A key has two ids.
FILTERS = {
    "operation": ("operation",),
    "status": ("status",),
    "keyId": ("keyId", "apiKeyId"),
    "idempotencyKey": ("idempotencyKey",),
    "organizationId": ("organizationId",),
}


def entry_of(line: Line, context: RequestContext, environ: "WSGIEnvironment") -> Record:
    """Return the entry of a request and its response: without secrets, of large bodies the beginning."""
    once = environ.get("HTTP_IDEMPOTENCY_KEY")
    query = environ.get("QUERY_STRING")
    received = _text(context.received) if context.received else ""
    is_bodiless = line.method == "HEAD" or line.status in _WITHOUT_BODY or not context.sent
    is_unread = not context.received and (
        environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ
    )
    return {
        "requestId": line.request_id,
        "at": line.time,
        "operation": context.operation,
        "method": line.method,
        "path": line.path,
        "query": redacted(query) if query else "",
        "status": line.status,
        "milliseconds": round(line.milliseconds, 1),
        "organizationId": context.organization,
        "keyId": line.key_id,
        "apiKeyId": context.api_key_id,
        "idempotencyKey": None if once is None else _text(once.encode("latin-1")),
        "replayed": context.replayed,
        "faultId": context.fault,
        "cut": context.truncate_after is not None,
        "request": received[:_MAX_BODY_CHARACTERS],
        "response": "" if is_bodiless else _text(context.sent)[:_MAX_BODY_CHARACTERS],
        # Whether a command can send the same again: all of the body is kept, and can be an argument.
        "isWhole": not is_unread
        and len(received) <= _MAX_BODY_CHARACTERS
        and "\0" not in received
        and received.encode() == context.received,
    }


def curl_of(entry: Mapping[str, Any], base_url: str) -> str | None:
    """Return the command that sends the same request, with the key from the environment; None when the body is cut."""
    if entry["operation"] == PUT_UPLOAD or not entry["isWhole"] or _had_secret(entry):
        return None
    query = f"?{quote(entry['query'], safe=f'{_PLAIN}?%')}" if entry["query"] else ""
    url = f"{base_url}{quote(entry['path'], safe=_PLAIN)}{query}"
    how = ["--head"] if entry["method"] == "HEAD" else ["-X", shlex.quote(entry["method"])]
    if "/." in entry["path"]:
        how.append("--path-as-is")  # or curl resolves `..` itself
    parts = ["curl", *how, shlex.quote(url), "-H", '"X-Api-Key: $LAYERS_API_KEY"']
    if entry["idempotencyKey"] is not None:
        # curl's form for a header without a value.
        header = f"Idempotency-Key: {entry['idempotencyKey']}" if entry["idempotencyKey"] else "Idempotency-Key;"
        parts += ["-H", shlex.quote(header)]
    if entry["request"]:
        parts += ["-H", "'Content-Type: application/json'", "--data-raw", shlex.quote(entry["request"])]
    return " ".join(parts)


def entry_view(entry: Record, base_url: str) -> Record:
    """Return an entry as the control plane shows it."""
    return {name: value for name, value in entry.items() if name != "isWhole"} | {"curl": curl_of(entry, base_url)}


class RequestLog:
    """The newest requests of all processes. If the disk fails, requests are answered, but not logged."""

    def __init__(self, ring: RotatingLog, store: Store, is_kept: bool = True) -> None:
        self._ring, self._store, self.is_kept = ring, store, is_kept

    @classmethod
    def of(cls, services: Services) -> "RequestLog":
        """Return the log of a service; it keeps nothing if neither control plane nor console could show it."""
        settings = services.settings
        is_kept = settings.control != OFF or settings.console == READ_ONLY
        return cls(RotatingLog(settings.data / "requests", MOST_BYTES), services.store, is_kept)

    def record(self, line: Line, context: RequestContext, environ: "WSGIEnvironment") -> None:
        """Log a request of the API, unless that is switched off."""
        with suppress(OSError, EngineError):
            is_wanted = context.is_logged if context.organization else self._is_kept_for_nobody()
            if self.is_kept and context.is_api and is_wanted:
                self._ring.append(orjson.dumps(entry_of(line, context, environ), option=orjson.OPT_UTC_Z))

    def newest(self, wanted: Mapping[str, Any], limit: int) -> list[Record]:
        """Return entries that match all of `wanted` (by the names of FILTERS), newest first."""

        def is_wanted(entry: Record) -> bool:
            return all(value in (entry[field] for field in FILTERS[name]) for name, value in wanted.items())

        return list(islice(filter(is_wanted, islice(self._entries(), MOST_ENTRIES)), limit))

    def clear(self, scope: str) -> None:
        """Delete the entries of an organization, or all of them. Raises OSError."""
        if scope == ALL:
            self._ring.clear()
        else:
            self._ring.append(orjson.dumps({"cleared": scope}))

    def _is_kept_for_nobody(self) -> bool:
        """Whether a request without an organization is logged: the setting for all decides."""
        return self._store.controls.effective(ALL).is_logged

    def _entries(self) -> Iterator[Record]:
        cleared = set()
        for line in self._ring.newest():
            try:
                entry = orjson.loads(line)
            except orjson.JSONDecodeError:  # half a line: the disk was full once, or the power went
                continue
            if "cleared" in entry:
                cleared.add(entry["cleared"])
            elif entry["organizationId"] not in cleared:
                yield entry


def _had_secret(entry: Mapping[str, Any]) -> bool:
    return any(is_redacted(entry[name] or "") for name in ("path", "query", "idempotencyKey"))


def _text(data: bytes) -> str:
    return redacted(data.decode(errors="replace"))
