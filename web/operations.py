"""An operation of the API: what is checked before it runs, in the contract's order, and what it is handed."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import orjson
from marshmallow import Schema

from engines.table import Record
from records.errors import Conflict, StoreError
from records.idempotency import Claim, Outcome
from records.ids import canonical
from start import Rooms
from store import Store
from web.bodies import load_query, load_request
from web.errors import Unauthenticated, refusal
from web.front import class_of_method
from web.keys import require_scope

LONG_RUNNING = "long-running"  # the class of operations that begin a job

# What the placeholders of paths are ids of, of all that an operation reads by them and changes.
TABLE_OF = {"influencer_id": "influencers", "job_id": "jobs"}


class Call(NamedTuple):
    """What an operation is handed: who asks, the judged body or query, where to look, and what was done ahead of it."""

    rooms: Rooms
    key: Record
    body: Any
    base_url: Callable[[], str]
    ahead: Any = None

    @property
    def store(self) -> Store:
        return self.rooms.store

    @property
    def organization(self) -> str:
        return str(self.key["organizationId"])

    @property
    def api_key_id(self) -> str:
        return str(self.key["apiKeyId"])


class Reply(NamedTuple):
    """A reply with another status than the operation's usual one."""

    status: int
    body: Record


Handler = Callable[..., Record | Reply]
Ahead = Callable[..., AbstractContextManager[Any]]


@dataclass(frozen=True)
class Operation:
    """A route and its rules; `handler(call, **path ids)` returns the reply's JSON."""

    method: str
    path: str
    handler: Handler
    scope: str | None
    body: Schema | None
    body_optional: bool
    query: Schema | None
    success: int
    endpoint_class: str
    tagged: bool
    secret: bool
    ahead: Ahead | None = None

    @cached_property
    def name(self) -> str:
        """Return `patchInfluencer` of the handler patch_influencer: what the operation is called to the outside."""
        first, *rest = self.handler.__name__.split("_")
        return first + "".join(word.capitalize() for word in rest)

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
        query: Schema | None = None,
        success: int = 200,
        endpoint_class: str | None = None,
        tagged: bool = False,
        secret: bool = False,
        ahead: Ahead | None = None,
    ) -> Callable[[Handler], Handler]:
        """Register a handler under a method and a path with Flask's placeholders.

        `tagged` replies have an ETag; `secret` ones are never stored, so there is no replaying them. What may take
        long, and must not keep others from writing, is done by `ahead(call, **path ids)`: a block around the
        operation's transaction, whose outcome the handler finds in `call.ahead`.
        """
        rate = endpoint_class or class_of_method(method)

        def register(handler: Handler) -> Handler:
            row = Operation(
                method, path, handler, scope, body, body_optional, query, success, rate, tagged, secret, ahead
            )
            self.append(row)
            return handler

        return register


class Request(NamedTuple):
    """The parts of an HTTP request that the checks look at; `read` and `base_url` are called only when needed."""

    request_id: str
    method: str
    path: str
    headers: Mapping[str, str]
    query: Callable[[], Mapping[str, str]]
    read: Callable[[], bytes]
    base_url: Callable[[], str]


def perform(operation: Operation, request: Request, rooms: Rooms, key: Record, ids: Mapping[str, str]) -> Outcome:
    """Check scope, body or query, and idempotency, then run the operation.

    Raises Refusal, StoreError, EngineError.
    """
    require_scope(key, operation.scope)
    if not operation.changes:
        query = {} if operation.query is None else load_query(operation.query, request.query())
        return _act(operation, Call(rooms, key, query, request.base_url), ids)
    idempotency_key = request.headers.get("Idempotency-Key")
    parsed, judged = load_request(operation.body, operation.body_optional, request.read(), idempotency_key)
    call = Call(rooms, key, judged, request.base_url)
    claim = _claim(call, request, idempotency_key, parsed)
    with nullcontext() if operation.ahead is None else operation.ahead(call, **ids) as done:
        once = partial(
            rooms.store.once,
            call.organization,
            claim,
            act=lambda: _act(operation, _still_known(call, ids)._replace(ahead=done), ids),
            refuse=lambda error: _refuse(error, request.request_id),
            to_file=lambda outcome: _to_file(operation, outcome, request.request_id),
        )
        return rooms.store.db.attempt(once)


def _still_known(call: Call, ids: Mapping[str, str]) -> Call:
    """Raises Unauthenticated when the key has gone since it was looked at: what its organization had went with it."""
    public_id = call.key["publicId"]
    key = ("api_keys", public_id, public_id)
    is_own = canonical(ids.get("key_id", "")) == call.api_key_id  # what is changed is not only glanced at
    changed = [(TABLE_OF[name], call.organization, text) for name, text in ids.items() if name in TABLE_OF]
    call.store.tables.expect(*changed, *[key] * is_own, glanced=[] if is_own else [key])
    if not call.store.keys.is_known(public_id):
        raise Unauthenticated
    return call


def _claim(call: Call, request: Request, idempotency_key: str | None, parsed: object) -> Claim | None:
    if idempotency_key is None:
        return None
    return Claim.of(call.api_key_id, request.method, request.path, idempotency_key, parsed)


def _act(operation: Operation, call: Call, ids: Mapping[str, str]) -> Outcome:
    reply = operation.handler(call, **ids)
    status, body = reply if isinstance(reply, Reply) else (operation.success, reply)
    return Outcome(status, orjson.dumps(body))


def _to_file(operation: Operation, outcome: Outcome, request_id: str) -> Outcome:
    """Return what a twin will get: the same, or instead of a secret the news that it was not kept."""
    if not operation.secret or outcome.status >= 400:
        return outcome
    return _refuse(Conflict("This was done; its reply held a secret and was not kept.", subcode="NOT_KEPT"), request_id)


def _refuse(error: StoreError, request_id: str) -> Outcome:
    return Outcome(*refusal(error, request_id))
