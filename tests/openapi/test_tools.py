"""What other people's tools make of the document: linters find nothing, and generated clients make a PATCH that counts.

The tools are those of `tools/package.json`, installed anew into a folder of the tests, and openapi-python-client.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from conftest import AVA, AVA_PATH
from servers import PATIENCE_SECONDS, Server, serving

from app import document
from layers_standin.domain.keys import DEMO_KEY

pytestmark = pytest.mark.slow

TOOLS = Path(__file__).parent / "tools"
SETTINGS = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
NO_REGISTRY = re.compile(r"\b(ENOTFOUND|ECONN\w+|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ERR_SOCKET_TIMEOUT)\b")
NO_CACHE = re.compile(r"\b(EACCES|EROFS)\b")
INSTALL = "npm install --ignore-scripts --no-package-lock --no-audit --no-fund --prefer-offline --loglevel=error"


def run(folder: Path, *command: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | SETTINGS | settings,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def succeed(folder: Path, *command: str, **settings: str) -> str:
    """Run a command to its end, which must be a good one; return what it printed."""
    done = run(folder, *command, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def node_version() -> tuple[int, ...]:
    """Return the version of node, (0,) when there is none or no npm beside it."""
    if not (shutil.which("node") and shutil.which("npm")):
        return (0,)
    return tuple(map(int, re.findall(r"\d+", succeed(TOOLS, "node", "--version"))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the document in it."""
    made = tmp_path_factory.mktemp("tools")
    shutil.copytree(TOOLS, made, dirs_exist_ok=True)
    (made / "openapi.json").write_bytes(orjson.dumps(document("http://127.0.0.1:8000")))
    return made


@pytest.fixture(scope="module")
def npm(folder: Path) -> Path:
    """Return that folder with the programs of package.json."""
    if node_version() < (20, 19):
        pytest.skip("linters and TypeScript generators need node 20.19 with npm, which is not here")
    installed = run(folder, *INSTALL.split())
    if NO_REGISTRY.search(installed.stderr):
        pytest.skip("linters and TypeScript generators come from the npm registry, which cannot be reached")
    if NO_CACHE.search(installed.stderr):
        pytest.skip("npm keeps the linters and TypeScript generators in the home folder, which cannot be written to")
    assert installed.returncode == 0, installed.stderr
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("clients") / "store", STANDIN_SYNC="never", WEB_CONCURRENCY="1") as running:
        yield running


def program(npm: Path, name: str) -> str:
    return str(npm / "node_modules" / ".bin" / name)


# Linters


def test_redocly_finds_nothing(npm):
    succeed(npm, program(npm, "redocly"), "lint", "openapi.json", "--config", "redocly_rules.yaml")


def test_spectral_finds_nothing(npm):
    spectral = (program(npm, "spectral"), "lint", "openapi.json", "--ruleset", "spectral_rules.yaml")
    succeed(npm, *spectral, "--fail-severity", "hint")


# Clients


def patched(server: Server, folder: Path, *command: str) -> None:
    """Run a program that makes a PATCH and prints the reply; the service must say the same afterwards."""
    api = server.client()
    api.patch(AVA_PATH, json={"vibe": "", "ageRange": "25-34", "personality": {"humor": "", "tone": "x"}})

    printed = succeed(folder, *command, AVA, LAYERS_BASE_URL=server.url, LAYERS_API_KEY=DEMO_KEY)

    influencer = orjson.loads(printed.replace("+00:00", "Z"))  # as some that read a time write it
    assert influencer == api.get(AVA_PATH).json()
    assert (influencer["vibe"], influencer["ageRange"]) == ("typed", None)
    assert influencer["personality"]["humor"] == "dry"
    assert "tone" not in influencer["personality"]


def test_typed_clients_of_typescript_make_a_patch(npm, server):
    succeed(npm, program(npm, "openapi-typescript"), "openapi.json", "--output", "types.ts")
    succeed(npm, program(npm, "openapi-ts"), "--input", "openapi.json", "--output", "hey", "--no-log-file")
    succeed(npm, program(npm, "tsc"))

    for name in ("patch_with_openapi_typescript", "patch_with_hey_api"):
        patched(server, npm, "node", f"out/{name}.js")


def test_a_client_of_python_makes_a_patch(folder, server):
    generate = ("generate", "--path", "openapi.json", "--output-path", "layers_client", "--meta", "none")
    made = run(folder, str(Path(sys.executable).with_name("openapi-python-client")), *generate, COLUMNS="200")

    assert made.returncode == 0, made.stdout + made.stderr
    # It knows no body of any type.
    left_out = {"PUT /v1/uploads/{signature}", "GET /media/{organization}/{owner}/{token}/{variant}/{name}"}
    assert (
        set(re.findall(r"parsing (\w+ \S+) within", made.stdout + made.stderr)) == left_out
    )  # it knows no body of any type
    patched(server, folder, sys.executable, "patch_with_openapi_python_client.py")
