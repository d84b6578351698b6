"""Archive an influencer with a reason, then try to read it: the API answers 404.

LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/delete_influencer.py [influencer id]
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
url = f"{os.environ['LAYERS_BASE_URL']}/v1/influencers/{influencer_id}"
headers = {"X-Api-Key": os.environ["LAYERS_API_KEY"]}

# A DELETE with a body: `httpx.delete` takes none.
deleted = httpx.request("DELETE", url, headers=headers, json={"reason": "The campaign is over."})
print(deleted.status_code, json.dumps(deleted.json(), indent=2, ensure_ascii=False))

after = httpx.get(url, headers=headers)
print(after.status_code, after.json()["error"]["message"])
sys.exit(deleted.is_error)
