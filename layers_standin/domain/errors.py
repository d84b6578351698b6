"""Errors of the domain's rules, each named for the event. None of these know HTTP."""

from typing import Any


class StoreError(Exception):
    """Base of the errors of the rules; `details` is the evidence."""

    code = "INTERNAL"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class NotFound(StoreError):
    """Unknown, of another organization, or deleted."""

    code = "NOT_FOUND"


class Conflict(StoreError):
    """The state of the document forbids this; `subcode` names the state."""

    code = "CONFLICT"


class ContentRejected(StoreError):
    """The content was rejected, and cannot be scheduled."""

    code = "CONTENT_REJECTED"


class ApprovalRequired(StoreError):
    """The content is not approved yet, and cannot be published now."""

    code = "APPROVAL_REQUIRED"


class IdempotencyConflict(StoreError):
    """The same Idempotency-Key was used with another body."""

    code = "IDEMPOTENCY_CONFLICT"


class NotAcceptable(StoreError):
    """The content of an upload contradicts its declaration; `details` as for an invalid body."""

    code = "VALIDATION"


class BadCursor(StoreError):
    """The cursor belongs to another list, or to none."""

    code = "VALIDATION"
