"""What only the engine on PostgreSQL has: statements, a schema, and servers, connections and locks that fail it."""

import base64
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from api_helpers import SPRING, UNAVAILABLE, UNCONFIRMED, refused
from conftest import AVA_PATH, DEMO
from engine_helpers import Child, Worker, by_rank, contents, opened, put, save, stored, wait_until
from servers import run

pytest.importorskip("psycopg")

import psycopg

from app import create_app
from layers_standin.domain.keys import public_id_of
from layers_standin.domain.tables import INDEXES
from layers_standin.engines.errors import EngineError, Unavailable, Unconfirmed
from layers_standin.engines.postgres import sql
from layers_standin.engines.postgres.connections import MAX_CONNECTIONS, name_of
from layers_standin.engines.postgres.engine import Postgres
from layers_standin.services import Services
from layers_standin.settings import Settings
from store import Store

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SOON = 0.2  # seconds that a test lets the engine wait
SECRET = "s3cret-s3cret"


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
def stranger(database: str) -> Iterator[psycopg.Connection]:
    """Return a connection of somebody who is no stand-in."""
    with closing(psycopg.connect(database, autocommit=True)) as connection:
        yield connection


def cut(stranger: psycopg.Connection) -> None:
    """Cut all connections that stand-ins have to the database of this one."""
    stranger.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE application_name = 'layers-stand-in' AND datname = current_database()"
    )


def is_waited_for(stranger: psycopg.Connection) -> bool:
    waiting = stranger.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return waiting.fetchone() != (0,)


def count_up(engine: Postgres) -> int:
    with engine.transaction():
        n = (engine.table("t").get(doc_id="counter") or {"n": 0})["n"]
        put(engine, "counter", {"n": n + 1})
    return n + 1


# The statements, as they are written down; what is really sent is looked at in test_statements.py.


FILLED = (
    r"INSERT INTO standin_\w+ \((?:snapshot, )?organization, [^)]*\)\s+"
    r"(?:VALUES \(%\(organization\)s|SELECT (?:%\(snapshot\)s, )?organization)"
)
OF_THE_START = {"facts", "note_fact", "probe"}
OF_SNAPSHOTS = {"snapshots", "insert_snapshot", "rename_snapshot", "delete_snapshot"}
ASK_WHOSE = {"organizations", "snapshot_organizations"}  # each of them is then asked in turn, a statement for one
OF_ONE_OR_THE_NEXT = (
    r"FROM standin_documents (?:WHERE organization [=>] found\.organization| ORDER BY organization"
    r"|WHERE \(organization, kind\) > \(found\.organization|UNION ALL)"
)
ASK_EACH = {"spaces", "find_each", "find_each_first", "count_all"}  # in one statement, for the looks at all of them


def statements() -> dict[str, str]:
    """Return every statement but those of `ADMIN` by its name."""
    own = {name: text for name, text in vars(sql).items() if name.isupper() and isinstance(text, str)}
    shared = {name: text for name, text in vars(sql.SQL).items() if isinstance(text, str)}
    several = {name: texts for name, texts in vars(sql.SQL).items() if isinstance(texts, tuple)}
    assert vars(sql.SQL).keys() - shared.keys() - several.keys() == {
        "escape", "unescape", "count_all", "scan_documents",
    }  # fmt: skip
    counts = {"count_all": sql.SQL.count_all(2), "scan_documents": sql.SQL.scan_documents(2, True)}
    return own | shared | counts | {f"{name} {text}": text for name, texts in several.items() for text in texts}


def test_every_statement_about_documents_carries_the_organization():
    others = OF_THE_START | OF_SNAPSHOTS | ASK_WHOSE | ASK_EACH
    about_documents = {name: text for name, text in statements().items() if name.split()[0] not in others}
    assert len(about_documents) > 20
    for name, statement in about_documents.items():
        looked_at = re.findall(r"\b(?:FROM|UPDATE) standin_\w+", statement)
        filled = re.findall(FILLED, statement)
        assert len(looked_at) == statement.count("organization = %(organization)s"), name
        assert len(filled) == statement.count("INSERT"), name
        assert looked_at or filled, name


