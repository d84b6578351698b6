"""Load servers in turn, and print rows of the table that compares two of them."""

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import NamedTuple, Protocol

from benchmarks.load import MARK, LoadFailed, LoadGenerator, Round, Workload, timed_one_by_one
from benchmarks.servers import Server, fetch
from benchmarks.tables import at_least, at_most, least, number, row, spread

_SIDE = ("CPU each", "requests/s", "p50", "p99")
HEAD = ("operation", "influencers", *_SIDE, "beside", *_SIDE, "CPU ÷ its", "requests/s ÷ its", "target")

_SLOW_SECONDS = 0.1  # for an answer; wrk would leave its connections' last requests to be answered in later rounds
_MAX_REPEATS = 10


class Side(NamedTuple):
    """One side of a comparison: a server, and the load generator for it."""

    server: Server
    generator: LoadGenerator

    def measure(self) -> Round:
        """Load the server, again if a run did not keep all of its workers busy; return the last result.

        Raises LoadFailed.
        """
        for repeats in range(_MAX_REPEATS):
            before = self.server.busy_seconds()
            result = self.generator.run(self.server.url)
            busy = self._busy_since(before)
            result = result._replace(repeats=repeats, cpu=_cpu(busy, result))
            if min(busy[1:], default=1) > sum(busy) * 0.05:
                return result
        return result

    def is_slow(self) -> bool:
        """Say whether each of three requests takes longer than _SLOW_SECONDS."""
        return min(map(self._time_request, range(3))) > _SLOW_SECONDS

    def _time_request(self, index: int) -> float:
        workload = self.generator.workload
        path, body = workload.requests[index % len(workload.requests)]
        body = body.replace(MARK, f"{time.perf_counter_ns() % 10**9:09}")  # as wrk does it: no two are alike
        started = time.perf_counter()
        fetch(self.server.port, workload.method, path, body.encode())
        return time.perf_counter() - started

    def _busy_since(self, before: dict[int, float]) -> list[float]:
        """Return the processor time of each process since then, the arbiter's first."""
        after = self.server.busy_seconds()
        if after.keys() != before.keys():
            raise LoadFailed(f"A process of {self.server.url} ended under load.")
        return [after[pid] - before[pid] for pid in before]


class SlowSide(Side):
    """A side with so few answers a round that its requests are sent one after the other, by this process."""

    def measure(self) -> Round:
        """Send requests until the time is over; at least one."""
        before, end, times = self.server.busy_seconds(), time.perf_counter() + self.generator.seconds, list[float]()
        while not times or time.perf_counter() < end:
            times.append(self._time_request(len(times)))
        result = timed_one_by_one(times)
        return result._replace(cpu=_cpu(self._busy_since(before), result))


class Measurable(Protocol):
    """One server or several that can be loaded for a round."""

    def measure(self) -> Round: ...


class Targets(NamedTuple):
    """Our ratios to the other side that are to be reached: processor time at most `cpu`, requests/s at least `rate`."""

    cpu: float | None = None
    rate: float | None = None


NO_TARGETS = Targets()


class Bench:
    """Measures servers in `rounds` rounds of `seconds` each, and prints rows of the table; files go to `folder`."""

    def __init__(self, folder: Path, rounds: int, seconds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.seconds = seconds
        self._repeats = [0, 0]

    def generator(self, workload: Workload) -> LoadGenerator:
        """Return a load generator for a workload, with its files in a new folder."""
        return LoadGenerator(Path(mkdtemp(prefix="load-", dir=self.folder)), workload, self.seconds)

    def compare(
        self, title: str, size: str, ours: Measurable, against: str, other: Measurable, targets: Targets = NO_TARGETS
    ) -> None:
        """Measure `ours` and `other`, and print a row of the table; `against` is the name of the other side."""
        our, its = self.measure([ours, other])
        self._repeats[0] += sum(each.repeats for each in our)
        self._repeats[1] += sum(each.repeats for each in its)
        print(row((title, size, *cells(our), against, *cells(its), *_ratios(our, its, targets))), flush=True)

    def measure(self, sides: Sequence[Measurable]) -> list[list[Round]]:
        """Return the results of each side by round; the sides take turns to go first. One round before warms up."""
        results: list[list[Round]] = [[] for _ in sides]
        for number_of_round in range(-1, self.rounds):
            first = number_of_round % len(sides)
            for index in (*range(first, len(sides)), *range(first)):
                results[index].append(sides[index].measure())
        return [each[1:] for each in results]

    def repeats(self) -> str:
        """Return a sentence with the number of discarded runs of each side."""
        ours, other = self._repeats
        return (
            f"Repeated because one worker had accepted every connection: {ours} runs on the left, {other} on the right."
        )


def cells(rounds: Sequence[Round]) -> list[str]:
    """Return the cells of a server: processor time for each answer, requests/s, and both latencies."""
    p50, p99 = median(each.p50 for each in rounds), median(each.p99 for each in rounds)
    cpu = [each.cpu for each in rounds if each.cpu is not None]
    per_second = spread([each.per_second for each in rounds])
    return [least(cpu, " ms") if cpu else "", per_second, f"{number(p50)} ms", f"{number(p99)} ms"]


def _ratios(ours: Sequence[Round], other: Sequence[Round], targets: Targets) -> list[str]:
    """Return the cells of both ratios and of their targets; that of processor times is of the least of each side."""
    pairs = list(zip(ours, other, strict=True))
    rates = [our.per_second / its.per_second for our, its in pairs]
    met = [] if targets.rate is None else [at_least("requests/s", median(rates), targets.rate)]
    cpu = [(our.cpu, its.cpu) for our, its in pairs if our.cpu and its.cpu]
    if not cpu:
        return ["", spread(rates), ", ".join(met)]
    of_least = min(our for our, _ in cpu) / min(its for _, its in cpu)
    of_rounds = [our / its for our, its in cpu]
    if targets.cpu is not None:
        met.insert(0, at_most("CPU", of_least, targets.cpu))
    text = f"{number(of_least)} ({number(min(of_rounds))} to {number(max(of_rounds))})"
    return [text, spread(rates), ", ".join(met)]


def _cpu(busy: Sequence[float], result: Round) -> float | None:
    """Return the milliseconds of processor time for each answer; None where the system reports none."""
    return sum(busy) / result.requests * 1000 if busy else None
