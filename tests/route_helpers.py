"""What the tests of all routes share: a request to each operation, and one of each thing that its path may name."""

import re

import pytest
from conftest import DEMO
from content_helpers import made_content
from delivery_helpers import made_delivery
from post_helpers import made_post
from quickstart_helpers import made_installation

from app import operations
from layers_standin.conform.bodies import BODIES, Things
from layers_standin.domain.keys import DEMO_KEY, public_id_of
from store import Store

every = pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.name)


def path_of(operation, ids):
    """Return the operation's path with ids put in: of Things, or {placeholder: id}."""
    known = ids._asdict() if isinstance(ids, Things) else ids
    if operation.name == "publishContent" and isinstance(ids, Things):
        known |= {"container_id": ids.approved_id}
    query = "?returnUrl=http://localhost/" if operation.name == "getInstallUrl" else ""
    return re.sub(r"<(\w+)>", lambda match: known[match[1]], operation.path) + query


def body_of(operation, things):
    return BODIES[operation.handler.__name__](things)[0] if operation.changes else None


def send(client, operation, ids, body=None, headers=DEMO):
    """Send a request; a body of bytes goes as it is, any other as JSON, None not at all."""
    content = {} if body is None else {"data": body} if isinstance(body, bytes) else {"json": body}
    return client.open(path_of(operation, ids), method=operation.method, headers=headers, **content)


def made(store: Store, rooms, organization: str, project: str, influencer: str, api_key: str) -> Things:
    """Return one of each, all of which the organization has: the job runs, the upload has arrived, the post is queued.

    The content is completed, and has to be approved; there is another one that needs no approval.
    """
    own = store.for_organization(organization)
    assets, asking = own.assets, store.keys.find(public_id_of(DEMO_KEY))
    job = own.create_influencer(project, {"name": "Job"})
    upload = assets.presign(project, {"kind": "video", "mimeType": "video/mp4"})
    received = rooms.media.receive(organization, upload["assetId"], [b"bytes"])
    assets.receive(upload["uploadId"], received._asdict())
    key_id = store.keys.find(public_id_of(api_key))["apiKeyId"]
    container, asset = made_content(rooms, organization, project)
    approved = made_content(rooms, organization, project)[0] | {"approval": {"status": "not_required"}}
    store.tables.put("containers", approved)
    asks = asking["apiKeyId"] if asking["organizationId"] == organization else key_id  # a state is its key's alone
    account, post = made_post(own, approved)
    state = own.social.begin(project, asks, {"platform": "tiktok", "returnUrl": "http://localhost/"})["state"]
    made_installation(own, state)
    endpoint, delivery = made_delivery(own)
    return Things(
        influencer, project, job["jobId"], key_id, upload["uploadId"], container["id"], asset["assetId"],
        account["socialAccountId"], state, post["id"], approved["id"],
        endpoint["id"], delivery["id"],
    )  # fmt: skip
