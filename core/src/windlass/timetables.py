"""Schedules beyond a cron string or a timedelta, and the base class for one's own.

A timetable of one's own runs in the engine, so its class must be in a provider's manifest, under ``timetables=``.
"""

from __future__ import annotations

from windlass.authoring.schedule import AssetOrTimeSchedule as AssetOrTimeSchedule
from windlass.authoring.schedule import CronDataIntervalTimetable as CronDataIntervalTimetable
from windlass.authoring.schedule import CronTriggerTimetable as CronTriggerTimetable
from windlass.authoring.schedule import DeltaDataIntervalTimetable as DeltaDataIntervalTimetable
from windlass.authoring.schedule import DeltaTriggerTimetable as DeltaTriggerTimetable
from windlass.authoring.schedule import EventsTimetable as EventsTimetable
from windlass.authoring.schedule import MultipleCronTriggerTimetable as MultipleCronTriggerTimetable
from windlass.interfaces.timetable import DagRunInfo as DagRunInfo
from windlass.interfaces.timetable import DataInterval as DataInterval
from windlass.interfaces.timetable import TimeRestriction as TimeRestriction
from windlass.interfaces.timetable import Timetable as Timetable
