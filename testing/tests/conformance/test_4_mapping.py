"""SEMANTICS, section 4: dynamic task mapping."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from typing import Any

import pytest

from windlass import DAG, task, task_group
from windlass.errors import AuthoringError, TaskSkipped
from windlass.operators import EmptyOperator
from windlass_testing.virtual import VirtualInstallation


@task
def add(x: int, y: int = 0) -> int:
    return x + y


@task
def numbers() -> list[int]:
    return [1, 2, 3]


@task
def collect(values: Any) -> list[Any]:
    return list(values)


def each(windlass: VirtualInstallation, dag: DAG, task_id: str) -> list[Any]:
    """Return the results of a mapped task, by index."""
    run = windlass.run(dag)
    length = sum(name.startswith(f"{task_id}[") for name in windlass.states(run))
    return [windlass.xcom(run, task_id, map_index=index) for index in range(length)]


def test_expand_is_a_product_whose_last_keyword_is_fastest(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="pair")(lambda x, y: f"{x}{y}").expand(x=["a", "b"], y=[1, 2, 3])
    assert each(windlass, dag, "pair") == ["a1", "a2", "a3", "b1", "b2", "b3"]


def test_a_dict_gives_pairs(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="pair")(lambda item: [*item]).expand(item={"a": 1, "b": 2})
    assert each(windlass, dag, "pair") == [["a", 1], ["b", 2]]


def test_expand_kwargs_takes_a_list_of_dicts(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand_kwargs([{"x": 1}, {"x": 2, "y": 3}])
    assert each(windlass, dag, "add") == [1, 5]


def test_expand_kwargs_takes_a_tasks_result(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand_kwargs(task(task_id="make")(lambda: [{"x": 1, "y": 1}, {"x": 2, "y": 2}])())
    assert each(windlass, dag, "add") == [2, 4]


def test_partial_gives_what_all_share(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.partial(y=10).expand(x=numbers())
    assert each(windlass, dag, "add") == [11, 12, 13]


def test_an_argument_given_twice_is_an_error() -> None:
    with DAG("d", schedule=None), pytest.raises(AuthoringError, match="'y' is given twice"):
        add.partial(y=1).expand(x=[1], y=[2])


def test_a_result_given_twice_is_an_error_of_the_instance(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.partial(y=1).expand_kwargs(task(task_id="make")(lambda: [{"x": 1, "y": 1}])())
    run = windlass.run(dag)
    assert windlass.states(run)["add[0]"] == "failed"
    assert "'y'" in windlass.reason(run, "add", 0)


def test_map_changes_items_and_task_skipped_skips_their_index(windlass: VirtualInstallation) -> None:
    def odd(x: int) -> int:
        if x % 2 == 0:
            raise TaskSkipped("even")
        return x * 100

    with DAG("d", schedule=None) as dag:
        add.expand(x=numbers().map(odd))
    run = windlass.run(dag)
    assert [windlass.states(run)[f"add[{index}]"] for index in range(3)] == ["success", "skipped", "success"]
    assert [windlass.xcom(run, "add", map_index=index) for index in (0, 2)] == [100, 300]


def test_zip_is_as_long_as_the_shortest_or_with_fillvalue_the_longest(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        letters = task(task_id="letters")(lambda: ["a", "b"])()
        source = numbers()
        task(task_id="short")(lambda pair: [*pair]).expand(pair=source.zip(letters))
        task(task_id="long")(lambda pair: [*pair]).expand(pair=source.zip(letters, fillvalue="-"))
    run = windlass.run(dag)
    assert [windlass.xcom(run, "short", map_index=index) for index in range(2)] == [[1, "a"], [2, "b"]]
    assert "short[2]" not in windlass.states(run)
    assert windlass.xcom(run, "long", map_index=2) == [3, "-"]


def test_concat_is_one_after_the_other(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand(x=numbers().concat(task(task_id="more")(lambda: [7, 8])()))
    assert each(windlass, dag, "add") == [1, 2, 3, 7, 8]


def test_a_mapped_tasks_results_can_be_mapped_over(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.override(task_id="twice").partial(y=1).expand(x=add.partial(y=10).expand(x=numbers()))
    assert each(windlass, dag, "twice") == [12, 13, 14]


def test_only_a_return_value_can_be_mapped_over() -> None:
    with DAG("d", schedule=None), pytest.raises(AuthoringError, match="only a task's return_value"):
        add.expand(x=numbers()["key"])


@pytest.mark.parametrize("value", ["abc", 7, None])
def test_what_is_no_list_or_dict_fails_the_upstream(windlass: VirtualInstallation, value: object) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand(x=task(task_id="make")(lambda: value)())
    run = windlass.run(dag)
    assert windlass.states(run) == {"make": "failed", "add": "upstream_failed"}
    assert "add" in windlass.reason(run, "make")


def test_a_literal_text_cannot_be_mapped_over() -> None:
    with DAG("d", schedule=None), pytest.raises(AuthoringError, match="give a list, a dict or a task's result"):
        add.expand(x="abc")


@pytest.mark.parametrize("value", [[], {}])
def test_length_zero_skips_the_mapped_task(windlass: VirtualInstallation, value: object) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand(x=task(task_id="make")(lambda: value)()) >> EmptyOperator(task_id="after")
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)) == (
        "success",
        {"make": "success", "add": "skipped", "after": "skipped"},
    )


def test_above_max_map_length_the_upstream_fails_saying_both_numbers(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, max_map_length=3) as dag:
        add.expand(x=task(task_id="make")(lambda: [0] * 4)())
    run = windlass.run(dag)
    assert windlass.states(run) == {"make": "failed", "add": "upstream_failed"}
    assert "4" in windlass.reason(run, "make")
    assert "3" in windlass.reason(run, "make")


def test_max_map_length_is_1024_by_default_and_reachable(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand(x=task(task_id="make")(lambda: [0] * 1025)())
    assert DAG("e").max_map_length == 1024
    run = windlass.run(dag)
    assert "1025" in windlass.reason(run, "make")
    assert "1024" in windlass.reason(run, "make")


def test_downstream_reads_keep_alignment_an_index_that_returned_none_yields_none(
    windlass: VirtualInstallation,
) -> None:
    with DAG("d", schedule=None) as dag:
        collect(task(task_id="maybe")(lambda x: x if x != 2 else None).expand(x=numbers()))
    run = windlass.run(dag)
    assert windlass.xcom(run, "collect") == [1, None, 3]


def test_downstream_reads_are_lazy(windlass: VirtualInstallation) -> None:
    kinds: list[tuple[str, int, int]] = []

    @task
    def look(values: Any) -> None:
        kinds.append((type(values).__name__, len(values), values[1]))

    with DAG("d", schedule=None) as dag:
        look(add.expand(x=numbers()))
    windlass.run(dag)
    assert kinds == [("LazyXComs", 3, 2)]


def test_map_index_template_names_the_instances(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.override(map_index_template="no. {{ task.op_kwargs['x'] }}").expand(x=numbers())
    windlass.run(dag)
    labels = windlass.store.db.rows("SELECT map_index, map_label FROM ti WHERE task_id = 'add' ORDER BY map_index")
    assert [label for _, label in labels] == ["no. 1", "no. 2", "no. 3"]


def test_in_a_mapped_group_index_i_waits_only_for_its_own_i(windlass: VirtualInstallation) -> None:
    @task
    def first(x: int) -> int:
        if x == 2:
            raise ValueError("two")
        return x

    @task_group
    def g(x: int) -> None:
        add.override(task_id="second")(first(x), 100)

    with DAG("d", schedule=None) as dag:
        g.expand(x=numbers())
    run = windlass.run(dag)
    states = windlass.states(run)
    assert [states[f"g.second[{index}]"] for index in range(3)] == ["success", "upstream_failed", "success"]
    assert [windlass.xcom(run, "g.second", map_index=index) for index in (0, 2)] == [101, 103]


def test_a_task_after_a_mapped_group_waits_for_all_of_it(windlass: VirtualInstallation) -> None:
    @task_group
    def g(x: int) -> Any:
        return add.override(task_id="second")(add(x), 100)

    with DAG("d", schedule=None) as dag:
        collect(g.expand(x=numbers()))
    run = windlass.run(dag)
    assert windlass.xcom(run, "collect") == [101, 102, 103]


def test_a_mapped_operator_is_like_a_mapped_function(windlass: VirtualInstallation) -> None:
    from windlass.operators import PythonOperator

    with DAG("d", schedule=None) as dag:
        PythonOperator.partial(task_id="op", python_callable=lambda x: x * 2).expand(op_args=[[1], [2]])
    assert each(windlass, dag, "op") == [2, 4]


def test_expanded_ti_count_is_the_number_of_instances(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task(task_id="count")(lambda x, expanded_ti_count, ti: [ti.map_index, expanded_ti_count]).expand(x=numbers())
    assert each(windlass, dag, "count") == [[0, 3], [1, 3], [2, 3]]


def test_a_source_that_was_only_marked_success_has_no_list(windlass: VirtualInstallation) -> None:
    from windlass.states import TaskState

    with DAG("d", schedule=None) as dag:
        add.expand(x=numbers())
    windlass.add(dag)
    windlass.worker.hold("numbers")
    run = windlass.start("d")
    selected = windlass.control.tasks.exactly("d", run.run_id, "numbers")
    windlass.control.tasks.mark(selected, TaskState.SUCCESS, actor="somebody")
    run = windlass.end_of(run)
    assert (run.state, windlass.states(run)) == ("failed", {"numbers": "success", "add": "upstream_failed"})


def test_a_longer_list_after_a_clear_makes_more_instances(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        add.expand(x=task(task_id="make")(lambda try_number: list(range(try_number + 1)))())
    run = windlass.run(dag)
    assert [name for name in windlass.states(run) if name.startswith("add")] == ["add[0]", "add[1]"]
    windlass.clear(run, "make", downstream=True)
    run = windlass.end_of(run)
    assert (run.state, len(windlass.states(run))) == ("success", 4)
