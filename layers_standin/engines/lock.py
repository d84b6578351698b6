"""A lock between processes, and between threads, on a file of its own."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layers_standin.engines.disk import open_private


@contextmanager
def locked(path: Path, patience_seconds: float | None = None) -> Iterator[None]:
    """Hold an exclusive lock on a file for the block; the kernel releases it when its holder dies.

    Raises OSError, TimeoutError when others have had the lock for so long.
    """
    # Opened anew each time: threads that share one open file would share its lock.
    descriptor = open_private(path)
    try:
        if patience_seconds is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            _wait(descriptor, time.monotonic() + patience_seconds)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "others have kept the lock for too long") from None
            time.sleep(0.002)
