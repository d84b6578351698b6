"""The location of the application: `app.py`, `schemas.py`, `store.py`, `gunicorn.conf.py` and the seed.

In a checkout these are the files beside this package; a wheel has them inside the package, in a folder that is on the
path of our own processes only. So no module of a user's project is shadowed, overwritten or imported.
"""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CARRIED = _PACKAGE / "_application"

IS_INSTALLED = _CARRIED.is_dir()
APPLICATION = _CARRIED if IS_INSTALLED else _PACKAGE.parent


def put_on_path() -> None:
    """Let this process import the application before anything else of the same name."""
    text = str(APPLICATION)
    if sys.path[:1] != [text]:
        sys.path.insert(0, text)
