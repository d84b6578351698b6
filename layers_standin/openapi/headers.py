"""The headers of responses."""

from typing import Any

from layers_standin.openapi.json_schema import COUNT, ENDPOINT_CLASSES, FIELDS, FROM_ONE, TEXT, JsonSchema, constant

_LIMITS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_CLASS = "X-RateLimit-Endpoint-Class"


def _header(schema: JsonSchema, required: bool = False) -> dict[str, Any]:
    return {"required": required, "schema": schema}


HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": _header(FIELDS["requestId"], required=True),
    **dict.fromkeys(_LIMITS, _header(COUNT)),
    "Retry-After": _header(FROM_ONE, required=True),
    "Idempotent-Replayed": _header(constant("true")),
    "ETag": _header(TEXT, required=True),
    _CLASS: _header({"enum": ENDPOINT_CLASSES}, required=True),
    # The same header of one class alone; a response refers to them by the header's own name.
    **{name: _header({"enum": [name]}, required=True) for name in ENDPOINT_CLASSES},
}


def response_headers(
    status: int, endpoint_class: str | None, limited: bool, replays: bool, tagged: bool = False
) -> dict[str, Any]:
    """Return the headers of a response as references; a class of None stands for any."""
    sent = {
        "X-Request-Id": True,
        **dict.fromkeys(_LIMITS, limited and status != 401),
        "Retry-After": status == 429,
        "Idempotent-Replayed": replays and (status < 300 or status in (404, 409)),
        "ETag": tagged and status < 400,
    }
    names = {name: name for name, is_sent in sent.items() if is_sent}
    names[_CLASS] = endpoint_class or _CLASS
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}
