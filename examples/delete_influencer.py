"""Archive an influencer with a reason, then try to read it: the API answers 404.

LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/delete_influencer.py [influencer id]

Without an id it first makes an influencer, in a new project.
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


def new_influencer() -> str:
    """Return the id of an influencer in a new project; it can be deleted while its job still runs."""
    project = make("/v1/projects", {"name": "Example", "timezone": "UTC"})
    return str(make(f"/v1/projects/{project['id']}/influencers", {"name": "Rui Teles"})["influencerId"])


influencer_id = sys.argv[1] if len(sys.argv) > 1 else new_influencer()

deleted = call("DELETE", f"/v1/influencers/{influencer_id}", {"reason": "The campaign is over."})
print(deleted.status_code, json.dumps(deleted.json(), indent=2, ensure_ascii=False))

after = call("GET", f"/v1/influencers/{influencer_id}")
print(after.status_code, after.json()["error"]["message"])
sys.exit(deleted.is_error)
