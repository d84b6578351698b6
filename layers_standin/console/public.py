"""Pages outside of the console, for everybody who knows their address. They have no scripts and no navigation."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request

from layers_standin.console.rendering import link_from, render
from layers_standin.console.routes import serve_static
from layers_standin.domain.errors import StoreError
from layers_standin.engines.errors import EngineError
from layers_standin.web.errors import STATUS_OF_CODE, UNAVAILABLE, Refusal
from layers_standin.web.responses import route

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "form-action {form_action}; base-uri 'none'; frame-ancestors 'none'"
)


def add_public_style(app: Flask) -> None:
    """Add what these pages are styled with, which is there without a console too."""
    route(app, "GET", "/pages/<any('console.css', 'layers.svg'):name>", "public_style", serve_static)


def serve_public(name: str, view: Mapping[str, Any], status: int = 200, form_to: str | None = None) -> Response:
    """Answer with a page; `form_to` is the origin that its form may lead to, in the end."""
    # Browsers apply form-action to the redirect that follows a form, too.
    form_action = "'none'" if form_to is None else f"'self' {form_to}"
    html = render(name, view, link_from(request.environ.get("RAW_URI", request.path)), layout="public.html")
    headers = {
        "Content-Security-Policy": _POLICY.format(form_action=form_action),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return Response(html, status, headers, mimetype="text/html")


def shown(page: Callable[[], Response]) -> Response:
    """Return `page()`, or a page that says why not."""
    try:
        return page()
    except EngineError:
        return serve_public("notice", {"title": UNAVAILABLE, "faults": []}, 503)
    except (StoreError, Refusal) as error:
        faults = [f"{field}: {', '.join(texts)}" for field, texts in error.details.get("fieldErrors", {}).items()]
        return serve_public("notice", {"title": str(error), "faults": faults}, STATUS_OF_CODE[error.code])
