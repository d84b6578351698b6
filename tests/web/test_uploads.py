"""Bytes on their way in and out again: presign, PUT, finalize, inline, and what becomes of them."""

import base64
import json
import os
import random
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_helpers import (
    MEDIA,
    SPRING,
    SUMMER,
    UNAVAILABLE,
    Interrupted,
    invalid,
    key_of,
    known_in,
    new_organization,
    refused,
)
from conftest import AVA_PATH, DEMO
from engine_helpers import WatchedDisk, half_then_no_space, no_space
from flask.testing import FlaskClient
from PIL import Image
from servers import PATIENCE_SECONDS, STAYS_OPEN, Server, eventually, serving
from upload_helpers import (
    BOMB,
    CRASHING,
    HEIC,
    MP4,
    NO_UPLOAD,
    OTHER_TYPES,
    PNG,
    SVG,
    TOO_MANY_PIXELS,
    VIDEO,
    drawn,
    make_unreachable,
    make_unreadable,
    mismatch,
    needs_unreadable,
    png_that_claims,
    restore,
    too_large,
)
from werkzeug.test import TestResponse

from app import create_app
from layers_standin.engines.table import Record
from layers_standin.media.folder import FolderStorage
from layers_standin.services import Services
from schemas import MAX_INLINE_BYTES

NO_PROJECT = {"status": 404, "code": "NOT_FOUND", "message": "Project not found."}
EXPIRED = {"status": 403, "code": "FORBIDDEN", "message": "The upload URL has expired."}
TAMPERED = {"status": 403, "code": "FORBIDDEN", "message": "The upload URL is not valid for this request."}
NOT_PNG = {"status": 403, "code": "FORBIDDEN", "message": "The upload must have Content-Type image/png."}


def without_room(rooms: Services, around: Any) -> FlaskClient:
    """Return a client of an app on the same store, whose disk has no room for media."""
    full = FolderStorage(rooms.settings.data / "media", WatchedDisk(lambda name, call: around(call)))
    return create_app(rooms._replace(media=full)).test_client()


@pytest.fixture
def files(rooms):
    """Return a function that lists every file of the media folder that the seed did not bring."""
    media = rooms.settings.data / "media"

    def listed() -> set[Path]:
        return {path for path in media.rglob("*") if path.is_file()}

    seeded = listed()
    return lambda: listed() - seeded


@pytest.fixture
def put(app):
    """Return a function that sends the bytes of an upload, without a key."""
    stranger = app.test_client()

    def put(upload: Record, data: bytes, **headers: str) -> TestResponse:
        return stranger.put(upload["uploadUrl"], data=data, headers=upload["headers"] | headers)

    return put


@pytest.fixture
def inline(demo):
    """Return a function that uploads bytes in the body: as a PNG unless told otherwise."""

    def inline(data: bytes, **fields: Any) -> TestResponse:
        body = {"kind": "image", "mimeType": "image/png", "dataBase64": base64.b64encode(data).decode()}
        return demo.post(MEDIA, json=body | fields)

    return inline


# Presign


def test_a_presigned_upload_says_where_to_and_until_when(presign):
    upload = presign(filename="ava.png", sizeBytes=len(PNG), checksumSha256="A" * 64)

    assert re.fullmatch(r"upl_[0-9A-HJKMNP-TV-Z]{26}", upload["uploadId"])
    assert re.fullmatch(r"http://localhost/v1/uploads/[\w.-]+", upload["uploadUrl"])
    assert upload == {
        "uploadId": upload["uploadId"],
        "uploadUrl": upload["uploadUrl"],
        "method": "PUT",
        "headers": {"Content-Type": "image/png"},
        "expiresAt": "2026-04-18T09:33:44.120Z",
    }


def test_the_url_begins_as_the_settings_say(rooms, presign):
    public = rooms._replace(settings=replace(rooms.settings, public_url="https://stand-in.example/api"))
    client = create_app(public).test_client()
    body = {"kind": "image", "mimeType": "image/png"}

    upload = client.post(f"{MEDIA}/presign", json=body, headers=DEMO).json

    assert upload["uploadUrl"].startswith("https://stand-in.example/api/v1/uploads/")


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"mimeType": "image/png", "sizeBytes": 7}, 7),
        ({"contentType": "image/png", "byteSize": 7}, 7),
        ({"mimeType": "image/png", "contentType": "image/png", "sizeBytes": 7, "byteSize": 7}, 7),
        ({"mimeType": "IMAGE/PNG", "sizeBytes": 7.0}, 7),
        ({"mimeType": "image/png"}, None),
    ],
)
def test_both_spellings_of_a_field_mean_the_same(demo, store, organization, fields, size):
    upload = demo.post(f"{MEDIA}/presign", json={"kind": "image"} | fields).json

    kept = store.for_organization(organization).assets.upload(upload["uploadId"])
    assert (kept["contentType"], kept["sizeBytes"]) == ("image/png", size)


