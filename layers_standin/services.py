"""Open the store and the media of the settings, seed a new store, and do the housekeeping."""

import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from ipaddress import ip_address
from shlex import quote
from typing import NamedTuple

from layers_standin.application import IS_INSTALLED
from layers_standin.domain.keys import DEMO_KEY, public_id_of
from layers_standin.domain.pictures import portrait_mark
from layers_standin.domain.tables import INDEXES
from layers_standin.domain.times import utc_now
from layers_standin.engines.copying import is_unfinished
from layers_standin.engines.disk import Disk
from layers_standin.engines.errors import EngineError, Unavailable
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Engine
from layers_standin.media.folder import FolderStorage
from layers_standin.media.storage import INCOMING, MediaStorage, portrait_in
from layers_standin.seed import load_seed, read_seed
from layers_standin.settings import SEED, Settings, StartError
from store import Store

logger = logging.getLogger("standin")

ORPHAN_AGE_SECONDS = 24 * 60 * 60
UPLOAD_SECONDS = 15 * 60  # an upload, and the wait for its document, take less
HOUSEKEEPING_EVERY_SECONDS = 60 * 60
HOUSEKEEPING_PATIENCE_SECONDS = 3.0  # the wait for other `exclusive` blocks
DEMO_KEY_ID = public_id_of(DEMO_KEY)
_PACKAGES = {"postgres": "psycopg[binary]>=3.2", "s3": "obstore>=0.9"}  # as pyproject.toml has them


class Services(NamedTuple):
    """The opened store and media, and their settings.

    `limits(store, key, endpoint_class)` counts a request and returns its headers, see `web/limits.py`; None: no limits.
    """

    store: Store
    media: MediaStorage
    settings: Settings
    limits: Callable[..., list[tuple[str, str]]] | None = None


@contextmanager
def _starting() -> Iterator[None]:
    """Turn an EngineError into a StartError with the same message."""
    try:
        yield
    except EngineError as error:
        raise StartError(str(error)) from error


def _install(extra: str) -> str:
    """Return the command that installs an extra: of a checkout, or beside a wheel, whose name is on no index."""
    return f"pip install '{_PACKAGES[extra]}'" if IS_INSTALLED else f"pip install -e '.[{extra}]'"


def open_folder(settings: Settings) -> SQLite:
    """Open the store of the data folder. Raises StartError."""
    try:
        with _starting():
            return SQLite(settings.data, indexes=INDEXES, sync=settings.sync)
    except OSError as error:
        raise StartError(
            f"The data folder {settings.data} cannot be used ({error.strerror}): "
            "name a folder that can be written to, by --data or STANDIN_DATA."
        ) from error
    except UnicodeEncodeError as error:
        raise StartError(f"The data folder {settings.data} cannot be used: its name is not UTF-8.") from error


def open_database(url: str) -> Engine:
    """Open the store on a PostgreSQL server. Raises StartError."""
    try:
        from layers_standin.engines.postgres.engine import Postgres  # noqa: PLC0415 - the driver is an extra
    except ImportError as error:
        raise StartError(f"STANDIN_STORE needs the driver of PostgreSQL: {_install('postgres')}.") from error
    with _starting():
        return Postgres(url, indexes=INDEXES)


def open_store(settings: Settings) -> Store:
    """Open the store of the settings. Raises StartError."""
    db = open_folder(settings) if settings.store is None else open_database(settings.store)
    with _starting():
        unfinished = is_unfinished(db)
    if unfinished:
        db.close()
        raise StartError(
            "The store is a copy that was not finished: run `layers-stand-in store copy` once more, to its end."
        )
    return Store(db, job_ms=round(settings.job_seconds * 1000))


def open_media(settings: Settings) -> MediaStorage:
    """Return the storage of the media; a bucket is not contacted before it is needed. Raises StartError."""
    if settings.media is None:
        return FolderStorage(settings.data / "media", Disk(settings.sync), settings.max_picture_pixels)
    try:
        from layers_standin.media.bucket import open_bucket  # noqa: PLC0415 - the client is an extra
    except ImportError as error:
        raise StartError(f"STANDIN_MEDIA needs the client of S3: {_install('s3')}.") from error
    with _starting():
        return open_bucket(settings.media, settings.max_picture_pixels)


def open_services(settings: Settings) -> Services:
    """Open store and media, and fill a new store from the seed. Raises StartError."""
    return _open_and_fill(settings)[0]


