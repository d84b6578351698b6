"""Paths: lists of points (x, y) in figure units, x to the right and y down."""

from collections.abc import Callable
from math import cos, hypot, pi, sin, sqrt

Point = tuple[float, float]
Path = list[Point]

STEPS = 10  # straight pieces per curve segment; more is not seen at 640 px


def mirrored(right: Path) -> Path:
    """Close a right half, which starts and ends on the axis x = 0, with its reflection."""
    return right + [(-x, y) for x, y in reversed(right[1:-1])]


def flipped(path: Path) -> Path:
    """Return `path` reflected in the axis x = 0."""
    return [(-x, y) for x, y in path]


def moved(path: Path, dx: float, dy: float) -> Path:
    """Return `path` shifted by (dx, dy)."""
    return [(x + dx, y + dy) for x, y in path]


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    """Catmull-Rom: the value at t (0 to 1) on the way from b to c, with neighbours a and d."""
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _segment(a: Point, b: Point, c: Point, d: Point) -> Path:
    """Return the points of the curve from b up to, without, c."""
    steps = [step / STEPS for step in range(STEPS)]
    return [(_between(a[0], b[0], c[0], d[0], t), _between(a[1], b[1], c[1], d[1], t)) for t in steps]


def closed(points: Path) -> Path:
    """Return the smooth closed curve through `points`; a point given twice is a corner."""
    count = len(points)
    around = [[points[(i + k) % count] for k in (-1, 0, 1, 2)] for i in range(count)]
    return [point for four in around for point in _segment(*four)]


def opened(points: Path) -> Path:
    """Return the smooth curve through `points` from first to last."""
    ends = [points[0], *points, points[-1]]
    pieces = [_segment(*ends[i : i + 4]) for i in range(len(points) - 1)]
    return [point for piece in pieces for point in piece] + [points[-1]]


def ellipse(centre: Point, rx: float, ry: float) -> Path:
    """Return an ellipse of radii `rx`, `ry`."""
    angles = [2 * pi * step / 48 for step in range(48)]
    return [(centre[0] + rx * cos(a), centre[1] + ry * sin(a)) for a in angles]


def swelling(t: float) -> float:
    """Width of a brush stroke at t (0 to 1): pointed at both ends."""
    return sqrt(max(0.0, sin(pi * t)))


def thinning(t: float) -> float:
    """Width of a stroke that starts full and ends in a point."""
    return sqrt(1 - t)


def even(_t: float) -> float:
    """Width of a stroke that is the same everywhere."""
    return 1.0


def _normal(before: Point, after: Point) -> Point:
    """Return the unit vector square to the way from `before` to `after`."""
    dx, dy = after[0] - before[0], after[1] - before[1]
    length = hypot(dx, dy) or 1.0
    return -dy / length, dx / length


def stroke(points: Path, width: float, profile: Callable[[float], float] = swelling) -> Path:
    """Return the outline of a brush stroke along the smooth curve through `points`."""
    line = opened(points)
    last = len(line) - 1
    left, right = [], []
    for i, (x, y) in enumerate(line):
        nx, ny = _normal(line[max(i - 1, 0)], line[min(i + 1, last)])
        half = profile(i / last) * width / 2
        left.append((x + nx * half, y + ny * half))
        right.append((x - nx * half, y - ny * half))
    return left + right[::-1]
