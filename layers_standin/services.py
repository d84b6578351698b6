"""Open the store and the media of the settings, and seed a new store."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from layers_standin.application import IS_INSTALLED
from layers_standin.domain.keys import DEMO_KEY, public_id_of
from layers_standin.domain.tables import INDEXES
from layers_standin.domain.times import utc_now
from layers_standin.engines.copying import is_unfinished
from layers_standin.engines.disk import Disk
from layers_standin.engines.errors import EngineError
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Engine
from layers_standin.media.folder import FolderStorage
from layers_standin.media.storage import MediaStorage
from layers_standin.seed import load_seed, read_seed
from layers_standin.settings import Settings, StartError
from store import Store

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
def starting() -> Iterator[None]:
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
        with starting():
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
    with starting():
        return Postgres(url, indexes=INDEXES)


def open_store(settings: Settings) -> Store:
    """Open the store of the settings. Raises StartError."""
    db = open_folder(settings) if settings.store is None else open_database(settings.store)
    with starting():
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
    with starting():
        return open_bucket(settings.media, settings.max_picture_pixels)


def open_services(settings: Settings) -> Services:
    """Open store and media, and fill a new store from the seed. Raises StartError."""
    return open_and_fill(settings)[0]


def open_and_fill(settings: Settings) -> tuple[Services, bool]:
    """Return the services, and whether the store was empty."""
    with starting():  # damage may show only at a read
        # Not Path.exists, which raises for a folder that may not be read: it is refused when it is opened.
        if settings.seed is not None and settings.store is None and not os.path.exists(settings.data / DATABASE):
            read_seed(settings.seed, utc_now())  # an invalid one leaves no new folder behind
        services = Services(open_store(settings), open_media(settings), settings)
        is_new = services.store.is_empty()
        if settings.seed is not None and is_new:
            load_seed(settings.seed, services.store, services.media)
        return services, is_new


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
