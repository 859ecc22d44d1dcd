"""Effective priorities: own weight, plus everything below or above, each task once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windlass.planning.priority import priorities
from windlass.spec import DagSpec, TaskSpec, WeightRule


def dag(*tasks: tuple[str, str, int, str]) -> DagSpec:
    return DagSpec(
        dag_id="d",
        tasks=tuple(
            TaskSpec(task_id=name, upstream=tuple(ups.split()), priority_weight=weight, weight_rule=rule)
            for name, ups, weight, rule in tasks
        ),
    )


def diamond(rule: str) -> DagSpec:
    return dag(("a", "", 1, rule), ("b", "a", 10, rule), ("c", "a", 100, rule), ("d", "b c", 1000, rule))


def test_downstream_sums_everything_below_once() -> None:
    assert priorities(diamond(WeightRule.DOWNSTREAM)) == {"a": 1111, "b": 1010, "c": 1100, "d": 1000}


def test_upstream_sums_everything_above_once() -> None:
    assert priorities(diamond(WeightRule.UPSTREAM)) == {"a": 1, "b": 11, "c": 101, "d": 1111}


def test_absolute_is_the_own_weight() -> None:
    assert priorities(diamond(WeightRule.ABSOLUTE)) == {"a": 1, "b": 10, "c": 100, "d": 1000}


def test_the_rule_is_each_tasks_own_and_a_plugins_rule_leaves_the_weight() -> None:
    spec = dag(("a", "", 1, "downstream"), ("b", "a", 2, "a_plugin"), ("c", "b", 3, "upstream"))
    assert priorities(spec) == {"a": 6, "b": 2, "c": 6}


@st.composite
def weighted(draw: st.DrawFn) -> DagSpec:
    size = draw(st.integers(1, 10))
    rows = []
    for number in range(size):
        above = draw(st.lists(st.integers(0, number - 1), unique=True)) if number else []
        rule = draw(st.sampled_from(WeightRule))
        rows.append((f"t{number}", " ".join(f"t{one}" for one in above), draw(st.integers(-3, 5)), rule))
    return dag(*rows)


@given(weighted())
def test_sums_agree_with_walking_the_graph(spec: DagSpec) -> None:
    def reach(task_id: str, neighbours: dict[str, tuple[str, ...]]) -> set[str]:
        return {task_id}.union(*(reach(name, neighbours) for name in neighbours[task_id]))

    ways: dict[WeightRule, dict[str, tuple[str, ...]]] = {
        WeightRule.DOWNSTREAM: spec.downstream,
        WeightRule.UPSTREAM: {task.task_id: task.upstream for task in spec.tasks},
        WeightRule.ABSOLUTE: {task.task_id: () for task in spec.tasks},
    }
    for task_id, priority in priorities(spec).items():
        members = reach(task_id, ways[WeightRule(spec.by_id[task_id].weight_rule)])
        assert priority == sum(spec.by_id[name].priority_weight for name in members)


def test_thousands_of_tasks_in_a_row_are_fine() -> None:
    size = 5000
    spec = dag(*((f"t{n}", f"t{n - 1}" if n else "", 1, "downstream") for n in range(size)))
    result = priorities(spec)
    assert result["t0"] == size
    assert result[f"t{size - 1}"] == 1