def _open_and_fill(settings: Settings) -> tuple[Services, bool]:
    """Return the services, and whether the store was empty."""
    with _starting():  # damage may show only at a read
        # Not Path.exists, which raises for a folder that may not be read: it is refused when it is opened.
        if settings.seed is not None and settings.store is None and not os.path.exists(settings.data / DATABASE):
            read_seed(settings.seed, utc_now())  # an invalid one leaves no new folder behind
        services = Services(open_store(settings), open_media(settings), settings)
        is_new = services.store.is_empty()
        if settings.seed is not None and is_new:
            load_seed(settings.seed, services.store, services.media)
        return services, is_new


def prepare(settings: Settings, hosts: Iterable[str]) -> bool:
    """Open and seed the store and do the housekeeping once, before the workers; return whether the demo key works.

    Raises StartError, also when one of the addresses `hosts` is public and the demo key works.
    """
    services, is_new = _open_and_fill(settings)
    if settings.seed not in (None, SEED) and not is_new:
        _say(
            f"The seed {settings.seed} was not used, for there is a store already: `layers-stand-in reset --seed FILE` "
            "replaces everything in it by a seed."
        )
    try:
        with _starting():
            for host in hosts:
                refuse_public_demo_key(services.store, settings, host)
            if _takes_writes(services.store):
                housekeeping(services)
            return has_demo_key(services.store)
    finally:
        services.store.db.close()


def _takes_writes(store: Store) -> bool:
    """Whether a store takes writes; if not, print a line that says why, and that it is served all the same."""
    try:
        store.db.probe()
    except Unavailable as error:
        _say(f"{error} Reads are served; changes are answered with 503 until it takes writes.")
        return False
    except EngineError:  # damage, which the housekeeping tells if it meets it
        pass
    return True


