"""Media in a bucket, against a real S3 server over HTTP: uploads past the stand-in, and the same files as ever."""

import base64
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from api_helpers import AVA_PICTURES, MEDIA, NO_ROUTE, SPRING, UNAVAILABLE, invalid, known_in, refused
from conftest import AVA_PATH, DEMO
from control_helpers import Control
from PIL import Image
from servers import PATIENCE_SECONDS, STAYS_OPEN, eventually, run, serving, together
from upload_helpers import (
    BOMB,
    HEIC,
    MP4,
    NO_UPLOAD,
    OTHER_TYPES,
    PNG,
    SVG,
    TOO_MANY_PIXELS,
    VIDEO,
    drawn,
    mismatch,
    too_large,
)

from app import create_app
from layers_standin.engines.errors import Unavailable
from layers_standin.engines.table import Record
from layers_standin.housekeeping import housekeeping, sweep
from layers_standin.media.storage import Incomplete, NoSuchFile
from layers_standin.settings import Bucket, Settings

pytest.importorskip("obstore")
pytest.importorskip("moto")

import obstore
from buckets import CREDENTIALS, KEY_ID, REGION, SECRET, BucketServer

from layers_standin.media.bucket import BucketStorage

pytestmark = pytest.mark.slow

Keys = Callable[[], set[str]]


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[BucketServer]:
    server = BucketServer()
    yield server
    with suppress(OSError):
        server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in CREDENTIALS.items():
        monkeypatch.setenv(name, text)


@pytest.fixture
def bucket(bucket_server: BucketServer) -> Bucket:
    return Bucket(bucket_server.new_bucket(), "stand-in/media", bucket_server.url, REGION)


@pytest.fixture
def settings(tmp_path: Path, bucket: Bucket) -> Settings:
    return Settings(data=tmp_path / "store", sync=False, media=bucket)


@pytest.fixture
def asked(bucket_server: BucketServer) -> list[tuple[str, str, str]]:
    """Return what the server is asked from now on: (method, path, range)."""
    bucket_server.guard.asked.clear()
    return bucket_server.guard.asked


def keys_in(room: BucketStorage) -> set[str]:
    return {meta["path"] for meta in obstore.list(room._store).collect()}


@pytest.fixture
def keys(rooms) -> Keys:
    """Return a function that lists every key that the seed did not bring."""
    seeded = keys_in(rooms.media)
    return lambda: keys_in(rooms.media) - seeded


def put(upload: Record, data: Any, **headers: str) -> httpx.Response:
    """Send the bytes where the upload says, as any client would: without a key, to another host."""
    return httpx.put(upload["uploadUrl"], content=data, headers=upload["headers"] | headers, timeout=PATIENCE_SECONDS)


def inline(client: Any, data: bytes, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"kind": "image", "mimeType": "image/png", "dataBase64": base64.b64encode(data).decode()}
    return client.post(MEDIA, json=body | fields, headers=headers)


# From presign to the asset


def test_the_bytes_go_straight_to_the_bucket_and_become_an_asset(
    demo, presign, finalize, bucket, organization, keys, client
):
    upload = presign(filename="Ava 1.png", sizeBytes=len(PNG), checksumSha256=sha256(PNG).hexdigest())
    url, query = urlsplit(upload["uploadUrl"]), parse_qs(urlsplit(upload["uploadUrl"]).query)
    assert f"{url.scheme}://{url.netloc}" == bucket.endpoint
    assert re.fullmatch(rf"/{bucket.name}/stand-in/media/{organization}/asset_\w{{26}}\.incoming", url.path)
    assert query["X-Amz-Expires"] == ["900"]
    assert (upload["method"], upload["headers"]) == ("PUT", {"Content-Type": "image/png"})

    assert put(upload, PNG).status_code == 200
    asset = finalize(upload, checksumSha256=sha256(PNG).hexdigest().upper())

    assert asset.status_code == 200, asset.json
    assert (asset.json["sizeBytes"], asset.json["checksumSha256"]) == (len(PNG), sha256(PNG).hexdigest())
    assert (asset.json["contentType"], asset.json["filename"]) == ("image/png", "Ava 1.png")
    assert finalize(upload).data == asset.data
    (key,) = keys()
    assert re.fullmatch(rf"{organization}/{asset.json['assetId']}-[0-9a-f]{{32}}", key)
    with client.get(asset.json["url"]) as shown:
        assert (shown.status_code, shown.data) == (200, PNG)
    attached = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": [asset.json["assetId"]]}).json
    assert attached["referenceImages"][-1]["url"] == asset.json["url"]


