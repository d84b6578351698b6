"""Thumbnails: in the right colours, upright, drawn once, and within bounds of memory."""

import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from engine_helpers import CallCounter, Gate, WatchedDisk, Worker
from PIL import Image
from upload_helpers import avif, drawn, png_chunk

from layers_standin.engines.errors import Unavailable
from layers_standin.media import turns
from layers_standin.media.folder import FolderStorage
from layers_standin.media.thumbnails import draw_thumbnail
from layers_standin.settings import MAX_PICTURE_PIXELS

RED, GREEN, GREY = (255, 0, 0), (0, 255, 0), (128, 128, 128)


@pytest.fixture
def thumbnail(tmp_path):
    """Return a function that draws the thumbnail of a file, and opens it."""

    def thumbnail(data: bytes, max_pixels: int = MAX_PICTURE_PIXELS) -> Image.Image:
        path = tmp_path / "original"
        path.write_bytes(data)
        small = Image.open(BytesIO(draw_thumbnail(path, max_pixels)))
        small.load()
        return small

    return thumbnail


def written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def is_near(pixel: Any, colour: tuple[int, ...], by: int = 6) -> bool:
    return all(abs(one - other) <= by for one, other in zip(pixel, colour, strict=True))


# Greys of more than 8 bits


def steps(mode: str, *values: float) -> Image.Image:
    """Return a picture of upright stripes, 40 x 40 pixels each."""
    code = {"I;16": "<H", "I;16B": ">H", "I": "<i", "F": "<f"}[mode]
    row = b"".join(struct.pack(code, value) * 40 for value in values)
    return Image.frombytes(mode, (40 * len(values), 40), row * 40)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
@pytest.mark.parametrize("value", [0, 32768, 65535])
def test_a_grey_of_16_bits_is_as_bright_in_8(thumbnail, kind, value):
    small = thumbnail(written(Image.frombytes("I;16", (300, 300), struct.pack("<H", value) * 90_000), kind))

    assert is_near(small.convert("RGB").getpixel((9, 9)), (value >> 8,) * 3)


@pytest.mark.parametrize(
    ("mode", "values"),
    [
        ("I;16", (0, 32768, 65535)),
        ("I;16B", (0, 32768, 65535)),
        ("I", (0, 32768, 65535)),
        ("I", (0, 128, 255)),
        ("I", (-5, 1_000_000_000, 2_000_000_000)),
        ("F", (0, 32768, 65535)),
        ("F", (0, 128, 255)),
        ("F", (-0.5, 0.5, 1)),
        ("F", (0, 5e9, 1e10)),
    ],
)
def test_greys_of_any_depth_go_from_black_to_white(thumbnail, mode, values):
    small = thumbnail(written(steps(mode, *values), "TIFF")).convert("L")

    assert all(is_near((small.getpixel((x, 20)),), (grey,)) for x, grey in ((20, 0), (60, 128), (100, 255)))


@pytest.mark.parametrize("values", [(float("nan"),) * 3, (float("inf"), 0, 1), (0, 0, 0), (-1, -1, -1)])
def test_numbers_that_are_no_greys_have_a_thumbnail(thumbnail, values):
    assert max(thumbnail(written(steps("F", *values), "TIFF")).size) in (120, 256)


# Profiles


def icc_profile(space: bytes, **tags: bytes) -> bytes:
    """Return an ICC profile of version 2, of a screen, for the colours of `space`."""
    tags = {"wtpt": xyz(0.9642, 1, 0.8249)} | tags
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name.encode() + struct.pack(">II", start + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    connection = b"Lab " if "A2B0" in tags else b"XYZ "
    head = struct.pack(">I4s4s4s4s4s", start + len(data), b"", b"\x02\x40\0\0", b"mntr", space, connection)
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(value * 65536) for value in values))


def gamma(power: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(power * 256))


