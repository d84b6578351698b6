"""Whether bytes are of the type that they are declared: types that Pillow knows, SVG, and types it cannot look into."""

import random
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from upload_helpers import HEIC, MP4, PNG, TOO_MANY_PIXELS, avif, drawn, png_chunk, png_that_claims

from layers_standin.engines.errors import Unavailable
from layers_standin.media import turns
from layers_standin.media.inspect import fault_of_picture
from layers_standin.settings import MAX_PICTURE_PIXELS

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def fault_of(data: bytes, mime_type: str, max_pixels: int = MAX_PICTURE_PIXELS) -> str | None:
    return fault_of_picture(BytesIO(data), mime_type, max_pixels)


def test_pictures_are_looked_into_one_at_a_time_and_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)

    with turns.one_at_a_time(turns.INSPECTING), pytest.raises(Unavailable, match="takes too long"):
        fault_of(PNG, "image/png")
    assert fault_of(PNG, "image/png") is None


# Text in a PNG


def png_with(*chunks: bytes) -> bytes:
    """Return a PNG with more chunks behind its head."""
    head = 8 + 25
    return PNG[:head] + b"".join(chunks) + PNG[head:]


WORDS = random.Random(1).randbytes(1000).hex() * 550
COMPRESSED = zlib.compress(WORDS.encode())


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"zTXt", b"parameters\0\0" + COMPRESSED),
        png_chunk(b"iTXt", b"workflow\0\1\0\0\0" + COMPRESSED),
        png_chunk(b"iTXt", b"workflow\0\0\0\0\0" + WORDS.encode()),
        png_chunk(b"tEXt", b"parameters\0" + WORDS.encode()),
        png_chunk(b"iCCP", b"profile\0\0" + COMPRESSED),
    ],
    ids=["zTXt", "iTXt compressed", "iTXt", "tEXt", "iCCP"],
)
def test_a_png_may_have_megabytes_of_text_before_its_pixels_and_behind_them(chunk):
    assert len(WORDS) > 1_050_000

    assert fault_of(png_with(chunk), "image/png") is None
    assert fault_of(PNG[:-12] + chunk + PNG[-12:], "image/png") is None


def test_a_tool_s_png_with_a_megabyte_of_compressed_text_is_one():
    told, out = PngImagePlugin.PngInfo(), BytesIO()
    told.add_text("prompt", "ab" * 550_000, zip=True)
    told.add_itxt("workflow", "é" * 600_000, zip=True)
    Image.new("RGB", (40, 30)).save(out, "PNG", pnginfo=told)

    assert fault_of(out.getvalue(), "image/png") is None


def test_text_that_would_fill_the_memory_is_refused():
    bomb = png_chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(65 << 20), 1))
    many = [png_chunk(b"zTXt", b"many\0\0" + zlib.compress(bytes(13 << 20), 1))] * 5

    assert fault_of(png_with(bomb), "image/png") == "The bytes are not image/png"
    assert fault_of(png_with(*many), "image/png") == "The bytes are not image/png"
    assert fault_of(png_with(*many[:4]), "image/png") is None


# Heads that cost more than they are


def directory(*entries: tuple[int, int, int]) -> bytes:
    """Return the head of a TIFF, with (tag, number of values, value) of long integers."""
    rows = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)


