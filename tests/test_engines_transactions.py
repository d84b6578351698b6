"""Transactions: all or nothing, one line, on disk before they are told, shared by the threads of a process."""

from pathlib import Path

import pytest
from conftest import only_sqlite
from engine_helpers import (
    CallCounter,
    Gate,
    NthCall,
    WatchedDisk,
    Worker,
    by_rank,
    bytes_of,
    contents,
    half_then_no_space,
    input_output_error,
    no_space,
    opened,
    put,
    stored,
    wait_until_queued,
)
from hypothesis import given
from hypothesis import strategies as st
from tinydb.table import Document

from engines.disk import Disk
from engines.errors import Unavailable


@pytest.fixture
def journal(place):
    with opened(place) as journal:
        put(journal, "a", {"n": 0})
        yield journal


def lines_of(journal):
    return journal.path.read_bytes().count(b"\n")


def document(journal, doc_id):
    return journal.table("t").get(doc_id=doc_id)


# All or nothing.


@only_sqlite
def test_several_operations_across_tables_are_one_line(journal):
    before = lines_of(journal)
    with journal.transaction():
        journal.table("t").insert_multiple([Document({"n": n}, doc_id=str(n)) for n in range(5)])
        journal.table("u", "org").insert(Document({}, doc_id="x"))
        journal.table("t").remove(doc_ids=["a"])
    assert lines_of(journal) == before + 1
    assert contents(journal) == {("t", ""): {str(n): {"n": n} for n in range(5)}, ("u", "org"): {"x": {}}}


def test_a_transaction_that_only_reads_writes_nothing(journal):
    before = bytes_of(journal)
    with journal.transaction():
        assert document(journal, "a") == {"n": 0}
    assert bytes_of(journal) == before


def test_an_exception_rolls_everything_back(journal):
    before = bytes_of(journal)
    with pytest.raises(ZeroDivisionError), journal.transaction():
        put(journal, "a", {"n": 1})
        put(journal, "b", {"n": 1})
        1 / 0  # noqa: B018
    assert contents(journal) == {("t", ""): {"a": {"n": 0}}}
    assert bytes_of(journal) == before


def test_a_transaction_within_can_fail_alone(journal):
    with journal.transaction():
        put(journal, "b", {"n": 1})
        with pytest.raises(ZeroDivisionError), journal.transaction():
            put(journal, "a", {"n": 2})
            journal.table("t").remove(doc_ids=["b"])
            assert document(journal, "b") is None
            1 / 0  # noqa: B018
        assert document(journal, "b") == {"n": 1}
        with journal.transaction():
            put(journal, "c", {"n": 3})
    assert contents(journal) == {("t", ""): {"a": {"n": 0}, "b": {"n": 1}, "c": {"n": 3}}}


def test_nothing_is_written_outside_a_transaction(journal):
    with pytest.raises(RuntimeError):
        journal.write("t", "", "b", b"{}")


@only_sqlite
def test_no_journal_is_compacted_inside_a_transaction(journal):
    with pytest.raises(RuntimeError), journal.transaction():
        journal.compact()


# Sharing a commit.


def start_shared_commit(journal, gate, works):
    """Run the works in threads that are bound to share one commit: they queue while a first one is syncing."""
    first = Worker(lambda: put(journal, "first", {}))
    gate.wait_until_reached()
    others = [Worker(work) for work in works]
    wait_until_queued(journal, len(others))
    gate.let_go()
    return [worker.finish() for worker in [first, *others]]


def test_threads_that_write_at_one_moment_share_a_sync(tmp_path):
    gate, counter = Gate("sync", nth=2), CallCounter()  # the first sync makes the file
    disk = WatchedDisk(lambda name, call: gate(name, lambda: counter(name, call)))
    with opened(tmp_path, disk) as journal:
        works = [lambda n=n: put(journal, str(n), {"n": n}) for n in range(10)]
        workers = start_shared_commit(journal, gate, works)
    assert [worker.error for worker in workers] == [None] * 11
    assert counter.names.count("sync") == 3
    assert stored(tmp_path)["t", ""] == {"first": {}} | {str(n): {"n": n} for n in range(10)}


