"""HTTP: the operations of the API, and the one Flask app that serves them.

An operation is a few lines: its rules are in `store.py`, what it accepts in `schemas.py`, and what happens before it
runs (key, scope, body, idempotency, in the contract's order) in `web/operations.py`.
"""

import hmac
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import cast

import click
from flask import Flask, Response, request, send_file
from flask import Request as FlaskRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.local import LocalProxy

import schemas
from engines.errors import EngineError, Unavailable
from engines.table import Record
from media.files import MediaFolder, NoSuchFile
from media.serving import HEADERS, is_inert
from settings import Settings, StartError, read_settings
from start import open_rooms, refuse_public_demo_key
from store import NotFound, Outcome, Store, StoreError, influencer_view, references_view, whoami_view
from web.access_log import access_log
from web.bodies import whole_body
from web.errors import MAX_BODY_BYTES, Refusal, http_refusal, refusal
from web.front import Front, exchange_of, is_api
from web.operations import Call, Operation, Operations, Request, check_key, perform

logger = logging.getLogger("standin")
operations = Operations()

INFLUENCERS_WRITE = "influencers:write"


@operations.add("GET", "/v1/whoami", scope=None)
def whoami(call: Call) -> Record:
    """Say who the key is."""
    return whoami_view(call.key, call.store.organization(call.organization))


@operations.add("GET", "/v1/influencers/<influencer_id>", scope=INFLUENCERS_WRITE)
def get_influencer(call: Call, influencer_id: str) -> Record:
    """Return the full record."""
    return influencer_view(call.store.influencer(call.organization, influencer_id), call.base_url)


@operations.add("PATCH", "/v1/influencers/<influencer_id>", scope=INFLUENCERS_WRITE, body=schemas.InfluencerPatch())
def patch_influencer(call: Call, influencer_id: str) -> Record:
    """Change the given fields; the rest stays."""
    document = call.store.patch_influencer(call.organization, influencer_id, call.body)
    return influencer_view(document, call.base_url)


@operations.add(
    "DELETE",
    "/v1/influencers/<influencer_id>",
    scope=INFLUENCERS_WRITE,
    body=schemas.InfluencerDeletion(),
    body_optional=True,
)
def delete_influencer(call: Call, influencer_id: str) -> Record:
    """Archive the influencer, and keep who did it, when and why."""
    reason = call.body.get("reason")
    document = call.store.delete_influencer(call.organization, influencer_id, reason, call.api_key_id)
    deleted_at = document["attributes"]["deletion"]["deletedAt"]
    return {"influencerId": document["influencerId"], "status": "deleted", "deletedAt": deleted_at}


@operations.add(
    "POST",
    "/v1/influencers/<influencer_id>/reference-images",
    scope=INFLUENCERS_WRITE,
    body=schemas.ReferenceImages(),
)
def attach_reference_images(call: Call, influencer_id: str) -> Record:
    """Attach assets of the influencer's project; return the whole merged list."""
    document = call.store.attach_reference_images(call.organization, influencer_id, call.body["assetIds"])
    references = references_view(document["referenceImages"], call.base_url)
    return {"influencerId": document["influencerId"], "referenceImages": references}


