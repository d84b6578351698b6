"""Read and validate the body, the query and the Idempotency-Key of a request."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from flask import Request
from marshmallow import Schema, ValidationError
from marshmallow.exceptions import SCHEMA
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from layers_standin.fields import QueryChoices
from layers_standin.web.errors import MAX_BODY_BYTES, Invalid
from schemas import IdempotencyHeader, Strict, details

ABSENT = object()
_MAX_NESTED = 200  # orjson reads 1024 levels but writes 254, some of which are around the client's value
_OTHER_FORMATS = (
    (re.compile(rb"\x1f\x8b|\x28\xb5\x2f\xfd|\x78[\x01\x5e\x9c\xda]"), "the body is compressed; send it as it is"),
    (re.compile(rb"\xef\xbb\xbf"), "the body begins with a byte order mark; send it without"),
    (re.compile(rb"--[^\r\n]+\r?\ncontent-", re.IGNORECASE), "the body is a multipart form; send JSON"),
    (re.compile(rb"[\w.%+*\[\]-]+="), "the body is a form; send JSON"),
)
_idempotency_header = IdempotencyHeader()


def whole_body(request: Request) -> bytes:
    """Return a request's body. Raises HTTPException when it is too large, or ends before its Content-Length.

    A server passes on half a body when the client hangs up half-way.
    """
    request.max_content_length = MAX_BODY_BYTES + 1  # more than is accepted: at this Werkzeug cuts a chunked body off
    try:
        data = request.get_data()
    except RequestEntityTooLarge:
        raise
    except Exception as error:  # of any class that the server's stream raises: the rest is lost
        raise ClientDisconnected from error
    if len(data) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(data) < (request.content_length or 0):
        raise ClientDisconnected
    return data


def parse_json(data: bytes, encoding: str | None = None) -> Any:
    """Return the decoded body, or ABSENT when there is none. Raises ValidationError.

    Only the bytes count; the Content-Type is ignored, and `encoding`, the Content-Encoding, is for the error alone. Of
    duplicate keys the last wins.
    """
    if not data:
        return ABSENT
    try:
        data.decode()
        parsed = orjson.loads(data)
    except (UnicodeDecodeError, orjson.JSONDecodeError) as error:
        raise ValidationError(_why_no_json(data, encoding, error), SCHEMA) from None
    if data.count(b"[") + data.count(b"{") > _MAX_NESTED and _is_nested_beyond(_MAX_NESTED, parsed):
        raise ValidationError(f"Malformed JSON: nested more than {_MAX_NESTED} levels deep", SCHEMA)
    return parsed


def _why_no_json(data: bytes, encoding: str | None, error: UnicodeDecodeError | orjson.JSONDecodeError) -> str:
    """Return the sentence about a body that is not JSON."""
    if encoding is not None and encoding.strip().lower() not in ("", "identity"):
        return f"Malformed JSON: the body was sent with Content-Encoding: {encoding[:40]}; send it without"
    for beginning, words in _OTHER_FORMATS:
        if beginning.match(data):
            return f"Malformed JSON: {words}"
    if isinstance(error, UnicodeDecodeError):
        return f"Body is not valid UTF-8 at byte {error.start}"
    return f"Malformed JSON: {error}"


def _is_nested_beyond(levels: int, value: Any) -> bool:
    """Go down level by level: a call for each of half a million lists would take a second."""
    found = [value]
    for _ in range(levels):
        found = [each for each in found if isinstance(each, dict | list)]
        found = [inner for each in found for inner in (each.values() if isinstance(each, dict) else each)]
    return any(isinstance(each, dict | list) for each in found)


def load_request(
    schema: Strict | None, optional: bool, data: bytes, idempotency_key: str | None, encoding: str | None
) -> tuple[Any, Any]:
    """Return (decoded body or None, validated body). Raises Invalid with all errors of body and header at once.

    `optional`: an absent body is valid, and loads as {}. A `schema` of None ignores the body. `encoding` is the
    Content-Encoding.
    """
    errors: list[ValidationError] = []
    parsed: Any = None
    validated: Any = {}
    try:
        if schema is not None:
            parsed = parse_json(data, encoding)
            if parsed is ABSENT and not optional:
                raise ValidationError("Malformed JSON: the body is empty", SCHEMA)
            parsed, validated = (None, {}) if parsed is ABSENT else (parsed, schema.load_given(parsed))
    except ValidationError as error:
        errors.append(error)
    try:
        if idempotency_key is not None:
            _idempotency_header.load({"Idempotency-Key": idempotency_key})
    except ValidationError as error:
        errors.append(error)
    if errors:
        raise Invalid(**details(*errors))
    return parsed, validated


def load_query(schema: Schema, query: Mapping[str, str]) -> Any:
    """Return the validated query. Of a repeated parameter the first value counts, unless it is one of QueryChoices.

    Raises Invalid.
    """
    try:
        if isinstance(query, MultiDict) and (names := _repeatable(schema)):
            lists = {name: query.getlist(name) for name in names if name in query}
            return schema.load(query.to_dict() | lists)
        return schema.load(query)
    except ValidationError as error:
        raise Invalid("Invalid query.", **details(error)) from error


@cache
def _repeatable(schema: Schema) -> list[str]:
    return [name for name, field in schema.fields.items() if isinstance(field, QueryChoices)]
