"""What a media room offers, whether its bytes lie in a folder or in a bucket."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Protocol

THUMBNAIL_PIXELS = 256

NAME = re.compile(r"[0-9A-Za-z_-]+")
THUMBNAIL = ".thumbnail.webp"
PORTRAIT = "portrait-"


class NoSuchFile(LookupError):
    """There are no bytes of that name."""


class Received(NamedTuple):
    """Bytes that are stored: the name they have there, how many, and their SHA-256 in hex."""

    file: str
    sizeBytes: int
    checksumSha256: str


class Arrival(NamedTuple):
    """What came of an upload, before anybody has read it."""

    size_bytes: int
    content_type: str


@dataclass(frozen=True)
class Stored:
    """Bytes that are no file of this machine, but can be opened like one."""

    size: int
    etag: str
    modified: datetime
    reader: Callable[[int], BinaryIO]

    def open(self, mode: Literal["rb"] = "rb", buffering: int = 1 << 20) -> BinaryIO:
        """Open the bytes; they are fetched `buffering` at a time."""
        return self.reader(buffering)


File = Path | Stored


class Direct(Protocol):
    """Uploads that go straight to where the bytes are kept, past the stand-in. Each method raises Unavailable."""

    def url(self, organization: str, asset_id: str, window: timedelta) -> str: ...
    def arrival(self, organization: str, asset_id: str) -> Arrival | None: ...
    def take(self, organization: str, asset_id: str) -> Received | None: ...
    def clear(self, organization: str, asset_id: str) -> None: ...


class MediaRoom(Protocol):
    """Where bytes live, by organization and file: an asset's id, or what `receive` has named.

    Raises NoSuchFile; OSError or Unavailable when it cannot.
    `direct` is None when uploads come through the stand-in.
    """

    @property
    def direct(self) -> Direct | None: ...
    def put(self, organization: str, asset_id: str, data: bytes) -> None: ...
    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes]) -> Received: ...
    def original(self, organization: str, file: str) -> File: ...
    def kept(self, snapshot: str, organization: str, file: str) -> File: ...
    def thumbnail(self, organization: str, file: str) -> File: ...
    def portrait(self, organization: str, mark: str, draw: Callable[[], bytes]) -> File: ...
    def discard(self, organization: str, file: str) -> None: ...
    def sweep(
        self, is_known: Callable[[str, str], bool], older_than_seconds: float, now: float | None = None
    ) -> Sequence[object]: ...
    def drop_organization(self, organization: str) -> None: ...
    def keep(self, name: str) -> None: ...
    def bring_back(self, name: str) -> None: ...
    def forget(self, name: str) -> None: ...
