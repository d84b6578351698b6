"""Bytes that snapshots keep: all that documents can name, whole, and back in their place when these are restored."""

import errno
import os
import signal
import time
from threading import Thread

import pytest
from api_helpers import UNAVAILABLE, refused
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
from test_media import drawn

from app import create_app
from media.files import MediaFolder, NoSuchFile

DAY = 24 * 60 * 60


def unknown(organization, asset_id):
    return False


class CopyingDisk(WatchedDisk):
    """A disk that cannot give a file a second name."""

    def link(self, source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(params=["links", "copies"])
def folder(request, tmp_path):
    media = MediaFolder(tmp_path / "media", CopyingDisk(CallCounter()) if request.param == "copies" else None)
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


def grown_old(place):
    """Make every file of a folder two days old."""
    for path in place.rglob("*"):
        os.utime(path, (time.time() - 2 * DAY,) * 2)


def test_bytes_that_were_kept_come_back_where_they_are_missing_and_nothing_else_changes(folder, tmp_path):
    folder.keep("x")
    folder.original("org", "asset_a").unlink()
    folder.drop_organization("other")
    folder.put("org", "asset_b", b"changed")
    folder.put("org", "asset_new", b"new")

    for _ in range(2):
        folder.bring_back("x")
        assert found_in(tmp_path / "media") == BYTES | {"org/asset_b": b"changed", "org/asset_new": b"new"}


def test_what_is_kept_takes_no_room_where_the_disk_has_links(tmp_path):
    folder = filled(MediaFolder(tmp_path / "media"))
    folder.keep("x")

    assert folder.original("org", "asset_a").samefile(tmp_path / "snapshots" / "x.media" / "org" / "asset_a")


def test_what_can_be_drawn_again_and_what_is_half_there_is_not_kept(folder, tmp_path):
    folder.put("org", "asset_picture", drawn(300, 300))
    folder.thumbnail("org", "asset_picture")
    folder.portrait("org", "mark", lambda: b"drawn")
    (tmp_path / "media" / "org" / "asset_c.123.part").write_bytes(b"half")
    folder.keep("x")

    assert found_in(tmp_path / "snapshots" / "x.media") == BYTES | {"org/asset_picture": drawn(300, 300)}


def test_a_name_keeps_what_was_there_the_last_time_and_others_keep_theirs(folder, tmp_path):
    folder.keep("x")
    folder.keep("y")
    folder.drop_organization("other")
    folder.put("org", "asset_b", b"changed")
    folder.put("org", "asset_new", b"new")
    folder.keep("x")

    now = {"org/asset_a": b"a" * 3000, "org/asset_b": b"changed", "org/asset_new": b"new"}
    assert found_in(tmp_path / "snapshots" / "x.media") == now
    assert found_in(tmp_path / "snapshots" / "y.media") == BYTES


def test_a_forgotten_name_keeps_nothing_and_takes_nothing_away(folder, tmp_path):
    folder.keep("x")
    folder.keep("y")
    folder.forget("x")
    folder.forget("x")
    folder.bring_back("x")

    assert found_in(tmp_path / "media") == BYTES
    assert sorted(path.name for path in (tmp_path / "snapshots").iterdir()) == ["y.media"]


def test_nothing_can_be_kept(tmp_path):
    folder = MediaFolder(tmp_path / "media")
    folder.keep("x")
    folder.bring_back("x")
    folder.drop_organization("org")

    assert found_in(tmp_path) == {}


def test_an_organization_is_dropped_with_all_its_bytes_and_no_other(folder, tmp_path):
    folder.put("org", "asset_picture", drawn(300, 300))
    folder.thumbnail("org", "asset_picture")
    folder.drop_organization("org")

    assert found_in(tmp_path / "media") == {"other/asset_a": b"other"}
    folder.put("org", "asset_a", b"again")
    assert folder.original("org", "asset_a").read_bytes() == b"again"


@pytest.mark.parametrize("name", ["", "..", "../media", "a/b", "a.b", "é", "x" * 65, "a\n"])
def test_no_other_name_reaches_anything(folder, tmp_path, name):
    before = found_in(tmp_path)

    for act in (folder.keep, folder.bring_back, folder.forget):
        with pytest.raises(ValueError, match="a snapshot is named with"):
            act(name)
    for trick in (name, ".", "/", "../snapshots"):
        if len(trick) < 65:
            with pytest.raises(NoSuchFile):
                folder.drop_organization(trick)
    assert found_in(tmp_path) == before


# Sweeps


def test_no_sweep_touches_what_is_kept(folder, tmp_path):
    folder.keep("x")
    grown_old(tmp_path)
    assert len(folder.sweep(unknown, DAY)) == 3

    assert found_in(tmp_path / "media") == {}
    folder.bring_back("x")
    assert found_in(tmp_path / "media") == BYTES


def test_no_sweep_takes_what_was_brought_back_before_its_document_is(folder, tmp_path):
    folder.keep("x")
    grown_old(tmp_path)
    folder.drop_organization("other")
    folder.bring_back("x")  # some that was missing and some that was not

    assert folder.sweep(unknown, DAY) == []
    assert found_in(tmp_path / "media") == BYTES


def test_a_sweep_can_be_told_the_time(folder, tmp_path):
    assert folder.sweep(unknown, DAY, now=time.time() + DAY - 60) == []
    assert len(folder.sweep(unknown, DAY, now=time.time() + DAY + 60)) == 3


# Bytes that are there already


def test_the_same_bytes_are_not_written_again_but_their_name_is_on_disk_and_young(tmp_path):
    counter = CallCounter()
    filled(MediaFolder(tmp_path / "media"))
    grown_old(tmp_path)
    folder = MediaFolder(tmp_path / "media", WatchedDisk(counter))
    before = folder.original("org", "asset_a").stat().st_ino
    folder.put("org", "asset_a", b"a" * 3000)

    assert counter.names == ["sync_folder"]
    assert folder.original("org", "asset_a").stat().st_ino == before
    assert sorted(path.name for path in folder.sweep(unknown, DAY)) == ["asset_a", "asset_b"]
    assert found_in(tmp_path / "media") == {"org/asset_a": b"a" * 3000}


@pytest.mark.parametrize("data", [b"", b"a" * 2999, b"a" * 2999 + b"b", b"a" * 3001])
def test_other_bytes_are_written_in_their_place(tmp_path, data):
    folder = filled(MediaFolder(tmp_path / "media"))
    folder.put("org", "asset_a", data)

    assert folder.original("org", "asset_a").read_bytes() == data


def test_the_names_of_bytes_are_on_disk_before_a_document_can_say_so(tmp_path):
    """Also those of the folders they are in."""
    counter = CallCounter()
    folder = MediaFolder(tmp_path / "media", WatchedDisk(counter))
    folder.put("org", "asset_a", b"a")
    assert counter.names == ["sync_folder", "sync_folder", "write", "sync", "replace", "sync_folder"]
    counter.names.clear()
    folder.keep("x")
    assert counter.names == ["sync_folder"] * 3 + ["link", "sync_folder"]
    folder.drop_organization("org")
    counter.names.clear()
    folder.bring_back("x")
    assert counter.names == ["sync_folder", "link", "sync_folder"]


# Disks that refuse, and kills


def before_each(media):
    """Have something kept that is to be replaced and something gone that is to come back."""
    filled(media)
    media.keep("x")
    media.drop_organization("other")
    media.put("org", "asset_b", b"changed")
    media.put("org", "asset_new", b"new")


NOW = {"org/asset_a": b"a" * 3000, "org/asset_b": b"changed", "org/asset_new": b"new"}
ACTS = {
    "keep": (lambda media: media.keep("x"), "snapshots/x.media", [BYTES, NOW]),
    "bring_back": (lambda media: media.bring_back("x"), "media", [NOW, NOW | {"other/asset_a": b"other"}]),
}


def check_whole(place, states):
    """Every name stands for the bytes it had or those it was to have."""
    for name, data in found_in(place).items():
        if not name.endswith(".part"):
            assert data in [state[name] for state in states if name in state]
    assert found_in(place).keys() >= states[0].keys() & states[1].keys()


def calls_of(act, folder, disk):
    counter = CallCounter()
    before_each(MediaFolder(folder / "media"))
    act(MediaFolder(folder / "media", disk(counter)))
    return len(counter.names)


@pytest.mark.parametrize("disk", [WatchedDisk, CopyingDisk])
@pytest.mark.parametrize("kill", [kill_before, kill_halfway])
@pytest.mark.parametrize(("act", "place", "states"), ACTS.values(), ids=ACTS)
def test_a_kill_at_any_call_leaves_whole_bytes_and_the_next_one_does_it_all(tmp_path, kill, act, place, states, disk):
    for nth in range(1, calls_of(act, tmp_path / "counted", disk) + 1):
        folder = tmp_path / str(nth)
        before_each(MediaFolder(folder / "media"))
        killing = disk(NthCall(nth, kill))
        child = Child(lambda tell, folder=folder, killing=killing: act(MediaFolder(folder / "media", killing)))
        child.finish()
        assert child.status == -signal.SIGKILL
        check_whole(folder / place, states)
        act(MediaFolder(folder / "media"))
        assert {name: data for name, data in found_in(folder / place).items() if ".part" not in name} == states[1]


@pytest.mark.parametrize("disk", [WatchedDisk, CopyingDisk])
@pytest.mark.parametrize("failure", [no_space, input_output_error, half_then_no_space])
@pytest.mark.parametrize(("act", "place", "states"), ACTS.values(), ids=ACTS)
def test_a_disk_that_refuses_is_told_and_leaves_whole_bytes(tmp_path, act, place, states, failure, disk):
    for nth in range(1, calls_of(act, tmp_path / "counted", disk) + 1):
        folder = tmp_path / str(nth)
        before_each(MediaFolder(folder / "media"))
        with pytest.raises(OSError, match=r"No space|Input/output"):
            act(MediaFolder(folder / "media", disk(NthCall(nth, failure, lasting=True))))
        check_whole(folder / place, states)
        assert not list(folder.rglob("*.part"))
        act(MediaFolder(folder / "media"))
        assert found_in(folder / place) == states[1]


# Commands that come at the same time


@pytest.mark.parametrize("fails", ["link", "sync_folder"])
def test_documents_whose_bytes_cannot_be_kept_are_no_snapshot(rooms, settings, control, fails):
    def failing(name, call):
        return no_space(call) if name in (fails, "write") else call()

    full = rooms._replace(media=MediaFolder(settings.data / "media", WatchedDisk(failing)))
    response = Control(create_app(full).test_client()).send("POST", "/snapshots", {"name": "one"})

    assert refused(response) == UNAVAILABLE
    assert control.get("/snapshots") == {"items": []}
    assert refused(control.send("POST", "/snapshots/one/restore"))["status"] == 404


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

    watched = rooms._replace(media=MediaFolder(settings.data / "media", WatchedDisk(interrupted)))
    made = Control(create_app(watched).test_client()).send("POST", "/snapshots", {"name": "one"})
    waiting.join()

    assert (made.status_code, waited, found) == (201, [True], [200])
