"""The recipes of `docs/testing.md`: quoted to the letter, and run as by somebody who has copied them."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest
from docs_helpers import RECIPES, copy_recipes
from servers import PATIENCE_SECONDS, ROOT, environment, eventually, serving, together

from layers_standin.control.operations import operations
from layers_standin.settings import PREFIX, Settings

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "testing.md").read_text("utf-8")
LANGUAGES = {".py": "python", ".mjs": "js", ".sh": "sh"}
NODE = shutil.which("node")
NODE_VERSION = (
    0 if NODE is None else int(subprocess.check_output([NODE, "--version"], encoding="utf-8")[1:].split(".")[0])
)

Run = Callable[..., str]


@pytest.fixture
def suite(tmp_path: Path) -> Run:
    """A function that runs a command in a project that has copied the recipes, beside a clone of the stand-in."""
    clone, folder = tmp_path / "layers-stand-in", tmp_path / "suite"
    copy_recipes(clone, folder)
    return partial(run, folder)


def run(folder: Path, *command: str, **settings: str) -> str:
    """Return what a command prints that ends well, once every process it has started is gone."""
    strangers = ("STANDIN_", "LAYERS_", "PYTEST", "PORT")
    own = {name: text for name, text in environment(folder).items() if not name.startswith(strangers)}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=own | {"HOME": str(folder)} | settings,  # without a .curlrc
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
            eventually(lambda: not living(process.pid), f"the end of what {command} has started")
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, printed
    return printed


def living(group: int) -> list[str]:
    """Return the processes of a group, without those that are dead and wait to be noticed."""
    rows = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, encoding="utf-8", check=True).stdout
    return [row for row in rows.splitlines() if re.match(rf" *{group} +[^Z ]", row)]


def count(name: str, pattern: str) -> int:
    return len(re.findall(pattern, (RECIPES / name).read_text("utf-8"), re.MULTILINE))


def test_the_guide_quotes_every_recipe_whole_and_nothing_else() -> None:
    quoted = re.findall(r"^\[`recipes/(\S+)`\]\(recipes/\1\)\n\n```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    recipes = [path for path in RECIPES.iterdir() if path.suffix in LANGUAGES]
    assert {name: (language, text) for name, language, text in quoted} == {
        path.name: (LANGUAGES[path.suffix], path.read_text("utf-8")) for path in recipes
    }
    assert GUIDE.count("```") == 2 * len(quoted) == 2 * len(recipes)


def test_every_setting_and_route_that_the_guide_names_exists() -> None:
    settings = {PREFIX + field.name.upper() for field in fields(Settings)}
    routes = {operation.path.removesuffix("/<inbox>") for operation in operations}
    assert set(re.findall(r"\bSTANDIN_[A-Z_]+", GUIDE)) <= settings
    assert set(re.findall(r"/_standin(?:/\w+)+", GUIDE)) <= routes


def test_the_pytest_recipe_passes_in_several_processes_at_once(suite):
    pytest_alone = partial(suite, sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider")
    reports = together([partial(pytest_alone, "test_layers.py")] * 2)
    assert [f"{count('test_layers.py', r'^def test_')} passed" in report for report in reports] == [True, True]


def test_ten_lines_are_enough_beside_a_running_stand_in(suite, tmp_path):
    assert count("test_in_ten_lines.py", r"^.*\S") <= 10
    with serving(tmp_path / "store", STANDIN_SYNC="never") as server:
        report = suite(sys.executable, "-m", "pytest", "test_in_ten_lines.py", LAYERS_STANDIN_URL=server.url)
    assert "1 passed" in report


@pytest.mark.skipif(NODE_VERSION < 20, reason="the .mjs recipe is run by node 20 or newer, which is not here")
def test_the_javascript_recipe_passes(suite):
    (command,) = re.findall(r"^\| Node \| .* \| `(.+)` \|$", GUIDE, re.MULTILINE)
    report = suite(*shlex.split(command))
    assert re.search(rf"^\S pass {count('layers.test.mjs', '^test[(]')}$", report, re.MULTILINE), report


@pytest.mark.skipif(shutil.which("curl") is None, reason="the shell recipe asks with curl, which is not here")
def test_the_shell_recipe_goes_all_the_way(suite):
    assert suite("sh", "layers.sh").endswith("All as it should be.\n")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([sys.executable, "-m", "pytest", "test_layers.py"], id="pytest"),
        pytest.param(
            ["node", "--import", "./standin.mjs", "--test"],
            id="node",
            marks=pytest.mark.skipif(NODE_VERSION < 20, reason="needs node 20 or newer"),
        ),
        pytest.param(["sh", "layers.sh"], id="sh"),
    ],
)
def test_a_recipe_says_why_its_stand_in_does_not_start(suite, command):
    with pytest.raises(AssertionError, match="There is no setting STANDIN_DATE; did you mean STANDIN_DATA"):
        suite(*command, STANDIN_DATE="2026-04-18")
