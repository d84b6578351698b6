"""Standard output and error: a line for each request, and other texts; without a secret, and without a wait.

A reader that stops reading (a halted pipe, a terminal after Ctrl-S) would stop each request at its line. A thread that
writes would cost every request a switch of threads, and would not survive gunicorn's forks; so writes are made not to
wait: the writer learns at once that there is no room, and drops the line.
"""

import io
import logging
import os
import re
import select
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote

import orjson

from layers_standin.settings import OFF

_MAX_PATH = 600  # of a line in JSON, whose characters can take six bytes: a pipe takes up to 4,096 bytes as one piece
_STREAMS = ("stdin", "stdout", "stderr")


class Line(NamedTuple):
    """The logged facts of a request.

    `key_id` is the public part of its key, None without a valid one; `fault` the id of its injected fault, or `prefer`.
    """

    time: datetime
    request_id: str
    key_id: str | None
    method: str
    path: str
    status: int
    milliseconds: float
    fault: str | None = None


def plain(line: Line) -> str:
    """Return `2026-04-18T09:18:44.120+00:00 req_… DEM0… PATCH /v1/influencers/inf_… 200 1.3ms`."""
    time = line.time.isoformat(timespec="milliseconds")
    path = quote(line.path, safe="/*")[: 4 * _MAX_PATH]  # a line break in a path must not begin a line of the log
    method = line.method if line.method.isalpha() else quote(line.method)
    key_id = line.key_id or "-"
    fault = f" {line.fault}" if line.fault else ""
    return f"{time} {line.request_id} {key_id} {method[:40]} {path} {line.status} {line.milliseconds:.1f}ms{fault}\n"


def as_json(line: Line) -> str:
    bounded = {"method": line.method[:40], "path": line.path[:_MAX_PATH], "milliseconds": round(line.milliseconds, 1)}
    return orjson.dumps(line._asdict() | bounded).decode() + "\n"


STYLES: dict[str, Callable[[Line], str]] = {"plain": plain, "json": as_json}


def access_log(style: str) -> Callable[[Line], None]:
    """Return the function that writes a line in one of the STYLES, or with `off` writes nothing.

    Written whole and at once, so that lines of several workers do not mix. `logging` would do the same at five times
    the cost of a read of the store.
    """
    if style == OFF:
        return lambda line: None
    render = STYLES[style]
    return lambda line: send(render(line))


def send(text: str) -> None:
    """Write a text on standard output as it is: one without a secret, or the greeting with the key that all know."""
    output = sys.stdout
    if isinstance(output, Output):
        output.send(text)
    else:
        with suppress(OSError, ValueError):
            output.write(text)
            output.flush()


class Output(io.TextIOBase):
    """A text stream on a descriptor. Lines for which there is no room, or no reader, are dropped and counted.

    The next line that can be written comes after a note of the number of dropped ones. `has_records`: each text written
    is a record of a log. Raises nothing.
    """

    encoding = "utf-8"

    def __init__(self, descriptor: int, has_records: bool = True) -> None:
        self._descriptor, self._has_records = descriptor, has_records
        self._may_wait = _may_still_wait(descriptor)
        self._dropped = 0
        self._is_cut = False  # the last line was written in part

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        """Write a text of any origin, without secrets; a line break in a record begins no other record."""
        safe = _CONTROL.sub(lambda found: found[1] or ascii(found[0])[1:-1], redacted(text))
        self.send(safe[:-1].replace("\n", "\n  ") + safe[-1:] if self._has_records else safe)
        return len(text)

    def send(self, text: str) -> None:
        """Write a text as it is."""
        data = text.encode("utf-8", "backslashreplace")
        if self._dropped or self._is_cut:
            data = self._note(text) + data
        try:
            if self._may_wait and not select.select([], [self._descriptor], [], 0)[1]:
                raise BlockingIOError
            written = os.write(self._descriptor, data)
        except (OSError, ValueError):
            self._dropped += text.count("\n")
        else:
            self._dropped, self._is_cut = 0, written < len(data)

    def _note(self, text: str) -> bytes:
        """Return the end of a line that was cut, and the number of lines dropped before `text`, in the style of it."""
        note = '{"dropped":%d}\n' if text.startswith("{") else "%d lines were dropped here, because nobody read them.\n"
        return (b"\n" if self._is_cut else b"") + ((note % self._dropped).encode() if self._dropped else b"")


def replace_standard_streams(environ: Mapping[str, str]) -> None:
    """Put an Output in the place of `sys.stdout` and `sys.stderr`, and have it leave out the secrets of `environ`.

    A stream that a program has put there is left alone.
    """
    global _known  # noqa: PLW0603 - of the process, as its environment and streams are
    _known = secrets_of(environ)
    for descriptor in range(len(_STREAMS)):
        _open_if_closed(descriptor)
    for descriptor, name in enumerate(_STREAMS[1:], 1):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
            setattr(sys, name, output := Output(descriptor, has_records=name == "stderr"))
            for handler in logging.getLogger("gunicorn.error").handlers:  # there before us, without our configuration
                if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                    handler.setStream(output)


