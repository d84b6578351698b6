"""The protocol of the engines, and TinyDB's table on it, which reads single documents instead of one dict of all."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
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
from layers_standin.engines.snapshots import Snapshot

Record = dict[str, Any]
T = TypeVar("T")


class Engine(Protocol):
    """A database of JSON documents with the key (table, partition, id). A partition never shows another's documents.

    Every method but `close` raises Unavailable (nothing was written). A call inside a `transaction` of the same thread
    is part of it.
    """

    @property
    def name(self) -> str:
        """The location of the database, for people, without credentials."""

    def table(self, name: str, partition: str = "") -> "Table":
        """Return the TinyDB table of that name and partition."""

    def tables(self) -> list[tuple[str, str]]:
        """Return every (table, partition) that holds a document. Need not see the writes of its own transaction."""

    def read_each(self, table: str, doc_id: str | None = None) -> list[Record]:
        """Return the document with this id, or the first, of each partition of a table that has one, in one trip.

        Need not see the writes of its own transaction.
        """

    def count_all(self, tables: Sequence[str]) -> list[int]:
        """Return the number of documents of each table in all partitions, in one trip."""

    is_closed: bool

    def close(self) -> None: ...

    # Documents, in the calling thread's transaction if it has one.

    def read(self, table: str, partition: str, doc_id: str, lock: bool = True) -> bytes | None:
        """Return a document's JSON, or None.

        With `lock`, nobody else can change the document until the transaction ends. `lock=False` is for a document that
        many transactions read at the same time.
        """

    def read_record(self, table: str, partition: str, doc_id: str, lock: bool = True) -> Record | None:
        """Return `read`'s document decoded. In a transaction the caller must not alter it."""

    def read_texts(self, keys: Sequence[Key]) -> list[bytes | None]:
        """Return each key's JSON, or None, in one round trip; locked as by `read`."""

    def read_many(self, keys: Sequence[Key]) -> list[Record | None]:
        """Return each key's document decoded, or None, in one round trip; locked as by `read`."""

    def ids(self, table: str, partition: str) -> list[str]:
        """Return the ids of a table in the order of insertion."""

    def count(self, table: str, partition: str) -> int:
        """Return the number of documents of a table."""

    def scan(self, table: str, partition: str, index: str, before: str | None = None, limit: int = 1) -> list[str]:
        """Return up to `limit` sort keys of the index, greatest first, below `before`.

        Need not see the writes of its own transaction.
        """

    def scan_documents(
        self, table: str, partition: str, indexes: Sequence[str], before: str | None = None, limit: int = 1
    ) -> list[tuple[str, Record | None]]:
        """Return `scan` of several indexes together, each sort key with its document, or None, in one trip.

        Nothing is locked, and the writes of its own transaction need not be seen.
        """

    def snapshot_read(self) -> AbstractContextManager[None]:
        """Let the reads of the block share a connection, and see one state where the engine can."""

    def write(
        self, table: str, partition: str, doc_id: str, document: bytes | None, record: Record | None = None
    ) -> None:
        """Insert or replace a document, or delete it if `document` is None. Raises RuntimeError outside a transaction.

        `record` is the same document decoded, if the caller has it.
        """

    def transaction(self, alone: bool = False) -> AbstractContextManager[None]:
        """Commit the block's writes together at its end, durably, or none of them. Raises Unconfirmed too.

        Inside another transaction the block is a part of that. With `alone` it begins after all running transactions
        have ended, and new ones wait for it.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo the block's writes alone when it raises; only inside a transaction."""

    def run_transaction(self, act: Callable[[], T]) -> T:
        """Return `act()`; call it again, 8 times at most, after a conflict with another transaction.

        Raises Unconfirmed too: the writes may have been committed.
        """

    def probe(self) -> None:
        """Commit a write that changes nothing. Raises Unavailable while the store takes no writes."""

    # All documents at once: replaced, and saved as snapshots.

    def replace_all(self, documents: Iterable[Row]) -> None:
        """Replace all documents, in one transaction; running ones end before it.

        Raises ValueError when a document comes twice, and the errors of `documents`.
        """

    def create_snapshot(self, name: str, facts: Record) -> AbstractContextManager[str]:
        """Save all documents as of now; yield the snapshot's id; publish it as `name` when the block ends well.

        `facts` (JSON) is stored with it. A snapshot of that name is replaced. Only inside `exclusive`, as are
        `delete_snapshot` and `delete_unfinished_snapshots`. Raises ValueError for a name that `check_name` rejects,
        TypeError for other facts.
        """

    def restore_snapshot(self, name: str) -> None:
        """Replace all documents by those of a snapshot. Raises ValueError, NoSnapshot, UnknownFormat."""

    def list_snapshots(self) -> list[Snapshot]:
        """Return the published snapshots, ordered by name."""

    def delete_snapshot(self, name: str) -> None:
        """Delete a snapshot. Raises ValueError, NoSnapshot."""

    def delete_unfinished_snapshots(self) -> None:
        """Delete the snapshots that were never published."""

    def exclusive(self, patience_seconds: float = 30.0) -> AbstractContextManager[None]:
        """Run the block alone among the `exclusive` blocks of all processes and hosts; transactions go on meanwhile.

        Raises OSError or Unavailable after `patience_seconds`. The lock ends with the process, or the connection, that
        holds it.
        """


