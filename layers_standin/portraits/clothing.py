"""Neck, shoulders and clothes. Same origin as the face; the picture ends near y = 280."""

from collections.abc import Callable
from dataclasses import replace

from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.face import face_path, shadow_of
from layers_standin.portraits.look import Look
from layers_standin.portraits.palette import INK, WHITE, Colour, lightness, mix
from layers_standin.portraits.shapes import Path, closed, ellipse, even, flipped, mirrored, moved, opened, stroke

BOTTOM = 340.0  # below the picture's edge in every pose
NECK = 46.0  # half the width of a neckline where it meets the shoulder


def darker(cloth: Colour) -> Colour:
    """Return the colour of folds and seams."""
    return mix(cloth, INK, 0.2)


def contrast(cloth: Colour) -> Colour:
    """Return the colour of stitches and cords: light on dark, dark on light."""
    return mix(cloth, WHITE, 0.75) if lightness(cloth) < 0.55 else mix(cloth, INK, 0.5)


def torso(look: Look, neckline: Path) -> Path:
    """Return the outline of shoulders and chest; `neckline` is its right half, from the middle to the neck."""
    wide = 140 * look.shoulders
    corner = neckline[-1]
    sleeve: Path = [(wide * 0.52, 136.0), (wide * 0.84, 154.0), (wide, 188.0), (wide + 10, 250.0), (wide + 16, BOTTOM)]
    right = opened(neckline) + opened([corner, *sleeve])[1:]
    return mirrored([*right, (0.0, BOTTOM)])


def draw_neck(canvas: Canvas, look: Look) -> None:
    """Skin from the jaw to the chest, with the shadow of the head."""
    wide = 33 + 5 * (look.shoulders - 0.9) / 0.3 + 4 * (look.jaw > 1)
    neck = closed(mirrored([(0, 60), (wide, 60), (wide, 98), (wide + 5, 122), (78, 142), (96, 220), (0, 250)]))
    shoulders = torso(look, [(0, 50), (36, 50), (NECK - 2, 123)])
    canvas.shade(neck, moved(shoulders, 0, 3), look.skin, 1)  # lower than any garment, lest skin shows at its edge
    canvas.shade(moved(face_path(look), 3, 24), neck, shadow_of(look.skin), 0.85)
    for side in (-1, 1):
        line: Path = [(side * 12.0, 158.0), (side * 34.0, 152.0), (side * 58.0, 150.0)]
        canvas.fill(stroke(line, 3), shadow_of(look.skin), 0.6)


def draw_garment(canvas: Canvas, look: Look) -> None:
    """The garment of a look."""
    GARMENTS[look.garment](canvas, look)


def draw_top(canvas: Canvas, look: Look, cloth: Colour, neckline: Path) -> Path:
    """Draw a plain top with a hem along `neckline`, and return its outline."""
    outline = torso(look, neckline)
    canvas.fill(outline, cloth)
    draw_folds(canvas, look, cloth, outline)
    hem = opened([*flipped(neckline[:0:-1]), *neckline])
    canvas.fill(stroke(hem[::3], 7, even), darker(cloth))
    return outline


def draw_inner(canvas: Canvas, look: Look, neckline: Path) -> None:
    """Draw the top under a jacket, narrower so that none of it shows outside."""
    draw_top(canvas, replace(look, shoulders=look.shoulders * 0.85), look.under, neckline)


def lapel_of(cloth: Colour) -> Colour:
    """Return the colour of lapels: lighter than the cloth, or darker when it is nearly white."""
    return mix(cloth, WHITE, 0.13) if lightness(cloth) < 0.8 else mix(cloth, INK, 0.07)


def draw_folds(canvas: Canvas, look: Look, cloth: Colour, outline: Path) -> None:
    """The line between arm and chest, and the side away from the light."""
    wide = 140 * look.shoulders
    side_away: Path = [(wide * 0.5, 100), (wide * 1.4, 100), (wide * 1.4, BOTTOM), (wide * 0.62, BOTTOM)]
    canvas.shade(side_away, outline, INK, 0.06)
    for side in (-1, 1):
        line: Path = [(side * wide * 0.74, 206.0), (side * wide * 0.7, 250.0), (side * wide * 0.72, BOTTOM)]
        canvas.fill(stroke(line, 4.5), darker(cloth))


def crew_line() -> Path:
    """Return a round neckline close to the neck."""
    return [(0, 152), (24, 147), (40, 134), (NECK, 121)]


def draw_crew(canvas: Canvas, look: Look) -> None:
    """A T-shirt, some with a pocket."""
    draw_top(canvas, look, look.cloth, crew_line())
    if look.pattern == "pocket":
        canvas.fill([(34, 226), (74, 226), (74, 300), (34, 300)], darker(look.cloth))
        canvas.fill([(34, 226), (74, 226), (74, 233), (34, 233)], look.theme.accent, 0.8)


def draw_v_neck(canvas: Canvas, look: Look) -> None:
    """A jumper with a pointed neckline."""
    draw_top(canvas, look, look.cloth, [(0, 190), (0, 190), (26, 152), (NECK, 121)])


def draw_scoop(canvas: Canvas, look: Look) -> None:
    """A wide, deep neckline and a fine necklace."""
    draw_top(canvas, look, look.cloth, [(0, 186), (34, 180), (58, 158), (64, 129)])
    canvas.fill(stroke([(-37, 124), (-22, 152), (0, 164), (22, 152), (37, 124)], 2.4, even), look.metal)
    canvas.fill(ellipse((0, 168), 5.5, 5.5), look.metal)


