"""Between Flask and the control plane."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from flask import Flask, Response, request

from control.operations import Command, operations
from engines.errors import Unavailable
from records.idempotency import Outcome
from schemas import Nothing
from settings import OFF, StartError
from start import Rooms
from web.bodies import load_query, load_request, whole_body
from web.guard import admit
from web.http import answer, base_url, route
from web.operations import Operation, Operations, Reply
from web.request_log import RequestLog

_NOTHING = Nothing()


def add_control(app: Flask, rooms: Rooms, log: RequestLog, api: Operations) -> None:
    """Add the routes of the control plane, to command the operations of `api` with; none where it is off."""
    if rooms.settings.control == OFF:
        return
    for operation in operations:
        view = partial(serve_command, operation, rooms, log, api)
        route(app, operation.method, operation.path, operation.name, view)


def serve_command(operation: Operation, rooms: Rooms, log: RequestLog, api: Operations, **ids: str) -> Response:
    """Answer a request for an operation of the control plane. Raises Refusal, StoreError, EngineError."""
    admit(request.environ, rooms.settings, rooms.store.signing_key)
    command = Command(rooms, log, api, _judged(operation), base_url(rooms.settings))
    return answer(_outcome(operation, command, ids))


def _judged(operation: Operation) -> Any:
    """Return what was said, in the query or the body, and nowhere else: what is overlooked here goes to everybody."""
    query = load_query(operation.query or _NOTHING, request.args)
    if not operation.changes:
        return query
    is_optional = operation.body is None or operation.body_optional
    return query | load_request(operation.body or _NOTHING, is_optional, whole_body(request), None)[1]


def _outcome(operation: Operation, command: Command, ids: Mapping[str, str]) -> Outcome:
    try:
        reply = operation.handler(command, **ids)
    except (OSError, StartError) as error:
        raise Unavailable(str(error)) from error
    status, body = reply if isinstance(reply, Reply) else (operation.success, reply)
    return Outcome(status, orjson.dumps(body))
