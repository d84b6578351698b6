"""Two servers under load in turn, and the table that says how they compare."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import NamedTuple, Protocol

from benchmarks.load import Asked, Load, Round
from benchmarks.servers import Server
from benchmarks.tables import number, row, spread

_SIDE = ("requests/s", "p50", "p99", "CPU each")
HEAD = ("operation", "influencers", *_SIDE, "against", *_SIDE, "requests/s, of that", "CPU, of that")

_MOST_REPEATS = 10


class Side(NamedTuple):
    """One of the two: a load, and the server it is for."""

    server: Server
    load: Load

    def measure(self) -> Round:
        """Load the server until a run has kept all of its workers busy."""
        for repeats in range(_MOST_REPEATS):
            before = self.server.busy_seconds()
            seen = self.load.run(self.server.url)
            busy = [after - start for after, start in zip(self.server.busy_seconds(), before, strict=True)]
            seen = seen._replace(repeats=repeats, cpu=sum(busy) / seen.requests * 1000 if busy else None)
            if not busy or min(busy[1:]) > sum(busy) * 0.05:
                return seen
        return seen


class Measured(Protocol):
    """What can be loaded for a round."""

    def measure(self) -> Round: ...


class Pair(NamedTuple):
    """One round: what became of both."""

    ours: Round
    other: Round

    @property
    def ratio(self) -> float:
        return self.ours.per_second / self.other.per_second

    @property
    def cpu_ratio(self) -> float | None:
        """Return how much processor time our answers take, of that of the others; None where nobody tells."""
        return self.ours.cpu / self.other.cpu if self.ours.cpu and self.other.cpu else None


class Bench:
    """Compares two sides in `rounds` rounds of `seconds` each, prints a line of the table, and remembers the rounds."""

    def __init__(self, folder: Path, rounds: int, seconds: int) -> None:
        self.folder = folder
        self._rounds, self._seconds = rounds, seconds
        self._done: list[Pair] = []

    def load(self, asked: Asked) -> Load:
        """Return a load that asks this, its files in a new folder."""
        return Load(Path(mkdtemp(prefix="load-", dir=self.folder)), asked, self._seconds)

    def compare(self, title: str, size: str, ours: Measured, against: str, other: Measured) -> None:
        pairs = list(self._measure(ours, other))
        cells = _cells([pair.ours for pair in pairs]), _cells([pair.other for pair in pairs])
        ratios = spread([pair.ratio * 100 for pair in pairs], " %")
        cpu = _told([pair.cpu_ratio and pair.cpu_ratio * 100 for pair in pairs], " %")
        print(row((title, size, *cells[0], against, *cells[1], ratios, cpu)), flush=True)
        self._done += pairs

    def repeats(self) -> str:
        """Return how many runs were thrown away, as a sentence."""
        ours, other = sum(pair.ours.repeats for pair in self._done), sum(pair.other.repeats for pair in self._done)
        return (
            f"Repeated because one worker had accepted every connection: {ours} runs on the left, {other} on the right."
        )

    def _measure(self, ours: Measured, other: Measured) -> Iterator[Pair]:
        """Load both in turn, the one that goes first changing, after one round to warm up."""
        ours.measure(), other.measure()
        for number_of_round in range(self._rounds):
            both = (ours, other) if number_of_round % 2 else (other, ours)
            seen = {side: side.measure() for side in both}
            yield Pair(seen[ours], seen[other])


def _cells(rounds: list[Round]) -> list[str]:
    p50, p99 = median(each.p50 for each in rounds), median(each.p99 for each in rounds)
    per_second, cpu = spread([each.per_second for each in rounds]), _told([each.cpu for each in rounds], " ms")
    return [per_second, f"{number(p50)} ms", f"{number(p99)} ms", cpu]


def _told(values: list[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    return spread(known, unit) if known else ""
