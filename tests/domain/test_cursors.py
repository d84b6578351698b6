"""The two lists: their order, their pages and cursors, their filters, and the pictures beside the rows."""

import re
import tempfile
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import orjson
import pytest
from api_helpers import AVA_PICTURES, SPRING, Clock, key_of, living, new_organization, refused
from conftest import AVA, AVA_PATH
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from app import create_app
from layers_standin.services import Services, open_services
from layers_standin.settings import Settings
from store import Store

pytestmark = pytest.mark.postgres

UUID = "3f0b4c39-9c55-4f3a-8f0f-7d116f1c2f5e"
JOB_MS = 2000
PROJECTS, INFLUENCERS = "/v1/projects", "/v1/projects/shelf/influencers"
BOTH = [(INFLUENCERS, 100), (PROJECTS, 200)]
STATUSES = ["draft", "pending", "training", "ready", "failed"]


def bad_query(**field_errors):
    return {
        "status": 422,
        "code": "VALIDATION",
        "message": "Invalid query.",
        "details": {"fieldErrors": field_errors},
    }


BAD_CURSOR = bad_query(cursor=["Invalid cursor"])


def add_project(client, **fields):
    response = client.post(PROJECTS, json={"name": "A project", "timezone": "UTC"} | fields)
    assert response.status_code == 201, response.text
    return response.json["id"]


def add_influencer(client, path=INFLUENCERS, **fields):
    """Return (influencer id, job id)."""
    response = client.post(path, json={"name": "Kim"} | fields)
    assert response.status_code == 202, response.text
    return response.json["influencerId"], response.json["jobId"]


def add(client, path):
    """Add a row to a list and return its id."""
    return add_project(client) if path == PROJECTS else add_influencer(client)[0]


def ids(response):
    assert response.status_code == 200, response.text
    assert list(response.json) == ["items", "nextCursor"]
    return [item.get("influencerId") or item["id"] for item in response.json["items"]]


def pages(client, path, **query):
    """Return the ids of every page until there is no cursor any more."""
    found, cursor = [], {}
    while True:
        response = client.get(path, query_string=query | cursor)
        found.append(ids(response))
        if response.json["nextCursor"] is None:
            return found
        cursor = {"cursor": response.json["nextCursor"]}


@contextmanager
def new_service():
    """Yield (store, clock, client) of an organization that has nothing but the project `shelf`."""
    with tempfile.TemporaryDirectory() as folder:
        settings, clock = Settings(data=Path(folder), seed=None, sync=False), Clock()
        rooms = open_services(settings)
        store = Store(rooms.store.db, clock, job_ms=JOB_MS)
        client = create_app(Services(store, rooms.media, settings)).test_client()
        client.environ_base["HTTP_X_API_KEY"] = key_of(store, new_organization(store), "*")["X-Api-Key"]
        add_project(client, id="shelf")
        try:
            yield store, clock, client
        finally:
            store.db.close()


@pytest.fixture
def service():
    with new_service() as made:
        yield made


@pytest.fixture
def shop(service):
    """Return the client alone."""
    return service[2]


# What a row is


def test_a_row_of_the_influencers_has_the_fields_of_the_contract(demo):
    item = demo.get(f"/v1/projects/{SPRING}/influencers").json["items"][-1]

    assert list(item) == ["influencerId", "name", "gender", "ageRange", "status", "thumbnailUrl", "createdAt"]
    assert item == {
        "influencerId": AVA,
        "name": "Ava Chen",
        "gender": "female",
        "ageRange": "25-34",
        "status": "ready",
        "thumbnailUrl": item["thumbnailUrl"],
        "createdAt": "2026-04-01T14:22:10Z",
    }


def test_a_row_of_the_projects_has_the_fields_of_the_contract(demo):
    item = demo.get(PROJECTS).json["items"][0]

    assert item == {
        "id": SPRING,
        "name": "Spring launch",
        "status": "active",
        "customerExternalId": "customer-001",
        "timezone": "America/Los_Angeles",
        "primaryLanguage": "en",
        "ownerEmail": "maya@northwind.example",
        "createdAt": "2026-03-02T08:05:00Z",
        "updatedAt": "2026-03-02T08:05:00Z",
    }
    assert list(item)[:3] == ["id", "name", "status"]


