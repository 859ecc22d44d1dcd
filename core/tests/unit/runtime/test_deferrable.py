"""Operators and sensors that defer: what they hand to a trigger, and what they make of its event."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type
from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG
from windlass.errors import TaskFailed
from windlass.operators import TriggerDagRunOperator
from windlass.protocol import Defer, Outcome, TriggerRun
from windlass.runtime.trigger_classes import make
from windlass.runtime.xcom import pack, unpack
from windlass.sensors import (
    BaseSensorOperator,
    DateTimeSensor,
    DateTimeSensorAsync,
    ExternalTaskSensor,
    FileSensor,
    TimeDeltaSensor,
    TimeDeltaSensorAsync,
    TimeSensor,
    TimeSensorAsync,
)
from windlass.triggers import DagStateTrigger, DateTimeTrigger, FileTrigger, WorkflowTrigger

FUTURE = datetime(2100, 1, 1, 12, tzinfo=UTC)
TIMED_OUT = {"resume_failure": "no event came", "resume_timed_out": True}


def deferral(lab: Any, dag: DAG, task_id: str = "t") -> Defer:
    ending = lab.run(dag, task_id)
    assert isinstance(ending, Defer), ending
    return ending


def trigger_of(lab: Any, ending: Defer) -> Any:
    return make(ending.trigger, unpack(ending.trigger_kwargs, lab.session))


def resume(lab: Any, dag: DAG, ending: Defer, event: Any = None, **facts: Any) -> Any:
    """Finish the task as it resumes after ``ending``."""
    given = {"resume_method": ending.method, "resume_kwargs": ending.kwargs}
    if not facts:
        given["resume_event"] = pack(event, "the event", lab.session)
    return lab.finish(dag, "t", **given, **facts)


@pytest.mark.parametrize(
    ("sensor", "moment"),
    [
        (lambda: DateTimeSensor(task_id="t", target_time=FUTURE, deferrable=True), FUTURE),
        (lambda: DateTimeSensorAsync(task_id="t", target_time="2100-01-01T12:00:00"), FUTURE),
        (
            lambda: TimeDeltaSensor(task_id="t", delta=timedelta(days=36500), deferrable=True),
            datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=36500),
        ),
        (
            lambda: TimeDeltaSensorAsync(task_id="t", delta=timedelta(days=36500)),
            datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=36500),
        ),
    ],
)
def test_a_sensor_for_a_moment_hands_it_to_a_trigger(lab: Any, dag: DAG, sensor: Any, moment: datetime) -> None:
    sensor()
    ending = deferral(lab, dag)
    trigger = trigger_of(lab, ending)
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment == moment
    assert ending.timeout == timedelta(days=7).total_seconds()
    assert resume(lab, dag, ending, moment).outcome is Outcome.SUCCESS


def test_the_time_of_a_day_is_that_of_the_runs_day(lab: Any, dag: DAG) -> None:
    TimeSensor(task_id="t", target_time=time(9), deferrable=True)
    TimeSensorAsync(task_id="u", target_time=time(9))
    run_after = FUTURE.replace(hour=0)
    for task_id in ("t", "u"):
        ending = lab.run(dag, task_id, run_after=run_after)
        assert isinstance(ending, Defer)
        assert trigger_of(lab, ending).moment == run_after.replace(hour=9)


def test_what_is_there_already_needs_no_trigger(lab: Any, dag: DAG, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    DateTimeSensor(task_id="t", target_time=datetime(2020, 1, 1, tzinfo=UTC), deferrable=True)
    FileSensor(task_id="f", filepath=str(tmp_path / "x"), deferrable=True)
    for task_id in ("t", "f"):
        assert lab.finish(dag, task_id).outcome is Outcome.SUCCESS


def test_a_file_is_looked_for_as_often_as_the_sensor_pokes(lab: Any, dag: DAG, tmp_path: Path) -> None:
    FileSensor(task_id="t", filepath=str(tmp_path / "*.csv"), recursive=True, poke_interval=7, deferrable=True)
    ending = deferral(lab, dag)
    trigger = trigger_of(lab, ending)
    assert isinstance(trigger, FileTrigger)
    assert (trigger.filepath, trigger.recursive, trigger.poke_interval) == (str(tmp_path / "*.csv"), True, 7)
    assert resume(lab, dag, ending, "found").outcome is Outcome.SUCCESS


class TestExternalTask:
    def sensor(self, **arguments: Any) -> None:
        ExternalTaskSensor(
            task_id="t",
            external_dag_id="other",
            external_task_id="x",
            failed_states=["failed"],
            skipped_states=["skipped"],
            poke_interval=3,
            deferrable=True,
            **arguments,
        )

    def test_the_trigger_looks_at_the_same_tasks(self, lab: Any, dag: DAG) -> None:
        self.sensor(execution_delta=timedelta(days=1))
        lab.session.rows["task_states"] = [{"task_id": "x", "state": "running"}]
        trigger = trigger_of(lab, deferral(lab, dag))
        assert isinstance(trigger, WorkflowTrigger)
        assert (trigger.external_dag_id, trigger.external_task_ids) == ("other", ["x"])
        assert trigger.logical_dates == [datetime(2026, 2, 28, tzinfo=UTC)]
        assert (trigger.failed_states, trigger.poke_interval) == (["failed"], 3)

    @pytest.mark.parametrize(
        ("status", "arguments", "outcome"),
        [
            ("success", {}, Outcome.SUCCESS),
            ("failed", {}, Outcome.FAIL_NO_RETRY),
            ("failed", {"soft_fail": True}, Outcome.SKIP),
            ("skipped", {}, Outcome.SKIP),
        ],
    )
    def test_its_event_is_judged_as_a_poke_is(
        self, lab: Any, dag: DAG, status: str, arguments: Any, outcome: Outcome
    ) -> None:
        self.sensor(**arguments)
        ending = deferral(lab, dag)
        assert resume(lab, dag, ending, {"status": status, "state": status}).outcome is outcome


class TestTimeout:
    """A sensor's timeout is final; soft_fail and never_fail make it a skip."""

    @pytest.mark.parametrize(
        ("arguments", "outcome"),
        [({}, Outcome.FAIL_NO_RETRY), ({"soft_fail": True}, Outcome.SKIP), ({"never_fail": True}, Outcome.SKIP)],
    )
    def test_a_deferral_that_timed_out(self, lab: Any, dag: DAG, arguments: Any, outcome: Outcome) -> None:
        DateTimeSensorAsync(task_id="t", target_time=FUTURE, timeout=50, retries=3, **arguments)
        ending = deferral(lab, dag)
        assert ending.timeout == 50
        done = resume(lab, dag, ending, **TIMED_OUT)
        assert done.outcome is outcome
        assert "sensor timed out: what it waits for was not there after 50 s" in done.reason

    @pytest.mark.parametrize(
        ("arguments", "outcome"),
        [({}, Outcome.FAIL), ({"soft_fail": True}, Outcome.FAIL), ({"never_fail": True}, Outcome.SKIP)],
    )
    def test_a_trigger_that_failed_is_an_error(self, lab: Any, dag: DAG, arguments: Any, outcome: Outcome) -> None:
        DateTimeSensorAsync(task_id="t", target_time=FUTURE, **arguments)
        done = resume(lab, dag, deferral(lab, dag), resume_failure="its trigger failed: no")
        assert done.outcome is outcome
        assert "its trigger failed: no" in done.reason

    def test_a_final_failure_after_the_event_is_skipped_softly(self, lab: Any, dag: DAG) -> None:
        class Final(BaseSensorOperator):
            def execute(self, context: Any) -> Any:
                self.defer_to(DateTimeTrigger(FUTURE))

            def execute_complete(self, context: Any, event: Any = None) -> Any:
                raise TaskFailed("the wrong one")

        Final(task_id="t", soft_fail=True)
        assert resume(lab, dag, deferral(lab, dag)).outcome is Outcome.SKIP


