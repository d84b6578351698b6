"""Presigned uploads: a URL that allows one PUT of certain bytes, for a while, without a key."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

from flask import Response, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import ClientDisconnected

from engines.errors import EngineError, Unavailable, Unconfirmed
from engines.table import Record
from media.inspect import fault_of_picture
from media.room import MediaRoom, NoSuchFile, Received
from records.assets import UPLOAD_WINDOW, new_upload
from records.errors import NotFound, StoreError
from records.faults import Asked
from records.history import Author
from records.times import from_epoch_milliseconds, milliseconds
from settings import Settings
from start import Rooms
from store import Store
from web.bodies import read_on
from web.errors import Forbidden, TooLarge
from web.faults import take_fault, under
from web.front import exchange_of
from web.operations import Call

PUT_UPLOAD, UPLOAD_PATH = "putUpload", "/v1/uploads/<signature>"

_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
_WINDOW_MS = UPLOAD_WINDOW // timedelta(milliseconds=1)


def upload_url(rooms: Rooms, upload: Record, base_url: Callable[[], str]) -> str:
    """Return where the bytes of an upload go: to us, or straight to where media are kept."""
    direct = rooms.media.direct
    if direct is not None:
        return direct.url(upload["organizationId"], upload["assetId"], UPLOAD_WINDOW)
    return f"{base_url()}/v1/uploads/{_serializer(rooms.store).dumps(_terms(upload))}"


def expiry_of(upload: Record) -> str:
    return milliseconds(from_epoch_milliseconds(upload["createdMs"] + _WINDOW_MS))


def serve_upload(rooms: Rooms, signature: str) -> Response:
    """Take the bytes in. Raises Forbidden, TooLarge, NotFound, Conflict, Unavailable; nothing is kept then."""
    exchange = exchange_of(request.environ)
    exchange.operation = PUT_UPLOAD
    try:
        terms = _read(rooms.store, signature)
        store = exchange.enter(rooms.store, terms[0], Author(None, exchange.request_id, PUT_UPLOAD))
        asked = Asked(PUT_UPLOAD, request.method, request.path)
        fault = take_fault(asked, store, exchange, request.environ, rooms.settings)
        act = partial(_take_in, rooms._replace(store=store), terms)
        return act() if fault is None else under(fault, exchange, None, act)
    finally:
        read_on(request)


def _take_in(rooms: Rooms, terms: list[Any]) -> Response:
    upload = _promised(rooms.store, *terms)
    try:
        received = keep(rooms.media, upload, _chunks(_most_bytes(upload, rooms.settings)))
    except Unavailable:
        _promised(rooms.store, *terms)  # for its organization may be gone, and the folder with it
        raise
    _note(rooms, upload, received)
    return Response(status=200, headers={"ETag": f'"{received.checksumSha256}"'})


def _note(rooms: Rooms, upload: Record, received: Received) -> None:
    """Note what has come, and discard what had come before; or what has come, when it cannot be noted."""
    organization = upload["organizationId"]
    try:
        before = rooms.store.assets.receive(organization, upload["uploadId"], received._asdict())
    except (StoreError, Unavailable):  # not when nobody can say whether it was noted: a later sweep will
        rooms.media.discard(organization, received.file)
        raise
    if before is not None:
        rooms.media.discard(organization, before["file"])


def keep(media: MediaRoom, upload: Record, chunks: Iterable[bytes]) -> Received:
    """Put the bytes of an upload on disk. Raises Unavailable, and what `chunks` raises."""
    try:
        return media.receive(upload["organizationId"], upload["assetId"], chunks)
    except OSError as error:
        raise Unavailable(f"The upload cannot be written: {error.strerror}.") from error


class Taken(NamedTuple):
    """An upload with all that is known of its bytes, and what is wrong with the picture that they should be."""

    upload: Record
    fault: str | None = None


@contextmanager
def taken_in(call: Call, project_id: str) -> Iterator[Taken | None]:
    """Look at what came of an upload; None if there is no such upload, or it is finalized, as will be told later.

    What came past us is copied first, and thrown away again unless the block makes an asset of it.
    """
    upload = _unfinished(call, project_id)
    if upload is None:
        yield None
        return
    received = _take(call.rooms, upload)
    with _discarded_unless_used(call, received):
        yield _looked_at(call.rooms, upload | {"received": received or upload["received"]})
    if received is not None and call.rooms.media.direct is not None:
        call.rooms.media.direct.clear(call.organization, upload["assetId"])


def still_taken(call: Call, upload: Record) -> Taken | None:
    """Return what was looked at ahead; or look at what has come in its place since then, for that is discarded."""
    taken: Taken | None = call.ahead
    if taken is None or call.rooms.media.direct is not None or taken.upload["received"] == upload["received"]:
        return taken
    return _looked_at(call.rooms, upload)


@contextmanager
def kept(call: Call, project_id: str) -> Iterator[Taken | None]:
    """Keep the bytes of an inline upload, unless they are no good anyway; None if there is no such project."""
    try:
        project = call.store.projects.get(call.organization, project_id)
    except NotFound:
        yield None
        return
    upload, data = new_upload(call.organization, project["id"], call.body, call.store.now()), call.body["dataBase64"]
    fault = _picture_fault(BytesIO(data), upload)
    received = None if fault else keep(call.rooms.media, upload, [data])._asdict()
    with _discarded_unless_used(call, received):
        yield Taken(upload | {"received": received}, fault)


def _unfinished(call: Call, project_id: str) -> Record | None:
    try:
        project = call.store.projects.get(call.organization, project_id)
        upload = call.store.assets.upload_of_project(call.organization, project["id"], call.body["uploadId"])
    except NotFound:
        return None
    return None if upload["finalized"] else upload


def _take(rooms: Rooms, upload: Record) -> Record | None:
    """Return what came past us, if anything did. Raises TooLarge before anything of it is read."""
    direct, organization, asset_id = rooms.media.direct, upload["organizationId"], upload["assetId"]
    arrival = None if direct is None else direct.arrival(organization, asset_id)
    if direct is None or arrival is None:
        return None
    if arrival.size_bytes > rooms.settings.max_upload_bytes:
        raise TooLarge(maxBytes=rooms.settings.max_upload_bytes)
    received = direct.take(organization, asset_id)
    sent_as = arrival.content_type.partition(";")[0].strip().lower()
    return None if received is None else received._asdict() | {"contentType": sent_as}


def _looked_at(rooms: Rooms, upload: Record) -> Taken:
    if upload["received"] is None:
        return Taken(upload)
    try:
        original = rooms.media.original(upload["organizationId"], upload["received"]["file"])
        with original.open("rb", _HEAD_BYTES) as file:
            return Taken(upload, _picture_fault(file, upload))
    except (NoSuchFile, FileNotFoundError):  # an import brings documents and no bytes
        return Taken(upload | {"received": None})


def _picture_fault(file: BinaryIO, upload: Record) -> str | None:
    return fault_of_picture(file, upload["contentType"]) if upload["contentType"].startswith("image/") else None


@contextmanager
def _discarded_unless_used(call: Call, received: Record | None) -> Iterator[None]:
    """Discard bytes that no asset has in the end; when nobody can say whether one has, a later sweep will."""
    is_known = received is not None
    try:
        yield
    except Unconfirmed:
        is_known = False
        raise
    finally:
        if is_known and received is not None:
            _discard_unused(call, received["file"])


def _discard_unused(call: Call, file: str) -> None:
    """Discard bytes that no asset has; when nobody can say so now, a later sweep will: what was done is done."""
    with suppress(EngineError):
        if not call.store.assets.has_file(call.organization, file):
            call.rooms.media.discard(call.organization, file)


def _promised(
    store: Store, organization: str, upload_id: str, created_ms: int, content_type: str, _size_bytes: int | None
) -> Record:
    """Return the upload that signed terms allow this request to make. Raises Forbidden, NotFound, Conflict."""
    if store.now_ms() >= created_ms + _WINDOW_MS:
        raise Forbidden("The upload URL has expired.")
    if request.mimetype != content_type:
        raise Forbidden(f"The upload must have Content-Type {content_type}.")
    return store.assets.open_upload(organization, upload_id)


def _most_bytes(upload: Record, settings: Settings) -> int:
    return min(upload["sizeBytes"] or settings.max_upload_bytes, settings.max_upload_bytes)


def _chunks(limit: int) -> Iterator[bytes]:
    """Yield the body in pieces. Raises TooLarge as soon as it is, ClientDisconnected when it ends early."""
    announced = request.content_length
    if announced is not None and announced > limit:
        raise TooLarge(maxBytes=limit)
    request.max_content_length = limit + 1
    size = 0
    while chunk := _next_chunk():
        size += len(chunk)
        if size > limit:
            raise TooLarge(maxBytes=limit)
        yield chunk
    if announced is not None and size < announced:
        raise ClientDisconnected


def _next_chunk() -> bytes:
    try:
        return request.stream.read(_CHUNK_BYTES)
    except Exception as error:  # whatever the server's stream raises: the rest cannot be had
        raise ClientDisconnected from error


def _terms(upload: Record) -> list[Any]:
    return [upload[field] for field in ("organizationId", "uploadId", "createdMs", "contentType", "sizeBytes")]


def _read(store: Store, signature: str) -> list[Any]:
    """Return the terms in a signature. Raises Forbidden."""
    try:
        return list(_serializer(store).loads(signature))
    except BadSignature:
        raise Forbidden from None


def _serializer(store: Store) -> URLSafeSerializer:
    return URLSafeSerializer(store.signing_key(), salt="upload")
