"""DbApiHook, on SQLite: transactions, results, errors, streams, and rows that are inserted."""

from __future__ import annotations

import gc
import logging
import sqlite3
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from windlass.errors import ConfigError, UsageError
from windlass_sql.errors import ConnectFailed, InsertFailed, StatementFailed, masked, numbers
from windlass_sql.handlers import fetch_one_handler
from windlass_sql.sqlite import SqliteConnection, SqliteHook
from windlass_testing import SetConnection


def names(hook: SqliteHook) -> list[str]:
    return [row[0] for row in hook.get_records("select name from items order by id")]


# --- Connections ---------------------------------------------------------------------------------------------------


def test_a_with_block_commits_or_rolls_back_and_closes(items: SqliteHook) -> None:
    with items.get_conn() as conn:
        conn.cursor().execute("insert into items values (4, 'nib')")
    with pytest.raises(ZeroDivisionError), items.get_conn() as conn:
        1 / conn.cursor().execute("delete from items").fetchall().count(())
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        conn.execute("select 1")
    assert names(items) == ["pen", "ink", None, "nib"]


def test_a_cursor_has_a_connection_of_its_own(items: SqliteHook) -> None:
    cursor = items.get_cursor()
    assert cursor.execute("select count(*) from items").fetchone() == (3,)
    cursor.connection.close()


def test_the_file_may_also_stand_in_the_path_of_the_uri(tmp_path: Path, connection: SetConnection) -> None:
    connection("db", f"sqlite:///{tmp_path}/with%20space%3F.db")
    assert SqliteHook("db").run("select 1", handler=fetch_one_handler) == (1,)
    assert (tmp_path / "with space?.db").exists()


def test_the_database_can_be_overridden(items: SqliteHook, tmp_path: Path) -> None:
    other = SqliteHook("db", database=str(tmp_path / "other.db"))
    assert other.get_records("select * from sqlite_master") == []


def test_a_connection_without_a_file_is_an_error(connection: SetConnection) -> None:
    connection("db", conn_type="sqlite")
    with pytest.raises(ConfigError, match="connection 'db' names no file; give the path"):
        SqliteHook("db").get_conn()


def test_a_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path, connection: SetConnection) -> None:
    connection("db", conn_type="sqlite", host=str(tmp_path / "absent" / "x.db"))
    with pytest.raises(
        ConnectFailed, match=r"connection 'db': no connection to the SQLite database .*absent/x\.db: un"
    ):
        SqliteHook("db").get_conn()
    works, message = SqliteHook("db").test_connection()
    assert not works
    assert "unable to open database file" in message


def test_a_mistyped_field_is_warned_of(
    tmp_path: Path, connection: SetConnection, caplog: pytest.LogCaptureFixture
) -> None:
    connection("db", f"sqlite:///{tmp_path}/a.db?readonly=true")
    SqliteHook("db").get_conn().close()
    assert "connection 'db' of type 'sqlite' has no field 'readonly'; did you mean 'read_only'?" in caplog.text


def test_a_read_only_connection_never_writes(items: SqliteHook, connection: SetConnection) -> None:
    connection("ro", conn_type="sqlite", host=items.path, extra={"read_only": True})
    assert len(SqliteHook("ro").get_records("select * from items")) == 3
    with pytest.raises(StatementFailed, match="readonly database"):
        SqliteHook("ro").run("delete from items")


def test_testing_a_connection_says_what_answers(database: SqliteHook) -> None:
    works, message = database.test_connection()
    assert works
    assert message.endswith(f"SQLite {sqlite3.sqlite_version}")


# --- Statements ----------------------------------------------------------------------------------------------------


def test_without_a_handler_there_is_no_result(items: SqliteHook) -> None:
    assert items.run("select 1") is None


def test_a_handler_makes_the_result_of_each_statement(items: SqliteHook) -> None:
    script = "select 1; select 2;"
    assert items.run("select 1", handler=fetch_one_handler) == (1,)
    assert items.run(script, handler=fetch_one_handler, split_statements=True) == (2,)
    assert items.run(script, handler=fetch_one_handler, split_statements=True, return_last=False) == [(1,), (2,)]
    assert items.run(["select 1", "select 2"], handler=fetch_one_handler, return_last=False) == [(1,), (2,)]
    assert items.run("select 1;", handler=fetch_one_handler, split_statements=True, return_last=False) == [(1,)]
    assert [description and description[0][0] for description in items.descriptions] == ["1"]


def test_parameters_are_by_position_or_by_name(items: SqliteHook) -> None:
    assert items.get_first("select name from items where id = ?", (2,)) == ("ink",)
    assert items.get_first("select name from items where id = :id", {"id": 2}) == ("ink",)
    assert items.get_first("select name from items where id = 9") is None
    assert items.get_records("select name from items where name = ?", ("'; drop table items; --",)) == []


