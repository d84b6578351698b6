"""The API: its operations, and the one Flask app that serves them.

An operation is a few lines: its rules are in `store.py` and `records/`, what it accepts in `schemas.py`, and what
happens before it runs (key, scope, body, idempotency, in the contract's order) in `web/operations.py`.
"""

import os
import sys
from functools import cache, partial

import click
from flask import Flask

import schemas
from console.serving import add_console
from control.operations import operations as control_operations
from control.serving import add_control
from engines.table import Record
from openapi.control import control_plane
from openapi.document import openapi_document
from openapi.partner import partner_api
from records.assets import arrived, asset_view
from records.errors import NotAcceptable
from records.jobs import envelope_view, job_view
from records.keys import SCOPES, key_view, whoami_view
from records.projects import deletion_view, project_item, project_view
from settings import StartError, read_settings
from start import Housekeeping, Rooms, discard_unfinished, open_rooms, refuse_public_demo_key
from store import influencer_item, influencer_view, references_view
from web.access_log import access_log
from web.errors import MAX_BODY_BYTES
from web.files import serve_file
from web.foresight import Foresight
from web.front import Front
from web.http import add_error_handlers, route, serve_operation
from web.limits import rate_limits
from web.operations import LONG_RUNNING, Call, Operations, Reply
from web.reference import add_reference
from web.request_log import RequestLog
from web.uploads import UPLOAD_PATH, Taken, expiry_of, kept, serve_upload, still_taken, taken_in, upload_url

operations = Operations()

INFLUENCERS_WRITE, PROJECTS_READ, PROJECTS_WRITE, JOBS_READ, JOBS_CANCEL = SCOPES

_INFLUENCER = "/v1/influencers/<influencer_id>"
_PROJECT = "/v1/projects/<project_id>"
_KEY = "/v1/api-keys/<key_id>"


@operations.add("GET", "/v1/whoami", scope=None)
def whoami(call: Call) -> Record:
    """Say who the key is."""
    return whoami_view(call.key, call.store.organizations.get(call.organization))


# Influencers


@operations.add("GET", _INFLUENCER, scope=INFLUENCERS_WRITE)
def get_influencer(call: Call, influencer_id: str) -> Record:
    """Return an influencer's full record."""
    return influencer_view(call.store.influencer(call.organization, influencer_id), call.base_url)


@operations.add("PATCH", _INFLUENCER, scope=INFLUENCERS_WRITE, body=schemas.InfluencerPatch())
def patch_influencer(call: Call, influencer_id: str) -> Record:
    """Change the given fields of an influencer; the rest stays."""
    document = call.store.patch_influencer(call.organization, influencer_id, call.body)
    return influencer_view(document, call.base_url)


@operations.add("DELETE", _INFLUENCER, scope=INFLUENCERS_WRITE, body=schemas.InfluencerDeletion(), body_optional=True)
def delete_influencer(call: Call, influencer_id: str) -> Record:
    """Archive the influencer, and keep who did it, when and why."""
    reason = call.body.get("reason")
    document = call.store.delete_influencer(call.organization, influencer_id, reason, call.api_key_id)
    deleted_at = document["attributes"]["deletion"]["deletedAt"]
    return {"influencerId": document["influencerId"], "status": "deleted", "deletedAt": deleted_at}


@operations.add("POST", f"{_INFLUENCER}/reference-images", scope=INFLUENCERS_WRITE, body=schemas.ReferenceImages())
def attach_reference_images(call: Call, influencer_id: str) -> Record:
    """Attach assets of the influencer's project; return the whole merged list."""
    document = call.store.attach_reference_images(call.organization, influencer_id, call.body["assetIds"])
    references = references_view(document["referenceImages"], call.base_url)
    return {"influencerId": document["influencerId"], "referenceImages": references}


@operations.add("GET", f"{_PROJECT}/influencers", scope=INFLUENCERS_WRITE, query=schemas.InfluencerQuery())
def list_influencers(call: Call, project_id: str) -> Record:
    """Return a page of a project's influencers, newest first."""
    documents, cursor = call.store.page_of_influencers(call.organization, project_id, call.body)
    base_url = cache(call.base_url)
    return {"items": [influencer_item(document, base_url) for document in documents], "nextCursor": cursor}


