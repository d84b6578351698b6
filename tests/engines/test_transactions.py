"""Transactions: all or nothing, seen by everybody when they end, one after the other, on each engine."""

import os
import resource
import signal
import threading
from pathlib import Path

import apsw
import orjson
import pytest
from conftest import only_sqlite
from databases import Pages, Rows
from engine_helpers import (
    Child,
    Worker,
    by_rank,
    bytes_of,
    contents,
    opened,
    put,
    stored,
    wait_until,
    wait_until_queued,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinydb.table import Document

from layers_standin.engines.errors import Unavailable

pytestmark = pytest.mark.postgres

SOON = 0.1  # seconds that a test lets an engine wait


@pytest.fixture
def engine(place):
    with opened(place) as engine:
        put(engine, "a", {"n": 0})
        yield engine


def document(engine, doc_id):
    return engine.table("t").get(doc_id=doc_id)


def commits_of(engine):
    return (Pages(engine.path) if hasattr(engine, "path") else Rows(engine._url)).commits()


def add_one(engine):
    with engine.transaction():
        n = (document(engine, "counter") or {"n": 0})["n"]
        put(engine, "counter", {"n": n + 1})


# All or nothing.


def test_several_operations_across_tables_are_one_commit(engine):
    before = commits_of(engine)
    with engine.transaction():
        engine.table("t").insert_multiple([Document({"n": n}, doc_id=str(n)) for n in range(5)])
        engine.table("u", "org").insert(Document({}, doc_id="x"))
        put(engine, "a", {"n": 1})
    assert commits_of(engine) == before + (1 if hasattr(engine, "path") else 0)  # of "a", which was the only row, too
    assert contents(engine) == {
        ("t", ""): {"a": {"n": 1}} | {str(n): {"n": n} for n in range(5)},
        ("u", "org"): {"x": {}},
    }


def test_a_transaction_that_only_reads_writes_nothing(engine):
    before = bytes_of(engine)
    with engine.transaction():
        assert document(engine, "a") == {"n": 0}
    assert bytes_of(engine) == before


@pytest.mark.parametrize("interrupt", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_breaks_a_transaction_off_rolls_all_of_it_back_and_holds_nobody_up(place, engine, interrupt):
    before = bytes_of(engine)
    with pytest.raises(interrupt), engine.transaction():
        put(engine, "a", {"n": 1})
        put(engine, "b", {"n": 1})
        with engine.transaction():
            put(engine, "c", {"n": 1})
            raise interrupt
    assert contents(engine) == {("t", ""): {"a": {"n": 0}}}
    assert bytes_of(engine) == before
    assert Worker(lambda: put(engine, "d", {})).finish().error is None
    assert stored(place)["t", ""].keys() == {"a", "d"}


def test_a_transaction_within_can_fail_alone(engine):
    with engine.transaction():
        put(engine, "b", {"n": 1})
        with pytest.raises(ZeroDivisionError), engine.savepoint():
            put(engine, "a", {"n": 2})
            engine.table("t").remove(doc_ids=["b"])
            assert document(engine, "b") is None
            1 / 0  # noqa: B018
        assert document(engine, "b") == {"n": 1}
        with engine.transaction():
            put(engine, "c", {"n": 3})
    assert contents(engine) == {("t", ""): {"a": {"n": 0}, "b": {"n": 1}, "c": {"n": 3}}}


def test_lists_go_back_with_the_part_of_a_transaction_that_failed(place):
    with opened(place, indexes={"t": by_rank}) as engine:
        with engine.transaction():
            put(engine, "a", {"groups": ["x"], "rank": "1"})
            with pytest.raises(ZeroDivisionError), engine.savepoint():
                put(engine, "a", {"groups": ["y"], "rank": "2"})
                put(engine, "b", {"groups": ["x"], "rank": "3"})
                1 / 0  # noqa: B018
        assert (engine.scan("t", "", "x", limit=9), engine.scan("t", "", "y", limit=9)) == (["1"], [])


def test_nothing_is_written_outside_a_transaction(engine):
    with pytest.raises(RuntimeError):
        engine.write("t", "", "b", b"{}")
    assert document(engine, "b") is None


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(lambda engine: engine.replace_all([]), id="replace_all"),
        pytest.param(lambda engine: engine.restore_snapshot("x"), id="restore"),
        pytest.param(lambda engine: engine.delete_snapshot("x"), id="forget"),
    ],
)
def test_nothing_is_replaced_as_a_whole_inside_a_transaction(engine, whole):
    with engine.transaction():
        put(engine, "b", {})
        with pytest.raises(RuntimeError):
            whole(engine)
    assert contents(engine) == {("t", ""): {"a": {"n": 0}, "b": {}}}


