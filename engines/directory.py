"""In memory: where each document lies in the file, and the ordered lists."""

from collections import defaultdict
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

Space = tuple[str, str]  # table, partition

_SIZE_BITS = 32
_SIZE = (1 << _SIZE_BITS) - 1


class Directory:
    """Holds no documents: id → packed offset and size, and list name → sorted places.

    While a file is loaded the lists are plain sets, sorted once by `loaded()`: a third of the cost of keeping
    a million places in order one by one.
    """

    def __init__(self) -> None:
        self._documents: defaultdict[Space, dict[str, int]] = defaultdict(dict)
        self._lists: dict[tuple[str, str, str], set[str] | SortedList[str]] = {}
        self._new_list: type[set[str]] | type[SortedList[str]] = set
        self.live_bytes = 0

    def find(self, table: str, partition: str, doc_id: str) -> tuple[int, int] | None:
        """Return (offset, size) of a document, or None."""
        packed = self._at((table, partition)).get(doc_id)
        return None if packed is None else (packed >> _SIZE_BITS, packed & _SIZE)

    def ids(self, table: str, partition: str) -> list[str]:
        return list(self._at((table, partition)))

    def count(self, table: str, partition: str) -> int:
        return len(self._at((table, partition)))

    def spaces(self) -> list[Space]:
        """Return every (table, partition) that holds a document."""
        return [space for space, documents in list(self._documents.items()) if documents]

    def apply(self, change: list[Any], offset: int) -> None:
        """Take in one change of a line whose document lies at `offset`; see line.py for its shape."""
        table, partition, doc_id, size = change[:4]
        documents = self._documents[table, partition]
        if size is None:
            self.live_bytes -= documents.pop(doc_id, 0) & _SIZE
        else:
            self.live_bytes += size - (documents.get(doc_id, 0) & _SIZE)
            documents[doc_id] = offset << _SIZE_BITS | size
        if len(change) > 4:
            self._move(table, partition, doc_id, *change[4:])

    def loaded(self) -> None:
        """Sort what was gathered; from now on every change keeps the order."""
        self._new_list = SortedList
        for name, keys in self._lists.items():
            if isinstance(keys, set):
                self._lists[name] = SortedList(keys)

    def walk(self, table: str, partition: str, group: str, before: str | None, most: int) -> list[str]:
        """Return up to `most` places of a list, greatest first, all of them below `before` if that is given."""
        keys = self._lists.get((table, partition, group))
        if not isinstance(keys, SortedList):
            return []
        return list(islice(keys.irange(None, before, inclusive=(True, False), reverse=True), most))

    def _at(self, space: Space) -> dict[str, int]:
        return self._documents.get(space) or {}

    def _move(self, table: str, partition: str, doc_id: str, joined: list[list[str]], left: list[list[str]]) -> None:
        for group, key in left:
            self._list(table, partition, group).discard(key)
        for group, key in joined:
            keys = self._list(table, partition, group)
            if key not in keys:  # a sorted list would hold it twice, a set would not
                # A key that equals the id is the id: one string in memory instead of two, for each of a million.
                keys.add(doc_id if key == doc_id else key)

    def _list(self, table: str, partition: str, group: str) -> set[str] | SortedList[str]:
        name = (table, partition, group)
        if name not in self._lists:
            self._lists[name] = self._new_list()
        return self._lists[name]
