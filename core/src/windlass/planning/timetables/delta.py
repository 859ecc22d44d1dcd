"""The grid of a duration: one instant, and every whole multiple of the duration from there, both ways.

A timedelta is absolute: 24 hours after noon may be 13:00 on the wall. Calendar parts (a month, a day) are added on the
wall of the DAG's time zone, always counted from the anchor, so that a month after 31 January is 28 February and two
months after it 31 March. A wall time that the zone leaves out counts as the first valid instant.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import MAXYEAR, UTC, datetime, timedelta, tzinfo

from windlass.errors import AuthoringError
from windlass.moment import utc
from windlass.planning.timetables.wallclock import resolve
from windlass.spec import RelativeDelta

_MONTHS_PER_YEAR = 12
_MEAN_MONTH = timedelta(days=30.436875)
#: Where grids of DAGs without a start_date are anchored.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Stand for the instants beyond the calendar.
_START, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def shift(at: datetime, delta: RelativeDelta, times: int, zone: tzinfo) -> datetime:
    """Return the instant ``times`` (negative: back) ``delta`` after ``at``, with calendar parts counted in ``zone``.

    :raises OverflowError: if the calendar ends before.
    """
    moved = utc(at)
    months = (delta.years * _MONTHS_PER_YEAR + delta.months) * times
    if months or delta.days:
        moved = resolve(_add(moved.astimezone(zone).replace(tzinfo=None, fold=0), months, delta.days * times), zone)
    return moved + timedelta(seconds=delta.seconds) * times


def _add(wall: datetime, months: int, days: int) -> datetime:
    year, month = divmod(wall.year * _MONTHS_PER_YEAR + wall.month - 1 + months, _MONTHS_PER_YEAR)
    if not 1 <= year <= MAXYEAR:
        msg = f"year {year} is outside the calendar"
        raise OverflowError(msg)
    day = min(wall.day, monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day) + timedelta(days=days)


def require_positive(delta: RelativeDelta) -> None:
    """Refuse a duration that does not move time on."""
    parts = (delta.years, delta.months, delta.days, delta.seconds)
    if min(parts) < 0 or not (any(parts[:3]) or timedelta(seconds=delta.seconds)):
        msg = (
            f"schedule of {describe(delta)} does not move time on; give a positive duration such as timedelta(hours=6)"
        )
        raise AuthoringError(msg)


def describe(delta: RelativeDelta) -> str:
    """Return the duration in words, for example ``1 month, 6:00:00``."""
    parts = [
        f"{count} {unit}{'' if count == 1 else 's'}"
        for count, unit in ((delta.years, "year"), (delta.months, "month"), (delta.days, "calendar day"))
        if count
    ]
    if delta.seconds or not parts:
        parts.append(str(timedelta(seconds=delta.seconds)))
    return ", ".join(parts)


class DeltaGrid:
    """``anchor`` and every whole multiple of ``delta`` before and after it."""

    def __init__(self, delta: RelativeDelta, anchor: datetime | None, zone: tzinfo) -> None:
        self._delta = delta
        self._anchor = _EPOCH if anchor is None else utc(anchor)
        self._zone = zone
        months = delta.years * _MONTHS_PER_YEAR + delta.months
        self._mean = months * _MEAN_MONTH + timedelta(days=delta.days, seconds=delta.seconds)

    def after(self, at: datetime) -> datetime | None:
        """Return the first instant later than ``at``, or None at the end of the calendar."""
        found = self._point(self._count_at(utc(at)) + 1)
        return None if found == _END else found

    def before(self, at: datetime) -> datetime | None:
        """Return the last instant earlier than ``at``, or None at the beginning of the calendar."""
        found = self._point(self._count_at(utc(at) - timedelta.resolution))
        return None if found == _START else found

    def _count_at(self, at: datetime) -> int:
        """Return the highest count whose instant is not later than ``at``."""
        count = (at - self._anchor) // self._mean  # exact for seconds, nearly so for calendar parts
        while self._point(count) > at:
            count -= 1
        while self._point(count + 1) <= at:
            count += 1
        return count

    def _point(self, count: int) -> datetime:
        try:
            return shift(self._anchor, self._delta, count, self._zone)
        except OverflowError:
            return _END if count > 0 else _START
