"""Thumbnails of uploaded pictures, from a folder or a bucket."""

import re
from contextlib import suppress
from io import BytesIO
from typing import cast

from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFile, ImageOps
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from layers_standin.media.decoding import NoPicture, open_picture
from layers_standin.media.inspect import drawn_formats
from layers_standin.media.storage import THUMBNAIL_PIXELS, File

_HEAD_BYTES = 1 << 16
_BEGIN = b"\xff\x4f\xff\x51"  # of a JPEG 2000
_LEVELS = re.compile(rb"\xff\x52..[\0-\7]....(.)", re.DOTALL)  # after that, by halves
_BAND_PIXELS = 1 << 21
_WHITES = (1, 0xFF, 0xFFFF)  # in greys of more than 8 bits
_GREYS = ("1", "L", "LA", "La")
_AS_THEY_ARE = ("CMYK", "LAB")  # their colours are converted by a profile


def draw_thumbnail(original: File, max_pixels: int) -> bytes:
    """Return a WebP of a picture in sRGB, at most THUMBNAIL_PIXELS on its long side; a plain tile for any other file.

    Pictures of more than `max_pixels` get the tile too. Raises Unavailable, and the errors of the file.
    """
    try:
        with original.open("rb") as file, open_picture(file, max_pixels, drawn_formats()) as picture:
            small = _drawn(picture)
    except NoPicture:
        small = _tile()
    out = BytesIO()
    small.save(out, "WEBP")
    return out.getvalue()


def _drawn(picture: ImageFile.ImageFile) -> Image.Image:
    scale = min(1, THUMBNAIL_PIXELS / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    _decode_small(picture)
    factor = _factor(picture)
    whole = (0, 0, picture.width / factor, picture.height / factor)
    small = _in_srgb(_reduced(picture, factor), picture.info.get("icc_profile"))
    return _upright(small.resize((width, height), Image.Resampling.BICUBIC, whole), picture)


def _factor(picture: Image.Image) -> int:
    """Return how many pixels, beside each other, can become one before the picture is resized."""
    return max(1, max(picture.size) // (2 * THUMBNAIL_PIXELS))


def _decode_small(picture: ImageFile.ImageFile) -> None:
    """Decode a picture, smaller where its format allows that: a JPEG, or a JPEG 2000."""
    picture.draft(None, (2 * THUMBNAIL_PIXELS, 2 * THUMBNAIL_PIXELS))
    if isinstance(picture, Jpeg2KImageFile) and picture.fp is not None:
        picture.fp.seek(0)
        levels = _LEVELS.search(picture.fp.read(_HEAD_BYTES).partition(_BEGIN)[2])
        picture.reduce = min(_factor(picture).bit_length() - 1, levels[1][0] if levels else 0)
    picture.load()


def _reduced(picture: Image.Image, factor: int) -> Image.Image:
    """Return a picture smaller by a whole factor, with 8 bits a channel; in bands, so that no large one is copied."""
    (width, height), white = picture.size, _white(picture)
    rows = max(1, _BAND_PIXELS // (width * factor)) * factor
    bands = (picture.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows))
    small = [_eight_bits(band, white).reduce(factor) for band in bands]
    whole = Image.new(small[0].mode, (small[0].width, sum(band.height for band in small)))
    for number, band in enumerate(small):
        whole.paste(band, (0, number * rows // factor))
    return whole


def _white(picture: Image.Image) -> float | None:
    """Return the value of white in greys of more than 8 bits, which no file tells: the least that none is above."""
    if picture.mode.startswith("I;16"):
        return _WHITES[-1]
    if picture.mode not in ("I", "F"):
        return None
    brightest = cast(float, picture.getextrema()[1])
    return next((white for white in _WHITES if brightest <= white), brightest)


def _eight_bits(band: Image.Image, white: float | None) -> Image.Image:
    if white is not None:
        return band.convert("F").point(lambda value: value * (255 / white)).convert("L")
    if band.mode in _AS_THEY_ARE:
        return band
    kind = "L" if band.mode in _GREYS else "RGB"
    return band.convert(f"{kind}A" if band.has_transparency_data else kind)


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture in the colours of a browser, as opaque as it was; `profile` says in which colours it is."""
    if picture.mode not in ("LA", "RGBA"):
        return _converted(picture, profile)
    colours = _converted(picture.convert(picture.mode.removesuffix("A")), profile)
    colours.putalpha(picture.getchannel("A"))
    return colours


def _converted(colours: Image.Image, profile: bytes | None) -> Image.Image:
    source = ImageCms.createProfile("LAB") if colours.mode == "LAB" else BytesIO(profile or b"")
    with suppress(Exception):  # there is none, or it is broken or of other colours
        converted = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        if converted is not None:
            return converted
    return colours if colours.mode == "L" else colours.convert("RGB")


def _upright(small: Image.Image, picture: Image.Image) -> Image.Image:
    """Return a picture turned as the metadata of the original say."""
    with suppress(Exception):  # they are broken
        small.getexif()[ExifTags.Base.Orientation] = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(small)


def _tile() -> Image.Image:
    """Return a picture for files that cannot be drawn: a play mark on grey."""
    tile = Image.new("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), "#e7e5e4")
    left, right, top, bottom = (round(part * THUMBNAIL_PIXELS) for part in (0.40, 0.66, 0.34, 0.66))
    ImageDraw.Draw(tile).polygon([(left, top), (left, bottom), (right, (top + bottom) // 2)], fill="#a8a29e")
    return tile
