"""Change the style and the humor of an influencer; the other fields stay as they are.

LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/patch_influencer.py [influencer id]

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
    """Return the id of an influencer in a new project; it can be changed while its job still runs."""
    project = make("/v1/projects", {"name": "Example", "timezone": "UTC"})
    personality = {"traits": ["gentle"], "tone": "low"}
    body = {"name": "Rui Teles", "hairStyle": "short", "vibe": "sleepy harbor", "personality": personality}
    return str(make(f"/v1/projects/{project['id']}/influencers", body)["influencerId"])


influencer_id = sys.argv[1] if len(sys.argv) > 1 else new_influencer()
changes = {
    "style": "linen and running shoes",
    "hairStyle": None,  # null clears a field
    "personality": {"humor": "dry", "tone": None},  # merged: one key set, one removed, the others kept
}

response = call("PATCH", f"/v1/influencers/{influencer_id}", changes)

print(response.status_code, json.dumps(response.json(), indent=2, ensure_ascii=False))
sys.exit(response.is_error)