def test_the_threads_of_a_commit_see_what_those_before_them_changed(tmp_path):
    gate = Gate("sync", nth=2)
    with opened(tmp_path, WatchedDisk(gate)) as journal:

        def count_up():
            with journal.transaction():
                n = (document(journal, "counter") or {"n": 0})["n"]
                put(journal, "counter", {"n": n + 1})

        start_shared_commit(journal, gate, [count_up] * 20)
        assert document(journal, "counter") == {"n": 20}
        assert journal.path.read_bytes().count(b"\n") == 3


def test_a_commit_holds_only_so_many_and_the_next_goes_on(tmp_path):
    gate = Gate("sync", nth=2)
    with opened(tmp_path, WatchedDisk(gate)) as journal:
        works = [lambda n=n: put(journal, str(n), {}) for n in range(70)]
        start_shared_commit(journal, gate, works)
        assert len(journal.table("t")) == 71
        assert journal.path.read_bytes().count(b"\n") == 4


def test_one_that_fails_does_not_lose_what_the_others_of_its_commit_wrote(tmp_path):
    gate = Gate("sync", nth=2)
    with opened(tmp_path, WatchedDisk(gate)) as journal:

        def fail():
            with journal.transaction():
                put(journal, "lost", {})
                raise ZeroDivisionError

        kept = [lambda n=n: put(journal, str(n), {}) for n in range(4)]
        workers = start_shared_commit(journal, gate, [*kept[:2], fail, *kept[2:], fail])
        assert [type(worker.error) for worker in workers].count(ZeroDivisionError) == 2
        assert [type(worker.error) for worker in workers].count(type(None)) == 5
    assert stored(tmp_path)["t", ""].keys() == {"first", "0", "1", "2", "3"}


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_commit_is_told_to_none_of_its_members_as_done(tmp_path, interrupt):
    gate, syncs = Gate("sync", nth=2), []

    def interrupt_third_sync(name, call):
        syncs.extend([name] * (name == "sync"))
        if name == "sync" and len(syncs) == 3:
            raise interrupt
        return gate(name, call)

    with opened(tmp_path, WatchedDisk(interrupt_third_sync)) as journal:
        workers = start_shared_commit(journal, gate, [lambda n=n: put(journal, str(n), {}) for n in range(3)])
        assert sorted(type(worker.error).__name__ for worker in workers[1:]) == sorted(
            [interrupt.__name__, "Unavailable", "Unavailable"]
        )
        put(journal, "later", {})
        assert document(journal, "later") == {}


# What readers see.


def test_no_reader_sees_a_change_that_is_not_synced(tmp_path):
    gate = Gate("sync", nth=3)
    with opened(tmp_path, WatchedDisk(gate)) as journal, opened(tmp_path) as elsewhere:
        put(journal, "a", {"n": 0})
        writer = Worker(lambda: put(journal, "a", {"n": 1}))
        gate.wait_until_reached()
        seen = [document(reader, "a") for reader in (journal, elsewhere)]
        gate.let_go()
        assert writer.finish().error is None
        assert seen == [{"n": 0}] * 2
        assert [document(reader, "a") for reader in (journal, elsewhere)] == [{"n": 1}] * 2


def test_a_line_that_ends_at_the_same_byte_as_one_that_was_cut_off_is_seen(tmp_path):
    gate = Gate("sync", nth=2)
    gate.failure = OSError(5, "Input/output error")
    with opened(tmp_path, WatchedDisk(gate)) as failing, opened(tmp_path) as writer, opened(tmp_path) as reader:
        failed = Worker(lambda: put(failing, "a", {"n": 10}))
        gate.wait_until_reached()
        assert document(reader, "a") is None  # it has now looked at the longer file
        gate.let_go()
        assert isinstance(failed.finish().error, Unavailable)
        put(writer, "a", {"n": 1})  # one byte less, and a newline
        assert document(reader, "a") == {"n": 1}


# Failure.

