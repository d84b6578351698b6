"""Words on a picture: in the room's own font, broken into lines that fit, and as bars where the font has no letters."""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from PIL import ImageDraw, ImageFont

from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.palette import Colour
from layers_standin.portraits.shapes import Point, ellipse

FONT = Path(__file__).with_name("inter-display-bold.otf")  # Latin, Greek and Cyrillic; its licence is beside it
LEADING = 1.12  # from one baseline to the next, in sizes of the font
MOST_CHARACTERS = 280  # more is not read on a slide


class Block(NamedTuple):
    """Lines of text at a size in px; `is_leftward` where the script is written from right to left."""

    lines: list[str]
    size: int
    is_leftward: bool

    @property
    def height(self) -> float:
        """Return the height in px."""
        return len(self.lines) * self.size * LEADING


@lru_cache(maxsize=32)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """Return the font at `size` px, laid out the same whatever libraries the machine has."""
    return ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def has_glyph(character: str) -> bool:
    """Whether the font has this character; for one that it lacks it draws nothing, not even a box."""
    return character == " " or font_of(24).getmask(character).getbbox() is not None


def legible(text: str) -> str:
    """Return the start of `text` without what nobody could read: control characters, emoji, lone surrogates, marks.

    Letters and digits of every script stay, for the ones that the font lacks become bars.
    """
    characters = unicodedata.normalize("NFKC", text[: 4 * MOST_CHARACTERS])
    kept = "".join(filter(is_shown, " ".join(characters.split())))
    words = " ".join(kept.split())
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 1].rstrip() + "…"


def is_shown(character: str) -> bool:
    """Whether a character is a space, in the font, or a letter or digit that can be shown as a bar."""
    category = unicodedata.category(character)[0]
    return character == " " or category in "LN" or (category in "PS" and has_glyph(character))


def runs(line: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a line, each with whether the font has it."""
    for drawable, characters in groupby(line, has_glyph):
        yield drawable, "".join(characters)


def width_of(line: str, size: int) -> float:
    """Return the width of a line in px."""
    return sum(
        font_of(size).getlength(part) if drawable else sum(map(bar_width, part)) * size for drawable, part in runs(line)
    )


def bar_width(character: str) -> float:
    """Return the width of a character as a part of a bar, in sizes of the font."""
    return 0.95 if unicodedata.east_asian_width(character) in "WF" else 0.55


def broken(text: str, size: int, width: float) -> list[str]:
    """Return the lines of `text`, none wider than `width` px; a word that is wider is broken too."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines += pieces(word, size, width)
    return [line for line in lines if line]


def pieces(word: str, size: int, width: float) -> list[str]:
    """Return `word` in pieces, none wider than `width` px, each as long as can be."""
    cut = [""]
    for character in word:
        if cut[-1] and width_of(cut[-1] + character, size) > width:
            cut.append("")
        cut[-1] += character
    return cut


def fitted(text: str, width: float, height: float, sizes: Sequence[int]) -> Block:
    """Return `text` at the first of `sizes` (px, falling) at which it fits; at the last, as much as fits of it."""
    text = legible(text)
    for size in sizes:
        lines = broken(text, size, width)
        if len(lines) * size * LEADING <= height and are_whole(lines, text):
            return Block(balanced(lines, size, width), size, is_leftward(text))
    room = max(1, int(height / (size * LEADING)))
    return Block(shortened(lines, room, size, width), size, is_leftward(text))


def are_whole(lines: list[str], text: str) -> bool:
    """Whether no word that the font can show is broken; scripts without spaces are, and may be."""
    return " ".join(lines) == text or not all(map(has_glyph, text))


def shortened(lines: list[str], room: int, size: int, width: float) -> list[str]:
    """Return the first `room` lines, with an ellipsis if there are more; none is wider than `width` px."""
    if len(lines) <= room:
        return lines
    last = lines[room - 1]
    while width_of(last + "…", size) > width:
        last = last[:-1]
    return [*lines[: room - 1], last.rstrip(" .,;:…") + "…"]


def balanced(lines: list[str], size: int, width: float) -> list[str]:
    """Return as many lines, about equally long, so that no word stands alone in the last one."""
    text, narrow, wide = " ".join(lines), width / 3, width
    while wide - narrow > size / 4:
        middle = (narrow + wide) / 2
        better = broken(text, size, middle)
        narrow, wide = (narrow, middle) if len(better) <= len(lines) and are_whole(better, text) else (middle, wide)
    return broken(text, size, wide)


def is_leftward(text: str) -> bool:
    """Whether the first letter belongs to a script that is written from right to left."""
    directions = map(unicodedata.bidirectional, text)
    return next((each for each in directions if each in ("L", "R", "AL")), "L") != "L"


def write(canvas: Canvas, block: Block, x: float, y: float, colour: Colour, anchor: float = 0) -> None:
    """Write a block whose top is `y`, in px. `anchor` is the part of a line that lies left of `x`: 0, 0.5 or 1."""
    for row, line in enumerate(block.lines):
        left = x - anchor * width_of(line, block.size)
        write_line(canvas, line, block.size, left, y + (row * LEADING + 0.86) * block.size, colour)


def write_line(canvas: Canvas, line: str, size: int, x: float, baseline: float, colour: Colour) -> None:
    """Write a line that starts at `x`; what the font lacks becomes a bar of about the same length."""
    zoom = canvas.zoom
    large = font_of(round(size * zoom))
    for drawable, part in runs(line):
        if drawable:
            ImageDraw.Draw(canvas.image).text((x * zoom, baseline * zoom), part, colour, large, anchor="ls")
        else:
            top, right = baseline - 0.52 * size, x + width_of(part, size)
            canvas.fill(rounded(x + 2, top, right - 2, top + 0.46 * size, 0.23 * size), colour, 0.8)
        x += width_of(part, size)


def rounded(left: float, top: float, right: float, bottom: float, radius: float) -> list[Point]:
    """Return a rectangle with round corners."""
    radius = min(radius, (right - left) / 2, (bottom - top) / 2)
    x = (right - radius, left + radius, left + radius, right - radius)
    y = (bottom - radius, bottom - radius, top + radius, top + radius)
    corners = [ellipse((x[i], y[i]), radius, radius) for i in range(4)]
    return [corners[i][(12 * i + step) % 48] for i in range(4) for step in range(13)]
