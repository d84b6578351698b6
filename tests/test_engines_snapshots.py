"""All documents at once: what takes their place and states that are kept, each whole, of one moment, seen by all."""

import mmap
import os
import shutil
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from conftest import only_journal
from engine_helpers import (
    CallCounter,
    Child,
    Gate,
    NthCall,
    WatchedDisk,
    Worker,
    as_documents,
    by_rank,
    bytes_of,
    contents,
    half_then_no_space,
    input_output_error,
    kill_after,
    kill_before,
    kill_halfway,
    no_space,
    opened,
    put,
    stored,
    wait_until,
)

from engines.errors import DamagedSnapshot, NoSnapshot, Unavailable, Unconfirmed, UnknownFormat
from engines.line import encode_header
from engines.lock import ProcessLock
from engines.saved import Saved

LISTED = {"lists": {"t": by_rank}}
OLD = {("t", ""): {"a": {"groups": ["x"], "rank": "1"}, "gone": {}}}
NEW = {("t", ""): {"a": {"groups": ["x"], "rank": "5"}, "b": {"groups": ["x"], "rank": "4"}}, ("u", "org"): {"c": {}}}
LATER = {("t", ""): {"a": {"groups": [], "rank": "9"}}}


def replace(journal, state):
    journal.replace_all(as_documents(state))


def kept_in(folder, name, tmp_path, **options):
    """Return what a snapshot holds, as the journal that it is, without bringing it back."""
    place = tmp_path / "opened snapshot"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(folder / "snapshots" / f"{name}.jsonl", place / "journal.jsonl")
    return stored(place, **options)


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def journal(place):
    with opened(place, **LISTED) as journal:
        replace(journal, OLD)
        yield journal


@pytest.fixture
def elsewhere(place, journal):
    """The same folder or database as another process sees it."""
    with opened(place, **LISTED) as other:
        assert contents(other) == OLD
        yield other


# What takes the place of all there is.


def test_what_takes_the_place_of_all_is_all_there_is_for_everybody(journal, elsewhere, place):
    replace(journal, NEW)
    for side in (journal, elsewhere):
        assert contents(side) == NEW
        assert side.walk("t", "", "x", most=9) == ["5", "4"]
        assert (side.count("t", ""), side.count("u", "org")) == (2, 1)
    put(elsewhere, "d", {"groups": ["x"], "rank": "6"})
    put(journal, "b", {"groups": ["x"], "rank": "7"})
    expected = contents(journal)
    assert expected == NEW | {
        ("t", ""): NEW["t", ""] | {"d": {"groups": ["x"], "rank": "6"}} | {"b": {"groups": ["x"], "rank": "7"}}
    }
    assert contents(elsewhere) == stored(place, **LISTED) == expected
    assert elsewhere.walk("t", "", "x", most=9) == ["7", "6", "5"]
    assert not isinstance(place, Path) or not (place / "journal.new").exists()


def test_nothing_can_take_the_place_of_all(journal, elsewhere, place):
    journal.replace_all([])
    assert journal.tables() == elsewhere.tables() == []
    assert contents(journal) == contents(elsewhere) == stored(place) == {}
    assert elsewhere.walk("t", "", "x", most=9) == []


def test_what_takes_its_place_may_be_made_of_what_is_there(journal, elsewhere):
    journal.replace_all(("v", "", doc_id, journal.read("t", "", doc_id)) for doc_id in journal.ids("t", ""))
    assert contents(elsewhere) == {("v", ""): OLD["t", ""]}


@only_journal
def test_thousands_of_documents_share_lines(journal):
    replace(journal, {("u", ""): {str(n): {"n": n} for n in range(1000)}})
    assert journal.path.read_bytes().count(b"\n") < 10
    assert journal.count("u", "") == 1000


def failing_documents():
    yield from as_documents(NEW)
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("documents", "error"),
    [
        pytest.param(lambda: as_documents(NEW) * 2, ValueError, id="one comes twice"),
        pytest.param(lambda: [("t", "", "a", b'{"groups":["x"]}')], KeyError, id="one has no place in its lists"),
        pytest.param(failing_documents, ZeroDivisionError, id="their source fails"),
    ],
)
def test_documents_that_cannot_be_had_change_nothing(journal, elsewhere, place, documents, error):
    before = bytes_of(journal)
    with pytest.raises(error):
        journal.replace_all(documents())
    assert bytes_of(journal) == before
    assert not isinstance(place, Path) or not (place / "journal.new").exists()
    put(journal, "b", {})
    assert contents(elsewhere)["t", ""]["b"] == {}


