"""Processes are killed at any moment: what was acknowledged is there, everything else whole or not at all.

`KILL_SEED` in the environment makes the moments those of a run that failed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_helpers import SPRING
from conftest import AVA, DEMO
from servers import ROOT, STAYS_OPEN, Server, documents, environment, eventually, opened, run, serving

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("KILL_SEED", str(time.time_ns() % 10**9)))
GUNICORN = ("gunicorn", "app:app")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def moments() -> random.Random:
    print(f"KILL_SEED={SEED}")  # noqa: T201 - pytest shows it when the test fails
    return random.Random(SEED)


class Client:
    """Creates projects, patches and deletes them, and knows of each what it was told and what it may find.

    A project of `told` has the name of its last acknowledged change, or None when it was deleted; `pending` is a change
    that was sent and not answered.
    """

    def __init__(self, mark: str) -> None:
        self.told: dict[str, str | None] = {}
        self.pending: tuple[str, str | None] | None = None
        self.pending_create: str | None = None
        self._mark = mark
        self._numbers = count()
        self.acknowledged = 0

    def work(self, server: Server) -> None:
        """Change one project after the other until the connection breaks."""
        with httpx.Client(base_url=server.url, headers=DEMO, timeout=60) as client, suppress(httpx.TransportError):
            while True:
                self._create(client)
                project = next(reversed(self.told))
                for _ in range(3):
                    self._change(client, "PATCH", project, f"{self._mark} {next(self._numbers)}")
                if next(self._numbers) % 2:
                    self._change(client, "DELETE", project, None)

    def compare(self, found: dict[str, str | None]) -> None:
        """Check what a new process finds, and go on from there."""
        if self.pending is not None:
            project, name = self.pending
            if found[project] == name:
                self.told[project] = name
        assert {project: found[project] for project in self.told} == self.told
        new = [name for project, name in found.items() if project not in self.told]
        others = {name for name in new if name is not None and name.startswith(self._mark)}
        assert others <= {self.pending_create}
        self.told |= {project: name for project, name in found.items() if name in others}
        self.pending = self.pending_create = None

    def _create(self, client: httpx.Client) -> None:
        self.pending_create = f"{self._mark} {next(self._numbers)}"
        answer = client.post("/v1/projects", json={"name": self.pending_create, "timezone": "UTC"})
        assert answer.status_code == 201, answer.text
        self.told[answer.json()["id"]] = self.pending_create
        self.pending_create = None
        self.acknowledged += 1

    def _change(self, client: httpx.Client, method: str, project: str, name: str | None) -> None:
        self.pending = (project, name)
        answer = client.request(method, f"/v1/projects/{project}", json={} if name is None else {"name": name})
        assert answer.status_code == 200, answer.text
        self.told[project] = name
        self.pending = None
        self.acknowledged += 1


def await_acknowledged(clients: list[Client], number: int, jobs: list[Future[None]]) -> None:
    """Return when so many more changes have been acknowledged, or a client has failed."""
    enough = sum(client.acknowledged for client in clients) + number
    eventually(
        lambda: sum(client.acknowledged for client in clients) >= enough or any(job.done() for job in jobs),
        f"{number} more changes",
    )


def projects_in(folder: Path) -> dict[str, str | None]:
    """Return the names of all projects by id, None for one that was deleted, as a new process finds them."""
    return {row["id"]: None if row["status"] == "archived" else row["name"] for row in documents(folder)["projects"]}


def compare_all(clients: list[Client], folder: Path) -> None:
    """Compare the store, as a new process finds it, with the acknowledgements of each client."""
    found = projects_in(folder)
    for client in clients:
        client.compare(found)


def assert_enough(clients: list[Client]) -> None:
    assert sum(client.acknowledged for client in clients) >= 5 * ROUNDS


def test_no_kill_of_all_processes_takes_anything_acknowledged(folder, moments):
    clients = [Client(f"client {number}") for number in range(4)]
    for _ in range(ROUNDS):
        with serving(folder) as server, ThreadPoolExecutor(len(clients)) as pool:
            jobs = [pool.submit(client.work, server) for client in clients]
            await_acknowledged(clients, 5, jobs)
            time.sleep(moments.uniform(0, 0.2))
            server.kill()
            for job in jobs:
                job.result()
        compare_all(clients, folder)
    assert_enough(clients)
    assert run(folder, "layers_standin", "store", "verify").returncode == 0


def test_no_kill_of_single_workers_takes_anything_acknowledged(folder, moments):
    clients = [Client(f"client {number}") for number in range(4)]
    enough = threading.Event()

    def work(client: Client, server: Server) -> None:
        while not enough.is_set():
            client.work(server)
            client.compare(projects_in(folder))

    with serving(folder) as server, ThreadPoolExecutor(len(clients)) as pool:
        jobs = [pool.submit(work, client, server) for client in clients]
        for _ in range(ROUNDS):
            await_acknowledged(clients, 5, jobs)
            time.sleep(moments.uniform(0, 0.1))
            with suppress(ProcessLookupError):
                os.kill(moments.choice(eventually(server.workers, "a worker")), signal.SIGKILL)
        enough.set()
        assert server.process.poll() is None
        server.kill()
        for job in jobs:
            job.result()
    compare_all(clients, folder)
    assert_enough(clients)


# Long steps


def killed_at(seconds: float, folder: Path, *command: str) -> None:
    """Run a command and kill it with all its processes when that time has gone by, if it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def whole(folder: Path) -> Any:
    """Return how many documents each table has."""
    return {table: len(rows) for table, rows in documents(folder).items() if table != "secrets"}


