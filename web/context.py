"""The facts of one request: filled in on its way through the app, read by the logs."""

from typing import TYPE_CHECKING

from ulid import ULID

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

EXPOSED_HEADERS = (
    "X-Request-Id, X-RateLimit-Endpoint-Class, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "Idempotent-Replayed, Retry-After, ETag"
)

# Any origin may ask the API: what protects it is the key, and browsers never send that by themselves.
_ANY_ORIGIN = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]
CONTEXT = "standin.context"

NO_RESPONSE = -1  # of a response: not even its status line


class RequestContext:
    """The facts of a request and its response.

    `key_id` is the public part of the key, `api_key_id` its id in replies, `truncate_after` the number of bytes of the
    body that are sent before the connection is closed, None for all. `is_poll` marks a refresh by the console, which is
    left out of the access log. `is_api` says whether the path is one of the API.
    """

    __slots__ = (
        "api_key_id",
        "endpoint_class",
        "fault",
        "is_api",
        "is_logged",
        "is_poll",
        "key_id",
        "limits",
        "operation",
        "organization",
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
        self.status = 500
        self.limits: list[tuple[str, str]] = []
        self.truncate_after: int | None = None
        self.is_logged = True
        self.is_poll = False
        self.operation: str | None = None
        self.organization: str | None = None
        self.key_id: str | None = None
        self.api_key_id: str | None = None
        self.fault: str | None = None
        self.received = self.sent = b""
        self.replayed = False

    def headers(self) -> list[tuple[str, str]]:
        """Return the headers that the response carries whatever became of the request."""
        own = [
            ("X-Request-Id", self.request_id),
            ("X-RateLimit-Endpoint-Class", self.endpoint_class),
            *self.limits,
        ]
        return own + _ANY_ORIGIN if self.is_api else own


def current_context(environ: "WSGIEnvironment") -> RequestContext:
    """Return the context of a request that came through the middleware."""
    context: RequestContext = environ[CONTEXT]
    return context


def class_of_method(method: str) -> str:
    """Return the rate limit class of a request that is no long-running one."""
    return "read-light" if method in ("GET", "HEAD") else "write-light"
