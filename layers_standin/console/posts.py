"""The page of a published post: what its readers would see on the platform. The token in its path is the permission."""

import hmac
from functools import partial

from flask import Flask, Response

from layers_standin.console.public import serve_public, shown
from layers_standin.console.social import PLATFORM_NAMES
from layers_standin.domain.errors import NotFound
from layers_standin.domain.posts import PUBLISHED, post_view, state_at
from layers_standin.domain.social import avatar_path
from layers_standin.services import Services
from layers_standin.web.responses import route
from store import Store


def add_post_pages(app: Flask, services: Services) -> None:
    route(app, "GET", "/posts/<organization>/<post_id>/<token>", "post", partial(serve_post, services))


def serve_post(services: Services, organization: str, post_id: str, token: str) -> Response:
    """Show a published post; to its readers there is no other."""
    return shown(partial(_page, services.store.for_organization(organization), post_id, token))


def _page(store: Store, post_id: str, token: str) -> Response:
    post = store.posts.get(post_id)
    is_published = state_at(post, store.now_ms()).status == PUBLISHED
    if not (is_published and hmac.compare_digest(post["token"].encode(), token.encode())):
        raise NotFound("Scheduled post not found.")  # as for an unknown id
    account = store.social.any(post["socialAccountId"])
    view = {
        "title": f"@{post['handle']} on {PLATFORM_NAMES[post['platform']]}",
        "platform": PLATFORM_NAMES[post["platform"]],
        "avatar": avatar_path(account),
        "post": post,
        "published_at": post_view(post, store.now_ms(), "")["publishedAt"],
    }
    return serve_public("post", view)
