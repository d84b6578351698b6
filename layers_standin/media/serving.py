"""The headers for untrusted files."""

# What a browser only ever shows or plays. Everything else, SVG and HTML above all, could run in our origin.
_SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"}
_PLAYED = ("video/", "audio/")


def is_inert(content_type: str) -> bool:
    """Whether a browser may show a file of this type; all others are sent as downloads."""
    plain = content_type.partition(";")[0].strip().lower()
    return plain in _SHOWN or plain.startswith(_PLAYED)


# A file never changes under its name, and must never run.
HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox",
}
