"""One line a request on standard output: never a secret, never a body, never a query."""

import contextlib
import sys
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

import orjson


class Line(NamedTuple):
    """What is said of a request; `key_id` is the public part of its key, None without a valid one."""

    time: datetime
    request_id: str
    key_id: str | None
    method: str
    path: str
    status: int
    milliseconds: float


def plain(line: Line) -> str:
    """Return `2026-04-18T09:18:44.120+00:00 req_… DEM0… PATCH /v1/influencers/inf_… 200 1.3ms`."""
    time = line.time.isoformat(timespec="milliseconds")
    path = quote(line.path)  # a line break in a path must not begin a line of the log
    key_id = line.key_id or "-"
    return f"{time} {line.request_id} {key_id} {line.method} {path} {line.status} {line.milliseconds:.1f}ms\n"


def as_json(line: Line) -> str:
    return orjson.dumps(line._asdict() | {"milliseconds": round(line.milliseconds, 1)}).decode() + "\n"


STYLES: dict[str, Callable[[Line], str]] = {"plain": plain, "json": as_json}


def access_log(style: str) -> Callable[[Line], None]:
    """Return the function that writes a line in one of the STYLES.

    Written whole and at once, so that lines of several workers do not mix; a reader that has gone away
    must not fail a request. `logging` would do the same at five times the cost of a read of the store.
    """
    render = STYLES[style]

    def write(line: Line) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(render(line))
            sys.stdout.flush()

    return write
