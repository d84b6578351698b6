"""Make the clip of `layers_standin/slides/`: four seconds of a landscape. Run it from anywhere; it needs ffmpeg.

The same Pillow and the same ffmpeg give the same bytes, so a second run changes no file.
"""

import subprocess
import sys
from math import cos, pi, sin
from pathlib import Path

from PIL import Image

# as in draw_pictures.py
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from layers_standin.portraits.canvas import Canvas
from layers_standin.portraits.palette import WHITE, Colour, hexed, mix
from layers_standin.portraits.shapes import Path as Outline
from layers_standin.portraits.shapes import ellipse
from layers_standin.slides.formats import CLIP
from layers_standin.slides.lettering import Block, rounded, write

FRAMES_PER_SECOND = 24
FRAMES = CLIP.duration_ms * FRAMES_PER_SECOND // 1000
SKY, HAZE, SUN, DEEP = map(hexed, ("ffe3c4", "f6a98b", "fff3dc", "2f2a4a"))
# far to near: height and depth of the waves in px, how many there are, how many pass by, how deep the colour
HILLS = ((760, 50, 1, 1, 0.15), (880, 70, 2, 1, 0.4), (1020, 60, 1, 2, 0.65), (1150, 40, 2, 3, 0.9))
MARGIN = 56
# three notes of a quiet chord, which swells and fades
TONES = "+".join(f"0.05*sin(2*PI*{hertz}*t)" for hertz in (220, 277.18, 329.63))
SECONDS = CLIP.duration_ms / 1000
FFMPEG = f"""ffmpeg -loglevel error -y
-f rawvideo -pix_fmt rgb24 -s {CLIP.width}x{CLIP.height} -r {FRAMES_PER_SECOND} -i -
-f lavfi -i aevalsrc={TONES}:d={SECONDS}:s=44100,afade=d=1,afade=out:st={SECONDS - 1.5}:d=1.5
-c:v libx264 -profile:v baseline -level 3.1 -pix_fmt yuv420p -crf 25 -preset slow -threads 1 -c:a aac -b:a 64k
-shortest -map_metadata -1 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -movflags +faststart"""


def hill(height: float, depth: float, waves: int, passing: int, turn: float) -> Outline:
    """Return the outline of a hill; `turn` is the part of the clip that has passed, 0 to 1."""
    steps = range(0, CLIP.width + 1, 8)
    crest = [(x, height + depth * sin(2 * pi * (waves * x / CLIP.width / 1.5 + passing * turn))) for x in steps]
    return [*crest, (CLIP.width, CLIP.height), (0, CLIP.height)]


def draw_frame(index: int) -> Image.Image:
    """Draw a frame; the last leads back to the first."""
    turn = index / FRAMES
    canvas = Canvas(Image.new("RGB", (2 * CLIP.width, 2 * CLIP.height)), 2)
    draw_sky(canvas, turn)
    for height, depth, waves, passing, share in HILLS:
        canvas.fill(hill(height, depth, waves, passing, turn), mix(HAZE, DEEP, share))
    draw_signs(canvas, index, DEEP)
    return canvas.image.reduce(2)


def draw_sky(canvas: Canvas, turn: float) -> None:
    """Draw the sky and a sun that goes up and down."""
    image = canvas.image
    image.paste(SKY, (0, 0, *image.size))
    image.paste(HAZE, (0, 0, *image.size), Image.linear_gradient("L").resize(image.size))
    y = 560 + 70 * cos(2 * pi * turn)
    canvas.fill(ellipse((360, y), 190, 190), SUN, 0.35)
    canvas.fill(ellipse((360, y), 150, 150), SUN)


def draw_signs(canvas: Canvas, index: int, colour: Colour) -> None:
    """Draw how much of the clip has passed, as a bar and in seconds."""
    right = CLIP.width - MARGIN
    passed = MARGIN + (right - MARGIN) * (index + 1) / FRAMES
    canvas.fill(rounded(MARGIN, 60, right, 68, 4), colour, 0.2)
    canvas.fill(rounded(MARGIN, 60, passed, 68, 4), colour, 0.9)
    write(canvas, Block(["Sample clip"], 64, False), MARGIN, 100, colour)
    write(canvas, Block([f"0:0{index // FRAMES_PER_SECOND}"], 34, False), MARGIN, 1180, WHITE)


def main() -> None:
    """Draw the frames and hand each to ffmpeg."""
    command = [*FFMPEG.split(), str(CLIP.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:  # noqa: S603 - nothing of it comes from outside
        for index in range(FRAMES):
            ffmpeg.stdin.write(draw_frame(index).tobytes())
    sys.exit(ffmpeg.returncode)


if __name__ == "__main__":
    main()
