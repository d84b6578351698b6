"""A seeded service on a real folder or database, for every test."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from api_helpers import MEDIA, Clock
from contract.conformance import ToldClient
from control_helpers import Control
from databases import Databases, Pages, Rows, databases
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.engines.sqlite.files import DATABASE
from layers_standin.engines.table import Record
from layers_standin.services import Services, open_services
from layers_standin.settings import Settings
from store import Store

AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"
AVA_PATH = f"/v1/influencers/{AVA}"
DEMO = {"X-Api-Key": DEMO_KEY}

# A shared machine may pause any test; how long one takes says nothing about whether it is right.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# What makes a program that is started here answer, speak or look different. HOME is no part of it, for browsers are
# installed there; what is said to the tests themselves, CRASH_* and STANDIN_TEST_*, is none either.
_OF_THE_MACHINE = re.compile(
    r"STANDIN_(?!TEST_)|LAYERS_|PORT$|WEB_CONCURRENCY$|FORWARDED_ALLOW_IPS$|SENDFILE$|NOTIFY_SOCKET$|LISTEN_"
    r"|(GUNICORN|FLASK|WERKZEUG|SCHEMATHESIS|AWS|MOTO|BOTO)_|PYTHON(?!HOME$|HASHSEED$|DONTWRITEBYTECODE$)|NODE_OPTIONS$"
    r"|LC_|LANG$|LANGUAGE$|TZ$|COLUMNS$|LINES$|TERM$|NO_COLOR$|(CLI|FORCE_|PY_)COLOR|(BASH_)?ENV$|CDPATH$"
    r"|(https?|ftp|all|no)_proxy$",
    re.IGNORECASE,
)
_OF_A_DATABASE = re.compile("PG")  # what completes the URL in STANDIN_TEST_POSTGRES, if there is one


@pytest.fixture(scope="session", autouse=True)
def environment_of_no_machine() -> Iterator[None]:
    """Keep what is set where the tests are run from them, and from the programs that they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            strange = _OF_THE_MACHINE.match(name)
            if strange or (_OF_A_DATABASE.match(name) and "STANDIN_TEST_POSTGRES" not in os.environ):
                patch.delenv(name)
        # A shell that starts the tests in the background has them ignore Ctrl-C, and so all programs they start.
        ignored = [each for each in (signal.SIGINT, signal.SIGQUIT) if signal.getsignal(each) is signal.SIG_IGN]
        for each in ignored:
            signal.signal(each, signal.default_int_handler if each is signal.SIGINT else signal.SIG_DFL)
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def server_of_databases() -> Iterator[Databases]:
    with databases() as made:
        yield made


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Return the engine that a test is run on: the default one, and PostgreSQL too where the engine takes part."""
    return request.param


only_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests marked `postgres` on both engines, all others on the default one."""
    given = " ".join(str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize"))
    if "kind" in metafunc.fixturenames and not re.search(r"\bkind\b", given):
        on_postgres = metafunc.definition.get_closest_marker("postgres") is not None
        kinds = ["sqlite", *([pytest.param("postgres", marks=pytest.mark.slow)] if on_postgres else [])]
        metafunc.parametrize("kind", kinds, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, kind: str) -> str | None:
    """Return the URL of an empty database, or None when the engine needs none."""
    if kind == "sqlite":
        return None
    return request.getfixturevalue("server_of_databases").emptied()


@pytest.fixture
def place(tmp_path: Path, database: str | None) -> Path | str:
    """Return where an engine is to be opened: a folder or a database."""
    return database or tmp_path


@pytest.fixture
def settings(tmp_path: Path, database: str | None) -> Settings:
    return Settings(data=tmp_path / "store", store=database, sync=False)


@pytest.fixture
def on_disk(settings: Settings) -> Pages | Rows:
    """Return all that the store has on disk: what it holds, and that something was written although it is the same."""
    return Pages(settings.data / DATABASE) if settings.store is None else Rows(settings.store)


@pytest.fixture
def rooms(settings: Settings, clock: Clock) -> Iterator[Services]:
    store, media, *_ = open_services(settings)
    yield Services(Store(store.db, clock), media, settings)
    store.db.close()


@pytest.fixture
def store(rooms: Services) -> Store:
    return rooms.store


@pytest.fixture
def organization(store: Store) -> str:
    """Return the id of the seed's organization."""
    return str(store.organizations.all()[0]["id"])


@pytest.fixture
def app(rooms: Services, settings: Settings) -> Flask:
    made = create_app(Services(rooms.store, rooms.media, settings))
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


@pytest.fixture
def presign(demo):
    """Return a function that promises an upload: a PNG unless told otherwise."""

    def presign(**fields: Any) -> Record:
        response = demo.post(f"{MEDIA}/presign", json={"kind": "image", "mimeType": "image/png"} | fields)
        assert response.status_code == 200, response.json
        return dict(response.json)

    return presign


@pytest.fixture
def finalize(demo):
    def finalize(upload: Record, **fields: Any) -> TestResponse:
        return demo.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]} | fields)

    return finalize
