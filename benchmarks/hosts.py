"""Compare two hosts on one database with one host: each is a gunicorn of its own, all on this machine."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from benchmarks.influencers import OPERATIONS, ServedStore
from benchmarks.load import Round
from benchmarks.rounds import Bench, Side
from benchmarks.servers import Server

MEASURED = ("get", "patch")


class HostPair(NamedTuple):
    """Two hosts that are loaded at the same time: rates are added up, and the worse latency counts."""

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
            _mean_cpu(one, other),
        )


def _mean_cpu(one: Round, other: Round) -> float | None:
    """Return the average processor time for each answer of two hosts; None where the system reports none."""
    if one.cpu is None or other.cpu is None:
        return None
    return (one.cpu * one.requests + other.cpu * other.requests) / (one.requests + other.requests)


def compare_hosts(bench: Bench, store: ServedStore, second: Server) -> None:
    """Measure each of MEASURED on `store` and `second` together, beside `store` alone; print a row for each."""
    for name in MEASURED:
        operation = OPERATIONS[name]
        generator, other = (bench.generator(operation.workload(store.sample)) for _ in range(2))
        one = Side(store.server, generator)
        bench.compare(
            f"{operation.title}, two hosts", f"{store.size:,}", HostPair(one, Side(second, other)), "one host", one
        )
