"""Projects, as a client sees them."""

import pytest
from api_helpers import AVA_PICTURES, SPRING, invalid, key_of, new_organization, refused, unchanged
from conftest import AVA_PATH, DEMO
from servers import opened

from app import create_app
from layers_standin.services import Services
from store import Store

pytestmark = pytest.mark.postgres

PROJECTS, SPRING_PATH = "/v1/projects", f"/v1/projects/{SPRING}"
UUID = "3f0b4c39-9c55-4f3a-8f0f-7d116f1c2f5e"
NOW = "2026-04-18T09:18:44Z"
LATER = "2026-04-18T10:18:44Z"
LEAST = {"name": "Autumn", "timezone": "Europe/Berlin"}
WHOLE = LEAST | {
    "id": "autumn_2026-A",
    "customerExternalId": "customer-7",
    "ownerEmail": "kim@northwind.example",
    "primaryLanguage": "de",
    "metadata": {"deep": {"er": [1, None, "ü"]}},
}
NO_PROJECT = {"status": 404, "code": "NOT_FOUND", "message": "Project not found."}
UNSEEN = {
    "brand": None,
    "brandContext": None,
    "ingestState": {"github": None, "website": None, "appstore": None},
    "requiresApproval": False,
    "firstNPostsBlocked": 0,
    "currentBlockedCount": 0,
}
FIELDS = (
    "id", "organizationId", "name", "status", "customerExternalId", "timezone", "primaryLanguage", "ownerEmail",
    "brand", "brandContext", "ingestState", "requiresApproval", "firstNPostsBlocked", "currentBlockedCount",
    "metadata", "createdAt", "updatedAt",
)  # fmt: skip


def create(client, **body):
    response = client.post(PROJECTS, json=LEAST | body)
    assert response.status_code == 201, response.text
    return response.json


def patch(client, **body):
    response = client.patch(SPRING_PATH, json=body)
    assert response.status_code == 200, response.text
    return response.json


def archive(client):
    response = client.delete(SPRING_PATH)
    assert response.status_code == 200, response.text
    return response.json


def archived(at):
    return {"id": SPRING, "status": "archived", "archivedAt": at, "canceledScheduledPosts": 0}


def taken(project_id):
    details = {"subcode": "ID_TAKEN", "id": project_id}
    return {"status": 409, "code": "CONFLICT", "message": "Project id is already taken.", "details": details}


