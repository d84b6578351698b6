"""Snapshots of a store, on any engine: their names, and the facts about each."""

import re
from typing import Any, NamedTuple

SNAPSHOT_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Saved(NamedTuple):
    """A snapshot: its name, the facts it was saved with, its number of documents, its size in bytes.

    `snapshot_id` names the rows and the media that belong to it, and no other state ever.
    """

    name: str
    facts: dict[str, Any]
    documents: int
    bytes: int
    snapshot_id: str


def check_name(name: str) -> None:
    """Raises ValueError when no state may have that name."""
    if not SNAPSHOT_NAME.fullmatch(name):
        raise ValueError(f"a snapshot is named with 1 to 64 letters, digits, _ and -, not {name!r}")
