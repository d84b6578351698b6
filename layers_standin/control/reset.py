"""What the store is reset to: rows of (table, partition, id, JSON) that take the place of all there is."""

from pathlib import Path

import orjson

from layers_standin.engines.indexes import Document
from layers_standin.engines.table import Record
from layers_standin.domain.tables import identity_of
from layers_standin.seed import seed_documents
from layers_standin.services import Services
from store import Store


def empty_rows(store: Store) -> list[Document]:
    """Return what stays of any store: what it signs with, so that it is not taken for a new one at the next start."""
    return [row_of("secrets", {"id": "signing", "key": store.signing_key()})]


def seed_rows(seed: Path, services: Services) -> list[Document]:
    """Return the rows of a seed; its pictures are on disk. Raises StartError."""
    return [row_of(table, document) for table, document in seed_documents(seed, services.media, services.store.now())]


def row_of(table: str, document: Record) -> Document:
    return (table, *identity_of(table, document), orjson.dumps(document))
