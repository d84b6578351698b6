"""Scheduled posts: pure functions of their time, their length and the clock, so that no worker has to send one.

A post has the times, in milliseconds since 1970: "scheduledMs", "createdMs", "updatedMs", "lengthMs" of being sent,
"canceledMs" or None; and "opensMs": until then it waits for the approval of its content and nobody sees it, 0 if it
never did, None as long as nobody has decided. "failure" is None, or the error at its end, {"code", "message"}.
"""

from collections.abc import Mapping
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, NamedTuple

from layers_standin.domain.ids import canonical, mint
from layers_standin.domain.times import from_epoch_milliseconds, milliseconds, seconds
from layers_standin.engines.indexes import IndexEntry
from layers_standin.engines.table import Record

MODES = {
    "tiktok": ("direct_publish", "draft_to_device"),
    "instagram": ("reels", "feed", "draft_to_device"),
}
ALL_MODES = tuple(dict.fromkeys(mode for modes in MODES.values() for mode in modes))
DRAFT_MODE = "draft_to_device"
QUEUED, PUBLISHING = "queued", "publishing"
PUBLISHED, DRAFT, FAILED, CANCELED = "published", "draft_in_inbox", "failed", "canceled"
ENDS = (PUBLISHED, DRAFT, FAILED, CANCELED)
STATUSES = (QUEUED, PUBLISHING, *ENDS)

REAUTH_REQUIRED = {"code": "REAUTH_REQUIRED", "message": "The account must be connected again."}

NEVER_MS = 10**15

_ASSET_FIELDS = ("assetId", "kind", "path", "thumbnailPath", "mimeType")  # that the page of a post shows


class State(NamedTuple):
    """The state of a post at a moment; `started_ms` and `ended_ms` are None until then."""

    status: str
    started_ms: int | None = None
    ended_ms: int | None = None


def new_post(
    container: Mapping[str, Any],
    account: Mapping[str, Any],
    target: Mapping[str, Any],
    times: Mapping[str, Any],
    failure: Record | None,
) -> Record:
    """Return the document of a new post.

    `container` is a document of completed content, whose caption and assets stay those of the post; `account` is one of
    its project, and `target` says how it is posted there, as in the body of a request. `times` are "scheduledMs",
    "createdMs", "opensMs" and "lengthMs"; with a `failure` it will fail.
    """
    lacks_consent = account["status"] == "reauth_required"
    return {
        "id": target.get("scheduledPostId") or mint("sp"),
        "organizationId": container["organizationId"],
        "projectId": container["projectId"],
        "containerId": container["id"],
        "socialAccountId": account["socialAccountId"],
        "platform": account["platform"],
        "handle": account["handle"],
        "mode": target["mode"],
        "caption": target.get("captionOverride", container["caption"]),
        "firstComment": target.get("firstCommentOverride", container["firstComment"]),
        "assets": [{field: asset[field] for field in _ASSET_FIELDS} for asset in container["assets"]],
        **times,
        "updatedMs": times["createdMs"],
        "canceledMs": None,
        "failure": failure or (REAUTH_REQUIRED if lacks_consent else None),
        "token": token_urlsafe(16),
    }


def start_ms(post: Mapping[str, Any]) -> int:
    """Return the time at which a post is sent, NEVER_MS while nobody has decided about its content."""
    opens = NEVER_MS if post["opensMs"] is None else post["opensMs"]
    return int(max(post["scheduledMs"], post["createdMs"], opens))


def end_ms(post: Mapping[str, Any]) -> int:
    return start_ms(post) + int(post["lengthMs"])


def end_of(post: Mapping[str, Any]) -> str:
    """Return the status that a post ends with."""
    if post["canceledMs"] is not None:
        return CANCELED
    if post["failure"] is not None:
        return FAILED
    return DRAFT if post["mode"] == DRAFT_MODE else PUBLISHED


def state_at(post: Mapping[str, Any], now_ms: int) -> State:
    """Return the state of a post. A clock set back before its time shows it as queued again."""
    start, end = start_ms(post), end_ms(post)
    if post["canceledMs"] is not None:
        return State(CANCELED)
    if now_ms < start:
        return State(QUEUED)
    if now_ms < end:
        return State(PUBLISHING, start)
    return State(end_of(post), start, end)


