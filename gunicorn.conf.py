"""The settings of plain `gunicorn app:app`: address, workers, and the greeting at start."""

import gc
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from gunicorn.arbiter import Arbiter

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not at a reload: then it is gunicorn's
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # as a shell reports Ctrl-C, and without a traceback
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # blocked by `layers-stand-in` until now
if signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []):  # the same
    # gunicorn handles none before the store is ready, and the first process of a container does not get it till then.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
sys.path.insert(0, str(Path(__file__).resolve().parent))  # the application's folder, from wherever this file is named
from layers_standin.settings import StartError, read_port, read_settings, read_workers
from layers_standin.startup import (
    greeting,
    is_shared,
    prepare,
    prepare_in_child,
    refuse_address,
    sharing_notice,
    write_log_back,
)
from layers_standin.web.logs.output import replace_standard_streams, send
from layers_standin.web.worker import Worker
from layers_standin.webhooks.watcher import stop_watching

replace_standard_streams(os.environ)
try:
    bind, workers = f"127.0.0.1:{read_port(os.environ)}", read_workers(os.environ)
except StartError as error:
    sys.exit(str(error))
threads = 128  # most of them wait for their client, which costs little
worker_class = Worker
loglevel = "warning"  # the lines that matter at start are our own
limit_request_line = 8190
keepalive = 75  # a client at rest should not find its connection closed just when it goes on
control_socket_disable = True  # two stand-ins of one user would fight over its path


def on_starting(server: Arbiter) -> None:
    """Prepare the store once, before any worker starts: an error is reported once, and ends the start."""
    try:
        settings = read_settings(os.environ)
        addresses = [address for address in server.cfg.address if isinstance(address, tuple)]
        if not os.environ.keys() & {"GUNICORN_PID", "LISTEN_PID"}:  # or the sockets are there already
            for host, port in addresses:
                refuse_address(host, port, server.cfg.reuse_port)
        if not server.cfg.reload:
            import_module("app")  # once: workers are forked from here, and each makes its app in milliseconds
        hosts = [host for host, _ in addresses]
        server.has_demo_key = (prepare if settings.media is None else prepare_in_child)(settings, hosts)
        server.is_shared = is_shared(settings)
    except StartError as error:
        sys.exit(str(error))


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Let a worker find the signals that come before it handles any: gunicorn would wait 30 s for it."""
    worker.early_signals = server.SIG_QUEUE


def post_worker_init(worker: Worker) -> None:
    """Make garbage collection rare, and leave out the objects that live as long as the worker."""
    # A request leaves few cycles, and the looks for them took a thirtieth of it.
    gc.freeze()
    gc.set_threshold(10_000)


def worker_exit(_: Arbiter, __: Worker) -> None:
    """Let the worker end the deliveries that are under way."""
    stop_watching()


def when_ready(server: Arbiter) -> None:
    """Print the addresses and, if another service has the same store, a notice of that."""
    settings, addresses = read_settings(os.environ), [str(listener) for listener in server.LISTENERS]
    if server.is_shared:
        sys.stderr.write(sharing_notice(settings))
    send(greeting(settings, addresses, server.has_demo_key))


def on_exit(server: Arbiter) -> None:
    """Leave the store as one file."""
    write_log_back(read_settings(os.environ))
