"""The contract as checks: each a request, what must come, and where the contract says so.

A text in braces, as in "{influencerId}", stands for a fact that an earlier reply has given; a check whose facts are not
known is not tried. The checks of all operations are made by rule from the OpenAPI document and the bodies of
`bodies.py`; those that are written out here are about what a reply means.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from layers_standin.conform.bodies import BODIES, PIXEL, Things
from layers_standin.conform.client import KEY
from layers_standin.conform.document import Told
from layers_standin.conform.expectations import ANY, AtMost, EachItem, Expectation, Lacks, Lists, NewestFirst, Shows
from layers_standin.openapi.document import camel_case
from layers_standin.openapi.examples import PATH_IDS

WITH_KEY = {"X-Api-Key": KEY}
UNKNOWN = "{unknown}"  # an id that nobody has
BILLED = {"generateContent": 50, "regenerateContent": 50}  # what a slideshow costs by the published list of prices

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
    the envelope of a refusal shows, `then` holds of the JSON of a reply. `gives` tells which facts it gives, by a pointer
    into the JSON, or the name of a header after a colon. `url` takes the place of the operation's own.
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
    return [*_KEYS, *_of_reads(gets), *_LISTS, *(check for told in gets for check in _refused_reads(told))]


def writing(operations: Iterable[Told]) -> list[Check]:
    """Return the checks of a project of our own, in the order in which they can be made."""
    changes = [told for told in operations if told.method != "GET" and told.path.startswith("/v1/") and told.takes_body]
    rules = [check for told in changes for check in _refused_changes(told)]
    unknown_fields = [check for told in changes for check in _unknown_field(told)]
    return [
        *_PROJECT,
        *_MEDIA,
        *_INFLUENCER,
        *_PATCH,
        *_IMAGES,
        *_CLONE,
        *unknown_fields,
        *_DELETE,
        *_CONTENT,
        *rules,
        *_ARCHIVE,
    ]


# By rule, for every operation


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
    yield from _unknown_thing(told, plain)
    if told.takes("query", "limit"):
        for title, query in {"limit-0": {"limit": "0"}, "limit-x": {"limit": "x"}, "cursor-x": {"cursor": "x"}}.items():
            must = "a query that is wrong is refused"
            yield replace(plain, name=f"{told.id}:{title}", must=must, expected=("Invalid",), query=query)


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


# Keys


def _whoami(name: str, must: str, expected: int | str, headers: Mapping[str, str], **more: Any) -> Check:
    return Check(
        f"whoami:{name}" if name else "whoami", "whoami", DOCUMENTATION, must, (expected,), headers=headers, **more
    )


_WRONG_KEY = f"lp_test_0000000000000000_{'0' * 43}"
_KEYS = [
    _whoami("", "it tells whose key it is", 200, WITH_KEY),
    _whoami("bearer", "a key may be sent as a Bearer token", 200, {"Authorization": f"Bearer {KEY}"}),
    _whoami("malformed-key", "a key that is none is refused", "Unauthenticated", {"X-Api-Key": "none"}),
    _whoami("unknown-key", "a key that is unknown is refused", "Unauthenticated", {"X-Api-Key": _WRONG_KEY}),
    _whoami(
        "two-keys",
        "of two keys that in X-Api-Key counts, also when it is wrong",
        "Unauthenticated",
        {"X-Api-Key": _WRONG_KEY, "Authorization": f"Bearer {KEY}"},
    ),
]

# Lists, of what the account has


def _list(name: str, must: str, query: Mapping[str, str], *then: Expectation, operation: str = "listProjects") -> Check:
    return Check(f"{operation}:{name}", operation, DOCUMENTATION, must, (200,), query=query, then=then)


def _bad_query(operation: str, name: str, query: Mapping[str, str]) -> Check:
    must = "a query that is wrong is refused"
    return Check(f"{operation}:{name}", operation, DOCUMENTATION, must, ("Invalid",), query=query)


_LISTS = [
    _list("newest-first", "the newest comes first", {}, NewestFirst("createdAt")),
    replace(
        _list("limit-1", "a page has no more items than the limit", {"limit": "1"}, AtMost(1)),
        gives={"first": "/items/0/id", "cursor": "/nextCursor"},
    ),
    _list(
        "next-page",
        "the next page goes on after the one before",
        {"limit": "1", "cursor": "{cursor}"},
        AtMost(1),
        Lists("id", absent=("{first}",)),
    ),
    _list("unknown-parameter", "a parameter that it does not know is ignored", {"unheardOf": "1"}),
    _list("archived", "the filter keeps others out", {"status": "archived"}, EachItem({"status": "archived"})),
    _bad_query("listProjects", "limit-201", {"limit": "201"}),
    _bad_query("listProjects", "status-x", {"status": "x"}),
    _bad_query("listInfluencers", "limit-101", {"limit": "101"}),
    _bad_query("listInfluencers", "status-x", {"status": "x"}),
    _list("newest-first", "the newest comes first", {}, NewestFirst("createdAt"), operation="listInfluencers"),
    _list("newest-first", "the newest comes first", {}, NewestFirst("createdAt"), operation="listContent"),
    Check(
        "getInstallUrl:stranger",
        "getInstallUrl",
        DOCUMENTATION,
        "a URL that is not on the list of allowed ones is refused",
        ("ReturnUrlNotAllowed",),
        query={"returnUrl": "https://conform.example/"},
    ),
]

# A project of our own


def _ask(
    operation: str, name: str, must: str, expected: int | str, body: Any, *then: Expectation, **more: Any
) -> Check:
    title = f"{operation}:{name}" if name else operation
    source = more.pop("source", REFERENCE.get(operation, DOCUMENTATION))
    return Check(title, operation, source, must, (expected,), body=body, then=then, **more)


def _refused(operation: str, name: str, must: str, body: Any, details: Any = None, **more: Any) -> Check:
    return _ask(operation, name, must, "Invalid", body, details=details, **more)


def _field_error(name: str, message: Any = ANY) -> dict[str, Any]:
    return {f"details.fieldErrors.{name}": ANY if message is ANY else [message]}


_NEW_PROJECT = {"name": "Conformance {run}", "timezone": "UTC"}
_ONCE = WITH_KEY | {"Idempotency-Key": "conform-{run}"}
_REPLAY = "the same request under the same Idempotency-Key does nothing again, and gets the same reply"

_PROJECT = [
    _refused("createProject", "no-name", "a name is required", {"timezone": "UTC"}, _field_error("name")),
    _refused("createProject", "no-zone", "a time zone is required", {"name": "x"}, _field_error("timezone")),
    _ask(
        "createProject",
        "",
        "a project is made",
        201,
        _NEW_PROJECT,
        Shows(_NEW_PROJECT | {"status": "active", "primaryLanguage": "en"}),
        headers=_ONCE,
        gives={"projectId": "/id", "project": ""},
    ),
    _ask("createProject", "replay", _REPLAY, 201, _NEW_PROJECT, Shows("{project}"), headers=_ONCE),
    _ask(
        "createProject",
        "replay-is-marked",
        "a replay says that it is one",
        201,
        _NEW_PROJECT,
        headers=_ONCE,
        source=GUESS,
        has={"Idempotent-Replayed": "true"},
    ),
    _ask(
        "createProject",
        "other-body",
        "another body under the same Idempotency-Key is refused",
        "IdempotencyConflict",
        _NEW_PROJECT | {"name": "Another"},
        headers=_ONCE,
    ),
    _ask(
        "createProject",
        "id-taken",
        "an id that is taken is refused",
        "ProjectIdTaken",
        _NEW_PROJECT | {"id": "{projectId}"},
    ),
    _ask("getProject", "own", "it is as it was made", 200, None, Shows("{project}")),
    _ask(
        "patchProject",
        "",
        "fields that are given are changed",
        200,
        {"name": "Conformance, {run}", "metadata": {"tier": "gold"}},
        Shows({"name": "Conformance, {run}", "metadata": {"tier": "gold"}, "timezone": "UTC"}),
    ),
    _ask(
        "patchProject",
        "metadata",
        "metadata is replaced as a whole",
        200,
        {"metadata": {"colour": "blue"}},
        Shows({"metadata": {"colour": "blue"}}),
    ),
    _refused("patchProject", "system-field", "a field of the system is refused", {"organizationId": "x"}),
    _ask("getApprovalPolicy", "own", "it answers in the form that is told", 200, None),
    _ask(
        "patchApprovalPolicy",
        "",
        "fields that are given are changed",
        200,
        {"requiresApproval": True},
        Shows({"requiresApproval": True}),
    ),
    _refused("patchApprovalPolicy", "empty", "at least one field is required", {}),
    _refused("patchApprovalPolicy", "out-of-range", "0 to 50 posts can be held back", {"firstNPostsBlocked": 51}),
    _ask(
        "getProject",
        "approval",
        "the project shows its policy",
        200,
        None,
        Shows({"requiresApproval": True}),
    ),
    _ask(
        "createOauthUrl",
        "stranger",
        "a URL that is not on the list of allowed ones is refused",
        "ReturnUrlNotAllowed",
        {"platform": "tiktok", "returnUrl": "https://conform.example/"},
    ),
]

# Its pictures

_GIF = {"kind": "reference_image", "mimeType": "image/gif", "dataBase64": PIXEL}
_OTHER_GIF = _GIF | {"dataBase64": b64encode(b64decode(PIXEL).replace(b"\xff" * 3, b"\x80" * 3)).decode()}
_GIF_SHOWN = {
    "kind": "reference_image",
    "mimeType": "image/gif",
    "contentType": "image/gif",
    "projectId": "{projectId}",
}
_GIF_BYTES = b64decode(PIXEL)

_MEDIA = [
    _ask("uploadInline", "", "a picture is kept", 201, _GIF, Shows(_GIF_SHOWN), gives={"picture": "/assetId"}),
    _ask("uploadInline", "second", "a picture is kept", 201, _OTHER_GIF, gives={"otherPicture": "/assetId"}),
    _refused(
        "uploadInline",
        "other-kind",
        "the type must fit the kind",
        _GIF | {"kind": "video"},
    ),
    _refused(
        "uploadInline",
        "two-types",
        "two spellings of a field must not differ",
        _GIF | {"contentType": "image/png"},
    ),
    _ask(
        "presignUpload",
        "",
        "an upload is promised",
        200,
        {"kind": "image", "mimeType": "image/gif"},
        gives={"uploadId": "/uploadId", "uploadUrl": "/uploadUrl"},
    ),
    _ask(
        "finalizeUpload",
        "too-early",
        "it cannot be finalized before the bytes came",
        "UploadMissing",
        {"uploadId": "{uploadId}"},
    ),
    _ask(
        "putUpload",
        "",
        "the bytes are taken",
        200,
        None,
        data=_GIF_BYTES,
        url="{uploadUrl}",
        headers={"Content-Type": "image/gif"},
        gives={"sent": ":status"},
    ),
    _ask(
        "finalizeUpload",
        "",
        "it becomes an asset",
        200,
        {"uploadId": "{uploadId}"},
        Shows({"kind": "image", "sizeBytes": len(_GIF_BYTES)}),
        gives={"uploaded": ""},
    ),
    _ask(
        "finalizeUpload",
        "again",
        "finalized again it is the same asset",
        200,
        {"uploadId": "{uploadId}"},
        Shows("{uploaded}"),
    ),
]

# Its influencers

_TRAITS = {"traits": ["curious", "warm"], "tone": "friendly"}
_AVA = {"name": "Ava Conform", "gender": "female", "ageRange": "25-34", "hairColor": "black", "personality": _TRAITS}
_ENUM = "Invalid enum value"

_INFLUENCER = [
    _refused(
        "createInfluencer",
        "bad-enum",
        "a value that is none of the list is refused",
        _AVA | {"gender": "robot"},
        _field_error("gender", _ENUM),
    ),
    _refused("createInfluencer", "null", "null is refused here", _AVA | {"hairColor": None}, _field_error("hairColor")),
    _ask(
        "createInfluencer",
        "",
        "a job begins to make it",
        202,
        _AVA,
        Shows({"kind": "influencer_create"}),
        gives={"influencerId": "/influencerId", "jobId": "/jobId"},
    ),
    _ask(
        "createInfluencer",
        "id-taken",
        "an id that is taken is refused",
        "InfluencerIdTaken",
        {"name": "Again", "influencerId": "{influencerId}"},
    ),
    _ask(
        "getJob",
        "own",
        "it tells how far it is",
        200,
        None,
        Shows({"influencerId": "{influencerId}"}),
        gives={"tag": ":ETag"},
    ),
    _ask("getInfluencer", "own", "it is there at once, as it was described", 200, None, Shows(_AVA)),
]


def _patch(name: str, must: str, body: Any, *then: Expectation, **more: Any) -> Check:
    return _ask("patchInfluencer", name, must, 200, body, *then, **more)


def _no_patch(name: str, must: str, body: Any, details: Any = None, **more: Any) -> Check:
    return _refused("patchInfluencer", name, must, body, details, **more)


_PATCH = [
    _patch("", "what is not named stays", {"vibe": "precise"}, Shows(_AVA | {"vibe": "precise"})),
    _patch(
        "merges-personality",
        "personality is merged, not replaced",
        {"personality": {"humor": "observational"}},
        Shows({"personality.tone": "friendly", "personality.humor": "observational"}),
    ),
    _patch(
        "replaces-lists",
        "the merge is shallow: a list is replaced as a whole",
        {"personality": {"traits": ["direct"]}},
        Shows({"personality.traits": ["direct"]}),
    ),
    _patch(
        "null-removes-trait",
        "null removes a key of personality",
        {"personality": {"humor": None}},
        Lacks("personality.humor"),
    ),
    _patch(
        "null-clears", "null clears a field", {"hairColor": None}, Shows({"hairColor": None}), gives={"patched": ""}
    ),
    _ask(
        "getInfluencer",
        "as-patched",
        "a patch answers with the whole record, as GET shows it",
        200,
        None,
        Shows("{patched}", ("status", "updatedAt")),
        source=PATCH_PAGE,
    ),
    _no_patch("empty", "at least one field is required", {}),
    _no_patch(
        "bad-enum", "a value that is none of the list is refused", {"gender": "robot"}, _field_error("gender", _ENUM)
    ),
    _no_patch("wrong-type", "a value of another type is refused", {"vibe": 1}, _field_error("vibe")),
    _no_patch("name-null", "a name cannot be cleared", {"name": None}, _field_error("name")),
    _no_patch("name-empty", "a name has 1 to 128 characters", {"name": ""}, _field_error("name")),
    _no_patch("name-129", "a name has 1 to 128 characters", {"name": "x" * 129}, _field_error("name")),
    _no_patch("pictures", "pictures are not patched", {"referenceImages": []}, _field_error("referenceImages")),
    _no_patch(
        "unknown-trait",
        "a trait that it does not know is refused",
        {"personality": {"mood": "x"}},
        _field_error("personality"),
        source=GUESS,
    ),
    _ask("patchInfluencer", "no-json", "a body that is no JSON is refused", "Invalid", None, data=b'{"vibe"'),
    _patch("name-128", "a name has 1 to 128 characters", {"name": "x" * 128}, Shows({"name": "x" * 128})),
]

_UNKNOWN_ASSET = "asset_00000000000000000000000000"


def _bind(name: str, must: str, assets: list[str], *bound: str) -> Check:
    expected = Lists("assetId", bound, (_UNKNOWN_ASSET,), "referenceImages")
    return _ask("attachReferenceImages", name, must, 200, {"assetIds": assets}, expected)


def _no_bind(name: str, must: str, assets: Any, message: Any = ANY) -> Check:
    return _refused("attachReferenceImages", name, must, {"assetIds": assets}, _field_error("assetIds", message))


_IMAGES = [
    _no_bind("none", "at least one id is required", [], "Array must contain at least 1 element(s)"),
    _no_bind("21", "at most 20 ids are taken", [_UNKNOWN_ASSET] * 21),
    _no_bind("bad-id", "an id that cannot be one is refused", ["not an id"]),
    _bind("", "the picture is attached", ["{picture}"], "{picture}"),
    _bind(
        "twice-in-a-call",
        "an id that comes twice is attached once",
        ["{otherPicture}"] * 2,
        "{picture}",
        "{otherPicture}",
    ),
    _bind("again", "an id that is attached stays where it is", ["{picture}"], "{picture}", "{otherPicture}"),
    _bind(
        "unknown-id-drops-out",
        "ids that are no assets of the project drop out",
        [_UNKNOWN_ASSET],
        "{picture}",
        "{otherPicture}",
    ),
]

_CLONE = [
    _ask(
        "cloneInfluencer",
        "",
        "a job begins to make a copy",
        202,
        {"name": "Ava's clone"},
        gives={"cloneId": "/influencerId", "cloneJobId": "/jobId"},
    ),
    _ask(
        "getInfluencer",
        "clone",
        "a copy has the pictures and the description",
        200,
        None,
        Shows({"name": "Ava's clone", "vibe": "precise"}),
        Lists("assetId", ("{picture}", "{otherPicture}"), where="referenceImages"),
        ids={"influencerId": "{cloneId}"},
    ),
    Check(
        "getJob:not-modified",
        "getJob",
        DOCUMENTATION,
        "an ETag of before is answered with 304, unless the job went on",
        (304, 200),
        headers=WITH_KEY | {"If-None-Match": "{tag}"},
    ),
    Check(
        "cancelJob",
        "cancelJob",
        DOCUMENTATION,
        "a job is canceled, unless it is over or too far",
        (202, 200, "JobNotCancelable"),
        ids={"jobId": "{cloneJobId}"},
    ),
    _ask(
        "listInfluencers",
        "own",
        "both are listed",
        200,
        None,
        Lists("influencerId", ("{influencerId}", "{cloneId}")),
        NewestFirst("createdAt"),
    ),
    _ask(
        "listInfluencers",
        "limit-1",
        "a page has no more items than the limit",
        200,
        None,
        AtMost(1),
        query={"limit": "1"},
        gives={"nextInfluencers": "/nextCursor", "firstInfluencer": "/items/0/influencerId"},
    ),
    _ask(
        "listInfluencers",
        "next-page",
        "the next page goes on after the one before",
        200,
        None,
        AtMost(1),
        Lists("influencerId", absent=("{firstInfluencer}",)),
        query={"limit": "1", "cursor": "{nextInfluencers}"},
    ),
]

_GONE = "what is deleted is not found"
_OF_THE_GONE: Any = {"ids": {"influencerId": "{gone}"}, "source": DELETE_PAGE}
_DELETE = [
    _refused(
        "deleteInfluencer",
        "long-reason",
        "a reason has at most 1024 characters",
        {"reason": "x" * 1025},
        _field_error("reason"),
    ),
    _ask(
        "deleteInfluencer",
        "",
        "it is archived",
        200,
        {"reason": "A check of conformance."},
        Shows({"influencerId": "{influencerId}", "status": "deleted"}),
        gives={"gone": "/influencerId"},
    ),
    _ask("deleteInfluencer", "again", "a second deletion is not found", "NotFound", {}, **_OF_THE_GONE),
    _ask("getInfluencer", "deleted", _GONE, "NotFound", None, **_OF_THE_GONE),
    _ask("patchInfluencer", "deleted", _GONE, "NotFound", {"vibe": "x"}, **_OF_THE_GONE),
    _ask("cloneInfluencer", "deleted", _GONE, "NotFound", {"name": "x"}, **_OF_THE_GONE),
    _ask("attachReferenceImages", "deleted", _GONE, "NotFound", {"assetIds": ["{picture}"]}, **_OF_THE_GONE),
    _ask(
        "listInfluencers",
        "deleted",
        "what is deleted is not listed",
        200,
        None,
        Lists("influencerId", ("{cloneId}",), ("{gone}",)),
        source=DELETE_PAGE,
    ),
    _ask(
        "deleteInfluencer",
        "no-body",
        "no body is needed",
        200,
        None,
        ids={"influencerId": "{cloneId}"},
        gives={"cloneGone": "/influencerId"},
    ),
]

# Content: one slideshow, which is canceled at once.

_CONTENT = [
    _ask(
        "generateContent",
        "",
        "a job begins to make it",
        202,
        {"format": "slideshow_remix", "brief": {"topic": "conformance"}},
        Shows({"kind": "content_generate"}),
        gives={"containerId": "/containerId", "contentJobId": "/jobId"},
    ),
    _ask(
        "getContent",
        "own",
        "it is there at once",
        200,
        None,
        Shows({"format": "slideshow_remix", "approvalStatus": "pending"}),
    ),
    _ask("getContentProgress", "own", "it tells how far it is", 200, None, Shows({"containerId": "{containerId}"})),
    _ask("listContent", "own", "it is listed", 200, None, Lists("id", ("{containerId}",))),
    Check(
        "cancelJob:content",
        "cancelJob",
        DOCUMENTATION,
        "a job is canceled, unless it is over or too far",
        (202, 200, "JobNotCancelable"),
        ids={"jobId": "{contentJobId}"},
    ),
]

_ARCHIVE = [
    _ask(
        "deleteProject",
        "",
        "it is archived",
        200,
        None,
        Shows({"id": "{projectId}", "status": "archived"}),
        gives={"archived": "/id"},
    ),
    _ask(
        "deleteProject",
        "again",
        "it can be archived again",
        200,
        None,
        Shows({"id": "{projectId}"}),
        ids={"projectId": "{archived}"},
    ),
    _ask(
        "getProject",
        "archived",
        "it can still be read",
        200,
        None,
        Shows({"status": "archived"}),
        ids={"projectId": "{archived}"},
    ),
    _ask(
        "createInfluencer",
        "archived-project",
        "nothing is made in an archived project",
        "ProjectIsArchived",
        {"name": "Late"},
        ids={"projectId": "{archived}"},
    ),
]
