"""`layers-stand-in store verify` finds every kind of damage, names its place and the remedy, and changes nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest
from api_helpers import MEDIA
from conftest import AVA, AVA_PATH, DEMO
from servers import PATIENCE_SECONDS, ROOT, STAYS_OPEN, environment, run, serving

from app import create_app
from layers_standin.engines.sqlite.connections import Connections
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.services import open_services
from layers_standin.settings import Settings

pytestmark = pytest.mark.slow

RESTORE = "Put a copy of the whole data folder in its place, or set STANDIN_DATA to a new folder."
COPY = (
    "`layers-stand-in store copy` into a new folder makes the index entries anew; its folder media is to be copied too."
)
PICTURES = "Put the missing and damaged pictures back from a copy of the data folder."
SNAPSHOTS = "Delete the snapshot, and save it anew."
FINISH = "Run `layers-stand-in store copy` once more, to its end."

AWAITED = b"bytes that are no asset yet"
PAGE_BYTES = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a store with the seed, a snapshot of it named `before`, a change, and a half upload."""
    folder = tmp_path_factory.mktemp("whole") / "store"
    rooms = open_services(Settings(data=folder, sync=False))
    with create_app(rooms).test_client() as client:
        assert client.post("/_standin/snapshots", json={"name": "before"}).status_code == 201
        assert client.patch(AVA_PATH, json={"vibe": "after the snapshot"}, headers=DEMO).status_code == 200
        sent = client.post(f"{MEDIA}/presign", json={"kind": "image", "mimeType": "image/png"}, headers=DEMO).json
        assert client.put(sent["uploadUrl"], data=AWAITED, headers=sent["headers"]).status_code == 200
    rooms.store.db.close()
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "store")


def connected(folder: Path) -> apsw.Connection:
    """Return a connection as the service has them: the files beside the database stay when it is closed."""
    return Connections(folder / DATABASE, sync=False, patience_seconds=PATIENCE_SECONDS).connect()


def edit(folder: Path, statement: str, *parameters: Any) -> None:
    """Change the database by one statement that changes one row."""
    with closing(connected(folder)) as connection:
        connection.execute(statement, parameters)
        assert connection.changes() == 1


def look(folder: Path, statement: str, *parameters: Any) -> list[Any]:
    with closing(connected(folder)) as connection:
        return connection.execute(statement, parameters).fetchall()


def only(folder: Path, statement: str, *parameters: Any) -> Any:
    """Return the one value that a statement finds."""
    ((found,),) = look(folder, statement, *parameters)
    return found


def organization_of(folder: Path) -> str:
    return str(only(folder, "SELECT id FROM documents WHERE kind = 'organizations'"))


def snapshot_of(folder: Path) -> str:
    return str(only(folder, "SELECT DISTINCT snapshot FROM snapshot_documents"))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the one that processes share, which holds nothing that lasts."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, "layers_standin", "store", "verify")


def report(folder: Path) -> str:
    """Return what is printed of a store in which nothing is wrong."""
    served, kept = "documents", "snapshot_documents"
    documents = sum(only(folder, f"SELECT count(*) FROM {table}") for table in (served, kept))
    indexes = ("index_entries", "snapshot_index_entries")
    entries = sum(only(folder, f"SELECT count(*) FROM {table}") for table in indexes)
    pictures = sum(only(folder, f"SELECT count(*) FROM {table} WHERE kind = 'assets'") for table in (served, kept)) + 1
    pages = (folder / DATABASE).stat().st_size // PAGE_BYTES
    assert documents > entries > pictures > 16
    return (
        f"{folder / DATABASE}: {documents} documents, {entries} index entries, {pictures} pictures, 1 snapshot, "
        f"{pages} pages, no fault.\n"
    )


def test_a_good_store_is_counted_and_nothing_is_changed(folder):
    before, expected = contents(folder), report(folder)
    ended = verify(folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, "")
    assert contents(folder) == before


def test_a_running_service_is_verified_and_writes_meanwhile(folder):
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="1") as server:
        client = server.client()
        for number in range(20):
            client.patch(AVA_PATH, json={"vibe": f"number {number}"}).raise_for_status()
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-m", "layers_standin", "store", "verify"],
                cwd=ROOT,
                env=environment(folder),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            while process.poll() is None:
                client.patch(AVA_PATH, json={"vibe": "meanwhile"}).raise_for_status()
            said = process.communicate(timeout=PATIENCE_SECONDS)[0]
            assert (process.returncode, said.endswith(", no fault.\n")) == (0, True), said
        assert client.get(AVA_PATH).json()["vibe"] == "meanwhile"


