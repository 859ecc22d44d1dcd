"""What every provider promises of its hooks, operators and sensors, here over SQLite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from windlass_sql.checks import (
    SQLCheckOperator,
    SQLColumnCheckOperator,
    SQLIntervalCheckOperator,
    SQLTableCheckOperator,
    SQLThresholdCheckOperator,
    SQLValueCheckOperator,
)
from windlass_sql.operators import BranchSQLOperator, SQLExecuteQueryOperator, SQLInsertRowsOperator
from windlass_sql.sensors import SqlSensor
from windlass_sql.sqlite import SqliteHook
from windlass_sql.transfer import GenericTransfer
from windlass_testing.conformance import OperatorSuite, SensorSuite, SQLHookSuite

#: A file that cannot be made.
NOWHERE = {"conn_type": "sqlite", "host": "/no such folder/db.sqlite"}


class TestSqliteHook(SQLHookSuite):
    hook_class = SqliteHook

    @pytest.fixture
    def working_connection(self, tmp_path: Path) -> dict[str, str]:
        return {"conn_type": "sqlite", "host": str(tmp_path / "db.sqlite")}

    @pytest.fixture
    def failing_connection(self) -> dict[str, str]:
        return NOWHERE


class OnSqlite:
    """Where the operators under test find their rows: ``items`` has three, and each of its days one."""

    conn_id_argument: str | None = "conn_id"

    @pytest.fixture
    def connections(self, tmp_path: Path, items: SqliteHook) -> Mapping[str, dict[str, str]]:
        items.run("create table days (ds text, n int)")
        items.run("create table copies (id int, name text)")
        items.run("insert into days values ('2026-01-01', 2), ('2025-12-25', 2)")
        return {"db": {"conn_type": "sqlite", "host": str(tmp_path / "db.sqlite")}}

    @pytest.fixture
    def failing_connection(self) -> dict[str, str]:
        return NOWHERE


class TestSQLExecuteQueryOperator(OnSqlite, OperatorSuite):
    operator_class = SQLExecuteQueryOperator
    arguments = {"conn_id": "db", "sql": "select id from items"}
    result = [(1,), (2,), (3,)]


class TestSQLInsertRowsOperator(OnSqlite, OperatorSuite):
    operator_class = SQLInsertRowsOperator
    arguments = {"conn_id": "db", "table_name": "items", "rows": [(4, "cap"), (5, "nib")]}
    result = 2


class TestBranchSQLOperator(OnSqlite, OperatorSuite):
    operator_class = BranchSQLOperator
    arguments = {
        "conn_id": "db",
        "sql": "select count(*) from items",
        "follow_task_ids_if_true": [],  # a task that is run alone has none behind it
        "follow_task_ids_if_false": ["others"],
    }


class TestSQLCheckOperator(OnSqlite, OperatorSuite):
    operator_class = SQLCheckOperator
    arguments = {"conn_id": "db", "sql": "select count(*) from items"}
    result = None


class TestSQLValueCheckOperator(OnSqlite, OperatorSuite):
    operator_class = SQLValueCheckOperator
    arguments = {"conn_id": "db", "sql": "select count(*) from items", "pass_value": 3}
    result = None


class TestSQLThresholdCheckOperator(OnSqlite, OperatorSuite):
    operator_class = SQLThresholdCheckOperator
    arguments = {"conn_id": "db", "sql": "select count(*) from items", "min_threshold": 1, "max_threshold": 3}
    result = None


class TestSQLIntervalCheckOperator(OnSqlite, OperatorSuite):
    operator_class = SQLIntervalCheckOperator
    arguments = {"conn_id": "db", "table": "days", "metrics_thresholds": {"sum(n)": 2}, "ignore_zero": False}
    result = None


class TestSQLColumnCheckOperator(OnSqlite, OperatorSuite):
    operator_class = SQLColumnCheckOperator
    arguments = {"conn_id": "db", "table": "items", "column_mapping": {"id": {"min": {"equal_to": 1}}}}
    result = None


class TestSQLTableCheckOperator(OnSqlite, OperatorSuite):
    operator_class = SQLTableCheckOperator
    arguments = {"conn_id": "db", "table": "items", "checks": {"rows": {"check_statement": "count(*) = 3"}}}
    result = None


class TestGenericTransfer(OnSqlite, OperatorSuite):
    operator_class = GenericTransfer
    conn_id_argument = "source_conn_id"
    arguments = {
        "sql": "select * from items",
        "destination_table": "copies",
        "source_conn_id": "db",
        "destination_conn_id": "db",
    }
    result = 3


class TestDestinationOfGenericTransfer(TestGenericTransfer):
    conn_id_argument = "destination_conn_id"


class TestSqlSensor(OnSqlite, SensorSuite):
    operator_class = SqlSensor
    arguments = {"conn_id": "db", "sql": "select count(*) from items"}
    waiting_arguments = {"sql": "select 0"}
    result = None
