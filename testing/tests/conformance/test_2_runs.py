"""SEMANTICS, section 2: run ids, the state of a run from its leaves, deadlocks, marks and clears."""

from __future__ import annotations

from datetime import timedelta

import pytest
from testing.tests.conformance.steps import MONDAY, bad, good, skip

from windlass import DAG, TriggerRule, task
from windlass.errors import RunExists
from windlass.states import RunState, TaskState
from windlass_testing.virtual import VirtualInstallation


def test_a_run_id_is_its_type_and_its_logical_date(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    run = windlass.run(dag, logical_date=MONDAY)
    assert run.run_id == "manual__2026-03-02T00:00:00+00:00"


def test_a_run_id_has_microseconds_only_if_its_date_has(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    run = windlass.run(dag, logical_date=MONDAY + timedelta(microseconds=7))
    assert run.run_id == "manual__2026-03-02T00:00:00.000007+00:00"


def test_an_explicit_logical_date_that_exists_is_refused_and_names_the_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    windlass.run(dag, logical_date=MONDAY)
    with pytest.raises(RunExists, match=r"manual__2026-03-02T00:00:00\+00:00"):
        windlass.trigger("d", logical_date=MONDAY)


def test_a_run_id_is_unique_in_its_dag_and_may_be_repeated_in_another(windlass: VirtualInstallation) -> None:
    for name in ("d", "e"):
        with DAG(name, schedule=None) as dag:
            good()
        windlass.run(dag, run_id="mine")
    with pytest.raises(RunExists, match="mine"):
        windlass.trigger("d", run_id="mine", logical_date=MONDAY)


def test_the_scheduler_skips_an_interval_whose_logical_date_has_a_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule="@daily", start_date=MONDAY, catchup=True) as dag:
        good()
    windlass.add(dag)
    windlass.trigger("d", logical_date=MONDAY)
    windlass.pass_time(timedelta(days=3))
    kinds = [(run.logical_date.day, str(run.run_type)) for run in windlass.runs("d")]
    assert kinds == [(2, "manual"), (3, "scheduled")]


# --- The state of a run comes from its leaves


def test_any_failed_leaf_fails_the_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good() >> [good.override(task_id="left")(), bad()]
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)) == ("failed", {"good": "success", "left": "success", "bad": "failed"})


def test_a_leaf_that_is_upstream_failed_fails_the_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad() >> good()
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)["good"]) == ("failed", "upstream_failed")


def test_leaves_that_are_all_success_or_skipped_make_a_success(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good() >> skip()
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)["skip"]) == ("success", "skipped")


