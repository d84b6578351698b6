"""The routes of the app, as Werkzeug sees them."""

import pytest
from werkzeug.routing import Map, Rule

from layers_standin.web.service import Route

RULES = ("/v1/a/<one>/b/<two>", "/v1/a", "/media/<any(x, y):one>/<path:two>")


def built(kind: type[Rule], rule: str, values: dict[str, str]) -> str:
    return Map([kind(rule, endpoint="e")]).bind("host").build("e", values)


@pytest.mark.parametrize("values", [{"one": "x", "two": "a b/\u00e9"}, {"one": "y", "two": "c", "more": "&"}])
@pytest.mark.parametrize("rule", RULES)
def test_a_route_builds_the_urls_that_a_rule_builds(rule, values):
    assert built(Route, rule, values) == built(Rule, rule, values)


def test_the_app_has_compiled_no_building_of_a_url(app):
    for rule in app.url_map.iter_rules():
        assert [rule._build.__name__, rule._build_unknown.__name__] == ["build", "build"]
