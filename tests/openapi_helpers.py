"""What the tests of the OpenAPI document share: what its examples need, and what Schemathesis leaves alone."""

import tomllib
from pathlib import Path

from content_helpers import made_content
from post_helpers import plant_posts
from quickstart_helpers import plant_installation

from layers_standin.domain.faults import new_rule
from layers_standin.domain.keys import public_id_of
from layers_standin.domain.tables import ALL
from layers_standin.domain.times import milliseconds
from layers_standin.openapi import examples
from layers_standin.services import Services


def plant_examples(rooms: Services) -> None:
    """Put into a seeded store the job, the key, the upload, the content, the fault and the snapshot of the examples."""
    store, organization = rooms.store, examples.ORGANIZATION
    job = store.for_organization(organization).create_influencer(examples.SPRING, {"name": "Example"})
    store.tables.put("jobs", job | {"jobId": examples.JOB})
    key = store.for_organization(organization).keys.create([], "Example")
    document = store.keys.find(public_id_of(key))
    assert document is not None
    store.tables.put("api_keys", document | {"apiKeyId": examples.KEY})
    store.tables.put(
        "api_key_ids", {"apiKeyId": examples.KEY, **{f: document[f] for f in ("organizationId", "publicId")}}
    )
    upload = store.for_organization(organization).assets.presign(
        examples.SPRING, {"kind": "video", "mimeType": "video/mp4"}
    )
    received = rooms.media.receive(organization, upload["assetId"], [b"bytes"])
    store.tables.put("uploads", upload | {"uploadId": examples.UPLOAD, "received": received._asdict()})
    container, asset = made_content(rooms, organization, examples.SPRING, assetId=examples.CONTENT_ASSET)
    store.tables.put("containers", container | {"id": examples.CONTAINER})
    store.tables.put("assets", asset | {"containerId": examples.CONTAINER, "jobId": container["jobId"]})
    plant_posts(rooms)
    plant_installation(rooms)
    harmless = {"match": {"operation": "getJob", "keyId": "nobody's"}, "answer": {"delayMs": 0}}
    store.faults.add(ALL, new_rule(harmless, store.now()) | {"id": examples.FAULT})
    with store.db.create_snapshot(examples.SNAPSHOT, {"at": milliseconds(store.now())}) as snapshot_id:
        rooms.media.create_snapshot(snapshot_id)


def left_out_of_fuzzing() -> set[str]:
    """Return the ids of the operations that Schemathesis is told to leave alone."""
    told = tomllib.loads((Path(__file__).parent / "contract" / "schemathesis.toml").read_text("utf-8"))["operations"]
    return {name for rule in told if not rule.get("enabled", True) for name in rule["include-operation-id"]}
