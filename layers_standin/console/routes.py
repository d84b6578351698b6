"""The Flask routes of the console: access, pages, and the headers of every page."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, request, send_from_directory
from marshmallow import Schema

from layers_standin.console import queries
from layers_standin.console.lists import ListQuery, listing
from layers_standin.console.pages import View
from layers_standin.console.rendering import link_from, render
from layers_standin.console.requests import LogQuery, ask_again, find
from layers_standin.control.calls import ControlCall
from layers_standin.domain.errors import NotFound, StoreError
from layers_standin.engines.errors import EngineError
from layers_standin.services import Services
from layers_standin.settings import LOOPBACK, OFF, READ_ONLY, Settings
from layers_standin.web.access import authorize, is_own_page, is_token
from layers_standin.web.bodies import load_query
from layers_standin.web.conditional import make_conditional
from layers_standin.web.context import current_context
from layers_standin.web.errors import STATUS_OF_CODE, UNAVAILABLE, Forbidden, Refusal, Unauthenticated
from layers_standin.web.logs.requests import RequestLog
from layers_standin.web.operations import Operations
from layers_standin.web.responses import route
from layers_standin.web.session import COOKIE, LASTS_SECONDS, new_session
from schemas import Query

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}

Page = Callable[..., View]

# By the name of their template.
_PAGES: dict[str, tuple[str, Schema, Page]] = {
    "overview": ("/console", queries.OverviewQuery(), queries.overview),
    "influencer": ("/console/influencers/<organization>/<influencer_id>", Query(), queries.influencer),
    "requests": ("/console/requests", LogQuery(), queries.requests),
    "request": ("/console/requests/<request_id>", Query(), queries.request),
    "webhooks": ("/console/webhooks", queries.WebhooksQuery(), queries.webhooks),
    "faults": ("/console/faults", queries.FaultsQuery(), queries.faults),
    "controls": ("/console/controls", queries.ControlsQuery(), queries.controls),
}
_PAGES["list"] = ("/console/lists/<kind>", ListQuery(), listing)


class RenderedPage(NamedTuple):
    """A page before rendering: the name of its template, its view, and its status."""

    name: str
    view: View
    status: int


def add_console(app: Flask, services: Services, log: RequestLog, api: Operations) -> None:
    """Add the pages; none if STANDIN_CONSOLE is off, or the control plane is and the console is not read-only."""
    if not services.settings.has_console:
        return
    for name, (path, query, page) in _PAGES.items():
        route(app, "GET", path, f"console_{name}", partial(serve_page, name, query, page, services, log, api))
    nowhere = partial(serve_page, "", Query(), _nowhere, services, log, api)
    route(app, "GET", "/console/<path:rest>", "console_nowhere", nowhere)
    route(app, "GET", "/console/static/<name>", "console_static", serve_static)
    route(app, "GET", "/", "home", _home)
    repeat = partial(serve_again, app.wsgi_app, services, log)
    route(app, "POST", "/console/requests/<request_id>/again", "console_again", repeat)
    if _has_token(services.settings):
        route(app, "GET", "/console/login", "console_login_form", partial(serve_login, services.settings))
        route(app, "POST", "/console/login", "console_login", partial(sign_in, services))
        route(app, "POST", "/console/logout", "console_logout", partial(sign_out, services))


def _has_token(settings: Settings) -> bool:
    return settings.control not in (OFF, LOOPBACK)


def serve_page(
    name: str, query: Schema, page: Page, services: Services, log: RequestLog, api: Operations, **ids: str
) -> Response:
    """Answer with a page; a refresh of an open page gets the fragment only."""
    is_fragment = request.args.get("fragment") == "1"
    may_command = False
    try:
        may_command = _may_command(services)
        call = ControlCall(services, services.store, request, {}, _validated(query), log=log, api=api)
        with services.store.db.snapshot_read():
            shown = RenderedPage(name, page(call, **ids), 200)
    except (StoreError, Refusal, EngineError) as error:
        shown = refusal_page(error)
    view = frame_of(shown.name, services.settings, may_command) | dict(shown.view)
    current_context(request.environ).is_poll = is_fragment and shown.status < 500
    return page_response(render(shown.name, view, linker(), is_fragment=is_fragment), shown.status)


def _validated(query: Schema) -> Any:
    """Return the validated query; an empty field of a form counts as left out. Raises Invalid."""
    return load_query(query, {name: text for name, text in request.args.items() if text})


def _may_command(services: Services) -> bool:
    """Whether the visitor may use the control plane too. Raises Refusal, NotFound if the page is not allowed."""
    try:
        authorize(request.environ, services.settings, services.store.signing_key)
    except (Refusal, NotFound):
        if services.settings.console != READ_ONLY:
            raise
        return False
    return True


def frame_of(name: str, settings: Settings, may_command: bool) -> dict[str, Any]:
    """Return the values that every page shows beside its own."""
    return {
        "here": name,
        "may_command": may_command,
        "can_sign_in": _has_token(settings) and not may_command,
        "can_sign_out": _has_token(settings) and may_command,
        "may_look": may_command or settings.console == READ_ONLY,
    }


def refusal_page(error: StoreError | Refusal | EngineError) -> RenderedPage:
    if isinstance(error, Unauthenticated):
        return RenderedPage("login", {"title": "Sign in", "is_wrong": False}, 401)
    if isinstance(error, EngineError):
        return RenderedPage("refusal", {"title": UNAVAILABLE, "faults": []}, 503)
    faults = [f"{field}: {', '.join(messages)}" for field, messages in error.details.get("fieldErrors", {}).items()]
    return RenderedPage("refusal", {"title": str(error), "faults": faults}, STATUS_OF_CODE[error.code])


def page_response(html: str, status: int) -> Response:
    response = Response(html, status, HEADERS, mimetype="text/html")
    if status == 200:
        response.add_etag()
        return make_conditional(response, request)
    return response


def _nowhere(_: ControlCall, rest: str) -> View:
    raise NotFound("There is no such page.")


def serve_again(app: "WSGIApplication", services: Services, log: RequestLog, request_id: str) -> Response:
    """Ask a logged request again, and lead to the page of the new one. Raises Forbidden for other origins' pages."""
    refuse_foreign_pages(services.settings)
    authorize(request.environ, services.settings, services.store.signing_key)
    try:
        again = ask_again(app, find(log, request_id), request.environ)
    except StoreError as error:
        shown = refusal_page(error)
        view = frame_of(shown.name, services.settings, True) | dict(shown.view)
        return page_response(render(shown.name, view, linker()), shown.status)
    return _led_to(f"/console/requests/{again}")


