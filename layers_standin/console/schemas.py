"""Schemas of the pages' queries."""

from marshmallow import EXCLUDE

from layers_standin.console.pages import ARCHIVED, STATUSES
from layers_standin.control.schemas import RequestQuery
from layers_standin.domain.cursors import is_cursor
from layers_standin.fields import Choice, Pattern, QueryNumber, Text
from layers_standin.web.logs.requests import MOST_ENTRIES
from schemas import Query


class OverviewQuery(Query):
    """The organization and project, the status, and the cursor."""

    organization = Text()
    project = Text()
    status = Choice(*STATUSES, ARCHIVED)
    cursor = Pattern(is_cursor, "Invalid cursor")


class ControlsQuery(Query):
    """The organization; all when it is left out."""

    organization = Text()


class LogQuery(RequestQuery):
    """As the control plane's, with a smaller default limit: the page is refreshed all the time."""

    class Meta(RequestQuery.Meta):
        unknown = EXCLUDE

    limit = QueryNumber(min=1, max=MOST_ENTRIES, load_default=50)