def test_nobody_can_change_an_asset_by_the_url_it_was_uploaded_with(presign, finalize, client, keys, rooms):
    upload = presign()
    put(upload, PNG)
    asset = finalize(upload).json

    assert put(upload, drawn(size=(9, 9))).status_code == 200  # the bucket cannot know

    assert finalize(upload).json == asset
    with client.get(asset["url"]) as shown, client.get(asset["thumbnailUrl"]) as small:
        assert (shown.data, small.status_code) == (PNG, 200)
    assert len(keys()) == 3
    assert [key for key in rooms.media.sweep(known_in(rooms), -1) if key.endswith(".incoming")] != []
    with client.get(asset["url"]) as shown:
        assert shown.data == PNG


def test_of_two_puts_the_last_counts(presign, finalize, client):
    upload, other = presign(), drawn(size=(10, 10))
    put(upload, PNG), put(upload, other)

    with client.get(finalize(upload).json["url"]) as shown:
        assert shown.data == other


def test_a_url_that_is_changed_or_late_is_refused_by_the_bucket(presign, finalize, bucket_server, keys):
    upload, other = presign(), presign()
    url = upload["uploadUrl"]
    mark = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
    foreign = parse_qs(urlsplit(other["uploadUrl"]).query)["X-Amz-Signature"][0]
    tampered = [
        url.replace("asset_", "asset-"),
        url.replace(".incoming", ""),
        url.replace("X-Amz-Expires=900", "X-Amz-Expires=901"),
        url.replace(mark, foreign),
        url.replace(mark, mark[:-1] + ("0" if mark[-1] != "0" else "1")),
        url.replace(KEY_ID, "AKIAOTHER"),
    ]

    for each in tampered:
        assert put(upload | {"uploadUrl": each}, PNG).status_code == 403, each
    for method in ("GET", "DELETE", "POST"):
        assert httpx.request(method, url).status_code == 403
    bucket_server.guard.ahead = timedelta(minutes=15, seconds=1)
    try:
        assert put(upload, PNG).status_code == 403
    finally:
        bucket_server.guard.ahead = timedelta()
    assert keys() == set()
    assert refused(finalize(upload))["details"]["subcode"] == "UPLOAD_MISSING"
    assert put(upload, PNG).status_code == 200
    assert finalize(upload).status_code == 200


def test_what_has_not_arrived_cannot_be_finalized(demo, presign, finalize):
    upload = presign()

    assert refused(finalize(upload)) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "The upload has not arrived.",
        "details": {"subcode": "UPLOAD_MISSING", "uploadId": upload["uploadId"]},
    }
    assert refused(finalize({"uploadId": "upl_unknown"})) == NO_UPLOAD
    elsewhere = demo.post("/v1/projects/proj_unknown/media/finalize", json={"uploadId": upload["uploadId"]})
    assert refused(elsewhere)["message"] == "Project not found."


def test_bytes_that_are_not_as_declared_are_no_asset_until_they_are(presign, finalize, keys):
    declared, short = sha256(PNG).hexdigest(), PNG[:-1]
    upload = presign(sizeBytes=len(PNG), checksumSha256=declared)
    put(upload, short)

    received = sha256(short).hexdigest()
    assert refused(finalize(upload)) == mismatch(sizeBytes=(len(PNG), len(short)), checksumSha256=(declared, received))
    put(upload, PNG + b"x")
    assert refused(finalize(upload))["details"]["sizeBytes"] == {"expected": len(PNG), "received": len(PNG) + 1}
    put(upload, PNG)
    assert refused(finalize(upload, checksumSha256="0" * 64)) == mismatch(checksumSha256=("0" * 64, declared))
    assert [key.endswith(".incoming") for key in keys()] == [True]  # what was refused is not kept
    assert finalize(upload).status_code == 200
    assert [key.endswith(".incoming") for key in keys()] == [False]


@pytest.mark.parametrize("sent", ["image/jpeg", "text/html", ""])
def test_another_type_than_declared_is_found_out(presign, finalize, keys, sent):
    upload = presign()
    assert put(upload, PNG, **{"Content-Type": sent}).status_code == 200

    refusal = refused(finalize(upload))

    assert (refusal["status"], refusal["details"]["subcode"]) == (409, "UPLOAD_MISMATCH")
    assert refusal["details"]["contentType"]["expected"] == "image/png"
    put(upload, PNG, **{"Content-Type": "Image/PNG; charset=binary"})
    assert finalize(upload).status_code == 200
    assert len(keys()) == 1


