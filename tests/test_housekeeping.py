"""What is bounded while the service runs: bytes, portraits, what is past its time, dropped organizations, the WAL."""

import base64
import os
import stat
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from api_helpers import MEDIA, living
from conftest import AVA, AVA_PATH
from engine_helpers import Worker, bytes_of, put, wait_until
from upload_helpers import PNG, drawn

from layers_standin.domain.errors import NotFound
from layers_standin.domain.pictures import portrait_path
from layers_standin.engines.errors import Unavailable, Unconfirmed
from layers_standin.engines.lock import locked
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.housekeeping import Housekeeping, housekeeping, sweep
from layers_standin.media.folder import FolderStorage

pytestmark = pytest.mark.postgres

PROJECT = {"name": "P", "timezone": "UTC"}


@pytest.fixture
def media(settings):
    """Return a function that lists the media folder: {"organization/file"}."""
    root = settings.data / "media"
    return lambda: {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def inline(demo):
    """Return a function that uploads a PNG in the body."""
    body = {"kind": "image", "mimeType": "image/png"}
    return lambda data: demo.post(MEDIA, json=body | {"dataBase64": base64.b64encode(data).decode()})


@pytest.fixture
def put_bytes(app):
    """Return a function that sends the bytes of an upload, without a key."""
    stranger = app.test_client()
    return lambda upload, data: stranger.put(upload["uploadUrl"], data=data, headers=upload["headers"])


def grown_old(folder: Path, seconds: float) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


# Bytes that no document and no snapshot knows.


@pytest.mark.parametrize("what", ["seed", "empty", "restore", "drop"])
def test_the_pictures_of_before_are_freed_at_once(demo, control, inline, client, media, organization, settings, what):
    control.post("/snapshots", name="before")
    seeded = media()
    asset = inline(PNG).json
    client.get(asset["thumbnailUrl"]).close()
    assert len(media()) == len(seeded) + 2
    if what == "restore":
        control.post("/snapshots/before/restore")
    elif what == "drop":
        control.delete(f"/organizations/{organization}")
    else:
        control.post("/reset", to=what)
    assert media() == (seeded if what in ("seed", "restore") else set())


def test_what_only_a_snapshot_knows_is_not_freed(demo, control, inline, client, organization):
    asset = inline(PNG).json
    control.post("/snapshots", name="one")
    control.post("/reset", to="empty")
    control.post("/snapshots/one/restore")
    with client.get(asset["url"]) as shown:
        assert shown.data == PNG


def test_a_reset_takes_what_nobody_knows_unless_it_is_just_arriving(control, rooms, organization, media, settings):
    seeded = media()
    for name in ("asset_lost", "asset_arriving"):
        rooms.media.put(organization, name, PNG)
        rooms.media.thumbnail(organization, name)
    half = settings.data / "media" / organization / "asset_x.1.part"
    half.write_bytes(b"half")
    grown_old(settings.data / "media", 20 * 60)
    rooms.media.put(organization, "asset_arriving", PNG)
    control.post("/reset")
    assert media() == seeded | {f"{organization}/asset_arriving"}


def test_a_reset_keeps_what_came_of_an_upload_that_goes_on_after_a_restore(
    control, presign, put_bytes, finalize, settings, client
):
    upload = presign()
    put_bytes(upload, PNG)
    grown_old(settings.data / "media", 20 * 60)
    control.post("/snapshots", name="one")
    put_bytes(upload, drawn(size=(9, 9)))
    control.post("/snapshots/one/restore")
    asset = finalize(upload).json
    with client.get(asset["url"]) as shown:
        assert shown.data == PNG


def test_many_puts_to_one_upload_keep_one_set_of_bytes(presign, put_bytes, finalize, media, client):
    before, upload = media(), presign()
    for side in range(5, 15):
        put_bytes(upload, drawn(size=(side, side)))
        assert len(media() - before) == 1
    asset = finalize(upload).json
    with client.get(asset["url"]) as shown:
        assert shown.data == drawn(size=(14, 14))


def test_a_put_between_the_look_and_the_asset_leaves_the_asset_with_bytes_that_are_there(
    rooms, presign, put_bytes, finalize, client, monkeypatch
):
    upload, second = presign(), drawn(size=(9, 9))
    put_bytes(upload, PNG)
    run_transaction = type(rooms.store.db).run_transaction

    def late(self, act):
        monkeypatch.undo()
        put_bytes(upload, second)
        return run_transaction(self, act)

    monkeypatch.setattr(type(rooms.store.db), "run_transaction", late)
    asset = finalize(upload).json
    with client.get(asset["url"]) as shown:
        assert shown.data == second


@pytest.mark.parametrize(
    ("error", "is_kept"), [(NotFound("Gone."), False), (Unavailable("Full."), False), (Unconfirmed("Lost."), True)]
)
def test_bytes_that_cannot_be_noted_go_unless_nobody_knows_whether_they_were(
    rooms, presign, put_bytes, media, monkeypatch, error, is_kept
):
    """Also those of an upload that has expired, was finalized, or went with its organization, while it came."""
    before, upload = media(), presign()

    def failing(*_):
        raise error

    monkeypatch.setattr(type(rooms.store.assets), "receive", failing)
    assert put_bytes(upload, PNG).status_code in (404, 503)
    assert len(media() - before) == is_kept


@pytest.mark.parametrize(("error", "is_kept"), [(Unavailable("Full."), False), (Unconfirmed("Lost."), True)])
def test_an_inline_upload_that_fails_keeps_no_bytes_unless_it_may_have_worked(
    rooms, inline, media, monkeypatch, error, is_kept
):
    before = media()

    def failing(*_, **__):
        raise error

    monkeypatch.setattr(type(rooms.store.assets), "finalize", failing)
    assert inline(PNG).status_code == 503
    assert len(media() - before) == is_kept


# Portraits.


def test_of_each_influencer_there_is_the_portrait_that_was_drawn_last(demo, store, organization, media, control):
    def look(influencer_id):
        path = portrait_path(store.for_organization(organization).any_influencer(influencer_id))
        with demo.get(path) as portrait:
            assert portrait.status_code == 200
        return f"{organization}/portrait-{influencer_id}-{path.split('/')[4]}"

    store.tables.put("influencers", living(organization, f"{AVA}-1"))
    before = media()
    other = look(f"{AVA}-1")
    for vibe in ("calm", "bold", "wild"):
        demo.patch(AVA_PATH, json={"vibe": vibe})
        last = look(AVA)
        assert media() - before == {other, last}
    demo.delete(AVA_PATH)
    assert look(AVA) == last
    assert media() - before == {other, last}
    control.post("/snapshots", name="one")
    control.post("/snapshots/one/restore")
    assert media() - before == {other, last}
    control.delete(f"/organizations/{organization}")
    assert media() == set()


def test_portraits_that_no_longer_show_are_swept(rooms, organization, media, settings):
    before = media()
    rooms.media.portrait(organization, "inf_gone", "1" * 32, lambda: b"gone")
    rooms.media.portrait(organization, AVA, "2" * 32, lambda: b"of before")
    grown_old(settings.data / "media", 25 * 60 * 60)
    with rooms.store.db.exclusive():
        sweep(rooms, 24 * 60 * 60)
    assert media() == before


# What is past its time, where nobody asks any more.


def test_now_and_then_a_request_clears_up_what_is_past_its_time_in_quiet_organizations(
    rooms, client, control, demo, clock, presign, put_bytes, media, organization
):
    before, store = media(), rooms.store
    for number in range(5):
        demo.patch(AVA_PATH, json={"vibe": str(number)}, headers={"Idempotency-Key": f"key-{number}"})
        put_bytes(presign(), PNG)
    assert (store.db.count("idempotency", organization), store.db.count("uploads", organization)) == (5, 5)

    assert client.application._housekeeping.due > time.monotonic()
    clock.move(hours=24)
    due = client.application._housekeeping = Housekeeping(rooms, every_seconds=0)
    client.get("/healthz")
    wait_until(lambda: due._turn.acquire(blocking=False))  # when it is done
    assert (store.db.count("idempotency", organization), store.db.count("uploads", organization)) == (0, 0)
    assert media() == before


def test_what_is_within_its_time_by_its_organizations_clock_stays(rooms, control, demo, clock, organization):
    control.put("/clock", organizationId=organization, mode="frozen")
    demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "key"})
    clock.move(hours=25)
    housekeeping(rooms)
    replayed = demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "key"})
    assert replayed.headers["Idempotent-Replayed"] == "true"


