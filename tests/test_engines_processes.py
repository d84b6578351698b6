"""Several processes on one journal: nothing is lost, everyone sees all, and nobody leaves a lock behind."""

import os
import signal
import threading

import pytest
from engine_helpers import Child, WatchedDisk, Worker, by_rank, contents, opened, put, stored

from engines.disk import Disk
from engines.errors import Busy
from engines.lock import ProcessLock


def count_up(journal):
    with journal.transaction():
        n = (journal.table("t").get(doc_id="counter") or {"n": 0})["n"]
        put(journal, "counter", {"n": n + 1})
    return n + 1


def value(journal):
    return (journal.table("t").get(doc_id="counter") or {"n": 0})["n"]


def finished(children):
    told = [child.finish() for child in children]
    assert [child.status for child in children] == [0] * len(children), told
    return told


def test_no_increment_of_four_processes_is_lost(tmp_path):
    def work(tell):
        with opened(tmp_path) as journal:
            for _ in range(50):
                tell(str(count_up(journal)))

    told = finished([Child(work) for _ in range(4)])
    assert sorted(int(text) for texts in told for text in texts) == list(range(1, 201))
    assert stored(tmp_path) == {("t", ""): {"counter": {"n": 200}}}


def test_every_process_sees_the_lists_of_all(tmp_path):
    def work(tell, number):
        with opened(tmp_path, lists={"t": by_rank}) as journal:
            for turn in range(10):
                rank = f"{turn}-{number}"
                put(journal, rank, {"groups": ["all"], "rank": rank})
                tell(str(rank in journal.walk("t", "", "all", most=99)))

    with opened(tmp_path, lists={"t": by_rank}) as journal:
        told = finished([Child(lambda tell, n=number: work(tell, n)) for number in range(4)])
        assert told == [["True"] * 10] * 4
        expected = sorted((f"{turn}-{number}" for turn in range(10) for number in range(4)), reverse=True)
        assert journal.walk("t", "", "all", most=99) == expected


def test_a_killed_process_leaves_the_lock_free_and_nothing_of_its_transaction(tmp_path):
    def work(tell):
        with opened(tmp_path) as journal, journal.transaction():
            put(journal, "a", {"n": 1})
            tell("inside")
            signal.pause()

    def write():
        with opened(tmp_path) as journal:
            put(journal, "b", {})

    child = Child(work)
    assert child.next_line() == "inside"
    waiting = Worker(write)
    os.kill(child.pid, signal.SIGKILL)
    child.finish()
    assert waiting.finish().error is None
    assert stored(tmp_path) == {("t", ""): {"b": {}}}


def test_a_journal_opened_before_a_fork_excludes_parent_and_child(tmp_path):
    with opened(tmp_path) as journal:
        count_up(journal)

        def work(tell):
            for _ in range(50):
                tell(str(count_up(journal)))

        child = Child(work)
        here = [count_up(journal) for _ in range(50)]
        (there,) = finished([child])
        assert sorted(here + [int(text) for text in there]) == list(range(2, 102))
        assert value(journal) == 101


def test_a_child_cannot_take_a_lock_its_parent_holds(tmp_path):
    lock = ProcessLock(tmp_path / "lock")

    def work(tell):
        try:
            lock.acquire(wait=False)
        except Busy:
            tell("locked")

    with lock.held():
        assert finished([Child(work)]) == [["locked"]]
        assert finished([Child(work)]) == [["locked"]]  # nor did the first child's end set it free
    lock.close()


# Compaction.


class StepByStep:
    """Compacts in a child that stops before each call of its disk until it is told to go on."""

    def __init__(self, folder, options):
        reading, self._go = os.pipe()

        def work(tell):
            os.close(self._go)

            def stop(name, call):
                tell(name)
                os.read(reading, 1)
                return call()

            with opened(folder, WatchedDisk(stop), **options) as journal:
                journal.compact()

        self.child = Child(work)
        os.close(reading)

    def __iter__(self):
        while name := self.child.next_line():
            yield name
            os.write(self._go, b".")
        os.close(self._go)


