"""What a PostgreSQL server is really sent for each operation, by its own log: it always carries one organization."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import databases
import pytest
from api_helpers import SPRING, key_of
from conftest import AVA, DEMO
from route_helpers import Things, body_of, every, made, send

pytest.importorskip("psycopg")

from app import create_app
from layers_standin.engines.postgres import sql
from layers_standin.services import Services

pytestmark = pytest.mark.slow

# What a request may send besides: of no organization, and about no document.
ABOUT_NOTHING = {sql.ADMIN[name] for name in ("begin", "commit", "rollback", "limit transactions")}
ENTRY = re.compile(r"^(?P<who>[\w-]*)\|LOG:  (?:statement|execute [^:]*): (?P<statement>.*(?:\n\t.*)*)", re.MULTILINE)
FILLED = r"INSERT INTO standin_\w+ \(organization, [^)]*\) (?:VALUES \(\$\d+|SELECT organization)"


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture(scope="module")
def server() -> Iterator[databases.Server]:
    """A server that writes down all it is told, and by whom."""
    server = databases.Server(*databases.CARELESS, "log_statement=all", "log_line_prefix=%a|")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def server_of_databases(server: databases.Server) -> Iterator[databases.Databases]:
    made = databases.Databases(server.url)
    yield made
    made.drop()


@pytest.fixture
def things(store, rooms, organization) -> Things:
    return made(store, rooms, organization, SPRING, AVA, key_of(store, organization)["X-Api-Key"])


@pytest.fixture
def sent(server: databases.Server) -> Callable[[], list[str]]:
    """Return the question what stand-ins have sent since the last time it was asked, in one line each."""
    seen = len(server.log.read_text("utf-8"))

    def look() -> list[str]:
        nonlocal seen
        text = server.log.read_text("utf-8")[seen:]
        seen += len(text)
        entries = ENTRY.finditer(text)
        return [in_a_line(entry["statement"]) for entry in entries if entry["who"] == "layers-stand-in"]

    return look


def in_a_line(statement: str) -> str:
    return " ".join(statement.split())


def carries_one(statement: str) -> bool:
    """Whether a statement looks only into, and fills only, rows of an organization that it is given."""
    looked_at = re.findall(r"\b(?:FROM|UPDATE|JOIN|TABLE|ONLY) standin_\w+", statement)
    filled = statement.count("INSERT INTO")
    return (
        len(looked_at) + filled > 0
        and len(looked_at) == len(re.findall(r"\borganization = \$\d+", statement))
        and filled == len(re.findall(FILLED, statement))
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT document FROM standin_documents WHERE id = $1",
        "SELECT d FROM standin_documents d JOIN standin_index_entries e USING (kind) WHERE organization = $1",
        "INSERT INTO standin_index_entries (kind, index_name) VALUES ($1, $2)",
        "DELETE FROM standin_documents",
        "LOCK TABLE standin_documents",
        "SELECT nextval('numbers')",
    ],
)
def test_a_statement_that_carries_no_organization_would_be_found(statement):
    assert not carries_one(statement)


@every
def test_every_statement_of_every_operation_carries_one_organization(client, things, sent, operation):
    sent()
    assert send(client, operation, things, body_of(operation, things)).status_code == operation.success
    about_documents = [statement for statement in sent() if statement not in ABOUT_NOTHING]
    assert about_documents
    assert [statement for statement in about_documents if not carries_one(statement)] == []


def test_so_does_every_statement_of_uploads_pictures_and_limits(rooms, settings, sent):
    demo = create_app(Services(rooms.store, rooms.media, replace(settings, rate_limits=True))).test_client()
    sent()
    promise = {"kind": "video", "mimeType": "video/mp4"}
    path = f"/v1/projects/{SPRING}"
    url = demo.post(f"{path}/media/presign", json=promise, headers=DEMO).json["uploadUrl"]
    assert demo.put(url, data=b"bytes", headers={"Content-Type": "video/mp4"}).status_code == 200
    for item in demo.get(f"{path}/influencers", headers=DEMO).json["items"]:
        with demo.get(item["thumbnailUrl"]) as picture:
            assert picture.status_code == 200
    about_documents = [statement for statement in sent() if statement not in ABOUT_NOTHING]
    assert about_documents
    assert [statement for statement in about_documents if not carries_one(statement)] == []
