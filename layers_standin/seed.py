"""Documents from a file in the layout `{table: {any id: document}}`: the seed of a new store, and imports."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import islice
from mimetypes import guess_type
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from layers_standin.domain.assets import media_paths
from layers_standin.domain.content import container_view
from layers_standin.domain.github import installation_view
from layers_standin.domain.ids import canonical, sort_key_since
from layers_standin.domain.influencers import DESCRIPTION_FIELDS
from layers_standin.domain.jobs import job_view
from layers_standin.domain.keys import DEMO_KEY, key_documents, key_view, new_key, public_id_of
from layers_standin.domain.organizations import organization_view
from layers_standin.domain.posts import post_view
from layers_standin.domain.projects import project_view
from layers_standin.domain.results import result_of
from layers_standin.domain.social import CONNECTED, account_view, state_view
from layers_standin.domain.tables import INDEXES, PRIMARY_KEYS, identity_of, partition_key
from layers_standin.domain.times import from_epoch_milliseconds, milliseconds, seconds
from layers_standin.engines.indexes import IndexEntry
from layers_standin.engines.table import Record
from layers_standin.media.storage import MediaStorage
from layers_standin.seed_schemas import SCHEMAS, SeedAsset, faults_of
from layers_standin.settings import StartError
from schemas import Strict
from store import Store, influencer_view

_MOST_FAULTS = 3  # that are named of a document
_PICTURES_AT_ONCE = 8  # most of storing one is waiting for the disk, or for the bucket

Tables = dict[str, dict[str, Record]]


class NotTables(ValueError):
    """The file is not `{table: {id: document}}` with valid tables and documents; the message names the invalid part."""


def read_tables(path: Path, schemas: Mapping[str, Strict] = SCHEMAS) -> Tables:
    """Return the tables of a file, validated; every document has its partition and id. Raises OSError, NotTables.

    `schemas` are those of the tables that people write.
    """
    text = path.read_bytes()
    try:
        tables = orjson.loads(text)
        with suppress(RecursionError):  # it reads less deep
            json.loads(text, object_pairs_hook=_refuse_twins)
    except orjson.JSONDecodeError as error:
        raise NotTables(f"not JSON: {error}") from error
    if not isinstance(tables, dict):
        raise NotTables("not an object of tables")
    for name, rows in tables.items():
        _check_table(name, rows, schemas.get(name))
    return tables


def _refuse_twins(pairs: Sequence[tuple[str, Any]]) -> None:
    """Raises NotTables when an object has a name twice: a decoder takes the last one without a word."""
    for name, number in Counter(name for name, _ in pairs).most_common(1):
        if number > 1:
            raise NotTables(f"an object has the name {name!r} twice")


def documents_of(tables: Tables) -> Iterator[tuple[str, Record]]:
    """Yield (table, document), in the order of the file."""
    for name, rows in tables.items():
        for document in rows.values():
            yield name, document


def seed_documents(path: Path, media: MediaStorage, now: datetime) -> list[tuple[str, Record]]:
    """Return (table, document) of a whole seed and of a demo key, unless it has that. Raises StartError.

    A seed may leave out fields with a default, and name pictures beside it: this function stores their bytes, so that
    no document is written before its picture.
    """
    tables, pictures = read_seed(path, now)
    try:
        # First one of each organization: that makes its folder, which then has the right owner for all others.
        firsts = list({organization: (organization, asset_id) for organization, asset_id in pictures}.values())
        with ThreadPoolExecutor(_PICTURES_AT_ONCE) as pool:
            for key in firsts:
                _store(media, pictures, key)
            list(pool.map(partial(_store, media, pictures), pictures.keys() - set(firsts)))
    except OSError as error:
        raise StartError(f"The seed {path} cannot be used: {error}.") from error
    return [*documents_of(tables), *_demo_key_documents(tables, now)]


def read_seed(path: Path, now: datetime) -> tuple[Tables, dict[tuple[str, str], Path]]:
    """Return a seed's tables, and {(organization, asset's id): picture}; write nothing. Raises StartError."""
    try:
        tables = read_tables(path, SCHEMAS | {"assets": SeedAsset()})
        pictures = {}
        for row, asset in tables.get("assets", {}).items():
            if "picture" in asset:
                pictures[identity_of("assets", asset)] = _take_picture(row, asset, path.parent)
        fill_defaults(tables, now)
        _check_owners(tables)
    except (OSError, NotTables) as error:
        raise StartError(f"The seed {path} cannot be used: {error}.") from error
    return tables, pictures


def _check_owners(tables: Tables) -> None:
    """Raises NotTables when a document is of an organization or project that is not there: no list would show it."""
    organizations = {row["id"] for row in tables.get("organizations", {}).values()}
    projects = {identity_of("projects", row) for row in tables.get("projects", {}).values()}
    for name in ("projects", "influencers", "assets", "social_accounts"):
        for row, document in tables.get(name, {}).items():
            organization, project = document["organizationId"], document.get("projectId")
            if organization not in organizations:
                raise NotTables(f"document {row!r} of table {name!r} has an unknown organizationId, {organization!r}")
            if project is not None and (organization, canonical(project)) not in projects:
                raise NotTables(f"document {row!r} of table {name!r} has an unknown projectId, {project!r}")


def load_seed(path: Path, store: Store, media: MediaStorage) -> None:
    """Fill an empty store from a seed, in one transaction; do nothing if it is not empty. Raises StartError."""
    store.db.run_transaction(partial(_put_in_empty, store, seed_documents(path, media, store.now())))


def _put_in_empty(store: Store, documents: Sequence[tuple[str, Record]]) -> None:
    with store.db.transaction(alone=True):  # or a second process would undo changes made after the first one's load
        if store.is_empty():
            for table, document in documents:
                store.tables.put(table, document)


def _check_table(name: str, rows: object, schema: Strict | None) -> None:
    if name not in PRIMARY_KEYS:
        raise NotTables(f"there is no table {name!r}, only {', '.join(PRIMARY_KEYS)}")
    if not isinstance(rows, dict):
        raise NotTables(f"table {name!r} is not an object of documents")
    known: dict[tuple[str, str], str] = {}
    for row, document in rows.items():
        where = f"document {row!r} of table {name!r}"
        if schema is not None and (faults := list(islice(faults_of(schema, document), _MOST_FAULTS))):
            raise NotTables(f"{where} is not as it must be ({'; '.join(faults)})")
        try:
            _check_document(name, document)
        except (KeyError, TypeError, AttributeError) as error:
            raise NotTables(f"{where} has no place in the store ({error})") from error
        if (first := known.setdefault(identity_of(name, document), row)) != row:
            raise NotTables(f"{where} has the {PRIMARY_KEYS[name]} of document {first!r}")


def _check_document(name: str, document: Record) -> None:
    """Raises KeyError, TypeError, AttributeError when the document has no valid partition or id."""
    if not all(isinstance(document[field], str) for field in (partition_key(name), PRIMARY_KEYS[name])):
        raise TypeError("an id must be a string")
    orjson.dumps(document)  # orjson reads deeper nesting than it writes


def check_index_entries(tables: Tables) -> None:
    """Raises NotTables when a document lacks a field that its index entries need."""
    for name, document in documents_of(tables):
        try:
            list(INDEXES.get(name, _no_entries)(document))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise NotTables(f"a document of table {name!r} has no place in its lists ({error!r})") from error


def _no_entries(_: Record) -> list[IndexEntry]:
    return []


def _store(media: MediaStorage, pictures: Mapping[tuple[str, str], Path], key: tuple[str, str]) -> None:
    media.put(*key, pictures[key].read_bytes())


def _take_picture(row: str, asset: Record, folder: Path) -> Path:
    """Replace `picture`, a path beside the seed, in an asset by name, type, size and checksum; return where it is."""
    picture = folder / str(asset.pop("picture"))
    try:
        data = picture.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: U+0000 in the name
        reason = getattr(error, "strerror", error)
        raise NotTables(
            f"the picture {picture} of document {row!r} of table 'assets' cannot be read ({reason}); pictures are "
            "copied along with a seed"
        ) from error
    if "contentType" not in asset:
        asset["contentType"] = guess_type(picture.name)[0]  # the first guess reads the machine's own lists: 10 ms
    asset |= {"filename": picture.name, "sizeBytes": len(data), "checksumSha256": sha256(data).hexdigest()}
    return picture


def fill_defaults(tables: Tables, now: datetime) -> None:
    """Fill in missing fields that have a default; check that each document has a view and index entries.

    Raises NotTables.
    """
    try:
        _fill_defaults(tables, now)
    except NotTables:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise NotTables(f"a document lacks what it must have ({error!r})") from error
    check_index_entries(tables)


def _fill_defaults(tables: Tables, now: datetime) -> None:
    timestamps = {"createdAt": seconds(now), "updatedAt": seconds(now)}
    paths = {}
    for asset in tables.get("assets", {}).values():
        asset |= _ASSET | {"createdAt": seconds(now), "token": token_urlsafe(16)} | asset
        if not asset.get("contentType"):
            raise NotTables(f"the asset {asset['assetId']!r} does not tell its contentType")
        asset |= media_paths(asset) | asset
        paths[identity_of("assets", asset)] = {name: asset[name] for name in ("path", "thumbnailPath")}
    for project in tables.get("projects", {}).values():
        project |= _PROJECT | timestamps | project
        project |= {"sortKey": project.get("sortKey") or _sort_key_of("proj", project, "id")}
    for influencer in tables.get("influencers", {}).values():
        influencer |= _INFLUENCER | timestamps | {"token": token_urlsafe(16)} | influencer
        influencer |= {"sortKey": influencer.get("sortKey") or _sort_key_of("inf", influencer, "influencerId")}
        entries = [{"addedAt": seconds(now)} | entry for entry in influencer["referenceImages"]]
        pictures = ((influencer["organizationId"], canonical(entry["assetId"])) for entry in entries)
        completed = [paths.get(picture, {}) | entry for picture, entry in zip(pictures, entries, strict=True)]
        if missing := [entry["assetId"] for entry in completed if {"path", "thumbnailPath"} - entry.keys()]:
            owner = f"the influencer {influencer['influencerId']!r}"
            raise NotTables(f"{owner} has the reference image {missing[0]!r}, but its organization has no such asset")
        influencer |= {"referenceImages": completed}
    for account in tables.get("social_accounts", {}).values():
        account |= _SOCIAL_ACCOUNT | {"connectedAt": seconds(now), "token": token_hex(16)} | account
        connected_at = datetime.fromisoformat(account["connectedAt"])
        sort_key = sort_key_since(connected_at, "sa", account["socialAccountId"])
        account |= {"sortKey": account.get("sortKey") or sort_key}
    for organization in tables.get("organizations", {}).values():
        organization |= {"creditBalance": 0, "createdAt": milliseconds(now)} | organization
    for table, document in documents_of(tables):
        _VIEWS.get(table, dict)(document)


def _sort_key_of(prefix: str, document: Record, id_field: str) -> str:
    return sort_key_since(datetime.fromisoformat(document["createdAt"]), prefix, document[id_field])


def _demo_key_documents(tables: Tables, now: datetime) -> list[tuple[str, Record]]:
    """Return the documents of a demo key for the first organization, none if the seed has that key already."""
    first: Mapping[str, Any] | None = next(iter(tables.get("organizations", {}).values()), None)
    known = {key["publicId"] for key in tables.get("api_keys", {}).values()}
    if first is None or public_id_of(DEMO_KEY) in known:
        return []
    api_key_id = str(uuid5(NAMESPACE_URL, DEMO_KEY))  # the same in every store
    return key_documents(new_key(api_key_id, first["id"], DEMO_KEY, ["*"], "Demo key", "standard", now))


# The view of each kind of document: called at the import, so that no request is the first to find an invalid document.
_VIEWS: dict[str, Callable[[Record], Record]] = {
    "organizations": organization_view,
    "projects": project_view,
    "influencers": lambda document: influencer_view(document, str),
    "jobs": lambda document: job_view(document, 0, lambda job: result_of(job, str)),
    "containers": lambda document: container_view(document, 0, str),
    "api_keys": key_view,
    "social_accounts": lambda document: account_view(document, from_epoch_milliseconds(0), ""),
    "github_installations": installation_view,
    "oauth_states": lambda document: state_view(document, from_epoch_milliseconds(0)),
    "posts": lambda document: post_view(document, 0, ""),
}

_ASSET: Record = {"kind": "reference_image", "filename": None}

_SOCIAL_ACCOUNT: Record = {"status": CONNECTED, "reauthAt": None, "disconnectedAt": None}

_PROJECT: Record = {
    "timezone": "UTC",
    "status": "active",
    "customerExternalId": None,
    "primaryLanguage": "en",
    "ownerEmail": None,
    "metadata": {},
}

_INFLUENCER: Record = dict.fromkeys(DESCRIPTION_FIELDS) | {
    "personality": {},
    "referenceImages": [],
    "status": "ready",
    "is_archived": False,
    "attributes": {},
}
