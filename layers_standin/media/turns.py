"""Work on pictures, one at a time in a process: it takes the memory of one, and a waiting thread may find it done."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from layers_standin.engines.errors import Unavailable

PATIENCE_SECONDS = 30.0

INSPECTING, DRAWING_THUMBNAIL, DRAWING_PORTRAIT = threading.Lock(), threading.Lock(), threading.Lock()
DRAWING_CONTENT = threading.Lock()


@contextmanager
def one_at_a_time(work: threading.Lock) -> Iterator[None]:
    """Run the block when no other thread of this process does that work. Raises Unavailable after PATIENCE_SECONDS."""
    if not work.acquire(timeout=PATIENCE_SECONDS):
        raise Unavailable("The work on other pictures takes too long: storage or machine is slow.")
    try:
        yield
    finally:
        work.release()
