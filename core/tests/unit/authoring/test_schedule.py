"""What may stand at ``schedule=``, as data."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from windlass import DAG, Asset, AssetAlias
from windlass.authoring.schedule import (
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
)
from windlass.errors import AuthoringError
from windlass.interfaces.provider import Provider
from windlass.registry.catalog import Catalog
from windlass.registry.lookup import Registry
from windlass.spec import (
    AssetCondition,
    AssetOrTimeSpec,
    AssetScheduleSpec,
    ContinuousSpec,
    CronIntervalSpec,
    CronTriggerSpec,
    CustomTimetableSpec,
    DagSpec,
    DeltaIntervalSpec,
    DeltaTriggerSpec,
    EventsSpec,
    NullSpec,
    OnceSpec,
    RelativeDelta,
)
from windlass.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable

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
        (
            DeltaTriggerTimetable(timedelta(hours=2)),
            DeltaTriggerSpec(delta=RelativeDelta(seconds=7200), timezone="Europe/Paris"),
            "2:00:00",
        ),
        (
            DeltaDataIntervalTimetable(timedelta(hours=2)),
            DeltaIntervalSpec(delta=RelativeDelta(seconds=7200), timezone="Europe/Paris"),
            "2:00:00",
        ),
        (
            AssetOrTimeSchedule(timetable="@daily", assets=A),
            AssetOrTimeSpec(
                condition=AssetCondition(asset="a"),
                timetable=CronIntervalSpec(expression="0 0 * * *", timezone="Europe/Paris"),
            ),
            "Asset or @daily",
        ),
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


def test_run_immediately_takes_a_timedelta() -> None:
    made = spec(CronTriggerTimetable("5 4 * * *", run_immediately=timedelta(hours=1))).schedule
    assert isinstance(made, CronTriggerSpec)
    assert made.run_immediately == 3600.0
    with pytest.raises(AuthoringError, match="run_immediately must be True, False or a timedelta, not 'soon'"):
        CronTriggerTimetable("5 4 * * *", run_immediately="soon")  # type: ignore[arg-type]


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


# --- Timetables of one's own


class Moon(Timetable):
    """A timetable that is this file's own: its class is in no manifest."""

    active_runs_limit = 2

    def __init__(self, phase: int, data: Any = None) -> None:  # noqa: ANN401 - what is tested
        self.phase, self.data = phase, data

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        raise AssertionError("a timetable is not asked when its DAG is parsed")

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        raise AssertionError("nor is this")

    def serialize(self) -> dict[str, Any]:
        return {"phase": self.phase} if self.data is None else self.data

    def validate(self) -> None:
        if self.phase > 4:
            raise AuthoringError("there are four phases")


class Forgetful(Moon):
    """Does not come back as what it was."""

    def serialize(self) -> dict[str, Any]:
        return {"phase": self.phase * 2}


def test_a_timetable_of_the_dags_own_code_becomes_data() -> None:
    made = DAG("d", schedule=Moon(3)).to_spec()
    assert made.schedule == CustomTimetableSpec(name="Moon", data={"phase": 3}, summary="Moon")
    assert (made.schedule_summary, made.max_active_runs) == ("Moon", 2)


def test_a_timetable_of_a_provider_goes_by_its_name_in_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(name="acme", timetables={"acme.Moon": f"{__name__}:Moon"})
    registry = Registry(lambda: Catalog((provider,), ()))
    monkeypatch.setattr("windlass.registry.registry", lambda: registry)
    schedule = DAG("d", schedule=Moon(3)).to_spec().schedule
    assert isinstance(schedule, CustomTimetableSpec)
    assert schedule.name == "acme.Moon"


def test_an_installed_class_that_is_in_no_manifest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "__file__", f"{sys.prefix}/lib/site-packages/acme.py")
    with pytest.raises(AuthoringError, match="timetable Moon is in no provider's manifest; register it"):
        DAG("d", schedule=Moon(3)).to_spec()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (Moon(5), "DAG 'd': timetable Moon: there are four phases"),
        (Forgetful(1), r"does not survive serialize\(\) and deserialize\(\): .* serialize every parameter"),
        (Moon(1, data={"phase": {1, 2}, "x": object()}), "must return JSON values"),
        (Moon(1, data={"moon": 1}), "raised TypeError: .*moon"),
    ],
)
def test_a_timetable_that_cannot_travel_is_an_error_of_its_dag(table: Moon, sentence: str) -> None:
    with pytest.raises(AuthoringError, match=sentence):
        DAG("d", schedule=table).to_spec()


def test_a_timetable_of_ones_own_can_be_joined_with_assets() -> None:
    found = DAG("d", schedule=AssetOrTimeSchedule(timetable=Moon(3), assets=A)).to_spec()
    assert isinstance(found.schedule, AssetOrTimeSpec)
    assert found.schedule.timetable == DAG("d", schedule=Moon(3)).to_spec().schedule
    assert found.schedule_summary == f"Asset or {Moon(3).summary}"
