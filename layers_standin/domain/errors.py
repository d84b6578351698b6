"""What a rule can refuse. Named for what happened; none of these know HTTP."""

from typing import Any


class StoreError(Exception):
    """Base of every refusal by a rule; `details` is its evidence."""

    code = "INTERNAL"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class NotFound(StoreError):
    """Unknown, of another organization, or deleted."""

    code = "NOT_FOUND"


class Conflict(StoreError):
    """The thing is not in a state for this; `subcode` says which."""

    code = "CONFLICT"


class IdempotencyConflict(StoreError):
    """The same Idempotency-Key came with another body."""

    code = "IDEMPOTENCY_CONFLICT"


class NotAcceptable(StoreError):
    """The content of an upload is not what it was said to be; `details` as for a body that is wrong."""

    code = "VALIDATION"


class BadCursor(StoreError):
    """The cursor is not one of this list."""

    code = "VALIDATION"
