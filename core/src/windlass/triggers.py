"""For authors of triggers, what a deferred task waits for; and the triggers that Windlass brings."""

from __future__ import annotations

from windlass.interfaces.trigger import BaseTrigger as BaseTrigger
from windlass.interfaces.trigger import TriggerEvent as TriggerEvent
from windlass.interfaces.triggers.external import DagStateTrigger as DagStateTrigger
from windlass.interfaces.triggers.external import WorkflowTrigger as WorkflowTrigger
from windlass.interfaces.triggers.file import FileTrigger as FileTrigger
from windlass.interfaces.triggers.temporal import DateTimeTrigger as DateTimeTrigger
from windlass.interfaces.triggers.temporal import TimeDeltaTrigger as TimeDeltaTrigger
