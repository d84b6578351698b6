"""Files: what is served, under which headers, and that nothing outside the folder ever is."""

from hashlib import sha256
from io import BytesIO

import pytest
from api_helpers import AVA_PICTURES, NO_ROUTE, UNAVAILABLE, new_organization, picture, refused
from conftest import DEMO
from engine_helpers import WatchedDisk, no_space
from flask.testing import FlaskClient
from PIL import Image

from app import create_app
from layers_standin.engines.table import Record
from layers_standin.media.folder import FolderStorage, NoSuchFile
from layers_standin.media.serving import is_inert
from layers_standin.services import Services

FILE_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox",
}
TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


def drawn(width, height, kind="PNG", mode="RGB"):
    """Return the bytes of a picture."""
    out = BytesIO()
    Image.new(mode, (width, height)).save(out, kind)
    return out.getvalue()


@pytest.fixture
def seeded(store, organization) -> list[Record]:
    """Return the assets of the seed."""
    return [
        store.for_organization(organization).assets.get(asset_id) for asset_id in store.db.ids("assets", organization)
    ]


@pytest.fixture
def ava(store, organization) -> Record:
    return store.for_organization(organization).assets.get(AVA_PICTURES[0])


@pytest.fixture
def place(rooms, organization):
    """Return a function that stores an asset and its bytes."""

    def place(data: bytes, **fields: str) -> Record:
        asset = picture(organization, "asset_placed", **fields)
        rooms.store.tables.put("assets", asset)
        rooms.media.put(organization, "asset_placed", data)
        return asset

    return place


def test_every_picture_of_the_seed_is_served_as_it_is(client: FlaskClient, seeded):
    assert len(seeded) >= 6
    for asset in seeded:
        with client.get(asset["path"]) as response, Image.open(BytesIO(response.data)) as shown:
            assert response.status_code == 200
            assert response.content_type == asset["contentType"] == Image.MIME[shown.format]
            assert len(response.data) == asset["sizeBytes"]
            assert sha256(response.data).hexdigest() == asset["checksumSha256"]
            assert FILE_HEADERS.items() <= dict(response.headers).items()
            assert response.headers["Content-Disposition"] == f"inline; filename={asset['filename']}"


def test_every_thumbnail_of_the_seed_is_a_small_webp(client, seeded):
    for asset in seeded:
        with client.get(asset["thumbnailPath"]) as response, Image.open(BytesIO(response.data)) as shown:
            assert (response.status_code, response.content_type, shown.format) == (200, "image/webp", "WEBP")
            assert max(shown.size) == 256
            assert FILE_HEADERS.items() <= dict(response.headers).items()


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1000, 500), (256, 128)),
        ((300, 900), (85, 256)),
        ((257, 257), (256, 256)),
        ((40, 30), (40, 30)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize(("written_as", "mode"), [("PNG", "RGBA"), ("PNG", "L"), ("GIF", "P"), ("JPEG", "CMYK")])
def test_a_thumbnail_keeps_the_shape_and_is_never_larger(client, place, size, small, written_as, mode):
    asset = place(drawn(*size, written_as, mode), contentType=f"image/{written_as.lower()}")

    with client.get(asset["thumbnailPath"]) as response, Image.open(BytesIO(response.data)) as shown:
        assert shown.size == small


@pytest.mark.parametrize("variant", ["path", "thumbnailPath"])
def test_a_file_is_answered_with_304_to_who_has_it(client, ava, variant):
    with client.get(ava[variant]) as first:
        tag = first.headers["ETag"]

    for sent in (tag, f'"other", {tag}', "*"):
        with client.get(ava[variant], headers={"If-None-Match": sent}) as again:
            assert (again.status_code, again.data) == (304, b"")
            assert again.headers["ETag"] == tag
    with client.get(ava[variant], headers={"If-None-Match": '"other"'}) as changed:
        assert changed.status_code == 200


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=0-999999999", 206, slice(None)),
    ],
)
def test_a_part_of_a_file_can_be_asked_for(client, ava, wanted, status, part):
    with client.get(ava["path"]) as whole, client.get(ava["path"], headers={"Range": wanted}) as response:
        assert response.status_code == status
        assert response.data == whole.data[part]
        assert response.headers["Content-Range"].endswith(f"/{len(whole.data)}")
        assert FILE_HEADERS.items() <= dict(response.headers).items()


