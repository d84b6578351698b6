"""The pipeline of statements: what is sent arrives as it was, a failure ends where it should, and nobody is held up."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("psycopg")

import psycopg

from layers_standin.engines.postgres.connections import ConnectionPool
from layers_standin.engines.postgres.pipeline import PipelineConnection

pytestmark = pytest.mark.slow

ONE, TWO = ("SELECT 1", {}), ("SELECT 2", {})
FAILS = ("SELECT 1 / %(zero)s::int", {"zero": 0})
WAITS = ("SELECT pg_advisory_lock(%(name)s)::text", {"name": 1})


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool]:
    pool = ConnectionPool(database, patience_seconds=5.0)
    yield pool
    pool.drop_idle()


@pytest.fixture
def connection(pool: ConnectionPool) -> Iterator[PipelineConnection]:
    lease = pool.checkout()
    yield lease.connection
    lease.end()


@pytest.mark.parametrize(
    "text", ["", " ", "NULL", '"', "\\", '\\"', "{}", "{a,b}", ",", "'", "$1", "%", "a\nb\t", "\x01", "é", "\U0001f600"]
)
def test_a_text_arrives_as_it_was_alone_and_in_a_list(connection, text):
    ask = "SELECT %(text)s::text, unnest(%(list)s::text[])"
    assert connection.send([(ask, {"text": text, "list": [text, "x"]})]) == [[(text, text), (text, "x")]]


def test_values_come_with_their_types_and_json_as_its_bytes(connection):
    ask = "SELECT 1, 2::bigint, true, false, NULL::text, NULL::json, CAST(%(json)s AS json), CAST(%(n)s AS bigint)"
    expected = (1, 2, True, False, None, None, b'{"b": 1,  "a": [] }', -5)
    assert connection.send([(ask, {"json": '{"b": 1,  "a": [] }', "n": -5})]) == [[expected]]


@pytest.mark.parametrize("value", ["a\0b", ["a\0b"]])
def test_a_text_that_would_be_cut_short_is_not_sent(connection, value):
    with pytest.raises(psycopg.DataError):
        connection.send([ONE, ("SELECT %(value)s", {"value": value})])
    assert connection.send([ONE]) == [[(1,)]]


def test_after_a_failure_nothing_more_is_executed_and_every_statement_can_be_sent_again(connection):
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.send([ONE, FAILS, TWO])
    assert connection.send([TWO, ONE]) == [[(2,)], [(1,)]]
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.send([FAILS])


def test_a_statement_that_the_server_does_not_understand_can_be_followed_by_others(connection):
    for _ in range(2):
        with pytest.raises(psycopg.errors.SyntaxError):
            connection.send([ONE, ("SELECT FROM WHERE", {}), TWO])
    assert connection.send([ONE, TWO, ONE]) == [[(1,)], [(2,)], [(1,)]]


def test_a_rollback_by_a_cursor_forgets_no_statement(connection):
    for _ in range(20):  # psycopg would prepare it by then
        connection.execute("BEGIN")
        connection.send([ONE])
        connection.execute("ROLLBACK")
    assert connection.send([ONE]) == [[(1,)]]


def test_more_than_fits_into_the_sockets_goes_both_ways(connection):
    texts = ["x" * 100_000 + str(number) for number in range(100)]
    ask = "SELECT %(text)s::text"
    assert connection.send([(ask, {"text": text}) for text in texts]) == [[(text,)] for text in texts]


@pytest.mark.parametrize("before", [[], [("SELECT repeat('x', 20000)", {})]], ids=["at once", "behind a large result"])
def test_who_waits_for_the_server_holds_up_no_other_thread(connection, pool, database, before):
    """This thread gives the lock back: it could not while the other waited with the interpreter in its hand."""
    lease = pool.checkout()
    connection.send([WAITS])
    waiting = threading.Thread(target=lease.connection.send, args=([*before, WAITS],))
    waiting.start()
    with closing(psycopg.connect(database, autocommit=True)) as stranger:
        while stranger.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone() is None:
            assert waiting.is_alive()
    connection.send([("SELECT pg_advisory_unlock_all()::text", {})])
    waiting.join(60)
    assert lease.connection.send([ONE]) == [[(1,)]]
    lease.connection.execute("SELECT pg_advisory_unlock_all()")
    lease.end()


def test_a_connection_that_was_cut_is_closed_and_says_why(connection, database):
    with closing(psycopg.connect(database, autocommit=True)) as stranger:
        stranger.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
    with pytest.raises(psycopg.errors.AdminShutdown):
        connection.send([ONE])
    assert connection.closed
    with pytest.raises(psycopg.OperationalError):
        connection.send([ONE])
