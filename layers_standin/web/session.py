"""Sessions of the console: a signed cookie, given out for the control plane's token, which is not in it."""

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
    """Return the value of a new session's cookie."""
    return str(_serializer(signing_key, token).dumps(_SAYS))


def has_session(environ: "WSGIEnvironment", signing_key: Callable[[], str], token: str) -> bool:
    """Whether a request has a session cookie for this token that is not older than LASTS_SECONDS."""
    cookie = parse_cookie(environ).get(COOKIE)
    if cookie is None:
        return False
    try:
        return bool(_serializer(signing_key(), token).loads(cookie, max_age=LASTS_SECONDS) == _SAYS)
    except BadSignature:
        return False


def _serializer(signing_key: str, token: str) -> URLSafeTimedSerializer:
    """Return the signer of the cookies. Signatures depend on the token, so a new token signs everybody out."""
    return URLSafeTimedSerializer(signing_key, salt=f"console {sha256(token.encode()).hexdigest()}")
