"""The deliverer: a thread of each worker, of which one at a time, on any host, posts what is due.

It takes what is due from ordered indexes and notes it, posts it with no transaction open, and records the answers: of
each endpoint one delivery at a time, in order; of all endpoints many at once. Killed at any step, its successor posts
again what was not recorded, with the same event id.
"""

import asyncio
import atexit
import logging
import threading
import time
from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

import orjson

from layers_standin.domain.clocks import is_frozen
from layers_standin.domain.deliveries import Answer
from layers_standin.engines.errors import EngineError
from layers_standin.engines.table import Engine
from layers_standin.services import Services
from layers_standin.webhooks.lease import Lease, LeaseLost
from layers_standin.webhooks.queue import Attempt, Queue
from layers_standin.webhooks.signing import signature

logger = logging.getLogger("standin")

WATCH_SECONDS = 1.0  # between looks for the first endpoint, and for a lease that became free
POLL_SECONDS = 0.05  # between looks for what other processes have filed
LOOK_SHARE = 10  # a look takes at most this part of the time between looks
AT_ONCE = 200  # deliveries under way
FAREWELL_SECONDS = 2.0  # for the deliveries under way, when the process ends

_deliverers: WeakKeyDictionary[Engine, "Deliverer"] = WeakKeyDictionary()
_starting = threading.Lock()


def start_deliverer(services: Services) -> "Deliverer":
    """Start this process's deliverer of a store, unless it runs, and return it."""
    db = services.store.db
    with _starting:
        found = _deliverers.get(db)
        if found is None or not found.is_alive:
            found = _deliverers[db] = Deliverer(services)
            found.start()
        return found


@atexit.register
def stop_deliverers() -> None:
    """Let the deliverers of this process finish what is under way, and leave the rest to others."""
    for deliverer in list(_deliverers.values()):
        deliverer.stop()


class Deliverer:
    """The deliverer of one process for a store."""

    def __init__(self, services: Services) -> None:
        self._store, self._allowed = services.store, services.settings.webhook_targets
        self._lease = Lease(services.store, "deliverer")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="webhooks", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None

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
            self._thread.join(FAREWELL_SECONDS + 1)

    def wake(self) -> None:
        """Let it look at once for what is due, if it is this process that delivers."""
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None:
            with suppress(RuntimeError):  # its loop has just been closed
                loop.call_soon_threadsafe(wake.set)

    def _watch(self) -> None:
        """Deliver whenever there are endpoints and the lease is ours."""
        while not self._must_end():
            try:
                if self._organizations() and self._lease.hold():
                    asyncio.run(self._deliver())
                    continue
            except LeaseLost:
                pass
            except EngineError as error:
                logger.warning("Webhooks wait: %s", error)
            except Exception:
                logger.exception("Webhooks wait")
            self._stopping.wait(WATCH_SECONDS)

    def _organizations(self) -> list[str]:
        """Return the organizations that have endpoints, in one trip."""
        return [found["organizationId"] for found in self._store.db.read_each("webhook_endpoints")]

    async def _deliver(self) -> None:
        """Deliver until there are no endpoints, the lease is lost, or the process ends."""
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        under_way: dict[asyncio.Task[Answer], Attempt] = {}
        try:
            while (organizations := self._organizations()) and self._lease.hold() and not self._must_end():
                began = time.monotonic()
                attempts, pause = self._round(organizations, under_way, AT_ONCE)
                for attempt in attempts:
                    under_way[asyncio.create_task(self._attempt(attempt))] = attempt
                await self._rest(max(pause, LOOK_SHARE * (time.monotonic() - began)), under_way)
        finally:
            await self._finish(under_way)

    def _must_end(self) -> bool:
        return self._stopping.is_set() or self._store.db.is_closed

    def _round(
        self, organizations: list[str], under_way: dict[asyncio.Task[Answer], Attempt], at_once: int
    ) -> tuple[list[Attempt], float]:
        """Record the answers that have come, and take what is due, up to `at_once` under way; return (attempts, seconds
        until the next is due).
        """
        answers: dict[str, list[tuple[Attempt, Answer]]] = {}
        for task in [task for task in under_way if task.done()]:
            attempt = under_way.pop(task)
            answers.setdefault(attempt.organization, []).append((attempt, task.result()))
        busy = {attempt.endpoint_id for attempt in under_way.values()}
        taken: list[Attempt] = []
        pause = POLL_SECONDS
        for organization in {*organizations, *answers}:
            store = self._store.for_organization(organization)
            queue, answered = Queue(store), answers.get(organization, [])
            next_ms = queue.next_ms()
            until_next = POLL_SECONDS if next_ms is None else (next_ms - store.now_ms()) / 1000
            if until_next <= 0 or answered:
                queue.announce()
                room = at_once - len(under_way) - len(taken)
                taken += store.db.run_transaction(partial(self._turn, queue, answered, busy, room))
            elif not is_frozen(store.overrides.clock):
                pause = min(pause, until_next)
        return taken, pause

    def _turn(self, queue: Queue, answered: list[tuple[Attempt, Answer]], busy: set[str], room: int) -> list[Attempt]:
        """Record an organization's answers and take what is due, in one transaction, or none. Raises LeaseLost."""
        if not (answered or queue.due(busy, 1)):
            return []
        with self._store.db.transaction():
            self._lease.check()
            for attempt, answer in answered:
                queue.record(attempt, answer)
            return queue.take(queue.due(busy, room))

    async def _attempt(self, attempt: Attempt) -> Answer:
        """Post a delivery; whatever goes wrong is an answer."""
        from layers_standin.webhooks.sender import send  # noqa: PLC0415 - only those with endpoints need its client

        event = attempt.delivery["event"]
        body = orjson.dumps(event)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "layers-stand-in",
            "X-Layers-Event-Id": event["id"],
            # By the real time, whatever the organization's clock says: receivers compare it with their own.
            "X-Layers-Signature": signature(attempt.secrets, body, int(time.time())),
        }
        try:
            return await send(attempt.url, headers, body, self._allowed)
        except Exception as error:
            logger.exception("A delivery failed in an unforeseen way")
            return Answer(None, f"Not sent: {type(error).__name__}.")

    async def _rest(self, seconds: float, under_way: dict[asyncio.Task[Answer], Attempt]) -> None:
        """Wait for an answer, for `wake`, or for so long."""
        assert self._wake is not None  # noqa: S101 - for the type checker
        waking = asyncio.create_task(self._wake.wait())
        await asyncio.wait([waking, *under_way], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()
        self._wake.clear()

    async def _finish(self, under_way: dict[asyncio.Task[Answer], Attempt]) -> None:
        """Record the answers that come within FAREWELL_SECONDS, give up the others, and leave the lease."""
        self._loop = None
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=FAREWELL_SECONDS)
            for task in late:
                task.cancel()
                del under_way[task]
        with suppress(EngineError, LeaseLost):
            self._round([], under_way, 0)
            self._lease.release()
