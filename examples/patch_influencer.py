"""Change the style and the humor of an influencer; the other fields stay as they are.

LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/patch_influencer.py [influencer id]
"""

import json
import os
import sys

try:
    import httpx
except ImportError:
    sys.exit("This example needs httpx: pip install httpx")

AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"  # of the seed

influencer_id = sys.argv[1] if len(sys.argv) > 1 else AVA
changes = {
    "style": "linen and running shoes",
    "hairStyle": None,  # null clears a field
    "personality": {"humor": "dry", "tone": None},  # merged: one key set, one removed, the others kept
}

response = httpx.patch(
    f"{os.environ['LAYERS_BASE_URL']}/v1/influencers/{influencer_id}",
    headers={"X-Api-Key": os.environ["LAYERS_API_KEY"]},
    json=changes,
)

print(response.status_code, json.dumps(response.json(), indent=2, ensure_ascii=False))
sys.exit(response.is_error)