# What is kept, and comes back.


def test_a_saved_state_comes_back_as_often_as_it_is_asked_for(journal, elsewhere):
    replace(journal, NEW)
    put(journal, "gone", {})
    journal.table("t").remove(doc_ids=["gone"])
    journal.save("first", {"savedAt": "2026-04-01T14:22:10Z", "by": ["someone", None]})
    for side, other in ((journal, elsewhere), (elsewhere, journal)):
        replace(side, LATER)
        put(other, "later", {})
        side.restore("first")
        for seen in (other, side):
            assert contents(seen) == NEW
            assert seen.walk("t", "", "x", most=9) == ["5", "4"]


@only_journal
def test_what_is_saved_is_told_by_name(journal, tmp_path):
    journal.save("b-2", {"n": 2})
    replace(journal, NEW)
    journal.save("b", {"savedAt": "now", "deep": {"a": [1, None, "ü"]}})
    journal.save("A", {})
    for stray in ("unfinished.new", "not ours.jsonl", "b.media"):
        (tmp_path / "snapshots" / stray).write_bytes(b"stray")

    def size(name):
        return (tmp_path / "snapshots" / f"{name}.jsonl").stat().st_size

    assert journal.saved() == [
        Saved("A", {}, 3, size("A")),
        Saved("b", {"savedAt": "now", "deep": {"a": [1, None, "ü"]}}, 3, size("b")),
        Saved("b-2", {"n": 2}, 2, size("b-2")),
    ]


def test_nothing_is_saved_at_first(journal):
    assert journal.saved() == []


def test_a_state_saved_under_a_name_that_is_taken_replaces_the_other(journal):
    journal.save("x", {"n": 1})
    replace(journal, NEW)
    journal.save("x", {"n": 2})
    assert [(saved.facts, saved.documents) for saved in journal.saved()] == [({"n": 2}, 3)]
    replace(journal, LATER)
    journal.restore("x")
    assert contents(journal) == NEW


def test_a_state_of_nothing_can_be_kept(journal):
    journal.replace_all([])
    journal.save("nothing", {})
    replace(journal, NEW)
    journal.restore("nothing")
    assert journal.tables() == []
    assert [saved.documents for saved in journal.saved()] == [0]


@only_journal
def test_a_saved_state_holds_no_history(journal, tmp_path):
    for number in range(100):
        put(journal, "a", {"groups": ["x"], "rank": str(number)})
    journal.save("x", {})
    saved = (tmp_path / "snapshots" / "x.jsonl").read_bytes().splitlines()
    assert len(saved) == 2
    journal.restore("x")
    assert journal.path.read_bytes().splitlines() == [encode_header(format=1)[:-1], saved[1]]


@only_journal
def test_a_forgotten_state_is_gone_and_no_other(journal, tmp_path):
    journal.save("x", {})
    journal.save("y", {})
    journal.forget("x")
    assert [saved.name for saved in journal.saved()] == ["y"]
    assert listed(tmp_path / "snapshots") == ["y.jsonl"]
    with pytest.raises(NoSnapshot):
        journal.restore("x")


@pytest.mark.parametrize("act", ["restore", "forget"])
def test_a_name_under_which_nothing_is_saved_is_told(journal, act):
    before = bytes_of(journal)
    with pytest.raises(NoSnapshot, match=r"^There is no snapshot named 'demo'\.$"):
        getattr(journal, act)("demo")
    assert bytes_of(journal) == before


@pytest.mark.parametrize("name", ["a", "Demo_1-b", "0" * 64])
def test_a_name_may_be_letters_digits_and_dashes(journal, name):
    journal.save(name, {})
    journal.restore(name)
    assert [saved.name for saved in journal.saved()] == [name]
    journal.forget(name)


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "a b", "a.b", "a\n", "\0", "é", "0" * 65, "/tmp/x", "journal.jsonl"]
)
def test_no_other_name_reaches_the_disk(journal, name):
    before = bytes_of(journal)
    for act in (lambda: journal.save(name, {}), lambda: journal.restore(name), lambda: journal.forget(name)):
        with pytest.raises(ValueError, match="a snapshot is named with"):
            act()
    assert bytes_of(journal) == before


