"""The backdrop: a soft gradient with one or two large shapes."""

from collections.abc import Callable

from PIL import Image

from layers_standin.portraits.canvas import UNITS, Canvas
from layers_standin.portraits.look import Look
from layers_standin.portraits.palette import WHITE
from layers_standin.portraits.shapes import closed, ellipse


def draw_backdrop(canvas: Canvas, look: Look) -> None:
    """Cover the whole picture; in the 512 units of the picture, not of the figure."""
    draw_gradient(canvas, look)
    canvas.glow((150, 110), 330, WHITE, 0.35)
    MOTIFS[look.motif](canvas, look)


def draw_gradient(canvas: Canvas, look: Look) -> None:
    """Fade from the theme's top colour to its bottom colour."""
    side = canvas.image.size
    canvas.image.paste(look.theme.top, (0, 0, *side))
    canvas.image.paste(look.theme.bottom, (0, 0, *side), Image.linear_gradient("L").resize(side))


def draw_sun(canvas: Canvas, look: Look) -> None:
    """A large disc behind the head and a small one beside it."""
    light, deep = look.theme.shapes
    canvas.fill(ellipse((256, 236), 196, 196), light, 0.75)
    canvas.fill(ellipse((432, 92), 38, 38), deep, 0.55)


def draw_hills(canvas: Canvas, look: Look) -> None:
    """Two rounded hills and a disc."""
    light, deep = look.theme.shapes
    canvas.fill(ellipse((386, 132), 84, 84), light, 0.8)
    canvas.fill(closed([(-60, 330), (90, 262), (250, 330), (420, 290), (580, 360), (580, 600), (-60, 600)]), deep, 0.45)
    canvas.fill(closed([(-60, 420), (120, 390), (300, 420), (460, 350), (580, 380), (580, 620), (-60, 620)]), deep, 0.5)


def draw_arch(canvas: Canvas, look: Look) -> None:
    """An arch, like a window, and a quarter disc in a corner."""
    light, deep = look.theme.shapes
    arch = ellipse((256, 236), 178, 178)[24:]  # from the left over the top
    canvas.fill(ellipse((0, 512), 190, 190), deep, 0.4)
    canvas.fill([*arch, (434, 236), (434, UNITS), (78, UNITS)], light, 0.7)


def draw_blobs(canvas: Canvas, look: Look) -> None:
    """Two soft, irregular shapes in opposite corners."""
    light, deep = look.theme.shapes
    canvas.fill(closed([(300, -40), (560, -60), (570, 250), (470, 300), (400, 200), (310, 130)]), deep, 0.45)
    canvas.fill(closed([(-60, 190), (60, 170), (150, 260), (130, 400), (220, 560), (-80, 580)]), light, 0.75)


MOTIFS: dict[str, Callable[[Canvas, Look], None]] = {
    "sun": draw_sun,
    "hills": draw_hills,
    "arch": draw_arch,
    "blobs": draw_blobs,
}
