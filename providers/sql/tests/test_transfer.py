"""GenericTransfer between two databases."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from windlass_sql.sqlite import SqliteHook
from windlass_sql.transfer import GenericTransfer
from windlass_testing import RunTask, SetConnection


@pytest.fixture
def target(tmp_path: Path, connection: SetConnection) -> SqliteHook:
    connection("target", conn_type="sqlite", host=str(tmp_path / "target.db"))
    hook = SqliteHook("target")
    hook.run("create table copies (id integer primary key, name text)")
    return hook


def transfer(sql: str | list[str], **arguments: Any) -> GenericTransfer:
    return GenericTransfer(
        task_id="t", sql=sql, source_conn_id="db", destination_conn_id="target", destination_table="copies",
        **arguments,
    )  # fmt: skip


def test_rows_go_from_one_database_to_the_other(items: SqliteHook, target: SqliteHook, run_task: RunTask) -> None:
    assert run_task(transfer("select * from items")).result == 3
    assert target.get_records("select * from copies") == items.get_records("select * from items")
    again = transfer(["select * from items", "select id + 10, name from items"], preoperator="delete from copies")
    assert run_task(again).result == 6
    renamed = transfer("select name from items", insert_args={"target_fields": ["name"]})
    assert run_task(renamed).result == 3
    assert target.get_first("select count(*) from copies") == (9,)
    assert run_task(transfer("select * from items where id > 99")).result == 0


def test_a_failure_tells_what_stays(items: SqliteHook, target: SqliteHook, run_task: RunTask) -> None:
    target.insert_rows("copies", [(3, "here")])
    failed = run_task(transfer("select * from items", insert_args={"commit_every": 2}))
    assert (failed.reason or "").startswith("InsertFailed: rows 3 to 3 for table 'copies' were refused")
    assert "the 2 rows before are committed" in (failed.reason or "")
    items.run("delete from items")  # the source is not locked any more


def test_many_rows_need_not_fit_into_memory(items: SqliteHook, target: SqliteHook, run_task: RunTask) -> None:
    many = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select i, 'row' from n"
    tracemalloc.start()
    try:
        done = run_task(transfer(many, page_size=1000, insert_args={"commit_every": 0}))
        assert done.result == 100_000
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_killed_transfer_cancels_both_ends(items: SqliteHook) -> None:
    cancelled: list[str] = []

    class Noted(SqliteHook):
        def cancel(self) -> None:
            cancelled.append(self.connection_name)

    operator = transfer("select 1")
    operator._hooks = [Noted("db"), Noted("target")]
    operator.on_kill()
    assert cancelled == ["db", "target"]
