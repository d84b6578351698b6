"""All documents at once: what takes their place and states that are kept, each whole, of one moment, seen by all."""

import mmap
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

import orjson
import pytest
from conftest import only_sqlite
from engine_helpers import (
    Child,
    Worker,
    as_documents,
    by_rank,
    bytes_of,
    contents,
    opened,
    put,
    save,
    stored,
    wait_until,
)

from layers_standin.engines.errors import NoSnapshot, Unavailable, UnknownFormat

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

LISTED = {"indexes": {"t": by_rank}}
OLD = {("t", ""): {"a": {"groups": ["x"], "rank": "1"}, "gone": {}}}
NEW = {("t", ""): {"a": {"groups": ["x"], "rank": "5"}, "b": {"groups": ["x"], "rank": "4"}}, ("u", "org"): {"c": {}}}
LATER = {("t", ""): {"a": {"groups": [], "rank": "9"}}}


def replace(engine, state):
    engine.replace_all(as_documents(state))


def query(engine, statement):
    """Return the first column of what a statement finds, in the dialect of the engine: `@` begins a table's name."""
    if hasattr(engine, "_url"):
        return [row[0] for row in engine._ask(statement.replace("@", "standin_"), {})]
    return [row[0] for row in engine._ask(statement.replace("@", ""), {})]


def kept_ids(engine):
    """Return the ids that rows of snapshots have; those of documents and of index entries are the same."""
    ids, of_entries = (
        query(engine, f"SELECT DISTINCT snapshot FROM @snapshot_{table} ORDER BY snapshot")
        for table in ("documents", "index_entries")
    )
    assert set(of_entries) <= set(ids)
    return ids


@pytest.fixture
def engine(place):
    with opened(place, **LISTED) as engine:
        replace(engine, OLD)
        yield engine


@pytest.fixture
def elsewhere(place, engine):
    """The same folder or database as another process sees it."""
    with opened(place, **LISTED) as other:
        assert contents(other) == OLD
        yield other


# What takes the place of all there is.


def test_what_takes_the_place_of_all_is_all_there_is_for_everybody(engine, elsewhere, place):
    replace(engine, NEW)
    for side in (engine, elsewhere):
        assert contents(side) == NEW
        assert side.scan("t", "", "x", limit=9) == ["5", "4"]
        assert (side.count("t", ""), side.count("u", "org")) == (2, 1)
    put(elsewhere, "d", {"groups": ["x"], "rank": "6"})
    put(engine, "b", {"groups": ["x"], "rank": "7"})
    expected = contents(engine)
    assert expected == NEW | {
        ("t", ""): NEW["t", ""] | {"d": {"groups": ["x"], "rank": "6"}} | {"b": {"groups": ["x"], "rank": "7"}}
    }
    assert contents(elsewhere) == stored(place, **LISTED) == expected
    assert elsewhere.scan("t", "", "x", limit=9) == ["7", "6", "5"]


def test_nothing_can_take_the_place_of_all(engine, elsewhere, place):
    engine.replace_all([])
    assert engine.tables() == elsewhere.tables() == []
    assert contents(engine) == contents(elsewhere) == stored(place) == {}
    assert elsewhere.scan("t", "", "x", limit=9) == []


def test_what_takes_its_place_may_be_made_of_what_is_there(engine, elsewhere):
    engine.replace_all(("v", "", doc_id, engine.read("t", "", doc_id)) for doc_id in engine.ids("t", ""))
    assert contents(elsewhere) == {("v", ""): OLD["t", ""]}


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
def test_documents_that_cannot_be_had_change_nothing(engine, elsewhere, documents, error):
    before = bytes_of(engine)
    with pytest.raises(error):
        engine.replace_all(documents())
    assert bytes_of(engine) == before
    put(engine, "b", {})
    assert contents(elsewhere)["t", ""]["b"] == {}


# What is kept, and comes back.


def test_a_saved_state_comes_back_as_often_as_it_is_asked_for(engine, elsewhere):
    replace(engine, NEW)
    put(engine, "gone", {})
    engine.table("t").remove(doc_ids=["gone"])
    save(engine, "first", {"savedAt": "2026-04-01T14:22:10Z", "by": ["someone", None]})
    for side, other in ((engine, elsewhere), (elsewhere, engine)):
        replace(side, LATER)
        put(other, "later", {})
        side.restore_snapshot("first")
        for seen in (other, side):
            assert contents(seen) == NEW
            assert seen.scan("t", "", "x", limit=9) == ["5", "4"]


