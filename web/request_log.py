"""What was asked and answered, the newest of it, for whoever wants to see what their client does."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from engines.ring import Ring
from engines.table import Record
from records.tables import ALL
from settings import OFF, READ_ONLY, Settings
from web.access_log import Line
from web.front import Exchange, is_api
from web.redaction import redacted

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MOST_BYTES = 4 << 20
MOST_ENTRIES = 1000
_MOST_BODY_CHARACTERS = 16_384

# What can be asked for, and how it is called in an entry.
FILTERS = {
    "operation": "operation",
    "status": "status",
    "keyId": "keyId",
    "idempotencyKey": "idempotencyKey",
    "organizationId": "organizationId",
}


def entry_of(line: Line, exchange: Exchange, environ: "WSGIEnvironment") -> Record:
    """Return what is kept of a request and its response: no secret, and of large bodies the beginning."""
    once = environ.get("HTTP_IDEMPOTENCY_KEY")
    return {
        "requestId": line.request_id,
        "at": line.time,
        "operation": exchange.operation,
        "method": line.method,
        "path": line.path,
        "query": redacted(environ.get("QUERY_STRING", "")),
        "status": line.status,
        "milliseconds": round(line.milliseconds, 1),
        "organizationId": exchange.organization,
        "keyId": line.key_id,
        "idempotencyKey": None if once is None else redacted(_text(once.encode("latin-1"))),
        "replayed": exchange.replayed,
        "faultId": exchange.fault,
        "cut": exchange.cut is not None,
        "request": _body(exchange.received),
        "response": _body(exchange.sent),
    }


def curl_of(entry: Mapping[str, Any], base_url: str) -> str:
    """Return the command that asks the same again, with the key from the environment."""
    url = base_url + entry["path"] + (f"?{entry['query']}" if entry["query"] else "")
    parts = ["curl", "-X", entry["method"], shlex.quote(url), "-H", '"X-Api-Key: $LAYERS_API_KEY"']
    if entry["idempotencyKey"] is not None:
        parts += ["-H", shlex.quote(f"Idempotency-Key: {entry['idempotencyKey']}")]
    if entry["request"]:
        parts += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(entry["request"])]
    return " ".join(parts)


class RequestLog:
    """The newest requests of all processes. When the disk refuses, they are not logged, and answered all the same."""

    def __init__(self, ring: Ring, is_kept: bool = True) -> None:
        self._ring, self.is_kept = ring, is_kept

    @classmethod
    def of(cls, settings: Settings) -> "RequestLog":
        """Return the log of a service, which keeps nothing where nobody could read it."""
        is_kept = settings.control != OFF or settings.console == READ_ONLY
        return cls(Ring(settings.data / "requests", MOST_BYTES), is_kept)

    def record(self, line: Line, exchange: Exchange, environ: "WSGIEnvironment") -> None:
        """Write down an exchange of the API."""
        if self.is_kept and exchange.is_logged and is_api(line.path):
            self._append(entry_of(line, exchange, environ))

    def newest(self, wanted: Mapping[str, Any], limit: int) -> list[Record]:
        """Return entries, newest first, in which each of `wanted`, by the names of FILTERS, is as said."""

        def is_wanted(entry: Record) -> bool:
            return all(entry[FILTERS[name]] == value for name, value in wanted.items())

        return list(islice(filter(is_wanted, islice(self._entries(), MOST_ENTRIES)), limit))

    def clear(self, scope: str) -> None:
        """Forget the entries of an organization, or all of them. Raises OSError."""
        if scope == ALL:
            self._ring.clear()
        else:
            self._ring.append(orjson.dumps({"cleared": scope}))

    def _append(self, entry: Record) -> None:
        with suppress(OSError):
            self._ring.append(orjson.dumps(entry, option=orjson.OPT_UTC_Z))

    def _entries(self) -> Iterator[Record]:
        cleared = set()
        for line in self._ring.newest():
            entry = orjson.loads(line)
            if "cleared" in entry:
                cleared.add(entry["cleared"])
            elif entry["organizationId"] not in cleared:
                yield entry


def _body(data: bytes) -> str:
    return redacted(_text(data))[:_MOST_BODY_CHARACTERS]


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
