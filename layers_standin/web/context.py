"""The context of a request: its facts, for the headers of its response and for the logs."""

from collections.abc import Iterable
from random import getrandbits
from time import time_ns
from typing import TYPE_CHECKING

from flask import Request, Response
from ulid import base32
from werkzeug.http import HTTP_STATUS_CODES

from layers_standin.domain.idempotency import StoredResponse
from layers_standin.web.conditional import make_conditional

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXPOSED_HEADERS = (
    "X-Request-Id, X-RateLimit-Endpoint-Class, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "Idempotent-Replayed, Retry-After, ETag, Content-Range"
)

# Any origin may call the API: the key protects it, and browsers never send a key by themselves. Nor do they know the
# URL of a picture, which is its permission.
ANY_ORIGIN = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]
CONTEXT = "standin.context"  # in the environ of a request
_REPLAYED = [("Idempotent-Replayed", "true")]
_REASONS = {status: phrase.upper() for status, phrase in HTTP_STATUS_CODES.items()}  # as Werkzeug writes them

NO_RESPONSE = -1  # of a response: not even its status line
RESET = -2  # nor an orderly end of the connection


def new_request_id() -> str:
    """Return `req_` and a ULID."""
    # Unique, but without the order and the secrecy that cost most of a minted one.
    return f"req_{base32.encode((time_ns() // 10**6 << 80 | getrandbits(80)).to_bytes(16))}"


class RequestContext:
    """The facts of a request and its response.

    `public_key_id` is the public part of the key, `api_key_id` its id in replies. With a `fault`, `truncate_after` is
    the number of bytes of the body that are sent before the connection is closed, None for all, and `slow_ms` how long
    the sending of the body takes. `is_poll` marks a refresh by the console, which is left out of the access log.
    `hint` is a sentence for the logs about a path or a method that is not there.
    `is_api` says whether the path is one of the API. `cors` are the headers that let pages of other origins read the
    response: ANY_ORIGIN for the API and for files. `path` is the path of the URL, decoded;
    `more_headers` are those of rate limits, and Retry-After; `dropped` is that of the store.
    """

    __slots__ = (
        "answered",
        "api_key_id",
        "cors",
        "dropped",
        "endpoint_class",
        "fault",
        "hint",
        "is_api",
        "is_logged",
        "is_poll",
        "more_headers",
        "operation",
        "organization",
        "path",
        "public_key_id",
        "received",
        "replayed",
        "request_id",
        "sent",
        "slow_ms",
        "status",
        "truncate_after",
    )

    def __init__(self, method: str, path_info: str) -> None:
        self.path = path = path_info.encode("latin-1").decode(errors="replace")  # WSGI: bytes in a string
        self.request_id = new_request_id()
        self.endpoint_class = "read-light" if method in ("GET", "HEAD") else "write-light"
        self.is_api = f"{path.lstrip('/')}/".startswith("v1/")  # also with more slashes before it: routes see none
        self.cors = ANY_ORIGIN if self.is_api or path.startswith("/media/") else []
        self.status = 500
        self.more_headers: list[tuple[str, str]] = []
        self.truncate_after: int | None = None
        self.slow_ms = 0
        self.is_logged = True
        self.is_poll = False
        self.operation: str | None = None
        self.organization: str | None = None
        self.public_key_id: str | None = None
        self.api_key_id: str | None = None
        self.fault: str | None = None
        self.hint: str | None = None
        self.received = self.sent = b""
        self.answered: list[tuple[str, str]] = []  # all headers of the response
        self.replayed = False
        self.dropped: list[str] = []

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of every response to this request, errors included."""
        return [
            ("X-Request-Id", self.request_id),
            ("X-RateLimit-Endpoint-Class", self.endpoint_class),
            *self.more_headers,
            *self.cors,
            *(_REPLAYED if self.replayed else ()),
        ]

    def allow_origin(self, origin: str) -> None:
        """Let pages of this origin read the response."""
        exposed = ("Access-Control-Expose-Headers", EXPOSED_HEADERS)
        self.cors = [("Access-Control-Allow-Origin", origin), exposed, ("Vary", "Origin")]

    def respond(self, request: Request, stored: StoredResponse, tagged: bool = False) -> "WSGIApplication":
        """Return the HTTP response with this status and JSON; a `tagged` one has an ETag, and can be a 304.

        Raises PreconditionFailed for a tagged one.
        """
        self.sent, self.replayed = stored.body, stored.replayed
        if tagged:
            response = Response(stored.body, stored.status, mimetype="application/json")
            response.add_etag()
            return make_conditional(response, request)
        return JsonResponse(stored)


class JsonResponse:
    """The HTTP response with a status and JSON, as a WSGI application."""

    # A Response of Werkzeug makes three times the objects.

    __slots__ = ("_stored",)

    def __init__(self, stored: StoredResponse) -> None:
        self._stored = stored

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        status, body, _ = self._stored
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {_REASONS.get(status, 'UNKNOWN')}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def current_context(environ: "WSGIEnvironment") -> RequestContext:
    """Return the context of a request that came through the app."""
    context: RequestContext = environ[CONTEXT]
    return context


def class_of_method(method: str) -> str:
    """Return the rate limit class of a request that is no long-running one."""
    return "read-light" if method in ("GET", "HEAD") else "write-light"
