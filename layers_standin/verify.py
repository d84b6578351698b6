"""Verify a whole store: its database, and the files that its documents reference."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from layers_standin.domain.assets import file_of
from layers_standin.domain.tables import INDEXES, PRIMARY_KEYS, identity_of
from layers_standin.engines.sqlite.verify import Fault, Rules, faults
from layers_standin.media.storage import MediaStorage
from layers_standin.media.verify import fault_of


class Verification:
    """An iterable of the faults of a store; reads everything, changes nothing. Raises EngineError, OSError."""

    def __init__(self, folder: Path, media: MediaStorage) -> None:
        self._folder, self._files_check = folder, _FilesCheck(media)
        identities = {name: partial(identity_of, name) for name in PRIMARY_KEYS}
        self._rules = Rules(identities, INDEXES, self._files_check.fault_of)

    def __iter__(self) -> Iterator[Fault]:
        return faults(self._folder, self._rules)

    def counts(self) -> str:
        """Return the numbers read, as in "19 documents, 9 index entries, 8 pictures, 0 snapshots, 15 pages"."""
        found = self._rules.report
        return ", ".join(
            [
                counted(found.documents, "document"),
                counted(found.entries, "index entry", "index entries"),
                counted(self._files_check.number, "picture"),
                counted(found.snapshots, "snapshot"),
                counted(found.pages, "page"),
            ]
        )


class _FilesCheck:
    """Compares the files of documents and unfinished uploads with their checksums; `number` counts the files."""

    def __init__(self, media: MediaStorage) -> None:
        self._media = media
        self.number = 0

    def fault_of(self, snapshot: str, table: str, document: Mapping[str, Any]) -> str | None:
        """Return a sentence about a document's missing or damaged file, or None; `snapshot` may be ""."""
        try:
            bytes_of = document if table == "assets" else self._received(snapshot, table, document)
            if bytes_of is None:
                return None
            self.number += 1
            of, file = document["organizationId"], file_of({**document, **bytes_of})
            original = partial(self._media.original, of, file)
            saved = partial(self._media.snapshot_file, snapshot, of, file)
            fault = fault_of(saved if snapshot else original, bytes_of["sizeBytes"], bytes_of["checksumSha256"])
            return None if fault is None else f"its file {of}/{file} is not as it was stored, {fault}"
        except (LookupError, TypeError, ValueError) as error:
            return f"it does not tell which bytes it has ({error!r})"

    def _received(self, snapshot: str, table: str, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        # A snapshot may lack a file that was uploaded again just while it was saved.
        is_awaited = table == "uploads" and not snapshot and not document["finalized"]
        return document["received"] if is_awaited else None


def counted(number: int, one: str, more: str | None = None) -> str:
    """Return `1 document` or `2 documents`; `more` is an irregular plural."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"
