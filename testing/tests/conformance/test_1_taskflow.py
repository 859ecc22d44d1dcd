"""SEMANTICS, section 1: TaskFlow, task groups, setup and teardown."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

import sys
from typing import Any

import pytest
from testing.tests.conformance.steps import bad, good

from windlass import DAG, TaskGroup, setup, task, task_group, teardown
from windlass.errors import AuthoringError, DuplicateId
from windlass.operators import EmptyOperator, PythonOperator
from windlass_testing.virtual import VirtualInstallation


@task
def double(x: Any) -> Any:
    return x * 2


def test_a_call_makes_a_task_whose_result_other_tasks_take(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        double(double.override(task_id="first")(21))
    assert windlass.xcom(windlass.run(dag), "double") == 84


def isolated() -> int:
    return 1


FAMILY = ["task", "branch", "short_circuit", "sensor", "virtualenv", "external_python", "bash", "setup", "teardown"]


@pytest.mark.parametrize("name", FAMILY)
def test_every_decorator_of_the_family_makes_a_task_that_runs(windlass: VirtualInstallation, name: str) -> None:
    with DAG("d", schedule=None) as dag:
        match name:
            case "task":
                task(isolated)()
            case "branch":
                task.branch(task_id="isolated")(lambda: None)()
            case "bash":
                task.bash(task_id="isolated")(lambda: "echo hi")()
            case "external_python":
                task.external_python(python=sys.executable)(isolated)()
            case _:
                getattr(task, name)(isolated)()
    run = windlass.run(dag)
    assert windlass.states(run) == {"isolated": "success"}, windlass.log(run, "isolated")


def test_a_result_anywhere_in_the_arguments_makes_a_dependency(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        nested = {"a": [good(), {"b": (good.override(task_id="other")(),)}]}
        double.override(task_id="flow")([nested])
        PythonOperator(task_id="op", python_callable=lambda x: x, op_kwargs={"x": nested})
    for name in ("flow", "op"):
        assert dag.get_task(name).upstream_task_ids == {"good", "other"}
    assert windlass.xcom(windlass.run(dag), "op") == {"a": ["good", {"b": ("good",)}]}


@pytest.mark.parametrize(
    ("annotation", "several"), [(dict, True), (dict[str, int], True), (list, False), (None, False)]
)
def test_multiple_outputs_are_inferred_from_a_dict_annotation(annotation: Any, several: bool) -> None:
    def function() -> Any:
        return {"a": 1}

    function.__annotations__ = {} if annotation is None else {"return": annotation}
    with DAG("d"):
        assert task(function)().operator.multiple_outputs is several


def test_calling_again_gives_an_id_with_a_number(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        for _ in range(3):
            good()
    assert list(windlass.states(windlass.run(dag))) == ["good", "good__1", "good__2"]


def test_override_changes_this_use_and_nothing_else() -> None:
    changed = good.override(task_id="other", retries=4)
    with DAG("d"):
        operators = [made.operator for made in (changed(), good())]
    assert [(made.task_id, made.retries) for made in operators] == [("other", 4), ("good", 0)]


def test_an_f_string_of_a_result_renders_as_a_pull(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        result = good()
        double.override(task_id="t")(f"<{result}>")
    assert dag.get_task("t").upstream_task_ids == set()  # a text makes no dependency; draw it, as here
    dag.get_task("good") >> dag.get_task("t")
    assert windlass.xcom(windlass.run(dag), "t") == "<good><good>"


@pytest.mark.parametrize("use", [list, lambda result: [*result], len], ids=["list()", "unpacking", "len()"])
def test_iterating_a_result_is_a_type_error(use: Any) -> None:
    with DAG("d"), pytest.raises(TypeError, match="expand"):
        use(good())


def test_a_key_of_a_result_is_a_reference(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        made = task(task_id="make", multiple_outputs=True)(lambda: {"a": 4})()
        double(made["a"])
    assert windlass.xcom(windlass.run(dag), "double") == 8


def test_a_missing_argument_is_an_error_when_the_file_is_parsed() -> None:
    with DAG("d"), pytest.raises(TypeError, match="'x'"):
        double()


def test_an_unknown_decorator_names_the_closest_one() -> None:
    with pytest.raises(AuthoringError, match="branch"):
        task.brunch  # noqa: B018 - the access is the test


# --- Task groups


def test_ids_are_prefixed_unless_the_group_says_otherwise(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        with TaskGroup("a"), TaskGroup("b"):
            good()
        with TaskGroup("c", prefix_group_id=False):
            good.override(task_id="bare")()
    assert set(windlass.states(windlass.run(dag))) == {"a.b.good", "bare"}


def test_a_duplicate_group_id_is_an_error_or_gets_a_suffix() -> None:
    with DAG("d") as dag:
        with TaskGroup("g"):
            good()
        with pytest.raises(DuplicateId, match="'g'"):
            TaskGroup("g")
        with TaskGroup("g", add_suffix_on_collision=True):
            good()
    assert dag.task_ids == ["g.good", "g__1.good"]


def test_group_to_group_joins_leaves_to_roots(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        with TaskGroup("one", tooltip="the first") as one:
            EmptyOperator(task_id="a") >> EmptyOperator(task_id="b")
        with TaskGroup("two") as two:
            EmptyOperator(task_id="c") >> EmptyOperator(task_id="d")
        one >> two
    assert dag.get_task("two.c").upstream_task_ids == {"one.b"}
    windlass.run(dag)
    assert windlass.started() == ["one.a", "one.b", "two.c", "two.d"]
    assert windlass.store.queries.spec("d").groups_by_id["one"].tooltip == "the first"


def test_a_task_group_function_returns_what_it_returns(windlass: VirtualInstallation) -> None:
    @task_group
    def quadruple(x: int) -> Any:
        """Double twice."""
        return double(double(x))

    with DAG("d", schedule=None) as dag:
        double.override(task_id="last")(quadruple(1))
    assert windlass.xcom(windlass.run(dag), "last") == 8


def test_a_group_has_its_own_default_args() -> None:
    with DAG("d", default_args={"retries": 1}), TaskGroup("g", default_args={"retries": 2}):
        assert EmptyOperator(task_id="t").retries == 2


# --- Setup and teardown


def test_a_context_manager_puts_work_between_setup_and_teardown(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        begin, end = EmptyOperator(task_id="begin"), EmptyOperator(task_id="end")
        with end.as_teardown(setups=begin):
            EmptyOperator(task_id="work")
    windlass.run(dag)
    assert windlass.started() == ["begin", "work", "end"]


def test_decorated_setups_and_teardowns(windlass: VirtualInstallation) -> None:
    @setup
    def begin() -> str:
        return "cluster"

    @teardown
    def end(name: str) -> str:
        return f"gone: {name}"

    with DAG("d", schedule=None) as dag:
        begun = begin()
        begun >> bad() >> end(begun)
    run = windlass.run(dag)
    assert windlass.xcom(run, "end") == "gone: cluster"
    assert (run.state, windlass.states(run)["bad"]) == ("failed", "failed")


def test_a_teardown_does_not_hold_up_what_comes_after_its_group(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        with TaskGroup("g") as group:
            begin = EmptyOperator(task_id="begin").as_setup()
            begin >> EmptyOperator(task_id="work") >> bad().as_teardown(setups=begin)
        group >> EmptyOperator(task_id="after")
    states = windlass.states(windlass.run(dag))
    assert (states["g.bad"], states["after"]) == ("failed", "success")
