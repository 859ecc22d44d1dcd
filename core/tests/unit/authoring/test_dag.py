"""A DAG: its arguments, how it is found, and what it refuses."""

from __future__ import annotations

import types
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from windlass import DAG, BaseOperator, Param, TaskGroup, dag, task
from windlass.authoring import collect
from windlass.errors import AuthoringError, CycleError, DuplicateId, TaskNotFound
from windlass.operators import EmptyOperator


@pytest.fixture(autouse=True)
def _forget() -> None:
    collect()


def test_an_unknown_argument_names_the_closest_one() -> None:
    with pytest.raises(
        AuthoringError, match=r"DAG 'd' has no argument 'max_active_run'; did you mean 'max_active_runs'\?"
    ):
        DAG("d", max_active_run=1)


@pytest.mark.parametrize("name", ["schedule", "schedule_interval", "timetable"])
def test_the_schedule_has_its_old_names(name: str) -> None:
    arguments: dict[str, Any] = {name: "@daily"}
    assert DAG("d", **arguments).to_spec().schedule_summary == "@daily"


def test_two_names_for_the_schedule_are_an_error() -> None:
    with pytest.raises(AuthoringError, match="both 'schedule_interval' and 'schedule'"):
        DAG("d", schedule="@daily", schedule_interval="@hourly")


@pytest.mark.parametrize("dag_id", ["", "a b", "a/b", "x" * 251, "ü\n"])
def test_a_bad_id_is_refused(dag_id: str) -> None:
    with pytest.raises(AuthoringError, match="dag_id"):
        DAG(dag_id)


def test_an_id_must_be_text() -> None:
    with pytest.raises(AuthoringError, match="must be a string, not int"):
        DAG(7)  # type: ignore[arg-type]


def test_start_and_end_date_of_default_args_become_the_dags() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    made = DAG("d", default_args={"start_date": start, "end_date": end})
    assert (made.start_date, made.end_date) == (start, end)


def test_the_timezone_is_that_of_the_start_date() -> None:
    spec = DAG("d", schedule="0 6 * * *", start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Paris"))).to_spec()
    assert spec.timezone == "Europe/Paris"
    assert spec.start_date == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_a_naive_start_date_takes_the_default_timezone() -> None:
    spec = DAG("d", start_date=datetime(2026, 1, 1)).to_spec()  # noqa: DTZ001 - what is tested
    assert spec.start_date == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_start_date_that_is_none_is_an_error() -> None:
    with pytest.raises(AuthoringError, match="start_date must be a datetime"):
        DAG("d", start_date=5)  # type: ignore[arg-type]


def test_tags_are_not_one_text() -> None:
    with pytest.raises(AuthoringError, match=r"tags=\['nightly'\]"):
        DAG("d", tags="nightly")


def test_tasks_inside_with_belong_to_the_dag() -> None:
    with DAG("d") as made:
        first = EmptyOperator(task_id="a")
    assert made.task_dict == {"a": first}
    assert first.dag is made


def test_a_task_may_name_its_dag() -> None:
    made = DAG("d")
    EmptyOperator(task_id="a", dag=made)
    assert made.task_ids == ["a"]


def test_duplicate_ids_are_refused() -> None:
    with DAG("d"):
        EmptyOperator(task_id="a")
        with pytest.raises(DuplicateId, match="DAG 'd' already has a task or group 'a'"):
            EmptyOperator(task_id="a")
        with pytest.raises(DuplicateId):
            TaskGroup("a")


def test_a_cycle_is_printed() -> None:
    with DAG("d") as made:
        a, b, c = (EmptyOperator(task_id=name) for name in "abc")
        EmptyOperator(task_id="before") >> a >> b >> c >> a
    with pytest.raises(CycleError, match=r"DAG 'd' has a cycle: (a >> b >> c >> a|b >> c >> a >> b|c >> a >> b >> c);"):
        made.to_spec()


def test_an_unknown_task_names_the_closest_one() -> None:
    with DAG("d") as made:
        EmptyOperator(task_id="extract")
    with pytest.raises(TaskNotFound, match="did you mean 'extract'"):
        made.get_task("extrct")


def test_tasks_are_sorted_topologically_with_ties_in_definition_order() -> None:
    with DAG("d") as made:
        tasks = {name: EmptyOperator(task_id=name) for name in "zyxab"}
        tasks["b"] >> tasks["y"]
    assert [item.task_id for item in made.to_spec().tasks] == ["z", "x", "a", "b", "y"]


class TestDagDecorator:
    def test_calling_makes_and_registers_the_dag(self) -> None:
        @dag(schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=UTC))
        def pipeline() -> None:
            """Say what it does."""
            EmptyOperator(task_id="only")

        assert collect(types.ModuleType("m")) == []
        made = pipeline()
        assert (made.dag_id, made.doc_md, made.task_ids) == ("pipeline", "Say what it does.", ["only"])
        assert collect(types.ModuleType("m")) == [made]

    def test_parameters_become_params(self) -> None:
        @dag("named")
        def pipeline(day: str = "monday", *, count: int = 3) -> None:
            @task
            def use(value: str) -> str:
                return value

            use(day)

        made = pipeline(count=4)
        assert made.dag_id == "named"
        assert dict(made.params) == {"day": "monday", "count": 4}

    def test_a_parameter_keeps_the_schema_of_the_param_of_its_name(self) -> None:
        @dag(schedule=None, params={"count": Param(1, "how many", type="integer")})
        def counted(count: int = 3) -> None: ...

        param = counted().params.get_param("count")
        assert (param.value, param.description, param.schema) == (3, "how many", {"type": "integer"})

    def test_a_missing_argument_is_a_type_error(self) -> None:
        @dag()
        def pipeline(day: str) -> None: ...

        with pytest.raises(TypeError, match="missing required argument: 'day'"):
            pipeline()  # type: ignore[call-arg]


