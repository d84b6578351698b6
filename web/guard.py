"""Who may command the stand-in: whoever sits at this machine, or knows the token. Never a page in their browser."""

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from records.errors import NotFound
from settings import LOOPBACK, OFF, Settings
from start import is_loopback
from web.errors import Forbidden, Refusal, Unauthenticated

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A proxy adds what begins so: what comes through one from this machine may have come from anywhere.
_OF_PROXIES = (
    "HTTP_X_FORWARDED",
    "HTTP_FORWARDED",
    "HTTP_X_REAL_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_VIA",
)


def is_open(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether this request may command."""
    try:
        admit(environ, settings)
    except (Refusal, NotFound):
        return False
    return True


def admit(environ: "WSGIEnvironment", settings: Settings) -> None:
    """Raises NotFound where there is nothing to command, Forbidden or Unauthenticated for those who may not."""
    if settings.control == OFF:
        raise NotFound("Not found.")
    if settings.control != LOOPBACK:
        _check_token(environ.get("HTTP_AUTHORIZATION", ""), settings.control)
    elif not is_from_here(environ, settings):
        raise Forbidden("The control plane answers only on this machine; set STANDIN_CONTROL to a token to open it.")


def is_from_here(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether a request was sent on this machine, to a name of it, and by no page of another origin."""
    return (
        is_loopback(environ.get("REMOTE_ADDR", ""))
        and not any(name.startswith(_OF_PROXIES) for name in environ)
        and is_loopback(_host_of(f"//{environ.get('HTTP_HOST', '')}"))
        and (settings.public_url is None or is_loopback(_host_of(settings.public_url)))
        and is_same_origin(environ)
    )


def is_same_origin(environ: "WSGIEnvironment") -> bool:
    """Whether no page of another origin sent this; what is no browser says nothing about that."""
    own = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    return environ.get("HTTP_ORIGIN", own) == own and environ.get("HTTP_SEC_FETCH_SITE", "none") in (
        "none",
        "same-origin",
    )


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _check_token(authorization: str, token: str) -> None:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Unauthenticated("Missing or invalid control token.")
