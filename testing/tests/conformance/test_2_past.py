"""SEMANTICS, section 2: depends_on_past and wait_for_downstream."""

from __future__ import annotations

from datetime import timedelta

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good, skip

from windlass import DAG
from windlass.control import RunRow
from windlass.states import RunState
from windlass_testing.virtual import VirtualInstallation

TUESDAY = MONDAY + timedelta(days=1)
WEDNESDAY = MONDAY + timedelta(days=2)


def first_then_second(windlass: VirtualInstallation, first: DAG, second: DAG) -> RunRow:
    """Run two versions of a DAG on two days, and return the second run, which may wait."""
    windlass.run(first, logical_date=MONDAY)
    windlass.start(second, logical_date=TUESDAY)
    windlass.pass_time(timedelta(days=1))
    return windlass.runs("d")[-1]


def test_no_previous_run_passes(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(depends_on_past=True)()
    assert windlass.run(dag).state == "success"


@pytest.mark.parametrize(("before", "allowed"), [(good, True), (skip, True), (bad, False)], ids=["good", "skip", "bad"])
def test_success_and_skipped_let_the_next_run_go_on_and_failure_does_not(
    windlass: VirtualInstallation, before: object, allowed: bool
) -> None:
    with DAG("d", schedule=None) as first:
        before.override(task_id="t")()  # type: ignore[attr-defined]
    with DAG("d", schedule=None) as second:
        good.override(task_id="t", depends_on_past=True)()
    run = first_then_second(windlass, first, second)
    assert windlass.states(run)["t"] == ("success" if allowed else "none")


def test_a_run_waits_for_the_previous_one_that_is_under_way(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(depends_on_past=True)()
    windlass.worker.takes("good", timedelta(hours=1))
    windlass.start(dag, logical_date=MONDAY)
    run = windlass.start("d", logical_date=TUESDAY)
    assert (run.state, windlass.states(run)) == ("running", {"good": "none"})
    assert windlass.end_of(run).state == "success"


def test_with_catchup_the_previous_run_is_the_previous_scheduled_one(windlass: VirtualInstallation) -> None:
    manual = MONDAY + timedelta(hours=12)
    with DAG("d", schedule="@daily", start_date=MONDAY, end_date=TUESDAY, catchup=True) as dag:
        good.override(depends_on_past=True)()
    windlass.add(dag)
    windlass.worker.hold("good")
    windlass.trigger("d", logical_date=manual)
    windlass.pass_time(timedelta(days=2))
    windlass.control.runs.mark("d", windlass.runs("d")[1].run_id, RunState.FAILED, actor="somebody")
    windlass.worker.release("good")
    windlass.pass_time(timedelta(days=3))
    assert [(str(run.run_type), str(run.state)) for run in windlass.runs("d")] == [
        ("scheduled", "success"),
        ("manual", "failed"),
        ("scheduled", "success"),
    ]


def test_without_catchup_the_previous_run_is_one_of_any_type(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY, end_date=TUESDAY) as dag:
        bad.override(depends_on_past=True)()
    windlass.add(dag)
    windlass.run("d", logical_date=MONDAY + timedelta(hours=12))
    windlass.pass_time(timedelta(days=3))
    tuesday = windlass.runs("d")[-1]
    assert (tuesday.logical_date, str(tuesday.run_type)) == (TUESDAY, "scheduled")
    assert (str(tuesday.state), windlass.states(tuesday)) == ("running", {"bad": "none"})


def test_what_waits_goes_on_when_the_earlier_task_was_cleared_and_went_well(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as first:
        bad.override(task_id="t")()
    with DAG("d", schedule=None) as second:
        good.override(task_id="t", depends_on_past=True)()
    run = first_then_second(windlass, first, second)
    windlass.clear(windlass.runs("d")[0], "t", latest=True)
    assert windlass.end_of(run).state == "success"


def test_a_task_that_is_new_passes_because_the_first_is_ignored(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as first:
        good.override(task_id="other")()
    with DAG("d", schedule=None) as second:
        good.override(task_id="t", depends_on_past=True)()
    assert windlass.states(first_then_second(windlass, first, second))["t"] == "success"


def test_a_task_that_is_new_waits_when_the_first_is_not_ignored(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as first:
        good.override(task_id="other")()
    with DAG("d", schedule=None) as second:
        good.override(task_id="t", depends_on_past=True, ignore_first_depends_on_past=False)()
    assert windlass.states(first_then_second(windlass, first, second))["t"] == "none"


def test_a_task_that_was_there_earlier_but_not_in_the_previous_run_waits(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as with_it:
        good.override(task_id="t", depends_on_past=True)()
    with DAG("d", schedule=None) as without:
        good.override(task_id="other")()
    windlass.run(with_it, logical_date=MONDAY)
    windlass.run(without, logical_date=TUESDAY)
    with DAG("d", schedule=None) as again:
        good.override(task_id="t", depends_on_past=True)()
    run = windlass.start(again, logical_date=WEDNESDAY)
    assert windlass.states(run)["t"] == "none"


def test_wait_for_downstream_waits_for_the_direct_children_of_the_previous_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(wait_for_downstream=True)() >> good.override(task_id="child")()
    windlass.worker.takes("child", timedelta(hours=1))
    windlass.start(dag, logical_date=MONDAY)
    run = windlass.start("d", logical_date=TUESDAY)
    assert windlass.states(run)["good"] == "none"
    windlass.pass_time(timedelta(hours=1))
    assert windlass.states(run)["good"] == "success"


def test_wait_for_downstream_does_not_wait_for_grandchildren(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        first = good.override(wait_for_downstream=True)()
        first >> good.override(task_id="child")() >> good.override(task_id="grandchild")()
    windlass.worker.takes("grandchild", timedelta(hours=1))
    windlass.start(dag, logical_date=MONDAY)
    run = windlass.start("d", logical_date=TUESDAY)
    assert windlass.states(run)["good"] == "success"
