"""Never, once, and continuously."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction
from windlass.planning.timetables import timetable
from windlass.spec import AssetCondition, AssetScheduleSpec, ContinuousSpec, NullSpec, OnceSpec, TimetableSpec

NOW = datetime(2024, 5, 10, 12, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(days=3), NOW + timedelta(days=3)


def following(
    spec: TimetableSpec,
    last: tuple[datetime, datetime] | None = None,
    *,
    start_date: datetime | None = None,
    end_date: datetime | None = None,
    now: datetime = NOW,
) -> DagRunInfo | None:
    answers = {
        timetable(spec).next_dagrun_info(
            last_automated_data_interval=None if last is None else DataInterval(*last),
            restriction=TimeRestriction(start_date, end_date, catchup, now, skip),
        )
        for catchup in (True, False)
        for skip in (True, False)
    }
    (answer,) = answers  # neither catchup nor skip_to_next changes it
    return answer


@pytest.mark.parametrize("spec", [NullSpec(), AssetScheduleSpec(condition=AssetCondition(asset="s3://a"))])
def test_no_schedule_by_time_never_runs(spec: TimetableSpec) -> None:
    assert following(spec, start_date=PAST) is None


@pytest.mark.parametrize("spec", [NullSpec(), OnceSpec(), ContinuousSpec()])
def test_manual_runs_cover_the_instant_of_the_trigger(spec: TimetableSpec) -> None:
    assert timetable(spec).infer_manual_data_interval(run_after=NOW) == DataInterval(NOW, NOW)


class TestOnce:
    def test_runs_at_start_date_or_at_once(self) -> None:
        assert following(OnceSpec(), start_date=PAST) == DagRunInfo.exact(PAST)
        assert following(OnceSpec(), start_date=FUTURE) == DagRunInfo.exact(FUTURE)
        assert following(OnceSpec()) == DagRunInfo.exact(NOW)

    def test_does_not_run_again(self) -> None:
        assert following(OnceSpec(), (PAST, PAST), start_date=PAST) is None

    def test_does_not_run_after_end_date(self) -> None:
        assert following(OnceSpec(), start_date=PAST, end_date=PAST) == DagRunInfo.exact(PAST)
        assert following(OnceSpec(), end_date=PAST) is None


class TestContinuous:
    def test_the_first_run_covers_the_time_since_start_date(self) -> None:
        assert following(ContinuousSpec(), start_date=PAST) == DagRunInfo.interval(PAST, NOW)

    def test_each_run_covers_the_time_since_the_last_one(self) -> None:
        last = (PAST, PAST + timedelta(hours=1))
        assert following(ContinuousSpec(), last, start_date=PAST) == DagRunInfo.interval(last[1], NOW)

    def test_a_start_date_to_come_is_waited_for(self) -> None:
        assert following(ContinuousSpec(), start_date=FUTURE) == DagRunInfo.exact(FUTURE)

    def test_nothing_runs_after_end_date(self) -> None:
        assert following(ContinuousSpec(), start_date=PAST, end_date=NOW) is not None
        assert following(ContinuousSpec(), start_date=PAST, end_date=NOW - timedelta.resolution) is None

    def test_without_start_date_no_two_runs_share_a_logical_date(self) -> None:
        first = following(ContinuousSpec())
        assert first == DagRunInfo.exact(NOW)
        second = following(ContinuousSpec(), (NOW, NOW), now=NOW + timedelta(seconds=5))
        assert second is not None
        assert second.logical_date > first.logical_date
        assert second.data_interval.end == NOW + timedelta(seconds=5)

    def test_only_one_run_is_active_at_a_time(self) -> None:
        assert timetable(ContinuousSpec()).active_runs_limit == 1
        assert timetable(OnceSpec()).active_runs_limit is None
