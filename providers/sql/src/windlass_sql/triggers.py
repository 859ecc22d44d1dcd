"""SqlTrigger: runs a query again and again until its first value is true, without holding a process.

Drivers block, so a look happens in a thread, with a connection of its own that is closed after it. There are few of
them, whatever the number of triggers. A trigger that is cancelled, or whose time is up, cancels its query in the
database, so that a query that hangs takes a thread no longer than its sensor waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from windlass.triggers import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from windlass_sql.hook import DbApiHook

#: How many look at the same time, of all triggers of this process.
LOOKS: Final = 8
#: Seconds; the least pause between two looks.
LEAST_PAUSE: Final = 0.1

_threads = ThreadPoolExecutor(LOOKS, thread_name_prefix="sql-look")
_cancelling = ThreadPoolExecutor(2, thread_name_prefix="sql-cancel")


class SqlTrigger(BaseTrigger):
    """Fires when the first value of a query's first row is true. The payload is ``{"is_empty": False}``.

    Args:
        conn_id: the connection.
        sql: the query.
        parameters: of the query.
        hook_params: more arguments of the hook.
        fires_on_empty: fire with ``{"is_empty": True}`` if there is no row; by default that is not true, either.
        poke_interval: seconds between two looks, and before the first one.
    """

    def __init__(
        self,
        conn_id: str,
        sql: str,
        *,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        hook_params: Mapping[str, Any] | None = None,
        fires_on_empty: bool = False,
        poke_interval: float = 60.0,
    ) -> None:
        self.conn_id = conn_id
        self.sql = sql
        self.parameters = parameters
        self.hook_params = dict(hook_params) if hook_params else None
        self.fires_on_empty = fires_on_empty
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what is waited for, as plain data."""
        return "windlass_sql.triggers.SqlTrigger", dict(vars(self))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again."""
        while True:
            await asyncio.sleep(max(self.poke_interval, LEAST_PAUSE))
            look = _Look(self)
            try:
                # The context of the trigger tells a hook whose connections it may ask for.
                event = await asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, look.take)
            except asyncio.CancelledError:
                _cancelling.submit(look.cancel)
                raise
            if event is not None:
                yield TriggerEvent(event)
                return


class _Look:
    """One look, in a thread; it may be cancelled from another."""

    def __init__(self, trigger: SqlTrigger) -> None:
        self._trigger = trigger
        self._hook: DbApiHook | None = None

    def take(self) -> dict[str, bool] | None:
        """Run the query, and return the payload of the event if it is time for one."""
        from windlass_sql.operators import sql_hook
        from windlass_sql.sensors import is_true

        trigger = self._trigger
        self._hook = sql_hook("SqlTrigger", trigger.conn_id, None, trigger.hook_params)
        row = self._hook.get_first(trigger.sql, trigger.parameters)
        if not row:
            return {"is_empty": True} if trigger.fires_on_empty else None
        return {"is_empty": False} if is_true(row) else None

    def cancel(self) -> None:
        """Cancel the query, if it runs."""
        if self._hook is not None:
            self._hook.cancel()