WHOLE = {"kind": "image", "mimeType": "image/png"}


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, invalid(kind=["Required"], mimeType=["Required"])),
        ({"kind": "image"}, invalid(mimeType=["Required"])),
        ({"mimeType": "image/png"}, invalid(kind=["Required"])),
        ({"kind": "picture"}, invalid(kind=["Invalid enum value"], mimeType=["Required"])),
        (WHOLE | {"kind": None}, invalid(kind=["Expected string, received null"])),
        (WHOLE | {"mimeType": 1}, invalid(mimeType=["Expected string, received number"])),
        (WHOLE | {"mimeType": "png"}, invalid(mimeType=["Invalid mimeType"])),
        (WHOLE | {"mimeType": "image/png\r\nX: y"}, invalid(mimeType=["Invalid mimeType"])),
        (WHOLE | {"contentType": "image/gif"}, invalid(contentType=["Must be the same as mimeType"])),
        (WHOLE | {"sizeBytes": 1, "byteSize": 2}, invalid(byteSize=["Must be the same as sizeBytes"])),
        (WHOLE | {"sizeBytes": 0}, invalid(sizeBytes=["Number must be greater than or equal to 1"])),
        (WHOLE | {"sizeBytes": 1.5}, invalid(sizeBytes=["Expected integer, received float"])),
        (WHOLE | {"byteSize": "1"}, invalid(byteSize=["Expected number, received string"])),
        (WHOLE | {"sizeBytes": True}, invalid(sizeBytes=["Expected number, received boolean"])),
        (WHOLE | {"sizeBytes": 1e300}, invalid(sizeBytes=["Number must be less than or equal to 9007199254740991"])),
        (WHOLE | {"filename": ""}, invalid(filename=["String must contain at least 1 character(s)"])),
        (WHOLE | {"filename": "x" * 257}, invalid(filename=["String must contain at most 256 character(s)"])),
        (WHOLE | {"checksumSha256": "0" * 63}, invalid(checksumSha256=["Invalid checksum"])),
        (WHOLE | {"checksumSha256": "g" * 64}, invalid(checksumSha256=["Invalid checksum"])),
        (WHOLE | {"checksumSha256": "0" * 64 + "\n"}, invalid(checksumSha256=["Invalid checksum"])),
        (WHOLE | {"url": "x"}, invalid(url=["Unrecognized key"])),
        ([], invalid("Expected object, received array")),
        (None, invalid("Expected object, received null")),
    ],
)
def test_a_presign_that_is_wrong_is_refused_with_all_its_faults(demo, body, refusal):
    assert refused(demo.post(f"{MEDIA}/presign", data=json.dumps(body))) == refusal


FAMILY = {"image": "image/", "logo": "image/", "reference_image": "image/", "video": "video/", "audio": "audio/"}


@pytest.mark.parametrize("media_kind", FAMILY)
@pytest.mark.parametrize("mime_type", ["image/png", "video/mp4", "audio/ogg", "text/html", "application/octet-stream"])
def test_the_type_must_fit_the_kind(demo, media_kind, mime_type):
    response = demo.post(f"{MEDIA}/presign", json={"kind": media_kind, "contentType": mime_type})

    if mime_type.startswith(FAMILY[media_kind]):
        assert response.status_code == 200
    else:
        assert refused(response) == invalid(mimeType=[f"Must be {FAMILY[media_kind]}* for kind {media_kind}"])


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("/presign", WHOLE),
        ("/finalize", {"uploadId": "upl_x"}),
        ("", WHOLE | {"dataBase64": base64.b64encode(PNG).decode()}),
    ],
)
def test_media_go_into_a_project_of_ones_own(demo, store, files, action, body):
    stranger = key_of(store, new_organization(store), "*")

    assert refused(demo.post(f"/v1/projects/proj_unknown/media{action}", json=body)) == NO_PROJECT
    assert refused(demo.post(f"{MEDIA}{action}", json=body, headers=stranger)) == NO_PROJECT
    assert files() == set()


# PUT


def test_the_bytes_need_no_key_and_come_back_as_their_checksum(presign, put, files):
    response = put(presign(sizeBytes=len(PNG)), PNG)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["ETag"] == f'"{sha256(PNG).hexdigest()}"'
    assert [path.read_bytes() for path in files()] == [PNG]


def test_a_wrong_key_does_no_harm_where_none_is_needed(presign, put):
    assert put(presign(), PNG, **{"X-Api-Key": "lp_test_wrong"}).status_code == 200


def test_a_type_may_come_with_parameters_and_in_capitals(presign, put):
    assert put(presign(), PNG, **{"Content-Type": "Image/PNG; charset=binary"}).status_code == 200


def test_an_upload_url_is_good_for_fifteen_minutes(presign, put, clock, files):
    upload = presign()

    clock.move(minutes=15, milliseconds=-1)
    assert put(upload, PNG).status_code == 200
    before = files()
    for later in ({"milliseconds": 1}, {"hours": 48}):
        clock.move(**later)
        assert refused(put(upload, PNG)) == EXPIRED
    assert files() == before


