"""Inboxes: what was posted to a receiver that the stand-in offers to those who have none. Bounded, newest kept."""

from collections.abc import Mapping
from typing import Any

from layers_standin.domain.ids import mint
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Record

KEPT = 100  # messages of one inbox
MAX_BODY = 65_536  # bytes of a message that are kept
_SOME = 10


def new_message(name: str, headers: Mapping[str, str], body: bytes, reason: str | None, received_at: str) -> Record:
    """Return the document of a message; `reason` says why its signature is not verified, None if it is."""
    return {
        "id": mint("msg"),
        "name": name,
        "receivedAt": received_at,
        "headers": dict(headers),
        "body": body[:MAX_BODY].decode("utf-8", "replace"),
        "bytes": len(body),
        "reason": reason,
    }


def message_view(message: Mapping[str, Any]) -> Record:
    """Return a message as the control plane shows it."""
    view = {field: message[field] for field in ("receivedAt", "headers", "body", "bytes")}
    return view | {"isVerified": message["reason"] is None, "reason": message["reason"]}


class Inbox:
    """The inbox of a name."""

    def __init__(self, tables: Tables, name: str) -> None:
        self._tables, self._name = tables, name
        self._messages = tables.table("inbox", name)

    def put(self, headers: Mapping[str, str], body: bytes, reason: str | None) -> None:
        """Keep a message, and forget the oldest beyond KEPT."""
        with self._tables.db.transaction():
            self._messages.insert(new_message(self._name, headers, body, reason, milliseconds(self._tables.now())))
            sort_keys = self._tables.db.scan("inbox", self._name, "all", limit=KEPT + _SOME)
            self._messages.remove(doc_ids=sort_keys[KEPT:])

    def all(self) -> list[Record]:
        """Return the messages, newest first."""
        found = self._tables.db.scan_documents("inbox", self._name, ["all"], limit=KEPT)
        return [message for _, message in found if message is not None]

    def clear(self) -> None:
        with self._tables.db.transaction():
            self._messages.truncate()
