"""A pool of connections to a PostgreSQL server: a few for each process, opened on demand."""

import logging
import os
import threading
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from layers_standin.engines.postgres import sql
from layers_standin.engines.postgres.pipeline import PipelineConnection

MAX_CONNECTIONS = 8

# Our own errors say the same, without the parts that quote data or credentials.
logging.getLogger("psycopg").setLevel(logging.ERROR)


class NoneFree(Exception):
    """All connections of this process stayed in use for `patience_seconds`."""


class Lease:
    """A connection checked out of the pool."""

    def __init__(self, connections: "ConnectionPool") -> None:
        self._connections = connections
        self._owner = os.getpid()
        self.is_pinned = False  # it holds the lock of `exclusive`
        self.connection = connections._take()

    @property
    def is_lost(self) -> bool:
        return self.connection.closed

    def renew(self) -> None:
        """Replace a lost connection, and close the idle ones, which are probably lost too. Raises psycopg.Error."""
        self._connections.drop_idle()
        if self.is_pinned:
            raise psycopg.OperationalError("the lock is lost with its connection")
        self.connection = self._connections._connect()

    def end(self) -> None:
        if self._owner == os.getpid():
            self._connections._give_back(self.connection)


class ConnectionPool:
    """The connections of this process: a new one is opened when none is idle, and `limit` are out at one time.

    It has no thread of its own. So a fork inherits only connections, which the child must leave alone, and a server
    that goes or comes back is noticed at once. (psycopg's own pool lets each caller wait for its patience while the
    server is away, and tries again more and more rarely.)
    """

    def __init__(self, url: str, patience_seconds: float, limit: int = MAX_CONNECTIONS) -> None:
        self._url = url
        self._patience_seconds = patience_seconds
        self._limit = limit
        self._inherited: list[Any] = []
        self._starting = threading.Lock()
        self._start()

    def checkout(self) -> Lease:
        """Return a lease; the caller ends it. Raises NoneFree, psycopg.Error."""
        if self._owner != os.getpid():
            with self._starting:
                if self._owner != os.getpid():
                    self._start()
        room = self._room
        if not room.acquire(timeout=self._patience_seconds):
            raise NoneFree
        try:
            return Lease(self)
        except BaseException:
            room.release()
            raise

    def drop_idle(self) -> None:
        """Close the idle connections of this process."""
        while self._owner == os.getpid() and (connection := self._idle_one()) is not None:
            _close(connection)

    def _start(self) -> None:
        self._inherited.append(getattr(self, "_idle", None))  # kept, for they are in use on the other side of the fork
        self._idle: list[PipelineConnection] = []
        self._room = threading.BoundedSemaphore(self._limit)
        self._owner = os.getpid()

    def _take(self) -> PipelineConnection:
        return self._idle_one() or self._connect()

    def _idle_one(self) -> PipelineConnection | None:
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _give_back(self, connection: PipelineConnection) -> None:
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append(connection)
        else:  # lost, or in a transaction that has no owner any more
            _close(connection)
        self._room.release()

    def _connect(self) -> PipelineConnection:
        # Its cursors prepare nothing: after a ROLLBACK they would deallocate the pipeline's statements with their own.
        connection = PipelineConnection.connect(autocommit=True, prepare_threshold=None, **self._parameters())
        # A host that froze keeps nobody out for longer. The other limit on that, below, is not enough: the last message
        # of each pipeline makes the server forget it. Servers before PostgreSQL 17 have only that one.
        limit = {"milliseconds": str(12 * round(self._patience_seconds * 1000))}
        connection.execute(sql.ADMIN["limit transactions"], limit)
        return connection

    def _parameters(self) -> dict[str, Any]:
        """Return the connection's parameters: the URL's, and limits for every wait that it sets none for."""
        patience = round(self._patience_seconds * 1000)
        limits = {
            "lock_timeout": patience,
            "statement_timeout": 2 * patience,
            "idle_in_transaction_session_timeout": 6 * patience,
        }
        given = conninfo_to_dict(self._url)
        options = "".join(f"-c {name}={milliseconds} " for name, milliseconds in limits.items())
        ours = {
            "connect_timeout": max(1, round(self._patience_seconds)),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 2 * patience,
            "application_name": "layers-stand-in",
        }
        return ours | given | {"client_encoding": "utf8", "options": f"{options}{given.get('options') or ''}"}


def name_of(url: str) -> str:
    """Return a database's name and host from its URL, without credentials."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return "of STANDIN_STORE"
    host = parts.get("host") or os.environ.get("PGHOST", "localhost")
    name = f"{parts.get('dbname', 'postgres')} at {host}"
    # A `/` or `@` of a password that should have been %2F or %40 ends it too early: the rest is taken for these.
    return "of STANDIN_STORE" if "@" in name else name


def reason(error: BaseException) -> str:
    """Return the class and SQLSTATE of an error: its text may quote data or credentials."""
    state = getattr(error, "sqlstate", None)
    return type(error).__name__ if state is None else f"{type(error).__name__} {state}"


def _close(connection: PipelineConnection) -> None:
    with suppress(psycopg.Error):
        connection.close()