def tampered(url: str, other: str) -> Iterator[str]:
    """Yield the URL of an upload with each part of its signature changed."""
    start, _, token = url.rpartition("/")
    payload, _, mark = token.rpartition(".")
    foreign_payload, _, foreign_mark = other.rpartition("/")[2].rpartition(".")
    for position in (0, 1, len(payload) // 2, len(payload) - 1):
        changed = "A" if payload[position] != "A" else "B"
        yield f"{start}/{payload[:position]}{changed}{payload[position + 1 :]}.{mark}"
    yield f"{start}/{payload}.{'A' if mark[0] != 'A' else 'B'}{mark[1:]}"
    yield from (f"{start}/{payload}.{foreign_mark}", f"{start}/{foreign_payload}.{mark}")
    yield from (f"{start}/{payload}.", f"{start}/{payload}", f"{start}/.{mark}", f"{start}/x", f"{start}/%00.%00")
    yield from (f"{start}/{payload}x.{mark}", f"{start}/{payload}.{mark}x", f"{start}/{payload}.{mark[:-1]}")


def test_a_signature_that_is_changed_anywhere_opens_nothing(presign, put, files):
    upload, other = presign(), presign()

    for url in tampered(upload["uploadUrl"], other["uploadUrl"]):
        assert refused(put(upload | {"uploadUrl": url}, PNG)) == TAMPERED, url
    assert files() == set()


@pytest.mark.parametrize("sent", ["image/jpeg", "text/html", "image/png2", "", "image"])
def test_another_type_than_signed_is_refused(presign, put, files, sent):
    assert refused(put(presign(), PNG, **{"Content-Type": sent})) == NOT_PNG
    assert files() == set()


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_upload_url_takes_only_a_put(app, presign, method):
    response = app.test_client().open(presign()["uploadUrl"], method=method)

    assert refused(response) == {"status": 405, "code": "METHOD_NOT_ALLOWED", "message": "Method not allowed."}
    assert response.headers["Allow"] == "PUT"


def test_no_more_bytes_than_declared(presign, put, finalize, files):
    upload = presign(sizeBytes=len(PNG))

    assert refused(put(upload, PNG + b"x")) == too_large(len(PNG))
    assert files() == set()
    assert put(upload, PNG).status_code == 200
    assert finalize(upload).status_code == 200


@pytest.mark.parametrize("declared", [{}, {"sizeBytes": 5_000}])
def test_no_more_bytes_than_the_settings_allow(rooms, files, declared):
    small = rooms._replace(settings=replace(rooms.settings, max_upload_bytes=1000))
    client = create_app(small).test_client()
    upload = client.post(f"{MEDIA}/presign", json=VIDEO | declared, headers=DEMO).json

    response = client.put(upload["uploadUrl"], data=MP4[:1001], headers=upload["headers"])

    assert refused(response) == too_large(1000)
    assert files() == set()
    assert client.put(upload["uploadUrl"], data=MP4[:1000], headers=upload["headers"]).status_code == 200


def test_of_two_puts_the_last_counts(presign, put, finalize, client):
    upload, other = presign(), drawn(size=(10, 10))

    assert [put(upload, data).status_code for data in (PNG, other)] == [200, 200]
    asset = finalize(upload).json
    with client.get(asset["url"]) as response:
        assert response.data == other
    assert (asset["sizeBytes"], asset["checksumSha256"]) == (len(other), sha256(other).hexdigest())


def test_what_is_finalized_takes_no_more_bytes(presign, put, finalize, client, files):
    upload = presign()
    put(upload, PNG)
    asset, before = finalize(upload).json, files()

    assert refused(put(upload, drawn(size=(10, 10)))) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "Upload is already finalized.",
        "details": {"subcode": "UPLOAD_FINALIZED", "uploadId": upload["uploadId"]},
    }
    assert files() == before
    with client.get(asset["url"]) as response:
        assert response.data == PNG


def test_an_upload_is_unknown_when_its_organization_goes_while_the_bytes_come(rooms, control, files):
    organization, key = control.organization()
    client = create_app(rooms).test_client()
    project = client.post("/v1/projects", json={"name": "Late", "timezone": "UTC"}, headers=key).json["id"]
    body = {"kind": "image", "mimeType": "image/png"}
    upload = client.post(f"/v1/projects/{project}/media/presign", json=body, headers=key).json
    drop = partial(control.delete, f"/organizations/{organization}")
    sent = {"input_stream": Interrupted(PNG, drop), "content_length": len(PNG), "headers": upload["headers"]}

    assert refused(client.put(upload["uploadUrl"], **sent)) == NO_UPLOAD
    assert files() == set()


@pytest.mark.parametrize("fault", [no_space, half_then_no_space])
def test_a_full_disk_says_so_and_keeps_nothing(rooms, presign, put, finalize, inline, files, fault):
    upload, full = presign(), without_room(rooms, fault)
    body = WHOLE | {"dataBase64": base64.b64encode(PNG).decode()}

    assert refused(full.put(upload["uploadUrl"], data=PNG, headers=upload["headers"])) == UNAVAILABLE
    assert refused(full.post(MEDIA, json=body, headers=DEMO)) == UNAVAILABLE

    assert files() == set()
    assert put(upload, PNG).status_code == 200
    assert (finalize(upload).status_code, inline(PNG).status_code) == (200, 201)


# Finalize


