"""SEMANTICS, section 2: retries, backoff, execution_timeout, dagrun_timeout, fail_fast."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from testing.tests.conformance.steps import bad, good, skip

from windlass import DAG, task
from windlass.errors import TaskFailed
from windlass_testing.virtual import VirtualInstallation


def claims(windlass: VirtualInstallation, run_id: str, task_id: str) -> list[datetime]:
    """Return when the attempts of a task started."""
    facts = windlass.control.tasks.find("d", run_id, task_id)
    return [attempt.claimed_at for attempt in windlass.store.queries.attempts(facts.id)]


def waits(windlass: VirtualInstallation, run_id: str, task_id: str) -> list[float]:
    """Return the seconds between the attempts of a task, which take no time themselves."""
    times = claims(windlass, run_id, task_id)
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def test_tries_are_retries_and_one(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=2)()
    run = windlass.run(dag)
    assert windlass.task(run, "bad").try_number == 3


def test_a_failed_try_waits_for_its_retry_delay(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=2)()
        bad.override(task_id="quick", retries=1, retry_delay=timedelta(seconds=7))()
    run = windlass.run(dag)
    assert waits(windlass, run.run_id, "bad") == [300, 300]
    assert waits(windlass, run.run_id, "quick") == [7]


def test_a_task_between_two_tries_is_up_for_retry(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=1)() >> good()
    run = windlass.start(dag)
    assert windlass.states(run) == {"bad": "up_for_retry", "good": "none"}


def test_the_fail_without_retry_exception_never_retries(windlass: VirtualInstallation) -> None:
    @task(retries=5)
    def hopeless() -> None:
        raise TaskFailed("no use")

    with DAG("d", schedule=None) as dag:
        hopeless()
    run = windlass.run(dag)
    assert windlass.task(run, "hopeless").try_number == 1
    assert "no use" in windlass.log(run, "hopeless")


def test_task_skipped_skips(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        skip.override(retries=5)() >> good()
    run = windlass.run(dag)
    assert windlass.states(run) == {"skip": "skipped", "good": "skipped"}
    assert (run.state, windlass.task(run, "skip").try_number) == ("success", 1)


@pytest.mark.parametrize(("given", "multiplier"), [(True, 2.0), (3.0, 3.0), (1.5, 1.5)])
def test_backoff_waits_between_min_and_twice_min(
    windlass: VirtualInstallation, given: bool | float, multiplier: float
) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=4, retry_delay=10, retry_exponential_backoff=given)()
    run = windlass.run(dag)
    for number, waited in enumerate(waits(windlass, run.run_id, "bad"), start=1):
        shortest = math.ceil(10 * multiplier ** (number - 1))
        assert shortest <= waited < 2 * shortest


def test_jitter_is_deterministic_and_differs_between_tasks(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        for name in ("one", "two"):
            bad.override(task_id=name, retries=1, retry_delay=100, retry_exponential_backoff=True)()
    windlass.add(dag)
    run = windlass.run("d", run_id="r")
    one, two = (waits(windlass, run.run_id, name) for name in ("one", "two"))
    assert one != two
    # The key of an instance is its DAG, run, task and index: the same run anywhere waits as long.
    other = VirtualInstallation(windlass.folder / "other")
    other.add(dag)
    again = other.run("d", run_id="r")
    assert waits(other, again.run_id, "one") == one
    other.close()


def test_backoff_is_capped_by_max_retry_delay(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=3, retry_delay=60, retry_exponential_backoff=True, max_retry_delay=90)()
    run = windlass.run(dag)
    assert max(waits(windlass, run.run_id, "bad")) == 90


def test_a_loss_charges_the_try_and_is_retried_without_delay(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(retries=1)()
    windlass.worker.kill("good")
    run = windlass.run(dag)
    assert (run.state, windlass.task(run, "good").try_number) == ("success", 2)
    assert waits(windlass, run.run_id, "good") == [0]


def test_a_loss_without_tries_left_fails_and_says_how_it_died(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    windlass.worker.kill("good")
    run = windlass.run(dag)
    assert windlass.states(run) == {"good": "failed"}
    assert windlass.reason(run, "good") == "the task's process was killed by signal 9 (SIGKILL)"


# --- execution_timeout


def test_execution_timeout_fails_a_try_which_may_be_retried(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(retries=1, retry_delay=10, execution_timeout=timedelta(minutes=5))()
    windlass.worker.takes("good", timedelta(minutes=6))
    run = windlass.run(dag)
    assert (run.state, windlass.task(run, "good").try_number) == ("failed", 2)
    assert waits(windlass, run.run_id, "good") == [310]
    assert windlass.reason(run, "good") == "it ran longer than its execution_timeout of 300 s"


def test_a_task_within_its_execution_timeout_is_left_alone(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good.override(execution_timeout=300)()
    windlass.worker.takes("good", timedelta(minutes=4))
    assert windlass.run(dag).state == "success"


# --- dagrun_timeout


def test_dagrun_timeout_fails_the_run_and_skips_what_is_unfinished(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, dagrun_timeout=timedelta(hours=1)) as dag:
        good() >> good.override(task_id="slow")() >> good.override(task_id="never")()
    windlass.worker.takes("slow", timedelta(hours=3))
    run = windlass.run(dag)
    assert run.state == "failed"
    assert windlass.states(run) == {"good": "success", "slow": "skipped", "never": "skipped"}
    assert run.start_date is not None
    assert run.end_date == run.start_date + timedelta(hours=1)
    assert "dagrun_timeout of 3600 s" in windlass.run_reason(run)


def test_dagrun_timeout_skips_what_waits_for_a_retry(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, dagrun_timeout=60) as dag:
        bad.override(retries=3)()
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)) == ("failed", {"bad": "skipped"})


def test_dagrun_timeout_counts_from_the_start_not_from_the_queue(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, dagrun_timeout=60, max_active_runs=1) as dag:
        good()
    windlass.worker.takes("good", timedelta(seconds=50))
    first, second = windlass.start(dag), windlass.start("d")
    assert [windlass.end_of(run).state for run in (first, second)] == ["success", "success"]


# --- fail_fast


def test_fail_fast_stops_what_runs_and_skips_what_waits(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, fail_fast=True) as dag:
        bad()
        good.override(task_id="slow")() >> good.override(task_id="after")()
    windlass.worker.takes("bad", timedelta(minutes=1))
    windlass.worker.takes("slow", timedelta(hours=1))
    run = windlass.run(dag)
    assert windlass.states(run) == {"bad": "failed", "slow": "skipped", "after": "skipped"}
    assert run.state == "failed"
    assert run.end_date is not None
    assert run.start_date is not None
    assert run.end_date - run.start_date == timedelta(minutes=1)


def test_fail_fast_waits_for_the_last_try(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None, fail_fast=True) as dag:
        bad.override(retries=1, retry_delay=10)()
        good()
    windlass.worker.takes("good", timedelta(seconds=5))
    run = windlass.run(dag)
    assert windlass.states(run) == {"bad": "failed", "good": "success"}
