"""Untrusted pictures, opened with Pillow: within limits, and a failing storage told from bad bytes."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, ImageFile, PngImagePlugin
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH

from layers_standin.engines.errors import EngineError, Unavailable
from layers_standin.media.storage import NoSuchFile

# Tools write megabytes of text into a PNG. One piece may be as long as all of it together, which stays bounded.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

_MAX_READS = 1 << 18  # of a head: of single bytes, one could take minutes
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module="PIL")  # a file can have 65,535 of them, and Python keeps each text
warnings.simplefilter("error", Image.DecompressionBombWarning)  # also of a picture within a picture


class NoPicture(Exception):
    """The bytes are no picture that can be decoded."""


class TooManyPixels(NoPicture):
    """The picture has more pixels than are decoded."""


class SourceFile:
    """A file for Pillow that remembers the error of its storage: Pillow swallows some, and disguises others.

    It has no descriptor, past which libtiff would read by itself.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell
        self.error: Exception | None = None
        self.reads_left: float = _MAX_READS

    def read(self, size: int = -1) -> bytes:
        return self._remembering(self._file.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._remembering(self._file.readline, size)

    def _remembering(self, read: Callable[[int], bytes], size: int) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ValueError("too many reads")
        try:
            return read(size)
        except (OSError, EngineError, NoSuchFile) as error:
            self.error = error
            raise


def _pixels(picture: ImageFile.ImageFile) -> int:
    """Return how many pixels are decoded at once: of a TIFF a tile at least, which may be larger than the picture."""
    tags: dict[int, int] = getattr(picture, "tag_v2", {})
    return max(picture.width * picture.height, tags.get(TILEWIDTH, 0) * tags.get(TILELENGTH, 0))


@contextmanager
def open_picture(
    file: BinaryIO, max_pixels: int, formats: Sequence[str] | None = None
) -> Iterator[ImageFile.ImageFile]:
    """Yield the picture in a file, not yet decoded; `formats` are Pillow's names, None for all it knows.

    Raises NoPicture for any error inside the block, TooManyPixels, and the errors of the storage: OSError, EngineError,
    NoSuchFile. Raises Unavailable when there is too little memory now.
    """
    source = SourceFile(file)
    before = Image.MAX_IMAGE_PIXELS  # Pillow's limit of pictures within a picture; other users of it keep theirs
    try:
        Image.MAX_IMAGE_PIXELS = max_pixels
        with Image.open(source, formats=formats) as picture:  # type: ignore[arg-type]  # Pillow calls no more of it
            source.reads_left = math.inf
            if _pixels(picture) > max_pixels:
                raise TooManyPixels
            yield picture
    except Exception as error:  # its decoders are many, and odd bytes make some of them raise anything
        if source.error is not None:
            raise source.error from None
        if isinstance(error, MemoryError):
            raise Unavailable("There is too little memory to look at a picture.") from error
        raise (TooManyPixels if isinstance(error, (TooManyPixels, *_TOO_LARGE)) else NoPicture) from error
    finally:
        Image.MAX_IMAGE_PIXELS = before
    if source.error is not None:
        raise source.error