def test_a_failed_task_behind_an_all_done_leaf_is_a_success(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad() >> good.override(trigger_rule="all_done")()
    assert windlass.run(dag).state == "success"


def test_a_failed_teardown_leaf_does_not_fail_the_run(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        begin = good.override(task_id="begin")().as_setup()
        begin >> good() >> bad().as_teardown(setups=begin)
    run = windlass.run(dag)
    assert (run.state, windlass.states(run)["bad"]) == ("success", "failed")


def test_a_teardown_that_shall_fail_the_run_does(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        begin = good.override(task_id="begin")().as_setup()
        begin >> good() >> bad().as_teardown(setups=begin, on_failure_fail_dagrun=True)
    assert windlass.run(dag).state == "failed"


# --- Marks and clears


def test_marking_a_failed_task_success_lets_go_on_what_waited_for_it(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad() >> good()
    run = windlass.run(dag)
    windlass.control.tasks.mark(
        windlass.control.tasks.exactly("d", run.run_id, "bad"), TaskState.SUCCESS, actor="somebody"
    )
    run = windlass.end_of(run)
    assert (run.state, windlass.states(run)) == ("success", {"bad": "success", "good": "success"})


def test_marking_a_running_task_changes_its_state_when_its_process_is_gone(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    windlass.worker.takes("good", timedelta(hours=1))
    run = windlass.start(dag)
    selected = windlass.control.tasks.exactly("d", run.run_id, "good")
    windlass.control.tasks.mark(selected, TaskState.FAILED, actor="somebody")
    assert windlass.states(run) == {"good": "running"}
    windlass.settle()
    assert windlass.states(run) == {"good": "failed"}


@pytest.mark.parametrize("state", [RunState.SUCCESS, RunState.FAILED])
def test_marking_a_run_ends_it_with_its_running_tasks(windlass: VirtualInstallation, state: RunState) -> None:
    with DAG("d", schedule=None) as dag:
        good() >> good.override(task_id="then")()
    windlass.worker.takes("good", timedelta(hours=1))
    run = windlass.start(dag)
    windlass.control.runs.mark("d", run.run_id, state, actor="somebody")
    windlass.settle()
    assert windlass.now(run).state == state
    assert {"running", "none"}.isdisjoint(windlass.states(run).values())


def test_a_clear_gives_as_many_tries_as_before_and_keeps_old_attempts_and_logs(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        bad.override(retries=1, retry_delay=1)()
    run = windlass.run(dag)
    windlass.clear(run, "bad")
    run = windlass.end_of(run)
    row = windlass.task(run, "bad")
    assert (row.try_number, row.max_tries) == (4, 3)
    facts = windlass.control.tasks.find("d", run.run_id, "bad")
    assert [attempt.try_number for attempt in windlass.store.queries.attempts(facts.id)] == [1, 2, 3, 4]
    assert windlass.log(run, "bad").count("Traceback") == 4


def test_a_cleared_task_of_an_ended_run_runs_again_with_what_follows_it(windlass: VirtualInstallation) -> None:
    tries: list[int] = []

    @task
    def flaky(try_number: int) -> None:
        tries.append(try_number)
        if try_number == 1:
            raise ValueError("not yet")

    with DAG("d", schedule=None) as dag:
        flaky() >> good()
    run = windlass.run(dag)
    assert windlass.states(run) == {"flaky": "failed", "good": "upstream_failed"}
    windlass.clear(run, "flaky", downstream=True)
    run = windlass.end_of(run)
    assert (run.state, tries) == ("success", [1, 2])


def test_a_clear_of_a_running_task_never_overlaps_its_process(windlass: VirtualInstallation) -> None:
    with DAG("d", schedule=None) as dag:
        good()
    windlass.worker.takes("good", timedelta(hours=1))
    run = windlass.start(dag)
    windlass.clear(run, "good")
    assert windlass.states(run) == {"good": "running"}
    run = windlass.end_of(run)
    facts = windlass.control.tasks.find("d", run.run_id, "good")
    first, second = windlass.store.queries.attempts(facts.id)
    assert first.ended_at is not None
    assert first.ended_at <= second.claimed_at
    assert windlass.task(run, "good").try_number == 2


def test_a_clear_runs_the_version_that_ran_and_with_latest_the_newest(windlass: VirtualInstallation) -> None:
    def version(name: str) -> DAG:
        with DAG("d", schedule=None) as dag:
            task(task_id="t")(lambda: name)()
        return dag

    run = windlass.run(version("old"))
    windlass.add(version("new"))
    windlass.clear(run, "t")
    assert windlass.xcom(windlass.end_of(run), "t") == "old"
    windlass.clear(run, "t", latest=True)
    assert windlass.xcom(windlass.end_of(run), "t") == "new"


def test_an_edit_of_its_dag_never_changes_a_run_in_flight(windlass: VirtualInstallation) -> None:
    def version(name: str) -> DAG:
        with DAG("d", schedule=None) as dag:
            good() >> task(task_id=name)(lambda: name)()
        return dag

    windlass.worker.takes("good", timedelta(hours=1))
    run = windlass.start(version("old"))
    windlass.add(version("new"))
    run = windlass.end_of(run)
    assert windlass.states(run) == {"good": "success", "old": "success"}


def test_several_schedulers_each_hold_some_dags_and_do_nothing_twice(windlass: VirtualInstallation) -> None:
    windlass.share("first", "second")
    windlass.worker.takes("good", timedelta(minutes=1))
    for number in range(6):
        with DAG(f"d{number}", schedule=None) as dag:
            good() >> [bad(), good.override(task_id="end")()]
        windlass.add(dag)
    runs = [windlass.start(f"d{number}") for number in range(6)]
    windlass.pass_time(timedelta(seconds=1))
    held = "SELECT s.home, COUNT(*) FROM dag d JOIN scheduler s ON s.owner = d.owner GROUP BY s.home ORDER BY s.home"
    assert dict(windlass.store.db.rows(held)) == {"first": 2, "second": 4}
    windlass.pass_time(timedelta(minutes=5))
    assert [str(windlass.now(run).state) for run in runs] == ["failed"] * 6
    assert len(windlass.started()) == 18


def test_every_trigger_rule_has_a_row_in_the_table() -> None:
    from testing.tests.conformance.test_2_trigger_rules import ROWS

    assert {rule for rule, *_ in ROWS} | {"all_done_setup_success"} == {str(rule) for rule in TriggerRule}
