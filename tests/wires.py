"""A connection to a server over which any bytes can go, and the requests that are sent over it."""

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson
from servers import PATIENCE_SECONDS, Server

from layers_standin.domain.keys import DEMO_KEY

KEY = f"X-Api-Key: {DEMO_KEY}\r\n"
HOST_NAME = "stand-in.example"
HOST = f"Host: {HOST_NAME}\r\n"


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Wire:
    """A connection over which any bytes can go."""

    def __init__(self, server: Server, receive_buffer: int | None = None) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect((host, int(port)))
        self._incoming = self._socket.makefile("rb")

    def send(self, data: bytes | str) -> None:
        self._socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def reply(self, has_body: bool = True) -> Reply | None:
        """Return the next response, or None when the server has hung up without one."""
        first = self._incoming.readline()
        if not first:
            return None
        headers = {}
        while (line := self._incoming.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0")) if has_body else 0
        return Reply(int(first.split()[1]), headers, self._incoming.read(length))

    def is_quiet(self) -> bool:
        """Whether there is nothing to read: no response, and no end."""
        poll = select.poll()  # `select.select` takes no descriptor above 1023
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> None:
        """Say that nothing more will come."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._incoming.close()
        self._socket.close()

    def reset(self) -> None:
        """Go away without a good-bye."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@contextmanager
def wire(server: Server) -> Iterator[Wire]:
    connection = Wire(server)
    try:
        yield connection
    finally:
        connection.close()


def request(method: str, path: str, headers: str = "", body: bytes | None = None) -> bytes:
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{HOST}{KEY}{headers}{length}\r\n".encode("latin-1") + (body or b"")


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


CHUNKED = "Transfer-Encoding: chunked\r\n"
