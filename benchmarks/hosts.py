"""One host beside two on the same database: each a gunicorn of its own, all on this machine."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from benchmarks.influencers import OPERATIONS, Filled
from benchmarks.load import Round
from benchmarks.rounds import Bench, Side
from benchmarks.servers import Server

MEASURED = ("get", "patch")


class Both(NamedTuple):
    """Two hosts that are loaded at the same time; what they do is added up, of their latencies the worse told."""

    one: Side
    other: Side

    def measure(self) -> Round:
        with ThreadPoolExecutor(2) as threads:
            one, other = threads.map(Side.measure, self)
        return Round(
            one.requests + other.requests,
            one.per_second + other.per_second,
            max(one.p50, other.p50),
            max(one.p99, other.p99),
            one.repeats + other.repeats,
            _together(one, other),
        )


def _together(one: Round, other: Round) -> float | None:
    """Return the processor time of an answer, whichever of two hosts gave it."""
    if one.cpu is None or other.cpu is None:
        return None
    return (one.cpu * one.requests + other.cpu * other.requests) / (one.requests + other.requests)


def compare_hosts(bench: Bench, store: Filled, second: Server) -> None:
    for name in MEASURED:
        operation = OPERATIONS[name]
        load, other = (bench.load(operation.asked(store.sample)) for _ in range(2))
        one = Side(store.server, load)
        bench.compare(
            f"{operation.title}, two hosts", f"{store.size:,}", Both(one, Side(second, other)), "one host", one
        )
