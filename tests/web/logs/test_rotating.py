"""The ring: the newest lines of several processes in their order, whole, and never more than so many bytes."""

import gc
import os
import resource
import signal
import stat
import time
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from engine_helpers import Child, Worker
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.engines.lock import locked
from layers_standin.web.logs.rotating import LOCK, NEWER, OLDER, RotatingLog

MOST = 1000


@pytest.fixture
def ring(tmp_path):
    with closing(RotatingLog(tmp_path / "ring", MOST, 0)) as ring:
        yield ring


@pytest.fixture
def other(tmp_path):
    """Return the ring as another process has it."""
    with closing(RotatingLog(tmp_path / "ring", MOST, 0)) as ring:
        yield ring


def lines(ring):
    return [line.decode() for line in ring.newest()]


def size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_ring_nobody_wrote_to_has_no_lines(ring):
    assert lines(ring) == []
    ring.clear()
    assert lines(ring) == []


def test_a_ring_that_nobody_has_any_more_holds_no_file_open(tmp_path):
    ring = RotatingLog(tmp_path / "ring", MOST)
    ring.append(b"a")
    file = ring._file
    assert os.fstat(file).st_ino == (tmp_path / "ring" / NEWER).stat().st_ino

    del ring
    gc.collect()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_the_last_line_comes_first(ring):
    for line in (b"a", b"b", b"c"):
        ring.append(line)

    assert lines(ring) == ["c", "b", "a"]


def test_a_line_does_not_wait_for_who_has_the_lock(ring, other, tmp_path):
    ring.append(b"a" * MOST)
    with locked(tmp_path / "ring" / LOCK):  # as by a process that was halted while it turned the files
        ring.append(b"b" * MOST)
        ring.append(b"c")
        for _ in range(2):
            with pytest.raises(TimeoutError):  # it has no file yet
                other.append(b"d")
    ring.append(b"e")
    other.append(b"f")
    assert lines(ring) == ["f", "e", "c", "b" * MOST, "a" * MOST]


def test_the_oldest_go_when_there_is_no_room(ring, tmp_path):
    written = [f"{number:03d}".ljust(50, ".") for number in range(200)]
    for line in written:
        ring.append(line.encode())
        assert size(tmp_path / "ring") <= 2 * (MOST + 52)

    kept = lines(ring)
    assert kept == written[: -len(kept) - 1 : -1]
    assert len(kept) * 52 >= MOST


def test_a_line_that_is_longer_than_the_ring_is_kept_until_the_next_but_one(ring):
    for line in (b"a" * 3 * MOST, b"b", b"c"):
        ring.append(line)

    assert lines(ring) == ["c", "b", "a" * 3 * MOST]


def test_what_is_there_is_found_by_who_opens_it_later(ring, other):
    ring.append(b"a")
    ring.close()

    assert lines(other) == ["a"]
    other.append(b"b")
    ring.append(b"c")
    assert lines(ring) == ["c", "b", "a"]


def test_who_clears_clears_what_others_have_turned_to(ring, other):
    ring.append(b"a")
    while len(list((ring._folder).iterdir())) < 3:  # until the other one has turned the file under the first
        other.append(b"x" * 100)

    ring.clear()

    assert lines(ring) == lines(other) == []
    ring.append(b"b")
    other.append(b"c")
    assert lines(ring) == lines(other) == ["c", "b"]


def test_who_was_away_while_others_turned_twice_writes_where_it_is_read(ring, other):
    ring.append(b"a")
    for _ in range(50):
        other.append(b"x" * 100)

    ring.append(b"b")

    assert lines(other)[0] == "b"
    assert "a" not in lines(other)


steps = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 2), st.integers(0, 300)),
    st.tuples(st.just("clear"), st.integers(0, 2), st.none()),
)


