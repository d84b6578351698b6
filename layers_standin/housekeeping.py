"""Remove expired documents, and files that no document references."""

import logging
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from layers_standin.domain.pictures import portrait_mark
from layers_standin.engines.errors import EngineError
from layers_standin.media.storage import INCOMING, portrait_in
from layers_standin.services import Services
from store import Store

logger = logging.getLogger("standin")

ORPHAN_AGE_SECONDS = 24 * 60 * 60
UPLOAD_SECONDS = 15 * 60  # an upload, and the wait for its document, take less
HOUSEKEEPING_EVERY_SECONDS = 60 * 60
HOUSEKEEPING_PATIENCE_SECONDS = 3.0  # the wait for other `exclusive` blocks


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

    def _is_current_portrait(self, organization: str, owner: str, mark: str) -> bool:
        """Whether a portrait is that of an influencer, or the avatar of a social account."""
        influencer = self._store.tables.table("influencers", organization).get(doc_id=owner)
        if influencer is not None:
            return portrait_mark(influencer) == mark
        account = self._store.tables.table("social_accounts", organization).get(doc_id=owner)
        return account is not None and account["token"] == mark


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
