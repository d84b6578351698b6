"""Attach pictures to an influencer, and print the result for each: pictures of another project are dropped.

    LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... \
        python examples/bind_reference.py [influencer id [asset id ...]]

Without ids it first makes an influencer and two pictures in a new project, and a third picture in another.
"""

import json
import os
import sys
from typing import Any

try:
    import httpx
except ImportError:
    sys.exit("This example needs httpx: pip install httpx")

for variable in ("LAYERS_BASE_URL", "LAYERS_API_KEY"):
    if not os.environ.get(variable):
        sys.exit(f"Set {variable} first: the line that starts this example is at the top of its file.")

layers = httpx.Client(base_url=os.environ["LAYERS_BASE_URL"], headers={"X-Api-Key": os.environ["LAYERS_API_KEY"]})


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4ERAFAANWAXM5X3/MAAAAAElFTkSuQmCC"  # a PNG


def call(method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """Return the response to a request; exit with a sentence when there is none."""
    try:
        return layers.request(method, path, json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        sys.exit(f"No answer from {os.environ['LAYERS_BASE_URL']} ({error}): is the stand-in running there?")


def make(path: str, body: dict[str, Any]) -> Any:
    """Return what a POST makes; exit with its refusal."""
    response = call("POST", path, body)
    return response.json() if response.is_success else sys.exit(f"{path}: {response.status_code} {response.text}")


def new_project() -> str:
    return str(make("/v1/projects", {"name": "Example", "timezone": "UTC"})["id"])


def new_influencer(project_id: str) -> str:
    """Return the id of an influencer; pictures can be attached while its job still runs."""
    return str(make(f"/v1/projects/{project_id}/influencers", {"name": "Rui Teles"})["influencerId"])


def new_picture(project_id: str) -> str:
    """Return the id of a picture, sent in one step."""
    body = {"kind": "reference_image", "mimeType": "image/png", "dataBase64": PIXEL}
    return str(make(f"/v1/projects/{project_id}/media", body)["assetId"])


influencer_id, asset_ids = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
if not influencer_id:
    project_id = new_project()
    influencer_id = new_influencer(project_id)
    asset_ids = [new_picture(each) for each in (project_id, project_id, new_project())]

response = call("POST", f"/v1/influencers/{influencer_id}/reference-images", {"assetIds": asset_ids})

print(response.status_code, json.dumps(response.json(), indent=2, ensure_ascii=False))
attached = {image["assetId"] for image in response.json().get("referenceImages", [])}
for asset_id in asset_ids:
    print(asset_id, "attached" if asset_id in attached else "dropped")
sys.exit(response.is_error)
