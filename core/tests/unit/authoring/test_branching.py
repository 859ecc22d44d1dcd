"""Which tasks a decision skips, against a brute-force walk of every path."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, TaskGroup
from windlass.authoring.branching import branch_skips, descendant_skips
from windlass.errors import AuthoringError
from windlass.operators import EmptyOperator


def build(size: int, edges: set[tuple[int, int]], teardowns: AbstractSet[int] = frozenset()) -> DAG:
    with DAG("d") as made:
        tasks = [EmptyOperator(task_id=str(number)) for number in range(size)]
        for before, after in sorted(edges):
            tasks[before] >> tasks[after]
        for number in teardowns:
            tasks[number].as_teardown()
    return made


def paths_from(start: int, edges: set[tuple[int, int]], size: int) -> set[int]:
    """Every task that some path of at most ``size`` edges leads to, tried one edge at a time."""
    found: set[int] = set()
    for _ in range(size):
        for before, after in edges:
            if before == start or before in found:
                found.add(after)
    return found


graphs = st.integers(2, 7).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.sets(st.sampled_from([(a, b) for a, b in product(range(size), repeat=2) if a < b])),
        st.sets(st.integers(1, size - 1), max_size=2),
    )
)


@settings(deadline=None)
@given(graph=graphs, data=st.data())
def test_a_branch_skips_what_no_chosen_task_leads_to(
    graph: tuple[int, set[tuple[int, int]], set[int]], data: st.DataObject
) -> None:
    size, edges, teardowns = graph
    direct = {after for before, after in edges if before == 0}
    chosen = data.draw(st.sets(st.sampled_from(sorted(direct)))) if direct else set()
    dag = build(size, edges, teardowns)
    kept = chosen | {task for start in chosen for task in paths_from(start, edges, size)}
    expected = {str(task) for task in direct - kept - teardowns}
    assert set(branch_skips(dag.get_task("0"), [str(task) for task in chosen])) == expected


@settings(deadline=None)
@given(graph=graphs)
def test_a_short_circuit_skips_every_descendant_but_teardowns(
    graph: tuple[int, set[tuple[int, int]], set[int]],
) -> None:
    size, edges, teardowns = graph
    dag = build(size, edges, teardowns)
    root = dag.get_task("0")
    assert set(descendant_skips(root)) == {str(task) for task in paths_from(0, edges, size) - teardowns}
    direct = {after for before, after in edges if before == 0}
    assert set(descendant_skips(root, direct_only=True)) == {str(task) for task in direct - teardowns}


def test_a_group_is_chosen_by_its_roots() -> None:
    with DAG("d"):
        fork, other = EmptyOperator(task_id="fork"), EmptyOperator(task_id="other")
        with TaskGroup("g") as group:
            EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
            EmptyOperator(task_id="c")
        fork >> [other, group]
    assert branch_skips(fork, "g") == ("other",)
    assert branch_skips(fork, "other") == ("g.a", "g.c")


@pytest.mark.parametrize("chosen", [None, []])
def test_nothing_chosen_skips_all(chosen: object) -> None:
    dag = build(3, {(0, 1), (0, 2)})
    assert branch_skips(dag.get_task("0"), chosen) == ("1", "2")


def test_an_unknown_id_names_the_valid_ones() -> None:
    with DAG("d"):
        fork = EmptyOperator(task_id="fork")
        fork >> [EmptyOperator(task_id="left"), EmptyOperator(task_id="right")]
    with pytest.raises(AuthoringError, match=r"'fork' chose 'rihgt'.*did you mean 'right'\?.*left, right"):
        branch_skips(fork, "rihgt")


def test_something_that_is_no_id_is_refused() -> None:
    dag = build(2, {(0, 1)})
    with pytest.raises(AuthoringError, match="returned 5; return a task id, a group id, a list of them, or None"):
        branch_skips(dag.get_task("0"), 5)
