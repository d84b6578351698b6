"""Three kinds of store for documents: TinyDB's own JSONStorage, bare SQLite, and the stand-in's engine."""

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


class OpenStore(NamedTuple):
    """An open store: `get(id)` reads a document, `increment(id)` adds one to its counter and syncs it to disk."""

    get: Callable[[Any], Record]
    increment: Callable[[Any], object]


class StoreKind(NamedTuple):
    """A kind of store.

    `fill(folder, count)` creates one with `count` influencers and returns their ids; `open(folder)` is a context
    manager that yields the OpenStore.
    """

    name: str
    fill: Callable[[Path, int], list[Any]]
    open: Callable[[Path], Any]


def fill_tinydb(folder: Path, count: int) -> list[int]:
    folder.mkdir()
    with TinyDB(folder / "tinydb.json") as db:
        db.table("influencers").insert_multiple(influencer(mint("inf"), mint("proj")) for _ in range(count))
    return list(range(1, count + 1))


def fill_store(folder: Path, count: int) -> list[str]:
    return populate(folder, count).influencers


@contextmanager
def open_tinydb(folder: Path) -> Iterator[OpenStore]:
    with TinyDB(folder / "tinydb.json") as db:
        yield store_on(db.table("influencers"))


@contextmanager
def open_store(folder: Path) -> Iterator[OpenStore]:
    db = open_engine(folder)
    try:
        yield store_on(db.table("influencers", ORGANIZATION))
    finally:
        db.close()


@contextmanager
def open_bare(folder: Path) -> Iterator[OpenStore]:
    """Open the stand-in's file with a bare `apsw` connection that has the same pragmas and checksums."""
    with closing(Connections(folder / DATABASE, True, _PATIENCE_SECONDS).connect()) as connection:

        def get(doc_id: str) -> Record:
            for (document,) in connection.execute(_FIND, (ORGANIZATION, doc_id)):
                return dict(orjson.loads(document))
            raise KeyError(doc_id)

        def increment(doc_id: str) -> None:
            connection.execute("BEGIN IMMEDIATE")
            document = get(doc_id)
            add_one(document)
            connection.execute(_UPDATE, (orjson.dumps(document).decode(), ORGANIZATION, doc_id))
            connection.execute("COMMIT")

        yield OpenStore(get, increment)


def store_on(table: Table) -> OpenStore:
    """Return the OpenStore of a TinyDB table, of the stand-in or of TinyDB itself."""
    return OpenStore(
        lambda doc_id: table.get(doc_id=doc_id),  # type: ignore[arg-type, return-value]
        lambda doc_id: table.update(add_one, doc_ids=[doc_id]),
    )


def add_one(document: Any) -> None:
    document["attributes"]["count"] = document["attributes"].get("count", 0) + 1


TINYDB = StoreKind("TinyDB's JSONStorage", fill_tinydb, open_tinydb)
BARE = StoreKind("bare apsw", fill_store, open_bare)
OURS = StoreKind("the store", fill_store, open_store)
