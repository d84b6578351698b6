"""Which operations are called by what partners might write: the programs and recipes in this repository.

Those in Python are run, and what they called successfully is read in the access log. What needs node or curl is not on
every machine, so of the curl commands in the pages it is read what they would call; the tests of each run them.
"""

import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx
from docs_helpers import EXAMPLE_URL, RECIPES, console_blocks, console_steps
from openapi_helpers import left_out_of_fuzzing
from servers import PATIENCE_SECONDS, ROOT, Server, environment, eventually, serving

from contract.conformance import Conformance
from contract.documented import DOCUMENT
from layers_standin.domain.keys import DEMO_KEY

_PAGES = ("README.md", "docs/control.md", "docs/tour.md")
_REQUEST = re.compile(r"^\S+ req_\w+ \S+ ([A-Z]+) (/\S+) 2\d\d ", re.MULTILINE)
_RECEIVER = "receive_webhooks.py"  # it is called, and calls nobody
_CONFORMANCE = Conformance(DOCUMENT)


def drivers(folder: Path) -> dict[str, list[str]]:
    """Return what calls each operation, by its id."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, operations in (*_programs(folder).items(), *_shown().items()):
        for operation in sorted(operations):
            found[operation].append(name)
    return found


def is_fuzzed(operation: str) -> bool:
    """Whether Schemathesis calls it; that it succeeds at that is held by `test_schemathesis.py`."""
    return operation not in left_out_of_fuzzing()


def succeeded(log: str) -> set[str]:
    """Return the ids of the operations that an access log shows a success of."""
    return set(_operations(_REQUEST.findall(log)))


def _operations(requests: Iterable[tuple[str, str]]) -> Iterator[str]:
    for method, path in requests:
        if told := _CONFORMANCE.operation(method, path):
            yield told["operationId"]


def _programs(folder: Path) -> dict[str, set[str]]:
    """Return what each program in Python calls when it is run, by its path."""
    # A job long enough to be canceled in its course, on a machine that may pause.
    with serving(folder / "store", STANDIN_JOB_SECONDS="3", STANDIN_SYNC="never", WEB_CONCURRENCY="1") as server:
        variables = {"LAYERS_BASE_URL": server.url, "LAYERS_STANDIN_URL": server.url, "LAYERS_API_KEY": DEMO_KEY}
        found = {
            path: _called(server, partial(_run, folder, command, variables))
            for path, command in _commands_beside(folder).items()
        }
    return {path.relative_to(ROOT).as_posix(): operations for path, operations in found.items()}


def _commands_beside(folder: Path) -> dict[Path, list[str]]:
    """Return how Python is told to run each program that wants a running stand-in."""
    examples = {path: [str(path)] for path in sorted((ROOT / "examples").glob("*.py")) if path.name != _RECEIVER}
    recipes = sorted(RECIPES.glob("test_*.py"))
    return examples | {path: [*_pytest(folder / path.stem), str(path)] for path in recipes}


def _called(server: Server, run: Callable[[], None]) -> set[str]:
    """Return what succeeds while something runs on the seed."""
    httpx.post(f"{server.url}/_standin/reset").raise_for_status()
    begin = _mark(server)
    run()
    end = _mark(server)
    ids = [line.split()[1] for line in server.lines if " req_" in line]
    lines = [line for line in server.lines if " req_" in line]
    return succeeded("".join(lines[ids.index(begin) + 1 : ids.index(end)]))


def _mark(server: Server) -> str:
    """Return the id of a request, once the log has it: all that were answered before are there too."""
    request_id = httpx.get(f"{server.url}/_standin/health", timeout=PATIENCE_SECONDS).headers["X-Request-Id"]
    eventually(lambda: request_id in server.output, "the access log")
    return request_id


def _pytest(scratch: Path) -> list[str]:
    plugin = ["-p", "no:layers_standin", "-p", "layers_standin.testing.pytest_plugin"]  # also in an older install
    return ["-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *plugin, f"--basetemp={scratch}"]


def _run(folder: Path, command: list[str], variables: Mapping[str, str]) -> None:
    """Run a Python program to its end, which must be a good one."""
    strangers = ("LAYERS_", "PYTEST", "PORT", "STANDIN_")
    own = {name: text for name, text in environment(folder).items() if not name.startswith(strangers)}
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=own | dict(variables),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{command} ended with {ran.returncode}: {ran.stdout}{ran.stderr}")


def _shown() -> dict[str, set[str]]:
    """Return what the curl commands of the pages for readers call."""
    return {f"{page} (curl)": set(_operations(requests_with_curl((ROOT / page).read_text("utf-8")))) for page in _PAGES}


def requests_with_curl(text: str) -> Iterator[tuple[str, str]]:
    """Yield (method, path) of every command in a page that begins with curl."""
    for block in console_blocks(text):
        for command, _ in console_steps(block):
            words = shlex.split(command.replace("\\\n", " "))
            urls = [word for word in words if word.startswith(EXAMPLE_URL)]
            if words[0] == "curl" and urls:
                usual = "POST" if "-d" in words else "GET"
                method = words[words.index("-X") + 1] if "-X" in words else usual
                yield method, urls[0].removeprefix(EXAMPLE_URL).partition("?")[0]
