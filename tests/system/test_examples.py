"""The programs in `examples/`, run as a reader runs them; what they print is what the service does."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_helpers import AVA_PICTURES, SPRING, SUMMER_PICTURE
from conftest import AVA
from servers import PATIENCE_SECONDS, ROOT, Server, serving

from layers_standin.domain.keys import DEMO_KEY

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "endpoints.md").read_text("utf-8")
NODE = shutil.which("node")

VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\b(inf|proj|asset|job|upl|req)_[0-9A-HJKMNP-TV-Z]{26}\b"), r"<\1>"),
]

with_node = pytest.param(
    "mjs", marks=pytest.mark.skipif(NODE is None, reason="the .mjs examples are run by node, which is not here")
)
languages = pytest.mark.parametrize("language", ["py", with_node])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    # A job long enough to be canceled in its course, on a machine that may pause.
    with serving(tmp_path / "store", STANDIN_JOB_SECONDS="4", STANDIN_SYNC="never") as server:
        yield server


def run(server: Server, name: str, *arguments: str, key: str = DEMO_KEY) -> tuple[int, str]:
    """Run an example; return its exit code and all that it prints."""
    program = NODE if name.endswith(".mjs") else sys.executable
    ran = subprocess.run(
        [str(program), str(EXAMPLES / name), *arguments],
        env=os.environ | {"LAYERS_BASE_URL": server.url, "LAYERS_API_KEY": key},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return ran.returncode, ran.stdout


def settled(text: str) -> str:
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text


def printed(status: int, reply: Any, *more: str) -> str:
    """Return what an example prints of a reply, and the lines after it."""
    return "\n".join([f"{status} {json.dumps(reply, indent=2, ensure_ascii=False)}", *more, ""])


def not_found(message: str) -> dict[str, Any]:
    return {"error": {"code": "NOT_FOUND", "message": message, "requestId": "<req>"}}


@languages
def test_an_influencer_is_patched(server, language):
    before = server.client().get(f"/v1/influencers/{AVA}").json()

    code, text = run(server, f"patch_influencer.{language}", AVA)

    after = before | {"style": "linen and running shoes", "hairStyle": None, "updatedAt": "<time>"}
    after["personality"] = {key: value for key, value in before["personality"].items() if key != "tone"}
    after["personality"]["humor"] = "dry"
    assert (code, settled(text)) == (0, settled(printed(200, after)))
    assert server.client().get(f"/v1/influencers/{AVA}").json()["hairStyle"] is None


@languages
def test_an_influencer_is_deleted(server, language):
    code, text = run(server, f"delete_influencer.{language}", AVA)

    deleted = {"influencerId": AVA, "status": "deleted", "deletedAt": "<time>"}
    assert (code, settled(text)) == (0, settled(printed(200, deleted, "404 Influencer not found.")))
    assert run(server, f"delete_influencer.{language}", AVA)[0] == 1


@languages
def test_pictures_are_attached(server, language):
    code, text = run(server, f"bind_reference.{language}", AVA, *AVA_PICTURES[:2], SUMMER_PICTURE)

    kept = server.client().get(f"/v1/influencers/{AVA}").json()["referenceImages"]
    said = (f"{AVA_PICTURES[0]} attached", f"{AVA_PICTURES[1]} attached", f"{SUMMER_PICTURE} dropped")
    assert (code, text) == (0, printed(200, {"influencerId": AVA, "referenceImages": kept}, *said))
    assert [image["assetId"] for image in kept] == AVA_PICTURES[:2]


@languages
@pytest.mark.parametrize("name", ["patch_influencer", "delete_influencer", "bind_reference"])
def test_an_example_takes_other_ids_and_fails_when_its_call_does(server, language, name):
    code, text = run(server, f"{name}.{language}", "inf_unknown", *AVA_PICTURES[:1])

    assert code == 1
    assert settled(text).startswith(printed(404, not_found("Influencer not found.")))


# Each after each, and after itself.
IN_EACH_ORDER = [0, 0, 1, 1, 2, 2, 0, 2, 1, 0]
ENDS = {
    "patch_influencer": r'200 \{.+"style": "linen and running shoes".+"humor": "dry".+\}\n',
    "delete_influencer": r'200 \{.+"status": "deleted".+\}\n404 Influencer not found\.\n',
    "bind_reference": r"200 \{.+\}\n<asset> attached\n<asset> attached\n<asset> dropped\n",
}


@languages
def test_no_example_depends_on_what_ran_before(server, language):
    client = server.client()
    for project in client.get("/v1/projects").json()["items"]:
        for influencer in client.get(f"/v1/projects/{project['id']}/influencers").json()["items"]:
            client.delete(f"/v1/influencers/{influencer['influencerId']}").raise_for_status()
        client.delete(f"/v1/projects/{project['id']}").raise_for_status()

    for number in IN_EACH_ORDER:
        name = list(ENDS)[number]
        code, text = run(server, f"{name}.{language}")
        assert (code, bool(re.fullmatch(ENDS[name], settled(text), re.DOTALL))) == (0, True), text


PROGRAMS = [
    pytest.param(path.name, marks=[] if path.suffix == ".py" else with_node.marks)
    for path in sorted(EXAMPLES.iterdir())
    if path.suffix in (".py", ".mjs")
]


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_an_example_misses_it_says_in_a_sentence(name):
    program = NODE if name.endswith(".mjs") else sys.executable
    nobody = {"LAYERS_BASE_URL": "http://127.0.0.1:1", "LAYERS_API_KEY": "x"}

    def said(**changed: str | None) -> str:
        variables = {name: text for name, text in (os.environ | nobody | changed).items() if text is not None}
        command = [str(program), str(EXAMPLES / name)]
        ran = subprocess.run(
            command, env=variables, capture_output=True, encoding="utf-8", timeout=PATIENCE_SECONDS, check=False
        )
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1), ran.stderr
        return ran.stderr

    first = " first: the line that starts this example is at the top of its file.\n"
    assert said(LAYERS_BASE_URL=None) == f"Set LAYERS_BASE_URL{first}"
    assert said(LAYERS_API_KEY="") == f"Set LAYERS_API_KEY{first}"
    assert re.fullmatch(r"No answer from http://127\.0\.0\.1:1 \(.+\): is the stand-in running there\?\n", said())


ONBOARDING = """\
Who am I: Northwind Studio
Create a project: active
Install the app on GitHub: sent back with installation_id and state
Register the installation: active
Read it again: northwind-studio
Ingest the newest repository: running
Poll the job: completed
Meet the brand: {brand}
Meet the first influencer: {influencer}, ready
Generate content: completed, 3 slides, pending
Approve it: approved
Connect an account: success
Schedule a post in an hour: queued
Look again two hours later: published
See it at {url}
"""


@languages
def test_an_onboarding_ends_with_a_published_post(server, language):
    for _ in range(2):  # a second time, on a clock that is hours ahead by now
        code, text = run(server, f"onboarding.{language}")

        client = server.client()
        project = client.get("/v1/projects").json()["items"][0]
        brand = client.get(f"/v1/projects/{project['id']}").json()["brandContext"]
        (influencer,) = client.get(f"/v1/projects/{project['id']}/influencers").json()["items"]
        (post,) = client.get(f"/v1/projects/{project['id']}/scheduled-posts").json()["items"]
        assert (code, text) == (
            0,
            ONBOARDING.format(
                brand=f"{brand['appName']}, {brand['brandVoice']}",
                influencer=influencer["name"],
                url=post["externalUrl"],
            ),
        )
        assert (project["name"], post["status"]) == ("Onboarding", "published")
        page = client.get(post["externalUrl"])
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


TOUR = """\
Who am I: 200, Northwind Studio, standard
Create a project: 201, active
Presign an upload: 200, PUT until <time>
Send its bytes: 200, <n> bytes
Finalize it: 200, dusk.png of <n> bytes
Upload another inline: 201, dawn.png of <n> bytes
Create an influencer: 202, job running
Wait for the job: completed
List the project's: 200, Rui Teles (ready)
Read it: 200, ready, sleepy harbor
Change it: 200, harbor at noon, {'traits': ['gentle'], 'humor': 'teasing'}
Attach both pictures: 200, 2 pictures
Read the approval policy: 200, False
Ask for approval: 200, True
Generate a video twice: 202, job running
Look how far it is: 200, True
Read the first: 200, 2 assets
Read its video: 200, video/mp4
Approve it: 200, approved
Reject the other: 200, rejected
Make it again: 202, running
List the content: 200, 2 containers
Count the credits: 200, active
Ask to connect an account: 200, a page for its owner
Ask how that went: 200, completed
List the accounts: 200, rui.teles
Schedule it: 202, scheduled
Move the post: 200, <time>
Read the post: 200, queued, <time>
Cancel the post: 200, canceled
Publish it in half a minute: 202, scheduled
List the posts: 200, canceled, queued
Disconnect the account: 200, disconnected, 1 post canceled
Clone it: 202, job running
Cancel the clone's job: 202, accepted True
Look at the job: 200, canceled
Look at the website: 202, job running
Read the brand: 200, Harbor Notes
Delete the first: 200, deleted
Delete it again: 404, Influencer not found.
Archive the project: 200, archived
All as it should be.
"""


def test_the_tour_goes_all_the_way(server):
    code, text = run(server, "full_tour.py")

    assert (code, re.sub(r"\d+ bytes", "<n> bytes", settled(text))) == (0, TOUR)
    statuses = {project["name"]: project["status"] for project in server.client().get("/v1/projects").json()["items"]}
    assert statuses["Tour"] == "archived"


def test_the_tour_can_be_made_again(server):
    assert [run(server, "full_tour.py")[0] for _ in range(2)] == [0, 0]


def test_the_tour_goes_all_the_way_where_jobs_end_at_once(tmp_path):
    with serving(tmp_path / "store", STANDIN_JOB_SECONDS="0", STANDIN_SYNC="never") as server:
        code, text = run(server, "full_tour.py")

    assert (code, text.splitlines()[-1]) == (0, "All as it should be.")
    assert "Cancel the clone's job: too late, for jobs end at once here" in text


def test_the_tour_ends_where_something_is_off(server):
    code, text = run(server, "full_tour.py", key="lp_test_wrong")

    assert code == 1
    assert text.startswith("Who am I: GET /v1/whoami should answer 200, but: 401 ")


def test_the_page_of_endpoints_names_every_example() -> None:
    told = set(re.findall(r"`examples/([\w.]+)`", PAGE))
    assert told == {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"}
    assert {f"{Path(name).stem}.mjs" for name in told - {"full_tour.py"}} == {
        path.name for path in EXAMPLES.glob("*.mjs")
    }


def test_the_tour_leaves_the_seed_alone(server):
    before = server.client().get(f"/v1/projects/{SPRING}/influencers").json()

    run(server, "full_tour.py")

    assert server.client().get(f"/v1/projects/{SPRING}/influencers").json() == before