@operations.add(
    "POST",
    f"{_PROJECT}/influencers",
    scope=INFLUENCERS_WRITE,
    body=schemas.InfluencerCreate(),
    success=202,
    endpoint_class=LONG_RUNNING,
)
def create_influencer(call: Call, project_id: str) -> Record:
    """Create an influencer; return the job that makes it ready."""
    return envelope_view(call.store.create_influencer(call.organization, project_id, call.body))


@operations.add(
    "POST",
    f"{_INFLUENCER}/clone",
    scope=INFLUENCERS_WRITE,
    body=schemas.InfluencerClone(),
    success=202,
    endpoint_class=LONG_RUNNING,
)
def clone_influencer(call: Call, influencer_id: str) -> Record:
    """Create another influencer like this one; return the job that makes it ready."""
    return envelope_view(call.store.clone_influencer(call.organization, influencer_id, call.body))


# Jobs


@operations.add("GET", "/v1/jobs/<job_id>", scope=JOBS_READ, tagged=True)
def get_job(call: Call, job_id: str) -> Record:
    """Say how a job stands."""
    return job_view(call.store.job(call.organization, job_id), call.store.now_ms())


@operations.add(
    "POST", "/v1/jobs/<job_id>/cancel", scope=JOBS_CANCEL, body=schemas.Nothing(), body_optional=True, success=202
)
def cancel_job(call: Call, job_id: str) -> Record | Reply:
    """End a job, if it is not too late."""
    over = call.store.cancel_job(call.organization, job_id)
    if over is None:
        return {"jobId": job_id, "accepted": True}
    return Reply(200, {"jobId": job_id, "accepted": False, "reason": f"ALREADY_{over.upper()}"})


# Projects


@operations.add("POST", "/v1/projects", scope=PROJECTS_WRITE, body=schemas.ProjectCreate(), success=201)
def create_project(call: Call) -> Record:
    """Create a project."""
    return project_view(call.store.projects.create(call.organization, call.body))


@operations.add("GET", "/v1/projects", scope=PROJECTS_READ, query=schemas.ProjectQuery())
def list_projects(call: Call) -> Record:
    """Return a page of the organization's projects, newest first."""
    documents, cursor = call.store.projects.page(call.organization, call.body)
    return {"items": [project_item(document) for document in documents], "nextCursor": cursor}


@operations.add("GET", _PROJECT, scope=PROJECTS_READ)
def get_project(call: Call, project_id: str) -> Record:
    """Return a project's full record."""
    return project_view(call.store.projects.get(call.organization, project_id))


@operations.add("PATCH", _PROJECT, scope=PROJECTS_WRITE, body=schemas.ProjectPatch())
def patch_project(call: Call, project_id: str) -> Record:
    """Change the given fields of a project; metadata as a whole."""
    return project_view(call.store.projects.patch(call.organization, project_id, call.body))


@operations.add("DELETE", _PROJECT, scope=PROJECTS_WRITE, body=schemas.Nothing(), body_optional=True)
def delete_project(call: Call, project_id: str) -> Record:
    """Archive the project; it takes no new influencers, all else goes on."""
    return deletion_view(call.store.projects.archive(call.organization, project_id))


# Media


@operations.add("POST", f"{_PROJECT}/media/presign", scope=PROJECTS_WRITE, body=schemas.Presign())
def presign_upload(call: Call, project_id: str) -> Record:
    """Promise an upload; return where its bytes go."""
    project = call.store.projects.get(call.organization, project_id)
    discard_unfinished(call.rooms, call.organization)
    upload = call.store.assets.presign(call.organization, project["id"], call.body)
    return {
        "uploadId": upload["uploadId"],
        "uploadUrl": upload_url(call.rooms, upload, call.base_url),
        "method": "PUT",
        "headers": {"Content-Type": upload["contentType"]},
        "expiresAt": expiry_of(upload),
    }


