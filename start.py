"""From settings to an open, seeded store: the steps that all ways of starting share."""

import logging
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from engines.copying import is_unfinished
from engines.disk import Disk
from engines.errors import EngineError
from engines.sqlite.engine import SQLite
from engines.table import Engine
from media.files import MediaFolder
from media.room import INCOMING, MediaRoom, portrait_in
from records.keys import DEMO_KEY, public_id_of
from records.tables import LISTS
from seed import plant
from settings import Settings, StartError
from store import Store, portrait_mark

logger = logging.getLogger("standin")

ORPHANS_KEPT_SECONDS = 24 * 60 * 60
ARRIVING_SECONDS = 15 * 60  # after which bytes that no document knows are none that still come, or wait for theirs
TIDY_EVERY_SECONDS = 60 * 60
TIDY_SECONDS = 3.0  # how long it waits for others who alter documents and bytes together
DEMO_KEY_ID = public_id_of(DEMO_KEY)


class Rooms(NamedTuple):
    """The open store, the room of its media, and the settings that both were opened by."""

    store: Store
    media: MediaRoom
    settings: Settings


@contextmanager
def _starting() -> Iterator[None]:
    """Turn EngineError into StartError, with the same sentence."""
    try:
        yield
    except EngineError as error:
        raise StartError(str(error)) from error


def open_folder(settings: Settings) -> SQLite:
    """Open the store of the data folder. Raises StartError."""
    try:
        with _starting():
            return SQLite(settings.data, lists=LISTS, sync=settings.sync)
    except OSError as error:
        raise StartError(
            f"The data folder {settings.data} cannot be used ({error.strerror}): "
            "make it writable, or set STANDIN_DATA to a folder that is."
        ) from error


def open_database(url: str) -> Engine:
    """Open the store on a PostgreSQL server. Raises StartError."""
    try:
        from engines.postgres.engine import Postgres  # noqa: PLC0415 - the driver is an extra
    except ImportError as error:
        raise StartError("STANDIN_STORE needs the driver: pip install 'layers-stand-in[postgres]'.") from error
    with _starting():
        return Postgres(url, lists=LISTS)


def open_store(settings: Settings) -> Store:
    """Open the store where it is. Raises StartError."""
    db = open_folder(settings) if settings.store is None else open_database(settings.store)
    with _starting():
        unfinished = is_unfinished(db)
    if unfinished:
        db.close()
        raise StartError("The store is a copy that was not finished: run `flask store copy` once more, to its end.")
    return Store(db, job_ms=round(settings.job_seconds * 1000))


def open_media(settings: Settings) -> MediaRoom:
    """Return where the bytes live; a bucket is not asked before it is needed. Raises StartError."""
    if settings.media is None:
        return MediaFolder(settings.data / "media", Disk(settings.sync))
    try:
        from media.objects import open_bucket  # noqa: PLC0415 - the client is an extra
    except ImportError as error:
        raise StartError("STANDIN_MEDIA needs the client: pip install 'layers-stand-in[s3]'.") from error
    with _starting():
        return open_bucket(settings.media)


def open_rooms(settings: Settings) -> Rooms:
    """Open store and media, and fill a new store from the seed. Raises StartError."""
    with _starting():  # what is damaged may show only when it is read
        rooms = Rooms(open_store(settings), open_media(settings), settings)
        if settings.seed is not None and rooms.store.is_empty():
            plant(settings.seed, rooms.store, rooms.media)
        return rooms


def prepare(settings: Settings, hosts: Iterable[str]) -> bool:
    """Do once what every worker would else find undone: open, fill, tidy; return whether the demo key works.

    Raises StartError, also when strangers could come in by it.
    """
    rooms = open_rooms(settings)
    try:
        with _starting():
            for host in hosts:
                refuse_public_demo_key(rooms.store, settings, host)
            tidy(rooms)
            return has_demo_key(rooms.store)
    finally:
        rooms.store.db.close()


