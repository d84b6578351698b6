"""A real small disk that gets full, or read-only, under a running service, and under one that starts."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import AVA_PATH
from servers import STAYS_OPEN, run, serving

pytestmark = pytest.mark.slow

ONE_WORKER = {"WEB_CONCURRENCY": "1"}


def mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a disk of 4 MB that is in memory."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free on a disk; return the file that takes all the room."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(b"\0" * 512):
            pass
    return filler


def assert_unavailable(answer):
    assert answer.status_code == 503, answer.text
    error = answer.json()["error"]
    assert error.pop("requestId")
    assert error == {"code": "UNAVAILABLE", "message": "The store is unavailable; nothing was changed."}


def fill_by_patches(client, disk: Path) -> Path:
    """Fill the disk, and what room the store's log had already; return the file that takes the rest."""
    filler = fill(disk)
    for number in range(2000):
        answer = client.patch(AVA_PATH, json={"vibe": f"{number} " + "x" * 400})
        if answer.status_code != 200:
            return filler
        fill(disk)
    raise AssertionError("the disk does not get full")


def test_a_disk_that_gets_full_refuses_writes_and_serves_reads_until_there_is_room_again(disk):
    with serving(disk / "store", *STAYS_OPEN, **ONE_WORKER) as server:
        client, workers = server.client(), server.workers()
        filler = fill_by_patches(client, disk)
        before = client.get(AVA_PATH)
        assert before.status_code == 200
        for _ in range(3):
            assert_unavailable(client.patch(AVA_PATH, json={"vibe": "too much"}))
            assert_unavailable(client.get("/_standin/health"))
            assert_unavailable(client.post("/_standin/reset"))
            assert client.get(AVA_PATH).content == before.content
        assert client.get("/v1/projects").status_code == 200
        filler.unlink()
        assert client.patch(AVA_PATH, json={"vibe": "room"}).json()["vibe"] == "room"
        assert client.get("/_standin/health").status_code == 200
        assert server.workers() == workers
    with serving(disk / "store", **ONE_WORKER) as server:
        assert server.client().get(AVA_PATH).json()["vibe"] == "room"


def test_a_start_on_a_full_disk_serves_reads(disk):
    with serving(disk / "store", *STAYS_OPEN, **ONE_WORKER) as server:
        client = server.client()
        filler = fill_by_patches(client, disk)
        before = client.get(AVA_PATH).content
        server.kill()
    fill(disk)
    with serving(disk / "store", *STAYS_OPEN, **ONE_WORKER) as server:
        client = server.client()
        assert client.get(AVA_PATH).json()["vibe"].encode() in before
        assert client.get(AVA_PATH).status_code == 200
        filler.unlink()
        assert client.patch(AVA_PATH, json={"vibe": "room"}).json()["vibe"] == "room"
        assert client.get("/_standin/health").status_code == 200


def test_a_first_start_on_a_full_disk_says_so_in_one_sentence_and_starts_when_there_is_room(disk):
    filler = fill(disk)
    ended = run(disk / "store", "gunicorn", "app:app", **ONE_WORKER)
    assert ended.returncode == 1
    assert str(disk / "store") in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    filler.unlink()
    with serving(disk / "store", **ONE_WORKER) as server:
        assert server.client().get(AVA_PATH).status_code == 200


def test_a_disk_that_becomes_read_only_serves_reads_and_takes_writes_when_it_is_writable_again(disk):
    with serving(disk / "store", *STAYS_OPEN, **ONE_WORKER) as server:
        client, workers = server.client(), server.workers()
        assert client.patch(AVA_PATH, json={"vibe": "before"}).status_code == 200
        remounted = mount("-o", "remount,ro", str(disk))
        if remounted.returncode:  # a file that is open for writing keeps some kernels from it
            pytest.skip(f"the disk cannot be made read-only under the service: {remounted.stderr.strip()}")
        assert_unavailable(client.patch(AVA_PATH, json={"vibe": "read-only"}))
        assert_unavailable(client.get("/_standin/health"))
        assert client.get(AVA_PATH).json()["vibe"] == "before"
        assert mount("-o", "remount,rw", str(disk)).returncode == 0
        assert client.patch(AVA_PATH, json={"vibe": "after"}).json()["vibe"] == "after"
        assert client.get("/_standin/health").status_code == 200
        assert server.workers() == workers


def test_a_start_on_a_read_only_disk_serves_reads_or_says_so_in_one_sentence(disk):
    with serving(disk / "store", **ONE_WORKER) as server:
        assert server.client().patch(AVA_PATH, json={"vibe": "before"}).status_code == 200
        server.stop()
    assert mount("-o", "remount,ro", str(disk)).returncode == 0
    with serving(disk / "store", *STAYS_OPEN, **ONE_WORKER) as server:
        (told,) = [line for line in server.output.splitlines() if str(disk) in line and "keeps its data" not in line]
        assert told.startswith("The store's file ")
        assert told.endswith("Reads are served; changes are answered with 503 until it takes writes.")
        assert "Not tidied" not in server.output
        client = server.client()
        assert client.get(AVA_PATH).json()["vibe"] == "before"
        assert_unavailable(client.patch(AVA_PATH, json={"vibe": "read-only"}))
        assert_unavailable(client.get("/_standin/health"))
        assert mount("-o", "remount,rw", str(disk)).returncode == 0
        assert client.patch(AVA_PATH, json={"vibe": "after"}).json()["vibe"] == "after"
        assert client.get("/_standin/health").status_code == 200