# Order and limits


@pytest.mark.parametrize(("path", "most"), BOTH)
def test_rows_come_newest_first_twenty_five_at_a_time_or_as_many_as_are_asked_for(shop, path, most):
    added = [add(shop, path) for _ in range(most)]
    newest_first = added[::-1] + (["shelf"] if path == PROJECTS else [add_influencer(shop)[0]])
    if path == INFLUENCERS:
        newest_first.insert(0, newest_first.pop())

    everything = pages(shop, path)

    assert [row for page in everything for row in page] == newest_first
    assert {len(page) for page in everything[:-1]} == {25}
    for limit in (1, 2, most - 1, most):
        response = shop.get(path, query_string={"limit": limit})
        assert ids(response) == newest_first[:limit]
        assert response.json["nextCursor"] is not None
    assert [len(page) for page in pages(shop, path, limit=most)] == [most, 1]


@pytest.mark.parametrize(("path", "_"), BOTH)
def test_the_last_page_has_no_cursor_even_when_it_is_full(shop, path, _):
    for _ in range(3):
        add(shop, path)

    total = len(ids(shop.get(path)))
    assert shop.get(path, query_string={"limit": total}).json["nextCursor"] is None
    assert [len(page) for page in pages(shop, path, limit=1)] == [1] * total


def test_a_list_of_nothing_is_empty(shop):
    assert shop.get(INFLUENCERS).json == {"items": [], "nextCursor": None}
    assert shop.get(PROJECTS, query_string={"search": "nothing"}).json == {"items": [], "nextCursor": None}


def test_an_id_that_was_chosen_says_nothing_about_the_order(shop):
    chosen = ["inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG", None, UUID.upper(), None, "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FF"]
    added = [add_influencer(shop, **({"influencerId": each} if each else {}))[0] for each in chosen]
    assert [row for page in pages(shop, INFLUENCERS, limit=2) for row in page] == added[::-1]

    wanted = ["zz", None, "00", None, "proj_0", UUID]
    projects = [add_project(shop, **({"id": each} if each else {})) for each in wanted]
    assert [row for page in pages(shop, PROJECTS, limit=2) for row in page] == [*projects[::-1], "shelf"]


NOT_A_NUMBER = "Expected number, received nan"
TOO_SMALL = "Number must be greater than or equal to 1"


@pytest.mark.parametrize(("path", "most"), BOTH)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", TOO_SMALL),
        ("-1", TOO_SMALL),
        ("-0", TOO_SMALL),
        ("{more}", "Number must be less than or equal to {most}"),
        ("999999999", "Number must be less than or equal to {most}"),
        *[
            (text, NOT_A_NUMBER)
            for text in ("1.5", "abc", "", "1e3", " 5", "5 ", "+5", "٣", "0x5", "1_0", "5,0", "NaN", "null", "5\0")
        ],
    ],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(shop, path, most, text, message):
    response = shop.get(path, query_string={"limit": text.format(more=most + 1)})

    assert refused(response) == bad_query(limit=[message.format(most=most)])


@pytest.mark.parametrize(("path", "_"), BOTH)
@pytest.mark.parametrize("status", ["", "Ready", "ACTIVE", "deleted", "ready,failed", " "])
def test_a_status_nobody_knows_is_refused(shop, path, _, status):
    assert refused(shop.get(path, query_string={"status": status})) == bad_query(status=["Invalid enum value"])


def test_the_statuses_of_one_list_are_not_those_of_the_other(shop):
    for path, status in ((INFLUENCERS, "active"), (PROJECTS, "ready")):
        assert refused(shop.get(path, query_string={"status": status})) == bad_query(status=["Invalid enum value"])


def test_all_faults_of_a_query_are_told_at_once_and_before_what_is_not_found(shop):
    response = shop.get("/v1/projects/nobody/influencers?limit=x&status=y&cursor=z")

    faults = {"limit": [NOT_A_NUMBER], "status": ["Invalid enum value"], "cursor": ["Invalid cursor"]}
    assert refused(response) == bad_query(**faults)


