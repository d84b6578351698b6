"""Draw the pictures of the seed into `data/pictures/`: four people and a logo. Run it from anywhere; it says nothing.

The same Pillow gives the same bytes, so a second run changes no file.
"""

import sys
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

# the project need not be installed to draw its pictures: a script's own folder is on the path, the root is not
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from layers_standin.portraits import Look, draw_look, look_of
from layers_standin.portraits.palette import THEMES, hexed

PICTURES = Path(__file__).resolve().parent / "pictures"

AVA = replace(
    look_of(
        "ava-chen",
        {
            "gender": "female",
            "ageRange": "25-34",
            "ethnicity": "East Asian",
            "hairColor": "black",
            "hairStyle": "long straight with curtain bangs",
            "style": "minimal streetwear",
            "vibe": "precise and energetic",
        },
    ),
    motif="sun",
    mouth="smile",
)
MARCUS = replace(
    look_of(
        "marcus-reed",
        {
            "gender": "male",
            "ageRange": "35-44",
            "ethnicity": "Black",
            "bodyType": "athletic",
            "hairColor": "black",
            "hairStyle": "short fade",
            "style": "tailored casual",
            "vibe": "calm authority",
        },
    ),
    motif="arch",
    beard="short",
)
NOOR = replace(
    look_of(
        "noor-haddad",
        {
            "gender": "female",
            "ageRange": "18-24",
            "ethnicity": "Middle Eastern",
            "hairColor": "dark brown",
            "hairStyle": "curly",
            "style": "bold colour",
            "vibe": "playful",
        },
    ),
    mouth="grin",
)
SOL = look_of(
    "sol-rivera",
    {
        "gender": "nonbinary",
        "ageRange": "25-34",
        "ethnicity": "Latine",
        "hairColor": "auburn",
        "hairStyle": "short wavy",
        "style": "vintage",
        "vibe": "dreamy",
    },
)
URBAN, ENERGY, ELEGANT = THEMES["urban"], THEMES["energy"], THEMES["elegant"]

# file -> what is drawn, and its side in px; a person's later pictures change all but face and hair
PORTRAITS: dict[str, tuple[Look, int]] = {
    "ava-01.jpg": (AVA, 640),
    "ava-02.jpg": (
        replace(
            AVA, theme=URBAN, motif="blobs", garment="hoodie", cloth=URBAN.cloths[1], under=URBAN.cloths[0], tilt=-4.0
        ),
        640,
    ),
    "ava-03.png": (
        replace(
            AVA, theme=ENERGY, motif="hills", garment="crew", cloth=ENERGY.cloths[1], scale=1.26, shift=-14, tilt=3.0
        ),
        512,
    ),
    "marcus-01.jpg": (MARCUS, 640),
    "marcus-02.png": (
        replace(
            MARCUS, theme=ELEGANT, motif="sun", garment="turtleneck", cloth=ELEGANT.cloths[0], scale=1.24, shift=14
        ),
        512,
    ),
    "noor-01.webp": (NOOR, 640),
    "sol-01.png": (SOL, 512),
}
# the logo's tiles: colour, column, row, and the corner of the tile (x, y) that is the middle of its quarter disc
TILES = (("e4572e", 0, 0, 1, 1), ("ffd166", 1, 0, 0, 0), ("23867b", 0, 1, 1, 1), ("3d4fa1", 1, 1, 0, 0))


def draw_logo(size: int = 512) -> Image.Image:
    """Draw four quarter discs on a transparent ground: RGBA, `size` px square."""
    image = Image.new("RGBA", (4 * size, 4 * size))  # drawn large and made small: smooth edges
    for colour, column, row, x, y in TILES:
        tile, corner = quarter_disc(colour, x, y, size * 3 // 2), size // 2
        image.paste(tile, (corner + column * tile.width, corner + row * tile.height))
    return image.resize((size, size), Image.Resampling.LANCZOS)


def quarter_disc(colour: str, x: int, y: int, side: int) -> Image.Image:
    """Draw a quarter disc whose middle is the corner (x, y), each 0 or 1, of a tile of `side` px."""
    tile = Image.new("RGBA", (side, side))
    middle = x * side, y * side
    ImageDraw.Draw(tile).circle(middle, side - 1, fill=hexed(colour))
    return tile


def save(picture: Image.Image, path: Path) -> None:
    """Write `picture` in the format that the name of `path` says, small enough to be kept in git."""
    if path.suffix == ".png" and picture.mode == "RGB":
        picture = picture.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1)
    picture.save(path, quality=86, optimize=True)


def main() -> None:
    """Draw every picture of the seed."""
    PICTURES.mkdir(exist_ok=True)
    for name, (look, size) in PORTRAITS.items():
        save(draw_look(look, size), PICTURES / name)
    save(draw_logo(), PICTURES / "brand-logo.png")


if __name__ == "__main__":
    main()
