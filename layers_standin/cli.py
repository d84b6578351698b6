"""The command `layers-stand-in`: serve, and manage keys, organizations and the store without a running service."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, NoReturn, TypeVar, cast

import click
import orjson
from click.core import ParameterSource

from layers_standin import launch
from layers_standin.control.reset import reset_store
from layers_standin.domain.errors import StoreError
from layers_standin.domain.ids import is_uuid
from layers_standin.domain.keys import SCOPES, public_id_of
from layers_standin.domain.tables import NOT_EXPORTED, PRIMARY_KEYS
from layers_standin.domain.times import utc_now
from layers_standin.engines.copying import copy
from layers_standin.engines.errors import EngineError
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import DATABASE, check_folder
from layers_standin.engines.table import Engine, Record
from layers_standin.ephemeral import ephemeral_environment
from layers_standin.seed import NotTables, documents_of, fill_defaults, read_tables
from layers_standin.services import open_database, open_folder, open_media, open_services
from layers_standin.settings import Settings, StartError, default_data, read_port, read_settings, read_workers
from layers_standin.verify import Verification, counted
from layers_standin.web.logs.output import redacted
from store import Store

T = TypeVar("T")


class _Group(click.Group):
    """A group of commands; `serve` is the default."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group)
@click.version_option(package_name="layers-stand-in")
def cli() -> None:
    """A local stand-in for the influencer part of the Layers Partner API."""


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port to listen on; else PORT, else 8000.")
@click.option("--seed", help="A file to fill a new store from, or 'none'.")
@click.option("--workers", type=click.IntRange(1, 999), help="The number of processes; else WEB_CONCURRENCY, else 2.")
@click.option("--ephemeral", is_flag=True, help="For a test run: on a temporary folder, until standard input ends.")
def serve(host: str, port: int | None, seed: str | None, workers: int | None, ephemeral: bool) -> None:
    """Serve until Ctrl-C; this is also done when no command is named."""
    environ = dict(os.environ)
    if ephemeral:
        if click.get_current_context().get_parameter_source("data") is not ParameterSource.DEFAULT:
            _fail("--ephemeral has a temporary folder of its own: leave out --data.")
        environ = _guarded(partial(ephemeral_environment, environ))
    if seed is not None:
        environ["STANDIN_SEED"] = seed
    if workers is not None:
        environ["WEB_CONCURRENCY"] = str(workers)
    if not host:
        _fail("--host must be an address, like 127.0.0.1.")  # or gunicorn would listen on all of them
    try:
        port = read_port(environ) if port is None else port
        read_workers(environ)  # or gunicorn reads it first, and ends in a traceback
    except StartError as error:
        _fail(str(error))
    launch.serve(host, port, environ)


@cli.command()
@click.option("--server", default="http://127.0.0.1:8000", show_default=True, help="URL of the service it describes.")
def openapi(server: str) -> None:
    """Print the OpenAPI document."""
    from app import document  # noqa: PLC0415 - the whole service, which no other command needs

    click.echo(orjson.dumps(document(server.rstrip("/")), option=orjson.OPT_INDENT_2))


@cli.command()
@click.option("--base-url", envvar="LAYERS_BASE_URL", required=True, help="URL of the server; else LAYERS_BASE_URL.")
@click.option(
    "--key", envvar="LAYERS_API_KEY", required=True, help="The API key; else LAYERS_API_KEY, which no `ps` shows."
)
@click.option("--write", is_flag=True, help="Also try what changes something, in a project that is made for it.")
@click.option("--credits", "spend", is_flag=True, help="With --write: also try what costs credits.")
@click.option("--project", help="Id of the project to read; else the newest.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="A check, an operation or a group, like 'patch*'; repeatable."
)
@click.option("--json", metavar="FILE", help="Write the report as JSON too; with - nothing else is printed.")
def conform(
    base_url: str, key: str, write: bool, spend: bool, project: str | None, only: tuple[str, ...], json: str | None
) -> None:
    """Ask any server of this API whether it keeps the contract, and report where it differs.

    Reads only, unless told otherwise. Exits with 0 when nothing differs, 1 when something does, 2 when the server could
    not be asked.
    """
    from app import document  # noqa: PLC0415 - the whole service
    from layers_standin.conform import command  # noqa: PLC0415 - httpx and jsonschema, which no other command needs
    from layers_standin.conform.run import Plan  # noqa: PLC0415

    sys.exit(command.conform(base_url, key, Plan(write, spend, project, only), json, document(base_url)))


@cli.command()
@click.option("--seed", help="The file to fill the store from; else STANDIN_SEED, as the service was given it.")
@click.option("--to", type=click.Choice(["seed", "empty"]), help="Else the seed, if there is one.")
def reset(seed: str | None, to: str | None) -> None:
    """Reset the store to the seed, or to nothing; a running service continues with the new data."""
    if seed is not None:
        os.environ["STANDIN_SEED"] = seed
    services = _started(open_services)
    done = _guarded(lambda: reset_store(services, to))
    click.echo(f"The store is reset to {'nothing' if done == 'empty' else 'the seed'}.", err=True)