def _open_if_closed(descriptor: int) -> None:
    """Open the null device for a closed descriptor, or the next file gets its number, and then lines of the log."""
    try:
        os.fstat(descriptor)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _may_still_wait(descriptor: int) -> bool:
    """Let writes to a descriptor fail instead of wait, in this process alone; return whether they still may wait.

    The flag belongs to the open file, which the shell and other programs share, so the file is opened once more. Where
    that is not allowed, a pipe gets the flag, for few others can notice; a terminal or a socket does not.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):  # never waits for a reader; opened once more, it would be written from its beginning
        return False
    with suppress(OSError):
        own = os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        os.dup2(own, descriptor)
        os.close(own)
    if stat.S_ISFIFO(mode):
        os.set_blocking(descriptor, False)
    return os.get_blocking(descriptor)


# Secrets: those of keys, uploads, buckets, databases and sessions must not be in any log or page.

MASK = "***"
# As they are, and as a client may have written them in a URL or in JSON.
_BAR, _SLASH = r"(?:_|(?i:%5f|\\u005f))", r"(?:/|(?i:%2f|\\/|\\u002f))"
_KEY_HEAD = rf"lp{_BAR}(?:live|test){_BAR}[0-9A-Z]{{16}}{_BAR}"
_KEY = re.compile(rf"({_KEY_HEAD})(?:[0-9A-Za-z_-]|{_BAR}|(?i:%2d|\\u002d)){{10,}}")
_SIGNATURE = re.compile(rf"((?:v1{_SLASH}+uploads|consent(?={_SLASH}+\.?[\w-]{{40}})){_SLASH}+)(?:[^\s\"'\\&]|\\u)+")
_PASSWORD = re.compile(r"(://[^\s/:@\"'<>]{0,200}:)[^\s/\"'<>]{1,200}(?=@)")  # bounded, or many `://` take long
_IS = r"(?:\\?[\"'])?(?:\s?[=:]\s?|(?i:%3d|\\u003d))(?:\\?[\"'])?"
_NAMES = "x-amz-[a-z0-9-]{1,40}|(?:pg)?password|passwd|(?:secret_?)?access_?key(?:_?id)?|session_?token|standin_console"
_OTHERS = (
    re.compile(r"((?i:password)\s?=\s?)'[^']{0,200}'"),
    re.compile(rf"((?i:{_NAMES}){_IS})[^\s\"'\\&;,<>*]+"),
    re.compile(r"(\b(?i:bearer) (?!lp_))[0-9A-Za-z._~+/=-]{16,}"),
    re.compile(r"\b(A[KS]IA)[0-9A-Z]{16}\b"),
    re.compile(r"\b(Signature=)[0-9a-f]{32,}"),
)
# A look for a part of each is cheaper than the expressions.
_PARTS = ("amz-", "passw", "access", "token", "_console", "bearer ", "signature=")

_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "PGPASSWORD", "STANDIN_CONTROL")
_MIN_SECRET = 9  # shorter ones are words that any text may have, `loopback` among them
_known: list[str] = []

# All but tab, line feed and the colors of a terminal: the rest moves its cursor, or ends a line for some readers.
_CONTROL = re.compile(r"(\x1b\[[0-9;]{0,20}m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def redacted(text: str) -> str:
    """Return a text with `***` in place of each secret; the public part of a key stays."""
    for secret in _known:
        text = text.replace(secret, MASK)
    if "lp_" in text or "lp%5" in text or "lp\\u005" in text:
        text = _KEY.sub(rf"\1{MASK}", text)
    if "uploads" in text or "consent" in text:
        text = _SIGNATURE.sub(rf"\1{MASK}", text)
    if "@" in text and "://" in text:
        text = _PASSWORD.sub(rf"\1{MASK}", text)
    if "AKIA" in text or "ASIA" in text:  # in capitals only: many a text has "Asian" in it
        return _without_others(text)
    lowered = text.lower()
    for part in _PARTS:
        if part in lowered:
            return _without_others(text)
    return text


def is_redacted(text: str) -> bool:
    """Whether a text contains `***`, as in place of a secret, so that it may not be the original."""
    return MASK in text


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """Return the secrets in these variables, also as they are written in a URL, the longest first."""
    found = {environ.get(name, "") for name in _VARIABLES} | _passwords_in(environ.get("STANDIN_STORE", ""))
    written = {way(secret) for secret in found for way in (str, partial(quote, safe=""), unquote)}
    return sorted((secret for secret in written if len(secret) >= _MIN_SECRET), key=len, reverse=True)


def _passwords_in(url: str) -> set[str]:
    address, _, query = url.partition("://")[2].partition("?")
    return {address.rpartition("@")[0].partition(":")[2], *parse_qs(query).get("password", [])}


def _without_others(text: str) -> str:
    for pattern in _OTHERS:
        text = pattern.sub(rf"\1{MASK}", text)
    return text
