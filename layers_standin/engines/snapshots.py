"""All documents of a database at once: replaced, saved as snapshots, and restored; on any database.

An engine inherits `BaseEngine`. Each function but `create` is given a database that is in a transaction over all
organizations already.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import orjson
from ulid import ULID

from layers_standin.engines.errors import EngineError, NoSnapshot, Unavailable, UnknownFormat
from layers_standin.engines.indexes import Document, IndexRule, once_each, places_in
from layers_standin.engines.sql import Sent, Statements

T = TypeVar("T")

Purpose = Literal["replace", "restore", "save"]  # all documents, by others or by a snapshot's; or snapshots

SNAPSHOT_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}")
HIDDEN = "."  # begins the name of an unpublished snapshot; `check_name` rejects it


class Snapshot(NamedTuple):
    """A snapshot: its name, the facts it was saved with, the number of its documents, its size.

    `snapshot_id` is in the names of its rows and its media; no other snapshot ever has it.
    """

    name: str
    facts: dict[str, Any]
    documents: int
    bytes: int
    snapshot_id: str


def check_name(name: str) -> None:
    """Raises ValueError unless a snapshot may have that name."""
    if not SNAPSHOT_NAME.fullmatch(name):
        raise ValueError(f"a snapshot is named with 1 to 64 letters, digits, _ and -, not {name!r}")


class Database(Protocol):
    """A connection in a transaction over all organizations, for statements that both databases understand."""

    statements: Statements

    def rows(self, statement: str) -> list[Any]: ...

    def columns(self, sent: Iterable[Sent]) -> list[list[Any]]:
        """Send the statements in order; return the first column of each one's rows, unescaped."""

    def changed(self, sent: Iterable[Sent]) -> int:
        """Send the statements in order; return the number of rows that they changed together."""


class BaseEngine(ABC):
    """The operations of an engine on all documents at once, each whole for every process or not done.

    Raises Unavailable when nothing was changed, Unconfirmed when that is not known.
    """

    _indexes: Mapping[str, IndexRule]
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
            replace(database, documents, self._indexes)

    def create_snapshot(self, name: str, facts: Mapping[str, Any]) -> AbstractContextManager[str]:
        return create(partial(self._whole, "save"), name, facts, self._format)

    def restore_snapshot(self, name: str) -> None:
        check_name(name)
        with self._whole("restore") as database:
            restore(database, name, self._format)

    def list_snapshots(self) -> list[Snapshot]:
        return self._read_whole(published)

    def delete_snapshot(self, name: str) -> None:
        check_name(name)
        with self._whole("save") as database:
            delete(database, name)

    def delete_unfinished_snapshots(self) -> None:
        with self._whole("save") as database:
            delete_unfinished(database)


def spaces(database: Database) -> list[tuple[str, str]]:
    """Return every (table, partition) that holds a document."""
    found = organizations(database)
    kinds = database.columns(_each(database, found, (database.statements.kinds,)))
    return [(kind, of) for of, each in zip(found, kinds, strict=True) for kind in each]


def organizations(database: Database) -> list[str]:
    """Return every partition that holds a document."""
    return database.columns([(database.statements.organizations, {})])[0]


def replace(database: Database, documents: Iterable[Document], indexes: Mapping[str, IndexRule]) -> None:
    """Replace all documents. Raises ValueError when one comes twice."""
    documents = list(once_each(documents))  # before anything is deleted: they may be read from the same database
    clear(database)
    database.changed(
        sent
        for document in documents
        for sent in database.statements.inserting(document, places_in(document[0], document[3], indexes))
    )


def clear(database: Database) -> None:
    """Remove all documents and index entries."""
    database.changed(_each(database, organizations(database), database.statements.clear))


