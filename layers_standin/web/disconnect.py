"""Connections that are closed too early: by us, as a fault, or by a client that does not wait for its response."""

import contextlib
import select
import socket
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SOCKETS = ("gunicorn.socket", "werkzeug.socket")
_CLOSED = getattr(select, "POLLRDHUP", 0)  # macOS has none: there a client that has closed is waited for


def truncate(body: Iterable[bytes], size: int, environ: "WSGIEnvironment") -> Iterable[bytes]:
    """Return the first `size` bytes of a body, after which the connection is closed; below 0 it is closed at once.

    Raises ConnectionResetError where there is no connection, for an app that is called within the client's process.
    """
    whole = _read(body)
    connection = client_socket(environ)
    if connection is None:
        raise ConnectionResetError("A fault has cut off the reply.")
    if size >= 0:
        return _then_close(whole[:size], connection)
    _close(connection)
    return []


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


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
