"""Hair behind the head, and in front of it. Origin: the middle of the face; crown at y = -100."""

from collections.abc import Callable
from math import cos, pi, sin

from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.face import face_path, shadow_of
from layers_standin.portraits.hair_shapes import BACKS, CROP, FADE_TOP, FRONTS, LOCK, SHINES, SWEPT, WAVES
from layers_standin.portraits.look import Look
from layers_standin.portraits.palette import INK, WHITE, Colour, lightness, mix
from layers_standin.portraits.shapes import Path, closed, ellipse, flipped, mirrored, moved, stroke, thinning

Draw = Callable[[Canvas, Look], None]


def shine(hair: Colour) -> Colour:
    """Return the colour of the light on hair."""
    return mix(hair, WHITE, 0.2 if lightness(hair) < 0.5 else 0.4)


def shade_of(hair: Colour) -> Colour:
    """Return the colour of hair in shadow, as behind the neck."""
    return mix(hair, INK, 0.25)


def draw_hair_behind(canvas: Canvas, look: Look) -> None:
    """The hair that head and body cover."""
    BEHIND.get(look.back, draw_nothing)(canvas, look)


def draw_hair_before(canvas: Canvas, look: Look) -> None:
    """The hair on the head and over the shoulders."""
    BEFORE.get(look.back, draw_nothing)(canvas, look)
    ON_HEAD.get(look.front, draw_nothing)(canvas, look)


def draw_nothing(_canvas: Canvas, _look: Look) -> None:
    """No hair here."""


def draw_mass(canvas: Canvas, look: Look) -> None:
    """Smooth hair behind the head, darker around the neck."""
    outline = closed(mirrored(BACKS[look.back]))
    canvas.fill(outline, look.hair)
    canvas.shade(ellipse((0, 120), 88, 150), outline, shade_of(look.hair), 0.8)


def ring(look: Look, rows: list[tuple[float, float, float, float]]) -> list[Path]:
    """Return curls along arcs of (height of the centre, radius, size, half angle in turns from the top)."""
    curls = []
    for middle, radius, size, reach in rows:
        count = max(3, round(2 * reach * 2 * pi * radius / (size * 1.25)))
        for i in range(count):
            angle = 2 * pi * reach * (2 * i / (count - 1) - 1)
            wobble = 1 + 0.06 * sin(7 * i + 9 * look.texture)
            at = (radius * wobble * sin(angle), middle - radius * wobble * cos(angle))
            curls.append(ellipse(at, size * wobble, size * wobble))
    return curls


def draw_curls(canvas: Canvas, curls: list[Path], hair: Colour) -> None:
    """Round curls, every third with a light on it."""
    for curl in curls:
        canvas.fill(curl, hair)
    for curl in curls[::3]:
        canvas.fill(stroke(curl[26:40:3], 4), shine(hair), 0.75)


def draw_cloud(canvas: Canvas, look: Look) -> None:
    """Long curls around head and shoulders."""
    mass: Path = [(0, -112), (70, -100), (108, -30), (116, 60), (112, 120), (60, 150), (0, 150)]
    canvas.fill(closed(mirrored(mass)), look.hair)
    canvas.fill(ellipse((0, 110), 84, 60), shade_of(look.hair), 0.8)
    draw_curls(canvas, ring(look, [(10, 112, 27, 0.36)]), look.hair)
    sides = [(s * x, y) for s in (-1, 1) for x, y in ((104, 92), (118, 62), (108, 128), (84, 146), (122, 104))]
    draw_curls(canvas, [ellipse(at, 25, 25) for at in sides], look.hair)


def draw_afro(canvas: Canvas, look: Look) -> None:
    """A round crown of curls."""
    canvas.fill(ellipse((0, -36), 118, 112), look.hair)
    draw_curls(canvas, ring(look, [(-36, 108, 24, 0.4)]), look.hair)


def draw_bun(canvas: Canvas, look: Look) -> None:
    """A knot on top of the head."""
    knot = ellipse((4, -132), 40, 34)
    canvas.fill(knot, look.hair)
    canvas.shade(ellipse((4, -100), 44, 18), knot, shade_of(look.hair), 0.9)
    for y in (-146, -134):
        canvas.fill(stroke([(-18, y + 6), (2, y - 4), (26, y + 4)], 4), shine(look.hair), 0.6)


def draw_ponytail(canvas: Canvas, look: Look) -> None:
    """A tail that swings out on one side."""
    tail = closed([(30, -104), (84, -112), (124, -70), (134, 10), (146, 90), (118, 140), (104, 70), (92, 0), (66, -60)])
    canvas.fill(tail, look.hair)
    for line in ([(84, -92), (112, -30), (124, 70)], [(70, -80), (100, -20), (110, 50)]):
        canvas.shade(stroke([(float(x), float(y)) for x, y in line], 5), tail, shine(look.hair), 0.6)
    canvas.fill(stroke([(62, -106), (78, -88), (84, -70)], 11), look.theme.accent)


def draw_braids(canvas: Canvas, look: Look) -> None:
    """A braid over each shoulder, with a band at its end."""
    for side in (-1, 1):
        for i in range(10):
            at = (side * (84 + 4 * sin(i)), 46 + i * 17)
            canvas.fill(ellipse(at, 17 - i * 0.5, 13), look.hair if i % 2 else mix(look.hair, shine(look.hair), 0.35))
        canvas.fill(ellipse((side * 85, 216), 12, 6), look.theme.accent)
        canvas.fill(closed([(side * 85, 216), (side * 96, 240), (side * 84, 258), (side * 76, 238)]), look.hair)


