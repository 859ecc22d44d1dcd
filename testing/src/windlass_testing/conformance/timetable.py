"""TimetableSuite: a timetable answers from its arguments alone, always goes forward, and keeps to its bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from windlass.registry import registry
from windlass.timetables import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass_testing.conformance.suite import Suite, must_give

#: Beginnings: an ordinary day, a leap day, the hours in which European clocks change, the end of a year, a microsecond.
STARTS: Final[tuple[datetime, ...]] = (
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)
#: How many runs in a row are looked at.
_RUNS: Final = 50


class TimetableSuite(Suite):
    """Checks a timetable class by some of its instances.

    A subclass::

        class TestWorkdays(TimetableSuite):
            timetable_class = WorkdayTimetable

            def timetables(self): return {"plain": WorkdayTimetable(), "late": WorkdayTimetable(hour=23)}
    """

    #: The class under test.
    timetable_class: type[Timetable]

    def timetables(self) -> Mapping[str, Timetable]:
        """Return instances to try, by what is special about them. Override it."""
        must_give(self, "timetables(): instances to try, by name")

    def test_its_provider_lists_it(self) -> None:
        """Under the dotted path of its class, by which stored DAGs name it."""
        name = registry().name_of("timetables", self.timetable_class)
        cls = self.timetable_class
        assert name == f"{cls.__module__}.{cls.__qualname__}", f"timetables= of its manifest calls it {name}"

    def test_it_comes_back_equal_from_what_is_stored(self) -> None:
        """`serialize` gives JSON values, and the timetable made of them answers the same."""
        for what, timetable in self.timetables().items():
            stored = json.loads(json.dumps(timetable.serialize()))
            again = type(timetable).deserialize(stored)
            assert again.serialize() == timetable.serialize(), what
            for start in STARTS:
                assert list(schedule(again, start)) == list(schedule(timetable, start)), f"{what} from {start}"

    def test_it_describes_itself(self) -> None:
        """In a word for lists, and in a line for people; a parameter that can be is accepted."""
        for what, timetable in self.timetables().items():
            timetable.validate()
            assert timetable.summary, what
            assert "\n" not in f"{timetable.summary}{timetable.description}", what

    def test_the_same_question_gets_the_same_answer(self) -> None:
        """It keeps no memory of what it was asked, and looks at no clock."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                first = list(schedule(timetable, start))
                assert list(schedule(timetable, start)) == first, f"{what} from {start}"

    def test_each_run_is_later_than_the_one_before(self) -> None:
        """Else the scheduler would create the same run for ever."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                runs = list(schedule(timetable, start))
                for before, after in pairwise(runs):
                    assert after.logical_date > before.data_interval.start, f"{what}: {before} is followed by {after}"
                    assert after.run_after >= before.run_after, f"{what}: {before} is followed by {after}"

    def test_no_run_is_due_before_its_data_is_there(self) -> None:
        """`run_after` is not before the end of the data interval."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                for run in schedule(timetable, start):
                    assert run.run_after >= run.data_interval.end, f"{what}: {run}"

    def test_runs_keep_to_the_dates_of_the_dag(self) -> None:
        """None has a logical date before `earliest` or after `latest`."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                runs = list(schedule(timetable, start))
                assert all(run.logical_date >= start for run in runs), f"{what} from {start}: {runs[0]}"
                if len(runs) > 3:
                    latest = runs[2].logical_date
                    bounded = list(schedule(timetable, start, latest=latest))
                    assert bounded == runs[:3], f"{what} until {latest}"

    def test_without_catchup_missed_periods_are_left_out(self) -> None:
        """At most the last one that was missed is made up for."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                runs = list(schedule(timetable, start))
                if len(runs) < 10:
                    continue
                now = runs[8].run_after
                restriction = TimeRestriction(earliest=start, latest=None, catchup=False, now=now)
                following = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
                assert following is not None, what
                assert following.data_interval.end >= runs[7].data_interval.end, f"{what} at {now}: {following}"
                moved = TimeRestriction(earliest=start, latest=None, catchup=False, now=now, skip_to_next=True)
                skipping = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=moved)
                assert skipping is None or skipping.run_after >= now, f"{what} at {now}: {skipping}"

    def test_the_zone_of_a_date_changes_nothing(self) -> None:
        """The engine asks in UTC; the same instants in another zone get the same runs."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                elsewhere = start.astimezone(ZoneInfo("America/New_York"))
                assert list(schedule(timetable, elsewhere)) == list(schedule(timetable, start)), f"{what} from {start}"

    def test_a_run_by_hand_has_a_data_interval(self) -> None:
        """At any moment, and it does not lie in the future."""
        for what, timetable in self.timetables().items():
            for start in STARTS:
                interval = timetable.infer_manual_data_interval(run_after=start)
                assert isinstance(interval, DataInterval), what
                assert interval.start <= start, f"{what} at {start}: {interval}"


def schedule(timetable: Timetable, start: datetime, *, latest: datetime | None = None) -> Iterator[DagRunInfo]:
    """Yield the first runs of a DAG that begins at ``start``, as a scheduler that is always on time asks for them.

    Stops where the next run lies more than forty years ahead: what repeats seldom enough needs no fifty runs.
    """
    last: DataInterval | None = None
    now = start
    for _ in range(_RUNS):
        restriction = TimeRestriction(earliest=start, latest=latest, catchup=True, now=now)
        run = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        if run is None or run.run_after > start + timedelta(days=40 * 365):
            return
        if not isinstance(run, DagRunInfo):
            pytest.fail(f"next_dagrun_info returned {run!r}, which is no DagRunInfo", pytrace=False)
        yield run
        last, now = run.data_interval, max(now, run.run_after)
