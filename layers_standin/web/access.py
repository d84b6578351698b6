"""Access to the control plane: from this machine, or with the token; never from another origin's page in a browser."""

import hmac
import re
from collections.abc import Callable
from socket import AF_UNIX
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from layers_standin.domain.errors import NotFound
from layers_standin.services import is_loopback
from layers_standin.settings import LOOPBACK, OFF, Settings
from layers_standin.web.disconnect import client_socket
from layers_standin.web.errors import Forbidden, Refusal, Unauthenticated
from layers_standin.web.session import has_session

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Headers that proxies and content delivery networks add begin so, as WSGI spells them.
_OF_PROXIES = tuple(
    f"HTTP_{name}"
    for name in (
        "CDN_LOOP",
        "CF_",
        "CLIENT_IP",
        "FASTLY_",
        "FLY_",
        "FORWARDED",
        "PROXY_",
        "TRUE_CLIENT_IP",
        "VIA",
        "X_CLIENT_IP",
        "X_CLUSTER_CLIENT_IP",
        "X_ENVOY_",
        "X_FORWARD",
        "X_HOST",
        "X_ORIGINAL_",
        "X_PROXY",
        "X_REAL_IP",
        "X_REMOTE_",
        "X_SCHEME",
    )
)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9a-z._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}

_ONLY_HERE = "The control plane answers only on this machine"
ELSEWHERE = f"{_ONLY_HERE}, and this request came from another one: set STANDIN_CONTROL to a token to open it."
PROXIED = f"{_ONLY_HERE}, and a proxy is between: set STANDIN_CONTROL to a token to open it."
OTHER_HOST = (
    f"{_ONLY_HERE}, at the address that it listens on: list another name of it in STANDIN_CONTROL_HOSTS, or set "
    "STANDIN_CONTROL to a token."
)
OTHER_ORIGIN = (
    "The control plane answers no page of another origin: list the origin in STANDIN_CONTROL_ORIGINS to allow it."
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
        if (reason := why_closed(environ, settings)) is not None:
            raise Forbidden(reason)
    elif signing_key is None or not _is_signed_in(environ, settings, signing_key):
        _check_token(environ.get("HTTP_AUTHORIZATION", ""), settings)


def why_closed(environ: "WSGIEnvironment", settings: Settings) -> str | None:
    """Return the reason to refuse a request where there is no token; None if a program of this machine sent it.

    A page in a browser is no such program, unless its origin is ours or in STANDIN_CONTROL_ORIGINS.
    """
    if not is_unix_socket(environ) and not is_loopback(environ.get("REMOTE_ADDR") or ""):
        return ELSEWHERE
    if is_proxied(environ, settings):
        return PROXIED
    if not _is_own_host(environ, settings):
        return OTHER_HOST
    if not (is_same_origin(environ) or is_allowed_origin(environ, settings) or is_visit(environ)):
        return OTHER_ORIGIN
    return None


def is_unix_socket(environ: "WSGIEnvironment") -> bool:
    """Whether a request came over a unix socket, which only programs of this machine can open."""
    connection = client_socket(environ)
    return connection is not None and connection.family == AF_UNIX


def is_proxied(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether anything shows that a proxy may have passed the request on, and so that it may come from anywhere."""
    return (
        any(name.startswith(_OF_PROXIES) for name in environ)
        or "PROXY_PROTOCOL" in environ
        # Plain nginx adds no header and names us as the host, but speaks the old version, as hardly any client does.
        or environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
        or not (settings.public_url is None or is_loopback(urlsplit(settings.public_url).hostname or ""))
    )


def _is_own_host(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether the Host header is the address that the request came to: another one is a proxy's, or a rebound name."""
    match = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
    if match is None:
        return False
    name, port = match[1].lower(), int(match[2] or _DEFAULT_PORTS[environ["wsgi.url_scheme"]])
    is_own_port = is_unix_socket(environ) or str(port) == environ["SERVER_PORT"]
    return name in settings.control_hosts or (is_own_port and is_loopback(name))


def is_same_origin(environ: "WSGIEnvironment") -> bool:
    """Whether no page of another origin sent this. True for a client that is no browser: it sends no such header."""
    own = _origin(environ)
    return environ.get("HTTP_ORIGIN", own) == own and environ.get("HTTP_SEC_FETCH_SITE", "none") in (
        "none",
        "same-origin",
    )


def is_allowed_origin(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether a page of an origin in STANDIN_CONTROL_ORIGINS sent this: browsers let no page name another's origin."""
    return environ.get("HTTP_ORIGIN") in settings.control_origins


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


def is_foreign_page(environ: "WSGIEnvironment", settings: Settings) -> bool:
    """Whether a page of another origin sent this; False for a client that is no browser, which says nothing of it."""
    return ("HTTP_SEC_FETCH_SITE" in environ or "HTTP_ORIGIN" in environ) and not is_own_page(environ, settings)


def is_token(given: str, settings: Settings) -> bool:
    """Whether `given` is the token of the control plane."""
    return settings.control not in (OFF, LOOPBACK) and hmac.compare_digest(given.encode(), settings.control.encode())


def _origin(environ: "WSGIEnvironment") -> str:
    return f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"


def _origins(environ: "WSGIEnvironment", settings: Settings) -> list[str]:
    """Return our origins as browsers see them: that of the request, and STANDIN_PUBLIC_URL's (a proxy may end TLS)."""
    own = _origin(environ)
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


def _check_token(authorization: str, settings: Settings) -> None:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer" or not is_token(given.strip(), settings):
        raise Unauthenticated("Missing or invalid control token.")
