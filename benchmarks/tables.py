"""Formatting of numbers, and of Markdown tables."""

from collections.abc import Iterable, Sequence
from statistics import median


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its first column aligned left and all others right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(row(cells) for cells in (head, rule, *rows))


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Format with three significant digits and separated thousands: 0.123, 1.23, 12.3, 123, 1,234."""
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def megabytes(size_bytes: float) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"


def least(values: Sequence[float], unit: str = "") -> str:
    """Return `minimum (to maximum)`, with `unit` behind the minimum."""
    return f"{number(min(values))}{unit} (to {number(max(values))})"


def at_most(name: str, value: float, limit: float) -> str:
    """Say whether a value meets its target: `name ≤ limit: met`."""
    return f"{name} ≤ {limit:g}: {_MET[value <= limit]}"


def at_least(name: str, value: float, limit: float) -> str:
    return f"{name} ≥ {limit:g}: {_MET[value >= limit]}"


_MET = ("**missed**", "met")


def spread(values: Sequence[float], unit: str = "") -> str:
    """Return `median (minimum to maximum)`, with `unit` behind the median."""
    return f"{number(median(values))}{unit} ({number(min(values))} to {number(max(values))})"


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
