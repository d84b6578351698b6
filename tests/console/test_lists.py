"""The console's lists: what they show, their pages, and that each leads to the others."""

from urllib.parse import urljoin

import pytest
from api_helpers import SPRING, new_organization
from content_helpers import made_content
from test_actions import HOSTILE
from test_console import TOKEN, Elements, console_of, shown, signed_in

from layers_standin.console.lists import LISTINGS, MOST_ROWS


def list_of(client, kind, organization, **query):
    """Return (elements, addresses of the links) of a page of a list."""
    path = f"/console/lists/{kind}"
    page = Elements(shown(client, path, query_string={"organization": organization} | query))
    return page, [urljoin(path, each["href"] or "") for tag, each in page.found if tag == "a"]


@pytest.fixture
def made(rooms, demo, organization):
    """Return the container of a content, with an asset, a job of it, and a job of an influencer."""
    demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"})
    return made_content(rooms, organization, SPRING)[0]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("kind", LISTINGS)
def test_every_link_of_a_list_leads_to_a_page(client, organization, kind):
    page, links = list_of(client, kind, organization)
    assert ("th", {"scope": "col"}) in page.found
    for link in links:
        response = client.get(link)
        assert response.status_code == 200, link
        response.close()


def test_projects_lead_to_their_jobs_and_assets(client, organization):
    page, links = list_of(client, "projects", organization)
    assert "Spring launch" in page.text
    for kind in ("jobs", "assets"):
        assert f"/console/lists/{kind}?organization={organization}&project={SPRING}" in links


def test_keys_show_no_secret_and_whether_they_work(client, store, organization):
    own = store.for_organization(organization)
    text = own.keys.create(["projects:read"], "Reader")
    own.keys.kill(own.keys.find(text.split("_")[2])["apiKeyId"])
    page, links = list_of(client, "keys", organization)
    row = page.text[page.text.index("Reader") :]
    assert row.startswith("Readeroff" + text.rpartition("_")[0].rpartition("_")[0][:8])
    assert text.split("_", 3)[3] not in page.text
    assert f"/console/requests?keyId={text.split('_')[2]}" in links


def test_jobs_lead_to_what_they_make(client, organization, made, clock):
    page, links = list_of(client, "jobs", organization)
    assert all(each in page.text for each in ("Influencer", "Content", made["jobId"]))
    assert [each for each in links if each.startswith(f"/console/influencers/{organization}/")]
    assert "running" in page.text
    clock.move(hours=1)
    assert "running" not in list_of(client, "jobs", organization)[0].text


def test_a_list_of_a_project_has_nothing_of_another(client, demo, organization, made):
    other = demo.post("/v1/projects", json={"name": "Other", "timezone": "UTC"}).json["id"]
    assert made["jobId"] not in list_of(client, "jobs", organization, project=other)[0].text
    assert made["jobId"] in list_of(client, "jobs", organization, project=SPRING)[0].text


def test_a_long_list_is_read_page_by_page(client, store, organization):
    own = store.for_organization(organization)
    for number in range(MOST_ROWS + 3):
        own.projects.create({"name": f"Project {number}", "timezone": "UTC"})
    seen, query = [], {}
    while True:
        page, _ = list_of(client, "projects", organization, **query)
        rows = [each["data-key"] for tag, each in page.found if tag == "tr" and "data-key" in each]
        assert len(rows) <= MOST_ROWS
        seen += rows
        if not [each for tag, each in page.found if each.get("rel") == "next"]:
            break
        query = {"before": rows[-1]}
    everything = [each["id"] for each in own.projects.page({"limit": 200})[0]]
    assert sorted(seen) == sorted(everything)
    assert len(seen) == len(set(seen))


def test_an_organization_without_anything_has_empty_lists(client, store):
    organization = new_organization(store)
    for kind in LISTINGS:
        assert "There are no" in list_of(client, kind, organization)[0].text


def test_what_is_not_there_has_no_list(client, organization):
    for path in ("nothing", "jobs?organization=nowhere", f"jobs?organization={organization}&project=nowhere"):
        shown(client, f"/console/lists/{path}", 404)


def test_names_are_shown_and_never_run(client, store, organization):
    store.for_organization(organization).projects.create({"name": HOSTILE, "timezone": "UTC"})
    page, _ = list_of(client, "projects", organization)
    assert {tag for tag, each in page.found if tag == "script" and "src" not in each} == set()
    assert "alert(1)" in page.text


def test_a_public_demo_lists_nothing_and_who_signs_in_sees_it(rooms):
    demo = console_of(rooms, control=TOKEN, console="read-only")
    for kind in LISTINGS:
        assert demo.get(f"/console/lists/{kind}").status_code == 401
        assert console_of(rooms, console="off").get(f"/console/lists/{kind}").status_code == 404
        assert signed_in(rooms, console="read-only").get(f"/console/lists/{kind}").status_code == 200
    assert "/console/lists/" not in shown(demo, "/console")


def test_archived_influencers_still_have_their_jobs(client, demo, organization, store):
    job = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"}).json
    demo.delete(f"/v1/influencers/{job['influencerId']}")
    _, links = list_of(client, "jobs", organization)
    assert f"/console/influencers/{organization}/{job['influencerId']}" in links
