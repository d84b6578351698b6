"""The head: ears, face, eyes, brows, nose, mouth, beard. Origin: the middle of the face; chin at y = 106."""

from collections.abc import Callable

from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.look import Look
from layers_standin.portraits.palette import BLUSH, INK, WHITE, Colour, hexed, lightness, mix
from layers_standin.portraits.shapes import Path, closed, ellipse, flipped, mirrored, moved, stroke, thinning

WARM_SHADOW = hexed("7a2f2a")
HIDING = ("bob", "medium", "long", "wavy")  # hair behind the head that comes forward over the ears


def shadow_of(skin: Colour) -> Colour:
    """Return the skin in soft shadow; deep skin needs a stronger step to be seen."""
    return mix(skin, WARM_SHADOW, 0.2) if lightness(skin) > 0.5 else mix(skin, INK, 0.28)


def face_path(look: Look) -> Path:
    """Return the outline of the face."""
    w, j = look.face_width, look.face_width * look.jaw
    right = [(0, -100), (44 * w, -92), (70 * w, -56), (76 * w, -8), (72 * j, 36), (57 * j, 75), (30 * j, 99), (0, 106)]
    return closed(mirrored([(float(x), float(y)) for x, y in right]))


def draw_ears(canvas: Canvas, look: Look) -> None:
    """Both ears, to be covered in part by the face; long straight hair hides them."""
    if look.back in HIDING and look.front in ("curtain", "bangs"):
        return
    for side in (-1, 1):
        at = side * 76 * look.face_width
        canvas.fill(ellipse((at, 10), 14, 21), look.skin)
        canvas.fill(ellipse((at + side * 2, 10), 7.5, 13), shadow_of(look.skin))


def draw_face(canvas: Canvas, look: Look) -> None:
    """Everything on the head but the hair."""
    face = face_path(look)
    canvas.fill(face, look.skin)
    canvas.shade(moved(face, 128, 12), face, shadow_of(look.skin), 0.26)
    draw_cheeks(canvas, look)
    BEARDS[look.beard](canvas, look)
    draw_nose(canvas, look)
    MOUTHS[look.mouth](canvas, look)
    for side in (-1, 1):
        draw_eye(canvas, look, side)
        draw_brow(canvas, look, side)
    if look.lines:
        draw_lines(canvas, look)


def draw_cheeks(canvas: Canvas, look: Look) -> None:
    """Blush on both cheeks, and freckles on some."""
    for side in (-1, 1):
        canvas.glow((side * 45, 40), 28, BLUSH, 0.3 if lightness(look.skin) > 0.6 else 0.2)
        for x, y in ((36, 32), (44, 37), (52, 32), (41, 45), (50, 44), (29, 38)) if look.freckles else ():
            canvas.fill(ellipse((side * x, y), 1.6, 1.4), shadow_of(look.skin), 0.8)


def draw_eye(canvas: Canvas, look: Look, side: int) -> None:
    """One eye: white, iris, pupil, light, lid."""
    almond = closed([(-17, 3), (-9, -7), (2, -9.5), (12, -6), (17, 1), (10, 8), (0, 9.5), (-10, 8)])
    white = moved(almond if side > 0 else flipped(almond), side * look.eye_gap, 6)
    at = side * (look.eye_gap - 0.5)
    canvas.fill(white, WHITE)
    canvas.shade(moved(white, 0, -15), white, INK, 0.16)
    for radius, colour in ((10.8, look.eyes), (5.6, INK)):
        canvas.shade(ellipse((at, 5), radius, radius), white, colour, 1)
    canvas.fill(ellipse((at + 3.4, 1.8), 3, 3), WHITE)
    canvas.fill(ellipse((at - 3.6, 8.6), 1.4, 1.4), WHITE, 0.6)
    draw_lid(canvas, look, side)


def draw_lid(canvas: Canvas, look: Look, side: int) -> None:
    """The upper lid, with a lash drawn out on some."""
    end = [(17.0, 0.0), (22.0, -5.0)] if look.lashes else [(17.5, 1.0)]
    lid = [(-17.5, 4.0), (-10.0, -6.5), (2.0, -10.0), (12.0, -6.5), *end]
    fold = [(-11.0, -12.5), (1.0, -16.0), (14.0, -11.5)]
    for line, width, colour in ((lid, 4.4 if look.lashes else 3.4, INK), (fold, 1.8, shadow_of(look.skin))):
        turned = line if side > 0 else flipped(line)
        canvas.fill(moved(stroke(turned, width), side * look.eye_gap, 6), colour)


def brow_width(t: float) -> float:
    """Width of a brow at t (0 to 1): rounded at the nose, pointed at the temple."""
    return min(1.0, 0.45 + 5 * t) * thinning(t)


