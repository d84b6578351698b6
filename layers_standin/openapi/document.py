"""The OpenAPI document of the operations: common parts follow by rule, the rest is in OperationDocs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from inspect import getdoc
from typing import Any, NamedTuple

from apispec import APISpec

from layers_standin.openapi.descriptions import TEXTS, describe, describe_operation
from layers_standin.openapi.errors import ERRORS, ErrorResponse, error_responses
from layers_standin.openapi.examples import PATH_IDS, REQUESTS
from layers_standin.openapi.fields import Fields
from layers_standin.openapi.headers import HEADERS, response_headers
from layers_standin.openapi.json_schema import TEXT, JsonSchema, ref, text
from layers_standin.openapi.responses import Response
from layers_standin.web.operations import Operation
from schemas import IdempotencyHeader

TITLE = "Layers stand-in"
JSON = "application/json"
_PACKAGE = "layers-stand-in"
_IDEMPOTENCY_KEY = "Idempotency-Key"

Json = dict[str, Any]


class OperationDocs(NamedTuple):
    """The facts of an operation that neither its route nor its schemas have.

    `response` is the name of the usual response's schema, `also` has those with another status; `errors` are the
    errors that follow from no rule, `never` those of its section that it cannot have. `gives` maps path parameters to
    JSON pointers into the response: links from it lead to every operation with that parameter. `shows` is the same for
    links to reading operations only, as from a change.
    `links` are further links; `by_own_links_only` names operations that need more than an id. `ids` are examples of
    path parameters, in place of the usual ones.
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
    ids: Mapping[str, str] = {}


def next_page(operation: str, **parameters: str) -> dict[str, Json]:
    """Return the link from a page of a list to the next one."""
    cursor = {"cursor": "$response.body#/nextCursor"}
    return {"nextPage": {"operationId": operation, "parameters": parameters | cursor}}


class FileRoute(NamedTuple):
    """A route that takes or sends anything: an operation object of OpenAPI without errors, and the names of these."""

    method: str
    described: Json
    errors: Sequence[str]


class Section(NamedTuple):
    """A table of operations, and their common facts.

    `docs` are by the names of handlers. `security(scope)` returns the security requirements of an operation;
    `errors` are errors of every operation; `schemas` are those that responses refer to; `routes` are paths that are
    no operations.
    """

    operations: Sequence[Operation]
    docs: Mapping[str, OperationDocs]
    responses: Mapping[str, Response]
    schemas: Mapping[str, JsonSchema]
    security: Callable[[str | None], list[dict[str, list[str]]]]
    security_schemes: Mapping[str, Json]
    errors: Sequence[str]
    routes: Mapping[str, FileRoute] = {}
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


def openapi_document(
    sections: Iterable[Section],
    server: str,
    webhooks: Json | None = None,
    events: Mapping[str, JsonSchema] | None = None,
) -> Json:
    """Return the document of all sections, as they are served at the URL `server`, and of the webhooks.

    `events` are the schemas of what these post.
    """
    info = {"description": TEXTS["about"], "license": {"name": "MIT", "identifier": "MIT"}}
    plugin = Fields()
    more = {"info": info, "servers": [{"url": server}], "webhooks": webhooks or {}}
    spec = APISpec(TITLE, version(_PACKAGE), "3.1.0", plugins=[plugin], **more)
    rules = plugin.converter.field2property(IdempotencyHeader().fields["key"])  # type: ignore[union-attr]
    spec.components.parameter(_IDEMPOTENCY_KEY, "header", {"schema": rules})
    for name, about in TEXTS["tags"].items():
        spec.tag({"name": name, "description": about})
    for section in sections:
        _add_section(spec, section)
    for name, schema in (events or {}).items():
        spec.components.schema(name, schema)
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    found = describe(spec.to_dict())
    return {name: found[name] for name in ("openapi", "info", "servers", "tags", "paths", "webhooks", "components")}


def camel_case(name: str) -> str:
    """Return getInfluencer for get_influencer."""
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def openapi_path(path: str) -> str:
    """Return /v1/influencers/{influencerId} for /v1/influencers/<influencer_id>; a converter is left out."""
    return re.sub(r"<(?:[^<>]+:)?(\w+)>", lambda match: f"{{{camel_case(match[1])}}}", path)


