"""The command line, through Flask's own: `flask keys …`, `flask store …`, `flask openapi`. No service need run.

Registered as entry points rather than on the app, so that a store too damaged to be served can still be repaired.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, NoReturn, TypeVar

import click
import orjson

from app import document
from engines.copying import copy
from engines.errors import EngineError
from engines.sqlite.engine import SQLite
from engines.sqlite.files import DATABASE
from engines.table import Engine, Record
from records.errors import StoreError
from records.ids import is_uuid
from records.keys import SCOPES
from records.tables import NOT_EXPORTED, PRIMARY_KEYS
from seed import NotTables, complete, documents_of, read_tables
from settings import Settings, StartError, read_settings
from start import open_database, open_folder, open_services
from store import Store

T = TypeVar("T")


@click.command()
@click.option("--server", default="http://127.0.0.1:8000", show_default=True, help="URL of the service it describes.")
def openapi(server: str) -> None:
    """Print the OpenAPI document."""
    click.echo(orjson.dumps(document(server.rstrip("/")), option=orjson.OPT_INDENT_2))


@click.group()
def keys() -> None:
    """Create and delete API keys."""


@keys.command("create")
@click.option("--org", required=True, help="Id of an organization, or a name: one that is not there yet is created.")
@click.option("--scopes", required=True, help="Separated by commas; '*' for all.")
@click.option("--name", default="Created on the command line", show_default=True)
def create_key(org: str, scopes: str, name: str) -> None:
    """Print a new key. This is the only time its secret is shown."""
    wanted = _scopes(scopes)
    store = _seeded_store()
    click.echo(_guarded(lambda: _create_key(store, org, wanted, name)))


@keys.command("delete")
@click.argument("key_id")
def delete_key(key_id: str) -> None:
    """Retire the key with this id, the third part of it, for good."""
    store = _seeded_store()
    _guarded(lambda: store.keys.delete_public(key_id))
    click.echo(f"Deleted the key {key_id}.", err=True)


@click.group()
def store() -> None:
    """Look after the store."""


@store.command("export")
def export_tables() -> None:
    """Print every document as one JSON object, `{table: {number: document}}`: a file that TinyDB can open."""
    db = _existing_store()
    out = sys.stdout.buffer
    out.write(b"{")
    for number, name in enumerate(name for name in PRIMARY_KEYS if name not in NOT_EXPORTED):
        out.write(b"," if number else b"")
        out.write(orjson.dumps(name) + b":{")
        _write_rows(db, name, out)
        out.write(b"}")
    out.write(b"}\n")


@store.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--merge", is_flag=True, help="Into a store that is not empty; what has the same id is replaced.")
def import_tables(file: Path, merge: bool) -> None:
    """Fill the store from a file that `flask store export` has written."""
    target = _store()
    if not merge and not target.is_empty():
        _fail("The store is not empty: set STANDIN_DATA to a new folder, or say --merge.")
    try:
        tables = read_tables(file)
        complete(tables, target.now())
        documents = list(documents_of(tables))
    except (OSError, NotTables) as error:
        _fail(f"{file} cannot be imported: {error}.")
    with click.progressbar(documents, label="Importing", file=sys.stderr, hidden=_unwatched()) as progress:
        _guarded(partial(_put_all, target, progress))
    click.echo(f"{len(documents)} documents imported.", err=True)


@store.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_store(source: str, target: str) -> None:
    """Copy every document FROM one store TO an empty one, and compare them all at the end.

    Each is a folder, as in STANDIN_DATA, or a URL like postgresql://user@host/database, as in STANDIN_STORE; a password
    is better kept in PGPASSWORD or in ~/.pgpass than on the command line.

    Stop the service first: what it writes to FROM meanwhile may not be copied, and is then found to differ. A copy that
    was interrupted goes on when the same command is run again; until it is finished no service starts on it.
    Pictures and snapshots are not documents, and stay where they are.
    """
    with closing(_place(source, is_source=True)) as here:
        if not here.tables():
            _fail("There is nothing to copy: FROM holds no document.")
        with closing(_place(target)) as there:
            report = _guarded(partial(copy, here, there, here.name, _watched))
    click.echo(f"{report.documents} documents copied and compared, {report.written} of them written now.")


def _place(place: str, is_source: bool = False) -> Engine:
    """Open a store by its folder or URL."""
    if place.startswith(("postgresql://", "postgres://")):
        return _started(lambda _: open_database(place))
    if "://" in place:  # not told: there may be a password in it
        _fail("A store is a folder, or a URL like postgresql://user@host/database.")
    folder = Path(place)
    if is_source and not (folder / DATABASE).is_file():
        _fail(f"There is no store in {folder}.")
    return _started(lambda settings: open_folder(replace(settings, data=folder)))


@contextmanager
def _watched(what: str, steps: int) -> Iterator[Callable[[int], object]]:
    with click.progressbar(length=steps, label=what, file=sys.stderr, hidden=_unwatched()) as progress:
        yield progress.update


def _put_all(target: Store, documents: Iterable[tuple[str, Record]]) -> None:
    """Put all or nothing: half an import would look like a store that is well."""
    with target.db.transaction():
        for table, document in documents:
            target.tables.put(table, document)


def _write_rows(db: Engine, table: str, out: IO[bytes]) -> None:
    """Write `"1":{…},"2":{…}`: numbers, because TinyDB takes a row's name for a number."""
    spaces = [space for space in db.tables() if space[0] == table]
    with click.progressbar(spaces, label=f"Exporting {table}", file=sys.stderr, hidden=_unwatched()) as progress:
        number = 0
        for _, partition in progress:
            for doc_id in db.ids(table, partition):
                document = db.read(table, partition, doc_id)
                if document is not None:
                    number += 1
                    out.write(b'%b"%d":%b' % (b"," if number > 1 else b"", number, document))


