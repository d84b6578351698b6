"""Whether bytes are a picture of the declared type, without decoding it."""

from typing import BinaryIO

from PIL import Image

# 64 megapixels take 256 MB to decode; a file of a few kB can claim a hundred times that.
MAX_PIXELS = 64_000_000

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)  # the latter where warnings are errors
NO_PICTURE = Exception  # its decoders are many, and odd bytes make some of them raise anything

_SVG = "image/svg+xml"
# Others stay tiles: there are many, and for some Pillow runs another program.
_DRAWN = {"AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "TIFF", "WEBP"}
_SAME = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "image/vnd.microsoft.icon": "image/x-icon",
    "image/mpo": "image/jpeg",  # written by many phones: a JPEG with more behind it
    "image/apng": "image/png",
}


def fault_of_picture(file: BinaryIO, mime_type: str) -> str | None:
    """Return a sentence why a file is no picture of that type, or None."""
    if mime_type == _SVG:
        return None if _looks_like_svg(file) else "The bytes are not image/svg+xml"
    try:
        with Image.open(file) as picture:
            found, (width, height) = picture.get_format_mimetype() or "", picture.size
    except TOO_LARGE:
        return "The picture is too large"
    except NO_PICTURE:
        return f"The bytes are not {mime_type}" if _is_known(mime_type) else None
    if width * height > MAX_PIXELS:
        return f"The picture is too large: {width} x {height} pixels"
    if _plain(found) != _plain(mime_type):
        return f"The bytes are not {mime_type}, but {found}"
    return None


def drawn_formats() -> list[str]:
    """Return Pillow's names of the formats that it may decode from untrusted files."""
    Image.init()
    return [name for name in Image.ID if name in _DRAWN]


def _is_known(mime_type: str) -> bool:
    """Whether Pillow would have recognized a picture of that type."""
    Image.init()
    return _plain(mime_type) in {_plain(known) for known in Image.MIME.values()}


def _plain(mime_type: str) -> str:
    return _SAME.get(mime_type, mime_type)


def _looks_like_svg(file: BinaryIO) -> bool:
    head = file.read(4096).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    return head.startswith("<") and "<svg" in head
