"""Every error response of the document: a schema and an example in the one envelope."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from layers_standin.domain.keys import SCOPES
from layers_standin.openapi.json_schema import (
    COUNT,
    FIELDS,
    SHA256,
    TEXT,
    JsonSchema,
    constant,
    listed,
    record,
    record_like,
    ref,
)
from layers_standin.web.access import ELSEWHERE
from layers_standin.web.errors import MAX_BODY_BYTES, MESSAGES, STATUS_OF_CODE

EXAMPLE_REQUEST_ID = "req_01HXZE8R5T7W9Y1A3C5E7G9J1K"


class ErrorResponse(NamedTuple):
    """An error response.

    `when` is its description, `message` an example, the usual one of its code unless given. `details` are an example
    too, and `evidence` is their schema; both are None where there are no details, and `always` is false where there
    are none at times.
    """

    code: str
    when: str
    message: str | None = None
    details: Mapping[str, Any] | None = None
    evidence: JsonSchema | None = None
    always: bool = True

    @property
    def status(self) -> int:
        return STATUS_OF_CODE[self.code]

    def schema(self) -> JsonSchema:
        """Return the schema of the whole envelope."""
        details = {} if self.evidence is None else {"details": self.evidence}
        known = {"code": constant(self.code), "message": TEXT, "requestId": FIELDS["requestId"]}
        error = record(**known | details) if self.always else record(details, **known)
        return record(error=error) | {"description": self.when}

    def example(self) -> dict[str, Any]:
        message = MESSAGES[self.code] if self.message is None else self.message
        error = {"code": self.code, "message": message, "requestId": EXAMPLE_REQUEST_ID}
        return {"error": error | ({} if self.details is None else {"details": dict(self.details)})}


def error_responses(
    errors: Mapping[str, ErrorResponse], headers: Callable[[int], Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the error responses by status; `headers` are those of a status."""
    by_status: dict[int, dict[str, ErrorResponse]] = {}
    for name, error in errors.items():
        by_status.setdefault(error.status, {})[name] = error
    return {str(status): _response(by_status[status], headers(status)) for status in sorted(by_status)}


def _response(errors: Mapping[str, ErrorResponse], headers: Mapping[str, Any]) -> dict[str, Any]:
    schemas = [ref(name) for name in errors]
    examples = {name: {"summary": error.when, "value": error.example()} for name, error in errors.items()}
    content = {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, "examples": examples}
    about = "\n\n".join(f"`{error.code}`: {error.when}" for error in errors.values())
    return {"description": about, "headers": dict(headers), "content": {"application/json": content}}


def _detailed(code: str, when: str, message: str | None = None, **details: Any) -> ErrorResponse:
    """Return an error whose details always have the fields of this example."""
    return ErrorResponse(code, when, message, details, record_like(details, *details.keys() & _CONSTANTS))


def _conflict(subcode: str, when: str, message: str, **details: str) -> ErrorResponse:
    return _detailed("CONFLICT", when, message, subcode=subcode, **details)


def _expected(schema: JsonSchema) -> JsonSchema:
    return record(expected=schema, received=schema)


_ULID = "01HXZF2A4C6E8G0J2M4P6R8T0V"
_CONSTANTS = {"scope", "stage", "subcode"}
_MESSAGES = listed(TEXT)

