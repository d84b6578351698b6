"""Starting the service from any folder: gunicorn with our configuration, in a process of its own."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_data_dir

from layers_standin.application import APPLICATION, IS_INSTALLED

_FOLDERS = ("STANDIN_DATA", "STANDIN_SEED")


def default_data() -> Path:
    """Return the default folder of the store: `data/store` in a checkout, else the user's data folder."""
    return Path(user_data_dir("layers-stand-in", False)) if IS_INSTALLED else Path("data/store")


def server_command(host: str, port: int) -> list[str]:
    """Return the command that serves; gunicorn.conf.py takes everything else from the environment."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    configuration = str(APPLICATION / "gunicorn.conf.py")
    # -P, and a change to the application's folder: no module of the folder it is started in is ever imported.
    gunicorn = [sys.executable, "-P", "-m", "gunicorn", "-c", configuration, "--chdir", str(APPLICATION)]
    return [*gunicorn, "--bind", address, "app:app"]


def server_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the server, with absolute paths, and without settings that change its imports.

    PYTHONPATH goes, except the folder of this package if it was imported by it; so does GUNICORN_CMD_ARGS, which is
    meant for another gunicorn.
    """
    kept = {name: text for name, text in environ.items() if name not in ("PYTHONPATH", "GUNICORN_CMD_ARGS")}
    for name in _FOLDERS:
        if kept.get(name) and kept[name] != "none":
            kept[name] = os.path.abspath(kept[name])
    own = str(Path(__file__).resolve().parent.parent)
    searched = [os.path.realpath(folder) for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return kept | ({"PYTHONPATH": own} if own in searched else {})


def serve(host: str, port: int, environ: Mapping[str, str]) -> None:
    """Replace this process by the server. Raises OSError."""
    sys.stdout.flush()
    command, server = server_command(host, port), server_environment(environ)
    os.execve(sys.executable, command, server)  # noqa: S606 - a list of arguments, so that nothing needs quoting
