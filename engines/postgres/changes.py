"""What a transaction has changed so far, laid over what was there before."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from engines.indexes import Entry, Key


class Written(NamedTuple):
    """A document's JSON, or None when it was removed, and its places in lists."""

    document: bytes | None
    places: list[Entry]


class Changes:
    """Documents put or removed, newest layer first; `below` is another layer or nothing.

    A transaction inside a transaction is a layer that is thrown away when it fails.
    """

    def __init__(self, below: "Changes | None" = None) -> None:
        self._below = below
        self._own: dict[Key, Written] = {}

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

    def put(self, key: Key, written: Written) -> None:
        """Lay a document over what was there."""
        self._own[key] = written

    def take(self, other: "Changes") -> None:
        """Make the changes of a finished layer this layer's own."""
        self._own |= other._own

    def own(self) -> Iterator[tuple[Key, Written]]:
        return iter(self._own.items())

    def growth(self, table: str, partition: str, was_there: Callable[[str], bool]) -> int:
        """Return how many documents more a table has than before the changes."""
        return sum(
            (document is not None) - was_there(doc_id)
            for (changed_table, changed_partition, doc_id), document in self._merged().items()
            if (changed_table, changed_partition) == (table, partition)
        )

    def ids(self, table: str, partition: str, before: Iterable[str]) -> list[str]:
        """Return the ids of a table, given those from before the changes."""
        ids = dict.fromkeys(before if self._below is None else self._below.ids(table, partition, before))
        for (changed_table, changed_partition, doc_id), written in self._own.items():
            if (changed_table, changed_partition) == (table, partition):
                ids.pop(doc_id, None) if written.document is None else ids.setdefault(doc_id)
        return list(ids)

    def _merged(self) -> dict[Key, bytes | None]:
        own = {key: written.document for key, written in self._own.items()}
        return own if self._below is None else self._below._merged() | own