def whole_asset(asset: Record, organization: str, data: bytes, name: str, **fields: Any) -> Record:
    """Return what an asset of these bytes is, ids and token as they were minted."""
    token = asset["url"].split("/")[-3]
    assert re.fullmatch(r"asset_[0-9A-HJKMNP-TV-Z]{26}", asset["assetId"])
    assert re.fullmatch(r"[\w-]{22}", token)
    folder = f"http://localhost/media/{organization}/{asset['assetId']}/{token}"
    return {
        "mediaId": asset["assetId"],
        "assetId": asset["assetId"],
        "projectId": SPRING,
        "url": f"{folder}/original/{name}",
        "thumbnailUrl": f"{folder}/thumbnail/{name.partition('.')[0]}-thumb.webp",
        "kind": "image",
        "contentType": "image/png",
        "mimeType": "image/png",
        "filename": None,
        "sizeBytes": len(data),
        "checksumSha256": sha256(data).hexdigest(),
        "createdAt": "2026-04-18T09:18:44Z",
    } | fields


def test_a_finalized_upload_is_an_asset_the_same_each_time(presign, put, finalize, clock, organization):
    upload = presign(kind="logo", filename="Ava 1.png", sizeBytes=len(PNG), checksumSha256=sha256(PNG).hexdigest())
    put(upload, PNG)

    first = finalize(upload, checksumSha256=sha256(PNG).hexdigest().upper())
    clock.move(hours=48)
    again = finalize(upload)

    assert (first.status_code, again.status_code, again.data) == (200, 200, first.data)
    assert first.json == whole_asset(first.json, organization, PNG, "Ava-1.png", kind="logo", filename="Ava 1.png")
    assert list(first.json) == list(whole_asset(first.json, organization, PNG, "Ava-1.png"))


def test_an_asset_can_be_attached_to_an_influencer(demo, presign, put, finalize):
    upload = presign()
    put(upload, PNG)
    asset = finalize(upload).json

    references = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": [asset["assetId"]]}).json

    assert references["referenceImages"][-1] == {
        "assetId": asset["assetId"],
        "url": asset["url"],
        "thumbnailUrl": asset["thumbnailUrl"],
        "addedAt": "2026-04-18T09:18:44Z",
    }


def test_an_upload_is_known_in_its_own_project_only(demo, store, presign, put, finalize):
    upload = presign()
    put(upload, PNG)
    stranger = key_of(store, new_organization(store), "*")
    theirs = demo.post("/v1/projects", json={"name": "Theirs", "timezone": "UTC"}, headers=stranger).json["id"]
    body = {"uploadId": upload["uploadId"]}

    assert refused(finalize({"uploadId": "upl_unknown"})) == NO_UPLOAD
    assert refused(demo.post(f"/v1/projects/{SUMMER}/media/finalize", json=body)) == NO_UPLOAD
    assert refused(demo.post(f"/v1/projects/{theirs}/media/finalize", json=body, headers=stranger)) == NO_UPLOAD
    assert finalize(upload).status_code == 200


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, invalid(uploadId=["Required"])),
        ({"uploadId": 1}, invalid(uploadId=["Expected string, received number"])),
        ({"uploadId": "x", "checksumSha256": "x"}, invalid(checksumSha256=["Invalid checksum"])),
        ({"uploadId": "x", "kind": "image"}, invalid(kind=["Unrecognized key"])),
    ],
)
def test_a_finalize_that_is_wrong_is_refused(demo, body, refusal):
    assert refused(demo.post(f"{MEDIA}/finalize", json=body)) == refusal


def test_what_has_not_arrived_cannot_be_finalized(presign, finalize):
    upload = presign()

    assert refused(finalize(upload)) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "The upload has not arrived.",
        "details": {"subcode": "UPLOAD_MISSING", "uploadId": upload["uploadId"]},
    }


def test_what_has_arrived_and_is_gone_cannot_be_finalized_and_can_be_sent_again(presign, put, finalize, files):
    upload = presign()
    put(upload, PNG)
    for file in files():
        file.unlink()  # as after an import, which brings documents and no bytes

    assert refused(finalize(upload)) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "The upload has not arrived.",
        "details": {"subcode": "UPLOAD_MISSING", "uploadId": upload["uploadId"]},
    }
    assert put(upload, PNG).status_code == 200
    assert finalize(upload).status_code == 200


SIGNED = "<!-- " + "x" * 5_000 + " --><svg/>"


@needs_unreadable
@pytest.mark.parametrize("break_disk", [make_unreadable, make_unreachable])
@pytest.mark.parametrize(
    ("data", "mime_type"), [(PNG, "image/png"), (SIGNED.encode(), "image/svg+xml"), (HEIC, "image/heic")]
)
def test_bytes_that_cannot_be_read_just_now_are_nobody_s_fault(
    demo, presign, put, files, organization, on_disk, break_disk, data, mime_type
):
    upload = presign(mimeType=mime_type)
    put(upload, data)
    (file,) = files()
    break_disk(file)
    before, body = on_disk.read_bytes(), {"uploadId": upload["uploadId"]}

    for once in ({}, {"Idempotency-Key": "once"}):
        assert refused(demo.post(f"{MEDIA}/finalize", json=body, headers=once)) == UNAVAILABLE
    assert on_disk.read_bytes() == before

    restore(file, data)
    asset = demo.post(f"{MEDIA}/finalize", json=body, headers={"Idempotency-Key": "once"})
    assert (asset.status_code, asset.json["sizeBytes"]) == (200, len(data))


