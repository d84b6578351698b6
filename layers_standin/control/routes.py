"""The Flask routes of the control plane."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from flask import Request, Response

from layers_standin.control.calls import ControlCall
from layers_standin.control.operations import operations
from layers_standin.domain.idempotency import StoredResponse
from layers_standin.engines.errors import Unavailable
from layers_standin.services import Services
from layers_standin.settings import OFF, Settings, StartError
from layers_standin.web.access import OTHER_ORIGIN, authorize, is_allowed_origin
from layers_standin.web.application import Application
from layers_standin.web.bodies import load_query, load_request, whole_body
from layers_standin.web.context import current_context
from layers_standin.web.errors import Forbidden
from layers_standin.web.inbox import INBOX_PATH, serve_inbox
from layers_standin.web.logs.requests import RequestLog
from layers_standin.web.operations import Operation, Operations
from layers_standin.web.responses import preflight
from schemas import EmptyBody

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_NOTHING = EmptyBody()


def add_control(app: Application, services: Services, log: RequestLog, api: Operations) -> None:
    """Add the routes of the control plane, unless it is off; `api` has the operations that faults can match."""
    if services.settings.control == OFF:
        return
    for operation in operations:
        view = partial(serve_command, operation, services, log, api)
        app.add_direct(operation.method, operation.path, operation.name, view)
    app.add_direct("POST", INBOX_PATH, "inbox", partial(serve_inbox, services))
    for path in {operation.path for operation in operations} if services.settings.control_origins else ():
        app.add_direct("OPTIONS", path, f"preflight of {path}", partial(serve_preflight, services.settings))


def serve_command(
    operation: Operation, services: Services, log: RequestLog, api: Operations, request: Request, **ids: str
) -> "WSGIApplication":
    """Answer a request for an operation of the control plane. Raises Refusal, StoreError, EngineError."""
    _let_origin_read(request, services.settings)
    authorize(request.environ, services.settings, services.store.signing_key)
    call = ControlCall(services, services.store, request, {}, _validated(operation, request), log=log, api=api)
    return current_context(request.environ).respond(request, _outcome(operation, call, ids))


def serve_preflight(settings: Settings, request: Request, **_: str) -> Response:
    """Answer a browser's question whether a page may send a command. Raises Forbidden for origins not listed."""
    if not _let_origin_read(request, settings):
        raise Forbidden(OTHER_ORIGIN)
    return preflight("GET, POST, PUT, DELETE", "Authorization, Content-Type")


def _let_origin_read(request: Request, settings: Settings) -> bool:
    """Let the page that sent the request read the response, if its origin is listed; return whether it is."""
    is_listed = is_allowed_origin(request.environ, settings)
    if is_listed:
        current_context(request.environ).allow_origin(request.environ["HTTP_ORIGIN"])
    return is_listed


def _validated(operation: Operation, request: Request) -> Any:
    """Return the validated query and body. Strict: an ignored scope would make a change apply to every organization."""
    query = load_query(operation.query or _NOTHING, request.args)
    if not operation.changes:
        return query
    is_optional = operation.body is None or operation.body_optional
    encoding = request.headers.get("Content-Encoding")
    return query | load_request(operation.body or _NOTHING, is_optional, whole_body(request), None, encoding)[1]


def _outcome(operation: Operation, call: ControlCall, ids: Mapping[str, str]) -> StoredResponse:
    try:
        body = call.store.db.run_transaction(partial(operation.handler, call, **ids))
    except (OSError, StartError) as error:
        raise Unavailable(str(error)) from error
    return StoredResponse(operation.success, orjson.dumps(body))