CURVES = {"rTRC": gamma(2.2), "gTRC": gamma(2.2), "bTRC": gamma(2.2)}
# As a camera or phone writes it: the red of Display P3 is more than a screen of sRGB can show.
P3 = icc_profile(
    b"RGB ",
    rXYZ=xyz(0.51512, 0.2412, -0.00105),
    gXYZ=xyz(0.29198, 0.69225, 0.04189),
    bXYZ=xyz(0.1571, 0.06657, 0.78407),
    **CURVES,
)
# sRGB, but its first channel is green and its second is red.
SWAPPED = icc_profile(
    b"RGB ",
    rXYZ=xyz(0.38515, 0.71687, 0.09708),
    gXYZ=xyz(0.43607, 0.22249, 0.01392),
    bXYZ=xyz(0.14307, 0.06061, 0.7141),
    **CURVES,
)
LINEAR_GREY = icc_profile(b"GRAY", kTRC=gamma(1))
# Of four inks, whatever there is of them: a green.
RAMP = bytes(range(256))
INKS = icc_profile(
    b"CMYK",
    A2B0=b"mft1\0\0\0\0\4\3\2\0" + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    + RAMP * 4 + bytes([224, 49, 209]) * 16 + RAMP * 3,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {"quality": 95}), ("TIFF", {}), ("WEBP", {"lossless": True}), avif("AVIF", {"quality": 95})],
)
def test_a_picture_in_other_colours_is_converted_to_those_of_a_browser(thumbnail, kind, options):
    picture = Image.new("RGB", (600, 300), (200, 100, 50))

    small = thumbnail(written(picture, kind, icc_profile=P3, **options))

    assert is_near(small.getpixel((100, 60)), (216, 94, 28), 8)
    assert "icc_profile" not in small.info


@pytest.mark.parametrize(("mode", "colours"), [("RGB", GREEN), ("P", GREEN), ("RGBA", (*GREEN, 128))])
def test_a_profile_counts_in_whatever_way_the_colours_are_written(thumbnail, mode, colours):
    picture = Image.new("RGBA", (600, 300), (*RED, 128)).convert("RGB" if mode == "P" else mode).convert(mode)

    assert is_near(thumbnail(written(picture, "PNG", icc_profile=SWAPPED)).getpixel((100, 60)), colours, 12)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "1"])
def test_a_profile_of_greys_makes_them_lighter_or_darker(thumbnail, mode):
    pixel = {"L": 128, "LA": (128, 200), "I;16": 32768, "1": 255}[mode]
    picture = Image.new(mode, (300, 300), pixel)

    grey, *rest = thumbnail(written(picture, "PNG", icc_profile=LINEAR_GREY)).getpixel((9, 9))[2:]

    assert is_near((grey,), (255 if mode == "1" else 188,))
    assert not rest or is_near(rest, (200,))


def test_a_picture_in_inks_has_the_colours_of_its_profile(thumbnail):
    picture = Image.new("CMYK", (600, 300), (10, 200, 30, 40))

    assert is_near(thumbnail(written(picture, "JPEG", icc_profile=INKS)).getpixel((100, 60)), GREEN, 40)
    assert is_near(thumbnail(written(picture, "JPEG")).getpixel((100, 60)), (207, 46, 190), 12)


@pytest.mark.parametrize("profile", [b"none", P3[:200], P3[:100] + bytes(600), LINEAR_GREY, INKS, bytes(5_000)])
def test_a_profile_that_is_broken_or_of_other_colours_changes_none(thumbnail, profile):
    picture = Image.new("RGB", (600, 300), (200, 100, 50))

    assert is_near(thumbnail(written(picture, "PNG", icc_profile=profile)).getpixel((100, 60)), (200, 100, 50))


def test_a_picture_in_lab_is_drawn(thumbnail):
    picture = Image.new("LAB", (300, 300), (137, 128, 128))

    assert is_near(thumbnail(written(picture, "TIFF")).getpixel((9, 9)), GREY, 8)


def test_a_thumbnail_stands_upright_in_its_colours_and_is_as_transparent(thumbnail):
    picture, exif = Image.new("RGBA", (800, 400), (*RED, 255)), Image.Exif()
    picture.paste((0, 0, 0, 0), (400, 0, 800, 400))
    exif[0x0112] = 6  # to be turned a quarter to the right

    small = thumbnail(written(picture, "PNG", exif=exif, icc_profile=SWAPPED))

    assert small.size == (128, 256)
    assert is_near(small.getpixel((64, 30)), (*GREEN, 255), 12)
    assert small.getpixel((64, 226))[3] == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_each_orientation_is_turned_back(thumbnail, kind, orientation):
    upright = Image.new("RGB", (400, 200), "blue")
    upright.paste("red", (0, 0, 100, 100))
    transpose = Image.Transpose
    turned_back = [
        None, transpose.FLIP_LEFT_RIGHT, transpose.ROTATE_180, transpose.FLIP_TOP_BOTTOM, transpose.TRANSPOSE,
        transpose.ROTATE_90, transpose.TRANSVERSE, transpose.ROTATE_270,
    ][orientation - 1]  # fmt: skip
    picture, exif = upright if turned_back is None else upright.transpose(turned_back), Image.Exif()
    exif[0x0112] = orientation

    small = thumbnail(written(picture, kind, exif=exif))

    assert small.size == (256, 128)
    assert is_near(small.convert("RGB").getpixel((20, 20)), RED, 40)
    assert is_near(small.convert("RGB").getpixel((236, 108)), (0, 0, 255), 40)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"x"]
)
def test_broken_metadata_turn_nothing(thumbnail, exif):
    assert thumbnail(written(Image.new("RGB", (400, 200)), "JPEG", exif=exif)).size == (256, 128)


