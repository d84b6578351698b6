"""After damage, a kill or a failing disk: whole transactions, each acknowledged one among them, or a clear refusal."""

import signal
from contextlib import closing

import pytest
from engine_helpers import (
    CallCounter,
    Child,
    NthCall,
    WatchedDisk,
    Worker,
    as_documents,
    by_rank,
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
)
from tinydb.table import Document

from engines.errors import Damaged, EngineError, UnknownFormat
from engines.line import Change, encode_line
from engines.lock import ProcessLock

# Damage to the file.

STEPS = [
    lambda journal: put(journal, "a", {"n": 1}),
    lambda journal: put(journal, "b", {"text": 'ü"\n\0🦊],"documents":['}),
    lambda journal: journal.table("u", "org").insert_multiple([Document({"n": n}, doc_id=str(n)) for n in range(3)]),
    lambda journal: journal.table("t").remove(doc_ids=["a"]),
    lambda journal: put(journal, "b", {"n": 2}),
    lambda journal: put(journal, "c", {"n": 3}),
]


class History:
    """A journal's bytes after several transactions, and what it held after each."""

    def __init__(self, folder):
        self.folder = folder
        with opened(folder) as journal:
            self.path = journal.path
            self.states = [contents(journal)]
            for step in STEPS:
                step(journal)
                self.states.append(contents(journal))
        self.data = self.path.read_bytes()
        self.lines = self.data.splitlines(keepends=True)

    def found_in(self, data):
        """Return what is found when the file is opened with these bytes, and that it can be written and reopened."""
        self.path.write_bytes(data)
        with opened(self.folder) as journal:
            found = contents(journal)
            put(journal, "new", {"n": 9}, table="new")
        assert stored(self.folder) == found | {("new", ""): {"new": {"n": 9}}}
        return found

    def is_refused(self, data):
        """Return the damage with which these bytes are refused; they must stay as they are."""
        self.path.write_bytes(data)
        with pytest.raises(Damaged) as refused, opened(self.folder):
            pass
        assert self.path.read_bytes() == data
        return refused.value

    def start_of(self, line_number):
        return sum(len(line) for line in self.lines[: line_number - 1])

    def line_at(self, byte):
        return self.data.count(b"\n", 0, byte) + 1


@pytest.fixture
def history(tmp_path):
    return History(tmp_path)


def test_a_file_cut_anywhere_in_its_last_two_transactions_holds_the_whole_ones(history):
    total = len(history.lines)
    for end in range(history.start_of(total - 1), len(history.data) + 1):
        complete = history.data[: end + 1].count(b"\n") - 1  # whole when all but its newline is there
        assert history.found_in(history.data[:end]) == history.states[complete], f"cut at {end}"


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_a_flipped_byte_is_refused_unless_it_is_in_the_last_transaction(history, flip):
    last = len(history.lines)
    for at in range(len(history.data)):
        damaged = bytearray(history.data)
        damaged[at] ^= flip
        line = history.line_at(at)
        if line == last:
            assert history.found_in(bytes(damaged)) == history.states[-2], f"byte {at}"
        else:
            damage = history.is_refused(bytes(damaged))
            assert (damage.line, damage.offset) == (line, history.start_of(line)), f"byte {at}"


def test_a_refusal_names_file_line_and_byte_and_the_commands_that_help(history):
    damage = history.is_refused(history.data.replace(b'"n":1', b'"n":7'))
    assert f"{history.path} is damaged at line 2, byte {history.start_of(2)}: its checksum does not match" in str(
        damage
    )
    assert "`flask store verify`" in str(damage)
    assert "`flask store repair`" in str(damage)


@pytest.mark.parametrize("count", [1, 512, 4096])
@pytest.mark.parametrize("newline", [b"\n", b""], ids=["after the newline", "in place of the newline"])
def test_zeros_at_the_end_are_cut(history, count, newline):
    assert history.found_in(history.data[:-1] + newline + bytes(count)) == history.states[-1]


@pytest.mark.parametrize("garbage", [b"garbage", b"\xff" * 600, b'{"crc":"', b"\0\0garbage", b"garbage\n"])
def test_garbage_at_the_end_is_cut(history, garbage):
    assert history.found_in(history.data + garbage) == history.states[-1]


