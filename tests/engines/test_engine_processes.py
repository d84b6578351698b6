"""Several processes on one store: nothing is lost, everyone sees all, and nobody leaves a lock behind."""

import os
import signal
import threading
from itertools import count

import pytest
from conftest import only_sqlite
from engine_helpers import Child, Worker, by_rank, contents, opened, put, stored, wait_until_queued

from layers_standin.engines.errors import Unavailable

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def count_up(engine):
    def act():
        with engine.transaction():
            n = value(engine) + 1
            put(engine, "counter", {"n": n})
        return n

    return engine.run_transaction(act)


def value(engine):
    return (engine.table("t").get(doc_id="counter") or {"n": 0})["n"]


def finished(children):
    told = [child.finish() for child in children]
    assert [child.status for child in children] == [0] * len(children), told
    return told


# Nothing is lost.


def test_no_increment_of_four_processes_with_two_threads_each_is_lost(place):
    def work(tell):
        with opened(place) as engine:
            counters = [Worker(lambda: [count_up(engine) for _ in range(20)]) for _ in range(2)]
            for counter in counters:
                assert counter.finish().error is None
                tell(" ".join(map(str, counter.result)))

    told = finished([Child(work) for _ in range(4)])
    counted = [[int(n) for n in text.split()] for texts in told for text in texts]
    assert all(numbers == sorted(numbers) for numbers in counted)
    assert sorted(n for numbers in counted for n in numbers) == list(range(1, 161))
    assert stored(place) == {("t", ""): {"counter": {"n": 160}}}


def test_every_process_sees_the_lists_of_all(place):
    def work(tell, number):
        with opened(place, indexes={"t": by_rank}) as engine:
            for turn in range(10):
                rank = f"{turn}-{number}"
                put(engine, rank, {"groups": ["all"], "rank": rank})
                tell(str(rank in engine.scan("t", "", "all", limit=99)))

    with opened(place, indexes={"t": by_rank}) as engine:
        told = finished([Child(lambda tell, n=number: work(tell, n)) for number in range(4)])
        assert told == [["True"] * 10] * 4
        expected = sorted((f"{turn}-{number}" for turn in range(10) for number in range(4)), reverse=True)
        assert engine.scan("t", "", "all", limit=99) == expected


def test_what_one_process_was_told_is_done_every_other_one_reads_at_once(place):
    """Each turn, the other process changes and tells; no read after that is of before."""
    with opened(place) as engine:
        assert value(engine) == 0  # so that there is something to remember, which would be wrong

        def work(tell):
            with opened(place) as other:
                for _ in range(100):
                    tell(str(count_up(other)))

        child = Child(work)
        for _ in range(100):
            told = int(child.next_line())
            assert value(engine) >= told
        assert finished([child]) == [[]]
        assert value(engine) == 100


def test_whole_replacements_are_seen_whole_in_the_middle_of_single_changes(place, tmp_path):
    """A pair of documents is always replaced together: a block of reads, or a transaction, never sees two halves."""

    def work(tell):
        with opened(place) as engine:
            for number in count():
                engine.replace_all([("t", "", each, b'{"n":%d}' % number) for each in ("a", "b")])
                tell("replaced")
                if enough.exists():
                    return

    enough = tmp_path / "enough"
    with opened(place) as engine:
        engine.replace_all([("t", "", each, b'{"n":0}') for each in ("a", "b")])

        def both():
            with engine.transaction():
                return engine.read("t", "", "a"), engine.read("t", "", "b")

        child, seen = Child(work), set()
        while child.next_line():
            pair = engine.run_transaction(both)
            assert pair[0] == pair[1]
            seen.add(pair)
            if len(seen) == 5:
                enough.touch()
        assert finished([child]) == [[]]
        assert len(seen) >= 5


# Nobody leaves a lock behind.


@only_sqlite
def test_a_killed_process_leaves_the_lock_free_and_nothing_of_its_transaction(place):
    def work(tell):
        with opened(place) as engine, engine.transaction():
            put(engine, "a", {"n": 1})
            tell("inside")
            signal.pause()

    with opened(place) as engine:
        child = Child(work)
        assert child.next_line() == "inside"
        waiting = Worker(lambda: put(engine, "b", {}))
        wait_until_queued(1)
        os.kill(child.pid, signal.SIGKILL)
        child.finish()
        assert waiting.finish().error is None
    assert stored(place) == {("t", ""): {"b": {}}}


