"""Social accounts, and the OAuth states of the consents that connect them. Source: contract, section 7.

An account is {"socialAccountId", "platform", "handle", "status", "connectedAt", "reauthAt", "disconnectedAt", …}.
A state is {"state", "platform", "returnUrl", "createdMs", "socialAccountId", "error", …}; the last two are None until a
person has answered.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from layers_standin.domain.cursors import read_cursor, write_cursor
from layers_standin.domain.errors import NotFound
from layers_standin.domain.ids import mint
from layers_standin.domain.tables import Tables, handle_index
from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, seconds
from layers_standin.engines.table import Record

PLATFORMS = ("tiktok", "instagram")
STATUSES = CONNECTED, REAUTH_REQUIRED, DISCONNECTED = "connected", "reauth_required", "disconnected"
STATE_LIFETIME = timedelta(minutes=10)
HANDLE = re.compile(r"[0-9a-z._]{1,30}")

PENDING, COMPLETED, FAILED = "pending", "completed", "failed"
DENIED = {"code": "ACCESS_DENIED", "message": "The person did not allow it."}
EXPIRED = {"code": "STATE_EXPIRED", "message": "Nobody answered within ten minutes."}

_TOKEN_LIFETIME = timedelta(days=30)
_STATE_KEPT = timedelta(hours=24)


# Accounts


def new_account(organization: str, project_id: str, platform: str, handle: str, now: datetime) -> Record:
    """Return the document of an account that was just connected."""
    account_id = mint("sa")
    return {
        "socialAccountId": account_id,
        "organizationId": organization,
        "projectId": project_id,
        "platform": platform,
        "handle": handle,
        "status": CONNECTED,
        "connectedAt": seconds(now),
        "reauthAt": None,
        "disconnectedAt": None,
        "token": token_hex(16),
        "sortKey": account_id,
    }


def with_status(account: Mapping[str, Any], status: str, now: datetime) -> Record:
    """Return the account connected, in need of a new consent, or disconnected, since now."""
    at = seconds(now)
    times: dict[str, Record] = {
        CONNECTED: {"connectedAt": at, "reauthAt": None, "disconnectedAt": None},
        REAUTH_REQUIRED: {"reauthAt": at},
        DISCONNECTED: {"disconnectedAt": at},
    }
    return dict(account) | times[status] | {"status": status}


def token_expiry(account: Mapping[str, Any], now: datetime) -> str | None:
    """Return the time at which the platform's token expires; None for a disconnected account, which has none.

    The token of a connected account is renewed every 30 days, that of one in need of a new consent is not.
    """
    if account["status"] == DISCONNECTED:
        return None
    if account["status"] == REAUTH_REQUIRED:
        return str(account["reauthAt"])
    connected = datetime.fromisoformat(account["connectedAt"])
    renewals = max(0, (now - connected) // _TOKEN_LIFETIME)
    return seconds(connected + (renewals + 1) * _TOKEN_LIFETIME)


def account_view(account: Mapping[str, Any], now: datetime, base_url: str) -> Record:
    """Return an account as an item of the list."""
    return {
        "socialAccountId": account["socialAccountId"],
        "platform": account["platform"],
        "handle": account["handle"],
        "avatarUrl": base_url + avatar_path(account),
        "status": account["status"],
        "leased": False,
        "connectedAt": account["connectedAt"],
        "tokenExpiresAt": token_expiry(account, now),
    }


def disconnection_view(account: Mapping[str, Any], canceled_posts: int) -> Record:
    return {
        "socialAccountId": account["socialAccountId"],
        "status": account["status"],
        "disconnectedReason": "revoked_by_partner",
        "canceledScheduledPosts": canceled_posts,
        "disconnectedAt": account["disconnectedAt"],
    }


def avatar_path(account: Mapping[str, Any]) -> str:
    """Return the path of the account's picture, without a host; its token makes it unguessable."""
    owner = f"{account['organizationId']}/{account['socialAccountId']}/{account['token']}"
    return f"/media/{owner}/avatar/{quote(account['handle'], '')}.png"


def handle_for(name: str) -> str:
    """Return a handle for a name: its letters and digits."""
    return re.sub("[^0-9a-z]", "", name.lower())[:30] or "creator"


# OAuth states


def new_state(organization: str, project_id: str, key_id: str, body: Mapping[str, Any], now: datetime) -> Record:
    """Return the document of a new state; `body` is a validated body of oauth-url, `key_id` the caller's `apiKeyId`."""
    return {
        "state": mint("st"),
        "organizationId": organization,
        "projectId": project_id,
        "apiKeyId": key_id,
        "platform": body["platform"],
        "returnUrl": body["returnUrl"],
        "scopes": body.get("scopes", []),
        "usageNote": body.get("usageNote"),
        "createdMs": epoch_milliseconds(now),
        "socialAccountId": None,
        "error": None,
    }


def expiry(state: Mapping[str, Any]) -> datetime:
    return from_epoch_milliseconds(state["createdMs"]) + STATE_LIFETIME