def test_bytes_that_are_not_as_declared_are_no_asset_until_they_are(presign, put, finalize):
    declared, short = sha256(PNG).hexdigest(), PNG[:-1]
    upload = presign(sizeBytes=len(PNG), checksumSha256=declared)
    put(upload, short)

    received = sha256(short).hexdigest()
    assert refused(finalize(upload)) == mismatch(sizeBytes=(len(PNG), len(short)), checksumSha256=(declared, received))
    put(upload, PNG)
    assert refused(finalize(upload, checksumSha256="0" * 64)) == mismatch(checksumSha256=("0" * 64, declared))
    assert finalize(upload).status_code == 200


def test_an_upload_that_nobody_finalizes_is_forgotten_after_a_day(presign, put, finalize, clock, store, organization):
    upload, late = presign(), presign()
    put(upload, PNG), put(late, PNG)

    clock.move(hours=24, milliseconds=-1)
    assert finalize(late).status_code == 200
    clock.move(milliseconds=1)
    assert refused(finalize(upload)) == NO_UPLOAD

    newest = presign()
    assert set(store.db.ids("uploads", organization)) == {late["uploadId"], newest["uploadId"]}


# What a picture is


@pytest.mark.parametrize(("data", "mime_type", "fault"), OTHER_TYPES)
def test_a_picture_that_is_not_what_it_says_is_no_asset(presign, put, finalize, data, mime_type, fault):
    upload = presign(mimeType=mime_type)
    assert put(upload, data).status_code == 200

    assert refused(finalize(upload)) == invalid(mimeType=[fault])


@pytest.mark.parametrize(("data", "mime_type", "fault"), [case for case in OTHER_TYPES if case[0]])
def test_an_inline_picture_that_is_not_what_it_says_leaves_nothing(inline, files, data, mime_type, fault):
    assert refused(inline(data, mimeType=mime_type)) == invalid(mimeType=[fault])
    assert files() == set()


def two_frames(kind: str) -> bytes:
    """Return a picture of two, the first teal, the second red."""
    first, second = Image.new("RGB", (400, 200), "teal"), Image.new("RGB", (400, 200), "red")
    out = BytesIO()
    first.save(out, kind, save_all=True, append_images=[second])
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (drawn("JPEG"), "image/jpeg"),
        (drawn("JPEG"), "image/jpg"),
        (two_frames("MPO"), "image/jpeg"),
        (two_frames("PNG"), "image/png"),
        (two_frames("GIF"), "image/gif"),
        (two_frames("WEBP"), "image/webp"),
        (drawn("BMP"), "image/bmp"),
        (drawn("TIFF"), "image/tiff"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf \n<svg/>", "image/svg+xml"),
        (HEIC, "image/heic"),
    ],
)
def test_a_picture_of_any_usual_type_is_what_it_says(inline, client, data, mime_type):
    response = inline(data, mimeType=mime_type)

    assert response.status_code == 201, response.json
    with client.get(response.json["url"]) as shown, client.get(response.json["thumbnailUrl"]) as thumbnail:
        assert (shown.status_code, shown.data, shown.content_type) == (200, data, mime_type)
        assert Image.open(BytesIO(thumbnail.data)).format == "WEBP"


# Inline


def test_an_inline_upload_is_an_asset_at_once(inline, organization, files):
    response = inline(PNG)

    assert response.status_code == 201
    assert response.json == whole_asset(response.json, organization, PNG, "file.png")
    assert [path.read_bytes() for path in files()] == [PNG]


def test_an_inline_upload_ends_below_a_quarter_of_a_mebibyte(inline, files):
    video = {"kind": "video", "mimeType": "video/mp4"}

    assert refused(inline(bytes(MAX_INLINE_BYTES), **video)) == invalid(
        dataBase64=["Decoded data must be less than 262144 bytes"]
    )
    assert files() == set()
    assert inline(bytes(MAX_INLINE_BYTES - 1), **video).json["sizeBytes"] == 262_143


@pytest.mark.parametrize("text", ["*", "QUI", "QUJD\n", "QUJ D", "é", "\0", "data:image/png;base64,QUJD", "QUJD-_=="])
def test_what_is_no_base64_is_refused(inline, files, text):
    assert refused(inline(PNG, dataBase64=text)) == invalid(dataBase64=["Invalid base64"])
    assert files() == set()


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, invalid(kind=["Required"], mimeType=["Required"], dataBase64=["Required"])),
        (WHOLE | {"dataBase64": ""}, invalid(dataBase64=["String must contain at least 1 character(s)"])),
        (WHOLE | {"dataBase64": "QUJD", "sizeBytes": 3}, invalid(sizeBytes=["Unrecognized key"])),
        (WHOLE | {"dataBase64": "QUJD", "kind": "video"}, invalid(mimeType=["Must be video/* for kind video"])),
    ],
)
def test_an_inline_upload_that_is_wrong_is_refused(demo, body, refusal):
    assert refused(demo.post(MEDIA, json=body)) == refusal


def test_what_is_no_base64_is_told_before_its_idempotency_key_is_looked_up(demo):
    body = WHOLE | {"dataBase64": base64.b64encode(PNG).decode()}
    once = {"Idempotency-Key": "once"}
    demo.post(MEDIA, json=body, headers=once)

    wrong = demo.post(MEDIA, json=body | {"dataBase64": "*", "kind": "film"}, headers=once)

    assert refused(wrong) == invalid(dataBase64=["Invalid base64"], kind=["Invalid enum value"])