def _scopes(text: str) -> list[str]:
    wanted = [scope.strip() for scope in text.split(",") if scope.strip()]
    for scope in wanted:
        if scope not in (*SCOPES, "*"):
            _fail(f"There is no scope {scope!r}: it is '*' or some of {', '.join(SCOPES)}.")
    return wanted


def _create_key(target: Store, org: str, scopes: list[str], name: str) -> str:
    with target.db.transaction():
        return target.for_organization(_organization(target, org)).keys.create(scopes, name)


def _organization(target: Store, named: str) -> str:
    """Return the id of the organization with this id or name, made if it is a name nobody has."""
    if not named.strip():
        _fail("An organization needs a name: --org must not be empty.")
    if is_uuid(named):
        return str(target.organizations.get(named)["id"])
    for found in target.organizations.all():
        if found["name"] == named:
            return str(found["id"])
    made = target.organizations.create(named)
    click.echo(f"Created the organization {named} ({made['id']}).", err=True)
    return str(made["id"])


def _unwatched() -> bool:
    return not sys.stderr.isatty()


def _settings() -> Settings:
    try:
        return read_settings(os.environ)
    except StartError as error:
        _fail(str(error))


def _folder() -> SQLite:
    _refuse_database()
    return _started(open_folder)


def _refuse_database() -> None:
    """End with a sentence when the settings say that the store is none of the files that most commands are about."""
    if _settings().store is not None:
        _fail("STANDIN_STORE is a database, and this is for a store in a folder: `flask store copy` makes one of it.")


def _existing_store() -> SQLite:
    """Open the store where there is one: a mistyped folder must not look like an empty store."""
    _refuse_database()
    folder = _settings().data
    if not (folder / DATABASE).is_file():
        _fail(f"There is no store in {folder}.")
    return _folder()


def _store() -> Store:
    return Store(_folder())


def _seeded_store() -> Store:
    """Open the store as the service would: filled from the seed if it is new."""
    return _started(open_services).store


def _started(opening: Callable[[Settings], T]) -> T:
    try:
        return opening(_settings())
    except StartError as error:
        _fail(str(error))


def _guarded(act: Callable[[], T]) -> T:
    try:
        return act()
    except (EngineError, StoreError, OSError) as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)
