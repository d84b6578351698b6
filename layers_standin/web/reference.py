"""The OpenAPI document, and a page to read and try it. Both need no key; calls of the operations from the page do."""

from collections.abc import Callable
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path

import orjson
from flask import Flask, Response, request, send_file

from layers_standin.domain.errors import NotFound
from layers_standin.engines.table import Record
from layers_standin.settings import Settings
from layers_standin.web.conditional import make_conditional
from layers_standin.web.operations import own_url
from layers_standin.web.responses import route

_OURS = Path(__file__).parent.parent / "openapi" / "page"
_SWAGGER_UI = Path(str(files("flask_swagger_ui"))) / "dist"
_TO_CONSOLE = '<p class="back"><a href="console">Console</a></p>\n'

# What there is at /docs/…, and its type: a machine's own table may have another one, which browsers refuse.
_FILES: dict[str, tuple[Path, str]] = {
    "start.js": (_OURS, "text/javascript"),
    "back.css": (_OURS, "text/css"),
    "swagger-ui.css": (_SWAGGER_UI, "text/css"),
    "swagger-ui-bundle.js": (_SWAGGER_UI, "text/javascript"),
    "favicon-32x32.png": (_SWAGGER_UI, "image/png"),
}


def add_reference(app: Flask, document: Callable[[str], Record], settings: Settings) -> None:
    """Add /openapi.json, the result of `document(our URL)`, and /docs."""
    render = lru_cache(8)(lambda server: orjson.dumps(document(server)))  # few, for a client may call us anything
    route(app, "GET", "/openapi.json", "openapi", partial(_serve_document, render, settings.public_url))
    route(app, "GET", "/docs", "docs", partial(_serve_page, settings))
    route(app, "GET", "/docs/<name>", "docs_file", _serve_page_file)


def content_security_policy(public_url: str | None) -> str:
    """Return the page's policy: scripts, styles and images from here only, and calls to the API's public URL."""
    api = "'self'" if public_url is None else f"'self' {public_url}/"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {api}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _serve_document(render: Callable[[str], bytes], public_url: str | None) -> Response:
    response = Response(render(public_url or own_url(request)), mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return make_conditional(response, request)


def _serve_page(settings: Settings) -> Response:
    response = _file(_OURS / "index.html", "text/html") if settings.has_console else _page_alone()
    response.headers["Content-Security-Policy"] = content_security_policy(settings.public_url)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _page_alone() -> Response:
    """Return the page without its link to the console."""
    html = (_OURS / "index.html").read_text("utf-8").replace(_TO_CONSOLE, "")
    response = Response(html, mimetype="text/html")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _serve_page_file(name: str) -> Response:
    """Serve a file of the page. Raises NotFound."""
    if name not in _FILES:
        raise NotFound("Not found.")
    folder, content_type = _FILES[name]
    return _file(folder / name, content_type)


def _file(path: Path, content_type: str) -> Response:
    response = send_file(path, content_type, conditional=False)
    response.headers["Cache-Control"] = "no-cache"  # asked for anew each time, sent only if it has changed
    response.headers["X-Content-Type-Options"] = "nosniff"
    return make_conditional(response, request, has_parts=True)