def test_what_carries_none_is_for_the_whole_store_and_named_here_with_its_reason():
    for name, text in statements().items():
        if name.split()[0] in OF_THE_START | OF_SNAPSHOTS:
            assert re.findall(r"standin_\w+", text)[0] in ("standin_facts", "standin_snapshots"), name
        if name in ASK_WHOSE:
            assert set(re.findall(r"min\((\w+)\)", text)) == {"organization"}, name
        if name in ASK_EACH:
            assert "JOIN" not in text and len(re.findall(OF_ONE_OR_THE_NEXT, text)) == text.count("documents"), name
    of_connections = {"limit transactions"}
    of_requests = {"begin", "commit", "rollback"}
    of_the_start = {"is new", "one at a time", "wait", "take time"}
    of_snapshots_and_resets = {"begin one moment", "no more writes", "no more snapshots", "try alone", "not alone"}
    assert sql.ADMIN.keys() == of_connections | of_requests | of_the_start | of_snapshots_and_resets
    about_documents = [name for name, text in sql.ADMIN.items() if re.search(r"standin_\w*(documents|entries)", text)]
    assert about_documents == ["no more writes"]  # the lock of a moment that all documents share


def test_every_key_starts_with_the_organization_and_nothing_is_shared(database, stranger):
    Postgres(database).close()
    keys = stranger.execute(
        "SELECT relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = indrelid "
        "JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = indkey[0] WHERE relname LIKE 'standin%'"
    ).fetchall()
    first = "organization"
    assert sorted(keys) == [
        ("standin_documents", first),
        ("standin_facts", "name"),
        ("standin_index_entries", first),
        ("standin_snapshot_documents", first),
        ("standin_snapshot_index_entries", first),
        ("standin_snapshots", "name"),
    ]
    for shared in ("trigger", "sequence", "constraint WHERE contype = 'f'", "extension WHERE extname <> 'plpgsql'"):
        assert stranger.execute(f"SELECT count(*) FROM pg_{shared}").fetchone() == (0,), shared


# The schema


@pytest.mark.slow
def test_many_processes_make_the_tables_of_an_empty_database_once(server_of_databases):
    url = server_of_databases.new()

    def work(tell: Callable[[str], None]) -> None:
        with opened(url) as engine:
            put(engine, str(os.getpid()), {})
            tell("made")

    children = [Child(work) for _ in range(6)]
    assert [(child.finish(), child.status) for child in children] == [(["made"], 0)] * 6
    assert stored(url) == {("t", ""): {str(child.pid): {} for child in children}}


def test_an_organization_whose_first_change_is_none_is_found_when_it_has_documents(database):
    with opened(database, indexes={"t": by_rank}) as engine:
        with engine.transaction():
            engine.write("t", "org", "a", None)
        put(engine, "a", {"n": 1}, partition="org")
        assert engine.tables() == [("t", "org")]
        save(engine, "x", {})
        engine.restore_snapshot("x")
        assert contents(engine) == {("t", "org"): {"a": {"n": 1}}}


# ConnectionPool


def test_a_connection_cut_while_nobody_used_it_is_not_noticed(database, stranger):
    with opened(database) as engine:
        assert count_up(engine) == 1
        cut(stranger)
        assert engine.read("t", "", "counter") == b'{"n":1}'
        cut(stranger)
        assert count_up(engine) == 2
        cut(stranger)
        assert engine.scan("t", "", "none") == []
        cut(stranger)
        save(engine, "x", {})
        cut(stranger)
        assert [saved.name for saved in engine.list_snapshots()] == ["x"]


