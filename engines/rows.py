"""Documents and their places in lists as rows of a database: statements and their parameters."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engines import sql
from engines.changes import Key
from engines.line import Entry


class Sent(NamedTuple):
    """A statement and its parameters."""

    statement: str
    parameters: Mapping[str, Any]


class _Arrivals:
    """Numbers that rise with the clock, no two of a process the same: by them the ids of a table are in order."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> int:
        self._last = max(self._last + 1, time.time_ns())
        return self._last


arrival = _Arrivals()


def of_key(key: Key) -> dict[str, Any]:
    table, partition, doc_id = key
    return {"organization": safe(partition), "kind": safe(table), "id": safe(doc_id)}


def of_organization(partition: str, **more: Any) -> dict[str, Any]:
    return {"organization": safe(partition)} | more


def of_some(partition: str, keys: Sequence[Key]) -> dict[str, Any]:
    """Return the parameters that ask for several documents of one partition, always in the same order."""
    pairs = sorted((safe(table), safe(doc_id)) for table, _, doc_id in keys)
    return of_organization(partition, kinds=[table for table, _ in pairs], ids=[doc_id for _, doc_id in pairs])


def newcomer(key: Key, document: bytes) -> dict[str, Any]:
    """Return the parameters of a document that was not there."""
    return of_key(key) | {"document": document.decode(), "arrived": arrival()}


def meeting(partition: str) -> Sent:
    """Return the statement that makes a partition known, in the order in which they came."""
    return Sent(sql.MEET, of_organization(partition, arrived=arrival()))


def moves(key: Key, left: Sequence[Entry], joined: Sequence[Entry]) -> Iterator[Sent]:
    """Yield the statements that take a document from its places in lists to others."""
    of = of_organization(key[1], kind=safe(key[0]))
    for statement, entries, but in ((sql.LEAVE, left, joined), (sql.JOIN, joined, left)):
        for entry in entries:
            if entry not in but:
                yield Sent(statement, of | {"list": safe(entry.group), "place": safe(entry.key)})


# PostgreSQL's text has no U+0000, and what clients name things by may.


def safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\0", "\\0") if "\0" in text or "\\" in text else text


def plain(text: str) -> str:
    if "\\" not in text:
        return text
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))
