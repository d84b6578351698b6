"""What may stand behind the question mark of a page."""

from marshmallow import EXCLUDE

from console.pages import ARCHIVED, STATUSES
from control.schemas import RequestQuery
from records.cursors import is_cursor
from schema_fields import Choice, Matching, QueryNumber, Text
from schemas import Query
from web.request_log import MOST_ENTRIES


class OverviewQuery(Query):
    """Whose influencers, which of them, and from where on."""

    organization = Text()
    project = Text()
    status = Choice(*STATUSES, ARCHIVED)
    cursor = Matching(is_cursor, "Invalid cursor")


class ControlsQuery(Query):
    """Of which organization; of all when none is said."""

    organization = Text()


class LogQuery(RequestQuery):
    """As the control plane's, but fewer unless more are asked for: they are looked at, and over and over."""

    class Meta(RequestQuery.Meta):
        unknown = EXCLUDE

    limit = QueryNumber(least=1, most=MOST_ENTRIES, load_default=50)
