"""Every error response of the document: a schema and an example in the one envelope."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from layers_standin.domain.keys import SCOPES
from layers_standin.openapi.headers import ENDPOINT_CLASSES
from layers_standin.openapi.responses import REQUEST_ID, JsonSchema, constant, listed, minted, record, ref
from layers_standin.web.errors import MAX_BODY_BYTES, STATUS_OF_CODE

EXAMPLE_REQUEST_ID = "req_01HXZE8R5T7W9Y1A3C5E7G9J1K"


class Refusal(NamedTuple):
    """An error response; `details` are its details by example, `evidence` their schema, None where there are none."""

    code: str
    when: str
    message: str
    details: Mapping[str, Any] | None = None
    evidence: JsonSchema | None = None
    always: bool = True

    @property
    def status(self) -> int:
        return STATUS_OF_CODE[self.code]

    def schema(self) -> JsonSchema:
        """Return the schema of the whole envelope."""
        told = {} if self.evidence is None else {"details": self.evidence}
        known = {"code": constant(self.code), "message": {"type": "string"}, "requestId": REQUEST_ID}
        error = record(**known | told) if self.always else record(told, **known)
        return record(error=error) | {"description": self.when}

    def example(self) -> dict[str, Any]:
        error = {"code": self.code, "message": self.message, "requestId": EXAMPLE_REQUEST_ID}
        return {"error": error | ({} if self.details is None else {"details": dict(self.details)})}


def refused(refusals: Mapping[str, Refusal], headers: Callable[[int], Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the error responses by status; `headers` are those of a status."""
    by_status: dict[int, dict[str, Refusal]] = {}
    for name, refusal in refusals.items():
        by_status.setdefault(refusal.status, {})[name] = refusal
    return {str(status): _response(by_status[status], headers(status)) for status in sorted(by_status)}


def _response(refusals: Mapping[str, Refusal], headers: Mapping[str, Any]) -> dict[str, Any]:
    schemas = [ref(name) for name in refusals]
    examples = {name: {"summary": refusal.when, "value": refusal.example()} for name, refusal in refusals.items()}
    content = {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, "examples": examples}
    about = "\n\n".join(f"`{refusal.code}`: {refusal.when}" for refusal in refusals.values())
    return {"description": about, "headers": dict(headers), "content": {"application/json": content}}


def _conflict(subcode: str, when: str, message: str, details: Mapping[str, Any], **fields: JsonSchema) -> Refusal:
    evidence = record(subcode=constant(subcode), **fields)
    return Refusal("CONFLICT", when, message, {"subcode": subcode, **details}, evidence)


def _both(value: JsonSchema) -> JsonSchema:
    return record(expected=value, received=value)


_ID: JsonSchema = {"type": "string", "minLength": 1}
_ULID = "01HXZF2A4C6E8G0J2M4P6R8T0V"
_MESSAGES: JsonSchema = listed({"type": "string"})
_SIZE: JsonSchema = {"type": "integer", "minimum": 0}
_TYPE: JsonSchema = {"type": "string"}
_HASH: JsonSchema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}

