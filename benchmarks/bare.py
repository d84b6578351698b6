"""The lower bound: a Flask view that answers fixed bytes, or a file. No key, no check, no log, no store."""

from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response, send_file

READY = "/ready"


def answer_bytes(method: str, rule: str, body: str) -> Flask:
    """Return an app that answers `method` on Flask's `rule` with the bytes of the file `body`, read once as JSON."""
    content = Path(body).read_bytes()
    return _app(method, rule, lambda: Response(content, mimetype="application/json"))


def answer_file(rule: str, file: str, content_type: str) -> Flask:
    """Return an app that answers GET on Flask's `rule` with `file`, sent by Flask's `send_file`."""
    return _app("GET", rule, lambda: send_file(file, content_type))


def _app(method: str, rule: str, answer: Callable[[], Response]) -> Flask:
    """Return an app of two routes: READY, and `rule` with the same answer for every value of its placeholders."""
    app = Flask(__name__, static_folder=None)
    app.add_url_rule(READY, "ready", lambda: Response(status=200))
    app.add_url_rule(rule, "answer", lambda **_: answer(), methods=[method])
    return app