@pytest.mark.parametrize(("path", "_"), BOTH)
def test_what_a_query_has_beyond_that_is_ignored(shop, path, _):
    added = [add(shop, path) for _ in range(2)]

    response = shop.get(f"{path}?limit=1&mood=x&Limit=0&limit[]=0&__class__=x&=&&offset=1&search{chr(0)}=x")

    assert ids(response) == [added[1]]


# Cursors


def cursor_of(client, path, **query):
    cursor = client.get(path, query_string=query | {"limit": 1}).json["nextCursor"]
    assert cursor is not None
    return cursor


def forged(cursor, change):
    """Return a cursor with another content but otherwise like ours."""
    content = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return urlsafe_b64encode(orjson.dumps(change(content))).decode().rstrip("=")


@pytest.fixture
def stocked(shop):
    """Return a client of an organization with several rows in every list."""
    add_project(shop, id="other", customerExternalId="c1")
    add_project(shop, id="third", customerExternalId="c1", name="Archived")
    for project in ("shelf", "other"):
        for _ in range(3):
            add_influencer(shop, f"/v1/projects/{project}/influencers")
    shop.delete(f"{PROJECTS}/third")
    return shop


INDEXES = [
    (INFLUENCERS, {}),
    (INFLUENCERS, {"status": "pending"}),
    ("/v1/projects/other/influencers", {}),
    (PROJECTS, {}),
    (PROJECTS, {"status": "active"}),
    (PROJECTS, {"search": "a"}),
    (PROJECTS, {"customerExternalId": "c1"}),
]


@pytest.mark.parametrize(("path", "query"), INDEXES)
def test_a_cursor_is_good_for_its_own_list_with_any_limit_and_for_no_other(stocked, path, query):
    cursor = cursor_of(stocked, path, **query)

    for other_path, other in INDEXES:
        response = stocked.get(other_path, query_string=other | {"cursor": cursor, "limit": 7})
        if (other_path, other) == (path, query):
            assert ids(response) == ids(stocked.get(path, query_string=query))[1:]
        else:
            assert refused(response) == BAD_CURSOR


@pytest.mark.parametrize("path", [INFLUENCERS, PROJECTS])
def test_a_cursor_of_another_organization_is_refused(stocked, service, path):
    store = service[0]
    cursor = cursor_of(stocked, path)
    stocked.environ_base["HTTP_X_API_KEY"] = key_of(store, new_organization(store), "*")["X-Api-Key"]
    add_project(stocked, id="shelf")

    assert refused(stocked.get(path, query_string={"cursor": cursor})) == BAD_CURSOR


def encoded(text):
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


GARBAGE = [
    "", "x", "====", "é", "\0", " ", "null", "../..", "A" * 500,
    *map(encoded, ("[]", "null", "1", '"ab"', "{}", '{"a": 1, "b": 2}', '["a", "b"]', "[1, 2, 3]", "[" * 900)),
]  # fmt: skip


@pytest.mark.parametrize(("path", "_"), BOTH)
@pytest.mark.parametrize("cursor", GARBAGE)
def test_a_cursor_that_is_none_is_refused(stocked, path, _, cursor):
    assert refused(stocked.get(path, query_string={"cursor": cursor})) == BAD_CURSOR


@pytest.mark.parametrize(("path", "_"), BOTH)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda cursor: cursor[:-1],
        lambda cursor: cursor[1:],
        lambda cursor: cursor + cursor,
        lambda cursor: forged(cursor, lambda content: [content[0], 7]),
        lambda cursor: forged(cursor, lambda content: [content[0], None]),
        lambda cursor: forged(cursor, lambda content: [None, content[1]]),
        lambda cursor: forged(cursor, lambda content: [*content, 1]),
    ],
)
def test_a_cursor_that_was_tampered_with_is_refused(stocked, path, _, spoil):
    assert refused(stocked.get(path, query_string={"cursor": spoil(cursor_of(stocked, path))})) == BAD_CURSOR


