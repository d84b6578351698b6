"""What the connections of many threads keep in memory."""

import threading
from pathlib import Path

import apsw
import pytest

from layers_standin.engines.sqlite.connections import _CACHE_BYTES
from layers_standin.engines.sqlite.engine import SQLite

THREADS, DOCUMENTS = 64, 1000
LONG = b'"%b"' % (b"x" * 3000)  # as many pages as a connection keeps by itself, and more


@pytest.fixture
def engine(tmp_path: Path) -> SQLite:
    engine = SQLite(tmp_path / "store", sync=False)
    with engine.transaction():
        for number in range(DOCUMENTS):
            engine.write("documents", "", str(number), LONG)
    return engine


def test_the_pages_of_many_threads_are_bounded_together(engine):
    barrier = threading.Barrier(THREADS + 1)

    def read_all() -> None:
        for number in range(DOCUMENTS):
            engine.read("documents", "", str(number))
        barrier.wait()
        barrier.wait()

    threads = [threading.Thread(target=read_all) for _ in range(THREADS)]
    [thread.start() for thread in threads]
    barrier.wait()
    kept = apsw.memory_used()
    barrier.wait()
    [thread.join() for thread in threads]
    engine.close()
    assert kept < 1.25 * _CACHE_BYTES
