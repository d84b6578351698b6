"""Faults: which requests go wrong, how, and how often; in words, over HTTP, and on a connection that really breaks."""

import re
import socket
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

import httpx
import pytest
from api_helpers import SPRING, invalid, key_of, refused
from conftest import AVA, AVA_PATH, DEMO
from control_helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st
from servers import STAYS_OPEN, eventually, serving, together

from app import create_app, operations
from layers_standin.control.faults import check_rule
from layers_standin.control.presets import PRESETS
from layers_standin.domain.faults import (
    MOST_REQUEST_IDS,
    MOST_RULES,
    RequestInfo,
    first_match,
    fits_path,
    is_spent,
    matches,
    new_rule,
    strike,
)
from layers_standin.engines.table import Record
from layers_standin.services import Services
from layers_standin.web.errors import MESSAGES, STATUS_OF_CODE, Invalid
from layers_standin.web.faults import injected, preferred

NOW = "2026-04-18T09:18:44.120Z"
INFLUENCERS, MEDIA = f"/v1/projects/{SPRING}/influencers", f"/v1/projects/{SPRING}/media"
VIDEO = {"kind": "video", "mimeType": "video/mp4"}
RATE_LIMITED = {"code": "RATE_LIMITED"}
LATE_PATCH = {
    "status": 429,
    "code": "RATE_LIMITED",
    "message": "Too many requests.",
    "details": {"endpointClass": "write-light"},
}
NO_FAULT = {"status": 404, "code": "NOT_FOUND", "message": "Fault not found."}


# Which requests a rule is about


def rule(answer: Record = RATE_LIMITED, times: int | None = None, used: int = 0, **match: Any) -> Record:
    made = new_rule({"match": match, "answer": answer} | ({"times": times} if times else {}), datetime.now(UTC))
    return made | {"used": used}


PATCH_AVA = RequestInfo("patchInfluencer", "PATCH", AVA_PATH, ("the-id", "PUBLIC0PUBLIC0PU"))
CREATE = RequestInfo("createInfluencer", "POST", INFLUENCERS, begins_job=True)


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"operation": "patchInfluencer"},
        {"method": "PATCH"},
        {"path": AVA_PATH},
        {"path": "/v1/influencers/{influencer_id}"},
        {"path": "/v1/{anything}/{}"},
        {"path": "/v1/influencers/inf_{rest}"},
        {"path": "/v1/influencers/:influencerId"},
        {"path": "/:version/influencers/:id"},
        {"path": "/v1/influencers/<influencer_id>"},
        {"path": "/v1/influencers/<string:id>"},
        {"path": "/v1/influencers/*"},
        {"path": "/v1/*/inf_*"},
        {"path": "/v1/*"},
        {"path": "/*"},
        {"path": "/**"},
        {"path": "*"},
        {"method": "PATCH", "path": "/v1/influencers/{id}"},
        {"keyId": "the-id"},
        {"keyId": "PUBLIC0PUBLIC0PU"},
        {"operation": "patchInfluencer", "keyId": "the-id"},
    ],
    ids=str,
)
def test_a_rule_is_about_the_requests_in_which_all_is_as_it_says(match):
    assert matches(rule(**match), PATCH_AVA)


@pytest.mark.parametrize(
    "match",
    [
        {"operation": "getInfluencer"},
        {"operation": "patchinfluencer"},
        {"method": "GET"},
        {"path": "/v1/influencers"},
        {"path": "/v1/influencers/{id}/clone"},
        {"path": "/v1/{everything}"},
        {"path": "/v1/influencers/.*"},
        {"path": "/v1/influencers/inf:id"},
        {"path": "/v1/:everything"},
        {"path": "/v1/*/"},
        {"path": "/v1/influencers/*/*"},
        {"path": "/v1/**/clone"},
        {"path": "/v2/*"},
        {"path": f"{AVA_PATH}/*"},
        {"path": f"{AVA_PATH}*"},
        {"path": f"{AVA_PATH}/"},
        {"method": "GET", "path": "/v1/influencers/{id}"},
        {"method": "PATCH", "path": "/v1/projects/{id}"},
        {"keyId": "another"},
        {"keyId": ""},
        {"operation": "patchInfluencer", "keyId": "another"},
    ],
    ids=str,
)
def test_a_rule_is_about_no_other_request(match):
    assert not matches(rule(**match), PATCH_AVA)


def test_a_rule_that_fails_jobs_is_about_what_begins_one():
    fails = {"failJob": {"code": "X", "message": "Y"}}

    assert matches(rule(fails), CREATE)
    assert not matches(rule(fails), PATCH_AVA)


HUMOR = {"vibe": "calm", "personality": {"humor": "dry", "traits": ["curious", {"n": 1}]}, "a/b": {"~": None}}


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"vibe": "calm"}, True),
        ({"vibe": "Calm"}, False),
        ({"vibe": None}, False),
        ({"personality": {"humor": "dry"}}, True),
        ({"personality": {"humor": "dry", "tone": "low"}}, False),
        ({"personality": {}}, True),
        ({"personality": []}, False),
        ({"/personality/humor": "dry"}, True),
        ({"/personality/humor": "wet"}, False),
        ({"/personality/humor/x": "dry"}, False),
        ({"/personality/traits/0": "curious"}, True),
        ({"/personality/traits/00": "curious"}, False),
        ({"/personality/traits/2": "curious"}, False),
        ({"/personality/traits/-": "curious"}, False),
        ({"/personality/traits/1/n": 1}, True),
        ({"/personality/traits/1/n": 1.0}, True),
        ({"/personality/traits/1/n": True}, False),
        ({"/personality/traits": ["curious", {}]}, True),
        ({"/personality/traits": ["curious"]}, False),
        ({"/a~1b/~0": None}, True),
        ({"a/b": {"~": None}}, True),
        ({"/a~1b": {"x": None}}, False),
        ({"vibe": "calm", "/personality/humor": "wet"}, False),
    ],
    ids=str,
)
def test_a_body_is_compared_as_far_as_a_rule_tells_of_it(body, fits):
    assert matches(rule(body=body), PATCH_AVA._replace(body=HUMOR)) == fits


@pytest.mark.parametrize("body", [None, [], "vibe", 3, {}, {"vibe": ["calm"]}], ids=str)
def test_a_body_without_what_a_rule_tells_of_is_not_meant(body):
    assert not matches(rule(body={"vibe": "calm"}), PATCH_AVA._replace(body=body))


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("my-client/1.0", True),
        ("my-client/*", True),
        ("*", True),
        ("*1.0*", True),
        ("my-client/1.?", False),
        ("my-client/1.[0]", False),
        ("My-Client/1.0", False),
        ("my-client", False),
    ],
)
def test_a_header_is_compared_by_its_name_in_any_case_and_with_stars(wanted, fits):
    info = PATCH_AVA._replace(headers={"user-agent": "my-client/1.0"})

    assert matches(rule(headers={"USER-agent": wanted}), info) == fits
    assert not matches(rule(headers={"USER-agent": wanted, "X-Other": "*"}), info)


def test_brackets_and_question_marks_in_a_header_stand_for_themselves():
    info = PATCH_AVA._replace(headers={"if-match": '"[a]?"'})

    assert matches(rule(headers={"If-Match": '"[a]?"'}), info)
    assert not matches(rule(headers={"If-Match": '"[b]?"'}), info)


def test_an_influencer_goes_by_its_id_in_any_case():
    uuid = "0C9A4E52-6D0B-4C5E-9A53-2F8B1F6E7A10"
    info = PATCH_AVA._replace(influencer_ids=frozenset([uuid.lower(), AVA]))

    assert matches(rule(influencerId=uuid), info)
    assert matches(rule(influencerId=AVA), info)
    assert not matches(rule(influencerId=AVA.lower()), info)


# At which of them it strikes


def turns(number: int, *rules: Record) -> list[int | None]:
    """Return for each of so many requests the place of the rule that struck it."""
    struck = [strike(rules, PATCH_AVA._replace(request_id=f"req_{turn}")) for turn in range(1, number + 1)]
    return [next((place for place, each in enumerate(rules) if each is found), None) for found in struck]


