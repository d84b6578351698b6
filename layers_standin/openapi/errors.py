"""Every error response of the document: a schema and an example in the one envelope."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from layers_standin.domain.keys import SCOPES
from layers_standin.domain.posts import STATUSES
from layers_standin.domain.schedules import UNCANCELABLE
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.descriptions import TEXTS
from layers_standin.openapi.headers import response_headers
from layers_standin.openapi.json_schema import FIELDS, JsonSchema, record, record_like, ref
from layers_standin.web.access import ELSEWHERE
from layers_standin.web.errors import MAX_BODY_BYTES, MESSAGES, STATUS_OF_CODE
from layers_standin.web.return_urls import NOT_ALLOWED

EXAMPLE_REQUEST_ID = "req_01HXZE8R5T7W9Y1A3C5E7G9J1K"


class ErrorResponse(NamedTuple):
    """An error response.

    `message` is an example, the usual one of its code unless given. `details` are an example too, and `evidence` is
    their schema; both are None where there are no details, and `always` is false where there are none at times. `title`
    is the name of its response, unless it is that of its schema.
    """

    code: str
    message: str | None = None
    details: Mapping[str, Any] | None = None
    evidence: JsonSchema | None = None
    always: bool = True
    title: str | None = None

    @property
    def status(self) -> int:
        return STATUS_OF_CODE[self.code]

    def schema(self) -> JsonSchema:
        """Return the schema of the whole envelope."""
        details = {} if self.evidence is None else {"details": self.evidence}
        known = {"code": schema.constant(self.code), "message": schema.TEXT, "requestId": FIELDS["requestId"]}
        error = record(**known | details) if self.always else record(details, **known)
        return record(error=error)

    def example(self) -> dict[str, Any]:
        message = MESSAGES[self.code] if self.message is None else self.message
        error = {"code": self.code, "message": message, "requestId": EXAMPLE_REQUEST_ID}
        return {"error": error | ({} if self.details is None else {"details": dict(self.details)})}


def error_responses(
    errors: Mapping[str, ErrorResponse], limited: bool, replays: bool
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return (name, response) by status; the same errors and rules make the same response under the same name."""
    by_status: dict[int, dict[str, ErrorResponse]] = {}
    for name, error in errors.items():
        by_status.setdefault(error.status, {})[name] = error
    responses = {}
    for status, found in sorted(by_status.items()):
        title = "Or".join(error.title or name for name, error in found.items())
        title += ("Replayable" if replays and status == 404 else "") + ("" if limited else "Unmetered")
        responses[str(status)] = title, _response(found, response_headers(status, None, limited, replays))
    return responses


def _response(errors: Mapping[str, ErrorResponse], headers: Mapping[str, Any]) -> dict[str, Any]:
    schemas = [ref(name) for name in errors]
    examples = {name: {"summary": TEXTS["schemas"][name], "value": error.example()} for name, error in errors.items()}
    content = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}, "examples": examples}
    about = "\n\n".join(f"`{error.code}`: {TEXTS['schemas'][name]}" for name, error in errors.items())
    return {"description": about, "headers": headers, "content": {"application/json": content}}


def _detailed(code: str, message: str | None = None, **details: Any) -> ErrorResponse:
    """Return an error whose details always have the fields of this example."""
    return ErrorResponse(code, message, details, record_like(details, *details.keys() & _CONSTANTS))


def _conflict(subcode: str, message: str, **details: str) -> ErrorResponse:
    return _detailed("CONFLICT", message, subcode=subcode, **details)


def _expected(value: JsonSchema) -> JsonSchema:
    return record(expected=value, received=value)


_ULID = "01HXZF2A4C6E8G0J2M4P6R8T0V"
_CONSTANTS = {"scope", "subcode"}
_MESSAGES = schema.listed(schema.TEXT)

