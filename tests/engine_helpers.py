"""What the tests of the engines share: stores in a folder or database, disks that fail, threads and child processes."""

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import orjson
from databases import Pages, Rows

from layers_standin.engines.disk import Disk
from layers_standin.engines.indexes import IndexEntry
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.table import Engine

_PATIENCE_SECONDS = 20  # after which what should have happened is taken not to: a failure instead of a hang

Call = Callable[[], Any]
Contents = dict[tuple[str, str], dict[str, dict[str, Any]]]


def by_rank(record: dict[str, Any]) -> list[IndexEntry]:
    """Return an index entry for each of a document's groups, with its rank as the sort key."""
    return [IndexEntry(group, record["rank"]) for group in record.get("groups", ())]


@contextmanager
def opened(place: Path | str, **options: Any) -> Iterator[Any]:
    """Open the store in a folder, or the database of a URL."""
    engine = engine_at(place, **options)
    try:
        yield engine
    finally:
        engine.close()


def engine_at(place: Path | str, **options: Any) -> Any:
    if isinstance(place, Path):
        return SQLite(place, **{"sync": False} | options)
    from layers_standin.engines.postgres.engine import Postgres  # noqa: PLC0415 - its driver may not be here

    return Postgres(place, **options)


def bytes_of(engine: Any) -> bytes:
    """Return all that an engine has on disk: different as soon as anything was written."""
    return (Pages(engine.path) if isinstance(engine, SQLite) else Rows(engine._url)).read_bytes()


def put(engine: Engine, doc_id: str, document: dict[str, Any], table: str = "t", partition: str = "") -> None:
    """Set one document in a transaction, or a part of one, of its own."""
    with engine.transaction():
        engine.write(table, partition, doc_id, orjson.dumps(document))


def save(engine: Engine, name: str, facts: dict[str, Any]) -> None:
    """Keep the documents of this moment under a name."""
    with engine.create_snapshot(name, facts):
        pass


def as_documents(contents: Contents) -> list[tuple[str, str, str, bytes]]:
    """Return what `replace_all` takes."""
    return [
        (*space, doc_id, orjson.dumps(record)) for space, rows in contents.items() for doc_id, record in rows.items()
    ]


def contents(engine: Engine) -> Contents:
    """Return every document of an engine by (table, partition) and id."""
    return {space: {document.doc_id: dict(document) for document in engine.table(*space)} for space in engine.tables()}


def stored(place: Path | str, **options: Any) -> Contents:
    """Return what a process that opens the folder or database now finds."""
    with opened(place, **options) as engine:
        return contents(engine)


class WatchedDisk(Disk):
    """Passes each call to `around(name, call)`, which may count it, fail it, wait, or kill the process."""

    def __init__(self, around: Callable[[str, Call], Any]) -> None:
        super().__init__(syncing=False)
        self._around = around

    def write(self, descriptor, data):
        return self._around("write", partial(super().write, descriptor, data))

    def sync(self, descriptor):
        return self._around("sync", partial(super().sync, descriptor))

    def replace(self, source, target):
        return self._around("replace", partial(super().replace, source, target))

    def link(self, source, target):
        return self._around("link", partial(super().link, source, target))

    def sync_folder(self, folder):
        return self._around("sync_folder", partial(super().sync_folder, folder))


class CallCounter:
    """Lets every call through and remembers their names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, call: Call) -> Any:
        self.names.append(name)
        return call()


class NthCall:
    """Does `act` in place of the call number `nth`, counted from 1; `lasting` goes on so with all that follow."""

    def __init__(self, nth: int, act: Callable[[Call], Any], lasting: bool = False) -> None:
        self._until, self._act, self._lasting = nth, act, lasting

    def __call__(self, name: str, call: Call) -> Any:
        self._until -= 1
        hit = self._until == 0 or (self._until < 0 and self._lasting)
        return self._act(call) if hit else call()


def no_space(call: Call) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def input_output_error(call: Call) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def half_then_no_space(call: Call) -> None:
    """Write the first half of what was to be written, and fail; any other call just fails."""
    if isinstance(call.args[-1], memoryview):
        call.func(call.args[0], call.args[1][: len(call.args[1]) // 2])
    no_space(call)


def kill_before(call: Call) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_halfway(call: Call) -> None:
    """Be killed with half of the bytes written; any other call is not begun."""
    if isinstance(call.args[-1], memoryview):
        call.func(call.args[0], call.args[1][: len(call.args[1]) // 2])
    kill_before(call)


class Gate:
    """Stops the first call of one name until it is let go; others pass."""

    def __init__(self, name: str, nth: int = 1) -> None:
        self._name, self._until = name, nth
        self._reached = threading.Event()
        self._open = threading.Event()
        self.failure: OSError | None = None

    def __call__(self, name: str, call: Call) -> Any:
        if name == self._name:
            self._until -= 1
            if self._until == 0:
                self._reached.set()
                self._open.wait(_PATIENCE_SECONDS)
                if self.failure is not None:
                    raise self.failure
        return call()

    def wait_until_reached(self) -> None:
        assert self._reached.wait(_PATIENCE_SECONDS)

    def let_go(self) -> None:
        self._open.set()


class Worker(threading.Thread):
    """A thread that keeps what its work returned or raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001  # told to the test
            self.error = error

    def finish(self) -> "Worker":
        self.join(_PATIENCE_SECONDS)
        assert not self.is_alive()
        return self


def wait_until_queued(number: int) -> None:
    """Return when that many threads of this process are about to take the write lock of a file, or wait for it."""
    wait_until(lambda: sum(map(_is_beginning, sys._current_frames().values())) >= number)


def _is_beginning(frame: FrameType | None) -> bool:
    return frame is not None and (frame.f_code is SQLite._begin_transaction.__code__ or _is_beginning(frame.f_back))


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        os.sched_yield()


class Child:
    """A forked process; what it acknowledges arrives here line by line, whatever becomes of it."""

    def __init__(self, work: Callable[[Callable[[str], None]], None]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            self._run(work, writing)
        os.close(writing)
        self._lines = os.fdopen(reading)
        self.status: int | None = None

    @staticmethod
    def _run(work: Callable[[Callable[[str], None]], None], writing: int) -> None:
        status = 1
        signal.alarm(3 * _PATIENCE_SECONDS)  # it never outlives a test run that was broken off
        try:
            work(lambda text: os.write(writing, f"{text}\n".encode()))
            status = 0
        except BaseException as error:  # noqa: BLE001  # told to the test
            os.write(writing, f"failed: {error!r}\n".encode())
        finally:
            os._exit(status)

    def next_line(self) -> str:
        return self._lines.readline().removesuffix("\n")

    def finish(self) -> list[str]:
        """Wait for the process to end; return what it still had to say."""
        lines = self._lines.read().splitlines()
        self._lines.close()
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return lines
