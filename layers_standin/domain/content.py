"""The rules of content: one container is one piece of it. Source: contract, section 6.

A container has the schedule of its job, and a copy of all that it needs of its influencer: so it never looks whether
the influencer lives. `influencer` is {"name", "personality", "traits", "schedule"?} or None: `schedule` is that of an
influencer that was not ready when the container was begun.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from layers_standin.domain.approvals import approval_status
from layers_standin.domain.assets import media_paths
from layers_standin.domain.captions import caption_of, first_comment_of
from layers_standin.domain.errors import Conflict
from layers_standin.domain.ids import canonical, mint
from layers_standin.domain.influencers import influencer_status
from layers_standin.domain.pictures import portrait_traits
from layers_standin.domain.schedules import State, end_ms, new_schedule, stage_progress, state_at
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, milliseconds, seconds
from layers_standin.engines.table import Record

STATUSES = ("queued", "generating", "completed", "failed", "canceled")
FORMATS = ("video_remix", "slideshow_remix", "ugc_remix", "auto")
INFLUENCER_FAILED = {"code": "INFLUENCER_FAILED", "message": "The influencer did not become ready."}

_ASSET_FIELDS = ("durationMs", "width", "height", "mimeType", "sizeBytes", "checksumSha256")


def copy_of(influencer: Mapping[str, Any], now_ms: int) -> Record:
    """Return all that content needs of an influencer, as it is now."""
    copied = {"name": influencer["name"], "personality": influencer["personality"]}
    copied |= {"traits": portrait_traits(influencer)}
    return copied | ({} if influencer_status(influencer, now_ms) == "ready" else {"schedule": _schedule_of(influencer)})


def _schedule_of(influencer: Mapping[str, Any]) -> Record:
    """Return the schedule of an influencer that is not ready; one that failed without a job has failed for ever."""
    return dict(influencer.get("schedule") or new_schedule(0, 0) | {"failure": INFLUENCER_FAILED})


def content_schedule(schedule: Record, influencer: Mapping[str, Any] | None) -> Record:
    """Return the schedule of a container: it waits until its influencer is ready, and fails if that fails."""
    if influencer is None or "schedule" not in influencer:
        return schedule
    wait_ms = max(0, end_ms(influencer["schedule"]) - schedule["startedMs"])
    if influencer["schedule"]["failure"] or influencer["schedule"]["endedMs"] is not None:
        return schedule | {"waitMs": wait_ms, "lengthMs": wait_ms, "failure": INFLUENCER_FAILED}
    return schedule | {"waitMs": wait_ms, "lengthMs": wait_ms + schedule["lengthMs"]}


def new_container(  # all that it holds
    organization: str,
    project_id: str,
    container_id: str,
    body: Mapping[str, Any],
    making: Mapping[str, Any],
    now: datetime,
) -> Record:
    """Return the document of a new container; `body` is a validated generate body, `making` as `new_making` has it."""
    created_ms = epoch_milliseconds(now)
    return {
        "id": container_id,
        "organizationId": organization,
        "projectId": project_id,
        "format": body["format"],
        "references": body.get("references"),
        "projectLayerId": body.get("projectLayerId"),
        "createdMs": created_ms,
        "sortKey": f"{moment_key(created_ms)}-{mint('cnt')}={canonical(container_id)}",
        **making,
    }


def new_making(
    brief: Mapping[str, Any] | None,
    influencer: Mapping[str, Any] | None,
    assets: list[Record],
    variety: int,
) -> Record:
    """Return the fields of a container that each making of it sets anew, but for its job and approval.

    `influencer` is its copy; `variety` counts the makings and variants, each of which is worded in another way.
    """
    given = brief or {}
    return {
        "influencerId": given.get("influencerId"),
        "influencer": influencer,
        "brief": brief,
        "caption": caption_of(given, influencer["name"] if influencer else None, variety),
        "firstComment": first_comment_of(given),
        "assets": assets,
        "variety": variety,
    }


def new_content_asset(
    organization: str, project_id: str, kind: str, mime_type: str, filename: str, data: bytes, now: datetime
) -> Record:
    """Return the document of an asset of content, which is served as any other; `data` are its bytes."""
    asset: Record = {
        "assetId": mint("asset"),
        "organizationId": organization,
        "projectId": project_id,
        "kind": kind,
        "contentType": mime_type,
        "mimeType": mime_type,
        "filename": filename,
        "sizeBytes": len(data),
        "checksumSha256": sha256(data).hexdigest(),
        "token": token_urlsafe(16),
        "createdAt": seconds(now),
    }
    return asset | media_paths(asset)


def moment_key(moment_ms: int) -> str:
    """Return the beginning of the sort keys of a moment; keys of later moments are greater."""
    return f"{moment_ms:015d}"


def container_status(container: Mapping[str, Any], now_ms: int) -> str:
    return _status_of(state_at(container["schedule"], now_ms))


def _status_of(state: State) -> str:
    if state.status == "running":
        return "queued" if state.stage == "queued" else "generating"
    return state.status


def refuse_while_made(container: Mapping[str, Any], now_ms: int) -> None:
    """Raises Conflict while a container is queued or generating."""
    status = container_status(container, now_ms)
    if status in ("queued", "generating"):
        raise Conflict(
            "The container is still being generated.",
            subcode="CONTAINER_NOT_FINISHED",
            containerId=container["id"],
            status=status,
        )


def content_asset_view(asset: Mapping[str, Any], base_url: Callable[[], str]) -> Record:
    """Return an asset of content with all fields of the contract in its order."""
    base = base_url()
    return {
        "assetId": asset["assetId"],
        "kind": asset["kind"],
        "url": base + asset["path"],
        "thumbnailUrl": base + asset["thumbnailPath"],
        **{field: asset[field] for field in _ASSET_FIELDS},
    }


def container_view(container: Mapping[str, Any], now_ms: int, base_url: Callable[[], str]) -> Record:
    """Return the full record of a container."""
    state = state_at(container["schedule"], now_ms)
    status, finished = _status_of(state), _finished_at(state)
    is_completed = status == "completed"
    return {
        "id": container["id"],
        "projectId": container["projectId"],
        "influencerId": container["influencerId"],
        "status": status,
        "format": container["format"],
        "brief": container["brief"],
        "caption": container["caption"] if is_completed else None,
        "firstComment": container["firstComment"] if is_completed else None,
        "assets": [content_asset_view(asset, base_url) for asset in container["assets"]] if is_completed else [],
        "approvalStatus": approval_status(container, now_ms),
        "createdAt": milliseconds(from_epoch_milliseconds(container["createdMs"])),
        "completedAt": finished if is_completed else None,
        "failedAt": finished if status == "failed" else None,
        "lastError": container["schedule"]["failure"] if status == "failed" else None,
    }


def container_item(container: Mapping[str, Any], now_ms: int, base_url: Callable[[], str]) -> Record:
    """Return a container as an item of a list."""
    view = container_view({**container, "assets": container["assets"][:1]}, now_ms, base_url)
    shown = ("id", "influencerId", "status", "format", "caption", "approvalStatus", "createdAt", "completedAt")
    return {field: view[field] for field in shown} | {"primaryAsset": view["assets"][0] if view["assets"] else None}


def progress_view(container: Mapping[str, Any], now_ms: int) -> Record:
    """Return how far the making of a container is; it begins anew at each stage."""
    state = state_at(container["schedule"], now_ms)
    seen_ms = now_ms if state.finished_ms is None else state.finished_ms
    is_over = state.finished_ms is not None
    return {
        "containerId": container["id"],
        "status": _status_of(state),
        "stage": "finalizing" if is_over else state.stage,
        "stageProgress": 1.0 if is_over else stage_progress(container["schedule"], now_ms),
        "etaSeconds": 0 if is_over else -(-max(0, end_ms(container["schedule"]) - now_ms) // 1000),
        "updatedAt": milliseconds(from_epoch_milliseconds(seen_ms)),
    }


def content_result(job: Mapping[str, Any], base_url: Callable[[], str]) -> Record:
    """Return the result of a completed job: its container, or all of them, and the assets that it has made."""
    about = {field: job[field] for field in ("containerId",) if field in job} or {"containerIds": job["containerIds"]}
    return about | {"assets": [content_asset_view(asset, base_url) for asset in job["assets"]]}


def _finished_at(state: State) -> str | None:
    return None if state.finished_ms is None else milliseconds(from_epoch_milliseconds(state.finished_ms))
