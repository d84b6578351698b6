"""Starts that go another way than ours: without gunicorn.conf.py, on a port or a store that another has already."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from conftest import AVA_PATH, DEMO
from servers import PATIENCE_SECONDS, ROOT, environment, run, serving

from layers_standin.application import CONFIGURATION

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

WITHOUT = "The stand-in was started without its own configuration, "
SHARED = "is served by another process too, and both work on the same data: "
ELSEWHERE = ("--chdir", str(ROOT), "--no-control-socket")

THEIRS = """
def when_ready(server):
    print(f"It listens on {server.LISTENERS[0]}", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def gunicorn(tmp_path: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    """Start gunicorn from a folder in which there is no configuration of ours."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *ELSEWHERE, *options, "app:app"],
        cwd=elsewhere,
        env=environment(tmp_path / "store", **settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> str:
    """Return all that a process has said when it has ended by itself."""
    try:
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return said


# With PORT set and no option, gunicorn listens on every address by itself.
@pytest.mark.parametrize("options", [(), ("--bind", "0.0.0.0:0"), ("--bind", "127.0.0.1:0", "--bind", "[::]:0")])
@pytest.mark.parametrize("way", [(), ("--preload",), ("--workers", "2", "--worker-class", "gthread")])
def test_without_our_configuration_gunicorn_serves_no_other_machine(folder, tmp_path, options, way):
    said = ended(process := gunicorn(tmp_path, *options, *way))
    assert process.returncode != 0
    host = "::" if "[::]:0" in options else "0.0.0.0"
    # Of two workers that are refused, gunicorn may say more than it means to.
    refusals = [line for line in said.splitlines() if line.startswith("Refusing") or WITHOUT in line]
    assert set(refusals) == {
        f"Refusing to listen on {host} without the stand-in's own configuration: start it by "
        f"`layers-stand-in --host {host}`, or give gunicorn the option `-c {CONFIGURATION}`."
    }
    assert not folder.exists()


def test_not_even_on_a_socket_that_was_handed_over(folder, tmp_path):
    with socket.create_server(("0.0.0.0", 0)) as listener:
        descriptor = listener.fileno()
        code = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        code += "os.execv(sys.executable, [sys.executable, '-m', 'gunicorn', *sys.argv[2:]])"
        done = subprocess.run(
            [sys.executable, "-c", code, str(descriptor), *ELSEWHERE, "--bind", "127.0.0.1:0", "app:app"],
            cwd=tmp_path,
            env=environment(folder, LISTEN_FDS="1") | {"PORT": "0"},
            pass_fds=[descriptor],
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert done.returncode != 0
    assert "Refusing to listen on 0.0.0.0 without" in done.stderr


def test_without_our_configuration_it_serves_this_machine_and_says_so(folder, tmp_path):
    (tmp_path / "theirs.py").write_text(THEIRS, "utf-8")
    options = ("-c", str(tmp_path / "theirs.py"), "--bind", "127.0.0.1:0")
    with gunicorn(tmp_path, *options) as process:
        try:
            lines = []
            while not (found := re.search(r"^It listens on (http://\S+)$", "".join(lines), re.MULTILINE)):
                lines.append(process.stdout.readline())
            answer = httpx.get(found[1] + AVA_PATH, headers=DEMO, timeout=PATIENCE_SECONDS)
            assert (answer.status_code, answer.json()["name"]) == (200, "Ava Chen")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
    assert [line.startswith(WITHOUT) for line in lines].count(True) == 1
    assert f"`-c {CONFIGURATION}`.\n" in "".join(lines)


def test_without_our_configuration_a_bad_setting_ends_gunicorn_too(tmp_path):
    said = ended(process := gunicorn(tmp_path, "--bind", "127.0.0.1:0", STANDIN_LOG="xml"))
    assert process.returncode != 0
    assert said.count("STANDIN_LOG must be ") == 1


@pytest.mark.parametrize("options", [(), ("--worker-class", "gthread"), ("--preload",)])
def test_with_our_configuration_nothing_is_said_of_it(folder, options):
    with serving(folder, *options) as server:
        assert server.client().get(AVA_PATH).status_code == 200
        assert server.stop() == 0
    assert WITHOUT not in server.output


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


TAKEN = {
    "gunicorn": ("127.0.0.1", ("gunicorn", "app:app"), "PORT"),
    "gunicorn --bind": ("127.0.0.1", ("gunicorn", "--bind", "127.0.0.1:{port}", "app:app"), None),
    "gunicorn --bind, IPv6": ("::1", ("gunicorn", "--bind", "[::1]:{port}", "app:app"), None),
    "flask run": ("127.0.0.1", ("flask", "run"), "PORT"),
    "flask run --port": ("127.0.0.1", ("flask", "run", "--port", "{port}"), None),
    "flask run, its own variable": ("127.0.0.1", ("flask", "run"), "FLASK_RUN_PORT"),
    "flask run, IPv6": ("::1", ("flask", "run", "--host", "::1"), "PORT"),
    "layers-stand-in": ("127.0.0.1", ("layers_standin",), "PORT"),
    "layers-stand-in --port": ("127.0.0.1", ("layers_standin", "--port", "{port}"), None),
    "layers-stand-in, IPv6": ("::1", ("layers_standin", "--host", "::1"), "PORT"),
}


@pytest.mark.parametrize(("host", "command", "variable"), TAKEN.values(), ids=TAKEN)
def test_a_port_that_is_taken_is_told_in_a_sentence(folder, host, command, variable):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no address of IPv6")
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        port = listener.getsockname()[1]
        settings = {variable: str(port)} if variable else {}
        done = run(folder, *(part.format(port=port) for part in command), **settings)
    assert done.returncode != 0
    assert done.stdout + done.stderr == (
        f"Port {port} of {host} is taken by another program: stop that, or put PORT={port % 65535 + 1} before the "
        "command, or name another port where you have named this one, by --port or --bind.\n"
    )
    assert not folder.exists()


# Two on one store.


def test_the_second_on_a_store_says_that_it_is_shared_and_how_to_have_its_own(folder):
    with serving(folder) as first, serving(folder) as second:
        first.client().patch(AVA_PATH, json={"vibe": "shared"}).raise_for_status()
        assert second.client().get(AVA_PATH).json()["vibe"] == "shared"
        assert f"The store in {folder} {SHARED}" in second.output
        assert "STANDIN_DATA" in second.output
        assert SHARED not in first.output
        assert first.stop() == 0
        with serving(folder) as third:
            assert SHARED in third.output


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_store_is_free_again_when_its_server_has_ended(folder, end):
    with serving(folder) as first:
        getattr(first, end)()
    with serving(folder) as second:
        assert second.client().get(AVA_PATH).status_code == 200
        assert SHARED not in second.output


def test_a_command_beside_a_server_is_no_second_server(folder):
    with serving(folder) as server:
        done = run(folder, "layers_standin", "keys", "list")
        assert (done.returncode, done.stderr) == (0, "")
        assert SHARED not in server.output


# Parts that are missing.


@contextmanager
def hiding(tmp_path: Path, *modules: str) -> Iterator[dict[str, str]]:
    """Yield an environment in which these modules are not installed, as far as Python can tell."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({modules!r})\n", "utf-8")
    yield {"PYTHONPATH": str(hidden)}


def missing(tmp_path: Path, module: str, *command: str, **settings: str) -> str:
    """Run a program without a module; return what it says, which is a sentence."""
    with hiding(tmp_path, module) as surroundings:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment(tmp_path / "store", **settings) | surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    said = done.stdout + done.stderr
    assert (done.returncode, said.count("\n")) == (1, 1), said
    return said.strip()


@pytest.mark.parametrize("command", [("-m", "gunicorn", "app:app"), ("-m", "layers_standin", "reset")])
@pytest.mark.parametrize(
    ("module", "settings", "said"),
    [
        (
            "psycopg",
            {"STANDIN_STORE": "postgresql://127.0.0.1:1/nothing"},
            "STANDIN_STORE needs the driver of PostgreSQL: pip install -e '.[postgres]'.",
        ),
        (
            "obstore",
            {"STANDIN_MEDIA": "s3://bucket/prefix?endpoint=http://127.0.0.1:1&region=x"},
            "STANDIN_MEDIA needs the client of S3: pip install -e '.[s3]'.",
        ),
    ],
)
def test_a_missing_extra_of_the_service_is_told_with_the_command_that_installs_it(
    tmp_path, command, module, settings, said
):
    assert missing(tmp_path, module, *command, **settings) == said


@pytest.mark.parametrize(
    "example",
    sorted(path.name for path in (ROOT / "examples").glob("*.py") if "import httpx" in path.read_text("utf-8")),
)
def test_an_example_without_httpx_says_how_to_install_it(tmp_path, example):
    said = missing(tmp_path, "httpx", str(ROOT / "examples" / example))
    assert said == "This example needs httpx: pip install httpx"


@pytest.mark.parametrize(
    ("module", "script"),
    [
        ("httpx", "take_screenshots.py"),
        ("playwright", "take_screenshots.py"),
        ("httpx", "conformance.py"),
        ("pytest", "conformance.py"),
    ],
)
def test_a_script_of_the_docs_says_how_to_install_what_it_needs(tmp_path, module, script):
    said = missing(tmp_path, module, str(ROOT / "docs" / script))
    assert said == f"This needs {module}: pip install -e '.[test]'"


# Ctrl-C.

INTERRUPTED = """
import os
import runpy
import signal
import sys

class Interruption:
    def find_spec(self, name, *_):
        if name == "layers_standin.services":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interruption())
globals().update(runpy.run_path({path!r}))
"""


def test_ctrl_c_in_the_middle_of_an_import_ends_it_without_a_word(folder, tmp_path):
    (tmp_path / "interrupted.py").write_text(INTERRUPTED.format(path=str(CONFIGURATION)), "utf-8")
    said = ended(process := gunicorn(tmp_path, "-c", str(tmp_path / "interrupted.py")))
    assert (process.returncode, said) == (130, "")  # as a shell tells Ctrl-C
    assert not folder.exists()
