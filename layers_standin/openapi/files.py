"""The routes for files, which are no operations: they need no key, the URL itself is the permission."""

from typing import Any

from layers_standin.openapi import examples
from layers_standin.openapi.document import header_parameter, path_parameter
from layers_standin.openapi.errors import ERRORS, error_responses
from layers_standin.openapi.headers import headers
from layers_standin.openapi.json_schema import text
from schemas import FAMILIES

_BYTES: dict[str, Any] = {"schema": text(format="binary")}


def _route(name: str, summary: str, about: str, **more: Any) -> dict[str, Any]:
    """Return a route for files as an operation object of OpenAPI."""
    known = {"operationId": name, "summary": summary, "description": about, "tags": ["Media"], "security": []}
    return known | more


def _errors(endpoint_class: str, *names: str) -> dict[str, Any]:
    return error_responses({name: ERRORS[name] for name in names}, lambda _: headers(endpoint_class))


def _sent(about: str, **more: Any) -> dict[str, Any]:
    """Return the response with a file, or with a file's headers."""
    return {"description": about, "headers": headers("read-light", "ETag")} | more


_UPLOAD = _route(
    "putUpload",
    "Send the bytes of a presigned upload",
    "To the `uploadUrl` of presignUpload, with its `headers`, within 15 minutes.",
    parameters=[path_parameter("signature", "The end of `uploadUrl`")],
    requestBody={"required": True, "content": {f"{family}*": _BYTES for family in FAMILIES}},
    responses={
        "200": {"description": "The bytes are there.", "headers": headers("write-light", "ETag")},
        **_errors(
            "write-light",
            *("Forbidden", "NotFound", "UploadFinalized", "PayloadTooLarge", "Invalid", "Internal", "Unavailable"),
        ),
    },
)
_MEDIA = _route(
    "getMedia",
    "Return a file, its thumbnail, or a portrait",
    "What `url` and `thumbnailUrl` stand for: public, unguessable, and the same for ever.",
    parameters=[
        path_parameter("organization", "Organization id", examples.ORGANIZATION),
        path_parameter("owner", "Asset or influencer id", examples.PICTURES[0]),
        path_parameter("token", "What makes the URL unguessable", examples.PICTURE_MARK),
        path_parameter("variant", "Which of its files", "original", enum=["original", "thumbnail", "portrait"]),
        path_parameter("name", "A name for people who save the file; any will do", "ava-01.jpg"),
        header_parameter("Range", "Which bytes of it"),
        header_parameter("If-None-Match", "The ETag"),
        header_parameter("If-Match", "The ETag that it must have"),
    ],
    responses={
        "200": _sent("The file.", content={"*/*": _BYTES}),
        "206": _sent("A part of the file.", content={"*/*": _BYTES}),
        "304": _sent("What the client has is still right."),
        **_errors("read-light", "NotFound", "PreconditionFailed", "NoSuchPart", "Internal", "Unavailable"),
    },
)

FILE_ROUTES: dict[str, Any] = {
    "/v1/uploads/{signature}": {"put": _UPLOAD},
    "/media/{organization}/{owner}/{token}/{variant}/{name}": {"get": _MEDIA},
}
