"""Commands about documents and pictures together: what a bucket or disk that refuses leaves, and two hosts at once."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest
from api_helpers import UNAVAILABLE, refused
from control_helpers import Control
from engine_helpers import NthCall, WatchedDisk, no_space
from upload_helpers import drawn

pytest.importorskip("obstore")
pytest.importorskip("moto")

from buckets import CREDENTIALS, REGION, BucketServer

from app import create_app
from layers_standin.domain.assets import file_of
from layers_standin.media.folder import FolderStorage
from layers_standin.media.verify import fault_of
from layers_standin.services import Services, open_services
from layers_standin.settings import Bucket, Settings
from store import Store

pytestmark = pytest.mark.slow

SEED = {
    "organizations": {"1": {"id": "org", "name": "Ours"}},
    "projects": {"1": {"id": "proj", "organizationId": "org", "name": "P", "timezone": "UTC"}},
    "assets": {
        "1": {
            "assetId": "asset_a",
            "organizationId": "org",
            "projectId": "proj",
            "kind": "image",
            "contentType": "image/png",
            "token": "t0ken",
            "picture": "a.png",
            "createdAt": "2026-04-01T00:00:00Z",
        }
    },
}  # fmt: skip


def write_seed(folder: Path) -> None:
    (folder / "seed.json").write_text(json.dumps(SEED))
    (folder / "a.png").write_bytes(drawn(size=(8, 8)))


class Place(NamedTuple):
    """A service, and the way to let its media refuse the nth call from now on, and perhaps all that follow."""

    services: Services
    refuse: Callable[[int, bool], Any]
    control: Control


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[BucketServer]:
    server = BucketServer()
    yield server
    server.stop()


@pytest.fixture(params=["bucket", "folder"])
def new_place(request, tmp_path: Path, bucket_server, monkeypatch) -> Iterator[Callable[[], Place]]:
    for name, text in CREDENTIALS.items():
        monkeypatch.setenv(name, text)
    write_seed(tmp_path)
    numbers = count()
    with ExitStack() as stack:

        def make() -> Place:
            settings = Settings(data=tmp_path / f"{next(numbers)}", sync=False, seed=tmp_path / "seed.json")
            if request.param == "bucket":
                bucket = Bucket(bucket_server.new_bucket(), "media", bucket_server.url, REGION)
                services = open_services(replace(settings, media=bucket))
                refuse = partial(refusing_bucket, bucket_server)
            else:
                services, refuse = refusing_disk(settings)
            stack.callback(services.store.db.close)
            return Place(services, refuse, Control(create_app(services).test_client()))

        yield make


@contextmanager
def refusing_bucket(server: BucketServer, nth: int, lasting: bool) -> Iterator[Callable[[], bool]]:
    """Let the bucket refuse; yield the question whether it has."""
    calls = count(1)

    def refuses(*_: str) -> bool:
        nonlocal has_refused
        call = next(calls)
        hit = call == nth or (lasting and call > nth)
        has_refused = has_refused or hit
        return hit

    has_refused = False
    server.guard.fails = refuses
    try:
        yield lambda: has_refused
    finally:
        server.guard.fails = lambda *_: False


def refusing_disk(settings: Settings) -> tuple[Services, Callable[[int, bool], Any]]:
    """Return services on a disk that refuses, and the same context as a bucket's."""
    around: Callable[..., Any] = lambda name, call: call()  # noqa: E731

    def pass_on(name: str, call: Callable[[], Any]) -> Any:
        return around(name, call)

    @contextmanager
    def refuse(nth: int, lasting: bool) -> Iterator[Callable[[], bool]]:
        nonlocal around
        has_refused = False

        def fail(call: Any) -> None:
            nonlocal has_refused
            has_refused = True
            no_space(call)

        before, around = around, NthCall(nth, fail, lasting)
        try:
            yield lambda: has_refused
        finally:
            around = before

    services = open_services(settings)
    return services._replace(media=FolderStorage(settings.data / "media", WatchedDisk(pass_on))), refuse


def prepared(place: Place) -> None:
    """Have a snapshot of two pictures; of one of them now only the snapshot knows, and there is another one."""
    put_picture(place, "asset_b")
    place.control.post("/snapshots", name="one")
    store = place.services.store.for_organization("org")
    store.tables.table("assets").remove(doc_ids=["asset_b"])
    place.services.media.discard("org", "asset_b")
    put_picture(place, "asset_c")


def put_picture(place: Place, asset_id: str) -> None:
    asset = dict(place.services.store.for_organization("org").assets.get("asset_a"))
    place.services.media.put("org", asset_id, drawn(size=(8, 8)))
    place.services.store.tables.put("assets", asset | {"assetId": asset_id})


def state_of(store: Store) -> Any:
    return {space: list(store.db.table(*space)) for space in store.db.tables() if space[0] != "secrets"}


