"""The sizes and types of slides, posters and the clip; known before anything is drawn."""

from pathlib import Path
from typing import NamedTuple

WIDTH, HEIGHT = 720, 1280  # px of a slide and of a poster: the upright format of TikTok and Instagram
MIME_TYPE = "image/jpeg"
SLIDE_COUNT = 3


class Clip(NamedTuple):
    """A video file; `width` and `height` in px."""

    path: Path
    width: int
    height: int
    duration_ms: int
    mime_type: str


# made by data/draw_clip.py
CLIP = Clip(Path(__file__).with_name("clip.mp4"), width=720, height=1280, duration_ms=4000, mime_type="video/mp4")
