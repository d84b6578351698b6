"""Presigned uploads: a signed URL allows a PUT of the declared file for UPLOAD_WINDOW, without a key."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import BytesIO, RawIOBase
from typing import Any, BinaryIO, NamedTuple, cast

from flask import Request, Response
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.exceptions import ClientDisconnected

from layers_standin.domain.assets import UPLOAD_WINDOW, new_upload
from layers_standin.domain.errors import NotFound, StoreError
from layers_standin.domain.history import Actor
from layers_standin.domain.times import from_epoch_milliseconds, milliseconds
from layers_standin.engines.errors import EngineError, Unavailable, Unconfirmed
from layers_standin.engines.table import Record
from layers_standin.media.storage import MediaStorage, NoSuchFile, StoredFile
from layers_standin.services import Services
from layers_standin.settings import Settings
from layers_standin.web.context import current_context
from layers_standin.web.errors import Forbidden, TooLarge
from layers_standin.web.faults import apply_fault, match_fault
from layers_standin.web.operations import Call
from store import Store

PUT_UPLOAD, UPLOAD_PATH = "putUpload", "/v1/uploads/<signature>"

_CHUNK_BYTES = 1 << 19
_HEAD_BYTES = 1 << 16
_WINDOW_MS = UPLOAD_WINDOW // timedelta(milliseconds=1)


def upload_url(services: Services, upload: Record, base_url: str) -> str:
    """Return the URL for the bytes of an upload: of this service, or of the bucket."""
    direct = services.media.direct
    if direct is not None:
        return direct.url(upload["organizationId"], upload["assetId"], UPLOAD_WINDOW)
    return f"{base_url}/v1/uploads/{_serializer(services.store).dumps(_terms(upload))}"


def expiry_of(upload: Record) -> str:
    return milliseconds(from_epoch_milliseconds(upload["createdMs"] + _WINDOW_MS))


def serve_upload(services: Services, request: Request, signature: str) -> Response:
    """Receive an upload. Raises Forbidden, TooLarge, NotFound, Conflict, Unavailable; nothing is stored then."""
    context = current_context(request.environ)
    context.operation = PUT_UPLOAD
    terms = _read(services.store, signature)
    store = services.store.for_organization(terms[0], Actor(None, context.request_id, PUT_UPLOAD))
    context.organization, context.is_logged = terms[0], store.overrides.is_logged
    fault = match_fault(context, store, request, services.settings, begins_job=False)
    dropped = None if fault is None else apply_fault(fault, context, request, None)
    return dropped or _take_in(services, request, store, terms)


def _take_in(services: Services, request: Request, store: Store, terms: list[Any]) -> Response:
    upload = _promised(request, store, *terms)
    try:
        received = store_upload(services.media, upload, _chunks(request, _max_bytes(upload, services.settings)))
    except Unavailable:
        _promised(request, store, *terms)  # its organization may be deleted, and the folder with it
        raise
    _note(services, store, upload, received)
    return Response(status=200, headers={"ETag": f'"{received.checksumSha256}"'})


def _note(services: Services, store: Store, upload: Record, received: StoredFile) -> None:
    """Record the received bytes, and discard the previous ones; discard the new ones when that fails."""
    try:
        before = store.assets.receive(upload["uploadId"], received._asdict())
    except (StoreError, Unavailable):  # not Unconfirmed: the record may be committed, and a later sweep decides
        services.media.discard(store.organization, received.file)
        raise
    if before is not None:
        services.media.discard(store.organization, before["file"])


def store_upload(media: MediaStorage, upload: Record, chunks: Iterable[bytes | memoryview]) -> StoredFile:
    """Store the bytes of an upload durably. Raises Unavailable, and the errors of `chunks`."""
    try:
        return media.receive(upload["organizationId"], upload["assetId"], chunks)
    except OSError as error:
        raise Unavailable(f"The upload cannot be written: {error.strerror}.") from error


class InspectedUpload(NamedTuple):
    """An upload with inspected bytes; `fault` is a sentence if they are no picture of the declared type, else None."""

    upload: Record
    fault: str | None = None


@contextmanager
def inspect_upload(call: Call, project_id: str) -> Iterator[InspectedUpload | None]:
    """Yield the upload with inspected bytes; None if it does not exist or is finalized: the transaction reports that.

    Bytes sent straight to the bucket are copied first, and discarded unless the block creates an asset of them.
    """
    upload = _unfinished(call, project_id)
    if upload is None:
        yield None
        return
    received = _take(call.services, upload)
    with _discarded_unless_used(call, received):
        yield _inspected(call.services, upload | {"received": received or upload["received"]})
    if received is not None and call.services.media.direct is not None:
        call.services.media.direct.clear(call.store.organization, upload["assetId"])


def inspect_again(call: Call, upload: Record, inspected: InspectedUpload | None) -> InspectedUpload | None:
    """Return the inspected upload; inspect it again if other bytes have replaced the inspected ones."""
    if (
        inspected is None
        or call.services.media.direct is not None
        or inspected.upload["received"] == upload["received"]
    ):
        return inspected
    return _inspected(call.services, upload)


@contextmanager
def store_inline(call: Call, project_id: str) -> Iterator[InspectedUpload | None]:
    """Store the bytes of an inline upload, unless they are no picture; yield None if there is no such project."""
    try:
        project = call.store.projects.get(project_id)
    except NotFound:
        yield None
        return
    upload = new_upload(call.store.organization, project["id"], call.body, call.store.now())
    data = call.body["dataBase64"]
    fault = _picture_fault(call.services, BytesIO(data), upload)
    received = None if fault else store_upload(call.services.media, upload, [data])._asdict()
    with _discarded_unless_used(call, received):
        yield InspectedUpload(upload | {"received": received}, fault)


def _unfinished(call: Call, project_id: str) -> Record | None:
    try:
        project = call.store.projects.get(project_id)
        upload = call.store.assets.upload_of_project(project["id"], call.body["uploadId"])
    except NotFound:
        return None
    return None if upload["finalized"] else upload


def _take(services: Services, upload: Record) -> Record | None:
    """Return the received facts of bytes sent straight to the bucket, or None. Raises TooLarge before reading them."""
    direct, organization, asset_id = services.media.direct, upload["organizationId"], upload["assetId"]
    arrival = None if direct is None else direct.arrival(organization, asset_id)
    if direct is None or arrival is None:
        return None
    if arrival.size_bytes > services.settings.max_upload_bytes:
        raise TooLarge(maxBytes=services.settings.max_upload_bytes)
    received = direct.take(organization, asset_id)
    sent_as = arrival.content_type.partition(";")[0].strip().lower()
    return None if received is None else received._asdict() | {"contentType": sent_as}


def _inspected(services: Services, upload: Record) -> InspectedUpload:
    if upload["received"] is None:
        return InspectedUpload(upload)
    try:
        original = services.media.original(upload["organizationId"], upload["received"]["file"])
        with original.open("rb", _HEAD_BYTES) as file:
            return InspectedUpload(upload, _picture_fault(services, file, upload))
    except (NoSuchFile, FileNotFoundError):  # an import brings documents and no bytes
        return InspectedUpload(upload | {"received": None})
    except OSError as error:
        raise Unavailable(f"The upload cannot be read: {error.strerror}.") from error


def _picture_fault(services: Services, file: BinaryIO, upload: Record) -> str | None:
    if not upload["contentType"].startswith("image/"):
        return None
    from layers_standin.media.inspect import fault_of_picture  # noqa: PLC0415 - Pillow slows every start

    return fault_of_picture(file, upload["contentType"], services.settings.max_picture_pixels)


@contextmanager
def _discarded_unless_used(call: Call, received: Record | None) -> Iterator[None]:
    """Discard the bytes after the block if no asset has them; if that is unknown, a later sweep decides."""
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
    """Discard bytes that no asset has. Raises no EngineError: if the store does not answer, a later sweep discards."""
    with suppress(EngineError):
        if not call.store.assets.has_file(file):
            call.services.media.discard(call.store.organization, file)


def _promised(
    request: Request,
    store: Store,
    _organization: str,
    upload_id: str,
    created_ms: int,
    content_type: str,
    _size_bytes: int | None,
) -> Record:
    """Return the upload that signed terms allow this request to make. Raises Forbidden, NotFound, Conflict."""
    if store.now_ms() >= created_ms + _WINDOW_MS:
        raise Forbidden("The upload URL has expired.")
    if request.mimetype != content_type:
        raise Forbidden(f"The upload must have Content-Type {content_type}.")
    return store.assets.open_upload(upload_id)


def _max_bytes(upload: Record, settings: Settings) -> int:
    return min(upload["sizeBytes"] or settings.max_upload_bytes, settings.max_upload_bytes)


def _chunks(request: Request, limit: int) -> Iterator[memoryview]:
    """Yield the body in chunks, each valid until the next: they share one buffer, so that no byte is copied.

    Raises TooLarge at more than `limit` bytes, ClientDisconnected when the body ends early.
    """
    announced = request.content_length
    if announced is not None and announced > limit:
        raise TooLarge(maxBytes=limit)
    request.max_content_length = limit + 1
    size, buffer = 0, memoryview(bytearray(_CHUNK_BYTES))
    while received := _receive(request, buffer):
        size += received
        if size > limit:
            raise TooLarge(maxBytes=limit)
        yield buffer[:received]
    if announced is not None and size < announced:
        raise ClientDisconnected


def _receive(request: Request, buffer: memoryview) -> int:
    try:
        return cast(RawIOBase, request.stream).readinto(buffer) or 0
    except Exception as error:  # of any class that the server's stream raises: the rest is lost
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
