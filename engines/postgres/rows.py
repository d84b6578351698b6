"""Documents and their places in lists as rows of a database: statements and their parameters."""

from collections.abc import Iterator, Sequence
from typing import Any

from engines.indexes import Entry, Key
from engines.postgres.sql import SQL
from engines.states import Sent
from engines.table import inserted_ns


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
    return of_key(key) | {"document": document.decode(), "inserted": inserted_ns()}


def moves(key: Key, left: Sequence[Entry], joined: Sequence[Entry]) -> Iterator[Sent]:
    """Yield the statements that take a document from its places in lists to others."""
    for statement, entries, but in ((SQL.remove_entry, left, joined), (SQL.add_entry, joined, left)):
        for entry in entries:
            if entry not in but:
                yield statement, of_key(key) | {"index": safe(entry.group), "sort_key": safe(entry.key)}


# PostgreSQL's text has no U+0000, and what clients name things by may.


def safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\0", "\\0") if "\0" in text or "\\" in text else text


def plain(text: str) -> str:
    if "\\" not in text:
        return text
    return "\\".join(part.replace("\\0", "\0") for part in text.split("\\\\"))
