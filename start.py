"""From settings to an open, seeded store: what every way of starting has in common."""

import logging
import sys
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from engines.disk import Disk
from engines.errors import EngineError
from engines.journal import Journal
from media.files import MediaFolder
from records.formats import FORMAT, UPGRADES
from records.keys import DEMO_KEY, public_id_of
from records.tables import LISTS
from seed import plant
from settings import Settings, StartError
from store import Store

logger = logging.getLogger("standin")

ORPHANS_KEPT_SECONDS = 24 * 60 * 60
DEMO_KEY_ID = public_id_of(DEMO_KEY)


class Rooms(NamedTuple):
    """What the service works with: the open store, the folder of its media, and how both were asked for."""

    store: Store
    media: MediaFolder
    settings: Settings


def journal_in(folder: Path, disk: Disk | None = None) -> Journal:
    """Open the store of a folder, brought to today's format. Raises OSError, EngineError."""
    return Journal(folder, lists=LISTS, disk=disk, version=FORMAT, upgrades=UPGRADES)


def open_journal(settings: Settings) -> Journal:
    """Open the store's file. Raises StartError."""
    try:
        return journal_in(settings.data, Disk(settings.sync))
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
    rooms = Rooms(
        Store(open_journal(settings), job_ms=round(settings.job_seconds * 1000)), open_media(settings), settings
    )
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
    where = f"The Layers stand-in listens on {', '.join(addresses)} and keeps its data in {settings.data}.\n"
    if not demo_key:
        return where
    return f"{where}Demo key: {DEMO_KEY}\nTry: curl {addresses[0]}/v1/whoami -H 'X-Api-Key: {DEMO_KEY}'\n"
