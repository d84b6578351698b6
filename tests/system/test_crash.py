"""The service is killed, stopped and starved of disk: what it acknowledged stays, and nothing half done does.

`CRASH_ROUNDS` and `CRASH_SEED` in the environment make the torture longer, or the same as one that failed.
"""

import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from conftest import AVA, AVA_PATH, DEMO
from databases import Pages
from servers import PATIENCE_SECONDS, STAYS_OPEN, Server, eventually, opened, seeded, serving

from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Record
from layers_standin.services import open_services
from layers_standin.settings import Settings
from layers_standin.startup import write_log_back

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("CRASH_SEED", str(time.time_ns() % 10**9)))
WRITERS = 4
LIVES = 300
ASSETS = [
    "asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9", "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0", "asset_01HXZ9N3P5Q7R9S1T3V5W7X9Y1",
    "asset_01HXZB5A7B9C1D3E5F7G9H1J3K", "asset_01HXZB6N8P0Q2R4S6T8V0W2X4Y", "asset_01HXZC8Q0R2S4T6V8W0X2Y4Z6A",
]  # fmt: skip


class State(NamedTuple):
    """What the writes of this module touch in an influencer; name and vibe always carry the same number."""

    name: str = "0"
    vibe: str = "0"
    assets: tuple[str, ...] = ()
    deletion: str | None = None


class Write(NamedTuple):
    """A request that changes one influencer, and the state it leads to."""

    influencer: str
    method: str
    suffix: str
    body: Record
    after: State

    def send(self, client: httpx.Client) -> httpx.Response:
        path = f"/v1/influencers/{self.influencer}{self.suffix}"
        headers = {"Idempotency-Key": self.after.name}  # unique, because method and path count too
        return client.request(self.method, path, json=self.body, headers=headers)


def writes_to(influencers: list[str]) -> Iterator[Write]:
    """Yield the lives of all but the last, which is patched for ever."""
    *mortal, immortal = influencers
    for influencer in mortal:
        yield from life_of(influencer)
    for number in count(1):
        yield patch(immortal, State(str(number), str(number)))


def life_of(influencer: str) -> Iterator[Write]:
    """Yield writes that patch it, attach two assets, patch it again, … and delete it."""
    state = State()
    for number, pair in enumerate(zip(ASSETS[::2], ASSETS[1::2], strict=True), 1):
        state = state._replace(name=str(number), vibe=str(number))
        yield patch(influencer, state)
        state = state._replace(assets=state.assets + pair)
        yield Write(influencer, "POST", "/reference-images", {"assetIds": pair}, state)
    yield Write(influencer, "DELETE", "", {"reason": "the end"}, state._replace(deletion="the end"))


def patch(influencer: str, after: State) -> Write:
    return Write(influencer, "PATCH", "", {"name": after.name, "vibe": after.vibe}, after)


class Writer:
    """A client that makes one write after the other and keeps what it was told.

    `pending` is the write it has sent and heard nothing of: it sends that one again before any other.
    """

    def __init__(self, prefix: str) -> None:
        self.influencers = [f"{prefix}-{number}" for number in range(LIVES)]
        self.acknowledged = dict.fromkeys(self.influencers, State())
        self.count = 0
        self.pending: Write | None = None
        self.pending_acted: bool | None = None
        self._writes = writes_to(self.influencers)

    def write_until_cut_off(self, server: Server) -> None:
        with httpx.Client(base_url=server.url, headers=DEMO, timeout=60) as client, suppress(httpx.TransportError):
            while True:
                self._write(client)

    def write_until(self, enough: threading.Event, server: Server) -> None:
        """Write on whatever happens to a connection."""
        while not enough.is_set() or self.pending:
            with httpx.Client(base_url=server.url, headers=DEMO, timeout=60) as client, suppress(httpx.TransportError):
                while not enough.is_set() or self.pending:
                    self._write(client)

    def compare(self, found: dict[str, State]) -> None:
        """Check that all it was told is there, and the write it heard nothing of is there whole or not at all."""
        expected = dict(self.acknowledged)
        if self.pending is not None:
            self.pending_acted = found[self.pending.influencer] == self.pending.after
            if self.pending_acted:
                expected[self.pending.influencer] = self.pending.after
        assert {influencer: found[influencer] for influencer in self.influencers} == expected

    def _write(self, client: httpx.Client) -> None:
        write = self.pending = self.pending or next(self._writes)
        reply = write.send(client)
        assert reply.status_code == 200, reply.text
        if self.pending_acted is not None:  # the outcome was filed with the effect, or neither was
            assert (reply.headers.get("Idempotent-Replayed") == "true") == self.pending_acted
        self.acknowledged[write.influencer] = write.after
        self.pending = self.pending_acted = None
        self.count += 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def writers(folder: Path) -> list[Writer]:
    """Writers of a new store, each with influencers of its own."""
    writers = [Writer(f"writer{number}") for number in range(WRITERS)]
    with seeded(folder) as store, store.db.transaction():
        ava = store.for_organization(store.organizations.all()[0]["id"]).influencer(AVA)
        for influencer in (influencer for writer in writers for influencer in writer.influencers):
            changes = {"influencerId": influencer, "name": "0", "vibe": "0", "referenceImages": []}
            store.tables.put("influencers", ava | changes)
    return writers


@contextmanager
def load(server: Server, work: Iterable[Callable[[Server], None]]) -> Iterator[None]:
    """Have the work done in threads while the block runs; it is over, and went well, when this is left."""
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(job, server) for job in work]
        try:
            yield
        except BaseException:
            server.kill()
            raise
        for future in futures:
            future.result()


