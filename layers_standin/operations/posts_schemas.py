"""The schemas of scheduled posts."""

from layers_standin.domain.cursors import is_cursor
from layers_standin.domain.posts import ALL_MODES, STATUSES
from layers_standin.fields import Array, Choice, Instant, Object, Pattern, PostId, QueryChoices, QueryNumber, Text
from schemas import CURSOR, Query, Strict

MAX_TARGETS = 50
MAX_CAPTION = 2200  # as on both platforms


class Target(Strict):
    """An account to post to, and how."""

    socialAccountId = Text(required=True)
    mode = Choice(*ALL_MODES, required=True)
    scheduledPostId = PostId()
    captionOverride = Text(max=MAX_CAPTION)
    firstCommentOverride = Text(max=MAX_CAPTION)


class PublishContent(Strict):
    """publish: the targets."""

    targets = Array(Object(Target), min=1, max=MAX_TARGETS, required=True)


class ScheduleContent(PublishContent):
    """schedule: the time and the targets."""

    scheduledFor = Instant(required=True)


class Reschedule(Strict):
    """reschedule: the new time."""

    scheduledFor = Instant(required=True)


class PostCancellation(Strict):
    """DELETE of a post: the reason."""

    reason = Text(max=1024)


class ScheduledPostQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=100, load_default=50)
    status = QueryChoices(*STATUSES)
    socialAccountId = Text()
    since = Instant()
    until = Instant()
