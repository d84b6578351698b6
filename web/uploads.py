"""Presigned uploads: a URL that allows one PUT of certain bytes, for a while, without a key."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from flask import Response, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import ClientDisconnected

from engines.errors import Unavailable
from engines.table import Record
from media.files import MediaFolder, Received
from records.assets import UPLOAD_WINDOW
from records.faults import Asked
from records.history import Author
from records.times import from_epoch_milliseconds, milliseconds
from settings import Settings
from start import Rooms
from store import Store
from web.bodies import read_on
from web.errors import Forbidden, TooLarge
from web.faults import fault_of, under
from web.front import exchange_of

PUT_UPLOAD, UPLOAD_PATH = "putUpload", "/v1/uploads/<signature>"

_CHUNK_BYTES = 1 << 20
_WINDOW_MS = UPLOAD_WINDOW // timedelta(milliseconds=1)


def signed_url(store: Store, upload: Record) -> str:
    """Return the path that the bytes of an upload go to."""
    return f"/v1/uploads/{_serializer(store).dumps(_terms(upload))}"


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
        fault = fault_of(asked, store, exchange, request.environ, rooms.settings)
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
    rooms.store.assets.receive(upload["organizationId"], upload["uploadId"], received._asdict())
    return Response(status=200, headers={"ETag": f'"{received.checksumSha256}"'})


def keep(media: MediaFolder, upload: Record, chunks: Iterable[bytes]) -> Received:
    """Put the bytes of an upload on disk. Raises Unavailable, and what `chunks` raises."""
    try:
        return media.receive(upload["organizationId"], upload["assetId"], chunks)
    except OSError as error:
        raise Unavailable(f"The upload cannot be written: {error.strerror}.") from error


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
