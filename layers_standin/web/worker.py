"""gunicorn's threaded worker: its errors before the app is called have the envelope of the API too."""

import contextlib
import socket
import struct
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker
from ulid import ULID

from layers_standin.web.errors import envelope, http_refusal
from layers_standin.web.middleware import ANY_ORIGIN, class_of_method

PATIENCE_SECONDS = 20


class Worker(ThreadWorker):
    """A thread worker whose own errors look like the app's."""

    _is_quitting = False

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at once: Ctrl-C comes from the terminal and from gunicorn, and the second must not wait for the first."""
        if not self._is_quitting:
            self._is_quitting = True
            super().handle_quit(sig, frame)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that is no HTTP, or whose line or headers are too long; the rest is gunicorn's."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        request_id = f"req_{ULID()}"
        # Its kind only: its text quotes the request, and so perhaps a key.
        self.log.warning("%s invalid request: %s", request_id, type(exc).__name__)
        with contextlib.suppress(OSError):
            client.sendall(raw_refusal(exc, request_id))

    def handle(self, conn: Any) -> Any:
        """Serve a connection; wait PATIENCE_SECONDS at most for each piece of a request: the thread is one of four."""
        if not conn.initialized:
            # In the kernel: gunicorn resets Python's own timeout.
            patience = struct.pack("ll", int(PATIENCE_SECONDS), int(PATIENCE_SECONDS % 1 * 1e6))
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        return super().handle(conn)


def raw_refusal(error: ParseException, request_id: str) -> bytes:
    """Return a whole HTTP response for a request that could not be read."""
    too_long = isinstance(error, LimitRequestHeaders | LimitRequestLine)
    status, body = http_refusal(413 if too_long else 400, request_id)
    if too_long:
        body = envelope("PAYLOAD_TOO_LARGE", "Request line or headers are too large.", request_id)
    reason = "Content Too Large" if too_long else "Unprocessable Content"
    # Of any path, for it may not even have been read: without these, a page sees nothing at all.
    shared = "".join(f"{name}: {value}\r\n" for name, value in ANY_ORIGIN)
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nX-RateLimit-Endpoint-Class: {class_of_method('')}\r\n"
        f"{shared}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
