"""One line a request on standard output: never a secret, never a body, never a query."""

import contextlib
import re
import sys
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

import orjson


class Line(NamedTuple):
    """The logged facts of a request; `key_id` is the public part of its key, None without a valid one."""

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


# Secrets: those of keys, and the signatures that allow an upload, must not be in any log.

# As they are, and as a client may have written them in a URL or in JSON.
_BAR, _SLASH = r"(?:_|(?i:%5f|\\u005f))", r"(?:/|(?i:%2f|\\/|\\u002f))"
_KEY_HEAD = rf"lp{_BAR}(?:live|test){_BAR}[0-9A-Z]{{16}}{_BAR}"
_UPLOAD_HEAD = rf"v1{_SLASH}+uploads{_SLASH}+"
_KEY = re.compile(rf"({_KEY_HEAD})(?:[0-9A-Za-z_-]|{_BAR}|(?i:%2d|\\u002d)){{10,}}")
_SIGNATURE = re.compile(rf"({_UPLOAD_HEAD})(?:[^\s\"'\\&]|\\u)+")
_REDACTED = re.compile(rf"(?:{_KEY_HEAD}|{_UPLOAD_HEAD})\*\*\*")


def redacted(text: str) -> str:
    """Return a text with `***` in place of each secret; the public part of a key stays."""
    if "lp_" in text or "lp%5" in text or "lp\\u005" in text:  # a look for it is cheaper than an expression
        text = _KEY.sub(r"\1***", text)
    return _SIGNATURE.sub(r"\1***", text) if "uploads" in text else text


def is_redacted(text: str) -> bool:
    """Whether a text contains `***` in place of a secret, so that it is not the original."""
    return _REDACTED.search(text) is not None
