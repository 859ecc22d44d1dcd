"""Why a run has not started, or has not ended: what it waits for, and what the tasks it depends on wait for."""

from __future__ import annotations

from typing import Final

import msgspec

from windlass.control.dags import Dags
from windlass.control.explain.commands import clear_failed, windlass
from windlass.control.explain.instances import Instances
from windlass.control.explain.snapshot import Snapshot
from windlass.control.runs import Runs
from windlass.control.timetables import pending_interval
from windlass.control.views import Cause
from windlass.moment import iso
from windlass.planning.backfill import limit_of
from windlass.planning.calendar import active_runs_limit
from windlass.planning.runs import DagLimit, choose_runs
from windlass.ports import RunFacts
from windlass.states import RunState, TaskState
from windlass.store import Store
from windlass.store.queries import DagRow as StoredDag

#: How many running runs are explained as what a queued one waits for.
_NAMED: Final = 3
_BROKEN: Final = (TaskState.FAILED, TaskState.UPSTREAM_FAILED)


class Starts:
    """Explains runs of one store."""

    def __init__(self, store: Store, dags: Dags, runs: Runs, instances: Instances) -> None:
        self._store = store
        self._dags = dags
        self._runs = runs
        self._instances = instances

    def explain(self, snapshot: Snapshot) -> Cause:
        """Return the node of one run with everything below it."""
        node = self._explain(snapshot)
        missed = [
            Cause(fact=f"it has missed its deadline {iso(miss.due_at)} ({miss.deadline})", kind="deadline")
            for miss in self._runs.missed_deadlines(snapshot.run.dag_id, snapshot.run.run_id)
        ]
        return msgspec.structs.replace(node, causes=(*node.causes, *missed)) if missed else node

    def _explain(self, snapshot: Snapshot) -> Cause:
        run = snapshot.run
        if run.state.is_terminal:
            return self._ended(snapshot)
        fact = f"run {run.run_id!r} is {run.state}"
        if run.state is RunState.QUEUED:
            return Cause(fact=fact, kind="run", causes=tuple(self.not_started(run)))
        causes = []
        if run.ending is not None:
            reason = run.ending_reason or "it was told to end"
            causes.append(
                Cause(fact=f"it ends as {run.ending} when its processes are gone: {reason}", kind="run_ending")
            )
        causes += self._instances.all(snapshot, snapshot.front())
        return Cause(fact=fact, kind="run", causes=tuple(causes))

    def not_started(self, run: RunFacts) -> list[Cause]:
        """Return what keeps a queued run from its start; nothing if only the scheduler's next step does."""
        dag, spec = self._dags.find(run.dag_id)
        held = [self.paused(dag)] if dag.paused and run.backfill_id is None else []
        if run.interval_pending:
            why = pending_interval(self._store, run, self._store.scheduler.spec(run.dag_id, run.spec_version))
            held.append(Cause(fact=f"its data interval is not known: {why}", kind="custom_timetable"))
        if held:
            return held
        open_runs = self._store.scheduler.open_runs()
        limit = DagLimit(max_active_runs=active_runs_limit(spec))
        # Those of a backfill are counted apart from the others of the DAG.
        mine = [other for other in open_runs if (other.dag_id, other.backfill_id) == (run.dag_id, run.backfill_id)]
        running = [other for other in mine if other.state is RunState.RUNNING]
        queued = [other for other in mine if other.state is RunState.QUEUED]
        backfill = None if run.backfill_id is None else self._store.scheduler.backfill(run.backfill_id)
        backfills = {} if backfill is None else {backfill.id: limit_of(backfill)}
        obstacle = choose_runs(queued, running, {run.dag_id: limit}, backfills).blocked.get(run.id)
        if obstacle is None:
            return [Cause(fact="there is room for it: the scheduler starts it at its next step", kind="undecided")]
        return [
            Cause(
                fact=obstacle,
                kind="max_active_runs",
                remedy=f"wait, or raise max_active_runs in {dag.file}" if run.backfill_id is None else None,
                causes=self.holders(running),
            )
        ]

    def holders(self, running: list[RunFacts]) -> tuple[Cause, ...]:
        """Return what holds the places of a DAG's runs."""
        causes = [self.explain(Snapshot(self._store, other)) for other in running[:_NAMED]]
        if len(running) > _NAMED:
            causes.append(Cause(fact=f"and {len(running) - _NAMED} more running runs", kind="more"))
        return tuple(causes)

    def paused(self, dag: StoredDag) -> Cause:
        """Return the node of a pause."""
        why = f" by {dag.paused_by}: {dag.paused_reason}" if dag.paused_reason else ""
        return Cause(fact=f"the DAG is paused{why}", kind="paused", remedy=windlass("dags", "unpause", dag.dag_id))

    def _ended(self, snapshot: Snapshot) -> Cause:
        run = snapshot.run
        fact = f"run {run.run_id!r} has ended: {run.state}"
        if run.state is not RunState.FAILED:
            return Cause(fact=fact, kind="ended")
        history = self._store.queries.run_transitions(run.id)
        reason = history[-1].reason if history else ""
        causes = [Cause(fact=reason, kind="reason")] if reason else []
        failed = [task for task in snapshot.facts.values() if task.state is TaskState.FAILED]
        causes += self._instances.all(snapshot, failed)
        broken = any(task.state in _BROKEN for task in snapshot.facts.values())
        remedy = clear_failed(run, snapshot.newest) if broken else None
        return Cause(fact=fact, kind="ended", remedy=remedy, causes=tuple(causes))
