"""What planning costs, in touches of counters: proportional to the edges of what changed, never to the run.

No clock is read: a touch is constant work, so counting touches is counting time on any machine.
"""

from __future__ import annotations

import pytest

from windlass.planning.counters import Counter
from windlass.planning.plan import Expand, Instance, Move, RunPlan
from windlass.spec import DagSpec, GroupSpec, LiteralLength, MapSpec, TaskSpec, XComLength
from windlass.states import TaskState


def run_of(spec: DagSpec) -> RunPlan:
    plan = RunPlan(spec, [Instance(task_id=task.task_id) for task in spec.tasks])
    plan.decide()
    return plan


def then(
    plan: RunPlan, task_id: str, state: TaskState, *, index: int = -1, length: int | None = None
) -> list[Move | Expand]:
    plan.update(task_id, index, state, result_length=length)
    return plan.decide()


def mapped_group() -> DagSpec:
    return DagSpec(
        dag_id="d",
        tasks=(
            TaskSpec(task_id="a"),
            TaskSpec(task_id="g.x", upstream=("a",), group="g"),
            TaskSpec(task_id="g.y", upstream=("g.x",), group="g"),
            TaskSpec(task_id="end", upstream=("g.y",)),
        ),
        groups=(GroupSpec(group_id="g", map=MapSpec(factors=(("x", XComLength(task_id="a")),))),),
    )


@pytest.fixture
def touches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count every change of a counter."""
    count = [0]
    real = Counter.add

    def counted(self: Counter, slot: int, number: int) -> bool:
        count[0] += 1
        return real(self, slot, number)

    monkeypatch.setattr(Counter, "add", counted)
    return count


def fan(width: int) -> DagSpec:
    names = [f"t{number}" for number in range(width)]
    return DagSpec(
        dag_id="d",
        tasks=(
            TaskSpec(task_id="root"),
            *(TaskSpec(task_id=name, upstream=("root",)) for name in names),
            TaskSpec(task_id="join", upstream=tuple(names)),
        ),
    )


@pytest.mark.parametrize("width", [10, 1000])
def test_a_change_costs_its_downstream_edges_however_wide_the_dag(width: int, touches: list[int]) -> None:
    plan = run_of(fan(width))
    then(plan, "root", TaskState.SUCCESS)
    touches[0] = 0
    then(plan, "t5", TaskState.RUNNING)
    assert touches[0] == 0
    then(plan, "t5", TaskState.SUCCESS)
    assert touches[0] == 4  # its own tally and one edge, out of one slot and into another


@pytest.mark.parametrize("length", [10, 1000])
def test_a_change_of_a_mapped_instance_costs_its_edges_however_long_the_list(length: int, touches: list[int]) -> None:
    plan = run_of(mapped_group())
    then(plan, "a", TaskState.SUCCESS, length=length)
    touches[0] = 0
    assert len(then(plan, "g.x", TaskState.SUCCESS, index=5)) == 1
    assert touches[0] == 4
    then(plan, "g.y", TaskState.SUCCESS, index=5)
    assert touches[0] == 8


@pytest.mark.parametrize("length", [10, 1000])
def test_an_upstream_of_a_mapped_task_counts_once_for_all_its_instances(length: int, touches: list[int]) -> None:
    group = GroupSpec(group_id="g", map=MapSpec(factors=(("x", LiteralLength(length)),)))
    inside = TaskSpec(task_id="g.x", upstream=("a", "b"), group="g")
    plan = run_of(DagSpec(dag_id="d", tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="b"), inside), groups=(group,)))
    touches[0] = 0
    then(plan, "a", TaskState.SUCCESS)
    assert touches[0] == 4


def test_ten_thousand_tasks_are_planned_with_touches_in_proportion(touches: list[int]) -> None:
    width = 10_000
    plan = run_of(fan(width))
    assert len(then(plan, "root", TaskState.SUCCESS)) == width
    for number in range(width):
        then(plan, f"t{number}", TaskState.SUCCESS)
    edges = 2 * width
    assert touches[0] <= 12 * edges
    assert then(plan, "join", TaskState.SUCCESS) == []
    assert plan.conclusion() is not None


def test_ten_thousand_mapped_instances_are_planned_with_touches_in_proportion(touches: list[int]) -> None:
    length = 10_000
    plan = run_of(mapped_group())
    assert len(then(plan, "a", TaskState.SUCCESS, length=length)) == length + 2
    for index in range(length):
        then(plan, "g.x", TaskState.SUCCESS, index=index)
        then(plan, "g.y", TaskState.SUCCESS, index=index)
    assert touches[0] <= 12 * 2 * length
