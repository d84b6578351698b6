"""Kill this process in the middle of a commit, after half of a page is written: see docs/tour.md.

Never run it on a store that you need.

STANDIN_DATA=/tmp/tour python docs/die_half_way.py
"""

import os
import signal
import sys
from pathlib import Path

import apsw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from layers_standin.domain.tables import INDEXES
from layers_standin.engines.sqlite.connections import CHECKSUM_VFS, load_checksums
from layers_standin.engines.sqlite.engine import SQLite
from layers_standin.settings import read_settings
from store import Store

PAGE_BYTES = 4096


class HalfDisk(apsw.VFS):
    """Opens the write-ahead log as a HalfLog, and every other file as SQLite does."""

    name = "half"

    def __init__(self) -> None:
        super().__init__(self.name, base=CHECKSUM_VFS)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        kind = HalfLog if flags[0] & apsw.SQLITE_OPEN_WAL else apsw.VFSFile
        return kind(CHECKSUM_VFS, name, flags)


class HalfLog(apsw.VFSFile):
    """Writes half of the first page, then kills this process."""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if len(data) == PAGE_BYTES:
            super().xWrite(data[: PAGE_BYTES // 2], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        super().xWrite(data, offset)  # the few bytes before a page


if __name__ == "__main__":
    load_checksums()
    disk = HalfDisk()
    store = Store(SQLite(read_settings(os.environ).data, indexes=INDEXES, vfs=disk.name))
    ava = store.for_organization("6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11").influencer("inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG")
    store.tables.put("influencers", ava | {"vibe": "nobody will hear of this"})
