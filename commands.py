"""The command line, through Flask's own: `flask keys …`, `flask store …`, `flask openapi`. No service need run.

Registered as entry points rather than on the app, so that a store too damaged to be served can still be looked at.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar, cast

import click
import orjson

from app import document
from engines.copying import copy
from engines.errors import EngineError
from engines.sqlite.engine import SQLite
from engines.sqlite.files import DATABASE, check_folder
from engines.sqlite.verify import Rules, faults
from engines.table import Engine, Record
from media.room import MediaRoom
from media.verify import fault_of
from records.assets import file_of
from records.errors import StoreError
from records.ids import is_uuid
from records.keys import SCOPES
from records.tables import IDENTITIES, LISTS, NOT_EXPORTED
from seed import NotTables, complete, documents_of, read_tables
from settings import Settings, StartError, read_settings
from start import open_database, open_folder, open_media, open_rooms
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


@store.command()
def verify() -> None:
    """Read everything in the store, pictures and snapshots included, and tell every fault; change nothing."""
    _refuse_database()
    settings = _settings()
    pictures = Pictures(_started(open_media))
    rules = Rules(IDENTITIES, LISTS, pictures.fault_of)
    number, ways_out = 0, {}
    for fault in _guarded_each(faults(settings.data, rules)):
        click.echo(f"{fault.place}: {fault.what}.", err=True)
        number, ways_out[fault.way_out] = number + 1, True
    if number:
        _fail(" ".join([f"The store is damaged: {_counted(number, 'fault')}.", *ways_out]))
    found = rules.report
    counts = ", ".join(
        [
            _counted(found.documents, "document"),
            _counted(found.entries, "index entry", "index entries"),
            _counted(pictures.number, "picture"),
            _counted(found.snapshots, "snapshot"),
            _counted(found.pages, "page"),
        ]
    )
    click.echo(f"{settings.data / DATABASE}: {counts}, no fault.")


@store.command("export")
def export_tables() -> None:
    """Print every document as one JSON object, `{table: {number: document}}`: a file that TinyDB can open."""
    _guarded(partial(_write_tables, _existing_store(), sys.stdout.buffer))


@store.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--merge", is_flag=True, help="Into a store that is not empty; what has the same id is replaced.")
def import_tables(file: Path, merge: bool) -> None:
    """Fill the store from a file that `flask store export` has written."""
    target = _store()
    if not merge and not _guarded(target.is_empty):
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
        if not _guarded(here.tables):
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
    if is_source:
        _guarded(partial(check_folder, folder))
    return _started(lambda settings: open_folder(replace(settings, data=folder)))


class Pictures:
    """The bytes that documents tell of, those of uploads that are not finished included; `number` were looked at."""

    def __init__(self, media: MediaRoom) -> None:
        self._media = media
        self.number = 0

    def fault_of(self, snapshot: str, table: str, document: Mapping[str, Any]) -> str | None:
        """Return the fault of a document's bytes; None when there is none, or no bytes."""
        try:
            bytes_of = document if table == "assets" else self._received(snapshot, table, document)
            if bytes_of is None:
                return None
            self.number += 1
            of, file = document["organizationId"], file_of({**document, **bytes_of})
            original, kept = partial(self._media.original, of, file), partial(self._media.kept, snapshot, of, file)
            what = fault_of(kept if snapshot else original, bytes_of["sizeBytes"], bytes_of["checksumSha256"])
            return None if what is None else f"its file {of}/{file} is not as it was stored, {what}"
        except (LookupError, TypeError, ValueError) as error:
            return f"it does not tell which bytes it has ({error!r})"

    def _received(self, snapshot: str, table: str, document: Mapping[str, Any]) -> Mapping[str, Any] | None:
        # A snapshot may lack what was sent once more just while it was saved.
        is_awaited = table == "uploads" and not snapshot and not document["finalized"]
        return document["received"] if is_awaited else None


@contextmanager
def _watched(what: str, steps: int) -> Iterator[Callable[[int], object]]:
    with click.progressbar(length=steps, label=what, file=sys.stderr, hidden=_unwatched()) as progress:
        yield progress.update


def _put_all(target: Store, documents: Iterable[tuple[str, Record]]) -> None:
    """Put all or nothing: half an import would look like a store that is well."""
    with target.db.transaction():
        for table, document in documents:
            target.put(table, document)


def _write_tables(db: Engine, out: IO[bytes]) -> None:
    """Write `{"table":{…},…}` of one state of the store; what ends early is no JSON."""
    with db.reading():
        out.write(b"{")
        for number, name in enumerate(name for name in IDENTITIES if name not in NOT_EXPORTED):
            out.write(b"," if number else b"")
            out.write(orjson.dumps(name) + b":{")
            _write_rows(db, name, out)
            out.write(b"}")
        out.write(b"}\n")


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
        return target.keys.create(_organization(target, org), scopes, name)


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
    _guarded(partial(check_folder, _settings().data))
    return _folder()


def _store() -> Store:
    return Store(_folder())


def _seeded_store() -> Store:
    """Open the store as the service would: filled from the seed if it is new."""
    return _started(open_rooms).store


def _started(opening: Callable[[Settings], T]) -> T:
    try:
        return opening(_settings())
    except StartError as error:
        _fail(str(error))


def _guarded(act: Callable[[], T]) -> T:
    try:
        return act()
    except (EngineError, StoreError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{Path(error.filename or _settings().data)} cannot be used: {error.strerror}.")


def _guarded_each(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; end with a sentence when there is one that cannot be had."""
    end = object()
    while (item := _guarded(partial(next, items, end))) is not end:
        yield cast(T, item)


def _counted(number: int, one: str, more: str | None = None) -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _fail(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)