FAILURES = [no_space, input_output_error, half_then_no_space]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("nth", [1, 2, 3], ids=["writing the line", "syncing it", "writing its newline"])
def test_a_commit_that_fails_leaves_everything_as_it_was(tmp_path, failure, nth):
    with opened(tmp_path) as elsewhere:
        put(elsewhere, "a", {"n": 0})
        before = elsewhere.path.read_bytes()
        with opened(tmp_path, WatchedDisk(NthCall(nth, failure))) as journal:
            with pytest.raises(Unavailable) as refused:
                put(journal, "a", {"n": 1})
            assert isinstance(refused.value.__cause__, OSError)
            assert journal.path.read_bytes() == before
            assert document(journal, "a") == document(elsewhere, "a") == {"n": 0}
            with pytest.raises(Unavailable):
                put(journal, "b", {})
            assert journal.path.read_bytes() == before
            put(elsewhere, "a", {"n": 2})
            assert document(journal, "a") == {"n": 2}
        with opened(tmp_path) as reopened:
            put(reopened, "b", {})
            assert contents(reopened) == {("t", ""): {"a": {"n": 2}, "b": {}}}


def test_a_failed_sync_is_told_to_every_member_of_the_commit(tmp_path):
    gate, third_sync = Gate("sync", nth=2), NthCall(3, input_output_error)

    def around(name, call):
        return gate(name, lambda: third_sync(name, call) if name == "sync" else call())

    with opened(tmp_path, WatchedDisk(around)) as journal:
        workers = start_shared_commit(journal, gate, [lambda n=n: put(journal, str(n), {}) for n in range(5)])
        assert [type(worker.error) for worker in workers] == [type(None)] + [Unavailable] * 5
        assert contents(journal) == {("t", ""): {"first": {}}}
    assert stored(tmp_path) == {("t", ""): {"first": {}}}


def test_short_writes_are_carried_on(tmp_path):
    def three_bytes_at_a_time(name, call):
        return call.func(call.args[0], call.args[1][:3]) if name == "write" else call()

    with opened(tmp_path, WatchedDisk(three_bytes_at_a_time)) as journal:
        put(journal, "a", {"text": "x" * 50})
    assert stored(tmp_path) == {("t", ""): {"a": {"text": "x" * 50}}}


def test_a_write_of_nothing_is_an_error(tmp_path):
    with opened(tmp_path):
        pass
    with opened(tmp_path, WatchedDisk(NthCall(1, lambda call: 0))) as journal, pytest.raises(Unavailable):
        put(journal, "a", {})


def test_a_document_that_cannot_be_placed_fails_its_transaction_and_no_later_one(place):
    with opened(place, lists={"t": by_rank}) as journal:
        before = bytes_of(journal)
        with pytest.raises(KeyError):
            put(journal, "a", {"groups": ["g"]})
        assert bytes_of(journal) == before
        put(journal, "a", {"groups": ["g"], "rank": "1"})
        assert journal.walk("t", "", "g") == ["1"]


def test_every_acknowledged_transaction_has_been_synced_by_default(tmp_path):
    synced = []

    class NotingDisk(Disk):
        def sync(self, descriptor):
            super().sync(descriptor)
            synced.append(descriptor)

    with opened(tmp_path, NotingDisk()) as journal:
        for number in range(3):
            put(journal, str(number), {})
            assert len(synced) == 2 + number


# The ordered lists.


def test_documents_join_and_leave_lists_as_they_change(place):
    with opened(place, lists={"t": by_rank}) as journal:
        put(journal, "a", {"groups": ["x", "y"], "rank": "1"})
        put(journal, "b", {"groups": ["x"], "rank": "2"})
        put(journal, "c", {"groups": ["x"], "rank": "3"})
        assert journal.walk("t", "", "x", most=9) == ["3", "2", "1"]
        assert journal.walk("t", "", "x", before="3", most=1) == ["2"]
        assert journal.walk("t", "", "x", before="25", most=9) == ["2", "1"]
        assert journal.walk("t", "", "x", before="1", most=9) == []
        assert journal.walk("t", "other", "x", most=9) == journal.walk("t", "", "z", most=9) == []
        put(journal, "a", {"groups": ["y"], "rank": "4"})
        assert journal.walk("t", "", "y", most=9) == ["4"]
        journal.table("t").remove(doc_ids=["c"])
        assert journal.walk("t", "", "x", most=9) == ["2"]


def test_a_list_is_the_same_however_it_came_about(place):
    with opened(place, lists={"t": by_rank}) as journal:
        put(journal, "a", {"groups": ["x", "x"], "rank": "1"})
        put(journal, "a", {"groups": ["x"], "rank": "1"})
        assert journal.walk("t", "", "x", most=9) == ["1"]
        with opened(place, lists={"t": by_rank}) as reopened:
            assert reopened.walk("t", "", "x", most=9) == ["1"]


