"""The engine's store in memory: what ``dag.test()`` runs on, without a database.

It keeps the contract of the real store (the same conformance suite runs against both) with dicts instead of tables: a
step of the scheduler is applied whole, per run, guarded by generation, state and epoch, and every transition is kept
with its op id. There is one process and one scheduler, so nothing here waits, locks or expires by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import count
from typing import TypeVar

import msgspec

from windlass.app.inproc.assets import MemoryAssets
from windlass.errors import DagNotFound, StoreError
from windlass.planning.queueing import Lane, Occupancy
from windlass.planning.runs import make_run_id
from windlass.ports import (
    Admission,
    AssetName,
    Changes,
    Clock,
    Committed,
    DagFacts,
    Expansion,
    NewRun,
    Occupied,
    PoolFacts,
    PreviousFacts,
    RunFacts,
    RunMove,
    Signal,
    SignalKind,
    StopRequest,
    TaskFacts,
    TaskMove,
    WaitingEvent,
)
from windlass.protocol import AssetEvent, Rendered, XComValue
from windlass.spec import DagSpec, TaskSpec, spec_version
from windlass.states import OCCUPYING_STATES, RUN_TRANSITIONS, Actor, RunState, RunType, TaskState, is_legal

_Change = TypeVar("_Change", RunMove, Expansion, TaskMove, Admission, StopRequest)
_ENDED_WELL = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the transition log."""

    task: int
    before: TaskState
    to: TaskState
    epoch: int
    actor: Actor
    op_id: str
    reason: str = ""


class _RunRefused(Exception):
    """A guard of this run found something else than what was decided on."""


