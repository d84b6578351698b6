"""The operations of content, its approval, and credits."""

from contextlib import suppress
from functools import cache, partial
from typing import cast

from layers_standin.domain.approvals import (
    APPROVED,
    PENDING,
    REJECTED,
    approval_status,
    auto_ms,
    decision_view,
    policy_view,
)
from layers_standin.domain.content import container_item, container_view, content_asset_view, progress_view
from layers_standin.domain.credits import credits_view
from layers_standin.domain.errors import StoreError
from layers_standin.domain.idempotency import StoredResponse
from layers_standin.domain.jobs import envelope_view
from layers_standin.domain.keys import CONTENT_APPROVE, CONTENT_READ, CONTENT_WRITE
from layers_standin.engines.table import Record
from layers_standin.operations import content_schemas as schemas
from layers_standin.web.drawing import Drawer, drawing
from layers_standin.web.operations import LONG_RUNNING, Call, Operations

operations = Operations()

_CONTENT = "/v1/projects/<project_id>/content"
_CONTAINER = "/v1/content/<container_id>"
_POLICY = "/v1/projects/<project_id>/approval-policy"


@operations.add(
    "POST",
    _CONTENT,
    scope=CONTENT_WRITE,
    body=schemas.ContentGenerate(),
    body_optional=True,
    success=202,
    endpoint_class=LONG_RUNNING,
    begins_transaction=True,
)
def generate_content(call: Call, project_id: str) -> StoredResponse:
    """Generate content; return the job that makes it."""
    call.body = {"format": "auto", "variantCount": 1} | call.body
    with drawing(call) as drawer:
        with suppress(StoreError):  # the transaction reports it
            drawer.draw(call.store.containers.plan(project_id, call.body))
        return cast(StoredResponse, call.run_transaction(partial(_generate, call, project_id, drawer)))


def _generate(call: Call, project_id: str, drawer: Drawer) -> Record:
    plan = call.store.containers.plan(project_id, call.body)
    return envelope_view(plan.job or call.store.containers.generate(plan, call.body, drawer.draw(plan)))


@operations.add("GET", _CONTENT, scope=CONTENT_READ, query=schemas.ContentQuery())
def list_content(call: Call, project_id: str) -> Record:
    """Return a page of a project's containers, newest first."""
    documents, cursor = call.store.containers.page(project_id, call.body)
    now_ms, base_url = call.store.now_ms(), cache(call.base_url)
    return {"items": [container_item(document, now_ms, base_url) for document in documents], "nextCursor": cursor}


@operations.add("GET", _CONTAINER, scope=CONTENT_READ)
def get_content(call: Call, container_id: str) -> Record:
    """Return a container's full record."""
    return container_view(call.store.containers.get(container_id), call.store.now_ms(), call.base_url)


@operations.add("GET", f"{_CONTAINER}/progress", scope=CONTENT_READ)
def get_content_progress(call: Call, container_id: str) -> Record:
    """Return how far the making of a container is."""
    return progress_view(call.store.containers.get(container_id), call.store.now_ms())


@operations.add("GET", f"{_CONTAINER}/assets/<asset_id>", scope=CONTENT_READ)
def get_content_asset(call: Call, container_id: str, asset_id: str) -> Record:
    """Return an asset of a container, one of an earlier making too."""
    asset = call.store.containers.asset(container_id, asset_id)
    return {"containerId": asset["containerId"]} | content_asset_view(asset, call.base_url)


@operations.add(
    "POST",
    f"{_CONTAINER}/regenerate",
    scope=CONTENT_WRITE,
    body=schemas.ContentRegenerate(),
    body_optional=True,
    success=202,
    endpoint_class=LONG_RUNNING,
    begins_transaction=True,
)
def regenerate_content(call: Call, container_id: str) -> StoredResponse:
    """Make a container again, with another brief or the same; return the job."""
    call.body = {"preserveAssets": False} | call.body
    with drawing(call) as drawer:
        with suppress(StoreError):
            drawer.draw(call.store.containers.plan_again(container_id, call.body))
        return cast(StoredResponse, call.run_transaction(partial(_regenerate, call, container_id, drawer)))


def _regenerate(call: Call, container_id: str, drawer: Drawer) -> Record:
    plan = call.store.containers.plan_again(container_id, call.body)
    job = call.store.containers.regenerate(plan, call.body, drawer.draw(plan))
    container, now_ms = call.store.containers.get(container_id), call.store.now_ms()
    opens_ms = auto_ms(container) if approval_status(container, now_ms) == PENDING else now_ms
    call.store.posts.wait_until(container["id"], opens_ms)
    return envelope_view(job)


# Approval


@operations.add(
    "POST", f"{_CONTAINER}/approve", scope=CONTENT_APPROVE, body=schemas.ContentApproval(), body_optional=True
)
def approve_content(call: Call, container_id: str) -> Record:
    """Approve a container that waits for it."""
    note = call.body.get("note")
    container = call.store.containers.decide(container_id, APPROVED, _decider(call), note=note)
    promotion = call.store.posts.approve(container["id"])
    return decision_view(container) | ({} if promotion is None else {"pendingSchedulePromotion": promotion})


@operations.add("POST", f"{_CONTAINER}/reject", scope=CONTENT_APPROVE, body=schemas.ContentRejection())
def reject_content(call: Call, container_id: str) -> Record:
    """Reject a container that waits for approval, with the reason."""
    reason = call.body["reason"]
    container = call.store.containers.decide(container_id, REJECTED, _decider(call), reason=reason)
    call.store.posts.reject(container["id"])
    return decision_view(container)


def _decider(call: Call) -> str:
    return f"api_key_{call.key['apiKeyId']}"


@operations.add("GET", _POLICY, scope=CONTENT_READ)
def get_approval_policy(call: Call, project_id: str) -> Record:
    """Return a project's approval policy."""
    return policy_view(call.store.projects.get(project_id))


@operations.add("PATCH", _POLICY, scope=CONTENT_APPROVE, body=schemas.ApprovalPolicyPatch())
def patch_approval_policy(call: Call, project_id: str) -> Record:
    """Change the given fields of a project's approval policy."""
    return policy_view(call.store.containers.set_policy(project_id, call.body))


# Credits


@operations.add("GET", "/v1/credits", scope=None)
def get_credits(call: Call) -> Record:
    """Return the organization's credits, and what content costs."""
    return credits_view(call.store.organizations.get(call.store.organization), call.store.now())
