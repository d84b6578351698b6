"""The headers of responses."""

from typing import Any

from layers_standin.openapi.json_schema import COUNT, ENDPOINT_CLASSES, FIELDS, FROM_ONE, TEXT, JsonSchema, constant


def _header(about: str, schema: JsonSchema, required: bool = False) -> dict[str, Any]:
    return {"description": about, "required": required, "schema": schema}


def _endpoint_class(*classes: str) -> dict[str, Any]:
    return _header("The rate limit that the request counts for.", {"enum": [*classes]}, True)


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
    "X-RateLimit-Endpoint-Class": _endpoint_class(*ENDPOINT_CLASSES),
    # The same header of one class alone; a response refers to them by the header's own name.
    **{name: _endpoint_class(name) for name in ENDPOINT_CLASSES},
}


def response_headers(
    status: int, endpoint_class: str | None, limited: bool, replays: bool, tagged: bool = False
) -> dict[str, Any]:
    """Return the headers of a response as references; a class of None stands for any."""
    sent = {
        "X-Request-Id": True,
        "X-RateLimit-Limit": limited and status != 401,
        "X-RateLimit-Remaining": limited and status != 401,
        "X-RateLimit-Reset": limited and status != 401,
        "Retry-After": status == 429,
        "Idempotent-Replayed": replays and (status < 300 or status in (404, 409)),
        "ETag": tagged and status < 400,
    }
    names = {name: name for name, is_sent in sent.items() if is_sent}
    names["X-RateLimit-Endpoint-Class"] = endpoint_class or "X-RateLimit-Endpoint-Class"
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}