@operations.add("POST", f"{_PROJECT}/media/finalize", scope=PROJECTS_WRITE, body=schemas.Finalize(), ahead=taken_in)
def finalize_upload(call: Call, project_id: str) -> Record:
    """Make an asset of an upload whose bytes have come."""
    project = call.store.projects.get(call.organization, project_id)
    upload = call.store.assets.upload_of_project(call.organization, project["id"], call.body["uploadId"])
    taken = still_taken(call, upload)
    upload |= {} if taken is None else {"received": taken.upload["received"]}
    arrived(upload, call.body.get("checksumSha256"))
    _refuse_picture(taken)
    return asset_view(call.store.assets.finalize(upload), call.base_url())


@operations.add("POST", f"{_PROJECT}/media", scope=PROJECTS_WRITE, body=schemas.InlineMedia(), success=201, ahead=kept)
def upload_inline(call: Call, project_id: str) -> Record:
    """Make an asset of bytes that come in the body."""
    call.store.projects.get(call.organization, project_id)
    _refuse_picture(call.ahead)
    return asset_view(call.store.assets.finalize(call.ahead.upload), call.base_url())


def _refuse_picture(taken: Taken | None) -> None:
    """Raises NotAcceptable when the bytes of a picture are not of the type that was declared."""
    if taken is not None and taken.fault is not None:
        raise NotAcceptable("Invalid body.", fieldErrors={"mimeType": [taken.fault]})


# Keys


@operations.add("POST", f"{_KEY}/kill", scope=None, body=schemas.Nothing(), body_optional=True)
def kill_key(call: Call, key_id: str) -> Record:
    """Switch a key off."""
    return {"apiKey": key_view(call.store.keys.kill(call.organization, key_id)), "killed": True}


@operations.add("POST", f"{_KEY}/rotate", scope=None, body=schemas.Nothing(), body_optional=True, secret=True)
def rotate_key(call: Call, key_id: str) -> Record:
    """Give a key a new secret; the one time it is seen."""
    document, text = call.store.keys.rotate(call.organization, key_id)
    return {"apiKey": key_view(document) | {"rotatedAt": document["rotatedAt"]}, "secret": text}


@operations.add("DELETE", _KEY, scope=None, body=schemas.Nothing(), body_optional=True)
def delete_key(call: Call, key_id: str) -> Record:
    """Switch a key off for good."""
    return {"apiKey": key_view(call.store.keys.delete(call.organization, key_id)), "deleted": True}


def document(server: str) -> Record:
    """Return the OpenAPI document of what is served here, at the URL `server`."""
    return openapi_document([partner_api(operations), control_plane(control_operations)], server)


def create_app(rooms: Rooms) -> Flask:
    """Return the app; all it needs is handed in."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # one more than whole_body accepts
    app.url_map.merge_slashes = False  # a path that is not ours is a 404, not a redirect with a page
    limits, foresight = rate_limits(rooms.settings), Foresight()
    for operation in operations:
        view = partial(serve_operation, operation, rooms, limits, foresight)
        route(app, operation.method, operation.path, operation.name, view)
    route(app, "PUT", UPLOAD_PATH, "upload", partial(serve_upload, rooms))
    file_path = "/media/<organization>/<owner>/<token>/<any(original, thumbnail, portrait):variant>/<name>"
    route(app, "GET", file_path, "media", partial(serve_file, rooms))
    log = RequestLog.of(rooms)
    add_control(app, rooms, log, operations)
    add_reference(app, document, rooms.settings)
    add_console(app, rooms, log, operations)
    add_error_handlers(app)
    app.before_request(Housekeeping(rooms).look)
    app.wsgi_app = Front(app.wsgi_app, access_log(rooms.settings.log), log.record)  # type: ignore[method-assign]
    return app


def serve() -> Flask:
    """Return the app as the environment sets it up; one sentence and an exit if that cannot be."""
    try:
        rooms = open_rooms(read_settings(os.environ))
        host = _host_of_flask_run()
        if host is not None:
            refuse_public_demo_key(rooms.store, rooms.settings, host)
        return create_app(rooms)
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