def test_a_transaction_whose_connection_is_cut_between_two_reads_is_run_again(database, stranger):
    turns = []

    def act() -> None:
        with engine.transaction():
            turns.append(engine.read("t", "", "counter"))
            if len(turns) == 1:
                cut(stranger)
            engine.read("t", "", "other")
            put(engine, "counter", {"n": 2})

    with opened(database) as engine:
        count_up(engine)
        engine.run_transaction(act)
        assert turns == [b'{"n":1}'] * 2
        assert contents(engine) == {("t", ""): {"counter": {"n": 2}}}


def test_where_transactions_stay_impossible_there_is_an_end_of_trying(database, stranger):
    def act() -> None:
        with engine.transaction():
            engine.read("t", "", "counter")
            cut(stranger)
            turns.append(1)
            engine.read("t", "", "other")

    turns: list[int] = []
    with opened(database) as engine:
        with pytest.raises(Unavailable):
            engine.run_transaction(act)
        assert 1 < len(turns) < 20
        assert count_up(engine) == 1


def test_a_transaction_that_is_alone_does_not_go_on_without_its_lock(database, stranger):
    with opened(database) as engine:
        count_up(engine)
        with pytest.raises(Unavailable), engine.transaction(alone=True):
            cut(stranger)  # and with the connection the lock that kept others from writing
            engine.read("t", "", "counter")
        assert count_up(engine) == 2


def test_a_connection_cut_before_the_commit_leaves_open_whether_it_was_done(database, stranger):
    with opened(database) as engine:
        count_up(engine)
        with pytest.raises(Unconfirmed), engine.transaction():
            engine.read("t", "", "counter")
            put(engine, "counter", {"n": 99})
            cut(stranger)
        assert contents(engine) == {("t", ""): {"counter": {"n": 1}}}
        assert count_up(engine) == 2


@pytest.fixture
def cut_once(rooms, settings, clock, stranger):
    """Return a client of a service that loses its connection in the middle of its next transaction."""
    cuts = [cut]

    class CutStore(Store):
        def patch_influencer(self, *args):
            changed = super().patch_influencer(*args)
            if cuts:
                cuts.pop()(stranger)
            return changed

    return create_app(Services(CutStore(rooms.store.db, clock), rooms.media, settings)).test_client()


def test_a_request_whose_connection_is_cut_before_its_last_look_is_answered_as_if_nothing_was(cut_once):
    accepted = cut_once.patch(AVA_PATH, json={"vibe": "x"}, headers=DEMO | {"Idempotency-Key": "once"})
    assert (accepted.status_code, accepted.json["vibe"]) == (200, "x")
    assert cut_once.get(AVA_PATH, headers=DEMO).json == accepted.json


def test_a_request_whose_connection_is_cut_before_its_commit_gets_the_envelope_and_can_be_sent_again(cut_once):
    before = cut_once.get(AVA_PATH, headers=DEMO).data
    assert refused(cut_once.patch(AVA_PATH, json={"vibe": "x"}, headers=DEMO)) == UNCONFIRMED
    assert cut_once.get(AVA_PATH, headers=DEMO).data == before
    assert cut_once.patch(AVA_PATH, json={"vibe": "x"}, headers=DEMO).json["vibe"] == "x"


@contextmanager
def all_lent(engine: Postgres) -> Iterator[None]:
    """Have all connections of this process be in use."""
    enough, busy = threading.Event(), threading.Barrier(MAX_CONNECTIONS + 1)

    def hold() -> None:
        with engine.snapshot_read():
            busy.wait(20)
            enough.wait(60)

    holders = [Worker(hold) for _ in range(MAX_CONNECTIONS)]
    busy.wait(20)
    try:
        yield
    finally:
        enough.set()
        assert [holder.finish().error for holder in holders] == [None] * MAX_CONNECTIONS