@pytest.mark.parametrize("garbage", [b"\n", b"gar\nbage", b"\n\n", bytes(512) + b"\n" + bytes(512)])
def test_what_no_torn_write_leaves_at_the_end_is_refused_or_cut_to_the_last_transaction(history, garbage):
    if b"\n" in garbage[:-1]:
        assert history.is_refused(history.data + garbage).line == len(history.lines) + 1
    else:
        assert history.found_in(history.data + garbage) == history.states[-1]


@pytest.mark.parametrize(
    ("order", "line"),
    [
        pytest.param([0, 1, 2, 4, 5, 6], 4, id="a line is missing"),
        pytest.param([0, 2, 3, 4, 5, 6], 2, id="the first transaction is missing"),
        pytest.param([0, 1, 2, 2, 3, 4, 5, 6], 4, id="a line is there twice"),
        pytest.param([0, 1, 2, 3, 4, 5, 6, 6], 8, id="the last line is there twice"),
        pytest.param([0, 1, 3, 2, 4, 5, 6], 3, id="two lines are swapped"),
        pytest.param([1, 2, 3, 4, 5, 6], 1, id="the header is missing"),
        pytest.param([], 1, id="the file is empty"),
        pytest.param([0, 0, 1], 2, id="the header is there twice"),
    ],
)
def test_lines_that_are_not_in_order_are_refused(history, order, line):
    damage = history.is_refused(b"".join(history.lines[number] for number in order))
    assert damage.line == line


def test_a_transaction_out_of_order_without_its_newline_is_refused_before_anything_is_changed(history):
    assert history.is_refused(history.data + history.lines[-1][:-1]).line == len(history.lines) + 1


def test_a_running_process_refuses_a_file_that_became_shorter(history):
    with opened(history.folder) as journal:
        history.path.write_bytes(history.data[: history.start_of(3)])
        with pytest.raises(Damaged, match="shorter"):
            journal.table("t").get(doc_id="b")


def test_a_running_process_finishes_or_cuts_what_a_killed_one_left(history):
    left = Change("t", "", "left", b"{}", [], [])
    with opened(history.folder) as journal:
        rests = [b'{"crc":"half', bytes(100), encode_line(len(STEPS) + 3, [left])]
        for number, rest in enumerate(rests):
            with history.path.open("ab") as file:
                file.write(rest)
            before = contents(journal)
            assert "left" not in before["t", ""]  # not yet: its newline says that it was synced
            put(journal, "c", {"n": number})
        assert contents(journal) == before | {("t", ""): before["t", ""] | {"left": {}, "c": {"n": 2}}}
    assert stored(history.folder)["t", ""]["left"] == {}


# Formats.


def test_a_newer_format_is_refused_in_a_sentence(tmp_path):
    with opened(tmp_path, version=3) as journal:
        before = journal.path.read_bytes()
    with pytest.raises(
        UnknownFormat, match=r"has format 3, and this program knows formats up to 1\. Run the newer program"
    ):
        stored(tmp_path)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def renamed(table, document):
    return {("title" if key == "name" else key): value for key, value in document.items()} | {"from": table}


def numbered(table, document):
    return document | {"rank": f"{document['rank']}!"}


def test_an_older_format_is_migrated_on_a_copy_step_by_step(tmp_path):
    with opened(tmp_path, lists={"t": by_rank}) as journal:
        put(journal, "a", {"name": "Ada", "groups": ["x"], "rank": "1"})
        put(journal, "gone", {})
        journal.table("t").remove(doc_ids=["gone"])
        before = journal.path.read_bytes()
    upgraded = {"title": "Ada", "groups": ["x"], "rank": "1!", "from": "t"}
    options = {"version": 3, "upgrades": {1: renamed, 2: numbered}, "lists": {"t": by_rank}}
    for _ in range(2):
        with opened(tmp_path, **options) as journal:
            assert contents(journal) == {("t", ""): {"a": upgraded}}
            assert journal.walk("t", "", "x") == ["1!"]
    assert (tmp_path / "journal.format-1.jsonl").read_bytes() == before
    with pytest.raises(UnknownFormat):
        stored(tmp_path)


