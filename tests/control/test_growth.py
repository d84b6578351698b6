"""A suite that makes an organization for each test: what looks at all of them stays as cheap as with the first ones."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from api_helpers import picture
from conftest import AVA, AVA_PATH

from layers_standin.console.queries import MOST_ORGANIZATIONS, MOST_SNAPSHOTS
from layers_standin.domain.tables import ALL
from layers_standin.housekeeping import housekeeping
from layers_standin.settings import Settings

pytestmark = pytest.mark.postgres


@pytest.fixture
def relay(database: str | None):
    """Something that counts the trips to a server of PostgreSQL, None for the other engine."""
    if database is None:
        yield None
        return
    from relay import Relay  # noqa: PLC0415 - its driver may not be here

    with closing(Relay(database)) as relay:
        yield relay


@pytest.fixture
def settings(settings: Settings, relay) -> Settings:
    return settings if relay is None else replace(settings, store=relay.url)


@pytest.fixture
def cost(rooms, relay) -> Callable[[Callable[[], object]], int]:
    """Return a function that counts the statements, or trips to the server, of what it calls."""

    def count(act: Callable[[], object]) -> int:
        for _ in range(2):  # the first ones make the connection and prepare the statements
            act()
        if relay is not None:
            before = relay.trips
            act()
            return relay.trips - before
        statements: list[str] = []
        connection = rooms.store.db._session().connection
        connection.exec_trace = lambda _, statement, __: statements.append(statement) or True
        act()
        connection.exec_trace = None
        return len(statements)

    return count


@pytest.fixture
def grow(rooms, clock) -> Callable[[int], list[str]]:
    """Return a function that makes organizations, each with a key, a project, a fault and a counter of its requests."""

    def make(number: int) -> list[str]:
        store, made = rooms.store, []
        for _ in range(number):
            clock.move(seconds=1)
            organization = store.for_organization(ALL).organizations.create("A test")["id"]
            own = store.for_organization(organization)
            own.keys.create(["*"], "Its key")
            own.projects.create({"name": "Its project", "timezone": "UTC"})
            store.controls.change(organization, "isLogged", lambda _: True)
            store.tables.put("rate_limits", {"id": "key/read-light/minute", "organizationId": organization, "count": 1})
            made.append(organization)
        return made

    return make


LOOKS = {
    "health": "/_standin/health",
    "the list": "/_standin/organizations",
    "a history": f"/_standin/influencers/{AVA}/history",
    "the overview": "/console?fragment=1",
    "the requests": "/console/requests?fragment=1",
    "the controls": "/console/controls?fragment=1",
}


def test_looks_take_as_many_statements_and_pages_as_many_bytes_however_many_organizations_there_are(
    client, control, cost, grow
):
    def look(path: str) -> bytes:
        reply = client.get(path)
        assert reply.status_code == 200
        return reply.data

    def measured() -> dict[str, tuple[int, int]]:
        return {name: (cost(lambda path=path: look(path)), len(look(path))) for name, path in LOOKS.items()}

    control.put("/clock", mode="frozen", at="2030-01-01T00:00:00Z")
    grow(MOST_ORGANIZATIONS)
    before = measured()
    grow(60)
    after = measured()

    assert {name: after[name][0] for name in LOOKS} == {name: before[name][0] for name in LOOKS}
    for name in ("the overview", "the requests", "the controls"):
        assert after[name][1] - before[name][1] < 50, name  # digits of the number that is not listed
    assert control.get("/health")["counts"]["organizations"] == MOST_ORGANIZATIONS + 61


def test_an_organization_is_dropped_with_as_many_statements_however_many_there_are(control, cost, grow):
    few = grow(4)
    before = cost(lambda: control.delete(f"/organizations/{few.pop()}"))
    many = grow(40)

    assert cost(lambda: control.delete(f"/organizations/{many.pop()}")) == before


def test_a_fault_is_found_among_all_organizations_by_as_many_statements_however_many_there_are(control, cost, grow):
    def remove(organization: str) -> None:
        fault = control.post("/faults", answer={"delayMs": 0}, organizationId=organization)["id"]
        assert control.delete(f"/faults/{fault}") == {"id": fault, "deleted": True}

    few = grow(4)
    before = cost(lambda: remove(few[0]))
    many = grow(40)

    assert cost(lambda: remove(many[20])) == before


def test_pictures_are_attached_with_as_many_statements_however_many_they_are(cost, demo, rooms, organization, clock):
    pictures = [f"asset_{number:02d}" for number in range(20)]
    for asset_id in pictures:
        rooms.store.tables.put("assets", picture(organization, asset_id))

    def attach(number: int) -> None:
        clock.move(seconds=1)  # or there would be nothing to write
        reply = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": pictures[:number]})
        assert len(reply.json["referenceImages"]) == number

    assert cost(lambda: attach(1)) == cost(lambda: attach(20))


def test_what_was_dropped_costs_nothing_any_more(control, cost, grow, rooms):
    """Neither a look nor what goes over everything."""
    acts: dict[str, Callable[[], object]] = {
        "health": lambda: control.get("/health"),
        "reset": lambda: control.post("/reset"),
        "snapshot": lambda: control.post("/snapshots", name="one"),
        "restore": lambda: control.post("/snapshots/one/restore"),
        "housekeeping": lambda: housekeeping(rooms),
    }
    control.post("/reset")
    before = {name: cost(act) for name, act in acts.items()}
    for organization in grow(30):
        control.delete(f"/organizations/{organization}")

    assert {name: cost(act) for name, act in acts.items()} == before


def test_a_page_lists_the_first_organization_the_newest_and_the_one_that_is_asked_for(client, grow, organization):
    old, *others = grow(MOST_ORGANIZATIONS + 1)

    for path in ("/console?organization=", "/console/controls?organization=", "/console/requests?organizationId="):
        page = client.get(path + old).text
        assert [each for each in (organization, old, *others) if each not in page] == [others[0]]
        assert "1 more: <code>GET /_standin/organizations</code> lists all" in page


def test_the_controls_list_the_newest_snapshots(client, clock, rooms):
    for number in range(MOST_SNAPSHOTS + 1):
        with rooms.store.db.create_snapshot(f"s{99 - number}", {"at": f"2030-01-01T00:00:{number:02}.000Z"}):
            pass
    page = client.get("/console/controls").text

    assert [f"<b>s{99 - number}</b>" in page for number in (0, 1, MOST_SNAPSHOTS)] == [False, True, True]
    assert "1 more: <code>GET /_standin/snapshots</code> lists all." in page
