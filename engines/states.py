"""All documents of a PostgreSQL database at once: opened and upgraded, replaced, kept under names and brought back.

Each function is given a connection that is in a transaction already.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from psycopg import Connection, Cursor

from engines import sql
from engines.changes import Document, Lists, once_each, places_of
from engines.errors import EngineError, NoSnapshot, UnknownFormat
from engines.rows import meeting, moves, newcomer, of_key, of_organization, of_some, plain, safe
from engines.saved import Saved
from engines.upgrades import Transform, Upgrade, upgrading

Database = Connection[Any]

_AT_ONCE = 500


# Opening.


def facts_of(connection: Database) -> dict[str, int]:
    """Return the schema and format of a database; nothing when it is new."""
    (is_new,) = connection.execute(sql.OF_ALL["is new"]).fetchone() or (True,)
    if is_new:
        return {}
    return {name: int(fact) for name, fact in connection.execute(sql.OF_ALL["facts"])}


def refuse_other(connection: Database, facts: Mapping[str, int], version: int, name: str) -> None:
    """Raises UnknownFormat, EngineError when this program cannot work with a database."""
    for fact, known in (("schema", sql.SCHEMA), ("format", version)):
        if facts.get(fact, 0) > known:
            raise UnknownFormat(
                f"The database {name} has {fact} {facts[fact]}, and this program knows up to {known}. "
                "Run the newer program, or set STANDIN_STORE to another database."
            )
    if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
        raise EngineError(f"The database {name} is encoded in {encoding}: create one whose encoding is UTF8.")


def create(
    connection: Database, found: int, version: int, upgrades: Mapping[int, Upgrade], lists: Mapping[str, Lists]
) -> None:
    """Make the tables that are not there, and bring documents of an older format up to date."""
    connection.execute(sql.CREATE, prepare=False)  # it is several statements
    upgrade(connection, found, version, upgrades, lists)
    for name, number in (("schema", sql.SCHEMA), ("format", version)):
        connection.execute(sql.OF_ALL["note fact"], {"name": name, "fact": str(number)})


def upgrade(
    connection: Database, found: int, version: int, upgrades: Mapping[int, Upgrade], lists: Mapping[str, Lists]
) -> None:
    """Bring all documents from format `found` to `version`, and their places in lists with them."""
    if found >= version:
        return
    transform = upgrading(upgrades, found, version)
    connection.execute(sql.OF_ALL["no more writes"])
    for partition in partitions(connection):
        connection.execute(sql.EMPTY_PLACES, of_organization(partition))
        for table in kinds(connection, partition):
            _upgrade_table(connection, table, partition, transform, lists)


def _upgrade_table(
    connection: Database, table: str, partition: str, transform: Transform, lists: Mapping[str, Lists]
) -> None:
    rows = connection.execute(sql.IDS, of_organization(partition, kind=safe(table))).fetchall()
    ids = (plain(doc_id) for (doc_id,) in rows)
    while some := [(table, partition, doc_id) for doc_id in islice(ids, _AT_ONCE)]:
        found = connection.execute(sql.FIND_SOME, of_some(partition, some)).fetchall()
        with connection.pipeline():
            for _, doc_id, document in found:
                key, after = (table, partition, plain(doc_id)), transform(table, document)
                connection.execute(sql.UPDATE, of_key(key) | {"document": after.decode()})
                for statement, parameters in moves(key, [], places_of(table, after, lists)):
                    connection.execute(statement, parameters)


# What there is.


def partitions(connection: Database) -> list[str]:
    """Return every partition that has ever had a document, in the order in which they came."""
    return [plain(organization) for (organization,) in connection.execute(sql.OF_ALL["organizations"])]


def kinds(connection: Database, partition: str) -> list[str]:
    return [plain(kind) for (kind,) in connection.execute(sql.KINDS, of_organization(partition))]


def spaces(connection: Database) -> list[tuple[str, str]]:
    """Return every (table, partition) that holds a document, in two trips."""
    found = partitions(connection)
    asked = _for_each(connection, found, sql.KINDS)
    return [(plain(kind), partition) for partition, cursor in zip(found, asked, strict=True) for (kind,) in cursor]


# Taking the place of all there is.


def replace(connection: Database, documents: Iterable[Document], lists: Mapping[str, Lists]) -> None:
    """Put documents in the place of all there are. Raises ValueError when one comes twice."""
    empty(connection)
    with connection.pipeline():
        for statement, parameters in _filling(documents, lists):
            connection.execute(statement, parameters)


def _filling(documents: Iterable[Document], lists: Mapping[str, Lists]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    met: dict[str, None] = {}
    for table, partition, doc_id, document in once_each(documents):
        key = (table, partition, doc_id)
        places = places_of(table, document, lists)
        yield sql.INSERT, newcomer(key, document)
        yield from moves(key, [], places)
        met[partition] = None
    for partition in met:
        yield meeting(partition)


def empty(connection: Database) -> None:
    """Remove all documents. Whom they belonged to stays known: other processes go by having made that known."""
    _for_each(connection, partitions(connection), sql.EMPTY_DOCUMENTS, sql.EMPTY_PLACES)


def _for_each(connection: Database, found: Iterable[str], *statements: str, **more: Any) -> list[Cursor[Any]]:
    """Execute statements for each partition, all in one trip; return the cursors of the first."""
    with connection.pipeline():
        made = [[connection.execute(each, of_organization(of, **more)) for each in statements] for of in found]
    return [first for first, *_ in made]


# States that are kept.


def save(connection: Database, name: str, facts: Mapping[str, Any], version: int) -> None:
    """Keep the state of the transaction's moment under a name, in the place of what was kept there."""
    _drop(connection, name)
    found = partitions(connection)
    kept = _for_each(connection, found, sql.KEEP_DOCUMENTS, sql.KEEP_PLACES, snapshot=name)
    sizes = _for_each(connection, found, sql.KEPT_BYTES, snapshot=name)
    documents = sum(cursor.rowcount for cursor in kept)
    size = sum(int(number) for cursor in sizes for (number,) in cursor)
    told = {"facts": dict(facts), "format": version, "documents": documents, "bytes": size}
    connection.execute(sql.OF_ALL["name snapshot"], {"name": name, "facts": orjson.dumps(told).decode()})