def test_no_more_bytes_than_the_settings_allow_are_ever_read(rooms, demo, keys, asked):
    small = rooms._replace(settings=replace(rooms.settings, max_upload_bytes=1000))
    client = create_app(small).test_client()
    upload = client.post(f"{MEDIA}/presign", json=VIDEO, headers=DEMO).json
    put(upload, MP4[:1001])
    asked.clear()

    refusal = client.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}, headers=DEMO)

    assert refused(refusal) == too_large(1000)
    assert [method for method, *_ in asked] == ["HEAD"]
    put(upload, MP4[:1000])
    again = client.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}, headers=DEMO)
    assert (again.status_code, again.json["sizeBytes"]) == (200, 1000)


@pytest.mark.parametrize(("data", "mime_type", "fault"), OTHER_TYPES)
def test_a_picture_that_is_not_what_it_says_is_no_asset(presign, finalize, keys, data, mime_type, fault):
    upload = presign(mimeType=mime_type)
    assert put(upload, data).status_code == 200

    assert refused(finalize(upload)) == invalid(mimeType=[fault])
    assert [key.endswith(".incoming") for key in keys()] == [True]


def test_of_a_large_picture_only_the_head_is_looked_at(presign, finalize, asked):
    noise = Image.frombytes("RGB", (1500, 1500), random.Random(3).randbytes(1500 * 1500 * 3))
    out = BytesIO()
    noise.save(out, "PNG")
    upload = presign()
    put(upload, out.getvalue())
    asked.clear()

    assert finalize(upload).json["checksumSha256"] == sha256(out.getvalue()).hexdigest()

    size, block = len(out.getvalue()), 4 << 20
    whole = [f"bytes={start}-{min(start + block, size) - 1}" for start in range(0, size, block)]
    assert [part for method, _, part in asked if method == "GET"] == [*whole, "bytes=0-65535"]


def test_two_that_finalize_at_once_get_the_same_asset(app, demo, presign, organization, rooms):
    upload = presign()
    put(upload, PNG)
    replies: list[Any] = []

    def ask() -> None:
        client = app.test_client()
        body = {"uploadId": upload["uploadId"]}
        replies.append(client.post(f"{MEDIA}/finalize", json=body, headers=DEMO))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    [thread.start() for thread in threads], [thread.join(PATIENCE_SECONDS) for thread in threads]

    done = [reply for reply in replies if reply.status_code == 200]
    # Who comes when the bytes were just moved may be told that there are none, but never anything else.
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert len({reply.data for reply in done}) == 1
    with demo.get(done[0].json["url"]) as shown:
        assert shown.data == PNG


# Inline


def test_an_inline_upload_is_an_asset_at_once_and_only_once(demo, client, keys):
    once = {"Idempotency-Key": "once"}

    first, again = inline(demo, PNG, once), inline(demo, PNG, once)

    assert (first.status_code, again.status_code, again.data) == (201, 201, first.data)
    assert len(keys()) == 1
    with client.get(first.json["url"]) as shown:
        assert shown.data == PNG


def test_an_inline_upload_that_is_refused_leaves_nothing(demo, keys, asked):
    assert refused(inline(demo, BOMB)) == invalid(mimeType=[TOO_MANY_PIXELS])
    assert refused(inline(demo, SVG)) == invalid(mimeType=["The bytes are not image/png"])
    refusal = demo.post(
        "/v1/projects/proj_x/media", json={"kind": "image", "mimeType": "image/png", "dataBase64": "QQ=="}
    )
    assert refused(refusal)["message"] == "Project not found."
    assert asked == []
    assert keys() == set()


# What is served


def test_the_pictures_of_content_are_in_the_bucket_and_of_a_refused_request_none(demo, client, control, keys):
    before = set(keys())
    job = demo.post(f"/v1/projects/{SPRING}/content", json={"format": "slideshow_remix"}).json
    drawn = set(keys()) - before
    assert len(drawn) == 3
    refusal = demo.post(f"/v1/content/{job['containerId']}/regenerate")
    assert (refusal.status_code, set(keys()) - before) == (409, drawn)
    control.put("/clock", advance="PT1H")
    control.post("/snapshots", name="one")
    control.post("/reset")

    control.post("/snapshots/one/restore")

    control.put("/clock", advance="PT1H")
    for asset in demo.get(f"/v1/content/{job['containerId']}").json["assets"]:
        with client.get(urlsplit(asset["url"]).path) as served:
            assert sha256(served.get_data()).hexdigest() == asset["checksumSha256"]