def test_head_of_a_file_is_its_headers_only(client, ava):
    with client.get(ava["path"]) as full, client.head(ava["path"]) as head:
        assert (head.status_code, head.data) == (200, b"")
        different = {"X-Request-Id", "Date"}
        assert {name: value for name, value in head.headers if name not in different} == {
            name: value for name, value in full.headers if name not in different
        }


@pytest.mark.parametrize("name", ["anything.exe", "a%0Ab", "%22; filename=x", "%F0%9F%98%80", "%00", ".."])
def test_the_name_at_the_end_of_a_url_is_never_looked_at(client, ava, name):
    path = ava["path"].rpartition("/")[0]

    with client.get(f"{path}/{name}") as response:
        assert (response.status_code, response.content_type) == (200, "image/jpeg")
        assert response.headers["Content-Disposition"] == "inline; filename=ava-01.jpg"


@pytest.mark.parametrize("variant", ["path", "thumbnailPath"])
@pytest.mark.parametrize("part", ["organization", "asset", "token", "variant", "shorter", "longer"])
def test_a_url_that_is_wrong_in_any_part_is_not_found(client, store, ava, variant, part):
    _, media, organization, asset_id, token, name, file = ava[variant].split("/")
    wrong = {
        "organization": (media, new_organization(store), asset_id, token, name, file),
        "asset": (media, organization, AVA_PICTURES[1], token, name, file),
        "token": (media, organization, asset_id, token[:-1] + "x", name, file),
        "variant": (media, organization, asset_id, token, "else", file),
        "shorter": (media, organization, asset_id, token, name),
        "longer": (media, organization, asset_id, token, name, file, "more"),
    }[part]

    assert refused(client.get("/" + "/".join(wrong))) == NO_ROUTE


@pytest.mark.parametrize("token", ["", "x", "%00", "%F0%9F%98%80", "null", "undefined"])
def test_a_token_of_any_form_that_is_not_the_one_is_not_found(client, ava, token):
    path = ava["path"].replace(ava["token"], token)

    assert refused(client.get(path)) == NO_ROUTE
    assert refused(client.get(path, headers=DEMO)) == NO_ROUTE


@pytest.mark.parametrize("variant", ["path", "thumbnailPath"])
def test_an_asset_whose_bytes_are_gone_is_not_found(client, rooms, organization, ava, variant):
    rooms.media.original(organization, ava["assetId"]).unlink()

    assert refused(client.get(ava[variant])) == NO_ROUTE


@pytest.mark.parametrize(
    "content_type",
    [
        "image/svg+xml",
        "IMAGE/SVG+XML",
        "text/html",
        "text/html; charset=utf-8",
        "application/xhtml+xml",
        "text/xml",
        "text/javascript",
        "application/pdf",
        "application/octet-stream",
        "text/plain",
    ],
)
def test_what_a_browser_could_run_comes_as_attachment(client, place, content_type):
    asset = place(b"<svg onload='alert(1)'/>", contentType=content_type, filename="pic ture.svg")

    with client.get(asset["path"]) as response:
        assert response.status_code == 200
        assert response.data == b"<svg onload='alert(1)'/>"
        assert response.headers["Content-Disposition"] == "attachment; filename=pic-ture.svg"
        assert response.mimetype.lower() == content_type.partition(";")[0].lower()
        assert FILE_HEADERS.items() <= dict(response.headers).items()


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4", "audio/ogg"]
)
def test_what_a_browser_only_shows_or_plays_comes_in_place(client, place, content_type):
    asset = place(b"bytes", contentType=content_type)

    with client.get(asset["path"]) as response:
        assert response.content_type == content_type
        assert response.headers["Content-Disposition"] == "inline; filename=picture.png"


@pytest.mark.parametrize("content_type", ["", "image", "image/", "image/svg", "imagepng", "xvideo/mp4", "text/video/"])
def test_a_type_nobody_knows_is_not_inert(content_type):
    assert not is_inert(content_type)