@given(st.lists(steps, max_size=60))
def test_whoever_writes_the_lines_are_the_last_ones_in_their_order(taken):
    with TemporaryDirectory() as folder:
        rings = [RotatingLog(Path(folder), MOST, 0) for _ in range(3)]
        written: list[str] = []
        for number, (step, who, length) in enumerate(taken):
            if step == "clear":
                rings[who].clear()
                written = []
            else:
                written.append(str(number).ljust(length, "."))
                rings[who].append(written[-1].encode())
            for ring in rings:
                kept = lines(ring)
                assert kept == written[len(written) - len(kept) :][::-1]
                assert len(kept) == len(written) or sum(len(line) + 2 for line in kept) >= MOST
        for ring in rings:
            ring.close()


def test_half_a_line_left_by_a_full_disk_does_not_spoil_the_next(ring):
    ring.append(b"a")
    with (ring._folder / "newer.jsonl").open("ab") as file:
        file.write(b"\nhal")

    ring.append(b"b")

    assert lines(ring) == ["b", "hal", "a"]


def test_a_line_that_is_just_being_written_is_not_there_yet(ring):
    ring.append(b"a")
    with (ring._folder / "newer.jsonl").open("ab") as file:
        file.write(b"\nhal")

    assert lines(ring) == ["a"]


def test_a_folder_that_somebody_removed_is_made_again(ring, tmp_path):
    ring.append(b"a")
    for path in (tmp_path / "ring").iterdir():
        path.unlink()
    (tmp_path / "ring").rmdir()

    ring.append(b"b")

    assert lines(ring) == ["b"]


def test_a_folder_that_cannot_be_written_to_is_an_error_of_the_system(tmp_path):
    (tmp_path / "ring").write_text("a file", "utf-8")

    with closing(RotatingLog(tmp_path / "ring", MOST, 0)) as ring:
        with pytest.raises(OSError, match="exists"):
            ring.append(b"a")
        with pytest.raises(OSError, match="exists"):
            ring.clear()


