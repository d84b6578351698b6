"""Portraits: a drawn head and shoulders for an influencer, the same every time it is drawn.

`look` makes every choice from a seed and the fields; the other modules draw the chosen look.
"""

from io import BytesIO

from PIL import Image

from layers_standin.portraits.accessories import draw_earrings, draw_glasses
from layers_standin.portraits.backdrop import draw_backdrop
from layers_standin.portraits.canvas import Canvas, Pose
from layers_standin.portraits.clothing import draw_garment, draw_neck, hood_behind
from layers_standin.portraits.face import draw_ears, draw_face
from layers_standin.portraits.hair import draw_hair_before, draw_hair_behind
from layers_standin.portraits.look import Look, Traits, look_of

__all__ = ["Look", "draw_figure", "draw_look", "draw_on", "draw_portrait", "look_of", "portrait_png"]

COMPRESSION = 6  # 9 takes twice the time to save very little


def draw_portrait(seed: str, traits: Traits, size: int = 512) -> Image.Image:
    """Draw the influencer whose id is `seed`: RGB, `size` px square.

    Read from `traits`: gender, ageRange, ethnicity, bodyType, hairColor, hairStyle,
    style, vibe. Any may be absent, null or text of any kind; other keys are ignored.
    """
    return draw_look(look_of(seed, traits), size)


def draw_look(look: Look, size: int = 512) -> Image.Image:
    """Draw a look: RGB, `size` px square."""
    canvas = Canvas.blank(size)
    draw_on(canvas, look)
    return canvas.finished()


def draw_on(canvas: Canvas, look: Look) -> None:
    """Draw a look over the whole of a square canvas."""
    draw_backdrop(canvas, look)
    body = Pose(origin=(256 + look.shift, 512 - 262 * look.scale), scale=look.scale)
    head = Pose(body.origin, body.scale, look.tilt, pivot=(0, 90))
    draw_figure(canvas.posed(body), canvas.posed(head), look)


def draw_figure(body: Canvas, head: Canvas, look: Look) -> None:
    """Draw from back to front; `body` and `head` are two poses on one picture."""
    draw_hair_behind(head, look)
    hood_behind(body, look)
    draw_neck(body, look)
    draw_garment(body, look)
    for draw in (draw_ears, draw_face, draw_hair_before, draw_earrings, draw_glasses):
        draw(head, look)


def portrait_png(seed: str, traits: Traits, size: int = 512) -> bytes:
    """Return the portrait as PNG bytes, some 60 kB at 512 px; the same bytes on every machine, at any time.

    In full colour: a palette would halve the bytes, and show steps in the soft backdrops.
    """
    out = BytesIO()
    draw_portrait(seed, traits, size).save(out, "PNG", compress_level=COMPRESSION)
    return out.getvalue()