def test_facts_that_are_not_json_keep_nothing(journal):
    journal.save("x", {"n": 1})
    with pytest.raises(TypeError):
        journal.save("x", {"n": object()})
    assert [saved.facts for saved in journal.saved()] == [{"n": 1}]


# Readers and writers of the same moment.


@only_journal
def test_a_block_of_reads_stays_with_the_state_it_began_in(journal, elsewhere):
    with elsewhere.reading():
        replace(journal, NEW)
        assert contents(elsewhere) != NEW
        assert elsewhere.table("t").find("a") == OLD["t", ""]["a"]
        assert elsewhere.walk("t", "", "x", most=9) == ["1"]
    assert contents(elsewhere) == NEW


def test_a_block_of_reads_that_replaces_all_sees_that(journal):
    journal.save("x", {})
    with journal.reading():
        replace(journal, NEW)
        assert journal.table("t").find("a") == NEW["t", ""]["a"]
        assert journal.count("t", "") == 2
        journal.restore("x")
        assert journal.table("t").find("a") == OLD["t", ""]["a"]


def test_another_process_sees_the_new_state_at_its_next_read_and_adds_to_it(journal, place):
    asking, answering = os.pipe()

    def work(tell):
        with opened(place, **LISTED) as other:
            for number in range(3):
                tell(f"{sorted(other.table('t').find('a'))} {other.walk('t', '', 'x', most=9)}")
                os.read(asking, 1)
                put(other, f"there {number}", {})

    replace(journal, NEW)
    journal.save("new", {})
    replace(journal, LATER)
    child = Child(work)
    for step, ranks in (
        (lambda: replace(journal, OLD), []),
        (lambda: journal.restore("new"), ["1"]),
        (None, ["5", "4"]),
    ):
        assert child.next_line() == f"['groups', 'rank'] {ranks}"
        if step is not None:
            step()
        os.write(answering, b".")
    assert child.finish() == []
    assert child.status == 0
    assert contents(journal) == NEW | {("t", ""): NEW["t", ""] | {"there 1": {}, "there 2": {}}}


def test_inside_a_transaction_all_of_it_is_refused(journal):
    journal.save("x", {})
    before = bytes_of(journal)
    for act in (lambda: replace(journal, NEW), lambda: journal.restore("x"), lambda: journal.save("x", {})):
        with pytest.raises(RuntimeError, match="inside a transaction"), journal.transaction():
            put(journal, "a", {})
            act()
    assert bytes_of(journal) == before


@pytest.mark.parametrize("same_process", [True, False])
def test_a_transaction_that_has_begun_is_ended_before_the_switch_and_gone_after_it(journal, elsewhere, same_process):
    journal.save("x", {})
    writer = journal if same_process else elsewhere
    with writer.transaction():
        assert writer.table("t").find("a") == OLD["t", ""]["a"]
        put(writer, "a", {"groups": ["x"], "rank": "2"})
        restoring = Worker(lambda: journal.restore("x"))
        restoring.join(0.2)  # it must not end, which cannot be waited for in another way
        assert restoring.is_alive()
        put(writer, "b", {})
    assert restoring.finish().error is None
    assert contents(journal) == contents(elsewhere) == OLD


@only_journal
@pytest.mark.parametrize("same_process", [True, False])
def test_a_transaction_that_comes_during_the_switch_runs_wholly_after_it(tmp_path, journal, same_process):
    gate = Gate("replace")
    journal.save("x", {})
    replace(journal, NEW)
    with opened(tmp_path, WatchedDisk(gate), **LISTED) as other:
        writer, seen = other if same_process else journal, []

        def write():
            with writer.transaction():
                seen.append(writer.count("t", ""))
                put(writer, "after", {})

        restoring = Worker(lambda: other.restore("x"))
        gate.wait_until_reached()
        writing = Worker(write)
        writing.join(0.2)  # as above
        assert writing.is_alive()
        assert contents(journal) == contents(other) == NEW  # readers do not wait
        gate.let_go()
        assert [restoring.finish().error, writing.finish().error, seen] == [None, None, [2]]
        assert contents(journal) == contents(other) == {("t", ""): OLD["t", ""] | {"after": {}}}


