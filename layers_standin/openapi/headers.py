"""The headers of responses."""

from typing import Any

from layers_standin.openapi.responses import REQUEST_ID, JsonSchema

ENDPOINT_CLASSES = ["read-light", "write-light", "long-running"]


def _header(about: str, schema: JsonSchema, required: bool = False) -> dict[str, Any]:
    return {"description": about, "required": required, "schema": schema}


_COUNT: JsonSchema = {"type": "integer", "minimum": 0}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": _header("The request's name, as it stands in error bodies and in the log.", REQUEST_ID, True),
    "X-RateLimit-Limit": _header("How many requests the window allows; only when limits are on.", _COUNT),
    "X-RateLimit-Remaining": _header("How many are left of them.", _COUNT),
    "X-RateLimit-Reset": _header("When the window ends, in seconds since 1970.", _COUNT),
    "Retry-After": _header("In how many seconds to try again.", {"type": "integer", "minimum": 1}, True),
    "Idempotent-Replayed": _header("This is the reply to an earlier request with that key.", {"const": "true"}),
    "ETag": _header("What this reply can be asked for by, in If-None-Match.", {"type": "string"}, True),
}


def headers(
    endpoint_class: str | None = None,
    *,
    limits: bool = False,
    wait: bool = False,
    replayed: bool = False,
    tag: bool = False,
) -> dict[str, Any]:
    """Return the headers of a response; without `endpoint_class`, of a response of any class."""
    classes = ENDPOINT_CLASSES if endpoint_class is None else [endpoint_class]
    own = {"X-RateLimit-Endpoint-Class": _header("Which limit the request counts for.", {"enum": classes}, True)}
    named = {
        "X-RateLimit-Limit": limits,
        "X-RateLimit-Remaining": limits,
        "X-RateLimit-Reset": limits,
        "Retry-After": wait,
        "Idempotent-Replayed": replayed,
        "ETag": tag,
    }
    present = ["X-Request-Id", *(name for name, is_sent in named.items() if is_sent)]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in present} | own
