"""Every route against every fault. The table is made from the operations, so none of them can be forgotten here."""

import re

import pytest
from api_helpers import (
    KILLED,
    NO_SCOPE,
    OTHER_BODY,
    SPRING,
    TOO_LARGE,
    UNAUTHENTICATED,
    invalid,
    key_of,
    living,
    new_organization,
    refused,
    unchanged,
)
from conftest import AVA, DEMO
from route_helpers import BODIES, Things, body_of, every, made, path_of, send

from app import operations
from layers_standin.domain.keys import DEMO_KEY, SCOPES, public_id_of

pytestmark = pytest.mark.slow

CHOSEN = "0c9a4e52-6d0b-4c5e-9a53-2f8b1f6e7a10"
NOT_FOUND = {
    "influencer_id": "Influencer not found.",
    "project_id": "Project not found.",
    "job_id": "Job not found.",
    "key_id": "API key not found.",
    "container_id": "Container not found.",
    "asset_id": "Asset not found.",
    "social_account_id": "Social account not found.",
    "state": "OAuth state not found.",
    "scheduled_post_id": "Scheduled post not found.",
    "webhook_endpoint_id": "Webhook endpoint not found.",
    "webhook_delivery_id": "Webhook delivery not found.",
}

every_change = pytest.mark.parametrize(
    "operation", [each for each in operations if each.changes], ids=lambda operation: operation.name
)
every_scoped = pytest.mark.parametrize(
    "operation", [each for each in operations if each.scope], ids=lambda operation: operation.name
)
every_with_an_id = pytest.mark.parametrize(
    "operation", [each for each in operations if "<" in each.path], ids=lambda operation: operation.name
)


def ids_in(operation):
    return re.findall(r"<(\w+)>", operation.path)


@pytest.fixture
def things(store, rooms, organization) -> Things:
    """Return what the seed's organization has; its key is not the one that asks."""
    spare = key_of(store, organization)["X-Api-Key"]
    return made(store, rooms, organization, SPRING, AVA, spare)


@pytest.fixture
def stranger(store) -> tuple[str, dict[str, str]]:
    """Return another organization, and the headers of its key for everything."""
    other = new_organization(store)
    return other, key_of(store, other, "*")


@pytest.fixture
def foreign(store, rooms, stranger) -> Things:
    """Return what that other organization has."""
    other, headers = stranger
    project = store.for_organization(other).projects.create({"name": "Theirs", "timezone": "UTC"})["id"]
    store.tables.put("influencers", living(other, "inf_theirs", project))
    return made(store, rooms, other, project, "inf_theirs", headers["X-Api-Key"])


def test_every_operation_that_changes_something_has_its_bodies_here():
    assert set(BODIES) == {operation.handler.__name__ for operation in operations if operation.changes}


def test_every_id_in_a_path_is_one_of_the_things_here():
    assert {name for operation in operations for name in ids_in(operation)} == set(NOT_FOUND)


# The request that works


@every
def test_a_request_in_order_gets_the_status_of_its_operation(client, things, operation):
    response = send(client, operation, things, body_of(operation, things))

    assert response.status_code == operation.success
    assert response.mimetype == "application/json"


LONG_RUNNING = {
    "create_influencer",
    "clone_influencer",
    "generate_content",
    "regenerate_content",
    "ingest_github",
    "ingest_website",
}
READS = {"whoami", "get_influencer", "list_influencers", "get_job", "list_projects", "get_project"}
READS |= {
    "list_content",
    "get_content",
    "get_content_progress",
    "get_content_asset",
    "get_approval_policy",
    "get_credits",
}
READS |= {"get_install_url", "get_installation", "list_repositories"}
READS |= {"list_social_accounts", "get_oauth_status", "list_scheduled_posts", "get_scheduled_post"}
READS |= {"list_webhook_endpoints", "get_webhook_endpoint", "list_webhook_deliveries"}


@every
def test_every_response_tells_its_endpoint_class(client, things, operation):
    name = operation.handler.__name__
    expected = "long-running" if name in LONG_RUNNING else "read-light" if name in READS else "write-light"

    for headers in ({}, DEMO):
        response = send(client, operation, things, body_of(operation, things), headers)
        assert response.headers["X-RateLimit-Endpoint-Class"] == expected


# Keys and scopes


