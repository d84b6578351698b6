"""The views of the pages, made from documents: their own fields, and those that are only shown. Knows no HTML."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from orjson import dumps

from layers_standin.console.text import differences, hue, initials, pretty, texts_of
from layers_standin.domain.announcements import Upcoming
from layers_standin.domain.approvals import NOT_REQUIRED, approval_status
from layers_standin.domain.content import container_status
from layers_standin.domain.deliveries import delivery_view
from layers_standin.domain.endpoints import ACTIVE, at
from layers_standin.domain.faults import is_spent
from layers_standin.domain.influencers import DESCRIPTION_FIELDS
from layers_standin.domain.pictures import portrait_path, thumbnail_path
from layers_standin.domain.posts import post_view
from layers_standin.domain.schedules import state_at
from layers_standin.domain.social import REAUTH_REQUIRED, avatar_path
from layers_standin.domain.times import from_epoch_milliseconds, milliseconds
from layers_standin.engines.table import Record
from schemas import Personality

STATUSES = ("pending", "training", "ready", "failed")
ARCHIVED = "archived"

_TITLES = {
    "createInfluencer": "Created",
    "cloneInfluencer": "Cloned",
    "patchInfluencer": "Edited",
    "deleteInfluencer": "Archived",
    "attachReferenceImages": "Pictures attached",
    "cancelJob": "Job canceled",
}
_EFFECTS = {
    "delayMs": "waits {delayMs} ms",
    "code": "answers {code}",
    "status": "answers {status}",
    "retryAfter": "Retry-After {retryAfter}",
    "dropConnection": "hangs up before the effect",
    "resetConnection": "resets the connection before the effect",
    "truncateBody": "hangs up after {truncateBody} bytes",
    "loseReplyAfterEffect": "acts, and hangs up without a reply",
    "failJob": "lets the job fail with {failJob[code]}: {failJob[message]}",
    "failPost": "lets the posts fail with {failPost[code]}: {failPost[message]}",
    "webhook": "delivers {webhook}",
    "lateByMs": "by {lateByMs} ms",
    "slowBodyMs": "sends the body over {slowBodyMs} ms",
}
_ORDINALS = {2: "nd", 3: "rd"}
MOST_STRUCK = 5  # requests beside a fault
_NO_DELETION = {"reason": None, "apiKeyId": None, "deletedAt": None}

View = Mapping[str, Any]
KeyName = Callable[[str | None], str | None]


def href(path: str, **query: str | int | None) -> str:
    """Return a path with a query of those values that are not None."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def influencer_href(document: Mapping[str, Any]) -> str:
    return f"/console/influencers/{quote(document['organizationId'], '')}/{quote(document['influencerId'], '')}"


def action_href(name: str, organization: str, subject_id: str) -> str:
    """Return the path of the form of an action for an influencer or a project."""
    return f"/console/actions/{name}/{quote(organization, '')}/{quote(subject_id, '')}"


def card_of(document: Record, now_ms: int, key_name: KeyName) -> View:
    """Return an influencer as the overview shows it, with its status at `now_ms`; the picture is a path."""
    is_archived = document["is_archived"]
    return document | {
        "href": influencer_href(document),
        "picture": thumbnail_path(document),
        "initials": initials(document["name"]),
        "hue": hue(document["influencerId"]),
        "status": ARCHIVED if is_archived else document["status"],
        "job": None if is_archived else job_of(document, now_ms),
        "deletion": deletion_of(document, key_name) if is_archived else None,
    }


def deletion_of(document: Record, key_name: KeyName) -> View:
    """Return reason, time and key of an influencer's deletion; `key_name` is the name of the key."""
    deletion = _NO_DELETION | (document["attributes"].get("deletion") or {})
    return deletion | {"key_name": key_name(deletion["apiKeyId"])}


def job_of(document: Record, now_ms: int) -> View | None:
    """Return the state of the job of an influencer or container, None when it has none; `percent` is a whole number."""
    if "schedule" not in document:
        return None
    state = state_at(document["schedule"], now_ms)
    failure = document["schedule"]["failure"] if state.status == "failed" else None
    error = failure and f"{failure['code']}: {failure['message']}"
    return {"status": state.status, "stage": state.stage, "percent": int(state.progress * 100), "error": error}


def post_of(post: Record, now_ms: int) -> View:
    """Return a post as the console shows it; `externalUrl` is a path."""
    view = post_view(post, now_ms, "")
    return view | {"handle": post["handle"], "error": view["lastError"] and view["lastError"]["message"]}


def account_of(account: Record) -> View:
    """Return a social account as the console shows it, with the path of its picture."""
    return account | {"avatar": avatar_path(account), "needs_consent": account["status"] == REAUTH_REQUIRED}


def profile_of(
    document: Record, project: Record | None, changes: Iterable[Record], now_ms: int, key_name: KeyName
) -> View:
    """Return everything about one influencer."""
    return {
        "card": card_of(document, now_ms, key_name),
        "project_name": project["name"] if project else document["projectId"],
        "portrait": portrait_path(document) if document["status"] == "ready" else None,
        "description": [fact_of(field, document[field]) for field in DESCRIPTION_FIELDS],
        "personality": [fact_of(field, document["personality"].get(field)) for field in Personality().fields],
        "changes": [change_of(change, key_name) for change in changes],
    }


