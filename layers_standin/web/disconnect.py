"""Closing a client's connection before or in the middle of a response, as networks do; no framework offers it."""

import contextlib
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SOCKETS = ("gunicorn.socket", "werkzeug.socket")


def truncate(body: Iterable[bytes], size: int, environ: "WSGIEnvironment") -> Iterable[bytes]:
    """Return the first `size` bytes of a body, after which the connection is closed; below 0 it is closed at once.

    Raises ConnectionResetError where there is no connection, for an app that is called within the client's process.
    """
    whole = _read(body)
    connection = next((environ[name] for name in _SOCKETS if name in environ), None)
    if connection is None:
        raise ConnectionResetError("A fault has cut off the reply.")
    if size >= 0:
        return _then_close(whole[:size], connection)
    _close(connection)
    return []


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