@given(st.integers(0, 5), st.integers(1, 5), st.one_of(st.none(), st.integers(1, 5)), st.integers(0, 40))
def test_a_rule_lets_some_pass_then_strikes_every_so_manieth_so_often(after, every, times, number):
    made = rule() | {"after": after, "every": every, "times": times}
    struck = [turn for turn, place in enumerate(turns(number, made), 1) if place == 0]

    assert struck == list(range(after + every, number + 1, every))[:times]
    assert made["used"] == len(struck)
    assert made["requestIds"] == [f"req_{turn}" for turn in struck][-MOST_REQUEST_IDS:]
    assert made["seen"] == (struck[-1] if len(struck) == times else number)


def test_a_request_that_one_rule_strikes_does_not_come_to_the_next():
    third, second = rule() | {"every": 3}, rule() | {"every": 2}

    assert turns(9, third, second) == [None, 1, 0, None, 1, 0, None, 1, 0]
    assert (third["seen"], second["seen"], third["used"], second["used"]) == (9, 6, 3, 3)


def test_a_rule_that_an_earlier_version_has_stored_goes_on_to_count():
    old = {"id": "fault_1", "match": {}, "times": 3, "used": 1, "answer": RATE_LIMITED, "createdAt": NOW}

    assert turns(3, old) == [0, 0, None]
    assert (old["seen"], old["used"], old["requestIds"]) == (3, 3, ["req_1", "req_2"])


segments = st.text(st.characters(exclude_characters="/{}<>*:", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.one_of(segments, st.none()), min_size=1), st.sampled_from(["{x}", "<x>", ":x", "{}"]), st.data())
def test_a_placeholder_stands_for_any_one_piece_of_a_path_and_all_else_for_itself(pieces, placeholder, data):
    pattern = "/".join(placeholder if piece is None else piece for piece in pieces)
    path = [data.draw(segments) if piece is None else piece for piece in pieces]

    assert fits_path(pattern, "/".join(path))
    assert not fits_path(pattern, "/".join([*path, "more"]))
    changed = data.draw(st.integers(0, len(pieces) - 1))
    other = [*path[:changed], path[changed] + "x", *path[changed + 1 :]]
    assert fits_path(pattern, "/".join(other)) == (pieces[changed] is None)


def test_the_oldest_rule_that_is_left_counts():
    spent, elsewhere = rule(times=1, used=1), rule(operation="getInfluencer")
    first, second = rule(times=1), rule()

    assert first_match([spent, elsewhere, first, second], PATCH_AVA) is first
    assert first_match([spent, elsewhere], PATCH_AVA) is None
    assert first_match([], PATCH_AVA) is None


@given(st.integers(1, 100), st.integers(0, 200))
def test_a_rule_is_spent_when_it_has_struck_as_often_as_was_said(times, used):
    assert is_spent(rule(times=times, used=used)) == (used >= times)
    assert not is_spent(rule(used=used))


patterns = st.lists(st.sampled_from(["a", "b", "/", "{x}", "{}", "{", "}", "<x>", "<", ">"]), max_size=8).map("".join)
paths = st.text("ab/{}<>", max_size=8)


@given(patterns, paths)
def test_a_placeholder_is_at_least_one_character_and_no_slash(pattern, path):
    parts = re.split(r"\{[^/{}]*\}|<[^/<>]*>", pattern)
    assert fits_path(pattern, path) == bool(re.fullmatch("[^/]+".join(map(re.escape, parts)), path))


globs = st.lists(st.sampled_from(["a", "b", "/", "*", "**"]), max_size=8).map("".join)


@given(globs, st.text("ab/", max_size=8))
def test_a_star_is_any_part_of_a_piece_and_at_the_end_all_the_rest(pattern, path):
    first, _, last = pattern.rpartition("/")
    head = first + "/" if "/" in pattern else ""
    inside = "".join("[^/]+" if part.startswith("*") else re.escape(part) for part in re.split(r"(\*+)", head))
    end = "".join("[^/]+" if part.startswith("*") else re.escape(part) for part in re.split(r"(\*+)", last))
    rest = ".+" if last and not last.strip("*") else end
    assert fits_path(pattern, path) == bool(re.fullmatch(inside + rest, path))


@pytest.mark.parametrize("pattern", ["*a" * 100 + "!", "{a}" * 100 + "!", "{a}x" * 100 + "!", "x{a}" * 100 + "!"])
@pytest.mark.parametrize("path", ["x" * 8000, "x" * 40])
def test_many_placeholders_keep_nobody_busy(pattern, path):
    assert not fits_path(pattern, path)


# What is answered


@pytest.mark.parametrize("code", STATUS_OF_CODE)
def test_an_injected_code_comes_with_the_words_and_details_of_the_real_one(code):
    refusal = injected({"code": code}, "write-light", "influencers:write")

    details = {
        "FORBIDDEN_SCOPE": {"required": "influencers:write"},
        "CONFLICT": {"subcode": "INJECTED"},
        "PAYLOAD_TOO_LARGE": {"maxBytes": 1_048_576},
        "VALIDATION": {"fieldErrors": {}, "formErrors": ["Injected"]},
        "RATE_LIMITED": {"endpointClass": "write-light"},
        "KILL_SWITCH": {"scope": "key"},
    }.get(code, {})
    retry_after = 1 if code == "RATE_LIMITED" else None
    assert (refusal.code, str(refusal), refusal.details) == (code, MESSAGES[code], details)
    assert refusal.retry_after == retry_after


@pytest.mark.parametrize("details", [{}, {"message": "x"}, {"self": 1, "code": [None]}], ids=str)
def test_an_injected_code_says_what_it_was_given_to_say(details):
    answer = {"code": "CONFLICT", "message": "Not now.", "details": details, "retryAfter": 7}

    refusal = injected(answer, "write-light", None)

    assert (refusal.code, str(refusal), refusal.details, refusal.retry_after) == ("CONFLICT", "Not now.", details, 7)


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("code=429", {"code": "RATE_LIMITED"}),
        ('code="429"', {"code": "RATE_LIMITED"}),
        ("Code = 404", {"code": "NOT_FOUND"}),
        ("code=INTERNAL", {"code": "INTERNAL"}),
        ("delay=800", {"delayMs": 800}),
        ("delay=0", {"delayMs": 0}),
        ("delay=60000", {"delayMs": 60_000}),
        ("code=503, delay=5", {"code": "UNAVAILABLE", "delayMs": 5}),
        ("code=KILL_SWITCH", {"code": "KILL_SWITCH"}),
        ("respond-async, delay=5; why=not", {"delayMs": 5}),
        ("code=404, code=429", {"code": "NOT_FOUND"}),
        ("respond-async", {}),
        ("return=minimal; code=429", {}),
        ("", {}),
        (",;=", {}),
    ],
)
def test_a_preference_is_read_as_the_standard_says(header, answer):
    assert preferred(header) == answer


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "UNAUTHENTICATED"),
        (403, "FORBIDDEN_SCOPE"),
        (404, "NOT_FOUND"),
        (405, "METHOD_NOT_ALLOWED"),
        (409, "CONFLICT"),
        (412, "PRECONDITION_FAILED"),
        (413, "PAYLOAD_TOO_LARGE"),
        (416, "RANGE_NOT_SATISFIABLE"),
        (422, "VALIDATION"),
        (429, "RATE_LIMITED"),
        (500, "INTERNAL"),
        (503, "UNAVAILABLE"),
    ],
)
def test_of_codes_with_one_status_the_usual_one_is_preferred(status, code):
    assert preferred(f"code={status}") == {"code": code}


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("code=299", "code=299: there is no such code or status"),
        ("code", "code=: there is no such code or status"),
        ("code=rate_limited", "code=rate_limited: there is no such code or status"),
        ("delay=60001", "delay=60001: must be milliseconds, at most 60000"),
        ("delay=-1", "delay=-1: must be milliseconds, at most 60000"),
        ("delay=1.5", "delay=1.5: must be milliseconds, at most 60000"),
        ("delay=\u0661", "delay=\u0661: must be milliseconds, at most 60000"),
        ("delay=000000001", "delay=000000001: must be milliseconds, at most 60000"),
        ("delay", "delay=: must be milliseconds, at most 60000"),
    ],
)
def test_a_preference_that_cannot_be_is_refused(header, fault):
    with pytest.raises(Invalid) as refusal:
        preferred(header)

    assert refusal.value.details == {"fieldErrors": {"Prefer": [fault]}}


