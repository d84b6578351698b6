"""Social accounts as clients see them: connected by a person's consent, listed, and disconnected."""

from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import pytest
from api_helpers import SPRING, SUMMER, invalid, key_of, new_organization, refused, unchanged
from conftest import DEMO
from content_helpers import made_content
from PIL import Image
from post_helpers import made_post

from app import create_app
from layers_standin.housekeeping import sweep
from layers_standin.services import Services
from layers_standin.settings import Settings

ACCOUNTS = f"/v1/projects/{SPRING}/social-accounts"
OAUTH = f"/v1/projects/{SPRING}/social/oauth-url"
BACK = "http://localhost:3000/connected"
TIKTOK, INSTAGRAM = "sa_01HXZ9P2M4N5KCN6T7V8WXYZ9A", "sa_01HXZ9QAM6P8R0S2T4V6W8X0Y2"
NO_ACCOUNT = {"status": 404, "code": "NOT_FOUND", "message": "Social account not found."}
NO_STATE = {"status": 404, "code": "NOT_FOUND", "message": "OAuth state not found."}

on_both = pytest.mark.postgres


def begin(client, **fields):
    response = client.post(OAUTH, json={"platform": "tiktok", "returnUrl": BACK} | fields)
    assert response.status_code == 200, response.json
    return response.json


def answer(client, begun, **form):
    return client.post(urlsplit(begun["authorizeUrl"]).path, data={"decision": "yes"} | form)


def status_of(client, begun, **options):
    return client.get(f"/v1/social/oauth-status/{begun['state']}", **options)


def connect(client, **form):
    begun = begin(client)
    assert answer(client, begun, **form).status_code == 303
    return status_of(client, begun).json["socialAccountId"]


def listed(client, **query):
    return client.get(ACCOUNTS, query_string=query).json["items"]


def ids(client, **query):
    return [account["socialAccountId"] for account in listed(client, **query)]


@on_both
def test_the_seed_has_both_platforms_in_each_project(demo):
    response = demo.get(ACCOUNTS)
    assert response.status_code == 200
    instagram, tiktok = response.json["items"]
    assert response.json == {"items": [instagram, tiktok], "nextCursor": None}
    assert tiktok == {
        "socialAccountId": TIKTOK,
        "platform": "tiktok",
        "handle": "northwind.spring",
        "avatarUrl": tiktok["avatarUrl"],
        "status": "connected",
        "leased": False,
        "connectedAt": "2026-04-01T09:30:00Z",
        "tokenExpiresAt": "2026-05-01T09:30:00Z",
    }
    assert (instagram["socialAccountId"], instagram["platform"]) == (INSTAGRAM, "instagram")
    summer = demo.get(f"/v1/projects/{SUMMER}/social-accounts").json["items"]
    assert [(each["platform"], each["status"]) for each in summer] == [
        ("instagram", "connected"),
        ("tiktok", "connected"),
    ]


def test_an_account_has_a_picture_for_those_who_know_its_url(client, demo):
    path = urlsplit(listed(demo)[0]["avatarUrl"]).path
    with client.get(path, headers={}) as first, client.get(path) as second:
        assert (first.status_code, first.mimetype) == (200, "image/png")
        assert Image.open(BytesIO(first.data)).size == (256, 256)
        assert second.data == first.data
    assert client.get(path.replace("/avatar/", "0/avatar/")).status_code == 404


def test_a_picture_is_kept_as_long_as_its_account(client, demo, rooms, organization):
    path = urlsplit(listed(demo)[0]["avatarUrl"]).path
    client.get(path).close()
    folder = rooms.settings.data / "media" / organization

    def kept():
        with rooms.store.db.exclusive():
            sweep(rooms, -1)
        return [file.name for file in folder.glob("portrait-sa_*")]

    assert kept() == [f"portrait-{INSTAGRAM}-{path.split('/')[4]}"]
    rooms.store.tables.table("social_accounts", organization).remove(doc_ids=[INSTAGRAM])
    assert kept() == []


def test_accounts_and_posts_are_in_a_snapshot(demo, control, rooms, organization):
    own = rooms.store.for_organization(organization)
    _, post = made_post(own, made_content(rooms, organization, SPRING)[0])
    control.post("/snapshots", name="before")
    before = [demo.get(path).json for path in (ACCOUNTS, f"/v1/scheduled-posts/{post['id']}")]
    demo.delete(f"/v1/social-accounts/{post['socialAccountId']}")
    assert demo.get(f"/v1/scheduled-posts/{post['id']}").json["status"] == "canceled"
    control.post("/snapshots/before/restore")
    assert [demo.get(path).json for path in (ACCOUNTS, f"/v1/scheduled-posts/{post['id']}")] == before


