"""Resets replace all documents by rows of (table, partition, id, JSON)."""

from pathlib import Path

import orjson

from layers_standin.domain.errors import Conflict
from layers_standin.domain.tables import identity_of
from layers_standin.engines.indexes import Document
from layers_standin.engines.table import Record
from layers_standin.housekeeping import discarding_unreferenced
from layers_standin.seed import seed_documents
from layers_standin.services import Services
from store import Store


def empty_rows(store: Store) -> list[Document]:
    """Return the rows of an empty store: its signing key, because the next start would seed a store without rows."""
    return [row_of("secrets", {"id": "signing", "key": store.signing_key()})]


def seed_rows(seed: Path, services: Services) -> list[Document]:
    """Return the rows of a seed, after its pictures are stored. Raises StartError."""
    return [row_of(table, document) for table, document in seed_documents(seed, services.media, services.store.now())]


def row_of(table: str, document: Record) -> Document:
    return (table, *identity_of(table, document), orjson.dumps(document))


def reset_store(services: Services, to: str | None) -> str:
    """Replace all documents by those of the seed, or by none; return "seed" or "empty".

    `to` is one of these, or None for the seed if there is one. Raises Conflict, StartError, EngineError.
    """
    seed = services.settings.seed
    to = to or ("seed" if seed is not None else "empty")
    if to == "seed" and seed is None:
        raise Conflict("There is no seed: STANDIN_SEED is none.", subcode="NO_SEED")
    with services.store.db.exclusive(), discarding_unreferenced(services):
        rows = seed_rows(seed, services) if to == "seed" and seed is not None else []
        known = {(table, partition, id_) for table, partition, id_, _ in rows}
        own = [row for row in empty_rows(services.store) if row[:3] not in known]  # a seed may have secrets of its own
        services.store.db.replace_all(own + rows)
    return to
