"""An operation of the API: what is checked before it runs, in the contract's order, and what it is handed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from marshmallow import Schema

from engines.table import Record
from store import Claim, Outcome, Store, StoreError
from web.bodies import load_request
from web.errors import refusal
from web.front import class_of_method
from web.keys import authenticate, presented_key, require_scope


class Call(NamedTuple):
    """What an operation is handed: who asks, the judged body, and where to look."""

    store: Store
    key: Record
    body: Any
    base_url: Callable[[], str]

    @property
    def organization(self) -> str:
        return str(self.key["organizationId"])

    @property
    def api_key_id(self) -> str:
        return str(self.key["apiKeyId"])


Handler = Callable[..., Record]


@dataclass(frozen=True)
class Operation:
    """A route and its rules; `handler(call, **path ids)` returns the reply's JSON."""

    method: str
    path: str
    handler: Handler
    scope: str | None
    body: Schema | None
    body_optional: bool
    success: int

    @property
    def name(self) -> str:
        return self.handler.__name__

    @cached_property
    def endpoint_class(self) -> str:
        return class_of_method(self.method)

    @property
    def changes(self) -> bool:
        return self.method != "GET"


class Operations(list[Operation]):
    """The table of all operations, filled by decorating their handlers."""

    def add(
        self,
        method: str,
        path: str,
        *,
        scope: str | None,
        body: Schema | None = None,
        body_optional: bool = False,
        success: int = 200,
    ) -> Callable[[Handler], Handler]:
        """Register a handler under a method and a path with Flask's placeholders."""

        def register(handler: Handler) -> Handler:
            self.append(Operation(method, path, handler, scope, body, body_optional, success))
            return handler

        return register


class Request(NamedTuple):
    """The parts of an HTTP request that the checks look at; `read` and `base_url` are called only when needed."""

    request_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    read: Callable[[], bytes]
    base_url: Callable[[], str]


def check_key(request: Request, store: Store) -> Record:
    """Return the document of the request's key. Raises Refusal."""
    return authenticate(presented_key(request.headers), store.find_key)


def perform(operation: Operation, request: Request, store: Store, key: Record, ids: Mapping[str, str]) -> Outcome:
    """Check scope, body and idempotency, then run the operation. Raises Refusal, StoreError, EngineError."""
    require_scope(key, operation.scope)
    if not operation.changes:
        return _act(operation, Call(store, key, {}, request.base_url), ids)
    idempotency_key = request.headers.get("Idempotency-Key")
    parsed, judged = load_request(operation.body, operation.body_optional, request.read(), idempotency_key)
    call = Call(store, key, judged, request.base_url)
    claim = _claim(call, request, idempotency_key, parsed)
    return store.once(
        call.organization,
        claim,
        act=lambda: _act(operation, call, ids),
        refuse=lambda error: _refuse(error, request.request_id),
    )


def _claim(call: Call, request: Request, idempotency_key: str | None, parsed: object) -> Claim | None:
    if idempotency_key is None:
        return None
    return Claim.of(call.api_key_id, request.method, request.path, idempotency_key, parsed)


def _act(operation: Operation, call: Call, ids: Mapping[str, str]) -> Outcome:
    return Outcome(operation.success, orjson.dumps(operation.handler(call, **ids)))


def _refuse(error: StoreError, request_id: str) -> Outcome:
    return Outcome(*refusal(error, request_id))
