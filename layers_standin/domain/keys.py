"""API keys: `lp_<environment>_<public id>_<secret>`; only the public id and a hash of the secret are stored."""

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import orjson

from layers_standin.domain.controls import Overrides, overrides_of
from layers_standin.domain.credits import balance_at
from layers_standin.domain.errors import NotFound
from layers_standin.domain.tables import ALL, Tables
from layers_standin.domain.times import milliseconds
from layers_standin.engines.table import Engine, Record

# What a key may be allowed; `*` stands for all of them.
SCOPES = (
    "influencers:write", "projects:read", "projects:write", "jobs:read", "jobs:cancel",
    "content:read", "content:write", "content:approve",
    "publish:read", "publish:write", "social:read", "social:write", "github:admin", "ingest:write",
)  # fmt: skip
(
    INFLUENCERS_WRITE, PROJECTS_READ, PROJECTS_WRITE, JOBS_READ, JOBS_CANCEL,
    CONTENT_READ, CONTENT_WRITE, CONTENT_APPROVE,
    PUBLISH_READ, PUBLISH_WRITE, SOCIAL_READ, SOCIAL_WRITE, GITHUB_ADMIN, INGEST_WRITE,
) = SCOPES  # fmt: skip

DEMO_KEY = "lp_test_DEM0DEM0DEM0DEM0_local-stand-in-demo-key-not-a-secret-000000"

_MAX_GUESSES = 10_000
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def mint_key(environment: str = "test") -> str:
    """Return a new key with a public id of 80 random bits and a secret of 256."""
    public_id = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return f"lp_{environment}_{public_id}_{secrets.token_urlsafe(32)}"


def public_id_of(key: str) -> str:
    return key.split("_", 3)[2]


def hash_secret(secret: str) -> str:
    """Return the hex SHA-256 of a key's secret: enough for 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def opens(key: Mapping[str, Any], secret: str) -> bool:
    """Whether this is the key's secret, compared in constant time."""
    return hmac.compare_digest(key["secretHash"], sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())


def new_key(
    api_key_id: str, organization: str, key: str, scopes: list[str], name: str, tier: str, now: datetime
) -> Record:
    """Return the document of an API key: its public id and the hash of its secret.

    `key` is the whole text of the key; `tier` is one of the rate limit tiers.
    """
    _, environment, public_id, secret = key.split("_", 3)
    return {
        "apiKeyId": api_key_id,
        "publicId": public_id,
        "organizationId": organization,
        "name": name,
        "environment": environment,
        "secretHash": hash_secret(secret),
        "scopes": scopes,
        "rateLimitTier": tier,
        "killSwitch": False,
        "createdAt": milliseconds(now),
        "revokedAt": None,
        "rotatedAt": None,
    }


def kill_key(current: Mapping[str, Any], now: datetime) -> Record:
    """Return the key switched off; an earlier time of switching off stays."""
    return dict(current) | {"killSwitch": True, "revokedAt": current["revokedAt"] or milliseconds(now)}


def rotate_key(current: Mapping[str, Any], key: str, now: datetime) -> Record:
    """Return the key with a new public id and secret, switched on again."""
    _, environment, public_id, secret = key.split("_", 3)
    fresh = {"environment": environment, "publicId": public_id, "secretHash": hash_secret(secret)}
    return dict(current) | fresh | {"killSwitch": False, "revokedAt": None, "rotatedAt": milliseconds(now)}


def key_documents(document: Record) -> list[tuple[str, Record]]:
    """Return (table, document) of both documents of a key: by its public id, and by its `apiKeyId`."""
    known = {field: document[field] for field in ("apiKeyId", "organizationId", "publicId")}
    return [("api_keys", document), ("api_key_ids", known)]


def key_view(document: Mapping[str, Any]) -> Record:
    """Return a key as responses show it, without its secret."""
    return {
        "id": document["apiKeyId"],
        "organizationId": document["organizationId"],
        "name": document["name"],
        "prefix": f"lp_{document['environment']}_{document['publicId']}",
        "killSwitch": document["killSwitch"],
        "isActive": not document["killSwitch"],
        "revokedAt": document["revokedAt"],
    }


def whoami_view(key: Mapping[str, Any], organization: Mapping[str, Any], now_ms: int) -> Record:
    return {
        "organizationId": organization["id"],
        "workspaceId": organization["id"],
        "organizationName": organization["name"],
        "scopes": key["scopes"],
        "rateLimitTier": key["rateLimitTier"],
        "killSwitch": key["killSwitch"],
        "apiAccessRevoked": False,
        "apiKeyId": key["apiKeyId"],
        "creditBalance": balance_at(organization, now_ms),
    }