@only_sqlite
def test_a_suspended_process_keeps_writers_out_with_a_refusal_and_readers_not_at_all(place):
    def work(tell):
        with opened(place) as engine:
            put(engine, "a", {"n": 0})
            with engine.transaction():
                put(engine, "a", {"n": 1})
                tell("inside")
                os.kill(os.getpid(), signal.SIGSTOP)
            tell("done")

    child = Child(work)
    assert child.next_line() == "inside"
    os.waitpid(child.pid, os.WUNTRACED)
    with opened(place, patience_seconds=0.1) as engine:
        for _ in range(3):
            with pytest.raises(Unavailable):
                put(engine, "b", {})
            assert contents(engine) == {("t", ""): {"a": {"n": 0}}}
        os.kill(child.pid, signal.SIGCONT)
        assert finished([child]) == [["done"]]
        put(engine, "b", {})
        assert contents(engine) == {("t", ""): {"a": {"n": 1}, "b": {}}}


# Forks.


def test_a_store_opened_before_a_fork_is_shared_by_parent_and_child(place):
    with opened(place) as engine:
        count_up(engine)

        def work(tell):
            for _ in range(50):
                tell(str(count_up(engine)))
            engine.close()

        child = Child(work)
        here = [count_up(engine) for _ in range(50)]
        (there,) = finished([child])
        assert sorted(here + [int(text) for text in there]) == list(range(2, 102))
        assert value(engine) == 101


@only_sqlite
def test_a_child_has_locks_of_its_own_although_its_parent_had_the_file_open(place):
    """It reads at one state, and the parent cannot write the log anew meanwhile; nor close as if it were the last."""
    with opened(place) as engine:
        put(engine, "a", {"n": 0})
        may_read, go = os.pipe()

        def work(tell):
            with engine.snapshot_read():
                tell(str(engine.read("t", "", "a")))
                os.read(may_read, 1)
                tell(str([engine.read("t", "", f"{number}") for number in range(50)]))
            tell(str(engine.read("t", "", "49")))

        with engine.transaction():
            for number in range(50):
                put(engine, f"{number}", {"text": "old" * 1000})
        child = Child(work)
        assert child.next_line() == str(b'{"n":0}')
        for turn in range(3):
            with engine.transaction():
                for number in range(50):
                    put(engine, f"{number}", {"text": f"new {turn}" * 1000})
            engine.close()  # which would write the log back, and cut it, if nobody else had it open
        os.write(go, b".")
        (told,) = finished([child])
        assert told[0].count("old" * 1000) == 50
        assert "new 2" in told[1]
        os.close(go), os.close(may_read)


@only_sqlite
def test_a_child_forked_within_a_transaction_is_refused_and_the_parent_ends_what_it_began(place):
    """The child has the parent's connection in its memory, and leaves the block it was born in: nothing is done."""
    with opened(place) as engine:
        put(engine, "a", {"n": 0})

        def work(tell):
            asked = [lambda: engine.read("t", "", "a"), lambda: put(engine, "b", {})]
            for ask in (*asked, lambda: inside.__exit__(None, None, None), *asked):
                try:
                    tell(str(ask()))
                except Unavailable:
                    tell("refused")

        inside = engine.transaction()
        inside.__enter__()
        put(engine, "c", {})
        assert finished([Child(work)]) == [["refused"] * 5]
        put(engine, "d", {})
        inside.__exit__(None, None, None)
        assert contents(engine) == stored(place) == {("t", ""): {"a": {"n": 0}, "c": {}, "d": {}}}


@only_sqlite
def test_a_fork_leaves_the_transaction_of_another_thread_alone(place):
    forked, inside = threading.Event(), threading.Event()
    with opened(place) as engine:

        def change():
            with engine.transaction():
                put(engine, "a", {})
                inside.set()
                forked.wait(20)
                put(engine, "b", {})

        def work(tell):
            try:
                contents(engine)
            except Unavailable:
                tell("refused")  # its locks would be those that the thread of the parent has

        changing = Worker(change)
        assert inside.wait(20)
        assert finished([Child(work)]) == [["refused"]]
        forked.set()
        assert changing.finish().error is None
        assert contents(engine) == {("t", ""): {"a": {}, "b": {}}}


@only_sqlite
def test_many_processes_make_the_file_of_an_empty_folder_once(place):
    def work(tell):
        with opened(place / "store") as engine:
            put(engine, str(os.getpid()), {})
            tell("made")

    children = [Child(work) for _ in range(6)]
    assert finished(children) == [["made"]] * 6
    assert stored(place / "store") == {("t", ""): {str(child.pid): {} for child in children}}
