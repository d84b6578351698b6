"""The request log as an answer to what a test asks: how many, which, what met no route, and what nothing read."""

import pytest
from api_helpers import MEDIA, SPRING, invalid, refused
from conftest import AVA, AVA_PATH

INFLUENCERS = f"/v1/projects/{SPRING}/influencers"


def part(place: str, name: str, reason: str) -> dict[str, str]:
    return {"in": place, "name": name, "reason": reason}


def unread(control) -> list[dict[str, str]]:
    """Return what nothing read of the newest request."""
    (entry,) = control.get("/requests", limit=1)["items"]
    return entry["unread"]


# How many, and which


@pytest.fixture
def three(demo):
    """Send three requests: a PATCH, a GET of nothing, and one without its /v1."""
    demo.patch(AVA_PATH, json={"vibe": "Festive"})
    demo.get("/v1/jobs/nowhere")
    demo.get(AVA_PATH.removeprefix("/v1"))


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 3),
        ("operation=patchInfluencer", 1),
        ("operation=deleteInfluencer", 0),
        ("method=GET", 2),
        ("method=PATCH&path=/v1/influencers/:id", 1),
        ("path=/v1/*", 2),
        (f"path={AVA_PATH}", 1),
        ("status=404", 2),
        ("status=4xx", 2),
        ("status=2xx", 1),
        ("status=5xx", 0),
        ("text=festive", 1),
        ("text=FESTIVE", 1),
        (f"text={AVA}", 2),
        ("text=nobody%20wrote%20this", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=2020-01-01T00:00:00Z", 0),
        ("since=9999-01-01T00:00:00Z", 0),
        ("faultId=prefer", 0),
        ("unmatched", 1),
        ("unmatched=true", 1),
        ("unmatched=false", 2),
        ("unread", 0),
        ("unread=false", 3),
        ("limit=1", 3),
    ],
)
def test_requests_are_counted_by_all_that_is_asked_of_them(control, three, query, number):
    response = control.send("GET", f"/requests?{query}&count")

    assert (response.status_code, response.json) == (200, {"count": number})
    assert control.send("GET", f"/requests?{query}&count=true").json == {"count": number}
    listed = control.send("GET", f"/requests?{query}&count=false").json["items"]
    assert len(listed) == (1 if query == "limit=1" else number)


def test_requests_are_counted_by_their_fault_and_organization(control, demo, organization):
    fault = control.post("/faults", answer={"code": "RATE_LIMITED"}, every=2)["id"]
    for _ in range(4):
        demo.get("/v1/whoami")

    assert control.get("/requests", faultId=fault, count="") == {"count": 2}
    assert control.get("/requests", organizationId=organization, count="") == {"count": 4}
    other, _ = control.organization()
    assert control.get("/requests", organizationId=other, count="") == {"count": 0}


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ("count=3", {"count": ["Must be true or false, or without a value"]}),
        ("unread=yes", {"unread": ["Must be true or false, or without a value"]}),
        ("status=6xx", {"status": ["Expected number, received nan"]}),
        ("since=yesterday", {"since": ["Invalid instant: say 2026-04-18T09:18:44Z"]}),
        ("counts", {"counts": ["Unrecognized key"]}),
    ],
)
def test_what_cannot_be_asked_is_refused(control, query, faults):
    assert refused(control.send("GET", f"/requests?{query}")) == invalid(**faults) | {"message": "Invalid query."}


def test_a_path_without_its_version_is_among_the_unmatched_with_a_hint(control, demo):
    demo.get(AVA_PATH.removeprefix("/v1"))
    control.send("GET", "/clocks")  # a command that is none is no request of the API

    (entry,) = control.get("/requests", unmatched="")["items"]
    assert (entry["path"], entry["status"], entry["operation"]) == (AVA_PATH.removeprefix("/v1"), 404, None)
    assert entry["hint"].startswith("There is no such path; close to it: /v1/influencers/{influencer_id}")


# What nothing read

NO_SUCH_PARAMETER = "This operation has no such parameter."
NO_CONDITIONS = "This operation answers no conditional requests."


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        ("limit=2&status=ready", []),
        ("pageSize=2", [part("query", "pageSize", NO_SUCH_PARAMETER)]),
        ("Limit=2&page=", [part("query", name, NO_SUCH_PARAMETER) for name in ("Limit", "page")]),
        ("limit=2&limit=3", [part("query", "limit", "Of several values only the first counts.")]),
    ],
)
def test_a_parameter_that_nothing_read_is_told(control, demo, query, found):
    assert demo.get(f"{INFLUENCERS}?{query}").status_code == 200

    assert unread(control) == found
    assert control.get("/requests", unread="", count="") == {"count": bool(found)}