# What may be asked for


def test_a_fault_is_told_whole_and_counts_how_often_it_struck(control, demo):
    body = {"match": {"operation": "patchInfluencer"}, "times": 2, "answer": {"code": "RATE_LIMITED", "retryAfter": 3}}
    response = control.send("POST", "/faults", body)
    made = response.json
    assert (response.status_code, made) == (
        201,
        {
            "id": made["id"],
            "organizationId": None,
            "preset": None,
            **body,
            "after": 0,
            "every": 1,
            "seen": 0,
            "used": 0,
            "requestIds": [],
            "createdAt": NOW,
        },
    )
    assert control.get("/faults") == {"items": [made]}

    ids = []
    for used in (1, 2, 2):
        ids.append(demo.patch(AVA_PATH, json={"vibe": "x"}).headers["X-Request-Id"])
        counted = {"seen": used, "used": used, "requestIds": ids[:2]}
        assert control.get("/faults") == {"items": [made | counted]}


def test_a_fault_about_everything_for_ever_needs_only_its_answer(control, demo, organization):
    made = control.post("/faults", answer={"delayMs": 0}, organizationId=organization)

    assert made == {
        "id": made["id"],
        "organizationId": organization,
        "preset": None,
        "match": {},
        "after": 0,
        "every": 1,
        "times": None,
        "answer": {"delayMs": 0},
        "seen": 0,
        "used": 0,
        "requestIds": [],
        "createdAt": NOW,
    }


NAMES = sorted([*(operation.name for operation in operations), "putUpload"])
UNKNOWN_OPERATION = f"operation: Unknown operation; there are {', '.join(NAMES)}"


def no_path_but(closest: str | None) -> Record:
    hint = f"the closest is {closest}" if closest else "they are like /v1/influencers/:influencerId, or /v1/*"
    return invalid(match=[f"path: No operation has this path; {hint}"])


ONE_KIND = (
    "Exactly one of code, status, dropConnection, resetConnection, truncateBody, loseReplyAfterEffect, failJob, "
    "failPost, webhook (code and status together are one); or delayMs or slowBodyMs alone"
)
ONLY_FOR_JOBS = "failJob: Only for operations that begin a job"
ONLY_FOR_POSTS = "failPost: Only for operations that schedule posts"
FAILURE = {"code": "X", "message": "Y"}
BODY_FORMS = '{"personality": {"humor": "dry"}} or {"/personality/humor": "dry"}'
KEY_IDS = "the apiKeyId of whoami, or the 16 characters after lp_test_ or lp_live_"
NO_SUCH_KEY = invalid(match=[f"keyId: There is no key of this id; it is {KEY_IDS}"])


