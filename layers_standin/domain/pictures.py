"""The picture of an influencer in lists: its first reference image, else its portrait."""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any

from layers_standin.domain.ids import canonical

_PORTRAIT_FIELDS = ("gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle", "style", "vibe")


def thumbnail_path(document: Mapping[str, Any]) -> str | None:
    if document["referenceImages"]:
        return str(document["referenceImages"][0]["thumbnailPath"])
    return portrait_path(document) if document["status"] == "ready" else None


def portrait_path(document: Mapping[str, Any]) -> str:
    """Return the path of the influencer's portrait: a change of a drawn field changes the path."""
    owner = f"{document['organizationId']}/{canonical(document['influencerId'])}"
    return f"/media/{owner}/{portrait_mark(document)}/portrait/portrait.png"


def portrait_mark(document: Mapping[str, Any]) -> str:
    """Return the unguessable part of the path: a hash of a secret token and of the drawn fields."""
    return _mark((document["token"], document["influencerId"], *_traits(document)))


_traits = itemgetter(*_PORTRAIT_FIELDS)


@lru_cache(4096)  # pages ask for the same ones again and again
def _mark(drawn: tuple[str | None, ...]) -> str:
    return sha256("\0".join(part or "" for part in drawn).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def portrait_traits(document: Mapping[str, Any]) -> dict[str, str | None]:
    return {field: document[field] for field in _PORTRAIT_FIELDS}
