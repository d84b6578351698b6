"""The clock of an organization, or of all: the real one until a command stops or shifts it.

A clock is {"mode": "real"}, {"mode": "frozen", "frozenMs"} or {"mode": "offset", "offsetMs"}.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds
from layers_standin.engines.table import Record

Clock = Mapping[str, Any]

REAL: Clock = {"mode": "real"}
LATEST_MS = 253_399_622_400_000  # 9999-12-01: a time after it, such as an expiry, can be written too


def is_frozen(clock: Clock) -> bool:
    return bool(clock["mode"] == "frozen")


def frozen(at_ms: int) -> Record:
    return {"mode": "frozen", "frozenMs": _clamped(at_ms)}


def shifted(offset_ms: int) -> Record:
    return {"mode": "offset", "offsetMs": min(max(offset_ms, -LATEST_MS), LATEST_MS)}


def advance(clock: Clock, by_ms: int) -> Record:
    """Return the clock advanced by `by_ms`; a frozen clock stays frozen, any other continues from the new time."""
    if clock["mode"] == "frozen":
        return frozen(clock["frozenMs"] + by_ms)
    return shifted(clock.get("offsetMs", 0) + by_ms)


def time_by(clock: Clock, real: datetime) -> datetime:
    """Return the time that a clock shows at the real time `real`, from 1970 to the year 9999."""
    if clock["mode"] == "frozen":
        return from_epoch_milliseconds(clock["frozenMs"])
    if clock["mode"] == "offset":
        return from_epoch_milliseconds(_clamped(epoch_milliseconds(real) + clock["offsetMs"]))
    return real


def _clamped(moment_ms: int) -> int:
    return min(max(moment_ms, 0), LATEST_MS)
