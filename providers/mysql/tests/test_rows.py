"""Rows into and out of MySQL: values of every kind, streams, files, replacing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from windlass.errors import ConfigError, UsageError
from windlass_mysql.hook import MySqlHook
from windlass_sql.errors import InsertFailed, StatementFailed
from windlass_sql.sqlite import SqliteHook
from windlass_sql.transfer import GenericTransfer
from windlass_testing import RunTask, SetConnection

pytestmark = pytest.mark.services
MakeHook = Callable[..., MySqlHook]

VALUES: dict[str, list[Any]] = {
    "bigint": [0, -(2**63), 2**63 - 1, None],
    "decimal(30, 9)": [Decimal("1.100000000"), Decimal("-123456789012345678901.123456789"), None],
    "double": [1.5, -0.1, None],
    "varchar(99)": ["", "é漢🙂", "tab\tnew\nline\\N", "\\", "'\"%s", None],
    "varbinary(99)": [b"", b"\x00\xff\\x41'", None],
    "boolean": [1, 0, None],
    "date": [date(2026, 2, 28), date(9999, 12, 31), None],
    "datetime(6)": [datetime(2026, 1, 1, 1, 2, 3, 4), None],  # noqa: DTZ001 - MySQL's has no zone
    "time(6)": [timedelta(hours=30, microseconds=5), timedelta(hours=-1), None],
}


@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_as_they_were(hook: MySqlHook, kind: str) -> None:
    values = VALUES[kind]
    hook.run(f"create table v (n int, v {kind})")
    hook.insert_rows("v", list(enumerate(values)))
    found = [row[0] for row in hook.stream("select v from v order by n", chunk_size=2)]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_dicts_and_lists_become_json(hook: MySqlHook) -> None:
    hook.run("create table v (v json)")
    hook.insert_rows("v", [({"a": [1, None, "é"]},), ([1, "'"],), (None,)])
    found = [value and json.loads(value) for (value,) in hook.get_records("select v from v")]
    assert found == [{"a": [1, None, "é"]}, [1, "'"], None]


def test_what_other_databases_hold_becomes_what_mysql_has(hook: MySqlHook) -> None:
    class LastDay(date):
        """As the hook of PostgreSQL reads infinity."""

    class LastInstant(datetime):
        """As above."""

    hook.run("create table v (a date, b datetime, c char(36))")
    hook.insert_rows("v", [(LastDay(9999, 12, 31), LastInstant(9999, 12, 31, 1, 2, 3), UUID(int=7))])
    expected = (date(9999, 12, 31), datetime(9999, 12, 31, 1, 2, 3), str(UUID(int=7)))  # noqa: DTZ001 - no zone
    assert hook.get_first("select * from v") == expected


def test_every_batch_is_a_transaction(hook: MySqlHook) -> None:
    rows = [(number, "x") for number in (10, 11, 12, 13, 1)]
    with pytest.raises(InsertFailed) as caught:
        hook.insert_rows("items", rows, commit_every=2)
    # MySQL names the key's table too.
    assert str(caught.value).replace("'items.PRIMARY'", "'PRIMARY'") == (
        "rows 5 to 5 for table 'items' were refused on connection 'db': Duplicate entry '1' for key 'PRIMARY' [1062]; "
        "the 4 rows before are committed"
    )
    with pytest.raises(InsertFailed, match="no row is committed"):
        hook.insert_rows("items", ((number, "x") for number in [*range(20, 9000), 1]), commit_every=0)
    assert hook.get_first("select count(*) from items") == (7,)


def test_names_are_quoted_so_that_they_stay_names(hook: MySqlHook) -> None:
    table, column = "X`; drop table items; --", "select; %s (x)"
    hook.run(f"create table {hook.quote_table([table])} ({hook.quote_identifier(column)} text)")
    hook.insert_rows([table], [("v",), ("w",)], [column])
    assert hook.get_records(f"select * from {hook.quote_table([table])}") == [("v",), ("w",)]  # noqa: S608 - quoted


def test_rows_of_the_same_key_are_replaced(hook: MySqlHook) -> None:
    names = ["id", "name"]
    hook.insert_rows("items", [(1, "PEN"), (4, "new"), (1, "Pen")], names, replace=True, replace_index="id")
    hook.insert_rows("items", [(2, "Ink")], replace=True)
    hook.insert_rows("items", [(3,)], ["id"], replace=True, replace_index=["id"])
    assert hook.get_records("select * from items order by id") == [(1, "Pen"), (2, "Ink"), (3, None), (4, "new")]


# --- Streams -------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_closed_early_does_not_read_the_rest(hook: MySqlHook) -> None:
    endless = "select a.id from " + ", ".join(f"items {letter}" for letter in "abcdefghijklmnop")  # noqa: S608 - the test's own
    rows = hook.stream(endless, chunk_size=5)
    assert len([next(rows) for _ in range(7)]) == 7
    rows.close()
    assert hook.get_first("select count(*) from items") == (3,)


def test_a_stream_reports_what_goes_wrong(hook: MySqlHook) -> None:
    assert list(hook.stream("select id from items where id = %s", (9,))) == []
    with pytest.raises(StatementFailed, match=r"doesn't exist \[1146\]"):
        list(hook.stream("select * from nowhere"))


def test_rows_go_to_another_database_and_back(
    hook: MySqlHook, run_task: RunTask, connection: SetConnection, tmp_path: Path
) -> None:
    connection("file", conn_type="sqlite", host=str(tmp_path / "a.db"))
    SqliteHook("file").run("create table copies (id int, name text)")
    there = GenericTransfer(
        task_id="there", sql="select * from items", source_conn_id="db", destination_conn_id="file",
        destination_table="copies",
    )  # fmt: skip
    back = GenericTransfer(
        task_id="back", sql="select id + 10, name from copies", source_conn_id="file", destination_conn_id="db",
        destination_table="items", preoperator="delete from items",
    )  # fmt: skip
    assert run_task(there).result == 3
    assert run_task(back).result == 3
    assert hook.get_records("select * from items") == [(11, "pen"), (12, "ink"), (13, None)]


# --- Files ---------------------------------------------------------------------------------------------------------


def test_a_table_goes_to_a_file_and_back(hook: MySqlHook, made_hook: MakeHook, tmp_path: Path) -> None:
    file = tmp_path / "items.tsv"
    hook.run("create table v (a varchar(50), b time(6), c date, d varbinary(9))")
    first = ("é🙂\t\n\\\r\0", timedelta(hours=-30, microseconds=-5), date(2026, 1, 2), b"x")
    rows = [first, (None,) * 4, ("", None, None, b"")]
    hook.insert_rows("v", rows)
    made_hook(cursor="dict").bulk_dump("v", str(file))
    assert [path.name for path in tmp_path.iterdir()] == ["items.tsv"]
    hook.run("delete from v")
    made_hook({"local_infile": True}).bulk_load("v", str(file))
    assert hook.get_records("select * from v") == rows


def test_bytes_that_are_no_text_are_not_dumped(hook: MySqlHook, tmp_path: Path) -> None:
    hook.run("create table v (v varbinary(9))")
    hook.insert_rows("v", [(b"\xff",)])
    with pytest.raises(UsageError, match="a column holds other bytes"):
        hook.bulk_dump("v", str(tmp_path / "v"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_loaded_with_options(made_hook: MakeHook, hook: MySqlHook, tmp_path: Path) -> None:
    file = tmp_path / "it's 100%.csv"
    file.write_text("id,name\n1,PEN\n4,né\n", encoding="utf-8")
    loader = made_hook(local_infile="true")
    options = "FIELDS TERMINATED BY ',' IGNORE 1 LINES"
    loader.bulk_load_custom("items", str(file), "IGNORE", options)
    assert hook.get_records("select name from items order by id") == [("pen",), ("ink",), (None,), ("né",)]
    loader.bulk_load_custom("items", str(file), "replace", options)
    assert hook.get_first("select name from items where id = 1") == ("PEN",)
    with pytest.raises(UsageError, match="must be IGNORE or REPLACE"):
        loader.bulk_load_custom("items", str(file), "; drop table items")


def test_a_file_is_loaded_only_where_that_is_allowed(hook: MySqlHook, made_hook: MakeHook, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("4\ta\n")
    with pytest.raises(ConfigError, match="connection 'db' does not allow files to be loaded; set local_infile"):
        hook.bulk_load("items", str(file))
    with pytest.raises(FileNotFoundError, match="there is no file"):
        made_hook(local_infile=True).bulk_load("items", str(tmp_path / "absent"))
