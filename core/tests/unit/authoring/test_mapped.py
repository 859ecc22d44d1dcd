"""Mapping: what may be mapped over, and what the scheduler learns of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from windlass import DAG, BaseOperator, task, task_group
from windlass.errors import AuthoringError
from windlass.spec import ConcatLength, LiteralLength, MapSpec, XComLength, ZipLength


@pytest.fixture(autouse=True)
def dag() -> Iterator[DAG]:
    with DAG("d", default_args={"retries": 2, "size": 5}) as made:
        yield made


class Load(BaseOperator):
    template_fields = ("table",)
    ui_color = "#123456"

    def __init__(self, *, table: str, size: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.size = size


@task
def numbers() -> list[int]:
    return [1]


@task
def add(x: int, y: int = 0) -> int:
    return x + y


def mapping(dag: DAG, task_id: str) -> MapSpec | None:
    return dag.to_spec().by_id[task_id].map


def test_expand_is_a_product_in_the_order_of_its_keywords(dag: DAG) -> None:
    add.expand(y=[1, 2, 3], x=numbers())
    assert mapping(dag, "add") == MapSpec(factors=(("y", LiteralLength(3)), ("x", XComLength(task_id="numbers"))))
    assert dag.to_spec().by_id["add"].upstream == ("numbers",)


def test_expand_kwargs_has_one_factor(dag: DAG) -> None:
    add.expand_kwargs([{"x": 1}, {"x": 2}])
    assert mapping(dag, "add") == MapSpec(factors=(("expand_kwargs", LiteralLength(2)),), kind="kwargs")


def test_results_may_be_changed_zipped_and_joined(dag: DAG) -> None:
    one, two = numbers(), numbers()
    add.expand(x=one.map(lambda n: n + 1))
    add.expand(x=one.zip(two))
    add.expand(x=one.zip(two, fillvalue=None))
    add.expand(x=one.concat(two).map(str))
    first, second = XComLength(task_id="numbers"), XComLength(task_id="numbers__1")
    lengths = [made.map.factors[0][1] for made in dag.to_spec().tasks if made.map is not None]
    assert lengths == [
        first,
        ZipLength(parts=(first, second)),
        ZipLength(parts=(first, second), longest=True),
        ConcatLength(parts=(first, second)),
    ]


def test_a_mapped_operator_schedules_like_any_other(dag: DAG) -> None:
    Load.partial(task_id="load", pool="big", size=3).expand(table=["a", "b"])
    spec = dag.to_spec().by_id["load"]
    assert (spec.operator, spec.pool, spec.retries, spec.ui_color) == ("Load", "big", 2, "#123456")
    assert spec.template_fields == ("table",)


def test_unmapping_makes_the_operator_of_one_index(dag: DAG) -> None:
    mapped = Load.partial(task_id="load").expand(table=["a", "b"])
    made = mapped.unmap({"table": "b"})
    assert (type(made), made.task_id, made.table, made.size, made.retries) == (Load, "load", "b", 5, 2)  # type: ignore[attr-defined]
    assert dag.task_ids == ["load"]


def test_an_argument_given_twice_is_an_error() -> None:
    with pytest.raises(AuthoringError, match="argument 'table' is given twice"):
        Load.partial(task_id="load", table="a").expand(table=["b"])
    with pytest.raises(AuthoringError, match="argument 'x' is given twice"):
        add.partial(x=1).expand(x=[2])


def test_an_unknown_argument_names_the_closest_one() -> None:
    with pytest.raises(AuthoringError, match="did you mean 'table'"):
        Load.partial(task_id="load").expand(tabel=["a"])
    with pytest.raises(AuthoringError, match="did you mean 'size'"):
        Load.partial(task_id="load", siez=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'q'"):
        add.expand(q=[1])


def test_what_decides_scheduling_cannot_be_mapped() -> None:
    with pytest.raises(AuthoringError, match=r"'pool' cannot be mapped, all instances share it; move it to partial"):
        Load.partial(task_id="load", table="a").expand(pool=["a", "b"])


@pytest.mark.parametrize("value", ["text", 5, None])
def test_only_lists_dicts_and_results_are_mapped_over(value: object) -> None:
    with pytest.raises(AuthoringError, match=r"'x' is mapped over .*; give a list, a dict or a task's result"):
        add.expand(x=value)


def test_only_a_return_value_is_mapped_over() -> None:
    with pytest.raises(AuthoringError, match="only a task's return_value can be mapped over"):
        add.expand(x=numbers()["key"])


def test_a_task_is_not_a_function_to_map_with() -> None:
    with pytest.raises(AuthoringError, match=r".map\(\) takes a plain function"):
        numbers().map(add)


def test_expand_needs_something() -> None:
    with pytest.raises(AuthoringError, match="at least one argument"):
        numbers.expand()


def test_partial_without_expand_is_an_error(dag: DAG) -> None:
    Load.partial(task_id="load")
    with pytest.raises(AuthoringError, match=r"partial\(\) of task 'load' was never expanded"):
        dag.to_spec()


class TestMappedGroups:
    def test_a_group_is_mapped_as_a_whole(self, dag: DAG) -> None:
        @task_group
        def each(n: int, k: int) -> None:
            add(n, k) >> add(n)

        each.partial(k=1).expand(n=numbers())
        spec = dag.to_spec()
        assert spec.groups_by_id["each"].map == MapSpec(factors=(("n", XComLength(task_id="numbers")),))
        assert spec.by_id["each.add"].upstream == ("numbers",)
        assert spec.by_id["each.add__1"].upstream == ("each.add", "numbers")
        group = spec.mapped_group_of("each.add")
        assert group is not None
        assert group.group_id == "each"

    def test_a_task_that_uses_no_argument_still_waits_for_the_list(self, dag: DAG) -> None:
        @task_group
        def each(n: int) -> None:
            numbers.override(task_id="free")()

        each.expand(n=numbers())
        assert dag.to_spec().by_id["each.free"].upstream == ("numbers",)

    def test_expand_kwargs(self, dag: DAG) -> None:
        @task_group
        def each(n: int) -> None:
            add(n)

        each.expand_kwargs([{"n": 1}])
        made = dag.to_spec().groups_by_id["each"].map
        assert made == MapSpec(factors=(("expand_kwargs", LiteralLength(1)),), kind="kwargs")

    def test_a_mapped_task_inside_is_refused(self) -> None:
        @task_group
        def each(n: int) -> None:
            add.expand(x=[1, 2])

        with pytest.raises(AuthoringError, match="mapped inside the mapped group 'each'"):
            each.expand(n=[1])

    def test_a_mapped_group_inside_is_refused(self) -> None:
        @task_group
        def inner(n: int) -> None:
            add(n)

        @task_group
        def outer(n: int) -> None:
            inner.expand(n=[1])

        with pytest.raises(AuthoringError, match="mapped inside a mapped group"):
            outer.expand(n=[1])

    def test_an_unknown_argument_is_refused(self) -> None:
        @task_group
        def each(n: int) -> None: ...

        with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
            each.expand(m=[1])
