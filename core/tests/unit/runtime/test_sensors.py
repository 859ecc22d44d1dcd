"""Sensors: modes, timeouts, failing softly, backing off."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass import DAG, BaseOperator, task
from windlass.errors import AuthoringError, TaskFailed
from windlass.ports import clock_scope
from windlass.protocol import Outcome, Query, Reschedule
from windlass.sensors import (
    BaseSensorOperator,
    DateTimeSensor,
    DayOfWeekSensor,
    ExternalTaskSensor,
    FileSensor,
    PokeReturnValue,
    PythonSensor,
    TimeDeltaSensor,
    TimeSensor,
    WeekDay,
)


class Clock:
    """The clock that sensors go by: it moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        self.slept: list[float] = []


class Hands:
    """A clock as its readers see it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now

    def monotonic(self) -> float:
        return self._clock.now.timestamp()

    def advance(self, seconds: float) -> None:
        self._clock.slept.append(seconds)
        self._clock.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    with clock_scope(Hands(made)):
        yield made


def pokes(*answers: Any) -> Callable[[], Any]:
    left = list(answers)

    def poke() -> Any:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return poke


def test_poke_mode_sleeps_between_pokes(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(False, False, True), poke_interval=30)
    assert lab.finish(dag, "t").outcome is Outcome.SUCCESS
    assert clock.slept == [30, 30]


def test_without_a_virtual_clock_it_really_sleeps(monkeypatch: pytest.MonkeyPatch, lab: Any, dag: DAG) -> None:
    slept: list[float] = []
    monkeypatch.setattr("windlass.ports.waiting.time.sleep", slept.append)
    PythonSensor(task_id="t", python_callable=pokes(False, True), poke_interval=30)
    assert lab.finish(dag, "t").outcome is Outcome.SUCCESS
    assert slept == [30]


def test_reschedule_mode_ends_and_comes_back(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(False), poke_interval=30, mode="reschedule")
    ending = lab.run(dag, "t")
    assert isinstance(ending, Reschedule)
    assert ending.at == clock.now + timedelta(seconds=30)
    first = clock.now - timedelta(minutes=10)
    again = lab.run(dag, "t", first_poke=first)
    assert again.first_poke == first
    assert clock.slept == []


def test_the_timeout_counts_from_the_first_poke_and_never_retries(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(False), mode="reschedule", timeout=60)
    in_time, late = clock.now - timedelta(seconds=60), clock.now - timedelta(seconds=61)
    assert isinstance(lab.run(dag, "t", first_poke=in_time), Reschedule)
    ending = lab.finish(dag, "t", first_poke=late)
    assert ending.outcome is Outcome.FAIL_NO_RETRY
    assert "was not there after 61 s (timeout 60 s)" in ending.reason


def test_a_poke_mode_timeout_is_met_within_its_time(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(False), poke_interval=50, timeout=120)
    assert lab.finish(dag, "t").outcome is Outcome.FAIL_NO_RETRY
    assert sum(clock.slept) == pytest.approx(120, abs=0.1)


def test_the_last_poke_wins_over_the_timeout(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(True), mode="reschedule", timeout=60)
    assert lab.finish(dag, "t", first_poke=clock.now - timedelta(days=1)).outcome is Outcome.SUCCESS


@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
def test_a_soft_timeout_skips(lab: Any, dag: DAG, clock: Clock, how: str) -> None:
    soft: dict[str, Any] = {how: True}
    PythonSensor(task_id="t", python_callable=pokes(False), timeout=0, poke_interval=1, **soft)
    assert lab.finish(dag, "t").outcome is Outcome.SKIP


def test_soft_fail_skips_a_final_failure_but_not_an_error(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="final", python_callable=pokes(TaskFailed("no")), soft_fail=True)
    PythonSensor(task_id="error", python_callable=pokes(ValueError("x")), soft_fail=True)
    assert lab.finish(dag, "final").outcome is Outcome.SKIP
    assert lab.finish(dag, "error").outcome is Outcome.FAIL


def test_never_fail_skips_on_any_error(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(ValueError("x")), never_fail=True)
    assert lab.finish(dag, "t").outcome is Outcome.SKIP


def test_silent_fail_pokes_again(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(task_id="t", python_callable=pokes(ValueError("x"), True), silent_fail=True, poke_interval=5)
    assert lab.finish(dag, "t").outcome is Outcome.SUCCESS
    assert clock.slept == [5]


def test_a_poke_may_return_a_result(lab: Any, dag: DAG, clock: Clock) -> None:
    @task.sensor(poke_interval=1)
    def there(ds: str) -> PokeReturnValue:
        return PokeReturnValue(is_done=True, xcom_value=[ds])

    there()
    assert lab.value(dag, "there") == ["2026-03-01"]


@settings(deadline=None)
@given(pokes=st.integers(1, 30), key=st.text())
def test_backoff_doubles_with_a_jitter_that_is_always_the_same(pokes: int, key: str) -> None:
    made = PythonSensor(task_id="t", python_callable=bool, poke_interval=2, exponential_backoff=True, timeout=1e12)
    pause = made.pause(key, pokes)
    assert 2 * 2 ** (pokes - 1) <= pause < 2 * 2**pokes
    assert made.pause(key, pokes) == pause


def test_backoff_is_capped_by_max_wait() -> None:
    made = PythonSensor(task_id="t", python_callable=bool, poke_interval=2, exponential_backoff=True, max_wait=5)
    assert made.pause("k", 20) == 5


def test_backoff_goes_on_across_reschedules(lab: Any, dag: DAG, clock: Clock) -> None:
    PythonSensor(
        task_id="t", python_callable=pokes(False), poke_interval=10, exponential_backoff=True, mode="reschedule"
    )
    first = lab.run(dag, "t").at - clock.now
    later = lab.run(dag, "t", first_poke=clock.now - timedelta(seconds=200)).at - clock.now
    assert first < timedelta(seconds=20)
    assert later > timedelta(seconds=100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "sleep"}, "mode 'sleep' is not one of poke, reschedule"),
        ({"poke_interval": -1}, "poke_interval must be 0 or more, not -1 seconds"),
        ({"poke_interval": "x"}, "poke_interval must be a timedelta"),
        ({"soft_fail": True, "never_fail": True}, "cannot both be set"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AuthoringError, match=message):
        BaseSensorOperator(task_id="t", **arguments)


def ready(lab: Any, made: BaseOperator, **facts: Any) -> bool:
    """Whether one poke of the sensor is content."""
    dag = made.dag
    assert dag is not None
    ending = lab.run(dag, made.task_id, **facts)
    if isinstance(ending, Reschedule):
        return False
    assert ending.outcome is Outcome.SUCCESS, ending.reason
    return True


NOW = datetime.now(UTC)


def test_date_time_sensor(lab: Any, dag: DAG) -> None:
    past, future = NOW - timedelta(days=1), NOW + timedelta(days=1)
    assert ready(lab, DateTimeSensor(task_id="a", target_time=past, mode="reschedule"))
    assert not ready(lab, DateTimeSensor(task_id="b", target_time=future, mode="reschedule"))
    assert ready(lab, DateTimeSensor(task_id="c", target_time="{{ data_interval_end }}", mode="reschedule"))


def test_time_delta_sensor(lab: Any, dag: DAG) -> None:
    made = TimeDeltaSensor(task_id="t", delta=timedelta(hours=1), mode="reschedule")
    assert ready(lab, made, data_interval_end=NOW - timedelta(hours=2))
    assert not ready(lab, made, data_interval_end=NOW)


def test_time_sensor_means_the_day_of_the_run_in_the_dags_zone(lab: Any) -> None:
    zone = ZoneInfo("Pacific/Auckland")
    with DAG("d", start_date=datetime(2026, 1, 1, tzinfo=zone)):
        made = TimeSensor(task_id="t", target_time=time(0, 0), mode="reschedule")
        late = TimeSensor(task_id="u", target_time=time(23, 59, 59, 999999), mode="reschedule")
    assert ready(lab, made, run_after=NOW)
    assert ready(lab, late, run_after=NOW - timedelta(days=2))
    assert not ready(lab, made, run_after=NOW + timedelta(days=1))


def test_day_of_week_sensor(lab: Any, dag: DAG) -> None:
    # The logical date of the lab, 1 March 2026, is a Sunday.
    arguments: dict[str, Any] = {"use_task_logical_date": True, "mode": "reschedule"}
    assert ready(lab, DayOfWeekSensor(task_id="a", week_day=["saturday", WeekDay.SUNDAY], **arguments))
    assert not ready(lab, DayOfWeekSensor(task_id="b", week_day="Monday", **arguments))
    with pytest.raises(AuthoringError, match="'Mon' is no day of the week"):
        DayOfWeekSensor(task_id="c", week_day="Mon")


def test_file_sensor(lab: Any, dag: DAG, tmp_path: Path) -> None:
    made = FileSensor(task_id="t", filepath=str(tmp_path / "sub" / "*.csv"), mode="reschedule")
    folder = FileSensor(task_id="f", filepath="sub", mode="reschedule")
    lab.session.connections["fs_default"] = {"conn_type": "fs", "extra": f'{{"path": "{tmp_path}"}}'}
    assert not ready(lab, made)
    (tmp_path / "sub").mkdir()
    assert not ready(lab, folder)
    (tmp_path / "sub" / "a.csv").touch()
    assert ready(lab, made)
    assert ready(lab, folder)


class TestExternalTaskSensor:
    def sensor(self, lab: Any, states: dict[str, str] | None, **arguments: Any) -> Any:
        rows = [{"task_id": name, "state": state} for name, state in (states or {}).items()]
        lab.session.rows["task_states"] = rows
        with DAG("d") as dag:
            ExternalTaskSensor(task_id="t", external_dag_id="other", mode="reschedule", **arguments)
        return lab.run(dag, "t")

    def test_waits_for_a_task(self, lab: Any) -> None:
        assert isinstance(self.sensor(lab, {}, external_task_id="x"), Reschedule)
        assert isinstance(self.sensor(lab, {"x": "running"}, external_task_id="x"), Reschedule)
        assert self.sensor(lab, {"x": "success"}, external_task_id="x").outcome is Outcome.SUCCESS

    def test_waits_for_all_of_several(self, lab: Any) -> None:
        assert isinstance(self.sensor(lab, {"x": "success"}, external_task_ids=["x", "y"]), Reschedule)
        done = self.sensor(lab, {"x": "success", "y": "success"}, external_task_ids=["x", "y"])
        assert done.outcome is Outcome.SUCCESS

    def test_a_failed_state_fails_or_skips_at_once(self, lab: Any) -> None:
        arguments: dict[str, Any] = {"external_task_id": "x", "failed_states": ["failed"]}
        assert self.sensor(lab, {"x": "failed"}, **arguments).outcome is Outcome.FAIL_NO_RETRY
        assert self.sensor(lab, {"x": "failed"}, soft_fail=True, **arguments).outcome is Outcome.SKIP

    def test_waits_for_the_run(self, lab: Any) -> None:
        lab.session.rows["runs"] = [{"state": "success"}]
        assert self.sensor(lab, None).outcome is Outcome.SUCCESS

    def test_of_another_date(self, lab: Any) -> None:
        self.sensor(lab, {}, external_task_id="x", execution_delta=timedelta(days=1))
        self.sensor(lab, {}, external_task_id="x", execution_delta=timedelta(days=-1))
        self.sensor(lab, {}, external_task_id="x", execution_date_fn=lambda date, ds: [date, ds and date])
        dates = [verb.filters["logical_date"].day for verb in lab.session.asked if isinstance(verb, Query)]
        assert dates == [28, 2, 1, 1]

    def test_one_target_only(self) -> None:
        with pytest.raises(AuthoringError, match="give one of external_task_id"):
            ExternalTaskSensor(task_id="t", external_dag_id="o", external_task_id="x", external_task_ids=["y"])
