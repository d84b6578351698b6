"""The picture of the table of peers: requests a second by number of influencers, on logarithmic scales."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import chain
from math import ceil, floor, log10

Line = Sequence[tuple[int, float]]  # of (influencers, requests/s)

_WIDTH, _HEIGHT, _TOP, _LEFT, _GAP = 300, 280, 64, 60, 70
_LIGHT = ("#0550ae", "#6e7781", "#953800", "#8250df", "#116329")
_DARK = ("#79c0ff", "#8b949e", "#ffa657", "#d2a8ff", "#7ee787")
_DASHES = ("", "2 3", "8 3", "8 3 2 3", "4 4")


def chart(panels: Mapping[str, Mapping[str, Line]], description: str) -> str:
    """Return an SVG with a panel of lines for each operation, which all have the same names, scales and colours."""
    points = list(chain.from_iterable(chain.from_iterable(lines.values()) for lines in panels.values()))
    (x_min, x_max), (y_min, y_max) = (_decades(values) for values in zip(*points, strict=True))
    names = list(dict.fromkeys(chain.from_iterable(panels.values())))
    bottom = _TOP + _HEIGHT
    width, height = _LEFT + len(panels) * (_WIDTH + _GAP), bottom + 60 + 20 * ceil(len(names) / 2)

    def x_of(left: int, influencers: float) -> float:
        return left + (log10(influencers) - x_min) / (x_max - x_min) * _WIDTH

    def y_of(per_second: float) -> float:
        return bottom - (log10(per_second) - y_min) / (y_max - y_min) * _HEIGHT

    def panel(left: int, title: str, lines: Mapping[str, Line]) -> Iterator[str]:
        yield _text(left, _TOP - 14, f"{title}, requests/s", "class='title'")
        for power in range(y_min, y_max + 1):
            y = y_of(10**power)
            yield f"<path class='grid' d='M{left} {y:.1f}h{_WIDTH}'/>"
            yield _text(left - 8, y + 4, f"{10**power:,.{max(0, -power)}f}", "text-anchor='end'")
        for power in range(x_min, x_max + 1):
            yield _text(x_of(left, 10**power), bottom + 20, f"{10**power:,}", "text-anchor='middle'")
        for name, line in lines.items():
            spots = [(x_of(left, influencers), y_of(per_second)) for influencers, per_second in line]
            yield _line(names.index(name), spots)

    def legend() -> Iterator[str]:
        for index, name in enumerate(names):
            x, y = _LEFT + index % 2 * (_WIDTH + _GAP), bottom + 56 + index // 2 * 20
            yield _line(index, [(x, y - 4), (x + 30, y - 4)]) + _text(x + 40, y, name)

    body = chain(
        [_text(_LEFT, 24, "By number of influencers", "class='title'")],
        *(panel(_LEFT + at * (_WIDTH + _GAP), *each) for at, each in enumerate(panels.items())),
        legend(),
    )
    return "\n".join((
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img' aria-labelledby='t d'>",
        f"<title id='t'>Requests a second by number of influencers</title><desc id='d'>{escape(description)}</desc>",
        f"<style>{_style()}</style><rect width='100%' height='100%'/>",
        *body,
        "</svg>\n",
    ))  # fmt: skip


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around all values."""
    low = floor(log10(min(values)))
    return low, max(low + 1, ceil(log10(max(values))))


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {attributes}>{escape(text)}</text>"


def _line(index: int, spots: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    dots = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5'/>" for x, y in spots)
    return f"<g class='line{index}'><polyline points='{path}'/>{dots}</g>"


def _style() -> str:
    def colours(lines: Sequence[str], ground: str, ink: str, grid: str) -> str:
        of_lines = "".join(f".line{index}{{stroke:{each};fill:{each}}}" for index, each in enumerate(lines))
        return f"rect{{fill:{ground}}}text{{fill:{ink}}}.grid{{stroke:{grid}}}{of_lines}"

    dashes = "".join(f".line{index} polyline{{stroke-dasharray:{each}}}" for index, each in enumerate(_DASHES) if each)
    return (
        "text{font:13px system-ui,sans-serif}.title{font-weight:600}"
        f"polyline{{fill:none;stroke-width:2}}.line0 polyline{{stroke-width:3.5}}{dashes}"
        f"{colours(_LIGHT, '#ffffff', '#1f2328', '#d1d9e0')}"
        f"@media(prefers-color-scheme:dark){{{colours(_DARK, '#0d1117', '#e6edf3', '#30363d')}}}"
    )