def sized(size):
    """Return metadata of so many bytes of JSON, most of them of letters that take two."""
    bare = len('{"m":""}')
    return {"m": "é" * ((size - bare) // 2) + "a" * ((size - bare) % 2)}


# create and get


def test_a_project_of_which_only_name_and_timezone_are_known(demo, organization):
    project = create(demo)

    assert list(project) == list(FIELDS)
    assert project == UNSEEN | LEAST | {
        "id": project["id"],
        "organizationId": organization,
        "status": "active",
        "customerExternalId": None,
        "primaryLanguage": "en",
        "ownerEmail": None,
        "metadata": {},
        "createdAt": NOW,
        "updatedAt": NOW,
    }
    assert project["id"].startswith("proj_")
    assert len(project["id"]) == 5 + 26


def test_all_that_create_is_told_is_kept(demo, organization):
    project = create(demo, **WHOLE)

    times = {"createdAt": NOW, "updatedAt": NOW}
    assert project == UNSEEN | WHOLE | {"organizationId": organization, "status": "active"} | times
    shown = demo.get(f"{PROJECTS}/{WHOLE['id']}")
    assert list(shown.json.items()) == list(project.items())
    assert shown.status_code == 200


@pytest.mark.parametrize("project_id", ["a", "-", "_", "0", "A" * 64, UUID, UUID.upper()])
def test_an_id_is_up_to_64_letters_digits_hyphens_and_underscores(demo, project_id):
    assert create(demo, id=project_id)["id"] == project_id
    assert demo.get(f"{PROJECTS}/{project_id}").json["id"] == project_id


@pytest.mark.parametrize(
    "field, value, fault",
    [
        ("name", None, "Expected string, received null"),
        ("name", 1, "Expected string, received number"),
        ("name", "", "String must contain at least 1 character(s)"),
        ("name", "a" * 129, "String must contain at most 128 character(s)"),
        ("id", "", "String must contain at least 1 character(s)"),
        ("id", "a" * 65, "String must contain at most 64 character(s)"),
        ("id", "a b", "Invalid id"),
        ("id", "a/b", "Invalid id"),
        ("id", "é", "Invalid id"),
        ("id", "a\n", "Invalid id"),
        ("id", None, "Expected string, received null"),
        ("customerExternalId", "", "String must contain at least 1 character(s)"),
        ("customerExternalId", "a" * 257, "String must contain at most 256 character(s)"),
        ("customerExternalId", None, "Expected string, received null"),
        ("ownerEmail", None, "Expected string, received null"),
        ("ownerEmail", f"{'a' * 309}@example.com", "String must contain at most 320 character(s)"),
        ("primaryLanguage", "", "String must contain at least 1 character(s)"),
        ("primaryLanguage", "a" * 36, "String must contain at most 35 character(s)"),
        ("primaryLanguage", None, "Expected string, received null"),
        ("timezone", None, "Expected string, received null"),
        ("metadata", None, "Expected object, received null"),
        ("metadata", [], "Expected object, received array"),
        ("metadata", "x", "Expected object, received string"),
        ("metadata", sized(8193), "Object must be at most 8192 bytes of JSON"),
        ("status", "active", "Unrecognized key"),
        ("organizationId", UUID, "Unrecognized key"),
        ("brand", None, "Unrecognized key"),
    ],
)
def test_a_field_that_create_does_not_take_is_refused_and_changes_nothing(demo, on_disk, field, value, fault):
    same = unchanged(on_disk)

    assert refused(demo.post(PROJECTS, json=LEAST | {field: value})) == invalid(**{field: [fault]})
    assert same()


def test_name_and_timezone_are_required(demo):
    assert refused(demo.post(PROJECTS, json={})) == invalid(name=["Required"], timezone=["Required"])


@pytest.mark.parametrize(
    "field, value",
    [
        ("name", "é" * 128),
        ("name", "a"),
        ("customerExternalId", "😀" * 256),
        ("customerExternalId", "a"),
        ("primaryLanguage", "a" * 35),
        ("ownerEmail", f"{'a' * 308}@example.com"),
        ("metadata", {}),
        ("metadata", sized(8192)),
    ],
)
def test_a_field_may_be_as_long_as_its_rule_says(demo, field, value):
    project = create(demo, **{field: value})

    assert project[field] == value
    assert demo.get(f"{PROJECTS}/{project['id']}").json[field] == value
    assert patch(demo, **{field: value})[field] == value


TIMEZONES = ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "Etc/GMT+12", "GMT"]
NO_TIMEZONES = ["", "CEST", "europe/berlin", "Europe/Nowhere", "+02:00", "UTC+2", "localtime", "../UTC", "Europe",
                " UTC", "UTC\n", "/usr/share/zoneinfo/UTC", "posix/UTC"]  # fmt: skip


@pytest.mark.parametrize("timezone", TIMEZONES)
def test_a_timezone_is_one_of_the_iana(demo, timezone):
    assert create(demo, timezone=timezone)["timezone"] == timezone
    assert patch(demo, timezone=timezone)["timezone"] == timezone


@pytest.mark.parametrize("timezone", NO_TIMEZONES)
def test_any_other_timezone_is_refused(demo, timezone):
    assert refused(demo.post(PROJECTS, json=LEAST | {"timezone": timezone})) == invalid(timezone=["Invalid timezone"])
    assert refused(demo.patch(SPRING_PATH, json={"timezone": timezone})) == invalid(timezone=["Invalid timezone"])


EMAILS = ["a@b.c", "kim.lee+tag@sub.example.co.uk", "kim@exämple.de", "o'hara@example.com"]
NO_EMAILS = ["", "kim", "kim@", "@example.com", "kim@example", "kim@.com", "kim@example.", "kim@exa..mple.com",
             "k im@example.com", "kim@@example.com", "kim@example.com ", "kim@example.com\n"]  # fmt: skip


@pytest.mark.parametrize("email", EMAILS)
def test_an_email_has_a_name_and_a_domain_of_two_parts(demo, email):
    assert create(demo, ownerEmail=email)["ownerEmail"] == email
    assert patch(demo, ownerEmail=email)["ownerEmail"] == email


@pytest.mark.parametrize("email", NO_EMAILS)
def test_any_other_email_is_refused(demo, email):
    assert refused(demo.post(PROJECTS, json=LEAST | {"ownerEmail": email})) == invalid(ownerEmail=["Invalid email"])
    assert refused(demo.patch(SPRING_PATH, json={"ownerEmail": email})) == invalid(ownerEmail=["Invalid email"])


@pytest.mark.parametrize("project_id", ["autumn", UUID])
def test_an_id_that_is_taken_is_a_conflict(demo, on_disk, project_id):
    create(demo, id=project_id)
    demo.delete(f"{PROJECTS}/{project_id}")
    same = unchanged(on_disk)

    assert refused(demo.post(PROJECTS, json=LEAST | {"id": project_id})) == taken(project_id)
    assert same()


def test_ids_that_differ_in_case_are_two_unless_they_are_uuids(demo):
    create(demo, id="autumn")
    create(demo, id="Autumn")
    create(demo, id=UUID)

    assert refused(demo.post(PROJECTS, json=LEAST | {"id": UUID.upper()})) == taken(UUID.upper())


def test_an_id_of_another_organization_is_free_and_its_project_unseen(client, store):
    key = key_of(store, new_organization(store), "*")
    for method in ("GET", "DELETE"):
        assert refused(client.open(SPRING_PATH, method=method, headers=key)) == NO_PROJECT
    assert refused(client.patch(SPRING_PATH, json={"name": "x"}, headers=key)) == NO_PROJECT

    assert client.post(PROJECTS, json=LEAST | {"id": SPRING}, headers=key).status_code == 201
    assert client.get(SPRING_PATH, headers=key).json["name"] == "Autumn"
    assert client.get(SPRING_PATH, headers=DEMO).json["name"] == "Spring launch"


# patch


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Kim"},
        {"timezone": "UTC"},
        {"primaryLanguage": "pt-BR"},
        {"ownerEmail": "kim@example.com"},
        {"ownerEmail": None},
        {"customerExternalId": "c-9"},
        {"customerExternalId": None},
        {"metadata": {}},
        {"metadata": {"other": True}},
        {"status": "archived"},
        {"status": "active"},
        {"name": "Kim", "metadata": {"a": {"b": None}}, "ownerEmail": None},
    ],
)
def test_patch_changes_what_is_given_metadata_as_a_whole_and_nothing_else(demo, change):
    before = demo.get(SPRING_PATH).json
    assert before["metadata"] == {"tier": "gold"}

    after = patch(demo, **change)

    assert list(after) == list(FIELDS)
    assert after == before | change | {"updatedAt": NOW}
    assert demo.get(SPRING_PATH).json == after