class Uptime:
    """Tells the seconds a machine is up, in place of the monotonic clock."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self):
        return self.seconds


@pytest.fixture(params=[0.0, 1e7], ids=["a machine that just started", "a machine that is up for months"])
def uptime(request, monkeypatch):
    told = Uptime(request.param)
    monkeypatch.setattr(time, "monotonic", told)
    return told


@pytest.fixture
def lazy(tmp_path, uptime):
    """Return a ring that looks at its files every hour, and when about 1000 bytes were written."""
    with closing(RotatingLog(tmp_path / "ring", 64_000, 3600)) as ring:
        yield ring


def turn_unseen(ring):
    """Do to the files what another process does, which a ring knows only when it looks."""
    (ring._folder / NEWER).rename(ring._folder / OLDER)


def has_looked(ring):
    return (ring._folder / NEWER).exists()


def test_files_are_looked_at_again_after_much_was_written(tmp_path, uptime):
    """Not for each line; so in a while as short as this one others must not turn the files twice."""
    for ring, lines_before in (
        (RotatingLog(tmp_path / "a", MOST, 3600), 1),
        (RotatingLog(tmp_path / "b", 64_000, 3600), 10),
    ):
        with closing(ring):
            for _ in range(lines_before):
                ring.append(b"x" * 100)
            turn_unseen(ring)
            ring.append(b"y")
            assert has_looked(ring)
            assert lines(ring)[0] == "y"


def test_files_are_not_looked_at_for_each_line(lazy):
    for _ in range(25):
        lazy.append(b"x" * 100)  # more than twice what is looked after, so that it has begun to count anew
    turn_unseen(lazy)
    lazy.append(b"y")
    assert not has_looked(lazy)
    assert lines(lazy)[0] == "y"


def test_files_are_looked_at_again_after_a_while(lazy, uptime):
    for _ in range(2):
        lazy.append(b"a")
    turn_unseen(lazy)

    uptime.seconds += 3599
    lazy.append(b"b")
    assert not has_looked(lazy)

    uptime.seconds += 1
    lazy.append(b"c")
    assert has_looked(lazy)


def test_files_are_looked_at_again_after_a_line_that_could_not_be_written(lazy):
    for _ in range(2):
        lazy.append(b"a")
    turn_unseen(lazy)

    with a_full_disk(), pytest.raises(OSError, match="too large"):
        lazy.append(b"b")
    assert not has_looked(lazy)

    lazy.append(b"c")
    assert has_looked(lazy)


@contextmanager
def a_full_disk():
    """Let no file of this process grow."""
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))


# Several processes and threads


def text_of(writer, number):
    return f"{writer}:{number}:".ljust(20 + (7 * number) % 90, writer)


def is_whole(line):
    writer, number, _ = line.split(":")
    return line == text_of(writer, int(number))


def write_many(ring, writer, count=3000):
    for number in range(count):
        ring.append(text_of(writer, number).encode())


def assert_in_order(found, writers):
    """Every line is whole and there once, and those of one writer stand as it wrote them, none missing between."""
    assert all(is_whole(line) for line in found)
    for writer in writers:
        numbers = [int(line.split(":")[1]) for line in found if line.startswith(writer)]
        assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1)) if numbers else True


@pytest.mark.slow
def test_processes_that_turn_the_file_while_others_write_tear_and_lose_nothing(tmp_path):
    folder, most = tmp_path / "ring", 100_000

    def work(writer):
        def write(tell):
            with closing(RotatingLog(folder, most, 0)) as ring:
                write_many(ring, writer)
            tell("done")

        return write

    children = [Child(work(writer)) for writer in "abcd"]
    with closing(RotatingLog(folder, most, 0)) as ring:
        for _ in range(50):
            assert_in_order(lines(ring), "abcd")
            with ring._alone():  # or a file is turned away between the look into the folder and the look at the file
                assert size(folder) <= 2 * (most + 4 * 120)
        assert [child.finish() for child in children] == [["done"]] * 4
        assert_in_order(lines(ring), "abcd")
        assert any(line.split(":")[1] == "2999" for line in lines(ring))


def test_threads_that_turn_the_file_while_others_write_tear_and_lose_nothing(tmp_path):
    with closing(RotatingLog(tmp_path / "ring", 5_000, 0)) as ring:
        workers = [Worker(lambda writer=writer: write_many(ring, writer, 1000)) for writer in "abcd"]
        for _ in range(20):
            assert_in_order(lines(ring), "abcd")
        assert [worker.finish().error for worker in workers] == [None] * 4
        assert_in_order(lines(ring), "abcd")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_lines_are_for_their_owner_only(tmp_path, umask):
    before = os.umask(umask)
    try:
        with closing(RotatingLog(tmp_path / "ring", MOST, 0)) as ring:
            for _ in range(MOST):
                ring.append(b"a line")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"ring": 0o700, NEWER: 0o600, OLDER: 0o600, LOCK: 0o600}


class WatchedRing(RotatingLog):
    """Looks, while it reads, whether anybody could turn the files."""

    def _read(self, name):
        with pytest.raises(TimeoutError), locked(self._folder / LOCK, patience_seconds=0):
            pass
        return super()._read(name)


def test_nobody_turns_the_files_while_they_are_read_or_lines_would_be_there_twice(tmp_path):
    with closing(WatchedRing(tmp_path / "ring", MOST, 0)) as ring:
        ring.append(b"a")
        assert lines(ring) == ["a"]


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_turns_the_file_stops_nobody(tmp_path):
    folder = tmp_path / "ring"

    def work(tell):
        ring = RotatingLog(folder, MOST, 0)
        with ring._alone():
            tell("alone")
            signal.pause()

    child = Child(work)
    assert child.next_line() == "alone"
    with closing(RotatingLog(folder, MOST, 0)) as ring:
        waiting = Worker(lambda: write_many(ring, "a", 100))
        os.kill(child.pid, signal.SIGKILL)
        child.finish()
        assert waiting.finish().error is None
        assert_in_order(lines(ring), "a")