def test_a_document_that_cannot_be_placed_fails_its_transaction_and_no_later_one(place):
    with opened(place, indexes={"t": by_rank}) as engine:
        before = bytes_of(engine)
        with pytest.raises(KeyError):
            put(engine, "a", {"groups": ["g"]})
        assert bytes_of(engine) == before
        put(engine, "a", {"groups": ["g"], "rank": "1"})
        assert engine.scan("t", "", "g") == ["1"]


# A disk that is full, for the file: what SQLite does then, it does to the whole transaction.


def fill_up(engine):
    """Let the database of this thread's connection have no more pages than now."""
    connection = engine._session().connection
    connection.pragma("max_page_count", connection.pragma("page_count"))


LARGE = {"text": "x" * 100_000}


@only_sqlite
def test_what_a_full_file_refuses_within_a_transaction_ends_all_of_it_also_for_those_who_go_on(engine):
    before = bytes_of(engine)
    with pytest.raises(Unavailable), engine.transaction():
        put(engine, "b", {})
        fill_up(engine)
        with pytest.raises(Unavailable):
            put(engine, "large", LARGE)
        for go_on in (
            lambda: put(engine, "c", {}),
            lambda: engine.write("t", "", "d", b"{}"),
            lambda: engine.read("t", "", "b"),
        ):
            with pytest.raises(Unavailable):
                go_on()
    assert bytes_of(engine) == before
    engine._session().connection.pragma("max_page_count", 1 << 30)
    put(engine, "large", LARGE)
    assert contents(engine) == {("t", ""): {"a": {"n": 0}, "large": LARGE}}


@pytest.mark.slow
@only_sqlite
def test_what_the_disk_refuses_at_the_commit_is_not_kept_and_the_next_is_when_there_is_room(place):
    def work(tell):
        with opened(place) as engine:
            put(engine, "a", {"n": 0})
            log = engine.path.with_name("store.sqlite3-wal")
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, limits[1]))
            for change in (lambda: put(engine, "a", {"n": 1}), engine.probe, lambda: engine.replace_all([])):
                try:
                    change()
                except Unavailable as error:
                    tell(type(error).__name__)
            tell(str(document(engine, "a")))
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            engine.probe()
            put(engine, "b", {})
            tell(str(contents(engine)["t", ""]))

    child = Child(work)
    assert child.finish() == [*["Unavailable"] * 3, "{'n': 0}", "{'a': {'n': 0}, 'b': {}}"]
    assert child.status == 0


def test_a_probe_is_a_commit_that_leaves_everything_as_it_was(engine):
    before, documents = bytes_of(engine), contents(engine)
    engine.probe()
    assert bytes_of(engine) != before
    assert contents(engine) == documents
    with pytest.raises(ZeroDivisionError), engine.transaction():
        1 / 0  # noqa: B018
    put(engine, "b", {})


# One after the other.


def test_no_change_of_twenty_threads_is_lost(place, engine):
    workers = [Worker(lambda: [engine.run_transaction(lambda: add_one(engine)) for _ in range(5)]) for _ in range(8)]
    assert [worker.finish().error for worker in workers] == [None] * 8
    assert document(engine, "counter") == {"n": 40}
    assert stored(place)["t", ""]["counter"] == {"n": 40}


@only_sqlite
def test_a_transaction_has_the_write_lock_from_its_beginning_and_readers_go_on(place, engine):
    with opened(place, patience_seconds=SOON) as elsewhere, engine.transaction():
        for change in (lambda: put(elsewhere, "b", {}), elsewhere.probe, lambda: elsewhere.replace_all([])):
            with pytest.raises(Unavailable):
                change()
        assert document(elsewhere, "a") == {"n": 0}
        put(engine, "a", {"n": 1})
        assert document(elsewhere, "a") == {"n": 0}
        assert Worker(lambda: document(engine, "a")).finish().result == {"n": 0}
    assert document(elsewhere, "a") == {"n": 1}


@only_sqlite
def test_threads_wait_for_the_transaction_of_another_and_see_what_it_did(engine):
    with engine.transaction():
        workers = [Worker(lambda: add_one(engine)) for _ in range(5)]
        wait_until_queued(5)
        put(engine, "counter", {"n": 100})
    assert [worker.finish().error for worker in workers] == [None] * 5
    assert document(engine, "counter") == {"n": 105}


@only_sqlite
def test_threads_of_one_process_wait_no_longer_than_they_may(place):
    with opened(place, patience_seconds=SOON) as engine:
        with engine.transaction():
            assert isinstance(Worker(lambda: add_one(engine)).finish().error, Unavailable)
            put(engine, "a", {})
        add_one(engine)
        assert contents(engine) == {("t", ""): {"a": {}, "counter": {"n": 1}}}


