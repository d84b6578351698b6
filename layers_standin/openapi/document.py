"""The OpenAPI document of the operations: common parts follow by rule, the rest is in OperationDocs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from inspect import getdoc
from itertools import product
from typing import Any, NamedTuple, Protocol

from apispec import APISpec
from marshmallow import Schema

from layers_standin.openapi.errors import REFUSALS, Refusal, refused
from layers_standin.openapi.fields import Fields
from layers_standin.openapi.headers import HEADERS, headers
from layers_standin.openapi.responses import JsonSchema, ref
from schemas import IdempotencyHeader

TITLE = "Layers stand-in"
ABOUT = """\
A local stand-in for the influencer part of the Layers Partner API.

- A request is checked in this order: key, kill switch, rate limit, scope, body and query, Idempotency-Key, and only
  then whether what its path names is there. Nothing is changed unless the reply is a 2xx.
- Every refusal comes as `{"error": {"code", "message", "requestId", "details"?}}`. All faults of a body come at once.
- With an `Idempotency-Key`, a POST, PATCH or DELETE acts once: for 24 hours its repetition gets the first reply, byte
  for byte, with `Idempotent-Replayed: true`.
- Beside what is told of each operation: an unknown path is a 404, a method that a path does not have a 405, a request
  that is no HTTP a 422, and one whose line or headers are over 8 KiB a 413.
- All this is about `/v1`. What begins with `/_standin` is no part of that API: it commands the stand-in itself.
"""
JSON = "application/json"
_PACKAGE = "layers-stand-in"

Json = dict[str, Any]


class OperationLike(Protocol):
    """The attributes of an operation that this module reads."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def handler(self) -> Callable[..., Any]: ...
    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> str | None: ...
    @property
    def body(self) -> Schema | None: ...
    @property
    def body_optional(self) -> bool: ...
    @property
    def query(self) -> Schema | None: ...
    @property
    def success(self) -> int: ...
    @property
    def endpoint_class(self) -> str: ...
    @property
    def tagged(self) -> bool: ...
    @property
    def secret(self) -> bool: ...
    @property
    def changes(self) -> bool: ...


class Reply(NamedTuple):
    """The name of a response's schema, and an example of it."""

    schema: str
    example: Any


class OperationDocs(NamedTuple):
    """The facts of an operation that neither its route nor its schemas have.

    `bodies` are example request bodies by title; `refusals` are the errors that follow from no rule; `also` are the
    responses with another status than the usual one. `gives` maps path parameters to JSON pointers into the response:
    links from it lead to every operation with that parameter. `shows` is the same for links to reading operations
    only, as from a change. `links` are further links; `by_own_links_only` names operations that need more than an id.
    """

    tag: str
    reply: Reply
    bodies: Mapping[str, Any] = {}
    refusals: Sequence[str] = ()
    also: Mapping[int, Reply] = {}
    gives: Mapping[str, str] = {}
    shows: Mapping[str, str] = {}
    links: Mapping[str, Json] = {}
    by_own_links_only: bool = False


class PathParameter(NamedTuple):
    """The noun of a path parameter, and an example id."""

    noun: str
    example: str


class Section(NamedTuple):
    """A table of operations, and their common facts.

    `security(scope)` returns the security requirements of an operation; `refusals` are errors of every operation;
    `things` are the path parameters; `routes` are paths that are no operations, as OpenAPI objects.
    """

    operations: Sequence[OperationLike]
    notes: Mapping[str, OperationDocs]
    tags: Mapping[str, str]
    schemas: Mapping[str, JsonSchema]
    security: Callable[[str | None], list[dict[str, list[str]]]]
    security_schemes: Mapping[str, Json]
    refusals: Sequence[str]
    things: Mapping[str, PathParameter]
    routes: Mapping[str, Json] = {}
    idempotent: bool = True

    @property
    def limited(self) -> bool:
        return "RateLimited" in self.refusals


class Entry(NamedTuple):
    """An operation, its docs, and its section."""

    operation: OperationLike
    note: OperationDocs
    part: Section

    @property
    def id(self) -> str:
        return self.operation.name

    @property
    def parameters(self) -> list[str]:
        """Return the names of its path parameters."""
        return re.findall(r"{(\w+)}", openapi_path(self.operation.path))

    @property
    def replays(self) -> bool:
        return self.part.idempotent and self.operation.changes


def openapi_document(parts: Iterable[Section], server: str) -> Json:
    """Return the document of all sections, as they are served at the URL `server`."""
    info = {"description": ABOUT, "license": {"name": "MIT", "identifier": "MIT"}}
    spec = APISpec(TITLE, version(_PACKAGE), "3.1.0", plugins=[Fields()], info=info, servers=[{"url": server}])
    for part in parts:
        _add_part(spec, part)
    _add_common(spec)
    found = spec.to_dict()
    return {name: found[name] for name in ("openapi", "info", "servers", "tags", "paths", "components")}