def error_of(state: Mapping[str, Any], now: datetime) -> Record | None:
    """Return the error that a state has failed with by now, or None."""
    if state["socialAccountId"] is not None or state["error"] is not None:
        found: Record | None = state["error"]
        return found
    return EXPIRED if now >= expiry(state) else None


def state_status(state: Mapping[str, Any], now: datetime) -> str:
    if state["socialAccountId"] is not None:
        return COMPLETED
    return PENDING if error_of(state, now) is None else FAILED


def state_view(state: Mapping[str, Any], now: datetime) -> Record:
    """Return the reply of oauth-status."""
    status = state_status(state, now)
    view = {"state": state["state"], "status": status, "expiresAt": seconds(expiry(state))}
    if status == COMPLETED:
        return view | {"socialAccountId": state["socialAccountId"]}
    return view | ({"error": error_of(state, now)} if status == FAILED else {})


class SocialAccounts:
    """The social accounts of an organization, and the states of their consents."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._accounts = tables.table("social_accounts")
        self._states = tables.table("oauth_states")

    def get(self, account_id: str) -> Record:
        """Return an account's document, unless it is disconnected. Raises NotFound."""
        account = self.any(account_id)
        if account["status"] == DISCONNECTED:
            raise NotFound("Social account not found.")
        return account

    def any(self, account_id: str) -> Record:
        """Return an account's document, disconnected or not. Raises NotFound."""
        account = self._accounts.get(doc_id=account_id)
        if account is None:
            raise NotFound("Social account not found.")
        return account

    def of_project(self, project_id: str, account_id: str) -> Record:
        """Return an account of that project, unless it is disconnected. Raises NotFound."""
        account = self.get(account_id)
        if account["projectId"] != project_id:
            raise NotFound("Social account not found.")
        return account

    def page(self, project_id: str, query: Mapping[str, Any]) -> tuple[list[Record], str | None]:
        """Return (accounts of a project, cursor), the last connected for the first time first. Raises BadCursor."""
        wanted = {name: query[name] for name in ("platform", "status") if name in query}
        filters = map(query.get, ("platform", "status", "leased"))
        of = (self._tables.organization, "social_accounts", project_id, *filters)
        before = read_cursor(query.get("cursor"), *of)

        def keep(account: Record) -> bool:
            return query.get("leased") != "true" and wanted.items() <= account.items()

        page = self._tables.page("social_accounts", [project_id], before, query["limit"], keep)
        return page.documents, write_cursor(page.next_sort_key, *of)

    def set_status(self, account_id: str, status: str) -> Record:
        """Give an account that is not disconnected another status. Raises NotFound."""
        with self._tables.db.transaction():
            account = with_status(self.get(account_id), status, self._tables.now())
            self._accounts.upsert(account)
            return account

    def begin(self, project_id: str, key_id: str, body: Mapping[str, Any]) -> Record:
        """Create the state of a consent, and delete up to two old ones."""
        with self._tables.db.transaction():
            self._states.remove(doc_ids=self._tables.oldest("oauth_states", self._oldest_kept_ms()))
            state = new_state(self._tables.organization, project_id, key_id, body, self._tables.now())
            self._states.insert(state)
            return state

    def state(self, state_id: str) -> Record:
        """Return the document of a state. Raises NotFound."""
        state = self._states.get(doc_id=state_id)
        if state is None:
            raise NotFound("OAuth state not found.")
        return state

    def state_of_key(self, state_id: str, key_id: str) -> Record:
        """Return the document of a state that this key has begun. Raises NotFound."""
        state = self.state(state_id)
        if state["apiKeyId"] != key_id:
            raise NotFound("OAuth state not found.")
        return state

    def answer(self, state_id: str, handle: str | None) -> Record:
        """Return the state once a person has allowed the account `handle`, or denied with None.

        A state that has ended already stays as it is. Raises NotFound.
        """
        with self._tables.db.transaction():
            state = self.state(state_id)
            if state_status(state, self._tables.now()) != PENDING:
                return state
            account = None if handle is None else self._connect(state, handle)
            ended: Record = {"error": DENIED} if account is None else {"socialAccountId": account["socialAccountId"]}
            self._states.upsert(state | ended)
            return state | ended

    def _connect(self, state: Mapping[str, Any], handle: str) -> Record:
        """Connect an account; one that the project has had before keeps its id."""
        project_id, platform, now = state["projectId"], state["platform"], self._tables.now()
        known = self._tables.page("social_accounts", [handle_index(project_id, platform, handle)], None, 1, bool)
        account = next(iter(known.documents), None) or new_account(
            self._tables.organization, project_id, platform, handle, now
        )
        connected = with_status(account, CONNECTED, now)
        self._accounts.upsert(connected)
        return connected

    def _oldest_kept_ms(self) -> int:
        return epoch_milliseconds(self._tables.now() - _STATE_KEPT)
