"""Bring a new customer from a repository to a published post, and print a line for each step.

    LAYERS_BASE_URL=http://127.0.0.1:8000 LAYERS_API_KEY=... python examples/onboarding.py

Two steps are a person's: they open a page and say yes. Here the script says it, and where a script would wait, it moves
the clock of the key's organization on: only a stand-in can do both. The clock stays ahead;
`DELETE /_standin/clock?organizationId=...` sets it back.
"""

import os
import sys
from datetime import datetime, timedelta
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
MOST_POLLS = 100


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


def finished(begun: dict[str, Any]) -> Any:
    """Return a job when it has ended; exit unless it is completed."""
    for _ in range(MOST_POLLS):
        job = call("GET", begun["locationUrl"])
        if job["status"] != "running":
            return job if job["status"] == "completed" else sys.exit(f"The job ended as {job}")
        pass_time("PT10S")
    sys.exit(f"The job {begun['jobId']} is still running.")


me = call("GET", "/v1/whoami")
print(f"Who am I: {me['organizationName']}")
project = call("POST", "/v1/projects", {"name": "Onboarding", "timezone": "Europe/Lisbon"})
project_path = f"/v1/projects/{project['id']}"
print(f"Create a project: {project['status']}")

install = call("GET", "/v1/github/installation/install-url", returnUrl=RETURN_URL)
sent = say_yes(install["installUrl"])
print(f"Install the app on GitHub: sent back with {' and '.join(sorted(sent))}")
registration = {"installationId": int(sent["installation_id"]), "state": sent["state"]}
installation = call("POST", "/v1/github/installation", registration)
print(f"Register the installation: {installation['status']}")
print(f"Read it again: {call('GET', '/v1/github/installation')['orgLogin']}")
repository = call("GET", "/v1/github/repos")["items"][0]["fullName"]
job = call("POST", f"{project_path}/ingest/github", {"repoFullName": repository, "openPR": True})
print(f"Ingest the newest repository: {job['status']}")
print(f"Poll the job: {finished(job)['status']}")

brand = call("GET", project_path)["brandContext"]
print(f"Meet the brand: {brand['appName']}, {brand['brandVoice']}")
(influencer,) = call("GET", f"{project_path}/influencers")["items"]
print(f"Meet the first influencer: {influencer['name']}, {influencer['status']}")

call("PATCH", f"{project_path}/approval-policy", {"requiresApproval": True})
brief = {"topic": brand["tagline"], "influencerId": influencer["influencerId"]}
job = call("POST", f"{project_path}/content", {"format": "slideshow_remix", "brief": brief})
ended = finished(job)
container_path = f"/v1/content/{job['containerId']}"
content = call("GET", container_path)
print(f"Generate content: {content['status']}, {len(content['assets'])} slides, {content['approvalStatus']}")
print(f"Approve it: {call('POST', f'{container_path}/approve')['approvalStatus']}")

oauth = call("POST", f"{project_path}/social/oauth-url", {"platform": "tiktok", "returnUrl": RETURN_URL})
print(f"Connect an account: {say_yes(oauth['authorizeUrl'])['status']}")
account_id = call("GET", f"/v1/social/oauth-status/{oauth['state']}")["socialAccountId"]
in_an_hour = datetime.fromisoformat(ended["finishedAt"]) + timedelta(hours=1)
target = {"socialAccountId": account_id, "mode": "direct_publish"}
schedule = {"scheduledFor": in_an_hour.isoformat(), "targets": [target]}
(post,) = call("POST", f"{container_path}/schedule", schedule)["scheduledPosts"]
print(f"Schedule a post in an hour: {post['status']}")
pass_time("PT2H")
post = call("GET", f"/v1/scheduled-posts/{post['id']}")
print(f"Look again two hours later: {post['status']}")
print(f"See it at {post['externalUrl']}")
