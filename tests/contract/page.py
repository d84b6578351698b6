"""The evidence as `docs/conformance.md`: a table a group, the same on every machine."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import getdoc

from contract.documented import DOCUMENT, OPERATIONS
from contract.gather import Evidence
from contract.in_process import crash
from contract.programs import is_fuzzed
from contract.refusals import PROVOCATIONS
from layers_standin.conform.document import Told
from layers_standin.openapi.errors import ERRORS

COMMAND = "python docs/conformance.py"

_ABOUT = f"""\
# Conformance

What of each operation is proven, and what is not. Written by `{COMMAND}` from what a service answers;
[`tests/contract/test_conformance.py`](../tests/contract/test_conformance.py) asks again, and fails when this page is
not what comes out. How it asks is beside it, in [`tests/contract/`](../tests/contract).

The contract is the OpenAPI document, `/openapi.json`. The service runs under gunicorn on a folder of its own, filled
with the seed, and is asked over sockets. What is refused only under other settings is asked of one that has them.

- **served**: the app has the route.
- **called by**: a program of this repository, run to its end; what it did with success is read in the access log.
  *(curl)* are the commands of a page for readers, *Schemathesis* is a fuzzer: what these call is read in the page and
  in the fuzzer's settings; `system/test_readme.py`, `system/test_tour.py` and `contract/test_schemathesis.py` run them.
  What needs node or a browser is run by `system/test_examples.py`, `system/test_testing_guide.py` and
  `console/test_console_browser.py` where there is one, and does not count here.
- **examples**: how many example bodies of the document were accepted; an operation without a body is asked once.
- **as told**: whether every response to all the requests of this page, of programs apart, had a status that is told for
  the operation, with the headers and the body that are told for the status.
  A request that was to be refused, and was answered otherwise, counts against it too.
- **replies**, **refusals**: how many of those that are told were seen. A refusal counts by its own schema, that is with
  its code and subcode, not by its status alone.
"""

_HOW = """\
## How each refusal is provoked

*Of* is how many operations are told to refuse so, *provoked* how many did.
"""

_LIMITS = """\
## Not proven here for any operation

- That the real API does the same. It was never asked: what it answers is known from its pages alone, and what they do
  not say is a guess, [listed in `guesses.md`](guesses.md). Who has a key can ask it: [`conform.md`](conform.md).
- What a reply means. That a change was made, and is still there after a crash, is held by the other tests; this page
  looks at the form of replies.
- Every form of a reply: an optional field, or one of several forms that are told, may never have been seen.
- That nothing but what is told can happen. Refusals are provoked one at a time, in one way or a few each.
- Times: how long the real API takes for anything, a job above all. Jobs take what `STANDIN_JOB_SECONDS` says.
- What the real API's models draw. Portraits are drawn from the description by rule, thumbnails from the pictures sent.
- A real 500: no request is known that causes one, so a bug is planted to see what is answered.
- Other machines: all requests come from this one, in clear text, and through no proxy; `system/test_proxy.py` has one.
"""


def conformance_page(evidence: Evidence) -> str:
    """Return the page in Markdown."""
    groups = [_group(tag, evidence) for tag in DOCUMENT["tags"]]
    return "\n".join([_ABOUT, *groups, _HOW, _provocations(evidence), _LIMITS])


def unproven(told: Told, evidence: Evidence) -> list[str]:
    """Return what of an operation there is no evidence for."""
    shown, accepted = evidence.answers.shown[told.id], evidence.answers.accepted[told.id]
    fault = {f"not as told: {each}" for each in evidence.answers.faults[told.id]}
    missing = [
        *([] if _is_served(told, evidence) else ["not served"]),
        *([] if accepted == len(told.bodies) else ["an example was refused"]),
        *sorted(fault),
        *(f"{status} never seen" for status in told.replies if status not in shown),
        *(f"{status} `{name}` never provoked" for name, status in told.refusals.items() if name not in shown),
        *(f"header `{name}` never seen" for name in sorted(told.headers - shown)),
    ]
    alone = [] if evidence.drivers.get(told.id) else ["no program calls it"]
    return missing + alone + ([] if is_fuzzed(told.id) else ["not fuzzed"])


_HEAD = ("operation", "served", "called by", "examples", "as told", "replies", "refusals", "not proven")


def _group(tag: dict[str, str], evidence: Evidence) -> str:
    rows = [_row(told, evidence) for told in OPERATIONS if told.tag == tag["name"]]
    return f"## {tag['name']}\n\n{tag['description']}\n\n{_table(_HEAD, rows)}"


def _row(told: Told, evidence: Evidence) -> list[str]:
    shown = evidence.answers.shown[told.id]
    return [
        f"`{told.id}`<br>`{told.method} {told.path}`",
        _yes(_is_served(told, evidence)),
        "<br>".join(_callers(told, evidence)) or "no",
        _of(evidence.answers.accepted[told.id], told.bodies),
        _yes(bool(shown) and not evidence.answers.faults[told.id]),
        _of(len(shown & set(told.replies)), told.replies),
        _of(len(shown & set(told.refusals)), told.refusals),
        "<br>".join(unproven(told, evidence)),
    ]


def _is_served(told: Told, evidence: Evidence) -> bool:
    return (told.method, told.path) in evidence.routes


def _callers(told: Told, evidence: Evidence) -> Iterator[str]:
    for name in evidence.drivers.get(told.id, []):
        path, _, how = name.partition(" ")
        yield f"`{path}` {how}".rstrip()
    if is_fuzzed(told.id):
        yield "Schemathesis"


def _provocations(evidence: Evidence) -> str:
    told = {name: [each for each in OPERATIONS if name in each.refusals] for name in ERRORS}
    rows = [_provocation(name, operations, evidence) for name, operations in told.items() if operations]
    return _table(("refusal", "status and code", "how", "of", "provoked"), sorted(rows, key=lambda row: row[1]))


def _provocation(name: str, operations: Sequence[Told], evidence: Evidence) -> list[str]:
    refusal = ERRORS[name]
    how: Callable[..., object] = crash if name == "Internal" else PROVOCATIONS[name]
    provoked = sum(name in evidence.answers.shown[told.id] for told in operations)
    code = f"{refusal.status} `{refusal.code}`"
    return [f"`{name}`", code, (getdoc(how) or "").rstrip("."), str(len(operations)), str(provoked)]


def _yes(fact: bool) -> str:
    return "yes" if fact else "**no**"


def _of(count: int, told: Sequence[object] | dict[str, str]) -> str:
    return f"{count} of {len(told)}" if count == len(told) else f"**{count} of {len(told)}**"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
