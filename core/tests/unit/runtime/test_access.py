# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
"""Variables, connections and questions from inside a task, and the error outside of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from windlass import DAG, Connection, Variable, get_current_context
from windlass.errors import ContextUnavailable, UsageError
from windlass.hooks import BaseHook
from windlass.operators import PythonOperator
from windlass.ports import KnowsHooks, all_rows
from windlass.protocol import Query
from windlass.registry import Catalog, ConnectionField, ConnectionType, Provider, Registry
from windlass.runtime.attempt import AttemptSession
from windlass.runtime.parsing import AskingSession


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


@pytest.fixture
def cluster(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a type of connection with two fields, and define a connection of it with another."""
    fields = (ConnectionField(name="namespace"), ConnectionField(name="token", secret=True))
    provider = Provider(name="acme", connection_types=(ConnectionType(conn_type="cluster", fields=fields),))
    made = Registry(lambda: Catalog((provider,)))
    monkeypatch.setattr("windlass.registry.registry", lambda: made)
    lab.session.connections["k"] = {"conn_type": "cluster", "extra": {"namespac": "s3cret", "token": "t"}}


@pytest.mark.usefixtures("cluster")
def test_a_field_that_the_type_does_not_declare_is_warned_of_once_and_without_its_value(
    inside: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def ask() -> None:
        for _ in range(3):
            Connection.get("k")
            BaseHook.get_connection("k")

    inside(ask)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "connection 'k' of type 'cluster' has no field 'namespac'; did you mean 'namespace'?")
    ]
    caplog.clear()
    inside(ask)
    assert len(caplog.records) == 1  # another task has another log


@pytest.mark.usefixtures("cluster")
def test_a_connection_whose_fields_are_declared_is_not_warned_of(
    lab: Any, inside: Any, caplog: pytest.LogCaptureFixture
) -> None:
    del lab.session.connections["k"]["extra"]["namespac"]
    inside(lambda: Connection.get("k").conn_type)
    assert not caplog.records


def test_while_a_file_is_parsed_no_manifest_is_read() -> None:
    assert not issubclass(AskingSession, KnowsHooks)
    assert issubclass(AttemptSession, KnowsHooks)


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
