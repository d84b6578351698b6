"""Stores of any size to measure on: influencers of a plausible shape, spread over the projects of one organization."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from ulid import ULID

from engines.journal import Journal
from engines.table import Record
from records.assets import media_paths
from records.keys import DEMO_KEY
from records.tables import IDENTITIES, LISTS
from store import Store

ORGANIZATION = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11"
PROJECTS = 40
ASSETS_PER_PROJECT = 6
MOST_SAMPLED = 50_000

_PER_COMMIT = 1000
_WHEN = "2026-04-01T14:22:10Z"


class Sample(NamedTuple):
    """Some of a store's influencers, in random order, as (id, number of its project); assets by project number."""

    influencers: list[tuple[str, int]]
    assets: list[list[str]]


def populate(folder: Path, count: int) -> Sample:
    """Make a compacted store with `count` influencers and the demo key, and return a sample of it."""
    journal = Journal(folder, lists=LISTS)
    projects = [_project(number) for number in range(PROJECTS)]
    assets = [[_asset(project["id"]) for _ in range(ASSETS_PER_PROJECT)] for project in projects]
    put_all(journal, [("organizations", _organization()), *(("projects", project) for project in projects)])
    put_all(journal, (("assets", asset) for group in assets for asset in group))
    Store(journal).keys.create(ORGANIZATION, ["*"], "Demo key", DEMO_KEY)
    places = [(mint("inf"), number % PROJECTS) for number in range(count)]
    put_all(journal, (("influencers", influencer(at, projects[project]["id"])) for at, project in places))
    journal.compact()
    journal.close()
    return Sample(
        random.sample(places, min(count, MOST_SAMPLED)), [[asset["assetId"] for asset in group] for group in assets]
    )


def put_all(journal: Journal, documents: Iterator[tuple[str, Record]] | list[tuple[str, Record]]) -> None:
    """Write (table, document) pairs, a thousand a commit."""
    rest = iter(documents)
    while batch := list(islice(rest, _PER_COMMIT)):
        with journal.transaction():
            for table, document in batch:
                journal.write(table, *IDENTITIES[table](document), orjson.dumps(document))


def influencer(influencer_id: str, project_id: str) -> Record:
    """Return a document of some 900 bytes, 600 of them content."""
    name = f"{random.choice(_FIRST)} {random.choice(_LAST)}"
    return {
        "influencerId": influencer_id,
        "organizationId": ORGANIZATION,
        "projectId": project_id,
        "name": name,
        "gender": random.choice(("female", "male", "nonbinary", "unspecified")),
        "ageRange": random.choice(("18-24", "25-34", "35-44", "45-54")),
        "ethnicity": random.choice(("East Asian", "Black", "Latina", "Middle Eastern", "White", None)),
        "bodyType": random.choice(("athletic", "slim", "tall, broad", "average")),
        "hairColor": random.choice(("black", "dark brown", "blonde", "grey")),
        "hairStyle": "long, straight, curtain bangs",
        "style": random.choice(("minimal streetwear", "tailored casual", "vintage sportswear")),
        "vibe": "calm and curious",
        "voiceDescription": "Warm alto, unhurried, a smile in it.",
        "personality": {
            "traits": random.sample(("curious", "warm", "direct", "patient", "dry", "quick"), 3),
            "values": ["craft", "honesty"],
            "tone": "friendly",
        },
        "referenceImages": [],
        "status": "ready",
        "is_archived": False,
        "attributes": {},
        "createdAt": _WHEN,
        "updatedAt": _WHEN,
    }


def mint(kind: str) -> str:
    return f"{kind}_{ULID()}"


def _organization() -> Record:
    return {"id": ORGANIZATION, "name": "Northwind Studio", "creditBalance": 25000, "createdAt": _WHEN}


def _project(number: int) -> Record:
    facts: dict[str, Any] = {"name": f"Launch {number}", "status": "active", "createdAt": _WHEN, "updatedAt": _WHEN}
    return {"id": mint("proj"), "organizationId": ORGANIZATION, **facts}


def _asset(project_id: str) -> Record:
    asset = {
        "assetId": mint("asset"),
        "organizationId": ORGANIZATION,
        "projectId": project_id,
        "kind": "reference_image",
        "contentType": "image/jpeg",
        "filename": "portrait.jpg",
        "token": "Xq3v9Lr0TzW5bN2mK7cYdA",
        "sizeBytes": 0,
        "checksumSha256": "",
        "createdAt": _WHEN,
    }
    return asset | media_paths(asset)


_FIRST = ("Ava", "Marcus", "Noor", "Sol", "Mina", "Theo", "Ines", "Jun", "Priya", "Emil")
_LAST = ("Chen", "Reed", "Haddad", "Rivera", "Kowalski", "Okafor", "Lindqvist", "Tanaka")