def draw_brow(canvas: Canvas, look: Look, side: int) -> None:
    """One brow, darker than the hair so that it shows under blonde."""
    line = [(-16.0, -1.0), (-4.0, -5.0), (9.0, -6.0), (22.0, 1.5)]
    brow = stroke(line if side > 0 else flipped(line), look.brow, brow_width)
    colour = mix(look.hair, INK, 0.3 if lightness(look.hair) < 0.5 else 0.5)
    canvas.fill(moved(brow, side * (look.eye_gap + 1.5), -25), colour, 0.92)


def draw_nose(canvas: Canvas, look: Look) -> None:
    """A hint: the shaded side and the curve under the tip."""
    shadow = shadow_of(look.skin)
    w = look.nose
    canvas.fill(closed([(3, 4), (7, 22), (13 * w, 36), (8 * w, 43), (2, 42), (5, 30)]), shadow, 0.4)
    under: Path = [(-10 * w, 38.5), (-6 * w, 43.5), (1, 45.5), (7 * w, 43.5), (11 * w, 38)]
    canvas.fill(stroke(under, 3.2), mix(shadow, WARM_SHADOW if lightness(look.skin) > 0.5 else INK, 0.2))
    canvas.fill(ellipse((-2.5, 33), 3.4, 4.4), WHITE, 0.22)


def draw_smile(canvas: Canvas, look: Look) -> None:
    """A closed mouth that smiles."""
    lips = closed([(-21, 66), (-9, 63.5), (0, 66), (9, 63.5), (21, 66), (11, 76), (0, 78.5), (-11, 76)])
    canvas.fill(lips, look.lips)
    line = stroke([(-25.0, 64.0), (-12.0, 69.5), (0.0, 70.5), (12.0, 69.5), (25.0, 64.0)], 3)
    canvas.fill(line, mix(look.lips, INK, 0.55))
    canvas.fill(stroke([(-7, 74.5), (0, 75.5), (7, 74.5)], 2), WHITE, 0.3)


def draw_grin(canvas: Canvas, look: Look) -> None:
    """An open smile with teeth."""
    top: Path = [(-26, 62), (-26, 62), (-12, 65), (0, 66), (12, 65), (26, 62), (26, 62)]
    mouth = closed([*top, (17, 77), (0, 84), (-17, 77)])
    canvas.fill(stroke([(-28, 61), (-18, 78), (0, 86), (18, 78), (28, 61)], 8), look.lips)
    canvas.fill(mouth, mix(look.lips, INK, 0.7))
    canvas.shade(ellipse((0, 62), 25, 12.5), mouth, WHITE, 1)
    canvas.shade(ellipse((0, 86), 13, 7), mouth, mix(look.lips, BLUSH, 0.5), 1)
    canvas.fill(stroke([(-29, 60), (-12, 63), (0, 65), (12, 63), (29, 60)], 4.4), look.lips)


def draw_smirk(canvas: Canvas, look: Look) -> None:
    """A smile on one side."""
    canvas.fill(closed([(-19, 68), (-8, 65), (1, 67), (9, 64), (21, 64), (12, 76), (1, 79), (-10, 77)]), look.lips)
    line = stroke([(-22.0, 67.5), (-10.0, 71.0), (2.0, 71.0), (14.0, 68.0), (26.0, 60.5)], 3)
    canvas.fill(line, mix(look.lips, INK, 0.55))


def beard_path(look: Look) -> Path:
    """Return a beard along the jaw, with the lip free."""
    w, j = look.face_width, look.face_width * look.jaw
    outer = [(0, 108), (31 * j, 101), (58 * j, 76), (73 * j, 36), (76 * w, 6)]
    inner = [(70 * w, 8), (64, 36), (52, 52), (34, 54), (14, 51), (0, 54)]
    return closed(mirrored([(float(x), float(y)) for x, y in outer + inner]))


def draw_stubble(canvas: Canvas, look: Look) -> None:
    """The shadow of a beard."""
    canvas.shade(beard_path(look), face_path(look), mix(look.hair, INK, 0.3), 0.13)


def draw_short_beard(canvas: Canvas, look: Look) -> None:
    """A trimmed beard."""
    canvas.fill(beard_path(look), mix(look.hair, look.skin, 0.12))


def draw_lines(canvas: Canvas, look: Look) -> None:
    """The laugh lines of an older face."""
    for side in (-1, 1):
        for line in ([(20, 46), (28, 54), (31, 64)], [(52, 8), (58, 9), (62, 12)], [(52, 12), (57, 15), (60, 19)]):
            canvas.fill(stroke([(side * float(x), float(y)) for x, y in line], 2), shadow_of(look.skin), 0.9)


def draw_nothing(_canvas: Canvas, _look: Look) -> None:
    """No beard."""


MOUTHS: dict[str, Callable[[Canvas, Look], None]] = {"smile": draw_smile, "grin": draw_grin, "smirk": draw_smirk}
BEARDS: dict[str, Callable[[Canvas, Look], None]] = {
    "none": draw_nothing,
    "stubble": draw_stubble,
    "short": draw_short_beard,
}