def restore(
    connection: Database, name: str, version: int, upgrades: Mapping[int, Upgrade], lists: Mapping[str, Lists]
) -> None:
    """Put a saved state in the place of all there is. Raises NoSnapshot, UnknownFormat."""
    told = _told(connection).get(name)
    if told is None:
        raise NoSnapshot(name)
    if told["format"] > version:
        raise UnknownFormat(f"The snapshot {name} has format {told['format']}: only a newer program restores it.")
    empty(connection)
    _for_each(connection, partitions(connection), sql.BRING_BACK_DOCUMENTS, sql.BRING_BACK_PLACES, snapshot=name)
    upgrade(connection, told["format"], version, upgrades, lists)


def saved(connection: Database) -> list[Saved]:
    return [Saved(name, told["facts"], told["documents"], told["bytes"]) for name, told in _told(connection).items()]


def forget(connection: Database, name: str) -> None:
    """Remove a saved state. Raises NoSnapshot."""
    if not _drop(connection, name):
        raise NoSnapshot(name)


def _told(connection: Database) -> dict[str, Any]:
    return {name: orjson.loads(told) for name, told in connection.execute(sql.OF_ALL["snapshots"])}


def _drop(connection: Database, name: str) -> bool:
    if connection.execute(sql.OF_ALL["forget snapshot"], {"name": name}).rowcount == 0:
        return False
    _for_each(connection, partitions(connection), sql.FORGET_DOCUMENTS, sql.FORGET_PLACES, snapshot=name)
    return True
