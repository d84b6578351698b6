"""How often a request goes to a PostgreSQL server and back: that is what it takes, wherever the server is."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from api_helpers import SPRING
from conftest import AVA_PATH

pytest.importorskip("psycopg")

from relay import Relay

from layers_standin.settings import Settings


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
def relay(database: str) -> Iterator[Relay]:
    with closing(Relay(database)) as relay:
        yield relay


@pytest.fixture
def settings(settings: Settings, relay: Relay) -> Settings:
    return replace(settings, store=relay.url)


@pytest.mark.parametrize(
    ("method", "path", "body", "trips"),
    [
        pytest.param("GET", AVA_PATH, None, 1, id="a document"),
        pytest.param("GET", "/v1/whoami", None, 2, id="the organization"),
        pytest.param("GET", f"/v1/projects/{SPRING}", None, 1, id="another"),
        pytest.param("GET", f"/v1/projects/{SPRING}/influencers?status=ready", None, 2, id="a list"),
        pytest.param("PATCH", AVA_PATH, {"vibe": "x"}, 4, id="a change"),
    ],
)
def test_a_request_of_a_known_key_takes_no_more_trips_than_it_needs(demo, relay, method, path, body, trips):
    for number in range(3):  # the first ones make the connection and prepare the statements
        before = relay.trips
        reply = demo.open(path, method=method, json=body and dict.fromkeys(body, f"{number}"))
        assert reply.status_code == 200
    assert relay.trips - before == trips


def test_a_request_for_another_document_each_time_takes_no_trip_more(demo, relay):
    for path in (AVA_PATH, f"/v1/projects/{SPRING}") * 2:
        before = relay.trips
        assert demo.get(path).status_code == 200
    assert relay.trips - before == 1


def test_whose_a_key_was_is_a_guess_and_no_answer(demo, control):
    """An organization that is gone is not remembered, nor is a key that is switched off let in."""
    organization, headers = control.organization()
    assert demo.get("/v1/whoami", headers=headers).status_code == 200
    control.delete(f"/organizations/{organization}")
    assert demo.get("/v1/whoami", headers=headers).status_code == 401