@every
@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": DEMO_KEY[:-1] + "1"}, {"Authorization": "Basic OnB3"}])
def test_a_request_without_a_key_of_ours_is_refused(client, on_disk, things, operation, headers):
    is_unchanged = unchanged(on_disk)

    assert refused(send(client, operation, things, body_of(operation, things), headers)) == UNAUTHENTICATED
    assert is_unchanged()


@every
def test_a_killed_key_is_refused(client, store, organization, on_disk, things, operation):
    headers = key_of(store, organization, "*")
    store.keys.delete_public(public_id_of(headers["X-Api-Key"]))
    is_unchanged = unchanged(on_disk)

    assert refused(send(client, operation, things, body_of(operation, things), headers)) == KILLED
    assert is_unchanged()


@every_scoped
def test_a_key_with_every_other_scope_is_refused(client, store, organization, on_disk, things, operation):
    headers = key_of(store, organization, *(set(SCOPES) - {operation.scope}), "", "influencers:*")
    is_unchanged = unchanged(on_disk)

    response = send(client, operation, things, body_of(operation, things), headers)

    assert refused(response) == NO_SCOPE | {"details": {"required": operation.scope}}
    assert is_unchanged()


@every
def test_a_key_with_just_the_scope_is_let_in(client, store, organization, things, operation):
    headers = key_of(store, organization, *([operation.scope] if operation.scope else []))
    if operation.name == "getOauthStatus":  # a state is for its key alone
        asks = store.keys.find(public_id_of(headers["X-Api-Key"]))["apiKeyId"]
        own = store.for_organization(organization)
        store.tables.put("oauth_states", own.social.state(things.state) | {"apiKeyId": asks})

    response = send(client, operation, things, body_of(operation, things), headers)

    assert response.status_code == operation.success


# Ids


def not_found(operation, name=None):
    name = name or ids_in(operation)[0]
    return {"status": 404, "code": "NOT_FOUND", "message": NOT_FOUND[name]}


@every_with_an_id
@pytest.mark.parametrize("unknown", ["x", "..", "a b", "%00", "%FF", "x" * 3000, "{}", CHOSEN, "inf_01HXZ9", "é"])
def test_what_nobody_has_is_not_found(client, on_disk, things, operation, unknown):
    is_unchanged = unchanged(on_disk)

    response = send(client, operation, dict.fromkeys(ids_in(operation), unknown), body_of(operation, things))

    assert refused(response) == not_found(operation)
    assert is_unchanged()


@every_with_an_id
def test_what_another_organization_has_is_not_found(client, on_disk, stranger, things, foreign, operation):
    is_unchanged = unchanged(on_disk)

    ours = send(client, operation, foreign, body_of(operation, foreign))
    theirs = send(client, operation, things, body_of(operation, things), stranger[1])

    assert refused(ours) == refused(theirs) == not_found(operation)
    assert is_unchanged()


@every_with_an_id
def test_an_id_of_another_kind_is_not_found(client, on_disk, things, operation):
    is_unchanged = unchanged(on_disk)

    for name in ids_in(operation):
        for other in set(Things._fields) - {name, "approved_id"}:
            ids = things._asdict() | {name: getattr(things, other)}
            assert refused(send(client, operation, ids, body_of(operation, things))) == not_found(operation, name)
    assert is_unchanged()


def test_an_upload_of_another_organization_or_project_is_not_found(client, store, organization, on_disk, foreign):
    project = store.for_organization(organization).projects.create({"name": "Other", "timezone": "UTC"})["id"]
    upload = store.for_organization(organization).assets.presign(SPRING, {"kind": "video", "mimeType": "video/mp4"})
    is_unchanged = unchanged(on_disk)

    for upload_id, where in ((foreign.upload_id, SPRING), (upload["uploadId"], project)):
        response = client.post(f"/v1/projects/{where}/media/finalize", json={"uploadId": upload_id}, headers=DEMO)
        assert refused(response) == {"status": 404, "code": "NOT_FOUND", "message": "Upload not found."}
    assert is_unchanged()


# Two organizations that chose the same ids


@pytest.fixture
def twins(store, rooms, organization, stranger) -> tuple[Things, Things]:
    """Return what each has: the same project and influencer ids, and a job, key and upload of its own."""
    found = []
    for owner, headers in ((organization, key_of(store, organization)), stranger):
        store.for_organization(owner).projects.create({"id": "shared", "name": "Shared", "timezone": "UTC"})
        store.tables.put("influencers", living(owner, CHOSEN, "shared"))
        found.append(made(store, rooms, owner, "shared", CHOSEN, headers["X-Api-Key"]))
    return found[0], found[1]


