"""The loop that turns events into decisions and decisions into one transaction.

See ``scheduler`` for the step, ``tracked`` for what is remembered between steps, ``calendar`` for scheduled runs.
"""

from __future__ import annotations

from windlass.scheduler.scheduler import Scheduler as Scheduler
from windlass.scheduler.scheduler import SchedulerSettings as SchedulerSettings
