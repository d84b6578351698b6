"""Bytes that snapshots keep: all that documents can name, whole, and back in their place when these are restored."""

import errno
import json
import os
import shutil
import signal
import time
from contextlib import closing
from dataclasses import replace
from threading import Thread

import pytest
from api_helpers import UNAVAILABLE, refused
from conftest import AVA_PATH
from control_helpers import Control
from engine_helpers import (
    CallCounter,
    Child,
    NthCall,
    WatchedDisk,
    half_then_no_space,
    input_output_error,
    kill_before,
    kill_halfway,
    no_space,
)
from upload_helpers import drawn

from app import create_app
from layers_standin.housekeeping import housekeeping
from layers_standin.media.folder import FolderStorage, NoSuchFile
from layers_standin.media.storage import Incomplete
from layers_standin.services import Services, open_database, open_services
from store import Store

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

DAY = 24 * 60 * 60


def state_of(store):
    return {space: list(store.db.table(*space)) for space in store.db.tables()}


def unknown(organization, asset_id):
    return False


class CopyingDisk(WatchedDisk):
    """A disk that cannot give a file a second name."""

    def link(self, source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(params=["links", "copies"])
def folder(request, tmp_path):
    media = FolderStorage(tmp_path / "media", CopyingDisk(CallCounter()) if request.param == "copies" else None)
    filled(media)
    return media


def filled(media):
    media.put("org", "asset_a", b"a" * 3000)
    media.put("org", "asset_b", b"")
    media.put("other", "asset_a", b"other")
    return media


BYTES = {"org/asset_a": b"a" * 3000, "org/asset_b": b"", "other/asset_a": b"other"}


def found_in(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def kept_in(place, snapshot_id):
    """Return the bytes that a snapshot keeps, which are those that its list tells of."""
    found = found_in(place / "snapshots" / f"{snapshot_id}.media")
    listed = json.loads(found.pop("files.json"))
    assert listed == {name: len(data) for name, data in found.items()}
    return found


def grown_old(place):
    """Make every file of a folder two days old."""
    for path in place.rglob("*"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)


def test_bytes_that_were_kept_come_back_where_they_are_missing_and_nothing_else_changes(folder, tmp_path):
    folder.create_snapshot("x")
    folder.original("org", "asset_a").unlink()
    folder.drop_organization("other")
    folder.put("org", "asset_b", b"changed")
    folder.put("org", "asset_new", b"new")

    for _ in range(2):
        folder.restore_snapshot("x")
        assert found_in(tmp_path / "media") == BYTES | {"org/asset_b": b"changed", "org/asset_new": b"new"}


def test_what_is_kept_takes_no_room_where_the_disk_has_links(tmp_path):
    folder = filled(FolderStorage(tmp_path / "media"))
    folder.create_snapshot("x")

    assert folder.original("org", "asset_a").samefile(tmp_path / "snapshots" / "x.media" / "org" / "asset_a")


def test_what_can_be_drawn_again_and_what_is_half_there_is_not_kept(folder, tmp_path):
    folder.put("org", "asset_picture", drawn(size=(300, 300)))
    folder.thumbnail("org", "asset_picture")
    folder.portrait("org", "inf_1", "mark", lambda: b"drawn")
    (tmp_path / "media" / "org" / "asset_c.123.part").write_bytes(b"half")
    folder.create_snapshot("x")

    assert kept_in(tmp_path, "x") == BYTES | {"org/asset_picture": drawn(size=(300, 300))}


def test_each_snapshot_keeps_what_was_there_when_it_was_made(folder, tmp_path):
    folder.create_snapshot("x")
    folder.drop_organization("other")
    folder.put("org", "asset_b", b"changed")
    folder.put("org", "asset_new", b"new")
    folder.create_snapshot("y")

    now = {"org/asset_a": b"a" * 3000, "org/asset_b": b"changed", "org/asset_new": b"new"}
    assert kept_in(tmp_path, "x") == BYTES
    assert kept_in(tmp_path, "y") == now


def test_the_media_of_others_are_forgotten_and_nothing_is_taken_away(folder, tmp_path):
    for snapshot_id in ("x", "y", "z"):
        folder.create_snapshot(snapshot_id)
    (tmp_path / "snapshots" / "theirs").mkdir()
    for _ in range(2):
        folder.delete_other_snapshots({"y"})
        assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["theirs", "y.media"]

    with pytest.raises(Incomplete):
        folder.restore_snapshot("x")
    folder.restore_snapshot("y")
    assert found_in(tmp_path / "media") == BYTES


def test_nothing_can_be_kept(tmp_path):
    folder = FolderStorage(tmp_path / "media")
    folder.create_snapshot("x")
    folder.restore_snapshot("x")
    folder.drop_organization("org")

    assert found_in(tmp_path) == {"snapshots/x.media/files.json": b"{}"}


def test_an_organization_is_dropped_with_all_its_bytes_and_no_other(folder, tmp_path):
    folder.put("org", "asset_picture", drawn(size=(300, 300)))
    folder.thumbnail("org", "asset_picture")
    folder.drop_organization("org")

    assert found_in(tmp_path / "media") == {"other/asset_a": b"other"}
    folder.put("org", "asset_a", b"again")
    assert folder.original("org", "asset_a").read_bytes() == b"again"


@pytest.mark.parametrize("name", ["", "..", "../media", "a/b", "a.b", "é", "x" * 65, "a\n"])
def test_no_other_name_reaches_anything(folder, tmp_path, name):
    before = found_in(tmp_path)

    for act in (folder.create_snapshot, folder.restore_snapshot):
        with pytest.raises(ValueError, match="a snapshot is named with"):
            act(name)
    for trick in (name, ".", "/", "../snapshots"):
        if len(trick) < 65:
            with pytest.raises(NoSuchFile):
                folder.drop_organization(trick)
    assert found_in(tmp_path) == before


# Sweeps


def test_no_sweep_touches_what_is_kept(folder, tmp_path):
    folder.create_snapshot("x")
    grown_old(tmp_path)
    assert len(folder.sweep(unknown, DAY)) == 3

    assert found_in(tmp_path / "media") == {}
    folder.restore_snapshot("x")
    assert found_in(tmp_path / "media") == BYTES


def test_no_sweep_takes_what_was_brought_back_before_its_document_is(folder, tmp_path):
    folder.create_snapshot("x")
    grown_old(tmp_path)
    folder.drop_organization("other")
    folder.restore_snapshot("x")  # some that was missing and some that was not

    assert folder.sweep(unknown, DAY) == []
    assert found_in(tmp_path / "media") == BYTES


def test_a_sweep_can_be_told_the_time(folder, tmp_path):
    assert folder.sweep(unknown, DAY, now=time.time() + DAY - 60) == []
    assert len(folder.sweep(unknown, DAY, now=time.time() + DAY + 60)) == 3


# Bytes that are there already


def test_the_same_bytes_are_not_written_again_but_their_name_is_on_disk_and_young(tmp_path):
    counter = CallCounter()
    filled(FolderStorage(tmp_path / "media"))
    grown_old(tmp_path)
    folder = FolderStorage(tmp_path / "media", WatchedDisk(counter))
    before = folder.original("org", "asset_a").stat().st_ino
    folder.put("org", "asset_a", b"a" * 3000)

    assert counter.names == ["sync_folder"]
    assert folder.original("org", "asset_a").stat().st_ino == before
    assert sorted(path.name for path in folder.sweep(unknown, DAY)) == ["asset_a", "asset_b"]
    assert found_in(tmp_path / "media") == {"org/asset_a": b"a" * 3000}


@pytest.mark.parametrize("data", [b"", b"a" * 2999, b"a" * 2999 + b"b", b"a" * 3001])
def test_other_bytes_are_written_in_their_place(tmp_path, data):
    folder = filled(FolderStorage(tmp_path / "media"))
    folder.put("org", "asset_a", data)

    assert folder.original("org", "asset_a").read_bytes() == data


def test_the_names_of_bytes_are_on_disk_before_a_document_can_say_so(tmp_path):
    """Also those of the folders they are in."""
    counter = CallCounter()
    folder = FolderStorage(tmp_path / "media", WatchedDisk(counter))
    folder.put("org", "asset_a", b"a")
    assert counter.names == ["sync_folder", "sync_folder", "write", "sync", "replace", "sync_folder"]
    counter.names.clear()
    folder.create_snapshot("x")
    assert counter.names == ["sync_folder"] * 3 + ["link", "sync_folder", "write", "sync", "replace", "sync_folder"]
    folder.drop_organization("org")
    counter.names.clear()
    folder.restore_snapshot("x")
    assert counter.names == ["sync_folder", "link", "sync_folder"]


# Damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (shutil.rmtree, "the list of its files is missing or not whole"),
        (lambda kept: (kept / "files.json").unlink(), "the list of its files is missing or not whole"),
        (lambda kept: (kept / "files.json").write_bytes(b'{"org'), "the list of its files is missing or not whole"),
        (lambda kept: (kept / "org" / "asset_b").unlink(), "1 of its files are missing or not whole, the first is"),
        (lambda kept: shutil.rmtree(kept / "org"), "2 of its files are missing or not whole, the first is org/asset_a"),
        (lambda kept: replaced(kept / "other" / "asset_a", b"othe"), "the first is other/asset_a"),
        (lambda kept: replaced(kept / "org" / "asset_b", b"b"), "the first is org/asset_b"),
    ],
    ids=["folder gone", "list gone", "list cut", "file gone", "files gone", "file cut", "file longer"],
)
def test_what_is_not_whole_is_not_brought_back_and_changes_nothing(folder, tmp_path, damage, told):
    folder.create_snapshot("x")
    folder.drop_organization("org")
    damage(tmp_path / "snapshots" / "x.media")
    before = found_in(tmp_path)

    with pytest.raises(Incomplete, match=told):
        folder.restore_snapshot("x")
    assert found_in(tmp_path) == before


