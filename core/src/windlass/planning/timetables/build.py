"""From a schedule as data to the timetable that gives it its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import assert_never

from windlass.errors import AuthoringError
from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.timetables.interval import CronIntervalTimetable, DeltaIntervalTimetable
from windlass.planning.timetables.simple import ContinuousTimetable, NullTimetable, OnceTimetable
from windlass.planning.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable, EventsTimetable
from windlass.spec import (
    AssetOrTimeSpec,
    AssetScheduleSpec,
    ContinuousSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    CustomTimetableSpec,
    DeltaIntervalSpec,
    DeltaTriggerSpec,
    EventsSpec,
    NullSpec,
    OnceSpec,
    TimetableSpec,
)


def timetable(spec: TimetableSpec, *, anchor: datetime | None = None) -> Timetable:
    """Return the timetable that ``spec`` describes.

    ``anchor`` is the DAG's start_date, from which durations count. Where ``earliest`` of the restriction is the
    start_date it may be left out; give it where it is not, for example for a backfill.

    :raises AuthoringError: if a parameter cannot be, or if the spec names a plugin's timetable. That one is not
        evaluated in the server: a workload does, in a process that may run its code.
    """
    match spec:
        case NullSpec():
            return NullTimetable()
        case OnceSpec():
            return OnceTimetable()
        case ContinuousSpec():
            return ContinuousTimetable()
        case CronIntervalSpec():
            return _cron_intervals(spec)
        case DeltaIntervalSpec():
            return DeltaIntervalTimetable(spec, anchor)
        case CronTriggerSpec():
            return CronTriggerTimetable(spec)
        case DeltaTriggerSpec():
            return DeltaTriggerTimetable(spec, anchor)
        case EventsSpec():
            return EventsTimetable(spec)
        case AssetScheduleSpec():
            return NullTimetable("Asset", "when the assets have been updated")
        case AssetOrTimeSpec():
            return timetable(spec.timetable, anchor=anchor)
        case CustomTimetableSpec():
            msg = f"timetable {spec.name!r} is a plugin's; ask it through a timetable workload, not in this process"
            raise AuthoringError(msg)
        case _:
            assert_never(spec)


#: The same for everybody who has the same expression.
_cron_intervals = lru_cache(maxsize=4096)(CronIntervalTimetable)


def runs_between(schedule: Timetable, earliest: datetime, latest: datetime) -> Iterator[DagRunInfo]:
    """Yield the runs of ``schedule`` with a logical date from ``earliest`` to ``latest``, both included, in order.

    What a backfill covers; ``catchup`` and the DAG's own dates play no part.
    """
    restriction = TimeRestriction(earliest=earliest, latest=latest, catchup=True, now=latest)
    last: DataInterval | None = None
    while info := schedule.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        yield info
        last = info.data_interval
