"""SEMANTICS, section 2: branching, short circuits and LatestOnly."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, good

from windlass import DAG, TaskGroup, task, task_group
from windlass.operators import (
    BaseBranchOperator,
    BranchPythonOperator,
    Context,
    EmptyOperator,
    LatestOnlyOperator,
    ShortCircuitOperator,
)
from windlass_testing.virtual import VirtualInstallation


class Choose(BaseBranchOperator):
    """A branch operator as a user writes it."""

    def choose_branch(self, context: Context) -> str:
        return "left"


def decorated() -> Any:
    return task.branch(task_id="choose")(lambda: "left")()


def function() -> BranchPythonOperator:
    return BranchPythonOperator(task_id="choose", python_callable=lambda: "left")


def subclass() -> Choose:
    return Choose(task_id="choose")


def empty(task_id: str, **options: Any) -> EmptyOperator:
    return EmptyOperator(task_id=task_id, **options)


@pytest.mark.parametrize("make", [decorated, function, subclass])
def test_every_kind_of_branch_skips_what_it_did_not_choose(
    windlass: VirtualInstallation, make: Callable[[], Any]
) -> None:
    with DAG("d", schedule=None) as dag:
        make() >> [empty("left"), empty("right")]
    assert windlass.states(windlass.run(dag)) == {"choose": "success", "left": "success", "right": "skipped"}


def test_only_direct_downstreams_are_skipped_and_then_the_rules_propagate(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        left, right = empty("left"), empty("right")
        decorated() >> [left, right]
        right >> empty("behind")
        right >> empty("anyway", trigger_rule="all_done")
    states = windlass.states(windlass.run(dag))
    assert (states["right"], states["behind"], states["anyway"]) == ("skipped", "skipped", "success")


def test_a_direct_downstream_that_a_chosen_one_leads_to_is_not_skipped(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        left, right, join = empty("left"), empty("right"), empty("join")
        decorated() >> [left, right, join]
        left >> join
    states = windlass.states(windlass.run(dag))
    assert (states["right"], states["join"]) == ("skipped", "success")


def test_a_join_with_none_failed_min_one_success_runs(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        decorated() >> [empty("left"), empty("right")] >> empty("join", trigger_rule="none_failed_min_one_success")
    assert windlass.states(windlass.run(dag))["join"] == "success"


@pytest.mark.parametrize(
    ("chosen", "went_on"),
    [("a", {"a"}), (["a", "b"], {"a", "b"}), ("g", {"g.one", "g.two"}), (None, set()), ([], set())],
    ids=["a task", "a list", "a group", "None", "an empty list"],
)
def test_a_branch_returns_a_task_a_group_a_list_or_nothing(
    windlass: VirtualInstallation, chosen: Any, went_on: set[str]
) -> None:
    with DAG("d", schedule=None) as dag:
        choose = task.branch(task_id="choose")(lambda: chosen)()
        with TaskGroup("g") as group:
            empty("one"), empty("two")
        choose >> [empty("a"), empty("b"), group]
    states = windlass.states(windlass.run(dag))
    assert {name for name, state in states.items() if state == "success"} == went_on | {"choose"}


def test_an_unknown_id_fails_with_the_valid_ones(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task.branch(task_id="choose")(lambda: "lft")() >> [empty("left"), empty("right")]
    run = windlass.run(dag)
    assert windlass.states(run)["choose"] == "failed"
    reason = windlass.reason(run, "choose")
    assert "'lft'" in reason
    assert "left" in reason
    assert "right" in reason


def test_the_decision_is_kept_so_that_clearing_a_child_skips_it_again(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        decorated() >> [empty("left"), empty("right")]
    run = windlass.run(dag)
    windlass.clear(run, "right")
    assert windlass.states(windlass.end_of(run))["right"] == "skipped"


def test_a_branch_that_is_cleared_decides_anew(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        choose = task.branch(task_id="choose")(lambda try_number: "left" if try_number == 1 else "right")()
        choose >> [empty("left"), empty("right")]
    run = windlass.run(dag)
    windlass.clear(run, "choose", downstream=True)
    assert windlass.states(windlass.end_of(run)) == {"choose": "success", "left": "skipped", "right": "success"}


def test_inside_a_mapped_group_a_branch_skips_per_map_index(windlass: VirtualInstallation) -> None:
    @task.branch
    def choose(side: str) -> str:
        return f"g.{side}"

    @task_group
    def g(side: str) -> None:
        choose(side) >> [empty("left"), empty("right")]

    with DAG("d", schedule=None) as dag:
        g.expand(side=["left", "right"])
    states = windlass.states(windlass.run(dag))
    assert [states[f"g.{side}[{index}]"] for index in (0, 1) for side in ("left", "right")] == [
        "success", "skipped", "skipped", "success",
    ]  # fmt: skip


# --- Short circuits


@pytest.mark.parametrize("falsy", [False, 0, "", [], None])
def test_a_falsy_short_circuit_skips_all_descendants_whatever_their_rule(
    windlass: VirtualInstallation, falsy: object
) -> None:
    with DAG("d", schedule=None) as dag:
        stop = ShortCircuitOperator(task_id="stop", python_callable=lambda: falsy)
        stop >> empty("a") >> empty("b", trigger_rule="all_done") >> empty("c", trigger_rule="one_done")
    assert windlass.states(windlass.run(dag)) == {"stop": "success", "a": "skipped", "b": "skipped", "c": "skipped"}


def test_a_truthy_short_circuit_skips_nothing(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        task.short_circuit(task_id="go")(lambda: True)() >> empty("a")
    assert windlass.states(windlass.run(dag)) == {"go": "success", "a": "success"}


def test_a_short_circuit_that_minds_the_rules_skips_direct_downstreams_only(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        stop = ShortCircuitOperator(
            task_id="stop", python_callable=lambda: False, ignore_downstream_trigger_rules=False
        )
        stop >> empty("a") >> empty("b", trigger_rule="all_done")
    assert windlass.states(windlass.run(dag)) == {"stop": "success", "a": "skipped", "b": "success"}


def test_a_short_circuit_never_skips_a_teardown(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        begin = empty("begin").as_setup()
        stop = task.short_circuit(task_id="stop")(lambda: False)()
        begin >> stop >> empty("work") >> empty("end").as_teardown(setups=begin)
    assert windlass.states(windlass.run(dag)) == {
        "begin": "success", "stop": "success", "work": "skipped", "end": "success",
    }  # fmt: skip


def test_a_short_circuit_in_a_mapped_group_stops_its_own_index(windlass: VirtualInstallation) -> None:
    @task.short_circuit
    def go(on: bool) -> bool:
        return on

    @task_group
    def g(on: bool) -> None:
        go(on) >> empty("a") >> empty("b", trigger_rule="all_done")

    with DAG("d", schedule=None) as dag:
        g.expand(on=[True, False])
    states = windlass.states(windlass.run(dag))
    assert [states[f"g.{name}[{index}]"] for index in (0, 1) for name in "ab"] == [
        "success", "success", "skipped", "skipped",
    ]  # fmt: skip


# --- LatestOnly


def test_latest_only_lets_the_newest_scheduled_run_go_on_and_no_older_one(windlass: VirtualInstallation) -> None:
    start = MONDAY - timedelta(days=4)
    with DAG("d", schedule="@daily", start_date=start, catchup=True) as dag:
        LatestOnlyOperator(task_id="latest") >> empty("a") >> empty("b", trigger_rule="all_done")
    windlass.add(dag)
    windlass.pass_time(timedelta(hours=1))
    rows = [(windlass.states(run)["a"], windlass.states(run)["b"]) for run in windlass.runs("d")]
    assert rows == [("skipped", "success")] * 2 + [("success", "success")]


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (timedelta(0), "skipped"),
        (timedelta(seconds=1), "success"),
        (timedelta(days=1), "success"),
        (timedelta(days=1, seconds=1), "skipped"),
    ],
    ids=str,
)
def test_latest_only_asks_whether_now_lies_in_the_next_interval_without_its_start(
    windlass: VirtualInstallation, after: timedelta, state: str
) -> None:
    sunday = MONDAY - timedelta(days=1)
    with DAG("d", schedule="@daily", start_date=sunday, end_date=sunday, catchup=True) as dag:
        LatestOnlyOperator(task_id="latest") >> good()
    windlass.add(dag)
    windlass.worker.hold("latest")
    windlass.pass_time(timedelta(hours=12) + after)
    windlass.worker.release("latest")
    windlass.settle()
    [run] = windlass.runs("d")
    assert windlass.states(run) == {"latest": "success", "good": state}


def test_latest_only_lets_manual_runs_pass(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY) as dag:
        LatestOnlyOperator(task_id="latest") >> good()
    run = windlass.run(dag, logical_date=MONDAY - timedelta(days=99))
    assert windlass.states(run)["good"] == "success"
