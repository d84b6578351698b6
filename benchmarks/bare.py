"""The floor: Flask views that answer ready-made bytes on the stand-in's routes. No key, no check, no log, no store."""

from functools import partial
from pathlib import Path

from flask import Flask, Response

ROUTES = {
    "GET": "/v1/influencers/<influencer_id>",
    "PATCH": "/v1/influencers/<influencer_id>",
    "POST": "/v1/influencers/<influencer_id>/reference-images",
}


def create_app(folder: str) -> Flask:
    """Return an app that answers each method with the file `<folder>/<method>.json`."""
    app = Flask(__name__, static_folder=None)
    for method, path in ROUTES.items():
        body = Path(folder, f"{method}.json").read_bytes()
        app.add_url_rule(path, method, partial(_answer, body), methods=[method])
    return app


def _answer(body: bytes, influencer_id: str) -> Response:
    return Response(body, mimetype="application/json")