def draw_turtleneck(canvas: Canvas, look: Look) -> None:
    """A rolled collar that covers the neck."""
    draw_top(canvas, look, look.cloth, [(0, 128), (20, 127), (34, 124), (NECK, 119)])
    roll = closed(mirrored([(0, 104), (28, 102), (43, 98), (46, 114), (48, 134), (26, 143), (0, 145)]))
    canvas.fill(roll, mix(look.cloth, WHITE, 0.1))
    canvas.shade(moved(face_path(look), 2, 18), roll, INK, 0.22)
    canvas.fill(stroke([(-46, 133), (-22, 141), (0, 143), (22, 141), (46, 133)], 3.5), darker(look.cloth))


def draw_stripes(canvas: Canvas, look: Look) -> None:
    """A T-shirt with broad stripes."""
    outline = torso(look, crew_line())
    canvas.fill(outline, look.cloth)
    for y in range(168, 340, 36):
        band = stroke([(-190, y + 10), (0, y), (190, y + 10)], 15, even)
        canvas.shade(band, outline, look.under, 1)
    draw_folds(canvas, look, look.cloth, outline)
    canvas.fill(stroke([*flipped(crew_line())[:0:-1], *crew_line()], 8, even), look.under)


def draw_dots(canvas: Canvas, look: Look) -> None:
    """A blouse with dots."""
    outline = draw_top(canvas, look, look.cloth, [(0, 168), (30, 160), (46, 142), (52, 123)])
    for row, y in enumerate(range(150, 340, 26)):
        for x in range(-182 + 15 * (row % 2), 183, 30):
            canvas.shade(ellipse((x, y), 5.5, 5.5), outline, look.under, 1)


def draw_shirt(canvas: Canvas, look: Look) -> None:
    """A shirt with an open collar and buttons."""
    draw_top(canvas, look, look.cloth, [(0, 178), (0, 178), (22, 150), (NECK, 119)])
    canvas.fill(stroke([(0, 178), (1, 250), (0, BOTTOM)], 3, even), darker(look.cloth))
    for y in (206, 246, 286):
        canvas.fill(ellipse((8, y), 4, 4), contrast(look.cloth))
    draw_collar(canvas, look.cloth)


def draw_collar(canvas: Canvas, cloth: Colour) -> None:
    """The two wings of a shirt's collar, each with its shadow."""
    wing: Path = [(40, 108), (51, 121), (56, 152), (34, 176), (3, 178), (26, 150)]
    for half in (wing, flipped(wing)):
        canvas.fill(moved(half, 0, 5), darker(cloth))
        canvas.fill(half, mix(cloth, WHITE, 0.16))


def draw_hoodie(canvas: Canvas, look: Look) -> None:
    """A hood behind the neck, cords in front, a T-shirt beneath."""
    draw_inner(canvas, look, [(0, 150), (22, 146), (36, 134), (42, 118)])
    hood = closed(mirrored([(0, 198), (30, 172), (46, 132), (52, 100), (74, 104), (86, 136), (66, 184), (0, 224)]))
    canvas.fill(torso(look, [(0, 206), (30, 176), (50, 140), (60, 124)]), look.cloth)
    draw_folds(canvas, look, look.cloth, torso(look, [(0, 206), (30, 176), (50, 140), (60, 124)]))
    canvas.fill(moved(hood, 0, 5), darker(look.cloth))
    canvas.fill(hood, mix(look.cloth, WHITE, 0.1))
    draw_cords(canvas, look)


def draw_cords(canvas: Canvas, look: Look) -> None:
    """The two cords of a hood."""
    for side, end in ((-1, 264), (1, 254)):
        canvas.fill(stroke([(side * 27, 196), (side * 30, 230), (side * 28, end)], 4, even), look.theme.accent)
        canvas.fill(stroke([(side * 28, end), (side * 28, end + 10)], 6.5, even), contrast(look.cloth))


def draw_blazer(canvas: Canvas, look: Look) -> None:
    """A jacket with lapels over a plain top."""
    draw_inner(canvas, look, crew_line())
    opening: Path = [(0, 290), (14, 250), (36, 180), (54, 119)]
    outline = torso(look, opening)
    canvas.fill(outline, look.cloth)
    draw_folds(canvas, look, look.cloth, outline)
    lapel: Path = [(46, 114), (66, 123), (84, 160), (72, 172), (82, 186), (6, 296), (26, 214)]
    for half in (lapel, flipped(lapel)):
        canvas.fill(moved(half, 0, 4), darker(look.cloth))
        canvas.fill(half, lapel_of(look.cloth))


def hood_behind(canvas: Canvas, look: Look) -> None:
    """The part of a hood that is seen behind the neck."""
    if look.garment == "hoodie":
        canvas.fill(ellipse((0, 112), 82, 42), darker(darker(look.cloth)))


GARMENTS: dict[str, Callable[[Canvas, Look], None]] = {
    "crew": draw_crew,
    "v-neck": draw_v_neck,
    "scoop": draw_scoop,
    "turtleneck": draw_turtleneck,
    "stripes": draw_stripes,
    "dots": draw_dots,
    "shirt": draw_shirt,
    "hoodie": draw_hoodie,
    "blazer": draw_blazer,
}
