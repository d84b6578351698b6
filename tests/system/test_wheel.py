"""The wheel, installed beside a project that has modules of the same names as ours: it serves, and touches none."""

import csv
import os
import re
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from conftest import AVA_PATH, DEMO
from packaging.requirements import Requirement
from servers import PATIENCE_SECONDS, ROOT, environment, eventually

from layers_standin.services import DEMO_KEY_ID

pytestmark = pytest.mark.slow

OURS = "layers_stand_in-"
CARRIED = ["app.py", "schemas.py", "store.py", "gunicorn.conf.py", "data/seed.json"]
ASSETS = ["py.typed", "console/static/console.css", "openapi/page/index.html", "slides/clip.mp4", "slides/OFL.txt"]

# Modules that a project may well have, and one of a package of ours; each tells when it is imported, and fails.
ON_PYTHONPATH = ["app", "store", "settings", "seed", "gunicorn.conf", "flask", "web/__init__", "click"]
INSTALLED = ["schemas", "seed", "store", "services", "engines/__init__", "application", "gunicorn.conf"]
IN_THE_FOLDER = ["app", "settings", "schemas", "gunicorn.conf", "orjson", "media/__init__", "marshmallow/__init__"]
DECOY = """
from pathlib import Path

with Path({witness!r}).open("a") as file:
    file.write({name!r} + "\\n")
raise RuntimeError({name!r})
"""


class Project(NamedTuple):
    """A user's environment and project: `modules` with what they hold, and the file in which they would tell of it."""

    python: Path
    folder: Path
    python_path: Path
    packages: Path
    witness: Path
    modules: dict[Path, str]

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {name: text for name, text in environment(self.folder, **settings).items() if name != "STANDIN_DATA"}
        home = {"HOME": str(self.folder.parent / "home"), "PYTHONPATH": str(self.python_path)}
        return {name: text for name, text in kept.items() if not name.startswith(("XDG_", "PYTHON"))} | home | settings

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python.parent / "layers-stand-in"), *arguments]

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def assert_untouched(self) -> None:
        """Check that the project's files are as they were, and that nobody has imported one."""
        assert {path: path.read_text("utf-8") for path in self.modules} == self.modules
        assert not self.witness.exists(), self.witness.read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert built.returncode == 0, built.stderr
    (path,) = folder.iterdir()
    return path


def needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Add a distribution and all that it needs to `found`, without any extra that is not asked for."""
    requirement = Requirement(name)
    if requirement.name not in found or requirement.extras:
        found[requirement.name] = held = distribution(requirement.name)
        for each in map(Requirement, held.requires or []):
            extras = ["", *requirement.extras]
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                needed(f"{each.name}[{','.join(each.extras)}]" if each.extras else each.name, found)
    return found


def link_dependencies(packages: Path) -> None:
    """Lend an environment what the wheel needs, and nothing else: no test needs the network."""
    found = needed("layers-stand-in", {})
    del found["layers-stand-in"]
    for held in found.values():
        for name in {file.parts[0] for file in held.files or () if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(str(held.locate_file(name)))
            if target.exists() and not (packages / name).exists():
                (packages / name).symlink_to(target)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Project:
    """A project with an environment of its own, into which pip has installed the wheel."""
    base = tmp_path_factory.mktemp("beside")
    venv.create(base / "venv", with_pip=True, symlinks=True)
    (packages,) = (base / "venv").glob("lib/python*/site-packages")
    folders = {base / "project": IN_THE_FOLDER, base / "src": ON_PYTHONPATH, packages: INSTALLED}
    witness, modules = base / "imported", {}
    for folder, names in folders.items():
        for name in names:
            path = folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            modules[path] = DECOY.format(witness=str(witness), name=f"{folder.name}/{name}")
            path.write_text(modules[path], "utf-8")
    link_dependencies(packages)
    (base / "home").mkdir()
    made = Project(base / "venv/bin/python", base / "project", base / "src", packages, witness, modules)
    install = ["-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    installed = subprocess.run([made.python, "-P", *install], cwd=base, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    return made


@contextmanager
def started(project: Project, *command: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command that serves from the project's folder; yield its process and all that it has said at its start."""
    log = project.folder.parent / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=project.folder, env=project.environment(**settings), stdout=out, stderr=out
        )

    def said() -> str | None:
        assert process.poll() is None, log.read_text("utf-8")
        text = log.read_text("utf-8")
        return text if "listens on " in text and text.endswith("\n") else None

    try:
        yield process, eventually(said, "the service to listen")
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def url_in(said: str) -> str:
    found = re.search(r"listens on (http://[\d.]+:\d+) ", said)
    assert found is not None
    return found[1]


