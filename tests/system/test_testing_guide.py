"""The recipes of `docs/testing.md`: quoted to the letter, and run as by somebody who has copied them."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import venv
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from docs_helpers import RECIPES
from servers import PATIENCE_SECONDS, ROOT, eventually, serving
from wheels import build_wheel, link_dependencies

from layers_standin.control.operations import operations
from layers_standin.settings import PREFIX, Settings

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "testing.md").read_text("utf-8")
LANGUAGES = {".py": "python", ".mjs": "js", ".cjs": "js", ".sh": "sh"}
NODE = shutil.which("node")
NODE_VERSION = (
    0 if NODE is None else int(subprocess.check_output([NODE, "--version"], encoding="utf-8")[1:].split(".")[0])
)

needs_node = pytest.mark.skipif(NODE_VERSION < 20, reason="needs node 20 or newer, which is not here")
OURS = ("layers_standin", "layers_standin.testing", "layers_standin.testing.pytest_plugin")
PYTEST = ("python", "-m", "pytest", "-W", "error", "-p", "no:cacheprovider")

# A project of the user's own, with modules of the names that ours have.
PROJECT = {
    "app.py": "MINE = True\n",
    "store.py": "MINE = True\n",
    "schemas.py": "MINE = True\n",
    "settings.py": "MINE = True\n",
    "tests/__init__.py": "",
    "tests/test_mine.py": """
import os, sys, app, schemas, settings, store, layers_standin as package

def test_mine(layers, layers_standin):
    assert app.MINE and store.MINE and schemas.MINE and settings.MINE and package.StandIn
    layers.call("POST", "/v1/projects", {"name": "Spring", "timezone": "UTC"})
    layers.requests.called("createProject", times=1)
    of_ours = os.path.dirname(package.__file__)
    ours = [name for name, module in sys.modules.items() if (getattr(module, "__file__", "") or "").startswith(of_ours)]
    assert {name.partition(".")[0] for name in ours} == {"layers_standin"}
    assert not {"flask", "httpx", "gunicorn", "tinydb"} & set(sys.modules)
    print("at", layers_standin.base_url)

test_mine_2 = test_mine_3 = test_mine_4 = test_mine
""",
    "tests/test_nothing.py": """
import sys

def test_nothing():
    print("", *sys.modules, sep="\\nmodule ")
""",
    "tests/test_slow.py": """
import pathlib, time

def test_slow(layers):
    pathlib.Path("url").write_text(layers.base_url)
    time.sleep(600)
