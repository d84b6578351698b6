"""The service as people run it: real processes on a folder and a free port, asked over real sockets."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TypeVar

import httpx
from conftest import DEMO
from launcher import Program, can_fork

from layers_standin.engines.disk import Disk
from layers_standin.engines.table import Record
from layers_standin.media.folder import FolderStorage
from layers_standin.seed import load_seed
from layers_standin.services import open_database, open_folder
from layers_standin.settings import SEED, Settings
from store import Store

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 180
STAYS_OPEN = ("--keep-alive", "600")  # so that a client keeps its connection, and with it its worker

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str) -> T:
    """Return the first true thing that `look` returns."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.005)
    return found


def together(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Make all the calls at one moment, each in a thread of its own; return what they return, in order."""
    calls = list(calls)
    barrier = threading.Barrier(len(calls))

    def at_once(call: Callable[[], T]) -> T:
        barrier.wait(PATIENCE_SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(at_once, calls))


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return our environment with the service set up on `folder` and a free port, and `settings` over that."""
    ours = ("STANDIN_", "GUNICORN_", "FLASK_", "PORT", "WEB_CONCURRENCY", "PYTHONWARNINGS")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    return kept | {"STANDIN_DATA": str(folder), "PORT": "0"} | settings


def start(command: tuple[str, ...], env: dict[str, str]) -> tuple[Program | subprocess.Popen[str], IO[str]]:
    """Start `python -m <command>`; return it, and all that it prints as a file to read."""
    if can_fork(env):
        printed, output = os.pipe()
        try:
            program = Program(command, ROOT, env, output, output)
        finally:
            os.close(output)
        return program, open(printed, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, process.stdout


class Server:
    """A running `python -m <command>` with all its processes, and everything they print."""

    def __init__(self, folder: Path, *command: str, **settings: str) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self._clients: list[httpx.Client] = []
        self.process, self._printed = start(command, environment(folder, **settings))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self.url = eventually(self._address, f"{command} to listen")
            eventually(self._answers, f"{self.url} to answer")
        except BaseException:
            self.kill()
            raise

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def client(self, **headers: str) -> httpx.Client:
        """Return a client with one connection of its own; it keeps it until the service ends."""
        limits = httpx.Limits(max_connections=1, keepalive_expiry=None)
        client = httpx.Client(base_url=self.url, headers=DEMO | headers, limits=limits, timeout=PATIENCE_SECONDS)
        self._clients.append(client)
        return client

    def workers(self) -> list[int]:
        """Return the ids of the processes that serve."""
        listing = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, encoding="utf-8", check=True
        ).stdout
        pairs = (line.split() for line in listing.splitlines())
        return sorted(int(pid) for pid, parent in pairs if int(parent) == self.process.pid)

    def client_of(self, worker: int) -> httpx.Client:
        """Return a client whose connection that worker has taken."""
        client = self.client()
        with self.only(worker):
            client.get("/v1/whoami").raise_for_status()
        return client

    @contextmanager
    def only(self, worker: int) -> Iterator[None]:
        """Let that worker take all connections of the block, because the others are asleep."""
        others = [pid for pid in self.workers() if pid != worker]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> int:
        """Ask for an end as systemd, Docker and Ctrl-C do; return the exit code once every process is gone."""
        self._close_clients()  # gunicorn waits a little for those that might ask for more
        self.process.terminate()
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def kill(self) -> None:
        """End every process of it at once, as a power cut would, and return when all are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close_clients()
        self._reader.join(PATIENCE_SECONDS)  # its pipe ends with the last process that holds it

    def _close_clients(self) -> None:
        for client in self._clients:
            client.close()

    def _read(self) -> None:
        with self._printed as lines:
            self.lines.extend(lines)

    def _address(self) -> str | None:
        if self.process.poll() is not None:
            self._reader.join(PATIENCE_SECONDS)
            raise RuntimeError(f"it ended with {self.process.returncode}: {self.output}")
        found = re.search(r"(?:listens|Running) on (http://[\w.]+:\d+)", self.output)
        return found[1].replace("0.0.0.0", "127.0.0.1") if found else None

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/v1/whoami", timeout=PATIENCE_SECONDS).status_code == 401
        return False


@contextmanager
def serving(folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    """Run `gunicorn app:app` on a folder until the block is left."""
    server = Server(folder, "gunicorn", *options, "app:app", **settings)
    workers = int(settings.get("WEB_CONCURRENCY", "2"))
    try:
        eventually(lambda: len(server.workers()) == workers, f"{workers} workers")
        yield server
    finally:
        server.kill()


@contextmanager
def hosts_on(database: str, folder: Path, number: int = 3, **settings: str) -> Iterator[list[Server]]:
    """Run that many hosts on a database, all started at one moment, each with one worker and a folder of its own."""

    def start(name: str) -> Server:
        ours = {"WEB_CONCURRENCY": "1", "STANDIN_STORE": database} | settings
        return stack.enter_context(serving(folder / name, *STAYS_OPEN, **ours))

    with ExitStack() as stack:
        yield together(partial(start, f"host{each}") for each in range(number))


def run(
    folder: Path, *command: str, largest_file: int | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m <command>` to its end; where it would make a file larger than it may, the disk is full."""
    env = environment(folder, **settings)
    if not can_fork(env):
        assert largest_file is None
        here = [sys.executable, "-m", *command]
        return subprocess.run(here, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", timeout=PATIENCE_SECONDS)  # noqa: PLW1510
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        program = Program(command, ROOT, env, out.fileno(), err.fileno(), largest_file)
        try:
            code = program.wait(PATIENCE_SECONDS)
        finally:
            program.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


@contextmanager
def opened(place: Path | str) -> Iterator[Store]:
    """Open the store of a folder or database in this process, beside whoever else has it open."""
    store = Store(open_database(place) if isinstance(place, str) else open_folder(Settings(data=place, sync=False)))
    try:
        yield store
    finally:
        store.db.close()


@contextmanager
def seeded(folder: Path, database: str | None = None) -> Iterator[Store]:
    """Open a new store with the seed in it, its documents in a database if one is given."""
    with opened(database or folder) as store:
        load_seed(SEED, store, FolderStorage(folder / "media", Disk(syncing=False)))
        yield store


def documents(folder: Path) -> dict[str, list[Record]]:
    """Return every document of the store by table."""
    with opened(folder) as store:
        tables: dict[str, list[Record]] = {}
        for table, partition in store.db.tables():
            tables.setdefault(table, []).extend(dict(row) for row in store.db.table(table, partition))
        return tables
