"""Assets, their thumbnails and portraits: the token in the path is the permission. They never change."""

import hmac
from functools import partial
from pathlib import Path

from flask import Response, request, send_file
from werkzeug.wsgi import FileWrapper

from layers_standin.domain.assets import file_of
from layers_standin.domain.errors import NotFound
from layers_standin.domain.ids import canonical
from layers_standin.domain.pictures import portrait_mark, portrait_traits
from layers_standin.engines.errors import Unavailable
from layers_standin.engines.table import Record
from layers_standin.media.serving import HEADERS, is_inert
from layers_standin.media.storage import THUMBNAIL_PIXELS, File, NoSuchFile, StoredObject
from layers_standin.services import Services
from layers_standin.web.conditional import make_conditional

_CHUNK_BYTES = 1 << 18


def serve_file(services: Services, organization: str, owner: str, token: str, variant: str, **_: str) -> Response:
    """Serve the file of a path; the name at its end is the name of a download. Raises NotFound."""
    store = services.store.for_organization(organization)
    try:
        if variant == "portrait":
            return _portrait(services, store.any_influencer(owner), token)
        asset = store.assets.get(owner)
        _check_token(asset["token"], token)
        if variant == "thumbnail":
            return _file(services.media.thumbnail(organization, file_of(asset)), "image/webp", asset["thumbnailPath"])
        return _file(services.media.original(organization, file_of(asset)), asset["contentType"], asset["path"])
    except (NoSuchFile, NotFound) as error:  # alike, or strangers could ask which influencers there are
        raise NotFound("Not found.") from error
    except OSError as error:
        raise Unavailable(f"The picture of {owner} cannot be written: {error.strerror}.") from error


def _portrait(services: Services, influencer: Record, mark: str) -> Response:
    _check_token(portrait_mark(influencer), mark)
    owner = canonical(influencer["influencerId"])
    path = services.media.portrait(influencer["organizationId"], owner, mark, partial(_draw, influencer))
    return _file(path, "image/png", "portrait.png")


def _draw(influencer: Record) -> bytes:
    from layers_standin.portraits import portrait_png  # noqa: PLC0415 - Pillow slows every start

    return portrait_png(influencer["influencerId"], portrait_traits(influencer), THUMBNAIL_PIXELS)


def _check_token(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise NotFound("Not found.")


def _file(file: File, content_type: str, url_path: str) -> Response:
    name = url_path.rpartition("/")[2]  # ours, not that of the request: it becomes a header
    is_attachment = not is_inert(content_type)
    if isinstance(file, Path):
        response = send_file(
            file.resolve(), content_type, as_attachment=is_attachment, download_name=name, conditional=False
        )
    else:
        response = _stream(file, is_attachment, name)
    response.headers.update(HEADERS)
    response.headers["Content-Type"] = content_type  # Werkzeug would add a charset that nobody declared
    return make_conditional(response, request, has_parts=True)


def _stream(stored: StoredObject, is_attachment: bool, name: str) -> Response:
    """Stream an object from the bucket: a signed URL could not make the bucket send the headers that we must send."""
    response = Response(FileWrapper(stored.open("rb"), _CHUNK_BYTES), direct_passthrough=True)
    response.headers.set("Content-Disposition", "attachment" if is_attachment else "inline", filename=name)
    response.content_length, response.last_modified = stored.size, stored.modified
    response.set_etag(stored.etag)
    return response
