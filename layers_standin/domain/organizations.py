"""Organizations: each document belongs to one, and no other can see it."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from layers_standin.domain.credits import with_balance
from layers_standin.domain.errors import NotFound
from layers_standin.domain.tables import PRIMARY_KEYS, Tables
from layers_standin.domain.times import epoch_milliseconds, milliseconds
from layers_standin.engines.errors import Unavailable
from layers_standin.engines.table import Record


def organization_view(document: Mapping[str, Any]) -> Record:
    """Return an organization as the control plane shows it."""
    return {"organizationId": document["id"], "name": document["name"], "createdAt": document["createdAt"]}


class Organizations:
    """All organizations."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, organization: str) -> Record:
        """Return an organization's document. Raises NotFound."""
        document = self._tables.table("organizations", organization).get(doc_id=organization)
        if document is None:
            raise NotFound("Organization not found.")
        return document

    def all(self) -> list[Record]:
        found = self._tables.db.read_each("organizations")
        return sorted(found, key=lambda document: (document["createdAt"], document["id"]))

    def create(self, name: str) -> Record:
        now = milliseconds(self._tables.now())
        document: Record = {"id": str(uuid4()), "name": name, "creditBalance": 0, "createdAt": now}
        self._tables.table("organizations", document["id"]).insert(document)
        return document

    def set_balance(self, organization: str, balance: int) -> None:
        """Set the credits of an organization as of now. Raises NotFound."""
        with self._tables.db.transaction():
            found = with_balance(self.get(organization), balance, epoch_milliseconds(self._tables.now()))
            self._tables.put("organizations", found)

    def drop(self, organization: str) -> None:
        """Delete an organization and all its documents, keys included. Raises NotFound."""
        self._tables.db.run_transaction(partial(self._drop, organization))
        with suppress(Unavailable):  # it is gone all the same
            self._tables.db.run_transaction(partial(self._drop_late, organization))

    def _drop(self, organization: str) -> None:
        with self._tables.db.transaction():
            self.get(organization)
            for key in self._tables.db.table("api_key_ids", organization):
                self._tables.table("api_keys", key["publicId"]).remove(doc_ids=[key["publicId"]])
            self._empty(organization)

    def _drop_late(self, organization: str) -> None:
        """Delete again, alone: a transaction that saw the key before the first delete may have committed after it."""
        with self._tables.db.transaction(alone=True):
            self._empty(organization)

    def _empty(self, organization: str) -> None:
        for table in PRIMARY_KEYS:  # of every table: others may have got documents since the last commit
            self._tables.db.table(table, organization).truncate()
