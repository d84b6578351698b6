"""A check: a request, what must come, and where the contract says so.

A text in braces, as in "{influencerId}", stands for a fact that an earlier reply has given; a check whose facts are not
known is not tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from layers_standin.conform.client import KEY
from layers_standin.conform.expectations import ANY, Expectation
from layers_standin.domain.credits import PRICES

WITH_KEY = {"X-Api-Key": KEY}
UNKNOWN = "{unknown}"  # an id that nobody has
BILLED = dict.fromkeys(["generateContent", "regenerateContent"], PRICES["slideshow_remix"])  # what is made here is one

# Where the contract says it: a page of the API's reference, the documentation beside it, or a guess of this stand-in.
PATCH_PAGE = "reference: Patch an influencer"
DELETE_PAGE = "reference: Delete an influencer"
IMAGES_PAGE = "reference: Bind reference images"
DOCUMENTATION = "documentation"
GUESS = "guess"

REFERENCE = {"patchInfluencer": PATCH_PAGE, "deleteInfluencer": DELETE_PAGE, "attachReferenceImages": IMAGES_PAGE}


@dataclass(frozen=True)
class Check:
    """A request to an operation, and what must come.

    `expected` are statuses of replies, and names of refusals as in `openapi/errors.py`: one of them. `details` are what
    the envelope of a refusal shows, `then` holds of the JSON of a reply, `has` are headers. `gives` names the facts
    that it gives: by a pointer into the JSON, or a header's name after a colon. `url` stands for the operation's own.
    """

    name: str
    operation: str
    source: str
    must: str
    expected: tuple[int | str, ...]
    body: Any = None
    data: bytes | None = None
    url: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: WITH_KEY)
    ids: Mapping[str, str] = field(default_factory=dict)
    details: Any = None
    then: tuple[Expectation, ...] = ()
    has: Mapping[str, str] = field(default_factory=dict)
    gives: Mapping[str, str] = field(default_factory=dict)


def ask(operation: str, name: str, must: str, expected: int | str, body: Any, *then: Expectation, **more: Any) -> Check:
    """Return a check of that name among those of an operation; the plain one has none."""
    title = f"{operation}:{name}" if name else operation
    source = more.pop("source", REFERENCE.get(operation, DOCUMENTATION))
    return Check(title, operation, source, must, (expected,), body=body, then=then, **more)


def refused(operation: str, name: str, must: str, body: Any, details: Any = None, **more: Any) -> Check:
    return ask(operation, name, must, "Invalid", body, details=details, **more)


def field_error(name: str, message: Any = ANY) -> dict[str, Any]:
    return {f"details.fieldErrors.{name}": ANY if message is ANY else [message]}
