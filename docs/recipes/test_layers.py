"""With the fixture `layers` of the plugin. Where these use `client`, yours call your own client."""

import httpx
import pytest

PROJECT = {"name": "Spring", "timezone": "Europe/Lisbon"}


@pytest.fixture
def client(layers):
    with httpx.Client(base_url=layers.base_url, headers=layers.headers, timeout=30) as client:
        yield client


def test_an_influencer_is_patched(client):
    project = client.post("/v1/projects", json=PROJECT).json()
    created = client.post(f"/v1/projects/{project['id']}/influencers", json={"name": "Rui"}).json()
    path = f"/v1/influencers/{created['influencerId']}"

    patched = client.patch(path, json={"vibe": "sleepy harbor", "personality": {"humor": "dry"}})

    assert patched.status_code == 200
    assert client.get(path).json()["personality"] == {"humor": "dry"}


def test_nobody_else_has_projects_here(client):
    assert client.get("/v1/projects").json()["items"] == []


def test_the_first_call_is_told_to_wait(client, layers):
    layers.faults.add("createProject", code="RATE_LIMITED", retry_after=7, times=1)

    refused = client.post("/v1/projects", json=PROJECT)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert client.post("/v1/projects", json=PROJECT).status_code == 201
    layers.requests.called("createProject", times=2)


def test_a_call_whose_reply_was_lost_is_made_again_and_done_once(client, layers):
    layers.faults.add("createProject", lose_reply_after_effect=True, times=1)
    once = {"Idempotency-Key": "spring-1"}

    with pytest.raises(httpx.TransportError):
        client.post("/v1/projects", json=PROJECT, headers=once)
    again = client.post("/v1/projects", json=PROJECT, headers=once)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert [each["id"] for each in client.get("/v1/projects").json()["items"]] == [again.json()["id"]]


def test_a_job_is_over_when_its_time_is_up(client, layers):
    layers.clock.freeze("2026-04-18T09:00:00Z")
    project = client.post("/v1/projects", json=PROJECT).json()
    job = client.post(f"/v1/projects/{project['id']}/influencers", json={"name": "Rui"}).json()

    assert client.get(job["locationUrl"]).json()["status"] == "running"
    layers.clock.advance("PT1M")  # longer than any job takes
    assert client.get(job["locationUrl"]).json()["status"] == "completed"
    assert client.get(f"/v1/influencers/{job['influencerId']}").json()["status"] == "ready"
