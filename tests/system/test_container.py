"""The image's steps, run without containers; and the examples of `compose.yaml` and `docs/ci.md`, run as they stand."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from conftest import AVA_PATH, DEMO
from servers import PATIENCE_SECONDS, ROOT, eventually, serving
from wheels import link_dependencies

from layers_standin.settings import PREFIX, Settings, read_settings

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "ci.md").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
TOKEN = "a-token-of-these-tests"
KNOWN = {"PORT", "WEB_CONCURRENCY", "LAYERS_STANDIN_URL", "LAYERS_STANDIN_TOKEN"}
KNOWN |= {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}
LANGUAGES = {"test_spring.py": "python", "spring.test.mjs": "js"}
HAS_PLUGIN = "[project.entry-points.pytest11]" in (ROOT / "pyproject.toml").read_text("utf-8")

# 0 is how pip takes an option that begins with "no" from the environment.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Stage(NamedTuple):
    """A stage of the Dockerfile: its instructions as (name, text), in order."""

    instructions: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [text for each, text in self.instructions if each == name]

    def variables(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for text in self.all("ENV") for pair in shlex.split(text))


def stages() -> list[Stage]:
    """Return the stages of the Dockerfile; what precedes the first FROM is a stage without one."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found = [Stage([])]
    for line in re.sub(r"\\\n", "", text).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append(Stage([]))
        if name:
            found[-1].instructions.append((name, rest.strip()))
    return found


_, BUILD, FINAL = stages()
# Where the image's folders are in the tests.
FOLDERS = ("/build", "/opt/layers-stand-in", "/wheels", "/data")


class Image(NamedTuple):
    """The image without a container: its folders are in one of the tests'."""

    root: Path

    def inside(self, text: str) -> str:
        return re.sub(rf"(?<![\w.-])({'|'.join(FOLDERS)})(?![\w-])", rf"{self.root}\1", text)

    def environment(self, **settings: str) -> dict[str, str]:
        """Return what a container has: PATH and the image's variables, over them those that are set at its start."""
        variables = {name: self.inside(text) for name, text in FINAL.variables().items()}
        variables["PATH"] = variables["PATH"].replace("$PATH", os.environ["PATH"])
        return variables | {"PYTHONPATH": ""} | settings

    def command(self, name: str) -> list[str]:
        """Return the command of an instruction in exec form; there is no shell that swallows signals."""
        (text,) = FINAL.all(name)
        return json.loads(text)

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd="/",
            env=self.environment(**settings),
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def is_healthy(self, **settings: str) -> bool:
        (check,) = FINAL.all("HEALTHCHECK")
        return self.run(*json.loads(check.partition(" CMD ")[2]), **settings).returncode == 0

    @contextmanager
    def started(self, *before: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """Run the image's entry with its options, until the block is left."""
        command = [*before, *self.command("ENTRYPOINT"), *self.command("CMD")]
        env = self.environment(**settings)
        # Found by the PATH of the image, as an engine does it.
        command[len(before)] = shutil.which(command[len(before)], path=env["PATH"]) or command[len(before)]
        with subprocess.Popen(command, cwd="/", env=env, encoding="utf-8", start_new_session=True) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def copy_context(target: Path) -> None:
    """Copy what the build is given: .dockerignore leaves out everything, and then takes these back."""
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert (lines[0], lines[-1]) == ("*", "**/__pycache__")
    for line in lines[1:-1]:
        assert line.startswith("!"), line
        copy = target / line[1:]
        copy.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / line[1:]).is_dir():
            shutil.copytree(ROOT / line[1:], copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / line[1:], copy)