@pytest.mark.parametrize(("mode", "key"), [("L", 0), ("RGB", RED), ("P", None)])
def test_one_colour_may_stand_for_nothing(thumbnail, mode, key):
    picture = Image.new("RGB" if mode == "P" else mode, (600, 300), RED if mode == "P" else key)
    picture.paste(200 if mode == "L" else GREEN, (300, 0, 600, 300))
    picture = picture.quantize(2) if mode == "P" else picture
    key = picture.getpixel((0, 0))

    small = thumbnail(written(picture, "PNG", transparency=key))

    assert (small.getpixel((20, 64))[3], small.getpixel((236, 64))[3]) == (0, 255)


# Once, and within bounds


def test_a_thumbnail_is_drawn_once_however_many_ask_at_once(tmp_path):
    gate, counter = Gate("write", nth=2), CallCounter()
    folder = FolderStorage(tmp_path / "media", WatchedDisk(lambda name, call: gate(name, lambda: counter(name, call))))
    folder.put("org", "asset", drawn(size=(900, 600)))

    workers = [Worker(lambda: folder.thumbnail("org", "asset")) for _ in range(6)]
    gate.wait_until_reached()  # one has drawn it, and begins to write
    counter.names.clear()
    gate.let_go()
    paths = {worker.finish().result for worker in workers}

    assert (len(paths), counter.names.count("write"), counter.names.count("replace")) == (1, 1, 1)


def test_a_portrait_is_drawn_once_and_no_thumbnail_waits_for_it(tmp_path):
    gate, drawings = Gate("draw"), []
    folder = FolderStorage(tmp_path / "media")
    folder.put("org", "asset", drawn(size=(900, 600)))

    def draw() -> bytes:
        drawings.append(1)
        return gate("draw", lambda: b"portrait")

    workers = [Worker(lambda: folder.portrait("org", "inf_1", "mark", draw)) for _ in range(6)]
    gate.wait_until_reached()
    assert folder.thumbnail("org", "asset").is_file()
    gate.let_go()
    assert {worker.finish().result.read_bytes() for worker in workers} == {b"portrait"}
    assert drawings == [1]


def test_nobody_waits_for_ever_for_the_drawings_of_others(tmp_path, monkeypatch):
    folder = FolderStorage(tmp_path / "media")
    folder.put("org", "asset", drawn(size=(900, 600)))
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.01)

    with turns.one_at_a_time(turns.DRAWING_THUMBNAIL), pytest.raises(Unavailable, match="takes too long"):
        folder.thumbnail("org", "asset")
    assert folder.thumbnail("org", "asset").is_file()


def test_a_drawing_that_fails_lets_the_next_one_draw(tmp_path):
    folder = FolderStorage(tmp_path / "media")

    def fail() -> bytes:
        raise KeyError("draw")

    for _ in range(2):
        with pytest.raises(KeyError):
            folder.portrait("org", "inf_1", "mark", fail)
    assert folder.portrait("org", "inf_1", "mark", lambda: b"portrait").read_bytes() == b"portrait"


def blank_png(width: int, height: int) -> bytes:
    """Return an RGBA PNG of nothing, without making the picture."""
    packer, row = zlib.compressobj(9), bytes(1 + 4 * width)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="there is no /proc to read the peak from"
)

DRAWING = """
import re, sys, threading
from pathlib import Path
from layers_standin.engines.disk import Disk
from layers_standin.media import thumbnails
from layers_standin.media.folder import FolderStorage

folder, names = FolderStorage(Path(sys.argv[1]), Disk(syncing=False)), sys.argv[2:]
threads = [threading.Thread(target=folder.thumbnail, args=("org", name)) for name in names for _ in range(4)]
peak_kib = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text("utf-8"))[1])
before = peak_kib()
[thread.start() for thread in threads], [thread.join() for thread in threads]
print((peak_kib() - before) >> 10)
"""


