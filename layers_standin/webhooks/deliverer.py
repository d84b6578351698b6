"""The deliverer: posts what is due, as long as its process has the lease; see `watcher.py`.

It takes what is due from ordered indexes and notes it, posts it with no transaction open, and records the answers: of
each endpoint one delivery at a time, in order; of all endpoints many at once. Killed at any step, its successor posts
again what was not recorded, with the same event id.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial

import orjson

from layers_standin.domain.clocks import is_frozen
from layers_standin.domain.deliveries import Answer
from layers_standin.domain.faults import LOST, TWICE
from layers_standin.engines.errors import EngineError
from layers_standin.services import Services
from layers_standin.webhooks.lease import Lease, LeaseLost
from layers_standin.webhooks.queue import Attempt, Queue
from layers_standin.webhooks.sender import send
from layers_standin.webhooks.signing import signature

logger = logging.getLogger("standin")

POLL_SECONDS = 0.1  # between looks for what other processes have filed
LOOK_SHARE = 10  # the time between looks is at least so many times that of a look
AT_ONCE = 200  # deliveries under way
FAREWELL_SECONDS = 2.0  # for the deliveries under way, when the process ends

UnderWay = dict["asyncio.Task[Answer | None]", Attempt]


class Deliverer:
    """Delivers for a store while `lease` is ours, until `must_end()`."""

    def __init__(self, services: Services, lease: Lease, must_end: Callable[[], bool]) -> None:
        self._store, self._allowed = services.store, services.settings.webhook_targets
        self._lease, self._must_end = lease, must_end
        self._rounds = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: asyncio.Event | None = None

    def run(self) -> None:
        """Deliver until there are no endpoints. Raises LeaseLost, EngineError."""
        asyncio.run(self._deliver())

    def wake(self) -> None:
        """Look at once for what is due; for any thread."""
        if self._loop is not None and self._woken is not None:
            with suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._woken.set)

    async def _deliver(self) -> None:
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        under_way: UnderWay = {}
        try:
            while (organizations := self._organizations()) and not self._must_end():
                if not self._lease.hold():
                    raise LeaseLost
                began = time.monotonic()
                attempts, pause = self._round(organizations, under_way, AT_ONCE)
                for attempt in attempts:
                    under_way[asyncio.create_task(self._attempt(attempt))] = attempt
                if pause > 0:
                    pause = max(pause, LOOK_SHARE * (time.monotonic() - began))
                await self._rest(pause, under_way)
        finally:
            await self._finish(under_way)

    def _organizations(self) -> list[str]:
        """Return the organizations that have endpoints, in one trip."""
        return [found["organizationId"] for found in self._store.db.read_each("webhook_endpoints")]

    def _round(self, organizations: list[str], under_way: UnderWay, at_once: int) -> tuple[list[Attempt], float]:
        """Record the answers that have come, and take what is due, up to `at_once` under way; return (attempts, seconds
        until the next is due).
        """
        answers: dict[str, list[tuple[Attempt, Answer]]] = {}
        for task in [task for task in under_way if task.done()]:
            attempt = under_way.pop(task)
            answer = task.result()
            if answer is not None:
                answers.setdefault(attempt.organization, []).append((attempt, answer))
        busy = {attempt.endpoint_id for attempt in under_way.values()}
        taken: list[Attempt] = []
        pause = POLL_SECONDS
        for organization in self._in_turn({*organizations, *answers}):
            store = self._store.for_organization(organization)
            queue, answered = Queue(store), answers.get(organization, [])
            next_ms = queue.announce()
            until_next = POLL_SECONDS if next_ms is None else (next_ms - store.now_ms()) / 1000
            if until_next <= 0 or answered:
                # What has just failed may be due again, and then before what follows: the next look will show.
                failed = {attempt.endpoint_id for attempt, answer in answered if not answer.is_success}
                room = at_once - len(under_way) - len(taken)
                taken += store.db.run_transaction(partial(self._turn, queue, answered, busy | failed, room))
                pause = 0 if failed else pause
            elif not is_frozen(store.overrides.clock):
                pause = min(pause, until_next)
        return taken, pause

    def _in_turn(self, organizations: Collection[str]) -> list[str]:
        """Return the organizations, in each round another one first, so that none takes all the room for itself."""
        self._rounds += 1
        first = self._rounds % max(1, len(organizations))
        ordered = sorted(organizations)
        return ordered[first:] + ordered[:first]

    def _turn(self, queue: Queue, answered: list[tuple[Attempt, Answer]], busy: set[str], room: int) -> list[Attempt]:
        """Record an organization's answers and take what is due, in one transaction, or none. Raises LeaseLost."""
        due = queue.due(busy, room, {attempt.delivery["id"] for attempt, _ in answered})
        if not (answered or due):
            return []
        with self._store.db.transaction():
            self._lease.check()
            for attempt, answer in answered:
                queue.record(attempt, answer)
            return queue.take(due)

    async def _attempt(self, attempt: Attempt) -> Answer | None:
        """Post a delivery; whatever goes wrong is an answer. None if the process ended meanwhile."""
        if attempt.effect == LOST:
            return Answer(None, "Lost by an injected fault.")
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
            if attempt.effect == TWICE:
                await send(attempt.url, headers, body, self._allowed)
            return await send(attempt.url, headers, body, self._allowed)
        except Exception as error:
            if self._must_end():  # without an interpreter, names are not resolved
                return None
            logger.exception("A delivery failed in an unforeseen way")
            return Answer(None, f"Not sent: {type(error).__name__}.")

    async def _rest(self, seconds: float, under_way: UnderWay) -> None:
        """Wait for an answer, for `wake`, or for so long."""
        assert self._woken is not None  # noqa: S101 - for the type checker
        waking = asyncio.create_task(self._woken.wait())
        await asyncio.wait([waking, *under_way], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waking.cancel()
        self._woken.clear()

    async def _finish(self, under_way: UnderWay) -> None:
        """Record the answers that come within FAREWELL_SECONDS, and give up the others."""
        self._loop = None
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=FAREWELL_SECONDS)
            for task in late:
                task.cancel()
                del under_way[task]
        with suppress(EngineError, LeaseLost):
            self._round([], under_way, 0)
