"""Accounts and posts without a consent and without content, as the store has them."""

from typing import Any

from content_helpers import made_content

from layers_standin.domain.keys import DEMO_KEY, public_id_of
from layers_standin.domain.posts import new_post
from layers_standin.domain.social import new_account
from layers_standin.engines.table import Record
from layers_standin.openapi import examples
from layers_standin.services import Services
from store import Store


def made_account(own: Store, project: str, **fields: Any) -> Record:
    """Put a connected TikTok account into a project of the store's organization."""
    account = new_account(own.organization, project, "tiktok", "acme", own.now()) | fields
    own.tables.put("social_accounts", account)
    return account


def made_post(own: Store, container: Record, **fields: Any) -> tuple[Record, Record]:
    """Put an account, and a post of the container that is due in a day; return both documents."""
    account, now_ms = made_account(own, container["projectId"]), own.now_ms()
    times = {"scheduledMs": now_ms + 86_400_000, "createdMs": now_ms, "opensMs": 0, "lengthMs": own.job_ms}
    post = new_post(container, account, {"mode": "direct_publish"}, times, None) | fields
    own.tables.put("posts", post)
    return account, post


def plant_posts(rooms: Services) -> None:
    """Put into a seeded store the post, the approved content and the OAuth state of the examples."""
    own = rooms.store.for_organization(examples.ORGANIZATION)
    container, _ = made_content(rooms, own.organization, examples.SPRING)
    container |= {"id": examples.APPROVED_CONTAINER, "approval": {"status": "not_required"}}
    own.tables.put("containers", container)
    _, post = made_post(own, container, id=examples.POST)
    own.tables.put("posts", post | {"id": f"{examples.POST[:-1]}0"})
    asks = own.keys.find(public_id_of(DEMO_KEY))
    assert asks is not None
    state = own.social.begin(
        examples.SPRING, asks["apiKeyId"], {"platform": "tiktok", "returnUrl": "http://localhost/"}
    )
    own.tables.put("oauth_states", state | {"state": examples.STATE})
