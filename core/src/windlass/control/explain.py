"""Why something has not run: the causal tree, with the cheapest action that would unblock it.

The answer comes from the same pure decisions that the scheduler makes (``planning``), asked on a snapshot of the
store: trigger rules, the past, pools and limits, runs that wait for others. It never guesses from age.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from windlass.control.alive import Alive
from windlass.control.assets import Assets
from windlass.control.dags import Dags
from windlass.control.runs import Runs
from windlass.control.tasks import Tasks
from windlass.control.views import Cause
from windlass.control.visibility import Visible, everything
from windlass.errors import UsageError
from windlass.moment import iso
from windlass.planning.assets import cheapest, condition_of, describe, describe_name, still_missing
from windlass.planning.calendar import active_runs_limit
from windlass.planning.decisions import Instance, label
from windlass.planning.past import past_allows
from windlass.planning.plan import RunPlan
from windlass.planning.queueing import Lane, Occupancy
from windlass.planning.runs import BackfillLimit, DagLimit, choose_runs
from windlass.ports import AssetName, Clock, RunFacts, TaskFacts
from windlass.spec import AssetCondition, DagSpec
from windlass.states import RunState, RunType, TaskState
from windlass.store import Store

#: How many unfinished tasks the explanation of a run names.
_NAMED: Final = 20


class Explain:
    """The query behind ``windlass explain``."""

    def __init__(
        self, store: Store, clock: Clock, dags: Dags, runs: Runs, tasks: Tasks, assets: Assets, alive: Alive
    ) -> None:
        self._store = store
        self._assets = assets
        self._clock = clock
        self._dags = dags
        self._runs = runs
        self._tasks = tasks
        self._alive = alive

    def __call__(
        self,
        dag_id: str,
        run_id: str | None = None,
        task_id: str | None = None,
        map_index: int = -1,
        *,
        visible: Visible = everything,
    ) -> Cause:
        """Return why a DAG, one of its runs, or a task of the run has not run.

        :raises DagNotFound, RunNotFound, TaskNotFound: if there is no such thing.
        """
        if run_id is None:
            if task_id is not None:
                raise UsageError("a task is explained within a run; name the run as well")
            return self._dag(dag_id, visible)
        if task_id is not None:
            self._tasks.find(dag_id, run_id, task_id, map_index, visible=visible)
        run = self._runs.find(dag_id, run_id, visible=visible)
        snapshot = _Snapshot(self._store, run)
        if task_id is not None:
            return self._task(snapshot, snapshot.facts[task_id, map_index])
        return self._run(snapshot)

    # -- a DAG --------------------------------------------------------------------------------------------------

    def _dag(self, dag_id: str, visible: Visible) -> Cause:
        dag, spec = self._dags.find(dag_id, visible=visible)
        causes = self._server()
        if dag.stale:
            causes.append(Cause(fact="the DAG is no longer in any file", remedy=f"put it back into {dag.file}"))
        causes += [
            Cause(fact=f"{row.file} could not be read: {row.message.strip().splitlines()[-1]}", remedy="fix the file")
            for row in self._store.queries.import_errors()
            if (row.bundle, row.file) == (dag.bundle, dag.file) and row.severity == "error" and row.message.strip()
        ]
        if dag.paused:
            causes.append(Cause(fact="the DAG is paused", remedy=f"windlass dags unpause {dag_id}"))
        waiting = [run for run in self._store.scheduler.open_runs() if run.dag_id == dag_id]
        causes += [self._run(_Snapshot(self._store, run)) for run in waiting[:_NAMED]]
        following = self._dags.next_run(dag_id, visible=visible)
        if condition_of(spec.schedule) is not None and not dag.stale:
            causes.append(self._asset_schedule(spec, waiting, visible))
        elif following.run_after is None:
            remedy = f"windlass dags trigger {dag_id}"
            causes.append(Cause(fact=following.reason or "the schedule wants no run", remedy=remedy))
        if following.run_after is not None and following.run_after > self._clock.now():
            causes.append(Cause(fact=f"its next run is due at {iso(following.run_after)} ({spec.schedule_summary})"))
        return Cause(fact=f"DAG {dag_id!r}", causes=tuple(causes))

    def _asset_schedule(self, spec: DagSpec, open_runs: Sequence[RunFacts], visible: Visible) -> Cause:
        """Return which assets a DAG still waits for, with the fewest updates that would make it run."""
        condition = condition_of(spec.schedule) or AssetCondition()
        rest = still_missing(condition, self._store.scheduler.updated_assets(spec.dag_id))
        if rest is not None:
            causes = [self._missing_asset(name, visible) for name in cheapest(rest)]
            ignored = sum(not event.counts for event in self._store.scheduler.waiting_events(spec.dag_id))
            if ignored:
                while_paused = f"{ignored} event(s) came while the DAG was paused: they call for no run"
                causes.append(Cause(fact=f"{while_paused}, and go to the next one"))
            return Cause(fact=f"it waits for an update of {describe(rest)}", causes=tuple(causes))
        fact, limit = "its assets have been updated", active_runs_limit(spec)
        mine = sum(run.run_type is RunType.ASSET_TRIGGERED for run in open_runs)
        if 0 <= limit <= mine:
            full = f"max_active_runs ({limit}) is reached; one run takes all the events when one has ended"
            return Cause(fact=fact, causes=(Cause(fact=full),))
        return Cause(fact=f"{fact}; the scheduler is about to create its run")

    def _missing_asset(self, name: AssetName, visible: Visible) -> Cause:
        asset = shlex.quote(name.name)
        producers = self._assets.producers(name, visible=visible)
        fact = f"{describe_name(name)} has had no event since this DAG's last asset-triggered run"
        if producers:
            choice = f" --dag-id {shlex.quote(producers[0])}" if len(producers) > 1 else ""
            return Cause(fact=fact, remedy=f"windlass assets materialize {asset}{choice}")
        if name.is_alias:
            return Cause(fact=fact, remedy=f"windlass assets create-event ASSET --alias {asset}")
        return Cause(fact=fact, remedy=f"windlass assets create-event {asset}")

    def _server(self) -> list[Cause]:
        if self._alive.scheduler():
            return []
        return [Cause(fact="no scheduler is running", remedy="windlass standalone")]

    # -- a run --------------------------------------------------------------------------------------------------

    def _run(self, snapshot: _Snapshot) -> Cause:
        run = snapshot.run
        if run.state.is_terminal:
            return Cause(fact=f"run {run.run_id!r} has ended: {run.state.value}")
        fact = f"run {run.run_id!r} is {run.state.value}"
        if run.state is RunState.QUEUED:
            obstacle = self._run_obstacle(run)
            causes = self._server() + ([Cause(fact=obstacle)] if obstacle else [])
            return Cause(fact=fact, causes=tuple(causes))
        unfinished = [task for task in snapshot.facts.values() if not task.state.is_terminal]
        causes = self._server() + [self._task(snapshot, task) for task in unfinished[:_NAMED]]
        if len(unfinished) > _NAMED:
            causes.append(Cause(fact=f"and {len(unfinished) - _NAMED} more unfinished tasks"))
        return Cause(fact=fact, causes=tuple(causes))

    def _run_obstacle(self, run: RunFacts) -> str | None:
        open_runs = self._store.scheduler.open_runs()
        dag, spec = self._dags.find(run.dag_id)
        limits = {run.dag_id: DagLimit(max_active_runs=active_runs_limit(spec), is_paused=dag.paused)}
        backfills = {other.backfill_id: BackfillLimit(max_active_runs=-1) for other in open_runs if other.backfill_id}
        choice = choose_runs(
            [other for other in open_runs if other.state is RunState.QUEUED and other.dag_id == run.dag_id],
            [other for other in open_runs if other.state is RunState.RUNNING],
            limits,
            backfills,
        )
        return choice.blocked.get(run.id)

    def _reason_of(self, task: TaskFacts) -> tuple[Cause, ...]:
        """Return why the instance is in its state, where that was written down."""
        log = self._store.queries.transitions(task.id)
        return (Cause(fact=log[-1].reason),) if log and log[-1].reason else ()

    # -- a task -------------------------------------------------------------------------------------------------

    def _task(self, snapshot: _Snapshot, task: TaskFacts) -> Cause:
        name = label(task.task_id, task.map_index)
        fact = f"task {name!r} is {task.state.value}"
        if task.state.is_terminal:
            return Cause(fact=f"task {name!r} has ended: {task.state.value}", causes=self._reason_of(task))
        causes: list[Cause] = []
        if snapshot.run.state is RunState.QUEUED:
            obstacle = self._run_obstacle(snapshot.run)
            why = (Cause(fact=obstacle),) if obstacle else ()
            causes.append(Cause(fact=f"its run {snapshot.run.run_id!r} has not started", causes=why))
        match task.state:
            case TaskState.NONE:
                causes += [Cause(fact=sentence) for sentence in snapshot.blockers(task)]
            case TaskState.SCHEDULED:
                causes += self._room(snapshot, task)
            case TaskState.QUEUED:
                causes.append(
                    Cause(fact=f"an executor has it since {_when(task.queued_at)}; no process has claimed it")
                )
                if not self._alive.supervisor():
                    causes.append(Cause(fact="no supervisor is running", remedy="windlass standalone"))
            case TaskState.UP_FOR_RETRY | TaskState.UP_FOR_RESCHEDULE:
                tries = f"try {task.try_number} of {task.max_tries + 1} is over"
                causes.append(Cause(fact=f"{tries}; it goes on at {_when(task.not_before)}"))
            case TaskState.DEFERRED:
                causes.append(Cause(fact="it waits for its trigger to fire"))
        return Cause(fact=fact, causes=tuple(causes))

    def _room(self, snapshot: _Snapshot, task: TaskFacts) -> list[Cause]:
        spec, run = snapshot.spec, snapshot.run
        dag = self._store.queries.dag(run.dag_id)
        causes = []
        if dag.paused and run.run_type is not RunType.BACKFILL:
            causes.append(Cause(fact="the DAG is paused", remedy=f"windlass dags unpause {run.dag_id}"))
        occupancy = Occupancy()
        for held in self._store.scheduler.occupied():
            occupancy.add(
                run=held.run, dag_id=held.dag_id, task_id=held.task_id, pool=held.pool, pool_slots=held.pool_slots
            )
        declared = spec.by_id.get(task.task_id)
        lane = Lane(
            run=run.id,
            dag_id=run.dag_id,
            pool=task.pool,
            pool_slots=task.pool_slots,
            max_active_tasks=spec.max_active_tasks,
            task_id=task.task_id,
            max_active_tis_per_dag=_limit(None if declared is None else declared.max_active_tis_per_dag),
            max_active_tis_per_dagrun=_limit(None if declared is None else declared.max_active_tis_per_dagrun),
        )
        pools = {pool.name: pool.slots for pool in self._store.scheduler.pools()}
        obstacle = occupancy.obstacle(lane, pools)
        if obstacle is not None:
            remedy = f"windlass pools set {task.pool} SLOTS" if obstacle.startswith("pool ") else None
            causes.append(Cause(fact=obstacle, remedy=remedy))
        elif not causes:
            causes.append(
                Cause(fact="it waits for the scheduler to pick it: at the next step, or parallelism is reached")
            )
        return causes


class _Snapshot:
    """A run with its task instances and, when asked for, its plan."""

    def __init__(self, store: Store, run: RunFacts) -> None:
        self.run = run
        self.spec: DagSpec = store.queries.spec(run.dag_id, run.spec_version)
        self.facts = {(task.task_id, task.map_index): task for task in store.scheduler.tasks_of(run.id)}
        self._store = store

    def blockers(self, task: TaskFacts) -> list[str]:
        """Return what the plan says of a task that has not been let go."""
        plan = RunPlan(self.spec, map(_instance, self.facts.values()), past_ok=self._past_ok)
        if any(decision.task_id == task.task_id for decision in plan.decide()):
            return ["the scheduler is about to decide on it"]
        return plan.blockers(task.task_id, task.map_index)

    def _past_ok(self, task_id: str, map_index: int) -> bool:
        previous = self._store.scheduler.previous(self.run.id, task_id, map_index, scheduled_only=self.spec.catchup)
        return past_allows(self.spec.by_id[task_id], previous)


def _instance(task: TaskFacts) -> Instance:
    return Instance(
        task_id=task.task_id,
        map_index=task.map_index,
        state=task.state,
        skip_targets=task.skip_targets,
        result_length=task.result_length,
    )


def _limit(value: int | None) -> int:
    return -1 if value is None else value


def _when(at: datetime | None) -> str:
    return "an unknown time" if at is None else iso(at)