def test_what_is_saved_is_told_by_name(engine):
    save(engine, "b-2", {"n": 2})
    replace(engine, NEW)
    save(engine, "b", {"savedAt": "now", "deep": {"a": [1, None, "ü"]}})
    save(engine, "A", {})

    told = engine.list_snapshots()
    assert [each[:3] for each in told] == [
        ("A", {}, 3),
        ("b", {"savedAt": "now", "deep": {"a": [1, None, "ü"]}}, 3),
        ("b-2", {"n": 2}, 2),
    ]
    old, new = ([len(document) for *_, document in as_documents(state)] for state in (OLD, NEW))
    assert [each.bytes for each in told] == [sum(new), sum(new), sum(old)]
    assert sorted(each.snapshot_id for each in told) == kept_ids(engine)


def test_nothing_is_saved_at_first(engine):
    assert engine.list_snapshots() == []


def test_a_state_saved_under_a_name_that_is_taken_replaces_the_other(engine):
    save(engine, "x", {"n": 1})
    (before,) = kept_ids(engine)
    replace(engine, NEW)
    save(engine, "x", {"n": 2})
    assert [(saved.facts, saved.documents) for saved in engine.list_snapshots()] == [({"n": 2}, 3)]
    assert kept_ids(engine) == [engine.list_snapshots()[0].snapshot_id] != [before]
    replace(engine, LATER)
    engine.restore_snapshot("x")
    assert contents(engine) == NEW


def test_a_state_of_nothing_can_be_kept(engine):
    engine.replace_all([])
    save(engine, "nothing", {})
    replace(engine, NEW)
    engine.restore_snapshot("nothing")
    assert engine.tables() == []
    assert [saved.documents for saved in engine.list_snapshots()] == [0]


def test_a_forgotten_state_is_gone_and_no_other(engine):
    save(engine, "x", {})
    save(engine, "y", {})
    engine.delete_snapshot("x")
    (left,) = engine.list_snapshots()
    assert (left.name, kept_ids(engine)) == ("y", [left.snapshot_id])
    with pytest.raises(NoSnapshot):
        engine.restore_snapshot("x")


@pytest.mark.parametrize("act", ["restore_snapshot", "delete_snapshot"])
def test_a_name_under_which_nothing_is_saved_is_told(engine, act):
    before = bytes_of(engine)
    with pytest.raises(NoSnapshot, match=r"^There is no snapshot named 'demo'\.$"):
        getattr(engine, act)("demo")
    assert bytes_of(engine) == before


@pytest.mark.parametrize("name", ["a", "Demo_1-b", "0" * 64])
def test_a_name_may_be_letters_digits_and_dashes(engine, name):
    save(engine, name, {})
    engine.restore_snapshot(name)
    assert [saved.name for saved in engine.list_snapshots()] == [name]
    engine.delete_snapshot(name)


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "a b", "a.b", "a\n", "\0", "é", "0" * 65, "/tmp/x", ".hidden"]
)
def test_no_other_name_reaches_the_disk(engine, name):
    before = bytes_of(engine)
    for act in (lambda name: save(engine, name, {}), engine.restore_snapshot, engine.delete_snapshot):
        with pytest.raises(ValueError, match="a snapshot is named with"):
            act(name)
    assert bytes_of(engine) == before


def test_facts_that_are_not_json_keep_nothing(engine):
    save(engine, "x", {"n": 1})
    with pytest.raises(TypeError):
        save(engine, "x", {"n": object()})
    assert [saved.facts for saved in engine.list_snapshots()] == [{"n": 1}]
    assert kept_ids(engine) == [engine.list_snapshots()[0].snapshot_id]


def test_a_state_of_a_newer_format_is_refused_in_a_sentence(engine):
    save(engine, "x", {})
    newer = "UPDATE @snapshots SET facts = replace(facts, '\"format\":1', '\"format\":2')"
    execute(engine, newer)
    with pytest.raises(UnknownFormat, match="has format 2: only a newer program restores it"):
        engine.restore_snapshot("x")
    assert contents(engine) == OLD


def execute(engine, statement):
    if hasattr(engine, "_url"):
        with engine._lent() as lent:
            lent.connection.execute(statement.replace("@", "standin_"))
    else:
        with engine.transaction():
            engine._session().connection.execute(statement.replace("@", ""))


# What is not whole yet, and what never will be.


