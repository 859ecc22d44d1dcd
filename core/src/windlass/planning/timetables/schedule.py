"""What may stand at ``schedule=`` of a DAG, apart from assets and timetables: presets, cron, durations, None."""

from __future__ import annotations

import sys
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from windlass.errors import AuthoringError
from windlass.planning.timetables.build import timetable
from windlass.spec import (
    ContinuousSpec,
    CronIntervalSpec,
    DeltaIntervalSpec,
    NullSpec,
    OnceSpec,
    RelativeDelta,
    TimetableSpec,
)

if TYPE_CHECKING:
    from dateutil.relativedelta import relativedelta

_CRON_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_PLAIN_PRESETS: dict[str, TimetableSpec] = {"@once": OnceSpec(), "@continuous": ContinuousSpec()}
#: Parts of a relativedelta that set a field of a date and add nothing to it.
_ABSOLUTE_PARTS = ("year", "month", "day", "weekday", "hour", "minute", "second", "microsecond")


def schedule_spec(value: str | timedelta | relativedelta | None, timezone: str = "UTC") -> tuple[TimetableSpec, str]:
    """Return the schedule that ``value`` means for a DAG in the IANA zone ``timezone``, and its summary for lists.

    :raises AuthoringError: if it means none.
    """
    if value is None:
        return NullSpec(), "None"
    if isinstance(value, str):
        return _from_text(value.strip(), timezone)
    spec = DeltaIntervalSpec(delta=relative_delta(value), timezone=timezone)
    return spec, timetable(spec).summary


def cron_expression(text: str) -> str:
    """Return the cron expression that ``text`` is, or that it names as a preset (``@daily``)."""
    return _CRON_PRESETS.get(text.strip(), text)


def relative_delta(value: object) -> RelativeDelta:
    """Return ``value`` as data: a timedelta in seconds, a relativedelta with its calendar parts.

    :raises AuthoringError: if it is neither, or a relativedelta that sets parts of a date (``hour=6``).
    """
    if isinstance(value, timedelta):
        return RelativeDelta(seconds=value.total_seconds())
    dateutil = sys.modules.get("dateutil.relativedelta")  # whoever made a relativedelta has imported it
    if dateutil is None or not isinstance(value, dateutil.relativedelta):
        kind = type(value).__name__
        msg = f"schedule {value!r} is a {kind}; give a cron string, a preset, a timedelta, a timetable or None"
        raise AuthoringError(msg)
    absolute = [part for part in _ABSOLUTE_PARTS if getattr(value, part) is not None]
    if absolute or value.leapdays:
        part = absolute[0] if absolute else "leapdays"
        msg = f"schedule {value!r} sets {part!r} and so is no duration; use the plural parts only, or a cron string"
        raise AuthoringError(msg)
    exact: relativedelta = value.normalized()
    clock = timedelta(hours=exact.hours, minutes=exact.minutes, seconds=exact.seconds, microseconds=exact.microseconds)
    return RelativeDelta(years=exact.years, months=exact.months, days=exact.days, seconds=clock.total_seconds())


def _from_text(text: str, timezone: str) -> tuple[TimetableSpec, str]:
    if text in _PLAIN_PRESETS:
        return _PLAIN_PRESETS[text], text
    if text.startswith("@") and text not in _CRON_PRESETS:
        presets = [*_CRON_PRESETS, *_PLAIN_PRESETS]
        close = get_close_matches(text, presets, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(presets)}"
        msg = f"schedule {text!r} is not a preset; {remedy}"
        raise AuthoringError(msg)
    spec = CronIntervalSpec(expression=cron_expression(text), timezone=timezone)
    timetable(spec)  # refuses a bad expression here, where the DAG file can be blamed
    return spec, text
