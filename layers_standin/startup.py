"""A start: the store is prepared once, addresses and configuration are checked, and the service is announced.

And an end: the store is left as one file.
"""

import errno
import fcntl
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

import click
from click.core import ParameterSource
from gunicorn.arbiter import Arbiter
from werkzeug.serving import is_running_from_reloader

from layers_standin.application import CONFIGURATION
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.engines.errors import EngineError, Unavailable
from layers_standin.engines.sqlite.files import DATABASE, MARK
from layers_standin.housekeeping import housekeeping
from layers_standin.services import (
    has_demo_key,
    is_loopback,
    open_and_fill,
    open_folder,
    refuse_public_demo_key,
    starting,
)
from layers_standin.settings import SEED, Settings, StartError, read_port
from store import Store

PORT_PATIENCE_SECONDS = 2.0  # a server that is just ending gives its port back
_ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - the meaning of no host


def prepare(settings: Settings, hosts: Iterable[str]) -> bool:
    """Open and seed the store and do the housekeeping once, before the workers; return whether the demo key works.

    Raises StartError, also when one of the addresses `hosts` is public and the demo key works.
    """
    services, is_new = open_and_fill(settings)
    if settings.seed not in (None, SEED) and not is_new:
        _say(
            f"The seed {settings.seed} was not used, for there is a store already: `layers-stand-in reset --seed FILE` "
            "replaces everything in it by a seed."
        )
    try:
        with starting():
            for host in hosts:
                refuse_public_demo_key(services.store, settings, host)
            if _takes_writes(services.store):
                housekeeping(services)
            return has_demo_key(services.store)
    finally:
        services.store.db.close()


def write_log_back(settings: Settings) -> None:
    """Write the log of a store on SQLite back into its one file, unless another process has the store open."""
    # The workers close it too, but of two that do so at one moment none is the last.
    if settings.store is None and os.path.exists(settings.data / DATABASE):
        with suppress(StartError, EngineError):
            open_folder(settings).close()


def _takes_writes(store: Store) -> bool:
    """Whether a store takes writes; if not, print a line that says why, and that it is served all the same."""
    try:
        store.db.probe()
    except Unavailable as error:
        _say(f"{error} Reads are served; changes are answered with 503 until it takes writes.")
        return False
    except EngineError:  # damage, which the housekeeping tells if it meets it
        pass
    return True


def _say(sentence: str) -> None:
    """Print a line at the start."""
    with suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def prepare_in_child(settings: Settings, hosts: Iterable[str]) -> bool:
    """Call `prepare` in a child process: a process that has used a bucket's client must not fork after that."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # at Ctrl-C a handler would wait until the bucket answers
        message = b"\2The service could not be prepared: the traceback above has the reason."
        try:
            message = b"\1" if prepare(settings, hosts) else b"\0"
        except StartError as error:
            message = b"\2" + os.fsencode(str(error))
        except BaseException:  # noqa: BLE001 - printed, and then the child ends: it must not go on as a second service
            traceback.print_exc()
        finally:
            os.write(writing, message)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    if message not in (b"\0", b"\1"):
        raise StartError(os.fsdecode(message[1:]) or "The service was killed while it was prepared.")
    return message == b"\1"


def refuse_address(host: str, port: int, reuse_port: bool = False) -> None:
    """Raises StartError when gunicorn cannot listen on an address: it is in use by another program, or invalid."""
    deadline = time.monotonic() + PORT_PATIENCE_SECONDS
    while (error := _listen_error(host, port, reuse_port)) is not None:
        if error.errno != errno.EADDRINUSE:
            raise StartError(
                f"Cannot listen on {host}, port {port} ({error.strerror or error}): choose another address, by --host "
                "and --port of `layers-stand-in` or by --bind of gunicorn."
            ) from error
        if time.monotonic() > deadline:
            raise StartError(
                f"Port {port} of {host} is taken by another program: stop that, or put PORT={port % 65535 + 1} before "
                "the command, or name another port where you have named this one, by --port or --bind."
            ) from error
        time.sleep(0.05)


def _listen_error(host: str, port: int, reuse_port: bool) -> OSError | None:
    """Return the error of listening on an address, or None."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listener.bind((host, port))
            listener.listen(1)
        except OSError as error:
            return error
    return None


