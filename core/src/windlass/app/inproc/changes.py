"""What a step of the scheduler changes in the store in memory: per run whole, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from windlass.app.inproc.questions import MemoryQuestions
from windlass.app.inproc.rows import MemoryRows, Transition
from windlass.errors import StoreError
from windlass.planning.queueing import Lane
from windlass.planning.runs import pauses_after_failures
from windlass.ports import (
    Admission,
    Changes,
    Clock,
    Committed,
    DeadlineMiss,
    Expansion,
    RunMove,
    SignalKind,
    TaskFacts,
    TaskMove,
)
from windlass.states import RUN_TRANSITIONS, Actor, RunState, RunType, TaskState


class _RunRefused(Exception):
    """A guard of this run found something else than what was decided on."""


class MemoryChanges:
    """Applies changes, guarded by generation, state and epoch; a move that was made before is not made again."""

    def __init__(self, rows: MemoryRows, clock: Clock, questions: MemoryQuestions) -> None:
        self._rows = rows
        self._clock = clock
        self._questions = questions

    def commit(self, changes: Changes) -> Committed:
        """Apply each run's changes whole or not at all."""
        by_run = _by_run(changes)
        conflicts: set[int] = set()
        expanded: list[TaskFacts] = []
        refused: set[int] = set()
        admitted: dict[int, int] = {}
        self._note(changes.misses)
        for run, mine in by_run.items():
            self._rows.undo.clear()
            try:
                self._guard(run, changes)
                for run_move in mine.run_moves:
                    self._move_run(run_move)
                new = [task for expansion in mine.expansions for task in self.expand(expansion)]
                for task_move in mine.task_moves:
                    self._move_task(task_move)
                epochs = {admission.task: self._admit(admission) for admission in mine.admissions}
                self._settle_run(mine.run_moves)
            except _RunRefused:
                for undo in reversed(self._rows.undo):
                    undo()
                conflicts.add(run)
            else:
                self._rows.stops.update({stop.task: stop for stop in mine.stops})
                expanded += new
                refused |= {task for task, epoch in epochs.items() if epoch is None}
                admitted |= {task: epoch for task, epoch in epochs.items() if epoch is not None}
        self._rows.undo.clear()
        for number in changes.signals:  # those of a refused run stay, for whoever owns it now
            if number in self._rows.signals and self._rows.signals[number].run not in conflicts:
                del self._rows.signals[number]
        return Committed(
            conflicts=frozenset(conflicts),
            expanded=tuple(expanded),
            refused=frozenset(refused),
            admitted=admitted,
            queued_at=self._clock.now(),
        )

    def _guard(self, run: int, changes: Changes) -> None:
        facts = self._rows.runs.get(run)
        if facts is None or changes.generations.get(run, facts.generation) != facts.generation:
            raise _RunRefused

    def _move_run(self, move: RunMove) -> None:
        if move.op_id in self._rows.ops:
            return
        facts = before = self._rows.runs[move.run]
        now = self._clock.now()
        starts = move.to is RunState.RUNNING and move.before is RunState.QUEUED
        if facts.state is not move.before or (starts and facts.interval_pending and move.interval is None):
            raise _RunRefused
        self._rows.ops.add(move.op_id)
        self._rows.undo += [
            lambda: self._rows.ops.discard(move.op_id),
            lambda: self._rows.runs.update({move.run: before}),
        ]
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
            self._rows.run_reasons[move.run] = move.reason
            facts = msgspec.structs.replace(
                facts,
                state=move.to,
                start_date=now if move.to is RunState.RUNNING else facts.start_date,
                end_date=now if move.to.is_terminal else None,
            )
        self._rows.runs[move.run] = facts

    def _note(self, misses: Sequence[DeadlineMiss]) -> None:
        for miss in misses:
            run = self._rows.runs.get(miss.run)
            if run is not None and not run.state.is_terminal:
                self._rows.missed.setdefault((miss.run, miss.position), miss.due)

    def _settle_run(self, moves: Sequence[RunMove]) -> None:
        """Do what follows from a run's start or end: its question is answered, or its DAG has failed too often."""
        for move in moves:
            if move.interval is not None:
                self._questions.forget(move.run)
            if move.to is not RunState.FAILED or not move.pauses_after:
                continue
            dag = self._rows.dags[self._rows.runs[move.run].dag_id]
            ended = [
                run
                for run in self._rows.runs.values()
                if run.dag_id == dag.dag_id and run.state.is_terminal and run.run_type is not RunType.BACKFILL
            ]
            latest = [run.state for run in sorted(ended, key=lambda run: run.logical_date, reverse=True)]
            if pauses_after_failures(latest, move.pauses_after) and not dag.paused:
                self._rows.dags[dag.dag_id] = msgspec.structs.replace(dag, paused=True)
                self._rows.signal(SignalKind.DAG, dag_id=dag.dag_id)

    def expand(self, expansion: Expansion) -> list[TaskFacts]:
        """Create the instances that do not exist; the placeholder's row becomes index 0."""
        facts = self._rows.runs[expansion.run]
        task = self._rows.spec(facts.dag_id, facts.spec_version).by_id[expansion.task_id]
        instances = {t.map_index: t for t in self._rows.tasks_of(expansion.run) if t.task_id == expansion.task_id}
        if -1 in instances:
            first = instances.pop(-1)
            instances[0] = self._rows.tasks[first.id] = msgspec.structs.replace(first, map_index=0)
            self._rows.undo.append(lambda: self._rows.put(first))
        for index in range(expansion.length):
            if index not in instances:
                instances[index] = made = self._rows.create_task(expansion.run, task, index)
                self._rows.undo.append(partial(self._rows.delete_task, made))
        return [instances[index] for index in sorted(instances)]

    def _move_task(self, move: TaskMove) -> None:
        if move.op_id in self._rows.ops:
            return
        task = self._rows.tasks.get(move.task)
        if task is None or task.state is not move.before or task.epoch != move.epoch:
            raise _RunRefused
        after = msgspec.structs.replace(
            task, state=move.to, try_number=task.try_number + move.charge, not_before=None, ticket=None
        )
        self._rows.transit(
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
        slots = {pool.name: pool.slots for pool in self._rows.pools.values()}
        counted = {pool.name for pool in self._rows.pools.values() if pool.include_deferred and pool.slots >= 0}
        for task in self._rows.tasks.values() if counted else ():
            if task.state is TaskState.DEFERRED and task.pool in counted:
                slots[task.pool] -= task.pool_slots
        return slots

    def _admit(self, admission: Admission) -> int | None:
        """Queue one instance; None when it has no room."""
        task = self._rows.tasks[admission.task]
        if admission.op_id in self._rows.ops:
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
        if self._rows.occupancy.limit(lane, self._free_of_waits()) is not None:
            return None
        epoch = task.epoch + 1
        after = msgspec.structs.replace(
            task, state=TaskState.QUEUED, epoch=epoch, ticket=admission.ticket, queued_at=self._clock.now()
        )
        self._rows.transit(
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