@only_sqlite
def test_while_the_holder_of_the_lock_does_not_move_those_who_come_later_wait_hardly_at_all(place, engine):
    with opened(place, patience_seconds=SOON) as elsewhere:
        with engine.transaction():
            with pytest.raises(Unavailable):
                add_one(elsewhere)
            elsewhere._patience_seconds = 10_000
            workers = [Worker(lambda: add_one(elsewhere)) for _ in range(20)]
            assert {type(worker.finish().error) for worker in workers} == {Unavailable}
        add_one(elsewhere)
        with engine.transaction():
            waiting = Worker(lambda: add_one(elsewhere))
            wait_until_queued(1)
        assert waiting.finish().error is None
        assert document(engine, "counter") == {"n": 2}


# What readers see.


@only_sqlite
def test_the_reads_of_a_block_see_one_state(place, engine):
    with opened(place) as other:
        with engine.snapshot_read():
            assert document(engine, "a") == {"n": 0}
            put(other, "a", {"n": 1})
            put(other, "b", {})
            with engine.snapshot_read():
                assert document(engine, "a") == {"n": 0}
            assert contents(engine) == {("t", ""): {"a": {"n": 0}}}
        assert contents(engine) == {("t", ""): {"a": {"n": 1}, "b": {}}}


def test_a_transaction_in_a_block_of_reads_goes_by_what_is_there_now_and_the_block_sees_what_it_did(place, engine):
    with opened(place) as other, engine.snapshot_read():
        assert document(engine, "a") == {"n": 0}
        put(other, "a", {"n": 1})
        with engine.transaction():
            assert document(engine, "a") == {"n": 1}
            with engine.snapshot_read():
                assert document(engine, "a") == {"n": 1}
            put(engine, "a", {"n": 2})
        assert document(engine, "a") == {"n": 2}
        with pytest.raises(ZeroDivisionError), engine.transaction():
            put(engine, "a", {"n": 3})
            1 / 0  # noqa: B018
        assert document(engine, "a") == document(other, "a") == {"n": 2}


def test_documents_that_a_block_has_read_together_stay_as_they_were_until_it_ends(place, engine):
    keys = [("t", "", "a"), ("t", "", "absent")]
    with opened(place) as other:
        with engine.snapshot_read():
            assert [found and orjson.loads(found) for found in engine.read_texts(keys)] == [{"n": 0}, None]
            put(other, "a", {"n": 1})
            put(other, "absent", {"n": 1})
            assert (document(engine, "a"), document(engine, "absent")) == ({"n": 0}, None)
            with engine.transaction():
                assert (document(engine, "a"), document(engine, "absent")) == ({"n": 1}, {"n": 1})
        assert (document(engine, "a"), document(engine, "absent")) == ({"n": 1}, {"n": 1})
        with engine.snapshot_read():
            assert (document(engine, "a"), document(engine, "absent")) == ({"n": 1}, {"n": 1})


def test_what_a_transaction_in_a_block_of_reads_has_read_is_read_again_behind_it(engine):
    keys = [("t", "", "a")]
    with engine.snapshot_read():
        with pytest.raises(ZeroDivisionError), engine.transaction():
            assert engine.read_texts(keys) != [None]
            put(engine, "a", {"n": 1})
            assert document(engine, "a") == orjson.loads(engine.read_texts(keys)[0]) == {"n": 1}
            1 / 0  # noqa: B018
        assert document(engine, "a") == orjson.loads(engine.read_texts(keys)[0]) == {"n": 0}


def test_a_block_of_reads_that_fails_leaves_nothing_behind(place, engine):
    with opened(place) as other:
        with pytest.raises(ZeroDivisionError), engine.snapshot_read():
            assert document(engine, "a") == {"n": 0}
            1 / 0  # noqa: B018
        put(other, "a", {"n": 1})
        assert document(engine, "a") == {"n": 1}
        put(engine, "a", {"n": 2})
        assert document(other, "a") == {"n": 2}


# Threads and their connections.


@only_sqlite
def test_the_connections_of_threads_that_ended_are_closed(engine):
    def open_files():
        return len(os.listdir("/dev/fd"))

    def read_in_threads(number):
        together = threading.Barrier(number)

        def read():
            together.wait(20)
            document(engine, "a")
            together.wait(20)

        for worker in [Worker(read) for _ in range(number)]:
            assert worker.finish().error is None

    read_in_threads(2)  # SQLite keeps descriptors of its own for later
    before = open_files()
    for _ in range(3):
        read_in_threads(20)
    wait_until(lambda: open_files() <= before + 20)  # as many as were open at one time, however many there were
    read_in_threads(20)
    assert open_files() <= before + 20
    assert len(engine._connections._sessions) == 1


