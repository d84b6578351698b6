"""Bodies for each operation that changes something, and the ids that they and the paths may name."""

from collections.abc import Callable
from typing import Any, NamedTuple

from layers_standin.domain.github import repositories
from layers_standin.openapi import examples

PIXEL = examples.REQUESTS["InlineMedia"]["a pixel"]["dataBase64"]
HOOK = "http://127.0.0.1:9/hook"  # where nobody listens
INSTALLATION = {"login": "acme", "installationId": 1}
REPOSITORY, ANOTHER_REPOSITORY = (each["fullName"] for each in repositories(INSTALLATION)[:2])


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
    webhook_endpoint_id: str
    webhook_delivery_id: str


def _target(things: Things) -> dict[str, Any]:
    return {"socialAccountId": things.social_account_id, "mode": "direct_publish"}


# By the name of the handler a body that works, and another one that does too; `things` are those the path names.
Bodies = Callable[[Things], tuple[Any, Any]]
NOTHING: tuple[Any, Any] = (None, {})  # no body at all, and an empty object, are different bodies
BODIES: dict[str, Bodies] = {
    "patch_influencer": lambda _: ({"vibe": "x"}, {"vibe": "y"}),
    "delete_influencer": lambda _: ({"reason": "x"}, {"reason": "y"}),
    "attach_reference_images": lambda _: ({"assetIds": examples.PICTURES[:1]}, {"assetIds": examples.PICTURES}),
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
    "ingest_github": lambda _: ({"repoFullName": REPOSITORY}, {"repoFullName": ANOTHER_REPOSITORY}),
    "ingest_website": lambda _: ({"url": "https://acme.example"}, {"url": "https://acme.example/about"}),
    "create_webhook_endpoint": lambda _: (
        {"url": HOOK, "events": ["job.completed"]},
        {"url": HOOK, "events": ["job.failed"]},
    ),
    "patch_webhook_endpoint": lambda _: ({"description": "x"}, {"description": None}),
    "delete_webhook_endpoint": lambda _: NOTHING,
    "rotate_webhook_secret": lambda _: NOTHING,
    "test_webhook_endpoint": lambda _: ({"payload": {"n": 1}}, {"payload": {"n": 2}}),
    "replay_webhook_delivery": lambda _: NOTHING,
    "kill_key": lambda _: NOTHING,
    "rotate_key": lambda _: NOTHING,
    "delete_key": lambda _: NOTHING,
}
