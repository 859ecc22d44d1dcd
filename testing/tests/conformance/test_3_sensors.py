"""SEMANTICS, section 3: sensors: modes, timeouts, failing softly, backing off, results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from testing.tests.conformance.steps import good

from windlass import DAG, task
from windlass.errors import TaskFailed
from windlass.sensors import BaseSensorOperator, PokeReturnValue, PythonSensor
from windlass_testing.virtual import START, VirtualInstallation

MINUTE = timedelta(minutes=1)
MODES = pytest.mark.parametrize("mode", ["poke", "reschedule"])


def sensor(poke: Callable[[], Any], **options: Any) -> DAG:
    """Return a DAG of one sensor, ``s``, that nothing but ``poke`` decides."""
    with DAG("d", schedule=None) as dag:
        PythonSensor(task_id="s", python_callable=poke, **options) >> good()
    return dag


def never() -> bool:
    return False


@MODES
def test_a_sensor_waits_until_its_poke_is_true(windlass: VirtualInstallation, mode: str) -> None:
    pokes: list[timedelta] = []

    def poke() -> bool:
        pokes.append(windlass.clock.now() - START)
        return len(pokes) == 4

    run = windlass.run(sensor(poke, poke_interval=60, mode=mode))
    assert windlass.states(run) == {"s": "success", "good": "success"}
    assert pokes == [number * MINUTE for number in range(4)]


def test_poke_holds_its_slot_between_pokes_in_one_attempt(windlass: VirtualInstallation) -> None:
    held: list[int] = []

    def poke() -> bool:
        held.append(windlass.control.pools.get("default_pool").running)
        return len(held) == 3

    run = windlass.run(sensor(poke, poke_interval=60))
    facts = windlass.control.tasks.find("d", run.run_id, "s")
    assert (held, len(windlass.store.queries.attempts(facts.id))) == ([1, 1, 1], 1)


def test_reschedule_frees_its_slot_between_pokes_and_stays_in_its_try(windlass: VirtualInstallation) -> None:
    pokes: list[int] = []

    def poke() -> bool:
        pokes.append(1)
        return len(pokes) == 3

    run = windlass.start(sensor(poke, poke_interval=60, mode="reschedule"))
    assert windlass.states(run)["s"] == "up_for_reschedule"
    pool = windlass.control.pools.get("default_pool")
    assert (pool.running, pool.queued) == (0, 0)
    run = windlass.end_of(run)
    facts = windlass.control.tasks.find("d", run.run_id, "s")
    assert (windlass.task(run, "s").try_number, len(windlass.store.queries.attempts(facts.id))) == (1, 3)


@MODES
def test_the_timeout_counts_from_the_first_poke_and_never_retries(windlass: VirtualInstallation, mode: str) -> None:
    run = windlass.run(sensor(never, poke_interval=60, timeout=150, mode=mode, retries=3))
    row = windlass.task(run, "s")
    assert (str(row.state), row.try_number) == ("failed", 1)
    assert "timeout 150 s" in windlass.reason(run, "s")
    # A sensor that holds its process wakes up for its timeout; one that is rescheduled notices at its next poke.
    assert (windlass.clock.now() - START).total_seconds() == pytest.approx(150 if mode == "poke" else 180, abs=0.1)


def test_the_timeout_is_seven_days_by_default() -> None:
    assert BaseSensorOperator(task_id="s").timeout == timedelta(days=7).total_seconds()


def test_a_try_after_an_error_starts_the_timeout_anew(windlass: VirtualInstallation) -> None:
    pokes: list[int] = []

    def poke() -> bool:
        pokes.append(1)
        if len(pokes) == 2:
            raise ValueError("a hiccup")
        return len(pokes) == 4

    run = windlass.run(sensor(poke, poke_interval=60, timeout=100, mode="reschedule", retries=1, retry_delay=3600))
    assert (run.state, windlass.task(run, "s").try_number) == ("success", 2)


@MODES
@pytest.mark.parametrize("soft", ["soft_fail", "never_fail"])
def test_a_soft_timeout_skips(windlass: VirtualInstallation, mode: str, soft: str) -> None:
    options: dict[str, Any] = {soft: True}
    run = windlass.run(sensor(never, poke_interval=60, timeout=90, mode=mode, **options))
    assert windlass.states(run) == {"s": "skipped", "good": "skipped"}


@pytest.mark.parametrize(
    ("option", "error", "state"),
    [
        ("soft_fail", TaskFailed("no"), "skipped"),
        ("soft_fail", ValueError("no"), "failed"),
        ("never_fail", ValueError("no"), "skipped"),
    ],
    ids=["soft_fail: a final failure skips", "soft_fail: an error fails", "never_fail: an error skips"],
)
def test_what_an_error_in_a_poke_does(windlass: VirtualInstallation, option: str, error: Exception, state: str) -> None:
    def poke() -> bool:
        raise error

    options: dict[str, Any] = {option: True}
    run = windlass.run(sensor(poke, **options))
    assert windlass.states(run)["s"] == state


def test_silent_fail_pokes_again_after_an_error(windlass: VirtualInstallation) -> None:
    pokes: list[int] = []

    def poke() -> bool:
        pokes.append(1)
        if len(pokes) < 3:
            raise ValueError("not yet")
        return True

    run = windlass.run(sensor(poke, silent_fail=True, mode="reschedule"))
    assert (run.state, len(pokes), windlass.task(run, "s").try_number) == ("success", 3, 1)
    assert "poke failed" in windlass.log(run, "s")


@MODES
def test_exponential_backoff_waits_longer_each_time(windlass: VirtualInstallation, mode: str) -> None:
    pokes: list[float] = []

    def poke() -> bool:
        pokes.append(windlass.clock.now().timestamp())
        return len(pokes) == 6

    windlass.run(sensor(poke, poke_interval=10, exponential_backoff=True, mode=mode))
    for number, (earlier, later) in enumerate(pairwise(pokes)):
        assert later - earlier >= 10 * 2**number - 0.01 if mode == "poke" else later > earlier
    assert pokes[-1] - pokes[-2] > 4 * (pokes[1] - pokes[0])


def test_max_wait_bounds_the_backoff(windlass: VirtualInstallation) -> None:
    pokes: list[float] = []

    def poke() -> bool:
        pokes.append(windlass.clock.now().timestamp())
        return len(pokes) == 6

    windlass.run(sensor(poke, poke_interval=10, exponential_backoff=True, max_wait=30))
    assert max(later - earlier for earlier, later in pairwise(pokes)) == pytest.approx(30)


def test_a_poke_return_value_becomes_the_xcom(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:

        @task.sensor
        def found(ds: str) -> PokeReturnValue:
            return PokeReturnValue(is_done=True, xcom_value=[ds, "a.csv"])

        @task
        def use(files: list[str]) -> str:
            return files[-1]

        use(found())
    run = windlass.run(dag)
    assert windlass.xcom(run, "found") == ["2026-03-01", "a.csv"]
    assert windlass.xcom(run, "use") == "a.csv"


def test_execution_timeout_ends_a_sensor_that_holds_its_process(windlass: VirtualInstallation) -> None:
    run = windlass.run(sensor(never, poke_interval=60, execution_timeout=90))
    assert windlass.reason(run, "s") == "it ran longer than its execution_timeout of 90 s"


def test_execution_timeout_counts_the_running_time_of_each_attempt(windlass: VirtualInstallation) -> None:
    pokes: list[int] = []

    def poke() -> bool:
        pokes.append(1)
        return len(pokes) == 5

    run = windlass.run(sensor(poke, poke_interval=60, execution_timeout=90, mode="reschedule"))
    assert run.state == "success"


def test_a_rescheduled_sensor_survives_a_restart_of_the_scheduler(windlass: VirtualInstallation) -> None:
    pokes: list[int] = []

    def poke() -> bool:
        pokes.append(1)
        return len(pokes) == 3

    run = windlass.start(sensor(poke, poke_interval=60, mode="reschedule"))
    windlass.restart_scheduler()
    assert windlass.end_of(run).state == "success"
    assert len(pokes) == 3
