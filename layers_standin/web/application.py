"""The one Flask app: around every request its context, the headers of its response, and the logs."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from layers_standin.housekeeping import Housekeeping
from layers_standin.web.context import CONTEXT, RequestContext
from layers_standin.web.disconnect import spoil
from layers_standin.web.errors import MAX_BODY_BYTES
from layers_standin.web.logs.output import Line, redacted
from layers_standin.web.responses import refuse, route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WriteRecord = Callable[[Line, RequestContext, "WSGIEnvironment"], None]


class LazyRule(Rule):
    """A rule that compiles the building of its URL when one is built."""

    # None is, and two functions for each rule took most of the making of an app.

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_builder = super()._compile_builder

        def build(rule: Rule, **values: str) -> tuple[str, str]:
            return compile_builder(append_unknown)(rule, **values)

        return build


class Application(Flask):
    """A Flask app whose views may be direct: they take the request as their argument, and no context of Flask.

    `log` writes the line of a request, `record` its record for the request log.
    """

    # Contexts, sessions, signals and hooks take half the time of Flask, and only pages use any of them.

    url_rule_class = LazyRule

    def __init__(self, log: Callable[[Line], None], record: WriteRecord, housekeeping: Housekeeping) -> None:
        super().__init__(__name__, static_folder=None)
        self.url_map.merge_slashes = False  # a path that is not ours is a 404, not a redirect with a page
        self._log, self._record, self._housekeeping = log, record, housekeeping
        self._routes = self.url_map.bind("localhost")
        self._direct: set[str] = set()
        self.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # of the forms; see `whole_body`
        self.register_error_handler(Exception, lambda error: refuse(error, request))

    def add_direct(self, method: str, path: str, name: str, view: "Callable[..., WSGIApplication]") -> None:
        """Add a route that answers one method by `view(request, **path ids)`."""
        route(self, method, path, name, view)
        self._direct.add(name)

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started, method = time.perf_counter(), environ["REQUEST_METHOD"]
        if time.monotonic() >= self._housekeeping.due:
            self._housekeeping.begin()
        context = environ[CONTEXT] = RequestContext(method, environ["PATH_INFO"])

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            context.status = int(status[:3])
            context.answered = headers + context.headers()
            return start_response(status, context.answered, *exc_info)

        try:
            try:
                name, ids = self._routes.match(context.path, method)
            except HTTPException:  # Flask matches again, and answers it
                name, ids = "", {}
            if name in self._direct:
                direct = self.request_class(environ)
                try:
                    response = self.view_functions[name](direct, **ids)
                except Exception as error:  # noqa: BLE001 - each has its response
                    response = refuse(error, direct)
                body = cast("WSGIApplication", response)(environ, start)
            else:
                body = super().wsgi_app(environ, start)
            return body if context.fault is None else spoil(body, context.truncate_after, context.slow_ms, environ)
        finally:
            line = Line(
                datetime.now(UTC),
                context.request_id,
                context.public_key_id,
                method,
                redacted(context.path),
                context.status,
                (time.perf_counter() - started) * 1000,
                context.fault,
            )
            if not context.is_poll:
                self._log(line)
            self._record(line, context, environ)
