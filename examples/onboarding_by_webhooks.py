"""Bring a new customer from a repository to a published post without asking once how far it is: webhooks tell.

    LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/onboarding_by_webhooks.py

It listens on a port of its own, on the stand-in's machine, and believes only what is signed. As in `onboarding.py`, the
script says a person's yes, and moves the clock of the key's organization on, which stays ahead:
`DELETE /_standin/clock?organizationId=...` sets it back.
"""

import hmac
import json
import os
import sys
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

try:
    import httpx
except ImportError:
    sys.exit("This example needs httpx: pip install httpx")

for variable in ("LAYERS_BASE_URL", "LAYERS_API_KEY"):
    if not os.environ.get(variable):
        sys.exit(f"Set {variable} first: the line that starts this example is at the top of its file.")

layers = httpx.Client(base_url=os.environ["LAYERS_BASE_URL"], headers={"X-Api-Key": os.environ["LAYERS_API_KEY"]})

RETURN_URL = "http://localhost:3000/connected"  # where the customer's browser would be sent back to
PATIENCE_SECONDS = 30.0
EVENTS = ["job.completed", "content.generated", "content.approved", "social_account.connected", "post.published"]

came: SimpleQueue[tuple[str, bytes]] = SimpleQueue()  # of each message its signature and its body
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    """Acknowledges every message at once; it is looked at later."""

    def do_POST(self) -> None:
        came.put((self.headers["X-Layers-Signature"], self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def call(method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
    """Return the JSON of a reply; exit with a sentence when there is none, or a refusal."""
    try:
        response = layers.request(method, path, json=body, params=query)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        sys.exit(f"No answer from {os.environ['LAYERS_BASE_URL']} ({error}): is the stand-in running there?")
    return response.json() if response.is_success else sys.exit(f"{path}: {response.status_code} {response.text}")


def say_yes(page: str) -> dict[str, str]:
    """Allow what a consent page asks; return the parameters that the person is sent back with."""
    response = httpx.post(page, data={"decision": "yes"})
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def pass_time(duration: str) -> None:
    """Move the clock of the organization on by an ISO 8601 duration."""
    call("PUT", "/_standin/clock", {"advance": duration, "organizationId": me["organizationId"]})


def told(event: str, **about: str) -> Any:
    """Return the data of the next event of a type with these fields; exit when none comes in time."""
    while True:
        try:
            signature, body = came.get(timeout=PATIENCE_SECONDS)
        except Empty:
            sys.exit(f"No {event} came in {PATIENCE_SECONDS:.0f} seconds.")
        at, *_ = signature.removeprefix("t=").split(",")
        signed = hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256").hex()
        if not any(hmac.compare_digest(f"v1={signed}", part) for part in signature.split(",")):
            sys.exit("A message came that Layers has not signed.")
        message = json.loads(body)
        is_new, data = message["id"] not in seen, message["data"]
        seen.add(message["id"])
        if is_new and message["type"] == event and about.items() <= data.items():
            return data


me = call("GET", "/v1/whoami")
print(f"Who am I: {me['organizationName']}")
receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
Thread(target=receiver.serve_forever, daemon=True).start()
endpoint = {"url": f"http://127.0.0.1:{receiver.server_port}/layers", "events": EVENTS}
created = call("POST", "/v1/webhook-endpoints", endpoint)
secret, endpoint_path = created["signingSecret"], f"/v1/webhook-endpoints/{created['endpoint']['id']}"
call("POST", f"{endpoint_path}/test", {"payload": {"message": "hello"}})
print(f"Listen to events: {told('test.ping')['message']}")

project = call("POST", "/v1/projects", {"name": "Onboarding", "timezone": "Europe/Lisbon"})
project_path = f"/v1/projects/{project['id']}"
sent = say_yes(call("GET", "/v1/github/installation/install-url", returnUrl=RETURN_URL)["installUrl"])
call("POST", "/v1/github/installation", {"installationId": int(sent["installation_id"]), "state": sent["state"]})
repository = call("GET", "/v1/github/repos")["items"][0]["fullName"]
job = call("POST", f"{project_path}/ingest/github", {"repoFullName": repository, "openPR": True})
pass_time("PT1M")
print(f"Ingest a repository: {told('job.completed', jobId=job['jobId'])['kind']} has ended")
brand = call("GET", project_path)["brandContext"]
(influencer,) = call("GET", f"{project_path}/influencers")["items"]
print(f"Meet the first influencer: {influencer['name']}, {influencer['status']}")

call("PATCH", f"{project_path}/approval-policy", {"requiresApproval": True})
brief = {"topic": brand["tagline"], "influencerId": influencer["influencerId"]}
job = call("POST", f"{project_path}/content", {"format": "slideshow_remix", "brief": brief})
pass_time("PT1M")
content = told("content.generated", id=job["containerId"])
print(f"Generate content: {len(content['assets'])} slides")
container_path = f"/v1/content/{job['containerId']}"
call("POST", f"{container_path}/approve")
approved = told("content.approved", id=job["containerId"])
print("Approve it: told so")

oauth = call("POST", f"{project_path}/social/oauth-url", {"platform": "tiktok", "returnUrl": RETURN_URL})
say_yes(oauth["authorizeUrl"])
account = told("social_account.connected", platform="tiktok")
print(f"Connect an account: {account['platform']}")
in_an_hour = datetime.fromisoformat(approved["approvedAt"]) + timedelta(hours=1)
target = {"socialAccountId": account["socialAccountId"], "mode": "direct_publish"}
call("POST", f"{container_path}/schedule", {"scheduledFor": in_an_hour.isoformat(), "targets": [target]})
pass_time("PT2H")
print(f"Schedule a post, and hear of it: {told('post.published')['externalUrl']}")
call("DELETE", endpoint_path)
