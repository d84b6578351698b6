"""Authentication: the API key of a request, and its scopes."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from layers_standin.domain.keys import Caller, Callers, opens
from layers_standin.services import DEMO_KEY_ID, is_loopback
from layers_standin.settings import Settings
from layers_standin.web.access import is_unix_socket
from layers_standin.web.errors import ForbiddenScope, KeyKilled, Unauthenticated

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CALLER = "standin.caller"  # in the environ of a request that this process makes: the public id of its key
KEY = re.compile(r"lp_(live|test)_([0-9A-Z]{16})_([0-9A-Za-z_-]{43})")


def authenticate(environ: "WSGIEnvironment", callers: Callers, prefetch: tuple[str, str] | None = None) -> Caller:
    """Return the caller of a request, by its API key. Raises Unauthenticated, KeyKilled.

    `X-Api-Key` wins over `Authorization` even when it is wrong. `prefetch` is as in `Callers.find`.
    """
    text = environ.get("HTTP_X_API_KEY")
    if text is None:
        scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        text = text.strip() if scheme.lower() == "bearer" else ""
    is_own = CALLER in environ  # which no header can set
    match = KEY.fullmatch(text)
    if match is None and not is_own:
        raise Unauthenticated
    environment, public_id, secret = ("", environ[CALLER], "") if match is None else match.groups()
    caller = callers.find(public_id, prefetch)
    if caller is None:
        raise Unauthenticated
    if not is_own and (caller.key["environment"] != environment or not opens(caller.key, secret)):
        raise Unauthenticated
    if caller.key["killSwitch"]:
        raise KeyKilled(scope="key")
    return caller


def refuse_demo_key_on_public_address(key: Mapping[str, Any], environ: "WSGIEnvironment", settings: Settings) -> None:
    """Raises Unauthenticated for the demo key where strangers can connect.

    The start refuses such an address already, but only if gunicorn.conf.py or `flask run` names it.
    """
    if key["publicId"] != DEMO_KEY_ID or settings.allow_demo_key or is_loopback(environ["SERVER_NAME"]):
        return
    if not is_unix_socket(environ):  # there gunicorn takes the server's name from the Host header
        raise Unauthenticated


def require_scope(key: Mapping[str, Any], scope: str | None) -> None:
    """Raises ForbiddenScope unless the key has the scope or `*`."""
    if scope is not None and scope not in key["scopes"] and "*" not in key["scopes"]:
        raise ForbiddenScope(required=scope)
