"""SEMANTICS, section 3: pools, priorities, limits of runs and tasks, parallelism, no starvation."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, good

from windlass import DAG, task
from windlass.operators import EmptyOperator
from windlass_testing.virtual import VirtualInstallation

HOUR = timedelta(hours=1)


def many(number: int, **options: Any) -> DAG:
    """Return a DAG of independent tasks that take an hour each."""
    dag_options = {name: options.pop(name) for name in ("max_active_tasks", "max_active_runs") if name in options}
    with DAG("d", schedule=None, **{"max_active_tasks": 100, **dag_options}) as dag:
        for place in range(number):
            good.override(task_id=f"t{place}", **options)()
    return dag


def slow(windlass: VirtualInstallation, number: int) -> None:
    for place in range(number):
        windlass.worker.takes(f"t{place}", HOUR)


def running(windlass: VirtualInstallation, dag_id: str = "d") -> int:
    """Return how many tasks of a DAG run."""
    return sum(
        state in ("running", "queued") for run in windlass.runs(dag_id) for state in windlass.states(run).values()
    )


def test_the_default_pool_has_128_slots(windlass: VirtualInstallation) -> None:
    assert windlass.control.pools.get("default_pool").slots == 128


def test_a_pool_bounds_what_is_queued_and_running_across_dags(windlass: VirtualInstallation) -> None:
    windlass.control.pools.set("small", slots=2, actor="somebody")
    slow(windlass, 3)
    windlass.start(many(3, pool="small"))
    with DAG("e", schedule=None) as other:
        good.override(task_id="t0", pool="small")()
    windlass.start(other)
    assert (running(windlass), running(windlass, "e")) == (2, 0)
    windlass.pass_time(HOUR)
    assert (running(windlass), running(windlass, "e")) == (1, 1)


def test_pool_slots_count(windlass: VirtualInstallation) -> None:
    windlass.control.pools.set("small", slots=5, actor="somebody")
    slow(windlass, 4)
    windlass.start(many(4, pool="small", pool_slots=2))
    assert running(windlass) == 2


def test_a_queued_task_holds_its_slot_too(windlass: VirtualInstallation) -> None:
    windlass.control.pools.set("small", slots=1, actor="somebody")
    windlass.worker.hold("t0")
    run = windlass.start(many(2, pool="small"))
    assert windlass.states(run) == {"t0": "queued", "t1": "scheduled"}


def test_a_pool_that_becomes_larger_lets_more_go_at_once(windlass: VirtualInstallation) -> None:
    windlass.control.pools.set("small", slots=0, actor="somebody")
    slow(windlass, 3)
    windlass.start(many(3, pool="small"))
    assert running(windlass) == 0
    windlass.control.pools.set("small", slots=-1, actor="somebody")
    windlass.settle()
    assert running(windlass) == 3


def test_max_active_runs_lets_the_others_wait_in_order(windlass: VirtualInstallation) -> None:
    slow(windlass, 1)
    windlass.add(many(1, max_active_runs=2))
    runs = [windlass.trigger("d", logical_date=MONDAY + timedelta(days=day)) for day in range(4)]
    windlass.settle()
    assert [str(windlass.now(run).state) for run in runs] == ["running", "running", "queued", "queued"]
    windlass.pass_time(HOUR)
    assert [str(windlass.now(run).state) for run in runs] == ["success", "success", "running", "running"]


def test_max_active_runs_is_sixteen_by_default(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(task_id="t0")()
    slow(windlass, 1)
    windlass.add(dag)
    for day in range(20):
        windlass.trigger("d", logical_date=MONDAY + timedelta(days=day))
    windlass.settle()
    assert Counter(str(run.state) for run in windlass.runs("d")) == {"running": 16, "queued": 4}


def test_max_active_tasks_is_per_run(windlass: VirtualInstallation) -> None:
    slow(windlass, 3)
    windlass.add(many(3, max_active_tasks=2))
    runs = [windlass.start("d", logical_date=MONDAY + timedelta(days=day)) for day in range(2)]
    assert [sum(state == "running" for state in windlass.states(run).values()) for run in runs] == [2, 2]


def test_max_active_tis_per_dag_counts_across_runs(windlass: VirtualInstallation) -> None:
    slow(windlass, 1)
    windlass.add(many(1, max_active_tis_per_dag=1))
    for day in range(3):
        windlass.start("d", logical_date=MONDAY + timedelta(days=day))
    assert running(windlass) == 1
    windlass.pass_time(3 * HOUR)
    assert {str(run.state) for run in windlass.runs("d")} == {"success"}


def test_max_active_tis_per_dagrun_counts_the_instances_of_a_mapped_task(windlass: VirtualInstallation) -> None:
    @task(task_id="t0", max_active_tis_per_dagrun=2)
    def each(letter: str) -> str:
        return letter

    with DAG("d", schedule=None) as dag:
        each.expand(letter=["a", "b", "c"])
    slow(windlass, 1)
    windlass.add(dag)
    for day in range(2):
        windlass.start("d", logical_date=MONDAY + timedelta(days=day))
    assert running(windlass) == 4


def test_the_executors_parallelism_bounds_everything(windlass: VirtualInstallation) -> None:
    windlass.worker.parallelism = 3
    slow(windlass, 5)
    windlass.start(many(5))
    assert running(windlass) == 3


# --- Priority


def order(windlass: VirtualInstallation, rule: str) -> list[str]:
    """Return the order in which the roots of a DAG start when one task runs at a time."""
    windlass.worker.parallelism = 1
    with DAG("d", schedule=None, default_args={"weight_rule": rule}) as dag:
        EmptyOperator(task_id="lonely", priority_weight=3)
        (
            EmptyOperator(task_id="head")
            >> EmptyOperator(task_id="middle")
            >> EmptyOperator(task_id="tail", priority_weight=2)
        )
    windlass.run(dag)
    return windlass.started()


@pytest.mark.parametrize(
    ("rule", "started"),
    [
        ("downstream", ["head", "lonely", "middle", "tail"]),  # weights 4, 3, 3, 2
        ("upstream", ["lonely", "head", "middle", "tail"]),  # 3, 1, 2, 4
        ("absolute", ["lonely", "head", "middle", "tail"]),  # 3, 1, 1, 2
    ],
)
def test_priority_is_the_sum_downstream_or_upstream_or_the_own_weight(
    windlass: VirtualInstallation, rule: str, started: list[str]
) -> None:
    assert order(windlass, rule) == started


def test_priority_decides_across_dags(windlass: VirtualInstallation) -> None:
    windlass.worker.parallelism = 1
    for name, weight in (("low", 1), ("high", 10)):
        with DAG(name, schedule=None) as dag:
            EmptyOperator(task_id=name, priority_weight=weight)
        windlass.add(dag)
        windlass.trigger(name)
    windlass.settle()
    assert windlass.started() == ["high", "low"]


# --- No starvation


def test_a_blocked_task_hides_no_runnable_one_of_another_pool(windlass: VirtualInstallation) -> None:
    windlass.control.pools.set("full", slots=0, actor="somebody")
    with DAG("d", schedule=None, max_active_tasks=100) as dag:
        for place in range(50):
            good.override(task_id=f"blocked{place}", pool="full", priority_weight=100)()
        good.override(task_id="free")()
    run = windlass.start(dag)
    assert windlass.states(run)["free"] == "success"


def test_a_full_dag_hides_no_runnable_task_of_another_dag(windlass: VirtualInstallation) -> None:
    windlass.worker.parallelism = 2
    slow(windlass, 50)
    windlass.start(many(50, max_active_tasks=1, priority_weight=100))
    with DAG("e", schedule=None) as other:
        good()
    assert windlass.run(other).state == "success"
    assert running(windlass) == 1


def test_a_large_task_that_waits_for_slots_does_not_hide_a_small_one(windlass: VirtualInstallation) -> None:
    windlass.control.pools.set("small", slots=2, actor="somebody")
    windlass.worker.takes("running", HOUR)
    with DAG("d", schedule=None) as dag:
        good.override(task_id="running", pool="small", priority_weight=100)()
        good.override(task_id="large", pool="small", pool_slots=2, priority_weight=10)()
        good.override(task_id="small", pool="small")()
    run = windlass.start(dag)
    assert windlass.states(run) == {"running": "running", "large": "scheduled", "small": "success"}
