"""Attach pictures to an influencer, and print the result for each: pictures of another project are dropped.

    LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... \
        python examples/bind_reference.py [influencer id [asset id ...]]
"""

import json
import os
import sys

try:
    import httpx
except ImportError:
    sys.exit("This example needs httpx: pip install httpx")

AVA = "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FG"  # of the seed
AVAS_ASSETS = ["asset_01HXZ9K1M3N5P7Q9R1S3T5V7W9", "asset_01HXZ9M2N4P6Q8R0S2T4V6W8X0"]
ASSET_OF_ANOTHER_PROJECT = "asset_01HXZD4E6F8G0H2J4K6M8N0P2Q"

influencer_id = sys.argv[1] if len(sys.argv) > 1 else AVA
asset_ids = sys.argv[2:] or [*AVAS_ASSETS, ASSET_OF_ANOTHER_PROJECT]

response = httpx.post(
    f"{os.environ['LAYERS_BASE_URL']}/v1/influencers/{influencer_id}/reference-images",
    headers={"X-Api-Key": os.environ["LAYERS_API_KEY"]},
    json={"assetIds": asset_ids},
)

print(response.status_code, json.dumps(response.json(), indent=2, ensure_ascii=False))
attached = {image["assetId"] for image in response.json().get("referenceImages", [])}
for asset_id in asset_ids:
    print(asset_id, "attached" if asset_id in attached else "dropped")
sys.exit(response.is_error)
