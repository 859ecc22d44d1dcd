"""The loop that turns events into decisions and decisions into one transaction.

See ``scheduler`` for the step, ``owned`` and ``tracked`` for what is remembered between steps.
"""

from __future__ import annotations

from windlass.scheduler.scheduler import Scheduler as Scheduler
from windlass.scheduler.scheduler import SchedulerSettings as SchedulerSettings
