"""Bytes on their way in: the name they get, and what is known of them once all have passed."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from uuid import uuid4

from layers_standin.media.storage import StoredFile


def new_file(asset_id: str) -> str:
    """Return a name for the bytes of an asset that no others have."""
    return f"{asset_id}-{uuid4().hex}"


class Measured:
    """The same bytes, counted and summed up as somebody takes them; once only."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._size, self._checksum = chunks, 0, sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._checksum.update(chunk)
            self._size += len(chunk)
            yield chunk

    def received(self, file: str) -> StoredFile:
        """Return what has passed so far, kept under that name."""
        return StoredFile(file, self._size, self._checksum.hexdigest())