def impatient(settings: Settings, kind: type[Postgres] = Postgres, **options: str) -> Postgres:
    """Open a database so that nothing is waited for longer than SOON; options of the server are laid over that."""
    told = quote(" ".join(f"-c {name}={value}" for name, value in options.items()))
    url = f"{settings.store}&options={told}" if options else settings.store
    return kind(url, indexes=INDEXES, patience_seconds=SOON)


def serving(engine: Postgres, rooms: Services, settings: Settings, clock: Callable[[], Any]) -> Callable[..., Any]:
    """Return what sends a request with the demo key to an app on that engine, about AVA unless a path is given."""
    client = create_app(Services(Store(engine, clock), rooms.media, settings)).test_client()
    return lambda path=AVA_PATH, **asked: client.open(path, **{"headers": DEMO} | asked)


def test_when_all_connections_are_in_use_a_request_is_refused_and_does_not_hang(rooms, settings, clock):
    with closing(impatient(settings)) as engine:
        ask = serving(engine, rooms, settings, clock)
        with all_lent(engine):
            assert refused(ask()) == UNAVAILABLE
            assert refused(ask(method="PATCH", json={"vibe": "x"})) == UNAVAILABLE
        assert ask(method="PATCH", json={"vibe": "x"}).json["vibe"] == "x"


def test_a_connection_is_free_again_whatever_happened_to_its_user(database, stranger):
    with closing(Postgres(database, patience_seconds=SOON)) as engine:
        count_up(engine)
        for _ in range(MAX_CONNECTIONS + 1):
            with pytest.raises(ZeroDivisionError), engine.transaction():
                put(engine, "counter", {"n": 99})
                raise ZeroDivisionError
            with pytest.raises(Unconfirmed), engine.transaction():
                count_up(engine)
                cut(stranger)
        assert count_up(engine) == 2


# Time and locks


def test_nothing_is_left_of_an_organization_that_is_dropped_while_a_change_goes_on(store, settings, stranger):
    organization = store.organizations.create("Gone")["id"]
    public_id = public_id_of(store.for_organization(organization).keys.create(["*"], "key"))
    with closing(Postgres(settings.store, indexes=INDEXES)) as engine:
        with store.db.transaction():
            assert store.keys.is_known(public_id)
            dropping = Worker(lambda: Store(engine).organizations.drop(organization))
            wait_until(lambda: is_waited_for(stranger) or not dropping.is_alive())
            store.for_organization(organization).projects.create({"name": "Late", "timezone": "UTC"})
        assert dropping.finish().error is None
    assert [space for space in store.db.tables() if organization in space] == []


def test_all_is_not_replaced_in_the_middle_of_a_transaction_that_has_locked_no_row(database, stranger):
    with opened(database) as engine, opened(database) as other:
        put(engine, "key", {})
        with engine.transaction():
            assert engine.read("t", "", "key", lock=False) == b"{}"
            replacing = Worker(lambda: other.replace_all([]))
            wait_until(lambda: is_waited_for(stranger) or not replacing.is_alive())
            engine.write("t", "", "made", b"{}")
        assert replacing.finish().error is None
        assert contents(engine) == {}


def test_an_upload_that_was_done_is_told_so_although_the_database_is_away_right_after(rooms, settings, clock, stranger):
    class BlockedAfterwards(Postgres):
        def run_transaction(self, act):
            response = super().run_transaction(act)
            stranger.execute("BEGIN")
            stranger.execute("LOCK TABLE standin_documents IN ACCESS EXCLUSIVE MODE")
            return response

    body = {"kind": "video", "mimeType": "video/mp4", "dataBase64": base64.b64encode(b"bytes").decode()}
    with closing(impatient(settings, BlockedAfterwards)) as engine:
        blocked = create_app(rooms._replace(store=Store(engine, clock))).test_client()
        made = blocked.post(f"/v1/projects/{SPRING}/media", json=body, headers=DEMO)
        stranger.execute("ROLLBACK")
        with blocked.get(made.json["url"]) as shown:
            assert (made.status_code, shown.data) == (201, b"bytes")


