"""The routes for files, which are no operations: they need no key, the URL itself is the permission."""

from typing import Any

from layers_standin.openapi import examples
from layers_standin.openapi.descriptions import describe_operation
from layers_standin.openapi.document import FileRoute, header_parameter, path_parameter
from layers_standin.openapi.headers import response_headers
from layers_standin.openapi.json_schema import text
from schemas import FAMILIES

_BYTES: dict[str, Any] = {"schema": text(format="binary")}


def _route(name: str, summary: str, **more: Any) -> dict[str, Any]:
    """Return a route for files as an operation object of OpenAPI."""
    known = {"operationId": name, "summary": summary, "description": describe_operation(name)}
    return known | {"tags": ["Media"], "security": []} | more


def _sent(status: int, about: str, endpoint_class: str = "read-light", **more: Any) -> dict[str, Any]:
    """Return a response with the headers of a file, and perhaps the file."""
    return {"description": about, "headers": response_headers(status, endpoint_class, False, False, True)} | more


_UPLOAD = _route(
    "putUpload",
    "Send the bytes of a presigned upload",
    parameters=[path_parameter("signature")],
    requestBody={"required": True, "content": {f"{family}*": _BYTES for family in FAMILIES}},
    responses={"200": _sent(200, "The bytes are there.", "write-light")},
)
_MEDIA = _route(
    "getMedia",
    "Return a file, its thumbnail, or a portrait",
    parameters=[
        path_parameter("organization", examples.ORGANIZATION),
        path_parameter("owner", examples.PICTURES[0]),
        path_parameter("token", examples.PICTURE_MARK),
        path_parameter("variant", "original", enum=["original", "thumbnail", "portrait"]),
        path_parameter("name", "ava-01.jpg"),
        header_parameter("Range"),
        header_parameter("If-None-Match"),
        header_parameter("If-Match"),
    ],
    responses={
        "200": _sent(200, "The file.", content={"*/*": _BYTES}),
        "206": _sent(206, "A part of the file.", content={"*/*": _BYTES}),
        "304": _sent(304, "What the client has is still right."),
    },
)

FILE_ROUTES = {
    "/v1/uploads/{signature}": FileRoute(
        "put",
        _UPLOAD,
        ["Forbidden", "NotFound", "UploadFinalized", "PayloadTooLarge", "Invalid", "Internal", "Unavailable"],
    ),
    "/media/{organization}/{owner}/{token}/{variant}/{name}": FileRoute(
        "get", _MEDIA, ["NotFound", "PreconditionFailed", "NoSuchPart", "Internal", "Unavailable"]
    ),
}
