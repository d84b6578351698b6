"""Around the app: what every response carries, whatever became of the request, and its line in the log."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ulid import ULID

from web.access_log import Line
from web.hangup import cut_short
from web.redaction import redacted

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from records.history import Author
    from store import Store

EXPOSED_HEADERS = (
    "X-Request-Id, X-RateLimit-Endpoint-Class, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "Idempotent-Replayed, Retry-After, ETag"
)

# Any origin may ask the API: what protects it is the key, and browsers never send that by themselves.
_ANY_ORIGIN = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]
_KEY = "standin.exchange"

Record = Callable[[Line, "Exchange", "WSGIEnvironment"], None]


NOTHING = -1  # of a response: not even its status line


class Exchange:
    """What is known of a request and its response; the app fills in what it finds out.

    `key_id` is the public part of the key, `api_key_id` what replies call it, and `cut` how much of the body is sent
    before hanging up, None for all of it. `is_idle` is a look that a page takes by itself, every second: a line for
    each would drown the others.
    """

    __slots__ = (
        "api_key_id",
        "cut",
        "endpoint_class",
        "fault",
        "is_idle",
        "is_logged",
        "key_id",
        "limits",
        "operation",
        "organization",
        "received",
        "replayed",
        "request_id",
        "sent",
        "status",
    )

    def __init__(self, method: str) -> None:
        self.request_id = f"req_{ULID()}"
        self.endpoint_class = class_of_method(method)
        self.status = 500
        self.limits: list[tuple[str, str]] = []
        self.cut: int | None = None
        self.is_logged = True
        self.is_idle = False
        self.operation: str | None = None
        self.organization: str | None = None
        self.key_id: str | None = None
        self.api_key_id: str | None = None
        self.fault: str | None = None
        self.received = self.sent = b""
        self.replayed = False

    def enter(self, store: "Store", organization: str, by: "Author") -> "Store":
        """Note whose request this is; return the store as they meet it, by their clock and under their name."""
        own = store.within(organization, by)
        self.organization, self.is_logged = organization, own.in_force.is_logged
        return own

    def headers(self, path: str) -> list[tuple[str, str]]:
        own = [("X-Request-Id", self.request_id), ("X-RateLimit-Endpoint-Class", self.endpoint_class)]
        own += self.limits
        return own + _ANY_ORIGIN if is_api(path) else own


class Front:
    """WSGI middleware, not hooks of Flask: those cost a fifth of a request in look-ups of the current one."""

    def __init__(self, app: "WSGIApplication", log: Callable[[Line], None], record: Record) -> None:
        self._app, self._log, self._record = app, log, record

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        exchange = environ[_KEY] = Exchange(method)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            exchange.status = int(status[:3])
            return start_response(status, headers + exchange.headers(path), *exc_info)

        try:
            body = self._app(environ, start)
            return body if exchange.cut is None else cut_short(body, exchange.cut, environ)
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            asked = redacted(path.encode("latin-1").decode(errors="replace"))  # WSGI hands over bytes in a string
            line = Line(
                datetime.now(UTC), exchange.request_id, exchange.key_id, method, asked, exchange.status, took_ms
            )
            if not exchange.is_idle:
                self._log(line)
            self._record(line, exchange, environ)


def exchange_of(environ: "WSGIEnvironment") -> Exchange:
    """Return the exchange of a request that came through the Front."""
    exchange: Exchange = environ[_KEY]
    return exchange


def is_api(path: str) -> bool:
    """Whether a path is the API's: also with more slashes before it, which routes do not look at."""
    path = path.lstrip("/")
    return path == "v1" or path.startswith("v1/")


def class_of_method(method: str) -> str:
    """Return the rate limit class of a request that is no long-running one."""
    return "read-light" if method in ("GET", "HEAD") else "write-light"