class TestTriggerDagRun:
    def operator(self) -> None:
        TriggerDagRunOperator(
            task_id="t",
            trigger_dag_id="other",
            trigger_run_id="mine",
            wait_for_completion=True,
            deferrable=True,
            poke_interval=7,
        )

    def test_it_triggers_once_and_lets_a_trigger_watch_the_run(self, lab: Any, dag: DAG) -> None:
        self.operator()
        lab.session.rows["runs"] = [{"state": "running"}]
        ending = deferral(lab, dag)
        trigger = trigger_of(lab, ending)
        assert isinstance(trigger, DagStateTrigger)
        assert (trigger.dag_id, trigger.run_ids, trigger.poll_interval) == ("other", ["mine"], 7)
        assert set(trigger.states) == {"success", "failed"}
        lab.session.rows["runs"] = [{"state": "success"}]
        assert resume(lab, dag, ending, {"mine": "success"}).outcome is Outcome.SUCCESS
        assert sum(isinstance(verb, TriggerRun) for verb in lab.session.asked) == 1

    def test_a_failed_run_fails_it(self, lab: Any, dag: DAG) -> None:
        self.operator()
        lab.session.rows["runs"] = [{"state": "running"}]
        ending = deferral(lab, dag)
        lab.session.rows["runs"] = [{"state": "failed"}]
        assert "run 'mine' of DAG 'other' ended as failed" in resume(lab, dag, ending, {}).reason

    def test_a_run_that_was_cleared_meanwhile_is_waited_for_again(self, lab: Any, dag: DAG) -> None:
        self.operator()
        lab.session.rows["runs"] = [{"state": "running"}]
        ending = deferral(lab, dag)
        given = {"resume_method": ending.method, "resume_kwargs": ending.kwargs}
        again = lab.run(dag, "t", resume_event=pack({}, "the event", lab.session), **given)
        assert isinstance(again, Defer)
