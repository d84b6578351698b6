"""Between Flask and the operations: requests in, responses out, errors in the one envelope."""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import cast

from flask import Flask, Response, request
from flask import Request as FlaskRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.local import LocalProxy

from engines.errors import EngineError
from engines.table import Record
from records.errors import StoreError
from records.faults import Asked
from records.history import Author
from records.idempotency import Outcome
from settings import Settings
from start import Rooms
from web.bodies import whole_body
from web.errors import Refusal, http_refusal, refusal
from web.faults import take_fault, under
from web.foresight import Foresight
from web.front import Exchange, exchange_of, is_api
from web.keys import authenticate, presented_key, refuse_demo_key_abroad
from web.limits import Limits
from web.operations import LONG_RUNNING, Operation, Request, perform

logger = logging.getLogger("standin")


def route(app: Flask, method: str, path: str, name: str, view: Callable[..., Response]) -> None:
    """Add a route that answers one method, and OPTIONS not as Flask would but as `_refused_by_http` does."""
    app.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)


def serve_operation(operation: Operation, rooms: Rooms, limits: Limits, foresight: Foresight, **ids: str) -> Response:
    """Answer a request for an operation. Raises Refusal, StoreError, EngineError, HTTPException."""
    asked = cast(LocalProxy[FlaskRequest], request)._get_current_object()  # each look-up through the proxy costs
    exchange = exchange_of(asked.environ)
    exchange.operation, exchange.endpoint_class = operation.name, operation.endpoint_class
    call = Request(
        exchange.request_id,
        asked.method,
        asked.path,
        cast(Mapping[str, str], asked.headers),
        lambda: asked.args,
        partial(_take_body, asked, exchange),
        base_url(rooms.settings),
    )
    with rooms.store.db.reading():
        presented = presented_key(call.headers)
        foresight.tell(rooms.store, presented, operation, ids)
        key = authenticate(presented, rooms.store.keys.find)
        foresight.learn(key)
        refuse_demo_key_abroad(key, asked.environ["SERVER_NAME"], rooms.settings)
        exchange.key_id, exchange.api_key_id = key["publicId"], key["apiKeyId"]
        store = exchange.enter(rooms.store, key["organizationId"], _author(operation, call, key))
        exchange.limits = limits(store, key, operation.endpoint_class)
        fault = take_fault(_asked(operation, call, key), store, exchange, asked.environ, rooms.settings)
        act = partial(_act, operation, call, rooms._replace(store=store), key, ids, asked)
        if fault is None and not operation.changes:
            return act()
    if fault is None:
        return act()
    if operation.changes:
        with suppress(HTTPException):
            call.read()  # for the log, where it is wanted most when things go wrong
    return under(fault, exchange, operation.scope, act)


def _author(operation: Operation, call: Request, key: Record) -> Author:
    return Author(key["apiKeyId"], call.request_id, operation.name)


def _asked(operation: Operation, call: Request, key: Record) -> Asked:
    begins_job = operation.endpoint_class == LONG_RUNNING
    return Asked(operation.name, call.method, call.path, (key["apiKeyId"], key["publicId"]), begins_job)


def _act(
    operation: Operation, call: Request, rooms: Rooms, key: Record, ids: Mapping[str, str], asked: FlaskRequest
) -> Response:
    response = answer(perform(operation, call, rooms, key, ids))
    return _tagged(response, asked) if operation.tagged else response


def _take_body(asked: FlaskRequest, exchange: Exchange) -> bytes:
    exchange.received = whole_body(asked)
    return exchange.received


def _tagged(response: Response, asked: FlaskRequest) -> Response:
    """Give a reply an ETag, and answer 304 when the client has it already."""
    response.add_etag()
    return cast(Response, response.make_conditional(asked))


def base_url(settings: Settings) -> Callable[[], str]:
    """Return what tells the URL that the service goes by, without a slash at its end."""
    return lambda: settings.public_url or _own_url()


def _own_url() -> str:
    """Return what the client called us by, or our own address when that is no host."""
    if request.host:
        return request.host_url.rstrip("/")
    name, port = request.environ["SERVER_NAME"], request.environ["SERVER_PORT"]
    return f"{request.scheme}://[{name}]:{port}" if ":" in name else f"{request.scheme}://{name}:{port}"


def answer(outcome: Outcome) -> Response:
    exchange = exchange_of(request.environ)
    exchange.sent = outcome.body
    response = Response(outcome.body, outcome.status, mimetype="application/json")
    if outcome.replayed:
        exchange.replayed = True
        response.headers["Idempotent-Replayed"] = "true"
    return response


def add_error_handlers(app: Flask) -> None:
    for kind in (StoreError, Refusal, EngineError):
        app.register_error_handler(kind, _refused)
    app.register_error_handler(HTTPException, _refused_by_http)
    app.register_error_handler(Exception, _crashed)


def _refused(error: StoreError | Refusal | EngineError) -> Response:
    exchange = exchange_of(request.environ)
    if isinstance(error, EngineError):
        logger.error("%s: %s", exchange.request_id, error)
    response = answer(Outcome(*refusal(error, exchange.request_id)))
    if isinstance(error, Refusal):
        exchange.limits = error.limits or exchange.limits
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
    return response


def _refused_by_http(error: HTTPException) -> Response:
    """Answer what Flask itself refuses; starts from its own response, or a 405 would lose `Allow`."""
    if isinstance(error, MethodNotAllowed) and request.method == "OPTIONS" and is_api(request.path):
        return _preflight(error.valid_methods or ())
    response = cast(Response, error.get_response())
    exchange = exchange_of(request.environ)
    response.status_code, exchange.sent = http_refusal(error.code or 500, exchange.request_id)
    response.set_data(exchange.sent)
    response.mimetype = "application/json"
    return response


def _preflight(methods: Iterable[str]) -> Response:
    allowed = ", ".join(sorted(methods))
    asked = request.headers.get("Access-Control-Request-Headers", "")
    headers = {
        "Allow": allowed,
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": asked or "X-Api-Key, Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "600",
        "Vary": "Access-Control-Request-Headers",
    }
    response = Response(status=204, headers=headers)
    del response.headers["Content-Type"]
    return response


def _crashed(error: Exception) -> Response:
    request_id = exchange_of(request.environ).request_id
    logger.error("%s crashed", request_id, exc_info=error)
    return answer(Outcome(*http_refusal(500, request_id)))
