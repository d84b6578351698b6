"""The servers under load: each block runs a gunicorn of its own on 127.0.0.1, and stops it at its end."""

import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from gunicorn.config import KNOWN_SETTINGS

from benchmarks.bare import READY
from benchmarks.children import in_child
from benchmarks.machine import children, processor_seconds, resident_bytes
from layers_standin.domain.keys import DEMO_KEY

ROOT = Path(__file__).resolve().parent.parent

_START_SECONDS = 120
_STOP_SECONDS = 15
_NOT_SHARED = {"bind", "worker_class", "accesslog"}


class Server(NamedTuple):
    """A running gunicorn; `seconds_to_answer` is the time from the start of its process to the first 200."""

    pid: int
    port: int
    seconds_to_answer: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        return children(self.pid)

    def worker_bytes(self) -> list[int]:
        """Return the memory of each worker process."""
        return [resident_bytes(worker) for worker in self.workers()]

    def busy_seconds(self) -> dict[int, float]:
        """Return {pid: processor time}, of the arbiter and each worker; {} where the system does not report it."""
        try:
            return {pid: processor_seconds(pid) for pid in (self.pid, *self.workers())}
        except OSError:
            return {}


class ServerFailed(Exception):
    """A server ended, or answered with an error; the message has the answer, or the end of the server's output."""


@contextmanager
def stand_in(folder: Path, path: str, **settings: str) -> Iterator[Server]:
    """Run `gunicorn app:app` with data and log in `folder`; yield the server as soon as GET `path` succeeds.

    `settings` are the stand-in's, named as in `seed="none"` for STANDIN_SEED. Raises ServerFailed.
    """
    environ = {f"STANDIN_{name.upper()}": value for name, value in settings.items()}
    command, port = _gunicorn("app:app")
    with _running(command, port, folder, path, {"STANDIN_DATA": str(folder / "data")} | environ) as server:
        yield server


@contextmanager
def bare_server(folder: Path, factory: str, *arguments: str, **settings: int) -> Iterator[Server]:
    """Run the app that the function `factory` of bare.py returns, under the stand-in's own gunicorn settings.

    `arguments` are those of the function; `settings` replace gunicorn's; `folder` takes configuration and log. Raises
    ServerFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "bare.conf.py"
    conf.write_text("".join(f"{name} = {value!r}\n" for name, value in (plain_settings() | settings).items()), "utf-8")
    application = f"benchmarks.bare:{factory}({', '.join(map(repr, arguments))})"
    command, port = _gunicorn("--config", str(conf), "--worker-class", "gthread", application)
    with _running(command, port, folder, READY, {}) as server:
        yield server


@contextmanager
def json_server(program: str, file: Path, path: str) -> Iterator[Server]:
    """Run json-server on `file`; yield the server as soon as GET `path` succeeds. Raises ServerFailed."""
    port = _free_port()
    command = [program, str(file), "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, port, file.parent, path, {}) as server:
        yield server


def plain_settings() -> dict[str, int | str]:
    """Return gunicorn.conf.py's settings that are numbers or texts, such as workers and threads, without its hooks."""
    return in_child(_settings_of_the_file)  # for it changes the signals and the streams of its process


def _settings_of_the_file() -> dict[str, int | str]:
    conf = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    known = {setting.name for setting in KNOWN_SETTINGS} - _NOT_SHARED
    return {name: value for name, value in conf.items() if name in known and isinstance(value, int | str)}


def fetch(port: int, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """Send a request with the demo key, and return the body of its answer. Raises ServerFailed, OSError."""
    connection = HTTPConnection("127.0.0.1", port, timeout=300)  # a peer may take long
    try:
        headers = {"X-Api-Key": DEMO_KEY} | ({"Content-Type": content_type} if body else {})
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        text = response.read()
    except HTTPException as error:
        raise ServerFailed(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
    if response.status >= 300:
        raise ServerFailed(f"{method} {path} answered {response.status}: {text[:500]!r}")
    return text


def _gunicorn(*arguments: str) -> tuple[list[str], int]:
    """Return the command that runs gunicorn on a free port, and the port."""
    port = _free_port()
    return [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *arguments], port


@contextmanager
def _running(command: list[str], port: int, folder: Path, path: str, settings: Mapping[str, str]) -> Iterator[Server]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    started = time.perf_counter()
    with log.open("ab") as output:
        environ = _environ(folder) | dict(settings)
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for_answer(process, port, path, log)
        yield Server(process.pid, port, time.perf_counter() - started)
    finally:
        _stop(process)


def _environ(folder: Path) -> dict[str, str]:
    """Return the environment of a server: this one's, without settings of the stand-in or of gunicorn.

    gunicorn makes its control socket in `folder`.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("STANDIN_", "GUNICORN_"))}
    return ours | {"XDG_RUNTIME_DIR": str(folder)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_answer(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            fetch(port, "GET", path)
            return
        time.sleep(0.005)
    raise ServerFailed(f"{process.args!r} did not come up; the end of its output is:\n{log.read_text('utf-8')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate a gunicorn; kill it and its workers if it has not ended after _STOP_SECONDS."""
    workers = children(process.pid) if process.poll() is None else []
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:  # slow, or this process was interrupted again
        if process.poll() is None:
            for pid in (process.pid, *workers):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