@pytest.mark.parametrize(
    "field",
    ["id", "organizationId", "brand", "brandContext", "ingestState", "requiresApproval", "firstNPostsBlocked",
     "currentBlockedCount", "createdAt", "updatedAt", "archivedAt", "sortKey"],
)  # fmt: skip
def test_what_the_system_knows_best_cannot_be_patched(demo, on_disk, field):
    same = unchanged(on_disk)

    response = demo.patch(SPRING_PATH, json={"name": "Kim", field: "x"})

    assert refused(response) == invalid(**{field: ["Unrecognized key"]})
    assert same()


@pytest.mark.parametrize(
    "field, value, fault",
    [
        ("name", None, "Expected string, received null"),
        ("name", "", "String must contain at least 1 character(s)"),
        ("name", "a" * 129, "String must contain at most 128 character(s)"),
        ("status", "deleted", "Invalid enum value"),
        ("status", None, "Expected string, received null"),
        ("timezone", None, "Expected string, received null"),
        ("primaryLanguage", None, "Expected string, received null"),
        ("primaryLanguage", "a" * 36, "String must contain at most 35 character(s)"),
        ("customerExternalId", "", "String must contain at least 1 character(s)"),
        ("customerExternalId", "a" * 257, "String must contain at most 256 character(s)"),
        ("metadata", None, "Expected object, received null"),
        ("metadata", sized(8193), "Object must be at most 8192 bytes of JSON"),
    ],
)
def test_a_field_that_patch_does_not_take_is_refused_and_changes_nothing(demo, on_disk, field, value, fault):
    same = unchanged(on_disk)

    assert refused(demo.patch(SPRING_PATH, json={field: value})) == invalid(**{field: [fault]})
    assert same()


