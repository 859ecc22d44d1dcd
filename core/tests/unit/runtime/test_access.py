# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
"""Variables, connections and questions from inside a task, and the error outside of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from windlass import DAG, Connection, Variable, get_current_context
from windlass.errors import ContextUnavailable, UsageError
from windlass.operators import PythonOperator
from windlass.ports import all_rows
from windlass.protocol import Query


@pytest.fixture
def inside(lab: Any) -> Callable[[Callable[[], Any]], Any]:
    """Run a function inside a task and return its result."""

    def run(function: Callable[[], Any]) -> Any:
        with DAG("d") as dag:
            PythonOperator(task_id="t", python_callable=function)
        return lab.value(dag, "t")

    return run


def test_variables(lab: Any, inside: Any) -> None:
    lab.session.variables.update(text="v", data='{"a": 1}', bad="secret text")
    assert inside(lambda: Variable.get("text")) == "v"
    assert inside(lambda: Variable.get("data", deserialize_json=True)) == {"a": 1}
    assert inside(lambda: [Variable.get("gone", default=5), Variable.get("gone", None)]) == [5, None]
    assert inside(lambda: Variable.get("gone", default_var=6)) == 6
    inside(lambda: Variable.set("made", {"x": [1]}, serialize_json=True))
    inside(lambda: Variable.set("number", 5))
    assert (lab.session.variables["made"], lab.session.variables["number"]) == ('{"x": [1]}', "5")
    for _ in range(2):
        inside(lambda: Variable.delete("made"))
    assert "made" not in lab.session.variables


def test_a_variable_that_is_no_json_is_not_shown(lab: Any, dag: DAG) -> None:
    lab.session.variables["bad"] = "hunter2"
    PythonOperator(task_id="t", python_callable=lambda: Variable.get("bad", deserialize_json=True))
    reason = lab.finish(dag, "t").reason
    assert "variable 'bad' is not JSON" in reason
    assert "hunter2" not in reason


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Variable.get\(\) has no argument 'defualt'"):
        Variable.get("x", defualt=1)


def test_connections(lab: Any, inside: Any) -> None:
    lab.session.connections["db"] = {"conn_type": "postgres", "host": "h", "password": "p"}
    assert inside(lambda: Connection.get("db").host) == "h"


@pytest.mark.parametrize(
    "ask", [get_current_context, lambda: Variable.get("x"), lambda: Connection.get("x")], ids=["context", "var", "conn"]
)
def test_outside_a_task_it_is_an_error_that_says_where(ask: Callable[[], Any]) -> None:
    with pytest.raises(ContextUnavailable, match="only inside a running task"):
        ask()


def test_all_rows_are_read_page_by_page(lab: Any, inside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"n": number} for number in range(2500)]
    monkeypatch.setattr(lab.session, "_query", lambda verb: rows[verb.offset : verb.offset + verb.limit])
    assert inside(lambda: all_rows("runs", {"dag_id": "x"})) == rows
    assert sum(isinstance(verb, Query) for verb in lab.session.asked) == 3