def peak_mib_of_drawing(root: Path, **originals: bytes) -> int:
    """Return how much memory a process takes to draw thumbnails, of each picture four at once, all at once."""
    folder = FolderStorage(root)
    for name, data in originals.items():
        folder.put("org", name, data)
    command = [sys.executable, "-c", DRAWING, str(root), *originals]
    ended = subprocess.run(command, capture_output=True, check=True, encoding="utf-8", cwd=Path(__file__).parents[2])
    for name in originals:
        with Image.open(folder.thumbnail("org", name)) as small:  # teal or nothing, and no tile
            assert small.convert("RGB").getpixel((9, 9))[0] < 9
    return int(ended.stdout)


@pytest.mark.slow
@needs_proc
def test_drawing_takes_the_memory_of_one_picture_however_many_are_asked_for(tmp_path):
    data = blank_png(5_000, 3_000)
    assert len(data) < 100_000

    # Decoded, one takes 57 MiB; eight at once would take more than 500.
    assert peak_mib_of_drawing(tmp_path, one=data, two=data) < 200


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("kind", "side"), [("JPEG", 3_000), ("JPEG2000", 2_000)])
def test_a_format_that_can_be_decoded_small_is(tmp_path, kind, side):
    data = drawn(kind, (side, side))

    assert peak_mib_of_drawing(tmp_path, one=data) < 40  # decoded whole it takes twice as much, or four times


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("JPEG2000", {"num_resolutions": 1})])
def test_no_format_takes_more_than_twenty_bytes_a_pixel(tmp_path, kind, options):
    data = drawn(kind, (1_500, 1_500), **options)

    assert peak_mib_of_drawing(tmp_path, one=data) < 20 + 20 * 2.25  # and what drawing takes at any size


WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from layers_standin.engines.errors import Unavailable
from layers_standin.media.folder import FolderStorage
from layers_standin.media import thumbnails

folder, limits = FolderStorage(Path(sys.argv[1])), resource.getrlimit(resource.RLIMIT_AS)
used = int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), limits[1]))
try:
    folder.thumbnail("org", "one")
except Unavailable as error:
    print(error)
resource.setrlimit(resource.RLIMIT_AS, limits)
print(folder.thumbnail("org", "one").stat().st_size)
"""


@needs_proc
@pytest.mark.slow
def test_a_picture_that_memory_is_too_short_for_is_drawn_when_there_is_more(tmp_path, thumbnail):
    folder, data = FolderStorage(tmp_path), blank_png(5_000, 3_000)
    folder.put("org", "one", data)

    command = [sys.executable, "-c", WITH_LITTLE_MEMORY, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, check=True, encoding="utf-8", cwd=Path(__file__).parents[2])

    said, size = ended.stdout.splitlines()
    assert said == "There is too little memory to look at a picture."
    assert int(size) < 1_000
    assert thumbnail(folder.thumbnail("org", "one").read_bytes()).size == (256, 154)


WITH_A_LONG_HEAD = """
import sys
from pathlib import Path
from layers_standin.media import thumbnails

thumbnails._HEAD_BYTES = 1 << 20  # where a look from each beginning would take many minutes
print(len(thumbnails.draw_thumbnail(Path(sys.argv[1]), 120_000)))
"""


def test_a_head_that_begins_many_times_is_looked_through_once(tmp_path):
    code, path = drawn("JPEG2000", (400, 300), no_jp2=True), tmp_path / "original"
    sized = 4 + int.from_bytes(code[4:6])
    comment = b"\xff\x64" + struct.pack(">HH", 60_004, 0) + b"\xff\x4f\xff\x51" * 15_000
    path.write_bytes(code[:sized] + comment * 18 + code[sized:])

    command = [sys.executable, "-c", WITH_A_LONG_HEAD, str(path)]
    ended = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[2], timeout=120)

    assert int(ended.stdout) > 0


def test_a_picture_beyond_the_limit_has_the_tile(thumbnail):
    data = drawn("PNG", (400, 300))

    assert thumbnail(data, 120_000).size == (256, 192)
    assert thumbnail(data, 119_999).size == (256, 256)
