"""Whether bytes are a picture of the declared type, without decoding it."""

import codecs
import re
from typing import BinaryIO

from PIL import Image

from layers_standin.media.decoding import NoPicture, TooManyPixels, open_picture
from layers_standin.media.turns import INSPECTING, one_at_a_time

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

# How files begin that Pillow cannot open, if they are of a usual type.
_HEIF = re.compile(rb".{4}ftyp(he[imv][cmsx]|m[is]f[12])", re.DOTALL)
_HEADS = {
    "image/heic": _HEIF,
    "image/heif": _HEIF,
    "image/heic-sequence": _HEIF,
    "image/heif-sequence": _HEIF,
    "image/jxl": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
}
# Files of any other image type are at least no document, program, sound or film, and no text.
_NO_IMAGE = re.compile(
    rb"[\t\n\f\r ]*<[!?a-z]|%PDF|\x7fELF|OggS|ID3|\x1aE\xdf\xa3|RIFF.{4}(WAVE|AVI )"
    rb"|.{4}ftyp(isom|iso[2-9]|mp4[12]|M4[ABPV] |avc1|dash|qt  |3g[2p])",
    re.DOTALL | re.IGNORECASE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_HEAD_BYTES = 4096

_MAX_PROLOG_BYTES = 1 << 20
_COMMENT = r"<!--.*?-->|<\?.*?\?>"
_SUBSET = rf"""\[(?:{_COMMENT}|"[^"]*"|'[^']*'|<(?!!--|\?)|[^]"'<])*+\][ \t\r\n]*+"""  # with the entities' declarations
_ROOT_IS_SVG = re.compile(
    rf"(?:[ \t\r\n]++|{_COMMENT}|<!DOCTYPE[^\[>]*+(?:{_SUBSET})?>)*+<(?:[\w.-]++:)?svg[ \t\r\n/>]", re.DOTALL
)
_ENCODINGS = {
    "utf-8": re.compile(codecs.BOM_UTF8),
    "utf-16-le": re.compile(codecs.BOM_UTF16_LE + rb"|<\0.\0", re.DOTALL),
    "utf-16-be": re.compile(codecs.BOM_UTF16_BE + rb"|\0<\0.", re.DOTALL),
}


def fault_of_picture(file: BinaryIO, mime_type: str, max_pixels: int) -> str | None:
    """Return a sentence why a file is no picture of that type, or None. Raises Unavailable, and errors of the file."""
    if mime_type == _SVG:
        return None if _is_svg(file.read(_MAX_PROLOG_BYTES)) else "The bytes are not image/svg+xml"
    try:
        with one_at_a_time(INSPECTING), open_picture(file, max_pixels) as picture:
            found = picture.get_format_mimetype() or ""
    except TooManyPixels:
        return f"The picture is too large: more than the {max_pixels} pixels of STANDIN_MAX_PICTURE_PIXELS"
    except NoPicture:
        file.seek(0)
        is_possible = not _is_known(mime_type) and _can_be(mime_type, file.read(_HEAD_BYTES))
        return None if is_possible else f"The bytes are not {mime_type}"
    return None if _plain(found) == _plain(mime_type) else f"The bytes are not {mime_type}, but {found}"


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


def _can_be(mime_type: str, head: bytes) -> bool:
    """Whether a file that begins like this can be a picture of a type that Pillow cannot open."""
    if mime_type in _HEADS:
        return _HEADS[mime_type].match(head) is not None
    return not _NO_IMAGE.match(head) and not _is_text(head)


def _is_text(head: bytes) -> bool:
    try:
        return _CONTROLS.search(_decoded(head, "utf-8")) is None
    except UnicodeDecodeError:
        return False


def _decoded(head: bytes, encoding: str) -> str:
    """Return the beginning of a text: in UTF-16 or UTF-8 where it shows that, else in `encoding`."""
    marked = next((name for name, mark in _ENCODINGS.items() if mark.match(head)), encoding)
    return codecs.getincrementaldecoder(marked)().decode(head).removeprefix("\ufeff")


def _is_svg(head: bytes) -> bool:
    """Whether the root of an XML document is svg. Only its beginning is read, and no entity is ever expanded."""
    try:
        return _ROOT_IS_SVG.match(_decoded(head, "latin-1")) is not None  # its tags are ASCII in any other encoding
    except UnicodeDecodeError:
        return False
