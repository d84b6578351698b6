"""The views of the pages: plain values made from documents. Knows no Flask, no store, and no HTML."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from layers_standin.console.text import Difference, differences, hue, initials, pretty, texts_of
from layers_standin.domain.jobs import state_at
from layers_standin.engines.table import Record
from store import DESCRIPTION_FIELDS, portrait_path, thumbnail_path

STATUSES = ("pending", "training", "ready", "failed")
ARCHIVED = "archived"

_PERSONALITY = ("traits", "values", "interests", "catchphrases", "tone", "humor", "formality", "speakingStyle")
_LABELS = {
    "gender": "Gender",
    "ageRange": "Age range",
    "ethnicity": "Ethnicity",
    "bodyType": "Body type",
    "hairColor": "Hair color",
    "hairStyle": "Hair style",
    "style": "Style",
    "vibe": "Vibe",
    "voiceDescription": "Voice",
    "traits": "Traits",
    "values": "Values",
    "interests": "Interests",
    "catchphrases": "Catchphrases",
    "tone": "Tone",
    "humor": "Humor",
    "formality": "Formality",
    "speakingStyle": "Speaking style",
}
_DEEDS = {
    "createInfluencer": "Created",
    "cloneInfluencer": "Cloned",
    "patchInfluencer": "Edited",
    "deleteInfluencer": "Archived",
    "attachReferenceImages": "Pictures attached",
    "cancelJob": "Job canceled",
}

KeyName = Callable[[str | None], str | None]


class Link(NamedTuple):
    """A link, and whether it leads to the page it is on."""

    text: str
    href: str
    is_here: bool = False


class Deletion(NamedTuple):
    """Reason, time and key of an influencer's deletion; `who` is the name of the key."""

    reason: str | None
    who: str | None
    key_id: str | None
    at: str | None


class Job(NamedTuple):
    """The progress of an influencer's job; `percent` is a whole number."""

    status: str
    stage: str
    percent: int
    error: str | None


class Card(NamedTuple):
    """An influencer in the overview; the picture is a path without a host."""

    influencer_id: str
    name: str
    href: str
    picture: str | None
    initials: str
    hue: int
    status: str
    job: Job | None
    facts: list[str]
    vibe: str | None
    created_at: str
    deletion: Deletion | None


class Fact(NamedTuple):
    """A field of a record, by a name for people."""

    label: str
    texts: list[str]
    is_list: bool


class Picture(NamedTuple):
    asset_id: str
    href: str
    thumbnail: str
    added_at: str


class Change(NamedTuple):
    """An entry of a history; `is_first` for the first, which has no fields before."""

    revision: int
    title: str
    at: str
    who: str | None
    request_href: str | None
    is_first: bool
    differences: list[Difference]


class Profile(NamedTuple):
    """Everything about one influencer."""

    card: Card
    organization: str
    project: Link
    portrait: str | None
    updated_at: str
    description: list[Fact]
    personality: list[Fact]
    pictures: list[Picture]
    changes: list[Change]


class Entry(NamedTuple):
    """A request and its response, from the request log."""

    request_id: str
    at: str
    method: str
    path: str
    query: str
    status: int
    tone: str
    milliseconds: float
    operation: str | None
    key_id: str | None
    idempotency_key: str | None
    fault_id: str | None
    is_replayed: bool
    is_cut: bool
    request: str
    response: str
    curl: str | None


class Fault(NamedTuple):
    """A fault with its rule in words, spent or not; the paths are those of the control plane."""

    fault_id: str
    whom: str
    what: str
    how: str
    used: str
    is_spent: bool
    delete_path: str


def overview_href(organization: str | None = None, project: str | None = None, **more: str | None) -> str:
    return href("/console", organization=organization, project=project, **more)


def href(path: str, **query: str | int | None) -> str:
    """Return a path with a query of those values that are not None."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def influencer_href(document: Mapping[str, Any]) -> str:
    return f"/console/influencers/{quote(document['organizationId'], '')}/{quote(document['influencerId'], '')}"


def organization_links(organizations: Iterable[Record], here: str) -> list[Link]:
    return [Link(each["name"], overview_href(each["id"]), each["id"] == here) for each in organizations]


def project_links(projects: Iterable[Record], here: str | None) -> list[Link]:
    return [
        Link(each["name"], overview_href(each["organizationId"], each["id"]), each["id"] == here) for each in projects
    ]


def status_links(organization: str, project: str, here: str | None) -> list[Link]:
    """Return the filters of the overview."""
    return [
        Link((status or "all").capitalize(), overview_href(organization, project, status=status), status == here)
        for status in (None, *STATUSES, ARCHIVED)
    ]


def card_of(document: Mapping[str, Any], now_ms: int, key_name: KeyName) -> Card:
    """Return an influencer as the overview shows it, with its status at `now_ms`."""
    influencer_id = document["influencerId"]
    return Card(
        influencer_id,
        document["name"],
        influencer_href(document),
        thumbnail_path(document),
        initials(document["name"]),
        hue(influencer_id),
        ARCHIVED if document["is_archived"] else document["status"],
        None if document["is_archived"] else job_of(document, now_ms),
        [document[field] for field in ("gender", "ageRange") if document[field]],
        document["vibe"],
        document["createdAt"],
        deletion_of(document, key_name),
    )


def deletion_of(document: Mapping[str, Any], key_name: KeyName) -> Deletion | None:
    if not document["is_archived"]:
        return None
    deletion = document["attributes"].get("deletion") or {}
    key_id = deletion.get("apiKeyId")
    return Deletion(deletion.get("reason"), key_name(key_id), key_id, deletion.get("deletedAt"))


def job_of(document: Mapping[str, Any], now_ms: int) -> Job | None:
    """Return the state of the influencer's job, None when it has none."""
    if "schedule" not in document:
        return None
    state = state_at(document["schedule"], now_ms)
    failure = document["schedule"]["failure"] if state.status == "failed" else None
    return Job(
        state.status, state.stage, int(state.progress * 100), failure and f"{failure['code']}: {failure['message']}"
    )