class Watched(BytesIO):
    """A file that counts its reads."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xd8" + b"\xff\xe1\0\2" * 200_000,
        b"\xff\xd8" + b"\xff" * 400_000,
        b"GIF89a\x08\0\x08\0\0\0\0" + b"!\xfe\1a\0" * 200_000,
        b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%%A: b\n" * 60_000,
    ],
    ids=["JPEG of segments", "JPEG of nothing", "GIF", "EPS"],
)
def test_a_head_in_too_many_pieces_is_read_no_further(head):
    file = Watched(head)

    assert fault_of_picture(file, "image/jpeg", MAX_PICTURE_PIXELS) == "The bytes are not image/jpeg"
    assert file.reads < 300_000


WARNING = """
import sys
from io import BytesIO
from layers_standin.media.inspect import fault_of_picture
print(fault_of_picture(BytesIO(sys.stdin.buffer.read()), "image/tiff", 1))
"""


def test_a_picture_of_which_pillow_warns_a_thousand_times_is_not_logged():
    head = directory(*((tag, 1_000_000, 0) for tag in range(1000, 2000)))

    command = [sys.executable, "-c", WARNING]
    ended = subprocess.run(command, input=head, capture_output=True, check=True, cwd=Path(__file__).parents[2])

    assert (ended.stdout, ended.stderr) == (b"The bytes are not image/tiff\n", b"")


def test_a_tile_larger_than_its_picture_counts():
    head = directory(
        (256, 1, 8), (257, 1, 8), (258, 1, 8), (259, 1, 1), (262, 1, 1), (322, 1, 800), (323, 1, 500), (324, 1, 8)
    )

    assert fault_of(head, "image/tiff", 400_000) is None
    assert fault_of(head, "image/tiff", 399_999) is not None


# The limit


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (png_that_claims(300, 100), "image/png"),
        (drawn("JPEG", (300, 100)), "image/jpeg"),
        (drawn("WEBP", (300, 100)), "image/webp"),
    ],
)
def test_a_picture_has_as_many_pixels_as_the_limit_and_no_more(data, mime_type):
    assert fault_of(data, mime_type, 30_000) is None
    for limit in (29_999, 15_000, 14_999, 1):
        assert fault_of(data, mime_type, limit) == TOO_MANY_PIXELS.replace("64000000", str(limit))


def test_other_users_of_pillow_keep_their_own_limit():
    before = Image.MAX_IMAGE_PIXELS

    for data in (PNG, b"no picture"):
        fault_of_picture(BytesIO(data), "image/png", 1)
        assert Image.MAX_IMAGE_PIXELS == before != 1


def test_a_picture_within_an_icon_is_bound_by_the_limit_too():
    inner = png_that_claims(9_000, 8_000)
    head = b"\0\0\1\0\1\0" + bytes([0, 0, 0, 0, 1, 0, 32, 0])  # one picture, of 256 pixels a side
    icon = head + len(inner).to_bytes(4, "little") + (22).to_bytes(4, "little") + inner

    assert fault_of(icon, "image/x-icon") == TOO_MANY_PIXELS


# SVG

DOCTYPE = (
    '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" [\n'
    '  <!ENTITY ns "http://www.w3.org/2000/svg">\n  <!ENTITY brackets "[a] > b">\n  <!-- it\'s -->]>\n'
)
LAUGHS = '<!DOCTYPE svg [<!ENTITY a "' + "ha" * 1000 + '">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 100}">' for before, name in zip("abcdefg", "bcdefgh", strict=True)
) + ']><svg a="&h;">&h;</svg>'  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        SVG,
        f"<!-- {'x' * 5_000} -->{SVG}",
        f"<!-- {'<svg> ' * 50_000}-->\n<!-- - -- > --><?pi >?>\r\n{SVG}",
        f'<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n{DOCTYPE}<svg xmlns="&ns;"></svg>',
        f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<!-- \xe9 -->{SVG}',
        "<!DOCTYPE svg>\n<svg>",
        '<ns0:svg xmlns:ns0="http://www.w3.org/2000/svg"/>',
        "<svg\n\twidth='1'/>",
        LAUGHS,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_an_svg_is_one_whatever_stands_before_its_root_and_in_whatever_encoding(text, encoding):
    assert fault_of(text.encode(encoding), "image/svg+xml") is None


def test_an_svg_in_utf_16_of_either_order_begins_with_its_mark():
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        declared = f'<?xml version="1.0" encoding="UTF-16"?>{SVG}'.encode(encoding)
        assert fault_of(mark + declared, "image/svg+xml") is None
        assert fault_of(declared, "image/svg+xml") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "svg",
        "x<svg/>",
        "<svgs/>",
        "<svg",
        "<!-- <svg/>",
        "<!-- <svg/> -->",
        "<?svg <svg/>",
        "<!DOCTYPE svg [ <svg/>",
        f"<html><body>{SVG}</body></html>",
        f"<!DOCTYPE html><html>{SVG}</html>",
        f'<!DOCTYPE x [<!ENTITY svg "{SVG}">]>&svg;',
        f'<!DOCTYPE x [<!ENTITY svg "{SVG}">]><x>&svg;</x>',
        '<?xml version="1.0"?><rss><svg/></rss>',
        '{"svg": "<svg/>"}',
        "<!--" * 100_000,
        "<?" * 100_000,
        "<!DOCTYPE[" + "] " * 100_000,
        "<!DOCTYPE[" + "<!--" * 100_000,
        "<!DOCTYPE[" + "<?" * 100_000,
        "<!DOCTYPE[" + "'" * 99_999,
        " " * (1 << 20) + SVG,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_no_svg_is_refused_soon(text, encoding):
    assert fault_of(text.encode(encoding), "image/svg+xml") == "The bytes are not image/svg+xml"


@pytest.mark.parametrize("data", [PNG, MP4, b"\x1f\x8b\x08", SVG.encode("utf-32"), b"\xff\xfe<\0s", b"\xff"])
def test_bytes_of_another_kind_are_no_svg(data):
    assert fault_of(data, "image/svg+xml") == "The bytes are not image/svg+xml"


# Types that nothing here can look into

JXL = b"\xff\x0a" + random.Random(3).randbytes(200)
UNKNOWN = ["image/heic", "image/heif", "image/jxl", "image/x-foo", "image/html"]


@pytest.mark.parametrize("mime_type", UNKNOWN)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xef\xbb\xbfhello\r\n\tworld",
        "\N{GRINNING FACE} caf\xe9".encode(),
        ("\N{GRINNING FACE}" * 2000 + "x").encode(),
        ("x" + "\N{GRINNING FACE}" * 2000).encode(),
        "hello".encode("utf-16"),
        b"<!DOCTYPE html><title>caf\xe9</title>",
        b" \n<HTML>\0",
        '<?xml version="1.0"?><x/>'.encode("utf-16-le"),
        SVG.encode(),
        b'{"a": 1}',
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\0",
        b"\x7fELF\2\1\1\0",
        b"OggS\0\2",
        b"ID3\4\0\0\0",
        b"\x1aE\xdf\xa3\1\0",
        b"RIFF\0\0\0\0WAVEfmt \0",
        MP4,
    ],
)
def test_bytes_that_are_plainly_not_of_a_type_are_refused_although_nothing_here_knows_it(data, mime_type):
    assert fault_of(data, mime_type) == f"The bytes are not {mime_type}"


@pytest.mark.parametrize("mime_type", UNKNOWN)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", avif("AVIF"), "TIFF", "BMP"])
def test_a_picture_of_another_type_is_refused_by_name(kind, mime_type):
    assert fault_of(drawn(kind), mime_type) == f"The bytes are not {mime_type}, but image/{kind.lower()}"


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (HEIC, "image/heic"),
        (HEIC, "image/heif"),
        (HEIC.replace(b"heic", b"mif1", 1), "image/heic"),
        (HEIC.replace(b"heic", b"hevc", 1), "image/heic-sequence"),
        (JXL, "image/jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0", "image/jxl"),
        (random.Random(4).randbytes(5_000), "image/x-foo"),
        (b"\0", "image/x-foo"),
        (b"\xff\xd9", "image/x-foo"),
    ],
)
def test_bytes_that_may_be_of_a_type_are_believed_to_be(data, mime_type):
    assert fault_of(data, mime_type) is None


@pytest.mark.parametrize(("data", "mime_type"), [(HEIC, "image/jxl"), (JXL, "image/heic"), (bytes(99), "image/heif")])
def test_types_whose_beginning_is_known_must_begin_so(data, mime_type):
    assert fault_of(data, mime_type) == f"The bytes are not {mime_type}"
