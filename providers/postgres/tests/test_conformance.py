"""What every provider promises of its hook, and of the operators and sensors that find it, here on PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from windlass.hooks import Connection
from windlass_postgres.hook import PostgresHook
from windlass_sql.operators import SQLExecuteQueryOperator
from windlass_sql.sensors import SqlSensor
from windlass_testing.conformance import OperatorSuite, SensorSuite, SQLHookSuite

pytestmark = pytest.mark.services
#: A port at which nobody listens.
DOWN = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "ada"}
ENDLESS = "select pg_sleep(600) as windlass_endless"


def connection_to(url: str) -> Connection:
    return Connection.from_uri("db", url)


class TestPostgresHook(SQLHookSuite):
    hook_class = PostgresHook
    binary_type = "BYTEA"

    @pytest.fixture
    def working_connection(self, postgres_url: str) -> dict[str, Any]:
        return connection_to(postgres_url).to_fields()


class OnPostgres:
    """Where the operator and the sensor of windlass-sql find their database."""

    conn_id_argument: str | None = "conn_id"
    result: Any = None

    @pytest.fixture
    def connections(self, postgres_url: str) -> Mapping[str, dict[str, Any]]:
        return {"db": connection_to(postgres_url).to_fields()}

    @pytest.fixture
    def failing_connection(self) -> dict[str, Any]:
        return DOWN

    @pytest.fixture
    def endless_arguments(self, hook: PostgresHook) -> Mapping[str, Any]:
        self.hook = hook
        return {"sql": ENDLESS}

    def is_at_work(self) -> bool:
        sql = "select 1 from pg_stat_activity where state = 'active' and query = %s"
        return self.hook.get_first(sql, (ENDLESS,)) is not None

    def is_gone(self) -> bool:
        return not self.is_at_work()


class TestOperator(OnPostgres, OperatorSuite):
    operator_class = SQLExecuteQueryOperator
    arguments = {"conn_id": "db", "sql": "select 1 + 1"}
    result = [(2,)]


class TestSensor(OnPostgres, SensorSuite):
    operator_class = SqlSensor
    arguments = {"conn_id": "db", "sql": "select 1"}
    waiting_arguments = {"sql": "select 0"}
