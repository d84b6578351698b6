"""All documents of a database at once: replaced, kept as snapshots under names, and brought back; on any database.

Each function is given a database that is in a transaction over all organizations already.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from engines.errors import NoSnapshot, UnknownFormat
from engines.indexes import Document, Entry, Lists, once_each, places_of
from engines.saved import Saved
from engines.sql import Statements

Sent = tuple[str, Mapping[str, Any]]  # a statement and its parameters


class Database(Protocol):
    """A connection in a transaction: how the functions here send the statements that both databases understand."""

    statements: Statements

    def escape(self, text: str) -> str:
        """Return a text as this database can hold it."""

    def rows(self, statement: str) -> list[Any]: ...

    def columns(self, sent: Iterable[Sent]) -> list[list[Any]]:
        """Send the statements in order; return the first column of the rows that each has found, unescaped."""

    def changed(self, sent: Iterable[Sent]) -> int:
        """Send the statements in order; return the number of rows that all of them have changed."""

    def inserting(self, document: Document, places: Sequence[Entry]) -> Iterator[Sent]:
        """Yield the statements that insert a document and its index entries."""


def spaces(database: Database) -> list[tuple[str, str]]:
    """Return every (table, partition) that holds a document."""
    found = organizations(database)
    kinds = database.columns(_each(database, found, (database.statements.kinds,)))
    return [(kind, of) for of, each in zip(found, kinds, strict=True) for kind in each]


def organizations(database: Database) -> list[str]:
    """Return every partition that holds a document."""
    return database.columns([(database.statements.organizations, {})])[0]


def replace(database: Database, documents: Iterable[Document], lists: Mapping[str, Lists]) -> None:
    """Put documents in the place of all there are. Raises ValueError when one comes twice."""
    clear(database)
    database.changed(
        sent
        for document in once_each(documents)
        for sent in database.inserting(document, places_of(document[0], document[3], lists))
    )


def clear(database: Database) -> None:
    """Remove all documents and index entries."""
    database.changed(_each(database, organizations(database), database.statements.clear))


def save(database: Database, name: str, facts: Mapping[str, Any], version: int) -> None:
    """Keep the state of the transaction's moment under a name, in the place of the snapshot of that name."""
    _drop(database, name)
    found, statements = organizations(database), database.statements
    documents = database.changed(_each(database, found, statements.keep[:1], snapshot=name))
    database.changed(_each(database, found, statements.keep[1:], snapshot=name))
    sizes = database.columns(_each(database, found, (statements.snapshot_bytes,), snapshot=name))
    size = sum(int(number) for (number,) in sizes)
    told = {"facts": dict(facts), "format": version, "documents": documents, "bytes": size}
    database.changed([(statements.name_snapshot, {"name": name, "facts": orjson.dumps(told).decode()})])


def restore(database: Database, name: str, version: int) -> None:
    """Put a snapshot in the place of all there is. Raises NoSnapshot, UnknownFormat."""
    told = _told(database).get(name)
    if told is None:
        raise NoSnapshot(name)
    if told["format"] > version:
        raise UnknownFormat(f"The snapshot {name} has format {told['format']}: only a newer program restores it.")
    clear(database)
    (found,) = database.columns([(database.statements.snapshot_organizations, {})])
    database.changed(_each(database, found, database.statements.bring_back, snapshot=name))


def saved(database: Database) -> list[Saved]:
    """Return the snapshots by name."""
    return [Saved(name, told["facts"], told["documents"], told["bytes"]) for name, told in _told(database).items()]


def forget(database: Database, name: str) -> None:
    """Remove a snapshot. Raises NoSnapshot."""
    if not _drop(database, name):
        raise NoSnapshot(name)


def _told(database: Database) -> dict[str, Any]:
    return {name: orjson.loads(told) for name, told in database.rows(database.statements.snapshots)}


def _drop(database: Database, name: str) -> bool:
    if database.changed([(database.statements.forget_name, {"name": name})]) == 0:
        return False
    (found,) = database.columns([(database.statements.snapshot_organizations, {})])
    database.changed(_each(database, found, database.statements.forget, snapshot=name))
    return True


def _each(database: Database, found: Iterable[str], statements: Sequence[str], **more: Any) -> Iterator[Sent]:
    """Yield the statements for each organization."""
    return ((statement, {"organization": database.escape(of)} | more) for of in found for statement in statements)
