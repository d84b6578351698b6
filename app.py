"""The API: its operations, and the one Flask app that serves them.

An operation is a few lines: its rules are in `store.py` and `layers_standin/domain/`, its schemas in `schemas.py`, and
the steps before it (key, scope, body, idempotency, in the contract's order) in `layers_standin/web/dispatch.py`.
"""

import os
import sys
from functools import cache, partial
from typing import cast

import click
from flask import Flask

import schemas
from layers_standin.console.action_routes import add_actions
from layers_standin.console.consent import add_consents
from layers_standin.console.github import GitHubConsent
from layers_standin.console.posts import add_post_pages
from layers_standin.console.public import add_public_style
from layers_standin.console.routes import add_console
from layers_standin.console.social import SocialConsent
from layers_standin.control.operations import operations as control_operations
from layers_standin.control.routes import add_control
from layers_standin.domain.assets import asset_view, verify_received
from layers_standin.domain.errors import NotAcceptable
from layers_standin.domain.idempotency import StoredResponse
from layers_standin.domain.ingest import ingested
from layers_standin.domain.jobs import envelope_view, job_view
from layers_standin.domain.keys import (
    INFLUENCERS_WRITE,
    JOBS_CANCEL,
    JOBS_READ,
    PROJECTS_READ,
    PROJECTS_WRITE,
    key_view,
    whoami_view,
)
from layers_standin.domain.projects import deletion_view, project_item, project_view
from layers_standin.domain.results import result_of
from layers_standin.engines.table import Record
from layers_standin.housekeeping import Housekeeping, discard_unfinished
from layers_standin.operations import content, posts, quickstart, social, webhooks
from layers_standin.services import Services, has_demo_key, open_services, refuse_public_demo_key
from layers_standin.settings import StartError, read_settings
from layers_standin.startup import check_server, fail, flask_run_address, greeting
from layers_standin.web.application import Application
from layers_standin.web.dispatch import dispatch
from layers_standin.web.errors import Unauthenticated
from layers_standin.web.files import serve_file
from layers_standin.web.limits import rate_limits
from layers_standin.web.logs.output import access_log, replace_standard_streams, send
from layers_standin.web.logs.requests import RequestLog
from layers_standin.web.operations import LONG_RUNNING, Call, Operations, Reply
from layers_standin.web.reference import add_reference
from layers_standin.web.uploads import (
    UPLOAD_PATH,
    InspectedUpload,
    expiry_of,
    inspect_again,
    inspect_upload,
    serve_upload,
    store_inline,
    upload_url,
)
from layers_standin.webhooks.watcher import start_watching
from store import influencer_item, influencer_view, references_view

operations = Operations()

_INFLUENCER = "/v1/influencers/<influencer_id>"
_PROJECT = "/v1/projects/<project_id>"
_KEY = "/v1/api-keys/<key_id>"


@operations.add("GET", "/v1/whoami", scope=None)
def whoami(call: Call) -> Record:
    """Return the key's organization, scopes and rate limit tier."""
    return whoami_view(call.key, call.store.organizations.get(call.store.organization), call.store.now_ms())


# Influencers


@operations.add("GET", _INFLUENCER, scope=INFLUENCERS_WRITE)
def get_influencer(call: Call, influencer_id: str) -> Record:
    """Return an influencer's full record."""
    return influencer_view(call.store.influencer(influencer_id), call.base_url)


@operations.add("PATCH", _INFLUENCER, scope=INFLUENCERS_WRITE, body=schemas.InfluencerPatch())
def patch_influencer(call: Call, influencer_id: str) -> Record:
    """Change the given fields of an influencer; the rest stays."""
    document = call.store.patch_influencer(influencer_id, call.body)
    return influencer_view(document, call.base_url)


@operations.add("DELETE", _INFLUENCER, scope=INFLUENCERS_WRITE, body=schemas.InfluencerDeletion(), body_optional=True)
def delete_influencer(call: Call, influencer_id: str) -> Record:
    """Archive the influencer, with the actor, the time and the reason."""
    reason = call.body.get("reason")
    document = call.store.delete_influencer(influencer_id, reason, call.key["apiKeyId"])
    deleted_at = document["attributes"]["deletion"]["deletedAt"]
    return {"influencerId": document["influencerId"], "status": "deleted", "deletedAt": deleted_at}


@operations.add("POST", f"{_INFLUENCER}/reference-images", scope=INFLUENCERS_WRITE, body=schemas.ReferenceImages())
def attach_reference_images(call: Call, influencer_id: str) -> Record:
    """Attach assets of the influencer's project; return the whole merged list."""
    document = call.store.attach_reference_images(influencer_id, call.body["assetIds"])
    references = references_view(document["referenceImages"], call.base_url)
    return {"influencerId": document["influencerId"], "referenceImages": references}


