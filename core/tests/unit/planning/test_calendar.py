from __future__ import annotations

from datetime import UTC, datetime, timedelta

from windlass.interfaces.timetable import DataInterval
from windlass.planning.calendar import active_runs_limit, manual_interval, next_run
from windlass.ports import DagFacts
from windlass.spec import ContinuousSpec, CronIntervalSpec, CustomTimetableSpec, DagSpec

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAILY = DagSpec(
    dag_id="d", schedule=CronIntervalSpec(expression="0 0 * * *"), start_date=datetime(2026, 1, 1, tzinfo=UTC)
)
PLUGIN = DagSpec(dag_id="d", schedule=CustomTimetableSpec(name="acme.Moon", data={}))


def facts(*, unpaused_at: datetime | None = None, last: datetime | None = None) -> DagFacts:
    return DagFacts(
        dag_id="d",
        bundle="main",
        file="d.py",
        spec_version="s",
        code_version="c",
        paused=False,
        unpaused_at=unpaused_at,
        last_interval_start=last,
        last_interval_end=None if last is None else last + DAY,
    )


def test_without_catchup_the_latest_complete_period_is_next() -> None:
    info = next_run(facts(), DAILY, NOON)
    assert info is not None
    assert (info.logical_date, info.run_after) == (MIDNIGHT - DAY, MIDNIGHT)


def test_after_a_run_the_following_period_is_next_when_it_is_complete() -> None:
    info = next_run(facts(last=MIDNIGHT - DAY), DAILY, NOON)
    assert info is not None
    assert (info.logical_date, info.run_after) == (MIDNIGHT, MIDNIGHT + DAY)


def test_run_on_unpause_false_waits_for_what_was_not_complete_at_the_unpausing() -> None:
    waiting = DagSpec(dag_id="d", schedule=DAILY.schedule, start_date=DAILY.start_date, run_on_unpause=False)
    for now in (NOON, NOON + timedelta(hours=6), MIDNIGHT + DAY):  # the answer does not move on with the clock
        info = next_run(facts(unpaused_at=NOON), waiting, now)
        assert info is not None
        assert info.logical_date == MIDNIGHT


def test_what_is_not_made_of_time_is_not_asked_here() -> None:
    assert next_run(facts(), DagSpec(dag_id="d"), NOON) is None
    assert next_run(facts(), PLUGIN, NOON) is None
    assert manual_interval(PLUGIN, NOON) == DataInterval.exact(NOON)


def test_a_timetable_may_bound_the_active_runs() -> None:
    assert active_runs_limit(DAILY) == 16
    assert active_runs_limit(DagSpec(dag_id="d", schedule=ContinuousSpec())) == 1
