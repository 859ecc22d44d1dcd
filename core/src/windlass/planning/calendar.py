"""From a DAG's schedule to the run that is due next: the scheduler's decision, and what people are told to expect.

The answer is made from the stored spec, the interval of the newest scheduled run and ``now`` alone, so it is the same
after a restart. A timetable of a plugin is not asked here: it is author code and runs in a workload (``asking``).
"""

from __future__ import annotations

from datetime import datetime

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction, Timetable
from windlass.planning.timetables import timetable
from windlass.ports import DagFacts
from windlass.spec import AssetOrTimeSpec, AssetScheduleSpec, CustomTimetableSpec, DagSpec, NullSpec

_NOT_TIMED = (NullSpec, AssetScheduleSpec)


def next_run(dag: DagFacts, spec: DagSpec, now: datetime) -> DagRunInfo | None:
    """Return the next scheduled run of ``dag``, due or to come; None if its schedule wants none.

    With ``run_on_unpause=False`` the periods that were complete when the DAG was unpaused are left out.
    """
    if not _is_timed(spec):
        return None
    restriction = TimeRestriction(earliest=spec.start_date, latest=spec.end_date, catchup=spec.catchup, now=now)
    skipped_until = None if spec.run_on_unpause else dag.unpaused_at
    last = last_interval(dag.last_interval_start, dag.last_interval_end)
    return next_info(timetable(spec.schedule), last, restriction, skipped_until)


def next_info(
    table: Timetable, last: DataInterval | None, restriction: TimeRestriction, skipped_until: datetime | None
) -> DagRunInfo | None:
    """Return what ``table`` wants after ``last``.

    Without catchup, periods that were complete at ``skipped_until`` get no run.
    """
    info = table.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
    if info is None or restriction.catchup or skipped_until is None:
        return info
    skipping = TimeRestriction(
        earliest=restriction.earliest, latest=restriction.latest, catchup=False, now=skipped_until, skip_to_next=True
    )
    fresh = table.next_dagrun_info(last_automated_data_interval=last, restriction=skipping)
    if fresh is None:
        return None
    return max(info, fresh, key=lambda candidate: candidate.logical_date)


def last_interval(start: datetime | None, end: datetime | None) -> DataInterval | None:
    """Return the interval of a DAG's newest scheduled run, None if there is none."""
    return None if start is None or end is None else DataInterval(start, end)


def manual_interval(spec: DagSpec, run_after: datetime) -> DataInterval:
    """Return the data interval of a run that is triggered by hand at ``run_after``.

    Where the schedule is not made of time it is that instant; so it is, for the time being, where a plugin's timetable
    is to say (:func:`is_asked`).
    """
    if not _is_timed(spec):
        return DataInterval.exact(run_after)
    return timetable(spec.schedule, anchor=spec.start_date).infer_manual_data_interval(run_after=run_after)


def is_asked(spec: DagSpec) -> bool:
    """Return whether the DAG's schedule is a timetable that only a child process can ask."""
    return asked_timetable(spec) is not None


def asked_timetable(spec: DagSpec) -> CustomTimetableSpec | None:
    """Return the plugin's timetable by which a DAG runs, alone or besides assets; None if it has none."""
    schedule = spec.schedule.timetable if isinstance(spec.schedule, AssetOrTimeSpec) else spec.schedule
    return schedule if isinstance(schedule, CustomTimetableSpec) else None


def _is_timed(spec: DagSpec) -> bool:
    """Return whether the schedule is made of time, by rules that are evaluated here."""
    return not isinstance(spec.schedule, _NOT_TIMED) and not is_asked(spec)


def active_runs_limit(spec: DagSpec) -> int:
    """Return how many runs of the DAG may be active at once; -1 means any number."""
    if not _is_timed(spec):
        return spec.max_active_runs
    bound = timetable(spec.schedule).active_runs_limit
    if bound is None:
        return spec.max_active_runs
    return bound if spec.max_active_runs < 0 else min(bound, spec.max_active_runs)
