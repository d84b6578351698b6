"""Around the app: the context of every request, the headers of every response, and the logs."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from start import Housekeeping
from web.access_log import Line
from web.context import CONTEXT, RequestContext
from web.disconnect import truncate
from web.redaction import redacted

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

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
        context = environ[CONTEXT] = RequestContext(environ["REQUEST_METHOD"], environ["PATH_INFO"])

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
                context.key_id,
                environ["REQUEST_METHOD"],
                redacted(environ["PATH_INFO"].encode("latin-1").decode(errors="replace")),  # WSGI: bytes in a string
                context.status,
                (time.perf_counter() - started) * 1000,
            )
            if not context.is_poll:
                self._log(line)
            self._record(line, context, environ)
