"""Access to the control plane: from this machine, or with the token; never from another origin's page in a browser."""

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from layers_standin.domain.errors import NotFound
from layers_standin.services import is_loopback
from layers_standin.settings import LOOPBACK, OFF, Settings
from layers_standin.web.errors import Forbidden, Refusal, Unauthenticated
from layers_standin.web.session import has_session

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Headers that proxies add begin so: a request through a proxy on this machine may come from anywhere.
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
    """Whether this request may use the control plane."""
    try:
        authorize(environ, settings)
    except (Refusal, NotFound):
        return False
    return True


def authorize(environ: "WSGIEnvironment", settings: Settings, signing_key: Callable[[], str] | None = None) -> None:
    """Return if the request may use the control plane. Raises NotFound when it is off, Forbidden, Unauthenticated.

    With a `signing_key`, a session of the console is as good as the token; see `web/session.py`.
    """
    if settings.control == OFF:
        raise NotFound("Not found.")
    if settings.control == LOOPBACK:
        if not is_from_here(environ, settings):
            raise Forbidden(
                "The control plane answers only on this machine; set STANDIN_CONTROL to a token to open it."
            )
    elif signing_key is None or not _is_signed_in(environ, settings, signing_key):
        _check_token(environ.get("HTTP_AUTHORIZATION", ""), settings.control)


def is_from_here(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether a request was sent from this machine, to a name of this machine, and by no page of another origin."""
    return (
        is_loopback(environ.get("REMOTE_ADDR", ""))
        and not any(name.startswith(_OF_PROXIES) for name in environ)
        and is_loopback(_host_of(f"//{environ.get('HTTP_HOST', '')}"))
        and (settings.public_url is None or is_loopback(_host_of(settings.public_url)))
        and (is_same_origin(environ) or is_visit(environ))
    )


def is_same_origin(environ: "WSGIEnvironment") -> bool:
    """Whether no page of another origin sent this. True for a client that is no browser: it sends no such header."""
    own = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    return environ.get("HTTP_ORIGIN", own) == own and environ.get("HTTP_SEC_FETCH_SITE", "none") in (
        "none",
        "same-origin",
    )


def is_visit(environ: "WSGIEnvironment") -> bool:
    """Whether a person followed a link here: that changes nothing, and the page with the link cannot read it."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST") == "document"
    )


def is_own_page(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether a browser says that one of our own pages sent this; False when the headers say nothing about it."""
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    return (
        (site, origin) != (None, None)
        and site in (None, "same-origin")
        and origin in (None, *_origins(environ, settings))
    )


def is_token(given: str, settings: Settings) -> bool:
    """Whether `given` is the token of the control plane."""
    return settings.control not in (OFF, LOOPBACK) and hmac.compare_digest(given.encode(), settings.control.encode())


def _origins(environ: "WSGIEnvironment", settings: Settings) -> list[str]:
    """Return our origins as browsers see them: that of the request, and STANDIN_PUBLIC_URL's (a proxy may end TLS)."""
    own = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    public = urlsplit(settings.public_url or own)
    return [own, f"{public.scheme}://{public.netloc}"]


def _is_signed_in(environ: "WSGIEnvironment", settings: Settings, signing_key: Callable[[], str]) -> bool:
    """Whether the request has a session of the console, and no page of another origin sent it."""
    is_reading = environ["REQUEST_METHOD"] in ("GET", "HEAD")
    return (
        "HTTP_AUTHORIZATION" not in environ
        and (is_own_page(environ, settings) or (is_reading and is_same_origin(environ)))
        and has_session(environ, signing_key, settings.control)
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
