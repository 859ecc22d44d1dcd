"""Backfills: the intervals between two dates on every schedule, what becomes of each, what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.errors import UsageError
from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction
from windlass.planning import backfill as planning
from windlass.planning.past import past_allows
from windlass.planning.runs import make_run_id
from windlass.planning.timetables import timetable
from windlass.planning.timetables.delta import DeltaGrid
from windlass.ports import UNCOUNTED, BackfillFacts, BackfillState, PreviousFacts, Reprocess, RunFacts, Treatment
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
    TaskSpec,
    TimetableSpec,
)
from windlass.states import RunState, RunType, TaskState

#: Around the change of clocks in Paris.
DAY = datetime(2026, 3, 29, tzinfo=UTC)
NOW = datetime(2026, 4, 20, 12, 30, tzinfo=UTC)
A = (TaskSpec(task_id="a"),)

_ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York"])
_CRONS = st.sampled_from(["0 0 * * *", "30 2 * * *", "0 */6 * * *", "15 4 * * MON", "*/30 * * * *", "0 3 31 * *"])
_DELTAS = st.sampled_from(
    [
        RelativeDelta(seconds=3600.0 * 7),
        RelativeDelta(days=1),
        RelativeDelta(months=1),
        RelativeDelta(days=2, seconds=60.0),
    ]
)
_REACHES = st.sampled_from(
    [RelativeDelta(), RelativeDelta(seconds=3600.0), RelativeDelta(days=1), RelativeDelta(months=1)]
)
_MOMENTS = st.integers(0, 60 * 24 * 60).map(
    lambda minutes: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
SCHEDULES = st.one_of(
    st.builds(lambda cron, zone: CronIntervalSpec(expression=cron, timezone=zone), _CRONS, _ZONES),
    st.builds(lambda delta, zone: DeltaIntervalSpec(delta=delta, timezone=zone), _DELTAS, _ZONES),
    st.builds(
        lambda crons, zone, reach: CronTriggerSpec(expressions=tuple(crons), timezone=zone, interval=reach),
        st.lists(_CRONS, min_size=1, max_size=2, unique=True),
        _ZONES,
        _REACHES,
    ),
    st.builds(
        lambda delta, zone, reach: DeltaTriggerSpec(delta=delta, timezone=zone, interval=reach),
        _DELTAS,
        _ZONES,
        _REACHES,
    ),
    st.builds(lambda events: EventsSpec(instants=tuple(events)), st.lists(_MOMENTS, min_size=1, max_size=5)),
    st.just(OnceSpec()),
)


def brute_force(spec: DagSpec, earliest: datetime, latest: datetime, now: datetime = NOW) -> list[DagRunInfo]:
    """Ask the timetable for one run after the other from long before to long after, and keep what fits."""
    long_before = earliest - timedelta(days=70) if not isinstance(spec.schedule, OnceSpec) else spec.start_date
    restriction = TimeRestriction(earliest=long_before, latest=None, catchup=True, now=now)
    table = timetable(spec.schedule, anchor=spec.start_date)
    found: list[DagRunInfo] = []
    last: DataInterval | None = None
    while info := table.next_dagrun_info(last_automated_data_interval=last, restriction=restriction):
        if info.run_after > now:
            break
        found.append(info)
        last = info.data_interval
    return [info for info in found if earliest <= info.logical_date <= latest]


@settings(deadline=None)
@given(schedule=SCHEDULES, start=_MOMENTS, earliest=_MOMENTS, days=st.integers(0, 30), data=st.data())
def test_the_intervals_are_those_that_the_schedule_itself_names(
    schedule: TimetableSpec, start: datetime, earliest: datetime, days: int, data: st.DataObject
) -> None:
    spec = DagSpec(dag_id="d", tasks=A, schedule=schedule, start_date=start)
    latest = earliest + timedelta(days=days)
    wanted = brute_force(spec, earliest, latest)
    forwards = list(planning.intervals(spec, earliest, latest, now=NOW))
    backwards = list(planning.intervals(spec, earliest, latest, now=NOW, backwards=True))
    assert forwards == wanted
    assert backwards == wanted[::-1]
    assert all(one.run_after < other.run_after for one, other in pairwise(forwards))
    if wanted:
        cut = data.draw(st.integers(0, len(wanted) - 1))
        for whole, back in ((forwards, False), (backwards, True)):
            reached = whole[cut].run_after
            rest = planning.intervals(spec, earliest, latest, now=NOW, backwards=back, reached=reached)
            assert list(rest) == whole[cut + 1 :]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_schedule_of_seconds_is_not_walked_beyond_the_dates(backwards: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[datetime] = []

    def counted(step: Callable[[DeltaGrid, datetime], datetime | None]) -> Callable[..., datetime | None]:
        def step_on(grid: DeltaGrid, at: datetime) -> datetime | None:
            steps.append(at)
            return step(grid, at)

        return step_on

    monkeypatch.setattr(DeltaGrid, "after", counted(DeltaGrid.after))
    monkeypatch.setattr(DeltaGrid, "before", counted(DeltaGrid.before))
    every_second = DeltaIntervalSpec(delta=RelativeDelta(seconds=1.0), timezone="UTC")
    spec = DagSpec(dag_id="d", tasks=A, schedule=every_second, start_date=DAY - timedelta(days=9))
    found = list(planning.intervals(spec, DAY, DAY + timedelta(seconds=2), now=NOW, backwards=backwards))
    assert len(found) == 3
    assert len(steps) < 20


def test_dates_out_of_order_where_the_clock_is_turned_back_are_all_found() -> None:
    every_half_hour = CronTriggerSpec(
        expressions=("*/30 * * * *",), timezone="Europe/Paris", interval=RelativeDelta(days=1)
    )
    spec = DagSpec(dag_id="d", tasks=A, schedule=every_half_hour)
    date = datetime(2026, 10, 24, tzinfo=UTC)
    now = date + timedelta(days=9)
    wanted = brute_force(spec, date, date, now)
    assert [run.run_after.hour for run in wanted] == [0, 1]  # a day before either of them it was 2 o'clock
    assert list(planning.intervals(spec, date, date, now=now)) == wanted
    assert list(planning.intervals(spec, date, date, now=now, backwards=True)) == wanted[::-1]


def daily(*tasks: TaskSpec, **fields: object) -> DagSpec:
    given = {"schedule": CronIntervalSpec(expression="0 0 * * *"), "start_date": DAY, **fields}
    return DagSpec(dag_id="d", tasks=tasks or A, **given)  # type: ignore[arg-type]


def days(number: int, *, after: int = 0) -> tuple[datetime, datetime]:
    return DAY + timedelta(days=after), DAY + timedelta(days=after + number - 1)


def test_both_bounds_are_included_and_the_dags_own_dates_play_no_part() -> None:
    spec = daily(end_date=DAY - timedelta(days=300), catchup=False)
    dates = [run.logical_date for run in planning.intervals(spec, *days(3, after=-10), now=NOW)]
    assert dates == [DAY + timedelta(days=day) for day in (-10, -9, -8)]


def test_what_is_not_complete_yet_is_left_out() -> None:
    assert planning.count_intervals(daily(), NOW - timedelta(days=3), NOW + timedelta(days=30), now=NOW) == 2


def test_the_time_part_of_a_schedule_of_assets_or_time_counts() -> None:
    either = AssetOrTimeSpec(timetable=CronIntervalSpec(expression="0 0 * * *"), condition=AssetCondition(asset="x"))
    assert planning.count_intervals(daily(schedule=either), *days(5), now=NOW) == 5


def test_nobody_counts_what_a_plugins_timetable_has_yet_to_say() -> None:
    moon = CustomTimetableSpec(name="moon", data={})
    assert planning.count_intervals(daily(schedule=moon), *days(3), now=NOW) == UNCOUNTED
    either = AssetOrTimeSpec(timetable=moon, condition=AssetCondition(asset="x"))
    assert planning.count_intervals(daily(schedule=either), *days(3), now=NOW) == UNCOUNTED


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "bounds", "sentence"),
    [
        (daily(), (NOW, DAY), "the first date, 2026-04-20T12:30:00, is later than the last, 2026-03-29; swap them"),
        (daily(schedule=NullSpec()), days(3), "is not made of times, so there are no intervals to fill"),
        (daily(schedule=ContinuousSpec()), days(3), "is not made of times"),
        (daily(schedule=AssetScheduleSpec(condition=AssetCondition(asset="x"))), days(3), "is not made of times"),
        (daily(schedule=OnceSpec(), start_date=None), days(3), "it has no start_date"),
        (daily(), (NOW + timedelta(days=9), NOW + timedelta(days=12)), "what is not complete yet does not count"),
        (daily(schedule=CronIntervalSpec(expression="0 0 31 12 *")), days(3), "has no complete interval"),
        (
            daily(schedule=CronIntervalSpec(expression="* * * * *")),
            (DAY - timedelta(days=300), DAY),
            "has more than 100,000 intervals from 2025-06-02 to 2026-03-29; choose dates that are closer",
        ),
    ],
)
def test_what_cannot_be_filled_is_refused_with_the_reason(
    spec: DagSpec, bounds: tuple[datetime, datetime], sentence: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        planning.count_intervals(spec, *bounds, now=NOW)


@pytest.mark.parametrize(
    "past", [TaskSpec(task_id="p", depends_on_past=True), TaskSpec(task_id="p", wait_for_downstream=True)]
)
def test_backwards_refuses_what_depends_on_its_past(past: TaskSpec) -> None:
    spec = daily(*A, past)
    with pytest.raises(UsageError, match="task 'p' of DAG 'd' depends on its past"):
        planning.check_direction(spec, None, backwards=True)
    planning.check_direction(spec, None, backwards=False)
    planning.check_direction(spec, ("a",), backwards=True)


# -- what becomes of an interval --------------------------------------------------------------------------------------


def run(day: int, state: RunState, *, backfill: int | None = None, run_id: str | None = None) -> RunFacts:
    logical = DAY + timedelta(days=day)
    return RunFacts(
        id=100 + day,
        dag_id="d",
        run_id=run_id or make_run_id(RunType.SCHEDULED, logical),
        run_type=RunType.SCHEDULED,
        state=state,
        logical_date=logical,
        data_interval_start=logical,
        data_interval_end=logical + timedelta(days=1),
        run_after=logical + timedelta(days=1),
        queued_at=NOW,
        start_date=None,
        end_date=None,
        spec_version="s",
        code_version="c",
        bundle="b",
        file="f.py",
        generation=day,
        backfill_id=backfill,
    )


@pytest.mark.parametrize(
    ("state", "none", "failed", "completed"),
    [
        (None, "create", "create", "create"),
        (RunState.QUEUED, "leave", "leave", "leave"),
        (RunState.RUNNING, "leave", "leave", "leave"),
        (RunState.FAILED, "leave", "clear", "clear"),
        (RunState.SUCCESS, "leave", "leave", "clear"),
    ],
)
def test_reprocess_says_which_runs_that_exist_run_again(
    state: RunState | None, none: str, failed: str, completed: str
) -> None:
    existing = None if state is None else run(0, state)
    found = [planning.treatment(existing, reprocess) for reprocess in Reprocess]
    assert found == [none, failed, completed]


def test_a_run_that_the_backfill_has_dealt_with_is_left_alone() -> None:
    mine = run(0, RunState.FAILED, backfill=7)
    assert planning.treatment(mine, Reprocess.COMPLETED, 7) is Treatment.LEAVE
    assert planning.treatment(mine, Reprocess.COMPLETED, 8) is Treatment.CLEAR


# -- going on ---------------------------------------------------------------------------------------------------------


def backfill(intervals: int, **fields: object) -> BackfillFacts:
    first, last = days(intervals)
    facts = BackfillFacts(
        id=7,
        dag_id="d",
        from_date=first,
        to_date=last,
        spec_version="s",
        code_version="c",
        intervals=intervals,
        max_active_runs=2,
        created_by="ann",
        created_at=NOW,
    )
    return msgspec.structs.replace(facts, **fields)


@settings(deadline=None)
@given(
    intervals=st.integers(1, 20),
    backwards=st.booleans(),
    reprocess=st.sampled_from(Reprocess),
    states=st.dictionaries(st.integers(0, 19), st.sampled_from(RunState)),
    sizes=st.lists(st.integers(1, 5), min_size=20, max_size=20),
)
def test_step_by_step_every_interval_is_dealt_with_once_and_in_order(
    intervals: int, backwards: bool, reprocess: Reprocess, states: dict[int, RunState], sizes: list[int]
) -> None:
    spec = daily()
    facts = backfill(intervals, backwards=backwards, reprocess=reprocess)
    runs = [run(day, state) for day, state in states.items()]
    created: list[datetime] = []
    cleared: list[int] = []
    for size in sizes:
        if not planning.has_more(facts):
            break
        step = planning.next_step(facts, spec, planning.next_intervals(facts, spec, size), runs)
        created += [new.logical_date for new in step.created]
        cleared += [reuse.run for reuse in step.reused]
        facts = msgspec.structs.replace(facts, dealt=step.dealt, reached=step.reached)
    assert facts.dealt == intervals
    order = range(intervals)[:: -1 if backwards else 1]
    what = {day: planning.treatment(run(day, states[day]) if day in states else None, reprocess) for day in order}
    assert created == [DAY + timedelta(days=day) for day in order if what[day] is Treatment.CREATE]
    assert cleared == [100 + day for day in order if what[day] is Treatment.CLEAR]


def test_the_runs_are_pinned_named_and_bounded() -> None:
    facts = backfill(3, conf={"x": 1}, task_regex="b")
    spec = daily(*A, TaskSpec(task_id="b"))
    step = planning.next_step(facts, spec, planning.next_intervals(facts, spec, 1), [])
    [new] = step.created
    assert new.run_type is RunType.BACKFILL
    assert planning.backfill_run_id(planning.next_intervals(facts, spec, 1)[0]) == f"backfill__{DAY.isoformat()}"
    assert (new.spec_version, new.code_version, new.conf, new.triggered_by) == ("s", "c", {"x": 1}, "ann")
    assert (new.backfill_id, new.task_ids) == (7, ("b",))
    assert (new.data_interval_start, new.data_interval_end) == (DAY, DAY + timedelta(days=1))


def test_an_interval_whose_run_id_is_taken_by_another_date_is_left_alone() -> None:
    facts = backfill(1, reprocess=Reprocess.COMPLETED)
    [interval] = planning.next_intervals(facts, daily(), 5)
    namesake = run(9, RunState.SUCCESS, run_id=planning.backfill_run_id(interval))
    step = planning.next_step(facts, daily(), [interval], [namesake])
    assert (step.created, step.reused, step.dealt) == ((), (), 1)


def test_a_walk_that_ends_early_is_done() -> None:
    facts = backfill(3)
    assert planning.next_step(facts, daily(), [], []).dealt == 3


@pytest.mark.parametrize(
    ("most", "opened", "tasks", "number"),
    [
        (1, 0, 1, 2),
        (1, 1, 1, 1),
        (1, 2, 1, 0),
        (4, 0, 3, 8),
        (4, 6, 3, 2),
        (4, 7, 3, 0),  # half of those ahead are still there
        (100, 0, 3, 32),
        (16, 0, 1000, 2),
        (16, 0, 100_000, 1),
    ],
)
def test_few_runs_are_made_ahead_and_few_rows_written_at_once(most: int, opened: int, tasks: int, number: int) -> None:
    assert planning.room(backfill(500, max_active_runs=most, open_runs=opened), tasks) == number


def test_a_cancelled_backfill_has_no_more() -> None:
    assert planning.has_more(backfill(3))
    assert not planning.has_more(backfill(3, cancelled_at=NOW))
    assert not planning.has_more(backfill(3, dealt=3))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, BackfillState.RUNNING),
        ({"completed_at": NOW}, BackfillState.COMPLETED),
        ({"cancelled_at": NOW}, BackfillState.CANCELLING),
        ({"cancelled_at": NOW, "completed_at": NOW}, BackfillState.CANCELLED),
    ],
)
def test_a_word_says_where_a_backfill_stands(fields: dict[str, datetime], state: BackfillState) -> None:
    assert planning.state_of(backfill(3, **fields)) is state


def test_the_first_run_of_a_backfill_passes_depends_on_past() -> None:
    before = PreviousFacts(run=1, state=TaskState.FAILED, has_earlier_instance=True, downstream_done=False)
    task = TaskSpec(task_id="p", depends_on_past=True, wait_for_downstream=True)
    assert not past_allows(task, before)
    assert past_allows(task, msgspec.structs.replace(before, first_of_backfill=True))
