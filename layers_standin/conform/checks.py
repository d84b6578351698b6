"""All the checks: those that are written out, and by rule the same few for every operation of the OpenAPI document."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from layers_standin.conform.bodies import BODIES, Things
from layers_standin.conform.check import DOCUMENTATION, REFERENCE, UNKNOWN, Check
from layers_standin.conform.document import Told
from layers_standin.conform.reads import KEYS, LISTS
from layers_standin.conform.writes import BEGINNING, END, LAST
from layers_standin.openapi.document import camel_case
from layers_standin.openapi.examples import PATH_IDS

# What cannot be tried, and why.
NOT_TRIED: dict[str, str] = {
    "killKey": "it would switch off a key of the account",
    "rotateKey": "it would replace a key of the account",
    "deleteKey": "it would retire a key of the account",
    "registerInstallation": "it would replace the installation of the account",
    "deleteSocialAccount": "it would disconnect an account in which somebody publishes",
    "scheduleContent": "it would publish to an account of somebody",
    "publishContent": "it would publish to an account of somebody",
    "reschedulePost": "it needs a post that waits to be published",
    "cancelScheduledPost": "it needs a post that waits to be published",
    "ingestGithub": "it would read a repository of somebody",
    "ingestWebsite": "it would read a website of somebody",
    "createWebhookEndpoint": "it would send events to an address that has to be somebody's",
    "patchWebhookEndpoint": "it needs an endpoint that nobody uses",
    "deleteWebhookEndpoint": "it needs an endpoint that nobody uses",
    "rotateWebhookSecret": "it needs an endpoint that nobody uses",
    "testWebhookEndpoint": "it needs an endpoint that nobody uses",
    "replayWebhookDelivery": "it would send an event again",
    "approveContent": "it needs content that waits for approval",
    "rejectContent": "it needs content that waits for approval",
    "regenerateContent": "it costs credits, and needs content that is completed",
    "getInstallUrl": "it needs a URL that the account allows to be sent back to",
    "createOauthUrl": "it needs a URL that the account allows to be sent back to",
    "getOauthStatus": "it needs a consent under way",
    "getMedia": "it is told of the stand-in alone: the real API serves files elsewhere",
}


def reading(operations: Iterable[Told]) -> list[Check]:
    """Return the checks that change nothing: they only ask with GET."""
    gets = [told for told in operations if told.method == "GET" and told.path.startswith("/v1/")]
    return [*KEYS, *_of_reads(gets), *LISTS, *(check for told in gets for check in _refused_reads(told))]


def writing(operations: Iterable[Told]) -> list[Check]:
    """Return the checks of a project of our own, in the order in which they can be made."""
    changes = [told for told in operations if told.method != "GET" and told.path.startswith("/v1/") and told.takes_body]
    rules = [check for told in changes for check in _refused_changes(told)]
    unknown_fields = [check for told in changes for check in _unknown_field(told)]
    return [*BEGINNING, *unknown_fields, *END, *rules, *LAST]


# By rule, for every operation


_QUERIES = {"listProjects": {"status": "active"}}  # what is read is in a project that is


def _of_reads(gets: Iterable[Told]) -> Iterator[Check]:
    """Yield the plain request of each read, the lists first: they give the ids for the others."""
    for told in sorted(gets, key=_depth):
        if told.id in NOT_TRIED or told.id == "whoami":
            continue
        maybe_none = ("NotFound",) if told.tag == "GitHub" else ()  # when no installation is registered
        yield Check(
            told.id,
            told.id,
            DOCUMENTATION,
            "it answers in the form that is told",
            (200, *maybe_none),
            query=_QUERIES.get(told.id, {}),
            gives=_given(told),
        )


def _depth(told: Told) -> int:
    return len(told.values) * 2 + (not told.id.startswith("list")) if told.values else not told.id.startswith("list")


def _given(told: Told) -> dict[str, str]:
    """Return the facts that a reply gives, as the links of the document tell."""
    links = told.facts["responses"]["200"].get("links", {}).values()
    pointers = {name: at for link in links for name, at in link.get("parameters", {}).items()}
    own = {name: at.partition("#")[2] for name, at in pointers.items() if at.startswith("$response.body#/")}
    return {name: at for name, at in own.items() if name in PATH_IDS and at != "/nextCursor"}


def _refused_reads(told: Told) -> Iterator[Check]:
    plain = Check(told.id, told.id, DOCUMENTATION, "", (200,), query=told.query)
    yield replace(
        plain,
        name=f"{told.id}:no-key",
        must="without a key it is refused",
        expected=("Unauthenticated",),
        headers={},
        ids=dict.fromkeys(told.values, UNKNOWN),
    )
    yield from _no_scope(told, plain)
    yield from _unknown_thing(told, plain)
    if told.takes("query", "limit"):
        for title, query in {"limit-0": {"limit": "0"}, "limit-x": {"limit": "x"}, "cursor-x": {"cursor": "x"}}.items():
            must = "a query that is wrong is refused"
            yield replace(plain, name=f"{told.id}:{title}", must=must, expected=("Invalid",), query=query)


def _no_scope(told: Told, plain: Check) -> Iterator[Check]:
    if told.scope:
        yield replace(
            plain,
            name=f"{told.id}:no-scope",
            source=REFERENCE.get(told.id, DOCUMENTATION),
            must="with a key that lacks its scope it is refused",
            expected=("ForbiddenScope",),
            ids=dict.fromkeys(told.values, UNKNOWN),
        )


def _unknown_thing(told: Told, plain: Check) -> Iterator[Check]:
    if told.values:
        yield replace(
            plain,
            name=f"{told.id}:unknown-id",
            source=REFERENCE.get(told.id, DOCUMENTATION),
            must="an id that nobody has is not found",
            expected=("NotFound",),
            ids=dict.fromkeys(told.values, UNKNOWN),
        )


_TEMPLATES = Things._make(f"{{{camel_case(name)}}}" for name in Things._fields)
_BODIES = {camel_case(name): bodies(_TEMPLATES) for name, bodies in BODIES.items()}
_UNKNOWNS = Things._make(UNKNOWN for _ in Things._fields)
_BODIES_OF_UNKNOWN = {camel_case(name): bodies(_UNKNOWNS) for name, bodies in BODIES.items()}


def _refused_changes(told: Told) -> Iterator[Check]:
    """Yield what is refused without anything of the account being named."""
    plain = Check(told.id, told.id, DOCUMENTATION, "", (200,), body=_BODIES_OF_UNKNOWN[told.id][0])
    unknown = dict.fromkeys(told.values, UNKNOWN)
    yield replace(
        plain,
        name=f"{told.id}:no-key",
        must="without a key it is refused",
        expected=("Unauthenticated",),
        headers={},
        ids=unknown,
    )
    yield from _no_scope(told, plain)
    yield from _unknown_thing(told, plain)


# The operations whose bodies can be tried on things of our own; where the id is taken from, if it is not the usual one.
_STRICT: dict[str, dict[str, str]] = {
    "patchInfluencer": {},
    "deleteInfluencer": {"influencerId": "{cloneId}"},
    "attachReferenceImages": {},
    "createInfluencer": {},
    "cloneInfluencer": {},
    "createProject": {},
    "patchProject": {},
    "presignUpload": {},
    "finalizeUpload": {},
    "uploadInline": {},
    "patchApprovalPolicy": {},
    "createOauthUrl": {},
    "createWebhookEndpoint": {},
    "generateContent": {},
}


def _unknown_field(told: Told) -> Iterator[Check]:
    if told.id in _STRICT:
        yield Check(
            f"{told.id}:unknown-field",
            told.id,
            REFERENCE.get(told.id, DOCUMENTATION),
            "a field that it does not know is refused",
            ("Invalid",),
            body={"unheardOf": True},
            ids=_STRICT[told.id],
        )