def test_the_pictures_of_the_seed_are_served_as_they_are(client, store, organization):
    for asset_id in store.db.ids("assets", organization):
        asset = store.for_organization(organization).assets.get(asset_id)
        with client.get(asset["path"]) as shown, client.get(asset["thumbnailPath"]) as small:
            assert sha256(shown.data).hexdigest() == asset["checksumSha256"]
            assert max(Image.open(BytesIO(small.data)).size) == 256


def test_a_file_is_served_whole_in_parts_and_to_those_who_have_it(demo, client):
    url = inline(demo, MP4[:200_000], kind="video", mimeType="video/mp4").json["url"]

    with client.get(url) as whole, client.head(url) as head, client.get(url, headers={"Range": "bytes=10-19"}) as part:
        assert (whole.status_code, whole.data) == (200, MP4[:200_000])
        assert whole.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert whole.headers["Content-Disposition"] == "inline; filename=file.mp4"
        assert whole.content_type == "video/mp4"
        assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", "200000")
        assert (part.status_code, part.data, part.headers["Content-Range"]) == (206, MP4[10:20], "bytes 10-19/200000")
        assert {"ETag", "Last-Modified"} <= {name for name, _ in whole.headers}
    for wanted, expected in (("bytes=150000-", MP4[150_000:200_000]), ("bytes=-5", MP4[199_995:200_000])):
        with client.get(url, headers={"Range": wanted}) as part:
            assert (part.status_code, part.data) == (206, expected)
    with client.get(url, headers={"If-None-Match": whole.headers["ETag"]}) as again:
        assert (again.status_code, again.data) == (304, b"")
    for ignored in ("bytes=0-1,4-5", "items=0-1"):
        with client.get(url, headers={"Range": ignored, "If-Match": "*"}) as all_of_it:
            assert (all_of_it.status_code, all_of_it.data) == (200, MP4[:200_000])
    with client.get(url, headers={"If-Match": '"x"'}) as other:
        assert (other.status_code, list(other.json)) == (412, ["error"])
    with client.get(url, headers={"Range": "bytes=200000-"}) as beyond:
        assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */200000")


@pytest.mark.parametrize(
    ("data", "mime_type"), [(SVG, "image/svg+xml"), (b"\0<script>alert(1)</script>", "image/html")]
)
def test_what_a_browser_could_run_comes_as_attachment(demo, client, data, mime_type):
    with client.get(inline(demo, data, mimeType=mime_type, filename="a.html").json["url"]) as response:
        assert (response.data, response.mimetype) == (data, mime_type)
        assert response.headers["Content-Disposition"] == "attachment; filename=a.html"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; media-src 'self'; sandbox"


def test_a_thumbnail_and_a_portrait_are_drawn_once_and_kept(demo, client, asked):
    asset = inline(demo, drawn(size=(900, 300))).json
    portrait = next(
        found["thumbnailUrl"]
        for found in demo.get(f"/v1/projects/{SPRING}/influencers").json["items"]
        if "/portrait/" in found["thumbnailUrl"]
    )
    for url, size in ((asset["thumbnailUrl"], (256, 85)), (portrait, (256, 256))):
        asked.clear()
        for _ in range(2):
            with client.get(url) as response:
                assert response.status_code == 200
                assert Image.open(BytesIO(response.data)).size == size
        assert [method for method, *_ in asked].count("PUT") == 1


def test_what_cannot_be_drawn_has_a_tile_for_a_thumbnail(demo, client):
    with client.get(inline(demo, MP4[:999], kind="video", mimeType="video/mp4").json["thumbnailUrl"]) as tile:
        assert Image.open(BytesIO(tile.data)).size == (256, 256)


def test_an_asset_whose_bytes_are_gone_is_not_found(client, rooms, organization, store):
    rooms.media.discard(organization, AVA_PICTURES[0])
    asset = store.for_organization(organization).assets.get(AVA_PICTURES[0])

    for path in (asset["path"], asset["thumbnailPath"]):
        assert refused(client.get(path)) == NO_ROUTE


# When the bucket does not serve


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Return the URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def without_bucket(rooms: Any, endpoint: str) -> Any:
    media = BucketStorage(Bucket("gone", "prefix", endpoint, REGION))
    return create_app(rooms._replace(media=media)).test_client()


