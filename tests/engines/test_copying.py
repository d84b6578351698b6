"""`layers-stand-in store copy`, between files and a real PostgreSQL: whole, resumable, and never over anything else."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from conftest import AVA, AVA_PATH
from databases import Databases
from servers import PATIENCE_SECONDS, ROOT, Server, environment, eventually, run, seeded, serving

pytest.importorskip("psycopg")

from layers_standin.domain.tables import INDEXES
from layers_standin.engines.copying import compare, copy, is_unfinished
from layers_standin.engines.errors import Different, NotEmpty
from layers_standin.engines.postgres.engine import Postgres
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import MARK
from layers_standin.engines.table import Engine

pytestmark = pytest.mark.slow

MANY = 20_000


@pytest.fixture
def place(tmp_path: Path, server_of_databases: Databases) -> Callable[[str], str]:
    """Return a function that makes a place for a store of that kind."""
    return lambda kind: server_of_databases.new() if kind == "database" else str(tmp_path / uuid4().hex)


@contextmanager
def opened(place: str) -> Iterator[Engine]:
    engine: Engine
    if place.startswith("postgresql:"):
        engine = Postgres(place, indexes=INDEXES)
    else:
        engine = SQLite(Path(place), indexes=INDEXES, sync=False)
    with closing(engine):
        yield engine


def fill(engine: Engine, documents: dict[str, dict[str, bytes]], partition: str = "org") -> None:
    with engine.transaction():
        for table, rows in documents.items():
            for doc_id, document in rows.items():
                engine.write(table, partition, doc_id, document)


def content(engine: Engine) -> dict[tuple[str, str], list[tuple[str, bytes | None]]]:
    """Return all there is, in order."""
    return {
        space: [(doc_id, engine.read(*space, doc_id)) for doc_id in engine.ids(*space)]
        for space in sorted(engine.tables())
    }


@contextmanager
def unwatched(what: str, steps: int) -> Iterator[Callable[[int], object]]:
    yield lambda made: None


def copied(source: str, target: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return run(Path("unused"), "layers_standin", "store", "copy", source, target, **settings)


def assert_refused(ended: "subprocess.CompletedProcess[str]", *hints: str) -> None:
    assert (ended.returncode, ended.stdout) == (1, ""), ended
    assert re.match(r"[A-Z/].*\.\n\Z", ended.stderr, re.DOTALL), ended.stderr
    assert "Traceback" not in ended.stderr
    for hint in hints:
        assert hint in ended.stderr


ODD = {
    "history": {
        "b": b'{"z":1,"a":[null,1.0,1e300,9007199254740993]}',
        "a\\0": '{"text":"\\u0000 “é” \U0001f600"}'.encode(),
        "\0": b"{}",
        "": b'{"a":{"b":[]}}',
    },
    "assets": {f"{number}": b"%d" % number for number in range(1200, 0, -1)},
}
KINDS = [
    ("folder", "database"),
    ("database", "folder"),
    ("folder", "folder"),
    ("database", "database"),
]


@pytest.mark.parametrize(("source", "target"), KINDS)
def test_a_copy_is_the_same_to_the_byte_and_in_the_same_order(place, source, target):
    source, target = place(source), place(target)
    with opened(source) as engine:
        fill(engine, ODD)
        fill(engine, {"secrets": {"signing": b'{"key":"k"}'}}, "signing")
        before = content(engine)

    ended = copied(source, target)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "1205 documents copied and compared, 1205 of them written now.\n"
    with opened(target) as engine:
        assert content(engine) == before
        assert not is_unfinished(engine)
    with opened(source) as engine:
        assert content(engine) == before


def test_a_service_goes_on_where_its_store_was_copied_to(tmp_path, server_of_databases):
    with seeded(tmp_path / "old"):
        pass
    url, back = server_of_databases.new(), tmp_path / "new"
    assert copied(str(tmp_path / "old"), url).returncode == 0
    with serving(tmp_path / "old", STANDIN_STORE=url) as server:
        before = server.client().get(AVA_PATH).json()
        assert server.client().patch(AVA_PATH, json={"name": "Moved"}).status_code == 200
        lists = served_lists(server)
    assert copied(url, str(back)).returncode == 0
    with serving(back) as server:
        after = server.client().get(AVA_PATH).json()
        assert (before["name"], after["name"]) == ("Ava Chen", "Moved")
        assert served_lists(server) == lists


def served_lists(server: Server) -> list[list[str]]:
    projects = server.client().get("/v1/projects").json()["items"]
    lists = [server.client().get(f"/v1/projects/{project['id']}/influencers").json() for project in projects]
    return [[found["influencerId"] for found in listed["items"]] for listed in lists]


def test_where_something_else_is_nothing_is_copied(place):
    for kind in ("folder", "database"):
        source, target = place("folder"), place(kind)
        with opened(source) as engine:
            fill(engine, ODD)
        with opened(target) as engine:
            fill(engine, {"projects": {"p": AN_EXISTING}})
            before = content(engine)
        assert_refused(copied(source, target), "there are documents already")
        assert_refused(copied(source, source), "there are documents already")
        with opened(target) as engine:
            assert content(engine) == before


AN_EXISTING = b'{"sortKey":"x","status":"active","customerExternalId":null}'


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_a_copy_that_was_killed_goes_on_where_it_was(place, kind):
    source, target = place("folder"), place(kind)
    with opened(source) as engine:
        fill(engine, {"assets": {f"{number:06d}": b'{"n":%d}' % number for number in range(MANY)}})
        whole = content(engine)

    command = [sys.executable, "-m", "layers_standin", "store", "copy", source, target]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(Path("unused")), start_new_session=True)
    with _quietly_opened(target) as engine:
        eventually(lambda: engine.count("assets", "org") > 0, "some documents to be copied")
        process.send_signal(signal.SIGKILL)
        process.wait()
        half = engine.count("assets", "org")
        assert 0 < half < MANY
        assert is_unfinished(engine)

    other = place("folder")
    with opened(other) as engine:
        fill(engine, ODD)
    assert_refused(copied(other, target), "unfinished copy", str(Path(source).resolve()))
    assert_refused(copied(target, place("folder")), "not finished")
    with opened(source) as engine, engine.transaction():  # life went on
        engine.write("assets", "org", "000000", None)
        engine.write("assets", "org", "000001", b'{"n":"changed"}')
    del whole["assets", "org"][0]
    whole["assets", "org"][0] = ("000001", b'{"n":"changed"}')

    ended = copied(source, target)

    written = int(re.search(r"(\d+) of them written", ended.stdout)[1])
    assert written <= MANY - half + 1
    with opened(target) as engine:
        assert content(engine) == whole
        assert not is_unfinished(engine)


@contextmanager
def _quietly_opened(place: str) -> Iterator[Engine]:
    """Open a store that another process is about to make."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not place.startswith("postgresql:") and not (Path(place) / MARK).exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    with opened(place) as engine:
        yield engine


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_no_service_starts_on_half_a_copy(place, tmp_path, kind):
    target = place(kind)
    with opened(target) as engine:
        fill(engine, {"copies": {"unfinished": b'{"from":"elsewhere"}'}}, "")
    settings = {"STANDIN_STORE": target} if kind == "database" else {}
    folder = tmp_path if kind == "database" else Path(target)
    assert_refused(
        run(folder, "gunicorn", "app:app", **settings), "copy that was not finished", "layers-stand-in store copy"
    )


