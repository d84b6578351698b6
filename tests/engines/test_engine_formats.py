"""Stores that this program does not know, on each engine: of a newer program, and of version 0.1.0."""

import re
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from databases import Pages, Rows
from engine_helpers import engine_at, opened, put

from layers_standin.engines.errors import UnknownFormat
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.services import open_services
from layers_standin.settings import Settings, StartError

pytestmark = pytest.mark.postgres


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
    open_services(settings).store.db.close()
    note(settings.store or settings.data, "format", 99)
    with pytest.raises(StartError, match=r"^The .* has format 99, .* Run the newer program, or set STANDIN_\w+ to a"):
        open_services(settings)


def test_a_database_of_version_0_1_0_is_refused_with_the_way_to_bring_it_over(server_of_databases):
    psycopg = pytest.importorskip("psycopg")
    url = server_of_databases.new()
    with psycopg.connect(url) as connection:
        connection.execute('CREATE TABLE standin_facts (name text COLLATE "C" PRIMARY KEY, fact text NOT NULL)')
        connection.execute("CREATE TABLE standin_organizations (organization text PRIMARY KEY, arrived bigint)")
        connection.execute("INSERT INTO standin_facts VALUES ('schema', '1'), ('format', '2')")
        connection.execute("INSERT INTO standin_organizations VALUES ('org', 1)")
    before = all_of(url)
    for _ in range(2):
        with pytest.raises(UnknownFormat) as refused:
            engine_at(url)
        assert re.sub(r"database \S+ at \S+", "database D at H", str(refused.value)) == (
            "The database D at H was written by version 0.1.0: with that version copy it into a folder "
            "(`flask store copy`) and run `flask store export > backup.json`, then import that here into a new one."
        )
        assert all_of(url) == before


def test_a_folder_that_was_a_store_of_version_0_1_0_serves_the_new_one_when_both_are_there(tmp_path):
    """What is left of the old one says nothing about the new one."""
    with opened(tmp_path) as engine:
        put(engine, "a", {})
    (tmp_path / "journal.jsonl").write_bytes(b'{"format":2}\n')
    with opened(tmp_path) as engine:
        assert engine.ids("t", "") == ["a"]