def test_others_read_and_write_at_each_step_of_a_compaction_and_wait_only_for_the_switch(tmp_path):
    options = {"lists": {"t": by_rank}}
    switch = None
    with opened(tmp_path, **options) as writer, opened(tmp_path, **options) as reader:
        put(writer, "gone", {})
        put(writer, "a", {"groups": ["x"], "rank": "0"})
        writer.table("t").remove(doc_ids=["gone"])
        compaction, steps = StepByStep(tmp_path, options), []
        for name in compaction:
            steps.append(name)
            if "sync" not in steps[:-1]:  # all behind the first sync belongs to the switch
                n = len(steps)
                put(writer, "a", {"groups": ["x"], "rank": str(n)})
                put(writer, f"new {n}", {"n": n})
            elif switch is None:
                switch = Worker(lambda: put(writer, "waited", {}))
            assert reader.table("t").get(doc_id="a")["rank"] == str(n)
            assert reader.walk("t", "", "x", most=9) == [str(n)]
            assert reader.table("t").contains(doc_id=f"new {n}")
        compaction.child.finish()
        assert compaction.child.status == 0
        assert switch.finish().error is None
        expected = {("t", ""): {"a": {"groups": ["x"], "rank": str(n)}, "waited": {}}}
        expected["t", ""] |= {f"new {number}": {"n": number} for number in range(1, n + 1)}
        assert contents(writer) == contents(reader) == stored(tmp_path, **options) == expected
    assert steps[-3:] == ["sync", "replace", "sync_folder"]
    assert n == steps.index("sync") + 1 > 3


def test_processes_that_count_through_many_compactions_lose_nothing(tmp_path):
    def work(tell):
        with opened(tmp_path) as journal:
            for _ in range(50):
                tell(str(count_up(journal)))

    children = [Child(work) for _ in range(2)]
    with opened(tmp_path) as journal:
        for _ in range(50):
            journal.compact()
    told = finished(children)
    assert sorted(int(text) for texts in told for text in texts) == list(range(1, 101))
    assert stored(tmp_path) == {("t", ""): {"counter": {"n": 100}}}


def test_a_second_compaction_at_once_is_refused_and_changes_nothing(tmp_path):
    with opened(tmp_path) as journal:
        put(journal, "a", {"n": 1})
        compaction = StepByStep(tmp_path, {})
        for _ in compaction:
            with pytest.raises(Busy):
                journal.compact()
        assert compaction.child.finish() == []
        assert contents(journal) == {("t", ""): {"a": {"n": 1}}}
        assert journal.compact().documents == 1


def test_a_compaction_waits_for_the_transaction_of_another_thread_of_its_process(tmp_path):
    writing, about_to_switch, switched = threading.Event(), threading.Event(), threading.Event()
    overlaps = []

    class NotingDisk(Disk):
        def sync(self, descriptor):
            if threading.current_thread() is not threading.main_thread():
                about_to_switch.set()

        def replace(self, source, target):
            overlaps.append(writing.is_set())
            switched.set()
            super().replace(source, target)

        def write(self, descriptor, data):
            if data == b"\n" and writing.is_set():
                switched.wait(0.2)  # it must not come, and cannot be waited for in another way
                writing.clear()
            return super().write(descriptor, data)

    with opened(tmp_path) as journal:
        put(journal, "a", {"n": 1})
    with opened(tmp_path, NotingDisk()) as journal:
        with journal.transaction():
            writing.set()
            compaction = Worker(journal.compact)
            assert about_to_switch.wait(20)
            put(journal, "a", {"n": 2})
        assert compaction.finish().error is None
        assert overlaps == [False]
        assert contents(journal) == {("t", ""): {"a": {"n": 2}}}


def test_a_compaction_keeps_what_lives_and_says_what_it_did(tmp_path):
    with opened(tmp_path, lists={"t": by_rank}) as journal:
        for number in range(600):
            put(journal, str(number), {"groups": ["x"], "rank": f"{number:03}"})
        journal.table("t").remove(doc_ids=[str(number) for number in range(1, 600)])
        put(journal, "other", {"n": 1}, table="u", partition="org")
        before = journal.path.stat().st_size
        report = journal.compact()
        assert report == (2, before, journal.path.stat().st_size)
        assert report.bytes_after < 300
        assert journal.tables() == [("t", ""), ("u", "org")]
        assert journal.walk("t", "", "x", most=9) == ["000"]


def test_a_journal_whose_file_is_also_linked_elsewhere_notices_the_switch(tmp_path):
    with opened(tmp_path) as journal, opened(tmp_path) as other:
        put(journal, "a", {"n": 1})
        os.link(journal.path, tmp_path / "backup.jsonl")
        other.compact()
        put(journal, "a", {"n": 2})
        assert stored(tmp_path) == contents(other) == contents(journal) == {("t", ""): {"a": {"n": 2}}}