def test_a_bucket_that_is_down_is_a_503_and_soon(rooms, demo, client, store, organization, caplog):
    down = without_bucket(rooms, "http://127.0.0.1:1")
    upload = down.post(f"{MEDIA}/presign", json={"kind": "image", "mimeType": "image/png"}, headers=DEMO)
    assert upload.status_code == 200  # signed without asking
    asset = store.for_organization(organization).assets.get(AVA_PICTURES[0])
    began = time.monotonic()

    replies = [
        down.post(f"{MEDIA}/finalize", json={"uploadId": upload.json["uploadId"]}, headers=DEMO),
        inline(down, PNG, DEMO),
        down.get(asset["path"]),
        down.get(asset["thumbnailPath"]),
        down.head(asset["path"]),
    ]

    assert time.monotonic() - began < 20
    assert [refused(reply) for reply in replies[:-1]] == [UNAVAILABLE] * 4
    assert replies[-1].status_code == 503
    assert "s3://gone/prefix of STANDIN_MEDIA does not serve" in caplog.text
    for secret in (SECRET, "X-Amz-Signature"):
        assert secret not in caplog.text
    with client.get(asset["path"]) as shown:
        assert shown.status_code == 200


@pytest.fixture
def failing(bucket_server: BucketServer) -> Iterator[Callable[..., None]]:
    """Return a function that lets the bucket fail the requests of some methods, but the first `after` of them.

    A GET is one of bytes: a list is still given.
    """

    def fail(*methods: str, after: int = 0) -> None:
        answered, asked_for = count(), {("GET", True) if method == "GET" else (method, False) for method in methods}
        bucket_server.guard.fails = lambda method, _, part: (
            (method, bool(part)) in asked_for and next(answered) >= after
        )

    sound = bucket_server.guard.fails
    yield fail
    bucket_server.guard.fails = sound


@pytest.mark.parametrize("after", [0, 1])  # reading the bytes fails, or looking into them
def test_a_picture_that_cannot_be_looked_into_just_now_is_nobody_s_fault(
    presign, finalize, client, keys, failing, after
):
    for data, mime_type in ((PNG, "image/png"), (SVG, "image/svg+xml"), (HEIC, "image/heic")):
        upload, before = presign(mimeType=mime_type), keys()
        assert put(upload, data).status_code == 200

        for _ in range(2):
            failing("GET", after=after)
            assert refused(finalize(upload)) == UNAVAILABLE

        failing()
        assert [key.endswith(".incoming") for key in keys() - before] == [True]
        with client.get(finalize(upload).json["url"]) as shown:
            assert shown.data == data


def test_what_cannot_be_drawn_just_now_is_drawn_by_the_next_request(demo, client, keys, failing):
    asset = inline(demo, drawn(size=(900, 300))).json
    items = demo.get(f"/v1/projects/{SPRING}/influencers").json["items"]
    portrait = next(item["thumbnailUrl"] for item in items if "/portrait/" in item["thumbnailUrl"])
    before = keys()

    for url, size, methods in (
        (asset["thumbnailUrl"], (256, 85), ("GET", "HEAD", "PUT")),
        (portrait, (256, 256), ("HEAD", "PUT")),
    ):
        for method in methods:
            failing(method)
            assert refused(client.get(url)) == UNAVAILABLE, method
        failing()
        assert keys() == before
        with client.get(url) as response:
            assert Image.open(BytesIO(response.data)).size == size
        failing("GET")
        assert refused(client.get(url)) == UNAVAILABLE
        failing()
        before = keys()


def test_an_original_that_the_bucket_does_not_give_is_unavailable(demo, client, failing):
    url = inline(demo, PNG).json["url"]

    for headers in ({}, {"Range": "bytes=10-19"}, {"If-None-Match": '"other"'}):
        for method in ("GET", "HEAD"):
            failing(method)
            assert refused(client.get(url, headers=headers)) == UNAVAILABLE, (method, headers)
    assert refused(client.get(url, headers={"If-None-Match": "*"})) == UNAVAILABLE
    assert client.head(url).status_code == 503

    failing()
    with client.get(url) as shown:
        assert shown.data == PNG


def test_a_body_that_the_bucket_gives_no_end_of_is_cut_off_and_logged(rooms, demo, failing, caplog):
    upload = rooms.media.receive("org", "asset", [bytes(3 << 20)])
    asset = inline(demo, PNG, **VIDEO).json
    store = rooms.store.for_organization(asset["url"].split("/")[4])
    rooms.store.tables.put("assets", store.assets.get(asset["assetId"]) | upload._asdict())
    rooms.media.copy(f"org/{upload.file}", f"{store.organization}/{upload.file}")
    failing("GET", after=1)

    with create_app(rooms).test_client().get(asset["url"]) as response:
        assert response.content_length == 3 << 20
        with pytest.raises(ConnectionResetError):
            response.get_data()

    request_id = response.headers["X-Request-Id"]
    assert re.search(
        rf"{request_id} cut off, \d+ bytes before its end: The bucket \S+ of STANDIN_MEDIA does not", caplog.text
    )
    assert SECRET not in caplog.text


