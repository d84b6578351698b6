"""A seeded service on a real folder, for every test."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from api_helpers import Clock
from conformance import ToldClient
from control_helpers import Control
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from records.keys import DEMO_KEY
from settings import Settings
from start import Rooms, open_rooms
from store import Store

AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
AVA_PATH = f"/v1/influencers/{AVA}"
DEMO = {"X-Api-Key": DEMO_KEY}

# A shared machine may pause any test; how long one takes says nothing about whether it is right.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "store", sync=False)


@pytest.fixture
def journal(settings: Settings) -> Path:
    """Return the store's file."""
    return settings.data / "journal.jsonl"


@pytest.fixture
def rooms(settings: Settings, clock: Clock) -> Iterator[Rooms]:
    store, media, _ = open_rooms(settings)
    yield Rooms(Store(store.db, clock), media, settings)
    store.db.close()


@pytest.fixture
def store(rooms: Rooms) -> Store:
    return rooms.store


@pytest.fixture
def organization(store: Store) -> str:
    """Return the id of the seed's organization."""
    return str(store.organizations.all()[0]["id"])


@pytest.fixture
def app(rooms: Rooms, settings: Settings) -> Flask:
    made = create_app(Rooms(rooms.store, rooms.media, settings))
    made.test_client_class = ToldClient
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def demo(client: FlaskClient) -> FlaskClient:
    """Return a client that sends the demo key unless a test sends another."""
    client.environ_base["HTTP_X_API_KEY"] = DEMO_KEY
    return client


@pytest.fixture
def control(client: FlaskClient) -> Control:
    """Return who commands the service, from this machine."""
    return Control(client)
