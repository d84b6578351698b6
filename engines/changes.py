"""What a transaction has changed so far, laid over what was there before."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from engines.line import Change, Entry

Key = tuple[str, str, str]  # table, partition, id
Lists = Callable[[bytes], Iterable[Entry]]  # a document's JSON → its places in the ordered lists of its table


class Changes:
    """Documents put or removed, newest layer first; `below` is another layer or nothing.

    A transaction inside a transaction is a layer that is thrown away when it fails.
    """

    def __init__(self, below: "Changes | None" = None) -> None:
        self._below = below
        self._own: dict[Key, bytes | None] = {}

    def __bool__(self) -> bool:
        return bool(self._own)

    def __contains__(self, key: Key) -> bool:
        return key in self._own or (self._below is not None and key in self._below)

    def __getitem__(self, key: Key) -> bytes | None:
        if key in self._own:
            return self._own[key]
        if self._below is None:
            raise KeyError(key)
        return self._below[key]

    def put(self, key: Key, document: bytes | None) -> None:
        self._own[key] = document

    def take(self, other: "Changes") -> None:
        """Make the changes of a finished layer this layer's own."""
        self._own |= other._own

    def own(self) -> Iterator[tuple[Key, bytes | None]]:
        return iter(self._own.items())

    def ids(self, table: str, partition: str, before: Iterable[str]) -> list[str]:
        """Return the ids of a table, given those from before the changes."""
        ids = dict.fromkeys(before if self._below is None else self._below.ids(table, partition, before))
        for (changed_table, changed_partition, doc_id), document in self._own.items():
            if (changed_table, changed_partition) == (table, partition):
                ids.pop(doc_id, None) if document is None else ids.setdefault(doc_id)
        return list(ids)


def change_of(key: Key, before: bytes | None, after: bytes | None, rules: Mapping[str, Lists]) -> Change:
    """Return the change from one document to the next, with the lists it joins and leaves."""
    places = rules.get(key[0], _no_lists)
    left = list(places(before)) if before is not None else []
    joined = list(places(after)) if after is not None else []
    return Change(
        *key, after, [entry for entry in joined if entry not in left], [entry for entry in left if entry not in joined]
    )


def _no_lists(document: bytes) -> Iterable[Entry]:
    return ()