def everything_of(store, organization):
    """Return (table, document) of all that an organization has, its keys included."""
    rows = ((table, dict(row)) for table, partition in store.db.tables() for row in store.db.table(table, partition))
    return [(table, row) for table, row in rows if organization in (row.get("organizationId"), row.get("id"))]


@every
def test_organizations_that_chose_the_same_ids_do_not_touch_each_other(
    client, store, organization, stranger, twins, operation
):
    ours, theirs = twins
    before = everything_of(store, stranger[0])

    response = send(client, operation, ours, body_of(operation, ours))

    assert response.status_code == operation.success
    assert everything_of(store, stranger[0]) == before
    assert stranger[0] not in response.text
    for foreign_id in set(theirs) - set(ours):
        assert foreign_id not in response.text


@every
def test_an_organization_sees_its_own_things_when_another_has_the_same_ids(
    client, store, organization, stranger, twins, operation
):
    theirs = twins[1]
    before = everything_of(store, organization)

    response = send(client, operation, theirs, body_of(operation, theirs), stranger[1])

    assert response.status_code == operation.success
    assert organization not in response.text
    assert everything_of(store, organization) == before


# Bodies


def is_malformed(message):
    return re.fullmatch(r"Malformed JSON: .+", message)


def is_not_utf_8(message):
    return re.fullmatch(r"Body is not valid UTF-8 at byte \d+", message)


@every_change
@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b'{"name": "x"', is_malformed),
        (b"{} {}", is_malformed),
        (b'{"name": NaN}', is_malformed),
        (b"[" * 10_000, is_malformed),
        (b" ", is_malformed),
        (b'{"name": "caf\xe9"}', is_not_utf_8),
        (b"\xff\xfe{\0}\0", is_not_utf_8),
    ],
    ids=["cut off", "two", "NaN", "deep", "space", "latin-1", "UTF-16"],
)
def test_a_body_that_is_no_json_is_refused(client, on_disk, things, operation, body, fits):
    is_unchanged = unchanged(on_disk)

    found = refused(send(client, operation, things, body))

    (message,) = found["details"]["formErrors"]
    assert fits(message)
    assert found == invalid(message)
    assert is_unchanged()


@every_change
@pytest.mark.parametrize(
    ("body", "received"),
    [(b"[]", "array"), (b"[{}]", "array"), (b"null", "null"), (b'"x"', "string"), (b"1", "number")],
)
def test_a_body_that_is_no_object_is_refused(client, on_disk, things, operation, body, received):
    is_unchanged = unchanged(on_disk)

    assert refused(send(client, operation, things, body)) == invalid(f"Expected object, received {received}")
    assert is_unchanged()


@every_change
@pytest.mark.parametrize("name", ["mood", "organizationId", "attributes", "__class__", ""])
def test_an_unknown_field_is_refused(client, on_disk, things, operation, name):
    body = (body_of(operation, things) or {}) | {name: "x"}
    is_unchanged = unchanged(on_disk)

    assert refused(send(client, operation, things, body)) == invalid(**{name: ["Unrecognized key"]})
    assert is_unchanged()


@every_change
def test_a_body_of_two_mebibytes_is_too_large(client, on_disk, things, operation):
    is_unchanged = unchanged(on_disk)

    assert refused(send(client, operation, things, b"{}".ljust(2 << 20))) == TOO_LARGE
    assert is_unchanged()


@every_change
def test_no_body_at_all_is_refused_unless_nothing_in_it_is_needed(client, on_disk, things, operation):
    is_unchanged = unchanged(on_disk)

    response = send(client, operation, things)

    if operation.body_optional:
        assert response.status_code == operation.success
    else:
        assert refused(response) == invalid("Malformed JSON: the body is empty")
        assert is_unchanged()


@every_change
def test_faults_of_the_body_come_before_not_found(client, on_disk, operation):
    is_unchanged = unchanged(on_disk)

    response = send(client, operation, dict.fromkeys(ids_in(operation), "x"), b"[]")

    assert refused(response) == invalid("Expected object, received array")
    assert is_unchanged()


# Idempotency


def once(key="once"):
    return DEMO | {"Idempotency-Key": key}