@on_both
def test_a_consent_connects_an_account(demo, clock):
    begun = begin(demo)
    assert begun == {
        "authorizeUrl": begun["authorizeUrl"],
        "state": begun["state"],
        "expiresAt": "2026-04-18T09:28:44Z",
    }
    assert begun["authorizeUrl"].startswith("http://localhost/consent/")
    state = {"state": begun["state"], "expiresAt": begun["expiresAt"]}
    assert status_of(demo, begun).json == state | {"status": "pending"}

    sent_back = answer(demo, begun, handle="acme.coffee")

    assert sent_back.location == f"{BACK}?layers_state={begun['state']}&status=success"
    account_id = status_of(demo, begun).json["socialAccountId"]
    assert status_of(demo, begun).json == state | {"status": "completed", "socialAccountId": account_id}
    newest = listed(demo)[0]
    assert newest == newest | {
        "socialAccountId": account_id,
        "platform": "tiktok",
        "handle": "acme.coffee",
        "status": "connected",
        "connectedAt": "2026-04-18T09:18:44Z",
        "tokenExpiresAt": "2026-05-18T09:18:44Z",
    }


def test_a_no_fails_the_state(demo):
    begun = begin(demo)
    assert parse_qs(urlsplit(answer(demo, begun, decision="no").location).query)["status"] == ["failed"]
    assert status_of(demo, begun).json == {
        "state": begun["state"],
        "status": "failed",
        "expiresAt": begun["expiresAt"],
        "error": {"code": "ACCESS_DENIED", "message": "The person did not allow it."},
    }


def test_a_state_fails_by_the_clock_and_back_with_it(demo, clock):
    begun = begin(demo)
    clock.move(minutes=10, seconds=-1)
    assert status_of(demo, begun).json["status"] == "pending"
    clock.move(seconds=1)
    assert status_of(demo, begun).json["error"] == {
        "code": "STATE_EXPIRED",
        "message": "Nobody answered within ten minutes.",
    }
    clock.move(minutes=-1)
    assert status_of(demo, begun).json["status"] == "pending"


def test_what_was_answered_in_time_stays_answered(demo, clock):
    begun = begin(demo)
    answer(demo, begun)
    clock.move(hours=1)
    assert status_of(demo, begun).json["status"] == "completed"


def test_only_the_key_that_asked_sees_the_state(client, demo, store, organization):
    begun = begin(demo)
    for headers in (key_of(store, organization, "*"), key_of(store, new_organization(store), "*")):
        assert refused(status_of(client, begun, headers=headers)) == NO_STATE
    assert refused(demo.get("/v1/social/oauth-status/st_unknown")) == NO_STATE
    assert refused(demo.get(f"/v1/social/oauth-status/{TIKTOK}")) == NO_STATE


def test_old_states_are_deleted_as_new_ones_come(demo, store, organization, clock):
    begun = [begin(demo) for _ in range(3)]
    clock.move(hours=24, seconds=1)
    begin(demo)
    assert store.db.count("oauth_states", organization) == 2
    assert [status_of(demo, each).status_code for each in begun].count(404) == 2


def test_the_same_handle_keeps_its_id(demo, clock):
    first = connect(demo, handle="acme")
    clock.move(days=3)
    assert connect(demo, handle="acme") == first
    assert demo.delete(f"/v1/social-accounts/{first}").status_code == 200
    clock.move(days=1)
    assert connect(demo, handle="acme") == first
    assert [(each["status"], each["connectedAt"]) for each in listed(demo) if each["handle"] == "acme"] == [
        ("connected", "2026-04-22T09:18:44Z")
    ]
    assert connect(demo, handle="acme2") != first


def test_a_repeated_request_gets_the_same_page_under_the_callers_name(client):
    def ask(base_url):
        headers = DEMO | {"Idempotency-Key": "once"}
        body = {"platform": "tiktok", "returnUrl": BACK}
        return client.post(OAUTH, json=body, headers=headers, base_url=base_url).json

    first, second = ask("http://localhost"), ask("http://127.0.0.1:9000")
    assert second == first | {
        "authorizeUrl": first["authorizeUrl"].replace("http://localhost/", "http://127.0.0.1:9000/")
    }


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, invalid(platform=["Required"], returnUrl=["Required"])),
        (
            {"platform": "youtube", "returnUrl": "x"},
            invalid(platform=["Invalid enum value"], returnUrl=["Invalid url"]),
        ),
        (
            {"platform": "tiktok", "returnUrl": BACK, "scopes": "all", "x": 1},
            invalid(scopes=["Expected array, received string"], x=["Unrecognized key"]),
        ),
        (
            {"platform": "tiktok", "returnUrl": f"{BACK}?{'x' * 2048}"},
            invalid(returnUrl=["String must contain at most 2048 character(s)"]),
        ),
        ({"platform": "tiktok", "returnUrl": "javascript:alert(1)"}, invalid(returnUrl=["Invalid url"])),
        *[  # hosts that no redirect can name
            ({"platform": "tiktok", "returnUrl": f"http://{host}/"}, invalid(returnUrl=["Invalid url"]))
            for host in (".localhost", "a..localhost", f"{'a' * 64}.localhost")
        ],
    ],
    ids=str,
)
def test_a_body_that_is_wrong_begins_nothing(demo, on_disk, body, refusal):
    is_unchanged = unchanged(on_disk)
    assert refused(demo.post(OAUTH, json=body)) == refusal
    assert is_unchanged()


