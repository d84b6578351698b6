"""Thumbnails of uploaded pictures, from a folder or a bucket."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageOps

from layers_standin.media.inspect import MAX_PIXELS, NO_PICTURE, drawn_formats
from layers_standin.media.storage import THUMBNAIL_PIXELS, File


def draw_thumbnail(original: File) -> bytes:
    """Return a WebP of a picture, at most THUMBNAIL_PIXELS on its long side; a plain tile for any other file."""
    small = BytesIO()
    try:
        with original.open("rb") as file, Image.open(file, formats=drawn_formats()) as picture:
            if picture.width * picture.height > MAX_PIXELS:  # a file declared a video is not inspected
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
    """Return a picture for files that cannot be drawn: a play mark on grey."""
    tile = Image.new("RGB", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), "#e7e5e4")
    left, right, top, bottom = (round(part * THUMBNAIL_PIXELS) for part in (0.40, 0.66, 0.34, 0.66))
    ImageDraw.Draw(tile).polygon([(left, top), (left, bottom), (right, (top + bottom) // 2)], fill="#a8a29e")
    return tile
