"""Check that a fault's rule can match a request: one that never strikes is a mistake that nobody would notice."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from layers_standin.domain.faults import PLACEHOLDER, RequestInfo, fits_piece, pairs_of_pieces
from layers_standin.domain.ids import canonical
from layers_standin.domain.tables import ALL
from layers_standin.web.closest import closest_paths, template
from layers_standin.web.errors import Invalid
from layers_standin.web.operations import LONG_RUNNING, Operations
from layers_standin.web.uploads import PUT_UPLOAD, UPLOAD_PATH
from store import Store

_PATH = re.compile(r"x|(/[0-9A-Za-z_-][0-9A-Za-z_.-]*)+")  # words and ids, no query and no regular expression


def check_rule(body: Mapping[str, Any], api: Operations) -> None:
    """Raises Invalid when a validated rule matches no operation of the API, or none that it could apply to."""
    match, targets = body["match"], list(_targets(api))
    meant = [target for target in targets if _is_meant(match, target)]
    if not meant:
        raise Invalid(fieldErrors={"match": [_unknown(match, targets)]})
    if "failJob" in body["answer"] and not any(target.begins_job for target in meant):
        raise Invalid(fieldErrors={"answer": ["failJob: Only for operations that begin a job"]})
    if "failPost" in body["answer"] and not any(target.begins_posts for target in meant):
        raise Invalid(fieldErrors={"answer": ["failPost: Only for operations that schedule posts"]})
    if "keyId" in match and all(target.operation == PUT_UPLOAD for target in meant):
        raise Invalid(fieldErrors={"match": ["keyId: An upload is sent without a key"]})


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