def replaced(path, data):
    """Give a name other bytes, and leave what has another name of the same."""
    path.unlink()
    path.write_bytes(data)


def test_a_snapshot_whose_pictures_are_damaged_is_refused_and_the_state_stays(rooms, settings, control, caplog):
    control.post("/snapshots", name="one")
    (kept,) = (settings.data / "snapshots").iterdir()
    next(path for path in kept.glob("*/*")).unlink()
    control.post("/reset", to="empty")
    before = state_of(rooms.store)

    assert refused(control.send("POST", "/snapshots/one/restore")) == UNAVAILABLE
    assert f"The snapshot's media {kept} are damaged: 1 of its files are missing or not whole" in caplog.text
    assert state_of(rooms.store) == before
    assert control.delete("/snapshots/one") == {"name": "one", "deleted": True}


# Disks that refuse, and kills


def before_each(media):
    """Have something kept, and something gone that is to come back."""
    filled(media)
    media.create_snapshot("x")
    media.drop_organization("other")
    media.put("org", "asset_b", b"changed")
    media.put("org", "asset_new", b"new")


NOW = {"org/asset_a": b"a" * 3000, "org/asset_b": b"changed", "org/asset_new": b"new"}
ACTS = {
    "create": (lambda media: media.create_snapshot("y"), "snapshots/y.media", [{}, NOW]),
    "restore": (lambda media: media.restore_snapshot("x"), "media", [NOW, NOW | {"other/asset_a": b"other"}]),
}