@cli.group()
def organizations() -> None:
    """List the organizations."""


@organizations.command("list")
def list_organizations() -> None:
    """Print a line for each organization: its id and its name."""
    for found in _guarded(_store_to_list().organizations.all):
        click.echo(f"{found['id']}  {found['name']}")


@cli.group()
def keys() -> None:
    """Create and delete API keys."""


@keys.command("create")
@click.option("--org", required=True, help="Id of an organization, or a name: a new name creates one.")
@click.option("--scopes", required=True, help="Separated by commas; '*' for all.")
@click.option("--name", default="Created on the command line", show_default=True)
def create_key(org: str, scopes: str, name: str) -> None:
    """Print a new key. This is the only time its secret is shown."""
    wanted = _scopes(scopes)
    store = _seeded_store()
    click.echo(_guarded(lambda: _create_key(store, org, wanted, name)))


@keys.command("list")
def list_keys() -> None:
    """Print a line for each key: its public id, whether it works, its organization, its scopes and its name."""
    store = _store_to_list()
    for found in _guarded(store.organizations.all):
        for key in _guarded(store.for_organization(found["id"]).keys.all):
            state = "off" if key["killSwitch"] else "on"
            click.echo(f"{key['publicId']}  {state:3}  {found['id']}  {','.join(key['scopes']) or '-'}  {key['name']}")


@keys.command("delete")
@click.argument("key_id")
def delete_key(key_id: str) -> None:
    """Retire the key with this id, the third part of it, for good; a whole key will do."""
    if key_id.startswith("lp_") and key_id.count("_") > 2:
        key_id = public_id_of(key_id)
    store = _seeded_store()
    _guarded(lambda: store.keys.delete_public(key_id))
    click.echo(f"Deleted the key {key_id}.", err=True)


@cli.group()
def store() -> None:
    """Verify, export, import and copy the store."""


@store.command()
def verify() -> None:
    """Read everything in the store, pictures and snapshots included, and report every fault; change nothing."""
    _refuse_database()
    settings = _settings()
    verification = Verification(settings.data, _started(open_media))
    number, remedies = 0, {}
    for fault in _guarded_each(iter(verification)):
        click.echo(f"{fault.location}: {fault.evidence}.", err=True)
        number, remedies[fault.remedy] = number + 1, True
    if number:
        _fail(" ".join([f"The store is damaged: {counted(number, 'fault')}.", *remedies]))
    click.echo(f"{_from_here(settings.data / DATABASE)}: {verification.counts()}, no fault.")


@store.command("export")
def export_tables() -> None:
    """Print every document as one JSON object, `{table: {number: document}}`: a file that TinyDB can open."""
    db = _existing_store()
    if sys.stdout is None:
        _fail("Standard output is closed: there is nothing to write to.")
    try:
        _write_tables(db, sys.stdout.buffer)
        sys.stdout.flush()
    except EngineError as error:  # an OSError is one of the output
        _fail(str(error))


@store.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--merge", is_flag=True, help="Into a store that is not empty; documents with the same id are replaced.")
def import_tables(file: Path, merge: bool) -> None:
    """Fill the store from a file that `layers-stand-in store export` has written."""
    _refuse_database()
    try:
        tables = read_tables(file)
        fill_defaults(tables, utc_now())
        documents = list(documents_of(tables))
    except (OSError, NotTables) as error:
        _fail(f"{file} cannot be imported: {error}.")
    target = _store()  # not before: a file that is refused leaves no new folder behind
    if not merge and not _guarded(target.is_empty):
        _fail("The store is not empty: set STANDIN_DATA to a new folder, or say --merge.")
    with click.progressbar(documents, label="Importing", file=sys.stderr, hidden=_hides_progress()) as progress:
        _guarded(partial(_put_all, target, progress))
    click.echo(f"{len(documents)} documents imported.", err=True)


@store.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_store(source: str, target: str) -> None:
    """Copy every document FROM one store TO an empty one, and compare them all at the end.

    Each is a folder, as in STANDIN_DATA, or a URL like postgresql://user@host/database, as in STANDIN_STORE; a password
    is safer in PGPASSWORD or in ~/.pgpass than on the command line.

    Stop the service first: a document that it writes to FROM during the copy may be missing, and is then reported as a
    difference. To continue an interrupted copy, run the same command again; no service starts on an unfinished copy.
    Pictures and snapshots are not documents, and stay where they are.
    """
    with closing(_open_engine(source, is_source=True)) as here:
        if not _guarded(here.tables):
            _fail("There is nothing to copy: FROM holds no document.")
        with closing(_open_engine(target)) as there:
            report = _guarded(partial(copy, here, there, here.name, _progress))
    click.echo(f"{report.documents} documents copied and compared, {report.written} of them written now.")


