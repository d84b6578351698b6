"""The schemas of social accounts."""

from typing import Any

from layers_standin.domain.cursors import is_cursor
from layers_standin.domain.social import PLATFORMS, STATUSES
from layers_standin.fields import Array, Choice, Pattern, QueryNumber, Text
from layers_standin.web.return_urls import MAX_RETURN_URL, is_return_url
from schemas import CURSOR, Query, Strict


class ReturnUrl(Pattern):
    """The address of a page of the client's, to which a person is sent back; see `web/return_urls.py`."""

    def __init__(self, **kwargs: Any) -> None:
        about = {
            "format": "uri",
            "description": "An address on this machine, or of STANDIN_RETURN_ORIGINS.",
            "example": "http://localhost:3000/back",
        }
        super().__init__(is_return_url, "Invalid url", max=MAX_RETURN_URL, metadata=about, **kwargs)


class OauthUrl(Strict):
    """oauth-url: the platform, and where the person is sent back."""

    platform = Choice(*PLATFORMS, required=True)
    returnUrl = ReturnUrl(required=True)
    scopes = Array(Text(min=1, max=128), max=50)
    usageNote = Text(max=1024)


class SocialAccountQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=200, load_default=50)
    platform = Choice(*PLATFORMS)
    status = Choice(*STATUSES)
    leased = Choice("true", "false")
