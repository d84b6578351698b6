"""What a run has found, for people and for machines."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from layers_standin.conform.check import GUESS
from layers_standin.conform.expectations import Difference
from layers_standin.conform.run import DIFFERS, PASSED, SKIPPED, Report, Result

_MAX_NAMES = 12


def differences_of(report: Report) -> dict[Difference, list[Result]]:
    """Return the checks in which each difference was seen: what is wrong everywhere is one difference."""
    found: dict[Difference, list[Result]] = defaultdict(list)
    for result in report.of(DIFFERS):
        for difference in result.differences:
            found[difference].append(result)
    return found


def as_json(report: Report) -> dict[str, Any]:
    return {
        "baseUrl": report.base_url,
        "organization": report.organization,
        "requests": report.requests,
        "counts": {outcome: len(report.of(outcome)) for outcome in (PASSED, DIFFERS, SKIPPED)},
        "remains": report.remains,
        "checks": [_as_json(result) for result in report.results],
    }


def _as_json(result: Result) -> dict[str, Any]:
    common = {"name": result.name, "source": result.source, "must": result.must, "outcome": result.outcome}
    if result.outcome == DIFFERS:
        return common | {"differences": [each._asdict() for each in result.differences], "requests": result.requests}
    return common | ({"why": result.why} if result.outcome == SKIPPED else {})


def as_text(report: Report) -> Iterator[str]:
    """Yield the lines of the report."""
    found = differences_of(report)
    if passed := report.of(PASSED):
        yield from _block("Passed", passed, _titles)
    if skipped := report.of(SKIPPED):
        yield from _block("Not tried", skipped, _reasons)
    if found:
        yield "Differs"
        for number, (difference, results) in enumerate(found.items(), 1):
            yield from _difference(number, difference, results)
        yield ""
    if report.remains:
        yield "Remains on the server"
        yield from (f"  {each}" for each in report.remains)
        yield ""
    counts = {"passed": len(report.of(PASSED)), "differ": len(report.of(DIFFERS)), "not tried": len(report.of(SKIPPED))}
    yield f"{', '.join(f'{count} {word}' for word, count in counts.items())}; {report.requests} requests."


def _block(title: str, results: list[Result], lines: Callable[[list[Result]], Iterator[str]]) -> Iterator[str]:
    yield title
    yield from (f"  {line}" for line in lines(results))
    yield ""


def _titles(results: list[Result]) -> Iterator[str]:
    """Yield a line for each operation: its name, and those of its checks."""
    by_operation: dict[str, list[str]] = defaultdict(list)
    for result in results:
        operation, _, title = result.name.partition(":")
        by_operation[operation] += [title] if title else []
    for operation, titles in by_operation.items():
        yield f"{operation}: {', '.join(titles)}" if titles else operation


def _reasons(results: list[Result]) -> Iterator[str]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for result in results:
        by_reason[result.why].append(result.name)
    for reason, names in by_reason.items():
        yield f"{reason}: {_some(names)}"


def _some(names: list[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _difference(number: int, difference: Difference, results: list[Result]) -> Iterator[str]:
    first = results[0]
    yield f"  {number}. {_some([result.name for result in results])}"
    yield f"     {first.must} ({'a guess of the stand-in' if first.source == GUESS else first.source})"
    yield f"     expected  {difference.expected}"
    yield f"     received  {difference.received}"
    yield f"     request   {first.requests[0]}"
    more = sum(len(result.requests) for result in results) - 1
    if more:
        yield f"               and {more} more"