def pictures_of(place: Place) -> set[str]:
    """Return the ids of all assets, every one of which has its bytes."""
    assets = list(place.services.store.db.table("assets", "org"))
    for asset in assets:
        find = partial(place.services.media.original, "org", file_of(asset))
        assert fault_of(find, asset["sizeBytes"], asset["checksumSha256"]) is None, asset["assetId"]
    return {asset["assetId"] for asset in assets}


OLD = {"asset_a", "asset_b"}  # of the snapshot
NOW = {"asset_a", "asset_c"}

# The command; then the pictures that there are after it, and those of each snapshot.
COMMANDS: dict[str, tuple[str, str, Any, set[str], dict[str, set[str]]]] = {
    "save under the same name": ("POST", "/snapshots", {"name": "one"}, NOW, {"one": NOW}),
    "save under another name": ("POST", "/snapshots", {"name": "two"}, NOW, {"one": OLD, "two": NOW}),
    "restore": ("POST", "/snapshots/one/restore", None, OLD, {"one": OLD}),
    "delete": ("DELETE", "/snapshots/one", None, NOW, {}),
    "reset to the seed": ("POST", "/reset", {"to": "seed"}, {"asset_a"}, {"one": OLD}),
    "reset to nothing": ("POST", "/reset", {"to": "empty"}, set(), {"one": OLD}),
    "drop": ("DELETE", "/organizations/org", None, set(), {"one": OLD}),
}


@pytest.mark.parametrize(
    ("command", "lasting"),
    [*((command, True) for command in COMMANDS), ("save under the same name", False), ("restore", False)],
)
def test_a_refusal_at_any_call_leaves_the_old_state_or_the_new_one_with_all_their_pictures(new_place, command, lasting):
    method, path, body, pictures, snapshots = COMMANDS[command]
    statuses = []
    for nth in count(1):
        place = new_place()
        prepared(place)
        before = state_of(place.services.store), place.control.get("/snapshots")
        with place.refuse(nth, lasting) as has_refused:
            reply = place.control.send(method, path, body)
        statuses.append(reply.status_code)
        if reply.status_code == 503:
            assert refused(reply) == UNAVAILABLE
            assert (state_of(place.services.store), place.control.get("/snapshots")) == before
            assert pictures_of(place) == NOW
            assert restored(place) == {"one": OLD}
        else:
            assert reply.status_code in (200, 201)
            assert pictures_of(place) == pictures
            assert restored(place) == snapshots
        if not has_refused() or (lasting and reply.status_code < 300):  # what came later was only to be removed
            break
    assert statuses[-1] in (200, 201)


def restored(place: Place) -> dict[str, set[str]]:
    """Return the pictures of each snapshot once it is restored."""
    found = {}
    for saved in place.control.get("/snapshots")["items"]:
        place.control.post(f"/snapshots/{saved['name']}/restore")
        found[saved["name"]] = pictures_of(place)
    return found


# Two hosts


@pytest.fixture
def hosts(database, tmp_path, bucket_server, monkeypatch) -> Iterator[list[Place]]:
    """Return two services on one database and one bucket, with nothing else in common."""
    for name, text in CREDENTIALS.items():
        monkeypatch.setenv(name, text)
    write_seed(tmp_path)
    bucket = Bucket(bucket_server.new_bucket(), "media", bucket_server.url, REGION)
    given = Settings(tmp_path / "here", store=database, media=bucket, seed=tmp_path / "seed.json")
    with ExitStack() as stack:
        opened = [open_services(each) for each in (given, replace(given, data=tmp_path / "there"))]
        for services in opened:
            stack.callback(services.store.db.close)
        yield [Place(services, lambda *_: None, Control(create_app(services).test_client())) for services in opened]


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("command", ["drop", "reset to nothing", "restore", "delete", "save under another name"])
def test_a_command_on_one_host_waits_until_a_snapshot_on_another_has_documents_and_pictures(
    hosts, bucket_server, command
):
    here, there = hosts
    method, path, body, pictures, snapshots = COMMANDS[command]
    found, waited = [], []
    waiting = Thread(target=lambda: found.append(there.control.send(method, path, body).status_code))

    def interrupt(*_: str) -> bool:
        if not waited:  # the documents are saved, and none of the pictures
            waited.append(True)
            waiting.start()
            waiting.join(0.3)  # one that did not wait would end in no time
            waited[0] = waiting.is_alive()
        return False

    prepared(here)
    bucket_server.guard.fails = interrupt
    try:
        saved = here.control.send("POST", "/snapshots", {"name": "both"})
    finally:
        bucket_server.guard.fails = lambda *_: False
        waiting.join()

    assert (saved.status_code, waited) == (201, [True])
    assert found in ([200], [201])
    assert pictures_of(there) == pictures
    assert restored(there) == snapshots | {"both": NOW}
