"""The OpenAPI document of the operations: common parts follow by rule, the rest is in OperationDocs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from inspect import getdoc
from typing import Any, NamedTuple

from apispec import APISpec
from marshmallow import Schema

from layers_standin.openapi.errors import ERRORS, ErrorResponse, error_responses
from layers_standin.openapi.examples import REQUESTS
from layers_standin.openapi.fields import Fields
from layers_standin.openapi.headers import HEADERS, OF_LIMITS, headers
from layers_standin.openapi.json_schema import TEXT, JsonSchema, ref, text
from layers_standin.openapi.responses import Response
from layers_standin.web.operations import Operation
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


class OperationDocs(NamedTuple):
    """The facts of an operation that neither its route nor its schemas have.

    `response` is the name of the usual response's schema, `also` has those with another status; `errors` are the
    errors that follow from no rule, `never` those of its section that it cannot have. `gives` maps path parameters to
    JSON pointers into the response: links from it lead to every operation with that parameter. `shows` is the same for
    links to reading operations only, as from a change.
    `links` are further links; `by_own_links_only` names operations that need more than an id.
    """

    tag: str
    response: str
    errors: Sequence[str] = ()
    never: Sequence[str] = ()
    also: Mapping[int, str] = {}
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

    `docs` are by the names of handlers. `security(scope)` returns the security requirements of an operation;
    `errors` are errors of every operation; `schemas` are those that responses refer to; `routes` are paths that are
    no operations, as OpenAPI objects.
    """

    operations: Sequence[Operation]
    docs: Mapping[str, OperationDocs]
    tags: Mapping[str, str]
    responses: Mapping[str, Response]
    schemas: Mapping[str, JsonSchema]
    security: Callable[[str | None], list[dict[str, list[str]]]]
    security_schemes: Mapping[str, Json]
    errors: Sequence[str]
    parameters: Mapping[str, PathParameter]
    routes: Mapping[str, Json] = {}
    idempotent: bool = True

    @property
    def limited(self) -> bool:
        return "RateLimited" in self.errors


class Entry(NamedTuple):
    """An operation, its docs, and its section."""

    operation: Operation
    docs: OperationDocs
    section: Section

    @property
    def parameters(self) -> list[str]:
        """Return the names of its path parameters."""
        return re.findall(r"{(\w+)}", openapi_path(self.operation.path))

    @property
    def replays(self) -> bool:
        return self.section.idempotent and self.operation.changes


def openapi_document(sections: Iterable[Section], server: str) -> Json:
    """Return the document of all sections, as they are served at the URL `server`."""
    info = {"description": ABOUT, "license": {"name": "MIT", "identifier": "MIT"}}
    spec = APISpec(TITLE, version(_PACKAGE), "3.1.0", plugins=[Fields()], info=info, servers=[{"url": server}])
    for section in sections:
        _add_section(spec, section)
    _add_common(spec)
    found = spec.to_dict()
    return {name: found[name] for name in ("openapi", "info", "servers", "tags", "paths", "components")}