@contextmanager
def create(
    whole: Callable[[], AbstractContextManager[Database]], name: str, facts: Mapping[str, Any], version: int
) -> Iterator[str]:
    """Save the documents under a new id, and give the snapshot its name when the block has ended well.

    Until then nobody sees it. `whole()` is a transaction over all organizations; each of the two steps is one.
    """
    check_name(name)
    snapshot_id = str(ULID())
    with whole() as database:
        delete_unfinished(database)
        _save(database, snapshot_id, facts, version)
    try:
        yield snapshot_id
        with whole() as database:
            _publish(database, name, snapshot_id)
    except BaseException:
        with suppress(EngineError), whole() as database:
            _drop(database, HIDDEN + snapshot_id)  # absent if it was published, but unconfirmed
        raise


def delete_unfinished(database: Database) -> None:
    """Delete the snapshots that a killed process has left without a name."""
    for name in _all_facts(database):
        if name.startswith(HIDDEN):
            _drop(database, name)


def _save(database: Database, snapshot_id: str, facts: Mapping[str, Any], version: int) -> None:
    found, statements = organizations(database), database.statements
    documents = database.changed(_each(database, found, statements.save[:1], snapshot=snapshot_id))
    database.changed(_each(database, found, statements.save[1:], snapshot=snapshot_id))
    sizes = database.columns(_each(database, found, (statements.snapshot_bytes,), snapshot=snapshot_id))
    size = sum(int(number) for (number,) in sizes)
    about = {"id": snapshot_id, "facts": dict(facts), "format": version, "documents": documents, "bytes": size}
    _note(database, HIDDEN + snapshot_id, about)


def _publish(database: Database, name: str, snapshot_id: str) -> None:
    """Give a snapshot its name; delete the one that had it. Raises Unavailable."""
    facts = _all_facts(database).get(HIDDEN + snapshot_id)
    if facts is None:
        raise Unavailable(f"The snapshot {name} was not finished: another save has begun meanwhile.")
    _drop(database, name)
    database.changed([(database.statements.delete_snapshot, {"name": HIDDEN + snapshot_id})])
    _note(database, name, facts)


def restore(database: Database, name: str, version: int) -> None:
    """Replace all documents by those of a snapshot. Raises NoSnapshot, UnknownFormat."""
    facts = _all_facts(database).get(name)
    if facts is None:
        raise NoSnapshot(name)
    if facts["format"] > version:
        raise UnknownFormat(f"The snapshot {name} has format {facts['format']}: only a newer program restores it.")
    clear(database)
    (found,) = database.columns([(database.statements.snapshot_organizations, {})])
    database.changed(_each(database, found, database.statements.restore, snapshot=facts["id"]))


def published(database: Database) -> list[Snapshot]:
    """Return the snapshots by name."""
    return [
        Snapshot(name, facts["facts"], facts["documents"], facts["bytes"], facts["id"])
        for name, facts in _all_facts(database).items()
        if not name.startswith(HIDDEN)
    ]


def delete(database: Database, name: str) -> None:
    """Delete a snapshot. Raises NoSnapshot."""
    if not _drop(database, name):
        raise NoSnapshot(name)


def _all_facts(database: Database) -> dict[str, Any]:
    return {name: orjson.loads(facts) for name, facts in database.rows(database.statements.snapshots)}


def _note(database: Database, name: str, facts: Mapping[str, Any]) -> None:
    database.changed([(database.statements.insert_snapshot, {"name": name, "facts": orjson.dumps(facts).decode()})])


def _drop(database: Database, name: str) -> bool:
    facts = _all_facts(database).get(name)
    if facts is None:
        return False
    database.changed([(database.statements.delete_snapshot, {"name": name})])
    (found,) = database.columns([(database.statements.snapshot_organizations, {})])
    database.changed(_each(database, found, database.statements.delete_saved, snapshot=facts["id"]))
    return True


def _each(database: Database, found: Iterable[str], statements: Sequence[str], **more: Any) -> Iterator[Sent]:
    """Yield the statements for each organization."""
    escape = database.statements.escape
    return ((statement, {"organization": escape(of)} | more) for of in found for statement in statements)