def _open_engine(location: str, is_source: bool = False) -> Engine:
    """Open the store in a folder or at a URL; the folder of a source must have one."""
    if location.startswith(("postgresql://", "postgres://")):
        return _started(lambda _: open_database(location))
    if "://" in location:  # not printed: there may be a password in it
        _fail("A store is a folder, or a URL like postgresql://user@host/database.")
    folder = Path(location)
    if is_source:
        _guarded(partial(check_folder, folder))
    return _started(lambda settings: open_folder(replace(settings, data=folder)))


def _from_here(path: Path) -> Path:
    """Return a path as a person would type it: relative if it is below the current folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def _progress(title: str, steps: int) -> Iterator[Callable[[int], object]]:
    with click.progressbar(length=steps, label=title, file=sys.stderr, hidden=_hides_progress()) as progress:
        yield progress.update


def _put_all(target: Store, documents: Iterable[tuple[str, Record]]) -> None:
    """Put all documents into the store in one transaction: half an import would look like a whole store."""
    with target.db.transaction():
        for table, document in documents:
            target.tables.put(table, document)


def _write_tables(db: Engine, out: IO[bytes]) -> None:
    """Write `{"table":{…},…}` of one state of the store; if it ends early, the output is not JSON."""
    with db.snapshot_read():
        out.write(b"{")
        for number, name in enumerate(name for name in PRIMARY_KEYS if name not in NOT_EXPORTED):
            out.write(b"," if number else b"")
            out.write(orjson.dumps(name) + b":{")
            _write_rows(db, name, out)
            out.write(b"}")
        out.write(b"}\n")


def _write_rows(db: Engine, table: str, out: IO[bytes]) -> None:
    """Write `"1":{…},"2":{…}`: numbers, because TinyDB converts the name of a row to a number."""
    spaces = [space for space in db.tables() if space[0] == table]
    with click.progressbar(spaces, label=f"Exporting {table}", file=sys.stderr, hidden=_hides_progress()) as progress:
        number = 0
        for _, partition in progress:
            for doc_id in db.ids(table, partition):
                document = db.read(table, partition, doc_id)
                if document is not None:
                    number += 1
                    out.write(b'%b"%d":%b' % (b"," if number > 1 else b"", number, document))


def _use_data(_: click.Context, __: click.Parameter, folder: str | None) -> None:
    """Set the store's folder: `--data`, else STANDIN_DATA, else the default."""
    if folder is not None:
        os.environ["STANDIN_DATA"] = folder  # an empty one is refused as a setting
    if "STANDIN_DATA" not in os.environ:
        try:
            os.environ["STANDIN_DATA"] = str(default_data())
        except StartError as error:
            _fail(str(error))


def _add_data_option(command: click.Command) -> None:
    """Let a command, and all below it, take `--data`."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _add_data_option(each)
    else:
        option = ["--data"]
        help_ = "The folder of the store; else STANDIN_DATA."
        command.params.append(click.Option(option, expose_value=False, callback=_use_data, help=help_))


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
    """Return the id of the organization with this id or name; a new name creates one."""
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


def _hides_progress() -> bool:
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
    """Exit with a sentence when the store is a database: most commands need a store in a folder."""
    if _settings().store is not None:
        _fail(
            "STANDIN_STORE is a database, and this is for a store in a folder: `layers-stand-in store copy` makes one "
            "of it."
        )


def _existing_store() -> SQLite:
    """Open the store if the folder has one, else exit: a mistyped folder must not look like an empty store."""
    _refuse_database()
    _guarded(partial(check_folder, _settings().data))
    return _folder()


def _store() -> Store:
    return Store(_folder())


def _seeded_store() -> Store:
    """Open the store as the service would: filled from the seed if it is new."""
    return _started(open_services).store


def _store_to_list() -> Store:
    """Open the store for a command that only lists; exit if there is none, for such a command must not make one."""
    if _settings().store is None:
        return Store(_existing_store())
    return _seeded_store()


def _started(opening: Callable[[Settings], T]) -> T:
    """Return `opening(settings)`; exit with the sentence of a StartError."""
    try:
        return opening(_settings())
    except StartError as error:
        _fail(str(error))


def _guarded(act: Callable[[], T]) -> T:
    """Return `act()`; exit with a sentence when it raises an error of the store or of the file system."""
    try:
        return act()
    except (EngineError, StoreError, StartError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{Path(error.filename or _settings().data)} cannot be used: {error.strerror}.")


def _guarded_each(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; exit with a sentence when one cannot be read."""
    end = object()
    while (item := _guarded(partial(next, items, end))) is not end:
        yield cast(T, item)


def _fail(sentence: str) -> NoReturn:
    """Print the sentence on standard error, and exit with 1."""
    click.echo(redacted(sentence), err=True)
    sys.exit(1)


_add_data_option(cli)
