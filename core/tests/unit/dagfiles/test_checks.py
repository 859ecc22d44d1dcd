from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windlass.dagfiles import checks
from windlass.dagfiles.checks import checked
from windlass.errors import ParamInvalid, SpecError, WindlassError
from windlass.spec import (
    AssetCondition,
    AssetScheduleSpec,
    CronIntervalSpec,
    CustomTimetableSpec,
    DagSpec,
    ParamSpec,
    TaskSpec,
    encode_spec,
)

DAILY = CronIntervalSpec(expression="0 0 * * *")
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def dag(**fields: Any) -> bytes:
    return encode_spec(DagSpec(**{"dag_id": "etl", "file": "etl.py", **fields}))


def test_returns_the_dag_with_the_file_that_was_parsed() -> None:
    spec = checked(dag(tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="b", upstream=("a",))), file="lies.py"), "etl.py")
    assert (spec.dag_id, spec.file, len(spec.tasks)) == ("etl", "etl.py", 2)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"no JSON", "cannot be read"),
        (b"{}", "cannot be read"),
        (dag(dag_id=""), "must have 1 to 250"),
        (dag(dag_id="x" * 251), "must have 1 to 250"),
        (dag(tasks=(TaskSpec(task_id="x" * 251),)), "must have 1 to 250"),
        (dag(tasks=(TaskSpec(task_id="a"), TaskSpec(task_id="a"))), "two tasks called 'a'"),
        (dag(tasks=(TaskSpec(task_id="a", upstream=("ghost",)),)), "depends on 'ghost'"),
        (dag(tasks=(TaskSpec(task_id="a", upstream=("b",)), TaskSpec(task_id="b"))), "does not precede"),
        (dag(tasks=(TaskSpec(task_id="a", group="ghost"),)), "group 'ghost'"),
        (dag(schedule=CronIntervalSpec(expression="61 * * * *"), start_date=MONDAY), "61"),
    ],
)
def test_refuses_what_does_not_fit_together(data: bytes, sentence: str) -> None:
    with pytest.raises(WindlassError, match=sentence):
        checked(data, "etl.py")


def test_refuses_a_dag_that_every_reader_would_suffer_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_TASKS", 2)
    with pytest.raises(SpecError, match=r"has 3 tasks, the limit is 2"):
        checked(dag(tasks=tuple(TaskSpec(task_id=f"t{n}") for n in range(3))), "etl.py")
    monkeypatch.setattr(checks, "MAX_BYTES", 10)
    with pytest.raises(SpecError, match=r"takes \d+ bytes when serialised"):
        checked(dag(), "etl.py")


def test_a_plugins_timetable_is_not_evaluated_here() -> None:
    timetable = CustomTimetableSpec(name="acme:Moon", data={})
    assert checked(dag(schedule=timetable), "etl.py").schedule == timetable