def create_app(store: Store, media: MediaFolder, settings: Settings) -> Flask:
    """Return the app; all it needs is handed in."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # one more than whole_body accepts
    app.url_map.merge_slashes = False  # a path that is not ours is a 404, not a redirect with a page
    for operation in operations:
        _route(app, operation.method, operation.path, operation.name, partial(_serve, operation, store, settings))
    file_path = "/media/<organization>/<asset_id>/<token>/<any(original, thumbnail):variant>/<name>"
    _route(app, "GET", file_path, "media", partial(_serve_file, store, media))
    _add_error_handlers(app)
    app.wsgi_app = Front(app.wsgi_app, access_log(settings.log))  # type: ignore[method-assign]
    return app


def _route(app: Flask, method: str, path: str, name: str, view: Callable[..., Response]) -> None:
    # Not Flask's own OPTIONS: preflights are answered for /v1 only, where a method is not allowed.
    app.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)


def _serve(operation: Operation, store: Store, settings: Settings, **ids: str) -> Response:
    asked = cast(LocalProxy[FlaskRequest], request)._get_current_object()  # each look-up through the proxy costs
    exchange = exchange_of(asked.environ)
    exchange.endpoint_class = operation.endpoint_class
    call = Request(
        exchange.request_id,
        asked.method,
        asked.path,
        cast(Mapping[str, str], asked.headers),
        partial(whole_body, asked),
        _base_url(settings),
    )
    with nullcontext() if operation.changes else store.db.reading():
        key = check_key(call, store)
        exchange.key_id = key["publicId"]
        return _answer(perform(operation, call, store, key, ids))


def _base_url(settings: Settings) -> Callable[[], str]:
    return lambda: settings.public_url or request.host_url.rstrip("/")


def _answer(outcome: Outcome) -> Response:
    response = Response(outcome.body, outcome.status, mimetype="application/json")
    if outcome.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _serve_file(
    store: Store, media: MediaFolder, organization: str, asset_id: str, token: str, variant: str, **_: str
) -> Response:
    """Serve an asset or its thumbnail to whoever knows its token; the name at the end is for people."""
    asset = store.asset(organization, asset_id)
    if not hmac.compare_digest(asset["token"].encode(), token.encode()):
        raise NotFound("Not found.")
    try:
        if variant == "thumbnail":
            return _file(media.thumbnail(organization, asset_id), "image/webp", asset["thumbnailPath"])
        return _file(media.original(organization, asset_id), asset["contentType"], asset["path"])
    except NoSuchFile as error:
        raise NotFound("Not found.") from error
    except OSError as error:
        raise Unavailable(f"The thumbnail of {asset_id} cannot be written: {error.strerror}.") from error


def _file(path: Path, content_type: str, url_path: str) -> Response:
    name = url_path.rpartition("/")[2]  # ours, not that of the request: it becomes a header
    response = send_file(path.resolve(), content_type, as_attachment=not is_inert(content_type), download_name=name)
    response.headers.update(HEADERS)
    return response


def _add_error_handlers(app: Flask) -> None:
    for kind in (StoreError, Refusal, EngineError):
        app.register_error_handler(kind, _refused)
    app.register_error_handler(HTTPException, _refused_by_http)
    app.register_error_handler(Exception, _crashed)


def _refused(error: StoreError | Refusal | EngineError) -> Response:
    request_id = exchange_of(request.environ).request_id
    if isinstance(error, EngineError):
        logger.error("%s: %s", request_id, error)
    return _answer(Outcome(*refusal(error, request_id)))


def _refused_by_http(error: HTTPException) -> Response:
    """Answer what Flask itself refuses; starts from its own response, or a 405 would lose `Allow`."""
    if isinstance(error, MethodNotAllowed) and request.method == "OPTIONS" and is_api(request.path):
        return _preflight(error.valid_methods or ())
    response = cast(Response, error.get_response())
    response.status_code, body = http_refusal(error.code or 500, exchange_of(request.environ).request_id)
    response.set_data(body)
    response.mimetype = "application/json"
    return response


def _preflight(methods: Iterable[str]) -> Response:
    allowed = ", ".join(sorted(methods))
    asked = request.headers.get("Access-Control-Request-Headers", "")
    headers = {
        "Allow": allowed,
        "Access-Control-Allow-Methods": allowed,
        "Access-Control-Allow-Headers": asked or "X-Api-Key, Authorization, Content-Type, Idempotency-Key",
        "Access-Control-Max-Age": "600",
        "Vary": "Access-Control-Request-Headers",
    }
    response = Response(status=204, headers=headers)
    del response.headers["Content-Type"]
    return response


def _crashed(error: Exception) -> Response:
    request_id = exchange_of(request.environ).request_id
    logger.error("%s crashed", request_id, exc_info=error)
    return _answer(Outcome(*http_refusal(500, request_id)))


def serve() -> Flask:
    """Return the app as the environment sets it up; one sentence and an exit if that cannot be."""
    try:
        settings = read_settings(os.environ)
        rooms = open_rooms(settings)
        host = _host_of_flask_run()
        if host is not None:
            refuse_public_demo_key(rooms.store, settings, host)
        return create_app(rooms.store, rooms.media, settings)
    except StartError as error:
        sys.exit(str(error))


def _host_of_flask_run() -> str | None:
    """Return where `flask run` is about to listen; gunicorn's own host is looked at in gunicorn.conf.py."""
    context = click.get_current_context(silent=True)
    return context.params.get("host") if context is not None and context.info_name == "run" else None


def __getattr__(name: str) -> Flask:
    """Make `app:app` when a server asks for it, so that importing this module opens no store."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = made = serve()
    return made
