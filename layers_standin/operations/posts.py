"""Scheduled posts: the operations that schedule content on social accounts, and those on posts."""

from layers_standin.domain.keys import PUBLISH_READ, PUBLISH_WRITE
from layers_standin.domain.posts import new_post, post_view
from layers_standin.domain.scheduled_posts import MIN_LEAD_MS
from layers_standin.domain.scheduling import check_modes, opening_of
from layers_standin.engines.table import Record
from layers_standin.operations import posts_schemas as schemas
from layers_standin.web.operations import Call, Operations

operations = Operations()

_CONTENT = "/v1/content/<container_id>"
_POST = "/v1/scheduled-posts/<scheduled_post_id>"


@operations.add("POST", f"{_CONTENT}/schedule", scope=PUBLISH_WRITE, body=schemas.ScheduleContent(), success=202)
def schedule_content(call: Call, container_id: str) -> Record:
    """Schedule completed content on social accounts; while it is not approved, the schedule waits."""
    return _schedule(call, container_id, call.body["scheduledFor"], may_wait=True)


@operations.add("POST", f"{_CONTENT}/publish", scope=PUBLISH_WRITE, body=schemas.PublishContent(), success=202)
def publish_content(call: Call, container_id: str) -> Record:
    """Schedule completed and approved content on social accounts, half a minute from now."""
    return _schedule(call, container_id, call.store.now_ms() + MIN_LEAD_MS, may_wait=False)


def _schedule(call: Call, container_id: str, scheduled_ms: int, may_wait: bool) -> Record:
    store, targets = call.store, call.body["targets"]
    container = store.containers.get(container_id)
    project = store.projects.get(container["projectId"])  # locked: an archiving of it must see these posts
    accounts = [store.social.of_project(project["id"], target["socialAccountId"]) for target in targets]
    check_modes(targets, accounts)
    store.projects.active(project["id"])
    now_ms = store.now_ms()
    opens_ms = opening_of(container, now_ms, may_wait)
    times = {"scheduledMs": scheduled_ms, "createdMs": now_ms, "opensMs": opens_ms, "lengthMs": store.job_ms}
    pairs = zip(accounts, targets, strict=True)
    posts = [new_post(container, account, target, times, store.post_failure) for account, target in pairs]
    store.posts.schedule(posts)
    is_open = opens_ms == 0
    return {
        "containerId": container["id"],
        "gateStatus": "scheduled" if is_open else "blocked_on_approval",
        "scheduledPosts": [_view(call, post) for post in posts] if is_open else [],
    }


@operations.add(
    "GET", "/v1/projects/<project_id>/scheduled-posts", scope=PUBLISH_READ, query=schemas.ScheduledPostQuery()
)
def list_scheduled_posts(call: Call, project_id: str) -> Record:
    """Return a page of a project's posts, the last scheduled time first."""
    project = call.store.projects.get(project_id)
    posts, cursor = call.store.posts.page(project["id"], call.body)
    return {"items": [_view(call, post) for post in posts], "nextCursor": cursor}


@operations.add("GET", _POST, scope=PUBLISH_READ)
def get_scheduled_post(call: Call, scheduled_post_id: str) -> Record:
    """Return a post's full record."""
    return _view(call, call.store.posts.get(scheduled_post_id))


@operations.add("POST", f"{_POST}/reschedule", scope=PUBLISH_WRITE, body=schemas.Reschedule())
def reschedule_post(call: Call, scheduled_post_id: str) -> Record:
    """Give a queued post another time."""
    view = _view(call, call.store.posts.reschedule(scheduled_post_id, call.body["scheduledFor"]))
    return {field: view[field] for field in ("id", "status", "scheduledFor", "updatedAt")}


@operations.add("DELETE", _POST, scope=PUBLISH_WRITE, body=schemas.PostCancellation(), body_optional=True)
def cancel_scheduled_post(call: Call, scheduled_post_id: str) -> Record:
    """Cancel a queued post."""
    view = _view(call, call.store.posts.cancel(scheduled_post_id, call.body.get("reason")))
    return {field: view[field] for field in ("id", "status", "canceledAt")}


def _view(call: Call, post: Record) -> Record:
    return post_view(post, call.store.now_ms(), call.base_url())