# By the name of its schema in the document.
ERRORS: dict[str, ErrorResponse] = {
    "Unauthenticated": ErrorResponse("UNAUTHENTICATED"),
    "NoControlToken": ErrorResponse("UNAUTHENTICATED", "Missing or invalid control token."),
    "ForbiddenScope": _detailed("FORBIDDEN_SCOPE", required=SCOPES[0]),
    "Forbidden": ErrorResponse("FORBIDDEN"),
    "NotFromHere": ErrorResponse("FORBIDDEN", ELSEWHERE),
    "ReturnUrlNotAllowed": ErrorResponse("RETURN_URL_NOT_ALLOWED", NOT_ALLOWED),
    "NotFound": ErrorResponse("NOT_FOUND"),
    "MethodNotAllowed": ErrorResponse("METHOD_NOT_ALLOWED"),
    "ContentIsRejected": _detailed("CONTENT_REJECTED", containerId=f"cnt_{_ULID}"),
    "ApprovalRequired": ErrorResponse(
        "APPROVAL_REQUIRED",
        details={"containerId": f"cnt_{_ULID}", "approvalStatus": "pending"},
        evidence=record(containerId=schema.ID, approvalStatus=schema.constant("pending")),
    ),
    "ContainerNotCompleted": ErrorResponse(
        "CONFLICT",
        "The container is not completed.",
        {"subcode": "CONTAINER_NOT_COMPLETED", "containerId": f"cnt_{_ULID}", "status": "generating"},
        record(
            subcode=schema.constant("CONTAINER_NOT_COMPLETED"),
            containerId=schema.ID,
            status={"enum": ["queued", "generating", "failed", "canceled"]},
        ),
    ),
    "PostNotQueued": ErrorResponse(
        "CONFLICT",
        "A post that is published cannot be canceled.",
        {"subcode": "POST_NOT_QUEUED", "status": "published"},
        record(subcode=schema.constant("POST_NOT_QUEUED"), status={"enum": list(STATUSES[1:])}),
    ),
    "PostIdTaken": _conflict("ID_TAKEN", "Scheduled post id is already taken.", scheduledPostId=f"sp_{_ULID}"),
    "IdempotencyConflict": ErrorResponse("IDEMPOTENCY_CONFLICT"),
    "InfluencerIdTaken": _conflict("ID_TAKEN", "Influencer id is already taken.", influencerId=f"inf_{_ULID}"),
    "ProjectIdTaken": _conflict("ID_TAKEN", "Project id is already taken.", id="spring-launch"),
    "ProjectIsArchived": _conflict("PROJECT_ARCHIVED", "Project is archived.", projectId=f"proj_{_ULID}"),
    "ContainerIdTaken": _conflict("ID_TAKEN", "Container id is already taken.", containerId=f"cnt_{_ULID}"),
    "ContainerNotFinished": ErrorResponse(
        "CONFLICT",
        "The container is still being generated.",
        {"subcode": "CONTAINER_NOT_FINISHED", "containerId": f"cnt_{_ULID}", "status": "queued"},
        record(
            subcode=schema.constant("CONTAINER_NOT_FINISHED"),
            containerId=schema.ID,
            status={"enum": ["queued", "generating"]},
        ),
    ),
    "NotPending": ErrorResponse(
        "CONFLICT",
        "Container is already rejected.",
        {"approvalStatus": "rejected"},
        record(approvalStatus={"enum": ["not_required", "approved", "rejected"]}),
    ),
    "JobNotCancelable": ErrorResponse(
        "CONFLICT",
        "The job can no longer be canceled.",
        {"subcode": "JOB_CANCEL_UNAVAILABLE", "jobId": f"job_{_ULID}", "stage": "finalizing"},
        record(
            subcode=schema.constant("JOB_CANCEL_UNAVAILABLE"),
            jobId=FIELDS["jobId"],
            stage={"enum": list(UNCANCELABLE)},
        ),
    ),
    "UploadMissing": _conflict("UPLOAD_MISSING", "The upload has not arrived.", uploadId=f"upl_{_ULID}"),
    "UploadMismatch": ErrorResponse(
        "CONFLICT",
        "The upload is not as declared.",
        {"subcode": "UPLOAD_MISMATCH", "sizeBytes": {"expected": 4096, "received": 4095}},
        record(
            {
                "contentType": _expected(schema.TEXT),
                "sizeBytes": _expected(schema.COUNT),
                "checksumSha256": _expected(schema.SHA256),
            },
            subcode=schema.constant("UPLOAD_MISMATCH"),
        ),
    ),
    "UploadFinalized": _conflict("UPLOAD_FINALIZED", "Upload is already finalized.", uploadId=f"upl_{_ULID}"),
    "SecretNotKept": _conflict("NOT_KEPT", "This was done; its reply held a secret and was not kept."),
    "NoSeed": _conflict("NO_SEED", "There is no seed: STANDIN_SEED is none."),
    "TooManyFaults": _conflict("TOO_MANY_FAULTS", "There are 100 faults already."),
    "AmbiguousId": _conflict("AMBIGUOUS", "Several organizations have an influencer of this id: say organizationId."),
    "PayloadTooLarge": _detailed("PAYLOAD_TOO_LARGE", maxBytes=MAX_BODY_BYTES)._replace(always=False),
    "PreconditionFailed": ErrorResponse("PRECONDITION_FAILED"),
    "NoSuchPart": ErrorResponse("RANGE_NOT_SATISFIABLE"),
    "Invalid": ErrorResponse(
        "VALIDATION",
        details={"fieldErrors": {"mood": ["Unrecognized key"]}},
        title="InvalidBody",
        evidence=record({"formErrors": _MESSAGES}, fieldErrors={"type": "object", "additionalProperties": _MESSAGES}),
    ),
    "RateLimited": _detailed("RATE_LIMITED", endpointClass="read-light"),
    "Internal": ErrorResponse("INTERNAL"),
    "KillSwitch": _detailed("KILL_SWITCH", scope="key"),
    "Unavailable": ErrorResponse("UNAVAILABLE"),
}
