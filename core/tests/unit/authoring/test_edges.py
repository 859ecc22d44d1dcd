"""Dependencies between tasks and groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from windlass import DAG, Label, TaskGroup, chain, chain_linear, cross_downstream, task, task_group
from windlass.authoring import explain
from windlass.authoring.operator import BaseOperator
from windlass.errors import AuthoringError
from windlass.operators import EmptyOperator


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("d") as made:
        yield made


def empty(*names: str) -> list[EmptyOperator]:
    return [EmptyOperator(task_id=name) for name in names]


def edges(dag: DAG) -> set[str]:
    return {f"{task.task_id}>{other}" for task in dag.tasks for other in task.downstream_task_ids}


def test_arrows_return_their_right_operand(dag: DAG) -> None:
    a, b, c, d = empty(*"abcd")
    assert (a >> b) is b
    assert (a << c) is c
    pair = [c, d]
    assert (b >> pair) is pair
    assert edges(dag) == {"a>b", "c>a", "b>c", "b>d"}


def test_lists_stand_on_either_side(dag: DAG) -> None:
    a, b, c, d = empty(*"abcd")
    [a, b] >> c
    [d] << c
    assert edges(dag) == {"a>c", "b>c", "c>d"}


def test_methods_take_one_or_several(dag: DAG) -> None:
    a, b, c = empty(*"abc")
    a.set_downstream([b, c])
    b.set_upstream(c)
    assert edges(dag) == {"a>b", "a>c", "c>b"}


def test_two_lists_get_a_hint_at_what_joins_them(dag: DAG) -> None:
    a, b = empty("a", "b")
    with pytest.raises(TypeError) as caught:
        _ = [a] >> [b]  # type: ignore[operator]
    explain(caught.value)
    assert "cross_downstream" in caught.value.__notes__[0]
    assert "chain" in caught.value.__notes__[0]


def test_a_function_that_was_not_called_is_named(dag: DAG) -> None:
    @task
    def work() -> None: ...

    (a,) = empty("a")
    with pytest.raises(TypeError, match="did you forget to call a @task function"):
        a >> work


def test_a_task_cannot_depend_on_itself(dag: DAG) -> None:
    (a,) = empty("a")
    with pytest.raises(AuthoringError, match="'a' cannot depend on itself"):
        a >> a


def test_chain_joins_lists_pair_by_pair(dag: DAG) -> None:
    a, b, c, d, e, f = empty(*"abcdef")
    chain(a, [b, c], [d, e], f)
    assert edges(dag) == {"a>b", "a>c", "b>d", "c>e", "d>f", "e>f"}


def test_chain_refuses_lists_of_different_lengths(dag: DAG) -> None:
    a, b, c = empty(*"abc")
    with pytest.raises(AuthoringError, match=r"these have 1 and 2 items.*chain_linear"):
        chain([a], [b, c])


def test_chain_linear_joins_each_with_each(dag: DAG) -> None:
    a, b, c, d, e, f = empty(*"abcdef")
    chain_linear(a, [b, c, d], [e, f])
    assert edges(dag) == {"a>b", "a>c", "a>d", *(f"{x}>{y}" for x in "bcd" for y in "ef")}


def test_cross_downstream_joins_each_with_each(dag: DAG) -> None:
    a, b, c, d = empty(*"abcd")
    cross_downstream([a, b], [c, d])
    assert edges(dag) == {"a>c", "a>d", "b>c", "b>d"}


def test_labels_stand_on_edges(dag: DAG) -> None:
    a, b, c = empty(*"abc")
    a >> Label("errors") >> [b, c]
    c << Label("back") << b
    assert dag.edge_labels == {("a", "b"): "errors", ("a", "c"): "errors", ("b", "c"): "back"}


class TestGroups:
    def test_group_to_group_joins_leaves_to_roots(self, dag: DAG) -> None:
        with TaskGroup("one") as one:
            a, b, c = empty(*"abc")
            a >> [b, c]
        with TaskGroup("two") as two:
            d, e = empty("d", "e")
        one >> two
        assert edges(dag) == {
            "one.a>one.b", "one.a>one.c",
            "one.b>two.d", "one.b>two.e", "one.c>two.d", "one.c>two.e",
        }  # fmt: skip
        assert [item.task_id for item in (d, e)] == ["two.d", "two.e"]

    def test_an_arrow_drawn_inside_the_open_group_waits_for_its_tasks(self, dag: DAG) -> None:
        (start,) = empty("start")
        with TaskGroup("g") as group:
            start >> group
            a, b = empty("a", "b")
            a >> b
        assert edges(dag) == {"start>g.a", "g.a>g.b"}

    def test_an_empty_group_loses_no_dependency(self, dag: DAG) -> None:
        a, b, c = empty(*"abc")
        with TaskGroup("g") as group:
            pass
        group >> b
        a >> group >> c
        assert edges(dag) == {"a>b", "a>c"}

    def test_nested_groups_prefix_their_ids(self, dag: DAG) -> None:
        with TaskGroup("outer"):
            with TaskGroup("inner"):
                empty("a")
            with TaskGroup("plain", prefix_group_id=False):
                empty("b")
        assert set(dag.task_dict) == {"outer.inner.a", "b"}
        assert set(dag.group_dict) == {"outer", "outer.inner", "outer.plain"}

    def test_without_a_prefix_the_id_is_bare(self, dag: DAG) -> None:
        with TaskGroup("g", prefix_group_id=False):
            empty("a")
        assert set(dag.task_dict) == {"a"}

    def test_a_collision_may_add_a_suffix(self, dag: DAG) -> None:
        for _ in range(3):
            with TaskGroup("g", add_suffix_on_collision=True):
                empty("a")
        assert set(dag.group_dict) == {"g", "g__1", "g__2"}
        assert set(dag.task_dict) == {"g.a", "g__1.a", "g__2.a"}

    def test_an_unknown_argument_names_the_closest_one(self, dag: DAG) -> None:
        with pytest.raises(AuthoringError, match="did you mean 'tooltip'"):
            TaskGroup("g", toltip="x")

    def test_a_teardown_does_not_hold_up_what_comes_after(self, dag: DAG) -> None:
        (after,) = empty("after")
        with TaskGroup("g") as group:
            make, work, remove = empty("make", "work", "remove")
            make.as_setup() >> work >> remove.as_teardown(setups=make)
        group >> after
        assert edges(dag) == {"g.make>g.work", "g.work>g.remove", "g.make>g.remove", "g.work>after"}

    def test_the_decorator_returns_what_the_function_returns(self, dag: DAG) -> None:
        @task
        def work() -> int:
            return 1

        @task_group(tooltip="both")
        def both() -> BaseOperator:
            first = work()
            second = work()
            first >> second
            return second  # type: ignore[return-value]

        @task_group
        def silent() -> None:
            """Say nothing."""
            work()

        both() >> silent()
        assert edges(dag) == {"both.work>both.work__1", "both.work__1>silent.work"}
        assert dag.group_dict["both"].tooltip == "both"
        assert dag.group_dict["silent"].tooltip == "Say nothing."

    def test_calling_it_again_gives_a_suffix(self, dag: DAG) -> None:
        @task_group
        def g() -> None:
            empty("a")

        g()
        g()
        g.override(group_id="other")()
        assert set(dag.group_dict) == {"g", "g__1", "other"}


class TestSetupAndTeardown:
    def test_a_block_puts_work_between(self, dag: DAG) -> None:
        make, remove = empty("make", "remove")
        with make.as_setup() >> remove.as_teardown():
            one, two = empty("one", "two")
            one >> two
        assert edges(dag) == {"make>remove", "make>one", "one>two", "two>remove"}

    def test_teardowns_get_their_rule_and_their_setups(self, dag: DAG) -> None:
        make, remove = empty("make", "remove")
        remove.as_teardown(setups=make, on_failure_fail_dagrun=True)
        spec = dag.to_spec().by_id
        assert spec["remove"].trigger_rule == "all_done_setup_success"
        assert spec["remove"].setups == ("make",)
        assert spec["remove"].on_failure_fail_dagrun
        assert spec["make"].is_setup

    def test_a_task_is_not_both(self, dag: DAG) -> None:
        make, remove = empty("make", "remove")
        with pytest.raises(AuthoringError, match="task 'make' is a setup and cannot be a teardown as well"):
            make.as_setup().as_teardown()
        with pytest.raises(AuthoringError, match="task 'remove' is a teardown and cannot be a setup as well"):
            remove.as_teardown().as_setup()
        with pytest.raises(AuthoringError, match="task 'remove' is a teardown"):
            empty("other")[0].as_teardown(setups=remove)

    def test_decorators(self, dag: DAG) -> None:
        from windlass import setup, teardown

        @setup
        @task
        def make() -> str:
            return "cluster"

        @teardown(on_failure_fail_dagrun=True)
        def remove(name: str) -> None: ...

        @task.setup
        def other() -> None: ...

        cluster = make()
        with remove(cluster) as gone:
            empty("work")
        assert gone.is_teardown
        assert other().is_setup
        assert edges(dag) == {"make>remove", "make>work", "work>remove"}

    def test_a_plain_task_opens_no_block(self, dag: DAG) -> None:
        (a,) = empty("a")
        with pytest.raises(AuthoringError, match="'a' opens no block"), a:
            pass  # pragma: no cover - the block never opens


def test_a_long_chain_of_results_is_no_recursion(dag: DAG) -> None:
    tasks = empty(*(f"t{number}" for number in range(2000)))
    for before, after in pairwise(tasks):
        before >> after
    assert len(dag.to_spec().tasks) == 2000
    assert len(tasks[0].get_flat_relative_ids()) == 1999
