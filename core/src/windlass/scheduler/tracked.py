"""A run that this scheduler owns: its facts, its tasks and its plan, as a cache of the store.

Everything here can be thrown away and read again at any moment; that is what happens after a conflict. The store
stays the truth, this is what makes a decision cost a few microseconds instead of a query.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from windlass.planning.dates import bridged
from windlass.planning.decisions import Expand, Instance
from windlass.planning.plan import RunPlan
from windlass.planning.priority import priorities
from windlass.planning.queueing import Lane, Order, lane_of
from windlass.planning.topology import topology_of
from windlass.ports import Admission, Expansion, RunFacts, TaskFacts, TaskMove, Workload, WorkloadKind
from windlass.spec import DagSpec
from windlass.states import Actor, TaskState

_NEW_TRY = frozenset({TaskState.NONE, TaskState.UP_FOR_RETRY})


class TrackedRun:
    """One owned run in state ``running``."""

    def __init__(self, facts: RunFacts, spec: DagSpec, tasks: Iterable[TaskFacts]) -> None:
        self.facts = facts
        self.spec = spec
        self.tasks: dict[int, TaskFacts] = {}
        self.ids: dict[tuple[str, int], int] = {}
        for task in tasks:
            self._remember(task)
        present = {task.task_id for task in self.tasks.values()}
        graph = bridged(spec, facts.run_type, facts.logical_date, present)
        self.plan = RunPlan(graph, [_instance(task) for task in self.tasks.values()])
        self._priorities = priorities(spec)
        self._position = topology_of(spec).position

    def absorb(self, task: TaskFacts) -> bool:
        """Take over what the store says of a task instance; return whether that is news to the plan."""
        known = self.tasks.get(task.id)
        self._remember(task)
        if known is not None and _seen_by_plan(known) == _seen_by_plan(task):
            return False
        self.plan.update(
            task.task_id,
            task.map_index,
            task.state,
            skip_targets=task.skip_targets,
            result_length=task.result_length,
        )
        return True

    def moved(self, task: TaskFacts, state: TaskState, *, epoch: int | None = None) -> TaskFacts:
        """Take over a transition that this scheduler makes itself; return the instance as it is then."""
        after = msgspec.structs.replace(
            task,
            state=state,
            epoch=task.epoch if epoch is None else epoch,
            try_number=task.try_number + _charges(task.state, state),
            not_before=None,
        )
        self.tasks[task.id] = after
        return after

    def expanded(self, tasks: Iterable[TaskFacts]) -> None:
        """Take over the instances of a mapped task; the plan knows them already."""
        for task in tasks:
            old = self.tasks.get(task.id)
            if old is not None and old.map_index != task.map_index:
                del self.ids[old.task_id, old.map_index]
            self._remember(task)

    def find(self, task_id: str, map_index: int) -> TaskFacts | None:
        """Return a task instance by name; None before its expansion is committed."""
        row = self.ids.get((task_id, map_index))
        return None if row is None else self.tasks[row]

    def task_move(self, task: TaskFacts, to: TaskState, op_id: str, reason: str, actor: Actor) -> TaskMove:
        """Return the guarded transition of ``task`` from the state it is known in."""
        return TaskMove(
            task=task.id,
            run=self.facts.id,
            before=task.state,
            to=to,
            epoch=task.epoch,
            actor=actor,
            op_id=op_id,
            reason=reason,
            charge=_charges(task.state, to),
        )

    def of_expand(self, expand: Expand) -> Expansion:
        """Return the expansion that the plan decided on, by the row that becomes index 0."""
        row = self.ids.get((expand.task_id, -1))
        if row is None:
            row = self.ids[expand.task_id, 0]
        return Expansion(task=row, run=self.facts.id, task_id=expand.task_id, length=expand.length)

    def lane(self, task: TaskFacts) -> Lane:
        """Return the limits that stand between ``task`` and the queue."""
        return lane_of(self.spec, task)

    def order(self, task: TaskFacts) -> Order:
        """Return where ``task`` stands among the scheduled: priority, age of the run, place in the DAG, map index.

        A run of a backfill is as old as its place in the queue, not as its data: it overtakes nothing due today.
        """
        since = self.facts.run_after if self.facts.backfill_id is None else self.facts.queued_at
        return (
            -self._priorities[task.task_id],
            since.timestamp(),
            self.facts.id,
            self._position[task.task_id],
            task.map_index,
        )

    def admission(self, task: TaskFacts, lane: Lane, op_id: str, ticket: str, executor: str) -> Admission:
        """Return the guarded ``scheduled -> queued`` of ``task``."""
        return Admission(
            task=task.id,
            run=self.facts.id,
            dag_id=self.facts.dag_id,
            task_id=task.task_id,
            epoch=task.epoch,
            op_id=op_id,
            ticket=ticket,
            executor=self.spec.by_id[task.task_id].executor or executor,
            queue=self.spec.by_id[task.task_id].queue,
            pool=lane.pool,
            pool_slots=lane.pool_slots,
            max_active_tasks=lane.max_active_tasks,
            max_active_tis_per_dag=lane.max_active_tis_per_dag,
            max_active_tis_per_dagrun=lane.max_active_tis_per_dagrun,
        )

    def workload(self, task: TaskFacts, ticket: str) -> Workload:
        """Return what the executor gets for a queued ``task``."""
        return Workload(
            kind=WorkloadKind.TASK,
            id=task.id,
            epoch=task.epoch,
            ticket=ticket,
            queue=spec.queue if (spec := self.spec.by_id.get(task.task_id)) is not None else "default",
            code_version=self.facts.code_version,
            bundle=self.facts.bundle,
            file=self.facts.file,
            dag_id=self.facts.dag_id,
            run_id=self.facts.run_id,
            task_id=task.task_id,
            map_index=task.map_index,
        )

    def _remember(self, task: TaskFacts) -> None:
        self.tasks[task.id] = task
        self.ids[task.task_id, task.map_index] = task.id


def _charges(before: TaskState, after: TaskState) -> bool:
    """Return whether the transition starts a new try: a reschedule, a resumption or a lost ticket does not."""
    return after is TaskState.SCHEDULED and before in _NEW_TRY


def _seen_by_plan(task: TaskFacts) -> tuple[TaskState, int | None, tuple[str, ...]]:
    return task.state, task.result_length, task.skip_targets


def _instance(task: TaskFacts) -> Instance:
    return Instance(
        task_id=task.task_id,
        map_index=task.map_index,
        state=task.state,
        skip_targets=task.skip_targets,
        result_length=task.result_length,
    )
