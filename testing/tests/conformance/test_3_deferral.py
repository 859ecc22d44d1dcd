"""SEMANTICS, section 3: deferrable tasks: a trigger waits, many in one process, without a slot; no wait is lost."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from testing.tests.conformance.steps import good

from windlass import DAG
from windlass.operators import BaseOperator, Context, TriggerDagRunOperator
from windlass.sensors import DateTimeSensor, ExternalTaskSensor, FileSensor, TimeDeltaSensor
from windlass.states import TaskState
from windlass.triggers import BaseTrigger, TimeDeltaTrigger, TriggerEvent
from windlass_testing.virtual import START, VirtualInstallation

HOUR = timedelta(hours=1)


class Broken(BaseTrigger):
    """A trigger that fails."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "broken", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        events: tuple[TriggerEvent, ...] = ()
        for event in events:
            yield event
        raise ValueError("no signal")


class Waiting(BaseOperator):
    """Pushes an XCom, waits, and returns what it finds when it goes on."""

    def __init__(self, *, trigger: BaseTrigger | None = None, limit: timedelta | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trigger = trigger
        self.limit = limit

    def execute(self, context: Context) -> None:
        context["ti"].xcom_push("left", context["try_number"])
        trigger = self.trigger or TimeDeltaTrigger(HOUR)
        self.defer(trigger=trigger, method_name="resumed", kwargs={"given": 7}, timeout=self.limit)

    def resumed(self, context: Context, event: Any, given: int) -> list[Any]:
        return [given, str(event), context["ti"].xcom_pull(key="left"), context["try_number"]]


def waiting(**options: Any) -> DAG:
    with DAG("d", schedule=None) as dag:
        Waiting(task_id="w", **options) >> good()
    return dag


def test_a_deferred_task_resumes_at_its_method_with_event_and_kwargs_in_the_same_try(
    windlass: VirtualInstallation,
) -> None:
    run = windlass.start(waiting())
    assert windlass.states(run) == {"w": "deferred", "good": "none"}
    run = windlass.end_of(run)
    assert windlass.clock.now() == START + HOUR
    # Its XComs are kept when it resumes.
    assert windlass.xcom(run, "w") == [7, "2026-03-01 13:00:00+00:00", 1, 1]


def test_a_deferred_task_holds_no_slot_unless_its_pool_includes_deferred(windlass: VirtualInstallation) -> None:
    for name, include in (("free", False), ("held", True)):
        windlass.control.pools.set(name, slots=1, include_deferred=include, actor="somebody")
        with DAG(name, schedule=None) as dag:
            Waiting(task_id="w", pool=name, priority_weight=10)
            good.override(pool=name)()
        run = windlass.start(dag)
        assert windlass.states(run) == {"w": "deferred", "good": "scheduled" if include else "success"}
        assert windlass.control.pools.get(name).deferred == 1


def test_a_deferral_ends_with_its_timeout(windlass: VirtualInstallation) -> None:
    run = windlass.run(waiting(limit=timedelta(minutes=10)))
    assert windlass.states(run)["w"] == "failed"
    assert windlass.clock.now() == START + timedelta(minutes=10)


def test_a_trigger_that_fails_fails_its_task_and_says_why(windlass: VirtualInstallation) -> None:
    run = windlass.run(waiting(trigger=Broken()))
    assert windlass.states(run)["w"] == "failed"
    assert "ValueError: no signal" in windlass.reason(run, "w")


def test_the_death_of_the_supervisor_and_its_trigger_host_loses_no_wait(windlass: VirtualInstallation) -> None:
    run = windlass.start(waiting())
    windlass.pass_time(HOUR / 2)
    windlass.worker.crash()
    windlass.restart_scheduler()
    windlass.end_of(run)
    assert windlass.clock.now() == START + HOUR
    assert windlass.task(run, "w").try_number == 1


def test_a_cleared_wait_begins_anew_and_a_marked_one_is_over(windlass: VirtualInstallation) -> None:
    run = windlass.start(waiting())
    windlass.pass_time(HOUR / 2)
    windlass.clear(run, "w")
    run = windlass.end_of(run)
    assert windlass.clock.now() == START + HOUR * 1.5
    windlass.clear(run, "w")
    windlass.settle()
    selected = windlass.control.tasks.exactly("d", run.run_id, "w")
    windlass.control.tasks.mark(selected, TaskState.SUCCESS, actor="somebody")
    windlass.end_of(run)
    assert windlass.clock.now() == START + HOUR * 1.5


def test_many_tasks_wait_at_once(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, max_active_tasks=1000) as dag:
        for number in range(60):
            Waiting(task_id=f"w{number}")
    run = windlass.start(dag)
    assert set(windlass.states(run).values()) == {"deferred"}
    assert windlass.end_of(run).state == "success"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (DateTimeSensor, {"target_time": START + HOUR}),
        (TimeDeltaSensor, {"delta": HOUR}),
    ],
)
def test_sensors_of_the_clock_defer(windlass: VirtualInstallation, kind: Any, options: dict[str, Any]) -> None:
    with DAG("d", schedule=None) as dag:
        kind(task_id="s", deferrable=True, **options)
    run = windlass.start(dag)
    assert windlass.states(run) == {"s": "deferred"}
    windlass.end_of(run)
    assert timedelta(0) <= windlass.clock.now() - START - HOUR <= timedelta(minutes=1)


def test_a_file_sensor_defers(windlass: VirtualInstallation, tmp_path: Path) -> None:
    with DAG("d", schedule=None) as dag:
        FileSensor(task_id="s", deferrable=True, filepath=str(tmp_path / "a.csv"), poke_interval=60)
    run = windlass.start(dag)
    assert windlass.states(run) == {"s": "deferred"}
    (tmp_path / "a.csv").touch()
    assert windlass.end_of(run).state == "success"


def test_waiting_for_another_dag_defers(windlass: VirtualInstallation) -> None:
    with DAG("other", schedule=None) as other:
        good()
    with DAG("d", schedule=None) as dag:
        ExternalTaskSensor(task_id="s", external_dag_id="other", external_task_id="good", deferrable=True)
        TriggerDagRunOperator(task_id="t", trigger_dag_id="other", wait_for_completion=True, deferrable=True)
    windlass.worker.takes("good", HOUR)
    windlass.add(other)
    windlass.trigger("other", logical_date=START)
    run = windlass.start(dag, logical_date=START)
    assert windlass.states(run) == {"s": "deferred", "t": "deferred"}
    assert windlass.end_of(run).state == "success"
    assert HOUR <= windlass.clock.now() - START < HOUR + timedelta(minutes=5)