def test_a_state_has_no_name_until_its_block_has_ended_well(engine, elsewhere):
    save(engine, "x", {"n": 1})
    (before,) = engine.list_snapshots()
    replace(engine, NEW)
    with engine.create_snapshot("x", {"n": 2}) as snapshot_id:
        put(elsewhere, "late", {})
        for side in (engine, elsewhere):
            assert side.list_snapshots() == [before]
        assert kept_ids(elsewhere) == sorted([before.snapshot_id, snapshot_id])
    assert [(each.facts, each.snapshot_id) for each in elsewhere.list_snapshots()] == [({"n": 2}, snapshot_id)]
    assert kept_ids(elsewhere) == [snapshot_id]
    elsewhere.restore_snapshot("x")
    assert contents(engine) == NEW


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_block_that_fails_keeps_nothing_and_the_one_before_stays(engine, name):
    replace(engine, NEW)
    save(engine, "x", {"n": 1})
    before = engine.list_snapshots()
    replace(engine, OLD)
    with pytest.raises(ZeroDivisionError), engine.create_snapshot(name, {"n": 2}):
        raise ZeroDivisionError
    assert engine.list_snapshots() == before
    assert kept_ids(engine) == [before[0].snapshot_id]
    assert query(engine, "SELECT count(*) FROM @snapshots") == [1]
    engine.restore_snapshot("x")
    assert contents(engine) == NEW


def test_a_state_that_another_save_has_swept_gets_no_name(engine, elsewhere):
    """Which cannot be when both wait for each other, as they are to."""
    save(engine, "x", {"n": 1})
    before = engine.list_snapshots()
    with pytest.raises(Unavailable, match="The snapshot x was not finished"), engine.create_snapshot("x", {"n": 2}):
        elsewhere.delete_unfinished_snapshots()
    assert engine.list_snapshots() == before
    assert kept_ids(engine) == [before[0].snapshot_id]


# Readers and writers of the same moment.


@only_sqlite
def test_a_block_of_reads_stays_with_the_state_it_began_in(engine, elsewhere):
    with elsewhere.snapshot_read():
        elsewhere.read("t", "", "a")
        replace(engine, NEW)
        assert contents(elsewhere) == OLD
        assert elsewhere.scan("t", "", "x", limit=9) == ["1"]
    assert contents(elsewhere) == NEW


def test_a_block_of_reads_that_replaces_all_sees_that(engine):
    save(engine, "x", {})
    with engine.snapshot_read():
        replace(engine, NEW)
        assert engine.table("t").get(doc_id="a") == NEW["t", ""]["a"]
        assert engine.count("t", "") == 2
        engine.restore_snapshot("x")
        assert engine.table("t").get(doc_id="a") == OLD["t", ""]["a"]


def test_another_process_sees_the_new_state_at_its_next_read_and_adds_to_it(engine, place):
    asking, answering = os.pipe()

    def work(tell):
        with opened(place, **LISTED) as other:
            for number in range(3):
                tell(f"{sorted(other.table('t').get(doc_id='a'))} {other.scan('t', '', 'x', limit=9)}")
                os.read(asking, 1)
                put(other, f"there {number}", {})

    replace(engine, NEW)
    save(engine, "new", {})
    replace(engine, LATER)
    child = Child(work)
    for step, ranks in (
        (lambda: replace(engine, OLD), []),
        (lambda: engine.restore_snapshot("new"), ["1"]),
        (None, ["5", "4"]),
    ):
        assert child.next_line() == f"['groups', 'rank'] {ranks}"
        if step is not None:
            step()
        os.write(answering, b".")
    assert child.finish() == []
    assert child.status == 0
    assert contents(engine) == NEW | {("t", ""): NEW["t", ""] | {"there 1": {}, "there 2": {}}}


def test_inside_a_transaction_all_of_it_is_refused(engine):
    save(engine, "x", {})
    before = bytes_of(engine)
    for act in (lambda: replace(engine, NEW), lambda: engine.restore_snapshot("x"), lambda: save(engine, "x", {})):
        with pytest.raises(RuntimeError, match="inside a transaction"), engine.transaction():
            put(engine, "a", {})
            act()
    assert bytes_of(engine) == before


@pytest.mark.parametrize("same_process", [True, False])
def test_a_transaction_that_has_begun_is_ended_before_the_switch_and_gone_after_it(engine, elsewhere, same_process):
    save(engine, "x", {})
    writer = engine if same_process else elsewhere
    with writer.transaction():
        assert writer.table("t").get(doc_id="a") == OLD["t", ""]["a"]
        put(writer, "a", {"groups": ["x"], "rank": "2"})
        restoring = Worker(lambda: engine.restore_snapshot("x"))
        restoring.join(0.2)  # it must not end, which cannot be waited for in another way
        assert restoring.is_alive()
        put(writer, "b", {})
    assert restoring.finish().error is None
    assert contents(engine) == contents(elsewhere) == OLD