def test_an_empty_patch_is_refused(demo):
    assert refused(demo.patch(SPRING_PATH, json={})) == invalid("At least one field is required")


@pytest.mark.parametrize("method, body", [("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)])
def test_an_unknown_project_is_not_found(demo, method, body):
    assert refused(demo.open("/v1/projects/proj_x", method=method, json=body)) == NO_PROJECT


# delete


def test_delete_archives_and_says_the_same_each_time(demo, clock):
    assert list(archive(demo).items()) == list(archived(NOW).items())
    record = demo.get(SPRING_PATH).json
    assert (record["status"], record["updatedAt"]) == ("archived", NOW)
    clock.move(hours=1)

    assert archive(demo) == archived(NOW)
    assert demo.get(SPRING_PATH).json == record


def test_delete_takes_no_fields(demo):
    assert refused(demo.delete(SPRING_PATH, json={"reason": "x"})) == invalid(reason=["Unrecognized key"])
    assert demo.delete(SPRING_PATH, json={}).status_code == 200


def test_a_project_archived_by_patch_says_when_to_a_delete(demo, clock):
    patch(demo, status="archived")
    clock.move(hours=1)
    patch(demo, status="archived", name="Kim")

    assert archive(demo) == archived(NOW)


@pytest.mark.parametrize("again", [archive, lambda client: patch(client, status="archived")])
def test_a_project_that_was_active_in_between_is_archived_anew(demo, clock, again):
    archive(demo)
    assert patch(demo, status="active")["status"] == "active"
    clock.move(hours=1)
    again(demo)
    clock.move(hours=1)

    assert archive(demo) == archived(LATER)


def test_all_but_new_influencers_goes_on_in_an_archived_project(demo):
    archive(demo)

    assert patch(demo, name="Kim", metadata={"a": 1})["status"] == "archived"
    assert demo.get(f"{SPRING_PATH}/influencers").json["items"]
    assert demo.get(AVA_PATH).status_code == 200
    assert demo.patch(AVA_PATH, json={"vibe": "x"}).status_code == 200
    images = demo.post(f"{AVA_PATH}/reference-images", json={"assetIds": AVA_PICTURES}).json["referenceImages"]
    assert len(images) == 3
    media = {"kind": "audio", "mimeType": "audio/wav", "dataBase64": "AAAA"}
    assert demo.post(f"{SPRING_PATH}/media", json=media).status_code == 201
    assert demo.post(f"{SPRING_PATH}/media/presign", json={"kind": "audio", "mimeType": "audio/wav"}).status_code == 200
    assert demo.delete(AVA_PATH).status_code == 200


def test_a_store_opened_anew_has_the_same_projects(demo, rooms, settings, clock):
    created = create(demo, **WHOLE)
    archive(demo)
    clock.move(hours=1)

    with opened(settings.store or settings.data) as store:
        again = create_app(Services(Store(store.db, clock), rooms.media, settings)).test_client()
        again.environ_base["HTTP_X_API_KEY"] = DEMO["X-Api-Key"]
        assert again.get(f"{PROJECTS}/{WHOLE['id']}").json == created
        assert archive(again) == archived(NOW)


def nested(levels):
    """Return a body whose metadata is so many levels deep, the body itself among them."""
    inner = levels - 2
    return b'{"name": "Autumn", "timezone": "UTC", "metadata": {"a": %b1%b}}' % (b"[" * inner, b"]" * inner)


def test_metadata_is_kept_down_to_two_hundred_levels(demo):
    made = demo.post(PROJECTS, data=nested(200), headers={"Idempotency-Key": "deep"})

    assert made.status_code == 201, made.text
    assert demo.get(f"{PROJECTS}/{made.json['id']}").data == made.data


@pytest.mark.parametrize("levels", [201, 250, 254, 255, 1000, 1024])
def test_a_body_that_is_nested_deeper_is_refused_and_changes_nothing(demo, on_disk, levels):
    is_unchanged = unchanged(on_disk)
    refusal = invalid("Malformed JSON: nested more than 200 levels deep")

    assert refused(demo.post(PROJECTS, data=nested(levels))) == refusal
    assert refused(demo.patch(AVA_PATH, data=b"[" * levels + b"]" * levels)) == refusal
    assert is_unchanged()
