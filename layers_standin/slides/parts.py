"""The parts of slides and posters: grounds, the influencer, and signs around the words.

A picture is drawn on a sheet of SHEET_WIDTH x SHEET_HEIGHT px, which are the units here, and made small at the end: so
its edges are smooth. Twice as large a sheet looks no better, and takes twice as long, for which a client waits.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image, ImageDraw

from layers_standin.portraits import draw_figure, draw_on
from layers_standin.portraits.backdrop import MOTIFS, draw_gradient
from layers_standin.portraits.canvas import UNITS, Canvas, Pose
from layers_standin.portraits.look import Look
from layers_standin.portraits.palette import INK, WHITE, Colour, lightness, mix
from layers_standin.portraits.shapes import ellipse
from layers_standin.slides.formats import SLIDE_COUNT
from layers_standin.slides.lettering import LEADING, Block, fitted, has_glyph, rounded, width_of, write

SHEET_WIDTH, SHEET_HEIGHT = 1080, 1920
MARGIN = 84
MEASURE = SHEET_WIDTH - 2 * MARGIN  # the width of text
LABEL = (44,)


class Words(NamedTuple):
    """The words of a brief by their part in a slideshow; "" and () where there are none."""

    hook: str
    title: str
    points: tuple[str, ...]
    call: str
    tags: str


@dataclass(frozen=True)
class Scene:
    """All that one picture shows, but the kind of picture it is."""

    canvas: Canvas
    look: Look
    name: str | None  # None: nobody is in it
    words: Words
    number: int

    @property
    def deep(self) -> Colour:
        """Return the darkest colour of the theme: that of text on light grounds, and of dark grounds."""
        return mix(min(self.look.theme.cloths, key=lightness), INK, 0.35)

    def lively(self, ground: Colour) -> Colour:
        """Return the theme's first colour that stands out from `ground`."""
        theme = self.look.theme
        colours = (theme.accent, *theme.shapes, *theme.cloths)
        return next((each for each in colours if abs(lightness(each) - lightness(ground)) > 0.33), WHITE)


def draw_ground(scene: Scene) -> None:
    """Cover the picture with the theme's gradient and the motif."""
    cover(scene, scene.look.theme.top, scene.look.theme.bottom)
    below = Pose((0, SHEET_HEIGHT - SHEET_WIDTH - 60), SHEET_WIDTH / UNITS)
    MOTIFS[scene.look.motif](scene.canvas.posed(below), scene.look)


def cover(scene: Scene, top: Colour, bottom: Colour) -> None:
    """Cover the picture with a gradient and a soft light."""
    image = scene.canvas.image
    small = Canvas(Image.new("RGB", (SHEET_WIDTH // 4, SHEET_HEIGHT // 4)), 0.25)
    draw_gradient(small, replace(scene.look, theme=replace(scene.look.theme, top=top, bottom=bottom)))
    small.glow((300, 420), 900, mix(top, WHITE, 0.8), 0.3)
    # Its steps are lower than what a JPEG keeps: smoother filters take five times the time, and look the same.
    image.paste(small.image.resize(image.size, Image.Resampling.NEAREST))


def draw_person(scene: Scene, scale: float, y: float) -> None:
    """Draw the influencer, if any, with the face at `y`, at `scale` px for a figure's unit."""
    if scene.name is None:
        return
    body = Pose((SHEET_WIDTH / 2 + scene.look.shift, y), scale)
    head = Pose(body.origin, body.scale, scene.look.tilt, pivot=(0, 90))
    draw_figure(scene.canvas.posed(body), scene.canvas.posed(head), scene.look)


def draw_window(scene: Scene, x: float, y: float, radius: int) -> None:
    """Draw the influencer in a round window with a rim; only a disc if there is nobody."""
    if scene.name is None:
        scene.canvas.fill(ellipse((x, y), radius, radius), scene.look.theme.accent, 0.9)
        return
    side = 2 * radius
    within = Canvas(Image.new("RGB", (side, side)), side / UNITS)
    draw_on(within, replace(scene.look, shift=0.0))
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    scene.canvas.fill(ellipse((x, y), radius + 14, radius + 14), WHITE)
    scene.canvas.image.paste(within.image, (round(x - radius), round(y - radius)), mask)


def draw_progress(scene: Scene, colour: Colour) -> None:
    """Draw a bar for each slide at the top; those of this slide and of earlier ones are full."""
    gap = 16
    wide = (MEASURE - gap * (SLIDE_COUNT - 1)) / SLIDE_COUNT
    for index in range(SLIDE_COUNT):
        left = MARGIN + index * (wide + gap)
        scene.canvas.fill(rounded(left, 72, left + wide, 82, 5), colour, 0.9 if index < scene.number else 0.22)


def draw_name(scene: Scene, x: float, y: float, colour: Colour) -> None:
    """Write the influencer's name, if any, behind a dot."""
    block = fitted(scene.name or "", MEASURE - 40, 60, LABEL)
    if block.lines:
        scene.canvas.fill(ellipse((x + 11, y + 25), 11, 11), scene.look.theme.accent)
        write(scene.canvas, block, x + 40, y, colour)


def draw_signature(scene: Scene, colour: Colour) -> None:
    """Draw the influencer, if any, small at the bottom, with the name."""
    if scene.name is not None:
        draw_window(scene, MARGIN + 90, SHEET_HEIGHT - 230, 90)
        block = fitted(scene.name, MEASURE - 230, 60, LABEL)
        write(scene.canvas, block, MARGIN + 230, SHEET_HEIGHT - 255, colour)


def draw_marker(scene: Scene, block: Block, y: float) -> None:
    """Draw a marker's stroke behind the last line of a block whose top is `y`."""
    if not block.lines or not all(map(has_glyph, block.lines[-1])):
        return
    size, row = block.size, len(block.lines) - 1
    wide = width_of(block.lines[-1], size)
    left = SHEET_WIDTH - MARGIN - wide if block.is_leftward else MARGIN
    top = y + (row * LEADING + 0.52) * size
    colour = scene.lively(scene.deep)
    scene.canvas.fill(rounded(left - 16, top, left + wide + 16, top + 0.46 * size, 10), colour, 0.9)


def write_block(scene: Scene, block: Block, y: float, colour: Colour) -> None:
    """Write a block from margin to margin: from the left, or from the right if its script runs leftward."""
    write(scene.canvas, block, SHEET_WIDTH - MARGIN if block.is_leftward else MARGIN, y, colour, block.is_leftward)


def draw_scrim(scene: Scene, top: int) -> None:
    """Darken the picture from `top` down, so that white letters can be read on it."""
    image, above = scene.canvas.image, top
    fade = Image.linear_gradient("L").point([round(min(225, value * 1.5)) for value in range(256)])
    column = fade.crop((0, 0, 1, 256)).resize((1, image.height - above))
    image.paste(scene.deep, (0, above, *image.size), column.resize((image.width, column.height)))


def draw_play(scene: Scene) -> None:
    """Draw a triangle in a disc, and beside it the influencer's name."""
    scene.canvas.fill(ellipse((MARGIN + 38, 1780), 38, 38), WHITE)
    scene.canvas.fill([(MARGIN + 27, 1760), (MARGIN + 27, 1800), (MARGIN + 58, 1780)], scene.deep)
    name = fitted(scene.name or "", MEASURE - 110, 60, LABEL)
    write(scene.canvas, name, MARGIN + 100, 1755, WHITE)