def count_up(engine, doc_ids):
    """Count two documents up in one transaction; return the number they have now."""

    def act():
        with engine.transaction():
            n = (engine.table("t").get(doc_id=doc_ids[0]) or {"n": 0})["n"] + 1
            for doc_id in doc_ids:
                put(engine, doc_id, {"n": n})
        return n

    return engine.run_transaction(act)


def test_a_saved_state_is_of_one_moment_while_threads_and_processes_write(place):
    enough = mmap.mmap(-1, 1)

    def write(engine):
        told = [0]
        while not enough[0]:
            told.append(count_up(engine, ["a", "b"]))
        return told

    def work(tell):
        with opened(place) as other:
            write(other)

    with opened(place) as engine:
        put(engine, "a", {"n": 0})
        for number in range(500):  # so that a save takes a while from one to the other
            put(engine, f"more {number}", {"text": "x" * 500})
        put(engine, "b", {"n": 0})
        children = [Child(work) for _ in range(2)]
        thread = Worker(lambda: write(engine))
        before, counted = [], []
        for number in range(20):
            before.append(engine.table("t").get(doc_id="a")["n"])
            with engine.create_snapshot(str(number), {}) as kept:
                wait_until(lambda: engine.table("t").get(doc_id="a")["n"] > before[-1] + 1)
            of = f"FROM @snapshot_documents WHERE snapshot = '{kept}'"
            first, second = query(engine, f"SELECT document {of} AND id IN ('a', 'b')")
            assert first == second
            counted.append(orjson.loads(first)["n"])
            assert query(engine, f"SELECT count(*) {of}") == [502]
            wait_until(lambda: engine.table("t").get(doc_id="a")["n"] > counted[-1])  # or the next would equal this one
        enough[0] = 1
        assert thread.finish().error is None
        assert [(child.finish(), child.status) for child in children] == [([], 0)] * 2
    assert counted == sorted(counted)
    assert len(set(counted)) == 20
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
            mark = writer.table("t").get(doc_id="mark")["rank"]
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

    with opened(place, **LISTED) as engine, opened(place, **LISTED) as elsewhere:
        for number in range(GENERATIONS + 1):
            replace(engine, state(number))
            save(engine, str(number), {})
        engine.restore_snapshot("0")
        children = [Child(lambda tell, name=f"w{number}": work(tell, name)) for number in range(WRITERS)]
        listeners = [Worker(child.finish) for child in children]
        for number in range(1, GENERATIONS + 1):
            wait_until(lambda: elsewhere.count("u", "") > WRITERS)
            engine.restore_snapshot(str(number)) if act == "restore" else replace(engine, state(number))
            switched[0] = number
            assert elsewhere.table("t").get(doc_id="mark")["rank"] == str(number)
        told = [line.split() for listener in listeners for line in listener.finish().result]
        assert [child.status for child in children] == [0] * WRITERS
        assert {mark for _, mark in told} == {str(number) for number in range(GENERATIONS + 1)}
        kept = {turn: {"groups": ["written"], "rank": turn, "mark": last} for turn, mark in told if mark == last}
        expected = state(last) | {("t", "org"): kept, ("u", ""): {turn: {"mark": last} for turn in kept}}
        for found in (contents(engine), contents(elsewhere), stored(place, **LISTED)):
            assert found == expected
        assert elsewhere.scan("t", "org", "written", limit=len(told)) == sorted(kept, reverse=True)


# Kills.

ACTS = {
    "replace_all": lambda engine: replace(engine, NEW),
    "restore": lambda engine: engine.restore_snapshot("x"),
    "save another": lambda engine: save(engine, "y", {"n": 2}),
    "save over it": lambda engine: save(engine, "x", {"n": 2}),
    "forget": lambda engine: engine.delete_snapshot("x"),
}


@contextmanager
def statements_watched(engine, watch):
    """Call `watch()` before each statement that this thread sends."""
    if not hasattr(engine, "_url"):
        connection = engine._session().connection
        connection.exec_trace = lambda *_: watch() or True
        yield
        connection.exec_trace = None
        return
    import psycopg  # noqa: PLC0415 - it may not be here

    execute = psycopg.Connection.execute

    def watched(*args, **more):
        watch()
        return execute(*args, **more)

    psycopg.Connection.execute = watched
    yield
    psycopg.Connection.execute = execute


def killed_at(nth):
    left = iter(range(nth - 1))
    return lambda: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL)


def whole(engine):
    """Return all that can be had of a store: its documents, and the facts and documents of each state it keeps."""
    found = [contents(engine)]
    for told in engine.list_snapshots():
        engine.restore_snapshot(told.name)
        found.append((told.name, told.facts, told.documents, contents(engine)))
    return found


