"""Rate limits: how many requests a key may make in a minute, by its tier and the class of the endpoint.

The counters are documents of the store: all workers count together, and a restart forgets nothing.
A window is a whole minute of the clock, or a whole UTC day, so the time left is known to the second.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

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


class Window(NamedTuple):
    """A limit: at most `max` requests in `seconds`. A window begins at a whole multiple of its length since 1970."""

    counter_id: str
    seconds: int
    max: int


def rate_limits(settings: Settings) -> Limits | None:
    """Return `count_request`, or None when requests are not limited."""
    return count_request if settings.rate_limits else None


def count_request(store: Store, key: Record, endpoint_class: str) -> Headers:
    """Count one request of a key; return the headers of the limit that the client will reach first.

    `endpoint_class` is one of PER_MINUTE's. Raises RateLimited; a refused request is counted too.
    """
    windows = windows_of(key, endpoint_class)
    counters, now = store.db.run_transaction(partial(_count, store, key["organizationId"], windows))
    remaining, limit, until = min(
        (window.max - counter["count"], window.max, counter["until"])
        for window, counter in zip(windows, counters, strict=False)  # a full minute leaves its day out
    )
    headers = [
        ("X-RateLimit-Limit", str(limit)),
        ("X-RateLimit-Remaining", str(max(remaining, 0))),
        ("X-RateLimit-Reset", str(math.ceil(until))),
    ]
    if remaining < 0:
        raise RateLimited(endpoint_class, headers, math.ceil(until - now))
    return headers


def windows_of(key: Record, endpoint_class: str) -> list[Window]:
    """Return the windows of a request: its minute, and for light writes its day too."""
    tier, counter_id = key["rateLimitTier"], f"{key['apiKeyId']}/{endpoint_class}"
    minute = Window(f"{counter_id}/minute", 60, PER_MINUTE[tier][endpoint_class])
    if endpoint_class != "write-light":
        return [minute]
    return [minute, Window(f"{counter_id}/day", 24 * 60 * 60, WRITES_PER_DAY[tier])]


def add_request(window: Window, counter: Record | None, now: float) -> Record:
    """Return the window's counter with one more request; a new counter when `now` is outside the given one.

    A counter is {"id", "count", "until", "seconds"}: it counts for `seconds`, and ends `until` seconds after 1970.
    """
    # A counter that begins later than now was left by a clock that was set back.
    if counter is None or not counter["until"] - counter["seconds"] <= now < counter["until"]:
        until = int(now // window.seconds + 1) * window.seconds
        return {"id": window.counter_id, "count": 1, "until": until, "seconds": window.seconds}
    return counter | {"count": counter["count"] + 1}


def _count(store: Store, organization: str, windows: Sequence[Window]) -> tuple[list[Record], float]:
    """Count a request in its windows up to the first full one; return their counters, and the time."""
    counters: list[Record] = []
    with store.db.transaction():
        found = store.db.read_many([("rate_limits", organization, window.counter_id) for window in windows])
        now = store.now().timestamp()  # not before the read, which may have waited for a request of the next minute
        for window, counter in zip(windows, found, strict=True):
            counters.append(add_request(window, counter, now))
            store.tables.put("rate_limits", counters[-1] | {"organizationId": organization})
            if counters[-1]["count"] > window.max:
                break
    return counters, now