def test_a_project_whose_id_is_a_uuid_has_one_list_in_any_case(shop):
    add_project(shop, id=UUID)
    path = f"/v1/projects/{UUID}/influencers"
    added = [add_influencer(shop, path)[0] for _ in range(3)]
    cursor = cursor_of(shop, path)

    response = shop.get(f"/v1/projects/{UUID.upper()}/influencers", query_string={"cursor": cursor})

    assert ids(response) == added[1::-1]


def test_a_cursor_goes_on_where_it_was_when_its_row_is_gone(shop):
    added = [add_influencer(shop)[0] for _ in range(4)]
    response = shop.get(INFLUENCERS, query_string={"limit": 2})
    for gone in added[1:]:
        shop.delete(f"/v1/influencers/{gone}")

    assert pages(shop, INFLUENCERS, cursor=response.json["nextCursor"]) == [added[:1]]


def test_a_cursor_at_what_has_become_the_end_shows_an_empty_page(shop):
    added = [add_influencer(shop)[0] for _ in range(2)]
    cursor = cursor_of(shop, INFLUENCERS)
    shop.delete(f"/v1/influencers/{added[0]}")

    assert shop.get(INFLUENCERS, query_string={"cursor": cursor}).json == {"items": [], "nextCursor": None}


# Against a plain list: whatever happens between two pages, no row comes twice and none is missing.

limits = st.integers(1, 4)
rows = st.integers(0, 11)
turns = st.tuples(st.just("turn"), limits)
on_rows = st.tuples(st.sampled_from(["remove", "edit", "cancel", "doom"]), rows)
waits = st.tuples(st.just("wait"), st.sampled_from([1, 399, 400, 700, 1399, 1400, 2000]))
chosen = st.tuples(st.just("add"), st.booleans())


def expected_page(model, keep, last, limit):
    """Return (rows, whether there are more) of the page below row number `last`, newest first."""
    older = [number for number in sorted(model, reverse=True) if last is None or number < last]
    below = [number for number in older if keep(model[number])]
    return below[:limit], len(below) > limit


class Walk:
    """Goes through a list page by page and compares each with the model's, {row number: row}."""

    def __init__(self, client, path, query, keep):
        self.client, self.path, self.query, self.keep = client, path, query, keep
        self.last, self.cursor = None, None

    def turn(self, model, limit):
        query = self.query | {"limit": limit} | ({"cursor": self.cursor} if self.cursor else {})
        response = self.client.get(self.path, query_string=query)
        numbers, more = expected_page(model, self.keep, self.last, limit)
        assert ids(response) == [model[number]["id"] for number in numbers]
        self.cursor = response.json["nextCursor"]
        assert (self.cursor is not None) == more
        self.last = numbers[-1] if more else None  # or from the beginning again


def status_of(row, now_ms):
    """Return what the contract says of an influencer at that time, from when it was made and what became of it."""
    age_ms = now_ms - row["born_ms"]
    if row["canceled"] or (age_ms >= JOB_MS and row["doomed"]):
        return "failed"
    return "pending" if age_ms < 400 else "training" if age_ms < JOB_MS else "ready"


