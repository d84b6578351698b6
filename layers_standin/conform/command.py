"""The command `conform`, from its options to its exit code."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import SplitResult, urlsplit

import click
import httpx
import orjson

from layers_standin.conform.check import BILLED
from layers_standin.conform.checks import reading, writing
from layers_standin.conform.client import TIMEOUT_SECONDS, Client
from layers_standin.conform.document import operations_of
from layers_standin.conform.report import as_json, as_text
from layers_standin.conform.run import Plan, Report, Run, Unusable
from layers_standin.services import is_loopback
from layers_standin.web.logs.output import redacted

CANNOT_BE_ASKED = 2


class Output(NamedTuple):
    """Where the report goes: a file or - for its JSON, None for none; and a key that must not be in it."""

    json: str | None
    key: str

    def safe(self, text: str) -> str:
        return redacted(text.replace(self.key, "<key>"))


def conform(base_url: str, key: str, plan: Plan, json: str | None, document: Mapping[str, Any]) -> int:
    """Ask a server, and print the report; return the exit code."""
    output = Output(json, key)
    base_url = _checked(base_url, key, plan, json, document)
    click.echo(" ".join(_beforehand(plan, document)), err=True)
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as http:
        run = Run(Client(http, key, _wait), base_url, document, plan)
        try:
            report = run.report()
        except Unusable as error:
            _fail(output.safe(str(error)))
        except KeyboardInterrupt:
            for each in run.remains:
                click.echo(f"Remains on the server: {output.safe(each)}.", err=True)
            raise
    _print(report, output)
    return report.exit_code


def _wait(seconds: float) -> None:
    click.echo(f"Waiting {seconds:.0f} s, as the rate limit asks.", err=True)
    time.sleep(seconds)


def _print(report: Report, output: Output) -> None:
    text = output.safe("\n".join(as_text(report)))
    if output.json is None:
        click.echo(text)
        return
    found = output.safe(orjson.dumps(as_json(report), option=orjson.OPT_INDENT_2).decode())
    if output.json == "-":
        click.echo(found)
        return
    click.echo(text)
    try:
        Path(output.json).write_text(f"{found}\n", "utf-8")
    except OSError as error:
        _fail(f"{output.json} cannot be written: {error.strerror}.")


def _checked(base_url: str, key: str, plan: Plan, json: str | None, document: Mapping[str, Any]) -> str:
    """Return the URL of the server without a path of ours; exit with a sentence when an option makes no sense."""
    url = _split(base_url)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        _fail("--base-url must be a URL like https://api.example.com.")
    if not (key.isascii() and key.isprintable() and key.strip() == key and key):
        _fail("--key must be an API key, like lp_test_….")
    if url.scheme == "http" and key.startswith("lp_live_") and not is_loopback(url.hostname):
        _fail("A live key is not sent in clear text: --base-url must begin with https://.")
    if plan.credits and not plan.write:
        _fail("--credits goes with --write.")
    names = _names(document)
    if json not in (None, "-") and not Path(json).absolute().parent.is_dir():
        _fail(f"--json {json} cannot be written: there is no such folder.")
    for wanted in plan.only:
        if not Plan(only=(wanted,)).wants(names):
            _fail(f"--only {wanted} is no check, operation or group: try --only patchInfluencer, or --only 'get*'.")
    return base_url.rstrip("/").removesuffix("/v1")


def _split(url: str) -> SplitResult:
    """Return the parts of a URL, no scheme where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _names(document: Mapping[str, Any]) -> set[str]:
    told = [each for each in operations_of(document) if not each.is_control]
    checks = {check.name for check in [*reading(told), *writing(told)]}
    return checks | {each.id for each in told} | {each.tag for each in told} | {"every response", "every error", "form"}


def _beforehand(plan: Plan, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is about to be done, and what of it may cost."""
    told = [each for each in operations_of(document) if not each.is_control]
    number = 1 + len(reading(told)) + (len(writing(told)) if plan.write else 0)
    if not plan.write:
        yield f"At most {number} requests, all with GET: nothing is changed, no credits are spent."
        return
    yield f"At most {number} requests, those of a rate limit apart, and a few to clean up."
    yield "A project is made, with two influencers and three files in it, then archived again."
    price = BILLED["generateContent"]
    billed = f"One call is billed: a slideshow, {price} credits, which is canceled at once." if plan.credits else ""
    yield billed or "No call is made that has a price in the list of GET /v1/credits."


def _fail(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    raise SystemExit(CANNOT_BE_ASKED)