WRONG = [
    ({}, invalid(answer=["Required"])),
    ({"answer": None}, invalid(answer=["Expected object, received null"])),
    ({"answer": {}}, invalid(answer=[ONE_KIND])),
    (
        {"answer": {"code": "TEAPOT"}},
        invalid(answer=[f"code: Say the status of a code that is none of the API's: {', '.join(STATUS_OF_CODE)}"]),
    ),
    ({"answer": {"code": 429}}, invalid(answer=["code: Expected string, received number"])),
    ({"answer": {"code": "INTERNAL", "dropConnection": True}}, invalid(answer=[ONE_KIND])),
    ({"answer": {"dropConnection": True, "truncateBody": 3}}, invalid(answer=[ONE_KIND])),
    ({"answer": {"dropConnection": False}}, invalid(answer=["dropConnection: Must be true, or absent"])),
    ({"answer": {"retryAfter": 3, "delayMs": 1}}, invalid(answer=["retryAfter: Only with code or status"])),
    ({"answer": {"message": "x", "truncateBody": 1}}, invalid(answer=["message: Only with code"])),
    (
        {"answer": RATE_LIMITED | {"retryAfter": -1}},
        invalid(answer=["retryAfter: Number must be greater than or equal to 0"]),
    ),
    ({"answer": {"delayMs": 60_001}}, invalid(answer=["delayMs: Number must be less than or equal to 60000"])),
    ({"answer": {"delayMs": 1.5}}, invalid(answer=["delayMs: Expected integer, received float"])),
    (
        {"answer": {"truncateBody": -1}},
        invalid(answer=["truncateBody: Number must be greater than or equal to 0"]),
    ),
    ({"answer": {"status": 600}}, invalid(answer=["status: Number must be less than or equal to 599"])),
    ({"answer": {"status": 101}}, invalid(answer=["status: Number must be greater than or equal to 200"])),
    ({"answer": {"status": "502"}}, invalid(answer=["status: Expected number, received string"])),
    ({"answer": {"status": 502, "message": "x"}}, invalid(answer=["message: Only with code"])),
    ({"answer": {"body": "x"}}, invalid(answer=[ONE_KIND])),
    ({"answer": {"body": "x", "delayMs": 1}}, invalid(answer=["body: Only with status"])),
    ({"answer": {"status": 204, "body": "x"}}, invalid(answer=["body: Not with status 204"])),
    (
        {"answer": {"status": 502, "code": "X", "body": "x"}},
        invalid(answer=["body: Not with code, which has a body of its own: say message and details"]),
    ),
    (
        {"answer": {"status": 502, "body": "x" * 65_536}},
        invalid(answer=["body: Must be at most 65536 bytes of JSON"]),
    ),
    (
        {"answer": {"status": 429, "retryAfter": 1, "headers": {"retry-after": "2"}}},
        invalid(answer=["retryAfter: Not with a header Retry-After"]),
    ),
    ({"answer": {"dropConnection": True, "slowBodyMs": 9}}, invalid(answer=["slowBodyMs: Not with dropConnection"])),
    ({"answer": {"slowBodyMs": 60_001}}, invalid(answer=["slowBodyMs: Number must be less than or equal to 60000"])),
    ({"answer": {"resetConnection": False}}, invalid(answer=["resetConnection: Must be true, or absent"])),
    *(
        ({"answer": {"status": 502, "headers": {name: value}}}, invalid(answer=[f"headers.{name}: {fault}"]))
        for name, value, fault in [
            ("Content-Length", "3", "Set by the service itself"),
            ("transfer-encoding", "chunked", "Set by the service itself"),
            ("X-Request-Id", "req_1", "Set by the service itself"),
            ("A B", "x", "Invalid name of a header"),
            ("A\r\nB", "x", "Invalid name of a header"),
            ("A", "x\r\nB: y", "Must be printable ASCII"),
            ("A", 3, "Expected string, received number"),
        ]
    ),
    ({"answer": RATE_LIMITED, "every": 0}, invalid(every=["Number must be greater than or equal to 1"])),
    ({"answer": RATE_LIMITED, "after": -1}, invalid(after=["Number must be greater than or equal to 0"])),
    *(
        ({"answer": RATE_LIMITED, "match": {"headers": headers}}, invalid(match=[f"headers.{name}: {fault}"]))
        for headers, name, fault in [
            ({"x-api-key": "lp_test_x"}, "x-api-key", "A secret is kept nowhere: for a key, match its keyId"),
            ({"Authorization": "*"}, "Authorization", "A secret is kept nowhere: for a key, match its keyId"),
            ({"X-Mine": DEMO["X-Api-Key"]}, "X-Mine", "A secret is kept nowhere: for a key, match its keyId"),
            ({"A:": "x"}, "A:", "Invalid name of a header"),
        ]
    ),
    (
        {"answer": RATE_LIMITED, "match": {"headers": ["A"]}},
        invalid(match=["headers: Expected object, received array"]),
    ),
    ({"answer": RATE_LIMITED, "match": {"influencerId": "ava"}}, invalid(match=["influencerId: Invalid uuid"])),
    (
        {"answer": RATE_LIMITED, "match": {"influencerId": AVA, "operation": "listProjects"}},
        invalid(match=["influencerId: Only for operations on an influencer"]),
    ),
    (
        {"answer": RATE_LIMITED, "match": {"body": {"vibe": DEMO["X-Api-Key"]}}},
        invalid(match=["body: A secret is kept nowhere"]),
    ),
    *(
        (
            {"answer": RATE_LIMITED, "match": {"operation": "patchInfluencer", "body": body}},
            invalid(match=[f"body: No such body has {field}; it is as in {BODY_FORMS}"]),
        )
        for body, field in [
            ({"personality.humor": "dry"}, "personality.humor"),
            ({"humour": "dry"}, "humour"),
            ({"personality": {"humour": "dry"}}, "personality.humour"),
            ({"/personality/humour": "dry"}, "personality.humour"),
            ({"vibe": "x", "$.vibe": "x"}, "$.vibe"),
            ({"": "x"}, '""'),
        ]
    ),
    *(
        (
            {"answer": RATE_LIMITED, "match": match},
            invalid(match=["body: Only for operations with a body, and at least one field of it"]),
        )
        for match in ({"operation": "getInfluencer", "body": {"vibe": "x"}}, {"body": {}})
    ),
    ({"preset": "flaky"}, invalid(preset=[f"Invalid enum value: must be one of {', '.join(PRESETS)}"])),
    (
        {"preset": "flaky-gateway", "times": 3, "answer": RATE_LIMITED},
        invalid(preset=["Not with answer, times: a preset has its own"]),
    ),
    (
        {"preset": "flaky-gateway", "organizationId": "nobody"},
        {"status": 404, "code": "NOT_FOUND", "message": "Organization not found."},
    ),
    ({"answer": {"failJob": {"code": "X"}}}, invalid(answer=["failJob.message: Required"])),
    ({"answer": {"delayMS": 1}}, invalid(answer=["delayMS: Unrecognized key"])),
    (
        {"answer": RATE_LIMITED, "times": 0},
        invalid(times=["Number must be greater than or equal to 1"]),
    ),
    ({"answer": RATE_LIMITED, "probability": 0.5}, invalid(probability=["Unrecognized key"])),
    ({"answer": RATE_LIMITED, "match": {"operation": "teapot"}}, invalid(match=[UNKNOWN_OPERATION])),
    ({"answer": RATE_LIMITED, "match": {"operation": "getHealth"}}, invalid(match=[UNKNOWN_OPERATION])),
    *(
        ({"answer": RATE_LIMITED, "match": {"path": path}}, no_path_but(closest))
        for path, closest in {
            "/v1/projetcs": "/v1/projects",
            "v1/projects": "/v1/projects",
            "/v1/projects/": "/v1/projects",
            "/v1//projects": "/v1/projects",
            "/v1/projects?limit=1": "/v1/projects",
            "http://127.0.0.1:8000/v1/projects": "/v1/projects",
            "/V1/PROJECTS": "/v1/projects",
            "/v1": None,
            "/v2/*": None,
            "/v1/influencers/.*": "/v1/influencers/{influencer_id}",
            "/v1/influencers/[^/]+": "/v1/influencers/{influencer_id}",
            "/v1/influencers/%7Bid%7D": "/v1/influencers/{influencer_id}",
            "/v1/influencers/{id": "/v1/influencers/{influencer_id}",
            "/v1/influencers/a b": "/v1/influencers/{influencer_id}",
            "/v1/influencers/:id/clones": "/v1/influencers/{influencer_id}/clone",
            "/v1/:a/:b/:c/:d/:e": None,
            "/_standin/clock": None,
            "/media/*": None,
        }.items()
    ),
    (
        {"answer": RATE_LIMITED, "match": {"method": "DELETE", "path": "/v1/influencers/{id}/clone"}},
        invalid(match=["method: There is only POST with this path"]),
    ),
    (
        {"answer": RATE_LIMITED, "match": {"method": "PUT", "path": "/v1/influencers/:id"}},
        invalid(match=["method: There is only DELETE, GET, PATCH with this path"]),
    ),
    ({"answer": RATE_LIMITED, "match": {"keyId": "nobody's"}}, NO_SUCH_KEY),
    ({"answer": RATE_LIMITED, "match": {"keyId": ""}}, NO_SUCH_KEY),
    ({"answer": RATE_LIMITED, "match": {"keyId": "\0"}}, NO_SUCH_KEY),
    ({"answer": RATE_LIMITED, "match": {"keyId": "dem0dem0dem0dem0"}}, NO_SUCH_KEY),
    (
        {"answer": RATE_LIMITED, "match": {"operation": "putUpload", "keyId": "DEM0DEM0DEM0DEM0"}},
        invalid(match=["keyId: An upload is sent without a key"]),
    ),
    (
        {"answer": RATE_LIMITED, "match": {"method": "PUT", "keyId": "DEM0DEM0DEM0DEM0"}},
        invalid(match=["keyId: An upload is sent without a key"]),
    ),
    (
        {"answer": RATE_LIMITED, "match": {"method": "patch"}},
        invalid(match=["method: Invalid enum value: must be one of GET, POST, PUT, PATCH, DELETE"]),
    ),
    (
        {"answer": RATE_LIMITED, "match": {"operation": "whoami", "method": "GET"}},
        invalid(match=["Either operation, or method and path"]),
    ),
    (
        {"answer": RATE_LIMITED, "match": {"keyId": DEMO["X-Api-Key"]}},
        invalid(match=["keyId: Must be the id of a key, not the key"]),
    ),
    ({"answer": {"failJob": FAILURE}, "match": {"operation": "patchInfluencer"}}, invalid(answer=[ONLY_FOR_JOBS])),
    ({"answer": {"failJob": FAILURE}, "match": {"method": "GET"}}, invalid(answer=[ONLY_FOR_JOBS])),
    ({"answer": {"failPost": FAILURE}, "match": {"operation": "getScheduledPost"}}, invalid(answer=[ONLY_FOR_POSTS])),
    ({"answer": {"failPost": {}}}, invalid(answer=["failPost.message: Required"])),
    (
        {"answer": RATE_LIMITED, "organizationId": "nobody"},
        {"status": 404, "code": "NOT_FOUND", "message": "Organization not found."},
    ),
]


@pytest.mark.parametrize(("body", "refusal"), WRONG, ids=[str(body) for body, _ in WRONG])
def test_what_is_no_fault_is_refused_and_changes_nothing(control, demo, body, refusal):
    assert refused(control.send("POST", "/faults", body)) == refusal
    assert control.get("/faults") == {"items": []}
    assert demo.patch(AVA_PATH, json={"vibe": "x"}).status_code == 200


TARGETS = [
    *((each.name, each.method, each.path) for each in operations),
    ("putUpload", "PUT", "/v1/uploads/<signature>"),
]


@pytest.mark.parametrize(("name", "method", "path"), TARGETS, ids=[target[0] for target in TARGETS])
def test_every_operation_can_go_wrong_by_its_name_and_by_its_path(name, method, path):
    for match in (
        {"operation": name},
        {"method": method, "path": path.replace("<", "{").replace(">", "}")},
        {"path": path.replace("<", "a_").replace(">", "")},
        {"path": path.replace("<", ":").replace(">", "")},
        {"path": re.sub("<.*?>", "*", path)},
        {"path": path},
        {"path": path.rpartition("/")[0] + "/*"},
        {"path": "/*"},
        {"path": "*"},
    ):
        check_rule({"match": match, "answer": RATE_LIMITED}, operations)


def test_there_is_room_for_a_hundred_faults_that_are_not_spent(control, demo):
    body = {"match": {"operation": "whoami"}, "times": 1, "answer": RATE_LIMITED}
    for _ in range(MOST_RULES):
        control.post("/faults", **body)
    kept = control.get("/faults")["items"]

    assert refused(control.send("POST", "/faults", body)) == {
        "status": 409,
        "code": "CONFLICT",
        "message": "There are 100 faults already.",
        "details": {"subcode": "TOO_MANY_FAULTS"},
    }
    assert control.get("/faults")["items"] == kept
    for _ in range(2):
        assert demo.get("/v1/whoami").status_code == 429
    newest = control.post("/faults", **body)
    assert control.get("/faults")["items"] == [*kept[2:], newest]


