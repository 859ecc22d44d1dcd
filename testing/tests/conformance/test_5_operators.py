"""SEMANTICS, section 5: the operators that core brings (branches and short circuits: ``test_2_branching``)."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import sys
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good

from windlass import DAG, task
from windlass.errors import AuthoringError
from windlass.operators import (
    BranchDateTimeOperator,
    BranchDayOfWeekOperator,
    EmptyOperator,
    ExternalPythonOperator,
    ExternalTaskMarker,
    PythonOperator,
    PythonVirtualenvOperator,
    TriggerDagRunOperator,
    WeekDay,
)
from windlass_testing.virtual import START, VirtualInstallation


def square(x: int) -> dict[str, Any]:
    import sys as there

    return {"square": x * x, "prefix": there.prefix}


# --- Python


def test_a_python_operator_calls_its_function_with_its_arguments(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        PythonOperator(
            task_id="t", python_callable=lambda a, b, ds: [a, b, ds], op_args=["{{ run_id }}"], op_kwargs={"b": 2}
        )
    run = windlass.run(dag, run_id="r")
    assert windlass.xcom(run, "t") == ["r", 2, "2026-03-01"]


def test_external_python_runs_the_function_in_another_interpreter(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        ExternalPythonOperator(task_id="t", python=sys.executable, python_callable=square, op_args=[7])
        ExternalPythonOperator(task_id="missing", python="/nowhere/python", python_callable=square, op_args=[7])
    run = windlass.run(dag)
    assert windlass.xcom(run, "t")["square"] == 49
    assert windlass.reason(run, "missing").endswith("create its environment first")


def test_a_virtualenv_is_made_for_the_function(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        PythonVirtualenvOperator(task_id="t", python_callable=square, op_args=[7])
    found = windlass.xcom(windlass.run(dag), "t")
    assert found["square"] == 49
    assert found["prefix"] != sys.prefix


def test_an_empty_operator_does_nothing_and_succeeds(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        EmptyOperator(task_id="t")
    assert windlass.states(windlass.run(dag)) == {"t": "success"}


# --- Triggering another DAG


@pytest.fixture
def other(windlass: VirtualInstallation) -> VirtualInstallation:
    """Return an installation with a DAG to trigger, ``other``, which takes an hour."""
    with DAG("other", schedule=None, params={"x": 0}) as dag:
        task(task_id="work")(lambda params: params["x"])()
    windlass.add(dag)
    windlass.worker.takes("work", timedelta(hours=1))
    return windlass


def trigger(**options: Any) -> DAG:
    with DAG("d", schedule=None) as dag:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="other", **options)
    return dag


def test_trigger_dag_run_starts_a_run_and_goes_on(other: VirtualInstallation) -> None:
    run = other.run(trigger(conf={"x": "{{ 3 + 4 }}"}, logical_date="{{ ds }}"))
    [made] = other.runs("other")
    assert (run.state, made.state, made.conf) == ("success", "running", {"x": "7"})
    assert made.logical_date == datetime(2026, 3, 1, tzinfo=UTC)
    assert other.xcom(run, "t", "trigger_run_id") == made.run_id


def test_trigger_dag_run_waits_for_completion_without_holding_a_slot(other: VirtualInstallation) -> None:
    run = other.start(trigger(wait_for_completion=True, poke_interval=60))
    assert other.states(run) == {"t": "up_for_reschedule"}
    assert other.end_of(run).state == "success"
    assert other.clock.now() - START >= timedelta(hours=1)
    assert len(other.runs("other")) == 1


def test_trigger_dag_run_fails_when_the_run_it_waits_for_fails(windlass: VirtualInstallation) -> None:
    with DAG("other", schedule=None) as dag:
        bad()
    windlass.add(dag)
    run = windlass.run(trigger(wait_for_completion=True))
    assert windlass.states(run) == {"t": "failed"}
    assert "ended as failed" in windlass.reason(run, "t")


@pytest.mark.parametrize(("options", "state"), [({}, "failed"), ({"skip_when_already_exists": True}, "skipped")])
def test_trigger_dag_run_of_an_id_that_exists_fails_or_skips(
    other: VirtualInstallation, options: dict[str, Any], state: str
) -> None:
    other.run("other", run_id="mine")
    assert other.states(other.run(trigger(trigger_run_id="mine", **options))) == {"t": state}


def test_trigger_dag_run_may_clear_a_run_that_exists(other: VirtualInstallation) -> None:
    first = other.run("other", run_id="mine")
    other.run(trigger(trigger_run_id="mine", reset_dag_run=True))
    assert other.end_of(first).state == "success"
    assert other.task(first, "work").try_number == 2


def test_an_attempt_that_was_lost_after_it_triggered_finds_its_run_again(other: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:

        class Lost(TriggerDagRunOperator):
            def execute(self, context: Any) -> None:
                super().execute(context)
                if context["try_number"] == 1:
                    raise ValueError("lost its answer")

        Lost(task_id="t", trigger_dag_id="other", trigger_run_id="mine", retries=1, skip_when_already_exists=True)
    other.run(dag)
    assert [run.run_id for run in other.runs("other")] == ["mine"]


def test_trigger_dag_run_of_an_unknown_dag_fails_and_says_so(windlass: VirtualInstallation) -> None:
    run = windlass.run(trigger())
    assert "'other' is not known" in windlass.reason(run, "t")


def test_an_external_task_marker_is_a_task_that_does_nothing(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        ExternalTaskMarker(task_id="t", external_dag_id="other", external_task_id="x")
    assert windlass.states(windlass.run(dag)) == {"t": "success"}


# --- Branches by the clock: it is Sunday noon, and the logical date is what a test says


@pytest.mark.parametrize(
    ("days", "logical", "way"),
    [
        ("Sunday", False, "yes"),
        (["saturday", WeekDay.SUNDAY], False, "yes"),
        (WeekDay.MONDAY, False, "no"),
        (WeekDay.MONDAY, True, "yes"),
    ],
)
def test_branch_day_of_week(windlass: VirtualInstallation, days: Any, logical: bool, way: str) -> None:
    with DAG("d", schedule=None) as dag:
        BranchDayOfWeekOperator(
            task_id="b",
            week_day=days,
            use_task_logical_date=logical,
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
        ) >> [EmptyOperator(task_id="yes"), EmptyOperator(task_id="no")]
    states = windlass.states(windlass.run(dag, logical_date=MONDAY))
    assert [name for name in ("yes", "no") if states[name] == "success"] == [way]


@pytest.mark.parametrize(
    ("lower", "upper", "way"),
    [
        (time(11), time(13), "yes"),
        (time(13), time(14), "no"),
        (time(22), time(13), "yes"),  # over midnight
        (datetime(2026, 1, 1, tzinfo=UTC), None, "yes"),
        (None, datetime(2026, 1, 1, tzinfo=UTC), "no"),
        (time(12), time(12), "yes"),  # bounds included
    ],
)
def test_branch_date_time(windlass: VirtualInstallation, lower: Any, upper: Any, way: str) -> None:
    with DAG("d", schedule=None) as dag:
        BranchDateTimeOperator(
            task_id="b",
            target_lower=lower,
            target_upper=upper,
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
        ) >> [EmptyOperator(task_id="yes"), EmptyOperator(task_id="no")]
    states = windlass.states(windlass.run(dag))
    assert [name for name in ("yes", "no") if states[name] == "success"] == [way]


def test_branch_date_time_needs_a_bound() -> None:
    with pytest.raises(AuthoringError, match="needs target_lower"):
        BranchDateTimeOperator(
            task_id="b",
            target_lower=None,
            target_upper=None,
            follow_task_ids_if_true="yes",
            follow_task_ids_if_false="no",
        )


# --- TaskFlow's conditions


@pytest.mark.parametrize(("size", "states"), [(1, ("success", "skipped")), (9, ("skipped", "success"))])
def test_run_if_and_skip_if(windlass: VirtualInstallation, size: int, states: tuple[str, str]) -> None:
    with DAG("d", schedule=None, params={"size": 0}) as dag:
        task.run_if(lambda context: context["params"]["size"] < 5)(good.override(task_id="run"))()
        task.skip_if(lambda context: context["params"]["size"] < 5)(good.override(task_id="skip"))()
    found = windlass.states(windlass.run(dag, conf={"size": size}))
    assert (found["run"], found["skip"]) == states