def is_visible(post: Mapping[str, Any], now_ms: int) -> bool:
    """Whether a post exists for its readers: not while it waits for approval, nor when it was canceled before that."""
    opens, canceled = post["opensMs"], post["canceledMs"]
    return opens is not None and opens <= (now_ms if canceled is None else min(now_ms, canceled))


def cancel(post: Mapping[str, Any], now_ms: int) -> Record:
    return dict(post) | {"canceledMs": now_ms, "updatedMs": now_ms}


def approve(post: Mapping[str, Any], now_ms: int) -> Record:
    """Return a post that waited for approval, from now on scheduled like any other."""
    return dict(post) | {"opensMs": 0, "createdMs": now_ms, "updatedMs": now_ms}


def reschedule(post: Mapping[str, Any], scheduled_ms: int, now_ms: int) -> Record:
    return dict(post) | {"scheduledMs": scheduled_ms, "updatedMs": now_ms}


def sort_key(post: Mapping[str, Any]) -> str:
    """Return the sort key of a post in lists, by its scheduled time."""
    return f"{at_or_after(post['scheduledMs'])}={canonical(post['id'])}"


def at_or_after(moment_ms: int) -> str:
    """Return the least that a sort key at or after a time can be."""
    return f"{moment_ms:016d}"


def index_entries(post: Record) -> list[IndexEntry]:
    """Index entries of a post, for its project and again for its account.

    `<owner>:<status at its end>` in the order of lists, and until it is canceled `<owner>:open` by the time of its end.
    One that waits for approval is in `<owner>:waiting` too, that of its container included.
    """
    owners = [of_project(post["projectId"]), of_account(post["socialAccountId"])]
    entries = []
    if post["opensMs"] != 0:
        entries += [(f"{owner}:waiting", sort_key(post)) for owner in (*owners, of_container(post["containerId"]))]
    if is_visible(post, NEVER_MS):
        entries += [(f"{owner}:{end_of(post)}", sort_key(post)) for owner in owners]
        if post["canceledMs"] is None:
            entries += [(f"{owner}:open", _open_key(post)) for owner in owners]
    return [IndexEntry(*entry) for entry in entries]


def of_project(project_id: str) -> str:
    return f"project:{project_id}"


def of_account(account_id: str) -> str:
    return f"account:{account_id}"


def of_container(container_id: str) -> str:
    return f"container:{container_id}"


def _open_key(post: Mapping[str, Any]) -> str:
    return f"{end_ms(post):016d}:{start_ms(post):016d}:{sort_key(post)}"


def post_view(post: Mapping[str, Any], now_ms: int, base_url: str) -> Record:
    """Return the full record of a post."""
    state = state_at(post, now_ms)
    is_public = state.status == PUBLISHED
    return {
        "id": post["id"],
        "containerId": post["containerId"],
        "socialAccountId": post["socialAccountId"],
        "platform": post["platform"],
        "mode": post["mode"],
        "status": state.status,
        "caption": post["caption"],
        "firstComment": post["firstComment"],
        "externalId": external_id(post) if is_public else None,
        "externalUrl": base_url + page_path(post) if is_public else None,
        "scheduledFor": moment(post["scheduledMs"]),
        "attemptedAt": _at(state.started_ms),
        "publishedAt": _at(state.ended_ms) if is_public else None,
        "canceledAt": _at(post["canceledMs"]),
        "lastError": post["failure"] if state.status == FAILED else None,
        "createdAt": _at(max(post["createdMs"], post["opensMs"] or 0)),
        "updatedAt": _at(max(post["updatedMs"], post["opensMs"] or 0, state.started_ms or 0, state.ended_ms or 0)),
    }


def moment(moment_ms: int) -> str:
    """Return a time as a client gave it: with milliseconds only if it has any."""
    at = from_epoch_milliseconds(moment_ms)
    return milliseconds(at) if moment_ms % 1000 else seconds(at)


def external_id(post: Mapping[str, Any]) -> str:
    """Return the number that the platform would give to a post: 19 digits, always the same."""
    return f"7{int(sha256(post['token'].encode()).hexdigest(), 16) % 10**18:018d}"


def page_path(post: Mapping[str, Any]) -> str:
    """Return the path of the page that shows a post, without a host; its token makes it unguessable."""
    return f"/posts/{post['organizationId']}/{post['id']}/{post['token']}"


def _at(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else seconds(from_epoch_milliseconds(moment_ms))
