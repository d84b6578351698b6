"""The service's URL in a replayed reply: that of the caller who gets it, not of the first one."""

import base64
from dataclasses import replace

import pytest
from api_helpers import AVA_PICTURES, MEDIA, NO_INFLUENCER, SPRING, refused
from conftest import AVA_PATH, DEMO
from request_helpers import IMAGES_PATH, is_replay

from app import create_app
from layers_standin.services import Services

FIRST, SECOND = "first.example:8000", "second.example"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
FILE = {"kind": "image", "mimeType": "image/svg+xml"}
INLINE = FILE | {"dataBase64": base64.b64encode(SVG).decode()}
TEXT = f"http://{FIRST}/media stays as it was sent"


def of_ava(client):
    client.post(IMAGES_PATH, json={"assetIds": AVA_PICTURES}, headers=DEMO)
    return "PATCH", AVA_PATH, {"vibe": TEXT}


def of_upload(client):
    upload = client.post(f"{MEDIA}/presign", json=FILE, headers=DEMO).json
    client.put(upload["uploadUrl"], data=SVG, content_type=FILE["mimeType"])
    return "POST", f"{MEDIA}/finalize", {"uploadId": upload["uploadId"]}


# Every change with a URL of the service in its reply: how to prepare it and what to send, and the number of URLs.
CHANGES = {
    "reference images": (lambda _: ("POST", IMAGES_PATH, {"assetIds": AVA_PICTURES}), 2 * len(AVA_PICTURES)),
    "a change": (of_ava, 2 * len(AVA_PICTURES)),
    "an inline upload": (lambda _: ("POST", MEDIA, INLINE), 2),
    "a finalized upload": (of_upload, 2),
    "a presigned upload": (lambda _: ("POST", f"{MEDIA}/presign", FILE), 1),
}
changes = pytest.mark.parametrize(("prepare", "urls"), CHANGES.values(), ids=CHANGES)


def sent(client, host, request):
    """Send a request under one Idempotency-Key to the service by this name."""
    method, path, body = request
    headers = DEMO | {"Host": host, "Idempotency-Key": "once"}
    return client.open(path, method=method, json=body, headers=headers)


@pytest.mark.postgres
@changes
def test_a_replay_has_the_urls_of_its_caller_and_is_else_the_first_reply(client, prepare, urls):
    request = prepare(client)

    first, second, again = (sent(client, host, request) for host in (FIRST, SECOND, FIRST))

    assert [is_replay(each) for each in (first, second, again)] == [False, True, True]
    assert again.data == first.data
    assert first.text.count(f'"http://{FIRST}/') == urls + (TEXT in first.text)
    expected = (
        first.text.replace(TEXT, "-").replace(f'"http://{FIRST}/', f'"http://{SECOND}/').replace('"-"', f'"{TEXT}"')
    )
    assert second.text == expected
    assert second.text.count(f'"http://{SECOND}/') == urls


@changes
def test_the_public_url_is_told_to_every_caller(client, rooms, settings, prepare, urls):
    public = replace(settings, public_url="https://public.example/sub")
    behind = create_app(Services(rooms.store, rooms.media, public)).test_client()
    request = prepare(client)

    first, second, third = (
        sent(each, host, request) for each, host in ((behind, FIRST), (behind, SECOND), (client, SECOND))
    )

    assert second.data == first.data
    assert first.text.count('"https://public.example/sub/') == urls
    assert third.text.count(f'"http://{SECOND}/') == urls


def test_a_refusal_without_a_url_is_replayed_as_it_was(client):
    request = ("PATCH", "/v1/influencers/inf_nobody", {"vibe": TEXT})

    first, second = (sent(client, host, request) for host in (FIRST, SECOND))

    assert refused(first) == NO_INFLUENCER
    assert (second.data, is_replay(second)) == (first.data, True)


def test_the_store_keeps_no_name_that_a_caller_has_for_the_service(client, rooms):
    for prepare, _ in CHANGES.values():
        assert sent(client, "gone.example", prepare(client)).status_code < 300
    assert (
        sent(client, "gone.example", ("POST", f"/v1/projects/{SPRING}/influencers", {"name": "Rui"})).status_code == 202
    )

    db = rooms.store.db
    names = [(table, organization) for table, organization in db.tables()]
    documents = [rooms.store.tables.table(*name).get(doc_id=each) for name in names for each in db.ids(*name)]
    assert [document for document in documents if "gone.example" in str(document)] == []


def test_the_log_has_what_the_caller_got(client, control):
    request = CHANGES["reference images"][0](client)

    replies = [sent(client, host, request).text for host in (FIRST, SECOND)]

    assert [entry["response"] for entry in control.get("/requests", limit=2)["items"]] == replies[::-1]
