"""Rate limits: how many requests a key may make in a minute, by its tier and the class of the endpoint.

Counted by the `limits` library in the store itself: so all workers count together, and a restart forgets nothing.
A window is a whole minute of the clock, or a whole UTC day, so the time left is known to the second.
"""

import math
from collections.abc import Callable
from functools import partial
from operator import itemgetter

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from layers_standin.domain.tables import Tables
from layers_standin.engines.errors import EngineError
from layers_standin.engines.table import Record
from layers_standin.settings import Settings
from layers_standin.web.errors import RateLimited
from store import Store

Headers = list[tuple[str, str]]
Limits = Callable[[Store, Record, str], Headers]

PER_MINUTE: dict[str, dict[str, int]] = {
    "standard": {"read-light": 120, "write-light": 60, "long-running": 20},
    "pilot": {"read-light": 1_200, "write-light": 600, "long-running": 60},
    "partner": {"read-light": 6_000, "write-light": 3_000, "long-running": 300},
}
WRITES_PER_DAY: dict[str, int] = {"standard": 10_000, "pilot": 100_000, "partner": 500_000}


def rate_limits(settings: Settings) -> Limits | None:
    """Return `count(store, key, endpoint_class) -> headers`, or None when requests are not limited.

    Each call counts one request. Raises RateLimited.
    """
    if not settings.rate_limits:
        return None

    def count(store: Store, key: Record, endpoint_class: str) -> Headers:
        limiter = FixedWindowRateLimiter(TableStorage(store.tables))  # its own, for it goes by the caller's clock
        windows: list[tuple[int, Headers]] = []
        for item in items_for(key["rateLimitTier"], endpoint_class):
            allowed = limiter.hit(item, key["apiKeyId"], endpoint_class)
            reset, left = limiter.get_window_stats(item, key["apiKeyId"], endpoint_class)
            told = _headers(item, left, reset)
            if not allowed:
                raise RateLimited(endpoint_class, told, max(1, math.ceil(reset - store.now().timestamp())))
            windows.append((left, told))
        return min(windows, key=itemgetter(0))[1]  # the one that will stop the client first

    return count


def items_for(tier: str, endpoint_class: str) -> list[RateLimitItem]:
    """Return the limits of a tier for a class of endpoints."""
    minute = RateLimitItemPerMinute(PER_MINUTE[tier][endpoint_class])
    return [minute, RateLimitItemPerDay(WRITES_PER_DAY[tier])] if endpoint_class == "write-light" else [minute]


def _headers(item: RateLimitItem, left: int, reset: float) -> Headers:
    return [
        ("X-RateLimit-Limit", str(item.amount)),
        ("X-RateLimit-Remaining", str(left)),
        ("X-RateLimit-Reset", str(math.ceil(reset))),
    ]


def _is_in(counter: Record, now: float) -> bool:
    """Whether a moment is in a counter's window. One that begins later was left by a clock that was set back."""
    return bool(counter["until"] - counter["seconds"] <= now < counter["until"])


class TableStorage(Storage):
    """The counters of `limits` as documents {"id", "count", "until", "seconds"}.

    A window is so many seconds long, and ends `until` seconds after 1970.
    """

    STORAGE_SCHEME = None

    def __init__(self, tables: Tables) -> None:
        super().__init__()
        self._tables = tables

    @property
    def base_exceptions(self) -> type[Exception]:
        return EngineError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count in the window that now is in; windows begin at whole multiples of their length."""
        return self._tables.db.run_transaction(partial(self._incr, key, expiry, amount))

    def _incr(self, key: str, expiry: float, amount: int) -> int:
        with self._tables.db.transaction():
            until = (self._now() // expiry + 1) * expiry
            counter = dict(self._live(key) or {"id": key, "count": 0, "until": until, "seconds": expiry})
            counter["count"] += amount
            self._tables.table("rate_limits", key).upsert(counter)
            return int(counter["count"])

    def get(self, key: str) -> int:
        counter = self._live(key)
        return counter["count"] if counter else 0

    def get_expiry(self, key: str) -> float:
        counter = self._live(key)
        return counter["until"] if counter else self._now()

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        return None

    def clear(self, key: str) -> None:
        self._tables.table("rate_limits", key).remove(doc_ids=[key])

    def _live(self, key: str) -> Record | None:
        counter = self._tables.table("rate_limits", key).get(doc_id=key)
        return counter if counter and _is_in(counter, self._now()) else None

    def _now(self) -> float:
        return self._tables.now().timestamp()
