"""Programs in processes of their own that start in a tenth of the time: `python -m …`, forked instead of executed.

A server process imports once what the programs import. It forks for each program, so this is a process of its own
with its own threads, locks and connections, that ends as Python programs end.
"""

import atexit
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import orjson

IMPORTED = ("app", "flask.cli", "gunicorn.app.wsgiapp", "layers_standin.cli", "psycopg", "psycopg_pool")
# Read by the interpreter when it starts.
_AT_START = ("PYTHON", "LC_", "LANG", "LANGUAGE")
_MESSAGE_BYTES = 1 << 20


def can_fork(env: dict[str, str]) -> bool:
    """Return whether a program with this environment would find an interpreter like that of its server."""
    return _read_at_start(env) == _read_at_start(_of_server())


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in env.items() if name.startswith(_AT_START)}


@cache
def _of_server() -> dict[str, str]:
    """Return the environment of the server: ours, without what only a test has set."""
    return {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")}


class Program:
    """A running `python -m <command>`; what `subprocess.Popen` has of it."""

    def __init__(
        self,
        command: tuple[str, ...],
        cwd: Path,
        env: dict[str, str],
        stdout: int,
        stderr: int,
        largest_file: int | None = None,
    ) -> None:
        self._status, remote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        message = {"command": command, "cwd": str(cwd), "env": env, "largest_file": largest_file, "umask": _umask()}
        with remote:
            socket.send_fds(_server(), [orjson.dumps(message)], [remote.fileno(), stdout, stderr])
        self.pid = int(self._status.recv(20))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, as `subprocess` does; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                self.returncode = int(self._status.recv(20))
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired("a program", timeout or 0) from error
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


@cache
def _server() -> socket.socket:
    """Start the server of this process; return the socket that takes its orders."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=Path(__file__).parent.parent,
            env=_of_server(),
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# In the server.


def serve(orders: socket.socket) -> tuple[str, ...]:
    """Fork for each order; return the command of a program in its process, and in the server never."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for a program
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, 3)
        if not message:
            sys.exit()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            orders.close()
            return _begin(orjson.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _begin(order: dict[str, Any], status: int, stdout: int, stderr: int) -> tuple[str, ...]:
    """Fork once more: the parent waits and tells the exit code, the child becomes the program."""
    pid = os.fork()
    if pid:
        _tell(status, pid)
    os.setsid()
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for descriptor in (status, stdout, stderr):
        os.close(descriptor)
    os.umask(order["umask"])
    os.chdir(order["cwd"])
    sys.path[0] = order["cwd"]
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    if order["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"], resource.RLIM_INFINITY))
    return tuple(order["command"])


def _tell(status: int, pid: int) -> NoReturn:
    os.closerange(0, status)  # or nobody who reads the program's output would see its end
    os.closerange(status + 1, 256)
    with socket.socket(fileno=status) as told:
        told.send(str(pid).encode())
        _, ended = os.waitpid(pid, 0)
        told.send(str(os.waitstatus_to_exitcode(ended)).encode())
    os._exit(0)


def main() -> None:
    sys.path[0] = os.getcwd()
    for name in IMPORTED:
        try:
            __import__(name)
        except ImportError:  # an optional part
            continue
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        command = serve(orders)
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
