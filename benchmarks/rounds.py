"""Load two servers in turn, and print a row of the table that compares them."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import NamedTuple, Protocol

from benchmarks.load import LoadGenerator, Round, Workload
from benchmarks.servers import Server
from benchmarks.tables import number, row, spread

_SIDE = ("requests/s", "p50", "p99", "CPU each")
HEAD = ("operation", "influencers", *_SIDE, "against", *_SIDE, "requests/s, of that", "CPU, of that")

_MAX_REPEATS = 10


class Side(NamedTuple):
    """One side of a comparison: a server, and the load generator for it."""

    server: Server
    generator: LoadGenerator

    def measure(self) -> Round:
        """Load the server, again if a run did not keep all of its workers busy; return the last result."""
        for repeats in range(_MAX_REPEATS):
            before = self.server.busy_seconds()
            result = self.generator.run(self.server.url)
            busy = [after - start for after, start in zip(self.server.busy_seconds(), before, strict=True)]
            result = result._replace(repeats=repeats, cpu=sum(busy) / result.requests * 1000 if busy else None)
            if not busy or min(busy[1:]) > sum(busy) * 0.05:
                return result
        return result


class Measurable(Protocol):
    """One server or several that can be loaded for a round."""

    def measure(self) -> Round: ...


class Pair(NamedTuple):
    """The results of both sides in one round."""

    ours: Round
    other: Round

    @property
    def ratio(self) -> float:
        return self.ours.per_second / self.other.per_second

    @property
    def cpu_ratio(self) -> float | None:
        """Return our processor time for each answer, divided by the other's; None where the system reports none."""
        return self.ours.cpu / self.other.cpu if self.ours.cpu and self.other.cpu else None


class Bench:
    """Compares two sides in `rounds` rounds of `seconds` each, and prints a row of the table; files go to `folder`."""

    def __init__(self, folder: Path, rounds: int, seconds: int) -> None:
        self.folder = folder
        self._rounds, self._seconds = rounds, seconds
        self._done: list[Pair] = []

    def generator(self, workload: Workload) -> LoadGenerator:
        """Return a load generator for a workload, with its files in a new folder."""
        return LoadGenerator(Path(mkdtemp(prefix="load-", dir=self.folder)), workload, self._seconds)

    def compare(self, title: str, size: str, ours: Measurable, against: str, other: Measurable) -> None:
        """Measure `ours` and `other`, and print a row of the table; `against` is the name of the other side."""
        pairs = list(self._measure(ours, other))
        cells = _cells([pair.ours for pair in pairs]), _cells([pair.other for pair in pairs])
        ratios = spread([pair.ratio * 100 for pair in pairs], " %")
        cpu = _spread_of_known([pair.cpu_ratio and pair.cpu_ratio * 100 for pair in pairs], " %")
        print(row((title, size, *cells[0], against, *cells[1], ratios, cpu)), flush=True)
        self._done += pairs

    def repeats(self) -> str:
        """Return a sentence with the number of discarded runs of each side."""
        ours, other = sum(pair.ours.repeats for pair in self._done), sum(pair.other.repeats for pair in self._done)
        return (
            f"Repeated because one worker had accepted every connection: {ours} runs on the left, {other} on the right."
        )

    def _measure(self, ours: Measurable, other: Measurable) -> Iterator[Pair]:
        """Yield the results of each round; the sides take turns to go first. One round before warms up."""
        ours.measure(), other.measure()
        for number_of_round in range(self._rounds):
            both = (ours, other) if number_of_round % 2 else (other, ours)
            results = {side: side.measure() for side in both}
            yield Pair(results[ours], results[other])


def _cells(rounds: list[Round]) -> list[str]:
    p50, p99 = median(each.p50 for each in rounds), median(each.p99 for each in rounds)
    per_second = spread([each.per_second for each in rounds])
    cpu = _spread_of_known([each.cpu for each in rounds], " ms")
    return [per_second, f"{number(p50)} ms", f"{number(p99)} ms", cpu]


def _spread_of_known(values: list[float | None], unit: str) -> str:
    known = [value for value in values if value is not None]
    return spread(known, unit) if known else ""
