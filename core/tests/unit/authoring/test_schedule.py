"""What may stand at ``schedule=``, as data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from windlass import DAG, Asset, AssetAlias
from windlass.authoring.schedule import (
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
)
from windlass.errors import AuthoringError
from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    ContinuousSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    DagSpec,
    DeltaIntervalSpec,
    DeltaTriggerSpec,
    EventsSpec,
    NullSpec,
    OnceSpec,
    RelativeDelta,
)

A, B, C = Asset("a"), Asset("b"), Asset("c")
PARIS = ZoneInfo("Europe/Paris")


def spec(schedule: Any) -> DagSpec:  # noqa: ANN401 - what is tested
    return DAG("d", schedule=schedule, start_date=datetime(2026, 1, 1, tzinfo=PARIS)).to_spec()


@pytest.mark.parametrize(
    ("schedule", "expected", "summary"),
    [
        (None, NullSpec(), "None"),
        ("@once", OnceSpec(), "@once"),
        ("@continuous", ContinuousSpec(), "@continuous"),
        ("@daily", CronIntervalSpec(expression="0 0 * * *", timezone="Europe/Paris"), "@daily"),
        ("5 4 * * *", CronIntervalSpec(expression="5 4 * * *", timezone="Europe/Paris"), "5 4 * * *"),
        (timedelta(hours=1), DeltaIntervalSpec(delta=RelativeDelta(seconds=3600), timezone="Europe/Paris"), "1:00:00"),
        (CronDataIntervalTimetable("5 4 * * *"), CronIntervalSpec(expression="5 4 * * *"), "5 4 * * *"),
        (CronDataIntervalTimetable("@daily"), CronIntervalSpec(expression="0 0 * * *"), "@daily"),
        (CronTriggerTimetable("@weekly"), CronTriggerSpec(expressions=("0 0 * * 0",)), "@weekly"),
        (
            MultipleCronTriggerTimetable("@hourly", "5 4 * * *"),
            CronTriggerSpec(expressions=("0 * * * *", "5 4 * * *")),
            "@hourly, 5 4 * * *",
        ),
        (
            CronTriggerTimetable("5 4 * * *", timezone=PARIS, interval=timedelta(days=1)),
            CronTriggerSpec(expressions=("5 4 * * *",), timezone="Europe/Paris", interval=RelativeDelta(seconds=86400)),
            "5 4 * * *",
        ),
        (
            MultipleCronTriggerTimetable("0 1 * * *", "0 2 * * *", timezone="UTC"),
            CronTriggerSpec(expressions=("0 1 * * *", "0 2 * * *")),
            "0 1 * * *, 0 2 * * *",
        ),
        (DeltaTriggerTimetable(timedelta(hours=2)), DeltaTriggerSpec(delta=RelativeDelta(seconds=7200)), "2:00:00"),
        (
            EventsTimetable([datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]),
            EventsSpec(instants=(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))),
            "2 events",
        ),
        ([A], AssetScheduleSpec(condition=AssetCondition(asset="a")), "Asset"),
        (
            [A, B],
            AssetScheduleSpec(condition=AssetCondition(all_of=(AssetCondition(asset="a"), AssetCondition(asset="b")))),
            "Asset",
        ),
        (
            (A & B) | AssetAlias("x"),
            AssetScheduleSpec(
                condition=AssetCondition(
                    any_of=(
                        AssetCondition(all_of=(AssetCondition(asset="a"), AssetCondition(asset="b"))),
                        AssetCondition(alias="x"),
                    )
                )
            ),
            "Asset",
        ),
        (
            AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 0 * * *"), assets=A | B),
            AssetOrTimeSpec(
                condition=AssetCondition(any_of=(AssetCondition(asset="a"), AssetCondition(asset="b"))),
                timetable=CronTriggerSpec(expressions=("0 0 * * *",)),
            ),
            "Asset or 0 0 * * *",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_schedules_become_data(schedule: object, expected: object, summary: str) -> None:
    made = spec(schedule)
    assert (made.schedule, made.schedule_summary) == (expected, summary)


def test_chained_conditions_are_flat() -> None:
    assert spec(A & B & C).schedule == AssetScheduleSpec(
        condition=AssetCondition(all_of=tuple(AssetCondition(asset=name) for name in "abc"))
    )


def test_continuous_runs_one_at_a_time() -> None:
    assert spec("@continuous").max_active_runs == 1


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("61 * * * *", r"DAG 'd': cron expression '61 \* \* \* \*'"),
        ("@dayly", r"DAG 'd': schedule '@dayly' is not a preset; did you mean '@daily'\?"),
        (5, "schedule 5 is a int"),
        (["a"], "an asset schedule is made of assets, not 'a'"),
        (CronTriggerTimetable("x"), "cron expression 'x'"),
        (CronTriggerTimetable("@once"), "cron expression '@once'"),
    ],
)
def test_what_is_no_schedule_is_refused_at_the_dag(schedule: object, message: str) -> None:
    with pytest.raises(AuthoringError, match=message):
        spec(schedule)


def test_assets_need_a_name_or_uri() -> None:
    with pytest.raises(AuthoringError, match="needs a name or a uri"):
        Asset()
    with pytest.raises(AuthoringError, match="ASCII"):
        Asset("ä")
    assert (Asset("n", "s3://x").uri, Asset(uri="s3://x").name) == ("s3://x", "s3://x")
