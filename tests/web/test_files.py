"""Files whose storage fails: an error in the envelope while one can be sent, else a body that is cut off and logged."""

import re
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from api_helpers import AVA_PICTURES, MEDIA, NO_ROUTE, SPRING, UNAVAILABLE, refused
from engine_helpers import WatchedDisk, input_output_error
from PIL import Image
from servers import PATIENCE_SECONDS, eventually, serving
from upload_helpers import VIDEO, make_unreachable, make_unreadable, needs_unreadable, restore

from app import create_app
from layers_standin.engines.table import Record
from layers_standin.media.folder import FolderStorage

CUT_OFF = r"(req_\w{26}) cut off, (\d+) bytes before its end: "


@pytest.fixture
def ava(store, organization) -> Record:
    return store.for_organization(organization).assets.get(AVA_PICTURES[0])


@pytest.fixture
def original(rooms, organization) -> Path:
    """Return the file of Ava's first picture."""
    return rooms.media.original(organization, AVA_PICTURES[0])


@pytest.fixture
def portrait(demo) -> str:
    """Return the URL of a portrait."""
    items = demo.get(f"/v1/projects/{SPRING}/influencers").json["items"]
    return next(item["thumbnailUrl"] for item in items if "/portrait/" in (item["thumbnailUrl"] or ""))


@needs_unreadable
def test_an_original_that_cannot_be_read_is_unavailable_until_it_can(client, ava, original):
    data = original.read_bytes()
    make_unreadable(original)

    response = client.get(ava["path"])

    assert refused(response) == UNAVAILABLE
    assert "Cache-Control" not in response.headers
    restore(original, data)
    with client.get(ava["path"]) as again:
        assert (again.status_code, again.data) == (200, data)


@needs_unreadable
def test_a_picture_that_cannot_be_read_has_no_tile_for_ever(client, ava, original):
    data = original.read_bytes()
    make_unreadable(original)

    assert refused(client.get(ava["thumbnailPath"])) == UNAVAILABLE
    assert [path.name for path in original.parent.glob(f"{original.name}?*")] == []

    restore(original, data)
    with client.get(ava["thumbnailPath"]) as response, Image.open(BytesIO(response.data)) as shown:
        assert response.status_code == 200
        assert len(shown.convert("RGB").getcolors(1 << 16)) > 1_000  # the tile has few


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=999999999-"}, {"If-None-Match": "*"}, {"If-None-Match": '"x"'}],
)
@pytest.mark.parametrize("variant", ["original", "thumbnail", "portrait"])
def test_a_file_that_cannot_be_reached_is_unavailable_whatever_is_asked_of_it(
    client, ava, original, portrait, method, headers, variant
):
    url = {"original": ava["path"], "thumbnail": ava["thumbnailPath"], "portrait": portrait}[variant]
    client.get(url).close()
    file = {
        "original": original,
        "thumbnail": original.with_name(f"{original.name}.thumbnail.webp"),
        "portrait": next(iter(original.parent.glob("portrait-*")), original),
    }[variant]
    data = file.read_bytes()
    make_unreachable(file)

    response = client.open(url, method=method, headers=headers)

    assert response.status_code == 503
    assert re.fullmatch(r"req_\w{26}", response.headers["X-Request-Id"])
    assert method == "HEAD" or refused(response) == UNAVAILABLE
    restore(file, data)
    with client.get(url) as again:
        assert (again.status_code, again.data) == (200, data)


@pytest.mark.parametrize("variant", ["original", "thumbnail", "portrait"])
def test_a_file_costs_one_read_of_the_store(rooms, client, ava, portrait, variant):
    url = {"original": ava["path"], "thumbnail": ava["thumbnailPath"], "portrait": portrait}[variant]
    client.get(url).close()
    statements = []
    rooms.store.db._session().connection.exec_trace = lambda _, statement, __: statements.append(statement) or True

    client.get(url).close()

    assert [statement.split()[0] for statement in statements] == ["SELECT"]


def test_a_thumbnail_that_is_drawn_needs_no_original(client, ava, original):
    with client.get(ava["thumbnailPath"]) as response:
        drawn = response.data
    original.unlink()

    with client.get(ava["thumbnailPath"]) as response:
        assert (response.status_code, response.data) == (200, drawn)
    assert refused(client.get(ava["path"])) == NO_ROUTE


def test_a_portrait_that_cannot_be_written_is_drawn_by_the_next_request(rooms, settings, client, portrait):
    failing = FolderStorage(settings.data / "media", WatchedDisk(lambda name, call: input_output_error(call)))

    assert refused(create_app(rooms._replace(media=failing)).test_client().get(portrait)) == UNAVAILABLE
    with client.get(portrait) as response:
        assert Image.open(BytesIO(response.data)).size == (256, 256)


def test_a_file_that_goes_between_two_looks_is_not_found(client, rooms, ava, original, monkeypatch):
    gone = original.with_name("gone")
    monkeypatch.setattr(rooms.media, "original", lambda organization, file: gone)

    assert refused(client.get(ava["path"])) == NO_ROUTE
    assert not gone.exists()


@pytest.mark.parametrize(("headers", "length"), [({}, 4 << 20), ({"Range": "bytes=5-3000004"}, 3_000_000)])
def test_a_body_that_ends_early_is_cut_off_and_logged(rooms, ava, original, caplog, headers, length):
    original.write_bytes(bytes(4 << 20))

    with create_app(rooms).test_client().get(ava["path"], headers=headers) as response:
        assert response.content_length == length
        original.write_bytes(bytes(1_500_000))
        with pytest.raises(ConnectionResetError):
            response.get_data()

    logged = re.search(CUT_OFF + "the file has become shorter", caplog.text)
    assert logged is not None
    assert logged[1] == response.headers["X-Request-Id"]
    assert 0 < int(logged[2]) < length


@needs_unreadable
@pytest.mark.slow
def test_a_real_server_says_unavailable_in_its_envelope_or_cuts_the_body_off(tmp_path):
    size = 40 << 20
    with serving(tmp_path / "store", WEB_CONCURRENCY="1", STANDIN_SYNC="never") as server:
        with server.client() as http:
            upload = http.post(f"{MEDIA}/presign", json=VIDEO).raise_for_status().json()
            httpx.put(upload["uploadUrl"], content=bytes(size), headers=upload["headers"]).raise_for_status()
            asset = http.post(f"{MEDIA}/finalize", json={"uploadId": upload["uploadId"]}).raise_for_status().json()
        (file,) = (tmp_path / "store" / "media").glob(f"*/{asset['assetId']}-*")

        with httpx.stream("GET", asset["url"], timeout=PATIENCE_SECONDS) as response:
            with file.open("r+b") as shortened:
                shortened.truncate(1 << 20)
            with pytest.raises(httpx.RemoteProtocolError):
                response.read()
        found = eventually(lambda: re.search(CUT_OFF, server.output), "the line that says so")
        assert found[1] == response.headers["X-Request-Id"]

        make_unreadable(file)
        for url in (asset["url"], asset["thumbnailUrl"]):
            refusal = httpx.get(url, timeout=PATIENCE_SECONDS)
            assert (refusal.status_code, refusal.headers["Content-Type"]) == (503, "application/json")
            assert refusal.json()["error"]["requestId"] == refusal.headers["X-Request-Id"]
        assert httpx.get(f"{server.url}/v1/whoami").status_code == 401
        assert "Traceback" not in server.output
