"""Glasses and earrings."""

from collections.abc import Callable

from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.look import Look
from layers_standin.portraits.palette import WHITE
from layers_standin.portraits.shapes import Path, closed, ellipse, even, flipped, stroke


def draw_earrings(canvas: Canvas, look: Look) -> None:
    """One on each ear, if any."""
    for side in (-1, 1):
        EARRINGS.get(look.earrings, draw_none)(canvas, look, side * 79 * look.face_width)


def draw_none(_canvas: Canvas, _look: Look, _x: float) -> None:
    """No earring."""


def draw_stud(canvas: Canvas, look: Look, x: float) -> None:
    """A small ball."""
    canvas.fill(ellipse((x, 31), 5, 5), look.metal)
    canvas.fill(ellipse((x - 1.5, 29.5), 1.6, 1.6), WHITE, 0.8)


def draw_hoop(canvas: Canvas, look: Look, x: float) -> None:
    """A ring."""
    circle = ellipse((x, 44), 12, 14)
    canvas.fill(stroke([*circle[::4], circle[0]], 3.6, even), look.metal)


def draw_drop(canvas: Canvas, look: Look, x: float) -> None:
    """A drop in the theme's accent under a small ball."""
    canvas.fill(ellipse((x, 31), 4, 4), look.metal)
    canvas.fill(closed([(x, 35), (x + 7, 50), (x, 58), (x - 7, 50)]), look.theme.accent)


def lens(look: Look) -> Path:
    """Return the outline of the right glass."""
    if look.glasses == "round":
        return ellipse((34, 6), 27, 26)
    return closed([(8, -12), (34, -17), (61, -14), (63, 8), (54, 27), (32, 30), (12, 24), (7, 6)])


def draw_glasses(canvas: Canvas, look: Look) -> None:
    """Frames over the eyes, if any."""
    if look.glasses == "none":
        return
    for glass in (lens(look), flipped(lens(look))):
        canvas.fill(glass, WHITE, 0.08)
        canvas.fill(stroke([*glass[::4], glass[0]], 4.6, even), look.frames)
    canvas.fill(stroke([(-8, 2), (0, -2), (8, 2)], 4.6, even), look.frames)
    for side in (-1, 1):
        canvas.fill(stroke([(side * 60, -2), (side * 76 * look.face_width, 0)], 4.6, even), look.frames)


EARRINGS: dict[str, Callable[[Canvas, Look, float], None]] = {"stud": draw_stud, "hoop": draw_hoop, "drop": draw_drop}
