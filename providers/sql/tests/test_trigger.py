"""SqlTrigger alone, and behind a running engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from windlass_sql.sqlite import SqliteHook
from windlass_sql.triggers import SqlTrigger
from windlass_testing.conformance import TriggerSuite
from windlass_testing.live import LiveInstallation


class TestSqlTrigger(TriggerSuite):
    trigger_class = SqlTrigger

    @pytest.fixture(autouse=True)
    def _items(self, items: SqliteHook) -> None:
        self.items = items

    def waiting(self) -> SqlTrigger:
        return SqlTrigger("db", "select count(*) from items where name = ?", parameters=["cap"], poke_interval=0.05)

    def make_it_fire(self) -> None:
        self.items.run("insert into items (name) values ('cap')")

    @pytest.fixture
    def connections(self, database: SqliteHook) -> dict[str, Any]:
        return {"db": database.connection}


def test_no_row_is_an_event_only_where_it_is_asked_for(items: SqliteHook) -> None:
    async def first(trigger: SqlTrigger) -> Any:  # noqa: ANN401 - a payload
        async for event in trigger.run():
            return event.payload
        return None

    nothing = "select 1 from items where id = 9"
    trigger = SqlTrigger("db", nothing, fires_on_empty=True, poke_interval=0)
    assert asyncio.run(first(trigger)) == {"is_empty": True}
    there = SqlTrigger("db", "select 1", fires_on_empty=True, poke_interval=0)
    assert asyncio.run(first(there)) == {"is_empty": False}
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first(SqlTrigger("db", nothing, poke_interval=0)), 1))


DAG = """
from windlass import DAG
from windlass_sql.sensors import SqlSensor

with DAG("wait", schedule=None, is_paused_upon_creation=False):
    SqlSensor(task_id="ready", conn_id="db", sql="select ready from state", deferrable=True, poke_interval=0.2)
    SqlSensor(task_id="wrong", conn_id="db", sql="select nothing from state", deferrable=True)
    SqlSensor(task_id="gone", conn_id="db", sql="select ready from state where ready = 0", deferrable=True,
              fail_on_empty=True, poke_interval=0.2)
"""


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[LiveInstallation]:
    made = LiveInstallation(tmp_path)
    yield made
    made.close()


@pytest.mark.processes
@pytest.mark.timeout(180)
def test_a_sensor_defers_and_goes_on_in_an_engine(installation: LiveInstallation, database: SqliteHook) -> None:
    database.run("create table state (ready int)")
    database.run("insert into state values (0)")
    installation.environ["WINDLASS_CONN_DB"] = database.connection.get_uri()
    installation.write("wait.py", DAG)
    installation.start()
    installation.wait_for_dag("wait")
    run_id = installation.trigger("wait")

    def states() -> dict[str, str]:
        return {task["task_id"]: task["state"] for task in installation.run("wait", run_id)["tasks"]}

    installation.wait(
        lambda: states() == {"ready": "deferred", "wrong": "failed", "gone": "deferred"}, "what defers, and what fails"
    )
    database.run("update state set ready = 1")
    installation.wait_for_run("wait", run_id)
    assert states() == {"ready": "success", "wrong": "failed", "gone": "failed"}, installation.logs()
    log = installation.windlass("tasks", "logs", "wait", "gone", run_id)
    assert "the query of sensor 'gone' has no row, and fail_on_empty is set" in log
