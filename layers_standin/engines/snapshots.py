"""Snapshots of a store: their names, and the facts about each."""

import re
from typing import Any, NamedTuple

SNAPSHOT_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
HIDDEN = "."  # begins the name of an unpublished snapshot; `check_name` rejects it


class Snapshot(NamedTuple):
    """A snapshot: its name, the facts it was saved with, the number of its documents, its size.

    `snapshot_id` is in the names of its rows and its media; no other snapshot ever has it.
    """

    name: str
    facts: dict[str, Any]
    documents: int
    bytes: int
    snapshot_id: str


def check_name(name: str) -> None:
    """Raises ValueError unless a snapshot may have that name."""
    if not SNAPSHOT_NAME.fullmatch(name):
        raise ValueError(f"a snapshot is named with 1 to 64 letters, digits, _ and -, not {name!r}")
