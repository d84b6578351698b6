"""Any sequence of requests and reopenings against a model in plain dicts."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from api_helpers import AVA_PICTURES, SOL, SPRING, SUMMER, SUMMER_PICTURE, Clock
from conftest import AVA, DEMO
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app import create_app
from layers_standin.domain.times import seconds
from layers_standin.services import Services, open_services
from layers_standin.settings import Settings
from store import Store

pytestmark = pytest.mark.slow

PROJECT_OF_ASSET = dict.fromkeys(AVA_PICTURES, SPRING) | {SUMMER_PICTURE: SUMMER, "asset_nobody": None}
INFLUENCERS = [AVA, SOL, "inf_nobody"]

texts = st.none() | st.text(max_size=8)
flat = st.fixed_dictionaries({}, optional={"vibe": texts, "style": texts, "name": st.text(min_size=1, max_size=8)})
personality = st.fixed_dictionaries(
    {}, optional={"tone": texts, "humor": texts, "traits": st.none() | st.lists(st.text(max_size=3), max_size=3)}
)
patches = st.builds(
    lambda fields, merged: fields | ({} if merged is None else {"personality": merged}), flat, st.none() | personality
)
influencers = st.sampled_from(INFLUENCERS)
assets = st.lists(st.sampled_from(list(PROJECT_OF_ASSET)), min_size=1, max_size=6)
idempotency_keys = st.none() | st.sampled_from(["one", "two"])


class Requests(RuleBasedStateMachine):
    """`living` is the model's records; `filed` what each request under an Idempotency-Key was and got."""

    @initialize()
    def start(self):
        self.folder = Path(tempfile.mkdtemp())
        self.settings = Settings(data=self.folder, sync=False)
        self.clock = Clock()
        self.open()
        self.living = {each: self.get(each).json for each in (AVA, SOL)}
        self.filed = {}

    def open(self):
        rooms = open_services(self.settings)
        self.store = Store(rooms.store.db, self.clock)
        self.client = create_app(Services(self.store, rooms.media, self.settings)).test_client()

    def teardown(self):
        self.store.db.close()
        shutil.rmtree(self.folder)

    def get(self, influencer_id):
        return self.client.get(f"/v1/influencers/{influencer_id}", headers=DEMO)

    def send(self, method, influencer_id, below, body, key, expected):
        """Send a request and compare; `expected()` changes the model and returns (status, what the reply shows)."""
        path = f"/v1/influencers/{influencer_id}{below}"
        headers = DEMO | ({} if key is None else {"Idempotency-Key": key})
        response = self.client.open(path, method=method, json=body, headers=headers)
        scope = (method, path, key)
        filed = self.filed.get(scope) if key is not None else None
        if filed is not None and filed[-1] <= self.clock() - timedelta(hours=24):
            filed = None
        replays = filed is not None and filed[0] == body
        if replays:
            assert (response.status_code, response.data) == filed[1:3]
        elif filed is not None:
            assert (response.status_code, response.json["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")
        else:
            assert (response.status_code, shown(response)) == expected()
            self.filed[scope] = (body, response.status_code, response.data, self.clock())
        assert (response.headers.get("Idempotent-Replayed") == "true") == replays

    @rule(influencer_id=influencers, patch=patches, key=idempotency_keys)
    def patch(self, influencer_id, patch, key):
        if not patch:
            response = self.client.patch(f"/v1/influencers/{influencer_id}", json=patch, headers=DEMO)
            assert response.status_code == 422
            return

        def expected():
            record = self.living.get(influencer_id)
            if record is None:
                return 404, None
            for field, value in patch.items():
                if field != "personality":
                    record[field] = value
            for name, value in patch.get("personality", {}).items():
                record["personality"].pop(name, None)
                if value is not None:
                    record["personality"][name] = value
            record["updatedAt"] = seconds(self.clock())
            return 200, record

        self.send("PATCH", influencer_id, "", patch, key, expected)

    @rule(influencer_id=influencers, wanted=assets, key=idempotency_keys)
    def attach(self, influencer_id, wanted, key):
        def expected():
            record = self.living.get(influencer_id)
            if record is None:
                return 404, None
            own = [asset_id for asset_id in wanted if PROJECT_OF_ASSET[asset_id] == record["projectId"]]
            added = {image["assetId"]: image for image in record["referenceImages"]}
            for asset_id in own:
                added[asset_id] = {"assetId": asset_id, "addedAt": seconds(self.clock())}
            record["referenceImages"] = list(added.values())
            if own:
                record["updatedAt"] = seconds(self.clock())
            return 200, {"influencerId": influencer_id, "referenceImages": record["referenceImages"]}

        self.send("POST", influencer_id, "/reference-images", {"assetIds": wanted}, key, expected)

    @rule(influencer_id=influencers, reason=st.sampled_from([{}, {"reason": "x"}]), key=idempotency_keys)
    def delete(self, influencer_id, reason, key):
        def expected():
            if self.living.pop(influencer_id, None) is None:
                return 404, None
            return 200, {"influencerId": influencer_id, "status": "deleted", "deletedAt": seconds(self.clock())}

        self.send("DELETE", influencer_id, "", reason, key, expected)

    @rule(hours=st.sampled_from([0.01, 12, 23.9, 24]))
    def wait(self, hours):
        self.clock.move(hours=hours)

    @rule()
    def reopen(self):
        self.store.db.close()
        self.open()

    @invariant()
    def every_record_is_that_of_the_model(self):
        for influencer_id in INFLUENCERS:
            response = self.get(influencer_id)
            record = self.living.get(influencer_id)
            assert (response.status_code, shown(response)) == ((200, record) if record else (404, None))


def shown(response):
    """Return what a reply shows, without the URLs of its pictures once they are absolute; None of an error."""
    body = orjson.loads(response.data)
    for image in body.get("referenceImages", []):
        for field in ("url", "thumbnailUrl"):
            assert urlsplit(image.pop(field))[:2] == ("http", "localhost")
    return None if "error" in body else body


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
