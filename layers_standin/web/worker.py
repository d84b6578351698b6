"""gunicorn's threaded worker: slow clients occupy no thread others need, and its own errors look like the app's."""

import errno
import math
import signal
import time
from bisect import insort
from contextlib import suppress
from functools import partial
from itertools import islice
from operator import attrgetter
from queue import SimpleQueue
from selectors import EVENT_READ
from socket import socket
from typing import Any
from weakref import WeakSet

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from layers_standin.web.connections import ClientSocket, Connection
from layers_standin.web.context import ANY_ORIGIN, class_of_method, new_request_id
from layers_standin.web.errors import envelope, http_refusal

ROOM = 8  # connections
FULL_SECONDS = 0.1  # before the next try to accept, when all file descriptors are in use by requests
STAY_SECONDS = 0.002  # a thread that has answered waits so long for its client's next request
STOP_SECONDS = 0.5  # a stopping worker gives these to clients that send nothing


class Worker(ThreadWorker):
    """A thread worker that waits for the head of a request in no thread.

    Silent connections and partial heads are in `pending_conns`, in the order of their `timeout`.
    """

    _is_quitting = False
    _is_full = False  # no file descriptor was left
    _stops_at = math.inf  # by time.monotonic()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sockets: WeakSet[ClientSocket] = WeakSet()
        self.early_signals: SimpleQueue[int] = SimpleQueue()
        self._queued: set[Any] = set()  # the connections that wait for a thread: no other one stays with its client

    def init_signals(self) -> None:
        """Handle signals, also those since the fork: they were put into this process's copy of the arbiter's queue."""
        super().init_signals()
        while not self.early_signals.empty():
            if (number := self.early_signals.get()) in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
                signal.raise_signal(number)

    def accept(self, listener: Any) -> None:
        """Accept a connection, and wait for its first data."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._is_full = True
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EPROTO):
                raise
            return
        self.nr_conns += 1
        conn = Connection(self.cfg, client := ClientSocket(accepted), address, listener.getsockname())
        self._sockets.add(client)
        conn.set_timeout()
        self._wait_for_data(conn)

    def _wait_for_data(self, conn: Any) -> None:
        insort(self.pending_conns, conn, key=attrgetter("timeout"))
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def handle(self, conn: Any) -> Any:
        """Serve the requests of a connection that follow one another at once, while no other one waits for a thread."""
        # Its way to the thread that waits for all connections, and back, took an eighth of a small request.
        self._queued.discard(conn)
        keep = self._handle_one(conn)
        while keep and self.alive and not (conn.is_partial or self._queued) and conn.has_data(STAY_SECONDS):
            keep = self._handle_one(conn)
        return keep

    def enqueue_req(self, conn: Any) -> None:
        self._queued.add(conn)
        super().enqueue_req(conn)

    def _handle_one(self, conn: Any) -> Any:
        """Serve a request of a connection, unless its head is still `is_partial`."""
        keep = conn.is_partial = False
        try:
            conn.is_partial = not conn.receive_head()
            if conn.is_partial:
                return True
        except LimitRequestHeaders as error:
            self.handle_error(None, conn.sock, conn.client, error)
        else:
            keep = super().handle(conn)
        if not keep:
            conn.linger()
        return keep

    def finish_request(self, conn: Any, fs: Any) -> None:
        if conn.is_partial:
            self._wait_for_data(conn)
        else:
            super().finish_request(conn, fs)

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        return keepalive and conn.finish_body()

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        super().wait_for_and_dispatch_events(timeout if self.alive else 0.1)
        if self._is_full or self.nr_conns >= self.worker_connections:
            self._make_room()
        if self._is_quitting:
            self._quit()
        if not self.alive:
            self._drop_waiting()

    def _make_room(self) -> None:
        """Close the connections that have waited longest for a request: a few, for the store opens files too."""
        waiting = list(islice(self.pending_conns or self.keepalived_conns, ROOM))
        if self._is_full and not waiting:
            self.set_accept_enabled(False)  # or the connection that cannot be accepted would wake this thread for ever
            super().wait_for_and_dispatch_events(FULL_SECONDS)
        self._is_full = False
        for conn in waiting:
            conn.timeout = 0
        self.murder_pending()
        self.murder_keepalived()

    def _drop_waiting(self) -> None:
        """Drop the connections on which nothing has come for STOP_SECONDS since the worker began to stop."""
        now = time.monotonic()
        self._stops_at = min(self._stops_at, now + STOP_SECONDS)
        for conn in (*self.keepalived_conns, *self.pending_conns):
            conn.timeout = min(conn.timeout or 0.0, self._stops_at)
        for sock in self._sockets:
            if max(sock.waits_since, self._stops_at - STOP_SECONDS) < now - STOP_SECONDS:
                sock.end_input()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Let the loop quit: the signal may have interrupted the start of a thread, which would then be forgotten."""
        self._is_quitting = True
        self.handle_exit(sig, frame)

    def _quit(self) -> None:
        for sock in self._sockets:
            sock.end()
        super().handle_quit(signal.SIGQUIT, None)

    def handle_error(self, req: Any, client: socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that is no HTTP, or whose line or headers are too long; the rest is gunicorn's."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        request_id = new_request_id()
        # Its kind only: its text quotes the request, and so perhaps a key.
        self.log.warning("%s invalid request: %s", request_id, type(exc).__name__)
        with suppress(OSError):
            client.sendall(raw_refusal(exc, request_id))


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
