"""Documents by key, and their entries in ordered indexes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

Record = dict[str, Any]
Key = tuple[str, str, str]  # table, partition, id
Document = tuple[str, str, str, bytes]  # table, partition, id, JSON


class IndexEntry(NamedTuple):
    """An entry of a document in one ordered index: its name and its sort key there."""

    index_name: str
    sort_key: str


IndexRule = Callable[[Record], list[IndexEntry]]  # a document → its index entries


def index_entries(table: str, document: Record | bytes | None, rules: Mapping[str, IndexRule]) -> list[IndexEntry]:
    """Return the index entries of a document, decoded or as JSON; none if it is None, or the table has no indexes."""
    rule = rules.get(table)
    if rule is None or document is None:
        return []
    return list(rule(orjson.loads(document) if isinstance(document, bytes) else document))


def once_each(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents. Raises ValueError when a (table, partition, id) comes twice."""
    known: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for document in documents:
        table, partition, doc_id, _ = document
        ids = known[table, partition]
        if doc_id in ids:
            raise ValueError(f"document {doc_id!r} of table {table!r} comes twice")
        ids.add(doc_id)
        yield document