def check(folder: Path, writers: list[Writer]) -> None:
    """Open the store as a new process would and compare it with what the writers were told."""
    with opened(folder) as store:
        found = {doc.doc_id: state_of(doc) for doc in store.db.table("influencers", store.organizations.all()[0]["id"])}
    for writer in writers:
        writer.compare(found)


def state_of(document: Record) -> State:
    deletion = document["attributes"].get("deletion")
    assert document["is_archived"] == (deletion is not None)
    assets = tuple(entry["assetId"] for entry in document["referenceImages"])
    return State(document["name"], document["vibe"], assets, deletion and deletion["reason"])


def test_a_power_cut_at_any_moment_takes_nothing_acknowledged_and_leaves_nothing_half_done(folder, writers):
    print(f"CRASH_SEED={SEED} CRASH_ROUNDS={ROUNDS}")  # noqa: T201  # pytest shows it when this fails
    moments = random.Random(SEED)
    for _ in range(ROUNDS):
        with serving(folder) as server, load(server, [writer.write_until_cut_off for writer in writers]):
            await_writes(writers, 1)
            time.sleep(moments.uniform(0, 0.2))
            server.kill()
        check(folder, writers)


def test_a_graceful_stop_loses_nothing_and_ends_with_0(folder, writers):
    with serving(folder) as server, load(server, [writer.write_until_cut_off for writer in writers]):
        await_writes(writers, 100)
        assert server.stop() == 0
    check(folder, writers)


def test_when_one_worker_is_killed_the_others_go_on_and_nothing_is_lost(folder, writers):
    print(f"CRASH_SEED={SEED}")  # noqa: T201
    choice = random.Random(SEED)
    enough = threading.Event()
    with serving(folder) as server:
        with load(server, [partial(writer.write_until, enough) for writer in writers]):
            for _ in range(5):
                kill_worker(server, choice)
                await_writes(writers, 50)
            enough.set()
        assert server.process.poll() is None
        check(folder, writers)
    assert [writer.pending for writer in writers] == [None] * WRITERS


def kill_worker(server: Server, choice: random.Random) -> None:
    """Kill one of two workers, which may be in the middle of anything; return when gunicorn has replaced it."""
    killed = choice.choice(server.workers())
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(server.workers()) == 2 and killed not in server.workers(), "a new worker")


def await_writes(writers: list[Writer], number: int) -> None:
    """Return when so many more writes have been acknowledged."""
    enough = sum(writer.count for writer in writers) + number
    eventually(lambda: sum(writer.count for writer in writers) >= enough, f"{number} writes")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets one process limit another")
def test_a_full_disk_is_a_503_that_changes_nothing_until_there_is_room_again(folder):
    with serving(folder, *STAYS_OPEN) as server:
        workers = server.workers()
        clients = [server.client_of(worker) for worker in workers]
        acknowledged = clients[0].patch(AVA_PATH, json={"name": "Ava before"}).content
        stored = Pages(folder / DATABASE).read_bytes()
        limit_files(workers, 4096)  # a commit writes more than a page into the log, wherever it begins there
        for client in clients:
            for refused in every_write(client):
                assert_unavailable(refused)
            assert_unavailable(client.get("/_standin/health"))
            assert client.get(AVA_PATH).content == acknowledged
        assert Pages(folder / DATABASE).read_bytes() == stored
        limit_files(workers, resource.RLIM_INFINITY)
        assert [client.get("/_standin/health").status_code for client in clients] == [200, 200]
        for number, client in enumerate(clients):
            told = client.patch(AVA_PATH, json={"name": f"Ava {number}"}).raise_for_status().content
            assert [other.get(AVA_PATH).content for other in clients] == [told, told]
        assert server.workers() == workers
    with serving(folder) as server:
        assert server.client().get(AVA_PATH).json()["name"] == "Ava 1"


def limit_files(workers: list[int], size: int) -> None:
    """Let no file of these processes grow beyond a size: to them the disk is full."""
    for worker in workers:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def every_write(client: httpx.Client) -> Iterator[httpx.Response]:
    yield client.patch(AVA_PATH, json={"name": "Ava never", "vibe": "never"}, headers={"Idempotency-Key": "never"})
    yield client.post(f"{AVA_PATH}/reference-images", json={"assetIds": ASSETS})
    yield client.delete(AVA_PATH)


def assert_unavailable(reply: httpx.Response) -> None:
    message = "The store is unavailable; nothing was changed."
    error = {"code": "UNAVAILABLE", "message": message, "requestId": reply.headers["X-Request-Id"]}
    assert (reply.status_code, reply.json()) == (503, {"error": error})


# The end


def test_the_end_leaves_one_file_even_when_no_worker_has_closed_it(tmp_path):
    log = tmp_path / "store" / f"{DATABASE}-wal"
    with serving(tmp_path / "store") as server:
        assert server.client().patch(AVA_PATH, json={"vibe": "kept"}).status_code == 200
        assert log.stat().st_size > 0
        workers = server.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        server.process.terminate()  # seen first, so that no others are started in their place
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        assert server.process.wait(PATIENCE_SECONDS) == 0

        assert log.stat().st_size == 0
    with opened(tmp_path / "store") as store:
        assert store.for_organization(store.organizations.all()[0]["id"]).influencer(AVA)["vibe"] == "kept"


def test_a_store_that_others_have_open_or_that_is_gone_is_left_alone_at_the_end(tmp_path):
    settings = Settings(data=tmp_path / "store", sync=False)
    log = tmp_path / "store" / f"{DATABASE}-wal"
    write_log_back(settings)
    assert not settings.data.exists()
    services = open_services(settings)
    before = log.read_bytes()

    write_log_back(settings)
    assert log.read_bytes() == before != b""

    services.store.db.close()
    assert log.read_bytes() == b""
