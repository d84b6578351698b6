"""Where a list goes on: opaque to clients, and good only for the list it came from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import orjson

from layers_standin.domain.errors import BadCursor


def write_cursor(place: str | None, *of: str | None) -> str | None:
    """Return the cursor of a place in a list, which is told by `of`: its organization, its kind, its filters."""
    if place is None:
        return None
    return urlsafe_b64encode(orjson.dumps([_mark(of), place])).decode().rstrip("=")


def read_cursor(cursor: str | None, *of: str | None) -> str | None:
    """Return the place a cursor stands for. Raises BadCursor when it is not of this list."""
    if cursor is None:
        return None
    parts = _parts(cursor)
    if parts is None or parts[0] != _mark(of):
        raise BadCursor("Invalid query.", fieldErrors={"cursor": ["Invalid cursor"]})
    return parts[1]


def is_cursor(text: str) -> bool:
    """Whether this is the cursor of some list."""
    return _parts(text) is not None


def _parts(cursor: str) -> tuple[str, str] | None:
    try:
        mark, place = orjson.loads(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        return None
    return (mark, place) if isinstance(mark, str) and isinstance(place, str) else None


def _mark(of: tuple[str | None, ...]) -> str:
    return sha256(orjson.dumps(of)).hexdigest()[:12]
