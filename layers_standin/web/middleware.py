"""Around the app: the context of every request, the headers of every response, and the logs."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask import Request, Response
from ulid import ULID

from layers_standin.domain.idempotency import StoredResponse
from layers_standin.housekeeping import Housekeeping
from layers_standin.web.conditional import make_conditional
from layers_standin.web.disconnect import truncate
from layers_standin.web.logs.output import Line, redacted

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXPOSED_HEADERS = (
    "X-Request-Id, X-RateLimit-Endpoint-Class, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "Idempotent-Replayed, Retry-After, ETag, Content-Range"
)

# Any origin may call the API: the key protects it, and browsers never send a key by themselves. Nor do they know the
# URL of a picture, which is its permission.
ANY_ORIGIN = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]
_CONTEXT = "standin.context"

NO_RESPONSE = -1  # of a response: not even its status line


class RequestContext:
    """The facts of a request and its response.

    `public_key_id` is the public part of the key, `api_key_id` its id in replies, `truncate_after` the number of bytes
    of the body that are sent before the connection is closed, None for all. `is_poll` marks a refresh by the console,
    which is left out of the access log. `hint` is a sentence for the logs about a path or a method that is not there.
    `is_api` says whether the path is one of the API. `cors` are the headers that let pages of other origins read the
    response: ANY_ORIGIN for the API and for files.
    """

    __slots__ = (
        "api_key_id",
        "cors",
        "endpoint_class",
        "fault",
        "hint",
        "is_api",
        "is_logged",
        "is_poll",
        "limits",
        "operation",
        "organization",
        "public_key_id",
        "received",
        "replayed",
        "request_id",
        "sent",
        "status",
        "truncate_after",
    )

    def __init__(self, method: str, path: str) -> None:
        self.request_id = f"req_{ULID()}"
        self.endpoint_class = "read-light" if method in ("GET", "HEAD") else "write-light"
        self.is_api = f"{path.lstrip('/')}/".startswith("v1/")  # also with more slashes before it: routes see none
        self.cors = ANY_ORIGIN if self.is_api or path.startswith("/media/") else []
        self.status = 500
        self.limits: list[tuple[str, str]] = []
        self.truncate_after: int | None = None
        self.is_logged = True
        self.is_poll = False
        self.operation: str | None = None
        self.organization: str | None = None
        self.public_key_id: str | None = None
        self.api_key_id: str | None = None
        self.fault: str | None = None
        self.hint: str | None = None
        self.received = self.sent = b""
        self.replayed = False

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers of every response to this request, errors included."""
        return [
            ("X-Request-Id", self.request_id),
            ("X-RateLimit-Endpoint-Class", self.endpoint_class),
            *self.limits,
            *self.cors,
        ]

    def allow_origin(self, origin: str) -> None:
        """Let pages of this origin read the response."""
        exposed = ("Access-Control-Expose-Headers", EXPOSED_HEADERS)
        self.cors = [("Access-Control-Allow-Origin", origin), exposed, ("Vary", "Origin")]

    def respond(self, request: Request, stored: StoredResponse, tagged: bool = False) -> Response:
        """Return the HTTP response with this status and JSON; a `tagged` one has an ETag, and can be a 304.

        Raises PreconditionFailed for a tagged one.
        """
        self.sent = stored.body
        response = Response(stored.body, stored.status, mimetype="application/json")
        if stored.replayed:
            self.replayed = True
            response.headers["Idempotent-Replayed"] = "true"
        if tagged:
            response.add_etag()
            return make_conditional(response, request)
        return response


def current_context(environ: "WSGIEnvironment") -> RequestContext:
    """Return the context of a request that came through the middleware."""
    context: RequestContext = environ[_CONTEXT]
    return context


def class_of_method(method: str) -> str:
    """Return the rate limit class of a request that is no long-running one."""
    return "read-light" if method in ("GET", "HEAD") else "write-light"


WriteRecord = Callable[[Line, RequestContext, "WSGIEnvironment"], None]


class RequestMiddleware:
    """WSGI middleware, not hooks of Flask: those cost a fifth of a request in look-ups of the current one."""

    def __init__(
        self, app: "WSGIApplication", log: Callable[[Line], None], record: WriteRecord, housekeeping: Housekeeping
    ) -> None:
        self._app, self._log, self._record, self._housekeeping = app, log, record, housekeeping

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        if time.monotonic() >= self._housekeeping.due:
            self._housekeeping.begin()
        context = environ[_CONTEXT] = RequestContext(environ["REQUEST_METHOD"], environ["PATH_INFO"])

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            context.status = int(status[:3])
            return start_response(status, headers + context.headers(), *exc_info)

        try:
            body = self._app(environ, start)
            return body if context.truncate_after is None else truncate(body, context.truncate_after, environ)
        finally:
            line = Line(
                datetime.now(UTC),
                context.request_id,
                context.public_key_id,
                environ["REQUEST_METHOD"],
                redacted(environ["PATH_INFO"].encode("latin-1").decode(errors="replace")),  # WSGI: bytes in a string
                context.status,
                (time.perf_counter() - started) * 1000,
                context.fault,
            )
            if not context.is_poll:
                self._log(line)
            self._record(line, context, environ)
