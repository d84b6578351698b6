"""The schemas of webhook endpoints and deliveries."""

from typing import Any

from layers_standin.domain.cursors import is_cursor
from layers_standin.domain.deliveries import STATUSES as DELIVERY_STATUSES
from layers_standin.domain.endpoints import ACTIVE, PAUSED, STATUSES
from layers_standin.domain.events import TYPES
from layers_standin.fields import Array, Choice, Metadata, Pattern, QueryNumber, Text
from schemas import CURSOR, Patch, Query, Strict

MAX_URL = 2048
MAX_PAYLOAD = 65_536

_PAYLOAD = {"description": "Anything, as long as it is at most 65536 bytes of JSON."}


class EndpointUrl(Text):
    """The URL that events are posted to; whether it may be is looked at where the settings are known."""

    def __init__(self, **kwargs: Any) -> None:
        about = {
            "format": "uri",
            "description": "An address of this machine, unless STANDIN_WEBHOOK_TARGETS is `any`.",
            "example": "http://localhost:9000/webhooks",
        }
        super().__init__(min=1, max=MAX_URL, metadata=about, **kwargs)


def _types(**kwargs: Any) -> Array:
    return Array(Choice(*TYPES), min=1, max=50, **kwargs)


class EndpointCreate(Strict):
    """webhook-endpoints: the URL and the types of events; with a project, only of that."""

    url = EndpointUrl(required=True)
    events = _types(required=True)
    description = Text(max=1024)
    projectId = Text()


class EndpointPatch(Patch):
    """PATCH of an endpoint: a list of events replaces the list, null clears the description."""

    url = EndpointUrl()
    events = _types()
    description = Text(max=1024, allow_none=True)
    status = Choice(ACTIVE, PAUSED)


class TestEvent(Strict):
    """test: the data of the event."""

    __test__ = False  # for pytest, which takes it for a class of tests

    payload = Metadata(max=MAX_PAYLOAD, metadata=_PAYLOAD)


class EndpointQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=100, load_default=25)
    projectId = Text()
    status = Choice(*STATUSES)


class DeliveryQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=100, load_default=25)
    eventType = Choice(*TYPES)
    status = Choice(*DELIVERY_STATUSES)
