"""SEMANTICS, section 2: task states, runs, retries, what an earlier run decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass import DAG, task
from windlass.errors import RunExists, TaskFailed, TaskSkipped
from windlass_testing.virtual import VirtualInstallation

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@task
def good() -> str:
    return "good"


@task
def bad() -> None:
    raise ValueError("it is bad")


def test_a_run_id_is_its_type_and_its_logical_date(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    run = windlass.run(dag, logical_date=MONDAY)
    assert run.run_id == "manual__2026-03-02T00:00:00+00:00"


def test_an_explicit_logical_date_that_exists_is_refused_and_names_the_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    windlass.run(dag, logical_date=MONDAY)
    with pytest.raises(RunExists, match=r"manual__2026-03-02T00:00:00\+00:00"):
        windlass.trigger("d", logical_date=MONDAY)


def test_the_scheduler_skips_an_interval_whose_logical_date_has_a_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY, catchup=True) as dag:
        good()
    windlass.add(dag)
    windlass.trigger("d", logical_date=MONDAY)
    windlass.pass_time(timedelta(days=3))
    kinds = [(run.logical_date.day, str(run.run_type)) for run in windlass.runs("d")]
    assert kinds == [(2, "manual"), (3, "scheduled")]


def test_any_failed_leaf_fails_the_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good() >> [good.override(task_id="left")(), bad()]
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)) == ("failed", {"good": "success", "left": "success", "bad": "failed"})


def test_a_failed_task_behind_an_all_done_leaf_is_a_success(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad() >> good.override(trigger_rule="all_done")()
    assert windlass.run(dag).state == "success"


def test_tries_are_retries_and_one(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=2)()
    run = windlass.run(dag)
    assert windlass.task(run, "bad").try_number == 3


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
    @task
    def unneeded() -> None:
        raise TaskSkipped("nothing to do")

    with DAG("d", schedule=None) as dag:
        unneeded() >> good()
    run = windlass.run(dag)
    assert windlass.states(run) == {"unneeded": "skipped", "good": "skipped"}
    assert run.state == "success"
