"""Triggers that wait for the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from windlass.errors import AuthoringError
from windlass.interfaces.trigger import BaseTrigger, TriggerEvent
from windlass.moment import utc
from windlass.ports import instant_now

#: Seconds after which the clock is looked at again: it may have been set, or the machine was asleep.
_LOOK: Final = 60.0


class DateTimeTrigger(BaseTrigger):
    """Fires at ``moment``, an aware datetime, with that moment as its payload; at once if it has passed."""

    def __init__(self, moment: datetime) -> None:
        if getattr(moment, "tzinfo", None) is None:
            raise AuthoringError(f"DateTimeTrigger needs a datetime with a time zone, not {moment!r}")
        self.moment = utc(moment)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the moment."""
        return "windlass.triggers.DateTimeTrigger", {"moment": self.moment}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep until then."""
        import asyncio

        while (left := (self.moment - instant_now()).total_seconds()) > 0:  # noqa: ASYNC110 - the clock tells nobody
            await asyncio.sleep(min(left, _LOOK))
        yield TriggerEvent(self.moment)


class TimeDeltaTrigger(DateTimeTrigger):
    """Fires ``delta`` from now. Now is when the task defers, so a host that dies does not start the wait anew."""

    def __init__(self, delta: timedelta) -> None:
        super().__init__(instant_now() + delta)
