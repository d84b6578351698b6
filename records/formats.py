"""The formats that documents have had, and how those of an older store become those of today."""

from collections.abc import Callable, Mapping
from datetime import datetime
from secrets import token_urlsafe

from engines.table import Record
from records.ids import place_since

FORMAT = 2


def to_2(table: str, document: Record) -> Record:
    """Lists came: influencers and projects know their place in them. So did portraits, and rotating keys."""
    newcomer = _NEW_IN_2.get(table)
    return document if newcomer is None else newcomer(document) | document


_NEW_IN_2: dict[str, Callable[[Record], Record]] = {
    "influencers": lambda found: {"place": _place("inf", found, "influencerId"), "token": token_urlsafe(16)},
    "projects": lambda found: {"place": _place("proj", found, "id")},
    "api_keys": lambda found: {"revokedAt": None, "rotatedAt": None},
}


def _place(prefix: str, document: Record, id_field: str) -> str:
    return place_since(datetime.fromisoformat(document["createdAt"]), prefix, document[id_field])


# Each leaves alone what it has done before: a file that has lost its header is taken for the oldest.
UPGRADES: Mapping[int, Callable[[str, Record], Record]] = {1: to_2}
