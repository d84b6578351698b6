"""The addresses that people are sent back to after a consent: only those of the allow-list, or we would redirect
anybody to anywhere.
"""

import re
from urllib.parse import urlencode, urlsplit

from layers_standin.services import is_loopback
from layers_standin.settings import Settings
from layers_standin.web.errors import ReturnUrlNotAllowed

MAX_RETURN_URL = 2048
NOT_ALLOWED = "The returnUrl is not on the allow-list: it may be a loopback address, or one of STANDIN_RETURN_ORIGINS."

# No user name, backslash or control character: browsers and urlsplit must see the same host.
_RETURN_URL = re.compile(
    r"https?://([0-9a-z_-]{1,63}(\.[0-9a-z_-]{1,63})*\.?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
    r"([/?#][!#-;=?-\[\]^_a-z{|}~]*)?",
    re.IGNORECASE | re.ASCII,
)


def is_return_url(text: str) -> bool:
    """Whether a text is the address of a page, of any host."""
    try:
        return _RETURN_URL.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:  # no IPv6 address in brackets, or a port beyond the last
        return False


def check_return_url(url: str, settings: Settings) -> None:
    """Raises ReturnUrlNotAllowed unless the address is one of this machine, or its origin in STANDIN_RETURN_ORIGINS.

    `url` is one for which `is_return_url` is true.
    """
    parts = urlsplit(url)
    host, origin = parts.hostname or "", f"{parts.scheme}://{parts.netloc}".lower()
    is_here = is_loopback(host) or host.endswith(".localhost")
    if not (is_here or origin in settings.return_origins):
        raise ReturnUrlNotAllowed(NOT_ALLOWED)


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def with_query(url: str, **query: str) -> str:
    """Return the address with more parameters at the end of its query."""
    parts = urlsplit(url)
    return parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))).geturl()