def test_a_thumbnail_is_drawn_once_however_many_ask_at_once(app, demo, asked):
    url = inline(demo, drawn(size=(900, 300))).json["thumbnailUrl"]
    asked.clear()

    assert set(together([lambda: app.test_client().get(url).status_code] * 6)) == {200}

    assert [method for method, *_ in asked].count("PUT") == 1


def test_documents_whose_bytes_cannot_be_kept_are_no_snapshot(rooms, control):
    down = Control(without_bucket(rooms, "http://127.0.0.1:1"))

    assert refused(down.send("POST", "/snapshots", {"name": "one"})) == UNAVAILABLE
    assert control.get("/snapshots") == {"items": []}


def test_an_organization_is_dropped_although_its_bytes_cannot_be_reached(rooms, control, keys):
    organization, _ = control.organization()
    rooms.media.put(organization, "asset_left", PNG)

    dropped = Control(without_bucket(rooms, "http://127.0.0.1:1")).delete(f"/organizations/{organization}")

    assert dropped == {"organizationId": organization, "deleted": True}
    assert keys() == {f"{organization}/asset_left"}
    rooms.media.sweep(known_in(rooms), older_than_seconds=-2)
    assert keys() == set()


def test_a_bucket_that_hangs_keeps_nobody_from_writing(rooms, demo, nowhere):
    hanging = without_bucket(rooms, nowhere)
    slow: list[Any] = []
    thread = threading.Thread(target=lambda: slow.append(inline(hanging, PNG, DEMO)))
    began = time.monotonic()
    thread.start()
    time.sleep(0.3)

    assert demo.patch(AVA_PATH, json={"name": "Quick"}).status_code == 200
    assert thread.is_alive()
    thread.join(PATIENCE_SECONDS)
    assert time.monotonic() - began < 40
    assert refused(slow[0]) == UNAVAILABLE


