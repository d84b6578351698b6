"""What an engine offers, and the TinyDB table on it: documents one by one, instead of in one dict of everything."""

import json
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, cast, overload

import orjson
import tinydb.table
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document
from ulid import ULID

from layers_standin.engines.indexes import Document as Row
from layers_standin.engines.indexes import Key
from layers_standin.engines.saved import Saved

Record = dict[str, Any]
T = TypeVar("T")


class Engine(Protocol):
    """Where documents live: JSON by table, partition and id. A partition never meets another.

    A read within a transaction holds until it ends, one that is only a `glance` need not. What `expect` is told of may
    be fetched in one trip, and a block of `reading` may share what it has looked up. `attempt` runs once more what
    another transaction got in the way of. A block of `exclusive` waits for every other one, of any process and host,
    and raises OSError or Unavailable when that takes too long; it holds nobody else up. Snapshots are saved and
    forgotten, and unfinished ones removed, in such a block. Both engines say the rest at each method.
    """

    @property
    def name(self) -> str: ...
    def table(self, name: str, partition: str = "") -> "Table": ...
    def tables(self) -> list[tuple[str, str]]: ...
    def close(self) -> None: ...

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str, lock: bool = True) -> bytes | None: ...
    def read_record(self, table: str, partition: str, doc_id: str, lock: bool = True) -> Record | None: ...
    def read_texts(self, keys: Sequence[Key]) -> list[bytes | None]: ...
    def read_many(self, keys: Sequence[Key]) -> list[Record | None]: ...
    def ids(self, table: str, partition: str) -> list[str]: ...
    def count(self, table: str, partition: str) -> int: ...
    def scan(self, table: str, partition: str, group: str, before: str | None = None, most: int = 1) -> list[str]: ...
    def snapshot_read(self) -> AbstractContextManager[None]: ...
    def write(
        self, table: str, partition: str, doc_id: str, document: bytes | None, record: Record | None = None
    ) -> None: ...
    def transaction(self, alone: bool = False) -> AbstractContextManager[None]: ...
    def savepoint(self) -> AbstractContextManager[None]: ...
    def run_transaction(self, act: Callable[[], T]) -> T: ...
    def probe(self) -> None: ...

    # All documents at once: others in their place, and states kept to be brought back.

    def replace_all(self, documents: Iterable[Row]) -> None: ...
    def saving(self, name: str, facts: Record) -> AbstractContextManager[str]: ...
    def restore(self, name: str) -> None: ...
    def saved(self) -> list[Saved]: ...
    def forget(self, name: str) -> None: ...
    def forget_unfinished(self) -> None: ...
    def exclusive(self, patience_seconds: float = 30.0) -> AbstractContextManager[None]: ...


class Table(tinydb.table.Table):
    """TinyDB's Table with string ids; all its methods work, each change a transaction or part of one.

    The verbs by id are short cuts past TinyDB's own, which go over a dict of everything. `key_field` is the field that
    holds a document's id: with it, `insert` and `upsert` take plain mappings. `id_class` makes two ids that mean the
    same document equal.
    """

    document_id_class = str  # type: ignore[assignment]

    def __init__(
        self,
        engine: Engine,
        name: str,
        partition: str = "",
        key_field: str | None = None,
        id_class: Callable[[str], str] = str,
    ) -> None:
        # No query cache: another process may change the table at any moment.
        super().__init__(cast(Storage, engine), name, cache_size=0)
        self._engine = engine
        self._partition = partition
        self._key_field = key_field
        self.document_id_class = id_class  # type: ignore[assignment]

    @overload  # type: ignore[override]
    def get(self, cond: QueryLike) -> Document | None: ...
    @overload
    def get(self, *, doc_id: str, lock: bool = True) -> Document | None: ...
    @overload
    def get(self, *, doc_ids: list[str]) -> list[Document]: ...
    def get(
        self,
        cond: QueryLike | None = None,
        doc_id: str | None = None,
        doc_ids: list[str] | None = None,
        lock: bool = True,
    ) -> Document | list[Document] | None:
        """Return a document, or None; with `doc_ids` a list. `lock=False` lets others change it meanwhile."""
        if doc_id is None:
            return super().get(cond, None, doc_ids)  # type: ignore[arg-type]
        key = self.document_id_class(doc_id)
        found = self._engine.read_record(self._name, self._partition, key, lock)
        return None if found is None else Document(found, key)  # type: ignore[arg-type]

    def contains(self, cond: QueryLike | None = None, doc_id: str | None = None) -> bool:  # type: ignore[override]
        if doc_id is None:
            return super().contains(cond)
        return self._engine.read(self._name, self._partition, self.document_id_class(doc_id)) is not None

    def insert(self, document: Mapping[str, Any]) -> str:  # type: ignore[override]
        """Insert a document and return its id. Raises ValueError when there is one of that id."""
        return cast(str, super().insert(self._named(document)))

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[str]:  # type: ignore[override]
        """Update, or else insert, as one step: TinyDB's are two, and another process may insert between them.

        With a key field and no condition, the mapping takes the place of the document with its id.
        """
        if cond is None and self._key_field is not None and self._key_field in document:
            key = self.document_id_class(document[self._key_field])
            # Not looked through for NaN: with a key field it is the service that writes, from JSON that has none.
            encoded, record = orjson.dumps(document), cast(Record, document)
            with self._engine.transaction():
                self._engine.write(self._name, self._partition, key, encoded, record)
            return [key]
        with self._engine.transaction():
            return cast(list[str], super().upsert(document, cond))

    def remove(  # type: ignore[override]
        self, cond: QueryLike | None = None, doc_ids: Iterable[str] | None = None
    ) -> list[str]:
        doc_ids = None if doc_ids is None else list(doc_ids)
        if doc_ids == []:
            return []
        return cast(list[str], super().remove(cond, cast(Any, doc_ids)))

    def _named(self, document: Mapping[str, Any]) -> Document:
        """Return a document with the id that its key field holds; one that has an id keeps it."""
        if isinstance(document, Document) or self._key_field is None:
            return cast(Document, document)
        return Document(document, cast(int, self.document_id_class(document[self._key_field])))

    def _read_table(self) -> Mapping[str, Record]:  # type: ignore[override]
        return Rows(self._engine, self._name, self._partition)

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        with self._engine.transaction():
            rows = EditableRows(self._engine, self._name, self._partition)
            updater(rows)
            rows.save()

    def _get_next_id(self) -> str:
        return str(ULID())


