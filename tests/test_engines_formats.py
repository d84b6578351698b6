"""Stores that this program does not know: what a newer one has made, and what version 0.1.0 has left."""

import re
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from databases import Pages, Rows
from engine_helpers import engine_at, opened, put

from engines.errors import Misplaced, UnknownFormat
from engines.sqlite.connections import CHECKSUM_VFS
from engines.sqlite.files import DATABASE
from settings import Settings, StartError
from start import open_rooms

IMPORT = re.escape("`flask store export > backup.json`")


def note(place: Path | str, fact: str, number: int) -> None:
    """Let the store say that of itself."""
    if isinstance(place, Path):
        with closing(apsw.Connection(str(place / DATABASE), vfs=CHECKSUM_VFS)) as connection:
            connection.execute("UPDATE facts SET fact = ? WHERE name = ?", (str(number), fact))
    else:
        psycopg = pytest.importorskip("psycopg")
        with psycopg.connect(place) as connection:
            connection.execute("UPDATE standin_facts SET fact = %s WHERE name = %s", [str(number), fact])


def all_of(place: Path | str) -> bytes:
    return (Pages(place / DATABASE) if isinstance(place, Path) else Rows(place)).read_bytes()


@pytest.mark.parametrize("fact", ["format", "schema"])
def test_what_a_newer_program_has_made_is_refused_and_left_as_it_is(place, kind, fact):
    if (kind, fact) == ("sqlite", "schema"):
        fact = "format"  # the only one it has
    with opened(place) as engine:
        put(engine, "a", {})
    note(place, fact, 99)
    before = all_of(place)

    said = rf"has {fact} 99, and this program knows [a-z ]+ \d\. Run the newer program"
    with pytest.raises(UnknownFormat, match=said):
        engine_at(place)
    assert all_of(place) == before
    note(place, fact, 2 if fact == "schema" else 1)
    with opened(place) as engine:
        assert engine.ids("t", "") == ["a"]


def test_a_start_on_what_a_newer_program_has_made_is_a_sentence(settings: Settings):
    open_rooms(settings).store.db.close()
    note(settings.store or settings.data, "format", 99)
    with pytest.raises(StartError, match=r"^The .* has format 99, .* Run the newer program, or set STANDIN_\w+ to a"):
        open_rooms(settings)


@pytest.fixture
def of_0_1_0(place: Path | str) -> Path | str:
    """Return where version 0.1.0 has left a store: enough of it to be known by."""
    if isinstance(place, Path):
        (place / "journal.jsonl").write_bytes(b'{"format":2}\n')
        return place
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(place) as connection:
        connection.execute('CREATE TABLE standin_facts (name text COLLATE "C" PRIMARY KEY, fact text NOT NULL)')
        connection.execute("CREATE TABLE standin_organizations (organization text PRIMARY KEY, arrived bigint)")
        connection.execute("INSERT INTO standin_facts VALUES ('schema', '1'), ('format', '2')")
        connection.execute("INSERT INTO standin_organizations VALUES ('org', 1)")
    return place


@pytest.fixture
def database(kind, server_of_databases) -> str | None:
    """Return the URL of a database that has no tables at all."""
    return server_of_databases.new() if kind == "postgres" else None


def test_a_store_of_version_0_1_0_is_refused_with_the_way_to_bring_it_over(of_0_1_0, kind):
    error, way = (Misplaced, IMPORT) if kind == "sqlite" else (UnknownFormat, f"copy it into a folder .* {IMPORT}")
    before = all_of(of_0_1_0) if kind == "postgres" else None
    for _ in range(2):
        with pytest.raises(error, match=rf"version 0\.1\.0.*with that version.* {way}.* import"):
            engine_at(of_0_1_0)
    if kind == "sqlite":
        assert [path.name for path in of_0_1_0.iterdir()] == ["journal.jsonl"]
    else:
        assert all_of(of_0_1_0) == before


def test_a_folder_that_was_a_store_of_version_0_1_0_serves_the_new_one_when_both_are_there(tmp_path):
    """What is left of the old one says nothing about the new one."""
    with opened(tmp_path) as engine:
        put(engine, "a", {})
    (tmp_path / "journal.jsonl").write_bytes(b'{"format":2}\n')
    with opened(tmp_path) as engine:
        assert engine.ids("t", "") == ["a"]
