"""The system calls that durability depends on, one method each, so that a test can fail any of them."""

import errno
import os
from pathlib import Path

try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined]  # macOS: a plain fsync stops at the drive's cache
except ImportError:
    F_FULLFSYNC = None


class Disk:
    """Durable file operations; each raises OSError and nothing else.

    `syncing=False` leaves out every sync, for throw-away stores in tests.
    """

    def __init__(self, syncing: bool = True) -> None:
        self.syncing = syncing

    def append(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`; a write that comes up short is an error, never half a success."""
        rest = memoryview(data)
        while rest:
            written = self.write(descriptor, rest)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rest = rest[written:]

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        if not self.syncing:
            return
        if F_FULLFSYNC is not None:
            fcntl(descriptor, F_FULLFSYNC)
        else:
            getattr(os, "fdatasync", os.fsync)(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file one more name; some disks cannot."""
        os.link(source, target)

    def sync_folder(self, folder: Path) -> None:
        """Make a rename in `folder` durable."""
        if not self.syncing:
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def give_to_owner(made: int | Path, path: Path) -> None:
    """Give a file or folder that root has just created to the owner of the folder that it is in."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(made, owner.st_uid, owner.st_gid)