group_names = st.lists(st.sampled_from("xyz"), unique=True)
steps = st.lists(st.tuples(st.integers(0, 5), st.none() | st.tuples(group_names, st.integers(0, 9))), max_size=12)


@given(steps, st.none() | st.integers(0, 9), st.integers(0, 4))
def test_lists_walk_as_sorted_lists_do_also_reopened_and_compacted(tmp_path_factory, changes, before, most):
    folder = tmp_path_factory.mktemp("lists")
    model = {}
    with opened(folder, lists={"t": by_rank}) as journal:
        for number, placed in changes:
            if placed is None:
                model.pop(number, None)
                journal.table("t").remove(doc_ids=[str(number)])
            else:
                groups, rank = placed
                model[number] = placed
                put(journal, str(number), {"groups": groups, "rank": f"{rank}-{number}"})
        below = None if before is None else str(before)
        expected = {}
        for group in "xyz":
            ranks = sorted((f"{rank}-{n}" for n, (groups, rank) in model.items() if group in groups), reverse=True)
            expected[group] = [rank for rank in ranks if below is None or rank < below][:most]

        def walked(of):
            return {group: of.walk("t", "", group, before=below, most=most) for group in "xyz"}

        assert walked(journal) == expected
        with opened(folder, lists={"t": by_rank}) as reopened:
            assert walked(reopened) == expected
            journal.compact()
            assert walked(journal) == walked(reopened) == expected
        with opened(folder, lists={"t": by_rank}) as reopened:
            assert walked(reopened) == expected


def test_a_journal_knows_when_half_of_it_is_history(tmp_path):
    with opened(tmp_path) as journal:
        assert not journal.is_wasteful()
        for _ in range(3):
            put(journal, "a", {"text": "x" * (8 << 20)})
        assert journal.is_wasteful()
        journal.compact()
        assert not journal.is_wasteful()
        put(journal, "a", {"text": "x" * (17 << 20)})
        assert not journal.is_wasteful()
        journal.table("t").remove(doc_ids=["a"])
        assert journal.is_wasteful()


def test_a_folder_given_relative_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with opened(Path("store")) as journal:
        put(journal, "a", {"n": 1})
        monkeypatch.chdir(tmp_path / "elsewhere")
        journal.compact()
        assert document(journal, "a") == {"n": 1}


def test_the_reads_of_a_block_share_one_look_at_the_file(tmp_path):
    with opened(tmp_path) as journal, opened(tmp_path) as other:
        put(journal, "a", {"n": 1})
        with journal.reading():
            put(other, "a", {"n": 2})
            assert journal.table("t").find("a") == {"n": 1}
        assert journal.table("t").find("a") == {"n": 2}


# What is kept in memory shows when a file is changed in place, which nothing of ours ever does.


def change_in_place(path, old, new):
    content = path.read_bytes()
    assert len(old) == len(new) and old in content
    with path.open("r+b") as file:
        file.write(content.replace(old, new))


def document_of_bytes(size):
    return {"text": "old".ljust(size - len('{"text":""}'))}


def test_a_document_of_more_than_16_kib_is_read_from_the_file_each_time(tmp_path):
    with opened(tmp_path) as journal:
        put(journal, "small", document_of_bytes(16 << 10))
        put(journal, "large", document_of_bytes((16 << 10) + 1))
        assert [len(journal.read("t", "", each)) for each in ("small", "large")] == [16 << 10, (16 << 10) + 1]
        change_in_place(journal.path, b'"old', b'"new')
        assert [document(journal, each)["text"].strip() for each in ("small", "large")] == ["old", "new"]


def test_of_the_documents_that_were_read_only_the_last_1024_are_kept_in_memory(tmp_path):
    with opened(tmp_path) as journal:
        ids = journal.table("t").insert_multiple({"text": "old"} for _ in range(1025))
        before = [journal.read("t", "", each) for each in ids]
        change_in_place(journal.path, b'"old"', b'"new"')
        assert [journal.read("t", "", each) for each in ids[1:]] == before[1:]
        assert document(journal, ids[0]) == {"text": "new"}
