"""One trigger, from its arguments to its event: the same in a trigger host and in ``dag.test()``."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator

from windlass.errors import AuthoringError
from windlass.interfaces.trigger import BaseTrigger, TriggerEvent
from windlass.ports import TaskSession, session_scope
from windlass.protocol import XComValue
from windlass.protocol.triggering import shown
from windlass.runtime.trace import reason_of, shortened, user_traceback
from windlass.runtime.trigger_classes import make
from windlass.runtime.xcom import encoded, spilled, unpack

log = logging.getLogger("windlass.trigger")


class TriggerFailed(Exception):
    """A trigger will never fire; the text says why, in one line."""


async def first_event(name: str, kwargs: XComValue, session: TaskSession) -> XComValue:
    """Run the trigger called ``name`` and return its first event, encoded.

    :raises TriggerFailed: if it raises, or ends without an event.
    """
    import asyncio

    with session_scope(session):
        try:
            # A store of a provider may be slow, and others wait in this loop.
            large = kwargs.artifact is not None
            trigger = make(name, await asyncio.to_thread(unpack, kwargs, session) if large else unpack(kwargs, session))
            try:
                event = await _fire(trigger)
            finally:
                await _clean_up(trigger)
            what = f"the event of trigger {name}"
            packed, data = encoded(event.payload, what)
            return packed if data is None else await asyncio.to_thread(spilled, packed, data, what, session)
        except _Silent as error:
            raise TriggerFailed(f"its trigger {shown(name)} ended without an event") from error
        except (Exception, SystemExit) as error:
            reason = f"its trigger {shown(name)} failed: {reason_of(error)}"
            log.error("%s\n%s", reason, user_traceback(error))  # noqa: TRY400 - from the author's first line on
            raise TriggerFailed(shortened(reason)) from error


class _Silent(Exception):
    """It ended without an event: there is no traceback to show."""


async def _fire(trigger: BaseTrigger) -> TriggerEvent:
    events: object = trigger.run()  # the author's: it may be anything
    if not isinstance(events, AsyncIterator):
        if inspect.iscoroutine(events):
            events.close()
        raise AuthoringError(
            f"{type(trigger).__name__}.run() is no async generator; write `yield TriggerEvent(…)` in it"
        )
    try:
        async for event in events:
            if not isinstance(event, TriggerEvent):
                raise AuthoringError(
                    f"{type(trigger).__name__}.run() yielded a {type(event).__name__}; wrap it in a TriggerEvent"
                )
            return event
    finally:
        if inspect.isasyncgen(events):
            await events.aclose()
    raise _Silent


async def _clean_up(trigger: BaseTrigger) -> None:
    try:
        await trigger.cleanup()
    except Exception:
        log.exception("the cleanup of a trigger failed")