def test_an_upgrade_that_fails_leaves_the_old_file(tmp_path):
    with opened(tmp_path) as journal:
        put(journal, "a", {"n": 1})
        before = journal.path.read_bytes()
    with pytest.raises(KeyError, match="rank"):
        stored(tmp_path, version=2, upgrades={1: numbered})
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    assert not (tmp_path / "journal.new").exists()
    assert stored(tmp_path) == {("t", ""): {"a": {"n": 1}}}


def test_a_running_older_program_refuses_the_file_once_it_is_upgraded(tmp_path):
    with opened(tmp_path) as older:
        put(older, "a", {"name": "Ada"})
        with opened(tmp_path, version=2, upgrades={1: renamed}) as newer:
            with pytest.raises(UnknownFormat):
                put(older, "b", {"name": "Bob"})
            with pytest.raises(UnknownFormat):
                older.table("t").get(doc_id="a")
            assert contents(newer) == {("t", ""): {"a": {"title": "Ada", "from": "t"}}}


def test_two_processes_that_upgrade_at_once_both_open(tmp_path):
    with opened(tmp_path) as journal:
        put(journal, "a", {"name": "Ada"})
    first = ProcessLock(tmp_path / "journal.rewrite.lock")  # as a process has it that is upgrading
    with closing(first), first.held():
        second = Worker(lambda: stored(tmp_path, version=2, upgrades={1: renamed}))
        second.join(0.2)  # it must not end, which cannot be waited for in another way
        assert second.is_alive()
    assert second.finish().result == {("t", ""): {"a": {"title": "Ada", "from": "t"}}}


# A process that is killed, and a disk that fails, at each call.


def create(folder, disk, tell):
    with opened(folder, disk):
        tell("created")


def commit(folder, disk, tell):
    with opened(folder, disk) as journal:
        for number in range(2):
            with journal.transaction():
                put(journal, "one", {"n": number})
                put(journal, f"other {number}", {"text": "x" * 100})
            tell(f"committed {number}")


def compact(folder, disk, tell):
    with opened(folder, disk) as journal:
        journal.compact()
        tell("compacted")
        put(journal, "after", {})
        tell("written")


def replace(folder, disk, tell):
    with opened(folder, disk) as journal:
        journal.replace_all(as_documents({("t", ""): OTHERS}))
        tell("replaced")
        put(journal, "after", {})
        tell("written")


def save(folder, disk, tell):
    with opened(folder, disk) as journal:
        journal.save("others", {})
        tell("saved")
        put(journal, "after", {})
        tell("written")


def restore(folder, disk, tell):
    with opened(folder, disk) as journal:
        journal.restore("others")
        tell("restored")
        put(journal, "after", {})
        tell("written")


def recover_torn(folder, disk, tell):
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"crc":"half a line')
    with opened(folder, disk) as journal:
        put(journal, "after", {})
        tell("written")


def recover_whole(folder, disk, tell):
    with (folder / "journal.jsonl").open("rb+") as file:
        file.truncate(len(file.read()) - 1)
    with opened(folder, disk) as journal:
        put(journal, "after", {})
        tell("written")


def upgrade(folder, disk, tell):
    with opened(folder, disk, version=2, upgrades={1: lambda table, document: document}):
        tell("upgraded")


BEFORE = {"one": {"n": -1}, "kept": {"n": 0}}
COMMITTED = [
    BEFORE,
    BEFORE | {"one": {"n": 0}, "other 0": {"text": "x" * 100}},
    BEFORE | {"one": {"n": 1}, "other 0": {"text": "x" * 100}, "other 1": {"text": "x" * 100}},
]
WRITTEN = [BEFORE, BEFORE | {"after": {}}]
OTHERS = {"one": {"n": 7}, "other": {"text": "x" * 100}}
REPLACED = [BEFORE, OTHERS, OTHERS | {"after": {}}]

