"""Instants, as the API writes them and as documents compare them. All in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def utc_now() -> datetime:
    return datetime.now(UTC)


def seconds(moment: datetime) -> str:
    """Return 2026-04-18T09:18:44Z."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> str:
    """Return 2026-04-18T09:18:44.120Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND  # whole numbers all the way: a float would lose one now and then


def from_epoch_milliseconds(number: int) -> datetime:
    return _EPOCH + number * _MILLISECOND
