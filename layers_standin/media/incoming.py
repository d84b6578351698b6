"""Incoming bytes: the name of their file, and their size and checksum."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from uuid import uuid4

from layers_standin.media.storage import StoredFile


def new_file(asset_id: str) -> str:
    """Return a new name for a file of an asset."""
    return f"{asset_id}-{uuid4().hex}"


class Measured:
    """Chunks, counted and hashed while they are iterated over; once only."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self._chunks, self._size, self._checksum = chunks, 0, sha256()

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for chunk in self._chunks:
            self._checksum.update(chunk)
            self._size += len(chunk)
            yield chunk

    def received(self, file: str) -> StoredFile:
        """Return the file of that name, with the size and checksum so far."""
        return StoredFile(file, self._size, self._checksum.hexdigest())
