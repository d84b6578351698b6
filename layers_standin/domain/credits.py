"""Credits, which are in an organization's document: what is left, what was used, and what will be given back.

{"creditBalance", "creditsUsed"?: {"2026-11": number}, "refunds"?: {job id: {"atMs", "credits", "period"}}}. A job that
will fail has its refund noted when it begins, with the moment of its end: so the balance follows from the clock, and
nothing has to run at that moment.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from layers_standin.domain.times import epoch_milliseconds, from_epoch_milliseconds, seconds
from layers_standin.engines.table import Record

PRICES = {"video_remix": 120, "slideshow_remix": 50, "ugc_remix": 120, "auto": 120}
MOST_REFUNDS = 100  # that are noted; more are added to the balance for good
_MOST_PERIODS = 24


def balance_at(organization: Mapping[str, Any], now_ms: int) -> int:
    refunds = _refunds(organization).values()
    return int(organization["creditBalance"] + sum(each["credits"] for each in refunds if each["atMs"] <= now_ms))


def used_in(organization: Mapping[str, Any], period: str, now_ms: int) -> int:
    """Return the credits that were taken in a month, `2026-11`, without those that were given back by now."""
    refunds = [each for each in _refunds(organization).values() if each["period"] == period]
    used = organization.get("creditsUsed", {}).get(period, 0)
    return int(used - sum(each["credits"] for each in refunds if each["atMs"] <= now_ms))


def with_balance(organization: Mapping[str, Any], balance: int, now_ms: int) -> Record:
    """Return the organization with that balance now; what jobs give back later still comes on top."""
    given_back = balance_at(organization, now_ms) - organization["creditBalance"]
    return dict(organization) | {"creditBalance": balance - given_back}


def take(organization: Mapping[str, Any], credits: int, at_ms: int) -> Record:
    """Return the organization after a job has begun at `at_ms`; the balance may fall below zero."""
    return _moved(organization, credits, period_of(at_ms))


def give_back(organization: Mapping[str, Any], job_id: str, credits: int, taken_ms: int) -> Record:
    """Return the organization after a job was canceled that has begun at `taken_ms`."""
    others = {key: each for key, each in _refunds(organization).items() if key != job_id}
    return _moved(dict(organization) | {"refunds": others}, -credits, period_of(taken_ms))


def note_refund(organization: Mapping[str, Any], job_id: str, credits: int, taken_ms: int, at_ms: int) -> Record:
    """Return the organization with credits that a job gives back when it fails, at `at_ms`."""
    refund = {"atMs": at_ms, "credits": credits, "period": period_of(taken_ms)}
    return dict(organization) | {"refunds": _refunds(organization) | {job_id: refund}}


def fold_refunds(organization: Mapping[str, Any], now_ms: int) -> Record:
    """Return the organization with its oldest refunds that are over in the balance, beyond MOST_REFUNDS."""
    refunds = _refunds(organization)
    over = sorted((each["atMs"], job_id) for job_id, each in refunds.items() if each["atMs"] <= now_ms)
    folded = dict(organization)
    for _, job_id in over[: max(0, len(refunds) - MOST_REFUNDS)]:
        refund = refunds[job_id]
        others = {key: each for key, each in _refunds(folded).items() if key != job_id}
        folded = _moved(folded | {"refunds": others}, -refund["credits"], refund["period"])
    return folded


def has_refund(organization: Mapping[str, Any], job_id: str) -> bool:
    return job_id in _refunds(organization)


def credits_view(organization: Mapping[str, Any], now: datetime) -> Record:
    """Return the credits of the contract. All are prepaid: the stand-in has no subscription."""
    now_ms = epoch_milliseconds(now)
    balance, period = balance_at(organization, now_ms), period_of(now_ms)
    used = used_in(organization, period, now_ms)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    is_last = (now.year, now.month) == (9999, 12)
    end = start.replace(day=31) if is_last else (start + timedelta(days=31)).replace(day=1)
    return {
        "organizationId": organization["id"],
        "balance": balance,
        "includedRemaining": 0,
        "prepaidBalance": balance,
        "includedThisPeriod": 0,
        "usedThisPeriod": used,
        "currentPeriod": {"start": seconds(start), "end": seconds(end), "usedCredits": used},
        "subscriptionTier": "stand-in",
        "billingStatus": "active",
        "estimatedCreditsPerFormat": PRICES,
        "ingestCostsBilled": {"github": False, "website": False, "appstore": False},
    }


def period_of(moment_ms: int) -> str:
    return seconds(from_epoch_milliseconds(moment_ms))[:7]


def _refunds(organization: Mapping[str, Any]) -> dict[str, Record]:
    found: dict[str, Record] = organization.get("refunds", {})
    return found


def _moved(organization: Mapping[str, Any], credits: int, period: str) -> Record:
    used = organization.get("creditsUsed", {})
    periods = sorted((used | {period: used.get(period, 0) + credits}).items())[-_MOST_PERIODS:]
    return dict(organization) | {
        "creditBalance": organization["creditBalance"] - credits,
        "creditsUsed": dict(periods),
    }
