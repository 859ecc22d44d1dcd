"""SEMANTICS, section 2: deadline alerts on a run; and section 1: so many failures in a row pause a DAG."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good

from windlass import DAG, DeadlineAlert, DeadlineReference
from windlass_testing.virtual import START, VirtualInstallation

HOUR = timedelta(hours=1)


def told(windlass: VirtualInstallation, calls: list[timedelta]) -> Callable[[Any], None]:
    """Return a callback that notes when it was called."""
    return lambda context: calls.append(windlass.clock.now() - START)


@pytest.mark.parametrize(
    ("reference", "interval", "at"),
    [
        (DeadlineReference.DAGRUN_QUEUED_AT, HOUR, HOUR),
        (DeadlineReference.DAGRUN_LOGICAL_DATE, HOUR, 13 * HOUR),
        (DeadlineReference.FIXED_DATETIME(START + HOUR), HOUR, 2 * HOUR),
        (DeadlineReference.FIXED_DATETIME(START + 2 * HOUR), -HOUR, HOUR),
    ],
    ids=["queued_at", "logical_date", "fixed", "before a fixed instant"],
)
def test_a_run_that_misses_its_deadline_calls_back_once_and_goes_on(
    windlass: VirtualInstallation, reference: DeadlineReference, interval: timedelta, at: timedelta
) -> None:
    calls: list[timedelta] = []
    alert = DeadlineAlert(reference=reference, interval=interval, callback=told(windlass, calls))
    with DAG("d", schedule=None, deadline=alert) as dag:
        good()
    windlass.worker.takes("good", timedelta(days=2))
    run = windlass.start(dag, logical_date=MONDAY)
    windlass.pass_time(timedelta(days=1))
    assert calls == [at]
    assert windlass.end_of(run).state == "success"
    assert calls == [at]


def test_a_run_that_ends_in_time_misses_nothing(windlass: VirtualInstallation) -> None:
    calls: list[timedelta] = []
    reference = DeadlineReference.DAGRUN_QUEUED_AT
    alert = DeadlineAlert(reference=reference, interval=HOUR, callback=told(windlass, calls))
    with DAG("d", schedule=None, deadline=alert) as dag:
        good()
    windlass.run(dag)
    windlass.pass_time(timedelta(days=1))
    assert calls == []


def test_so_many_failures_in_a_row_pause_the_dag(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@hourly", start_date=START, catchup=True, max_consecutive_failed_dag_runs=3) as dag:
        bad()
    windlass.add(dag)
    windlass.pass_time(timedelta(hours=10))
    assert [str(run.state) for run in windlass.runs("d")] == ["failed"] * 3
    assert windlass.store.queries.dag("d").paused