# What is done, and the states the file may be in: from the one that was acknowledged up to the next.
WORKS = {
    "creating": (create, [{}, {}], {"created": 0}),
    "committing": (commit, COMMITTED, {"committed 0": 1, "committed 1": 2}),
    "compacting": (compact, WRITTEN, {"compacted": 0, "written": 1}),
    "replacing all": (replace, REPLACED, {"replaced": 1, "written": 2}),
    "saving": (save, WRITTEN, {"saved": 0, "written": 1}),
    "restoring": (restore, REPLACED, {"restored": 1, "written": 2}),
    "cutting a torn line": (recover_torn, WRITTEN, {"written": 1}),
    "finishing a whole line": (recover_whole, WRITTEN, {"written": 1}),
    "upgrading": (upgrade, [BEFORE, BEFORE], {"upgraded": 0}),
}


def prepared(tmp_path, name, work):
    folder = tmp_path / name
    if work is not create:
        with opened(folder) as journal:
            journal.replace_all(as_documents({("t", ""): OTHERS}))
            journal.save("others", {})
            journal.replace_all([])
            put(journal, "gone", {})
            put(journal, "one", {"n": -1})
            put(journal, "kept", {"n": 0})
            journal.table("t").remove(doc_ids=["gone"])
    return folder


def number_of_calls(tmp_path, work):
    counter = CallCounter()
    work(prepared(tmp_path, "counted", work), WatchedDisk(counter), lambda text: None)
    return len(counter.names)


def check_whole(folder, states, acknowledged, told):
    """What is found is what was acknowledged last, or that and the transaction that was being made."""
    least = max([acknowledged[text] for text in told], default=0)
    with opened(folder, version=2, upgrades={1: lambda table, document: document}) as journal:
        found = contents(journal).get(("t", ""), {})
        assert found in states[least : least + 2]
        journal.compact()
        put(journal, "new", {})
    assert not (folder / "journal.new").exists()
    again = stored(folder, version=2)
    assert again["t", ""] == found | {"new": {}}


def test_a_new_journal_is_synced_before_it_takes_its_place_and_the_folder_after(tmp_path):
    counter = CallCounter()
    create(tmp_path, WatchedDisk(counter), lambda text: None)
    assert counter.names == ["write", "sync", "replace", "sync_folder"]


@pytest.mark.parametrize("kill", [kill_before, kill_halfway, kill_after])
@pytest.mark.parametrize(("work", "states", "acknowledged"), WORKS.values(), ids=WORKS)
def test_a_kill_at_any_call_loses_nothing_acknowledged_and_leaves_nothing_by_half(
    tmp_path, kill, work, states, acknowledged
):
    calls = number_of_calls(tmp_path, work)
    for nth in range(1, calls + 1):
        folder = prepared(tmp_path, str(nth), work)
        child = Child(lambda tell, nth=nth, folder=folder: work(folder, WatchedDisk(NthCall(nth, kill)), tell))
        told = child.finish()
        assert child.status == -signal.SIGKILL
        check_whole(folder, states, acknowledged, told)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("failure", [no_space, input_output_error, half_then_no_space])
@pytest.mark.parametrize(("work", "states", "acknowledged"), WORKS.values(), ids=WORKS)
def test_a_failing_call_loses_nothing_acknowledged_and_leaves_nothing_by_half(
    tmp_path, failure, lasting, work, states, acknowledged
):
    calls = number_of_calls(tmp_path, work)
    for nth in range(1, calls + 1):
        folder, told = prepared(tmp_path, str(nth), work), []
        with pytest.raises((OSError, EngineError)):
            work(folder, WatchedDisk(NthCall(nth, failure, lasting)), told.append)
        check_whole(folder, states, acknowledged, told)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("failure", [no_space, input_output_error, half_then_no_space])
def test_a_compaction_that_fails_leaves_the_store_going_and_no_new_file(tmp_path, failure, lasting):
    for nth in range(1, 7):
        folder = prepared(tmp_path, str(nth), compact)
        with opened(folder) as going, opened(folder, WatchedDisk(NthCall(nth, failure, lasting))) as journal:
            before = going.path.read_bytes()
            try:
                journal.compact()
            except OSError:
                assert not (folder / "journal.new").exists()
                assert going.path.read_bytes() == before or nth == 6  # the sixth syncs the folder: it is done then
            else:
                raise AssertionError(f"call {nth} did not fail")
            assert contents(journal) == contents(going) == {("t", ""): BEFORE}
            put(going, "after", {})
            going.compact()
            assert contents(journal) == contents(going) == {("t", ""): WRITTEN[1]}
