"""Every kind of schedule has its timetable, except a plugin's; and the interface that plugins share."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from windlass.errors import AuthoringError
from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.timetables import timetable
from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    ContinuousSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    CustomTimetableSpec,
    DeltaIntervalSpec,
    DeltaTriggerSpec,
    EventsSpec,
    NullSpec,
    OnceSpec,
    RelativeDelta,
    TimetableSpec,
)

NOW = datetime(2024, 5, 10, 12, tzinfo=UTC)
CONDITION = AssetCondition(asset="s3://bucket/a")
HOUR = RelativeDelta(seconds=3600.0)
SUMMARIES: dict[TimetableSpec, str] = {
    NullSpec(): "None",
    OnceSpec(): "@once",
    ContinuousSpec(): "@continuous",
    CronIntervalSpec(expression="0 6 * * *"): "0 6 * * *",
    DeltaIntervalSpec(delta=HOUR): "1:00:00",
    CronTriggerSpec(expressions=("0 6 * * *", "0 9 * * *")): "0 6 * * *, 0 9 * * *",
    DeltaTriggerSpec(delta=HOUR): "1:00:00",
    EventsSpec(instants=(NOW,)): "1 event",
    AssetScheduleSpec(condition=CONDITION): "Asset",
    AssetOrTimeSpec(condition=CONDITION, timetable=CronIntervalSpec(expression="0 6 * * *")): "0 6 * * *",
}


@pytest.mark.parametrize("spec", SUMMARIES, ids=lambda spec: type(spec).__name__)
def test_every_kind_of_schedule_has_a_timetable(spec: TimetableSpec) -> None:
    schedule = timetable(spec)
    assert schedule.summary == SUMMARIES[spec]
    assert schedule.description


def test_no_kind_is_forgotten() -> None:
    assert {type(spec) for spec in SUMMARIES} == set(get_args(TimetableSpec)) - {CustomTimetableSpec}


def test_asset_or_time_runs_by_its_time_half() -> None:
    time_half = CronIntervalSpec(expression="0 6 * * *")
    question: dict[str, Any] = {
        "last_automated_data_interval": None,
        "restriction": TimeRestriction(NOW, None, catchup=True, now=NOW),
    }
    both = timetable(AssetOrTimeSpec(condition=CONDITION, timetable=time_half))
    assert both.next_dagrun_info(**question) == timetable(time_half).next_dagrun_info(**question)


def test_a_plugins_timetable_is_not_evaluated_here() -> None:
    with pytest.raises(AuthoringError, match="timetable 'tides' is a plugin's; ask it through a timetable workload"):
        timetable(CustomTimetableSpec(name="tides", data={}))


def test_a_timetable_imports_neither_a_clock_nor_dateutil() -> None:
    script = "import sys, windlass.planning.timetables; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"dateutil", "logging", "random", "sqlite3", "socket", "asyncio", "windlass.authoring"} & set(loaded)


class Tides(Timetable):
    """A plugin's timetable, as small as one can be."""

    def __init__(self, port: str) -> None:
        self.port = port

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        return None

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval.exact(run_after)

    def serialize(self) -> dict[str, Any]:
        return {"port": self.port}


class TestInterface:
    def test_a_plugins_timetable_needs_two_methods_and_its_parameters(self) -> None:
        rebuilt = Tides.deserialize(Tides("Brest").serialize())
        assert rebuilt.port == "Brest"
        assert rebuilt.summary == "Tides"
        rebuilt.validate()

    def test_an_interval_and_a_run_refuse_a_datetime_without_zone(self) -> None:
        naive = NOW.replace(tzinfo=None)
        with pytest.raises(
            AuthoringError, match="data interval start 2024-05-10T12:00:00 has no time zone; give an aware"
        ):
            DataInterval(naive, NOW)
        with pytest.raises(AuthoringError, match="data interval end"):
            DataInterval(NOW, naive)
        with pytest.raises(AuthoringError, match="run_after"):
            DagRunInfo(run_after=naive, data_interval=DataInterval.exact(NOW))

    def test_an_interval_does_not_end_before_it_starts(self) -> None:
        with pytest.raises(AuthoringError, match="before its start"):
            DataInterval(NOW, NOW - timedelta(seconds=1))
