"""A seeded service on a real folder, for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from settings import Settings
from start import Rooms, open_rooms
from store import DEMO_KEY

AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
AVA_PATH = f"/v1/influencers/{AVA}"
DEMO = {"X-Api-Key": DEMO_KEY}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "store")


@pytest.fixture
def rooms(settings: Settings) -> Iterator[Rooms]:
    rooms = open_rooms(settings)
    yield rooms
    rooms.store.db.close()


@pytest.fixture
def app(rooms: Rooms, settings: Settings) -> Flask:
    return create_app(rooms.store, rooms.media, settings)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