@only_journal
@pytest.mark.parametrize("act", ["replace_all", "save", "restore"])
def test_whoever_rewrites_the_journal_is_waited_for(journal, tmp_path, act):
    journal.save("x", {})
    works = {
        "replace_all": lambda: replace(journal, OLD),
        "save": lambda: journal.save("x", {}),
        "restore": lambda: journal.restore("x"),
    }
    compacting = ProcessLock(tmp_path / "journal.rewrite.lock")  # as a process has it that compacts
    with closing(compacting), compacting.held():
        waiting = Worker(works[act])
        waiting.join(0.2)  # as above
        assert waiting.is_alive()
        put(journal, "b", {})
    assert waiting.finish().error is None
    assert ("b" in contents(journal)["t", ""]) == (act == "save")


@only_journal
@pytest.mark.parametrize("act", ["replace_all", "restore"])
def test_what_a_killed_writer_left_at_the_end_goes_with_the_old_state(journal, elsewhere, act):
    journal.save("x", {})
    whole = journal.path.read_bytes()
    put(journal, "a", {})
    for end in (b'{"crc":"half', journal.path.read_bytes()[len(whole) : -1]):
        with journal.path.open("ab") as file:
            file.write(end)
        journal.restore("x") if act == "restore" else replace(journal, OLD)
        put(elsewhere, "b", {})
        assert contents(journal) == contents(elsewhere) == {("t", ""): OLD["t", ""] | {"b": {}}}


def count_up(journal, doc_ids):
    """Count two documents up in one transaction; return the number they have now."""
    with journal.transaction():
        n = (journal.table("t").find(doc_ids[0]) or {"n": 0})["n"] + 1
        for doc_id in doc_ids:
            put(journal, doc_id, {"n": n})
    return n


def test_a_saved_state_is_of_one_moment_while_threads_and_processes_write(tmp_path):
    enough = threading.Event()

    def work(tell):
        with opened(tmp_path) as other:
            while count_up(other, ["a", "b"]) < 2000:
                pass

    def write(told):
        while not enough.is_set():
            told.append(count_up(journal, ["a", "b"]))

    with opened(tmp_path) as journal:
        put(journal, "a", {"n": 0})
        for number in range(500):  # so that a save takes a while from one to the other
            put(journal, f"more {number}", {"text": "x" * 500})
        put(journal, "b", {"n": 0})
        told = [[0], [0]]
        children = [Child(work) for _ in range(2)]
        threads = [Worker(lambda told=each: write(told)) for each in told]
        before, counted = [], []
        for number in range(20):
            before.append(max(told[0][-1], told[1][-1]))
            journal.save(str(number), {})
            documents = kept_in(tmp_path, str(number), tmp_path)["t", ""]
            assert documents["a"] == documents["b"]
            counted.append(documents["a"]["n"])
        enough.set()
        assert [thread.finish().error for thread in threads] == [None, None]
        assert [(child.finish(), child.status) for child in children] == [([], 0)] * 2
    assert counted == sorted(counted)
    assert len(set(counted)) > 5  # they did write meanwhile
    assert all(least <= found for least, found in zip(before, counted, strict=True))


GENERATIONS, WRITERS = 15, 3


