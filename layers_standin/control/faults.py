"""Check that a fault's rule can match a request: one that never strikes is a mistake that nobody would notice."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import Schema

from layers_standin.domain.faults import PLACEHOLDER, RequestInfo, fits_piece, pairs_of_pieces
from layers_standin.domain.ids import canonical
from layers_standin.domain.tables import ALL
from layers_standin.engines.table import Record
from layers_standin.fields import Object
from layers_standin.web.closest import closest_paths, template
from layers_standin.web.errors import Invalid
from layers_standin.web.faults import INFLUENCERS_OF_BODY
from layers_standin.web.operations import LONG_RUNNING, Operation, Operations
from layers_standin.web.uploads import PUT_UPLOAD, UPLOAD_PATH
from store import Store

_PATH = re.compile(r"x|(/[0-9A-Za-z_-][0-9A-Za-z_.-]*)+")  # words and ids, no query and no regular expression


def check_rule(body: Mapping[str, Any], api: Operations) -> None:
    """Raises Invalid when a validated rule matches no operation of the API, or none that it could apply to."""
    if ("event" in body["match"]) > ("webhook" in body["answer"]):
        raise Invalid(fieldErrors={"match": ["event: Only for an answer with webhook"]})
    if "webhook" in body["answer"]:
        if body["match"].keys() - {"event"}:
            raise Invalid(fieldErrors={"match": ["With webhook, a delivery is matched by its event alone"]})
        return
    match, targets = body["match"], list(_targets(api))
    meant = [target for target in targets if _is_meant(match, target)]
    if not meant:
        raise Invalid(fieldErrors={"match": [_unknown(match, targets)]})
    meant_operations = [each for each in api if any(each.name == target.operation for target in meant)]
    if "failJob" in body["answer"] and not any(target.begins_job for target in meant):
        raise Invalid(fieldErrors={"answer": ["failJob: Only for operations that begin a job"]})
    if "failPost" in body["answer"] and not any(target.begins_posts for target in meant):
        raise Invalid(fieldErrors={"answer": ["failPost: Only for operations that schedule posts"]})
    if "influencerId" in match and not any(map(_names_influencer, meant_operations)):
        raise Invalid(fieldErrors={"match": ["influencerId: Only for operations on an influencer"]})
    if "body" in match:
        _check_body(match["body"], meant_operations)
    if "keyId" in match and all(target.operation == PUT_UPLOAD for target in meant):
        raise Invalid(fieldErrors={"match": ["keyId: An upload is sent without a key"]})


def _names_influencer(operation: Operation) -> bool:
    """Whether the path or the body of an operation has the id of an influencer."""
    of_body = (as_object({pointer: ""}) for pointer in INFLUENCERS_OF_BODY)
    schema = operation.body
    in_body = schema is not None and any(unknown_field(schema, each) is None for each in of_body)
    return "<influencer_id>" in operation.path or in_body


def _check_body(wanted: Mapping[str, Any], meant: list[Operation]) -> None:
    """Raises Invalid when no body of these operations can have all the wanted fields."""
    schemas = [each.body for each in meant if each.body is not None]
    if not schemas or not wanted:
        raise Invalid(fieldErrors={"match": ["body: Only for operations with a body, and at least one field of it"]})
    parts = [as_object({name: value}) for name, value in wanted.items()]
    unknown = [[name for part in parts if (name := unknown_field(each, part)) is not None] for each in schemas]
    if all(unknown):
        field = unknown[0][0] or '""'
        forms = '{"personality": {"humor": "dry"}} or {"/personality/humor": "dry"}'
        raise Invalid(fieldErrors={"match": [f"body: No such body has {field}; it is as in {forms}"]})


def as_object(parts: Mapping[str, Any]) -> Record:
    """Return {"a": {"b": value}} of the JSON Pointer in {"/a/b": value}; other names stay."""
    found: Record = {}
    for name, value in parts.items():
        first, *rest = name[1:].split("/") if name.startswith("/") else [name]
        for piece in reversed(rest):
            value = {piece: value}
        found[first] = value
    return found


def unknown_field(schema: Schema, wanted: Mapping[str, Any]) -> str | None:
    """Return the first field of `wanted` that the schema does not know, `outer.inner`; None if it knows all."""
    for name, value in wanted.items():
        field = schema.fields.get(name)
        if field is None:
            return name
        if isinstance(field, Object) and isinstance(value, dict) and (inner := unknown_field(field.schema, value)):
            return f"{name}.{inner}"
    return None


def check_operation(name: str, api: Operations) -> None:
    """Raises Invalid when the request log can have no operation of this name."""
    if name not in (names := operation_names(api)):
        raise Invalid("Invalid query.", fieldErrors={"operation": [_unknown_operation(names)]})


def check_key(key_id: str, scope: str, store: Store) -> None:
    """Raises Invalid when an organization, or with ALL every one, has no key of this id, `apiKeyId` or public."""
    named = store.db.read_each("api_key_ids", canonical(key_id))
    keys = map(store.keys.find, [key_id, *(each["publicId"] for each in named)])
    if not any(key and not key.get("deleted") and scope in (ALL, key["organizationId"]) for key in keys):
        whose = "There is" if scope == ALL else "The organization has"
        known = "the apiKeyId of whoami, or the 16 characters after lp_test_ or lp_live_"
        raise Invalid(fieldErrors={"match": [f"keyId: {whose} no key of this id; it is {known}"]})


def _targets(api: Operations) -> Iterator[RequestInfo]:
    """Yield the requests that faults can match, with `{placeholders}` in their paths."""
    for each in api:
        begins_job = each.endpoint_class == LONG_RUNNING
        yield RequestInfo(each.name, each.method, template(each.path), begins_job=begins_job)
    yield RequestInfo(PUT_UPLOAD, "PUT", template(UPLOAD_PATH))


def operation_names(api: Operations) -> list[str]:
    """Return the names of the operations that requests can have, in the order of the alphabet."""
    return sorted(target.operation for target in _targets(api))


def _unknown_operation(names: list[str]) -> str:
    return f"Unknown operation; there are {', '.join(names)}"


def _is_meant(match: Mapping[str, Any], target: RequestInfo) -> bool:
    return (
        match.get("operation", target.operation) == target.operation
        and match.get("method", target.method) == target.method
        and ("path" not in match or _can_meet(match["path"], target.path))
    )


def _can_meet(pattern: str, template: str) -> bool:
    """Whether a path can match both, piece by piece."""
    pairs = pairs_of_pieces(pattern, template) if _PATH.fullmatch(PLACEHOLDER.sub("x", pattern)) else None
    return pairs is not None and all(fits_piece(piece, other) or fits_piece(other, piece) for piece, other in pairs)


def _unknown(match: Mapping[str, Any], targets: list[RequestInfo]) -> str:
    """Return a sentence about a match that no request can have."""
    if "operation" in match:
        return f"operation: {_unknown_operation(sorted(each.operation for each in targets))}"
    methods = sorted({each.method for each in targets if _is_meant({"path": match["path"]}, each)})
    if methods:
        return f"method: There is only {', '.join(methods)} with this path"
    closest = closest_paths(match["path"], {each.path for each in targets}, 1)
    hint = f"the closest is {closest[0]}" if closest else "they are like /v1/influencers/:influencerId, or /v1/*"
    return f"path: No operation has this path; {hint}"
