"""The routes of the forms that change the API's documents: only for those who may use the control plane."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import orjson
from flask import Flask, Response, redirect, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge

from layers_standin.console.actions import (
    ACTIONS,
    INFLUENCER,
    Action,
    Answer,
    Caller,
    body_of,
    change_of,
    curl_of,
    form_fields,
    key_for,
    path_of,
    placed_errors,
    shown_values,
    upload,
    upload_curl,
)
from layers_standin.console.pages import View, href, influencer_href
from layers_standin.console.rendering import render
from layers_standin.console.routes import HEADERS, frame_of, linker, page_response, refusal_page, refuse_foreign_pages
from layers_standin.domain.errors import NotFound, StoreError
from layers_standin.engines.errors import EngineError
from layers_standin.engines.table import Record
from layers_standin.services import Services
from layers_standin.web.access import authorize
from layers_standin.web.errors import MAX_BODY_BYTES, Refusal
from layers_standin.web.operations import own_url
from layers_standin.web.responses import route
from store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PATH = "/console/actions/<name>/<organization>/<subject_id>"
_ANSWERED = Answer(200, {})


def add_actions(app: Flask, services: Services) -> None:
    """Add the forms; none where there is no console."""
    if services.settings.has_console:
        route(app, "GET", PATH, "console_action", partial(serve_action, services))
        route(app, "POST", PATH, "console_act", partial(take_action, app.wsgi_app, services))


def serve_action(services: Services, name: str, organization: str, subject_id: str) -> Response:
    """Show the form of an action, filled in with what there is."""
    try:
        authorize(request.environ, services.settings, services.store.signing_key)
        with services.store.db.snapshot_read():
            form = Form(services, name, organization, subject_id)
            return form.page(form.values(request.args), _ANSWERED)
    except (StoreError, Refusal, EngineError) as error:
        return _refused(services, error)


def take_action(app: "WSGIApplication", services: Services, name: str, organization: str, subject_id: str) -> Response:
    """Do what a filled in form says, and lead to its outcome; or show the form again, with what the API says of it.

    A form that asks for its command only is shown with that.
    """
    request.max_content_length = services.settings.max_upload_bytes + MAX_BODY_BYTES
    try:
        refuse_foreign_pages(services.settings)
        authorize(request.environ, services.settings, services.store.signing_key)
        form = Form(services, name, organization, subject_id)
        given = _given()
        if "show" in given:
            return form.page(given, _ANSWERED)
        answer = form.act(app, given)
        if answer.error:
            return form.page(given, answer)
        response = redirect(linker()(form.outcome(given, answer)), 303)
        response.headers.update(HEADERS)
        return response  # type: ignore[return-value]
    except (StoreError, Refusal, EngineError) as error:
        return _refused(services, error)


def _given() -> Mapping[str, str]:
    """Return the texts of the sent form. Raises TooLarge."""
    try:
        return request.form
    except RequestEntityTooLarge:
        raise _too_large() from None


def _too_large() -> Refusal:
    refusal = Refusal("The files are larger than STANDIN_MAX_UPLOAD_BYTES allows.")
    refusal.code = "PAYLOAD_TOO_LARGE"
    return refusal


def _refused(services: Services, error: StoreError | Refusal | EngineError) -> Response:
    shown = refusal_page(error)
    view = frame_of(shown.name, services.settings, False) | dict(shown.view)
    return page_response(render(shown.name, view, linker()), shown.status)


class Form:
    """The form of an action for a document. Raises NotFound for a document that is not there, or not any more."""

    def __init__(self, services: Services, name: str, organization: str, subject_id: str) -> None:
        if name not in ACTIONS:
            raise NotFound("There is no such page.")
        self._services, self._name = services, name
        self._action: Action = ACTIONS[name]
        services.store.organizations.get(organization)
        self._own: Store = services.store.for_organization(organization)
        self._is_of_influencer = self._action.subject == INFLUENCER
        self._subject = (
            self._own.influencer(subject_id) if self._is_of_influencer else self._own.projects.get(subject_id)
        )
        self._id = self._subject["influencerId" if self._is_of_influencer else "id"]
        self._project_id = self._subject["projectId"] if self._is_of_influencer else self._id
        self._base_url = services.settings.public_url or own_url(request)

    def values(self, asked: Mapping[str, str]) -> dict[str, str]:
        """Return the texts that the form has at first: those of the document, or those in the address."""
        if self._name == "edit":
            return self._shown()
        return {"name": f"{self._subject['name']} (copy)"} if self._name == "clone" else dict(asked)

    def _shown(self) -> dict[str, str]:
        return shown_values(self._action.body, self._subject)

    def body(self, given: Mapping[str, str]) -> Record:
        if self._name != "edit":
            return body_of(self._action.body, given)
        return change_of(self._action.body, given, self._was(given))

    def _was(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the texts that the form had at first: another client may have changed the document since."""
        try:
            was = orjson.loads(given["was"])
        except (KeyError, orjson.JSONDecodeError):
            was = None
        return was if isinstance(was, dict) else self._shown()

    def act(self, app: "WSGIApplication", given: Mapping[str, str]) -> Answer:
        """Call the operation, after the upload of the sent files; return the API's answer, or that of a failed upload.

        Raises Conflict without a key that may do it.
        """
        body = self.body(given)
        caller = Caller(app, request.environ, key_for(self._own, self._action.scopes))
        for file in self._files():
            uploaded = upload(caller, self._project_id, file)
            if uploaded.error:
                return uploaded
            body = body | {"assetIds": [*body.get("assetIds", []), uploaded.json["assetId"]]}
        return caller.call(self._action.method, path_of(self._action, self._id), body)

    def _files(self) -> list[FileStorage]:
        return [each for each in request.files.getlist("files") if each.filename] if self._name == "pictures" else []

    def outcome(self, given: Mapping[str, str], answer: Answer) -> str:
        """Return the path of the page that shows what was done."""
        influencer_id = answer.json.get("influencerId") or given.get("brief.influencerId")
        if influencer_id:
            return influencer_href({"organizationId": self._own.organization, "influencerId": influencer_id})
        return href("/console", organization=self._own.organization, project=self._project_id)

    def page(self, given: Mapping[str, str], answer: Answer) -> Response:
        """Return the page with the form: its texts, the API's answer if that is an error, and the command."""
        action, error = self._action, answer.error
        placed, others = placed_errors(action.body, error) if error else ({}, [])
        fields = form_fields(action.body, given, placed)
        is_edit = self._name == "edit"
        view: View = {
            "title": f"{action.title}{' ' + self._subject['name'] if self._is_of_influencer else ''}",
            "action": action,
            "name": self._name,
            "subject": self._subject,
            "back": self._back(),
            "fields": fields,
            "error": error,
            "others": others,
            "was": orjson.dumps(self._was(given) if is_edit else {}).decode(),
            "key": self._key(),
            "curl": curl_of(action, self._id, self.body(given), self._base_url),
            "upload_curl": upload_curl(self._project_id, self._base_url) if self._name == "pictures" else None,
        }
        frame = frame_of("action", self._services.settings, True)
        return page_response(render("action", frame | dict(view), linker()), answer.status)

    def _key(self) -> Record | None:
        try:
            return key_for(self._own, self._action.scopes)
        except StoreError:
            return None

    def _back(self) -> str:
        if self._is_of_influencer:
            return influencer_href(self._subject)
        return href("/console", organization=self._own.organization, project=self._id)
