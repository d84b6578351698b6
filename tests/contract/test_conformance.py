"""`docs/conformance.md` is what comes out when a service is asked today; and nothing counts as proven that is not."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from docs_helpers import EXAMPLE_URL
from servers import ROOT
from werkzeug.wrappers import Response

from contract.answers import Answers
from contract.documented import BY_ID, OPERATIONS
from contract.gather import Evidence, gather
from contract.page import COMMAND, conformance_page, unproven
from contract.programs import requests_with_curl, succeeded
from contract.refusals import PROVOCATIONS
from layers_standin.openapi.errors import ERRORS
from layers_standin.openapi.responses import RESPONSES

pytestmark = pytest.mark.slow

WHO_AM_I, PROJECT = RESPONSES["WhoAmI"].example, RESPONSES["Project"].example
PAGE = ROOT / "docs" / "conformance.md"
OWN = {"X-Request-Id": "req_01HXZE8R5T7W9Y1A3C5E7G9J1K", "X-RateLimit-Endpoint-Class": "read-light"}


def test_the_page_says_what_a_service_shows_today(tmp_path):
    stale = f"docs/conformance.md is stale: run `{COMMAND}`, look at what has changed, and commit it."
    assert conformance_page(gather(tmp_path)) == PAGE.read_text("utf-8"), stale


def test_every_operation_has_a_row_and_every_refusal_that_is_told_a_provocation():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    for told in OPERATIONS:
        assert sum(row.startswith(f"| `{told.id}`<br>") for row in rows) == 1
    assert {name for told in OPERATIONS for name in told.refusals} == PROVOCATIONS.keys() | {"Internal"}


def test_the_readme_leads_to_the_page():
    assert "(docs/conformance.md)" in (ROOT / "README.md").read_text("utf-8")


# What counts


def answer(body: Any, status: int, **headers: str) -> Response:
    return Response(orjson.dumps(body), status, OWN | headers, mimetype="application/json")


def shown(operation: str, status: int, body: Any, **headers: str) -> set[str]:
    """Return what a single answer shows of an operation."""
    answers = Answers()
    answers.note(BY_ID[operation], answer(body, status, **headers))
    return answers.shown[operation]


def refused(name: str, **changed: Any) -> dict[str, Any]:
    """Return the body of a refusal, some of it changed."""
    error = ERRORS[name].example()["error"]
    return {"error": error | changed}


def test_an_answer_shows_its_status_or_its_refusal_and_its_headers():
    limit = {"X-RateLimit-Limit": "120"}
    assert shown("whoami", 200, WHO_AM_I, **limit) == {"200", *OWN, *limit}
    assert shown("whoami", 503, refused("KillSwitch"), **limit) == {"KillSwitch", *OWN, *limit}


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (418, WHO_AM_I, {}),
        (200, PROJECT, {}),
        (200, WHO_AM_I, {"X-Request-Id": "17"}),
        (200, WHO_AM_I, {"Retry-After": "1"}),
        (503, refused("KillSwitch", code="CONFLICT"), {}),
        (503, refused("KillSwitch", details={}), {}),
        (401, refused("KillSwitch"), {}),
    ],
)
def test_an_answer_that_is_not_as_told_shows_nothing(status, body, headers):
    assert shown("whoami", status, body, **headers) == set()


def test_of_refusals_with_one_status_only_the_one_that_came_is_shown():
    conflict = shown("createProject", 409, refused("ProjectIdTaken"), **{"X-RateLimit-Endpoint-Class": "write-light"})
    assert conflict == {"ProjectIdTaken", *OWN}


def test_who_is_refused_in_another_way_than_was_provoked_is_found():
    answers = Answers()
    for response in (answer(refused("KillSwitch"), 503), answer(WHO_AM_I, 200)):
        answers.expect(BY_ID["whoami"], "Unavailable", response)
    answers.expect(BY_ID["whoami"], "KillSwitch", answer(refused("KillSwitch"), 503))
    assert answers.faults == {"whoami": ["503 instead of `Unavailable`", "200 instead of `Unavailable`"]}


# What the page makes of it


def evidence(drivers: Mapping[str, list[str]] | None = None, routes: set[tuple[str, str]] | None = None) -> Evidence:
    """Return that nothing has been asked."""
    return Evidence(Answers(), {("GET", "/v1/whoami")} if routes is None else routes, drivers or {})


def test_where_there_is_no_evidence_nothing_is_proven():
    assert unproven(BY_ID["whoami"], evidence(routes=set())) == [
        "not served",
        "an example was refused",
        "200 never seen",
        "401 `Unauthenticated` never provoked",
        "429 `RateLimited` never provoked",
        "500 `Internal` never provoked",
        "503 `KillSwitch` never provoked",
        "503 `Unavailable` never provoked",
        "header `Retry-After` never seen",
        "header `X-RateLimit-Endpoint-Class` never seen",
        "header `X-RateLimit-Limit` never seen",
        "header `X-RateLimit-Remaining` never seen",
        "header `X-RateLimit-Reset` never seen",
        "header `X-Request-Id` never seen",
        "no program calls it",
    ]
    row = next(line for line in conformance_page(evidence()).splitlines() if line.startswith("| `reset`"))
    assert "| **no** | no | **0 of 3** | **no** | **0 of 1** | **0 of 8** |" in row


def test_a_response_that_is_not_as_told_is_on_the_page():
    found = evidence({"whoami": ["examples/full_tour.py"]})
    found.answers.note(BY_ID["whoami"], Response(b"", 418))
    row = next(line for line in conformance_page(found).splitlines() if line.startswith("| `whoami`"))
    assert "| yes | `examples/full_tour.py`<br>Schemathesis | **0 of 1** | **no** |" in row
    assert "not as told: status 418 is not told<br>" in row
    assert "no program" not in row


# What is called by programs


def test_an_operation_was_called_when_the_log_has_a_success_of_it():
    log = """\
2026-04-18T09:18:44.120+00:00 req_01M7 DEM0DEM0DEM0DEM0 PATCH /v1/influencers/inf_1 200 1.3ms
2026-04-18T09:18:44.120+00:00 req_01M8 DEM0DEM0DEM0DEM0 DELETE /v1/influencers/inf_1 404 1.3ms
2026-04-18T09:18:44.120+00:00 req_01M9 - GET /_standin/health 200 1.3ms
2026-04-18T09:18:44.120+00:00 req_01M9 - GET /docs 200 1.3ms
"""
    assert succeeded(log) == {"patchInfluencer", "getHealth"}


def test_what_a_page_asks_with_curl_is_read_in_it():
    page = f"""\
```console
$ export LAYERS_API_KEY=x
$ curl -s -X PATCH {EXAMPLE_URL}/v1/influencers/inf_1 \\
    -d '{{}}' | head
$ curl -s {EXAMPLE_URL}/_standin/faults -d '{{}}'
{{"id":"x"}}
$ curl -s '{EXAMPLE_URL}/_standin/requests?limit=2'
$ echo {EXAMPLE_URL}
```
"""
    assert list(requests_with_curl(page)) == [
        ("PATCH", "/v1/influencers/inf_1"),
        ("POST", "/_standin/faults"),
        ("GET", "/_standin/requests"),
    ]