@every_change
@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "String must contain at least 1 character(s)"),
        ("x" * 256, "String must contain at most 255 character(s)"),
        ("a\tb", "Invalid"),
        ("caf\xe9", "Invalid"),
    ],
)
def test_a_bad_idempotency_key_is_refused(client, on_disk, things, operation, key, message):
    is_unchanged = unchanged(on_disk)

    response = send(client, operation, things, body_of(operation, things), once(key))

    assert refused(response) == invalid(**{"Idempotency-Key": [message]})
    assert is_unchanged()


def test_only_a_new_secret_is_not_replayed():
    assert {operation.name for operation in operations if operation.secret} == {
        "createWebhookEndpoint",
        "rotateWebhookSecret",
        "rotateKey",
    }


@every_change
def test_a_repeated_request_acts_once_and_gets_the_first_reply(client, on_disk, things, clock, operation):
    body = body_of(operation, things)
    first = send(client, operation, things, body, once())
    is_unchanged = unchanged(on_disk)
    clock.move(seconds=10)

    second = send(client, operation, things, body, once())

    assert first.status_code == operation.success
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    if operation.secret:
        assert (second.status_code, second.json["error"]["details"]) == (409, {"subcode": "NOT_KEPT"})
    else:
        assert (second.status_code, second.data) == (first.status_code, first.data)
    assert is_unchanged()


@every_change
def test_another_body_under_the_same_key_is_a_conflict(client, on_disk, things, operation):
    body, other = BODIES[operation.handler.__name__](things)
    send(client, operation, things, body, once())
    is_unchanged = unchanged(on_disk)

    assert refused(send(client, operation, things, other, once())) == OTHER_BODY
    assert is_unchanged()


@pytest.mark.parametrize(
    "operation",
    [each for each in operations if each.changes and "<" in each.path],
    ids=lambda operation: operation.name,
)
def test_not_found_is_replayed_too(client, things, operation):
    nobody, body = dict.fromkeys(ids_in(operation), "x"), body_of(operation, things)
    first = send(client, operation, nobody, body, once())

    second = send(client, operation, nobody, body, once())

    assert (first.status_code, second.status_code, second.data) == (404, 404, first.data)
    assert second.headers["Idempotent-Replayed"] == "true"


# Methods


def methods_of(path):
    """Return the methods that a path has."""
    methods = {operation.method for operation in operations if operation.path == path}
    return methods | ({"HEAD"} if "GET" in methods else set())


PATHS = sorted({operation.path for operation in operations})


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_tells_the_methods_of_a_path_and_lets_pages_read_a_405(client, on_disk, path):
    is_unchanged = unchanged(on_disk)
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}

    response = client.options(re.sub(r"<\w+>", "x", path), headers=headers)

    assert (response.status_code, response.data) == (204, b"")
    assert set(response.headers["Allow"].split(", ")) == methods_of(path)
    allowed = set(response.headers["Access-Control-Allow-Methods"].split(", "))
    assert allowed == {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert is_unchanged()


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_a_path_does_not_have_is_not_allowed(client, on_disk, path):
    is_unchanged = unchanged(on_disk)

    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods_of(path):
        response = client.open(re.sub(r"<\w+>", "x", path), method=method, headers=DEMO, data=b"{")
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == methods_of(path)
        if method != "HEAD":
            assert refused(response) == {"status": 405, "code": "METHOD_NOT_ALLOWED", "message": "Method not allowed."}
    assert is_unchanged()


@pytest.mark.parametrize("path", PATHS)
def test_a_slash_at_the_end_makes_another_path(client, path):
    response = client.get(re.sub(r"<\w+>", "x", path) + "/", headers=DEMO)

    assert refused(response) == {"status": 404, "code": "NOT_FOUND", "message": "Not found."}


# Reads


REMEMBERS = ["get_install_url"]  # the state, which the client brings back with the installation


@pytest.mark.parametrize(
    "operation",
    [each for each in operations if not each.changes and each.handler.__name__ not in REMEMBERS],
    ids=lambda operation: operation.name,
)
def test_a_read_writes_nothing_and_head_is_it_without_the_body(client, on_disk, things, operation):
    is_unchanged = unchanged(on_disk)

    full = send(client, operation, things)
    head = client.head(path_of(operation, things), headers=DEMO)

    assert (head.status_code, head.data) == (full.status_code, b"")
    assert head.headers["Content-Length"] == str(len(full.data))
    assert is_unchanged()