class TestCollect:
    def test_global_dags_are_found(self) -> None:
        module = types.ModuleType("m")
        module.first = DAG("first")  # type: ignore[attr-defined]
        assert [found.dag_id for found in collect(module)] == ["first"]

    def test_with_registers_even_when_the_name_is_lost(self) -> None:
        def make() -> None:
            with DAG("hidden"):
                EmptyOperator(task_id="a")

        make()
        assert [found.dag_id for found in collect(types.ModuleType("m"))] == ["hidden"]

    def test_auto_register_false_is_found_only_as_a_global(self) -> None:
        with DAG("quiet", auto_register=False) as quiet:
            pass
        module = types.ModuleType("m")
        assert collect(module) == []
        module.quiet = quiet  # type: ignore[attr-defined]
        assert collect(module) == [quiet]

    def test_a_dag_is_found_once(self) -> None:
        module = types.ModuleType("m")
        with DAG("d") as made:
            pass
        module.made = module.again = made  # type: ignore[attr-defined]
        assert collect(module) == [made]

    def test_two_dags_of_one_id_are_an_error(self) -> None:
        module = types.ModuleType("m")
        module.one, module.two = DAG("same"), DAG("same")  # type: ignore[attr-defined]
        with pytest.raises(DuplicateId, match="two DAGs with the id 'same'"):
            collect(module)

    def test_an_earlier_file_leaves_nothing_behind(self) -> None:
        with DAG("one"):
            pass
        collect(types.ModuleType("m"))
        assert collect(types.ModuleType("other")) == []


def test_fail_fast_needs_plain_trigger_rules() -> None:
    with DAG("d", fail_fast=True) as made:
        EmptyOperator(task_id="a", trigger_rule="all_done")
    with pytest.raises(AuthoringError, match="fail_fast, so task 'a' must keep trigger_rule 'all_success'"):
        made.to_spec()


def test_a_scheduled_dag_needs_defaults_for_its_params() -> None:
    from windlass import Param

    with pytest.raises(AuthoringError, match="param 'x' has no default"):
        DAG("d", schedule="@daily", params={"x": Param(type="integer")}).to_spec()


def test_end_before_start_is_refused() -> None:
    made = DAG("d", start_date=datetime(2026, 2, 1, tzinfo=UTC), end_date=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(AuthoringError, match="ends before it starts"):
        made.to_spec()


def test_numbers_are_durations_in_seconds() -> None:
    assert DAG("d", dagrun_timeout=90).dagrun_timeout == timedelta(seconds=90)


def test_a_task_without_a_dag_joins_that_of_its_neighbour() -> None:
    lone = EmptyOperator(task_id="lone")
    with DAG("d") as made:
        lone >> EmptyOperator(task_id="a")
    assert made.task_ids == ["a", "lone"]


def test_edges_do_not_cross_dags() -> None:
    with DAG("one"):
        a = EmptyOperator(task_id="a")
    with DAG("two"):
        b = EmptyOperator(task_id="b")
    with pytest.raises(AuthoringError, match="TriggerDagRunOperator"):
        a >> b


def test_a_subclass_must_define_execute() -> None:
    with pytest.raises(NotImplementedError, match="BaseOperator does not define execute"):
        BaseOperator(task_id="a").execute({})


def test_dates_in_default_args_are_never_the_tasks_own() -> None:
    other = datetime(2026, 6, 1, tzinfo=UTC)
    with DAG("a", default_args={"start_date": other, "end_date": other}) as made:
        EmptyOperator(task_id="t")
    assert (made.start_date, made.end_date, made.to_spec().dated) == (other, other, ())
    own = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG("b", start_date=own, default_args={"start_date": other}) as made:
        EmptyOperator(task_id="t")
    assert (made.start_date, made.to_spec().dated) == (own, ())
