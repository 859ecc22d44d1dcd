"""The operators of SQL, in DAGs that run on SQLite: which hook they find, what they run, what they return."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG
from windlass.operators import EmptyOperator
from windlass_sql.operators import (
    BranchSQLOperator,
    SQLExecuteQueryOperator,
    SQLInsertRowsOperator,
    fetch_one_handler,
)
from windlass_sql.sqlite import SqliteHook
from windlass_testing import RunDag, RunTask, SetConnection

START = datetime(2026, 1, 1, tzinfo=UTC)


def query(sql: str | list[str], **arguments: Any) -> SQLExecuteQueryOperator:
    return SQLExecuteQueryOperator(task_id="t", conn_id="db", sql=sql, **arguments)


def test_a_query_returns_its_rows(items: SqliteHook, run_task: RunTask) -> None:
    assert run_task(query("select id, name from items")).result == [(1, "pen"), (2, "ink"), (3, None)]
    assert run_task(query("select name from items where id = ?", parameters=[2])).result == [("ink",)]
    assert run_task(query("select name from items", handler=fetch_one_handler)).result == ("pen",)
    assert run_task(query("delete from items")).result is None


def test_a_script_is_split_and_runs_in_one_transaction(items: SqliteHook, run_task: RunTask) -> None:
    script = "insert into items values (4, ';'); select count(*) from items; "
    assert run_task(query(script)).result == [(4,)]
    assert run_task(query(["select 1", "select 2; select 3"], return_last=False)).result == [[(1,)], [(2,)], [(3,)]]
    failed = run_task(query("delete from items; select nothing"))
    assert (failed.reason or "").startswith(
        "StatementFailed: statement 2 of 2 (select nothing) failed on connection 'db'"
    )
    assert len(items.get_records("select * from items")) == 4
    run_task(query("delete from items; select nothing", autocommit=True))
    assert items.get_records("select * from items") == []


def test_a_script_that_is_not_to_be_split_is_not(items: SqliteHook, run_task: RunTask) -> None:
    assert "one statement at a time" in str(run_task(query("select 1; select 2", split_statements=False)).reason)


def test_sql_is_a_template_or_a_file_of_one(items: SqliteHook, run_dag: RunDag, tmp_path: Path) -> None:
    (tmp_path / "count.sql").write_text("-- {{ ds }}\nselect count(*) from items where id < {{ params.below }};\n")
    with DAG("d", schedule=None, start_date=START, template_searchpath=str(tmp_path), params={"below": 3}) as dag:
        SQLExecuteQueryOperator(task_id="file", conn_id="{{ 'd' }}b", sql="count.sql")
        SQLExecuteQueryOperator(
            task_id="text", conn_id="db", sql="select ? || name from items", parameters=["{{ params.below }}"]
        )
    result = run_dag(dag)
    assert result.xcom("file") == [(2,)]
    assert result.xcom("text")[0] == ("3pen",)


def test_the_output_can_be_processed_and_shown(items: SqliteHook, run_task: RunTask) -> None:
    def process(results: list[Any], descriptions: list[Any]) -> list[dict[str, Any]]:
        columns = [column[0] for column in descriptions[-1]]
        return [dict(zip(columns, row, strict=True)) for row in results[0]]

    done = run_task(query("select id from items where id = 1", output_processor=process))
    assert done.result == [{"id": 1}]
    done = run_task(query("select 'row ' || id from items", show_return_value_in_logs=True, do_xcom_push=False))
    assert "('row 3',)" in done.log
    assert done.result is None


def test_the_database_and_the_arguments_of_the_hook_can_be_given(
    items: SqliteHook, run_task: RunTask, tmp_path: Path
) -> None:
    run_task(query("create table here (id int)", database=str(tmp_path / "other.db")))
    assert (tmp_path / "other.db").exists()
    failed = run_task(query("select 1", hook_params={"colour": "red"}))
    assert "SqliteHook takes no argument colour" in str(failed.reason)


def test_a_connection_that_is_no_database_is_an_error(connection: SetConnection, run_task: RunTask) -> None:
    connection("db", "generic://somewhere")
    assert "connection 'db': connections of type 'generic' have no hook" in str(run_task(query("select 1")).reason)
    connection("db", conn_type="nonsense")
    assert "brings a hook for connections of type 'nonsense'" in str(run_task(query("select 1")).reason)
    nowhere = SQLExecuteQueryOperator(task_id="t", sql="select 1")
    assert "UsageError: task 't' has no conn_id" in str(run_task(nowhere).reason)


def test_a_killed_task_cancels_its_statement(items: SqliteHook, run_task: RunTask) -> None:
    operator = query("select 1")
    operator.on_kill()  # before anything runs: nothing happens
    cancelled: list[bool] = []

    class Cancelled(SqliteHook):
        def cancel(self) -> None:
            cancelled.append(True)

    operator._hook = Cancelled("db")
    operator.on_kill()
    assert cancelled == [True]


# --- Rows ----------------------------------------------------------------------------------------------------------


def insert(rows: list[Any], **arguments: Any) -> SQLInsertRowsOperator:
    return SQLInsertRowsOperator(task_id="t", conn_id="db", table_name="items", rows=rows, **arguments)


def test_rows_are_sequences_or_dicts(items: SqliteHook, run_task: RunTask) -> None:
    assert run_task(insert([(4, "a")], preoperator="delete from items; select 1")).result == 1
    assert run_task(insert([{"name": "b", "id": 5}, {"id": 6}])).result == 2
    assert run_task(insert([{"id": 7, "name": "c", "x": 1}], columns=["id", "name"], schema="main")).result == 1
    assert run_task(insert([{"id": 8, "x": 1}], ignored_columns=["x"])).result == 1
    assert run_task(insert([], postoperator="update items set name = upper(name)")).result == 0
    assert items.get_records("select * from items") == [(4, "A"), (5, "B"), (6, None), (7, "C"), (8, None)]


def test_rows_can_be_processed_and_replace_others(items: SqliteHook, run_task: RunTask) -> None:
    done = run_task(
        insert([1, 2], rows_processor=lambda rows, _: [(row, "x") for row in rows], insert_args={"replace": True})
    )
    assert done.result == 2
    assert items.get_records("select name from items") == [("x",), ("x",), (None,)]


# --- Branches ------------------------------------------------------------------------------------------------------


def branch(sql: str) -> BranchSQLOperator:
    with DAG("d", schedule=None, start_date=START):
        operator = BranchSQLOperator(
            task_id="branch", conn_id="db", sql=sql, follow_task_ids_if_true="yes", follow_task_ids_if_false=["no"]
        )
        operator >> [EmptyOperator(task_id="yes"), EmptyOperator(task_id="no")]
    return operator


@pytest.mark.parametrize("value", ["1", "-0.5", "'true'", "'Yes '", "'1'", "'t'", "count(*)"])
def test_what_is_true_follows_one_branch(items: SqliteHook, run_dag: RunDag, value: str) -> None:
    dag = branch(f"select {value} from items").dag  # noqa: S608 - values of the test's own
    assert dag is not None
    assert run_dag(dag).states == {"branch": "success", "yes": "success", "no": "skipped"}


@pytest.mark.parametrize("value", ["0", "0.0", "null", "'false'", "'NO'", "''"])
def test_what_is_false_follows_the_other(items: SqliteHook, run_dag: RunDag, value: str) -> None:
    dag = branch(f"select {value}").dag
    assert dag is not None
    assert run_dag(dag).states == {"branch": "success", "yes": "skipped", "no": "success"}


def test_what_is_neither_is_an_error(items: SqliteHook, run_task: RunTask) -> None:
    assert "has no row, so there is nothing to branch by" in str(run_task(branch("select 1 where 1 = 0")).reason)
    assert "returned 'maybe', which is neither true nor false" in str(run_task(branch("select 'maybe'")).reason)