# What it finds.


class Case:
    """A store that is being spoiled: what is to be said of it is noted meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / DATABASE
        self.organization = organization_of(folder)

    def at(self, table: str, doc_id: str, organization: str | None = None, snapshot: str | None = None) -> str:
        kept = f", snapshot {snapshot}" if snapshot else ""
        return f"{self.database}{kept}, table {table}, organization {organization or self.organization}, id {doc_id}"

    def picture(self, kept: bool = False) -> tuple[str, Path]:
        """Return the id of a picture of the seed, and where its bytes are."""
        asset = only(self.folder, "SELECT min(id) FROM documents WHERE kind = 'assets'")
        root = self.folder / "snapshots" / f"{snapshot_of(self.folder)}.media" if kept else self.folder / "media"
        return asset, root / self.organization / asset

    def entry(self, table: str = "index_entries") -> tuple[str, str]:
        """Return the name and place of an index entry of AVA."""
        ((group, place),) = look(self.folder, f"SELECT index_name, sort_key FROM {table} WHERE id = ?", AVA)
        return group, place


Said = tuple[list[str], list[str]]  # the lines of faults, and the ways out

AVA_IS = f"kind = 'influencers' AND id = '{AVA}'"


def no_json(case: Case) -> Said:
    edit(case.folder, f"UPDATE documents SET document = '{{\"name\": ' WHERE {AVA_IS}")
    what = "it cannot be read (unexpected end of data: line 1 column 10 (char 9))"
    return [f"{case.at('influencers', AVA)}: {what}."], [RESTORE]


def no_object(case: Case) -> Said:
    edit(case.folder, f"UPDATE documents SET document = '[]' WHERE {AVA_IS}")
    return [f"{case.at('influencers', AVA)}: it cannot be read (it is no JSON object)."], [RESTORE]


def no_text(case: Case) -> Said:
    edit(case.folder, f"UPDATE documents SET document = x'ff' WHERE {AVA_IS}")
    what = "it cannot be read (str is not valid UTF-8: surrogates not allowed: line 1 column 1 (char 0))"
    return [f"{case.at('influencers', AVA)}: {what}."], [RESTORE]


def without_its_fields(case: Case) -> Said:
    edit(case.folder, "UPDATE documents SET document = '{}' WHERE kind = 'organizations'")
    return [f"{case.at('organizations', case.organization)}: it does not tell whose it is (KeyError('id'))."], [RESTORE]


def under_another_id(case: Case) -> Said:
    edit(case.folder, "UPDATE documents SET id = 'another' WHERE kind = 'organizations'")
    what = f"by its own fields it is of organization {case.organization}, id {case.organization}"
    return [f"{case.at('organizations', 'another')}: {what}."], [RESTORE]


def of_another_organization(case: Case) -> Said:
    edit(case.folder, "UPDATE documents SET organization = 'another' WHERE kind = 'api_key_ids'")
    doc_id = only(case.folder, "SELECT id FROM documents WHERE kind = 'api_key_ids'")
    what = f"by its own fields it is of organization {case.organization}, id {doc_id}"
    return [f"{case.at('api_key_ids', doc_id, 'another')}: {what}."], [RESTORE]


def in_no_table(case: Case) -> Said:
    edit(case.folder, "UPDATE documents SET kind = 'unicorns' WHERE kind = 'organizations'")
    return [f"{case.at('unicorns', case.organization)}: there is no such table."], [RESTORE]


def half_a_copy(case: Case) -> Said:
    statement = "INSERT INTO documents VALUES ('', 'copies', 'unfinished', 1, '{\"from\": \"elsewhere\"}')"
    edit(case.folder, statement)
    return [f"{case.database}: it is a copy that was not finished."], [FINISH]


def entry_gone(case: Case) -> Said:
    group, place = case.entry()
    edit(case.folder, "DELETE FROM index_entries WHERE id = ?", AVA)
    return [f"{case.at('influencers', AVA)}: the index {group} has no entry of it at {place}."], [COPY]


def entry_moved(case: Case) -> Said:
    group, place = case.entry()
    edit(case.folder, "UPDATE index_entries SET sort_key = 'elsewhere' WHERE id = ?", AVA)
    at = case.at("influencers", AVA)
    missing = f"{at}: the index {group} has no entry of it at {place}."
    return [missing, f"{at}: the index {group} has an entry of it at elsewhere for no reason."], [COPY]


def entry_of_nothing(case: Case) -> Said:
    edit(case.folder, "INSERT INTO index_entries VALUES (?, 'projects', 'all', 'a place', 'nobody')", case.organization)
    return [f"{case.at('projects', 'nobody')}: the index all has an entry of it at a place for no reason."], [COPY]


def picture_gone(case: Case) -> Said:
    asset, path = case.picture()
    path.unlink()
    what = f"its file {case.organization}/{asset} is not as it was stored, there are no such bytes"
    return [f"{case.at('assets', asset)}: {what}."], [PICTURES]


def picture_cut(case: Case) -> Said:
    asset, path = case.picture()
    size = path.stat().st_size
    rewritten(path, path.read_bytes()[:-1])
    what = f"its file {case.organization}/{asset} is not as it was stored, there are {size - 1} bytes instead of {size}"
    return [f"{case.at('assets', asset)}: {what}."], [PICTURES]


def picture_flipped(case: Case) -> Said:
    asset, path = case.picture()
    before = path.read_bytes()
    after = before[:-1] + bytes([before[-1] ^ 1])
    rewritten(path, after)
    what = f"the bytes have the SHA-256 {sha256(after).hexdigest()} instead of {sha256(before).hexdigest()}"
    what = f"its file {case.organization}/{asset} is not as it was stored, {what}"
    return [f"{case.at('assets', asset)}: {what}."], [PICTURES]


def rewritten(path: Path, data: bytes) -> None:
    """Write a file anew: the same bytes may have another name, in a snapshot."""
    path.unlink()
    path.write_bytes(data)


def untold_picture(case: Case) -> Said:
    asset, _ = case.picture()
    statement = "UPDATE documents SET document = json_remove(document, '$.sizeBytes') WHERE kind = 'assets' AND id = ?"
    edit(case.folder, statement, asset)
    return [f"{case.at('assets', asset)}: it does not tell which bytes it has (KeyError('sizeBytes'))."], [PICTURES]


def awaited_bytes_gone(case: Case) -> Said:
    ((upload, document),) = look(case.folder, "SELECT id, document FROM documents WHERE kind = 'uploads'")
    file = orjson.loads(document)["received"]["file"]
    (case.folder / "media" / case.organization / file).unlink()
    what = f"its file {case.organization}/{file} is not as it was stored, there are no such bytes"
    return [f"{case.at('uploads', upload)}: {what}."], [PICTURES]


def snapshot_picture_gone(case: Case) -> Said:
    asset, path = case.picture(kept=True)
    path.unlink()
    what = f"its file {case.organization}/{asset} is not as it was stored, there are no such bytes"
    return [f"{case.at('assets', asset, snapshot='before')}: {what}."], [SNAPSHOTS]


def snapshot_entry_gone(case: Case) -> Said:
    group, place = case.entry("snapshot_index_entries")
    edit(case.folder, "DELETE FROM snapshot_index_entries WHERE id = ?", AVA)
    what = f"the index {group} has no entry of it at {place}"
    return [f"{case.at('influencers', AVA, snapshot='before')}: {what}."], [SNAPSHOTS]


def snapshot_document_gone(case: Case) -> Said:
    number = only(case.folder, "SELECT count(*) FROM snapshot_documents")
    edit(case.folder, "DELETE FROM snapshot_documents WHERE kind = 'organizations'")
    what = f"it has {number - 1} documents instead of {number}"
    return [f"{case.database}, snapshot before: {what}."], [SNAPSHOTS]


def snapshot_document_broken(case: Case) -> Said:
    edit(case.folder, "UPDATE snapshot_documents SET document = '7' WHERE kind = 'organizations'")
    at = case.at("organizations", case.organization, snapshot="before")
    return [f"{at}: it cannot be read (it is no JSON object)."], [SNAPSHOTS]


def snapshot_untold(case: Case) -> Said:
    edit(case.folder, 'UPDATE snapshots SET facts = \'{"id": "before"}\'')
    snapshot = snapshot_of(case.folder)
    untold = f"{case.database}, snapshot {snapshot}: nothing is told of it."
    return [f"{case.database}, snapshot before: its facts are damaged (KeyError('documents')).", untold], [
        SNAPSHOTS,
        RESTORE,
    ]


FAULTS = [
    no_json, no_object, no_text, without_its_fields, under_another_id, of_another_organization, in_no_table,
    half_a_copy, entry_gone, entry_moved, entry_of_nothing, picture_gone, picture_cut, picture_flipped, untold_picture,
    awaited_bytes_gone, snapshot_picture_gone, snapshot_entry_gone, snapshot_document_gone, snapshot_document_broken,
    snapshot_untold,
]  # fmt: skip


@pytest.mark.parametrize("spoil", FAULTS)
def test_a_fault_is_told_with_its_place_and_the_way_out(folder, spoil: Callable[[Case], Said]):
    faults, ways_out = spoil(Case(folder))
    before = contents(folder)
    ended = verify(folder)
    number = f"{len(faults)} fault{'s' if len(faults) > 1 else ''}"
    assert ended.stderr.splitlines() == [*faults, " ".join([f"The store is damaged: {number}.", *ways_out])]
    assert (ended.returncode, ended.stdout) == (1, "")
    assert contents(folder) == before


# Damage of the files themselves.


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def assert_damaged(folder: Path, *first: str) -> list[str]:
    """Check the beginning and the end of what is said of a damaged store; return what is between."""
    before = contents(folder)
    ended = verify(folder)
    *said, last = ended.stderr.splitlines()
    assert said[: len(first)] == list(first)
    assert last == f"The store is damaged: {len(said)} fault{'s' if len(said) > 1 else ''}. {RESTORE}"
    assert (ended.returncode, ended.stdout) == (1, "")
    assert contents(folder) == before
    return said[len(first) :]


def test_a_flipped_bit_is_told_with_its_page_and_every_document_on_that(folder):
    database = folder / DATABASE
    place = database.read_bytes().rindex(b"after the snapshot")
    flip(database, place)
    page = place // PAGE_BYTES
    where = f"{database}, page {page + 1} of documents, bytes {page * PAGE_BYTES} to {page * PAGE_BYTES + 4095}"
    more = assert_damaged(folder, f"{where}: they do not match their checksum.")
    structure = [line for line in more if line.startswith(f"{database}: ")]  # as far as SQLite gets
    unreadable = [line for line in more if line.endswith(": it cannot be read (disk I/O error).")]
    assert structure and unreadable and more == structure + unreadable
    assert all(line.startswith(f"{database}, table ") for line in unreadable)


@pytest.mark.parametrize("page", range(0, 15, 2))
def test_no_page_is_too_far_from_everything_to_be_looked_at(folder, page):
    database = folder / DATABASE
    flip(database, page * PAGE_BYTES + 2000)
    ended = verify(folder)
    first = ended.stderr.splitlines()[0]
    numbers = f"bytes {page * PAGE_BYTES} to {page * PAGE_BYTES + 4095}: they do not match their checksum."
    assert first.startswith(f"{database}, page {page + 1}") and first.endswith(numbers)
    assert ended.returncode == 1


def test_two_hundred_damaged_pages_are_not_two_hundred_lines(folder):
    with closing(connected(folder)) as connection:
        padding = "INSERT INTO documents VALUES ('o', 'organizations', ?, 1, ?)"
        connection.executemany(padding, ((str(n), orjson.dumps({"id": "x" * 5000}).decode()) for n in range(150)))
    database = folder / DATABASE
    data = bytearray(database.read_bytes())
    for place in range(PAGE_BYTES + 2000, len(data), PAGE_BYTES):
        data[place] ^= 1
    database.write_bytes(data)
    said = verify(folder).stderr.splitlines()
    assert sum("they do not match their checksum" in line for line in said) == 100
    assert f"{database}: more pages than these do not match their checksums." in said


def test_what_is_no_database_is_told_so(folder):
    (folder / DATABASE).write_bytes(b"rubbish" * 1000)
    assert_damaged(
        folder,
        f"{folder / DATABASE}: it does not begin like a database.",
        f"{folder / DATABASE}: it cannot be read to its end (file is not a database).",
    )


def test_a_database_that_was_cut_is_told_so(folder):
    os.truncate(folder / DATABASE, (folder / DATABASE).stat().st_size - 3 * PAGE_BYTES)
    assert assert_damaged(folder) != []


@pytest.fixture
def logged(folder: Path) -> Path:
    """Return the log of a service that was killed after some changes."""
    with serving(folder, WEB_CONCURRENCY="1") as server:
        for number in range(5):
            server.client().patch(AVA_PATH, json={"vibe": f"number {number}"}).raise_for_status()
    log = folder / f"{DATABASE}-wal"
    assert log.stat().st_size > 10 * PAGE_BYTES
    return log


def test_changes_in_the_log_are_looked_at_too(folder, logged):
    before = contents(folder)
    ended = verify(folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert contents(folder) == before


def test_a_flipped_bit_in_the_log_before_other_changes_is_told(folder, logged):
    flip(logged, 32 + 24 + 100)
    assert_damaged(folder, f"{logged}: acknowledged changes stand behind bytes that are not whole.")


def test_a_log_that_ends_early_is_no_fault_for_its_last_change_was_not_acknowledged(folder, logged):
    os.truncate(logged, logged.stat().st_size - 100)
    assert verify(folder).returncode == 0


def test_a_page_that_the_log_has_anew_may_be_damaged_in_the_file(folder, logged):
    newest = max(
        int.from_bytes(logged.read_bytes()[at : at + 4], "big")
        for at in range(32, logged.stat().st_size - 24, 24 + PAGE_BYTES)
        if int.from_bytes(logged.read_bytes()[at : at + 4], "big") * PAGE_BYTES <= (folder / DATABASE).stat().st_size
    )
    flip(folder / DATABASE, newest * PAGE_BYTES - 2000)
    assert verify(folder).returncode == 0


def test_what_only_the_structure_shows_is_told_in_the_words_of_sqlite(folder):
    declare(folder, "fact text NOT NULL", "fact text")
    edit(folder, "INSERT INTO facts VALUES ('empty', NULL)")
    declare(folder, "fact text", "fact text NOT NULL")
    assert assert_damaged(folder, f"{folder / DATABASE}: NULL value in facts.fact.") == []


def declare(folder: Path, old: str, new: str) -> None:
    """Change what the database says of its table `facts`, without a look at what is in it."""
    with closing(connected(folder)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
        connection.execute("PRAGMA writable_schema = ON")
        change = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'facts'"
        connection.execute(change, (old, new))
        assert connection.changes() == 1


# Where nothing can be written.

_READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$2" && shift 2 && exec "$@"
"""