def camel_case(name: str) -> str:
    """Return getInfluencer for get_influencer."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def openapi_path(path: str) -> str:
    """Return /v1/influencers/{influencerId} for /v1/influencers/<influencer_id>; a converter is left out."""
    return re.sub(r"<(?:[^<>]+:)?(\w+)>", lambda match: f"{{{camel_case(match[1])}}}", path)


def _add_section(spec: APISpec, section: Section) -> None:
    for name, about in section.tags.items():
        spec.tag({"name": name, "description": about})
    for name, scheme in section.security_schemes.items():
        spec.components.security_scheme(name, dict(scheme))
    schemas = {name: response.schema for name, response in section.responses.items()} | dict(section.schemas)
    for name, schema in schemas.items():
        spec.components.schema(name, schema)
    entries = [Entry(operation, section.docs[operation.handler.__name__], section) for operation in section.operations]
    for entry in entries:
        described = {entry.operation.method.lower(): _described(entry, entries)}
        spec.path(openapi_path(entry.operation.path), operations=described)
    for path, operations in section.routes.items():
        spec.path(path, operations=operations)


def _add_common(spec: APISpec) -> None:
    """Add the components that every section refers to."""
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for name, error in ERRORS.items():
        spec.components.schema(name, error.schema())
    (response,) = error_responses({"MethodNotAllowed": ERRORS["MethodNotAllowed"]}, lambda _: headers(None)).values()
    spec.components.response("MethodNotAllowed", response)  # added here, for no operation can have it


def _described(entry: Entry, entries: Sequence[Entry]) -> Json:
    """Return an operation object of OpenAPI; apispec translates our schemas in it."""
    operation = entry.operation
    described = {
        "operationId": operation.name,
        "summary": (getdoc(operation.handler) or "").rstrip("."),
        "tags": [entry.docs.tag],
        "security": entry.section.security(operation.scope),
        "parameters": list(_parameters(entry)),
        "responses": _responses(entry, entries) | error_responses(dict(_errors(entry)), partial(_headers, entry)),
    }
    return described if operation.body is None else described | {"requestBody": _body(operation)}


def _parameters(entry: Entry) -> Iterator[Json]:
    for name in entry.parameters:
        noun, example = entry.section.parameters[name]
        yield path_parameter(name, f"{noun} id", example)
    if entry.operation.query is not None:
        yield {"in": "query", "schema": entry.operation.query}
    if entry.replays:
        yield {"in": "header", "schema": IdempotencyHeader()}
    if entry.operation.tagged:
        yield header_parameter("If-None-Match", "The ETag of the reply that the client has.")


def path_parameter(name: str, about: str, example: str | None = None, **schema: Any) -> Json:
    """Return a parameter in the path, a text with these further rules."""
    parameter = {"in": "path", "name": name, "required": True, "description": about, "schema": text(min=1, **schema)}
    return parameter if example is None else parameter | {"example": example}


def header_parameter(name: str, about: str) -> Json:
    return {"in": "header", "name": name, "description": about, "schema": TEXT}


def _body(operation: Operation) -> Json:
    examples = REQUESTS[type(operation.body).__name__]
    content = {"schema": operation.body, "examples": {title: {"value": value} for title, value in examples.items()}}
    return {"required": not operation.body_optional, "content": {JSON: content}}


def _responses(entry: Entry, entries: Sequence[Entry]) -> Json:
    """Return the responses that are no errors."""
    success = entry.operation.success
    names = {success: entry.docs.response} | dict(entry.docs.also)
    responses = {str(status): _response(entry, status, name) for status, name in names.items()}
    if links := dict(_links(entry, entries)):
        responses[str(success)]["links"] = links
    if entry.operation.tagged:
        responses["304"] = {"description": "What the client has is still right", "headers": _headers(entry, 304)}
    return responses


def _response(entry: Entry, status: int, name: str) -> Json:
    content = {"schema": ref(name), "examples": {name: {"value": entry.section.responses[name].example}}}
    return {"description": HTTPStatus(status).phrase, "headers": _headers(entry, status), "content": {JSON: content}}


def _links(entry: Entry, entries: Sequence[Entry]) -> Iterator[tuple[str, Json]]:
    """Yield the operations that can take an id from this one's response."""
    for other in entries:
        pointers = entry.docs.gives if other.operation.changes else {**entry.docs.gives, **entry.docs.shows}
        for name, pointer in pointers.items():
            if other.parameters == [name] and not other.docs.by_own_links_only:
                yield _link(other.operation.name, name, pointer)
    yield from entry.docs.links.items()


def _link(operation: str, parameter: str, pointer: str) -> tuple[str, Json]:
    return operation, {"operationId": operation, "parameters": {parameter: f"$response.body#{pointer}"}}


def _errors(entry: Entry) -> Iterator[tuple[str, ErrorResponse]]:
    """Yield every error of an operation, with an example that fits it."""
    operation, section = entry.operation, entry.section

    def error(name: str, **example: Any) -> tuple[str, ErrorResponse]:
        return name, ERRORS[name]._replace(**example)

    yield from map(error, (each for each in (*section.errors, *entry.docs.errors) if each not in entry.docs.never))
    if section.limited:
        yield error("RateLimited", details={"endpointClass": operation.endpoint_class})
    if operation.scope is not None:
        yield error("ForbiddenScope", details={"required": operation.scope})
    for name in entry.parameters:
        yield error("NotFound", message=f"{section.parameters[name].noun} not found.")
    if operation.query is not None:
        yield error("Invalid", message="Invalid query.", details={"fieldErrors": _error_of_query(operation.query)})
    if operation.body is not None:
        yield from map(error, ("Invalid", "PayloadTooLarge"))
    if entry.replays:
        yield error("IdempotencyConflict")
        if operation.secret:
            yield error("SecretNotKept")


def _error_of_query(query: Schema) -> dict[str, list[str]]:
    if "limit" in query.fields:
        return {"limit": ["Number must be greater than or equal to 1"]}
    return {"organizationid": ["Unrecognized key"]}


def _headers(entry: Entry, status: int) -> Json:
    """Return the headers of a response by name."""
    operation = entry.operation
    sent = {
        **dict.fromkeys(OF_LIMITS, entry.section.limited and status != 401),
        "Retry-After": status == 429,
        "Idempotent-Replayed": entry.replays and (status < 300 or status in (404, 409)),
        "ETag": operation.tagged and status in (operation.success, 304),
    }
    return headers(operation.endpoint_class, *(name for name, is_sent in sent.items() if is_sent))
