"""One line a request on standard output: never a secret, never a body, never a query."""

import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

import orjson

log = logging.getLogger("standin.access")


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
    return f"{time} {line.request_id} {line.key_id or '-'} {line.method} {path} {line.status} {line.milliseconds:.1f}ms"


def as_json(line: Line) -> str:
    return orjson.dumps(line._asdict() | {"milliseconds": round(line.milliseconds, 1)}).decode()


STYLES: dict[str, Callable[[Line], str]] = {"plain": plain, "json": as_json}


def access_log(style: str) -> Callable[[Line], None]:
    """Return the function that writes a line in one of the STYLES."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.propagate = False
    log.setLevel(logging.INFO)
    render = STYLES[style]
    return lambda line: log.info(render(line))