def test_a_parameter_of_several_values_is_read_whole(control, demo):
    assert demo.get(f"/v1/projects/{SPRING}/scheduled-posts?status=queued&status=failed").status_code == 200

    assert unread(control) == []


def test_a_change_reads_no_parameter(control, demo):
    demo.patch(f"{AVA_PATH}?limit=1", json={"vibe": "x"})

    assert unread(control) == [part("query", "limit", NO_SUCH_PARAMETER)]


@pytest.mark.parametrize(
    ("method", "path", "headers", "found"),
    [
        (
            "GET",
            AVA_PATH,
            {"Idempotency-Key": "once"},
            [part("header", "Idempotency-Key", "Only changes are replayed.")],
        ),
        ("PATCH", AVA_PATH, {"Idempotency-Key": "once"}, []),
        ("PATCH", AVA_PATH, {"If-Match": '"1"'}, [part("header", "If-Match", NO_CONDITIONS)]),
        ("GET", AVA_PATH, {"If-None-Match": "*"}, [part("header", "If-None-Match", NO_CONDITIONS)]),
        ("GET", AVA_PATH, {"Range": "bytes=0-1"}, [part("header", "Range", "Only files are sent in parts.")]),
        (
            "GET",
            AVA_PATH,
            {"Prefer": "wait=3"},
            [part("header", "Prefer", "It asks for no fault that the sender may ask for.")],
        ),
        ("GET", AVA_PATH, {"Prefer": "delay=0"}, []),
        ("GET", AVA_PATH, {"Accept": "text/html", "User-Agent": "x", "X-Trace": "1"}, []),
    ],
)
def test_a_header_that_nothing_read_is_told(control, demo, method, path, headers, found):
    body = {"json": {"vibe": "x"}} if method == "PATCH" else {}
    assert demo.open(path, method=method, headers=headers, **body).status_code == 200

    assert unread(control) == found


def test_the_conditions_of_a_job_are_read(control, demo):
    job = demo.post(INFLUENCERS, json={"name": "Kim"}).json["jobId"]
    demo.get(f"/v1/jobs/{job}", headers={"If-None-Match": '"1"'})

    assert unread(control) == []


def test_a_body_of_a_get_is_told(control, demo):
    demo.get(AVA_PATH, json={"vibe": "x"})

    assert unread(control) == [part("body", "", "This operation takes no body.")]


def test_a_field_that_comes_twice_is_told_by_its_pointer(control, demo):
    demo.patch(AVA_PATH, data=b'{"vibe": "x", "personality": {"humor": "a", "humor": "b"}, "vibe": "y"}')

    twice = "Of several values only the last counts."
    assert unread(control) == [part("body", "/vibe", twice), part("body", "/personality/humor", twice)]


def test_pictures_that_are_not_the_project_s_are_told_one_by_one(control, demo):
    picture = demo.post(MEDIA, json=PIXEL).json["assetId"]
    assert demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": [picture]}).status_code == 200
    assert unread(control) == []

    body = {"assetIds": ["asset_nobody", picture, "asset_none"]}
    assert demo.post(f"{AVA_PATH}/reference-images", json=body).status_code == 200

    reason = "The project has no such asset."
    assert unread(control) == [part("body", "/assetIds/0", reason), part("body", "/assetIds/2", reason)]


def test_pictures_of_a_new_influencer_that_are_not_the_project_s_are_told(control, demo):
    demo.post(INFLUENCERS, json={"name": "Kim", "referenceImages": {"assetIds": ["asset_nobody"]}})

    pointer = "/referenceImages/assetIds/0"
    assert unread(control) == [part("body", pointer, "The project has no such asset.")]


def test_of_a_refused_request_nothing_is_told(control, demo):
    assert demo.patch(f"{AVA_PATH}?page=2", json={"vibes": "x"}).status_code == 422
    assert demo.get("/v1/nowhere?page=2").status_code == 404

    assert control.get("/requests", unread="", count="") == {"count": 0}


PIXEL = {
    "kind": "image",
    "mimeType": "image/gif",
    "dataBase64": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
}
