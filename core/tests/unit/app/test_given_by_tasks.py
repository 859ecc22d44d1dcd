"""Template fields of the core's operators that another task gives: kept in the DAG file, judged when the task runs."""

# ruff: noqa: ANN401 - values that other tasks may give
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windlass import DAG
from windlass.app.inproc.testing import run_task
from windlass.authoring.operator import argument_names
from windlass.errors import AuthoringError
from windlass.operators import (
    BaseOperator,
    EmptyOperator,
    ExternalPythonOperator,
    PythonOperator,
    PythonVirtualenvOperator,
    TriggerDagRunOperator,
)
from windlass.sensors import DateTimeSensor, DateTimeSensorAsync, ExternalTaskSensor, FileSensor, PythonSensor

#: An operator and what it needs; its template fields are tried one after the other.
NEEDED: list[tuple[type[BaseOperator], dict[str, Any]]] = [
    (DateTimeSensor, {"target_time": "2026-01-01"}),
    (DateTimeSensorAsync, {"target_time": "2026-01-01"}),
    (ExternalPythonOperator, {"python": "python3", "python_callable": str}),
    (ExternalTaskSensor, {"external_dag_id": "other"}),
    (FileSensor, {"filepath": "x"}),
    (PythonOperator, {"python_callable": str}),
    (PythonSensor, {"python_callable": str}),
    (PythonVirtualenvOperator, {"python_callable": str}),
    (TriggerDagRunOperator, {"trigger_dag_id": "other"}),
]


def callable_of_ours() -> bool:
    return True


@pytest.mark.parametrize(
    ("kind", "needed", "field"),
    [
        pytest.param(kind, needed, field, id=f"{kind.__name__}-{field}")
        for kind, needed in NEEDED
        for field in kind.template_fields
        if field in argument_names(kind)
    ],
)
def test_a_template_field_may_be_given_by_a_task_or_a_template(
    kind: type[BaseOperator], needed: dict[str, Any], field: str
) -> None:
    arguments = {**needed, **({"python_callable": callable_of_ours} if "python_callable" in needed else {})}
    with DAG("d", schedule=None):
        other: Any = PythonOperator(task_id="other", python_callable=callable_of_ours)
        made = kind(task_id="made", **{**arguments, field: other.output})
        template = kind(task_id="template", **{**arguments, field: "{{ params.x }}"})
    assert made.upstream_task_ids == {"other"}
    assert getattr(template, field) == "{{ params.x }}"


def given(kind: type[BaseOperator], field: str, value: Any, **arguments: Any) -> Any:
    """Run a task whose template field is what another task has returned."""
    with DAG("d", schedule=None):
        other: Any = EmptyOperator(task_id="other")
        made = kind(task_id="t", **arguments, **{field: other.output})
    return run_task(made, xcoms={"other": value})


@pytest.mark.parametrize("moment", ["2026-01-01", "2026-01-01T00:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_sensor_waits_for_a_moment_that_a_task_gives(moment: Any) -> None:
    assert given(DateTimeSensor, "target_time", moment).state == "success"


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        (DateTimeSensor, "target_time", "soon", "sensor 't': target_time 'soon' is not an ISO 8601 date or datetime"),
        (DateTimeSensor, "target_time", 5, "sensor 't': target_time must be a datetime, not 5"),
        (DateTimeSensor, "target_time", None, "sensor 't': target_time is None now that the task runs; give a moment"),
        (TriggerDagRunOperator, "conf", ["a"], "task 't': conf must be a dict, not ['a']"),
        (TriggerDagRunOperator, "conf", "{}", "not '{}'; a template gives one with render_template_as_native_obj=True"),
        (TriggerDagRunOperator, "logical_date", 5, "task 't': logical_date must be a datetime, not 5"),
        (ExternalTaskSensor, "external_task_ids", "a", "external_task_ids must be a list of task ids, not 'a'"),
        (PythonVirtualenvOperator, "requirements", 5, "requirements must be a text or several texts, not 5"),
        (PythonVirtualenvOperator, "requirements", ["a", 5], "must be a text or several texts, not ['a', 5]"),
    ],
)
def test_what_a_task_gives_and_cannot_be_is_an_error_of_the_task(
    kind: type[BaseOperator], field: str, value: Any, said: str
) -> None:
    others = {id(one): needed for one, needed in NEEDED}[id(kind)]
    arguments = {name: argument for name, argument in others.items() if name != field}
    if "python_callable" in arguments:
        arguments["python_callable"] = callable_of_ours
    done = given(kind, field, value, **arguments)
    assert done.state == "failed"
    assert done.reason.startswith("AuthoringError: ")
    assert said in done.reason


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (ExternalTaskSensor, {"external_dag_id": "d", "external_task_ids": "a"}, "must be a list of task ids, not 'a'"),
        (TriggerDagRunOperator, {"trigger_dag_id": "d", "conf": ["a"]}, "conf must be a dict, not"),
    ],
)
def test_what_is_known_in_the_dag_file_is_judged_there(
    kind: type[BaseOperator], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(AuthoringError, match=said):
        kind(task_id="t", **arguments)
