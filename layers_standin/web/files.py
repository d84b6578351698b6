"""Assets, their thumbnails, portraits and avatars: the token in the path is the permission. They never change."""

import errno
import hmac
import logging
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import chain
from typing import BinaryIO, cast

from flask import Request, Response
from werkzeug.http import dump_options_header, http_date, quote_etag
from werkzeug.wsgi import ClosingIterator, FileWrapper

from layers_standin.domain.assets import file_of
from layers_standin.domain.errors import NotFound
from layers_standin.domain.ids import canonical
from layers_standin.domain.pictures import portrait_mark, portrait_traits
from layers_standin.engines.errors import EngineError, Unavailable
from layers_standin.engines.table import Record
from layers_standin.media.serving import HEADERS, is_inert
from layers_standin.media.storage import THUMBNAIL_PIXELS, File, NoSuchFile, StoredObject
from layers_standin.services import Services
from layers_standin.web.conditional import make_conditional
from layers_standin.web.context import current_context
from store import Store

logger = logging.getLogger("standin")

_CHUNK_BYTES = 1 << 18


def serve_file(
    services: Services, request: Request, organization: str, owner: str, token: str, variant: str, **_: str
) -> Response:
    """Serve the file of a path; the name at its end is the name of a download. Raises NotFound, Unavailable."""
    store = Store(services.store.db, organization=organization)  # by any clock: no file depends on the time
    try:
        if variant == "portrait":
            return _portrait(services, request, store.any_influencer(owner), token)
        if variant == "avatar":
            return _avatar(services, request, store.social.any(owner), token)
        asset = store.assets.get(owner)
        _check_token(asset["token"], token)
        if variant == "thumbnail":
            thumbnail = services.media.thumbnail(organization, file_of(asset))
            return _file(request, thumbnail, "image/webp", asset["thumbnailPath"])
        original = services.media.original(organization, file_of(asset))
        return _file(request, original, asset["contentType"], asset["path"])
    except (NoSuchFile, NotFound, FileNotFoundError) as error:
        # Alike, or strangers could ask which influencers there are.
        raise NotFound("Not found.") from error
    except OSError as error:
        raise Unavailable(f"The picture of {owner} cannot be read or written: {error.strerror}.") from error


def _portrait(services: Services, request: Request, influencer: Record, mark: str) -> Response:
    _check_token(portrait_mark(influencer), mark)
    owner = canonical(influencer["influencerId"])
    path = services.media.portrait(influencer["organizationId"], owner, mark, partial(_draw, influencer))
    return _file(request, path, "image/png", "portrait.png")


def _draw(influencer: Record) -> bytes:
    from layers_standin.portraits import portrait_png  # noqa: PLC0415 - Pillow slows every start

    return portrait_png(influencer["influencerId"], portrait_traits(influencer), THUMBNAIL_PIXELS)


def _avatar(services: Services, request: Request, account: Record, token: str) -> Response:
    _check_token(account["token"], token)
    owner = account["socialAccountId"]
    path = services.media.portrait(account["organizationId"], owner, token, partial(_draw_face, owner))
    return _file(request, path, "image/png", "avatar.png")


def _draw_face(seed: str) -> bytes:
    from layers_standin.portraits import portrait_png  # noqa: PLC0415 - Pillow slows every start

    return portrait_png(seed, {}, THUMBNAIL_PIXELS)


def _check_token(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise NotFound("Not found.")


def _file(request: Request, file: File, content_type: str, url_path: str) -> Response:
    """Stream a file: a signed URL could not make a bucket send the headers that we must send."""
    name = url_path.rpartition("/")[2]  # ours, not that of the request: it becomes a header
    opened = file.open("rb") if isinstance(file, StoredObject) else file.open("rb", 0)
    try:
        size, etag, modified = _facts(file, opened)
        body = FileWrapper(opened, max(1, min(size, _CHUNK_BYTES)))
        whole = Response(body, headers=_headers(size, etag, modified, content_type, name), direct_passthrough=True)
        response = make_conditional(whole, request, has_parts=True)
        if request.method != "HEAD" and response.status_code in (200, 206):
            response.response = _begun(response, opened, current_context(request.environ).request_id)
    except BaseException:
        opened.close()
        raise
    return response


def _facts(file: File, opened: BinaryIO) -> tuple[int, str, float]:
    """Return size, ETag and time of modification in seconds since 1970."""
    if isinstance(file, StoredObject):
        return file.size, file.etag, file.modified.timestamp()
    found = os.fstat(opened.fileno())
    return found.st_size, f"{found.st_mtime_ns}-{found.st_size}", found.st_mtime


@lru_cache(1024)  # the same few files are asked for again and again
def _headers(size: int, etag: str, modified: float, content_type: str, name: str) -> list[tuple[str, str]]:
    shown = "inline" if is_inert(content_type) else "attachment"
    return [
        ("Content-Type", content_type),  # with no charset that nobody declared, as Werkzeug would add
        ("Content-Length", str(size)),
        ("Last-Modified", http_date(modified)),
        ("ETag", quote_etag(etag)),
        ("Content-Disposition", dump_options_header(shown, {"filename": name})),
        *HEADERS.items(),
    ]


def _begun(response: Response, opened: BinaryIO, request_id: str) -> Iterable[bytes]:
    """Return the body of a response, with its first chunk read already: while an error can still become a response."""
    chunks = iter(cast(Iterable[bytes], response.response))
    first = next(chunks, b"")
    missing = (response.content_length or 0) - len(first)
    if not missing:
        opened.close()
        return [first]
    rest = _rest(chunks, missing, request_id)
    return ClosingIterator(chain([first], rest), opened.close)


def _rest(chunks: Iterator[bytes], missing: int, request_id: str) -> Iterator[bytes]:
    """Yield the other chunks, `missing` bytes. Cuts the connection if they fail to come: the status is sent already."""
    try:
        for chunk in chunks:
            missing -= len(chunk)
            yield chunk
        if missing > 0:
            raise EOFError("the file has become shorter")
    except (OSError, EngineError, NoSuchFile, EOFError) as error:
        logger.error("%s cut off, %d bytes before its end: %s", request_id, missing, error)
        raise ConnectionResetError(errno.ECONNRESET, "The file cannot be read to its end.") from None
