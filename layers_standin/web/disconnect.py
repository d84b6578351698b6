"""Connections that are closed too early: by us, as a fault, or by a client that does not wait for its response."""

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from layers_standin.web.context import RESET

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SOCKETS = ("gunicorn.socket", "werkzeug.socket")
_PIECES = 20  # of a slow body
_CLOSED = getattr(select, "POLLRDHUP", 0)  # macOS has none: there a client that has closed is waited for


def spoil(
    body: Iterable[bytes], truncate_after: int | None, slow_ms: int, environ: "WSGIEnvironment"
) -> Iterable[bytes]:
    """Return the body of a response that a fault has struck; for the numbers see `RequestContext`.

    Raises ConnectionResetError for RESET; and where there is no connection to close, for an app that is called within
    the client's process.
    """
    if truncate_after is not None:
        return _truncated(_read(body), truncate_after, environ)
    return _dripping(_read(body), slow_ms, environ) if slow_ms else body


def _truncated(whole: bytes, size: int, environ: "WSGIEnvironment") -> Iterable[bytes]:
    """Return the first `size` bytes of a body, after which the connection is closed; below 0 it is closed at once."""
    connection = client_socket(environ)
    if connection is None or size == RESET:
        if connection is not None:
            _reset(connection)
        raise ConnectionResetError(errno.ECONNRESET, "A fault has cut off the reply.")
    if size >= 0:
        return _then_close(whole[:size], connection)
    _close(connection)
    return []


def _dripping(whole: bytes, milliseconds: int, environ: "WSGIEnvironment") -> Iterator[bytes]:
    """Yield the head of a response at once, and then its body in pieces, as long as its client waits for them."""
    yield b""
    size = max(1, -(-len(whole) // _PIECES))
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    for piece in pieces:
        if not client_stays(milliseconds / 1000 / len(pieces), environ):
            return
        yield piece


def client_stays(seconds: float, environ: "WSGIEnvironment") -> bool:
    """Wait; return True after `seconds`, or False as soon as the client of the request has closed its connection."""
    connection = client_socket(environ)
    if connection is None:
        time.sleep(seconds)
        return True
    poll = select.poll()
    poll.register(connection, _CLOSED)
    return not poll.poll(seconds * 1000)


def client_socket(environ: "WSGIEnvironment") -> socket.socket | None:
    """Return the socket of a request, which the server puts there and no header can; None within the same process."""
    return next((environ[name] for name in _SOCKETS if name in environ), None)


def _read(body: Iterable[bytes]) -> bytes:
    try:
        return b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()


def _then_close(part: bytes, connection: socket.socket) -> Iterator[bytes]:
    yield part
    _close(connection)


def _reset(connection: socket.socket) -> None:
    """Close a connection with a RST, and not with a FIN; the server finds in its place one that its client has closed.

    Its own `close` would wait for the files that a server has made of it, which would then find no socket at all.
    """
    ours, clients = socket.socketpair()
    with contextlib.suppress(OSError), ours:
        clients.close()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.dup2(ours.fileno(), connection.fileno(), inheritable=False)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