def _say(sentence: str) -> None:
    """Print a line at the start."""
    with suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def prepare_in_child(settings: Settings, hosts: Iterable[str]) -> bool:
    """Call `prepare` in a child process: a process that has used a bucket's client must not fork after that."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # at Ctrl-C a handler would wait until the bucket answers
        message = b"\2The service could not be prepared: the traceback above has the reason."
        try:
            message = b"\1" if prepare(settings, hosts) else b"\0"
        except StartError as error:
            message = b"\2" + os.fsencode(str(error))
        except BaseException:  # noqa: BLE001 - printed, and then the child ends: it must not go on as a second service
            traceback.print_exc()
        finally:
            os.write(writing, message)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    if message not in (b"\0", b"\1"):
        raise StartError(os.fsdecode(message[1:]) or "The service was killed while it was prepared.")
    return message == b"\1"


def housekeeping(services: Services, patience_seconds: float = HOUSEKEEPING_PATIENCE_SECONDS) -> None:
    """Remove expired documents and orphaned files; log a failure, and raise nothing.

    Runs at start and about every HOUSEKEEPING_EVERY_SECONDS. `patience_seconds` limits the wait for `exclusive`.
    """
    try:
        with services.store.db.exclusive(patience_seconds):
            sweep(services, ORPHAN_AGE_SECONDS)
    except (EngineError, OSError) as error:
        logger.warning("Not tidied: %s", error)


def sweep(services: Services, older_than_seconds: float) -> None:
    """Remove expired documents, by their organization's clock, and orphans: files without a document or snapshot.

    `older_than_seconds` is the least age of a removed orphan by the clock of the file system: a younger file may
    belong to an upload in progress. Only inside `exclusive`. Raises EngineError, OSError.
    """
    services.store.db.delete_unfinished_snapshots()
    free_snapshots(services)
    for organization in (found["id"] for found in services.store.organizations.all()):
        store = services.store.for_organization(organization)
        store.idempotency.forget_past()
        discard_unfinished(services, store, limit=sys.maxsize)
    services.media.sweep(_ReferencedFiles(services.store), older_than_seconds)


def free_snapshots(services: Services) -> None:
    """Delete the media of deleted snapshots. Raises EngineError, OSError."""
    services.media.delete_other_snapshots({saved.snapshot_id for saved in services.store.db.list_snapshots()})


def discard_unfinished(services: Services, store: Store, limit: int = 2) -> None:
    """Delete up to `limit` uploads that were not finished within a day, and their bytes."""
    for upload in store.assets.delete_unfinished(limit):
        if upload["received"]:
            services.media.discard(store.organization, upload["received"]["file"])
        if services.media.direct is not None:
            services.media.direct.clear(store.organization, upload["assetId"])


@contextmanager
def discarding_unreferenced(services: Services) -> Iterator[None]:
    """Discard the files that an asset referenced before the block, and none references after it.

    None of them belongs to an upload in progress, so their age does not matter. If this fails, a later sweep removes
    them. Only inside `exclusive`.
    """
    organizations = [found["id"] for found in services.store.organizations.all()]
    stores = [services.store.for_organization(organization) for organization in organizations]
    before = [store.assets.files() for store in stores]
    yield
    with suppress(EngineError, OSError):
        for store, files in zip(stores, before, strict=True):
            for file in files - store.assets.files():
                services.media.discard(store.organization, file)
        sweep(services, UPLOAD_SECONDS)


class _ReferencedFiles:
    """Tells whether a document of an organization references a file. Caches one organization: a sweep goes by them."""

    def __init__(self, store: Store) -> None:
        self._store, self._organization, self._files = store, "", set[str]()

    def __call__(self, organization: str, file: str) -> bool:
        portrait = portrait_in(file)
        if portrait is not None:
            return self._is_current_portrait(organization, *portrait)
        if organization != self._organization:
            assets = self._store.for_organization(organization).assets
            awaited = {upload["assetId"] + INCOMING for upload in assets.unfinished()}
            self._organization, self._files = organization, assets.files() | awaited
        return file in self._files

    def _is_current_portrait(self, organization: str, influencer_id: str, mark: str) -> bool:
        influencer = self._store.tables.table("influencers", organization).get(doc_id=influencer_id)
        return influencer is not None and portrait_mark(influencer) == mark


class Housekeeping:
    """Does the housekeeping about every `every_seconds`, in a thread that a request starts after `due`."""

    def __init__(self, services: Services, every_seconds: float = HOUSEKEEPING_EVERY_SECONDS) -> None:
        self._services, self._every_seconds = services, every_seconds
        self._turn = threading.Lock()
        self.due = self._next()  # by time.monotonic()

    def begin(self) -> None:
        """Start the thread, unless it is running."""
        if self._turn.acquire(blocking=False):
            self.due = self._next()
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            housekeeping(self._services)
        finally:
            self._turn.release()

    def _next(self) -> float:
        # Not all workers at the same time: they would only wait for each other.
        return time.monotonic() + self._every_seconds * random.uniform(0.5, 1.5)  # noqa: S311


def refuse_public_demo_key(store: Store, settings: Settings, host: str) -> None:
    """Raises StartError when other machines can connect to `host` and the publicly known demo key works."""
    if settings.allow_demo_key or is_loopback(host) or not has_demo_key(store):
        return
    raise StartError(
        f"Refusing to listen on {host} while the demo key is active, because everybody knows it: "
        f"run `layers-stand-in keys delete {DEMO_KEY_ID}`, or set STANDIN_ALLOW_DEMO_KEY=1 if that is what you want."
    )


def has_demo_key(store: Store) -> bool:
    """Whether the demo key works on this store."""
    key = store.keys.find(DEMO_KEY_ID)
    return key is not None and not key["killSwitch"]


@lru_cache(16)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address, given without a port; `unix:` and a path is one too."""
    if host == "localhost" or host.startswith("unix:"):
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def greeting(settings: Settings, addresses: list[str], demo_key: bool) -> str:
    """Return the lines printed at start: the addresses, the data's location, the pages, and a first call.

    An address is a URL, or `unix:` and a path. The call is there if `demo_key` works.
    """
    documents = settings.data if settings.store is None else "the database of STANDIN_STORE"  # may have a password
    pictures = settings.data if settings.media is None else "the bucket of STANDIN_MEDIA"
    places = " and ".join(dict.fromkeys([str(documents), str(pictures)]))
    lines = [f"The Layers stand-in listens on {', '.join(addresses)} and keeps its data in {places}."]
    url = next((_loopback_url(each) for each in addresses if not each.startswith("unix:")), None)
    if pages := settings.public_url or url:
        lines += [f"Console: {pages}/console"] if settings.has_console else []
        lines += [f"API reference: {pages}/docs"]
    if demo_key:
        where = url or f"--unix-socket {quote(addresses[0].removeprefix('unix:'))} http://localhost"
        lines += [f"Demo key: {DEMO_KEY}", f"Try: curl {where}/v1/whoami -H 'X-Api-Key: {DEMO_KEY}'"]
    return "".join(f"{line}\n" for line in lines)


def _loopback_url(address: str) -> str:
    """Return the URL at which this machine reaches an address: one that stands for all interfaces is none."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