class MemoryStore:
    """Implements :class:`~windlass.ports.StorePort`; the gateway beside it writes through :meth:`transit`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.transitions: list[Transition] = []
        self.xcoms: dict[tuple[int, str], XComValue] = {}
        self.rendered: dict[int, Rendered] = {}
        self.stops: dict[int, StopRequest] = {}
        self.assets = MemoryAssets()
        self._dags: dict[str, DagFacts] = {}
        self._specs: dict[tuple[str, str], DagSpec] = {}
        self._pools = {"default_pool": PoolFacts(name="default_pool", slots=128)}
        self._runs: dict[int, RunFacts] = {}
        self._owners: dict[int, str] = {}
        self._tasks: dict[int, TaskFacts] = {}
        self._of_run: dict[int, dict[int, None]] = {}
        self._signals: dict[int, Signal] = {}
        self._ops: set[str] = set()
        self._ids = count(1)

    # -- what a test or the gateway puts in ---------------------------------------------------------------------------

    def add_dag(
        self,
        spec: DagSpec,
        *,
        code_version: str = "inproc",
        bundle: str = "inproc",
        paused: bool = False,
        stale: bool = False,
    ) -> None:
        """Store a DAG, or its next version. A stale one has no scheduled runs."""
        version = spec_version(spec)
        self._specs[spec.dag_id, version] = spec
        known = self._dags.get(spec.dag_id)
        fresh = DagFacts(
            dag_id=spec.dag_id,
            bundle=bundle,
            file=spec.file,
            spec_version=version,
            code_version=code_version,
            paused=paused,
            stale=stale,
            last_interval_start=None if known is None else known.last_interval_start,
            last_interval_end=None if known is None else known.last_interval_end,
        )
        self._dags[spec.dag_id] = fresh
        self.assets.forget(spec.dag_id, spec)
        self._signal(SignalKind.DAG, dag_id=spec.dag_id)

    def set_pool(self, pool: PoolFacts) -> None:
        """Create or change a pool."""
        self._pools[pool.name] = pool
        self._signal(SignalKind.POOL)

    def transit(self, task: TaskFacts, move: Transition) -> TaskFacts:
        """Write a transition that the table of ``states`` allows; ``task`` is the instance as it shall be."""
        if not is_legal(move.before, move.to, move.actor):
            msg = f"{move.actor} may not move a task instance from {move.before} to {move.to}"
            raise StoreError(msg)
        self._ops.add(move.op_id)
        self.transitions.append(move)
        self._tasks[task.id] = task
        return task

    def signal_task(self, task: TaskFacts) -> None:
        """Tell the run's scheduler that somebody else changed ``task``."""
        self._signal(SignalKind.TASK, run=task.run, task=task.id)

    def record_asset_event(self, event: AssetEvent, source: tuple[str, str, str, int] | None = None) -> None:
        """Record an event and tell the DAGs that listen."""
        listeners = [(dag, self.spec(dag.dag_id, dag.spec_version)) for dag in self.dags()]
        for dag_id in self.assets.record(event, self.clock.now(), listeners, source):
            self._signal(SignalKind.ASSET, dag_id=dag_id)

    def task(self, task: int) -> TaskFacts:
        """Return one task instance."""
        return self._tasks[task]

    def _signal(self, kind: SignalKind, *, dag_id: str = "", run: int = 0, task: int = 0) -> None:
        number = next(self._ids)
        self._signals[number] = Signal(id=number, kind=kind, dag_id=dag_id, run=run, task=task)

    # -- StorePort: reading -------------------------------------------------------------------------------------------

    def signals(self, limit: int = 1000) -> list[Signal]:
        """Return the oldest rows of the inbox."""
        return list(self._signals.values())[:limit]

    def dags(self) -> list[DagFacts]:
        """Return the DAGs that are not stale."""
        return [dag for dag in self._dags.values() if not dag.stale]

    def dag(self, dag_id: str) -> DagFacts | None:
        """Return one DAG."""
        return self._dags.get(dag_id)

    def spec(self, dag_id: str, spec_version: str) -> DagSpec:
        """Return a stored spec."""
        try:
            return self._specs[dag_id, spec_version]
        except KeyError:
            msg = f"DAG `{dag_id}` has no stored version {spec_version}"
            raise DagNotFound(msg) from None

    def pools(self) -> list[PoolFacts]:
        """Return all pools."""
        return list(self._pools.values())

    def occupied(self) -> list[Occupied]:
        """Return the instances that hold slots."""
        return [
            Occupied(
                task=task.id,
                run=task.run,
                dag_id=self._runs[task.run].dag_id,
                task_id=task.task_id,
                pool=task.pool,
                pool_slots=task.pool_slots,
                state=task.state,
            )
            for task in self._tasks.values()
            if task.state in OCCUPYING_STATES
        ]

    def open_runs(self) -> list[RunFacts]:
        """Return the unfinished runs, oldest first."""
        runs = [run for run in self._runs.values() if not run.state.is_terminal]
        return sorted(runs, key=lambda run: (run.run_after, run.id))

    def runs(self) -> list[RunFacts]:
        """Return all runs, in the order of their creation."""
        return list(self._runs.values())

    def run(self, run: int) -> RunFacts | None:
        """Return one run."""
        return self._runs.get(run)

    def tasks_of(self, run: int) -> list[TaskFacts]:
        """Return the instances of a run."""
        return [self._tasks[task] for task in self._of_run.get(run, ())]

    def tasks(self, ids: Iterable[int]) -> list[TaskFacts]:
        """Return these instances."""
        return [self._tasks[task] for task in ids if task in self._tasks]

    def queued(self) -> list[TaskFacts]:
        """Return the queued instances."""
        return [task for task in self._tasks.values() if task.state is TaskState.QUEUED]

    def previous(self, run: int, task_id: str, map_index: int, *, scheduled_only: bool) -> PreviousFacts | None:
        """Return the same task in the run before."""
        here = self._runs[run]
        kinds = set(RunType) - ({RunType.MANUAL} if scheduled_only else set())
        earlier = sorted(
            (
                other
                for other in self._runs.values()
                if other.dag_id == here.dag_id and other.logical_date < here.logical_date and other.run_type in kinds
            ),
            key=lambda other: other.logical_date,
        )
        if not earlier:
            return None
        runs = [{(task.task_id, task.map_index): task.state for task in self.tasks_of(other.id)} for other in earlier]
        spec = self.spec(here.dag_id, here.spec_version)
        below = spec.downstream.get(task_id, ())
        return PreviousFacts(
            run=earlier[-1].id,
            state=runs[-1].get((task_id, map_index)),
            has_earlier_instance=any((task_id, map_index) in states for states in runs),
            downstream_done=all(state in _ENDED_WELL for (name, _), state in runs[-1].items() if name in below),
        )

    def updated_assets(self, dag_id: str) -> list[AssetName]:
        """Return which of the DAG's assets and aliases have a waiting event that counts."""
        dag = self._dags[dag_id]
        return self.assets.updated(dag_id, self.spec(dag_id, dag.spec_version))

    def waiting_events(self, dag_id: str) -> list[WaitingEvent]:
        """Return the events that wait for a run of the DAG."""
        return self.assets.waiting(dag_id)

    # -- StorePort: writing -------------------------------------------------------------------------------------------

    def create_run(self, new: NewRun) -> RunFacts | None:
        """Create a run with its instances, unless it exists."""
        dag = self._dags.get(new.dag_id)
        if dag is None:
            msg = f"DAG `{new.dag_id}` is not known"
            raise DagNotFound(msg)
        logical, taken = new.logical_date, {r.logical_date for r in self._runs.values() if r.dag_id == new.dag_id}
        while new.bump and logical in taken:
            logical += timedelta(microseconds=1)
        run_id = new.run_id or make_run_id(new.run_type, logical)
        if not self.assets.all_wait(new.dag_id, new.asset_events):
            return None
        if logical in taken or any(r.run_id == run_id for r in self._runs.values() if r.dag_id == new.dag_id):
            return None
        facts = RunFacts(
            id=next(self._ids),
            dag_id=new.dag_id,
            run_id=run_id,
            run_type=new.run_type,
            state=RunState.QUEUED,
            logical_date=logical,
            data_interval_start=new.data_interval_start,
            data_interval_end=new.data_interval_end,
            run_after=new.run_after,
            queued_at=self.clock.now(),
            start_date=None,
            end_date=None,
            spec_version=new.spec_version or dag.spec_version,
            code_version=new.code_version or dag.code_version,
            bundle=dag.bundle,
            file=dag.file,
            generation=0,
            conf=new.conf,
            backfill_id=new.backfill_id,
        )
        self._runs[facts.id] = facts
        self._of_run[facts.id] = {}
        self.assets.consume(new.dag_id, new.asset_events, facts.id)
        for task in self.spec(facts.dag_id, facts.spec_version).tasks:
            self._create_task(facts.id, task, -1)
        if new.run_type is RunType.SCHEDULED:
            self._dags[new.dag_id] = msgspec.structs.replace(
                dag, last_interval_start=new.data_interval_start, last_interval_end=new.data_interval_end
            )
        self._signal(SignalKind.RUN, run=facts.id)
        return facts

    def _create_task(self, run: int, task: TaskSpec, map_index: int) -> TaskFacts:
        facts = TaskFacts(
            id=next(self._ids),
            run=run,
            task_id=task.task_id,
            map_index=map_index,
            state=TaskState.NONE,
            try_number=0,
            max_tries=task.retries,
            epoch=0,
            pool=task.pool,
            pool_slots=task.pool_slots,
        )
        self._tasks[facts.id] = facts
        self._of_run[run][facts.id] = None
        return facts

    def adopt(self, runs: Sequence[int], owner: str, lease: float) -> list[int]:
        """Take the runs that nobody else owns; a lease never ends here."""
        return [run for run in runs if run in self._runs and self._owners.setdefault(run, owner) == owner]

    def commit(self, changes: Changes) -> Committed:
        """Apply each run's changes whole or not at all."""
        conflicts: set[int] = set()
        expanded: list[TaskFacts] = []
        refused: set[int] = set()
        admitted: dict[int, int] = {}
        touched: list[RunMove | Expansion | TaskMove | Admission | StopRequest] = [
            *changes.run_moves,
            *changes.expansions,
            *changes.task_moves,
            *changes.admissions,
            *changes.stops,
        ]
        for run in dict.fromkeys([*changes.generations, *(change.run for change in touched)]):
            saved = self._save(run)
            try:
                self._guard(run, changes)
                for run_move in _of(run, changes.run_moves):
                    self._move_run(run_move)
                mine = [task for expansion in _of(run, changes.expansions) for task in self._expand(expansion)]
                for task_move in _of(run, changes.task_moves):
                    self._move_task(task_move)
                for admission in _of(run, changes.admissions):
                    epoch = self._admit(admission)
                    if epoch is None:
                        refused.add(admission.task)
                    else:
                        admitted[admission.task] = epoch
                self.stops.update({stop.task: stop for stop in _of(run, changes.stops)})
                expanded += mine
            except _RunRefused:
                self._restore(run, saved)
                conflicts.add(run)
        for number in changes.signals:  # those of a refused run stay, for whoever owns it now
            if number in self._signals and self._signals[number].run not in conflicts:
                del self._signals[number]
        return Committed(
            conflicts=frozenset(conflicts),
            expanded=tuple(expanded),
            refused=frozenset(refused),
            admitted=admitted,
            queued_at=self.clock.now(),
        )

    def _save(self, run: int) -> tuple[RunFacts | None, dict[int, TaskFacts], int]:
        return (
            self._runs.get(run),
            {task: self._tasks[task] for task in self._of_run.get(run, ())},
            len(self.transitions),
        )

    def _restore(self, run: int, saved: tuple[RunFacts | None, dict[int, TaskFacts], int]) -> None:
        facts, tasks, length = saved
        if facts is not None:
            self._runs[run] = facts
        for task in self._of_run.get(run, {}).keys() - tasks.keys():
            del self._tasks[task]
        self._tasks.update(tasks)
        self._of_run[run] = dict.fromkeys(tasks)
        self._ops -= {transition.op_id for transition in self.transitions[length:]}
        del self.transitions[length:]

    def _guard(self, run: int, changes: Changes) -> None:
        facts = self._runs.get(run)
        if facts is None or changes.generations.get(run, facts.generation) != facts.generation:
            raise _RunRefused

    def _move_run(self, move: RunMove) -> None:
        if move.op_id in self._ops:
            return
        facts, now = self._runs[move.run], self.clock.now()
        if facts.state is not move.before:
            raise _RunRefused
        self._ops.add(move.op_id)
        if move.ending is not None:
            facts = msgspec.structs.replace(facts, ending=move.ending, ending_reason=move.reason)
        if move.to is not move.before:
            if move.actor not in RUN_TRANSITIONS.get((move.before, move.to), ()):
                msg = f"{move.actor} may not move a run from {move.before} to {move.to}"
                raise StoreError(msg)
            facts = msgspec.structs.replace(
                facts,
                state=move.to,
                start_date=now if move.to is RunState.RUNNING else facts.start_date,
                end_date=now if move.to.is_terminal else None,
            )
        self._runs[move.run] = facts

    def _expand(self, expansion: Expansion) -> list[TaskFacts]:
        """Create the instances that do not exist; the placeholder's row becomes index 0."""
        facts = self._runs[expansion.run]
        task = self.spec(facts.dag_id, facts.spec_version).by_id[expansion.task_id]
        instances = {t.map_index: t for t in self.tasks_of(expansion.run) if t.task_id == expansion.task_id}
        if -1 in instances:
            first = instances.pop(-1)
            instances[0] = self._tasks[first.id] = msgspec.structs.replace(first, map_index=0)
        for index in range(expansion.length):
            if index not in instances:
                instances[index] = self._create_task(expansion.run, task, index)
        return [instances[index] for index in sorted(instances)]

    def _move_task(self, move: TaskMove) -> None:
        if move.op_id in self._ops:
            return
        task = self._tasks.get(move.task)
        if task is None or task.state is not move.before or task.epoch != move.epoch:
            raise _RunRefused
        after = msgspec.structs.replace(
            task, state=move.to, try_number=task.try_number + move.charge, not_before=None, ticket=None
        )
        self.transit(
            after,
            Transition(
                task=move.task,
                before=move.before,
                to=move.to,
                epoch=move.epoch,
                actor=move.actor,
                op_id=move.op_id,
                reason=move.reason,
            ),
        )

    def _admit(self, admission: Admission) -> int | None:
        """Queue one instance; None when it has no room."""
        task = self._tasks[admission.task]
        if admission.op_id in self._ops:
            return task.epoch
        if task.state is not TaskState.SCHEDULED or task.epoch != admission.epoch:
            raise _RunRefused
        occupancy = Occupancy()
        for other in self.occupied():
            occupancy.add(
                run=other.run,
                dag_id=other.dag_id,
                task_id=other.task_id,
                pool=other.pool,
                pool_slots=other.pool_slots,
            )
        lane = Lane(
            run=admission.run,
            dag_id=admission.dag_id,
            pool=admission.pool,
            pool_slots=admission.pool_slots,
            max_active_tasks=admission.max_active_tasks,
            task_id=admission.task_id,
            max_active_tis_per_dag=admission.max_active_tis_per_dag,
            max_active_tis_per_dagrun=admission.max_active_tis_per_dagrun,
        )
        if occupancy.obstacle(lane, {pool.name: pool.slots for pool in self._pools.values()}) is not None:
            return None
        epoch = task.epoch + 1
        after = msgspec.structs.replace(
            task, state=TaskState.QUEUED, epoch=epoch, ticket=admission.ticket, queued_at=self.clock.now()
        )
        self.transit(
            after,
            Transition(
                task=task.id,
                before=task.state,
                to=TaskState.QUEUED,
                epoch=epoch,
                actor=Actor.SCHEDULER,
                op_id=admission.op_id,
            ),
        )
        return epoch

    def reap(self, *, queued_timeout: float) -> int:
        """Nothing dies here: the tasks run in this process."""
        return 0


def _of(run: int, changes: Iterable[_Change]) -> list[_Change]:
    return [change for change in changes if change.run == run]