def prepared(place):
    """Make a store that holds OLD and has NEW saved as `x`."""
    with opened(place, **LISTED) as engine:
        with suppress(NoSnapshot):
            engine.delete_snapshot("y")
        replace(engine, NEW)
        save(engine, "x", {"n": 1})
        replace(engine, OLD)


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_kill_at_any_statement_leaves_all_of_before_or_all_of_after(place, act):
    def work(tell, watch):
        with opened(place, **LISTED) as engine, statements_watched(engine, watch):
            act(engine)

    prepared(place)
    with opened(place, **LISTED) as engine:
        before, sent = whole(engine), []
        replace(engine, OLD)
        with statements_watched(engine, lambda: sent.append(1)):
            act(engine)
        after = whole(engine)
    assert before != after
    seen = []
    for nth in range(1, len(sent) + 1):
        prepared(place)
        child = Child(lambda tell, nth=nth: work(tell, killed_at(nth)))
        assert child.finish() == []
        assert child.status == -signal.SIGKILL
        with opened(place, **LISTED) as engine:
            found = whole(engine)
            assert found in (before, after)
            seen.append(found == after)
            engine.delete_unfinished_snapshots()
            assert kept_ids(engine) == sorted(told.snapshot_id for told in engine.list_snapshots())
    assert seen == sorted(seen)  # and nothing of after before the last step


def test_a_kill_between_the_two_steps_of_a_save_leaves_the_state_before_and_the_next_save_clears_up(place):
    prepared(place)

    def work(tell):
        with opened(place, **LISTED) as engine, engine.create_snapshot("x", {"n": 2}):
            os.kill(os.getpid(), signal.SIGKILL)

    child = Child(work)
    assert (child.finish(), child.status) == ([], -signal.SIGKILL)
    with opened(place, **LISTED) as engine:
        assert [told.facts for told in engine.list_snapshots()] == [{"n": 1}]
        assert len(kept_ids(engine)) == 2
        with pytest.raises(ZeroDivisionError), engine.create_snapshot("z", {}):
            raise ZeroDivisionError
        assert kept_ids(engine) == [engine.list_snapshots()[0].snapshot_id]
        engine.restore_snapshot("x")
        assert contents(engine) == NEW


# One at a time.


def test_blocks_that_are_exclusive_wait_for_each_other_and_keep_nobody_else_waiting(engine, elsewhere):
    def work():
        with elsewhere.exclusive():
            entered.set()

    entered = threading.Event()
    with engine.exclusive():
        waiting = Worker(work)
        save(engine, "x", {})
        put(elsewhere, "b", {})
        assert engine.table("t").get(doc_id="b") == {}
        waiting.join(0.2)  # it must not end, which cannot be waited for in another way
        assert not entered.is_set()
        with pytest.raises((Unavailable, TimeoutError), match="for too long"), elsewhere.exclusive(0.05):
            pytest.fail("two at a time")
    assert waiting.finish().error is None
    assert entered.is_set()


def test_threads_that_wait_to_be_exclusive_take_no_connection_from_others(engine):
    def work():
        with engine.exclusive():
            return True

    with engine.exclusive():
        waiting = [Worker(work) for _ in range(12)]
        for number in range(20):
            put(engine, str(number), {})
        assert Worker(lambda: count_up(engine, ["n"])).finish().result == 1
    assert [each.finish().result for each in waiting] == [True] * 12


@pytest.mark.parametrize("how", ["an error", "a kill"])
def test_who_ends_an_exclusive_block_in_whatever_way_lets_the_next_one_in(engine, place, how):
    def work(tell):
        with opened(place, **LISTED) as other, other.exclusive():
            tell("in")
            if how == "a kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ZeroDivisionError

    child = Child(work)
    assert child.next_line() == "in"
    with engine.exclusive():
        put(engine, "b", {})
    child.finish()


@pytest.mark.parametrize("kind", ["postgres"], indirect=True)
def test_who_has_lost_the_lock_with_its_connection_changes_nothing_more(engine, elsewhere):
    save(engine, "x", {"n": 1})
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with pytest.raises(Unavailable), engine.exclusive(), engine.create_snapshot("x", {"n": 2}):
        assert query(elsewhere, terminate) == [True]
        with elsewhere.exclusive():
            replace(elsewhere, LATER)
    assert [told.facts for told in engine.list_snapshots()] == [{"n": 1}]
    with engine.exclusive():
        engine.delete_unfinished_snapshots()
    assert len(kept_ids(engine)) == 1
    assert contents(engine) == LATER
