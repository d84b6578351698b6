"""What the tests of uploads share: pictures and what is none, and the refusals that they meet."""

import random
import struct
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, features

from layers_standin.engines.table import Record

NO_UPLOAD = {"status": 404, "code": "NOT_FOUND", "message": "Upload not found."}
VIDEO = {"kind": "video", "mimeType": "video/mp4"}


def drawn(kind: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    """Return the bytes of a picture."""
    out = BytesIO()
    Image.new(mode, size, "teal").save(out, kind, **options)
    return out.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG of 1 bit a pixel with a great size in its head and next to nothing behind it."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


PNG = drawn()
BOMB = png_that_claims(50_000, 50_000)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
SPIDER = drawn("SPIDER", mode="F")
CRASHING = SPIDER[:104] + struct.pack("=f", 1) + SPIDER[108:]  # an AttributeError of Pillow's
TOO_MANY_PIXELS = "The picture is too large: more than the 64000000 pixels of STANDIN_MAX_PICTURE_PIXELS"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + random.Random(2).randbytes(200)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + random.Random(1).randbytes(300_000)

# Bytes, a type that they are not of, and what is said of that.
OTHER_TYPES = [
    (drawn("JPEG"), "image/png", "The bytes are not image/png, but image/jpeg"),
    (PNG, "image/jpeg", "The bytes are not image/jpeg, but image/png"),
    (PNG, "image/svg+xml", "The bytes are not image/svg+xml"),
    (PNG, "image/heic", "The bytes are not image/heic, but image/png"),
    (SVG, "image/png", "The bytes are not image/png"),
    (b"<html><script>alert(1)</script>", "image/gif", "The bytes are not image/gif"),
    (b"", "image/webp", "The bytes are not image/webp"),
    (PNG[:20], "image/png", "The bytes are not image/png"),
    (png_that_claims(9_000, 8_000), "image/png", TOO_MANY_PIXELS),
    (png_that_claims(12_000, 8_000), "image/png", TOO_MANY_PIXELS),
    (BOMB, "image/png", TOO_MANY_PIXELS),
    (CRASHING, "image/png", "The bytes are not image/png"),
]


def too_large(limit: int) -> Record:
    return {
        "status": 413,
        "code": "PAYLOAD_TOO_LARGE",
        "message": "Request body is too large.",
        "details": {"maxBytes": limit},
    }


def mismatch(**fields: tuple[Any, Any]) -> Record:
    values = {name: {"expected": expected, "received": received} for name, (expected, received) in fields.items()}
    message = "The upload is not as declared."
    return {
        "status": 409,
        "code": "CONFLICT",
        "message": message,
        "details": {"subcode": "UPLOAD_MISMATCH"} | values,
    }


# Not every wheel of Pillow has its codec.
avif = partial(pytest.param, marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow knows no AVIF"))

_UNREADABLE = Path("/proc/self/mem")  # its first page is never there: Input/output error

needs_unreadable = pytest.mark.skipif(not _UNREADABLE.exists(), reason=f"there is no {_UNREADABLE} that cannot be read")


def make_unreadable(path: Path) -> None:
    """Put a file in the place of another that is there and cannot be read."""
    path.unlink()
    path.symlink_to(_UNREADABLE)


def make_unreachable(path: Path) -> None:
    """Make it impossible to tell whether a file is there."""
    path.unlink()
    path.symlink_to(path.name)


def restore(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)
