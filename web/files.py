"""Assets, their thumbnails and portraits, for whoever knows their path. They never change."""

import hmac
from functools import partial
from pathlib import Path

from flask import Response, send_file

from engines.errors import Unavailable
from engines.table import Record
from media.files import THUMBNAIL_PIXELS, NoSuchFile
from media.portrait import portrait_png
from media.serving import HEADERS, is_inert
from records.assets import file_of
from records.errors import NotFound
from start import Rooms
from store import portrait_mark, portrait_traits


def serve_file(rooms: Rooms, organization: str, owner: str, token: str, variant: str, **_: str) -> Response:
    """Serve what a path stands for; the name at its end is for people who save the file. Raises NotFound."""
    try:
        if variant == "portrait":
            return _portrait(rooms, rooms.store.any_influencer(organization, owner), token)
        asset = rooms.store.assets.get(organization, owner)
        _check_token(asset["token"], token)
        if variant == "thumbnail":
            return _file(rooms.media.thumbnail(organization, file_of(asset)), "image/webp", asset["thumbnailPath"])
        return _file(rooms.media.original(organization, file_of(asset)), asset["contentType"], asset["path"])
    except (NoSuchFile, NotFound) as error:  # alike, or strangers could ask which influencers there are
        raise NotFound("Not found.") from error
    except OSError as error:
        raise Unavailable(f"The picture of {owner} cannot be written: {error.strerror}.") from error


def _portrait(rooms: Rooms, influencer: Record, mark: str) -> Response:
    _check_token(portrait_mark(influencer), mark)
    draw = partial(portrait_png, influencer["influencerId"], portrait_traits(influencer), THUMBNAIL_PIXELS)
    path = rooms.media.portrait(influencer["organizationId"], mark, draw)
    return _file(path, "image/png", "portrait.png")


def _check_token(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise NotFound("Not found.")


def _file(path: Path, content_type: str, url_path: str) -> Response:
    name = url_path.rpartition("/")[2]  # ours, not that of the request: it becomes a header
    response = send_file(path.resolve(), content_type, as_attachment=not is_inert(content_type), download_name=name)
    response.headers.update(HEADERS)
    response.headers["Content-Type"] = content_type  # Werkzeug would add a charset that nobody declared
    return response
