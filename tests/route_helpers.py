"""What the tests of all routes share: bodies for each operation, and what its path may name."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from api_helpers import AVA_PICTURES
from conftest import DEMO
from content_helpers import made_content
from post_helpers import made_post
from quickstart_helpers import ANOTHER, REPOSITORY, made_installation

from app import operations
from layers_standin.domain.keys import DEMO_KEY, public_id_of
from store import Store

PIXEL = "R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="


class Things(NamedTuple):
    """What an organization has, one of each: what the ids in a path may stand for."""

    influencer_id: str
    project_id: str
    job_id: str
    key_id: str
    upload_id: str
    container_id: str
    asset_id: str
    social_account_id: str
    state: str
    scheduled_post_id: str
    approved_id: str


def _target(things: Things) -> dict[str, Any]:
    return {"socialAccountId": things.social_account_id, "mode": "direct_publish"}


# Per operation a body that works, and another one that does too; `things` are those the path names.
Bodies = Callable[[Things], tuple[Any, Any]]
NOTHING: tuple[Any, Any] = (None, {})  # no body at all, and an empty object, are different bodies
BODIES: dict[str, Bodies] = {
    "patch_influencer": lambda _: ({"vibe": "x"}, {"vibe": "y"}),
    "delete_influencer": lambda _: ({"reason": "x"}, {"reason": "y"}),
    "attach_reference_images": lambda _: ({"assetIds": AVA_PICTURES[:1]}, {"assetIds": AVA_PICTURES}),
    "create_influencer": lambda _: ({"name": "Kim"}, {"name": "Noa"}),
    "clone_influencer": lambda _: ({"name": "Kim"}, {"name": "Noa"}),
    "cancel_job": lambda _: NOTHING,
    "create_project": lambda _: ({"name": "A", "timezone": "UTC"}, {"name": "B", "timezone": "UTC"}),
    "patch_project": lambda _: ({"name": "A"}, {"name": "B"}),
    "delete_project": lambda _: NOTHING,
    "presign_upload": lambda _: (
        {"kind": "video", "mimeType": "video/mp4"},
        {"kind": "audio", "mimeType": "audio/ogg"},
    ),
    "finalize_upload": lambda things: ({"uploadId": things.upload_id}, {"uploadId": "upl_other"}),
    "upload_inline": lambda _: (
        {"kind": "image", "mimeType": "image/gif", "dataBase64": PIXEL},
        {"kind": "logo", "mimeType": "image/gif", "dataBase64": PIXEL},
    ),
    "generate_content": lambda _: ({"brief": {"topic": "x"}}, {"brief": {"topic": "y"}}),
    "regenerate_content": lambda _: ({"preserveAssets": True}, {"preserveAssets": False}),
    "approve_content": lambda _: ({"note": "x"}, {"note": "y"}),
    "reject_content": lambda _: ({"reason": "x"}, {"reason": "y"}),
    "patch_approval_policy": lambda _: ({"requiresApproval": True}, {"firstNPostsBlocked": 1}),
    "create_oauth_url": lambda _: (
        {"platform": "tiktok", "returnUrl": "http://localhost/"},
        {"platform": "instagram", "returnUrl": "http://localhost/"},
    ),
    "delete_social_account": lambda _: NOTHING,
    "schedule_content": lambda things: (
        {"scheduledFor": "2026-05-01T12:00:00Z", "targets": [_target(things)]},
        {"scheduledFor": "2026-05-01T12:00:01Z", "targets": [_target(things)]},
    ),
    "publish_content": lambda things: (
        {"targets": [_target(things)]},
        {"targets": [_target(things) | {"captionOverride": "x"}]},
    ),
    "reschedule_post": lambda _: ({"scheduledFor": "2026-05-02T12:00:00Z"}, {"scheduledFor": "2026-05-03T12:00:00Z"}),
    "cancel_scheduled_post": lambda _: ({"reason": "x"}, {"reason": "y"}),
    "register_installation": lambda things: (
        {"installationId": 1, "state": things.state},
        {"installationId": 2, "state": things.state},
    ),
    "ingest_github": lambda _: ({"repoFullName": REPOSITORY}, {"repoFullName": ANOTHER}),
    "ingest_website": lambda _: ({"url": "https://acme.example"}, {"url": "https://acme.example/about"}),
    "kill_key": lambda _: NOTHING,
    "rotate_key": lambda _: NOTHING,
    "delete_key": lambda _: NOTHING,
}

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
    return Things(
        influencer, project, job["jobId"], key_id, upload["uploadId"], container["id"], asset["assetId"],
        account["socialAccountId"], state, post["id"], approved["id"],
    )  # fmt: skip
