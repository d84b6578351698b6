"""The bytes of assets, in a folder: `<root>/<organization>/<asset id>`, thumbnails made once beside them."""

import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from PIL import Image, UnidentifiedImageError

from engines.disk import Disk

THUMBNAIL_PIXELS = 256

_NAME = re.compile(r"[0-9A-Za-z_-]+")
_THUMBNAIL = ".thumbnail.webp"
_UNFINISHED = ".part"


class NoSuchFile(LookupError):
    """There are no bytes of that asset."""


class MediaFolder:
    """Bytes go in as temporary file → sync → rename, so that a name always stands for whole bytes.

    Organization and asset ids become names here, and only ids of letters, digits, `_` and `-` can.
    """

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()

    def put(self, organization: str, asset_id: str, data: bytes) -> None:
        """Store an asset's bytes; they are on disk when this returns. Raises OSError."""
        self._write(self._place(organization, asset_id), data)

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
            self._write(path, draw_thumbnail(original))
        return path

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
        asset_id = path.name.removesuffix(_THUMBNAIL)
        return not path.name.endswith(_UNFINISHED) and is_known(path.parent.name, asset_id)

    def _place(self, organization: str, asset_id: str) -> Path:
        if not (_NAME.fullmatch(organization) and _NAME.fullmatch(asset_id)):
            raise NoSuchFile(asset_id)
        return self._root / organization / asset_id

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}{_UNFINISHED}")
        try:
            with unfinished.open("xb", buffering=0) as file:
                self._disk.append(file.fileno(), data)
                self._disk.sync(file.fileno())
            self._disk.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        self._disk.sync_folder(path.parent)


def draw_thumbnail(original: Path) -> bytes:
    """Return a WebP of a picture, at most THUMBNAIL_PIXELS on its long side. Raises NoSuchFile."""
    try:
        with Image.open(original) as picture:
            picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
            small = BytesIO()
            picture.save(small, "WEBP")
            return small.getvalue()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
        raise NoSuchFile(original.name) from error
