"""SEMANTICS, section 1: DAGs: how a file makes them, every argument, default_args, dependencies, params."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from inspect import signature
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from testing.tests.conformance.steps import MONDAY, good

from windlass import (
    DAG,
    Label,
    Param,
    TaskGroup,
    chain,
    chain_linear,
    cross_downstream,
    task,
)
from windlass.authoring.edges import explain
from windlass.errors import AuthoringError, CycleError, DuplicateId, ParamInvalid
from windlass.operators import BaseOperator, EmptyOperator
from windlass_testing.virtual import VirtualInstallation

HEAD = """
from datetime import datetime, UTC
from windlass import DAG, dag, task
from windlass.operators import EmptyOperator
"""


def dag_ids(windlass: VirtualInstallation, source: str) -> list[str]:
    return sorted(made.dag_id for made in windlass.add_source(HEAD + source))


# --- How a file makes DAGs


@pytest.mark.parametrize(
    "source",
    [
        'd = DAG("d", schedule=None)\nEmptyOperator(task_id="t", dag=d)',
        'with DAG("d", schedule=None) as d:\n    EmptyOperator(task_id="t")',
        'def make():\n    with DAG("d", schedule=None):\n        EmptyOperator(task_id="t")\nmake()',
        '@dag(schedule=None)\ndef d():\n    EmptyOperator(task_id="t")\nd()',
        '@dag("d", schedule=None)\ndef other():\n    EmptyOperator(task_id="t")\nother()',
    ],
    ids=["a global object", "a with block", "a with block in a function", "a @dag function", "with an id of its own"],
)
def test_a_dag_is_found_as_a_global_and_registers_itself_by_with_or_by_a_call(
    windlass: VirtualInstallation, source: str
) -> None:
    assert dag_ids(windlass, source) == ["d"]
    assert windlass.states(windlass.run("d")) == {"t": "success"}


def test_a_dag_function_that_is_not_called_and_a_dag_without_auto_register_are_not_found(
    windlass: VirtualInstallation,
) -> None:
    source = """
@dag(schedule=None)
def never():
    EmptyOperator(task_id="t")

def make():
    with DAG("hidden", schedule=None, auto_register=False):
        EmptyOperator(task_id="t")
make()
"""
    assert dag_ids(windlass, source) == []


def test_dags_are_made_in_a_loop(windlass: VirtualInstallation) -> None:
    source = """
for city in ("oslo", "rome"):
    @dag(dag_id=f"weather_{city}", schedule=None)
    def weather(city=city):
        @task
        def look(city):
            return city
        look(city)
    weather()
