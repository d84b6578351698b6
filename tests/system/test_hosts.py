"""Several hosts on one database: what one of them acknowledged all know, whatever becomes of the database meanwhile."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import databases
import httpx
import pytest
from conftest import AVA_PATH
from servers import Server, eventually, hosts_on, together

from layers_standin.engines.table import Record

pytestmark = pytest.mark.slow

pytest.importorskip("psycopg")

ROOT = "/_standin"
INFLUENCERS = "/v1/projects/proj_01HX4T9K2M7Q5R8VJ3NBCD6EFG/influencers"
SECRET = "s3cret-s3cret"
UNAVAILABLE = "The store is unavailable; nothing was changed."
UNCONFIRMED = "The store is unavailable; this may or may not have been done."


@pytest.fixture(scope="module")
def crew(server_of_databases: databases.Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with hosts_on(server_of_databases.new(), tmp_path_factory.mktemp("hosts"), STANDIN_RATE_LIMITS="on") as servers:
        yield servers


@pytest.fixture
def hosts(crew: list[Server]) -> list[httpx.Client]:
    """Return a client of each host, with the demo key; all is as in the seed."""
    clients = [server.client() for server in crew]
    for client in clients:
        client.delete(f"{ROOT}/requests").raise_for_status()
    clients[0].post(f"{ROOT}/reset").raise_for_status()
    return clients


def partner(host: httpx.Client) -> dict[str, str]:
    """Return the headers of a key that is counted generously."""
    organization = host.get("/v1/whoami").json()["organizationId"]
    made = host.post(f"{ROOT}/organizations/{organization}/keys", json={"rateLimitTier": "partner"})
    return {"X-Api-Key": made.raise_for_status().json()["apiKey"]}


def of_all(hosts: list[httpx.Client], times: int, call: Callable[[httpx.Client, int], Any]) -> list[Any]:
    """Let every host be called so often, all at one moment."""
    return together(partial(call, host, number) for number in range(times) for host in hosts)


# What all hosts know


def test_hosts_that_start_at_one_moment_on_an_empty_database_fill_it_once(hosts):
    names = [[item["name"] for item in host.get("/v1/projects").json()["items"]] for host in hosts]
    assert names == [names[0]] * 3
    assert len(set(names[0])) == len(names[0]) == 2
    assert len({host.get(AVA_PATH).content for host in hosts}) == 1


def test_what_one_host_acknowledged_every_host_reads_at_once(hosts):
    headers = partner(hosts[0])
    for number in range(30):
        hosts[number % 3].patch(AVA_PATH, json={"name": f"Ava {number}"}, headers=headers).raise_for_status()
        assert [host.get(AVA_PATH, headers=headers).json()["name"] for host in hosts] == [f"Ava {number}"] * 3


def test_ids_are_unique_across_hosts_and_every_influencer_is_in_the_list_once(hosts):
    headers = partner(hosts[0])
    before = len(hosts[0].get(INFLUENCERS, headers=headers).json()["items"])

    def create(host: httpx.Client, number: int) -> str:
        reply = host.post(INFLUENCERS, json={"name": f"Kim {number}"}, headers=headers)
        return str(reply.raise_for_status().json()["jobId"])

    made = together(partial(lambda host: [create(host, number) for number in range(10)], host) for host in hosts)
    jobs = [job for some in made for job in some]
    assert len(set(jobs)) == len(jobs) == 30
    listed, cursor, turn = [], None, 0
    while turn == 0 or cursor:
        query = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = hosts[turn % 3].get(INFLUENCERS, params=query, headers=headers).raise_for_status().json()
        listed, cursor, turn = listed + [item["influencerId"] for item in page["items"]], page["nextCursor"], turn + 1
    assert len(set(listed)) == len(listed) == before + 30


def test_patches_of_different_fields_through_different_hosts_all_stay(hosts):
    headers = partner(hosts[0])
    keys = ["traits", "values", "interests"]

    def patch_often(host: httpx.Client, key: str) -> None:
        for number in range(20):
            host.patch(AVA_PATH, json={"personality": {key: [str(number)]}}, headers=headers).raise_for_status()

    together(partial(patch_often, host, key) for host, key in zip(hosts, keys, strict=True))
    personality = hosts[0].get(AVA_PATH, headers=headers).json()["personality"]
    assert {key: personality[key] for key in keys} == {key: ["19"] for key in keys}


def test_of_simultaneous_twins_through_all_hosts_one_acts_and_the_others_replay(hosts):
    headers = partner(hosts[0]) | {"Idempotency-Key": "once"}
    asked = {"json": {"name": "Ava the only"}, "headers": headers, "timeout": 60}
    replies = of_all(hosts, 4, lambda host, _: httpx.patch(f"{host.base_url}{AVA_PATH}", **asked))
    assert {reply.status_code for reply in replies} == {200}
    assert sorted(reply.headers.get("Idempotent-Replayed", "") for reply in replies) == [""] + ["true"] * 11
    history = hosts[1].get(f"{ROOT}{AVA_PATH.removeprefix('/v1')}/history").json()["changes"]
    assert len(history) == 1


def test_of_simultaneous_deletions_through_all_hosts_exactly_one_acts(hosts):
    headers = partner(hosts[0])
    replies = of_all(hosts, 1, lambda host, _: host.delete(AVA_PATH, headers=headers))
    assert sorted(reply.status_code for reply in replies) == [200, 404, 404]


def test_a_key_that_is_made_on_one_host_and_killed_on_another_is_so_on_all(hosts):
    headers = partner(hosts[0])
    me = [host.get("/v1/whoami", headers=headers).json() for host in hosts]
    assert me == [me[0]] * 3
    hosts[1].post(f"/v1/api-keys/{me[0]['apiKeyId']}/kill").raise_for_status()
    codes = [host.get("/v1/whoami", headers=headers).json()["error"]["code"] for host in hosts]
    assert codes == ["KILL_SWITCH"] * 3


def test_a_clock_that_is_set_on_one_host_is_that_of_all(hosts):
    hosts[0].put(f"{ROOT}/clock", json={"mode": "frozen", "at": "2030-01-01T00:00:00Z"}).raise_for_status()
    for number, host in enumerate(hosts):
        changed = host.patch(AVA_PATH, json={"name": f"Ava {number}"}).raise_for_status().json()
        assert changed["updatedAt"] == "2030-01-01T00:00:00Z"
    together(partial(host.put, f"{ROOT}/clock", json={"advance": "PT1H"}) for host in hosts)
    assert {host.get(f"{ROOT}/clock").json()["now"] for host in hosts} == {"2030-01-01T03:00:00.000Z"}


def test_a_fault_that_is_made_on_one_host_strikes_on_all_as_often_as_it_was_told_to(hosts):
    rule = {"match": {"operation": "whoami"}, "answer": {"code": "UNAVAILABLE"}, "times": 5}
    hosts[0].post(f"{ROOT}/faults", json=rule).raise_for_status()
    replies = of_all(hosts, 1, lambda host, _: [host.get("/v1/whoami").status_code for _ in range(5)])
    assert sorted(status for statuses in replies for status in statuses) == [200] * 10 + [503] * 5
    assert [host.get(f"{ROOT}/faults").json()["items"][0]["used"] for host in hosts] == [5] * 3


def test_requests_are_counted_across_hosts(hosts):
    hosts[0].put(f"{ROOT}/clock", json={"mode": "frozen", "at": "2030-01-01T00:00:00Z"}).raise_for_status()

    def spend(host: httpx.Client, _: int) -> list[int]:
        return [host.post(INFLUENCERS, json={}).status_code for _ in range(10)]

    statuses = [status for spent in of_all(hosts, 1, spend) for status in spent]
    assert sorted(statuses) == [422] * 20 + [429] * 10


def test_a_snapshot_is_brought_back_for_every_host_by_the_one_that_has_its_pictures(hosts):
    hosts[0].patch(AVA_PATH, json={"name": "Ava before"}).raise_for_status()
    hosts[0].post(f"{ROOT}/snapshots", json={"name": "before"}).raise_for_status()
    hosts[1].patch(AVA_PATH, json={"name": "Ava after"}).raise_for_status()
    # Each has a media folder of its own here: with a bucket, any host could do it.
    assert hosts[2].post(f"{ROOT}/snapshots/before/restore").status_code == 503
    assert [host.get(AVA_PATH).json()["name"] for host in hosts] == ["Ava after"] * 3
    hosts[0].post(f"{ROOT}/snapshots/before/restore").raise_for_status()
    assert [host.get(AVA_PATH).json()["name"] for host in hosts] == ["Ava before"] * 3


def test_hosts_sign_with_one_key_even_when_all_need_it_first_at_one_moment(hosts):
    hosts[0].post(f"{ROOT}/reset", json={"to": "empty"}).raise_for_status()
    made = hosts[0].post(f"{ROOT}/organizations").raise_for_status().json()
    headers = {"X-Api-Key": made["apiKey"]}
    project = hosts[0].post("/v1/projects", json={"name": "A", "timezone": "UTC"}, headers=headers).json()["id"]
    promise = {"kind": "video", "mimeType": "video/mp4"}
    path = f"/v1/projects/{project}/media/presign"
    promised = of_all(hosts, 1, lambda host, _: host.post(path, json=promise, headers=headers).raise_for_status())
    signatures = [reply.json()["uploadUrl"].rpartition("/")[2] for reply in promised]
    for host, signature in zip(hosts[1:] + hosts[:1], signatures, strict=True):
        put = host.put(f"/v1/uploads/{signature}", content=b"bytes", headers={"Content-Type": "video/mp4"})
        assert put.status_code == 200, put.text


def test_each_host_has_a_request_log_of_its_own(hosts):
    for number, host in enumerate(hosts):
        host.patch(AVA_PATH, json={"name": f"Ava {number}"}).raise_for_status()
    logs = [host.get(f"{ROOT}/requests", params={"operation": "patchInfluencer"}).json()["items"] for host in hosts]
    assert [[entry["request"] for entry in log] for log in logs] == [[f'{{"name":"Ava {n}"}}'] for n in range(3)]


# The database is killed


class Writer:
    """Patches an influencer of its own, again and again with one number more, and keeps what it was told.

    What is refused with the envelope it sends again, under the same Idempotency-Key: nothing else may happen.
    """

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self.path, self._headers = path, headers
        self.acknowledged = self.refused = 0

    def write_until(self, enough: threading.Event, server: Server) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not enough.is_set():
                self._write(client, self.acknowledged + 1)

    def _write(self, client: httpx.Client, number: int) -> None:
        headers = self._headers | {"Idempotency-Key": f"{self.path} {number}"}
        reply = client.patch(self.path, json={"name": str(number), "vibe": str(number)}, headers=headers)
        if reply.status_code == 200:
            self.acknowledged = number
        else:
            assert_unavailable(reply)
            self.refused += 1


def assert_unavailable(reply: httpx.Response) -> None:
    error: Record = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (503, "UNAVAILABLE")
    assert error["message"] in (UNAVAILABLE, UNCONFIRMED)
    assert error.keys() == {"code", "message", "requestId"}


def test_a_database_killed_under_load_takes_nothing_acknowledged_and_the_hosts_recover_by_themselves(tmp_path):
    database = databases.Server()  # with the durability it has by default
    try:
        with hosts_on(f"{database.url}&password={SECRET}", tmp_path, 2) as servers:
            workers = [server.workers() for server in servers]
            client = servers[0].client()
            headers = partner(client)
            writers = [Writer(path_of(client, headers, name), headers) for name in "ABCD"]
            with load(writers, servers):
                for _ in range(3):
                    await_all(writers, "acknowledged", 20)
                    database.kill()
                    await_all(writers, "refused", 3)
                    database.start()
                await_all(writers, "acknowledged", 20)
            for writer in writers:
                found = [server.client().get(writer.path, headers=headers).json() for server in servers]
                assert [(one["name"], one["vibe"]) for one in found] == [(str(writer.acknowledged),) * 2] * 2
            assert [server.workers() for server in servers] == workers
            said = "".join(server.output for server in servers)
        assert "does not serve" in said
        assert SECRET not in said
    finally:
        database.remove()


@contextmanager
def load(writers: list[Writer], servers: list[Server]) -> Iterator[None]:
    """Let the writers write, through each server in turn, while the block runs."""
    enough = threading.Event()
    with ThreadPoolExecutor(len(writers)) as pool:
        futures = [
            pool.submit(writer.write_until, enough, servers[number % len(servers)])
            for number, writer in enumerate(writers)
        ]
        try:
            yield
        finally:
            enough.set()
        for future in futures:
            future.result()


def test_a_host_killed_under_load_takes_nothing_acknowledged_with_it_and_the_others_go_on(
    server_of_databases, tmp_path
):
    with hosts_on(server_of_databases.new(), tmp_path, 2) as servers:
        headers = partner(servers[0].client())
        writers = [Writer(path_of(servers[0].client(), headers, name), headers) for name in "ABCD"]
        staying, cut_off = writers[0::2], writers[1::2]
        with pytest.raises(httpx.TransportError), load(writers, servers):
            await_all(writers, "acknowledged", 20)
            servers[1].kill()
            await_all(staying, "acknowledged", 20)
        client = servers[0].client()
        for writer in writers:
            found = client.get(writer.path, headers=headers).json()
            assert found["name"] == found["vibe"]
            # The one that was cut off was not told of its last write, which may be there.
            assert int(found["name"]) - writer.acknowledged in ((0,) if writer in staying else (0, 1))
        for writer in cut_off:
            client.patch(writer.path, json={"name": "goes on"}, headers=headers).raise_for_status()
        assert [writer.refused for writer in writers] == [0] * 4


def path_of(client: httpx.Client, headers: dict[str, str], name: str) -> str:
    """Return the path of a new influencer."""
    influencer_id = str(uuid4())
    body = {"name": name, "influencerId": influencer_id}
    client.post(INFLUENCERS, json=body, headers=headers).raise_for_status()
    return f"/v1/influencers/{influencer_id}"


def await_all(writers: list[Writer], what: str, number: int) -> None:
    """Return when each writer has been acknowledged, or refused, so many times more."""
    enough = [getattr(writer, what) + number for writer in writers]
    eventually(
        lambda: all(getattr(writer, what) >= least for writer, least in zip(writers, enough, strict=True)),
        f"{number} writes of each to be {what}",
    )
