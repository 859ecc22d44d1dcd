"""``execution_timeout`` in ``dag.test()`` and ``run_task``: by an alarm that is given back, and in virtual time."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from windlass import DAG, BaseOperator, task
from windlass.app.clocks import VirtualClock
from windlass.app.inproc.limits import _Alarm
from windlass.app.inproc.testing import run_task
from windlass.authoring.sensor import BaseSensorOperator
from windlass.errors import TaskTimeout

SHORT = timedelta(seconds=0.05)
REASON = "it ran longer than its execution_timeout of 0.05 s"


@pytest.fixture(autouse=True)
def _alarm_is_given_back() -> Iterator[None]:
    """Nothing of this file may leave an alarm or a handler behind, or take those of the test runner away."""
    handler, (left, interval) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    began = time.monotonic()
    yield
    expected = max(0.0, left - (time.monotonic() - began)) if left else 0.0
    now, same_interval = signal.getitimer(signal.ITIMER_REAL)
    assert now == pytest.approx(expected, abs=0.5)
    assert same_interval == interval
    assert signal.getsignal(signal.SIGALRM) is handler


@contextmanager
def alarm_of_somebody(seconds: float, interval: float = 0.0) -> Iterator[list[float]]:
    """Set an alarm, as a test runner or a program around the test may have done; yield when it has rung."""
    rung: list[float] = []
    began, left = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, 0)
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, seconds, interval)
    try:
        yield rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left[0]:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left[0] - (time.monotonic() - began)), left[1])


def spin(seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)


class Slow(BaseOperator):
    killed = 0

    def execute(self, context: Mapping[str, Any]) -> None:
        spin()

    def on_kill(self) -> None:
        type(self).killed += 1


def test_a_task_that_runs_too_long_fails_and_cleans_up() -> None:
    Slow.killed = 0
    with DAG("d", schedule=None) as dag:
        Slow(task_id="a", execution_timeout=SHORT)
    began = time.monotonic()
    result = dag.test()
    assert time.monotonic() - began < 3
    assert (result.task("a").state, result.task("a").reason) == ("failed", REASON)
    assert f"TaskTimeout: {REASON}" in result.log("a")
    assert Slow.killed == 1


def test_retries_count_and_each_try_has_the_whole_time() -> None:
    tries = []

    @task(retries=1, execution_timeout=SHORT)
    def slow_once() -> int:
        tries.append(1)
        if len(tries) == 1:
            spin()
        return len(tries)

    with DAG("d", schedule=None) as dag:
        slow_once()
    result = dag.test()
    assert (result.task("slow_once").state, result.xcom("slow_once")) == ("success", 2)


def test_run_task_is_bounded_too() -> None:
    result = run_task(Slow(task_id="a", execution_timeout=SHORT))
    assert (result.state, result.reason) == ("failed", REASON)


def test_what_is_in_time_is_left_alone() -> None:
    @task(execution_timeout=timedelta(seconds=30))
    def quick() -> str:
        return "done"

    with DAG("d", schedule=None) as dag:
        quick()
    assert dag.test().xcom("quick") == "done"


def test_code_that_swallows_it_has_timed_out_all_the_same() -> None:
    @task(execution_timeout=SHORT)
    def stubborn() -> str:
        try:
            spin()
        except TaskTimeout:
            return "never mind"
        return "in time"

    with DAG("d", schedule=None) as dag:
        stubborn()
    result = dag.test()
    assert (result.task("stubborn").state, result.task("stubborn").reason) == ("failed", REASON)


def test_code_that_swallows_every_exception_is_told_in_a_way_that_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windlass.app.inproc.limits._AGAIN", 0.05)

    swallowed: list[Exception] = []

    @task(execution_timeout=SHORT)
    def mule() -> None:
        for _ in range(100):
            try:
                spin(1)
            except Exception as error:  # noqa: BLE001 - that is what it does
                swallowed.append(error)

    with DAG("d", schedule=None) as dag:
        mule()
    began = time.monotonic()
    assert dag.test().task("mule").reason == REASON
    assert time.monotonic() - began < 1
    assert [type(error) for error in swallowed] == [TaskTimeout]


def test_virtual_time_counts_and_passes_no_further_than_the_limit() -> None:
    class Never(BaseSensorOperator):
        def poke(self, context: Mapping[str, Any]) -> bool:
            return False

    with DAG("d", schedule=None) as dag:
        Never(task_id="a", poke_interval=60, timeout=9999, execution_timeout=timedelta(minutes=5))
    clock = VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))
    result = dag.test(clock=clock)
    assert result.task("a").reason == "it ran longer than its execution_timeout of 300 s"
    assert clock.now() == datetime(2026, 3, 2, 0, 5, tzinfo=UTC)


def test_in_another_thread_it_says_once_that_it_cannot() -> None:
    with DAG("d", schedule=None) as dag:
        for name in ("a", "b"):
            task(execution_timeout=SHORT)(lambda: time.sleep(0.06)).override(task_id=name)()
    results = []
    thread = threading.Thread(target=lambda: results.append(dag.test()))
    thread.start()
    thread.join()
    [result] = results
    assert result.states == {"a": "success", "b": "success"}
    assert (result.log("a") + result.log("b")).count("execution_timeout is not enforced here") == 1


# --- The alarm is shared


def test_an_alarm_that_was_set_before_rings_during_the_block_when_it_is_due() -> None:
    with alarm_of_somebody(0.03) as rung:
        with _Alarm(30):
            spin(0.1)
        assert len(rung) == 1


def test_one_that_is_not_due_yet_rings_afterwards_with_its_interval() -> None:
    with alarm_of_somebody(0.15, 0.05) as rung:
        with pytest.raises(TaskTimeout), _Alarm(0.02):
            spin()
        assert rung == []
        spin(0.4)
        assert len(rung) > 1


def test_one_with_an_interval_keeps_ringing_during_the_block() -> None:
    with alarm_of_somebody(0.02, 0.02) as rung, _Alarm(30):
        spin(0.2)
        assert len(rung) > 2


def test_the_inner_of_two_limits_ends_and_the_outer_still_holds() -> None:
    def inner_then_on() -> None:
        with pytest.raises(TaskTimeout, match=r"0\.05 s"), _Alarm(0.05):
            spin()
        spin()

    with pytest.raises(TaskTimeout, match=r"0\.2 s"), _Alarm(0.2):
        inner_then_on()


def test_the_outer_of_two_limits_ends_the_inner() -> None:
    with pytest.raises(TaskTimeout, match=r"0\.05 s"), _Alarm(0.05), _Alarm(30):
        spin()
