"""PATCH the influencer of the first argument with the client in the folder `layers_client`."""

import json
import os
import sys

from layers_client import AuthenticatedClient
from layers_client.api.influencers import patch_influencer
from layers_client.models import Influencer, InfluencerPatch, PersonalityPatch

client = AuthenticatedClient(
    os.environ["LAYERS_BASE_URL"], os.environ["LAYERS_API_KEY"], prefix="", auth_header_name="X-Api-Key"
)
influencer = patch_influencer.sync(
    sys.argv[1],
    client=client,
    body=InfluencerPatch(vibe="typed", age_range=None, personality=PersonalityPatch(humor="dry", tone=None)),
    idempotency_key="openapi-python-client",
)
assert isinstance(influencer, Influencer), influencer
sys.stdout.write(json.dumps(influencer.to_dict()))