def sheet_of(
    document: Mapping[str, Any],
    project: Mapping[str, Any] | None,
    changes: Iterable[Record],
    now_ms: int,
    key_name: KeyName,
) -> Profile:
    """Return everything about one influencer."""
    card = card_of(document, now_ms, key_name)
    organization = document["organizationId"]
    project_name = project["name"] if project else document["projectId"]
    return Profile(
        card,
        organization,
        Link(project_name, overview_href(organization, document["projectId"])),
        portrait_path(document) if document["status"] == "ready" else None,
        document["updatedAt"],
        [fact_of(field, document[field]) for field in DESCRIPTION_FIELDS],
        [fact_of(field, document["personality"].get(field)) for field in _PERSONALITY],
        [
            Picture(entry["assetId"], entry["path"], entry["thumbnailPath"], entry["addedAt"])
            for entry in document["referenceImages"]
        ],
        [change_of(change, key_name) for change in changes],
    )


def fact_of(field: str, value: Any) -> Fact:
    return Fact(_LABELS[field], texts_of(value), isinstance(value, list))


def change_of(change: Mapping[str, Any], key_name: KeyName) -> Change:
    operation, request_id = change["operation"], change["requestId"]
    return Change(
        change["revision"],
        _DEEDS.get(operation, operation or "Changed"),
        change["at"],
        key_name(change["apiKeyId"]),
        f"/console/requests#{request_id}" if request_id else None,
        change["before"] is None,
        differences(change["before"], change["after"]),
    )


def entry_of(entry: Mapping[str, Any], curl: str | None) -> Entry:
    status = entry["status"]
    return Entry(
        entry["requestId"],
        entry["at"],
        entry["method"],
        entry["path"],
        entry["query"],
        status,
        tone_of(status),
        entry["milliseconds"],
        entry["operation"],
        entry["keyId"],
        entry["idempotencyKey"],
        entry["faultId"],
        entry["replayed"],
        entry["cut"],
        pretty(entry["request"]),
        pretty(entry["response"]),
        curl,
    )


def tone_of(status: int) -> str:
    return "good" if status < 400 else "bad" if status >= 500 else "poor"


def fault_of(fault: Mapping[str, Any], organization_name: str | None) -> Fault:
    """Return a fault of the control plane in words."""
    scope = fault["organizationId"]
    times = fault["times"]
    return Fault(
        fault["id"],
        organization_name or "All organizations",
        what_of(fault["match"]),
        how_of(fault["answer"]),
        f"{fault['used']} of {times}" if times else f"{fault['used']}, no end",
        times is not None and fault["used"] >= times,
        href(f"/_standin/faults/{quote(fault['id'], '')}", organizationId=scope),
    )


def what_of(match: Mapping[str, Any]) -> str:
    """Return the requests that a fault matches, in words."""
    named = match.get("operation") or " ".join(match[name] for name in ("method", "path") if name in match)
    return (named or "Any request") + (f" with key {match['keyId']}" if "keyId" in match else "")


def how_of(answer: Mapping[str, Any]) -> str:
    """Return the effect of a fault, in words."""
    words = []
    if "delayMs" in answer:
        words.append(f"waits {answer['delayMs']} ms")
    if "code" in answer:
        words.append(f"answers {answer['code']}" + (f": {answer['message']}" if "message" in answer else ""))
    if "retryAfter" in answer:
        words.append(f"Retry-After {answer['retryAfter']}")
    if "dropConnection" in answer:
        words.append("hangs up before the effect")
    if "truncateBody" in answer:
        words.append(f"hangs up after {answer['truncateBody']} bytes")
    if "loseReplyAfterEffect" in answer:
        words.append("acts, and hangs up without a reply")
    if "failJob" in answer:
        words.append(f"lets the job fail with {answer['failJob']['code']}: {answer['failJob']['message']}")
    return ", ".join(words)


def newest_place(places: Iterable[tuple[str, str]]) -> str | None:
    """Return the organization with the greatest of the sort keys, of (organization, sort key of its newest project)."""
    return max(places, key=lambda pair: pair[1], default=(None, ""))[0]
