"""What the README shows is run, and what it says comes out comes out; its tables name what there is."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from servers import ROOT, serving

from app import operations
from control.operations import operations as control_operations
from settings import PREFIX, Settings

README = (ROOT / "README.md").read_text()
EXAMPLE_URL = "http://127.0.0.1:8000"

# What differs from run to run; the demo key is written out in full everywhere and does not.
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"req_[0-9A-Z]{26}"), "<request id>"),
    (re.compile(r"fault_[0-9A-Z]{26}"), "<fault id>"),
    (re.compile(r"lp_test_(?!DEM0)[0-9A-Z]{16}_[0-9A-Za-z_-]{43}"), "<key>"),
    (re.compile(r"\d+ bytes"), "<n> bytes"),
]


def console_steps() -> Iterator[tuple[str, str]]:
    """Yield (command, output) of every console block, in order."""
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = step.splitlines(keepends=True)
            size = 1 + next(i for i, line in enumerate(lines) if not line.endswith("\\\n"))
            yield "".join(lines[:size]), "".join(lines[size:])


def settled(text: str, url: str) -> str:
    text = text.replace(url, EXAMPLE_URL)
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text.rstrip("\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's calls are made with curl, which is not here")
def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    with serving(tmp_path / "data" / "store") as server:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        for command, expected in console_steps():
            if exported := re.fullmatch(r"export (\w+)=(\S+)\n", command):
                environment[exported[1]] = exported[2]
                continue
            ran = subprocess.run(
                ["sh", "-c", command.replace(EXAMPLE_URL, server.url)],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            printed = settled(ran.stdout + ran.stderr, server.url)
            assert (ran.returncode, printed) == (0, settled(expected, server.url)), command


def test_the_first_command_starts_the_service_and_the_second_the_tests() -> None:
    first, second = re.findall(r"^    (python3 -m venv .+)$", README, re.MULTILINE)
    assert first == "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/gunicorn app:app"
    assert second == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


def test_the_endpoint_table_and_the_operations_are_the_same() -> None:
    told = set(re.findall(r"^\| `(GET|POST|PATCH|DELETE|PUT) (/v1/\S+)` \| `?([^`|]+?)`? \|", README, re.MULTILINE))
    served = {(o.method, as_told(o.path), o.scope or "any key") for o in operations}
    assert told == served


def test_the_table_of_the_control_plane_and_its_operations_are_the_same() -> None:
    told = set()
    for row in re.findall(r"^\|.*/_standin/.*\|$", README, re.MULTILINE):
        methods = []
        for method, path in re.findall(r"`(GET|PUT|POST|DELETE)(?: (/_standin/\S+))?`", row):
            methods.append(method)
            if path:
                told |= {(each, path) for each in methods}
                methods = []
    assert told == {(operation.method, as_told(operation.path)) for operation in control_operations}


def as_told(path: str) -> str:
    """Return /v1/influencers/:influencerId for /v1/influencers/<influencer_id>."""
    return re.sub(r"<(\w+)>", lambda match: ":" + re.sub(r"_(\w)", lambda m: m[1].upper(), match[1]), path)


def test_the_settings_table_and_the_settings_are_the_same() -> None:
    told = set(re.findall(r"^\| `(STANDIN_\w+)` \|", README, re.MULTILINE))
    assert told == {PREFIX + field.name.upper() for field in fields(Settings)}