def test_an_engine_that_was_closed_while_threads_used_it_serves_those_who_come_later(place, engine):
    inside, closed = threading.Event(), threading.Event()

    def change():
        with engine.transaction():
            put(engine, "b", {})
            inside.set()
            closed.wait(20)
            engine.read("t", "", "a")
            put(engine, "c", {})

    changing = Worker(change)
    assert inside.wait(20)
    engine.close()
    closed.set()
    error = changing.finish().error
    assert error is None or isinstance(error, Unavailable)
    expected = {"a"} if error else {"a", "b", "c"}
    assert stored(place)["t", ""].keys() == expected
    put(engine, "d", {})
    assert Worker(lambda: put(engine, "e", {})).finish().error is None
    assert contents(engine)["t", ""].keys() == expected | {"d", "e"}


# The ordered lists.


def test_documents_join_and_leave_lists_as_they_change(place):
    with opened(place, indexes={"t": by_rank}) as engine:
        put(engine, "a", {"groups": ["x", "y"], "rank": "1"})
        put(engine, "b", {"groups": ["x"], "rank": "2"})
        put(engine, "c", {"groups": ["x"], "rank": "3"})
        assert engine.scan("t", "", "x", limit=9) == ["3", "2", "1"]
        assert engine.scan("t", "", "x", before="3", limit=1) == ["2"]
        assert engine.scan("t", "", "x", before="25", limit=9) == ["2", "1"]
        assert engine.scan("t", "", "x", before="1", limit=9) == []
        with_documents = engine.scan_documents("t", "", ["x", "y", "z"], before="3", limit=2)
        assert [(key, found and found["rank"]) for key, found in with_documents] == [("2", "2"), ("1", "1")]
        assert engine.scan_documents("t", "", ["y"]) == [("1", {"groups": ["x", "y"], "rank": "1"})]
        assert engine.scan_documents("t", "", ["z"], limit=9) == engine.scan_documents("t", "no", ["x"]) == []
        assert engine.scan("t", "other", "x", limit=9) == engine.scan("t", "", "z", limit=9) == []
        put(engine, "a", {"groups": ["y"], "rank": "4"})
        assert engine.scan("t", "", "y", limit=9) == ["4"]
        engine.table("t").remove(doc_ids=["c"])
        assert engine.scan("t", "", "x", limit=9) == ["2"]


def test_a_list_is_the_same_however_it_came_about(place):
    with opened(place, indexes={"t": by_rank}) as engine:
        put(engine, "a", {"groups": ["x", "x"], "rank": "1"})
        put(engine, "a", {"groups": ["x"], "rank": "1"})
        assert engine.scan("t", "", "x", limit=9) == ["1"]
        with opened(place, indexes={"t": by_rank}) as reopened:
            assert reopened.scan("t", "", "x", limit=9) == ["1"]


group_names = st.lists(st.sampled_from("xyz"), unique=True)
steps = st.lists(st.tuples(st.integers(0, 5), st.none() | st.tuples(group_names, st.integers(0, 9))), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(steps, st.none() | st.integers(0, 9), st.integers(0, 4), st.booleans())
def test_lists_walk_as_sorted_lists_do_also_reopened(place, changes, before, most, together):
    model = {}
    with opened(place, indexes={"t": by_rank}) as engine:
        engine.replace_all([])

        def change():
            for number, placed in changes:
                if placed is None:
                    model.pop(number, None)
                    engine.table("t").remove(doc_ids=[str(number)])
                else:
                    groups, rank = placed
                    model[number] = placed
                    put(engine, str(number), {"groups": groups, "rank": f"{rank}-{number}"})

        if together:
            with engine.transaction():
                change()
        else:
            change()
        below = None if before is None else str(before)
        expected = {}
        for group in "xyz":
            ranks = sorted((f"{rank}-{n}" for n, (groups, rank) in model.items() if group in groups), reverse=True)
            expected[group] = [rank for rank in ranks if below is None or rank < below][:most]

        def walked(of):
            return {group: of.scan("t", "", group, before=below, limit=most) for group in "xyz"}

        assert walked(engine) == expected
    with opened(place, indexes={"t": by_rank}) as reopened:
        assert walked(reopened) == expected


def test_a_folder_given_relative_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with opened(Path("store")) as engine:
        put(engine, "a", {"n": 1})
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert Worker(lambda: document(engine, "a")).finish().result == {"n": 1}
        assert engine.name == str(tmp_path / "store" / "store.sqlite3")


@only_sqlite
@pytest.mark.parametrize(("sync", "level"), [(True, 2), (False, 0)])
def test_every_commit_is_synced_unless_that_is_left_out(place, sync, level):
    with opened(place, sync=sync) as engine:
        levels = [engine._session().connection.pragma("synchronous")]
        levels.append(Worker(lambda: engine._session().connection.pragma("synchronous")).finish().result)
        assert levels == [level] * 2
    assert apsw.SQLITE_VERSION_NUMBER >= 3_050_000  # the one that is installed, with the VFS of checksums