def test_an_inline_upload_repeated_under_its_key_is_one_asset(demo, files):
    body = WHOLE | {"dataBase64": base64.b64encode(PNG).decode()}

    first, again = (demo.post(MEDIA, json=body, headers={"Idempotency-Key": "once"}) for _ in range(2))

    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert len(files()) == 1


NAMES = {
    "../../x": "-..-x",
    "..": "file.png",
    ".": "file.png",
    "/etc/passwd": "-etc-passwd",
    "C:\\con.png": "C-con.png",
    "a\0b.png": "a-b.png",
    "a\r\nSet-Cookie: b=c.png": "a-Set-Cookie-b-c.png",
    'a"; filename="b.exe': "a-filename-b.exe",
    "%2e%2e%2fx": "-2e-2e-2fx",
    ".hidden.png": "hidden.png",
    "\u202egnp.exe": "-gnp.exe",
    "\N{GRINNING FACE}" * 256: "-",
    "x" * 256: "x" * 256,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_from_a_client_is_kept_but_never_a_path(inline, client, files, organization, settings, name):
    asset = inline(PNG, filename=name).json

    assert asset["filename"] == name
    assert asset["url"].split("/")[7:] == ["original", NAMES[name]]
    assert [path.parent for path in files()] == [settings.data / "media" / organization]
    assert all(re.fullmatch(r"asset_\w{26}-[0-9a-f]{32}", path.name) for path in files())
    for url in (asset["url"], asset["thumbnailUrl"]):
        with client.get(url) as response:
            assert response.status_code == 200
    with client.get(asset["url"]) as response:
        assert response.headers["Content-Disposition"] == f"inline; filename={NAMES[name]}"


# What is served


@pytest.mark.parametrize(
    ("data", "mime_type"), [(SVG, "image/svg+xml"), (b"\0<script>alert(1)</script>", "image/html")]
)
def test_what_a_browser_could_run_comes_as_attachment(inline, client, data, mime_type):
    with client.get(inline(data, mimeType=mime_type, filename="a.html").json["url"]) as response:
        assert (response.data, response.mimetype) == (data, mime_type)
        assert response.headers["Content-Disposition"] == "attachment; filename=a.html"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; media-src 'self'; sandbox"


def test_an_asset_is_served_in_parts_to_those_who_have_it_and_without_its_body(inline, client):
    url = inline(MP4[:1000], kind="video", mimeType="video/mp4").json["url"]

    with client.get(url) as whole, client.head(url) as head, client.get(url, headers={"Range": "bytes=10-19"}) as part:
        assert (whole.status_code, whole.data) == (200, MP4[:1000])
        assert whole.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", "1000")
        assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, MP4[10:20], "bytes 10-19/1000")
        tag = whole.headers["ETag"]
    with client.get(url, headers={"If-None-Match": tag}) as again:
        assert (again.status_code, again.data) == (304, b"")
    with client.get(url, headers={"Range": "bytes=1000-"}) as beyond:
        assert refused(beyond) == {
            "status": 416,
            "code": "RANGE_NOT_SATISFIABLE",
            "message": "The file has no such part.",
        }
        assert beyond.headers["Content-Range"] == "bytes */1000"


@pytest.fixture
def thumbnail(inline, client):
    """Return a function that uploads a picture and opens its thumbnail."""

    def thumbnail(data: bytes, **fields: str) -> Image.Image:
        with client.get(inline(data, **fields).json["thumbnailUrl"]) as response:
            assert (response.status_code, response.content_type) == (200, "image/webp")
            picture = Image.open(BytesIO(response.data))
        picture.load()
        return picture

    return thumbnail


def is_close(pixel: tuple[int, ...], color: tuple[int, ...]) -> bool:
    return all(abs(one - other) < 40 for one, other in zip(pixel, color, strict=True))


RED, BLUE, TEAL = (255, 0, 0), (0, 0, 255), (0, 128, 128)


def test_a_thumbnail_stands_upright(thumbnail):
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (200, 0, 400, 200))
    exif, out = Image.Exif(), BytesIO()
    exif[0x0112] = 6  # to be turned a quarter to the right
    picture.save(out, "JPEG", exif=exif)

    small = thumbnail(out.getvalue(), mimeType="image/jpeg")

    assert small.size == (128, 256)
    assert is_close(small.convert("RGB").getpixel((64, 20)), RED)
    assert is_close(small.convert("RGB").getpixel((64, 236)), BLUE)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_thumbnail_is_as_transparent_as_its_picture(thumbnail, mode):
    picture = Image.new("RGBA", (600, 600), (0, 0, 0, 0))
    picture.paste((128, 128, 128, 255), (300, 0, 600, 600))
    out = BytesIO()
    picture.convert(mode).save(out, "PNG")

    small = thumbnail(out.getvalue())

    assert (small.size, small.mode) == ((256, 256), "RGBA")
    assert (small.getpixel((20, 128))[3], small.getpixel((236, 128))[3]) == (0, 255)