def locs(side: int) -> list[Path]:
    """Return the strands on one side."""
    ends = [(70, 126), (82, 150), (94, 140), (104, 116)]
    return [[(side * (40 + 9 * i), -80), (side * (x + 4), 0), (side * x, y)] for i, (x, y) in enumerate(ends)]


def draw_locs(canvas: Canvas, look: Look) -> None:
    """Rope-like strands to the shoulders."""
    canvas.fill(closed(mirrored(BACKS["bob"])), shade_of(look.hair))
    for side in (-1, 1):
        for i, strand in enumerate(locs(side)):
            colour = look.hair if i % 2 else mix(look.hair, shine(look.hair), 0.3)
            canvas.fill(stroke(strand, 17, lambda t: 1 - 0.3 * t), colour)


def draw_locks(canvas: Canvas, look: Look) -> None:
    """Two locks of long hair that fall in front of the shoulders."""
    lock = closed(LOCK)
    for half, light in ((lock, 0.75), (flipped(lock), 0.5)):
        canvas.fill(moved(half, 0, 5), INK, 0.12)
        canvas.fill(half, look.hair)
        x = 1 if half is lock else -1
        canvas.shade(stroke([(x * 90, 20), (x * 93, 110), (x * 98, 210)], 6), half, shine(look.hair), light)


def draw_front(canvas: Canvas, look: Look, outline: Path) -> None:
    """Hair on the head: its shadow on the face, itself, its shine."""
    canvas.shade(moved(outline, 2, 9), face_path(look), shadow_of(look.skin), 0.7)
    canvas.fill(outline, look.hair)
    for line in SHINES:
        canvas.shade(stroke(line, 6), outline, shine(look.hair), 0.7)


def draw_crescent(canvas: Canvas, look: Look) -> None:
    """Hair that is the same on both sides."""
    draw_front(canvas, look, closed(mirrored(FRONTS[look.front])))


def draw_swept(canvas: Canvas, look: Look) -> None:
    """Hair with a parting on one side."""
    draw_front(canvas, look, closed(SWEPT))
    canvas.fill(stroke([(-36, -86), (-6, -68), (40, -50), (66, -26)], 4, thinning), shade_of(look.hair), 0.5)


def draw_crop(canvas: Canvas, look: Look) -> None:
    """Short hair, brushed up."""
    draw_front(canvas, look, closed(CROP))
    for line in ([(-30, -74), (-10, -98), (30, -116)], [(8, -76), (30, -94), (60, -100)]):
        canvas.fill(stroke([(float(x), float(y)) for x, y in line], 4), shade_of(look.hair), 0.5)


def draw_fade(canvas: Canvas, look: Look) -> None:
    """Short on top, fading to skin at the sides."""
    sides = closed(mirrored(FRONTS["buzz"]))
    canvas.fill(sides, mix(look.hair, look.skin, 0.4))
    draw_front(canvas, look, closed(FADE_TOP))


def draw_buzz(canvas: Canvas, look: Look) -> None:
    """Hair so short that the skin shows."""
    cap = closed(mirrored(FRONTS["buzz"]))
    canvas.fill(cap, mix(look.hair, look.skin, 0.28))
    canvas.shade(ellipse((-36, -92), 30, 14), cap, shine(look.hair), 0.25)


def draw_waves(canvas: Canvas, look: Look) -> None:
    """Short hair in waves."""
    draw_front(canvas, look, closed(WAVES))
    for line in ([(-54, -60), (-46, -86), (-22, -104)], [(-14, -70), (4, -94), (32, -104)]):
        canvas.fill(stroke([(float(x), float(y)) for x, y in line], 4.5), shine(look.hair), 0.8)


def draw_curly_top(canvas: Canvas, look: Look) -> None:
    """Curls along the hairline and over the head."""
    rows = [(0.0, 104.0, 22.0, 0.24), (6.0, 84.0, 17.0, 0.23)]
    curls = ring(look, rows)
    for curl in curls:
        canvas.shade(moved(curl, 2, 8), face_path(look), shadow_of(look.skin), 0.9)
    cap: Path = [(0, -118), (50, -108), (82, -60), (86, -10), (70, -40), (40, -66), (0, -72)]
    canvas.fill(closed(mirrored(cap)), look.hair)
    draw_curls(canvas, curls, look.hair)


def draw_bare(canvas: Canvas, _look: Look) -> None:
    """Light on a bald head."""
    canvas.glow((-26, -72), 30, WHITE, 0.24)


ON_HEAD: dict[str, Draw] = {
    "none": draw_bare,
    **dict.fromkeys(("pulled", "curtain", "bangs"), draw_crescent),
    "swept": draw_swept,
    "crop": draw_crop,
    "fade": draw_fade,
    "buzz": draw_buzz,
    "waves": draw_waves,
    "curls": draw_curly_top,
}
BEHIND: dict[str, Draw] = {
    **dict.fromkeys(BACKS, draw_mass),
    "cloud": draw_cloud,
    "afro": draw_afro,
    "bun": draw_bun,
    "ponytail": draw_ponytail,
    "locs": draw_locs,
}
BEFORE: dict[str, Draw] = {"long": draw_locks, "braids": draw_braids}