def content_of(container: Record, now_ms: int) -> View:
    """Return a container as the console shows it; its assets only when it is completed, a video without its poster."""
    status, approval = container_status(container, now_ms), approval_status(container, now_ms)
    assets = container["assets"] if status == "completed" else []
    return container | {
        "status": status,
        "format": container["format"].replace("_", " "),
        "approval": None if approval == NOT_REQUIRED else approval,
        "reason": container["approval"].get("reason"),
        "caption": container["caption"] if status == "completed" else None,
        "shown": [asset for asset in assets if asset["kind"] == "video"] or assets,
        "createdAt": milliseconds(from_epoch_milliseconds(container["createdMs"])),
        "name": container["influencer"]["name"] if container["influencer"] else None,
        "job": job_of(container, now_ms),
    }


def fact_of(field: str, value: Any) -> View:
    """Return a field of a record by a name for people: `Hair color` for hairColor."""
    words = re.sub("[A-Z]", lambda letter: f" {letter[0].lower()}", field.removesuffix("Description"))
    return {"label": words.capitalize(), "texts": texts_of(value), "is_list": isinstance(value, list)}


def change_of(change: Record, key_name: KeyName) -> View:
    """Return an entry of a history; the first has no fields before."""
    operation, request_id = change["operation"], change["requestId"]
    return change | {
        "title": _TITLES.get(operation, operation or "Changed"),
        "key_name": key_name(change["apiKeyId"]),
        "request_href": f"/console/requests/{request_id}" if request_id else None,
        "is_first": change["before"] is None,
        "differences": differences(change["before"], change["after"]),
    }


def entry_of(entry: Record, curl: str | None) -> View:
    """Return a request and its response, from the request log."""
    bodies = {name: pretty(entry[name]) for name in ("request", "response")}
    return {"responseHeaders": {}} | entry | bodies | {"tone": tone_of(entry["status"]), "curl": curl}


def tone_of(status: int) -> str:
    return "good" if status < 400 else "bad" if status >= 500 else "poor"


def delivery_of(delivery: Record, endpoint: Record | None) -> View:
    """Return a delivery with the URL of its endpoint, None if that is gone, and the answers to its attempts."""
    answers = [{"at": at(each["atMs"]), **each} for each in delivery["responses"]]
    is_active = endpoint is not None and endpoint["status"] == ACTIVE
    url = endpoint["url"] if endpoint else None
    return delivery_view(delivery) | {"answers": answers, "url": url, "may_replay": is_active}


def upcoming_of(event: Upcoming) -> View:
    return {"eventId": event.event_id, "eventType": event.type, "at": at(event.at_ms)}


def fault_of(fault: Record, organization_name: str | None, struck: Sequence[Record] = ()) -> View:
    """Return a fault of the control plane in words, with the logged requests that it struck, newest first.

    The path is one of the control plane.
    """
    count, times = fault["used"], fault["times"]
    return {
        "id": fault["id"],
        "whom": organization_name or "All organizations",
        "is_for_all": organization_name is None,
        "what": what_of(fault["match"]),
        "how": how_of(fault["answer"]),
        "when": when_of(fault),
        "preset": fault.get("preset"),
        "used": f"{count} of {times}" if times else f"{count}, no end",
        "struck": struck[:MOST_STRUCK],
        "all_struck": href("/console/requests", faultId=fault["id"]) if len(struck) > MOST_STRUCK else None,
        "deliveries": [each for each in fault.get("requestIds", ()) if not each.startswith("req_")],
        "is_spent": is_spent(fault),
        "delete_path": href(f"/_standin/faults/{quote(fault['id'], '')}", organizationId=fault["organizationId"]),
    }


def preset_of(preset: Record) -> View:
    """Return a preset with its rules in words."""
    rules = [{"times": None} | rule for rule in preset["rules"]]
    return preset | {"rules": [f"{what_of(each.get('match', {}))}: {_told(each)}" for each in rules]}


def _told(rule: Mapping[str, Any]) -> str:
    return f"{how_of(rule['answer'])}, {when_of(rule)}"


def what_of(match: Mapping[str, Any]) -> str:
    """Return the requests that a fault matches, in words."""
    if "event" in match:
        return f"Deliveries of {match['event']}"
    named = match.get("operation") or " ".join(match[name] for name in ("method", "path") if name in match)
    further = [f"with key {match['keyId']}"] if "keyId" in match else []
    further += [f"for {match['influencerId']}"] if "influencerId" in match else []
    further += [f"with {name}: {value}" for name, value in match.get("headers", {}).items()]
    further += [f"with {name} {dumps(value).decode()}" for name, value in match.get("body", {}).items()]
    return " ".join([named or "Any request", *further])


def how_of(answer: Mapping[str, Any]) -> str:
    """Return the effect of a fault, in words."""
    effects = _EFFECTS | ({"code": "answers {code}: {message}"} if "message" in answer else {})
    effects |= {"status": "as a {status}"} if "code" in answer else {}
    told = [words.format_map(answer) for name, words in effects.items() if name in answer]
    return ", ".join(told + ([f"with {', '.join(answer['headers'])}"] if "headers" in answer else []))


def when_of(rule: Mapping[str, Any]) -> str:
    """Return at which of the requests that it matches a fault strikes, in words."""
    after, every = rule.get("after", 0), rule.get("every", 1)
    each = "each time" if every == 1 else f"each {every}{_ORDINALS.get(every, 'th')} time"
    return f"{each} after the first {after}" if after else each