class InfluencerModel:
    """Applies actions to the service and to the model alike."""

    def __init__(self, store, clock, client):
        self.store, self.clock, self.client = store, clock, client
        self.rows, self.count = {}, 0

    def apply(self, action, argument):
        if action == "add":
            self._add(chosen=argument)
        elif action == "wait":
            self.clock.move(milliseconds=argument)
        elif self.rows:
            number = sorted(self.rows)[argument % len(self.rows)]
            getattr(self, action)(number, self.rows[number])

    def _add(self, chosen):
        own = {"influencerId": f"inf_01HX{'Z' * 20}{9 - self.count % 10}{self.count // 10}"} if chosen else {}
        influencer_id, job_id = add_influencer(self.client, **own)
        row = {"id": influencer_id, "job": job_id, "born_ms": self.store.now_ms(), "canceled": False, "doomed": False}
        self.rows[self.count] = row
        self.count += 1

    def remove(self, number, row):
        assert self.client.delete(f"/v1/influencers/{row['id']}").status_code == 200
        del self.rows[number]

    def edit(self, _, row):
        assert self.client.patch(f"/v1/influencers/{row['id']}", json={"vibe": "new"}).status_code == 200

    def cancel(self, _, row):
        accepted = self.client.post(f"/v1/jobs/{row['job']}/cancel").status_code == 202
        assert accepted == (not row["canceled"] and self.store.now_ms() - row["born_ms"] < 0.9 * JOB_MS)
        row["canceled"] |= accepted

    def doom(self, _, row):
        """Let the job fail at its end, as no request can; not one that has ended, for that would be a new past."""
        if row["canceled"] or self.store.now_ms() - row["born_ms"] >= JOB_MS:
            return
        document = self.store.for_organization(self.store.organizations.all()[0]["id"]).influencer(row["id"])
        failure = {"code": "TRAINING_FAILED", "message": "Made up."}
        self.store.tables.put("influencers", document | {"schedule": document["schedule"] | {"failure": failure}})
        row["doomed"] = True


@pytest.mark.slow
@given(
    st.none() | st.sampled_from(STATUSES),
    st.lists(chosen, max_size=8),
    st.lists(turns | on_rows | waits | chosen, max_size=25),
)
@hypothesis_settings(max_examples=60)
def test_pages_of_influencers_are_those_of_a_plain_list_whatever_happens_between_them(status, before, actions):
    with new_service() as (store, clock, client):
        model = InfluencerModel(store, clock, client)
        query = {} if status is None else {"status": status}
        walk = Walk(client, INFLUENCERS, query, lambda row: status is None or status_of(row, store.now_ms()) == status)
        for action, argument in [*before, *actions, ("turn", 100)]:
            if action == "turn":
                walk.turn(model.rows, argument)
            else:
                model.apply(action, argument)


FILTERS = {
    "all": ({}, lambda row: True),
    "active": ({"status": "active"}, lambda row: not row["archived"]),
    "archived": ({"status": "archived"}, lambda row: row["archived"]),
    "search": ({"search": "MO"}, lambda row: "mo" in row["name"].lower()),
    "customer": ({"customerExternalId": "c1"}, lambda row: row["customer"] == "c1"),
    "three": (
        {"customerExternalId": "c1", "search": "o", "status": "active"},
        lambda row: row["customer"] == "c1" and "o" in row["name"].lower() and not row["archived"],
    ),
}
names = st.sampled_from(["Moon", "Sun", "Tomorrow", "mo"])
customers = st.none() | st.sampled_from(["c1", "c2"])
new_projects = st.tuples(st.just("add"), st.tuples(names, customers, st.booleans()))
project_edits = st.tuples(
    st.sampled_from(["archive", "revive", "rename", "hand over"]), st.tuples(rows, names, customers)
)


class ProjectModel:
    """Applies actions to the service and to the model alike; the first row is `shelf`."""

    def __init__(self, client):
        self.client = client
        self.rows = {0: {"id": "shelf", "name": "A project", "customer": None, "archived": False}}

    def apply(self, action, argument):
        if action == "add":
            self._add(*argument)
            return
        index, name, customer = argument
        row = self.rows[sorted(self.rows)[index % len(self.rows)]]
        sent, change = {
            "archive": (None, {"archived": True}),
            "revive": ({"status": "active"}, {"archived": False}),
            "rename": ({"name": name}, {"name": name}),
            "hand over": ({"customerExternalId": customer}, {"customer": customer}),
        }[action]
        path = f"{PROJECTS}/{row['id']}"
        response = self.client.delete(path) if sent is None else self.client.patch(path, json=sent)
        assert response.status_code == 200
        row |= change

    def _add(self, name, customer, is_chosen):
        number = len(self.rows)
        fields = {"customerExternalId": customer, "id": f"p{99 - number}" if is_chosen else None, "name": name}
        project_id = add_project(self.client, **{field: value for field, value in fields.items() if value is not None})
        self.rows[number] = {"id": project_id, "name": name, "customer": customer, "archived": False}


