"""Points in time: cron triggers, duration triggers, listed events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.errors import AuthoringError
from windlass.interfaces.timetable import DataInterval, TimeRestriction, Timetable
from windlass.planning.timetables import timetable
from windlass.spec import CronTriggerSpec, DeltaTriggerSpec, EventsSpec, RelativeDelta

NOTHING = RelativeDelta()
NOW = datetime(2024, 5, 10, 12, 30, tzinfo=UTC)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 5, day, hour, minute, tzinfo=UTC)


def cron(*expressions: str, interval: RelativeDelta = NOTHING, run_immediately: bool | float = False) -> Timetable:
    return timetable(CronTriggerSpec(expressions=expressions, interval=interval, run_immediately=run_immediately))


def following(
    schedule: Timetable,
    last: datetime | None = None,
    *,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    catchup: bool = False,
    now: datetime = NOW,
    skip_to_next: bool = False,
) -> datetime | None:
    info = schedule.next_dagrun_info(
        last_automated_data_interval=None if last is None else DataInterval.exact(last),
        restriction=TimeRestriction(start_date, end_date, catchup, now, skip_to_next),
    )
    if info is not None:
        assert info.run_after == info.data_interval.end
    return None if info is None else info.run_after


class TestCron:
    def test_runs_at_the_instant_itself(self) -> None:
        info = cron("0 18 * * *").next_dagrun_info(
            last_automated_data_interval=None, restriction=TimeRestriction(at(1), None, catchup=True, now=NOW)
        )
        assert info is not None
        assert info.run_after == info.logical_date == at(1, 18)
        assert info.data_interval == DataInterval.exact(at(1, 18))

    def test_the_data_interval_reaches_back_by_its_own_length(self) -> None:
        weekly = cron("0 18 * * FRI", interval=RelativeDelta(days=4, seconds=9 * 3600.0))
        info = weekly.next_dagrun_info(
            last_automated_data_interval=DataInterval(at(1), at(3, 18)),
            restriction=TimeRestriction(at(1), None, catchup=True, now=NOW),
        )
        assert info is not None
        assert info.data_interval == DataInterval(at(6, 9), at(10, 18))
        assert weekly.infer_manual_data_interval(run_after=at(10, 18)) == info.data_interval

    def test_start_date_aligns_up_and_end_date_is_inclusive(self) -> None:
        daily = cron("0 6 * * *")
        assert following(daily, start_date=at(1, 6), catchup=True) == at(1, 6)
        assert following(daily, start_date=at(1, 7), catchup=True) == at(2, 6)
        assert following(daily, at(2, 6), end_date=at(3, 6), catchup=True) == at(3, 6)
        assert following(daily, at(2, 6), end_date=at(3, 5), catchup=True) is None

    def test_without_catchup_the_latest_instant_is_next(self) -> None:
        daily = cron("0 6 * * *")
        assert following(daily, start_date=at(1)) == at(10, 6)
        assert following(daily, at(3, 6), start_date=at(1)) == at(10, 6)
        assert following(daily, at(10, 6), start_date=at(1)) == at(11, 6)
        assert following(daily, start_date=at(20)) == at(20, 6)

    def test_skip_to_next_waits(self) -> None:
        daily = cron("0 6 * * *")
        assert following(daily, start_date=at(1), skip_to_next=True) == at(11, 6)
        assert following(daily, start_date=at(1), skip_to_next=True, now=at(10, 6)) == at(11, 6)
        assert following(daily, start_date=at(1), skip_to_next=True, catchup=True) == at(1, 6)

    @pytest.mark.parametrize("catchup", [True, False])
    def test_without_start_date_it_waits_unless_told_to_run_immediately(self, catchup: bool) -> None:
        assert following(cron("0 6 * * *"), catchup=catchup) == at(11, 6)
        assert following(cron("0 6 * * *", run_immediately=True), catchup=catchup) == at(10, 6)

    def test_run_immediately_may_say_how_long_ago_is_soon_enough(self) -> None:
        soon = cron("0 6 * * *", run_immediately=3600.0)
        assert following(soon, now=at(11, 7)) == at(11, 6)
        assert following(soon, now=at(11, 7, 1)) == at(12, 6)

    def test_without_start_date_the_instant_waited_for_is_not_missed_by_asking_a_moment_late(self) -> None:
        daily = cron("0 6 * * *")
        assert following(daily, now=at(11, 5, 59)) == at(11, 6)
        assert following(daily, now=at(11, 6)) == at(11, 6)
        assert following(daily, now=at(11, 6, 5)) == at(11, 6)
        assert following(daily, now=at(11, 6, 6)) == at(12, 6)

    def test_run_immediately_means_nothing_once_there_is_a_start_date_or_a_run(self) -> None:
        immediate = cron("0 6 * * *", run_immediately=True)
        assert following(immediate, start_date=at(1), catchup=True) == at(1, 6)
        assert following(immediate, at(3, 6), catchup=True) == at(4, 6)

    def test_several_expressions_make_one_run_when_they_fire_together(self) -> None:
        both = cron("0 */12 * * *", "0 */8 * * *")
        found, last = [], at(1)
        for _ in range(5):
            last = following(both, last, start_date=at(1), catchup=True) or last
            found.append((last.day, last.hour))
        assert found == [(1, 8), (1, 12), (1, 16), (2, 0), (2, 8)]

    def test_several_expressions_without_catchup_keep_only_the_latest(self) -> None:
        assert following(cron("0 6 * * *", "0 11 * * *"), start_date=at(1)) == at(10, 11)


class TestDelta:
    def test_one_grid_from_start_date(self) -> None:
        every = timetable(DeltaTriggerSpec(delta=RelativeDelta(seconds=7 * 3600.0)))
        assert following(every, start_date=at(1, 2), catchup=True) == at(1, 2)
        assert following(every, at(1, 2), start_date=at(1, 2), catchup=True) == at(1, 9)
        assert following(every, start_date=at(10, 2)) == at(10, 9)

    def test_without_start_date_it_runs_at_once(self) -> None:
        first = following(timetable(DeltaTriggerSpec(delta=RelativeDelta(seconds=7 * 3600.0))))
        assert first is not None
        assert NOW - timedelta(hours=7) < first <= NOW

    def test_a_duration_of_nothing_is_refused(self) -> None:
        with pytest.raises(AuthoringError, match="does not move time on"):
            timetable(DeltaTriggerSpec(delta=RelativeDelta()))


class TestEvents:
    EVENTS = timetable(EventsSpec(instants=(at(12), at(3), at(8), at(3))))

    def test_runs_at_each_event_in_order_once(self) -> None:
        assert following(self.EVENTS, start_date=at(1), catchup=True) == at(3)
        assert following(self.EVENTS, at(3), start_date=at(1), catchup=True) == at(8)
        assert following(self.EVENTS, at(8), start_date=at(1), catchup=True) == at(12)
        assert following(self.EVENTS, at(12), start_date=at(1), catchup=True) is None

    def test_without_catchup_the_latest_past_event_is_next(self) -> None:
        assert following(self.EVENTS, start_date=at(1)) == at(8)
        assert following(self.EVENTS, start_date=at(9)) == at(12)
        assert following(self.EVENTS, start_date=at(1), skip_to_next=True) == at(12)
        assert following(self.EVENTS) == at(12)

    def test_nothing_is_left_after_the_last_event(self) -> None:
        assert following(self.EVENTS, at(12), start_date=at(1), now=at(20)) is None
        assert following(self.EVENTS, start_date=at(13), now=at(20)) is None
        assert following(self.EVENTS, start_date=at(1), now=at(20), skip_to_next=True) is None
        assert following(self.EVENTS, at(8), end_date=at(11)) is None

    def test_an_empty_list_never_runs(self) -> None:
        assert following(timetable(EventsSpec(instants=())), start_date=at(1), catchup=True) is None
        assert following(timetable(EventsSpec(instants=()))) is None

    def test_manual_runs_may_be_bound_to_events(self) -> None:
        bound = timetable(EventsSpec(instants=(at(3), at(8)), restrict_to_events=True))
        assert self.EVENTS.infer_manual_data_interval(run_after=NOW) == DataInterval.exact(NOW)
        assert bound.infer_manual_data_interval(run_after=at(5)) == DataInterval.exact(at(3))
        assert bound.infer_manual_data_interval(run_after=at(8)) == DataInterval.exact(at(8))
        assert bound.infer_manual_data_interval(run_after=at(1)) == DataInterval.exact(at(3))
        assert following(bound, at(3), start_date=at(1), catchup=True) == at(8)
