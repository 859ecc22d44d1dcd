"""What Windlass expects of every provider, hook, operator, sensor and trigger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from windlass_testing.conformance import HookSuite, OperatorSuite, ProviderSuite, SensorSuite, TriggerSuite

from windlass_hello.hook import HelloHook
from windlass_hello.operators import HelloOperator
from windlass_hello.sensors import HelloSensor
from windlass_hello.triggers import HelloTrigger


class TestProvider(ProviderSuite):
    distribution = "windlass-hello"


class TestHook(HookSuite):
    hook_class = HelloHook

    @pytest.fixture
    def working_connection(self, hello_server: Any) -> str:
        return str(hello_server.uri)


class AgainstTheServer:
    """What the operator and the sensor have in common."""

    @pytest.fixture
    def connections(self, hello_server: Any) -> Mapping[str, str]:
        return {"hello_default": hello_server.uri}

    @pytest.fixture
    def failing_connection(self) -> str:
        return "hello://ada@127.0.0.1:1"


class TestOperator(AgainstTheServer, OperatorSuite):
    operator_class = HelloOperator
    arguments = {"name": "Ada"}
    conn_id_argument = "hello_conn_id"
    result = "Hello, Ada"


class TestSensor(AgainstTheServer, SensorSuite):
    operator_class = HelloSensor
    arguments = {"name": "Ada"}
    conn_id_argument = "hello_conn_id"
    waiting_arguments = {"name": "Nobody"}


class TestTrigger(TriggerSuite):
    trigger_class = HelloTrigger

    @pytest.fixture
    def connections(self, hello_server: Any) -> Mapping[str, str]:
        self.guests = hello_server.guests
        return {"hello_default": hello_server.uri}

    def waiting(self) -> HelloTrigger:
        return HelloTrigger("Bob", "hello_default", poke_interval=0.01)

    def make_it_fire(self) -> None:
        self.guests.add("Bob")
