"""Ids: opaque strings. The server mints `<prefix>_` + ULID; a UUID compares without regard to case."""

import re
from datetime import datetime
from functools import lru_cache

from ulid import ULID

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def mint(prefix: str) -> str:
    """Return a new id; the ids of one process sort in the order of their creation."""
    return f"{prefix}_{ULID()}"


def is_uuid(text: str) -> bool:
    return UUID.fullmatch(text) is not None


@lru_cache(4096)  # a table asks for each id that it is given
def canonical(identifier: str) -> str:
    """Return the form in which an id is compared."""
    return identifier.lower() if UUID.fullmatch(identifier) else identifier


def new_sort_key(prefix: str, doc_id: str, minted: bool) -> str:
    """Return a sort key greater than those of all older documents; `id_of` returns its id.

    A minted id is its own sort key. An id that a caller chose says nothing about time, so a ULID goes before it.
    """
    return doc_id if minted else f"{mint(prefix)}={canonical(doc_id)}"


def sort_key_since(moment: datetime, prefix: str, doc_id: str) -> str:
    """Return the sort key of a document created at `moment`, for imports and seeds."""
    return f"{prefix}_{ULID.from_datetime(moment)}={canonical(doc_id)}"


def id_of(sort_key: str) -> str:
    """Return the id of the document that has this sort key."""
    return sort_key.rpartition("=")[2]