@pytest.mark.slow
@given(
    st.sampled_from(list(FILTERS)),
    st.lists(new_projects, max_size=8),
    st.lists(turns | project_edits | new_projects, max_size=25),
)
@hypothesis_settings(max_examples=60)
def test_pages_of_projects_are_those_of_a_plain_list_whatever_happens_between_them(chosen_filter, before, actions):
    query, keep = FILTERS[chosen_filter]
    with new_service() as (_, _, client):
        model, walk = ProjectModel(client), Walk(client, PROJECTS, query, keep)
        for action, argument in [*before, *actions, ("turn", 200)]:
            if action == "turn":
                walk.turn(model.rows, argument)
            else:
                model.apply(action, argument)


# Status


def by_status(client):
    """Return {status: ids} as the filters tell them, once the unfiltered list says the same."""
    found = {status: ids(client.get(INFLUENCERS, query_string={"status": status})) for status in STATUSES}
    items = client.get(INFLUENCERS).json["items"]
    for status, rows in found.items():
        assert rows == [item["influencerId"] for item in items if item["status"] == status]
    for item in items:
        assert client.get(f"/v1/influencers/{item['influencerId']}").json["status"] == item["status"]
    return {status: rows for status, rows in found.items() if rows}


def test_a_new_influencer_goes_from_list_to_list_as_the_clock_moves(service):
    _, clock, shop = service
    kim, _ = add_influencer(shop)

    seen = [by_status(shop)]
    for milliseconds in (399, 1, 1400 - 1, 1, 199, 1, 10**9):
        clock.move(milliseconds=milliseconds)
        seen.append(by_status(shop))

    expected = ["pending", "pending", "training", "training", "training", "training", "ready", "ready"]
    assert seen == [{status: [kim]} for status in expected]


def test_more_may_be_pending_than_are_looked_at_in_one_go(service):
    _, clock, shop = service
    ended = [add_influencer(shop)[0] for _ in range(2)]
    clock.move(seconds=2)
    running = [add_influencer(shop)[0] for _ in range(205)]

    assert pages(shop, INFLUENCERS, status="pending", limit=100) == [
        running[:104:-1], running[104:4:-1], running[4::-1]
    ]  # fmt: skip
    assert pages(shop, INFLUENCERS, status="ready") == [ended[::-1]]


def test_a_canceled_one_is_failed_at_once_and_for_ever(service):
    _, clock, shop = service
    kim, job_id = add_influencer(shop)
    noa, _ = add_influencer(shop)

    assert shop.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert by_status(shop) == {"failed": [kim], "pending": [noa]}
    clock.move(seconds=2)
    assert by_status(shop) == {"failed": [kim], "ready": [noa]}


def test_one_whose_job_is_to_fail_looks_well_until_it_does(service):
    store, clock, shop = service
    model = InfluencerModel(store, clock, shop)
    model.apply("add", False)
    kim = model.rows[0]["id"]
    model.apply("doom", 0)

    assert by_status(shop) == {"pending": [kim]}
    clock.move(milliseconds=1999)
    assert by_status(shop) == {"training": [kim]}
    clock.move(milliseconds=1)
    assert by_status(shop) == {"failed": [kim]}


def test_documents_without_a_job_are_listed_by_the_status_they_have(service):
    store, _, shop = service
    organization = store.organizations.all()[0]["id"]
    for status in ("ready", "failed"):
        store.tables.put("influencers", living(organization, f"inf_{status}", "shelf", status=status))

    assert by_status(shop) == {"ready": ["inf_ready"], "failed": ["inf_failed"]}


def test_deleted_ones_are_in_no_list(service):
    _, clock, shop = service
    for after_ms in (0, 400, 2000):
        added = [add_influencer(shop) for _ in range(2)]
        clock.move(milliseconds=after_ms)
        for influencer_id, _ in added:
            assert shop.delete(f"/v1/influencers/{influencer_id}").status_code == 200
        assert by_status(shop) == {}
    influencer_id, job_id = add_influencer(shop)
    shop.delete(f"/v1/influencers/{influencer_id}")
    assert shop.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    assert by_status(shop) == {}