@pytest.mark.parametrize(
    ("name", "secret", "reason"),
    [("no-such-bucket", KEY_ID, "NoSuchBucket"), (None, "AKIAOTHER", "InvalidAccessKeyId")],
)
def test_a_bucket_that_refuses_says_why_and_never_by_what_words(bucket, monkeypatch, name, secret, reason):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", secret)
    room = BucketStorage(bucket._replace(name=name or bucket.name))

    with pytest.raises(Unavailable, match=rf"of STANDIN_MEDIA does not serve: {reason}\.$") as refusal:
        room.put("org", "asset", b"x")
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_who_has_set_no_keys_is_told_which(bucket, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")  # no cloud's own keys either
    room = BucketStorage(bucket)

    with pytest.raises(Unavailable, match="there is no AWS_ACCESS_KEY_ID with an AWS_SECRET_ACCESS_KEY") as refusal:
        room.put("org", "asset", b"x")
    assert refusal.value.__suppress_context__


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:1"])
def test_a_service_that_cannot_fill_its_bucket_does_not_start(tmp_path, bucket, endpoint):
    url = f"s3://no-such-bucket/prefix?endpoint={endpoint or bucket.endpoint}&region={REGION}"

    ended = run(tmp_path / "store", "gunicorn", "app:app", STANDIN_MEDIA=url)

    assert ended.returncode == 1
    assert re.fullmatch(r"The bucket s3://no-such-bucket/prefix of STANDIN_MEDIA does not serve: \w+\.\n", ended.stderr)
    assert SECRET not in ended.stdout


# The room


@pytest.fixture
def room(bucket) -> BucketStorage:
    return BucketStorage(bucket)


TRICKS = ["..", ".", "", "../secret", "/etc/passwd", "a/b", "a\0b", "a b", "a.incoming", "é", "a\n", ".kept"]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_id_names_anything_but_an_asset(room, asked, trick):
    for organization, asset_id in ((trick, "a"), ("a", trick), (trick, trick)):
        for act in (room.original, room.thumbnail, lambda *ids: room.put(*ids, b"x")):
            with pytest.raises(NoSuchFile):
                act(organization, asset_id)
    assert asked == []


@pytest.mark.parametrize("sizes", [[], [0], [1], [1000] * 10, [5 << 20], [3 << 20] * 4])
def test_bytes_come_in_pieces_and_are_kept_as_they_are(room, asked, sizes):
    dice = random.Random(1)
    pieces = [dice.randbytes(size) for size in sizes]

    received = room.receive("org", "asset_x", iter(pieces))

    whole = b"".join(pieces)
    assert received[1:] == (len(whole), sha256(whole).hexdigest())
    asked.clear()
    with room.original("org", received.file).open("rb") as file:
        assert file.read() == whole
    assert [method for method, *_ in asked] == ["HEAD"] + ["GET"] * -(-len(whole) // (4 << 20))


@pytest.mark.parametrize("before", [1, 11 << 20])
def test_pieces_that_end_in_an_error_leave_nothing(room, before):
    def pieces() -> Iterator[bytes]:
        yield bytes(before)
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        room.receive("org", "asset_x", pieces())
    assert keys_in(room) == set()


def test_a_sweep_removes_what_nobody_knows_unless_it_is_young_or_not_ours(room):
    for asset_id in ("asset_known", "asset_orphan", "asset_saved"):
        room.put("org", asset_id, drawn(size=(300, 300)))
        room.thumbnail("org", asset_id)
    room.portrait("org", "inf_1", "mark", lambda: PNG)
    obstore.put(room._store, "org/asset_known.incoming", b"late")
    theirs = {"readme.txt", "a folder/of theirs", "deep/er/still", "org/a name.txt"}
    for key in theirs:
        obstore.put(room._store, key, b"theirs")

    def is_known(organization: str, asset_id: str) -> bool:
        return (organization, asset_id) == ("org", "asset_known")

    before = keys_in(room)
    assert room.sweep(is_known, older_than_seconds=3600) == []
    assert keys_in(room) == before
    obstore.delete(room._store, "org/asset_orphan")
    room.create_snapshot("saved")
    removed = room.sweep(is_known, older_than_seconds=-2)
    known = {"org/asset_known", "org/asset_known.thumbnail.webp"}
    saved = {"org/asset_saved", "org/asset_saved.thumbnail.webp"}

    assert set(removed) == {"org/asset_orphan.thumbnail.webp", "org/portrait-inf_1-mark", "org/asset_known.incoming"}
    assert keys_in(room) == known | saved | theirs | {".kept/saved.json"}

    room.delete_other_snapshots([]), room.delete_other_snapshots([])
    assert set(room.sweep(is_known, older_than_seconds=-2)) == saved
    assert keys_in(room) == known | theirs


def test_an_organization_goes_but_not_what_a_snapshot_has_of_it(room):
    for organization, asset_id in (("one", "a"), ("one", "b"), ("two", "a")):
        room.put(organization, asset_id, PNG)
        room.create_snapshot("saved") if asset_id == "a" and organization == "one" else None

    room.drop_organization("one"), room.drop_organization("three")
    room.restore_snapshot("saved")

    assert keys_in(room) == {"one/a", "two/a", ".kept/saved.json"}
    with pytest.raises(ValueError, match="a snapshot is named"):
        room.create_snapshot("../saved")


def test_what_a_snapshot_knows_is_not_discarded_and_what_it_lacks_is_told(room):
    for asset_id in ("a", "b"):
        room.put("one", asset_id, drawn(size=(300, 300)))
        room.thumbnail("one", asset_id)
    room.create_snapshot("saved")
    room.discard("one", "a")
    room.restore_snapshot("saved")
    assert {"one/a", "one/b"} <= keys_in(room)

    obstore.delete(room._store, "one/b")
    with pytest.raises(Incomplete, match="1 of its files are missing or not whole, the first is one/b"):
        room.restore_snapshot("saved")
    obstore.put(room._store, "one/b", b"others")
    with pytest.raises(Incomplete, match="the first is one/b"):
        room.restore_snapshot("saved")
    for damage in (b'{"one', None):
        obstore.delete(room._store, ".kept/saved.json")
        if damage is not None:
            obstore.put(room._store, ".kept/saved.json", damage)
        with pytest.raises(Incomplete, match="the list of its files is missing or not whole"):
            room.restore_snapshot("saved")


def test_a_thumbnail_goes_with_its_original(room):
    room.put("one", "a", drawn(size=(300, 300)))
    room.thumbnail("one", "a")
    room.discard("one", "a")
    assert keys_in(room) == set()


def test_of_each_influencer_there_is_the_portrait_that_was_drawn_last(room):
    for influencer_id, mark in (("inf", "1"), ("inf-1", "2"), ("inf", "3"), ("in", "4"), ("inf", "5")):
        room.portrait("org", influencer_id, mark, lambda: PNG)
    assert keys_in(room) == {"org/portrait-inf-5", "org/portrait-inf-1-2", "org/portrait-in-4"}


def test_the_pictures_of_before_are_freed_by_a_reset_but_not_those_of_snapshots(demo, control, keys):
    kept = inline(demo, PNG).json
    control.post("/snapshots", name="one")
    before = keys()
    inline(demo, drawn(size=(9, 9)))
    assert len(keys()) == len(before) + 1
    control.post("/reset")
    assert keys() == before
    assert any(kept["assetId"] in key for key in before)
    control.delete("/snapshots/one")
    assert {key for key in keys() if key.startswith(".kept")} == set()


def test_a_reset_leaves_what_has_come_of_an_upload_that_still_goes_on(demo, presign, control, finalize, rooms, keys):
    upload = presign()
    put(upload, PNG)
    control.post("/snapshots", name="one")
    (arrived,) = (key for key in keys() if key.endswith(".incoming"))
    with rooms.store.db.exclusive():
        sweep(rooms, older_than_seconds=-2)
    assert arrived in keys()
    assert finalize(upload).status_code == 200


def test_what_has_come_of_an_upload_that_nobody_finished_goes_with_it(presign, rooms, keys, clock):
    put(presign(), PNG)
    assert len(keys()) == 1
    clock.move(hours=24)
    presign()
    assert keys() == set()


def test_bytes_that_cannot_be_read_back_are_not_left(room, monkeypatch):
    obstore.put(room._store, "org/asset_a.incoming", PNG)

    def failing(*_: Any) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(type(room), "original", failing)
    with pytest.raises(Unavailable):
        room.direct.take("org", "asset_a")
    assert keys_in(room) == {"org/asset_a.incoming"}


def test_a_snapshot_is_deleted_although_the_bucket_is_away_and_its_list_goes_later(rooms, control, keys):
    control.post("/snapshots", name="one")
    down = Control(without_bucket(rooms, "http://127.0.0.1:1"))

    assert down.delete("/snapshots/one") == {"name": "one", "deleted": True}
    assert control.get("/snapshots") == {"items": []}
    assert len([key for key in keys() if key.startswith(".kept")]) == 1
    housekeeping(rooms)
    assert [key for key in keys() if key.startswith(".kept")] == []


def test_a_snapshot_brings_back_assets_with_their_bytes(demo, client):
    asset = inline(demo, PNG).json
    local = {"REMOTE_ADDR": "127.0.0.1"}
    assert demo.post("/_standin/snapshots", json={"name": "before"}, environ_base=local).status_code == 201
    assert demo.post("/_standin/reset", environ_base=local).status_code == 200
    assert refused(client.get(asset["url"])) == NO_ROUTE

    assert demo.post("/_standin/snapshots/before/restore", environ_base=local).status_code == 200

    with client.get(asset["url"]) as shown:
        assert shown.data == PNG


# As people run it


def peak_kib(pid: int) -> int:
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))[1])


