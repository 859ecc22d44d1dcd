"""SEMANTICS, section 1: start_date and end_date of a task, and what the runs see of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good

from windlass import DAG, task
from windlass.app.inproc.testing import run_task
from windlass.control import BackfillRequest
from windlass.errors import TaskNotFound
from windlass.states import RunState
from windlass_testing.virtual import VirtualInstallation

DAY = timedelta(days=1)


@task
def listed() -> list[int]:
    return [1, 2]


@task
def times(x: int) -> int:
    return x * 10


def late_between(**arguments: object) -> DAG:
    """``first >> late >> last``, of which ``late`` begins on Tuesday."""
    with DAG("d", schedule=None, **arguments) as dag:  # type: ignore[arg-type]
        first, last = good.override(task_id="first")(), good.override(task_id="last")()
        first >> good.override(task_id="late", start_date=MONDAY + DAY)() >> last
    return dag


def test_a_run_has_no_instance_of_a_task_outside_of_its_dates(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY, catchup=True) as dag:
        good.override(task_id="late", start_date=MONDAY + DAY)()
        good.override(task_id="early", end_date=MONDAY)()
        good.override(task_id="always")()
    windlass.jump_to(MONDAY + 2 * DAY)
    windlass.add(dag)
    windlass.pass_time(timedelta(minutes=10))
    assert [(sorted(windlass.states(run)), run.state) for run in windlass.runs("d")] == [
        (["always", "early"], RunState.SUCCESS),
        (["always", "late"], RunState.SUCCESS),
    ]


def test_what_stands_below_waits_for_what_stands_above(windlass: VirtualInstallation) -> None:
    run = windlass.run(late_between(), logical_date=MONDAY)
    assert (run.state, windlass.states(run)) == ("success", {"first": "success", "last": "success"})
    assert windlass.started() == ["first", "last"]


def test_a_failure_above_is_felt_below(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad() >> good.override(task_id="late", start_date=MONDAY + DAY)() >> good.override(task_id="last")()
    run = windlass.run(dag, logical_date=MONDAY)
    assert (run.state, windlass.states(run)) == ("failed", {"bad": "failed", "last": "upstream_failed"})


def test_what_stands_above_is_no_end_of_the_graph(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        last = good.override(task_id="last", trigger_rule="all_done")()
        bad() >> good.override(task_id="late", start_date=MONDAY + DAY)() >> last
    run = windlass.run(dag, logical_date=MONDAY)
    assert (run.state, windlass.states(run)) == ("success", {"bad": "failed", "last": "success"})


def test_a_mapped_task_has_its_dates_too(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        mapped = times.override(task_id="times", end_date=MONDAY).expand(x=listed())
        mapped >> good()
    before = windlass.run(dag, logical_date=MONDAY)
    assert set(windlass.states(before)) == {"listed", "times[0]", "times[1]", "good"}
    after = windlass.run("d", logical_date=MONDAY + DAY)
    assert windlass.states(after) == {"listed": "success", "good": "success"}


def test_its_first_run_has_no_past_to_wait_for(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY, catchup=True) as dag:
        good.override(task_id="late", start_date=MONDAY + DAY, depends_on_past=True)()
    windlass.jump_to(MONDAY + 3 * DAY)
    windlass.add(dag)
    windlass.pass_time(timedelta(minutes=10))
    assert [(dict(windlass.states(run)), run.state) for run in windlass.runs("d")] == [
        ({}, "success"),
        ({"late": "success"}, "success"),
        ({"late": "success"}, "success"),
    ]


def test_a_run_of_which_nothing_is_left_is_a_success(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(task_id="late", start_date=MONDAY + DAY)()
    run = windlass.run(dag, logical_date=MONDAY)
    assert (run.state, windlass.states(run)) == ("success", {})


def test_a_backfill_runs_every_task(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY - 5 * DAY) as dag:
        good.override(task_id="late", start_date=MONDAY + 9 * DAY)()
        good.override(task_id="always")()
    windlass.jump_to(MONDAY + DAY)
    windlass.add(dag, paused=True)
    windlass.control.backfills.create(BackfillRequest(dag_id="d", from_date=MONDAY, to_date=MONDAY), actor="test")
    windlass.pass_time(timedelta(minutes=10))
    [run] = [run for run in windlass.runs("d") if run.run_type == "backfill"]
    assert set(windlass.states(run)) == {"late", "always"}


def test_a_date_in_default_args_is_the_dags_and_no_tasks(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, start_date=MONDAY, default_args={"start_date": MONDAY + 9 * DAY}) as dag:
        good()
    run = windlass.run(dag, logical_date=MONDAY - DAY)
    assert (dag.start_date, windlass.states(run)) == (MONDAY, {"good": "success"})


def test_the_newest_version_adds_no_task_that_its_dates_leave_out(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(task_id="first")()
    run = windlass.run(dag, logical_date=MONDAY)
    with DAG("d", schedule=None) as newer:
        first = good.override(task_id="first")()
        first >> good.override(task_id="late", start_date=MONDAY + DAY)() >> good.override(task_id="last")()
    windlass.add(newer)
    windlass.clear(run, "first", latest=True)
    assert windlass.end_of(run).state == "success"
    assert windlass.states(run) == {"first": "success", "last": "success"}


def test_who_asks_for_such_a_task_is_told_why_it_is_not_there(windlass: VirtualInstallation) -> None:
    run = windlass.run(late_between(), logical_date=MONDAY)
    with pytest.raises(TaskNotFound, match=r"'late' is no part of run .*start_date.*\(2026-03-03"):
        windlass.task(run, "late")


def test_dag_test_goes_by_the_dates_and_a_task_alone_runs_whatever_they_say(windlass: VirtualInstallation) -> None:
    dag = late_between()
    result = dag.test(logical_date=MONDAY)
    assert [one.task_id for one in result.tasks] == ["first", "last"]
    assert run_task(dag.get_task("late"), logical_date=MONDAY).state == "success"
