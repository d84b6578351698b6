"""The headers of responses."""

from typing import Any

from layers_standin.openapi.json_schema import COUNT, ENDPOINT_CLASSES, FIELDS, FROM_ONE, TEXT, JsonSchema, constant

OF_LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def _header(about: str, schema: JsonSchema, required: bool = False) -> dict[str, Any]:
    return {"description": about, "required": required, "schema": schema}


HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": _header(
        "The request's name, as it stands in error bodies and in the log.", FIELDS["requestId"], True
    ),
    "X-RateLimit-Limit": _header("How many requests the window allows; only when limits are on.", COUNT),
    "X-RateLimit-Remaining": _header("How many are left of them.", COUNT),
    "X-RateLimit-Reset": _header("When the window ends, in seconds since 1970.", COUNT),
    "Retry-After": _header("In how many seconds to try again.", FROM_ONE, True),
    "Idempotent-Replayed": _header("This is the reply to an earlier request with that key.", constant("true")),
    "ETag": _header("What this reply can be asked for by, in If-None-Match.", TEXT, True),
}


def headers(endpoint_class: str | None, *names: str) -> dict[str, Any]:
    """Return the headers of a response: those of every response, and the named ones; None stands for any class."""
    classes = ENDPOINT_CLASSES if endpoint_class is None else [endpoint_class]
    own = {"X-RateLimit-Endpoint-Class": _header("Which limit the request counts for.", {"enum": classes}, True)}
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)} | own
