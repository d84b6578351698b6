"""gunicorn's worker, where no real one can be brought: see tests/system/test_connections.py for the rest."""

import errno
import os
import selectors
import socket
import time
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from layers_standin.web.connections import ClientSocket, Connection
from layers_standin.web.worker import FULL_SECONDS, Worker


def answer(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [environ["PATH_INFO"].encode()]


class FullListener:
    """A listener with a connection that cannot be accepted, because no file descriptor is left."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe()
        os.write(writing, b"1")
        self.setblocking = lambda _: None
        self.close = lambda: (os.close(self._reading), os.close(writing))

    def fileno(self) -> int:
        return self._reading

    def accept(self) -> None:
        raise OSError(errno.EMFILE, "Too many open files")


def test_a_worker_with_nothing_to_close_tries_again_after_a_rest():
    listener = FullListener()
    worker = Worker(1, os.getppid(), [listener], SimpleNamespace(), 30, Config(), SimpleNamespace())
    worker.poller = selectors.DefaultSelector()
    began = time.monotonic()
    for _ in range(3):
        worker.set_accept_enabled(True)
        worker.wait_for_and_dispatch_events(60)

    assert time.monotonic() - began > 2 * FULL_SECONDS
    worker.poller.close(), worker.tmp.close(), listener.close()


@pytest.mark.parametrize(("waiting", "answered"), [(set(), ["/0", "/1", "/2"]), ({"another"}, ["/0"])])
def test_requests_that_follow_one_another_are_answered_at_once_unless_another_connection_waits(waiting, answered):
    """A real connection, and a worker that nobody runs: what is not answered in `handle` is not answered."""
    worker = Worker(1, os.getppid(), [], SimpleNamespace(), 30, Config(), Logger(Config()))
    worker.wsgi, worker._queued = answer, waiting
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        conn = Connection(Config(), ClientSocket(listener.accept()[0]), ("127.0.0.1", 0), ("127.0.0.1", 0))
        for number in range(3):
            client.sendall(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert worker.handle(conn)
        replies = client.recv(1 << 16).decode()
        conn.close()
    worker.tmp.close()
    bodies = [line[:2] for line in replies.split("\r\n") if line.startswith("/")]
    assert bodies == answered
