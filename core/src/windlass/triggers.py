"""For authors of triggers: what a deferred task waits for."""

from __future__ import annotations

from windlass.interfaces.trigger import BaseTrigger as BaseTrigger
from windlass.interfaces.trigger import TriggerEvent as TriggerEvent