# By the name of its schema in the document.
ERRORS: dict[str, ErrorResponse] = {
    "Unauthenticated": ErrorResponse("UNAUTHENTICATED", "No key, or none of ours."),
    "NoControlToken": ErrorResponse(
        "UNAUTHENTICATED", "No control token, or not the one that was set.", "Missing or invalid control token."
    ),
    "ForbiddenScope": _detailed("FORBIDDEN_SCOPE", "The key lacks the scope.", required=SCOPES[0]),
    "Forbidden": ErrorResponse("FORBIDDEN", "The signature is not ours, has expired, or is for another type."),
    "NotFromHere": ErrorResponse(
        "FORBIDDEN",
        "From another machine, through a proxy, or by a page of another origin; only where no token is set.",
        ELSEWHERE,
    ),
    "NotFound": ErrorResponse("NOT_FOUND", "Unknown, of another organization, or deleted."),
    "MethodNotAllowed": ErrorResponse("METHOD_NOT_ALLOWED", "The path has no such method."),
    "IdempotencyConflict": ErrorResponse("IDEMPOTENCY_CONFLICT", "The Idempotency-Key came before with another body."),
    "InfluencerIdTaken": _conflict(
        "ID_TAKEN",
        "The organization has an influencer of that id, perhaps a deleted one.",
        "Influencer id is already taken.",
        influencerId=f"inf_{_ULID}",
    ),
    "ProjectIdTaken": _conflict(
        "ID_TAKEN", "The organization has a project of that id.", "Project id is already taken.", id="spring-launch"
    ),
    "ProjectIsArchived": _conflict(
        "PROJECT_ARCHIVED",
        "An archived project takes no new influencers.",
        "Project is archived.",
        projectId=f"proj_{_ULID}",
    ),
    "JobNotCancelable": _conflict(
        "JOB_CANCEL_UNAVAILABLE",
        "The job is in its last stage.",
        "The job can no longer be canceled.",
        jobId=f"job_{_ULID}",
        stage="finalizing",
    ),
    "UploadMissing": _conflict(
        "UPLOAD_MISSING", "The bytes are not there yet.", "The upload has not arrived.", uploadId=f"upl_{_ULID}"
    ),
    "UploadMismatch": ErrorResponse(
        "CONFLICT",
        "The bytes are not as declared.",
        "The upload is not as declared.",
        {"subcode": "UPLOAD_MISMATCH", "sizeBytes": {"expected": 4096, "received": 4095}},
        record(
            {"contentType": _expected(TEXT), "sizeBytes": _expected(COUNT), "checksumSha256": _expected(SHA256)},
            subcode=constant("UPLOAD_MISMATCH"),
        ),
    ),
    "UploadFinalized": _conflict(
        "UPLOAD_FINALIZED", "The upload is an asset by now.", "Upload is already finalized.", uploadId=f"upl_{_ULID}"
    ),
    "SecretNotKept": _conflict(
        "NOT_KEPT",
        "The repetition of a request whose reply held a secret.",
        "This was done; its reply held a secret and was not kept.",
    ),
    "NoSeed": _conflict("NO_SEED", "The service has no seed.", "There is no seed: STANDIN_SEED is none."),
    "TooManyFaults": _conflict("TOO_MANY_FAULTS", "There are 100 already.", "There are 100 faults already."),
    "AmbiguousId": _conflict(
        "AMBIGUOUS",
        "Several organizations have an influencer of that id.",
        "Several organizations have an influencer of this id: say organizationId.",
    ),
    "PayloadTooLarge": _detailed(
        "PAYLOAD_TOO_LARGE",
        "The body is larger than `maxBytes`, or request line and headers are.",
        maxBytes=MAX_BODY_BYTES,
    )._replace(always=False),
    "NoSuchPart": ErrorResponse("RANGE_NOT_SATISFIABLE", "The file ends before the range begins."),
    "Invalid": ErrorResponse(
        "VALIDATION",
        "Body, query or Idempotency-Key is wrong; all faults at once.",
        details={"fieldErrors": {"mood": ["Unrecognized key"]}},
        evidence=record({"formErrors": _MESSAGES}, fieldErrors={"type": "object", "additionalProperties": _MESSAGES}),
    ),
    "RateLimited": _detailed("RATE_LIMITED", "Too many requests; only when limits are on.", endpointClass="read-light"),
    "Internal": ErrorResponse("INTERNAL", "A fault of the service."),
    "KillSwitch": _detailed("KILL_SWITCH", "The key is switched off.", scope="key"),
    "Unavailable": ErrorResponse(
        "UNAVAILABLE", "The store cannot go on; the message says whether anything may have been done."
    ),
}
