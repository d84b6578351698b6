"""Credits: taken when content is begun, given back when it fails or is canceled, never lost or counted twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from api_helpers import SPRING, key_of, new_organization, refused
from conftest import AVA, DEMO
from hypothesis import given
from hypothesis import strategies as st

from layers_standin.domain.credits import (
    MOST_REFUNDS,
    PRICES,
    balance_at,
    fold_refunds,
    give_back,
    note_refund,
    take,
    used_in,
    with_balance,
)

pytestmark = pytest.mark.postgres

CONTENT = f"/v1/projects/{SPRING}/content"
FAILURE = {"code": "MODEL_ERROR", "message": "The model did not converge."}


def credits(client):
    found = client.get("/v1/credits").json
    assert found["balance"] == client.get("/v1/whoami").json["creditBalance"] == found["prepaidBalance"]
    return found["balance"], found["usedThisPeriod"]


def test_the_credits_of_a_new_store(demo, organization):
    assert list(demo.get("/v1/credits").json.items()) == [
        ("organizationId", organization),
        ("balance", 25000),
        ("includedRemaining", 0),
        ("prepaidBalance", 25000),
        ("includedThisPeriod", 0),
        ("usedThisPeriod", 0),
        ("currentPeriod", {"start": "2026-04-01T00:00:00Z", "end": "2026-05-01T00:00:00Z", "usedCredits": 0}),
        ("subscriptionTier", "stand-in"),
        ("billingStatus", "active"),
        ("estimatedCreditsPerFormat", {"video_remix": 120, "slideshow_remix": 50, "ugc_remix": 120, "auto": 120}),
        ("ingestCostsBilled", {"github": False, "website": False, "appstore": False}),
    ]


@pytest.mark.parametrize("format_", PRICES)
def test_each_container_costs_the_price_of_its_format(demo, format_):
    job = demo.post(CONTENT, json={"format": format_, "variantCount": 3}).json

    assert len(job["containerIds"]) == 3
    assert credits(demo) == (25000 - 3 * PRICES[format_], 3 * PRICES[format_])


def test_what_is_no_content_costs_nothing(demo):
    demo.post(f"/v1/projects/{SPRING}/influencers", json={"name": "Kim"})
    demo.post(f"/v1/influencers/{AVA}/clone", json={"name": "Kim"})

    assert credits(demo) == (25000, 0)


def test_making_it_again_costs_the_same_once_more(demo, clock):
    job = demo.post(CONTENT, json={"format": "slideshow_remix"}).json
    clock.move(seconds=2)
    demo.post(f"/v1/content/{job['containerId']}/regenerate", json={"preserveAssets": True})

    assert credits(demo) == (24900, 100)


def test_a_job_that_fails_gives_back_at_its_end_whoever_looks_and_never_twice(demo, control, clock):
    control.post("/faults", match={"operation": "generateContent"}, times=1, answer={"failJob": FAILURE})
    job = demo.post(CONTENT, json={"variantCount": 2}).json
    seen = []
    for milliseconds in (0, 1999, 1, 9999, -9999, -1, 1):
        clock.move(milliseconds=milliseconds)
        seen.append(credits(demo)[0])
    assert seen == [24760, 24760, 25000, 25000, 25000, 24760, 25000]
    clock.move(seconds=-1)
    assert demo.post(f"{job['locationUrl']}/cancel").status_code == 202
    assert credits(demo) == (25000, 0)
    clock.move(days=1)
    assert credits(demo) == (25000, 0)


def test_what_was_given_back_for_good_is_not_given_back_again(demo, control, clock, store, organization):
    control.post("/faults", match={"operation": "generateContent"}, times=1, answer={"failJob": FAILURE})
    job = demo.post(CONTENT, json={}).json
    clock.move(seconds=2)
    owner = store.for_organization(organization).organizations.get(organization)
    later = {f"job_{n}": {"atMs": 10**13, "credits": 1, "period": "2286-11"} for n in range(MOST_REFUNDS)}
    store.tables.put("organizations", owner | {"refunds": owner["refunds"] | later})
    demo.post(CONTENT, json={"format": "slideshow_remix"})  # which makes room for refunds
    assert job["jobId"] not in store.for_organization(organization).organizations.get(organization)["refunds"]
    assert credits(demo)[0] == 24950
    clock.move(seconds=-2)

    assert demo.post(f"{job['locationUrl']}/cancel").status_code == 202

    assert credits(demo)[0] == 24950


def test_a_canceled_job_gives_back_at_once_and_only_once(demo, clock):
    job = demo.post(CONTENT, json={}).json
    for _ in range(3):
        demo.post(f"{job['locationUrl']}/cancel")
        assert credits(demo) == (25000, 0)
    demo.delete(f"/v1/projects/{SPRING}")

    assert credits(demo) == (25000, 0)


def test_a_month_is_counted_by_the_clock(demo, clock):
    demo.post(CONTENT, json={})
    clock.move(days=13)

    assert credits(demo) == (24880, 0)
    period = demo.get("/v1/credits").json["currentPeriod"]
    assert period == {"start": "2026-05-01T00:00:00Z", "end": "2026-06-01T00:00:00Z", "usedCredits": 0}
    clock.move(days=-13)
    assert credits(demo) == (24880, 120)


def test_the_last_month_of_all_has_an_end(demo, control):
    control.put("/clock", mode="frozen", at="9999-12-01T00:00:00Z")

    period = demo.get("/v1/credits").json["currentPeriod"]
    assert period == {"start": "9999-12-01T00:00:00Z", "end": "9999-12-31T00:00:00Z", "usedCredits": 0}


def test_an_empty_wallet_refuses_nothing(demo, control):
    control.put("/credits", balance=100)
    assert credits(demo)[0] == 100

    assert demo.post(CONTENT, json={}).status_code == 202
    assert credits(demo) == (-20, 120)


def test_the_balance_is_set_for_one_organization_or_for_each(client, demo, control, store, organization):
    other = new_organization(store)
    theirs = key_of(store, other)

    said = control.put("/credits", balance=7, organizationId=other)
    assert said == {"organizationId": other, "balance": 7}
    assert client.get("/v1/credits", headers=theirs).json["balance"] == 7
    assert client.get("/v1/credits", headers=DEMO).json["balance"] == 25000
    assert control.put("/credits", balance=-5) == {"organizationId": None, "balance": -5}
    assert {client.get("/v1/credits", headers=each).json["balance"] for each in (DEMO, theirs)} == {-5}
    assert refused(control.send("PUT", "/credits", {"balance": 1, "organizationId": "x"}))["status"] == 404


def test_twelve_at_once_are_all_counted(app, demo):
    def send(number):
        return app.test_client().post(CONTENT, json={"format": "slideshow_remix"}, headers=DEMO)

    with ThreadPoolExecutor(12) as pool:
        jobs = [reply.json for reply in pool.map(send, range(12))]
    assert credits(demo) == (25000 - 600, 600)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda job: app.test_client().post(f"{job['locationUrl']}/cancel", headers=DEMO), jobs * 2))

    assert credits(demo) == (25000, 0)


# By rule

events = st.lists(st.tuples(st.sampled_from(["ends", "fails", "is canceled"]), st.integers(1, 500)), max_size=150)


@given(events, st.integers(0, 10**12))
def test_what_ends_badly_costs_nothing_in_the_end(jobs, begin):
    organization, expected = {"id": "o", "creditBalance": 1000}, 1000
    for number, (fate, price) in enumerate(jobs):
        at, name = begin + number * 10, f"job_{number}"
        organization = take(organization, price, at)
        if fate == "fails":
            organization = note_refund(organization, name, price, at, at + 5)
        elif fate == "is canceled":
            organization = give_back(organization, name, price, at)
        else:
            expected -= price
        organization = fold_refunds(organization, at + 5)
        assert balance_at(organization, at + 5) == expected
    assert len(organization.get("refunds", {})) <= MOST_REFUNDS
    periods = organization.get("creditsUsed", {})
    assert sum(used_in(organization, period, 10**13) for period in periods) == 1000 - expected


@given(st.integers(-(10**6), 10**6), st.integers(0, 3))
def test_a_balance_that_is_set_holds_now_and_later_refunds_come_on_top(balance, passed):
    organization = note_refund(take({"id": "o", "creditBalance": 5}, 7, 0), "job", 7, 0, 2)

    changed = with_balance(organization, balance, passed)

    assert balance_at(changed, passed) == balance
    assert balance_at(changed, 9) == balance + (7 if passed < 2 else 0)
