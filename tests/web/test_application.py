"""The one Flask app: its rules, as Werkzeug sees them, and the views that it calls itself."""

import pytest
from flask import Response, has_app_context, has_request_context
from werkzeug.routing import Map, Rule

from layers_standin.housekeeping import Housekeeping
from layers_standin.web.application import Application, LazyRule

RULES = ("/v1/a/<one>/b/<two>", "/v1/a", "/media/<any(x, y):one>/<path:two>")


def built(kind: type[Rule], rule: str, values: dict[str, str]) -> str:
    return Map([kind(rule, endpoint="e")]).bind("host").build("e", values)


@pytest.mark.parametrize("values", [{"one": "x", "two": "a b/\u00e9"}, {"one": "y", "two": "c", "more": "&"}])
@pytest.mark.parametrize("rule", RULES)
def test_a_route_builds_the_urls_that_a_rule_builds(rule, values):
    assert built(LazyRule, rule, values) == built(Rule, rule, values)


def test_the_app_has_compiled_no_building_of_a_url(app):
    for rule in app.url_map.iter_rules():
        assert [rule._build.__name__, rule._build_unknown.__name__] == ["build", "build"]


@pytest.fixture
def client(rooms):
    """Return a client of an app with a direct view, one that crashes, and one of Flask's."""
    ignore = lambda *_: None  # noqa: E731 - the logs are not what this is about
    app = Application(ignore, ignore, Housekeeping(rooms))
    tell = lambda *_: Response(f"{has_request_context()} {has_app_context()}")  # noqa: E731
    app.add_direct("GET", "/v1/direct", "direct", tell)
    app.add_direct("GET", "/v1/crash", "crash", lambda _: 1 / 0)
    app.add_url_rule("/pages", "pages", tell)
    return app.test_client()


def test_a_direct_view_has_no_context_of_flask_and_a_page_has_one(client):
    assert (client.get("/v1/direct").text, client.get("/pages").text) == ("False False", "True True")
    assert (client.head("/v1/direct").status_code, client.head("/v1/direct").data) == (200, b"")


def test_a_crash_of_a_direct_view_is_a_500_in_the_envelope(client):
    reply = client.get("/v1/crash")
    assert (reply.status_code, reply.json["error"]["code"]) == (500, "INTERNAL")
    assert reply.headers["X-Request-Id"] == reply.json["error"]["requestId"]


def test_a_404_has_the_same_status_line_wherever_it_comes_from(demo):
    assert demo.get("/v1/influencers/nobody").status == demo.get("/v1/nothing").status == "404 NOT FOUND"