def test_the_thumbnail_of_an_animation_is_its_first_picture(thumbnail):
    small = thumbnail(two_frames("GIF"), mimeType="image/gif")

    assert (small.size, getattr(small, "n_frames", 1)) == ((256, 128), 1)
    assert is_close(small.convert("RGB").getpixel((128, 64)), TEAL)


@pytest.mark.parametrize(
    "data", [MP4[:1000], png_that_claims(13_000, 13_000), drawn("JPEG", (900, 900))[:400], CRASHING]
)
def test_what_cannot_be_drawn_has_a_tile_for_a_thumbnail(thumbnail, data):
    assert thumbnail(data, kind="video", mimeType="video/mp4").size == (256, 256)


@pytest.mark.filterwarnings("ignore")  # Pillow's words about what is wrong with them
def test_a_picture_with_any_byte_wrong_has_a_thumbnail_or_is_refused(inline, client):
    dice = random.Random(7)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        sound = drawn(kind, (60, 60))
        for _ in range(15):
            broken = bytearray(sound)
            for _ in range(4):
                broken[dice.randrange(len(broken))] = dice.randrange(256)
            response = inline(bytes(broken), mimeType=f"image/{kind.lower()}")
            assert response.status_code in (201, 422), (kind, bytes(broken))
            if response.status_code == 201:
                with client.get(response.json["thumbnailUrl"]) as thumbnail:
                    assert thumbnail.status_code == 200, (kind, bytes(broken))


# The sweep


def test_a_sweep_leaves_what_is_an_asset_and_nothing_else(
    rooms, presign, put, finalize, inline, client, clock, files, organization
):
    assets = [inline(PNG).json]
    finished, twice, forgotten = presign(), presign(), presign()
    for upload, data in ((finished, PNG), (twice, BOMB), (twice, PNG), (forgotten, PNG)):
        put(upload, data)
    assets += [finalize(upload).json for upload in (finished, twice)]
    for asset in assets:
        client.get(asset["thumbnailUrl"]).close()
    rooms.media.put(organization, "asset_orphan", PNG)
    rooms.media.thumbnail(organization, "asset_orphan")
    clock.move(hours=24)

    a_day_ago = 24 * 60 * 60
    assert rooms.media.sweep(known_in(rooms), a_day_ago) == []
    removed = rooms.media.sweep(known_in(rooms), -1)

    assert len(removed) == 3  # the forgotten one, the orphan and its thumbnail
    assert len(files()) == 2 * len(assets)
    for asset in assets:
        with client.get(asset["url"]) as original, client.get(asset["thumbnailUrl"]) as small:
            assert (original.data, small.status_code) == (PNG, 200)
    assert rooms.media.sweep(known_in(rooms), -1) == []


@pytest.mark.parametrize("asset_id", ["asset_a", "asset_a-1", "med_a-b-c", "8d0f2c7a-91b4-4e55-b1d6-0a7c3e5f9b21"])
def test_a_sweep_knows_assets_by_ids_of_any_form(rooms, organization, asset_id):
    rooms.store.tables.put("assets", {"organizationId": organization, "assetId": asset_id})
    rooms.media.put(organization, asset_id, PNG)

    assert rooms.media.sweep(known_in(rooms), -1) == []


# Over a real socket


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("service") / "store"
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="1", STANDIN_SYNC="never") as server:
        before = server.workers()
        yield server
        assert server.workers() == before
        assert "Traceback" not in server.output
        assert "crashed" not in server.output


@pytest.fixture
def http(server: Server) -> httpx.Client:
    return server.client()


def promised(http: httpx.Client, **fields: Any) -> Record:
    return dict(http.post(f"{MEDIA}/presign", json=WHOLE | fields).raise_for_status().json())


def stored(server: Server) -> set[Path]:
    return {path for path in (server.folder / "media").rglob("*") if path.is_file()}


