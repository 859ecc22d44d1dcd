"""Backfills: planning, creating, listing and cancelling them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from windlass.control.dags import Dags
from windlass.control.views import AskPage, BackfillPlan, BackfillRequest, BackfillRow, Page, PlannedRun
from windlass.control.visibility import Visible, everything
from windlass.errors import Conflict, NotFound, UsageError
from windlass.interfaces.timetable import DagRunInfo
from windlass.planning.backfill import (
    Known,
    backfill_run_id,
    check_direction,
    count_intervals,
    has_more,
    intervals,
    state_of,
)
from windlass.planning.calendar import is_asked
from windlass.planning.paging import page_question, rest_of
from windlass.planning.selecting import chosen_tasks
from windlass.ports import UNCOUNTED, BackfillFacts, Clock, NewBackfill
from windlass.spec import DagSpec
from windlass.spec.params import check_conf
from windlass.states import RunState
from windlass.store import Cancelled, Store

#: How many runs are active at once where neither the command nor the DAG says so.
_ACTIVE_RUNS: Final = 16
#: Intervals whose runs are looked up in one query.
_CHUNK: Final = 500


class Backfills:
    """Queries and commands about backfills."""

    def __init__(self, store: Store, clock: Clock, dags: Dags) -> None:
        self._store = store
        self._clock = clock
        self._dags = dags

    # -- queries ------------------------------------------------------------------------------------------------

    def plan(
        self, request: BackfillRequest, *, ask: AskPage | None = None, visible: Visible = everything
    ) -> BackfillPlan:
        """Return the runs that :meth:`create` would make with the same request now, in order.

        ``ask`` has a plugin's timetable answer, in a process that may run its code; the answer is judged already.

        :raises WindlassError: whatever :meth:`create` would raise.
        :raises UsageError: if the DAG runs by a plugin's timetable and there is no ``ask``.
        """
        new, spec = self._checked(request, "", visible)
        if is_asked(spec):
            wanted: Sequence[DagRunInfo] = self._asked_intervals(new, spec, ask)
        else:
            wanted = tuple(intervals(spec, new.from_date, new.to_date, now=new.created_at, backwards=new.backwards))
        planned = [
            planned
            for start in range(0, len(wanted), _CHUNK)
            for planned in self._planned(request, wanted[start : start + _CHUNK])
        ]
        return BackfillPlan(runs=tuple(planned), task_ids=chosen_tasks(spec, request.task_regex))

    def list(
        self,
        *,
        dag_id: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
        visible: Visible = everything,
    ) -> Page[BackfillRow]:
        """Return backfills, newest first.

        :raises DagNotFound: if ``dag_id`` is given and not known.
        """
        if dag_id is not None:
            self._dags.find(dag_id, visible=visible)
        page = self._store.backfills.list(dag_id, after=cursor, limit=limit)
        return Page(tuple(self._rows([facts for facts in page.items if visible(facts.dag_id)])), page.cursor)

    def get(self, backfill: int, *, visible: Visible = everything) -> BackfillRow:
        """Return one backfill.

        :raises NotFound: if there is none.
        """
        return self._rows([self._find(backfill, visible)])[0]

    # -- commands -----------------------------------------------------------------------------------------------

    def create(
        self,
        request: BackfillRequest,
        *,
        actor: str,
        idempotency_key: str | None = None,
        visible: Visible = everything,
    ) -> BackfillRow:
        """Record a backfill; the scheduler makes its runs a few at a time, also while the DAG is paused.

        :raises DagNotFound: if there is no such DAG.
        :raises UsageError: if there is nothing to fill, or something in the request cannot be.
        :raises ParamInvalid: if ``conf`` does not fit the DAG's params.
        :raises Conflict: if another backfill of the DAG is filling some of the dates.
        """
        new, _ = self._checked(request, actor, visible)
        return self._rows([self._store.backfills.create(new, key=idempotency_key)])[0]

    def cancel(
        self, backfill: int, *, actor: str, idempotency_key: str | None = None, visible: Visible = everything
    ) -> Cancelled:
        """End a backfill: its runs that wait for their start fail now, those that are running go on to their end.

        :raises NotFound: if there is none.
        :raises Conflict: if it is completed.
        """
        self._find(backfill, visible)
        return self._store.backfills.cancel(backfill, who=actor, key=idempotency_key)

    # -- details ------------------------------------------------------------------------------------------------

    def _find(self, backfill: int, visible: Visible) -> BackfillFacts:
        facts = self._store.backfills.get(backfill)
        if not visible(facts.dag_id):
            raise NotFound(f"there is no backfill {backfill}; `windlass backfill list` shows all")
        return facts

    def _checked(self, request: BackfillRequest, actor: str, visible: Visible) -> tuple[NewBackfill, DagSpec]:
        dag, spec = self._dags.find(request.dag_id, visible=visible)
        if dag.stale:
            raise Conflict(f"DAG {request.dag_id!r} is no longer in any file; put {dag.file} back first")
        now = self._clock.now()
        count = count_intervals(spec, request.from_date, request.to_date, now=now)
        check_direction(spec, chosen_tasks(spec, request.task_regex), backwards=request.backwards)
        most = request.max_active_runs
        if most is None:
            most = spec.max_active_runs if spec.max_active_runs > 0 else _ACTIVE_RUNS
        if most < 1:
            raise UsageError(f"max_active_runs of a backfill is {most}; at least one run has to be active at a time")
        check_conf(spec, dict(request.conf))
        new = NewBackfill(
            dag_id=request.dag_id,
            from_date=request.from_date,
            to_date=request.to_date,
            spec_version=dag.spec_version,
            code_version=dag.code_version,
            intervals=count,
            max_active_runs=most,
            reprocess=request.reprocess,
            backwards=request.backwards,
            task_regex=request.task_regex,
            conf=dict(request.conf),
            created_by=actor,
            created_at=now,
        )
        return new, spec

    def is_asked(self, dag_id: str, *, visible: Visible = everything) -> bool:
        """Return whether a plugin's timetable says the intervals of a DAG, so that nobody has counted them before.

        :raises DagNotFound: if there is no such DAG.
        """
        return is_asked(self._dags.find(dag_id, visible=visible)[1])

    def _asked_intervals(self, new: NewBackfill, spec: DagSpec, ask: AskPage | None) -> Sequence[DagRunInfo]:
        """Return what the timetable says, page by page."""
        if ask is None:
            raise UsageError(
                f"the intervals of DAG {new.dag_id!r} are its timetable's to say ({spec.schedule_summary}), which is "
                f"not asked from here; `windlass backfill create --dry-run --dag-id {new.dag_id} …` asks it"
            )
        dag, _ = self._dags.find(new.dag_id)
        wanted: tuple[DagRunInfo, ...] = ()
        reached = None
        while True:
            page = ask(page_question(new, spec, dag.bundle, dag.file, reached=reached))
            wanted += tuple(rest_of(page, reached, backwards=new.backwards))
            if page.is_last:
                return wanted
            reached = wanted[-1].logical_date

    def _planned(self, request: BackfillRequest, wanted: Sequence[DagRunInfo]) -> Sequence[PlannedRun]:
        names = [backfill_run_id(interval) for interval in wanted]
        dates = [interval.logical_date for interval in wanted]
        known = Known(self._store.scheduler.runs_at(request.dag_id, dates, names))
        planned = []
        for interval, name in zip(wanted, names, strict=True):
            action, existing = known.treat(interval, request.reprocess)
            planned.append(
                PlannedRun(
                    run_id=name if existing is None else existing.run_id,
                    action=action,
                    state=None if existing is None else existing.state,
                    logical_date=interval.logical_date,
                    data_interval_start=interval.data_interval.start,
                    data_interval_end=interval.data_interval.end,
                )
            )
        return planned

    def _rows(self, backfills: Sequence[BackfillFacts]) -> Sequence[BackfillRow]:
        counts = self._store.backfills.run_counts([facts.id for facts in backfills])
        return [_row(facts, counts[facts.id], self._error(facts)) for facts in backfills]

    def _error(self, facts: BackfillFacts) -> str | None:
        """Return what is wrong with the timetable of a backfill that waits for it."""
        if facts.completed_at is not None or not has_more(facts):
            return None
        asked = self._store.questions.asked(facts.dag_id, -facts.id)
        return None if asked is None else asked.error


def _row(facts: BackfillFacts, runs: dict[RunState, int], error: str | None) -> BackfillRow:
    return BackfillRow(
        id=facts.id,
        dag_id=facts.dag_id,
        state=state_of(facts),
        from_date=facts.from_date,
        to_date=facts.to_date,
        intervals=None if facts.intervals == UNCOUNTED else facts.intervals,
        dealt=facts.dealt,
        runs={state.value: runs.get(state, 0) for state in RunState},
        max_active_runs=facts.max_active_runs,
        reprocess=facts.reprocess.value,
        backwards=facts.backwards,
        task_regex=facts.task_regex,
        conf=facts.conf,
        created_by=facts.created_by,
        created_at=facts.created_at,
        cancelled_at=facts.cancelled_at,
        completed_at=facts.completed_at,
        spec_version=facts.spec_version,
        code_version=facts.code_version,
        error=error,
    )
