"""Social accounts and scheduled posts in the document: their responses, like those of a new store."""

from typing import Any

from layers_standin.domain.posts import ALL_MODES, STATUSES
from layers_standin.domain.social import PLATFORMS
from layers_standin.domain.social import STATUSES as ACCOUNT_STATUSES
from layers_standin.openapi import examples
from layers_standin.openapi import json_schema as schema
from layers_standin.openapi.document import OperationDocs, next_page
from layers_standin.openapi.json_schema import SECONDS, JsonSchema, or_null, record_like
from layers_standin.openapi.responses import Response, list_of, response

ACCOUNTS, POSTS = "Social accounts", "Scheduled posts"

_STATE = {"state": "/state"}
_POST_ID, _FIRST = {"scheduledPostId": "/id"}, {"scheduledPostId": "/scheduledPosts/0/id"}
_UNPUBLISHABLE = ("ProjectIsArchived", "ContainerNotCompleted", "ContentIsRejected")

DOCS: dict[str, OperationDocs] = {
    "list_social_accounts": OperationDocs(
        ACCOUNTS,
        "SocialAccountPage",
        gives={"socialAccountId": "/items/0/socialAccountId"},
        links=next_page("listSocialAccounts", projectId="$request.path.projectId"),
    ),
    "create_oauth_url": OperationDocs(ACCOUNTS, "OauthUrlCreated", errors=["ReturnUrlNotAllowed"], gives=_STATE),
    "get_oauth_status": OperationDocs(ACCOUNTS, "OauthStatus"),
    "delete_social_account": OperationDocs(ACCOUNTS, "SocialAccountDisconnected"),
    "schedule_content": OperationDocs(
        POSTS,
        "ContentScheduled",
        errors=[*_UNPUBLISHABLE, "PostIdTaken"],
        gives=_FIRST,
        ids={"containerId": examples.APPROVED_CONTAINER},
    ),
    "publish_content": OperationDocs(
        POSTS,
        "ContentScheduled",
        errors=[*_UNPUBLISHABLE, "PostIdTaken", "ApprovalRequired"],
        gives=_FIRST,
        by_own_links_only=True,  # most content has to be approved before
        ids={"containerId": examples.APPROVED_CONTAINER},
    ),
    "list_scheduled_posts": OperationDocs(
        POSTS,
        "ScheduledPostPage",
        gives={"scheduledPostId": "/items/0/id"},
        links=next_page("listScheduledPosts", projectId="$request.path.projectId"),
    ),
    "get_scheduled_post": OperationDocs(POSTS, "ScheduledPost"),
    "reschedule_post": OperationDocs(POSTS, "PostRescheduled", errors=["PostNotQueued"], shows=_POST_ID),
    "cancel_scheduled_post": OperationDocs(POSTS, "PostCanceled", errors=["PostNotQueued"], shows=_POST_ID),
}

ACCOUNT = {
    "socialAccountId": examples.ACCOUNT,
    "platform": "tiktok",
    "handle": "northwind.spring",
    "avatarUrl": f"{examples.MEDIA_URL}/{examples.ACCOUNT}/{examples.AVATAR_MARK}/avatar/northwind.spring.png",
    "status": "connected",
    "leased": False,
    "connectedAt": "2026-04-01T09:30:00Z",
    "tokenExpiresAt": "2026-05-01T09:30:00Z",
}
POST = {
    "id": examples.POST,
    "containerId": examples.CONTAINER,
    "socialAccountId": examples.ACCOUNT,
    "platform": "tiktok",
    "mode": "direct_publish",
    "status": "published",
    "caption": "Why I run at night.",
    "firstComment": "#running",
    "externalId": "7385912341234567890",
    "externalUrl": f"http://127.0.0.1:8000/posts/{examples.ORGANIZATION}/{examples.POST}/{examples.POST_MARK}",
    "scheduledFor": "2026-04-18T10:00:00Z",
    "attemptedAt": "2026-04-18T10:00:00Z",
    "publishedAt": "2026-04-18T10:00:02Z",
    "canceledAt": None,
    "lastError": None,
    "createdAt": "2026-04-18T09:30:00Z",
    "updatedAt": "2026-04-18T10:00:02Z",
}
_QUEUED = POST | {
    "status": "queued",
    "updatedAt": "2026-04-18T09:30:00Z",
    **dict.fromkeys(("externalId", "externalUrl", "attemptedAt", "publishedAt")),
}
_MOMENT = schema.text(format="date-time")
_PENDING = {"state": examples.STATE, "status": "pending", "expiresAt": "2026-04-18T09:40:00Z"}
_PLATFORM: JsonSchema = {"enum": list(PLATFORMS)}