@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg/>", drawn(300, 300)[:60], b"P6 2 2 255\n" + bytes(12)])
def test_what_is_no_picture_has_a_tile_for_a_thumbnail(client, place, data):
    asset = place(data)

    with client.get(asset["thumbnailPath"]) as response, Image.open(BytesIO(response.data)) as tile:
        assert (response.status_code, response.content_type) == (200, "image/webp")
        assert (tile.format, tile.size) == ("WEBP", (256, 256))
        assert len(tile.convert("RGB").getcolors(1 << 16)) > 1  # something is drawn on it


def test_a_disk_without_room_for_a_thumbnail_says_so(rooms, settings, organization, ava):
    full = FolderStorage(settings.data / "media", WatchedDisk(lambda name, call: no_space(call)))
    client = create_app(Services(rooms.store, full, settings)).test_client()

    assert refused(client.get(ava["thumbnailPath"])) == UNAVAILABLE
    with client.get(ava["path"]) as original:
        assert original.status_code == 200
    assert [path.name for path in (settings.data / "media" / organization).glob("*.part")] == []


# The folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    return FolderStorage(tmp_path / "media")


TRICKS = ["..", ".", "", "../secret", "..\\secret", "/etc/passwd", "a/b", "a\0b", "a b", "a.thumbnail.webp", "é", "a\n"]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_id_names_anything_outside_the_folder(folder, tmp_path, trick):
    before = sorted(tmp_path.rglob("*"))

    for organization, asset_id in ((trick, "a"), ("a", trick), (trick, trick)):
        for act in (folder.original, folder.thumbnail, lambda *ids: folder.put(*ids, b"x")):
            with pytest.raises(NoSuchFile):
                act(organization, asset_id)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [
        "/media/../store/store.sqlite3",
        "/media/{org}/../../store.sqlite3",
        "/media/{org}/..%2F..%2Fstore.sqlite3/{token}/original/x",
        "/media/..%2F{org}/{asset}/{token}/original/x",
        "/media/{org}/{asset}/{token}/original/..%2F..%2Fstore.sqlite3",
        "/media/{org}/{asset}/{token}/../original/x",
        "/media/{org}//{asset}/{token}/original/x",
        "/media/{org}/{asset}%00/{token}/original/x",
        "/media/{org}/{asset}.thumbnail.webp/{token}/original/x",
    ],
)
def test_no_url_reaches_anything_but_an_asset(client, organization, ava, path):
    path = path.format(org=organization, asset=ava["assetId"], token=ava["token"])

    assert refused(client.get(path)) == NO_ROUTE


def test_bytes_are_kept_as_they_are_and_replaced_whole(folder):
    for data in (b"", b"\0\xff" * 1000, b"new"):
        folder.put("org", "asset_x", data)
        assert folder.original("org", "asset_x").read_bytes() == data


def test_a_thumbnail_is_made_once(folder):
    folder.put("org", "asset_x", drawn(500, 500))

    first = folder.thumbnail("org", "asset_x")
    written = first.stat().st_mtime_ns

    assert folder.thumbnail("org", "asset_x") == first
    assert first.stat().st_mtime_ns == written


def test_nothing_unfinished_stays_behind(folder, tmp_path):
    folder.put("org", "asset_x", drawn(500, 500))
    folder.thumbnail("org", "asset_x")

    assert sorted(path.name for path in (tmp_path / "media" / "org").iterdir()) == ["asset_x", "asset_x.thumbnail.webp"]


def test_a_sweep_removes_what_no_asset_knows_unless_it_is_young(folder, tmp_path):
    for asset_id in ("asset_known", "asset_orphan"):
        folder.put("org", asset_id, drawn(300, 300))
        folder.thumbnail("org", asset_id)
    (tmp_path / "media" / "org" / "asset_known.123.part").write_bytes(b"half")

    def is_known(organization, asset_id):
        return (organization, asset_id) == ("org", "asset_known")

    assert folder.sweep(is_known, older_than_seconds=3600) == []
    removed = folder.sweep(is_known, older_than_seconds=-1)

    assert sorted(path.name for path in removed) == [
        "asset_known.123.part",
        "asset_orphan",
        "asset_orphan.thumbnail.webp",
    ]
    assert sorted(path.name for path in (tmp_path / "media" / "org").iterdir()) == [
        "asset_known",
        "asset_known.thumbnail.webp",
    ]