# Over HTTP


@pytest.fixture
def faulty(control, organization):
    """Return the function that makes a fault for the seed's organization."""

    def make(answer, match=None, **more):
        return control.post("/faults", answer=answer, match=match or {}, organizationId=organization, **more)

    return make


@pytest.fixture
def untold(rooms):
    """Return a client with the demo key that may be answered with what the document does not tell of."""
    client = create_app(rooms).test_client()
    client.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]
    return client


def vibe(client):
    return client.get(AVA_PATH).json["vibe"]


@pytest.mark.parametrize(
    "match",
    [
        {"operation": "patchInfluencer"},
        {"method": "PATCH", "path": "/v1/influencers/{id}"},
        {"path": AVA_PATH, "method": "PATCH"},
        {"method": "PATCH", "path": "/v1/influencers/:influencerId"},
        {"method": "PATCH", "path": "/*"},
    ],
    ids=str,
)
def test_only_the_requests_that_are_meant_go_wrong_and_only_so_often(demo, faulty, match):
    before = demo.get(AVA_PATH).json
    faulty(RATE_LIMITED | {"retryAfter": 30}, match, times=2)

    for _ in range(2):
        response = demo.patch(AVA_PATH, json={"vibe": "festive"})
        assert (refused(response), response.headers["Retry-After"]) == (LATE_PATCH, "30")
        assert demo.get(AVA_PATH).json == before
    assert demo.patch(AVA_PATH, json={"vibe": "festive"}).status_code == 200


@pytest.mark.parametrize("which", ["apiKeyId", "publicId"])
def test_a_key_goes_by_both_its_ids(client, store, organization, faulty, which):
    meant, other = (key_of(store, organization, "*") for _ in range(2))
    document = store.keys.find(meant["X-Api-Key"].split("_")[2])
    faulty(RATE_LIMITED, {"keyId": document[which]})

    assert client.get(AVA_PATH, headers=meant).status_code == 429
    assert client.get(AVA_PATH, headers=other).status_code == 200


@pytest.mark.parametrize("which", ["apiKeyId", "publicId"])
@pytest.mark.postgres
def test_a_key_of_another_organization_or_one_that_was_deleted_is_refused(control, store, organization, which):
    other, headers = control.organization()
    key = store.keys.find(headers["X-Api-Key"].split("_")[2])
    rule = {"match": {"keyId": key[which]}, "answer": RATE_LIMITED}
    message = f"keyId: The organization has no key of this id; it is {KEY_IDS}"

    assert refused(control.send("POST", "/faults", rule | {"organizationId": organization})) == invalid(match=[message])
    for scope in ({}, {"organizationId": other}):
        assert control.send("POST", "/faults", rule | scope).status_code == 201
    store.for_organization(other).keys.delete(key["apiKeyId"])
    assert refused(control.send("POST", "/faults", rule)) == NO_SUCH_KEY


@pytest.mark.parametrize("code", STATUS_OF_CODE)
def test_every_code_comes_in_the_envelope_and_nothing_is_done(untold, faulty, code):
    faulty({"code": code}, {"operation": "patchInfluencer"})

    error = refused(untold.patch(AVA_PATH, json={"vibe": "festive"}))

    assert (error["status"], error["code"], error["message"]) == (STATUS_OF_CODE[code], code, MESSAGES[code])
    assert vibe(untold) != "festive"


def test_a_fault_may_have_its_own_words(untold, faulty):
    details = {"message": "again", "self": [1]}
    faulty({"code": "CONFLICT", "message": "Not now.", "details": details})

    response = untold.patch(AVA_PATH, json={"vibe": "festive"})

    assert refused(response) == {"status": 409, "code": "CONFLICT", "message": "Not now.", "details": details}
    assert "Retry-After" not in response.headers


PAGE = "<html><h1>502 Bad Gateway</h1></html>"


@pytest.mark.parametrize(
    ("answer", "status", "content_type", "body"),
    [
        ({"status": 502, "body": PAGE}, 502, "text/html; charset=utf-8", PAGE),
        ({"status": 502, "body": "Bad gateway ☹"}, 502, "text/plain; charset=utf-8", "Bad gateway ☹"),
        ({"status": 418, "body": {"tea": True}}, 418, "application/json", '{"tea":true}'),
        ({"status": 418, "body": ["tea", 1]}, 418, "application/json", '["tea",1]'),
        ({"status": 200, "body": "", "headers": {"Content-Type": "text/html"}}, 200, "text/html", ""),
        ({"status": 503}, 503, None, ""),
        ({"status": 204}, 204, None, ""),
        ({"status": 599, "headers": {"content-type": "image/png"}, "body": "no"}, 599, "image/png", "no"),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_an_answer_may_be_of_any_status_and_body(untold, control, faulty, method, answer, status, content_type, body):
    made = faulty(answer)
    response = untold.open(AVA_PATH, method=method, json={"vibe": "festive"} if method == "PATCH" else None)

    assert (response.status_code, response.headers.get("Content-Type"), response.text) == (status, content_type, body)
    (entry,) = control.get("/requests", limit=1)["items"]
    assert (entry["status"], entry["response"], entry["faultId"]) == (status, body * (status != 204), made["id"])
    control.delete("/faults", organizationId=made["organizationId"])
    assert vibe(untold) != "festive"


def test_a_head_of_such_an_answer_has_no_body(untold, faulty):
    faulty({"status": 502, "body": PAGE})
    response = untold.head(AVA_PATH)

    assert (response.status_code, response.headers["Content-Length"], response.data) == (502, str(len(PAGE)), b"")


@pytest.mark.parametrize("kind", [{"status": 503}, {"code": "UNAVAILABLE"}, RATE_LIMITED], ids=str)
def test_an_answer_has_the_headers_that_were_said_in_place_of_the_usual_ones(untold, faulty, kind):
    headers = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "x-ratelimit-remaining": "0", "Via": "1.1 gateway"}
    faulty(kind | {"headers": headers})
    response = untold.get(AVA_PATH)

    for name, value in headers.items():
        assert response.headers.getlist(name) == [value]
    assert response.headers["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize("kind", [{"status": 503}, {"code": "UNAVAILABLE"}, {"code": "NEW", "status": 503}], ids=str)
def test_an_answer_says_when_to_come_back(untold, faulty, kind):
    faulty(kind | {"retryAfter": 7})

    assert untold.get(AVA_PATH).headers.getlist("Retry-After") == ["7"]


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ({"code": "QUOTA_EXCEEDED", "status": 402}, {"message": "Quota exceeded."}),
        ({"code": "QUOTA_EXCEEDED", "status": 599}, {"message": "Quota exceeded."}),
        (
            {"code": "X", "status": 402, "message": "Pay.", "details": {"left": 0}},
            {"message": "Pay.", "details": {"left": 0}},
        ),
        (
            {"code": "RATE_LIMITED", "status": 503},
            {"message": "Too many requests.", "details": {"endpointClass": "read-light"}},
        ),
    ],
    ids=str,
)
def test_a_code_may_be_one_of_the_days_to_come(untold, faulty, answer, refusal):
    faulty(answer)

    assert refused(untold.get(AVA_PATH)) == {"status": answer["status"], "code": answer["code"]} | refusal


@pytest.mark.parametrize(
    "answer",
    [{"slowBodyMs": 40}, RATE_LIMITED | {"slowBodyMs": 40}, {"status": 502, "body": PAGE, "slowBodyMs": 40}],
    ids=str,
)
def test_a_slow_body_is_the_whole_body(untold, control, faulty, answer):
    whole = untold.get(AVA_PATH).text
    made = faulty(answer)
    response = untold.get(AVA_PATH)

    assert response.headers["Content-Length"] == str(len(response.data))
    assert response.status_code == (429 if "code" in answer else answer.get("status", 200))
    if answer == {"slowBodyMs": 40}:
        assert response.text == whole
    (entry,) = control.get("/requests", limit=1)["items"]
    assert (entry["faultId"], entry["cut"], entry["response"]) == (made["id"], False, response.text)


