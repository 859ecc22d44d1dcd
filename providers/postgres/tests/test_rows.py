"""Rows into and out of PostgreSQL: values of every kind, streams, COPY, replacing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from windlass.errors import UsageError
from windlass_postgres.hook import PostgresHook
from windlass_sql.errors import InsertFailed, StatementFailed
from windlass_sql.sqlite import SqliteHook
from windlass_sql.transfer import GenericTransfer
from windlass_testing import RunTask, SetConnection

pytestmark = pytest.mark.services

LATER = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
VALUES: dict[str, list[Any]] = {
    "int8": [0, -(2**63), None],
    "numeric": [Decimal("1.10"), Decimal("-12345678901234567890.123456789"), Decimal("NaN"), None],
    "float8": [1.5, float("inf"), None],
    "text": ["", "é漢🙂", "tab\tnew\nline\\N", "\\N", "'\"", None],
    "bytea": [b"", b"\x00\xff\\x41", None],
    "bool": [True, False, None],
    "date": [date(2026, 2, 28), date.max, date.min, None],
    "timestamp": [datetime(2026, 1, 1, 1, 2, 3, 4), datetime.max, datetime.min, None],  # noqa: DTZ001, DTZ901
    "timestamptz": [LATER, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), None],
    "time": [time(23, 59, 59, 999999), None],
    "interval": [timedelta(days=3, seconds=5), None],
    "uuid": [UUID(int=7), None],
    "int4[]": [[1, None, -3], [], [[1, 2], [3, 4]], None],
    "text[]": [["a", 'b"c', "{,}", "é\\", None], None],
    "jsonb": [{"a": [1, None, "é"]}, {}, None],
}


@pytest.mark.parametrize("plain", [False, True], ids=["copy", "insert"])
@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_as_they_were(hook: PostgresHook, kind: str, plain: bool) -> None:
    values = VALUES[kind]
    hook.run(f"create table v (n int, v {kind})")
    hook.insert_rows("v", list(enumerate(values)), executemany=plain)
    found = [row[0] for row in hook.stream("select v from v order by n", chunk_size=2)]
    assert list(map(repr, found)) == list(map(repr, values)) or found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize("plain", [False, True], ids=["copy", "insert"])
def test_infinite_dates_go_round(hook: PostgresHook, plain: bool) -> None:
    hook.run("create table v (d date, t timestamp, z timestamptz)")
    hook.run(
        "insert into v select x::date, x::timestamp, x::timestamptz from unnest('{infinity, -infinity}'::text[]) x"
    )
    rows = hook.get_records("select * from v")
    assert rows == [
        (date.max, datetime.max, datetime.max.replace(tzinfo=UTC)),  # noqa: DTZ901 - that is the last
        (date.min, datetime.min, datetime.min.replace(tzinfo=UTC)),  # noqa: DTZ901 - that is the first
    ]
    hook.insert_rows("v", rows, executemany=plain)
    texts = hook.get_records("select d::text, t::text, z::text from v")
    assert texts == [("infinity",) * 3, ("-infinity",) * 3] * 2
    assert hook.get_first("select %s = date 'infinity', %s = 'infinity'", (rows[0][0], rows[0][2])) == (True, True)


def test_infinite_dates_are_read_wherever_they_stand(hook: PostgresHook) -> None:
    value = "case when i % 3 = 0 then timestamptz '-infinity' else '2026-01-01 00:00+00' end"
    sql = f"select {value} from generate_series(1, 7) i"  # noqa: S608 - the test's own
    first, day = datetime.min.replace(tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    expected = [(moment,) for moment in (day, day, first, day, day, first, day)]
    assert hook.get_records(sql) == expected
    found = hook.run(sql, handler=lambda cursor: [cursor.fetchone(), *cursor.fetchmany(4), *cursor.fetchall()])
    assert found == expected
    for chunk_size in (1, 2, 100):
        assert list(hook.stream(sql, chunk_size=chunk_size)) == expected
    with pytest.raises(StatementFailed, match="timestamp too large"):
        hook.get_records("select timestamptz '20000-01-01 00:00+00'")


def test_the_last_day_of_python_is_a_day(hook: PostgresHook) -> None:
    assert hook.get_first("select %s::date::text", (date.max,)) == ("9999-12-31",)


def test_rows_are_inserted_through_copy_all_or_none(hook: PostgresHook) -> None:
    rows = ((number, "x") for number in [*range(10, 22_000), 1])
    with pytest.raises(InsertFailed, match=r"rows 20001 to 21991 .*duplicate key .*\[23505\]; no row is committed"):
        hook.insert_rows("items", rows)
    assert hook.get_first("select count(*) from items") == (3,)
    assert hook.insert_rows("public.items", ((n,) for n in range(10, 12_000)), ["id"]) == 11_990
    assert hook.insert_rows("items", []) == 0


def test_with_commit_every_the_batches_before_stay(hook: PostgresHook) -> None:
    with pytest.raises(InsertFailed, match=r"rows 5 to 5 .* the 4 rows before are committed"):
        hook.insert_rows("items", [(n, "x") for n in (10, 11, 12, 13, 1)], commit_every=2)
    assert hook.get_first("select count(*) from items") == (7,)


def test_an_error_where_the_rows_come_from_leaves_nothing(hook: PostgresHook) -> None:
    def rows() -> Iterator[tuple[int, str]]:
        yield 10, "a"
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        hook.insert_rows("items", rows())
    assert hook.get_first("select count(*) from items") == (3,)


def test_names_are_quoted_so_that_they_stay_names(hook: PostgresHook) -> None:
    table, column = 'X"; drop table items; --', "select; %s"
    hook.run(f"create table {hook.quote_table([table])} ({hook.quote_identifier(column)} text)")
    hook.insert_rows([table], [("v",)], [column])
    assert hook.get_records(f"select * from {hook.quote_table([table])}") == [("v",)]  # noqa: S608 - quoted
    with pytest.raises(InsertFailed, match='relation "Items" does not exist'):
        hook.insert_rows("Items", [(1, "x")])


def test_rows_of_the_same_key_are_replaced(hook: PostgresHook) -> None:
    names = ["id", "name"]
    hook.insert_rows("items", [(1, "PEN"), (4, "new"), (1, "Pen")], names, replace=True, replace_index="id")
    hook.insert_rows("items", [(2, "Ink")], names, replace=True)  # by its primary key
    hook.insert_rows("items", [(3,)], ["id"], replace=True)
    assert hook.get_records("select * from items order by id") == [(1, "Pen"), (2, "Ink"), (3, None), (4, "new")]
    hook.run("create table keyless (id int)")
    with pytest.raises(UsageError, match="to replace rows of 'keyless', give target_fields and, as replace_index"):
        hook.insert_rows("keyless", [(1,)], ["id"], replace=True)


def test_the_primary_key_is_found(hook: PostgresHook) -> None:
    hook.run('create schema s; create table s."T" (a int, b int, c int, primary key (c, a)); create table s.k (a int)')
    assert hook.get_table_primary_key("T", "s") == ["c", "a"]
    assert hook.get_table_primary_key('s."T"') == ["c", "a"]
    assert hook.get_table_primary_key("s.k") is None
    assert hook.get_table_primary_key("absent") is None


# --- Files ---------------------------------------------------------------------------------------------------------


def test_a_table_goes_to_a_file_and_back(hook: PostgresHook, tmp_path: Path) -> None:
    file = tmp_path / "items.tsv"
    hook.bulk_dump("items", str(file))
    assert file.read_text() == "1\tpen\n2\tink\n3\t\\N\n"
    hook.run("truncate items")
    hook.bulk_load("items", str(file))
    assert hook.get_records("select * from items") == [(1, "pen"), (2, "ink"), (3, None)]
    assert [path.name for path in tmp_path.iterdir()] == ["items.tsv"]


def test_copy_expert_takes_any_copy_and_any_file(hook: PostgresHook) -> None:
    stream = io.BytesIO()
    hook.copy_expert("COPY (select id, name from items order by id) TO STDOUT (format csv, header)", stream)
    assert stream.getvalue() == b"id,name\n1,pen\n2,ink\n3,\n"
    hook.copy_expert("copy items from stdin (format csv)", io.BytesIO("4,é\n".encode()))
    assert hook.get_first("select name from items where id = 4") == ("é",)
    with pytest.raises(UsageError, match="needs a COPY … FROM STDIN or a COPY … TO STDOUT, not: copy items from '"):
        hook.copy_expert("copy items from '/etc/passwd'", stream)


def test_a_copy_that_fails_leaves_neither_rows_nor_half_a_file(hook: PostgresHook, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("before")
    with pytest.raises(StatementFailed, match="division by zero"):
        hook.copy_expert("copy (select 1 / (500 - i) from generate_series(1, 1000) i) to stdout", str(file))
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(StatementFailed, match=r"invalid input syntax for type integer.*line 2"):
        hook.copy_expert("copy items from stdin", io.BytesIO(b"7\ta\nx\tb\n"))
    assert hook.get_first("select count(*) from items") == (3,)
    with pytest.raises(FileNotFoundError):
        hook.bulk_load("items", str(tmp_path / "absent"))


# --- Streams -------------------------------------------------------------------------------------------------------


def test_a_stream_leaves_the_result_with_the_server(hook: PostgresHook) -> None:
    hook.run("create sequence sent")
    rows = hook.stream("select nextval('sent'), %s from generate_series(1, 1000000)", ("x",), chunk_size=1000)
    first, made = next(rows), hook.get_first("select last_value from sent")[0]
    rows.close()
    assert first == (1, "x")
    assert made < 100_000
    assert list(hook.stream("insert into items values (5, 'e') returning name")) == [("e",)]
    assert hook.get_first("select count(*) from items") == (4,)
    with pytest.raises(StatementFailed, match="division by zero"):
        list(hook.stream("select 1 / (5 - i) from generate_series(1, 9) i", chunk_size=2))


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("with n as (select 7 as id) insert into items select id, 'g' from n returning id, name", [(7, "g")]),
        ("with n (no) as (values (1)) /* so */ update items set name = 'quill' from n where id = no returning name",
         [("quill",)]),
        ("with n as (select 1)\n-- select\nDELETE\nFROM only items where id < 3 returning id", [(1,), (2,)]),
        ("with gone as (delete from items where id = %(id)s returning id) select id + 10 from gone", [(12,)]),
        ("with gone as materialized (update items set name = 'x)' returning id) table gone order by id",
         [(1,), (2,), (3,)]),
    ],
)  # fmt: skip
def test_what_changes_data_behind_a_with_is_streamed_as_well(hook: PostgresHook, sql: str, rows: list[Any]) -> None:
    parameters = {"id": 2} if "%(id)s" in sql else None
    assert sorted(map(tuple, hook.stream(sql, parameters))) == rows
    assert hook.get_records("select id, name from items order by id") != [(1, "pen"), (2, "ink"), (3, None)]


@pytest.mark.parametrize(
    "sql",
    [
        "with n as (select * from items for update) select nextval('sent') from n, generate_series(1, 100000)",
        "with n as (select 'x) insert into y' as v) select nextval('sent'), v from n, generate_series(1, 100000)",
        "with n (update, set) as (values (1, 2)) select nextval('sent') from n, generate_series(1, 100000)",
    ],
)
def test_what_only_reads_stays_with_the_server(hook: PostgresHook, sql: str) -> None:
    hook.run("create sequence sent")
    rows = hook.stream(sql, chunk_size=1000)
    next(rows)
    made = hook.get_first("select last_value from sent")[0]
    rows.close()
    assert made < 100_000


def test_rows_go_to_another_database_and_back(
    hook: PostgresHook, run_task: RunTask, connection: SetConnection, tmp_path: Path
) -> None:
    connection("file", conn_type="sqlite", host=str(tmp_path / "a.db"))
    file = SqliteHook("file")
    file.run("create table copies (id int, at text)")
    there = GenericTransfer(
        task_id="there", source_conn_id="db", destination_conn_id="file", destination_table="copies",
        sql="select id, timestamptz '2026-01-01 00:00+00' from items",
    )  # fmt: skip
    back = GenericTransfer(
        task_id="back", source_conn_id="file", destination_conn_id="db", destination_table="public.copies",
        sql="select * from copies", preoperator="create table copies (id int, at timestamptz)",
    )  # fmt: skip
    assert run_task(there).result == 3
    assert run_task(back).result == 3
    assert hook.get_first("select * from copies") == (1, datetime(2026, 1, 1, tzinfo=UTC))
