"""The part of an engine that is the same on every database."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Literal, TypeVar

import orjson
from ulid import ULID

from layers_standin.engines.errors import EngineError, NoSnapshot, Unavailable, UnknownFormat
from layers_standin.engines.indexes import Document, IndexRule, Key, Record, index_entries, once_each
from layers_standin.engines.snapshots import HIDDEN, Snapshot, check_name
from layers_standin.engines.sql import Sent, Statements
from layers_standin.engines.table import Engine, Table

T = TypeVar("T")

# All documents are replaced, by others or by a snapshot's; or a snapshot is saved or deleted; or nothing is changed.
Purpose = Literal["replace", "restore", "save", "probe"]
Send = Callable[[Iterable[Sent]], list[list[Any]]]  # sends statements in order; returns the rows of each


class BaseEngine(Engine):
    """The methods of an engine that are the same on every database; a subclass sends their statements.

    A change of all documents is whole for every process, or not done. It raises Unavailable when nothing was changed,
    Unconfirmed when that is not known.
    """

    _sql: Statements
    _indexes: Mapping[str, IndexRule]
    _format: int
    is_closed = False

    @abstractmethod
    def _ask(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a statement."""

    @abstractmethod
    def _whole(self, purpose: Purpose) -> AbstractContextManager[Send]:
        """Begin a transaction over all organizations, which has the locks that its purpose needs."""

    @abstractmethod
    def _read_whole(self, read: Callable[[Send], T]) -> T:
        """Return the result of `read`; no lock is taken for it."""

    def table(self, name: str, partition: str = "") -> Table:
        return Table(self, name, partition)

    def read_many(self, keys: Sequence[Key]) -> list[Record | None]:
        return [None if found is None else orjson.loads(found) for found in self.read_texts(keys)]

    def ids(self, table: str, partition: str) -> list[str]:
        rows = self._ask(self._sql.ids, self._sql.of_table(table, partition))
        return [self._sql.unescape(doc_id) for (doc_id,) in rows]

    def count(self, table: str, partition: str) -> int:
        return int(self._ask(self._sql.count, self._sql.of_table(table, partition))[0][0])

    def scan(self, table: str, partition: str, index: str, before: str | None = None, limit: int = 1) -> list[str]:
        of = self._sql.of_table(table, partition) | {"index": self._sql.escape(index), "limit": limit}
        if before is not None:
            of["before"] = self._sql.escape(before)
        rows = self._ask(self._sql.scan if before is None else self._sql.scan_below, of)
        return [self._sql.unescape(sort_key) for (sort_key,) in rows]

    def scan_documents(
        self, table: str, partition: str, indexes: Sequence[str], before: str | None = None, limit: int = 1
    ) -> list[tuple[str, Record | None]]:
        escape = self._sql.escape
        of = self._sql.of_table(table, partition) | {f"index{each}": escape(name) for each, name in enumerate(indexes)}
        of["limit"] = limit
        if before is not None:
            of["before"] = escape(before)
        rows = self._ask(self._sql.scan_documents(len(indexes), before is not None), of)
        unescape, loads = self._sql.unescape, orjson.loads
        return [(unescape(key), None if document is None else loads(document)) for key, document in rows]

    def probe(self) -> None:
        with self._whole("probe") as send:
            send((statement, {}) for statement in self._sql.probe)

    # All documents at once.

    def tables(self) -> list[tuple[str, str]]:
        unescape = self._sql.unescape
        return [(unescape(kind), unescape(of)) for kind, of in self._ask(self._sql.spaces, {})]

    def read_each(self, table: str, doc_id: str | None = None) -> list[Record]:
        of = self._sql.of((table, "", doc_id or ""))
        rows = self._ask(self._sql.find_each_first if doc_id is None else self._sql.find_each, of)
        return [orjson.loads(document) for (document,) in rows if document is not None]

    def count_all(self, tables: Sequence[str]) -> list[int]:
        kinds = {f"kind{number}": self._sql.escape(table) for number, table in enumerate(tables)}
        return list(map(int, self._ask(self._sql.count_all(len(tables)), kinds)[0]))

    def replace_all(self, documents: Iterable[Document]) -> None:
        with self._whole("replace") as send:
            listed = list(once_each(documents))  # before anything is deleted: they may be read from the same database
            self._of_each(send, self._sql.organizations, self._sql.clear)
            send(sent for document in listed for sent in self._inserting(*document))

    def _inserting(self, table: str, partition: str, doc_id: str, document: bytes) -> Iterator[Sent]:
        """Yield the statements that insert a document and its index entries."""
        key = (table, partition, doc_id)
        yield self._sql.insert, self._sql.of_new(key, document)
        yield from self._sql.replace_entries(key, [], index_entries(table, document, self._indexes))

    @contextmanager
    def create_snapshot(self, name: str, facts: Record) -> Iterator[str]:
        check_name(name)
        snapshot_id = str(ULID())
        hidden = HIDDEN + snapshot_id  # until it is published
        with self._whole("save") as send:
            self._delete_unfinished(send)
            self._save(send, hidden, {"id": snapshot_id, "facts": dict(facts), "format": self._format})
        try:
            yield snapshot_id
            with self._whole("save") as send:
                if hidden not in self._snapshots(send):
                    raise Unavailable(f"The snapshot {name} was not finished: another save has begun meanwhile.")
                self._delete(send, name)
                send([(self._sql.rename_snapshot, {"name": hidden, "published": name})])
        except BaseException:
            with suppress(EngineError), self._whole("save") as send:
                self._delete(send, hidden)  # absent if it was published, but unconfirmed
            raise

    def restore_snapshot(self, name: str) -> None:
        check_name(name)
        with self._whole("restore") as send:
            about = self._snapshots(send).get(name)
            if about is None:
                raise NoSnapshot(name)
            if about["format"] > self._format:
                raise UnknownFormat(
                    f"The snapshot {name} has format {about['format']}: only a newer program restores it."
                )
            self._of_each(send, self._sql.organizations, self._sql.clear)
            self._of_each(send, self._sql.snapshot_organizations, self._sql.restore, snapshot=about["id"])

    def list_snapshots(self) -> list[Snapshot]:
        return [
            Snapshot(name, about["facts"], about["documents"], about["bytes"], about["id"])
            for name, about in self._read_whole(self._snapshots).items()
            if not name.startswith(HIDDEN)
        ]

    def delete_snapshot(self, name: str) -> None:
        check_name(name)
        with self._whole("save") as send:
            if not self._delete(send, name):
                raise NoSnapshot(name)

    def delete_unfinished_snapshots(self) -> None:
        with self._whole("save") as send:
            self._delete_unfinished(send)

    def _snapshots(self, send: Send) -> dict[str, Any]:
        """Return the facts that are noted of each snapshot, by name."""
        return {name: orjson.loads(about) for name, about in send([(self._sql.snapshots, {})])[0]}

    def _save(self, send: Send, name: str, about: Record) -> None:
        """Copy all documents and index entries to a snapshot."""
        self._of_each(send, self._sql.organizations, self._sql.save, snapshot=about["id"])
        sizes = self._of_each(send, self._sql.organizations, [self._sql.snapshot_size], snapshot=about["id"])
        documents, size = (sum(int(row[column]) for (row,) in sizes) for column in (0, 1))
        noted = orjson.dumps(about | {"documents": documents, "bytes": size}).decode()
        send([(self._sql.insert_snapshot, {"name": name, "facts": noted})])

    def _delete(self, send: Send, name: str) -> bool:
        """Delete a snapshot; return whether there was one."""
        about = self._snapshots(send).get(name)
        if about is not None:
            send([(self._sql.delete_snapshot, {"name": name})])
            self._of_each(send, self._sql.snapshot_organizations, self._sql.delete_saved, snapshot=about["id"])
        return about is not None

    def _delete_unfinished(self, send: Send) -> None:
        for name in self._snapshots(send):
            if name.startswith(HIDDEN):
                self._delete(send, name)

    def _of_each(self, send: Send, organizations: str, statements: Sequence[str], **more: Any) -> list[list[Any]]:
        """Send statements for each organization that the first one finds; return the rows of each."""
        (found,) = send([(organizations, {})])
        return send((statement, {"organization": of} | more) for (of,) in found for statement in statements)