@operations.add("GET", f"{_PROJECT}/influencers", scope=INFLUENCERS_WRITE, query=schemas.InfluencerQuery())
def list_influencers(call: Call, project_id: str) -> Record:
    """Return a page of a project's influencers, newest first."""
    documents, cursor = call.store.page_of_influencers(project_id, call.body)
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
    return envelope_view(call.store.create_influencer(project_id, call.body))


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
    return envelope_view(call.store.clone_influencer(influencer_id, call.body))


# Jobs


@operations.add("GET", "/v1/jobs/<job_id>", scope=JOBS_READ, tagged=True)
def get_job(call: Call, job_id: str) -> Record:
    """Return the state of a job."""
    return job_view(call.store.jobs.get(job_id), call.store.now_ms(), partial(result_of, base_url=call.base_url))


@operations.add(
    "POST", "/v1/jobs/<job_id>/cancel", scope=JOBS_CANCEL, body=schemas.EmptyBody(), body_optional=True, success=202
)
def cancel_job(call: Call, job_id: str) -> Record | Reply:
    """Cancel a job, unless it has ended or is finalizing."""
    final_status = call.store.cancel_job(job_id)
    if final_status is None:
        return {"jobId": job_id, "accepted": True}
    return Reply(200, {"jobId": job_id, "accepted": False, "reason": f"ALREADY_{final_status.upper()}"})


# Projects


@operations.add("POST", "/v1/projects", scope=PROJECTS_WRITE, body=schemas.ProjectCreate(), success=201)
def create_project(call: Call) -> Record:
    """Create a project."""
    return project_view(call.store.projects.create(call.body))


@operations.add("GET", "/v1/projects", scope=PROJECTS_READ, query=schemas.ProjectQuery())
def list_projects(call: Call) -> Record:
    """Return a page of the organization's projects, newest first."""
    documents, cursor = call.store.projects.page(call.body)
    return {"items": [project_item(document) for document in documents], "nextCursor": cursor}


@operations.add("GET", _PROJECT, scope=PROJECTS_READ)
def get_project(call: Call, project_id: str) -> Record:
    """Return a project's full record."""
    return _project_view(call, call.store.projects.get(project_id))


def _project_view(call: Call, project: Record) -> Record:
    ingests = ingested(call.store.ingests.of(project), call.store.now_ms())
    return project_view(project, call.store.containers.blocked_count(project), ingests)


@operations.add("PATCH", _PROJECT, scope=PROJECTS_WRITE, body=schemas.ProjectPatch())
def patch_project(call: Call, project_id: str) -> Record:
    """Change the given fields of a project; metadata as a whole."""
    return _project_view(call, call.store.patch_project(project_id, call.body))


@operations.add("DELETE", _PROJECT, scope=PROJECTS_WRITE, body=schemas.EmptyBody(), body_optional=True)
def delete_project(call: Call, project_id: str) -> Record:
    """Archive the project; it takes no new influencers, everything else continues."""
    return deletion_view(*call.store.archive_project(project_id))


# Media


@operations.add("POST", f"{_PROJECT}/media/presign", scope=PROJECTS_WRITE, body=schemas.Presign())
def presign_upload(call: Call, project_id: str) -> Record:
    """Presign an upload; return the URL for its bytes."""
    project = call.store.projects.get(project_id)
    discard_unfinished(call.services, call.store)
    upload = call.store.assets.presign(project["id"], call.body)
    return {
        "uploadId": upload["uploadId"],
        "uploadUrl": upload_url(call.services, upload, call.base_url()),
        "method": "PUT",
        "headers": {"Content-Type": upload["contentType"]},
        "expiresAt": expiry_of(upload),
    }


@operations.add(
    "POST", f"{_PROJECT}/media/finalize", scope=PROJECTS_WRITE, body=schemas.Finalize(), begins_transaction=True
)
def finalize_upload(call: Call, project_id: str) -> StoredResponse:
    """Make an asset of an upload whose bytes were received."""
    with inspect_upload(call, project_id) as inspected:
        return cast(StoredResponse, call.run_transaction(partial(_finalize, call, project_id, inspected)))


def _finalize(call: Call, project_id: str, inspected: InspectedUpload | None) -> Record:
    project = call.store.projects.get(project_id)
    upload = call.store.assets.upload_of_project(project["id"], call.body["uploadId"])
    inspected = inspect_again(call, upload, inspected)
    upload |= {} if inspected is None else {"received": inspected.upload["received"]}
    verify_received(upload, call.body.get("checksumSha256"))
    _refuse_picture(inspected)
    return asset_view(call.store.assets.finalize(upload), call.base_url())


