"""The protocol of the storages of media: a folder, or a bucket."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol

from layers_standin.engines.errors import EngineError

THUMBNAIL_PIXELS = 256

NAME = re.compile(r"[0-9A-Za-z_-]+")
THUMBNAIL = ".thumbnail.webp"
PORTRAIT = "portrait-"
INCOMING = ".incoming"  # behind an asset's id, the name of bytes that came past us

_NO_NAME = re.compile(r"[^0-9A-Za-z_-]")


class NoSuchFile(LookupError):
    """No file has that name."""


class Incomplete(EngineError):
    """A snapshot lacks media that it was saved with."""

    def __init__(self, where: object, missing: Sequence[str]) -> None:
        first = (
            f"{len(missing)} of its files are missing or not whole, the first is {missing[0]}"
            if missing
            else ("the list of its files is missing or not whole")
        )
        super().__init__(f"The snapshot's media {where} are damaged: {first}. Nothing was changed: it is not restored.")


class StoredFile(NamedTuple):
    """A stored file: its name, its size, and its SHA-256 in hex."""

    file: str
    sizeBytes: int
    checksumSha256: str


class IncomingObject(NamedTuple):
    """An object that a client has sent straight to the bucket, not yet read: size and declared type."""

    size_bytes: int
    content_type: str


@dataclass(frozen=True)
class StoredObject:
    """An object in the bucket: `size` in bytes, `etag`, time of modification. `open()` returns a seekable reader."""

    size: int
    etag: str
    modified: datetime
    reader: Callable[[int], BinaryIO]

    def open(self, mode: Literal["rb"] = "rb", buffering: int = 1 << 20) -> BinaryIO:
        """Open the object; it is fetched `buffering` bytes at a time."""
        return self.reader(buffering)


File = Path | StoredObject


class DirectUploads(Protocol):
    """Uploads that clients send straight to the bucket. Each method raises Unavailable."""

    def url(self, organization: str, asset_id: str, window: timedelta) -> str:
        """Return a signed URL for a PUT of the asset's bytes, valid for `window`."""

    def arrival(self, organization: str, asset_id: str) -> IncomingObject | None:
        """Return the object that came last for an asset, or None."""

    def take(self, organization: str, asset_id: str) -> StoredFile | None:
        """Copy that object to a new name that no client can write to, read it once, and return it; or None."""

    def clear(self, organization: str, asset_id: str) -> None:
        """Remove that object. If that fails, a later sweep removes it."""


def portraits_of(influencer_id: str) -> str:
    """Return the prefix of the names of an influencer's portraits; the portrait's mark follows, without a dash."""
    return f"{PORTRAIT}{_NO_NAME.sub('_', influencer_id)[:120]}-"


def portrait_in(file: str) -> tuple[str, str] | None:
    """Return (influencer's id, mark) of a portrait's name, None of any other name."""
    influencer_id, _, mark = file.removeprefix(PORTRAIT).rpartition("-")
    return (influencer_id, mark) if file.startswith(PORTRAIT) else None


class MediaStorage(Protocol):
    """Files by organization and name: an asset's id, or a name that `receive` made. Ids have only [0-9A-Za-z_-].

    Each method raises OSError or Unavailable; all that take a name raise NoSuchFile.
    """

    @property
    def direct(self) -> DirectUploads | None:
        """The uploads straight to the bucket; None when clients send their bytes to the stand-in."""

    def put(self, organization: str, asset_id: str, data: bytes) -> None:
        """Store a file durably under an asset's id."""

    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes | memoryview]) -> StoredFile:
        """Store chunks durably, in constant memory, under a new name; each chunk is read before the next is asked for.

        An error of `chunks` goes through, and leaves no file behind.
        """

    def original(self, organization: str, file: str) -> File:
        """Return a file."""

    def snapshot_file(self, snapshot: str, organization: str, file: str) -> File:
        """Return a file of a snapshot; a folder's may be missing. Raises ValueError for a bad id of a snapshot."""

    def thumbnail(self, organization: str, file: str) -> File:
        """Return a picture's thumbnail, drawn at the first call."""

    def portrait(self, organization: str, influencer_id: str, mark: str, draw: Callable[[], bytes]) -> File:
        """Return a portrait, drawn at the first call; `mark` identifies its content.

        Of an influencer's portraits only the last drawn stays.
        """

    def discard(self, organization: str, file: str) -> None:
        """Remove a file and its thumbnail, but none of a snapshot. Raises only NoSuchFile.

        If that fails, a later sweep removes them.
        """

    def sweep(
        self, is_known: Callable[[str, str], bool], older_than_seconds: float, now: float | None = None
    ) -> Sequence[object]:
        """Remove the older files for which `is_known(organization, name)` is false; return them.

        It is called for one organization after the other, after all files are listed. `now` is in seconds since 1970.
        """

    def drop_organization(self, organization: str) -> None:
        """Remove the files of an organization whose documents are gone; those of snapshots stay."""

    def create_snapshot(self, snapshot_id: str) -> None:
        """Store all files for a snapshot, except thumbnails and portraits.

        To be called after the documents were saved: a file is stored before its document, so none can be missing.
        """

    def restore_snapshot(self, snapshot_id: str) -> None:
        """Put missing files of a snapshot back; remove none. To be called before the documents are restored.

        Raises Incomplete, with nothing changed, when the snapshot lacks one.
        """

    def delete_other_snapshots(self, snapshot_ids: Collection[str]) -> None:
        """Delete the files of all snapshots except these."""