@pytest.mark.parametrize(
    ("match", "sent", "struck"),
    [
        ({"headers": {"user-agent": "mine/*"}}, {"headers": {"User-Agent": "mine/2"}}, True),
        ({"headers": {"user-agent": "mine/*"}}, {"headers": {"User-Agent": "other"}}, False),
        ({"headers": {"X-Trace": "*"}}, {}, False),
        ({"body": {"vibe": "x"}}, {}, True),
        ({"body": {"vibe": "y"}}, {}, False),
        ({"body": {"/personality/humor": "dry"}}, {"json": {"personality": {"humor": "dry"}}}, True),
        ({"body": {"/personality/humor": "dry"}}, {"json": {"personality": {"humor": "wet"}}}, False),
        ({"body": {"vibe": "x"}}, {"data": b"{", "json": None}, False),
        ({"influencerId": AVA}, {}, True),
        ({"influencerId": "inf_01HXZ9G7R3T5V8W2Y4A6C8E0FH"}, {}, False),
        (
            {"influencerId": AVA, "operation": "patchInfluencer", "headers": {"X-A": "1"}},
            {"headers": {"X-A": "1"}},
            True,
        ),
    ],
    ids=str,
)
def test_requests_are_told_apart_by_headers_body_and_influencer(demo, control, faulty, match, sent, struck):
    made = faulty(RATE_LIMITED, match)
    response = demo.patch(AVA_PATH, **{"json": {"vibe": "x"}} | sent)

    assert (response.status_code == 429) == struck
    (fault,) = control.get("/faults", organizationId=made["organizationId"])["items"]
    assert (fault["seen"], fault["used"], len(fault["requestIds"])) == (struck, struck, struck)


def test_an_influencer_of_a_body_is_meant_too(demo, faulty):
    faulty(RATE_LIMITED, {"influencerId": AVA})

    assert demo.post(f"/v1/projects/{SPRING}/content", json={"brief": {"influencerId": AVA}}).status_code == 429
    assert demo.post(f"/v1/projects/{SPRING}/content", json={"brief": {"topic": "x"}}).status_code == 202
    assert demo.get(f"/v1/projects/{SPRING}/influencers").status_code == 200


def test_a_retry_under_an_idempotency_key_gets_through_after_the_turns_of_a_rule(untold, faulty):
    faulty({"status": 502, "body": PAGE}, {"operation": "patchInfluencer"}, after=1, every=2, times=1)
    first, second, third, fourth = (patched(untold) for _ in range(4))

    assert [first, second, third, fourth] == [200, 200, 502, 200]


def patched(client):
    return client.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "once"}).status_code


# Presets


def test_presets_are_shown_in_full_and_each_rule_is_one_that_could_be_sent(control, organization):
    shown = control.get("/fault-presets")["items"]
    assert [preset["name"] for preset in shown] == ["flaky-gateway", "rate-limited", "eventual-job-failure"]

    for preset in shown:
        for each in preset["rules"]:
            assert control.send("POST", "/faults", each | {"organizationId": organization}).status_code == 201


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_makes_its_rules_for_one_organization(control, demo, organization, name):
    response = control.send("POST", "/faults", {"preset": name, "organizationId": organization})
    made = response.json["items"]

    assert response.status_code == 201
    assert control.get("/faults", organizationId=organization)["items"] == made
    assert control.get("/faults")["items"] == []
    assert [{"preset": fault["preset"], "answer": fault["answer"]} for fault in made] == [
        {"preset": name, "answer": each["answer"]} for each in PRESETS[name].rules
    ]
    assert {fault["organizationId"] for fault in made} == {organization}


def test_a_flaky_gateway_fails_by_turns(untold, control, organization):
    control.post("/faults", preset="flaky-gateway", organizationId=organization)
    found = []
    for _ in range(24):
        try:
            response = untold.get(AVA_PATH)
        except ConnectionResetError:
            found.append("reset")
        else:
            found.append((response.status_code, response.mimetype))

    assert Counter(found) == {
        (200, "application/json"): 12,
        (502, "text/html"): 8,
        (504, "text/html"): 3,
        "reset": 1,
    }
    assert found[:3] == [(200, "application/json"), (200, "application/json"), (502, "text/html")]


def test_where_a_client_is_rate_limited_its_second_try_gets_through(demo, control, organization):
    control.post("/faults", preset="rate-limited", organizationId=organization)
    found = [demo.get(AVA_PATH) for _ in range(4)]

    assert [(each.status_code, each.headers.get("Retry-After")) for each in found] == [(200, None), (429, "1")] * 2


def test_in_the_end_every_job_fails(demo, control, organization, clock):
    control.post("/faults", preset="eventual-job-failure", organizationId=organization)
    begun = demo.post(INFLUENCERS, json={"name": "Kim"})
    assert begun.status_code == 202
    assert demo.get(f"/v1/jobs/{begun.json['jobId']}").json["status"] == "running"

    clock.move(seconds=60)

    job = demo.get(f"/v1/jobs/{begun.json['jobId']}").json
    assert (job["status"], job["error"]["code"]) == ("failed", "MODEL_ERROR")


def test_a_preset_without_room_for_all_its_rules_makes_none(control):
    for _ in range(MOST_RULES - 2):
        control.post("/faults", answer=RATE_LIMITED)
    kept = control.get("/faults")["items"]

    assert refused(control.send("POST", "/faults", {"preset": "flaky-gateway"}))["status"] == 409
    assert control.get("/faults")["items"] == kept


def test_a_late_answer_is_the_answer(demo, faulty):
    faulty({"delayMs": 1}, {"operation": "patchInfluencer"}, times=1)
    faulty({"delayMs": 0, "code": "INTERNAL"}, {"operation": "patchInfluencer"}, times=1)

    assert demo.patch(AVA_PATH, json={"vibe": "late"}).json["vibe"] == "late"
    assert demo.patch(AVA_PATH, json={"vibe": "later"}).status_code == 500
    assert vibe(demo) == "late"


def test_who_has_no_key_or_may_do_nothing_more_is_no_fault(client, store, organization, control, faulty):
    faulty(RATE_LIMITED)
    killed = key_of(store, organization, "*")
    store.for_organization(organization).keys.kill(store.keys.find(killed["X-Api-Key"].split("_")[2])["apiKeyId"])

    assert client.get(AVA_PATH).status_code == 401
    assert client.get(AVA_PATH, headers=killed).status_code == 503
    assert [fault["used"] for fault in control.get("/faults", organizationId=organization)["items"]] == [0]


def test_a_fault_comes_before_scope_body_and_lookup(client, store, organization, faulty):
    faulty(RATE_LIMITED)
    nothing = key_of(store, organization)

    assert client.patch("/v1/influencers/x", data=b"no JSON", headers=nothing).status_code == 429


def test_what_was_refused_by_a_fault_can_be_sent_again_under_its_idempotency_key(demo, faulty):
    faulty({"code": "INTERNAL"}, times=1)
    once = {"Idempotency-Key": "once"}

    assert demo.patch(AVA_PATH, json={"vibe": "festive"}, headers=once).status_code == 500
    response = demo.patch(AVA_PATH, json={"vibe": "festive"}, headers=once)
    assert (response.status_code, "Idempotent-Replayed" in response.headers) == (200, False)


def test_the_bytes_of_an_upload_can_go_wrong_too(demo, faulty):
    upload = demo.post(f"{MEDIA}/presign", json=VIDEO).json
    faulty({"code": "UNAVAILABLE"}, {"operation": "putUpload"}, times=1)

    def sent():
        return demo.put(upload["uploadUrl"], data=b"bytes", headers=upload["headers"]).status_code

    assert (sent(), sent()) == (503, 200)


# Whose they are


def test_a_fault_of_an_organization_is_for_nobody_else(client, control, demo, faulty):
    _, other = control.organization()
    faulty(RATE_LIMITED)

    assert client.get("/v1/whoami", headers=DEMO).status_code == 429
    assert client.get("/v1/whoami", headers=other).status_code == 200


