"""Documents from a file in the layout `{table: {any id: document}}`: the seed of a new store, and imports."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from engines.table import Record
from media.files import MediaFolder
from settings import StartError
from store import DEMO_KEY, IDENTITIES, LISTS, Store, influencer_view, media_paths, milliseconds, seconds

Tables = dict[str, dict[str, Record]]


class NotTables(ValueError):
    """The file is not `{table: {id: document}}` with tables and documents of ours; the message says where."""


def read_tables(path: Path) -> Tables:
    """Return what a file holds, every document with an identity. Raises OSError, NotTables."""
    try:
        tables = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise NotTables(f"not JSON: {error}") from error
    if not isinstance(tables, dict):
        raise NotTables("not an object of tables")
    for name, rows in tables.items():
        _check_table(name, rows)
    return tables


def documents_of(tables: Tables) -> Iterator[tuple[str, Record]]:
    """Yield (table, document), in the order of the file."""
    for name, rows in tables.items():
        for document in rows.values():
            yield name, document


def plant(path: Path, store: Store, media: MediaFolder) -> None:
    """Fill an empty store from a seed and add the demo key, in one transaction. Raises StartError.

    A seed may leave out what has a default, and name pictures that lie beside it: their bytes are on disk before
    the documents are. Of two processes that do this at once, the second finds the store filled.
    """
    try:
        tables = read_tables(path)
        for asset in tables.get("assets", {}).values():
            _take_picture(asset, path.parent, media)
        _complete(tables, store)
    except (OSError, NotTables) as error:
        raise StartError(f"The seed {path} cannot be used: {error}.") from error
    except (LookupError, TypeError, AttributeError) as error:
        raise StartError(f"The seed {path} cannot be used: a document lacks what it must have ({error!r}).") from error
    with store.db.transaction():
        if store.is_empty():
            for table, document in documents_of(tables):
                store.put(table, document)
            _add_demo_key(tables, store)


def _check_table(name: str, rows: object) -> None:
    if name not in IDENTITIES:
        raise NotTables(f"there is no table {name!r}, only {', '.join(IDENTITIES)}")
    if not isinstance(rows, dict):
        raise NotTables(f"table {name!r} is not an object of documents")
    for row, document in rows.items():
        try:
            _check_document(name, document)
        except (KeyError, TypeError, AttributeError) as error:
            raise NotTables(f"document {row!r} of table {name!r} has no place in the store ({error})") from error


def _check_document(name: str, document: Record) -> None:
    """Raises KeyError, TypeError, AttributeError when the store has no place for it."""
    if not all(isinstance(part, str) for part in IDENTITIES[name](document)):
        raise TypeError("an id must be a string")
    encoded = orjson.dumps(document)  # what orjson can read can be nested deeper than what it can write
    if name in LISTS:
        list(LISTS[name](encoded))


def _take_picture(asset: Record, folder: Path, media: MediaFolder) -> None:
    """Turn `picture`, a path beside the seed, into bytes in the media folder and the facts about them."""
    picture = asset.pop("picture", None)
    if picture is None:
        return
    data = (folder / picture).read_bytes()
    media.put(asset["organizationId"], asset["assetId"], data)
    asset |= {"filename": Path(picture).name, "sizeBytes": len(data), "checksumSha256": sha256(data).hexdigest()}


def _complete(tables: Tables, store: Store) -> None:
    now = store.now()
    paths = {}
    for asset in tables.get("assets", {}).values():
        asset |= media_paths(asset)
        paths[asset["assetId"]] = media_paths(asset)
    for influencer in tables.get("influencers", {}).values():
        references = [entry | paths.get(entry["assetId"], {}) for entry in influencer.get("referenceImages", [])]
        influencer |= _INFLUENCER | {"createdAt": seconds(now), "updatedAt": seconds(now)} | influencer
        influencer["referenceImages"] = references
        influencer_view(influencer, str)  # what could not be shown later is found out now
    for organization in tables.get("organizations", {}).values():
        organization |= {"creditBalance": 0, "createdAt": milliseconds(now)} | organization


def _add_demo_key(tables: Tables, store: Store) -> None:
    first: Mapping[str, Any] | None = next(iter(tables.get("organizations", {}).values()), None)
    if first is not None:
        store.create_key(first["id"], ["*"], "Demo key", DEMO_KEY)


_INFLUENCER: Record = {
    "gender": None,
    "ageRange": None,
    "ethnicity": None,
    "bodyType": None,
    "hairColor": None,
    "hairStyle": None,
    "style": None,
    "vibe": None,
    "voiceDescription": None,
    "personality": {},
    "referenceImages": [],
    "status": "ready",
    "is_archived": False,
    "attributes": {},
}
