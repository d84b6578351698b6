"""Assets, their thumbnails, portraits and avatars: the token in the path is the permission. They never change."""

import errno
import hmac
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from flask import Response, request
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
from layers_standin.web.middleware import current_context

logger = logging.getLogger("standin")

_CHUNK_BYTES = 1 << 18


def serve_file(services: Services, organization: str, owner: str, token: str, variant: str, **_: str) -> Response:
    """Serve the file of a path; the name at its end is the name of a download. Raises NotFound, Unavailable."""
    store = services.store.for_organization(organization)
    try:
        if variant == "portrait":
            return _portrait(services, store.any_influencer(owner), token)
        if variant == "avatar":
            return _avatar(services, store.social.any(owner), token)
        asset = store.assets.get(owner)
        _check_token(asset["token"], token)
        if variant == "thumbnail":
            return _file(services.media.thumbnail(organization, file_of(asset)), "image/webp", asset["thumbnailPath"])
        return _file(services.media.original(organization, file_of(asset)), asset["contentType"], asset["path"])
    except (NoSuchFile, NotFound, FileNotFoundError) as error:
        # Alike, or strangers could ask which influencers there are.
        raise NotFound("Not found.") from error
    except OSError as error:
        raise Unavailable(f"The picture of {owner} cannot be read or written: {error.strerror}.") from error


def _portrait(services: Services, influencer: Record, mark: str) -> Response:
    _check_token(portrait_mark(influencer), mark)
    owner = canonical(influencer["influencerId"])
    path = services.media.portrait(influencer["organizationId"], owner, mark, partial(_draw, influencer))
    return _file(path, "image/png", "portrait.png")


def _draw(influencer: Record) -> bytes:
    from layers_standin.portraits import portrait_png  # noqa: PLC0415 - Pillow slows every start

    return portrait_png(influencer["influencerId"], portrait_traits(influencer), THUMBNAIL_PIXELS)


def _avatar(services: Services, account: Record, token: str) -> Response:
    _check_token(account["token"], token)
    owner = account["socialAccountId"]
    path = services.media.portrait(account["organizationId"], owner, token, partial(_draw_face, owner))
    return _file(path, "image/png", "avatar.png")


def _draw_face(seed: str) -> bytes:
    from layers_standin.portraits import portrait_png  # noqa: PLC0415 - Pillow slows every start

    return portrait_png(seed, {}, THUMBNAIL_PIXELS)


def _check_token(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise NotFound("Not found.")


def _file(file: File, content_type: str, url_path: str) -> Response:
    """Stream a file: a signed URL could not make a bucket send the headers that we must send."""
    name = url_path.rpartition("/")[2]  # ours, not that of the request: it becomes a header
    stored = file if isinstance(file, StoredObject) else _stored(file)
    opened = stored.open("rb")
    try:
        response = make_conditional(_whole(stored, opened), request, has_parts=True)
        if request.method != "HEAD" and response.status_code in (200, 206):
            response.response = _begun(response, opened)
    except BaseException:
        opened.close()
        raise
    response.headers.set("Content-Disposition", "inline" if is_inert(content_type) else "attachment", filename=name)
    response.headers.update(HEADERS)
    response.headers["Content-Type"] = content_type  # Werkzeug would add a charset that nobody declared
    return response


def _stored(path: Path) -> StoredObject:
    found = path.stat()
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    etag = f"{found.st_mtime_ns}-{found.st_size}"
    return StoredObject(found.st_size, etag, modified, lambda buffering: path.open("rb", buffering))


def _whole(stored: StoredObject, opened: BinaryIO) -> Response:
    response = Response(FileWrapper(opened, _CHUNK_BYTES), direct_passthrough=True)
    response.content_length, response.last_modified = stored.size, stored.modified
    response.set_etag(stored.etag)
    return response


def _begun(response: Response, opened: BinaryIO) -> ClosingIterator:
    """Return the body of a response, with its first chunk read already: while an error can still become a response."""
    chunks = iter(cast(FileWrapper, response.response))
    first = next(chunks, b"")
    rest = _rest(chunks, (response.content_length or 0) - len(first), current_context(request.environ).request_id)
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