def test_two_workers_serve_one_bucket_and_hold_none_of_it(tmp_path, bucket):
    url = f"{bucket}?endpoint={bucket.endpoint}&region={REGION}"
    size = 40 << 20
    with serving(tmp_path / "store", *STAYS_OPEN, WEB_CONCURRENCY="2", STANDIN_MEDIA=url) as server:
        clients = {worker: server.client_of(worker) for worker in server.workers()}
        first, second = clients.values()
        for one, other in ((first, second), (second, first)):
            upload = one.post(f"{MEDIA}/presign", json={"kind": "image", "mimeType": "image/png"}).json()
            assert put(upload, PNG).status_code == 200
            asset = other.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).raise_for_status().json()
            for client in (one, other):
                assert client.get(asset["url"]).content == PNG
                assert client.get(asset["thumbnailUrl"]).status_code == 200
                assert client.get(asset["url"], headers={"Range": "bytes=1-3"}).content == PNG[1:4]
        before = {worker: peak_kib(worker) for worker in clients}
        upload = first.post(f"{MEDIA}/presign", json=VIDEO).json()
        put(upload, bytes(size)).raise_for_status()
        asset = first.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).raise_for_status().json()
        with httpx.stream("GET", asset["url"], timeout=PATIENCE_SECONDS) as response:
            received = sum(len(piece) for piece in response.iter_bytes())
        assert (asset["sizeBytes"], received) == (size, size)
        assert all(peak_kib(worker) - peak < 32 << 10 for worker, peak in before.items())
        eventually(lambda: "finalize" in server.output, "the lines about the requests")
        assert sorted(clients) == server.workers()
        assert not (tmp_path / "store" / "media").exists()
        for never in (SECRET, "X-Amz-Signature", "Traceback"):
            assert never not in server.output
    with serving(tmp_path / "store", WEB_CONCURRENCY="1", STANDIN_MEDIA=url) as server:  # swept at start
        assert server.client().get(urlsplit(asset["url"]).path).status_code == 200