def test_housekeeping_does_not_wait_long_for_others_and_says_so(rooms, caplog):
    with rooms.store.db.exclusive():
        assert Worker(lambda: housekeeping(rooms, patience_seconds=0.05)).finish().error is None
    assert "Not tidied: " in caplog.text


# Organizations that were dropped.


def test_nothing_remains_of_organizations_that_were_dropped(rooms, control, client, media, settings):
    def use():
        organization, key = control.organization()
        project = client.post("/v1/projects", json=PROJECT, headers=key | {"Idempotency-Key": "k"}).json
        media_path = f"/v1/projects/{project['id']}/media"
        client.post(f"{media_path}/presign", json={"kind": "image", "mimeType": "image/png"}, headers=key)
        rooms.media.put(organization, "asset_left", PNG)
        control.put("/clock", organizationId=organization, mode="frozen")
        return organization

    rooms.store.signing_key()  # made once, when it is first asked for
    rows, spaces, pictures = bytes_of(rooms.store.db), rooms.store.db.tables(), media()
    dropped = [use() for _ in range(20)]
    assert rooms.store.db.tables() != spaces
    for organization in dropped:
        control.delete(f"/organizations/{organization}")
    assert rooms.store.db.tables() == spaces
    assert media() == pictures
    assert sorted(path.name for path in (settings.data / "media").iterdir()) == sorted(
        {name.partition("/")[0] for name in pictures}
    )
    if settings.store is not None:
        assert len(bytes_of(rooms.store.db)) == len(rows)