@pytest.mark.parametrize("sql", ["", " \n", [], [" "], "-- nothing\n;"])
def test_nothing_to_run_is_an_error(items: SqliteHook, sql: str | list[str]) -> None:
    with pytest.raises(UsageError, match="there is no statement to run on connection 'db'"):
        items.run(sql, split_statements=True)


SCRIPT = """
insert into items values (4, 'a'); create table other (id int);
insert into items values (1, 'hunter2');
insert into items values (5, 'b'); select 1;
"""


def test_the_third_statement_of_five_fails_and_nothing_stays(items: SqliteHook) -> None:
    with pytest.raises(StatementFailed) as caught:
        items.run(SCRIPT, split_statements=True)
    assert str(caught.value) == (
        "statement 3 of 5 (insert into items values (1, '***')) failed on connection 'db': UNIQUE constraint failed: "
        "items.id [SQLITE_CONSTRAINT_PRIMARYKEY]. Committed: none of those before it"
    )
    assert (caught.value.number, caught.value.total, caught.value.committed) == (3, 5, ())
    assert names(items) == ["pen", "ink", None]
    assert items.get_records("select * from sqlite_master where name = 'other'") == []


def test_the_third_statement_of_five_fails_and_with_autocommit_two_stay(items: SqliteHook) -> None:
    with pytest.raises(StatementFailed, match="Committed: statements 1 to 2 before it") as caught:
        items.run(SCRIPT, autocommit=True, split_statements=True)
    assert caught.value.committed == (1, 2)
    assert names(items) == ["pen", "ink", None, "a"]


def test_what_a_script_commits_itself_stays(items: SqliteHook) -> None:
    script = "insert into items values (4, 'a'); commit; insert into items values (5, 'b'); select nothing;"
    with pytest.raises(StatementFailed, match="Committed: statements 1 to 2 before it; the others were rolled back"):
        items.run(script, split_statements=True)
    assert names(items) == ["pen", "ink", None, "a"]


def test_an_error_of_the_handler_is_its_own_and_rolls_back(items: SqliteHook) -> None:
    def handler(_cursor: object) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        items.run("delete from items", handler=handler)
    assert len(names(items)) == 3


