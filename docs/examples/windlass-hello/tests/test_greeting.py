"""What is special about this provider."""

from __future__ import annotations

from typing import Any

import pytest
from windlass import DAG
from windlass_testing import RunDag, SetConnection

from windlass_hello.hook import HelloError, HelloHook
from windlass_hello.operators import HelloOperator
from windlass_hello.sensors import HelloSensor


def test_it_greets_in_the_tone_of_the_connection(hello_server: Any, run_dag: RunDag) -> None:
    with DAG("greetings", schedule=None) as dag:
        HelloOperator(task_id="greet", name="{{ dag.dag_id }}")
    uri = f"{hello_server.uri}?tone=formal"
    result = run_dag(dag, connections={"hello_default": uri})
    assert result.xcom("greet") == "Good day, greetings"
    assert "Good day, greetings" in result.log("greet")


def test_it_greets_once_somebody_has_arrived(hello_server: Any, run_dag: RunDag) -> None:
    with DAG("greetings", schedule=None) as dag:
        wait = HelloSensor(task_id="wait", name="Ada", deferrable=True)
        wait >> HelloOperator(task_id="greet", name="Ada")
    result = run_dag(dag, connections={"hello_default": hello_server.uri})
    assert result.states == {"wait": "success", "greet": "success"}


def test_names_are_taken_as_they_are(hello_server: Any, connection: SetConnection) -> None:
    connection("hello_default", hello_server.uri)
    assert HelloHook().greet("Zoë / 50% & more?") == "Hello, Zoë / 50% & more?"


def test_a_wrong_password_is_refused_by_name(hello_server: Any, connection: SetConnection) -> None:
    connection("door", hello_server.uri.replace("lovelace", "wrong"))
    with pytest.raises(HelloError, match="connection `door`: the service refuses with 401"):
        HelloHook("door").greet("Ada")
    assert HelloHook("door").test_connection()[0] is False
