"""What may stand behind the question mark of a page."""

from marshmallow import EXCLUDE

from layers_standin.console.pages import ARCHIVED, STATUSES
from layers_standin.control.schemas import RequestQuery
from layers_standin.domain.cursors import is_cursor
from layers_standin.fields import Choice, Pattern, QueryNumber, Text
from layers_standin.web.logs.requests import MOST_ENTRIES
from schemas import Query


class OverviewQuery(Query):
    """Whose influencers, which of them, and from where on."""

    organization = Text()
    project = Text()
    status = Choice(*STATUSES, ARCHIVED)
    cursor = Pattern(is_cursor, "Invalid cursor")


class ControlsQuery(Query):
    """Of which organization; of all when none is said."""

    organization = Text()


class LogQuery(RequestQuery):
    """As the control plane's, but fewer unless more are asked for: they are looked at, and over and over."""

    class Meta(RequestQuery.Meta):
        unknown = EXCLUDE

    limit = QueryNumber(min=1, max=MOST_ENTRIES, load_default=50)
