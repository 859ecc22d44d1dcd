"""Backfills: which intervals lie between two dates, what becomes of each, and how many are dealt with at a time.

``catchup``, the DAG's own dates and its pause play no part. A backfill walks over its intervals in one direction and
keeps its place by ``run_after``, which rises strictly on every schedule made of time; so it goes on after any
interruption from two numbers, and a thousand intervals cost no more at once than twenty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, NamedTuple

from windlass.errors import UsageError
from windlass.interfaces.timetable import DagRunInfo, TimeRestriction, Timetable
from windlass.planning.calendar import is_asked
from windlass.planning.paging import rest_of
from windlass.planning.runs import BackfillLimit, make_run_id
from windlass.planning.selecting import chosen_tasks
from windlass.planning.timetables import timetable
from windlass.planning.timetables.grid import Grid, ListedGrid, at_or_after, at_or_before
from windlass.planning.timetables.interval import IntervalTimetable
from windlass.planning.timetables.simple import OnceTimetable
from windlass.planning.timetables.trigger import TriggerTimetable
from windlass.ports import (
    MOST_INTERVALS,
    UNCOUNTED,
    BackfillFacts,
    BackfillState,
    BackfillStep,
    NewRun,
    Reprocess,
    Reuse,
    RunFacts,
    Treatment,
)
from windlass.protocol import TimetablePage
from windlass.spec import (
    AssetOrTimeSpec,
    AssetScheduleSpec,
    ContinuousSpec,
    CustomTimetableSpec,
    DagSpec,
    NullSpec,
    OnceSpec,
)
from windlass.states import RunState, RunType

#: Where a clock is turned back, a day before one instant may be later than a day before the next.
_WOBBLE: Final = timedelta(days=1)
#: Queued runs are made so many ahead of those that run (fewer if fewer may run at once).
_AHEAD: Final = 16
#: Rows of task instances that one step writes at most, unless a single run has more.
_ROWS: Final = 2000


# -- intervals --------------------------------------------------------------------------------------------------------


class _Walk(NamedTuple):
    """A schedule as a grid of instants, each of which stands for one run."""

    grid: Grid
    run_at: Callable[[datetime], DagRunInfo | None]
    #: The instant of the run that is due at a given ``run_after``.
    instant_of: Callable[[datetime], datetime | None]
    #: How far logical dates may go back from one instant to the next.
    wobble: timedelta = timedelta(0)


def intervals(
    spec: DagSpec,
    earliest: datetime,
    latest: datetime,
    *,
    now: datetime,
    backwards: bool = False,
    reached: datetime | None = None,
) -> Iterator[DagRunInfo]:
    """Yield the runs with a logical date from ``earliest`` to ``latest``, both included, that were due by ``now``.

    In the order of time or ``backwards``, and from behind the one due at ``reached`` on. A schedule that is not made of
    time has none.
    """
    walk = _walk(spec, now)
    if walk is None:
        return
    if reached is None:
        at = _last(walk, latest) if backwards else at_or_after(walk.grid, earliest)
    else:
        at = walk.instant_of(reached)
        at = None if at is None else walk.grid.before(at) if backwards else walk.grid.after(at)
    while at is not None and (run := walk.run_at(at)) is not None:
        if backwards and run.logical_date < earliest - walk.wobble:
            return
        if not backwards and (run.logical_date > latest + walk.wobble or run.run_after > now):
            return
        if earliest <= run.logical_date <= latest and run.run_after <= now:
            yield run
        at = walk.grid.before(at) if backwards else walk.grid.after(at)


def _last(walk: _Walk, latest: datetime) -> datetime | None:
    """Return an instant behind which no run has a logical date up to ``latest``.

    It may lie later than ``latest``: a run at a point in time may have an interval that reaches back from there.
    """
    found = at_or_before(walk.grid, latest)
    following = walk.grid.after(latest)
    while following is not None and (run := walk.run_at(following)) is not None:
        if run.logical_date > latest + walk.wobble:
            break
        found, following = following, walk.grid.after(following)
    return found


def _walk(spec: DagSpec, now: datetime) -> _Walk | None:
    if is_asked(spec):
        return None
    table: Timetable = timetable(spec.schedule, anchor=spec.start_date)
    restriction = TimeRestriction(earliest=spec.start_date, latest=None, catchup=True, now=now)
    if isinstance(table, IntervalTimetable):
        return _walk_of_intervals(table.grid(restriction))
    if isinstance(table, TriggerTimetable):
        points = table

        def point(at: datetime) -> DagRunInfo:
            return DagRunInfo(run_after=at, data_interval=points.infer_manual_data_interval(run_after=at))

        return _Walk(table.grid(restriction), point, lambda run_after: run_after, _WOBBLE)
    if isinstance(table, OnceTimetable) and spec.start_date is not None:
        return _Walk(ListedGrid([spec.start_date]), DagRunInfo.exact, lambda run_after: run_after)
    return None


def _walk_of_intervals(grid: Grid) -> _Walk:
    def interval(start: datetime) -> DagRunInfo | None:
        end = grid.after(start)
        return None if end is None else DagRunInfo.interval(start, end)

    return _Walk(grid, interval, grid.before)


# -- what is refused --------------------------------------------------------------------------------------------------


def count_intervals(spec: DagSpec, earliest: datetime, latest: datetime, *, now: datetime) -> int:
    """Return how many intervals a backfill covers; ``UNCOUNTED`` where a plugin's timetable will say.

    :raises UsageError: if there are none or far too many, or if the schedule has no intervals at all.
    """
    dag_id, schedule = spec.dag_id, spec.schedule
    if isinstance(schedule, AssetOrTimeSpec):
        schedule = schedule.timetable
    if earliest > latest:
        raise UsageError(f"the first date, {_day(earliest)}, is later than the last, {_day(latest)}; swap them")
    if isinstance(schedule, CustomTimetableSpec):
        return UNCOUNTED
    if isinstance(schedule, NullSpec | AssetScheduleSpec | ContinuousSpec):
        raise UsageError(
            f"the schedule of DAG {dag_id!r} ({spec.schedule_summary}) is not made of times, so there are no intervals "
            f"to fill; `windlass dags trigger {dag_id} --logical-date …` makes a run for one date"
        )
    count = sum(1 for _ in islice(intervals(spec, earliest, latest, now=now), MOST_INTERVALS + 1))
    if count > MOST_INTERVALS:
        raise UsageError(
            f"the schedule of DAG {dag_id!r} ({spec.schedule_summary}) has more than {MOST_INTERVALS:,} intervals from "
            f"{_day(earliest)} to {_day(latest)}; choose dates that are closer"
        )
    if not count:
        once = isinstance(schedule, OnceSpec) and spec.start_date is None
        why = "; it has no start_date" if once else "" if latest <= now else "; what is not complete yet does not count"
        raise UsageError(
            f"the schedule of DAG {dag_id!r} ({spec.schedule_summary}) has no complete interval with a logical date "
            f"from {_day(earliest)} to {_day(latest)}{why}"
        )
    return count


def check_direction(spec: DagSpec, chosen: Collection[str] | None, *, backwards: bool) -> None:
    """Refuse to run backwards what depends on its past.

    :raises UsageError: naming the task.
    """
    if not backwards:
        return
    for task in spec.tasks:
        if (task.depends_on_past or task.wait_for_downstream) and (chosen is None or task.task_id in chosen):
            raise UsageError(
                f"task {task.task_id!r} of DAG {spec.dag_id!r} depends on its past, so its runs cannot be made "
                "backwards; leave out --run-backwards, or the task with --task-regex"
            )


# -- what becomes of an interval --------------------------------------------------------------------------------------


def treatment(existing: RunFacts | None, reprocess: Reprocess, backfill: int | None = None) -> Treatment:
    """Return what becomes of an interval whose run is ``existing``.

    A run that has not ended is left alone, and so is one that this very backfill has dealt with.
    """
    if existing is None:
        return Treatment.CREATE
    if not existing.state.is_terminal or (backfill is not None and existing.backfill_id == backfill):
        return Treatment.LEAVE
    match reprocess:
        case Reprocess.COMPLETED:
            return Treatment.CLEAR
        case Reprocess.FAILED if existing.state is RunState.FAILED:
            return Treatment.CLEAR
        case _:
            return Treatment.LEAVE


class Known:
    """The runs that are there, as intervals find them: by logical date, or because their run id is taken."""

    def __init__(self, runs: Sequence[RunFacts]) -> None:
        self._by_date = {run.logical_date: run for run in runs}
        self._by_id = {run.run_id: run for run in runs}

    def treat(
        self, interval: DagRunInfo, reprocess: Reprocess, backfill: int | None = None
    ) -> tuple[Treatment, RunFacts | None]:
        """Return what becomes of an interval, and the run that it finds."""
        existing = self._by_date.get(interval.logical_date)
        if existing is None and (namesake := self._by_id.get(backfill_run_id(interval))) is not None:
            return Treatment.LEAVE, namesake  # of another date; two runs cannot have one id
        return treatment(existing, reprocess, backfill), existing


def backfill_run_id(interval: DagRunInfo) -> str:
    """Return the id of the run that a backfill makes for an interval."""
    return make_run_id(RunType.BACKFILL, interval.logical_date)


# -- going on ---------------------------------------------------------------------------------------------------------


def limit_of(backfill: BackfillFacts) -> BackfillLimit:
    """Return what bounds the runs of a backfill."""
    return BackfillLimit(max_active_runs=backfill.max_active_runs, backwards=backfill.backwards)


def has_more(backfill: BackfillFacts) -> bool:
    """Return whether intervals are left to be dealt with."""
    return backfill.cancelled_at is None and backfill.dealt < backfill.intervals


def room(backfill: BackfillFacts, tasks: int) -> int:
    """Return how many intervals the next step deals with; 0 while enough runs are there.

    As many queued runs are kept ahead as may run at once, at most 16, and made up again when half of them are gone;
    one step writes few rows, so that nobody waits for its transaction. ``tasks`` is the number of tasks of a run.
    """
    ahead = min(backfill.max_active_runs, _AHEAD)
    if backfill.open_runs > backfill.max_active_runs + ahead // 2:
        return 0
    wanted = backfill.max_active_runs + ahead - backfill.open_runs
    return min(wanted, 2 * _AHEAD, max(1, _ROWS // max(1, tasks)))


def next_intervals(backfill: BackfillFacts, spec: DagSpec, number: int) -> list[DagRunInfo]:
    """Return at most ``number`` intervals of a backfill that come next in its direction."""
    following = intervals(
        spec,
        backfill.from_date,
        backfill.to_date,
        now=backfill.created_at,
        backwards=backfill.backwards,
        reached=backfill.reached,
    )
    return list(islice(following, number))


def next_of_page(backfill: BackfillFacts, page: TimetablePage, number: int) -> list[DagRunInfo]:
    """Return at most ``number`` intervals that come next, of those that the timetable has said."""
    return rest_of(page, backfill.reached, backwards=backfill.backwards)[:number]


def next_step(
    backfill: BackfillFacts,
    spec: DagSpec,
    wanted: Sequence[DagRunInfo],
    existing: Sequence[RunFacts],
    page: TimetablePage | None = None,
) -> BackfillStep:
    """Return the step that deals with the intervals ``wanted``, of which the runs ``existing`` are there already.

    None wanted means that the walk is at its end, whatever was counted at the start (a time zone's rules may have
    changed since): then all of them are dealt with. ``page``: where they come from, if a plugin's timetable said them.
    """
    total = backfill.intervals
    if page is not None and page.is_last:
        total = backfill.dealt + len(rest_of(page, backfill.reached, backwards=backfill.backwards))
    known = Known(existing)
    tasks = chosen_tasks(spec, backfill.task_regex)
    created: list[NewRun] = []
    reused: list[Reuse] = []
    for interval in wanted:
        what, found = known.treat(interval, backfill.reprocess, backfill.id)
        if what is Treatment.CREATE:
            created.append(_new_run(backfill, interval, tasks))
        elif what is Treatment.CLEAR and found is not None:
            reused.append(Reuse(run=found.id, generation=found.generation, state=found.state))
    return BackfillStep(
        backfill=backfill,
        intervals=total,
        dealt=min(backfill.dealt + len(wanted), total) if wanted else total,
        reached=_place(wanted[-1], page) if wanted else backfill.to_date,
        created=tuple(created),
        reused=tuple(reused),
        task_ids=tasks,
    )


def _place(interval: DagRunInfo, page: TimetablePage | None) -> datetime:
    return interval.run_after if page is None else interval.logical_date


def _new_run(backfill: BackfillFacts, interval: DagRunInfo, tasks: tuple[str, ...] | None) -> NewRun:
    return NewRun(
        dag_id=backfill.dag_id,
        run_type=RunType.BACKFILL,
        logical_date=interval.logical_date,
        data_interval_start=interval.data_interval.start,
        data_interval_end=interval.data_interval.end,
        run_after=interval.run_after,
        conf=backfill.conf,
        spec_version=backfill.spec_version,
        code_version=backfill.code_version,
        triggered_by=backfill.created_by,
        backfill_id=backfill.id,
        task_ids=tasks,
    )


def state_of(backfill: BackfillFacts) -> BackfillState:
    """Return where a backfill stands."""
    if backfill.cancelled_at is not None:
        return BackfillState.CANCELLING if backfill.completed_at is None else BackfillState.CANCELLED
    return BackfillState.RUNNING if backfill.completed_at is None else BackfillState.COMPLETED


def _day(at: datetime) -> str:
    return at.isoformat(timespec="seconds").removesuffix("+00:00").removesuffix("T00:00:00")
