"""The bytes of assets, in a folder: `<root>/<organization>/<asset id>`, thumbnails made once beside them."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from PIL import Image, ImageDraw, ImageOps

from engines.disk import Disk
from media.inspect import MOST_PIXELS, NO_PICTURE

THUMBNAIL_PIXELS = 256

_NAME = re.compile(r"[0-9A-Za-z_-]+")
_THUMBNAIL = ".thumbnail.webp"
_UNFINISHED = ".part"
_PORTRAIT = "portrait-"


class NoSuchFile(LookupError):
    """There are no bytes of that asset."""


class Received(NamedTuple):
    """Bytes that are on disk: the name they have there, how many, and their SHA-256 in hex."""

    file: str
    sizeBytes: int
    checksumSha256: str


class MediaFolder:
    """Bytes go in as temporary file → sync → rename, so that a name always stands for whole bytes.

    Organization and asset ids become names here, and only ids of letters, digits, `_` and `-` can.
    """

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()

    def put(self, organization: str, asset_id: str, data: bytes) -> None:
        """Store an asset's bytes; they are on disk when this returns. Raises OSError."""
        self._write(self._place(organization, asset_id), [data])

    def receive(self, organization: str, asset_id: str, chunks: Iterable[bytes]) -> Received:
        """Store bytes as they come, in constant memory, under a name nobody else has. Raises OSError.

        What `chunks` raises goes through, and leaves nothing behind.
        """
        file = f"{asset_id}-{uuid4().hex}"
        checksum, size = sha256(), 0

        def noted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                checksum.update(chunk)
                size += len(chunk)
                yield chunk

        self._write(self._place(organization, file), noted())
        return Received(file, size, checksum.hexdigest())

    def original(self, organization: str, asset_id: str) -> Path:
        """Return the file of an asset. Raises NoSuchFile."""
        path = self._place(organization, asset_id)
        if not path.is_file():
            raise NoSuchFile(asset_id)
        return path

    def thumbnail(self, organization: str, asset_id: str) -> Path:
        """Return the file of a picture's thumbnail, made at the first call. Raises NoSuchFile."""
        original = self.original(organization, asset_id)
        path = original.with_name(original.name + _THUMBNAIL)
        if not path.is_file():
            self._write(path, [draw_thumbnail(original)])
        return path

    def portrait(self, organization: str, mark: str, draw: Callable[[], bytes]) -> Path:
        """Return the file of a portrait, drawn at the first call; its mark tells all that shows in it."""
        path = self._place(organization, f"{_PORTRAIT}{mark}")
        if not path.is_file():
            self._write(path, [draw()])
        return path

    def discard(self, organization: str, file: str) -> None:
        """Remove bytes that no document knows any more; what cannot be removed now is left to the next sweep."""
        with suppress(OSError):
            self._place(organization, file).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str, str], bool], older_than_seconds: float) -> list[Path]:
        """Remove files that no document knows, unless they are younger; return what was removed."""
        limit = time.time() - older_than_seconds
        orphans = [path for path in self._files() if not self._is_known(path, is_known)]
        old = [path for path in orphans if path.stat().st_mtime < limit]
        for path in old:
            path.unlink(missing_ok=True)
        return old

    def _files(self) -> Iterator[Path]:
        return (path for path in self._root.glob("*/*") if path.is_file())

    def _is_known(self, path: Path, is_known: Callable[[str, str], bool]) -> bool:
        if path.name.endswith(_UNFINISHED) or path.name.startswith(_PORTRAIT):
            return False  # a portrait that is asked for again is drawn again
        return is_known(path.parent.name, path.name.removesuffix(_THUMBNAIL))

    def _place(self, organization: str, asset_id: str) -> Path:
        if not (_NAME.fullmatch(organization) and _NAME.fullmatch(asset_id)):
            raise NoSuchFile(asset_id)
        return self._root / organization / asset_id

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}{_UNFINISHED}")
        try:
            with unfinished.open("xb", buffering=0) as file:
                for chunk in chunks:
                    self._disk.append(file.fileno(), chunk)
                self._disk.sync(file.fileno())
            self._disk.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        self._disk.sync_folder(path.parent)


def draw_thumbnail(original: Path) -> bytes:
    """Return a WebP of a picture, at most THUMBNAIL_PIXELS on its long side; a plain tile for what is none."""
    small = BytesIO()
    try:
        with Image.open(original) as picture:
            if picture.width * picture.height > MOST_PIXELS:  # nobody looks into what is declared a video
                raise Image.DecompressionBombError
            picture.draft("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            upright.save(small, "WEBP")
    except NO_PICTURE:
        small = BytesIO()
        _tile().save(small, "WEBP")
    return small.getvalue()


def _tile() -> Image.Image:
    """Return a picture that stands for bytes nobody can draw: a play mark on grey."""
    tile = Image.new("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), "#e7e5e4")
    left, right, top, bottom = (round(part * THUMBNAIL_PIXELS) for part in (0.40, 0.66, 0.34, 0.66))
    ImageDraw.Draw(tile).polygon([(left, top), (left, bottom), (right, (top + bottom) // 2)], fill="#a8a29e")
    return tile