def flask_run_address(context: click.Context) -> str | None:
    """Return the URL on which `flask run` is about to listen, None if only the system knows its port.

    Raises StartError as `refuse_address` does. Without a port of its own `flask run` begins once more, with ours.
    """
    if context.get_parameter_source("port") is ParameterSource.DEFAULT:
        sys.exit(context.invoke(context.command, **context.params | {"port": read_port(os.environ)}))
    host, port = context.params["host"], context.params["port"]
    if not port or is_running_from_reloader():  # a reloader's parent listens already, and has greeted
        return None
    refuse_address(host, port)
    return f"http{'s' if context.params.get('cert') else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def is_shared(settings: Settings) -> bool:
    """Whether another service already serves the store of the data folder; lock it so that later ones see this one.

    Each service holds a shared lock on the mark of its store until its last process ends. False for a store in a
    database, which has no mark: several hosts may share it.
    """
    try:
        descriptor = os.open(settings.data / MARK, os.O_RDONLY)  # never closed: that would end the lock
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        found = True
    except OSError:  # no mark, or a file system without locks
        return False
    else:
        found = False
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return found


def sharing_notice(settings: Settings) -> str:
    """Return the line printed at a start on a store that another service already serves."""
    return (
        f"The store in {settings.data} is served by another process too, and both work on the same data: "
        "to give this one its own, stop it and set STANDIN_DATA to another folder.\n"
    )


def greeting(settings: Settings, addresses: list[str], demo_key: bool) -> str:
    """Return the lines printed at start: the addresses, the data's location, the pages, and a first call.

    An address is a URL, or `unix:` and a path. The call is there if `demo_key` works.
    """
    documents = settings.data if settings.store is None else "the database of STANDIN_STORE"  # may have a password
    pictures = settings.data if settings.media is None else "the bucket of STANDIN_MEDIA"
    places = " and ".join(dict.fromkeys([str(documents), str(pictures)]))
    lines = [f"The Layers stand-in listens on {', '.join(addresses)} and keeps its data in {places}."]
    url = next((_loopback_url(each) for each in addresses if not each.startswith("unix:")), None)
    if pages := settings.public_url or url:
        lines += [f"Console: {pages}/console"] if settings.has_console else []
        lines += [f"API reference: {pages}/docs"]
    if demo_key:
        where = url or f"--unix-socket {quote(addresses[0].removeprefix('unix:'))} http://localhost"
        lines += [f"Demo key: {DEMO_KEY}", f"Try: curl {where}/v1/whoami -H 'X-Api-Key: {DEMO_KEY}'"]
    return "".join(f"{line}\n" for line in lines)


def _loopback_url(address: str) -> str:
    """Return the URL at which this machine reaches an address: one that stands for all interfaces is none."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def check_server() -> str | None:
    """Return the line printed when the application is served without our configuration; None if it is loaded.

    Raises StartError when gunicorn then listens on a public address; the addresses of other servers are unknown.
    """
    servers = list(_servers())
    if servers and _is_configured(servers[0]):
        return None
    for host in (host or _ALL_INTERFACES for server in servers for host in _hosts(server)):
        if not is_loopback(host):
            raise StartError(
                f"Refusing to listen on {host} without the stand-in's own configuration: start it by "
                f"`layers-stand-in --host {host}`, or give gunicorn the option `-c {CONFIGURATION}`."
            )
    return (
        "The stand-in was started without its own configuration, so its workers, time limits and replies to invalid "
        f"HTTP are not as described: start it by `layers-stand-in`, or give gunicorn the option `-c {CONFIGURATION}`.\n"
    )


def fail(sentence: str) -> NoReturn:
    """Exit with the sentence, so that gunicorn does not start another worker."""
    server = next(_servers(), None)
    if server is None or _is_configured(server):
        sys.exit(sentence)
    sys.stderr.write(f"{sentence}\n")
    sys.exit(Arbiter.APP_LOAD_ERROR)  # gunicorn would start another worker after any other code, again and again


def _is_configured(server: Any) -> bool:
    """Whether `server` has loaded our gunicorn.conf.py, whose hook checks settings, addresses and store first."""
    code = getattr(server.cfg.on_starting, "__code__", None)
    return code is not None and Path(code.co_filename).resolve() == CONFIGURATION


def _servers() -> Iterator[Any]:
    """Yield gunicorn's objects with a configuration from the call stack: no API returns them."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__", "").startswith("gunicorn."):
            server = frame.f_locals.get("self")
            if hasattr(server, "cfg"):
                yield server


def _hosts(server: Any) -> Iterator[str]:
    """Yield the hosts that a worker, an arbiter or an application of gunicorn listens on, or will listen on."""
    yield from (address[0] for address in server.cfg.address if isinstance(address, tuple))
    listeners = getattr(server, "sockets", None) or getattr(server, "LISTENERS", None) or []
    for name in (listener.getsockname() for listener in listeners):  # handed over by systemd, perhaps
        if isinstance(name, tuple):
            yield name[0]