class Rows(Mapping[str, Record]):
    """A table as TinyDB reads it: id → document, decoded anew each time it is asked for."""

    def __init__(self, engine: Engine, name: str, partition: str) -> None:
        self._engine, self._name, self._partition = engine, name, partition

    def __getitem__(self, doc_id: str) -> Record:
        document = self._engine.read(self._name, self._partition, doc_id)
        if document is None:
            raise KeyError(doc_id)
        return cast(Record, orjson.loads(document))

    def __iter__(self) -> Iterator[str]:
        return iter(self._engine.ids(self._name, self._partition))

    def __len__(self) -> int:
        return self._engine.count(self._name, self._partition)

    def items(self) -> ItemsView[str, Record]:
        return Items(self)


class Items(ItemsView[str, Record]):
    """Pairs of id and document, without those that another process removes meanwhile."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[str, Record]]:
        for doc_id in self._rows:
            document = self._rows.get(doc_id)
            if document is not None:
                yield doc_id, document


class EditableRows(MutableMapping[str, Record]):
    """A table as TinyDB changes it: documents are edited in place and put back by `save()`."""

    def __init__(self, engine: Engine, name: str, partition: str) -> None:
        self._engine, self._space = engine, (name, partition)
        self._rows = Rows(engine, name, partition)
        self._edited: dict[str, Record | None] = {}

    def __getitem__(self, doc_id: str) -> Record:
        if doc_id not in self._edited:
            self._edited[doc_id] = self._rows[doc_id]
        document = self._edited[doc_id]
        if document is None:
            raise KeyError(doc_id)
        return document

    def __setitem__(self, doc_id: str, document: Record) -> None:
        self._edited[doc_id] = document

    def __delitem__(self, doc_id: str) -> None:
        self[doc_id]
        self._edited[doc_id] = None

    def __iter__(self) -> Iterator[str]:
        gone = {doc_id for doc_id, document in self._edited.items() if document is None}
        ids = dict.fromkeys(self._rows) | dict.fromkeys(self._edited)
        return (doc_id for doc_id in ids if doc_id not in gone)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        self._edited = dict.fromkeys(self)  # not one by one: the inherited way lists all the rest for each

    def save(self) -> None:
        """Write what is not as it was. Raises TypeError when a document is not JSON."""
        for doc_id, document in self._edited.items():
            after = None if document is None else _encode(document)
            if after != self._engine.read(*self._space, doc_id):
                self._engine.write(*self._space, doc_id, after)


def _encode(document: Mapping[str, Any]) -> bytes:
    encoded = orjson.dumps(document)
    if b"null" in encoded and orjson.loads(encoded) != document:  # orjson makes null of NaN and infinity too
        _refuse_not_a_number(document)
    return encoded


def _refuse_not_a_number(document: Mapping[str, Any]) -> None:
    try:
        json.dumps(document, allow_nan=False)
    except ValueError as error:
        raise TypeError(f"NaN and infinity are not JSON: {error}") from error
