"""Slides and posters of a container: its influencer and the words of its brief, in the colours of the face's theme."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

from PIL import Image

from layers_standin.portraits import look_of
from layers_standin.portraits.backdrop import MOTIFS
from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.dice import Dice
from layers_standin.portraits.look import Look, Traits
from layers_standin.portraits.palette import INK, WHITE, Colour, mix
from layers_standin.portraits.shapes import ellipse
from layers_standin.slides.formats import HEIGHT, WIDTH
from layers_standin.slides.lettering import Block, fitted, legible, rounded, write
from layers_standin.slides.parts import (
    LABEL,
    MARGIN,
    MEASURE,
    SHEET_HEIGHT,
    SHEET_WIDTH,
    Scene,
    Words,
    cover,
    draw_ground,
    draw_marker,
    draw_name,
    draw_person,
    draw_play,
    draw_progress,
    draw_scrim,
    draw_signature,
    draw_window,
    write_block,
)

QUALITY = 86  # of JPEG: seldom more than 150 kB
MOST = 8  # points and tags that are read; fewer have room
HEADLINE = (148, 132, 118, 104, 92, 82, 72)
TITLE = (104, 92, 82, 72, 64)
POINT = (72, 64, 56, 50)


class Person(NamedTuple):
    """The influencer on a picture: its id, its name, and its traits as `portraits.look_of` takes them."""

    seed: str
    name: str
    traits: Traits


def draw_slide(number: int, variety: str, brief: Mapping[str, Any], person: Person | None) -> bytes:
    """Return slide `number` (1 to SLIDE_COUNT: hook, points, call to action) as a JPEG of WIDTH x HEIGHT px.

    `variety` is any text: slides with the same one belong together. Of `brief` are read hook, topic, angle, cta (text),
    valuePropositions and themeTags (lists of text); each may be absent or null. Without `person` no face is drawn.
    """
    if number not in SLIDES:
        raise ValueError(f"There is no slide {number}.")
    return drawn(SLIDES[number], number, variety, brief, person)


def draw_poster(variety: str, brief: Mapping[str, Any], person: Person | None) -> bytes:
    """Return the still picture before a video as a JPEG of WIDTH x HEIGHT px; arguments as of `draw_slide`."""
    return drawn(draw_cover, 0, variety, brief, person)


def drawn(
    draw: Callable[[Scene], None], number: int, variety: str, brief: Mapping[str, Any], person: Person | None
) -> bytes:
    """Return as JPEG bytes the picture that `draw` makes."""
    image = Image.new("RGB", (SHEET_WIDTH, SHEET_HEIGHT))
    look = varied(look_of(person.seed, person.traits) if person else look_of(variety, {}), variety)
    scene = Scene(Canvas(image, 1), look, person and person.name, words_of(brief), number)
    draw(scene)
    out = BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.HAMMING).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def varied(look: Look, variety: str) -> Look:
    """Return the same person in front of another backdrop, in another mood."""
    dice = Dice(variety)
    return replace(
        look,
        motif=dice.pick("motif", tuple(MOTIFS)),
        mouth=dice.pick("mouth", ("smile", "grin")),
        tilt=dice.between("tilt", -5, 5),
        shift=dice.pick("shift", (-70.0, 0.0, 70.0)),
    )


def words_of(brief: Mapping[str, Any]) -> Words:
    """Return the words of a brief; where one is missing, the next best that the brief has."""
    hook, topic, angle, call = (legible(brief.get(key) or "") for key in ("hook", "topic", "angle", "cta"))
    points, tags = (tuple(filter(legible, (brief.get(key) or ())[:MOST])) for key in ("valuePropositions", "themeTags"))
    first = next(iter(points), "")
    return Words(
        hook=hook or topic or angle or call or first,
        title=topic or angle or hook or first,
        points=points[:4],
        call=call or topic or hook or angle,
        tags=" ".join("#" + legible(tag).replace(" ", "") for tag in tags),
    )


def draw_hook(scene: Scene) -> None:
    """Slide 1: the hook in large letters over the influencer, with a marker under its last line."""
    draw_ground(scene)
    draw_person(scene, 2.75, SHEET_HEIGHT - 262 * 2.75)
    draw_progress(scene, scene.deep)
    draw_name(scene, MARGIN, 150, scene.deep)
    block = fitted(scene.words.hook, MEASURE, 600, HEADLINE)
    draw_marker(scene, block, 240)
    write_block(scene, block, 240, scene.deep)


def draw_points(scene: Scene) -> None:
    """Slide 2: the points of the brief on a dark ground, each with its number."""
    ground = mix(scene.deep, INK, 0.25)
    cover(scene, ground, mix(ground, scene.look.theme.bottom, 0.22))
    spot = scene.lively(ground)
    scene.canvas.fill(ellipse((SHEET_WIDTH + 60, 120), 420, 420), scene.look.theme.bottom, 0.10)
    scene.canvas.fill(ellipse((-80, SHEET_HEIGHT - 160), 520, 520), scene.look.theme.bottom, 0.08)
    draw_progress(scene, WHITE)
    if len(scene.words.points) > 1:
        title = fitted(scene.words.title, MEASURE, 340, TITLE)
        write_block(scene, title, 170, spot)
        draw_list(scene, 170 + title.height + 90, ground, spot)
    else:
        draw_statement(scene, spot)
    draw_signature(scene, WHITE)


def draw_statement(scene: Scene, spot: Colour) -> None:
    """Write the title, or failing that the influencer's name, in the middle, below a short rule."""
    block = fitted(scene.words.title or scene.name or "", MEASURE, 800, HEADLINE)
    y = (SHEET_HEIGHT - block.height) / 2 - 120
    left = SHEET_WIDTH - MARGIN - 150 if block.is_leftward else MARGIN
    scene.canvas.fill(rounded(left, y - 70, left + 150, y - 54, 8), spot)
    write_block(scene, block, y, WHITE)


