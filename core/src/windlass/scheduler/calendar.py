"""Which runs there should be: the DAGs as the scheduler knows them, the runs that are due, and those that may start.

A DAG is looked at when something happened to it (it was stored or unpaused, a run of it ended, its timer fired, an
asset that it listens to was updated), never because time has passed. A created run comes back through the inbox, to be
adopted like any other; until then the DAG's facts here remember a scheduled one, so that it is not created twice, and
the events of an asset-triggered one are consumed.
"""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from windlass.errors import DagNotFound, SpecError
from windlass.interfaces.timetable import DagRunInfo
from windlass.planning.assets import condition_of, consume, is_met
from windlass.planning.calendar import active_runs_limit, is_asked, manual_interval, next_run
from windlass.planning.runs import DagLimit, choose_runs
from windlass.ports import DagFacts, ExecutorPort, NewRun, RunFacts, StorePort
from windlass.scheduler.backfills import Backfills
from windlass.scheduler.owned import OwnedRuns
from windlass.scheduler.sharing import Share
from windlass.scheduler.timetables import Timetables
from windlass.spec import DagSpec
from windlass.states import RunType, TaskState

log = logging.getLogger(__name__)


class Calendar:
    """A cache over the store, made anew with the runs that are ``owned``; of the DAGs in the scheduler's ``share``."""

    def __init__(self, store: StorePort, owned: OwnedRuns, executor: ExecutorPort, share: Share) -> None:
        self._store = store
        self._owned = owned
        self._timetables = Timetables(store, executor, owned)
        self._dags = {dag.dag_id: dag for dag in store.dags() if share.holds(dag.dag_id)}
        #: DAGs whose next run must be looked at.
        self._due = dict.fromkeys(self._dags)
        #: DAGs with as many open runs of a kind as they may have: only the end of a run brings them on.
        self._full: set[str] = set()
        self.backfills = Backfills(store, self.spec, self._dags.get, self._timetables, share)
        #: Whether anything has happened that may let a queued run start.
        self.may_start = True

    @property
    def is_idle(self) -> bool:
        """Whether no DAG and no backfill is waiting to be looked at."""
        return not self._due and self.backfills.is_idle

    def spec(self, dag_id: str, spec_version: str) -> DagSpec | None:
        """Return a stored spec. One that cannot be read is logged, and only its own runs stand still."""
        try:
            return self._store.spec(dag_id, spec_version)
        except (SpecError, DagNotFound) as error:
            log.error("runs of DAG %s cannot go on: %s", dag_id, error)  # noqa: TRY400 - the sentence is the message
            return None

    def refresh(self, dag_id: str) -> None:
        """Read a DAG again."""
        dag = self._store.dag(dag_id)
        self.may_start = True
        if dag is None or dag.stale:
            self.forget(dag_id)
        else:
            self._dags[dag_id] = _with_later_interval(dag, self._dags.get(dag_id))
            self.look_at(dag_id)
        self.backfills.dag_changed(dag_id)

    def add(self, dag_ids: AbstractSet[str]) -> None:
        """Read DAGs that have come into the share."""
        self.may_start = True
        for dag in self._store.dags():
            if dag.dag_id in dag_ids:
                self._dags[dag.dag_id] = dag
                self.look_at(dag.dag_id)
        self.backfills.reload()

    def forget(self, dag_id: str) -> None:
        """Drop what is remembered of a DAG."""
        self._dags.pop(dag_id, None)
        self._due.pop(dag_id, None)
        self._full.discard(dag_id)
        self._owned.timers.cancel(("dag", dag_id))

    def look_at(self, dag_id: str) -> None:
        """Let the next run of a DAG be looked at in this step or the next."""
        self._due[dag_id] = None

    def run_ended(self, facts: RunFacts) -> None:
        """Take note that there is room for another run."""
        self.may_start = True
        if facts.dag_id in self._full:  # any other has its timer already
            self.look_at(facts.dag_id)
        self.backfills.look_at(facts.backfill_id)

    def is_held(self, facts: RunFacts) -> bool:
        """Return whether the run stands still because its DAG is paused; a backfill goes on."""
        dag = self._dags.get(facts.dag_id)
        return dag is not None and dag.paused and facts.backfill_id is None

    def create_due(self, now: datetime) -> bool:
        """Create the runs that are due, one of each kind per DAG and step; set a timer for what is to come.

        Return whether any was made, which is in the inbox by now.
        """
        due, self._due = list(self._due), {}
        made = False
        for dag_id in due:
            self._owned.timers.cancel(("dag", dag_id))
            self._full.discard(dag_id)
            dag = self._dags.get(dag_id)
            spec = None if dag is None or dag.paused else self.spec(dag_id, dag.spec_version)
            if dag is None or spec is None:
                continue
            made = self._create_asset_run(dag, spec) or made
            made = self._create_scheduled_run(dag, spec, now) or made
        return made

    def _create_scheduled_run(self, dag: DagFacts, spec: DagSpec, now: datetime) -> bool:
        """Create the scheduled run that is due, and see when the one after it is; return whether there is a new run."""
        if self._has_all_runs(spec, RunType.SCHEDULED):
            return False
        info = self._next_run(dag, spec, now)
        if info is None:
            return False
        if info.run_after > now:
            self._owned.timers.set(("dag", dag.dag_id), info.run_after)
            return False
        created = self._store.create_run(
            NewRun(
                dag_id=dag.dag_id,
                run_type=RunType.SCHEDULED,
                logical_date=info.logical_date,
                data_interval_start=info.data_interval.start,
                data_interval_end=info.data_interval.end,
                run_after=info.run_after,
                spec_version=dag.spec_version,
                code_version=dag.code_version,
            )
        )
        dag = self._dags[dag.dag_id] = msgspec.structs.replace(
            dag, last_interval_start=info.data_interval.start, last_interval_end=info.data_interval.end
        )
        following = None if is_asked(spec) else next_run(dag, spec, now)
        if following is not None and following.run_after > now:
            self._owned.timers.set(("dag", dag.dag_id), following.run_after)
        else:
            self.look_at(dag.dag_id)
        return created is not None

    def _create_asset_run(self, dag: DagFacts, spec: DagSpec) -> bool:
        """Create the run that the asset events which wait for the DAG call for; return whether there is one.

        The events are read only when the condition is met, so an asset that is updated a thousand times while another
        is waited for costs a thousand small looks, and one long one.
        """
        condition = condition_of(spec.schedule)
        if condition is None or self._has_all_runs(spec, RunType.ASSET_TRIGGERED):
            return False
        if not is_met(condition, self._store.updated_assets(dag.dag_id)):
            return False
        due = consume(condition, self._store.waiting_events(dag.dag_id))
        if due is None:
            return False
        created = self._store.create_run(
            NewRun(
                dag_id=dag.dag_id,
                run_type=RunType.ASSET_TRIGGERED,
                logical_date=due.completed_at,
                data_interval_start=due.start,
                data_interval_end=due.end,
                run_after=due.completed_at,
                spec_version=dag.spec_version,
                code_version=dag.code_version,
                bump=True,
                asset_events=due.events,
            )
        )
        # What came meanwhile may call for another; so may what is left if somebody else consumed some of these.
        self.look_at(dag.dag_id)
        return created is not None

    def _has_all_runs(self, spec: DagSpec, kind: RunType) -> bool:
        """Return whether the DAG has as many open runs of a kind as it may; the next is created when one ends."""
        limit = active_runs_limit(spec)
        if not 0 <= limit <= self._owned.open_runs[spec.dag_id, kind]:
            return False
        self._full.add(spec.dag_id)
        return True

    def _next_run(self, dag: DagFacts, spec: DagSpec, now: datetime) -> DagRunInfo | None:
        return self._timetables.next_run(dag, spec, now) if is_asked(spec) else next_run(dag, spec, now)

    def ask_again(self) -> None:
        """Send the questions to timetables again that a supervisor may have lost."""
        for kind, name in self._timetables.under_way():
            if kind == "dag":
                self.look_at(str(name))
            elif kind == "backfill":
                self.backfills.look_at(int(name))
            self.may_start = True

    def failures_limit(self, run: RunFacts) -> int:
        """Return after how many failures in a row the DAG of a run is paused, as its newest version says; 0 = never."""
        dag = self._dags.get(run.dag_id)
        spec = self.spec(run.dag_id, run.spec_version if dag is None else dag.spec_version)
        return 0 if spec is None else spec.max_consecutive_failed_dag_runs

    def startable(self, now: datetime) -> list[RunFacts]:
        """Return the queued runs that max_active_runs has room for, in the order of their start.

        One whose data interval is a timetable's to say is among them when it has been said, with that interval.
        """
        if not self._owned.queued or not self.may_start:
            return []
        self.may_start = False
        waiting = [self._known(run, now) for run in self._owned.queued.values()]
        queued = {run.id: run for run in waiting if run is not None}
        running = [tracked.facts for tracked in self._owned.running.values()]
        one_of_each = {run.dag_id: run for run in queued.values()}
        limits = {dag_id: limit for dag_id, run in one_of_each.items() if (limit := self._limit(run)) is not None}
        started = choose_runs(queued.values(), running, limits, self.backfills.limits(queued.values())).started
        return [*(run for run in self._over() if run not in started), *started]

    def _over(self) -> list[RunFacts]:
        """Return the queued runs that were told to end and have nothing running: no limit and no pause holds their end.

        A clear puts a run back into the queue while a process of it may still live; a mark of such a run waits for it.
        """
        ending = [run for run in self._owned.queued.values() if run.ending is not None]
        return [
            run for run in ending if not any(task.state is TaskState.RUNNING for task in self._store.tasks_of(run.id))
        ]

    def _known(self, run: RunFacts, now: datetime) -> RunFacts | None:
        """Return a run with its data interval; None while a timetable has yet to say it, or the DAG is paused."""
        if not run.interval_pending:
            return run
        spec = None if self.is_held(run) else self.spec(run.dag_id, run.spec_version)
        if spec is None:
            return None
        if is_asked(spec):
            interval = self._timetables.interval(run, spec, now)
        else:  # it was pinned to a version with another schedule since
            interval = manual_interval(spec, run.logical_date)
        if interval is None:
            return None
        return msgspec.structs.replace(
            run, data_interval_start=interval.start, data_interval_end=interval.end, interval_pending=False
        )

    def _limit(self, run: RunFacts) -> DagLimit | None:
        """Return what bounds the runs of this run's DAG: its newest version, or the run's own if the DAG is gone."""
        dag = self._dags.get(run.dag_id)
        spec = self.spec(run.dag_id, run.spec_version if dag is None else dag.spec_version)
        if spec is None:
            return None
        return DagLimit(max_active_runs=active_runs_limit(spec), is_paused=dag is not None and dag.paused)


def _with_later_interval(dag: DagFacts, known: DagFacts | None) -> DagFacts:
    """Return a DAG as it was read, with the interval that was passed over meanwhile if that is later.

    What is passed over has a run of another type; the store knows nothing of it.
    """
    if known is None or known.last_interval_start is None:
        return dag
    if dag.last_interval_start is not None and dag.last_interval_start >= known.last_interval_start:
        return dag
    return msgspec.structs.replace(
        dag, last_interval_start=known.last_interval_start, last_interval_end=known.last_interval_end
    )