"""
    assert dag_ids(windlass, source) == ["weather_oslo", "weather_rome"]
    assert windlass.xcom(windlass.run("weather_rome"), "look") == "rome"


# --- Arguments

DAG_ARGUMENTS: dict[str, Any] = {
    "dag_id": "d", "description": "text", "schedule": "@daily", "start_date": MONDAY, "end_date": MONDAY,
    "catchup": True, "default_args": {"owner": "me"}, "max_active_runs": 3, "max_active_tasks": 4,
    "max_consecutive_failed_dag_runs": 0, "dagrun_timeout": timedelta(hours=1), "tags": ["a"], "params": {"p": 1},
    "doc_md": "# text", "owner_links": {"me": "https://example.org"}, "template_searchpath": "/tmp",
    "template_undefined": None, "user_defined_macros": {"m": 1}, "user_defined_filters": {"f": str},
    "jinja_environment_kwargs": {"trim_blocks": True}, "render_template_as_native_obj": True,
    "on_success_callback": print, "on_failure_callback": [print], "fail_fast": True,
    "is_paused_upon_creation": False, "access_control": {"role": {"can_read"}}, "dag_display_name": "The D",
    "auto_register": True,
}  # fmt: skip
OPERATOR_ARGUMENTS: dict[str, Any] = {
    "task_id": "t", "owner": "me", "retries": 2, "retry_delay": 10, "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(hours=1), "start_date": MONDAY, "end_date": MONDAY, "depends_on_past": True,
    "wait_for_downstream": True, "ignore_first_depends_on_past": False, "trigger_rule": "all_done",
    "params": {"q": 1}, "pool": "default_pool", "pool_slots": 2, "priority_weight": 5, "weight_rule": "absolute",
    "queue": "q", "executor": "local", "executor_config": {"a": 1}, "execution_timeout": 60, "resources": {"ram": 1},
    "max_active_tis_per_dag": 3, "max_active_tis_per_dagrun": 2, "do_xcom_push": False, "multiple_outputs": False,
    "inlets": None, "outlets": None, "doc": "text", "doc_md": "# text", "doc_json": "{}", "doc_yaml": "a: 1",
    "doc_rst": "text", "on_execute_callback": print, "on_success_callback": print, "on_failure_callback": print,
    "on_retry_callback": print, "on_skipped_callback": print, "map_index_template": None,
    "allow_nested_operators": True,
}  # fmt: skip


def test_every_argument_of_a_dag_and_of_an_operator_is_taken_and_stored(windlass: VirtualInstallation) -> None:
    dag_arguments = {**DAG_ARGUMENTS, "fail_fast": False}
    with DAG(**dag_arguments) as dag:
        EmptyOperator(**OPERATOR_ARGUMENTS)
    windlass.add(dag)
    spec = windlass.store.queries.spec("d")
    assert (spec.display_name, spec.max_active_runs, spec.dagrun_timeout, spec.tags) == ("The D", 3, 3600, ("a",))
    [stored] = spec.tasks
    assert (stored.owner, stored.retries, stored.pool_slots, stored.weight_rule) == ("me", 2, 2, "absolute")


@pytest.mark.parametrize(
    ("takes", "arguments"), [(DAG, DAG_ARGUMENTS), (BaseOperator, OPERATOR_ARGUMENTS)], ids=["DAG", "BaseOperator"]
)
def test_every_argument_is_named_in_the_signature(takes: Callable[..., Any], arguments: dict[str, Any]) -> None:
    assert set(arguments) <= set(signature(takes.__init__).parameters)


DEFAULTS = {
    "retries": 0, "retry_delay": timedelta(seconds=300), "max_retry_delay": timedelta(hours=24),
    "ignore_first_depends_on_past": True, "depends_on_past": False, "trigger_rule": "all_success",
    "pool": "default_pool", "pool_slots": 1, "priority_weight": 1, "weight_rule": "downstream", "do_xcom_push": True,
}  # fmt: skip


def test_defaults_are_as_specified() -> None:
    operator = EmptyOperator(task_id="t")
    assert {name: getattr(operator, name) for name in DEFAULTS} == DEFAULTS
    made = DAG("d")
    assert (made.max_active_runs, made.max_active_tasks, made.catchup) == (16, 16, False)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DAG("d", shedule="@daily"), "did you mean 'schedule'"),
        (lambda: DAG("d", max_active_rus=1), "did you mean 'max_active_runs'"),
        (lambda: EmptyOperator(task_id="t", retires=1), "did you mean 'retries'"),
    ],
)
def test_an_unknown_argument_is_an_error_naming_the_closest_valid_one(make: Callable[[], Any], words: str) -> None:
    with pytest.raises((AuthoringError, TypeError), match=words):
        make()


def test_positional_arguments_of_an_operator_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="task_id="):
        EmptyOperator("t")  # type: ignore[call-arg]


def test_operators_translate_legacy_arguments_before_erring() -> None:
    class Renamed(BaseOperator):
        legacy_arguments = {"old": "new"}

        def __init__(self, *, new: int = 0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.new = new

        def execute(self, context: Any) -> int:
            return self.new

    assert Renamed(task_id="t", old=5).new == 5


def test_specs_store_utc_and_the_name_of_the_zone(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 3, 1, tzinfo=ZoneInfo("Asia/Tokyo"))) as dag:
        good()
    windlass.add(dag)
    spec = windlass.store.queries.spec("d")
    assert (spec.start_date, spec.timezone) == (datetime(2026, 2, 28, 15, tzinfo=UTC), "Asia/Tokyo")


def test_a_plugin_may_replace_the_factory_of_a_contexts_datetimes(windlass: VirtualInstallation) -> None:
    from windlass import moment

    class Special(datetime):
        pass

    def special(value: datetime) -> Special:
        zone: tzinfo | None = value.tzinfo
        return Special(value.year, value.month, value.day, value.hour, value.minute, value.second, tzinfo=zone)

    seen: list[str] = []
    moment.install_factory(special)
    try:
        with DAG("d", schedule=None) as dag:
            task(task_id="t")(lambda logical_date: seen.append(type(logical_date).__name__))()
        windlass.run(dag)
    finally:
        moment.install_factory(None)
    assert seen == ["Special"]


# --- default_args


def test_operator_over_group_over_dag_and_unknown_keys_are_ignored() -> None:
    of_dag = {"retries": 1, "queue": "dag", "owner": "dag", "bash_command": "ignored"}
    with DAG("d", default_args=of_dag), TaskGroup("g", default_args={"queue": "group", "owner": "group"}):
        made = EmptyOperator(task_id="t", owner="operator")
    assert (made.retries, made.queue, made.owner) == (1, "group", "operator")


def test_start_and_end_date_in_default_args_become_the_dags() -> None:
    made = DAG("d", default_args={"start_date": MONDAY, "end_date": MONDAY + timedelta(days=1)})
    assert (made.start_date, made.end_date) == (MONDAY, MONDAY + timedelta(days=1))


# --- Dependencies


def edges(dag: DAG) -> set[str]:
    return {f"{item.task_id}{name}" for item in dag.tasks for name in item.downstream_task_ids}


def five() -> list[EmptyOperator]:
    return [EmptyOperator(task_id=name) for name in "abcde"]


DEPENDENCIES: list[tuple[str, Callable[..., Any], str]] = [
    ("a >> b >> c", lambda a, b, c, d, e: a >> b >> c, "ab bc"),
    ("a >> [b, c]", lambda a, b, c, d, e: a >> [b, c], "ab ac"),
    ("[a, b] >> c", lambda a, b, c, d, e: [a, b] >> c, "ac bc"),
    ("c << b << a", lambda a, b, c, d, e: c << b << a, "ab bc"),
    ("set_downstream", lambda a, b, c, d, e: a.set_downstream([b, c]), "ab ac"),
    ("set_upstream", lambda a, b, c, d, e: c.set_upstream([a, b]), "ac bc"),
    ("chain", lambda a, b, c, d, e: chain(a, [b, c], [d, e]), "ab ac bd ce"),
    ("chain_linear", lambda a, b, c, d, e: chain_linear(a, [b, c], [d, e]), "ab ac bd be cd ce"),
    ("cross_downstream", lambda a, b, c, d, e: cross_downstream([a, b], [c, d]), "ac ad bc bd"),
    ("a >> Label >> b", lambda a, b, c, d, e: a >> Label("yes") >> b, "ab"),
]


@pytest.mark.parametrize(("name", "draw", "drawn"), DEPENDENCIES, ids=[row[0] for row in DEPENDENCIES])
def test_every_way_to_draw_an_edge(name: str, draw: Callable[..., Any], drawn: str) -> None:
    with DAG("d") as dag:
        draw(*five())
    assert edges(dag) == set(drawn.split())


def test_an_arrow_returns_its_right_operand() -> None:
    with DAG("d"):
        a, b, *_ = five()
        assert (a >> b) is b
        assert (b << a) is a


def test_two_lists_are_a_type_error_that_names_chain_and_cross_downstream() -> None:
    with DAG("d"), pytest.raises(TypeError) as caught:
        [EmptyOperator(task_id="a")] >> [EmptyOperator(task_id="b")]  # type: ignore[operator]
    explain(caught.value)  # as whoever parses the file does: Python itself raises the error
    [hint] = caught.value.__notes__
    assert "chain" in hint
    assert "cross_downstream" in hint


def test_a_cycle_is_an_import_error_that_prints_the_cycle(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        a, b, c, *_ = five()
        a >> b >> c >> a
    with pytest.raises(CycleError, match="a >> b >> c >> a"):
        windlass.add(dag)


def test_a_duplicate_id_is_an_error() -> None:
    with DAG("d"), pytest.raises(DuplicateId, match="'t'"):
        EmptyOperator(task_id="t"), EmptyOperator(task_id="t")


def test_a_label_stands_on_its_edge(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        EmptyOperator(task_id="a") >> Label("yes") >> EmptyOperator(task_id="b")
    windlass.add(dag)
    assert windlass.store.queries.spec("d").edge_labels == (("a", "b", "yes"),)


# --- Params


def test_params_of_a_task_over_those_of_the_dag_overridden_by_conf(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, params={"a": 1, "b": 1, "c": 1}) as dag:
        task(task_id="t", params={"b": 2, "c": 2})(lambda params: [params["a"], params["b"], params["c"]])()
    assert windlass.xcom(windlass.run(dag, conf={"c": 3}), "t") == [1, 2, 3]


def test_a_scheduled_dag_needs_valid_defaults(windlass: VirtualInstallation) -> None:
    for param in (Param(type="integer"), Param("x", type="integer")):
        with DAG("d", schedule="@daily", start_date=MONDAY, params={"p": param}) as dag:
            good()
        with pytest.raises((AuthoringError, ParamInvalid), match="'p'"):
            windlass.add(dag)


def test_a_dag_that_people_start_may_have_a_param_without_default_which_they_must_give(
    windlass: VirtualInstallation,
) -> None:
    with DAG("d", schedule=None, params={"p": Param(type="integer")}) as dag:
        task(task_id="t")(lambda params: params["p"])()
    windlass.add(dag)
    with pytest.raises(ParamInvalid, match="'p'"):
        windlass.trigger("d")
    assert windlass.xcom(windlass.run("d", conf={"p": 5}), "t") == 5


def test_the_parameters_of_a_dag_function_are_its_params(windlass: VirtualInstallation) -> None:
    windlass.add_source(
        HEAD
        + """
@dag(schedule=None)
def d(size: int = 1):
    @task
    def look(size):
        return size * 2
    look(size)
d()
"""
    )
    assert windlass.xcom(windlass.run("d"), "look") == 2
    assert windlass.xcom(windlass.run("d", conf={"size": 5}), "look") == 10
