"""Content without a drawing: a small picture, and documents as those of a completed job."""

from typing import Any

from layers_standin.domain.assets import media_paths
from layers_standin.domain.content import new_content_asset
from layers_standin.engines.table import Record
from layers_standin.services import Services

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"
GIF += b"\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"


def picture(rooms: Services, organization: str, project: str, **own: Any) -> Record:
    """Store a picture, and return the asset that content may have."""
    now = rooms.store.for_organization(organization).now()
    asset = new_content_asset(organization, project, "image", "image/gif", "slide-1.gif", GIF, now)
    asset |= {"durationMs": None, "width": 1, "height": 1} | own
    asset |= media_paths(asset)
    rooms.media.put(organization, asset["assetId"], GIF)
    return asset


def made_content(rooms: Services, organization: str, project: str, **own: Any) -> tuple[Record, Record]:
    """Put a completed container with one picture, which waits for approval; return both documents.

    `own` are fields of the picture.
    """
    store, asset = rooms.store.for_organization(organization), picture(rooms, organization, project, **own)
    body = {"format": "slideshow_remix", "variantCount": 1, "brief": {"topic": "night runs"}}
    with store.db.transaction():
        job = store.containers.generate(store.containers.plan(project, body), body, [[asset]])
    over = {"schedule": job["schedule"] | {"lengthMs": 0}}
    store.tables.put("jobs", job | over)
    container = store.containers.get(job["containerId"]) | over | {"approval": {"status": "pending"}}
    store.tables.put("containers", container)
    return container, asset
