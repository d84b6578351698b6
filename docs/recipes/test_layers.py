"""Against the stand-in of conftest.py. Where these call `layers`, yours call your own client."""

import httpx
import pytest

PROJECT = {"name": "Spring", "timezone": "Europe/Lisbon"}


def test_an_influencer_is_patched(layers):
    project = layers.post("/v1/projects", json=PROJECT).json()
    created = layers.post(f"/v1/projects/{project['id']}/influencers", json={"name": "Rui"}).json()
    path = f"/v1/influencers/{created['influencerId']}"

    patched = layers.patch(path, json={"vibe": "sleepy harbor", "personality": {"humor": "dry"}})

    assert patched.status_code == 200
    assert layers.get(path).json()["personality"] == {"humor": "dry"}


def test_nobody_else_has_projects_here(layers):
    assert layers.get("/v1/projects").json()["items"] == []


def test_the_first_call_is_told_to_wait(layers, fault):
    fault("createProject", code="RATE_LIMITED", retryAfter=7)

    refused = layers.post("/v1/projects", json=PROJECT)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert layers.post("/v1/projects", json=PROJECT).status_code == 201


def test_a_call_whose_reply_was_lost_is_made_again_and_done_once(layers, fault):
    fault("createProject", loseReplyAfterEffect=True)
    once = {"Idempotency-Key": "spring-1"}

    with pytest.raises(httpx.TransportError):
        layers.post("/v1/projects", json=PROJECT, headers=once)
    again = layers.post("/v1/projects", json=PROJECT, headers=once)

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert [each["id"] for each in layers.get("/v1/projects").json()["items"]] == [again.json()["id"]]


def test_a_job_is_over_when_its_time_is_up(layers, clock):
    clock(mode="frozen", at="2026-04-18T09:00:00Z")
    project = layers.post("/v1/projects", json=PROJECT).json()
    job = layers.post(f"/v1/projects/{project['id']}/influencers", json={"name": "Rui"}).json()

    assert layers.get(job["locationUrl"]).json()["status"] == "running"
    clock(advance="PT2S")  # as long as STANDIN_JOB_SECONDS says
    assert layers.get(job["locationUrl"]).json()["status"] == "completed"
    assert layers.get(f"/v1/influencers/{job['influencerId']}").json()["status"] == "ready"
