"""Call the whole API once, in a new project: print one line for each step, and exit with 1 at the first wrong reply.

LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/full_tour.py
"""

import base64
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any

try:
    import httpx
except ImportError:
    sys.exit("This example needs httpx: pip install httpx")

Reply = dict[str, Any]

JOB_PATIENCE_SECONDS = 60


class Tour:
    """A client that prints a line for each call, and exits at the first reply that differs from the expected one."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._client = httpx.Client(base_url=base_url, headers={"X-Api-Key": api_key})

    def call(
        self, step: str, status: int, method: str, path: str, show: Callable[[Reply], object], **request: Any
    ) -> Reply:
        """Make one call and return its JSON; `step` names it in the printed line, `show(reply)` is the end of the line.

        Exits unless the reply has the HTTP status `status`. `request` are more arguments for httpx, such as `json`.
        """
        response = self._client.request(method, path, **request)
        if response.status_code != status:
            sys.exit(f"{step}: {method} {path} should answer {status}, but: {response.status_code} {response.text}")
        reply: Reply = response.json()
        print(f"{step}: {status}, {show(reply)}")
        return reply

    def is_running(self, job_id: str) -> bool:
        return bool(self._client.get(f"/v1/jobs/{job_id}").raise_for_status().json()["status"] == "running")

    def upload(self, step: str, presigned: Reply, data: bytes) -> None:
        """Send bytes to the URL of a presigned upload; the URL is the permission, so the request has no key."""
        response = httpx.request(
            presigned["method"], presigned["uploadUrl"], headers=presigned["headers"], content=data
        )
        if response.status_code != 200:
            sys.exit(f"{step}: {response.status_code} {response.text}")
        print(f"{step}: {response.status_code}, {len(data)} bytes")

    def job_done(self, job_id: str) -> Reply:
        """Poll a job until it has ended, and return it; exit after JOB_PATIENCE_SECONDS."""
        deadline = time.monotonic() + JOB_PATIENCE_SECONDS
        while time.monotonic() < deadline:
            job: Reply = self._client.get(f"/v1/jobs/{job_id}").raise_for_status().json()
            if job["status"] != "running":
                return job
            time.sleep(0.1)
        sys.exit(
            f"The job {job_id} is still running after {JOB_PATIENCE_SECONDS} seconds: is the stand-in's clock frozen?"
        )


def check(holds: bool, problem: str) -> None:
    """Exit with the problem unless `holds` is true."""
    if not holds:
        sys.exit(f"Something is off: {problem}")


def png(width: int, height: int, shade: Callable[[int, int], tuple[int, int, int]]) -> bytes:
    """Return a PNG; `shade(x, y)` is the red, green and blue of a pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + b"".join(bytes(shade(x, y)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, data) for name, data in parts)


def walk(tour: Tour) -> None:
    """Make every call once, and exit at the first that fails."""
    tour.call("Who am I", 200, "GET", "/v1/whoami", lambda me: f"{me['organizationName']}, {me['rateLimitTier']}")
    project = tour.call(
        "Create a project",
        201,
        "POST",
        "/v1/projects",
        lambda made: made["status"],
        json={"name": "Tour", "timezone": "Europe/Lisbon"},
    )
    project_path = f"/v1/projects/{project['id']}"
    pictures = [upload_dusk(tour, project_path), upload_dawn(tour, project_path)]
    influencer_id = create(tour, project_path, pictures[:1])
    edit(tour, influencer_id, pictures)
    container_path = appear(tour, project_path, influencer_id)
    publish(tour, project_path, container_path)
    clone_and_cancel(tour, influencer_id)
    ingest(tour, project_path)
    delete(tour, influencer_id)
    tour.call("Archive the project", 200, "DELETE", project_path, lambda gone: gone["status"])