def check_whole(place, states):
    """Every name stands for the bytes it had or those it was to have."""
    for name, data in found_in(place).items():
        if not name.endswith((".part", "files.json")):
            assert data in [state[name] for state in states if name in state]
    assert found_in(place).keys() >= states[0].keys() & states[1].keys()


def calls_of(act, folder, disk):
    counter = CallCounter()
    before_each(FolderStorage(folder / "media"))
    act(FolderStorage(folder / "media", disk(counter)))
    return len(counter.names)


def all_of(place):
    return {name: data for name, data in found_in(place).items() if not name.endswith((".part", "files.json"))}


@pytest.mark.parametrize("disk", [WatchedDisk, CopyingDisk])
@pytest.mark.parametrize("kill", [kill_before, kill_halfway])
@pytest.mark.parametrize(("act", "place", "states"), ACTS.values(), ids=ACTS)
def test_a_kill_at_any_call_leaves_whole_bytes_and_the_next_one_does_it_all(tmp_path, kill, act, place, states, disk):
    for nth in range(1, calls_of(act, tmp_path / "counted", disk) + 1):
        folder = tmp_path / str(nth)
        before_each(FolderStorage(folder / "media"))
        killing = disk(NthCall(nth, kill))
        child = Child(lambda tell, folder=folder, killing=killing: act(FolderStorage(folder / "media", killing)))
        child.finish()
        assert child.status == -signal.SIGKILL
        check_whole(folder / place, states)
        assert kept_in(folder, "x") == BYTES
        act(FolderStorage(folder / "media"))
        assert all_of(folder / place) == states[1]