def test_deleted_ones_are_in_a_list_of_their_own_the_last_one_first(service):
    store, clock, shop = service
    added = [add_influencer(shop)[0] for _ in range(3)]
    for influencer_id in (added[1], added[0], added[2]):
        clock.move(seconds=1)
        shop.delete(f"/v1/influencers/{influencer_id}")
    organization = store.organizations.all()[0]["id"]

    def page(cursor: str | None) -> tuple[list[str], str | None]:
        query = {"status": "archived", "limit": 2, "cursor": cursor}
        documents, after = store.for_organization(organization).page_of_influencers("shelf", query)
        return [document["influencerId"] for document in documents], after

    first, cursor = page(None)
    second, end = page(cursor)
    assert (first, second, end) == ([added[2], added[0]], [added[1]], None)


def test_a_patch_leaves_a_running_one_on_its_course(service):
    _, clock, shop = service
    kim, _ = add_influencer(shop)
    clock.move(milliseconds=400)
    assert shop.patch(f"/v1/influencers/{kim}", json={"vibe": "x"}).json["status"] == "training"

    clock.move(milliseconds=1600)

    assert by_status(shop) == {"ready": [kim]}


def test_a_list_is_of_its_own_project_only(shop):
    other = add_project(shop, id="shelf2")
    kim, _ = add_influencer(shop)
    noa, _ = add_influencer(shop, f"/v1/projects/{other}/influencers")

    assert pages(shop, INFLUENCERS) == pages(shop, INFLUENCERS, status="pending") == [[kim]]
    assert pages(shop, f"/v1/projects/{other}/influencers") == [[noa]]


def test_an_archived_project_still_lists_its_influencers(shop):
    kim, _ = add_influencer(shop)
    shop.delete(f"{PROJECTS}/shelf")

    assert pages(shop, INFLUENCERS) == [[kim]]


# Pictures


def thumbnail_of(client, path=INFLUENCERS):
    (item,) = client.get(path).json["items"]
    return item["thumbnailUrl"]


def test_without_pictures_the_thumbnail_is_a_portrait_once_there_is_something_to_show(service):
    _, clock, shop = service
    add_influencer(shop, gender="female", hairColor="black")

    assert thumbnail_of(shop) is None
    clock.move(seconds=1)
    assert thumbnail_of(shop) is None
    clock.move(seconds=1)
    url = thumbnail_of(shop)
    assert re.fullmatch(r"http://localhost/media/[^/]+/[^/]+/[^/]{22,}/portrait/portrait\.png", url)
    for headers in ({}, {"X-Api-Key": "x"}):
        with shop.get(url, headers=headers) as served, Image.open(BytesIO(served.data)) as shown:
            assert (served.status_code, served.content_type) == (200, "image/png")
            assert shown.format == "PNG"
            assert max(shown.size) <= 256


def test_a_failed_one_has_no_portrait(service):
    _, clock, shop = service
    _, job_id = add_influencer(shop)
    shop.post(f"/v1/jobs/{job_id}/cancel")
    clock.move(seconds=5)

    assert thumbnail_of(shop) is None


def test_a_portrait_has_another_url_for_every_change_that_shows_in_it(service):
    _, clock, shop = service
    kim, _ = add_influencer(shop)
    clock.move(seconds=2)
    first = thumbnail_of(shop)

    shop.patch(f"/v1/influencers/{kim}", json={"name": "Kimberly", "voiceDescription": "low"})
    assert thumbnail_of(shop) == first
    shop.patch(f"/v1/influencers/{kim}", json={"hairColor": "red"})
    second = thumbnail_of(shop)

    assert second != first
    assert shop.get(first).status_code == 404
    with shop.get(second) as served:
        assert served.status_code == 200


