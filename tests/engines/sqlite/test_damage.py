"""Bytes of a store that is closed are flipped, cut off, zeroed, swapped or lost.

The answers are those of before, or of a moment before the cut, or there is a refusal that names the file: never a third
thing, never an empty store, never the seed. `-m exhaustive` goes through every byte; without it the places that mean
most are gone through, and of the rest every few bytes one.
"""

import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from sqlite_helpers import (
    INDEXES,
    SHM,
    WAL,
    Files,
    answers,
    answers_of,
    commit,
    files_in,
    killed_after,
    lay,
    opened,
    small_pages,
)

from layers_standin.engines.errors import Damaged, EngineError, Misplaced
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import DATABASE, MARK
from layers_standin.services import open_services
from layers_standin.settings import Settings, StartError

pytestmark = pytest.mark.slow

COMMITS = 4
SMALL_PAGE = 512
FRAME_HEADER, WAL_HEADER = 24, 32
REFUSED = "refused"

EACH = pytest.param(1, marks=pytest.mark.exhaustive, id="each byte")
by_steps = pytest.mark.parametrize("step", [EACH, pytest.param(7, id="sampled")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def closed(folder: Path) -> Files:
    """Return the files of a small closed store with documents, lists and a snapshot."""
    small_pages(folder)
    with opened(folder) as engine:
        for number in range(COMMITS):
            commit(engine, number)
        with engine.create_snapshot("s", {"at": "then"}):
            pass
    files = files_in(folder)
    assert files[WAL] == b""
    return files


class Killed:
    """The files of a store whose process was killed, and the answers after each of its commits since the checkpoint.

    `ends[n]` is the length of the WAL when commit n was done; `states[0]` is what the database file alone holds.
    """

    def __init__(self, folder: Path, is_used_again: bool) -> None:
        small_pages(folder)
        with opened(folder) as engine:
            for number in range(2):
                commit(engine, number)
        self.states: list[Any] = [answers(folder)]
        self.ends = [0]
        pages: list[Files] = []

        def work() -> None:
            engine = SQLite(folder, indexes=INDEXES, sync=False)
            if is_used_again:  # the WAL has whole frames of an earlier generation behind those that count
                for number in range(8):
                    commit(engine, number)
                engine._session().connection.wal_checkpoint(mode=1)
                engine._session().connection.wal_checkpoint(mode=2)
            for number in range(2, 2 + COMMITS):
                commit(engine, number)
                shutil.copytree(folder, folder.with_name(f"copy{number}"))

        killed_after(folder, work)
        self.files = files_in(folder)
        for number in range(2, 2 + COMMITS):
            pages.append(files_in(folder.with_name(f"copy{number}")))
            self.states.append(answers(folder.with_name(f"copy{number}")))
        if is_used_again:
            first = dict(pages[0])
            first[WAL] = b""
            lay(folder.with_name("first"), first)
            self.states[0] = answers(folder.with_name("first"))
            self.ends[0] = WAL_HEADER
        self.ends += [used_bytes(each[WAL]) for each in pages]
        lay(folder, self.files)
        assert answers(folder) == self.states[-1]
        assert len({repr(state) for state in self.states}) == COMMITS + 1

    def whole_in(self, length: int) -> Any:
        """Return the answers of the last commit that is whole in so many bytes of the WAL."""
        return self.states[max(number for number, end in enumerate(self.ends) if end <= max(length, self.ends[0]))]


def used_bytes(wal: bytes) -> int:
    """Return how far a WAL reaches that counts: frames behind with other salts are of an earlier generation."""
    salts, place = wal[16:24], WAL_HEADER
    while wal[place + 8 : place + 16] == salts:
        place += FRAME_HEADER + SMALL_PAGE
    return place


@pytest.fixture(params=[False, True], ids=["new log", "log used again"])
def killed(request: pytest.FixtureRequest, folder: Path) -> Killed:
    return Killed(folder, request.param)


def flips(data: bytes, places: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """Yield (place, data) with the byte at each place all other, and again with a single bit of it other."""
    for place in places:
        for mask in (0xFF, 1 << place % 8):
            yield place, data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def sampled(length: int, step: int, whole: Iterable[range]) -> list[int]:
    """Return every place in some ranges, and of the others one in each step."""
    return sorted({place for each in whole for place in each if place < length} | set(range(0, length, step)))


def found_in(folder: Path, files: Files) -> Any:
    """Return what a store of these files answers, or REFUSED; a refusal names a file and leaves all as it was."""
    lay(folder, files)
    try:
        return answers(folder)
    except EngineError as error:
        assert_named(error, folder)
        left = files_in(folder)
        for name in (DATABASE, WAL, MARK):
            assert left.get(name, b"") == files.get(name, b""), f"the refusal has changed {name}"
        return REFUSED


def assert_named(error: Exception, folder: Path) -> None:
    """Check that a message is a sentence with a file of the store in it."""
    named = [folder / DATABASE, folder / WAL, folder]
    assert any(f"{path} " in str(error) or f"{path}:" in str(error) for path in named), str(error)


# The database


@by_steps
def test_a_flipped_byte_of_the_database_is_answered_as_before_or_refused(folder, closed, step):
    before = answers(folder)
    data = closed[DATABASE]
    pages = range(0, len(data), SMALL_PAGE)
    whole = [range(100), *(range(page, page + 16, 3) for page in pages), *(range(page - 8, page, 3) for page in pages)]
    seen = {REFUSED: 0, "as before": 0}
    for place, flipped in flips(data, sampled(len(data), step * 5 if step > 1 else 1, whole)):
        found = found_in(folder, closed | {DATABASE: flipped})
        assert found in (before, REFUSED), f"byte {place}"
        seen[REFUSED if found == REFUSED else "as before"] += 1
    assert seen[REFUSED] > seen["as before"] > 0  # the second are in a snapshot, which nobody has asked for


def test_a_flipped_byte_of_a_snapshot_is_found_when_it_is_restored_and_then_nothing_is_changed(folder, closed):
    with opened(folder) as engine:
        engine.restore_snapshot("s")
        expected = answers_of(engine)
        commit(engine, 9)
        before = answers_of(engine)
    files = files_in(folder)
    data = files[DATABASE]
    restored = refused = 0
    for place, flipped in flips(data, range(100, len(data), 23)):
        lay(folder, files | {DATABASE: flipped})
        try:
            with opened(folder) as engine:
                assert answers_of(engine) == before
                try:
                    engine.restore_snapshot("s")
                except Damaged as error:
                    assert_named(error, folder)
                    assert answers_of(engine) == before
                    refused += 1
                else:
                    assert answers_of(engine) == expected, f"byte {place}"
                    restored += 1
        except Damaged as error:
            assert_named(error, folder)
    assert restored > 0
    assert refused > 0


def test_a_database_cut_anywhere_is_refused(folder, closed):
    data = closed[DATABASE]
    pages = range(0, len(data), SMALL_PAGE)
    odd = [1, 15, 16, 99, 100, 101, SMALL_PAGE - 1, SMALL_PAGE + 1, len(data) - SMALL_PAGE + 1, len(data) - 1]
    before = answers(folder)
    for length in [*pages, *odd]:
        # In the last page is what nobody has asked for.
        allowed = [REFUSED] if length <= pages[-1] else [before, REFUSED]
        assert found_in(folder, closed | {DATABASE: data[:length]}) in allowed, f"cut to {length} bytes"


def test_a_refusal_leaves_no_connection_open(folder, closed):
    (folder / DATABASE).write_bytes(closed[DATABASE][:-SMALL_PAGE])
    with pytest.raises(Damaged) as refused:  # which holds the frames that the connections were opened in
        SQLite(folder)
    assert refused.value.__cause__ is not None
    assert apsw.connections() == []


def test_a_database_of_zeros_or_of_something_else_is_refused(folder, closed):
    size = len(closed[DATABASE])
    for data in (bytes(size), bytes(100), b"x", random.Random(1).randbytes(size), b"{}\n" * 99):
        assert found_in(folder, closed | {DATABASE: data}) == REFUSED


def test_zeros_behind_a_database_change_nothing(folder, closed):
    before = answers(folder)
    for number in (1, 100, SMALL_PAGE, 3 * SMALL_PAGE + 5):
        assert found_in(folder, closed | {DATABASE: closed[DATABASE] + bytes(number)}) == before


def test_the_database_of_another_store_is_refused_and_taken_when_the_mark_was_removed_for_it(folder, closed, tmp_path):
    before = answers(folder)
    other = tmp_path / "other"
    with opened(other) as engine:
        commit(engine, 7)
    others = answers(other)
    assert found_in(folder, closed | {DATABASE: files_in(other)[DATABASE]}) == REFUSED
    assert found_in(folder, closed | {MARK: files_in(other)[MARK]}) == REFUSED
    assert found_in(folder, closed | {MARK: b"nonsense"}) == REFUSED
    assert found_in(folder, closed | {MARK: b""}) == REFUSED
    assert found_in(folder, closed) == before
    unmarked = {name: data for name, data in closed.items() if name != MARK}
    assert found_in(folder, unmarked | {DATABASE: files_in(other)[DATABASE]}) == others
    assert (folder / MARK).read_bytes() == files_in(other)[MARK]
    assert found_in(folder, unmarked) == before
    assert (folder / MARK).read_bytes() == closed[MARK]


def test_a_missing_database_is_refused_with_whatever_else_is_left_of_the_store(folder, closed):
    assert found_in(folder, {name: data for name, data in closed.items() if name != DATABASE}) == REFUSED
    assert found_in(folder, {MARK: closed[MARK]}) == REFUSED
    assert not (folder / DATABASE).exists()
    for belonging in ("media", "snapshots"):
        lay(folder, {})
        (folder / belonging / "o").mkdir(parents=True)
        with pytest.raises(Misplaced, match=belonging):
            opened(folder)
        assert not (folder / DATABASE).exists()
        shutil.rmtree(folder / belonging)


def test_a_log_without_its_database_and_mark_is_refused(folder, killed):
    assert found_in(folder, {WAL: killed.files[WAL]}) == REFUSED
    assert not (folder / DATABASE).exists()
    assert (folder / WAL).read_bytes() == killed.files[WAL]


def test_an_emptied_database_beside_belongings_or_a_log_is_refused_also_when_the_mark_is_gone(folder, closed, killed):
    assert found_in(folder, killed.files | {DATABASE: b""}) == REFUSED
    unmarked = {name: data for name, data in killed.files.items() if name != MARK}
    assert found_in(folder, unmarked | {DATABASE: b""}) == REFUSED
    (folder / "media" / "o").mkdir(parents=True)
    assert found_in(folder, {DATABASE: b""}) == REFUSED


def repr_start(data: bytes | None) -> str:
    return "missing" if data is None else f"{len(data)} of {data[:1]!r}"


LOG_INDEXES = [None, b"", b"\xff" * 32768, b"\0" * 32768, b"\xff" * 100, b"x" * 99999]


@pytest.mark.parametrize("shm", LOG_INDEXES, ids=repr_start)
def test_the_index_of_the_log_is_made_anew_whatever_it_holds(folder, killed, shm):
    files = {name: data for name, data in killed.files.items() if name != SHM}
    if shm is not None:
        files[SHM] = shm
    assert found_in(folder, files) == killed.states[-1]
    closed = {name: data for name, data in files_in(folder).items() if name != SHM}
    if shm is not None:
        closed[SHM] = shm
    assert found_in(folder, closed) == killed.states[-1]


def test_each_flipped_byte_of_the_index_of_the_log_changes_nothing(folder, killed):
    index = killed.files[SHM]
    for place, flipped in flips(index, sampled(400, 5, [range(136)])):
        assert found_in(folder, killed.files | {SHM: flipped}) == killed.states[-1], f"byte {place}"


# The log of a killed process


@by_steps
def test_a_flipped_byte_of_the_log_takes_nothing_but_the_last_commit_or_is_refused(folder, killed, step):
    log = killed.files[WAL]
    last = killed.ends[-2]
    frames = range(WAL_HEADER, len(log), FRAME_HEADER + SMALL_PAGE)
    whole = [range(WAL_HEADER), *(range(at, at + 26, 3) for at in frames)]
    places = sampled(len(log), step * 3 if step > 1 else 1, whole)
    seen = {"refused": 0, "as before": 0, "without the last": 0}
    for place, flipped in flips(log, places):
        found = found_in(folder, killed.files | {WAL: flipped})
        kind = {REFUSED: "refused", repr(killed.states[-1]): "as before", repr(killed.states[-2]): "without the last"}
        how = kind.get(REFUSED if found == REFUSED else repr(found))
        seen[how or f"a third thing at {place}"] = seen.get(how or f"a third thing at {place}", 0) + 1
        if place < last and how == "without the last":
            seen[f"a commit lost for byte {place}"] = 1
        if place >= killed.ends[-1] and how != "as before":
            seen[f"{how} for unused byte {place}"] = 1
    assert set(seen) == {"refused", "as before", "without the last"}, seen
    assert seen["without the last"] > 0


def test_what_was_refused_once_for_its_log_is_refused_again(folder, killed):
    log = killed.files[WAL]
    place = killed.ends[1] - SMALL_PAGE
    damaged = killed.files | {WAL: log[:place] + bytes([log[place] ^ 1]) + log[place + 1 :]}
    lay(folder, damaged)
    for _ in range(3):
        with pytest.raises(Damaged, match=WAL):
            opened(folder)
    left = files_in(folder)
    assert (left[DATABASE], left[WAL]) == (damaged[DATABASE], damaged[WAL])


@by_steps
def test_a_log_cut_at_any_byte_holds_the_commits_that_are_whole(folder, killed, step):
    log = killed.files[WAL]
    near = [range(max(end - 2, 0), end + 3) for end in killed.ends]
    for length in sampled(killed.ends[-1] + 1, 17 if step > 1 else 1, near):
        assert found_in(folder, killed.files | {WAL: log[:length]}) == killed.whole_in(length), f"cut to {length}"


@by_steps
def test_a_log_that_ends_in_zeros_holds_the_commits_before_them(folder, killed, step):
    log = killed.files[WAL]
    for length in sampled(killed.ends[-1] + 1, step * 4, [range(WAL_HEADER + 1)]):
        zeroed = log[:length].ljust(len(log), b"\0")
        same = max((end for end in killed.ends if zeroed[:end] == log[:end]), default=0)  # there were zeros before
        assert found_in(folder, killed.files | {WAL: zeroed}) == killed.whole_in(same), f"zeros from {length}"
    for number in (1, 24, 100, FRAME_HEADER + SMALL_PAGE, 5000):
        assert found_in(folder, killed.files | {WAL: log + bytes(number)}) == killed.states[-1]


def test_the_database_of_another_store_beside_the_log_is_refused(folder, killed, tmp_path):
    other = Killed(tmp_path / "other" / "store", is_used_again=False)
    assert found_in(folder, killed.files | {DATABASE: other.files[DATABASE]}) == REFUSED
    assert found_in(folder, killed.files) == killed.states[-1]


# A start


@pytest.fixture
def started(tmp_path: Path) -> Settings:
    """Return the settings of a service that was seeded, written to, and stopped."""
    settings = Settings(data=tmp_path / "data", sync=False)
    rooms = open_services(settings)
    organization = rooms.store.organizations.all()[0]["id"]
    store = rooms.store.for_organization(organization)
    for influencer in list(rooms.store.db.table("influencers", organization)):
        store.for_organization(organization).patch_influencer(
            influencer["influencerId"], {"vibe": "not as in the seed"}
        )
    rooms.store.db.close()
    return settings


def vibes(settings: Settings) -> Any:
    """Return the vibe of each influencer that a start finds, or REFUSED."""
    try:
        db = open_services(settings).store.db
    except StartError as error:
        assert str(settings.data) in str(error), str(error)
        return REFUSED
    try:
        spaces = [space for space in db.tables() if space[0] == "influencers"]
        return [row["vibe"] for space in spaces for row in db.table(*space)]
    except EngineError as error:
        assert str(settings.data) in str(error), str(error)
        return REFUSED
    finally:
        db.close()


def test_a_start_on_damaged_files_serves_what_was_there_or_refuses_and_never_the_seed(started):
    folder = started.data
    before = vibes(started)
    assert set(before) == {"not as in the seed"}
    files = files_in(folder)
    data = files[DATABASE]
    pages = [range(page, page + 8, 3) for page in range(0, len(data), 4096)]
    places = sampled(len(data), 997, [range(0, 100, 5), *pages])
    seen = []
    for place, flipped in flips(data, places):
        lay(folder, files | {DATABASE: flipped})
        found = vibes(started)
        assert found in (before, REFUSED), f"byte {place}"
        seen.append(found)
    assert before in seen
    assert REFUSED in seen
    others = {name: content for name, content in files.items() if name != DATABASE}
    for cut in (None, b"", data[:4096], data[:5000], data[: len(data) // 2], bytes(len(data)), b"SQLite format 3\0"):
        left = others if cut is None else others | {DATABASE: cut}
        for here in (left, {name: content for name, content in left.items() if name != MARK}):
            lay(folder, here)
            assert vibes(started) == REFUSED
    lay(folder, files)
    assert vibes(started) == before
