"""Check that a fault's rule can match an operation of the API."""

from collections.abc import Iterator, Mapping
from typing import Any

from layers_standin.domain.faults import RequestInfo, fits_path
from layers_standin.web.errors import Invalid
from layers_standin.web.operations import LONG_RUNNING, Operations
from layers_standin.web.uploads import PUT_UPLOAD, UPLOAD_PATH


def check_rule(body: Mapping[str, Any], api: Operations) -> None:
    """Raises Invalid when a validated rule matches no operation of the API, or none that it could apply to."""
    targets = list(_targets(api))
    meant = [target for target in targets if _is_meant(body["match"], target)]
    if not meant:
        raise Invalid(fieldErrors={"match": [_unknown(body["match"], targets)]})
    if "failJob" in body["answer"] and not any(target.begins_job for target in meant):
        raise Invalid(fieldErrors={"answer": ["failJob: Only for operations that begin a job"]})


def _targets(api: Operations) -> Iterator[RequestInfo]:
    """Yield the requests that faults can match, with `{placeholders}` in their paths."""
    for each in api:
        begins_job = each.endpoint_class == LONG_RUNNING
        yield RequestInfo(each.name, each.method, _template(each.path), begins_job=begins_job)
    yield RequestInfo(PUT_UPLOAD, "PUT", _template(UPLOAD_PATH))


def _template(path: str) -> str:
    return path.replace("<", "{").replace(">", "}")


def _is_meant(match: Mapping[str, Any], target: RequestInfo) -> bool:
    return (
        match.get("operation", target.operation) == target.operation
        and match.get("method", target.method) == target.method
        and ("path" not in match or _can_meet(match["path"], target.path))
    )


def _can_meet(pattern: str, template: str) -> bool:
    """Whether a path can match both, piece by piece."""
    pieces, others = pattern.split("/"), template.split("/")
    return len(pieces) == len(others) and all(
        fits_path(piece, other) or fits_path(other, piece) for piece, other in zip(pieces, others, strict=True)
    )


def _unknown(match: Mapping[str, Any], targets: list[RequestInfo]) -> str:
    if "operation" in match:
        return f"operation: Unknown operation; there are {', '.join(sorted(each.operation for each in targets))}"
    return "path: No operation has this method and path"
