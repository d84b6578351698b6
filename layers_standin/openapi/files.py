"""The routes for files, which are no operations: they need no key, the URL itself is the permission."""

from collections.abc import Sequence
from typing import Any

from layers_standin.openapi import examples
from layers_standin.openapi.errors import REFUSALS, refused
from layers_standin.openapi.headers import headers
from schemas import FAMILIES

_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_ETAG = {"ETag": {"$ref": "#/components/headers/ETag"}}


def _in_path(name: str, about: str, example: str | None = None, **schema: Any) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1} | schema
    told = {"in": "path", "name": name, "required": True, "description": about, "schema": text}
    return told if example is None else told | {"example": example}


def _refused(names: Sequence[str], endpoint_class: str) -> dict[str, Any]:
    return refused({name: REFUSALS[name] for name in names}, lambda _: headers(endpoint_class))


def _sent(about: str, **more: Any) -> dict[str, Any]:
    """Return the response with a file, or with a file's headers."""
    return {"description": about, "headers": headers("read-light") | _ETAG} | more


UPLOAD: dict[str, Any] = {
    "operationId": "putUpload",
    "summary": "Send the bytes of a presigned upload",
    "description": "To the `uploadUrl` of presignUpload, with its `headers`, within 15 minutes.",
    "tags": ["Media"],
    "security": [],
    "parameters": [_in_path("signature", "The end of `uploadUrl`")],
    "requestBody": {"required": True, "content": {f"{family}*": _BYTES for family in FAMILIES}},
    "responses": {
        "200": {"description": "The bytes are there.", "headers": headers("write-light", tag=True)},
        **_refused(
            ["Forbidden", "NotFound", "UploadFinalized", "PayloadTooLarge", "Invalid", "Internal", "Unavailable"],
            "write-light",
        ),
    },
}

MEDIA: dict[str, Any] = {
    "operationId": "getMedia",
    "summary": "Return a file, its thumbnail, or a portrait",
    "description": "What `url` and `thumbnailUrl` stand for: public, unguessable, and the same for ever.",
    "tags": ["Media"],
    "security": [],
    "parameters": [
        _in_path("organization", "Organization id", examples.ORGANIZATION),
        _in_path("owner", "Asset or influencer id", examples.PICTURES[0]),
        _in_path("token", "What makes the URL unguessable", examples.PICTURE_MARK),
        _in_path("variant", "Which of its files", "original", enum=["original", "thumbnail", "portrait"]),
        _in_path("name", "A name for people who save the file; any will do", "ava-01.jpg"),
        {"in": "header", "name": "Range", "description": "Which bytes of it", "schema": {"type": "string"}},
        {"in": "header", "name": "If-None-Match", "description": "The ETag", "schema": {"type": "string"}},
    ],
    "responses": {
        "200": _sent("The file.", content={"*/*": _BYTES}),
        "206": _sent("A part of the file.", content={"*/*": _BYTES}),
        "304": _sent("What the client has is still right."),
        **_refused(["NotFound", "NoSuchPart", "Internal", "Unavailable"], "read-light"),
    },
}

FILE_ROUTES: dict[str, Any] = {
    "/v1/uploads/{signature}": {"put": UPLOAD},
    "/media/{organization}/{owner}/{token}/{variant}/{name}": {"get": MEDIA},
}