@operations.add(
    "POST",
    f"{_PROJECT}/media",
    scope=PROJECTS_WRITE,
    body=schemas.InlineMedia(),
    success=201,
    begins_transaction=True,
)
def upload_inline(call: Call, project_id: str) -> StoredResponse:
    """Make an asset of bytes in the body."""
    with store_inline(call, project_id) as inspected:
        return cast(StoredResponse, call.run_transaction(partial(_finalize_inline, call, project_id, inspected)))


def _finalize_inline(call: Call, project_id: str, inspected: InspectedUpload | None) -> Record:
    call.store.projects.get(project_id)
    _refuse_picture(inspected)
    assert inspected is not None  # noqa: S101 - there is a project
    return asset_view(call.store.assets.finalize(inspected.upload), call.base_url())


def _refuse_picture(inspected: InspectedUpload | None) -> None:
    """Raises NotAcceptable unless the bytes of a picture have the declared type."""
    if inspected is not None and inspected.fault is not None:
        raise NotAcceptable("Invalid body.", fieldErrors={"mimeType": [inspected.fault]})


# Keys


@operations.add("POST", f"{_KEY}/kill", scope=None, body=schemas.EmptyBody(), body_optional=True)
def kill_key(call: Call, key_id: str) -> Record:
    """Switch a key off."""
    return {"apiKey": key_view(call.store.keys.kill(key_id)), "killed": True}


@operations.add("POST", f"{_KEY}/rotate", scope=None, body=schemas.EmptyBody(), body_optional=True, secret=True)
def rotate_key(call: Call, key_id: str) -> Record:
    """Give a key a new secret; only this response shows it."""
    if not call.store.keys.is_known(call.key["publicId"], lock=True):  # of two rotations by itself, one acts
        raise Unauthenticated
    document, text = call.store.keys.rotate(key_id)
    return {"apiKey": key_view(document) | {"rotatedAt": document["rotatedAt"]}, "secret": text}


@operations.add("DELETE", _KEY, scope=None, body=schemas.EmptyBody(), body_optional=True)
def delete_key(call: Call, key_id: str) -> Record:
    """Switch a key off permanently."""
    return {"apiKey": key_view(call.store.keys.delete(key_id)), "deleted": True}


operations += content.operations
operations += social.operations
operations += posts.operations
operations += quickstart.operations
operations += webhooks.operations


def document(server: str) -> Record:
    """Return the OpenAPI document of the served operations, at the URL `server`."""
    from layers_standin.openapi.control import control_plane  # noqa: PLC0415 - few ask for the document
    from layers_standin.openapi.document import openapi_document  # noqa: PLC0415
    from layers_standin.openapi.events import event_schemas, event_webhooks  # noqa: PLC0415
    from layers_standin.openapi.partner import partner_api  # noqa: PLC0415

    sections = [partner_api(operations), control_plane(control_operations)]
    return openapi_document(sections, server, event_webhooks(), event_schemas())


def create_app(services: Services) -> Flask:
    """Return the Flask app of the services."""
    log = RequestLog.of(services)
    app = Application(access_log(services.settings.log), log.record, Housekeeping(services))
    services = services._replace(limits=rate_limits(services.settings))
    for operation in operations:
        app.add_direct(operation.method, operation.path, operation.name, partial(dispatch, operation, services))
    app.add_direct("PUT", UPLOAD_PATH, "upload", partial(serve_upload, services))
    file_path = "/media/<organization>/<owner>/<token>/<any(original, thumbnail, portrait, avatar):variant>/<name>"
    app.add_direct("GET", file_path, "media", partial(serve_file, services))
    add_control(app, services, log, operations)
    add_reference(app, document, services.settings)
    add_console(app, services, log, operations)
    add_actions(app, services)
    add_public_style(app)
    add_post_pages(app, services)
    add_consents(app, services, {social.CONSENT: SocialConsent(), quickstart.CONSENT: GitHubConsent()})
    return app


def serve() -> Flask:
    """Return the app with the settings of the environment; exit with one sentence if it cannot start."""
    replace_standard_streams(os.environ)
    context = click.get_current_context(silent=True)
    flask_run = context if context is not None and context.info_name == "run" else None
    try:
        note = check_server() if context is None else None
        address = None if flask_run is None else flask_run_address(flask_run)
        services = open_services(read_settings(os.environ))
        if flask_run is not None:  # gunicorn's own host is looked at in gunicorn.conf.py
            refuse_public_demo_key(services.store, services.settings, flask_run.params["host"])
    except StartError as error:
        fail(str(error))
    start_watching(services)
    sys.stderr.write(note or "")
    if address is not None:
        send(greeting(services.settings, [address], has_demo_key(services.store)))
    return create_app(services)


def __getattr__(name: str) -> Flask:
    """Make the app at the first access to `app:app`, so that importing this module opens no store."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = made = serve()
    return made