def test_a_return_url_has_to_be_on_the_list(demo, rooms, on_disk):
    body = {"platform": "tiktok", "returnUrl": "https://app.example.com/back"}
    is_unchanged = unchanged(on_disk)
    assert refused(demo.post(OAUTH, json=body)) == {
        "status": 403,
        "code": "RETURN_URL_NOT_ALLOWED",
        "message": "The returnUrl is not on the allow-list: it may be a loopback address, "
        "or one of STANDIN_RETURN_ORIGINS.",
    }
    assert is_unchanged()
    settings = Settings(**vars(rooms.settings) | {"return_origins": ("https://app.example.com",)})
    allowing = create_app(Services(rooms.store, rooms.media, settings)).test_client()
    assert allowing.post(OAUTH, json=body, headers=DEMO).status_code == 200


# Lists


def test_a_list_is_filtered_and_paged(demo):
    newest = connect(demo, handle="acme")
    demo.delete(f"/v1/social-accounts/{INSTAGRAM}")
    assert ids(demo) == [newest, INSTAGRAM, TIKTOK]
    assert ids(demo, platform="tiktok") == [newest, TIKTOK]
    assert ids(demo, status="disconnected") == [INSTAGRAM]
    assert ids(demo, status="connected", platform="instagram") == []
    assert ids(demo, leased="false") == [newest, INSTAGRAM, TIKTOK]
    assert ids(demo, leased="true") == []
    page = demo.get(ACCOUNTS, query_string={"limit": 2}).json
    assert len(page["items"]) == 2
    assert ids(demo, limit=2, cursor=page["nextCursor"]) == [TIKTOK]


@pytest.mark.parametrize(
    ("query", "field", "fault"),
    [
        ({"platform": "x"}, "platform", "Invalid enum value"),
        ({"status": "x"}, "status", "Invalid enum value"),
        ({"leased": "yes"}, "leased", "Invalid enum value"),
        ({"limit": "201"}, "limit", "Number must be less than or equal to 200"),
    ],
    ids=str,
)
def test_a_query_that_is_wrong(demo, query, field, fault):
    refusal = invalid(**{field: [fault]}) | {"message": "Invalid query."}
    assert refused(demo.get(ACCOUNTS, query_string=query)) == refusal


def test_a_token_is_renewed_every_thirty_days(demo, clock):
    assert listed(demo)[0]["tokenExpiresAt"] == "2026-05-01T09:31:00Z"
    clock.move(days=13, hours=1)
    assert listed(demo)[0]["tokenExpiresAt"] == "2026-05-31T09:31:00Z"
    clock.move(days=-400)
    assert listed(demo)[0]["tokenExpiresAt"] == "2026-05-01T09:31:00Z"


# Disconnecting


@on_both
def test_a_disconnected_account_stays_in_the_list_and_is_otherwise_gone(demo, on_disk):
    response = demo.delete(f"/v1/social-accounts/{TIKTOK}")
    assert (response.status_code, response.json) == (
        200,
        {
            "socialAccountId": TIKTOK,
            "status": "disconnected",
            "disconnectedReason": "revoked_by_partner",
            "canceledScheduledPosts": 0,
            "disconnectedAt": "2026-04-18T09:18:44Z",
        },
    )
    (account,) = listed(demo, status="disconnected")
    assert (account["socialAccountId"], account["tokenExpiresAt"]) == (TIKTOK, None)
    is_unchanged = unchanged(on_disk)
    assert refused(demo.delete(f"/v1/social-accounts/{TIKTOK}")) == NO_ACCOUNT
    assert is_unchanged()


def test_another_organizations_account_is_not_there(client, store, on_disk):
    theirs = key_of(store, new_organization(store), "*")
    is_unchanged = unchanged(on_disk)
    assert refused(client.delete(f"/v1/social-accounts/{TIKTOK}", headers=theirs)) == NO_ACCOUNT
    assert is_unchanged()


# What is commanded


def test_an_account_can_be_in_need_of_a_new_consent(demo, control, organization):
    said = control.put(f"/social-accounts/{TIKTOK}", status="reauth_required")
    (account,) = listed(demo, status="reauth_required")
    assert said == {"organizationId": organization} | account
    assert (account["socialAccountId"], account["tokenExpiresAt"]) == (TIKTOK, "2026-04-18T09:18:44Z")
    assert connect(demo, handle="northwind.spring") == TIKTOK
    assert listed(demo, status="reauth_required") == []


def test_only_these_two_states_are_commanded(control, on_disk):
    is_unchanged = unchanged(on_disk)
    for status in (None, "disconnected", "x"):
        assert control.send("PUT", f"/social-accounts/{TIKTOK}", {"status": status}).status_code == 422
    assert refused(control.send("PUT", "/social-accounts/sa_unknown", {"status": "connected"})) == NO_ACCOUNT
    assert is_unchanged()
