"""Data intervals: which interval comes next, for cron and for durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.timetables import runs_between, timetable
from windlass.planning.timetables.expression import CronExpression
from windlass.spec import CronIntervalSpec, DeltaIntervalSpec, RelativeDelta

DAILY = timetable(CronIntervalSpec(expression="0 0 * * *"))
NOW = datetime(2024, 5, 10, 12, tzinfo=UTC)


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2024, 5, number, hour, tzinfo=UTC)


def hours(count: float) -> Timetable:
    return timetable(DeltaIntervalSpec(delta=RelativeDelta(seconds=count * 3600)))


def following(
    schedule: Timetable,
    last: tuple[datetime, datetime] | None = None,
    *,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    catchup: bool = False,
    now: datetime = NOW,
    skip_to_next: bool = False,
) -> tuple[datetime, datetime] | None:
    """Return the next interval, having checked what holds for every run of a data interval."""
    info = schedule.next_dagrun_info(
        last_automated_data_interval=None if last is None else DataInterval(*last),
        restriction=TimeRestriction(start_date, end_date, catchup, now, skip_to_next),
    )
    if info is None:
        return None
    interval = info.data_interval
    assert info.run_after == interval.end > interval.start == info.logical_date
    assert interval.start.tzinfo is UTC
    return interval.start, interval.end


class TestCron:
    def test_the_run_is_due_at_the_end_and_named_by_the_start(self) -> None:
        info = DAILY.next_dagrun_info(
            last_automated_data_interval=None, restriction=TimeRestriction(day(1), None, catchup=True, now=NOW)
        )
        assert info == DagRunInfo.interval(day(1), day(2))
        assert info.run_after == day(2)
        assert info.logical_date == day(1)

    def test_start_date_aligns_up(self) -> None:
        assert following(DAILY, start_date=day(1, 9), catchup=True) == (day(2), day(3))
        assert following(DAILY, start_date=day(1), catchup=True) == (day(1), day(2))

    def test_a_start_date_of_another_zone_is_the_same_instant(self) -> None:
        start = datetime(2024, 5, 1, 9, tzinfo=ZoneInfo("Asia/Tokyo"))  # midnight in UTC
        assert following(DAILY, start_date=start, catchup=True) == (day(1), day(2))

    def test_end_date_bounds_the_start_and_is_inclusive(self) -> None:
        last = (day(3), day(4))
        assert following(DAILY, last, start_date=day(1), end_date=day(4), catchup=True) == (day(4), day(5))
        assert following(DAILY, last, start_date=day(1), end_date=day(3, 23), catchup=True) is None

    def test_catchup_makes_every_interval_each_beginning_where_the_last_one_ended(self) -> None:
        assert following(DAILY, (day(1), day(2)), start_date=day(1), catchup=True) == (day(2), day(3))

    def test_catchup_without_start_date_has_nowhere_to_begin(self) -> None:
        assert following(DAILY, catchup=True) is None

    def test_without_catchup_the_latest_complete_interval_is_next(self) -> None:
        assert following(DAILY, start_date=day(1)) == (day(9), day(10))
        assert following(DAILY, (day(1), day(2)), start_date=day(1)) == (day(9), day(10))
        assert following(DAILY) == (day(9), day(10))

    def test_an_interval_is_complete_at_its_very_end(self) -> None:
        assert following(DAILY, start_date=day(1), now=day(10)) == (day(9), day(10))
        assert following(DAILY, start_date=day(1), now=day(10) - timedelta.resolution) == (day(8), day(9))

    def test_after_the_latest_interval_comes_the_current_one(self) -> None:
        assert following(DAILY, (day(9), day(10)), start_date=day(1)) == (day(10), day(11))

    def test_a_start_date_to_come_is_waited_for(self) -> None:
        assert following(DAILY, start_date=day(20)) == (day(20), day(21))

    def test_skip_to_next_waits_for_the_interval_under_way(self) -> None:
        assert following(DAILY, start_date=day(1), skip_to_next=True) == (day(10), day(11))
        assert following(DAILY, start_date=day(1), skip_to_next=True, now=day(10)) == (day(10), day(11))
        assert following(DAILY, (day(1), day(2)), start_date=day(1), skip_to_next=True) == (day(10), day(11))

    def test_catchup_overrides_skip_to_next(self) -> None:
        assert following(DAILY, start_date=day(1), catchup=True, skip_to_next=True) == (day(1), day(2))

    def test_a_changed_schedule_keeps_whole_intervals(self) -> None:
        weekly = timetable(CronIntervalSpec(expression="0 0 * * 0"))
        assert following(weekly, (day(7), day(8)), start_date=day(1), catchup=True) == (day(5), day(12))

    def test_a_start_date_moved_on_is_respected(self) -> None:
        assert following(DAILY, (day(1), day(2)), start_date=day(6), catchup=True) == (day(6), day(7))

    def test_manual_runs_cover_the_last_complete_interval(self) -> None:
        assert DAILY.infer_manual_data_interval(run_after=day(10, 12)) == DataInterval(day(9), day(10))
        assert DAILY.infer_manual_data_interval(run_after=day(10)) == DataInterval(day(9), day(10))

    def test_the_zone_decides_where_a_day_begins(self) -> None:
        paris = timetable(CronIntervalSpec(expression="0 0 * * *", timezone="Europe/Paris"))
        start = datetime(2024, 3, 30, 23, tzinfo=UTC)  # 31 March, a day of 23 hours
        assert following(paris, start_date=start, catchup=True) == (start, start + timedelta(hours=23))


class TestDelta:
    @pytest.mark.parametrize("catchup", [True, False])
    def test_one_grid_from_start_date_whatever_catchup_says(self, catchup: bool) -> None:
        start = day(10, 1) + timedelta(minutes=7)
        last = (start, start + timedelta(hours=6))
        found = following(hours(6), last, start_date=start, catchup=catchup)
        assert found == (start + timedelta(hours=6), start + timedelta(hours=12))

    def test_catchup_begins_at_start_date(self) -> None:
        assert following(hours(6), start_date=day(1, 5), catchup=True) == (day(1, 5), day(1, 11))

    def test_without_catchup_the_latest_complete_interval_is_next(self) -> None:
        assert following(hours(6), start_date=day(1, 5)) == (day(10, 5), day(10, 11))
        assert following(hours(6), start_date=day(1)) == (day(10, 6), day(10, 12))
        assert following(hours(6), start_date=day(1), skip_to_next=True) == (day(10, 12), day(10, 18))

    def test_end_date_bounds_the_start_and_is_inclusive(self) -> None:
        assert following(hours(24), start_date=day(1), end_date=day(1), catchup=True) == (day(1), day(2))
        assert following(hours(24), (day(1), day(2)), start_date=day(1), end_date=day(1), catchup=True) is None

    def test_without_start_date_the_grid_is_fixed_all_the_same(self) -> None:
        assert following(hours(5)) == following(hours(5), now=NOW + timedelta(minutes=1))

    def test_a_backfill_stays_on_the_grid_of_start_date(self) -> None:
        spec = DeltaIntervalSpec(delta=RelativeDelta(seconds=6 * 3600))
        schedule = timetable(spec, anchor=day(1, 5))
        found = [info.logical_date for info in runs_between(schedule, day(3), day(3, 23))]
        assert found == [day(3, 5), day(3, 11), day(3, 17), day(3, 23)]

    def test_a_timedelta_is_absolute_and_a_calendar_day_is_not(self) -> None:
        start = datetime(2024, 3, 30, 12, tzinfo=ZoneInfo("Europe/Paris"))
        found = []
        for delta in (RelativeDelta(seconds=86400), RelativeDelta(days=1)):
            interval = following(
                timetable(DeltaIntervalSpec(delta=delta, timezone="Europe/Paris")), start_date=start, catchup=True
            )
            assert interval is not None
            found.append(interval[1] - interval[0])
        assert found == [timedelta(hours=24), timedelta(hours=23)]

    def test_manual_runs_end_at_the_trigger(self) -> None:
        assert hours(6).infer_manual_data_interval(run_after=NOW) == DataInterval(NOW - timedelta(hours=6), NOW)
        monthly = timetable(DeltaIntervalSpec(delta=RelativeDelta(months=1)))
        assert monthly.infer_manual_data_interval(run_after=NOW).start == datetime(2024, 4, 10, 12, tzinfo=UTC)


def test_a_backfill_includes_both_bounds() -> None:
    assert [info.logical_date.day for info in runs_between(DAILY, day(3), day(6))] == [3, 4, 5, 6]
    assert [info.logical_date.day for info in runs_between(DAILY, day(3, 1), day(5, 23))] == [4, 5]


schedules = st.one_of(
    st.builds(
        CronIntervalSpec,
        expression=st.sampled_from(["*/10 * * * *", "30 2 * * *", "0 */3 * * *", "15 1 * * SUN", "0 0 1 * *"]),
        timezone=st.sampled_from(["UTC", "Europe/Paris", "America/Sao_Paulo", "Australia/Lord_Howe"]),
    ),
    st.builds(
        DeltaIntervalSpec,
        delta=st.sampled_from([RelativeDelta(seconds=900), RelativeDelta(days=1), RelativeDelta(months=1)]),
        timezone=st.sampled_from(["UTC", "Europe/Paris", "Pacific/Apia"]),
    ),
).map(timetable)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(schedule=schedules, start_date=instants, now=instants, catchup=st.booleans(), skip=st.booleans())
def test_intervals_follow_each_other_without_gap_or_overlap(
    schedule: Timetable, start_date: datetime, now: datetime, catchup: bool, skip: bool
) -> None:
    last = following(schedule, start_date=start_date, catchup=catchup, now=now, skip_to_next=skip)
    assert last is not None
    assert last[0] >= start_date
    for _ in range(5):
        current = following(schedule, last, start_date=start_date, catchup=catchup, now=now)
        assert current is not None
        assert current[0] == last[1]
        last = current


@given(schedule=schedules, start_date=instants, now=instants)
def test_without_catchup_at_most_one_run_is_due_at_once(
    schedule: Timetable, start_date: datetime, now: datetime
) -> None:
    first = following(schedule, start_date=start_date, now=now)
    assert first is not None
    second = following(schedule, first, start_date=start_date, now=now)
    assert second is not None
    assert second[1] > now
    skipped = following(schedule, start_date=start_date, now=now, skip_to_next=True)
    assert skipped is not None
    assert skipped[1] > now


class TestCost:
    """Counted in steps of the expression, so that the machine does not matter."""

    @pytest.fixture
    def steps(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        taken: list[str] = []
        for name in ("after", "before"):
            step = getattr(CronExpression, name)

            def counted(self: CronExpression, wall: datetime, step: object = step, name: str = name) -> object:
                taken.append(name)
                return step(self, wall)  # type: ignore[operator]

            monkeypatch.setattr(CronExpression, name, counted)
        return taken

    def test_ten_missed_years_of_minutes_are_skipped_not_walked(self, steps: list[str]) -> None:
        minutely = timetable(CronIntervalSpec(expression="* * * * *", timezone="Europe/Paris"))
        last = datetime(2014, 5, 1, tzinfo=UTC)
        assert following(minutely, (last, last + timedelta(minutes=1)), start_date=last) == (
            NOW - timedelta(minutes=1),
            NOW,
        )
        assert len(steps) < 10

    def test_a_run_costs_a_few_steps(self, steps: list[str]) -> None:
        nightly = timetable(CronIntervalSpec(expression="30 2 * * *", timezone="Europe/Paris"))
        before = len(steps)
        last = following(nightly, start_date=day(1), catchup=True)
        for _ in range(365):
            last = following(nightly, last, start_date=day(1), catchup=True)
        assert len(steps) - before < 366 * 4
