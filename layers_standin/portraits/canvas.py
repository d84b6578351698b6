"""The canvas: a large picture, made small at the end so that edges are smooth."""

from dataclasses import dataclass, replace
from math import cos, radians, sin

from PIL import Image, ImageChops, ImageDraw

from layers_standin.portraits.palette import Colour
from layers_standin.portraits.shapes import Path, Point

UNITS = 512  # the side of the picture in figure units, whatever its pixels
OVERSAMPLING = 3
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Pose:
    """Where figure units land in the picture: scaled, turned about a pivot (degrees), moved."""

    origin: Point = (0.0, 0.0)
    scale: float = 1.0
    degrees: float = 0.0
    pivot: Point = (0.0, 0.0)

    def place(self, path: Path) -> Path:
        """Return where the points of `path` lie, in the 512 units of the picture."""
        (left, top), (at_x, at_y), scale = self.origin, self.pivot, self.scale
        c, s = cos(radians(self.degrees)), sin(radians(self.degrees))
        return [
            (
                left + scale * (c * (x - at_x) - s * (y - at_y) + at_x),
                top + scale * (s * (x - at_x) + c * (y - at_y) + at_y),
            )
            for x, y in path
        ]


@dataclass(frozen=True)
class Canvas:
    """A view on one picture: `posed` gives another view on the same picture."""

    image: Image.Image
    zoom: float
    pose: Pose = Pose()

    @classmethod
    def blank(cls, size: int) -> "Canvas":
        """Return a canvas whose `finished` picture will be `size` px square."""
        side = size * OVERSAMPLING
        return cls(Image.new("RGB", (side, side)), side / UNITS)

    def posed(self, pose: Pose) -> "Canvas":
        """Return a view on the same picture in another pose."""
        return replace(self, pose=pose)

    def pixels(self, path: Path) -> Path:
        """Return `path` in pixels of the large picture."""
        return [(x * self.zoom, y * self.zoom) for x, y in self.pose.place(path)]

    def fill(self, path: Path, colour: Colour, alpha: float = 1.0) -> None:
        """Paint the inside of `path`; alpha is 0 to 1."""
        ImageDraw.Draw(self.image, "RGBA").polygon(self.pixels(path), fill=(*colour, round(alpha * 255)))

    def shade(self, path: Path, within: Path, colour: Colour, alpha: float) -> None:
        """Paint the part of `path` that lies inside `within`."""
        one, other = self.pixels(path), self.pixels(within)
        box = _common_box(one, other)
        if box is not None:
            mask = ImageChops.darker(_mask(one, box, round(alpha * 255)), _mask(other, box, 255))
            self.image.paste(colour, box, mask)

    def glow(self, centre: Point, radius: float, colour: Colour, alpha: float) -> None:
        """Paint a round spot that fades to nothing at `radius`."""
        (x, y), reach = self.pixels([centre])[0], radius * self.zoom * self.pose.scale
        fade = Image.radial_gradient("L").point([round(alpha * max(0, 181 - v) / 181 * 255) for v in range(256)])
        # the gradient runs to the corners of its square: 181 is its value on the inscribed circle
        side = max(1, round(2 * reach))
        self.image.paste(colour, (round(x - reach), round(y - reach)), fade.resize((side, side)))

    def finished(self) -> Image.Image:
        """Return the picture at its real size, with smooth edges."""
        side = self.image.width // OVERSAMPLING
        return self.image.resize((side, side), Image.Resampling.LANCZOS)


def _bounds(points: Path) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of `points`."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _common_box(one: Path, other: Path) -> Box | None:
    """Return the pixels where both paths may lie, or None when they are apart."""
    a, b = _bounds(one), _bounds(other)
    box = int(max(a[0], b[0])), int(max(a[1], b[1])), int(min(a[2], b[2])) + 1, int(min(a[3], b[3])) + 1
    return box if box[0] < box[2] and box[1] < box[3] else None


def _mask(points: Path, box: Box, value: int) -> Image.Image:
    """Return the greys of `box`: `value` inside `points`, 0 outside."""
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in points], fill=value)
    return mask