def read_only(folder: Path) -> subprocess.CompletedProcess[str]:
    """Verify a store on a mount that takes no writes."""
    prefix = ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", str(folder), str(ROOT)]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:  # noqa: PLW1510
        pytest.skip("this machine lets nobody here mount a folder")
    return subprocess.run(
        [*prefix, sys.executable, "-m", "layers_standin", "store", "verify"],
        env=environment(folder) | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("gone", [[], ["-shm"], ["-wal", "-shm"]], ids=["as it was", "no shm", "neither"])
def test_a_good_store_is_verified_on_a_read_only_mount(folder, gone):
    expected = report(folder)
    for ending in gone:
        (folder / f"{DATABASE}{ending}").unlink()
    names = sorted(path.name for path in folder.iterdir())
    ended = read_only(folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, "")
    assert sorted(path.name for path in folder.iterdir()) == names


def test_faults_are_found_on_a_read_only_mount(folder):
    (line,), (way_out,) = entry_gone(Case(folder))
    ended = read_only(folder)
    assert (ended.returncode, ended.stderr) == (1, f"{line}\nThe store is damaged: 1 fault. {way_out}\n")


def test_a_log_with_changes_is_read_on_a_read_only_mount(folder, logged):
    ended = read_only(folder)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_changes_that_only_a_writer_could_read_are_not_passed_over(folder, logged):
    (folder / f"{DATABASE}-shm").unlink()
    ended = read_only(folder)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"The database {folder / DATABASE} cannot be opened (unable to open database file): beside it lie changes that "
        "only a process which may write can read; copy the whole folder to a place that can be written, and verify the "
        "copy.\n"
    )
