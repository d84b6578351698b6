"""The writes of a transaction that are not sent yet, over the documents in the database."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from layers_standin.engines.indexes import IndexEntry, Key


class PendingWrite(NamedTuple):
    """A document's JSON, or None when it was deleted, and its index entries."""

    document: bytes | None
    entries: list[IndexEntry]


class WriteBatch:
    """Documents written or deleted, newest savepoint first; `below` is the batch around it, or None.

    A savepoint is a batch that is dropped when its block fails.
    """

    def __init__(self, below: "WriteBatch | None" = None) -> None:
        self._below = below
        self._own: dict[Key, PendingWrite] = {}

    def __bool__(self) -> bool:
        return bool(self._own)

    def __contains__(self, key: Key) -> bool:
        return key in self._own or (self._below is not None and key in self._below)

    def __getitem__(self, key: Key) -> bytes | None:
        if key in self._own:
            return self._own[key].document
        if self._below is None:
            raise KeyError(key)
        return self._below[key]

    def put(self, key: Key, written: PendingWrite) -> None:
        """Write or delete a document."""
        self._own[key] = written

    def take(self, other: "WriteBatch") -> None:
        """Take over the writes of a finished savepoint."""
        self._own |= other._own

    def own(self) -> Iterator[tuple[Key, PendingWrite]]:
        return iter(self._own.items())

    def ids(self, table: str, partition: str, before: Iterable[str]) -> list[str]:
        """Return the ids of a table, given those from before the changes."""
        ids = dict.fromkeys(before if self._below is None else self._below.ids(table, partition, before))
        for (changed_table, changed_partition, doc_id), written in self._own.items():
            if (changed_table, changed_partition) == (table, partition):
                ids.pop(doc_id, None) if written.document is None else ids.setdefault(doc_id)
        return list(ids)
