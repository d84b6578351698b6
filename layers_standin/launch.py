"""Starting the service from any folder: gunicorn with our configuration, in a process of its own."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_data_dir

from layers_standin.application import APPLICATION, IS_INSTALLED, installed_folders
from layers_standin.settings import StartError

_FOLDERS = ("STANDIN_DATA", "STANDIN_SEED")


def default_data() -> Path:
    """Return the folder of the store by default: `data/store` of a checkout, else the user's data folder.

    Raises StartError when the user has none.
    """
    if not IS_INSTALLED:
        return APPLICATION / "data" / "store"
    folder = Path(user_data_dir("layers-stand-in", False))
    if not folder.is_absolute():
        raise StartError("This user has no home folder to keep data in: set STANDIN_DATA, or say --data FOLDER.")
    return folder


def server_command(host: str, port: int) -> list[str]:
    """Return the command that serves; gunicorn.conf.py takes everything else from the environment."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    configuration = str(APPLICATION / "gunicorn.conf.py")
    return [sys.executable, "-P", "-m", "gunicorn", "-c", configuration, "--bind", address, "app:app"]


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the server, with absolute paths, and without settings that change its imports.

    Of PYTHONPATH only the folders stay into which packages are installed, after the application. The options of a
    gunicorn that is somebody else's go too.
    """
    kept = {name: text for name, text in environ.items() if name not in ("PYTHONPATH", "GUNICORN_CMD_ARGS")}
    for name in _FOLDERS:
        if kept.get(name) and (name, kept[name]) != ("STANDIN_SEED", "none"):
            kept[name] = os.path.abspath(kept[name])
    return kept | {"PYTHONPATH": os.pathsep.join([str(APPLICATION), *installed_folders(environ)])}


def serve(host: str, port: int, environ: Mapping[str, str]) -> None:
    """Replace this process by the server. Raises OSError."""
    command, environment = server_command(host, port), server_environment(environ)
    sys.stdout.flush()
    os.chdir(APPLICATION)  # gunicorn imports from the folder it is started in before any other
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is wanted
