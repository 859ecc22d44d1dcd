"""The engine's store in memory: what ``dag.test()`` runs on, without a database.

It keeps the contract of the real store (the same conformance suite runs against both) with dicts instead of tables: a
step of the scheduler is applied whole, per run, guarded by generation, state and epoch, and every transition is kept
with its op id. There is one process and one scheduler, so nothing here waits, locks or expires by itself.

A simulation of a year makes tens of thousands of runs, so no question and no change costs more the more runs there
are: what the tables' indexes are to the real store, ``_dated``, ``_occupying`` and ``_counts`` are here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count, islice
from typing import Any

import msgspec

from windlass.app.inproc.assets import MemoryAssets
from windlass.app.inproc.backfills import MemoryBackfills
from windlass.app.inproc.questions import MemoryQuestions
from windlass.errors import DagNotFound, StoreError
from windlass.planning.dates import tasks_of_run
from windlass.planning.queueing import Lane, Occupancy
from windlass.planning.runs import make_run_id, pauses_after_failures
from windlass.ports import (
    Admission,
    Asked,
    AssetName,
    BackfillStep,
    Changes,
    Clock,
    Committed,
    DagFacts,
    DeadlineMiss,
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
from windlass.protocol import AssetEvent, Rendered, TimetableQuestion, XComValue
from windlass.spec import DagSpec, TaskSpec, spec_version
from windlass.states import OCCUPYING_STATES, RUN_TRANSITIONS, Actor, RunState, RunType, TaskState, is_legal

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


class MemoryStore(MemoryBackfills):
    """Implements :class:`~windlass.ports.StorePort`; the gateway beside it writes through :meth:`transit`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.transitions: list[Transition] = []
        #: Task instance -> key -> value.
        self.xcoms: dict[int, dict[str, XComValue]] = {}
        self.rendered: dict[int, Rendered] = {}
        self.stops: dict[int, StopRequest] = {}
        self.assets = MemoryAssets()
        #: Why runs have ended.
        self.run_reasons: dict[int, str] = {}
        #: When each missed deadline, by run and place, was due.
        self.missed: dict[tuple[int, int], datetime] = {}
        self.questions = MemoryQuestions(clock, self._tell)
        self._dags: dict[str, DagFacts] = {}
        self._specs: dict[tuple[str, str], DagSpec] = {}
        self._pools = {"default_pool": PoolFacts(name="default_pool", slots=128)}
        self._runs: dict[int, RunFacts] = {}
        self._owners: dict[int, str] = {}
        self._tasks: dict[int, TaskFacts] = {}
        self._of_run: dict[int, dict[int, None]] = {}
        #: The runs of each DAG by logical date, and by id.
        self._dated: dict[str, list[tuple[datetime, int]]] = {}
        self._named: dict[tuple[str, str], int] = {}
        #: The task instances that hold slots, and what they hold.
        self._occupying: dict[int, None] = {}
        self._occupancy = Occupancy()
        #: How many instances a task has in a run.
        self._counts: Counter[tuple[int, str]] = Counter()
        #: How to take back what was written of the run that is being committed.
        self._undo: list[Callable[[], Any]] = []
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
        last_interval: tuple[datetime, datetime] | None = None,
    ) -> None:
        """Store a DAG, or its next version. A stale one has no scheduled runs.

        ``last_interval`` is that of the newest scheduled run, if it had any before all that is remembered here.
        """
        version = spec_version(spec)
        self._specs[spec.dag_id, version] = spec
        known = self._dags.get(spec.dag_id)
        if last_interval is None and known is not None and known.last_interval_start and known.last_interval_end:
            last_interval = (known.last_interval_start, known.last_interval_end)
        fresh = DagFacts(
            dag_id=spec.dag_id,
            bundle=bundle,
            file=spec.file,
            spec_version=version,
            code_version=code_version,
            paused=paused,
            stale=stale,
            last_interval_start=None if last_interval is None else last_interval[0],
            last_interval_end=None if last_interval is None else last_interval[1],
        )
        self._dags[spec.dag_id] = fresh
        self.assets.forget(spec.dag_id, spec)
        self._signal(SignalKind.DAG, dag_id=spec.dag_id)

    def set_pool(self, pool: PoolFacts) -> None:
        """Create or change a pool."""
        self._pools[pool.name] = pool
        self._signal(SignalKind.POOL)

    def expand(self, run: int, task_id: str, length: int) -> None:
        """Let a mapped task have ``length`` instances, as if the scheduler had decided it."""
        first = next(task for task in self.tasks_of(run) if task.task_id == task_id)
        self._expand(Expansion(task=first.id, run=run, task_id=task_id, length=length))

    def transit(self, task: TaskFacts, move: Transition) -> TaskFacts:
        """Write a transition that the table of ``states`` allows; ``task`` is the instance as it shall be."""
        if not is_legal(move.before, move.to, move.actor):
            msg = f"{move.actor} may not move a task instance from {move.before} to {move.to}"
            raise StoreError(msg)
        self._ops.add(move.op_id)
        self.transitions.append(move)
        before = self._tasks[task.id]
        self._put(task)

        def undo() -> None:
            self._ops.discard(move.op_id)
            self.transitions.pop()
            self._put(before)

        self._undo.append(undo)
        return task

    def _put(self, task: TaskFacts) -> None:
        """Let ``task`` be what is known of its instance."""
        self._tasks[task.id] = task
        holds, held = task.state in OCCUPYING_STATES, task.id in self._occupying
        if holds == held:
            return
        if holds:
            self._occupying[task.id] = None
        else:
            del self._occupying[task.id]
        self._occupancy.add(
            run=task.run,
            dag_id=self._runs[task.run].dag_id,
            task_id=task.task_id,
            pool=task.pool,
            pool_slots=task.pool_slots,
            sign=1 if holds else -1,
        )

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

    def count_of(self, run: int, task_id: str) -> int:
        """Return how many instances a task has in a run."""
        return self._counts[run, task_id]

    @property
    def run_count(self) -> int:
        """How many runs there are."""
        return len(self._runs)

    def run_named(self, dag_id: str, run_id: str) -> RunFacts | None:
        """Return one run by its names."""
        number = self._named.get((dag_id, run_id))
        return None if number is None else self._runs[number]

    def _signal(self, kind: SignalKind, *, dag_id: str = "", run: int = 0, task: int = 0) -> None:
        number = next(self._ids)
        self._signals[number] = Signal(id=number, kind=kind, dag_id=dag_id, run=run, task=task)

    def _tell(self, question: TimetableQuestion) -> None:
        kind = SignalKind.RUN if question.run else SignalKind.BACKFILL if question.backfill else SignalKind.DAG
        self._signal(kind, dag_id=question.dag_id, run=question.run)

    # -- StorePort: reading -------------------------------------------------------------------------------------------

    def signals(self, limit: int = 1000) -> list[Signal]:
        """Return the oldest rows of the inbox."""
        return list(islice(self._signals.values(), limit))

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
            for task in map(self._tasks.__getitem__, self._occupying)
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
        return [self._tasks[task] for task in self._occupying if self._tasks[task].state is TaskState.QUEUED]

    def previous(self, run: int, task_id: str, map_index: int, *, scheduled_only: bool) -> PreviousFacts | None:
        """Return the same task in the run before."""
        here = self._runs[run]
        kinds = set(RunType) - ({RunType.MANUAL} if scheduled_only else set())

        def every_earlier() -> Iterator[RunFacts]:
            dated = self._dated[here.dag_id]
            for place in range(bisect_left(dated, (here.logical_date, 0)) - 1, -1, -1):
                yield self._runs[dated[place][1]]

        def earlier() -> Iterator[RunFacts]:
            return (other for other in every_earlier() if other.run_type in kinds)

        last = next(earlier(), None)
        if last is None:
            return None
        states = {(task.task_id, task.map_index): task.state for task in self.tasks_of(last.id)}
        spec = self.spec(here.dag_id, here.spec_version)
        below = spec.downstream.get(task_id, ())
        return PreviousFacts(
            run=last.id,
            state=states.get((task_id, map_index)),
            has_earlier_instance=any(
                (task.task_id, task.map_index) == (task_id, map_index)
                for other in earlier()
                for task in self.tasks_of(other.id)
            ),
            downstream_done=all(state in _ENDED_WELL for (name, _), state in states.items() if name in below),
            first_of_backfill=here.backfill_id is not None
            and all(other.backfill_id != here.backfill_id for other in every_earlier()),
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
        logical = new.logical_date
        while new.bump and self._is_taken(new.dag_id, logical):
            logical += timedelta(microseconds=1)
        run_id = new.run_id or make_run_id(new.run_type, logical)
        if not self.assets.all_wait(new.dag_id, new.asset_events):
            return None
        if self._is_taken(new.dag_id, logical) or (new.dag_id, run_id) in self._named:
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
            interval_pending=new.interval_pending,
        )
        self._runs[facts.id] = facts
        insort(self._dated.setdefault(facts.dag_id, []), (logical, facts.id))
        self._named[facts.dag_id, run_id] = facts.id
        self._of_run[facts.id] = {}
        self.assets.consume(new.dag_id, new.asset_events, facts.id)
        spec = self.spec(facts.dag_id, facts.spec_version)
        task_ids = tasks_of_run(spec, facts.run_type, facts.logical_date, new.task_ids)
        for task in spec.tasks:
            if task.task_id in task_ids:
                self._create_task(facts.id, task, -1)
        if new.run_type is RunType.SCHEDULED:
            self._dags[new.dag_id] = msgspec.structs.replace(
                dag, last_interval_start=new.data_interval_start, last_interval_end=new.data_interval_end
            )
        self._signal(SignalKind.RUN, run=facts.id)
        return facts

    def _is_taken(self, dag_id: str, logical_date: datetime) -> bool:
        dated = self._dated.get(dag_id, [])
        place = bisect_left(dated, (logical_date, 0))
        return place < len(dated) and dated[place][0] == logical_date

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
        self._counts[run, task.task_id] += 1
        return facts

    def _delete_task(self, task: TaskFacts) -> None:
        del self._tasks[task.id]
        del self._of_run[task.run][task.id]
        self._counts[task.run, task.task_id] -= 1

    def _run_again(self, run: int, step: BackfillStep) -> None:
        backfill, facts = step.backfill, self._runs[run]
        spec = self.spec(backfill.dag_id, backfill.spec_version)
        wanted = [task.task_id for task in spec.tasks if step.task_ids is None or task.task_id in step.task_ids]
        present = {task.task_id for task in self.tasks_of(run)}
        for task in self.tasks_of(run):
            if task.task_id in wanted and task.state is not TaskState.NONE:
                tries = task.try_number + spec.by_id[task.task_id].retries
                self._leave(task, TaskState.NONE, Actor.CLEAR, "cleared", max_tries=tries)
        for task_id in wanted:
            if task_id not in present:
                self._create_task(run, spec.by_id[task_id], -1)
        self._runs[run] = msgspec.structs.replace(
            facts,
            state=RunState.QUEUED,
            queued_at=self.clock.now(),
            start_date=None,
            end_date=None,
            spec_version=backfill.spec_version,
            code_version=backfill.code_version,
            generation=facts.generation + 1,
            conf=backfill.conf or facts.conf,
            backfill_id=backfill.id,
        )
        self._signal(SignalKind.RUN, run=run)

    def _end_run(self, run: RunFacts, reason: str) -> None:
        for task in self.tasks_of(run.id):
            if not task.state.is_terminal:
                self._leave(task, TaskState.SKIPPED, Actor.MARK, reason)
        self.run_reasons[run.id] = reason
        self._runs[run.id] = msgspec.structs.replace(
            run, state=RunState.FAILED, end_date=self.clock.now(), generation=run.generation + 1
        )
        self._signal(SignalKind.RUN, run=run.id)

    def _leave(self, task: TaskFacts, to: TaskState, actor: Actor, reason: str, **fields: int) -> None:
        after = msgspec.structs.replace(task, state=to, ticket=None, not_before=None, skip_targets=(), **fields)
        number = next(self._ids)
        move = Transition(
            task=task.id, before=task.state, to=to, epoch=task.epoch, actor=actor, op_id=f"by-{number}", reason=reason
        )
        self.transit(after, move)

    def adopt(self, runs: Sequence[int], owner: str, lease: float) -> list[int]:
        """Take the runs that nobody else owns; a lease never ends here."""
        return [run for run in runs if run in self._runs and self._owners.setdefault(run, owner) == owner]

    def asked(self, dag_id: str, run: int = 0) -> Asked | None:
        """Return the question about a DAG's next run, or about a manual run."""
        return self.questions.asked(dag_id, run)

    def ask(self, question: TimetableQuestion, digest: str, seen: Asked | None) -> Asked | None:
        """Put a question in place of what was ``seen``."""
        return self.questions.ask(question, digest, seen)

    def commit(self, changes: Changes) -> Committed:
        """Apply each run's changes whole or not at all."""
        by_run = _by_run(changes)
        conflicts: set[int] = set()
        expanded: list[TaskFacts] = []
        refused: set[int] = set()
        admitted: dict[int, int] = {}
        self._note(changes.misses)
        for run, mine in by_run.items():
            self._undo.clear()
            try:
                self._guard(run, changes)
                for run_move in mine.run_moves:
                    self._move_run(run_move)
                new = [task for expansion in mine.expansions for task in self._expand(expansion)]
                for task_move in mine.task_moves:
                    self._move_task(task_move)
                epochs = {admission.task: self._admit(admission) for admission in mine.admissions}
                self._settle_run(mine.run_moves)
            except _RunRefused:
                for undo in reversed(self._undo):
                    undo()
                conflicts.add(run)
            else:
                self.stops.update({stop.task: stop for stop in mine.stops})
                expanded += new
                refused |= {task for task, epoch in epochs.items() if epoch is None}
                admitted |= {task: epoch for task, epoch in epochs.items() if epoch is not None}
        self._undo.clear()
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

    def _guard(self, run: int, changes: Changes) -> None:
        facts = self._runs.get(run)
        if facts is None or changes.generations.get(run, facts.generation) != facts.generation:
            raise _RunRefused

    def _move_run(self, move: RunMove) -> None:
        if move.op_id in self._ops:
            return
        facts = before = self._runs[move.run]
        now = self.clock.now()
        starts = move.to is RunState.RUNNING and move.before is RunState.QUEUED
        if facts.state is not move.before or (starts and facts.interval_pending and move.interval is None):
            raise _RunRefused
        self._ops.add(move.op_id)
        self._undo += [lambda: self._ops.discard(move.op_id), lambda: self._runs.update({move.run: before})]
        if move.interval is not None:
            start, end = move.interval
            facts = msgspec.structs.replace(
                facts, data_interval_start=start, data_interval_end=end, interval_pending=False
            )
        if move.ending is not None:
            facts = msgspec.structs.replace(facts, ending=move.ending, ending_reason=move.reason)
        if move.to is not move.before:
            if move.actor not in RUN_TRANSITIONS.get((move.before, move.to), ()):
                msg = f"{move.actor} may not move a run from {move.before} to {move.to}"
                raise StoreError(msg)
            self.run_reasons[move.run] = move.reason
            facts = msgspec.structs.replace(
                facts,
                state=move.to,
                start_date=now if move.to is RunState.RUNNING else facts.start_date,
                end_date=now if move.to.is_terminal else None,
            )
        self._runs[move.run] = facts

    def _note(self, misses: Sequence[DeadlineMiss]) -> None:
        for miss in misses:
            run = self._runs.get(miss.run)
            if run is not None and not run.state.is_terminal:
                self.missed.setdefault((miss.run, miss.position), miss.due)

    def _settle_run(self, moves: Sequence[RunMove]) -> None:
        """Do what follows from a run's start or end: its question is answered, or its DAG has failed too often."""
        for move in moves:
            if move.interval is not None:
                self.questions.forget(move.run)
            if move.to is not RunState.FAILED or not move.pauses_after:
                continue
            dag = self._dags[self._runs[move.run].dag_id]
            ended = [
                run
                for run in self._runs.values()
                if run.dag_id == dag.dag_id and run.state.is_terminal and run.run_type is not RunType.BACKFILL
            ]
            latest = [run.state for run in sorted(ended, key=lambda run: run.logical_date, reverse=True)]
            if pauses_after_failures(latest, move.pauses_after) and not dag.paused:
                self._dags[dag.dag_id] = msgspec.structs.replace(dag, paused=True)
                self._signal(SignalKind.DAG, dag_id=dag.dag_id)

    def _expand(self, expansion: Expansion) -> list[TaskFacts]:
        """Create the instances that do not exist; the placeholder's row becomes index 0."""
        facts = self._runs[expansion.run]
        task = self.spec(facts.dag_id, facts.spec_version).by_id[expansion.task_id]
        instances = {t.map_index: t for t in self.tasks_of(expansion.run) if t.task_id == expansion.task_id}
        if -1 in instances:
            first = instances.pop(-1)
            instances[0] = self._tasks[first.id] = msgspec.structs.replace(first, map_index=0)
            self._undo.append(lambda: self._put(first))
        for index in range(expansion.length):
            if index not in instances:
                instances[index] = made = self._create_task(expansion.run, task, index)
                self._undo.append(partial(self._delete_task, made))
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

    def _free_of_waits(self) -> dict[str, int]:
        """Return the slots of each pool, without those that deferred instances hold."""
        slots = {pool.name: pool.slots for pool in self._pools.values()}
        counted = {pool.name for pool in self._pools.values() if pool.include_deferred and pool.slots >= 0}
        for task in self._tasks.values() if counted else ():
            if task.state is TaskState.DEFERRED and task.pool in counted:
                slots[task.pool] -= task.pool_slots
        return slots

    def _admit(self, admission: Admission) -> int | None:
        """Queue one instance; None when it has no room."""
        task = self._tasks[admission.task]
        if admission.op_id in self._ops:
            return task.epoch
        if task.state is not TaskState.SCHEDULED or task.epoch != admission.epoch:
            raise _RunRefused
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
        if self._occupancy.limit(lane, self._free_of_waits()) is not None:
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


def _by_run(changes: Changes) -> dict[int, Changes]:
    """Return the changes of each run, which are applied whole or not at all."""
    by_run = {run: Changes() for run in changes.generations}
    for run_move in changes.run_moves:
        by_run.setdefault(run_move.run, Changes()).run_moves.append(run_move)
    for expansion in changes.expansions:
        by_run.setdefault(expansion.run, Changes()).expansions.append(expansion)
    for task_move in changes.task_moves:
        by_run.setdefault(task_move.run, Changes()).task_moves.append(task_move)
    for admission in changes.admissions:
        by_run.setdefault(admission.run, Changes()).admissions.append(admission)
    for stop in changes.stops:
        by_run.setdefault(stop.run, Changes()).stops.append(stop)
    return by_run
