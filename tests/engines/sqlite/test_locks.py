"""A process that holds the write lock and does not move; files that are moved, replaced or removed under a service."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import AVA_PATH
from servers import ROOT, STAYS_OPEN, Server, environment, run, serving, together
from sqlite_helpers import SHM, WAL

from layers_standin.engines.sqlite.files import DATABASE

pytestmark = pytest.mark.slow

SETTINGS = {"STANDIN_PUBLIC_URL": "http://127.0.0.1"}

_HOLDER = """
import sys
from pathlib import Path
from layers_standin.engines.sqlite.engine import SQLite
engine = SQLite(Path(sys.argv[1]))
with engine.transaction():
    engine.write("held", "", "held", b"{}")
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@contextmanager
def suspended_holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Let a process stand still in the middle of a transaction; after the block it is continued, and commits."""
    command = [sys.executable, "-c", _HOLDER, str(folder)]
    held = environment(folder) | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=held, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.communicate(timeout=60)


def assert_unavailable(answer: Any) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "UNAVAILABLE"


def test_a_suspended_holder_of_the_write_lock_stops_no_reads_and_lets_writes_wait_for_seconds_only(folder):
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2") as server:
        before = server.client().get(AVA_PATH).json()["vibe"]
        clients = [server.client() for _ in range(16)]
        for client in clients:
            client.timeout = 30
        with suspended_holder(folder):
            writes = [partial(client.patch, AVA_PATH, json={"vibe": "waits"}) for client in clients[:8]]
            reads = [partial(client.get, AVA_PATH) for client in clients[8:]]
            for _ in range(4):  # 32 writes, which would take half a minute if each waited its whole time
                answers = together([*writes, *reads])
                for answer in answers[:8]:
                    assert_unavailable(answer)
                assert {answer.status_code for answer in answers[8:]} == {200}
                assert {answer.json()["vibe"] for answer in answers[8:]} == {before}
            assert_unavailable(clients[0].get("/_standin/health"))
        assert clients[0].patch(AVA_PATH, json={"vibe": "goes on"}).json()["vibe"] == "goes on"
        assert {client.get(AVA_PATH).json()["vibe"] for client in clients} == {"goes on"}
        assert clients[0].get("/_standin/health").status_code == 200


# Files under a running service


def rename_database(folder: Path) -> Callable[[], None]:
    shutil.move(folder / DATABASE, folder / "moved")
    return partial(shutil.move, folder / "moved", folder / DATABASE)


def remove_database(folder: Path) -> None:
    (folder / DATABASE).unlink()


def replace_database(folder: Path) -> Callable[[], None]:
    """Put a copy in its place, as an editor or a restored backup would."""
    shutil.copy(folder / DATABASE, folder / "copy")
    os.link(folder / DATABASE, folder / "kept")
    os.replace(folder / "copy", folder / DATABASE)
    return partial(os.replace, folder / "kept", folder / DATABASE)


def rename_folder(folder: Path) -> Callable[[], None]:
    shutil.move(folder, folder.with_name("moved"))
    return partial(put_folder_back, folder)


def put_folder_back(folder: Path) -> None:
    if folder.exists():  # the service has made it anew, for the log of requests
        assert not (folder / DATABASE).exists()
        shutil.rmtree(folder)
    shutil.move(folder.with_name("moved"), folder)


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def remove_log(folder: Path) -> None:
    (folder / WAL).unlink()


def rename_log(folder: Path) -> Callable[[], None]:
    shutil.move(folder / WAL, folder / "moved")
    return partial(shutil.move, folder / "moved", folder / WAL)


def remove_index_of_log(folder: Path) -> None:
    (folder / SHM).unlink()


@pytest.mark.parametrize(
    "harm",
    [
        rename_database,
        remove_database,
        replace_database,
        rename_folder,
        remove_folder,
        remove_log,
        rename_log,
        remove_index_of_log,
    ],
)
def test_a_service_whose_files_were_taken_away_writes_nowhere_and_makes_no_new_store(folder, harm):
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="1") as server:
        client = server.client()
        assert client.patch(AVA_PATH, json={"vibe": "before"}).status_code == 200
        put_back = harm(folder)
        for _ in range(3):
            assert_unavailable(client.patch(AVA_PATH, json={"vibe": "into a file without a name"}))
            assert_unavailable(client.get("/_standin/health"))
        assert_unavailable(client.post("/_standin/reset"))
        if harm in (rename_database, remove_database, rename_folder, remove_folder):
            assert not (folder / DATABASE).exists()
        if put_back is not None:
            put_back()
            assert client.get(AVA_PATH).json()["vibe"] == "before"
            assert client.patch(AVA_PATH, json={"vibe": "after"}).json()["vibe"] == "after"


@pytest.mark.parametrize(
    "harm", [rename_database, remove_database, replace_database, remove_log, rename_log, remove_index_of_log]
)
def test_a_second_service_on_what_is_left_makes_no_second_writer_and_no_new_store(folder, harm):
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="1") as first:
        client = first.client()
        assert client.patch(AVA_PATH, json={"vibe": "before"}).status_code == 200
        harm(folder)
        if harm in (rename_database, remove_database):
            ended = run(folder, "gunicorn", "app:app", WEB_CONCURRENCY="1")
            assert ended.returncode == 1
            assert DATABASE in ended.stdout + ended.stderr
            assert not (folder / DATABASE).exists()
            assert_unavailable(client.patch(AVA_PATH, json={"vibe": "first"}))
            return
        with serving_or_refused(folder) as second:
            if second is None:
                assert_unavailable(client.patch(AVA_PATH, json={"vibe": "first"}))
                return
            told = second.client().patch(AVA_PATH, json={"vibe": "second"})
            assert told.status_code == 200
            assert_unavailable(client.patch(AVA_PATH, json={"vibe": "first"}))
            assert second.client().get(AVA_PATH).json()["vibe"] == "second"


@contextmanager
def serving_or_refused(folder: Path) -> Iterator[Server | None]:
    """Run a service, or yield None when it has refused to start in a sentence that names the store."""
    try:
        service = Server(folder, "gunicorn", "app:app", WEB_CONCURRENCY="1")
    except RuntimeError as error:
        assert str(folder) in str(error)
        assert "Traceback" not in str(error)
        yield None
        return
    try:
        yield service
    finally:
        service.kill()