class TestParams:
    def check(self, *, scheduled: bool, **fields: Any) -> DagSpec:
        schedule = {"schedule": DAILY, "start_date": MONDAY} if scheduled else {}
        return checked(dag(params={"n": ParamSpec(**fields)}, **schedule), "etl.py")

    @pytest.mark.parametrize("scheduled", [False, True])
    def test_a_default_that_fits_passes(self, scheduled: bool) -> None:
        self.check(scheduled=scheduled, value=3, schema={"type": "integer", "minimum": 1})

    def test_a_scheduled_dag_needs_defaults_that_fit(self) -> None:
        with pytest.raises(ParamInvalid, match=r"default of param 'n' of DAG 'etl' does not fit .* 0 is less than"):
            self.check(scheduled=True, value=0, schema={"type": "integer", "minimum": 1})
        with pytest.raises(ParamInvalid, match=r"param 'n' of DAG 'etl' has no default"):
            self.check(scheduled=True, has_value=False)

    def test_a_dag_that_people_start_does_not(self) -> None:
        self.check(scheduled=False, value=0, schema={"type": "integer", "minimum": 1})
        self.check(scheduled=False, has_value=False)

    @pytest.mark.parametrize("scheduled", [False, True])
    def test_a_schema_must_be_one(self, scheduled: bool) -> None:
        with pytest.raises(ParamInvalid, match="is no JSON schema"):
            self.check(scheduled=scheduled, value=1, schema={"type": "number of things"})

    @pytest.mark.parametrize("scheduled", [False, True])
    def test_a_pattern_that_python_would_never_finish_is_matched_in_linear_time(self, scheduled: bool) -> None:
        slow = {"type": "string", "pattern": "^(a+)+$"}
        self.check(scheduled=scheduled, value="a" * 50_000, schema=slow)
        if scheduled:
            with pytest.raises(ParamInvalid, match=r"default of param 'n' of DAG 'etl' does not fit"):
                self.check(scheduled=True, value="a" * 50_000 + "!", schema=slow)

    @pytest.mark.parametrize("scheduled", [False, True])
    def test_a_pattern_that_cannot_be_linear_is_refused(self, scheduled: bool) -> None:
        with pytest.raises(ParamInvalid, match=r"schema of param 'n' of DAG 'etl' has a pattern .* a look-ahead"):
            self.check(scheduled=scheduled, value="a", schema={"pattern": "(?=a)a"})

    def test_a_reference_to_an_address_asks_nobody(self) -> None:
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            self.check(scheduled=True, value=1, schema={"$ref": "http://127.0.0.1:1/x.json"})

    def test_a_tasks_params_are_checked_as_well(self) -> None:
        bad = ParamSpec(value="x", schema={"type": "integer"})
        task = TaskSpec(task_id="load", params={"n": bad})
        with pytest.raises(ParamInvalid, match=r"param 'n' of task 'load' of DAG 'etl'"):
            checked(dag(tasks=(task,), schedule=DAILY, start_date=MONDAY), "etl.py")

    def test_a_task_may_leave_its_default_to_the_dag(self) -> None:
        task = TaskSpec(task_id="load", params={"n": ParamSpec(has_value=False)})
        data = dag(tasks=(task,), params={"n": ParamSpec(value=1)}, schedule=DAILY, start_date=MONDAY)
        assert checked(data, "etl.py").dag_id == "etl"


@pytest.mark.parametrize(
    "condition", [AssetCondition(), AssetCondition(all_of=(AssetCondition(asset="a"), AssetCondition()))]
)
def test_an_asset_schedule_that_names_no_asset_is_refused(condition: AssetCondition) -> None:
    spec = DagSpec(dag_id="d", schedule=AssetScheduleSpec(condition=condition))
    with pytest.raises(SpecError, match="the asset schedule of DAG 'd' can never be met"):
        checked(encode_spec(spec), "f.py")


def test_an_asset_with_a_name_that_no_column_holds_is_refused() -> None:
    spec = DagSpec(dag_id="d", schedule=AssetScheduleSpec(condition=AssetCondition(asset="a" * 251)))
    with pytest.raises(SpecError, match="has 251 characters; it must have 1 to 250"):
        checked(encode_spec(spec), "f.py")


LOCAL = ("LocalExecutor", "local")


@pytest.mark.parametrize("executor", [None, *LOCAL])
def test_a_task_may_name_the_executor_that_runs_everything(executor: str | None) -> None:
    data = dag(tasks=(TaskSpec(task_id="a", executor=executor),))
    assert checked(data, "etl.py", executors=LOCAL).by_id["a"].executor == executor


@pytest.mark.parametrize("executor", ["KubernetesExecutor", "SequentialExecutor", "LOCAL"])
def test_a_task_that_asks_for_another_executor_is_an_error_that_says_which_there_is(executor: str) -> None:
    data = dag(tasks=(TaskSpec(task_id="a", executor=executor),))
    with pytest.raises(SpecError) as caught:
        checked(data, "etl.py", executors=LOCAL)
    assert str(caught.value) == (
        f"task 'a' of DAG 'etl' asks for executor {executor!r}, which is not the configured one (core.executor); "
        "write 'LocalExecutor' or 'local', or leave executor= out"
    )
