"""The checks that change something: in a project of their own, in the order in which they can be made."""

from base64 import b64decode, b64encode
from typing import Any

from layers_standin.conform.bodies import PIXEL
from layers_standin.conform.check import (
    DELETE_PAGE,
    DOCUMENTATION,
    GUESS,
    PATCH_PAGE,
    WITH_KEY,
    Check,
    ask,
    field_error,
    refused,
)
from layers_standin.conform.expectations import ANY, AtMost, Expectation, Lacks, Lists, NewestFirst, Shows

_NEW_PROJECT = {"name": "Conformance {run}", "timezone": "UTC"}
_ONCE = WITH_KEY | {"Idempotency-Key": "conform-{run}"}
_REPLAY = "the same request under the same Idempotency-Key does nothing again, and gets the same reply"

_PROJECT = [
    refused("createProject", "no-name", "a name is required", {"timezone": "UTC"}, field_error("name")),
    refused("createProject", "no-zone", "a time zone is required", {"name": "x"}, field_error("timezone")),
    ask(
        "createProject",
        "",
        "a project is made",
        201,
        _NEW_PROJECT,
        Shows(_NEW_PROJECT | {"status": "active", "primaryLanguage": "en"}),
        headers=_ONCE,
        gives={"projectId": "/id", "project": ""},
    ),
    ask("createProject", "replay", _REPLAY, 201, _NEW_PROJECT, Shows("{project}"), headers=_ONCE),
    ask(
        "createProject",
        "replay-is-marked",
        "a replay says that it is one",
        201,
        _NEW_PROJECT,
        headers=_ONCE,
        source=GUESS,
        has={"Idempotent-Replayed": "true"},
    ),
    ask(
        "createProject",
        "other-body",
        "another body under the same Idempotency-Key is refused",
        "IdempotencyConflict",
        _NEW_PROJECT | {"name": "Another"},
        headers=_ONCE,
    ),
    ask(
        "createProject",
        "id-taken",
        "an id that is taken is refused",
        "ProjectIdTaken",
        _NEW_PROJECT | {"id": "{projectId}"},
    ),
    ask("getProject", "own", "it is as it was made", 200, None, Shows("{project}")),
    ask(
        "patchProject",
        "",
        "fields that are given are changed",
        200,
        {"name": "Conformance, {run}", "metadata": {"tier": "gold"}},
        Shows({"name": "Conformance, {run}", "metadata": {"tier": "gold"}, "timezone": "UTC"}),
    ),
    ask(
        "patchProject",
        "metadata",
        "metadata is replaced as a whole",
        200,
        {"metadata": {"colour": "blue"}},
        Shows({"metadata": {"colour": "blue"}}),
    ),
    refused("patchProject", "system-field", "a field of the system is refused", {"organizationId": "x"}),
    ask("getApprovalPolicy", "own", "it answers in the form that is told", 200, None),
    ask(
        "patchApprovalPolicy",
        "",
        "fields that are given are changed",
        200,
        {"requiresApproval": True},
        Shows({"requiresApproval": True}),
    ),
    refused("patchApprovalPolicy", "empty", "at least one field is required", {}),
    refused("patchApprovalPolicy", "out-of-range", "0 to 50 posts can be held back", {"firstNPostsBlocked": 51}),
    ask(
        "getProject",
        "approval",
        "the project shows its policy",
        200,
        None,
        Shows({"requiresApproval": True}),
    ),
    ask(
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
    ask("uploadInline", "", "a picture is kept", 201, _GIF, Shows(_GIF_SHOWN), gives={"picture": "/assetId"}),
    ask("uploadInline", "second", "a picture is kept", 201, _OTHER_GIF, gives={"otherPicture": "/assetId"}),
    refused(
        "uploadInline",
        "other-kind",
        "the type must fit the kind",
        _GIF | {"kind": "video"},
    ),
    refused(
        "uploadInline",
        "two-types",
        "two spellings of a field must not differ",
        _GIF | {"contentType": "image/png"},
    ),
    ask(
        "presignUpload",
        "",
        "an upload is promised",
        200,
        {"kind": "image", "mimeType": "image/gif"},
        gives={"uploadId": "/uploadId", "uploadUrl": "/uploadUrl"},
    ),
    ask(
        "finalizeUpload",
        "too-early",
        "it cannot be finalized before the bytes came",
        "UploadMissing",
        {"uploadId": "{uploadId}"},
    ),
    ask(
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
    ask(
        "finalizeUpload",
        "",
        "it becomes an asset",
        200,
        {"uploadId": "{uploadId}"},
        Shows({"kind": "image", "sizeBytes": len(_GIF_BYTES)}),
        gives={"uploaded": ""},
    ),
    ask(
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
    refused(
        "createInfluencer",
        "bad-enum",
        "a value that is none of the list is refused",
        _AVA | {"gender": "robot"},
        field_error("gender", _ENUM),
    ),
    refused("createInfluencer", "null", "null is refused here", _AVA | {"hairColor": None}, field_error("hairColor")),
    ask(
        "createInfluencer",
        "",
        "a job begins to make it",
        202,
        _AVA,
        Shows({"kind": "influencer_create"}),
        gives={"influencerId": "/influencerId", "jobId": "/jobId"},
    ),
    ask(
        "createInfluencer",
        "id-taken",
        "an id that is taken is refused",
        "InfluencerIdTaken",
        {"name": "Again", "influencerId": "{influencerId}"},
    ),
    ask(
        "getJob",
        "own",
        "it tells how far it is",
        200,
        None,
        Shows({"influencerId": "{influencerId}"}),
        gives={"tag": ":ETag"},
    ),
    ask("getInfluencer", "own", "it is there at once, as it was described", 200, None, Shows(_AVA)),
]


def _patch(name: str, must: str, body: Any, *then: Expectation, **more: Any) -> Check:
    return ask("patchInfluencer", name, must, 200, body, *then, **more)


def _no_patch(name: str, must: str, body: Any, details: Any = None, **more: Any) -> Check:
    return refused("patchInfluencer", name, must, body, details, **more)


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
    ask(
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
        "bad-enum", "a value that is none of the list is refused", {"gender": "robot"}, field_error("gender", _ENUM)
    ),
    _no_patch("wrong-type", "a value of another type is refused", {"vibe": 1}, field_error("vibe")),
    _no_patch("name-null", "a name cannot be cleared", {"name": None}, field_error("name")),
    _no_patch("name-empty", "a name has 1 to 128 characters", {"name": ""}, field_error("name")),
    _no_patch("name-129", "a name has 1 to 128 characters", {"name": "x" * 129}, field_error("name")),
    _no_patch("pictures", "pictures are not patched", {"referenceImages": []}, field_error("referenceImages")),
    _no_patch(
        "unknown-trait",
        "a trait that it does not know is refused",
        {"personality": {"mood": "x"}},
        field_error("personality"),
        source=GUESS,
    ),
    ask("patchInfluencer", "no-json", "a body that is no JSON is refused", "Invalid", None, data=b'{"vibe"'),
    _patch("name-128", "a name has 1 to 128 characters", {"name": "x" * 128}, Shows({"name": "x" * 128})),
]

_UNKNOWN_ASSET = "asset_00000000000000000000000000"


def _bind(name: str, must: str, assets: list[str], *bound: str) -> Check:
    expected = Lists("assetId", bound, (_UNKNOWN_ASSET,), "referenceImages")
    return ask("attachReferenceImages", name, must, 200, {"assetIds": assets}, expected)


def _no_bind(name: str, must: str, assets: Any, message: Any = ANY) -> Check:
    return refused("attachReferenceImages", name, must, {"assetIds": assets}, field_error("assetIds", message))


_IMAGES = [
    _no_bind("none", "at least one id is required", [], "Array must contain at least 1 element(s)"),
    _no_bind("21", "at most 20 ids are taken", [_UNKNOWN_ASSET] * 21),
    _no_bind("bad-id", "an id that cannot be one is refused", ["not an id"]),
    _bind("", "the picture is attached", ["{picture}"], "{picture}"),
    _bind("twice-in-a-call", "an id that comes twice is attached once", ["{otherPicture}"] * 2, "{otherPicture}"),
    _bind("again", "an id that is attached is not attached again", ["{picture}"], "{picture}"),
    _bind("unknown-id-drops-out", "ids that are no assets of the project drop out", [_UNKNOWN_ASSET]),
]

_CLONE = [
    ask(
        "cloneInfluencer",
        "",
        "a job begins to make a copy",
        202,
        {"name": "Ava's clone"},
        gives={"cloneId": "/influencerId", "cloneJobId": "/jobId"},
    ),
    ask(
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
    ask(
        "listInfluencers",
        "own",
        "both are listed",
        200,
        None,
        Lists("influencerId", ("{influencerId}", "{cloneId}")),
        NewestFirst("createdAt"),
    ),
    ask(
        "listInfluencers",
        "limit-1",
        "a page has no more items than the limit",
        200,
        None,
        AtMost(1),
        query={"limit": "1"},
        gives={"nextInfluencers": "/nextCursor", "firstInfluencer": "/items/0/influencerId"},
    ),
    ask(
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
    refused(
        "deleteInfluencer",
        "long-reason",
        "a reason has at most 1024 characters",
        {"reason": "x" * 1025},
        field_error("reason"),
    ),
    ask(
        "deleteInfluencer",
        "",
        "it is archived",
        200,
        {"reason": "A check of conformance."},
        Shows({"influencerId": "{influencerId}", "status": "deleted"}),
        gives={"gone": "/influencerId"},
    ),
    ask("deleteInfluencer", "again", "a second deletion is not found", "NotFound", {}, **_OF_THE_GONE),
    ask("getInfluencer", "deleted", _GONE, "NotFound", None, **_OF_THE_GONE),
    ask("patchInfluencer", "deleted", _GONE, "NotFound", {"vibe": "x"}, **_OF_THE_GONE),
    ask("cloneInfluencer", "deleted", _GONE, "NotFound", {"name": "x"}, **_OF_THE_GONE),
    ask("attachReferenceImages", "deleted", _GONE, "NotFound", {"assetIds": ["{picture}"]}, **_OF_THE_GONE),
    ask(
        "listInfluencers",
        "deleted",
        "what is deleted is not listed",
        200,
        None,
        Lists("influencerId", ("{cloneId}",), ("{gone}",)),
        source=DELETE_PAGE,
    ),
    ask(
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
    ask(
        "generateContent",
        "",
        "a job begins to make it",
        202,
        {"format": "slideshow_remix", "brief": {"topic": "conformance"}},
        Shows({"kind": "content_generate"}),
        gives={"containerId": "/containerId", "contentJobId": "/jobId"},
    ),
    ask(
        "getContent",
        "own",
        "it is there at once",
        200,
        None,
        Shows({"format": "slideshow_remix", "approvalStatus": "pending"}),
    ),
    ask("getContentProgress", "own", "it tells how far it is", 200, None, Shows({"containerId": "{containerId}"})),
    ask("listContent", "own", "it is listed", 200, None, Lists("id", ("{containerId}",))),
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
    ask(
        "deleteProject",
        "",
        "it is archived",
        200,
        None,
        Shows({"id": "{projectId}", "status": "archived"}),
        gives={"archived": "/id"},
    ),
    ask(
        "deleteProject",
        "again",
        "it can be archived again",
        200,
        None,
        Shows({"id": "{projectId}"}),
        ids={"projectId": "{archived}"},
    ),
    ask(
        "getProject",
        "archived",
        "it can still be read",
        200,
        None,
        Shows({"status": "archived"}),
        ids={"projectId": "{archived}"},
    ),
    ask(
        "createInfluencer",
        "archived-project",
        "nothing is made in an archived project",
        "ProjectIsArchived",
        {"name": "Late"},
        ids={"projectId": "{archived}"},
    ),
]

# The life of a project; what is made by rule comes between the two.
BEGINNING = [*_PROJECT, *_MEDIA, *_INFLUENCER, *_PATCH, *_IMAGES, *_CLONE]
END = [*_DELETE, *_CONTENT]
LAST = _ARCHIVE
