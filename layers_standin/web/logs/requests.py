"""The request log: the newest requests and responses, so that people can see the requests of their client."""

import functools
import logging
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from layers_standin.domain.faults import fits_path
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.errors import EngineError
from layers_standin.engines.table import Record
from layers_standin.services import Services
from layers_standin.settings import OFF
from layers_standin.web.context import RequestContext
from layers_standin.web.logs.output import MASK, Line, is_redacted, redacted
from layers_standin.web.logs.refused_keys import CUT, MAX_HEADERS, MAX_VALUE, hint_of, is_secret, shown_headers
from layers_standin.web.logs.rotating import RotatingLog
from layers_standin.web.uploads import PUT_UPLOAD
from store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger("standin")

MOST_BYTES = 4 << 20
MOST_ENTRIES = 1000
_MAX_BODY_CHARACTERS = 16_384
_WITHOUT_BODY = (204, 304)
_PLAIN = "/:@!$&'()*+,;=~"  # the characters that a path may contain unquoted
_KEY_OF_SENDER = re.compile(rf"(?:lp_(?:live|test)_[0-9A-Z]{{16}}_)?{re.escape(MASK)}")

_BETWEEN = "\n\0"  # in no header; where a body has it, or a secret goes over it, each text is looked at by itself

# The headers on which an answer depends, beside those with an entry of their own.
_REPEATED = ("Content-Type", "If-Match", "If-None-Match", "If-Range", "Prefer", "Range")

_SEARCHED = ("requestId", "operation", "method", "path", "query", "headers", "request", "response", "hint")

# By the name of a filter, whether an entry is as wanted. A key has two ids.
FILTERS: dict[str, Callable[[Record, Any], bool]] = {
    "operation": lambda entry, name: bool(entry["operation"] == name),
    "method": lambda entry, method: bool(entry["method"] == method),
    "path": lambda entry, pattern: fits_path(pattern, entry["path"]),
    "status": lambda entry, status: status in (entry["status"], f"{entry['status'] // 100}xx"),
    "keyId": lambda entry, key_id: key_id in (entry["keyId"], entry["apiKeyId"]),
    "idempotencyKey": lambda entry, key: bool(entry["idempotencyKey"] == key),
    "organizationId": lambda entry, organization: bool(entry["organizationId"] == organization),
    "faultId": lambda entry, fault_id: bool(entry["faultId"] == fault_id),
    "text": lambda entry, text: any(text.casefold() in str(entry[name]).casefold() for name in _SEARCHED),
    "since": lambda entry, moment_ms: _moment_ms(entry) >= moment_ms,
    "until": lambda entry, moment_ms: _moment_ms(entry) <= moment_ms,
    "unmatched": lambda entry, wanted: (entry["operation"] is None) == wanted,
}


def _moment_ms(entry: Mapping[str, Any]) -> int:
    return epoch_milliseconds(datetime.fromisoformat(entry["at"]))


def entry_of(line: Line, context: RequestContext, environ: "WSGIEnvironment") -> Record:
    """Return the entry of a request and its response: without secrets, of large bodies the beginning."""
    headers: dict[str, str] = {}  # loops without a call: this runs for every request
    for variable, value in environ.items():
        if (variable.startswith("HTTP_") or variable == "CONTENT_TYPE") and len(headers) < MAX_HEADERS:
            name, mask = _header_named(variable)
            text = value if value.isascii() else value.encode("latin-1", "replace").decode(errors="replace")
            headers[name] = mask or text
    answered = {}
    for name, value in context.answered:
        if not name.startswith("Access-Control-"):
            answered[name] = value
    once = environ.get("HTTP_IDEMPOTENCY_KEY")
    received = context.received.decode(errors="replace")
    is_bodiless = line.method == "HEAD" or line.status in _WITHOUT_BODY or not context.sent
    response = "" if is_bodiless else context.sent.decode(errors="replace")
    texts = [*headers.values(), *answered.values(), environ.get("QUERY_STRING", ""), received, response]
    *values, query, received, response = _without_secrets(texts)
    for name, value in zip(headers, values, strict=False):
        headers[name] = value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + CUT
    is_unread = not context.received and (
        environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ
    )
    return {
        "requestId": line.request_id,
        "at": line.time,
        "operation": context.operation,
        "method": line.method,
        "path": line.path,
        "query": query,
        "headers": headers,
        "status": line.status,
        "milliseconds": round(line.milliseconds, 1),
        "organizationId": context.organization,
        "keyId": line.key_id,
        "apiKeyId": context.api_key_id,
        "idempotencyKey": None if once is None else redacted(once.encode("latin-1").decode(errors="replace")),
        "responseHeaders": dict(zip(answered, values[len(headers) :], strict=True)),
        "replayed": context.replayed,
        "faultId": context.fault,
        "cut": context.truncate_after is not None,
        "request": received[:_MAX_BODY_CHARACTERS],
        "response": response[:_MAX_BODY_CHARACTERS],
        "hint": context.hint,
        "dropped": context.dropped,
        # Whether a command can send the same again: all of the body is kept, and can be an argument.
        "isWhole": not is_unread
        and len(received) <= _MAX_BODY_CHARACTERS
        and "\0" not in received
        and received.encode() == context.received,
    }


