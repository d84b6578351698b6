"""Responses: of operations, and of errors in the one envelope."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, Request, Response, current_app
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map

from layers_standin.domain.errors import StoreError
from layers_standin.domain.idempotency import StoredResponse
from layers_standin.engines.errors import EngineError
from layers_standin.web.closest import closest_paths, template
from layers_standin.web.context import ANY_ORIGIN, RequestContext, current_context
from layers_standin.web.errors import Refusal, http_refusal, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger("standin")

_PAGES = ("/console/", "/docs/", "/media/")  # the beginnings of paths that people follow links to


def route(app: Flask, method: str, path: str, name: str, view: Callable[..., Any]) -> None:
    """Add a route that answers one method, and OPTIONS not as Flask would but as `_refused_by_http` does."""
    app.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)


def refuse(error: Exception, request: Request) -> "WSGIApplication":
    """Return the response to a request that raised an error."""
    context = current_context(request.environ)
    if isinstance(error, HTTPException):
        return _refused_by_http(error, request, context)
    if not isinstance(error, StoreError | Refusal | EngineError):
        logger.error("%s crashed", context.request_id, exc_info=error)
        return context.respond(request, StoredResponse(*http_refusal(500, context.request_id)))
    if isinstance(error, EngineError):
        logger.error("%s: %s", context.request_id, error)
    if isinstance(error, Refusal):
        context.more_headers = error.limits or context.more_headers
        if error.retry_after is not None:
            context.more_headers = [*context.more_headers, ("Retry-After", str(error.retry_after))]
    return context.respond(request, StoredResponse(*refusal(error, context.request_id)))


def _refused_by_http(error: HTTPException, request: Request, context: RequestContext) -> Response:
    """Put an error of Flask into our envelope. Starts from Flask's own response, or a 405 would lose `Allow`."""
    if request.method == "OPTIONS" and context.cors is ANY_ORIGIN:
        if isinstance(error, MethodNotAllowed):
            return _preflight_of_api(request, {"Allow": ", ".join(sorted(error.valid_methods or ()))})
        if "Access-Control-Request-Method" in request.headers:
            return _preflight_of_api(request, {})
    if request.routing_exception is not None:
        context.hint = _hint_of(error, request, current_app.url_map)
    response = cast(Response, error.get_response())
    response.status_code, context.sent = http_refusal(error.code or 500, context.request_id)
    response.set_data(context.sent)
    response.mimetype = "application/json"
    return response


def _hint_of(error: HTTPException, request: Request, routes: Map) -> str | None:
    """Return a sentence about a path or a method that is not there; None where no path is similar."""
    if isinstance(error, MethodNotAllowed):
        return f"This path takes only {', '.join(sorted(error.valid_methods or ()))}."
    fitting = [each.rule for each in routes.iter_rules() if request.method in (each.methods or ())]
    paths = {template(each) for each in fitting if not each.startswith(_PAGES)}
    closest = closest_paths(request.path, paths, 2)
    return f"There is no such path; close to it: {' and '.join(closest)}." if closest else None


def _preflight_of_api(request: Request, known: dict[str, str]) -> Response:
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
