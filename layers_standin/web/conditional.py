"""Conditional requests and ranges, as HTTP wants them and werkzeug does not. Source: RFC 9110, 13.2.2 and 14.2.

Of werkzeug 3.1: `If-Match: *` never matches, a 412 has the whole body, a `Range` that HTTP ignores is a 416, and
`If-Unmodified-Since` is not read.
"""

import re

from flask import Request, Response
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable

# If-Range is a condition of Range alone.
_CONDITIONS = (
    "HTTP_IF_MATCH",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_RANGE",
)
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,99})-([0-9]{0,99})[ \t]*", re.IGNORECASE)


def make_conditional(response: Response, request: Request, has_parts: bool = False) -> Response:
    """Return a whole response to a GET or HEAD as the request's conditions ask for it: whole, a 304 or a part.

    With `has_parts`, the response's Content-Length is set, and a request may ask for a part of its body. Raises
    PreconditionFailed, RequestedRangeNotSatisfiable; the response is closed then.
    """
    if has_parts:
        response.headers["Accept-Ranges"] = "bytes"
    if request.environ.keys().isdisjoint(_CONDITIONS):
        return response
    try:
        if _is_precondition_false(response, request):
            raise PreconditionFailed
        if _is_known(response, request):
            response.status_code = 304
        elif has_parts:
            _cut(response, request)
    except (PreconditionFailed, RequestedRangeNotSatisfiable):
        response.close()
        raise
    return response


def _is_precondition_false(response: Response, request: Request) -> bool:
    if request.if_match:
        return not (request.if_match.star_tag or request.if_match.is_strong(_etag(response)))
    since = request.if_unmodified_since
    return since is not None and response.last_modified is not None and response.last_modified > since


def _is_known(response: Response, request: Request) -> bool:
    """Whether the client has the present body already."""
    if request.if_none_match:
        return request.if_none_match.contains_weak(_etag(response))
    since = request.if_modified_since
    return since is not None and response.last_modified is not None and response.last_modified <= since


def _etag(response: Response) -> str:
    return response.get_etag()[0] or ""


def _cut(response: Response, request: Request) -> None:
    """Make the response the requested part, if there is one. Raises RequestedRangeNotSatisfiable."""
    size = response.content_length or 0
    if request.method == "GET" and size and "Range" in request.headers and _is_range_meant(response, request):
        part = requested_part(request.headers["Range"], size)
        if part is not None:
            environ = {"REQUEST_METHOD": "GET", "HTTP_RANGE": f"bytes={part.start}-{part.stop - 1}"}
            response.make_conditional(environ, accept_ranges=True, complete_length=size)


def _is_range_meant(response: Response, request: Request) -> bool:
    """Whether a range is to be answered: without If-Range, or when that is the ETag or the time of the response."""
    given = request.headers.get("If-Range")
    return given in (None, response.headers.get("ETag"), response.headers.get("Last-Modified"))


def requested_part(header: str, size: int) -> range | None:
    """Return the part of `size` bytes that a Range header asks for; None for one that asks for no single range.

    Raises RequestedRangeNotSatisfiable when the part is empty.
    """
    match = _RANGE.fullmatch(header.strip())
    first, last = match.groups() if match is not None else ("", "")
    if not (first or last) or (first and last and int(first) > int(last)):
        return None
    if not first:
        part = range(max(0, size - int(last)), size)
    else:
        part = range(int(first), min(int(last) + 1, size) if last else size)
    if not part:
        raise RequestedRangeNotSatisfiable(size)
    return part
