"""Consents: a page on which a person says yes or no to a client's request, and is sent back to the client.

The signature in the path is the permission to see the page. What is asked, and what a yes does, is a flow's matter.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Protocol, cast

from flask import Flask, Response, redirect, request
from markupsafe import escape

from layers_standin.console.public import serve_public, shown
from layers_standin.services import Services
from layers_standin.web.access import is_foreign_page
from layers_standin.web.consent_urls import CONSENT_PATH, read_signature
from layers_standin.web.errors import Forbidden, Invalid
from layers_standin.web.responses import route
from layers_standin.web.return_urls import origin_of
from store import Store

YES, NO = "yes", "no"


class Field(NamedTuple):
    """A text on the page that the person may change; `pattern` is a regular expression for browsers."""

    name: str
    label: str
    value: str
    pattern: str


class Question(NamedTuple):
    """A request to a person.

    `allows` are sentences about what a yes allows; `sent` are the parameters that are added to `return_url`, with words
    for their values. `ended_url` is None until somebody has answered or time is up, then where the person is sent.
    """

    title: str
    asker: str
    allows: list[str]
    note: str | None
    return_url: str
    sent: Mapping[str, str]
    ended_url: str | None
    field: Field | None = None


class ConsentFlow(Protocol):
    """A kind of consents. Both methods raise NotFound."""

    def question(self, store: Store, state: str) -> Question:
        """Return the question of a state."""

    def answer(self, store: Store, state: str, is_allowed: bool, form: Mapping[str, str]) -> str:
        """Keep the answer, unless the question has ended, and return the URL for the person. Raises Invalid.

        `form` has the person's text for the question's field. It is called in a transaction.
        """


def add_consents(app: Flask, services: Services, flows: Mapping[str, ConsentFlow]) -> None:
    """Add the pages of these flows, by name."""
    route(app, "GET", CONSENT_PATH, "consent_form", partial(serve_question, services, flows))
    route(app, "POST", CONSENT_PATH, "consent", partial(take_answer, services, flows))


def serve_question(services: Services, flows: Mapping[str, ConsentFlow], signature: str) -> Response:
    """Show what is asked, and a form to answer it."""
    return shown(partial(_question_page, services, flows, signature))


def take_answer(services: Services, flows: Mapping[str, ConsentFlow], signature: str) -> Response:
    """Keep a person's answer, and send the person back; no page but our own can answer."""
    return shown(partial(_answered, services, flows, signature))


def _question_page(services: Services, flows: Mapping[str, ConsentFlow], signature: str) -> Response:
    flow, store, state = _read(services.store, flows, signature)
    question = flow.question(store, state)
    link = question.ended_url and escape(question.ended_url)  # as it is: with a secret left out, it leads elsewhere
    return serve_public("consent", question._asdict() | {"ended_url": link}, form_to=origin_of(question.return_url))


def _answered(services: Services, flows: Mapping[str, ConsentFlow], signature: str) -> Response:
    if is_foreign_page(request.environ, services.settings):
        raise Forbidden("Only the page itself takes an answer.")
    flow, store, state = _read(services.store, flows, signature)
    decision = request.form.get("decision")
    if decision not in (YES, NO):
        raise Invalid(fieldErrors={"decision": ["Must be yes or no"]})
    url = store.db.run_transaction(partial(_answer, flow, store, state, decision == YES))
    return cast(Response, redirect(url, 303))


def _answer(flow: ConsentFlow, store: Store, state: str, is_allowed: bool) -> str:
    with store.db.transaction():
        return flow.answer(store, state, is_allowed, request.form)


def _read(store: Store, flows: Mapping[str, ConsentFlow], signature: str) -> tuple[ConsentFlow, Store, str]:
    """Return (flow, store of the organization, state) of a signed path. Raises NotFound."""
    flow, organization, state = read_signature(store, signature)
    return flows[flow], store.for_organization(organization), state
