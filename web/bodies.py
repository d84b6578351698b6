"""From the bytes and headers of a request to values that a schema has judged."""

from typing import Any

import orjson
from marshmallow import Schema, ValidationError
from marshmallow.exceptions import SCHEMA

from schemas import IdempotencyHeader, details
from web.errors import Invalid

ABSENT = object()
_idempotency_header = IdempotencyHeader()


def parse_json(data: bytes) -> Any:
    """Return the decoded body, or ABSENT when there is none. Raises ValidationError.

    What counts is the bytes, whatever the Content-Type says. Of duplicate keys the last wins.
    """
    if not data:
        return ABSENT
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise ValidationError(f"Body is not valid UTF-8 at byte {error.start}", SCHEMA) from None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValidationError(f"Malformed JSON: {error}", SCHEMA) from None


def load_request(schema: Schema | None, optional: bool, data: bytes, idempotency_key: str | None) -> tuple[Any, Any]:
    """Return (body as parsed or None, body as judged); all faults of body and header at once. Raises Invalid."""
    faults: list[ValidationError] = []
    parsed, judged = None, None
    try:
        parsed, judged = _load_body(schema, optional, data)
    except ValidationError as error:
        faults.append(error)
    try:
        _idempotency_header.load({} if idempotency_key is None else {"Idempotency-Key": idempotency_key})
    except ValidationError as error:
        faults.append(error)
    if faults:
        raise Invalid(**details(*faults))
    return parsed, judged


def _load_body(schema: Schema | None, optional: bool, data: bytes) -> tuple[Any, Any]:
    if schema is None:
        return None, {}
    parsed = parse_json(data)
    if parsed is not ABSENT:
        return parsed, schema.load(parsed)
    if optional:
        return None, {}
    raise ValidationError("Malformed JSON: the body is empty", SCHEMA)
