"""Days of the week, as branch and sensor arguments name them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from enum import IntEnum
from typing import Any

from windlass.authoring.operator import Context
from windlass.errors import AuthoringError


class WeekDay(IntEnum):
    """A day of the week, with its ISO number."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


def weekdays(who: str, value: str | WeekDay | Iterable[str | WeekDay]) -> frozenset[int]:
    """Return the ISO numbers of one day or several, given as names or members.

    :raises AuthoringError: if one is none.
    """
    days = [value] if isinstance(value, (str, WeekDay)) else list(value)
    found = set()
    for day in days:
        name = day.name if isinstance(day, WeekDay) else str(day).upper()
        if name not in WeekDay.__members__:
            raise AuthoringError(f"{who}: {day!r} is no day of the week; write for example 'Monday' or WeekDay.MONDAY")
        found.add(int(WeekDay[name]))
    if not found:
        raise AuthoringError(f"{who}: week_day names no day; give at least one")
    return frozenset(found)


def now_or_logical(context: Context, *, logical: bool) -> datetime:
    """Return the instant to judge by, in the zone of the DAG."""
    from windlass.ports import instant_now

    instant: datetime = context["logical_date"] if logical else instant_now()
    return instant.astimezone(dag_zone(context))


def dag_zone(context: Context) -> tzinfo:
    """Return the zone of the context's DAG."""
    dag: Any = context["dag"]
    return dag.timezone or UTC


def zone_of(moment: datetime) -> tzinfo:
    """Return the zone of an aware datetime."""
    return moment.tzinfo or UTC
