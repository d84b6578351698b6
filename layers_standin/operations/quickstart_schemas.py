"""The bodies and queries of a partner's first script."""

import re
from urllib.parse import urlsplit

from layers_standin.domain.cursors import is_cursor
from layers_standin.fields import Array, Boolean, Integer, Metadata, Pattern, QueryNumber, Text
from layers_standin.operations.social_schemas import ReturnUrl
from schemas import CURSOR, MAX_SAFE_INTEGER, Query, Strict

_MAX_STATE = 512
_REPOSITORY = re.compile(r"[0-9A-Za-z](-?[0-9A-Za-z]){0,38}/[0-9A-Za-z._-]{1,100}")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")


def _is_website(text: str) -> bool:
    """Whether a text is the URL of a website; a user name and a password have no place in it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # no IPv6 address in brackets, or no port
        return False
    has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    return has_host and "@" not in parts.netloc and _NOT_IN_URL.search(text) is None


class InstallUrlQuery(Query):
    returnUrl = ReturnUrl(required=True)
    state = Text(min=1, max=_MAX_STATE)


class InstallationRegistration(Strict):
    """registration: the installation that the page has sent back."""

    installationId = Integer(min=1, max=MAX_SAFE_INTEGER, required=True)
    state = Text(min=1, max=_MAX_STATE, required=True)


class RepositoryQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=200, load_default=30)
    search = Text()


class GitHubIngest(Strict):
    """ingest: a repository of the installation, and what becomes of the pull request."""

    repoFullName = Pattern(_REPOSITORY, "Invalid repoFullName", required=True)
    branch = Text(min=1, max=255)
    openPR = Boolean()
    platforms = Array(Text(min=1, max=64), max=10)
    sdkConfig = Metadata(max=8192, metadata={"description": "Anything, at most 8192 bytes of JSON."})
    prTitle = Text(min=1, max=256)
    prBody = Text(max=65_536)


class WebsiteIngest(Strict):
    """ingest: a website."""

    url = Pattern(_is_website, "Invalid url", max=2048, required=True, metadata={"format": "uri"})
    followLinks = Boolean()
    maxPages = Integer(min=1, max=25)
