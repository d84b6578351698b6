"""What the pages show is run, and what they say comes out comes out; their tables name what there is, and all of it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import click
import pytest
from docs_helpers import EXAMPLE_URL, console_blocks, console_steps, exported, path_with_our_programs, settled
from servers import ROOT, serving

from app import operations
from layers_standin.cli import cli
from layers_standin.control.operations import operations as control_operations
from layers_standin.control.schemas import Answer
from layers_standin.openapi.errors import ERRORS
from layers_standin.settings import PREFIX, Settings
from layers_standin.web.errors import STATUS_OF_CODE
from layers_standin.web.limits import PER_MINUTE, WRITES_PER_DAY
from layers_standin.web.operations import Operation

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
WALKED_THROUGH_ELSEWHERE = ["tour.md"]  # by test_tour.py: it wants two terminals


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def by_name(path: Path) -> str:
    return path.name


# Commands and links


SHOWN = [
    each for each in PAGES if each.name not in WALKED_THROUGH_ELSEWHERE and console_blocks(each.read_text("utf-8"))
]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the calls of the pages are made with curl, which is not here")
@pytest.mark.parametrize("path", SHOWN, ids=by_name)
def test_every_command_prints_what_the_page_shows(path: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "data" / "store") as server:
        environment = os.environ | {
            "PATH": path_with_our_programs(),
            "HOME": str(tmp_path),  # without a .curlrc
            "STANDIN_DATA": str(server.folder),  # as in a checkout
        }
        for command, expected in (
            step for block in console_blocks(path.read_text("utf-8")) for step in console_steps(block)
        ):
            if new := exported(command):
                environment |= new
                continue
            ran = subprocess.run(
                ["sh", "-c", command.replace(EXAMPLE_URL, server.url)],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            printed = settled((ran.stdout + ran.stderr).replace(server.url, EXAMPLE_URL))
            assert (ran.returncode, printed) == (0, settled(expected)), command


def test_the_pages_that_show_commands_are_among_those_that_are_run() -> None:
    assert {"README.md", "control.md", "commands.md"} <= {path.name for path in SHOWN}


@pytest.mark.parametrize("path", [each for each in PAGES if each.name != "CHANGELOG.md"], ids=by_name)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert links


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_every_file_that_is_named_is_there(path: Path) -> None:
    roots = [ROOT, ROOT / "layers_standin", ROOT / "tests", DOCS]
    named = re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|md)|(?:[\w-]+/){2,})`", path.read_text("utf-8"))
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


# Tables


def table(name: str, first_column: str) -> list[list[str]]:
    """Return the cells of the table of a page whose first column has this name, without its head."""
    (rows,) = re.findall(rf"^\| {first_column} \|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", page(name), re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()]


def as_told(path: str) -> str:
    """Return /v1/influencers/:influencerId for /v1/influencers/<influencer_id>."""
    return re.sub(r"<(\w+)>", lambda match: ":" + re.sub(r"_(\w)", lambda m: m[1].upper(), match[1]), path)


def fields_as_told(operation: Operation) -> str:
    """Return the fields of a body or query, those that are required in bold."""
    schema = operation.query or operation.body
    told = {} if schema is None else schema.fields
    return ", ".join(f"**`{name}`**" if field.required else f"`{name}`" for name, field in told.items()) or "-"


def test_the_table_of_endpoints_and_the_operations_are_the_same() -> None:
    assert table("endpoints.md", "method and path") == [
        [
            f"`{each.method} {as_told(each.path)}`",
            "any key" if each.scope is None else f"`{each.scope}`",
            fields_as_told(each),
            str(each.success),
        ]
        for each in operations
    ]


def test_the_table_of_error_codes_and_their_statuses_are_the_same() -> None:
    told = [(code.strip("`"), int(status)) for code, status, *_ in table("errors.md", "code")]
    assert sorted(told) == sorted(STATUS_OF_CODE.items())


def test_the_table_of_subcodes_and_those_of_the_api_are_the_same() -> None:
    told = [subcode.strip("`") for subcode, _ in table("errors.md", "subcode")]
    assert sorted(told) == sorted(
        {each.details["subcode"] for each in ERRORS.values() if "subcode" in (each.details or {})}
    )


def test_the_table_of_rate_limits_and_the_tiers_are_the_same() -> None:
    head = re.search(r"^\| tier \|.*$", page("rate-limits.md"), re.MULTILINE)
    assert head is not None
    minute, day = re.findall(r"`([\w-]+)` a minute", head[0]), re.findall(r"`([\w-]+)` a day", head[0])
    told = {
        tier.strip("`"): [int(number.replace(",", "")) for number in numbers]
        for tier, *numbers in table("rate-limits.md", "tier")
    }
    assert day == ["write-light"]
    assert {tier: dict(zip(minute, numbers, strict=False)) for tier, numbers in told.items()} == PER_MINUTE
    assert {tier: numbers[len(minute) :] for tier, numbers in told.items()} == {
        tier: [number] for tier, number in WRITES_PER_DAY.items()
    }


def test_the_table_of_the_control_plane_and_its_operations_are_the_same() -> None:
    told = set()
    for row in re.findall(r"^\|.*`.*/_standin.*\|$", page("control.md"), re.MULTILINE):
        methods = []
        for method, path in re.findall(r"`(GET|PUT|POST|DELETE)(?: (/_standin\S*))?`", row):
            methods.append(method)
            if path:
                told |= {(each, path) for each in methods}
                methods = []
    assert told == {(operation.method, as_told(operation.path)) for operation in control_operations}


def test_the_table_of_faults_tells_all_that_can_be_said_of_one() -> None:
    rows = re.search(r"^\| answer \|.*?\n\n", page("control.md"), re.MULTILINE | re.DOTALL)
    assert rows is not None
    assert Answer().fields.keys() <= set(re.findall(r"`(\w+)`", rows[0]))


def test_the_table_of_settings_and_the_settings_are_the_same() -> None:
    told = set(re.findall(r"^\| `(STANDIN_\w+)` \|", page("settings.md"), re.MULTILINE))
    assert told == {PREFIX + field.name.upper() for field in fields(Settings)}


def test_the_table_of_commands_and_the_command_line_are_the_same() -> None:
    told = {command.strip("`"): set(re.findall(r"--[\w-]+", what)) for command, what in table("commands.md", "command")}
    assert told == dict(commands(cli, "layers-stand-in"))


def commands(command: click.Command, name: str) -> Iterator[tuple[str, set[str]]]:
    """Yield (command, options) of all that there are; `--data`, which all have, is told beside the table."""
    if isinstance(command, click.Group):
        inner: Mapping[str, click.Command] = command.commands
        for each, found in inner.items():
            yield from commands(found, f"{name} {each}")
    else:
        options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        assert "--data" in options
        yield name, options - {"--data"}
