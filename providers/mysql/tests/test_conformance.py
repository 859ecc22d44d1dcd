"""What every provider promises of its hook, and of the operators and sensors that find it, here on MySQL or MariaDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from windlass.hooks import Connection
from windlass_mysql.hook import MySqlHook
from windlass_sql.operators import SQLExecuteQueryOperator
from windlass_sql.sensors import SqlSensor
from windlass_testing.conformance import OperatorSuite, SensorSuite, SQLHookSuite

pytestmark = pytest.mark.services
#: A port at which nobody listens.
DOWN = {"conn_type": "mysql", "host": "127.0.0.1", "port": 1, "login": "ada"}
ENDLESS = "select sleep(600) as windlass_endless"


class TestMySqlHook(SQLHookSuite):
    hook_class = MySqlHook

    @pytest.fixture
    def working_connection(self, mysql_url: str) -> str:
        return mysql_url


class OnMySql:
    """Where the operator and the sensor of windlass-sql find their database."""

    conn_id_argument: str | None = "conn_id"
    result: Any = None

    @pytest.fixture
    def connections(self, mysql_url: str) -> Mapping[str, dict[str, Any]]:
        return {"db": Connection.from_uri("db", mysql_url).to_fields()}

    @pytest.fixture
    def failing_connection(self) -> dict[str, Any]:
        return DOWN

    @pytest.fixture
    def endless_arguments(self, hook: MySqlHook) -> Mapping[str, Any]:
        self.hook = hook
        return {"sql": ENDLESS}

    def is_at_work(self) -> bool:
        sql = "select 1 from information_schema.processlist where info = %s"
        return self.hook.get_first(sql, (ENDLESS,)) is not None

    def is_gone(self) -> bool:
        return not self.is_at_work()


class TestOperator(OnMySql, OperatorSuite):
    operator_class = SQLExecuteQueryOperator
    arguments = {"conn_id": "db", "sql": "select 1 + 1"}
    result = [(2,)]


class TestSensor(OnMySql, SensorSuite):
    operator_class = SqlSensor
    arguments = {"conn_id": "db", "sql": "select 1"}
    waiting_arguments = {"sql": "select 0"}
