"""Three ways to keep documents: TinyDB's own JSONStorage, a bare connection to SQLite, and the stand-in's engine."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from tinydb import TinyDB
from tinydb.table import Table

from benchmarks.databases import open_engine
from benchmarks.documents import ORGANIZATION, influencer, populate
from layers_standin.domain.ids import mint
from layers_standin.engines.sqlite.connections import Connections
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Record

_PATIENCE_SECONDS = 3.0
_FIND = "SELECT document FROM documents WHERE organization = ? AND kind = 'influencers' AND id = ?"
_UPDATE = "UPDATE documents SET document = ? WHERE organization = ? AND kind = 'influencers' AND id = ?"


class Opened(NamedTuple):
    """A store that is open: how to read a document, and how to count one up in it, on disk when that returns."""

    get: Callable[[Any], Record]
    count_up: Callable[[Any], object]


class Kind(NamedTuple):
    """How to fill a new folder, which returns ids, and how to open what is in it."""

    name: str
    fill: Callable[[Path, int], list[Any]]
    opened: Callable[[Path], Any]


def fill_tinydb(folder: Path, count: int) -> list[int]:
    folder.mkdir()
    with TinyDB(folder / "tinydb.json") as db:
        db.table("influencers").insert_multiple(influencer(mint("inf"), mint("proj")) for _ in range(count))
    return list(range(1, count + 1))


def fill_store(folder: Path, count: int) -> list[str]:
    return populate(folder, count).influencers


@contextmanager
def open_tinydb(folder: Path) -> Iterator[Opened]:
    with TinyDB(folder / "tinydb.json") as db:
        yield of_table(db.table("influencers"))


@contextmanager
def open_store(folder: Path) -> Iterator[Opened]:
    db = open_engine(folder)
    try:
        yield of_table(db.table("influencers", ORGANIZATION))
    finally:
        db.close()


@contextmanager
def open_bare(folder: Path) -> Iterator[Opened]:
    """Open the same file by a connection of the same pragmas and checksums, with nothing of ours on it."""
    with closing(Connections(folder / DATABASE, True, _PATIENCE_SECONDS).connect()) as connection:

        def get(doc_id: str) -> Record:
            for (document,) in connection.execute(_FIND, (ORGANIZATION, doc_id)):
                return dict(orjson.loads(document))
            raise KeyError(doc_id)

        def count_up(doc_id: str) -> None:
            connection.execute("BEGIN IMMEDIATE")
            document = get(doc_id)
            add_one(document)
            connection.execute(_UPDATE, (orjson.dumps(document).decode(), ORGANIZATION, doc_id))
            connection.execute("COMMIT")

        yield Opened(get, count_up)


def of_table(table: Table) -> Opened:
    """Return what is done to a table of TinyDB, ours or its own."""
    return Opened(
        lambda doc_id: table.get(doc_id=doc_id),  # type: ignore[arg-type, return-value]
        lambda doc_id: table.update(add_one, doc_ids=[doc_id]),
    )


def add_one(document: Any) -> None:
    document["attributes"]["count"] = document["attributes"].get("count", 0) + 1


TINYDB = Kind("TinyDB's JSONStorage", fill_tinydb, open_tinydb)
BARE = Kind("bare apsw", fill_store, open_bare)
OURS = Kind("the store", fill_store, open_store)
