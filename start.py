"""From settings to an open, seeded store: what every way of starting has in common."""

import logging
from ipaddress import ip_address
from typing import NamedTuple

from engines.disk import Disk
from engines.errors import EngineError
from engines.journal import Journal
from media.files import MediaFolder
from seed import plant
from settings import Settings, StartError
from store import DEMO_KEY, LISTS, Store

logger = logging.getLogger("standin")

ORPHANS_KEPT_SECONDS = 24 * 60 * 60
DEMO_KEY_ID = DEMO_KEY.split("_")[2]


class Rooms(NamedTuple):
    """The open store and the folder of its media."""

    store: Store
    media: MediaFolder


def open_journal(settings: Settings) -> Journal:
    """Open the store's file. Raises StartError."""
    try:
        return Journal(settings.data, lists=LISTS, disk=Disk(settings.sync))
    except EngineError as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(
            f"The data folder {settings.data} cannot be used ({error.strerror}): "
            "make it writable, or set STANDIN_DATA to a folder that is."
        ) from error


def open_media(settings: Settings) -> MediaFolder:
    return MediaFolder(settings.data / "media", Disk(settings.sync))


def open_rooms(settings: Settings) -> Rooms:
    """Open store and media, and fill a new store from the seed. Raises StartError."""
    rooms = Rooms(Store(open_journal(settings)), open_media(settings))
    if settings.seed is not None and rooms.store.is_empty():
        try:
            plant(settings.seed, rooms.store, rooms.media)
        except EngineError as error:
            raise StartError(str(error)) from error
    return rooms


def tidy(rooms: Rooms) -> None:
    """Do what is worth doing once at start: shrink a file that is mostly history, drop bytes nobody refers to.

    Neither is worth not starting for.
    """
    journal = rooms.store.db
    try:
        if isinstance(journal, Journal) and journal.is_wasteful():
            journal.compact()
        rooms.media.sweep(rooms.store.has_asset, ORPHANS_KEPT_SECONDS)
    except (EngineError, OSError) as error:
        logger.warning("Not tidied: %s", error)


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
    key = store.find_key(DEMO_KEY_ID)
    return key is not None and not key["killSwitch"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address, given without a port."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def greeting(settings: Settings, addresses: list[str], demo_key: bool) -> str:
    """Return the lines that say where the service listens and, if its demo key works, how to make a first call."""
    where = f"The Layers stand-in listens on {', '.join(addresses)} and keeps its data in {settings.data}.\n"
    if not demo_key:
        return where
    return f"{where}Demo key: {DEMO_KEY}\nTry: curl {addresses[0]}/v1/whoami -H 'X-Api-Key: {DEMO_KEY}'\n"