@pytest.mark.parametrize("act", ["replace_all", "restore"])
def test_writers_of_many_processes_lose_nothing_that_came_after_the_last_state(place, act):
    """Every state is marked with its number; what a writer was told is there is so exactly if the mark was the last."""

    last, switched = str(GENERATIONS), mmap.mmap(-1, 1)  # the number of the last state that was put in place

    def state(number):
        more = {f"more {n}": {"text": "x" * 200} for n in range(50)}
        return {("t", ""): {"mark": {"groups": ["marks"], "rank": str(number)}} | more}

    def write(writer, turn):
        least = switched[0]
        with writer.transaction():
            mark = writer.table("t").find("mark")["rank"]
            time.sleep(0.001)  # so that threads share commits, and a switch comes in the middle of one
            put(writer, turn, {"groups": ["written"], "rank": turn, "mark": mark}, partition="org")
            put(writer, turn, {"mark": mark}, table="u")
        assert int(mark) >= least
        return mark

    def write_on(writer, tell, name):
        turns, after = 0, 0
        while after < 10:  # some writes after the last mark, and it is over
            turn = f"{name}-{turns:06}"
            mark = write(writer, turn)
            tell(f"{turn} {mark}")
            turns, after = turns + 1, after + (mark == last)

    def work(tell, name):
        with opened(place, **LISTED) as writer:
            threads = [Worker(lambda n=n: write_on(writer, tell, f"{name}-{n}")) for n in range(3)]
            assert [thread.finish().error for thread in threads] == [None] * 3

    with opened(place, **LISTED) as journal, opened(place, **LISTED) as elsewhere:
        for number in range(GENERATIONS + 1):
            replace(journal, state(number))
            journal.save(str(number), {})
        journal.restore("0")
        children = [Child(lambda tell, name=f"w{number}": work(tell, name)) for number in range(WRITERS)]
        listeners = [Worker(child.finish) for child in children]
        for number in range(1, GENERATIONS + 1):
            wait_until(lambda: elsewhere.count("u", "") > WRITERS)
            journal.restore(str(number)) if act == "restore" else replace(journal, state(number))
            switched[0] = number
            assert elsewhere.table("t").find("mark")["rank"] == str(number)
            if number % 5 == 0 and isinstance(place, Path):
                elsewhere.compact()
        told = [line.split() for listener in listeners for line in listener.finish().result]
        assert [child.status for child in children] == [0] * WRITERS
        assert {mark for _, mark in told} == {str(number) for number in range(GENERATIONS + 1)}
        kept = {turn: {"groups": ["written"], "rank": turn, "mark": last} for turn, mark in told if mark == last}
        expected = state(last) | {("t", "org"): kept, ("u", ""): {turn: {"mark": last} for turn in kept}}
        for found in (contents(journal), contents(elsewhere), stored(place, **LISTED)):
            assert found == expected
        assert elsewhere.walk("t", "org", "written", most=len(told)) == sorted(kept, reverse=True)


# Disks that refuse, and kills.

FAILURES = [no_space, input_output_error, half_then_no_space]
ACTS = {
    "replace_all": (lambda journal: replace(journal, NEW), ["write", "write", "sync", "replace", "sync_folder"]),
    "restore": (lambda journal: journal.restore("x"), ["write", "write", "sync", "replace", "sync_folder"]),
    "save": (
        lambda journal: journal.save("x", {"n": 2}),
        ["sync_folder", "write", "write", "sync", "replace", "sync_folder"],
    ),
}


def prepared(folder):
    """Make a store that holds OLD and has NEW saved as `x`."""
    with opened(folder, **LISTED) as journal:
        replace(journal, NEW)
        journal.save("x", {"n": 1})
        replace(journal, OLD)
    return folder


@pytest.mark.parametrize(("act", "calls"), ACTS.values(), ids=ACTS)
def test_what_is_written_is_synced_before_it_gets_its_name_and_the_folder_after(tmp_path, act, calls):
    counter = CallCounter()
    with opened(prepared(tmp_path), WatchedDisk(counter), **LISTED) as journal:
        act(journal)
    assert counter.names == calls


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("act", "calls"), ACTS.values(), ids=ACTS)
def test_a_disk_that_refuses_changes_nothing_and_the_store_goes_on(tmp_path, act, calls, failure, lasting):
    for nth in range(1, len(calls)):
        folder = prepared(tmp_path / str(nth))
        with opened(folder, WatchedDisk(NthCall(nth, failure, lasting)), **LISTED) as journal:
            before = {name: (folder / name).read_bytes() for name in ("journal.jsonl", "snapshots/x.jsonl")}
            with pytest.raises(Unavailable, match=r"Nothing was changed\.$"):
                act(journal)
            assert {name: (folder / name).read_bytes() for name in before} == before
            assert listed(folder) == ["journal.jsonl", "journal.lock", "journal.rewrite.lock", "snapshots/x.jsonl"]
            assert contents(journal) == OLD
            if not lasting:
                put(journal, "b", {})
                act(journal)
        assert stored(folder, **LISTED) == (OLD if lasting else contents_after(act))


def contents_after(act):
    return {("t", ""): OLD["t", ""] | {"b": {}}} if act is ACTS["save"][0] else NEW


@pytest.mark.parametrize("act", ["replace_all", "restore"])
def test_a_switch_that_is_not_confirmed_is_told_and_nothing_is_written_behind_it(tmp_path, act):
    change, calls = ACTS[act]
    failing = WatchedDisk(NthCall(len(calls), input_output_error))
    with opened(prepared(tmp_path), **LISTED) as elsewhere, opened(tmp_path, failing, **LISTED) as journal:
        with pytest.raises(Unconfirmed, match="the disk did not confirm it: Input/output error"):
            change(journal)
        assert contents(journal) == contents(elsewhere) == NEW
        for write in (lambda: put(journal, "b", {}), lambda: change(journal)):
            with pytest.raises(Unavailable, match="takes no writes since this happened: Input/output error"):
                write()
        put(elsewhere, "b", {})
        assert contents(journal) == contents(elsewhere) == NEW | {("t", ""): NEW["t", ""] | {"b": {}}}


