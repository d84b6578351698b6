"""gunicorn's threaded worker, but what it refuses before the app sees it comes in the envelope too."""

import contextlib
import socket
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker
from ulid import ULID

from web.errors import http_refusal
from web.front import class_of_method


class Worker(ThreadWorker):
    """A thread worker whose own refusals look like the app's."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that is no HTTP, or whose line or headers are too long; the rest is gunicorn's."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Invalid request from %s: %s", addr[0] if addr else "-", exc)
        with contextlib.suppress(OSError):
            client.sendall(raw_refusal(exc))


def raw_refusal(error: ParseException) -> bytes:
    """Return a whole HTTP response for a request that could not be read."""
    too_long = isinstance(error, LimitRequestHeaders | LimitRequestLine)
    request_id = f"req_{ULID()}"
    status, body = http_refusal(413 if too_long else 400, request_id)
    reason = "Content Too Large" if too_long else "Unprocessable Content"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nX-RateLimit-Endpoint-Class: {class_of_method('')}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