REAL = {
    "picture.jpg": (drawn("JPEG", (900, 600)), "image/jpeg"),
    "picture.png": (drawn("PNG", (900, 600)), "image/png"),
    "picture.webp": (drawn("WEBP", (900, 600)), "image/webp"),
    "picture.gif": (two_frames("GIF"), "image/gif"),
    "picture.svg": (SVG, "image/svg+xml"),
    "film.mp4": (MP4, "video/mp4"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_what_goes_in_comes_out_byte_for_byte(http, name):
    data, mime_type = REAL[name]
    kind = "video" if mime_type.startswith("video/") else "reference_image"
    upload = promised(http, kind=kind, mimeType=mime_type, filename=name, sizeBytes=len(data))

    sent = httpx.put(upload["uploadUrl"], content=data, headers=upload["headers"])
    asset = http.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).raise_for_status().json()
    shown, small = httpx.get(asset["url"]), httpx.get(asset["thumbnailUrl"])

    assert (sent.status_code, sent.headers["ETag"]) == (200, f'"{sha256(data).hexdigest()}"')
    assert (shown.status_code, shown.content, shown.headers["Content-Type"]) == (200, data, mime_type)
    assert max(Image.open(BytesIO(small.content)).size) == 256
    assert (asset["filename"], asset["sizeBytes"]) == (name, len(data))


def in_pieces(size: int, piece: int = 1 << 16) -> Iterator[bytes]:
    for _ in range(size // piece):
        yield bytes(piece)


def raw(server: Server, upload: Record, headers: str, body: bytes) -> bytes:
    """Send a PUT with these headers, whatever its body; return all that comes back until the server hangs up."""
    host, port = server.url.removeprefix("http://").split(":")
    head = f"PUT {upload['uploadUrl'].removeprefix(server.url)} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}"
    with socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection:
        connection.sendall(f"{head}Content-Type: {upload['headers']['Content-Type']}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as incoming:
            return incoming.read()


LARGE = bytes(8 << 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (f"Content-Length: {len(LARGE)}\r\n", LARGE),
        ("Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)),
    ],
)
def test_a_client_that_sends_all_before_it_listens_hears_why_it_is_refused(server, http, headers, body):
    upload, before = promised(http, **VIDEO, sizeBytes=1000), stored(server)

    large = raw(server, upload, headers, body)
    tampered = raw(server, upload | {"uploadUrl": f"{upload['uploadUrl']}x"}, headers, body)

    assert large.startswith(b"HTTP/1.1 413 ")
    assert b'"details":{"maxBytes":1000}' in large
    assert tampered.startswith(b"HTTP/1.1 403 ")
    assert stored(server) == before


HALF = MP4[: len(MP4) // 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (f"Content-Length: {len(MP4)}\r\n", HALF),
        ("Transfer-Encoding: chunked\r\n", b"%x\r\n" % len(MP4) + HALF),
        ("Transfer-Encoding: chunked\r\n", b"%x\r\n" % len(HALF) + HALF + b"\r\n"),
        ("Transfer-Encoding: chunked\r\n", b"%x\r\n" % len(HALF) + HALF + b"\r\nzz\r\n"),
    ],
)
def test_an_upload_cut_off_leaves_nothing_and_can_be_made_again(server, http, headers, body):
    upload, before = promised(http, **VIDEO), stored(server)

    answer = raw(server, upload, headers, body)

    assert answer.startswith(b"HTTP/1.1 422 ")
    assert stored(server) == before
    asked = {"uploadId": upload["uploadId"]}
    assert http.post(f"{MEDIA}/finalize", json=asked).json()["error"]["details"]["subcode"] == "UPLOAD_MISSING"
    assert httpx.put(upload["uploadUrl"], content=MP4, headers=upload["headers"]).status_code == 200
    assert httpx.get(http.post(f"{MEDIA}/finalize", json=asked).json()["url"]).content == MP4


@pytest.mark.slow
def test_a_client_that_goes_away_without_a_word_leaves_nothing(server, http):
    upload, before = promised(http, **VIDEO), stored(server)
    host, port = server.url.removeprefix("http://").split(":")
    path = upload["uploadUrl"].removeprefix(server.url)
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp4\r\nContent-Length: {len(MP4)}\r\n\r\n"

    with socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection:
        connection.sendall(head.encode() + HALF)
        eventually(lambda: stored(server) != before, "the upload to begin")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    eventually(lambda: stored(server) == before, "the upload to be given up")


@pytest.mark.slow
def test_a_length_that_is_less_than_what_comes_is_all_that_counts(server, http):
    upload = promised(http, **VIDEO, sizeBytes=100)

    answer = raw(server, upload, "Content-Length: 10\r\n", MP4[:100])

    assert answer.startswith(b"HTTP/1.1 200 ")
    refusal = http.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).json()["error"]
    assert refusal["details"]["sizeBytes"] == {"expected": 100, "received": 10}


@pytest.mark.slow
def test_a_picture_that_would_fill_the_memory_is_refused_and_the_worker_lives(server, http):
    before = server.workers()
    upload = promised(http, sizeBytes=len(BOMB))
    httpx.put(upload["uploadUrl"], content=BOMB, headers=upload["headers"]).raise_for_status()

    refusal = http.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]})
    inline = http.post(MEDIA, json=WHOLE | {"dataBase64": base64.b64encode(BOMB).decode()})

    assert len(BOMB) < 5_000
    for response in (refusal, inline):
        assert response.status_code == 422
        assert response.json()["error"]["details"] == {"fieldErrors": {"mimeType": [TOO_MANY_PIXELS]}}
    assert server.workers() == before
    assert http.get("/v1/whoami").status_code == 200


def peak_kib(pid: int) -> int:
    """Return the most memory a process has had resident so far."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no /proc here to read the peak from")
@pytest.mark.parametrize("chunked", [True, False])
def test_forty_megabytes_go_through_without_being_held(server, http, chunked):
    (worker,) = server.workers()
    small = promised(http, **VIDEO)
    httpx.put(small["uploadUrl"], content=MP4, headers=small["headers"]).raise_for_status()
    size, before = 40 << 20, peak_kib(worker)

    upload = promised(http, **VIDEO)
    headers = upload["headers"] | ({} if chunked else {"Content-Length": str(size)})
    httpx.put(
        upload["uploadUrl"], content=in_pieces(size), headers=headers, timeout=PATIENCE_SECONDS
    ).raise_for_status()
    asset = http.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).raise_for_status().json()
    with httpx.stream("GET", asset["url"], timeout=PATIENCE_SECONDS) as response:
        received = sum(len(piece) for piece in response.iter_bytes())

    assert (asset["sizeBytes"], received) == (size, size)
    assert peak_kib(worker) - before < 16 << 10
