"""The rules, as small functions on documents, and the Store that applies them to TinyDB tables. Knows no HTTP."""

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from engines.changes import Lists
from engines.line import Entry
from engines.table import Engine, Record

IDEMPOTENCY_WINDOW = timedelta(hours=24)

DEMO_KEY = "lp_test_DEM0DEM0DEM0DEM0_local-stand-in-demo-key-not-a-secret-000000"


INFLUENCER_FIELDS = (
    "influencerId", "projectId", "name", "gender", "ageRange", "ethnicity", "bodyType", "hairColor", "hairStyle",
    "style", "vibe", "voiceDescription", "personality", "referenceImages", "status", "createdAt", "updatedAt",
)  # fmt: skip

_UNSAFE_IN_URL = re.compile(r"[^0-9A-Za-z._-]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class StoreError(Exception):
    """Base of every refusal by a rule; `details` is its evidence."""

    code = "INTERNAL"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class NotFound(StoreError):
    """Unknown, of another organization, or deleted."""

    code = "NOT_FOUND"


class IdempotencyConflict(StoreError):
    """The same Idempotency-Key came with another body."""

    code = "IDEMPOTENCY_CONFLICT"


# Rules: pure functions on documents. None of them alters its arguments.


def merge_personality(current: Mapping[str, Any], patch: Mapping[str, Any]) -> Record:
    """Return `current` with `patch` laid over it.

    Both are {"traits": [str], "tone": str, ...}, any key absent. Shallow: a list replaces the list, a null
    removes its key, keys not sent stay as they are. Source: patch-influencer, Notes.
    """
    kept = {key: value for key, value in current.items() if key not in patch}
    changed = {key: value for key, value in patch.items() if value is not None}
    return kept | changed


def merge_influencer(current: Mapping[str, Any], patch: Mapping[str, Any], now: datetime) -> Record:
    """Return the influencer after a PATCH: given fields replaced, null clears, personality merged, updatedAt moved."""
    merged = dict(current) | dict(patch) | {"updatedAt": seconds(now)}
    if "personality" in patch:
        merged["personality"] = merge_personality(current["personality"], patch["personality"])
    return merged


def archive_influencer(current: Mapping[str, Any], reason: str | None, key_id: str, now: datetime) -> Record:
    """Return the influencer after a DELETE: kept whole, and who, when and why beside it. Source: delete-influencer."""
    deletion = {"reason": reason, "apiKeyId": key_id, "deletedAt": seconds(now)}
    attributes = current["attributes"] | {"deletion": deletion}
    return dict(current) | {"is_archived": True, "attributes": attributes, "updatedAt": seconds(now)}


def dedupe_references(current: list[Record], attached: list[Record]) -> list[Record]:
    """Return `current` with `attached` merged in, each asset once.

    Both are [{"assetId", "addedAt", ...}]. An asset that is there keeps its place and takes the new entry;
    the others follow in the order they were attached. Source: reference-images, Notes.
    """
    merged = {canonical(entry["assetId"]): entry for entry in current}
    merged |= {canonical(entry["assetId"]): entry for entry in attached}
    return list(merged.values())


def attach_references(current: Mapping[str, Any], assets: list[Record], now: datetime) -> Record:
    """Return the influencer with these assets among its reference images; untouched when there are none."""
    if not assets:
        return dict(current)
    attached = [reference_to(asset, now) for asset in assets]
    merged = dedupe_references(current["referenceImages"], attached)
    return dict(current) | {"referenceImages": merged, "updatedAt": seconds(now)}


def reference_to(asset: Mapping[str, Any], now: datetime) -> Record:
    """Return the reference image entry of an asset; assets never change, so it holds all a reply needs."""
    return {
        "assetId": asset["assetId"],
        "path": asset["path"],
        "thumbnailPath": asset["thumbnailPath"],
        "addedAt": seconds(now),
    }


def influencer_view(document: Mapping[str, Any], base_url: Callable[[], str]) -> Record:
    """Return the full record of the contract, all its fields in its order.

    `base_url` is asked only when there are pictures; what it returns has no slash at its end.
    """
    view = {field: document[field] for field in INFLUENCER_FIELDS}
    return view | {"referenceImages": references_view(document["referenceImages"], base_url)}


def references_view(entries: list[Record], base_url: Callable[[], str]) -> list[Record]:
    if not entries:
        return []
    base = base_url()
    return [
        {
            "assetId": entry["assetId"],
            "url": base + entry["path"],
            "thumbnailUrl": base + entry["thumbnailPath"],
            "addedAt": entry["addedAt"],
        }
        for entry in entries
    ]


def whoami_view(key: Mapping[str, Any], organization: Mapping[str, Any]) -> Record:
    return {
        "organizationId": organization["id"],
        "workspaceId": organization["id"],
        "organizationName": organization["name"],
        "scopes": key["scopes"],
        "rateLimitTier": key["rateLimitTier"],
        "killSwitch": key["killSwitch"],
        "apiAccessRevoked": False,
        "apiKeyId": key["apiKeyId"],
        "creditBalance": organization["creditBalance"],
    }


def media_paths(asset: Mapping[str, Any]) -> Record:
    """Return {"path", "thumbnailPath"} of an asset, both without a host; its token makes them unguessable.

    The name at the end is for people who save the file; it is never looked at.
    """
    # Without dots around it: `.` and `..` at the end of a URL are not names but places.
    safe = _UNSAFE_IN_URL.sub("-", asset["filename"] or "").strip(".") or "file"
    stem, _, ending = safe.rpartition(".")
    folder = f"/media/{asset['organizationId']}/{asset['assetId']}/{asset['token']}"
    name = f"{stem}.{ending}" if stem else ending
    return {"path": f"{folder}/original/{name}", "thumbnailPath": f"{folder}/thumbnail/{stem or ending}-thumb.webp"}


def hash_secret(secret: str) -> str:
    """Return the hex SHA-256 of a key's secret: enough for 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def opens(key: Mapping[str, Any], secret: str) -> bool:
    """Whether this is the key's secret, compared in constant time."""
    return hmac.compare_digest(key["secretHash"], hash_secret(secret))


def canonical(identifier: str) -> str:
    """Return the form in which an id is compared: UUIDs without regard to case, all others as they are."""
    return identifier.lower() if _UUID.fullmatch(identifier) else identifier


def seconds(moment: datetime) -> str:
    """Return 2026-04-18T09:18:44Z."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> str:
    """Return 2026-04-18T09:18:44.120Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> datetime:
    return datetime.now(UTC)


# Where documents live: (partition, id) by table. What belongs to an organization has it as its partition.

Identity = Callable[[Mapping[str, Any]], tuple[str, str]]


def _of_organization(field: str) -> Identity:
    return lambda document: (document["organizationId"], canonical(document[field]))


IDENTITIES: dict[str, Identity] = {
    "organizations": lambda document: (document["id"], document["id"]),
    "projects": _of_organization("id"),
    "influencers": _of_organization("influencerId"),
    "assets": _of_organization("assetId"),
    # A key is looked up before its organization is known, so its public id is its partition.
    "api_keys": lambda document: (document["publicId"], document["publicId"]),
    "api_key_ids": _of_organization("apiKeyId"),
    "idempotency": _of_organization("id"),
}


def _age(document: bytes) -> list[Entry]:
    """Place an idempotency record so that the oldest comes first in a walk from the greatest down."""
    record = orjson.loads(document)
    return [Entry("age", f"{10**15 - record['filedAtMs']:016d}={record['id']}")]


LISTS: dict[str, Lists] = {"idempotency": _age}


class Claim(NamedTuple):
    """An Idempotency-Key as it came: its scope, and what the body was."""

    record_id: str
    fingerprint: str

    @classmethod
    def of(cls, api_key_id: str, method: str, path: str, key: str, body: object) -> "Claim":
        scope = sha256("\0".join((api_key_id, method, path, key)).encode()).hexdigest()
        return cls(scope[:32], sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest())


class Outcome(NamedTuple):
    """What an operation answers: an HTTP status and JSON; `replayed` when it was filed by an earlier request."""

    status: int
    body: bytes
    replayed: bool = False


class Store:
    """Applies the rules to an engine's tables; every change is one transaction.

    Raises StoreError's subclasses by rule, and EngineError when the engine cannot go on.
    """

    def __init__(self, db: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self.db = db
        self.now = now

    def once(
        self,
        organization: str,
        claim: Claim | None,
        act: Callable[[], Outcome],
        refuse: Callable[[StoreError], Outcome],
    ) -> Outcome:
        """Run `act` in one transaction and file its outcome under the claim, or replay what is filed there.

        A refusal by `act` is an outcome too, and undoes what `act` wrote. Raises IdempotencyConflict.
        """
        with self.db.transaction():
            if claim is None:
                return act()
            filed = self._filed(organization, claim)
            if filed is not None:
                return filed
            outcome = self._try(act, refuse)
            self._file(organization, claim, outcome)
            return outcome

    # Influencers

    def influencer(self, organization: str, influencer_id: str) -> Record:
        """Return a living influencer's document. Raises NotFound."""
        document = self._get("influencers", organization, influencer_id)
        if document is None or document["is_archived"]:
            raise NotFound("Influencer not found.")
        return document

    def patch_influencer(self, organization: str, influencer_id: str, patch: Record) -> Record:
        return self._change(organization, influencer_id, partial(merge_influencer, patch=patch, now=self.now()))

    def delete_influencer(self, organization: str, influencer_id: str, reason: str | None, key_id: str) -> Record:
        archive = partial(archive_influencer, reason=reason, key_id=key_id, now=self.now())
        return self._change(organization, influencer_id, archive)

    def attach_reference_images(self, organization: str, influencer_id: str, asset_ids: list[str]) -> Record:
        """Attach the assets of the influencer's own project among these; others drop out."""
        with self.db.transaction():
            project = self.influencer(organization, influencer_id)["projectId"]
            found = (self._get("assets", organization, asset_id) for asset_id in asset_ids)
            assets = [asset for asset in found if asset is not None and asset["projectId"] == project]
            return self._change(organization, influencer_id, partial(attach_references, assets=assets, now=self.now()))

    # Assets

    def asset(self, organization: str, asset_id: str) -> Record:
        """Return an asset's document. Raises NotFound."""
        document = self._get("assets", organization, asset_id)
        if document is None:
            raise NotFound("Not found.")
        return document

    def has_asset(self, organization: str, asset_id: str) -> bool:
        return self._get("assets", organization, asset_id) is not None

    # Keys and organizations

    def organization(self, organization: str) -> Record:
        """Return an organization's document. Raises NotFound."""
        document = self._get("organizations", organization, organization)
        if document is None:
            raise NotFound("Organization not found.")
        return document

    def organizations(self) -> list[Record]:
        spaces = [partition for table, partition in self.db.tables() if table == "organizations"]
        return [self.organization(partition) for partition in spaces]

    def find_key(self, public_id: str) -> Record | None:
        return self._get("api_keys", public_id, public_id)

    def create_key(self, organization: str, scopes: list[str], name: str, key: str | None = None) -> str:
        """Create a key of an organization and return it whole: the one time its secret is seen. Raises NotFound."""
        key = key or mint_key()
        _, environment, public_id, secret = key.split("_", 3)
        with self.db.transaction():
            self.organization(organization)
            document = {
                "apiKeyId": str(uuid4()),
                "publicId": public_id,
                "organizationId": organization,
                "name": name,
                "environment": environment,
                "secretHash": hash_secret(secret),
                "scopes": scopes,
                "rateLimitTier": "standard",
                "killSwitch": False,
                "createdAt": milliseconds(self.now()),
            }
            self.put("api_keys", document)
            self.put("api_key_ids", {field: document[field] for field in ("apiKeyId", "organizationId", "publicId")})
        return key

    def delete_key(self, public_id: str) -> None:
        """Retire a key for good. Raises NotFound."""
        with self.db.transaction():
            key = self.find_key(public_id)
            if key is None:
                raise NotFound(f"There is no key {public_id}.")
            self.put("api_keys", key | {"killSwitch": True})

    def create_organization(self, name: str) -> Record:
        document = {"id": str(uuid4()), "name": name, "creditBalance": 0, "createdAt": milliseconds(self.now())}
        self.put("organizations", document)
        return document

    # Documents

    def put(self, table: str, document: Record) -> None:
        """Put a document in its place, whatever was there before."""
        partition, doc_id = IDENTITIES[table](document)
        self.db.table(table, partition).put(doc_id, document)

    def is_empty(self) -> bool:
        return not self.db.tables()

    def _get(self, table: str, partition: str, doc_id: str) -> Record | None:
        return self.db.table(table, partition).find(canonical(doc_id))

    def _change(self, organization: str, influencer_id: str, change: Callable[[Record], Record]) -> Record:
        """Put the influencer after `change` in the place of the one before it, and return it. Raises NotFound."""
        with self.db.transaction():
            current = self.influencer(organization, influencer_id)
            changed = change(current)
            if changed != current:
                self.put("influencers", changed)
            return changed

    # Idempotency

    def _filed(self, organization: str, claim: Claim) -> Outcome | None:
        record = self._get("idempotency", organization, claim.record_id)
        if record is None or record["filedAtMs"] <= self._window_start():
            return None
        if record["fingerprint"] != claim.fingerprint:
            raise IdempotencyConflict("Idempotency-Key was used with a different body.")
        return Outcome(record["status"], record["body"].encode(), replayed=True)

    def _try(self, act: Callable[[], Outcome], refuse: Callable[[StoreError], Outcome]) -> Outcome:
        try:
            with self.db.transaction():
                return act()
        except StoreError as error:
            return refuse(error)

    def _file(self, organization: str, claim: Claim, outcome: Outcome) -> None:
        self._forget_oldest(organization)
        self.put(
            "idempotency",
            {
                "id": claim.record_id,
                "organizationId": organization,
                "fingerprint": claim.fingerprint,
                "status": outcome.status,
                "body": outcome.body.decode(),
                "filedAtMs": epoch_milliseconds(self.now()),
            },
        )

    def _forget_oldest(self, organization: str) -> None:
        """Drop up to two records past their window: two for each one filed, so that they never pile up."""
        for place in self.db.walk("idempotency", organization, "age", most=2):
            remainder, _, record_id = place.partition("=")
            if 10**15 - int(remainder) <= self._window_start():
                self.db.table("idempotency", organization).drop(record_id)

    def _window_start(self) -> int:
        return epoch_milliseconds(self.now() - IDEMPOTENCY_WINDOW)


def mint_key(environment: str = "test") -> str:
    """Return a new key, `lp_<environment>_<public id>_<secret>`: 80 bits to name it, 256 to open it."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    public_id = "".join(secrets.choice(alphabet) for _ in range(16))
    return f"lp_{environment}_{public_id}_{secrets.token_urlsafe(32)}"


def epoch_milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
