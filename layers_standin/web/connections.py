"""A client's connection to gunicorn's threaded worker: no wait on it is without an end."""

import errno
import math
import select
import socket
import struct
import time
from contextlib import suppress
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import IterUnreader
from gunicorn.util import close
from gunicorn.workers.gthread import TConn

PATIENCE_SECONDS = 20
DISCARD_SECONDS = 5
LAST_SEND_SECONDS = 0.1
MAX_DISCARDED_BYTES = 64 << 20
_MAX_HEAD_BYTES = 64 << 10
_CHUNK_BYTES = 1 << 16
_HEAD_CHUNK_BYTES = 1 << 13
_HEAD_END = b"\r\n\r\n"


class ClientSocket(socket.socket):
    """A socket whose calls wait PATIENCE_SECONDS at most for each piece of data.

    `waits_since` is when the thread that is in `recv` came there, by time.monotonic(); infinite when none is.
    `deadline` ends every `recv`, in the same time. A wait that is over raises OSError.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(True)
        self.waits_since = self.deadline = math.inf
        self._is_sending = False
        # In the kernel: a wait with Python's own timeout asks it twice.
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _time(PATIENCE_SECONDS))
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _time(PATIENCE_SECONDS))

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn changes the mode twice for each request, which gives up the interpreter's lock."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            self._wait_for_data()
            return super().recv(size, flags)
        finally:
            self.waits_since = math.inf

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        try:
            self._wait_for_data()
            return super().recv_into(buffer, size, flags)
        finally:
            self.waits_since = math.inf

    def is_readable(self, seconds: float) -> bool:
        """Whether there are data, or come within this time."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _wait_for_data(self) -> None:
        """Note that this thread begins to wait; if there is a deadline, wait until then at most."""
        self.waits_since = now = time.monotonic()
        if self.deadline < math.inf and (self.deadline <= now or not self.is_readable(self.deadline - now)):
            raise TimeoutError

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._is_sending = True
        try:
            super().sendall(data, flags)
        except BlockingIOError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client has stopped reading") from error
        finally:
            self._is_sending = False

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        self.settimeout(PATIENCE_SECONDS)  # without one of its own, Python's sendfile would wait for ever
        try:
            return super().sendfile(file, offset, count)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client has stopped reading") from error
        finally:
            self.settimeout(None)

    def end_input(self) -> None:
        """Let `recv` find the end of the data, also where it waits in another thread; the reply still goes out."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RD)

    def end(self) -> None:
        """End the wait of every call, in all threads; a response that the client has not read is cut off."""
        self.end_input()
        with suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _time(LAST_SEND_SECONDS))
            if self._is_sending:
                self.shutdown(socket.SHUT_RDWR)


def _time(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))


class SizedBody(Body):
    """The body of a request with a Content-Length, which can be received without a copy of it."""

    reader: Any  # a LengthReader

    def readinto(self, buffer: memoryview) -> int:
        """Receive into `buffer` and return the number of bytes; 0 at the end of the body, or of the connection."""
        unreader, left = self.reader.unreader, min(len(buffer), self.reader.length)
        if held := self.buf.tell() or unreader.buf.tell():
            data = self.read(min(held, len(buffer)))
            buffer[: len(data)] = data
            return len(data)
        if not left:  # to recv_into, this would mean all of the buffer
            return 0
        try:
            received: int = unreader.sock.recv_into(buffer, left)
        except OSError:
            self.failed = True
            raise
        self.reader.length -= received
        return received


class ClientRequest(Request):
    """A request that closes its connection if its body is huge, or `close` is one of several options of the header."""

    def set_body_reader(self) -> None:
        super().set_body_reader()
        reader: Any = self.body and self.body.reader
        if isinstance(reader, LengthReader):
            self.body = SizedBody(reader)
        is_huge = getattr(reader, "length", 0) > MAX_DISCARDED_BYTES
        # The rest of a huge body would not be read if the request were refused.
        if is_huge or any(name == "CONNECTION" and _has_close(value) for name, value in self.headers):
            self.force_close()

    def should_close(self) -> bool:
        return super().should_close() or getattr(
            self.body, "failed", False
        )  # nobody knows where the next request would begin


def _has_close(options: str) -> bool:
    return "close" in (option.strip(" \t").lower() for option in options.split(","))


class Connection(TConn):
    """A connection whose heads are received without waiting; the whole of one may take as long as a client may rest."""

    sock: Any  # a ClientSocket, but where gunicorn itself does TLS
    parser: Any
    is_partial = False  # waiting for more of a head

    def init(self) -> None:
        super().init()
        if isinstance(self.parser, RequestParser):
            self.parser.mesg_class = ClientRequest  # type: ignore[misc]

    def receive_head(self) -> bool:
        """Receive the data that have arrived; return whether the parser needs no more of them for the head.

        Raises LimitRequestHeaders.
        """
        self.init()
        if not (isinstance(self.sock, ClientSocket) and isinstance(self.parser, RequestParser)):
            return True
        held = self.parser.unreader.buf.getvalue()
        if _HEAD_END in held:
            return True
        try:
            piece = self.sock.recv(_HEAD_CHUNK_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.parser.unreader.buf.seek(0, 2)
        self.parser.unreader.buf.write(piece)
        if not held:
            self.set_timeout()
        return not piece or _HEAD_END in held[-3:] + piece or self._is_refused(held + piece, b"\n" in piece)

    def has_data(self, seconds: float) -> bool:
        """Whether data of the next request are here, or arrive within `seconds`."""
        if not isinstance(self.sock, ClientSocket):
            return False
        return bool(self.parser.unreader.buf.getvalue()) or self.sock.is_readable(seconds)

    def _is_refused(self, head: bytes, has_new_line: bool) -> bool:
        """Whether the parser finds a fault in a head that is not complete."""
        if len(head) > _MAX_HEAD_BYTES:
            raise LimitRequestHeaders("max buffer headers")
        if not has_new_line and len(head) <= self.cfg.limit_request_line:
            return False
        try:
            ClientRequest(self.cfg, IterUnreader([head]), self.client)
        except NoMoreData:
            return False
        except ParseException:
            pass
        return True

    def finish_body(self) -> bool:
        """Read the rest of the request's body; return whether its end came within the bounds of `linger`."""
        body = self.parser.mesg.body
        self.sock.deadline = time.monotonic() + DISCARD_SECONDS
        try:
            for _ in range(MAX_DISCARDED_BYTES // _CHUNK_BYTES):
                if not body.read(_CHUNK_BYTES):
                    return not body.failed
        except (OSError, ParseException):
            pass
        finally:
            self.sock.deadline = math.inf
        return False

    def linger(self) -> None:
        """Close once the client has, or after DISCARD_SECONDS or MAX_DISCARDED_BYTES.

        Closing with data unread would reset the connection, and a reply on its way would be lost.
        """
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.deadline = time.monotonic() + DISCARD_SECONDS
            left = MAX_DISCARDED_BYTES
            while left > 0 and (piece := self.sock.recv(_CHUNK_BYTES)):
                left -= len(piece)
        self.close()

    def close(self, graceful: bool = False) -> None:
        """Close at once: this is called in the thread that serves all connections, and `linger` was in another."""
        close(self.sock)