@pytest.mark.parametrize("disk", [WatchedDisk, CopyingDisk])
@pytest.mark.parametrize("failure", [no_space, input_output_error, half_then_no_space])
@pytest.mark.parametrize(("act", "place", "states"), ACTS.values(), ids=ACTS)
def test_a_disk_that_refuses_is_told_and_leaves_whole_bytes(tmp_path, act, place, states, failure, disk):
    for nth in range(1, calls_of(act, tmp_path / "counted", disk) + 1):
        folder = tmp_path / str(nth)
        before_each(FolderStorage(folder / "media"))
        with pytest.raises(OSError, match=r"No space|Input/output"):
            act(FolderStorage(folder / "media", disk(NthCall(nth, failure, lasting=True))))
        check_whole(folder / place, states)
        assert not list(folder.rglob("*.part"))
        assert kept_in(folder, "x") == BYTES
        act(FolderStorage(folder / "media"))
        assert all_of(folder / place) == states[1]


# Commands that come at the same time


def snapshots_of(settings):
    return sorted(path.name for path in (settings.data / "snapshots").glob("*"))


def commanding(rooms, settings, around):
    """Return who commands an app whose disk passes each call to `around`."""
    watched = rooms._replace(media=FolderStorage(settings.data / "media", WatchedDisk(around)))
    return Control(create_app(watched).test_client())


@pytest.mark.parametrize("fails", ["link", "sync_folder", "replace"])
def test_documents_whose_bytes_cannot_be_kept_are_no_snapshot_and_the_one_before_stays(
    rooms, settings, control, demo, fails
):
    demo.patch(AVA_PATH, json={"vibe": "before"})
    before = control.post("/snapshots", name="one")
    kept = snapshots_of(settings)
    demo.patch(AVA_PATH, json={"vibe": "after"})

    def failing(name, call):
        return no_space(call) if name in (fails, "write") else call()

    for name in ("one", "two"):
        response = commanding(rooms, settings, failing).send("POST", "/snapshots", {"name": name})
        assert refused(response) == UNAVAILABLE
    assert control.get("/snapshots") == {"items": [before]}
    assert snapshots_of(settings) == kept
    assert refused(control.send("POST", "/snapshots/two/restore"))["status"] == 404
    control.post("/snapshots/one/restore")
    assert demo.get(AVA_PATH).json["vibe"] == "before"


