"""The steps of a request through an operation, in the contract's order of checks.

Key, demo key, rate limit, fault, scope, body; then, in one transaction, the stored response of a repeated request, or
the operation and its response to store.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import orjson
from flask import Request
from werkzeug.exceptions import HTTPException

from layers_standin.domain.errors import Conflict, StoreError
from layers_standin.domain.history import Actor
from layers_standin.domain.idempotency import IdempotencyKey, StoredResponse
from layers_standin.domain.ids import canonical
from layers_standin.services import Services
from layers_standin.web.auth import authenticate, refuse_demo_key_on_public_address, require_scope
from layers_standin.web.bodies import load_query, load_request, whole_body
from layers_standin.web.context import CONTEXT, RequestContext
from layers_standin.web.errors import Unauthenticated, refusal
from layers_standin.web.faults import apply_fault, match_fault
from layers_standin.web.operations import LONG_RUNNING, Call, Operation, Reply

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_STORED_ERRORS = ("NOT_FOUND", "CONFLICT", "CONTENT_REJECTED")


def dispatch(operation: Operation, services: Services, request: Request, **ids: str) -> "WSGIApplication":
    """Answer a request for an operation. Raises Refusal, StoreError, EngineError, HTTPException."""
    context: RequestContext = request.environ[CONTEXT]
    context.operation, context.endpoint_class = operation.name, operation.endpoint_class
    prefetch = None
    if operation.first_document and services.limits is None:  # with limits, a transaction comes before its read
        name, table = operation.first_document
        prefetch = table, canonical(ids[name])
    with services.store.db.snapshot_read():
        key, overrides = authenticate(request.environ, services.store.callers, prefetch)
        refuse_demo_key_on_public_address(key, request.environ, services.settings)
        context.public_key_id, context.api_key_id, context.organization = (
            key["publicId"], key["apiKeyId"], key["organizationId"],
        )  # fmt: skip
        author = Actor(key["apiKeyId"], context.request_id, operation.name)
        store = services.store.for_organization(key["organizationId"], author, overrides)
        context.is_logged = overrides.is_logged
        if services.limits is not None:
            context.more_headers = services.limits(store, key, operation.endpoint_class)
        call = Call(services, store, request, key)
        may_fail = overrides.has_faults or "HTTP_PREFER" in request.environ
        if not (may_fail or operation.changes):
            return context.respond(request, _read(operation, call, ids), operation.tagged)
    if may_fail and (response := _faulty(operation, call, context, ids)) is not None:
        return response
    stored = _change(operation, call, context, ids) if operation.changes else _read(operation, call, ids)
    context.dropped = store.dropped
    return context.respond(request, stored, operation.tagged)


def _faulty(
    operation: Operation, call: Call, context: RequestContext, ids: Mapping[str, str]
) -> "WSGIApplication | None":
    """Return the response of the fault that strikes a request, or None. Raises Refusal."""
    if operation.changes:
        with suppress(HTTPException):
            context.received = whole_body(call.request)  # for rules that compare it, and for the log
    begins_job, influencer_id = operation.endpoint_class == LONG_RUNNING, ids.get("influencer_id")
    fault = match_fault(context, call.store, call.request, call.services.settings, begins_job, influencer_id)
    return None if fault is None else apply_fault(fault, context, call.request, operation.scope)


def _read(operation: Operation, call: Call, ids: Mapping[str, str]) -> StoredResponse:
    require_scope(call.key, operation.scope)
    call.body = {} if operation.query is None else load_query(operation.query, call.request.args)
    return _stored(operation, operation.handler(call, **ids))


def _change(operation: Operation, call: Call, context: RequestContext, ids: Mapping[str, str]) -> StoredResponse:
    require_scope(call.key, operation.scope)
    context.received = whole_body(call.request)
    header, encoding = call.request.headers.get("Idempotency-Key"), call.request.headers.get("Content-Encoding")
    parsed, call.body = load_request(operation.body, operation.body_optional, context.received, header, encoding)
    scope = (call.key["apiKeyId"], call.request.method, call.request.path)
    key = None if header is None else IdempotencyKey.of(*scope, header, parsed)
    call.base_url_to_store = None if key is None else key.base_url
    transact = partial(_transact, operation, call, context.request_id, key)
    if operation.begins_transaction:
        call.run_transaction = lambda act: call.store.db.run_transaction(partial(transact, act))
        response = cast(StoredResponse, operation.handler(call, **ids))
    else:
        response = call.store.db.run_transaction(partial(transact, partial(operation.handler, call, **ids)))
    return response if key is None else _with_own_url(response, call, key.base_url)


def _with_own_url(response: StoredResponse, call: Call, stored: str) -> StoredResponse:
    """Return the response with the service's URL as this caller knows it in the place of the stored text."""
    call.base_url_to_store = None
    return response.replace_url(stored, call.base_url())


def _transact(
    operation: Operation,
    call: Call,
    request_id: str,
    idempotency_key: IdempotencyKey | None,
    act: Callable[[], Any],
) -> StoredResponse:
    """Run `act` in one transaction, and store its response in it or replay the stored one."""
    with call.store.db.transaction():  # all of it is on disk when the block is left, and not before
        if idempotency_key is None:
            _require_known_key(call)
            return _stored(operation, act())
        replay = call.store.idempotency.find(idempotency_key)
        if replay is not None:
            return replay
        response = _try(operation, call, request_id, act)
        call.store.idempotency.store(idempotency_key, _response_to_repeat(operation, response, request_id))
        return response


def _try(operation: Operation, call: Call, request_id: str, act: Callable[[], Any]) -> StoredResponse:
    """Return the response of `act`, or its 404 or 409, whose writes are undone. Raises every other error."""
    try:
        with call.store.db.savepoint():
            _require_known_key(call)
            return _stored(operation, act())
    except StoreError as error:
        if error.code not in _STORED_ERRORS:
            raise
        return StoredResponse(*refusal(error, request_id))


def _require_known_key(call: Call) -> None:
    """Raises Unauthenticated when the key was deleted since it was read, with all of its organization."""
    if not call.services.store.keys.is_known(call.key["publicId"]):
        raise Unauthenticated


def _stored(operation: Operation, reply: Any) -> StoredResponse:
    status, body = reply if isinstance(reply, Reply) else (operation.success, reply)
    return StoredResponse(status, orjson.dumps(body))


def _response_to_repeat(operation: Operation, response: StoredResponse, request_id: str) -> StoredResponse:
    """Return the response for a repeated request: the same, or a conflict if it had a secret, which is not stored."""
    if not operation.secret or response.status >= 400:
        return response
    conflict = Conflict("This was done; its reply held a secret and was not kept.", subcode="NOT_KEPT")
    return StoredResponse(*refusal(conflict, request_id))
