"""The receiver of the stand-in itself: it keeps what is posted to `/_standin/inbox/:name`, and says 200.

It takes what is signed for one of its endpoints, from anywhere, and anything from those who may command.
"""

import time
from collections.abc import Iterator
from functools import partial

import orjson
from flask import Request, Response

from layers_standin.domain.endpoints import secrets_of
from layers_standin.domain.errors import NotFound
from layers_standin.domain.inbox import Inbox
from layers_standin.domain.tables import INBOX_NAME
from layers_standin.services import Services
from layers_standin.web.access import authorize
from layers_standin.web.bodies import whole_body
from layers_standin.web.logs.refused_keys import is_secret
from layers_standin.webhooks.signing import verify
from store import Store

INBOX_PATH = "/_standin/inbox/<inbox>"

_SIGNATURE = "X-Layers-Signature"


def serve_inbox(services: Services, request: Request, inbox: str) -> Response:
    """Keep a message. Raises NotFound for a name that no inbox can have, Forbidden, Unauthenticated."""
    if not INBOX_NAME.fullmatch(inbox):
        raise NotFound("Inbox not found.")
    body = whole_body(request)
    headers = {key: value for key, value in request.headers.items() if key == _SIGNATURE or not is_secret(key)}
    reason = _why_not_verified(services.store, inbox, request.headers.get(_SIGNATURE), body)
    if reason is not None:
        authorize(request.environ, services.settings)
    messages = Inbox(services.store.tables, inbox)
    services.store.db.run_transaction(partial(messages.put, headers, body, reason))
    return Response(orjson.dumps({"received": True}), 200, content_type="application/json")


def _why_not_verified(store: Store, name: str, header: str | None, body: bytes) -> str | None:
    """Return why a message's signature is not that of an endpoint with this inbox, None if it is."""
    if header is None:
        return "There is no X-Layers-Signature."
    reason: str | None = "No endpoint has this inbox as its URL."
    for secrets in _secrets(store, name):
        reason = verify(header, body, secrets, int(time.time()))
        if reason is None:
            return None
    return reason


def _secrets(store: Store, name: str) -> Iterator[list[str]]:
    """Yield the secrets of each endpoint that posts to an inbox."""
    for found in store.db.read_each("webhook_endpoints"):
        own = store.for_organization(str(found["organizationId"]))
        for endpoint in own.endpoints.of_inbox(name):
            yield secrets_of(endpoint, own.signing_key(), own.now_ms())
