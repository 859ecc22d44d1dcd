"""SqlSensor: what ends the wait, and what fails it."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest

from windlass.errors import AuthoringError, TaskFailed
from windlass_sql.sensors import SqlSensor
from windlass_sql.sqlite import SqliteHook
from windlass_testing import RunTask


def poke(sql: str, **arguments: Any) -> bool:
    return SqlSensor(task_id="s", conn_id="db", sql=sql, **arguments).poke({})


@pytest.mark.parametrize(
    ("value", "done"),
    [("1", True), ("'x'", True), ("-1", True), ("0", False), ("''", False), ("'0'", False), ("null", False)],
)
def test_a_true_first_value_ends_the_wait(items: SqliteHook, value: str, done: bool) -> None:
    assert poke(f"select {value}") is done


def test_no_row_is_not_done_or_fails(items: SqliteHook) -> None:
    assert poke("select 1 where 1 = 0") is False
    with pytest.raises(TaskFailed, match="the query of sensor 's' has no row, and fail_on_empty is set"):
        poke("select 1 where 1 = 0", fail_on_empty=True)


def test_success_and_failure_judge_the_selected_value(items: SqliteHook) -> None:
    sql = "select name, id from items where id = ?"
    assert poke(sql, parameters=[1], success=lambda name: name == "pen") is True
    assert poke(sql, parameters=[2], success=lambda name: name == "pen") is False
    assert poke(sql, parameters=[2], selector=lambda row: row[1], success=lambda number: number == 2) is True
    with pytest.raises(TaskFailed, match="failure of sensor 's' holds for 'ink'"):
        poke(sql, parameters=[2], failure=lambda name: name == "ink", success=lambda _: True)


def test_it_waits_until_the_row_is_there(items: SqliteHook, run_task: RunTask) -> None:
    seen: list[int] = []

    def success(count: int) -> bool:
        seen.append(count)
        items.run("insert into items (name) values ('more')")
        return count == 5

    done = run_task(SqlSensor(task_id="s", conn_id="db", sql="select count(*) from items", success=success))
    assert done.state == "success"
    assert seen == [3, 4, 5]


def test_rows_may_be_dicts(items: SqliteHook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteHook, "get_first", lambda *_: {"count": 0, "other": 1})
    assert poke("select 0 as count, 1 as other") is False


def test_deferrable_it_waits_in_a_trigger(items: SqliteHook, run_task: RunTask) -> None:
    sql = "select {{ 1 }} from items where name = ?"

    def wait(name: str, **more: Any) -> tuple[str, str | None]:
        sensor = SqlSensor(
            task_id="s", conn_id="db", sql=sql, parameters=[name], deferrable=True, poke_interval=0.1, **more
        )
        done = run_task(sensor)
        return done.state, done.reason

    assert wait("pen") == ("success", None)
    assert wait("no", timeout=1) == ("failed", ANY)
    assert wait("no", timeout=1, soft_fail=True) == ("skipped", ANY)
    empty = "the query of sensor 's' has no row, and fail_on_empty is set"
    assert wait("no", fail_on_empty=True) == ("failed", f"TaskFailed: {empty}")


@pytest.mark.parametrize("name", ["success", "failure", "selector"])
def test_a_function_cannot_be_called_by_a_trigger(name: str) -> None:
    with pytest.raises(AuthoringError, match="sensor 's': a trigger cannot call success, failure or selector; decide"):
        poke("select 1", deferrable=True, **{name: bool})