def test_a_kill_while_it_is_seeded_leaves_a_store_that_the_next_start_fills(folder, moments, tmp_path):
    with serving(tmp_path / "whole"):
        pass
    expected = whole(tmp_path / "whole")
    for number in range(10):
        here = folder.with_name(f"store{number}")
        killed_at(moments.uniform(0.6, 2.0), here, *GUNICORN)
        with serving(here) as server:
            assert server.client().get(f"/v1/influencers/{AVA}").status_code == 200
        assert whole(here) == expected


def test_a_kill_while_it_is_imported_leaves_all_or_nothing(folder, moments, tmp_path):
    with serving(tmp_path / "from"):
        pass
    exported = json.loads(run(tmp_path / "from", "layers_standin", "store", "export").stdout)
    project = next(iter(exported["projects"].values()))
    exported["projects"] |= {
        str(number): project | {"id": f"proj_{number:026}", "name": f"{number}"} for number in range(100, 3100)
    }
    file = tmp_path / "backup.json"
    file.write_text(json.dumps(exported))
    seen = set()
    for number in range(10):
        here = folder.with_name(f"store{number}")
        killed_at(moments.uniform(0.8, 3.0), here, "layers_standin", "store", "import", str(file))
        found = len(documents(here).get("projects", [])) if here.exists() else 0
        assert found in (0, len(exported["projects"]))
        seen.add(found)
    assert seen


