"""Instants as the database keeps them: integer microseconds since 1970 in UTC, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, overload

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
SECOND: Final = 1_000_000


@overload
def micros(value: datetime) -> int: ...
@overload
def micros(value: None) -> None: ...
@overload
def micros(value: datetime | None) -> int | None: ...
def micros(value: datetime | None) -> int | None:
    """Return the stored form of an aware ``value``; None stays None."""
    return None if value is None else (value - _EPOCH) // _MICROSECOND


@overload
def instant(value: int) -> datetime: ...
@overload
def instant(value: None) -> None: ...
@overload
def instant(value: int | None) -> datetime | None: ...
def instant(value: int | None) -> datetime | None:
    """Return the UTC datetime that a stored ``value`` means; None stays None."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)
