"""Cron expressions: the language, and the wall times that an expression names.

The language is that of croniter, which Airflow's users write: five fields (minute, hour, day of month, month, day of
week), a sixth and last one for seconds, names of months and days, ``?`` for ``*``, ranges that wrap (``SAT-SUN``),
``L`` for the last day, ``5L`` or ``L5`` for the last Friday, ``MON#2`` for the second Monday. A day matches if it
fits the day of month *or* the day of week when both are set.

cronsim does the parsing and knows the days. Stepping is ours: bisecting the minutes of a day costs microseconds where
ticking through them costs dozens, and it leaves daylight saving to the floor above, which needs plain wall times.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from cronsim import CronSim, CronSimError

from windlass.errors import AuthoringError

_DAY = timedelta(days=1)
#: No match for so many years means there is none: 29 February on a given weekday returns within 40.
_HORIZON_YEARS = 50


class _Field(NamedTuple):
    """A field of the expression: its name, its range, and an example for errors."""

    name: str
    low: int
    high: int
    example: str
    names: tuple[str, ...] = ()


_MONTHS = ("", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("minute", 0, 59, "*/15"),
    _Field("hour", 0, 23, "9-17"),
    _Field("day-of-month", 1, 31, "1,15"),
    _Field("month", 1, 12, "JAN-MAR", _MONTHS),
    _Field("day-of-week", 0, 6, "MON-FRI", _DAYS),
    _Field("second", 0, 59, "*/30"),
)
_SHAPE = "minute hour day-of-month month day-of-week, with an optional sixth field for the second"
_TERM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")
_LAST_WEEKDAY = re.compile(r"L(\w+)")


class CronExpression:
    """The wall times that a cron expression names. Immutable once made.

    ``repeats`` says what happens to a wall time that the clock shows twice: an expression with a wildcard in its minute
    or hour field follows elapsed time, and matches both; one for fixed times matches once. ``hourly`` is true if every
    hour of a matching day has a match.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        fields = text.upper().replace("?", "*").split()
        if len(fields) not in (5, 6):
            msg = f"cron expression {text!r} has {len(fields)} fields; write {_SHAPE}, for example '30 6 * * MON-FRI'"
            raise AuthoringError(msg)
        fields = [self._rewrite(field, kind) for field, kind in zip(fields, _FIELDS, strict=False)]
        second = fields[5] if len(fields) == len(_FIELDS) else "0"
        try:
            # The start only matters to cronsim's own stepping, which is not used.
            self._parsed = CronSim(" ".join([second, *fields[:5]]), datetime(2000, 1, 1))  # noqa: DTZ001
        except CronSimError as error:
            name = str(error).removeprefix("Bad ")
            raise self._error(next(kind for kind in _FIELDS if kind.name == name)) from None
        hours = sorted(self._parsed.hours)
        self._minutes = tuple(hour * 60 + minute for hour in hours for minute in sorted(self._parsed.minutes))
        self._seconds = tuple(sorted(self._parsed.seconds))
        self.hourly = len(hours) == 24
        self.repeats = self.hourly or "*" in fields[0] or "*" in fields[1]
        if self.after(datetime(2000, 1, 1)) is None:  # noqa: DTZ001 - a wall time
            msg = f"cron expression {text!r} names a day that never comes; give a day-of-month that its months have"
            raise AuthoringError(msg)

    def after(self, wall: datetime) -> datetime | None:
        """Return the first matching wall time later than ``wall``, a naive datetime of whole seconds."""
        day = wall.date()
        if self._is_day(day):
            minute = wall.hour * 60 + wall.minute
            index = bisect_left(self._minutes, minute)
            if index < len(self._minutes) and self._minutes[index] == minute:
                second = bisect_right(self._seconds, wall.second)
                if second < len(self._seconds):
                    return self._at(day, minute, self._seconds[second])
                index += 1
            if index < len(self._minutes):
                return self._at(day, self._minutes[index], self._seconds[0])
        next_day = self._next_day(day, _DAY)
        return None if next_day is None else self._at(next_day, self._minutes[0], self._seconds[0])

    def before(self, wall: datetime) -> datetime | None:
        """Return the last matching wall time earlier than ``wall``, a naive datetime of whole seconds."""
        day = wall.date()
        if self._is_day(day):
            minute = wall.hour * 60 + wall.minute
            index = bisect_right(self._minutes, minute) - 1
            if index >= 0 and self._minutes[index] == minute:
                second = bisect_left(self._seconds, wall.second) - 1
                if second >= 0:
                    return self._at(day, minute, self._seconds[second])
                index -= 1
            if index >= 0:
                return self._at(day, self._minutes[index], self._seconds[-1])
        previous_day = self._next_day(day, -_DAY)
        return None if previous_day is None else self._at(previous_day, self._minutes[-1], self._seconds[-1])

    def _is_day(self, day: date) -> bool:
        return day.month in self._parsed.months and self._parsed.match_day(day)

    def _next_day(self, day: date, step: timedelta) -> date | None:
        start = day.year
        try:
            while abs(day.year - start) <= _HORIZON_YEARS:
                day += step
                if day.month not in self._parsed.months:
                    month = day.month
                    while day.month == month:
                        day += step
                    day -= step
                elif self._parsed.match_day(day):
                    return day
        except OverflowError:  # the end of the calendar
            pass
        return None

    @staticmethod
    def _at(day: date, minute: int, second: int) -> datetime:
        return datetime.combine(day, time(minute // 60, minute % 60, second))

    def _rewrite(self, field: str, kind: _Field) -> str:
        """Return ``field`` in cronsim's dialect: no reversed ranges, and a star only where the whole field is one."""
        terms = [self._rewrite_term(term, kind) for term in field.split(",")]
        return "*" if "*" in terms else ",".join(terms)

    def _rewrite_term(self, term: str, kind: _Field) -> str:
        if kind.name == "day-of-week" and (last_one := _LAST_WEEKDAY.fullmatch(term)):
            return f"{self._number(last_one[1], kind)}L"
        match = _TERM.fullmatch(term)
        if match is None or not (match["last"] or match["step"] or term == "*"):
            return term  # a plain value, L, LW or MON#2: cronsim's business
        step = int(match["step"] or 1)
        if not 0 < step <= kind.high - kind.low + 1:  # "*/90" minutes is not every 90 minutes
            raise self._error(kind)
        first, last = match["first"], match["last"]
        if first == "*":
            if step == 1:
                return "*"
            if kind.name in {"minute", "hour", "second"}:
                return term
            # cronsim, like Debian's cron, takes a day field that begins with a star for "and"; here both set is "or".
            return f"{kind.low}-{kind.high}/{step}"
        low = self._number(first, kind)
        high = self._number(last, kind) if last else kind.high
        values = range(low, high + 1) if low <= high else (*range(low, kind.high + 1), *range(kind.low, high + 1))
        return ",".join(str(value) for value in values[::step])

    def _number(self, text: str, kind: _Field) -> int:
        if text in kind.names[kind.low :]:
            return kind.names.index(text)
        number = int(text) if text.isascii() and text.isdigit() else -1
        if kind.name == "day-of-week" and number == 7:
            return 7
        if not kind.low <= number <= kind.high:
            raise self._error(kind)
        return number

    def _error(self, kind: _Field) -> AuthoringError:
        fields = self.text.split()
        bad = fields[_FIELDS.index(kind)] if _FIELDS.index(kind) < len(fields) else ""
        proviso = " that its months have" if kind.name == "day-of-month" else ""
        msg = (
            f"cron expression {self.text!r}: {kind.name} {bad!r} is not valid here; "
            f"write a value of {kind.low} to {kind.high}{proviso}, or for example {kind.example!r}"
        )
        return AuthoringError(msg)
