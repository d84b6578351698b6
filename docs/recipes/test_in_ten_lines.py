import os

import httpx

URL = os.environ.get("LAYERS_STANDIN_URL", "http://127.0.0.1:8000")


def test_my_project_is_there():
    organization = httpx.post(f"{URL}/_standin/organizations").json()
    with httpx.Client(base_url=URL, headers={"X-Api-Key": organization["apiKey"]}) as layers:
        layers.post("/v1/projects", json={"name": "Spring", "timezone": "UTC"}).raise_for_status()
        assert [project["name"] for project in layers.get("/v1/projects").json()["items"]] == ["Spring"]
