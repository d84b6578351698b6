"""Content: what is generated, when it is there, and which lists show it."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from api_helpers import SPRING, invalid, living, new_organization, refused, unchanged
from conftest import AVA, AVA_PATH, DEMO
from engine_helpers import NthCall, WatchedDisk, no_space
from hypothesis import given
from hypothesis import strategies as st
from servers import STAYS_OPEN, opened, serving

from app import create_app
from layers_standin.domain.captions import MAX_CAPTION, caption_of, first_comment_of
from layers_standin.domain.ids import canonical
from layers_standin.media.folder import FolderStorage
from layers_standin.services import Services
from layers_standin.web.errors import MAX_BODY_BYTES
from store import Store

pytestmark = pytest.mark.postgres

CONTENT = f"/v1/projects/{SPRING}/content"
SUMMER = "proj_01HX9B3D5F7H9K1M3N5P7Q9R1S"
NO_CONTAINER = {"status": 404, "code": "NOT_FOUND", "message": "Container not found."}
NO_INFLUENCER = {"status": 404, "code": "NOT_FOUND", "message": "Influencer not found."}
SLIDES = {"format": "slideshow_remix", "brief": {"topic": "night runs", "influencerId": AVA}}
FAILURE = {"code": "MODEL_ERROR", "message": "The model did not converge."}


def generate(client, path=CONTENT, **body):
    response = client.post(path, json=body)
    assert response.status_code == 202, response.text
    return response.json


def shown(client, job):
    return client.get(f"/v1/content/{job['containerId']}").json


def ids_of(client, path=CONTENT, **query):
    return [item["id"] for item in client.get(path, query_string=query).json["items"]]


def bytes_at(client, url):
    """Return what is served at a URL; all of it is read, and the file closed."""
    with client.get(urlsplit(url).path) as response:
        response.get_data()
        return response


# What is made


def test_the_reply_is_a_job_and_the_container_is_there_at_once(demo):
    job = generate(demo, **SLIDES)

    container = job["containerId"]
    assert list(job.items()) == [
        ("jobId", job["jobId"]),
        ("kind", "content_generate"),
        ("status", "running"),
        ("stage", "queued"),
        ("projectId", SPRING),
        ("containerIds", [container]),
        ("containerId", container),
        ("locationUrl", f"/v1/jobs/{job['jobId']}"),
        ("startedAt", "2026-04-18T09:18:44.120Z"),
    ]
    assert list(shown(demo, job).items()) == [
        ("id", container),
        ("projectId", SPRING),
        ("influencerId", AVA),
        ("status", "queued"),
        ("format", "slideshow_remix"),
        ("brief", SLIDES["brief"]),
        ("caption", None),
        ("firstComment", None),
        ("assets", []),
        ("approvalStatus", "not_required"),
        ("createdAt", "2026-04-18T09:18:44.120Z"),
        ("completedAt", None),
        ("failedAt", None),
        ("lastError", None),
    ]


@pytest.mark.parametrize(
    ("format_", "kinds", "sizes"),
    [
        ("slideshow_remix", ["image"] * 3, [(None, 720, 1280)] * 3),
        ("video_remix", ["video", "image"], [(4000, 720, 1280), (None, 720, 1280)]),
        ("auto", ["video", "image"], [(4000, 720, 1280), (None, 720, 1280)]),
    ],
)
def test_the_assets_of_a_completed_container_are_really_there(demo, clock, format_, kinds, sizes):
    job = generate(demo, **SLIDES | {"format": format_})
    clock.move(seconds=2)

    container = shown(demo, job)
    assets = container["assets"]
    assert (container["status"], container["completedAt"]) == ("completed", "2026-04-18T09:18:46.120Z")
    assert [asset["kind"] for asset in assets] == kinds
    assert [(asset["durationMs"], asset["width"], asset["height"]) for asset in assets] == sizes
    for asset in assets:
        served, thumbnail = bytes_at(demo, asset["url"]), bytes_at(demo, asset["thumbnailUrl"])
        assert (served.status_code, served.content_type) == (200, asset["mimeType"])
        assert (len(served.data), sha256(served.data).hexdigest()) == (asset["sizeBytes"], asset["checksumSha256"])
        assert (thumbnail.status_code, thumbnail.content_type) == (200, "image/webp")
        found = demo.get(f"/v1/content/{container['id']}/assets/{asset['assetId']}").json
        assert list(found.items()) == [("containerId", container["id"]), *asset.items()]
    assert len({asset["checksumSha256"] for asset in assets}) == len(assets)
    assert demo.get(job["locationUrl"]).json["result"] == {"containerId": container["id"], "assets": assets}


def test_two_requests_alike_draw_alike_and_variants_differ(demo, clock):
    first, second = (generate(demo, variantCount=2, **SLIDES) for _ in range(2))
    clock.move(seconds=2)

    made = [demo.get(f"/v1/content/{name}").json for job in (first, second) for name in job["containerIds"]]
    sums = [[asset["checksumSha256"] for asset in each["assets"]] for each in made]
    assert (sums[0], sums[1]) == (sums[2], sums[3])
    assert sums[0] != sums[1]
    assert len({each["caption"] for each in made}) == 2
    assert len({asset["assetId"] for each in made for asset in each["assets"]}) == 12
    result = demo.get(first["locationUrl"]).json["result"]
    assert "containerId" not in first | result
    assert result["containerIds"] == first["containerIds"]
    assert result["assets"] == [asset for each in made[:2] for asset in each["assets"]]


def test_nothing_at_all_is_enough(demo, clock):
    for content in ({}, {"json": {}}):
        response = demo.post(CONTENT, **content)
        assert response.status_code == 202
    clock.move(seconds=2)

    found = shown(demo, response.json)
    assert (found["format"], found["brief"], found["influencerId"]) == ("auto", None, None)
    assert (found["caption"], found["firstComment"]) == ("A new day.", None)


@pytest.mark.parametrize("container_id", ["0C9A4E52-6D0B-4C5E-9A53-2F8B1F6E7A10", "cnt_01HXZZZZZZZZZZZZZZZZZZZZZZ"])
def test_a_chosen_id_is_kept_and_its_repetition_gets_the_earlier_reply(demo, on_disk, clock, container_id):
    body = {"id": container_id, "brief": {"topic": "x"}}
    first = generate(demo, **body)
    clock.move(hours=30)
    is_unchanged = unchanged(on_disk)

    assert first["containerId"] == container_id
    assert generate(demo, **body) == first
    taken = {"subcode": "ID_TAKEN", "containerId": container_id}
    other = {"status": 409, "code": "CONFLICT", "message": "Container id is already taken.", "details": taken}
    assert refused(demo.post(CONTENT, json=body | {"brief": {"topic": "y"}})) == other
    assert is_unchanged()
    assert shown(demo, {"containerId": canonical(container_id)})["id"] == container_id


def test_a_repetition_gets_the_earlier_reply_after_the_influencer_was_deleted_and_the_project_archived(demo):
    body = SLIDES | {"id": str(uuid4())}
    first = generate(demo, **body)
    demo.delete(AVA_PATH)
    demo.delete(f"/v1/projects/{SPRING}")

    assert generate(demo, **body) == first


def test_a_repetition_gets_the_earlier_reply_from_a_disk_without_room_for_pictures(demo, rooms, settings):
    body = SLIDES | {"id": str(uuid4())}
    first = generate(demo, **body)

    media = FolderStorage(settings.data / "media", WatchedDisk(NthCall(1, no_space, lasting=True)))
    other = create_app(Services(rooms.store, media, settings)).test_client()
    other.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]
    assert generate(other, **body) == first
    assert other.post(CONTENT, json=SLIDES).status_code == 503


# How it goes on


def test_status_and_progress_follow_the_clock(demo, clock):
    job = generate(demo)
    progress = f"/v1/content/{job['containerId']}/progress"
    seen = []
    for passed in (0, 200, 300, 600, 600, 200, 100, 9999):
        clock.move(milliseconds=passed)
        now = demo.get(progress).json
        assert list(now) == ["containerId", "status", "stage", "stageProgress", "etaSeconds", "updatedAt"]
        assert now["status"] == shown(demo, job)["status"]
        seen.append((now["status"], now["stage"], now["stageProgress"], now["etaSeconds"]))
    assert seen == [
        ("queued", "queued", 0.0, 2),
        ("queued", "queued", 0.5, 2),
        ("generating", "generating_visuals", 0.0714, 2),
        ("generating", "generating_visuals", 0.5, 1),
        ("generating", "generating_visuals", 0.9286, 1),
        ("generating", "finalizing", 0.5, 1),
        ("completed", "finalizing", 1.0, 0),
        ("completed", "finalizing", 1.0, 0),
    ]
    assert now["updatedAt"] == "2026-04-18T09:18:46.120Z"
    clock.move(days=-1)
    assert shown(demo, job)["status"] == "queued"


def test_a_job_that_fails_says_why_and_its_container_too(demo, control, clock):
    control.post("/faults", match={"operation": "generateContent"}, times=1, answer={"failJob": FAILURE})
    job = generate(demo, **SLIDES)
    clock.move(seconds=2)

    found, ended = shown(demo, job), demo.get(job["locationUrl"]).json
    assert (found["status"], found["failedAt"], found["lastError"]) == ("failed", "2026-04-18T09:18:46.120Z", FAILURE)
    assert (found["assets"], found["caption"], found["completedAt"]) == ([], None, None)
    assert (ended["status"], ended["error"], "result" in ended) == ("failed", FAILURE, False)


def test_a_canceled_job_cancels_its_containers_unless_it_is_finalizing(demo, clock):
    job, late = generate(demo, variantCount=2), None
    assert demo.post(f"{job['locationUrl']}/cancel").json == {"jobId": job["jobId"], "accepted": True}
    late = generate(demo)
    clock.move(milliseconds=1900)

    assert {demo.get(f"/v1/content/{each}").json["status"] for each in job["containerIds"]} == {"canceled"}
    assert demo.post(f"{job['locationUrl']}/cancel").json["reason"] == "ALREADY_CANCELED"
    too_late = refused(demo.post(f"{late['locationUrl']}/cancel"))
    details = {"subcode": "JOB_CANCEL_UNAVAILABLE", "jobId": late["jobId"], "stage": "finalizing"}
    assert too_late["details"] == details
    clock.move(seconds=1)
    assert shown(demo, late)["status"] == "completed"


def test_assets_of_a_job_that_was_not_completed_are_not_found(demo, store, organization, clock):
    job = generate(demo, **SLIDES)
    (asset, *_) = store.for_organization(organization).containers.get(job["containerId"])["assets"]
    path = f"/v1/content/{job['containerId']}/assets/{asset['assetId']}"

    assert refused(demo.get(path)) == {"status": 404, "code": "NOT_FOUND", "message": "Asset not found."}
    clock.move(seconds=2)
    assert demo.get(path).status_code == 200


# Its influencer


def test_content_waits_for_an_influencer_that_is_not_ready(demo, clock):
    made = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"}).json
    clock.move(seconds=1)
    job = generate(demo, brief={"influencerId": made["influencerId"]})
    clock.move(milliseconds=999)
    assert shown(demo, job)["status"] == "queued"
    clock.move(milliseconds=1)
    assert demo.get(f"/v1/influencers/{made['influencerId']}").json["status"] == "ready"

    statuses = []
    for _ in range(5):
        statuses.append((shown(demo, job)["status"], demo.get(job["locationUrl"]).json["stage"]))
        clock.move(milliseconds=500)
    assert statuses == [
        ("queued", "queued"),
        ("generating", "generating_visuals"),
        ("generating", "generating_visuals"),
        ("generating", "generating_visuals"),
        ("completed", "finalizing"),
    ]


FAILS = {"code": "INFLUENCER_FAILED", "message": "The influencer did not become ready."}


@pytest.mark.parametrize("how", ["fails", "is canceled", "has failed"])
def test_content_fails_with_its_influencer(demo, control, clock, how):
    if how != "is canceled":
        control.post("/faults", match={"operation": "createInfluencer"}, times=1, answer={"failJob": FAILURE})
    made = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"}).json
    clock.move(seconds=2 if how == "has failed" else 1)
    job = generate(demo, variantCount=2, brief={"influencerId": made["influencerId"]})
    before = demo.get("/v1/whoami").json["creditBalance"]
    if how == "is canceled":
        demo.post(f"{made['locationUrl']}/cancel")
    clock.move(seconds=1)

    ended = demo.get(job["locationUrl"]).json
    at = "2026-04-18T09:18:45.120Z" if how == "is canceled" else "2026-04-18T09:18:46.120Z"
    assert (ended["status"], ended["error"], ended["finishedAt"]) == ("failed", FAILS, at)
    for container in job["containerIds"]:
        found = demo.get(f"/v1/content/{container}").json
        assert (found["status"], found["lastError"], found["failedAt"]) == ("failed", FAILS, at)
    given_back = 0 if how == "has failed" else 240
    assert demo.get("/v1/whoami").json["creditBalance"] == before + given_back


@pytest.mark.parametrize("whose", ["nobody's", "deleted", "another project's", "another organization's", "none"])
def test_an_influencer_that_is_not_there_is_not_found(demo, store, on_disk, rooms, whose):
    influencer = {"nobody's": "inf_01HXZZZZZZZZZZZZZZZZZZZZZZ", "none": SPRING}.get(whose, AVA)
    path = CONTENT
    if whose == "deleted":
        demo.delete(AVA_PATH)
    elif whose == "another project's":
        path = f"/v1/projects/{demo.post('/v1/projects', json={'name': 'P', 'timezone': 'UTC'}).json['id']}/content"
    elif whose == "another organization's":
        other = new_organization(store)
        project = store.for_organization(other).projects.create({"name": "Theirs", "timezone": "UTC"})["id"]
        store.tables.put("influencers", living(other, "inf_theirs", project))
        influencer = "inf_theirs"
    is_unchanged, files = unchanged(on_disk), stored_files(rooms)

    assert refused(demo.post(path, json={"brief": {"influencerId": influencer}})) == NO_INFLUENCER
    assert is_unchanged()
    assert stored_files(rooms) == files


def stored_files(rooms):
    """Return the names of all stored files."""
    root = rooms.settings.data / "media"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# Lists


@pytest.fixture
def five(demo, control, clock):
    """Return the ids of five containers, a second apart, newest first: of other formats, states and fates."""
    made = []
    for format_, fate in (("auto", "ok"), ("slideshow_remix", "fails"), ("ugc_remix", "canceled"), ("auto", "ok")):
        if fate == "fails":
            control.post("/faults", match={"operation": "generateContent"}, times=1, answer={"failJob": FAILURE})
        job = generate(demo, format=format_)
        if fate == "canceled":
            demo.post(f"{job['locationUrl']}/cancel")
        made.append(job["containerId"])
        clock.move(seconds=1)
    made.append(generate(demo, format="video_remix")["containerId"])
    return made[::-1]  # completed, failed, canceled, generating, queued


def test_a_list_is_of_all_newest_first(demo, five):
    assert ids_of(demo) == five
    page = demo.get(CONTENT, query_string={"limit": 2}).json
    fields = ["id", "influencerId", "status", "format", "caption", "approvalStatus", "createdAt", "completedAt"]
    assert [list(item) for item in page["items"]] == [[*fields, "primaryAsset"]] * 2
    found = []
    cursor = {}
    while cursor is not None:
        page = demo.get(CONTENT, query_string={"limit": 2, **cursor}).json
        found += [item["id"] for item in page["items"]]
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
    assert found == five


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"status": "queued"}, [0]),
        ({"status": "generating"}, [1]),
        ({"status": ["queued", "generating"]}, [0, 1]),
        ({"status": "canceled"}, [2]),
        ({"status": "failed"}, [3]),
        ({"status": "completed"}, [4]),
        ({"status": ["completed", "failed", "failed"]}, [3, 4]),
        ({"status": ["completed", "queued"]}, [0, 4]),
        ({"format": "auto"}, [1, 4]),
        ({"format": ["auto", "ugc_remix"]}, [1, 2, 4]),
        ({"format": "auto", "status": "generating"}, [1]),
        ({"format": "auto", "status": "queued"}, []),
        ({"since": "2026-04-18T09:18:46.120Z"}, [0, 1, 2]),
        ({"until": "2026-04-18T09:18:46.120Z"}, [2, 3, 4]),
        ({"since": "2026-04-18T11:18:45.120+02:00", "until": "2026-04-18T09:18:46.120Z"}, [2, 3]),
        ({"since": "2026-04-18T09:18:47Z", "status": ["queued", "generating"]}, [0, 1]),
        ({"until": "2026-04-18T09:18:47.120Z", "status": ["queued", "generating"]}, [1]),
        ({"since": "2027-01-01T00:00:00Z"}, []),
    ],
)
def test_a_list_is_filtered(demo, five, query, wanted):
    assert ids_of(demo, **query) == [five[number] for number in wanted]


def test_a_page_of_one_goes_through_every_filter(demo, five):
    for query in ({}, {"status": ["queued", "generating"]}, {"format": "auto"}, {"until": "2026-04-18T09:18:46.120Z"}):
        whole, found, cursor = ids_of(demo, **query), [], {}
        while cursor is not None:
            page = demo.get(CONTENT, query_string=query | {"limit": 1} | cursor).json
            found += [item["id"] for item in page["items"]]
            cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
        assert found == whole


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"status": "ready"}, "status", "Invalid enum value"),
        ({"status": ["completed", ""]}, "status", "Invalid enum value"),
        ({"format": "video"}, "format", "Invalid enum value"),
        ({"since": "2026-04-18"}, "since", "Invalid instant: say 2026-04-18T09:18:44Z"),
        ({"until": "yesterday"}, "until", "Invalid instant: say 2026-04-18T09:18:44Z"),
        ({"limit": "201"}, "limit", "Number must be less than or equal to 200"),
        ({"cursor": "x"}, "cursor", "Invalid cursor"),
    ],
)
def test_a_query_that_is_wrong_is_refused(demo, query, field, message):
    found = refused(demo.get(CONTENT, query_string=query))

    assert found == invalid(**{field: [message]}) | {"message": "Invalid query."}


def test_the_cursor_of_another_filter_is_refused(demo, five):
    cursor = demo.get(CONTENT, query_string={"limit": 1}).json["nextCursor"]

    found = refused(demo.get(CONTENT, query_string={"limit": 1, "cursor": cursor, "status": "completed"}))
    assert found == invalid(cursor=["Invalid cursor"]) | {"message": "Invalid query."}


# Again


def test_a_container_is_made_again_with_new_assets_and_the_old_ones_stay(demo, clock):
    job = generate(demo, **SLIDES)
    clock.move(seconds=2)
    first = shown(demo, job)

    brief = {"hook": "Run", "themeTags": ["a b", "c"]}
    again = demo.post(f"/v1/content/{first['id']}/regenerate", json={"brief": brief})
    assert (again.status_code, again.json["containerId"]) == (202, first["id"])
    assert (shown(demo, job)["status"], shown(demo, job)["assets"]) == ("queued", [])
    clock.move(seconds=2)

    second = shown(demo, job)
    assert second["brief"] == first["brief"] | brief
    assert (second["createdAt"], second["completedAt"]) == (first["createdAt"], "2026-04-18T09:18:48.120Z")
    assert (second["caption"], second["firstComment"]) == ("Let's talk about Run.", "#ab #c")
    assert not {asset["assetId"] for asset in first["assets"]} & {asset["assetId"] for asset in second["assets"]}
    for asset in first["assets"] + second["assets"]:
        assert (
            demo.get(f"/v1/content/{first['id']}/assets/{asset['assetId']}").json
            == {"containerId": first["id"]} | asset
        )
        assert bytes_at(demo, asset["url"]).status_code == 200


def test_with_preserved_assets_only_the_caption_is_new(demo, rooms, clock):
    job = generate(demo, **SLIDES)
    clock.move(seconds=2)
    first = shown(demo, job)

    files = stored_files(rooms)
    again = demo.post(f"/v1/content/{first['id']}/regenerate", json={"preserveAssets": True}).json
    clock.move(seconds=2)

    second = shown(demo, job)
    assert stored_files(rooms) == files
    assert second["assets"] == first["assets"]
    assert second["caption"] != first["caption"]
    assert demo.get(again["locationUrl"]).json["result"]["assets"] == first["assets"]
    for asset in first["assets"]:
        assert demo.get(f"/v1/content/{first['id']}/assets/{asset['assetId']}").status_code == 200


def test_content_that_is_being_made_is_not_made_again(demo, on_disk, rooms, clock):
    job = generate(demo)
    again = f"/v1/content/{job['containerId']}/regenerate"
    for passed, status in ((0, "queued"), (1000, "generating")):
        clock.move(milliseconds=passed)
        is_unchanged, files = unchanged(on_disk), stored_files(rooms)
        found = refused(demo.post(again, json={}))
        details = {"subcode": "CONTAINER_NOT_FINISHED", "containerId": job["containerId"], "status": status}
        message = "The container is still being generated."
        assert found == {"status": 409, "code": "CONFLICT", "message": message, "details": details}
        assert (is_unchanged(), stored_files(rooms)) == (True, files)


def test_a_failed_or_canceled_container_can_be_made_again(demo, clock):
    job = generate(demo)
    demo.post(f"{job['locationUrl']}/cancel")

    assert demo.post(f"/v1/content/{job['containerId']}/regenerate", json={"preserveAssets": True}).status_code == 202
    clock.move(seconds=2)
    assert shown(demo, job)["status"] == "completed"
    assert demo.get(job["locationUrl"]).json["status"] == "canceled"


def test_to_cancel_an_earlier_making_by_a_clock_set_back_leaves_the_later_one(demo, clock):
    job = generate(demo)
    clock.move(seconds=2)
    demo.post(f"/v1/content/{job['containerId']}/regenerate")
    clock.move(seconds=-1)

    assert demo.post(f"{job['locationUrl']}/cancel").json["accepted"]

    clock.move(seconds=3)
    assert demo.get(job["locationUrl"]).json["status"] == "canceled"
    assert shown(demo, job)["status"] == "completed"


# Archived projects


@pytest.mark.parametrize("how", ["DELETE", "PATCH"])
def test_an_archived_project_cancels_what_is_not_finished_and_takes_nothing_new(demo, clock, how):
    over = generate(demo)
    clock.move(seconds=2)
    late = generate(demo)
    clock.move(milliseconds=1900)
    job = generate(demo, variantCount=2)
    balance = demo.get("/v1/credits").json["balance"]
    path = f"/v1/projects/{SPRING}"
    assert (demo.delete(path) if how == "DELETE" else demo.patch(path, json={"status": "archived"})).status_code == 200

    assert {demo.get(f"/v1/content/{each}").json["status"] for each in job["containerIds"]} == {"canceled"}
    assert [shown(demo, each)["status"] for each in (over, late)] == ["completed", "canceled"]
    assert [demo.get(each["locationUrl"]).json["status"] for each in (over, late, job)] == [
        "completed", "canceled", "canceled",
    ]  # fmt: skip
    assert demo.get("/v1/credits").json["balance"] == balance + 3 * 120
    for again in (CONTENT, f"/v1/content/{over['containerId']}/regenerate"):
        found = refused(demo.post(again, json={}))
        assert found["details"] == {"subcode": "PROJECT_ARCHIVED", "projectId": SPRING}


# Bad input


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"format": "video"}, {"format": ["Invalid enum value"]}),
        ({"variantCount": 0}, {"variantCount": ["Number must be greater than or equal to 1"]}),
        ({"variantCount": 6}, {"variantCount": ["Number must be less than or equal to 5"]}),
        ({"variantCount": "2"}, {"variantCount": ["Expected number, received string"]}),
        ({"id": SPRING}, {"id": ["Invalid uuid"]}),
        ({"brief": None}, {"brief": ["Expected object, received null"]}),
        ({"brief": {"mood": "x"}}, {"brief": ["mood: Unrecognized key"]}),
        ({"brief": {"topic": 1}}, {"brief": ["topic: Expected string, received number"]}),
        ({"brief": {"targetPlatforms": ["x"]}}, {"brief": ["targetPlatforms.0: Invalid enum value"]}),
        ({"brief": {"referenceMediaIds": [AVA]}}, {"brief": ["referenceMediaIds.0: Invalid uuid"]}),
        ({"references": {"assetIds": ["x"]}}, {"references": ["assetIds.0: Invalid uuid"]}),
        ({"caption": "x"}, {"caption": ["Unrecognized key"]}),
    ],
)
def test_a_body_that_is_wrong_is_refused(demo, on_disk, body, errors):
    is_unchanged = unchanged(on_disk)

    assert refused(demo.post(CONTENT, json=body)) == invalid(**errors)
    assert is_unchanged()


def test_a_brief_of_a_mebibyte_is_too_large_and_one_below_it_is_drawn(demo, clock):
    assert demo.post(CONTENT, json={"brief": {"topic": "x" * MAX_BODY_BYTES}}).status_code == 413
    words = ["word " * 9_000] * 10
    job = generate(demo, brief={"topic": "\u0000 \U0001f600 " * 1000, "valuePropositions": words, "themeTags": words})
    clock.move(seconds=2)

    found = shown(demo, job)
    assert found["status"] == "completed"
    assert (len(found["caption"]) <= MAX_CAPTION, len(found["firstComment"]) <= MAX_CAPTION) == (True, True)


briefs = st.fixed_dictionaries(
    {},
    optional={name: st.text(max_size=600) for name in ("topic", "angle", "cta", "hook")}
    | {name: st.lists(st.text(max_size=600), max_size=12) for name in ("valuePropositions", "themeTags")},
)


@given(briefs, st.none() | st.text(), st.integers(0, 99))
def test_a_caption_has_words_and_is_not_too_long(brief, name, variety):
    caption, comment = caption_of(brief, name, variety), first_comment_of(brief)

    assert 0 < len(caption) <= MAX_CAPTION
    assert comment is None or 0 < len(comment) <= MAX_CAPTION


# Once, under twelve clients


def test_of_twelve_twins_under_one_idempotency_key_one_generates(app, rooms, demo, organization):
    before = demo.get("/v1/credits").json["balance"]
    headers = DEMO | {"Idempotency-Key": "once"}

    def send(_):
        return app.test_client().post(CONTENT, json=SLIDES, headers=headers)

    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(send, range(12)))

    assert {(reply.status_code, reply.data) for reply in replies} == {(202, replies[0].data)}
    assert len(ids_of(demo)) == 1
    assert demo.get("/v1/credits").json["balance"] == before - 50
    assert len([name for name in stored_files(rooms) if name.startswith(organization)]) == 8 + 3


# Wherever it is looked at


def test_a_store_opened_anew_knows_the_same(demo, rooms, settings, clock):
    generate(demo, **SLIDES)
    clock.move(seconds=1)
    seen = demo.get(CONTENT).json

    with opened(settings.store or settings.data) as store:
        again = create_app(Services(Store(store.db, clock, job_ms=5), rooms.media, settings)).test_client()
        again.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]
        assert again.get(CONTENT).json == seen


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_every_worker_sees_content_the_same_and_a_crash_changes_nothing(settings):
    folder = settings.data.parent / "served"
    with serving(folder, *STAYS_OPEN, STANDIN_JOB_SECONDS="600") as server:
        one, other = (server.client_of(worker) for worker in server.workers())
        job = one.post(CONTENT, json=SLIDES).json()
        path = f"/v1/content/{job['containerId']}"
        begun, balance = other.get(path).json(), other.get("/v1/credits").json()
        assert (begun["status"], balance["balance"]) == ("queued", 24950)
        one.delete(AVA_PATH)
        server.kill()
    with serving(folder, STANDIN_JOB_SECONDS="0") as server:
        client = server.client()
        assert (client.get(path).json(), client.get("/v1/credits").json()) == (begun, balance)
        httpx.put(f"{server.url}/_standin/clock", json={"advance": "PT10M"}).raise_for_status()
        completed = client.get(path).json()
        assert completed["status"] == "completed"
        for asset in completed["assets"]:
            served = httpx.get(asset["url"])
            assert sha256(served.content).hexdigest() == asset["checksumSha256"]


def test_a_snapshot_has_the_content_and_its_pictures(demo, control, clock):
    job = generate(demo, **SLIDES)
    clock.move(seconds=2)
    before = shown(demo, job)
    control.post("/snapshots", name="one")
    control.post("/reset")
    assert refused(demo.get(f"/v1/content/{before['id']}")) == NO_CONTAINER
    assert bytes_at(demo, before["assets"][0]["url"]).status_code == 404

    control.post("/snapshots/one/restore")

    assert shown(demo, job) == before
    for asset in before["assets"]:
        assert sha256(bytes_at(demo, asset["url"]).data).hexdigest() == asset["checksumSha256"]


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "9999-12-01T00:00:00Z"])
@pytest.mark.parametrize("before", ["1970-01-01T00:00:00Z", "9999-12-01T00:00:00Z"])
def test_at_both_ends_of_time_content_still_works(demo, control, before, at):
    control.put("/clock", mode="frozen", at=before)
    demo.patch(f"/v1/projects/{SPRING}/approval-policy", json={"firstNPostsBlocked": 5, "autoApproveAfter": "P9999W"})
    kim = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"}).json["influencerId"]
    job = generate(demo, brief={"influencerId": kim})
    control.put("/clock", mode="frozen", at=at)
    other = generate(demo, brief={"influencerId": kim})

    expected = ["completed", "queued"] if before < at else ["queued", "queued"]
    assert [shown(demo, each)["status"] for each in (job, other)][: 1 + (before >= at)] == expected[
        : 1 + (before >= at)
    ]
    assert set(ids_of(demo, since="1970-01-01T00:00:00Z", until="9999-12-01T00:00:00Z")) == {
        job["containerId"],
        other["containerId"],
    }
    for path in (f"/v1/content/{job['containerId']}/progress", "/v1/credits", f"/v1/projects/{SPRING}"):
        assert demo.get(path).status_code == 200
    assert demo.post(f"{other['locationUrl']}/cancel").status_code in (200, 202)
    assert demo.delete(f"/v1/projects/{SPRING}").status_code == 200