def prepare_apart(settings: Settings, hosts: Iterable[str]) -> bool:
    """Do the same in a child that ends with it: who has used a bucket's client can have no children that use it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = b"\2The service could not be prepared, for a reason that is told above."
        try:
            told = b"\1" if prepare(settings, hosts) else b"\0"
        except StartError as error:
            told = b"\2" + str(error).encode()
        except BaseException:  # noqa: BLE001 - told, and then the child ends: it must not go on as a second service
            traceback.print_exc()
        finally:
            os.write(writing, told)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    if told not in (b"\0", b"\1"):
        raise StartError(told[1:].decode() or "The service was killed while it was prepared.")
    return told == b"\1"


def tidy(rooms: Rooms, patience_seconds: float = TIDY_SECONDS) -> None:
    """Sweep, at start and now and then; a failure is logged and nothing more."""
    try:
        with rooms.store.db.exclusive(patience_seconds):
            sweep(rooms, ORPHANS_KEPT_SECONDS)
    except (EngineError, OSError) as error:
        logger.warning("Not tidied: %s", error)


def sweep(rooms: Rooms, older_than_seconds: float) -> None:
    """Forget uploads and outcomes that are too old by their organization's clock; drop bytes that nothing refers to.

    Those go by the clock of the file system, for no document says whose they are: younger ones may be arriving. To be
    called in a block of `exclusive`. Raises EngineError, OSError.
    """
    rooms.store.db.forget_unfinished()
    free_snapshots(rooms)
    for organization in (found["id"] for found in rooms.store.organizations.all()):
        within = rooms.store.within(organization)
        within.outcomes.forget_past(organization)
        discard_unfinished(rooms._replace(store=within), organization, most=sys.maxsize)
    rooms.media.sweep(_Known(rooms.store), older_than_seconds)


def free_snapshots(rooms: Rooms) -> None:
    """Drop the media of snapshots that are gone. Raises EngineError, OSError."""
    rooms.media.forget_others({saved.snapshot_id for saved in rooms.store.db.saved()})


def discard_unfinished(rooms: Rooms, organization: str, most: int = 2) -> None:
    """Forget up to `most` uploads that nobody finished within a day, and drop the bytes that have come of them."""
    for upload in rooms.store.assets.forget_unfinished(organization, most):
        if upload["received"]:
            rooms.media.discard(organization, upload["received"]["file"])
        if rooms.media.direct is not None:
            rooms.media.direct.clear(organization, upload["assetId"])


@contextmanager
def freeing(rooms: Rooms) -> Iterator[None]:
    """Drop the bytes that documents knew before the block and none does after it; a later sweep tries again.

    Each of them had come whole, so none is just arriving. To be called in a block of `exclusive`.
    """
    before = {found["id"]: rooms.store.assets.files(found["id"]) for found in rooms.store.organizations.all()}
    yield
    with suppress(EngineError, OSError):
        for organization, files in before.items():
            for file in files - rooms.store.assets.files(organization):
                rooms.media.discard(organization, file)
        sweep(rooms, ARRIVING_SECONDS)


class _Known:
    """Whether documents know a file; it is asked about one organization after the other, and keeps those of one."""

    def __init__(self, store: Store) -> None:
        self._store, self._organization, self._files = store, "", set[str]()

    def __call__(self, organization: str, file: str) -> bool:
        portrait = portrait_in(file)
        if portrait is not None:
            return self._shows(organization, *portrait)
        if organization != self._organization:
            awaited = {upload["assetId"] + INCOMING for upload in self._store.assets.unfinished(organization)}
            self._organization, self._files = organization, self._store.assets.files(organization) | awaited
        return file in self._files

    def _shows(self, organization: str, influencer_id: str, mark: str) -> bool:
        influencer = self._store.tables.get("influencers", organization, influencer_id)
        return influencer is not None and portrait_mark(influencer) == mark


class Housekeeping:
    """Tidies now and then, in a thread of its own: whichever request comes when it is due lets it begin."""

    def __init__(self, rooms: Rooms, every_seconds: float = TIDY_EVERY_SECONDS) -> None:
        self._rooms, self._every_seconds = rooms, every_seconds
        self._turn = threading.Lock()
        self._due = self._next()

    def look(self) -> None:
        if time.monotonic() >= self._due and self._turn.acquire(blocking=False):
            self._due = self._next()
            threading.Thread(target=self._tidy, daemon=True).start()

    def _tidy(self) -> None:
        try:
            tidy(self._rooms)
        finally:
            self._turn.release()

    def _next(self) -> float:
        # Not all workers at the same time: they would only wait for each other.
        return time.monotonic() + self._every_seconds * random.uniform(0.5, 1.5)  # noqa: S311


def refuse_public_demo_key(store: Store, settings: Settings, host: str) -> None:
    """Raises StartError when strangers could come in with the key that everybody knows."""
    if settings.allow_demo_key or is_loopback(host) or not has_demo_key(store):
        return
    raise StartError(
        f"Refusing to listen on {host} while the demo key is active, for everybody knows it: "
        f"run `flask keys delete {DEMO_KEY_ID}`, or set STANDIN_ALLOW_DEMO_KEY=1 if that is what you want."
    )


def has_demo_key(store: Store) -> bool:
    """Whether the key that everybody knows opens this store."""
    key = store.keys.find(DEMO_KEY_ID)
    return key is not None and not key["killSwitch"]


@lru_cache(16)
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address, given without a port."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def greeting(settings: Settings, addresses: list[str], demo_key: bool) -> str:
    """Return the lines that say where the service listens and, if its demo key works, how to make a first call."""
    documents = settings.data if settings.store is None else "the database of STANDIN_STORE"  # may have a password
    pictures = settings.data if settings.media is None else "the bucket of STANDIN_MEDIA"
    places = " and ".join(dict.fromkeys([str(documents), str(pictures)]))
    where = f"The Layers stand-in listens on {', '.join(addresses)} and keeps its data in {places}.\n"
    if not demo_key:
        return where
    return f"{where}Demo key: {DEMO_KEY}\nTry: curl {addresses[0]}/v1/whoami -H 'X-Api-Key: {DEMO_KEY}'\n"
