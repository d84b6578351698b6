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

    def append(self, descriptor: int, data: bytes | memoryview) -> None:
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


def open_private(path: Path, flags: int = 0) -> int:
    """Open a file for writing; return its descriptor. A new file is for its owner only. Raises OSError.

    `flags` are added to O_WRONLY | O_CREAT. A file that root makes belongs to the owner of the folder it is in.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    try:
        _give_to_owner(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_private_folder(folder: Path) -> None:
    """Make a folder for its owner only, unless there is one, and the parents it lacks. Raises OSError.

    A folder that root makes belongs to the owner of the folder it is in.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:  # and no other process has made it meanwhile
        _give_to_owner(folder, folder)


def _give_to_owner(made: int | Path, path: Path) -> None:
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(made, owner.st_uid, owner.st_gid)
