"""Who has shown the control plane's token to the console once: a cookie says so, in which the token is not."""

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.http import parse_cookie

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

COOKIE = "standin_console"
LASTS_SECONDS = 12 * 60 * 60

_SAYS = "signed in"


def new_session(signing_key: str, token: str) -> str:
    """Return the cookie of whoever knows the token."""
    return str(_serializer(signing_key, token).dumps(_SAYS))


def has_session(environ: "WSGIEnvironment", signing_key: Callable[[], str], token: str) -> bool:
    """Whether a request brings a cookie that we have given out for this very token, not too long ago."""
    cookie = parse_cookie(environ).get(COOKIE)
    if cookie is None:
        return False
    try:
        return bool(_serializer(signing_key(), token).loads(cookie, max_age=LASTS_SECONDS) == _SAYS)
    except BadSignature:
        return False


def _serializer(signing_key: str, token: str) -> URLSafeTimedSerializer:
    """Return what signs: with another token come other signatures, so that a new one signs everybody out."""
    return URLSafeTimedSerializer(signing_key, salt=f"console {sha256(token.encode()).hexdigest()}")