def _add_section(spec: APISpec, section: Section) -> None:
    for name, scheme in section.security_schemes.items():
        spec.components.security_scheme(name, dict(scheme))
    schemas = {name: response.schema for name, response in section.responses.items()} | dict(section.schemas)
    for name, schema in schemas.items():
        spec.components.schema(name, schema)
    entries = [Entry(operation, section.docs[operation.handler.__name__], section) for operation in section.operations]
    for entry in entries:
        described = _described(entry, entries)
        described["responses"] |= _error_references(spec, dict(_errors(entry)), section.limited, entry.replays)
        spec.path(openapi_path(entry.operation.path), operations={entry.operation.method.lower(): described})
    for path, (method, described, names) in section.routes.items():
        errors = _error_references(spec, {name: ERRORS[name] for name in names}, limited=False, replays=False)
        spec.path(path, operations={method: described | {"responses": described["responses"] | errors}})


def _error_references(spec: APISpec, errors: Mapping[str, ErrorResponse], limited: bool, replays: bool) -> Json:
    """Return references to the responses of these errors by status; a response that is new becomes a component."""
    for name, error in errors.items():
        if name not in spec.components.schemas:
            spec.components.schema(name, error.schema())
    responses = error_responses(errors, limited, replays)
    for name, response in responses.values():
        if name not in spec.components.responses:
            spec.components.response(name, response)
    return {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in responses.items()}


def _described(entry: Entry, entries: Sequence[Entry]) -> Json:
    """Return an operation object of OpenAPI; apispec translates our schemas in it."""
    operation, section = entry.operation, entry.section
    described = {
        "operationId": operation.name,
        "summary": (getdoc(operation.handler) or "").rstrip("."),
        "description": describe_operation(operation.name, *_rules(entry)),
        "tags": [entry.docs.tag],
        "security": section.security(operation.scope),
        "parameters": list(_parameters(entry)),
        "responses": _responses(entry, entries),
    }
    return described if operation.body is None else described | {"requestBody": _body(operation)}


def _rules(entry: Entry) -> Iterator[str]:
    """Yield sentences on the key that an operation needs, if it needs one."""
    scope = entry.operation.scope
    if entry.section.limited:
        yield "Any key will do." if scope is None else f"The key needs the scope `{scope}`."
        yield f"The rate limit is that of `{entry.operation.endpoint_class}`."


def _parameters(entry: Entry) -> Iterator[Json | str]:
    for name in entry.parameters:
        yield path_parameter(name, entry.docs.ids.get(name, PATH_IDS[name][1]))
    if entry.operation.query is not None:
        yield {"in": "query", "schema": entry.operation.query}
    if entry.replays:
        yield _IDEMPOTENCY_KEY  # which apispec makes a reference to the component
    if entry.operation.tagged:
        yield header_parameter("If-None-Match")
        yield header_parameter("If-Match")


def path_parameter(name: str, example: str | None = None, **schema: Any) -> Json:
    """Return a parameter in the path, a text with these further rules."""
    parameter = {"in": "path", "name": name, "required": True, "schema": text(min=1, **schema)}
    return parameter if example is None else parameter | {"example": example}


def header_parameter(name: str) -> Json:
    return {"in": "header", "name": name, "schema": TEXT}


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
                found = other.operation.name
                yield found, {"operationId": found, "parameters": {name: f"$response.body#{pointer}"}}
    yield from entry.docs.links.items()


def _errors(entry: Entry) -> Iterator[tuple[str, ErrorResponse]]:
    """Yield every error of an operation by name, with an example that fits it."""
    operation, section = entry.operation, entry.section
    conditions = {
        "ForbiddenScope": operation.scope is not None,
        "Invalid": operation.body is not None or operation.query is not None,
        "PayloadTooLarge": operation.body is not None,
        "IdempotencyConflict": entry.replays,
        "SecretNotKept": entry.replays and operation.secret,
        "PreconditionFailed": operation.tagged,
    }
    names = (*section.errors, *entry.docs.errors, *(name for name, holds in conditions.items() if holds))
    for name in (each for each in names if each not in entry.docs.never):
        of_query = name == "Invalid" and operation.body is None
        yield name, _invalid_query(section.limited) if of_query else ERRORS[name]
    for name in entry.parameters:
        noun, _ = PATH_IDS[name]
        title = f"{noun.title().replace(' ', '')}NotFound"
        yield "NotFound", ERRORS["NotFound"]._replace(title=title, message=f"{noun} not found.")


def _invalid_query(of_list: bool) -> ErrorResponse:
    """Return the error of a query of a list, or of one whose unknown parameters are errors."""
    name, fault = ("limit", "Number must be greater than or equal to 1") if of_list else ("limits", "Unrecognized key")
    return ERRORS["Invalid"]._replace(
        title="InvalidQuery", message="Invalid query.", details={"fieldErrors": {name: [fault]}}
    )


def _headers(entry: Entry, status: int) -> Json:
    rules = (entry.section.limited, entry.replays, entry.operation.tagged)
    return response_headers(status, entry.operation.endpoint_class, *rules)
