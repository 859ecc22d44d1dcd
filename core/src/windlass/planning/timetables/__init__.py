"""The core timetables: what each kind of schedule means, as pure functions of data and a given ``now``.

::

    schedule="30 6 * * *"  ──schedule_spec──►  CronIntervalSpec  ──timetable──►  Timetable.next_dagrun_info(…)
    (authoring)                                (spec, stored)                    (scheduler, control, simulate)

A timetable is a rule (``interval``, ``trigger``, ``simple``) over a grid of instants (``cron``, ``delta``, a list); the
``wallclock`` underneath decides daylight saving for all of them. Plugins' timetables are not evaluated here.
"""

from __future__ import annotations

from windlass.planning.timetables.build import runs_between as runs_between
from windlass.planning.timetables.build import timetable as timetable
from windlass.planning.timetables.schedule import cron_expression as cron_expression
from windlass.planning.timetables.schedule import relative_delta as relative_delta
from windlass.planning.timetables.schedule import schedule_spec as schedule_spec