# By the name of its schema in the document.
REFUSALS: dict[str, Refusal] = {
    "Unauthenticated": Refusal("UNAUTHENTICATED", "No key, or none of ours.", "Missing or invalid API key."),
    "NoControlToken": Refusal(
        "UNAUTHENTICATED", "No control token, or not the one that was set.", "Missing or invalid control token."
    ),
    "ForbiddenScope": Refusal(
        "FORBIDDEN_SCOPE",
        "The key lacks the scope.",
        "This API key lacks the required scope.",
        {"required": SCOPES[0]},
        record(required={"enum": list(SCOPES)}),
    ),
    "Forbidden": Refusal(
        "FORBIDDEN",
        "The signature is not ours, has expired, or is for another type.",
        "The upload URL is not valid for this request.",
    ),
    "NotFromHere": Refusal(
        "FORBIDDEN",
        "From another machine, through a proxy, or by a page of another origin; only where no token is set.",
        "The control plane answers only on this machine; set STANDIN_CONTROL to a token to open it.",
    ),
    "NotFound": Refusal("NOT_FOUND", "Unknown, of another organization, or deleted.", "Not found."),
    "MethodNotAllowed": Refusal("METHOD_NOT_ALLOWED", "The path has no such method.", "Method not allowed."),
    "IdempotencyConflict": Refusal(
        "IDEMPOTENCY_CONFLICT",
        "The Idempotency-Key came before with another body.",
        "Idempotency-Key was used with a different body.",
    ),
    "InfluencerIdTaken": _conflict(
        "ID_TAKEN",
        "The organization has an influencer of that id, perhaps a deleted one.",
        "Influencer id is already taken.",
        {"influencerId": f"inf_{_ULID}"},
        influencerId=_ID,
    ),
    "ProjectIdTaken": _conflict(
        "ID_TAKEN",
        "The organization has a project of that id.",
        "Project id is already taken.",
        {"id": "spring-launch"},
        id=_ID,
    ),
    "ProjectIsArchived": _conflict(
        "PROJECT_ARCHIVED",
        "An archived project takes no new influencers.",
        "Project is archived.",
        {"projectId": f"proj_{_ULID}"},
        projectId=_ID,
    ),
    "JobNotCancelable": _conflict(
        "JOB_CANCEL_UNAVAILABLE",
        "The job is in its last stage.",
        "The job can no longer be canceled.",
        {"jobId": f"job_{_ULID}", "stage": "finalizing"},
        jobId=minted("job"),
        stage=constant("finalizing"),
    ),
    "UploadMissing": _conflict(
        "UPLOAD_MISSING",
        "The bytes are not there yet.",
        "The upload has not arrived.",
        {"uploadId": f"upl_{_ULID}"},
        uploadId=minted("upl"),
    ),
    "UploadMismatch": Refusal(
        "CONFLICT",
        "The bytes are not as declared.",
        "The upload is not as declared.",
        {"subcode": "UPLOAD_MISMATCH", "sizeBytes": {"expected": 4096, "received": 4095}},
        record(
            {"contentType": _both(_TYPE), "sizeBytes": _both(_SIZE), "checksumSha256": _both(_HASH)},
            subcode=constant("UPLOAD_MISMATCH"),
        ),
    ),
    "UploadFinalized": _conflict(
        "UPLOAD_FINALIZED",
        "The upload is an asset by now.",
        "Upload is already finalized.",
        {"uploadId": f"upl_{_ULID}"},
        uploadId=minted("upl"),
    ),
    "SecretNotKept": _conflict(
        "NOT_KEPT",
        "The repetition of a request whose reply held a secret.",
        "This was done; its reply held a secret and was not kept.",
        {},
    ),
    "NoSeed": _conflict("NO_SEED", "The service has no seed.", "There is no seed: STANDIN_SEED is none.", {}),
    "TooManyFaults": _conflict("TOO_MANY_FAULTS", "There are 100 already.", "There are 100 faults already.", {}),
    "AmbiguousId": _conflict(
        "AMBIGUOUS",
        "Several organizations have an influencer of that id.",
        "Several organizations have an influencer of this id: say organizationId.",
        {},
    ),
    "PayloadTooLarge": Refusal(
        "PAYLOAD_TOO_LARGE",
        "The body is larger than `maxBytes`, or request line and headers are.",
        "Request body is too large.",
        {"maxBytes": MAX_BODY_BYTES},
        record(maxBytes={"type": "integer", "minimum": 1}),
        always=False,
    ),
    "NoSuchPart": Refusal(
        "RANGE_NOT_SATISFIABLE", "The file ends before the range begins.", "The file has no such part."
    ),
    "Invalid": Refusal(
        "VALIDATION",
        "Body, query or Idempotency-Key is wrong; all faults at once.",
        "Invalid body.",
        {"fieldErrors": {"mood": ["Unrecognized key"]}},
        record({"formErrors": _MESSAGES}, fieldErrors={"type": "object", "additionalProperties": _MESSAGES}),
    ),
    "RateLimited": Refusal(
        "RATE_LIMITED",
        "Too many requests; only when limits are on.",
        "Too many requests.",
        {"endpointClass": "read-light"},
        record(endpointClass={"enum": ENDPOINT_CLASSES}),
    ),
    "Internal": Refusal("INTERNAL", "A fault of the service.", "Internal error."),
    "KillSwitch": Refusal(
        "KILL_SWITCH",
        "The key is switched off.",
        "This API key has been disabled.",
        {"scope": "key"},
        record(scope=constant("key")),
    ),
    "Unavailable": Refusal(
        "UNAVAILABLE",
        "The store cannot go on; the message says whether anything may have been done.",
        "The store is unavailable; nothing was changed.",
    ),
}