def test_a_kill_during_reset_snapshot_restore_or_an_upload_leaves_each_whole_or_undone(folder, moments):
    """Between marks that are set one after the other, so that what is found tells where it was killed."""
    for _ in range(10):
        with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2") as server, ThreadPoolExecutor(2) as pool:
            states: list[tuple[str, str]] = []
            jobs = [pool.submit(turn_around, server, states), pool.submit(upload, server)]
            time.sleep(moments.uniform(0.1, 0.6))
            server.kill()
            for job in jobs:
                job.result()
        with opened(folder) as store:
            organization = store.organizations.all()[0]["id"]
            vibe = store.for_organization(organization).influencer(AVA)["vibe"]
            saved = {each.name for each in store.db.list_snapshots()}
        assert saved <= {"s"}
        if states:
            done, under_way = states[-1]
            assert vibe in (done, under_way), states[-3:]
        verified = run(folder, "layers_standin", "store", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr


def turn_around(server: Server, states: list[tuple[str, str]]) -> None:
    """Patch, snapshot, patch, restore, reset, until the connection breaks; note (what is there, what is coming)."""
    path = f"/v1/influencers/{AVA}"
    with httpx.Client(base_url=server.url, headers=DEMO, timeout=60) as client, suppress(httpx.TransportError):
        seed = "calm and curious"
        assert client.post("/_standin/reset").status_code == 200
        states.append((seed, seed))
        for number in count():
            first, second = f"first {number}", f"second {number}"
            steps: list[tuple[Callable[[], httpx.Response], str]] = [
                (partial(client.patch, path, json={"vibe": first}), first),
                (partial(client.post, "/_standin/snapshots", json={"name": "s"}), first),
                (partial(client.patch, path, json={"vibe": second}), second),
                (partial(client.post, "/_standin/snapshots/s/restore"), first),
                (partial(client.post, "/_standin/reset"), seed),
            ]
            for step, after in steps:
                states.append((states[-1][1], after))
                answer = step()
                assert answer.status_code in (200, 201), answer.text


def upload(server: Server) -> None:
    """Promise, send and finalize uploads until the connection breaks."""
    picture = next((ROOT / "data" / "pictures").glob("*.*")).read_bytes()
    with httpx.Client(base_url=server.url, headers=DEMO, timeout=60) as client, suppress(httpx.TransportError):
        while True:
            presigned = client.post(
                f"/v1/projects/{SPRING}/media/presign", json={"kind": "image", "mimeType": "image/jpeg"}
            )
            if presigned.status_code != 200:  # a reset came between
                continue
            promised = presigned.json()
            client.put(promised["uploadUrl"], content=picture, headers=promised["headers"])
            client.post(f"/v1/projects/{SPRING}/media/finalize", json={"uploadId": promised["uploadId"]})


# Several services on one folder


def test_eight_workers_of_four_services_lose_no_update_and_read_nothing_stale(folder):
    """Each client alters the same influencers, each time from what it reads, through another service each time."""
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2")) for _ in range(4)]
        enough = threading.Event()
        written: list[dict[str, int]] = [{} for _ in range(6)]

        def work(number: int) -> None:
            """Set a key of its own in the metadata that all share, and read each acknowledged change elsewhere."""
            chance = random.Random(number)
            clients = [server.client() for server in servers]
            own = clients[0].post("/v1/projects", json={"name": "0", "timezone": "UTC"}).json()["id"]
            for turn in count(1):
                if enough.is_set():
                    return
                key = f"k{number}-{turn % 3}"
                body = {"personality": {"tone": f"{number}"}, "vibe": f"{number} {turn}"}
                assert chance.choice(clients).patch(f"/v1/influencers/{AVA}", json=body).status_code == 200
                changed = chance.choice(clients).patch(f"/v1/projects/{own}", json={"name": str(turn)})
                assert changed.json()["name"] == str(turn)
                for client in chance.sample(clients, 2):
                    assert client.get(f"/v1/projects/{own}").json()["name"] == str(turn)  # nothing stale
                written[number][key] = turn

        with ThreadPoolExecutor(6) as pool:
            jobs = [pool.submit(work, number) for number in range(6)]
            while min(sum(each.values()) for each in written) < 30 and not any(job.done() for job in jobs):
                time.sleep(0.02)
            enough.set()
            for job in jobs:
                job.result()
        history = servers[-1].client().get(f"/_standin/influencers/{AVA}/history").json()["changes"]
    turns = [change["after"]["vibe"] for change in history if change.get("after", {}).get("vibe")]
    assert len(turns) == len(set(turns))
    for number in range(6):
        found = [int(turn.split()[1]) for turn in reversed(turns) if turn.startswith(f"{number} ")]
        assert found == sorted(found), number
    befores = [change["before"].get("vibe") for change in history if change.get("after", {}).get("vibe")]
    assert befores[:-1] == turns[1:]  # each change was made on the one before it: none was lost
