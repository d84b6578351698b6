"""The way of a request through an operation: one transaction for the effect and the stored response."""

from functools import partial

import pytest
from api_helpers import living, unchanged
from conftest import AVA, DEMO
from flask import Flask

from layers_standin.domain.errors import NotFound
from layers_standin.services import Housekeeping
from layers_standin.web.dispatch import dispatch
from layers_standin.web.middleware import RequestMiddleware
from layers_standin.web.operations import Operations
from layers_standin.web.responses import add_error_handlers, route
from schemas import EmptyBody

pytestmark = pytest.mark.postgres

ONCE = DEMO | {"Idempotency-Key": "once"}


@pytest.fixture
def client_of(rooms):
    """Return a function that serves one handler and returns a client."""

    def client_of(handler):
        operations = Operations()
        operations.add("POST", "/v1/act", scope=None, body=EmptyBody(), body_optional=True)(handler)
        app = Flask(__name__)
        for operation in operations:
            route(app, operation.method, operation.path, operation.name, partial(dispatch, operation, rooms))
        add_error_handlers(app)
        ignore = lambda *_: None  # noqa: E731 - the logs are not what this is about
        app.wsgi_app = RequestMiddleware(app.wsgi_app, ignore, ignore, Housekeeping(rooms))
        return app.test_client()

    return client_of


def test_a_refusal_undoes_what_was_written_before_it_and_is_stored(client_of, store, organization):
    def act(call):
        store.tables.put("influencers", living(organization, "inf_half"))
        raise NotFound("Gone.")

    client = client_of(act)
    first, second = client.post("/v1/act", headers=ONCE), client.post("/v1/act", headers=ONCE)

    assert (first.status_code, first.json["error"]["message"]) == (404, "Gone.")
    assert (second.status_code, second.data) == (404, first.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(NotFound):
        store.for_organization(organization).influencer("inf_half")


def test_a_crash_undoes_what_was_written_before_it_and_is_not_stored(client_of, store, organization, on_disk):
    def act(call):
        store.tables.put("influencers", living(organization, "inf_half"))
        raise ZeroDivisionError

    client, is_unchanged = client_of(act), unchanged(on_disk)

    for _ in range(2):
        response = client.post("/v1/act", headers=ONCE)
        assert (response.status_code, response.headers.get("Idempotent-Replayed")) == (500, None)
    assert is_unchanged()


def test_effect_and_stored_response_are_one_commit(client_of, on_disk):
    client = client_of(lambda call: call.store.patch_influencer(AVA, {"vibe": "x"}))
    before = on_disk.commits()

    assert client.post("/v1/act", headers=ONCE).status_code == 200
    assert on_disk.commits() == before + 1
