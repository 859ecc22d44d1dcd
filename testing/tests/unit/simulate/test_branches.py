"""What a branch skips by its spec is what it skips by its objects, in the author's process."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, TaskGroup
from windlass.authoring.branching import branch_skips as by_objects
from windlass.errors import AuthoringError, UsageError
from windlass.operators import EmptyOperator
from windlass_testing.simulate.branches import branch_skips, descendants


@st.composite
def dags(draw: st.DrawFn) -> DAG:
    """Up to seven tasks, some in a group or a group in it, some of them teardowns."""
    size = draw(st.integers(2, 7))
    with DAG("d", auto_register=False) as made:
        with TaskGroup("g", prefix_group_id=False) as group:
            inner = TaskGroup("h", prefix_group_id=False)
        tasks = []
        for number in range(size):
            place = draw(st.sampled_from([made.task_group, group, inner]))
            tasks.append(EmptyOperator(task_id=f"t{number}", task_group=place))
        for after in range(1, size):
            for before in draw(st.sets(st.integers(0, after - 1))):
                tasks[before] >> tasks[after]
        for number in draw(st.sets(st.integers(1, size - 1), max_size=2)):
            tasks[number].as_teardown()
    return made


@settings(max_examples=150, deadline=None)
@given(dag=dags(), data=st.data())
def test_spec_and_objects_agree(dag: DAG, data: st.DataObject) -> None:
    spec = dag.to_spec()
    task_id = data.draw(st.sampled_from([task.task_id for task in spec.tasks]))
    choices = [*spec.by_id, *(group.group_id for group in spec.groups if any(t.group for t in spec.tasks))]
    chosen = data.draw(st.lists(st.sampled_from(choices), max_size=2))
    task = dag.get_task(task_id)
    try:
        wanted: tuple[str, ...] | None = by_objects(task, chosen)
    except AuthoringError:
        wanted = None
    try:
        found: tuple[str, ...] | None = branch_skips(spec, task_id, chosen)
    except UsageError:  # a group without a task has no roots to choose
        assert any(group in chosen for group in ("g", "h"))
        return
    assert found == wanted
    assert descendants(spec, task_id) == task.get_flat_relative_ids()


def test_an_unknown_choice_is_told_with_the_valid_ones() -> None:
    with DAG("d") as dag:
        EmptyOperator(task_id="a") >> [EmptyOperator(task_id="b"), EmptyOperator(task_id="c")]
    with pytest.raises(UsageError, match=r"task 'a' of DAG 'd' cannot choose 'x'.*it can choose b, c"):
        branch_skips(dag.to_spec(), "a", ["x"])