def test_its_configuration_can_be_named_to_gunicorn_from_any_folder(project):
    application = project.packages / "layers_standin" / "_application"
    options = ["--chdir", str(application), "-c", str(application / "gunicorn.conf.py"), "--bind", "127.0.0.1:0"]
    command = [str(project.python), "-P", "-m", "gunicorn", *options, "app:app"]
    settings = {"STANDIN_DATA": str(project.folder.parent / "named"), "PYTHONPATH": ""}
    elsewhere = project._replace(folder=project.folder.parent / "empty")  # gunicorn itself imports from its folder
    elsewhere.folder.mkdir()
    with started(elsewhere, *command, **settings):
        pass
    project.assert_untouched()


def test_the_wheel_holds_one_package_with_the_application_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"layers_standin", "layers_stand_in"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    expected = {line for line in tracked.stdout.splitlines() if line.startswith("layers_standin/")}
    expected |= {f"layers_standin/{name}" for name in ASSETS}  # where there is no git
    pictures = {f"data/pictures/{path.name}" for path in (ROOT / "data/pictures").iterdir()}
    expected |= {f"layers_standin/_application/{name}" for name in pictures.union(CARRIED)}
    assert len(pictures) > 5
    assert expected <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_wheel_adds_one_command_and_none_to_flask(project):
    (folder,) = project.packages.glob(f"{OURS}*.dist-info")
    assert (folder / "entry_points.txt").read_text("utf-8").split() == [
        "[console_scripts]", "layers-stand-in", "=", "layers_standin.__main__:main",
    ]  # fmt: skip
    record = [Path(row[0]) for row in csv.reader((folder / "RECORD").read_text("utf-8").splitlines())]
    assert {path.parts[0] for path in record} == {"..", "layers_standin", folder.name}
    assert [path.name for path in record if path.parts[0] == ".."] == ["layers-stand-in"]


def test_an_import_of_the_package_brings_no_other_module_of_ours(project):
    program = "import sys; before = set(sys.modules); import layers_standin; print(*set(sys.modules) - before)"
    assert project.run(str(project.python), "-P", "-c", program).stdout == "layers_standin\n"
    project.assert_untouched()


@pytest.mark.parametrize("way", ["command", "serve", "module"])
def test_it_serves_from_the_folder_of_a_project_and_leaves_the_project_alone(project, tmp_path, way):
    data = tmp_path / "data of mine"
    options = ["--data", os.path.relpath(data, project.folder), "--port", "0", "--workers", "1"]
    command = {
        "command": project.command(*options),
        "serve": project.command("serve", *options),
        "module": [str(project.python), "-m", "layers_standin", *options],
    }[way]
    with started(project, *command) as (process, said):
        assert f"keeps its data in {data}.\n" in said
        url = url_in(said)
        patched = httpx.patch(url + AVA_PATH, headers=DEMO, json={"vibe": "travelled"}, timeout=PATIENCE_SECONDS)
        assert (patched.status_code, patched.json()["vibe"]) == (200, "travelled")
        pages = [httpx.get(url + path, timeout=PATIENCE_SECONDS).status_code for path in ("/console", "/docs")]
        assert pages == [200, 200]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    exported = project.run(*project.command("store", "export", "--data", str(data)))
    assert '"travelled"' in exported.stdout, exported.stderr
    project.assert_untouched()


def test_without_a_folder_named_the_data_lie_where_the_platform_keeps_those_of_a_user(project):
    with started(project, *project.command("--port", "0", "--seed", "none"), WEB_CONCURRENCY="1") as (_, said):
        pass
    folder = re.search(r"keeps its data in (.+)\.\n", said)
    assert folder is not None
    assert Path(folder[1]).is_relative_to(project.folder.parent / "home")
    assert Path(folder[1]).name == "layers-stand-in"
    project.assert_untouched()