def test_a_saved_state_that_is_not_confirmed_is_told_and_the_store_goes_on(tmp_path):
    with opened(prepared(tmp_path), WatchedDisk(NthCall(6, input_output_error)), **LISTED) as journal:
        with pytest.raises(Unconfirmed):
            journal.save("x", {"n": 2})
        assert [saved.facts for saved in journal.saved()] == [{"n": 2}]
        put(journal, "b", {})


def test_a_store_that_takes_no_writes_is_not_replaced_either_but_can_be_saved(tmp_path):
    with opened(prepared(tmp_path), WatchedDisk(NthCall(2, input_output_error)), **LISTED) as journal:
        with pytest.raises(Unavailable):
            put(journal, "b", {})
        for act in (lambda: replace(journal, NEW), lambda: journal.restore("x")):
            with pytest.raises(Unavailable, match="takes no writes"):
                act()
        journal.save("y", {})
        assert contents(journal) == OLD
    with opened(tmp_path, **LISTED) as journal:
        journal.restore("y")
        assert contents(journal) == OLD


def test_a_forgotten_state_that_is_not_confirmed_is_told_and_the_store_goes_on(tmp_path):
    with opened(prepared(tmp_path), WatchedDisk(NthCall(1, input_output_error)), **LISTED) as journal:
        with pytest.raises(Unconfirmed, match="is gone, but the disk did not confirm it"):
            journal.forget("x")
        assert journal.saved() == []
        put(journal, "b", {})


@pytest.mark.parametrize("kill", [kill_before, kill_halfway, kill_after])
@pytest.mark.parametrize("name", ["x", "y"])
def test_a_kill_at_any_call_of_a_save_leaves_the_states_that_were_kept_or_that_and_the_new_one(tmp_path, kill, name):
    def work(folder, disk):
        with opened(folder, disk, **LISTED) as journal:
            journal.save(name, {"n": 2})

    calls = len(ACTS["save"][1])
    before = [("x", {"n": 1}, NEW)]
    after = [("x", {"n": 2}, OLD)] if name == "x" else [*before, ("y", {"n": 2}, OLD)]
    for nth in range(1, calls + 1):
        folder = prepared(tmp_path / str(nth))
        child = Child(lambda tell, nth=nth, folder=folder: work(folder, WatchedDisk(NthCall(nth, kill))))
        child.finish()
        assert child.status == -signal.SIGKILL
        with opened(folder, **LISTED) as journal:
            found = [
                (told.name, told.facts, kept_in(folder, told.name, tmp_path, **LISTED)) for told in journal.saved()
            ]
            assert found in (before, after)
            for told in journal.saved():
                journal.restore(told.name)
                assert (told.name, told.facts, contents(journal)) in found
            journal.save("z", {})
        assert "snapshots/unfinished.new" not in listed(folder)


# Formats.


def upgraded(table, document):
    return document | {"rank": f"{document['rank']}!", "from": table} if "rank" in document else document


def again(table, document):
    return document | {"again": True}


def test_a_state_of_an_older_format_is_upgraded_on_its_way(tmp_path):
    saved = prepared(tmp_path) / "snapshots" / "x.jsonl"
    before = saved.read_bytes()
    options = LISTED | {"version": 3, "upgrades": {1: upgraded, 2: again}}
    expected = {
        space: {doc_id: again(0, upgraded("t", record)) for doc_id, record in rows.items()}
        for space, rows in NEW.items()
    }
    with opened(tmp_path, **options) as journal, opened(tmp_path, **options) as elsewhere:
        for _ in range(2):
            journal.replace_all([])
            journal.restore("x")
            assert contents(journal) == contents(elsewhere) == stored(tmp_path, **options) == expected
            assert elsewhere.walk("t", "", "x", most=9) == ["5!", "4!"]
        assert [(told.facts, told.documents) for told in journal.saved()] == [({"n": 1}, 3)]
        assert saved.read_bytes() == before


