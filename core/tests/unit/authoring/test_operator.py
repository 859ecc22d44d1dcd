"""An operator's arguments: defaults, precedence, refusals."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from windlass import DAG, BaseOperator, TaskGroup, XComArg, task
from windlass.authoring.operator import Context
from windlass.authoring.taskflow import DecoratedOperator
from windlass.errors import AuthoringError
from windlass.operators import EmptyOperator


class Load(BaseOperator):
    template_fields = ("table",)
    legacy_arguments: ClassVar[dict[str, str]] = {"tbl": "table"}

    def __init__(self, *, table: str | XComArg = "t", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table


class Careful(Load):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(retries=7, **kwargs)


def test_positional_arguments_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="Load takes keyword arguments only; write for example task_id='a'"):
        Load("a")  # type: ignore[call-arg]


def test_an_unknown_argument_names_the_closest_one() -> None:
    with pytest.raises(AuthoringError, match=r"Load 'a' has no argument 'retrys'; did you mean 'retries'\?"):
        Load(task_id="a", retrys=1)
    with pytest.raises(AuthoringError, match="did you mean 'table'"):
        Load(task_id="a", tabel="x")


def test_legacy_arguments_are_translated_before_erring() -> None:
    assert Load(task_id="a", tbl="old").table == "old"
    with pytest.raises(AuthoringError, match="both 'tbl' and 'table'"):
        Load(task_id="a", tbl="old", table="new")


class TestDefaultArgs:
    def test_operator_over_group_over_dag(self) -> None:
        dag = DAG("d", default_args={"retries": 1, "owner": "dag", "queue": "dag"})
        with dag, TaskGroup("g", default_args={"retries": 2, "owner": "group"}):
            made = Load(task_id="a", retries=3)
        assert (made.retries, made.owner, made.queue) == (3, "group", "dag")

    def test_an_inner_group_over_an_outer_one(self) -> None:
        outer = {"owner": "outer", "queue": "outer"}
        with DAG("d"), TaskGroup("o", default_args=outer), TaskGroup("i", default_args={"owner": "inner"}):
            made = Load(task_id="a")
        assert (made.owner, made.queue) == ("inner", "outer")

    def test_keys_that_an_operator_does_not_have_are_ignored(self) -> None:
        with DAG("d", default_args={"table": "orders", "no_such_thing": 1}):
            assert Load(task_id="a").table == "orders"
            EmptyOperator(task_id="b")

    def test_a_value_that_a_subclass_passes_wins(self) -> None:
        with DAG("d", default_args={"retries": 1}):
            assert Careful(task_id="a").retries == 7

    def test_an_operators_own_default_args_win(self) -> None:
        with DAG("d", default_args={"retries": 1}):
            assert Load(task_id="a", default_args={"retries": 5}).retries == 5

    def test_two_dags_do_not_share_a_mutable_default(self) -> None:
        shared: dict[str, Any] = {"executor_config": {"a": 1}}
        one, two = DAG("one", default_args=shared), DAG("two", default_args=shared)
        one.default_args["executor_config"]["a"] = 2
        assert two.default_args["executor_config"] == {"a": 1}

    def test_a_task_decorator_takes_them(self) -> None:
        with DAG("d", default_args={"retries": 4}) as made:

            @task
            def work() -> None: ...

            work()
        assert made.get_task("work").retries == 4


def test_durations_are_timedeltas_or_seconds() -> None:
    assert Load(task_id="a", retry_delay=5, execution_timeout=timedelta(minutes=1)).retry_delay == timedelta(seconds=5)
    with pytest.raises(AuthoringError, match="retry_delay must be a timedelta or a number of seconds, not 'soon'"):
        Load(task_id="a", retry_delay="soon")


@pytest.mark.parametrize(("given", "multiplier"), [(False, 0.0), (True, 2.0), (3, 3.0), (1.5, 1.5)])
def test_backoff_is_a_switch_or_a_multiplier(given: float, multiplier: float) -> None:
    assert Load(task_id="a", retry_exponential_backoff=given).retry_exponential_backoff == multiplier


@pytest.mark.parametrize("given", [-1, 0.5, "yes"])
def test_a_backoff_that_shrinks_is_refused(given: float) -> None:
    with pytest.raises(AuthoringError, match="retry_exponential_backoff"):
        Load(task_id="a", retry_exponential_backoff=given)


def test_names_of_rules_are_checked() -> None:
    with pytest.raises(AuthoringError, match="trigger_rule 'all_sucess' is not one of all_success, all_failed"):
        Load(task_id="a", trigger_rule="all_sucess")
    with pytest.raises(AuthoringError, match="weight_rule"):
        Load(task_id="a", weight_rule="heavy")


def test_numbers_are_checked() -> None:
    with pytest.raises(AuthoringError, match="pool_slots must be a whole number of at least 1, not 0"):
        Load(task_id="a", pool_slots=0)
    with pytest.raises(AuthoringError, match="retries must be a whole number"):
        Load(task_id="a", retries="many")


def test_wait_for_downstream_implies_depends_on_past() -> None:
    assert Load(task_id="a", wait_for_downstream=True).depends_on_past


def test_a_forgotten_super_call_is_named() -> None:
    class Broken(BaseOperator):
        def __init__(self, **kwargs: Any) -> None:
            self.kwargs = kwargs

    with pytest.raises(AuthoringError, match=r"Broken.__init__ must call super\(\)"):
        Broken(task_id="a")


def test_a_broken_operator_leaves_nothing_in_the_dag() -> None:
    with DAG("d") as made:
        with pytest.raises(AuthoringError):
            Load(task_id="a", trigger_rule="never")
        Load(task_id="a")
    assert made.task_ids == ["a"]


def test_a_result_in_any_argument_is_a_dependency() -> None:
    with DAG("d") as made:
        first = EmptyOperator(task_id="first")
        Load(task_id="a", table=first.output)
        Load(task_id="b", params={"x": [{"deep": first.output}]})
    assert made.get_task("a").upstream_task_ids == {"first"}
    assert made.get_task("b").upstream_task_ids == {"first"}


def test_a_result_set_on_a_field_later_is_a_dependency_too() -> None:
    with DAG("d") as made:
        first = EmptyOperator(task_id="first")
        late = Load(task_id="late")
        late.table = first.output
    assert made.to_spec().by_id["late"].upstream == ("first",)


def test_an_operator_that_is_ready_knows_whether_there_is_anything_to_render() -> None:
    with DAG("d"):
        first = EmptyOperator(task_id="first")
        operators = [
            first,
            Load(task_id="empty", table=""),
            Load(task_id="text"),
            Load(task_id="given", table=first.output),
        ]
    assert not any(operator.nothing_to_render for operator in operators), "not before it is ready"
    for operator in operators:
        operator.get_ready()
    assert [operator.nothing_to_render for operator in operators] == [True, True, False, False]


class Before(EmptyOperator):
    def pre_execute(self, context: Context) -> None: ...


class After(EmptyOperator):
    def post_execute(self, context: Context, result: object = None) -> None: ...


class Decorated(DecoratedOperator, EmptyOperator): ...


class DecoratedBefore(DecoratedOperator, Before): ...


class BeforeDecorated(Decorated):
    def pre_execute(self, context: Context) -> None: ...


def test_an_operator_that_is_ready_knows_whether_there_is_anything_to_do_before_and_after_it() -> None:
    patched = EmptyOperator(task_id="patched")
    patched.pre_execute = lambda context: None  # type: ignore[method-assign]
    operators = [
        EmptyOperator(task_id="plain"),
        Before(task_id="before"),
        After(task_id="after"),
        patched,
        Decorated(task_id="decorated", python_callable=print),
        Decorated(task_id="conditional", python_callable=print, run_conditions=[(bool, True, None)]),
        DecoratedBefore(task_id="over_one", python_callable=print),
        BeforeDecorated(task_id="with_its_own", python_callable=print),
    ]
    assert not any(operator.nothing_before or operator.nothing_after for operator in operators), (
        "not before it is ready"
    )
    for operator in operators:
        operator.get_ready()
    nothing_before = {operator.task_id for operator in operators if operator.nothing_before}
    assert nothing_before == {"plain", "after", "decorated"}
    assert {operator.task_id for operator in operators if not operator.nothing_after} == {"after"}


@pytest.mark.parametrize("hooked", [BaseOperator, DecoratedOperator])
def test_what_a_library_puts_in_place_of_a_hook_is_called(monkeypatch: pytest.MonkeyPatch, hooked: type) -> None:
    monkeypatch.setattr(hooked, "pre_execute", lambda self, context: None)
    operator = Decorated(task_id="a", python_callable=print)
    operator.get_ready()
    assert not operator.nothing_before


def test_an_operator_has_the_logger_of_the_task() -> None:
    assert EmptyOperator(task_id="a").log is logging.getLogger("windlass.task")


def test_resources_are_recorded() -> None:
    given = {"cpus": 2, "ram": 512.5, "disk": 0, "gpus": None}
    with DAG("d") as made:
        Load(task_id="a", resources=given)
    assert made.to_spec().by_id["a"].resources == given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"cpu": 1}, "resources has no 'cpu'; it knows cpus, ram, disk, gpus"),
        ({"ram": -1}, "ram of resources must be a number of at least 0, not -1"),
        ({"ram": "2GB"}, "ram of resources must be a number of at least 0, not '2GB'"),
        ({"gpus": True}, "gpus of resources must be a number of at least 0, not True"),
    ],
)
def test_resources_that_do_not_exist_are_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(AuthoringError, match=re.escape(f"task 'a': {why}")):
        Load(task_id="a", resources=given)
