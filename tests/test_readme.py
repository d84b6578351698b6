"""What the README shows is run, and what it says comes out comes out; its tables name what there is."""

import os
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from docs_helpers import EXAMPLE_URL, console_blocks, console_steps, exported, path_with_our_programs, settled
from servers import ROOT, serving

from app import operations
from layers_standin.control.operations import operations as control_operations
from layers_standin.control.schemas import Answer
from layers_standin.settings import PREFIX, Settings

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's calls are made with curl, which is not here")
def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    with serving(tmp_path / "data" / "store") as server:
        environment = os.environ | {"PATH": path_with_our_programs(), "HOME": str(tmp_path)}  # without a .curlrc
        for command, expected in (step for block in console_blocks(README) for step in console_steps(block)):
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


def test_the_first_command_starts_the_service_and_the_second_the_tests() -> None:
    first, second = re.findall(r"^    (python3 -m venv .+)$", README, re.MULTILINE)
    assert first == "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/gunicorn app:app"
    assert second == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


def test_the_test_in_ten_lines_is_the_one_that_is_run() -> None:
    assert f"```python\n{(ROOT / 'docs/recipes/test_in_ten_lines.py').read_text('utf-8')}```" in README


def test_what_the_readme_links_to_is_there() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", README) + re.findall(
        r"`((?:docs|examples|benchmarks|engines)/[\w./]+)`", README
    )
    assert len(linked) > 10
    assert [path for path in linked if not (ROOT / path).exists()] == []


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


def test_the_table_of_faults_tells_all_that_can_be_said_of_one() -> None:
    rows = re.search(r"^\| answer \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    assert rows is not None
    assert Answer().fields.keys() <= set(re.findall(r"`(\w+)`", rows[0]))


def test_the_settings_table_and_the_settings_are_the_same() -> None:
    told = set(re.findall(r"^\| `(STANDIN_\w+)` \|", README, re.MULTILINE))
    assert told == {PREFIX + field.name.upper() for field in fields(Settings)}
