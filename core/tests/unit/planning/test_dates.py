"""Which tasks a run has by their own dates, and what the others see of those that it does not have."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from windlass.planning.dates import bridged, is_within_dates, tasks_of_run
from windlass.planning.plan import Instance, RunPlan
from windlass.planning.topology import topology_of
from windlass.spec import DagSpec, TaskSpec, TriggerRule
from windlass.states import RunState, RunType, TaskState


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


#: ``late`` begins on the fourth, ``early`` ends on the second.
SPEC = DagSpec(
    dag_id="d",
    tasks=(
        TaskSpec(task_id="a"),
        TaskSpec(task_id="late", upstream=("a",), start_date=day(4)),
        TaskSpec(task_id="early", upstream=("late",), end_date=day(2)),
        TaskSpec(task_id="b", upstream=("early", "a")),
    ),
)


def upstream(spec: DagSpec) -> dict[str, tuple[str, ...]]:
    return {task.task_id: task.upstream for task in spec.tasks}


def moves(plan: RunPlan) -> list[tuple[str, str]]:
    return [(one.task_id, str(getattr(one, "to", one))) for one in plan.decide()]


@pytest.mark.parametrize(("number", "is_in"), [(1, False), (2, True), (3, True), (4, True), (5, False)])
def test_both_dates_are_inclusive(number: int, is_in: bool) -> None:
    assert is_within_dates(TaskSpec(task_id="a", start_date=day(2), end_date=day(4)), day(number)) is is_in


@pytest.mark.parametrize("run_type", [RunType.SCHEDULED, RunType.MANUAL, RunType.ASSET_TRIGGERED])
def test_a_run_has_no_task_outside_of_its_dates(run_type: RunType) -> None:
    assert set(tasks_of_run(SPEC, run_type, day(1))) == {"a", "early", "b"}
    assert set(tasks_of_run(SPEC, run_type, day(3))) == {"a", "b"}
    assert set(tasks_of_run(SPEC, run_type, day(4))) == {"a", "late", "b"}


def test_a_backfill_has_them_all() -> None:
    assert set(tasks_of_run(SPEC, RunType.BACKFILL, day(3))) == {"a", "late", "early", "b"}
    assert bridged(SPEC, RunType.BACKFILL, day(3), {"a", "b"}) is SPEC


def test_what_is_asked_for_by_its_id_is_there_whatever_its_dates() -> None:
    assert set(tasks_of_run(SPEC, RunType.MANUAL, day(3), ["late"])) == {"late"}


def test_edges_pass_through_any_number_of_tasks_that_are_left_out() -> None:
    assert upstream(bridged(SPEC, RunType.SCHEDULED, day(3), {"a", "b"})) == {
        "a": (), "late": ("a",), "early": ("a",), "b": ("a",),
    }  # fmt: skip


def test_a_graph_is_made_once_for_each_set_that_is_left_out() -> None:
    third = bridged(SPEC, RunType.SCHEDULED, day(3), {"a", "b"})
    assert bridged(SPEC, RunType.MANUAL, day(3), {"a", "b"}) is third
    assert upstream(bridged(SPEC, RunType.SCHEDULED, day(4), {"a", "late", "b"}))["b"] == ("late", "a")
    assert topology_of(third) is not topology_of(SPEC)


def test_what_has_an_instance_all_the_same_stays_in_the_graph() -> None:
    assert bridged(SPEC, RunType.SCHEDULED, day(3), {"a", "late", "early", "b"}) is SPEC


def test_a_task_below_one_that_is_left_out_waits_for_what_stands_before_it() -> None:
    spec = DagSpec(dag_id="d", tasks=(SPEC.tasks[0], SPEC.tasks[1], TaskSpec(task_id="c", upstream=("late",))))
    plan = RunPlan(bridged(spec, RunType.MANUAL, day(1), {"a", "c"}), [Instance(task_id="a"), Instance(task_id="c")])
    assert moves(plan) == [("a", "scheduled")]
    plan.update("a", -1, TaskState.SUCCESS)
    assert moves(plan) == [("c", "scheduled")]
    plan.update("c", -1, TaskState.SUCCESS)
    conclusion = plan.conclusion()
    assert conclusion is not None
    assert conclusion.state is RunState.SUCCESS


def test_a_failure_passes_through_too() -> None:
    spec = DagSpec(dag_id="d", tasks=(SPEC.tasks[0], SPEC.tasks[1], TaskSpec(task_id="c", upstream=("late",))))
    plan = RunPlan(bridged(spec, RunType.MANUAL, day(1), {"a", "c"}), [Instance(task_id="a"), Instance(task_id="c")])
    plan.decide()
    plan.update("a", -1, TaskState.FAILED)
    assert moves(plan) == [("c", "upstream_failed")]


def test_a_rule_counts_what_is_there() -> None:
    tasks = (
        TaskSpec(task_id="a", end_date=day(1)),
        TaskSpec(task_id="b", upstream=("a",), trigger_rule=TriggerRule.ONE_SUCCESS),
    )
    spec = DagSpec(dag_id="d", tasks=tasks)
    plan = RunPlan(bridged(spec, RunType.MANUAL, day(2), {"b"}), [Instance(task_id="b")])
    assert moves(plan) == [("b", "scheduled")]


def test_a_run_of_which_nothing_is_left_is_a_success() -> None:
    plan = RunPlan(bridged(SPEC, RunType.MANUAL, day(3), set()), [])
    conclusion = plan.conclusion()
    assert conclusion is not None
    assert conclusion.state is RunState.SUCCESS
