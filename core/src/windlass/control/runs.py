"""Runs: triggering, finding and marking them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from windlass.control.dags import Dags
from windlass.control.views import MissedDeadline, Page, RunRow
from windlass.control.visibility import Visible, did_you_mean, everything
from windlass.errors import Conflict, RunExists, RunNotFound, UsageError
from windlass.planning.runs import make_run_id
from windlass.ports import Clock, NewRun, RunFacts
from windlass.spec.params import check_conf
from windlass.states import RunState, RunType

if TYPE_CHECKING:
    from windlass.store import Affected, Store

_LONGEST_RUN_ID: Final = 250


class Runs:
    """Queries and commands about runs."""

    def __init__(self, store: Store, clock: Clock, dags: Dags) -> None:
        self._store = store
        self._clock = clock
        self._dags = dags

    # -- queries ------------------------------------------------------------------------------------------------

    def list(
        self,
        *,
        dag_id: str | None = None,
        state: RunState | None = None,
        backfill: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
        visible: Visible = everything,
    ) -> Page[RunRow]:
        """Return runs, newest first; those of one ``backfill`` if asked for.

        :raises DagNotFound: if ``dag_id`` is given and not known.
        """
        if dag_id is not None:
            self._dags.find(dag_id, visible=visible)
        states = () if state is None else (state,)
        page = self._store.queries.runs(dag_id, states=states, backfill=backfill, after=cursor, limit=limit)
        return Page(tuple(_row(run) for run in page.items if visible(run.dag_id)), page.cursor)

    def get(self, dag_id: str, run_id: str, *, visible: Visible = everything) -> RunRow:
        """Return one run.

        :raises DagNotFound, RunNotFound: if there is none; the sentence has the nearest ids.
        """
        return _row(self.find(dag_id, run_id, visible=visible))

    def find(self, dag_id: str, run_id: str, *, visible: Visible = everything) -> RunFacts:
        """Return the stored row of a run.

        :raises DagNotFound, RunNotFound: if there is none.
        """
        try:
            if visible(dag_id):
                return self._store.queries.run(dag_id, run_id)
        except RunNotFound:
            pass
        self._dags.find(dag_id, visible=visible)
        hint = did_you_mean(run_id, (run.run_id for run in self._store.queries.runs(dag_id).items))
        raise RunNotFound(f"DAG {dag_id!r} has no run {run_id!r}.{hint} `windlass runs list {dag_id}` shows all")

    def missed_deadlines(
        self, dag_id: str, run_id: str, *, visible: Visible = everything
    ) -> tuple[MissedDeadline, ...]:
        """Return the deadlines that a run has missed, in the order in which its DAG lists them.

        :raises DagNotFound, RunNotFound: if there is no such run.
        """
        from windlass.planning.deadlines import describe
        from windlass.store.deadlines import missed_deadlines

        run = self.find(dag_id, run_id, visible=visible)
        deadlines = self._store.queries.spec(dag_id, run.spec_version).deadlines
        return tuple(
            MissedDeadline(
                # After `clear --latest` the run's version may have fewer.
                deadline=describe(deadlines[miss.position]) if miss.position < len(deadlines) else "removed since",
                due_at=miss.due_at,
                missed_at=miss.missed_at,
            )
            for miss in missed_deadlines(self._store.db, run.id)
        )

    # -- commands -----------------------------------------------------------------------------------------------

    def trigger(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
        run_id: str | None = None,
        note: str | None = None,
        actor: str,
        idempotency_key: str | None = None,
        visible: Visible = everything,
    ) -> RunRow:
        """Create a manual run, queued.

        Without ``logical_date`` it is the instant of the call, moved on by microseconds until it is free. The data
        interval is the last complete period of the schedule.

        :raises DagNotFound: if there is no such DAG.
        :raises ParamInvalid: if ``conf`` does not fit the DAG's params.
        :raises RunExists: if a run of that id or logical date exists.
        """
        new = self._new_run(dag_id, conf, logical_date, run_id, visible)
        new = msgspec.structs.replace(new, triggered_by=actor, note=note)
        return _row(self._store.runs.create(new, key=idempotency_key))

    def preview(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
        run_id: str | None = None,
        visible: Visible = everything,
    ) -> RunRow:
        """Return the run that :meth:`trigger` would create with the same arguments now.

        :raises WindlassError: whatever :meth:`trigger` would raise.
        """
        new = self._new_run(dag_id, conf, logical_date, run_id, visible)
        name = new.run_id or make_run_id(new.run_type, new.logical_date)
        dag = self._store.queries.dag(dag_id)
        if self._exists(dag_id, name):
            raise RunExists(f"DAG {dag_id!r} already has run {name!r}; choose another id or logical date, or clear it")
        return RunRow(
            dag_id=dag_id,
            run_id=name,
            run_type=new.run_type,
            logical_date=new.logical_date,
            data_interval_start=None if new.interval_pending else new.data_interval_start,
            data_interval_end=None if new.interval_pending else new.data_interval_end,
            state=RunState.QUEUED,
            queued_at=new.run_after,
            start_date=None,
            end_date=None,
            run_after=new.run_after,
            conf=new.conf,
            spec_version=dag.spec_version,
            code_version=dag.code_version,
        )

    def mark(
        self,
        dag_id: str,
        run_id: str,
        state: RunState,
        *,
        actor: str,
        idempotency_key: str | None = None,
        visible: Visible = everything,
    ) -> Affected:
        """End a run in ``state``: unfinished tasks are ended with it, running ones are stopped first.

        :raises UsageError: if ``state`` is not an ending.
        """
        self.find(dag_id, run_id, visible=visible)
        return self._store.runs.mark_run(dag_id, run_id, state, who=actor, key=idempotency_key)

    # -- details ------------------------------------------------------------------------------------------------

    def _exists(self, dag_id: str, run_id: str) -> bool:
        try:
            self._store.queries.run(dag_id, run_id)
        except RunNotFound:
            return False
        return True

    def _new_run(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None,
        logical_date: datetime | None,
        run_id: str | None,
        visible: Visible,
    ) -> NewRun:
        from windlass.planning.calendar import is_asked, manual_interval

        dag, spec = self._dags.find(dag_id, visible=visible)
        if dag.stale:
            raise Conflict(f"DAG {dag_id!r} is no longer in any file; put {dag.file} back, or delete the DAG")
        values = dict(conf or {})
        check_conf(spec, values)
        if run_id is not None:
            _check_run_id(run_id)
        now = self._clock.now()
        interval = manual_interval(spec, logical_date or now)
        return NewRun(
            dag_id=dag_id,
            run_type=RunType.MANUAL,
            logical_date=logical_date or now,
            data_interval_start=interval.start,
            data_interval_end=interval.end,
            run_after=now,
            run_id=run_id,
            conf=values,
            bump=logical_date is None,
            interval_pending=is_asked(spec),
        )


def _check_run_id(run_id: str) -> None:
    if not run_id or len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable() or run_id != run_id.strip():
        raise UsageError(
            f"run id {run_id[:50]!r} cannot be: it needs 1 to {_LONGEST_RUN_ID} printable characters, none of them a "
            "space at either end"
        )


def _row(run: RunFacts) -> RunRow:
    return RunRow(
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_type=run.run_type,
        logical_date=run.logical_date,
        data_interval_start=None if run.interval_pending else run.data_interval_start,
        data_interval_end=None if run.interval_pending else run.data_interval_end,
        state=run.state,
        queued_at=run.queued_at,
        start_date=run.start_date,
        end_date=run.end_date,
        run_after=run.run_after,
        conf=run.conf,
        spec_version=run.spec_version,
        code_version=run.code_version,
        backfill_id=run.backfill_id,
    )
