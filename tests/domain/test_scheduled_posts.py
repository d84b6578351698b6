"""Scheduled posts by themselves: their state at a moment, and lists of them, whatever the clock says."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.domain import posts
from layers_standin.domain.posts import (
    ENDS,
    REAUTH_REQUIRED,
    STATUSES,
    approve,
    cancel,
    is_visible,
    moment,
    post_view,
    reschedule,
    sort_key,
    state_at,
)
from layers_standin.domain.scheduled_posts import Posts
from layers_standin.domain.tables import Tables
from layers_standin.domain.times import epoch_milliseconds
from layers_standin.engines.table import Engine, Record

pytestmark = pytest.mark.postgres

PROJECT, ACCOUNT = "proj_1", "sa_1"
NOON = 1_776_513_600_000  # 2026-04-18T12:00:00Z


def post(**fields: Any) -> Record:
    """Return a post that is scheduled at noon and takes two seconds."""
    return {
        "id": "sp_1",
        "organizationId": "org",
        "projectId": PROJECT,
        "containerId": "cnt_1",
        "socialAccountId": ACCOUNT,
        "platform": "tiktok",
        "handle": "acme",
        "mode": "direct_publish",
        "caption": "Spring is here",
        "firstComment": None,
        "scheduledMs": NOON,
        "createdMs": NOON - 60_000,
        "opensMs": 0,
        "lengthMs": 2000,
        "updatedMs": NOON - 60_000,
        "canceledMs": None,
        "failure": None,
        "token": "t0ken",
    } | fields


@pytest.mark.parametrize(
    ("fields", "at", "status"),
    [
        ({}, -60_000, "queued"),
        ({}, -1, "queued"),
        ({}, 0, "publishing"),
        ({}, 1999, "publishing"),
        ({}, 2000, "published"),
        ({}, 10**12, "published"),
        ({}, -(10**9), "queued"),  # a clock set back
        ({"mode": "draft_to_device"}, 1999, "publishing"),
        ({"mode": "draft_to_device"}, 2000, "draft_in_inbox"),
        ({"failure": REAUTH_REQUIRED}, 1999, "publishing"),
        ({"failure": REAUTH_REQUIRED}, 2000, "failed"),
        ({"mode": "draft_to_device", "failure": REAUTH_REQUIRED}, 2000, "failed"),
        ({"canceledMs": NOON - 1}, -60_000, "canceled"),
        ({"canceledMs": NOON - 1}, 10**9, "canceled"),
        ({"lengthMs": 0}, -1, "queued"),
        ({"lengthMs": 0}, 0, "published"),
        ({"scheduledMs": 0}, -60_001, "queued"),  # scheduled for the past: begins when it was made
        ({"scheduledMs": 0}, -60_000, "publishing"),
        ({"opensMs": NOON + 5000}, 4999, "queued"),
        ({"opensMs": NOON + 5000}, 5000, "publishing"),
        ({"opensMs": NOON + 5000}, 7000, "published"),
        ({"opensMs": NOON - 30_000}, 0, "publishing"),
        ({"opensMs": None}, 10**9, "queued"),
    ],
)
def test_the_state_of_a_post_at_a_moment(fields, at, status):
    assert state_at(post(**fields), NOON + at).status == status


@pytest.mark.parametrize(
    ("fields", "at", "is_there"),
    [
        ({}, -(10**9), True),
        ({"opensMs": None}, 10**9, False),
        ({"opensMs": NOON}, -1, False),
        ({"opensMs": NOON}, 0, True),
        ({"opensMs": NOON, "canceledMs": NOON + 5}, 10, True),
        ({"opensMs": NOON, "canceledMs": NOON - 5}, 10, False),
        ({"opensMs": None, "canceledMs": NOON}, 10, False),
    ],
)
def test_a_post_is_there_from_the_approval_of_its_content_on(fields, at, is_there):
    assert is_visible(post(**fields), NOON + at) is is_there


def test_the_record_of_a_post_follows_its_state():
    queued = post_view(post(), NOON - 1, "http://here")
    assert queued == {
        "id": "sp_1",
        "containerId": "cnt_1",
        "socialAccountId": ACCOUNT,
        "platform": "tiktok",
        "mode": "direct_publish",
        "status": "queued",
        "caption": "Spring is here",
        "firstComment": None,
        "externalId": None,
        "externalUrl": None,
        "scheduledFor": "2026-04-18T12:00:00Z",
        "attemptedAt": None,
        "publishedAt": None,
        "canceledAt": None,
        "lastError": None,
        "createdAt": "2026-04-18T11:59:00Z",
        "updatedAt": "2026-04-18T11:59:00Z",
    }
    publishing = queued | {
        "status": "publishing",
        "attemptedAt": "2026-04-18T12:00:00Z",
        "updatedAt": "2026-04-18T12:00:00Z",
    }
    assert post_view(post(), NOON, "http://here") == publishing
    assert post_view(post(), NOON + 2000, "http://here") == publishing | {
        "status": "published",
        "publishedAt": "2026-04-18T12:00:02Z",
        "updatedAt": "2026-04-18T12:00:02Z",
        "externalId": posts.external_id(post()),
        "externalUrl": "http://here/posts/org/sp_1/t0ken",
    }
    assert post_view(post(mode="draft_to_device"), NOON + 2000, "") == publishing | {
        "mode": "draft_to_device",
        "status": "draft_in_inbox",
        "updatedAt": "2026-04-18T12:00:02Z",
    }
    failure = {"code": "RATE_LIMITED_BY_PLATFORM", "message": "Try again tomorrow."}
    assert post_view(post(failure=failure), NOON + 2000, "") == publishing | {
        "status": "failed",
        "lastError": failure,
        "updatedAt": "2026-04-18T12:00:02Z",
    }
    assert post_view(cancel(post(), NOON - 1), NOON + 2000, "") == queued | {
        "status": "canceled",
        "canceledAt": "2026-04-18T11:59:59Z",
        "updatedAt": "2026-04-18T11:59:59Z",
    }


def test_an_approved_post_begins_when_it_was_approved_and_not_before_its_time():
    early, late = approve(post(opensMs=None), NOON - 5000), approve(post(opensMs=None), NOON + 5000)
    assert [state_at(early, NOON + at).status for at in (-1, 0)] == ["queued", "publishing"]
    assert [state_at(late, NOON + at).status for at in (4999, 5000)] == ["queued", "publishing"]
    assert post_view(late, NOON + 5000, "")["createdAt"] == "2026-04-18T12:00:05Z"


def test_a_moved_post_begins_at_its_new_time():
    moved = reschedule(post(), NOON + 60_000, NOON - 1)
    assert [state_at(moved, NOON + at).status for at in (59_999, 60_000)] == ["queued", "publishing"]


@pytest.mark.parametrize(
    ("moment_ms", "text"),
    [
        (NOON, "2026-04-18T12:00:00Z"),
        (NOON + 120, "2026-04-18T12:00:00.120Z"),
        (0, "1970-01-01T00:00:00Z"),
        (253_399_622_400_000, "9999-12-01T00:00:00Z"),
    ],
)
def test_a_time_has_milliseconds_only_if_it_was_given_any(moment_ms, text):
    assert moment(moment_ms) == text


def test_the_number_of_a_post_looks_like_a_platforms():
    numbers = {posts.external_id(post(token=f"t{number}")) for number in range(100)}
    assert len(numbers) == 100
    assert all(len(number) == 19 and number.isdigit() for number in numbers)


# Lists


def _some(number: int, at: int, **fields: Any) -> Record:
    return post(id=f"sp_{number:02d}", scheduledMs=NOON + at, createdMs=NOON - 10**6, **fields)


MANY = [
    _some(number, at, **fields)
    for number, (at, fields) in enumerate(
        product(
            (-90_000, -2000, -1000, 0, 1, 90_000),
            (
                {},
                {"mode": "draft_to_device"},
                {"failure": REAUTH_REQUIRED},
                {"canceledMs": NOON - 500_000},
                {"opensMs": None},
                {"opensMs": NOON - 1500},
                {"opensMs": NOON + 60_000},
                {"opensMs": NOON + 60_000, "canceledMs": NOON - 5},
                {"socialAccountId": "sa_2"},
            ),
        )
    )
]


@pytest.fixture
def listed(store, organization, clock):
    """Return the repository of an organization that has MANY posts, and one of another project and account."""
    own = store.for_organization(organization)
    with own.db.transaction():
        for each in [*MANY, post(id="sp_other", projectId="proj_2", socialAccountId="sa_3")]:
            own.tables.table("posts").insert(each | {"organizationId": organization})
    return Posts(own.tables)


def expected(now_ms: int, statuses: Any, account: str | None = None, since: int = 0, until: int = 10**15) -> list[str]:
    found = [
        each
        for each in MANY
        if is_visible(each, now_ms)
        and state_at(each, now_ms).status in statuses
        and account in (None, each["socialAccountId"])
        and since <= each["scheduledMs"] <= until
    ]
    return [each["id"] for each in sorted(found, key=sort_key, reverse=True)]


def everything(listed: Posts, **query: Any) -> list[str]:
    found, cursor = [], None
    while True:
        page, cursor = listed.page(PROJECT, query | {"cursor": cursor})
        found += [each["id"] for each in page]
        assert len(page) <= query["limit"]
        if cursor is None:
            return found


FILTERS: list[list[str]] = [*([status] for status in STATUSES), ["queued", "publishing"], ["canceled", "queued"]]
FILTERS += [["publishing", "published", "failed"], list(ENDS), list(STATUSES)]


@pytest.mark.parametrize("at", [-95_000, -1500, 0, 1000, 60_000, 10**7])
def test_a_list_by_status_has_those_and_no_others_in_order(listed, clock, at):
    clock.move(milliseconds=NOON + at - epoch_milliseconds(clock()))
    for statuses, limit in product(FILTERS, (2, 100)):
        assert everything(listed, status=statuses, limit=limit) == expected(NOON + at, statuses)
    assert everything(listed, limit=7) == expected(NOON + at, STATUSES)


@pytest.mark.parametrize("statuses", [None, ["queued"], ["published"], ["queued", "published"]], ids=str)
def test_a_list_by_account_and_time(listed, clock, statuses):
    clock.move(milliseconds=NOON - epoch_milliseconds(clock()))
    wanted = statuses or STATUSES
    query = {"limit": 3} | ({"status": statuses} if statuses else {})
    assert everything(listed, socialAccountId="sa_2", **query) == expected(NOON, wanted, "sa_2")
    assert everything(listed, socialAccountId="sa_3", **query) == []
    assert everything(listed, socialAccountId="sa_unknown", **query) == []
    window = {"since": NOON - 2000, "until": NOON + 1}
    assert everything(listed, **window, **query) == expected(NOON, wanted, None, NOON - 2000, NOON + 1)
    assert everything(listed, since=NOON + 1, until=NOON, **query) == []


@given(times=st.lists(st.integers(0, 10**6), min_size=3, max_size=3), length=st.integers(0, 10**5))
def test_a_post_never_goes_back(times, length):
    scheduled, created, opens = times
    each = post(scheduledMs=scheduled, createdMs=created, opensMs=opens, lengthMs=length)
    order = [STATUSES.index(state_at(each, now).status) for now in sorted({*times, *(time + length for time in times)})]
    assert order == sorted(order)


class CountingReads:
    """An engine that counts the documents that are read in batches, by their ids or along indexes."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.count = engine, 0

    def read_many(self, keys: Any) -> list[Record | None]:
        self.count += len(keys)
        return self._engine.read_many(keys)

    def scan_documents(self, *args: Any) -> list[tuple[str, Record | None]]:
        found = self._engine.scan_documents(*args)
        self.count += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@pytest.mark.parametrize(
    ("statuses", "found"),
    [(["queued"], 3), (["publishing"], 2), (["queued", "publishing"], 5), (["failed"], 1), (["canceled"], 1)],
    ids=str,
)
def test_a_list_by_status_reads_few_of_the_others(store, organization, clock, statuses, found):
    own = store.for_organization(organization)
    clock.move(milliseconds=NOON - epoch_milliseconds(clock()))
    times = [*(-10_000 - each for each in range(200)), -1000, 0, 1, 5000, 90_000]
    others: list[dict[str, Any]] = [{"failure": REAUTH_REQUIRED}, {"canceledMs": NOON - 500_000}]
    with own.db.transaction():
        for number, at in enumerate(times):
            own.tables.table("posts").insert(_some(number, at) | {"organizationId": organization})
        for number, fields in enumerate(others, len(times)):
            own.tables.table("posts").insert(_some(number, -9000, **fields) | {"organizationId": organization})
    engine = CountingReads(own.db)
    listed = Posts(Tables(engine, clock, organization))  # type: ignore[arg-type]
    page, _ = listed.page(PROJECT, {"status": statuses, "limit": 50})
    assert (len(page), engine.count) == (found, found)