def test_a_kill_at_any_call_of_a_snapshot_leaves_the_one_before_or_the_new_one_whole(
    rooms, settings, control, demo, organization
):
    """Each time: documents and pictures of the same moment, and nothing else after the next command."""

    def send(tell, nth):
        opened = open_services(settings)
        media = FolderStorage(settings.data / "media", WatchedDisk(NthCall(nth, kill_before)))
        Control(create_app(opened._replace(media=media)).test_client()).send("POST", "/snapshots", {"name": "one"})

    media = rooms.media
    media.put(organization, "asset_of_before", b"before")
    demo.patch(AVA_PATH, json={"vibe": "before"})
    control.post("/snapshots", name="one")
    media.put(organization, "asset_of_after", b"after")
    demo.patch(AVA_PATH, json={"vibe": "after"})
    nth, found = 0, set()
    while True:
        nth += 1
        child = Child(lambda tell, nth=nth: send(tell, nth))
        assert child.finish() == []
        housekeeping(rooms)
        (one,) = rooms.store.db.list_snapshots()
        assert snapshots_of(settings) == [f"{one.snapshot_id}.media"]
        pictures = {name.partition("/")[2] for name in kept_in(settings.data, one.snapshot_id)}
        control.post("/snapshots/one/restore")
        vibe = demo.get(AVA_PATH).json["vibe"]
        assert ("asset_of_after" in pictures) == (vibe == "after")
        found.add(vibe)
        if child.status == 0:
            break
        demo.patch(AVA_PATH, json={"vibe": "after"})
    assert nth > 5
    assert found == {"before", "after"}


def test_a_snapshot_goes_although_its_pictures_cannot_be_removed_now(rooms, settings, control, monkeypatch):
    control.post("/snapshots", name="one")
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path: no_space(None))
        assert control.delete("/snapshots/one") == {"name": "one", "deleted": True}
    assert len(snapshots_of(settings)) == 1
    assert control.get("/snapshots") == {"items": []}
    control.post("/snapshots", name="two")
    assert snapshots_of(settings) == [f"{rooms.store.db.list_snapshots()[0].snapshot_id}.media"]


def test_an_organization_is_dropped_although_bytes_still_come(folder, tmp_path, monkeypatch):
    remove = os.rmdir

    def interrupted(path, **where):
        folder.put("org", "asset_late", b"late")
        remove(path, **where)

    monkeypatch.setattr(os, "rmdir", interrupted)
    folder.drop_organization("org")

    assert found_in(tmp_path / "media") == {"org/asset_late": b"late", "other/asset_a": b"other"}


@pytest.mark.parametrize("what", ["delete", "restore", "drop", "reset"])
def test_a_command_about_documents_and_bytes_waits_until_a_snapshot_has_both(rooms, settings, organization, what):
    method, path = {
        "delete": ("DELETE", "/snapshots/one"),
        "restore": ("POST", "/snapshots/one/restore"),
        "drop": ("DELETE", f"/organizations/{organization}"),
        "reset": ("POST", "/reset"),
    }[what]
    other = Control(create_app(rooms).test_client())
    waiting = Thread(target=lambda: found.append(other.send(method, path).status_code))
    found, waited = [], []

    def interrupted(name, call):
        if name == "link" and not waited:  # the documents are kept, and none of the bytes
            waiting.start()
            waiting.join(0.3)  # one that did not wait would end in no time
            waited.append(waiting.is_alive())
        return call()

    watched = rooms._replace(media=FolderStorage(settings.data / "media", WatchedDisk(interrupted)))
    made = Control(create_app(watched).test_client()).send("POST", "/snapshots", {"name": "one"})
    waiting.join()

    assert (made.status_code, waited, found) == (201, [True], [200])


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_a_snapshot_on_one_host_waits_for_an_organization_dropped_on_another(rooms, settings, organization, tmp_path):
    """Two hosts have nothing in common but the database and the media: no folder of locks."""
    with closing(open_database(settings.store)) as db:
        there = Services(Store(db), rooms.media, replace(settings, data=tmp_path / "another host"))
        other = Control(create_app(there).test_client())
        found, waited = [], []
        waiting = Thread(target=lambda: found.append(other.delete(f"/organizations/{organization}")))

        def interrupted(name, call):
            if name == "link" and not waited:
                waiting.start()
                waiting.join(0.3)
                waited.append(waiting.is_alive())
            return call()

        made = commanding(rooms, settings, interrupted).post("/snapshots", name="one")
        waiting.join()
        assert (waited, found) == ([True], [{"organizationId": organization, "deleted": True}])
        assert found_in(settings.data / "media") == {}
        other.post("/snapshots/one/restore")
        assert rooms.store.db.count("assets", organization) == len(found_in(settings.data / "media"))
        assert made["documents"] > 0