def upload_dusk(tour: Tour, project_path: str) -> str:
    """Upload a picture in three steps (presign, PUT, finalize), as for large files; return its id."""
    data = png(320, 200, lambda x, y: (200 - y // 2, 80 + x // 8, 90 + y // 2))
    presigned = tour.call(
        "Presign an upload",
        200,
        "POST",
        f"{project_path}/media/presign",
        lambda upload: f"{upload['method']} until {upload['expiresAt']}",
        json={
            "kind": "reference_image",
            "mimeType": "image/png",
            "filename": "dusk.png",
            "sizeBytes": len(data),
        },
    )
    tour.upload("Send its bytes", presigned, data)
    asset = tour.call(
        "Finalize it",
        200,
        "POST",
        f"{project_path}/media/finalize",
        lambda made: f"{made['filename']} of {made['sizeBytes']} bytes",
        json={"uploadId": presigned["uploadId"]},
    )
    check(httpx.get(asset["url"]).content == data, "the picture is not what was sent")
    return str(asset["assetId"])


def upload_dawn(tour: Tour, project_path: str) -> str:
    """Upload a picture in one step (inline), as for small files; return its id."""
    data = png(64, 64, lambda x, y: (255 - y, 200 - y, 160 + x))
    asset = tour.call(
        "Upload another inline",
        201,
        "POST",
        f"{project_path}/media",
        lambda made: f"{made['filename']} of {made['sizeBytes']} bytes",
        json={
            "kind": "reference_image",
            "mimeType": "image/png",
            "filename": "dawn.png",
            "dataBase64": base64.b64encode(data).decode(),
        },
    )
    return str(asset["assetId"])


def create(tour: Tour, project_path: str, pictures: list[str]) -> str:
    """Create an influencer with pictures, wait until its job has ended, and return the influencer's id."""
    job = tour.call(
        "Create an influencer",
        202,
        "POST",
        f"{project_path}/influencers",
        lambda begun: f"job {begun['status']}",
        json={
            "name": "Rui Teles",
            "gender": "male",
            "vibe": "sleepy harbor",
            "personality": {"traits": ["gentle"], "tone": "low"},
            "referenceImages": {"assetIds": pictures},
        },
    )
    ended = tour.job_done(job["jobId"])
    print(f"Wait for the job: {ended['status']}")
    check(ended["status"] == "completed", f"the job ended as {ended}")
    page = tour.call("List the project's", 200, "GET", f"{project_path}/influencers", names)
    check(
        [item["influencerId"] for item in page["items"]] == [job["influencerId"]], "the list has not just the new one"
    )
    return str(job["influencerId"])


def names(page: Reply) -> str:
    return ", ".join(f"{item['name']} ({item['status']})" for item in page["items"])


def edit(tour: Tour, influencer_id: str, pictures: list[str]) -> None:
    """Read an influencer, change two fields, and attach two pictures, one of which it has already."""
    path = f"/v1/influencers/{influencer_id}"
    before = tour.call("Read it", 200, "GET", path, lambda record: f"{record['status']}, {record['vibe']}")
    after = tour.call(
        "Change it",
        200,
        "PATCH",
        path,
        lambda record: f"{record['vibe']}, {record['personality']}",
        json={"vibe": "harbor at noon", "personality": {"humor": "teasing", "tone": None}},
    )
    check(after["personality"] == {"traits": ["gentle"], "humor": "teasing"}, "the personality was not merged")
    check(after["name"] == before["name"], "a field changed that was not named")
    merged = tour.call(
        "Attach both pictures",
        200,
        "POST",
        f"{path}/reference-images",
        lambda reply: f"{len(reply['referenceImages'])} pictures",
        json={"assetIds": pictures},
    )
    check([image["assetId"] for image in merged["referenceImages"]] == pictures, "the pictures are not those two")


def appear(tour: Tour, project_path: str, influencer_id: str) -> str:
    """Generate two pieces of content, approve one, reject the other and make it again; return the path of the first."""
    policy = f"{project_path}/approval-policy"
    tour.call("Read the approval policy", 200, "GET", policy, lambda found: found["requiresApproval"])
    change = {"requiresApproval": True}
    tour.call("Ask for approval", 200, "PATCH", policy, lambda found: found["requiresApproval"], json=change)
    job = tour.call(
        "Generate a video twice",
        202,
        "POST",
        f"{project_path}/content",
        lambda begun: f"job {begun['status']}",
        json={
            "format": "video_remix",
            "variantCount": 2,
            "brief": {"topic": "the harbor at noon", "influencerId": influencer_id},
        },
    )
    good, bad = (f"/v1/content/{container_id}" for container_id in job["containerIds"])
    tour.call("Look how far it is", 200, "GET", f"{good}/progress", lambda found: 0 <= found["stageProgress"] <= 1)
    ended = tour.job_done(job["jobId"])
    check(ended["status"] == "completed", f"the job ended as {ended}")
    content = tour.call("Read the first", 200, "GET", good, lambda found: f"{len(found['assets'])} assets")
    video = content["assets"][0]
    served = httpx.get(video["url"])
    check(len(served.content) == video["sizeBytes"], "the video is not what was promised")
    tour.call("Read its video", 200, "GET", f"{good}/assets/{video['assetId']}", lambda found: found["mimeType"])
    tour.call("Approve it", 200, "POST", f"{good}/approve", lambda found: found["approvalStatus"])
    reason = {"reason": "Too loud."}
    tour.call("Reject the other", 200, "POST", f"{bad}/reject", lambda found: found["approvalStatus"], json=reason)
    brief = {"brief": {"hook": "Quiet, please"}}
    again = tour.call("Make it again", 202, "POST", f"{bad}/regenerate", lambda begun: begun["status"], json=brief)
    check(tour.job_done(again["jobId"])["status"] == "completed", "it was not made again")
    page = tour.call(
        "List the content", 200, "GET", f"{project_path}/content", lambda found: f"{len(found['items'])} containers"
    )
    statuses = [item["approvalStatus"] for item in page["items"]]
    check(sorted(statuses) == ["approved", "pending"], f"the approvals are {statuses}")
    tour.call("Count the credits", 200, "GET", "/v1/credits", lambda found: found["billingStatus"])
    return good


def publish(tour: Tour, project_path: str, container_path: str) -> None:
    """Connect an account, schedule content there, move the post and cancel it; publish now, and disconnect in time."""
    target = {"socialAccountId": connect(tour, project_path), "mode": "direct_publish"}
    body = {"scheduledFor": "2099-01-01T12:00:00Z", "targets": [target]}
    reply = tour.call(
        "Schedule it", 202, "POST", f"{container_path}/schedule", lambda found: found["gateStatus"], json=body
    )
    path = f"/v1/scheduled-posts/{reply['scheduledPosts'][0]['id']}"
    later = {"scheduledFor": "2099-01-02T12:00:00Z"}
    tour.call("Move the post", 200, "POST", f"{path}/reschedule", lambda found: found["scheduledFor"], json=later)
    tour.call("Read the post", 200, "GET", path, lambda found: f"{found['status']}, {found['scheduledFor']}")
    tour.call("Cancel the post", 200, "DELETE", path, lambda found: found["status"], json={"reason": "Another day."})
    reply = tour.call(
        "Publish it in half a minute",
        202,
        "POST",
        f"{container_path}/publish",
        lambda found: found["gateStatus"],
        json={"targets": [target]},
    )
    page = tour.call(
        "List the posts",
        200,
        "GET",
        f"{project_path}/scheduled-posts",
        lambda found: ", ".join(post["status"] for post in found["items"]),
    )
    check(page["items"][1]["id"] == reply["scheduledPosts"][0]["id"], "the post is not in the list")
    gone = tour.call(
        "Disconnect the account",
        200,
        "DELETE",
        f"/v1/social-accounts/{target['socialAccountId']}",
        lambda found: f"{found['status']}, {found['canceledScheduledPosts']} post canceled",
    )
    check(gone["canceledScheduledPosts"] == 1, "the queued post was not canceled")


def connect(tour: Tour, project_path: str) -> str:
    """Connect an account, whose owner says yes on the page for it; return its id."""
    consent = tour.call(
        "Ask to connect an account",
        200,
        "POST",
        f"{project_path}/social/oauth-url",
        lambda found: "a page for its owner" if found["authorizeUrl"] else "no page",
        json={"platform": "tiktok", "returnUrl": "http://localhost:3000/connected"},
    )
    answer = httpx.post(consent["authorizeUrl"], data={"decision": "yes", "handle": "rui.teles"})
    check(answer.headers["Location"].endswith("&status=success"), "the owner was not sent back with success")
    path = f"/v1/social/oauth-status/{consent['state']}"
    status = tour.call("Ask how that went", 200, "GET", path, lambda found: found["status"])
    accounts = tour.call(
        "List the accounts", 200, "GET", f"{project_path}/social-accounts", lambda found: found["items"][0]["handle"]
    )
    check(accounts["items"][0]["socialAccountId"] == status["socialAccountId"], "the account is not in the list")
    return str(status["socialAccountId"])


def clone_and_cancel(tour: Tour, influencer_id: str) -> None:
    """Clone an influencer, and cancel the clone's job."""
    job = tour.call(
        "Clone it",
        202,
        "POST",
        f"/v1/influencers/{influencer_id}/clone",
        lambda begun: f"job {begun['status']}",
        json={"name": "Rui by night", "overrides": {"vibe": "neon"}},
    )
    job_path = f"/v1/jobs/{job['jobId']}"
    if not tour.is_running(job["jobId"]):
        print("Cancel the clone's job: too late, for jobs end at once here")
        return
    tour.call(
        "Cancel the clone's job", 202, "POST", f"{job_path}/cancel", lambda reply: f"accepted {reply['accepted']}"
    )
    ended = tour.call("Look at the job", 200, "GET", job_path, lambda reply: reply["status"])
    check(ended["status"] == "canceled", f"the job is {ended['status']}")


def ingest(tour: Tour, project_path: str) -> None:
    """Have a website looked at, and read the brand that the project has of it."""
    job = tour.call(
        "Look at the website",
        202,
        "POST",
        f"{project_path}/ingest/website",
        lambda begun: f"job {begun['status']}",
        json={"url": "https://www.harbor-notes.example"},
    )
    ended = tour.job_done(job["jobId"])
    check(ended["status"] == "completed", f"the job ended as {ended}")
    tour.call("Read the brand", 200, "GET", project_path, lambda project: project["brandContext"]["appName"])


def delete(tour: Tour, influencer_id: str) -> None:
    """Delete an influencer, and check that a second delete answers 404."""
    path = f"/v1/influencers/{influencer_id}"
    reason = {"reason": "The tour is over."}
    tour.call("Delete the first", 200, "DELETE", path, lambda reply: reply["status"], json=reason)
    tour.call("Delete it again", 404, "DELETE", path, lambda reply: reply["error"]["message"])


if __name__ == "__main__":
    for variable in ("LAYERS_BASE_URL", "LAYERS_API_KEY"):
        if not os.environ.get(variable):
            sys.exit(f"Set {variable} first: the line that starts this example is at the top of its file.")
    try:
        walk(Tour(os.environ["LAYERS_BASE_URL"], os.environ["LAYERS_API_KEY"]))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        sys.exit(f"No answer from {os.environ['LAYERS_BASE_URL']} ({error}): is the stand-in running there?")
    print("All as it should be.")
