"""From a DAG's schedule to the run that is due next.

The answer is made from the stored spec, the interval of the newest scheduled run and the clock alone, so it is the
same after a restart. A timetable of a plugin is not asked here: it is author code and runs in a workload.
"""

from __future__ import annotations

from datetime import datetime

from windlass.interfaces.timetable import DagRunInfo, DataInterval, TimeRestriction
from windlass.planning.timetables import timetable
from windlass.ports import DagFacts, NewRun
from windlass.spec import AssetScheduleSpec, CustomTimetableSpec, DagSpec, NullSpec
from windlass.states import RunType

_NOT_TIMED = (NullSpec, AssetScheduleSpec, CustomTimetableSpec)


def next_run(dag: DagFacts, spec: DagSpec, now: datetime) -> DagRunInfo | None:
    """Return the next scheduled run of ``dag``, due or to come; None if its schedule wants none.

    With ``run_on_unpause=False`` the periods that were complete when the DAG was unpaused are left out.
    """
    if isinstance(spec.schedule, _NOT_TIMED):
        return None
    table = timetable(spec.schedule)
    last = None
    if dag.last_interval_start is not None and dag.last_interval_end is not None:
        last = DataInterval(dag.last_interval_start, dag.last_interval_end)

    def ask(at: datetime, *, skip_to_next: bool) -> DagRunInfo | None:
        restriction = TimeRestriction(
            earliest=spec.start_date, latest=spec.end_date, catchup=spec.catchup, now=at, skip_to_next=skip_to_next
        )
        return table.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)

    info = ask(now, skip_to_next=False)
    if info is None or spec.run_on_unpause or spec.catchup or dag.unpaused_at is None:
        return info
    fresh = ask(dag.unpaused_at, skip_to_next=True)
    if fresh is None:
        return None
    return max(info, fresh, key=lambda candidate: candidate.logical_date)


def new_run(dag: DagFacts, info: DagRunInfo) -> NewRun:
    """Return the scheduled run that ``info`` asks for, pinned to the DAG's newest code."""
    return NewRun(
        dag_id=dag.dag_id,
        run_type=RunType.SCHEDULED,
        logical_date=info.logical_date,
        data_interval_start=info.data_interval.start,
        data_interval_end=info.data_interval.end,
        run_after=info.run_after,
        spec_version=dag.spec_version,
        code_version=dag.code_version,
    )


def active_runs_limit(spec: DagSpec) -> int:
    """Return how many runs of the DAG may be active at once; -1 means any number."""
    if isinstance(spec.schedule, _NOT_TIMED):
        return spec.max_active_runs
    bound = timetable(spec.schedule).active_runs_limit
    if bound is None:
        return spec.max_active_runs
    return bound if spec.max_active_runs < 0 else min(bound, spec.max_active_runs)
