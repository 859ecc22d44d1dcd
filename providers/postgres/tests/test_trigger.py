"""What becomes of the query of a trigger that is cancelled, on a database that others use too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from windlass_postgres.hook import PostgresHook
from windlass_sql.triggers import SqlTrigger

pytestmark = pytest.mark.services

RUNNING = "select count(*) from pg_stat_activity where query like 'select pg_sleep(600)%%' and state = 'active'"


def test_a_trigger_that_is_cancelled_cancels_its_query(hook: PostgresHook) -> None:
    trigger = SqlTrigger("db", "select pg_sleep(600), 'of this test'", poke_interval=0)

    def running(wanted: int) -> bool:
        return bool(hook.get_first(RUNNING)[0] == wanted)

    async def until(condition: Callable[[], bool]) -> None:
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - the condition is in a database
            await asyncio.sleep(0.05)

    async def look() -> None:
        async for event in trigger.run():
            raise AssertionError(event)

    async def cancelled_while_it_looks() -> None:
        task = asyncio.get_running_loop().create_task(look())
        await asyncio.wait_for(until(lambda: running(1)), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(until(lambda: running(0)), 30)

    asyncio.run(cancelled_while_it_looks())
