"""Functions as tasks, and references to their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import pytest

from windlass import DAG, XComArg, task
from windlass.errors import AuthoringError
from windlass.operators import EmptyOperator


@pytest.fixture(autouse=True)
def dag() -> Iterator[DAG]:
    with DAG("d") as made:
        yield made


@task
def one() -> int:
    return 1


@task
def add(x: int, y: int = 0, *, z: int = 0) -> int:
    return x + y + z


class Shape(TypedDict):
    width: int


def test_a_call_makes_a_task_and_returns_a_reference(dag: DAG) -> None:
    result = one()
    assert isinstance(result, XComArg)
    assert dag.task_ids == ["one"]


def test_calling_again_counts(dag: DAG) -> None:
    for _ in range(3):
        one()
    one.override(task_id="one__7")()
    one.override(task_id="one__7")()
    assert dag.task_ids == ["one", "one__1", "one__2", "one__7", "one__3"]


def test_override_changes_the_operator_and_nothing_else(dag: DAG) -> None:
    add.override(task_id="sum", retries=3)(1)
    add(2)
    assert [(made.task_id, made.retries) for made in dag.tasks] == [("sum", 3), ("add", 0)]


def test_arguments_at_any_depth_make_dependencies(dag: DAG) -> None:
    add([{"deep": (one(), 2)}], y=one())
    assert dag.get_task("add").upstream_task_ids == {"one", "one__1"}


def test_an_operators_output_is_a_reference(dag: DAG) -> None:
    add(EmptyOperator(task_id="e").output)
    assert dag.get_task("add").upstream_task_ids == {"e"}


def test_references_stand_in_dependencies(dag: DAG) -> None:
    first, second = one(), one()
    end = EmptyOperator(task_id="end")
    [first, second] >> end
    first >> second
    assert end.upstream_task_ids == {"one", "one__1"}
    assert dag.get_task("one__1").upstream_task_ids == {"one"}


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing required argument: 'x'"),
        ((1, 2, 3), {}, "takes 2 positional arguments but 3 were given"),
        ((1,), {"x": 1}, "multiple values for argument 'x'"),
        ((1,), {"w": 1}, r"unexpected keyword argument 'w'"),
    ],
)
def test_a_call_is_checked_at_once(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        add(*args, **kwargs)


def test_parameters_named_like_context_keys_need_no_argument(dag: DAG) -> None:
    @task
    def report(ds: str, ti: object, x: int = 1) -> None: ...

    report()
    assert dag.task_ids == ["report"]


@pytest.mark.parametrize("annotation", ["dict", "dict[str, int]", "Mapping[str, Any]", "Shape", dict, dict[str, int]])
def test_a_dict_annotation_means_multiple_outputs(dag: DAG, annotation: object) -> None:
    def made() -> object: ...

    made.__annotations__["return"] = annotation
    made.__globals__["Mapping"] = Mapping
    task(made)()
    assert dag.get_task("made").multiple_outputs


@pytest.mark.parametrize("annotation", ["int", "list[dict]", "NoSuchName", None, int])
def test_any_other_annotation_does_not(dag: DAG, annotation: object) -> None:
    def made() -> object: ...

    made.__annotations__["return"] = annotation
    task(made)()
    assert not dag.get_task("made").multiple_outputs


def test_multiple_outputs_may_be_said(dag: DAG) -> None:
    @task(multiple_outputs=False)
    def made() -> dict[str, int]:
        return {}

    made()
    assert not dag.get_task("made").multiple_outputs


def test_an_f_string_of_a_reference_is_a_pull() -> None:
    assert f"{one()}" == "{{ task_instance.xcom_pull(task_ids='one') }}"
    assert f"{one()['k']}" == "{{ task_instance.xcom_pull(task_ids='one__1', key='k') }}"


def test_a_reference_cannot_be_iterated_or_unpacked() -> None:
    with pytest.raises(TypeError, match=r"cannot be iterated or unpacked.*use .expand\(\)|Use .expand\(\)"):
        list(one())
    with pytest.raises(TypeError, match="multiple_outputs"):
        _first, _second = one()
    with pytest.raises(TypeError, match="no length"):
        len(one())


def test_a_reference_takes_only_text_as_a_key() -> None:
    with pytest.raises(TypeError, match="takes text as a key, not 0"):
        one()[0]  # type: ignore[index]


def test_the_family(dag: DAG) -> None:
    @task.branch
    def choose() -> str:
        return "x"

    @task.short_circuit(ignore_downstream_trigger_rules=False)
    def check() -> bool:
        return True

    @task.sensor(poke_interval=5, mode="reschedule")
    def there() -> bool:
        return True

    @task.virtualenv(requirements=["x"])
    def elsewhere() -> None: ...

    @task.external_python(python="/usr/bin/python3")
    def outside() -> None: ...

    for make in (choose, check, there, elsewhere, outside):
        make()
    spec = dag.to_spec().by_id
    assert {name: made.operator for name, made in spec.items()} == {
        "choose": "@task.branch",
        "check": "@task.short_circuit",
        "there": "@task.sensor",
        "elsewhere": "@task.virtualenv",
        "outside": "@task.external_python",
    }
    assert spec["choose"].is_brancher
    assert spec["check"].is_brancher
    assert spec["there"].is_sensor


def test_an_unknown_decorator_names_the_closest_one() -> None:
    with pytest.raises(AuthoringError, match=r"no decorator @task.brunch; did you mean @task.branch\?"):
        task.brunch  # noqa: B018 - asking is the test
    with pytest.raises(AuthoringError, match="pip install windlass-zzz"):
        task.zzz  # noqa: B018 - asking is the test


def test_a_task_is_decorated_once() -> None:
    with pytest.raises(AuthoringError, match=r"'?one'? is a task already"):
        task(one)


def test_conditions_go_above_a_task() -> None:
    with pytest.raises(AuthoringError, match="goes above another @task decorator"):
        task.run_if(lambda _: True)(lambda: None)  # type: ignore[arg-type]


def test_the_function_stays_reachable() -> None:
    assert add.function(1, 2) == 3
    assert add.__name__ == "add"