# The write-ahead log.


def test_the_wal_comes_back_to_its_bound_behind_a_long_read_and_after_a_large_restore(tmp_path):
    bound = 4 << 20
    text = {"text": "x" * 4000}
    with closing(SQLite(tmp_path, sync=False)) as engine, closing(SQLite(tmp_path, sync=False)) as reader:
        wal = tmp_path / "store.sqlite3-wal"
        put(engine, "a", text)
        with reader.snapshot_read():
            reader.read("t", "", "a")
            for number in range(3000):
                put(engine, "a", text | {"n": number})
            assert wal.stat().st_size > 2 * bound
        for number in range(3):
            put(engine, "a", {"n": number})
        assert wal.stat().st_size <= bound

        engine.replace_all(("t", "", str(number), orjson.dumps(text)) for number in range(3000))
        with engine.create_snapshot("x", {}):
            pass
        engine.restore_snapshot("x")
        assert wal.stat().st_size > 2 * bound
        for number in range(3):
            put(engine, "a", {"n": number})
        assert wal.stat().st_size <= bound
        size = (tmp_path / "store.sqlite3").stat().st_size
        for _ in range(3):
            engine.restore_snapshot("x")
        put(engine, "a", {})
        assert (tmp_path / "store.sqlite3").stat().st_size <= 1.1 * size


# Whose files they are.


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_pictures_and_snapshots_are_for_their_owner_only(tmp_path, umask):
    before = os.umask(umask)
    try:
        folder = FolderStorage(tmp_path / "store" / "media")
        folder.put("org", "asset_a", PNG)
        folder.thumbnail("org", "asset_a")
        folder.portrait("org", "inf_1", "mark", lambda: PNG)
        folder.create_snapshot("x")
    finally:
        os.umask(before)
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").rglob("*")}
    assert len(found) == 10
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_what_root_makes_belongs_to_the_owner_of_the_data_folder(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    os.chown(store, 12345, 54321)
    folder = FolderStorage(store / "media")
    folder.put("org", "asset_a", PNG)
    folder.thumbnail("org", "asset_a")
    folder.create_snapshot("x")
    with locked(store / "control.lock"):
        pass
    assert {(path.stat().st_uid, path.stat().st_gid) for path in store.rglob("*")} == {(12345, 54321)}
