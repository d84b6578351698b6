"""The watcher: a thread of each process that has the service, of which one at a time, on any host, delivers.

It looks every WATCH_SECONDS whether there are endpoints, and then for the lease. A process without the lease goes on
looking, so that it takes over when the deliverer is killed, hangs or its host goes.
"""

import atexit
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from layers_standin.engines.errors import EngineError
from layers_standin.engines.table import Engine
from layers_standin.services import Services
from layers_standin.webhooks.lease import DELIVERER, Lease, LeaseLost

if TYPE_CHECKING:
    from layers_standin.webhooks.deliverer import Deliverer

logger = logging.getLogger("standin")

WATCH_SECONDS = 1.0
FAREWELL_SECONDS = 3.0  # for the deliveries under way, when the process ends

_watchers: WeakKeyDictionary[Engine, "Watcher"] = WeakKeyDictionary()
_starting = threading.Lock()


def start_watching(services: Services) -> "Watcher":
    """Start this process's watcher of a store, unless it runs, and return it."""
    db = services.store.db
    with _starting:
        found = _watchers.get(db)
        if found is None or not found.is_alive:
            found = _watchers[db] = Watcher(services)
            found.start()
        return found


def wake_watcher(services: Services) -> None:
    """Let this process's watcher of a store look at once for what is due, if it has one."""
    found = _watchers.get(services.store.db)
    if found is not None:
        found.wake()


@atexit.register
def stop_watching() -> None:
    """Let the watchers of this process finish what is under way, and leave the rest to others."""
    for watcher in list(_watchers.values()):
        watcher.stop()


class Watcher:
    """The watcher of one process for a store."""

    def __init__(self, services: Services) -> None:
        self._services, self._db = services, services.store.db
        self._lease = Lease(services.store, DELIVERER)
        self._stopping, self._woken = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="webhooks", daemon=True)
        self._deliverer: Deliverer | None = None

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is under way has FAREWELL_SECONDS to end."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join(FAREWELL_SECONDS)

    def wake(self) -> None:
        """Let it look at once for what is due, if it is this process that delivers, or for the lease."""
        self._woken.set()
        deliverer = self._deliverer
        if deliverer is not None:
            deliverer.wake()

    def must_end(self) -> bool:
        """Whether the process ends, or the store is closed."""
        return self._stopping.is_set() or self._db.is_closed

    def _watch(self) -> None:
        said = ""
        while not self.must_end():
            try:
                if self._db.read_each("webhook_endpoints") and self._lease.hold():
                    self._deliver()
                said = ""
            except LeaseLost:
                logger.info("Another process delivers the webhooks from now on.")  # the first to ask, after a reset
            except EngineError as error:
                if str(error) != said:  # once, and not every second
                    logger.warning("Webhooks wait: %s", error)
                said = str(error)
            except Exception:
                logger.exception("Webhooks wait.")
            self._woken.wait(WATCH_SECONDS)
            self._woken.clear()
        with suppress(EngineError):
            self._lease.release()

    def _deliver(self) -> None:
        from layers_standin.webhooks.deliverer import Deliverer  # noqa: PLC0415 - most have no endpoint

        self._deliverer = Deliverer(self._services, self._lease, self.must_end)
        try:
            self._deliverer.run()
        finally:
            self._deliverer = None
