"""The request log: what was asked and answered, newest first, never too much of it, and never a secret."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from urllib.parse import unquote_plus

import httpx
import pytest
from api_helpers import MEDIA, SPRING, invalid, key_of, refused
from conftest import AVA_PATH, DEMO
from control_helpers import ROOT
from servers import ROOT as ROOT_FOLDER
from servers import STAYS_OPEN, serving, together

from app import create_app, operations
from layers_standin.domain.keys import DEMO_KEY
from layers_standin.services import Services
from layers_standin.web.logs.output import is_redacted, redacted
from layers_standin.web.logs.requests import MOST_BYTES, MOST_ENTRIES

VIDEO = {"kind": "video", "mimeType": "video/mp4"}
SECRET = "local-stand-in-demo-key-not-a-secret-000000"
PUBLIC_ID = "DEM0DEM0DEM0DEM0"


def entries(control, **query):
    return control.get("/requests", **query)["items"]


def shown(control, *fields, **query):
    """Return of each entry what stands in these fields; without a list when there is one."""
    found = entries(control, **query)
    return [entry[fields[0]] if len(fields) == 1 else tuple(entry[field] for field in fields) for entry in found]


def demo_key(store):
    return store.keys.find(PUBLIC_ID)["apiKeyId"]


# What is kept


def test_an_entry_tells_the_whole_of_a_request_and_its_response(control, demo, store, organization):
    body = '{"vibe": "it\'s  so"}'
    headers = {"Idempotency-Key": "once", "Content-Type": "application/json"}
    response = demo.patch(f"{AVA_PATH}?x=1&y", data=body, headers=headers)

    (entry,) = entries(control)

    assert datetime.fromisoformat(entry.pop("at")).tzinfo is not None
    assert entry.pop("milliseconds") >= 0
    assert entry["headers"].pop("User-Agent").startswith("Werkzeug/")
    assert entry.pop("responseHeaders") == {
        name: value for name, value in response.headers.items() if not name.startswith("Access-Control-")
    }
    assert entry == {
        "requestId": response.headers["X-Request-Id"],
        "operation": "patchInfluencer",
        "method": "PATCH",
        "path": AVA_PATH,
        "query": "x=1&y",
        "headers": {
            "Host": "localhost",
            "X-Api-Key": "***",
            "Idempotency-Key": "once",
            "Content-Type": "application/json",
        },
        "status": 200,
        "organizationId": organization,
        "keyId": PUBLIC_ID,
        "apiKeyId": demo_key(store),
        "idempotencyKey": "once",
        "replayed": False,
        "faultId": None,
        "cut": False,
        "request": body,
        "unread": [{"in": "query", "name": name, "reason": "This operation has no such parameter."} for name in "xy"],
        "response": response.text,
        "hint": None,
        "curl": f"curl -X PATCH 'http://localhost{AVA_PATH}?x=1&y' -H \"X-Api-Key: $LAYERS_API_KEY\""
        " -H 'Idempotency-Key: once' -H 'Content-Type: application/json'"
        """ --data-raw '{"vibe": "it'"'"'s  so"}'""",
    }


def test_a_request_that_nobody_is_known_to_stand_behind_is_kept_too(control, client):
    client.get("/v1/nowhere")
    client.get(AVA_PATH, headers={"X-Api-Key": "lp_test_AAAAAAAAAAAAAAAA_" + "x" * 43})

    found = shown(control, "operation", "path", "status", "organizationId", "keyId", "apiKeyId")

    assert found == [
        ("getInfluencer", AVA_PATH, 401, None, None, None),
        (None, "/v1/nowhere", 404, None, None, None),
    ]


def test_what_is_not_of_the_api_is_not_kept(control, client):
    for path in (f"{ROOT}/health", "/console", "/docs", "/openapi.json", "/nowhere", "/v1x"):
        client.get(path, buffered=True)

    assert entries(control) == []


def test_the_newest_come_first(control, demo):
    for number in range(5):
        demo.get(f"/v1/jobs/{number}")

    assert shown(control, "path") == [f"/v1/jobs/{number}" for number in (4, 3, 2, 1, 0)]
    assert shown(control, "path", limit=2) == ["/v1/jobs/4", "/v1/jobs/3"]


def test_a_replay_and_a_fault_and_a_lost_reply_are_told(control, demo):
    for _ in range(2):
        demo.patch(AVA_PATH, json={"vibe": "x"}, headers={"Idempotency-Key": "once"})
    limited = control.post("/faults", answer={"code": "RATE_LIMITED"}, times=1)["id"]
    demo.patch(AVA_PATH, json={"vibe": "y"})
    demo.get(AVA_PATH, headers={"Prefer": "code=404"})
    lost = control.post("/faults", answer={"loseReplyAfterEffect": True}, times=1)["id"]
    with pytest.raises(ConnectionResetError):
        demo.patch(AVA_PATH, json={"vibe": "z"})
    dropped = control.post("/faults", answer={"dropConnection": True}, times=1)["id"]
    with pytest.raises(ConnectionResetError):
        demo.patch(AVA_PATH, json={"vibe": "z"})

    assert shown(control, "status", "replayed", "faultId", "cut", "request") == [
        (444, False, dropped, True, '{"vibe": "z"}'),
        (200, False, lost, True, '{"vibe": "z"}'),
        (404, False, "prefer", False, ""),
        (429, False, limited, False, '{"vibe": "y"}'),
        (200, True, None, False, '{"vibe": "x"}'),
        (200, False, None, False, '{"vibe": "x"}'),
    ]


def test_a_response_that_has_no_body_is_shown_without_one(control, demo):
    job = demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"}).json["locationUrl"]
    tag = demo.get(job).headers["ETag"]
    demo.get(job, headers={"If-None-Match": tag})
    demo.head(AVA_PATH)
    demo.options(AVA_PATH)

    assert shown(control, "method", "status", "response", limit=3) == [
        ("OPTIONS", 204, ""),
        ("HEAD", 200, ""),
        ("GET", 304, ""),
    ]


# What is found


@pytest.fixture
def several(control, client, store, organization):
    """Make requests of two organizations, and return who they are and with which keys."""
    other, key = control.organization()
    own = key_of(store, organization, "*")
    client.get(AVA_PATH, headers=DEMO)
    client.patch(AVA_PATH, json={"vibe": "x"}, headers=own | {"Idempotency-Key": "once"})
    client.get(AVA_PATH, headers=key)
    client.get("/v1/nowhere")
    return {"other": other, "own": own["X-Api-Key"].split("_")[2]}


ALL_FOUR = ["nowhere", "foreign", "patch", "get"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ALL_FOUR),
        ({"operation": "getInfluencer"}, ["foreign", "get"]),
        ({"status": 404}, ["nowhere", "foreign"]),
        ({"status": 500}, []),
        ({"idempotencyKey": "once"}, ["patch"]),
        ({"idempotencyKey": "on"}, []),
        ({"keyId": PUBLIC_ID}, ["get"]),
        ({"keyId": "own"}, ["patch"]),
        ({"keyId": "None"}, []),
        ({"organizationId": "other"}, ["foreign"]),
        ({"operation": "getInfluencer", "status": 200}, ["get"]),
        ({"status": 404, "limit": 1}, ["nowhere"]),
    ],
    ids=str,
)
def test_entries_are_found_by_all_that_is_asked_of_them(control, several, query, found):
    asked = {name: several.get(str(value), value) for name, value in query.items()}
    names = dict(zip([entry["requestId"] for entry in entries(control)], ALL_FOUR, strict=True))

    assert [names[request_id] for request_id in shown(control, "requestId", **asked)] == found


def test_a_key_goes_by_both_its_ids(control, several, store):
    api_key_id = store.keys.find(several["own"])["apiKeyId"]

    assert entries(control, keyId=api_key_id) == entries(control, keyId=several["own"])
    assert shown(control, "keyId", "apiKeyId", keyId=api_key_id) == [(several["own"], api_key_id)]


INVALID_QUERY = {"message": "Invalid query."}
WRONG_QUERIES = [
    ({"status": "ok"}, invalid(status=["Expected number, received nan"])),
    ({"status": 99}, invalid(status=["Number must be greater than or equal to 100"])),
    ({"status": 600}, invalid(status=["Number must be less than or equal to 599"])),
    ({"limit": 0}, invalid(limit=["Number must be greater than or equal to 1"])),
    ({"limit": 1001}, invalid(limit=["Number must be less than or equal to 1000"])),
    ({"key": "x"}, invalid(key=["Unrecognized key"])),
]


@pytest.mark.parametrize(("query", "refusal"), WRONG_QUERIES, ids=[str(query) for query, _ in WRONG_QUERIES])
def test_what_cannot_be_asked_of_the_log_is_refused(control, query, refusal):
    assert refused(control.send("GET", "/requests", query=query)) == refusal | INVALID_QUERY


def test_there_is_no_log_of_an_organization_that_is_not_there(control):
    nobody = {"organizationId": "nobody"}
    not_found = {"status": 404, "code": "NOT_FOUND", "message": "Organization not found."}

    assert refused(control.send("GET", "/requests", query=nobody)) == not_found
    assert refused(control.send("DELETE", "/requests", query=nobody)) == not_found
    assert refused(control.send("PUT", "/requests", {"enabled": False} | nobody)) == not_found


# How much is kept


def test_an_operation_that_is_none_is_no_empty_log(control, demo):
    demo.get("/v1/whoami")
    reply = refused(control.send("GET", "/requests?operation=whoAmI"))

    names = ", ".join(sorted([*(operation.name for operation in operations), "putUpload"]))
    assert (reply["status"], reply["message"]) == (422, "Invalid query.")
    assert reply["details"] == {"fieldErrors": {"operation": [f"Unknown operation; there are {names}"]}}
    assert entries(control, operation="putUpload") == []


def test_the_access_log_names_the_fault_of_a_request(control, demo, capsys):
    fault = control.post("/faults", match={"operation": "whoami"}, times=1, answer={"code": "UNAVAILABLE"})["id"]
    for preference in ({}, {"Prefer": "code=503"}, {}):
        demo.get("/v1/whoami", headers=preference)

    lines = [line.partition("/v1/whoami ")[2].split() for line in capsys.readouterr().out.splitlines()]
    assert [(line[0], *line[2:]) for line in lines if line] == [("503", fault), ("503", "prefer"), ("200",)]


@pytest.mark.slow
def test_only_so_many_are_shown(control, demo):
    demo.get("/v1/whoami")
    for number in range(MOST_ENTRIES + 5):
        demo.get(f"/v1/jobs/{number}")

    found = shown(control, "path", limit=MOST_ENTRIES)

    assert found == [f"/v1/jobs/{number}" for number in range(MOST_ENTRIES + 4, 4, -1)]
    assert len(entries(control)) == 100
    assert entries(control, operation="whoami") == []  # nobody looks further back


@pytest.mark.slow
def test_only_so_many_bytes_are_kept(control, demo, settings):
    body = "\x00" + "x" * 20_000
    for number in range(600):
        assert demo.patch(f"/v1/influencers/{number}", data=body).status_code == 422

    found = entries(control, limit=MOST_ENTRIES)

    kept = sum(path.stat().st_size for path in (settings.data / "requests").iterdir())
    assert MOST_BYTES < kept <= 2 * (MOST_BYTES + MOST_BYTES // 64 + 40_000)
    assert [entry["path"] for entry in found] == [
        f"/v1/influencers/{number}" for number in range(599, 599 - len(found), -1)
    ]
    assert {(entry["request"], entry["curl"]) for entry in found} == {(body[:16_384], None)}


def test_a_body_that_nobody_read_makes_no_curl(control, demo):
    demo.get(AVA_PATH, data=b"what for?")
    demo.patch("/v1/nowhere", json={"vibe": "x"})

    assert shown(control, "request", "curl") == [("", None), ("", None)]


def test_a_body_that_is_no_text_is_shown_as_well_as_it_can_be(control, demo):
    demo.patch(AVA_PATH, data=b'{"vibe": "\xff\x00"}')

    assert shown(control, "request", "curl") == [('{"vibe": "\ufffd\x00"}', None)]


# What is not kept


def assert_kept_nowhere(control, settings, secret):
    assert secret not in control.send("GET", "/requests", query={"limit": 1000}).text
    for path in (settings.data / "requests").iterdir():
        assert secret.encode() not in path.read_bytes()


def test_the_key_of_a_request_is_kept_nowhere_whatever_it_is_sent_as(control, client, settings, capsys):
    key = DEMO["X-Api-Key"]
    client.get("/v1/whoami", headers=DEMO)
    client.get("/v1/whoami", headers={"Authorization": f"Bearer {key}"})
    client.get(f"/v1/influencers/{key}", headers=DEMO)
    client.get(f"/v1/influencers/{key}/nowhere")
    client.get("/v1/projects", query_string={"cursor": key}, headers=DEMO)
    client.patch(AVA_PATH, json={"vibe": f"my key is {key}."}, headers=DEMO)
    client.patch(AVA_PATH, data=f"{key}", headers=DEMO)
    client.patch(AVA_PATH, json={"vibe": "x"}, headers=DEMO | {"Idempotency-Key": key})

    assert_kept_nowhere(control, settings, SECRET)
    assert SECRET not in capsys.readouterr().out
    paths, bodies = shown(control, "path"), shown(control, "request")
    assert f"/v1/influencers/lp_test_{PUBLIC_ID}_***/nowhere" in paths
    assert f'{{"vibe": "my key is lp_test_{PUBLIC_ID}_***."}}' in bodies
    assert shown(control, "idempotencyKey", limit=1) == [f"lp_test_{PUBLIC_ID}_***"]


def test_headers_are_kept_without_their_secrets(control, client, settings):
    secret = "s3cr3t" * 8
    hidden = ("Authorization", "X-Layers-Signature", "X-Amz-Security-Token", "X-Session-Id", "Proxy-Auth")
    sent = DEMO | dict.fromkeys(hidden, secret) | {"X-Trace": "a1", "X-Other": DEMO_KEY, "X-Long": "y" * 195 + DEMO_KEY}

    client.set_cookie("anything", secret)
    client.get("/v1/whoami", headers=sent | {"X-After": "é".encode().decode("latin-1")})

    assert_kept_nowhere(control, settings, SECRET[:9])
    assert_kept_nowhere(control, settings, secret[:6])
    (entry,) = entries(control)
    del entry["headers"]["User-Agent"]
    assert entry["headers"] == {
        "Host": "localhost",
        "X-Api-Key": "***",
        **dict.fromkeys([*hidden, "Cookie"], "***"),
        "Authorization": "Bearer ***",
        "X-Trace": "a1",
        "X-Other": f"lp_test_{PUBLIC_ID}_***",
        "X-Long": "y" * 195 + "lp_te…",
        "X-After": "é",
    }
    assert entry["curl"] == 'curl -X GET http://localhost/v1/whoami -H "X-Api-Key: $LAYERS_API_KEY"'


@pytest.mark.parametrize(
    "body", ["\n\0", f"\n\0{DEMO_KEY}\n\0", f"password='\n\0'\n\0{DEMO_KEY}", "password="], ids=repr
)
def test_no_body_moves_texts_of_an_entry_to_other_places(control, demo, settings, body):
    response = demo.patch(f"{AVA_PATH}?x=1", data=body, headers={"X-Last": "passwd="})

    assert_kept_nowhere(control, settings, SECRET[:9])
    (entry,) = entries(control)
    assert (entry["query"], entry["request"], entry["response"]) == ("x=1", redacted(body), response.text)
    assert (entry["headers"]["X-Last"], entry["responseHeaders"]["Content-Type"]) == ("passwd=", "application/json")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (DEMO_KEY, "lp_test_DEM0DEM0DEM0DEM0_***"),
        (DEMO_KEY.replace("_", "%5F"), "lp%5Ftest%5FDEM0DEM0DEM0DEM0%5F***"),
        (DEMO_KEY.replace("_", "%5f").replace("-", "%2D"), "lp%5ftest%5fDEM0DEM0DEM0DEM0%5f***"),
        (DEMO_KEY.replace("_", "\\u005F"), "lp\\u005Ftest\\u005FDEM0DEM0DEM0DEM0\\u005F***"),
        ("whsec_beJb40UXOj4AhIP_4UkUZKoW1IpT0UPp7ECCVja055g", "whsec_***"),
        ("whsec%5FbeJb40UXOj4AhIP%5F4UkUZKoW1IpT0UPp7ECCVja055g", "whsec%5F***"),
        ('"http://h/v1/uploads/abc.d-f_1"', '"http://h/v1/uploads/***"'),
        ("http%3A%2F%2Fh%2Fv1%2fuploads%2Fabc.d-f_1&x=1", "http%3A%2F%2Fh%2Fv1%2fuploads%2F***&x=1"),
        ('"http:\\/\\/h\\/v1\\/uploads\\/abc.d-f_1"', '"http:\\/\\/h\\/v1\\/uploads\\/***"'),
        ("/v1//uploads/abc.d-f_1", "/v1//uploads/***"),
        ("lp_test_short_x, /v1/uploads/", "lp_test_short_x, /v1/uploads/"),
    ],
)
def test_a_secret_is_found_however_a_client_has_written_it(text, kept):
    assert redacted(f"before {text} after") == f"before {kept} after"
    assert is_redacted(kept) == ("***" in kept)


def test_what_asked_with_a_secret_is_no_command_to_ask_again(control, client):
    key = DEMO["X-Api-Key"]
    client.get(f"/v1/influencers/{key}", headers=DEMO)
    client.get("/v1/projects", query_string={"cursor": key}, headers=DEMO)
    client.patch(AVA_PATH, json={"vibe": key}, headers=DEMO)
    client.patch(AVA_PATH, json={"vibe": "x"}, headers=DEMO | {"Idempotency-Key": key})

    assert shown(control, "curl") == [None] * 4


def test_a_secret_at_the_end_of_what_is_kept_is_not_cut_but_left_out(control, demo, settings):
    demo.patch(AVA_PATH, data="x" * (16_384 - 34) + DEMO["X-Api-Key"])

    assert_kept_nowhere(control, settings, SECRET[:9])


def test_a_new_key_is_kept_nowhere(control, demo, store, organization, settings):
    other = store.keys.find(key_of(store, organization, "*")["X-Api-Key"].split("_")[2])["apiKeyId"]
    secret = demo.post(f"/v1/api-keys/{other}/rotate").json["secret"]

    assert_kept_nowhere(control, settings, secret.split("_", 3)[3])
    (response,) = shown(control, "response")
    assert json.loads(response)["secret"] == f"{secret[:25]}***"


def test_the_signature_of_an_upload_is_kept_nowhere(control, demo, settings, capsys):
    upload = demo.post(f"{MEDIA}/presign", json=VIDEO).json
    demo.put(upload["uploadUrl"], data=b"bytes", headers=upload["headers"])
    signature = upload["uploadUrl"].rpartition("/")[2]

    assert_kept_nowhere(control, settings, signature)
    printed = capsys.readouterr().out
    assert signature not in printed
    assert " PUT /v1/uploads/*** 200 " in printed
    assert shown(control, "operation", "path", "request", "curl", limit=1) == [
        ("putUpload", "/v1/uploads/***", "", None)
    ]
    (presigned,) = shown(control, "response", operation="presignUpload")
    assert json.loads(presigned)["uploadUrl"] == "http://localhost/v1/uploads/***"


# Emptied, and switched off


def test_the_log_is_emptied(control, demo):
    demo.get(AVA_PATH)

    assert control.delete("/requests") == {"deleted": True}
    assert entries(control) == []
    demo.get("/v1/whoami")
    assert shown(control, "path") == ["/v1/whoami"]


def test_the_log_is_emptied_of_one_organization(control, several):
    assert control.delete("/requests", organizationId=several["other"]) == {"deleted": True}

    assert entries(control, organizationId=several["other"]) == []
    assert shown(control, "status") == [404, 200, 200]


def test_after_the_log_was_emptied_of_one_organization_new_entries_of_it_are_kept(control, client):
    other, key = control.organization()
    client.get(AVA_PATH, headers=key)
    control.delete("/requests", organizationId=other)
    client.get("/v1/whoami", headers=key)

    assert shown(control, "path") == ["/v1/whoami"]
    control.delete("/requests", organizationId=other)
    assert entries(control) == []


def test_the_requests_of_one_organization_are_not_logged(control, client, organization):
    other, key = control.organization()
    off = {"enabled": False, "organizationId": other}
    assert control.put("/requests", **off) == off

    for headers in (key, DEMO, {}):
        client.get("/v1/whoami", headers=headers)
    assert shown(control, "organizationId") == [None, organization]

    control.put("/requests", enabled=True, organizationId=other)
    client.get("/v1/whoami", headers=key)
    assert shown(control, "organizationId", limit=1) == [other]


def test_nobody_s_requests_are_logged_but_those_of_who_was_asked_for(control, client):
    other, key = control.organization()
    assert control.put("/requests", enabled=False) == {"organizationId": None, "enabled": False}
    control.put("/requests", enabled=True, organizationId=other)

    for headers in (key, DEMO, {}):
        client.get("/v1/whoami", headers=headers)

    assert shown(control, "organizationId") == [other]


def test_where_nobody_can_read_the_log_none_is_kept(rooms, settings):
    for closed, kept in (({"control": "off"}, False), ({"control": "off", "console": "read-only"}, True)):
        client = create_app(Services(rooms.store, rooms.media, replace(settings, **closed))).test_client()
        assert client.get("/v1/whoami", headers=DEMO).status_code == 200
        assert (settings.data / "requests").exists() is kept


# When the disk refuses


UNREADABLE = {"status": 503, "code": "UNAVAILABLE", "message": "The store is unavailable; nothing was changed."}


def test_requests_are_answered_when_the_log_cannot_be_written(control, demo, settings):
    (settings.data / "requests").write_text("a file where the folder should be", "utf-8")

    assert demo.patch(AVA_PATH, json={"vibe": "x"}).json["vibe"] == "x"
    assert refused(control.send("GET", "/requests")) == UNREADABLE
    assert refused(control.send("DELETE", "/requests")) == UNREADABLE
    (settings.data / "requests").unlink()
    demo.get("/v1/whoami")
    assert shown(control, "path") == ["/v1/whoami"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full disk to offer")
def test_requests_are_answered_when_the_disk_is_full(control, demo, settings):
    (settings.data / "requests").mkdir()
    newer = settings.data / "requests" / "newer.jsonl"
    newer.symlink_to("/dev/full")

    assert demo.patch(AVA_PATH, json={"vibe": "x"}).json["vibe"] == "x"
    newer.unlink()
    demo.get("/v1/whoami")
    assert shown(control, "path") == ["/v1/whoami"]


def test_half_a_line_is_no_entry(control, demo, settings):
    demo.get("/v1/whoami")
    with (settings.data / "requests" / "newer.jsonl").open("ab") as file:
        file.write(b'{"requestId": "req_')
    demo.get(AVA_PATH)

    assert shown(control, "path") == [AVA_PATH, "/v1/whoami"]


# On a real service with several workers


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("requests") / "store"
    with serving(folder, *STAYS_OPEN, WEB_CONCURRENCY="2", STANDIN_SYNC="never") as server:
        yield server


def logged(client, **query):
    return client.get(f"{ROOT}/requests", params=query).raise_for_status().json()["items"]


@pytest.mark.slow
def test_every_worker_shows_what_all_have_answered_in_its_order(server):
    workers = [server.client_of(worker) for worker in server.workers()]
    assert len(workers) == 2
    workers[0].delete(f"{ROOT}/requests").raise_for_status()
    for number, client in zip(range(10), cycle(workers)):
        client.get(f"/v1/jobs/{number}")
        for reader in workers:
            assert [entry["path"] for entry in logged(reader)] == [f"/v1/jobs/{each}" for each in range(number, -1, -1)]

    workers[1].delete(f"{ROOT}/requests").raise_for_status()
    assert [logged(reader) for reader in workers] == [[], []]


@pytest.mark.slow
def test_each_of_many_requests_at_once_is_there_once(server):
    crowd = [server.client() for _ in range(8)]
    crowd[0].delete(f"{ROOT}/requests").raise_for_status()

    def ask(name, client):
        return [client.get(f"/v1/jobs/{name}-{number}").headers["X-Request-Id"] for number in range(10)]

    asked = together(partial(ask, name, client) for name, client in enumerate(crowd))

    found = [entry["requestId"] for entry in logged(crowd[0], limit=1000)]
    assert sorted(found) == sorted(request_id for each in asked for request_id in each)
    for each in asked:
        assert [request_id for request_id in found if request_id in each] == each[::-1]


@pytest.mark.slow
def test_the_log_and_whether_there_is_one_outlive_the_processes(tmp_path):
    folder = tmp_path / "store"
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        client.get(AVA_PATH)
        client.put(f"{ROOT}/requests", json={"enabled": False}).raise_for_status()
        before = logged(client)
    with serving(folder, WEB_CONCURRENCY="1") as server:
        client = server.client()
        client.get(AVA_PATH)
        after = logged(client)
    assert [entry["requestId"] for entry in after] == [entry["requestId"] for entry in before]


NASTY = "'\"$HOME `id` $(id) \\ \\n ! é 🙂 ;&|<>{}[]*?~#% @x"
PATCHES = [{"vibe": NASTY}, {"vibe": "two\nlines\ttab\u2028"}, {"vibe": None, "personality": {"tone": NASTY}}]
ASKED = {
    "a GET": ("GET", AVA_PATH, {}),
    "a HEAD": ("HEAD", AVA_PATH, {}),
    "a query": ("GET", f"/v1/projects/{SPRING}/influencers?limit=1&status=ready", {}),
    "an odd query": ("GET", "/v1/projects?x=%27%20%5B1-3%5D{a,b}&$y=`z`&&é=%ff#", {}),
    "an unknown route": ("GET", "/v1/nowhere", {}),
    "an odd path": ("GET", "/v1/influencers/x%27y%20$(z)%C3%A9%7B1,2%7D%5B1-9%5D%3F%23%25%0A*", {}),
    "a path with dots": ("GET", "/v1/influencers/%2e%2e/whoami", {}),
    "a path with a dot": ("GET", "/v1/%2e/whoami", {}),
    "another method": ("PUT", AVA_PATH, {}),
    **{f"a PATCH, {body}": ("PATCH", AVA_PATH, {"json": body}) for body in PATCHES},
    "a body that is no JSON": ("PATCH", AVA_PATH, {"content": "@README.md"}),
    "a body with line breaks": ("PATCH", AVA_PATH, {"content": '{\r\n  "vibe":\n\n"x" }\n'}),
    "an empty body": ("PATCH", AVA_PATH, {}),
    "a DELETE with a body": ("DELETE", "/v1/influencers/x", {"json": {"reason": NASTY}}),
    "a DELETE without": ("DELETE", "/v1/influencers/x", {}),
    "a repeated POST": (
        "POST",
        "/v1/projects",
        {"json": {"name": "P", "timezone": "UTC"}, "headers": {"Idempotency-Key": "1 '$x"}},
    ),
    "an empty Idempotency-Key": ("PATCH", AVA_PATH, {"json": {"vibe": "x"}, "headers": {"Idempotency-Key": ""}}),
    "an odd Idempotency-Key": (
        "PATCH",
        AVA_PATH,
        {"json": {"vibe": "x"}, "headers": {"Idempotency-Key": "é".encode()}},
    ),
}


@pytest.fixture(scope="module")
def frozen(server):
    """Return a client of the service, on which the clock stands so that the same request has the same answer."""
    client = server.client()
    client.put(f"{ROOT}/clock", json={"mode": "frozen", "at": "2030-01-01T00:00:00Z"}).raise_for_status()
    yield client
    client.delete(f"{ROOT}/clock").raise_for_status()


def answered(command, home):
    """Return (status, body) of a command in a shell, in a home without a .curlrc."""
    script = f"{command} --silent --show-error --write-out '\\n%{{http_code}}'"
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LAYERS_API_KEY": DEMO["X-Api-Key"]},
        cwd=ROOT_FOLDER,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == b""
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def without_request_id(body):
    told = json.loads(body)
    if "error" in told:
        told["error"].pop("requestId")
    return told


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize(("method", "path", "options"), ASKED.values(), ids=ASKED)
def test_the_ready_curl_asks_the_same_and_gets_the_same(server, frozen, tmp_path, method, path, options):
    first = frozen.request(method, server.url + path, **options)
    (entry,) = logged(frozen, limit=1)
    assert (entry["method"], entry["requestId"]) == (method, first.headers["X-Request-Id"])

    status, body = answered(entry["curl"], tmp_path)

    (again,) = logged(frozen, limit=1)
    same = ("operation", "method", "path", "status", "idempotencyKey", "request", "curl")
    assert {name: again[name] for name in same} == {name: entry[name] for name in same}
    assert unquote_plus(again["query"]) == unquote_plus(entry["query"])
    assert status == first.status_code
    if method != "HEAD":
        assert without_request_id(body) == without_request_id(first.content)


KEY_HEADERS = {
    "no key": {},
    "a bearer": {"Authorization": f"Bearer {DEMO_KEY}"},
    "a bearer in lower case": {"authorization": f"bearer {DEMO_KEY}"},
    "a key without bearer": {"Authorization": DEMO_KEY},
    "another header": {"Api-Key": DEMO_KEY},
    "a variable that is not set": {"X-Api-Key": "undefined"},
    "an empty key": {"X-Api-Key": ""},
    "a template": {"X-Api-Key": "{{apiKey}}"},
    "a variable of a shell, quoted too well": {"X-Api-Key": "$LAYERS_API_KEY"},
    "quotes": {"X-Api-Key": f'"{DEMO_KEY}"'},
    "a precondition": {"X-Api-Key": DEMO_KEY, "If-None-Match": '"x"'},
    "a fault": {"X-Api-Key": DEMO_KEY, "Prefer": "code=409"},
    "a cookie": {"X-Api-Key": DEMO_KEY, "Cookie": "session=s3cret"},
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("sent", KEY_HEADERS.values(), ids=KEY_HEADERS)
def test_the_ready_curl_sends_the_headers_that_were_sent(server, frozen, tmp_path, sent):
    first = httpx.get(server.url + AVA_PATH, headers=sent)
    (entry,) = logged(frozen, limit=1)
    assert entry["requestId"] == first.headers["X-Request-Id"]

    status, body = answered(entry["curl"], tmp_path)

    (again,) = logged(frozen, limit=1)
    assert (status, without_request_id(body)) == (first.status_code, without_request_id(first.content))
    assert (again["hint"], again["curl"]) == (entry["hint"], entry["curl"])