def test_a_statement_that_takes_too_long_is_refused_and_changes_nothing(rooms, settings, clock, stranger):
    with closing(impatient(settings, lock_timeout="0", statement_timeout="200")) as engine, ExitStack() as held:
        ask = serving(engine, rooms, settings, clock)
        before = ask().data
        held.enter_context(stranger.transaction())
        stranger.execute("LOCK TABLE standin_documents IN ACCESS EXCLUSIVE MODE")
        assert refused(ask()) == UNAVAILABLE
        assert refused(ask(method="PATCH", json={"vibe": "x"})) == UNAVAILABLE
        held.close()
        assert ask().data == before
        assert ask(method="PATCH", json={"vibe": "x"}).json["vibe"] == "x"


def test_a_row_that_a_stranger_locked_is_not_waited_for_without_end_and_others_go_on(rooms, settings, clock, stranger):
    with closing(impatient(settings)) as engine, ExitStack() as held:
        ask = serving(engine, rooms, settings, clock)
        before = ask().data
        held.enter_context(stranger.transaction())
        stranger.execute("SELECT FROM standin_documents WHERE kind = 'influencers' FOR UPDATE")
        for key in ("once", "once"):
            asked = {"json": {"vibe": "x"}, "headers": DEMO | {"Idempotency-Key": key}}
            assert refused(ask(method="PATCH", **asked)) == UNAVAILABLE
        assert ask().data == before
        assert ask("/v1/projects", method="POST", json={"name": "A", "timezone": "UTC"}).status_code == 201
        held.close()
        accepted = ask(method="PATCH", **asked)
        assert (accepted.json["vibe"], accepted.headers.get("Idempotent-Replayed")) == ("x", None)


@pytest.mark.slow
def test_a_host_killed_while_it_holds_a_lock_leaves_it_free_and_nothing_of_its_transaction(database, stranger):
    def work(tell: Callable[[str], None]) -> None:
        with opened(database) as engine, engine.transaction():
            engine.read("t", "", "counter")
            put(engine, "counter", {"n": 99})
            put(engine, "new", {})
            tell("inside")
            signal.pause()

    with opened(database) as engine:
        count_up(engine)
        child = Child(work)
        assert child.next_line() == "inside"
        waiting = Worker(lambda: count_up(engine))
        wait_until(lambda: is_waited_for(stranger))
        os.kill(child.pid, signal.SIGKILL)
        child.finish()
        assert (waiting.finish().error, waiting.result) == (None, 2)
        assert contents(engine) == {("t", ""): {"counter": {"n": 2}}}


@pytest.mark.slow
def test_a_host_that_froze_with_a_lock_keeps_nobody_out_for_ever_and_is_told_when_it_thaws(database):
    def work(tell: Callable[[str], None]) -> None:
        with closing(Postgres(database, patience_seconds=SOON)) as engine:
            try:
                with engine.transaction():
                    engine.read("t", "", "counter")
                    put(engine, "counter", {"n": 99})
                    tell("inside")
                    os.kill(os.getpid(), signal.SIGSTOP)
            except Unconfirmed:
                tell("told")

    def try_to_count() -> bool:
        try:
            return count_up(engine) == 2
        except Unavailable:
            return False

    with closing(Postgres(database, patience_seconds=SOON)) as engine:
        count_up(engine)
        child = Child(work)
        assert child.next_line() == "inside"
        wait_until(try_to_count)
        os.kill(child.pid, signal.SIGCONT)
        assert (child.finish(), child.status) == (["told"], 0)
        assert contents(engine) == {("t", ""): {"counter": {"n": 2}}}


