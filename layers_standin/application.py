"""The location of the application: `app.py`, `schemas.py`, `store.py`, `gunicorn.conf.py` and the seed.

In a checkout these are the files beside this package; a wheel has them inside the package, in a folder that is on the
path of our own processes only. So no module of a user's project is shadowed, overwritten or imported.
"""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INCLUDED = _PACKAGE / "_application"

IS_INSTALLED = _INCLUDED.is_dir()
APPLICATION = _INCLUDED if IS_INSTALLED else _PACKAGE.parent
CONFIGURATION = APPLICATION / "gunicorn.conf.py"


def print_anything() -> None:
    """Let this process print characters that its terminal, or its locale, does not have: as escapes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # it takes nothing, which shows when something is printed
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")


def isolate() -> None:
    """Let this process import the application and installed packages, but no module of the current folder's project."""
    searched = {os.path.realpath(folder) for folder in _python_path(os.environ)}
    dropped = searched - {os.path.realpath(folder) for folder in installed_folders(os.environ)}
    if os.path.realpath(sys.path[0]) == os.path.realpath(os.getcwd()) and not _has_packages(os.getcwd()):
        del sys.path[0]  # `python -m` has put it there
    remaining = [folder for folder in sys.path if os.path.realpath(folder) not in dropped]
    sys.path[:] = [str(APPLICATION), *remaining]


def installed_folders(environ: Mapping[str, str]) -> list[str]:
    """Return the folders of PYTHONPATH with installed packages; the others hold modules of projects."""
    return [folder for folder in _python_path(environ) if _has_packages(folder)]


def _python_path(environ: Mapping[str, str]) -> list[str]:
    return [os.path.abspath(folder) for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _has_packages(folder: str) -> bool:
    path = Path(folder)
    return path.resolve() == _PACKAGE.parent or next(path.glob("*.dist-info"), None) is not None
