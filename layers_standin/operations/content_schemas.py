"""The bodies and queries of content, approval and credits."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError

from layers_standin.domain.content import FORMATS, STATUSES
from layers_standin.domain.cursors import is_cursor
from layers_standin.domain.ids import UUID
from layers_standin.fields import (
    Array,
    AssetId,
    Boolean,
    Choice,
    Duration,
    Instant,
    Integer,
    Object,
    Pattern,
    QueryChoices,
    QueryNumber,
    Text,
)
from schemas import CURSOR, Patch, Query, Strict

_CONTAINER_ID = re.compile(rf"{UUID.pattern}|cnt_[0-7][0-9A-HJKMNP-TV-Z]{{25}}")


class Brief(Strict):
    """What the content is about, and who is in it."""

    topic = Text()
    angle = Text()
    cta = Text()
    hook = Text()
    language = Text()
    valuePropositions = Array(Text())
    themeTags = Array(Text())
    targetPlatforms = Array(Choice("tiktok", "instagram"))
    influencerId = Text(min=1)
    referenceMediaIds = Array(AssetId())


class References(Strict):
    """What the content may lean on."""

    sourcePostIds = Array(Text())
    assetIds = Array(AssetId())


class ContentGenerate(Strict):
    """generate: nothing is required; without a brief it is about nothing in particular."""

    id = Pattern(_CONTAINER_ID, "Invalid uuid")
    projectLayerId = Text(min=1)
    format = Choice(*FORMATS)
    variantCount = Integer(min=1, max=5)
    brief = Object(Brief)
    references = Object(References)


class ContentRegenerate(Strict):
    """regenerate: what differs from the brief before."""

    brief = Object(Brief)
    references = Object(References)
    preserveAssets = Boolean()


class ContentApproval(Strict):
    """approve: a note, for people."""

    note = Text(max=1024)


class ContentRejection(Strict):
    """reject: the reason."""

    reason = Text(min=1, max=1024, required=True)


class ReviewPeriod(Duration):
    """An ISO 8601 duration that is not negative; becomes (the text, milliseconds)."""

    json_schema: ClassVar[Mapping[str, Any]] = {
        "description": "As in ISO 8601, of weeks, days, hours, minutes and seconds: `PT15M`, `P1D`.",
        "pattern": Duration.json_schema["pattern"].replace("-?", ""),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            length_ms = super()._deserialize(value, attr, data, **kwargs)
        except ValidationError as error:
            raise ValidationError("Invalid duration" if isinstance(value, str) else error.messages) from error
        if value.startswith("-"):
            raise ValidationError("Invalid duration")
        return value, length_ms


class ApprovalPolicyPatch(Patch):
    """PATCH of a policy: at least one field."""

    requiresApproval = Boolean()
    firstNPostsBlocked = Integer(max=50, allow_none=True)
    autoApproveAfter = ReviewPeriod(allow_none=True)


class ContentQuery(Query):
    cursor = Pattern(is_cursor, "Invalid cursor", metadata=CURSOR)
    limit = QueryNumber(min=1, max=200, load_default=25)
    status = QueryChoices(*STATUSES)
    format = QueryChoices(*FORMATS)
    since = Instant()
    until = Instant()
