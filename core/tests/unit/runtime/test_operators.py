"""The built-in operators beyond plain Python ones."""

# ruff: noqa: ANN401 - fixtures of a conftest have no importable type, and authors' values any
from __future__ import annotations

import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from windlass import DAG, task
from windlass.authoring.operators.branch_time import BranchDateTimeOperator as Window
from windlass.errors import AuthoringError, RunExists
from windlass.operators import (
    BranchDateTimeOperator,
    BranchDayOfWeekOperator,
    EmptyOperator,
    LatestOnlyOperator,
    PythonVirtualenvOperator,
    TriggerDagRunOperator,
)
from windlass.protocol import Outcome, Reschedule, TriggerRun

HOUR = timedelta(hours=1)


class TestLatestOnly:
    def skipped(self, lab: Any, end: datetime, run_type: str = "scheduled", length: timedelta = HOUR) -> bool:
        with DAG("d") as dag:
            direct = EmptyOperator(task_id="direct")
            LatestOnlyOperator(task_id="t") >> direct >> EmptyOperator(task_id="later")
        ending = lab.finish(dag, "t", data_interval_start=end - length, data_interval_end=end, run_type=run_type)
        assert ending.skip_targets in {(), ("direct",)}
        return bool(ending.skip_targets)

    def test_only_the_newest_run_goes_on(self, lab: Any) -> None:
        now = datetime.now(UTC)
        assert not self.skipped(lab, now - HOUR / 2)
        assert self.skipped(lab, now - 2 * HOUR)
        assert self.skipped(lab, now + HOUR)

    def test_manual_runs_pass(self, lab: Any) -> None:
        assert not self.skipped(lab, datetime(2020, 1, 1, tzinfo=UTC), "manual")


def test_branch_day_of_week(lab: Any, dag: DAG) -> None:
    # 1 March 2026 is a Sunday.
    for name, day in (("a", "Sunday"), ("b", {"Monday", "Tuesday"})):
        BranchDayOfWeekOperator(
            task_id=name, week_day=day, use_task_logical_date=True,
            follow_task_ids_if_true="yes", follow_task_ids_if_false="no",
        ) >> [EmptyOperator(task_id=f"{name}_{end}") for end in ("yes", "no")]  # fmt: skip
    dag.get_task("a").follow_task_ids_if_true = "a_yes"  # type: ignore[attr-defined]
    dag.get_task("b").follow_task_ids_if_false = "b_no"  # type: ignore[attr-defined]
    assert lab.finish(dag, "a").skip_targets == ("a_no",)
    assert lab.finish(dag, "b").skip_targets == ("b_yes",)


@pytest.mark.parametrize(
    ("lower", "upper", "hour", "inside"),
    [
        (time(9), time(17), 9, True), (time(9), time(17), 8, False), (time(9), time(17), 18, False),
        (time(22), time(6), 23, True), (time(22), time(6), 5, True), (time(22), time(6), 12, False),
        (None, time(17), 3, True), (time(9), None, 3, False),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), 12, True),
        (datetime(2026, 1, 1, 13, tzinfo=UTC), None, 12, False),
        (datetime(2026, 1, 1, 11), time(13), 12, True),  # noqa: DTZ001 - a naive bound is in the DAG's zone
    ],
)  # fmt: skip
def test_branch_date_time(lower: Any, upper: Any, hour: int, inside: bool) -> None:
    made = Window(
        task_id="t", target_lower=lower, target_upper=upper, follow_task_ids_if_true="x", follow_task_ids_if_false="y"
    )
    assert made.contains(datetime(2026, 1, 1, hour, tzinfo=UTC)) is inside


def test_branch_date_time_needs_a_bound() -> None:
    with pytest.raises(AuthoringError, match="needs target_lower, target_upper or both"):
        BranchDateTimeOperator(
            task_id="t", target_lower=None, target_upper=None, follow_task_ids_if_true="x", follow_task_ids_if_false="y"
        )


