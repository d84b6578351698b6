"""What to do with the bytes after the last whole line, with the writers' lock held."""

import logging

from engines.disk import Disk
from engines.errors import Damaged
from engines.line import find_whole_line, is_whole
from engines.replica import Replica

log = logging.getLogger("standin.store")


def recover(replica: Replica, disk: Disk) -> None:
    """Leave the file ending in a whole line and `replica` at its end.

    A line that is complete but for its newline was being synced when its writer died: it is kept. A torn one,
    or zeros, is cut off, for it was never acknowledged. Anything else is damage. Raises Damaged, OSError.
    """
    damage = _catch_up(replica)
    rest = replica.rest()
    if not rest:
        return
    line = rest.rstrip(b"\0")
    if is_whole(line) and damage is None:
        replica.decode_next(line)
        _finish(replica, disk, len(line))
    elif _is_torn(rest):
        _cut(replica, disk, len(rest))
    else:
        raise damage or replica.damage("whole transactions follow bytes that are none")


def _catch_up(replica: Replica) -> Damaged | None:
    try:
        replica.catch_up()
    except Damaged as damage:
        return damage
    return None


def _is_torn(rest: bytes) -> bool:
    """One line is written at a time, so a torn end has no newline before its last byte and no line inside."""
    return b"\n" not in rest[:-1] and find_whole_line(rest) < 0


def _finish(replica: Replica, disk: Disk, size: int) -> None:
    descriptor = replica.file.fileno()
    disk.truncate(descriptor, replica.position + size)
    disk.sync(descriptor)
    disk.append(descriptor, b"\n")
    replica.catch_up()
    log.warning("%s: finished line %d, which its writer had left without a newline.", replica.path, replica.line - 1)


def _cut(replica: Replica, disk: Disk, size: int) -> None:
    descriptor = replica.file.fileno()
    disk.truncate(descriptor, replica.position)
    disk.sync(descriptor)
    log.warning(
        "%s: cut %d bytes of a transaction that was never acknowledged off its end, after line %d, byte %d.",
        replica.path,
        size,
        replica.line - 1,
        replica.position,
    )
