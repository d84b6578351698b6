"""A service for one test run: on a temporary folder, for as long as standard input is open; it leaves nothing behind.

A test run that starts it holds the other end of a pipe. However that run ends, killed or not, the system closes the
pipe, and a process beside the server, the watch, ends the server and removes the folder.
"""

import os
import select
import shutil
import signal
import stat
import tempfile
from collections.abc import Mapping

# Of another service, perhaps, which keeps its data; a free port and one worker start fastest.
_NOT_INHERITED = ("STANDIN_STORE", "STANDIN_MEDIA", "STANDIN_PUBLIC_URL", "STANDIN_ALLOW_DEMO_KEY")
_SETTINGS = {"PORT": "0", "WEB_CONCURRENCY": "1", "STANDIN_SEED": "none", "STANDIN_SYNC": "never"}
_PATIENCE_SECONDS = 5.0
_CHUNK_BYTES = 65_536


def ephemeral_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service with a new temporary folder, and end that with this process. Raises OSError.

    The settings of the environment are kept, but those about data, the port and the number of workers.
    """
    kept = {name: text for name, text in environ.items() if name not in _NOT_INHERITED}
    folder = tempfile.mkdtemp(prefix="layers-stand-in-")
    watch(folder)
    return {"STANDIN_LOG": "off"} | kept | _SETTINGS | {"STANDIN_DATA": os.path.join(folder, "store")}


def watch(folder: str) -> None:
    """Fork the watch over this process, which is about to become the server."""
    server, (ended, held) = os.getpid(), os.pipe()
    if os.fork():
        os.close(ended)
        os.set_inheritable(held, True)  # by the server and its workers: it closes when the last of them has ended
        return
    try:
        os.close(held)
        is_alone = os.getsid(0) == server  # no terminal, and nothing in its group but the server's own processes
        os.setsid()  # Ctrl-C in a terminal is for the server, which the watch outlives
        _end_with_input(server, ended, is_alone)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)  # or this process would go on as a second server


def _end_with_input(server: int, ended: int, is_alone: bool) -> None:
    """Return when the server has ended; end it when standard input ends."""
    watched, patience = [ended, *_inputs()], None
    while ended not in (ready := select.select(watched, [], [], patience)[0]):
        if ready and os.read(ready[0], _CHUNK_BYTES):
            continue
        if os.getppid() == server:  # else its number may be that of another process
            if is_alone:
                os.killpg(server, signal.SIGKILL)  # at once: nothing of it is to be kept
            else:
                os.kill(server, signal.SIGTERM if ready else signal.SIGKILL)  # its workers see that, and end
        watched, patience = [ended], _PATIENCE_SECONDS


def _inputs() -> list[int]:
    """Return standard input if another process holds its other end: a pipe, or a socket as Node makes them."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # it is closed
        return []
    return [0] if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else []
