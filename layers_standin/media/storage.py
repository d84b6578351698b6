"""What a media room offers, whether its bytes lie in a folder or in a bucket."""

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
    """There are no bytes of that name."""


class Incomplete(EngineError):
    """A snapshot does not have the media that it was saved with."""

    def __init__(self, where: object, missing: Sequence[str]) -> None:
        first = (
            f"{len(missing)} of its files are missing or not whole, the first is {missing[0]}"
            if missing
            else ("the list of its files is missing or not whole")
        )
        super().__init__(f"The snapshot's media {where} are damaged: {first}. Nothing was changed: it is not restored.")


class StoredFile(NamedTuple):
    """Bytes that are stored: the name they have there, how many, and their SHA-256 in hex."""

    file: str
    sizeBytes: int
    checksumSha256: str


class IncomingObject(NamedTuple):
    """What came of an upload, before anybody has read it."""

    size_bytes: int
    content_type: str


@dataclass(frozen=True)
class StoredObject:
    """Bytes that are no file of this machine, but can be opened like one."""

    size: int
    etag: str
    modified: datetime
    reader: Callable[[int], BinaryIO]

    def open(self, mode: Literal["rb"] = "rb", buffering: int = 1 << 20) -> BinaryIO:
        """Open the bytes; they are fetched `buffering` at a time."""
        return self.reader(buffering)


File = Path | StoredObject


class DirectUploads(Protocol):
    """Uploads that go straight to where the bytes are kept, past the stand-in. Each method raises Unavailable."""

    def url(self, organization: str, asset_id: str, window: timedelta) -> str: ...
    def arrival(self, organization: str, asset_id: str) -> IncomingObject | None: ...
    def take(self, organization: str, asset_id: str) -> StoredFile | None: ...
    def clear(self, organization: str, asset_id: str) -> None: ...


def portraits_of(influencer_id: str) -> str:
    """Return how the names of an influencer's portraits begin; the rest is the portrait's mark, without a dash."""
    return f"{PORTRAIT}{_NO_NAME.sub('_', influencer_id)[:120]}-"


def portrait_in(file: str) -> tuple[str, str] | None:
    """Return (influencer's id, mark) of a name that a portrait has, None of any other."""
    influencer_id, _, mark = file.removeprefix(PORTRAIT).rpartition("-")
    return (influencer_id, mark) if file.startswith(PORTRAIT) else None


class MediaStorage(Protocol):
    """Where bytes live, by organization and file: an asset's id, or what `receive` has named.

    Raises NoSuchFile; OSError or Unavailable when it cannot.
    `direct` is None when uploads come through the stand-in.

    `discard` removes bytes that no document knows any more, and what was drawn from them, but nothing that a snapshot
    keeps; what cannot be removed now is left to the next sweep. `sweep` removes what `is_known(organization, file)`
    denies, unless it is younger: it is asked about one organization after the other, when everything is listed.
    `keep` gives a snapshot all bytes there are, but not what is drawn from them; it comes after the documents were
    copied, and bytes come before the document that knows them, so none can be missing. `bring_back` puts back what is
    missing of them and removes nothing; it comes before the documents are restored, and raises Incomplete, with
    nothing changed, when the snapshot does not have all it was given. `forget_others` removes what is kept under any
    other id than these.
    """

    @property
    def direct(self) -> DirectUploads | None: ...
    def put(self, organization: str, asset_id: str, data: bytes) -> None: ...
    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes]) -> StoredFile: ...
    def original(self, organization: str, file: str) -> File: ...
    def kept(self, snapshot: str, organization: str, file: str) -> File: ...
    def thumbnail(self, organization: str, file: str) -> File: ...
    def portrait(self, organization: str, influencer_id: str, mark: str, draw: Callable[[], bytes]) -> File: ...
    def discard(self, organization: str, file: str) -> None: ...
    def sweep(
        self, is_known: Callable[[str, str], bool], older_than_seconds: float, now: float | None = None
    ) -> Sequence[object]: ...
    def drop_organization(self, organization: str) -> None: ...
    def keep(self, snapshot_id: str) -> None: ...
    def bring_back(self, snapshot_id: str) -> None: ...
    def forget_others(self, snapshot_ids: Collection[str]) -> None: ...
