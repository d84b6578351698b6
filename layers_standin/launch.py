"""Start the service from any folder: gunicorn with our configuration, in a process of its own."""

import os
import signal
import sys
from collections.abc import Mapping

from layers_standin.application import APPLICATION, CONFIGURATION, installed_folders

_FOLDERS = ("STANDIN_DATA", "STANDIN_SEED")


def server_command(host: str, port: int) -> list[str]:
    """Return the command that starts gunicorn; gunicorn.conf.py reads all other settings from the environment."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [sys.executable, "-P", "-m", "gunicorn", "-c", str(CONFIGURATION), "--bind", address, "app:app"]


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the server, with absolute paths, and without settings that change its imports.

    PYTHONPATH has the application, then the folders with installed packages; folders of projects are left out. So is
    GUNICORN_CMD_ARGS, which is meant for another gunicorn.
    """
    environment = {name: text for name, text in environ.items() if name not in ("PYTHONPATH", "GUNICORN_CMD_ARGS")}
    for name in _FOLDERS:
        if environment.get(name) and (name, environment[name]) != ("STANDIN_SEED", "none"):
            environment[name] = os.path.abspath(environment[name])
    return environment | {"PYTHONPATH": os.pathsep.join([str(APPLICATION), *installed_folders(environ)])}


def serve(host: str, port: int, environ: Mapping[str, str]) -> None:
    """Replace this process by the server. Raises OSError."""
    command, environment = server_command(host, port), server_environment(environ)
    sys.stdout.flush()
    # Until gunicorn.conf.py can end without a traceback, and as the first process of a container at all.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    os.chdir(APPLICATION)  # gunicorn imports from the folder it is started in before any other
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