def draw_list(scene: Scene, top: float, ground: Colour, spot: Colour) -> None:
    """Draw the points below `top`, with a disc beside each."""
    points, bottom = scene.words.points, SHEET_HEIGHT - 400
    room = (bottom - top) / len(points)
    blocks = [fitted(point, MEASURE - 130, room - 40, POINT) for point in points]
    for index, block in enumerate(blocks):
        y = top + index * min(room, 340)
        scene.canvas.fill(ellipse((MARGIN + 42, y + 36), 42, 42), spot)
        number = Block([str(index + 1)], 46, False)
        write(scene.canvas, number, MARGIN + 42, y + 12, ground, 0.5)
        write(scene.canvas, block, MARGIN + 130, y, WHITE)


def draw_call(scene: Scene) -> None:
    """Slide 3: the influencer in a round window, the call to action, and an arrow that says go."""
    theme = scene.look.theme
    cover(scene, theme.bottom, theme.top)
    scene.canvas.fill(ellipse((SHEET_WIDTH / 2, 620), 500, 500), theme.shapes[0], 0.55)
    scene.canvas.fill(ellipse((SHEET_WIDTH - 120, 1010), 84, 84), theme.shapes[1], 0.55)
    draw_progress(scene, scene.deep)
    draw_window(scene, SHEET_WIDTH / 2, 620, 370)
    block = fitted(scene.words.call or scene.name or "", MEASURE, 400, HEADLINE)
    y = 1130 + (400 - block.height) / 2
    write(scene.canvas, block, SHEET_WIDTH / 2, y, scene.deep, 0.5)
    draw_arrow(scene, y + block.height + 110, block.is_leftward)
    tags = fitted(scene.words.tags, MEASURE, 60, LABEL)
    write(scene.canvas, tags, SHEET_WIDTH / 2, 1790, scene.deep, 0.5)


def draw_arrow(scene: Scene, y: float, is_leftward: bool) -> None:
    """Draw a button with an arrow."""
    scene.canvas.fill(ellipse((SHEET_WIDTH / 2, y), 62, 62), scene.deep)
    arrow = Block(["←" if is_leftward else "→"], 64, False)
    write(scene.canvas, arrow, SHEET_WIDTH / 2, y - 34, scene.lively(scene.deep), 0.5)


def draw_cover(scene: Scene) -> None:
    """The poster: the influencer as large as can be, the hook at the bottom, and the sign for a video."""
    draw_ground(scene)
    draw_person(scene, 2.9, SHEET_HEIGHT - 338 * 2.9)
    block = fitted(scene.words.hook, MEASURE, 360, HEADLINE[2:])
    top = 1700 - block.height
    draw_scrim(scene, round(top) - 260)
    write_block(scene, block, top, WHITE)
    draw_play(scene)


SLIDES: dict[int, Callable[[Scene], None]] = {1: draw_hook, 2: draw_points, 3: draw_call}