def test_a_state_that_cannot_be_upgraded_changes_nothing(tmp_path):
    def fail(table, document):
        return {} if document.get("rank") != "4" else document["missing"]

    with opened(prepared(tmp_path), **LISTED):
        pass
    with opened(tmp_path, version=2, upgrades={1: lambda table, document: document}):
        pass
    with opened(tmp_path, version=2, upgrades={1: fail}) as journal:
        before = journal.path.read_bytes()
        with pytest.raises(KeyError, match="missing"):
            journal.restore("x")
        assert journal.path.read_bytes() == before
        assert not (tmp_path / "journal.new").exists()


def test_a_state_of_a_newer_format_is_refused_in_a_sentence(tmp_path):
    saved = prepared(tmp_path) / "snapshots" / "x.jsonl"
    header, *lines = saved.read_bytes().splitlines(keepends=True)
    facts = orjson.loads(header)["snapshot"]
    saved.write_bytes(encode_header(format=2, snapshot=facts) + b"".join(lines))
    with opened(tmp_path, **LISTED) as journal:
        with pytest.raises(UnknownFormat, match="has format 2: only a newer program restores it"):
            journal.restore("x")
        assert contents(journal) == OLD


# Damage.


@pytest.fixture
def kept(tmp_path):
    """A store that holds OLD, and the file in which NEW is kept as `x`."""
    prepared(tmp_path)
    with opened(tmp_path, **LISTED) as journal:
        yield journal, tmp_path / "snapshots" / "x.jsonl"
        assert contents(journal) == OLD
        assert not (tmp_path / "journal.new").exists()


def refusal_of(journal):
    before = journal.path.read_bytes()
    with pytest.raises(DamagedSnapshot) as refused:
        journal.restore("x")
    assert journal.path.read_bytes() == before
    return refused.value


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_a_state_with_a_flipped_byte_is_not_restored(kept, flip):
    journal, path = kept
    data = path.read_bytes()
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= flip
        path.write_bytes(damaged)
        assert refusal_of(journal).line in (data.count(b"\n", 0, at) + 1, 2), f"byte {at}"


def test_a_state_cut_anywhere_or_with_more_at_its_end_is_not_restored(kept):
    journal, path = kept
    data = path.read_bytes()
    for damaged in (*(data[:end] for end in range(len(data))), data + b"{", data + bytes(512), data + b"\n"):
        path.write_bytes(damaged)
        refusal_of(journal)


def test_a_state_that_lacks_whole_lines_or_has_others_is_not_restored(tmp_path):
    with opened(tmp_path, **LISTED) as journal:
        replace(journal, {("t", ""): {str(n): {"n": n} for n in range(600)}})
        journal.save("x", {})
        replace(journal, OLD)
        path = tmp_path / "snapshots" / "x.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        assert len(lines) == 4
        for order in ([0], [0, 1], [0, 1, 2], [0, 2, 3], [0, 1, 1, 2, 3], [0, 2, 1, 3], [1, 2, 3], []):
            path.write_bytes(b"".join(lines[number] for number in order))
            refusal_of(journal)
        path.write_bytes(journal.path.read_bytes())
        assert "its header is not that of a snapshot" in str(refusal_of(journal))
        path.write_bytes(b"".join(lines))
        journal.restore("x")
        assert journal.count("t", "") == 600


def test_a_refusal_names_file_and_line_and_what_helps(kept):
    journal, path = kept
    path.write_bytes(path.read_bytes().replace(b'"rank":"5"', b'"rank":"6"'))
    header = path.read_bytes().index(b"\n") + 1
    assert str(refusal_of(journal)) == (
        f"The snapshot {path} is damaged at line 2, byte {header}: its checksum does not match. "
        "Nothing was changed. It cannot be restored: save it anew, or forget it."
    )


@pytest.mark.parametrize("damage", [b"", b"{", b'"documents":4'])
def test_a_state_whose_header_is_damaged_is_listed_beside_the_others_and_can_be_forgotten(kept, damage):
    journal, path = kept
    journal.save("y", {"n": 2})
    whole = journal.saved()[1]
    data = path.read_bytes().replace(b'"documents":3', damage, 1) if b"documents" in damage else damage
    path.write_bytes(data)

    assert journal.saved() == [Saved("x", {}, None, len(data)), whole]
    with pytest.raises(DamagedSnapshot, match=rf"{path} is damaged at line 1, byte 0"):
        journal.restore("x")
    journal.forget("x")
    assert journal.saved() == [whole]
