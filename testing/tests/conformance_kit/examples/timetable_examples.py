"""Timetables that TimetableSuite must reject, each with one thing wrong; the first is sound."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from variants import provider

from windlass.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass_testing.conformance import TimetableSuite

NAMES = ("Daily", "Forgetful", "Mute", "Moody", "Stuck", "Hasty", "Unbound", "Endless", "Untidy", "Local", "Ahead")
LISTED = "".join(f'            "{__name__}.{name}": "{__name__}:{name}",\n' for name in NAMES)
provider(
    "kit",
    ("plugin.py", "        triggers={\n", f"        timetables={{\n{LISTED}        }},\n        triggers={{\n"),
)
DAY = timedelta(days=1)


class Daily(Timetable):
    """Each day at an hour, in UTC."""

    def __init__(self, hour: int = 0) -> None:
        self.hour = hour

    @property
    def summary(self) -> str:
        return f"at {self.hour}"

    def at_or_after(self, moment: datetime) -> datetime:
        moment = moment.astimezone(UTC)
        at = moment.replace(hour=self.hour, minute=0, second=0, microsecond=0)
        return at if at >= moment else at + DAY

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        earliest = restriction.earliest
        if earliest is None:
            return None
        start = self.at_or_after(earliest)
        if last_automated_data_interval is not None:
            start = max(start, last_automated_data_interval.end)
        if not restriction.catchup:
            missed = self.at_or_after(restriction.now) - DAY
            start = max(start, missed if restriction.skip_to_next else missed - DAY)
        if restriction.latest is not None and start > restriction.latest:
            return None
        return DagRunInfo.interval(start, start + DAY)

    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        end = self.at_or_after(run_after) - DAY
        return DataInterval(end - DAY, end)

    def serialize(self) -> dict[str, Any]:
        return {"hour": self.hour}


class Kit(TimetableSuite):
    """Tries two hours."""

    def timetables(self) -> Mapping[str, Timetable]:
        return {"midnight": self.timetable_class(), "noon": self.timetable_class(12)}  # type: ignore[call-arg]


class TestSound(Kit):
    breaks: set[str] = set()
    timetable_class = Daily


class Unlisted(Daily):
    pass


class TestIsNotListed(Kit):
    breaks = {"test_its_provider_lists_it"}
    timetable_class = Unlisted


class Forgetful(Daily):
    def serialize(self) -> dict[str, Any]:
        return {}


class TestForgetsItsParameter(Kit):
    breaks = {"test_it_comes_back_equal_from_what_is_stored"}
    timetable_class = Forgetful


class Untidy(Daily):
    def serialize(self) -> dict[str, Any]:
        return {"hour": self.hour, "since": datetime(2026, 1, 1, tzinfo=UTC)}


class TestSerialisesWhatIsNoJson(Kit):
    breaks = {"test_it_comes_back_equal_from_what_is_stored"}
    timetable_class = Untidy


class Mute(Daily):
    description = "first line\nsecond line"


class TestDescribesItselfAtLength(Kit):
    breaks = {"test_it_describes_itself"}
    timetable_class = Mute


class Moody(Daily):
    count = itertools.count()

    def next_dagrun_info(self, **question: Any) -> DagRunInfo | None:
        run = super().next_dagrun_info(**question)
        late = timedelta(seconds=next(self.count))
        return None if run is None else DagRunInfo(run_after=run.run_after + late, data_interval=run.data_interval)


class TestAnswersDifferentlyEachTime(Kit):
    breaks = {
        "test_the_same_question_gets_the_same_answer",
        "test_it_comes_back_equal_from_what_is_stored",
        "test_runs_keep_to_the_dates_of_the_dag",
        "test_the_zone_of_a_date_changes_nothing",
    }
    timetable_class = Moody


class Stuck(Daily):
    def next_dagrun_info(self, **question: Any) -> DagRunInfo | None:
        last = question["last_automated_data_interval"]
        run = super().next_dagrun_info(**question)
        repeats = last is not None and last.start.day % 7 == 1
        return DagRunInfo.interval(last.start, last.end) if repeats and run is not None else run


class TestRepeatsARun(Kit):
    breaks = {
        "test_each_run_is_later_than_the_one_before",
        "test_runs_keep_to_the_dates_of_the_dag",
        "test_without_catchup_missed_periods_are_left_out",
    }
    timetable_class = Stuck


class Hasty(Daily):
    def next_dagrun_info(self, **question: Any) -> DagRunInfo | None:
        run = super().next_dagrun_info(**question)
        return None if run is None else DagRunInfo(run_after=run.logical_date, data_interval=run.data_interval)


class TestIsDueBeforeItsDataIsThere(Kit):
    breaks = {"test_no_run_is_due_before_its_data_is_there", "test_without_catchup_missed_periods_are_left_out"}
    timetable_class = Hasty


class Unbound(Daily):
    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        run = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        first = run is not None and last_automated_data_interval is None and restriction.catchup
        return DagRunInfo.interval(run.logical_date - DAY, run.logical_date) if first and run is not None else run


class TestBeginsBeforeTheDag(Kit):
    breaks = {"test_runs_keep_to_the_dates_of_the_dag"}
    timetable_class = Unbound


class Endless(Daily):
    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        unbounded = TimeRestriction(
            earliest=restriction.earliest,
            latest=None,
            catchup=restriction.catchup,
            now=restriction.now,
            skip_to_next=restriction.skip_to_next,
        )
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=unbounded
        )


class TestGoesOnAfterTheDag(Kit):
    breaks = {"test_runs_keep_to_the_dates_of_the_dag"}
    timetable_class = Endless


class Local(Daily):
    def at_or_after(self, moment: datetime) -> datetime:
        at = moment.replace(hour=self.hour, minute=0, second=0, microsecond=0)
        return at if at >= moment else at + DAY


class TestGoesByTheZoneOfADate(Kit):
    breaks = {"test_the_zone_of_a_date_changes_nothing"}
    timetable_class = Local


class Ahead(Daily):
    def infer_manual_data_interval(self, *, run_after: datetime) -> DataInterval:
        return DataInterval(run_after + DAY, run_after + 2 * DAY)


class TestGivesARunByHandDataOfTheFuture(Kit):
    breaks = {"test_a_run_by_hand_has_a_data_interval"}
    timetable_class = Ahead
