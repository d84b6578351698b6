"""Cursors of pages: opaque to clients, and valid only for the index and filters that they were made for."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import orjson

from layers_standin.domain.errors import BadCursor


def write_cursor(sort_key: str | None, *of: str | None) -> str | None:
    """Return the cursor of a sort key; `of` are the organization, the kind and the filters of the page."""
    if sort_key is None:
        return None
    return urlsafe_b64encode(orjson.dumps([_mark(of), sort_key])).decode().rstrip("=")


def read_cursor(cursor: str | None, *of: str | None) -> str | None:
    """Return the sort key of a cursor. Raises BadCursor unless it was made with the same `of`."""
    if cursor is None:
        return None
    parts = _parts(cursor)
    if parts is None or parts[0] != _mark(of):
        raise BadCursor("Invalid query.", fieldErrors={"cursor": ["Invalid cursor"]})
    return parts[1]


def is_cursor(text: str) -> bool:
    """Whether a text is a cursor, of any page."""
    return _parts(text) is not None


def _parts(cursor: str) -> tuple[str, str] | None:
    try:
        mark, sort_key = orjson.loads(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        return None
    return (mark, sort_key) if isinstance(mark, str) and isinstance(sort_key, str) else None


def _mark(of: tuple[str | None, ...]) -> str:
    return sha256(orjson.dumps(of)).hexdigest()[:12]