class Table(tinydb.table.Table):
    """TinyDB's Table with string ids; all its methods work, each change a transaction or part of one.

    The verbs by id do not go through TinyDB's own, which build a dict of all documents. `key_field` is the field that
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
        return super().contains(cond, cast(Any, doc_id))

    def insert(self, document: Mapping[str, Any]) -> str:  # type: ignore[override]
        """Insert a document and return its id. Raises ValueError when there is one of that id."""
        return cast(str, super().insert(self._named(document)))

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[str]:  # type: ignore[override]
        """Update, or else insert, as one step: TinyDB's are two, and another process may insert between them.

        With a key field and no condition, the mapping replaces the document with its id.
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
        return cast(list[str], super().remove(cond, cast(Any, doc_ids)))

    def _named(self, document: Mapping[str, Any]) -> Document:
        """Return a document with the id from its key field; a Document has its own id already."""
        if isinstance(document, Document) or self._key_field is None:
            return cast(Document, document)
        return Document(document, cast(int, self.document_id_class(document[self._key_field])))

    def _read_table(self) -> "Rows":  # type: ignore[override]
        return Rows(self._engine, self._name, self._partition)

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        with self._engine.transaction():
            rows = EditableRows(self._engine, self._name, self._partition)
            updater(rows)
            rows.save()

    def _get_next_id(self) -> str:
        return str(ULID())


class Rows(MutableMapping[str, Record]):
    """A table as TinyDB reads it: id → document, decoded anew at each access. Changes stay in memory, in `edited`."""

    def __init__(self, engine: Engine, name: str, partition: str) -> None:
        self._engine, self._space = engine, (name, partition)
        self.edited: dict[str, Record | None] = {}  # None: deleted

    def _read(self, doc_id: str) -> Record | None:
        found = self._engine.read(*self._space, doc_id)
        return None if found is None else cast(Record, orjson.loads(found))

    def __getitem__(self, doc_id: str) -> Record:
        document = self.edited[doc_id] if doc_id in self.edited else self._read(doc_id)
        if document is None:
            raise KeyError(doc_id)
        return document

    def __setitem__(self, doc_id: str, document: Record) -> None:
        self.edited[doc_id] = document

    def __delitem__(self, doc_id: str) -> None:
        self[doc_id]
        self.edited[doc_id] = None

    def __iter__(self) -> Iterator[str]:
        ids = dict.fromkeys(self._engine.ids(*self._space)) | self.edited
        return (doc_id for doc_id in ids if doc_id not in self.edited or self.edited[doc_id] is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self) if self.edited else self._engine.count(*self._space)

    def items(self) -> Iterator[tuple[str, Record]]:  # type: ignore[override]
        """Yield pairs of id and document, without those that another process removes meanwhile."""
        return ((doc_id, document) for doc_id in self if (document := self.get(doc_id)) is not None)

    def clear(self) -> None:
        self.edited = dict.fromkeys(self)  # not one by one: the inherited method reads all other ids for each


class EditableRows(Rows):
    """A table as TinyDB changes it: a document that is read may be altered in place, and is written by `save()`."""

    def __getitem__(self, doc_id: str) -> Record:
        self.edited[doc_id] = document = super().__getitem__(doc_id)
        return document

    def save(self) -> None:
        """Write the documents that differ. Raises TypeError when one is not JSON."""
        for doc_id, document in self.edited.items():
            after = None if document is None else _encode(document)
            if after != self._engine.read(*self._space, doc_id):
                self._engine.write(*self._space, doc_id, after)


def _encode(document: Mapping[str, Any]) -> bytes:
    encoded = orjson.dumps(document)
    if b"null" in encoded:  # orjson makes null of NaN and infinity too
        try:
            json.dumps(document, allow_nan=False)
        except ValueError as error:
            raise TypeError(f"NaN and infinity are not JSON: {error}") from error
    return encoded