def test_a_fault_of_all_is_for_everybody_and_counted_together(client, control):
    keys = [DEMO, control.organization()[1]]
    control.post("/faults", answer=RATE_LIMITED, times=3)

    assert [client.get("/v1/whoami", headers=key).status_code for key in keys * 2] == [429, 429, 429, 200]


def test_a_fault_of_ones_own_comes_before_those_of_all(client, control, demo, faulty):
    control.post("/faults", answer={"code": "INTERNAL"}, times=1)
    faulty(RATE_LIMITED, times=1)

    assert [demo.get("/v1/whoami").status_code for _ in range(3)] == [429, 500, 200]


def test_the_faults_of_one_and_of_all_are_listed_and_removed_apart(control, demo, organization, faulty):
    everyone, other = (control.post("/faults", answer=RATE_LIMITED) for _ in range(2))
    own, owned = faulty(RATE_LIMITED), faulty(RATE_LIMITED)
    of_own = {"organizationId": organization}
    assert control.get("/faults") == {"items": [everyone, other]}
    assert control.get("/faults", **of_own) == {"items": [own, owned]}

    # By its id a fault is found whosever it is, unless somebody else's was asked for.
    assert refused(control.send("DELETE", f"/faults/{everyone['id']}", query=of_own)) == NO_FAULT
    assert control.delete(f"/faults/{own['id']}") == {"id": own["id"], "deleted": True}
    assert control.delete(f"/faults/{owned['id']}", **of_own) == {"id": owned["id"], "deleted": True}
    assert refused(control.send("DELETE", f"/faults/{own['id']}")) == NO_FAULT
    assert control.get("/faults", **of_own) == {"items": []}

    faulty(RATE_LIMITED)
    assert control.delete("/faults", **of_own) == {"deleted": True}
    assert control.get("/faults") == {"items": [everyone, other]}
    faulty(RATE_LIMITED)
    assert control.delete("/faults") == {"deleted": True}
    assert (len(control.get("/faults")["items"]), len(control.get("/faults", **of_own)["items"])) == (0, 1)
    control.delete("/faults", **of_own)
    assert demo.get("/v1/whoami").status_code == 200


# Jobs that fail


def test_a_job_fails_with_what_was_said_and_its_influencer_with_it(demo, clock, faulty):
    failure = {"code": "FACE_NOT_FOUND", "message": "No face in the picture."}
    faulty({"failJob": failure}, times=2)
    # What begins no job does not use it up.
    assert demo.patch(AVA_PATH, json={"vibe": "x"}).status_code == 200

    created = demo.post(INFLUENCERS, json={"name": "Kim"})
    cloned = demo.post(f"{AVA_PATH}/clone", json={"name": "Kim"})
    well = demo.post(INFLUENCERS, json={"name": "Kim"})

    assert [response.status_code for response in (created, cloned, well)] == [202] * 3
    job = demo.get(created.json["locationUrl"])
    assert (job.json["status"], job.json["stage"]) == ("running", "queued")
    clock.move(seconds=2)
    for begun in (created.json, cloned.json):
        assert demo.get(begun["locationUrl"]).json == begun | {
            "status": "failed",
            "stage": "finalizing",
            "progress": 1,
            "finishedAt": "2026-04-18T09:18:46.120Z",
            "error": failure,
        }
        assert demo.get(f"/v1/influencers/{begun['influencerId']}").json["status"] == "failed"
    assert demo.get(well.json["locationUrl"]).json["status"] == "completed"
    failed = demo.get(INFLUENCERS, query_string={"status": "failed"}).json["items"]
    assert {item["influencerId"] for item in failed} == {created.json["influencerId"], cloned.json["influencerId"]}


# For one request


def test_a_request_may_prefer_to_go_wrong(demo, control):
    response = demo.patch(AVA_PATH, json={"vibe": "festive"}, headers={"Prefer": "code=429"})

    assert (refused(response), response.headers["Retry-After"]) == (LATE_PATCH, "1")
    assert vibe(demo) != "festive"
    assert control.get("/faults") == {"items": []}
    assert demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Prefer": "respond-async"}).json["vibe"] == "x"
    assert demo.patch(AVA_PATH, json={"vibe": "y"}, headers={"Prefer": "delay=1"}).json["vibe"] == "y"


def test_what_a_request_prefers_comes_before_any_rule_and_does_not_use_it_up(demo, faulty):
    faulty({"code": "INTERNAL"}, times=1)

    assert demo.get(AVA_PATH, headers={"Prefer": "code=404"}).status_code == 404
    assert demo.get(AVA_PATH, headers={"Prefer": "respond-async"}).status_code == 500
    assert demo.get(AVA_PATH).status_code == 200


def test_a_preference_that_cannot_be_is_refused_and_nothing_is_done(demo):
    response = demo.patch(AVA_PATH, json={"vibe": "festive"}, headers={"Prefer": "code=299"})

    assert refused(response) == {
        "status": 422,
        "code": "VALIDATION",
        "message": "Invalid header.",
        "details": {"fieldErrors": {"Prefer": ["code=299: there is no such code or status"]}},
    }
    assert vibe(demo) != "festive"


TOKEN = "a-token-of-the-control-plane"


