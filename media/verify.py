"""Verify bytes against the size and checksum in their document."""

from collections.abc import Callable
from hashlib import sha256

from engines.errors import Unavailable
from media.room import File, NoSuchFile

_CHUNK_BYTES = 1 << 20


def fault_of(find: Callable[[], File], size_bytes: int, checksum_sha256: str) -> str | None:
    """Return the fault of the bytes that `find()` returns as a clause of a sentence; None when there is none."""
    try:
        with find().open("rb") as file:
            size, checksum = 0, sha256()
            while chunk := file.read(_CHUNK_BYTES):
                size += len(chunk)
                checksum.update(chunk)
    except (NoSuchFile, FileNotFoundError):
        return "there are no such bytes"
    except (OSError, Unavailable) as error:
        return f"the bytes cannot be read ({error})"
    if size != size_bytes:
        return f"there are {size} bytes instead of {size_bytes}"
    if checksum.hexdigest() != checksum_sha256:
        return f"the bytes have the SHA-256 {checksum.hexdigest()} instead of {checksum_sha256}"
    return None
