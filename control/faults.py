"""What a fault may be about: only what the API has."""

from collections.abc import Mapping
from typing import Any

from records.faults import fits_path
from web.errors import Invalid
from web.operations import Operation, Operations

JOBS = "long-running"


def check_rule(body: Mapping[str, Any], api: Operations) -> None:
    """Raises Invalid when a judged rule is about no operation of the API, or one it cannot happen to."""
    meant = [operation for operation in api if _is_meant(body["match"], operation)]
    if not meant:
        raise Invalid(fieldErrors={"match": [_unknown(body["match"], api)]})
    if "failJob" in body["answer"] and not any(operation.endpoint_class == JOBS for operation in meant):
        raise Invalid(fieldErrors={"answer": ["failJob: Only for operations that begin a job"]})


def _is_meant(match: Mapping[str, Any], operation: Operation) -> bool:
    template = operation.path.replace("<", "{").replace(">", "}")
    return (
        match.get("operation", operation.name) == operation.name
        and match.get("method", operation.method) == operation.method
        and ("path" not in match or fits_path(template, match["path"]) or fits_path(match["path"], template))
    )


def _unknown(match: Mapping[str, Any], api: Operations) -> str:
    if "operation" in match:
        return f"operation: Unknown operation; there are {', '.join(sorted(each.name for each in api))}"
    return "path: No operation has this method and path"