@pytest.mark.parametrize(
    ("changed", "how"),
    [
        ({"control": "off"}, {}),
        ({"control": TOKEN}, {}),
        ({"control": TOKEN}, {"headers": {"Authorization": f"Bearer {TOKEN}x"}}),
        ({}, {"environ_overrides": {"REMOTE_ADDR": "192.0.2.1"}}),
        ({}, {"headers": {"Host": "rebound.example"}}),
        ({}, {"headers": {"Origin": "http://elsewhere.example"}}),
        ({}, {"headers": {"X-Forwarded-For": "127.0.0.1"}}),
        ({"public_url": "https://stand-in.example"}, {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("preference", ["code=429", "code=299", "delay=99999999"])
def test_where_the_control_plane_is_closed_nobody_s_preference_counts(rooms, changed, how, preference):
    client = create_app(Services(rooms.store, rooms.media, replace(rooms.settings, **changed))).test_client()
    headers = DEMO | {"Prefer": preference} | how.get("headers", {})

    response = client.get("/v1/whoami", headers=headers, environ_overrides=how.get("environ_overrides"))

    assert response.status_code == 200


def test_who_knows_the_token_may_prefer(rooms):
    client = create_app(Services(rooms.store, rooms.media, replace(rooms.settings, control=TOKEN))).test_client()
    headers = DEMO | {"Prefer": "code=429", "Authorization": f"Bearer {TOKEN}"}

    assert client.get("/v1/whoami", headers=headers).status_code == 429


# Where there is no connection to break


@pytest.mark.parametrize(
    "answer",
    [{"dropConnection": True}, {"resetConnection": True}, {"loseReplyAfterEffect": True}, {"truncateBody": 3}],
    ids=str,
)
def test_a_client_in_the_same_process_sees_an_error_as_of_a_broken_connection(demo, faulty, answer):
    faulty(answer, {"operation": "patchInfluencer"})

    with pytest.raises(ConnectionResetError):
        demo.patch(AVA_PATH, json={"vibe": "festive"})

    assert (vibe(demo) == "festive") == answer.keys().isdisjoint({"dropConnection", "resetConnection"})


@pytest.mark.postgres
def test_each_request_of_many_at_once_has_a_turn_of_its_own(store, organization):
    made = new_rule({"match": {}, "after": 4, "every": 3, "answer": RATE_LIMITED}, store.now())
    store.faults.add(organization, made)

    def ask_five_times(number):
        infos = [PATCH_AVA._replace(request_id=f"req_{number}_{turn}") for turn in range(5)]
        return [info.request_id for info in infos if store.faults.take(organization, info)]

    struck = list(chain.from_iterable(together(partial(ask_five_times, number) for number in range(8))))

    (counted,) = store.faults.of(organization)
    assert (counted["seen"], counted["used"]) == (40, 12)
    assert sorted(counted["requestIds"]) == sorted(struck)


# On real connections, to several workers

BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "store"
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2", STANDIN_SYNC="never", STANDIN_JOB_SECONDS="0") as server:
        yield server


@pytest.fixture
def real(server):
    """Return a client with a key of a new organization, which has an influencer, and who makes faults for it."""
    return Tenant(server)


class Tenant:
    """An organization of a running service."""

    def __init__(self, server) -> None:
        self._commander = server.client()
        made = self.command("POST", "/organizations")
        self.organization, self.key = made["organizationId"], {"X-Api-Key": made["apiKey"]}
        self.client = server.client(**self.key)
        project = self.client.post("/v1/projects", json={"name": "P", "timezone": "UTC"}).json()["id"]
        begun = self.client.post(f"/v1/projects/{project}/influencers", json={"name": "Kim"}).json()
        self.path = f"/v1/influencers/{begun['influencerId']}"

    def command(self, method, path, **options):
        return self._commander.request(method, ROOT + path, **options).raise_for_status().json()

    def fault(self, answer, **more):
        body = {"answer": answer, "organizationId": self.organization} | more
        return self.command("POST", "/faults", json=body)

    @property
    def vibe(self):
        return self.client.get(self.path).json()["vibe"]

    def used(self):
        found = self.command("GET", "/faults", params={"organizationId": self.organization})["items"]
        return [fault["used"] for fault in found]


PATCHES = {"operation": "patchInfluencer"}


@pytest.mark.slow
def test_a_dropped_connection_is_closed_without_a_word_and_nothing_is_done(real):
    real.fault({"dropConnection": True}, match=PATCHES, times=1)

    with pytest.raises(BROKEN):
        real.client.patch(real.path, json={"vibe": "festive"})

    assert real.vibe is None
    assert real.client.patch(real.path, json={"vibe": "festive"}).status_code == 200


@pytest.mark.slow
def test_a_reset_connection_is_an_error_for_the_client_and_nothing_is_done(server, real):
    real.fault({"resetConnection": True}, match=PATCHES, times=1)
    url, body = httpx.URL(server.url), b'{"vibe": "festive"}'
    head = f"PATCH {real.path} HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nX-Api-Key: {real.key['X-Api-Key']}\r\n"

    with socket.create_connection((url.host, url.port), timeout=60) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        with pytest.raises(ConnectionResetError):  # after a FIN this would be b""
            client.recv(1)

    assert real.vibe is None
    assert real.client.patch(real.path, json={"vibe": "festive"}).status_code == 200
    assert "Traceback" not in server.output


@pytest.mark.slow
def test_a_slow_body_drips_behind_its_head(real):
    whole = real.client.get(real.path).content
    real.fault({"slowBodyMs": 10_000}, times=1)

    with real.client.stream("GET", real.path, timeout=httpx.Timeout(60, read=30)) as response:
        assert (response.status_code, response.headers["Content-Length"]) == (200, str(len(whole)))
        piece = next(response.iter_raw())  # half a second from here, and not ten

    assert whole.startswith(piece) and len(piece) == -(-len(whole) // 20)
    assert real.client.get(real.path).content == whole


@pytest.mark.slow
def test_a_client_that_tires_of_a_slow_body_holds_up_nobody(real):
    real.fault({"slowBodyMs": 60_000}, match=PATCHES, times=1)

    with pytest.raises(httpx.ReadTimeout):
        real.client.patch(real.path, json={"vibe": "festive"}, timeout=httpx.Timeout(60, read=0.5))

    assert real.vibe == "festive"  # it was all done


@pytest.mark.slow
def test_every_third_of_many_at_once_goes_wrong_on_whatever_worker_it_is(server, real):
    made = real.fault({"status": 502}, after=4, every=3, match={"operation": "whoami"})
    crowd = [server.client(**real.key) for _ in range(8)]

    def ask_five_times(client):
        found = [client.get("/v1/whoami") for _ in range(5)]
        return [(response.status_code, response.headers["X-Request-Id"]) for response in found]

    found = list(chain.from_iterable(together(partial(ask_five_times, client) for client in crowd)))

    assert Counter(status for status, _ in found) == {200: 28, 502: 12}
    listed = real.command("GET", "/faults", params={"organizationId": real.organization})["items"]
    (fault,) = [each for each in listed if each["id"] == made["id"]]
    assert (fault["seen"], fault["used"]) == (40, 12)
    assert sorted(fault["requestIds"]) == sorted(request_id for status, request_id in found if status == 502)


@pytest.mark.slow
def test_a_client_that_loses_the_reply_gets_it_when_it_asks_again(real):
    real.fault({"loseReplyAfterEffect": True}, match=PATCHES, times=2)
    once = {"Idempotency-Key": "once"}

    def patched(tries=3):
        """Send the same again until there is a reply, as clients do that retry."""
        for _ in range(tries):
            try:
                return real.client.patch(real.path, json={"vibe": "festive"}, headers=once)
            except BROKEN:
                assert real.vibe == "festive"  # it is all done
        raise AssertionError("there never was a reply")

    reply = patched()

    assert (reply.status_code, reply.headers["Idempotent-Replayed"], reply.json()["vibe"]) == (200, "true", "festive")
    assert real.used() == [2]
    history = real.command("GET", f"{real.path.removeprefix('/v1')}/history")["changes"]
    assert [change["operation"] for change in history] == ["patchInfluencer", "createInfluencer"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 40])
def test_a_truncated_body_is_announced_whole_and_ends_early(real, size):
    whole = real.client.get(real.path).content
    real.fault({"truncateBody": size}, times=1)

    got = b""
    with pytest.raises(httpx.RemoteProtocolError), real.client.stream("GET", real.path) as response:
        assert (response.status_code, response.headers["Content-Length"]) == (200, str(len(whole)))
        for piece in response.iter_raw():
            got += piece

    assert got == whole[:size]
    assert real.client.get(real.path).content == whole


@pytest.mark.slow
def test_a_body_that_is_shorter_than_what_is_let_through_comes_whole(server, real):
    whole = real.client.get(real.path).content
    real.fault({"truncateBody": 1 << 20}, times=1)

    assert real.client.get(real.path).content == whole
    assert server.client(**real.key).get(real.path).content == whole  # for the other connection is closed


@pytest.mark.slow
def test_a_late_answer_holds_up_nobody_else_and_nothing_is_done_before(server, real):
    real.fault({"delayMs": 60_000}, match=PATCHES, times=1)

    with pytest.raises(httpx.ReadTimeout):
        real.client.patch(real.path, json={"vibe": "festive"}, timeout=httpx.Timeout(60, read=0.5))

    eventually(lambda: real.used() == [1], "the request to arrive")
    assert real.vibe is None
    assert real.client.patch(real.path, json={"vibe": "now"}).json()["vibe"] == "now"


@pytest.mark.slow
def test_of_many_requests_at_once_exactly_as_many_go_wrong_as_was_said(server, real):
    real.fault(RATE_LIMITED, times=7)
    crowd = [server.client(**real.key) for _ in range(8)]

    def ask_five_times(client):
        return [client.get("/v1/whoami").status_code for _ in range(5)]

    found = together(partial(ask_five_times, client) for client in crowd)

    assert Counter(chain.from_iterable(found)) == {429: 7, 200: 33}
    assert real.used() == [7]


@pytest.mark.slow
def test_of_many_at_once_each_counts_under_the_faults_of_all_too(server, real):
    made = real.command("POST", "/faults", json={"answer": RATE_LIMITED, "times": 3, "match": {"operation": "getJob"}})
    crowd = [server.client(**real.key) for _ in range(8)]

    found = together(partial(client.get, "/v1/jobs/x") for client in crowd)

    assert Counter(response.status_code for response in found) == {429: 3, 404: 5}
    real.command("DELETE", f"/faults/{made['id']}")


@pytest.mark.slow
def test_faults_and_how_often_they_struck_outlive_the_processes(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        client.post(f"{ROOT}/faults", json={"answer": RATE_LIMITED, "times": 2}).raise_for_status()
        assert client.get("/v1/whoami").status_code == 429
        before = client.get(f"{ROOT}/faults").json()
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        assert client.get(f"{ROOT}/faults").json() == before
        assert [client.get("/v1/whoami").status_code for _ in range(2)] == [429, 200]
