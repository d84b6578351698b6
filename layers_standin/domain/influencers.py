"""The document of a new influencer. The rules of its changes are in `store.py`."""

from collections.abc import Mapping
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

from layers_standin.domain.ids import new_sort_key
from layers_standin.domain.schedules import state_at
from layers_standin.domain.times import seconds
from layers_standin.engines.table import Record

DESCRIPTION_FIELDS = (
    "gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle", "style", "vibe", "voiceDescription",
)  # fmt: skip


def new_influencer(
    organization: str, project_id: str, influencer_id: str, body: Mapping[str, Any], schedule: Record, now: datetime
) -> Record:
    """Return the document of a new influencer.

    `body` is a validated create body; `schedule` is the one of its job, see `domain/schedules.py`.
    """
    described = {field: body.get(field) for field in DESCRIPTION_FIELDS}
    return {
        "influencerId": influencer_id,
        "organizationId": organization,
        "projectId": project_id,
        "name": body["name"],
        **described,
        "personality": dict(body.get("personality", {})),
        "referenceImages": [],
        "status": "pending",
        "schedule": schedule,
        "createdAt": seconds(now),
        "updatedAt": seconds(now),
        "is_archived": False,
        "attributes": {},
        "token": token_urlsafe(16),
        "sortKey": new_sort_key("inf", influencer_id, minted="influencerId" not in body),
    }


def influencer_status(influencer: Mapping[str, Any], now_ms: int) -> str:
    """Return the status that follows from the influencer's schedule; without a schedule, the document's own."""
    schedule = influencer.get("schedule")
    if schedule is None:
        return str(influencer["status"])
    state = state_at(schedule, now_ms)
    if state.status == "running":
        return "pending" if state.stage == "queued" else "training"
    return "ready" if state.status == "completed" else "failed"


def refresh_references(references: list[Record], now: datetime) -> list[Record]:
    """Return the same reference images with `now` as the time of attachment."""
    return [entry | {"addedAt": seconds(now)} for entry in references]
