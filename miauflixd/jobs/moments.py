"""Moments as the database has them: microseconds since 1970, which sort and compare as they are."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_number(moment: datetime) -> int:
    """Return a moment as a number."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_number(number: int) -> datetime:
    """Return the moment that a number stands for."""
    return _EPOCH + timedelta(microseconds=number)