def camel_case(name: str) -> str:
    """Return getInfluencer for get_influencer."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def openapi_path(path: str) -> str:
    """Return /v1/influencers/{influencerId} for /v1/influencers/<influencer_id>; a converter is left out."""
    return re.sub(r"<(?:[^<>]+:)?(\w+)>", lambda match: f"{{{camel_case(match[1])}}}", path)


def _add_common(spec: APISpec) -> None:
    """Add the components that every section refers to."""
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for name, refusal in REFUSALS.items():
        spec.components.schema(name, refusal.schema())
    (nowhere,) = refused({"MethodNotAllowed": REFUSALS["MethodNotAllowed"]}, lambda _: headers()).values()
    spec.components.response("MethodNotAllowed", nowhere)  # added here, for no operation can have it


def _add_part(spec: APISpec, part: Section) -> None:
    for name, about in part.tags.items():
        spec.tag({"name": name, "description": about})
    for name, scheme in part.security_schemes.items():
        spec.components.security_scheme(name, dict(scheme))
    for name, schema in part.schemas.items():
        spec.components.schema(name, schema)
    entries = [Entry(operation, part.notes[operation.handler.__name__], part) for operation in part.operations]
    for entry in entries:
        described = {entry.operation.method.lower(): _described(entry, entries)}
        spec.path(openapi_path(entry.operation.path), operations=described)
    for path, operations in part.routes.items():
        spec.path(path, operations=operations)


def _described(entry: Entry, entries: Sequence[Entry]) -> Json:
    """Return an operation object of OpenAPI; apispec translates our schemas in it."""
    told = {
        "operationId": entry.id,
        "summary": (getdoc(entry.operation.handler) or "").rstrip("."),
        "tags": [entry.note.tag],
        "security": entry.part.security(entry.operation.scope),
        "parameters": list(_parameters(entry)),
        "responses": _replies(entry, entries) | refused(dict(_refusals(entry)), lambda status: _headers(entry, status)),
    }
    return told if entry.operation.body is None else told | {"requestBody": _body(entry)}


def _parameters(entry: Entry) -> Iterator[Json]:
    for name in entry.parameters:
        thing = entry.part.things[name]
        yield {
            "in": "path",
            "name": name,
            "required": True,
            "description": f"{thing.noun} id",
            "schema": {"type": "string", "minLength": 1},
            "example": thing.example,
        }
    if entry.operation.query is not None:
        yield {"in": "query", "schema": entry.operation.query}
    if entry.replays:
        yield {"in": "header", "schema": IdempotencyHeader()}
    if entry.operation.tagged:
        about = "The ETag of the reply that the client has."
        yield {"in": "header", "name": "If-None-Match", "description": about, "schema": {"type": "string"}}


def _body(entry: Entry) -> Json:
    examples = {name: {"value": value} for name, value in entry.note.bodies.items()}
    content = {"schema": entry.operation.body} | ({"examples": examples} if examples else {})
    return {"required": not entry.operation.body_optional, "content": {JSON: content}}


def _replies(entry: Entry, entries: Sequence[Entry]) -> Json:
    """Return the responses that are no errors."""
    replies = {entry.operation.success: entry.note.reply} | dict(entry.note.also)
    told = {str(status): _reply(entry, status, reply) for status, reply in replies.items()}
    if links := dict(_links(entry, entries)):
        told[str(entry.operation.success)]["links"] = links
    if entry.operation.tagged:
        told["304"] = {"description": "What the client has is still right", "headers": _headers(entry, 304)}
    return told


def _reply(entry: Entry, status: int, reply: Reply) -> Json:
    content = {"schema": ref(reply.schema), "examples": {reply.schema: {"value": reply.example}}}
    return {"description": HTTPStatus(status).phrase, "headers": _headers(entry, status), "content": {JSON: content}}


def _links(entry: Entry, entries: Sequence[Entry]) -> Iterator[tuple[str, Json]]:
    """Yield the operations that can take an id from this one's response."""
    for others, found in (
        (entries, entry.note.gives),
        ([other for other in entries if not other.operation.changes], entry.note.shows),
    ):
        for other, (name, pointer) in product(others, found.items()):
            if other.parameters == [name] and not other.note.by_own_links_only:
                yield other.id, {"operationId": other.id, "parameters": {name: f"$response.body#{pointer}"}}
    yield from entry.note.links.items()


def _refusals(entry: Entry) -> Iterator[tuple[str, Refusal]]:
    """Yield every error of an operation, with an example that fits it."""
    operation, part = entry.operation, entry.part
    for name in [*part.refusals, *entry.note.refusals]:
        yield name, REFUSALS[name]
    if part.limited:
        yield "RateLimited", REFUSALS["RateLimited"]._replace(details={"endpointClass": operation.endpoint_class})
    if operation.scope is not None:
        yield "ForbiddenScope", REFUSALS["ForbiddenScope"]._replace(details={"required": operation.scope})
    for name in entry.parameters:
        yield "NotFound", REFUSALS["NotFound"]._replace(message=f"{part.things[name].noun} not found.")
    if operation.query is not None:
        details = {"fieldErrors": _fault_of_query(operation.query)}
        yield "Invalid", REFUSALS["Invalid"]._replace(message="Invalid query.", details=details)
    if operation.body is not None:
        yield from ((name, REFUSALS[name]) for name in ("Invalid", "PayloadTooLarge"))
    if entry.replays:
        yield "IdempotencyConflict", REFUSALS["IdempotencyConflict"]
        if operation.secret:
            yield "SecretNotKept", REFUSALS["SecretNotKept"]


def _fault_of_query(query: Schema) -> dict[str, list[str]]:
    if "limit" in query.fields:
        return {"limit": ["Number must be greater than or equal to 1"]}
    return {"organizationid": ["Unrecognized key"]}


def _headers(entry: Entry, status: int) -> Json:
    """Return the headers of a response by name."""
    operation = entry.operation
    return headers(
        operation.endpoint_class,
        limits=entry.part.limited and status != 401,
        wait=status == 429,
        replayed=entry.replays and (status < 300 or status in (404, 409)),
        tag=operation.tagged and status in (operation.success, 304),
    )
