"""Stores to measure, of any size: one project with many influencers, made by the rules of the API."""

import random
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

import orjson

from benchmarks.databases import Location, open_engine, vacuum
from layers_standin.domain.approvals import new_approval
from layers_standin.domain.assets import asset_of, new_upload
from layers_standin.domain.content import new_container, new_content_asset, new_making
from layers_standin.domain.ids import mint
from layers_standin.domain.influencers import new_influencer
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.domain.projects import new_project
from layers_standin.domain.schedules import CONTENT_GENERATE, new_schedule
from layers_standin.domain.tables import identity_of
from layers_standin.domain.times import epoch_milliseconds, milliseconds, utc_now
from layers_standin.engines.indexes import Document
from layers_standin.engines.table import Record
from store import Store

ORGANIZATION = "6f1c2f5e-3f0b-4c39-9c55-5f3a8f0f7d11"
ASSETS = 6
CONTAINERS = 1000
MAX_SAMPLED = 50_000

_WHEN = utc_now() - timedelta(days=1)


class Sample(NamedTuple):
    """Ids from a populated store: its project, up to MAX_SAMPLED influencers in random order, and all assets."""

    project: str
    influencers: list[str]
    assets: list[str]


def populate(location: Location, count: int) -> Sample:
    """Create a store with the demo key and `count` influencers in one project; return a sample of its ids."""
    db = open_engine(location)
    project = new_project(ORGANIZATION, mint("proj"), {"name": "Spring launch", "timezone": "UTC"}, _WHEN)
    assets = [_asset(project["id"]) for _ in range(ASSETS)]
    ids = [mint("inf") for _ in range(count)]
    db.replace_all(_encoded(_documents(project, assets, ids)))
    Store(db).for_organization(ORGANIZATION).keys.create(["*"], "Demo key", DEMO_KEY)
    db.close()
    vacuum(location)
    sampled = random.sample(ids, min(count, MAX_SAMPLED))
    return Sample(project["id"], sampled, [asset["assetId"] for asset in assets])


def _documents(project: Record, assets: list[Record], ids: list[str]) -> Iterator[tuple[str, Record]]:
    yield "organizations", _organization()
    yield "projects", project
    for asset in assets:
        yield "assets", asset
    for influencer_id in ids:
        yield "influencers", influencer(influencer_id, project["id"])
    for number in range(CONTAINERS):
        yield "containers", _container(project, ids[number % len(ids)])


def _encoded(documents: Iterable[tuple[str, Record]]) -> Iterator[Document]:
    return ((table, *identity_of(table, document), orjson.dumps(document)) for table, document in documents)


def influencer(influencer_id: str, project_id: str) -> Record:
    """Return an influencer's document of about 1,100 bytes, 600 of them content; its job has finished."""
    schedule = new_schedule(epoch_milliseconds(_WHEN), 2000)
    return new_influencer(ORGANIZATION, project_id, influencer_id, description(), schedule, _WHEN)


def content(influencer_id: str, format_: str) -> Record:
    """Return the body of a request that generates content."""
    brief = {"topic": "a calm morning", "hook": "One habit that changed my mornings", "influencerId": influencer_id}
    return {"format": format_, "brief": brief | {"valuePropositions": ["saves time", "feels good"]}}


def _container(project: Record, influencer_id: str) -> Record:
    """Return a completed slideshow; its pictures have no bytes."""
    body, about = content(influencer_id, "slideshow_remix"), (ORGANIZATION, project["id"])
    facts = {"durationMs": None, "width": 720, "height": 1280}
    names = ("slide-1.jpg", "slide-2.jpg", "slide-3.jpg")
    assets = [new_content_asset(*about, "image", "image/jpeg", name, b"", _WHEN) | facts for name in names]
    schedule = new_schedule(epoch_milliseconds(_WHEN), 2000) | {"kind": CONTENT_GENERATE}
    making = new_making(body["brief"], {"name": "Ava Chen", "traits": {}}, assets, 0)
    making |= {"jobId": mint("job"), "schedule": schedule, "approval": new_approval(project, 0, schedule)}
    return new_container(*about, mint("cnt"), body, making, _WHEN)


def description() -> Record:
    """Return the body of a request that creates an influencer."""
    return {
        "name": f"{random.choice(_FIRST)} {random.choice(_LAST)}",
        "gender": random.choice(("female", "male", "nonbinary", "unspecified")),
        "ageRange": random.choice(("18-24", "25-34", "35-44", "45-54")),
        "ethnicity": random.choice(("East Asian", "Black", "Latina", "Middle Eastern", "White")),
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
    }


def _organization() -> Record:
    name, since = "Northwind Studio", milliseconds(_WHEN)
    return {"id": ORGANIZATION, "name": name, "creditBalance": 25000, "createdAt": since}


def _asset(project_id: str) -> Record:
    declaration = {"kind": "reference_image", "mimeType": "image/jpeg", "filename": "portrait.jpg"}
    upload = new_upload(ORGANIZATION, project_id, declaration, _WHEN)
    return asset_of(upload | {"received": {"file": upload["assetId"], "sizeBytes": 0, "checksumSha256": ""}}, _WHEN)


_FIRST = ("Ava", "Marcus", "Noor", "Sol", "Mina", "Theo", "Ines", "Jun", "Priya", "Emil")
_LAST = ("Chen", "Reed", "Haddad", "Rivera", "Kowalski", "Okafor", "Lindqvist", "Tanaka")
