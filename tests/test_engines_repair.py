"""Repair: every whole transaction is kept, every byte cut out is kept beside, and an undamaged file stays as it is."""

from contextlib import closing

import pytest
from engine_helpers import NthCall, WatchedDisk, by_rank, contents, input_output_error, opened, put, stored

from engines.disk import Disk
from engines.errors import Damaged, UnknownFormat
from engines.line import FORMAT, encode_header, encode_line
from engines.lock import ProcessLock
from engines.repair import Fault, faults, repair


@pytest.fixture
def path(tmp_path):
    """A journal of five transactions, the documents "1" to "5"; number n is on line n + 1."""
    with opened(tmp_path, lists={"t": by_rank}) as journal:
        for number in range(1, 6):
            put(journal, str(number), {"groups": ["x"], "rank": str(number)})
        return journal.path


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def mended(path, disk=None):
    with closing(ProcessLock(path.with_suffix(".lock"))) as writers:
        return repair(path, path.with_suffix(".cut"), writers, disk or Disk(syncing=False), {"t": by_rank})


def ids_in(path):
    return sorted(stored(path.parent, lists={"t": by_rank})["t", ""])


def test_an_undamaged_journal_is_not_touched(path):
    before, status = path.read_bytes(), path.stat()
    assert faults(path) == mended(path) == []
    assert path.read_bytes() == before
    assert path.stat().st_ino == status.st_ino
    assert not path.with_suffix(".cut").exists()


def test_a_damaged_line_is_named_cut_out_and_kept_beside(path):
    lines = lines_of(path)
    bad = lines[3].replace(b'"rank":"3"', b'"rank":"8"')
    path.write_bytes(b"".join([*lines[:3], bad, *lines[4:]]))
    start = len(b"".join(lines[:3]))
    expected = [
        Fault(4, start, start + len(bad), "its checksum does not match"),
        Fault(5, start + len(bad), start + len(bad), "transaction 4 follows transaction 2"),
    ]
    assert faults(path) == expected
    with pytest.raises(Damaged), opened(path.parent):
        pass
    assert mended(path) == expected
    assert ids_in(path) == ["1", "2", "4", "5"]
    assert path.with_suffix(".cut").read_bytes() == b"# %b\n%b\n# %b\n\n" % (
        str(expected[0]).encode(),
        bad,
        str(expected[1]).encode(),
    )
    assert faults(path) == []
    with opened(path.parent, lists={"t": by_rank}) as journal:
        assert journal.walk("t", "", "x", most=9) == ["5", "4", "2", "1"]


@pytest.mark.parametrize("flip", [0x01, 0x0A, 0x80])
def test_behind_a_damaged_newline_the_next_transaction_is_kept(path, flip):
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[:3], lines[3][:-1], bytes([0x0A ^ flip]), *lines[4:]]))
    assert [fault.line for fault in mended(path)] == [4, 4]
    assert ids_in(path) == ["1", "2", "4", "5"]


@pytest.mark.parametrize(
    ("order", "what", "kept"),
    [
        pytest.param([0, 1, 2, 4, 5], "transaction 4 follows transaction 2", "1245", id="a line is missing"),
        pytest.param([0, 2, 3, 4, 5], "transaction 2 follows transaction 0", "2345", id="the first is missing"),
        pytest.param([0, 1, 2, 2, 3, 4, 5], "transaction 2 follows transaction 2", "12345", id="a line is there twice"),
    ],
)
def test_missing_and_repeated_transactions_are_reported(path, order, what, kept):
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[number] for number in order))
    assert what in [fault.what for fault in faults(path)]
    mended(path)
    assert ids_in(path) == list(kept)


def test_any_flipped_byte_behind_the_header_costs_at_most_its_own_transaction(path):
    data, lines = path.read_bytes(), lines_of(path)
    for at in range(len(lines[0]), len(data), 7):
        damaged = bytearray(data)
        damaged[at] ^= 0x20
        path.write_bytes(damaged)
        hit = str(data.count(b"\n", 0, at))
        assert mended(path)
        assert ids_in(path) == [doc_id for doc_id in "12345" if doc_id != hit], f"byte {at}"


def test_an_unfinished_line_is_cut_and_a_whole_one_without_its_newline_is_kept(path):
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    assert [fault.what for fault in mended(path)] == ["an unfinished line at the end"]
    assert ids_in(path) == ["1", "2", "3", "4"]
    bad = data.replace(b'"rank":"2"', b'"rank":"8"')
    for end in (b"", b"\0\0\0"):
        path.write_bytes(bad[:-1] + end)
        mended(path)
        assert ids_in(path) == ["1", "3", "4", "5"]


@pytest.mark.parametrize("at", [0, 20, 57])
def test_a_damaged_header_is_cut_out_like_any_line(path, at):
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 1
    path.write_bytes(damaged)
    assert [fault.line for fault in mended(path)] == [1]
    assert ids_in(path) == ["1", "2", "3", "4", "5"]


def test_a_file_with_nothing_of_ours_in_it_is_refused(path):
    path.write_bytes(b"something else\n")
    for look in (faults, mended):
        with pytest.raises(Damaged) as refused:
            look(path)
        assert refused.value.line == 1
    assert path.read_bytes() == b"something else\n"


def test_a_newer_format_is_not_repaired(path):
    lines = path.read_bytes().splitlines(keepends=True)
    newer = encode_header(format=FORMAT + 1) + b"".join([*lines[1:3], b"no line\n", *lines[3:]])
    path.write_bytes(newer)
    with pytest.raises(UnknownFormat):
        mended(path)
    assert path.read_bytes() == newer


def test_running_processes_go_on_with_the_repaired_file(path):
    with opened(path.parent, lists={"t": by_rank}) as running:
        with path.open("ab") as file:
            file.write(b"no line\n" + encode_line(6, []) + b"\n")
        with pytest.raises(Damaged):
            contents(running)
        with pytest.raises(Damaged):
            put(running, "6", {})
        mended(path)
        put(running, "6", {})
        assert sorted(contents(running)["t", ""]) == ["1", "2", "3", "4", "5", "6"]


def test_a_repair_that_fails_leaves_the_damaged_file(path):
    path.write_bytes(path.read_bytes().replace(b'"rank":"3"', b'"rank":"8"'))
    before = path.read_bytes()
    for nth in range(1, 8):
        with pytest.raises(OSError, match="Input/output"):
            mended(path, WatchedDisk(NthCall(nth, input_output_error)))
        assert path.read_bytes() == before
    mended(path)
    assert ids_in(path) == ["1", "2", "4", "5"]
