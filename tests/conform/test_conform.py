"""A server that keeps the contract passes; of one that does not, the difference is named, and no other."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from api_helpers import SPRING, key_of
from conform_helpers import DOCUMENT, Ask, Plant, Planted, altered, asked, conformance
from werkzeug.wrappers import Request, Response

from app import create_app
from layers_standin.conform.check import BILLED
from layers_standin.conform.checks import NOT_TRIED, reading, writing
from layers_standin.conform.document import operations_of
from layers_standin.conform.report import as_json, as_text, differences_of
from layers_standin.conform.run import Report, Unusable
from layers_standin.domain.keys import SCOPES
from layers_standin.openapi.errors import ERRORS
from layers_standin.services import Services

TOLD = {told.id: told for told in operations_of(DOCUMENT) if not told.is_control}
CHECKS = [*reading(TOLD.values()), *writing(TOLD.values())]


def differing(report: Report) -> dict[tuple[str, str], list[str]]:
    """Return the names of the checks that differ, by what differs."""
    return {tuple(found): [result.name for result in results] for found, results in differences_of(report).items()}


# The checks themselves


def test_every_check_has_a_name_of_its_own_and_asks_an_operation_for_what_the_document_tells():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        told = TOLD[check.operation]
        assert check.name.partition(":")[0] == told.id
        assert check.must
        for expected in check.expected:
            name = str(ERRORS[expected].status if isinstance(expected, str) else expected)
            assert name in told.facts["responses"], check.name


def test_every_operation_is_tried_or_has_a_reason_why_it_is_not():
    plain = {check.name for check in CHECKS}
    assert TOLD.keys() - plain == NOT_TRIED.keys() - plain
    assert plain & NOT_TRIED.keys() == set()


def test_what_only_reads_asks_with_get():
    assert {TOLD[check.operation].method for check in reading(TOLD.values())} == {"GET"}


# The stand-in itself


def test_the_stand_in_passes_and_nothing_is_changed_by_reading(app, on_disk):
    before, served = on_disk.read_bytes(), Planted(app)
    report = asked(served)

    assert (differing(report), report.exit_code, report.remains) == ({}, 0, [])
    assert len(report.of("passed")) > 90
    assert {method for method, _ in served.seen} == {"GET"}
    assert len(served.seen) == report.requests
    assert on_disk.read_bytes() == before


def everything(store) -> dict[tuple[str, str], Any]:
    """Return every document by its table and id."""
    tables = [(table, store.db.table(table, partition)) for table, partition in store.db.tables()]
    return {(table, str(row.doc_id)): dict(row) for table, rows in tables for row in rows}


@pytest.mark.slow
def test_writing_passes_too_and_touches_only_what_it_has_made(app, store):
    before = everything(store)
    report = conformance(app, write=True)

    assert (differing(report), report.exit_code) == ({}, 0)
    after = everything(store)
    assert {key: after[key] for key in before} == before
    (project,) = [row for (table, key), row in after.items() if table == "projects" and (table, key) not in before]
    assert project["status"] == "archived"
    made = [row for (table, key), row in after.items() if table == "influencers" and (table, key) not in before]
    assert {row["projectId"] for row in made} == {project["id"]}
    assert [row["is_archived"] for row in made] == [True, True]
    (remains,) = report.remains
    assert remains.startswith(f"project {project['id']}, archived")


@pytest.mark.slow
def test_content_is_made_only_when_credits_may_be_spent(app):
    served = Planted(app)
    report = asked(served, write=True, credits=True)

    assert (differing(report), report.exit_code) == ({}, 0)
    generated = [path for method, path in served.seen if method == "POST" and path.endswith("/content")]
    assert len(generated) == 4  # one that is made; without a key, of an unknown project, with an unknown field
    assert {"generateContent", "getContent:own", "cancelJob:content"} <= {each.name for each in report.of("passed")}
    skipped = {result.name: result.why for result in conformance(app, write=True, only=("*Content*",)).of("not tried")}
    for name in ("generateContent", "generateContent:unknown-field", "regenerateContent:unknown-id"):
        assert skipped[name] == "it may cost credits: --credits tries it"
    assert BILLED["generateContent"] == 50


# Planted differences


def renamed(request: Request, ask: Ask) -> Response:
    response = ask(request)
    if isinstance(response.json, dict) and "hairColor" in response.json:
        names = {"hairColor": "hair_color"}
        return altered(response, {names.get(name, name): value for name, value in response.json.items()})
    return response


def bad_request(request: Request, ask: Ask) -> Response:
    response = ask(request)
    response.status_code = 400 if response.status_code == 422 else response.status_code
    return response


def no_dedupe() -> Plant:
    """Return a plant: every attachment adds to the list, whether it is there or not."""
    attached: list[str] = []

    def plant(request: Request, ask: Ask) -> Response:
        response = ask(request)
        if not request.path.endswith("/reference-images") or response.status_code != 200:
            return response
        known = {image["assetId"]: image for image in response.json["referenceImages"]}
        attached.extend(each for each in request.json["assetIds"] if each in known)
        return altered(response, response.json | {"referenceImages": [known[each] for each in attached]})

    return plant


def null_kept(request: Request, ask: Ask) -> Response:
    response = ask(request)
    traits = request.get_json(silent=True) if request.method == "PATCH" else None
    nulls = [name for name, value in (traits or {}).get("personality", {}).items() if value is None]
    if nulls and response.status_code == 200:
        personality = response.json["personality"] | dict.fromkeys(nulls)
        return altered(response, response.json | {"personality": personality})
    return response


def replaced(request: Request, ask: Ask) -> Response:
    """A patch of personality replaces it as a whole."""
    response = ask(request)
    if request.method == "PATCH" and response.status_code == 200 and "personality" in request.json:
        sent = {name: value for name, value in request.json["personality"].items() if value is not None}
        return altered(response, response.json | {"personality": sent})
    return response


def no_request_id(request: Request, ask: Ask) -> Response:
    response = ask(request)
    del response.headers["X-Request-Id"]
    return response


def deleted_again(request: Request, ask: Ask) -> Response:
    response = ask(request)
    is_ours = (response.json or {}).get("error", {}).get("message") == "Influencer not found."
    if request.method == "DELETE" and is_ours and "X-Api-Key" in request.headers and "inf_" in request.path:
        again = {"influencerId": request.path.split("/")[3], "status": "deleted", "deletedAt": "2026-04-18T09:21:00Z"}
        return Response(orjson.dumps(again), 200, response.headers)
    return response


def other_class(request: Request, ask: Ask) -> Response:
    response = ask(request)
    if request.path.endswith("/clone"):
        response.headers["X-RateLimit-Endpoint-Class"] = "write-light"
    return response


def other_message(request: Request, ask: Ask) -> Response:
    response = ask(request)
    error = (response.json or {}).get("error", {})
    if error.get("message") == "Influencer not found.":
        return altered(response, {"error": error | {"message": "No such influencer."}})
    return response


def unknown_fields_dropped(request: Request, ask: Ask) -> Response:
    response = ask(request)
    if request.method == "PATCH" and request.path.startswith("/v1/influencers/") and b"unheardOf" in request.get_data():
        environ = {**request.environ, "REQUEST_METHOD": "GET", "CONTENT_LENGTH": "0"}
        response = ask(Request(environ))
        response.headers["X-RateLimit-Endpoint-Class"] = "write-light"
    return response


def limit_ignored(request: Request, ask: Ask) -> Response:
    environ = {**request.environ, "QUERY_STRING": request.environ["QUERY_STRING"].replace("limit=1&", "")}
    environ["QUERY_STRING"] = "" if environ["QUERY_STRING"] == "limit=1" else environ["QUERY_STRING"]
    return ask(Request(environ))


def not_idempotent(request: Request, ask: Ask) -> Response:
    return ask(Request({name: value for name, value in request.environ.items() if name != "HTTP_IDEMPOTENCY_KEY"}))


def more_in_whoami(request: Request, ask: Ask) -> Response:
    response = ask(request)
    return altered(response, response.json | {"region": "eu"}) if "workspaceId" in (response.json or {}) else response


def milliseconds(request: Request, ask: Ask) -> Response:
    response = ask(request)
    if "hairColor" in (response.json or {}):
        return altered(response, response.json | {"createdAt": "2026-04-18T09:18:44.120Z"})
    return response


def html_errors(request: Request, ask: Ask) -> Response:
    response = ask(request)
    if response.status_code == 401:
        return Response("<h1>Unauthorized</h1>", 401, {**response.headers, "Content-Type": "text/html"})
    return response


_TIME = r"createdAt is like ^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
PLANTS: list[tuple[Plant, Mapping[tuple[str, str], set[str]]]] = [
    (renamed, {("the reply has hairColor", "hair_color"): {"form:Influencer"}}),
    (null_kept, {("personality.humor is not there", "null"): {"patchInfluencer:null-removes-trait"}}),
    (replaced, {('personality.tone is "friendly"', "nothing"): {"patchInfluencer:merges-personality"}}),
    (no_request_id, {("req_ and a ULID", "nothing"): {"every response:X-Request-Id"}}),
    (deleted_again, {("404 NOT_FOUND", "200"): {"deleteInfluencer:again"}}),
    (
        other_class,
        {("X-RateLimit-Endpoint-Class: long-running", "write-light"): {"every response:X-RateLimit-Endpoint-Class"}},
    ),
    (unknown_fields_dropped, {("422 VALIDATION", "200"): {"patchInfluencer:unknown-field"}}),
    (limit_ignored, {("at most 1 item(s)", "2 items"): {"listProjects:limit-1", "listInfluencers:limit-1"}}),
    (more_in_whoami, {("the reply has no other fields than are told", "region"): {"form:WhoAmI"}}),
    (milliseconds, {(_TIME, '"2026-04-18T09:18:44.120Z"'): {"form:Influencer"}}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("plant", "expected"), PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_a_difference_is_named_and_no_other(app, plant, expected):
    report = conformance(app, plant, write=True)

    assert {found: set(names) for found, names in differing(report).items()} == expected
    assert report.exit_code == 1
    text = "\n".join(as_text(report))
    for (wanted, received), names in expected.items():
        assert f"expected  {wanted}\n     received  {received}\n" in text
        assert all(name in text for name in names)


@pytest.mark.slow
def test_a_status_that_is_wrong_everywhere_is_one_difference(app):
    report = conformance(app, bad_request, write=True)

    ((found, names),) = differing(report).items()
    assert found == ("422 VALIDATION", "400 VALIDATION")
    assert set(names) == {check.name for check in CHECKS if check.expected == ("Invalid",)} - {
        result.name for result in report.of("not tried")
    }
    assert f"               and {len(names) - 1} more\n" in "\n".join(as_text(report))


@pytest.mark.slow
def test_pictures_that_are_attached_twice_are_found_in_a_call_and_over_calls(app):
    report = conformance(app, no_dedupe(), write=True)

    assert {name: found[1] for found, names in differing(report).items() for name in names} == {
        "attachReferenceImages:twice-in-a-call": "2",
        "attachReferenceImages:again": "2",
    }


@pytest.mark.slow
def test_without_idempotency_the_projects_that_were_made_too_many_are_archived(app, store):
    before = everything(store)
    report = conformance(app, not_idempotent, write=True)

    assert {name for names in differing(report).values() for name in names} == {
        "createProject:replay",
        "createProject:replay-is-marked",
        "createProject:other-body",
    }
    after = everything(store)
    made = [row for (table, key), row in after.items() if table == "projects" and (table, key) not in before]
    assert len(made) == len(report.remains) == 4
    assert {each["status"] for each in made} == {"archived"}


@pytest.mark.slow
def test_a_message_of_the_reference_is_compared_to_the_letter(app):
    ((found, names),) = differing(conformance(app, other_message, write=True)).items()

    assert found == ("the message is Influencer not found.", "No such influencer.")
    assert "deleteInfluencer:again" in names


def test_an_error_that_is_no_json_is_shown_by_its_beginning(app):
    found = differing(conformance(app, html_errors))

    assert ("401 UNAUTHENTICATED", "401 <h1>Unauthorized</h1>") in found
    assert ("an object `error`", "401 <h1>Unauthorized</h1>") in found
    assert found["application/json", "text/html"] == ["every response:JSON"]


# Keys, scopes and limits


def test_a_key_that_is_refused_ends_it_with_a_sentence(app):
    served = Planted(app)
    with pytest.raises(Unusable) as refused:
        asked(served, "lp_test_wrong")
    assert str(refused.value) == "http://localhost does not know this key: it answered 401 to GET /v1/whoami."
    assert len(served.seen) == 1


def test_a_key_that_is_switched_off_ends_it_with_a_sentence(app, store, organization):
    key = key_of(store, organization, "*")["X-Api-Key"]
    store.keys.delete_public(key.split("_")[2])
    with pytest.raises(Unusable, match="This key is switched off: give one that works"):
        conformance(app, key=key)


def test_a_server_of_something_else_ends_it_with_a_sentence(app):
    def elsewhere(request: Request, ask: Ask) -> Response:
        return Response("<html>", 404, content_type="text/html")

    with pytest.raises(Unusable, match="is no server of this API: GET /v1/whoami was answered with 404"):
        conformance(app, elsewhere)


def test_what_a_key_has_no_scope_for_is_not_tried_and_not_asked_for(app, store, organization):
    key = key_of(store, organization, "projects:read")["X-Api-Key"]
    served = Planted(app)
    report = asked(served, key, write=True)

    assert (differing(report), report.exit_code, report.remains) == ({}, 0, [])
    skipped = {result.name: result.why for result in report.of("not tried")}
    assert skipped["createProject"] == "the key lacks the scope projects:write"
    assert skipped["patchInfluencer:bad-enum"] == "the key lacks the scope influencers:write"
    passed = {result.name for result in report.of("passed")}
    assert "listProjects:limit-1" in passed
    assert {name for name in passed if name.endswith(":no-scope")} == {
        f"{told.id}:no-scope" for told in TOLD.values() if told.scope not in (None, "projects:read")
    }
    lacking = {why.rpartition(" ")[2] for why in skipped.values() if "lacks" in why}
    assert lacking == set(SCOPES) - {"projects:read", "content:write"}  # what needs that one costs credits
    assert {result.why for result in conformance(app).of("not tried") if result.name.endswith(":no-scope")} == {
        "the key has the scope, and would have to lack it"
    }


def limited(times: int, retry_after: str | None) -> Plant:
    """Return a plant that answers the first requests for a list of projects with 429."""
    left = [times]

    def plant(request: Request, ask: Ask) -> Response:
        if request.path == "/v1/projects" and left[0]:
            left[0] -= 1
            headers = {} if retry_after is None else {"Retry-After": retry_after}
            return Response(b"{}", 429, headers, content_type="application/json")
        return ask(request)

    return plant


def test_a_rate_limit_is_waited_for_as_long_as_it_says(app):
    waits: list[float] = []
    report = asked(Planted(app, limited(2, "7")), sleep=waits.append)

    assert waits == [7, 7]
    assert (differing(report), report.exit_code) == ({}, 0)


def test_a_rate_limit_that_says_nothing_is_waited_for_a_minute(app):
    waits: list[float] = []
    asked(Planted(app, limited(1, None)), sleep=waits.append)
    assert waits == [60]


def test_a_wait_that_is_too_long_ends_the_run_and_what_is_left_is_not_tried(app):
    waits: list[float] = []
    served = Planted(app, limited(1, "3600"))
    report = asked(served, sleep=waits.append)

    assert waits == []
    assert report.exit_code == 2
    reasons = {result.why for result in report.of("not tried")}
    assert "the rate limit asks for 3600 more seconds, after 0 of waiting" in reasons
    assert len(served.seen) < 10


@pytest.mark.slow
def test_the_limits_of_a_standard_key_are_kept_to(rooms, settings, clock):
    app = create_app(Services(rooms.store, rooms.media, replace(settings, rate_limits=True)))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.move(seconds=seconds)

    report = asked(Planted(app), sleep=sleep, write=True)

    assert (differing(report), report.exit_code) == ({}, 0)
    assert len(waits) in (1, 2, 3)
    assert {result.why for result in report.of("not tried") if "limit" in result.why} == set()


# What does not answer


def silent(path_end: str) -> Plant:
    """Return a plant that does as it is told, and never says so, for a POST to a path that ends so."""

    def plant(request: Request, ask: Ask) -> Response:
        response = ask(request)
        if request.method == "POST" and request.path.endswith(path_end) and response.status_code == 201:
            raise httpx.ReadTimeout("too late")
        return response

    return plant


def test_what_may_have_been_made_without_an_answer_is_told(app):
    report = conformance(app, silent("/v1/projects"), write=True, only=("createProject",))

    assert report.exit_code == 2
    made = "perhaps something that createProject has made: no answer came within 20 seconds"
    assert set(report.remains) == {made}
    assert ("createProject", "no answer came within 20 seconds") in {
        (result.name, result.why) for result in report.of("not tried")
    }


def test_after_three_requests_without_an_answer_no_more_are_made(app):
    def dead(request: Request, ask: Ask) -> Response:
        if request.path == "/v1/whoami" and len(served.seen) == 1:
            return ask(request)
        raise httpx.ConnectError("refused")

    served = Planted(app, dead)
    report = asked(served)

    assert len(served.seen) == 4
    assert report.exit_code == 2
    assert "no answer came: refused, 3 times in a row" in {result.why for result in report.of("not tried")}


@pytest.mark.slow
def test_what_was_made_is_taken_back_when_it_is_interrupted(app, store):
    def interrupt(request: Request, ask: Ask) -> Response:
        if request.path.endswith("/clone"):
            raise KeyboardInterrupt
        return ask(request)

    before = everything(store)
    with pytest.raises(KeyboardInterrupt):
        conformance(app, interrupt, write=True)
    made = {table: row for (table, key), row in everything(store).items() if (table, key) not in before}
    assert made["projects"]["status"] == "archived"
    assert made["influencers"]["is_archived"]


@pytest.mark.slow
def test_what_cannot_be_taken_back_is_told(app):
    def keeps(request: Request, ask: Ask) -> Response:
        if request.method == "DELETE":
            return Response(b"{}", 500, content_type="application/json")
        return ask(request)

    report = conformance(app, keeps, write=True)
    assert [each.partition(" ")[0] for each in report.remains] == ["influencer", "influencer", "project"]
    assert all(each.endswith(": DELETE was answered with 500") for each in report.remains)


# What is tried


def test_only_what_is_named_is_reported(app):
    report = conformance(app, only=("getProject", "whoami:bearer", "every response"))
    names = {result.name.partition(":")[0] for result in report.results}
    assert names == {"getProject", "whoami", "every response"}
    assert report.requests < 20


def test_another_project_can_be_named_to_be_read(app):
    served = Planted(app)
    asked(served, project=SPRING, only=("listInfluencers",))
    assert ("GET", f"/v1/projects/{SPRING}/influencers") in served.seen


def test_the_report_is_also_for_machines(app):
    found = as_json(conformance(app, renamed))

    assert found["counts"]["differs"] == 1
    assert found["baseUrl"] == "http://localhost"
    (different,) = [check for check in found["checks"] if check["outcome"] == "differs"]
    assert different == {
        "name": "form:Influencer",
        "source": "documentation: Influencers",
        "must": "it has just the fields that are told",
        "outcome": "differs",
        "differences": [{"expected": "the reply has hairColor", "received": "hair_color"}],
        "requests": [different["requests"][0]],
    }
    assert orjson.loads(orjson.dumps(found)) == found
