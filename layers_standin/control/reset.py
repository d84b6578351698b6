"""Resets: rows of (table, partition, id, JSON) that replace all documents."""

from pathlib import Path

import orjson

from layers_standin.domain.errors import Conflict
from layers_standin.domain.tables import identity_of
from layers_standin.engines.indexes import Document
from layers_standin.engines.table import Record
from layers_standin.seed import seed_documents
from layers_standin.services import Services, freeing
from store import Store


def empty_rows(store: Store) -> list[Document]:
    """Return the rows of an empty store: its signing key, or the next start would take it for a new store."""
    return [row_of("secrets", {"id": "signing", "key": store.signing_key()})]


def seed_rows(seed: Path, services: Services) -> list[Document]:
    """Return the rows of a seed; its pictures are on disk. Raises StartError."""
    return [row_of(table, document) for table, document in seed_documents(seed, services.media, services.store.now())]


def row_of(table: str, document: Record) -> Document:
    return (table, *identity_of(table, document), orjson.dumps(document))


def reset_store(services: Services, to: str | None) -> str:
    """Put everything back to the seed, or to nothing, and return which. Raises Conflict, StartError, EngineError."""
    seed = services.settings.seed
    to = to or ("seed" if seed is not None else "empty")
    if to == "seed" and seed is None:
        raise Conflict("There is no seed: STANDIN_SEED is none.", subcode="NO_SEED")
    with services.store.db.exclusive(), freeing(services):
        rows = seed_rows(seed, services) if to == "seed" and seed is not None else []
        services.store.db.replace_all(empty_rows(services.store) + rows)
    return to
