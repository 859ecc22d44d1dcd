"""SEMANTICS, section 3: presets, cron, durations, timetables; when a run is created and which interval it covers.

The clock starts on Sunday 1 March 2026 at noon.
"""

# ruff: noqa: ANN401 - the values that pass through here are the author's own
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from testing.tests.conformance.steps import MONDAY, good

from windlass import DAG
from windlass.errors import AuthoringError
from windlass.timetables import (
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
)
from windlass_testing.virtual import START, VirtualInstallation


def at(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def scheduled(schedule: Any, **options: Any) -> DAG:
    with DAG("d", schedule=schedule, **{"start_date": at(1, 1, year=2020), **options}) as dag:
        good()
    return dag


PRESETS = [
    ("@hourly", at(3, 1, 11), at(3, 1, 12)),
    ("@daily", at(2, 28), at(3, 1)),
    ("@midnight", at(2, 28), at(3, 1)),
    ("@weekly", at(2, 22), at(3, 1)),
    ("@monthly", at(2, 1), at(3, 1)),
    ("@quarterly", at(10, 1, year=2025), at(1, 1)),
    ("@yearly", at(1, 1, year=2025), at(1, 1)),
    ("@annually", at(1, 1, year=2025), at(1, 1)),
    ("30 6 * * *", at(2, 28, 6, 30), at(3, 1, 6, 30)),
    ("* * * * * */20", at(3, 1, 11, 59, 40), at(3, 1, 12)),
    (timedelta(hours=5), at(3, 1, 4), at(3, 1, 9)),
    (relativedelta(months=1), at(2, 1), at(3, 1)),
    (CronDataIntervalTimetable("0 0 * * *", timezone="UTC"), at(2, 28), at(3, 1)),
    (DeltaDataIntervalTimetable(timedelta(days=1)), at(2, 28), at(3, 1)),
    (CronTriggerTimetable("0 6 * * *"), at(3, 1, 6), at(3, 1, 6)),
    (CronTriggerTimetable("0 6 * * *", interval=timedelta(days=1)), at(2, 28, 6), at(3, 1, 6)),
    (DeltaTriggerTimetable(timedelta(hours=5)), at(3, 1, 9), at(3, 1, 9)),
    (MultipleCronTriggerTimetable("0 6 * * *", "0 9 * * *"), at(3, 1, 9), at(3, 1, 9)),
    (EventsTimetable([at(2, 3), at(2, 14), at(5, 1)]), at(2, 14), at(2, 14)),
]


@pytest.mark.parametrize(("schedule", "start", "end"), PRESETS, ids=[str(row[0]) for row in PRESETS])
def test_every_kind_of_schedule_has_its_latest_complete_interval(
    windlass: VirtualInstallation, schedule: Any, start: datetime, end: datetime
) -> None:
    origin = at(1, 1) if isinstance(schedule, timedelta | DeltaTriggerTimetable) else at(1, 1, year=2020)
    windlass.add(scheduled(schedule, start_date=origin))
    windlass.settle()
    assert windlass.intervals("d") == [(start, end)]


def test_once_runs_once(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@once", start_date=MONDAY))
    windlass.pass_time(timedelta(days=400))
    assert [run.logical_date for run in windlass.runs("d")] == [MONDAY]


def test_none_runs_only_when_triggered(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled(None))
    windlass.pass_time(timedelta(days=400))
    assert windlass.runs("d") == []


def test_continuous_starts_the_next_run_when_the_last_has_ended_and_never_two(windlass: VirtualInstallation) -> None:
    windlass.worker.takes("good", timedelta(hours=1))
    windlass.add(scheduled("@continuous", start_date=START - timedelta(hours=3), max_active_runs=5))
    windlass.pass_time(timedelta(hours=3, minutes=30))
    runs = windlass.runs("d")
    assert [str(run.state) for run in runs] == ["success", "success", "success", "running"]
    for earlier, later in pairwise(runs):
        assert later.data_interval_start == earlier.data_interval_end
        assert earlier.end_date is not None
        assert later.queued_at >= earlier.end_date


def test_day_of_month_and_weekday_both_set_mean_either(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("0 0 13 * 1", start_date=at(2, 9), catchup=True))
    windlass.settle()
    assert [start.day for start, _ in windlass.intervals("d")] == [9, 13, 16]


def test_a_run_for_an_interval_is_created_at_its_end_and_named_by_its_start(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@daily", start_date=at(3, 1), catchup=True))
    windlass.pass_time(timedelta(hours=12) - timedelta(seconds=1))
    assert windlass.runs("d") == []
    windlass.pass_time(timedelta(seconds=1))
    [run] = windlass.runs("d")
    assert (run.logical_date, run.data_interval_start, run.data_interval_end) == (at(3, 1), at(3, 1), at(3, 2))
    assert run.queued_at == at(3, 2)
    assert run.run_id.startswith("scheduled__2026-03-01T00:00:00")


def test_cron_start_date_aligns_up(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@daily", start_date=at(2, 26, 10), catchup=True))
    windlass.settle()
    assert [start for start, _ in windlass.intervals("d")] == [at(2, 27), at(2, 28)]


def test_end_date_bounds_the_start_of_the_interval_and_is_inclusive(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@daily", start_date=at(2, 26), end_date=at(2, 27), catchup=True))
    windlass.pass_time(timedelta(days=5))
    assert [start for start, _ in windlass.intervals("d")] == [at(2, 26), at(2, 27)]


def test_catchup_makes_every_interval_from_start_date(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@daily", start_date=at(2, 20), catchup=True))
    windlass.pass_time(timedelta(days=2))
    assert [start for start, _ in windlass.intervals("d")] == [at(2, 20) + timedelta(days=day) for day in range(11)]


def test_without_catchup_unpausing_makes_one_run_at_once_and_then_each_in_its_time(
    windlass: VirtualInstallation,
) -> None:
    windlass.add(scheduled("@daily"), paused=True)
    windlass.pass_time(timedelta(days=3))
    assert windlass.runs("d") == []
    windlass.control.dags.set_paused("d", paused=False, actor="somebody")
    windlass.settle()
    assert [start for start, _ in windlass.intervals("d")] == [at(3, 3)]
    windlass.pass_time(timedelta(days=2))
    assert [start for start, _ in windlass.intervals("d")] == [at(3, 3), at(3, 4), at(3, 5)]


def test_run_on_unpause_false_waits_for_the_next_interval(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@daily", run_on_unpause=False), paused=True)
    windlass.pass_time(timedelta(days=3))
    windlass.control.dags.set_paused("d", paused=False, actor="somebody")
    windlass.settle()
    assert windlass.runs("d") == []
    windlass.pass_time(timedelta(days=1))
    assert [start for start, _ in windlass.intervals("d")] == [at(3, 4)]


@pytest.mark.parametrize("catchup", [True, False])
def test_a_timedelta_is_one_grid_anchored_at_start_date_whatever_catchup_says(
    windlass: VirtualInstallation, catchup: bool
) -> None:
    windlass.add(scheduled(timedelta(hours=7), start_date=at(2, 28, 1), catchup=catchup))
    windlass.pass_time(timedelta(days=1))
    starts = [start for start, _ in windlass.intervals("d")]
    assert {(start - at(2, 28, 1)) % timedelta(hours=7) for start in starts} == {timedelta(0)}
    assert len(starts) == (8 if catchup else 4)


def test_a_paused_dag_gets_no_scheduled_run_and_its_queued_runs_wait(windlass: VirtualInstallation) -> None:
    windlass.add(scheduled("@hourly"), paused=True)
    windlass.trigger("d")
    windlass.pass_time(timedelta(hours=5))
    assert [(str(run.run_type), str(run.state)) for run in windlass.runs("d")] == [("manual", "queued")]


@pytest.mark.parametrize("schedule", ["0 0 31 2 *", "every day", "61 * * * *", 5, timedelta(0)])
def test_what_is_no_schedule_is_refused_naming_the_dag(windlass: VirtualInstallation, schedule: Any) -> None:
    with pytest.raises(AuthoringError, match="DAG 'd'"):
        windlass.add(scheduled(schedule))


@pytest.mark.parametrize("name", ["schedule", "schedule_interval", "timetable"])
def test_the_schedule_has_its_old_names(windlass: VirtualInstallation, name: str) -> None:
    options: dict[str, Any] = {name: "@daily"}
    with DAG("d", start_date=at(1, 1), **options) as dag:
        good()
    windlass.add(dag)
    windlass.settle()
    assert windlass.intervals("d") == [(at(2, 28), at(3, 1))]