def test_with_pictures_the_thumbnail_is_the_first_ones(demo):
    path = f"/v1/projects/{SPRING}/influencers"
    portrait = demo.get(path).json["items"][-1]["thumbnailUrl"]

    attached = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES[1:]}).json["referenceImages"]
    demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES[:1]})

    item = demo.get(path).json["items"][-1]
    assert item["influencerId"] == AVA
    assert item["thumbnailUrl"] == attached[0]["thumbnailUrl"] != portrait
    with demo.get(item["thumbnailUrl"]) as served, Image.open(BytesIO(served.data)) as shown:
        assert served.status_code == 200
        assert max(shown.size) <= 256


def test_with_pictures_the_thumbnail_is_there_from_the_beginning(demo):
    body = {"name": "Kim", "referenceImages": {"assetIds": AVA_PICTURES[1:2]}}
    demo.post(f"/v1/projects/{SPRING}/influencers", json=body)

    item = demo.get(f"/v1/projects/{SPRING}/influencers").json["items"][0]

    assert item["status"] == "pending"
    assert f"/{AVA_PICTURES[1]}/" in item["thumbnailUrl"]


def test_every_thumbnail_of_the_seed_is_served(demo):
    for project in ids(demo.get(PROJECTS)):
        for item in demo.get(f"{PROJECTS}/{project}/influencers").json["items"]:
            with demo.get(item["thumbnailUrl"]) as served, Image.open(BytesIO(served.data)) as shown:
                assert served.status_code == 200
                assert max(shown.size) <= 256


# Search


@pytest.fixture
def named(shop):
    for project_id, name, customer in [
        ("spring", "Spring Launch", "c1"),
        ("street", "Lange Straße", "c1"),
        ("percent", "100% of_all.*", "C1"),
        ("east", "東京ローンチ", None),
    ]:
        add_project(shop, id=project_id, name=name, **({"customerExternalId": customer} if customer else {}))
    shop.delete(f"{PROJECTS}/street")
    return shop


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"search": "spring"}, ["spring"]),
        ({"search": "RING LA"}, ["spring"]),
        ({"search": "la"}, ["street", "spring"]),
        ({"search": "STRASSE"}, ["street"]),
        ({"search": "straße"}, ["street"]),
        ({"search": "東京"}, ["east"]),
        ({"search": "%"}, ["percent"]),
        ({"search": "_"}, ["percent"]),
        ({"search": ".*"}, ["percent"]),
        ({"search": "s.*g"}, []),
        ({"search": ""}, ["east", "percent", "street", "spring", "shelf"]),
        ({"customerExternalId": "c1"}, ["street", "spring"]),
        ({"customerExternalId": "C1"}, ["percent"]),
        ({"customerExternalId": "c"}, []),
        ({"customerExternalId": ""}, []),
        ({"customerExternalId": "c1", "search": "la", "status": "archived"}, ["street"]),
        ({"customerExternalId": "C1", "search": "la"}, []),
        ({"status": "active", "search": "la"}, ["spring"]),
        ({"search": "A PROJECT", "mood": "x"}, ["shelf"]),
    ],
)
def test_projects_are_found_by_name_customer_and_status(named, query, found):
    assert [row for page in pages(named, PROJECTS, limit=1, **query) for row in page] == found


def test_a_project_is_found_by_what_it_has_become(named):
    named.patch(f"{PROJECTS}/spring", json={"name": "Autumn", "customerExternalId": "c9"})

    assert ids(named.get(PROJECTS, query_string={"search": "spring"})) == []
    assert ids(named.get(PROJECTS, query_string={"search": "autumn"})) == ["spring"]
    assert ids(named.get(PROJECTS, query_string={"customerExternalId": "c1"})) == ["street"]
    assert ids(named.get(PROJECTS, query_string={"customerExternalId": "c9"})) == ["spring"]


def test_projects_of_another_organization_are_in_no_list(named, service):
    store = service[0]
    named.environ_base["HTTP_X_API_KEY"] = key_of(store, new_organization(store), "*")["X-Api-Key"]

    for query in ({}, {"search": "spring"}, {"customerExternalId": "c1"}, {"status": "active"}):
        assert named.get(PROJECTS, query_string=query).json == {"items": [], "nextCursor": None}