def test_a_server_started_among_the_installed_files_keeps_its_data_where_those_of_a_user_are(project):
    application = project.packages / "layers_standin" / "_application"
    before = {path for path in application.rglob("*") if "__pycache__" not in path.parts}
    settings = {"PYTHONPATH": "", "HOME": str(project.folder.parent / "home"), "WEB_CONCURRENCY": "1"}
    inside = project._replace(folder=application)
    with started(inside, str(project.python), "-P", "-m", "gunicorn", "app:app", **settings) as (_, said):
        pass
    (application.parent / "log").unlink()
    folder = re.search(r"keeps its data in (.+)\.\n", said)
    assert folder is not None
    assert Path(folder[1]).is_relative_to(project.folder.parent / "home")
    assert {path for path in application.rglob("*") if "__pycache__" not in path.parts} == before


def test_the_commands_work_on_the_folder_that_is_named(project, tmp_path):
    data = str(tmp_path / "data")

    def printed(*arguments: str) -> str:
        ended = project.run(*project.command(*arguments, "--data", data))
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    key = printed("keys", "create", "--org", "Fresh", "--scopes", "*").strip()
    assert re.fullmatch(r"lp_test_[0-9A-Z]{16}_[0-9A-Za-z_-]{43}", key)
    assert [line.split("  ")[-1] for line in printed("organizations", "list").splitlines()].count("Fresh") == 1
    public_id = key.split("_")[2]
    assert public_id in printed("keys", "list")
    printed("keys", "delete", public_id)
    assert f"{public_id}  on" not in printed("keys", "list")
    assert "no fault" in printed("store", "verify")
    printed("reset")
    assert "Fresh" not in printed("organizations", "list")
    assert DEMO_KEY_ID in printed("keys", "list")
    assert printed("openapi", "--server", "http://stand-in.example").startswith('{\n  "openapi": "3.1')
    project.assert_untouched()


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--data", "/proc/nothing"], {}, "The data folder /proc/nothing cannot be used"),
        (["--host", "nowhere.invalid"], {}, "Cannot listen on nowhere.invalid, port 0"),
        (["--host", ""], {}, "--host must be an address"),
        (["--seed", "no-such-file"], {}, "STANDIN_SEED must be"),
        ([], {"PORT": "http"}, "PORT must be a number from 0 to 65535, not 'http'"),
        ([], {"STANDIN_STORE": "postgresql://127.0.0.1:1/x"}, r"PostgreSQL: pip install 'psycopg[binary]>=3.2'."),
        ([], {"STANDIN_MEDIA": "s3://bucket/prefix"}, r"S3: pip install 'obstore>=0.9'."),
    ],
)
def test_a_start_that_cannot_be_says_why_in_a_sentence(project, tmp_path, arguments, settings, said):
    data = [] if "--data" in arguments else ["--data", str(tmp_path / "data")]
    ended = project.run(*project.command(*data, *arguments), **{"PORT": "0"} | settings)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert re.fullmatch(r"[A-Z-].*\.\n", ended.stderr), ended.stderr
    assert ended.stdout == ""


def test_a_port_that_is_taken_is_told_before_the_data_folder_is_made(project, tmp_path):
    with started(project, *project.command("--port", "0", "--data", str(tmp_path / "first"))) as (_, said):
        port = url_in(said).rpartition(":")[2]
        ended = project.run(*project.command("--port", port, "--data", str(tmp_path / "second")))
    assert ended.returncode != 0
    assert ended.stderr.startswith(f"Port {port} of 127.0.0.1 is taken by another program: ")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "second").exists()


def test_an_uninstall_leaves_the_project_as_it_was(project):
    """The last test of this file: there is no command any more."""
    uninstall = ["-m", "pip", "uninstall", "-y", "--disable-pip-version-check", "layers-stand-in"]
    ended = subprocess.run(
        [project.python, "-P", *uninstall], cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert not list(project.packages.glob("layers_stand*"))
    assert not (project.python.parent / "layers-stand-in").exists()
    project.assert_untouched()
