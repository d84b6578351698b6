"""The folder of a store: its database file, and the mark with the store's id."""

import os
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

import apsw

from layers_standin.engines.disk import Disk, make_private_folder, open_private
from layers_standin.engines.durable import DurableFiles
from layers_standin.engines.errors import Damaged, Misplaced, UnknownFormat
from layers_standin.engines.sql import Statements, create
from layers_standin.engines.sqlite.connections import CHECKSUM_BYTES, Connections
from layers_standin.engines.sqlite.wal import has_lost_commits

SQL = Statements()
DATABASE = "store.sqlite3"
MARK = "store.id"
FORMAT = 1

_OLD_JOURNAL = "journal.jsonl"
_BELONGINGS = ("media", "snapshots")
_TEXT = "text NOT NULL"


def open_folder(folder: Path, connections: Connections, disk: Disk) -> None:
    """Make a folder ready to be served: create its database if it is empty, refuse everything doubtful.

    Raises OSError, apsw.Error; Misplaced, Damaged, UnknownFormat, each with a remedy.
    """
    database, mark = folder / DATABASE, folder / MARK
    marked = marked_for(folder)
    _refuse_remains(folder)
    if not database.exists():
        make_private_folder(folder)
        with suppress(FileExistsError):  # another thread may have locks on it by now, which a close would take away
            os.close(open_private(database, os.O_EXCL))
    with closing(connections.connect()) as connection, closing(connections.connect()) as other:
        # A refusal leaves the log as it is: written back and emptied, it would be found in order the next time.
        _write_back_on_close(False, connection, other)
        found = facts_of(connection, database)
        if not found and marked is None:
            _create(connection, folder)
            found = facts_of(connection, database)
        refuse_other(found, marked, database)
        if has_lost_commits(connection, other):
            raise Damaged(
                database.with_name(database.name + "-wal"), "acknowledged changes stand behind bytes that are not whole"
            )
        _write_back_on_close(True, connection, other)
    if marked is None:
        DurableFiles(disk).write(mark, [f"{found['store']}\n".encode()])


def check_folder(folder: Path) -> None:
    """Raises Misplaced when a folder has no database, OSError when that cannot be found out."""
    _refuse_remains(folder)
    if not _has_content(folder):
        raise Misplaced(f"There is no store in {folder}.")


def marked_for(folder: Path) -> str | None:
    """Return the id of the store that a folder was made for. Raises OSError."""
    mark = folder / MARK
    return mark.read_text("utf-8", errors="replace").strip() if mark.is_file() else None


def _refuse_remains(folder: Path) -> None:
    """Raises Misplaced or Damaged when a folder without a database has other files of a store."""
    if _has_content(folder):
        return
    is_old, remains = (folder / _OLD_JOURNAL).exists(), _remains(folder)
    log = folder / f"{DATABASE}-wal"
    if log.is_file() and log.stat().st_size > 0:
        remains.append(log.name)
    if _has_content(folder):  # another process has made the store meanwhile
        return
    if is_old:
        raise Misplaced(
            f"The folder {folder} holds a store of version 0.1.0, which kept a journal: with that version run "
            "`flask store export > backup.json`, then set STANDIN_DATA to a new folder and run "
            "`layers-stand-in store import backup.json`."
        )
    if remains and (folder / DATABASE).exists():
        raise Damaged(folder / DATABASE, f"it is empty, and beside it there is {', '.join(remains)} of a store")
    if remains:
        raise Misplaced(
            f"The folder {folder} holds {', '.join(remains)} of a store, but its database {DATABASE} is missing: put "
            "it back, or set STANDIN_DATA to a new folder."
        )


def _write_back_on_close(is_wanted: bool, *connections: apsw.Connection) -> None:
    for connection in connections:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(not is_wanted))


def _has_content(folder: Path) -> bool:
    """Whether the database exists and is not empty. SQLite deletes the log of an empty one, with its content."""
    try:
        return (folder / DATABASE).stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def _remains(folder: Path) -> list[str]:
    """Return the names of the files in a folder that are made only after the tables of its database."""
    rests = [name for name in _BELONGINGS if (folder / name).is_dir() and any((folder / name).iterdir())]
    return rests + ([MARK] if (folder / MARK).exists() else [])


def facts_of(connection: apsw.Connection, database: Path) -> dict[str, str]:
    """Return {"store", "format"} of the database, {} when it is new. Raises Damaged."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        return {}
    if "facts" not in tables:
        raise Damaged(database, "it is a database, but not one of the stand-in")
    if int(connection.pragma("checksum_verification")) == 0:  # which comes as text
        raise Damaged(database, "its pages carry no checksums")
    return dict(connection.execute(SQL.facts))


def refuse_other(found: dict[str, str], marked: str | None, database: Path) -> None:
    """Raises Damaged, Misplaced, UnknownFormat unless the facts are those of the store with the id `marked`."""
    if {"store", "format"} - found.keys():
        raise Damaged(database, "it was emptied")
    if marked not in (None, found["store"]):
        raise Misplaced(
            f"The database {database} is that of another store than the one this folder was made for: put its own "
            f"back, or remove {database.with_name(MARK)} to take it as it is."
        )
    if int(found["format"]) > FORMAT:
        raise UnknownFormat(
            f"The store {database} has format {found['format']}, and this program knows formats up to {FORMAT}. "
            "Run the newer program, or set STANDIN_DATA to another folder."
        )


def _create(connection: apsw.Connection, folder: Path) -> None:
    """Make the tables, in one step; of several processes that do so at once, one does. Raises Damaged."""
    # Pictures come after the tables: read in this order, they do not stand beside a database without any.
    remains = _remains(folder)
    if remains and not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
        raise Damaged(folder / DATABASE, f"it has no tables, and beside it there is {', '.join(remains)} of a store")
    connection.reserve_bytes(reserve=CHECKSUM_BYTES)
    connection.pragma("journal_mode", "wal")
    connection.execute("BEGIN IMMEDIATE")
    if not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
        for statement in create("", _TEXT, _TEXT, " WITHOUT ROWID"):
            connection.execute(statement)
        for name, fact in {"store": str(uuid4()), "format": str(FORMAT)}.items():
            connection.execute(SQL.note_fact, {"name": name, "fact": fact})
    connection.execute("COMMIT")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)  # from now on the file itself says whose it is