def test_of_two_that_wait_for_each_other_one_is_run_again(database):
    met = threading.Barrier(2)

    def move(engine: Postgres, first: str, second: str) -> None:
        turns = []

        def act() -> None:
            with engine.transaction():
                a = orjson.loads(engine.read("t", "", first) or b"0")
                turns.append(1)
                if len(turns) == 1:
                    met.wait(20)
                b = orjson.loads(engine.read("t", "", second) or b"0")
                engine.write("t", "", first, orjson.dumps(a + 1))
                engine.write("t", "", second, orjson.dumps(b + 1))

        engine.run_transaction(act)

    with opened(database) as engine:
        with engine.transaction():
            engine.write("t", "", "a", b"0")
            engine.write("t", "", "b", b"0")
        movers = [Worker(partial(move, engine, *names)) for names in (("a", "b"), ("b", "a"))]
        assert [mover.finish().error for mover in movers] == [None, None]
        assert (engine.read("t", "", "a"), engine.read("t", "", "b")) == (b"2", b"2")


def test_of_two_that_put_the_same_new_document_one_finds_that_of_the_other(database):
    met = threading.Barrier(2)

    def put_once(engine: Postgres) -> bytes | None:
        turns = []

        def act() -> bytes | None:
            with engine.transaction():
                found = engine.read("t", "", "new")
                turns.append(1)
                if len(turns) == 1:
                    met.wait(20)
                if found is None:
                    engine.write("t", "", "new", b'{"by":"one"}')
                return found

        return engine.run_transaction(act)

    with opened(database) as engine:
        both = [Worker(partial(put_once, engine)) for _ in range(2)]
        assert [each.finish().error for each in both] == [None, None]
        assert {each.result for each in both} == {None, b'{"by":"one"}'}


# What nobody may read


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"postgresql://standin:{SECRET}@127.0.0.1:1/db", "The database db at 127.0.0.1 does not serve"),
        (f"postgresql://standin:{SECRET}@127.0.0.1:1/db?nonsense=1", "The database of STANDIN_STORE does not serve"),
        (f"postgresql://standin:{SECRET}%zz@127.0.0.1:1/db", "The database of STANDIN_STORE does not serve"),
        (f"postgresql://standin:not/{SECRET}@127.0.0.1:1/db", "The database of STANDIN_STORE does not serve"),
        (f"postgresql://127.0.0.1:1/db?user=standin&password={SECRET}", "The database db at 127.0.0.1 does not serve"),
    ],
)
def test_who_logs_in_and_how_is_told_to_nobody(tmp_path, caplog, url, said):
    with pytest.raises(EngineError) as error:
        Postgres(url)
    for command in (["gunicorn", "app:app"], ["layers_standin", "store", "copy", url, str(tmp_path / "there")]):
        ended = run(tmp_path / "store", *command, STANDIN_STORE=url)
        assert ended.returncode != 0
        assert said in ended.stderr
        for text in (ended.stdout, ended.stderr, str(error.value), caplog.text):
            assert SECRET not in text
            assert "standin:" not in text


@pytest.mark.parametrize(
    ("url", "said"), [("postgresql:///db", "db at 127.0.0.2"), ("postgresql://127.0.0.1/db", "db at 127.0.0.1")]
)
def test_a_database_is_named_with_the_host_that_is_asked_for_it(monkeypatch, url, said):
    monkeypatch.setenv("PGHOST", "127.0.0.2")
    assert name_of(url) == said


def test_a_password_is_in_nothing_that_is_said_while_the_database_is_away(rooms, settings, clock, stranger, caplog):
    named = settings.store.replace("postgresql://?", f"postgresql://?password={SECRET}&")
    with closing(Postgres(named, indexes=INDEXES, patience_seconds=SOON)) as engine, ExitStack() as held:
        ask = serving(engine, rooms, settings, clock)
        held.enter_context(stranger.transaction())
        stranger.execute("LOCK TABLE standin_documents IN ACCESS EXCLUSIVE MODE")
        reply = ask(method="PATCH", json={"vibe": SECRET})
        assert refused(reply) == UNAVAILABLE
    assert "LockNotAvailable" in caplog.text
    assert SECRET not in caplog.text
