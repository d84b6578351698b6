"""What the clock causes: written once, by the first look after its moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from api_helpers import key_of, new_organization, unchanged

from layers_standin.domain.due import due_until, first_influencer, with_due, without_due
from layers_standin.domain.tables import moment_of
from layers_standin.domain.times import epoch_milliseconds, seconds

pytestmark = pytest.mark.postgres

BODY = {"name": "Kim", "personality": {"traits": ["calm"]}}


@pytest.fixture
def owner(store):
    return new_organization(store)


@pytest.fixture
def project(store, owner, clock):
    """Return a project without influencers, whose first one is due in ten seconds, and again in twenty."""
    projects = store.for_organization(owner).projects
    document = projects.create({"name": "New", "timezone": "UTC"})
    begun = epoch_milliseconds(clock())
    for job, passed in (("job_2", 20_000), ("job_1", 10_000)):
        document = with_due(document, first_influencer(document, job, begun + passed, BODY | {"name": job}))
    projects.put(document)
    return document["id"]


@pytest.fixture
def ask(client, store, owner):
    headers = key_of(store, owner, "*")
    return lambda path, **content: client.open(path, headers=headers, **content).json


def names(ask, project):
    return [each["name"] for each in ask(f"/v1/projects/{project}/influencers")["items"]]


def test_entries_are_in_order_once_each():
    later, sooner = ({"id": name, "atMs": at, "effect": "x"} for name, at in (("a", 2), ("b", 1)))

    both = with_due(with_due({"id": "p"}, later), sooner)

    assert both == {"id": "p", "due": [sooner, later]}
    assert with_due(both, later) == both
    assert [due_until(both, now) for now in (0, 1, 2)] == [[], [sooner], [sooner, later]]
    assert without_due(without_due(both, "a"), "b") == {"id": "p"}


def test_what_is_due_is_written_by_the_first_look_as_of_its_moment(ask, project, clock, store, owner):
    begun = clock()
    clock.move(seconds=9)
    assert names(ask, project) == []
    clock.move(seconds=31)

    (item,) = ask(f"/v1/projects/{project}/influencers")["items"]

    made = ask(f"/v1/influencers/{item['influencerId']}")
    at = seconds(begun + timedelta(seconds=10))
    assert (made["name"], made["status"], made["personality"]) == ("job_1", "ready", {"traits": ["calm"]})
    assert (made["createdAt"], made["updatedAt"]) == (at, at)
    assert "due" not in store.for_organization(owner).projects.get(project)
    (change,) = store.for_organization(owner).history.of(store.for_organization(owner).influencer(item["influencerId"]))
    assert (change["operation"], change["apiKeyId"], change["at"]) == (None, None, at.replace("Z", ".120Z"))


def test_a_clock_that_is_set_back_takes_nothing_back(ask, project, clock):
    clock.move(seconds=10)
    assert names(ask, project) == ["job_1"]
    clock.move(days=-1)

    assert names(ask, project) == ["job_1"]


def test_a_project_that_has_an_influencer_by_then_gets_none(ask, project, clock):
    clock.move(seconds=9)
    ask(f"/v1/projects/{project}/influencers", method="POST", json={"name": "Noa"})
    clock.move(seconds=31)

    assert names(ask, project) == ["Noa"]


def test_an_influencer_that_is_created_later_comes_second(ask, project, clock):
    clock.move(seconds=10)
    ask(f"/v1/projects/{project}/influencers", method="POST", json={"name": "Noa"})

    assert names(ask, project) == ["Noa", "job_1"]


def test_of_many_that_look_at_once_one_writes(app, ask, store, owner, project, clock):
    headers = key_of(store, owner, "*")
    clock.move(seconds=60)

    with ThreadPoolExecutor(8) as pool:
        pages = list(
            pool.map(lambda _: app.test_client().get(f"/v1/projects/{project}/influencers", headers=headers), range(16))
        )

    assert {page.status_code for page in pages} == {200}
    assert names(ask, project) == ["job_1"]


def test_what_is_due_is_found_in_order_by_an_index(store, owner, project):
    (sort_key,) = store.db.scan("projects", owner, "due", limit=5)

    first = store.for_organization(owner).projects.get(project)["due"][0]
    assert (sort_key.partition("=")[2], moment_of(sort_key)) == (project, first["atMs"])


def test_a_look_before_its_moment_writes_nothing(ask, project, on_disk, clock):
    is_unchanged = unchanged(on_disk)
    clock.move(seconds=9)

    assert names(ask, project) == []
    assert is_unchanged()