class Forgetful:
    """An engine that does not keep what it is told."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def write(self, table: str, partition: str, doc_id: str, document: bytes | None) -> None:
        if document is not None and table == "assets":
            document = document.replace(b"17", b"18")
        self._engine.write(table, partition, doc_id, document)


def test_a_difference_is_found_named_and_keeps_the_copy_unfinished(place):
    with opened(place("folder")) as source, opened(place("database")) as target:
        fill(source, ODD)
        with pytest.raises(Different, match=r"documents '1017', '1117', '117' of table 'assets', partition 'org'"):
            copy(source, Forgetful(target), "here", unwatched)
        assert is_unfinished(target)
        assert copy(source, target, "here", unwatched).written == sum("17" in str(number) for number in range(1, 1201))
        assert content(source) == content(target)


@pytest.mark.parametrize("fault", ["missing", "more", "changed", "other table"])
def test_two_stores_that_are_not_equal_are_told_apart(place, fault):
    with opened(place("folder")) as one, opened(place("folder")) as other:
        fill(one, ODD), fill(other, ODD)
        compare(one, other, lambda _: None)
        table, doc_id, document = {
            "missing": ("assets", "7", None),
            "more": ("assets", "x", b"1"),
            "changed": ("assets", "7", b"8"),
            "other table": ("controls", "x", b"1"),
        }[fault]
        fill(other, {table: {doc_id: document}})
        with pytest.raises(Different, match=f"{doc_id!r} of table '{table}'"):
            compare(one, other, lambda _: None)


def test_half_a_copy_of_another_is_not_gone_on_with(place):
    with opened(place("folder")) as one, opened(place("folder")) as target:
        fill(one, ODD)
        fill(target, {"copies": {"unfinished": orjson.dumps({"from": "another"})}}, "")
        with pytest.raises(NotEmpty, match="another"):
            copy(one, target, "one", unwatched)


def test_what_is_no_store_is_a_sentence_without_a_password(tmp_path, place):
    nowhere, full = tmp_path / "nowhere", place("folder")
    with opened(full) as engine:
        fill(engine, ODD)
    assert_refused(copied(str(nowhere), full), f"There is no store in {nowhere}")
    with opened(str(tmp_path / "empty")):
        pass
    assert_refused(copied(str(tmp_path / "empty"), str(nowhere)), "FROM holds no document")
    assert not nowhere.exists()
    for url in ("mysql://me:hunter2@localhost/x", "postgresql://me:hunter2@127.0.0.1:1/x?connect_timeout=1"):
        ended = copied(full, url)
        assert_refused(ended)
        assert "hunter2" not in ended.stderr


def test_a_terminal_sees_how_far_it_is(place):
    source, target = place("folder"), place("folder")
    with opened(source) as engine:
        fill(engine, ODD)
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "layers_standin", "store", "copy", source, target]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(Path("unused")), stderr=terminal, encoding="utf-8")
    os.close(terminal)
    assert process.wait(PATIENCE_SECONDS) == 0
    shown = b""
    with suppress(OSError):  # a terminal ends with an error
        while piece := os.read(screen, 65536):
            shown += piece
    os.close(screen)
    assert re.search(rb"Copying .*100%", shown)
    assert re.search(rb"Checking .*100%", shown)


def test_the_help_says_what_is_not_copied_and_what_to_stop(tmp_path):
    shown = run(tmp_path, "layers_standin", "store", "copy", "--help").stdout
    assert "Stop the service first" in shown
    assert "Pictures and snapshots" in " ".join(shown.split())
    assert AVA not in shown
