"""From settings to an open, seeded store: what every way of starting has in common."""

import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from engines.copying import is_unfinished
from engines.disk import Disk
from engines.errors import EngineError
from engines.sqlite.engine import SQLite
from engines.table import Engine
from media.files import MediaFolder
from media.room import MediaRoom
from records.keys import DEMO_KEY, public_id_of
from records.tables import LISTS
from seed import plant
from settings import Settings, StartError
from store import Store

logger = logging.getLogger("standin")

ORPHANS_KEPT_SECONDS = 24 * 60 * 60
DEMO_KEY_ID = public_id_of(DEMO_KEY)


class Rooms(NamedTuple):
    """What the service works with: the open store, the room of its media, and how both were asked for."""

    store: Store
    media: MediaRoom
    settings: Settings


@contextmanager
def _starting() -> Iterator[None]:
    """Let what an engine says on purpose be why there is no start."""
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
    if is_unfinished(db):
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


def tidy(rooms: Rooms) -> None:
    """Drop bytes that nobody refers to, once at start: no reason not to start if that fails.
    """
    try:
        sweep(rooms)
    except (EngineError, OSError) as error:
        logger.warning("Not tidied: %s", error)


def sweep(rooms: Rooms) -> None:
    """Forget uploads that nobody finished within a day of their organization's clock, and drop orphaned bytes.

    Those go by the clock of the file system: no document says whose they are. Raises EngineError, OSError.
    """
    awaited = set()
    for organization in (found["id"] for found in rooms.store.organizations.all()):
        assets = rooms.store.within(organization).assets
        for file in assets.forget_unfinished(organization, most=sys.maxsize):
            rooms.media.discard(organization, file)
        awaited |= {(organization, file) for file in assets.unfinished_files(organization)}

    def is_known(organization: str, file: str) -> bool:
        return (organization, file) in awaited or rooms.store.assets.has_file(organization, file)

    rooms.media.sweep(is_known, ORPHANS_KEPT_SECONDS)


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