def packages_of(environment_folder: Path) -> Path:
    (packages,) = environment_folder.glob("lib/python*/site-packages")
    return packages


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    copy_context(folder)
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, context: Path) -> Image:
    """The image, made by the steps of the Dockerfile; what they would download lies in its environments before."""
    made = Image(tmp_path_factory.mktemp("image"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    steps = [step for text in BUILD.all("RUN") + FINAL.all("RUN") for step in re.split(r"\s+&& ", text)]
    made_venvs = [step for step in steps if " -m venv " in step]
    for step in made_venvs:
        sh(made.inside(step), context, os.environ | {"PATH": path})
    link_dependencies(packages_of(made.root / "build"), "hatchling", "pytest", "httpx", "layers-stand-in")
    link_dependencies(packages_of(made.root / "opt/layers-stand-in"), "layers-stand-in[postgres,s3]")
    lend_program(made.root / "build/bin", "pytest")
    rest = " && ".join(step for step in steps if step not in made_venvs)
    sh(made.inside(rest), context, os.environ | OFFLINE | {"PATH": path})
    return made


def lend_program(folder: Path, name: str) -> None:
    """Make the program that pip leaves out where it finds that the package is there already."""
    program = folder / name
    program.write_text(f"#!{folder}/python3\nimport sys, {name}\nsys.exit({name}.console_main())\n", "utf-8")
    program.chmod(0o755)


def sh(script: str, folder: Path, env: dict[str, str]) -> None:
    ran = subprocess.run(
        ["sh", "-ec", script], cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=180, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


# The image


def test_it_is_built_of_any_base_and_ends_as_a_user_that_is_not_root():
    assert [stage.instructions[0][1].partition(" ")[0] for stage in (BUILD, FINAL)] == ["${BASE}", "${BASE}"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", FINAL.all("USER")[-1])
    assert FINAL.all("VOLUME") == [FINAL.variables()["STANDIN_DATA"]] == ["/data"]
    assert not {name for stage in (BUILD, FINAL) for name, _ in stage.instructions} & {"ADD", "SHELL"}


def test_every_variable_of_it_is_a_setting():
    read_settings({name: text for name, text in FINAL.variables().items() if name.startswith(PREFIX)})
    assert FINAL.variables().keys() - KNOWN == {"PATH", "TMPDIR"}


def test_it_serves_is_healthy_keeps_its_data_and_ends_with_0(image):
    port = str(free_port())
    base, settings = f"http://127.0.0.1:{port}", {"PORT": port, "STANDIN_CONTROL": TOKEN}
    assert not image.is_healthy(**settings)
    with image.started(**settings) as process:
        eventually(lambda: image.is_healthy(**settings), "a healthy container")
        changed = httpx.patch(base + AVA_PATH, headers=DEMO, json={"vibe": "boxed"}, timeout=PATIENCE_SECONDS)
        assert changed.status_code == 200
        commanded = {"Host": "layers:8000", "Authorization": f"Bearer {TOKEN}"}
        made = httpx.post(f"{base}/_standin/organizations", headers=commanded, timeout=PATIENCE_SECONDS)
        assert made.status_code == 201
        del commanded["Authorization"]
        refused = httpx.post(f"{base}/_standin/organizations", headers=commanded, timeout=PATIENCE_SECONDS)
        assert refused.status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    listed = image.run("layers-stand-in", "keys", "list", **settings)
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 2), listed.stderr
    with image.started(**settings):
        eventually(lambda: image.is_healthy(**settings), "a healthy container")
        assert httpx.get(base + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS).json()["vibe"] == "boxed"


def test_it_is_healthy_too_where_nobody_may_command(image):
    settings = {"PORT": str(free_port()), "STANDIN_CONTROL": "off", "STANDIN_SEED": "none"}
    with image.started(**settings | {"STANDIN_DATA": str(image.root / "closed")}):
        eventually(lambda: image.is_healthy(**settings), "a healthy container")


def test_the_first_process_of_a_container_ends_by_a_signal_that_comes_before_gunicorn_handles_any(image):
    alone = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("`unshare` makes no process namespace here, by which a process is the first of its own")
    with image.started(*alone, PORT="0", STANDIN_DATA=str(image.root / "first")) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        first = int(eventually(lambda: children.read_text().split(), "the first process")[0])

        def is_gunicorn_that_blocks_the_signal() -> bool:
            of = Path(f"/proc/{first}")
            mask = re.search(r"^SigBlk:\s*(\w+)", (of / "status").read_text(), re.MULTILINE)
            assert mask is not None
            return b"gunicorn" in (of / "cmdline").read_bytes() and bool(int(mask[1], 16) >> (signal.SIGTERM - 1) & 1)

        eventually(is_gunicorn_that_blocks_the_signal, "the start of gunicorn")
        os.kill(first, signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM


# Compose


def resolved(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables of a service as Compose makes them, where nothing is set beside them."""
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text) for name, text in variables.items()}


def test_compose_starts_a_stand_in_whose_settings_there_are_without_privileges():
    service = COMPOSE["services"]["layers"]
    assert service["environment"].keys() <= KNOWN
    assert read_settings(resolved(service["environment"])).webhook_targets == "any"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["volumes"] == [f"{name}:/data" for name in COMPOSE["volumes"]]


def test_the_client_of_compose_prints_its_project(tmp_path):
    client, settings = COMPOSE["services"]["client"], resolved(COMPOSE["services"]["layers"]["environment"])
    variables = resolved(client["environment"])
    assert variables.keys() <= KNOWN
    assert variables["LAYERS_STANDIN_URL"] == "http://layers:8000"
    assert variables["LAYERS_STANDIN_TOKEN"] == settings["STANDIN_CONTROL"]
    with serving(tmp_path / "store", **settings) as server:
        ran = subprocess.run(
            [sys.executable, *client["entrypoint"][1:], *client["command"]],
            env=os.environ | variables | {"LAYERS_STANDIN_URL": server.url},
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert ran.stdout == "['Spring']\n", ran.stderr


# CI


class Job(NamedTuple):
    """A job of an example: its steps as (shell lines, variables); with a token if the stand-in is a service of it."""

    name: str
    steps: list[tuple[str, dict[str, str]]]
    token: str | None


def job_of(name: str, job: dict[str, Any]) -> Job:
    if "script" in job:  # GitLab's
        variables = job.get("variables", {})
        steps = [("\n".join(job["script"]), variables)]
    else:
        variables = job.get("env", {})
        steps = [
            (step["run"], variables | step.get("env", {}))
            for step in job["steps"]
            if "run" in step and step.get("if") != "failure()"
        ]
    return Job(name, steps, variables.get("LAYERS_STANDIN_TOKEN"))


def jobs() -> Iterator[Job]:
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)):
        read = yaml.safe_load(block)
        for name, job in read.get("jobs", read).items():
            yield job_of(f"{number}-{name}", job)


def variables_in(tree: object) -> Iterator[tuple[str, str]]:
    """Yield every variable that is set under `env`, `environment` or `variables`, at any depth."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name in ("env", "environment", "variables"):
                yield from value.items()
            else:
                yield from variables_in(value)
    elif isinstance(tree, list):
        for each in tree:
            yield from variables_in(each)


def test_every_variable_that_the_page_sets_is_one_that_there_is():
    blocks = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    set_there = [pair for block in blocks for pair in variables_in(yaml.safe_load(block))]
    assert {name for name, _ in set_there} <= KNOWN
    for name, text in set_there:
        if name.startswith(PREFIX):
            read_settings({name: text})
    assert set(re.findall(r"\b(?:STANDIN|LAYERS_STANDIN)_[A-Z_]+\b", GUIDE)) <= KNOWN


@pytest.mark.parametrize("job", list(jobs()), ids=lambda job: job.name)
def test_the_steps_of_a_job_pass_in_a_new_project(job, image, context, tmp_path):
    text = "\n".join(script for script, _ in job.steps)
    if "pytest" in text and not HAS_PLUGIN:
        pytest.skip("the fixture `layers` is not in this checkout")
    for program in {"node", "curl"} & set(re.findall(r"^\w+", text, re.MULTILINE)):
        if shutil.which(program) is None:
            pytest.skip(f"a step calls `{program}`, which is not here")
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / ".layers-stand-in").symlink_to(context)
    for name, language in LANGUAGES.items():
        (code,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
        (project / "tests" / name).write_text(code, "utf-8")
    with service(job, tmp_path) as url, ExitStack() as runner:
        for script, variables in job.steps:
            port = {"PORT": url.rpartition(":")[2]}
            env = image_runner(image) | port | {name: here(text, url) for name, text in variables.items()}
            runner.enter_context(taken(step_here(script, url), project, env))


@contextmanager
def service(job: Job, folder: Path) -> Iterator[str]:
    """Run the stand-in that is a service of a job; yield its URL, or one that the job can use for its own."""
    if job.token is None:
        yield f"http://127.0.0.1:{free_port()}"
    else:
        with serving(folder / "service", STANDIN_CONTROL=job.token, STANDIN_SEED="none") as server:
            yield server.url


def here(text: str, url: str) -> str:
    return re.sub(r"http://(127\.0\.0\.1|layers):8000", url, text)


def step_here(script: str, url: str) -> str:
    """Return a step with our URL, and our own folder in place of a repository."""
    return re.sub(r'"git\+https://\S+"', "./.layers-stand-in", here(script, url))


def image_runner(image: Image) -> dict[str, str]:
    """Return the environment of a runner, whose Python is the one that the image is built with."""
    strangers = ("STANDIN_", "LAYERS_", "PYTEST", "PYTHON", "NODE_TEST")
    own = {name: text for name, text in os.environ.items() if not name.startswith(strangers)}
    home = {"HOME": str(image.root), "STANDIN_DATA": tempfile.mkdtemp(dir=image.root)}
    return own | OFFLINE | home | {"PATH": f"{image.root}/build/bin{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def taken(script: str, project: Path, env: dict[str, str]) -> Iterator[None]:
    """Take a step as a runner does; what it leaves in the background ends with the block."""
    with (project / "log").open("w+", encoding="utf-8") as log:
        step = subprocess.Popen(
            ["bash", "-e", "-c", script], cwd=project, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = step.wait(PATIENCE_SECONDS)
            log.seek(0)
            assert code == 0, log.read()
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(step.pid, signal.SIGKILL)
            step.wait()