class Caller(NamedTuple):
    """The document of an API key, which nobody may alter, and the settings that apply to its organization."""

    key: Record
    overrides: Overrides


@lru_cache(1024)
def _caller(key: bytes, own: bytes | None, everyone: bytes | None) -> Caller:
    """Return the caller of these three documents; cached, for the same ones are read for nearly every request."""
    of_scopes = (None if document is None else orjson.loads(document) for document in (own, everyone))
    return Caller(orjson.loads(key), overrides_of(*of_scopes))


class Callers:
    """The callers of all organizations. Remembers whose a key was, as a guess; each request reads it anew."""

    def __init__(self, db: Engine) -> None:
        self._db = db
        self._organizations: dict[str, str] = {}  # by the public id of a key: it never changes, but the key may go

    def find(self, public_id: str, prefetch: tuple[str, str] | None = None) -> Caller | None:
        """Return the caller whose key has this public id, or None.

        Inside `snapshot_read` it is read in one trip, together with the document of its organization that is asked for
        next: `prefetch` is (table, id) of that.
        """
        scope = self._organizations.get(public_id, ALL)
        keys = [("api_keys", public_id, public_id), ("controls", scope, scope), ("controls", ALL, ALL)]
        if prefetch is not None:
            keys.append((prefetch[0], scope, prefetch[1]))
        key, own, everyone, *_ = self._db.read_texts(keys)
        if key is None:
            return None
        caller = _caller(key, own, everyone)
        if caller.key["organizationId"] == scope:
            return caller
        if len(self._organizations) >= _MAX_GUESSES:
            self._organizations.clear()
        self._organizations[public_id] = caller.key["organizationId"]
        return self.find(public_id, prefetch)


class Keys:
    """The API keys: those of all organizations by public id, those of this one by `apiKeyId`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def find(self, public_id: str) -> Record | None:
        """Return the document of the key with this public id, or None."""
        return self._tables.table("api_keys", public_id).get(doc_id=public_id)

    def is_known(self, public_id: str, lock: bool = False) -> bool:
        """Whether a key has this public id. Without `lock`, another transaction may rotate it meanwhile."""
        return self._tables.db.read("api_keys", public_id, public_id, lock) is not None

    def all(self) -> list[Record]:
        """Return the keys of this organization that were not deleted."""
        known = self._tables.table("api_key_ids")
        found = (self.find(each["publicId"]) for each in known)
        return [key for key in found if key is not None and not key.get("deleted")]

    def get(self, api_key_id: str) -> Record:
        """Return a key of this organization. Raises NotFound."""
        known = self._tables.table("api_key_ids").get(doc_id=api_key_id)
        key = self.find(known["publicId"]) if known else None
        if key is None or key.get("deleted"):
            raise NotFound("API key not found.")
        return key

    def create(self, scopes: list[str], name: str, key: str | None = None, tier: str = "standard") -> str:
        """Create a key of this organization and return its text, which is not stored. Raises NotFound.

        `key` is the text, minted if None; `tier` is its rate limit tier.
        """
        key = key or mint_key()
        with self._tables.db.transaction():
            organization = self._tables.organization
            if not self._tables.table("organizations").contains(doc_id=organization):
                raise NotFound("Organization not found.")
            self._put(new_key(str(uuid4()), organization, key, scopes, name, tier, self._tables.now()))
        return key

    def kill(self, api_key_id: str) -> Record:
        """Switch a key off: its requests are answered with 503 from now on."""
        with self._tables.db.transaction():
            killed = kill_key(self.get(api_key_id), self._tables.now())
            self._put(killed)
            return killed

    def rotate(self, api_key_id: str) -> tuple[Record, str]:
        """Give a key a new text; return (document, text). The old text is invalid from now on."""
        with self._tables.db.transaction():
            current = self.get(api_key_id)
            text = mint_key(current["environment"])
            rotated = rotate_key(current, text, self._tables.now())
            self._tables.table("api_keys", current["publicId"]).remove(doc_ids=[current["publicId"]])
            self._put(rotated)
            return rotated, text

    def delete(self, api_key_id: str) -> Record:
        """Switch a key off permanently."""
        with self._tables.db.transaction():
            deleted = kill_key(self.get(api_key_id), self._tables.now()) | {"deleted": True}
            self._put(deleted)
            return deleted

    def delete_public(self, public_id: str) -> None:
        """Switch the key with this public id off permanently. Raises NotFound."""
        with self._tables.db.transaction():
            key = self.find(public_id)
            if key is None:
                raise NotFound(f"There is no key {public_id}.")
            self._put(kill_key(key, self._tables.now()) | {"deleted": True})

    def _put(self, document: Record) -> None:
        for table, part in key_documents(document):
            self._tables.put(table, part)