def test_the_log_shows_statements_without_texts(items: SqliteHook, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        items.run("update items set name = 'hunter2' where id = ?", parameters=(1,))
        SqliteHook("db", log_sql=False).run("delete from items where id = 2")
    assert "running statement 1 of 1 with parameters: update items set name = '***' where id = ?" in caplog.text
    assert "hunter2" not in caplog.text
    assert "delete" not in caplog.text


def test_a_secret_never_stands_in_an_error() -> None:
    text = "login ada:p%40ss word p@ss failed"
    assert masked(text, ["p@ss"]) == "login ada:*** word *** failed"
    assert masked("a b", ["a", ""]) == "a b"
    assert [numbers(n) for n in ([], [2], [1, 2, 3], [1, 3])] == [
        "none", "statement 2", "statements 1 to 3", "statements 1 and 3",
    ]  # fmt: skip


def test_a_running_statement_can_be_cancelled(items: SqliteHook) -> None:
    slow = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
    started = threading.Event()
    conn = items.get_conn

    def tick() -> int:
        started.set()
        return 0

    def get_conn() -> SqliteConnection:
        made: SqliteConnection = conn()
        made.set_progress_handler(tick, 1000)
        return made

    def cancel() -> None:
        assert started.wait(30)
        items.cancel()

    items.get_conn = get_conn  # type: ignore[method-assign]
    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(StatementFailed, match="interrupted"):
        items.run(slow)
    canceller.join()
    items.cancel()  # nothing runs: nothing happens


@pytest.mark.processes
def test_a_signal_ends_a_running_statement(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import signal, sys, threading, os, time
        from windlass.hooks import Connection
        from windlass_sql.sqlite import SqliteHook
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        hook = SqliteHook("db")
        hook.connection = Connection("db", "sqlite", {str(tmp_path / "a.db")!r})
        print("ready", flush=True)
        hook.run("with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n")
        """  # noqa: S608 - paths of the test's own
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as task:
        try:
            assert task.stdout is not None
            assert task.stdout.readline() == b"ready\n"
            task.terminate()
            assert task.wait(20) in {1, 143}
        finally:
            task.kill()


# --- Reading -------------------------------------------------------------------------------------------------------


def test_a_stream_gives_all_rows_and_closes(items: SqliteHook) -> None:
    assert list(items.stream("select id from items order by id", chunk_size=2)) == [(1,), (2,), (3,)]
    assert list(items.stream_chunks("select id from items order by id", chunk_size=2)) == [[(1,), (2,)], [(3,)]]
    assert list(items.stream("select id from items where id = ?", (9,))) == []
    rows = items.stream("select id from items")
    next(rows)
    rows.close()
    items.run("drop table items")  # nobody holds a lock
    with pytest.raises(UsageError, match="chunk_size must be at least 1"):
        next(items.stream("select 1", chunk_size=0))
    with pytest.raises(StatementFailed, match="no such table: items"):
        next(items.stream("select * from items"))


def test_a_stream_need_not_fit_into_memory(database: SqliteHook) -> None:
    rows = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000) select i, i || '' from n"
    gc.collect()
    tracemalloc.start()
    try:
        assert sum(len(chunk) for chunk in database.stream_chunks(rows)) == 300_000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


# --- Writing -------------------------------------------------------------------------------------------------------


def test_rows_are_inserted_into_all_columns_or_the_named_ones(items: SqliteHook) -> None:
    assert items.insert_rows("items", [(4, "a"), [5, "b"]]) == 2
    assert items.insert_rows("main.items", iter([("c",)]), target_fields=["name"]) == 1
    assert items.insert_rows("items", []) == 0
    assert names(items) == ["pen", "ink", None, "a", "b", "c"]


def test_names_of_tables_and_columns_are_quoted(database: SqliteHook) -> None:
    name, column = 'x"; drop table y; --', "select * ;"
    database.run(f"create table {database.quote_table(name)} ({database.quote_identifier(column)} text)")
    database.insert_rows([name], [("v",)], target_fields=[column])
    assert database.get_records(f"select * from {database.quote_table([name])}") == [("v",)]  # noqa: S608 - quoted


def test_every_batch_is_a_transaction(items: SqliteHook) -> None:
    rows = [(number, "x") for number in (10, 11, 12, 13, 1)]
    with pytest.raises(InsertFailed) as caught:
        items.insert_rows("items", rows, commit_every=2)
    assert str(caught.value) == (
        "rows 5 to 5 for table 'items' were refused on connection 'db': UNIQUE constraint failed: items.id "
        "[SQLITE_CONSTRAINT_PRIMARYKEY]; the 4 rows before are committed"
    )
    assert caught.value.committed == 4
    assert len(names(items)) == 7


def test_with_commit_every_0_all_rows_or_none(items: SqliteHook) -> None:
    rows = ((number, "x") for number in [*range(10, 12_000), 1])
    with pytest.raises(InsertFailed, match=r"rows 10001 to 11991 .* no row is committed"):
        items.insert_rows("items", rows, commit_every=0)
    assert len(names(items)) == 3
    with pytest.raises(InsertFailed, match="the 10000 rows before are committed"):
        items.insert_rows(
            "items", ((number, "x") for number in [*range(10, 12_000), 1]), commit_every=0, autocommit=True
        )
    with pytest.raises(UsageError, match="commit_every must be 0 or more"):
        items.insert_rows("items", rows, commit_every=-1)


def test_a_row_of_another_width_is_named(items: SqliteHook) -> None:
    with pytest.raises(
        InsertFailed, match=r"row 3 for table 'items' has 1 values, and 2 are needed; the 2 rows before"
    ):
        items.insert_rows("items", [(4, "a"), (5, "b"), (6,)], commit_every=2)


def test_an_error_where_the_rows_come_from_is_its_own(items: SqliteHook) -> None:
    def rows() -> Iterator[tuple[int, str]]:
        yield 4, "a"
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        items.insert_rows("items", rows())
    assert len(names(items)) == 3


def test_rows_of_the_same_key_are_replaced(items: SqliteHook) -> None:
    items.insert_rows("items", [(1, "PEN"), (1, "Pen")], ["id", "name"], replace=True, replace_index="id")
    items.insert_rows("items", [(2, "Ink"), (4, "new")], replace=True)
    assert names(items) == ["Pen", "Ink", None, "new"]
    items.insert_rows("items", [(1,)], ["id"], replace=True, replace_index=["id"])
    assert names(items)[0] == "Pen"
    with pytest.raises(UsageError, match="give target_fields and, as replace_index, their key"):
        items.insert_rows("items", [(1, "x")], replace=True, replace_index="id")


def test_values_without_a_type_in_sqlite_become_text(database: SqliteHook) -> None:
    database.run("create table v (a, b, c, d, e, f, g, h)")
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    row = (
        moment, date(2026, 1, 2), time(3, 4), Decimal("1.10"), UUID(int=1), {"a": [1]}, b"\x00\xff", True,
    )  # fmt: skip
    database.insert_rows("v", [row])
    expected = (
        "2026-01-02T03:04:05+00:00", "2026-01-02", "03:04:00", "1.10", "00000000-0000-0000-0000-000000000001",
        '{"a": [1]}', b"\x00\xff", 1,
    )  # fmt: skip
    assert database.get_first("select * from v") == expected
    assert database.get_first("select ? = a from v", (moment,)) == (1,)
    assert database.get_first("select :m = a from v", {"m": moment}) == (1,)


def test_what_a_database_has_no_way_for_says_so(database: SqliteHook) -> None:
    with pytest.raises(NotImplementedError, match="SqliteHook cannot load a file; use insert_rows"):
        database.bulk_load("t", "/tmp/f")
    with pytest.raises(NotImplementedError, match="SqliteHook cannot dump a table; use stream"):
        database.bulk_dump("t", "/tmp/f")
