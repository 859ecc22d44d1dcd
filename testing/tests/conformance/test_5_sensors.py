"""SEMANTICS, section 5: the sensors that core brings (their modes: ``test_3_sensors``). It is Sunday noon."""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good

from windlass import DAG, TaskGroup
from windlass.errors import AuthoringError
from windlass.sensors import (
    BaseSensorOperator,
    DateTimeSensor,
    DayOfWeekSensor,
    ExternalTaskSensor,
    FileSensor,
    PythonSensor,
    TimeDeltaSensor,
    TimeSensor,
    WeekDay,
)
from windlass_testing.virtual import START, VirtualInstallation

HOUR = timedelta(hours=1)
MODES = pytest.mark.parametrize("mode", ["poke", "reschedule"])


def waited(windlass: VirtualInstallation, kind: type[BaseSensorOperator], mode: str, **options: Any) -> timedelta:
    """Return how long a sensor waited, looking every five minutes."""
    with DAG("d", schedule=None) as dag:
        kind(task_id="s", mode=mode, poke_interval=300, **options)
    run = windlass.run(dag)
    assert run.state == "success"
    return windlass.clock.now() - START


@MODES
def test_time_sensor_waits_until_a_time_of_the_day(windlass: VirtualInstallation, mode: str) -> None:
    assert waited(windlass, TimeSensor, mode, target_time=time(14)) == 2 * HOUR


@MODES
def test_time_delta_sensor_waits_from_the_end_of_the_interval(windlass: VirtualInstallation, mode: str) -> None:
    assert waited(windlass, TimeDeltaSensor, mode, delta=HOUR) == HOUR


@MODES
@pytest.mark.parametrize("target", [START + HOUR, "{{ data_interval_end + macros.timedelta(hours=1) }}"])
def test_date_time_sensor_waits_until_an_instant(windlass: VirtualInstallation, mode: str, target: Any) -> None:
    assert waited(windlass, DateTimeSensor, mode, target_time=target) == HOUR


@MODES
def test_day_of_week_sensor_waits_for_a_day(windlass: VirtualInstallation, mode: str) -> None:
    assert waited(windlass, DayOfWeekSensor, mode, week_day=WeekDay.MONDAY) == 12 * HOUR


@MODES
def test_python_sensor_asks_a_function(windlass: VirtualInstallation, mode: str) -> None:
    options = {"python_callable": lambda ds: windlass.clock.now() - START >= HOUR and ds == "2026-03-01"}
    assert waited(windlass, PythonSensor, mode, **options) == HOUR


@MODES
def test_file_sensor_waits_for_a_file(windlass: VirtualInstallation, mode: str, tmp_path: Path) -> None:
    with DAG("d", schedule=None) as dag:
        FileSensor(task_id="s", mode="reschedule", poke_interval=300, filepath=str(tmp_path / "in" / "*.csv"))
    run = windlass.start(dag)
    windlass.pass_time(HOUR)
    assert windlass.states(run) == {"s": "up_for_reschedule"}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").touch()
    assert windlass.end_of(run).state == "success"


# --- Tasks of another DAG


def other(windlass: VirtualInstallation, work: Any = good) -> None:
    """Store a DAG ``other`` that takes an hour, and run it for Monday."""
    with DAG("other", schedule=None) as dag:
        work.override(task_id="a")() >> good.override(task_id="b", trigger_rule="all_done")()
        with TaskGroup("g"):
            good.override(task_id="c")()
    windlass.worker.takes("a", HOUR)
    windlass.add(dag)
    windlass.trigger("other", logical_date=MONDAY)


def sensed(windlass: VirtualInstallation, mode: str = "reschedule", **options: Any) -> str:
    """Return what became of a sensor of a run of Monday."""
    with DAG("d", schedule=None) as dag:
        ExternalTaskSensor(
            task_id="s", external_dag_id="other", mode=mode, poke_interval=300, timeout=6 * 3600, **options
        )
    run = windlass.run(dag, logical_date=options.pop("logical_date", MONDAY))
    return windlass.states(run)["s"]


@pytest.mark.parametrize(
    ("target", "hours"),
    [
        ({"external_task_id": "a"}, 1),
        ({"external_task_ids": ["a", "b"]}, 1),
        ({"external_task_group_id": "g"}, 0),
        ({}, 1),
    ],
    ids=["a task", "several tasks", "a group", "the run"],
)
def test_external_task_sensor_waits_for_the_run_of_the_same_date(
    windlass: VirtualInstallation, target: dict[str, Any], hours: int
) -> None:
    other(windlass)
    assert sensed(windlass, **target) == "success"
    assert timedelta(0) <= windlass.clock.now() - START - hours * HOUR <= timedelta(minutes=5)


def test_external_task_sensor_waits_for_a_run_that_is_not_there_yet(windlass: VirtualInstallation) -> None:
    other(windlass)
    assert sensed(windlass, external_task_id="a", execution_delta=timedelta(days=1)) == "failed"


@pytest.mark.parametrize(
    "date",
    [{"execution_delta": timedelta(days=-1)}, {"execution_date_fn": lambda date: date + timedelta(days=1)}],
    ids=["execution_delta", "execution_date_fn"],
)
def test_external_task_sensor_looks_at_another_date(windlass: VirtualInstallation, date: dict[str, Any]) -> None:
    other(windlass)
    with DAG("d", schedule=None) as dag:
        ExternalTaskSensor(task_id="s", external_dag_id="other", mode="reschedule", **date)
    assert windlass.run(dag, logical_date=MONDAY - timedelta(days=1)).state == "success"


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"failed_states": ["failed"]}, "failed"),
        ({"failed_states": ["failed"], "soft_fail": True}, "skipped"),
        ({"skipped_states": ["failed"]}, "skipped"),
        ({"allowed_states": ["success", "failed"]}, "success"),
    ],
)
def test_external_task_sensor_judges_by_states(
    windlass: VirtualInstallation, options: dict[str, Any], state: str
) -> None:
    other(windlass, bad)
    assert sensed(windlass, external_task_id="a", **options) == state


def test_external_task_sensor_has_one_target() -> None:
    with pytest.raises(AuthoringError, match="give one of external_task_id"):
        ExternalTaskSensor(task_id="s", external_dag_id="o", external_task_id="a", external_task_ids=["b"])


def test_a_sensor_of_a_past_instant_is_content_at_once(windlass: VirtualInstallation) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert waited(windlass, DateTimeSensor, "poke", target_time=past) == timedelta(0)
