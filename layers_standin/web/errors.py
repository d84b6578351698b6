"""Every error of a request, its HTTP status, and the one envelope they all come in."""

from typing import Any

import orjson

from layers_standin.domain.errors import StoreError
from layers_standin.engines.errors import EngineError, Unconfirmed

MAX_BODY_BYTES = 1 << 20


class Refusal(Exception):
    """Base of the errors of the HTTP layer; `details` is their evidence."""

    code = "INTERNAL"
    message = "Internal error."
    limits: list[tuple[str, str]] | None = None  # the headers of the rate limit that was hit
    retry_after: int | None = None  # whole seconds until it is worth trying again
    status: int | None = None  # another one than that of the code

    def __init__(self, message: str | None = None, **details: Any) -> None:
        super().__init__(message or self.message)
        self.details = details


class Unauthenticated(Refusal):
    code = "UNAUTHENTICATED"
    message = "Missing or invalid API key."


class KeyKilled(Refusal):
    code = "KILL_SWITCH"
    message = "This API key has been disabled."


class ForbiddenScope(Refusal):
    code = "FORBIDDEN_SCOPE"
    message = "This API key lacks the required scope."


class Forbidden(Refusal):
    """The signature of a presigned URL does not allow this."""

    code = "FORBIDDEN"
    message = "The upload URL is not valid for this request."


class ReturnUrlNotAllowed(Refusal):
    code = "RETURN_URL_NOT_ALLOWED"
    message = "The returnUrl is not on the allow-list."


class TooLarge(Refusal):
    code = "PAYLOAD_TOO_LARGE"
    message = "Request body is too large."


class RateLimited(Refusal):
    code = "RATE_LIMITED"
    message = "Too many requests."

    def __init__(self, endpoint_class: str, limits: list[tuple[str, str]], retry_after: int) -> None:
        super().__init__(endpointClass=endpoint_class)
        self.limits, self.retry_after = limits, retry_after


class Invalid(Refusal):
    code = "VALIDATION"
    message = "Invalid body."


STATUS_OF_CODE = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN_SCOPE": 403,
    "FORBIDDEN": 403,
    "RETURN_URL_NOT_ALLOWED": 403,
    "APPROVAL_REQUIRED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "CONTENT_REJECTED": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "PRECONDITION_FAILED": 412,
    "PAYLOAD_TOO_LARGE": 413,
    "RANGE_NOT_SATISFIABLE": 416,
    "VALIDATION": 422,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,  # before the other 503, for `Prefer: code=503` gets the first
    "KILL_SWITCH": 503,
}
UNAVAILABLE = "The store is unavailable; nothing was changed."
_KINDS: list[type[Refusal] | type[StoreError]] = [*Refusal.__subclasses__(), *StoreError.__subclasses__()]
STATUS: dict[type[Exception], int] = {kind: STATUS_OF_CODE[kind.code] for kind in _KINDS} | {EngineError: 503}

# The message of an error without one of its own.
MESSAGES: dict[str, str] = {
    "NOT_FOUND": "Not found.",
    "METHOD_NOT_ALLOWED": "Method not allowed.",
    "CONFLICT": "Conflict.",
    "CONTENT_REJECTED": "The container was rejected.",
    "APPROVAL_REQUIRED": "The container is not approved.",
    "IDEMPOTENCY_CONFLICT": "Idempotency-Key was used with a different body.",
    "PRECONDITION_FAILED": "It is not as If-Match or If-Unmodified-Since says.",
    "RANGE_NOT_SATISFIABLE": "The file has no such part.",
    "INTERNAL": "Internal error.",
    "UNAVAILABLE": UNAVAILABLE,
} | {kind.code: kind.message for kind in Refusal.__subclasses__()}


def envelope(code: str, message: str, request_id: str, details: dict[str, Any] | None = None) -> bytes:
    """Return the body of an error reply."""
    error: dict[str, Any] = {"code": code, "message": message, "requestId": request_id}
    return orjson.dumps({"error": error | ({"details": details} if details else {})})


_OF_HTTP = {
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    412: "PRECONDITION_FAILED",
    413: "PAYLOAD_TOO_LARGE",
    416: "RANGE_NOT_SATISFIABLE",
    500: "INTERNAL",
}


def http_refusal(status: int, request_id: str) -> tuple[int, bytes]:
    """Map an error status of Flask, Werkzeug or gunicorn to (status, body); one not in the contract becomes 422."""
    code = _OF_HTTP.get(status, "VALIDATION")
    message = "Invalid request." if code == "VALIDATION" else MESSAGES[code]
    details: dict[str, Any] = {"maxBytes": MAX_BODY_BYTES} if code == "PAYLOAD_TOO_LARGE" else {}
    if code == "VALIDATION":
        details = {"fieldErrors": {}, "formErrors": ["The request is not valid HTTP"]}
    return STATUS_OF_CODE[code], envelope(code, message, request_id, details)


def refusal(error: StoreError | Refusal | EngineError, request_id: str) -> tuple[int, bytes]:
    """Return (status, body) for an error raised on purpose."""
    if isinstance(error, Unconfirmed):
        return 503, envelope("UNAVAILABLE", "The store is unavailable; this may or may not have been done.", request_id)
    if isinstance(error, EngineError):
        return 503, envelope("UNAVAILABLE", UNAVAILABLE, request_id)
    status = error.status if isinstance(error, Refusal) else None
    return status or STATUS_OF_CODE[error.code], envelope(error.code, str(error), request_id, error.details)
