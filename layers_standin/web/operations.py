"""An operation of the API: its route, its rules, and the call that its handler gets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from flask import Request
from marshmallow import Schema
from werkzeug.sansio.utils import get_current_url

from layers_standin.engines.table import Record
from layers_standin.services import Services
from layers_standin.web.context import class_of_method
from schemas import Strict
from store import Store

_TABLES = {"influencer_id": "influencers", "project_id": "projects", "job_id": "jobs"}  # by the name of a path id

LONG_RUNNING = "long-running"  # the class of operations that begin a job


def _not_given(_: Callable[[], Any]) -> Any:
    raise RuntimeError("the transaction of this operation has begun already")


@dataclass(slots=True)
class Call:
    """The argument of a handler: the opened services, the store, the request, and its validated body or query.

    `store` is bound to the caller's organization in the API, to none in the control plane. `key` is the document of the
    API key, empty in the control plane. `run_transaction(act)` is for operations that begin their transaction
    themselves: it runs `act`, which takes nothing and returns a reply, in the transaction of the request.
    `base_url_to_store` stands for the service's URL in a response that is stored: other callers may have another one.
    """

    services: Services
    store: Store
    request: Request
    key: Record
    body: Any = None
    run_transaction: Callable[[Callable[[], Any]], Any] = _not_given
    base_url_to_store: str | None = None

    def base_url(self) -> str:
        """Return the URL of the service, without a slash at its end."""
        return self.base_url_to_store or self.services.settings.public_url or own_url(self.request)


class Reply(NamedTuple):
    """A reply with another status than the operation's usual one."""

    status: int
    body: Record


Handler = Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """A route and its rules; `handler(call, **path ids)` returns the reply's JSON."""

    method: str
    path: str
    handler: Handler
    scope: str | None
    body: Strict | None
    body_optional: bool
    query: Schema | None
    success: int
    endpoint_class: str
    tagged: bool
    secret: bool
    begins_transaction: bool = False

    @cached_property
    def name(self) -> str:
        """Return the public name of the operation: `patchInfluencer` for the handler patch_influencer."""
        first, *rest = self.handler.__name__.split("_")
        return first + "".join(word.capitalize() for word in rest)

    @cached_property
    def first_document(self) -> tuple[str, str] | None:
        """Return (path id, table) of the document that is read first; None when that is not known, or in a change."""
        named = [(name, table) for name, table in _TABLES.items() if f"<{name}>" in self.path]
        return None if self.changes or not named else named[0]

    @cached_property
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
        body: Strict | None = None,
        body_optional: bool = False,
        query: Schema | None = None,
        success: int = 200,
        endpoint_class: str | None = None,
        tagged: bool = False,
        secret: bool = False,
        begins_transaction: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler under a method and a path with Flask's placeholders.

        `tagged` replies have an ETag; `secret` ones are never stored, so they cannot be replayed. A handler with
        `begins_transaction` runs outside of a transaction, so that its slow work blocks no writer, and passes the rest
        to `call.run_transaction`; every other handler of a change runs in the transaction of its request.
        """
        rate = endpoint_class or class_of_method(method)

        def register(handler: Handler) -> Handler:
            row = Operation(method, path, handler, scope, body, body_optional, query, success, rate, tagged, secret)
            self.append(replace(row, begins_transaction=begins_transaction))
            return handler

        return register


def own_url(request: Request) -> str:
    """Return the URL of the request's Host header, or of our own address when that header is not a valid host."""
    if request.host:
        return _url_of(request.scheme, request.host)
    name, port = request.environ["SERVER_NAME"], request.environ["SERVER_PORT"]
    if not port:  # a unix socket
        return f"{request.scheme}://localhost"
    return f"{request.scheme}://[{name}]:{port}" if ":" in name else f"{request.scheme}://{name}:{port}"


@lru_cache(64)  # most requests come to one
def _url_of(scheme: str, host: str) -> str:
    return get_current_url(scheme, host).rstrip("/")
