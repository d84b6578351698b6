"""Bytes of a store that is closed are flipped, cut off, zeroed, swapped or lost.

The answers are those of before, or of a moment before the cut, or there is a refusal that names the file: never a third
thing, never an empty store, never the seed. `-m slow` goes through every byte; without it the places that mean most
are gone through, and of the rest every few bytes one.
"""

import random
import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_helpers import (
    LISTS,
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

from engines.errors import Damaged, EngineError, Misplaced, NoSnapshot
from engines.sqlite.engine import SQLite
from engines.sqlite.files import DATABASE, MARK
from settings import Settings, StartError
from start import open_rooms

COMMITS = 4
SMALL_PAGE = 512
FRAME_HEADER, WAL_HEADER = 24, 32
REFUSED = "refused"

exhaustive = pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 7], ids=["each byte", "sampled"])


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
        engine.save("s", {"at": "then"})
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
            engine = SQLite(folder, lists=LISTS, sync=False)
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


@exhaustive
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
