"""Responses: of operations, and of errors in the one envelope."""

import logging
from collections.abc import Callable
from typing import cast

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule

from layers_standin.domain.errors import StoreError
from layers_standin.domain.idempotency import StoredResponse
from layers_standin.engines.errors import EngineError
from layers_standin.settings import Settings
from layers_standin.web.closest import closest_paths, template
from layers_standin.web.errors import Refusal, http_refusal, refusal
from layers_standin.web.middleware import ANY_ORIGIN, current_context
from layers_standin.web.operations import own_url

logger = logging.getLogger("standin")

_PAGES = ("/console/", "/docs/", "/media/")  # the beginnings of paths that people follow links to


class Route(Rule):
    """A rule that compiles the building of its URL when one is built: none is, and it took most of making an app."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compile_builder = super()._compile_builder

        def build(rule: Rule, **values: str) -> tuple[str, str]:
            return compile_builder(append_unknown)(rule, **values)

        return build


def route(app: Flask, method: str, path: str, name: str, view: Callable[..., Response]) -> None:
    """Add a route that answers one method, and OPTIONS not as Flask would but as `_refused_by_http` does."""
    app.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)


def base_url(settings: Settings) -> Callable[[], str]:
    """Return the function that returns the URL of the service, without a slash at its end."""
    return lambda: settings.public_url or own_url(request)


def add_error_handlers(app: Flask) -> None:
    for kind in (StoreError, Refusal, EngineError):
        app.register_error_handler(kind, _refused)
    app.register_error_handler(HTTPException, _refused_by_http)
    app.register_error_handler(Exception, _crashed)


def _refused(error: StoreError | Refusal | EngineError) -> Response:
    context = current_context(request.environ)
    if isinstance(error, EngineError):
        logger.error("%s: %s", context.request_id, error)
    response = context.respond(request, StoredResponse(*refusal(error, context.request_id)))
    if isinstance(error, Refusal):
        context.limits = error.limits or context.limits
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
    return response


def _refused_by_http(error: HTTPException) -> Response:
    """Put an error of Flask into our envelope. Starts from Flask's own response, or a 405 would lose `Allow`."""
    context = current_context(request.environ)
    if request.method == "OPTIONS" and context.cors is ANY_ORIGIN:
        if isinstance(error, MethodNotAllowed):
            return _preflight_of_api({"Allow": ", ".join(sorted(error.valid_methods or ()))})
        if "Access-Control-Request-Method" in request.headers:
            return _preflight_of_api({})
    if request.routing_exception is not None:
        context.hint = _hint_of(error, current_app.url_map)
    response = cast(Response, error.get_response())
    response.status_code, context.sent = http_refusal(error.code or 500, context.request_id)
    response.set_data(context.sent)
    response.mimetype = "application/json"
    return response


def _hint_of(error: HTTPException, routes: Map) -> str | None:
    """Return a sentence about a path or a method that is not there; None where no path is similar."""
    if isinstance(error, MethodNotAllowed):
        return f"This path takes only {', '.join(sorted(error.valid_methods or ()))}."
    fitting = [each.rule for each in routes.iter_rules() if request.method in (each.methods or ())]
    paths = {template(each) for each in fitting if not each.startswith(_PAGES)}
    closest = closest_paths(request.path, paths, 2)
    return f"There is no such path; close to it: {' and '.join(closest)}." if closest else None


def _preflight_of_api(known: dict[str, str]) -> Response:
    """Allow every method, whether the path has it or not: so that the page can read the 404 or 405 that follows."""
    asked = request.headers.get("Access-Control-Request-Headers", "")
    headers = asked or "X-Api-Key, Authorization, Content-Type, Idempotency-Key"
    response = preflight("DELETE, GET, HEAD, PATCH, POST, PUT", headers)
    response.headers.update(known | {"Vary": "Access-Control-Request-Headers"})
    return response


def preflight(methods: str, headers: str) -> Response:
    """Return the answer that allows a page to send requests with these methods and headers."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.access_control_max_age = 600
    response.headers["Access-Control-Allow-Methods"] = methods
    response.headers["Access-Control-Allow-Headers"] = headers
    return response


def _crashed(error: Exception) -> Response:
    context = current_context(request.environ)
    logger.error("%s crashed", context.request_id, exc_info=error)
    return context.respond(request, StoredResponse(*http_refusal(500, context.request_id)))