def serve_static(name: str) -> Response:
    """Serve a style sheet, a script or a drawing; they contain no secrets."""
    response = send_from_directory(_STATIC, name, conditional=False)
    response.headers.update(HEADERS)
    return make_conditional(response, request, has_parts=True)


def serve_login(settings: Settings, is_wrong: bool = False) -> Response:
    view = frame_of("login", settings, False) | {"title": "Sign in", "is_wrong": is_wrong}
    return page_response(render("login", view, linker()), 401 if is_wrong else 200)


def sign_in(services: Services) -> Response:
    """Check the token, and set the session's cookie. Raises Forbidden for other origins' pages."""
    settings = services.settings
    refuse_foreign_pages(settings)
    if not is_token(request.form.get("token", ""), settings):
        return serve_login(settings, is_wrong=True)
    response = _home()
    response.set_cookie(
        COOKIE,
        new_session(services.store.signing_key(), settings.control),
        max_age=LASTS_SECONDS,
        path=_cookie_path(settings),
        secure=request.is_secure or (settings.public_url or "").startswith("https:"),
        httponly=True,
        samesite="Strict",
    )
    return response


def sign_out(services: Services) -> Response:
    """Delete the cookie. Raises Forbidden for other origins' pages."""
    refuse_foreign_pages(services.settings)
    response = _home()
    response.delete_cookie(COOKIE, _cookie_path(services.settings), httponly=True, samesite="Strict")
    return response


def refuse_foreign_pages(settings: Settings) -> None:
    if not is_own_page(request.environ, settings):
        raise Forbidden("Only the console itself signs in and out.")


def linker() -> Callable[[str], str]:
    return link_from(request.environ.get("RAW_URI", request.path))


def _cookie_path(settings: Settings) -> str:
    """Return the path that cookies are for, as browsers see it: no other application of the public host gets them."""
    return urlsplit(settings.public_url or "").path + "/"


def _home() -> Response:
    return _led_to("/console")


def _led_to(path: str) -> Response:
    response = redirect(linker()(path), 303)
    response.headers.update(HEADERS)
    return response  # type: ignore[return-value]