""",
}


class Suite:
    """A user's project with an environment of its own, in which the wheel and pytest are installed."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.temporary = folder.parent / f"{folder.name} temporary"
        self.temporary.mkdir()

    def environment(self, **settings: str) -> dict[str, str]:
        strangers = ("STANDIN_", "LAYERS_", "PYTEST", "PYTHON", "PORT", "XDG_")
        own = {name: text for name, text in os.environ.items() if not name.startswith(strangers)}
        path = f"{self.programs}{os.pathsep}{own['PATH']}"
        return own | {"HOME": str(self.folder), "TMPDIR": str(self.temporary), "PATH": path} | settings

    def start(self, *command: str, **settings: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            executable=shutil.which(command[0], path=self.environment()["PATH"]),
            cwd=self.folder,
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def __call__(self, *command: str, code: int = 0, **settings: str) -> str:
        """Return what a command prints that ends with `code`; nothing that it has started is left then."""
        with self.start(*command, **settings) as process:
            try:
                printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        assert process.returncode == code, printed
        eventually(lambda: not self.left(), "the end of the stand-in")
        return printed

    def left(self) -> list[str]:
        """Return the folders of stand-ins; one is removed after the last process of its stand-in has ended."""
        return [path.name for path in self.temporary.glob("layers-stand-in-*")]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the programs of an environment into which pip has installed the wheel."""
    base = tmp_path_factory.mktemp("foreign")
    venv.create(base / "venv", with_pip=False, symlinks=True)
    (packages,) = (base / "venv").glob("lib/python*/site-packages")
    link_dependencies(packages, "layers-stand-in", "pytest", "pytest-xdist")
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    pip = ["-m", "pip", "--python", str(base / "venv/bin/python"), "--disable-pip-version-check", "install"]
    installed = subprocess.run(
        [sys.executable, *pip, "--no-index", "--no-deps", str(wheel)], capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    return base / "venv" / "bin"


@pytest.fixture
def suite(tmp_path: Path, programs: Path) -> Suite:
    """A project that has copied the recipes."""
    shutil.copytree(RECIPES, tmp_path / "suite", ignore=shutil.ignore_patterns("__pycache__"))
    return Suite(tmp_path / "suite", programs)


@pytest.fixture
def project(tmp_path: Path, programs: Path) -> Suite:
    """A project with modules of its own."""
    for name, text in PROJECT.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return Suite(tmp_path / "project", programs)


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


def test_the_recipes_of_pytest_pass(suite):
    recipes = ["test_layers.py", "test_webhooks.py"]
    report = suite(*PYTEST, *recipes)
    assert f"{sum(count(name, r'^def test_') for name in recipes)} passed" in report


def test_ten_lines_are_enough_beside_a_running_stand_in(suite, tmp_path):
    assert count("test_in_ten_lines.py", r"^.*\S") <= 10
    with serving(tmp_path / "store", STANDIN_SYNC="never") as server:
        report = suite(*PYTEST, "test_in_ten_lines.py", LAYERS_STANDIN_URL=server.url)
    assert "1 passed" in report


@needs_node
def test_the_javascript_recipe_passes(suite):
    (command,) = re.findall(r"^\| Node \| .* \| `(.+)` \|$", GUIDE, re.MULTILINE)
    report = suite(*shlex.split(command))
    assert re.search(rf"^\S pass {count('layers.test.mjs', '^test[(]')}$", report, re.MULTILINE), report


@needs_node
def test_the_javascript_recipe_says_which_program_it_lacks(suite):
    report = suite("node", "--test", "layers.test.mjs", code=1, LAYERS_STANDIN="no-such-program")
    assert "no-such-program cannot be started" in report
    assert "say in LAYERS_STANDIN what starts it." in report


@pytest.mark.skipif(shutil.which("curl") is None, reason="the shell recipe asks with curl, which is not here")
def test_the_shell_recipe_goes_all_the_way(suite):
    assert suite("sh", "layers.sh").endswith("All as it should be.\n")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([*PYTEST, "-n", "0", "test_layers.py"], id="pytest"),
        pytest.param([*PYTEST, "-n", "2", "test_layers.py"], id="xdist"),
        pytest.param(["node", "--test", "layers.test.mjs"], id="node", marks=needs_node),
        pytest.param(["sh", "layers.sh"], id="sh"),
    ],
)
def test_a_recipe_says_why_its_stand_in_does_not_start(suite, command):
    report = suite(*command, code=1, STANDIN_DATE="2026-04-18")
    assert "There is no setting STANDIN_DATE; did you mean STANDIN_DATA" in report


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_project_has_one_stand_in_for_all_processes_and_no_other_module_of_ours(project, processes):
    report = project(*PYTEST, "-n", processes, "--dist", "each", "-rP", "tests/test_mine.py")
    assert f"{4 * (int(processes) or 1)} passed" in report
    assert len(set(re.findall(r"^at (\S+)$", report, re.MULTILINE))) == 1


def test_a_project_that_asks_for_no_stand_in_has_nothing_of_it_but_the_plugin(project):
    def loaded(*options: str) -> set[str]:
        printed = project(*PYTEST, "-s", *options, "tests/test_nothing.py")
        return set(re.findall(r"^module (\S+)$", printed, re.MULTILINE))

    assert loaded() - loaded("-p", "no:layers_standin") == set(OURS)


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGKILL, "0"), (signal.SIGKILL, "2"), (signal.SIGINT, "0")])
def test_the_stand_in_ends_with_the_test_run_however_that_ends(project, processes, number):
    with project.start(*PYTEST, "-n", processes, "tests/test_slow.py") as process:
        url = eventually(lambda: (found := project.folder / "url").exists() and found.read_text(), "the test")
        assert httpx.get(f"{url}/_standin/health", timeout=PATIENCE_SECONDS).status_code == 200
        process.send_signal(number)
        process.wait(PATIENCE_SECONDS)
        eventually(lambda: not project.left(), "the end of the stand-in")
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, timeout=PATIENCE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers of pytest-xdist, asleep in their test


@needs_node
def test_the_stand_in_of_node_ends_with_it(suite):
    program = "require('./layers-standin.cjs').start().then((url) => console.log(url)); setInterval(() => {}, 1000)"
    with suite.start("node", "-e", program) as process:
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/_standin/health", timeout=PATIENCE_SECONDS).status_code == 200
        process.kill()
    eventually(lambda: not suite.left(), "the end of the stand-in")
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=PATIENCE_SECONDS)


def test_the_url_and_the_token_of_a_running_stand_in_are_taken(project, tmp_path):
    token = "a-token-of-16-letters-or-more"
    with serving(tmp_path / "store", STANDIN_SYNC="never", STANDIN_CONTROL=token, STANDIN_SEED="none") as server:
        known = {"LAYERS_STANDIN_URL": server.url, "LAYERS_STANDIN_TOKEN": token}
        report = project(*PYTEST, "-rP", "tests/test_mine.py", **known)
        assert f"at {server.url}\n" in report
        headers = {"Authorization": f"Bearer {token}"}
        left = httpx.get(f"{server.url}/_standin/organizations", headers=headers, timeout=PATIENCE_SECONDS).json()
        assert left == {"items": []}
        refused = project(*PYTEST, "tests/test_mine.py", code=1, LAYERS_STANDIN_URL=server.url)
        assert "Missing or invalid control token." in refused
    nobody = project(*PYTEST, "tests/test_mine.py", code=1, LAYERS_STANDIN_URL="http://127.0.0.1:9")
    assert "There is no stand-in at http://127.0.0.1:9" in nobody
