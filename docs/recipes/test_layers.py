"""Against the stand-in of conftest.py. Where these call `layers`, yours call your own client."""

import json

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


def test_a_webhook_tells_of_the_job(standin, organization, layers, clock):
    clock(mode="frozen", at="2026-04-18T09:00:00Z")
    inbox = f"{standin.base_url}/_standin/inbox/{organization['organizationId']}"  # or the URL of your own receiver
    layers.post("/v1/webhook-endpoints", json={"url": inbox, "events": ["job.completed"]}).raise_for_status()
    project = layers.post("/v1/projects", json=PROJECT).json()
    job = layers.post(f"/v1/projects/{project['id']}/influencers", json={"name": "Rui"}).json()

    clock(advance="PT2S")
    standin.post("/_standin/webhooks/flush").raise_for_status()  # returns when all that is due was posted

    [message] = standin.get(inbox).json()["items"]
    assert message["isVerified"]
    assert json.loads(message["body"])["data"]["jobId"] == job["jobId"]


def test_a_receiver_that_is_down_is_tried_for_a_day_and_a_half(standin, layers, clock):
    clock(mode="frozen", at="2026-04-18T09:00:00Z")
    down = {"url": "http://127.0.0.1:9/", "events": ["post.published"]}
    path = f"/v1/webhook-endpoints/{layers.post('/v1/webhook-endpoints', json=down).json()['endpoint']['id']}"
    layers.post(f"{path}/test", json={}).raise_for_status()

    clock(advance="PT32H")
    standin.post("/_standin/webhooks/flush").raise_for_status()

    [delivery] = layers.get(f"{path}/deliveries").json()["items"]
    assert (delivery["status"], delivery["attempts"]) == ("failed", 8)
