"""The quickstart: installing the GitHub App, its repositories, ingests, and the project's first influencer."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from api_helpers import SPRING, invalid, key_of, new_organization, refused, unchanged
from servers import STAYS_OPEN, serving

from layers_standin.domain.brands import brand_of_url, spokesperson

pytestmark = pytest.mark.postgres

INSTALLATION = "/v1/github/installation"
INSTALL_URL = f"{INSTALLATION}/install-url"
BACK = "http://localhost:3000/installed?tab=git"
NOT_INSTALLED = {
    "status": 404,
    "code": "NOT_FOUND",
    "message": "No GitHub App installation is registered for this organization.",
}
BAD_STATE = invalid(state=["Unknown or expired state"])
SITE = {"url": "https://www.trail-notes.example/pricing"}
NOTHING = {"github": None, "website": None, "appstore": None}


@pytest.fixture
def owner(store):
    return new_organization(store)


@pytest.fixture
def ask(client, store, owner):
    """Return a function that sends a request of an organization that has nothing yet."""
    headers = key_of(store, owner, "*")
    return lambda method, path, body=None, **query: client.open(
        path, method=method, headers=headers, query_string=query, **({} if body is None else {"json": body})
    )


@pytest.fixture
def project(ask):
    return ask("POST", "/v1/projects", {"name": "New", "timezone": "UTC", "primaryLanguage": "pt"}).json["id"]


@pytest.fixture
def register(ask):
    """Return a function that registers an installation, and returns the response."""

    def register(installation_id=7):
        state = ask("GET", INSTALL_URL, returnUrl=BACK).json["state"]
        return ask("POST", INSTALLATION, {"installationId": installation_id, "state": state})

    return register


@pytest.fixture
def ingest(ask, project):
    """Return a function that begins an ingest of a website, and returns the job."""

    def ingest(**body):
        response = ask("POST", f"/v1/projects/{project}/ingest/website", SITE | body)
        assert response.status_code == 202, response.json
        return response.json

    return ingest


def names(ask, project):
    return [each["name"] for each in ask("GET", f"/v1/projects/{project}/influencers").json["items"]]


# The installation


def test_a_yes_on_the_page_sends_back_what_registers_the_installation(ask, client):
    reply = ask("GET", INSTALL_URL, returnUrl=BACK, state="mine").json
    assert list(reply) == ["authUrl", "installUrl", "state", "expiresAt"]
    assert (reply["authUrl"], reply["state"], reply["expiresAt"]) == (
        reply["installUrl"], "mine", "2026-04-18T09:33:44Z",
    )  # fmt: skip
    assert "Install the Layers app on GitHub" in client.get(reply["installUrl"]).text

    answered = client.post(reply["installUrl"], data={"decision": "yes"})

    assert answered.status_code == 303
    assert answered.location.startswith(f"{BACK}&")
    sent = parse_qs(urlsplit(answered.location).query)
    assert sent | {"installation_id": []} == {"tab": ["git"], "installation_id": [], "state": ["mine"]}
    registered = ask("POST", INSTALLATION, {"installationId": int(sent["installation_id"][0]), "state": "mine"})
    assert (registered.status_code, registered.json["installationId"]) == (201, int(sent["installation_id"][0]))


def test_a_no_sends_an_error_back(ask, client):
    reply = ask("GET", INSTALL_URL, returnUrl=BACK, state="mine").json

    answered = client.post(reply["installUrl"], data={"decision": "no"})

    assert answered.location == f"{BACK}&error=access_denied&state=mine"
    assert refused(ask("GET", INSTALLATION)) == NOT_INSTALLED


def test_the_page_is_there_for_a_quarter_of_an_hour(ask, client, clock):
    url = ask("GET", INSTALL_URL, returnUrl=BACK, state="mine").json["installUrl"]
    clock.move(minutes=14, seconds=59)
    assert "<form" in client.get(url).text
    clock.move(seconds=1)

    assert "<form" not in client.get(url).text
    assert client.post(url, data={"decision": "yes"}).location == f"{BACK}&error=access_denied&state=mine"


def test_a_page_shows_and_never_runs_a_state(ask, client):
    state = "<script>alert(1)</script>"
    html = client.get(ask("GET", INSTALL_URL, returnUrl=BACK, state=state).json["installUrl"]).text

    assert state not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("url", ["https://app.example.com/", "http://localhost.example.com/"])
def test_nobody_is_sent_back_to_a_stranger(ask, url):
    found = refused(ask("GET", INSTALL_URL, returnUrl=url))

    assert (found["status"], found["code"]) == (403, "RETURN_URL_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ({}, {"returnUrl": ["Required"]}),
        ({"returnUrl": "javascript:alert(1)"}, {"returnUrl": ["Invalid url"]}),
        ({"returnUrl": BACK, "state": ""}, {"state": ["String must contain at least 1 character(s)"]}),
        ({"returnUrl": BACK, "state": "x" * 513}, {"state": ["String must contain at most 512 character(s)"]}),
    ],
)
def test_a_wrong_query_is_refused(ask, on_disk, query, errors):
    is_unchanged = unchanged(on_disk)

    assert refused(ask("GET", INSTALL_URL, **query)) == invalid(**errors) | {"message": "Invalid query."}
    assert is_unchanged()


def test_an_installation_is_registered_once_however_often_it_is_sent(ask, register, clock):
    first = register()
    clock.move(minutes=5)

    second = register()

    login = first.json["orgLogin"]
    assert first.json == second.json == {
        "installationId": 7,
        "githubAccount": {"login": login, "type": "Organization"},
        "orgLogin": login,
        "status": "active",
        "registeredAt": "2026-04-18T09:18:44Z",
    }  # fmt: skip
    assert ask("GET", INSTALLATION).json == first.json | {"lastVerifiedAt": "2026-04-18T09:23:44Z"}


def test_a_registration_that_is_repeated_late_has_the_same_reply(ask, client, store, clock, on_disk):
    stranger = key_of(store, new_organization(store), "*")
    first, other = (ask("GET", INSTALL_URL, returnUrl=BACK).json["state"] for _ in range(2))
    body = {"installationId": 7, "state": first}
    registered = ask("POST", INSTALLATION, body)
    clock.move(minutes=15)

    again = ask("POST", INSTALLATION, body)
    assert (again.status_code, again.json) == (registered.status_code, registered.json) == (201, registered.json)
    assert ask("POST", INSTALLATION, body | {"state": other}).json == registered.json
    assert ask("POST", INSTALLATION, body).json == registered.json
    for _ in range(3):  # each deletes old states
        ask("GET", INSTALL_URL, returnUrl=BACK)
    again = ask("POST", INSTALLATION, body)
    assert (again.status_code, again.json) == (201, registered.json)

    is_unchanged = unchanged(on_disk)
    assert refused(ask("POST", INSTALLATION, body | {"installationId": 8})) == BAD_STATE
    assert refused(ask("POST", INSTALLATION, body | {"state": "st_unknown"})) == BAD_STATE
    assert refused(client.post(INSTALLATION, json=body, headers=stranger)) == BAD_STATE
    assert is_unchanged()


def test_another_installation_replaces_the_first(ask, register):
    register(7)
    before = ask("GET", "/v1/github/repos").json

    assert register(8).json["installationId"] == 8

    assert ask("GET", INSTALLATION).json["installationId"] == 8
    assert ask("GET", "/v1/github/repos").json != before


def test_a_state_that_is_unknown_or_expired_or_foreign_registers_nothing(ask, client, store, clock, on_disk):
    state = ask("GET", INSTALL_URL, returnUrl=BACK).json["state"]
    stranger = key_of(store, new_organization(store), "*")
    clock.move(minutes=14, seconds=59)
    is_unchanged = unchanged(on_disk)
    assert refused(ask("POST", INSTALLATION, {"installationId": 7, "state": "st_unknown"})) == BAD_STATE
    assert refused(client.post(INSTALLATION, json={"installationId": 7, "state": state}, headers=stranger)) == BAD_STATE
    assert is_unchanged()
    clock.move(seconds=1)

    assert refused(ask("POST", INSTALLATION, {"installationId": 7, "state": state})) == BAD_STATE
    assert refused(ask("GET", INSTALLATION)) == NOT_INSTALLED
    assert is_unchanged()


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"installationId": ["Required"], "state": ["Required"]}),
        ({"installationId": "7", "state": "x"}, {"installationId": ["Expected number, received string"]}),
        ({"installationId": 0, "state": "x"}, {"installationId": ["Number must be greater than or equal to 1"]}),
        ({"installationId": 1.5, "state": "x"}, {"installationId": ["Expected integer, received float"]}),
        ({"installationId": True, "state": "x"}, {"installationId": ["Expected number, received boolean"]}),
    ],
)
def test_a_wrong_registration_is_refused(ask, on_disk, body, errors):
    is_unchanged = unchanged(on_disk)

    assert refused(ask("POST", INSTALLATION, body)) == invalid(**errors)
    assert is_unchanged()


def test_states_do_not_pile_up(ask, store, owner, clock):
    for _ in range(6):
        ask("GET", INSTALL_URL, returnUrl=BACK)
        clock.move(minutes=16)

    assert store.db.count("github_states", owner) <= 2


# Repositories


def test_repositories_are_a_handful_and_the_same_each_time(ask, register):
    login = register().json["orgLogin"]

    page = ask("GET", "/v1/github/repos").json

    assert page == ask("GET", "/v1/github/repos").json
    assert (len(page["items"]), page["nextCursor"]) == (5, None)
    for item in page["items"]:
        name = item["fullName"].removeprefix(f"{login}/")
        assert item == {
            "repoId": item["repoId"],
            "fullName": f"{login}/{name}",
            "owner": login,
            "private": item["private"],
            "defaultBranch": "main",
            "language": item["primaryLanguage"],
            "primaryLanguage": item["language"],
            "htmlUrl": f"https://github.example/{login}/{name}",
        }
    ids = [item["repoId"] for item in page["items"]]
    assert ids == sorted(set(ids), reverse=True)


def test_repositories_come_in_pages(ask, register):
    register()
    everything = ask("GET", "/v1/github/repos").json["items"]

    found, cursor = [], None
    for _ in range(3):
        page = ask("GET", "/v1/github/repos", limit=2, **({} if cursor is None else {"cursor": cursor})).json
        found, cursor = found + page["items"], page["nextCursor"]

    assert (found, cursor) == (everything, None)


def test_repositories_are_searched_in_capitals_or_not(ask, register):
    register()
    first = ask("GET", "/v1/github/repos").json["items"][0]

    found = ask("GET", "/v1/github/repos", search=first["fullName"].upper()).json

    assert found == {"items": [first], "nextCursor": None}
    assert ask("GET", "/v1/github/repos", search="nobody's").json == {"items": [], "nextCursor": None}


def test_a_cursor_is_of_one_search_and_installation(ask, register):
    register()
    cursor = ask("GET", "/v1/github/repos", limit=1).json["nextCursor"]
    bad = invalid(cursor=["Invalid cursor"]) | {"message": "Invalid query."}

    assert refused(ask("GET", "/v1/github/repos", cursor=cursor, search="a")) == bad
    register(8)
    assert refused(ask("GET", "/v1/github/repos", cursor=cursor)) == bad


def test_without_an_installation_there_are_no_repositories(ask, project):
    assert refused(ask("GET", "/v1/github/repos")) == NOT_INSTALLED
    body = {"repoFullName": "a/b"}
    assert refused(ask("POST", f"/v1/projects/{project}/ingest/github", body)) == NOT_INSTALLED


# Ingests


def test_a_website_becomes_a_brand_and_a_first_influencer(ask, project, ingest, clock):
    job = ingest()
    path, about = f"/v1/jobs/{job['jobId']}", {"projectId": project, "jobId": job["jobId"]}
    envelope = about | {
        "kind": "project_ingest_website",
        "status": "running",
        "stage": "fetching",
        "locationUrl": path,
        "startedAt": "2026-04-18T09:18:44.120Z",
    }
    assert job == envelope
    before = ask("GET", f"/v1/projects/{project}").json
    assert (before["brandContext"], before["ingestState"]) == (
        None, NOTHING | {"website": {"status": "running", "jobId": job["jobId"]}},
    )  # fmt: skip
    assert names(ask, project) == []
    clock.move(seconds=2)

    assert ask("GET", path).json == envelope | {
        "status": "completed",
        "stage": "finalizing",
        "progress": 1,
        "finishedAt": "2026-04-18T09:18:46.120Z",
        "result": {"projectId": project},
    }
    brand = brand_of_url(SITE["url"], "pt")
    assert ask("GET", f"/v1/projects/{project}").json == before | {
        "brandContext": brand,
        "ingestState": NOTHING
        | {"website": {"status": "completed", "jobId": job["jobId"], "completedAt": "2026-04-18T09:18:46Z"}},
    }
    (item,) = ask("GET", f"/v1/projects/{project}/influencers").json["items"]
    first = ask("GET", f"/v1/influencers/{item['influencerId']}").json
    assert first.items() >= spokesperson(brand).items()
    assert (first["status"], first["createdAt"]) == ("ready", "2026-04-18T09:18:46Z")
    assert ask("GET", f"/v1/jobs/{job['jobId']}").json["result"] == {"projectId": project}


def test_a_repository_becomes_a_brand_with_a_pull_request(ask, project, register, clock):
    register()
    repository = ask("GET", "/v1/github/repos").json["items"][0]["fullName"]
    body = {
        "repoFullName": repository.upper(),
        "branch": "main",
        "openPR": True,
        "platforms": ["ios", "android"],
        "sdkConfig": {"appId": "x"},
        "prTitle": "Add it",
        "prBody": "",
    }
    job = ask("POST", f"/v1/projects/{project}/ingest/github", body).json
    assert (job["kind"], job["stage"]) == ("project_ingest_github", "cloning")
    clock.move(seconds=2)

    result = ask("GET", f"/v1/jobs/{job['jobId']}").json["result"]

    assert list(result) == ["projectId", "prUrl"]
    assert result["prUrl"].startswith(f"https://github.example/{repository}/pull/")
    assert result == ask("GET", f"/v1/jobs/{job['jobId']}").json["result"]
    name = repository.partition("/")[2].replace("-", " ").title()
    assert ask("GET", f"/v1/projects/{project}").json["brandContext"]["appName"] == name
    assert len(names(ask, project)) == 1


@pytest.mark.parametrize(("body", "stage"), [({}, "opening_pr"), ({"openPR": False}, "finalizing")])
def test_a_pull_request_cannot_be_taken_back(ask, project, register, clock, body, stage):
    register()
    repository = ask("GET", "/v1/github/repos").json["items"][0]["fullName"]
    job = ask("POST", f"/v1/projects/{project}/ingest/github", {"repoFullName": repository} | body).json
    clock.move(seconds=1.6)
    assert ask("GET", f"/v1/jobs/{job['jobId']}").json["stage"] == stage

    found = refused(ask("POST", f"/v1/jobs/{job['jobId']}/cancel"))

    assert found["details"] == {"subcode": "JOB_CANCEL_UNAVAILABLE", "jobId": job["jobId"], "stage": stage}
    assert found["status"] == 409
    clock.move(seconds=0.4)
    pull_request = ask("GET", f"/v1/jobs/{job['jobId']}").json["result"]["prUrl"]
    assert (pull_request is None) == (body == {"openPR": False})


def test_a_repository_that_the_installation_does_not_have_is_not_found(ask, project, register, on_disk):
    register()
    is_unchanged = unchanged(on_disk)

    found = refused(ask("POST", f"/v1/projects/{project}/ingest/github", {"repoFullName": "acme/else"}))

    assert found == {"status": 404, "code": "NOT_FOUND", "message": "Repository not found."}
    assert is_unchanged()


@pytest.mark.parametrize(
    ("kind", "body", "errors"),
    [
        ("website", {}, {"url": ["Required"]}),
        ("website", {"url": "www.acme.example"}, {"url": ["Invalid url"]}),
        ("website", {"url": "ftp://acme.example"}, {"url": ["Invalid url"]}),
        ("website", {"url": "https://"}, {"url": ["Invalid url"]}),
        ("website", {"url": "https://[::1"}, {"url": ["Invalid url"]}),
        ("website", {"url": "https://acme.example:99999"}, {"url": ["Invalid url"]}),
        ("website", {"url": "https://me:secret@acme.example"}, {"url": ["Invalid url"]}),
        ("website", {"url": "https://acme.example/a b"}, {"url": ["Invalid url"]}),
        ("website", {"url": "https://" + "x" * 2041}, {"url": ["String must contain at most 2048 character(s)"]}),
        ("website", SITE | {"maxPages": 26}, {"maxPages": ["Number must be less than or equal to 25"]}),
        ("website", SITE | {"maxPages": 0}, {"maxPages": ["Number must be greater than or equal to 1"]}),
        ("website", SITE | {"followLinks": 1}, {"followLinks": ["Expected boolean, received number"]}),
        ("website", SITE | {"depth": 1}, {"depth": ["Unrecognized key"]}),
        ("github", {}, {"repoFullName": ["Required"]}),
        ("github", {"repoFullName": "acme"}, {"repoFullName": ["Invalid repoFullName"]}),
        ("github", {"repoFullName": "acme/a/b"}, {"repoFullName": ["Invalid repoFullName"]}),
        ("github", {"repoFullName": "a/b", "openPR": "yes"}, {"openPR": ["Expected boolean, received string"]}),
        ("github", {"repoFullName": "a/b", "platforms": [1]}, {"platforms": ["0: Expected string, received number"]}),
        ("github", {"repoFullName": "a/b", "sdkConfig": []}, {"sdkConfig": ["Expected object, received array"]}),
    ],
)  # fmt: skip
def test_a_wrong_ingest_is_refused(ask, project, on_disk, kind, body, errors):
    is_unchanged = unchanged(on_disk)

    assert refused(ask("POST", f"/v1/projects/{project}/ingest/{kind}", body)) == invalid(**errors)
    assert is_unchanged()


def test_an_archived_project_takes_no_ingest(ask, project, on_disk):
    ask("DELETE", f"/v1/projects/{project}")
    is_unchanged = unchanged(on_disk)

    found = refused(ask("POST", f"/v1/projects/{project}/ingest/website", SITE))

    assert (found["status"], found["details"]["subcode"]) == (409, "PROJECT_ARCHIVED")
    assert is_unchanged()


def test_a_project_that_is_archived_meanwhile_gets_the_brand_and_no_influencer(ask, project, ingest, clock):
    ingest()
    ask("DELETE", f"/v1/projects/{project}")
    clock.move(seconds=2)
    assert names(ask, project) == []
    ask("PATCH", f"/v1/projects/{project}", {"status": "active"})

    assert names(ask, project) == []
    assert ask("GET", f"/v1/projects/{project}").json["brandContext"]["appName"] == "Trail Notes"


@pytest.mark.parametrize("archive", ["DELETE", "PATCH"])
def test_a_project_that_is_archived_later_has_its_influencer(ask, project, ingest, clock, archive):
    ingest()
    clock.move(seconds=2)
    ask(archive, f"/v1/projects/{project}", {"status": "archived"} if archive == "PATCH" else None)
    clock.move(hours=1)

    assert len(names(ask, project)) == 1


def test_a_canceled_ingest_leaves_nothing(ask, project, ingest, clock):
    job = ingest()
    clock.move(seconds=1)
    assert ask("POST", f"/v1/jobs/{job['jobId']}/cancel").json == {"jobId": job["jobId"], "accepted": True}
    clock.move(seconds=10)

    assert names(ask, project) == []
    shown = ask("GET", f"/v1/projects/{project}").json
    assert (shown["brandContext"], shown["ingestState"]["website"]) == (
        None, {"status": "canceled", "jobId": job["jobId"]},
    )  # fmt: skip
    assert ask("GET", f"/v1/jobs/{job['jobId']}").json["error"]["code"] == "CANCELED"
    assert ask("POST", f"/v1/jobs/{job['jobId']}/cancel").json["reason"] == "ALREADY_CANCELED"


def test_an_ingest_fails_on_command_and_leaves_nothing(ask, control, owner, project, ingest, clock):
    failure = {"code": "CLONE_FAILED", "message": "No access."}
    control.post("/faults", match={}, answer={"failJob": failure}, organizationId=owner, times=1)
    job = ingest()
    assert ask("GET", f"/v1/jobs/{job['jobId']}").json["status"] == "running"
    clock.move(seconds=2)

    ended = ask("GET", f"/v1/jobs/{job['jobId']}").json
    assert (ended["status"], ended["error"]) == ("failed", failure)
    assert names(ask, project) == []
    shown = ask("GET", f"/v1/projects/{project}").json
    assert (shown["brandContext"], shown["ingestState"]["website"]) == (
        None, {"status": "failed", "jobId": job["jobId"]},
    )  # fmt: skip
    assert ingest()["jobId"] != job["jobId"]
    clock.move(seconds=2)
    assert len(names(ask, project)) == 1


def test_two_ingests_at_once_make_one_influencer_of_the_first_that_ends(ask, project, ingest, clock):
    first = ingest()
    clock.move(seconds=1)
    second = ingest(url="https://garden.example")
    clock.move(seconds=1)
    shown = ask("GET", f"/v1/projects/{project}").json
    assert (shown["brandContext"]["appName"], shown["ingestState"]["website"]) == (
        "Trail Notes", {"status": "running", "jobId": second["jobId"]},
    )  # fmt: skip
    clock.move(seconds=1)

    (item,) = ask("GET", f"/v1/projects/{project}/influencers").json["items"]
    assert ask("GET", f"/v1/influencers/{item['influencerId']}").json["createdAt"] == "2026-04-18T09:18:46Z"
    assert item["name"] == spokesperson(brand_of_url(SITE["url"], "pt"))["name"]
    assert ask("GET", f"/v1/projects/{project}").json["brandContext"]["appName"] == "Garden"
    assert ask("GET", f"/v1/jobs/{first['jobId']}").json["status"] == "completed"


def test_a_project_remembers_its_brand_however_many_ingests_follow(
    ask, store, owner, project, register, ingest, clock, monkeypatch
):
    register()
    repository = ask("GET", "/v1/github/repos").json["items"][0]["fullName"]
    first = ask("POST", f"/v1/projects/{project}/ingest/github", {"repoFullName": repository}).json
    clock.move(seconds=2)
    shown = ask("GET", f"/v1/projects/{project}").json
    own, failure = store.for_organization(owner), {"code": "X", "message": "x"}
    late = ingest()
    with own.db.transaction():
        for number in range(120):
            ends = {"failure": failure} if number % 2 else {"endedMs": own.now_ms()}
            about = {"source": "website", "brand": {"appName": f"Brand {number}"}}
            newest = own.jobs.begin(project, own.jobs.schedule(kind="project_ingest_website", **ends), ingest=about)
    read, scan = [], type(store.db).scan_documents
    monkeypatch.setattr(type(store.db), "scan_documents", lambda *given: read.extend(found := scan(*given)) or found)

    def brand_and_states():
        found = ask("GET", f"/v1/projects/{project}").json
        return found["brandContext"], found["ingestState"]["github"]["jobId"], found["ingestState"]["website"]

    failed = {"status": "failed", "jobId": newest["jobId"]}
    assert brand_and_states() == (shown["brandContext"], first["jobId"], failed | {"status": "running"})
    clock.move(seconds=2)
    assert brand_and_states() == (brand_of_url(SITE["url"], "pt"), first["jobId"], failed)
    assert ask("GET", f"/v1/jobs/{late['jobId']}").json["status"] == "completed"
    clock.move(seconds=-2)
    assert brand_and_states()[0] == shown["brandContext"]
    clock.move(seconds=-2)
    assert brand_and_states()[0] is None
    assert 0 < len(read) <= 4 * 6


def test_a_project_that_ever_had_an_influencer_gets_no_first_one(ask, project, ingest, clock):
    made = ask("POST", f"/v1/projects/{project}/influencers", {"name": "Noa"}).json
    ask("DELETE", f"/v1/influencers/{made['influencerId']}")
    ingest()
    clock.move(seconds=2)

    assert names(ask, project) == []


def test_ingests_do_not_pile_up_in_their_project(ask, store, owner, project, ingest, clock):
    for _ in range(5):
        ingest()
        clock.move(seconds=2)

    assert len(store.for_organization(owner).projects.get(project)["due"]) == 1


def test_everything_goes_by_the_clock_of_the_organization(ask, control, owner, project, ingest):
    def shown():
        state = ask("GET", f"/v1/projects/{project}").json["ingestState"]["website"]["status"]
        return state, ask("GET", f"/v1/jobs/{job['jobId']}").json["status"], len(names(ask, project))

    def freeze(at):
        control.put("/clock", mode="frozen", at=at, organizationId=owner)

    def advance(duration):
        control.put("/clock", advance=duration, organizationId=owner)

    freeze("2026-05-01T12:00:00Z")
    job = ingest()
    assert shown() == ("running", "running", 0)
    advance("PT1.999S")
    assert shown() == ("running", "running", 0)
    advance("PT0.001S")
    assert shown() == ("completed", "completed", 1)
    freeze("2026-05-01T11:00:00Z")
    assert shown() == ("running", "running", 1)  # who is there stays
    assert ask("GET", f"/v1/projects/{project}").json["brandContext"] is None
    freeze("2027-05-01T11:00:00Z")
    assert shown() == ("completed", "completed", 1)


def test_of_many_that_look_at_once_one_makes_the_influencer(app, ask, store, owner, project, ingest, clock):
    headers = key_of(store, owner, "*")
    ingest()
    clock.move(seconds=2)

    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda _: app.test_client().get(f"/v1/projects/{project}/influencers", headers=headers), range(16)
        )

    pages = [page.json["items"] for page in found]
    assert {len(page) for page in pages} == {1}
    assert len({page[0]["influencerId"] for page in pages}) == 1


def test_the_seed_is_ingested_like_any_project(demo, clock):
    before = demo.get(f"/v1/projects/{SPRING}/influencers").json
    demo.post(f"/v1/projects/{SPRING}/ingest/website", json=SITE)
    clock.move(seconds=2)

    assert demo.get(f"/v1/projects/{SPRING}").json["brandContext"]["appName"] == "Trail Notes"
    assert demo.get(f"/v1/projects/{SPRING}/influencers").json == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_after_a_crash_two_workers_make_one_influencer(settings):
    folder = settings.data.parent / "served"
    with serving(folder, *STAYS_OPEN, STANDIN_JOB_SECONDS="600") as server:
        client = server.client()
        project = client.post("/v1/projects", json={"name": "New", "timezone": "UTC"}).json()["id"]
        job = client.post(f"/v1/projects/{project}/ingest/website", json=SITE).json()
        server.kill()
    with serving(folder, *STAYS_OPEN) as server:
        workers = [server.client_of(worker) for worker in server.workers()]
        assert [each.get(job["locationUrl"]).json()["status"] for each in workers] == ["running"] * len(workers)
        httpx.put(f"{server.url}/_standin/clock", json={"advance": "PT10M"}).raise_for_status()
        with ThreadPoolExecutor() as pool:
            pages = list(pool.map(lambda each: each.get(f"/v1/projects/{project}/influencers").json(), workers))
        records = [each.get(f"/v1/projects/{project}").json() for each in workers]

    assert len(workers) > 1
    assert [len(page["items"]) for page in pages] == [1] * len(workers)
    assert len({page["items"][0]["influencerId"] for page in pages}) == 1
    assert {record["brandContext"]["appName"] for record in records} == {"Trail Notes"}
