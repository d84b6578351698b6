"""gunicorn's worker, where no real one can be brought: see tests/system/test_connections.py for the rest."""

import errno
import os
import selectors
import time
from types import SimpleNamespace

from gunicorn.config import Config

from layers_standin.web.worker import FULL_SECONDS, Worker


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