ACCOUNT_FIELDS: dict[str, JsonSchema] = {
    "platform": _PLATFORM,
    "handle": schema.text(pattern=r"^[0-9a-z._]{1,30}$"),
    "avatarUrl": schema.text(format="uri"),
    "status": {"enum": list(ACCOUNT_STATUSES)},
    "leased": schema.constant(False),
    "connectedAt": SECONDS,
    "tokenExpiresAt": or_null(SECONDS),
}

POST_FIELDS: dict[str, JsonSchema] = {
    "containerId": schema.ID,
    "platform": _PLATFORM,
    "mode": {"enum": list(ALL_MODES)},
    "status": {"enum": list(STATUSES)},
    "caption": or_null(schema.TEXT),
    "firstComment": or_null(schema.TEXT),
    "externalId": or_null(schema.text(pattern="^[0-9]{19}$")),
    "externalUrl": or_null(schema.text(format="uri")),
    "scheduledFor": _MOMENT,
    "attemptedAt": or_null(SECONDS),
    "publishedAt": or_null(SECONDS),
    "canceledAt": or_null(SECONDS),
    "lastError": {"anyOf": [schema.record(code=schema.TEXT, message=schema.TEXT), schema.NULL]},
}

RESPONSES: dict[str, Response] = {
    "SocialAccountPage": list_of("SocialAccount", ACCOUNT, nextCursor=None),
    "OauthUrlCreated": response(
        {
            "authorizeUrl": "http://127.0.0.1:8000/consent/WyJzb2NpYWwiLCI2ZjFjMmY1ZSIsInN0XzAxSFhaR04yUSJd.x3Tq0mYw",
            "state": examples.STATE,
            "expiresAt": "2026-04-18T09:40:00Z",
        },
        authorizeUrl=schema.text(format="uri"),
        state=schema.minted("st"),
        expiresAt=SECONDS,
    ),
    "OauthStatus": Response(
        _PENDING | {"status": "completed", "socialAccountId": examples.ACCOUNT},
        {"oneOf": [schema.ref(name) for name in ("OauthPending", "OauthCompleted", "OauthFailed")]},
    ),
    "ContentScheduled": response(
        {"containerId": examples.CONTAINER, "gateStatus": "scheduled", "scheduledPosts": [_QUEUED]},
        containerId=schema.ID,
        gateStatus={"enum": ["scheduled", "blocked_on_approval"]},
        scheduledPosts=schema.listed(schema.ref("ScheduledPostItem")),
    ),
    "ScheduledPostPage": list_of("ScheduledPostItem", POST, nextCursor=None),
    "ScheduledPost": response(POST, **POST_FIELDS),
    "PostRescheduled": response(
        {field: _QUEUED[field] for field in ("id", "status", "scheduledFor", "updatedAt")},
        "status",
        scheduledFor=_MOMENT,
    ),
    "PostCanceled": response(
        {"id": examples.POST, "status": "canceled", "canceledAt": "2026-04-18T09:45:00Z"}, "status", canceledAt=SECONDS
    ),
    "SocialAccountDisconnected": response(
        {
            "socialAccountId": examples.ACCOUNT,
            "status": "disconnected",
            "disconnectedReason": "revoked_by_partner",
            "canceledScheduledPosts": 0,
            "disconnectedAt": "2026-04-18T09:45:00Z",
        },
        "status",
        "disconnectedReason",
        canceledScheduledPosts=schema.COUNT,
        disconnectedAt=SECONDS,
    ),
}


def _oauth(example: dict[str, Any], **own: JsonSchema) -> JsonSchema:
    return record_like(example, "status", state=schema.minted("st"), expiresAt=SECONDS, **own)


JOBS: tuple[str, ...] = ()  # neither noun has jobs

SCHEMAS: dict[str, JsonSchema] = {
    "ScheduledPostItem": record_like(POST, **POST_FIELDS),
    "SocialAccount": record_like(ACCOUNT, **ACCOUNT_FIELDS),
    "OauthPending": _oauth(_PENDING),
    "OauthCompleted": _oauth(_PENDING | {"status": "completed", "socialAccountId": examples.ACCOUNT}),
    "OauthFailed": _oauth(
        _PENDING | {"status": "failed", "error": None},
        error=schema.record(code={"enum": ["ACCESS_DENIED", "STATE_EXPIRED"]}, message=schema.TEXT),
    ),
}
