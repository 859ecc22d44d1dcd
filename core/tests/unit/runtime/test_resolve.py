"""The arguments of mapped tasks, and references to results."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, task, task_group
from windlass.errors import TaskSkipped, XComError
from windlass.protocol import Outcome
from windlass.runtime.resolve import Joined, Zipped, index_of


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_indexes_count_like_an_odometer_the_last_list_fastest(lengths: list[int]) -> None:
    combinations = list(product(*map(range, lengths)))
    assert [tuple(index_of(index, lengths)) for index in range(len(combinations))] == combinations
    with pytest.raises(XComError, match=f"no map index {len(combinations)}"):
        index_of(len(combinations), lengths)


@pytest.mark.parametrize("lengths", [[0], [2, 0], [0, 3]])
def test_an_empty_list_has_no_index(lengths: list[int]) -> None:
    with pytest.raises(XComError, match="no map index 0"):
        index_of(0, lengths)


parts = st.lists(st.lists(st.integers()), min_size=2, max_size=4)


@settings(deadline=None)
@given(parts=parts)
def test_joining_is_concatenation(parts: list[list[int]]) -> None:
    expected = [item for part in parts for item in part]
    joined = Joined(parts)
    assert list(joined) == expected
    assert [joined[index - len(expected)] for index in range(len(expected))] == expected
    assert joined[1:3] == expected[1:3]


@settings(deadline=None)
@given(parts=parts)
def test_zipping_is_zip(parts: list[list[int]]) -> None:
    assert list(Zipped(parts, longest=False, fillvalue=None)) == list(zip(*parts, strict=False))
    assert len(Zipped(parts, longest=True, fillvalue=0)) == max(map(len, parts))


@task
def source() -> list[int]:
    return []


@task
def use(x: Any, y: Any = None) -> object:
    return [x, y]


def test_a_product_over_results_and_literals(lab: Any, dag: DAG) -> None:
    use.expand(x=source(), y=["a", "b"])
    lab.give("source", [10, 20])
    assert [lab.value(dag, "use", index) for index in range(4)] == [[10, "a"], [10, "b"], [20, "a"], [20, "b"]]


def test_a_dict_gives_pairs(lab: Any, dag: DAG) -> None:
    use.expand(x={"k": 1, "l": 2})
    assert lab.value(dag, "use", 1) == [("l", 2), None]


def test_expand_kwargs(lab: Any, dag: DAG) -> None:
    use.partial(y=5).expand_kwargs(source())
    lab.give("source", [{"x": 1}, {"x": 2}])
    assert lab.value(dag, "use", 1) == [2, 5]


def test_a_key_that_is_already_shared_is_an_error(lab: Any, dag: DAG) -> None:
    use.partial(y=5).expand_kwargs(source())
    lab.give("source", [{"x": 1, "y": 2}])
    assert "argument 'y' is given twice" in lab.finish(dag, "use", 0).reason


def test_what_is_no_list_is_named(lab: Any, dag: DAG) -> None:
    use.expand(x=source())
    lab.give("source", "text")
    assert "'x' is mapped over a str; the task must return a list or a dict" in lab.finish(dag, "use", 0).reason


def test_a_mapped_upstream_is_read_one_index_at_a_time(lab: Any, dag: DAG) -> None:
    use.expand(x=use.override(task_id="up").expand(x=[1, 2, 3]))
    for index in range(3):
        lab.give("up", f"v{index}", index)
    assert lab.value(dag, "use", 2) == ["v2", None]
    assert len(lab.session.asked) == 2


def test_map_runs_plain_functions(lab: Any, dag: DAG) -> None:
    def even(n: int) -> int:
        if n % 2:
            raise TaskSkipped("odd")
        return n * 10

    use.expand(x=source().map(even).map(str))
    lab.give("source", [1, 2])
    assert lab.finish(dag, "use", 0).outcome is Outcome.SKIP
    assert lab.value(dag, "use", 1) == ["20", None]


def test_zip_and_concat(lab: Any, dag: DAG) -> None:
    one, two = source(), source()
    use.expand(x=one.zip(two, fillvalue="-"))
    use.expand(x=one.concat(two))
    lab.give("source", [1, 2])
    lab.give("source__1", [3])
    assert [lab.value(dag, "use", index)[0] for index in range(2)] == [(1, 3), (2, "-")]
    assert [lab.value(dag, "use__1", index)[0] for index in range(3)] == [1, 2, 3]


def test_a_reference_to_a_whole_changed_list(lab: Any, dag: DAG) -> None:
    use(source().map(lambda n: n + 1))
    lab.give("source", [1, 2])
    assert lab.value(dag, "use") == [[2, 3], None]


class TestMappedGroups:
    def test_each_index_has_its_own_values(self, lab: Any, dag: DAG) -> None:
        @task_group
        def each(n: Any, k: int) -> Any:
            return use.override(task_id="second")(use(n, k))

        after = use.override(task_id="after")
        after(each.partial(k=7).expand(n=source()))
        lab.give("source", ["a", "b"])
        assert lab.value(dag, "each.use", 1) == ["b", 7]
        lab.give("each.use", "other", 0)
        assert lab.value(dag, "each.second", 1) == [["b", 7], None]
        assert lab.value(dag, "each.second", 0) == ["other", None]
        assert [item[0] for item in lab.value(dag, "after")[0]] == ["other", ["b", 7]]

    def test_an_f_string_pulls_from_the_same_index(self, lab: Any, dag: DAG) -> None:
        @task_group
        def each(n: Any) -> None:
            use.override(task_id="second")(f"<{use(n)}>")

        each.expand(n=[1, 2])
        lab.give("each.use", "zero", 0)
        lab.give("each.use", "one", 1)
        assert lab.value(dag, "each.second", 1) == ["<one>", None]
