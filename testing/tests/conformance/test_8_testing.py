"""SEMANTICS, section 8: how users test their DAGs: in process, without a database or a daemon."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good

from windlass import DAG, Connection, Param, Variable, task
from windlass.app.inproc.testing import run_task
from windlass.errors import ParamInvalid
from windlass.hooks import BaseHook
from windlass.operators import PythonOperator
from windlass.sensors import PythonSensor
from windlass_testing.virtual import VirtualInstallation


def shout(text: str) -> str:
    print(text)  # noqa: T201 - as users do
    return f"{text}!"


def test_dag_test_runs_the_whole_dag_and_returns_states_xcoms_and_logs() -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="use")(shout)(good())
        bad.override(retries=1)()
    result = dag.test(logical_date=MONDAY)
    assert (result.state, result.states) == ("failed", {"good": "success", "use": "success", "bad": "failed"})
    assert (result.xcom("use"), result.run_id) == ("good!", "manual__2026-03-02T00:00:00+00:00")
    assert "good\n" in result.log("use")
    assert result.task("bad").try_number == 2


def test_dag_test_takes_conf_connections_and_variables() -> None:
    with DAG("d", schedule=None, params={"x": 0}) as dag:

        @task
        def look(params: Any) -> list[Any]:
            return [
                params["x"],
                BaseHook.get_connection("db").host,
                BaseHook.get_connection("e").host,
                Variable.get("v"),
            ]

        look()
    connections = {"db": "postgres://h", "e": Connection("e", "http", host="g")}
    result = dag.test(conf={"x": 5}, connections=connections, variables={"v": "w"})
    assert result.xcom("look") == [5, "h", "g", "w"]


def test_dag_test_checks_conf() -> None:
    with DAG("d", schedule=None, params={"x": Param(1, type="integer")}) as dag:
        good()
    with pytest.raises(ParamInvalid, match="'x'"):
        dag.test(conf={"x": "one"})


def test_dag_test_runs_mapping_branches_and_sensors() -> None:
    pokes: list[int] = []

    def poke() -> bool:
        pokes.append(1)
        return len(pokes) == 3

    with DAG("d", schedule=None) as dag:
        choose = task.branch(task_id="choose")(lambda: "each")()
        PythonSensor(task_id="sensor", python_callable=poke, mode="reschedule") >> choose
        choose >> [task(task_id="each")(lambda x: x).expand(x=[1, 2]), good()]
    assert dag.test().states == {
        "sensor": "success", "choose": "success", "each[0]": "success", "each[1]": "success", "good": "skipped",
    }  # fmt: skip


def test_it_runs_in_this_process_and_thread_so_that_breakpoints_work() -> None:
    callers: list[str] = []
    with DAG("d", schedule=None) as dag:
        task(task_id="t")(lambda: callers.extend(frame.name for frame in traceback.extract_stack()))()
    dag.test()
    assert "test_it_runs_in_this_process_and_thread_so_that_breakpoints_work" in callers


def test_it_is_deterministic() -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=2, retry_exponential_backoff=True)() >> good()
    first, second = (dag.test(logical_date=MONDAY) for _ in range(2))
    assert (first.states, first.run_id) == (second.states, second.run_id)


def test_run_task_runs_one_operator_of_no_dag_with_its_rendered_fields() -> None:
    operator = PythonOperator(task_id="t", python_callable=lambda day: f"on {day}", op_args=["{{ ds }}"])
    result = run_task(operator, logical_date=datetime(2026, 3, 2, tzinfo=UTC))
    assert (str(result.state), result.result, result.rendered["op_args"]) == (
        "success",
        "on 2026-03-02",
        ["2026-03-02"],
    )


def test_run_task_says_why_it_failed() -> None:
    def fail() -> None:
        raise ValueError("it is bad")

    result = run_task(PythonOperator(task_id="t", python_callable=fail))
    assert (str(result.state), result.reason) == ("failed", "ValueError: it is bad")
    assert "it is bad" in result.log


def test_dag_test_and_the_engine_come_to_the_same_end(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        choose = task.branch(task_id="choose")(lambda: ["each", "bad"])()
        choose >> [task(task_id="each")(lambda x: 10 // x).expand(x=[1, 0, 2]), bad(), good()]
        dag.get_task("each") >> good.override(task_id="after", trigger_rule="one_success")()
    run = windlass.run(dag, logical_date=MONDAY)
    assert dag.test(logical_date=MONDAY).states == dict(windlass.states(run))