class TestTriggerDagRun:
    def test_triggers_a_run_with_templates_in_its_conf(self, lab: Any, dag: DAG) -> None:
        TriggerDagRunOperator(
            task_id="t", trigger_dag_id="other", conf={"day": "{{ ds }}"}, trigger_run_id="r-{{ ds }}"
        )
        assert lab.finish(dag, "t").outcome is Outcome.SUCCESS
        [verb] = lab.session.asked
        assert verb == TriggerRun(dag_id="other", run_id="r-2026-03-01", conf={"day": "2026-03-01"})

    def test_takes_conf_and_date_from_other_tasks(self, lab: Any, dag: DAG) -> None:
        made: Any = TriggerDagRunOperator(task_id="t", trigger_dag_id="other", trigger_run_id="r")
        made.conf = {"day": 1}
        made.logical_date = datetime(2026, 1, 1, tzinfo=UTC)  # as rendered from an XCom
        assert lab.finish(dag, "t").outcome is Outcome.SUCCESS
        [verb] = lab.session.asked
        assert verb == TriggerRun(
            dag_id="other", run_id="r", logical_date=datetime(2026, 1, 1, tzinfo=UTC), conf={"day": 1}
        )

    def test_an_attempt_that_was_lost_finds_its_run_again(self, lab: Any, dag: DAG) -> None:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="other")
        lab.finish(dag, "t")
        lab.session.errors["TriggerRun"] = RunExists("it exists")
        assert lab.finish(dag, "t").outcome is Outcome.SUCCESS
        first, second = lab.session.asked
        assert first.run_id == second.run_id

    def test_a_run_id_of_the_authors_that_exists_fails_or_skips(self, lab: Any, dag: DAG) -> None:
        lab.session.errors["TriggerRun"] = RunExists("it exists")
        arguments: dict[str, Any] = {"trigger_dag_id": "other", "trigger_run_id": "x"}
        TriggerDagRunOperator(task_id="fails", **arguments)
        TriggerDagRunOperator(task_id="skips", skip_when_already_exists=True, **arguments)
        assert lab.finish(dag, "fails").outcome is Outcome.FAIL
        assert lab.finish(dag, "skips").outcome is Outcome.SKIP

    def test_waiting_frees_the_slot_and_triggers_once(self, lab: Any, dag: DAG) -> None:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="other", wait_for_completion=True, poke_interval=7)
        lab.session.rows["runs"] = [{"state": "running"}]
        ending = lab.run(dag, "t")
        assert isinstance(ending, Reschedule)
        lab.session.rows["runs"] = [{"state": "success"}]
        assert lab.finish(dag, "t", first_poke=ending.first_poke).outcome is Outcome.SUCCESS
        assert sum(isinstance(verb, TriggerRun) for verb in lab.session.asked) == 1

    def test_a_failed_run_fails_it(self, lab: Any, dag: DAG) -> None:
        TriggerDagRunOperator(task_id="t", trigger_dag_id="other", wait_for_completion=True)
        lab.session.rows["runs"] = [{"state": "failed"}]
        assert "ended as failed" in lab.finish(dag, "t").reason


class TestOtherPythons:
    def test_a_function_runs_elsewhere(self, lab: Any, dag: DAG) -> None:
        @task.external_python(python=sys.executable)
        def add(x: int, ds: str, y: int = 1) -> dict[str, object]:
            import sys

            return {"sum": x + y, "ds": ds, "windlass": "windlass" in sys.modules}

        add(2)
        assert lab.value(dag, "add") == {"sum": 3, "ds": "2026-03-01", "windlass": False}

    def test_annotations_need_not_exist_over_there(self, lab: Any, dag: DAG) -> None:
        @task.external_python(python=sys.executable)
        def add(x: Any) -> dict[str, Any]:
            return {"sum": x + 1}

        add(2)
        assert lab.value(dag, "add") == {"sum": 3}

    def test_a_failure_is_a_failure(self, lab: Any, dag: DAG) -> None:
        @task.external_python(python=sys.executable, skip_on_exit_code=5)
        def end(code: int) -> None:
            raise SystemExit(code)

        end(1)
        end(5)
        assert "exit code 1" in lab.finish(dag, "end").reason
        assert lab.finish(dag, "end__1").outcome is Outcome.SKIP

    def test_what_is_not_json_cannot_cross(self, lab: Any, dag: DAG) -> None:
        @task.external_python(python=sys.executable)
        def use(x: object) -> None: ...

        use(object())
        assert "cannot cross to another Python" in lab.finish(dag, "use").reason

    def test_a_missing_python_is_named(self, lab: Any, dag: DAG) -> None:
        @task.external_python(python="/no/python")
        def use() -> None: ...

        use()
        assert "there is no Python at /no/python" in lab.finish(dag, "use").reason

    @pytest.mark.processes
    def test_an_environment_is_made_and_kept(self, lab: Any, dag: DAG, tmp_path: Path) -> None:
        @task.virtualenv(venv_cache_path=str(tmp_path), system_site_packages=False)
        def where() -> str:
            import sys

            return sys.prefix

        where()
        made = lab.value(dag, "where")
        assert Path(made).parent == tmp_path
        assert lab.value(dag, "where") == made

    def test_a_lambda_has_no_source(self, dag: DAG) -> None:
        with pytest.raises(AuthoringError, match="a lambda has no source"):
            PythonVirtualenvOperator(task_id="t", python_callable=lambda: 1)
