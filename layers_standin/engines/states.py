"""All documents of a database at once: replaced, saved as snapshots, and restored; on any database.

An engine inherits `States`. Each function but `saving` is given a database that is in a transaction over all
organizations already.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import orjson
from ulid import ULID

from layers_standin.engines.errors import EngineError, NoSnapshot, Unavailable, UnknownFormat
from layers_standin.engines.indexes import Document, IndexRule, once_each, places_in
from layers_standin.engines.saved import Saved, check_name
from layers_standin.engines.sql import Sent, Statements

T = TypeVar("T")

Purpose = Literal["replace", "restore", "keep"]  # all documents, by others or by a snapshot's; or snapshots

HIDDEN = "."  # begins the name of an unpublished snapshot; `check_name` rejects it


class Database(Protocol):
    """A connection in a transaction over all organizations, for statements that both databases understand."""

    statements: Statements

    def rows(self, statement: str) -> list[Any]: ...

    def columns(self, sent: Iterable[Sent]) -> list[list[Any]]:
        """Send the statements in order; return the first column of each one's rows, unescaped."""

    def changed(self, sent: Iterable[Sent]) -> int:
        """Send the statements in order; return the number of rows that they changed together."""


class States(ABC):
    """The operations of an engine on all documents at once, each whole for every process or not done.

    Raises Unavailable when nothing was changed, Unconfirmed when that is not known.
    """

    _lists: Mapping[str, IndexRule]
    _format: int

    @abstractmethod
    def _whole(self, purpose: Purpose) -> AbstractContextManager[Database]:
        """Begin a transaction over all organizations, which has the locks that its purpose needs."""

    @abstractmethod
    def _read_whole(self, read: Callable[[Database], T]) -> T:
        """Return the result of `read`; no lock is taken for it."""

    def tables(self) -> list[tuple[str, str]]:
        return self._read_whole(spaces)

    def replace_all(self, documents: Iterable[Document]) -> None:
        with self._whole("replace") as database:
            replace(database, documents, self._lists)

    def saving(self, name: str, facts: Mapping[str, Any]) -> AbstractContextManager[str]:
        return saving(partial(self._whole, "keep"), name, facts, self._format)

    def restore(self, name: str) -> None:
        check_name(name)
        with self._whole("restore") as database:
            restore(database, name, self._format)

    def saved(self) -> list[Saved]:
        return self._read_whole(saved)

    def forget(self, name: str) -> None:
        check_name(name)
        with self._whole("keep") as database:
            forget(database, name)

    def forget_unfinished(self) -> None:
        with self._whole("keep") as database:
            forget_unfinished(database)


def spaces(database: Database) -> list[tuple[str, str]]:
    """Return every (table, partition) that holds a document."""
    found = organizations(database)
    kinds = database.columns(_each(database, found, (database.statements.kinds,)))
    return [(kind, of) for of, each in zip(found, kinds, strict=True) for kind in each]


def organizations(database: Database) -> list[str]:
    """Return every partition that holds a document."""
    return database.columns([(database.statements.organizations, {})])[0]


def replace(database: Database, documents: Iterable[Document], lists: Mapping[str, IndexRule]) -> None:
    """Replace all documents. Raises ValueError when one comes twice."""
    documents = list(once_each(documents))  # before anything is deleted: they may be read from the same database
    clear(database)
    database.changed(
        sent
        for document in documents
        for sent in database.statements.inserting(document, places_in(document[0], document[3], lists))
    )


def clear(database: Database) -> None:
    """Remove all documents and index entries."""
    database.changed(_each(database, organizations(database), database.statements.clear))


@contextmanager
def saving(
    whole: Callable[[], AbstractContextManager[Database]], name: str, facts: Mapping[str, Any], version: int
) -> Iterator[str]:
    """Save the documents under a new id, and give the snapshot its name when the block has ended well.

    Until then nobody sees it. `whole()` is a transaction over all organizations; each of the two steps is one.
    """
    check_name(name)
    snapshot_id = str(ULID())
    with whole() as database:
        forget_unfinished(database)
        _keep(database, snapshot_id, facts, version)
    try:
        yield snapshot_id
        with whole() as database:
            _publish(database, name, snapshot_id)
    except BaseException:
        with suppress(EngineError), whole() as database:
            _drop(database, HIDDEN + snapshot_id)  # absent if it was published, but unconfirmed
        raise


def forget_unfinished(database: Database) -> None:
    """Delete the snapshots that a killed process has left without a name."""
    for name in _told(database):
        if name.startswith(HIDDEN):
            _drop(database, name)


def _keep(database: Database, snapshot_id: str, facts: Mapping[str, Any], version: int) -> None:
    found, statements = organizations(database), database.statements
    documents = database.changed(_each(database, found, statements.keep[:1], snapshot=snapshot_id))
    database.changed(_each(database, found, statements.keep[1:], snapshot=snapshot_id))
    sizes = database.columns(_each(database, found, (statements.snapshot_bytes,), snapshot=snapshot_id))
    size = sum(int(number) for (number,) in sizes)
    told = {"id": snapshot_id, "facts": dict(facts), "format": version, "documents": documents, "bytes": size}
    _note(database, HIDDEN + snapshot_id, told)


def _publish(database: Database, name: str, snapshot_id: str) -> None:
    """Give a snapshot its name; delete the one that had it. Raises Unavailable."""
    told = _told(database).get(HIDDEN + snapshot_id)
    if told is None:
        raise Unavailable(f"The snapshot {name} was not finished: another save has begun meanwhile.")
    _drop(database, name)
    database.changed([(database.statements.forget_name, {"name": HIDDEN + snapshot_id})])
    _note(database, name, told)


def restore(database: Database, name: str, version: int) -> None:
    """Replace all documents by those of a snapshot. Raises NoSnapshot, UnknownFormat."""
    told = _told(database).get(name)
    if told is None:
        raise NoSnapshot(name)
    if told["format"] > version:
        raise UnknownFormat(f"The snapshot {name} has format {told['format']}: only a newer program restores it.")
    clear(database)
    (found,) = database.columns([(database.statements.snapshot_organizations, {})])
    database.changed(_each(database, found, database.statements.bring_back, snapshot=told["id"]))


def saved(database: Database) -> list[Saved]:
    """Return the snapshots by name."""
    return [
        Saved(name, told["facts"], told["documents"], told["bytes"], told["id"])
        for name, told in _told(database).items()
        if not name.startswith(HIDDEN)
    ]


def forget(database: Database, name: str) -> None:
    """Delete a snapshot. Raises NoSnapshot."""
    if not _drop(database, name):
        raise NoSnapshot(name)


def _told(database: Database) -> dict[str, Any]:
    return {name: orjson.loads(told) for name, told in database.rows(database.statements.snapshots)}


def _note(database: Database, name: str, told: Mapping[str, Any]) -> None:
    database.changed([(database.statements.name_snapshot, {"name": name, "facts": orjson.dumps(told).decode()})])


def _drop(database: Database, name: str) -> bool:
    told = _told(database).get(name)
    if told is None:
        return False
    database.changed([(database.statements.forget_name, {"name": name})])
    (found,) = database.columns([(database.statements.snapshot_organizations, {})])
    database.changed(_each(database, found, database.statements.forget, snapshot=told["id"]))
    return True


def _each(database: Database, found: Iterable[str], statements: Sequence[str], **more: Any) -> Iterator[Sent]:
    """Yield the statements for each organization."""
    escape = database.statements.escape
    return ((statement, {"organization": escape(of)} | more) for of in found for statement in statements)