@functools.lru_cache(256)
def _header_named(variable: str) -> tuple[str, str]:
    """Return the name of a header by its variable in WSGI, and the text that stands for a secret value."""
    name = variable.removeprefix("HTTP_").replace("_", "-").title()
    return name[:MAX_VALUE], f"Bearer {MASK}" if name == "Authorization" else MASK if is_secret(name) else ""


def _without_secrets(texts: list[str]) -> list[str]:
    """Return the texts with `***` in place of each secret: one look at all is cheaper than one at each."""
    together = _BETWEEN.join(texts)
    found = redacted(together).split(_BETWEEN)
    is_exact = together.count(_BETWEEN) == len(texts) - 1 == len(found) - 1
    return found if is_exact else [*map(redacted, texts)]


def curl_of(entry: Mapping[str, Any], base_url: str) -> str | None:
    """Return the command that sends the same request, with the key from the environment; None if too little is kept."""
    headers = headers_to_repeat(entry)
    if entry["operation"] == PUT_UPLOAD or not entry["isWhole"] or _is_incomplete(entry, headers):
        return None
    query = f"?{quote(entry['query'], safe=f'{_PLAIN}?%')}" if entry["query"] else ""
    url = f"{base_url}{quote(entry['path'], safe=_PLAIN)}{query}"
    how = ["--head"] if entry["method"] == "HEAD" else ["-X", shlex.quote(entry["method"])]
    if "/." in entry["path"]:
        how.append("--path-as-is")  # or curl resolves `..` itself
    content_type = headers.pop("Content-Type", None)
    parts = ["curl", *how, shlex.quote(url)]
    for name, value in headers.items():
        parts += ["-H", _header(name, value)]
    if entry["request"]:
        # Without a value curl leaves out the header that it would add.
        kind = shlex.quote("Content-Type:" if content_type is None else f"Content-Type: {content_type}")
        parts += ["-H", kind, "--data-raw", shlex.quote(entry["request"])]
    return " ".join(parts)


def entry_view(entry: Record, base_url: str) -> Record:
    """Return an entry as the control plane shows it."""
    shown = {name: value for name, value in entry.items() if name not in ("isWhole", "dropped")}
    return shown | {"curl": curl_of(entry, base_url)}


class RequestLog:
    """The newest requests of all processes. If the disk fails, requests are answered, but not logged."""

    def __init__(self, ring: RotatingLog, store: Store, is_kept: bool = True) -> None:
        self._ring, self._store, self.is_kept = ring, store, is_kept

    @classmethod
    def of(cls, services: Services) -> "RequestLog":
        """Return the log of a service; it keeps nothing if neither control plane nor console could show it."""
        settings = services.settings
        is_kept = settings.control != OFF or settings.has_console
        return cls(RotatingLog(settings.data / "requests", MOST_BYTES), services.store, is_kept)

    def record(self, line: Line, context: RequestContext, environ: "WSGIEnvironment") -> None:
        """Log a request of the API, or one that was probably meant to be, unless that is switched off.

        Print the hint about a path that is not there.
        """
        if context.hint is not None:
            logger.warning("%s %s", line.request_id, context.hint)
        with suppress(OSError, EngineError):
            is_meant = context.is_api or (context.hint is not None and not context.path.startswith("/_standin"))
            if not (self.is_kept and is_meant):
                return
            is_wanted = context.is_logged if context.organization else self._is_kept_for_nobody()
            if is_wanted:
                entry = entry_of(line, context, environ)
                if line.status == 401 and context.fault is None:
                    entry |= {"headers": shown_headers(environ), "hint": hint_of(environ, self._store.keys)}
                    logger.warning("%s %s", line.request_id, entry["hint"])
                self._ring.append(orjson.dumps(entry, option=orjson.OPT_UTC_Z))

    def newest(self, wanted: Mapping[str, Any], limit: int = MOST_ENTRIES) -> list[Record]:
        """Return entries that match all of `wanted` (by the names of FILTERS), newest first."""

        def is_wanted(entry: Record) -> bool:
            return all(FILTERS[name](entry, value) for name, value in wanted.items())

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


def headers_to_repeat(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return {name: value} of the headers on which the answer depends, with `***` for the key."""
    sent = entry.get("headers", {"X-Api-Key": MASK})  # an entry of an earlier version has none
    if entry["status"] == 401 and entry["hint"]:  # the key may have come in any header
        secrets = [name for name in sent if is_secret(name) and name != "Cookie"]
    else:
        secrets = [name for name in ("X-Api-Key", "Authorization") if name in sent][:1]
    headers = {name: sent[name] for name in (*secrets, *(each for each in sent if each in _REPEATED))}
    once = entry["idempotencyKey"]
    return headers if once is None else headers | {"Idempotency-Key": once}


def _is_incomplete(entry: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether a part that the command needs had a secret that is not kept, or was too long to be kept."""
    needed = [entry["path"], entry["query"], *(headers[name] for name in headers if not is_secret(name))]
    return any(map(is_redacted, needed)) or any(value.endswith(CUT) for value in headers.values())


def _header(name: str, value: str) -> str:
    """Return a header as an argument for a shell, with the key from the environment where a secret was."""
    if not is_redacted(value):
        return shlex.quote(f"{name}: {value}" if value else f"{name};")  # curl's form for a header without a value
    before, after = (re.sub(r"([\"\\$`])", r"\\\1", part) for part in _KEY_OF_SENDER.split(value, 1))
    return f'"{name}: {before}$LAYERS_API_KEY{after}"'
